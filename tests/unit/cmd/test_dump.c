/* SPDX-License-Identifier: MIT */
/* The three views of `dump`, and the command's manners: exit status, full disks, closed pipes, hostile names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "base/text.h"
#include "cmd/show.h"
#include "tape/tape_build.h"
#include "tape/tape_reader.h"
#include "run_cmd.h"

static s64 unix_ns(void *ctx, u64 time_ns)
{
	return tape_reader__unix_ns(ctx, time_ns);
}

typedef int (*view_fn)(struct view *, const struct show *);

static char *seen(struct build *b, view_fn make, struct show show)
{
	struct tape_reader *r;
	struct view v;
	char *text = NULL;
	size_t bytes;

	assert_int_equal(tape_reader__open(build__path(b), NULL, &r, NULL), 0);
	show.out = open_memstream(&text, &bytes);
	show.unix_ns = unix_ns;
	show.ctx = r;
	show.base_ns = tape_reader__intro(r)->base_unix_ns;
	assert_int_equal(make(&v, &show), 0);
	assert_int_equal(tape_reader__run(r, &v.sink, 0), 0);
	if (v.finish)
		v.finish(v.sink.ctx);
	v.free(v.sink.ctx);
	fclose(show.out);
	tape_reader__free(r);
	return text;
}

static void shows(struct build *b, view_fn make, struct show show, const char *want)
{
	char *got = seen(b, make, show);

	assert_string_equal(got, want);
	free(got);
	build__done(b);
}

#define T0 "2023-11-14T22:13:20.00000"

static void text(void **state)
{
	struct build b;

	build__example(&b);
	shows(&b, view__text, (struct show){}, T0 "1Z  WARN work{n=42}: demo: hi\n");
	build__example(&b);
	shows(&b, view__text, (struct show){ .threads = true }, T0 "1Z  WARN 1234 work{n=42}: demo: hi\n");
	build__example(&b);
	shows(&b, view__text, (struct show){ .spans = true },
	      T0 "1Z  INFO work{n=42}: demo: new\n"
	      T0 "1Z  INFO work{n=42}: demo: enter\n"
	      T0 "1Z  WARN work{n=42}: demo: hi\n"
	      T0 "1Z  INFO work{n=42}: demo: exit\n"
	      T0 "1Z  INFO work{n=42}: demo: close time.busy=400ns time.idle=200ns\n");
	build__example(&b);
	shows(&b, view__text, (struct show){ .color = true },
	      "\x1b[2m" T0 "1Z\x1b[0m \x1b[33m WARN\x1b[0m \x1b[1mwork\x1b[0m{n=42}: \x1b[2mdemo:\x1b[0m hi\n");
}

static void tree(void **state)
{
	struct build b;

	build__example(&b);
	shows(&b, view__tree, (struct show){},
	      T0 "1Z demo: work{n=42} 600ns, busy 400ns [1234]\n"
		 "\u2514\u2500 +200ns WARN ev: hi\n");
	build__everything(&b, 16);
	shows(&b, view__tree, (struct show){},
	      T0 "0Z INFO t: ev: a=166599134359138271745 b=true [worker/102]\n"
	      T0 "0Z t: sp{a=5.447603722011605e-270 b=\"text\"...(95 bytes more)} 10ns, busy 9ns, entered 2 times [main/101]\n"
		 "\u251c\u2500 +7ns INFO ev: a=no\\x1b b=578437695752307201\n"
		 "\u2514\u2500 +8ns bare 1ns (abandoned: an outer span ended first)\n"
	      T0 "0Z LOSS 3 records lost: ring_full\n"
	      T0 "0Z TRIGGER exit: shop\\x1b!\n");
}

/* A root that stays open: what is kept is bounded, and nothing is printed twice or left out. */
static void tree_with_a_bound(void **state)
{
	struct build b;
	char *got, *at;
	u32 i, lines = 0, leaves = 0, continued = 0;

	build__init(&b, 20, 0);
	build__callsites(&b);
	build__open(&b, 1, 3, 0, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 1, 0, 7);
	for (i = 0; i < 100; i++) {
		build__open(&b, 2, 1, i, 0, TAPE_PARENT_CURRENT);
		build__u64(&b, TAPE_SPAN_VALUE, 11, 2, 1000 + i);
		build__enter(&b, 2, i, 7);
		build__event(&b, 2, i, 7, 0);
		build__exit(&b, 2, i);
		build__close(&b, 2, i);
	}
	build__exit(&b, 1, 100);
	build__close(&b, 1, 100);
	got = seen(&b, view__tree, (struct show){ .max_nodes = 11 });
	for (at = got; (at = strstr(at, "sp{a=1")); at++)
		leaves += !strstr(at, "(open") || strchr(at, '\n') < strstr(at, "(open");
	for (at = got; (at = strchr(at, '\n')); at++)
		lines++;
	for (at = got; (at = strstr(at, "(continued from above)")); at++)
		continued++;
	assert_true(leaves >= 100);
	assert_true(continued >= 15);
	/* 100 spans, 100 events, the root; and a line for each span that is continued */
	assert_int_equal(lines, 201 + continued);
	free(got);
	build__done(&b);
}

static void json(void **state)
{
	struct build b;

	build__example(&b);
	shows(&b, view__json, (struct show){},
	      "{\"type\":\"callsite\",\"callsite\":1,\"kind\":\"span\",\"level\":\"INFO\",\"target\":\"demo\",\"name\":\"work\","
	      "\"module\":\"demo\",\"file\":\"a.c\",\"line\":7,\"fields\":[{\"name\":\"n\"}]}\n"
	      "{\"type\":\"process\",\"t_ns\":1100,\"time_ns\":1700000000000001100,\"time\":\"" T0 "1100Z\",\"process\":0,"
	      "\"pid\":0,\"comm\":\"\"}\n"
	      "{\"type\":\"thread\",\"t_ns\":1100,\"time_ns\":1700000000000001100,\"time\":\"" T0 "1100Z\",\"thread\":1234,"
	      "\"process\":0,\"pid\":0,\"tid\":1234,\"thread_name\":\"\"}\n"
	      "{\"type\":\"span_open\",\"t_ns\":1000,\"time_ns\":1700000000000001000,\"time\":\"" T0 "1000Z\",\"span\":1,"
	      "\"parent\":null,\"parent_kind\":\"current\",\"level\":\"INFO\",\"target\":\"demo\",\"name\":\"work\","
	      "\"callsite\":1,\"thread\":1234,\"tid\":1234,\"fields\":{\"n\":42},\"types\":{\"n\":\"u64\"}}\n"
	      "{\"type\":\"span_enter\",\"t_ns\":1100,\"time_ns\":1700000000000001100,\"time\":\"" T0 "1100Z\",\"span\":1,"
	      "\"thread\":1234,\"tid\":1234}\n"
	      "{\"type\":\"callsite\",\"callsite\":2,\"kind\":\"event\",\"level\":\"WARN\",\"target\":\"demo\",\"name\":\"ev\","
	      "\"module\":\"demo\",\"file\":\"a.c\",\"line\":9,\"fields\":[{\"name\":\"message\"}]}\n"
	      "{\"type\":\"event\",\"t_ns\":1200,\"time_ns\":1700000000000001200,\"time\":\"" T0 "1200Z\",\"level\":\"WARN\","
	      "\"target\":\"demo\",\"name\":\"ev\",\"callsite\":2,\"span\":1,\"parent_kind\":\"current\",\"thread\":1234,"
	      "\"tid\":1234,\"fields\":{\"message\":\"hi\"},\"types\":{\"message\":\"str\"}}\n"
	      "{\"type\":\"span_exit\",\"t_ns\":1500,\"time_ns\":1700000000000001500,\"time\":\"" T0 "1500Z\",\"span\":1,"
	      "\"thread\":1234,\"tid\":1234}\n"
	      "{\"type\":\"span_close\",\"t_ns\":1600,\"time_ns\":1700000000000001600,\"time\":\"" T0 "1600Z\",\"span\":1,"
	      "\"level\":\"INFO\",\"target\":\"demo\",\"name\":\"work\",\"thread\":1234,\"tid\":1234,\"duration_ns\":600,"
	      "\"busy_ns\":400,\"entries\":1}\n");
}

/* --- JSON that is none would be found by this: a recogniser of RFC 8259 for one value ---------------------- */

static const char *value_end(const char *s);

static const char *string_end(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((u8)*s < 0x20)
			return NULL;
		if (*s == '\\') {
			s++;
			if (*s == 'u' && strspn(s + 1, "0123456789abcdefABCDEF") < 4)
				return NULL;
			if (!strchr("\"\\/bfnrtu", *s))
				return NULL;
		}
	}
	return s + 1;
}

static const char *number_end(const char *s)
{
	s += *s == '-';
	if (*s < '0' || *s > '9')
		return NULL;
	s += *s == '0' ? 1 : strspn(s, "0123456789");
	if (*s == '.') {
		if (!strspn(s + 1, "0123456789"))
			return NULL;
		s += 1 + strspn(s + 1, "0123456789");
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '+' || *s == '-';
		if (!strspn(s, "0123456789"))
			return NULL;
		s += strspn(s, "0123456789");
	}
	return s;
}

static const char *items_end(const char *s, char close, bool keys)
{
	if (*s == close)
		return s + 1;
	for (;; s++) {
		if (keys) {
			s = string_end(s);
			if (!s || *s++ != ':')
				return NULL;
		}
		s = value_end(s);
		if (!s)
			return NULL;
		if (*s == close)
			return s + 1;
		if (*s != ',')
			return NULL;
	}
}

static const char *value_end(const char *s)
{
	static const char *const words[] = { "true", "false", "null" };
	u32 i;

	if (*s == '{')
		return items_end(s + 1, '}', true);
	if (*s == '[')
		return items_end(s + 1, ']', false);
	if (*s == '"')
		return string_end(s);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strncmp(s, words[i], strlen(words[i])))
			return s + strlen(words[i]);
	return number_end(s);
}

static void assert_ndjson(const char *s)
{
	const char *end;

	assert_true(text__is_utf8(s, strlen(s)));
	for (; *s; s = end + 1) {
		end = value_end(s);
		if (!end || *end != '\n')
			fail_msg("no JSON: %.300s", s);
	}
}

static void json_of_damaged_tapes(void **state)
{
	struct build b;
	char *got;
	u32 i;

	build__everything(&b, 16);
	for (i = TAPE_INTRO_BYTES; i < b.bytes; i++) {
		u8 was = b.data[i];

		b.data[i] ^= 1 << (i % 8);
		got = seen(&b, view__json, (struct show){});
		assert_ndjson(got);
		free(got);
		b.data[i] = was;
	}
	build__done(&b);
}

/* Odd names, odd numbers, a name twice. */
static void json_of_odd_values(void **state)
{
	static const double odd[] = { NAN, INFINITY, -INFINITY, 0.1, 1e300, 5 };
	struct build b;
	char *got;
	u32 i;

	build__init(&b, 20, 0);
	build__callsite(&b, 0x02, 9, "\"\\\x01\xff", 6);
	for (i = 0; i < 6; i++)
		build__field(&b, 9, i, "same\"");
	build__event(&b, 9, 1, 7, 6);
	for (i = 0; i < 6; i++)
		build__value(&b, TAPE_EVENT_VALUE, TAPE_F64, i, 7, &odd[i], 8);
	got = seen(&b, view__json, (struct show){});
	assert_ndjson(got);
	assert_non_null(strstr(got, "\"fields\":{\"same\\\"\":\"NaN\",\"same\\\"#2\":\"inf\",\"same\\\"#3\":\"-inf\","
				    "\"same\\\"#4\":0.1,\"same\\\"#5\":1e+300,\"same\\\"#6\":5.0}"));
	free(got);
	build__done(&b);
}

static void terminals_are_safe(void **state)
{
	static const view_fn views[] = { view__text, view__tree };
	struct build b;
	char *got, *at;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(views); i++) {
		build__init(&b, 20, 0);
		build__callsite(&b, 0x0a, 1, "sp\x1b[2J\n", 1);
		build__field(&b, 1, 11, "f\x07");
		build__callsite(&b, 0x02, 2, "ev\r\x9b", 1);
		build__field(&b, 2, 12, "g\x1b");
		build__open(&b, 5, 1, 1, 0, TAPE_PARENT_CURRENT);
		build__value(&b, TAPE_SPAN_VALUE, TAPE_STR, 11, 5, "\x1b]0;x\x07", 6);
		build__enter(&b, 5, 1, 7);
		build__event(&b, 2, 1, 7, 1);
		build__value(&b, TAPE_EVENT_VALUE, TAPE_ERROR, 12, 7, "\xe2\x80\xae\x1b", 4);
		build__exit(&b, 5, 2);
		build__close(&b, 5, 2);
		got = seen(&b, views[i], (struct show){ .spans = true, .threads = true });
		for (at = got; *at; at++)
			assert_true((u8)*at >= 0x20 || *at == '\n');
		assert_null(strstr(got, "\xe2\x80\xae"));
		assert_true(text__is_utf8(got, strlen(got)));
		free(got);
		build__done(&b);
	}
}

/* --- the commands ------------------------------------------------------------------------------------------- */

static void exit_status(void **state)
{
	char path[64];
	struct build b;
	int ends[2], full = open("/dev/full", O_WRONLY);

	build__example(&b);
	strcpy(path, build__path(&b));
	assert_int_equal(RUN(cmd_dump, -1, path), EXIT_DONE);
	assert_int_equal(RUN(cmd_dump, -1, "--tree", path), EXIT_DONE);
	assert_int_equal(RUN(cmd_dump, -1, "--json", path, path), EXIT_DONE);
	assert_int_equal(RUN(cmd_verify, -1, path), EXIT_DONE);
	assert_int_equal(RUN(cmd_verify, -1, "--json", path), EXIT_DONE);
	assert_int_equal(RUN(cmd_dump, -1, "/nonexistent"), EXIT_FAILED);
	assert_int_equal(RUN(cmd_dump, -1, "/nonexistent", path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_verify, -1, path, "/nonexistent"), EXIT_FAILED);
	assert_int_equal(RUN(cmd_dump, -1, "--tree", "--json", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_dump, -1, "--no-such-option", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_dump, -1, "--max-nodes=0", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_verify, -1, "--max=many", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_dump, -1, "--tree"), EXIT_USAGE);
	assert_int_equal(RUN(cmd_verify, -1, "--quiet"), EXIT_USAGE);

	assert_int_equal(RUN(cmd_dump, full, path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_verify, full, path), EXIT_FAILED);
	/* a reader that has seen enough is no failure, and no signal */
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(RUN(cmd_dump, ends[1], path), EXIT_DONE);
	assert_int_equal(RUN(cmd_verify, ends[1], path), EXIT_DONE);
	close(ends[1]);

	b.bytes -= 5; /* torn */
	build__path(&b);
	assert_int_equal(RUN(cmd_dump, -1, path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_verify, -1, path), EXIT_FAILED);
	b.bytes = TAPE_INTRO_BYTES; /* empty, and valid */
	build__path(&b);
	assert_int_equal(RUN(cmd_dump, -1, "--tree", path), EXIT_DONE);
	assert_int_equal(RUN(cmd_verify, -1, path), EXIT_DONE);
	build__done(&b);
	close(full);
}

/* Three digits, whatever rounding makes of them; long recordings in whole seconds. */
static void durations(void **state)
{
	static const struct {
		u64 ns;
		const char *want;
	} rows[] = {
		{ 0, "0ns" }, { 999, "999ns" }, { 1000, "1us" }, { 1500, "1.5us" }, { 99950, "100us" }, { 999499, "999us" },
		{ 999500, "1ms" }, { 999999999, "1s" }, { 12345678, "12.3ms" }, { 999400000000, "999s" }, { 1019000000000, "1019s" },
		{ 86400000000000, "86400s" },
	};
	char *text;
	size_t bytes;
	FILE *f;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		f = open_memstream(&text, &bytes);
		show__duration(f, rows[i].ns);
		fclose(f);
		assert_string_equal(text, rows[i].want);
		free(text);
	}
}

/* Kinds of defects that do not count; and the sum of several tapes. */
static void verify_without(void **state)
{
	struct build b;
	char *path, *text;
	int status;

	build__init(&b, 20, 0);
	build__callsite(&b, 0x0a, 1, "left", 0);
	build__open(&b, 1, 1, 10, 0, TAPE_PARENT_ROOT);
	path = (char *)build__path(&b);
	assert_int_equal(RUN(cmd_verify, -1, path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_verify, -1, "--ignore=torn", path), EXIT_FAILED);
	text = RUN_TEXT(cmd_verify, &status, "--ignore=torn,unclosed", path, path);
	assert_int_equal(status, EXIT_DONE);
	assert_non_null(strstr(text, ": clean, 1 ignored; "));
	assert_non_null(strstr(text, "\n2 tapes: 2 clean, 0 with defects\n"));
	assert_null(strstr(text, "never closed"));
	free(text);
	text = RUN_TEXT(cmd_verify, &status, "--json", "--ignore=unclosed", path);
	assert_non_null(strstr(text, "\"clean\":true,\"defects\":0,\"by_kind\":{},\"ignored\":1,"));
	free(text);
	text = RUN_TEXT(cmd_verify, &status, path, "/nonexistent");
	assert_int_equal(status, EXIT_FAILED);
	assert_non_null(strstr(text, "\n2 tapes: 0 clean, 1 with defects, 1 not read\n"));
	free(text);
	assert_int_equal(RUN(cmd_verify, -1, "--ignore=all", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_verify, -1, "--ignore=torn,", path), EXIT_USAGE);
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(tree),
		cmocka_unit_test(tree_with_a_bound),
		cmocka_unit_test(json),
		cmocka_unit_test(json_of_damaged_tapes),
		cmocka_unit_test(json_of_odd_values),
		cmocka_unit_test(terminals_are_safe),
		cmocka_unit_test(exit_status),
		cmocka_unit_test(verify_without),
		cmocka_unit_test(durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
