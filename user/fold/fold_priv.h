/* SPDX-License-Identifier: MIT */
/*
 * fold_priv.h - inside fold: what its files share. fold.c keeps spans and threads, fold_frame.c makes frames,
 * fold_chain.c has the styles of tracing-flame and trace-tools, fold_stack.c our own,
 * fold_chart.c what is entered when.
 */
#ifndef TAPEBPF_FOLD_PRIV_H
#define TAPEBPF_FOLD_PRIV_H

#include "base/nearmap.h"
#include "fold/fold.h"

enum fold_shown {
	FOLD_SHOWN,    /* a frame and lines of its own */
	FOLD_UNTRACKED, /* a frame, no lines (trace-tools) */
	FOLD_HIDDEN,   /* neither */
};

struct fold_span {
	struct fold_span *next_free;
	u64 number;
	const struct callsite *callsite;
	struct fold_span *parent;
	u32 refs; /* itself while it is open, its children as long as they are kept */
	u32 frame;
	enum fold_shown shown;
	/* the chain's node under a root node */
	bool placed;
	u32 root, node;
	/* busy and wall */
	u32 entries, children; /* open entries; children that are busy, or open */
	bool counting;
	u64 since_ns, sum_ns;
};

struct fold_entry {
	struct fold_span *span;
	u32 node; /* the stack up to here */
	bool duplicate;
	u64 since_ns; /* chart: its slice began */
};

struct fold_thread {
	struct thread *thread;
	u32 root; /* node below which its stacks are */
	u32 number; /* of compatible labels, 0: none yet */
	bool placed, seen;
	u64 last_ns;
	struct fold_entry *stack;
	u32 depth, cap;
	u32 full; /* see place_entries */
	struct chart_lane *lane;
};

/* Threads by their addresses; nearly always one of those that were asked for last. */
#define FOLD_NEAR_THREADS 64
struct fold_threads {
	struct fold_thread *near[FOLD_NEAR_THREADS]; /* by uid */
	struct idmap all;
	u64 start_ns; /* of a thread's last_ns */
};

/* What a style does at each step; NULL: nothing. */
struct fold_ops {
	int (*open)(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns);
	int (*enter)(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns);
	int (*exit)(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns);
	int (*close)(struct fold *f, struct fold_span *s, u64 time_ns);
};

/* What all spans of a callsite have in common. */
#define FOLD_NEAR_SITES 64
struct fold_site {
	const struct callsite *callsite; /* NULL: none */
	u32 frame;
	enum fold_shown shown;
};

struct fold {
	struct fold_opts opts;
	const struct fold_ops *ops;
	struct stacks *stacks;
	struct nearmap spans;		     /* by number */
	struct fold_threads threads;
	struct idmap frames;		     /* of callsites, by address */
	struct fold_site near_site[FOLD_NEAR_SITES]; /* by id */
	struct idmap processes;		     /* by address: how many threads have got a number */
	struct fold_span *free_spans;
	struct fold_span **chain; /* scratch */
	u32 chain_cap;
	char *text; /* scratch */
	size_t text_cap;
};

/* fold.c */
int fold__add(struct fold *f, u32 node, u64 value);
/* The node of a span's chain under a root node. */
s64 fold__chain(struct fold *f, struct fold_span *s, u32 root);

/* fold_frame.c: numbers of frames, -ENOMEM */
s64 fold__span_frame(struct fold *f, const struct callsite *c, const struct value *v, u32 value_cnt);
s64 fold__own_frame(struct fold *f, const char *raw, size_t bytes);
s64 fold__thread_root(struct fold *f, struct fold_thread *t);
enum fold_shown fold__shown(const struct fold *f, const struct callsite *c);

/* fold_thread.c */
struct fold_thread *fold_threads__add(struct fold_threads *ts, struct thread *thread); /* NULL: no memory */
void fold_threads__done(struct fold_threads *ts);

/* Made at its first use; NULL without memory. */
static inline struct fold_thread *fold_threads__get(struct fold_threads *ts, struct thread *thread)
{
	struct fold_thread *t = ts->near[thread->uid % FOLD_NEAR_THREADS];

	return t && t->thread == thread ? t : fold_threads__add(ts, thread);
}

/* fold_chain.c, fold_stack.c */
extern const struct fold_ops fold_flame_ops, fold_stack_ops, fold_busy_ops, fold_wall_ops, fold_count_ops;
/* The thread's stack, without a word about time. push: 0, -ENOMEM. pop: where the entry stood, UINT32_MAX: nowhere. */
int fold__push(struct fold_thread *t, struct fold_span *s, u64 time_ns);
u32 fold__pop(struct fold_thread *t, struct fold_span *s);

/* fold_chart.c */
extern const struct fold_ops fold_chart_ops;

#endif
