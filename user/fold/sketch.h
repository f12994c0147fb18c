/* SPDX-License-Identifier: MIT */
/*
 * sketch.h - the distribution of many numbers in little memory: exact as long as they are few, then in buckets whose
 * width is a fixed share of their value, so that every quantile is within SKETCH_ERROR of the true one.
 */
#ifndef TAPEBPF_SKETCH_H
#define TAPEBPF_SKETCH_H

#include "base/util.h"

#define SKETCH_EXACT 1024	    /* values that are kept one by one */
#define SKETCH_SUB_BITS 6	    /* buckets to each power of two: 64 */
#define SKETCH_ERROR (1.0 / 128)    /* relative: half a bucket */
#define SKETCH_OCTAVES (64 - SKETCH_SUB_BITS + 1)

struct sketch {
	u64 cnt, min, max;
	u64 *value; /* exact: in no order */
	u32 cap;
	bool sorted;
	u64 *octave[SKETCH_OCTAVES]; /* NULL: empty */
};

int sketch__add(struct sketch *s, u64 value); /* 0, -ENOMEM */
/* The smallest value that at least this share of all values does not exceed (nearest rank). 0 if there is none. */
u64 sketch__quantile(struct sketch *s, double share);
bool sketch__is_exact(const struct sketch *s);
/* Each value or bucket (its middle), in order, and how many. */
void sketch__each(struct sketch *s, void (*fn)(void *ctx, u64 value, u64 cnt), void *ctx);
void sketch__done(struct sketch *s);

#endif
