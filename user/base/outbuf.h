/* SPDX-License-Identifier: MIT */
/*
 * outbuf.h - a large buffer in front of a stream, for output by the million lines: pieces of text and numbers are put
 * where they belong without a call for each. The first error of writing stays in `error` (errno) and in the stream. Whoever writes to the stream itself asks
 * for it by outbuf__file, so that the order holds. Not thread-safe.
 */
#ifndef TAPEBPF_OUTBUF_H
#define TAPEBPF_OUTBUF_H

#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define OUTBUF_BYTES 65536
#define OUTBUF_NUMBER 24 /* what a number needs at most */

struct outbuf {
	FILE *f;
	int error;
	char *at; /* next free */
	char buf[OUTBUF_BYTES];
};

static inline void outbuf__init(struct outbuf *o, FILE *f)
{
	o->f = f;
	o->error = 0;
	o->at = o->buf;
}

/* Hand what there is on to the stream. */
void outbuf__flush(struct outbuf *o);

/* The stream, with everything in it that came before. */
static inline FILE *outbuf__file(struct outbuf *o)
{
	outbuf__flush(o);
	return o->f;
}

static inline size_t outbuf__left(const struct outbuf *o)
{
	return (size_t)(o->buf + OUTBUF_BYTES - o->at);
}

/* Longer than the room that is left. */
void outbuf__put_long(struct outbuf *o, const char *s, size_t bytes);

static inline void outbuf__put(struct outbuf *o, const char *s, size_t bytes)
{
	if (bytes > outbuf__left(o)) {
		outbuf__put_long(o, s, bytes);
		return;
	}
	memcpy(o->at, s, bytes);
	o->at += bytes;
}

/* A string constant. */
#define OUTBUF_LIT(o, s) outbuf__put(o, s, sizeof(s) - 1)

static inline void outbuf__puts(struct outbuf *o, const char *s)
{
	outbuf__put(o, s, strlen(s));
}

static inline void outbuf__putc(struct outbuf *o, char c)
{
	if (!outbuf__left(o))
		outbuf__flush(o);
	*o->at++ = c;
}

/* Decimal digits of v into dst, without NUL; returns how many (up to 20). */
u32 digits__u64(char *dst, u64 v);
/* Exactly cnt digits, with zeros in front; v has no more. */
void digits__fixed(char *dst, u32 v, u32 cnt);

static inline void outbuf__u64(struct outbuf *o, u64 v)
{
	if (outbuf__left(o) < OUTBUF_NUMBER)
		outbuf__flush(o);
	o->at += digits__u64(o->at, v);
}

static inline void outbuf__s64(struct outbuf *o, s64 v)
{
	if (v < 0)
		outbuf__putc(o, '-');
	outbuf__u64(o, v < 0 ? -(u64)v : (u64)v);
}

static inline void outbuf__fixed(struct outbuf *o, u32 v, u32 cnt)
{
	if (outbuf__left(o) < OUTBUF_NUMBER)
		outbuf__flush(o);
	digits__fixed(o->at, v, cnt);
	o->at += cnt;
}

/* As text__print, text__quote and text__json. */
void outbuf__text(struct outbuf *o, const char *s, size_t bytes);
void outbuf__quote(struct outbuf *o, const char *s, size_t bytes);
void outbuf__json(struct outbuf *o, const char *s, size_t bytes);

#endif
