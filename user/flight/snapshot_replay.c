/* SPDX-License-Identifier: MIT */
/*
 * snapshot_replay.c - a snapshot through an ingest and a model of its own.
 *
 * Everything is pushed before anything is passed on. So ingest's merge sees all sources at once and puts each record into its place in
 * time: a page that was flushed after a minute takes its first records back to the minute before, which a stream with a hold-back
 * could only call late. Nothing is copied for it: ingest borrows the generations' bytes. As it leaves them behind they may go (replay_uses.h):
 * a ring that goes round meanwhile would otherwise be in memory twice.
 *
 * Then in two steps: what is older than the beginning goes through the model into a window that keeps quiet (what is alive at the beginning
 * is known by then), the window begins, and the rest follows. The model's sums are read in between: the difference is what belongs to
 * the window.
 *
 * Left out are records of the kernel with a time up to the start of the oldest generation: stragglers (generations.c); and what is later than
 * the cut, of which there is some threads' only: it goes through ingest, so that the sums can be proved, and no further.
 */
#include "flight/snapshot_replay.h"

#include "flight/replay_uses.h"
#include "ingest/ingest.h"
#include "model/model.h"
#include "model/window.h"

#include <errno.h>
#include <string.h>

#define HOLD_NS 1 /* none: but 0 means the default */
#define CLOCK_PAIRS 4000 /* that ingest remembers, see CLOCK_LINES */

/* A record of our own making, as borrowed as all others. */
struct opening {
	struct opening *next;
	_Alignas(8) u8 rec[];
};

struct replay {
	const struct snapshot *s;
	struct replay_opts o;
	struct ingest *in;
	struct model *m;
	struct window *w;
	u64 start_ns, from_ns;
	u64 now_ns; /* of the record under way */
	bool leaves; /* whole spans are taken: no need to ask all the way where they are not */
	bool over;  /* the cut is behind us */
	u64 late_lost; /* behind the cut, of before it for all that is known: told */
	u64 clock_step_ns, last_clock_ns;
	u64 other_emitted; /* told by loss records */
	u64 gaps_before; /* replay_result.gaps of before the beginning */
	struct idmap pages; /* something has come of */
	const struct wire_head **word; /* about blocks, for when their entries are told */
	u32 word_cnt;
	struct opening *openings;
	struct flight_loss *loss; /* to be told last */
	u32 loss_cnt, loss_cap;
	struct replay_uses uses;
};

/* --- what ingest and the model ask ----------------------------------------------------------------------------- */

/* Behind the cut. What is missing may be missing from before. */
static int on_later(struct replay *p, const struct rec *r)
{
	struct rec loss = *r;

	if (r->kind != REC_LOSS || r->from_ns > p->s->at.mono_ns)
		return 0;
	p->late_lost += r->count;
	loss.time_ns = p->s->at.mono_ns;
	return model__rec(p->m, &loss);
}

static int on_rec(void *ctx, const struct rec *r)
{
	struct replay *p = ctx;

	if (__builtin_expect(p->over, 0))
		return on_later(p, r);
	p->now_ns = r->time_ns;
	return model__rec(p->m, r);
}

static bool on_leaf(void *ctx, const struct rec *begin, u64 end_ns)
{
	struct replay *p = ctx;

	if (p->over)
		return false;
	if (!p->leaves)
		return false;
	p->now_ns = end_ns;
	return model__leaf(p->m, begin, end_ns);
}

static u64 on_module_link(void *ctx, u32 module)
{
	const struct replay *p = ctx;
	const struct snapshot *s = p->s;

	if (module < s->file_cnt && s->file[module].module == module)
		return s->file[module].elf->module_addr;
	for (u32 i = 0; i < s->file_cnt; i++)
		if (s->file[i].module == module)
			return s->file[i].elf->module_addr;
	return 0;
}

static void tell_left(const struct replay *p)
{
	if (p->o.left)
		p->o.left(p->o.ctx, p->uses.left);
}

static void on_uses(void *ctx, const void *data, bool begin)
{
	struct replay *p = ctx;

	if (replay_uses__tell(&p->uses, data, begin))
		tell_left(p);
}

static void on_describe(void *ctx, struct process *p)
{
	const struct replay *r = ctx;
	const struct roster_process *known = roster__process_at(&r->s->roster, p->pid, r->now_ns);
	const struct process *k = known ? &known->pub : NULL;

	if (!k)
		return;
	p->parent_pid = k->parent_pid ? k->parent_pid : p->parent_pid;
	p->ns_pid = k->ns_pid ? k->ns_pid : p->ns_pid;
	p->start_ns = k->start_ns ? k->start_ns : p->start_ns;
	p->dev = k->dev;
	p->ino = k->ino;
	if (!p->comm[0])
		memcpy(p->comm, k->comm, sizeof(p->comm));
	if (!p->exe && k->exe)
		p->exe = strdup(k->exe);
	if (!p->cmdline && k->cmdline)
		p->cmdline = strdup(k->cmdline);
}

static void on_comm(void *ctx, u32 pid, u32 tid, char comm[16])
{
	const struct replay *r = ctx;
	const struct roster_thread *t = roster__thread_at(&r->s->roster, pid, tid, r->now_ns);

	if (t)
		memcpy(comm, t->comm, 16);
}

static const char *on_name(void *ctx, u32 pid, u32 tid)
{
	const struct replay *r = ctx;
	const struct roster_thread *t = roster__thread_at(&r->s->roster, pid, tid, r->now_ns);

	return t ? t->name : NULL;
}

/* --- pushing --------------------------------------------------------------------------------------------------- */

static void push_clock(struct replay *p, const struct flight_clock *c)
{
	if (p->last_clock_ns && c->mono_ns < p->last_clock_ns + p->clock_step_ns)
		return;
	p->last_clock_ns = c->mono_ns;
	ingest__clock(p->in, c->ticks, c->mono_ns);
}

static void push_mark(struct replay *p, const struct flight_mark *m)
{
	int cause = m->cause < LOSS_MAX ? (int)m->cause : LOSS_UNKNOWN;

	if (m->seen)
		ingest__expect(p->in, m->head.pid, m->head.tid, m->id, m->next);
	ingest__mark(p->in, m->head.pid, m->head.tid, m->id, m->seen, cause, false);
}

/* When the last of the entries of a preamble was made, as far as it can be read. */
static u64 preamble__ns(const struct wire_page *h, u32 pre)
{
	const u8 *data = (const u8 *)h + WIRE_DATA;
	u64 latest = 0, ns;
	u32 off, head;

	for (off = 0; off + 24 <= pre; off += WIRE_HEAD_SIZE(head)) {
		memcpy(&head, data + off, sizeof(head));
		if (WIRE_HEAD_KIND(head) != WIRE_R_PRE || WIRE_HEAD_SIZE(head) < 24)
			break;
		memcpy(&ns, data + off + 16, sizeof(ns));
		latest = MAX(latest, ns);
	}
	return latest;
}

static bool preamble__has(const struct wire_page *h, u32 pre, u64 number)
{
	const u8 *data = (const u8 *)h + WIRE_DATA;
	u32 off, head;
	u64 its;

	for (off = 0; off + 24 <= pre; off += WIRE_HEAD_SIZE(head)) {
		memcpy(&head, data + off, sizeof(head));
		if (WIRE_HEAD_KIND(head) != WIRE_R_PRE || WIRE_HEAD_SIZE(head) < 24)
			return false;
		memcpy(&its, data + off + 8, sizeof(its));
		if (its == number)
			return true;
	}
	return false;
}

static struct opening *new_record(struct replay *p, u32 bytes)
{
	struct opening *o = calloc(1, sizeof(*o) + bytes + 1);

	if (!o)
		return NULL;
	o->next = p->openings;
	p->openings = o;
	return o;
}

/* What was said of a block before the ring, told when its entry has been: at the place where its page begins. */
static int push_word(struct replay *p, const struct wire_head *word, u64 at, u64 ns)
{
	struct opening *o = new_record(p, word->bytes);
	struct wire_head *h;
	struct wire_imm *imm;

	if (!o)
		return -ENOMEM;
	h = (void *)o->rec;
	imm = (void *)(h + 1);
	memcpy(h, word, word->bytes);
	h->time_ns = imm->mono_ns = ns;
	imm->at = at;
	return ingest__push(p->in, h, h->bytes);
}

static int push_words(struct replay *p, const struct wire_batch *w, u64 ns)
{
	const struct wire_page *h = (const void *)(w + 1);
	u32 seq = WIRE_COMMIT_SEQ(h->commit), pre = MIN(h->pre_len[seq & 1], WIRE_COMMIT_LEN(h->commit));
	int err = 0;

	for (u32 i = 0; i < p->word_cnt && !err; i++) {
		const struct wire_head *word = p->word[i];
		const struct wire_imm *imm = (const void *)(word + 1);

		if (imm->page_id == h->id && word->tid == w->head.tid && word->pid == w->head.pid && preamble__has(h, pre, imm->at))
			err = push_word(p, word, h->slot[seq & 1].first, ns);
	}
	return err;
}

/*
 * The first that there is of a page, and entries were open when it began: told as a page without records. Otherwise they would
 * be told with the first record, which can be long after the beginning. What had been delivered of the page before was so by
 * the start of the oldest generation, and nothing was recorded between that delivery and this batch: so they have been
 * open since then, or since the last of them was made, if deliveries between were refused.
 */
static int push_opening(struct replay *p, const struct wire_batch *w)
{
	const struct wire_page *h = (const void *)(w + 1);
	u32 seq = WIRE_COMMIT_SEQ(h->commit), pre = MIN(h->pre_len[seq & 1], WIRE_COMMIT_LEN(h->commit));
	u32 bytes = sizeof(*w) + WIRE_DATA + pre;
	struct opening *o;
	struct wire_batch *b;
	int err;

	if (!pre || w->head.bytes < bytes)
		return 0;
	o = new_record(p, bytes);
	if (!o)
		return -ENOMEM;
	b = (void *)o->rec;
	memcpy(b, w, bytes);
	b->head.bytes = bytes;
	b->head.time_ns = MIN(MIN(w->head.time_ns, h->slot[seq & 1].mono_ns), MAX(p->start_ns, preamble__ns(h, pre)));
	((struct wire_page *)(b + 1))->commit = (u64)seq << 32 | pre;
	err = ingest__adopt(p->in, b, bytes);
	return err ? err : push_words(p, b, b->head.time_ns);
}

static int push_batch(struct replay *p, const struct wire_batch *w)
{
	const struct wire_page *h = (const void *)(w + 1);
	int err = 0;
	u64 key;

	if (w->head.bytes >= sizeof(*w) + WIRE_DATA) {
		/* two pages of one key: the second one's entries are told with its first record */
		key = h->id + ((u64)w->head.tid << 40);
		if (!idmap__find(&p->pages, key)) {
			err = idmap__put(&p->pages, key, p);
			if (!err)
				err = push_opening(p, w);
		}
	}
	return err ? err : ingest__push(p->in, w, w->head.bytes);
}

static int keep_loss(struct replay *p, const struct flight_loss *l)
{
	if (p->loss_cnt == p->loss_cap) {
		u32 cap = MAX(p->loss_cap * 2, 16u);
		struct flight_loss *more = realloc(p->loss, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->loss = more;
		p->loss_cap = cap;
	}
	p->loss[p->loss_cnt++] = *l;
	return 0;
}

static int push(struct replay *p, const struct wire_head *h)
{
	switch (h->kind) {
	case FLIGHT_CLOCK:
		if (h->bytes >= sizeof(struct flight_clock))
			push_clock(p, (const void *)h);
		return 0;
	case FLIGHT_MARK:
		if (h->bytes >= sizeof(struct flight_mark))
			push_mark(p, (const void *)h);
		return 0;
	case FLIGHT_ADOPT:
		return ingest__adopt(p->in, (const void *)h, h->bytes);
	case FLIGHT_LOSS: /* when all else has been told */
		return h->bytes >= sizeof(struct flight_loss) ? keep_loss(p, (const void *)h) : 0;
	}
	if (h->time_ns <= p->start_ns)
		return 0;
	if (h->kind == WIRE_BATCH && h->bytes >= sizeof(struct wire_batch))
		return push_batch(p, (const void *)h);
	return ingest__push(p->in, h, h->bytes);
}

static int push_chunks(struct replay *p, const struct chunk *c)
{
	const struct wire_head *h;
	int err = 0;
	u32 off;

	for (; c && !err; c = c->next)
		for (off = 0; !err && (h = chunk__rec(c, &off));)
			err = push(p, h);
	return err;
}

/* A page as it was last read from outside. */
static int push_partial(struct replay *p, const struct partial *part)
{
	const struct wire_batch *b = (const void *)part->rec;

	if (b->head.kind == FLIGHT_ADOPT) {
		int err = ingest__adopt(p->in, b, part->bytes);

		return err ? err : push_words(p, b, b->head.time_ns);
	}
	return push_batch(p, b); /* however old: nothing of it was in the ring */
}

/* About the block's span that the page and the number say. */
static bool is_word(const struct wire_head *h)
{
	const struct wire_imm *imm = (const void *)(h + 1);
	u64 id;

	if (h->kind != WIRE_IMMEDIATE || h->bytes < sizeof(*h) + sizeof(*imm) + sizeof(struct wire_rec) + sizeof(id))
		return false;
	memcpy(&id, (const u8 *)(imm + 1) + sizeof(struct wire_rec), sizeof(id));
	return !id;
}

static int push_carried(struct replay *p)
{
	const struct wire_head *h;
	u32 off, cnt = 0;
	int err = 0;

	for (off = 0; (h = chunk__rec(&p->s->carried, &off));)
		cnt += is_word(h);
	p->word = calloc(MAX(cnt, 1u), sizeof(*p->word));
	if (!p->word)
		return -ENOMEM;
	for (off = 0; !err && (h = chunk__rec(&p->s->carried, &off));) {
		if (is_word(h))
			p->word[p->word_cnt++] = h;
		else
			err = ingest__push(p->in, h, h->bytes);
	}
	return err;
}

static int push_all(struct replay *p)
{
	const struct snapshot *s = p->s;
	int err = push_carried(p);

	for (u32 i = 0; i < s->gen_cnt && !err; i++)
		err = push_chunks(p, s->gen[i]->first);
	for (u32 i = 0; i < s->partial_cnt && !err; i++)
		err = push_partial(p, s->partial[i]);
	return err;
}

/* --- losses that are told apart ---------------------------------------------------------------------------------- */

static void tell_loss(struct replay *p, const struct flight_loss *f)
{
	struct loss l = { .from_ns = MAX(f->from_ns, p->from_ns), .to_ns = f->head.time_ns, .cpu = ~0u,
			  .cause = f->cause < LOSS_MAX ? (u8)f->cause : LOSS_UNKNOWN, .count = f->count };

	if (f->head.time_ns <= p->from_ns)
		return;
	if (p->s->whole) {
		if (f->from_ns > p->s->at.mono_ns)
			return;
		l.to_ns = MIN(l.to_ns, p->s->at.mono_ns);
	}
	p->other_emitted += f->count;
	model__loss(p->m, &l);
}

static void tell_losses(struct replay *p)
{
	for (u32 i = 0; i < p->loss_cnt; i++)
		tell_loss(p, &p->loss[i]);
}

/* --- sums -------------------------------------------------------------------------------------------------------- */

static u64 sum_lost(const struct model_stats *m)
{
	u64 sum = 0;

	for (int i = 0; i < LOSS_MAX; i++)
		sum += m->lost[i];
	return sum;
}

static u64 sum_missing(const struct ingest_stats *in)
{
	u64 sum = 0;

	for (int i = 0; i < LOSS_MAX; i++)
		sum += in->lost[i];
	return sum;
}

/* Records that ingest has passed on, or told as missing. */
static u64 sum_passed(const struct ingest_stats *in)
{
	return in->received + sum_missing(in) + in->hits + in->immediates + in->bad_singles;
}

/* b: when the window began; cut: sum_passed at the cut. */
static void sum_up(struct replay *p, const struct model_stats *b, u64 cut, struct replay_result *res)
{
	struct ingest_stats in;
	struct window_stats w;
	struct model_stats e;
	u64 emitted;

	model__stats(p->m, &e);
	ingest__stats(p->in, &in);
	window__stats(p->w, &w);
	emitted = in.emitted + in.hits + in.immediates + in.bad_singles + p->other_emitted;
	emitted -= sum_passed(&in) - cut - p->late_lost;
	res->unaccounted = (s64)(emitted - e.stored - sum_lost(&e));
	res->emitted = emitted - b->stored - sum_lost(b);
	res->stored = e.stored - b->stored;
	for (int i = 0; i < LOSS_MAX; i++)
		res->lost[i] = e.lost[i] - b->lost[i];
	res->lost_sum = sum_lost(&e) - sum_lost(b);
	res->spans = e.spans_opened - b->spans_opened + w.carried;
	res->events = e.events - b->events;
	res->late = in.late;
	res->malformed = in.malformed;
	res->gaps = sum_missing(&in) - p->gaps_before;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

u64 replay__from_ns(const struct snapshot *s, const struct replay_opts *o)
{
	u64 from = MAX(o->from_ns, snapshot__start_ns(s));

	return MIN(from, s->at.mono_ns);
}

static int setup(struct replay *p)
{
	struct ingest_ops iops = { .rec = on_rec, .leaf = on_leaf, .module_link = on_module_link, .ctx = p,
				   .uses = p->o.left && !replay_uses__init(&p->uses, p->s) ? on_uses : NULL };
	struct ingest_opts io = { .sz = sizeof(io), .held_bytes = SIZE_MAX / 4, .early_bytes = SIZE_MAX / 4,
				 .hold_ns = HOLD_NS, .borrow = true };
	struct model_opts mo = { .sz = sizeof(mo), .max_spans = p->o.max_spans, .no_pairs = p->o.no_pairs, .sigs = p->o.sigs,
				 .describe = on_describe, .comm = on_comm, .name = on_name, .ctx = p };
	struct sink sink;
	int err = 0;

	p->w = window__new(NULL);
	if (!p->w)
		return -ENOMEM;
	sink = window__sink(p->w);
	p->m = model__new(&sink, 1, &mo);
	p->in = ingest__new(&iops, &io);
	if (!p->m || !p->in)
		return -ENOMEM;
	for (u32 i = 0; i < p->s->file_cnt && !err; i++)
		err = model__add_file(p->m, p->s->file[i].elf, p->s->file[i].module, p->s->file[i].first_site);
	return err;
}

/* From the beginning to the cut, and what is behind it. *cut: sum_passed there. */
static int pass_all(struct replay *p, u64 *cut)
{
	struct ingest_stats in;
	int err = p->s->whole ? ingest__advance(p->in, ~0ULL, p->s->at.mono_ns + HOLD_NS) : ingest__finish(p->in);

	ingest__stats(p->in, &in);
	*cut = sum_passed(&in);
	p->over = true;
	return err || !p->s->whole ? err : ingest__finish(p->in);
}

static int run(struct replay *p, const struct sink *to, struct replay_result *res)
{
	struct model_stats at_begin;
	struct ingest_stats in;
	int err = push_all(p), e;
	u64 cut;

	if (replay_uses__settle(&p->uses))
		tell_left(p);
	p->leaves = true; /* by the window, as long as it keeps quiet */
	if (!err)
		err = ingest__advance(p->in, ~0ULL, p->from_ns + HOLD_NS);
	if (err)
		return err;
	model__tell_losses(p->m); /* of before: not the window's */
	model__stats(p->m, &at_begin);
	ingest__stats(p->in, &in);
	p->gaps_before = sum_missing(&in);
	/* what it fails with is the sink's affair, as are all its errors */
	window__begin_last(p->w, to, p->from_ns);
	p->leaves = to->ops->span_leaf;
	err = pass_all(p, &cut);
	tell_losses(p);
	model__cut(p->m, MAX(res->to_ns, window__last_ns(p->w)));
	window__end(p->w, MAX(res->to_ns, window__last_ns(p->w)));
	sum_up(p, &at_begin, cut, res);
	e = p->o.finish ? p->o.finish(p->o.ctx, res) : 0;
	return err ? err : e;
}

int replay__run(const struct snapshot *s, const struct replay_opts *o, const struct sink *to, struct replay_result *res)
{
	struct replay p = { .s = s, .start_ns = snapshot__start_ns(s) };
	struct opening *opening;
	int err;

	memset(res, 0, sizeof(*res));
	memcpy(&p.o, o, MIN(o->sz, sizeof(*o)));
	p.from_ns = replay__from_ns(s, &p.o);
	res->from_ns = p.from_ns;
	res->to_ns = s->at.mono_ns;
	res->whole = s->whole;
	p.clock_step_ns = (s->at.mono_ns - p.start_ns) / CLOCK_PAIRS;
	err = setup(&p);
	if (!err)
		err = run(&p, to, res);
	ingest__free(p.in);
	model__free(p.m);
	window__free(p.w);
	idmap__done(&p.pages);
	free(p.word);
	free(p.loss);
	while ((opening = p.openings)) {
		p.openings = opening->next;
		free(opening);
	}
	replay_uses__done(&p.uses);
	return err;
}
