/* SPDX-License-Identifier: MIT */
/*
 * th_flat THREADS RECORDS TRUTH [SPIN] - spans as fast as they go, on each thread below an outer span that stays open.
 * RECORDS spans a thread; 0: until SIGTERM. SPIN: turns of an empty loop between them. Prints the spans made and a sum that
 * the tracing must not change.
 */
#define TAPE_PROVIDER th_flat
#include <tape.h>

#include "truth.h"

static volatile sig_atomic_t stop;
static uint64_t span_cnt;
static int spin;
static uint64_t made, sum;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void *run(void *arg)
{
	struct truth_slot *s = truth__take();
	uint64_t seq = truth__begin(s), i, mine = 0;

	(void)arg;
	{
		tape_span(INFO, "worker", (slot, s->no), (seq, seq));
		truth__done(s, seq);
		for (i = 0; !stop && (!span_cnt || i < span_cnt); i++) {
			TRUTH_SPAN(s, "step", mine += i * 7);
			for (volatile int k = 0; k < spin; k++)
				;
		}
		s->other_intended++;
	}
	s->other_committed++;
	__atomic_fetch_add(&made, i, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sum, mine, __ATOMIC_RELAXED);
	return NULL;
}

int main(int argc, char **argv)
{
	int cnt, i;
	pthread_t t[64];

	if (argc < 4 || (cnt = atoi(argv[1])) < 1 || cnt > 64)
		return 2;
	span_cnt = strtoull(argv[2], NULL, 10);
	spin = argc > 4 ? atoi(argv[4]) : 0;
	truth__open(argv[3]);
	signal(SIGTERM, on_term);
	for (i = 0; i < cnt; i++)
		if (pthread_create(&t[i], NULL, run, NULL))
			return 99;
	for (i = 0; i < cnt; i++)
		pthread_join(t[i], NULL);
	printf("%lu %lu\n", made, sum);
	return 0;
}
