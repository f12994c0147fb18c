/* SPDX-License-Identifier: MIT */
/*
 * ops.c - the records of tape.h, one function each.
 *
 * Depth. Every BEGIN, END and ENTER tells at which depth of its page it stands, so a stack that
 * went wrong (longjmp, pthread_exit, an exception through C, a gap) is right again at the next of
 * them: what stands at that depth or deeper is over, "abandoned", and with it what other modules'
 * pages had entered above on the thread. Entries of foreign spans are left alone: their programs
 * may cross the two (a begin probe in one function, the end probe in another), and their ends have
 * a rule of their own (pairs.c), which in turn leaves these alone. Events do not clear: a depth
 * after an exit out of order has holes.
 *
 * An id that has never been seen is that of a span opened before the recording, or its opening was
 * lost: a placeholder. An id that has been closed lately is a mistake of the program, and its
 * record counts as LOSS_UNMATCHED.
 */
#include "model/model_priv.h"
#include <string.h>

/* What every operation needs. */
struct op {
	const struct rec *r;
	struct task *t;
	struct lane *lane;
	u64 ns;
};

static int span_outcome(const struct span *s)
{
	return s->cause;
}

/* Why a span could not be opened, nor remembered. */
static int refusal(const struct model *m, int cause)
{
	if (cause != STORED)
		return cause;
	return m->st.spans_open >= m->opts.max_spans ? LOSS_SPANS : LOSS_MEMORY;
}

/* Leave what tape.h entered above `until` (NULL: everything), because of a record of `lane`. */
static void abandon_above(struct model *m, struct task *t, const struct lane *lane, const struct entry *until, u64 ns)
{
	struct entry *e = t->top, *down;

	for (; e && e != until; e = down) {
		down = e->down;
		if (e->kind == ENTRY_FOREIGN)
			continue;
		if (e->lane && e->lane != lane) {
			e->lane->over_depth = e->lane->over_ns == ns ? MIN(e->lane->over_depth, e->depth) : e->depth;
			e->lane->over_ns = ns;
		}
		span__leave(m, e, ns, SINK_ABANDONED);
	}
}

/*
 * Some CPUs' counters go in steps of 10 ns and more, so the end of a call into another module and the end around it can bear the
 * same time, and nothing tells which of two pages' records came first. The outer end then closes both; the
 * inner one, which comes when it is done, is no mistake.
 */
static bool ended_by_a_tie(const struct op *op)
{
	return op->lane->over_ns == op->ns && op->r->depth >= op->lane->over_depth;
}

void ops__abandon(struct model *m, struct task *t, const struct lane *lane, u32 depth, u64 ns)
{
	struct entry *e = t->top, *last = NULL;
	u32 left = lane->entry_cnt;

	if (left && e->lane == lane && e->depth < depth) /* nearly always */
		return;
	for (; e && left; e = e->down) {
		if (e->lane != lane)
			continue;
		if (e->depth < depth)
			break;
		last = e;
		left--;
	}
	if (last)
		abandon_above(m, t, lane, last->down, ns);
}

static int check_callsite(const struct callsite *c, bool span)
{
	if (!c)
		return LOSS_CALLSITE;
	return c->is_span == span ? STORED : LOSS_BAD;
}

static u32 take_fields(struct model *m, const struct callsite *c, const struct rec *r)
{
	bool cut;
	u32 cnt = values__fields(m, c, r->payload, r->payload_bytes, &cut);

	if (cut)
		m->st.bad_value++;
	return cnt;
}

/* --- scoped spans --- */

static int op_begin(struct model *m, const struct op *op)
{
	const struct rec *r = op->r;
	struct callsite *c = callsites__find(m, r->module, r->site_addr);
	int cause = check_callsite(c, true);
	struct span_new n = {.callsite = c,
			     .proc = op->t->proc,
			     .opener = op->t,
			     .stack = op->t,
			     .explicit_parent = &r->other,
			     .time_ns = op->ns,
			     .parent_kind = r->parent,
			     .cause = (s8)cause,
			     .enter = true};
	struct entry *e;
	struct span *s;

	m->about = c;
	ops__abandon(m, op->t, op->lane, r->depth, op->ns);
	if (pool__reserve(&m->entries))
		return LOSS_MEMORY;
	if (cause == STORED)
		n.value_cnt = take_fields(m, c, r);
	s = span__open(m, &n);
	e = stack__push(m, op->t, s, ENTRY_SCOPED, op->lane, op->ns);
	e->depth = r->depth;
	e->number = r->number;
	if (!s) {
		e->cause = (s8)refusal(m, cause);
		return e->cause;
	}
	return span_outcome(s);
}

static int op_end(struct model *m, const struct op *op)
{
	struct entry *e = op->t->top;
	int out;

	if (!e || e->lane != op->lane || e->depth != op->r->depth)
		e = stack__at(op->t, op->lane, op->r->depth);
	if (!e && ended_by_a_tie(op))
		return STORED;
	if (!e || e->kind != ENTRY_SCOPED) {
		ops__abandon(m, op->t, op->lane, op->r->depth, op->ns);
		m->st.unmatched_close++;
		return LOSS_UNMATCHED;
	}
	if (e != op->t->top)
		abandon_above(m, op->t, op->lane, e, op->ns);
	m->about = e->span ? e->span->callsite : NULL;
	out = e->span ? span_outcome(e->span) : e->cause;
	span__leave(m, e, op->ns, SINK_OWN);
	return out;
}

/* --- events --- */

static u64 event_parent(struct model *m, const struct op *op)
{
	struct span *s = NULL;

	switch (op->r->parent) {
	case WIRE_PARENT_CURRENT:
		s = stack__current(op->t, ~0ULL);
		break;
	case WIRE_PARENT_EXPLICIT:
		if (!op->r->other.id)
			break;
		switch (span__find(m, op->t->proc, &op->r->other, &s)) {
		case REF_LIVE:
			break;
		case REF_GONE:
			m->st.lost_parent++;
			break;
		case REF_UNKNOWN:
			s = span__placeholder(m, op->t->proc, op->r, &op->r->other, op->ns);
		}
	}
	s = span__shown(s);
	return s ? s->uid : 0;
}

static int op_event(struct model *m, const struct op *op)
{
	const struct rec *r = op->r;
	struct callsite *c = callsites__find(m, r->module, r->site_addr);
	struct event ev = {.callsite = c,
			   .time_ns = op->ns,
			   .thread = &op->t->pub,
			   .parent_kind = r->parent,
			   .value = m->value};
	int cause = check_callsite(c, false);

	m->about = c;
	if (cause != STORED)
		return cause;
	ev.parent = event_parent(m, op);
	ev.value_cnt = take_fields(m, c, r);
	m->st.events++;
	fanout__event(m, &ev);
	return STORED;
}

/* --- spans opened by hand --- */

static int op_open(struct model *m, const struct op *op)
{
	const struct rec *r = op->r;
	struct callsite *c = callsites__find(m, r->module, r->site_addr);
	int cause = check_callsite(c, true);
	struct span_new n = {.callsite = c,
			     .proc = op->t->proc,
			     .opener = op->t,
			     .stack = op->t,
			     .explicit_parent = &r->other,
			     .time_ns = op->ns,
			     .raw = r->ref.id,
			     .ref_ns = r->ref.open_ns,
			     .parent_kind = r->parent,
			     .cause = (s8)cause};
	struct span *s;

	m->about = c;
	if (!r->ref.id)
		return LOSS_BAD;
	if (cause == STORED)
		n.value_cnt = take_fields(m, c, r);
	s = span__open(m, &n);
	return s ? span_outcome(s) : refusal(m, cause);
}

/* The span a record is about; made up if it has never been seen. NULL: *out says what the record
 * counts as. */
static struct span *about_ref(struct model *m, const struct op *op, const struct wire_ref *ref,
			      int *out)
{
	struct span *s = NULL;

	*out = LOSS_UNMATCHED;
	if (!ref->id)
		return NULL;
	if (span__find(m, op->t->proc, ref, &s) == REF_UNKNOWN) {
		s = span__placeholder(m, op->t->proc, op->r, ref, op->ns);
		*out = refusal(m, STORED);
	}
	if (s) {
		*out = span_outcome(s);
		m->about = s->callsite;
	}
	return s;
}

static int op_enter(struct model *m, const struct op *op)
{
	struct entry *e;
	struct span *s;
	int out;

	ops__abandon(m, op->t, op->lane, op->r->depth, op->ns);
	s = about_ref(m, op, &op->r->ref, &out);
	if (!s)
		return out;
	e = stack__push(m, op->t, s, ENTRY_MANUAL, op->lane, op->ns);
	if (!e)
		return LOSS_MEMORY;
	e->depth = op->r->depth;
	e->number = op->r->number;
	span__enter(m, e, op->ns);
	return out;
}

/* The topmost entry by hand on this thread; else the only one there is. */
static struct entry *entry_to_leave(const struct span *s, const struct task *t, bool *elsewhere)
{
	struct entry *e, *other = NULL;
	u32 others = 0;

	*elsewhere = false;
	for (e = s->entries; e; e = e->next) {
		if (e->kind != ENTRY_MANUAL)
			continue;
		if (e->task == t)
			return e;
		other = e;
		others++;
	}
	*elsewhere = true;
	return others == 1 ? other : NULL;
}

static int op_exit(struct model *m, const struct op *op)
{
	bool elsewhere = false;
	struct entry *e;
	struct span *s;
	int out;

	s = about_ref(m, op, &op->r->ref, &out);
	e = s ? entry_to_leave(s, op->t, &elsewhere) : NULL;
	if (!e || elsewhere)
		m->st.unmatched_exit++;
	if (!e)
		return s && s->cause != STORED ? s->cause : s ? LOSS_UNMATCHED : out;
	span__leave(m, e, task__time(e->task, op->ns), elsewhere ? SINK_ELSEWHERE : SINK_OWN);
	return out;
}

static int op_clone(struct model *m, const struct op *op)
{
	struct span *s;
	int out;

	s = about_ref(m, op, &op->r->ref, &out);
	if (!s) {
		m->st.unmatched_close++;
		return out;
	}
	s->handles++;
	s->refs++;
	return out;
}

static int op_drop(struct model *m, const struct op *op)
{
	struct span *s;
	int out;

	if (span__find(m, op->t->proc, &op->r->ref, &s) != REF_LIVE) {
		m->st.unmatched_close++;
		return LOSS_UNMATCHED;
	}
	m->about = s->callsite;
	out = span_outcome(s);
	if (!span__drop(m, s, op->ns, SINK_OWN)) {
		m->st.unmatched_close++;
		return LOSS_UNMATCHED;
	}
	return out;
}

/* --- later words about a span --- */

/* By ref, or the scoped span at `depth`. NULL: *out. */
static struct span *about_span(struct model *m, const struct op *op, int *out)
{
	struct entry *e;

	if (op->r->ref.id)
		return about_ref(m, op, &op->r->ref, out);
	e = stack__at(op->t, op->lane, op->r->depth);
	*out = e ? e->cause : LOSS_UNMATCHED;
	if (!e || !e->span)
		return NULL;
	*out = span_outcome(e->span);
	m->about = e->span->callsite;
	return e->span;
}

static int op_value(struct model *m, const struct op *op)
{
	const struct rec *r = op->r;
	struct value v;
	struct span *s;
	int out, got;

	s = about_span(m, op, &out);
	if (!s) {
		if (out == LOSS_UNMATCHED)
			m->st.bad_value++;
		return out;
	}
	if (out != STORED)
		return out;
	if (r->value_field >= s->callsite->field_cnt) {
		m->st.bad_value++;
		return LOSS_UNMATCHED;
	}
	got = values__one(&v, r->value_field, r->value_type, r->payload, r->payload_bytes);
	if (got < 0) {
		m->st.bad_value++;
		return LOSS_BAD;
	}
	if (got)
		fanout__value(m, s, &v, op->t, op->ns);
	return STORED;
}

/* What is followed may be closed: that is what following is for. */
static int op_follows(struct model *m, const struct op *op)
{
	const struct wire_ref *ref = &op->r->other;
	struct span *s, *followed = NULL;
	u64 uid = 0;
	int out;

	s = about_span(m, op, &out);
	if (!s || out != STORED)
		return out;
	switch (ref->id ? span__find(m, op->t->proc, ref, &followed) : REF_GONE) {
	case REF_GONE:
		uid = ref->id ? span__gone_uid(op->t->proc, ref) : 0;
		break;
	case REF_UNKNOWN:
		followed = span__placeholder(m, op->t->proc, op->r, ref, op->ns);
		if (!followed)
			return refusal(m, STORED);
		/* fall through */
	case REF_LIVE:
		if (followed->cause != STORED)
			return followed->cause;
		uid = followed->uid;
	}
	if (!uid)
		return LOSS_UNMATCHED;
	fanout__follows(m, s->uid, uid, op->t, op->ns);
	return STORED;
}

static int op_number(struct model *m, const struct op *op)
{
	struct entry *e = stack__at(op->t, op->lane, op->r->depth);

	if (!e || !op->r->numbered)
		return LOSS_UNMATCHED;
	if (!e->span)
		return e->cause;
	m->about = e->span->callsite;
	span__number(m, e->span, op->r->numbered, op->ns);
	return span_outcome(e->span);
}

static int op_thread_name(struct model *m, const struct op *op)
{
	struct value v;
	int got = values__one(&v, 0, WIRE_T_STR, op->r->payload, op->r->payload_bytes);

	if (got < 0)
		return LOSS_BAD;
	if (got) {
		op->t->named = true;
		tasks__name(m, op->t, v.text, v.text_bytes);
	}
	return STORED;
}

static int op_pause(struct model *m, const struct op *op)
{
	return STORED; /* a record in the page's numbers, if ingest passes it on */
}

int ops__rec(struct model *m, const struct rec *r)
{
	static int (*const op_of[])(struct model * m, const struct op *op) = {
		[WIRE_R_BEGIN] = op_begin,   [WIRE_R_END] = op_end,
		[WIRE_R_EVENT] = op_event,   [WIRE_R_OPEN] = op_open,
		[WIRE_R_ENTER] = op_enter,   [WIRE_R_EXIT] = op_exit,
		[WIRE_R_CLONE] = op_clone,   [WIRE_R_DROP] = op_drop,
		[WIRE_R_VALUE] = op_value,   [WIRE_R_FOLLOWS] = op_follows,
		[WIRE_R_NUMBER] = op_number, [WIRE_R_THREAD_NAME] = op_thread_name,
		[WIRE_R_PAUSE] = op_pause,
	};
	struct op op = {.r = r};

	op.t = tasks__of_page(m, r, &op.lane);
	if (!op.t)
		return LOSS_MEMORY;
	op.ns = task__time(op.t, r->time_ns);
	return op_of[r->kind](m, &op);
}
