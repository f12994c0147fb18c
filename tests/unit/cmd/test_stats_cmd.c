/* SPDX-License-Identifier: MIT */
/* `stats` as a command: its three forms, the histogram, several tapes, manners, hostile names, bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "run_cmd.h"
#include "tape/tape_build.h"

static void expect(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void contains(char *got, const char *want)
{
	if (!strstr(got, want))
		fail_msg("no \"%s\" in:\n%s", want, got);
	free(got);
}

static void forms(void **state)
{
	struct build b;
	int status;
	char *path;

	build__example(&b);
	path = (char *)build__path(&b);
	contains(RUN_TEXT(cmd_stats, &status, path),
		 "       1  1666667        0    600ns    600ns    600ns    600ns    600ns    600ns    400ns    600ns    400ns    "
		 "200ns        0   demo: work\n");
	assert_int_equal(status, EXIT_DONE);
	contains(RUN_TEXT(cmd_stats, &status, path), "over 600ns; all numbers are exact\n");
	expect(RUN_TEXT(cmd_stats, &status, "--csv", path),
	       "kind,level,target,name,count,rate_per_s,errors,min_ns,q1_ns,median_ns,q3_ns,p99_ns,max_ns,self_ns,total_ns,busy_ns,"
	       "idle_ns,open,quantile_error\n"
	       "span,INFO,\"demo\",\"work\",1,1.66667e+06,0,600,600,600,600,600,600,400,600,400,200,0,0\n"
	       "event,WARN,\"demo\",\"ev\",1,1.66667e+06,0,,,,,,,,,,,,\n");
	expect(RUN_TEXT(cmd_stats, &status, "--json", "--sort=name", "--by=n", path),
	       "{\"type\":\"stats\",\"kind\":\"event\",\"level\":\"WARN\",\"target\":\"demo\",\"name\":\"ev\",\"by\":\"n\",\"value\":\"\","
	       "\"count\":1,\"rate_per_s\":1.66667e+06,\"errors\":0}\n"
	       "{\"type\":\"stats\",\"kind\":\"span\",\"level\":\"INFO\",\"target\":\"demo\",\"name\":\"work\",\"by\":\"n\",\"value\":\"42\","
	       "\"count\":1,\"rate_per_s\":1.66667e+06,\"errors\":0,\"min_ns\":600,\"q1_ns\":600,\"median_ns\":600,\"q3_ns\":600,"
	       "\"p99_ns\":600,\"max_ns\":600,\"self_ns\":400,\"total_ns\":600,\"busy_ns\":400,\"idle_ns\":200,\"open\":0,"
	       "\"quantile_error\":0}\n"
	       "{\"type\":\"stats_range\",\"range_ns\":600,\"groups\":2,\"lost\":0,\"other_values\":0}\n");
	contains(RUN_TEXT(cmd_stats, &status, "--histogram=demo::work", path), "demo: work: 1 spans\n 500ns -    1us          1 ");
	/* the same program's tapes are one: its callsites too */
	contains(RUN_TEXT(cmd_stats, &status, "--csv", path, path),
		 "span,INFO,\"demo\",\"work\",2,3.33333e+06,0,600,600,600,600,600,600,800,1200,800,400,0,0\n");
	contains(RUN_TEXT(cmd_stats, &status, "--top=1", path), "1 more (--top 0 shows all)\n");
	build__done(&b);
}

/* Names that want to be formulas, columns, escapes or objects. */
static void hostile_names(void **state)
{
	struct build b;
	int status;
	char *path, *got, *at;

	build__init(&b, 20, 0);
	build__callsite(&b, 0x0a, 1, "=x(1)\",\"\x1b[2J\n\xff", 0);
	build__open(&b, 5, 1, 1, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 5, 1, 7);
	build__exit(&b, 5, 2);
	build__close(&b, 5, 2);
	path = (char *)build__path(&b);
	contains(RUN_TEXT(cmd_stats, &status, "--csv", path), "\"'=x(1)\"\",\"\"\\x1b[2J\\n\xef\xbf\xbd\"");
	contains(RUN_TEXT(cmd_stats, &status, "--json", path), "\"=x(1)\\\",\\\"\\u001b[2J\\n\xef\xbf\xbd\"");
	got = RUN_TEXT(cmd_stats, &status, path);
	for (at = got; *at; at++)
		assert_true((u8)*at >= 0x20 || *at == '\n');
	free(got);
	build__done(&b);
}

static void manners(void **state)
{
	int ends[2], full = open("/dev/full", O_WRONLY), status;
	char path[64], empty[64];
	struct build b, e;

	build__example(&b);
	strcpy(path, build__path(&b));
	build__init(&e, 20, 0);
	strcpy(empty, build__path(&e));
	assert_int_equal(RUN(cmd_stats, -1, path), EXIT_DONE);
	assert_int_equal(RUN(cmd_stats, -1, empty), EXIT_DONE);
	assert_int_equal(RUN(cmd_stats, -1, "/nonexistent"), EXIT_FAILED);
	assert_int_equal(RUN(cmd_stats, -1, "/dev/null"), EXIT_FAILED);
	assert_int_equal(RUN(cmd_stats, -1, "--histogram=none", path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_stats, -1, "--csv", "--json", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_stats, -1, "--csv", "--histogram=work", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_stats, -1, "--sort=size", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_stats, -1, "--top=-1", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_stats, -1, "--json"), EXIT_USAGE);
	assert_int_equal(RUN(cmd_stats, full, path), EXIT_FAILED);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(RUN(cmd_stats, ends[1], path), EXIT_DONE);
	close(ends[1]);
	b.bytes -= 5; /* torn */
	build__path(&b);
	contains(RUN_TEXT(cmd_stats, &status, path), "demo: work\n");
	assert_int_equal(status, EXIT_FAILED);
	build__done(&b);
	build__done(&e);
	close(full);
}

static void bad_tapes(void **state)
{
	struct build b;
	size_t bytes, i;
	char path[64];
	int status;

	build__everything(&b, 16);
	strcpy(path, build__path(&b));
	bytes = b.bytes;
	for (i = 0; i < bytes; i += 31) {
		b.bytes = i;
		build__path(&b);
		status = RUN(cmd_stats, -1, "--by=n", path);
		assert_true(status == EXIT_DONE || status == EXIT_FAILED);
		b.bytes = bytes;
		b.data[i] ^= 1 << (i % 8);
		build__path(&b);
		status = RUN(cmd_stats, -1, "--json", path);
		assert_true(status == EXIT_DONE || status == EXIT_FAILED);
		b.data[i] ^= 1 << (i % 8);
	}
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(manners),
		cmocka_unit_test(bad_tapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
