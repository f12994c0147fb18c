/* SPDX-License-Identifier: MIT */
/*
 * doctor_probe.c - the program's own probes. The plain one is written out by hand, so that building needs no sys/sdt.h:
 * a nop and the note that names it, `tapebpf:doctor` with one argument in memory or a register.
 */
#include "cmd/doctor_probe.h"

#include "tape.h"

#define PLAIN_PROBE(n)                                                                         \
	__asm__ volatile("990: nop\n"                                                          \
			 ".pushsection .note.stapsdt,\"\",\"note\"\n"                          \
			 ".balign 4\n"                                                         \
			 ".4byte 992f-991f, 994f-993f, 3\n"                                    \
			 "991: .asciz \"stapsdt\"\n"                                           \
			 "992: .balign 4\n"                                                    \
			 "993: .8byte 990b, 0, 0\n"                                            \
			 ".asciz \"tapebpf\"\n.asciz \"" DOCTOR_EVENT "\"\n.asciz \"4@%0\"\n"  \
			 "994: .balign 4\n"                                                    \
			 ".popsection\n" ::"nor"(n))

void doctor_probe__fire(unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		tape_event(INFO, DOCTOR_EVENT, (n, i));
		PLAIN_PROBE(i);
	}
}
