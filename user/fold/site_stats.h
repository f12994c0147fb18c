/* SPDX-License-Identifier: MIT */
/*
 * site_stats.h - a sink that adds up what each callsite did: how often, how long, with which outcome; and the same apart for each
 * value of a field.
 *
 * A span counts when it is closed. Those that the recording left open count as open: their times so far are in the sums,
 * not in the distribution. Quantiles: see sketch.h. Not thread-safe. Memory: open spans, threads, groups (bounded).
 */
#ifndef TAPEBPF_SITE_STATS_H
#define TAPEBPF_SITE_STATS_H

#include "fold/sketch.h"
#include "model/sink.h"

#define STATS_MAX_GROUPS 20000
#define STATS_OTHERS "(other values)"
#define STATS_KEY_BYTES 120

struct stats;

struct stats_group {
	const struct callsite *callsite;
	const char *key; /* the field's value; "" without; NULL if no field was asked for */
	u64 cnt;
	u64 errors; /* spans with an error value or an ERROR event directly in them; ERROR events */
	u64 open;   /* of cnt: still open at the end */
	u64 total_ns, busy_ns, self_ns; /* spans: open to close, at least one entry open, on top of a thread's stack */
	u64 idle_ns; /* the rest of total; of spans that were opened before the cut, the rest since then */
	struct sketch duration;		/* of closed spans, open to close */
	struct stats_group *next;	/* all, in order of their first record */
};

/* by: a field, or NULL. NULL: no memory. */
struct stats *stats__new(const char *by);
void stats__free(struct stats *st);
/* Nothing is known of what lies before, but when the spans were opened that are still open then. */
void stats__cut(struct stats *st, u64 cut_ns);
struct sink stats__sink(struct stats *st);

struct stats_group *stats__groups(struct stats *st);
u32 stats__group_cnt(const struct stats *st);
/* From the first to the last time seen. */
u64 stats__range_ns(const struct stats *st);
u64 stats__loss(const struct stats *st);   /* records that were lost */
u64 stats__others(const struct stats *st); /* spans and events whose group did not fit */

#endif
