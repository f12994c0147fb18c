/* SPDX-License-Identifier: MIT */
/* graph.h - stacks as a flame graph, an icicle, or the difference of two. */
#ifndef TAPEBPF_GRAPH_H
#define TAPEBPF_GRAPH_H

#include "fold/svg_page.h"
#include "fold/stacks.h"

#define GRAPH_MAX_FRAMES 40000 /* drawn; beyond it narrower ones are left out */

/* Needs stacks__index(). diff: side 0 is before, side 1 after; widths are after's, colours say what has changed.
 * normalize: before is scaled to after's total. 0 or -ENOMEM; errors of writing stay in f. */
int graph__write(FILE *f, const struct page_opts *o, const struct stacks *s, bool diff, bool normalize);

#endif
