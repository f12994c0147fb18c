/* SPDX-License-Identifier: MIT */
/*
 * usdt_names.c ROUNDS - probes whose names and texts are no text: escape sequences, line ends, invalid UTF-8, an override
 * of the writing direction. Each note is made by hand, as sys/sdt.h takes identifiers only. Prints the rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* the note of sys/sdt.h, version 3, without a semaphore */
#define NOTE                                                              \
	"990: nop\n"                                                      \
	".pushsection .note.stapsdt,\"\",\"note\"\n"                      \
	".balign 4\n"                                                     \
	".4byte 992f-991f, 994f-993f, 3\n"                                \
	"991: .asciz \"stapsdt\"\n"                                       \
	"992: .balign 4\n"                                                \
	"993: .8byte 990b, 0, 0\n"
#define END "994: .balign 4\n.popsection\n"

#if defined(__x86_64__)
#define PROBE(provider, name, args) \
	__asm__ volatile(NOTE ".asciz \"" provider "\", \"" name "\", \"" args "\"\n" END ::"D"(text))

static __attribute__((noinline)) void hit(const char *text)
{
	PROBE("ev\\033[31mil", "na\\nme\\033]0;owned\\007", "8@%%rdi");
	PROBE("uni\\377\\376", "bad\\200utf", "8@%%rdi");
	PROBE("plain", "x\\342\\200\\256rtl", "8@%%rdi bogus@@ 4@%%zzz");
	PROBE("a:b", "c=d \\042q\\042", "8@%%rdi");
}
#else
#include <sys/sdt.h>
static __attribute__((noinline)) void hit(const char *text)
{
	DTRACE_PROBE1(plain, text, text);
}
#endif

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;

	prctl(PR_SET_NAME, "th\033[2Jx\377\n");
	for (int i = 0; i < rounds; i++)
		hit("str\033[31m\377\n\"\\ \342\200\256 end");
	printf("%d\n", rounds);
	return 0;
}
