/* SPDX-License-Identifier: MIT */
/*
 * tape_merge.h - several tapes as one stream, in the order of the wall clock.
 *
 * What a sink of one tape may rely on (sink.h) holds: span numbers, and the uids of processes and threads, are made
 * unique over all of them; times are on one line, that of the first tape. Callsites stay what they were in each tape,
 * but for their ids. Tapes that a rotating recording has written one after the other are one. The same tapes give the
 * same numbers each time. One tape alone passes through untouched, at no cost.
 * Not thread-safe.
 */
#ifndef TAPEBPF_TAPE_MERGE_H
#define TAPEBPF_TAPE_MERGE_H

#include "tape/tape_reader.h"

struct tape_merge;

struct tape_merge_opts {
	const struct tape_reader_ops *ops; /* one a path; NULL: none */
	/* A tape that cannot be opened, by its place among the paths: left out, as long as others can. NULL: it fails all. */
	void (*unopened)(void *ctx, u32 i, const struct diag *d);
	void *ctx;
};

/* Paths as of tape_reader__open; o may be NULL. The tapes that are open are numbered in the order of their paths. */
int tape_merge__open(char *const *path, u32 cnt, const struct tape_merge_opts *o, struct tape_merge **out, struct diag *d);
void tape_merge__free(struct tape_merge *m);

/* As tape_reader__run, for about `bytes` more of all files. */
int tape_merge__run(struct tape_merge *m, const struct sink *sink, u64 bytes);

/* At most so many records, none that has this time or a later one. 0: the end, or negative errno, or: */
enum { TAPE_MERGE_MORE = 1, TAPE_MERGE_REACHED = 2 };
int tape_merge__run_to(struct tape_merge *m, const struct sink *sink, u64 time_ns, u32 records);

/* As tape_reader__peek, of the tape whose turn it is. */
int tape_merge__peek(struct tape_merge *m, u64 *time_ns);

u32 tape_merge__cnt(const struct tape_merge *m);
/* A tape's own reader: for its intro and totals, not to be run. */
const struct tape_reader *tape_merge__reader(const struct tape_merge *m, u32 i);
s64 tape_merge__unix_ns(const struct tape_merge *m, u64 time_ns);
u64 tape_merge__time_ns(const struct tape_merge *m, s64 unix_ns); /* the other way round */
u64 tape_merge__offset(const struct tape_merge *m);
u64 tape_merge__size(const struct tape_merge *m); /* 0: unknown */

#endif
