/* SPDX-License-Identifier: MIT */
/* What a regular expression matches has the part in it that was found to be in all of them. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "expr/regex_part.h"
#include "rnd.h"

static void parts(void **state)
{
	static const char *const cases[][2] = {
		{"/api", "/api"}, {"^/api/v[12]/", "/api/v"}, {"^GET /a.b+cde$", "GET /a"}, {"^a.b+cde$", "cde"}, {"ab?cde*f", "cd"}, {"ab+*cd", "cd"},
		{"a|longer", ""}, {"(a|b)cd(efgh)", "cd"}, {"x\\.y\\.z", "x.y.z"}, {"[]a](bc)*[[:alpha:]]de[^]x]f", "de"},
		{"a{0,3}bc", "bc"}, {"abc{2}", "ab"}, {"ab\\bcd\\w", "ab"}, {".*", ""}, {"", ""}, {"\xc3\xa9*ab", "ab"}, {"(a(b)c", ""},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		char out[64] = "";
		size_t bytes = regex_part__find(cases[i][0], out);

		if (bytes != strlen(cases[i][1]) || memcmp(out, cases[i][1], bytes))
			fail_msg("%s: %.*s, not %s", cases[i][0], (int)bytes, out, cases[i][1]);
	}
}

static void whatever_matches_has_it(void **state)
{
	static const char *const piece[] = {"a", "b", "c", "a", "b", "ab", "(", ")", "[", "]", "[ab]", "[^a]", "*", "+", "?", "{2}", "{0,1}", "{",
					    "}", "|", ".", "^", "$", "\\.", "\\a", "\\b", "\\w", "\\1", "\\", "\xc3\xa9", ":]", "[:alpha:]", "(a|b)",
					    "\\<", "\\`", "-"};
	u32 matched = 0, found = 0;

	seed = 1;
	for (u32 i = 0; i < 300000; i++) {
		char text[128] = "", part[128], subject[24];
		u32 n = 1 + (u32)rnd(8), bytes = (u32)rnd(sizeof(subject) - 1);
		regex_t regex;
		size_t cnt;

		while (n--)
			strcat(text, piece[rnd(ARRAY_SIZE(piece))]);
		if (regcomp(&regex, text, REG_EXTENDED | REG_NOSUB))
			continue;
		cnt = regex_part__find(text, part);
		for (u32 k = 0; k < 4; k++) {
			for (u32 j = 0; j < bytes; j++)
				subject[j] = "aaabbbc.\xc3\xa9-{:"[rnd(13)];
			subject[bytes] = '\0';
			if (regexec(&regex, subject, 0, NULL, 0))
				continue;
			matched++;
			found += cnt > 0;
			if (!memmem(subject, bytes, part, cnt))
				fail_msg("%s matches %s, which has no %.*s", text, subject, (int)cnt, part);
		}
		regfree(&regex);
	}
	assert_true(matched > 50000 && found > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts),
		cmocka_unit_test(whatever_matches_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
