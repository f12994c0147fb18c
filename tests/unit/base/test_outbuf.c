/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <cmocka.h>

#include "base/outbuf.h"
#include "base/text.h"

static struct outbuf out;
static char *text;
static size_t text_bytes;

static void start(void)
{
	outbuf__init(&out, open_memstream(&text, &text_bytes));
	assert_non_null(out.f);
}

static void gives(const char *want)
{
	outbuf__flush(&out);
	fclose(out.f);
	assert_string_equal(text, want);
	assert_int_equal(out.error, 0);
	free(text);
}

static void numbers(void **state)
{
	u64 v = 1;
	s64 s;
	int i;
	char want[32];

	for (i = 0; i < 130; i++) {
		snprintf(want, sizeof(want), "%" PRIu64, v);
		start();
		outbuf__u64(&out, v);
		gives(want);
		s = i % 2 ? -(s64)v : (s64)v;
		snprintf(want, sizeof(want), "%" PRId64, s);
		start();
		outbuf__s64(&out, s);
		gives(want);
		v = i < 64 ? i < 20 ? v * 10 - i % 2 : v * 3 : v + 0x123456789abcdefULL * (u64)i;
	}
	start();
	outbuf__s64(&out, INT64_MIN);
	outbuf__putc(&out, ' ');
	outbuf__u64(&out, UINT64_MAX);
	outbuf__putc(&out, ' ');
	outbuf__u64(&out, 0);
	gives("-9223372036854775808 18446744073709551615 0");
}

static void fixed(void **state)
{
	start();
	outbuf__fixed(&out, 0, 9);
	outbuf__putc(&out, ' ');
	outbuf__fixed(&out, 123456, 6);
	outbuf__putc(&out, ' ');
	outbuf__fixed(&out, 7, 9);
	outbuf__putc(&out, ' ');
	outbuf__fixed(&out, 987654321, 9);
	gives("000000000 123456 000000007 987654321");
}

/* What is odd goes past the buffer: the order holds, the spelling is that of text.h. */
static void texts(void **state)
{
	static const char *const odd[] = { "", "plain", "a\"b\\c", "tab\t", "\xc3\xa4 \xff\x80", "\x1b[31m" };
	size_t i, want_bytes;
	char *want;
	FILE *f = open_memstream(&want, &want_bytes);

	start();
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		size_t n = strlen(odd[i]);

		text__print(f, odd[i], n);
		text__quote(f, odd[i], n);
		text__json(f, odd[i], n);
		outbuf__text(&out, odd[i], n);
		outbuf__quote(&out, odd[i], n);
		outbuf__json(&out, odd[i], n);
	}
	fclose(f);
	gives(want);
	free(want);
}

static void more_than_it_holds(void **state)
{
	size_t piece = 1000, i, total = 3 * OUTBUF_BYTES + 4321;
	char *big = malloc(total + 1);

	for (i = 0; i < total; i++)
		big[i] = (char)('a' + i % 26);
	big[total] = '\0';
	start();
	for (i = 0; i < 2 * OUTBUF_BYTES; i += piece)
		outbuf__put(&out, big + i, piece);
	outbuf__put(&out, big + i, total - i);
	gives(big);
	free(big);
}

/* The stream alone would know that there was an error, not which. */
static void a_full_disk(void **state)
{
	char piece[1000] = { 0 };
	int i;

	outbuf__init(&out, fopen("/dev/full", "w"));
	if (!out.f)
		skip();
	for (i = 0; i < 200; i++)
		outbuf__put(&out, piece, sizeof(piece));
	outbuf__flush(&out);
	assert_int_equal(out.error, ENOSPC);
	assert_true(ferror(out.f));
	fclose(out.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(fixed),
		cmocka_unit_test(texts),
		cmocka_unit_test(more_than_it_holds),
		cmocka_unit_test(a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
