/* SPDX-License-Identifier: MIT */
#include "base/stream_copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define ROOM 8192

static _Alignas(64) u8 src[ROOM + 128], dst[ROOM + 128], want[ROOM + 128];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(src); i++)
		src[i] = (u8)(i * 7 + i / 256 * 13 + 1);
}

/* Nothing before, nothing behind. */
static void check(u32 way, size_t to, size_t from, size_t bytes)
{
	memset(dst, 0xee, sizeof(dst));
	memset(want, 0xee, sizeof(want));
	memcpy(want + to, src + from, bytes);
	assert_true(stream_copy__by(way, dst + to, src + from, bytes));
	assert_memory_equal(dst, want, sizeof(dst));
}

static void each_length_and_place(u32 way)
{
	static const size_t bytes[] = { 0, 1, 63, 64, 65, STREAM_COPY_MIN_BYTES - 1, STREAM_COPY_MIN_BYTES, STREAM_COPY_MIN_BYTES + 1, 575, 1000,
					2048, 4056, 4095, 4096, 4097, ROOM };

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
		for (size_t to = 0; to < 72; to += to < 4 ? 1 : 4)
			for (size_t from = 0; from < 72; from += from < 2 ? 1 : 8)
				check(way, to, from, bytes[i]);
}

static void every_way_copies_what_memcpy_does(void **state)
{
	u32 ways = 0;

	fill();
	for (u32 way = 0; way < STREAM_COPY_WAYS; way++) {
		if (!stream_copy__by(way, dst, src, 0)) {
			print_message("way %u is not there on this machine\n", way);
			continue;
		}
		each_length_and_place(way);
		ways++;
	}
	assert_true(ways > 0);
}

static void the_usual_way_copies(void **state)
{
	fill();
	memset(dst, 0, sizeof(dst));
	stream_copy(dst + 8, src + 3, 4000);
	stream_copy__fence();
	assert_memory_equal(dst + 8, src + 3, 4000);
	assert_int_equal(dst[7], 0);
	assert_int_equal(dst[4008], 0);
}

/* What is asked for ahead need not be there. */
static void the_end_of_memory_is_no_harm(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	u8 *mem = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(mem != MAP_FAILED);
	assert_int_equal(mprotect(mem + 2 * page, page, PROT_NONE), 0);
	memset(mem, 0x5a, 2 * page);
	for (u32 way = 0; way < STREAM_COPY_WAYS; way++) {
		memset(dst, 0, sizeof(dst));
		if (!stream_copy__by(way, dst, mem + page + 1, page - 1))
			continue;
		assert_memory_equal(dst, mem, page - 1);
		assert_int_equal(dst[page - 1], 0);
		/* nor is anything written there */
		assert_true(stream_copy__by(way, mem + page + 8, src, page - 8));
		assert_memory_equal(mem + page + 8, src, page - 8);
		memset(mem, 0x5a, 2 * page);
	}
	munmap(mem, 3 * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_copies_what_memcpy_does),
		cmocka_unit_test(the_usual_way_copies),
		cmocka_unit_test(the_end_of_memory_is_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
