/* SPDX-License-Identifier: MIT */
/*
 * The tape writer: chapters, names, full disks, and SIGKILL at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/codes.h"
#include "base/crc32c.h"
#include "referee.h"
#include "tape/tape_sink.h"
#include "tape/tape_writer.h"

static char dir[64];

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/test_tape_writer.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static int n;
	char *p = path[n++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static struct tape_writer *open_tape(const char *path, u32 chapter, bool force)
{
	struct tape_writer_opts o = { .sz = sizeof(o), .chapter_bytes = chapter, .force = force };
	struct tape_writer *w;
	struct diag d;
	int err = tape_writer__open(path, &o, &w, &d);

	if (err)
		fail_msg("%s", d.text);
	return w;
}

struct file {
	u8 *data;
	u64 bytes;
};

static struct file read_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct file f;
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	f.bytes = st.st_size;
	f.data = malloc(f.bytes + 1);
	assert_int_equal(pread(fd, f.data, f.bytes, 0), f.bytes);
	close(fd);
	return f;
}

/* A record of our own range, its body a pattern. */
static void fill(u8 *p, u32 bytes)
{
	p[0] = 0xe0;
	p[1] = bytes;
	p[2] = bytes >> 8;
	for (u32 i = 3; i < bytes; i++)
		p[i] = i;
}

static void test_intro(void **state)
{
	static const u8 want[] = "TAPEFILE\x00\x01\x14\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
				 "\xff\xff\xff\xff\xff\xff\xff\xff";
	struct tape_writer_opts o = { .sz = sizeof(o), .base_unix_ns = -1 };
	struct tape_writer *w;
	struct file f;

	assert_int_equal(tape_writer__open(in_dir("intro.tape"), &o, &w, NULL), 0);
	assert_int_equal(tape_writer__close(w, NULL), 0);
	f = read_file(in_dir("intro.tape"));
	assert_int_equal(f.bytes, 32);
	assert_memory_equal(f.data, want, 32);
	free(f.data);
}

static void test_chapter_sizes(void **state)
{
	static const u32 bad[] = { 1, 32768, 65537, 3 << 20, 1u << 31 };

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct tape_writer_opts o = { .sz = sizeof(o), .chapter_bytes = bad[i] };
		struct tape_writer *w;
		struct diag d = {};

		assert_int_equal(tape_writer__open(in_dir("bad.tape"), &o, &w, &d), -EINVAL);
		assert_null(w);
		assert_non_null(strstr(d.text, "power of two"));
	}
	assert_int_equal(access(in_dir("bad.tape"), F_OK), -1);
}

static void test_names(void **state)
{
	struct tape_writer *a = open_tape(in_dir("n.tape"), 0, false);
	struct tape_writer *b = open_tape(in_dir("n.tape"), 0, false);
	struct tape_writer *c = open_tape(in_dir("n.tape"), 0, false);
	struct tape_writer *f = open_tape(in_dir("n.tape"), 0, true);
	struct tape_writer *x = open_tape(in_dir(".hidden"), 0, false);
	struct tape_writer *y = open_tape(in_dir(".hidden"), 0, false);

	assert_string_equal(tape_writer__path(a), in_dir("n.tape"));
	assert_string_equal(tape_writer__path(b), in_dir("n_1.tape"));
	assert_string_equal(tape_writer__path(c), in_dir("n_2.tape"));
	assert_string_equal(tape_writer__path(f), in_dir("n.tape"));
	assert_string_equal(tape_writer__path(x), in_dir(".hidden"));
	assert_string_equal(tape_writer__path(y), in_dir(".hidden_1"));
	tape_writer__close(a, NULL);
	tape_writer__close(b, NULL);
	tape_writer__close(c, NULL);
	tape_writer__close(f, NULL);
	tape_writer__close(x, NULL);
	tape_writer__close(y, NULL);
}

static void test_refused_paths(void **state)
{
	const struct {
		const char *path;
		int err;
	} bad[] = { { "-", -EINVAL }, { "", -EINVAL }, { "/dev/null", -EINVAL }, { dir, -EISDIR },
		    { "/nonexistent/x.tape", -ENOENT }, { "/proc/x.tape", -ENOENT } };

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct tape_writer_opts o = { .sz = sizeof(o) };
		struct tape_writer *w;
		struct diag d = {};

		assert_int_equal(tape_writer__open(bad[i].path, &o, &w, &d), bad[i].err);
		assert_true(d.text[0] && d.hint[0]);
	}
}

/* What is in the file before and after publication, and that the checksum is that of the bytes. */
static void test_publication(void **state)
{
	struct tape_writer *w = open_tape(in_dir("p.tape"), 0, true);
	const struct tape_x_checksum *sum;
	struct referee r;
	struct file f;
	u8 rec[100];

	fill(rec, sizeof(rec));
	assert_int_equal(tape_writer__append(w, rec, sizeof(rec)), 0);
	f = read_file(in_dir("p.tape"));
	assert_int_equal(f.data[32], 0);
	free(f.data);
	tape_writer__publish(w);
	f = read_file(in_dir("p.tape"));
	assert_memory_equal(f.data + 32, rec, sizeof(rec));
	assert_true(referee__load(&r, f.data, f.bytes));
	assert_int_equal(r.end, 132);
	referee__done(&r);
	free(f.data);
	fill(rec, 3); /* the smallest record: shorter than the cover */
	assert_int_equal(tape_writer__append(w, rec, 3), 0);
	assert_int_equal(tape_writer__checksum(w), 0);
	assert_int_equal(tape_writer__bytes(w), 132 + 4 + 7);
	assert_int_equal(tape_writer__close(w, NULL), 0);
	f = read_file(in_dir("p.tape"));
	assert_int_equal(f.bytes, 132 + 4 + 7);
	sum = (const void *)(f.data + 136);
	assert_int_equal(sum->h.kind, TAPE_X_CHECKSUM);
	assert_int_equal(sum->crc, crc32c(0, f.data, 136));
	free(f.data);
}

/* Records of every awkward size: none crosses a chapter's border, none is lost, in order. */
static void test_borders(void **state)
{
	static u8 rec[TAPE_MAX_RECORD];
	static const u32 size[] = { 65535, 3, 65534, 4, 5, 32768, 32765, 100, 65533, 65532, 7, 40000, 25536 };
	const u32 chapter[] = { 65536, 131072, 1 << 20 };

	for (u32 k = 0; k < ARRAY_SIZE(chapter); k++) {
		struct tape_writer *w = open_tape(in_dir("b.tape"), chapter[k], true);
		struct referee r;
		struct file f;
		u64 at = 32;

		for (u32 i = 0; i < 40; i++) {
			u32 n = size[i % ARRAY_SIZE(size)];

			fill(rec, n);
			assert_int_equal(tape_writer__append(w, rec, n), 0);
			if (i % 3 == 0)
				tape_writer__publish(w);
		}
		assert_int_equal(tape_writer__close(w, NULL), 0);
		f = read_file(in_dir("b.tape"));
		if (!referee__load(&r, f.data, f.bytes))
			fail_msg("%s", r.error);
		assert_int_equal(r.records, 40);
		assert_int_equal(r.skips, 0);
		assert_int_equal(r.end, f.bytes - (f.data[f.bytes - 1] == 0));
		for (u32 i = 0; i < 40; i++) {
			u32 n = size[i % ARRAY_SIZE(size)];

			while (!f.data[at])
				at++;
			fill(rec, n);
			assert_memory_equal(f.data + at, rec, n);
			at += n;
		}
		referee__done(&r);
		free(f.data);
	}
}

/* Chapter filled to its last byte, and a record that misses by one. */
static void test_exact_chapter(void **state)
{
	for (u32 more = 0; more < 2; more++) {
		struct tape_writer *w = open_tape(in_dir("e.tape"), 65536, true);
		static u8 rec[65536];
		struct referee r;
		struct file f;

		for (u32 i = 0; i < 2; i++) {
			fill(rec, 32768 + (i ? more : 0));
			assert_int_equal(tape_writer__append(w, rec, 32768 + (i ? more : 0)), 0);
			tape_writer__publish(w);
		}
		assert_int_equal(tape_writer__close(w, NULL), 0);
		f = read_file(in_dir("e.tape"));
		assert_true(referee__load(&r, f.data, f.bytes));
		assert_int_equal(r.records, 2);
		assert_int_equal(r.end, more ? 32 + 65536 + 32769 : 32 + 65536);
		referee__done(&r);
		free(f.data);
	}
}

/* A group larger than a region: all of it, in one chapter. One larger than a chapter: refused whole. */
static void test_large_group(void **state)
{
	static u8 group[400000];
	struct tape_writer *w = open_tape(in_dir("g.tape"), 1 << 19, true);
	struct referee r;
	struct file f;
	size_t max = tape_writer__max_append(w);
	u32 n = 0;

	assert_true(max > 400000);
	for (u32 at = 0; at + 31000 <= sizeof(group); at += 31000, n++)
		fill(group + at, 31000);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(tape_writer__append(w, group, n * 31000), 0);
	assert_int_equal(tape_writer__close(w, NULL), 0);
	f = read_file(in_dir("g.tape"));
	assert_true(referee__load(&r, f.data, f.bytes));
	assert_int_equal(r.records, 5 * n);
	referee__done(&r);
	free(f.data);

	w = open_tape(in_dir("g.tape"), 65536, true);
	assert_int_equal(tape_writer__append(w, group, 2 * 31000), 0);
	assert_int_equal(tape_writer__append(w, group, 3 * 31000), -EMSGSIZE);
	tape_writer__close(w, NULL);
}

/* The file has grown: told with the append that brings it to the size asked for, and with each region. */
static void test_grown(void **state)
{
	static u8 record[100] = { TAPE_X_SKIP, sizeof(record) };
	u64 mark = 150000;
	bool grown = false;
	struct tape_writer_opts o = { .sz = sizeof(o), .grown = &grown, .mark_bytes = mark };
	struct tape_writer *w;
	u64 told = 0, bytes = 0;
	struct diag d;

	assert_int_equal(tape_writer__open(in_dir("grown.tape"), &o, &w, &d), 0);
	while (bytes < 3 * mark) {
		grown = false;
		assert_int_equal(tape_writer__append(w, record, sizeof(record)), 0);
		assert_true(grown || bytes >= mark || tape_writer__bytes(w) < mark);
		bytes = tape_writer__bytes(w);
		if (grown)
			told = bytes;
		assert_true(bytes - told < 65536);
	}
	assert_int_equal(tape_writer__close(w, &d), 0);
}

static void test_default_name(void **state)
{
	char name[256];

	setenv("TZ", "UTC", 1);
	tzset();
	tape_writer__default_name(name, sizeof(name), "/usr/bin/fib_server", 1795338303000000000);
	assert_string_equal(name, "fib_server_2026-11-22_Sun_09-05-03.tape");
	tape_writer__default_name(name, sizeof(name), "a\n\x1b/b\x01", 0);
	assert_string_equal(name, "b__1970-01-01_Thu_00-00-00.tape");
	tape_writer__default_name(name, sizeof(name), NULL, -1);
	assert_string_equal(name, "trace_1969-12-31_Wed_23-59-59.tape");
}

/* --- full disk ------------------------------------------------------------------------------------------- */

static struct process process = { .uid = 1, .pid = 100, .comm = "prog" };
static struct thread thread = { .uid = 1, .tid = 100, .name = "main", .process = &process };
static struct callsite span_site = { .id = 1, .is_span = 1, .level = WIRE_INFO, .name = "work", .target = "demo",
				     .module = "", .file = "", .field_cnt = 1, .field = { { "n", WIRE_T_U64 } } };
static struct callsite event_site = { .id = 2, .level = WIRE_INFO, .name = "ev", .target = "demo", .module = "",
				      .file = "", .field_cnt = 1, .field = { { "message", WIRE_T_STR } } };

/* A limit on the size of a file stands in for a full disk: the same calls fail. */
static void test_full_disk(void **state)
{
	struct tape_writer *w = open_tape(in_dir("full.tape"), 0, true);
	struct tape_sink *s = tape_sink__new(w, NULL);
	struct sink k = tape_sink__sink(s);
	struct rlimit old, lim;
	struct referee r;
	struct file f;
	u64 opened = 0, id;
	int err = 0;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = (struct rlimit){ 3 << 20, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &lim);
	for (id = 1; !err && id < 100000; id++) {
		struct span_open o = { .span = id, .callsite = &span_site, .time_ns = id, .thread = &thread,
				       .parent = id - 1 };

		err = k.ops->span_open(k.ctx, &o);
		if (err)
			break;
		opened++;
		/* some stay entered, to be left at the end out of the reserve */
		if (id % 500 == 0)
			assert_int_equal(k.ops->span_enter(k.ctx, id, &thread, id), 0);
	}
	assert_int_equal(err, -EFBIG);
	assert_true(opened > 10000);
	/* what is not there is refused, and the loss of it is kept for the end */
	assert_int_equal(k.ops->span_enter(k.ctx, id, &thread, id), -ENOENT);
	assert_int_equal(k.ops->loss(k.ctx, &(struct loss){ .cause = LOSS_WRITE, .count = 7, .cpu = ~0u }), 0);
	/* more ends than the reserve holds: they wait */
	for (u64 i = opened; i > opened - 6000; i--)
		assert_int_equal(k.ops->span_close(k.ctx, i, 900000, 900000, SINK_OWN), 0);

	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(tape_sink__finish(s, 1000000, opened + 7, opened, 7), 0);
	tape_sink__free(s);
	/* close says that records are missing, though the tape is whole */
	assert_int_equal(tape_writer__close(w, NULL), -EFBIG);
	f = read_file(in_dir("full.tape"));
	if (!referee__load(&r, f.data, f.bytes))
		fail_msg("%s", r.error);
	assert_int_equal(r.spans.cnt, 0);
	assert_true(r.closed_cnt >= opened);
	referee__done(&r);
	free(f.data);
}

/* --- SIGKILL --------------------------------------------------------------------------------------------- */

struct truth {
	volatile u64 published; /* spans and events that the child had published */
};

static void write_flat_out(struct truth *truth, u32 seed)
{
	static char text[70000];
	struct tape_writer *w = open_tape(in_dir("kill.tape"), seed % 4 ? 0 : 65536, true);
	struct tape_sink *s = tape_sink__new(w, NULL);
	struct sink k = tape_sink__sink(s);
	struct value n = { .field = 0, .type = WIRE_T_U64 };
	struct value m = { .field = 0, .type = WIRE_T_STR, .text = text };

	memset(text, 'x', sizeof(text));
	for (u64 id = 1;; id++) {
		struct span_open o = { .span = id, .callsite = &span_site, .time_ns = id * 10, .thread = &thread,
				       .value = &n, .value_cnt = 1 };
		struct event e = { .callsite = &event_site, .time_ns = id * 10 + 2, .thread = &thread, .parent = id,
				   .value = &m, .value_cnt = 1 };

		n.u = id;
		m.text_bytes = id % 64 ? id % 50 : id * seed % sizeof(text);
		k.ops->span_open(k.ctx, &o);
		k.ops->span_enter(k.ctx, id, &thread, id * 10 + 1);
		k.ops->event(k.ctx, &e);
		k.ops->span_exit(k.ctx, id, &thread, id * 10 + 3, SINK_OWN);
		k.ops->span_close(k.ctx, id, id * 10 + 4, id * 10 + 4, SINK_OWN);
		if (id % (1 + seed % 50) == 0) {
			tape_writer__publish(w);
			truth->published = id;
		}
	}
}

static void test_sigkill(void **state)
{
	struct truth *truth = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *keep = getenv("KEEP_TAPES");
	u32 rounds = keep ? 20 : 200, covered = 0;

	assert_ptr_not_equal(truth, MAP_FAILED);
	for (u32 i = 0; i < rounds; i++) {
		struct referee r;
		struct file f;
		pid_t pid;

		truth->published = 0;
		unlink(in_dir("kill.tape"));
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			write_flat_out(truth, i);
			_exit(1);
		}
		usleep(100 + (i * 7919) % 9000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (access(in_dir("kill.tape"), F_OK)) /* killed before it had its name */
			continue;
		f = read_file(in_dir("kill.tape"));
		if (!referee__load(&r, f.data, f.bytes))
			fail_msg("round %u: %s", i, r.error);
		/* all that was published is there: its definitions, the spans whole, the events with their values */
		assert_true(r.closed_cnt >= truth->published);
		assert_true(r.events >= truth->published);
		for (u32 c = 0; c < r.closed_cnt; c++)
			assert_int_equal(r.closed[c].id, c + 1);
		covered += r.skips;
		if (keep) {
			char to[512];
			FILE *out;

			snprintf(to, sizeof(to), "%s/killed_%u.tape", keep, i);
			out = fopen(to, "w");
			assert_non_null(out);
			fwrite(f.data, 1, f.bytes, out);
			fclose(out);
		}
		referee__done(&r);
		free(f.data);
	}
	print_message("%u rounds, %u killed between a cover and its records\n", rounds, covered);
	munmap(truth, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intro),
		cmocka_unit_test(test_chapter_sizes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_refused_paths),
		cmocka_unit_test(test_publication),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_exact_chapter),
		cmocka_unit_test(test_large_group),
		cmocka_unit_test(test_grown),
		cmocka_unit_test(test_default_name),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_sigkill),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
