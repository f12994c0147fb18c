/* SPDX-License-Identifier: MIT */
/*
 * gotrace.h - the data model as a Go execution trace: for `go tool trace`, gotraceui and golang.org/x/exp/trace.
 *
 * A sink in front, bytes behind, whole generations at a time: each write is one generation (the file's header
 * is one of its own), so what has been written is a readable trace at any moment, and a pipe will do. Memory
 * is bounded by a generation, and by what is open. Not thread-safe. How native threads become goroutines:
 * gotrace.c.
 */
#ifndef TAPEBPF_GOTRACE_H
#define TAPEBPF_GOTRACE_H

#include "base/clock.h"
#include "model/sink.h"

struct gotrace;

/* Takes all bytes or fails: 0 or negative errno. After a failure nothing more is written. */
typedef int (*gotrace_write_fn)(void *ctx, const void *bytes, size_t cnt);

struct gotrace_opts {
	size_t sz;
	u32 version;	   /* of the format: 22 (Go 1.22 and later; 0 means this) or 26 (Go 1.26 and later) */
	u64 generation_ns; /* length of a generation; 0: 1 s */
	u64 held_bytes;	   /* of calls that wait for their generation; 0: 4 MiB. As much again may be allocated for their
			    * texts, for sorting and for the generation's bytes, each */
	u64 late_ns;	   /* so much later than those of other threads calls may come and still find their place; 0: 100 ms */
	u64 start_ns;	   /* the trace's beginning, in the sink's time: what came before is drawn from here. 0: the first time that
			    * the sink is told, other than of spans that were open before */
	struct clock_pair clock; /* a moment in the sink's time (mono_ns) and on the wall clock (real_ns); only 1.26 tells it */
};

/* NULL with errno: EINVAL (version), ENOMEM. */
struct gotrace *gotrace__new(const struct gotrace_opts *o, gotrace_write_fn write, void *ctx);
void gotrace__free(struct gotrace *g);

/* Its calls return the first error of the writer, or -ENOMEM: the trace is of no use from then on. Threads, processes and
 * callsites must stay until gotrace__finish. */
struct sink gotrace__sink(struct gotrace *g);

/* The end: what is open stays open in the trace (viewers draw it to the end), and the last generation is written. 0 or the first
 * error. Call once. */
int gotrace__finish(struct gotrace *g);

struct gotrace_stats {
	u64 bytes, generations;
	u64 regions, tasks, logs;
	u64 splits;	 /* slices more than entries, see export/slices.h */
	u64 unmatched;	 /* calls about spans that are not open */
	u64 late;	 /* calls whose generation was written already: their times are moved to the next one's start */
	u64 out_of_range; /* times further than 104 days from the start: moved there */
	u64 cut_texts;	 /* longer than the format's 1024 bytes */
};
void gotrace__stats(const struct gotrace *g, struct gotrace_stats *st);

#endif
