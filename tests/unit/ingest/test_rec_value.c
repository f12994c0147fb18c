/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ingest/rec.h"

static struct rec_value v;

static void numbers_are_widened(void **state)
{
	u8 p[16];

	memset(p, 0xff, sizeof(p));
	assert_int_equal(rec_value__take(&v, WIRE_T_I32, p, 4), 4);
	assert_true(v.i == -1);
	assert_int_equal(rec_value__take(&v, WIRE_T_U32, p, 4), 4);
	assert_true(v.u == 0xffffffffu);
	assert_int_equal(rec_value__take(&v, WIRE_T_BOOL, p, 4), 4);
	assert_true(v.u == 1);
	assert_int_equal(rec_value__take(&v, WIRE_T_I64, p, 8), 8);
	assert_true(v.i == -1);
	assert_int_equal(rec_value__take(&v, WIRE_T_PTR, p, 8), 8);
	assert_true(v.u == ~0ULL);
	memcpy(p, &(double){ -2.5 }, 8);
	assert_int_equal(rec_value__take(&v, WIRE_T_F64, p, 8), 8);
	assert_true(v.f == -2.5);
	assert_int_equal(rec_value__take(&v, WIRE_T_U128, p, 16), 16);
	assert_true(v.wide[1] == ~0ULL);
	assert_int_equal(rec_value__take(&v, WIRE_T_EMPTY, p, 0), 0);
	assert_true(v.null);
}

static void too_short_is_refused(void **state)
{
	static const struct {
		u8 type, bytes;
	} need[] = { { WIRE_T_BOOL, 4 }, { WIRE_T_I32, 4 }, { WIRE_T_U32, 4 }, { WIRE_T_I64, 8 },
		     { WIRE_T_U64, 8 }, { WIRE_T_F64, 8 }, { WIRE_T_PTR, 8 }, { WIRE_T_I128, 16 },
		     { WIRE_T_U128, 16 }, { WIRE_T_STR, 4 }, { WIRE_T_BYTES, 4 }, { WIRE_T_ERROR, 4 } };
	u8 p[16] = { 0 };
	u32 i, n;

	for (i = 0; i < ARRAY_SIZE(need); i++) {
		for (n = 0; n < need[i].bytes; n++)
			assert_int_equal(rec_value__take(&v, need[i].type, p, n), -EBADMSG);
		assert_int_equal(rec_value__take(&v, need[i].type, p, n), need[i].bytes);
	}
	assert_int_equal(rec_value__take(&v, 13, p, 16), -EBADMSG);
	assert_int_equal(rec_value__take(&v, 255, p, 16), -EBADMSG);
}

static void texts(void **state)
{
	struct {
		struct wire_text t;
		char s[8];
	} plain = { { 5, 0 }, "hello" };
	struct {
		struct wire_text t;
		u32 orig;
		char s[4];
	} cut = { { 3, WIRE_TEXT_TRUNCATED }, 900, "abc" };
	struct wire_text null = { 0, WIRE_TEXT_NULL };

	assert_int_equal(rec_value__take(&v, WIRE_T_STR, (u8 *)&plain, sizeof(plain)), 12);
	assert_int_equal(v.text_bytes, 5);
	assert_memory_equal(v.text, "hello", 5);
	assert_int_equal(v.orig_bytes, 5);
	assert_false(v.truncated);
	assert_int_equal(rec_value__take(&v, WIRE_T_STR, (u8 *)&plain, 11), -EBADMSG); /* padding cut */
	assert_int_equal(rec_value__take(&v, WIRE_T_BYTES, (u8 *)&cut, sizeof(cut)), 12);
	assert_true(v.truncated);
	assert_int_equal(v.orig_bytes, 900);
	assert_int_equal(v.text_bytes, 3);
	assert_int_equal(rec_value__take(&v, WIRE_T_BYTES, (u8 *)&cut, 7), -EBADMSG);
	assert_int_equal(rec_value__take(&v, WIRE_T_ERROR, (u8 *)&null, 4), 4);
	assert_true(v.null);
	assert_int_equal(v.text_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_widened),
		cmocka_unit_test(too_short_is_refused),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
