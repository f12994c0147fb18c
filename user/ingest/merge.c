/* SPDX-License-Identifier: MIT */
#include "ingest/merge.h"

#include <errno.h>

static bool slot__before(const struct merge_slot *a, const struct merge_slot *b)
{
	return merge__before(a->time_ns, a->rank, b->time_ns, b->rank);
}

static void merge__set(struct merge *m, u32 i, struct merge_slot s)
{
	m->heap[i] = s;
	s.src->slot = i + 1;
}

static void merge__up(struct merge *m, u32 i, struct merge_slot s)
{
	while (i && slot__before(&s, &m->heap[(i - 1) / 2])) {
		merge__set(m, i, m->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	merge__set(m, i, s);
}

static void merge__down(struct merge *m, u32 i, struct merge_slot s)
{
	u32 child;

	while ((child = 2 * i + 1) < m->cnt) {
		if (child + 1 < m->cnt && slot__before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!slot__before(&m->heap[child], &s))
			break;
		merge__set(m, i, m->heap[child]);
		i = child;
	}
	merge__set(m, i, s);
}

/* The top has another key, and there are two besides it at most: what a recorder of two busy threads does at each
 * record. */
static void merge__top_of_few(struct merge *m, struct merge_slot s)
{
	u32 least = 0;

	m->heap[0].time_ns = s.time_ns;
	m->heap[0].rank = s.rank;
	if (m->cnt > 1 && slot__before(&m->heap[1], &m->heap[0]))
		least = 1;
	if (m->cnt > 2 && slot__before(&m->heap[2], &m->heap[least]))
		least = 2;
	if (!least)
		return;
	merge__set(m, 0, m->heap[least]);
	merge__set(m, least, s);
}

static int merge__grow(struct merge *m)
{
	u32 cap = m->cap ? 2 * m->cap : 64;
	struct merge_slot *heap = realloc(m->heap, cap * sizeof(*heap));

	if (!heap)
		return -ENOMEM;
	m->heap = heap;
	m->cap = cap;
	return 0;
}

int merge__place(struct merge *m, struct merge_source *s)
{
	struct merge_slot slot = { s->time_ns, s->rank, s };
	u32 i;

	if (!s->slot) {
		if (m->cnt == m->cap && merge__grow(m))
			return -ENOMEM;
		merge__up(m, m->cnt++, slot);
		return 0;
	}
	i = s->slot - 1;
	if (!i && m->cnt <= 3)
		merge__top_of_few(m, slot);
	else if (slot__before(&slot, &m->heap[i]))
		merge__up(m, i, slot);
	else
		merge__down(m, i, slot);
	return 0;
}

void merge__remove(struct merge *m, struct merge_source *s)
{
	struct merge_slot last;
	u32 i = s->slot - 1;

	if (!s->slot)
		return;
	s->slot = 0;
	last = m->heap[--m->cnt];
	if (last.src == s)
		return;
	if (i && slot__before(&last, &m->heap[(i - 1) / 2]))
		merge__up(m, i, last);
	else
		merge__down(m, i, last);
}

void merge__rival(const struct merge *m, u64 *time_ns, u64 *rank)
{
	const struct merge_slot *s = NULL;

	*time_ns = *rank = ~0ULL;
	if (m->cnt > 1)
		s = &m->heap[1];
	if (m->cnt > 2 && slot__before(&m->heap[2], s))
		s = &m->heap[2];
	if (s) {
		*time_ns = s->time_ns;
		*rank = s->rank;
	}
}

void merge__done(struct merge *m)
{
	free(m->heap);
}
