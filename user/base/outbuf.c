/* SPDX-License-Identifier: MIT */
#include "base/outbuf.h"

#include <errno.h>

#include "base/text.h"

static const char pairs[200] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
			       "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
			       "8081828384858687888990919293949596979899";

/* A large piece goes past the stream's own buffer: its errno is known here only. */
static void hand_on(struct outbuf *o, const char *s, size_t bytes)
{
	errno = 0;
	if (bytes && fwrite(s, 1, bytes, o->f) != bytes && !o->error)
		o->error = errno ? errno : EIO;
}

void outbuf__flush(struct outbuf *o)
{
	hand_on(o, o->buf, (size_t)(o->at - o->buf));
	o->at = o->buf;
}

void outbuf__put_long(struct outbuf *o, const char *s, size_t bytes)
{
	outbuf__flush(o);
	if (bytes > OUTBUF_BYTES) {
		hand_on(o, s, bytes);
		return;
	}
	memcpy(o->at, s, bytes);
	o->at += bytes;
}

static u32 count(u64 v)
{
	u32 n = 1;

	for (; v >= 10000; v /= 10000)
		n += 4;
	return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

u32 digits__u64(char *dst, u64 v)
{
	u32 n = count(v), i = n;

	for (; v >= 100; v /= 100) {
		i -= 2;
		memcpy(dst + i, pairs + v % 100 * 2, 2);
	}
	if (v >= 10)
		memcpy(dst, pairs + v * 2, 2);
	else
		*dst = (char)('0' + v);
	return n;
}

void digits__fixed(char *dst, u32 v, u32 cnt)
{
	for (; cnt >= 2; v /= 100) {
		cnt -= 2;
		memcpy(dst + cnt, pairs + v % 100 * 2, 2);
	}
	if (cnt)
		*dst = (char)('0' + v % 10);
}

/* Printable ASCII, without quotes and backslashes: it is spelled as it is everywhere. */
static bool is_plain(const char *s, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		if (s[i] < 0x20 || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

void outbuf__text(struct outbuf *o, const char *s, size_t bytes)
{
	if (is_plain(s, bytes))
		outbuf__put(o, s, bytes);
	else
		text__print(outbuf__file(o), s, bytes);
}

static void put_quoted(struct outbuf *o, const char *s, size_t bytes)
{
	outbuf__putc(o, '"');
	outbuf__put(o, s, bytes);
	outbuf__putc(o, '"');
}

void outbuf__quote(struct outbuf *o, const char *s, size_t bytes)
{
	if (is_plain(s, bytes))
		put_quoted(o, s, bytes);
	else
		text__quote(outbuf__file(o), s, bytes);
}

void outbuf__json(struct outbuf *o, const char *s, size_t bytes)
{
	if (is_plain(s, bytes))
		put_quoted(o, s, bytes);
	else
		text__json(outbuf__file(o), s, bytes);
}
