/* SPDX-License-Identifier: MIT */
/*
 * page.h - the pure part of delivering a thread's page: is this header one, how many bytes are valid, what does a
 * delivery of it prove. Also built for the host, where unit tests run it.
 */
#ifndef TAPEBPF_PAGE_H
#define TAPEBPF_PAGE_H

#include "tapebpf/wire.h"

#define PAGE_CLASSES(X) X(512) X(1024) X(2048) X(WIRE_DATA_END)

/* A header that can be delivered. The program may write anything there: only what follows from these tests is
 * believed. A page begins at a page's border, so that no read of it can run into a neighbour. */
static inline __attribute__((always_inline)) int page__valid(const struct wire_page *h, __u64 addr)
{
	return h->magic == WIRE_PAGE_MAGIC && h->version == WIRE_VERSION &&
	       !(addr & (WIRE_PAGE_BYTES - 1)) &&
	       WIRE_COMMIT_LEN(h->commit) <= WIRE_DATA_END - WIRE_DATA;
}

static inline __attribute__((always_inline)) __u32 page__bytes(const struct wire_page *h)
{
	return WIRE_DATA + WIRE_COMMIT_LEN(h->commit);
}

/* Number, in the life of the page, just past its last record: the loss mark. */
static inline __attribute__((always_inline)) __u64 page__seen(const struct wire_page *h)
{
	return h->slot[WIRE_COMMIT_SEQ(h->commit) & 1].first + WIRE_COMMIT_CNT(h->commit);
}

/* Bytes of the page that a ring record for so many valid bytes holds. */
static inline __attribute__((always_inline)) __u32 page__class(__u32 bytes)
{
#define X(c)            \
	if (bytes <= c) \
		return c;
	PAGE_CLASSES(X)
#undef X
	return 0;
}

#endif
