/* SPDX-License-Identifier: MIT */
/*
 * filter.h - a sink that passes on the spans and events that an expression is true for, as if the others had never been.
 *
 * A span is judged once, when it is opened, by its opening values; its children hang under the nearest ancestor that is
 * passed on, as they do under a per-layer filter of `tracing`. Callsites, threads and processes pass as they are.
 * Not thread-safe. Memory: open spans.
 */
#ifndef TAPEBPF_FILTER_H
#define TAPEBPF_FILTER_H

#include "expr/expr.h"

struct filter;

/* The expression and the sink's context stay the caller's; *to is copied. NULL: no memory. */
struct filter *filter__new(struct expr *e, const struct sink *to);
void filter__free(struct filter *f);
struct sink filter__sink(struct filter *f);

#endif
