/* SPDX-License-Identifier: MIT */
/*
 * carry.h - begins of plain probe pairs that have left the ring while their spans are open.
 *
 * A batch of tape.h carries what is open on its thread; a plain probe's hit carries nothing. So when a generation is evicted, its hits of
 * paired sites go through a stack a thread, by the rule of the model (pairs.c): an end takes the topmost begin of its pair and all
 * above it. What stays is open when the ring begins, and is replayed in front of it, fields included.
 *
 * Bounded: MAX_DEPTH a thread, as in the model, and max_bytes in all; what is dropped for it is counted. Not thread-safe.
 *
 * What tape.h says of spans beyond a batch is told.h's affair, and folded along with it.
 */
#ifndef TAPEBPF_FLIGHT_CARRY_H
#define TAPEBPF_FLIGHT_CARRY_H

#include "base/idmap.h"
#include "flight/generations.h"
#include "flight/told.h"

struct carry_ops {
	/* 0: the site is no part of a pair; 1: it begins one, 2: it ends one; *pair: which (model__pair_role). */
	int (*role)(void *ctx, u32 site, const void **pair);
	void *ctx;
};

/* An open begin: a whole WIRE_HIT record with a zero byte behind it. */
struct carried {
	struct carried *below;
	const void *pair;
	u32 bytes;
	_Alignas(8) u8 rec[];
};

struct carry_thread {
	u32 tid, pid;
	u32 depth;
	struct carried *top;
};

struct carry {
	struct carry_ops ops;
	struct idmap threads; /* by tid; those with something open */
	u64 max_bytes;
	u64 bytes, cnt; /* now */
	u64 dropped;	/* begins, so far */
	u64 changes;	/* so far */
	struct told told;
};

/* role NULL: plain probes make no pairs. max_bytes: of each of the two. */
void carry__init(struct carry *c, const struct carry_ops *ops, u64 max_bytes);
void carry__done(struct carry *c);

/* A generation leaves the ring; the oldest first. */
void carry__fold(struct carry *c, const struct generation *g);

/* Another number than before: something else is open. */
static inline u64 carry__changes(const struct carry *c)
{
	return c->changes + c->told.changes;
}

/* What is open, as one block of records as in a chunk (each padded to 8 with a zero byte behind), malloc'ed, oldest below
 * on each thread. Returns 0 or -ENOMEM. */
int carry__copy(const struct carry *c, struct chunk *out);

#endif
