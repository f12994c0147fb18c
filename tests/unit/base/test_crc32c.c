/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/crc32c.h"

/* RFC 3720, B.4, and the check value of the catalogues. */
static void known_answers(void **state)
{
	u8 b[32];
	int i;

	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(b, 0, sizeof(b));
	assert_int_equal(crc32c(0, b, 32), 0x8a9136aa);
	memset(b, 0xff, sizeof(b));
	assert_int_equal(crc32c(0, b, 32), 0x62a8ab43);
	for (i = 0; i < 32; i++)
		b[i] = i;
	assert_int_equal(crc32c(0, b, 32), 0x46dd794e);
}

static void portable_and_pieces_agree(void **state)
{
	u8 b[300];
	u32 whole, i;

	for (i = 0; i < sizeof(b); i++)
		b[i] = i * 7 + (i >> 3);
	whole = crc32c(0, b, sizeof(b));
	assert_int_equal(crc32c__portable(0, b, sizeof(b)), whole);
	for (i = 0; i <= sizeof(b); i++)
		assert_int_equal(crc32c(crc32c(0, b, i), b + i, sizeof(b) - i), whole);
}

/* Long enough for whatever is done several at a time, with every rest behind it. */
static void every_way_agrees(void **state)
{
	static u8 b[70000];
	u32 i, way, word = 1, ways = 0;

	for (i = 0; i < sizeof(b); i++) {
		word = word * 1664525 + 1013904223;
		b[i] = word >> 24;
	}
	for (way = 0; way < CRC32C_WAYS; way++) {
		crc32c_fn crc = crc32c__way(way);

		if (!crc) {
			print_message("way %u: not on this processor\n", way);
			continue;
		}
		ways++;
		for (i = 0; i < 700; i++)
			assert_int_equal(crc(i, b + i % 8, i), crc32c__portable(i, b + i % 8, i));
		for (i = 3000; i < 3200; i++)
			assert_int_equal(crc(i, b + i % 8, i), crc32c__portable(i, b + i % 8, i));
		for (i = 0; i < 9; i++)
			assert_int_equal(crc(~i, b + i, sizeof(b) - 8 - i), crc32c__portable(~i, b + i, sizeof(b) - 8 - i));
	}
	assert_true(ways >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(known_answers),
					    cmocka_unit_test(portable_and_pieces_agree),
					    cmocka_unit_test(every_way_agrees) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
