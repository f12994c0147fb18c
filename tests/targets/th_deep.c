/* SPDX-License-Identifier: MIT */
/*
 * th_deep TRUTH [DEPTH [ROUNDS]] - recursion DEPTH spans deep (default 500; beyond 4094 the rest is not recorded, and not
 * counted here), an event at the bottom and long stays at each tenth level so that preambles of all sizes are made.
 */
#define TAPE_PROVIDER th
#include "truth.h"

static long depth;

static long down(long d)
{
	long i, sum = 0;

	if (d == depth) {
		TRUTH(tape_event(INFO, "bottom", (d, d)));
		return d;
	}
	if (d >= TAPE_MAX_DEPTH) {
		tape_span(INFO, "too_deep", (d, d));
		return down(d + 1) + d;
	}
	TRUTH_SPAN(sum = down(d + 1) + d;
		   if (d % 10 == 0) for (i = 0; i < 100; i++) TRUTH(tape_event(DEBUG, "stay", (d, d), (i, i))), INFO,
		   "level", (d, d), (name, "some text that makes it longer"));
	return sum;
}

int main(int argc, char **argv)
{
	long i, rounds = truth_arg(argc, argv, 3, 3), sum = 0;

	if (argc < 2)
		return 2;
	depth = truth_arg(argc, argv, 2, 500);
	truth_open(argv[1]);
	for (i = 0; i < rounds; i++)
		sum += down(0);
	printf("result %ld\n", sum);
	return 0;
}
