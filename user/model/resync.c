/* SPDX-License-Identifier: MIT */
/*
 * resync.c - the stack of a page after a gap, or when it is first seen.
 *
 * REC_RESYNC, then one REC_PRE for each entry that is open on the page (depths ascending), then
 * REC_RESYNC_END. An entry is the same one if the number of its BEGIN or ENTER record is: it stays.
 * One that we do not know was made in the gap, or before the recording: opened now, with its true
 * opening time and what fields the preamble kept. One that the preamble does not name has ended in
 * the gap: closed, SINK_LOST. But
 *   - if the preamble was cut (RESYNC_END says so), nothing is known about what is deeper than its
 *     last entry: kept;
 *   - an entry made by an immediate record has no number; it stays if the callsite at its depth is
 *     the same.
 * Entries that stay wrongly are cleared by the depth rule (ops.c) at the next record there.
 */
#include "model/model_priv.h"

void resync__start(struct model *m, const struct rec *r)
{
	struct lane *lane;
	struct task *t = tasks__of_page(m, r, &lane);
	struct entry *e;

	if (!t)
		return;
	lane->resyncing = true;
	lane->resync_ns = r->time_ns;
	lane->pre_depth = 0;
	for (e = t->top; e; e = e->down)
		if (e->lane == lane)
			e->marked = 0;
}

/* Leave the unconfirmed entries of this page from `depth` to below `end`. */
static void lose(struct model *m, struct task *t, const struct lane *lane, u32 depth, u32 end,
		 u64 ns)
{
	struct entry *e, *down;

	for (e = t->top; e; e = down) {
		down = e->down;
		if (e->lane == lane && !e->marked && e->depth >= depth && e->depth < end)
			span__leave(m, e, ns, SINK_LOST);
	}
}

static bool same(struct model *m, const struct entry *e, const struct rec *r)
{
	if (!e || e->kind != (r->pre_kind == WIRE_R_BEGIN ? ENTRY_SCOPED : ENTRY_MANUAL))
		return false;
	if (e->number != ~0ULL)
		return e->number == r->number;
	return e->span && e->kind == ENTRY_SCOPED && e->span->callsite &&
	       e->span->callsite == callsites__find(m, r->module, r->site_addr);
}

static struct span *open_scoped(struct model *m, struct task *t, const struct rec *r, u64 open_ns)
{
	struct callsite *c = callsites__find(m, r->module, r->site_addr);
	struct span_new n = {.callsite = c,
			     .proc = t->proc,
			     .opener = t,
			     .stack = t,
			     .explicit_parent = &r->other,
			     .time_ns = open_ns,
			     .raw = r->numbered,
			     .parent_kind = r->parent,
			     .cause = STORED};
	bool cut = false;

	if (!c || !c->is_span)
		n.cause = c ? LOSS_BAD : LOSS_CALLSITE;
	else if (r->pre_flags & WIRE_PRE_NO_FIELDS)
		cut = c->field_cnt > 0;
	else
		n.value_cnt = values__fields(m, c, r->payload, r->payload_bytes, &cut);
	if (cut)
		n.flags |= SPAN_FIELDS_LOST;
	if (open_ns < t->proc->first_ns) {
		n.flags |= SPAN_BEFORE;
		m->st.before_attach++;
	}
	return span__open(m, &n);
}

static struct span *span_of_ref(struct model *m, struct task *t, const struct rec *r, u64 ns)
{
	struct span *s = NULL;

	if (r->ref.id && span__find(m, t->proc, &r->ref, &s) == REF_UNKNOWN)
		s = span__placeholder(m, t->proc, r, &r->ref, ns);
	return s;
}

/* Entered when it was, as far as that does not go back behind what has been said of the thread. */
static void reenter(struct model *m, struct task *t, struct entry *e, u64 open_ns)
{
	if (e->span)
		span__enter(m, e, task__time(t, MAX(open_ns, m->begin_ns)));
}

void resync__pre(struct model *m, const struct rec *r)
{
	bool scoped = r->pre_kind == WIRE_R_BEGIN;
	struct lane *lane;
	struct task *t = tasks__of_page(m, r, &lane);
	struct entry *e;
	struct span *s;
	u64 open_ns;

	if (!t || !lane->resyncing)
		return;
	open_ns = MIN(r->time_ns, lane->resync_ns);
	lane->pre_depth = r->depth + 1u;
	e = stack__at(t, lane, r->depth);
	if (same(m, e, r)) {
		e->marked = 1;
		e->number = r->number;
		if (scoped && r->numbered && e->span)
			span__number(m, e->span, r->numbered, lane->resync_ns);
		return;
	}
	lose(m, t, lane, r->depth, ~0u, task__time(t, MAX(open_ns, m->begin_ns)));
	s = scoped ? open_scoped(m, t, r, open_ns) : span_of_ref(m, t, r, open_ns);
	if (!s && !scoped)
		return;
	e = stack__push(m, t, s, scoped ? ENTRY_SCOPED : ENTRY_MANUAL, lane, open_ns);
	if (!e) {
		if (s && scoped)
			span__drop(m, s, open_ns, SINK_LOST);
		return;
	}
	e->depth = r->depth;
	e->number = r->number;
	e->marked = 1;
	e->cause = s ? STORED : LOSS_SPANS;
	reenter(m, t, e, open_ns);
}

void resync__end(struct model *m, const struct rec *r)
{
	struct lane *lane;
	struct task *t = tasks__of_page(m, r, &lane);
	struct entry *e;
	u32 end = ~0u;

	if (!t || !lane->resyncing)
		return;
	lane->resyncing = false;
	if (r->pre_flags & WIRE_PAGE_PRE_CUT)
		end = lane->pre_depth;
	for (e = t->top; e; e = e->down)
		if (e->lane == lane && e->number == ~0ULL)
			e->marked = 1;
	lose(m, t, lane, 0, end, task__time(t, lane->resync_ns));
}
