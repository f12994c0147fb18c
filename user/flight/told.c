/* SPDX-License-Identifier: MIT */
#include "flight/told.h"

#include "ingest/batch.h"

#include <string.h>
#include <utlist.h>

#define MAX_FOLLOWS 16	/* of one span, the newest */
#define MAX_OVER 1024	/* spans that seem to be over */
#define MAX_CLONES 1024 /* of one span that are told again; who has more will not drop them all in one window */

/* A whole record for the ring, with a zero byte behind it. */
struct told_rec {
	struct told_rec *prev, *next;
	struct told_thread *by;
	u64 ns;
	u32 field; /* of a VALUE */
	u32 bytes;
	_Alignas(8) u8 rec[];
};

struct told_span {
	struct told_span *prev, *next; /* of all */
	struct told_span *same;	       /* of the same key */
	struct told_span *beside;      /* of a block: the next one of its page */
	struct told_span *over_prev, *over_next;
	struct told_rec *open, *clone, *drop, *values, *follows;
	u64 id; /* 0: of a block, and without a number */
	u64 number, page_id; /* of a block's BEGIN */
	u32 tid, depth;	     /* likewise */
	s64 clones; /* less what was dropped */
	u32 pid;
	u32 follows_cnt;
	bool block, opened, over;
};

struct told_page {
	struct told_page *next;
	u64 id, next_num;
	struct told_span *blocks;
};

struct told_thread {
	u32 pid, tid;
	u32 refs; /* records, and the map */
	struct told_page *pages;
	struct wire_life end; /* kind 0: it lives */
	bool copied;
};

void told__init(struct told *t, u64 max_bytes)
{
	memset(t, 0, sizeof(*t));
	t->max_bytes = max_bytes;
}

/* --- threads and pages ---------------------------------------------------------------------------------------------- */

static void thread__put(struct told_thread *th)
{
	if (!--th->refs)
		free(th);
}

static struct told_thread *thread__find(const struct told *t, u32 pid, u32 tid)
{
	struct told_thread *th = idmap__find(&t->threads, tid);

	return th && th->pid == pid ? th : NULL;
}

static void forget_thread(struct told *t, struct told_thread *th);

static struct told_thread *thread__get(struct told *t, u32 pid, u32 tid)
{
	struct told_thread *th = idmap__find(&t->threads, tid);

	if (th && th->pid == pid)
		return th;
	if (th) /* its end was lost */
		forget_thread(t, th);
	th = calloc(1, sizeof(*th));
	if (!th)
		return NULL;
	th->pid = pid;
	th->tid = tid;
	th->refs = 1;
	if (!idmap__put(&t->threads, tid, th))
		return th;
	free(th);
	return NULL;
}

static struct told_page *page__get(struct told_thread *th, u64 id)
{
	struct told_page *p;

	LL_FOREACH(th->pages, p)
		if (p->id == id)
			return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->id = id;
	LL_PREPEND(th->pages, p);
	return p;
}

/* --- spans ------------------------------------------------------------------------------------------------------------ */

static u64 key_of(u32 pid, u64 id)
{
	return id ^ (u64)pid << 40;
}

static struct told_span *span__find(const struct told *t, u32 pid, u64 id)
{
	struct told_span *s = idmap__find(&t->spans, key_of(pid, id));

	while (s && (s->id != id || s->pid != pid))
		s = s->same;
	return s;
}

static int span__index(struct told *t, struct told_span *s, u64 id)
{
	u64 key = key_of(s->pid, id);

	s->same = idmap__find(&t->spans, key);
	if (idmap__put(&t->spans, key, s))
		return -ENOMEM;
	s->id = id;
	return 0;
}

static void span__unindex(struct told *t, struct told_span *s)
{
	u64 key = key_of(s->pid, s->id);
	struct told_span *chain = idmap__find(&t->spans, key);

	if (chain != s) {
		while (chain->same != s)
			chain = chain->same;
		chain->same = s->same;
	} else if (s->same) {
		idmap__put(&t->spans, key, s->same);
	} else {
		idmap__remove(&t->spans, key);
	}
	s->id = 0;
}

static bool seems_over(const struct told_span *s)
{
	return !s->block && s->opened && s->clones < 0;
}

static void set_over(struct told *t, struct told_span *s, bool over)
{
	if (over && !s->over) {
		DL_APPEND2(t->over, s, over_prev, over_next);
		t->over_cnt++;
	} else if (!over && s->over) {
		DL_DELETE2(t->over, s, over_prev, over_next);
		t->over_cnt--;
	}
	s->over = over;
}

static struct told_span *span__new(struct told *t, u32 pid)
{
	struct told_span *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->pid = pid;
	DL_APPEND(t->oldest, s);
	t->cnt++;
	t->bytes += sizeof(*s);
	t->changes++;
	return s;
}

static void free_rec(struct told *t, struct told_rec **at)
{
	struct told_rec *r = *at;

	if (!r)
		return;
	*at = NULL;
	t->bytes -= sizeof(*r) + r->bytes;
	thread__put(r->by);
	free(r);
}

static void free_list(struct told *t, struct told_rec **list)
{
	struct told_rec *r, *tmp;

	DL_FOREACH_SAFE(*list, r, tmp) {
		DL_DELETE(*list, r);
		free_rec(t, &r);
	}
}

/* A block's span has to be out of its page's list. */
static void span__free(struct told *t, struct told_span *s)
{
	if (s->id)
		span__unindex(t, s);
	set_over(t, s, false);
	free_rec(t, &s->open);
	free_rec(t, &s->clone);
	free_rec(t, &s->drop);
	free_list(t, &s->values);
	free_list(t, &s->follows);
	DL_DELETE(t->oldest, s);
	t->cnt--;
	t->bytes -= sizeof(*s);
	t->changes++;
	free(s);
}

static void forget_thread(struct told *t, struct told_thread *th)
{
	struct told_page *p, *tmp;
	struct told_span *s;

	LL_FOREACH_SAFE(th->pages, p, tmp) {
		while ((s = p->blocks)) {
			p->blocks = s->beside;
			span__free(t, s);
		}
		free(p);
	}
	th->pages = NULL;
	idmap__remove(&t->threads, th->tid);
	thread__put(th);
}

void told__done(struct told *t)
{
	struct told_thread *th;
	u64 i;

	while (i = 0, (th = idmap__next(&t->threads, &i)))
		forget_thread(t, th);
	while (t->oldest)
		span__free(t, t->oldest);
	idmap__done(&t->threads);
	idmap__done(&t->spans);
}

/* The oldest that no page has in its list go: those are few, and go with their threads. */
static bool make_room(struct told *t, u64 bytes, const struct told_span *but)
{
	struct told_span *s, *tmp;

	DL_FOREACH_SAFE(t->oldest, s, tmp) {
		if (t->bytes + bytes <= t->max_bytes)
			return true;
		if (s == but || s->block)
			continue;
		t->dropped++;
		span__free(t, s);
	}
	return t->bytes + bytes <= t->max_bytes;
}

/* --- records as they are kept ------------------------------------------------------------------------------------------- */

/* Where a record comes from. */
struct source {
	const struct wire_head *head;
	struct told_thread *by;
	u64 ns, module_addr;
	u32 ns_pid, ns_tid;
};

/* parent: NULL, or a ref of WIRE_REF_BYTES that becomes the explicit parent of an OPEN. */
static struct told_rec *make_rec(struct told *t, const struct source *src, const u8 *rec, u32 size, const u8 *parent,
				 const struct told_span *of)
{
	u32 inner = size + (parent ? WIRE_REF_BYTES : 0), bytes = sizeof(struct wire_head) + sizeof(struct wire_imm) + inner;
	const u32 fixed = sizeof(struct wire_rec) + WIRE_REF_BYTES;
	struct wire_head h = *src->head;
	struct wire_imm imm = { .mono_ns = src->ns, .at = ~0ULL, .module = src->module_addr,
				.pid = src->ns_pid, .tid = src->ns_tid, .bytes = inner, .version = WIRE_VERSION };
	struct told_rec *r;
	u32 head;
	u8 *to;

	if (inner > WIRE_MAX_REC_BYTES || !make_room(t, sizeof(*r) + bytes, of)) {
		t->dropped++;
		return NULL;
	}
	r = calloc(1, sizeof(*r) + bytes + 1);
	if (!r)
		return NULL;
	h.kind = WIRE_IMMEDIATE;
	h.bytes = bytes;
	h.time_ns = src->ns;
	memcpy(r->rec, &h, sizeof(h));
	memcpy(r->rec + sizeof(h), &imm, sizeof(imm));
	to = r->rec + sizeof(h) + sizeof(imm);
	memcpy(&head, rec, sizeof(head));
	head = WIRE_HEAD(WIRE_HEAD_KIND(head), parent ? WIRE_PARENT_EXPLICIT : WIRE_HEAD_PARENT(head), WIRE_HEAD_DEPTH(head), inner);
	memcpy(to, &head, sizeof(head)); /* its ticks are 0 */
	memcpy(to + sizeof(struct wire_rec), rec + sizeof(struct wire_rec), parent ? WIRE_REF_BYTES : size - sizeof(struct wire_rec));
	if (parent) {
		memcpy(to + fixed, parent, WIRE_REF_BYTES);
		memcpy(to + fixed + WIRE_REF_BYTES, rec + fixed, size - fixed);
	}
	r->ns = src->ns;
	r->bytes = bytes;
	r->by = src->by;
	r->by->refs++;
	t->bytes += sizeof(*r) + bytes;
	t->changes++;
	return r;
}

/* --- what is said --------------------------------------------------------------------------------------------------------- */

static struct told_span *span_of(struct told *t, u32 pid, u64 id)
{
	struct told_span *s = span__find(t, pid, id);

	if (s)
		return s;
	s = span__new(t, pid);
	if (!s || !span__index(t, s, id))
		return s;
	span__free(t, s);
	return NULL;
}

/* Over as far as is known: a thread may still hold a CLONE that was made before. */
static void settle(struct told *t, struct told_span *s)
{
	set_over(t, s, seems_over(s));
	if (t->over_cnt > MAX_OVER)
		span__free(t, t->over);
}

/* What was said of a block by its id, as its own thread would have said it: the entry will be there, the id may not. */
static struct told_rec *as_own(struct told_rec *r, const struct told_span *s)
{
	struct wire_head *h = r ? (void *)r->rec : NULL;
	struct wire_imm *imm = (void *)(h + 1);
	u8 *rec = (u8 *)(imm + 1);
	u32 head;

	if (!r || !s->block)
		return r;
	h->tid = s->tid;
	imm->page_id = s->page_id;
	imm->at = s->number;
	memcpy(&head, rec, sizeof(head));
	head = WIRE_HEAD(WIRE_HEAD_KIND(head), WIRE_HEAD_PARENT(head), s->depth, WIRE_HEAD_SIZE(head));
	memcpy(rec, &head, sizeof(head));
	memset(rec + sizeof(struct wire_rec), 0, sizeof(u64));
	return r;
}

static void say_value(struct told *t, struct told_span *s, const struct source *src, const struct rec *r, const u8 *rec, u32 size)
{
	struct told_rec *v, *old, *tmp;

	DL_FOREACH_SAFE(s->values, old, tmp) {
		if (old->field != r->value_field)
			continue;
		if (old->ns > src->ns)
			return; /* from another thread's page, which came later */
		DL_DELETE(s->values, old);
		free_rec(t, &old);
	}
	v = as_own(make_rec(t, src, rec, size, NULL, s), s);
	if (!v)
		return;
	v->field = r->value_field;
	DL_APPEND(s->values, v);
}

static void say_follows(struct told *t, struct told_span *s, const struct source *src, const u8 *rec, u32 size)
{
	struct told_rec *f = as_own(make_rec(t, src, rec, size, NULL, s), s), *first;

	if (!f)
		return;
	DL_APPEND(s->follows, f);
	if (++s->follows_cnt <= MAX_FOLLOWS)
		return;
	s->follows_cnt--;
	first = s->follows;
	DL_DELETE(s->follows, first);
	free_rec(t, &first);
}

static void say(struct told *t, struct told_span *s, const struct source *src, const struct rec *r, const u8 *rec, u32 size,
		const u8 *parent)
{
	struct told_rec **at = r->kind == WIRE_R_OPEN ? &s->open : r->kind == WIRE_R_CLONE ? &s->clone : &s->drop;

	switch (r->kind) {
	case WIRE_R_VALUE:
		say_value(t, s, src, r, rec, size);
		return;
	case WIRE_R_FOLLOWS:
		say_follows(t, s, src, rec, size);
		return;
	}
	s->clones += r->kind == WIRE_R_DROP ? -1 : r->kind == WIRE_R_CLONE;
	s->opened |= r->kind == WIRE_R_OPEN;
	if (!*at || (*at)->ns <= src->ns) { /* the last one tells when */
		free_rec(t, at);
		*at = make_rec(t, src, rec, size, parent, s);
	}
	settle(t, s);
}

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
		span__free(w->t, s);
	}
}

static struct told_span *block_of(struct walk *w, const struct batch_entry *e)
{
	struct told_span *s;

	LL_FOREACH2(w->page->blocks, s, beside)
		if (s->number == e->number)
			return s;
	s = span__new(w->t, w->src.by->pid);
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
	struct told_span *known = span__find(t, s->pid, id);
	struct told_rec *r, *tmp;

	if (s->id || !id || (known && known->block))
		return;
	if (known) {
		DL_FOREACH_SAFE(known->values, r, tmp) {
			DL_DELETE(known->values, r);
			DL_APPEND(s->values, as_own(r, s));
		}
		span__free(t, known);
	}
	span__index(t, s, id);
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
		s = span_of(w->t, w->src.by->pid, r.ref.id);
	}
	if (!s)
		return;
	if (r.kind == WIRE_R_NUMBER) {
		number(w->t, s, r.numbered);
		return;
	}
	if (r.kind == WIRE_R_OPEN && r.parent == WIRE_PARENT_CURRENT)
		parent = parent_ref(w, r.depth);
	say(w->t, s, &w->src, &r, rec, c->size, parent);
}

static bool walk__begin(struct walk *w, struct told *t, const struct wire_batch *b)
{
	static struct batch_clock none;
	struct told_thread *th;

	if (batch__open(&w->b, b + 1, b->head.bytes - sizeof(*b), b->head.time_ns))
		return false;
	batch__clock(&w->b, &none);
	w->t = t;
	th = thread__get(t, b->head.pid, b->head.tid);
	w->page = th ? page__get(th, w->b.id) : NULL;
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
	src.by = thread__get(t, h->pid, h->tid);
	s = src.by ? span_of(t, h->pid, r.ref.id) : NULL;
	if (s)
		say(t, s, &src, &r, rec, imm->bytes, NULL);
}

/* --- ends ------------------------------------------------------------------------------------------------------------------- */

static void process_ended(struct told *t, u32 pid)
{
	struct told_thread *gone;
	struct told_span *s, *tmp;
	u64 i;

	do {
		for (i = 0; (gone = idmap__next(&t->threads, &i)) && gone->pid != pid;)
			;
		if (gone)
			forget_thread(t, gone);
	} while (gone);
	DL_FOREACH_SAFE(t->oldest, s, tmp)
		if (s->pid == pid)
			span__free(t, s);
}

static void thread_ended(struct told *t, const struct wire_life *l)
{
	struct told_thread *th = thread__find(t, l->head.pid, l->head.tid);

	if (!th)
		return;
	th->end = *l;
	th->end.head.bytes = sizeof(*l);
	forget_thread(t, th);
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

/* --- handing out ------------------------------------------------------------------------------------------------------------- */

struct out {
	u8 *to; /* NULL: count only */
	u64 bytes;
};

static void put(struct out *o, const void *rec, u32 bytes)
{
	u32 room = ALIGN_UP(bytes + 1, 8);

	if (o->to) {
		memset(o->to + o->bytes + room - 8, 0, 8);
		memcpy(o->to + o->bytes, rec, bytes);
	}
	o->bytes += room;
}

static void put_rec(struct out *o, const struct told_rec *r)
{
	if (!r)
		return;
	put(o, r->rec, r->bytes);
	r->by->copied = false;
}

/* A span that is over may be followed. Its name makes it one that is open again, until this. */
static void put_undo(struct out *o, const struct told *t, const struct told_rec *f)
{
	struct {
		struct wire_head h;
		struct wire_imm imm;
		u8 rec[sizeof(struct wire_rec) + WIRE_REF_BYTES];
	} u = { 0 };
	const u32 skip = sizeof(struct wire_head) + sizeof(struct wire_imm) + sizeof(struct wire_rec) + WIRE_REF_BYTES;
	u32 head = WIRE_HEAD(WIRE_R_DROP, 0, 0, sizeof(u.rec));
	u64 id;

	memcpy(&id, f->rec + skip, sizeof(id));
	if (span__find(t, f->by->pid, id)) /* it is said of that one itself */
		return;
	memcpy(&u, f->rec, sizeof(u.h) + sizeof(u.imm));
	u.h.bytes = sizeof(u.h) + sizeof(u.imm) + sizeof(u.rec);
	u.imm.bytes = sizeof(u.rec);
	memcpy(u.rec, &head, sizeof(head));
	memcpy(u.rec + sizeof(struct wire_rec), f->rec + skip, WIRE_REF_BYTES);
	put(o, &u, u.h.bytes);
}

static void put_follows(struct out *o, const struct told *t, const struct told_rec *list)
{
	const struct told_rec *f;

	DL_FOREACH(list, f) {
		put_rec(o, f);
		put_undo(o, t, f);
	}
}

static void put_list(struct out *o, const struct told_rec *list)
{
	const struct told_rec *r;

	DL_FOREACH(list, r)
		put_rec(o, r);
}

/* Is there something to be said of it? */
static bool is_telling(const struct told_span *s)
{
	return s->block || s->open || s->clones || s->values;
}

static void put_span(struct out *o, const struct told *t, const struct told_span *s)
{
	s64 i;

	if (!is_telling(s))
		return;
	put_rec(o, s->open);
	put_list(o, s->values);
	put_follows(o, t, s->follows);
	for (i = 0; i < MIN(s->clones, (s64)MAX_CLONES); i++)
		put_rec(o, s->clone);
	for (i = 0; i < MIN(-s->clones, (s64)MAX_CLONES); i++)
		put_rec(o, s->drop);
}

static void put_end(struct out *o, const struct told_rec *r)
{
	if (!r || r->by->copied)
		return;
	r->by->copied = true;
	if (r->by->end.head.kind)
		put(o, &r->by->end, sizeof(r->by->end));
}

static void put_ends(struct out *o, const struct told_rec *list)
{
	const struct told_rec *r;

	DL_FOREACH(list, r)
		put_end(o, r);
}

u64 told__copy(const struct told *t, u8 *to)
{
	struct out o = { .to = to };
	const struct told_span *s;

	DL_FOREACH(t->oldest, s)
		put_span(&o, t, s);
	/* that their threads have ended since */
	DL_FOREACH(t->oldest, s) {
		if (!is_telling(s))
			continue;
		put_end(&o, s->open);
		put_end(&o, s->clone);
		put_end(&o, s->drop);
		put_ends(&o, s->values);
		put_ends(&o, s->follows);
	}
	return o.bytes;
}
