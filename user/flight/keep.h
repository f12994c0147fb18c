/* SPDX-License-Identifier: MIT */
/*
 * keep.h - which finished generations stay: the rule of Go's flight recorder, to the letter.
 *
 *	1. The generation just finished is always kept, whatever its size or age.
 *	2. Walking back from the newest older one: stop as soon as the sizes kept so far exceed the maximum, or the start of the
 *	   oldest kept so far is further back than the period; otherwise keep this one too.
 *	3. Everything older is dropped.
 *
 * So the generation that crosses a limit is still kept, one whole generation always exists, and size wins over age. The rule runs
 * when a generation ends, never on a timer.
 */
#ifndef TAPEBPF_FLIGHT_KEEP_H
#define TAPEBPF_FLIGHT_KEEP_H

#include "base/util.h"

/* The rule as it walks: one step a generation, newest first. */
struct keep {
	u64 max_bytes, period_ns, now_ns;
	u64 bytes;	/* kept so far */
	u64 oldest_ns;	/* start of the oldest kept so far */
	bool started, stopped;
};

/* Is the next older generation kept? Once false, always false. */
static inline bool keep__next(struct keep *k, u64 bytes, u64 start_ns)
{
	if (k->started && (k->bytes > k->max_bytes ||
			   (k->now_ns > k->oldest_ns && k->now_ns - k->oldest_ns > k->period_ns)))
		k->stopped = true;
	if (k->stopped)
		return false;
	k->started = true;
	k->bytes += bytes;
	k->oldest_ns = start_ns;
	return true;
}

#endif
