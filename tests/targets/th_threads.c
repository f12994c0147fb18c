/* SPDX-License-Identifier: MIT */
/*
 * th_threads THREADS TRUTH [AT_ONCE] - many threads, each of which says its name and makes three records. Prints the sum of
 * their results.
 */
#define TAPE_PROVIDER th_threads
#include <tape.h>

#include "truth.h"

static pthread_barrier_t all;
static int at_once;

static void *run(void *arg)
{
	struct truth_slot *s = truth__take();
	char name[32];

	if (at_once > 64)
		pthread_barrier_wait(&all);
	snprintf(name, sizeof(name), "worker-%lu", (unsigned long)arg);
	TRUTH_OTHER(s, 1, tape_thread_name(name));
	TRUTH_SPAN(s, "work", TRUTH_EVENT(s, "tick"));
	if (at_once > 64)
		pthread_barrier_wait(&all);
	return (void *)((uintptr_t)arg * 3);
}

int main(int argc, char **argv)
{
	unsigned long cnt, i, k, sum = 0;
	pthread_attr_t attr;
	pthread_t *t;
	void *result;

	if (argc < 3)
		return 2;
	cnt = strtoul(argv[1], NULL, 10);
	at_once = argc > 3 ? atoi(argv[3]) : 50;
	truth__open(argv[2]);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_barrier_init(&all, NULL, (unsigned)at_once);
	t = calloc((size_t)at_once, sizeof(*t));
	for (i = 0; i + (unsigned long)at_once <= cnt; i += (unsigned long)at_once) {
		for (k = 0; k < (unsigned long)at_once; k++)
			if (pthread_create(&t[k], &attr, run, (void *)(i + k)))
				return 99;
		for (k = 0; k < (unsigned long)at_once; k++) {
			pthread_join(t[k], &result);
			sum += (unsigned long)result;
		}
	}
	printf("%lu\n", sum);
	return 0;
}
