/* SPDX-License-Identifier: MIT */
/*
 * text.c - see text.h. One decoder feeds three spellings: for terminals, for JSON, and plain UTF-8.
 *
 * An invalid sequence becomes one U+FFFD per maximal subpart (Unicode 15, 3.9, table 3-8), the same count that
 * Rust's from_utf8_lossy and browsers give, so that a value looks alike in every tool.
 */
#include "base/text.h"

#include <string.h>

#define INVALID 0xffffffffu
#define REPLACEMENT "\xef\xbf\xbd"

/* Where the spelled characters go: a stream, or a buffer that takes whole pieces only. */
struct out {
	FILE *f;
	char *dst;
	size_t left; /* in dst, the terminating NUL not counted */
};

/* Length of the sequence that begins with b, and the range of its second byte. */
static int sequence(u8 b, u8 *lo, u8 *hi)
{
	*lo = 0x80;
	*hi = 0xbf;
	if (b < 0x80)
		return 1;
	if (b < 0xc2 || b > 0xf4)
		return 0;
	if (b < 0xe0)
		return 2;
	if (b < 0xf0) {
		if (b == 0xe0)
			*lo = 0xa0; /* shorter forms exist */
		if (b == 0xed)
			*hi = 0x9f; /* surrogates */
		return 3;
	}
	if (b == 0xf0)
		*lo = 0x90;
	if (b == 0xf4)
		*hi = 0x8f; /* behind U+10FFFF */
	return 4;
}

/* Decode one character; *cp is INVALID for a broken sequence. Returns the bytes it takes, at least 1. */
static size_t decode(const char *text, size_t bytes, u32 *cp)
{
	const u8 *s = (const u8 *)text;
	u8 lo, hi;
	int want = sequence(s[0], &lo, &hi), i;
	u32 c;

	*cp = INVALID;
	if (want == 0)
		return 1;
	if (want == 1) {
		*cp = s[0];
		return 1;
	}
	c = s[0] & (0x7f >> want);
	for (i = 1; i < want; i++) {
		if ((size_t)i >= bytes || s[i] < lo || s[i] > hi)
			return i;
		c = c << 6 | (s[i] & 0x3f);
		lo = 0x80;
		hi = 0xbf;
	}
	*cp = c;
	return want;
}

/* Does a terminal act on it, or a reader stumble over it? Bidirectional controls let text lie about its order. */
static bool is_harmful(u32 c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

static bool put(struct out *o, const char *s, size_t bytes)
{
	if (o->f) {
		fwrite(s, 1, bytes, o->f);
		return true;
	}
	if (bytes > o->left) {
		o->left = 0; /* a shorter piece behind it must not slip in */
		return false;
	}
	memcpy(o->dst, s, bytes);
	o->dst += bytes;
	o->left -= bytes;
	return true;
}

static bool put_escape(struct out *o, u32 c)
{
	static const struct {
		u8 c;
		char name[3];
	} named[] = { { '\n', "\\n" }, { '\t', "\\t" }, { '\r', "\\r" } };
	char tmp[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(named); i++)
		if (c == named[i].c)
			return put(o, named[i].name, 2);
	if (c < 0x80)
		return put(o, tmp, snprintf(tmp, sizeof(tmp), "\\x%02x", c));
	return put(o, tmp, snprintf(tmp, sizeof(tmp), "\\u{%x}", c));
}

/* The bytes at the start of s that need no second look: printable ASCII, neither quote nor backslash. */
static size_t plain_run(const char *s, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

static void print(struct out *o, const char *s, size_t bytes, bool quoted)
{
	size_t n;
	u32 c;
	bool ok = true;

	while (bytes && ok) {
		/* a buffer wants to know where it overflows, so there each character goes alone */
		n = o->f ? plain_run(s, bytes) : 0;
		if (n) {
			put(o, s, n);
		} else {
			n = decode(s, bytes, &c);
			if (c == INVALID)
				ok = put(o, REPLACEMENT, 3);
			else if (quoted && (c == '"' || c == '\\'))
				ok = put(o, c == '"' ? "\\\"" : "\\\\", 2);
			else if (is_harmful(c))
				ok = put_escape(o, c);
			else
				ok = put(o, s, n);
		}
		s += n;
		bytes -= n;
	}
}

void text__print(FILE *f, const char *s, size_t bytes)
{
	struct out o = { .f = f };

	print(&o, s, bytes, false);
}

void text__quote(FILE *f, const char *s, size_t bytes)
{
	struct out o = { .f = f };

	fputc('"', f);
	print(&o, s, bytes, true);
	fputc('"', f);
}

char *text__clean(char *dst, size_t dst_bytes, const char *s, size_t bytes)
{
	struct out o = { .dst = dst, .left = dst_bytes ? dst_bytes - 1 : 0 };

	if (!dst_bytes)
		return dst;
	print(&o, s, bytes, false);
	*o.dst = '\0';
	return dst;
}

/* Escapes what JSON demands, and the line separators and controls that break line-wise readers and terminals. */
static void json_char(FILE *f, const char *s, size_t n, u32 c)
{
	if (c == INVALID)
		fwrite(REPLACEMENT, 1, 3, f);
	else if (c == '"' || c == '\\')
		fprintf(f, "\\%c", (char)c);
	else if (c == '\n')
		fputs("\\n", f);
	else if (c == '\t')
		fputs("\\t", f);
	else if (c > 0xffff && is_harmful(c))
		fprintf(f, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
	else if (is_harmful(c))
		fprintf(f, "\\u%04x", c);
	else
		fwrite(s, 1, n, f);
}

void text__json(FILE *f, const char *s, size_t bytes)
{
	size_t n;
	u32 c;

	fputc('"', f);
	while (bytes) {
		n = plain_run(s, bytes);
		if (n) {
			fwrite(s, 1, n, f);
		} else {
			n = decode(s, bytes, &c);
			json_char(f, s, n, c);
		}
		s += n;
		bytes -= n;
	}
	fputc('"', f);
}

char *text__file_name(char *dst, size_t dst_bytes, const char *s, size_t bytes)
{
	struct out o = { .dst = dst, .left = dst_bytes ? dst_bytes - 1 : 0 };
	bool ok = dst_bytes;
	size_t n;
	u32 c;

	for (; bytes && ok; s += n, bytes -= n) {
		n = decode(s, bytes, &c);
		ok = c == INVALID || is_harmful(c) ? put(&o, "_", 1) : put(&o, s, n);
	}
	if (dst_bytes)
		*o.dst = '\0';
	return dst;
}

/* On a terminal: 2 for what East Asia writes in squares and for pictures, 0 for what is set upon the character before it. */
static size_t width(u32 c)
{
	static const struct {
		u32 from, to;
		u8 width;
	} other[] = {
		{0x300, 0x36f, 0},   {0x1100, 0x115f, 2}, {0x1ab0, 0x1aff, 0}, {0x1dc0, 0x1dff, 0}, {0x200b, 0x200d, 0},     {0x20d0, 0x20ff, 0},
		{0x2e80, 0xa4cf, 2}, {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2}, {0xfe00, 0xfe0f, 0}, {0xfe20, 0xfe2f, 0},     {0xfe30, 0xfe6f, 2},
		{0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		if (c >= other[i].from && c <= other[i].to)
			return other[i].width;
	return 1;
}

/* How many columns the cleaned text takes. */
static size_t columns(const char *s, size_t bytes)
{
	size_t room = 4 * bytes + 1, n = 0, left, took; /* \x1b is four for one, nothing is more */
	char *clean = malloc(room), *at;
	u32 c;

	if (!clean)
		return bytes;
	text__clean(clean, room, s, bytes);
	for (at = clean, left = strlen(clean); left; at += took, left -= took) {
		took = decode(at, left, &c);
		n += width(c);
	}
	free(clean);
	return n;
}

void text__point(FILE *f, const char *s, size_t column)
{
	size_t bytes = strlen(s);

	fputs("  ", f);
	text__print(f, s, bytes);
	fprintf(f, "\n%*s^\n", (int)columns(s, MIN(column, bytes)) + 2, "");
}

bool text__is_utf8(const char *s, size_t bytes)
{
	size_t n;
	u32 c;

	for (; bytes; s += n, bytes -= n) {
		n = decode(s, bytes, &c);
		if (c == INVALID)
			return false;
	}
	return true;
}

size_t text__utf8(char *dst, size_t dst_bytes, const char *s, size_t bytes)
{
	struct out o = { .dst = dst, .left = dst_bytes };
	bool ok = true;
	size_t n;
	u32 c;

	for (; bytes && ok; s += n, bytes -= n) {
		n = decode(s, bytes, &c);
		ok = c == INVALID ? put(&o, REPLACEMENT, 3) : put(&o, s, n);
	}
	return o.dst - dst;
}
