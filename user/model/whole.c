/* SPDX-License-Identifier: MIT */
/*
 * whole.c - the usual begin and end of a scoped span, straight.
 *
 * Nearly all records of a flood begin or end a scoped span of a known callsite inside what its thread has entered on the
 * same page, and nothing else holds that span. What ops.c, registry.c and stack.c do for these is little, but spread over
 * ten functions and two structs of arguments. Here it is in one piece, a third of the instructions; whatever is not like
 * that is not touched, and goes the long way. Both ways have the same effect: each condition below is there because the
 * long way does something else without it.
 */
#include "model/model_priv.h"

#include <string.h>

/* --- begin ------------------------------------------------------------------------------------------------ */

/* The numbers of its fields, which are all that they differ in from begin to begin. */
static inline void set_numbers(struct value *v, u32 cnt, const u8 *p)
{
	for (u32 i = 0; i < cnt; i++)
		memcpy(&v[i].u, p + 8 * i, 8);
}

/* Does nothing on this page have to be abandoned, and is `e`, the top, a plain parent? */
static inline bool is_plain_top(const struct entry *e, const struct lane *l, u32 depth, u64 ns)
{
	if (l->entry_cnt && (e->lane != l || e->depth >= depth))
		return false;
	return !e || (!e->dup && e->span && e->span->cause == STORED && e->since_ns <= ns);
}

/* Member by member: gcc clears structs of this size with `rep stos`. */
static inline void fill(struct span *s, struct entry *e, struct callsite *c, struct task *t, struct lane *l, u64 ns)
{
	struct entry *top = t->top;

	s->raw = s->ref_ns = 0;
	s->parent = top ? top->span : NULL;
	s->callsite = c;
	s->proc = t->proc;
	s->entries = e;
	s->refs = 2; /* the scope's handle, and the entry */
	s->handles = 1;
	s->entry_cnt = 1;
	s->why = SINK_OWN;
	s->cause = STORED;
	s->open_ns = s->floor_ns = ns;
	s->dropped_ns = 0;
	e->span = s;
	e->task = t;
	e->lane = l;
	e->begin = NULL;
	e->since_ns = ns;
	e->kind = ENTRY_SCOPED;
	e->dup = e->marked = 0;
	e->cause = STORED;
	e->next = NULL;
	e->pprev = &s->entries;
	e->up = NULL;
	e->down = top;
	*(top ? &top->up : &t->bottom) = e;
	t->top = e;
	l->entry_cnt++;
}

/* What is told of a span that begins now under `parent` (NULL: none). Its number is the next one, but not taken yet. */
static inline void fill_open(const struct model *m, struct span_open *o, const struct near_site *near, struct task *t,
			     const struct span *parent, u64 ns, const u8 *fields)
{
	o->span = m->next_span + 1;
	o->callsite = near->c;
	o->time_ns = ns;
	o->thread = (struct thread *)&t->pub;
	o->parent_kind = WIRE_PARENT_CURRENT;
	o->flags = 0;
	o->parent = parent ? parent->uid : 0;
	o->lost_parent = 0;
	o->value_cnt = near->c->field_cnt;
	o->value = near->plain;
	set_numbers(near->plain, near->c->field_cnt, fields);
}

static inline void count_open(struct model *m)
{
	m->st.spans_opened++;
	m->st.entries++;
	if (m->st.spans_open + 1 > m->st.spans_peak)
		m->st.spans_peak = m->st.spans_open + 1;
}

/* The callsite of a begin that needs nothing but a place on the stack, and the numbers of its fields. NULL: the long way. */
static inline const struct near_site *plain_begin(struct model *m, const struct rec *r, const struct lane *l, u64 ns)
{
	const struct near_site *near = callsites__near(m, r->site_addr);

	return near->addr == r->site_addr && near->module == r->module && near->plain && r->parent == WIRE_PARENT_CURRENT &&
			       r->payload_bytes >= 8 * near->c->field_cnt && is_plain_top(l->task->top, l, r->depth, ns) &&
			       m->st.spans_open < m->opts.max_spans ?
		       near :
		       NULL;
}

static inline bool begin(struct model *m, const struct rec *r, struct lane *l)
{
	struct task *t = l->task;
	u64 ns = MAX(r->time_ns, t->last_ns);
	const struct near_site *near;
	struct span_open o;
	struct entry *e;
	struct span *s;

	if (!m->spans.free || !m->entries.free)
		return false;
	near = plain_begin(m, r, l, ns);
	if (!near)
		return false;
	s = pool__get(&m->spans);
	e = pool__get(&m->entries);
	t->last_ns = ns;
	m->about = near->c;
	fill(s, e, near->c, t, l, ns);
	e->depth = r->depth;
	e->number = r->number;
	if (s->parent)
		s->parent->refs++;
	fill_open(m, &o, near, t, s->parent, ns, r->payload);
	s->uid = ++m->next_span;
	count_open(m);
	m->st.spans_open++;
	fanout__begin(m, &o);
	return true;
}

/* --- end -------------------------------------------------------------------------------------------------- */

static inline void unlink_top(struct task *t, struct lane *l, const struct entry *e)
{
	t->top = e->down;
	*(e->down ? &e->down->up : &t->bottom) = NULL;
	l->entry_cnt--;
}

static inline bool end(struct model *m, const struct rec *r, struct lane *l)
{
	struct task *t = l->task;
	u64 ns = MAX(r->time_ns, t->last_ns);
	struct entry *e = t->top;
	struct span *s = e ? e->span : NULL, *parent;

	if (!s || e->lane != l || e->depth != r->depth || e->kind != ENTRY_SCOPED || !span__is_whole_end(s, ns))
		return false;
	parent = s->parent;
	if (parent && parent->refs == 1)
		return false; /* closes with it */
	t->last_ns = ns;
	m->about = s->callsite;
	fanout__end(m, s->uid, t, ns);
	m->st.spans_closed++;
	m->st.spans_open--;
	unlink_top(t, l, e);
	pool__put(&m->entries, e);
	pool__put(&m->spans, s);
	if (!parent)
		return true;
	parent->floor_ns = MAX(parent->floor_ns, ns);
	parent->refs--;
	return true;
}

/* --- both ------------------------------------------------------------------------------------------------- */

/* The span is never made: what begin and end would leave of it is its number, the counts, and the times of its parent and thread. */
static inline bool leaf(struct model *m, const struct rec *r, struct lane *l, u64 end_ns)
{
	struct task *t = l->task;
	u64 ns = MAX(r->time_ns, t->last_ns);
	const struct near_site *near = plain_begin(m, r, l, ns);
	struct span *parent = t->top ? t->top->span : NULL;
	struct span_open o;

	if (!near)
		return false;
	fill_open(m, &o, near, t, parent, ns, r->payload);
	end_ns = MAX(end_ns, ns);
	if (!m->whole_leaf(m->sink->ctx, &o, end_ns))
		return false;
	m->next_span++;
	count_open(m);
	m->st.spans_closed++;
	t->last_ns = end_ns;
	if (parent)
		parent->floor_ns = MAX(parent->floor_ns, end_ns);
	return true;
}

bool model__leaf(struct model *m, const struct rec *r, u64 end_ns)
{
	struct lane *l = r->page ? r->page->user : NULL;

	if (!m->whole_leaf || !l || !l->seen || !leaf(m, r, l, end_ns))
		return false;
	m->last_ns = MAX(m->last_ns, end_ns);
	m->st.stored += 2;
	return true;
}

bool whole__rec(struct model *m, const struct rec *r)
{
	struct lane *l = r->page ? r->page->user : NULL;

	if (!l || !l->seen)
		return false;
	task__catch_up(l->task);
	return r->kind == WIRE_R_END ? end(m, r, l) : r->kind == WIRE_R_BEGIN && begin(m, r, l);
}
