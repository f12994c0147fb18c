/* SPDX-License-Identifier: MIT */
/* rnd.h - random numbers that a seed (not 0) repeats, for tests that make programs of them. */
#ifndef TAPEBPF_TEST_RND_H
#define TAPEBPF_TEST_RND_H

#include "base/util.h"

static u64 seed;

static inline u64 rnd(u64 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

#endif
