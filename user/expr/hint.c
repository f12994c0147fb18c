/* SPDX-License-Identifier: MIT */
/*
 * hint.c - what of an expression does not fit a callsite, in words. An expression is right whatever fields there are, so a misspelt one is
 * never true and says nothing: who wrote it waits for good.
 */
#include "expr/expr_priv.h"

#include <stdio.h>

/* What would be known of a node if the callsite had all fields. */
static enum state state_with_all(const struct expr *e, const struct plan *p, u32 at)
{
	const struct node *n = &e->node[at];
	enum state a, b;

	if (n->kind >= NODE_HAS)
		return n->operand.kind == OPERAND_FIELD ? STATE_ASK : (enum state)p->state[at];
	a = state_with_all(e, p, n->left);
	if (n->kind == NODE_NOT)
		return a == STATE_ASK ? a : a == STATE_TRUE ? STATE_FALSE : STATE_TRUE;
	b = state_with_all(e, p, n->right);
	return state__join(a, b, n->kind == NODE_AND ? STATE_FALSE : STATE_TRUE);
}

static const char *missing(const struct expr *e, const struct callsite *c)
{
	for (u32 i = 0; i < e->field_cnt; i++)
		if (callsite__find_field(c, e->field[i]) < 0)
			return e->field[i];
	return NULL;
}

static void put_fields(const struct callsite *c, char *dst, size_t bytes)
{
	size_t n = 0;

	for (u32 i = 0; i < c->field_cnt && n < bytes; i++)
		n += (size_t)snprintf(dst + n, bytes - n, "%s%s", i ? ", " : "", c->field[i].name);
	if (n >= bytes && bytes > 3)
		snprintf(dst + bytes - 4, 4, "...");
}

bool expr__hint_missing(struct expr *e, const struct callsite *c, char *dst, size_t bytes)
{
	const struct plan *p = expr__plan(e, c);
	const char *name = missing(e, c);
	char fields[200] = "";

	if (!p || !name || p->state[e->root] != STATE_FALSE || state_with_all(e, p, e->root) == STATE_FALSE)
		return false;
	put_fields(c, fields, sizeof(fields));
	snprintf(dst, bytes, "no field %s in %s %s; it has %s%s", name, c->is_span ? "span" : "event", c->name,
		 c->field_cnt ? "" : "none", fields);
	return true;
}

/* A value that is spelled as a field. */
static bool is_value_like_field(const struct node *n, const struct callsite *c)
{
	return n->kind == NODE_COMPARE && n->operand.kind == OPERAND_FIELD && n->op < TOKEN_IN && !n->literal.quoted &&
	       !n->literal.is_number && n->literal.boolean < 0 && callsite__find_field(c, n->literal.text) >= 0;
}

bool expr__hint_mistaken(const struct expr *e, const struct callsite *c, bool with_names, char *dst, size_t bytes)
{
	const char *kind = c->is_span ? "span" : "event", *word;

	for (u32 i = 0; i < e->node_cnt; i++) {
		const struct node *n = &e->node[i];

		if (n->kind < NODE_HAS)
			continue;
		if (is_value_like_field(n, c)) {
			snprintf(dst, bytes, "%s is a text to compare with here, not the field of %s %s: no two fields are compared", n->literal.text,
				 kind, c->name);
			return true;
		}
		word = n->operand.kind == OPERAND_FIELD ? NULL : operand_kind__word(n->operand.kind);
		if (with_names && word && callsite__find_field(c, word) >= 0) {
			snprintf(dst, bytes, "%s is not the field of %s %s here; that is .%s", word, kind, c->name, word);
			return true;
		}
	}
	return false;
}
