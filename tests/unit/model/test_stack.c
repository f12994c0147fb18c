/* SPDX-License-Identifier: MIT */
/* test_stack.c - what is entered on a thread: semantics.md 3 step by step, the depth rule, resync
 * after gaps. */
#include "model_fixture.h"

static struct wire_ref ref_a, ref_b, ref_c;

static void start(struct fix *f)
{
	*f = (struct fix){.rec.quiet = true};
	fix__start(f, NULL, 0);
	ref_a = fix__ref(1, 1, 0);
	ref_b = fix__ref(2, 2, 1);
	ref_c = fix__ref(3, 3, 2);
	fix__open(f, 0, 1, ref_a, 0, WIRE_PARENT_ROOT, fix_none);
	fix__open(f, 0, 2, ref_b, 1, WIRE_PARENT_ROOT, fix_none);
	fix__open(f, 0, 3, ref_c, 2, WIRE_PARENT_ROOT, fix_none);
	recording__clear(&f->rec);
}

/* The current span, as an event sees it: the span numbers are 1, 2, 3 for A, B, C. */
static void expect_current(struct fix *f, u32 thread, u64 ns, u64 span)
{
	char want[128];

	recording__clear(&f->rec);
	fix__event(f, thread, ns, WIRE_PARENT_CURRENT, fix_none);
	snprintf(want, sizeof(want),
		 "event ev parent %" PRIu64 " at %" PRIu64 " by T%u {n=%" PRIu64 "}\n", span, ns,
		 thread + 1, ns);
	fix__expect(f, want);
}

static void entered_twice(void **state)
{
	struct fix f;

	start(&f);
	fix__op(&f, WIRE_R_ENTER, 0, 10, 0, ref_a);
	expect_current(&f, 0, 11, 1);
	fix__op(&f, WIRE_R_ENTER, 0, 20, 1, ref_b);
	expect_current(&f, 0, 21, 2);
	fix__op(&f, WIRE_R_ENTER, 0, 30, 2, ref_a);
	expect_current(&f, 0, 31, 2); /* not A: its second entry is a duplicate */
	fix__open(&f, 0, 32, fix__ref(9, 32, 3), 3, WIRE_PARENT_CURRENT, fix_none);
	fix__expect(&f, "open 4 d parent 2 at 32 by T1 {n=32}\n");
	fix__op(&f, WIRE_R_EXIT, 0, 40, 2, ref_a);
	fix__expect(&f, "exit 1 T1 at 40\n");
	expect_current(&f, 0, 41, 2);
	fix__op(&f, WIRE_R_EXIT, 0, 50, 0, ref_a);
	expect_current(&f, 0, 51, 2);
	fix__op(&f, WIRE_R_EXIT, 0, 60, 1, ref_b);
	expect_current(&f, 0, 61, 0);
	fix__op(&f, WIRE_R_EXIT, 0, 70, 1, ref_b);
	fix__expect(&f, "");
	assert_int_equal(fix__stats(&f).unmatched_exit, 1);
	assert_int_equal(fix__stats(&f).entries, 3);
	fix__stop(&f);
}

static void left_out_of_order(void **state)
{
	struct fix f;

	start(&f);
	fix__op(&f, WIRE_R_ENTER, 0, 10, 0, ref_a);
	fix__op(&f, WIRE_R_ENTER, 0, 20, 1, ref_b);
	fix__op(&f, WIRE_R_ENTER, 0, 30, 2, ref_c);
	expect_current(&f, 0, 31, 3);
	fix__op(&f, WIRE_R_EXIT, 0, 40, 1, ref_b);
	fix__expect(&f, "exit 2 T1 at 40\n");
	expect_current(&f, 0, 41, 3);
	fix__op(&f, WIRE_R_EXIT, 0, 50, 0, ref_a);
	expect_current(&f, 0, 51, 3);
	fix__op(&f, WIRE_R_EXIT, 0, 60, 2, ref_c);
	expect_current(&f, 0, 61, 0);
	fix__op(&f, WIRE_R_EXIT, 0, 70, 2, ref_c);
	assert_int_equal(fix__stats(&f).unmatched_exit, 1);
	fix__stop(&f);
}

/* An entry keeps the span alive: with all handles dropped it closes when the second of two entries
 * is left. */
static void entries_count(void **state)
{
	struct fix f;

	start(&f);
	fix__op(&f, WIRE_R_ENTER, 0, 10, 0, ref_a);
	fix__op(&f, WIRE_R_ENTER, 0, 11, 1, ref_a);
	fix__op(&f, WIRE_R_ENTER, 1, 12, 0, ref_a);
	fix__op(&f, WIRE_R_DROP, 0, 13, 0, ref_a);
	fix__op(&f, WIRE_R_EXIT, 0, 14, 1, ref_a);
	fix__op(&f, WIRE_R_EXIT, 0, 15, 0, ref_a);
	recording__clear(&f.rec);
	fix__op(&f, WIRE_R_EXIT, 1, 16, 0, ref_a);
	fix__expect(&f, "exit 1 T2 at 16\nclose 1 at 16 dropped 13\n");
	fix__stop(&f);
}

/* --- the depth rule --- */

static void end_abandons_what_is_above(void **state)
{
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 3);
	fix__begin(&f, 0, 20, 1, 4);
	fix__op(&f, WIRE_R_ENTER, 0, 30, 2, ref_a);
	fix__begin(&f, 0, 40, 3, 5);
	recording__clear(&f.rec);
	fix__end(&f, 0, 50, 0); /* longjmp over three */
	fix__expect(
		&f,
		"exit 6 T1 at 50 abandoned\nclose 6 at 50 abandoned\nexit 1 T1 at 50 abandoned\n"
		"exit 5 T1 at 50 abandoned\nclose 5 at 50 abandoned\nexit 4 T1 at 50\nclose 4 at "
		"50\n");
	expect_current(&f, 0, 60, 0);
	assert_int_equal(fix__stats(&f).unmatched_close, 0);
	fix__stop(&f);
}

static void begin_abandons_at_its_depth(void **state)
{
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 3);
	fix__begin(&f, 0, 20, 1, 4);
	fix__begin(&f, 0, 30, 2, 5);
	recording__clear(&f.rec);
	fix__begin(&f, 0, 40, 1, 6);
	fix__expect(
		&f,
		"exit 6 T1 at 40 abandoned\nclose 6 at 40 abandoned\nexit 5 T1 at 40 abandoned\n"
		"close 5 at 40 abandoned\nopen 7 g parent 4 at 40 by T1 {n=40}\nenter 7 T1 at "
		"40\n");
	fix__end(&f, 0, 50, 1);
	fix__end(&f, 0, 60, 0);
	assert_int_equal(fix__stats(&f).spans_open, 3);
	assert_int_equal(fix__stats(&f).unmatched_close, 0);
	fix__stop(&f);
}

/* Two modules on one thread: each counts depths for itself. */
static void two_pages(void **state)
{
	struct fix f;

	start(&f);
	f.page[5].tid = FIX_PID; /* a second page of thread 0 */
	fix__begin(&f, 0, 10, 0, 3);
	fix__begin(&f, 5, 20, 0, 4);
	fix__begin(&f, 0, 30, 1, 5);
	fix__end(&f, 0, 40, 1);
	fix__end(&f, 5, 50, 0);
	fix__begin(&f, 5, 60, 0, 6); /* left by a longjmp into the first module */
	fix__begin(&f, 5, 70, 1, 7);
	recording__clear(&f.rec);
	fix__end(&f, 0, 80, 0);
	fix__expect(
		&f,
		"exit 8 T1 at 80 abandoned\nclose 8 at 80 abandoned\nexit 7 T1 at 80 abandoned\n"
		"close 7 at 80 abandoned\nexit 4 T1 at 80\nclose 4 at 80\n");
	fix__stop(&f);
}

static void child_outlives_its_scope(void **state)
{
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 3);
	fix__open(&f, 0, 20, fix__ref(9, 20, 4), 4, WIRE_PARENT_CURRENT, fix_none);
	recording__clear(&f.rec);
	fix__end(&f, 0, 30, 0);
	fix__expect(&f, "exit 4 T1 at 30\n");
	fix__op(&f, WIRE_R_DROP, 1, 40, 0, fix__ref(9, 20, 4));
	fix__expect(&f, "close 5 at 40\nclose 4 at 40 dropped 30\n");
	assert_int_equal(fix__stats(&f).late_child, 1);
	fix__stop(&f);
}

/* --- resync --- */

static void note(struct fix *f, u8 kind, u64 ns, bool cut)
{
	struct rec r = fix__rec(f, kind, 0, ns, 0);

	r.pre_flags = cut ? WIRE_PAGE_PRE_CUT : 0;
	fix__send(f, &r);
}

static void pre(struct fix *f, u64 number, u64 open_ns, u16 depth, u32 site, bool fields)
{
	struct rec r = fix__rec(f, REC_PRE, 0, open_ns, depth);
	u64 n = open_ns;

	r.number = number;
	r.pre_kind = WIRE_R_BEGIN;
	r.site_addr = fix__addr(site);
	r.pre_flags = fields ? 0 : WIRE_PRE_NO_FIELDS;
	r.payload = (const u8 *)&n;
	r.payload_bytes = fields ? sizeof(n) : 0;
	fix__send(f, &r);
}

static void pre_enter(struct fix *f, u64 number, u64 ns, u16 depth, struct wire_ref ref)
{
	struct rec r = fix__rec(f, REC_PRE, 0, ns, depth);

	r.number = number;
	r.pre_kind = WIRE_R_ENTER;
	r.ref = ref;
	fix__send(f, &r);
}

/* In the fixture a record's number is its time. */
static void resync_keeps_opens_and_closes(void **state)
{
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 3);
	fix__begin(&f, 0, 20, 1, 4);
	fix__begin(&f, 0, 30, 2, 5);
	recording__clear(&f.rec);
	note(&f, REC_RESYNC, 100, false);
	pre(&f, 10, 10, 0, 3, true); /* known */
	pre(&f, 60, 60, 1, 6, true); /* another one at depth 1 by now */
	pre_enter(&f, 70, 70, 2, ref_a);
	pre(&f, 80, 80, 3, 7, false);
	note(&f, REC_RESYNC_END, 100, false);
	fix__expect(&f, "exit 6 T1 at 60 lost\nclose 6 at 60 lost\nexit 5 T1 at 60 lost\nclose 5 "
			"at 60 lost\n"
			"open 7 g parent 4 at 60 by T1 {n=60}\nenter 7 T1 at 60\nenter 1 T1 at 70\n"
			"open 8 h parent 1 at 80 by T1 flags 1\nenter 8 T1 at 80\n");
	fix__end(&f, 0, 110, 3);
	fix__op(&f, WIRE_R_EXIT, 0, 120, 2, ref_a);
	fix__end(&f, 0, 130, 1);
	fix__end(&f, 0, 140, 0);
	fix__expect(&f, "exit 8 T1 at 110\nclose 8 at 110\nexit 1 T1 at 120\nexit 7 T1 at "
			"130\nclose 7 at 130\n"
			"exit 4 T1 at 140\nclose 4 at 140\n");
	assert_int_equal(fix__stats(&f).lost[LOSS_UNMATCHED], 0);
	fix__stop(&f);
}

static void resync_of_an_empty_stack(void **state)
{
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 3);
	fix__begin(&f, 0, 20, 1, 4);
	recording__clear(&f.rec);
	note(&f, REC_RESYNC, 100, false);
	note(&f, REC_RESYNC_END, 100, false);
	fix__expect(&f, "exit 5 T1 at 100 lost\nclose 5 at 100 lost\nexit 4 T1 at 100 lost\nclose "
			"4 at 100 lost\n");
	fix__stop(&f);
}

/* A preamble that had no room says nothing of what is deeper. */
static void resync_with_a_cut_preamble(void **state)
{
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 3);
	fix__begin(&f, 0, 20, 1, 4);
	fix__begin(&f, 0, 30, 2, 5);
	recording__clear(&f.rec);
	note(&f, REC_RESYNC, 100, false);
	pre(&f, 10, 10, 0, 3, true);
	pre(&f, 20, 20, 1, 4, false);
	note(&f, REC_RESYNC_END, 100, true);
	fix__expect(&f, "");
	fix__end(&f, 0, 110, 2);
	fix__expect(&f, "exit 6 T1 at 110\nclose 6 at 110\n");
	fix__stop(&f);
}

/* The first that is heard of a thread: what is open has been so for a while. */
static void late_attach(void **state)
{
	struct fix f = {.rec.quiet = true};

	fix__start(&f, NULL, 0);
	note(&f, REC_RESYNC, 1000, false);
	pre(&f, 3, 300, 0, 0, true);
	pre(&f, 5, 500, 1, 1, false);
	note(&f, REC_RESYNC_END, 1000, false);
	fix__end(&f, 0, 1100, 1);
	/* flags: 2 before, 1 fields lost; entered when the recording began */
	fix__expect(&f, "open 1 a parent 0 at 300 by T1 flags 2 {n=300}\nenter 1 T1 at 1000\n"
			"open 2 b parent 1 at 500 by T1 flags 3\nenter 2 T1 at 1000\n"
			"exit 2 T1 at 1100\nclose 2 at 1100\n");
	assert_int_equal(fix__stats(&f).before_attach, 2);
	assert_int_equal(fix__stats(&f).stored, 1);
	fix__stop(&f);
}

static void resync_finds_a_number(void **state)
{
	struct rec r;
	struct fix f;

	start(&f);
	note(&f, REC_RESYNC, 100, false);
	r = fix__rec(&f, REC_PRE, 0, 50, 0);
	r.number = 7;
	r.pre_kind = WIRE_R_BEGIN;
	r.site_addr = fix__addr(3);
	r.pre_flags = WIRE_PRE_NO_FIELDS | WIRE_PRE_NUMBERED;
	r.numbered = 77;
	fix__send(&f, &r);
	note(&f, REC_RESYNC_END, 100, false);
	recording__clear(&f.rec);
	fix__value(&f, 1, 110, 0, fix__ref(77, 50, 3), 1, 8);
	fix__expect(&f, "value 4 late=8 T2 at 110\n");
	fix__stop(&f);
}

/* A begin and its end in one call: the same calls to the sink, and nothing stays of it but the times of its parent and thread. */
static void leaf_in_one_call(void **state)
{
	struct fix f = {.rec = {.quiet = true, .whole = true}};
	u64 n = 20;
	struct rec leaf;

	fix__start(&f, NULL, 0);
	f.site[1].field_cnt = 1; /* without the one that is recorded later */
	f.page[1].tid = FIX_PID; /* another page of the same thread */
	fix__begin(&f, 1, 5, 0, 0);
	fix__end(&f, 1, 6, 0);
	fix__begin(&f, 0, 10, 0, 0);
	recording__clear(&f.rec);
	leaf = fix__rec(&f, WIRE_R_BEGIN, 0, 20, 1);
	leaf.site_addr = fix__addr(1);
	leaf.payload = (const u8 *)&n;
	leaf.payload_bytes = sizeof(n);
	assert_false(model__leaf(f.m, &leaf, 30)); /* a callsite not seen yet: the long way */
	fix__expect(&f, "");
	fix__begin(&f, 0, 20, 1, 1);
	fix__end(&f, 0, 30, 1);
	recording__clear(&f.rec);

	leaf.time_ns = 31;
	assert_true(model__leaf(f.m, &leaf, 40));
	fix__expect(&f, "open 4 b parent 2 at 31 by T1 {n=20}\nenter 4 T1 at 31\nexit 4 T1 at 40\nclose 4 at 40\n");
	assert_int_equal(fix__stats(&f).spans_open, 1);
	assert_int_equal(fix__stats(&f).spans_closed, 3);
	assert_int_equal(fix__stats(&f).spans_peak, 2);
	assert_int_equal(fix__stats(&f).stored, 2 + 1 + 2 + 2);
	/* the thread's time does not go back for its other page, nor do the parent's children close after it */
	fix__end(&f, 0, 35, 0);
	fix__expect(&f, "exit 2 T1 at 40\nclose 2 at 40\n");
	fix__stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaf_in_one_call),
		cmocka_unit_test(entered_twice),
		cmocka_unit_test(left_out_of_order),
		cmocka_unit_test(entries_count),
		cmocka_unit_test(end_abandons_what_is_above),
		cmocka_unit_test(begin_abandons_at_its_depth),
		cmocka_unit_test(two_pages),
		cmocka_unit_test(child_outlives_its_scope),
		cmocka_unit_test(resync_keeps_opens_and_closes),
		cmocka_unit_test(resync_of_an_empty_stack),
		cmocka_unit_test(resync_with_a_cut_preamble),
		cmocka_unit_test(late_attach),
		cmocka_unit_test(resync_finds_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
