/* SPDX-License-Identifier: MIT */
/*
 * fold_chain.c - the styles of tracing-flame and trace-tools: a line at every enter and exit, its stack the chain of
 * parents, its value the time since the thread's last line (since START for its first).
 *
 * That is less than what happened: time spent in a parent on another thread is charged to it here, as both do; the
 * numbers of a thread add up to the time of its last exit.
 */
#include "fold/fold_priv.h"

/* The time since the thread's last line. A thread's clock never goes back: what would be negative is 0. */
static u64 since_last(struct fold *f, struct fold_thread *t, u64 time_ns)
{
	u64 d = time_ns > t->last_ns ? time_ns - t->last_ns : 0;

	t->last_ns = time_ns;
	/* whole microseconds, cut off: the rest is lost there too */
	return f->opts.style == FOLD_TRACE_TOOLS ? d / 1000 : d;
}

static int add_chain(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 value)
{
	s64 node = fold__chain(f, s, t->root);

	return node < 0 ? (int)node : fold__add(f, (u32)node, value);
}

static int flame_enter(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	u64 value;

	if (s->shown != FOLD_SHOWN)
		return 0;
	value = since_last(f, t, time_ns);
	if (!s->parent && f->opts.style != FOLD_TRACE_TOOLS && !f->opts.empty_samples)
		return 0; /* the time is swallowed */
	return add_chain(f, s->parent, t, value);
}

static int flame_exit(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	return s->shown == FOLD_SHOWN ? add_chain(f, s, t, since_last(f, t, time_ns)) : 0;
}

const struct fold_ops fold_flame_ops = { .enter = flame_enter, .exit = flame_exit };
