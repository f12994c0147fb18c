/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

void clock__pair(struct clock_pair *p)
{
	u64 best = UINT64_MAX;

	for (int i = 0; i < 4; i++) {
		u64 t0 = clock__ticks();
		u64 mono = clock__mono_ns();
		u64 t1 = clock__ticks();
		u64 real = clock__ns(CLOCK_REALTIME);
		u64 boot = clock__ns(CLOCK_BOOTTIME);
		u64 t2 = clock__ticks();

		if (t2 - t0 >= best)
			continue;
		best = t2 - t0;
		p->ticks = t0 + (t1 - t0) / 2;
		p->mono_ns = mono;
		p->real_ns = (s64)real;
		p->boot_ns = boot;
	}
}
