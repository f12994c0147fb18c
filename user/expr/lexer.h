/* SPDX-License-Identifier: MIT */
/*
 * lexer.h - texts of expressions and triggers as tokens.
 *
 * A word is whatever holds no blank, quote, parenthesis or operator character: names, numbers with units, paths. What it
 * means depends on where it stands, so that is the parser's business.
 */
#ifndef TAPEBPF_LEXER_H
#define TAPEBPF_LEXER_H

#include "expr/expr.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING, /* quoted; its escapes are resolved in `text` */
	TOKEN_LEFT,
	TOKEN_RIGHT,
	TOKEN_NOT,
	TOKEN_AND, /* && only: `and`, `or`, `not` are words */
	TOKEN_OR,
	TOKEN_HAS, /* ? */
	TOKEN_EQ,
	TOKEN_NE,
	TOKEN_LT,
	TOKEN_LE,
	TOKEN_GT,
	TOKEN_GE,
	TOKEN_IN,     /* ~ */
	TOKEN_NOT_IN, /* !~ */
	TOKEN_REGEX,  /* =~ */
	TOKEN_BAD,    /* err is filled */
};

struct token {
	enum token_kind kind;
	u32 column, end;  /* where it is in the text */
	const char *text; /* of words and strings; strings are NUL-terminated, words are not */
	u32 bytes;
};

struct lexer {
	const char *text;
	u32 bytes, at;
	struct token token; /* the one in hand */
	char *string;	    /* resolved strings, one after the other; as much room as the text */
	u32 string_bytes;
	struct expr_error *err;
};

/* What may stand between any two tokens. */
#define EXPR_BLANKS " \t\r\n"

/* 0 with the first token in hand; -EINVAL: text too long; -ENOMEM. err must not be NULL. */
int lexer__init(struct lexer *l, const char *text, size_t bytes, struct expr_error *err);
void lexer__done(struct lexer *l);
void lexer__next(struct lexer *l);

static inline bool token__is_comparison(const struct token *t)
{
	return t->kind >= TOKEN_EQ && t->kind <= TOKEN_REGEX;
}

/* Is it this word, in any case? */
bool token__is(const struct token *t, const char *word);

/* Fill err; returns -EINVAL. */
int expr_error__set(struct expr_error *err, u32 column, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
