/* SPDX-License-Identifier: MIT */
/* seeds.h - a property, case by case: TEST_SEED=N repeats one case, TEST_CASES=N runs so many. Behind cmocka.h. */
#ifndef TAPEBPF_TEST_SEEDS_H
#define TAPEBPF_TEST_SEEDS_H

#include "base/util.h"

#include <stdio.h>

static u64 seed_now; /* of the case under way */

/* How many were run in a row, 0: it was one that was asked for. */
static inline u64 seeds__run(void (*one_case)(u64 seed), u64 cases)
{
	const char *one = getenv("TEST_SEED"), *many = getenv("TEST_CASES");
	u64 last = one ? strtoull(one, NULL, 0) : many ? strtoull(many, NULL, 0) : cases;

	for (seed_now = one ? last : 1; seed_now <= last; seed_now++)
		one_case(seed_now);
	seed_now = 0;
	return one ? 0 : last;
}

/* A teardown. */
static inline int seeds__say(void **state)
{
	if (seed_now)
		printf("failed with TEST_SEED=%llu\n", (unsigned long long)seed_now);
	return 0;
}

#endif
