/* SPDX-License-Identifier: MIT */
/*
 * stack.c - what is entered on a thread (semantics.md 3).
 *
 * A linked list, since exits come out of order and a thread's entries have four sorts of owner
 * (each page, each foreign pair, spans entered by hand, spans that were refused). An entry is
 * flagged duplicate if its span had been entered on this thread before; the current span is that of
 * the topmost entry not so flagged.
 */
#include "model/model_priv.h"

static bool entered_on(const struct span *s, const struct task *t)
{
	const struct entry *e;

	for (e = s->entries; e; e = e->next)
		if (e->task == t)
			return true;
	return false;
}

static void link_span(struct entry *e, struct span *s)
{
	e->dup = s->entries && entered_on(s, e->task);
	e->next = s->entries;
	if (e->next)
		e->next->pprev = &e->next;
	e->pprev = &s->entries;
	s->entries = e;
	s->entry_cnt++;
	s->refs++;
}

/*
 * since_ns: when it was entered. That is now, and the entry becomes the top, but for what a resync
 * brings to light: that goes below what was entered after it.
 */
struct entry *stack__push(struct model *m, struct task *t, struct span *s, enum entry_kind kind,
			  struct lane *lane, u64 since_ns)
{
	struct entry *e = pool__get(&m->entries), *below = t->top;

	if (!e)
		return NULL;
	/* member by member, see init_span() */
	e->task = t;
	e->span = s;
	e->lane = lane;
	e->begin = NULL;
	e->kind = (u8)kind;
	e->since_ns = since_ns;
	e->number = ~0ULL;
	e->depth = 0;
	e->dup = e->marked = 0;
	e->cause = STORED;
	while (below && below->since_ns > since_ns)
		below = below->down;
	e->down = below;
	e->up = below ? below->up : t->bottom;
	*(below ? &below->up : &t->bottom) = e;
	*(e->up ? &e->up->down : &t->top) = e;
	if (lane)
		lane->entry_cnt++;
	else
		t->foreign_cnt++;
	if (s)
		link_span(e, s);
	return e;
}

/* Unlinks and frees; the span's references are the caller's business. */
void stack__remove(struct model *m, struct entry *e)
{
	struct task *t = e->task;

	*(e->up ? &e->up->down : &t->top) = e->down;
	*(e->down ? &e->down->up : &t->bottom) = e->up;
	if (e->lane)
		e->lane->entry_cnt--;
	else
		t->foreign_cnt--;
	if (e->span) {
		*e->pprev = e->next;
		if (e->next)
			e->next->pprev = e->pprev;
		e->span->entry_cnt--;
	}
	pool__put(&m->entries, e);
}

struct entry *stack__at(const struct task *t, const struct lane *lane, u32 depth)
{
	struct entry *e;

	if (!lane->entry_cnt)
		return NULL;
	for (e = t->top; e; e = e->down)
		if (e->lane == lane && e->depth <= depth)
			return e->depth == depth ? e : NULL;
	return NULL;
}

struct span *stack__current(const struct task *t, u64 at_ns)
{
	const struct entry *e = t->top;

	while (e && (e->dup || !e->span || e->since_ns > at_ns))
		e = e->down;
	return e ? e->span : NULL;
}
