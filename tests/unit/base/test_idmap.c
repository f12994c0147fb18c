/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/idmap.h"

static void empty(void **state)
{
	struct idmap m = {};
	u64 i = 0;

	assert_null(idmap__find(&m, 0));
	assert_null(idmap__remove(&m, 7));
	assert_null(idmap__next(&m, &i));
	idmap__done(&m);
}

/* Against an array that says what must be there: random puts, removals and look-ups over few ids. */
static void like_an_array(void **state)
{
	static void *want[512];
	struct idmap m = {};
	u64 x = 88172645463325252ULL, i;
	u32 step, cnt, seen;

	for (step = 0; step < 200000; step++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		i = x % ARRAY_SIZE(want);
		switch (x >> 40 & 3) {
		case 0:
		case 1:
			want[i] = &want[x >> 20 & 511];
			/* ids far apart, as hashes are, and 0 */
			assert_int_equal(idmap__put(&m, i << 50 | i, want[i]), 0);
			break;
		case 2:
			assert_ptr_equal(idmap__remove(&m, i << 50 | i), want[i]);
			want[i] = NULL;
			break;
		default:
			assert_ptr_equal(idmap__find(&m, i << 50 | i), want[i]);
		}
	}
	for (i = 0, cnt = 0; i < ARRAY_SIZE(want); i++) {
		assert_ptr_equal(idmap__find(&m, i << 50 | i), want[i]);
		cnt += want[i] != NULL;
	}
	assert_int_equal(m.cnt, cnt);
	for (i = 0, seen = 0; idmap__next(&m, &i);)
		seen++;
	assert_int_equal(seen, cnt);
	idmap__done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(empty), cmocka_unit_test(like_an_array) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
