/* SPDX-License-Identifier: MIT */
/*
 * test_kill.c - a recorder with --dir, without a kernel behind it, is killed 200 times: at whatever it does just then (appending, making
 * a generation's file, letting one go, telling a definition). What its folder gives back is unbroken, and goes as far as the last record that
 * it had taken. Of the whole program, kernel included: tests/e2e/test_flight_recover.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flight/flight.h"
#include "flight/recover.h"
#include "flight/ring_dir.h"
#include "flight/snapshot_replay.h"
#include "ingest/page_sim.h"

#define KILLS 200
#define LINK 0x4000ULL
#define MOST_US 15000

static struct elf_tape_site site = {.addr = SIM_SITE_ADDR - SIM_MODULE_ADDR + LINK, .kind = WIRE_SITE_EVENT, .field_cnt = 1,
				    .name = "tick", .target = "app", .module = "app", .file = "app.c",
				    .field = {"n"}, .type = {WIRE_T_U64}};
static struct elf_file file = {.path = "/usr/bin/app", .module_addr = LINK, .tape_site = &site, .tape_site_cnt = 1};
static char dir[64];

/* What the recorder has taken, where SIGKILL does not reach. */
struct progress {
	u64 ready, taken;
};
static struct progress *progress;

static void clocks(struct flight *f)
{
	u64 ns = clock__mono_ns();

	flight__clock(f, ns, ns);
}

/* Pages as fast as they go, until killed; a thread that begins and ends now and then. */
static void record(void)
{
	static struct sim_delivery d;
	static struct sim_page page;
	struct flight_opts fo = {.sz = sizeof(fo), .size_bytes = 1 << 20, .period_ns = 10 * NSEC_PER_SEC};
	struct diag diag;
	struct flight *f;
	u64 n = 0;

	if (ring_dir__new(dir, "app", &fo.dir, &diag))
		_exit(1);
	f = flight__new(&fo, clock__mono_ns());
	flight__file(f, &file, 0, 0);
	clocks(f);
	sim__init(&page, clock__mono_ns(), 100, 100, 0);
	flight__begin(f, page.h.id);
	progress->ready = 1;
	for (;;) {
		u64 now = clock__mono_ns();
		u32 bytes;

		while (sim__event(&page, n, now))
			n++;
		/* what is read from outside is safe from then on, also while its flush takes its place */
		bytes = sim__deliver(&page, &d, WIRE_WHY_IDLE, 0, 100, 100, now);
		flight__rec(f, &d, bytes);
		__atomic_store_n(&progress->taken, n, __ATOMIC_RELEASE);
		sim__end(&page, now);
		bytes = sim__deliver(&page, &d, WIRE_WHY_FLUSH, 0, 100, 100, clock__mono_ns());
		flight__rec(f, &d, bytes);
		__atomic_store_n(&progress->taken, n, __ATOMIC_RELEASE);
		sim__reset(&page, clock__mono_ns());
		if (sim__seq(&page) % 16)
			continue;
		clocks(f);
		flight__round(f, clock__mono_ns(), clock__mono_ns());
		flight__beat(f, now);
	}
}

/* --- what is found ------------------------------------------------------------------------------------------- */

struct found {
	u64 cnt, next;
	bool broken;
};

static int on_event(void *ctx, const struct event *e)
{
	struct found *f = ctx;

	if (f->cnt++ && e->value[0].u != f->next)
		f->broken = true;
	f->next = e->value[0].u + 1;
	return 0;
}

static struct found look(u64 taken)
{
	const struct sink_ops ops = {.event = on_event};
	struct replay_opts ro = {.sz = sizeof(ro)};
	struct replay_result res;
	struct found found = {0};
	struct sink to = {.ops = &ops, .ctx = &found};
	struct recovered *r;
	struct diag d = {0};

	if (recover__dir(dir, &r, &d))
		fail_msg("%s", d.text);
	if (r->missing_cnt)
		fail_msg("%s", r->finding[0].text); /* a kill damages nothing */
	assert_int_equal(replay__run(&r->snap, &ro, &to, &res), 0);
	assert_int_equal(res.unaccounted, 0);
	assert_int_equal(res.lost_sum, 0);
	assert_false(found.broken);
	if (taken)
		assert_true(found.next >= taken);
	recover__free(r);
	return found;
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

static void two_hundred_kills(void **state)
{
	u64 rnd = 88172645463325252ULL, most = 0, evicted = 0;
	struct found found;
	int status;
	pid_t pid;

	for (int i = 0; i < KILLS; i++) {
		*progress = (struct progress){0};
		pid = fork();
		if (!pid)
			record();
		while (!__atomic_load_n(&progress->ready, __ATOMIC_ACQUIRE) && !waitpid(pid, &status, WNOHANG))
			usleep(100);
		assert_int_equal(progress->ready, 1);
		rnd ^= rnd << 13;
		rnd ^= rnd >> 7;
		rnd ^= rnd << 17;
		usleep((useconds_t)(rnd % MOST_US));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		found = look(progress->taken);
		most = MAX(most, found.cnt);
		evicted += found.cnt < found.next;
		remove_dir();
	}
	assert_true(most > 10000); /* something was there to be found, */
	assert_true(evicted > 10); /* and more than the ring holds had been recorded */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(two_hundred_kills)};

	snprintf(dir, sizeof(dir), "/tmp/test_kill.%d", getpid());
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
