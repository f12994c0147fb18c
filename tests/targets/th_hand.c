/* SPDX-License-Identifier: MIT */
/*
 * th_hand.c - what is said once, at the beginning, and holds until the end: spans opened by hand with fields and late values, a
 * block's span with a late value, a thread that says three things and is silent. Then steps without end, until SIGTERM:
 * then all of it is closed. Prints the steps.
 */
#define TAPE_PROVIDER hand
#include "tape.h"

#include <stdatomic.h>
#include <stdbool.h>

static volatile sig_atomic_t stop;
static atomic_bool said;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void *silent(void *arg)
{
	(void)arg;
	tape_thread_name("silent");
	tape_info((n, 1), "said once");
	{
		tape_span(INFO, "waits", (for_whom, "all"));

		said = true;
		while (!stop)
			usleep(10000);
	}
	return NULL;
}

int main(void)
{
	tape_handle connection, stream, over, early;
	pthread_t t;
	long steps;

	signal(SIGTERM, on_term);
	{
		tape_span_as(service, INFO, "service", (port, 8080), (state, tape_empty));

		tape_record(service, (state, "starting"));
		tape_record(service, (state, "up"));
		connection = tape_open(INFO, "connection", (peer, "10.0.0.7"), (bytes, tape_empty));
		tape_record(connection, (bytes, 1));
		tape_record(connection, (bytes, 4711));
		stream = tape_open_in(connection, INFO, "stream", (n, 7));
		early = tape_open(INFO, "early", (n, 8));
		tape_drop(early);
		over = tape_open(INFO, "over", (n, 9));
		tape_follows(stream, over);
		tape_drop(tape_clone(connection));
		tape_drop(over);
		pthread_create(&t, NULL, silent, NULL);
		while (!said)
			usleep(1000);
		for (steps = 0; !stop; steps++) {
			tape_span(DEBUG, "step", (i, steps));

			if (steps % 1000 == 999)
				usleep(1000);
		}
		tape_drop(stream);
		tape_drop(connection);
	}
	pthread_join(t, NULL);
	printf("%ld\n", steps);
	return 0;
}
