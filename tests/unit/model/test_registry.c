/* SPDX-License-Identifier: MIT */
/* test_registry.c - counts, close order, parents, broken streams, the bound on spans (semantics.md
 * 2, 11). */
#include "model_fixture.h"

static void start(struct fix *f)
{
	*f = (struct fix){.rec.quiet = true};
	fix__start(f, NULL, 0);
}

static void counts_and_close_order(void **state)
{
	struct wire_ref p = fix__ref(1, 10, 0), c = fix__ref(2, 20, 1);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, p, 0, WIRE_PARENT_ROOT, fix_none);
	fix__open(&f, 0, 20, c, 1, WIRE_PARENT_EXPLICIT, p);
	fix__op(&f, WIRE_R_CLONE, 0, 30, 0, p);
	fix__op(&f, WIRE_R_DROP, 0, 40, 0, p);
	fix__expect(&f, "open 1 a parent 0 root at 10 by T1 {n=10}\n"
			"open 2 b parent 1 explicit at 20 by T1 {n=20}\n");
	fix__op(&f, WIRE_R_DROP, 0, 50, 0, p);
	fix__expect(&f, ""); /* the child keeps it alive */
	assert_int_equal(fix__stats(&f).late_child, 1);
	fix__op(&f, WIRE_R_DROP, 0, 60, 0, c);
	fix__expect(&f, "close 2 at 60\nclose 1 at 60 dropped 50\n");
	assert_int_equal(fix__stats(&f).stored, 6);
	assert_int_equal(fix__stats(&f).spans_open, 0);
	fix__stop(&f);
}

static void chain_of_three(void **state)
{
	struct wire_ref r[3] = {fix__ref(1, 1, 0), fix__ref(2, 2, 1), fix__ref(3, 3, 2)};
	struct fix f;

	start(&f);
	fix__open(&f, 0, 1, r[0], 0, WIRE_PARENT_ROOT, fix_none);
	fix__open(&f, 0, 2, r[1], 1, WIRE_PARENT_EXPLICIT, r[0]);
	fix__open(&f, 0, 3, r[2], 2, WIRE_PARENT_EXPLICIT, r[1]);
	fix__op(&f, WIRE_R_DROP, 0, 4, 0, r[0]);
	fix__op(&f, WIRE_R_DROP, 0, 5, 0, r[1]);
	recording__clear(&f.rec);
	fix__op(&f, WIRE_R_DROP, 0, 6, 0, r[2]);
	fix__expect(&f, "close 3 at 6\nclose 2 at 6 dropped 5\nclose 1 at 6 dropped 4\n");
	fix__stop(&f);
}

static void id_used_again(void **state)
{
	struct wire_ref x = fix__ref(7, 10, 0), y = fix__ref(7, 30, 1);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, x, 0, WIRE_PARENT_ROOT, fix_none);
	fix__op(&f, WIRE_R_DROP, 0, 20, 0, x);
	fix__open(&f, 0, 30, y, 1, WIRE_PARENT_ROOT, fix_none);
	fix__value(&f, 0, 40, 0, y, 1, 5);
	fix__op(&f, WIRE_R_DROP, 0, 50, 0, y);
	fix__expect(&f, "open 1 a parent 0 root at 10 by T1 {n=10}\nclose 1 at 20\n"
			"open 2 b parent 0 root at 30 by T1 {n=30}\nvalue 2 late=5 T1 at 40\nclose "
			"2 at 50\n");
	assert_int_equal(fix__stats(&f).lost_close, 0);
	fix__stop(&f);
}

/* The old span's drop comes only after the new opening: it must not close the new one, nor its
 * value reach it. */
static void id_used_again_swapped(void **state)
{
	struct wire_ref x = fix__ref(7, 10, 0), y = fix__ref(7, 30, 1);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, x, 0, WIRE_PARENT_ROOT, fix_none);
	fix__open(&f, 1, 30, y, 1, WIRE_PARENT_ROOT, fix_none);
	fix__value(&f, 0, 31, 0, x, 1, 5);
	fix__op(&f, WIRE_R_DROP, 0, 31, 0, x);
	fix__op(&f, WIRE_R_DROP, 1, 50, 0, y);
	fix__expect(&f, "open 1 a parent 0 root at 10 by T1 {n=10}\nclose 1 at 30 reopened\n"
			"open 2 b parent 0 root at 30 by T2 {n=30}\nclose 2 at 50\n");
	assert_int_equal(fix__stats(&f).lost_close, 1);
	assert_int_equal(fix__stats(&f).bad_value, 1);
	assert_int_equal(fix__stats(&f).unmatched_close, 1);
	assert_int_equal(fix__stats(&f).lost[LOSS_UNMATCHED], 2);
	assert_int_equal(fix__stats(&f).stored, 3);
	fix__stop(&f);
}

static void parents_of_spans_and_events(void **state)
{
	struct wire_ref a = fix__ref(1, 1, 0), b = fix__ref(2, 3, 1), none = fix_none;
	struct fix f;

	start(&f);
	fix__open(&f, 0, 1, a, 0, WIRE_PARENT_CURRENT, none);
	fix__begin(&f, 1, 2, 0, 2);
	recording__clear(&f.rec);
	fix__open(&f, 1, 3, b, 1, WIRE_PARENT_EXPLICIT, a);
	fix__open(&f, 1, 4, fix__ref(3, 4, 3), 3, WIRE_PARENT_ROOT, none);
	fix__open(&f, 1, 5, fix__ref(4, 5, 4), 4, WIRE_PARENT_CURRENT, none);
	fix__event(&f, 1, 6, WIRE_PARENT_CURRENT, none);
	fix__event(&f, 1, 7, WIRE_PARENT_ROOT, none);
	fix__event(&f, 1, 8, WIRE_PARENT_EXPLICIT, b);
	fix__event(&f, 0, 9, WIRE_PARENT_CURRENT, none);
	fix__expect(&f, "open 3 b parent 1 explicit at 3 by T2 {n=3}\nopen 4 d parent 0 root at 4 "
			"by T2 {n=4}\n"
			"open 5 e parent 2 at 5 by T2 {n=5}\n"
			"event ev parent 2 at 6 by T2 {n=6}\nevent ev parent 0 at 7 by T2 {n=7}\n"
			"event ev parent 3 at 8 by T2 {n=8}\nevent ev parent 0 at 9 by T1 {n=9}\n");
	fix__stop(&f);
}

/* --- semantics.md 2.5, row by row --- */

static void unknown_id(void **state)
{
	struct wire_ref ref = fix__ref(1, 5, 3);
	struct fix f;

	start(&f);
	fix__op(&f, WIRE_R_ENTER, 0, 10, 0, ref);
	fix__op(&f, WIRE_R_EXIT, 0, 20, 0, ref);
	fix__value(&f, 0, 30, 0, fix__ref(2, 0, 4), 1, 9);
	fix__event(&f, 0, 40, WIRE_PARENT_EXPLICIT, fix__ref(3, 35, 5));
	/* flags: 2 before, 1 fields lost */
	fix__expect(&f,
		    "open 1 d parent 0 root at 5 by ? flags 3\nenter 1 T1 at 10\nexit 1 T1 at 20\n"
		    "open 2 e parent 0 root at 30 by ? flags 3\nvalue 2 late=9 T1 at 30\n"
		    "open 3 f parent 0 root at 35 by ? flags 1\nevent ev parent 3 at 40 by T1 "
		    "{n=40}\n");
	assert_int_equal(fix__stats(&f).before_attach, 3);
	assert_int_equal(fix__stats(&f).stored, 4);
	fix__stop(&f);
}

static void unknown_id_and_module(void **state)
{
	struct wire_ref ref = {.id = 1, .module = 0x1234, .open_ns = 5, .callsite = 7};
	struct fix f;

	start(&f);
	fix__op(&f, WIRE_R_EXIT, 0, 10, 0, ref);
	/* flags: 4 placeholder, 2 before. The exit has no entry. */
	fix__expect(&f, "open 1 (opened before recording) parent 0 root at 5 by ? flags 6\n");
	assert_int_equal(fix__stats(&f).unmatched_exit, 1);
	assert_int_equal(fix__stats(&f).lost[LOSS_UNMATCHED], 1);
	fix__stop(&f);
}

static void open_of_live_id(void **state)
{
	struct wire_ref ref = fix__ref(1, 0, 0);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, ref, 0, WIRE_PARENT_ROOT, fix_none);
	fix__op(&f, WIRE_R_ENTER, 0, 11, 0, ref);
	fix__open(&f, 0, 20, ref, 1, WIRE_PARENT_ROOT, fix_none);
	fix__expect(&f, "open 1 a parent 0 root at 10 by T1 {n=10}\nenter 1 T1 at 11\n"
			"exit 1 T1 at 20 reopened\nclose 1 at 20 reopened\n"
			"open 2 b parent 0 root at 20 by T1 {n=20}\n");
	assert_int_equal(fix__stats(&f).lost_close, 1);
	fix__stop(&f);
}

static void close_of_unknown_id(void **state)
{
	struct fix f;

	start(&f);
	fix__op(&f, WIRE_R_DROP, 0, 10, 0, fix__ref(1, 0, 0));
	fix__end(&f, 0, 20, 3);
	fix__expect(&f, "");
	assert_int_equal(fix__stats(&f).unmatched_close, 2);
	assert_int_equal(fix__stats(&f).lost[LOSS_UNMATCHED], 2);
	assert_int_equal(model__cut(f.m, 30), 0);
	fix__expect(&f, "loss unmatched 2\n");
	fix__stop(&f);
}

static void dropped_while_entered(void **state)
{
	struct wire_ref ref = fix__ref(1, 10, 0);
	struct wire_life l = {.status = 0};
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, ref, 0, WIRE_PARENT_ROOT, fix_none);
	fix__op(&f, WIRE_R_ENTER, 1, 20, 0, ref);
	fix__op(&f, WIRE_R_DROP, 0, 30, 0, ref);
	recording__clear(&f.rec);
	fix__life(&f, REC_EXIT, FIX_PID, FIX_PID + 1, 40, &l);
	fix__expect(&f, "exit 1 T2 at 40 thread_end\nclose 1 at 40 dropped 30 thread_end\n");
	assert_int_equal(fix__stats(&f).lost_exit, 1);
	fix__stop(&f);
}

static void dropped_while_entered_then_left(void **state)
{
	struct wire_ref ref = fix__ref(1, 10, 0);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, ref, 0, WIRE_PARENT_ROOT, fix_none);
	fix__op(&f, WIRE_R_ENTER, 0, 20, 0, ref);
	fix__op(&f, WIRE_R_DROP, 0, 30, 0, ref);
	recording__clear(&f.rec);
	fix__op(&f, WIRE_R_EXIT, 0, 40, 0, ref);
	fix__expect(&f, "exit 1 T1 at 40\nclose 1 at 40 dropped 30\n");
	assert_int_equal(fix__stats(&f).lost_exit, 0);
	assert_int_equal(fix__stats(&f).stored, 4);
	fix__stop(&f);
}

static void exit_on_another_thread(void **state)
{
	struct wire_ref ref = fix__ref(1, 10, 0);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, ref, 0, WIRE_PARENT_ROOT, fix_none);
	fix__op(&f, WIRE_R_ENTER, 0, 20, 0, ref);
	recording__clear(&f.rec);
	fix__op(&f, WIRE_R_EXIT, 1, 30, 0, ref);
	fix__expect(&f, "exit 1 T1 at 30 elsewhere\n");
	assert_int_equal(fix__stats(&f).unmatched_exit, 1);
	assert_int_equal(fix__stats(&f).stored, 3);
	/* with two entries elsewhere nobody knows which is meant */
	fix__op(&f, WIRE_R_ENTER, 0, 40, 0, ref);
	fix__op(&f, WIRE_R_ENTER, 2, 41, 0, ref);
	recording__clear(&f.rec);
	fix__op(&f, WIRE_R_EXIT, 1, 50, 0, ref);
	fix__expect(&f, "");
	assert_int_equal(fix__stats(&f).unmatched_exit, 2);
	assert_int_equal(fix__stats(&f).lost[LOSS_UNMATCHED], 1);
	fix__stop(&f);
}

static void explicit_parent_unknown_or_closed(void **state)
{
	struct wire_ref gone = fix__ref(1, 10, 0);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, gone, 0, WIRE_PARENT_ROOT, fix_none);
	fix__op(&f, WIRE_R_DROP, 0, 20, 0, gone);
	recording__clear(&f.rec);
	fix__open(&f, 0, 30, fix__ref(2, 30, 1), 1, WIRE_PARENT_EXPLICIT, gone);
	fix__open(&f, 0, 40, fix__ref(3, 40, 1), 1, WIRE_PARENT_EXPLICIT, fix__ref(99, 35, 0));
	fix__event(&f, 0, 50, WIRE_PARENT_EXPLICIT, gone);
	fix__expect(&f, "open 2 b parent 0 explicit lost 1 at 30 by T1 {n=30}\n"
			"open 3 b parent 0 explicit lost 99 at 40 by T1 {n=40}\nevent ev parent 0 "
			"at 50 by T1 {n=50}\n");
	assert_int_equal(fix__stats(&f).lost_parent, 3);
	fix__stop(&f);
}

static void bad_values(void **state)
{
	struct wire_ref ref = fix__ref(1, 10, 0);
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, ref, 0, WIRE_PARENT_ROOT, fix_none);
	fix__value(&f, 0, 20, 0, ref, 2, 1); /* there are two fields */
	fix__op(&f, WIRE_R_DROP, 0, 30, 0, ref);
	recording__clear(&f.rec);
	fix__value(&f, 0, 40, 0, ref, 1, 1);	  /* closed */
	fix__value(&f, 0, 50, 4, fix_none, 1, 1); /* no scoped span there */
	fix__expect(&f, "");
	assert_int_equal(fix__stats(&f).bad_value, 3);
	assert_int_equal(fix__stats(&f).lost[LOSS_UNMATCHED], 3);
	fix__stop(&f);
}

static void process_ends(void **state)
{
	struct wire_ref ref = fix__ref(1, 10, 0);
	struct wire_life l = {.status = 9, .flags = WIRE_LIFE_PROCESS};
	struct fix f = {.rec.quiet = false};

	fix__start(&f, NULL, 0);
	fix__open(&f, 0, 10, ref, 0, WIRE_PARENT_ROOT, fix_none);
	fix__begin(&f, 0, 20, 0, 1);
	fix__op(&f, WIRE_R_ENTER, 0, 30, 1, ref);
	fix__begin(&f, 1, 35, 0, 2);
	recording__clear(&f.rec);
	fix__life(&f, REC_EXIT, FIX_PID, FIX_PID, 40, &l);
	fix__expect(&f, "exit 3 T2 at 40 process_end\nclose 3 at 40 process_end\n"
			"exit 1 T1 at 40 process_end\nclose 1 at 40 process_end\n"
			"exit 2 T1 at 40 process_end\nclose 2 at 40 process_end\n"
			"thread_end 2 at 40\nthread_end 1 at 40\nprocess_end 1 at 40 status 9\n");
	assert_int_equal(fix__stats(&f).unfinished, 3);
	assert_int_equal(fix__stats(&f).spans_open, 0);
	fix__stop(&f);
}

/* --- the bound --- */

static void spans_are_bounded(void **state)
{
	struct fix f = {.rec.quiet = true, .opts.max_spans = 2};
	struct wire_ref refused = fix__ref(1, 30, 2);
	struct model_stats st;

	fix__start(&f, NULL, 0);
	fix__begin(&f, 0, 10, 0, 0);
	fix__begin(&f, 0, 20, 1, 1);
	fix__open(&f, 0, 30, refused, 2, WIRE_PARENT_ROOT, fix_none);
	fix__begin(&f, 0, 40, 2, 3);
	fix__event(&f, 0, 50, WIRE_PARENT_CURRENT, fix_none); /* its nearest recorded ancestor */
	fix__event(&f, 0, 51, WIRE_PARENT_EXPLICIT, refused);
	fix__value(&f, 0, 52, 2, fix_none, 1, 7);
	fix__end(&f, 0, 60, 2);
	fix__op(&f, WIRE_R_ENTER, 0, 61, 2, refused);
	fix__event(&f, 0, 62, WIRE_PARENT_CURRENT, fix_none); /* under a refused root span: none */
	fix__op(&f, WIRE_R_EXIT, 0, 63, 2, refused);
	fix__end(&f, 0, 70, 1);
	fix__open(&f, 0, 71, fix__ref(2, 71, 4), 4, WIRE_PARENT_EXPLICIT, refused);
	fix__op(&f, WIRE_R_DROP, 0, 80, 0, refused);
	fix__expect(&f,
		    "open 1 a parent 0 at 10 by T1 {n=10}\nenter 1 T1 at 10\n"
		    "open 2 b parent 1 at 20 by T1 {n=20}\nenter 2 T1 at 20\n"
		    "event ev parent 2 at 50 by T1 {n=50}\nevent ev parent 0 at 51 by T1 {n=51}\n"
		    "event ev parent 0 at 62 by T1 {n=62}\nexit 2 T1 at 70\nclose 2 at 70\n"
		    "open 3 e parent 0 explicit at 71 by T1 {n=71}\n");
	st = fix__stats(&f);
	assert_int_equal(st.lost[LOSS_SPANS], 7);
	assert_int_equal(st.stored, 7);
	assert_int_equal(st.spans_peak, 2);
	model__cut(f.m, 90);
	fix__expect(
		&f,
		"exit 1 T1 at 90 cut\nclose 1 at 90 cut\nclose 3 at 90 cut\nloss max_spans 7\n");
	fix__stop(&f);
}

/* Beyond what can even be remembered as refused. */
static void refused_are_bounded_too(void **state)
{
	struct fix f = {.rec.quiet = true, .opts.max_spans = 1};
	u32 i;

	fix__start(&f, NULL, 0);
	for (i = 0; i < 50; i++)
		fix__begin(&f, 0, 10 + i, (u16)i, 0);
	for (i = 50; i-- > 0;)
		fix__end(&f, 0, 200 - i, (u16)i);
	for (i = 0; i < 50; i++)
		fix__open(&f, 0, 300 + i, fix__ref(1 + i, 300 + i, 0), 0, WIRE_PARENT_ROOT,
			  fix_none);
	fix__expect(&f, "open 1 a parent 0 at 10 by T1 {n=10}\nenter 1 T1 at 10\nexit 1 T1 at "
			"200\nclose 1 at 200\n"
			"open 2 a parent 0 root at 300 by T1 {n=300}\n");
	assert_int_equal(fix__stats(&f).lost[LOSS_SPANS], 98 + 49);
	assert_int_equal(fix__stats(&f).stored, 3);
	fix__stop(&f);
}

static void sink_errors_are_counted_once(void **state)
{
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 0);
	f.rec.fail = -28;
	fix__begin(&f, 0, 20, 1, 0);
	f.rec.fail = 0;
	fix__end(&f, 0, 30, 1);
	assert_int_equal(fix__stats(&f).lost[LOSS_WRITE], 1);
	assert_int_equal(fix__stats(&f).stored, 2);
	fix__stop(&f);
}

static void follows(void **state)
{
	struct wire_ref a = fix__ref(1, 10, 0), b = fix__ref(2, 20, 1);
	struct rec r;
	struct fix f;

	start(&f);
	fix__open(&f, 0, 10, a, 0, WIRE_PARENT_ROOT, fix_none);
	fix__open(&f, 0, 20, b, 1, WIRE_PARENT_ROOT, fix_none);
	fix__begin(&f, 0, 30, 0, 2);
	recording__clear(&f.rec);
	r = fix__rec(&f, WIRE_R_FOLLOWS, 0, 40, 0);
	r.ref = a;
	r.other = b;
	fix__send(&f, &r);
	fix__op(&f, WIRE_R_DROP, 0, 41, 0, b);
	r.time_ns = 50;
	r.ref = fix_none; /* the scoped span; what it follows has been closed */
	fix__send(&f, &r);
	fix__expect(&f, "follows 1 2 T1 at 40\nclose 2 at 41\nfollows 3 2 T1 at 50\n");
	fix__stop(&f);
}

static void scoped_span_with_a_number(void **state)
{
	struct rec r;
	struct fix f;

	start(&f);
	fix__begin(&f, 0, 10, 0, 0);
	r = fix__rec(&f, WIRE_R_NUMBER, 0, 20, 0);
	r.numbered = 5;
	fix__send(&f, &r);
	fix__open(&f, 1, 30, fix__ref(6, 30, 1), 1, WIRE_PARENT_EXPLICIT, fix__ref(5, 12345, 0));
	fix__op(&f, WIRE_R_CLONE, 0, 35, 0, fix__ref(5, 11, 0));
	fix__end(&f, 0, 40, 0);
	fix__op(&f, WIRE_R_DROP, 1, 50, 0, fix__ref(6, 30, 1));
	fix__op(&f, WIRE_R_DROP, 1, 60, 0, fix__ref(5, 11, 0));
	fix__expect(&f, "open 1 a parent 0 at 10 by T1 {n=10}\nenter 1 T1 at 10\n"
			"open 2 b parent 1 explicit at 30 by T2 {n=30}\nexit 1 T1 at 40\n"
			"close 2 at 50\nclose 1 at 60\n");
	fix__stop(&f);
}

/* Entered by its number, its opening being lost; then a preamble tells the opening: nothing of it may end before it was. */
static void opened_after_all(void **state)
{
	struct fix f = {.rec.quiet = true};
	struct wire_ref ref = fix__ref(7, 50, 0);

	(void)state;
	fix__start(&f, NULL, 0);
	fix__op(&f, WIRE_R_ENTER, 0, 100, 0, ref);
	recording__clear(&f.rec);
	fix__open(&f, 1, 51, ref, 0, WIRE_PARENT_ROOT, fix_none);
	assert_non_null(strstr(f.rec.text, "exit 1 T1 at 100"));
	assert_non_null(strstr(f.rec.text, "close 1 at 100"));
	fix__stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opened_after_all),
		cmocka_unit_test(counts_and_close_order),
		cmocka_unit_test(chain_of_three),
		cmocka_unit_test(id_used_again),
		cmocka_unit_test(id_used_again_swapped),
		cmocka_unit_test(parents_of_spans_and_events),
		cmocka_unit_test(unknown_id),
		cmocka_unit_test(unknown_id_and_module),
		cmocka_unit_test(open_of_live_id),
		cmocka_unit_test(close_of_unknown_id),
		cmocka_unit_test(dropped_while_entered),
		cmocka_unit_test(dropped_while_entered_then_left),
		cmocka_unit_test(exit_on_another_thread),
		cmocka_unit_test(explicit_parent_unknown_or_closed),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(process_ends),
		cmocka_unit_test(spans_are_bounded),
		cmocka_unit_test(refused_are_bounded_too),
		cmocka_unit_test(sink_errors_are_counted_once),
		cmocka_unit_test(follows),
		cmocka_unit_test(scoped_span_with_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
