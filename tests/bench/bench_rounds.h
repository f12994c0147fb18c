/* SPDX-License-Identifier: MIT */
/*
 * bench_rounds.h - time a loop: several rounds of so many steps; one line "NAME NS_PER_STEP" (of the thread's CPU time) a round. tests/bench/run takes
 * the median of the lines with one name. C and C++; depends on nothing, since traced programs include it.
 */
#ifndef TAPEBPF_BENCH_ROUNDS_H
#define TAPEBPF_BENCH_ROUNDS_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define BENCH_ROUNDS 9

/* Of the thread: what it waits for on a machine with more to do is not the probe's. */
static inline uint64_t bench__spent_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline uint64_t bench__now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* A value that the compiler must have, and may not know. */
#define BENCH_USE(x) __asm__ volatile("" : "+r"(x))

/* Run `body` with the variable i from 0 to steps, BENCH_ROUNDS times and once to warm up. */
#define BENCH(name, steps, body)                                                                    \
	do {                                                                                        \
		for (int bench_round = -1; bench_round < BENCH_ROUNDS; bench_round++) {             \
			uint64_t bench_start = bench__spent_ns();                                   \
			for (uint64_t i = 0; i < (uint64_t)(steps); i++) {                          \
				BENCH_USE(i);                                                       \
				body;                                                               \
			}                                                                           \
			if (bench_round >= 0)                                                       \
				printf("%s %.3f\n", name,                                           \
				       (double)(bench__spent_ns() - bench_start) / (double)(steps)); \
		}                                                                                   \
		fflush(stdout);                                                                     \
	} while (0)

#endif
