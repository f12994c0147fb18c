/* SPDX-License-Identifier: MIT */
/*
 * test_gotrace_hostile.c - calls that no good stream makes: any times, ends without begins, things named after their end, names of
 * random bytes and of 64 KiB, impossible thread numbers. Whatever comes, the trace is well-formed; with KEEP_TRACES the readers of
 * Go say so, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rnd.h"
#include "trace_out.h"

#define SEEDS	300
#define STEPS	600
#define SITES	8
#define PROCS	4
#define THREADS 12
#define SPANS	40

static char name[SITES][65537], thread_name[THREADS][2000];
static struct callsite site[SITES];
static struct process proc[PROCS];
static struct thread thread[THREADS];
static u64 base_ns;

static u64 any_time(void)
{
	static const u64 odd[] = { 0, 1, 1ULL << 52, 1ULL << 53, 1ULL << 62, 1ULL << 63, ~0ULL, ~0ULL - 1 };

	if (rnd(200) == 0)
		return odd[rnd(ARRAY_SIZE(odd))];
	if (rnd(50) == 0)
		return base_ns = rnd(2) ? base_ns + rnd(1ULL << 40) : base_ns - rnd(1 << 20);
	base_ns += rnd(3) ? rnd(2000) : 0;
	return base_ns - rnd(3) * rnd(100000);
}

static void any_name(char *dst, size_t max)
{
	size_t cnt = rnd(5) ? rnd(40) : rnd(max), i;

	for (i = 0; i < cnt; i++)
		dst[i] = rnd(2) ? (char)(1 + rnd(255)) : 'a';
	dst[cnt] = 0;
}

static struct thread *any_thread(void)
{
	return rnd(12) ? &thread[rnd(THREADS)] : NULL;
}

static void set_up(void)
{
	u32 i;

	base_ns = rnd(3) ? 1000000000 + rnd(1ULL << 40) : rnd(2) ? rnd(1000) : ~0ULL - rnd(1ULL << 30);
	for (i = 0; i < SITES; i++) {
		any_name(name[i], 65536);
		site[i] = (struct callsite){ .id = i ? i + 1 : ~0ULL, .is_span = i < SITES / 2, .level = rnd(9), .line = ~0U,
					     .name = name[i], .target = name[rnd(i + 1)], .module = "", .file = name[rnd(i + 1)],
					     .field_cnt = 2, .field = { { name[rnd(i + 1)], WIRE_T_STR }, { "message", WIRE_T_F64 } } };
	}
	for (i = 0; i < PROCS; i++)
		proc[i] = (struct process){ .uid = i + 1, .pid = rnd(2) ? rnd(100) : rnd(1ULL << 32), .comm = "\xff\x1b[\n", .begin_ns = any_time() };
	for (i = 0; i < THREADS; i++) {
		any_name(thread_name[i], sizeof(thread_name[i]) - 1);
		thread[i] = (struct thread){ .uid = i + 1, .tid = rnd(3) ? rnd(4) : rnd(1ULL << 32), .name = thread_name[i],
					     .begin_ns = any_time(), .process = &proc[rnd(PROCS)] };
	}
}

static u32 any_values(struct value v[3])
{
	static char text[70000];
	u32 i, cnt = rnd(4);

	if (!text[0])
		memset(text, 'x', sizeof(text) - 1);
	for (i = 0; i < cnt; i++) {
		v[i] = (struct value){ .field = rnd(3), .type = rnd(16), .flags = rnd(8), .orig_bytes = rnd(2) * ~0ULL };
		if (v[i].type == WIRE_T_STR || v[i].type == WIRE_T_BYTES || v[i].type == WIRE_T_ERROR) {
			v[i].text = rnd(2) ? text : name[rnd(SITES)];
			v[i].text_bytes = v[i].text == text ? rnd(sizeof(text)) : strlen(v[i].text);
		} else {
			v[i].wide[0] = seed;
			v[i].wide[1] = seed << 7;
		}
	}
	return cnt;
}

static void one_call(const struct sink *s)
{
	struct value v[3] = { { 0 } };
	u64 span = 1 + rnd(SPANS), ns = any_time();
	struct thread *t = any_thread();
	struct span_open o = { .span = span, .callsite = &site[rnd(SITES / 2)], .time_ns = ns, .thread = t, .parent = rnd(SPANS),
			       .flags = rnd(8), .lost_parent = rnd(2), .value = v };
	struct event e = { .callsite = &site[SITES / 2 + rnd(SITES / 2)], .time_ns = ns, .thread = t, .parent = rnd(SPANS), .value = v };
	struct loss l = { .to_ns = ns, .cause = rnd(20), .count = seed, .thread = t, .callsite = rnd(2) ? &site[0] : NULL };

	switch (rnd(24)) {
	case 0 ... 4:
		o.value_cnt = any_values(v);
		assert_int_equal(s->ops->span_open(s->ctx, &o), 0);
		break;
	case 5 ... 9:
		assert_int_equal(s->ops->span_enter(s->ctx, span, t, ns), 0);
		break;
	case 10 ... 13:
		assert_int_equal(s->ops->span_exit(s->ctx, span, t, ns, rnd(8)), 0);
		break;
	case 14 ... 15:
		assert_int_equal(s->ops->span_close(s->ctx, span, ns, ns, rnd(8)), 0);
		break;
	case 16:
		any_values(v);
		assert_int_equal(s->ops->span_value(s->ctx, span, &site[0], v, t, ns), 0);
		break;
	case 17:
		assert_int_equal(s->ops->span_follows(s->ctx, span, rnd(SPANS), t, ns), 0);
		break;
	case 18 ... 19:
		e.value_cnt = any_values(v);
		assert_int_equal(s->ops->event(s->ctx, &e), 0);
		break;
	case 20:
		assert_int_equal(s->ops->loss(s->ctx, &l), 0);
		break;
	case 21:
		assert_int_equal(s->ops->process(s->ctx, &proc[rnd(PROCS)]), 0);
		break;
	case 22:
		if (!rnd(8))
			assert_int_equal(s->ops->process_end(s->ctx, &proc[rnd(PROCS)], ns, seed, rnd(2)), 0);
		break;
	case 23:
		if (t && rnd(3))
			assert_int_equal(s->ops->thread(s->ctx, t), 0);
		else if (t)
			assert_int_equal(s->ops->thread_end(s->ctx, t, ns), 0);
		break;
	}
}

static void whatever_comes_the_trace_is_well_formed(void **state)
{
	u32 i, k;

	for (i = 0; i < SEEDS; i++) {
		struct gotrace_opts o = { .sz = sizeof(o), .version = i % 3 ? 22 : 26 };
		struct trace_out out = { 0 };
		struct gotrace *g;
		struct sink s;
		char file[32];

		seed = (i + 1) * 0x9e3779b97f4a7c15ULL;
		rnd(2);
		set_up();
		o.held_bytes = rnd(2) ? 0 : rnd(8192);
		o.generation_ns = rnd(2) ? 0 : rnd(1000000);
		o.late_ns = rnd(2) ? 0 : rnd(1ULL << rnd(63));
		o.start_ns = rnd(3) ? 0 : any_time();
		o.clock.real_ns = (s64)any_time();
		g = gotrace__new(&o, trace_out__write, &out);
		assert_non_null(g);
		s = gotrace__sink(g);
		for (k = 0; k < STEPS; k++)
			one_call(&s);
		assert_int_equal(gotrace__finish(g), 0);
		assert_true(trace_out__walk(&out, o.version) > 0);
		gotrace__free(g);
		snprintf(file, sizeof(file), "hostile-%u", i);
		trace_out__keep(&out, file);
		trace_out__done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_comes_the_trace_is_well_formed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
