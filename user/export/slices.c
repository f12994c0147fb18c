/* SPDX-License-Identifier: MIT */
/*
 * slices.c - see slices.h.
 *
 * The problem. `tracing` lets a program leave spans in any order, enter one span on several threads, several times
 * on one thread, or never. Viewers draw nested boxes.
 *
 * The design. Each thread has a stack of entries. The exit of an entry that is not on top ends the slices above
 * it, ends it, and begins those above again, all at the same time: no span gains or loses time. An exit takes the
 * topmost entry of its span, as the registry of `tracing` does, so entering a span twice on a thread is plain
 * nesting.
 *
 * Rejected: deciding at the opening whether a span is async (nobody knows then), and holding spans back until
 * their close (memory without bound; a span may stay open for days). So a span is a slice until it shows that it
 * is not, and back ends that can look back over a window (gotrace) mend what is still in it.
 *
 * A split costs one slice for each entry above. Whoever leaves a hundred thousand nested spans in the order of
 * entering would make 5 * 10^9 of them: beyond MAX_SPLIT entries the exit waits, as a mark, until those above are
 * gone, and is counted.
 */
#include "export/slices.h"

#include <errno.h>
#include <string.h>

#include "base/nearmap.h"
#include "model/pool.h"

#define MAX_SPLIT 256
#define NEAR_LANES 16

struct entry {
	struct slice_span *span;
	u8 gone; /* left already, see MAX_SPLIT */
	u8 why;	 /* then */
};

struct lane {
	struct slice_thread pub;
	struct lane *next; /* in order of their first mention */
	struct entry *entry;
	u32 cnt, cap;
	_Alignas(16) u8 user[];
};

struct slices {
	const struct slices_ops *ops;
	void *ctx;
	struct slices_opts opts;
	struct nearmap spans;
	struct idmap threads;
	struct lane *near[NEAR_LANES]; /* by the low bits of thread->uid, some of threads */
	struct pool pool;
	struct lane *first, **last;
	u64 max_ns;
	struct slices_stats st;
};

#define TELL(s, op, ...) ((s)->ops->op ? (s)->ops->op((s)->ctx, __VA_ARGS__) : 0)

static int first_error(int a, int b)
{
	return a < 0 ? a : b < 0 ? b : 0;
}

/* --- spans and threads ---------------------------------------------------------------------------------------- */

struct slice_span *slices__find(struct slices *s, u64 span)
{
	return nearmap__find(&s->spans, span);
}

void slices__put_last(struct slices *s, struct slice_span *span)
{
	struct slice_span *parent;

	/* a loop: chains of parents may be long */
	do {
		parent = span->parent;
		pool__put(&s->pool, span);
		span = parent;
	} while (span && !--span->refs);
}

static struct lane *new_lane(struct slices *s, struct thread *t)
{
	struct lane *l = calloc(1, sizeof(*l) + s->opts.thread_bytes);

	if (!l || idmap__put(&s->threads, t->uid, l)) {
		free(l);
		return NULL;
	}
	l->pub.thread = t;
	thread__hold(t); /* as long as we are */
	l->pub.user = l->user;
	*s->last = l;
	s->last = &l->next;
	return l;
}

static struct lane *far_lane(struct slices *s, struct thread *t)
{
	struct lane *l = idmap__find(&s->threads, t->uid);

	if (!l)
		l = new_lane(s, t);
	s->near[t->uid % NEAR_LANES] = l;
	return l;
}

/* NULL: no memory. */
static inline struct lane *lane_of(struct slices *s, struct thread *t)
{
	struct lane *l = s->near[t->uid % NEAR_LANES];

	return l && l->pub.thread == t ? l : far_lane(s, t);
}

/* The thread's time never goes back. */
static inline u64 lane_time(struct slices *s, struct lane *l, u64 ns)
{
	if (__builtin_expect(ns < l->pub.last_ns, 0)) {
		s->st.moved++;
		ns = l->pub.last_ns;
	}
	l->pub.last_ns = ns;
	s->max_ns = MAX(s->max_ns, ns);
	return ns;
}

/* --- the stack ------------------------------------------------------------------------------------------------ */

static int more_entries(struct lane *l)
{
	u32 cap = l->cap ? l->cap * 2 : 8;
	struct entry *grown = realloc(l->entry, cap * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	l->entry = grown;
	l->cap = cap;
	return 0;
}

static inline int push(struct slices *s, struct lane *l, struct slice_span *span)
{
	if (__builtin_expect(l->cnt == l->cap, 0) && more_entries(l))
		return -ENOMEM;
	l->entry[l->cnt++] = (struct entry){ .span = span };
	slices__hold(span);
	span->open_entries++;
	span->entries++;
	s->st.slices++;
	return 0;
}

/* End the top entry, and those below it that were left before. */
static int pop(struct slices *s, struct lane *l, u64 ns, enum sink_why why)
{
	int err = 0;

	do {
		struct entry e = l->entry[--l->cnt];

		err = first_error(err, TELL(s, end, &l->pub, e.span, ns, e.gone ? e.why : why, 0));
		if (!e.gone)
			e.span->open_entries--;
		slices__put(s, e.span);
	} while (l->cnt && l->entry[l->cnt - 1].gone);
	return err;
}

/* End entry i, splitting those above. */
static int split(struct slices *s, struct lane *l, u32 i, u64 ns, enum sink_why why)
{
	struct slice_span *span = l->entry[i].span;
	int err = 0;
	u32 k;

	for (k = l->cnt - 1; k > i; k--)
		err = first_error(err, TELL(s, end, &l->pub, l->entry[k].span, ns, SINK_OWN, SLICE_SPLIT));
	err = first_error(err, TELL(s, end, &l->pub, span, ns, why, 0));
	memmove(&l->entry[i], &l->entry[i + 1], (l->cnt - i - 1) * sizeof(l->entry[0]));
	l->cnt--;
	span->open_entries--;
	slices__put(s, span);
	for (k = i; k < l->cnt; k++)
		err = first_error(err, TELL(s, begin, &l->pub, l->entry[k].span, ns, SLICE_CONTINUED));
	s->st.slices += l->cnt - i;
	s->st.splits += l->cnt - i;
	return err;
}

static int leave(struct slices *s, struct lane *l, u32 i, u64 ns, enum sink_why why)
{
	if (i + 1 == l->cnt)
		return pop(s, l, ns, why);
	if (l->cnt - i - 1 <= MAX_SPLIT)
		return split(s, l, i, ns, why);
	l->entry[i].gone = 1;
	l->entry[i].why = (u8)why;
	l->entry[i].span->open_entries--;
	s->st.stretched++;
	return 0;
}

static int leave_all(struct slices *s, struct lane *l, u64 ns, enum sink_why why)
{
	int err = 0;

	while (l->cnt)
		err = first_error(err, pop(s, l, ns, why));
	free(l->entry);
	l->entry = NULL;
	l->cap = 0;
	return err;
}

/* --- the sink ------------------------------------------------------------------------------------------------- */

static int on_process(void *ctx, struct process *p)
{
	struct slices *s = ctx;

	return TELL(s, process, p);
}

static int on_process_end(void *ctx, struct process *p, u64 ns, u32 status, bool known)
{
	struct slices *s = ctx;

	s->max_ns = MAX(s->max_ns, ns);
	return TELL(s, process_end, p, ns, status, known);
}

static int on_thread(void *ctx, struct thread *t)
{
	struct slices *s = ctx;
	struct lane *l = lane_of(s, t);

	return l ? TELL(s, thread, &l->pub) : -ENOMEM;
}

static int on_thread_end(void *ctx, struct thread *t, u64 ns)
{
	struct slices *s = ctx;
	struct lane *l = lane_of(s, t);
	int err;

	if (!l)
		return -ENOMEM;
	ns = lane_time(s, l, ns);
	err = leave_all(s, l, ns, SINK_THREAD_END);
	return first_error(err, TELL(s, thread_end, &l->pub, ns));
}

/* NULL: no memory. */
static inline struct slice_span *new_span(struct slices *s, const struct span_open *o, struct lane *l)
{
	struct slice_span *span = pool__get(&s->pool), *parent = NULL;

	if (!span)
		return NULL;
	if (nearmap__add(&s->spans, o->span, span)) {
		pool__put(&s->pool, span);
		return NULL;
	}
	if (o->parent && o->parent != o->span)
		parent = slices__find(s, o->parent);
	if (parent)
		slices__hold(parent);
	*span = (struct slice_span){ .span = o->span, .parent = parent, .callsite = o->callsite, .open_ns = o->time_ns,
				     .opener = l ? &l->pub : NULL, .refs = 1, .flags = o->flags };
	memset(span->user, 0, s->opts.span_bytes);
	return span;
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct slices *s = ctx;
	struct lane *l = o->thread ? lane_of(s, o->thread) : NULL;
	struct slice_span *span;

	if (o->thread && !l)
		return -ENOMEM;
	if (slices__find(s, o->span)) {
		s->st.unmatched++;
		return 0;
	}
	span = new_span(s, o, l);
	return span ? TELL(s, open, span, o) : -ENOMEM;
}

static int make_async(struct slices *s, struct slice_span *span, u64 ns)
{
	span->async = true;
	s->st.async++;
	return TELL(s, async, span, ns);
}

static int on_enter(void *ctx, u64 id, struct thread *t, u64 ns)
{
	struct slices *s = ctx;
	struct slice_span *span = slices__find(s, id);
	struct lane *l = span && t ? lane_of(s, t) : NULL;
	int err = 0;

	if (!span || !t) {
		s->st.unmatched++;
		return 0;
	}
	if (!l)
		return -ENOMEM;
	ns = lane_time(s, l, ns);
	if (!span->async && (span->entries || (span->opener && span->opener != &l->pub)))
		err = make_async(s, span, ns);
	if (push(s, l, span))
		return -ENOMEM;
	return first_error(err, TELL(s, begin, &l->pub, span, ns, 0));
}

static int on_exit_span(void *ctx, u64 id, struct thread *t, u64 ns, enum sink_why why)
{
	struct slices *s = ctx;
	struct lane *l = t ? lane_of(s, t) : NULL;
	u32 i;

	if (t && !l)
		return -ENOMEM;
	for (i = l ? l->cnt : 0; i; i--) {
		if (l->entry[i - 1].span->span != id || l->entry[i - 1].gone)
			continue;
		return leave(s, l, i - 1, lane_time(s, l, ns), why);
	}
	s->st.unmatched++;
	return 0;
}

/* The span is closed though entered: the stream should not do that, and the slices must end all the same. */
static int leave_span(struct slices *s, struct slice_span *span, u64 ns, enum sink_why why)
{
	struct lane *l;
	int err = 0;
	u32 i;

	for (l = s->first; l && span->open_entries; l = l->next)
		for (i = l->cnt; i; i = MIN(i - 1, l->cnt))
			if (l->entry[i - 1].span == span && !l->entry[i - 1].gone)
				err = first_error(err, leave(s, l, i - 1, lane_time(s, l, ns), why));
	return err;
}

static int close_span(struct slices *s, struct slice_span *span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	int err = 0;

	s->max_ns = MAX(s->max_ns, ns);
	if (span->open_entries)
		err = leave_span(s, span, ns, why);
	if (!span->entries && !span->async)
		err = first_error(err, make_async(s, span, ns));
	span->closed = true;
	err = first_error(err, TELL(s, close, span, ns, dropped_ns, why));
	slices__put(s, span);
	return err;
}

static int on_close(void *ctx, u64 id, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct slices *s = ctx;
	struct slice_span *span = slices__find(s, id);

	if (!span) {
		s->st.unmatched++;
		return 0;
	}
	nearmap__remove(&s->spans, id);
	return close_span(s, span, ns, dropped_ns, why);
}

/* --- most spans: opened and entered in one call, left and closed in one ----------------------------------------- */

static int on_span_begin(void *ctx, const struct span_open *o)
{
	struct slices *s = ctx;
	struct lane *l = o->thread ? lane_of(s, o->thread) : NULL;
	struct slice_span *span;
	int err;
	u64 ns;

	if (!l || !s->ops->open_begin || slices__find(s, o->span)) {
		err = on_open(s, o);
		return first_error(err, on_enter(s, o->span, o->thread, o->time_ns));
	}
	span = new_span(s, o, l);
	if (!span)
		return -ENOMEM;
	if (push(s, l, span)) {
		nearmap__remove(&s->spans, o->span);
		slices__put(s, span);
		return -ENOMEM;
	}
	ns = lane_time(s, l, o->time_ns);
	return s->ops->open_begin(s->ctx, &l->pub, span, o, ns);
}

/* The thread's innermost slice, and all that there ever was of its span. */
static inline bool is_plain_top(const struct lane *l, u64 id)
{
	const struct slice_span *span;

	if (!l->cnt || l->entry[l->cnt - 1].gone || (l->cnt > 1 && l->entry[l->cnt - 2].gone))
		return false;
	span = l->entry[l->cnt - 1].span;
	return span->span == id && span->entries == 1 && !span->async;
}

static int on_span_end(void *ctx, u64 id, struct thread *t, u64 ns)
{
	struct slices *s = ctx;
	struct lane *l = t ? lane_of(s, t) : NULL;
	struct slice_span *span;
	int err;

	if (!l || !s->ops->end_close || !is_plain_top(l, id)) {
		err = on_exit_span(s, id, t, ns, SINK_OWN);
		return first_error(err, on_close(s, id, ns, ns, SINK_OWN));
	}
	span = l->entry[--l->cnt].span;
	span->open_entries = 0;
	span->refs--; /* the entry's; that of the open span is left */
	span->closed = true;
	nearmap__remove(&s->spans, id);
	err = s->ops->end_close(s->ctx, &l->pub, span, lane_time(s, l, ns));
	slices__put(s, span);
	return err;
}

/* What a call about a span may name: the span must be open (else the call is counted, and no error), the thread can be unknown. */
static int find_both(struct slices *s, u64 id, struct thread *t, u64 *ns, struct slice_span **span, struct slice_thread **on)
{
	struct lane *l;

	*span = slices__find(s, id);
	*on = NULL;
	if (!*span)
		s->st.unmatched++;
	if (!*span || !t)
		return 0;
	l = lane_of(s, t);
	if (!l)
		return -ENOMEM;
	*ns = lane_time(s, l, *ns);
	*on = &l->pub;
	return 0;
}

static int on_value(void *ctx, u64 id, const struct callsite *c, const struct value *v, struct thread *t, u64 ns)
{
	struct slices *s = ctx;
	struct slice_span *span;
	struct slice_thread *on;
	int err = find_both(s, id, t, &ns, &span, &on);

	return err || !span ? err : TELL(s, value, span, c, v, on, ns);
}

static int on_follows(void *ctx, u64 id, u64 follows, struct thread *t, u64 ns)
{
	struct slices *s = ctx;
	struct slice_span *span;
	struct slice_thread *on;
	int err = find_both(s, id, t, &ns, &span, &on);

	return err || !span ? err : TELL(s, follows, span, follows, on, ns);
}

static int on_event(void *ctx, const struct event *e)
{
	struct slices *s = ctx;
	struct lane *l = e->thread ? lane_of(s, e->thread) : NULL;
	u64 ns = e->time_ns;

	if (e->thread && !l)
		return -ENOMEM;
	if (l)
		ns = lane_time(s, l, ns);
	s->max_ns = MAX(s->max_ns, ns);
	return TELL(s, event, e, l ? &l->pub : NULL, ns);
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct slices *s = ctx;

	return TELL(s, loss, l);
}

static int on_trigger(void *ctx, const struct sink_trigger *t)
{
	struct slices *s = ctx;

	return TELL(s, trigger, t);
}

struct sink slices__sink(struct slices *s)
{
	static const struct sink_ops ops = {
		.process = on_process,	     .process_end = on_process_end, .thread = on_thread,
		.thread_end = on_thread_end, .span_open = on_open,	    .span_enter = on_enter,
		.span_exit = on_exit_span,   .span_close = on_close,	    .span_value = on_value,
		.span_follows = on_follows,  .event = on_event,		    .loss = on_loss,
		.trigger = on_trigger,	     .span_begin = on_span_begin,   .span_end = on_span_end,
	};

	return (struct sink){ &ops, s };
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const struct slice_span *x = *(struct slice_span *const *)a, *y = *(struct slice_span *const *)b;

	return x->span < y->span ? -1 : x->span > y->span;
}

/* Children before their parents, as closes go; numbers are given in the order of opening. */
static int close_all(struct slices *s)
{
	u32 cnt = nearmap__cnt(&s->spans), n = 0;
	struct slice_span **all = malloc((cnt + 1) * sizeof(*all)), *span;
	int err = 0;
	u64 i = 0;

	if (!all)
		return -ENOMEM;
	while (n < cnt && (span = nearmap__next(&s->spans, &i)))
		all[n++] = span;
	qsort(all, n, sizeof(*all), by_number);
	while (n) {
		span = all[--n];
		nearmap__remove(&s->spans, span->span);
		err = first_error(err, close_span(s, span, s->max_ns, s->max_ns, SINK_CUT));
	}
	free(all);
	return err;
}

int slices__finish(struct slices *s)
{
	struct lane *l;
	int err = 0;

	for (l = s->first; l; l = l->next)
		if (l->cnt)
			err = first_error(err, leave_all(s, l, lane_time(s, l, s->max_ns), SINK_CUT));
	return first_error(err, close_all(s));
}

struct slices *slices__new(const struct slices_ops *ops, void *ctx, const struct slices_opts *o)
{
	struct slices *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ops = ops;
	s->ctx = ctx;
	s->opts = *o;
	s->last = &s->first;
	pool__init(&s->pool, sizeof(struct slice_span) + o->span_bytes);
	return s;
}

void slices__free(struct slices *s)
{
	struct lane *l, *next;

	if (!s)
		return;
	for (l = s->first; l; l = next) {
		next = l->next;
		free(l->entry);
		free(l);
	}
	nearmap__done(&s->spans);
	idmap__done(&s->threads);
	pool__done(&s->pool);
	free(s);
}

void slices__stats(const struct slices *s, struct slices_stats *st)
{
	*st = s->st;
}
