/* SPDX-License-Identifier: MIT */
#include "expr/lexer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int expr_error__set(struct expr_error *err, u32 column, const char *fmt, ...)
{
	va_list ap;

	err->column = column;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int lexer__init(struct lexer *l, const char *text, size_t bytes, struct expr_error *err)
{
	*l = (struct lexer){.text = text, .bytes = (u32)bytes, .err = err};
	if (bytes > EXPR_MAX_BYTES)
		return expr_error__set(err, EXPR_MAX_BYTES, "longer than %d bytes", EXPR_MAX_BYTES);
	/* a NUL behind each string, which has at least two quotes around it */
	l->string = malloc(bytes + 1);
	if (!l->string) {
		expr_error__set(err, 0, "not enough memory");
		return -ENOMEM;
	}
	lexer__next(l);
	return 0;
}

void lexer__done(struct lexer *l)
{
	free(l->string);
}

bool token__is(const struct token *t, const char *word)
{
	return t->kind == TOKEN_WORD && strlen(word) == t->bytes && !strncasecmp(t->text, word, t->bytes);
}

static bool in_word(char c)
{
	return (u8)c > ' ' && c != 0x7f && !strchr("()!<>=~&|?\"'", c);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character behind a backslash, at l->at. -1: none that is known. */
static int escape(struct lexer *l)
{
	static const char from[] = "nrt\\\"'", to[] = "\n\r\t\\\"'";
	char c = l->at < l->bytes ? l->text[l->at++] : '\0';
	const char *known = c ? strchr(from, c) : NULL;
	int high, low;

	if (known)
		return (u8)to[known - from];
	if (c != 'x' || l->bytes - l->at < 2)
		return -1;
	high = hex_digit(l->text[l->at]);
	low = hex_digit(l->text[l->at + 1]);
	l->at += 2;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static void bad(struct lexer *l, u32 column, const char *why)
{
	expr_error__set(l->err, column, "%s", why);
	l->token.kind = TOKEN_BAD;
	l->at = l->bytes;
}

static void string(struct lexer *l)
{
	char quote = l->text[l->at++];
	char *out = l->string + l->string_bytes, *start = out;

	while (l->at < l->bytes && l->text[l->at] != quote) {
		u32 column = l->at;
		int c = (u8)l->text[l->at++];

		if (c == '\\')
			c = escape(l);
		if (c < 0) {
			bad(l, column, "no such escape: want \\n, \\r, \\t, \\\\, \\\", \\' or \\xNN");
			return;
		}
		*out++ = (char)c;
	}
	if (l->at == l->bytes) {
		bad(l, l->token.column, "the string has no end");
		return;
	}
	l->at++;
	*out = '\0';
	l->token.kind = TOKEN_STRING;
	l->token.text = start;
	l->token.bytes = (u32)(out - start);
	l->string_bytes += l->token.bytes + 1;
}

/* The operator at l->at, the longest that fits; TOKEN_BAD: none. */
static enum token_kind operator(const struct lexer *l, u32 *bytes)
{
	static const struct {
		char text[3];
		u8 kind;
	} known[] = {
		{"&&", TOKEN_AND}, {"||", TOKEN_OR}, {"==", TOKEN_EQ}, {"!=", TOKEN_NE}, {"<=", TOKEN_LE}, {">=", TOKEN_GE},
		{"!~", TOKEN_NOT_IN}, {"=~", TOKEN_REGEX}, {"=", TOKEN_EQ}, {"<", TOKEN_LT}, {">", TOKEN_GT}, {"~", TOKEN_IN},
		{"!", TOKEN_NOT}, {"?", TOKEN_HAS}, {"(", TOKEN_LEFT}, {")", TOKEN_RIGHT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		*bytes = (u32)strlen(known[i].text);
		if (l->bytes - l->at >= *bytes && !memcmp(l->text + l->at, known[i].text, *bytes))
			return known[i].kind;
	}
	return TOKEN_BAD;
}

static void one_token(struct lexer *l)
{
	struct token *t = &l->token;
	char c = l->text[l->at];
	u32 bytes;

	if (c == '"' || c == '\'') {
		string(l);
		return;
	}
	t->kind = operator(l, &bytes);
	if (t->kind != TOKEN_BAD) {
		l->at += bytes;
		return;
	}
	while (l->at < l->bytes && in_word(l->text[l->at]))
		l->at++;
	if (l->at == t->column) {
		bad(l, t->column, c == '&' ? "want && or `and`" : c == '|' ? "want || or `or`" : "a character that means nothing here");
		return;
	}
	t->kind = TOKEN_WORD;
	t->text = l->text + t->column;
	t->bytes = l->at - t->column;
}

void lexer__next(struct lexer *l)
{
	if (l->token.kind == TOKEN_BAD)
		return;
	while (l->at < l->bytes && l->text[l->at] && strchr(EXPR_BLANKS, l->text[l->at]))
		l->at++;
	l->token = (struct token){.kind = TOKEN_END, .column = l->at};
	if (l->at < l->bytes)
		one_token(l);
	l->token.end = l->at;
}
