/* SPDX-License-Identifier: MIT */
/*
 * judge.h - a sink that finds out which spans of a stream an expression is true for, by all that they came to be: the last
 * value of each field, duration and busy time (of a span that was cut off: as far as it came). For a filter that sees the
 * same stream again; a span's end is known too late for one that sees it once.
 *
 * Not thread-safe. Memory: open spans that it is not yet decided for; some 4 bits for each span that it is true for, of
 * streams whose spans are numbered without great gaps.
 */
#ifndef TAPEBPF_JUDGE_H
#define TAPEBPF_JUDGE_H

#include "expr/expr.h"

struct judge;

/* The expression stays the caller's. NULL: no memory. */
struct judge *judge__new(struct expr *e);
void judge__free(struct judge *j);
struct sink judge__sink(struct judge *j);
/* Was it true for the span of this number? After the stream. */
bool judge__wants(const struct judge *j, u64 span);

#endif
