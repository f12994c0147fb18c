/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session/snapshots.h"
#include "tape/tape_file.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Whose turn it is, and who is told what, while the ring, the writing of a tape and the monotonic clock are played here. A file whose name
 * begins with "hangs" does not answer until it is let go.
 */
static struct {
	_Atomic u64 mono_ns;
	u32 taken, released;
	sem_t go_on; /* one for each call that hangs */
} world;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = (time_t)(world.mono_ns / NSEC_PER_SEC);
	ts->tv_nsec = (long)(world.mono_ns % NSEC_PER_SEC);
	return 0;
}

struct snapshot *session__snapshot(struct session *s)
{
	world.taken++;
	return calloc(1, sizeof(struct snapshot));
}

struct flight *session__flight(struct session *s)
{
	return NULL;
}

void flight__release(struct flight *f, struct snapshot *s)
{
	world.released++;
	free(s);
}

void flight__leave(struct flight *f, struct snapshot *s, u32 gen_cnt)
{
}

static bool hangs(int fd)
{
	char link[64], name[256] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return readlink(link, name, sizeof(name) - 1) > 0 && strstr(name, "hangs");
}

int tape_file__write(int fd, const void *data, size_t bytes, u64 offset)
{
	if (hangs(fd))
		sem_wait(&world.go_on);
	return pwrite(fd, data, bytes, (off_t)offset) == (ssize_t)bytes ? 0 : -EIO;
}

void snapshot__name(char *dst, size_t bytes, const char *exe, enum snapshot_format f)
{
	snprintf(dst, bytes, "own");
}

int snapshot__write(struct snapshot_write *w)
{
	int fd = w->fd, err = fd < 0 ? 0 : tape_file__write(fd, "tape", 4, 0);

	w->fd = -1;
	w->res.bytes = 4;
	if (fd >= 0)
		close(fd);
	return err;
}

/* --- what comes of it -------------------------------------------------------------------------------------------- */

struct answer {
	u32 cnt;
	int err;
};

static void on_done(void *ctx, const struct snapshot_result *r)
{
	struct answer *t = ctx;

	t->cnt++;
	t->err = r->err;
}

static int file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void ask(struct snapshots *s, int fd, struct answer *t)
{
	struct snapshot_request r = {.fd = fd, .done = t ? on_done : NULL, .ctx = t};

	assert_int_equal(snapshots__ask(s, &r), 0);
}

/* Rounds, 50 ms of the clock and one of ours each, until *cnt is not 0. */
static void rounds(struct snapshots *s, const u32 *cnt)
{
	for (u32 i = 0; i < 5000 && !*cnt; i++) {
		world.mono_ns += 50 * NSEC_PER_MSEC;
		usleep(1000);
		snapshots__poll(s);
	}
	assert_int_not_equal(*cnt, 0);
}

/* What hung goes on, and gives back what it held. */
static void let_go(struct snapshots *s)
{
	sem_post(&world.go_on);
	for (u32 i = 0; i < 5000 && world.released < world.taken; i++) {
		usleep(1000);
		snapshots__poll(s);
	}
}

static int setup(void **state)
{
	struct snapshots_opts o = {.exe = "prog"};

	world.mono_ns = NSEC_PER_SEC;
	world.taken = world.released = 0;
	sem_init(&world.go_on, 0, 0);
	*state = snapshots__new(&o);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	snapshots__free(*state);
	assert_int_equal(world.taken, world.released);
	return 0;
}

static void equal_requests_are_one_snapshot(void **state)
{
	struct snapshots *s = *state;
	struct answer a = {0}, b = {0};
	struct snapshots_stats st;
	int second = file("second");
	char got[8] = "";

	ask(s, file("first"), &a);
	ask(s, dup(second), &b);
	rounds(s, &b.cnt);
	assert_int_equal(a.cnt, 1);
	assert_int_equal(a.err, 0);
	assert_int_equal(b.err, 0);
	assert_int_equal(pread(second, got, sizeof(got), 0), 4);
	assert_string_equal(got, "tape");
	snapshots__stats(s, &st);
	assert_int_equal(st.taken, 1);
	assert_int_equal(st.failed, 0);
	assert_int_equal(world.taken, 1);
	close(second);
}

/* The first one has had what he asked for: that counts, whatever becomes of the other's copy. */
static void a_copy_that_hangs_does_not_undo_what_was_written(void **state)
{
	struct snapshots *s = *state;
	struct answer a = {0}, b = {0};
	struct snapshots_stats st;

	ask(s, file("first"), &a);
	ask(s, file("hangs"), &b);
	rounds(s, &b.cnt);
	assert_int_equal(a.err, 0);
	assert_int_equal(a.cnt, 1);
	assert_int_equal(b.err, -ETIMEDOUT);
	snapshots__stats(s, &st);
	assert_int_equal(st.taken, 1);
	assert_int_equal(st.failed, 1);
	let_go(s);
}

/* The other one has his file written by a thread of its own. */
static void who_waits_with_one_that_hangs_is_served(void **state)
{
	struct snapshots *s = *state;
	struct answer a = {0}, b = {0};
	struct snapshots_stats st;

	ask(s, file("hangs"), &a);
	ask(s, file("second"), &b);
	rounds(s, &b.cnt);
	assert_int_equal(a.err, -ETIMEDOUT);
	assert_int_equal(b.err, 0);
	snapshots__stats(s, &st);
	assert_int_equal(st.taken, 1);
	assert_int_equal(st.failed, 1);
	let_go(s);
}

/* A snapshot that nobody wants to hear of is wanted all the same. */
static void who_goes_takes_only_his_own_request(void **state)
{
	struct snapshots *s = *state;
	struct answer a = {0}, b = {0}, own = {0};
	struct snapshot_request silent = {.fd = -1, .last_ns = 5}, last = {.fd = -1, .last_ns = 7, .done = on_done, .ctx = &own};
	struct snapshots_stats st;

	ask(s, file("first"), &a);
	assert_int_equal(snapshots__ask(s, &silent), 0);
	assert_int_equal(snapshots__ask(s, &last), 0);
	assert_int_equal(snapshots__ask(s, &(struct snapshot_request){.fd = file("gone"), .last_ns = 9, .done = on_done, .ctx = &b}), 0);
	snapshots__forget(s, &b);
	snapshots__stats(s, &st);
	assert_int_equal(st.waiting, 3);
	rounds(s, &own.cnt);
	assert_int_equal(b.cnt, 0);
	snapshots__stats(s, &st);
	assert_int_equal(st.taken, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(equal_requests_are_one_snapshot, setup, teardown),
		cmocka_unit_test_setup_teardown(a_copy_that_hangs_does_not_undo_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_with_one_that_hangs_is_served, setup, teardown),
		cmocka_unit_test_setup_teardown(who_goes_takes_only_his_own_request, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
