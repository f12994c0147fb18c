/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "ingest/batch.h"
#include "page_sim.h"

static struct sim_page s;
static const struct batch_clock no_clock;

static void open_page(struct batch *b, u64 head_ns, const struct batch_clock *clk)
{
	assert_int_equal(batch__open(b, s.bytes, WIRE_DATA + sim__len(&s), head_ns), 0);
	batch__clock(b, clk);
}

static void records_in_order(void **state)
{
	struct batch_cursor c;
	struct batch b;
	struct rec r;
	u32 callsite;

	sim__init(&s, 1000, 1, 2, 0);
	sim__begin(&s, 0x123456789abcULL, 1010);
	sim__event(&s, 5, 1020);
	sim__finish(&s, 1030);
	open_page(&b, 2000, &no_clock);
	assert_int_equal(b.cnt, 3);
	assert_int_equal(batch__first(&b, &c), 1);
	assert_int_equal(c.size, 20);
	assert_int_equal(batch__ns(&b, c.ticks), 1010);
	assert_int_equal(batch__parse(b.data + c.off, c.size, &r, &callsite), 0);
	assert_int_equal(r.kind, WIRE_R_BEGIN);
	assert_int_equal(callsite, (u32)SIM_SITE_ADDR);
	assert_int_equal(r.payload_bytes, 8);
	assert_int_equal(*(const u64 *)memcpy(&(u64){ 0 }, r.payload, 8), 0x123456789abcULL);
	assert_int_equal(batch__next(&b, &c), 1);
	assert_int_equal(c.number, 1);
	assert_int_equal(batch__next(&b, &c), 1);
	assert_int_equal(c.size, 8);
	assert_int_equal(batch__parse(b.data + c.off, c.size, &r, &callsite), 0);
	assert_int_equal(r.kind, WIRE_R_END);
	assert_int_equal(r.payload_bytes, 0);
	assert_int_equal(batch__ns(&b, c.ticks), 1030);
	assert_int_equal(batch__next(&b, &c), 0);
}

static void refs_and_values(void **state)
{
	struct wire_ref own = { 7, SIM_MODULE_ADDR, 900, 0x55 }, parent = { 8, SIM_MODULE_ADDR, 800, 0x66 };
	u8 body[2 * WIRE_REF_BYTES + 12];
	struct batch_cursor c;
	struct batch b;
	struct rec r;
	u32 callsite;

	sim__init(&s, 1000, 1, 2, 0);
	memcpy(body, &own, WIRE_REF_BYTES);
	memcpy(body + WIRE_REF_BYTES, &parent, WIRE_REF_BYTES);
	sim__append(&s, WIRE_R_OPEN, WIRE_PARENT_EXPLICIT, 0, body, 2 * WIRE_REF_BYTES + 8, 1001);
	sim__append(&s, WIRE_R_FOLLOWS, 0, 0, body, 2 * WIRE_REF_BYTES, 1002);
	memcpy(body + WIRE_REF_BYTES, &(u32){ 3 | WIRE_T_U64 << 8 }, 4);
	sim__append(&s, WIRE_R_VALUE, 0, 0, body, WIRE_REF_BYTES + 12, 1003);
	sim__append(&s, WIRE_R_VALUE, 0, 0, body, WIRE_REF_BYTES, 1004); /* too short */
	open_page(&b, 2000, &no_clock);

	assert_int_equal(batch__first(&b, &c), 1);
	assert_int_equal(batch__parse(b.data + c.off, c.size, &r, &callsite), 0);
	assert_int_equal(r.ref.id, 7);
	assert_int_equal(r.other.id, 8);
	assert_int_equal(r.other.callsite, 0x66);
	assert_int_equal(callsite, 0x55);
	assert_int_equal(r.payload_bytes, 8);
	batch__next(&b, &c);
	assert_int_equal(batch__parse(b.data + c.off, c.size, &r, &callsite), 0);
	assert_int_equal(r.other.open_ns, 800);
	batch__next(&b, &c);
	assert_int_equal(batch__parse(b.data + c.off, c.size, &r, &callsite), 0);
	assert_int_equal(r.value_field, 3);
	assert_int_equal(r.value_type, WIRE_T_U64);
	assert_int_equal(r.payload_bytes, 8);
	batch__next(&b, &c);
	assert_int_equal(batch__parse(b.data + c.off, c.size, &r, &callsite), -EBADMSG);
}

/* The error over a whole second, at every place, against integer arithmetic of 128 bits. */
static void ticks_become_ns(void **state)
{
	const u64 start = 123456789012345ULL, length[] = { 20000, 1000000, NSEC_PER_SEC, 3600 * NSEC_PER_SEC };
	const u64 hz[] = { 24000000, 1000000000, 2593906000ULL, 5100000000ULL };
	u32 i, j, k;

	for (i = 0; i < ARRAY_SIZE(length); i++) {
		for (j = 0; j < ARRAY_SIZE(hz); j++) {
			u64 ticks = (unsigned __int128)length[i] * hz[j] / NSEC_PER_SEC, last = 0;
			struct batch b;

			sim__init(&s, start, 1, 2, 1);
			s.h.slot[0].ticks = 987654321987ULL;
			s.h.end_ticks = s.h.slot[0].ticks + ticks;
			s.h.end_ns = start + length[i];
			s.h.end_seq = 0;
			open_page(&b, s.h.end_ns + 1000, &no_clock);
			for (k = 0; k <= 1000; k++) {
				u64 d = (unsigned __int128)ticks * k / 1000;
				u64 ns = batch__ns(&b, b.ticks0 + d);
				u64 want = start + (unsigned __int128)d * length[i] / ticks;

				assert_in_range(ns, want, want + 1);
				assert_true(ns >= last);
				last = ns;
			}
			assert_in_range(last, s.h.end_ns, s.h.end_ns + 1);
			/* Beyond: never later than the delivery. */
			assert_int_equal(batch__ns(&b, b.ticks0 + 100 * ticks), s.h.end_ns + 1000);
			assert_int_equal(batch__ns(&b, b.ticks0 - 5), start);
		}
	}
}

static void recorder_clock_stands_in(void **state)
{
	struct batch_clock clk = { .first_ticks = 3000, .first_ns = 1000 };
	struct batch b;

	clk.ns = clk.first_ns + 50 * NSEC_PER_MSEC;
	clk.ticks = clk.ns * 3;
	sim__init(&s, 10 * NSEC_PER_MSEC, 1, 2, 1);
	open_page(&b, NSEC_PER_SEC, &clk);
	assert_in_range(batch__ns(&b, b.ticks0 + 3 * NSEC_PER_MSEC), 11 * NSEC_PER_MSEC,
			11 * NSEC_PER_MSEC + 1);
	/* A batch that began after the recorder's last pair: by the rate of the pairs. */
	sim__init(&s, 60 * NSEC_PER_MSEC, 1, 2, 1);
	open_page(&b, NSEC_PER_SEC, &clk);
	assert_in_range(batch__ns(&b, b.ticks0 + 3 * NSEC_PER_MSEC), 61 * NSEC_PER_MSEC,
			61 * NSEC_PER_MSEC + 1);
	/* No pair at all: the last record is as old as the delivery. */
	sim__init(&s, 1000, 1, 2, 1);
	sim__begin(&s, 1, 1000);
	sim__finish(&s, 5000);
	open_page(&b, 5000, &no_clock);
	assert_in_range(batch__ns(&b, b.ticks0 + 3 * 2000), 2999, 3001);
}

/* Two pages whose own pairs are off by some 100 ns, each its own way: the same ticks are the same time on both, and later
 * ticks a later time, across the recorder's pairs and before and behind all of them. */
static void one_line_for_all(void **state)
{
	static struct batch_clock clk; /* three ticks a ns, and a clock that is slewed */
	const u64 start = NSEC_PER_SEC;
	struct batch a, b;
	static struct sim_page t;
	u64 i, last = 0;

	memset(&clk, 0, sizeof(clk));
	for (i = 0; i <= 2 * CLOCK_LINES; i++)
		batch_clock__add(&clk, 3 * (start + i * 20 * NSEC_PER_MSEC), start + i * 20 * NSEC_PER_MSEC + i * 37);
	assert_int_equal(clk.cnt, 2 * CLOCK_LINES);
	batch_clock__add(&clk, clk.ticks + 3, clk.ns + 1); /* too close to be kept */
	assert_int_equal(clk.cnt, 2 * CLOCK_LINES);

	i = (2 * CLOCK_LINES - 10) * 20 * NSEC_PER_MSEC;
	sim__init(&s, start + i + 100, 1, 2, 1);
	sim__init(&t, start + i + 9000, 1, 3, 1);
	s.h.slot[0].ticks = 3 * (start + i);
	t.h.slot[0].ticks = 3 * (start + i + 9500);
	open_page(&a, 1000 * start, &clk);
	assert_int_equal(batch__open(&b, t.bytes, WIRE_DATA + sim__len(&t), 1000 * start), 0);
	batch__clock(&b, &clk);
	for (i = 0; i < 400 * NSEC_PER_MSEC; i += 777777) {
		u64 ticks = b.ticks0 + 3 * i, ns = batch__ns(&a, ticks);

		assert_int_equal(ns, batch__ns(&b, ticks));
		assert_true(ns > last);
		assert_in_range(ns, ticks / 3, ticks / 3 + 400000);
		last = ns;
	}
	/* What has been said is not taken back, whatever the next pair says. */
	i = clk.ticks + 3 * NSEC_PER_MSEC;
	last = batch__ns(&a, i);
	batch_clock__add(&clk, clk.ticks + 90 * NSEC_PER_MSEC, clk.ns + 30 * NSEC_PER_MSEC + 5000);
	assert_int_equal(clk.cnt, 2 * CLOCK_LINES + 1);
	assert_int_equal(batch__ns(&b, i), last);
	assert_true(batch__ns(&b, clk.ticks - 1) <= batch__ns(&a, clk.ticks));
	/* Older than the history: by its own pairs. */
	sim__init(&s, start, 1, 2, 1);
	s.h.slot[0].ticks = 3 * start;
	s.h.end_ticks = 3 * (start + 1000);
	s.h.end_ns = start + 1000;
	s.h.end_seq = 0;
	open_page(&a, 1000 * start, &clk);
	assert_in_range(batch__ns(&a, 3 * (start + 500)), start + 499, start + 501);
	/* A clock that is not ours (a time namespace). */
	sim__init(&s, 5000 * start, 1, 2, 1);
	s.h.slot[0].ticks = clk.ticks - 3000;
	open_page(&a, 6000 * start, &clk);
	assert_in_range(batch__ns(&a, clk.ticks), 5000 * start + 990, 5000 * start + 1010);
}

static void pause_is_absolute(void **state)
{
	u64 later = 1000 + 20 * NSEC_PER_SEC;
	struct batch_cursor c;
	struct batch b;

	sim__init(&s, 1000, 1, 2, 0);
	sim__event(&s, 1, 1005);
	sim__append(&s, WIRE_R_PAUSE, 0, 0, &later, 8, later);
	sim__event(&s, 2, later + 7);
	open_page(&b, later + 1000, &no_clock);
	batch__first(&b, &c);
	batch__next(&b, &c);
	assert_int_equal(batch__next(&b, &c), 1);
	assert_int_equal(batch__ns(&b, c.ticks), later + 7);
}

static void what_is_open(void **state)
{
	struct batch_entry e[BATCH_MAX_RECS];
	u64 id = 77;
	struct batch b;
	struct rec r;
	u32 callsite;

	sim__init(&s, 1000, 1, 2, 0);
	sim__begin(&s, 10, 1010); /* 0 */
	sim__begin(&s, 11, 1020); /* 1 */
	sim__append(&s, WIRE_R_NUMBER, 0, 1, &id, 8, 1025);
	sim__reset(&s, 1030);
	sim__begin(&s, 12, 1040);  /* 3 */
	sim__begin(&s, 13, 1050);  /* 4 */
	s.depth = 3;
	sim__finish(&s, 1060);	   /* 5: closes depth 2, and 3 with it */
	sim__event(&s, 1, 1070);   /* 6 */
	open_page(&b, 2000, &no_clock);

	assert_int_equal(batch__entries(&b, b.first, e), 2);
	assert_int_equal(batch__pre(&b, &e[0], &r, &callsite), 0);
	assert_int_equal(r.kind, REC_PRE);
	assert_int_equal(r.number, 0);
	assert_int_equal(r.depth, 0);
	assert_int_equal(r.time_ns, 1010);
	assert_int_equal(r.payload_bytes, 8);
	assert_int_equal(r.payload[0], 10);
	assert_int_equal(r.numbered, 0);
	assert_int_equal(batch__pre(&b, &e[1], &r, &callsite), 0);
	assert_int_equal(r.number, 1);
	assert_int_equal(r.numbered, 77);
	assert_int_equal(callsite, (u32)SIM_SITE_ADDR);
	/* In the middle: the preamble and the records before it. */
	assert_int_equal(batch__entries(&b, 5, e), 4);
	assert_int_equal(e[3].number, 4);
	assert_int_equal(batch__pre(&b, &e[3], &r, &callsite), 0);
	assert_int_equal(r.time_ns, 1050);
	assert_int_equal(r.payload[0], 13);
	assert_int_equal(batch__entries(&b, 6, e), 2);
}

static void hostile_headers(void **state)
{
	struct batch_cursor c;
	struct batch b;
	struct sim_page good;

	sim__init(&s, 1000, 1, 2, 0);
	sim__event(&s, 1, 1005);
	good = s;
	assert_int_equal(batch__open(&b, s.bytes, WIRE_DATA - 1, 2000), -EBADMSG);
	s.h.magic++;
	assert_int_equal(batch__open(&b, s.bytes, WIRE_DATA + 20, 2000), -EBADMSG);
	s = good;
	s.h.version = 9;
	assert_int_equal(batch__open(&b, s.bytes, WIRE_DATA + 20, 2000), -EBADMSG);
	s = good;
	s.h.slot[0].first = 1ULL << 60;
	assert_int_equal(batch__open(&b, s.bytes, WIRE_DATA + 20, 2000), -EBADMSG);
	s = good; /* more promised than there is */
	s.h.commit = sim__commit(0, 0xffff, 0xffff);
	open_page(&b, 2000, &no_clock);
	s = good;
	s.h.commit = sim__commit(0, 3, 20);
	assert_int_equal(batch__open(&b, s.bytes, WIRE_DATA + 20, 2000), 0);
	batch__clock(&b, &no_clock);
	assert_int_equal(batch__first(&b, &c), 1);
	assert_int_equal(batch__next(&b, &c), -EBADMSG);
	s = good; /* the preamble ends behind the data */
	s.h.pre_len[0] = 0xffff;
	open_page(&b, 2000, &no_clock);
	assert_int_equal(batch__first(&b, &c), -EBADMSG);
	s = good; /* a record beyond the data, and one smaller than a record */
	s.h.commit = sim__commit(0, 1, 16);
	open_page(&b, 2000, &no_clock);
	assert_int_equal(batch__first(&b, &c), -EBADMSG);
	s = good;
	memcpy(s.bytes + WIRE_DATA, &(u32){ WIRE_HEAD(WIRE_R_EVENT, 0, 0, 4) }, 4);
	open_page(&b, 2000, &no_clock);
	assert_int_equal(batch__first(&b, &c), -EBADMSG);
}

/* The rule that batch__is_usual looks up in two masks. */
static void usual_kinds(void **state)
{
	for (u32 low = 0; low < 64; low++) {
		for (u32 size = 8; size <= 16; size += 4) {
			u32 kind = low & 15, parent = low >> 4;
			bool takes = (kind == WIRE_R_BEGIN || kind == WIRE_R_EVENT) && parent != WIRE_PARENT_EXPLICIT && size >= 12;

			assert_int_equal(batch__is_usual(WIRE_HEAD(kind, parent, 0, size)), kind == WIRE_R_END || takes);
			assert_int_equal(batch__is_usual(WIRE_HEAD(kind, parent, 4095, size)), kind == WIRE_R_END || takes);
		}
	}
}

/* Does the step to the end take a page of a begin and this record, cut to `bytes`, with so many promised? */
static bool goes_to_end(u32 head, u32 bytes, u32 cnt)
{
	struct batch_cursor c, next, by_rule;
	struct batch b;
	bool went;

	sim__init(&s, 1000, 1, 2, 0);
	sim__begin(&s, 7, 1010);
	sim__finish(&s, 1030);
	memcpy(s.bytes + WIRE_DATA + 20, &head, sizeof(head));
	s.h.commit = sim__commit(0, cnt, bytes);
	assert_int_equal(batch__open(&b, s.bytes, WIRE_DATA + bytes, 2000), 0);
	batch__clock(&b, &no_clock);
	assert_int_equal(batch__first(&b, &c), 1);
	next = by_rule = c;
	went = batch__to_end(&b, &next);
	if (went) {
		assert_int_equal(batch__next(&b, &by_rule), 1);
		assert_memory_equal(&next, &by_rule, sizeof(next));
	} else {
		assert_memory_equal(&next, &c, sizeof(next));
	}
	return went;
}

static void one_step_to_the_end(void **state)
{
	u32 end;

	sim__init(&s, 1000, 1, 2, 0);
	sim__begin(&s, 7, 1010);
	sim__finish(&s, 1030);
	memcpy(&end, s.bytes + WIRE_DATA + 20, sizeof(end));
	assert_true(goes_to_end(end, 28, 2));
	assert_true(goes_to_end(end, 28, 3));
	assert_false(goes_to_end(end, 28, 1)); /* not promised */
	assert_false(goes_to_end(end, 27, 2)); /* cut */
	assert_false(goes_to_end(end, 20, 2));
	assert_false(goes_to_end(end ^ WIRE_HEAD(0, 0, 1, 0), 28, 2)); /* of another depth */
	assert_false(goes_to_end(end ^ WIRE_HEAD(0, 1, 0, 0), 28, 2)); /* not as tape.h writes it */
	assert_false(goes_to_end(WIRE_HEAD(WIRE_R_END, 0, WIRE_HEAD_DEPTH(end), 12), 32, 2));
	assert_false(goes_to_end(WIRE_HEAD(WIRE_R_END, 0, WIRE_HEAD_DEPTH(end), 4), 28, 2));
	assert_false(goes_to_end(WIRE_HEAD(WIRE_R_PAUSE, 0, WIRE_HEAD_DEPTH(end), 8), 28, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_in_order),	    cmocka_unit_test(refs_and_values),
		cmocka_unit_test(ticks_become_ns),	    cmocka_unit_test(recorder_clock_stands_in),
		cmocka_unit_test(one_line_for_all),
		cmocka_unit_test(pause_is_absolute),	    cmocka_unit_test(what_is_open),
		cmocka_unit_test(hostile_headers),	    cmocka_unit_test(usual_kinds),
		cmocka_unit_test(one_step_to_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
