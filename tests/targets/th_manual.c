/* SPDX-License-Identifier: MIT */
/*
 * th_manual TRUTH [ROUNDS] - spans by hand: opened on one thread, entered on another, again, out of order; cloned and dropped;
 * later values, follows_from, the three kinds of parents. Per round 25 records.
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <pthread.h>

static tape_handle job;

static void *other(void *arg)
{
	TRUTH(tape_enter(job));
	TRUTH(tape_event(INFO, "in_job", (n, 2)));
	TRUTH(tape_exit(job));
	TRUTH(tape_drop(job));
	return NULL;
}

static void once(uint64_t i)
{
	tape_handle a, b, c;
	pthread_t t;

	TRUTH(a = tape_open(INFO, "a", (i, i), (rows, tape_empty)));		/* 1 */
	TRUTH(tape_enter(a));							/* 2 */
	TRUTH(b = tape_open(INFO, "b", (i, i)));				/* 3: child of a */
	TRUTH(tape_enter(b));							/* 4 */
	TRUTH(tape_exit(a));							/* 5: out of order */
	TRUTH(tape_event(INFO, "in_b", (i, i)));				/* 6 */
	TRUTH(tape_exit(b));							/* 7 */
	TRUTH(tape_enter(a));							/* 8: again */
	TRUTH(tape_exit(a));							/* 9 */
	TRUTH(tape_record(a, (rows, 12)));					/* 10 */
	TRUTH(c = tape_open_in(a, DEBUG, "c"));					/* 11: explicit */
	TRUTH(tape_follows(c, b));						/* 12 */
	TRUTH(job = tape_clone(c));						/* 13 */
	pthread_create(&t, NULL, other, NULL);					/* 14 - 17 */
	pthread_join(t, NULL);
	TRUTH(tape_event_in(c, WARN, "in_c"));					/* 18 */
	TRUTH(tape_drop(c));							/* 19 */
	TRUTH(tape_drop(b));							/* 20 */
	TRUTH(tape_drop(a));							/* 21 */
	TRUTH(a = tape_open_in(tape_root(), ERROR, "root"));			/* 22 */
	TRUTH(tape_enter(a));							/* 23 */
	TRUTH(tape_exit(a));							/* 24 */
	TRUTH(tape_drop(a));							/* 25 */
}

int main(int argc, char **argv)
{
	long i, rounds = truth_arg(argc, argv, 2, 100);

	if (argc < 2)
		return 2;
	truth_open(argv[1]);
	for (i = 0; i < rounds; i++)
		once((uint64_t)i);
	printf("result %ld\n", rounds);
	return 0;
}
