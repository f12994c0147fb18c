/* SPDX-License-Identifier: MIT */
/*
 * The promise of ingest, as a property: for every order of events, emitted = received + lost, and received is exactly
 * what some delivery held.
 *
 * A small world is simulated: threads that record, migrate, flush, exit, are made and adopted late; a kernel with two
 * rings that refuses deliveries at random, keeps its marks and drains the dying; a recorder that reads idle pages,
 * drains the rings in the order that the contract asks for and now and then asks for marks. The oracle knows
 * each record (kind, depth, value, time) and which deliveries got through. Seeds are printed: TEST_SEED=N repeats one case,
 * TEST_CASES=N runs so many.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "ingest/ingest.h"
#include "page_sim.h"
#include "seeds.h"

#define THREADS 6
#define MAX_RECS 6000
#define RINGS 2
#define LINK_ADDR 0x4000ULL

struct truth {
	u8 kind;
	u8 depth;
	u8 got;
	u64 ns, value;
	u32 open_cnt; /* entries open before it */
};

struct imm_truth {
	u64 at, value;
	bool got;
};

struct thread {
	struct sim_page page;
	struct truth *rec;
	u64 rec_cnt;
	u64 ours;	/* first number that counts */
	u64 seen;	/* the kernel's mark */
	u8 *through;	/* by number: some delivery that got through holds it */
	u64 idle_commit; /* of the last idle read */
	struct imm_truth imm[256];
	u32 imm_cnt;
	int cpu;
	u32 pid, tid;
	bool alive, announced_through, early, orphan, exit_told, fork_told, told;
	bool has_idle;
	struct sim_delivery idle;
	u32 idle_bytes;
	/* the receiving side */
	u64 next;
	u64 last_ns;
	u64 pending_loss;
	u64 got_imm;
	bool in_resync;
	u64 pre_next;
	int pre_cnt; /* entries of the last RESYNC, until a record has confirmed them; else -1 */
	struct rec_page *rp;
};

struct ring_rec {
	struct ring_rec *next;
	u32 bytes;
	_Alignas(8) u8 data[];
};

struct world {
	struct ingest *in;
	u64 rnd;
	u64 now;
	struct thread t[THREADS];
	u32 thread_cnt;
	struct ring_rec *head[RINGS], **tail[RINGS];
	u32 drop; /* of 256 */
	bool ordered; /* memory suffices: times must be in order */
	bool starved; /* ... not even what comes early can be held: more may be lost, but it is counted */
	bool over;    /* the program does nothing any more */
	u64 start_ns, passed_ns, drained;
	u64 hits, hits_pushed;
	bool turns, asked; /* turns are asked for now and then; one is due */
	u64 turn_ns, turn_dice;
};

static u64 rnd(struct world *w, u64 below)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return (w->rnd >> 11) % below;
}

static void tick(struct world *w, u64 most)
{
	w->now += 1 + rnd(w, most);
}

/* --- the kernel ---------------------------------------------------------------------------------------- */

static bool ring__emit(struct world *w, int cpu, const void *rec, u32 bytes, bool may_drop)
{
	struct ring_rec *r;

	if (may_drop && rnd(w, 256) < w->drop)
		return false;
	r = malloc(sizeof(*r) + bytes);
	r->next = NULL;
	r->bytes = bytes;
	memcpy(r->data, rec, bytes);
	*w->tail[cpu] = r;
	w->tail[cpu] = &r->next;
	return true;
}

static void mark_through(struct thread *t)
{
	u64 first = sim__number(&t->page) - sim__cnt(&t->page), i;

	for (i = first; i < sim__number(&t->page); i++)
		t->through[i] = 1;
}

static bool kernel__deliver(struct world *w, struct thread *t, u32 why)
{
	static struct sim_delivery d;
	u32 bytes = sim__deliver(&t->page, &d, why, t->cpu, t->pid, t->tid, w->now);

	t->seen = MAX(t->seen, sim__number(&t->page));
	if (!ring__emit(w, t->cpu, &d, bytes, true))
		return false;
	mark_through(t);
	return true;
}

static void kernel__life(struct world *w, struct thread *t, u32 kind, int cpu)
{
	struct wire_life l = { .head = { .kind = kind,
					 .cpu = cpu,
					 .bytes = sizeof(l),
					 .time_ns = w->now,
					 .pid = t->pid,
					 .tid = t->tid } };

	if (kind == WIRE_FORK) {
		l.head.tid = 1;
		l.other_pid = t->pid;
		l.other_tid = t->tid;
	}
	ring__emit(w, cpu, &l, sizeof(l), false);
}

/* --- the program --------------------------------------------------------------------------------------- */

static void thread__flush(struct world *w, struct thread *t)
{
	sim__end(&t->page, w->now);
	tick(w, 50);
	kernel__deliver(w, t, WIRE_WHY_FLUSH);
	tick(w, 50);
	sim__reset(&t->page, w->now);
}

static void thread__note(struct thread *t, u8 kind, u8 depth, u64 ns, u64 value, u32 open_cnt)
{
	t->rec[t->rec_cnt++] = (struct truth){ .kind = kind, .depth = depth, .ns = ns, .value = value,
					       .open_cnt = open_cnt };
}

static void thread__record(struct world *w, struct thread *t)
{
	u32 what = rnd(w, 16), depth = t->page.depth;
	u64 value = (u64)t->tid << 32 | t->rec_cnt, pause;
	bool ok;

	if (t->rec_cnt >= MAX_RECS)
		return;
	tick(w, 30);
again:
	if (what < 6 && depth < SIM_MAX_OPEN - 1) {
		ok = sim__begin(&t->page, value, w->now);
		if (ok)
			thread__note(t, WIRE_R_BEGIN, depth, w->now, value, depth);
	} else if (what < 12 && depth) {
		if (what == 11 && depth > 1) { /* longjmp: two at once */
			t->page.depth--;
			depth--;
			what--; /* not once more if there is no room */
		}
		ok = sim__finish(&t->page, w->now);
		if (ok)
			thread__note(t, WIRE_R_END, depth - 1, w->now, 0, depth);
	} else if (what == 12) {
		pause = sim__ticks(&t->page, w->now);
		ok = sim__append(&t->page, WIRE_R_PAUSE, 0, 0, &pause, 8, w->now);
		if (ok)
			thread__note(t, WIRE_R_PAUSE, 0, w->now, 0, depth);
	} else {
		ok = sim__event(&t->page, value, w->now);
		if (ok)
			thread__note(t, WIRE_R_EVENT, depth, w->now, value, depth);
	}
	if (!ok) {
		thread__flush(w, t);
		tick(w, 10);
		goto again;
	}
}

static void thread__immediate(struct world *w, struct thread *t)
{
	struct {
		struct wire_head head;
		struct wire_imm imm;
		struct wire_rec rec;
		struct sim_fields f;
	} r;
	u64 value = 0xabcd000000000000ULL + t->imm_cnt;

	if (t->imm_cnt == ARRAY_SIZE(t->imm))
		return;
	tick(w, 20);
	memset(&r, 0, sizeof(r));
	r.f = sim__fields(value);
	r.rec = (struct wire_rec){ WIRE_HEAD(WIRE_R_EVENT, 0, t->page.depth, 20), 0 };
	r.imm = (struct wire_imm){ .mono_ns = w->now,
				   .at = sim__number(&t->page),
				   .page_id = t->page.h.id,
				   .module = SIM_MODULE_ADDR,
				   .pid = t->pid,
				   .tid = t->tid,
				   .bytes = 20,
				   .version = WIRE_VERSION };
	r.head = (struct wire_head){ .kind = WIRE_IMMEDIATE, .cpu = t->cpu, .time_ns = w->now + 5,
				     .pid = t->pid, .tid = t->tid };
	r.head.bytes = sizeof(r.head) + sizeof(r.imm) + 20;
	tick(w, 20);
	if (ring__emit(w, t->cpu, &r, r.head.bytes, true))
		t->imm[t->imm_cnt++] = (struct imm_truth){ .at = sim__number(&t->page), .value = value };
}

static void world__hit(struct world *w)
{
	struct {
		struct wire_hit hit;
		u64 val[1];
	} h = { .hit = { .arg_cnt = 1 } };
	int cpu = rnd(w, RINGS);

	tick(w, 20);
	h.hit.head = (struct wire_head){ .kind = WIRE_HIT, .cpu = cpu, .bytes = sizeof(h), .time_ns = w->now,
					 .pid = 77, .tid = 77 };
	h.val[0] = w->hits_pushed;
	if (ring__emit(w, cpu, &h, sizeof(h), true))
		w->hits_pushed++;
}

static struct thread *thread__new(struct world *w, bool before)
{
	struct thread *t = &w->t[w->thread_cnt];
	struct wire_announce a;

	if (w->thread_cnt == THREADS)
		return NULL;
	w->thread_cnt++;
	memset(t, 0, sizeof(*t));
	tick(w, 1000);
	t->pid = 100 + rnd(w, 2);
	t->tid = 200 + w->thread_cnt;
	t->cpu = rnd(w, RINGS);
	t->rec = calloc(MAX_RECS, sizeof(*t->rec));
	t->through = calloc(MAX_RECS, 1);
	t->alive = true;
	t->pre_cnt = -1;
	t->early = before;
	if (!before)
		kernel__life(w, t, WIRE_FORK, rnd(w, RINGS));
	tick(w, 100);
	sim__init(&t->page, w->now, t->pid, t->tid, rnd(w, 2));
	if (before)
		return t;
	a = (struct wire_announce){ .head = { .kind = WIRE_ANNOUNCE, .cpu = t->cpu, .bytes = sizeof(a),
					      .time_ns = w->now, .pid = t->pid, .tid = t->tid },
				    .id = t->page.h.id, .module = SIM_MODULE_ADDR, .ns_pid = t->pid, .ns_tid = t->tid };
	t->announced_through = ring__emit(w, t->cpu, &a, sizeof(a), true);
	return t;
}

static void thread__exit(struct world *w, struct thread *t)
{
	tick(w, 100);
	if (!kernel__deliver(w, t, WIRE_WHY_EXIT))
		t->orphan = true;
	tick(w, 100);
	kernel__life(w, t, WIRE_EXIT, t->cpu);
	t->alive = false;
}

static void world__act(struct world *w, u32 steps)
{
	struct thread *t;
	u32 what;

	while (steps-- && !w->over) {
		t = w->thread_cnt ? &w->t[rnd(w, w->thread_cnt)] : NULL;
		what = rnd(w, 1000);
		if (what == 0 || !t) {
			thread__new(w, false);
		} else if (!t->alive) {
			tick(w, 10);
		} else if (what < 3 && t->rec_cnt > 50) {
			thread__exit(w, t);
		} else if (what < 20) {
			t->cpu = rnd(w, RINGS);
		} else if (what < 30) {
			thread__flush(w, t);
		} else if (what < 33) { /* an exec that fails: delivered, not reset */
			kernel__deliver(w, t, WIRE_WHY_EXEC);
		} else if (what < 45) {
			thread__immediate(w, t);
		} else if (what < 60) {
			world__hit(w);
		} else {
			thread__record(w, t);
		}
	}
}

/* --- the recorder -------------------------------------------------------------------------------------- */

static void recorder__push(struct world *w, const void *rec, u32 bytes)
{
	assert_int_equal(ingest__push(w->in, rec, bytes), 0);
}

/* Drain each ring in turn; the program goes on meanwhile. Returns what drained_ns is. */
static u64 recorder__drain(struct world *w)
{
	u64 before = w->now;
	int i, first = rnd(w, RINGS);

	for (i = 0; i < RINGS; i++) {
		int cpu = (first + i) % RINGS;
		struct ring_rec *r = w->head[cpu], *next;

		w->head[cpu] = NULL;
		w->tail[cpu] = &w->head[cpu];
		world__act(w, rnd(w, 100));
		for (; r; r = next) {
			next = r->next;
			recorder__push(w, r->data, r->bytes);
			free(r);
		}
		world__act(w, rnd(w, 100));
	}
	return before;
}

static void recorder__idle_collect(struct world *w)
{
	struct thread *t;

	for (t = w->t; t < w->t + w->thread_cnt; t++) {
		t->has_idle = t->alive && t->page.h.commit != t->idle_commit;
		if (!t->has_idle)
			continue;
		t->idle_commit = t->page.h.commit;
		t->idle_bytes = sim__deliver(&t->page, &t->idle, WIRE_WHY_IDLE, 0, t->pid, t->tid, w->now);
		mark_through(t);
		tick(w, 50);
	}
}

static void recorder__idle_apply(struct world *w)
{
	struct thread *t;

	for (t = w->t; t < w->t + w->thread_cnt; t++)
		if (t->has_idle)
			recorder__push(w, &t->idle, t->idle_bytes);
}

static void recorder__marks(struct world *w)
{
	struct thread *t;

	for (t = w->t; t < w->t + w->thread_cnt; t++) {
		if (!t->alive && !t->orphan)
			continue;
		if (t->seen)
			ingest__mark(w->in, t->pid, t->tid, t->page.h.id, t->seen, LOSS_RING, t->orphan);
		t->orphan = false;
	}
}

static void recorder__round(struct world *w)
{
	u64 drained;

	ingest__clock(w->in, w->now * SIM_TICKS_PER_NS, w->now);
	if (rnd(w, 3) == 0)
		recorder__marks(w);
	recorder__idle_collect(w);
	world__act(w, rnd(w, 50));
	drained = recorder__drain(w);
	if (rnd(w, 3) == 0)
		recorder__marks(w);
	if (rnd(w, 4) == 0) /* the idle reads are not applied yet: drained as far as before them */
		assert_int_equal(ingest__advance(w->in, w->drained, w->now), 0);
	recorder__idle_apply(w);
	tick(w, 100);
	w->drained = drained;
	assert_int_equal(ingest__advance(w->in, drained, w->now), 0);
}

static void recorder__adopt(struct world *w)
{
	static struct sim_delivery d;
	struct thread *t;
	u32 bytes;

	for (t = w->t; t < w->t + w->thread_cnt; t++) {
		if (!t->early || !t->alive)
			continue;
		bytes = sim__deliver(&t->page, &d, WIRE_WHY_IDLE, 0, t->pid, t->tid, w->now);
		t->ours = sim__number(&t->page);
		t->seen = 0;
		memset(t->through, 0, t->ours);
		assert_int_equal(ingest__adopt(w->in, &d.w, bytes), 0);
		tick(w, 100);
	}
}

/* --- what comes out ------------------------------------------------------------------------------------ */

static struct thread *thread__of(struct world *w, const struct rec *r)
{
	struct thread *t;

	for (t = w->t; t < w->t + w->thread_cnt; t++)
		if (t->tid == r->tid)
			return t;
	fail_msg("a record of nobody: kind %u tid %u", r->kind, r->tid);
	return NULL;
}

static void got__record(struct world *w, struct thread *t, const struct rec *r)
{
	struct truth *x = &t->rec[r->number];
	u64 value = 0;

	assert_true(r->number < t->rec_cnt);
	assert_true(r->number >= t->ours);
	assert_true(r->number >= t->next);
	/* What lies between is lost or a PAUSE. */
	for (; t->next < r->number; t->next++)
		if (t->rec[t->next].kind != WIRE_R_PAUSE && t->next >= t->ours)
			assert_true(!t->through[t->next] || w->starved);
	t->next = r->number + 1;
	assert_int_equal(r->kind, x->kind);
	assert_int_equal(r->depth, x->depth);
	assert_int_equal(x->got++, 0);
	assert_true(r->time_ns + 1 >= x->ns);
	/* Passed on before its time, an immediate record may have moved the page's clock. */
	if (w->ordered || r->time_ns != t->last_ns)
		assert_true(r->time_ns <= x->ns + 1);
	if (r->kind != WIRE_R_END) {
		assert_int_equal(r->payload_bytes, 8);
		memcpy(&value, r->payload, 8);
		assert_int_equal(value, x->value);
		assert_int_equal(r->site_addr, LINK_ADDR + (SIM_SITE_ADDR - SIM_MODULE_ADDR));
	}
	assert_false(t->in_resync);
	/* The preamble told of what was open; an END may be that of a span below the innermost. */
	if (t->pre_cnt >= 0 && t->pre_cnt != (int)x->open_cnt)
		assert_true(r->kind == WIRE_R_END && t->pre_cnt == (int)x->open_cnt + 1);
	t->pre_cnt = -1;
	if (w->ordered)
		assert_true(r->time_ns + 2 >= w->passed_ns);
}

static void got__imm(struct thread *t, const struct rec *r, bool ordered)
{
	u64 value;
	u32 i;

	memcpy(&value, r->payload, 8);
	i = value & 0xffff;
	assert_true(i < t->imm_cnt);
	assert_false(t->imm[i].got);
	t->imm[i].got = true;
	t->got_imm++;
	assert_int_equal(value, t->imm[i].value);
	assert_true(r->number == ~0ULL);
	/* Its place, if there was time to wait for it: none behind it has come. */
	if (ordered)
		assert_true(t->next <= t->imm[i].at);
}

static void got__pre(struct thread *t, const struct rec *r)
{
	struct truth *x = &t->rec[r->number];

	assert_true(t->in_resync);
	assert_true(r->number < t->rec_cnt);
	assert_int_equal(r->pre_kind, WIRE_R_BEGIN);
	assert_int_equal(r->depth, t->pre_next);
	t->pre_next = r->depth + 1;
	t->pre_cnt++;
	assert_int_equal(x->kind, WIRE_R_BEGIN);
	assert_int_equal(x->depth, r->depth);
	assert_true(r->time_ns + 1 >= x->ns && r->time_ns <= x->ns + 1);
}

static u64 leaves; /* taken in one call */

static int on_rec(void *ctx, const struct rec *r)
{
	struct world *w = ctx;
	struct thread *t;

	if (r->kind == REC_HIT) {
		w->hits++;
		if (w->ordered)
			assert_true(r->time_ns + 2 >= w->passed_ns);
		w->passed_ns = MAX(w->passed_ns, r->time_ns);
		return 0;
	}
	if (r->kind == REC_FORK) {
		for (t = w->t; t->tid != r->life->other_tid; t++)
			;
		if (w->ordered)
			assert_false(t->told);
		t->fork_told = true;
		return 0;
	}
	t = thread__of(w, r);
	if (r->kind == REC_EXIT) {
		t->exit_told = true;
		return 0;
	}
	if (r->kind == REC_LOSS && !r->page) {
		assert_false(t->told);
		t->pending_loss += r->count;
		return 0;
	}
	assert_non_null(r->page);
	if (r->kind != REC_LOSS)
		assert_false(t->exit_told);
	if (r->kind == REC_PAGE) {
		assert_false(t->told);
		t->told = true;
		t->rp = r->page;
		assert_int_equal(r->pid, t->pid);
	}
	assert_true(t->told);
	assert_ptr_equal(t->rp, r->page);
	switch (r->kind) {
	case REC_PAGE:
		return 0;
	case REC_LOSS:
		t->pending_loss += r->count;
		return 0;
	case REC_RESYNC:
		t->in_resync = true;
		t->pre_next = t->pre_cnt = 0;
		return 0;
	case REC_RESYNC_END:
		assert_true(t->in_resync);
		t->in_resync = false;
		return 0;
	case REC_PRE:
		got__pre(t, r);
		return 0;
	}
	assert_true(r->time_ns >= t->last_ns);
	if (r->immediate)
		got__imm(t, r, w->ordered);
	else
		got__record(w, t, r);
	t->last_ns = r->time_ns;
	w->passed_ns = MAX(w->passed_ns, r->time_ns);
	return 0;
}

static u64 turns;

/* With and without turns all else has to be the same. */
static int on_rec_or_turn(void *ctx, const struct rec *r)
{
	struct world *w = ctx;

	if (w->ordered && (r->kind < REC_PRE || r->kind == REC_HIT))
		assert_true(r->time_ns + 2 >= w->turn_ns);
	assert_int_equal(on_rec(w, r), 0);
	/* not rnd(): the program does the same with turns and without */
	w->turn_dice = w->turn_dice * 6364136223846793005ULL + 1442695040888963407ULL;
	if (w->turns && w->turn_dice >> 61 == 0)
		w->asked = true;
	return w->asked ? INGEST_TURN : 0;
}

static int on_turn(void *ctx)
{
	struct world *w = ctx;

	assert_true(w->asked);
	w->asked = false;
	w->turn_ns = ingest__passed_ns(w->in);
	turns++;
	return 0;
}

/* Taken or not, it has to be the same. */
static bool on_leaf(void *ctx, const struct rec *begin, u64 end_ns)
{
	struct rec end = { .kind = WIRE_R_END, .depth = begin->depth, .time_ns = end_ns, .number = begin->number + 1,
			   .page = begin->page, .pid = begin->pid, .tid = begin->tid, .cpu = begin->cpu,
			   .module = begin->module };
	struct world *w = ctx;

	assert_int_equal(begin->kind, WIRE_R_BEGIN);
	assert_true(end_ns >= begin->time_ns);
	if (!rnd(w, 4) || w->asked)
		return false;
	on_rec(w, begin);
	on_rec(w, &end);
	leaves++;
	return true;
}

static u64 module_link(void *ctx, u32 module)
{
	return LINK_ADDR;
}

/* --- the verdict --------------------------------------------------------------------------------------- */

static void thread__judge(const struct world *w, struct thread *t, u64 *emitted, u64 *received, u64 *pauses, u64 *told_loss)
{
	u64 i, known = MAX(t->seen, t->ours), got = 0;

	for (i = t->ours; i < t->rec_cnt; i++) {
		if (t->through[i])
			known = MAX(known, i + 1);
		if (t->rec[i].kind == WIRE_R_PAUSE) {
			*pauses += t->through[i];
			continue; /* when starved: not known here whether it was received */
		}
		if (t->rec[i].got != t->through[i] && (!w->starved || t->rec[i].got))
			fail_msg("tid %u record %llu: through %d, got %d", t->tid, (unsigned long long)i,
				 t->through[i], t->rec[i].got);
		got += t->rec[i].got;
	}
	for (i = 0; i < t->imm_cnt; i++)
		assert_true(t->imm[i].got);
	for (i = t->ours; i < known; i++)
		*emitted += !(t->rec[i].kind == WIRE_R_PAUSE && t->through[i]);
	*received += got;
	*told_loss += t->pending_loss;
}

static void world__judge(struct world *w)
{
	u64 emitted = 0, received = 0, pauses = 0, told = 0, lost = 0;
	struct ingest_stats st;
	struct thread *t;
	int i;

	for (t = w->t; t < w->t + w->thread_cnt; t++)
		thread__judge(w, t, &emitted, &received, &pauses, &told);
	ingest__stats(w->in, &st);
	for (i = 0; i < LOSS_MAX; i++)
		lost += st.lost[i];
	assert_int_equal(st.received, received);
	assert_int_equal(st.emitted + st.pauses, emitted + pauses);
	if (!w->starved)
		assert_int_equal(st.pauses, pauses);
	assert_int_equal(st.emitted, st.received + lost);
	assert_int_equal(told, lost);
	assert_int_equal(st.hits, w->hits_pushed);
	assert_int_equal(w->hits, w->hits_pushed);
	assert_int_equal(st.held_bytes, 0);
	assert_int_equal(st.malformed, 0);
	if (w->ordered) {
		assert_int_equal(st.late, 0);
		assert_int_equal(st.early, 0);
	}
}

static void world__run(u64 seed)
{
	static struct world w;
	struct ingest_ops ops = { .rec = on_rec_or_turn, .turn = on_turn, .leaf = on_leaf, .module_link = module_link, .ctx = &w };
	struct ingest_opts opts = { .sz = sizeof(opts) };
	u32 i, rounds, before;
	u64 drained;

	memset(&w, 0, sizeof(w));
	w.rnd = seed * 0x9e3779b97f4a7c15ULL + 1;
	w.now = 1000000000;
	for (i = 0; i < RINGS; i++)
		w.tail[i] = &w.head[i];
	w.turns = seed & 1;
	w.turn_dice = seed;
	w.drop = (u32[]){ 0, 0, 10, 60, 150, 250 }[rnd(&w, 6)];
	w.ordered = rnd(&w, 3);
	/* Longer than any round takes, or so little memory that hardly anything can be held. */
	opts.hold_ns = w.ordered ? 200 * 1000 : 1 + rnd(&w, 100000);
	opts.held_bytes = w.ordered ? 64 << 20 : 1 + rnd(&w, 100000);
	w.starved = !w.ordered && rnd(&w, 2);
	opts.early_bytes = w.starved ? 1 + rnd(&w, 50000) : 0;
	for (before = rnd(&w, 3); before; before--)
		thread__new(&w, true);
	for (i = rnd(&w, 400); i && w.thread_cnt; i--)
		thread__record(&w, &w.t[rnd(&w, w.thread_cnt)]);
	for (i = 0; i < RINGS; i++) { /* nobody listened so far */
		while (w.head[i]) {
			struct ring_rec *r = w.head[i];

			w.head[i] = r->next;
			free(r);
		}
		w.tail[i] = &w.head[i];
	}
	w.start_ns = w.now + 1;
	tick(&w, 10);
	w.in = ingest__new(&ops, &opts);
	ingest__since(w.in, w.start_ns);
	ingest__clock(w.in, (w.now - 10000000) * SIM_TICKS_PER_NS, w.now - 10000000);
	ingest__clock(w.in, w.now * SIM_TICKS_PER_NS, w.now);
	recorder__adopt(&w);
	rounds = 3 + rnd(&w, 30);
	for (i = 0; i < rounds; i++) {
		world__act(&w, rnd(&w, 400));
		recorder__round(&w);
	}
	/* The end, as attach__stop does it: idle read, drain, apply, then the marks. */
	ingest__clock(w.in, w.now * SIM_TICKS_PER_NS, w.now);
	recorder__idle_collect(&w);
	drained = recorder__drain(&w);
	recorder__idle_apply(&w);
	for (i = 0; i < THREADS; i++)
		if (w.t[i].alive)
			thread__exit(&w, &w.t[i]);
	w.over = true;
	recorder__drain(&w);
	recorder__marks(&w);
	if (rnd(&w, 2))
		assert_int_equal(ingest__advance(w.in, drained, w.now), 0);
	assert_int_equal(ingest__finish(w.in), 0);
	world__judge(&w);
	for (i = 0; i < RINGS; i++)
		assert_null(w.head[i]);
	ingest__free(w.in);
	for (i = 0; i < w.thread_cnt; i++) {
		free(w.t[i].rec);
		free(w.t[i].through);
	}
}

static void every_record_once_every_loss_counted(void **state)
{
	u64 cases = seeds__run(world__run, 3000);

	if (!cases)
		return;
	printf("seeds 1 to %llu\n", (unsigned long long)cases);
	assert_true(leaves > 0);
	assert_true(turns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_record_once_every_loss_counted, seeds__say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
