/* SPDX-License-Identifier: MIT */
/* A part is found where memmem() finds it, and nothing is read outside of the two. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expr/substring.h"
#include "rnd.h"

#define CASES 400000

/* The last bytes before a page that must not be read. */
static char *before_a_wall(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(mprotect(at + page, page, PROT_NONE), 0);
	return at + page;
}

static void fill(char *to, size_t bytes, u32 letters)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (char)(rnd(40) ? 'a' + (int)rnd(letters) : (int)rnd(256));
}

static void a_part_is_found_where_it_is(void **state)
{
	char *wall = before_a_wall(), *part_wall = before_a_wall();
	struct substring s;
	u64 found = 0;

	seed = 1;
	for (u32 i = 0; i < CASES; i++) {
		size_t bytes = rnd(8) ? rnd(60) : rnd(600), part_bytes = rnd(4) ? rnd(8) : rnd(40);
		char *text = wall - bytes, *part = part_wall - part_bytes;
		u32 letters = 1 + (u32)rnd(6);
		bool want;

		fill(text, bytes, letters);
		fill(part, part_bytes, letters);
		if (bytes >= part_bytes && !rnd(3))
			memcpy(text + rnd(bytes - part_bytes + 1), part, part_bytes);
		want = memmem(text, bytes, part, part_bytes);
		found += want;
		substring__init(&s, part, part_bytes);
		assert_int_equal(substring__is_in(&s, text, bytes), want);
	}
	assert_in_range(found, CASES / 4, CASES - CASES / 8);
}

/* It would take two billion comparisons of bytes, were each place tried. */
static void a_text_that_is_all_but_the_part_takes_no_longer(void **state)
{
	size_t bytes = 65535, part_bytes = 4096;
	char *text = malloc(bytes), *part = malloc(part_bytes);
	struct substring s;

	memset(text, 'a', bytes);
	memset(part, 'a', part_bytes);
	part[part_bytes / 2] = 'b';
	substring__init(&s, part, part_bytes);
	for (u32 i = 0; i < 2000; i++)
		assert_false(substring__is_in(&s, text, bytes));
	text[part_bytes / 2 - 1] = 'b'; /* the part would begin before the text */
	assert_false(substring__is_in(&s, text, bytes));
	text[bytes - part_bytes / 2] = 'b';
	assert_true(substring__is_in(&s, text, bytes));
	free(text);
	free(part);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_is_found_where_it_is),
		cmocka_unit_test(a_text_that_is_all_but_the_part_takes_no_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
