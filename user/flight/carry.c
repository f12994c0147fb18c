/* SPDX-License-Identifier: MIT */
#include "flight/carry.h"

#include <errno.h>
#include <string.h>

#define MAX_DEPTH 4096

void carry__init(struct carry *c, const struct carry_ops *ops, u64 max_bytes)
{
	memset(c, 0, sizeof(*c));
	c->ops = *ops;
	c->max_bytes = max_bytes;
}

static void pop(struct carry *c, struct carry_thread *t)
{
	struct carried *e = t->top;

	t->top = e->below;
	t->depth--;
	c->bytes -= e->bytes;
	c->cnt--;
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
}

void carry__fold(struct carry *c, const struct generation *g)
{
	const struct wire_head *h;
	const struct chunk *k;
	u32 off;

	if (!g->hits && !c->threads.cnt)
		return;
	for (k = g->first; k; k = k->next)
		for (off = 0; (h = chunk__rec(k, &off));)
			fold_one(c, h);
}

/* --- handing out ------------------------------------------------------------------------------------------------- */

int carry__copy(const struct carry *c, struct chunk *out)
{
	struct carry_thread *t;
	struct carried *e;
	u64 i, room = 0;
	u8 *at;

	*out = (struct chunk){ 0 };
	if (!c->cnt)
		return 0;
	for (i = 0; (t = idmap__next(&c->threads, &i));)
		for (e = t->top; e; e = e->below)
			room += ALIGN_UP(e->bytes + 1, 8);
	out->data = calloc(1, room);
	if (!out->data)
		return -ENOMEM;
	out->used = out->cap = room;
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
