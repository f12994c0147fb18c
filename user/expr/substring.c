/* SPDX-License-Identifier: MIT */
/*
 * substring.c - where a part can begin is found 16 or 8 places at a time: those that have its first byte, and its last one so many
 * bytes behind. Nearly always there is none.
 *
 * Rejected: memmem(), which makes a table of the part each time, memchr() for the first byte, which is called again at each `/` of a path,
 * and whatever reads beyond the text's end: behind it the page may end.
 */
#include "expr/substring.h"

#include <string.h>

/* So many places that looked right and were not are tried; a text may be made of such. */
#define MAX_TRIES 16

typedef u8 vec16 __attribute__((vector_size(16)));
typedef u8 vec8 __attribute__((vector_size(8)));

void substring__init(struct substring *part, const char *text, size_t bytes)
{
	*part = (struct substring){.text = text, .bytes = bytes};
	if (!bytes)
		return;
	memset(part->first, text[0], sizeof(part->first));
	memset(part->last, text[bytes - 1], sizeof(part->last));
}

/* From text on. Counts those that are tried. */
static __attribute__((noinline)) bool try_each(const struct substring *part, const char *text, size_t cnt, u32 *tries)
{
	for (size_t i = 0; i < cnt; i++) {
		if ((u8)text[i] != part->first[0] || (u8)text[i + part->bytes - 1] != part->last[0])
			continue;
		++*tries;
		if (!memcmp(text + i, part->text, part->bytes))
			return true;
	}
	return false;
}

/* Bytes that are not 0: there it could begin, of 16 or 8 places from text on. */

static inline vec16 may_begin_16(const struct substring *part, const char *text)
{
	vec16 a, b, first, last;

	memcpy(&a, text, sizeof(a));
	memcpy(&b, text + part->bytes - 1, sizeof(b));
	memcpy(&first, part->first, sizeof(first));
	memcpy(&last, part->last, sizeof(last));
	return (vec16)(a == first) & (vec16)(b == last);
}

static inline vec8 may_begin_8(const struct substring *part, const char *text)
{
	vec8 a, b, first, last;

	memcpy(&a, text, sizeof(a));
	memcpy(&b, text + part->bytes - 1, sizeof(b));
	memcpy(&first, part->first, sizeof(first));
	memcpy(&last, part->last, sizeof(last));
	return (vec8)(a == first) & (vec8)(b == last);
}

static inline bool any_16(vec16 v)
{
	u64 half[2];

	memcpy(half, &v, sizeof(half));
	return half[0] | half[1];
}

static inline bool any_8(vec8 v)
{
	u64 all;

	memcpy(&all, &v, sizeof(all));
	return all;
}

/* Places are `cnt`, at least 16. The last 16 overlap. */
static __attribute__((noinline)) bool is_in_many(const struct substring *part, const char *text, size_t cnt)
{
	u32 tries = 0;
	size_t i;

	for (i = 0; i < cnt; i += 16) {
		i = MIN(i, cnt - 16);
		if (__builtin_expect(!any_16(may_begin_16(part, text + i)), 1))
			continue;
		if (try_each(part, text + i, 16, &tries))
			return true;
		if (tries > MAX_TRIES)
			return memmem(text + i, cnt - i + part->bytes - 1, part->text, part->bytes);
	}
	return false;
}

static __attribute__((noinline)) bool is_in_few(const struct substring *part, const char *text, size_t cnt)
{
	u32 tries = 0;

	if (cnt >= 8 && !any_8(may_begin_8(part, text) | may_begin_8(part, text + cnt - 8)))
		return false;
	return try_each(part, text, cnt, &tries);
}

bool substring__is_in(const struct substring *part, const char *text, size_t bytes)
{
	size_t cnt = bytes - part->bytes + 1;

	if (!part->bytes)
		return true;
	if (bytes < part->bytes)
		return false;
	if (cnt < 16)
		return is_in_few(part, text, cnt);
	/* most texts: at once */
	if (cnt <= 32 && !any_16(may_begin_16(part, text) | may_begin_16(part, text + cnt - 16)))
		return false;
	return is_in_many(part, text, cnt);
}
