/* SPDX-License-Identifier: MIT */
/*
 * bench_sdt.c - a foreign probe with four scalar arguments in a loop.
 *
 *	bench_sdt NAME [STEPS]		time it (see bench_rounds.h); waits for a line on stdin first, and for its end at last
 *	bench_sdt flat-out SECONDS	two threads fire as fast as they can; prints "flat_out_hits COUNT"
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>
#include "bench_rounds.h"

#define THREADS 2

static uint64_t until_ns;

static void *fire(void *arg)
{
	uint64_t *hits = arg;

	while (bench__now_ns() < until_ns) {
		for (int i = 0; i < 64; i++, (*hits)++)
			DTRACE_PROBE4(bench, four, *hits, i, until_ns, hits);
	}
	return NULL;
}

static int flat_out(double seconds)
{
	uint64_t hits[THREADS][16] = { { 0 } }; /* a cache line or two each */
	uint64_t total = 0;
	pthread_t thread[THREADS];

	until_ns = bench__now_ns() + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, fire, hits[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		total += hits[i][0];
	}
	printf("flat_out_hits %llu\n", (unsigned long long)total);
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "sdt4";
	uint64_t steps = 1000000;
	void *frame = &steps;

	if (!strcmp(name, "flat-out"))
		return flat_out(argc > 2 ? atof(argv[2]) : 1);
	if (argc > 2)
		steps = strtoull(argv[2], NULL, 0);
	(void)getchar(); /* the recorder attaches meanwhile */
	BENCH(name, steps, DTRACE_PROBE4(bench, four, i, (int)i, steps, frame));
	/* alive while the recorder is looked at */
	while (getchar() != EOF)
		;
	return 0;
}
