/* SPDX-License-Identifier: MIT */
/* th_big TRUTH [ROUNDS] - records larger than a page (texts up to 4 KiB), among small ones, inside spans with long fields. */
#define TAPE_PROVIDER th
#define TAPE_MAX_STR 4096
#include "truth.h"

int main(int argc, char **argv)
{
	long i, rounds = truth_arg(argc, argv, 2, 100);
	static char big[6000];

	if (argc < 2)
		return 2;
	truth_open(argv[1]);
	memset(big, 'y', sizeof(big) - 1);
	for (i = 0; i < rounds; i++)
		TRUTH_SPAN(TRUTH(tape_event(INFO, "small", (i, i)));
			   TRUTH(tape_event(INFO, "big", (i, i), (s, big), (t, tape_str(big, (size_t)(i * 60 % 6000))))),
			   INFO, "around", (i, i), (s, tape_str(big, (size_t)(i * 40 % 4000))));
	printf("result %ld\n", rounds);
	return 0;
}
