/* SPDX-License-Identifier: MIT */
/*
 * th_flat TRUTH [MS [THREADS [PAUSE_US]]] - threads record spans flat out (or with a pause after each 100) for MS milliseconds
 * (default 1000; 0: until SIGTERM). Spans carry a number that counts up from 0 in each thread: a late attacher sees no hole.
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <pthread.h>
#include <signal.h>

static volatile sig_atomic_t stop;
static long pause_us;

static void on_term(int sig)
{
	stop = 1;
}

static void *work(void *arg)
{
	uint64_t i;

	for (i = 0; !stop; i++) {
		TRUTH_SPAN(, INFO, "work", (i, i));
		if (pause_us && i % 100 == 99)
			usleep((useconds_t)pause_us);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long i, ms = truth_arg(argc, argv, 2, 1000), threads = truth_arg(argc, argv, 3, 2);
	pthread_t t[64];
	uint64_t end;

	if (argc < 2 || threads > 64)
		return 2;
	pause_us = truth_arg(argc, argv, 4, 0);
	signal(SIGTERM, on_term);
	truth_open(argv[1]);
	for (i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (end = tape__ns() + (uint64_t)ms * 1000000; !stop && (!ms || tape__ns() < end);)
		usleep(1000);
	stop = 1;
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("result %ld\n", threads);
	return 0;
}
