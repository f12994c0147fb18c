/* SPDX-License-Identifier: MIT */
#include "flight/told_priv.h"

#include "ingest/batch.h"

#include <string.h>

/* --- batches ---------------------------------------------------------------------------------------------------------------- */

struct walk {
	struct told *t;
	struct batch b;
	struct source src;
	struct told_page *page;
	struct batch_entry open[BATCH_MAX_RECS];
	u32 open_cnt;
};

static const struct batch_entry *entry_at(const struct walk *w, u32 depth)
{
	for (u32 i = w->open_cnt; i-- > 0;)
		if (w->open[i].depth == depth)
			return &w->open[i];
	return NULL;
}

/* What a record does to what is open, by its head alone. */
static void follow(struct walk *w, const struct batch_cursor *c, u32 kind)
{
	u32 depth = WIRE_HEAD_DEPTH(c->head), i;

	if (kind == WIRE_R_EXIT) {
		for (i = w->open_cnt; i-- > 0 && w->open[i].depth != depth;)
			;
		if (i < w->open_cnt)
			memmove(&w->open[i], &w->open[i + 1], (--w->open_cnt - i) * sizeof(w->open[0]));
		return;
	}
	while (w->open_cnt && w->open[w->open_cnt - 1].depth >= depth)
		w->open_cnt--;
	if (kind != WIRE_R_END && w->open_cnt < BATCH_MAX_RECS)
		w->open[w->open_cnt++] = (struct batch_entry){ .off = c->off, .depth = (u16)depth, .number = c->number };
}

/* Blocks of this page that are over are forgotten. */
static void prune(struct walk *w)
{
	struct told_span **at = &w->page->blocks, *s;
	u32 i;

	while ((s = *at)) {
		for (i = 0; i < w->open_cnt && w->open[i].number != s->number; i++)
			;
		if (i < w->open_cnt) {
			at = &s->beside;
			continue;
		}
		*at = s->beside;
		told_span__free(w->t, s);
	}
}

static struct told_span *block_of(struct walk *w, const struct batch_entry *e)
{
	struct told_span *s;

	LL_FOREACH2(w->page->blocks, s, beside)
		if (s->number == e->number)
			return s;
	s = told_span__new(w->t, w->src.by->pid);
	if (!s)
		return NULL;
	s->block = s->opened = true;
	s->number = e->number;
	s->page_id = w->b.id;
	s->tid = w->src.by->tid;
	s->depth = e->depth;
	LL_PREPEND2(w->page->blocks, s, beside);
	return s;
}

/* The innermost entry, if it is one by hand: its ref as it stands in the record. */
static const u8 *parent_ref(const struct walk *w, u32 depth)
{
	const struct batch_entry *e = depth ? entry_at(w, depth - 1) : NULL;
	const u8 *rec;
	u32 head, skip = sizeof(struct wire_rec), inner;

	if (!e || e->off + skip > w->b.len)
		return NULL;
	rec = w->b.data + e->off;
	memcpy(&head, rec, sizeof(head));
	if (WIRE_HEAD_KIND(head) == WIRE_R_PRE) { /* number, open_ns, then the record */
		skip += 16;
		if (WIRE_HEAD_SIZE(head) < skip + sizeof(inner) || e->off + skip + sizeof(inner) > w->b.len)
			return NULL;
		memcpy(&inner, rec + skip, sizeof(inner));
		skip += sizeof(struct wire_rec);
	} else {
		inner = head;
	}
	if (WIRE_HEAD_KIND(inner) != WIRE_R_ENTER || WIRE_HEAD_SIZE(head) < skip + WIRE_REF_BYTES ||
	    e->off + skip + WIRE_REF_BYTES > w->b.len)
		return NULL;
	return rec + skip;
}

/* It can be named from now on, and may have been by a thread whose words came first. */
static void number(struct told *t, struct told_span *s, u64 id)
{
	struct told_span *known = told_span__find(t, s->pid, id);
	struct told_rec *r, *tmp;

	if (s->id || !id || (known && known->block))
		return;
	if (known) {
		DL_FOREACH_SAFE(known->values, r, tmp) {
			DL_DELETE(known->values, r);
			DL_APPEND(s->values, told_rec__as_own(r, s));
		}
		told_span__free(t, known);
	}
	told_span__index(t, s, id);
}

static void take_told(struct walk *w, const struct batch_cursor *c)
{
	const u8 *rec = w->b.data + c->off, *parent = NULL;
	const struct batch_entry *e = NULL;
	struct rec r = { 0 };
	struct told_span *s;
	u32 callsite;

	if (batch__parse(rec, c->size, &r, &callsite))
		return;
	w->src.ns = batch__ns(&w->b, c->ticks);
	if (r.kind == WIRE_R_NUMBER || !r.ref.id) {
		e = entry_at(w, r.depth);
		s = e ? block_of(w, e) : NULL;
	} else {
		s = told_span__get(w->t, w->src.by->pid, r.ref.id);
	}
	if (!s)
		return;
	if (r.kind == WIRE_R_NUMBER) {
		number(w->t, s, r.numbered);
		return;
	}
	if (r.kind == WIRE_R_OPEN && r.parent == WIRE_PARENT_CURRENT)
		parent = parent_ref(w, r.depth);
	told__say(w->t, s, &w->src, &r, rec, c->size, parent);
}

static bool walk__begin(struct walk *w, struct told *t, const struct wire_batch *b)
{
	static struct batch_clock none;
	struct told_thread *th;

	if (batch__open(&w->b, b + 1, b->head.bytes - sizeof(*b), b->head.time_ns))
		return false;
	batch__clock(&w->b, &none);
	w->t = t;
	th = told_thread__get(t, b->head.pid, b->head.tid);
	w->page = th ? told_page__get(th, w->b.id) : NULL;
	w->src = (struct source){ .head = &b->head, .by = th, .module_addr = w->b.module_addr, .ns_pid = w->b.ns_pid,
				  .ns_tid = w->b.ns_tid };
	return w->page;
}

static void take_batch(struct told *t, const struct wire_batch *b)
{
	struct batch_cursor c;
	struct walk w;
	int more;
	u32 kind;

	if (!walk__begin(&w, t, b))
		return;
	w.open_cnt = batch__entries(&w.b, w.b.first, w.open);
	prune(&w);
	for (more = batch__first(&w.b, &c); more > 0; more = batch__next(&w.b, &c)) {
		kind = WIRE_HEAD_KIND(c.head);
		if (kind == WIRE_R_BEGIN || kind == WIRE_R_END || kind == WIRE_R_ENTER || kind == WIRE_R_EXIT)
			follow(&w, &c, kind);
		else if (rec_kind__is_told(kind) && c.number >= w.page->next_num)
			take_told(&w, &c);
	}
	w.page->next_num = MAX(w.page->next_num, w.b.first + w.b.cnt);
	prune(&w);
}

/* What is in a page that was found at late attach is of before. */
static void take_adopted(struct told *t, const struct wire_batch *b)
{
	struct walk w;

	if (walk__begin(&w, t, b))
		w.page->next_num = MAX(w.page->next_num, w.b.first + w.b.cnt);
}

static void take_immediate(struct told *t, const struct wire_head *h)
{
	const struct wire_imm *imm = (const void *)(h + 1);
	const u8 *rec = (const u8 *)(imm + 1);
	struct source src = { .head = h, .module_addr = imm->module, .ns_pid = imm->pid, .ns_tid = imm->tid };
	struct told_span *s;
	struct rec r = { 0 };
	u32 callsite;

	if (imm->bytes > h->bytes - sizeof(*h) - sizeof(*imm) || batch__parse(rec, imm->bytes, &r, &callsite) || !rec_kind__is_told(r.kind) ||
	    r.kind == WIRE_R_NUMBER || !r.ref.id)
		return;
	src.ns = MIN(imm->mono_ns, h->time_ns);
	src.by = told_thread__get(t, h->pid, h->tid);
	s = src.by ? told_span__get(t, h->pid, r.ref.id) : NULL;
	if (s)
		told__say(t, s, &src, &r, rec, imm->bytes, NULL);
}

/* --- ends ------------------------------------------------------------------------------------------------------------------- */

static struct told_thread *thread__find(const struct told *t, u32 pid, u32 tid)
{
	struct told_thread *th = idmap__find(&t->threads, tid);

	return th && th->pid == pid ? th : NULL;
}

static void process_ended(struct told *t, u32 pid)
{
	struct told_thread *gone;
	struct told_span *s, *tmp;
	u64 i;

	do {
		for (i = 0; (gone = idmap__next(&t->threads, &i)) && gone->pid != pid;)
			;
		if (gone)
			told_thread__forget(t, gone);
	} while (gone);
	DL_FOREACH_SAFE(t->oldest, s, tmp)
		if (s->pid == pid)
			told_span__free(t, s);
}

static void thread_ended(struct told *t, const struct wire_life *l)
{
	struct told_thread *th = thread__find(t, l->head.pid, l->head.tid);

	if (!th)
		return;
	th->end = *l;
	th->end.head.bytes = sizeof(*l);
	told_thread__forget(t, th);
}

void told__take(struct told *t, const struct wire_head *h)
{
	const struct wire_life *l = (const void *)h;

	switch (h->kind) {
	case WIRE_BATCH:
		take_batch(t, (const void *)h);
		break;
	case FLIGHT_ADOPT:
		take_adopted(t, (const void *)h);
		break;
	case WIRE_IMMEDIATE:
		take_immediate(t, h);
		break;
	case WIRE_EXEC:
		process_ended(t, h->pid);
		break;
	case WIRE_EXIT:
		if (l->flags & WIRE_LIFE_PROCESS)
			process_ended(t, h->pid);
		else
			thread_ended(t, l);
		break;
	}
}
