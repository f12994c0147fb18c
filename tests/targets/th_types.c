/* SPDX-License-Identifier: MIT */
/*
 * th_types - every type of field with known values, texts that are cut, records larger than a page. Prints "done".
 */
#define TAPE_PROVIDER th_types
#include <tape.h>

static char big[70000];

static void scalars(void)
{
	__int128 huge = -((__int128)1 << 100);
	unsigned __int128 uhuge = (unsigned __int128)1 << 127;

	tape_event(INFO, "scalars", (yes, (_Bool)1), (no, (_Bool)0), (c, (signed char)-5), (i, -70000), (u, 4000000000u),
		   (l, -5000000000L), (ul, 18446744073709551615UL), (s128, huge), (u128, uhuge), (f, 1.5f), (d, -2.25),
		   (p, (void *)0x1234));
}

static void texts(void)
{
	const char *none = NULL;

	tape_event(INFO, "texts", (plain, "abc"), (empty, ""), (null, none), (part, tape_str("abcdef", 3)),
		   (raw, tape_bytes("\x00\x01\xff", 3)), (eno, tape_err(ENOENT)), (why, tape_err("it broke")),
		   (utf8, "na\xc3\xafve"), (bad, "a\xff" "b"), (ctl, "x\x1b[2Jy"), (dotted.name, 7));
}

static void cut(void)
{
	tape_event(INFO, "cut256", (s, big));
#undef TAPE_MAX_STR
#define TAPE_MAX_STR 4096
	tape_event(INFO, "cut4096", (s, big));
	tape_event(INFO, "fits4096", (s, tape_str(big, 4096)));
	{
		tape_span(INFO, "big_span", (s, big), (n, 1));
		tape_event(INFO, "in_big_span");
	}
#undef TAPE_MAX_STR
#define TAPE_MAX_STR 16384
	tape_event(INFO, "huge", (a, big), (b, big), (c, big), (n, 9));
	tape_event(INFO, "too_large", (a, big), (b, big), (c, big), (d, big), (e, big), (n, 10));
#undef TAPE_MAX_STR
#define TAPE_MAX_STR 256
	tape_info((n, 3), "message %d of %s", 5, "six");
}

static void many(void)
{
	tape_event(INFO, "many", (f0, 0), (f1, 1), (f2, 2), (f3, 3), (f4, 4), (f5, 5), (f6, 6), (f7, 7), (f8, 8), (f9, 9),
		   (f10, 10), (f11, 11), (f12, 12), (f13, 13), (f14, 14), (f15, 15), (f16, 16), (f17, 17), (f18, 18),
		   (f19, 19), (f20, 20), (f21, 21), (f22, 22), (f23, 23), (f24, 24), (f25, 25), (f26, 26), (f27, 27),
		   (f28, 28), (f29, 29), (f30, 30), (f31, 31));
}

int main(void)
{
	memset(big, 'q', sizeof(big) - 1);
	scalars();
	texts();
	cut();
	many();
	tape_event(ERROR, "last");
	puts("done");
	return 0;
}
