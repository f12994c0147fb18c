/* SPDX-License-Identifier: MIT */
/* th_truth FILE [-v] - what a th_ program wrote down: `intended N committed N slots N`; -v: a line a thread before it. */
#include "truth.h"

int main(int argc, char **argv)
{
	uint64_t intended = 0, committed = 0;
	uint32_t i;

	if (argc < 2 || access(argv[1], R_OK)) {
		fprintf(stderr, "usage: th_truth FILE [-v]\n");
		return 2;
	}
	truth_open(argv[1]);
	for (i = 0; i < truth_map->slots && i < TRUTH_SLOTS; i++) {
		const struct truth_slot *s = &truth_map->slot[i];

		if (argc > 2)
			printf("pid %u tid %u intended %llu committed %llu\n", s->pid, s->tid,
			       (unsigned long long)s->intended, (unsigned long long)s->committed);
		intended += s->intended;
		committed += s->committed;
	}
	printf("intended %llu committed %llu slots %u\n", (unsigned long long)intended, (unsigned long long)committed,
	       truth_map->slots);
	return 0;
}
