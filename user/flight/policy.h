/* SPDX-License-Identifier: MIT */
/*
 * policy.h - what follows when a trigger fires: wait a little (--post), take a snapshot, leave others alone for a while
 * (--cooldown), stop after so many (--max-snapshots), delete the oldest (--keep-total), run a command (--exec).
 *
 *	fired -> POLICY_TAKE	... policy__due(now) says yes -> the caller takes the snapshot -> policy__taken
 *
 * Takes no snapshot itself and has no clock: times are CLOCK_MONOTONIC ns as the caller says. Not thread-safe.
 */
#ifndef TAPEBPF_POLICY_H
#define TAPEBPF_POLICY_H

#include "base/diag.h"
#include "flight/trigger.h"

struct policy;

struct policy_opts {
	size_t sz;
	u64 post_ns;	      /* from the trigger to the cut */
	u64 cooldown_ns;      /* from a cut until a trigger counts again */
	u64 max_snapshots;    /* 0: any number */
	u64 keep_total_bytes; /* of the snapshots that were told; 0: any */
	const char *exec;     /* NULL: nothing; given to `sh -c` as it is */
};

/* NULL: no memory. */
struct policy *policy__new(const struct policy_opts *o);
void policy__free(struct policy *p);

enum policy_verdict {
	POLICY_TAKE,	 /* a snapshot is due at policy__due_ns */
	POLICY_JOINED,	 /* one was due already: this one is in it */
	POLICY_COOLDOWN, /* swallowed, counted */
	POLICY_ENOUGH,	 /* max_snapshots reached: swallowed, counted */
};
enum policy_verdict policy__fired(struct policy *p, const struct trigger_fired *f, u64 now_ns);

/* When the next snapshot is due; UINT64_MAX: none is. */
u64 policy__due_ns(const struct policy *p);

/* The trigger for which it is due, with copies of its texts, until policy__taken; NULL: none is due at now_ns.
 * UINT64_MAX as the time: whatever is waiting, at the end of a recording. */
const struct trigger_fired *policy__due(const struct policy *p, u64 now_ns);

struct policy_snapshot {
	const char *path; /* NULL: it failed */
	u64 bytes, spans, lost;
	u64 swallowed; /* filled by policy__taken: triggers since the one before that took no snapshot of their own */
};

/*
 * The due snapshot has been taken, cut at cut_ns: the cooldown begins, also if it failed. What else is kept is deleted,
 * oldest first, until the sum fits; the command is started. Returns 0, or the negative errno of what did not work, with
 * *d filled (deleting, starting); the snapshot is as good as before.
 */
int policy__taken(struct policy *p, struct policy_snapshot *s, u64 cut_ns, struct diag *d);

/* A snapshot that no trigger took, to count for keep_total_bytes. */
int policy__keep(struct policy *p, const char *path, u64 bytes, struct diag *d);

/* Look after commands that have ended, without waiting. Returns how many ended badly since the last call, *d (may be NULL)
 * says how the last of them did. */
u32 policy__reap(struct policy *p, struct diag *d);
/* Wait for them, at most so long. */
u32 policy__finish(struct policy *p, u64 timeout_ns, struct diag *d);

struct policy_stats {
	u64 fired, taken, failed, joined, cooldown, enough; /* fired = taken + failed + joined + cooldown + enough + due */
	u64 files, bytes;				    /* kept now */
	u64 deleted, deleted_bytes;
	u64 commands, commands_failed; /* started; ended badly or not started */
	u32 commands_running;
};
void policy__stats(const struct policy *p, struct policy_stats *st);

#endif
