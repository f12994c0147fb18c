/* SPDX-License-Identifier: MIT */
/*
 * fold.h - a sink that turns the data model into stacks with weights.
 *
 * Styles. FOLD_STACK is ours: where the time went. Its weights:
 *   FOLD_SELF   the threads' entered stacks, and the time between two changes of a thread's stack
 *   FOLD_BUSY   spans under their parents; time with an entry open, minus that while one of their children had one
 *   FOLD_WALL   spans under their parents; open to close, minus what their children cover
 *   FOLD_COUNT  spans under their parents; how many
 * The others write what two layers of the `tracing` world write, value by value and name by name: FOLD_FLAME is the
 * development branch of tracing-flame, FOLD_FLAME_02 its release 0.2.0, FOLD_TRACE_TOOLS the FlamegraphLayer of
 * trace-tools 0.3.0. Their names come raw: a `;` in a name breaks the line, as it does there.
 *
 * Not thread-safe. Memory: spans that are open, threads, and the stacks (bounded, see stacks.h).
 */
#ifndef TAPEBPF_FOLD_H
#define TAPEBPF_FOLD_H

#include "fold/stacks.h"
#include "model/sink.h"

enum fold_style { FOLD_STACK, FOLD_FLAME, FOLD_FLAME_02, FOLD_TRACE_TOOLS };
enum fold_weight { FOLD_SELF, FOLD_BUSY, FOLD_WALL, FOLD_COUNT };

struct chart;

struct fold_opts {
	enum fold_style style;
	enum fold_weight weight; /* FOLD_STACK only */
	const char *label;	 /* FOLD_STACK: show this field in the frames of spans that have it; NULL: none */
	bool threads, processes; /* FOLD_STACK: a frame for each below everything else */
	bool module_path, file_and_line; /* all but FOLD_TRACE_TOOLS */
	bool empty_samples, threads_collapsed; /* FOLD_FLAME, FOLD_FLAME_02 */
	bool bare;   /* FOLD_TRACE_TOOLS: without the builder's filter */
	u64 start_ns; /* where a thread's first line counts from, but for FOLD_STACK */
	u64 cut_ns;   /* FOLD_WALL: what lies before is not counted; 0: all is */
	int side;	 /* of the stacks: 0, or 1 for what a difference compares with */
	struct chart *chart; /* instead of stacks: what is entered when, see chart.h; NULL */
	/* Each value as it comes; may be NULL. The stacks have got it already. */
	int (*sample)(void *ctx, u32 node, u64 value);
	void *ctx;
};

/* The options as the style's own authors set them. */
void fold_opts__defaults(struct fold_opts *o, enum fold_style style);

struct fold;

/* The stacks stay the caller's. NULL: no memory. */
struct fold *fold__new(const struct fold_opts *o, struct stacks *s);
void fold__free(struct fold *f);
struct sink fold__sink(struct fold *f);

/* "; " or ";" */
const char *fold_style__separator(enum fold_style style);
/* "ns", "us" or "spans": what the values of this style and weight are. */
const char *fold_opts__unit(const struct fold_opts *o);

#endif
