/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "ingest/merge.h"

#define SOURCES 200

static u64 state_now = 88172645463325252ULL;

static u64 rnd(u64 below)
{
	state_now ^= state_now << 13;
	state_now ^= state_now >> 7;
	state_now ^= state_now << 17;
	return state_now % below;
}

/* The next and the one after it, by looking at all. */
static void naive(struct merge_source *s, const bool *in, struct merge_source **first,
		  struct merge_source **second)
{
	u32 i;

	*first = *second = NULL;
	for (i = 0; i < SOURCES; i++) {
		if (!in[i])
			continue;
		if (!*first || merge__before(s[i].time_ns, s[i].rank, (*first)->time_ns, (*first)->rank)) {
			*second = *first;
			*first = &s[i];
		} else if (!*second || merge__before(s[i].time_ns, s[i].rank, (*second)->time_ns,
						     (*second)->rank)) {
			*second = &s[i];
		}
	}
}

static void as_by_looking_at_all(void **state)
{
	static struct merge_source s[SOURCES];
	static bool in[SOURCES];
	struct merge_source *first, *second;
	struct merge m = { 0 };
	u64 time, rank;
	u32 i, step;

	for (i = 0; i < SOURCES; i++)
		s[i].rank = i;
	for (step = 0; step < 20000; step++) {
		i = rnd(SOURCES);
		if (in[i] && rnd(3) == 0) {
			merge__remove(&m, &s[i]);
			in[i] = false;
		} else {
			s[i].time_ns = rnd(50); /* many ties */
			assert_int_equal(merge__place(&m, &s[i]), 0);
			in[i] = true;
		}
		naive(s, in, &first, &second);
		assert_ptr_equal(merge__top(&m), first);
		merge__rival(&m, &time, &rank);
		assert_int_equal(time, second ? second->time_ns : ~0ULL);
		assert_int_equal(rank, second ? second->rank : ~0ULL);
	}
	for (i = 0; i < SOURCES; i++)
		merge__remove(&m, &s[i]);
	assert_null(merge__top(&m));
	merge__done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_by_looking_at_all) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
