/* SPDX-License-Identifier: MIT */
#include "flight/sheets.h"

#include "base/codes.h"
#include "flight/generations.h"

#include <errno.h>
#include <string.h>

#define MAX_SAME_ID 64

void sheets__init(struct sheets *s, bool (*keep)(void *ctx, const struct wire_batch *b, u32 bytes, u64 ns), void *ctx)
{
	memset(s, 0, sizeof(*s));
	s->keep = keep;
	s->ctx = ctx;
}

void partial__put(struct partial *p)
{
	if (p && !--p->refs)
		free(p);
}

static void take_partial(struct sheets *s, struct sheet *sh, struct partial *p)
{
	if (sh->partial) {
		s->st.partials--;
		s->st.partial_bytes -= sh->partial->bytes;
		partial__put(sh->partial);
	}
	sh->partial = p;
	if (p) {
		s->st.partials++;
		s->st.partial_bytes += p->bytes;
	}
}

static void drop_partial(struct sheets *s, struct sheet *sh)
{
	if (!sh->partial)
		return;
	take_partial(s, sh, NULL);
	if (s->changed)
		s->changed(s->changed_ctx, sh);
}

/* All but the time of the reading. */
static bool says_the_same(const struct partial *a, const struct partial *b)
{
	const struct wire_batch *x = (const void *)a->rec, *y = (const void *)b->rec;

	return a->bytes == b->bytes && x->head.kind == y->head.kind && !memcmp(x + 1, y + 1, a->bytes - sizeof(*x));
}

void sheets__done(struct sheets *s)
{
	struct sheet *sh, *next;
	u64 i = 0;

	while ((sh = idmap__next(&s->by_id, &i))) {
		for (; sh; sh = next) {
			next = sh->same;
			take_partial(s, sh, NULL);
			free(sh);
		}
	}
	idmap__done(&s->by_id);
	idmap__done(&s->by_tid);
}

/* --- finding ------------------------------------------------------------------------------------------------- */

static struct sheet *find(const struct sheets *s, u32 pid, u32 tid, u64 id)
{
	struct sheet *sh = idmap__find(&s->by_id, id);

	while (sh && (sh->tid != tid || sh->pid != pid))
		sh = sh->same;
	return sh;
}

static struct sheet *add(struct sheets *s, u32 pid, u32 tid, u64 id)
{
	struct sheet *sh = calloc(1, sizeof(*sh)), *chain = idmap__find(&s->by_id, id), *c;
	u32 n = 0;

	for (c = chain; c; c = c->same)
		n++;
	if (!sh || n >= MAX_SAME_ID)
		goto fail;
	*sh = (struct sheet){ .id = id, .pid = pid, .tid = tid, .same = chain, .mates = idmap__find(&s->by_tid, tid) };
	if (idmap__put(&s->by_id, id, sh))
		goto fail;
	if (idmap__put(&s->by_tid, tid, sh)) {
		if (chain)
			idmap__put(&s->by_id, id, chain);
		else
			idmap__remove(&s->by_id, id);
		goto fail;
	}
	s->st.pages++;
	return sh;
fail:
	s->st.failed++;
	free(sh);
	return NULL;
}

static struct sheet *get(struct sheets *s, u32 pid, u32 tid, u64 id)
{
	struct sheet *sh = find(s, pid, tid, id);

	return sh ? sh : add(s, pid, tid, id);
}

/* --- deliveries ---------------------------------------------------------------------------------------------- */

bool claim__of(const struct wire_batch *b, u32 bytes, struct claim *c)
{
	const struct wire_page *h = (const void *)(b + 1);
	u64 commit;

	if (bytes < sizeof(*b) + WIRE_DATA || h->magic != WIRE_PAGE_MAGIC || h->version != WIRE_VERSION)
		return false;
	commit = h->commit;
	c->id = h->id;
	c->seq = WIRE_COMMIT_SEQ(commit);
	c->len = WIRE_COMMIT_LEN(commit);
	c->first = h->slot[c->seq & 1].first;
	c->end = c->first + WIRE_COMMIT_CNT(commit);
	return !(c->first >> 48);
}

/* These have arrived in an image: the flush that brings them again, maybe late, fills no gap with them. */
static void remember_imaged(struct sheet *sh, u64 from, u64 to)
{
	if (sh->imaged[sh->imaged_at].end != from) {
		sh->imaged_at = (sh->imaged_at + 1) % IMAGED_CNT;
		sh->imaged[sh->imaged_at].first = from;
	}
	sh->imaged[sh->imaged_at].end = to;
}

static u64 not_imaged_cnt(const struct sheet *sh, u64 from, u64 to)
{
	u64 n = to - from, first, end;

	for (u32 i = 0; i < IMAGED_CNT; i++) {
		first = MAX(sh->imaged[i].first, from);
		end = MIN(sh->imaged[i].end, to);
		n -= end > first ? end - first : 0;
	}
	return n;
}

static void account(struct sheets *s, struct sheet *sh, const struct claim *c, bool idle)
{
	u64 first = c->first, fill;

	if (!sh->known) {
		sh->known = true;
		sh->next_num = first;
	}
	if (c->end > sh->next_num) {
		u64 from = MAX(sh->next_num, sh->marked); /* what a mark told of has been counted */

		if (first > from) {
			s->st.missing += first - from;
			sh->missing += first - from;
		}
		from = MAX(first, sh->next_num);
		s->st.records += c->end - from;
		if (idle)
			remember_imaged(sh, from, c->end);
		sh->next_num = c->end;
	} else if (!idle) { /* read before it came; or from the ring of a CPU that its thread has left: fills a gap */
		fill = MIN(sh->missing, not_imaged_cnt(sh, first, c->end));
		s->st.missing -= fill;
		sh->missing -= fill;
		s->st.records += fill;
	}
}

/* There was no room for what this says. */
static void add_unstored(struct sheets *s, struct sheet *sh, u64 from, u64 to)
{
	if (to <= from)
		return;
	s->unstored_cnt += to - from;
	sh->unstored_from = sh->unstored_to ? MIN(sh->unstored_from, from) : from;
	sh->unstored_to = MAX(sh->unstored_to, to);
}

/* As a delivery of now: it was read earlier, but this is when it comes into the ring. false: it is still here. */
static bool to_ring(struct sheets *s, struct sheet *sh, u64 ns)
{
	if (s->keep && ((const struct wire_batch *)sh->partial->rec)->head.kind == WIRE_BATCH &&
	    !s->keep(s->ctx, (const void *)sh->partial->rec, sh->partial->bytes, ns))
		return false;
	drop_partial(s, sh);
	return true;
}

/* This is the last chance. */
static void to_ring_now(struct sheets *s, struct sheet *sh, u64 ns)
{
	struct claim c;

	if (to_ring(s, sh, ns))
		return;
	if (claim__of((const void *)sh->partial->rec, sh->partial->bytes, &c))
		add_unstored(s, sh, c.first, c.end);
	drop_partial(s, sh);
}

/* The page's flush was refused: what had been read of that batch is all that there is of it. */
static void rescue(struct sheets *s, struct sheet *sh, const struct claim *c, u64 ns)
{
	struct claim old;

	if (sh->partial && claim__of((const void *)sh->partial->rec, sh->partial->bytes, &old) && old.seq != c->seq)
		to_ring_now(s, sh, ns);
}

static void keep_partial(struct sheets *s, struct sheet *sh, const struct wire_batch *b, u32 bytes, bool adopted)
{
	const struct wire_page *page = (const void *)(b + 1);
	struct partial *p = malloc(sizeof(*p) + bytes + 1);
	bool same;

	if (!p) {
		s->st.failed++;
		return; /* the one before stays: less, and true */
	}
	p->refs = 1;
	p->bytes = bytes;
	memcpy(p->rec, b, bytes);
	p->rec[bytes] = 0;
	if (adopted || !WIRE_COMMIT_CNT(page->commit)) {
		struct wire_head *head = (void *)p->rec;

		/* What is open in it has been so since the batch began. Of records it has none, or none that are ours. */
		head->kind = FLIGHT_ADOPT;
		if (!adopted)
			head->time_ns = MIN(head->time_ns, page->slot[WIRE_COMMIT_SEQ(page->commit) & 1].mono_ns);
	}
	same = sh->partial && says_the_same(sh->partial, p);
	take_partial(s, sh, p);
	if (s->changed && !same)
		s->changed(s->changed_ctx, sh);
}

/* An idle image holds what its page held in batch `seq`; a flush of that batch, or of a later one, makes it old, even if
 * it comes behind the flush: it was read before. An exec that fails delivers a page that is not reset, so it covers nothing. */
static bool is_old(const struct sheet *sh, const struct claim *c)
{
	return sh->flushed && claim__is_old(c, sh->flush_seq);
}

static void flushed(struct sheets *s, struct sheet *sh, const struct claim *c, u64 ns)
{
	struct claim p;

	if (sh->flushed && c->seq - sh->flush_seq >= 1u << 31)
		return; /* an earlier one, from the ring of another CPU */
	sh->flushed = true;
	sh->flush_seq = c->seq;
	if (!sh->partial)
		return;
	if (!claim__of((const void *)sh->partial->rec, sh->partial->bytes, &p) || p.seq == c->seq)
		s->covered = sh;
	else if (is_old(sh, &p)) /* its own flush has not come */
		to_ring(s, sh, ns);
}

bool sheets__batch(struct sheets *s, const struct wire_batch *b, u32 bytes)
{
	bool idle = b->why == WIRE_WHY_IDLE;
	struct sheet *sh;
	struct claim c;

	if (!claim__of(b, bytes, &c))
		return true; /* its replay will count it as malformed */
	sh = get(s, b->head.pid, b->head.tid, c.id);
	if (!sh)
		return true;
	if (idle && sh->dead_ns && sh->known && c.end <= sh->next_num)
		return false; /* read before its end, applied behind it */
	account(s, sh, &c, idle);
	if (idle && !sh->dead_ns) {
		if (is_old(sh, &c))
			return false;
		rescue(s, sh, &c, b->head.time_ns);
		keep_partial(s, sh, b, bytes, false);
		return false;
	}
	if (b->why != WIRE_WHY_EXEC)
		flushed(s, sh, &c, b->head.time_ns);
	if (b->why == WIRE_WHY_GONE)
		sh->dead_ns = b->head.time_ns;
	return true;
}

void sheets__stored(struct sheets *s)
{
	if (s->covered)
		drop_partial(s, s->covered);
	s->covered = NULL;
}

void sheets__not_stored(struct sheets *s, const struct wire_batch *b, u32 bytes)
{
	struct claim c, image;
	struct sheet *sh;

	s->covered = NULL;
	if (!claim__of(b, bytes, &c))
		return;
	sh = find(s, b->head.pid, b->head.tid, c.id);
	if (!sh)
		return;
	if (sh->partial && claim__of((const void *)sh->partial->rec, sh->partial->bytes, &image) && image.seq == c.seq &&
	    ((const struct wire_batch *)sh->partial->rec)->head.kind == WIRE_BATCH)
		c.first = MAX(c.first, image.end); /* so much of it is there */
	add_unstored(s, sh, c.first, c.end);
}

void sheets__tell_unstored(struct sheets *s, bool (*tell)(void *ctx, const struct sheet *sh), void *ctx)
{
	struct sheet *sh;
	u64 i;

	if (!s->unstored_cnt)
		return;
	for (i = 0; (sh = idmap__next(&s->by_id, &i));) {
		for (; sh; sh = sh->same) {
			if (!sh->unstored_to)
				continue;
			if (!tell(ctx, sh))
				return;
			sh->unstored_from = sh->unstored_to = 0;
		}
	}
	s->unstored_cnt = 0;
}

void sheets__adopt(struct sheets *s, const struct wire_batch *b, u32 bytes)
{
	struct sheet *sh;
	struct claim c;

	if (!claim__of(b, bytes, &c))
		return;
	sh = get(s, b->head.pid, b->head.tid, c.id);
	if (!sh || sh->known)
		return;
	sh->known = true;
	sh->next_num = c.end;
	keep_partial(s, sh, b, bytes, true); /* for what is open in it; its records are of before */
}

void sheets__announce(struct sheets *s, const struct wire_announce *a)
{
	struct sheet *sh = get(s, a->head.pid, a->head.tid, a->id);

	if (sh && !sh->known)
		sh->known = true; /* from number 0 on */
}

/* --- the end of a page --------------------------------------------------------------------------------------- */

static void sheet__end(struct sheets *s, struct sheet *sh, u64 ns)
{
	sh->dead_ns = ns;
	if (sh->partial)
		to_ring(s, sh, ns);
}

void sheets__exit(struct sheets *s, u32 pid, u32 tid, u64 ns)
{
	struct sheet *sh = idmap__find(&s->by_tid, tid);

	/* a later thread may have got the same tid: its pages are younger than this end */
	for (; sh; sh = sh->mates)
		if (sh->pid == pid && !sh->dead_ns && sh->id <= ns)
			sheet__end(s, sh, ns);
}

static void unlink_sheet(struct sheets *s, struct sheet *sh)
{
	struct sheet *chain = idmap__find(&s->by_id, sh->id), **at;

	if (chain == sh) {
		if (sh->same)
			idmap__put(&s->by_id, sh->id, sh->same);
		else
			idmap__remove(&s->by_id, sh->id);
	} else {
		for (at = &chain->same; *at != sh;)
			at = &(*at)->same;
		*at = sh->same;
	}
	chain = idmap__find(&s->by_tid, sh->tid);
	if (chain == sh) {
		if (sh->mates)
			idmap__put(&s->by_tid, sh->tid, sh->mates);
		else
			idmap__remove(&s->by_tid, sh->tid);
	} else {
		for (at = &chain->mates; *at != sh;)
			at = &(*at)->mates;
		*at = sh->mates;
	}
}

#define SWEEP_AT_ONCE 256

void sheets__sweep(struct sheets *s, u64 before_ns)
{
	struct sheet *gone[SWEEP_AT_ONCE], *sh;
	u32 n, i;
	u64 at;

	do {
		n = 0;
		for (at = 0; n < SWEEP_AT_ONCE && (sh = idmap__next(&s->by_id, &at));)
			for (; sh && n < SWEEP_AT_ONCE; sh = sh->same)
				if (sh->dead_ns && sh->dead_ns < before_ns)
					gone[n++] = sh;
		for (i = 0; i < n; i++) {
			unlink_sheet(s, gone[i]);
			if (gone[i]->partial)
				to_ring_now(s, gone[i], gone[i]->dead_ns);
			s->st.pages--;
			free(gone[i]);
		}
	} while (n == SWEEP_AT_ONCE);
}

/* --- marks ----------------------------------------------------------------------------------------------------- */

bool sheets__mark(struct sheets *s, u32 pid, u32 tid, u64 id, u64 seen, bool dead, u64 now_ns, u64 *next)
{
	struct sheet *sh = find(s, pid, tid, id);
	bool news;

	if (seen >> 48 || !seen)
		return false;
	if (!sh && !(sh = add(s, pid, tid, id)))
		return false;
	/* A mark without any delivery or adoption: the kernel knows the page from its announcement. */
	sh->known = true;
	news = seen > sh->next_num && seen > sh->marked;
	*next = MAX(sh->next_num, sh->marked);
	if (news)
		sh->marked = seen;
	if (dead && !sh->dead_ns)
		sheet__end(s, sh, now_ns);
	return news;
}

bool sheets__cause(struct sheets *s, u32 pid, u32 tid, u64 id, int cause, u64 gen)
{
	struct sheet *sh = cause == LOSS_UNKNOWN ? NULL : find(s, pid, tid, id);

	if (!sh || (sh->cause == cause && sh->cause_told == gen))
		return false;
	sh->cause = cause;
	sh->cause_told = gen;
	return true;
}

u64 sheets__explain(struct sheets *s, u32 pid, u32 tid, u64 id)
{
	struct sheet *sh = find(s, pid, tid, id);
	u64 n = sh ? MIN(sh->missing, sh->missing_before) : 0;

	if (!sh)
		return 0;
	s->st.missing -= n;
	sh->missing -= n;
	sh->missing_before = sh->missing;
	return n;
}

int sheets__take(const struct sheets *s, struct partial ***out)
{
	struct partial **list = malloc(MAX(s->st.partials, (u64)1) * sizeof(*list));
	struct sheet *sh;
	u64 i = 0;
	int n = 0;

	if (!list)
		return -ENOMEM;
	while ((sh = idmap__next(&s->by_id, &i))) {
		for (; sh; sh = sh->same) {
			if (!sh->partial)
				continue;
			sh->partial->refs++;
			list[n++] = sh->partial;
		}
	}
	*out = list;
	return n;
}
