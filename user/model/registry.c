/* SPDX-License-Identifier: MIT */
/*
 * registry.c - spans from open to close, with the counts of Rust's `tracing` (semantics.md 2).
 *
 * A span has one reference for each handle in the program, each entry on a thread and each open
 * child, and closes when the last goes; its reference to its parent goes with it, so chains close
 * leaf to root. Column "k23" of semantics.md 2.3: entries count. We count each entry, where k23
 * counts the first a thread; the difference cannot be seen, as the first is the last to leave.
 *
 * A scoped span (BEGIN .. END), like a foreign one (begin .. end probe), holds one handle from
 * begin to end. It is found through its thread's stack only; no table is touched. Spans opened by
 * hand, and scoped ones that were given a number, are also in their process's table of raw ids.
 *
 * The program is not believed. Whatever comes, these hold:
 *   - every span is opened once and closed once, a child's close before its parent's;
 *   - a span is alive exactly as long as refs > 0: a handle, an entry or a child. So a process is
 *     cleared by taking its threads' entries and its handles away; no list of all spans is needed;
 *   - close time >= opening time, >= the close times of its children;
 *   - spans alive <= max_spans. What comes then is refused: it reaches no sink, its records count
 *     as LOSS_SPANS, but it is remembered (as many again at most) so that later records of it are
 *     not taken for something else, and its children hang under its nearest recorded ancestor.
 */
#include "model/model_priv.h"
#include <string.h>

/* --- references --- */

/* Its id goes among those that the process closed last. */
static void forget_number(struct span *s)
{
	struct proc *p = s->proc;
	u64 *slot = &p->gone[p->gone_at++ % ARRAY_SIZE(p->gone)];

	if (*slot && span__is_gone(idmap__find(&p->spans, *slot)))
		idmap__remove(&p->spans, *slot);
	*slot = s->raw;
	/* replaces, so it cannot fail */
	idmap__put(&p->spans, s->raw, (void *)(uintptr_t)(s->uid << 1 | 1));
	s->raw = 0;
}

static void close_one(struct model *m, struct span *s, u64 ns, enum sink_why why)
{
	if (s->raw)
		forget_number(s);
	if (s->cause != STORED) {
		m->refused_cnt--;
		return;
	}
	m->st.spans_closed++;
	m->st.spans_open--;
	if (why == SINK_PROCESS_END || why == SINK_THREAD_END)
		m->st.unfinished++;
	fanout__close(m, s->uid, ns, s->dropped_ns ?: ns, why);
}

/* Give back one reference; why: of the operation that does, kept if it makes the span close. */
static void put(struct model *m, struct span *s, u64 ns, enum sink_why why)
{
	while (s && !--s->refs) {
		struct span *parent = s->parent;

		ns = MAX(ns, s->floor_ns);
		close_one(m, s, ns, s->why ?: why);
		pool__put(&m->spans, s);
		if (parent)
			parent->floor_ns = MAX(parent->floor_ns, ns);
		s = parent;
		why = SINK_OWN;
	}
}

static u64 children(const struct span *s)
{
	return s->refs - s->handles - s->entry_cnt;
}

static void dropped(struct model *m, struct span *s, u64 ns, enum sink_why why)
{
	s->dropped_ns = MAX(ns, s->open_ns);
	if (!s->why)
		s->why = why;
	if (why == SINK_OWN && s->cause == STORED && children(s))
		m->st.late_child++;
}

bool span__drop(struct model *m, struct span *s, u64 ns, enum sink_why why)
{
	if (!s->handles)
		return false;
	if (s->handles == 1)
		dropped(m, s, ns, why);
	s->handles--;
	put(m, s, ns, why);
	return true;
}

/* --- opening --- */

static void resolve_parent(struct model *m, const struct span_new *n, struct span **parent,
			   u64 *lost)
{
	*parent = NULL;
	*lost = 0;
	if (n->parent_kind == WIRE_PARENT_CURRENT && n->stack) {
		*parent = span__shown(stack__current(n->stack, n->time_ns));
	} else if (n->parent_kind == WIRE_PARENT_EXPLICIT && n->explicit_parent &&
		   n->explicit_parent->id) {
		if (span__find(m, n->proc, n->explicit_parent, parent) == REF_LIVE) {
			*parent = span__shown(*parent);
		} else {
			*parent = NULL;
			*lost = n->explicit_parent->id;
		}
	}
}

static s8 admit(struct model *m, const struct span_new *n)
{
	if (n->cause != STORED)
		return n->cause;
	return m->st.spans_open >= m->opts.max_spans ? LOSS_SPANS : STORED;
}

static void tell_open(struct model *m, struct span *s, const struct span_new *n, u64 lost_parent)
{
	struct span_open o = {
		.callsite = n->callsite,
		.time_ns = n->time_ns,
		.thread = n->opener ? &n->opener->pub : NULL,
		.parent_kind = n->parent_kind,
		.flags = n->flags,
		.parent = s->parent ? s->parent->uid : 0,
		.lost_parent = lost_parent,
		.value_cnt = n->value_cnt,
		.value = m->value,
	};

	o.span = s->uid = ++m->next_span;
	m->st.spans_opened++;
	if (++m->st.spans_open > m->st.spans_peak)
		m->st.spans_peak = m->st.spans_open;
	if (lost_parent)
		m->st.lost_parent++;
	if (!n->enter) {
		fanout__open(m, &o);
		return;
	}
	m->st.entries++;
	fanout__begin(m, &o);
}

/* The program says that this id is a new span's: what had it before has ended without our knowing.
 */
static void evict(struct model *m, struct proc *p, u64 raw, u64 ns)
{
	struct span *old = idmap__find(&p->spans, raw);

	if (!old || span__is_gone(old))
		return;
	m->st.lost_close++;
	/* What a preamble brings to light began long ago; the old one's threads have gone on since. */
	span__force_close(m, old, MAX(ns, m->last_ns), SINK_REOPENED);
}

/* Member by member: gcc clears a struct of this size with `rep stos`, which costs as much as all
 * the rest. */
static void init_span(struct span *s, const struct span_new *n, s8 cause)
{
	s->uid = 0;
	s->raw = 0;
	s->ref_ns = n->ref_ns;
	s->callsite = n->callsite;
	s->proc = n->proc;
	s->entries = NULL;
	s->refs = s->handles = 1;
	s->entry_cnt = 0;
	s->why = SINK_OWN;
	s->cause = cause;
	s->open_ns = s->floor_ns = n->time_ns;
	s->dropped_ns = 0;
}

struct span *span__open(struct model *m, const struct span_new *n)
{
	u64 lost_parent;
	struct span *s;
	s8 cause;

	if (n->raw)
		evict(m, n->proc, n->raw, n->time_ns);
	cause = admit(m, n);
	if (cause != STORED && m->refused_cnt >= m->opts.max_spans)
		return NULL;
	s = pool__get(&m->spans);
	if (!s)
		return NULL;
	init_span(s, n, cause);
	resolve_parent(m, n, &s->parent, &lost_parent);
	if (s->parent)
		s->parent->refs++;
	if (cause == STORED)
		tell_open(m, s, n, lost_parent);
	else
		m->refused_cnt++;
	if (n->raw && !idmap__put(&n->proc->spans, n->raw, s))
		s->raw = n->raw;
	return s;
}

/* --- raw ids --- */

void span__number(struct model *m, struct span *s, u64 raw, u64 ns)
{
	if (s->raw == raw)
		return;
	evict(m, s->proc, raw, ns);
	if (s->raw)
		forget_number(s);
	if (!idmap__put(&s->proc->spans, raw, s))
		s->raw = raw;
}

/* A ref tells the opening time beside the id: one of an earlier opening of the same id is not taken
 * for this one. */
enum ref_state span__find(struct model *m, struct proc *p, const struct wire_ref *ref,
			  struct span **out)
{
	struct span *s = idmap__find(&p->spans, ref->id);

	*out = NULL;
	if (!s)
		return REF_UNKNOWN;
	if (span__is_gone(s))
		return REF_GONE;
	if (s->ref_ns && ref->open_ns && s->ref_ns != ref->open_ns)
		return ref->open_ns < s->ref_ns ? REF_GONE : REF_UNKNOWN;
	*out = s;
	return REF_LIVE;
}

u64 span__gone_uid(const struct proc *p, const struct wire_ref *ref)
{
	void *gone = idmap__find(&p->spans, ref->id);

	return span__is_gone(gone) ? (uintptr_t)gone >> 1 : 0;
}

/* A span that the program names and of which we know nothing but its ref. */
struct span *span__placeholder(struct model *m, struct proc *p, const struct rec *r,
			       const struct wire_ref *ref, u64 ns)
{
	struct callsite *c = callsites__of_ref(m, p, r, ref);
	struct span_new n = {
		.proc = p,
		.time_ns = ref->open_ns && ref->open_ns < ns ? ref->open_ns : ns,
		.raw = ref->id,
		.ref_ns = ref->open_ns,
		.parent_kind = WIRE_PARENT_ROOT,
		.cause = STORED,
	};

	if (c && !c->is_span)
		c = NULL;
	n.callsite = c ?: callsites__unknown(m);
	if (!c)
		n.flags |= SPAN_PLACEHOLDER;
	else if (c->field_cnt)
		n.flags |= SPAN_FIELDS_LOST;
	if (n.time_ns < p->first_ns || !ref->open_ns)
		n.flags |= SPAN_BEFORE;
	if (!n.callsite)
		return NULL;
	m->st.before_attach++;
	return span__open(m, &n);
}

/* --- entries --- */

void span__enter(struct model *m, struct entry *e, u64 ns)
{
	if (e->span->cause != STORED)
		return;
	m->st.entries++;
	fanout__enter(m, e->span->uid, e->task, ns);
}

/* What the other way through span__leave would do, in one call to the sinks. */
static void end_whole(struct model *m, struct entry *e, u64 ns)
{
	struct span *s = e->span, *parent = s->parent;

	fanout__end(m, s->uid, e->task, ns);
	m->st.spans_closed++;
	m->st.spans_open--;
	stack__remove(m, e);
	pool__put(&m->spans, s);
	if (!parent)
		return;
	parent->floor_ns = MAX(parent->floor_ns, ns);
	put(m, parent, ns, SINK_OWN);
}

void span__leave(struct model *m, struct entry *e, u64 ns, enum sink_why why)
{
	bool ends = e->kind != ENTRY_MANUAL;
	struct span *s = e->span;

	if (e->kind == ENTRY_FOREIGN)
		pairs__ended(m, e, why);
	if (ends && why == SINK_OWN && s && span__is_whole_end(s, ns)) {
		end_whole(m, e, ns);
		return;
	}
	if (s && s->cause == STORED) {
		fanout__exit(m, s->uid, e->task, ns, why);
		if (!ends && why != SINK_OWN && why != SINK_ELSEWHERE && s->dropped_ns)
			m->st.lost_exit++;
	}
	stack__remove(m, e);
	if (!s)
		return;
	if (ends && s->handles) { /* the scope's own handle goes with it */
		s->refs--;
		span__drop(m, s, ns, why);
	} else {
		put(m, s, ns, why == SINK_ELSEWHERE ? SINK_OWN : why);
	}
}

/* All its entries and handles go; it closes now unless children are open. */
void span__force_close(struct model *m, struct span *s, u64 ns, enum sink_why why)
{
	s->refs++; /* ours, so that it stays while we take the rest away */
	if (!s->why)
		s->why = why;
	if (s->raw)
		forget_number(s);
	while (s->entries)
		span__leave(m, s->entries, ns, why);
	s->refs -= s->handles;
	s->handles = 0;
	put(m, s, ns, why);
}

void span__end_task(struct model *m, struct task *t, u64 ns, enum sink_why why, bool end)
{
	while (t->top) {
		struct span *s = t->top->span;

		/* With its last entry gone, what only handles keep is closed at once: the next exit
		 * below comes after. */
		if (end && s && s->entry_cnt == 1) {
			if (!s->why)
				s->why = why;
			s->refs -= s->handles;
			s->handles = 0;
		}
		span__leave(m, t->top, ns, why);
	}
}

static int newest_first(const void *a, const void *b)
{
	const struct span *x = *(struct span *const *)a, *y = *(struct span *const *)b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? 1 : -1;
	return x->open_ns < y->open_ns ? 1 : -1; /* refused ones, which have no uid */
}

/* The next span that still has handles, by its place in the table, which moves as spans are closed.
 */
static struct span *any_handle(const struct proc *p)
{
	struct span *s;
	u64 at = 0;

	while ((s = idmap__next(&p->spans, &at)))
		if (!span__is_gone(s) && s->handles)
			return s;
	return NULL;
}

/* What only handles keep. Newest first for the reader's sake; children come before parents anyway.
 */
static void end_handles(struct model *m, struct proc *p, u64 ns, enum sink_why why)
{
	struct span **all = malloc(MAX((size_t)p->spans.cnt, (size_t)1) * sizeof(*all)), *s;
	size_t cnt = 0, i;
	u64 at = 0;

	while (all && (s = idmap__next(&p->spans, &at))) {
		if (span__is_gone(s) || !s->handles)
			continue;
		s->refs++; /* a hold each: closing one may close others of the list */
		all[cnt++] = s;
	}
	if (all)
		qsort(all, cnt, sizeof(*all), newest_first);
	for (i = 0; i < cnt; i++) {
		all[i]->refs--;
		span__force_close(m, all[i], ns, why);
	}
	free(all);
	while ((s = any_handle(p))) /* no memory for the list: slow, but done */
		span__force_close(m, s, ns, why);
}

void span__end_proc(struct model *m, struct proc *p, u64 ns, enum sink_why why)
{
	struct task *t;

	for (t = p->tasks; t; t = t->next)
		span__end_task(m, t, task__time(t, ns), why, true);
	end_handles(m, p, ns, why);
	idmap__done(&p->spans);
	memset(p->gone, 0, sizeof(p->gone));
}
