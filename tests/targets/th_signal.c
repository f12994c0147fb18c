/* SPDX-License-Identifier: MIT */
/*
 * th_signal TRUTH [MS [THREADS]] - threads record flat out for MS milliseconds (default 1000) while timer signals (50 us) run a
 * handler that records a span and an event each time.
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static volatile int stop;
static struct truth_slot *volatile handlers;

/* The handler has a slot of its own: it interrupts the thread between its two counts. */
static void on_alarm(int sig)
{
	__atomic_add_fetch(&handlers->intended, 3, __ATOMIC_RELAXED);
	{
		tape_span(WARN, "handler", (sig, sig));
		tape_event(INFO, "in_handler", (n, 1));
	}
	__atomic_add_fetch(&handlers->committed, 3, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	uint64_t i = 0;

	while (!stop) {
		TRUTH_SPAN(, INFO, "work", (i, i));
		i++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct itimerval every = { { 0, 50 }, { 0, 50 } }, off = { { 0, 0 }, { 0, 0 } };
	long i, ms = truth_arg(argc, argv, 2, 1000), threads = truth_arg(argc, argv, 3, 2);
	struct sigaction sa;
	pthread_t t[64];
	uint64_t end;

	if (argc < 2 || threads > 64)
		return 2;
	truth_open(argv[1]);
	truth_take();
	handlers = truth_mine;
	truth_take();
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_alarm;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	for (i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, work, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (end = tape__ns() + (uint64_t)ms * 1000000; tape__ns() < end;)
		usleep(1000);
	setitimer(ITIMER_REAL, &off, NULL);
	stop = 1;
	for (i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("result %ld\n", threads);
	return 0;
}
