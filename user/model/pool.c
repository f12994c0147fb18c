/* SPDX-License-Identifier: MIT */
#include "model/pool.h"

#include <errno.h>

#define POOL_CHUNK_BYTES 65536

void pool__init(struct pool *p, size_t bytes)
{
	*p = (struct pool){.bytes = ALIGN_UP(MAX(bytes, sizeof(void *)), 16)};
}

void pool__done(struct pool *p)
{
	void *c, *next;

	for (c = p->chunk; c; c = next) {
		next = *(void **)c;
		free(c);
	}
	*p = (struct pool){0};
}

void *pool__refill(struct pool *p)
{
	void *o;

	if (p->at == p->end) {
		size_t cnt = MAX((POOL_CHUNK_BYTES - 16) / p->bytes, 1);
		char *c = malloc(16 + cnt * p->bytes);

		if (!c)
			return NULL;
		*(void **)c = p->chunk;
		p->chunk = c;
		p->at = c + 16;
		p->end = p->at + cnt * p->bytes;
	}
	o = p->at;
	p->at += p->bytes;
	return o;
}

int pool__reserve(struct pool *p)
{
	void *o;

	if (p->free)
		return 0;
	o = pool__refill(p);
	if (!o)
		return -ENOMEM;
	pool__put(p, o);
	return 0;
}
