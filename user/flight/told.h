/* SPDX-License-Identifier: MIT */
/*
 * told.h - what has been said of spans that are still open, and has left the ring.
 *
 * A batch carries the entries that are open on its thread with the fields they were begun with, and nothing else: not the spans
 * opened by hand, nor values recorded later, nor follows_from. So when a generation is evicted, the batches that hold such records
 * (WIRE_PAGE_TOLD) are read, and of each span that is still open what was said last is kept: to be replayed in front of the ring.
 *
 * Threads deliver in no order: a handle may be dropped by a batch that leaves long before the one that opens the span. So a span is
 * known from the first word about it, by a sum of handles that may be negative; when it has been opened and the sum is 0 it
 * seems to be over, and of those the last thousand are kept, as a CLONE may still come. Exact but for this: a span whose last handle was dropped is held by entries and children too; those are not followed, so such a
 * one is known by name and time alone, as its ref tells. A parent is known if it was named, or entered by hand.
 *
 * Bounded: max_bytes in all; what is dropped for it, the oldest first, is counted. Not thread-safe.
 */
#ifndef TAPEBPF_FLIGHT_TOLD_H
#define TAPEBPF_FLIGHT_TOLD_H

#include "base/idmap.h"
#include "flight/generations.h"

#include <string.h>

struct told_span;
struct told_thread;

static inline bool rec_kind__is_told(u32 kind)
{
	return kind == WIRE_R_OPEN || (kind >= WIRE_R_CLONE && kind <= WIRE_R_NUMBER);
}

/* Is there a word in it that holds beyond it? Of a valid record, so many bytes long. */
static inline bool rec__tells(const struct wire_head *h, u32 bytes)
{
	const struct wire_page *p = (const void *)((const struct wire_batch *)h + 1);
	u32 head;

	if (h->kind == WIRE_BATCH || h->kind == FLIGHT_ADOPT)
		return bytes >= sizeof(struct wire_batch) + WIRE_DATA && p->flags & WIRE_PAGE_TOLD;
	if (h->kind != WIRE_IMMEDIATE || bytes < sizeof(*h) + sizeof(struct wire_imm) + sizeof(struct wire_rec))
		return false;
	memcpy(&head, (const u8 *)(h + 1) + sizeof(struct wire_imm), sizeof(head));
	return rec_kind__is_told(WIRE_HEAD_KIND(head));
}

struct told {
	struct idmap spans;   /* by pid and id; chains */
	struct idmap threads; /* the living of which something is kept, by tid */
	struct told_span *oldest; /* all, in the order in which they became known */
	struct told_span *over;	  /* of them, those that seem to be over */
	u32 over_cnt;
	u64 max_bytes, bytes, cnt;
	u64 dropped; /* spans of which something was kept, so far */
	u64 changes; /* so far */
};

void told__init(struct told *t, u64 max_bytes);
void told__done(struct told *t);

/* A record leaves the ring, one that tells, or the end of a thread or a process; those of a thread in their order. */
void told__take(struct told *t, const struct wire_head *h);

/*
 * As records of WIRE_IMMEDIATE and WIRE_EXIT, each padded to 8 with a zero byte behind it. Those that are about a block's span (ref.id
 * 0) have its BEGIN's number in imm.at: for whom, see snapshot_replay.c. Call with to NULL for the room.
 */
u64 told__copy(const struct told *t, u8 *to);

#endif
