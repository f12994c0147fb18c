/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session/rotation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void names_hold_the_time(void **state)
{
	static const struct {
		const char *path, *name, *link;
	} cases[] = {
		{"shop.tape", "shop_20231114T221320.123Z.tape", "shop.latest"},
		{"dir.d/shop.tape", "dir.d/shop_20231114T221320.123Z.tape", "dir.d/shop.latest"},
		{"dir.d/shop", "dir.d/shop_20231114T221320.123Z", "dir.d/shop.latest"},
		{"./.hidden", "./.hidden_20231114T221320.123Z", "./.hidden.latest"},
		{"a.b.tape", "a.b_20231114T221320.123Z.tape", "a.b.latest"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *name = rotation__name(cases[i].path, 1700000000123456789), *link = rotation__link_name(cases[i].path);

		assert_string_equal(name, cases[i].name);
		assert_string_equal(link, cases[i].link);
		free(name);
		free(link);
	}
}

static char dir[] = "/tmp/test_rotation_XXXXXX";

static struct tapes *open_tapes(const char *path)
{
	struct clock_pair now = {.mono_ns = 1000, .real_ns = 1700000000000000000};
	struct tapes_opts o = {.path = path};
	struct tapes *t = NULL;
	struct diag d;

	assert_int_equal(tapes__open(&o, &now, &t, &d), 0);
	return t;
}

static struct tapes *next_tapes(struct tapes *old, const char *path)
{
	struct tapes *t = open_tapes(path);
	struct diag d;

	assert_int_equal(tapes__close(old, 2000, 0, 0, 0, &d), 0);
	assert_int_equal(tapes__inherit(t, old), 0);
	tapes__free(old);
	return t;
}

static void tapes_remember_those_before(void **state)
{
	struct tapes *t = open_tapes("a.tape");
	struct diag d = {0};
	u64 open;

	t = next_tapes(t, "b.tape");
	t = next_tapes(t, "c.tape");
	assert_int_equal(tapes__cnt(t), 3);
	assert_int_equal(tapes__earlier_cnt(t), 2);
	assert_string_equal(tapes__path(t, 0), "a.tape");
	assert_string_equal(tapes__path(t, 1), "b.tape");
	assert_string_equal(tapes__path(t, 2), "c.tape");
	open = tapes__open_bytes(t);
	assert_true(open > 32 && tapes__bytes(t) > 3 * open);
	assert_int_equal(tapes__drop_oldest(t, &d), 0);
	assert_int_equal(access("a.tape", F_OK), -1);
	assert_string_equal(tapes__path(t, 0), "b.tape");
	unlink("b.tape"); /* somebody was faster */
	assert_int_equal(tapes__drop_oldest(t, &d), 0);
	assert_int_equal(tapes__cnt(t), 1);
	assert_int_equal(tapes__bytes(t), open);
	tapes__free(t);
}

static int make_dir(void **state)
{
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return chdir("/") || system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_hold_the_time),
		cmocka_unit_test(tapes_remember_those_before),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
