/* SPDX-License-Identifier: MIT */
/*
 * shop.c - a little shop, instrumented with tape.h: what scripts/quickstart records.
 *
 * Three workers take orders from a counter. Each order is a span with the steps of its work inside; what goes wrong is an
 * event. Runs for about a second.
 *
 *	cc -I../include shop.c -o shop -pthread
 *	sudo tapebpf -- ./shop
 */
#define TAPE_PROVIDER shop
#include "tape.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ORDERS 60
#define WORKERS 3

struct order {
	int id;
	const char *customer;
	int items;
};

static atomic_int next_id;
static atomic_int failed;

static void work_us(unsigned int us)
{
	usleep(us);
}

/* A step of an order is a span: it ends with the block, whichever way that is left. */
static int charge(const struct order *o, int cents)
{
	tape_span(INFO, "charge", (order.id, o->id), (cents, cents));

	work_us(3000);
	if (o->id % 13 == 12) {
		tape_error((code, 402), (customer, o->customer), "card declined after %d tries", 3);
		return -1;
	}
	return 0;
}

/* A value that is known only later is declared empty and recorded when it is there. */
static int price(const struct order *o)
{
	tape_span_as(span, DEBUG, "price", (items, o->items), (cents, tape_empty));
	int cents = 0;

	for (int i = 0; i < o->items; i++) {
		tape_span(TRACE, "lookup", (item, i), (cache.hit, i % 3 != 0));
		work_us(i % 3 ? 200 : 1500);
		cents += 199 + 100 * i;
	}
	tape_record(span, (cents, cents));
	return cents;
}

static void serve(const struct order *o)
{
	tape_span(INFO, "order", (id, o->id), (customer, o->customer));

	if (charge(o, price(o))) {
		atomic_fetch_add(&failed, 1);
		return;
	}
	tape_info((items, o->items), "order %d is on its way", o->id);
	work_us(1000);
}

static void *worker(void *arg)
{
	static const char *const customers[] = { "ada", "grace", "edsger", "barbara" };
	char name[16];
	int id;

	snprintf(name, sizeof(name), "worker-%d", (int)(intptr_t)arg);
	tape_thread_name(name);
	while ((id = atomic_fetch_add(&next_id, 1)) < ORDERS) {
		struct order o = { id, customers[id % 4], 1 + id % 5 };

		serve(&o);
	}
	tape_debug("%s has nothing left to do", name);
	return NULL;
}

int main(void)
{
	pthread_t t[WORKERS];

	tape_event(INFO, "open", (workers, WORKERS), (orders, ORDERS));
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&t[i], NULL, worker, (void *)(intptr_t)i);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	if (failed)
		tape_warn((failed, (int)failed), "%d orders failed", (int)failed);
	printf("%d orders, %d failed\n", ORDERS, (int)failed);
	return 0;
}
