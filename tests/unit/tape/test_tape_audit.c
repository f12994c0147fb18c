/* SPDX-License-Identifier: MIT */
/* The auditor: clean tapes are clean, and each way of breaking one is found where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "tape/tape_audit.h"
#include "tape/tape_reader.h"
#include "tape_build.h"

struct found {
	u64 cnt[TAPE_DEFECT_MAX], all, first_offset;
};

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct found *f = ctx;

	if (!f->all++)
		f->first_offset = d->offset;
	f->cnt[d->kind]++;
}

static struct tape_audit_result audit(struct build *b, struct found *f)
{
	struct tape_audit_result r;

	memset(f, 0, sizeof(*f));
	assert_int_equal(tape_audit__run(build__path(b), &(struct tape_audit_ops){ .defect = on_defect, .ctx = f }, &r, NULL), 0);
	assert_int_equal(r.defects, f->all);
	return r;
}

/* Exactly these many defects, all of one kind. */
static struct tape_audit_result finds(struct build *b, enum tape_defect_kind kind, u64 cnt)
{
	struct found f;
	struct tape_audit_result r = audit(b, &f);

	if (f.all != cnt || f.cnt[kind] != cnt)
		fail_msg("%llu defects, %llu of kind %d (%s); %llu expected", (unsigned long long)f.all,
			 (unsigned long long)f.cnt[kind], kind, tape_defect__label(kind), (unsigned long long)cnt);
	build__done(b);
	return r;
}

static void checksum(struct build *b)
{
	u32 crc = crc32c(0, b->data, b->bytes);

	BUILD(b, TAPE_X_CHECKSUM, struct tape_x_checksum, .crc = crc);
}

static void clean(void **state)
{
	struct tape_audit_result r;
	struct build b;

	build__example(&b);
	r = finds(&b, 0, 0);
	assert_int_equal(r.bytes, 342);
	assert_int_equal(r.records, 11);
	assert_int_equal(r.totals.spans, 1);
	assert_int_equal(r.totals.events, 1);
	assert_int_equal(r.threads, 1);
	assert_false(r.own || r.unfinished || r.totals.checksum_present);

	build__init(&b, 20, 0);
	finds(&b, 0, 0);

	build__everything(&b, 16);
	checksum(&b);
	r = finds(&b, 0, 0);
	assert_true(r.own && r.totals.present && r.totals.checksum_ok);
	assert_int_equal(r.totals.lost, 3);

	build__everything(&b, 16);
	checksum(&b);
	build__bytes(&b, "\0\0\0\0", 4); /* nothing but zeros may follow */
	finds(&b, 0, 0);
}

static void begin(struct build *b)
{
	build__init(b, 16, 0);
	build__callsites(b);
}

static void span(struct build *b, u64 id, s64 time)
{
	build__open(b, id, 3, time, 0, TAPE_PARENT_CURRENT);
	build__enter(b, id, time, 7);
}

static void done(struct build *b, u64 id, s64 time)
{
	build__exit(b, id, time);
	build__close(b, id, time);
}

static void spans(void **state)
{
	struct build b;

	begin(&b);
	build__enter(&b, 9, 1, 7);
	build__exit(&b, 9, 2);
	build__u64(&b, TAPE_SPAN_VALUE, 11, 9, 0);
	build__close(&b, 9, 3);
	finds(&b, TAPE_DEFECT_SPAN, 4);

	begin(&b);
	build__open(&b, 5, 3, 1, 0, TAPE_PARENT_CURRENT);
	build__exit(&b, 5, 2); /* never entered */
	build__close(&b, 5, 3);
	finds(&b, TAPE_DEFECT_EXIT, 1);

	begin(&b);
	span(&b, 5, 1);
	build__exit(&b, 5, 2);
	build__exit(&b, 5, 3); /* once more */
	build__close(&b, 5, 3);
	finds(&b, TAPE_DEFECT_EXIT, 1);

	begin(&b);
	span(&b, 5, 1);
	span(&b, 6, 2);
	build__exit(&b, 5, 3); /* not on top */
	build__exit(&b, 6, 4);
	build__close(&b, 6, 5);
	build__close(&b, 5, 5);
	finds(&b, TAPE_DEFECT_ORDER, 1);

	begin(&b);
	span(&b, 5, 1);
	build__enter(&b, 5, 2, 8); /* on two threads: the second exit is of nobody */
	build__exit(&b, 5, 3);
	build__exit(&b, 5, 4);
	build__close(&b, 5, 5);
	finds(&b, TAPE_DEFECT_EXIT, 2); /* and it is closed while entered on the first */

	begin(&b);
	span(&b, 5, 1);
	build__close(&b, 5, 2);
	span(&b, 6, 3); /* judged as if nothing had been */
	done(&b, 6, 4);
	finds(&b, TAPE_DEFECT_EXIT, 1);

	begin(&b);
	span(&b, 5, 1);
	build__open(&b, 6, 3, 1, 0, TAPE_PARENT_ROOT);
	finds(&b, TAPE_DEFECT_UNCLOSED, 2);

	begin(&b);
	build__open(&b, 5, 3, 1, 0, TAPE_PARENT_ROOT);
	build__open(&b, 5, 3, 1, 0, TAPE_PARENT_ROOT);
	build__close(&b, 5, 2);
	build__open(&b, 5, 3, 1, 0, TAPE_PARENT_ROOT); /* after the close it is fine */
	build__close(&b, 5, 2);
	finds(&b, TAPE_DEFECT_SPAN, 1);

	begin(&b);
	build__open(&b, 5, 3, 1, 0, 3);
	build__close(&b, 5, 2);
	build__open(&b, 5, 3, 1, 8, TAPE_PARENT_ROOT);
	build__close(&b, 5, 2);
	finds(&b, TAPE_DEFECT_SPAN, 2);
}

static void events_and_values(void **state)
{
	struct build b;

	begin(&b);
	build__event(&b, 2, 1, 7, 2);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 1);
	build__event(&b, 2, 2, 7, 1); /* the first lacks one, this one lacks one at the end */
	finds(&b, TAPE_DEFECT_EVENT, 2);

	begin(&b);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 1);
	build__event(&b, 2, 1, 7, 1);
	build__u64(&b, TAPE_EVENT_VALUE, 11, 7, 1);
	build__u64(&b, TAPE_EVENT_VALUE, 12, 7, 1);
	finds(&b, TAPE_DEFECT_EVENT, 2);

	begin(&b);
	build__event(&b, 2, 1, 7, 7);
	build__u64(&b, TAPE_EVENT_VALUE, 99, 7, 1);
	build__value(&b, TAPE_EVENT_VALUE, 8, 11, 7, "12345678", 8);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_BOOL, 11, 7, "", 0);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_BOOL, 11, 7, "12", 2);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_U128, 11, 7, "12345678", 8);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_U64, 11, 7, "1234567", 7);
	build__value(&b, TAPE_EVENT_VALUE, TAPE_ERROR, 11, 7, "", 0);
	finds(&b, TAPE_DEFECT_VALUE, 6);
}

static void definitions(void **state)
{
	struct build b;

	begin(&b);
	build__event(&b, 77, 1, 7, 0);		       /* not defined */
	build__event(&b, 1, 1, 7, 0);		       /* of spans */
	build__open(&b, 5, 2, 1, 0, TAPE_PARENT_ROOT); /* of events */
	build__close(&b, 5, 1);
	build__callsite(&b, 0x0f, 4, "level", 0);
	build__callsite(&b, 0x12, 5, "bits", 0);
	build__callsite(&b, 0x02, 6, "fields", 2); /* of which none comes: used, and at the end */
	build__event(&b, 6, 1, 7, 0);
	finds(&b, TAPE_DEFECT_CALLSITE, 7);

	begin(&b);
	build__field(&b, 3, 1, "x");
	build__field(&b, 99, 1, "x");
	finds(&b, TAPE_DEFECT_FIELD, 2);

	begin(&b);
	build__callsites(&b); /* the same again */
	finds(&b, 0, 0);

	begin(&b);
	build__callsite(&b, 0x02, 4, "long", 0);
	b.data[b.bytes - 26 - 9 + 12]++; /* a file name that is longer than the record */
	finds(&b, TAPE_DEFECT_CALLSITE, 1);

	begin(&b);
	build__callsite(&b, 0x02, 4, "\xff", 0);
	finds(&b, TAPE_DEFECT_TEXT, 1);
}

static void framing(void **state)
{
	struct found f;
	struct build b;

	begin(&b);
	build__bytes(&b, "\x30\0\0", 3);
	finds(&b, TAPE_DEFECT_LENGTH, 1);

	begin(&b);
	build__bytes(&b, "\x21\x1b", 2);
	audit(&b, &f);
	assert_int_equal(f.cnt[TAPE_DEFECT_TORN], 1);
	assert_int_equal(f.first_offset, b.bytes - 2);
	build__done(&b);
}

static void times(void **state)
{
	struct build b;

	begin(&b);
	build__event(&b, 2, 10, 7, 0);
	build__event(&b, 2, 5, 8, 0); /* another thread may be behind */
	build__event(&b, 2, 9, 7, 0);
	finds(&b, TAPE_DEFECT_ORDER, 1);
}

static void own(struct build *b)
{
	begin(b);
	BUILD(b, TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION);
}

static void extensions(void **state)
{
	struct tape_audit_result r;
	struct build b;

	own(&b);
	r = finds(&b, 0, 0);
	assert_true(r.unfinished);

	own(&b);
	BUILD(&b, TAPE_X_CLOSE, struct tape_x_close, .span = 5); /* nothing is behind it */
	build__event(&b, 2, 1, 7, 0);
	finds(&b, TAPE_DEFECT_EXTENSION, 1);

	own(&b);
	build__synthetic(&b, TAPE_P_CUT, 2);
	build__event(&b, 2, 1, 7, 0);
	finds(&b, TAPE_DEFECT_EXTENSION, 1);

	own(&b);
	BUILD(&b, TAPE_X_THREAD, struct tape_x_thread, .thread = 1, .name_len = 1);
	BUILD(&b, TAPE_X_PROCESS, struct tape_x_process, .process = 1, .comm_len = 1, .exe_len = TAPE_X_NO_TEXT);
	BUILD(&b, TAPE_X_CALLSITE, struct tape_x_callsite, .callsite = 3, .field_cnt = 1);
	finds(&b, TAPE_DEFECT_EXTENSION, 4); /* the last is wrong twice: no room, and the callsite has no field */

	own(&b);
	BUILD(&b, TAPE_X_TRIGGER, struct tape_x_trigger, .trigger_len = 1, .what_len = 0xffff);
	BUILD(&b, TAPE_X_TRIGGER, struct tape_x_trigger, .what_len = 1);
	build__texts(&b, sizeof(struct tape_x_trigger), "x"); /* fired by what? */
	finds(&b, TAPE_DEFECT_EXTENSION, 2);

	own(&b);
	BUILD(&b, TAPE_X_TRIGGER, struct tape_x_trigger, .trigger_len = 1, .what_len = 1);
	build__texts(&b, sizeof(struct tape_x_trigger), "x\xff");
	finds(&b, TAPE_DEFECT_TEXT, 1);

	own(&b);
	build__bytes(&b, &(struct tape_head){ TAPE_X_LOSS, 4 }, 3);
	build__bytes(&b, "x", 1);
	build__event(&b, 2, 1, 7, 0); /* what comes behind is judged all the same */
	r = finds(&b, TAPE_DEFECT_EXTENSION, 1);
	assert_int_equal(r.totals.events, 1);

	own(&b);
	BUILD(&b, TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION + 1);
	BUILD(&b, TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION, .incompat = 1);
	finds(&b, TAPE_DEFECT_EXTENSION, 2);
}

static void totals(void **state)
{
	static const struct tape_x_totals wrong[] = {
		{ .emitted = 6, .stored = 2, .lost = 3, .events = 1 }, /* does not add up */
		{ .emitted = 6, .stored = 2, .lost = 4, .events = 1 }, /* more than the loss records say */
		{ .emitted = 5, .stored = 2, .lost = 3, .events = 2 }, /* an event that is not there */
		{ .emitted = 5, .stored = 2, .lost = 3, .events = 1, .spans = 1 },
		{ .emitted = 1, .stored = UINT64_MAX - 1, .lost = 3, .events = 1 }, /* adds up only by overflow */
	};
	struct tape_x_totals t;
	struct build b;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		own(&b);
		build__event(&b, 2, 1, 7, 0);
		BUILD(&b, TAPE_X_LOSS, struct tape_x_loss, .to = 1, .count = 3);
		t = wrong[i];
		t.h = (struct tape_head){ TAPE_X_TOTALS, sizeof(t) };
		build__bytes(&b, &t, sizeof(t));
		finds(&b, TAPE_DEFECT_LOSS, 1);
	}
}

/* Nobody knows of what comes behind the end. */
static void complete_beyond_the_end(void **state)
{
	struct build b;

	own(&b);
	BUILD(&b, TAPE_X_TOTALS, struct tape_x_totals, .time = 5, .complete = 6);
	finds(&b, TAPE_DEFECT_EXTENSION, 1);
}

static void wrong_checksum(void **state)
{
	struct tape_audit_result r;
	struct build b;

	own(&b);
	checksum(&b);
	b.data[40] ^= 0; /* as it is: good */
	finds(&b, 0, 0);

	own(&b);
	BUILD(&b, TAPE_X_CHECKSUM, struct tape_x_checksum, .crc = 1);
	r = finds(&b, TAPE_DEFECT_CHECKSUM, 1);
	assert_true(r.totals.checksum_present);
	assert_false(r.totals.checksum_ok);

	own(&b);
	checksum(&b);
	build__event(&b, 2, 1, 7, 0);
	finds(&b, TAPE_DEFECT_CHECKSUM, 1);
}

static void notes(void **state)
{
	struct tape_audit_result r;
	struct build b;

	own(&b);
	build__open(&b, 5, 1, 1, 0, TAPE_PARENT_ROOT);
	build__enter(&b, 5, 1, 7);
	build__open(&b, 6, 1, 2, 5, TAPE_PARENT_EXPLICIT); /* closed on another thread, and never entered */
	build__close(&b, 6, 3);
	done(&b, 5, 4);
	r = finds(&b, 0, 0);
	assert_int_equal(r.misplaced, 1);
	assert_int_equal(r.never_entered, 1);
	assert_int_equal(r.idle_callsites, 1);
}

/* --- any damage: ends, never crashes, and where there is a checksum it is seen -------------------------------- */

static void bit_flips(void **state)
{
	struct tape_audit_result res;
	struct tape_reader *r;
	struct found f;
	struct build b;
	u32 i, bit, unseen = 0;

	build__everything(&b, 16);
	checksum(&b);
	for (i = 0; i < b.bytes; i++) {
		for (bit = 0; bit < 8; bit++) {
			b.data[i] ^= 1 << bit;
			memset(&f, 0, sizeof(f));
			if (tape_audit__run(build__path(&b), &(struct tape_audit_ops){ .defect = on_defect, .ctx = &f }, &res, NULL) == 0)
				unseen += !f.all;
			if (tape_reader__open(b.path, NULL, &r, NULL) == 0) {
				assert_int_equal(tape_reader__run(r, NULL, 0), 0);
				tape_reader__free(r);
			}
			b.data[i] ^= 1 << bit;
		}
	}
	/* the checksum record itself can become one of another kind, which is skipped: 6 of its kind's bits */
	assert_in_range(unseen, 0, 8);
	build__done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean),   cmocka_unit_test(spans),	 cmocka_unit_test(events_and_values),
		cmocka_unit_test(framing), cmocka_unit_test(definitions), cmocka_unit_test(times),
		cmocka_unit_test(totals),  cmocka_unit_test(extensions),	 cmocka_unit_test(wrong_checksum),
		cmocka_unit_test(complete_beyond_the_end),
		cmocka_unit_test(notes),   cmocka_unit_test(bit_flips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
