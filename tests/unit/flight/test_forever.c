/* SPDX-License-Identifier: MIT */
/*
 * test_forever.c - a million threads and a hundred thousand processes come and go past everything that listens to a recording:
 * ingest, model, triggers, a window that turns from tape to tape, a flight recording. What they hold must depend on what is alive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flight/flight.h"
#include "flight/trigger.h"
#include "ingest/ingest.h"
#include "ingest/page_sim.h"
#include "model/model.h"
#include "model/window.h"
#include "tape/tape_sink.h"
#include "tape/tape_writer.h"

#define LINK 0x4000ULL
#define MAIN_PID 100
#define STEP_NS 100000 /* from one thread to the next */
#define ROUND 1000     /* threads between two rounds of the recorder */
#define TURN 20000     /* ... between two tapes */
#define SECOND_OF (NSEC_PER_SEC / STEP_NS) /* threads in a second */
#define GROWTH_BYTES (256 << 10)

struct forever {
	struct elf_file file;
	struct elf_tape_site site[2];
	struct elf_site plain[2];
	struct ingest *in;
	struct model *m;
	struct window *w;
	struct trigger_set *triggers;
	struct flight *f;
	struct tape_writer *tw;
	struct tape_sink *ts;
	char path[64];
	u64 now;
	struct sim_page page;
	struct sim_delivery d;
};

static int on_rec(void *ctx, const struct rec *r)
{
	struct forever *e = ctx;

	return model__rec(e->m, r);
}

static u64 on_link(void *ctx, u32 module)
{
	return LINK;
}

static int on_role(void *ctx, u32 site, const void **pair)
{
	struct forever *e = ctx;

	return model__pair_role(e->m, site, pair);
}

static void on_fired(void *ctx, const struct trigger_fired *f)
{
}

static void open_tape(struct forever *e)
{
	struct tape_writer_opts wo = {.sz = sizeof(wo), .base_mono_ns = e->now, .force = true};
	struct sink to;
	struct diag d;

	snprintf(e->path, sizeof(e->path), "/tmp/test_forever.%d.tape", getpid());
	assert_int_equal(tape_writer__open(e->path, &wo, &e->tw, &d), 0);
	e->ts = tape_sink__new(e->tw, NULL);
	assert_non_null(e->ts);
	to = tape_sink__sink(e->ts);
	assert_int_equal(window__begin(e->w, &to, e->now), 0);
}

static void close_tape(struct forever *e)
{
	assert_int_equal(window__end(e->w, e->now), 0);
	assert_int_equal(tape_sink__finish(e->ts, e->now, 0, 0, 0), 0);
	tape_sink__free(e->ts);
	assert_int_equal(tape_writer__close(e->tw, NULL), 0);
	unlink(e->path);
}

static void files(struct forever *e)
{
	e->site[0] = (struct elf_tape_site){.addr = SIM_SITE_ADDR - SIM_MODULE_ADDR + LINK, .kind = WIRE_SITE_SPAN, .field_cnt = 1,
					    .name = "work", .target = "app", .module = "app", .file = "app.c",
					    .field = {"n"}, .type = {WIRE_T_U64}};
	e->file = (struct elf_file){.module_addr = LINK, .tape_site = e->site, .tape_site_cnt = 1};
	e->plain[0] = (struct elf_site){.provider = "app", .name = "request__begin", .arg_cnt = 0};
	e->plain[1] = (struct elf_site){.provider = "app", .name = "request__end", .arg_cnt = 0};
	e->file.site = e->plain;
	e->file.site_cnt = 2;
}

static void start(struct forever *e)
{
	struct ingest_ops iops = {.rec = on_rec, .module_link = on_link, .ctx = e};
	struct flight_opts fo = {.sz = sizeof(fo), .size_bytes = 1 << 20, .period_ns = NSEC_PER_SEC,
				 .pairs = {.role = on_role, .ctx = e}};
	struct model_opts mo = {.sz = sizeof(mo)};
	struct expr_error err;
	struct sink sinks[2];

	memset(e, 0, sizeof(*e));
	files(e);
	e->now = 1000 * NSEC_PER_SEC;
	e->w = window__new(NULL);
	e->triggers = trigger_set__new(on_fired, e);
	assert_int_equal(trigger_set__add(e->triggers, "open:work>1h", &err), 0);
	sinks[0] = window__sink(e->w);
	sinks[1] = trigger_set__sink(e->triggers);
	e->m = model__new(sinks, 2, &mo);
	assert_int_equal(model__add_file(e->m, &e->file, 0, 0), 0);
	e->in = ingest__new(&iops, NULL);
	ingest__since(e->in, e->now);
	e->f = flight__new(&fo, e->now);
	assert_true(e->w && e->m && e->in && e->f);
	open_tape(e);
}

static void stop(struct forever *e)
{
	assert_int_equal(ingest__finish(e->in), 0);
	assert_int_equal(model__cut(e->m, e->now), 0);
	close_tape(e);
	ingest__free(e->in);
	model__free(e->m);
	window__free(e->w);
	trigger_set__free(e->triggers);
	flight__free(e->f);
}

static void push(struct forever *e, const void *rec, u32 bytes)
{
	flight__rec(e->f, rec, bytes);
	assert_int_equal(ingest__push(e->in, rec, bytes), 0);
}

static void life(struct forever *e, u16 kind, u32 pid, u32 tid, u32 other_pid, u32 other_tid, u32 flags)
{
	struct wire_life l = {.head = {.kind = kind, .bytes = sizeof(l), .time_ns = e->now, .pid = pid, .tid = tid},
			      .other_pid = other_pid, .other_tid = other_tid, .flags = flags, .comm = "app"};

	push(e, &l, sizeof(l));
	e->now += STEP_NS / 10;
}

static void hit(struct forever *e, u32 pid, u32 tid, u32 site)
{
	struct wire_hit h = {.head = {.kind = WIRE_HIT, .bytes = sizeof(h), .time_ns = e->now, .cookie = site, .pid = pid, .tid = tid}};

	push(e, &h, sizeof(h));
	e->now += STEP_NS / 100;
}

static void announce(struct forever *e, u32 pid, u32 tid)
{
	struct wire_announce a = {.head = {.kind = WIRE_ANNOUNCE, .bytes = sizeof(a), .time_ns = e->now, .pid = pid, .tid = tid},
				  .id = e->page.h.id, .module = SIM_MODULE_ADDR, .ns_pid = pid, .ns_tid = tid};

	push(e, &a, sizeof(a));
}

/* A page with a span, taken when its thread ends (or execs). */
static void work(struct forever *e, u32 pid, u32 tid, u32 why)
{
	u32 bytes;

	sim__init(&e->page, e->now, pid, tid, 0);
	announce(e, pid, tid);
	hit(e, pid, tid, 0);
	sim__begin(&e->page, tid, e->now + 1);
	sim__finish(&e->page, e->now + 2);
	hit(e, pid, tid, 1);
	bytes = sim__deliver(&e->page, &e->d, why, 0, pid, tid, e->now);
	push(e, &e->d, bytes);
}

static void round_of(struct forever *e, u64 n)
{
	if (n % ROUND)
		return;
	assert_int_equal(ingest__advance(e->in, e->now, e->now), 0);
	flight__round(e->f, e->now, e->now);
	if (n % TURN)
		return;
	close_tape(e);
	open_tape(e);
}

/* The most that was in use in a stretch of the run: it comes and goes with generations and turns. */
static void note_use(size_t *most, u64 i, u64 from, u64 to)
{
	size_t now;

	if (i % ROUND || i <= from || i > to)
		return;
	now = mallinfo2().uordblks;
	*most = MAX(*most, now);
}

/* What there is in memory is of the last seconds. */
static void check_tables(const struct forever *e, u64 threads_a_second, u64 processes_a_second)
{
	struct model_stats m;
	struct window_stats w;
	struct ingest_stats in;
	struct flight_stats f;

	model__stats(e->m, &m);
	window__stats(e->w, &w);
	ingest__stats(e->in, &in);
	flight__stats(e->f, &f);
	assert_true(m.threads_kept < 3 * threads_a_second + ROUND);
	assert_true(m.processes_kept < 3 * processes_a_second + ROUND);
	assert_true(w.threads < threads_a_second + ROUND);
	assert_true(w.processes < processes_a_second + ROUND);
	assert_true(in.pages < threads_a_second + ROUND);
	assert_true(f.threads < 5 * threads_a_second + ROUND);
	assert_true(f.processes < 5 * processes_a_second + ROUND);
	assert_true(f.sheets.pages < 5 * threads_a_second + ROUND);
}

static void check_stream(const struct forever *e, u64 records)
{
	struct model_stats m;

	model__stats(e->m, &m);
	for (int i = 0; i < LOSS_MAX; i++)
		assert_int_equal(m.lost[i], 0);
	assert_int_equal(m.stored, records);
}

/* A page belongs to whoever had the number when it was made: the numbers come round every few seconds. */
static void a_million_threads(void **state)
{
	static struct forever e;
	const u64 cnt = 1000000;
	size_t then = 0, now = 0;

	start(&e);
	for (u64 i = 1; i <= cnt; i++) {
		u32 tid = 1000 + (u32)(i % 30000);

		life(&e, WIRE_FORK, MAIN_PID, MAIN_PID, MAIN_PID, tid, 0);
		work(&e, MAIN_PID, tid, WIRE_WHY_EXIT);
		life(&e, WIRE_EXIT, MAIN_PID, tid, 0, 0, 0);
		e.now += STEP_NS / 2;
		round_of(&e, i);
		note_use(&then, i, cnt / 2, cnt / 4 * 3);
		note_use(&now, i, cnt / 4 * 3, cnt);
		if (i % (10 * TURN) == 0)
			check_tables(&e, SECOND_OF, 1);
	}
	assert_true(now < then + GROWTH_BYTES);
	assert_int_equal(ingest__finish(e.in), 0);
	check_stream(&e, 4 * cnt);
	stop(&e);
}

static void a_hundred_thousand_processes(void **state)
{
	static struct forever e;
	const u64 cnt = 100000;
	size_t then = 0, now = 0;

	start(&e);
	for (u64 i = 1; i <= cnt; i++) {
		u32 pid = 1000 + (u32)(i % 30000);

		life(&e, WIRE_FORK, MAIN_PID, MAIN_PID, pid, pid, WIRE_LIFE_PROCESS);
		work(&e, pid, pid, i & 1 ? WIRE_WHY_EXEC : WIRE_WHY_EXIT);
		if (i & 1)
			life(&e, WIRE_EXEC, pid, pid, pid, pid, WIRE_LIFE_PROCESS);
		life(&e, WIRE_EXIT, pid, pid, 0, 0, WIRE_LIFE_PROCESS);
		e.now += STEP_NS / 2;
		round_of(&e, i);
		note_use(&then, i, cnt / 2, cnt / 4 * 3);
		note_use(&now, i, cnt / 4 * 3, cnt);
		if (i % (2 * TURN) == 0)
			check_tables(&e, SECOND_OF, SECOND_OF);
	}
	assert_true(now < then + GROWTH_BYTES);
	assert_int_equal(ingest__finish(e.in), 0);
	check_stream(&e, 4 * cnt);
	stop(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_threads),
		cmocka_unit_test(a_hundred_thousand_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
