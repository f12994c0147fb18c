/* SPDX-License-Identifier: MIT */
/*
 * usdt_args.c - plain probes with every kind of argument, with and without semaphores.
 *
 * usdt_args ROUNDS [HOLD]: after each round prints nothing; at the end one line "ROUNDS SUM", the program's own result. HOLD:
 * waits for a line on standard input before it begins.
 */
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
/* every probe of a file with _SDT_HAS_SEMAPHORES names a semaphore; the plain ones are in usdt_args_plain.c */
#define SEM(name) unsigned short shop_##name##_semaphore __attribute__((section(".probes"), used))
SEM(guarded);
SEM(texts);

#include "usdt_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int usdt_args_global = -2048;

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1, sum = 0;
	char body[64];

	if (argc > 2)
		(void)getchar();
	for (unsigned long i = 0; i < rounds; i++) {
		int n = snprintf(body, sizeof(body), "body %lu", i);

		usdt_args_plain(i);
		if (shop_guarded_semaphore)
			DTRACE_PROBE2(shop, guarded, i, 7);
		DTRACE_PROBE3(shop, texts, "a path", body, n);
		sum += i * i;
	}
	printf("%lu %lu\n", rounds, sum);
	return 0;
}
