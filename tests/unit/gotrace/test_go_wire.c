/* SPDX-License-Identifier: MIT */
/* test_go_wire.c - the bytes of a generation, against vectors that all readers accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gotrace/go_wire.h"

/* One thread, one task, one region, one log: 216 bytes, header 1.22. */
static const u8 min22[] = {
	0x67, 0x6f, 0x20, 0x31, 0x2e, 0x32, 0x32, 0x20, 0x74, 0x72, 0x61, 0x63, 0x65, 0x00, 0x00, 0x00, /* header */
	0x01, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xc0, 0x84, 0x3d, 0x06,
	0x08, 0x80, 0x94, 0xeb, 0xdc, 0x03, /* frequency */
	0x01, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xc0, 0x84, 0x3d, 0x0f,
	0x02, 0x03, 0x01, 0x01, 0x01, 0x01, 0x02, 0x01, 0x03, 0x02, 0x01, 0x02, 0x05, 0x06, 0x2a, /* stacks */
	0x01, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xc0, 0x84, 0x3d, 0x47,
	0x04, /* strings */
	0x05, 0x01, 0x04, 0x6d, 0x61, 0x69, 0x6e,
	0x05, 0x02, 0x08, 0x5b, 0x74, 0x68, 0x72, 0x65, 0x61, 0x64, 0x5d,
	0x05, 0x03, 0x03, 0x61, 0x70, 0x70,
	0x05, 0x04, 0x05, 0x70, 0x61, 0x72, 0x73, 0x65,
	0x05, 0x05, 0x0b, 0x61, 0x70, 0x70, 0x3a, 0x3a, 0x70, 0x61, 0x72, 0x73, 0x65, 0x72,
	0x05, 0x06, 0x09, 0x70, 0x61, 0x72, 0x73, 0x65, 0x72, 0x2e, 0x72, 0x73,
	0x05, 0x07, 0x04, 0x49, 0x4e, 0x46, 0x4f,
	0x05, 0x08, 0x02, 0x68, 0x69,
	0x01, 0x01, 0xa1, 0x1f, 0xc0, 0x84, 0x3d, 0x34, /* events of thread 4001 */
	0x0d, 0x00, 0x00, 0x02,
	0x0a, 0x01, 0x00, 0x01,
	0x0e, 0x01, 0xa1, 0x1f, 0x01, 0x00,
	0x10, 0x01, 0xa1, 0x1f, 0x01,
	0x28, 0x01, 0x01, 0x00, 0x03, 0x00,
	0x2a, 0xf0, 0x03, 0x01, 0x04, 0x02,
	0x2c, 0xc8, 0x01, 0x01, 0x07, 0x08, 0x00,
	0x2b, 0xc8, 0x01, 0x01, 0x04, 0x00,
	0x29, 0x64, 0x01, 0x00,
	0x11, 0x01,
	0x0b, 0x01,
};

/* What stands for the frequency batch under header 1.26. */
static const u8 sync26[] = {
	0x01, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xbf, 0x84, 0x3d, 0x14,
	0x32, 0x08, 0x80, 0x94, 0xeb, 0xdc, 0x03,
	0x33, 0x01, 0xb4, 0x88, 0x3d, 0x80, 0xc3, 0xbb, 0xc2, 0x06, 0xc0, 0x84, 0x3d,
};

static u64 text(struct go_wire *w, const char *s)
{
	return go_wire__string(w, s, strlen(s));
}

static u64 stack(struct go_wire *w, u64 pc, const char *func, const char *file, u64 line)
{
	return go_wire__stack(w, pc, func, strlen(func), file, strlen(file), line);
}

static void tell_story(struct go_wire *w, struct go_stream *s)
{
	GO_EVENT(w, s, 1000000, GO_PROC_STATUS, 0, GO_PROC_IDLE);
	GO_EVENT(w, s, 1000001, GO_PROC_START, 0, 1);
	GO_EVENT(w, s, 1000002, GO_CREATE, 4001, stack(w, 1, "main", "[thread]", 1), 0);
	GO_EVENT(w, s, 1000003, GO_START, 4001, 1);
	GO_EVENT(w, s, 1000004, GO_TASK_BEGIN, 1, 0, text(w, "app"), 0);
	GO_EVENT(w, s, 1000500, GO_REGION_BEGIN, 1, text(w, "parse"), stack(w, 2, "app::parser", "parser.rs", 42));
	GO_EVENT(w, s, 1000700, GO_LOG, 1, text(w, "INFO"), text(w, "hi"), 0);
	GO_EVENT(w, s, 1000900, GO_REGION_END, 1, text(w, "parse"), 0);
	GO_EVENT(w, s, 1001000, GO_TASK_END, 1, 0);
	GO_EVENT(w, s, 1001001, GO_DESTROY);
	GO_EVENT(w, s, 1001002, GO_PROC_STOP);
}

static void the_smallest_trace_has_its_known_bytes(void **state)
{
	struct go_stream s = { .m = 4001 };
	struct go_wire w;
	u8 header[GO_HEADER_BYTES];
	const u8 *bytes;
	size_t cnt;

	go_wire__init(&w, 22);
	tell_story(&w, &s);
	assert_int_equal(go_wire__seal(&w, 1000000, NULL, &bytes, &cnt), 0);
	go_wire__header(header, 22);
	assert_memory_equal(header, min22, sizeof(header));
	assert_int_equal(cnt, sizeof(min22) - sizeof(header));
	assert_memory_equal(bytes, min22 + sizeof(header), cnt);
	go_stream__done(&s);
	go_wire__done(&w);
}

static void header_26_has_a_sync_batch_and_an_end(void **state)
{
	struct go_clock clock = { .mono_ns = 1000500, .real_ns = 1750000000001000000 };
	const size_t rest = sizeof(min22) - GO_HEADER_BYTES - 22;
	struct go_stream s = { .m = 4001 };
	struct go_wire w;
	u8 header[GO_HEADER_BYTES];
	const u8 *bytes;
	size_t cnt;

	go_wire__init(&w, 26);
	tell_story(&w, &s);
	assert_int_equal(go_wire__seal(&w, 1000000, &clock, &bytes, &cnt), 0);
	go_wire__header(header, 26);
	assert_memory_equal(header, "go 1.26 trace\0\0\0", sizeof(header));
	assert_int_equal(cnt, sizeof(sync26) + rest + 1);
	assert_memory_equal(bytes, sync26, sizeof(sync26));
	assert_memory_equal(bytes + sizeof(sync26), min22 + GO_HEADER_BYTES + 22, rest);
	assert_int_equal(bytes[cnt - 1], GO_END_OF_GENERATION);
	go_stream__done(&s);
	go_wire__done(&w);
}

/* Walks the batches; returns how many have m, and the largest payload. */
static u32 batches(const u8 *p, size_t cnt, u64 m, u64 *largest)
{
	const u8 *end = p + cnt;
	u32 found = 0, i;

	*largest = 0;
	while (p < end) {
		u64 head[5] = { 0 };

		for (i = 0; i < 5; i++) {
			u32 shift = 0;

			do
				head[i] |= (u64)(*p & 0x7f) << shift;
			while (shift += 7, *p++ & 0x80);
		}
		assert_int_equal(head[0], GO_BATCH);
		found += head[2] == m;
		*largest = head[4] > *largest ? head[4] : *largest;
		p += head[4];
	}
	assert_ptr_equal(p, end);
	return found;
}

static void no_batch_is_above_64_kib(void **state)
{
	struct go_stream s = { .m = 7 };
	struct go_wire w;
	const u8 *bytes;
	char name[GO_MAX_TEXT + 100];
	size_t cnt;
	u64 i, largest;

	go_wire__init(&w, 22);
	for (i = 0; i < 30000; i++) {
		memset(name, 'a', sizeof(name));
		snprintf(name, 8, "%07u", (unsigned)i);
		GO_EVENT(&w, &s, i, GO_LOG, 1, go_wire__string(&w, name, i % 50 ? 7 : sizeof(name)), ~0ULL, 0);
		stack(&w, i, name, "f", i);
	}
	assert_int_equal(go_wire__seal(&w, 1, NULL, &bytes, &cnt), 0);
	assert_true(batches(bytes, cnt, 7, &largest) > 5);
	assert_true(largest <= GO_MAX_BATCH);
	assert_true(largest > GO_MAX_BATCH - GO_MAX_TEXT - 100);
	assert_true(batches(bytes, cnt, GO_NONE, &largest) > 10);
	go_stream__done(&s);
	go_wire__done(&w);
}

static void ids_begin_anew_with_each_generation(void **state)
{
	struct go_stream s = { .m = 7 };
	struct go_wire w;
	const u8 *bytes;
	size_t cnt;

	go_wire__init(&w, 22);
	assert_int_equal(text(&w, ""), 0);
	assert_int_equal(text(&w, "a"), 1);
	assert_int_equal(text(&w, "b"), 2);
	assert_int_equal(text(&w, "a"), 1);
	assert_int_equal(stack(&w, 5, "a", "b", 1), 1);
	GO_EVENT(&w, &s, 10, GO_DESTROY);
	assert_int_equal(w.gen, 1);
	assert_int_equal(go_wire__seal(&w, 1, NULL, &bytes, &cnt), 0);
	assert_int_equal(w.gen, 2);
	assert_int_equal(text(&w, "b"), 1);
	assert_int_equal(stack(&w, 5, "a", "b", 1), 1);
	go_stream__done(&s);
	go_wire__done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_smallest_trace_has_its_known_bytes),
		cmocka_unit_test(header_26_has_a_sync_batch_and_an_end),
		cmocka_unit_test(no_batch_is_above_64_kib),
		cmocka_unit_test(ids_begin_anew_with_each_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
