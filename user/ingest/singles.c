/* SPDX-License-Identifier: MIT */
/*
 * singles.c - what a ring brings besides batches and immediate records: foreign hits, and lives of threads.
 *
 * Each CPU's ring is nearly in order, so each is one source of the merge, ordered by insertion from its end.
 *
 * The end of a thread (EXIT) and of its memory (EXEC) must not overtake its records. In time it is behind them all;
 * when memory is short and records are passed on before their time, it waits apart ("parked") until the rings are
 * drained past it.
 */
#include "ingest/stream.h"

#include <string.h>
#include <utlist.h>

#define MAX_STEPS_BACK 64

static const struct wire_head *held__head(const struct held *h)
{
	return (const void *)h->data;
}

static bool held__is_end(const struct held *h)
{
	u16 kind = held__head(h)->kind;

	return kind == WIRE_EXIT || kind == WIRE_EXEC;
}

static int cpu__refresh(struct ingest *in, struct cpu_source *c)
{
	if (!c->queue) {
		merge__remove(&in->merge, &c->src);
		return 0;
	}
	c->src.time_ns = c->queue->time_ns;
	c->src.rank = held__is_end(c->queue) ? PASS_LAST_RANK : c->cpu;
	return merge__place(&in->merge, &c->src);
}

static struct cpu_source *cpu__get(struct ingest *in, u32 cpu)
{
	struct cpu_source **more;

	if (cpu >= in->cpu_cnt) {
		more = realloc(in->cpu, (cpu + 1) * sizeof(*more));
		if (!more)
			return NULL;
		memset(more + in->cpu_cnt, 0, (cpu + 1 - in->cpu_cnt) * sizeof(*more));
		in->cpu = more;
		in->cpu_cnt = cpu + 1;
	}
	if (!in->cpu[cpu]) {
		in->cpu[cpu] = calloc(1, sizeof(**in->cpu));
		if (in->cpu[cpu])
			in->cpu[cpu]->cpu = cpu;
	}
	return in->cpu[cpu];
}

static int cpu__insert(struct ingest *in, struct cpu_source *c, struct held *h)
{
	struct held *after = c->queue ? c->queue->prev : NULL;
	int steps = 0;

	while (after && after->time_ns > h->time_ns && steps++ < MAX_STEPS_BACK)
		after = after == c->queue ? NULL : after->prev;
	if (after)
		DL_APPEND_ELEM(c->queue, after, h);
	else
		DL_PREPEND(c->queue, h);
	return c->queue == h ? cpu__refresh(in, c) : 0;
}

static bool single__valid(const struct wire_head *head, size_t bytes)
{
	const struct wire_hit *hit = (const void *)head;

	if (head->kind != WIRE_HIT)
		return bytes >= sizeof(struct wire_life);
	return bytes >= sizeof(*hit) && hit->arg_cnt <= WIRE_MAX_ARGS &&
	       sizeof(*hit) + 8ULL * hit->arg_cnt + hit->text_bytes <= bytes;
}

int singles__push(struct ingest *in, const void *rec, size_t bytes)
{
	const struct wire_head *head = rec;
	bool valid = single__valid(head, bytes);
	struct cpu_source *c = valid ? cpu__get(in, head->cpu) : NULL;
	struct held *h = c ? held__new(in, HELD_SINGLE, rec, bytes) : NULL;

	if (!h) {
		in->st.malformed += !valid;
		if (head->kind != WIRE_HIT)
			return 0;
		return pass__bad_single(in, head, valid ? LOSS_MEMORY : LOSS_BAD);
	}
	if (head->kind != WIRE_HIT)
		((struct wire_life *)h->data)->comm[15] = '\0';
	h->cpu = head->cpu;
	h->time_ns = head->time_ns;
	return cpu__insert(in, c, h);
}

/* The thread's end has been told: nothing of its memory means anything any more. */
static void life__after(struct ingest *in, const struct wire_life *l)
{
	if (l->head.kind == WIRE_FORK)
		return;
	pages__bury(in, l->head.pid, l->head.tid, l->head.time_ns);
	if (l->head.kind == WIRE_EXEC && l->other_tid && l->other_tid != l->head.tid)
		pages__bury(in, l->head.pid, l->other_tid, l->head.time_ns);
	if (l->head.kind == WIRE_EXEC || l->flags & WIRE_LIFE_PROCESS)
		procs__forget(in, l->head.pid);
}

static int cpu__one(struct ingest *in, const struct held *h)
{
	const struct wire_head *head = held__head(h);
	struct rec *r = &in->r;
	int err;

	memset(r, 0, sizeof(*r));
	r->time_ns = h->time_ns;
	r->number = ~0ULL;
	r->pid = head->pid;
	r->tid = head->tid;
	r->cpu = head->cpu;
	if (head->kind == WIRE_HIT) {
		r->kind = REC_HIT;
		r->module = head->cookie;
		r->hit = (const void *)head;
		in->st.hits++;
		return pass__rec(in);
	}
	r->life = (const void *)head;
	r->kind = head->kind == WIRE_FORK ? REC_FORK :
		  head->kind == WIRE_EXEC ? REC_EXEC :
					    REC_EXIT;
	err = in->ops.rec(in->ops.ctx, r);
	in->passed_ns = MAX(in->passed_ns, r->time_ns);
	life__after(in, r->life);
	return err;
}

int singles__pass(struct ingest *in, struct cpu_source *c, u64 until, u64 rank)
{
	struct held *h;
	int err = 0;

	do {
		h = c->queue;
		DL_DELETE(c->queue, h);
		if (held__is_end(h) && h->time_ns > in->drained_ns) {
			DL_APPEND(in->parked, h);
		} else {
			err = cpu__one(in, h);
			held__free(in, h);
		}
	} while (!err && !in->one_by_one && c->queue && !held__is_end(c->queue) &&
		 merge__before(c->queue->time_ns, c->cpu, until, rank));
	cpu__refresh(in, c);
	return err;
}

int singles__unpark(struct ingest *in, u64 drained_ns)
{
	struct held *h, *tmp;
	int err;

	DL_FOREACH_SAFE(in->parked, h, tmp) {
		if (h->time_ns > drained_ns)
			continue;
		DL_DELETE(in->parked, h);
		err = cpu__insert(in, in->cpu[h->cpu], h);
		if (err)
			return err;
	}
	return 0;
}
