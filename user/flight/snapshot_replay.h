/* SPDX-License-Identifier: MIT */
/* snapshot_replay.h - a snapshot through an ingest and a model of its own to a sink: a stream that begins and ends by itself. */
#ifndef TAPEBPF_FLIGHT_REPLAY_H
#define TAPEBPF_FLIGHT_REPLAY_H

#include "base/codes.h"
#include "elf/sig.h"
#include "flight/snapshot.h"

struct replay_result;

struct replay_opts {
	size_t sz;
	u64 from_ns; /* begin no earlier than this CLOCK_MONOTONIC time; 0: at the start of the oldest generation */
	u64 max_spans;
	bool no_pairs;
	const struct sig_set *sigs;
	/* Called behind the last of it, when the result is complete and what the sink was given pointers to is still there. Not
	 * called without memory to begin with. Its error is replay__run's. May be NULL. */
	int (*finish)(void *ctx, const struct replay_result *res);
	/* The oldest gen_cnt generations are not read any more, not by snapshot__start_ns either: they may be given back. Called with rising
	 * numbers. NULL: they stay as long as the snapshot. */
	void (*left)(void *ctx, u32 gen_cnt);
	void *ctx;
};

/* Of the time from_ns .. to_ns alone. emitted = stored + the sum of lost, or there is a bug: unaccounted. */
struct replay_result {
	u64 from_ns, to_ns;
	u64 emitted, stored, lost[LOSS_MAX], lost_sum;
	s64 unaccounted;
	u64 spans, events; /* spans: those that were open at the beginning too */
	u64 late;	   /* records that came with a time older than what had been passed on */
	u64 malformed;
	bool whole; /* up to to_ns there is all of every thread, but for what is lost */
	u64 gaps; /* records of pages that by their numbers are missing; in lost */
};

/* The time at which a replay with these options begins. */
u64 replay__from_ns(const struct snapshot *s, const struct replay_opts *o);

/* The snapshot is only read. Errors of the sink are counted as lost (LOSS_WRITE) and do not end it. -ENOMEM. May run on a
 * thread of its own. */
int replay__run(const struct snapshot *s, const struct replay_opts *o, const struct sink *to, struct replay_result *res);

#endif
