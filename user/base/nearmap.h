/* SPDX-License-Identifier: MIT */
/*
 * nearmap.h - an idmap for numbers that are given in sequence to things that mostly live shortly, spans above all: nearly
 * all are found in a small table by their low bits, and the hash map holds only those whose place there was taken.
 */
#ifndef TAPEBPF_NEARMAP_H
#define TAPEBPF_NEARMAP_H

#include "base/idmap.h"

#define NEARMAP_SLOTS 256

struct nearmap {
	struct idmap_slot near[NEARMAP_SLOTS]; /* value NULL: free */
	struct idmap far;
	u64 near_cnt;
};

static inline u64 nearmap__cnt(const struct nearmap *m)
{
	return m->near_cnt + m->far.cnt;
}

/* NULL if there is none. */
static inline void *nearmap__find(const struct nearmap *m, u64 id)
{
	const struct idmap_slot *near = &m->near[id % NEARMAP_SLOTS];

	return near->value && near->id == id ? near->value : idmap__find(&m->far, id);
}

/* Add; the id must not be there, value not be NULL. 0 or -ENOMEM. */
static inline int nearmap__add(struct nearmap *m, u64 id, void *value)
{
	struct idmap_slot *near = &m->near[id % NEARMAP_SLOTS];

	if (near->value)
		return idmap__put(&m->far, id, value);
	near->id = id;
	near->value = value;
	m->near_cnt++;
	return 0;
}

static inline void nearmap__remove(struct nearmap *m, u64 id)
{
	struct idmap_slot *near = &m->near[id % NEARMAP_SLOTS];

	if (!near->value || near->id != id) {
		idmap__remove(&m->far, id);
		return;
	}
	near->value = NULL;
	m->near_cnt--;
}

/* As idmap__next. */
static inline void *nearmap__next(const struct nearmap *m, u64 *i)
{
	void *value = NULL;
	u64 far;

	while (*i < NEARMAP_SLOTS && !value)
		value = m->near[(*i)++].value;
	if (value)
		return value;
	far = *i - NEARMAP_SLOTS;
	value = idmap__next(&m->far, &far);
	*i = far + NEARMAP_SLOTS;
	return value;
}

/* The table; the values stay the caller's. */
static inline void nearmap__done(struct nearmap *m)
{
	idmap__done(&m->far);
	for (u32 i = 0; i < NEARMAP_SLOTS; i++)
		m->near[i].value = NULL;
	m->near_cnt = 0;
}

#endif
