/* SPDX-License-Identifier: MIT */
/* What reaches ops->rec, and in which order: cases by hand. Orders at random: test_stream_property.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "ingest/ingest.h"
#include "page_sim.h"

#define MAX_GOT 64
#define MS NSEC_PER_MSEC

static struct got {
	struct rec r;
	u64 value;
	struct rec_page page;
} got[MAX_GOT];
static u32 got_cnt;
static u64 all_cnt, all_last, all_back; /* how many, the last time, how often it went back */
static int rec_returns;
static u32 turns, turn_behind[8]; /* how often, and behind how many records */
static u64 turn_ns;

static int on_rec(void *ctx, const struct rec *r)
{
	struct got *g = &got[got_cnt];

	all_cnt++;
	all_back += r->time_ns < all_last;
	all_last = r->time_ns;
	if (got_cnt == MAX_GOT)
		return rec_returns;
	got_cnt++;
	g->r = *r;
	g->value = 0;
	if (r->payload_bytes == 8)
		memcpy(&g->value, r->payload, 8);
	if (r->page)
		g->page = *r->page;
	return rec_returns;
}

static struct ingest *turning;

static int on_turn(void *ctx)
{
	turn_behind[turns++ % ARRAY_SIZE(turn_behind)] = got_cnt;
	turn_ns = ingest__passed_ns(turning);
	rec_returns = 0;
	return 0;
}

static u64 module_link(void *ctx, u32 module)
{
	return module == 9 ? 0 : 0x4000 + 0x100000 * module;
}

static struct ingest *fresh(size_t held_bytes)
{
	struct ingest_ops ops = { .rec = on_rec, .turn = on_turn, .module_link = module_link };
	struct ingest_opts opts = { .sz = sizeof(opts), .held_bytes = held_bytes };

	got_cnt = all_cnt = all_last = all_back = 0;
	rec_returns = 0;
	turns = 0;
	return turning = ingest__new(&ops, &opts);
}

static void demand_balance(struct ingest *in)
{
	struct ingest_stats st;
	u64 lost = 0;
	int i;

	ingest__stats(in, &st);
	for (i = 0; i < LOSS_MAX; i++)
		lost += st.lost[i];
	assert_int_equal(st.emitted, st.received + lost);
}

static void kinds_are(const char *want)
{
	static const char letter[] = "?bevonxcdVfN#p^?[]HFXEPL";
	char have[MAX_GOT + 1];
	u32 i;

	for (i = 0; i < got_cnt; i++)
		have[i] = letter[got[i].r.kind];
	have[i] = 0;
	assert_string_equal(have, want);
}

static void push(struct ingest *in, const struct sim_page *s, u32 why, u32 pid, u32 tid, u64 now)
{
	static struct sim_delivery d;
	u32 bytes = sim__deliver(s, &d, why, 0, pid, tid, now);

	assert_int_equal(ingest__push(in, &d, bytes), 0);
}

static void announce(struct ingest *in, const struct sim_page *s, u32 pid, u32 tid, u32 module)
{
	struct wire_announce a = { .head = { .kind = WIRE_ANNOUNCE, .bytes = sizeof(a), .time_ns = s->h.id,
					     .cookie = module, .pid = pid, .tid = tid },
				   .id = s->h.id, .module = s->h.module, .ns_pid = s->h.pid, .ns_tid = s->h.tid };

	assert_int_equal(ingest__push(in, &a, sizeof(a)), 0);
}

static void life(struct ingest *in, u32 kind, u32 cpu, u32 pid, u32 tid, u64 now)
{
	struct wire_life l = { .head = { .kind = kind, .cpu = cpu, .bytes = sizeof(l), .time_ns = now, .pid = pid,
					 .tid = tid } };

	assert_int_equal(ingest__push(in, &l, sizeof(l)), 0);
}

static struct sim_page s;

/* --- pages --------------------------------------------------------------------------------------------- */

static void held_back_then_passed(void **state)
{
	struct ingest *in = fresh(0);

	sim__init(&s, 1000 * MS, 5, 6, 0);
	announce(in, &s, 105, 106, 2);
	sim__begin(&s, 1, 1001 * MS);
	sim__finish(&s, 1002 * MS);
	push(in, &s, WIRE_WHY_IDLE, 105, 106, 1003 * MS);
	ingest__advance(in, 1240 * MS, 1240 * MS);
	assert_int_equal(got_cnt, 0);
	ingest__advance(in, 1251 * MS, 1251 * MS + 1);
	kinds_are("P[]b");
	ingest__advance(in, 1300 * MS, 1300 * MS);
	kinds_are("P[]be");
	assert_int_equal(got[3].r.site_addr, 0x204000 + 0x800);
	assert_int_equal(got[3].page.ns_tid, 6);
	assert_int_equal(got[3].r.tid, 106);
	demand_balance(in);
	ingest__free(in);
}

static void vfork_child_flushes_for_its_parent(void **state)
{
	struct ingest *in = fresh(0);

	sim__init(&s, 1000, 5, 6, 0);
	sim__event(&s, 1, 1010);
	/* Its delivery comes first, from another ring than the announcement. */
	push(in, &s, WIRE_WHY_FLUSH, 999, 999, 1020);
	announce(in, &s, 105, 106, 0);
	ingest__finish(in);
	kinds_are("P[]v");
	assert_int_equal(got[0].r.pid, 105);
	assert_int_equal(got[3].r.tid, 106);
	ingest__free(in);
}

static void adopted_pages_tell_what_is_open(void **state)
{
	static struct sim_delivery d;
	struct ingest *in = fresh(0);
	struct ingest_stats st;
	u32 bytes;

	sim__init(&s, 1000, 5, 6, 0);
	sim__begin(&s, 10, 1010);
	sim__reset(&s, 1020);
	sim__begin(&s, 11, 1030);
	bytes = sim__deliver(&s, &d, WIRE_WHY_IDLE, 0, 5, 6, 1040);
	ingest__adopt(in, &d.w, bytes);
	ingest__advance(in, 2000, 2000 + 300 * MS);
	kinds_are("P[^^]");
	assert_int_equal(got[2].value, 10);
	assert_int_equal(got[2].r.time_ns, 1010);
	assert_int_equal(got[3].value, 11);
	assert_int_equal(got[3].r.number, 1);
	sim__finish(&s, 1050);
	push(in, &s, WIRE_WHY_EXIT, 5, 6, 1060);
	ingest__finish(in);
	kinds_are("P[^^]e");
	ingest__stats(in, &st);
	assert_int_equal(st.emitted, 1);
	assert_int_equal(st.received, 1);
	ingest__free(in);
}

static void a_gap_is_told_with_its_cause(void **state)
{
	struct ingest *in = fresh(0);

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	sim__begin(&s, 1, 1010);
	push(in, &s, WIRE_WHY_FLUSH, 5, 6, 1020);
	sim__reset(&s, 1030);
	sim__begin(&s, 2, 1040); /* this batch is refused */
	sim__begin(&s, 3, 1050);
	ingest__mark(in, 5, 6, 1000, 3, LOSS_READ, false);
	sim__reset(&s, 1060);
	sim__finish(&s, 1070);
	push(in, &s, WIRE_WHY_FLUSH, 5, 6, 1080);
	ingest__advance(in, 1079, 300 * MS);
	kinds_are("P[]b");
	ingest__advance(in, 1081, 300 * MS);
	kinds_are("P[]bL[^^^]e");
	assert_int_equal(got[4].r.count, 2);
	assert_int_equal(got[4].r.why, LOSS_READ);
	assert_int_equal(got[4].r.from_ns, 1010);
	assert_int_equal(got[4].r.time_ns, 1070);
	assert_int_equal(got[9].r.number, 3);
	demand_balance(in);
	ingest__free(in);
}

static void the_last_loss_is_known_by_the_mark(void **state)
{
	struct ingest *in = fresh(0);
	struct ingest_stats st;

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	sim__begin(&s, 1, 1010);
	push(in, &s, WIRE_WHY_FLUSH, 5, 6, 1020);
	life(in, WIRE_EXIT, 0, 5, 6, 1500);
	ingest__advance(in, 2000, 3000 * MS);
	kinds_are("P[]bE");
	/* Long after: the page must not have been forgotten, or its first record would count twice. */
	ingest__advance(in, 3000 * MS, 6000 * MS);
	ingest__mark(in, 5, 6, 1000, 7, LOSS_RING, true);
	ingest__advance(in, 6000 * MS, 6100 * MS);
	assert_int_equal(got_cnt, 5); /* not believed before the rings are drained past it */
	ingest__advance(in, 6200 * MS, 6300 * MS);
	kinds_are("P[]bEL");
	assert_int_equal(got[5].r.count, 6);
	ingest__finish(in);
	ingest__stats(in, &st);
	assert_int_equal(st.emitted, 7);
	assert_int_equal(st.lost[LOSS_RING], 6);
	ingest__free(in);
}

static void what_does_not_decode_is_lost(void **state)
{
	struct ingest *in = fresh(0);
	struct ingest_stats st;

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	sim__event(&s, 1, 1010);
	sim__append(&s, 15, 0, 0, NULL, 0, 1011); /* a kind we do not know: one record */
	sim__event(&s, 2, 1012);
	sim__append(&s, WIRE_R_ENTER, 0, 0, NULL, 0, 1013); /* too short: cut */
	sim__event(&s, 3, 1014);
	push(in, &s, WIRE_WHY_FLUSH, 5, 6, 1020);
	ingest__finish(in);
	kinds_are("P[]vLvL");
	ingest__stats(in, &st);
	assert_int_equal(st.received, 2);
	assert_int_equal(st.lost[LOSS_BAD], 3);
	assert_int_equal(st.emitted, 5);
	ingest__free(in);
}

static void without_its_module_all_is_lost(void **state)
{
	struct ingest *in = fresh(0);
	struct ingest_stats st;

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 5, 6, 9);
	sim__event(&s, 1, 1010);
	sim__event(&s, 1, 1020);
	push(in, &s, WIRE_WHY_FLUSH, 5, 6, 1020);
	ingest__finish(in);
	ingest__stats(in, &st);
	assert_int_equal(st.lost[LOSS_BAD], 2);
	demand_balance(in);
	ingest__free(in);
}

static void a_ref_may_name_another_module(void **state)
{
	static struct sim_page other;
	struct wire_ref ref = { 7, 0x7f00aaaa0000ULL, 900, 0xaaaa0000u + 0x40 };
	struct ingest *in = fresh(0);

	sim__init(&other, 900, 5, 6, 0);
	other.h.module = ref.module;
	announce(in, &other, 5, 6, 3);
	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	sim__append(&s, WIRE_R_ENTER, 0, 0, &ref, WIRE_REF_BYTES, 1010);
	ref.module += 0x1000;
	sim__append(&s, WIRE_R_EXIT, 0, 0, &ref, WIRE_REF_BYTES, 1020);
	push(in, &s, WIRE_WHY_FLUSH, 5, 6, 1030);
	ingest__finish(in);
	kinds_are("PP[]nx");
	assert_int_equal(got[4].r.module, 3);
	assert_int_equal(got[4].r.site_addr, 0x304040);
	assert_int_equal(got[5].r.site_addr, 0); /* a module that nobody has seen */
	ingest__free(in);
}

/* --- immediate records, hits, lives -------------------------------------------------------------------- */

static void immediate(struct ingest *in, u64 at, u64 page_id, u64 value, u64 now)
{
	struct {
		struct wire_head head;
		struct wire_imm imm;
		struct wire_rec rec;
		struct sim_fields f;
	} r = { .head = { .kind = WIRE_IMMEDIATE, .bytes = sizeof(r.head) + sizeof(r.imm) + 20, .time_ns = now,
			  .pid = 105, .tid = 106 },
		.imm = { .mono_ns = now, .at = at, .page_id = page_id, .module = SIM_MODULE_ADDR, .pid = 5, .tid = 6,
			 .bytes = 20, .version = WIRE_VERSION },
		.rec = { WIRE_HEAD(WIRE_R_EVENT, 0, 0, 20), 0 },
		.f = sim__fields(value) };

	assert_int_equal(ingest__push(in, &r, r.head.bytes), 0);
}

static void immediates_stand_at_their_place(void **state)
{
	struct ingest *in = fresh(0);
	u32 i;
	static const u64 want[] = { 100, 1, 101, 102, 2, 103 };

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 105, 106, 0);
	sim__event(&s, 1, 1010);
	sim__event(&s, 2, 1020);
	immediate(in, 1, 1000, 102, 1030); /* a handler that interrupted the second append: later by its clock */
	immediate(in, 1, 1000, 101, 1025);
	immediate(in, 2, 1000, 103, 1040);
	immediate(in, 0, 1000, 100, 1005);
	push(in, &s, WIRE_WHY_FLUSH, 105, 106, 1050);
	ingest__finish(in);
	kinds_are("Pv[]vvvvv");
	for (i = 0; i < 6; i++) {
		const struct got *g = &got[i ? i + 3 : 1];

		assert_int_equal(g->value, want[i]);
		assert_int_equal(g->r.immediate, want[i] >= 100);
	}
	assert_int_equal(all_back, 0);
	ingest__free(in);
}

/* A thread that moved from CPU to CPU and back: its records come in long runs, a run a ring, the older ones last. */
static void immediates_in_runs(void **state)
{
	enum { RUN = 300 };
	struct ingest *in = fresh(0);
	u64 n;

	for (n = 2 * RUN; n < 3 * RUN; n++)
		immediate(in, ~0ULL, 0, n, 1000 + n);
	for (n = 0; n < RUN; n++)
		immediate(in, ~0ULL, 0, n, 1000 + n);
	for (n = RUN; n < 2 * RUN; n++)
		immediate(in, ~0ULL, 0, n, 1000 + n);
	ingest__finish(in);
	assert_int_equal(all_cnt, 3 * RUN + 1);
	assert_int_equal(all_back, 0);
	for (n = 0; n + 1 < got_cnt; n++) {
		assert_int_equal(got[n + 1].value, n);
		assert_int_equal(got[n + 1].r.time_ns, 1000 + n);
	}
	ingest__free(in);
}

/* The same with batches, from three rings: none may be taken for lost. */
static void batches_in_runs(void **state)
{
	enum { RUN = 150 };
	static struct sim_page page[3 * RUN];
	static const u32 order[] = { 2, 1, 0 };
	struct ingest *in = fresh(64 << 20);
	struct ingest_stats st;

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 105, 106, 0);
	for (u32 i = 0; i < 3 * RUN; i++) {
		sim__event(&s, i, 2000 + 10 * i);
		page[i] = s;
		sim__end(&s, 2001 + 10 * i);
		page[i] = s;
		sim__reset(&s, 2002 + 10 * i);
	}
	for (u32 r = 0; r < 3; r++)
		for (u32 i = 0; i < RUN; i++)
			push(in, &page[order[r] * RUN + i], WIRE_WHY_FLUSH, 105, 106, 2001 + 10 * (order[r] * RUN + i));
	ingest__finish(in);
	ingest__stats(in, &st);
	assert_int_equal(st.emitted, 3 * RUN);
	assert_int_equal(st.received, 3 * RUN);
	assert_int_equal(all_back, 0);
	ingest__free(in);
}

static void a_thread_without_page_has_a_stand_in(void **state)
{
	struct ingest *in = fresh(0);

	immediate(in, ~0ULL, 0, 1, 2000);
	immediate(in, ~0ULL, 0, 2, 1000);
	ingest__finish(in);
	kinds_are("Pvv");
	assert_int_equal(got[1].value, 2);
	assert_int_equal(got[2].page.tid, 106);
	assert_int_equal(got[2].page.ns_tid, 6);
	assert_int_equal(got[2].r.site_addr, 0x4800);
	ingest__free(in);
}

static void an_end_comes_behind_the_records(void **state)
{
	struct ingest *in = fresh(1); /* no memory: everything is passed on as it comes */

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	life(in, WIRE_EXIT, 1, 5, 6, 1100); /* its ring is drained first */
	sim__event(&s, 1, 1010);
	push(in, &s, WIRE_WHY_EXIT, 5, 6, 1090);
	life(in, WIRE_FORK, 1, 5, 7, 1200);
	kinds_are("P[]vF");
	ingest__advance(in, 1150, 1300);
	ingest__advance(in, 1150, 400 * MS);
	kinds_are("P[]vFE");
	ingest__free(in);
}

static void errors_of_the_callback_come_back(void **state)
{
	struct ingest *in = fresh(0);

	sim__init(&s, 1000, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	sim__event(&s, 1, 1010);
	sim__event(&s, 2, 1020);
	push(in, &s, WIRE_WHY_EXIT, 5, 6, 1090);
	rec_returns = -ENOSPC;
	assert_int_equal(ingest__advance(in, 2000, 400 * MS), -ENOSPC);
	rec_returns = 0;
	assert_int_equal(ingest__finish(in), 0);
	demand_balance(in);
	ingest__free(in);
}

/* In the midst of what one call passes on, but not between two records of one time. */
static void a_turn_is_between_two_times(void **state)
{
	static struct sim_page other;
	struct ingest *in = fresh(0);
	u32 i;

	sim__init(&s, 1000, 5, 6, 0);
	sim__init(&other, 1001, 5, 7, 0);
	announce(in, &s, 5, 6, 0);
	announce(in, &other, 5, 7, 0);
	for (i = 0; i < 3; i++) {
		sim__event(&s, i, 1010 + 10 * i);
		sim__event(&other, i, 1010 + 10 * i);
	}
	push(in, &s, WIRE_WHY_EXIT, 5, 6, 1090);
	push(in, &other, WIRE_WHY_EXIT, 5, 7, 1090);
	rec_returns = INGEST_TURN; /* what is said of a page is no record: no turn there */
	assert_int_equal(ingest__advance(in, 2000, 400 * MS), 0);
	kinds_are("PP[]v[]vvvvv");
	assert_int_equal(turns, 1);
	assert_int_equal(turn_behind[0], 8);
	assert_int_equal(turn_ns, got[4].r.time_ns);
	assert_int_equal(turn_ns, got[7].r.time_ns);
	assert_true(got[8].r.time_ns > turn_ns);
	assert_true(ingest__passed_ns(in) > got[11].r.time_ns);
	demand_balance(in);
	ingest__free(in);
}

/* What does not fit into memory is passed on by a push: a turn is taken there as well. */
static void a_push_turns_as_well(void **state)
{
	struct ingest *in = fresh(10000);
	struct ingest_stats st;
	u64 now = 1000 * MS, value = 0;

	sim__init(&s, now, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	rec_returns = INGEST_TURN;
	while (!turns) {
		assert_true(value < 10000);
		while (sim__event(&s, value, now += 10))
			value++;
		push(in, &s, WIRE_WHY_FLUSH, 5, 6, now);
		sim__reset(&s, now);
	}
	assert_int_equal(turn_behind[0], 4); /* the page, what is open on it, and one record */
	assert_int_equal(ingest__finish(in), 0);
	ingest__stats(in, &st);
	assert_int_equal(st.received, value);
	assert_int_equal(turns, 1);
	ingest__free(in);
}

/* --- many ---------------------------------------------------------------------------------------------- */

#define MANY 10000

static void ten_thousand_pages(void **state)
{
	struct ingest *in = fresh(256 << 20);
	struct ingest_stats st;
	u64 now = 1000 * MS;
	u32 i, k;

	for (i = 0; i < MANY; i++) {
		sim__init(&s, now + i, 5, 6 + i, 0);
		announce(in, &s, 5, 6 + i, 0);
		for (k = 0; k < 10; k++) /* all at the same times, in turn */
			sim__event(&s, k, now + MS + k * MANY + (i * 7919) % MANY);
		push(in, &s, WIRE_WHY_EXIT, 5, 6 + i, now + 50 * MS);
		life(in, WIRE_EXIT, i & 1, 5, 6 + i, now + 60 * MS);
	}
	ingest__stats(in, &st);
	assert_int_equal(st.pages, MANY);
	ingest__advance(in, now + 400 * MS, now + 400 * MS);
	ingest__stats(in, &st);
	assert_int_equal(st.received, 10 * MANY);
	assert_int_equal(st.late + st.early, 0);
	assert_int_equal(all_back, 0);
	assert_int_equal(st.pages, 0);
	assert_int_equal(st.held_bytes, 0);
	ingest__free(in);
}

static void memory_is_bounded(void **state)
{
	struct ingest *in = fresh(100000);
	struct ingest_stats st;
	u64 now = 1000 * MS, value = 0;
	u32 i;

	sim__init(&s, now, 5, 6, 0);
	announce(in, &s, 5, 6, 0);
	for (i = 0; i < 300; i++) {
		while (sim__event(&s, value, now += 10))
			value++;
		push(in, &s, WIRE_WHY_FLUSH, 5, 6, now);
		sim__reset(&s, now);
		ingest__stats(in, &st);
		assert_true(st.held_bytes <= 100000 + 8192);
	}
	assert_true(st.early > 0);
	ingest__finish(in);
	ingest__stats(in, &st);
	assert_int_equal(st.received, value);
	assert_int_equal(all_back, 0);
	ingest__free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_back_then_passed),
		cmocka_unit_test(vfork_child_flushes_for_its_parent),
		cmocka_unit_test(adopted_pages_tell_what_is_open),
		cmocka_unit_test(a_gap_is_told_with_its_cause),
		cmocka_unit_test(the_last_loss_is_known_by_the_mark),
		cmocka_unit_test(what_does_not_decode_is_lost),
		cmocka_unit_test(without_its_module_all_is_lost),
		cmocka_unit_test(a_ref_may_name_another_module),
		cmocka_unit_test(immediates_stand_at_their_place),
		cmocka_unit_test(immediates_in_runs),
		cmocka_unit_test(batches_in_runs),
		cmocka_unit_test(a_thread_without_page_has_a_stand_in),
		cmocka_unit_test(an_end_comes_behind_the_records),
		cmocka_unit_test(errors_of_the_callback_come_back),
		cmocka_unit_test(a_turn_is_between_two_times),
		cmocka_unit_test(a_push_turns_as_well),
		cmocka_unit_test(ten_thousand_pages),
		cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
