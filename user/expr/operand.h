/* SPDX-License-Identifier: MIT */
/* operand.h - what an expression can look at: of the callsite, of the thread, times, fields; and the value found there. */
#ifndef TAPEBPF_OPERAND_H
#define TAPEBPF_OPERAND_H

#include "expr/expr.h"

enum operand_kind {
	OPERAND_NAME,
	OPERAND_TARGET,
	OPERAND_MODULE,
	OPERAND_FILE,
	OPERAND_LINE,
	OPERAND_LEVEL,
	OPERAND_KIND, /* span or event */
	OPERAND_CALLSITE_LAST = OPERAND_KIND,
	OPERAND_THREAD, /* name */
	OPERAND_TID,
	OPERAND_PID,
	OPERAND_PROCESS, /* comm */
	OPERAND_DURATION,
	OPERAND_BUSY,
	OPERAND_IDLE,
	OPERAND_FIELD,
};

struct operand {
	enum operand_kind kind;
	char *field; /* OPERAND_FIELD: its name, on the heap */
	u32 slot;    /* OPERAND_FIELD: which of the expression's */
};

enum operand_type { TYPE_ABSENT, TYPE_INT, TYPE_FLOAT, TYPE_BOOL, TYPE_TEXT, TYPE_LEVEL, TYPE_TIME };

struct operand_value {
	enum operand_type type;
	u8 wire; /* of a field: enum wire_type as recorded */
	u32 bytes;
	union {
		__int128 i; /* INT, BOOL, LEVEL, TIME (ns) */
		double f;
		const char *text; /* not NUL-terminated */
	};
};

/* The type that an operand has by itself; TYPE_ABSENT: a field, whose values say it. */
enum operand_type operand_kind__type(enum operand_kind kind);
/* As it is written; not of a field. */
const char *operand_kind__word(enum operand_kind kind);
/* -1: no such word. */
int operand_kind__find(const char *word, size_t bytes);

/* field: index in the callsite of the operand's field, -1: it has none. false: a payload that is malformed up to there, so it has none either. */
bool operand__read(const struct operand *o, int field, const struct expr_subject *s, struct operand_value *out);

#define OPERAND_TEXT_BYTES 48
/* As text, in tmp where it is none yet. Returns the bytes, *text points to them. */
u32 operand_value__text(const struct operand_value *v, char tmp[OPERAND_TEXT_BYTES], const char **text);

#endif
