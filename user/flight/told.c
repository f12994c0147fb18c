/* SPDX-License-Identifier: MIT */
#include "flight/told_priv.h"

#include <errno.h>
#include <string.h>

#define MAX_FOLLOWS 16	/* of one span, the newest */
#define MAX_OVER 1024	/* spans that seem to be over */

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

struct told_thread *told_thread__get(struct told *t, u32 pid, u32 tid)
{
	struct told_thread *th = idmap__find(&t->threads, tid);

	if (th && th->pid == pid)
		return th;
	if (th) /* its end was lost */
		told_thread__forget(t, th);
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

struct told_page *told_page__get(struct told_thread *th, u64 id)
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

struct told_span *told_span__find(const struct told *t, u32 pid, u64 id)
{
	struct told_span *s = idmap__find(&t->spans, key_of(pid, id));

	while (s && (s->id != id || s->pid != pid))
		s = s->same;
	return s;
}

int told_span__index(struct told *t, struct told_span *s, u64 id)
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

struct told_span *told_span__new(struct told *t, u32 pid)
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

void told_span__free(struct told *t, struct told_span *s)
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

void told_thread__forget(struct told *t, struct told_thread *th)
{
	struct told_page *p, *tmp;
	struct told_span *s;

	LL_FOREACH_SAFE(th->pages, p, tmp) {
		while ((s = p->blocks)) {
			p->blocks = s->beside;
			told_span__free(t, s);
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
		told_thread__forget(t, th);
	while (t->oldest)
		told_span__free(t, t->oldest);
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
		told_span__free(t, s);
	}
	return t->bytes + bytes <= t->max_bytes;
}

/* --- records as they are kept ------------------------------------------------------------------------------------------- */

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

struct told_span *told_span__get(struct told *t, u32 pid, u64 id)
{
	struct told_span *s = told_span__find(t, pid, id);

	if (s)
		return s;
	s = told_span__new(t, pid);
	if (!s || !told_span__index(t, s, id))
		return s;
	told_span__free(t, s);
	return NULL;
}

/* Over as far as is known: a thread may still hold a CLONE that was made before. */
static void settle(struct told *t, struct told_span *s)
{
	set_over(t, s, seems_over(s));
	if (t->over_cnt > MAX_OVER)
		told_span__free(t, t->over);
}

struct told_rec *told_rec__as_own(struct told_rec *r, const struct told_span *s)
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
	v = told_rec__as_own(make_rec(t, src, rec, size, NULL, s), s);
	if (!v)
		return;
	v->field = r->value_field;
	DL_APPEND(s->values, v);
}

static void say_follows(struct told *t, struct told_span *s, const struct source *src, const u8 *rec, u32 size)
{
	struct told_rec *f = told_rec__as_own(make_rec(t, src, rec, size, NULL, s), s), *first;

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

void told__say(struct told *t, struct told_span *s, const struct source *src, const struct rec *r, const u8 *rec, u32 size,
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
	/*
	 * The last one tells when; of clones that were not dropped the first: a drop between them may still be in the ring, as it was
	 * delivered later, and would find one handle too few.
	 */
	if (!*at || ((*at)->ns <= src->ns) != (r->kind == WIRE_R_CLONE && s->clones > 1)) {
		free_rec(t, at);
		*at = make_rec(t, src, rec, size, parent, s);
	}
	settle(t, s);
}
