/* SPDX-License-Identifier: MIT */
/* test_gotrace.c - generations, bounds and failures of the Go trace writer. What is in the traces the readers of Go judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>

#include "base/codes.h"
#include "base/text.h"
#include "trace_out.h"

static struct callsite span_site = { .id = 1, .is_span = 1, .level = WIRE_INFO, .line = 7, .name = "work", .target = "app",
				     .module = "app", .file = "a.c", .field_cnt = 1, .field = { { "n", WIRE_T_U64 } } };
static struct callsite event_site = { .id = 2, .level = WIRE_ERROR, .name = "event a.c:9", .target = "app", .module = "app",
				      .file = "a.c", .field_cnt = 1, .field = { { "message", WIRE_T_STR } } };
static struct process process = { .uid = 1, .pid = 41, .comm = "prog" };
static struct thread thread = { .uid = 1, .tid = 42, .name = "main", .process = &process };

static struct trace_out out;
static struct gotrace *trace;
static struct sink in;
static u64 next_span;

static void begin_trace(const struct gotrace_opts *o)
{
	struct gotrace_opts defaults = { .sz = sizeof(defaults) };

	out = (struct trace_out){ 0 };
	next_span = 0;
	trace = gotrace__new(o ? o : &defaults, trace_out__write, &out);
	assert_non_null(trace);
	in = gotrace__sink(trace);
	assert_int_equal(in.ops->process(in.ctx, &process), 0);
	assert_int_equal(in.ops->thread(in.ctx, &thread), 0);
}

static struct gotrace_stats end_trace(void)
{
	struct gotrace_stats st;

	gotrace__stats(trace, &st);
	gotrace__free(trace);
	trace_out__done(&out);
	return st;
}

static int span(u64 from_ns, u64 to_ns)
{
	struct value v = { .type = WIRE_T_U64, .u = next_span };
	struct span_open o = { .span = ++next_span, .callsite = &span_site, .time_ns = from_ns, .thread = &thread, .value_cnt = 1, .value = &v };
	int err = in.ops->span_open(in.ctx, &o);

	err = err ? err : in.ops->span_enter(in.ctx, o.span, &thread, from_ns);
	err = err ? err : in.ops->span_exit(in.ctx, o.span, &thread, to_ns, SINK_OWN);
	return err ? err : in.ops->span_close(in.ctx, o.span, to_ns, to_ns, SINK_OWN);
}

static int event(u64 ns, const char *text, size_t bytes)
{
	struct value v = { .type = WIRE_T_STR, .text = text, .text_bytes = bytes };
	struct event e = { .callsite = &event_site, .time_ns = ns, .thread = &thread, .value_cnt = 1, .value = &v };

	return in.ops->event(in.ctx, &e);
}

static void unknown_versions_are_refused(void **state)
{
	struct gotrace_opts o = { .sz = sizeof(o), .version = 24 };

	errno = 0;
	assert_null(gotrace__new(&o, trace_out__write, &out));
	assert_int_equal(errno, EINVAL);
}

static void a_generation_a_second_and_none_where_nothing_happens(void **state)
{
	struct gotrace_stats st;
	u64 s;

	begin_trace(NULL);
	for (s = 1; s <= 10; s++)
		assert_int_equal(span(s * NSEC_PER_SEC, s * NSEC_PER_SEC + 5), 0);
	assert_int_equal(span(5000 * NSEC_PER_SEC, 5000 * NSEC_PER_SEC + 5), 0);
	assert_int_equal(gotrace__finish(trace), 0);
	assert_in_range(trace_out__walk(&out, 22), 6, 11);
	trace_out__keep(&out, "generations");
	st = end_trace();
	assert_int_equal(st.regions, 11);
	assert_int_equal(st.logs, 11);
	assert_int_equal(st.tasks, 0);
	assert_int_equal(st.late, 0);
}

static void a_trace_of_nothing_can_be_read(void **state)
{
	struct gotrace_opts o = { .sz = sizeof(o) };

	out = (struct trace_out){ 0 };
	trace = gotrace__new(&o, trace_out__write, &out);
	assert_int_equal(gotrace__finish(trace), 0);
	assert_int_equal(trace_out__walk(&out, 22), 1);
	assert_true(trace_out__has(&out, "ends here"));
	trace_out__keep(&out, "nothing");
	end_trace();
}

static void the_first_error_of_the_writer_stays(void **state)
{
	struct gotrace_opts o = { .sz = sizeof(o), .held_bytes = 4096 };
	u32 i, writes;
	int err = 0;

	begin_trace(&o);
	out.fail_after = 20000;
	for (i = 0; i < 10000 && !err; i++)
		err = span(i * 1000, i * 1000 + 500);
	assert_int_equal(err, -ENOSPC);
	writes = out.writes;
	out.fail_after = 0;
	assert_int_equal(span(i * 1000, i * 1000 + 500), -ENOSPC);
	assert_int_equal(gotrace__finish(trace), -ENOSPC);
	assert_int_equal(out.writes, writes);
	/* what is written is whole */
	assert_true(trace_out__walk(&out, 22) >= 1);
	end_trace();
}

static int discard(void *ctx, const void *bytes, size_t cnt)
{
	return 0;
}

static void memory_is_bounded_by_what_waits(void **state)
{
	struct gotrace_opts o = { .sz = sizeof(o) };
	size_t before = mallinfo2().uordblks, most = 0;
	char text[100];
	u64 i;

	trace = gotrace__new(&o, discard, NULL);
	in = gotrace__sink(trace);
	next_span = 0;
	/* half a million spans and events within one second, each with a text of its own */
	for (i = 0; i < 500000; i++) {
		memset(text, 'x', sizeof(text));
		snprintf(text, sizeof(text), "%zu", (size_t)i);
		text[strlen(text)] = 'x';
		assert_int_equal(span(1000 + 2 * i, 1001 + 2 * i), 0);
		if (i % 4 == 0)
			assert_int_equal(event(1001 + 2 * i, text, sizeof(text)), 0);
		if (i % 1000 == 0)
			most = MAX(most, mallinfo2().uordblks - before);
	}
	assert_int_equal(gotrace__finish(trace), 0);
	assert_true(most < 40 << 20);
	gotrace__free(trace);
}

static void long_texts_are_cut_at_a_character(void **state)
{
	static char name[3001], text[70000];
	struct callsite long_site = span_site;
	struct gotrace_stats st;
	const char *found;
	u32 i;

	for (i = 0; i < 1500; i++)
		memcpy(name + 2 * i, "\xc3\xa4", 2);
	memmove(name + 1, name, 2999);
	name[0] = 'n';
	name[3000] = 0;
	memset(text, 't', sizeof(text));
	long_site.id = 77;
	long_site.name = name;
	begin_trace(NULL);
	assert_int_equal(event(10, text, sizeof(text)), 0);
	assert_int_equal(in.ops->span_open(in.ctx, &(struct span_open){ .span = 1, .callsite = &long_site, .time_ns = 20, .thread = &thread }), 0);
	assert_int_equal(gotrace__finish(trace), 0);
	trace_out__walk(&out, 22);
	/* 'n' and 511 characters of two bytes: 1023 */
	found = memmem(out.bytes, out.cnt, "\xff\x07n\xc3\xa4", 5);
	assert_non_null(found);
	assert_true(text__is_utf8(found + 2, 1023));
	trace_out__keep(&out, "long");
	st = end_trace();
	assert_int_equal(st.cut_texts, 2);
}

static void losses_are_told(void **state)
{
	struct loss l = { .to_ns = 30, .cpu = ~0U, .callsite = &span_site, .thread = &thread, .cause = LOSS_RING, .count = 17 };

	begin_trace(NULL);
	assert_int_equal(span(10, 20), 0);
	assert_int_equal(in.ops->loss(in.ctx, &l), 0);
	assert_int_equal(gotrace__finish(trace), 0);
	assert_true(trace_out__has(&out, "17 records lost: ring_full of work on main/42"));
	assert_true(trace_out__has(&out, "LOSS"));
	trace_out__keep(&out, "loss");
	end_trace();
}

static void what_was_open_before_begins_with_the_trace(void **state)
{
	struct gotrace_opts o = { .sz = sizeof(o), .start_ns = 100 * NSEC_PER_SEC };
	struct span_open open = { .span = 9, .callsite = &span_site, .time_ns = 97500000000, .thread = &thread, .flags = SPAN_BEFORE };

	begin_trace(&o);
	assert_int_equal(in.ops->span_open(in.ctx, &open), 0);
	assert_int_equal(in.ops->span_enter(in.ctx, 9, &thread, open.time_ns), 0);
	assert_int_equal(event(100500000000, "hi", 2), 0);
	assert_int_equal(gotrace__finish(trace), 0);
	assert_true(trace_out__has(&out, "(opened 2.500000000 s before this trace)"));
	assert_int_equal(trace_out__walk(&out, 22), 1);
	trace_out__keep(&out, "before");
	end_trace();
}

/* Told before anything has happened, of a later moment: the times of what follows stay as they are. */
static void why_there_is_a_snapshot_is_told(void **state)
{
	struct sink_trigger t = { .time_ns = 900000000, .pid = 41, .tid = 42, .trigger = "event:level>=error", .what = "it broke" };
	u64 before;

	begin_trace(NULL);
	assert_int_equal(event(100, "hi", 2), 0);
	assert_int_equal(gotrace__finish(trace), 0);
	before = out.cnt;
	end_trace();
	begin_trace(NULL);
	assert_int_equal(in.ops->trigger(in.ctx, &t), 0);
	assert_int_equal(event(100, "hi", 2), 0);
	assert_int_equal(gotrace__finish(trace), 0);
	assert_true(out.cnt > before);
	assert_true(trace_out__has(&out, "TRIGGER"));
	assert_true(trace_out__has(&out, "event:level>=error: it broke"));
	assert_int_equal(trace_out__walk(&out, 22), 1);
	trace_out__keep(&out, "trigger");
	end_trace();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_versions_are_refused),
		cmocka_unit_test(a_generation_a_second_and_none_where_nothing_happens),
		cmocka_unit_test(a_trace_of_nothing_can_be_read),
		cmocka_unit_test(the_first_error_of_the_writer_stays),
		cmocka_unit_test(memory_is_bounded_by_what_waits),
		cmocka_unit_test(long_texts_are_cut_at_a_character),
		cmocka_unit_test(losses_are_told),
		cmocka_unit_test(what_was_open_before_begins_with_the_trace),
		cmocka_unit_test(why_there_is_a_snapshot_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
