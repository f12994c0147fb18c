/* SPDX-License-Identifier: MIT */
/* The manual's table of loss causes says what codes.def says. Run from the project's root. */
#include "base/codes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* roff writes a hyphen that is to stay one as \- */
static void plain(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (s[0] != '\\' || s[1] != '-')
			*to++ = *s;
	*to = '\0';
}

static void test_manual(void **state)
{
	FILE *f = fopen("man/tapebpf-record.1", "r");
	char line[512], want[512];
	int cause = 0, in_table = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, ".TE", 3))
			break;
		if (in_table) {
			snprintf(want, sizeof(want), "%s\tT{\n", loss_cause__label(cause));
			assert_string_equal(line, want);
			assert_non_null(fgets(line, sizeof(line), f));
			plain(line);
			snprintf(want, sizeof(want), "%s\n", loss_cause__text(cause++));
			assert_string_equal(line, want);
			assert_non_null(fgets(line, sizeof(line), f));
			assert_string_equal(line, "T}\n");
		}
		in_table |= !strcmp(line, "l lx.\n");
	}
	fclose(f);
	assert_int_equal(cause, LOSS_MAX);
}

static void test_out_of_range(void **state)
{
	assert_string_equal(loss_cause__label(-1), "unknown");
	assert_string_equal(loss_cause__label(LOSS_MAX), "unknown");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
