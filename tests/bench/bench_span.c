/* SPDX-License-Identifier: MIT */
/*
 * bench_span.c - a scoped span of tape.h with one u64, in a loop.
 *
 *	bench_span NAME [STEPS]		time it (see bench_rounds.h); waits for a line on stdin first, and for its end at last
 *	bench_span flat-out SECONDS	two threads as fast as they can; prints "flat_out_spans COUNT"
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "tape.h"
#include "bench_rounds.h"

#define THREADS 2

static uint64_t until_ns;

static inline __attribute__((always_inline)) void one_span(uint64_t value)
{
	tape_span(INFO, "work", (value, value));
	__asm__ volatile("" ::: "memory");
}

static void *run(void *arg)
{
	uint64_t *spans = arg;

	while (bench__now_ns() < until_ns) {
		for (int i = 0; i < 256; i++)
			one_span((*spans)++);
	}
	return NULL;
}

static int flat_out(double seconds)
{
	uint64_t spans[THREADS][16] = { { 0 } }; /* a cache line or two each */
	uint64_t total = 0;
	pthread_t thread[THREADS];

	until_ns = bench__now_ns() + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, run, spans[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		total += spans[i][0];
	}
	printf("flat_out_spans %llu\n", (unsigned long long)total);
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "span";
	uint64_t steps = 2000000;

	if (!strcmp(name, "flat-out"))
		return flat_out(argc > 2 ? atof(argv[2]) : 1);
	if (argc > 2)
		steps = strtoull(argv[2], NULL, 0);
	(void)getchar(); /* the recorder attaches meanwhile */
	BENCH(name, steps, one_span(i));
	/* alive while the recorder is looked at */
	while (getchar() != EOF)
		;
	return 0;
}
