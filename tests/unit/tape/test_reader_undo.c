/* SPDX-License-Identifier: MIT */
/* The compatibility procedures and extension records of our own tapes: undone and used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "reader_story.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undo_reopen),
		cmocka_unit_test(undo_cut),
		cmocka_unit_test(undo_order),
		cmocka_unit_test(undo_alias),
		cmocka_unit_test(undo_place_and_close),
		cmocka_unit_test(undo_field_placeholders),
		cmocka_unit_test(late_values_flags_and_event_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
