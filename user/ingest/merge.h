/* SPDX-License-Identifier: MIT */
/*
 * merge.h - which source has the oldest record: a binary heap of sources, keyed by the time of what each has next.
 *
 * A source is a page, or what one CPU's ring brought besides batches. The keys are kept in the heap itself, so that
 * ten thousand idle sources cost no cache misses beyond the heap's own.
 */
#ifndef TAPEBPF_INGEST_MERGE_H
#define TAPEBPF_INGEST_MERGE_H

#include "base/util.h"

struct merge_source {
	u64 time_ns; /* of what comes next */
	u64 rank;    /* breaks ties: lower first */
	u32 slot;    /* place in the heap + 1; 0: not in it */
};

struct merge_slot {
	u64 time_ns, rank;
	struct merge_source *src;
};

struct merge {
	struct merge_slot *heap;
	u32 cnt, cap;
};

void merge__done(struct merge *m);

/* Put the source where its key belongs: insert it, or move it after its key changed. 0 or -ENOMEM (insert only). */
int merge__place(struct merge *m, struct merge_source *s);
void merge__remove(struct merge *m, struct merge_source *s);

static inline struct merge_source *merge__top(const struct merge *m)
{
	return m->cnt ? m->heap[0].src : NULL;
}

static inline bool merge__before(u64 time, u64 rank, u64 than_time, u64 than_rank)
{
	return time < than_time || (time == than_time && rank < than_rank);
}

/* The key up to which the top may run before another source is due. */
void merge__rival(const struct merge *m, u64 *time_ns, u64 *rank);

#endif
