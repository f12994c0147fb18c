/* SPDX-License-Identifier: MIT */
/* th_fields TRUTH - one event or span of every field type, long texts, 32 fields, a record larger than a page. */
#define TAPE_PROVIDER th
#define TAPE_TARGET "th::fields"
#include "truth.h"
#include <errno.h>

int main(int argc, char **argv)
{
	static char big[5000];
	const char *null = NULL;
	__int128 wide = -5;

	if (argc < 2)
		return 2;
	truth_open(argv[1]);
	memset(big, 'x', sizeof(big) - 1);
	TRUTH(tape_event(TRACE, "bools", (yes, (_Bool)1), (no, (_Bool)0)));
	TRUTH(tape_event(DEBUG, "ints", (i8, (signed char)-8), (u8, (unsigned char)200), (i16, (short)-16),
			 (u16, (unsigned short)60000), (i32, -32), (u32, 4000000000u), (i64, -64000000000L),
			 (u64, 18000000000000000000ul)));
	TRUTH(tape_event(INFO, "wide", (i128, wide), (u128, (unsigned __int128)1 << 100)));
	TRUTH(tape_event(INFO, "floats", (f, 0.5f), (d, -1.25)));
	TRUTH(tape_event(WARN, "texts", (s, "plain"), (n, tape_str("lengthened", 6)), (null, null), (empty, ""),
			 (utf8, "gr\303\274n"), (bad, "\377\376")));
	TRUTH(tape_event(WARN, "bytes", (raw, tape_bytes("\0\1\2\377", 4)), (p, (void *)0x1234)));
	TRUTH(tape_event(ERROR, "errors", (e, tape_err(ENOENT)), (t, tape_err("broken"))));
	TRUTH(tape_event(INFO, "long", (s, big), (len, sizeof(big) - 1)));
	TRUTH(tape_event(INFO, "dots", (http.method, "GET"), (http.status, 200)));
	TRUTH(tape_info((k, 1), "message %s %d", "text", 7));
	TRUTH(tape_warn("alone"));
	TRUTH(tape_event(INFO, "many", (f0, 0), (f1, 1), (f2, 2), (f3, 3), (f4, 4), (f5, 5), (f6, 6), (f7, 7), (f8, 8), (f9, 9),
			 (f10, 10), (f11, 11), (f12, 12), (f13, 13), (f14, 14), (f15, 15), (f16, 16L), (f17, 17L), (f18, 18L),
			 (f19, 19L), (f20, 20L), (f21, 21L), (f22, 22L), (f23, 23L), (f24, 24L), (f25, 25L), (f26, 26L),
			 (f27, 27L), (f28, 28L), (f29, 29L), (f30, 30L), (f31, "last")));
	TRUTH(tape_thread_name("fields"));
	printf("result %d\n", (int)sizeof(big));
	return 0;
}
