/* SPDX-License-Identifier: MIT */
/* literal.h - what an operand is compared with: one token, taken as all that it can be. */
#ifndef TAPEBPF_LITERAL_H
#define TAPEBPF_LITERAL_H

#include "expr/lexer.h"

enum literal_unit { UNIT_NONE, UNIT_TIME, UNIT_SIZE };

struct literal {
	char *text; /* as written, without quotes, NUL-terminated; on the heap */
	u32 bytes;
	bool is_number; /* never if it was quoted */
	bool is_int;	/* i is exact; else only f is */
	enum literal_unit unit;
	__int128 i; /* ns, bytes where it has a unit */
	double f;
	s8 boolean; /* -1: it is neither true nor false */
	bool quoted;
};

/* 0 or -ENOMEM. */
int literal__init(struct literal *l, const struct token *t);
void literal__done(struct literal *l);

/* The whole of text as a number without a unit. */
bool literal__number(const char *text, size_t bytes, double *f);

/* enum wire_level by its name; -1: none. */
int literal__level(const struct literal *l);

#endif
