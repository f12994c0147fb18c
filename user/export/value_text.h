/* SPDX-License-Identifier: MIT */
/*
 * value_text.h - values as people read them, into buffers of fixed size.
 */
#ifndef TAPEBPF_VALUE_TEXT_H
#define TAPEBPF_VALUE_TEXT_H

#include "model/sink.h"

#define VALUE_SCALAR_MAX 48

/* Numbers, truth values and pointers: `-7`, `1.5`, `true`, `0x1f`, `NaN`, `inf`; "(none)" for what is none of these.
 * NUL-terminated; returns its length. */
size_t value__scalar(char dst[VALUE_SCALAR_MAX], const struct value *v);

/*
 * A text that grows up to a bound. What does not fit is cut, at a character's border; nothing follows a cut. It is
 * valid UTF-8 without control characters, whatever goes in: those are shown as text__print shows them.
 */
struct text_buf {
	char *at, *end;
	bool cut;
};

static inline void text_buf__init(struct text_buf *b, char *dst, size_t bytes)
{
	*b = (struct text_buf){ .at = dst, .end = dst + bytes };
}

void text_buf__put(struct text_buf *b, const char *s, size_t bytes);
void text_buf__puts(struct text_buf *b, const char *s);
void text_buf__u64(struct text_buf *b, u64 v);
/* As Rust's Debug would show it: texts in quotes if asked for. */
void text_buf__value(struct text_buf *b, const struct value *v, bool quoted);
/* `message` first and bare (an event without: its name), then `a=1 b="x"`. */
void text_buf__fields(struct text_buf *b, const struct callsite *c, const struct value *v, u32 cnt);

#endif
