/* SPDX-License-Identifier: MIT */
/*
 * th_signal HOW TRUTH COUNT - signal handlers that trace, under a 20 us timer, while their thread traces too.
 * HOW: timer (COUNT spans on one thread), altstack (likewise, handlers on a stack of their own), jump (every 16th handler leaves by siglongjmp, 2000 times),
 * altjump (both), threads (COUNT short threads: the first record of a thread is interrupted too). Prints the
 * signals that were handled.
 */
#define TAPE_PROVIDER th_signal
#include <tape.h>

#include "truth.h"

#include <setjmp.h>
#include <sys/time.h>

static __thread struct truth_slot *handled;
static volatile int jumping, stopped;
static sigjmp_buf out;
static uint64_t signal_cnt;

static void on_alarm(int sig)
{
	struct truth_slot *s = handled;
	uint64_t n = __atomic_add_fetch(&signal_cnt, 1, __ATOMIC_RELAXED);

	(void)sig;
	if (!s)
		s = handled = truth__take();
	TRUTH_SPAN(s, "handler", TRUTH_EVENT(s, "in_handler"));
	if (jumping && n % 16 == 0 && n < 32000)
		siglongjmp(out, 1);
}

static void timer(int us)
{
	struct itimerval t = { { 0, us }, { 0, us } };

	setitimer(ITIMER_REAL, &t, NULL);
}

static __attribute__((noinline)) void spans(struct truth_slot *s, uint64_t until)
{
	while (s->committed < until)
		TRUTH_SPAN(s, "step", (void)0);
	stopped = 1;
}

static void *short_thread(void *arg)
{
	struct truth_slot *s = truth__take();

	(void)arg;
	TRUTH_SPAN(s, "step", TRUTH_EVENT(s, "tick"));
	return NULL;
}

static void threads(int cnt)
{
	pthread_t t[8];
	int i, k;

	for (i = 0; i < cnt; i += 8) {
		for (k = 0; k < 8; k++)
			if (pthread_create(&t[k], NULL, short_thread, NULL))
				exit(99);
		for (k = 0; k < 8; k++)
			pthread_join(t[k], NULL);
	}
}

/* Handlers that jump come only in here, so that `out` is always good. */
static __attribute__((noinline)) void jumps(struct truth_slot *s, uint64_t until)
{
	if (sigsetjmp(out, 1))
		truth__jumped(s);
	jumping = 1;
	spans(s, until);
	jumping = 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct truth_slot *s;
	stack_t ss = { .ss_size = 65536 };
	uint64_t cnt;

	if (argc < 4)
		return 2;
	truth__open(argv[2]);
	cnt = strtoull(argv[3], NULL, 10);
	if (!strncmp(argv[1], "alt", 3)) {
		ss.ss_sp = malloc(ss.ss_size);
		sigaltstack(&ss, NULL);
		sa.sa_flags |= SA_ONSTACK;
	}
	sigaction(SIGALRM, &sa, NULL);
	timer(20);
	s = truth__take();
	if (!strcmp(argv[1], "threads"))
		threads((int)cnt);
	else if (strstr(argv[1], "jump"))
		jumps(s, cnt);
	else
		spans(s, cnt);
	timer(0);
	/* The thread is right again: a span below nothing. */
	TRUTH_SPAN(s, "last", TRUTH_EVENT(s, "in_last"));
	printf("%lu\n", signal_cnt);
	return 0;
}
