/* SPDX-License-Identifier: MIT */
/*
 * naive_model.h - a second model for test_model_property.c, written from semantics.md and the rules
 * told in ops.c and pairs.c with arrays and loops only: no reference counts (a span closes when a
 * search finds nothing that keeps it), no lists, no pools. Slow, and short enough to be checked by
 * reading.
 */
#ifndef TAPEBPF_NAIVE_MODEL_H
#define TAPEBPF_NAIVE_MODEL_H

#include "model_fixture.h"

#define THREADS 3
#define LANES	2
#define MAX_OPS 160
#define MAX_IDS 24
#define PAIRS	2
#define NOBODY	(-1)
#define NO_LOSS (-1)

enum kind { SCOPED, MANUAL, FOREIGN };

struct nspan {
	u64 uid, id, ref_ns, dropped_ns;
	int parent, handles, cause;
	enum sink_why why;
	bool closed;
};

struct nentry {
	int span, lane, depth, pair, cause;
	enum kind kind;
};

struct nstack {
	struct nentry e[2 * MAX_OPS];
	int cnt;
};

struct naive {
	struct recording rec;
	struct nspan s[4 * MAX_OPS];
	int span_cnt;
	struct nstack t[THREADS];
	u64 thread_uid[THREADS], threads, uids;
	u64 max_spans, first_ns;
	struct model_stats st;
};

/* --- the second model: what is alive --- */

static inline bool recorded(const struct naive *n, int s)
{
	return s != NOBODY && n->s[s].cause == NO_LOSS;
}

static inline int entries_of(const struct naive *n, int s)
{
	int t, i, cnt = 0;

	for (t = 0; t < THREADS; t++)
		for (i = 0; i < n->t[t].cnt; i++)
			cnt += n->t[t].e[i].span == s;
	return cnt;
}

static inline bool has_children(const struct naive *n, int s)
{
	int i;

	for (i = 0; i < n->span_cnt; i++)
		if (!n->s[i].closed && n->s[i].parent == s)
			return true;
	return false;
}

static inline u64 alive(const struct naive *n, bool refused)
{
	u64 cnt = 0;
	int i;

	for (i = 0; i < n->span_cnt; i++)
		cnt += !n->s[i].closed && (n->s[i].cause != NO_LOSS) == refused;
	return cnt;
}

/* Close what nothing keeps, children before parents. why: for the first. */
static inline void settle(struct naive *n, u64 ns, enum sink_why why)
{
	int i;

again:
	for (i = 0; i < n->span_cnt; i++) {
		struct nspan *s = &n->s[i];

		if (s->closed || s->handles || entries_of(n, i) || has_children(n, i))
			continue;
		s->closed = true;
		if (s->cause == NO_LOSS) {
			enum sink_why w = s->why ? s->why : why;

			recording__close(&n->rec, s->uid, ns, s->dropped_ns ? s->dropped_ns : ns,
					 w);
			n->st.spans_closed++;
			n->st.unfinished += w == SINK_PROCESS_END || w == SINK_THREAD_END;
		}
		why = SINK_OWN;
		goto again;
	}
}

static inline void let_go(struct naive *n, int s, u64 ns, enum sink_why why)
{
	struct nspan *p = &n->s[s];

	if (--p->handles)
		return;
	p->dropped_ns = ns;
	if (!p->why)
		p->why = why;
	if (why == SINK_OWN && p->cause == NO_LOSS && has_children(n, s))
		n->st.late_child++;
}

static inline struct thread *thread_of(struct naive *n, int t)
{
	static struct thread th;

	th.uid = n->thread_uid[t];
	return &th;
}

static inline void leave(struct naive *n, int t, int i, u64 ns, enum sink_why why)
{
	struct nstack *k = &n->t[t];
	struct nentry e = k->e[i];

	if (e.kind == FOREIGN) {
		n->st.pair_ends += why == SINK_OWN;
		n->st.pair_abandoned += why == SINK_ABANDONED;
		n->st.pair_begin_without_end += why != SINK_OWN && why != SINK_ABANDONED;
	}
	if (recorded(n, e.span)) {
		recording__exit(&n->rec, n->s[e.span].uid, thread_of(n, t), ns, why);
		if (e.kind == MANUAL && why != SINK_OWN && why != SINK_ELSEWHERE &&
		    n->s[e.span].dropped_ns)
			n->st.lost_exit++;
	}
	memmove(&k->e[i], &k->e[i + 1], (size_t)(k->cnt - i - 1) * sizeof(e));
	k->cnt--;
	if (e.span != NOBODY && e.kind != MANUAL && n->s[e.span].handles)
		let_go(n, e.span, ns, why);
	settle(n, ns, why == SINK_ELSEWHERE ? SINK_OWN : why);
}

/* --- the second model: stacks --- */

static inline int find_at(const struct naive *n, int t, int lane, int depth)
{
	int i;

	for (i = n->t[t].cnt - 1; i >= 0; i--)
		if (n->t[t].e[i].kind != FOREIGN && n->t[t].e[i].lane == lane &&
		    n->t[t].e[i].depth == depth)
			return i;
	return -1;
}

static inline void abandon_down_to(struct naive *n, int t, int low, bool foreign, u64 ns)
{
	int i;

	for (i = n->t[t].cnt - 1; i >= low; i--)
		if ((n->t[t].e[i].kind == FOREIGN) == foreign)
			leave(n, t, i, ns, SINK_ABANDONED);
}

static inline void abandon(struct naive *n, int t, int lane, int depth, u64 ns)
{
	int i;

	for (i = 0; i < n->t[t].cnt; i++) {
		const struct nentry *e = &n->t[t].e[i];

		if (e->kind != FOREIGN && e->lane == lane && e->depth >= depth) {
			abandon_down_to(n, t, i, false, ns);
			return;
		}
	}
}

/* The span of the topmost entry that is its span's first on this thread; the recorded one in its
 * place. */
static inline int current(const struct naive *n, int t)
{
	int i, j;

	for (i = n->t[t].cnt - 1; i >= 0; i--) {
		int s = n->t[t].e[i].span;

		for (j = 0; j < i && n->t[t].e[j].span != s; j++)
			;
		if (s != NOBODY && j == i)
			return s;
	}
	return NOBODY;
}

static inline int shown(const struct naive *n, int s)
{
	return s == NOBODY || recorded(n, s) ? s : n->s[s].parent;
}

static inline u64 uid_of(const struct naive *n, int s)
{
	s = shown(n, s);
	return s == NOBODY ? 0 : n->s[s].uid;
}

static inline void push(struct naive *n, int t, int span, enum kind kind, int lane, int depth,
			int pair, u64 ns)
{
	n->t[t].e[n->t[t].cnt++] = (struct nentry){.span = span,
						   .lane = lane,
						   .depth = depth,
						   .pair = pair,
						   .cause = LOSS_SPANS,
						   .kind = kind};
	if (recorded(n, span)) {
		recording__enter(&n->rec, n->s[span].uid, thread_of(n, t), ns);
		n->st.entries++;
	}
}

/* --- the second model: ids and opening --- */

enum found { LIVE, GONE, UNKNOWN };

static enum found find_id(const struct naive *n, u64 id, int *s)
{
	enum found f = UNKNOWN;
	int i;

	*s = NOBODY;
	for (i = 0; i < n->span_cnt; i++) {
		if (n->s[i].id != id)
			continue;
		if (!n->s[i].closed) {
			*s = i;
			return LIVE;
		}
		f = GONE;
	}
	return f;
}

static inline struct callsite span_site(u32 site, bool foreign)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "p0", "p1"};

	return (struct callsite){.name = names[site],
				 .field_cnt = foreign ? 0 : 2,
				 .field = {{.name = "n"}, {.name = "late"}}};
}

/* by: thread, -1: nobody. kind CURRENT takes thread `by`'s stack. */
static inline int open_span(struct naive *n, u32 site, u64 ns, int by, u8 kind, u64 parent_id,
			    u64 id, u8 flags, bool value)
{
	struct nspan s = {.id = id, .parent = NOBODY, .handles = 1, .cause = NO_LOSS};
	struct callsite c = span_site(site, site >= FIX_SPANS);
	struct value v = {.type = WIRE_T_U64, .u = ns};
	struct span_open o = {.callsite = &c,
			      .time_ns = ns,
			      .parent_kind = kind,
			      .flags = flags,
			      .value_cnt = value,
			      .value = &v};
	u64 lost = 0;
	int p;

	if (alive(n, false) >= n->max_spans)
		s.cause = LOSS_SPANS;
	if (s.cause != NO_LOSS && alive(n, true) >= n->max_spans)
		return NOBODY;
	if (kind == WIRE_PARENT_CURRENT)
		s.parent = shown(n, current(n, by));
	if (kind == WIRE_PARENT_EXPLICIT && parent_id) {
		if (find_id(n, parent_id, &p) == LIVE)
			s.parent = shown(n, p);
		else
			lost = parent_id;
	}
	if (s.cause == NO_LOSS) {
		s.uid = ++n->uids;
		n->st.spans_opened++;
		n->st.lost_parent += lost != 0;
		o.span = s.uid;
		o.parent = s.parent == NOBODY ? 0 : n->s[s.parent].uid;
		o.lost_parent = lost;
		o.thread = by < 0 ? NULL : thread_of(n, by);
		recording__open(&n->rec, &o);
	}
	n->s[n->span_cnt] = s;
	return n->span_cnt++;
}

/* In the test an id is for ever of one callsite and of one opening time. */
static inline u32 site_of_id(u64 id)
{
	return (u32)(id % FIX_SPANS);
}

static inline int placeholder(struct naive *n, u64 id, u64 ns)
{
	n->st.before_attach++;
	return open_span(n, site_of_id(id), ns, -1, WIRE_PARENT_ROOT, 0, id,
			 SPAN_BEFORE | SPAN_FIELDS_LOST, false);
}

static inline void close_by_force(struct naive *n, int s, u64 ns, enum sink_why why)
{
	int t, i;

	if (!n->s[s].why)
		n->s[s].why = why;
	for (t = 0; t < THREADS; t++)
		for (i = n->t[t].cnt - 1; i >= 0; i--)
			if (n->t[t].e[i].span == s)
				leave(n, t, i, ns, why);
	n->s[s].handles = 0;
	settle(n, ns, why);
}

#endif
