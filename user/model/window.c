/* SPDX-License-Identifier: MIT */
/*
 * window.c - the calls: each is kept first, then passed on.
 *
 * `to` must never hear of a span, thread or callsite that it does not know. A span that could not be kept is therefore not
 * passed on either, nor is what is said of it. A thread is told when a call names it that `to` has not heard of: one that
 * had ended before the beginning and of which a late record comes.
 *
 * A record can also come late for the beginning itself: with a time before it, of a thread whose entries have been told
 * at the time of the beginning. Times of one thread never go back, so it is raised to that.
 */
#include "model/window_priv.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_MAX_FOLLOWS 256

struct window *window__new(const struct window_opts *opts)
{
	struct window *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	if (opts)
		memcpy(&w->opts, opts, MIN(opts->sz ?: sizeof(*opts), sizeof(*opts)));
	if (!w->opts.max_follows)
		w->opts.max_follows = DEFAULT_MAX_FOLLOWS;
	w->at_ns = UINT64_MAX;
	keep__init(w);
	return w;
}

void window__free(struct window *w)
{
	if (!w)
		return;
	keep__done(w);
	free(w);
}

bool window__is_open(const struct window *w)
{
	return w->passing;
}

u64 window__last_ns(const struct window *w)
{
	return w->last_ns;
}

void window__stats(const struct window *w, struct window_stats *st)
{
	*st = w->st;
	st->threads = nearmap__cnt(&w->threads);
	st->processes = w->process_cnt;
}

/* --- each call -------------------------------------------------------------------------------------------- */

/* A call of this time comes: does a window begin or end before it? */
static inline int at_time(struct window *w, u64 ns)
{
	int err = __builtin_expect(ns >= w->at_ns, 0) ? window__turn_due(w) : 0;

	if (ns > w->last_ns)
		w->last_ns = ns;
	return err;
}

/* The time as `to` may hear it. */
static u64 thread_time(struct window *w, const struct kept_thread *t, u64 ns)
{
	if (__builtin_expect(ns >= w->begin_ns, 1) || !t || t->carried != w->turn)
		return ns;
	w->st.late++;
	return w->begin_ns;
}

/* The thread that a call names, known to `to`. *t is NULL for NULL. */
static inline int use_thread(struct window *w, struct thread *th, struct kept_thread **t)
{
	*t = NULL;
	if (!th)
		return 0;
	*t = keep__thread(w, th, true);
	if (!*t)
		return -ENOMEM;
	return w->passing && (*t)->told != w->turn ? tell__thread(w, *t) : 0;
}

static int on_callsite(void *ctx, struct callsite *c)
{
	return 0; /* told when used */
}

static int on_process(void *ctx, struct process *p)
{
	struct window *w = ctx;
	struct kept_process *k = keep__process(w, p);

	if (!k)
		return -ENOMEM;
	if (!w->passing)
		return 0;
	k->told = w->turn;
	return TO(w, process, p);
}

static int on_process_end(void *ctx, struct process *p, u64 ns, u32 status, bool known)
{
	struct window *w = ctx;
	int err = at_time(w, ns), e = 0;
	struct kept_process *k = keep__process(w, p);

	if (!k)
		return -ENOMEM;
	if (w->passing) {
		e = tell__process(w, k);
		e = e ? e : TO(w, process_end, p, ns, status, known);
	}
	keep__process_end(w, k);
	return err ? err : e;
}

static int on_thread(void *ctx, struct thread *t)
{
	struct window *w = ctx;
	struct kept_thread *k = keep__thread(w, t, false);

	if (!k)
		return -ENOMEM;
	if (!w->passing)
		return 0;
	if (k->told != w->turn) /* with its process */
		return tell__thread(w, k);
	return TO(w, thread, t);
}

static int on_thread_end(void *ctx, struct thread *t, u64 ns)
{
	struct window *w = ctx;
	struct kept_thread *k;
	int err = at_time(w, ns), e = use_thread(w, t, &k);

	if (k && w->passing && !e)
		e = TO(w, thread_end, t, thread_time(w, k, ns));
	if (k)
		keep__thread_end(w, k);
	return err ? err : e;
}

static int pass_open(struct window *w, const struct span_open *o, struct kept_thread *t)
{
	u64 ns = thread_time(w, t, o->time_ns);
	struct span_open raised;
	int err = tell__callsite(w, o->callsite);

	if (err)
		return err;
	if (__builtin_expect(ns == o->time_ns, 1))
		return TO(w, span_open, o);
	raised = *o;
	raised.time_ns = ns;
	return TO(w, span_open, &raised);
}

static int on_span_open(void *ctx, const struct span_open *o)
{
	struct window *w = ctx;
	struct kept_thread *t;
	int err = at_time(w, o->time_ns), e;

	if (keep__find(w, o->span))
		return -EEXIST;
	e = use_thread(w, o->thread, &t);
	if ((o->thread && !t) || !keep__open(w, o, t))
		return -ENOMEM;
	if (w->passing && !e)
		e = pass_open(w, o, t);
	return err ? err : e;
}

static int on_span_enter(void *ctx, u64 span, struct thread *th, u64 ns)
{
	struct window *w = ctx;
	int err = at_time(w, ns), e;
	struct kept_span *s = keep__find(w, span);
	struct kept_thread *t;

	if (!s && !w->last)
		return -ENOENT;
	e = use_thread(w, th, &t);
	if (!t)
		return e ? e : -EINVAL;
	if (s && keep__enter(t, s))
		return -ENOMEM;
	if (w->passing && !e)
		e = TO(w, span_enter, span, th, thread_time(w, t, ns));
	return err ? err : e;
}

static int on_span_exit(void *ctx, u64 span, struct thread *th, u64 ns, enum sink_why why)
{
	struct window *w = ctx;
	int err = at_time(w, ns), e;
	struct kept_span *s = keep__find(w, span);
	struct kept_thread *t;

	if (!s && !w->last)
		return -ENOENT;
	e = use_thread(w, th, &t);
	if (!t)
		return e ? e : -EINVAL;
	if (w->passing && !e)
		e = TO(w, span_exit, span, th, thread_time(w, t, ns), why);
	if (s)
		keep__exit(w, t, s);
	return err ? err : e;
}

static int on_span_close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct window *w = ctx;
	int err = at_time(w, ns), e = 0;
	struct kept_span *s = keep__find(w, span);

	if (!s && !w->last)
		return -ENOENT;
	if (w->passing) {
		if (s && ns < w->begin_ns && s->carried == w->turn) {
			ns = w->begin_ns;
			w->st.late++;
		}
		e = TO(w, span_close, span, ns, dropped_ns, why);
	}
	if (s)
		keep__close(w, s);
	return err ? err : e;
}

static int on_span_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *th,
			 u64 ns)
{
	struct window *w = ctx;
	int err = at_time(w, ns), e;
	struct kept_span *s = keep__find(w, span);
	struct kept_thread *t;

	if (!s && !w->last)
		return -ENOENT;
	e = use_thread(w, th, &t);
	if ((th && !t) || (s && keep__value(w, s, v, t, ns)))
		return -ENOMEM;
	if (w->passing && !e)
		e = TO(w, span_value, span, c, v, th, thread_time(w, t, ns));
	return err ? err : e;
}

static int on_span_follows(void *ctx, u64 span, u64 follows, struct thread *th, u64 ns)
{
	struct window *w = ctx;
	int err = at_time(w, ns), e;
	struct kept_span *s = keep__find(w, span);
	struct kept_thread *t;

	if (!s && !w->last)
		return -ENOENT;
	e = use_thread(w, th, &t);
	if ((th && !t) || (s && keep__follows(w, s, follows, t, ns)))
		return -ENOMEM;
	if (w->passing && !e)
		e = TO(w, span_follows, span, follows, th, thread_time(w, t, ns));
	return err ? err : e;
}

static int pass_event(struct window *w, const struct event *ev, const struct kept_thread *t)
{
	u64 ns = thread_time(w, t, ev->time_ns);
	struct event raised;
	int err = tell__callsite(w, ev->callsite);

	if (err)
		return err;
	if (__builtin_expect(ns == ev->time_ns, 1))
		return TO(w, event, ev);
	raised = *ev;
	raised.time_ns = ns;
	return TO(w, event, &raised);
}

static int on_event(void *ctx, const struct event *ev)
{
	struct window *w = ctx;
	int err = at_time(w, ev->time_ns), e;
	struct kept_thread *t;

	if (!w->passing)
		return err;
	e = use_thread(w, ev->thread, &t);
	e = e ? e : pass_event(w, ev, t);
	return err ? err : e;
}

/* --- most spans: opened and entered in one call, left and closed in one ------------------------------------ */

static int pass_begin(struct window *w, const struct span_open *o, const struct kept_thread *t)
{
	u64 ns = thread_time(w, t, o->time_ns);
	struct span_open told;
	int err = tell__callsite(w, o->callsite), e;

	if (err)
		return err;
	if (__builtin_expect(w->to.span_begin && ns == o->time_ns, 1))
		return w->to.span_begin(w->to_ctx, o);
	told = *o;
	told.time_ns = ns;
	if (w->to.span_begin)
		return w->to.span_begin(w->to_ctx, &told);
	err = TO(w, span_open, &told);
	e = TO(w, span_enter, o->span, o->thread, told.time_ns);
	return err ? err : e;
}

static int on_span_begin(void *ctx, const struct span_open *o)
{
	struct window *w = ctx;
	struct kept_span *s;
	struct kept_thread *t;
	int err = at_time(w, o->time_ns), e;

	if (!w->last && keep__find(w, o->span))
		return -EEXIST;
	e = use_thread(w, o->thread, &t);
	if (!t)
		return e ? e : -EINVAL;
	if (w->last) {
		e = e ? e : pass_begin(w, o, t);
		return err ? err : e;
	}
	s = keep__open(w, o, t);
	if (!s)
		return -ENOMEM;
	if (keep__enter(t, s)) {
		keep__close(w, s);
		return -ENOMEM;
	}
	if (w->passing && !e)
		e = pass_begin(w, o, t);
	return err ? err : e;
}

static int pass_end(struct window *w, u64 span, struct thread *th, const struct kept_thread *t, u64 ns)
{
	u64 told = thread_time(w, t, ns);
	int err, e;

	if (w->to.span_end)
		return w->to.span_end(w->to_ctx, span, th, told);
	err = TO(w, span_exit, span, th, told, SINK_OWN);
	e = TO(w, span_close, span, told, told, SINK_OWN);
	return err ? err : e;
}

static int on_span_end(void *ctx, u64 span, struct thread *th, u64 ns)
{
	struct window *w = ctx;
	int err = at_time(w, ns), e;
	struct kept_span *s = keep__find(w, span);
	struct kept_thread *t;

	if (!s && !w->last)
		return -ENOENT;
	e = use_thread(w, th, &t);
	if (!t)
		return e ? e : -EINVAL;
	if (w->passing && !e)
		e = pass_end(w, span, th, t, ns);
	if (!s)
		return err ? err : e;
	keep__exit(w, t, s);
	keep__close(w, s);
	return err ? err : e;
}

/* Nothing of it has to be kept: it is over before anything else is said. */
static bool on_span_leaf(void *ctx, const struct span_open *o, u64 end_ns)
{
	struct window *w = ctx;
	const struct kept_thread *t = nearmap__find(&w->threads, o->thread->uid);

	if (end_ns >= w->at_ns || !t || t->ended || (!w->last && keep__find(w, o->span)))
		return false;
	if (w->passing && (!w->to.span_leaf || t->told != w->turn || o->time_ns < w->begin_ns || tell__callsite(w, o->callsite)))
		return false;
	if (end_ns > w->last_ns) /* also if it has to come as two calls: nothing comes between them */
		w->last_ns = end_ns;
	return !w->passing || w->to.span_leaf(w->to_ctx, o, end_ns);
}

/* Its time is a range: it neither begins nor ends a window. */
static int on_loss(void *ctx, const struct loss *l)
{
	struct window *w = ctx;
	struct kept_thread *t;
	int err;

	if (!w->passing)
		return 0;
	err = use_thread(w, (struct thread *)l->thread, &t);
	if (!err && l->callsite)
		err = tell__callsite(w, l->callsite);
	return err ? err : TO(w, loss, l);
}

static int on_trigger(void *ctx, const struct sink_trigger *t)
{
	struct window *w = ctx;

	return w->passing ? TO(w, trigger, t) : 0;
}

struct sink window__sink(struct window *w)
{
	static const struct sink_ops ops = {
		.callsite = on_callsite,
		.process = on_process,
		.process_end = on_process_end,
		.thread = on_thread,
		.thread_end = on_thread_end,
		.span_open = on_span_open,
		.span_enter = on_span_enter,
		.span_exit = on_span_exit,
		.span_close = on_span_close,
		.span_value = on_span_value,
		.span_follows = on_span_follows,
		.event = on_event,
		.loss = on_loss,
		.trigger = on_trigger,
		.span_begin = on_span_begin,
		.span_end = on_span_end,
		.span_leaf = on_span_leaf,
	};

	return (struct sink){.ops = &ops, .ctx = w};
}
