/* SPDX-License-Identifier: MIT */
/*
 * folded.h - stacks as text, a line each: "frame;frame;frame NUMBER". Written as ours or with the separator of a
 * compatible style; read from whoever wrote them: us, tracing-flame, trace-tools ("; " between frames), perf's and
 * inferno's collapsers; two numbers at the end are a difference ("before after").
 */
#ifndef TAPEBPF_FOLDED_H
#define TAPEBPF_FOLDED_H

#include <stdio.h>

#include "fold/stacks.h"

#define FOLDED_MAX_LINE (1u << 20)

struct folded_form {
	const char *separator;
	bool zeros;   /* lines whose number is 0, too */
	bool sides;   /* both numbers */
	double scale; /* with sides, of the first number; 0: as it is */
	bool harmless; /* for a terminal: control characters are shown, not sent */
};

/* One line. */
void folded__line(FILE *f, const struct folded_form *form, const struct stacks *s, u32 node, u64 value);
/* All stacks, merged, in order of their frames. Needs stacks__index(). Errors stay in f. */
void folded__write(FILE *f, const struct folded_form *form, const struct stacks *s);

struct folded_stats {
	u64 lines;	/* that were stacks */
	u64 differences; /* of them: with two numbers */
	u64 skipped;	/* without a number, or longer than FOLDED_MAX_LINE */
	u64 fractions;	/* numbers whose fraction was cut off */
	u64 first_skipped; /* line number from 1, 0: none */
};

struct folded_reader;

/* Stacks go to `side` of s (a difference's lines: to both). sample: each line as it comes, may be NULL. */
struct folded_reader *folded__reader(FILE *f, struct stacks *s, int side,
				     int (*sample)(void *ctx, u32 node, u64 value), void *ctx);
/* Read on for about `bytes`; 0: to the end. 1: there is more, 0: the end, negative errno. */
int folded__read(struct folded_reader *r, u64 bytes, struct folded_stats *st);
u64 folded__offset(const struct folded_reader *r);
void folded__free(struct folded_reader *r);

#endif
