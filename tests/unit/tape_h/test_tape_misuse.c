/* SPDX-License-Identifier: MIT */
/* Misuse of tape.h is a compile error that says what is wrong; good use compiles without a warning. gcc and clang, C and C++. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <cmocka.h>

static const struct compiler {
	const char *name, *cmd;
	int cxx;
} compilers[] = {
	{ TAPE_H_CC, TAPE_H_CC " -x c -std=c11 -D_GNU_SOURCE", 0 },
	{ TAPE_H_CXX, TAPE_H_CXX " -x c++ -std=c++17", 1 },
	{ TAPE_H_CLANG, TAPE_H_CLANG " -x c -std=c11 -D_GNU_SOURCE", 0 },
	{ TAPE_H_CLANG, TAPE_H_CLANG " -x c++ -std=c++17", 1 },
};

static char out[65536];

/* Compile a function body; the exit status, what was said in `out`. */
static int compile(const struct compiler *c, const char *options, const char *head, const char *body)
{
	char dir[] = "/tmp/tape_misuse.XXXXXX", cmd[1024], path[64];
	size_t n;
	FILE *f;
	int status;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s\n#include <tape.h>\nstruct odd { int a, b; };\nint f(int x, struct odd odd, const char *s);\n"
		"int f(int x, struct odd odd, const char *s)\n{\n\t(void)x;\n\t(void)odd;\n\t(void)s;\n\t%s\n\treturn 0;\n}\n",
		head, body);
	fclose(f);
	snprintf(cmd, sizeof(cmd), "LC_ALL=C %s -fsyntax-only -Wall -Wextra %s -I%s/include %s 2>&1", c->cmd, options, TAPE_H_TOP, path);
	f = popen(cmd, "r");
	assert_non_null(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = 0;
	while (fgetc(f) != EOF)
		;
	status = pclose(f);
	unlink(path);
	rmdir(dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int there(const struct compiler *c)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "%s --version >/dev/null 2>&1", c->name);
	if (!system(cmd))
		return 1;
	print_message("%s is not there: left out\n", c->name);
	return 0;
}

static const struct {
	const char *body, *says, *says_cxx; /* NULL: the same */
} bad[] = {
	{ "tape_span(FATAL, \"s\");", "TAPE_LEVEL_FATAL", NULL },
	{ "tape_event(info, \"s\");", "TAPE_LEVEL_info", NULL },
	{ "tape_span(INFO, \"s\", (5));", "tape_a_field_is_a_name_and_a_value", NULL },
	{ "tape_info((x), \"text\");", "tape_a_field_is_a_name_and_a_value", NULL },
	{ "tape_span(INFO, \"s\", (odd, odd));", "tape_a_value_must_be_a_number_a_string_or_a_pointer",
	  "a value must be a number, a string or a pointer" },
	{ "tape_info((odd, odd), \"text\");", "tape_a_value_must_be_a_number_a_string_or_a_pointer",
	  "a value must be a number, a string or a pointer" },
	{ "tape_info(\"%d\", s);", "format", NULL },
	{ "tape_event(INFO, \"e\", (x, x), \"%s\");", "format", NULL },
	{ "tape_span(INFO, s);", "", NULL },
	{ "tape_event(INFO, \"e\", (a0, 0), (a1, 0), (a2, 0), (a3, 0), (a4, 0), (a5, 0), (a6, 0), (a7, 0), (a8, 0), (a9, 0), (b0, 0),"
	  "(b1, 0), (b2, 0), (b3, 0), (b4, 0), (b5, 0), (b6, 0), (b7, 0), (b8, 0), (b9, 0), (c0, 0), (c1, 0), (c2, 0), (c3, 0),"
	  "(c4, 0), (c5, 0), (c6, 0), (c7, 0), (c8, 0), (c9, 0), (d0, 0), (d1, 0), (d2, 0));", "32_fields_at_most", NULL },
	{ "tape_event(INFO, \"e\", (a0, 0), (a1, 0), (a2, 0), (a3, 0), (a4, 0), (a5, 0), (a6, 0), (a7, 0), (a8, 0), (a9, 0), (b0, 0),"
	  "(b1, 0), (b2, 0), (b3, 0), (b4, 0), (b5, 0), (b6, 0), (b7, 0), (b8, 0), (b9, 0), (c0, 0), (c1, 0), (c2, 0), (c3, 0),"
	  "(c4, 0), (c5, 0), (c6, 0), (c7, 0), (c8, 0), (c9, 0), (d0, 0), (d1, 0), \"and a message\");", "32_fields_at_most", NULL },
	{ "tape_record(x, (x, 1));", "", NULL },
	{ "tape_enter(x);", "tape_handle", NULL },
};

static void misuse(void **state)
{
	size_t i, j;

	for (i = 0; i < sizeof(compilers) / sizeof(*compilers); i++) {
		const struct compiler *c = &compilers[i];

		if (!there(c))
			continue;
		for (j = 0; j < sizeof(bad) / sizeof(*bad); j++) {
			const char *says = c->cxx && bad[j].says_cxx ? bad[j].says_cxx : bad[j].says;
			int status = compile(c, "-Werror=format", "", bad[j].body);

			if (!status)
				fail_msg("%s takes: %s", c->cmd, bad[j].body);
			if (!strstr(out, says))
				fail_msg("%s does not say \"%s\" to: %s\n%s", c->cmd, says, bad[j].body, out);
		}
	}
}

static void bad_settings(void **state)
{
	assert_int_not_equal(compile(&compilers[0], "", "#define TAPE_MAX_STR 70000", ""), 0);
	assert_non_null(strstr(out, "TAPE_MAX_STR must be from 1 to 16384"));
}

static const char *const good[] = {
	"tape_span(INFO, \"s\");",
	"tape_span(INFO, \"s\", (x, x), (s, s), (a.b.c, x > 3), (c, 'c'), (big, (unsigned __int128)x));",
	"tape_info(\"text\"); tape_info(\"%d %s\", x, s); tape_info((x, x)); tape_info((x, x), (s, s), \"%s\", s);",
	"tape_event(ERROR, \"e\"); tape_event(ERROR, \"e\", \"text %d\", x); tape_event(ERROR, \"e\", (e, tape_err(x)), (t, tape_err(s)));",
	"tape_handle h = tape_open(INFO, \"h\", (later, tape_empty)); tape_enter(h); tape_record(h, (later, x), (s, s)); tape_exit(h);"
	"tape_drop(tape_clone(h)); tape_follows(h, tape_current());",
	"tape_span_as(v, DEBUG, \"v\", (r, tape_empty)); tape_record(v, (r, s)); tape_event_in(tape_handle_of(v), INFO, \"e\", (x, x), \"%d\", x);",
	"tape_span_in(tape_root(), INFO, \"s\"); tape_handle h = tape_open_in(tape_here(), INFO, \"h\", (x, x)); tape_drop(h);",
	"if (x) tape_warn(\"one\"); else tape_error((x, x), \"two\"); for (int i = 0; i < x; i++) { tape_span(TRACE, \"i\", (i, i)); }",
	"tape_span(INFO, \"one\"); tape_span(INFO, \"two\"); tape_trace(\"three\"); tape_debug((b, tape_bytes(s, 3)), (l, tape_str(s, 3)));",
};

/* Nor with -Wpedantic, -Wshadow and friends. */
static void good_use(void **state)
{
	size_t i, j;

	for (i = 0; i < sizeof(compilers) / sizeof(*compilers); i++) {
		if (!there(&compilers[i]))
			continue;
		for (j = 0; j < sizeof(good) / sizeof(*good); j++)
			if (compile(&compilers[i], "-Werror -Wpedantic -Wundef -Wconversion -Wno-sign-conversion -Wno-c99-extensions", "", good[j]))
				fail_msg("%s refuses: %s\n%s", compilers[i].cmd, good[j], out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(misuse),
		cmocka_unit_test(bad_settings),
		cmocka_unit_test(good_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
