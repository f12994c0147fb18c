/* SPDX-License-Identifier: MIT */
/*
 * usdt_pairs.c - plain probes that make spans: nesting, ends that are missing, ends without a begin. The sequence is
 * fixed; each thread runs it once. Prints the number of passes.
 *
 * usdt_pairs THREADS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>

static void *run(void *arg)
{
	long id = (long)arg;

	DTRACE_PROBE1(pairs, request__begin, id);
	DTRACE_PROBE(pairs, parse__start);
	DTRACE_PROBE(pairs, note);
	DTRACE_PROBE(pairs, parse__done);
	DTRACE_PROBE(pairs, query__entry);
	DTRACE_PROBE(pairs, query__entry); /* nests in itself */
	DTRACE_PROBE1(pairs, query__return, 1);
	DTRACE_PROBE1(pairs, query__return, 2);
	DTRACE_PROBE(pairs, parse__start); /* left open: abandoned by the request's end */
	DTRACE_PROBE2(pairs, request__end, id, 500);
	DTRACE_PROBE(pairs, parse__done); /* no begin */
	DTRACE_PROBE1(pairs, request__begin, id + 1000); /* never ends */
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 1;
	pthread_t t[64];

	if (threads > 64)
		threads = 64;
	for (long i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, run, (void *)i);
	for (long i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("%ld\n", threads * 12);
	return 0;
}
