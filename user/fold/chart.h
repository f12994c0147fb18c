/* SPDX-License-Identifier: MIT */
/*
 * chart.h - a flame chart: what each thread was in, over time.
 *
 * Memory does not grow with the length of the recording: boxes are bounded. When there are too many, the time that counts
 * as one step (the resolution) doubles, and neighbours in a row that are shorter than it become one box, which says
 * how many they were. A short recording keeps every box, for zooming. Not thread-safe.
 */
#ifndef TAPEBPF_CHART_H
#define TAPEBPF_CHART_H

#include "fold/svg_page.h"
#include "fold/stacks.h"

#define CHART_MAX_BOXES (100u * 1000) /* kept while reading: 5 MiB */
#define CHART_MAX_DRAWN (30u * 1000)
#define CHART_MAX_ROWS 4096 /* of all lanes; what is in further ones is counted */
#define CHART_MAX_DEPTH 512 /* of one lane */

struct chart;
struct chart_lane;

/* The frames' names are those of s, the caller's. NULL: no memory. */
struct chart *chart__new(struct stacks *s);
void chart__free(struct chart *c);

/* A lane of its own with this label (may be ""), kept. NULL: no memory. */
struct chart_lane *chart__lane(struct chart *c, const char *label);
/* In a row of a lane (0: the outermost) something took this time. Within a row: in order of time. 0, -ENOMEM. */
int chart__add(struct chart *c, struct chart_lane *lane, u32 row, u32 frame, u64 from_ns, u64 to_ns);
/* Folded lines as they come: stacks one after the other, each as long as its number. */
int chart__sample(struct chart *c, u32 node, u64 value);
/* After the last sample. */
int chart__samples_done(struct chart *c);

u64 chart__resolution(const struct chart *c); /* 0: nothing was merged */
u64 chart__boxes(const struct chart *c);

/* 0, -ENOMEM; errors of writing stay in f. */
int chart__write(FILE *f, const struct page_opts *o, struct chart *c);

#endif
