/* SPDX-License-Identifier: MIT */
/*
 * window.h - a sink that can begin to pass on at any moment, and end, as if the stream had begun and ended there.
 *
 *	struct window *w = window__new(NULL);
 *	... the model's calls go into window__sink(w): the window keeps what is alive, and passes nothing on
 *	window__begin(w, &tape_a, ns);	// a hears of all that is alive, then everything
 *	...
 *	window__end(w, ns);		// a is closed: complete in itself
 *	window__begin(w, &tape_b, ns);	// nothing between a and b is lost, nothing is in both
 *
 * Whoever is passed to gets a well-formed stream (sink.h). At the beginning: the processes and threads that are alive;
 * every open span, in the order of opening, with SPAN_BEFORE, its true time, its opening values, then what was said of it
 * since (each field's last value; follows_from); and at the time of the beginning its entries, a thread's stack from the
 * bottom to the top. At the end: exits and closes of all that is open, marked SINK_CUT, top down; the spans of a thread
 * each closed before the one below is left, as far as nothing else keeps them open. Callsites are told at their first use.
 * Times before the beginning are only those of what was opened and recorded before it (and of records that come late).
 *
 * Memory is bounded by what is alive: dead threads and processes are forgotten once no open span names them.
 * Not thread-safe. It holds the processes and threads that it keeps, and when it goes gives nothing back: free it behind who feeds it, or
 * with it. Callsites given to it must stay as long as the window.
 */
#ifndef TAPEBPF_WINDOW_H
#define TAPEBPF_WINDOW_H

#include "model/sink.h"

struct window;

struct window_opts {
	size_t sz;
	u32 max_follows; /* of one span that are kept, the newest; 0: 256 */
};

/* opts may be NULL. NULL: no memory. */
struct window *window__new(const struct window_opts *opts);
void window__free(struct window *w);

/* What is fed. Its calls return what `to` returns; 0 while nothing is passed on; -ENOMEM where a span cannot be kept:
 * then it is not passed on either, and whatever is said of it is refused with -ENOENT. */
struct sink window__sink(struct window *w);

/*
 * Begin to pass on; *to is copied. time_ns may not lie before what has been told (window__last_ns): it is raised to that.
 * Returns the first error of a call (all are made), -EBUSY if a window is open already.
 */
int window__begin(struct window *w, const struct sink *to, u64 time_ns);
/*
 * The same for the last time: no other window follows, and the caller sees to it that all that is open has been closed before window__end
 * (model__cut does). What is opened and entered in one call then needs no keeping, and is passed on without.
 */
int window__begin_last(struct window *w, const struct sink *to, u64 time_ns);
/* The same by itself, before the first call that carries this time or a later one. What it fails with is what that call
 * returns. */
int window__begin_at(struct window *w, const struct sink *to, u64 time_ns);

/* Close what is open in `to` and stop passing on. The window goes on keeping. 0 if none is open. */
int window__end(struct window *w, u64 time_ns);
/* Likewise by itself. */
int window__end_at(struct window *w, u64 time_ns);

bool window__is_open(const struct window *w);
/* The latest time of a call so far. */
u64 window__last_ns(const struct window *w);

struct window_stats {
	u64 spans, threads, processes; /* kept now; of dead threads those that an open span names, and the last few */
	u64 carried;		       /* spans told again at the beginnings so far */
	u64 late;		       /* times raised to that of a beginning, as their record came after it */
	u64 follows_dropped;
};
void window__stats(const struct window *w, struct window_stats *st);

#endif
