/* SPDX-License-Identifier: MIT */
/*
 * slices.h - enters and exits as properly nested slices: the stage that all exports share.
 *
 * A sink in front, callbacks behind. On each thread begins and ends come in time order, strictly last in, first
 * out; what does not nest is split so that each span's time on each thread stays right. Which spans are more than
 * such slices (entered more than once, on another thread than the one that opened them, or never) is told as soon
 * as it shows: those go to whatever a format has for spans that wander.
 *
 * Not thread-safe. Memory grows with what is open, and a little with each thread. See slices.c.
 */
#ifndef TAPEBPF_SLICES_H
#define TAPEBPF_SLICES_H

#include "model/sink.h"

struct slices;

/* A thread, from its first mention to slices__free. */
struct slice_thread {
	struct thread *thread;
	u64 last_ns; /* of what was told of it */
	void *user;  /* thread_bytes of the back end's, zeroed at first, aligned to 16 */
};

/* A span, from its opening until it is closed and every hold on it is gone. */
struct slice_span {
	u64 span;
	struct slice_span *parent; /* held; NULL: root, or not open when this was opened */
	const struct callsite *callsite;
	u64 open_ns;
	struct slice_thread *opener; /* NULL: unknown */
	u32 entries;	  /* so far */
	u32 open_entries; /* of these: not yet left */
	u32 refs;
	u8 flags;	  /* SPAN_* */
	bool async;	  /* ops.async was called */
	bool closed;
	_Alignas(16) u8 user[]; /* span_bytes of the back end's, zeroed at the opening */
};

#define SLICE_SPLIT	1 /* end: only so that a span below can end; it goes on at once */
#define SLICE_CONTINUED 1 /* begin: the rest of an entry that was split */

/*
 * What a back end does. Each returns 0 or negative errno, which the sink's caller gets; each may be NULL. Times of
 * one thread never go back. Structures stay valid as said above, values during the call.
 */
struct slices_ops {
	/* called when a process is known, or something of it changed (exec, name) */
	int (*process)(void *ctx, struct process *p);
	/* called when a process has ended; its threads have ended before */
	int (*process_end)(void *ctx, struct process *p, u64 time_ns, u32 status, bool known);
	/* called when a thread is known, or has another name */
	int (*thread)(void *ctx, struct slice_thread *t);
	/* called when a thread has ended; its slices have ended before */
	int (*thread_end)(void *ctx, struct slice_thread *t, u64 time_ns);
	/* called when a span is opened, before everything else about it */
	int (*open)(void *ctx, struct slice_span *s, const struct span_open *o);
	/* called when a span turns out to be no plain slice, at most once: before the begin that shows it (its second, or on
	 * another thread than the opener's), or before the close if it was never entered */
	int (*async)(void *ctx, struct slice_span *s, u64 time_ns);
	/* called when a slice begins: it lies in the one begun before it on this thread, if that has not ended */
	int (*begin)(void *ctx, struct slice_thread *t, struct slice_span *s, u64 time_ns, u32 slice_flags);
	/* called when the innermost open slice of the thread ends */
	int (*end)(void *ctx, struct slice_thread *t, struct slice_span *s, u64 time_ns, enum sink_why why,
		   u32 slice_flags);
	/* called when a span is closed, the last of it; all its slices have ended */
	int (*close)(void *ctx, struct slice_span *s, u64 time_ns, u64 dropped_ns, enum sink_why why);
	/*
	 * The two ends of most spans' lives in one call each, in place of the two that each stands for, for back ends that want
	 * speed: open and begin, at one time on one thread; end and close (SINK_OWN) of a span that was entered but once, by its opener.
	 */
	int (*open_begin)(void *ctx, struct slice_thread *t, struct slice_span *s, const struct span_open *o, u64 time_ns);
	int (*end_close)(void *ctx, struct slice_thread *t, struct slice_span *s, u64 time_ns);
	/* called when a field gets its value after the opening; t NULL: unknown */
	int (*value)(void *ctx, struct slice_span *s, const struct callsite *c, const struct value *v,
		     struct slice_thread *t, u64 time_ns);
	/* called when a span is said to follow from another one (open, or known by number only); t NULL: unknown */
	int (*follows)(void *ctx, struct slice_span *s, u64 follows, struct slice_thread *t, u64 time_ns);
	/* called for each event; time_ns is e's, but not before what its thread told last; t NULL: unknown */
	int (*event)(void *ctx, const struct event *e, struct slice_thread *t, u64 time_ns);
	/* called when records are known to be lost */
	int (*loss)(void *ctx, const struct loss *l);
	/* called when the recording says why it was written: anywhere, its time lies within the recording */
	int (*trigger)(void *ctx, const struct sink_trigger *t);
};

struct slices_opts {
	u32 thread_bytes, span_bytes; /* of the back end's user memory */
};

/* NULL with errno ENOMEM. */
struct slices *slices__new(const struct slices_ops *ops, void *ctx, const struct slices_opts *o);
/* Spans that are held become invalid, too. */
void slices__free(struct slices *s);
struct sink slices__sink(struct slices *s);

/* The end: what is still entered or open ends and closes here, SINK_CUT, in reverse order of opening. 0 or the first error. */
int slices__finish(struct slices *s);

/* An open span by its number; NULL: closed or never seen. */
struct slice_span *slices__find(struct slices *s, u64 span);

/* Keep a span's memory beyond its close; give it back with slices__put. */
static inline void slices__hold(struct slice_span *s)
{
	s->refs++;
}
void slices__put_last(struct slices *s, struct slice_span *span);
static inline void slices__put(struct slices *s, struct slice_span *span)
{
	if (!--span->refs)
		slices__put_last(s, span);
}

struct slices_stats {
	u64 slices;	/* begun */
	u64 splits;	/* of these: continued */
	u64 async;	/* spans */
	u64 unmatched;	/* calls about spans that are not open, exits without entry: ignored */
	u64 moved;	/* times before what their thread had told last: set to that */
	u64 stretched;	/* entries that ended below more than slices.c splits: they last until those above have ended */
};
void slices__stats(const struct slices *s, struct slices_stats *st);

#endif
