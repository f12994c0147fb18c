/* SPDX-License-Identifier: MIT */
#include "base/units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static u64 bytes(const char *text)
{
	u64 v = 4711;

	assert_int_equal(units__bytes(text, &v), 0);
	return v;
}

static u64 ns(const char *text)
{
	u64 v = 4711;

	assert_int_equal(units__ns(text, &v), 0);
	return v;
}

static void test_bytes(void **state)
{
	assert_int_equal(bytes("0"), 0);
	assert_int_equal(bytes("4096"), 4096);
	assert_int_equal(bytes("64k"), 65536);
	assert_int_equal(bytes("64K"), 65536);
	assert_int_equal(bytes("1MiB"), 1 << 20);
	assert_int_equal(bytes("1.5M"), 3 << 19);
	assert_int_equal(bytes("2 GiB"), 2ULL << 30);
}

static void test_time(void **state)
{
	assert_int_equal(ns("10"), 10 * NSEC_PER_SEC);
	assert_int_equal(ns("250ms"), 250 * NSEC_PER_MSEC);
	assert_int_equal(ns("1.5s"), 1500 * NSEC_PER_MSEC);
	assert_int_equal(ns("10us"), 10000);
	assert_int_equal(ns("7ns"), 7);
	assert_int_equal(ns("2m"), 120 * NSEC_PER_SEC);
	assert_int_equal(ns("1h"), 3600 * NSEC_PER_SEC);
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "", "k", "-1", "+1", " 1", "0x10", "1e", "1kk", "inf", "nan", "1 k b", "10 parsecs" };
	u64 v;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(units__bytes(bad[i], &v), -EINVAL);
		assert_int_equal(units__ns(bad[i], &v), -EINVAL);
	}
	assert_int_equal(units__bytes("99999999T", &v), -ERANGE);
	assert_int_equal(units__ns("9999999999h", &v), -ERANGE);
}

static void test_show(void **state)
{
	char dst[32];

	assert_string_equal(units__show_bytes(dst, sizeof(dst), 812), "812 B");
	assert_string_equal(units__show_bytes(dst, sizeof(dst), 8 << 20), "8.0 MiB");
	assert_string_equal(units__show_count(dst, sizeof(dst), 9999), "9999");
	assert_string_equal(units__show_count(dst, sizeof(dst), 1234567), "1234.6k");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
