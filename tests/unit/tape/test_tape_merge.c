/* SPDX-License-Identifier: MIT */
/* Several tapes as one stream: order, shifted times, numbers of their own, one that ends early. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "recording_sink.h"
#include "tape/tape_merge.h"
#include "tape_build.h"

/* Each line of a recording without the first tape's offset of times. */
static void run_merged(struct build *b, u32 cnt, const char *want)
{
	struct recording rec = { .quiet = true };
	struct sink sink = recording__sink(&rec);
	char *path[4], *text, *p;
	struct tape_merge *m;
	struct diag d;
	u64 zero, time_ns;
	char number[32], shown[32];
	u32 i;

	for (i = 0; i < cnt; i++)
		path[i] = (char *)build__path(&b[i]);
	assert_int_equal(tape_merge__open(path, cnt, NULL, &m, &d), 0);
	assert_int_equal(tape_merge__peek(m, &time_ns), 1);
	while (tape_merge__run(m, &sink, 1) > 0)
		;
	assert_int_equal(tape_merge__run(m, &sink, 0), 0);
	assert_int_equal(tape_merge__peek(m, &time_ns), 0);
	assert_int_equal(tape_merge__offset(m), tape_merge__size(m));
	zero = tape_merge__time_ns(m, tape_reader__intro(tape_merge__reader(m, 0))->base_unix_ns);
	assert_int_equal(tape_merge__unix_ns(m, zero + 5), tape_reader__intro(tape_merge__reader(m, 0))->base_unix_ns + 5);
	text = calloc(1, rec.bytes + 1);
	strcpy(text, rec.text);
	for (p = text; (p = strstr(p, " at ")); p += 4) {
		u64 ns = strtoull(p + 4, NULL, 10);

		snprintf(number, sizeof(number), "%" PRIu64, ns);
		snprintf(shown, sizeof(shown), "%" PRId64, (s64)(ns - zero));
		memmove(p + 4 + strlen(shown), p + 4 + strlen(number), strlen(p + 4 + strlen(number)) + 1);
		memcpy(p + 4, shown, strlen(shown));
	}
	assert_string_equal(text, want);
	free(text);
	recording__done(&rec);
	tape_merge__free(m);
	for (i = 0; i < cnt; i++)
		build__done(&b[i]);
}

static void make(struct build *b, s64 base, const char *name, u64 span, s64 t0, s64 t1)
{
	build__init(b, 20, base);
	build__callsite(b, 0x0a, 1, name, 0);
	build__open(b, span, 1, t0, 0, TAPE_PARENT_ROOT);
	build__enter(b, span, t0, 7);
	build__exit(b, span, t1);
	build__close(b, span, t1);
}

/* The second tape's base is 100 ns later; the same ids mean other spans; threads stay apart. */
static void two(void **state)
{
	struct build b[2];

	make(&b[0], 1000, "a", 5, 10, 300);
	make(&b[1], 1100, "b", 5, 20, 150);
	run_merged(b, 2, "open 1 a parent 0 root at 10 by ?\nenter 1 T7 at 10\nopen 2 b parent 0 root at 120 by ?\n"
			 "enter 2 T18446744073709551614 at 120\nexit 2 T18446744073709551614 at 250\nclose 2 at 250\n"
			 "exit 1 T7 at 300\nclose 1 at 300\n");
}

/* Earlier than the first: negative times. A tape that breaks off has its spans closed at its own end. */
static void earlier_and_cut(void **state)
{
	struct build b[2];

	make(&b[0], 1000, "a", 5, 10, 300);
	build__init(&b[1], 20, 900);
	build__callsite(&b[1], 0x0a, 1, "b", 0);
	build__open(&b[1], 5, 1, 50, 0, TAPE_PARENT_ROOT);
	build__enter(&b[1], 5, 60, 8);
	run_merged(b, 2, "open 2 b parent 0 root at -50 by ?\nenter 2 T8 at -40\nexit 2 T8 at -40 cut\nclose 2 at -40 cut\n"
			 "open 1 a parent 0 root at 10 by ?\nenter 1 T7 at 10\nexit 1 T7 at 300\nclose 1 at 300\n");
}

static void alone(void **state)
{
	struct build b[1];

	make(&b[0], 1000, "a", 5, 10, 300);
	run_merged(b, 1, "open 1 a parent 0 root at 10 by ?\nenter 1 T7 at 10\nexit 1 T7 at 300\nclose 1 at 300\n");
}

/* In tapes of tapebpf a span that is closed can still be followed: its number says which it was. */
static void what_is_closed_is_still_followed(void **state)
{
	struct build b[2];

	make(&b[0], 1000, "a", 5, 10, 20);
	build__init(&b[1], 20, 1000);
	BUILD(&b[1], TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION, .end = INT64_MAX);
	build__callsite(&b[1], 0x0a, 1, "b", 0);
	build__open(&b[1], 3, 1, 30, 0, TAPE_PARENT_ROOT);
	build__close(&b[1], 3, 40);
	build__open(&b[1], 4, 1, 50, 0, TAPE_PARENT_ROOT);
	BUILD(&b[1], TAPE_X_LATE, struct tape_x_late, .span = 4, .time = 60, .thread = 7);
	BUILD(&b[1], TAPE_SPAN_FOLLOWS, struct tape_span_follows, .span = 4, .follows = 3);
	build__close(&b[1], 4, 70);
	run_merged(b, 2, "open 1 a parent 0 root at 10 by ?\nenter 1 T7 at 10\nexit 1 T7 at 20\nclose 1 at 20\n"
			 "open 6 b parent 0 root at 30 by ?\nclose 6 at 40\nopen 8 b parent 0 root at 50 by ?\n"
			 "follows 8 6 T18446744073709551614 at 60\nclose 8 at 70\n");
}

/* Numbers that no recorder gives are not to meet others, and their spans end as they began. An opening does not wait for the
 * next record of its tape. */
static void numbers_beyond_all_counting(void **state)
{
	struct build b[2];

	for (u32 i = 0; i < 2; i++) {
		build__init(&b[i], 20, 1000);
		BUILD(&b[i], TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION, .end = INT64_MAX);
		build__callsite(&b[i], 0x0a, 1, i ? "b" : "a", 0);
		build__context(&b[i], UINT64_MAX, 7, 0);
		build__open(&b[i], UINT64_MAX, 1, 10 + i, 0, TAPE_PARENT_ROOT);
		build__context(&b[i], 1, 7, UINT64_MAX);
		build__open(&b[i], 1, 1, 20 + i, UINT64_MAX, TAPE_PARENT_EXPLICIT);
		build__close(&b[i], 1, 30 + i);
		build__close(&b[i], UINT64_MAX, 40 + i);
	}
	run_merged(b, 2, "open 9223372036854775809 a parent 0 root at 10 by T7\nopen 9223372036854775810 b parent 0 root at 11 by T18446744073709551614\n"
			 "open 1 a parent 9223372036854775809 explicit at 20 by T7\n"
			 "open 2 b parent 9223372036854775810 explicit at 21 by T18446744073709551614\nclose 1 at 30\nclose 2 at 31\n"
			 "close 9223372036854775809 at 40\nclose 9223372036854775810 at 41\n");
}

struct watched {
	u64 last_ns, cnt;
};

static int see_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct watched *w = ctx;

	assert_true(time_ns >= w->last_ns);
	w->last_ns = time_ns;
	w->cnt++;
	return 0;
}

/* Forty tapes, some behind each other, some at the same time: in order, and all of them; and to a moment exactly. */
static void many(void **state)
{
	static const struct sink_ops ops = { .span_close = see_close };
	struct watched w = {};
	struct sink sink = { &ops, &w };
	struct build b[40];
	char *path[40];
	struct tape_merge *m;
	u64 next_ns, zero;
	u32 i, k;

	for (i = 0; i < 40; i++) {
		build__init(&b[i], 20, 1000 + i % 3);
		build__callsite(&b[i], 0x0a, 1, "s", 0);
		for (k = 0; k < 50; k++) {
			build__open(&b[i], 5, 1, i * 997 % 40 / 4 * 300 + k * 7, 0, TAPE_PARENT_ROOT);
			build__close(&b[i], 5, i * 997 % 40 / 4 * 300 + k * 7 + 3);
		}
		path[i] = strdup(build__path(&b[i]));
	}
	assert_int_equal(tape_merge__open(path, 40, NULL, &m, NULL), 0);
	zero = tape_merge__time_ns(m, 1000);
	while ((k = tape_merge__run_to(m, &sink, zero + 1000, 3)) == TAPE_MERGE_MORE)
		;
	assert_int_equal(k, TAPE_MERGE_REACHED);
	assert_in_range(w.last_ns - zero, 990, 999);
	assert_int_equal(tape_merge__peek(m, &next_ns), 1);
	assert_in_range(next_ns - zero, 1000, 1010);
	while (tape_merge__run(m, &sink, 100) > 0)
		;
	assert_int_equal(w.cnt, 40 * 50);
	assert_int_equal(tape_merge__run_to(m, &sink, UINT64_MAX, 3), 0);
	tape_merge__free(m);
	for (i = 0; i < 40; i++) {
		build__done(&b[i]);
		free(path[i]);
	}
}

static void on_unopened(void *ctx, u32 i, const struct diag *d)
{
	u32 *seen = ctx;

	assert_non_null(strstr(d->text, "/nonexistent"));
	*seen = *seen * 10 + i + 1;
}

static void those_that_open(void **state)
{
	u32 seen = 0;
	struct tape_merge_opts o = { .unopened = on_unopened, .ctx = &seen };
	struct build b;
	char *path[3] = { "/nonexistent/1", NULL, "/nonexistent/2" }, *none[2] = { "/nonexistent/1", "/nonexistent/2" };
	struct tape_merge *m;
	struct diag d = {};

	make(&b, 0, "a", 1, 0, 1);
	path[1] = (char *)build__path(&b);
	assert_int_equal(tape_merge__open(path, 3, &o, &m, &d), 0);
	assert_int_equal(seen, 13);
	assert_int_equal(tape_merge__cnt(m), 1);
	tape_merge__free(m);
	assert_int_equal(tape_merge__open(none, 2, &o, &m, &d), -ENOENT);
	assert_non_null(strstr(d.text, "none of these 2"));
	build__done(&b);
}

static void missing(void **state)
{
	struct build b;
	char *path[2] = { NULL, "/nonexistent" };
	struct tape_merge *m;
	struct diag d = {};

	make(&b, 0, "a", 1, 0, 1);
	path[0] = (char *)build__path(&b);
	assert_int_equal(tape_merge__open(path, 2, NULL, &m, &d), -ENOENT);
	assert_non_null(strstr(d.text, "/nonexistent"));
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two),
		cmocka_unit_test(earlier_and_cut),
		cmocka_unit_test(alone),
		cmocka_unit_test(what_is_closed_is_still_followed),
		cmocka_unit_test(numbers_beyond_all_counting),
		cmocka_unit_test(many),
		cmocka_unit_test(those_that_open),
		cmocka_unit_test(missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
