/* SPDX-License-Identifier: MIT */
/*
 * th_token THREADS [TALKERS] - threads that hand a number round, until SIGTERM: whoever has it says so, adds one, and only then lets the
 * next one have it. So each number's record is the cause of the next one's, on another thread. The talkers say something now and
 * then, so that there is more to be read.
 */
#define TAPE_PROVIDER th_token
#include <tape.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t token;
static int threads;

static void *run(void *arg)
{
	uint64_t mine = (uint64_t)(uintptr_t)arg, n;

	for (;;) {
		n = __atomic_load_n(&token, __ATOMIC_ACQUIRE);
		if (n % (uint64_t)threads != mine) {
			sched_yield();
			continue;
		}
		tape_event(INFO, "token", (n, n));
		__atomic_store_n(&token, n + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *talk(void *arg)
{
	(void)arg;
	for (;;) {
		tape_event(INFO, "talk");
		usleep(20000);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;
	int i;

	threads = argc > 1 ? atoi(argv[1]) : 2;
	for (i = 0; i < threads; i++)
		if (pthread_create(&t, NULL, run, (void *)(uintptr_t)i))
			return 99;
	for (i = argc > 2 ? atoi(argv[2]) : 0; i > 0; i--)
		if (pthread_create(&t, NULL, talk, NULL))
			return 99;
	pause();
	return 0;
}
