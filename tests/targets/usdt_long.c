/* SPDX-License-Identifier: MIT */
/*
 * usdt_long.c - one pair of plain probes that stays open while another one of the same thread is passed again and again, until
 * SIGTERM; then the first one ends too. Prints the passes.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/sdt.h>

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	stop = 1;
}

int main(void)
{
	long i;

	signal(SIGTERM, on_term);
	DTRACE_PROBE1(long, job__begin, 4711);
	for (i = 0; !stop; i++) {
		DTRACE_PROBE1(long, step__begin, i);
		DTRACE_PROBE1(long, step__end, i);
	}
	DTRACE_PROBE1(long, job__end, 0);
	printf("%ld\n", i);
	return 0;
}
