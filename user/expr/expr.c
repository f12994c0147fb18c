/* SPDX-License-Identifier: MIT */
/*
 * expr.c - what an expression says of a span or event.
 *
 * Most of an expression is about the callsite, and there are few callsites: for each one a plan is made at its first use,
 * which holds the indices of the fields and the nodes that are true or false for all of its spans and events. Most
 * expressions are false for most callsites as a whole, which costs a look into a small table.
 */
#include "expr/expr_priv.h"

#include <errno.h>
#include <string.h>

struct expr *expr__new(const char *text, size_t bytes, struct expr_error *err)
{
	struct expr *e = calloc(1, sizeof(*e));
	struct expr_error ignored;
	int e_no;

	if (!err)
		err = &ignored;
	if (!e) {
		expr_error__set(err, 0, "not enough memory");
		return NULL;
	}
	e_no = expr__parse(e, text, bytes, err);
	if (!e_no)
		return e;
	expr__free(e);
	errno = -e_no;
	return NULL;
}

void expr__forget(struct expr *e)
{
	struct plan *p;

	while ((p = e->all)) {
		e->all = p->next;
		free(p);
	}
	idmap__done(&e->plans);
	memset(e->near, 0, sizeof(e->near));
}

void expr__free(struct expr *e)
{
	if (!e)
		return;
	expr__forget(e);
	for (u32 i = 0; i < e->node_cnt; i++) {
		if (e->node[i].has_regex)
			regfree(&e->node[i].regex);
		free(e->node[i].regex_part);
		if (e->node[i].has_literal)
			literal__done(&e->node[i].literal);
	}
	for (u32 i = 0; i < e->field_cnt; i++)
		free(e->field[i]);
	free(e->scratch);
	free(e->field);
	free(e->node);
	free(e);
}

/* --- one comparison ---------------------------------------------------------------------------------------- */

#define UNORDERED 2 /* NaN */

static bool holds(enum token_kind op, int order)
{
	switch (op) {
	case TOKEN_EQ:
		return order == 0;
	case TOKEN_NE:
		return order != 0;
	case TOKEN_LT:
		return order < 0;
	case TOKEN_LE:
		return order <= 0;
	case TOKEN_GT:
		return order == 1;
	default:
		return order == 0 || order == 1;
	}
}

static int order_float(long double a, long double b)
{
	return a < b ? -1 : a > b ? 1 : a == b ? 0 : UNORDERED;
}

static inline bool in_range(const struct node *n, __int128 i)
{
	return (i >= n->from && i <= n->to) != n->outside;
}

static int order_number(const struct operand_value *v, const struct literal *l)
{
	return order_float(v->type == TYPE_FLOAT ? (long double)v->f : (long double)v->i,
			   l->is_int ? (long double)l->i : (long double)l->f);
}

static int order_text(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	int c = memcmp(a, b, MIN(a_bytes, b_bytes));

	if (!c)
		return a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
	return c < 0 ? -1 : 1;
}

static __attribute__((noinline)) bool matches(const struct expr *e, const struct node *n, const char *text, u32 bytes)
{
	regmatch_t range = {.rm_so = 0};

	/* the end is told beside it, as there may be NULs in it; one behind it is wanted all the same */
	range.rm_eo = (regoff_t)MIN(bytes, EXPR_SCRATCH_BYTES - 1);
	memcpy(e->scratch, text, (size_t)range.rm_eo);
	e->scratch[range.rm_eo] = '\0';
	return !regexec(&n->regex, e->scratch, 1, &range, REG_STARTEND);
}

static inline bool search(const struct expr *e, const struct node *n, const char *text, u32 bytes)
{
	bool is_in = substring__is_in(&n->part, text, bytes);

	if (n->op == TOKEN_REGEX)
		return is_in && matches(e, n, text, bytes);
	return is_in == (n->op == TOKEN_IN);
}

static bool is_order(enum token_kind op)
{
	return op != TOKEN_EQ && op != TOKEN_NE;
}

static bool compare_text(const struct node *n, const struct operand_value *v)
{
	const struct literal *l = &n->literal;
	char tmp[OPERAND_TEXT_BYTES];
	const char *text;
	u32 bytes;
	double f;

	if (v->type != TYPE_TEXT && is_order(n->op))
		return false; /* a number and a text */
	bytes = operand_value__text(v, tmp, &text);
	if (is_order(n->op) && l->is_number)
		return literal__number(text, bytes, &f) && holds(n->op, order_float(f, l->f));
	return holds(n->op, order_text(text, bytes, l->text, l->bytes));
}

static bool compare(const struct expr *e, const struct node *n, const struct operand_value *v)
{
	const struct literal *l = &n->literal;
	char tmp[OPERAND_TEXT_BYTES];
	const char *text;
	u32 bytes;

	if (v->type == TYPE_ABSENT)
		return false;
	if (n->op >= TOKEN_IN) {
		bytes = operand_value__text(v, tmp, &text);
		return search(e, n, text, bytes);
	}
	if (v->type == TYPE_BOOL && l->boolean >= 0)
		return holds(n->op, v->i < l->boolean ? -1 : v->i > l->boolean);
	if (v->type != TYPE_TEXT && v->type != TYPE_FLOAT && n->has_range)
		return in_range(n, v->i);
	if (v->type != TYPE_TEXT && l->is_number)
		return holds(n->op, order_number(v, l));
	return compare_text(n, v);
}

/* --- plans ------------------------------------------------------------------------------------------------- */

s16 callsite__find_field(const struct callsite *c, const char *name)
{
	for (u32 i = 0; i < c->field_cnt; i++)
		if (!strcmp(c->field[i].name, name))
			return (s16)i;
	return -1;
}

static s16 field_of(const struct expr *e, const struct plan *p, const struct callsite *c, const struct operand *o)
{
	if (o->kind != OPERAND_FIELD)
		return -1;
	return p ? p->field[o->slot].field : callsite__find_field(c, e->field[o->slot]);
}

static bool holds_of(const struct expr *e, const struct node *n, const struct operand_value *v)
{
	return n->kind == NODE_HAS ? v->type != TYPE_ABSENT : compare(e, n, v);
}

static bool ask(const struct expr *e, const struct plan *p, const struct node *n, const struct expr_subject *s)
{
	struct operand_value v;

	operand__read(&n->operand, field_of(e, p, s->callsite, &n->operand), s, &v);
	return holds_of(e, n, &v);
}

static enum state leaf_state(const struct expr *e, const struct plan *p, const struct node *n)
{
	struct expr_subject s = {.callsite = p->callsite};
	enum operand_kind kind = n->operand.kind;

	if (kind <= OPERAND_CALLSITE_LAST)
		return ask(e, p, n, &s) ? STATE_TRUE : STATE_FALSE;
	if (kind == OPERAND_FIELD && p->field[n->operand.slot].field < 0)
		return STATE_FALSE;
	return operand_kind__type(kind) == TYPE_TIME && !p->callsite->is_span ? STATE_FALSE : STATE_ASK;
}

enum state state__join(enum state a, enum state b, enum state decides)
{
	if (a == decides || b == decides)
		return decides;
	return a == STATE_ASK || b == STATE_ASK ? STATE_ASK : a;
}

static enum state settle(const struct expr *e, struct plan *p, u32 at)
{
	const struct node *n = &e->node[at];
	enum state a, b, out;

	if (n->kind == NODE_NOT) {
		a = settle(e, p, n->left);
		out = a == STATE_ASK ? a : a == STATE_TRUE ? STATE_FALSE : STATE_TRUE;
	} else if (n->kind == NODE_AND || n->kind == NODE_OR) {
		a = settle(e, p, n->left);
		b = settle(e, p, n->right);
		out = state__join(a, b, n->kind == NODE_AND ? STATE_FALSE : STATE_TRUE);
	} else {
		out = leaf_state(e, p, n);
	}
	return p->state[at] = out;
}

/* What read_there() makes of a type. */
static enum operand_type seen_as(u8 type)
{
	switch (type) {
	case WIRE_T_BOOL:
		return TYPE_BOOL;
	case WIRE_T_I32:
	case WIRE_T_U32:
	case WIRE_T_I64:
	case WIRE_T_U64:
	case WIRE_T_PTR:
		return TYPE_INT;
	case WIRE_T_F64:
		return TYPE_FLOAT;
	case WIRE_T_STR:
	case WIRE_T_BYTES:
	case WIRE_T_ERROR:
		return TYPE_TEXT;
	default:
		return TYPE_ABSENT;
	}
}

static struct place place_of(const struct callsite *c, const char *name)
{
	struct place p = {.field = callsite__find_field(c, name)};

	if (p.field < 0)
		return p;
	p.type = c->field[p.field].type;
	p.bytes = (u8)payload__number_bytes(p.type);
	p.has_sign = p.type == WIRE_T_I32 || p.type == WIRE_T_I64;
	p.payload = payload__place(c, (u32)p.field);
	p.seen_as = p.payload.at < 0 ? TYPE_ABSENT : seen_as(p.type);
	return p;
}

static struct plan *make_plan(struct expr *e, const struct callsite *c)
{
	size_t states = ALIGN_UP(e->node_cnt, sizeof(s16));
	struct plan *p = malloc(sizeof(*p) + states + e->field_cnt * sizeof(*p->field));

	if (!p)
		return NULL;
	p->callsite = c;
	p->field = (struct place *)(p->state + states);
	for (u32 i = 0; i < e->field_cnt; i++)
		p->field[i] = place_of(c, e->field[i]);
	settle(e, p, e->root);
	if (idmap__put(&e->plans, c->id, p)) {
		free(p);
		return NULL;
	}
	p->next = e->all;
	e->all = p;
	return p;
}

static __attribute__((noinline)) struct plan *get_plan(struct expr *e, const struct callsite *c)
{
	struct plan *p = idmap__find(&e->plans, c->id);

	if (!p || p->callsite != c)
		p = make_plan(e, c);
	if (p)
		e->near[c->id % EXPR_NEAR] = p;
	return p;
}

/* NULL without memory: then everything is asked each time. */
static inline struct plan *plan_of(struct expr *e, const struct callsite *c)
{
	struct plan *p = e->near[c->id % EXPR_NEAR];

	return __builtin_expect(p && p->callsite == c, 1) ? p : get_plan(e, c);
}

const struct plan *expr__plan(struct expr *e, const struct callsite *c)
{
	return plan_of(e, c);
}

/* --- the whole --------------------------------------------------------------------------------------------- */

/*
 * From which duration on a node may be true, and from which on it may be false; ~0: from none. One of the two is 0. What is known for good is
 * sure or never; a whole subject leaves nothing else.
 */
struct chance {
	u64 yes, no;
};

static const struct chance sure = {0, ~0ULL}, never = {~0ULL, 0}, open = {0, 0};

/* Its busy and idle time are at most its duration. */
static struct chance chance_of_time(const struct node *n)
{
	__int128 i = n->literal.is_int ? n->literal.i : 0;
	u64 least = i < (__int128)~0ULL ? (u64)i : ~0ULL, above = MAX(least + 1, least);

	if (n->kind == NODE_HAS)
		return sure;
	if (i < 0)
		return open;
	switch (n->op) {
	case TOKEN_EQ:
		return (struct chance){least, !least};
	case TOKEN_NE:
		return (struct chance){!least, least};
	case TOKEN_LT:
		return least ? (struct chance){0, least} : never;
	case TOKEN_LE:
		return (struct chance){0, above};
	case TOKEN_GT:
		return (struct chance){above, 0};
	default:
		return least ? (struct chance){least, 0} : sure;
	}
}

/* Which part of a subject is it about? 0: of the callsite. */
static inline u32 part_of(enum operand_kind kind)
{
	return kind == OPERAND_FIELD ? EXPR_FIELDS : kind > OPERAND_PROCESS ? EXPR_TIMES : kind > OPERAND_CALLSITE_LAST ? EXPR_THREAD : 0;
}

/*
 * A field of one of the usual types, at its place in a record: what operand__read makes of it, in a tenth of the steps. false: it takes the long
 * way, which finds out what is wrong, too.
 */
static __attribute__((always_inline)) inline bool read_there(const struct place *f, const struct rec_payload *p, struct operand_value *v)
{
	struct rec_text t;
	u64 bits;
	u32 at;

	if (f->seen_as == TYPE_ABSENT || !payload__seek(&f->payload, p, &at) || at + f->bytes > p->bytes)
		return false;
	v->wire = f->type;
	v->type = f->seen_as;
	if (f->seen_as == TYPE_TEXT) {
		if (!rec_text__at(&t, p->data + at, p->bytes - at))
			return false;
		v->type = t.null ? TYPE_ABSENT : TYPE_TEXT;
		v->text = (const char *)t.data;
		v->bytes = t.bytes;
		return true;
	}
	bits = payload__number(p->data + at, f->type);
	if (f->seen_as == TYPE_FLOAT)
		memcpy(&v->f, &bits, sizeof(v->f));
	else
		v->i = f->has_sign ? (__int128)(s64)bits : (__int128)bits;
	return true;
}

/* The two comparisons that most conditions are, without the way to them. */
static inline bool holds_there(const struct expr *e, const struct node *n, const struct operand_value *v)
{
	if (v->type == TYPE_INT && n->has_range)
		return in_range(n, v->i);
	if (v->type == TYPE_TEXT && n->op >= TOKEN_IN)
		return search(e, n, v->text, v->bytes);
	return holds_of(e, n, v);
}

static __attribute__((noinline)) struct chance chance_of_leaf(const struct expr *e, const struct plan *p, const struct node *n,
							      const struct expr_subject *s, u32 unknown)
{
	u32 part = part_of(n->operand.kind) & unknown;
	struct operand_value v;
	bool read;

	if (part)
		return part != EXPR_TIMES ? open : s->callsite->is_span ? chance_of_time(n) : never;
	read = operand__read(&n->operand, field_of(e, p, s->callsite, &n->operand), s, &v);
	if (!read && unknown)
		return open; /* let it be seen by who counts it */
	return holds_of(e, n, &v) ? sure : never;
}

static struct chance eval_slowly(const struct expr *e, const struct plan *p, const struct node *n, const struct expr_subject *s, u32 unknown);

static __attribute__((always_inline)) inline struct chance eval(const struct expr *e, const struct plan *p, u32 at, const struct expr_subject *s, u32 unknown)
{
	const struct node *n = &e->node[at];
	struct operand_value v;

	if (p && p->state[at] != STATE_ASK)
		return p->state[at] == STATE_TRUE ? sure : never;
	if (s->fields && p && n->kind >= NODE_HAS && n->operand.kind == OPERAND_FIELD && !(unknown & EXPR_FIELDS) &&
	    read_there(&p->field[n->operand.slot], s->fields, &v))
		return holds_there(e, n, &v) ? sure : never;
	return eval_slowly(e, p, n, s, unknown);
}

/* Its body stands twice: in what is asked for each record, and here. */
static __attribute__((noinline)) struct chance eval_one(const struct expr *e, const struct plan *p, u32 at, const struct expr_subject *s,
							u32 unknown)
{
	return eval(e, p, at, s, unknown);
}

static struct chance chance_of_joint(const struct expr *e, const struct plan *p, const struct node *n, const struct expr_subject *s,
				     u32 unknown)
{
	struct chance a = eval_one(e, p, n->left, s, unknown), b;

	if (n->kind == NODE_NOT)
		return (struct chance){a.no, a.yes};
	/* one side may decide */
	if ((n->kind == NODE_AND ? a.yes : a.no) == ~0ULL)
		return a;
	b = eval_one(e, p, n->right, s, unknown);
	if (n->kind == NODE_AND)
		return (struct chance){MAX(a.yes, b.yes), MIN(a.no, b.no)};
	return (struct chance){MIN(a.yes, b.yes), MAX(a.no, b.no)};
}

static __attribute__((noinline)) struct chance eval_slowly(const struct expr *e, const struct plan *p, const struct node *n,
							   const struct expr_subject *s, u32 unknown)
{
	return n->kind < NODE_HAS ? chance_of_joint(e, p, n, s, unknown) : chance_of_leaf(e, p, n, s, unknown);
}

bool expr__match(struct expr *e, const struct expr_subject *s)
{
	return !eval_one(e, plan_of(e, s->callsite), e->root, s, 0).yes;
}

u64 expr__least_ns(struct expr *e, const struct expr_subject *s, u32 unknown)
{
	return eval(e, plan_of(e, s->callsite), e->root, s, unknown).yes;
}

enum expr_verdict expr__callsite(struct expr *e, const struct callsite *c)
{
	const struct plan *p = plan_of(e, c);

	if (!p || p->state[e->root] == STATE_ASK)
		return EXPR_MAYBE;
	return p->state[e->root] == STATE_TRUE ? EXPR_ALWAYS : EXPR_NEVER;
}

static bool asks(const struct expr *e, enum operand_kind from, enum operand_kind to, u32 *column)
{
	for (u32 i = 0; i < e->node_cnt; i++) {
		const struct node *n = &e->node[i];

		if ((n->kind != NODE_COMPARE && n->kind != NODE_HAS) || n->operand.kind < from || n->operand.kind > to)
			continue;
		if (column)
			*column = n->column;
		return true;
	}
	return false;
}

bool expr__asks_times(const struct expr *e, u32 *column)
{
	return asks(e, OPERAND_DURATION, OPERAND_IDLE, column);
}

bool expr__asks_fields(const struct expr *e)
{
	return asks(e, OPERAND_FIELD, OPERAND_FIELD, NULL);
}

bool expr__asks_thread(const struct expr *e)
{
	return asks(e, OPERAND_THREAD, OPERAND_PROCESS, NULL);
}

bool expr__asks_name(const struct expr *e)
{
	return asks(e, OPERAND_NAME, OPERAND_NAME, NULL);
}
