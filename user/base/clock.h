/* SPDX-License-Identifier: MIT */
/* clock.h - the clocks of this machine, in ns. */
#ifndef TAPEBPF_CLOCK_H
#define TAPEBPF_CLOCK_H

#include "base/util.h"
#include <time.h>

static inline u64 clock__ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static inline u64 clock__mono_ns(void)
{
	return clock__ns(CLOCK_MONOTONIC);
}

/* The CPU's tick counter, the one that tape.h reads. */
static inline u64 clock__ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	u64 t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
	return clock__mono_ns();
#endif
}

/* One moment on several clocks. The error is the time of the calls in between, which the narrowest of a few tries keeps
 * below a microsecond. */
struct clock_pair {
	u64 ticks, mono_ns, boot_ns;
	s64 real_ns;
};
void clock__pair(struct clock_pair *p);

#endif
