/* SPDX-License-Identifier: MIT */
/* What reader_whole.c takes in one step, and what it must leave to the long way: the calls are the same (reader_story.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "reader_story.h"

enum { SITE = 100, EVENT_SITE = 101, OTHER_SITE = 102 };

static const u8 types[] = { TAPE_U64, TAPE_STR, TAPE_BOOL, TAPE_F64, TAPE_I128, TAPE_ERROR, TAPE_I64, 77 };

static u64 random_u64(u64 *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

/* Mostly as it should be: the right size, a known field. */
static void put_value(struct build *b, u64 *x, u8 kind, u64 owner)
{
	static const u8 sizes[] = { 8, 5, 1, 8, 16, 3, 8, 2 };
	u64 payload[2] = { random_u64(x), random_u64(x) }, odd = random_u64(x);
	u32 i = odd % 40 < 39 ? odd % 7 : 7;

	build__value(b, kind, types[i], 200 + random_u64(x) % 3 + (odd % 37 == 0), owner, payload,
		     (u16)(sizes[i] + (odd % 31 == 0)));
}

static void define(struct build *b)
{
	u32 i, k;

	for (i = SITE; i <= OTHER_SITE; i++) {
		build__callsite(b, i == EVENT_SITE ? 2 : 10, i, "x", 3);
		for (k = 0; k < 3; k++)
			build__field(b, i, 200 + k, k == 1 ? "s" : "n");
	}
}

/* Begins, ends and events on three threads, some of them torn apart, some of them wrong. */
static void put_random(struct build *b, u64 *x, u32 steps)
{
	u64 span = 1, now = 10, thread, open[64];
	u32 depth = 0, i, k, step;

	for (i = 0; i < steps; i++, now += random_u64(x) % 5) {
		step = random_u64(x) % 16;
		thread = 1 + (random_u64(x) % 8 == 0 ? random_u64(x) % 3 : 0);
		if (step < 6 && depth < 64) {
			open[depth] = span++ * (random_u64(x) % 50 ? 1 : 0);
			build__open(b, open[depth], random_u64(x) % 5 ? SITE : OTHER_SITE, (s64)now,
				    0, random_u64(x) % 9 ? TAPE_PARENT_CURRENT : TAPE_PARENT_ROOT);
			for (k = random_u64(x) % 4; k; k--)
				put_value(b, x, TAPE_SPAN_VALUE, open[depth] + (random_u64(x) % 60 == 0));
			if (random_u64(x) % 10 == 0)
				build__event(b, EVENT_SITE, (s64)now, thread, 0);
			build__enter(b, open[depth++], (s64)(now + random_u64(x) % 2), thread);
		} else if (step < 11 && depth) {
			build__exit(b, open[--depth], (s64)now);
			if (random_u64(x) % 8)
				build__close(b, open[depth], (s64)(now + random_u64(x) % 2));
		} else if (step < 14) {
			k = random_u64(x) % 4;
			build__event(b, EVENT_SITE, (s64)now, thread, (u16)(k + (random_u64(x) % 20 == 0)));
			while (k--)
				put_value(b, x, TAPE_EVENT_VALUE, thread);
		} else if (step == 14 && random_u64(x) % 20 == 0) {
			define(b);
		}
	}
	/* nobody waits for values at the end */
	for (thread = 1; thread <= 3; thread++)
		build__event(b, EVENT_SITE, (s64)now, thread, 0);
}

/* The order of what is open at the end on several threads is nobody's: it is left out. */
static void cut_off(char *text)
{
	char *cut = strstr(text, " why 2\n");

	while (cut && cut > text && cut[-1] != '\n')
		cut--;
	if (cut)
		*cut = '\0';
}

static void both_ways(u64 seed, bool own)
{
	struct build b;
	struct seen in_steps, at_once;
	char *want, *got;
	u64 x = seed * 0x9e3779b97f4a7c15ULL | 1;
	int whole;

	begin_tape(&b, 20);
	if (own)
		BUILD(&b, TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION, .end = INT64_MAX);
	define(&b);
	put_random(&b, &x, 400);
	want = read_in_steps(&b, &in_steps, NULL, false, 1);
	cut_off(want);
	for (whole = 0; whole < 2; whole++) {
		got = read_in_steps(&b, &at_once, NULL, whole, 0);
		cut_off(got);
		assert_string_equal(got, want);
		assert_memory_equal(&in_steps.cnt, &at_once.cnt, sizeof(at_once.cnt));
		free(got);
	}
	free(want);
	build__done(&b);
}

static void random_tapes(void **state)
{
	u64 seed;

	for (seed = 1; seed < 300; seed++)
		both_ways(seed, seed % 2);
}

/* How far run goes does not depend on how records are taken: merges and cuts rely on it. */
static void stops_where_it_did(void **state)
{
	struct tape_reader *r[2];
	struct trace t[2];
	struct sink sink[2];
	struct build b;
	u64 x = 12345;
	int more, i;

	begin_tape(&b, 20);
	define(&b);
	put_random(&b, &x, 300);
	for (i = 0; i < 2; i++)
		assert_int_equal(tape_reader__open(build__path(&b), NULL, &r[i], NULL), 0);
	sink[0] = trace__start(&t[0], ZERO);
	sink[1] = trace__start_whole(&t[1], ZERO);
	do {
		u64 until = tape_reader__offset(r[1]) + 500;

		do
			more = tape_reader__run(r[0], &sink[0], 1);
		while (more > 0 && tape_reader__offset(r[0]) < until);
		assert_int_equal(tape_reader__run(r[1], &sink[1], 500), more);
		assert_int_equal(tape_reader__offset(r[0]), tape_reader__offset(r[1]));
	} while (more > 0);
	for (i = 0; i < 2; i++) {
		tape_reader__free(r[i]);
		trace__done(&t[i]);
	}
	build__done(&b);
}

/* A peek takes a record out of the stream: it is the first of the next run. */
static void after_a_peek(void **state)
{
	struct tape_reader *r;
	struct trace t;
	struct sink sink = trace__start_whole(&t, ZERO);
	struct build b;
	u64 time_ns;

	begin_tape(&b, 20);
	build__open(&b, 50, 3, 1, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 50, 1, 7);
	build__exit(&b, 50, 2);
	build__close(&b, 50, 2);
	assert_int_equal(tape_reader__open(build__path(&b), NULL, &r, NULL), 0);
	while (tape_reader__peek(r, &time_ns) > 0)
		assert_true(tape_reader__run(r, &sink, 1) >= 0);
	assert_int_equal(tape_reader__run(r, &sink, 0), 0);
	assert_non_null(strstr(trace__text(&t), "close 1 @2 dropped @2 why 0\n"));
	tape_reader__free(r);
	trace__done(&t);
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tapes),
		cmocka_unit_test(stops_where_it_did),
		cmocka_unit_test(after_a_peek),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
