/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flight/sheets.h"

#include <string.h>

static u32 kept; /* images that were put into the ring */

static bool on_keep(void *ctx, const struct wire_batch *b, u32 bytes, u64 ns)
{
	kept++;
	return true;
}

/* Batch `seq` of the one page, with cnt records from number `first` on. */
static void deliver(struct sheets *s, enum wire_why why, u32 seq, u64 first, u32 cnt)
{
	struct {
		struct wire_batch b;
		struct wire_page p;
	} d = {
		.b = {.head = {.kind = WIRE_BATCH, .bytes = sizeof(d), .time_ns = 1000 + seq, .pid = 1, .tid = 2}, .why = why},
		.p = {.magic = WIRE_PAGE_MAGIC, .version = WIRE_VERSION, .id = 7},
	};

	d.p.commit = (u64)seq << 32 | cnt << 16;
	d.p.slot[seq & 1].first = first;
	if (sheets__batch(s, &d.b, sizeof(d)))
		sheets__stored(s);
}

static int setup(void **state)
{
	static struct sheets s;

	kept = 0;
	sheets__init(&s, on_keep, NULL);
	deliver(&s, WIRE_WHY_FLUSH, 0, 0, 100);
	deliver(&s, WIRE_WHY_FLUSH, 2, 200, 100); /* batch 1 is missing */
	assert_int_equal(s.st.records, 200);
	assert_int_equal(s.st.missing, 100);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	sheets__done(*state);
	return 0;
}

static void a_late_batch_fills_its_gap(void **state)
{
	struct sheets *s = *state;

	deliver(s, WIRE_WHY_FLUSH, 1, 100, 100);
	assert_int_equal(s->st.records, 300);
	assert_int_equal(s->st.missing, 0);
}

/* What is missing elsewhere stays missing. */
static void a_batch_that_was_read_whole_counts_once(void **state)
{
	struct sheets *s = *state;

	deliver(s, WIRE_WHY_IDLE, 3, 300, 60);
	deliver(s, WIRE_WHY_IDLE, 3, 300, 100);
	assert_int_equal(s->st.records, 300);
	deliver(s, WIRE_WHY_FLUSH, 3, 300, 100);
	assert_int_equal(s->st.records, 300);
	assert_int_equal(s->st.missing, 100);
	assert_int_equal(kept, 0);
}

/* Its flush lies in the ring of the CPU that its thread has left, which is emptied after the other one. */
static void a_late_batch_that_was_read_in_part_fills_the_rest(void **state)
{
	struct sheets *s = *state;

	deliver(s, WIRE_WHY_IDLE, 3, 300, 60);
	deliver(s, WIRE_WHY_FLUSH, 4, 400, 100);
	assert_int_equal(s->st.records, 360);
	assert_int_equal(s->st.missing, 140);
	deliver(s, WIRE_WHY_IDLE, 5, 500, 10);
	deliver(s, WIRE_WHY_FLUSH, 3, 300, 100);
	assert_int_equal(s->st.records, 410);
	assert_int_equal(s->st.missing, 100);
	assert_int_equal(kept, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_late_batch_fills_its_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(a_batch_that_was_read_whole_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_late_batch_that_was_read_in_part_fills_the_rest, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
