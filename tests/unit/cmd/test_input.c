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
	contains(FLAME("--wall", "--from=+300ns", path), "outer 300\nouter;inner 300\n");
	contains(FLAME("--busy", "--from=+300ns", path), "outer 300\nouter;inner 300\n");
	contains(RUN_TEXT(cmd_stats, &status, "--csv", "--from=+300ns", "--to=+600ns", path),
		 "kind,level,target,name,count,rate_per_s,errors,min_ns,q1_ns,median_ns,q3_ns,p99_ns,max_ns,self_ns,total_ns,"
		 "busy_ns,idle_ns,open,quantile_error\n"
		 "span,INFO,\"t\",\"outer\",1,3.33333e+06,0,,,,,,,100,500,300,0,1,\n"
		 "span,DEBUG,\"t\",\"inner\",2,6.66667e+06,0,200,200,200,200,200,200,200,300,200,0,1,0\n");
	contains(FLAME("--max-depth=1", path), "outer 800\n");
	contains(FLAME("--max-depth=1", "--reverse", path), "inner 400\nouter 400\n");
	assert_int_equal(RUN(cmd_flame, -1, "--max-depth=0", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--max-depth=1025", path), EXIT_USAGE);
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
	assert_int_equal(RUN(cmd_flame, -1, "--level=loud", path), EXIT_USAGE);
	/* names that are no words */
	contains(FLAME("--name=a \"b\\", path), "");
	contains(FLAME("--field=n=\"", path), "");
	contains(FLAME("--target=t(.*", path), "");
	build__done(&b);
}

/* What is recorded after the opening counts, and how long it took: spans are judged by all that they came to be. */
static void filters_by_what_became_of_it(void **state)
{
	struct build b;
	u64 status_code = 500;
	int status;
	char *path;

	build__init(&b, 20, BASE);
	build__callsite(&b, 0x09, 1, "request", 1);
	build__field(&b, 1, 11, "status");
	build__callsite(&b, 0x09, 2, "query", 0);
	for (u64 i = 0; i < 3; i++) { /* 100 ns, 200 ns, 300 ns; the second one fails; each is entered for 50 */
		build__open(&b, 1, 1, 1000 * i, 0, TAPE_PARENT_ROOT);
		build__enter(&b, 1, 1000 * i, 7);
		build__open(&b, 2, 2, 1000 * i + 10, 1, TAPE_PARENT_EXPLICIT);
		build__enter(&b, 2, 1000 * i + 10, 7);
		build__exit(&b, 2, 1000 * i + 30);
		build__close(&b, 2, 1000 * i + 30);
		if (i == 1)
			build__u64(&b, TAPE_SPAN_VALUE, 11, 1, status_code);
		build__exit(&b, 1, 1000 * i + 50);
		build__close(&b, 1, 1000 * i + 100 * (i + 1));
	}
	path = (char *)build__path(&b);
	contains(FLAME("--count", "--field=status=500", path), "request 1\n");
	contains(FLAME("--count", "--filter=status?", path), "request 1\n");
	contains(FLAME("--wall", "--filter=duration>150ns", path), "request 500\n");
	contains(FLAME("--wall", "--filter=duration>150ns and not status?", path), "request 300\n");
	contains(FLAME("--count", "--filter=busy<=20ns", path), "query 3\n");
	contains(FLAME("--count", "--filter=idle>200ns", path), "request 1\n");
	/* events have no times; the cut does not change how long a span took */
	contains(FLAME("--filter=duration>250ns", "--from=+2020ns", path), "request 30\n");
	contains(FLAME("--filter=duration>250ns", "--last=90ns", path), "");
	contains(FLAME("--count", "--name=query", path), "query 3\n");
	build__done(&b);
}

/* A cut of several tapes is as exact as one of one: 3000 spans of 10 ns in each. */
static void a_cut_of_several_is_exact(void **state)
{
	struct build b[2];
	char path[2][64];
	int status;

	for (u32 i = 0; i < 2; i++) {
		build__init(&b[i], 20, BASE);
		build__callsite(&b[i], 0x09, 1, i ? "b" : "a", 0);
		for (u64 k = 0; k < 3000; k++) {
			build__open(&b[i], 1, 1, 10 * k, 0, TAPE_PARENT_ROOT);
			build__enter(&b[i], 1, 10 * k, 7);
			build__exit(&b[i], 1, 10 * k + 10);
			build__close(&b[i], 1, 10 * k + 10);
		}
		strcpy(path[i], build__path(&b[i]));
	}
	contains(FLAME("--from=+29900ns", path[0], path[1]), "a 100\nb 100\n");
	contains(FLAME("--from=+100ns", "--to=+120ns", path[0], path[1]), "a 20\nb 20\n");
	build__done(&b[0]);
	build__done(&b[1]);
}

/* Times at both ends of what a tape can say: no cut is taken for one that was not asked for. */
static void times_at_the_ends_of_time(void **state)
{
	static char *const cuts[] = { "--from=+0s", "--to=+1s", "--last=1s", "--last=1h", "--from=2200-01-01", "--to=1800-01-01" };
	struct build b;
	int status;
	char *path;

	build__init(&b, 20, BASE);
	build__callsite(&b, 0x09, 1, "s", 0);
	build__open(&b, 1, 1, INT64_MIN, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 1, INT64_MIN, 7);
	build__open(&b, 2, 1, INT64_MAX, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 2, INT64_MAX, 8);
	build__exit(&b, 1, INT64_MAX);
	build__open(&b, 3, 1, 5, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 3, INT64_MAX, 9);
	path = (char *)build__path(&b);
	for (u32 i = 0; i < ARRAY_SIZE(cuts); i++) {
		assert_int_equal(RUN(cmd_dump, -1, "--tree", cuts[i], path), EXIT_DONE);
		assert_int_equal(RUN(cmd_flame, -1, "--chart", cuts[i], path, path), EXIT_DONE);
		assert_int_equal(RUN(cmd_stats, -1, "--json", cuts[i], "--filter=duration>1s", path), EXIT_DONE);
	}
	contains(FLAME("--last=1s", path), "s 1000000000\n");
	build__done(&b);
}

/* As cat does: the others are read, the exit status tells. */
static void one_that_is_missing(void **state)
{
	struct build b;
	int status;
	char *path, *text;

	make(&b, BASE);
	path = (char *)build__path(&b);
	contains(FLAME("/nonexistent", path, "/etc/passwd"), "outer 400\nouter;inner 400\n");
	assert_int_equal(status, EXIT_FAILED);
	text = RUN_TEXT(cmd_dump, &status, "--json", "/nonexistent", path, "/etc/passwd");
	assert_int_equal(status, EXIT_FAILED);
	assert_non_null(strstr(text, path));
	assert_null(strstr(text, "nonexistent"));
	assert_non_null(strstr(text, "\"totals\""));
	free(text);
	text = RUN_TEXT(cmd_stats, &status, "--csv", path, "/nonexistent");
	assert_int_equal(status, EXIT_FAILED);
	assert_non_null(strstr(text, "\"inner\",2,"));
	free(text);
	contains(FLAME("/nonexistent", "/nonexistent2"), "");
	assert_int_equal(status, EXIT_FAILED);
	contains(FLAME("--diff", path, "/nonexistent"), "");
	assert_int_equal(status, EXIT_FAILED);
	build__done(&b);
}

/*
 * More than stdio keeps: the write that fails is not the last one, and stdio does not say what it failed with. Whoever closed the
 * pipe has seen enough; a full disk is a failure.
 */
static void long_outputs_into_a_closed_pipe(void **state)
{
	int ends[2], full = open("/dev/full", O_WRONLY);
	struct build b;
	char *path, name[16];

	build__init(&b, 20, BASE);
	for (u64 i = 1; i <= 400; i++) {
		snprintf(name, sizeof(name), "s%u", (u32)i);
		build__callsite(&b, 0x09, i, name, 0);
		build__open(&b, i, i, 100 * i, 0, TAPE_PARENT_ROOT);
		build__enter(&b, i, 100 * i, 7);
		build__exit(&b, i, 100 * i + 50);
		build__close(&b, i, 100 * i + 50);
	}
	path = (char *)build__path(&b);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
#define BOTH(cmd, ...) \
	do { \
		assert_int_equal(RUN(cmd, ends[1], __VA_ARGS__, path), EXIT_DONE); \
		assert_int_equal(RUN(cmd, full, __VA_ARGS__, path), EXIT_FAILED); \
	} while (0)
	BOTH(cmd_stats, "--json");
	BOTH(cmd_stats, "--csv");
	BOTH(cmd_stats, "--top=0");
	BOTH(cmd_flame, "--quiet");
	BOTH(cmd_flame, "--chart");
	BOTH(cmd_flame, "--folded");
	BOTH(cmd_flame, "--folded", "--order=time");
	BOTH(cmd_dump, "--tree");
	BOTH(cmd_dump, "--json");
	BOTH(cmd_export, "--format=go", "--output=-");
#undef BOTH
	close(ends[1]);
	close(full);
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
		cmocka_unit_test(filters_by_what_became_of_it),
		cmocka_unit_test(a_cut_of_several_is_exact),
		cmocka_unit_test(one_that_is_missing),
		cmocka_unit_test(long_outputs_into_a_closed_pipe),
		cmocka_unit_test(times_at_the_ends_of_time),
		cmocka_unit_test(several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
