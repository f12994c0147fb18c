/* SPDX-License-Identifier: MIT */
/* `flame` as a command: its inputs told apart, several added up, differences, manners, bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "run_cmd.h"
#include "tape/tape_build.h"

static void expect(const char *got, const char *want)
{
	assert_string_equal(got, want);
	free((void *)got);
}

/* Standard input becomes the read end of these, with this in it. */
static int feed_through(int p[2], const void *data, size_t bytes)
{
	int kept = dup(STDIN_FILENO);

	assert_int_equal(write(p[1], data, bytes), bytes);
	close(p[1]);
	dup2(p[0], STDIN_FILENO);
	close(p[0]);
	return kept;
}

static int feed(const void *data, size_t bytes)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	return feed_through(p, data, bytes);
}

static int feed_socket(const void *data, size_t bytes)
{
	int p[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	return feed_through(p, data, bytes);
}

static void unfeed(int kept)
{
	dup2(kept, STDIN_FILENO);
	close(kept);
}

static void inputs(void **state)
{
	struct build tape, text = { .fd = -1 };
	char a[64], b[64];
	int status, kept;

	build__example(&tape);
	strcpy(a, build__path(&tape));
	build__bytes(&text, "x;y 10\nwork 7\n", 14);
	strcpy(b, build__path(&text));
	expect(RUN_TEXT(cmd_flame, &status, "--folded", a), "work 400\n");
	assert_int_equal(status, EXIT_DONE);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--wall", a), "work 600\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--count", a), "work 1\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--label=n", a), "work n=42 400\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--style", "tracing-flame", a),
	       "ThreadId(1) 1100\nThreadId(1);demo::work 400\n");
	expect(RUN_TEXT(cmd_flame, &status, "--file-and-line", "--folded", "--style=tracing-flame", "--threads-collapsed", a),
	       "all-threads 1100\nall-threads;demo::work:a.c:7 400\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--style=tracing-flame-0.2", "--no-empty-samples", a),
	       "ThreadId(1); demo::work:a.c:7 400\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--style=trace-tools", a), "");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", b), "work 7\nx;y 10\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--reverse", b), "work 7\ny;x 10\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--order=time", b), "x;y 10\nwork 7\n");
	/* both, and the same tape twice: added up */
	expect(RUN_TEXT(cmd_flame, &status, "--folded", a, b, a), "work 807\nx;y 10\n");
	/* through a pipe, where nothing can be looked at and put back */
	kept = feed(tape.data, tape.bytes);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "-"), "work 400\n");
	unfeed(kept);
	kept = feed("q 5\n", 4);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "-"), "q 5\n");
	unfeed(kept);
	kept = feed("TAPE 5\n", 7);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "-"), "TAPE 5\n");
	unfeed(kept);
	/* a socket is what some programs give their children */
	kept = feed_socket("q 5\n", 4);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "-"), "q 5\n");
	unfeed(kept);
	kept = feed_socket(tape.data, tape.bytes);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "-"), "work 400\n");
	unfeed(kept);
	build__done(&tape);
	build__done(&text);
}

static void differences(void **state)
{
	struct build before = { .fd = -1 }, after = { .fd = -1 };
	char a[64], b[64];
	int status;

	build__bytes(&before, "x 10\ny 30\n", 10);
	build__bytes(&after, "x 40\nz 40\n", 10);
	strcpy(a, build__path(&before));
	strcpy(b, build__path(&after));
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--diff", a, b), "x 20 40\ny 60 0\nz 0 40\n");
	expect(RUN_TEXT(cmd_flame, &status, "--folded", "--diff", "--no-normalize", a, b), "x 10 40\ny 30 0\nz 0 40\n");
	build__done(&before);
	/* a difference that somebody else has made stays one */
	before = (struct build){ .fd = -1 };
	build__bytes(&before, "x 10 40\n", 8);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", (char *)build__path(&before)), "x 10 40\n");
	build__done(&before);
	build__done(&after);
}

static void manners(void **state)
{
	char path[64], out[] = "/tmp/test_flame.XXXXXX", part[80];
	int ends[2], kept, full = open("/dev/full", O_WRONLY), status;
	struct stat st;
	struct build b;
	char *text;

	build__example(&b);
	strcpy(path, build__path(&b));
	assert_int_equal(RUN(cmd_flame, -1, path), EXIT_DONE);
	assert_int_equal(RUN(cmd_flame, -1, "--chart", path), EXIT_DONE);
	assert_int_equal(RUN(cmd_flame, -1, "/nonexistent"), EXIT_FAILED);
	assert_int_equal(RUN(cmd_flame, -1, "/dev/null"), EXIT_FAILED);
	kept = feed("neither\n", 8);
	assert_int_equal(RUN(cmd_flame, -1, "-"), EXIT_FAILED);
	unfeed(kept);
	assert_int_equal(RUN(cmd_flame, -1, "--quiet"), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--diff", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--style=none", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--style=trace-tools", "--busy", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--bare", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--order=time", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--chart", "--folded", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--colors=puce", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--fonttype=x}y{", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--minwidth=-1", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--width=nan", path), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "-p", "0"), EXIT_USAGE);
	assert_int_equal(RUN(cmd_flame, -1, "--duration=5s", path), EXIT_USAGE);

	assert_int_equal(RUN(cmd_flame, full, path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_flame, full, "--folded", path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_flame, full, "--folded", "--order=time", path), EXIT_FAILED);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(RUN(cmd_flame, ends[1], "--folded", "--order=time", path), EXIT_DONE);
	assert_int_equal(RUN(cmd_flame, ends[1], path), EXIT_DONE);
	close(ends[1]);

	/* a file appears when it is whole, and only then */
	close(mkstemp(out));
	snprintf(part, sizeof(part), "%s.part", out);
	assert_int_equal(RUN(cmd_flame, -1, "-o", out, "/nonexistent"), EXIT_FAILED);
	assert_int_equal(access(part, F_OK), -1);
	assert_int_equal(RUN(cmd_flame, -1, "--folded", "-o", out, path), EXIT_DONE);
	assert_int_equal(access(part, F_OK), -1);
	expect(RUN_TEXT(cmd_flame, &status, "--folded", out), "work 400\n");
	unlink(out);
	assert_int_equal(RUN(cmd_flame, -1, "-o", "/nonexistent/x.svg", path), EXIT_FAILED);
	/* what is no file is not replaced by one */
	assert_int_equal(RUN(cmd_flame, -1, "-o", "/dev/full", path), EXIT_FAILED);
	assert_int_equal(RUN(cmd_flame, -1, "-o", "/dev/null", path), EXIT_DONE);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));

	b.bytes -= 5; /* torn: what could be read is there, and the exit status says that it is not all */
	build__path(&b);
	text = RUN_TEXT(cmd_flame, &status, "--folded", path);
	assert_int_equal(status, EXIT_FAILED);
	expect(text, "work 400\n");
	build__done(&b);
	close(full);
}

/* Cut anywhere, a bit turned anywhere, with and without a picture: never a crash. */
static void bad_tapes(void **state)
{
	char path[64];
	struct build b;
	size_t bytes, i;
	int status;

	build__everything(&b, 16);
	strcpy(path, build__path(&b));
	bytes = b.bytes;
	for (i = 0; i < bytes; i += 37) {
		b.bytes = i;
		build__path(&b);
		status = RUN(cmd_flame, -1, "--folded", "--busy", path);
		assert_true(status == EXIT_DONE || status == EXIT_FAILED);
	}
	b.bytes = bytes;
	for (i = 0; i < bytes; i += 29) {
		b.data[i] ^= 1 << (i % 8);
		build__path(&b);
		status = i % 2 ? RUN(cmd_flame, -1, "--chart", path) : RUN(cmd_flame, -1, path);
		assert_true(status == EXIT_DONE || status == EXIT_FAILED);
		b.data[i] ^= 1 << (i % 8);
	}
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inputs),
		cmocka_unit_test(differences),
		cmocka_unit_test(manners),
		cmocka_unit_test(bad_tapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
