/* SPDX-License-Identifier: MIT */
/*
 * bench_ingest - what a record costs on its way through ingest. Prints, asserts nothing.
 *
 *	bench_ingest [PAGES]
 *
 * Threads record flat out (a begin with one u64 and its end), taking turns page by page on two rings. Columns:
 *   alone		one page
 *   two, apart		two pages whose batches do not overlap in time (two threads on one CPU)
 *   two, at once	two pages that record at the same time: the merge changes sides at every record
 *   many		PAGES pages (default 10,000), one after the other, each with one batch at a time
 */
#include <stdio.h>
#include <time.h>

#include "../unit/ingest/page_sim.h"
#include "ingest/ingest.h"

static u64 records, sum;

static int on_rec(void *ctx, const struct rec *r)
{
	records += r->number != ~0ULL && r->kind <= WIRE_R_THREAD_NAME;
	sum += r->time_ns ^ r->site_addr;
	return 0;
}

static u64 module_link(void *ctx, u32 module)
{
	return 0x4000;
}

static u64 cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Fill a page from `from` on, 14 ns a record; returns the time behind it. */
static u64 fill(struct sim_page *s, u64 from, u64 *value)
{
	u64 now = from;

	sim__reset(s, now);
	for (;; now += 14) {
		if (s->depth ? !sim__finish(s, now) : !sim__begin(s, ++*value, now))
			break;
	}
	sim__end(s, now);
	return now;
}

struct shape {
	const char *name;
	u32 pages;
	bool at_once;
};

/* So many deliveries are made, then pushed in one go between two readings of the clock. */
#define GO 64

struct run {
	const struct shape *sh;
	struct sim_page *page;
	u64 now, value, spent;
	u32 turn;
};

static void go(struct run *r, struct ingest *in)
{
	static struct sim_delivery d[GO];
	static u32 bytes[GO];
	u64 next = r->now, t;
	u32 i;

	for (i = 0; i < GO; i++) {
		u32 n = r->turn++ % r->sh->pages;

		next = fill(&r->page[n], r->now + (r->sh->at_once ? n : 0), &r->value);
		bytes[i] = sim__deliver(&r->page[n], &d[i], WIRE_WHY_FLUSH, n & 1, 1, n + 2, next);
		if (!r->sh->at_once || n == r->sh->pages - 1)
			r->now = next;
	}
	t = cpu_ns();
	for (i = 0; i < GO; i++)
		ingest__push(in, &d[i], bytes[i]);
	ingest__advance(in, r->now, r->now);
	r->spent += cpu_ns() - t;
}

static double run(const struct shape *sh)
{
	struct ingest_ops ops = { .rec = on_rec, .module_link = module_link };
	struct ingest_opts opts = { .sz = sizeof(opts), .hold_ns = 1 * NSEC_PER_MSEC };
	struct ingest *in = ingest__new(&ops, &opts);
	struct run r = { .sh = sh, .page = calloc(sh->pages, sizeof(*r.page)), .now = NSEC_PER_SEC };
	u32 i;

	records = 0;
	for (i = 0; i < sh->pages; i++)
		sim__init(&r.page[i], r.now + i, 1, i + 2, 1);
	r.now += 1000000;
	for (i = 0; i < 300; i++)
		go(&r, in);
	ingest__finish(in);
	ingest__free(in);
	free(r.page);
	return (double)r.spent / records;
}

int main(int argc, char **argv)
{
	u32 pages = argc > 1 ? strtoul(argv[1], NULL, 0) : 10000;
	const struct shape shapes[] = {
		{ "alone", 1, false },
		{ "two, apart", 2, false },
		{ "two, at once", 2, true },
		{ "many", pages, false },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		double ns = run(&shapes[i]);

		printf("%-14s %6u pages %10llu records %6.1f ns a record\n", shapes[i].name, shapes[i].pages,
		       (unsigned long long)records, ns);
	}
	return sum == 1;
}
