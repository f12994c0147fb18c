/* SPDX-License-Identifier: MIT */
/*
 * stacks.h - a tree of stacks with two weights a node: what folded lines, flame graphs and differences are made of.
 *
 * Nodes and frames are numbers that stay valid; 0 is the root, which has no frame. Memory is bounded by STACKS_MAX_*:
 * what does not fit is added to one node, "(other stacks)", and counted. Not thread-safe.
 */
#ifndef TAPEBPF_STACKS_H
#define TAPEBPF_STACKS_H

#include "base/util.h"

#define STACKS_ROOT 0u
#define STACKS_MAX_DEPTH 1024	       /* deeper frames count for the one at this depth, or at that of stacks__limit */
#define STACKS_MAX_NODES (256u * 1024) /* 24 MiB with their index */
#define STACKS_MAX_TEXT (12u << 20)    /* of all frames */
#define STACKS_OTHER "(other stacks)"

struct stacks_node {
	u32 parent, frame;
	u32 depth; /* of the root: 0 */
	u32 hits;  /* times that something was added, 0 counts too */
	u64 self[2];
	/* by stacks__index() */
	u32 first, next; /* children in order of their frames' texts; 0: none */
	u64 total[2];	 /* self and all below */
};

struct stacks;

struct stacks *stacks__new(void); /* NULL: no memory */
void stacks__free(struct stacks *s);
/* No deeper than that (1 to STACKS_MAX_DEPTH). Before the first child. */
void stacks__limit(struct stacks *s, u32 depth);
u32 stacks__depth(const struct stacks *s); /* the limit */
/* Were there frames beyond it? Whoever does not ask for a child because of the limit says so. */
bool stacks__deeper(const struct stacks *s);
void stacks__set_deeper(struct stacks *s);

/* The number of a text (any bytes); the same for the same bytes. -ENOMEM; too much text: that of STACKS_OTHER. */
s64 stacks__frame(struct stacks *s, const char *text, size_t bytes);
const char *stacks__text(const struct stacks *s, u32 frame, u32 *bytes); /* NUL behind it */
u32 stacks__frame_cnt(const struct stacks *s);

/* The node of a frame under a node. At STACKS_MAX_DEPTH the parent itself. -ENOMEM. */
s64 stacks__child(struct stacks *s, u32 parent, u32 frame);

/* side: 0, or 1 for what a difference compares with. Saturates. */
void stacks__add(struct stacks *s, u32 node, int side, u64 value);

u32 stacks__cnt(const struct stacks *s); /* nodes, the root included */
const struct stacks_node *stacks__node(const struct stacks *s, u32 node);
u64 stacks__other(const struct stacks *s); /* names and stacks that went to STACKS_OTHER */

/* Fill in first, next and total: to be called after the last add. 0, -ENOMEM. */
int stacks__index(struct stacks *s);

/* In order: every node after its parent, children by their frames. 0: no more. Needs the index. */
u32 stacks__next(const struct stacks *s, u32 node);

/* All stacks turned round, leaf first, so many frames of each; NULL: no memory. */
struct stacks *stacks__reverse(const struct stacks *s, u32 depth);

#endif
