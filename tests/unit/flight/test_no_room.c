/* SPDX-License-Identifier: MIT */
/*
 * test_no_room.c - a recorder with --dir whose disk is full for a while: what had been read of a page stays until what covers it has been stored, and
 * what there was no room for is counted, in the ring once there is room, or by the state if the recorder is killed before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "flight/flight.h"
#include "flight/recover.h"
#include "flight/ring_dir.h"
#include "flight/snapshot_replay.h"
#include "ingest/page_sim.h"

#define LINK 0x4000ULL

static struct elf_tape_site site = {.addr = SIM_SITE_ADDR - SIM_MODULE_ADDR + LINK, .kind = WIRE_SITE_EVENT, .field_cnt = 1,
				    .name = "tick", .target = "app", .module = "app", .file = "app.c",
				    .field = {"n"}, .type = {WIRE_T_U64}};
static struct elf_site plain = {.provider = "app", .name = "hit"};
static struct elf_file file = {.path = "/usr/bin/app", .module_addr = LINK, .tape_site = &site, .tape_site_cnt = 1,
			       .site = &plain, .site_cnt = 1};

struct fix {
	char dir[64], run[256];
	struct flight *f;
	struct ring_dir *d;
	struct sim_page page;
	u64 n;
};

/* false: chunks do not fit any more, all else does. */
static void room(bool there)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = there ? l.rlim_max : 4 * PAGE_SLOT;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void one_round(struct fix *x)
{
	u64 now = clock__mono_ns();

	flight__clock(x->f, now, now);
	flight__round(x->f, now, now);
	flight__beat(x->f, now);
}

static int setup(void **state)
{
	struct fix *x = calloc(1, sizeof(*x));
	struct flight_opts fo = {.sz = sizeof(fo), .size_bytes = 1 << 20, .period_ns = 10 * NSEC_PER_SEC, .generation_ns = 1};
	struct diag diag;

	signal(SIGXFSZ, SIG_IGN);
	snprintf(x->dir, sizeof(x->dir), "/tmp/test_no_room.%d", getpid());
	assert_int_equal(ring_dir__new(x->dir, "app", &x->d, &diag), 0);
	ring_dir__leave(x->d, x->run, sizeof(x->run));
	fo.dir = x->d;
	x->f = flight__new(&fo, clock__mono_ns());
	flight__file(x->f, &file, 0, 0);
	sim__init(&x->page, clock__mono_ns(), 100, 100, 0);
	flight__begin(x->f, x->page.h.id);
	one_round(x); /* each ends a generation, so the next record needs a chunk */
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fix *x = *state;
	char command[128];

	room(true);
	flight__free(x->f);
	ring_dir__free(x->d);
	snprintf(command, sizeof(command), "rm -rf '%s'", x->dir);
	free(x);
	return system(command);
}

static void events(struct fix *x, u32 cnt)
{
	while (cnt--)
		assert_true(sim__event(&x->page, x->n++, clock__mono_ns()));
}

static void deliver(struct fix *x, u32 why)
{
	static struct sim_delivery d;
	u32 bytes;

	if (why == WIRE_WHY_FLUSH)
		sim__end(&x->page, clock__mono_ns());
	bytes = sim__deliver(&x->page, &d, why, 0, 100, 100, clock__mono_ns());
	flight__rec(x->f, &d, bytes);
	if (why == WIRE_WHY_FLUSH)
		sim__reset(&x->page, clock__mono_ns());
}

static void hits(struct fix *x, u32 cnt)
{
	while (cnt--) {
		struct wire_hit h = {.head = {.kind = WIRE_HIT, .bytes = sizeof(h), .time_ns = clock__mono_ns(), .pid = 100, .tid = 101}};

		flight__rec(x->f, &h, sizeof(h));
	}
}

/* As after a kill at this moment. */
static void look(struct fix *x, u64 emitted, u64 stored, u64 not_written, u64 untold)
{
	static const struct sink_ops nothing;
	struct sink to = {.ops = &nothing};
	struct replay_opts ro = {.sz = sizeof(ro)};
	struct replay_result res;
	struct recovered *r;
	char copy[128], command[1024];
	struct diag d = {0};

	/* its recorder runs, so a copy is looked at */
	snprintf(copy, sizeof(copy), "%s/copy", x->dir);
	snprintf(command, sizeof(command), "rm -rf '%s' && cp -r '%s' '%s'", copy, x->run, copy);
	assert_int_equal(system(command), 0);
	if (recover__dir(copy, &r, &d))
		fail_msg("%s", d.text);
	assert_int_equal(replay__run(&r->snap, &ro, &to, &res), 0);
	assert_int_equal(res.unaccounted, 0);
	assert_int_equal(res.emitted, emitted);
	assert_int_equal(res.stored, stored);
	assert_int_equal(res.lost[LOSS_WRITE], not_written);
	assert_int_equal(r->unstored_recs, untold);
	assert_int_equal(r->missing_cnt, untold ? 1 : 0);
	recover__free(r);
}

/* Of 30 records 20 had been read before their flush, which found no room; then there is some. */
static void an_image_stays(void **state)
{
	struct fix *x = *state;

	events(x, 20);
	deliver(x, WIRE_WHY_IDLE);
	one_round(x);
	look(x, 20, 20, 0, 0);
	room(false);
	events(x, 10);
	deliver(x, WIRE_WHY_FLUSH);
	one_round(x);
	room(true); /* for the copy */
	look(x, 30, 20, 10, 10);
	one_round(x);
	events(x, 5);
	deliver(x, WIRE_WHY_FLUSH);
	one_round(x);
	look(x, 35, 25, 10, 0);
}

/* What comes one by one has no number that would show it. */
static void hits_are_counted(void **state)
{
	struct fix *x = *state;

	hits(x, 4);
	one_round(x);
	room(false);
	hits(x, 3);
	one_round(x);
	room(true);
	look(x, 7, 4, 3, 3);
	one_round(x);
	one_round(x);
	hits(x, 1);
	look(x, 8, 5, 3, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_image_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(hits_are_counted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
