/* SPDX-License-Identifier: MIT */
/*
 * usdt_flat.c - a plain probe with four arguments, as fast as it goes.
 *
 * usdt_flat THREADS PASSES: each thread passes the probe so often; 0: until SIGTERM. Prints passes and the ns a pass.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>
#include <time.h>

static volatile sig_atomic_t stop;
static unsigned long passes;

static void on_term(int sig)
{
	stop = 1;
}

static void *run(void *arg)
{
	unsigned long *done = arg, i;

	for (i = 0; !stop && (!passes || i < passes); i++)
		DTRACE_PROBE4(flat, hit, i, i + 1, i + 2, i + 3);
	*done = i;
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 1;
	unsigned long done[64] = { 0 }, sum = 0;
	struct timespec a, b;
	pthread_t t[64];

	passes = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	if (threads > 64)
		threads = 64;
	signal(SIGTERM, on_term);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, run, &done[i]);
	for (int i = 0; i < threads; i++) {
		pthread_join(t[i], NULL);
		sum += done[i];
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%lu %.1f\n", sum,
	       ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)(sum ? sum : 1) * threads);
	return 0;
}
