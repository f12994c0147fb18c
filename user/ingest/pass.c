/* SPDX-License-Identifier: MIT */
/*
 * pass.c - from what is held to ops->rec, in time order.
 *
 * Batches are held as they came and decoded where they are passed on: a page's cursor stands at its next record, and
 * its time is the page's key in the heap. The page with the oldest record runs until another source is due; alone on
 * a CPU that is a whole batch without touching the heap.
 *
 * Times are what the program wrote, so they are bounded on both sides: not later than the delivery (the kernel's own
 * time; a record from the future would wait for ever) and not before the page's previous record. Order within a page
 * is always that of the numbers.
 *
 * A turn (ops->turn) is a break between two records; whoever returns INGEST_TURN on its way up leaves everything as if its time were up.
 *
 * Immediate records of a page stand between its records: one with `at` n comes after record n - 1 and before record n,
 * whatever the two clocks say; the later of the two takes the time of the earlier if they disagree.
 */
#include "ingest/stream.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

/* A record of our own making: not one of the program's, so neither late nor early. */
static int pass__note(struct ingest *in, struct page *p, u8 kind, u64 time_ns)
{
	struct rec *r = &in->r;
	int err;

	r->kind = kind;
	r->parent = 0;
	r->pre_flags = kind == REC_RESYNC_END ? p->b.flags & WIRE_PAGE_PRE_CUT : 0;
	r->depth = 0;
	r->time_ns = time_ns;
	r->number = p->opened ? p->cur.number : p->next_num;
	/* A page of which nothing ever came but its mark is not introduced: its thread may be gone from the model. */
	r->page = p->told ? &p->pub : NULL;
	r->pid = p->pub.pid;
	r->tid = p->pub.tid;
	r->module = p->pub.module;
	r->site_addr = 0;
	r->payload = NULL;
	r->payload_bytes = 0;
	r->numbered = 0;
	err = pass__say(in);
	r->pre_flags = 0;
	return err;
}

void pass__page_gone(struct ingest *in, struct page *p)
{
	/* it says nothing of the program, so what becomes of it is of no interest */
	if (p->pub.user)
		pass__note(in, p, REC_PAGE_GONE, MAX(p->last_ns, p->dead_ns));
	p->pub.user = NULL;
}

static int pass__loss(struct ingest *in, struct page *p, u64 count, int cause, u64 time_ns)
{
	in->st.lost[cause] += count;
	in->r.count = count;
	in->r.why = cause;
	in->r.from_ns = p->last_ns ? p->last_ns : MIN(p->pub.id, time_ns);
	p->resync = true;
	return pass__note(in, p, REC_LOSS, time_ns);
}

int pass__lost(struct ingest *in, u64 count, int cause, u32 pid, u32 tid)
{
	struct rec *r = &in->r;

	memset(r, 0, sizeof(*r));
	r->kind = REC_LOSS;
	r->why = cause;
	r->count = count;
	r->time_ns = r->from_ns = in->passed_ns;
	r->number = ~0ULL;
	r->pid = pid;
	r->tid = tid;
	return pass__say(in);
}

int pass__bad_single(struct ingest *in, const struct wire_head *head, int cause)
{
	in->st.bad_singles++;
	return pass__lost(in, 1, cause, head->pid, head->tid);
}

/* --- callsites ----------------------------------------------------------------------------------------- */

static u64 pass__link(struct ingest *in, struct page *p)
{
	if (!p->link && in->ops.module_link)
		p->link = in->ops.module_link(in->ops.ctx, p->pub.module);
	return p->link;
}

/* The callsite of a ref may belong to another module of the process. */
static void rec__site_of_ref(struct ingest *in, struct page *p, struct rec *r)
{
	u64 addr = r->ref.module, link;
	int module = -1;

	r->site_addr = 0;
	if (!r->ref.id)
		return;
	if (in->ops.module_at)
		module = in->ops.module_at(in->ops.ctx, p->pub.pid, addr);
	if (module < 0)
		module = procs__module_at(in, p->pub.pid, addr);
	if (module < 0)
		return;
	link = in->ops.module_link ? in->ops.module_link(in->ops.ctx, module) : 0;
	if (!link)
		return;
	r->module = module;
	r->site_addr = link + (s32)(r->ref.callsite - (u32)addr);
}

static inline u64 pass__site(const struct page *p, u32 callsite)
{
	return p->link + (s32)(callsite - (u32)p->pub.module_addr);
}

static void rec__site(struct ingest *in, struct page *p, struct rec *r, u32 callsite)
{
	bool ref = r->kind >= WIRE_R_OPEN && r->kind <= WIRE_R_FOLLOWS;

	r->module = p->pub.module;
	if (r->kind == REC_PRE && r->pre_kind == WIRE_R_ENTER)
		ref = true;
	if (__builtin_expect(ref && (r->ref.module != p->pub.module_addr || !r->ref.id), 0))
		rec__site_of_ref(in, p, r);
	else
		r->site_addr = callsite ? pass__site(p, callsite) : 0;
}

/* --- what a page has next ------------------------------------------------------------------------------ */

static void page__open(struct ingest *in, struct page *p)
{
	struct held *h = p->queue;

	p->opened = true;
	p->more = 0;
	p->word_end = 0;
	if (h->type != HELD_BATCH)
		return;
	batch__open(&p->b, h->data, h->bytes, h->time_ns); /* has been looked at when it came */
	batch__clock(&p->b, &in->clock);
	p->more = batch__first(&p->b, &p->cur);
	while (p->more > 0 && p->cur.number < h->start)
		p->more = batch__next(&p->b, &p->cur);
	/* What does not decode has been accounted for up to start. */
	p->cur.number = MAX(p->cur.number, h->start);
}

static bool page__imm_is_next(const struct page *p)
{
	const struct held *h = p->queue;

	if (!p->imms)
		return false;
	if (!h || h->type == HELD_LOSS)
		return true;
	/* what an adopted page says is open was so before whatever comes at its place */
	if (h->adopt && p->resync && p->imms->first >= h->start)
		return false;
	return h->type == HELD_BATCH && p->imms->first <= MAX(p->cur.number, h->start);
}

/* Time of what comes next; false: nothing does. */
static bool page__peek(struct ingest *in, struct page *p)
{
	struct held *h = p->queue;
	u64 t;

	if (h && !p->opened)
		page__open(in, p);
	if (page__imm_is_next(p))
		t = p->imms->time_ns;
	else if (!h)
		return false;
	else
		t = p->more > 0 ? batch__ns(&p->b, p->cur.ticks) : h->time_ns;
	p->src.time_ns = MAX(t, p->last_ns);
	return true;
}

int pass__refresh(struct ingest *in, struct page *p)
{
	p->running = false;
	if (page__peek(in, p))
		return merge__place(&in->merge, &p->src);
	merge__remove(&in->merge, &p->src);
	return 0;
}

/* --- passing on from a page ---------------------------------------------------------------------------- */

static void page__pop(struct ingest *in, struct page *p)
{
	struct held *h = p->queue;

	DL_DELETE(p->queue, h);
	held__free(in, h);
	p->opened = false;
}

/* Tell the model what is open on the page before the record at the cursor. */
static int page__resync(struct ingest *in, struct page *p, u64 time_ns)
{
	u32 n = batch__entries(&p->b, p->queue->start, in->entries), i, callsite;
	int err = pass__note(in, p, REC_RESYNC, time_ns);
	struct rec *r = &in->r;

	p->resync = false;
	pass__link(in, p); /* a page's very first delivery has not needed it yet */
	for (i = 0; i < n && !err; i++) {
		if (batch__pre(&p->b, &in->entries[i], r, &callsite))
			continue;
		r->time_ns = MIN(r->time_ns, time_ns);
		rec__site(in, p, r, callsite);
		err = pass__say(in);
	}
	r->pre_flags = 0;
	return err ? err : pass__note(in, p, REC_RESYNC_END, time_ns);
}

static int page__tell(struct ingest *in, struct page *p, u64 time_ns)
{
	if (p->told)
		return 0;
	p->told = true;
	return pass__note(in, p, REC_PAGE, time_ns);
}

/* What has to be said before the first record of a batch. */
static int page__prologue(struct ingest *in, struct page *p)
{
	struct held *h = p->queue;
	u64 t = p->src.time_ns, gap = h->gap;
	int err = page__tell(in, p, t);

	h->gap = 0;
	if (!err && gap)
		err = pass__loss(in, p, gap, p->cause, t);
	if (!err && p->resync && (p->more > 0 || h->adopt))
		err = page__resync(in, p, t);
	return err;
}

/* The rest of the batch does not decode. */
static int page__cut(struct ingest *in, struct page *p)
{
	u64 n = p->queue->end - p->cur.number;

	in->st.malformed++;
	return n ? pass__loss(in, p, n, LOSS_BAD, p->src.time_ns) : 0;
}

/* Put what is the same for all records of a delivery into in->r. Members that only other kinds have are left zero by those. */
static inline void page__ready(struct ingest *in, struct page *p, u16 cpu)
{
	struct rec *r = &in->r;

	r->page = &p->pub;
	r->pid = p->pub.pid;
	r->tid = p->pub.tid;
	r->cpu = cpu;
}

/* The record at the cursor, which is not of the usual kinds. What ops->rec returns; -EBADMSG: cut the batch here. */
static int page__unusual(struct ingest *in, struct page *p)
{
	struct rec *r = &in->r;
	u32 callsite;
	int err = batch__parse(p->b.data + p->cur.off, p->cur.size, r, &callsite);

	if (err == -EBADMSG)
		return err;
	if (err) {
		in->st.malformed++;
		err = pass__loss(in, p, 1, LOSS_BAD, p->src.time_ns);
		p->resync = false; /* a kind from the future: it is one record, the others are understood */
		page__ready(in, p, p->queue->cpu);
		return err == -EBADMSG ? -EIO : err;
	}
	if (r->kind == WIRE_R_PAUSE) {
		in->st.pauses++;
		in->st.emitted--;
		return 0;
	}
	rec__site(in, p, r, callsite);
	p->last_ns = r->time_ns = p->src.time_ns;
	r->number = p->cur.number;
	in->st.received++;
	err = pass__rec(in);
	return err == -EBADMSG ? -EIO : err;
}

/* To the next record; *t becomes its time. What batch__next returns. */
static inline int page__step(struct page *p, struct batch_cursor *c, u64 *t)
{
	struct batch_cursor jump;
	int more;

	c->off += c->size;
	c->left--;
	c->number++;
	more = batch__load_quick(&p->b, c);
	if (__builtin_expect(more == BATCH_PAUSE, 0)) {
		jump = *c; /* so that c itself needs no address */
		more = batch__pause(&p->b, &jump);
		*c = jump;
	}
	if (more > 0) {
		u64 ns = batch__ns(&p->b, c->ticks);

		*t = MAX(ns, *t);
	}
	return more;
}

/*
 * Records of the usual kinds, from the cursor on, while they come before the time `limit` and the number `imm_at`; the first one
 * goes in any case. p->more > 0 afterwards: p->src has the time of the record at the cursor, which is unusual or too late.
 * What changes with each record is kept in registers: this loop is run for every record there is.
 */
static inline int page__run(struct ingest *in, struct page *p, u64 limit, u64 imm_at)
{
	struct batch_cursor c = p->cur;
	u64 t = p->src.time_ns, last;
	struct rec *r = &in->r;
	int more, err = 0;

	r->module = p->pub.module;
	do {
		u32 callsite = batch__usual(p->b.data + c.off, c.head, r);

		r->site_addr = callsite ? pass__site(p, callsite) : 0;
		r->time_ns = last = t;
		r->number = c.number;
		pass__time(in, t);
		if (in->ops.leaf && batch__to_end(&p->b, &c)) {
			u64 ns = batch__ns(&p->b, c.ticks);

			t = MAX(ns, t);
			if (t < limit && c.number < imm_at && in->ops.leaf(in->ops.ctx, r, t)) {
				last = t;
				pass__time(in, t);
				more = page__step(p, &c, &t);
				continue;
			}
			more = 1;
		} else {
			more = page__step(p, &c, &t);
		}
		err = in->ops.rec(in->ops.ctx, r);
	} while (!err && more > 0 && t < limit && c.number < imm_at && batch__is_usual(c.head));
	in->st.received += c.number - p->cur.number;
	p->cur = c;
	p->more = more;
	p->last_ns = last;
	p->src.time_ns = t;
	return __builtin_expect(err == -EBADMSG, 0) ? -EIO : err;
}

/*
 * Records of the open batch until its end, an immediate record, or the rival's time. 0, or what ops->rec returned. p->running:
 * stopped in the middle because the rival is due, p->src says when it goes on; else *done: the batch has been used up.
 */
static int page__records(struct ingest *in, struct page *p, u64 until, u64 rank, bool *done)
{
	u64 imm_at = p->imms ? p->imms->first : ~0ULL, limit = until + (p->src.rank < rank && until != ~0ULL);
	int err = 0;

	page__ready(in, p, p->queue->cpu);
	p->running = false;
	do {
		if (batch__is_usual(p->cur.head)) {
			if (!in->ops.skip)
				err = page__run(in, p, limit, imm_at);
			else if (!skip__some(in, p, limit, imm_at))
				err = page__run(in, p, limit, MIN(imm_at, p->cur.number + 1));
			continue;
		}
		err = page__unusual(in, p);
		p->more = err == -EBADMSG ? err : batch__next(&p->b, &p->cur);
		if (p->more > 0)
			p->src.time_ns = MAX(batch__ns(&p->b, p->cur.ticks), p->last_ns);
		else if (err == -EBADMSG)
			err = 0;
	} while (!err && p->more > 0 && p->src.time_ns < limit && p->cur.number < imm_at);
	if (err < 0 || p->more > 0) {
		p->running = !err && p->cur.number < imm_at;
		return err;
	}
	*done = true;
	return p->more < 0 ? page__cut(in, p) ?: err : err;
}

static int page__batch(struct ingest *in, struct page *p, u64 until, u64 rank)
{
	bool done = p->more == 0;
	int err = 0;

	if (p->queue->gap || p->resync || !p->told)
		err = page__prologue(in, p);
	if (!err && p->more < 0) {
		done = true;
		err = page__cut(in, p);
	} else if (!err && !done && !pass__link(in, p)) {
		done = true;
		err = page__cut(in, p);
	} else if (!err && !done) {
		err = page__records(in, p, until, rank, &done);
	}
	if (done)
		page__pop(in, p);
	return err;
}

static int page__imm(struct ingest *in, struct page *p)
{
	struct held *h = p->imms;
	const struct wire_imm *imm = (const void *)(h->data + sizeof(struct wire_head));
	struct rec *r = &in->r;
	u32 callsite;
	int err = page__tell(in, p, p->src.time_ns);

	if (!err) {
		page__ready(in, p, h->cpu);
		r->immediate = 1;
		r->number = ~0ULL;
		p->last_ns = r->time_ns = p->src.time_ns;
		err = batch__parse((const u8 *)(imm + 1), imm->bytes, r, &callsite);
		if (err || !pass__link(in, p) || r->kind == WIRE_R_PAUSE) {
			in->st.malformed++;
			err = pass__bad_single(in, (const void *)h->data, LOSS_BAD);
		} else {
			rec__site(in, p, r, callsite);
			in->st.immediates++;
			err = pass__rec(in);
		}
		r->immediate = 0;
	}
	DL_DELETE(p->imms, h);
	if (p->last_imm == h)
		p->last_imm = NULL;
	held__free(in, h);
	return err;
}

/* What is in the queue besides batches: the announcement, and the loss at the end. */
static int page__mark(struct ingest *in, struct page *p)
{
	struct held *h = p->queue;
	u64 t = MAX(p->src.time_ns, in->passed_ns);
	int err;

	if (h->type == HELD_PAGE)
		err = page__tell(in, p, p->src.time_ns);
	else
		err = pass__loss(in, p, h->first, h->cause, t);
	page__pop(in, p);
	return err;
}

/* Pass on what this page has, whatever that is, while it comes before (until, rank). */
static int page__pass(struct ingest *in, struct page *p, u64 until, u64 rank)
{
	int err;

	do {
		if (page__imm_is_next(p))
			err = page__imm(in, p);
		else if (p->queue->type == HELD_BATCH)
			err = page__batch(in, p, until, rank);
		else
			err = page__mark(in, p);
		if (!p->running && !page__peek(in, p)) {
			merge__remove(&in->merge, &p->src);
			return err;
		}
	} while (!err && !pass__enough(in) && !p->running &&
		 merge__before(p->src.time_ns, p->src.rank, until, rank));
	merge__place(&in->merge, &p->src);
	return err;
}

/* The page at the top is in the middle of a batch: two threads that take turns at each record come here nearly always. */
static inline int page__go_on(struct ingest *in, struct page *p, u64 until, u64 rank)
{
	bool done = false;
	int err = page__records(in, p, until, rank, &done);

	if (__builtin_expect(!p->running, 0)) {
		if (done)
			page__pop(in, p);
		if (!page__peek(in, p)) {
			merge__remove(&in->merge, &p->src);
			return err;
		}
	}
	merge__later_top(&in->merge, &p->src);
	return err;
}

/* --- the merge ----------------------------------------------------------------------------------------- */

static int pass__top(struct ingest *in, u64 time_ns)
{
	struct merge_source *s = merge__top(&in->merge);
	struct page *p;
	u64 until, rank;

	merge__rival(&in->merge, &until, &rank);
	if (time_ns < until) { /* up to and including time_ns */
		until = time_ns;
		rank = PASS_LAST_RANK;
	}
	if (!source__is_page(s))
		return singles__pass(in, container_of(s, struct cpu_source, src), until, rank);
	p = page__of(s);
	return p->running ? page__go_on(in, p, until, rank) : page__pass(in, p, until, rank);
}

/* ops->rec has asked for a turn: first the others of the time of the last one, as what comes then is told to be later. */
static int pass__turn(struct ingest *in)
{
	u64 limit_ns = in->limit_ns, now = in->passed_ns;
	bool was_short = in->short_of_memory;
	int err = 0;

	in->short_of_memory = false;
	in->limit_ns = now;
	while (err >= 0 && in->merge.cnt && in->merge.heap->time_ns <= now)
		err = pass__top(in, now);
	in->turning = true;
	if (err >= 0)
		err = in->ops.turn(in->ops.ctx);
	in->turning = false;
	in->short_of_memory = was_short;
	in->limit_ns = limit_ns;
	return err;
}

int pass__until(struct ingest *in, u64 time_ns)
{
	int err = 0;

	in->short_of_memory = false;
	in->limit_ns = time_ns;
	while (!err && in->merge.cnt && in->merge.heap->time_ns <= time_ns) {
		err = pass__top(in, time_ns);
		if (err > 0)
			err = pass__turn(in);
	}
	return err;
}

int pass__bound(struct ingest *in)
{
	int err = 0;

	while (!err && in->early_bytes > in->early_max)
		err = stream__force_one(in);
	/* What is early cannot be passed on, and what is parked must not be. */
	if (err || in->st.held_bytes - in->early_bytes <= in->held_max)
		return err;
	in->short_of_memory = true;
	in->limit_ns = ~0ULL;
	while (!err && in->merge.cnt && !pass__enough(in)) {
		err = pass__top(in, ~0ULL);
		if (err > 0)
			err = pass__turn(in);
	}
	return err;
}
