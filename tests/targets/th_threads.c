/* SPDX-License-Identifier: MIT */
/* th_threads TRUTH [THREADS [SPANS [AT_ONCE]]] - THREADS threads (default 10,000), AT_ONCE at a time (100), SPANS spans each (3). */
#define TAPE_PROVIDER th
#include "truth.h"
#include <pthread.h>

static long spans;

static void *work(void *arg)
{
	uint64_t number = (uint64_t)(uintptr_t)arg;
	long i;

	for (i = 0; i < spans; i++)
		TRUTH_SPAN(, INFO, "work", (thread, number), (i, (uint64_t)i));
	return arg;
}

int main(int argc, char **argv)
{
	long threads = truth_arg(argc, argv, 2, 10000), once = truth_arg(argc, argv, 4, 100), i, j, n;
	pthread_attr_t attr;
	uint64_t sum = 0;
	pthread_t *t;
	void *r;

	if (argc < 2)
		return 2;
	spans = truth_arg(argc, argv, 3, 3);
	truth_open(argv[1]);
	t = calloc((size_t)once, sizeof(*t));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (i = 0; i < threads; i += n) {
		n = threads - i < once ? threads - i : once;
		for (j = 0; j < n; j++)
			if (pthread_create(&t[j], &attr, work, (void *)(i + j)))
				return 1;
		for (j = 0; j < n; j++) {
			pthread_join(t[j], &r);
			sum += (uint64_t)(uintptr_t)r;
		}
	}
	free(t);
	printf("result %llu\n", (unsigned long long)sum);
	return 0;
}
