/* SPDX-License-Identifier: MIT */
/*
 * skip.c - records that nobody would miss, left out before the merge.
 *
 * The problem. Triggers want to see a few callsites of a program, and to see them right every record of every thread has to go through
 * the merge and the model: a span that nobody wants is a parent, holds its parent open, takes away what stands above it, moves its
 * thread's time. A record costs 40 ns so, and nearly all of them are for nothing.
 *
 * The design. What can be left out without any trace is not a record but a whole: a run of records of one page that leaves the thread's
 * stack as it was, and touches nothing else meanwhile. That is an event that nobody wants, and
 *
 *	BEGIN .. END of a span that nobody wants, with nothing but the like inside
 *
 * if both are in the same batch. It is found by walking over the bytes of the batch, ahead of the merge: what it leaves out has no
 * time at which it would have to happen. Each condition here is there because the model would do something else without it:
 *   - the END bears the depth of the BEGIN, and depths rise strictly: nothing is abandoned inside;
 *   - no entry of this page stands at the first BEGIN's depth or deeper (the model says so): nothing is abandoned by it;
 *   - nothing of this thread comes between: no immediate record of the page, and no record of another page of the thread. The
 *     latter bounds the time, as does the time up to which all that was emitted has come (held.time_ns is the time after
 *     which no record of a batch can be);
 *   - the parent is the thread's current span, and that one, which has a child during the run and so cannot close, could not close in
 *     that time anyway. The model says when that is so: begun by a BEGIN that has no number, it is ended by an END of this thread only,
 *     begun by a plain probe, by a hit only, else by anybody;
 *   - a span can be named from elsewhere only if it has a NUMBER, which is a record and ends the run. So does a VALUE: the fields of
 *     such a span are those of its BEGIN, and whoever wants some spans for their fields says at the BEGIN from which duration on;
 *   - no hit of a plain probe begins a span inside, which then has one of the run's for a parent, and is held open by it or holds it.
 * So where programs have pairs of plain probes, a span is left out if no hit is held that lies in it; and under a parent that anybody
 * can end, if no record lies in it that names a span: anything but the usual kinds, which name none. What other pages have of such is found
 * by looking ahead in their batches, once a batch. Whom it names is not asked: that may be a span that takes the parent's number. Nothing at
 * all may lie in it where the parent is another thread's, begun by a BEGIN there: its END names nothing either.
 *
 * What is decided by who records (thread, process) is decided once a walk, as nothing in a run changes a name: a thread's is told by a record
 * of it, a program's by an exec, which follows all records of its threads.
 *
 * Records that come late (a batch that waited for one that was lost, a flood that was passed on early) find the thread's time where they
 * would have found it, as the model catches up (task__catch_up). But for one thing: a late exit of a span on another thread than that which
 * had entered it bears the time of the other's last record that was passed on.
 *
 * What is left out counts as any other record, here and in the model (skipped()).
 *
 * Rejected. Leaving out single records and keeping count of the depth: a span whose BEGIN has been left out is no parent for what its page, or
 * another, opens inside; and with the parent's life go the times of closes. Leaving out after the merge: the merge is a third of the cost.
 */
#include "ingest/stream.h"

#include <errno.h>
#include <string.h>

#define MAX_NEST 16 /* a BEGIN whose END is not to be found costs a walk over what follows, but each record is walked over so often at most */

struct skip_open {
	u64 least_ns; /* wanted from this duration on; ~0: never, or no duration in this batch is as long */
	u64 begin_ns;
	u32 depth;
};

/* A walk ahead of the page's cursor. */
struct walk {
	struct ingest *in;
	struct page *p;
	struct batch_cursor c;
	struct skip_room room;
	u64 limit_ns; /* nothing later may be left out */
	u64 span_ns;  /* nor, of a span, anything later than this */
	u64 imm_at;
	u64 most_ns;  /* no duration in the batch is as long */
	bool timed;   /* each record's time has to be known */
	u32 level;
	u64 t;	      /* of the record at c, where timed */
	u64 ticks;    /* of the one before c */
	u64 end_ticks; /* of the last END of all that is open */
	u64 early, late, spans;
	struct skip_open open[MAX_NEST];
	/* up to where it is settled */
	struct {
		struct batch_cursor c;
		int more;
		u64 ticks, t; /* of the last record */
		u64 end_ticks;
		u64 early, late, spans;
	} done;
};

static void ask(struct ingest *in, const struct page *p, struct skip_site *s, u32 callsite, u8 kind)
{
	u64 addr = p->link + (s32)(callsite - (u32)p->pub.module_addr);

	*s = (struct skip_site){ .module_addr = p->pub.module_addr, .module = p->pub.module, .callsite = callsite, .kind = kind };
	s->least_ns = in->ops.skip->wanted_ns(in->ops.ctx, p->pub.module, addr, kind, &s->look);
	s->walk = 0;
}

/* Of the BEGIN or EVENT at a cursor. */
static inline struct skip_site *site_at(struct ingest *in, const struct page *p, const struct batch_cursor *c)
{
	u32 callsite = batch__get32(p->b.data + c->off + sizeof(struct wire_rec));
	struct skip_site *s = &in->skip_site[callsite / 16 % SKIP_SITES];
	u8 kind = WIRE_HEAD_KIND(c->head);

	if (__builtin_expect(s->callsite != callsite || s->module != p->pub.module ||
			     s->module_addr != p->pub.module_addr || s->kind != kind, 0))
		ask(in, p, s, callsite, kind);
	return s;
}

static __attribute__((noinline)) void ask_thread(const struct walk *w, struct skip_site *s)
{
	s->walk = w->in->walks;
	s->thread_ns = s->look.least_ns(s->look.who, w->room.thread, NULL);
}

/* From which duration on is the BEGIN or EVENT at the cursor wanted? Exact only as far as it is `enough`. */
static inline u64 wanted_at(const struct walk *w, u64 enough)
{
	const u32 used = sizeof(struct wire_rec) + 4;
	struct skip_site *s = site_at(w->in, w->p, &w->c);
	struct rec_payload fields = { w->p->b.data + w->c.off + used, w->c.size - used };
	u64 least = s->least_ns;

	if (s->look.by_thread && least <= enough) {
		if (s->walk != w->in->walks)
			ask_thread(w, s);
		least = s->thread_ns;
	}
	if (s->look.by_fields && least <= enough)
		least = s->look.least_ns(s->look.who, w->room.thread, &fields);
	return least;
}

/* Everything before the cursor can be left out. */
static inline void settle(struct walk *w, int more)
{
	w->done.c = w->c;
	w->done.more = more;
	w->done.ticks = w->ticks;
	w->done.spans = w->spans;
	w->done.end_ticks = w->end_ticks;
	w->done.t = w->t;
	w->done.early = w->early;
	w->done.late = w->late;
}

/* Each: can the record at the cursor be part of a run? */

static inline bool take_begin(struct walk *w)
{
	u32 depth = WIRE_HEAD_DEPTH(w->c.head), level = w->level;
	u64 least;

	if (WIRE_HEAD_PARENT(w->c.head) != WIRE_PARENT_CURRENT || level == MAX_NEST)
		return false;
	if (level ? depth <= w->open[level - 1].depth : !w->room.spans || depth < w->room.depth)
		return false;
	least = wanted_at(w, w->most_ns);
	if (!least)
		return false;
	if (!level)
		settle(w, 1);
	w->open[level].depth = depth;
	w->open[level].least_ns = ~0ULL;
	if (__builtin_expect(least <= w->most_ns, 0)) {
		w->open[level].least_ns = least;
		w->open[level].begin_ns = batch__ns(&w->p->b, w->c.ticks);
	}
	w->level++;
	return true;
}

static inline bool take_end(struct walk *w)
{
	const struct skip_open *o;

	if (!w->level)
		return false;
	o = &w->open[w->level - 1];
	if (o->depth != WIRE_HEAD_DEPTH(w->c.head))
		return false;
	if (__builtin_expect(o->least_ns != ~0ULL, 0) &&
	    (s64)(batch__ns(&w->p->b, w->c.ticks) - o->begin_ns) >= (s64)o->least_ns)
		return false;
	w->level--;
	w->spans++;
	w->end_ticks = w->c.ticks;
	return true;
}

static inline bool take_event(struct walk *w)
{
	return wanted_at(w, ~0ULL - 1) == ~0ULL;
}

static inline bool take(struct walk *w)
{
	u32 kind = WIRE_HEAD_KIND(w->c.head);

	if (kind == WIRE_R_END)
		return take_end(w);
	if (!batch__is_usual(w->c.head))
		return false;
	return kind == WIRE_R_BEGIN ? take_begin(w) : take_event(w);
}

static bool in_time(struct walk *w, bool of_span)
{
	w->t = MAX(batch__ns(&w->p->b, w->c.ticks), w->t);
	w->early += w->t > w->in->watermark_ns;
	w->late += w->t < w->in->passed_ns;
	return w->t <= (of_span ? w->span_ns : w->limit_ns);
}

static inline void walk(struct walk *w)
{
	int more = 1;
	bool inside;

	while (more == 1 && w->c.number < w->imm_at) {
		inside = w->level;
		if (__builtin_expect(w->timed, 0) && !inside)
			settle(w, more);
		if (!take(w))
			break;
		if (__builtin_expect(w->timed, 0) && !in_time(w, inside || w->level))
			return;
		w->ticks = w->c.ticks;
		w->c.off += w->c.size;
		w->c.left--;
		w->c.number++;
		more = batch__load_quick(&w->p->b, &w->c);
	}
	if (!w->level)
		settle(w, more);
}

/* Of another page of the thread a record may come at this time. */
static u64 next_of_thread(const struct page *p)
{
	u64 t = ~0ULL;
	struct page *q;

	for (q = p->owner ? p->owner->pages : NULL; q; q = q->own_next)
		if (q != p && q->src.slot)
			t = MIN(t, q->src.time_ns);
	return t;
}

/* Of what the rings brought besides pages. */
static u64 next_hit(const struct ingest *in)
{
	u64 t = ~0ULL;
	u32 i;

	for (i = 0; i < in->cpu_cnt; i++)
		if (in->cpu[i] && in->cpu[i]->src.slot)
			t = MIN(t, in->cpu[i]->src.time_ns);
	return t;
}

/* Look ahead in the page's open batch. */
static void find_word(struct page *q)
{
	struct batch_cursor c = q->cur;
	u64 ticks;
	int more = 1;

	do {
		ticks = c.ticks;
		if (!batch__is_usual(c.head) && WIRE_HEAD_KIND(c.head) != WIRE_R_PAUSE)
			break;
		more = batch__next(&q->b, &c);
	} while (more > 0);
	q->word_end = more ? c.number + 1 : ~0ULL;
	q->word_ns = MAX(batch__ns(&q->b, ticks), q->src.time_ns);
}

/* Before this time the page says nothing that names a span. */
static u64 words_from(struct page *q)
{
	const struct held *h = q->queue;

	if (q->imms || !q->opened || q->more <= 0 || h->gap || q->resync || !q->told)
		return q->src.time_ns;
	if (q->word_end <= q->cur.number)
		find_word(q);
	return q->word_end != ~0ULL || h->next ? q->word_ns : ~0ULL;
}

#define MANY_SOURCES 64 /* so many are asked */

static u64 next_word(const struct ingest *in, const struct page *p, u64 limit)
{
	u64 t = ~0ULL, own;
	u32 i;

	if (in->merge.cnt > MANY_SOURCES)
		return limit;
	for (i = 0; i < in->merge.cnt && t > p->src.time_ns; i++) {
		struct merge_source *s = in->merge.heap[i].src;

		if (s == &p->src || !source__is_page(s) || s->time_ns > p->queue->time_ns)
			continue;
		own = words_from(page__of(s));
		t = MIN(t, own);
	}
	return t;
}

/*
 * No record of a batch is later than its delivery. If that is early enough, no record's time has to be known, but for the last
 * one's; unless some of them come before their time and others do not, or the clock is not the same for all of them.
 */
static void set_limits(struct walk *w, u64 limit)
{
	const struct held *h = w->p->queue;
	u64 first = w->p->src.time_ns, next = next_of_thread(w->p), other = ~0ULL, hit = ~0ULL;

	w->t = first;
	w->limit_ns = w->span_ns = MIN(w->in->limit_ns, next - 1);
	if (w->room.between & SKIP_ALL)
		other = limit;
	if (w->room.between & SKIP_WORDS && h->time_ns >= limit)
		other = next_word(w->in, w->p, limit);
	if (w->room.between & SKIP_HITS && h->time_ns >= limit)
		hit = next_hit(w->in);
	other = MIN(other, hit);
	w->span_ns = MIN(w->span_ns, other - 1);
	w->timed = h->time_ns > w->span_ns || !w->p->b.steady || first < w->in->passed_ns ||
		   (h->time_ns > w->in->watermark_ns && first <= w->in->watermark_ns);
	w->most_ns = h->time_ns > first ? h->time_ns - first : 0;
}

/* The page's cursor goes where the walk is settled. */
static void take_over(struct walk *w, u64 from)
{
	struct ingest *in = w->in;
	struct page *p = w->p;
	u64 n = w->done.c.number - from;
	struct ingest_skipped s = { .page = &p->pub, .spans = w->done.spans, .events = n - 2 * w->done.spans };

	if (!w->timed) {
		w->done.t = MAX(batch__ns(&p->b, w->done.ticks), w->t);
		w->done.early = w->t > in->watermark_ns ? n : 0;
	}
	p->cur = w->done.c;
	p->more = w->done.more == BATCH_PAUSE ? batch__pause(&p->b, &p->cur) : w->done.more;
	p->last_ns = p->src.time_ns = s.last_ns = w->done.t;
	s.end_ns = MIN(batch__ns(&p->b, w->done.end_ticks), s.last_ns);
	if (p->more > 0)
		p->src.time_ns = MAX(batch__ns(&p->b, p->cur.ticks), p->last_ns);
	in->st.received += n;
	in->st.skipped += n;
	in->st.early += w->done.early;
	in->st.late += w->done.late;
	in->ops.skip->skipped(in->ops.ctx, &s);
}

bool skip__some(struct ingest *in, struct page *p, u64 limit, u64 imm_at)
{
	struct walk w;
	u64 from = p->cur.number;
	const struct skip_site *s;

	/* nearly always all that has to be asked, where records are wanted */
	if (WIRE_HEAD_KIND(p->cur.head) == WIRE_R_END)
		return false;
	s = site_at(in, p, &p->cur);
	if ((!s->least_ns && !s->look.least_ns) || !in->ops.skip->room(in->ops.ctx, &p->pub, &w.room))
		return false;
	in->walks++;
	w.in = in;
	w.p = p;
	w.c = p->cur;
	w.imm_at = imm_at;
	w.level = 0;
	w.early = w.late = w.spans = w.end_ticks = w.ticks = 0;
	w.done.c.number = from;
	set_limits(&w, limit);
	walk(&w);
	if (w.done.c.number == from)
		return false;
	take_over(&w, from);
	return true;
}
