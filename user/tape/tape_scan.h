/* SPDX-License-Identifier: MIT */
/*
 * tape_scan.h - a tape record by record: framing, chapters and bounds, nothing of what the records mean.
 *
 * Both readers stand on it: tape_reader.c, which repairs what it can, and tape_audit.c, which forgives nothing.
 * Memory is one window, whatever the tape's length; reads files and pipes.
 */
#ifndef TAPEBPF_TAPE_SCAN_H
#define TAPEBPF_TAPE_SCAN_H

#include <string.h>

#include "base/diag.h"
#include "tape/tape_format.h"
#include "tape/tape_reader.h"

struct tape_scan;

/*
 * What the two readers may take by themselves: the records from `at` on that end before `safe` are whole in the window and
 * inside their chapter. struct tape_scan begins with it.
 */
struct tape_cursor {
	const u8 *at, *safe;
	u64 base; /* the file's offset of address 0, modulo 2^64 */
};

typedef void (*tape_defect_fn)(void *ctx, const struct tape_defect *d);

/* path "-": standard input. -ENOEXEC: no tape, or one of an unknown major version. */
int tape_scan__open(const char *path, tape_defect_fn defect, void *ctx, struct tape_scan **out, struct diag *d);
void tape_scan__free(struct tape_scan *s);
const struct tape_intro *tape_scan__intro(const struct tape_scan *s);

/* The next record that is not a NOOP: its length is at least the least its kind needs, and inside its chapter.
 * Valid until the next call. 1: a record, 0: the end, negative errno: I/O error. */
int tape_scan__next(struct tape_scan *s, struct tape_raw *r);

static inline struct tape_cursor *tape_scan__cursor(struct tape_scan *s)
{
	return (struct tape_cursor *)s;
}

static inline u64 tape_cursor__offset(const struct tape_cursor *c, const u8 *at)
{
	return c->base + (uintptr_t)at;
}

/* The least that a record of a kind has behind its header; of a NOOP, which has none, more than there can be. */
extern const u32 tape_kind_body[256];

/*
 * The length of the record at `at`, if it is sound: then it may be looked at, and is taken by moving the cursor behind it.
 * 0: only next() can tell (the window's or a chapter's end, a NOOP, a defect).
 */
static inline u32 tape_cursor__bytes(const struct tape_cursor *c, const u8 *at)
{
	u16 bytes;

	if (c->safe - at < TAPE_HEAD_BYTES)
		return 0;
	memcpy(&bytes, at + 1, sizeof(bytes));
	return bytes >= tape_kind_body[at[0]] + TAPE_HEAD_BYTES && bytes <= c->safe - at ? bytes : 0;
}

/* CRC-32C of the file's first `offset` bytes. Offsets must not go back, and not before the record that next() returned
 * last. */
u32 tape_scan__crc(struct tape_scan *s, u64 offset);

u64 tape_scan__offset(const struct tape_scan *s);  /* of the next byte to be looked at */
u64 tape_scan__size(const struct tape_scan *s);	   /* 0: unknown (pipe) */
u64 tape_scan__defects(const struct tape_scan *s); /* reported here */
bool tape_scan__torn(const struct tape_scan *s);   /* the file ends within a record */

/* For the layers above: count a defect and pass it on. */
void tape_scan__defect(struct tape_scan *s, enum tape_defect_kind kind, u64 offset, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* "callsite", "span_open" ...; NULL for numbers without a name. */
const char *tape_kind__name(u8 kind);
/* The least a record of this kind may measure, header included. */
u32 tape_kind__min(u8 kind);

/* "torn", "length" ... */
const char *tape_defect__label(enum tape_defect_kind kind);
const char *tape_defect__meaning(enum tape_defect_kind kind);

#endif
