/* SPDX-License-Identifier: MIT */
/* The reader on good tapes, cut ones, and those at the limits of the format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "reader_story.h"

#define EXAMPLE_TEXT \
	"callsite span 2 work demo demo a.c:7 (n)\n" \
	"process 0 pid 0  ?\n" \
	"thread 1234 tid 1234 '' of 0\n" \
	"open 1 work @1000 thread 1234 kind 0 parent 0 n:5=2a\n" \
	"enter 1 on 1234 @1100\n" \
	"callsite event 3 ev demo demo a.c:9 (message)\n" \
	"event ev @1200 thread 1234 kind 0 parent 1 message:9='hi'\n" \
	"exit 1 on 1234 @1500 why 0\n" \
	"close 1 @1600 dropped @1600 why 0\n"

static void example(void **state)
{
	struct build b;

	build__example(&b);
	assert_int_equal(b.bytes, 342);
	reads(&b, EXAMPLE_TEXT, 0);
}


/* Where the records of a tape begin, and its end. */
static u32 borders(const struct build *b, size_t *at, u32 max)
{
	size_t pos = TAPE_INTRO_BYTES;
	u32 cnt = 0;
	u16 len;

	while (pos < b->bytes && cnt < max) {
		at[cnt++] = pos;
		memcpy(&len, b->data + pos + 1, 2);
		pos += len;
	}
	at[cnt] = b->bytes;
	return cnt + 1;
}

static void cut_at_every_length(void **state)
{
	struct tape_reader *r;
	struct build b;
	struct diag d;
	struct seen seen;
	size_t at[32], n;
	u32 cnt, whole = 0;
	char *text, *want = NULL;

	build__example(&b);
	cnt = borders(&b, at, 31);
	assert_int_equal(cnt, 12);
	for (n = 0; n <= 342; n++) {
		b.bytes = n;
		if (n < TAPE_INTRO_BYTES) {
			assert_int_equal(tape_reader__open(build__path(&b), NULL, &r, &d), -ENOEXEC);
			assert_true(strlen(d.text) > 0);
			continue;
		}
		text = read_tape(&b, &seen, NULL);
		if (at[whole] == n) {
			/* a cut between records: no record is torn, all before it are there */
			free(want);
			want = text;
			whole++;
			assert_int_equal(seen.cnt[TAPE_DEFECT_TORN], 0);
		} else {
			assert_string_equal(text, want);
			assert_int_equal(seen.cnt[TAPE_DEFECT_TORN], 1);
			free(text);
		}
	}
	assert_int_equal(whole, cnt);
	assert_string_equal(want, EXAMPLE_TEXT);
	free(want);
	build__done(&b);
}

static void zeros_between_records(void **state)
{
	static const u8 zero[64];
	struct build b, padded;
	size_t at[32], n;
	u32 cnt, i;

	build__example(&b);
	cnt = borders(&b, at, 31);
	for (n = 1; n <= 64; n++) {
		build__init(&padded, 20, 1700000000000000000LL);
		build__bytes(&padded, zero, n);
		for (i = 0; i + 1 < cnt; i++) {
			build__bytes(&padded, b.data + at[i], at[i + 1] - at[i]);
			build__bytes(&padded, zero, n);
		}
		reads(&padded, EXAMPLE_TEXT, 0);
	}
	build__done(&b);
}

/* Lengths that lie: reading goes on at the next chapter. */
static void broken_framing(void **state)
{
	static const struct {
		u8 kind;
		u16 len;
	} wrong[] = { { 0x21, 0 },   { 0x21, 1 },   { 0x21, 2 },	 { 0x21, 26 }, { 0x30, 0 },	 { 0x30, 2 },
		      { 0x08, 25 }, { 0x24, 19 }, { 0x20, 34 }, { 0x22, 18 }, { 0x30, 65535 }, { 0x10, 28 } };
	static const u8 zero[65536];
	struct build b;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin_tape(&b, 16);
		build__event(&b, 2, 10, 7, 0);
		build__bytes(&b, &(struct tape_head){ wrong[i].kind, wrong[i].len }, 3);
		build__event(&b, 2, 20, 7, 0); /* hidden by the damage */
		build__bytes(&b, zero, 32 + 65536 - b.bytes);
		build__event(&b, 2, 30, 7, 0);
		story(&b,
		      "event ev @10 thread 7 kind 0 parent 0\n"
		      "event ev @30 thread 7 kind 0 parent 0\n",
		      TAPE_DEFECT_LENGTH, 1);
	}
}

static void unknown_kinds_are_skipped(void **state)
{
	struct build b;
	u32 kind;

	begin_tape(&b, 20);
	for (kind = 1; kind < 256; kind++) {
		if ((kind >= 0x02 && kind <= 0x07) || (kind >= 0x26 && kind <= 0x7f) || (kind >= 0x95)) {
			build__bytes(&b, &(struct tape_head){ kind, 3 }, 3);
			build__bytes(&b, &(struct tape_head){ kind, 7 }, 3);
			build__bytes(&b, "body", 4);
		}
	}
	build__event(&b, 2, 10, 7, 0);
	story(&b, "event ev @10 thread 7 kind 0 parent 0\n", NONE, 0);
}

/* --- chapters, numbers, names ------------------------------------------------------------------------------ */

/* A record that is skipped, of `bytes`. */
static void filler(struct build *b, u16 bytes)
{
	static const u8 body[65536];

	build__bytes(b, &(struct tape_head){ TAPE_X_SKIP, bytes }, 3);
	build__bytes(b, body, bytes - 3);
}

static void chapter_filled_to_the_last_byte(void **state)
{
	struct build b;

	begin_tape(&b, 16);
	filler(&b, 32 + 65536 - b.bytes - 29);
	build__event(&b, 2, 10, 7, 0);
	assert_int_equal(b.bytes, 32 + 65536);
	filler(&b, 65535); /* the largest record, and the one byte that is left of its chapter */
	build__bytes(&b, "", 1);
	build__event(&b, 2, 20, 7, 0);
	story(&b, "event ev @10 thread 7 kind 0 parent 0\nevent ev @20 thread 7 kind 0 parent 0\n", NONE, 0);

	/* the same, but the event misses by a byte: it leaves its chapter, and is none */
	begin_tape(&b, 16);
	filler(&b, 32 + 65536 - b.bytes - 28);
	build__event(&b, 2, 10, 7, 0);
	assert_int_equal(b.bytes, 32 + 65536 + 1);
	build__event(&b, 2, 20, 7, 0);
	story(&b, "event ev @20 thread 7 kind 0 parent 0\n", TAPE_DEFECT_LENGTH, 1);
}

static void values_without_end(void **state)
{
	struct tape_totals totals;
	struct seen seen;
	struct build b;
	char *text;
	u32 i;

	begin_tape(&b, 30);
	build__event(&b, 2, 10, 7, 65535);
	for (i = 0; i < 65535; i++)
		build__u64(&b, TAPE_EVENT_VALUE, 11 + i % 2, 7, i);
	build__event(&b, 2, 20, 7, 0);
	text = without_definitions(read_tape(&b, &seen, &totals));
	assert_string_equal(text, "event ev @10 thread 7 kind 0 parent 0 a:5=0 b:5=1\n"
				  "event ev @20 thread 7 kind 0 parent 0\n");
	assert_int_equal(seen.cnt[TAPE_DEFECT_VALUE], 65533);
	assert_int_equal(totals.events, 2);
	free(text);
	build__done(&b);
}

static void extreme_times(void **state)
{
	struct tape_reader *r;
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, INT64_MIN, 0, TAPE_PARENT_ROOT);
	build__close(&b, 5, INT64_MAX);
	story(&b,
	      "open 1 bare @-9223372036854775808 thread 0 kind 1 parent 0\n"
	      "close 1 @9223372036854775807 dropped @9223372036854775807 why 0\n",
	      NONE, 0);

	build__init(&b, 20, -1000);
	assert_int_equal(tape_reader__open(build__path(&b), NULL, &r, NULL), 0);
	assert_int_equal(tape_reader__intro(r)->base_unix_ns, -1000);
	assert_int_equal(tape_reader__unix_ns(r, ZERO + 5), -995);
	assert_int_equal(tape_reader__unix_ns(r, 0), INT64_MIN);
	assert_int_equal(tape_reader__run(r, NULL, 0), 0);
	tape_reader__free(r);
	build__done(&b);
}

static void definitions_again(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__event(&b, 2, 1, 7, 0);
	build__callsite(&b, 0x02, 2, "ev", 2); /* the same */
	build__event(&b, 2, 2, 7, 0);	       /* used while it is being repeated */
	build__field(&b, 2, 11, "a");
	build__field(&b, 2, 12, "b");
	build__event(&b, 2, 3, 7, 0);
	build__callsite(&b, 0x02, 2, "other", 1); /* another one */
	build__field(&b, 2, 11, "x");
	build__event(&b, 2, 4, 7, 1);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 1);
	reads(&b,
	      "process 0 pid 0  ?\n"
	      "thread 7 tid 7 '' of 0\n"
	      "callsite event 2 ev t m f.c:7 (a,b)\n"
	      "event ev @1 thread 7 kind 0 parent 0\n"
	      "event ev @2 thread 7 kind 0 parent 0\n"
	      "event ev @3 thread 7 kind 0 parent 0\n"
	      "callsite event 2 other t m f.c:7 (x)\n"
	      "event other @4 thread 7 kind 0 parent 0 x:5=1\n",
	      0);
}

static void names_that_are_not_utf8(void **state)
{
	struct build b;

	build__init(&b, 20, 0);
	build__callsite(&b, 0x02, 2, "e\xff\x1b", 0);
	build__event(&b, 2, 1, 7, 0);
	reads(&b,
	      "process 0 pid 0  ?\n"
	      "thread 7 tid 7 '' of 0\n"
	      "callsite event 2 e\xef\xbf\xbd\x1b t m f.c:7 ()\n"
	      "event e\xef\xbf\xbd\x1b @1 thread 7 kind 0 parent 0\n",
	      1);
}

static void intros(void **state)
{
	static const struct {
		u32 offset;
		u8 value;
		int want;
	} cases[] = { { 0, 'X', -ENOEXEC }, { 8, 1, -ENOEXEC }, { 9, 77, 0 }, { 10, 31, -ENOEXEC }, { 10, 30, 0 },
		      { 10, 0, 0 } };
	struct tape_reader *r;
	struct build b;
	struct diag d;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		build__init(&b, 20, 0);
		b.data[cases[i].offset] = cases[i].value;
		assert_int_equal(tape_reader__open(build__path(&b), NULL, &r, &d), cases[i].want);
		if (!cases[i].want) {
			assert_int_equal(tape_reader__run(r, NULL, 0), 0);
			tape_reader__free(r);
		}
		build__done(&b);
	}
	assert_int_equal(tape_reader__open("/nonexistent/tape", NULL, &r, &d), -ENOENT);
	assert_int_equal(tape_reader__open("/", NULL, &r, &d), -EISDIR);
}

/* The same whatever the steps. */
static void in_steps(void **state)
{
	struct tape_reader *r;
	struct trace t;
	struct sink sink;
	struct build b;
	u64 step;
	int more;

	for (step = 1; step < 400; step += 13) {
		build__example(&b);
		sink = trace__start(&t, ZERO);
		assert_int_equal(tape_reader__open(build__path(&b), NULL, &r, NULL), 0);
		while ((more = tape_reader__run(r, &sink, step)) == 1)
			;
		assert_int_equal(more, 0);
		assert_int_equal(tape_reader__run(r, &sink, step), 0); /* at the end it stays there */
		assert_string_equal(trace__text(&t), EXAMPLE_TEXT);
		assert_int_equal(tape_reader__size(r), 342);
		assert_int_equal(tape_reader__offset(r), 342);
		tape_reader__free(r);
		trace__done(&t);
		build__done(&b);
	}
}

static int refuse(void *ctx, const struct event *e)
{
	return -EIO;
}

static void error_of_the_sink(void **state)
{
	struct sink_ops ops = { .event = refuse };
	struct sink sink = { &ops, NULL };
	struct tape_reader *r;
	struct build b;

	build__example(&b);
	assert_int_equal(tape_reader__open(build__path(&b), NULL, &r, NULL), 0);
	assert_int_equal(tape_reader__run(r, &sink, 0), -EIO);
	assert_int_equal(tape_reader__run(r, &sink, 0), 0);
	tape_reader__free(r);
	build__done(&b);
}

static int note_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	*(u64 *)ctx = time_ns;
	return 0;
}

/* What a tape breaks off with may be a value: that is its end, also for who does not look at values. */
static void the_end_is_the_same_without_values(void **state)
{
	static const struct sink_ops ops = { .span_close = note_close };
	u64 end[2];
	struct sink sink = { &ops, NULL };
	struct tape_reader *r;
	struct build b;

	build__init(&b, 20, 0);
	BUILD(&b, TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION, .end = INT64_MAX);
	build__callsites(&b);
	build__context(&b, 1, 7, 0);
	build__open(&b, 1, 1, 10, 0, TAPE_PARENT_ROOT);
	BUILD(&b, TAPE_X_LATE, struct tape_x_late, .span = 1, .time = 5000, .thread = 7);
	build__u64(&b, TAPE_SPAN_VALUE, 11, 1, 3);
	for (u32 i = 0; i < 2; i++) {
		struct tape_reader_ops o = { .no_values = i };

		assert_int_equal(tape_reader__open(build__path(&b), &o, &r, NULL), 0);
		sink.ctx = &end[i];
		assert_int_equal(tape_reader__run(r, &sink, 0), 0);
		assert_int_equal(tape_reader__unix_ns(r, end[i]), 5000);
		tape_reader__free(r);
	}
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_is_the_same_without_values),
		cmocka_unit_test(example),
		cmocka_unit_test(cut_at_every_length),
		cmocka_unit_test(zeros_between_records),
		cmocka_unit_test(broken_framing),
		cmocka_unit_test(unknown_kinds_are_skipped),
		cmocka_unit_test(chapter_filled_to_the_last_byte),
		cmocka_unit_test(values_without_end),
		cmocka_unit_test(extreme_times),
		cmocka_unit_test(definitions_again),
		cmocka_unit_test(names_that_are_not_utf8),
		cmocka_unit_test(intros),
		cmocka_unit_test(in_steps),
		cmocka_unit_test(error_of_the_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
