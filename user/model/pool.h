/* SPDX-License-Identifier: MIT */
/* pool.h - objects of one size, given out and taken back without malloc in steady state. Never
 * shrinks. */
#ifndef TAPEBPF_POOL_H
#define TAPEBPF_POOL_H

#include "base/util.h"

struct pool {
	size_t bytes; /* of an object */
	void *free;   /* linked through the first word of each */
	void *chunk;  /* likewise, all of them */
	char *at, *end;
};

void pool__init(struct pool *p, size_t bytes);
void pool__done(struct pool *p);
void *pool__refill(struct pool *p);

/* NULL: no memory. The contents are undefined. */
static inline void *pool__get(struct pool *p)
{
	void *o = p->free;

	if (!o)
		return pool__refill(p);
	p->free = *(void **)o;
	return o;
}

/* 0: the next pool__get will succeed; else -ENOMEM. */
int pool__reserve(struct pool *p);

static inline void pool__put(struct pool *p, void *o)
{
	*(void **)o = p->free;
	p->free = o;
}

#endif
