/* SPDX-License-Identifier: MIT */
/*
 * usdt_renamed.c - threads with plain probes that take a name of their own, as most runtimes have it: "early" before its first hit, "late" between
 * two, "other" by its maker's hand. Each hits `named` 10 times under its last name. The first thread keeps its name.
 */
#define _GNU_SOURCE /* pthread_setname_np */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/sdt.h>

static sem_t made, renamed;

static void hits(const char *what)
{
	for (long i = 0; i < 10; i++)
		DTRACE_PROBE2(renamed, named, i, what);
}

static void *early(void *arg)
{
	pthread_setname_np(pthread_self(), "early");
	hits("early");
	return arg;
}

static void *late(void *arg)
{
	DTRACE_PROBE(renamed, unnamed);
	pthread_setname_np(pthread_self(), "la te\n");
	hits("late");
	return arg;
}

static void *other(void *arg)
{
	sem_post(&made);
	sem_wait(&renamed);
	hits("other");
	return arg;
}

int main(void)
{
	pthread_t t[3];

	sem_init(&made, 0, 0);
	sem_init(&renamed, 0, 0);
	pthread_create(&t[0], NULL, early, NULL);
	pthread_create(&t[1], NULL, late, NULL);
	pthread_create(&t[2], NULL, other, NULL);
	sem_wait(&made);
	pthread_setname_np(t[2], "other");
	sem_post(&renamed);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	hits("main");
	puts("done");
	return 0;
}
