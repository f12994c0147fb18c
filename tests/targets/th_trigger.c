/* SPDX-License-Identifier: MIT */
/*
 * th_trigger WHAT [MS] - one thing that a trigger waits for, among a steady tick, until SIGTERM.
 *
 *	span	a span that lasts MS		busy	a span by hand, entered for MS
 *	hang	a span that does not end		event	an event of level ERROR with fields
 *	exit	the program ends with status MS		crash	it ends by SIGSEGV, having just said "last words"
 *	none	nothing
 */
#define TAPE_PROVIDER th_trigger
#include <tape.h>

#include <stdlib.h>

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (ms && nanosleep(&ts, &ts) && !stop)
		;
}

static void busy(long ms)
{
	tape_handle h = tape_open(INFO, "worked", (n, 7));

	tape_enter(h);
	sleep_ms(ms);
	tape_exit(h);
	tape_drop(h);
}

static void *ticks(void *arg)
{
	long i;

	for (i = 0; !stop; i++) {
		tape_span(INFO, "tick", (i, i));
		sleep_ms(1);
	}
	return arg;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "none";
	long ms = argc > 2 ? atol(argv[2]) : 0;
	pthread_t t;

	signal(SIGTERM, on_term);
	pthread_create(&t, NULL, ticks, NULL);
	sleep_ms(300);
	if (!strcmp(what, "span")) {
		tape_span(INFO, "slow", (ms, ms));
		sleep_ms(ms);
	} else if (!strcmp(what, "busy")) {
		busy(ms);
	} else if (!strcmp(what, "hang")) {
		tape_span(WARN, "stuck");
		while (!stop)
			sleep_ms(10);
	} else if (!strcmp(what, "event")) {
		tape_event(ERROR, "request.failed", (code, 500), (path, "/api/orders"));
	} else if (!strcmp(what, "crash")) {
		tape_info("last words");
		raise(SIGSEGV);
	} else if (!strcmp(what, "exit")) {
		tape_info("last words");
		exit((int)ms);
	}
	while (!stop)
		sleep_ms(10);
	pthread_join(t, NULL);
	return 0;
}
