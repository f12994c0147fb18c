/* SPDX-License-Identifier: MIT */
/* What makes the upstream parser panic, or show a wrong tree: the reader reports it and puts it right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "reader_story.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_spans),
		cmocka_unit_test(exit_without_entry),
		cmocka_unit_test(exits_out_of_order),
		cmocka_unit_test(one_span_on_two_threads),
		cmocka_unit_test(event_that_lacks_values),
		cmocka_unit_test(values_too_many),
		cmocka_unit_test(values_that_are_wrong),
		cmocka_unit_test(callsites_that_are_wrong),
		cmocka_unit_test(never_closed),
		cmocka_unit_test(closed_while_entered),
		cmocka_unit_test(closed_after_its_parent_was_left),
		cmocka_unit_test(opened_twice),
		cmocka_unit_test(id_reuse_and_late_values),
		cmocka_unit_test(version_0_0_open),
		cmocka_unit_test(entered_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
