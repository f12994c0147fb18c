/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"

enum spelling { PRINT, QUOTE, JSON };

static void check(enum spelling how, const char *in, size_t bytes, const char *want)
{
	char *got = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&got, &n);

	assert_non_null(f);
	if (how == PRINT)
		text__print(f, in, bytes);
	else if (how == QUOTE)
		text__quote(f, in, bytes);
	else
		text__json(f, in, bytes);
	fclose(f);
	assert_string_equal(got, want);
	free(got);
}

#define PRINTS(in, want) check(PRINT, in, sizeof(in) - 1, want)
#define QUOTES(in, want) check(QUOTE, in, sizeof(in) - 1, want)
#define JSONS(in, want) check(JSON, in, sizeof(in) - 1, want)
#define FFFD "\xef\xbf\xbd"

static void prints(void **state)
{
	PRINTS("", "");
	PRINTS("plain \"text\" \\ ok", "plain \"text\" \\ ok");
	PRINTS("a\nb\tc\rd", "a\\nb\\tc\\rd");
	PRINTS("\x1b[31mred\x1b[0m\x07", "\\x1b[31mred\\x1b[0m\\x07");
	PRINTS("nul\0in", "nul\\x00in");
	PRINTS("del\x7f", "del\\x7f");
	PRINTS("csi\xc2\x9b", "csi\\u{9b}");
	PRINTS("bidi\xe2\x80\xae!", "bidi\\u{202e}!");
	PRINTS("isolate\xe2\x81\xa6", "isolate\\u{2066}");
	PRINTS("sep\xe2\x80\xa8\xe2\x80\xa9", "sep\\u{2028}\\u{2029}");
	PRINTS("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void quotes(void **state)
{
	QUOTES("", "\"\"");
	QUOTES("say \"hi\" \\o/", "\"say \\\"hi\\\" \\\\o/\"");
	QUOTES("a\nb", "\"a\\nb\"");
}

static void points(void **state)
{
	static const struct {
		const char *in;
		size_t column;
		const char *want;
	} cases[] = {
		{"level>=eror", 7, "  level>=eror\n         ^\n"},
		{"", 0, "  \n  ^\n"},
		{"a", 5, "  a\n   ^\n"},
		{"gr\xc3\xbc\xc3\x9f x", 7, "  gr\xc3\xbc\xc3\x9f x\n       ^\n"},
		{"\x1b[x", 2, "  \\x1b[x\n       ^\n"},
		{"\xff\xff!", 2, "  " FFFD FFFD "!\n    ^\n"},
		{"\ta\t!", 3, "  \\ta\\t!\n       ^\n"},
		/* two columns each, and one that takes none */
		{"\xe6\x97\xa5\xe6\x9c\xac!", 6, "  \xe6\x97\xa5\xe6\x9c\xac!\n      ^\n"},
		{"\xf0\x9f\x98\x80!", 4, "  \xf0\x9f\x98\x80!\n    ^\n"},
		{"e\xcc\x81!", 3, "  e\xcc\x81!\n   ^\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *got = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&got, &n);

		assert_non_null(f);
		text__point(f, cases[i].in, cases[i].column);
		fclose(f);
		assert_string_equal(got, cases[i].want);
		free(got);
	}
}

static void jsons(void **state)
{
	JSONS("", "\"\"");
	JSONS("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	JSONS("\b\f\n\r\t\x01\x1b\x7f", "\"\\u0008\\u000c\\n\\u000d\\t\\u0001\\u001b\\u007f\"");
	JSONS("z\0z", "\"z\\u0000z\"");
	JSONS("\xe2\x80\xa8", "\"\\u2028\"");
	JSONS("\xf3\xa0\x80\x81", "\"\\udb40\\udc01\"");
	JSONS("\xff" "a\xc3", "\"" FFFD "a" FFFD "\"");
	JSONS("\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"");
}

/* Table 3-8 and 3-9 of the Unicode standard's chapter 3, and the edges of every range. */
static void invalid(void **state)
{
	PRINTS("\x80", FFFD);
	PRINTS("\xc0\x80", FFFD FFFD);
	PRINTS("\xc1\xbf", FFFD FFFD);
	PRINTS("\xe0\x80\x80", FFFD FFFD FFFD);
	PRINTS("\xed\xa0\x80", FFFD FFFD FFFD);
	PRINTS("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD);
	PRINTS("\xf5\x80", FFFD FFFD);
	PRINTS("a\xf1\x80\x80\xe1\x80\xc2" "b\x80" "c\x80\xbf" "d", "a" FFFD FFFD FFFD "b" FFFD "c" FFFD FFFD "d");
	PRINTS("\xe2\x82", FFFD);
	PRINTS("\xf0\x9f\x98", FFFD);
}

static void is_utf8(void **state)
{
	assert_true(text__is_utf8("", 0));
	assert_true(text__is_utf8("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10));
	assert_false(text__is_utf8("\xed\xa0\x80", 3));
	assert_false(text__is_utf8("ok\xff", 3));
	assert_false(text__is_utf8("\xe2\x82\xac", 2));
}

static void clean_cuts_at_borders(void **state)
{
	char dst[16];
	size_t n;

	assert_string_equal(text__clean(dst, 4, "abcdef", 6), "abc");
	assert_string_equal(text__clean(dst, 4, "a\xe2\x82\xac" "b", 5), "a");
	assert_string_equal(text__clean(dst, 5, "a\xe2\x82\xac" "b", 5), "a\xe2\x82\xac");
	assert_string_equal(text__clean(dst, 4, "ab\x1b", 3), "ab");
	assert_string_equal(text__clean(dst, 1, "abc", 3), "");
	dst[0] = 'x';
	text__clean(dst, 0, "abc", 3);
	assert_int_equal(dst[0], 'x');
	/* of any length: never beyond the buffer, always valid */
	for (n = 1; n <= sizeof(dst); n++) {
		memset(dst, 'z', sizeof(dst));
		text__clean(dst, n, "\x1b\xc3\xbc\xff" "a\xf0\x9f\x98\x80", 9);
		assert_true(strlen(dst) < n);
		assert_true(text__is_utf8(dst, strlen(dst)));
	}
}

static void utf8_repairs(void **state)
{
	char dst[8];

	assert_int_equal(text__utf8(dst, 8, "a\xff" "b", 3), 5);
	assert_memory_equal(dst, "a" FFFD "b", 5);
	assert_int_equal(text__utf8(dst, 3, "a\xff" "b", 3), 1);
	assert_int_equal(text__utf8(dst, 0, "a", 1), 0);
}

static void file_names(void **state)
{
	char dst[16];

	assert_string_equal(text__file_name(dst, sizeof(dst), "a\n\x1b[m\x7f\xff", 7), "a__[m__");
	assert_string_equal(text__file_name(dst, sizeof(dst), "\xc2\x9b" "1m\xe2\x80\xae", 7), "_1m_");
	assert_string_equal(text__file_name(dst, sizeof(dst), "gr\xc3\xbc\xc3\x9f", 6), "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(text__file_name(dst, 4, "gr\xc3\xbc\xc3\x9f", 6), "gr");
}

/* Whatever comes in, what comes out is valid UTF-8 without control characters. */
static void every_pair_is_harmless(void **state)
{
	char in[3], *got = NULL;
	size_t n = 0, k;
	int a, b;

	for (a = 0; a < 256; a++) {
		for (b = 0; b < 256; b++) {
			FILE *f = open_memstream(&got, &n);

			in[0] = a;
			in[1] = b;
			in[2] = 'x';
			text__json(f, in, 3);
			text__print(f, in, 3);
			fclose(f);
			assert_true(text__is_utf8(got, n));
			for (k = 0; k < n; k++)
				assert_true((u8)got[k] >= 0x20 && got[k] != 0x7f);
			free(got);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints),  cmocka_unit_test(quotes),
		cmocka_unit_test(points),
		cmocka_unit_test(jsons),   cmocka_unit_test(invalid),
		cmocka_unit_test(is_utf8), cmocka_unit_test(clean_cuts_at_borders),
		cmocka_unit_test(utf8_repairs), cmocka_unit_test(file_names), cmocka_unit_test(every_pair_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
