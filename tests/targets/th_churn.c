/* SPDX-License-Identifier: MIT */
/*
 * th_churn - what comes and goes: threads and processes that live for a moment and record a little, with tape.h and with plain probes.
 *
 *	th_churn threads COUNT AT_ONCE PAUSE_US [STEP]	so many threads in all (0: until SIGTERM), AT_ONCE at a time. After each STEP
 *							of them the count so far is printed, and a second passes
 *	th_churn children COUNT PAUSE_US		processes, one after the other, every second one by an exec of this program
 *	th_churn leaf					what they exec: a span and an event
 *
 * Every 1000th thread or child makes an event of level ERROR. Prints how many there were.
 */
#define TAPE_PROVIDER th_churn
#include <tape.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_AT_ONCE 256

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void pause_us(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	if (us)
		nanosleep(&ts, NULL);
}

static void work(unsigned long n)
{
	char name[32];

	snprintf(name, sizeof(name), "churn-%lu", n);
	tape_thread_name(name);
	DTRACE_PROBE1(th_churn, request__begin, n);
	{
		tape_span(INFO, "work", (n, n));
		tape_event(INFO, "tick", (n, n));
	}
	DTRACE_PROBE1(th_churn, request__end, n);
	if (n % 1000 == 999)
		tape_event(ERROR, "failed", (n, n));
}

/* --- threads --- */

static void *run(void *arg)
{
	work((unsigned long)arg);
	return NULL;
}

static unsigned long threads(unsigned long cnt, int at_once, long us, unsigned long step)
{
	unsigned long made = 0, told = 0;
	pthread_t t[MAX_AT_ONCE];
	pthread_attr_t attr;
	int k, n;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	while (!stop && (!cnt || made < cnt)) {
		for (n = 0; n < at_once; n++)
			if (pthread_create(&t[n], &attr, run, (void *)(made + (unsigned long)n)))
				break;
		for (k = 0; k < n; k++)
			pthread_join(t[k], NULL);
		made += (unsigned long)n;
		pause_us(us);
		if (!step || made < told + step)
			continue;
		told = made;
		printf("%lu\n", made);
		fflush(stdout);
		pause_us(1000000);
	}
	return made;
}

/* --- processes --- */

static unsigned long children(unsigned long cnt, long us)
{
	unsigned long made;
	int status;
	pid_t pid;

	for (made = 0; !stop && (!cnt || made < cnt); made++) {
		pid = fork();
		if (!pid) {
			work(made);
			if (made & 1)
				execl("/proc/self/exe", "th_churn", "leaf", (char *)NULL);
			_exit(0);
		}
		if (pid < 0)
			break;
		while (waitpid(pid, &status, 0) < 0 && !stop)
			;
		pause_us(us);
	}
	return made;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned long cnt = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, n;
	int at_once = argc > 3 ? atoi(argv[3]) : 8;

	if (!strcmp(what, "leaf")) {
		work(1);
		return 0;
	}
	signal(SIGTERM, on_term);
	if (!strcmp(what, "threads") && at_once > 0 && at_once <= MAX_AT_ONCE)
		n = threads(cnt, at_once, argc > 4 ? atol(argv[4]) : 0, argc > 5 ? strtoul(argv[5], NULL, 10) : 0);
	else if (!strcmp(what, "children"))
		n = children(cnt, argc > 3 ? atol(argv[3]) : 0);
	else
		return 2;
	printf("%lu\n", n);
	return 0;
}
