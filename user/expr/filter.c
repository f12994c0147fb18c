/* SPDX-License-Identifier: MIT */
#include "expr/filter.h"

#include "base/idmap.h"
#include "model/pool.h"

#include <errno.h>

/* A span that is not passed on. */
struct hidden {
	u64 shown; /* its nearest ancestor that is, 0: none */
};

struct filter {
	struct expr *expr;
	const struct judge *judge; /* NULL: none */
	struct sink_ops ops;
	void *to;
	struct idmap shown, hidden; /* open spans */
	struct pool pool; /* of struct hidden */
};

#define OUT(f, call, ...) ((f)->ops.call((f)->to, __VA_ARGS__))

struct filter *filter__new(struct expr *e, const struct judge *j, const struct sink *to)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	pool__init(&f->pool, sizeof(struct hidden));
	f->expr = e;
	f->judge = j;
	f->ops = sink__complete(to->ops);
	f->to = to->ctx;
	return f;
}

void filter__free(struct filter *f)
{
	if (!f)
		return;
	idmap__done(&f->shown);
	idmap__done(&f->hidden);
	pool__done(&f->pool);
	free(f);
}

/* The span itself or its nearest ancestor that is passed on and still open. */
static u64 shown_of(const struct filter *f, u64 span)
{
	const struct hidden *h = idmap__find(&f->hidden, span);

	if (h)
		span = h->shown;
	return span && idmap__find(&f->shown, span) ? span : 0;
}

static bool is_shown(const struct filter *f, u64 span)
{
	return idmap__find(&f->shown, span);
}

static bool wanted(struct filter *f, const struct callsite *c, const struct thread *t, const struct value *v, u32 cnt)
{
	struct expr_subject s = { .callsite = c, .thread = t, .value = v, .value_cnt = cnt };

	return expr__match(f->expr, &s);
}

static bool wanted_span(struct filter *f, const struct span_open *o)
{
	if (f->judge)
		return judge__wants(f->judge, o->span);
	return wanted(f, o->callsite, o->thread, o->value, o->value_cnt);
}

static int hide(struct filter *f, u64 span, u64 shown)
{
	struct hidden *h = pool__get(&f->pool);

	if (!h || idmap__put(&f->hidden, span, h))
		return -ENOMEM;
	h->shown = shown;
	return 0;
}

static int on_callsite(void *ctx, struct callsite *c)
{
	return OUT((struct filter *)ctx, callsite, c);
}

static int on_process(void *ctx, struct process *p)
{
	return OUT((struct filter *)ctx, process, p);
}

static int on_process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	return OUT((struct filter *)ctx, process_end, p, time_ns, status, known);
}

static int on_thread(void *ctx, struct thread *t)
{
	return OUT((struct filter *)ctx, thread, t);
}

static int on_thread_end(void *ctx, struct thread *t, u64 time_ns)
{
	return OUT((struct filter *)ctx, thread_end, t, time_ns);
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct filter *f = ctx;
	struct span_open mine = *o;

	if (is_shown(f, o->span) || idmap__find(&f->hidden, o->span))
		return -EEXIST;
	mine.parent = shown_of(f, o->parent);
	if (!wanted_span(f, o))
		return hide(f, o->span, mine.parent);
	return idmap__put(&f->shown, o->span, f) ?: OUT(f, span_open, &mine);
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct filter *f = ctx;

	return is_shown(f, span) ? OUT(f, span_enter, span, t, time_ns) : 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct filter *f = ctx;

	return is_shown(f, span) ? OUT(f, span_exit, span, t, time_ns, why) : 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct filter *f = ctx;
	struct hidden *h = idmap__remove(&f->hidden, span);

	if (h)
		pool__put(&f->pool, h);
	return idmap__remove(&f->shown, span) ? OUT(f, span_close, span, time_ns, dropped_ns, why) : 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	struct filter *f = ctx;

	return is_shown(f, span) ? OUT(f, span_value, span, c, v, t, time_ns) : 0;
}

static int on_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 time_ns)
{
	struct filter *f = ctx;

	/* what it follows from may be closed, and then nobody knows any more whether it was passed on */
	if (!is_shown(f, span) || idmap__find(&f->hidden, follows))
		return 0;
	return OUT(f, span_follows, span, follows, t, time_ns);
}

static int on_event(void *ctx, const struct event *e)
{
	struct filter *f = ctx;
	struct event mine = *e;

	if (!wanted(f, e->callsite, e->thread, e->value, e->value_cnt))
		return 0;
	mine.parent = shown_of(f, e->parent);
	return OUT(f, event, &mine);
}

static int on_loss(void *ctx, const struct loss *l)
{
	return OUT((struct filter *)ctx, loss, l);
}

static int on_trigger(void *ctx, const struct sink_trigger *t)
{
	return OUT((struct filter *)ctx, trigger, t);
}

struct sink filter__sink(struct filter *f)
{
	static const struct sink_ops ops = {
		.callsite = on_callsite, .process = on_process, .process_end = on_process_end, .thread = on_thread,
		.thread_end = on_thread_end, .span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span,
		.span_close = on_close, .span_value = on_value, .span_follows = on_follows, .event = on_event,
		.loss = on_loss, .trigger = on_trigger,
	};

	return (struct sink){ &ops, f };
}
