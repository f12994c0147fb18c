/* SPDX-License-Identifier: MIT */
/*
 * stream.c - deliveries made whole.
 *
 * The problem. A thread's records reach us in deliveries of its page: flushes of the full page, idle reads of a part of
 * it, drains at exit and exec. They overlap freely, and a thread that migrates leaves them in the rings of several
 * CPUs, so that they come in any order; some never come. What goes out must hold every record once, in order, and
 * every missing one must be counted.
 *
 * The design. Records are numbered in the life of their page, and a delivery says the numbers it holds: first and
 * count. Rules 1 and 2 of the batch path (same seq: only the bytes past what was delivered; idle reads after the rings)
 * then need no case of their own: next_num is what is to come next, and
 *	end <= next_num			all of it is known: dropped
 *	first <= next_num < end		accepted from record next_num on
 *	first > next_num		early: held
 * An early delivery waits for those before it. A thread runs its flush before it goes on recording, so whatever was
 * emitted before this delivery was emitted at an earlier time: once every ring has been drained past the time of the
 * delivery, what has not come will not come. It is counted lost, and the delivery is accepted with a gap (rule 3).
 *
 * Where a page begins. Announced during the recording: at number 0. Otherwise at the first record that we see (rule
 * 4), or, for a page found at late attach, behind what was in it then. An announcement may itself be in a ring not
 * drained yet, so this decision too waits until the rings are drained past the delivery: the same hold does it.
 *
 * Where a page ends. The last delivery may be refused (ring full) and nothing comes after it that would show the
 * gap. The kernel keeps a mark for this: records up to `seen` have been emitted. A mark is read from a map, past the
 * rings, so it is believed only when they have been drained past the time at which it was read. Marks of living pages
 * are only remembered: what a refused delivery held may still be in the page (an exec that failed).
 *
 * Invariants.	emitted = sum of (next_num - base); each number below next_num is queued, passed on, or counted lost
 *		exactly once. queue is ordered by number and without overlap (held.start .. held.end). early is ordered
 *		by first; only holding pages have something in it.
 * Rejected.	Bytes and seq as the key of what has been delivered: the same answer with four cases more. A timeout for
 *		gaps: either loses what a slow ring still holds or delays everything.
 */
#include "ingest/stream.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

/*
 * A thread that moves between CPUs leaves its deliveries in runs, one run a ring, each run in order; the rings are drained
 * one after the other. So a delivery's place is next to that of the one before it, or, at the start of a run, anywhere:
 * the search starts at the last place. Further off than this is somebody's forgery.
 */
#define MAX_STEPS 16384

struct held *held__new(struct ingest *in, enum held_type type, const void *data, size_t bytes)
{
	/* a NUL behind the data: texts at its end are terminated */
	u32 alloc = sizeof(struct held) + (in->borrow ? 0 : bytes + 1);
	struct held *h = malloc(alloc);

	if (!h)
		return NULL;
	memset(h, 0, sizeof(*h));
	h->type = type;
	h->alloc = alloc;
	h->bytes = bytes;
	h->data = in->borrow ? data : h->own;
	if (!in->borrow) {
		if (bytes)
			memcpy(h->own, data, bytes);
		h->own[bytes] = 0;
	}
	in->st.held_bytes += alloc;
	ingest__uses(in, data, true);
	return h;
}

void held__free(struct ingest *in, struct held *h)
{
	in->st.held_bytes -= h->alloc;
	ingest__uses(in, h->data, false);
	free(h);
}

/* --- accepting ----------------------------------------------------------------------------------------- */

static int page__enqueue(struct ingest *in, struct page *p, struct held *h)
{
	bool was_empty = !p->queue;

	DL_APPEND(p->queue, h);
	return was_empty ? pass__refresh(in, p) : 0;
}

static void page__base(struct page *p, u64 number)
{
	p->based = true;
	p->base = p->next_num = number;
}

/*
 * Made while we were recording: all of its records are ours, even if the announcement was lost. Not so if it had to be
 * adopted: then its module was attached later than it was made.
 */
static bool page__is_ours(const struct ingest *in, const struct page *p, const struct held *h)
{
	return p->announced || (!h->adopt && in->since_ns && p->pub.id >= in->since_ns);
}

/*
 * The number at which a page begins for us. A page that was there before us, and that its thread flushed before it could
 * be adopted, may still hold records of an earlier recording.
 */
static u64 page__start(struct ingest *in, const struct page *p, const struct held *h)
{
	struct batch_cursor c;
	struct batch b;
	int more;

	if (page__is_ours(in, p, h))
		return 0;
	if (h->adopt)
		return h->end;
	if (!in->since_ns || p->pub.id >= in->since_ns || batch__open(&b, h->data, h->bytes, h->time_ns))
		return h->first;
	batch__clock(&b, &in->clock);
	for (more = batch__first(&b, &c); more > 0 && batch__ns(&b, c.ticks) < in->since_ns; more = batch__next(&b, &c))
		;
	return more > 0 ? c.number : more ? h->first : h->end;
}

/* Take a delivery as the page's next, with a gap if it is not. */
static int page__accept(struct ingest *in, struct page *p, struct held *h)
{
	if (p->based || p->announced)
		h->adopt = false; /* it is a delivery as any other */
	if (!p->based)
		page__base(p, page__start(in, p, h));
	if (h->end <= p->next_num && !h->adopt) {
		in->st.duplicates += h->bytes - WIRE_DATA;
		held__free(in, h);
		return 0;
	}
	h->gap = h->first > p->next_num ? h->first - p->next_num : 0;
	h->start = MAX(h->first, p->next_num);
	in->st.emitted += h->gap + (h->end - h->start);
	p->next_num = h->end;
	return page__enqueue(in, p, h);
}

static struct held *page__take_early(struct ingest *in, struct page *p)
{
	struct held *h = p->early;

	DL_DELETE(p->early, h);
	if (p->last_early == h)
		p->last_early = NULL;
	in->early_bytes -= h->alloc;
	if (!p->early)
		DL_DELETE2(in->holding, p, hold_prev, hold_next);
	return h;
}

/* Is a to stand behind b? */
typedef bool (*held_behind)(const struct held *a, const struct held *b);

/* Insert h in order, the search starting at *last (NULL: at the end), which becomes h. false: given up after MAX_STEPS; h
 * stands where the search ended. */
static bool held__insert(struct held **list, struct held **last, struct held *h, held_behind behind)
{
	struct held *after = *last ? *last : *list ? (*list)->prev : NULL;
	int steps = 0;

	while (after && after->next && behind(h, after->next) && steps++ < MAX_STEPS)
		after = after->next;
	while (after && !behind(h, after) && steps++ < MAX_STEPS)
		after = after == *list ? NULL : after->prev;
	if (after)
		DL_APPEND_ELEM(*list, after, h);
	else
		DL_PREPEND(*list, h);
	*last = h;
	return steps <= MAX_STEPS;
}

static bool held__by_number(const struct held *a, const struct held *b)
{
	return a->first > b->first || (a->first == b->first && a->end >= b->end);
}

static void page__hold(struct ingest *in, struct page *p, struct held *h)
{
	if (!p->early)
		DL_APPEND2(in->holding, p, hold_prev, hold_next);
	held__insert(&p->early, &p->last_early, h, held__by_number);
	in->early_bytes += h->alloc;
}

/* Accept what is held and has become the next; and, with a gap, what was delivered at drained_ns or before. */
static int page__release(struct ingest *in, struct page *p, u64 drained_ns)
{
	int err = 0;

	while (p->early && !err) {
		bool next = p->based && p->early->first <= p->next_num;

		if (!next && p->early->time_ns > drained_ns)
			break;
		err = page__accept(in, p, page__take_early(in, p));
	}
	return err;
}

static int page__deliver(struct ingest *in, struct page *p, struct held *h)
{
	int err;

	/* The very first batch needs no waiting, unless the page has been adopted and that is not decided yet. */
	if (!p->based && (page__is_ours(in, p, h) || (!h->first && !h->adopt && !p->early)))
		page__base(p, page__start(in, p, h));
	if (p->based && h->first <= p->next_num) {
		err = page__accept(in, p, h);
		return err ? err : page__release(in, p, 0);
	}
	page__hold(in, p, h);
	return 0;
}

/* --- batches ------------------------------------------------------------------------------------------- */

static struct page *page__of_batch(struct ingest *in, const struct batch *b,
				   const struct wire_head *head)
{
	struct page *p = pages__find(in, b->id, b->ns_pid, b->ns_tid);

	if (!p)
		p = pages__add(in, b->id, head->pid, head->tid);
	if (p && !p->named) {
		pages__name(p, b->ns_pid, b->ns_tid, b->module_addr, head->cookie);
		procs__note(in, p->pub.pid, b->id, b->module_addr, head->cookie);
	}
	return p;
}

/* Its records cannot be kept: the page's numbers will show them missing, or they count at once. */
static int batch__no_memory(struct ingest *in, struct page *p, const struct wire_head *head,
			    const struct batch *b)
{
	if (!p) {
		in->st.emitted += b->cnt;
		in->st.lost[LOSS_MEMORY] += b->cnt;
		return pass__lost(in, b->cnt, LOSS_MEMORY, head->pid, head->tid);
	}
	p->cause = LOSS_MEMORY;
	p->seen = MAX(p->seen, b->first + b->cnt);
	return 0;
}

int stream__batch(struct ingest *in, const struct wire_batch *w, size_t bytes, bool adopt)
{
	size_t image = bytes - sizeof(*w);
	struct batch b;
	struct page *p;
	struct held *h;

	if (batch__open(&b, w + 1, image, w->head.time_ns)) {
		in->st.malformed++;
		return 0;
	}
	in->st.batches++;
	in->st.batch_bytes += image;
	p = page__of_batch(in, &b, &w->head);
	if (p && b.too_deep > p->too_deep) {
		in->st.too_deep += b.too_deep - p->too_deep;
		p->too_deep = b.too_deep;
	}
	if (p && (w->why == WIRE_WHY_EXIT || w->why == WIRE_WHY_GONE))
		p->complete = true;
	if (p && w->why == WIRE_WHY_GONE)
		pages__gone(in, p, w->head.time_ns);
	if (p && p->based && b.first + b.cnt <= p->next_num) {
		in->st.duplicates += b.len;
		return 0;
	}
	h = p ? held__new(in, HELD_BATCH, w + 1, WIRE_DATA + b.len) : NULL;
	if (!h)
		return batch__no_memory(in, p, &w->head, &b);
	h->time_ns = w->head.time_ns;
	h->first = b.first;
	h->end = b.first + b.cnt;
	h->cpu = w->head.cpu;
	h->adopt = adopt;
	return page__deliver(in, p, h);
}

int stream__announce(struct ingest *in, const struct wire_announce *a)
{
	struct page *p = pages__find(in, a->id, a->ns_pid, a->ns_tid);
	struct held *h;
	int err;

	if (!a->id) {
		in->st.malformed++;
		return 0;
	}
	if (!p)
		p = pages__add(in, a->id, a->head.pid, a->head.tid);
	if (!p || p->announced)
		return 0; /* without memory it will be tried again with the page's first delivery */
	p->announced = true;
	pages__name(p, a->ns_pid, a->ns_tid, a->module, a->head.cookie);
	procs__note(in, a->head.pid, a->id, a->module, a->head.cookie);
	/* A delivery that came first was credited to the task that ran it; that of a vfork child is not the owner. */
	if (!p->told && pages__own(in, p, a->head.pid, a->head.tid))
		return 0;
	if (!p->based)
		page__base(p, 0);
	if (!p->told && !p->queue) {
		h = held__new(in, HELD_PAGE, NULL, 0);
		if (!h)
			return 0;
		h->time_ns = a->head.time_ns;
		err = page__enqueue(in, p, h);
		if (err)
			return err;
	}
	return page__release(in, p, 0);
}

/* --- immediate records --------------------------------------------------------------------------------- */

static bool held__by_place(const struct held *a, const struct held *b)
{
	return a->first > b->first || (a->first == b->first && a->time_ns >= b->time_ns);
}

static void imms__insert(struct page *p, struct held *h)
{
	/* Where the search ends for want of patience, the record takes the place and time of what it stands behind. */
	if (!held__insert(&p->imms, &p->last_imm, h, held__by_place) && h != p->imms) {
		h->first = h->prev->first;
		h->time_ns = h->prev->time_ns;
	}
}

static struct page *page__of_imm(struct ingest *in, const struct wire_head *head,
				 const struct wire_imm *imm)
{
	struct page *p;

	if (imm->page_id)
		p = pages__find(in, imm->page_id, imm->pid, imm->tid);
	else
		p = pages__find_pageless(in, head->pid, head->tid, imm->module);
	if (!p)
		p = pages__add(in, imm->page_id, head->pid, head->tid);
	if (p && !p->named) {
		pages__name(p, imm->pid, imm->tid, imm->module, head->cookie);
		procs__note(in, p->pub.pid, imm->page_id, imm->module, head->cookie);
	}
	return p;
}

static bool imm__valid(const struct wire_imm *imm, const struct wire_head *head, size_t bytes)
{
	const struct wire_rec *rec = (const void *)(imm + 1);
	size_t room = bytes - sizeof(*head) - sizeof(*imm);

	return bytes >= sizeof(*head) + sizeof(*imm) + sizeof(*rec) && imm->version == WIRE_VERSION &&
	       imm->bytes <= room && imm->bytes >= sizeof(*rec) &&
	       WIRE_HEAD_SIZE(rec->head) == imm->bytes;
}

int stream__immediate(struct ingest *in, const struct wire_head *head, size_t bytes)
{
	const struct wire_imm *imm = (const void *)(head + 1);
	struct page *p = NULL;
	struct held *h = NULL;

	if (!imm__valid(imm, head, bytes)) {
		in->st.malformed++;
		return pass__bad_single(in, head, LOSS_BAD);
	}
	p = page__of_imm(in, head, imm);
	if (p)
		h = held__new(in, HELD_SINGLE, head, sizeof(*head) + sizeof(*imm) + imm->bytes);
	if (!h)
		return pass__bad_single(in, head, LOSS_MEMORY);
	h->cpu = head->cpu;
	h->first = imm->page_id ? imm->at : 0;
	h->time_ns = MIN(imm->mono_ns, head->time_ns);
	imms__insert(p, h);
	return p->imms == h ? pass__refresh(in, p) : 0;
}

void stream__expect(struct ingest *in, u32 pid, u32 tid, u64 id, u64 number)
{
	struct page *p = pages__find_host(in, id, pid, tid);

	if (!p)
		p = pages__add(in, id, pid, tid);
	if (p && !p->based && !p->early)
		page__base(p, number);
}

/* --- marks and the passing of time --------------------------------------------------------------------- */

int stream__mark(struct ingest *in, u32 pid, u32 tid, u64 id, u64 seen, int cause, bool dead)
{
	struct page *p = pages__find_host(in, id, pid, tid);

	if (seen >> 48)
		seen = 0;
	if (!p && seen)
		p = pages__add(in, id, pid, tid);
	if (!p)
		return 0;
	p->seen = MAX(p->seen, seen);
	if (cause > 0 && cause < LOSS_MAX)
		p->cause = cause;
	if (!dead || p->marked)
		return 0;
	p->marked = true;
	p->mark_ns = 0;
	p->mark_next = in->marked;
	in->marked = p;
	return 0;
}

/* The mark is the last word on this page: what it names and nobody delivered is lost. */
static int page__believe_mark(struct ingest *in, struct page *p)
{
	struct held *h;
	u64 lost;

	/* A mark without any delivery or adoption: the kernel knows the page from its announcement. */
	if (!p->based && p->seen)
		page__base(p, 0);
	if (p->seen <= p->next_num)
		return 0;
	lost = p->seen - p->next_num;
	p->next_num = p->seen;
	in->st.emitted += lost;
	h = held__new(in, HELD_LOSS, NULL, 0);
	if (!h) {
		in->st.lost[p->cause] += lost;
		return pass__lost(in, lost, p->cause, p->pub.pid, p->pub.tid);
	}
	h->first = lost;
	h->time_ns = 0; /* as soon as all before it has been passed on, thus before the thread's end is told */
	h->cause = p->cause;
	return page__enqueue(in, p, h);
}

static int stream__believe_marks(struct ingest *in, u64 drained_ns, u64 now_ns)
{
	struct page **at = &in->marked, *p;
	int err = 0;

	while ((p = *at) && !err) {
		if (!p->mark_ns || p->mark_ns > drained_ns) {
			/* The mark was read before now. */
			if (!p->mark_ns)
				p->mark_ns = now_ns;
			at = &p->mark_next;
			continue;
		}
		*at = p->mark_next;
		p->marked = false;
		p->complete = true;
		err = page__believe_mark(in, p);
	}
	return err;
}

int stream__drained(struct ingest *in, u64 drained_ns, u64 now_ns)
{
	struct page *p, *tmp;
	int err = 0;

	DL_FOREACH_SAFE2(in->holding, p, tmp, hold_next) {
		err = page__release(in, p, drained_ns);
		if (err)
			return err;
	}
	return stream__believe_marks(in, drained_ns, now_ns);
}

int stream__force_one(struct ingest *in)
{
	struct page *p = in->holding;

	return page__accept(in, p, page__take_early(in, p));
}

int stream__finish(struct ingest *in)
{
	struct page *p;
	int err;

	err = stream__drained(in, ~0ULL, ~0ULL);
	DL_FOREACH(in->pages, p) {
		if (err)
			return err;
		err = page__believe_mark(in, p);
	}
	return err;
}
