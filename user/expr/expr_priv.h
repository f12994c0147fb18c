/* SPDX-License-Identifier: MIT */
/* expr_priv.h - inside an expression: expr_parse.c makes the tree, expr.c walks it. */
#ifndef TAPEBPF_EXPR_PRIV_H
#define TAPEBPF_EXPR_PRIV_H

#include "base/idmap.h"
#include "expr/literal.h"
#include "expr/operand.h"
#include "expr/substring.h"
#include "model/payload.h"

#include <regex.h>

enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_HAS, NODE_COMPARE }; /* the first three are joints */

struct node {
	enum node_kind kind;
	enum token_kind op;
	u32 left, right; /* NOT: left */
	u32 column;
	struct operand operand;
	struct literal literal;
	struct substring part; /* the literal, of a regular expression what cannot be missing: see regex_part.h */
	char *regex_part;      /* its text there */
	regex_t regex;
	bool has_literal, has_regex;
	/* of a comparison with a whole number: it holds for integers from `from` to `to`, or (outside) for all others */
	bool has_range, outside;
	__int128 from, to;
};

/* What is known of a node, or of all, for a callsite. */
enum state { STATE_FALSE, STATE_TRUE, STATE_ASK };

/* Where a callsite has a field. */
struct place {
	s16 field; /* its index, -1: none */
	u8 type;   /* enum wire_type */
	u8 bytes;  /* of a number; 0: it is a text */
	u8 seen_as; /* enum operand_type; TYPE_ABSENT: it takes the long way, see read_there() */
	bool has_sign;
	struct payload_place payload;
};

/* An expression on one callsite: found out once. */
struct plan {
	const struct callsite *callsite;
	struct plan *next;
	struct place *field; /* by slot */
	u8 state[]; /* by node, enum state */
};

#define EXPR_NEAR 64
#define EXPR_SCRATCH_BYTES 65536 /* no text of a record is longer */

struct expr {
	struct node *node;
	u32 node_cnt, node_cap, root;
	char **field; /* names, by slot */
	u32 field_cnt;
	struct plan *near[EXPR_NEAR]; /* some of plans, by the low bits of the callsite's id */
	struct idmap plans;
	struct plan *all;
	char *scratch; /* EXPR_SCRATCH_BYTES, if there is a regular expression */
};

/* expr.c: made if there is none; NULL: no memory. */
const struct plan *expr__plan(struct expr *e, const struct callsite *c);
/* -1: it has none. */
s16 callsite__find_field(const struct callsite *c, const char *name);
/* One side decides for both where it is in the state `decides`. */
enum state state__join(enum state a, enum state b, enum state decides);

/* expr_parse.c: into e, which is empty. 0, -EINVAL, -ENOMEM with *err filled. */
int expr__parse(struct expr *e, const char *text, size_t bytes, struct expr_error *err);

#endif
