/* SPDX-License-Identifier: MIT */
/* test_bpf_logic.c - the pure parts of the BPF programs, built for the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/util.h"
#include "../bpf/arg.h"
#include "../bpf/config.h"
#include "../bpf/page.h"

static void test_sizes(void **state)
{
	int size;

	(void)state;
	for (size = -128; size < 128; size++) {
		int n = abs(size);

		assert_int_equal(!!arg__size_ok(size), n == 1 || n == 2 || n == 4 || n == 8);
		if (arg__size_ok(size))
			assert_int_equal(arg__bytes(size), n);
	}
}

/* Against the compiler's own conversions. */
static void test_extend(void **state)
{
	u64 v = 0x0123456789abcdefULL;
	int i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		v = v * 6364136223846793005ULL + 1442695040888963407ULL;
		assert_int_equal(arg__extend(v, 1), (u8)v);
		assert_int_equal(arg__extend(v, 2), (u16)v);
		assert_int_equal(arg__extend(v, 4), (u32)v);
		assert_int_equal(arg__extend(v, 8), v);
		assert_int_equal(arg__extend(v, -1), (s64)(s8)v);
		assert_int_equal(arg__extend(v, -2), (s64)(s16)v);
		assert_int_equal(arg__extend(v, -4), (s64)(s32)v);
		assert_int_equal(arg__extend(v, -8), v);
	}
}

static void test_text_len(void **state)
{
	(void)state;
	assert_int_equal(arg__text_len(0, 8, 256), 0);
	assert_int_equal(arg__text_len(256, 8, 256), 256);
	assert_int_equal(arg__text_len(257, 8, 256), 256);
	assert_int_equal(arg__text_len((u64)-1, -4, 256), 0);
	assert_int_equal(arg__text_len((u64)-1, 8, 256), 256);
	assert_int_equal(arg__text_len(1ULL << 32, 8, 4096), 4096);
}

static void test_may_fault(void **state)
{
	struct wire_arg a = {.kind = WIRE_ARG_REG, .size = 8};

	(void)state;
	assert_false(arg__may_fault(&a, 152));
	a.text = WIRE_TEXT_NUL;
	assert_true(arg__may_fault(&a, 152));
	a = (struct wire_arg){.kind = WIRE_ARG_MEM, .reg = 152};
	assert_false(arg__may_fault(&a, 152));
	a.reg = 32;
	assert_true(arg__may_fault(&a, 152));
	a.kind = WIRE_ARG_IP;
	assert_true(arg__may_fault(&a, 152));
	a.kind = WIRE_ARG_SIB;
	assert_true(arg__may_fault(&a, 152));
	a.kind = WIRE_ARG_CONST;
	assert_false(arg__may_fault(&a, 152));
}

static struct wire_page good_page(void)
{
	struct wire_page p = {.magic = WIRE_PAGE_MAGIC, .version = WIRE_VERSION};

	p.commit = 7ULL << 32 | 3 << 16 | 160;
	p.slot[1].first = 1000;
	p.slot[0].first = 5;
	return p;
}

static void test_page(void **state)
{
	struct wire_page p = good_page();

	(void)state;
	assert_true(page__valid(&p, 0x10000));
	assert_false(page__valid(&p, 0x10008)); /* a read could run out of the page */
	assert_int_equal(page__bytes(&p), WIRE_DATA + 160);
	assert_int_equal(page__seen(&p), 1003);
	p.commit += 1ULL << 32;
	assert_int_equal(page__seen(&p), 8);
	p.commit = WIRE_DATA_END - WIRE_DATA;
	assert_true(page__valid(&p, 0x10000));
	assert_int_equal(page__bytes(&p), WIRE_DATA_END);
	p.commit++;
	assert_false(page__valid(&p, 0x10000));
	p = good_page();
	p.magic = 0; /* wiped by a fork */
	assert_false(page__valid(&p, 0x10000));
	p = good_page();
	p.version++;
	assert_false(page__valid(&p, 0x10000));
}

/* Each delivery fits its reservation, which never leaves the page. */
static void test_classes(void **state)
{
	u32 bytes, class, last = 0;

	(void)state;
	for (bytes = WIRE_DATA; bytes <= WIRE_DATA_END; bytes++) {
		class = page__class(bytes);
		assert_true(class >= bytes && class <= WIRE_PAGE_BYTES && class >= last);
		assert_int_equal(class % 8, 0);
		last = class;
	}
	assert_int_equal(page__class(WIRE_DATA_END + 1), 0);
}

static void test_cookie(void **state)
{
	u64 c = COOKIE(0xfffffffe, 4095, true);

	(void)state;
	assert_int_equal(COOKIE_NUMBER(c), 0xfffffffe);
	assert_int_equal(COOKIE_SPEC(c), 4095);
	assert_true(COOKIE_ANY(c));
	c = COOKIE(1, 2, false);
	assert_int_equal(COOKIE_NUMBER(c), 1);
	assert_int_equal(COOKIE_SPEC(c), 2);
	assert_false(COOKIE_ANY(c));
	assert_true(CONFIG_SPECS <= 1 << 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	  cmocka_unit_test(test_extend),
		cmocka_unit_test(test_text_len),  cmocka_unit_test(test_may_fault),
		cmocka_unit_test(test_page),	  cmocka_unit_test(test_classes),
		cmocka_unit_test(test_cookie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
