/* SPDX-License-Identifier: MIT */
#include "fold/sketch.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SUB (1u << SKETCH_SUB_BITS)

/* Values below SUB have a bucket each; above, the highest bit names the octave and the next SKETCH_SUB_BITS the bucket. */
static u64 *bucket_of(struct sketch *s, u64 value)
{
	u32 octave = 0, sub = (u32)value, high;

	if (value >= SUB) {
		high = 63 - (u32)__builtin_clzll(value);
		octave = high - SKETCH_SUB_BITS + 1;
		sub = (u32)(value >> (high - SKETCH_SUB_BITS)) & (SUB - 1);
	}
	if (!s->octave[octave])
		s->octave[octave] = calloc(SUB, sizeof(u64));
	return s->octave[octave] ? &s->octave[octave][sub] : NULL;
}

static u64 middle(u32 octave, u32 sub)
{
	u64 low, width;

	if (!octave)
		return sub;
	width = 1ULL << (octave - 1);
	low = (u64)(SUB + sub) << (octave - 1);
	return low + width / 2;
}

static int to_buckets(struct sketch *s)
{
	u32 i;
	u64 *b;

	for (i = 0; i < SKETCH_EXACT; i++) {
		b = bucket_of(s, s->value[i]);
		if (!b)
			return -ENOMEM;
		++*b;
	}
	free(s->value);
	s->value = NULL;
	return 0;
}

bool sketch__is_exact(const struct sketch *s)
{
	return s->cnt <= SKETCH_EXACT;
}

int sketch__add(struct sketch *s, u64 value)
{
	u64 *b;

	if (s->cnt < SKETCH_EXACT) {
		if (s->cnt == s->cap) {
			b = realloc(s->value, MAX(s->cap * 2, 8u) * sizeof(*b));
			if (!b)
				return -ENOMEM;
			s->value = b;
			s->cap = MAX(s->cap * 2, 8u);
		}
		s->value[s->cnt] = value;
		s->sorted = false;
	} else {
		if (s->cnt == SKETCH_EXACT && to_buckets(s))
			return -ENOMEM;
		b = bucket_of(s, value);
		if (!b)
			return -ENOMEM;
		++*b;
	}
	s->min = s->cnt ? MIN(s->min, value) : value;
	s->max = s->cnt ? MAX(s->max, value) : value;
	s->cnt++;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct sketch *s)
{
	if (!s->sorted && s->value)
		qsort(s->value, s->cnt, sizeof(*s->value), by_value);
	s->sorted = true;
}

void sketch__each(struct sketch *s, void (*fn)(void *ctx, u64 value, u64 cnt), void *ctx)
{
	u32 o, i;
	u64 m;

	sort(s);
	for (i = 0; sketch__is_exact(s) && i < s->cnt; i++)
		fn(ctx, s->value[i], 1);
	for (o = 0; o < SKETCH_OCTAVES; o++)
		for (i = 0; s->octave[o] && i < SUB; i++) {
			if (!s->octave[o][i])
				continue;
			m = middle(o, i);
			fn(ctx, MIN(MAX(m, s->min), s->max), s->octave[o][i]);
		}
}

struct walk {
	u64 left, value;
	bool found;
};

static void step(void *ctx, u64 value, u64 cnt)
{
	struct walk *w = ctx;

	if (w->found)
		return;
	w->value = value;
	w->found = cnt >= w->left;
	w->left -= MIN(cnt, w->left);
}

u64 sketch__quantile(struct sketch *s, double share)
{
	struct walk w = {};
	u64 rank;

	if (!s->cnt)
		return 0;
	rank = (u64)ceil(share * (double)s->cnt);
	rank = MIN(MAX(rank, 1), s->cnt);
	if (rank == 1)
		return s->min;
	if (rank == s->cnt)
		return s->max;
	if (sketch__is_exact(s)) {
		sort(s);
		return s->value[rank - 1];
	}
	w.left = rank;
	sketch__each(s, step, &w);
	return w.value;
}

void sketch__done(struct sketch *s)
{
	u32 o;

	free(s->value);
	for (o = 0; o < SKETCH_OCTAVES; o++)
		free(s->octave[o]);
	memset(s, 0, sizeof(*s));
}
