/* SPDX-License-Identifier: MIT */
/* usdt_args_plain.c - probes without semaphores; argument forms written out by hand where the compiler would not make them. */
#include "usdt_args.h"

#include <sys/sdt.h>

#if defined(__x86_64__)
/* A probe with this argument string, as it is. */
#define RAW_PROBE(name, args, ...)                                                             \
	__asm__ volatile("990: nop\n"                                                          \
			 ".pushsection .note.stapsdt,\"\",\"note\"\n"                          \
			 ".balign 4\n.4byte 992f-991f, 994f-993f, 3\n"                         \
			 "991: .asciz \"stapsdt\"\n992: .balign 4\n"                           \
			 "993: .8byte 990b, _.stapsdt.base, 0\n"                               \
			 ".asciz \"shop\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n"         \
			 "994: .balign 4\n.popsection\n" ::__VA_ARGS__)
#endif

void __attribute__((noinline)) usdt_args_plain(unsigned long i)
{
	volatile signed char s8 = -1;
	volatile unsigned char u8 = 200;
	volatile short s16 = -3000;
	volatile unsigned short u16 = 60000;
	volatile int s32 = -70000;
	volatile long s64 = -5000000000L;
	volatile double f64 = 2.5 * (double)i;
	volatile float f32 = -0.25f;

	DTRACE_PROBE(shop, none);
	DTRACE_PROBE4(shop, four, i, i + 1, i + 2, i + 3);
	DTRACE_PROBE6(shop, sizes, s8, u8, s16, u16, s32, s64);
	DTRACE_PROBE12(shop, twelve, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
	STAP_PROBE1(shop, stap, i);
	DTRACE_PROBE3(shop, floats, f64, f32, i);
#if defined(__x86_64__)
	{
		static const long table[4] = { 11, 22, 33, 44 };

		RAW_PROBE("symbol", "-4@usdt_args_global(%%rip) -8@$-9 4@$0x10");
		RAW_PROBE("sib", "-8@(%%rdx,%%rcx,8) -8@8(%%rdx,%%rcx,8) 1@%%ah", "d"(table), "c"(1L), "a"(0x1234L));
		/* the second argument cannot be read from outside; the others have to be */
		RAW_PROBE("half", "8@$5 8@%%xmm0 -4@$-6");
	}
#endif
}
