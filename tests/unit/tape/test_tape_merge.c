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
	run_merged(b, 2, "open 1 b parent 0 root at -50 by ?\nenter 1 T8 at -40\nexit 1 T8 at -40 cut\nclose 1 at -40 cut\n"
			 "open 2 a parent 0 root at 10 by ?\nenter 2 T7 at 10\nexit 2 T7 at 300\nclose 2 at 300\n");
}

static void alone(void **state)
{
	struct build b[1];

	make(&b[0], 1000, "a", 5, 10, 300);
	run_merged(b, 1, "open 1 a parent 0 root at 10 by ?\nenter 1 T7 at 10\nexit 1 T7 at 300\nclose 1 at 300\n");
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
		cmocka_unit_test(missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
