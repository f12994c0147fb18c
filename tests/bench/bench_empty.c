/* SPDX-License-Identifier: MIT */
/* bench_empty.c - the loop around everything that is timed here, with nothing in it. */
#include "bench_rounds.h"

int main(void)
{
	BENCH("empty_loop", 200000000, );
	return 0;
}
