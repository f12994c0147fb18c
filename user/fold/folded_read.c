/* SPDX-License-Identifier: MIT */
#include "fold/folded.h"

#include <errno.h>
#include <string.h>

#define CHUNK_BYTES 65536

struct folded_reader {
	FILE *f;
	struct stacks *stacks;
	int side;
	int (*sample)(void *ctx, u32 node, u64 value);
	void *ctx;
	u64 offset, line_no;
	bool ended;
	size_t bytes; /* of the line so far */
	bool too_long;
	char line[FOLDED_MAX_LINE];
};

struct folded_reader *folded__reader(FILE *f, struct stacks *s, int side,
				     int (*sample)(void *ctx, u32 node, u64 value), void *ctx)
{
	struct folded_reader *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	memset(r, 0, offsetof(struct folded_reader, line));
	r->f = f;
	r->stacks = s;
	r->side = side;
	r->sample = sample;
	r->ctx = ctx;
	return r;
}

void folded__free(struct folded_reader *r)
{
	free(r);
}

u64 folded__offset(const struct folded_reader *r)
{
	return r->offset;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static size_t trim(const char *s, size_t bytes)
{
	while (bytes && is_blank(s[bytes - 1]))
		bytes--;
	return bytes;
}

/*
 * A number at the end, behind a blank: returns the bytes before it, or 0 if there is none. A fraction is cut off and
 * noted.
 */
static size_t last_number(const char *s, size_t bytes, u64 *value, bool *fraction)
{
	size_t i = bytes, point = bytes, k;

	while (i && is_digit(s[i - 1]))
		i--;
	if (i && s[i - 1] == '.') {
		point = --i;
		while (i && is_digit(s[i - 1]))
			i--;
	}
	if (i == point || !i || !is_blank(s[i - 1]))
		return 0;
	*value = 0;
	for (k = i; k < point; k++)
		if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, (u64)(s[k] - '0'), value))
			*value = UINT64_MAX;
	*fraction = point < bytes;
	return trim(s, i);
}

/* Blanks around a frame belong to the separator ("; "). */
static s64 path_of(struct stacks *s, const char *text, size_t bytes)
{
	s64 node = STACKS_ROOT, frame;
	size_t end, from = 0, at;

	for (at = 0; at <= bytes; at++) {
		if (at < bytes && text[at] != ';')
			continue;
		end = at;
		while (from < end && is_blank(text[from]))
			from++;
		end = from + trim(text + from, end - from);
		frame = stacks__frame(s, text + from, end - from);
		node = frame < 0 ? frame : stacks__child(s, (u32)node, (u32)frame);
		if (node < 0)
			return node;
		from = at + 1;
	}
	return node;
}

static int take_line(struct folded_reader *r, struct folded_stats *st)
{
	u64 value = 0, before = 0;
	bool fraction = false, second;
	size_t bytes = trim(r->line, r->bytes), stack, two;
	s64 node;

	r->line_no++;
	if (!bytes && !r->too_long)
		return 0;
	stack = r->too_long ? 0 : last_number(r->line, bytes, &value, &fraction);
	if (!stack) {
		if (!st->skipped++)
			st->first_skipped = r->line_no;
		return 0;
	}
	two = last_number(r->line, stack, &before, &second);
	node = path_of(r->stacks, r->line, two ? two : stack);
	if (node < 0)
		return (int)node;
	st->lines++;
	st->fractions += fraction;
	if (two) {
		st->differences++;
		stacks__add(r->stacks, (u32)node, 0, before);
		stacks__add(r->stacks, (u32)node, 1, value);
	} else {
		stacks__add(r->stacks, (u32)node, r->side, value);
	}
	return r->sample ? r->sample(r->ctx, (u32)node, value) : 0;
}

static int take_bytes(struct folded_reader *r, const char *p, size_t n, struct folded_stats *st)
{
	const char *nl;
	size_t part;
	int err = 0;

	while (n && !err) {
		nl = memchr(p, '\n', n);
		part = nl ? (size_t)(nl - p) : n;
		if (part > sizeof(r->line) - r->bytes) {
			r->too_long = true;
		} else {
			memcpy(r->line + r->bytes, p, part);
			r->bytes += part;
		}
		if (nl) {
			err = take_line(r, st);
			r->bytes = 0;
			r->too_long = false;
			part++;
		}
		p += part;
		n -= part;
	}
	return err;
}

int folded__read(struct folded_reader *r, u64 bytes, struct folded_stats *st)
{
	static __thread char chunk[CHUNK_BYTES];
	u64 until = bytes ? r->offset + bytes : UINT64_MAX;
	size_t n;
	int err;

	while (!r->ended && r->offset < until) {
		n = fread(chunk, 1, sizeof(chunk), r->f);
		if (n < sizeof(chunk) && ferror(r->f))
			return errno ? -errno : -EIO;
		r->offset += n;
		err = take_bytes(r, chunk, n, st);
		if (n < sizeof(chunk) && !err) {
			r->ended = true;
			if (r->bytes || r->too_long)
				err = take_line(r, st);
		}
		if (err)
			return err;
	}
	return !r->ended;
}
