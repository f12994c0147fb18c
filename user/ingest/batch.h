/* SPDX-License-Identifier: MIT */
/*
 * batch.h - one delivered page image, read record by record.
 *
 * Pure, hostile input: the image is whatever the traced program left in its page. Nothing outside [data, data + len)
 * is read, every size is checked before it is used, every loop ends with the image.
 */
#ifndef TAPEBPF_INGEST_BATCH_H
#define TAPEBPF_INGEST_BATCH_H

#include "ingest/rec.h"

#include <errno.h>
#include <string.h>

/* Clock pairs of the recorder: the oldest it has, and the latest. Zero: none yet. */
struct batch_clock {
	u64 first_ticks, first_ns;
	u64 ticks, ns;
};

struct batch {
	const u8 *data; /* the data area */
	u32 len;	/* bytes of it that are there */
	u32 pre_len;	/* of those, preamble */
	u32 cnt;	/* records that the commit word claims */
	u32 seq;
	u64 first;	/* number of the first record */
	u64 id, module_addr;
	u32 ns_pid, ns_tid;
	u32 too_deep;
	u16 flags; /* WIRE_PAGE_PRE_CUT */
	u8 clock;
	/* ticks -> ns: ns0 + (ticks - ticks0) * ratio, at most max_ns. Beyond d_max it would be more than that. */
	u64 ticks0, ns0, d_max, max_ns;
	double ratio;
	u64 end_ticks, end_ns; /* 0: no end pair */
};

/* The most entries that a page can hold, hence the most that can be open in it as far as it tells. */
#define BATCH_MAX_RECS ((WIRE_DATA_END - WIRE_DATA) / 8)

/*
 * Look at the header of a page image of `bytes` bytes. head_ns: the kernel's time of the delivery; no record is later.
 * -EBADMSG: not a page that we understand. Clock conversion needs batch__clock.
 */
int batch__open(struct batch *b, const void *page, size_t bytes, u64 head_ns);

/* Settle how ticks become time: by the page's own end pair, else by the recorder's pairs, else by the delivery. */
void batch__clock(struct batch *b, const struct batch_clock *clk);

/* Time of the records' clock value. Monotone. */
static inline u64 batch__ns(const struct batch *b, u64 ticks)
{
	u64 d = ticks - b->ticks0;

	if ((s64)d <= 0)
		return b->ns0;
	if (d >= b->d_max)
		return b->max_ns;
	return b->ns0 + (u64)(s64)((double)(s64)d * b->ratio + 0.5);
}

/* A place in the records of a batch: at the record that comes next. */
struct batch_cursor {
	u32 off;  /* of it in the data area */
	u32 size; /* of it */
	u32 head;
	u32 left; /* records that the commit word still promises, this one included */
	u64 ticks;
	u64 number;
};

static inline u32 batch__get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Both: 1 = there is a record at the cursor, 0 = the end, -EBADMSG = what follows is no record. */
int batch__first(const struct batch *b, struct batch_cursor *c);
int batch__pause(const struct batch *b, struct batch_cursor *c);

/* Load the record at the cursor. 0 promised records left is the end, whatever bytes follow. */
static inline int batch__load(const struct batch *b, struct batch_cursor *c)
{
	const u32 least = sizeof(struct wire_rec);
	u32 room;

	if (!c->left)
		return 0;
	if (c->off > b->len || (room = b->len - c->off) < least)
		return -EBADMSG;
	c->head = batch__get32(b->data + c->off);
	c->size = WIRE_HEAD_SIZE(c->head);
	if (c->size < least || c->size > room)
		return -EBADMSG;
	c->ticks += batch__get32(b->data + c->off + 4);
	if (__builtin_expect(WIRE_HEAD_KIND(c->head) == WIRE_R_PAUSE, 0))
		return batch__pause(b, c);
	return 1;
}

static inline int batch__next(const struct batch *b, struct batch_cursor *c)
{
	c->off += c->size;
	c->left--;
	c->number++;
	return batch__load(b, c);
}

/*
 * Decode one record of `size` bytes, its head included: kind, parent, depth, refs and payload of r; *callsite: as in the
 * record (of the ref where there is no other), 0 if it has none. Not the time, number or page.
 * -EBADMSG: shorter than its kind asks for. -ENOTSUP: a kind that we do not know.
 */
int batch__parse(const u8 *rec, u32 size, struct rec *r, u32 *callsite);

/* The same for the kinds that a flood is made of; false: take batch__parse. `rec` has passed batch__load. */
static inline bool batch__parse_usual(const u8 *rec, u32 head, u32 size, struct rec *r, u32 *callsite)
{
	u32 kind = WIRE_HEAD_KIND(head), used = sizeof(struct wire_rec);

	if (kind == WIRE_R_BEGIN || kind == WIRE_R_EVENT) {
		used += 4;
		if (size < used || WIRE_HEAD_PARENT(head) == WIRE_PARENT_EXPLICIT)
			return false;
		*callsite = batch__get32(rec + used - 4);
	} else if (kind == WIRE_R_END) {
		*callsite = 0;
	} else {
		return false;
	}
	r->kind = kind;
	r->parent = WIRE_HEAD_PARENT(head);
	r->depth = WIRE_HEAD_DEPTH(head);
	r->payload = rec + used;
	r->payload_bytes = size - used;
	return true;
}

/* An entry that is open at some place in the batch. */
struct batch_entry {
	u32 off;	/* of the record that tells of it: PRE, BEGIN or ENTER */
	u16 depth;
	u64 number;
	u64 open_ns;
	u64 id;		/* given by NUMBER, else 0 */
};

/* The entries open before record `number`, outermost first: what the preamble says, then what the records up to there
 * did to it. out has room for BATCH_MAX_RECS. Returns how many. */
u32 batch__entries(const struct batch *b, u64 number, struct batch_entry *out);

/* The REC_PRE of an entry, decoded. 0 or -EBADMSG. */
int batch__pre(const struct batch *b, const struct batch_entry *e, struct rec *r, u32 *callsite);

#endif
