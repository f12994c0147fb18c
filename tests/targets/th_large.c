/* SPDX-License-Identifier: MIT */
/*
 * th_large - what is largest: a thousand callsites, each of which says its number once, and the largest record there is, four texts of
 * 16 KiB, as an event and as a span's fields. Then it waits for SIGTERM.
 */
#define TAPE_PROVIDER th_large
#define TAPE_MAX_STR 16384
#include <tape.h>

#include <string.h>
#include <unistd.h>

#define SITE(n) tape_event(INFO, "site" #n, (n, n));
#define TEN(n) SITE(n##0) SITE(n##1) SITE(n##2) SITE(n##3) SITE(n##4) SITE(n##5) SITE(n##6) SITE(n##7) SITE(n##8) SITE(n##9)
#define HUNDRED(n)                                                                    \
	static __attribute__((noinline)) void hundred_##n(void)                       \
	{                                                                             \
		TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4)                     \
		TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)                     \
	}

HUNDRED(10)
HUNDRED(11)
HUNDRED(12)
HUNDRED(13)
HUNDRED(14)
HUNDRED(15)
HUNDRED(16)
HUNDRED(17)
HUNDRED(18)
HUNDRED(19)

static char text[4][16300];

static void large(void)
{
	tape_event(INFO, "large event", (a, text[0]), (b, text[1]), (c, text[2]), (d, text[3]));
	{
		tape_span(INFO, "large span", (a, text[0]), (b, text[1]), (c, text[2]), (d, text[3]));

		tape_event(INFO, "inside");
	}
}

int main(void)
{
	int i;

	for (i = 0; i < 4; i++)
		memset(text[i], 'a' + i, sizeof(text[i]) - 1);
	hundred_10();
	hundred_11();
	hundred_12();
	hundred_13();
	hundred_14();
	hundred_15();
	hundred_16();
	hundred_17();
	hundred_18();
	hundred_19();
	large();
	pause();
	return 0;
}
