/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "tape/tape_reader.h"
#include "tape_build.h"
#include "trace_sink.h"

#define ZERO (1ULL << 63)

struct seen {
	u64 cnt[TAPE_DEFECT_MAX], all, last_offset;
};

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct seen *s = ctx;

	assert_true((u32)d->kind < TAPE_DEFECT_MAX);
	assert_true(strlen(d->text) > 0);
	s->cnt[d->kind]++;
	s->all++;
	s->last_offset = d->offset;
}

/* Read a built tape whole; the text is the caller's. */
static char *read_tape(struct build *b, struct seen *seen, struct tape_totals *totals)
{
	struct tape_reader_ops ops = { .defect = on_defect, .ctx = seen };
	struct tape_reader *r;
	struct trace t;
	struct sink sink = trace__start(&t, ZERO);
	char *text;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(tape_reader__open(build__path(b), &ops, &r, NULL), 0);
	assert_int_equal(tape_reader__run(r, &sink, 0), 0);
	if (totals)
		tape_reader__totals(r, totals);
	tape_reader__free(r);
	text = strdup(trace__text(&t));
	trace__done(&t);
	return text;
}

static void reads(struct build *b, const char *want, u64 defects)
{
	struct seen seen;
	char *got = read_tape(b, &seen, NULL);

	assert_string_equal(got, want);
	assert_int_equal(seen.all, defects);
	free(got);
	build__done(b);
}

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

/* Callsites 1 (span, fields 11 "a", 12 "b"), 2 (event, the same), 3 (span without fields). */
static void begin_tape(struct build *b, u8 exponent)
{
	build__init(b, exponent, 1000);
	build__callsite(b, 0x0a, 1, "sp", 2);
	build__field(b, 1, 11, "a");
	build__field(b, 1, 12, "b");
	build__callsite(b, 0x02, 2, "ev", 2);
	build__field(b, 2, 11, "a");
	build__field(b, 2, 12, "b");
	build__callsite(b, 0x0a, 3, "bare", 0);
}

/* The text without the lines of definitions. */
static char *without_definitions(char *text)
{
	char *from = text, *to = text, *end;

	for (; *from; from = end) {
		end = strchr(from, '\n') + 1;
		if (strncmp(from, "callsite ", 9) && strncmp(from, "thread ", 7) && strncmp(from, "process ", 8)) {
			memmove(to, from, end - from);
			to += end - from;
		}
	}
	*to = '\0';
	return text;
}

static void story(struct build *b, const char *want, enum tape_defect_kind kind, u64 defects)
{
	struct seen seen;
	char *got = without_definitions(read_tape(b, &seen, NULL));

	assert_string_equal(got, want);
	if (seen.all != defects || seen.cnt[kind] != defects)
		fail_msg("%llu defects, %llu of kind %d; %llu expected", (unsigned long long)seen.all,
			 (unsigned long long)seen.cnt[kind], kind, (unsigned long long)defects);
	free(got);
	build__done(b);
}

#define NONE TAPE_DEFECT_INTRO

/* --- what makes the upstream parser panic ------------------------------------------------------------------ */

static void unknown_spans(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__enter(&b, 9, 10, 7);
	build__u64(&b, TAPE_SPAN_VALUE, 11, 9, 1); /* the placeholder has no fields */
	build__exit(&b, 9, 20);
	build__close(&b, 9, 30);
	build__close(&b, 9, 40);
	story(&b,
	      "open 1 (opened before recording) @10 thread 0 kind 1 parent 0 flags 7 lost_parent 0\n"
	      "enter 1 on 7 @10\n"
	      "exit 1 on 7 @20 why 0\n"
	      "close 1 @30 dropped @30 why 0\n",
	      TAPE_DEFECT_SPAN, 2);
}

static void exit_without_entry(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 10, 0, TAPE_PARENT_ROOT);
	build__exit(&b, 5, 20);
	build__close(&b, 5, 30);
	story(&b,
	      "open 1 bare @10 thread 0 kind 1 parent 0\n"
	      "close 1 @30 dropped @30 why 0\n",
	      TAPE_DEFECT_EXIT, 1);
}

static void exits_out_of_order(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 10, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 5, 11, 7);
	build__open(&b, 6, 3, 12, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 6, 13, 7);
	build__exit(&b, 5, 14);
	build__event(&b, 2, 15, 7, 0);
	build__exit(&b, 6, 16);
	build__close(&b, 6, 17);
	build__close(&b, 5, 18);
	story(&b,
	      "open 1 bare @10 thread 7 kind 0 parent 0\n"
	      "enter 1 on 7 @11\n"
	      "open 2 bare @12 thread 7 kind 0 parent 1\n"
	      "enter 2 on 7 @13\n"
	      "exit 1 on 7 @14 why 0\n"
	      "event ev @15 thread 7 kind 0 parent 2\n"
	      "exit 2 on 7 @16 why 0\n"
	      "close 2 @17 dropped @17 why 0\n"
	      "close 1 @18 dropped @18 why 0\n",
	      NONE, 0);
}

static void one_span_on_two_threads(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 10, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 5, 11, 7);
	build__enter(&b, 5, 12, 8);
	build__open(&b, 6, 3, 13, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 6, 14, 8);
	build__exit(&b, 5, 15); /* on top only on thread 7 */
	build__exit(&b, 6, 16);
	build__close(&b, 6, 17);
	build__exit(&b, 5, 18);
	build__close(&b, 5, 19);
	story(&b,
	      "open 1 bare @10 thread 0 kind 1 parent 0\n"
	      "enter 1 on 7 @11\n"
	      "enter 1 on 8 @12\n"
	      "open 2 bare @13 thread 8 kind 0 parent 1\n"
	      "enter 2 on 8 @14\n"
	      "exit 1 on 7 @15 why 0\n"
	      "exit 2 on 8 @16 why 0\n"
	      "close 2 @17 dropped @17 why 0\n"
	      "exit 1 on 8 @18 why 0\n"
	      "close 1 @19 dropped @19 why 0\n",
	      NONE, 0);
}

/* The upstream recorder announces declared fields, not written ones. */
static void event_that_lacks_values(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__event(&b, 2, 10, 7, 2);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 1);
	build__event(&b, 2, 20, 8, 2); /* another thread in between */
	build__u64(&b, TAPE_EVENT_VALUE, 12, 8, 2);
	build__event(&b, 2, 30, 7, 1);
	build__u64(&b, TAPE_EVENT_VALUE, 12, 7, 3);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 8, 4);
	story(&b,
	      "event ev @10 thread 7 kind 0 parent 0 a:5=1\n"
	      "event ev @30 thread 7 kind 0 parent 0 b:5=3\n"
	      "event ev @20 thread 8 kind 0 parent 0 b:5=2 a:5=4\n",
	      TAPE_DEFECT_EVENT, 1);
}

static void values_too_many(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 1); /* no event at all */
	build__event(&b, 2, 10, 7, 1);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 1);
	build__u64(&b, TAPE_EVENT_VALUE, 12, 7, 2); /* one more than announced */
	story(&b, "event ev @10 thread 7 kind 0 parent 0 a:5=1\n", TAPE_DEFECT_EVENT, 2);
}

static void values_that_are_wrong(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__event(&b, 2, 10, 7, 6);
	build__u64(&b, TAPE_EVENT_VALUE, 99, 7, 1);			  /* no such field */
	build__value(&b, TAPE_EVENT_VALUE, 8, 11, 7, "12345678", 8);	  /* no such type */
	build__value(&b, TAPE_EVENT_VALUE, TAPE_BOOL, 11, 7, "", 0);	  /* nothing */
	build__value(&b, TAPE_EVENT_VALUE, TAPE_I128, 11, 7, "12345678", 8); /* half of it */
	build__value(&b, TAPE_EVENT_VALUE, TAPE_F64, 11, 7, "123456789", 9);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_STR, 12, 7, "", 0); /* this one is fine */
	story(&b, "event ev @10 thread 7 kind 0 parent 0 b:9=''\n", TAPE_DEFECT_VALUE, 5);
}

static void callsites_that_are_wrong(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__field(&b, 3, 11, "one too many");
	build__field(&b, 77, 11, "of nobody");
	story(&b, "", TAPE_DEFECT_FIELD, 2);

	begin_tape(&b, 20);
	build__event(&b, 77, 10, 7, 0); /* not defined */
	build__callsite(&b, 0x07, 4, "level seven", 0);
	build__callsite(&b, 0x02, 5, "incomplete", 2);
	build__field(&b, 5, 11, "a");
	build__event(&b, 5, 11, 7, 1);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 6);
	story(&b,
	      "event (unknown callsite) @10 thread 7 kind 0 parent 0\n"
	      "event incomplete @11 thread 7 kind 0 parent 0 a:5=6\n",
	      TAPE_DEFECT_CALLSITE, 3);

	begin_tape(&b, 20);
	build__callsite(&b, 0x02, 4, "long", 0);
	b.data[b.bytes - 26 - 9 + 12] = 0xff; /* file_len beyond the record */
	build__event(&b, 2, 10, 7, 0);
	story(&b, "event ev @10 thread 7 kind 0 parent 0\n", TAPE_DEFECT_CALLSITE, 1);
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

/* --- what upstream shows wrong ------------------------------------------------------------------------------ */

static void never_closed(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 1, 10, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 5, 11, 7);
	build__open(&b, 6, 3, 12, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 6, 13, 7);
	build__open(&b, 8, 3, 14, 6, TAPE_PARENT_EXPLICIT);
	build__event(&b, 2, 20, 8, 0);
	story(&b,
	      "open 1 sp @10 thread 7 kind 0 parent 0\n"
	      "enter 1 on 7 @11\n"
	      "open 2 bare @12 thread 7 kind 0 parent 1\n"
	      "enter 2 on 7 @13\n"
	      "event ev @20 thread 8 kind 0 parent 0\n"
	      "open 3 bare @14 thread 0 kind 2 parent 2\n"
	      "exit 2 on 7 @20 why 2\n"
	      "exit 1 on 7 @20 why 2\n"
	      "close 3 @20 dropped @20 why 2\n"
	      "close 2 @20 dropped @20 why 2\n"
	      "close 1 @20 dropped @20 why 2\n",
	      TAPE_DEFECT_UNCLOSED, 3);
}

static void closed_while_entered(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 10, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 5, 11, 7);
	build__close(&b, 5, 12);
	build__open(&b, 6, 3, 13, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 6, 14, 7);
	build__exit(&b, 6, 15);
	build__close(&b, 6, 16);
	story(&b,
	      "open 1 bare @10 thread 7 kind 0 parent 0\n"
	      "enter 1 on 7 @11\n"
	      "exit 1 on 7 @12 why 5\n"
	      "close 1 @12 dropped @12 why 0\n"
	      "open 2 bare @13 thread 7 kind 0 parent 0\n"
	      "enter 2 on 7 @14\n"
	      "exit 2 on 7 @15 why 0\n"
	      "close 2 @16 dropped @16 why 0\n",
	      TAPE_DEFECT_EXIT, 1);
}

static void closed_after_its_parent_was_left(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 10, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 5, 11, 7);
	build__open(&b, 6, 3, 12, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 6, 13, 7);
	build__exit(&b, 6, 14);
	build__exit(&b, 5, 15);
	build__close(&b, 6, 16);
	build__close(&b, 5, 17);
	story(&b,
	      "open 1 bare @10 thread 7 kind 0 parent 0\n"
	      "enter 1 on 7 @11\n"
	      "open 2 bare @12 thread 7 kind 0 parent 1\n"
	      "enter 2 on 7 @13\n"
	      "exit 2 on 7 @14 why 0\n"
	      "exit 1 on 7 @15 why 0\n"
	      "close 2 @16 dropped @16 why 0\n"
	      "close 1 @17 dropped @17 why 0\n",
	      NONE, 0);
}

static void opened_twice(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 10, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 5, 11, 7);
	build__open(&b, 5, 1, 12, 0, TAPE_PARENT_ROOT);
	build__u64(&b, TAPE_SPAN_VALUE, 12, 5, 9);
	build__close(&b, 5, 13);
	story(&b,
	      "open 1 bare @10 thread 0 kind 1 parent 0\n"
	      "enter 1 on 7 @11\n"
	      "exit 1 on 7 @12 why 6\n"
	      "close 1 @12 dropped @12 why 6\n"
	      "open 2 sp @12 thread 0 kind 1 parent 0 b:5=9\n"
	      "close 2 @13 dropped @13 why 0\n",
	      TAPE_DEFECT_SPAN, 1);
}

/* Ids of upstream come again after the close: values of the second are never seen on the first. */
static void id_reuse_and_late_values(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 1, 10, 0, TAPE_PARENT_ROOT);
	build__u64(&b, TAPE_SPAN_VALUE, 12, 5, 1);
	build__u64(&b, TAPE_SPAN_VALUE, 12, 5, 2); /* the later one replaces it */
	build__enter(&b, 5, 11, 7);
	build__u64(&b, TAPE_SPAN_VALUE, 11, 5, 3);
	build__exit(&b, 5, 12);
	build__close(&b, 5, 12);
	build__open(&b, 5, 3, 13, 0, TAPE_PARENT_ROOT);
	build__close(&b, 5, 14);
	story(&b,
	      "open 1 sp @10 thread 0 kind 1 parent 0 b:5=2\n"
	      "enter 1 on 7 @11\n"
	      "value 1 @11 thread 0 a:5=3\n"
	      "exit 1 on 7 @12 why 0\n"
	      "close 1 @12 dropped @12 why 0\n"
	      "open 2 bare @13 thread 0 kind 1 parent 0\n"
	      "close 2 @14 dropped @14 why 0\n",
	      NONE, 0);
}

static void version_0_0_open(void **state)
{
	struct build b;
	u8 *open;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 10, 0, 0);
	open = b.data + b.bytes - 36;
	open[1] = 35;
	b.bytes--;
	build__open(&b, 6, 3, 11, 5, 0);
	open = b.data + b.bytes - 36;
	open[1] = 35;
	b.bytes--;
	build__open(&b, 8, 3, 12, 0, TAPE_PARENT_CURRENT);
	open = b.data + b.bytes - 36;
	open[1] = 38; /* longer than known */
	build__bytes(&b, "xy", 2);
	build__close(&b, 8, 12);
	build__close(&b, 6, 12);
	build__close(&b, 5, 12);
	story(&b,
	      "open 1 bare @10 thread 0 kind 1 parent 0\n"
	      "open 3 bare @12 thread 0 kind 0 parent 0\n"
	      "close 3 @12 dropped @12 why 0\n"
	      "open 2 bare @11 thread 0 kind 2 parent 1\n"
	      "close 2 @12 dropped @12 why 0\n"
	      "close 1 @12 dropped @12 why 0\n",
	      NONE, 0);
}

/* A stack with a duplicate: the current span is the topmost entry that is none. */
static void entered_twice(void **state)
{
	struct build b;

	begin_tape(&b, 20);
	build__open(&b, 5, 3, 1, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 5, 2, 7);
	build__open(&b, 6, 3, 3, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 6, 4, 7);
	build__enter(&b, 5, 5, 7);
	build__event(&b, 2, 6, 7, 0);
	build__exit(&b, 5, 7);
	build__exit(&b, 5, 8);
	build__event(&b, 2, 9, 7, 0);
	build__exit(&b, 6, 10);
	build__event(&b, 2, 11, 7, 0);
	build__close(&b, 6, 12);
	build__close(&b, 5, 12);
	story(&b,
	      "open 1 bare @1 thread 0 kind 1 parent 0\n"
	      "enter 1 on 7 @2\n"
	      "open 2 bare @3 thread 0 kind 1 parent 0\n"
	      "enter 2 on 7 @4\n"
	      "enter 1 on 7 @5\n"
	      "event ev @6 thread 7 kind 0 parent 2\n"
	      "exit 1 on 7 @7 why 0\n"
	      "exit 1 on 7 @8 why 0\n"
	      "event ev @9 thread 7 kind 0 parent 2\n"
	      "exit 2 on 7 @10 why 0\n"
	      "event ev @11 thread 7 kind 0 parent 0\n"
	      "close 2 @12 dropped @12 why 0\n"
	      "close 1 @12 dropped @12 why 0\n",
	      NONE, 0);
}

/* --- the compatibility procedures, undone --------------------------------------------------------------------- */

static void begin_own(struct build *b)
{
	begin_tape(b, 20);
	BUILD(b, TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION, .end = INT64_MAX);
	/* thread ids of our tapes mean nothing without their records */
}

static void context(struct build *b, u64 span, u64 thread, u64 parent)
{
	BUILD(b, TAPE_X_SPAN, struct tape_x_span, .span = span, .thread = thread, .parent = parent);
	b->data[b->bytes - sizeof(struct tape_x_span) + 1] = TAPE_X_SPAN_MIN;
	b->bytes -= sizeof(struct tape_x_span) - TAPE_X_SPAN_MIN;
}

static void undo_reopen(void **state)
{
	struct build b;

	begin_own(&b);
	build__synthetic(&b, TAPE_P_REOPEN, 2);
	build__open(&b, 50, 3, -5, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 50, 0, 7);
	build__exit(&b, 50, 10);
	build__close(&b, 50, 11);
	story(&b,
	      "open 50 bare @-5 thread 0 kind 1 parent 0 flags 2 lost_parent 0\n"
	      "enter 50 on 7 @0\n"
	      "exit 50 on 7 @10 why 0\n"
	      "close 50 @11 dropped @11 why 0\n",
	      NONE, 0);
}

static void undo_cut(void **state)
{
	struct build b;

	begin_own(&b);
	context(&b, 50, 7, 0);
	build__open(&b, 50, 3, 1, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 50, 2, 7);
	build__synthetic(&b, TAPE_P_CUT, 1);
	build__exit(&b, 50, 9);
	BUILD(&b, TAPE_X_CLOSE, struct tape_x_close, .span = 50, .dropped = 9, .why = SINK_CUT);
	build__close(&b, 50, 9);
	story(&b,
	      "open 50 bare @1 thread 7 kind 0 parent 0\n"
	      "enter 50 on 7 @2\n"
	      "exit 50 on 7 @9 why 2\n"
	      "close 50 @9 dropped @9 why 2\n",
	      NONE, 0);
}

static void undo_order(void **state)
{
	struct build b;

	begin_own(&b);
	context(&b, 50, 7, 0);
	build__open(&b, 50, 3, 1, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 50, 2, 7);
	context(&b, 51, 7, 50);
	build__open(&b, 51, 3, 3, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 51, 4, 7);
	build__synthetic(&b, TAPE_P_ORDER, 1);
	build__exit(&b, 51, 5);
	build__exit(&b, 50, 5);
	build__synthetic(&b, TAPE_P_ORDER, 1);
	build__enter(&b, 51, 5, 7);
	build__exit(&b, 51, 6);
	build__close(&b, 51, 7);
	build__close(&b, 50, 8);
	story(&b,
	      "open 50 bare @1 thread 7 kind 0 parent 0\n"
	      "enter 50 on 7 @2\n"
	      "open 51 bare @3 thread 7 kind 0 parent 50\n"
	      "enter 51 on 7 @4\n"
	      "exit 50 on 7 @5 why 0\n"
	      "exit 51 on 7 @6 why 0\n"
	      "close 51 @7 dropped @7 why 0\n"
	      "close 50 @8 dropped @8 why 0\n",
	      NONE, 0);
}

static void undo_alias(void **state)
{
	struct build b;

	begin_own(&b);
	context(&b, 50, 7, 0);
	build__open(&b, 50, 3, 1, 0, TAPE_PARENT_CURRENT);
	build__enter(&b, 50, 2, 7);
	BUILD(&b, TAPE_X_ALIAS, struct tape_x_alias, .alias = 900, .span = 50);
	build__synthetic(&b, TAPE_P_ALIAS, 1);
	build__open(&b, 900, 3, 3, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 900, 3, 8);
	build__event(&b, 2, 4, 8, 0);
	BUILD(&b, TAPE_X_EXIT, struct tape_x_exit, .span = 50, .time = 5, .thread = 7);
	build__exit(&b, 50, 5);
	BUILD(&b, TAPE_X_EXIT, struct tape_x_exit, .span = 900, .time = 6, .thread = 8);
	build__exit(&b, 900, 6);
	build__synthetic(&b, TAPE_P_ALIAS, 1);
	build__close(&b, 900, 6);
	build__close(&b, 50, 8);
	story(&b,
	      "open 50 bare @1 thread 7 kind 0 parent 0\n"
	      "enter 50 on 7 @2\n"
	      "enter 50 on 8 @3\n"
	      "event ev @4 thread 8 kind 0 parent 50\n"
	      "exit 50 on 7 @5 why 0\n"
	      "exit 50 on 8 @6 why 0\n"
	      "close 50 @8 dropped @8 why 0\n",
	      NONE, 0);
}

static void undo_place_and_close(void **state)
{
	struct build b;

	begin_own(&b);
	context(&b, 50, 7, 0);
	build__open(&b, 50, 3, 1, 0, TAPE_PARENT_CURRENT);
	context(&b, 51, 7, 50);
	build__open(&b, 51, 3, 3, 50, TAPE_PARENT_EXPLICIT);
	build__synthetic(&b, TAPE_P_PLACE, 3);
	build__enter(&b, 50, 5, 7);
	build__enter(&b, 51, 5, 7);
	build__exit(&b, 51, 5);
	build__close(&b, 51, 5);
	build__synthetic(&b, TAPE_P_PLACE, 1);
	build__exit(&b, 50, 5);
	/* the program let go of the parent before its child */
	BUILD(&b, TAPE_X_CLOSE, struct tape_x_close, .span = 50, .dropped = 4, .why = SINK_OWN);
	build__close(&b, 50, 5);
	story(&b,
	      "open 50 bare @1 thread 7 kind 0 parent 0\n"
	      "open 51 bare @3 thread 7 kind 2 parent 50\n"
	      "close 51 @5 dropped @5 why 0\n"
	      "close 50 @5 dropped @4 why 0\n",
	      NONE, 0);
}

static void undo_field_placeholders(void **state)
{
	struct build b;

	begin_own(&b);
	context(&b, 50, 7, 0);
	build__open(&b, 50, 1, 1, 0, TAPE_PARENT_CURRENT);
	build__synthetic(&b, TAPE_P_FIELD, 1);
	build__value(&b, TAPE_SPAN_VALUE, TAPE_STR, 11, 50, "", 0);
	build__u64(&b, TAPE_SPAN_VALUE, 12, 50, 5);
	build__event(&b, 2, 4, 7, 2);
	build__synthetic(&b, TAPE_P_FIELD, 1);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_STR, 11, 7, "", 0);
	build__u64(&b, TAPE_EVENT_VALUE, 12, 7, 6);
	build__close(&b, 50, 5);
	story(&b,
	      "open 50 sp @1 thread 7 kind 0 parent 0 b:5=5\n"
	      "event ev @4 thread 7 kind 0 parent 0 b:5=6\n"
	      "close 50 @5 dropped @5 why 0\n",
	      NONE, 0);
}

static void late_values_flags_and_event_context(void **state)
{
	struct build b;

	begin_own(&b);
	context(&b, 50, 7, 0);
	build__open(&b, 50, 1, 1, 0, TAPE_PARENT_CURRENT);
	BUILD(&b, TAPE_X_VALUE, struct tape_x_value, .owner = 50, .field = 11, .flags = TAPE_V_TRUNCATED, .original = 99,
	      .type = WIRE_T_STR);
	build__value(&b, TAPE_SPAN_VALUE, TAPE_STR, 11, 50, "cut", 3);
	BUILD(&b, TAPE_X_LATE, struct tape_x_late, .span = 50, .time = 3, .thread = 8);
	BUILD(&b, TAPE_X_VALUE, struct tape_x_value, .owner = 50, .field = 12, .type = WIRE_T_BYTES);
	build__value(&b, TAPE_SPAN_VALUE, TAPE_STR, 12, 50, "[68 69]", 7);
	BUILD(&b, TAPE_X_LATE, struct tape_x_late, .span = 50, .time = 4, .thread = 8);
	BUILD(&b, TAPE_SPAN_FOLLOWS, struct tape_span_follows, .span = 50, .follows = 40);
	BUILD(&b, TAPE_X_EVENT, struct tape_x_event, .thread = 8, .parent_kind = TAPE_PARENT_EXPLICIT, .span = 50);
	build__event(&b, 2, 5, 8, 2);
	BUILD(&b, TAPE_X_VALUE, struct tape_x_value, .owner = 8, .field = 11, .flags = TAPE_V_UNREADABLE, .type = WIRE_T_U64);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_STR, 11, 8, "", 0);
	BUILD(&b, TAPE_X_VALUE, struct tape_x_value, .owner = 8, .field = 12, .type = WIRE_T_PTR);
	build__u64(&b, TAPE_EVENT_VALUE, 12, 8, 0xabc);
	build__close(&b, 50, 6);
	story(&b,
	      "open 50 sp @1 thread 7 kind 0 parent 0 a:9!1/99='cut'\n"
	      "value 50 @3 thread 8 b:10='hi'\n"
	      "follows 50 40 @4 thread 8\n"
	      "event ev @5 thread 8 kind 2 parent 50 a:5!2/0=0 b:11=abc\n"
	      "close 50 @6 dropped @6 why 0\n",
	      NONE, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example),
		cmocka_unit_test(cut_at_every_length),
		cmocka_unit_test(zeros_between_records),
		cmocka_unit_test(unknown_spans),
		cmocka_unit_test(exit_without_entry),
		cmocka_unit_test(exits_out_of_order),
		cmocka_unit_test(one_span_on_two_threads),
		cmocka_unit_test(event_that_lacks_values),
		cmocka_unit_test(values_too_many),
		cmocka_unit_test(values_that_are_wrong),
		cmocka_unit_test(callsites_that_are_wrong),
		cmocka_unit_test(broken_framing),
		cmocka_unit_test(unknown_kinds_are_skipped),
		cmocka_unit_test(never_closed),
		cmocka_unit_test(closed_while_entered),
		cmocka_unit_test(closed_after_its_parent_was_left),
		cmocka_unit_test(opened_twice),
		cmocka_unit_test(id_reuse_and_late_values),
		cmocka_unit_test(version_0_0_open),
		cmocka_unit_test(entered_twice),
		cmocka_unit_test(undo_reopen),
		cmocka_unit_test(undo_cut),
		cmocka_unit_test(undo_order),
		cmocka_unit_test(undo_alias),
		cmocka_unit_test(undo_place_and_close),
		cmocka_unit_test(undo_field_placeholders),
		cmocka_unit_test(late_values_flags_and_event_context),
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
