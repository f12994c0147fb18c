/* SPDX-License-Identifier: MIT */
/*
 * th_longjmp TRUTH HOW [ROUNDS] - HOW: spans (longjmp out of two nested spans inside one that goes on), handler (siglongjmp out of
 * signal handlers that interrupt appends), pthread_exit (threads that end inside spans). Ends that never come are not counted.
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static sigjmp_buf back;
static volatile long done;
static long rounds;

static void __attribute__((noinline)) deep(long i)
{
	struct tape_scope lost_a, lost_b;

	/* Not tape_span: its cleanup would be skipped by longjmp all the same, and gcc would warn of clobbers. */
	TRUTH_BEFORE();
	lost_a = TAPE__BEGIN(NULL, TAPE_LEVEL_INFO, "lost_a", (i, (uint64_t)i), TAPE__Z, TAPE__Z);
	TRUTH_AFTER();
	TRUTH_BEFORE();
	lost_b = TAPE__BEGIN(NULL, TAPE_LEVEL_INFO, "lost_b", (i, (uint64_t)i), TAPE__Z, TAPE__Z);
	TRUTH_AFTER();
	(void)lost_a;
	(void)lost_b;
	siglongjmp(back, 1);
}

static void round_of(long i)
{
	TRUTH_BEFORE();
	{
		tape_span(INFO, "outer", (i, (uint64_t)i));
		TRUTH_AFTER();
		if (!sigsetjmp(back, 0))
			deep(i);
		TRUTH(tape_event(INFO, "after", (i, (uint64_t)i)));
		TRUTH_BEFORE();
	}
	TRUTH_AFTER();
}

static void on_alarm(int sig)
{
	done++;
	siglongjmp(back, 1);
}

/* Counts of the interrupted appends are open: intended minus committed is at most one a jump. */
static void handler(void)
{
	struct itimerval once = { { 0, 0 }, { 0, 300 } };
	volatile uint64_t i = 0;

	signal(SIGALRM, on_alarm);
	while (done < rounds) {
		if (sigsetjmp(back, 1))
			continue;
		setitimer(ITIMER_REAL, &once, NULL);
		for (;;) {
			TRUTH(tape_event(INFO, "work", (i, (uint64_t)i)));
			i++;
		}
	}
	for (i = 0; i < 1000; i++)
		TRUTH(tape_event(INFO, "settled", (i, (uint64_t)i)));
}

static void *leave(void *arg)
{
	TRUTH_BEFORE();
	{
		struct tape_scope s = TAPE__BEGIN(NULL, TAPE_LEVEL_INFO, "left", (i, (uint64_t)(uintptr_t)arg), TAPE__Z, TAPE__Z);

		(void)s;
		TRUTH_AFTER();
		pthread_exit(NULL);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[2] : "";
	pthread_t t;
	long i;

	if (argc < 3)
		return 2;
	rounds = truth_arg(argc, argv, 3, 200);
	truth_open(argv[1]);
	if (!strcmp(how, "spans"))
		for (i = 0; i < rounds; i++)
			round_of(i);
	else if (!strcmp(how, "handler"))
		handler();
	else if (!strcmp(how, "pthread_exit"))
		for (i = 0; i < rounds; i++) {
			pthread_create(&t, NULL, leave, (void *)i);
			pthread_join(t, NULL);
		}
	else
		return 2;
	printf("result %ld\n", rounds);
	return 0;
}
