/* SPDX-License-Identifier: MIT */
/*
 * expr_parse.c - text into a tree, by recursive descent.
 *
 *	or	   = and { ("or" | "||") and }
 *	and	   = not { ("and" | "&&") not }
 *	not	   = ("not" | "!") not | "(" or ")" | operand ("?" | comparison literal)
 *
 * What can be known to be wrong is said here, with its column: a level that does not exist, a duration without a unit, an
 * order on names. Fields alone are not judged: their types are the program's.
 */
#include "expr/expr_priv.h"
#include "expr/regex_part.h"

#include <errno.h>
#include <string.h>

#define MAX_NESTING 100

struct parser {
	struct lexer lex;
	struct expr *e;
	u32 nesting;
};

static int no_memory(struct parser *p)
{
	expr_error__set(p->lex.err, 0, "not enough memory");
	return -ENOMEM;
}

static int fail(struct parser *p, const char *why)
{
	if (p->lex.token.kind == TOKEN_BAD)
		return -EINVAL; /* the lexer has said it */
	return expr_error__set(p->lex.err, p->lex.token.column, "%s", why);
}

/* A node more: its index, or negative. */
static int add_node(struct parser *p, enum node_kind kind, u32 column)
{
	struct expr *e = p->e;

	if (e->node_cnt == e->node_cap) {
		u32 cap = e->node_cap ? e->node_cap * 2 : 8;
		void *more = realloc(e->node, cap * sizeof(*e->node));

		if (!more)
			return no_memory(p);
		e->node = more;
		e->node_cap = cap;
	}
	e->node[e->node_cnt] = (struct node){.kind = kind, .column = column};
	return (int)e->node_cnt++;
}

/* --- operands ---------------------------------------------------------------------------------------------- */

static int find_slot(struct parser *p, const char *name, u32 bytes)
{
	struct expr *e = p->e;
	char **more;

	for (u32 i = 0; i < e->field_cnt; i++)
		if (strlen(e->field[i]) == bytes && !memcmp(e->field[i], name, bytes))
			return (int)i;
	more = realloc(e->field, (e->field_cnt + 1) * sizeof(*more));
	if (!more)
		return no_memory(p);
	e->field = more;
	more[e->field_cnt] = strndup(name, bytes);
	return more[e->field_cnt] ? (int)e->field_cnt++ : no_memory(p);
}

/* The token in hand, a word or a string. A dot in front, or quotes: a field, whatever it is called. */
static int operand(struct parser *p, struct operand *o)
{
	const struct token *t = &p->lex.token;
	bool dot = t->kind == TOKEN_WORD && t->text[0] == '.';
	int kind = t->kind == TOKEN_WORD && !dot ? operand_kind__find(t->text, t->bytes) : -1, slot;

	if (kind >= 0) {
		o->kind = (enum operand_kind)kind;
		return 0;
	}
	if (t->bytes == dot)
		return fail(p, "want the name of a field");
	slot = find_slot(p, t->text + dot, t->bytes - dot);
	if (slot < 0)
		return slot;
	o->kind = OPERAND_FIELD;
	o->slot = (u32)slot;
	return 0;
}

/* --- comparisons ------------------------------------------------------------------------------------------- */

static bool is_order(enum token_kind op)
{
	return op >= TOKEN_LT && op <= TOKEN_GE;
}

static bool is_search(enum token_kind op)
{
	return op >= TOKEN_IN && op <= TOKEN_REGEX;
}

static const char *judge_level(struct node *n)
{
	int level = literal__level(&n->literal);

	if (level < 0)
		return "no such level: want trace, debug, info, warn or error";
	n->literal.is_number = n->literal.is_int = true;
	n->literal.i = level;
	return NULL;
}

static const char *judge_text(const struct node *n)
{
	if (is_order(n->op))
		return "a name has no order: compare with ==, !=, ~, !~ or =~";
	if (n->operand.kind == OPERAND_KIND && !is_search(n->op) && strcmp(n->literal.text, "span") &&
	    strcmp(n->literal.text, "event"))
		return "kind is span or event";
	return NULL;
}

static const char *judge_number(const struct node *n)
{
	if (!n->literal.is_int || n->literal.unit != UNIT_NONE)
		return "want a whole number";
	return NULL;
}

static const char *judge_time(const struct node *n)
{
	if (!n->literal.is_number || (n->literal.unit != UNIT_TIME && n->literal.f != 0))
		return "want a time with its unit, such as 50ms, 1.5s or 2m";
	return NULL;
}

/* Can they be compared at all? Why not; NULL: yes. */
static const char *judge(struct node *n)
{
	enum operand_type type = operand_kind__type(n->operand.kind);

	if (type == TYPE_TEXT)
		return judge_text(n);
	if (type != TYPE_ABSENT && is_search(n->op))
		return "this is no text: compare with ==, !=, <, <=, > or >=";
	return type == TYPE_LEVEL ? judge_level(n) :
	       type == TYPE_TIME  ? judge_time(n) :
	       type == TYPE_INT	  ? judge_number(n) :
				    NULL;
}

static void set_range(struct node *n)
{
	const __int128 most = (__int128)((~(unsigned __int128)0) >> 1);
	__int128 i = n->literal.i;

	n->has_range = n->literal.is_int && !is_search(n->op);
	n->outside = n->op == TOKEN_NE || n->op == TOKEN_GT || n->op == TOKEN_LT;
	n->from = n->op == TOKEN_GT || n->op == TOKEN_LE ? -most - 1 : i;
	n->to = n->op == TOKEN_LT || n->op == TOKEN_GE ? most : i;
}

static int compile_regex(struct parser *p, struct node *n, u32 column)
{
	char why[160];
	int err;

	if (strlen(n->literal.text) != n->literal.bytes)
		return expr_error__set(p->lex.err, column, "a NUL in a regular expression");
	if (!p->e->scratch)
		p->e->scratch = malloc(EXPR_SCRATCH_BYTES);
	if (!p->e->scratch)
		return no_memory(p);
	n->regex_part = malloc(n->literal.bytes + 1);
	if (!n->regex_part)
		return no_memory(p);
	err = regcomp(&n->regex, n->literal.text, REG_EXTENDED | REG_NOSUB);
	n->has_regex = !err;
	if (!err) {
		substring__init(&n->part, n->regex_part, regex_part__find(n->literal.text, n->regex_part));
		return 0;
	}
	regerror(err, &n->regex, why, sizeof(why));
	return expr_error__set(p->lex.err, column, "no regular expression: %s", why);
}

static int literal(struct parser *p, struct node *n)
{
	const struct token *t = &p->lex.token;
	u32 column = t->column;
	const char *why;

	if (t->kind != TOKEN_WORD && t->kind != TOKEN_STRING)
		return fail(p, "want what to compare with: a number, a word, or a string in quotes");
	if (literal__init(&n->literal, t))
		return no_memory(p);
	n->has_literal = true;
	why = judge(n);
	if (why)
		return fail(p, why);
	set_range(n);
	substring__init(&n->part, n->literal.text, n->literal.bytes);
	lexer__next(&p->lex);
	return n->op == TOKEN_REGEX ? compile_regex(p, n, column) : 0;
}

/* A word that joins conditions and compares nothing stands where a condition should. */
static bool is_joint(const struct parser *p)
{
	const struct token *t = &p->lex.token;
	struct lexer ahead = p->lex;

	if (t->kind == TOKEN_AND || t->kind == TOKEN_OR)
		return true;
	if (!token__is(t, "and") && !token__is(t, "or"))
		return false;
	lexer__next(&ahead);
	return !token__is_comparison(&ahead.token) && ahead.token.kind != TOKEN_HAS;
}

static int comparison(struct parser *p)
{
	const struct token *t = &p->lex.token;
	struct operand o = {.kind = OPERAND_FIELD};
	int at, err;

	if (t->kind == TOKEN_END || t->kind == TOKEN_RIGHT || is_joint(p))
		return fail(p, p->e->node_cnt ? "another condition is missing here, such as code==500" :
						"a condition is missing here, such as code==500");
	if (t->kind != TOKEN_WORD && t->kind != TOKEN_STRING)
		return fail(p, "want a name here: of a field, or name, level, duration ...");
	at = add_node(p, NODE_COMPARE, t->column);
	if (at < 0)
		return at;
	err = operand(p, &o);
	if (err)
		return err;
	p->e->node[at].operand = o;
	lexer__next(&p->lex);
	if (t->kind == TOKEN_HAS) {
		p->e->node[at].kind = NODE_HAS;
		lexer__next(&p->lex);
		return at;
	}
	if (!token__is_comparison(t))
		return fail(p, "want a comparison here: ==, !=, <, <=, >, >=, ~, !~, =~, or ? for whether it is there");
	p->e->node[at].op = t->kind;
	lexer__next(&p->lex);
	err = literal(p, &p->e->node[at]);
	return err ? err : at;
}

/* --- and, or, not ------------------------------------------------------------------------------------------ */

static int parse_or(struct parser *p);

static int parse_inner(struct parser *p)
{
	struct lexer *l = &p->lex;
	u32 column = l->token.column;
	int at, inner;

	if (l->token.kind == TOKEN_NOT || token__is(&l->token, "not")) {
		lexer__next(l);
		at = add_node(p, NODE_NOT, column);
		inner = at < 0 ? at : parse_inner(p);
		if (inner < 0)
			return inner;
		p->e->node[at].left = (u32)inner;
		return at;
	}
	if (l->token.kind != TOKEN_LEFT)
		return comparison(p);
	lexer__next(l);
	inner = parse_or(p);
	if (inner < 0)
		return inner;
	if (l->token.kind != TOKEN_RIGHT) {
		if (l->token.kind != TOKEN_END)
			return fail(p, "want `and`, `or` or ) here");
		return expr_error__set(l->err, column, "this parenthesis is not closed");
	}
	lexer__next(l);
	return inner;
}

static int parse_not(struct parser *p)
{
	int at;

	if (++p->nesting > MAX_NESTING)
		return fail(p, "nested too deeply");
	at = parse_inner(p);
	p->nesting--;
	return at;
}

/* One level of `and` or `or`. */
static int chain(struct parser *p, enum node_kind kind, enum token_kind op, const char *word, int (*part)(struct parser *p))
{
	struct lexer *l = &p->lex;
	int left = part(p), right, at;

	while (left >= 0 && (l->token.kind == op || token__is(&l->token, word))) {
		at = add_node(p, kind, l->token.column);
		if (at < 0)
			return at;
		lexer__next(l);
		right = part(p);
		if (right < 0)
			return right;
		p->e->node[at].left = (u32)left;
		p->e->node[at].right = (u32)right;
		left = at;
	}
	return left;
}

static int parse_and(struct parser *p)
{
	return chain(p, NODE_AND, TOKEN_AND, "and", parse_not);
}

static int parse_or(struct parser *p)
{
	return chain(p, NODE_OR, TOKEN_OR, "or", parse_and);
}

int expr__parse(struct expr *e, const char *text, size_t bytes, struct expr_error *err)
{
	struct parser p = {.e = e};
	int root = lexer__init(&p.lex, text, bytes, err);

	if (root)
		return root;
	root = parse_or(&p);
	if (root >= 0 && p.lex.token.kind != TOKEN_END)
		root = fail(&p, "want `and`, `or` or the end here");
	lexer__done(&p.lex);
	if (root < 0)
		return root;
	e->root = (u32)root;
	return 0;
}
