/* SPDX-License-Identifier: MIT */
/*
 * tape_merge.h - several tapes as one stream, in the order of the wall clock.
 *
 * What a sink of one tape may rely on (sink.h) holds: span numbers, and the uids of processes and threads, are made
 * unique over all of them; times are on one line, that of the first tape. Callsites stay what they were in each tape,
 * but for their ids. One tape alone passes through untouched, at no cost. Not thread-safe.
 */
#ifndef TAPEBPF_TAPE_MERGE_H
#define TAPEBPF_TAPE_MERGE_H

#include "tape/tape_reader.h"

struct tape_merge;

/* Paths as of tape_reader__open; ops (may be NULL): of each tape, with ctx[i]. The first that cannot be opened fails all. */
int tape_merge__open(char *const *path, u32 cnt, const struct tape_reader_ops *ops, struct tape_merge **out, struct diag *d);
void tape_merge__free(struct tape_merge *m);

/* As tape_reader__run, for about `bytes` more of all files. */
int tape_merge__run(struct tape_merge *m, const struct sink *sink, u64 bytes);

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
