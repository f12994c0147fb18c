/* SPDX-License-Identifier: MIT */
/*
 * filter.h - a sink that passes on the spans and events that an expression is true for, as if the others had never been.
 *
 * A span is judged when it is opened: by its opening values, or where a judge has seen the same stream before, by all that
 * it came to be. Its children hang under the nearest ancestor that is passed on, as they do under a per-layer filter of
 * `tracing`. Callsites, threads and processes pass as they are. Not thread-safe. Memory: open spans.
 */
#ifndef TAPEBPF_FILTER_H
#define TAPEBPF_FILTER_H

#include "expr/judge.h"

struct filter;

/* The expression, the judge (NULL: none) and the sink's context stay the caller's; *to is copied. NULL: no memory. */
struct filter *filter__new(struct expr *e, const struct judge *j, const struct sink *to);
void filter__free(struct filter *f);
struct sink filter__sink(struct filter *f);

#endif
