/* SPDX-License-Identifier: MIT */
#include "model/sink.h"

/* What a sink leaves out. The members differ in their arguments only, so one name a shape is
 * enough. */
static int skip_callsite(void *ctx, struct callsite *c)
{
	return 0;
}

static int skip_process(void *ctx, struct process *p)
{
	return 0;
}

static int skip_process_end(void *ctx, struct process *p, u64 ns, u32 status, bool known)
{
	return 0;
}

static int skip_thread(void *ctx, struct thread *t)
{
	return 0;
}

static int skip_thread_end(void *ctx, struct thread *t, u64 ns)
{
	return 0;
}

static int skip_open(void *ctx, const struct span_open *o)
{
	return 0;
}

static int skip_enter(void *ctx, u64 span, struct thread *t, u64 ns)
{
	return 0;
}

static int skip_exit(void *ctx, u64 span, struct thread *t, u64 ns, enum sink_why why)
{
	return 0;
}

static int skip_close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	return 0;
}

static int skip_value(void *ctx, u64 span, const struct callsite *c, const struct value *v,
		      struct thread *t, u64 ns)
{
	return 0;
}

static int skip_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 ns)
{
	return 0;
}

static int skip_event(void *ctx, const struct event *e)
{
	return 0;
}

static int skip_loss(void *ctx, const struct loss *l)
{
	return 0;
}

static int skip_trigger(void *ctx, const struct sink_trigger *t)
{
	return 0;
}

struct sink_ops sink__complete(const struct sink_ops *o)
{
	return (struct sink_ops){
		.callsite = o->callsite ?: skip_callsite,
		.process = o->process ?: skip_process,
		.process_end = o->process_end ?: skip_process_end,
		.thread = o->thread ?: skip_thread,
		.thread_end = o->thread_end ?: skip_thread_end,
		.span_open = o->span_open ?: skip_open,
		.span_enter = o->span_enter ?: skip_enter,
		.span_exit = o->span_exit ?: skip_exit,
		.span_close = o->span_close ?: skip_close,
		.span_value = o->span_value ?: skip_value,
		.span_follows = o->span_follows ?: skip_follows,
		.event = o->event ?: skip_event,
		.loss = o->loss ?: skip_loss,
		.trigger = o->trigger ?: skip_trigger,
		.span_begin = o->span_begin, /* NULL says something */
		.span_end = o->span_end,
		.wanted_ns = o->wanted_ns,
		.span_leaf = o->span_leaf,
	};
}
