/* SPDX-License-Identifier: MIT */
#include "ingest/merge.h"

#include <errno.h>

static void merge__set(struct merge *m, u32 i, struct merge_slot s)
{
	m->heap[i] = s;
	s.src->slot = i + 1;
}

static void merge__up(struct merge *m, u32 i, struct merge_slot s)
{
	while (i && merge__slot_before(&s, &m->heap[(i - 1) / 2])) {
		merge__set(m, i, m->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	merge__set(m, i, s);
}

static void merge__down(struct merge *m, u32 i, struct merge_slot s)
{
	u32 child;

	while ((child = 2 * i + 1) < m->cnt) {
		if (child + 1 < m->cnt && merge__slot_before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!merge__slot_before(&m->heap[child], &s))
			break;
		merge__set(m, i, m->heap[child]);
		i = child;
	}
	merge__set(m, i, s);
}

void merge__sink_top(struct merge *m, struct merge_slot s)
{
	merge__down(m, 0, s);
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
	if (merge__slot_before(&slot, &m->heap[i]))
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
	if (i && merge__slot_before(&last, &m->heap[(i - 1) / 2]))
		merge__up(m, i, last);
	else
		merge__down(m, i, last);
}

void merge__done(struct merge *m)
{
	free(m->heap);
}
