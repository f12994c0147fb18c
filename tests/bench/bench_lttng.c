/* SPDX-License-Identifier: MIT */
/* bench_lttng.c - the peer: one LTTng-UST tracepoint with a u64, in a loop. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng_hit.h"
#include "bench_rounds.h"

int main(int argc, char **argv)
{
	BENCH(argc > 1 ? argv[1] : "lttng_hit", 3000000, lttng_ust_tracepoint(tapebpf_bench, hit, i));
	return 0;
}
