/* SPDX-License-Identifier: MIT */
/*
 * idmap.h - a hash map from 64-bit ids to pointers, for ids that come out of files: whoever chooses them cannot make
 * the map slow, as the hash takes a random multiplier. Open addressing; nothing is allocated but the table.
 */
#ifndef TAPEBPF_IDMAP_H
#define TAPEBPF_IDMAP_H

#include "base/util.h"

struct idmap_slot {
	u64 id;
	void *value; /* NULL: free */
};

struct idmap {
	struct idmap_slot *slot; /* NULL until the first put */
	u64 multiplier;
	u32 cnt, size_bits;
};

static inline u64 idmap__home(const struct idmap *m, u64 id)
{
	return id * m->multiplier >> (64 - m->size_bits);
}

/* NULL if there is none. */
static inline void *idmap__find(const struct idmap *m, u64 id)
{
	u64 i, mask = (1ULL << m->size_bits) - 1;

	if (!m->cnt)
		return NULL;
	for (i = idmap__home(m, id); m->slot[i].value; i = (i + 1) & mask)
		if (m->slot[i].id == id)
			return m->slot[i].value;
	return NULL;
}

/* Add or replace; value must not be NULL. 0 or -ENOMEM. */
int idmap__put(struct idmap *m, u64 id, void *value);

/* Returns what was there, or NULL. */
void *idmap__remove(struct idmap *m, u64 id);

/* The table; the values stay the caller's. */
void idmap__done(struct idmap *m);

/* Walk all values: for (i = 0; (v = idmap__next(m, &i)); ) ... The map must not change meanwhile. */
static inline void *idmap__next(const struct idmap *m, u64 *i)
{
	if (!m->slot)
		return NULL;
	while (*i < 1ULL << m->size_bits) {
		void *v = m->slot[(*i)++].value;

		if (v)
			return v;
	}
	return NULL;
}

#endif
