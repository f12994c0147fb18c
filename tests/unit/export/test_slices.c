/* SPDX-License-Identifier: MIT */
/*
 * test_slices.c - calls in, nested slices out. Spans are called A, B ... (1, 2 ...), threads 1, 2 ...; what the stage tells is
 * written down as `(A 10` begin, `A) 20` end, `~` at the seam of a split, `A* 30` async, `/A 40` close, with the thread in front
 * where it is not 1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "export/slices.h"

static struct callsite site = { .id = 1, .is_span = 1, .name = "s", .target = "t", .module = "", .file = "" };
static struct process process = { .uid = 1, .pid = 1 };
static struct thread thread[9];
static char said[1 << 16];
static size_t said_cnt;
static struct slices *stage;
static struct sink in;

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	said_cnt += vsnprintf(said + said_cnt, sizeof(said) - said_cnt, fmt, ap);
	va_end(ap);
	assert_true(said_cnt < sizeof(said));
}

static void say_thread(const struct slice_thread *t)
{
	if (t && t->thread != &thread[1])
		say("%u:", t->thread->tid);
}

static char letter(u64 span)
{
	return (char)('A' + span - 1);
}

static int on_thread_end(void *ctx, struct slice_thread *t, u64 ns)
{
	say_thread(t);
	say("end %" PRIu64 " ", ns);
	return 0;
}

static int on_async(void *ctx, struct slice_span *s, u64 ns)
{
	say("%c* %" PRIu64 " ", letter(s->span), ns);
	return 0;
}

static int on_begin(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns, u32 flags)
{
	say_thread(t);
	say("%s(%c %" PRIu64 " ", flags & SLICE_CONTINUED ? "~" : "", letter(s->span), ns);
	return 0;
}

static int on_end(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns, enum sink_why why, u32 flags)
{
	say_thread(t);
	say("%c)%s %" PRIu64 "%s ", letter(s->span), flags & SLICE_SPLIT ? "~" : "", ns, why == SINK_CUT ? "cut" : "");
	return 0;
}

static int on_close(void *ctx, struct slice_span *s, u64 ns, u64 dropped_ns, enum sink_why why)
{
	say("/%c %" PRIu64 "%s ", letter(s->span), ns, why == SINK_CUT ? "cut" : "");
	return 0;
}

static int on_event(void *ctx, const struct event *e, struct slice_thread *t, u64 ns)
{
	say_thread(t);
	say("! %" PRIu64 " ", ns);
	return 0;
}

static const struct slices_ops ops = {
	.thread_end = on_thread_end, .async = on_async, .begin = on_begin, .end = on_end, .close = on_close, .event = on_event,
};

static int on_open_begin(void *ctx, struct slice_thread *t, struct slice_span *s, const struct span_open *o, u64 ns)
{
	assert_int_equal(s->span, o->span);
	say_thread(t);
	say("[%c %" PRIu64 " ", letter(s->span), ns);
	return 0;
}

static int on_end_close(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns)
{
	say_thread(t);
	say("%c] %" PRIu64 " ", letter(s->span), ns);
	return 0;
}

static const struct slices_ops whole_ops = {
	.thread_end = on_thread_end, .async = on_async, .begin = on_begin, .end = on_end, .close = on_close, .event = on_event,
	.open_begin = on_open_begin, .end_close = on_end_close,
};

static void begin_whole(char span, int t, u64 ns)
{
	struct span_open o = { .span = span - 'A' + 1, .callsite = &site, .time_ns = ns, .thread = t ? &thread[t] : NULL };

	assert_int_equal(in.ops->span_begin(in.ctx, &o), 0);
}

static void end_whole(char span, int t, u64 ns)
{
	assert_int_equal(in.ops->span_end(in.ctx, span - 'A' + 1, &thread[t], ns), 0);
}

static void open_span(char span, int t, u64 ns)
{
	struct span_open o = { .span = span - 'A' + 1, .callsite = &site, .time_ns = ns, .thread = t ? &thread[t] : NULL };

	assert_int_equal(in.ops->span_open(in.ctx, &o), 0);
}

static void enter(char span, int t, u64 ns)
{
	assert_int_equal(in.ops->span_enter(in.ctx, span - 'A' + 1, &thread[t], ns), 0);
}

static void leave(char span, int t, u64 ns)
{
	assert_int_equal(in.ops->span_exit(in.ctx, span - 'A' + 1, &thread[t], ns, SINK_OWN), 0);
}

static void close_span(char span, u64 ns)
{
	assert_int_equal(in.ops->span_close(in.ctx, span - 'A' + 1, ns, ns, SINK_OWN), 0);
}

static void expect(const char *want)
{
	assert_string_equal(said, want);
	said_cnt = 0;
	said[0] = 0;
}

static int set_up(void **state)
{
	struct slices_opts o = { .thread_bytes = 8, .span_bytes = 24 };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		thread[i] = (struct thread){ .uid = i, .tid = i, .name = "t", .process = &process };
	stage = slices__new(&ops, NULL, &o);
	assert_non_null(stage);
	in = slices__sink(stage);
	said_cnt = 0;
	said[0] = 0;
	return 0;
}

static void use_whole_ops(void)
{
	struct slices_opts o = { .thread_bytes = 8, .span_bytes = 24 };

	slices__free(stage);
	stage = slices__new(&whole_ops, NULL, &o);
	assert_non_null(stage);
	in = slices__sink(stage);
}

static int tear_down(void **state)
{
	slices__free(stage);
	return 0;
}

static struct slices_stats stats(void)
{
	struct slices_stats st;

	slices__stats(stage, &st);
	return st;
}

static void nested_spans_pass(void **state)
{
	open_span('A', 1, 10);
	enter('A', 1, 10);
	open_span('B', 1, 20);
	enter('B', 1, 20);
	leave('B', 1, 30);
	close_span('B', 30);
	leave('A', 1, 40);
	close_span('A', 40);
	expect("(A 10 (B 20 B) 30 /B 30 A) 40 /A 40 ");
	assert_int_equal(stats().splits, 0);
	assert_int_equal(stats().slices, 2);
}

static void an_exit_out_of_order_splits_what_is_above(void **state)
{
	open_span('A', 1, 1);
	open_span('B', 1, 1);
	open_span('C', 1, 1);
	enter('A', 1, 10);
	enter('B', 1, 20);
	enter('C', 1, 30);
	leave('A', 1, 40);
	leave('B', 1, 50);
	leave('C', 1, 60);
	expect("(A 10 (B 20 (C 30 C)~ 40 B)~ 40 A) 40 ~(B 40 ~(C 40 C)~ 50 B) 50 ~(C 50 C) 60 ");
	assert_int_equal(stats().splits, 3);
	assert_int_equal(stats().async, 0);
}

static void another_thread_than_the_openers_makes_a_span_async(void **state)
{
	open_span('A', 1, 10);
	enter('A', 2, 20);
	leave('A', 2, 30);
	close_span('A', 40);
	expect("A* 20 2:(A 20 2:A) 30 /A 40 ");
}

static void so_does_a_second_entry(void **state)
{
	open_span('A', 1, 10);
	enter('A', 1, 10);
	leave('A', 1, 20);
	enter('A', 1, 30);
	leave('A', 1, 40);
	enter('A', 1, 50);
	leave('A', 1, 60);
	close_span('A', 60);
	expect("(A 10 A) 20 A* 30 (A 30 A) 40 (A 50 A) 60 /A 60 ");
}

static void two_threads_at_once(void **state)
{
	open_span('A', 1, 10);
	enter('A', 1, 10);
	enter('A', 2, 20);
	leave('A', 1, 30);
	leave('A', 2, 40);
	close_span('A', 40);
	expect("(A 10 A* 20 2:(A 20 A) 30 2:A) 40 /A 40 ");
}

static void an_opener_that_is_not_known_may_be_the_one_that_enters(void **state)
{
	open_span('A', 0, 10);
	enter('A', 2, 20);
	leave('A', 2, 30);
	close_span('A', 30);
	expect("2:(A 20 2:A) 30 /A 30 ");
}

/* The topmost entry goes, as in the registry of `tracing`: A B A*, exits A, A, B. */
static void twice_on_one_thread_is_nesting(void **state)
{
	open_span('A', 1, 1);
	open_span('B', 1, 1);
	enter('A', 1, 10);
	enter('B', 1, 20);
	enter('A', 1, 30);
	leave('A', 1, 40);
	leave('A', 1, 50);
	leave('B', 1, 60);
	expect("(A 10 (B 20 A* 30 (A 30 A) 40 B)~ 50 A) 50 ~(B 50 B) 60 ");
}

static void never_entered_is_async(void **state)
{
	open_span('A', 1, 10);
	close_span('A', 30);
	expect("A* 30 /A 30 ");
}

static void never_closed_ends_with_the_recording(void **state)
{
	open_span('A', 1, 10);
	enter('A', 1, 10);
	open_span('B', 2, 15);
	enter('B', 2, 15);
	open_span('C', 1, 20);
	assert_int_equal(slices__finish(stage), 0);
	expect("(A 10 2:(B 15 A) 15cut 2:B) 15cut C* 15 /C 15cut /B 15cut /A 15cut ");
}

static void calls_that_lost_their_partner_are_counted(void **state)
{
	leave('A', 1, 10);
	close_span('A', 10);
	enter('B', 1, 10);
	open_span('C', 1, 20);
	leave('C', 1, 20);
	open_span('C', 1, 20);
	expect("");
	assert_int_equal(stats().unmatched, 5);
}

static void a_close_ends_what_is_still_entered(void **state)
{
	open_span('A', 1, 10);
	enter('A', 1, 10);
	open_span('B', 1, 20);
	enter('B', 1, 20);
	enter('A', 2, 30);
	close_span('A', 40);
	leave('B', 1, 50);
	expect("(A 10 (B 20 A* 30 2:(A 30 B)~ 40 A) 40 ~(B 40 2:A) 40 /A 40 B) 50 ");
}

static void the_end_of_a_thread_ends_its_slices(void **state)
{
	open_span('A', 1, 10);
	enter('A', 1, 10);
	assert_int_equal(in.ops->thread_end(in.ctx, &thread[1], 20), 0);
	close_span('A', 30);
	expect("(A 10 A) 20 end 20 /A 30 ");
}

static void times_of_a_thread_never_go_back(void **state)
{
	struct callsite event = { .id = 2, .name = "e", .target = "", .module = "", .file = "" };
	struct event e = { .callsite = &event, .time_ns = 5, .thread = &thread[1] };

	open_span('A', 1, 10);
	enter('A', 1, 10);
	assert_int_equal(in.ops->event(in.ctx, &e), 0);
	leave('A', 1, 8);
	e.thread = &thread[2];
	assert_int_equal(in.ops->event(in.ctx, &e), 0);
	expect("(A 10 ! 10 A) 10 2:! 5 ");
	assert_int_equal(stats().moved, 2);
}

static void equal_times_and_no_length(void **state)
{
	open_span('A', 1, 7);
	enter('A', 1, 7);
	open_span('B', 1, 7);
	enter('B', 1, 7);
	leave('A', 1, 7);
	leave('B', 1, 7);
	close_span('B', 7);
	close_span('A', 7);
	expect("(A 7 (B 7 B)~ 7 A) 7 ~(B 7 B) 7 /B 7 /A 7 ");
}

/* What a memory is held for stays, closed or not. */
static void a_held_span_stays(void **state)
{
	struct slice_span *a, *b;
	struct span_open o = { .span = 2, .callsite = &site, .time_ns = 20, .thread = &thread[1], .parent = 1 };

	open_span('A', 1, 10);
	a = slices__find(stage, 1);
	assert_non_null(a);
	assert_int_equal(in.ops->span_open(in.ctx, &o), 0);
	b = slices__find(stage, 2);
	assert_ptr_equal(b->parent, a);
	slices__hold(b);
	close_span('B', 30);
	close_span('A', 40);
	assert_null(slices__find(stage, 2));
	assert_int_equal(b->span, 2);
	assert_true(b->closed);
	/* a parent is held by its child */
	assert_int_equal(b->parent->span, 1);
	slices__put(stage, b);
}

/* Of a hundred thousand nested spans left in the order of entering. */
static void deep_stacks_are_not_split_for_ever(void **state)
{
	static u64 span;
	u32 i;

	for (i = 0; i < 5000; i++) {
		struct span_open o = { .span = ++span, .callsite = &site, .time_ns = 1, .thread = &thread[1] };

		said_cnt = 0;
		assert_int_equal(in.ops->span_open(in.ctx, &o), 0);
		assert_int_equal(in.ops->span_enter(in.ctx, span, &thread[1], 1), 0);
	}
	for (i = 0; i < 5000; i++) {
		said_cnt = 0;
		assert_int_equal(in.ops->span_exit(in.ctx, i + 1, &thread[1], 2, SINK_OWN), 0);
	}
	assert_true(stats().stretched > 4000);
	assert_true(stats().splits < 40000);
	said_cnt = 0;
	said[0] = 0;
	/* all have ended */
	assert_int_equal(in.ops->thread_end(in.ctx, &thread[1], 3), 0);
	expect("end 3 ");
}

/* Random programs against a stack each that says what may begin and end. */
static struct {
	u64 span[4000], since[4000];
	u32 cnt;
} model[4];
static u64 got_ns[4][41], want_ns[4][41];

static int model_begin(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns, u32 flags)
{
	u32 n = t->thread->tid;

	assert_true(ns >= (model[n].cnt ? model[n].since[model[n].cnt - 1] : 0));
	model[n].span[model[n].cnt] = s->span;
	model[n].since[model[n].cnt++] = ns;
	return 0;
}

static int model_end(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns, enum sink_why why, u32 flags)
{
	u32 n = t->thread->tid;

	assert_true(model[n].cnt > 0);
	assert_int_equal(model[n].span[--model[n].cnt], s->span);
	got_ns[n][s->span] += ns - model[n].since[model[n].cnt];
	return 0;
}

static void random_programs_keep_their_times(void **state)
{
	static const struct slices_ops model_ops = { .begin = model_begin, .end = model_end };
	struct slices_opts o = { 0 };
	u64 seed = 88172645463325252ULL, ns = 1000, span;
	struct {
		u64 span, since;
	} stack[4][60];
	u32 depth[4] = { 0 }, step, t, i;
	struct slices *s = slices__new(&model_ops, NULL, &o);
	struct sink sink = slices__sink(s);

	memset(model, 0, sizeof(model));
	for (span = 1; span <= 40; span++) {
		struct span_open open = { .span = span, .callsite = &site, .time_ns = ns, .thread = &thread[span % 4] };

		assert_int_equal(sink.ops->span_open(sink.ctx, &open), 0);
	}
	for (step = 0; step < 20000; step++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		t = seed % 4;
		ns += seed >> 20 & 7;
		if (depth[t] < 60 && (seed >> 30 & 1)) {
			span = 1 + (seed >> 40) % 40;
			stack[t][depth[t]].span = span;
			stack[t][depth[t]++].since = ns;
			assert_int_equal(sink.ops->span_enter(sink.ctx, span, &thread[t], ns), 0);
		} else if (depth[t]) {
			span = stack[t][(seed >> 40) % depth[t]].span;
			for (i = depth[t] - 1; stack[t][i].span != span; i--)
				;
			want_ns[t][span] += ns - stack[t][i].since;
			memmove(&stack[t][i], &stack[t][i + 1], (depth[t] - i - 1) * sizeof(stack[t][0]));
			depth[t]--;
			assert_int_equal(sink.ops->span_exit(sink.ctx, span, &thread[t], ns, SINK_OWN), 0);
		}
	}
	for (t = 0; t < 4; t++)
		for (i = 0; i < depth[t]; i++)
			want_ns[t][stack[t][i].span] += ns - stack[t][i].since;
	for (t = 0; t < 4; t++)
		assert_int_equal(sink.ops->thread_end(sink.ctx, &thread[t], ns), 0);
	assert_memory_equal(got_ns, want_ns, sizeof(got_ns));
	slices__free(s);
}

static void calls_for_both_ends_say_what_the_single_ones_do(void **state)
{
	begin_whole('A', 1, 10);
	begin_whole('B', 1, 20);
	end_whole('B', 1, 30);
	end_whole('A', 1, 40);
	expect("(A 10 (B 20 B) 30 /B 30 A) 40 /A 40 ");
}

static void plain_spans_are_one_call_at_each_end(void **state)
{
	use_whole_ops();
	begin_whole('A', 1, 10);
	begin_whole('B', 1, 20);
	end_whole('B', 1, 30);
	begin_whole('C', 2, 30);
	end_whole('A', 1, 40);
	end_whole('C', 2, 20); /* a thread's time never goes back */
	expect("[A 10 [B 20 B] 30 2:[C 30 A] 40 2:C] 30 ");
	assert_null(slices__find(stage, 1));
	assert_int_equal(stats().slices, 3);
	assert_int_equal(stats().moved, 1);
	assert_int_equal(stats().unmatched, 0);
}

static void what_is_not_plain_is_told_in_single_calls(void **state)
{
	use_whole_ops();
	/* not on top */
	begin_whole('A', 1, 10);
	begin_whole('B', 1, 20);
	end_whole('A', 1, 30);
	end_whole('B', 1, 40);
	expect("[A 10 [B 20 B)~ 30 A) 30 ~(B 30 /A 30 B] 40 ");
	/* entered once more */
	begin_whole('C', 1, 50);
	enter('C', 2, 60);
	leave('C', 2, 70);
	end_whole('C', 1, 80);
	expect("[C 50 C* 60 2:(C 60 2:C) 70 C) 80 /C 80 ");
	/* by a thread that is not known, and open already */
	begin_whole('D', 0, 90);
	begin_whole('E', 1, 90);
	begin_whole('E', 1, 95);
	end_whole('E', 2, 96);
	expect("[E 90 E* 95 (E 95 E) 96 E) 96 /E 96 ");
	assert_int_equal(stats().unmatched, 3);
	close_span('D', 99);
	expect("D* 99 /D 99 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(nested_spans_pass),
		TEST(an_exit_out_of_order_splits_what_is_above),
		TEST(another_thread_than_the_openers_makes_a_span_async),
		TEST(so_does_a_second_entry),
		TEST(two_threads_at_once),
		TEST(an_opener_that_is_not_known_may_be_the_one_that_enters),
		TEST(twice_on_one_thread_is_nesting),
		TEST(never_entered_is_async),
		TEST(never_closed_ends_with_the_recording),
		TEST(calls_that_lost_their_partner_are_counted),
		TEST(a_close_ends_what_is_still_entered),
		TEST(the_end_of_a_thread_ends_its_slices),
		TEST(times_of_a_thread_never_go_back),
		TEST(equal_times_and_no_length),
		TEST(a_held_span_stays),
		TEST(deep_stacks_are_not_split_for_ever),
		TEST(random_programs_keep_their_times),
		TEST(calls_for_both_ends_say_what_the_single_ones_do),
		TEST(plain_spans_are_one_call_at_each_end),
		TEST(what_is_not_plain_is_told_in_single_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
