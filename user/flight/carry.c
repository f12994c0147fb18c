/* SPDX-License-Identifier: MIT */
#include "flight/carry.h"

#include <errno.h>
#include <string.h>

#define MAX_DEPTH 4096
#define STRAGGLE 3 /* generations in whose first chunk a record of an earlier time is looked for: they may be very small */

void carry__init(struct carry *c, const struct carry_ops *ops, u64 max_bytes)
{
	memset(c, 0, sizeof(*c));
	c->ops = *ops;
	c->max_bytes = max_bytes;
	told__init(&c->told, max_bytes);
}

static void pop(struct carry *c, struct carry_thread *t)
{
	struct carried *e = t->top;

	t->top = e->below;
	t->depth--;
	c->bytes -= e->bytes;
	c->cnt--;
	c->changes++;
	free(e);
}

static void thread__forget(struct carry *c, struct carry_thread *t)
{
	while (t->top)
		pop(c, t);
	idmap__remove(&c->threads, t->tid);
	free(t);
}

void carry__done(struct carry *c)
{
	struct carry_thread *t;
	u64 i = 0;

	while ((t = idmap__next(&c->threads, &i))) {
		while (t->top)
			pop(c, t);
		free(t);
	}
	idmap__done(&c->threads);
	told__done(&c->told);
}

/* --- folding --------------------------------------------------------------------------------------------------- */

static struct carry_thread *thread__get(struct carry *c, u32 pid, u32 tid)
{
	struct carry_thread *t = idmap__find(&c->threads, tid);

	if (t && t->pid != pid) { /* the number was used again, and the end of the former owner was lost */
		thread__forget(c, t);
		t = NULL;
	}
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->pid = pid;
	t->tid = tid;
	if (!idmap__put(&c->threads, tid, t))
		return t;
	free(t);
	return NULL;
}

static void begin(struct carry *c, const struct wire_head *h, const void *pair)
{
	struct carry_thread *t = thread__get(c, h->pid, h->tid);
	struct carried *e = NULL;

	while (t && t->depth >= MAX_DEPTH) { /* as the model: all of them are over */
		while (t->top)
			pop(c, t);
		c->dropped += MAX_DEPTH;
	}
	if (t && c->bytes + h->bytes <= c->max_bytes)
		e = malloc(sizeof(*e) + h->bytes + 1);
	if (!e) {
		c->dropped++;
		if (t && !t->top)
			thread__forget(c, t);
		return;
	}
	e->pair = pair;
	e->bytes = h->bytes;
	memcpy(e->rec, h, h->bytes);
	e->rec[h->bytes] = 0;
	e->below = t->top;
	t->top = e;
	t->depth++;
	c->bytes += e->bytes;
	c->cnt++;
	c->changes++;
}

static void end(struct carry *c, const struct wire_head *h, const void *pair)
{
	struct carry_thread *t = idmap__find(&c->threads, h->tid);
	struct carried *e;

	if (!t || t->pid != h->pid)
		return;
	for (e = t->top; e && e->pair != pair; e = e->below)
		;
	if (!e)
		return;
	while (t->top != e)
		pop(c, t);
	pop(c, t);
	if (!t->top)
		thread__forget(c, t);
}

static void ended(struct carry *c, u32 pid, u32 tid)
{
	struct carry_thread *t = idmap__find(&c->threads, tid);

	if (t && t->pid == pid)
		thread__forget(c, t);
}

static void fold_one(struct carry *c, const struct wire_head *h)
{
	const void *pair = NULL;

	switch (h->kind) {
	case WIRE_HIT:
		switch (c->ops.role(c->ops.ctx, h->cookie, &pair)) {
		case 1:
			begin(c, h, pair);
			break;
		case 2:
			end(c, h, pair);
			break;
		}
		break;
	case WIRE_EXEC:
		ended(c, h->pid, ((const struct wire_life *)h)->other_tid);
		/* fall through */
	case WIRE_EXIT:
		ended(c, h->pid, h->tid);
		break;
	}
	told__take(&c->told, h);
}

/*
 * Records come by CPU: one ring's in the order of time, the next ring's behind or among them. A thread that moved between begin and
 * end would have its end first, and its begin would stay for ever. So a generation is folded in the order of time, by
 * merging what each CPU brought.
 */
struct run {
	const struct wire_head **rec;
	u32 cnt, cap, at;
};

struct runs {
	struct run *run; /* by CPU */
	u32 cnt;
};

static int runs__add(struct runs *r, const struct wire_head *h)
{
	struct run *run;

	if (h->cpu >= r->cnt) {
		run = realloc(r->run, (h->cpu + 1u) * sizeof(*run));
		if (!run)
			return -ENOMEM;
		memset(run + r->cnt, 0, (h->cpu + 1u - r->cnt) * sizeof(*run));
		r->run = run;
		r->cnt = h->cpu + 1u;
	}
	run = &r->run[h->cpu];
	if (run->cnt == run->cap) {
		u32 cap = run->cap ? 2 * run->cap : 256;
		const struct wire_head **rec = realloc(run->rec, cap * sizeof(*rec));

		if (!rec)
			return -ENOMEM;
		run->rec = rec;
		run->cap = cap;
	}
	run->rec[run->cnt++] = h;
	return 0;
}

static bool matters(struct carry *c, const struct wire_head *h)
{
	const void *pair;

	if (h->kind == WIRE_HIT)
		return c->ops.role && c->ops.role(c->ops.ctx, h->cookie, &pair);
	return h->kind == WIRE_EXEC || h->kind == WIRE_EXIT || rec__tells(h, h->bytes);
}

static void gather(struct carry *c, struct runs *r, const struct chunk *k, u64 after_ns, u64 until_ns)
{
	const struct wire_head *h;
	u32 off;

	for (off = 0; (h = chunk__rec(k, &off));)
		if (h->time_ns > after_ns && h->time_ns <= until_ns && matters(c, h) && runs__add(r, h))
			c->dropped++;
}

/* Fold what comes first until nothing is left. There are few CPUs with runs, and they alternate by a millisecond. */
static void fold_runs(struct carry *c, struct runs *r)
{
	for (;;) {
		struct run *first = NULL, *run;
		u64 rival = ~0ULL;

		for (run = r->run; run < r->run + r->cnt; run++) {
			u64 t = run->at < run->cnt ? run->rec[run->at]->time_ns : ~0ULL;

			if (run->at == run->cnt)
				continue;
			if (!first || t < first->rec[first->at]->time_ns) {
				rival = first ? first->rec[first->at]->time_ns : rival;
				first = run;
			} else {
				rival = MIN(rival, t);
			}
		}
		if (!first)
			return;
		do
			fold_one(c, first->rec[first->at++]);
		while (first->at < first->cnt && first->rec[first->at]->time_ns <= rival);
	}
}

void carry__fold(struct carry *c, const struct generation *g)
{
	u64 next_ns = g->newer ? g->newer->start_ns : ~0ULL;
	const struct generation *newer;
	struct runs r = { 0 };
	const struct chunk *k;
	u32 i;

	if (!g->hits && !g->told && !c->threads.cnt && !c->told.cnt && !c->told.threads.cnt)
		return;
	for (k = g->first; k; k = k->next)
		gather(c, &r, k, g->start_ns, ~0ULL);
	/* Stragglers of this time that came after its end. The next one is folded, and replayed, without them. */
	for (newer = g->newer, i = 0; newer && i < STRAGGLE; newer = newer->newer, i++)
		if (newer->first)
			gather(c, &r, newer->first, g->start_ns, next_ns);
	fold_runs(c, &r);
	for (i = 0; i < r.cnt; i++)
		free(r.run[i].rec);
	free(r.run);
}

/* --- handing out ------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct wire_head *x = *(const struct wire_head *const *)a, *y = *(const struct wire_head *const *)b;

	return x->time_ns != y->time_ns ? (x->time_ns < y->time_ns ? -1 : 1) : x < y ? -1 : x > y;
}

/* Ingest looks only so far for a record's place. */
static int in_time(u8 *data, u32 bytes)
{
	struct chunk all = { .data = data, .used = bytes }, copy = all;
	__free_ptr const struct wire_head **rec = NULL;
	__free_ptr u8 *from = NULL;
	u32 n = 0, off = 0, i;
	u8 *to = data;

	if (!bytes)
		return 0;
	while (chunk__rec(&all, &off))
		n++;
	rec = calloc(n, sizeof(*rec));
	copy.data = from = malloc(bytes);
	if (!rec || !from)
		return -ENOMEM;
	memcpy(from, data, bytes);
	for (off = i = 0; i < n; i++)
		rec[i] = chunk__rec(&copy, &off);
	qsort(rec, n, sizeof(*rec), by_time);
	for (i = 0; i < n; to += ALIGN_UP(rec[i]->bytes + 1, 8), i++)
		memcpy(to, rec[i], ALIGN_UP(rec[i]->bytes + 1, 8));
	return 0;
}

int carry__copy(const struct carry *c, struct chunk *out)
{
	struct carry_thread *t;
	struct carried *e;
	u64 i, room = 0, all;
	u8 *at;

	*out = (struct chunk){ 0 };
	for (i = 0; (t = idmap__next(&c->threads, &i));)
		for (e = t->top; e; e = e->below)
			room += ALIGN_UP(e->bytes + 1, 8);
	all = room + told__copy(&c->told, NULL);
	if (!all)
		return 0;
	out->data = calloc(1, all);
	if (!out->data)
		return -ENOMEM;
	out->cap = all;
	out->used = room + told__copy(&c->told, out->data + room);
	if (in_time(out->data + room, out->used - room)) {
		free(out->data);
		out->data = NULL;
		return -ENOMEM;
	}
	/* from the end, as the stacks are walked from the top */
	at = out->data + room;
	for (i = 0; (t = idmap__next(&c->threads, &i));) {
		for (e = t->top; e; e = e->below) {
			at -= ALIGN_UP(e->bytes + 1, 8);
			memcpy(at, e->rec, e->bytes);
		}
	}
	return 0;
}
