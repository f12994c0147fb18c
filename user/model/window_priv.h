/* SPDX-License-Identifier: MIT */
/* window_priv.h - inside the window: window.c (the calls), window_keep.c (what is alive), window_turn.c (beginning, end). */
#ifndef TAPEBPF_WINDOW_PRIV_H
#define TAPEBPF_WINDOW_PRIV_H

#include "base/nearmap.h"
#include "model/pool.h"
#include "model/window.h"

#define WINDOW_ROOM_BYTES 96 /* of values within a span: two and a short text */
#define WINDOW_RECENT 64     /* dead threads remembered though nothing needs them: their late records */
#define WINDOW_NEAR_SITES 64

struct kept_process {
	struct process *p;
	struct kept_process *next, **pprev; /* oldest first */
	u32 threads;			    /* kept */
	u32 told;			    /* turn in which `to` heard of it */
	bool ended;
};

struct kept_span;

struct kept_thread {
	struct thread *t;
	struct kept_process *process; /* may be NULL */
	struct kept_thread *next, **pprev;
	struct kept_span **entry; /* bottom to top */
	u32 depth, cap;
	u32 refs; /* spans and notes that name it */
	u32 told;
	u32 carried; /* turn that began with entries of it */
	bool ended, recent;
};

/* Said of a span after its opening. */
struct kept_note {
	struct kept_note *next, **pprev; /* of all, in the order of the calls */
	struct kept_note *more;		 /* of the same span, oldest first */
	struct kept_span *span;
	struct kept_thread *thread; /* NULL: unknown */
	u64 seq, time_ns;
	u64 follows; /* 0: a value */
	struct value value;
	char text[];
};

struct kept_span {
	struct kept_span *next, *prev; /* of all open ones, in the order of opening; prev of the first is the last */
	u64 seq;
	struct span_open open; /* values in room or on the heap */
	struct kept_thread *opener;
	struct kept_note *notes, **last_note;
	u32 entries, children, follows;
	u32 carried;			/* last turn that began with it */
	u32 cut_entries, cut_children;	/* while the end is told */
	bool cut;
	_Alignas(8) u8 room[WINDOW_ROOM_BYTES];
};

struct window {
	struct sink_ops to; /* completed; valid while passing */
	void *to_ctx;
	bool passing;
	bool last; /* window__begin_last: spans that are not kept are passed on all the same */
	u32 turn; /* of beginnings, from 1 */
	u64 begin_ns, last_ns;
	u64 at_ns; /* the next beginning or end by itself; UINT64_MAX: none */
	struct sink at_to;
	struct window_opts opts;
	u64 seq;
	struct nearmap spans, threads;
	struct idmap processes, sites; /* sites: told in this turn */
	const struct callsite *near_site[WINDOW_NEAR_SITES]; /* likewise, some of them */
	struct pool span_pool;
	struct kept_span *first;
	struct kept_thread *thread_list, **thread_end;
	struct kept_process *process_list, **process_end;
	struct kept_note *note_list, **note_end;
	struct kept_thread *recent[WINDOW_RECENT];
	u32 recent_at;
	u64 process_cnt;
	struct window_stats st;
};

/* Tell `to`, which is the window's. */
#define TO(w, call, ...) (w)->to.call((w)->to_ctx, __VA_ARGS__)

/* window_keep.c. Functions that return a pointer: NULL without memory. */
void keep__init(struct window *w);
void keep__done(struct window *w);
struct kept_process *keep__process(struct window *w, struct process *p);
void keep__process_end(struct window *w, struct kept_process *p);
/* ended: if it is not known yet, it is one of the past. */
struct kept_thread *keep__thread(struct window *w, struct thread *t, bool ended);
void keep__thread_end(struct window *w, struct kept_thread *t);
struct kept_span *keep__open(struct window *w, const struct span_open *o, struct kept_thread *t);
int keep__enter(struct kept_thread *t, struct kept_span *s);
void keep__exit(struct window *w, struct kept_thread *t, struct kept_span *s);
void keep__close(struct window *w, struct kept_span *s);
int keep__value(struct window *w, struct kept_span *s, const struct value *v, struct kept_thread *t, u64 ns);
int keep__follows(struct window *w, struct kept_span *s, u64 follows, struct kept_thread *t, u64 ns);

static inline struct kept_span *keep__find(const struct window *w, u64 span)
{
	return nearmap__find(&w->spans, span);
}

/* window_turn.c: a definition that `to` has not heard of in this turn. 0, or what it returned. */
int tell__new_callsite(struct window *w, const struct callsite *c);
static inline int tell__callsite(struct window *w, const struct callsite *c)
{
	return w->near_site[c->id % WINDOW_NEAR_SITES] == c ? 0 : tell__new_callsite(w, c);
}
int tell__process(struct window *w, struct kept_process *p);
int tell__thread(struct window *w, struct kept_thread *t);
/* at_ns has come. */
int window__turn_due(struct window *w);

#endif
