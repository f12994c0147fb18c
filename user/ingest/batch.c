/* SPDX-License-Identifier: MIT */
#include "ingest/batch.h"

#define REC_BYTES ((u32)sizeof(struct wire_rec))

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

int batch__open(struct batch *b, const void *page, size_t bytes, u64 head_ns)
{
	struct wire_page h;
	const struct wire_slot *slot;

	if (bytes < sizeof(h))
		return -EBADMSG;
	memcpy(&h, page, sizeof(h));
	if (h.magic != WIRE_PAGE_MAGIC || h.version != WIRE_VERSION || h.clock > 1)
		return -EBADMSG;
	memset(b, 0, sizeof(*b));
	b->seq = WIRE_COMMIT_SEQ(h.commit);
	b->cnt = WIRE_COMMIT_CNT(h.commit);
	slot = &h.slot[b->seq & 1];
	b->first = slot->first;
	/* 2^48 records are 80 days at 40 million a second: what claims more would only make nonsense of the sums. */
	if (b->first >> 48)
		return -EBADMSG;
	b->data = (const u8 *)page + WIRE_DATA;
	b->len = MIN((size_t)WIRE_COMMIT_LEN(h.commit), bytes - WIRE_DATA);
	b->len = MIN(b->len, (u32)(WIRE_DATA_END - WIRE_DATA));
	b->pre_len = h.pre_len[b->seq & 1];
	b->id = h.id;
	b->module_addr = h.module;
	b->ns_pid = h.pid;
	b->ns_tid = h.tid;
	b->too_deep = h.too_deep;
	b->clock = h.clock;
	b->flags = h.flags;
	b->max_ns = head_ns;
	b->ticks0 = slot->ticks;
	b->ns0 = MIN(slot->mono_ns, head_ns);
	if (h.end_seq == b->seq && h.end_ticks > slot->ticks && h.end_ns >= slot->mono_ns) {
		b->end_ticks = h.end_ticks;
		b->end_ns = h.end_ns;
	}
	return 0;
}

/* --- time ---------------------------------------------------------------------------------------------- */

/* A counter between 1 MHz and 1 THz; anything else is a broken pair. */
static bool ratio__sane(double r)
{
	return r > 1e-3 && r < 1e3;
}

static double ratio__of(u64 ticks0, u64 ns0, u64 ticks1, u64 ns1)
{
	return ticks1 > ticks0 && ns1 > ns0 ? (double)(ns1 - ns0) / (double)(ticks1 - ticks0) : 0;
}

/* The last resort, without any second pair: the last record was made just before the delivery. */
static double batch__ratio_by_delivery(const struct batch *b)
{
	struct batch_cursor c;
	u64 last = b->ticks0;
	int n;

	for (n = batch__first(b, &c); n > 0; n = batch__next(b, &c))
		last = c.ticks;
	return ratio__of(b->ticks0, b->ns0, last, b->max_ns);
}

static double batch__ratio(const struct batch *b, const struct batch_clock *clk)
{
	double own = 0, both = 0, all;

	if (!b->clock)
		return 1;
	if (b->end_ticks)
		own = ratio__of(b->ticks0, b->ns0, b->end_ticks, b->end_ns);
	if (ratio__sane(own))
		return own;
	/* From the batch's start to the recorder's last pair: follows the clock's slewing, if far enough apart for
	 * the jitter of taking a pair (some 100 ns) not to matter. */
	both = ratio__of(b->ticks0, b->ns0, clk->ticks, clk->ns);
	if (ratio__sane(both) && clk->ns - b->ns0 >= NSEC_PER_MSEC)
		return both;
	all = ratio__of(clk->first_ticks, clk->first_ns, clk->ticks, clk->ns);
	if (ratio__sane(all) && clk->ns - clk->first_ns >= NSEC_PER_MSEC)
		return all;
	if (ratio__sane(both))
		return both;
	all = batch__ratio_by_delivery(b);
	return ratio__sane(all) ? all : 1;
}

/* --- the clock that pages share: see batch.h --- */

#define STEER_NS (500 * NSEC_PER_MSEC) /* an error is made good over this time */
#define STEP_NS NSEC_PER_MSEC	       /* a larger one is not: it is another clock from there on */

static struct clock_line *clock__line(const struct batch_clock *c, u64 i)
{
	return (struct clock_line *)&c->line[i % CLOCK_LINES];
}

static u64 line__ns(const struct clock_line *l, u64 ticks)
{
	return l->ns + (u64)((double)(ticks - l->ticks) * l->ratio + 0.5);
}

static void clock__push(struct batch_clock *c, u64 ticks, u64 ns, double ratio)
{
	*clock__line(c, c->cnt++) = (struct clock_line){ ticks, ns, ratio };
}

void batch_clock__add(struct batch_clock *c, u64 ticks, u64 ns)
{
	const struct clock_line *last = clock__line(c, c->cnt - 1);
	double ratio;
	s64 error;

	if (!c->first_ns) {
		c->first_ticks = ticks;
		c->first_ns = ns;
	}
	c->ticks = ticks;
	c->ns = ns;
	ratio = ratio__of(c->first_ticks, c->first_ns, ticks, ns);
	if (ns < c->first_ns + CLOCK_FIRST_NS || !ratio__sane(ratio))
		return;
	if (!c->cnt) {
		clock__push(c, c->first_ticks, c->first_ns, ratio);
		return;
	}
	if (ticks <= last->ticks || ns < last->ns + CLOCK_STEP_NS)
		return;
	error = (s64)(ns - line__ns(last, ticks));
	if (error > (s64)STEP_NS || error < -(s64)STEP_NS) {
		c->cnt = 0;
		c->first_ticks = ticks;
		c->first_ns = ns;
		return;
	}
	/* the pairs of a replay can be further apart than that: no line may overshoot */
	clock__push(c, ticks, line__ns(last, ticks), ratio * (1 + (double)error / MAX(STEER_NS, 2 * (ns - last->ns))));
}

static u64 clock__oldest(const struct batch_clock *c)
{
	return clock__line(c, c->cnt > CLOCK_LINES ? c->cnt : 0)->ticks;
}

/* One more than the number of the line that holds at `ticks`; 0: the clock does not go back so far. */
static u64 clock__find(const struct batch_clock *c, u64 ticks)
{
	u64 i = c->cnt, low = c->cnt > CLOCK_LINES ? c->cnt - CLOCK_LINES : 0, mid;

	if (!i || ticks < clock__oldest(c))
		return 0;
	/* nearly always one of the newest; not so in a replay */
	for (mid = 0; mid < 4; mid++, i--)
		if (clock__line(c, i - 1)->ticks <= ticks)
			return i;
	while (low + 1 < i) { /* line low begins at `ticks` or before, line i after it */
		mid = low + (i - low) / 2;
		if (clock__line(c, mid)->ticks <= ticks)
			low = mid;
		else
			i = mid;
	}
	return low + 1;
}

/* A program whose counter or whose CLOCK_MONOTONIC is not ours (a time namespace) keeps its own pairs. */
static bool clock__agrees(const struct batch *b, const struct batch_clock *c)
{
	u64 i = clock__find(c, b->ticks0), ns;

	if (!i)
		return c->cnt && clock__oldest(c) > b->ticks0;
	ns = line__ns(clock__line(c, i - 1), b->ticks0);
	return MAX(ns, b->ns0) - MIN(ns, b->ns0) < STEP_NS;
}

void batch__clock(struct batch *b, const struct batch_clock *clk)
{
	double d_max;

	b->ratio = batch__ratio(b, clk);
	d_max = (double)(b->max_ns - b->ns0) / b->ratio;
	b->d_max = d_max < 0x1p52 ? (u64)d_max : 1ULL << 52;
	b->line_d = 0;
	b->clk = b->clock && clock__agrees(b, clk) ? clk : NULL;
	b->steady = !b->clk || clock__oldest(clk) <= b->ticks0;
}

static void line__set(struct batch *b, u64 ticks, u64 ns, u64 d, double ratio)
{
	b->line_ticks = ticks;
	b->line_ns = ns;
	b->line_d = d;
	b->line_ratio = ratio;
}

static void line__own(struct batch *b, u64 ticks)
{
	u64 d = ticks - b->ticks0;

	if ((s64)d < 0)
		line__set(b, ticks, b->ns0, 1, 0);
	else if (d >= b->d_max)
		line__set(b, ticks, b->max_ns, 1, 0);
	else
		line__set(b, b->ticks0, b->ns0, b->d_max, b->ratio);
}

/* The line that holds at `ticks`. */
void batch__line(struct batch *b, u64 ticks)
{
	const struct batch_clock *c = b->clk;
	u64 i = c ? clock__find(c, ticks) : 0;
	const struct clock_line *l;

	if (!i) {
		line__own(b, ticks);
		if (c && c->cnt) /* not into the shared clock's time */
			b->line_d = MIN(b->line_d, clock__oldest(c) - b->line_ticks);
		return;
	}
	l = clock__line(c, i - 1);
	/* The last line holds for now; there may be another tomorrow. */
	line__set(b, l->ticks, l->ns, (i < c->cnt ? clock__line(c, i)->ticks : ticks + 1) - l->ticks, l->ratio);
}

/* --- records ------------------------------------------------------------------------------------------- */

int batch__pause(const struct batch *b, struct batch_cursor *c)
{
	if (c->size < REC_BYTES + 8)
		return -EBADMSG;
	/* Absolute. Backwards would be a counter that is not one: time stands still instead. */
	c->ticks = MAX(c->ticks, get64(b->data + c->off + REC_BYTES));
	return 1;
}

int batch__first(const struct batch *b, struct batch_cursor *c)
{
	c->off = b->pre_len;
	c->left = b->cnt;
	c->ticks = b->ticks0;
	c->number = b->first;
	c->size = 0;
	if (c->off > b->len)
		return c->left ? -EBADMSG : 0;
	return batch__load(b, c);
}

static void ref__get(struct wire_ref *ref, const u8 *p)
{
	ref->id = get64(p);
	ref->module = get64(p + 8);
	ref->open_ns = get64(p + 16);
	ref->callsite = batch__get32(p + 24);
}

/* What every kind has behind its wire_rec before fields or value begin. */
static const u8 kind_min[16] = {
	[WIRE_R_BEGIN] = 4,
	[WIRE_R_EVENT] = 4,
	[WIRE_R_OPEN] = WIRE_REF_BYTES,
	[WIRE_R_ENTER] = WIRE_REF_BYTES,
	[WIRE_R_EXIT] = WIRE_REF_BYTES,
	[WIRE_R_CLONE] = WIRE_REF_BYTES,
	[WIRE_R_DROP] = WIRE_REF_BYTES,
	[WIRE_R_VALUE] = WIRE_REF_BYTES + 4,
	[WIRE_R_FOLLOWS] = 2 * WIRE_REF_BYTES,
	[WIRE_R_NUMBER] = 8,
	[WIRE_R_THREAD_NAME] = sizeof(struct wire_text),
	[WIRE_R_PAUSE] = 8,
};

/* The parts that only some kinds have. p: behind what kind_min promises. */
static void parse__special(const u8 *body, struct rec *r)
{
	u32 v;

	switch (r->kind) {
	case WIRE_R_VALUE:
		v = batch__get32(body + WIRE_REF_BYTES);
		r->value_field = (u8)v;
		r->value_type = v >> 8;
		break;
	case WIRE_R_FOLLOWS:
		ref__get(&r->other, body + WIRE_REF_BYTES);
		break;
	case WIRE_R_NUMBER:
		r->numbered = get64(body);
		break;
	case WIRE_R_THREAD_NAME: /* the payload is the wire_text itself */
		r->payload = body;
		r->payload_bytes += sizeof(struct wire_text);
		break;
	}
}

int batch__parse(const u8 *rec, u32 size, struct rec *r, u32 *callsite)
{
	u32 head = batch__get32(rec), kind = WIRE_HEAD_KIND(head), used = REC_BYTES + kind_min[kind];
	const u8 *body = rec + REC_BYTES;

	*callsite = 0;
	r->kind = kind;
	r->parent = WIRE_HEAD_PARENT(head);
	r->depth = WIRE_HEAD_DEPTH(head);
	r->payload = rec + used;
	if (size < used)
		return -EBADMSG;
	r->payload_bytes = size - used;
	if (kind == WIRE_R_END)
		return 0;
	if (kind == WIRE_R_BEGIN || kind == WIRE_R_EVENT) {
		*callsite = batch__get32(body);
	} else if (kind >= WIRE_R_OPEN && kind <= WIRE_R_FOLLOWS) {
		ref__get(&r->ref, body);
		*callsite = r->ref.callsite;
	} else if (!kind_min[kind]) {
		return -ENOTSUP; /* PRE has no place among the records */
	}
	if (kind >= WIRE_R_VALUE)
		parse__special(body, r);
	else if (r->parent == WIRE_PARENT_EXPLICIT && kind <= WIRE_R_OPEN) {
		if (size - used < WIRE_REF_BYTES)
			return -EBADMSG;
		ref__get(&r->other, rec + used);
		r->payload += WIRE_REF_BYTES;
		r->payload_bytes -= WIRE_REF_BYTES;
	}
	return 0;
}

/* --- what is open -------------------------------------------------------------------------------------- */

static u32 entries__cut(const struct batch_entry *out, u32 n, u32 depth)
{
	while (n && out[n - 1].depth >= depth)
		n--;
	return n;
}

static struct batch_entry *entries__at(struct batch_entry *out, u32 n, u32 depth)
{
	while (n && out[n - 1].depth > depth)
		n--;
	return n && out[n - 1].depth == depth ? &out[n - 1] : NULL;
}

static u32 entries__push(struct batch_entry *out, u32 n, const struct batch_entry *e)
{
	n = entries__cut(out, n, e->depth);
	if (n < BATCH_MAX_RECS)
		out[n++] = *e;
	return n;
}

static u32 entries__apply(struct batch *b, const struct batch_cursor *c,
			  struct batch_entry *out, u32 n)
{
	u32 depth = WIRE_HEAD_DEPTH(c->head);
	struct batch_entry *e;

	switch (WIRE_HEAD_KIND(c->head)) {
	case WIRE_R_BEGIN:
	case WIRE_R_ENTER:
		return entries__push(out, n,
				     &(struct batch_entry){ .off = c->off,
							    .depth = depth,
							    .number = c->number,
							    .open_ns = batch__ns(b, c->ticks) });
	case WIRE_R_END:
		return entries__cut(out, n, depth);
	case WIRE_R_EXIT: /* leaves what is above */
		e = entries__at(out, n, depth);
		if (!e)
			return n;
		memmove(e, e + 1, (out + n - (e + 1)) * sizeof(*e));
		return n - 1;
	case WIRE_R_NUMBER:
		e = entries__at(out, n, depth);
		if (e && c->size >= REC_BYTES + 8)
			e->id = get64(b->data + c->off + REC_BYTES);
		return n;
	}
	return n;
}

/* Offset of the inner record within a PRE record, after its number, time and id have been read; 0: no such record. */
static u32 pre__split(const u8 *p, u32 size, struct batch_entry *e)
{
	u32 used = REC_BYTES + 16, flags;

	if (size < used)
		return 0;
	flags = batch__get32(p + 4);
	e->depth = WIRE_HEAD_DEPTH(batch__get32(p));
	e->number = get64(p + REC_BYTES);
	e->open_ns = get64(p + REC_BYTES + 8);
	if (flags & WIRE_PRE_NUMBERED) {
		if (size < used + 8)
			return 0;
		e->id = get64(p + used);
		used += 8;
	}
	return size - used >= REC_BYTES ? used : 0;
}

static u32 entries__preamble(const struct batch *b, struct batch_entry *out)
{
	u32 end = MIN(b->pre_len, b->len), off = 0, size, n = 0;

	for (; end - off >= REC_BYTES; off += size) {
		struct batch_entry e = { .off = off };
		u32 head = batch__get32(b->data + off);

		size = WIRE_HEAD_SIZE(head);
		if (size < REC_BYTES || size > end - off || WIRE_HEAD_KIND(head) != WIRE_R_PRE)
			break;
		if (pre__split(b->data + off, size, &e))
			n = entries__push(out, n, &e);
	}
	return n;
}

u32 batch__entries(struct batch *b, u64 number, struct batch_entry *out)
{
	u32 n = entries__preamble(b, out);
	struct batch_cursor c;
	int more;

	for (more = batch__first(b, &c); more > 0 && c.number < number; more = batch__next(b, &c))
		n = entries__apply(b, &c, out, n);
	return n;
}

int batch__pre(const struct batch *b, const struct batch_entry *e, struct rec *r, u32 *callsite)
{
	const u8 *p = b->data + e->off;
	u32 size = WIRE_HEAD_SIZE(batch__get32(p)), flags = 0, inner = 0;
	struct batch_entry ignored;
	int err;

	if (WIRE_HEAD_KIND(batch__get32(p)) == WIRE_R_PRE) {
		flags = batch__get32(p + 4);
		inner = pre__split(p, size, &ignored);
	}
	/* Cut inner records may keep the size that they had: what is there counts. */
	err = batch__parse(p + inner, size - inner, r, callsite);
	if (err)
		return err;
	if (r->kind != WIRE_R_BEGIN && r->kind != WIRE_R_ENTER)
		return -EBADMSG;
	r->pre_kind = r->kind;
	r->kind = REC_PRE;
	r->depth = e->depth;
	r->number = e->number;
	r->time_ns = e->open_ns;
	r->numbered = e->id;
	r->pre_flags = flags | (e->id ? WIRE_PRE_NUMBERED : 0);
	if (flags & WIRE_PRE_NO_FIELDS)
		r->payload_bytes = 0;
	return 0;
}
