/* SPDX-License-Identifier: MIT */
/*
 * trigger_parse.c - the texts of --on.
 *
 *	trigger = ("span" | "busy" | "open") ":" (short | "(" expression ")" ...)
 *		| "event" ":" (["*" | name] [expression] | expression)
 *		| "exit" | "crash" | "signal"
 *	short	= ["*" | name] (">" | ">=") time [["and"] expression]
 *
 * with blanks wherever one likes. `event:NAME` and `event:EXPRESSION` are told apart by what follows the first word: a comparison makes it an operand.
 */
#include "expr/lexer.h"
#include "expr/literal.h"
#include "flight/trigger_priv.h"

#include <errno.h>
#include <string.h>

struct parser {
	struct trigger *t;
	const char *text; /* behind the colon */
	size_t bytes;
	struct lexer lex;
	u32 cond_at; /* where the condition begins */
	struct expr_error *err;
};

void trigger__free(struct trigger *t)
{
	free(t->text);
	free(t->name);
	expr__free(t->cond);
}

static int no_memory(struct expr_error *err)
{
	expr_error__set(err, 0, "not enough memory");
	return -ENOMEM;
}

/* At the token in hand; columns are those of the part behind the colon. */
static int fail(struct parser *p, const char *why)
{
	if (p->lex.token.kind == TOKEN_BAD)
		return -EINVAL;
	return expr_error__set(p->err, p->lex.token.column, "%s", why);
}

/* The rest from the token in hand on is an expression. */
static int rest(struct parser *p)
{
	u32 from = p->lex.token.column;

	if (p->lex.token.kind == TOKEN_BAD)
		return -EINVAL;
	p->cond_at = from;
	p->t->cond = expr__new(p->text + from, p->bytes - from, p->err);
	if (p->t->cond)
		return 0;
	p->err->column += from;
	return -errno;
}

/* An optional name. `*` is any. */
static int name(struct parser *p)
{
	const struct token *t = &p->lex.token;

	if (t->kind != TOKEN_WORD && t->kind != TOKEN_STRING)
		return 0;
	if (t->kind == TOKEN_STRING || t->bytes != 1 || t->text[0] != '*') {
		p->t->name = strndup(t->text, t->bytes);
		if (!p->t->name)
			return no_memory(p->err);
	}
	lexer__next(&p->lex);
	return 0;
}

static int bound(struct parser *p)
{
	const struct token *t = &p->lex.token;
	struct literal l;
	bool is_time;

	if (t->kind != TOKEN_GT && t->kind != TOKEN_GE)
		return fail(p, "want > and a time here, as in span:NAME>50ms");
	p->t->or_equal = t->kind == TOKEN_GE;
	lexer__next(&p->lex);
	if (t->kind != TOKEN_WORD)
		return fail(p, "want a time here, such as 50ms, 1.5s or 2m");
	if (literal__init(&l, t))
		return no_memory(p->err);
	is_time = l.is_number && l.unit == UNIT_TIME;
	p->t->bound_ns = is_time ? (u64)l.i : 0;
	p->t->bounded = is_time;
	literal__done(&l);
	if (!is_time)
		return fail(p, "want a time with its unit, such as 50ms, 1.5s or 2m");
	lexer__next(&p->lex);
	return 0;
}

/* What may follow a name or a bound. */
static int condition(struct parser *p)
{
	if (token__is(&p->lex.token, "and") || p->lex.token.kind == TOKEN_AND) {
		lexer__next(&p->lex);
		return rest(p);
	}
	return p->lex.token.kind == TOKEN_END ? 0 : rest(p);
}

static int of_span(struct parser *p)
{
	int err;

	if (p->lex.token.kind == TOKEN_LEFT) {
		err = rest(p);
		if (!err && p->t->kind == TRIGGER_OPEN && !expr__asks_times(p->t->cond, NULL))
			return expr_error__set(p->err, 0, "for how long? want a comparison of duration");
		return err;
	}
	err = name(p);
	err = err ? err : bound(p);
	return err ? err : condition(p);
}

/* Is the word in hand an operand, then the whole is an expression. */
static bool is_operand(const struct parser *p)
{
	struct lexer ahead = p->lex;

	lexer__next(&ahead);
	return token__is_comparison(&ahead.token) || ahead.token.kind == TOKEN_HAS;
}

static int of_event(struct parser *p)
{
	const struct token *t = &p->lex.token;
	u32 column;
	int err;

	if (t->kind == TOKEN_END)
		return fail(p, "want the name of an event, or an expression, or * for any");
	if ((t->kind != TOKEN_WORD && t->kind != TOKEN_STRING) || token__is(t, "not") || is_operand(p)) {
		err = rest(p);
	} else {
		err = name(p);
		err = err ? err : condition(p);
	}
	if (!err && p->t->cond && expr__asks_times(p->t->cond, &column))
		return expr_error__set(p->err, p->cond_at + column, "an event has no duration, busy or idle");
	return err;
}

static int parse_rest(struct trigger *t, const char *text, u32 before, struct expr_error *err)
{
	struct parser p = {.t = t, .text = text + before, .bytes = strlen(text) - before, .err = err};
	int e = lexer__init(&p.lex, p.text, p.bytes, err);

	if (!e)
		e = t->kind == TRIGGER_EVENT ? of_event(&p) : of_span(&p);
	lexer__done(&p.lex);
	if (e)
		err->column += before;
	return e;
}

static const struct {
	const char *word;
	enum trigger_kind kind;
	bool more; /* a colon and what it is about */
} kinds[] = {
	{"span", TRIGGER_SPAN, true},	{"busy", TRIGGER_BUSY, true},	{"open", TRIGGER_OPEN, true},
	{"event", TRIGGER_EVENT, true}, {"exit", TRIGGER_EXIT, false},	{"crash", TRIGGER_CRASH, false},
	{"signal", TRIGGER_SIGNAL, false},
};

/* The first word, and what comes behind it. */
struct head {
	size_t word, word_bytes, next;
};

static struct head read_head(const char *text)
{
	struct head h = {.word = strspn(text, EXPR_BLANKS)};

	h.word_bytes = strcspn(text + h.word, ":" EXPR_BLANKS);
	h.next = h.word + h.word_bytes;
	h.next += strspn(text + h.next, EXPR_BLANKS);
	return h;
}

int trigger__parse(struct trigger *t, const char *text, struct expr_error *err)
{
	const struct head h = read_head(text);
	bool more = text[h.next];
	size_t i = 0;

	*t = (struct trigger){.text = strdup(text)};
	if (!t->text)
		return no_memory(err);
	while (i < ARRAY_SIZE(kinds) && (strlen(kinds[i].word) != h.word_bytes || memcmp(kinds[i].word, text + h.word, h.word_bytes)))
		i++;
	if (i == ARRAY_SIZE(kinds))
		return expr_error__set(err, (u32)h.word, "no such trigger: want span:, busy:, open:, event:, exit, crash or signal");
	t->kind = kinds[i].kind;
	if (more && !kinds[i].more)
		return expr_error__set(err, (u32)h.next, "`%s` takes nothing", kinds[i].word);
	if (kinds[i].more && text[h.next] != ':')
		return expr_error__set(err, (u32)h.next, "want a colon here: %s", t->kind == TRIGGER_EVENT ?
				       "event:NAME or event:level>=error" : "as in span:NAME>50ms");
	return more ? parse_rest(t, text, (u32)h.next + 1, err) : 0;
}
