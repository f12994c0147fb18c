/* SPDX-License-Identifier: MIT */
/* `export` as a command: where its output goes, what it refuses, what it leaves behind. What is in a Go trace is judged by the
 * readers of Go (tests/conformance). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>

#include "run_cmd.h"
#include "tape/tape_build.h"

static char folder[] = "/tmp/test_export_XXXXXX";
static struct build tape;

static const char *in(const char *name)
{
	static char path[4][300];
	static u32 next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", folder, name);
	return path[next];
}

static char *content(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	*bytes = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static u32 file_cnt(void)
{
	DIR *d = opendir(folder);
	u32 cnt = 0;

	while (readdir(d))
		cnt++;
	closedir(d);
	return cnt - 2;
}

static bool has(const char *text, size_t bytes, const char *what)
{
	return memmem(text, bytes, what, strlen(what));
}

static void a_trace_beside_the_tape(void **state)
{
	size_t bytes;
	char *text;

	assert_int_equal(RUN(cmd_export, -1, "--format", "go", (char *)in("a.tape")), EXIT_DONE);
	text = content(in("a.trace"), &bytes);
	assert_true(bytes > 100);
	assert_memory_equal(text, "go 1.22 trace\0\0\0", 16);
	assert_true(has(text, bytes, "work"));
	assert_true(has(text, bytes, "WARN demo"));
	assert_true(has(text, bytes, "\x02hi"));
	free(text);
	unlink(in("a.trace"));
	/* a part of it */
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "--name", "work", (char *)in("a.tape")), EXIT_DONE);
	text = content(in("a.trace"), &bytes);
	assert_true(has(text, bytes, "work"));
	assert_false(has(text, bytes, "WARN demo"));
	free(text);
	unlink(in("a.trace"));
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "--go-version=1.26", "-o", (char *)in("b"), (char *)in("a.tape")), EXIT_DONE);
	text = content(in("b"), &bytes);
	assert_memory_equal(text, "go 1.26 trace\0\0\0", 16);
	free(text);
	unlink(in("b"));
	assert_int_equal(file_cnt(), 1);
}

static void the_same_tape_makes_the_same_bytes(void **state)
{
	size_t a_bytes, b_bytes;
	char *a, *b;

	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "-o", (char *)in("x"), (char *)in("a.tape")), EXIT_DONE);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "-o", (char *)in("y"), (char *)in("a.tape")), EXIT_DONE);
	a = content(in("x"), &a_bytes);
	b = content(in("y"), &b_bytes);
	assert_int_equal(a_bytes, b_bytes);
	assert_memory_equal(a, b, a_bytes);
	free(a);
	free(b);
	unlink(in("x"));
	unlink(in("y"));
}

static void nothing_is_replaced_unasked(void **state)
{
	size_t bytes;
	char *text;
	FILE *f = fopen(in("a.trace"), "we");

	fputs("mine", f);
	fclose(f);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", (char *)in("a.tape")), EXIT_FAILED);
	text = content(in("a.trace"), &bytes);
	assert_string_equal(text, "mine");
	free(text);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "--force", (char *)in("a.tape")), EXIT_DONE);
	text = content(in("a.trace"), &bytes);
	assert_memory_equal(text, "go 1.22", 7);
	free(text);
	unlink(in("a.trace"));
	assert_int_equal(file_cnt(), 1);
}

static void a_device_stays_a_device(void **state)
{
	struct stat st;

	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "-o", "/dev/full", (char *)in("a.tape")), EXIT_FAILED);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "--force", "-o", "/dev/full", (char *)in("a.tape")), EXIT_FAILED);
	assert_int_equal(stat("/dev/full", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "-o", "/dev/null", (char *)in("a.tape")), EXIT_DONE);
}

static void a_failure_leaves_nothing_behind(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	FILE *f;

	assert_int_equal(RUN(cmd_export, full, "-f", "go", "-o", "-", (char *)in("a.tape")), EXIT_FAILED);
	close(full);
	f = fopen(in("no.tape"), "we");
	fputs("this is none", f);
	fclose(f);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", (char *)in("no.tape")), EXIT_FAILED);
	unlink(in("no.tape"));
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", (char *)in("missing.tape")), EXIT_FAILED);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "-o", (char *)in("none/x"), (char *)in("a.tape")), EXIT_FAILED);
	assert_int_equal(file_cnt(), 1);
}

static void a_reader_that_leaves_early_is_no_failure(void **state)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	close(p[0]);
	assert_int_equal(RUN(cmd_export, p[1], "-f", "go", "-o", "-", (char *)in("a.tape")), EXIT_DONE);
	close(p[1]);
}

static void wrong_usage(void **state)
{
	assert_int_equal(RUN(cmd_export, -1, (char *)in("a.tape")), EXIT_USAGE);
	assert_int_equal(RUN(cmd_export, -1, "-f", "gone", (char *)in("a.tape")), EXIT_USAGE);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go"), EXIT_USAGE);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "-"), EXIT_USAGE);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "-o", "", (char *)in("a.tape")), EXIT_USAGE);
	assert_int_equal(RUN(cmd_export, -1, "-f", "go", "--go-version", "1.24", (char *)in("a.tape")), EXIT_USAGE);
	assert_int_equal(file_cnt(), 1);
}

static int make(void **state)
{
	assert_non_null(mkdtemp(folder));
	build__example(&tape);
	return symlink(build__path(&tape), in("a.tape"));
}

static int clean(void **state)
{
	unlink(in("a.tape"));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trace_beside_the_tape),
		cmocka_unit_test(the_same_tape_makes_the_same_bytes),
		cmocka_unit_test(nothing_is_replaced_unasked),
		cmocka_unit_test(a_device_stays_a_device),
		cmocka_unit_test(a_failure_leaves_nothing_behind),
		cmocka_unit_test(a_reader_that_leaves_early_is_no_failure),
		cmocka_unit_test(wrong_usage),
	};

	return cmocka_run_group_tests(tests, make, clean);
}
