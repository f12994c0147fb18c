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

static inline bool merge__slot_before(const struct merge_slot *a, const struct merge_slot *b)
{
	return merge__before(a->time_ns, a->rank, b->time_ns, b->rank);
}

/* The top has got a later key. */
void merge__sink_top(struct merge *m, struct merge_slot s);
static inline void merge__later_top(struct merge *m, struct merge_source *src)
{
	struct merge_slot s = { src->time_ns, src->rank, src }, *heap = m->heap;
	u32 least = 0;

	if (m->cnt > 3) {
		merge__sink_top(m, s);
		return;
	}
	/* two busy threads: at each record */
	if (m->cnt > 1 && merge__before(heap[1].time_ns, heap[1].rank, s.time_ns, s.rank))
		least = 1;
	if (m->cnt > 2 && merge__slot_before(&heap[2], least ? &heap[1] : &s))
		least = 2;
	if (least) {
		heap[0] = heap[least];
		heap[0].src->slot = 1;
		src->slot = least + 1;
	}
	heap[least] = s;
}

/* The key up to which the top may run before another source is due. */
static inline void merge__rival(const struct merge *m, u64 *time_ns, u64 *rank)
{
	const struct merge_slot *s;

	*time_ns = *rank = ~0ULL;
	if (m->cnt <= 1)
		return;
	s = &m->heap[1];
	if (m->cnt > 2 && merge__slot_before(&m->heap[2], s))
		s = &m->heap[2];
	*time_ns = s->time_ns;
	*rank = s->rank;
}

#endif
