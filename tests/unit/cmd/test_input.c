/* SPDX-License-Identifier: MIT */
/* What the reading commands share: moments as people give them, cuts, filters, several tapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cmd/input_opts.h"
#include "run_cmd.h"
#include "tape/tape_build.h"

#define BASE 1700000000000000000 /* 2023-11-14T22:13:20Z */
#define S 1000000000LL

static void moments(void **state)
{
	static const struct {
		const char *text;
		s64 unix_ns;
	} rows[] = {
		{ "2023-11-14T22:13:20Z", BASE },
		{ "2023-11-14 22:13:20.5", BASE + S / 2 },
		{ "2023-11-14T22:13", BASE - 20 * S },
		{ "2023-11-15", BASE - (22 * 3600 + 13 * 60 + 20) * S + 86400 * S },
		{ "22:13:21", BASE + S },
		{ "22:13:20.000000001Z", BASE + 1 },
		{ "00:00:01", BASE - (22 * 3600 + 13 * 60 + 20) * S + 86401 * S }, /* past midnight */
		{ "@1700000000.25", BASE + S / 4 },
		{ "@0", 0 },
		{ "+1.5s", BASE + 3 * S / 2 },
		{ "+250ms", BASE + S / 4 },
	};
	static const char *const bad[] = { "", "x", "25:00", "12:61", "2023-13-01", "2023-11-14T", "2023-11-14T22:13:20+01:00", "@",
					   "@-1", "@1x", "+", "+1y", "12", "22:13:20 ", "@99999999999999999999" };
	struct input_time t;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(input_time__parse(rows[i].text, &t), 0);
		assert_int_equal(input_time__unix_ns(&t, BASE), rows[i].unix_ns);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_not_equal(input_time__parse(bad[i], &t), 0);
}

static void contains(char *got, const char *want)
{
	if (strcmp(got, want))
		fail_msg("expected:\n%s\ngot:\n%s", want, got);
	free(got);
}

/* outer 100 .. 900 on thread 7, inner 200 .. 400 and 500 .. 700 in it */
static void make(struct build *b, s64 base)
{
	build__init(b, 20, base);
	build__callsite(b, 0x0a, 1, "outer", 0);
	build__callsite(b, 0x09, 2, "inner", 1);
	build__field(b, 2, 21, "n");
	build__open(b, 1, 1, 100, 0, TAPE_PARENT_ROOT);
	build__enter(b, 1, 100, 7);
	for (u64 i = 0; i < 2; i++) {
		build__open(b, 2 + i, 2, 200 + 300 * i, 1, TAPE_PARENT_EXPLICIT);
		build__value(b, TAPE_SPAN_VALUE, TAPE_U64, 21, 2 + i, &i, 8);
		build__enter(b, 2 + i, 200 + 300 * i, 7);
		build__exit(b, 2 + i, 400 + 300 * i);
		build__close(b, 2 + i, 400 + 300 * i);
	}
	build__exit(b, 1, 900);
	build__close(b, 1, 900);
}

#define FLAME(...) RUN_TEXT(cmd_flame, &status, "--folded", __VA_ARGS__)

static void cuts(void **state)
{
	struct build b;
	int status;
	char *path;

	make(&b, BASE);
	path = (char *)build__path(&b);
	contains(FLAME(path), "outer 400\nouter;inner 400\n");
	/* what is open at the beginning is there, and counts from there; what is open at the end ends there */
	contains(FLAME("--from=+300ns", path), "outer 300\nouter;inner 300\n");
	contains(FLAME("--to=+600ns", path), "outer 200\nouter;inner 300\n");
	contains(FLAME("--from=+300ns", "--to=+600ns", path), "outer 100\nouter;inner 200\n");
	contains(FLAME("--from=@1700000000.0000003", "--to=22:13:20.0000006", path), "outer 100\nouter;inner 200\n");
	contains(FLAME("--last=250ns", path), "outer 200\nouter;inner 50\n");
	contains(FLAME("--last=1h", path), "outer 400\nouter;inner 400\n");
	contains(FLAME("--from=+5s", path), "");
	contains(FLAME("--to=2000-01-01", path), "");
	/* the first line of a thread counts from where the tape was cut */
	contains(FLAME("--from=+300ns", "--style=tracing-flame", path),
		 "ThreadId(1) 0\nThreadId(1);m::outer 300\nThreadId(1);m::outer;m::inner 300\n");
	assert_int_equal(RUN(cmd_flame, -1, "--from=+5s", "--to=+1s", path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_flame, -1, "--from=+5s", "--last=1s", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--last=1s", "-"), EXIT_FAILED);
	assert_int_equal(RUN(cmd_stats, -1, "--from=yesterday", path), EXIT_USAGE);
	build__done(&b);
}

static void filters(void **state)
{
	struct build b;
	int status;
	char *path;

	make(&b, BASE);
	path = (char *)build__path(&b);
	contains(FLAME("--name=inner", path), "inner 400\n");
	contains(FLAME("--level=info", path), "outer 800\n");
	contains(FLAME("--level=INFO", "--name=inner", path), "");
	contains(FLAME("--target=t", path), "outer 400\nouter;inner 400\n");
	contains(FLAME("--target=other", path), "");
	contains(FLAME("--field=n", path), "inner 400\n");
	contains(FLAME("--field=n=1", "--label=n", path), "inner n=1 200\n");
	contains(FLAME("--filter=n==0 or name==outer", path), "outer 600\nouter;inner 200\n");
	contains(FLAME("--filter=n==0 or name==outer", "--from=+300ns", path), "outer 500\nouter;inner 100\n");
	assert_int_equal(RUN(cmd_flame, -1, "--filter=n==", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--filter=duration>5ms", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--level=loud", path), EXIT_USAGE);
	/* names that are no words */
	contains(FLAME("--name=a \"b\\", path), "");
	contains(FLAME("--field=n=\"", path), "");
	contains(FLAME("--target=t(.*", path), "");
	build__done(&b);
}

static void several(void **state)
{
	struct build a, b;
	char first[64], second[64];
	int status;

	make(&a, BASE);
	make(&b, BASE + 50);
	strcpy(first, build__path(&a));
	strcpy(second, build__path(&b));
	contains(FLAME(second, first), "outer 800\nouter;inner 800\n");
	contains(FLAME("--order=time", "--name=inner", "--label=n", first, second),
		 "inner n=0 200\ninner n=0 200\ninner n=1 200\ninner n=1 200\n");
	/* the first tape's clock is the one that counts */
	contains(FLAME("--name=inner", "--to=+450ns", first, second), "inner 400\n");
	contains(FLAME("--name=inner", "--to=+400ns", second, first), "inner 400\n");
	build__done(&a);
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments),
		cmocka_unit_test(cuts),
		cmocka_unit_test(filters),
		cmocka_unit_test(several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
