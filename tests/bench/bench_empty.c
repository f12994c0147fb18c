/* SPDX-License-Identifier: MIT */
/* bench_empty.c - the loop around everything that is timed here, with nothing in it; and one reading of the counter that tape.h
 * takes the time from. */
#include "bench_rounds.h"

static inline uint64_t counter(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#endif
}

int main(void)
{
	uint64_t sum = 0;

	BENCH("empty_loop", 200000000, );
	BENCH("counter", 10000000, sum += counter());
	BENCH_USE(sum);
	return 0;
}
