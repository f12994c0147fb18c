/* SPDX-License-Identifier: MIT */
/*
 * th_exit TRUTH HOW [SPANS [THREADS]] - threads record SPANS spans each (default 1000), then the process ends while all
 * threads live. HOW: return exit _exit abort segv kill exit_group_thread loop (flat out until killed).
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <pthread.h>
#include <signal.h>

static long spans;
static volatile int ready;
static const char *how;

static uint64_t work(long n)
{
	uint64_t sum = 0;
	long i;

	for (i = 0; i < n; i++)
		TRUTH_SPAN(sum += (uint64_t)i, INFO, "work", (i, (uint64_t)i));
	return sum;
}

static void *thread(void *arg)
{
	if (!strcmp(how, "loop"))
		for (;;)
			work(1000);
	work(spans);
	__atomic_add_fetch(&ready, 1, __ATOMIC_RELEASE);
	if (arg && !strcmp(how, "exit_group_thread")) {
		usleep(20000);
		syscall(SYS_exit_group, 7);
	}
	for (;;)
		pause();
	return NULL;
}

static void end(void)
{
	if (!strcmp(how, "exit"))
		exit(3);
	if (!strcmp(how, "_exit"))
		_exit(4);
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "segv"))
		raise(SIGSEGV);
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "exit_group_thread"))
		for (;;)
			pause();
}

int main(int argc, char **argv)
{
	long i, threads = truth_arg(argc, argv, 4, 3);
	pthread_t t;
	uint64_t sum;

	if (argc < 3)
		return 2;
	how = argv[2];
	spans = truth_arg(argc, argv, 3, 1000);
	truth_open(argv[1]);
	for (i = 0; i < threads; i++)
		pthread_create(&t, NULL, thread, (void *)(i == 0 ? argv : NULL));
	if (!strcmp(how, "loop"))
		thread(NULL);
	sum = work(spans);
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < threads)
		usleep(1000);
	TRUTH(tape_event(WARN, "last", (sum, sum)));
	printf("result %llu\n", (unsigned long long)sum);
	fflush(stdout);
	end();
	return 0;
}
