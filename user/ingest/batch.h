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

/*
 * Clock pairs of the recorder: the oldest it has, and the latest (zero: none yet). Out of them a clock is made that all pages
 * share: lines that begin where the one before ends, each steered towards the pair that was measured there. What it has said of
 * some ticks it never takes back, so records of several pages (of one thread in several modules, or of several threads)
 * come in the order of their ticks. Converted by pairs of their own, which differ by the jitter of taking them, a call
 * and its return in another module change places; so they do if the pairs are simply joined by lines, as the last line
 * is another one once its end is known.
 */
#define CLOCK_LINES 4096
#define CLOCK_STEP_NS (20 * NSEC_PER_MSEC)
#define CLOCK_FIRST_NS (2 * NSEC_PER_MSEC) /* two pairs so far apart tell a rate to some 50 ppm, steered away later */

struct clock_line {
	u64 ticks, ns;
	double ratio;
};

struct batch_clock {
	u64 first_ticks, first_ns;
	u64 ticks, ns;
	struct clock_line line[CLOCK_LINES]; /* line[i % CLOCK_LINES] for i below cnt */
	u64 cnt;
};

/* Another pair of the recorder's. */
void batch_clock__add(struct batch_clock *c, u64 ticks, u64 ns);

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
	bool steady; /* one clock holds for all of it */
	/* The batch's own line: ns0 + (ticks - ticks0) * ratio, at most max_ns. Beyond d_max it would be more than that. */
	u64 ticks0, ns0, d_max, max_ns;
	double ratio;
	/* The line in use, from line_ticks on and for line_d ticks. */
	const struct batch_clock *clk;
	u64 line_ticks, line_ns, line_d;
	double line_ratio;
	u64 end_ticks, end_ns; /* 0: no end pair */
};

/* The most entries that a page can hold, hence the most that can be open in it as far as it tells. */
#define BATCH_MAX_RECS ((WIRE_DATA_END - WIRE_DATA) / 8)

/*
 * Look at the header of a page image of `bytes` bytes. head_ns: the kernel's time of the delivery; no record is later.
 * -EBADMSG: not a page that we understand. Clock conversion needs batch__clock.
 */
int batch__open(struct batch *b, const void *page, size_t bytes, u64 head_ns);

/* Settle how ticks become time: by the recorder's pairs, else by the page's own end pair, else by the delivery. clk must stay as
 * long as b is used. */
void batch__clock(struct batch *b, const struct batch_clock *clk);

void batch__line(struct batch *b, u64 ticks);

/* Time of the records' clock value. */
static inline u64 batch__ns(struct batch *b, u64 ticks)
{
	u64 d = ticks - b->line_ticks, ns;

	if (__builtin_expect(d >= b->line_d, 0)) {
		batch__line(b, ticks);
		d = ticks - b->line_ticks;
	}
	ns = b->line_ns + (u64)(s64)((double)(s64)d * b->line_ratio + 0.5);
	return MIN(ns, b->max_ns);
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

/* Load the record at the cursor. 0 promised records left is the end, whatever bytes follow. BATCH_PAUSE: ask batch__pause. */
#define BATCH_PAUSE 2
static inline int batch__load_quick(const struct batch *b, struct batch_cursor *c)
{
	const u32 least = sizeof(struct wire_rec);
	u32 room = b->len - c->off; /* the cursor never stands behind the end: batch__first, and what follows from a size within the room */

	if (!c->left)
		return 0;
	if (__builtin_expect(room < least, 0))
		return -EBADMSG;
	c->head = batch__get32(b->data + c->off);
	c->size = WIRE_HEAD_SIZE(c->head);
	if (__builtin_expect(c->size - least > room - least, 0)) /* below least it is huge */
		return -EBADMSG;
	c->ticks += batch__get32(b->data + c->off + 4);
	return __builtin_expect(WIRE_HEAD_KIND(c->head) == WIRE_R_PAUSE, 0) ? BATCH_PAUSE : 1;
}

static inline int batch__load(const struct batch *b, struct batch_cursor *c)
{
	int more = batch__load_quick(b, c);

	return more == BATCH_PAUSE ? batch__pause(b, c) : more;
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

/* The bit of a kind with this parent, by the low bits of a head. */
#define BATCH_WITH(kind, parent) (1ULL << WIRE_HEAD(kind, parent, 0, 0))

/* One of the kinds that a flood is made of, which batch__usual decodes. */
static inline bool batch__is_usual(u32 head)
{
	const u64 end = BATCH_WITH(WIRE_R_END, 0) | BATCH_WITH(WIRE_R_END, 1) | BATCH_WITH(WIRE_R_END, 2) | BATCH_WITH(WIRE_R_END, 3);
	const u64 sized = (BATCH_WITH(WIRE_R_BEGIN, 0) | BATCH_WITH(WIRE_R_EVENT, 0)) * (1 | 1ULL << 16 | 1ULL << 48);
	u64 this = 1ULL << (head & 63);

	_Static_assert(WIRE_PARENT_EXPLICIT == 2, "the one that is not usual");
	return this & end || (this & sized && head >= WIRE_HEAD(0, 0, 0, sizeof(struct wire_rec) + 4));
}

/*
 * If the record at the cursor is a begin and the next one its end, and that has nothing in it but its head, as all have that tape.h
 * writes: to it. One comparison looks at all that batch__load would. false: the cursor is where it was.
 */
static inline bool batch__to_end(const struct batch *b, struct batch_cursor *c)
{
	const u32 size = sizeof(struct wire_rec), depth = WIRE_HEAD(0, 0, 4095, 0);
	u32 off = c->off + c->size, head;

	if (c->left < 2 || b->len - off < size)
		return false;
	head = batch__get32(b->data + off);
	if (WIRE_HEAD_KIND(c->head) != WIRE_R_BEGIN || head != ((c->head & depth) | WIRE_HEAD(WIRE_R_END, 0, 0, size)))
		return false;
	c->off = off;
	c->size = size;
	c->head = head;
	c->left--;
	c->number++;
	c->ticks += batch__get32(b->data + off + 4);
	return true;
}

/* As batch__parse, of a record that is usual and has passed batch__load. Returns the callsite. */
static inline u32 batch__usual(const u8 *rec, u32 head, struct rec *r)
{
	u32 kind = WIRE_HEAD_KIND(head), bytes = WIRE_HEAD_SIZE(head) - (u32)sizeof(struct wire_rec);

	r->kind = kind;
	r->parent = WIRE_HEAD_PARENT(head);
	r->depth = WIRE_HEAD_DEPTH(head);
	r->payload = rec + sizeof(struct wire_rec);
	r->payload_bytes = bytes;
	if (kind == WIRE_R_END)
		return 0;
	r->payload += 4;
	r->payload_bytes = bytes - 4;
	return batch__get32(rec + sizeof(struct wire_rec));
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
u32 batch__entries(struct batch *b, u64 number, struct batch_entry *out);

/* The REC_PRE of an entry, decoded. 0 or -EBADMSG. */
int batch__pre(const struct batch *b, const struct batch_entry *e, struct rec *r, u32 *callsite);

#endif
