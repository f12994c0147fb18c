/* SPDX-License-Identifier: MIT */
/*
 * flight_world.h - a small world around a flight recording: threads that record into pages, a kernel with two rings, a
 * recorder that drains them, reads idle pages and hands everything to a struct flight. All that it hands over is kept, so that a
 * snapshot can be compared with what an ingest and a model that saw everything say of the same time.
 */
#ifndef FLIGHT_WORLD_H
#define FLIGHT_WORLD_H

#include "flight/flight.h"
#include "flight/snapshot_replay.h"
#include "ingest/ingest.h"
#include "model/model.h"
#include "model/window.h"
#include "recording_sink.h"
#include "ingest/page_sim.h"

#define WORLD_THREADS 6	 /* with pages */
#define WORLD_HITTERS 2	 /* with plain probes */
#define WORLD_RINGS 2
#define WORLD_PID 100
#define WORLD_BY_HAND 24 /* spans open at one time */
#define WORLD_LINK 0x4000ULL

struct kept_rec {
	bool adopt;
	u32 bytes;
	_Alignas(8) u8 rec[];
};

struct ring_rec {
	struct ring_rec *next;
	u32 bytes;
	_Alignas(8) u8 data[];
};

struct world_thread {
	struct sim_page page;
	u64 value; /* of the next event */
	u64 idle_commit;
	u32 tid;
	int cpu;
	bool alive, announced;
	u64 seen;
	u32 hit_depth;
};

struct world_span {
	u64 id, open_ns;
	u32 handles; /* 0: free */
};

struct world {
	struct world_span by_hand[WORLD_BY_HAND];
	u64 last_id;
	u64 rnd, now, begin_ns;
	struct flight *f;
	struct model *sites; /* knows the pairs */
	struct elf_file file;
	struct elf_tape_site tape_site[2]; /* a span, an event */
	struct elf_site plain[4];	   /* outer__begin outer__end inner__begin inner__end */
	struct world_thread t[WORLD_THREADS + WORLD_HITTERS];
	u32 cnt;
	struct ring_rec *head[WORLD_RINGS], **tail[WORLD_RINGS];
	struct kept_rec **kept;
	u32 kept_cnt, kept_cap;
	u32 drop; /* of 256 deliveries, so many are refused */
	u64 dropped_hits;
	u8 got[1 << 16]; /* events by value: 1 made, 2 delivered */
	u64 made_ns[1 << 16];
	bool is_event[1 << 16];
	u64 values;
	struct ring_dir *dir; /* NULL: the ring is in memory */
	struct sim_delivery idle[WORLD_THREADS];
	u32 idle_bytes[WORLD_THREADS];
};

static inline u64 world__rnd(struct world *w, u64 below)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return (w->rnd >> 11) % below;
}

static inline void world__tick(struct world *w, u64 most)
{
	w->now += 1 + world__rnd(w, most);
}

static inline void world__keep(struct world *w, const void *rec, u32 bytes, bool adopt)
{
	struct kept_rec *k = calloc(1, sizeof(*k) + bytes + 8);

	k->adopt = adopt;
	k->bytes = bytes;
	memcpy(k->rec, rec, bytes);
	if (w->kept_cnt == w->kept_cap) {
		w->kept_cap = w->kept_cap ? 2 * w->kept_cap : 1024;
		w->kept = realloc(w->kept, w->kept_cap * sizeof(*w->kept));
	}
	w->kept[w->kept_cnt++] = k;
}

static inline int world__role(void *ctx, u32 site, const void **pair)
{
	const struct world *w = ctx;

	return model__pair_role(w->sites, site, pair);
}

static inline void world__comm(void *ctx, u32 pid, u32 tid, char comm[16])
{
	snprintf(comm, 16, "t%u", tid);
}

static inline bool world__emit(struct world *w, int cpu, const void *rec, u32 bytes, bool may_drop)
{
	struct ring_rec *r;

	if (may_drop && world__rnd(w, 256) < w->drop)
		return false;
	r = malloc(sizeof(*r) + bytes);
	r->next = NULL;
	r->bytes = bytes;
	memcpy(r->data, rec, bytes);
	*w->tail[cpu] = r;
	w->tail[cpu] = &r->next;
	return true;
}

static inline void world__drain(struct world *w)
{
	struct ring_rec *r;
	u64 oldest;
	int i, from;

	/* as rings.c: in slices of time, ring by ring */
	for (;;) {
		for (oldest = ~0ULL, i = 0; i < WORLD_RINGS; i++)
			if (w->head[i])
				oldest = MIN(oldest, ((struct wire_head *)w->head[i]->data)->time_ns);
		if (oldest == ~0ULL)
			return;
		for (from = world__rnd(w, WORLD_RINGS), i = 0; i < WORLD_RINGS; i++) {
			int cpu = (from + i) % WORLD_RINGS;

			while ((r = w->head[cpu]) && ((struct wire_head *)r->data)->time_ns <= oldest + 1000) {
				flight__rec(w->f, r->data, r->bytes);
				world__keep(w, r->data, r->bytes, false);
				w->head[cpu] = r->next;
				if (!r->next)
					w->tail[cpu] = &w->head[cpu];
				free(r);
			}
		}
	}
}

/* --- the program --------------------------------------------------------------------------------------------- */

static inline void world__through(struct world *w, const struct sim_page *p)
{
	u32 off = p->h.pre_len[sim__seq(p) & 1], len = sim__len(p);
	struct wire_rec rec;
	struct sim_fields f;

	for (; off < len; off += WIRE_HEAD_SIZE(rec.head)) {
		memcpy(&rec, p->bytes + WIRE_DATA + off, sizeof(rec));
		if (WIRE_HEAD_KIND(rec.head) != WIRE_R_EVENT)
			continue;
		memcpy(&f, p->bytes + WIRE_DATA + off + 8, sizeof(f));
		w->got[f.value[0]] |= 2;
	}
}

static inline bool world__deliver(struct world *w, struct world_thread *t, u32 why)
{
	static struct sim_delivery d;
	u32 bytes = sim__deliver(&t->page, &d, why, t->cpu, WORLD_PID, t->tid, w->now);

	t->seen = MAX(t->seen, sim__number(&t->page));
	if (!world__emit(w, t->cpu, &d, bytes, true))
		return false;
	world__through(w, &t->page);
	return true;
}

static inline void world__flush(struct world *w, struct world_thread *t)
{
	sim__end(&t->page, w->now);
	world__tick(w, 20);
	world__deliver(w, t, WIRE_WHY_FLUSH);
	world__tick(w, 20);
	sim__reset(&t->page, w->now);
}

static inline bool world__append(struct world *w, struct world_thread *t, u32 kind, u32 depth)
{
	struct sim_fields f = sim__fields(0);
	u64 value = w->values;

	if (kind == WIRE_R_END)
		return sim__append(&t->page, kind, 0, depth, NULL, 0, w->now);
	f.callsite += kind == WIRE_R_EVENT ? 48 : 0;
	f.value[0] = (u32)value;
	if (!sim__append(&t->page, kind, 0, depth, &f, sizeof(f), w->now))
		return false;
	w->got[value] = 1;
	w->made_ns[value] = w->now;
	w->is_event[value] = kind == WIRE_R_EVENT;
	w->values++;
	return true;
}

/* Any thread may do anything to any span. */
static inline void world__by_hand(struct world *w, struct world_thread *t)
{
	struct world_span *s = &w->by_hand[world__rnd(w, WORLD_BY_HAND)];
	u32 what = world__rnd(w, 8), kind = what < 3 ? WIRE_R_VALUE : what < 4 ? WIRE_R_CLONE : WIRE_R_DROP;

	if (!s->handles) {
		*s = (struct world_span){ ++w->last_id << 8, w->now, 0 };
		kind = WIRE_R_OPEN;
	}
	while (!sim__by_hand(&t->page, kind, s->id, s->open_ns, w->now, w->now)) {
		world__flush(w, t);
		world__tick(w, 10);
		if (kind == WIRE_R_OPEN)
			s->open_ns = w->now;
	}
	s->handles += kind == WIRE_R_OPEN || kind == WIRE_R_CLONE ? 1 : kind == WIRE_R_DROP ? -1 : 0;
}

static inline void world__record(struct world *w, struct world_thread *t)
{
	u32 what = world__rnd(w, 16), depth = t->page.depth, kind = WIRE_R_EVENT;

	if (w->values >= ARRAY_SIZE(w->got) - 1)
		return;
	world__tick(w, 30);
	if (what == 10 && world__rnd(w, 2)) {
		world__by_hand(w, t);
		return;
	}
	if (what < 5 && depth < SIM_MAX_OPEN - 1)
		kind = WIRE_R_BEGIN;
	else if (what < 10 && depth)
		kind = WIRE_R_END;
	if (kind == WIRE_R_END)
		depth--;
	while (!world__append(w, t, kind, depth)) {
		world__flush(w, t);
		world__tick(w, 10);
	}
}

static inline void world__hit(struct world *w, struct world_thread *t)
{
	struct {
		struct wire_hit hit;
		u64 val[1];
	} h = { .hit = { .arg_cnt = 1 }, .val = { w->now } };
	u32 site = world__rnd(w, 2) ? 0 : 1;

	if (t->hit_depth >= 6)
		site = 1;
	t->hit_depth += site ? (t->hit_depth ? -1 : 0) : 1;
	site += world__rnd(w, 3) ? 0 : 2;
	world__tick(w, 20);
	h.hit.head = (struct wire_head){ .kind = WIRE_HIT, .cpu = t->cpu, .bytes = sizeof(h), .time_ns = w->now,
					 .cookie = site, .pid = WORLD_PID, .tid = t->tid };
	if (!world__emit(w, t->cpu, &h, sizeof(h), true))
		w->dropped_hits++;
}

static inline void world__life(struct world *w, struct world_thread *t, u32 kind)
{
	struct wire_life l = { .head = { .kind = kind, .cpu = t->cpu, .bytes = sizeof(l), .time_ns = w->now,
					 .pid = WORLD_PID, .tid = t->tid } };

	world__emit(w, t->cpu, &l, sizeof(l), false);
}

static inline void world__thread(struct world *w, u32 i)
{
	static u32 tids = 200;
	struct world_thread *t = &w->t[i];
	struct wire_announce a;

	memset(t, 0, sizeof(*t));
	world__tick(w, 50);
	t->tid = ++tids;
	t->cpu = world__rnd(w, WORLD_RINGS);
	t->alive = true;
	if (i >= WORLD_THREADS)
		return;
	sim__init(&t->page, w->now, WORLD_PID, t->tid, 0);
	a = (struct wire_announce){ .head = { .kind = WIRE_ANNOUNCE, .cpu = t->cpu, .bytes = sizeof(a), .time_ns = w->now,
					      .pid = WORLD_PID, .tid = t->tid },
				    .id = t->page.h.id, .module = SIM_MODULE_ADDR, .ns_pid = WORLD_PID, .ns_tid = t->tid };
	world__emit(w, t->cpu, &a, sizeof(a), false);
	w->idle_bytes[i] = 0;
}

static inline void world__exit(struct world *w, u32 i)
{
	struct world_thread *t = &w->t[i];

	world__tick(w, 20);
	if (i < WORLD_THREADS && !world__deliver(w, t, WIRE_WHY_EXIT)) {
		struct wire_page_val v = { .id = t->page.h.id, .seen = t->seen, .pid = WORLD_PID };

		/* the orphan's mark comes when the rings have been drained */
		world__life(w, t, WIRE_EXIT);
		world__drain(w);
		flight__mark(w->f, &v, t->tid, LOSS_RING, true, w->now);
	} else {
		world__life(w, t, WIRE_EXIT);
	}
	t->alive = false;
	world__tick(w, 20);
	world__thread(w, i);
}

static inline void world__act(struct world *w, u32 steps)
{
	u32 i, what;

	while (steps--) {
		i = world__rnd(w, WORLD_THREADS + WORLD_HITTERS);
		/* some threads are lazy */
		if (i >= 3 && i < WORLD_THREADS && world__rnd(w, 60))
			i = world__rnd(w, 3);
		what = world__rnd(w, 1000);
		if (what < 2)
			world__exit(w, i);
		else if (what < 20)
			w->t[i].cpu = world__rnd(w, WORLD_RINGS);
		else if (i >= WORLD_THREADS)
			world__hit(w, &w->t[i]);
		else
			world__record(w, &w->t[i]);
	}
}

/* --- the recorder -------------------------------------------------------------------------------------------- */

static inline void world__idle(struct world *w)
{
	u32 i;

	for (i = 0; i < WORLD_THREADS; i++) {
		struct world_thread *t = &w->t[i];

		w->idle_bytes[i] = 0;
		if (t->page.h.commit == t->idle_commit || !sim__len(&t->page))
			continue;
		t->idle_commit = t->page.h.commit;
		w->idle_bytes[i] = sim__deliver(&t->page, &w->idle[i], WIRE_WHY_IDLE, 0, WORLD_PID, t->tid, w->now);
		world__act(w, world__rnd(w, 3)); /* before the next one's is read */
	}
	world__act(w, world__rnd(w, 30)); /* meanwhile */
	world__drain(w);
	for (i = 0; i < WORLD_THREADS; i++) {
		if (!w->idle_bytes[i])
			continue;
		flight__rec(w->f, &w->idle[i], w->idle_bytes[i]);
		world__through(w, (const void *)w->idle[i].image);
		world__keep(w, &w->idle[i], w->idle_bytes[i], false);
	}
}

static inline void world__round(struct world *w)
{
	u64 drained = w->now;

	world__tick(w, 5);
	flight__clock(w->f, w->now, w->now);
	world__drain(w);
	if (!world__rnd(w, 4))
		world__idle(w);
	flight__round(w->f, drained, w->now);
	flight__beat(w->f, drained);
}

static inline void world__start_in(struct world *w, u64 seed, struct ring_dir *dir)
{
	struct flight_opts o = { .sz = sizeof(o) };
	u32 i;

	memset(w, 0, sizeof(*w));
	w->rnd = seed * 2 + 1;
	world__rnd(w, 2);
	w->now = 1000000;
	for (i = 0; i < 2; i++)
		w->tape_site[i] = (struct elf_tape_site){
			.addr = WORLD_LINK + 0x800 + 48 * i, .kind = i ? WIRE_SITE_EVENT : WIRE_SITE_SPAN, .level = WIRE_INFO,
			.field_cnt = 1, .name = i ? "event" : "span", .target = "app", .module = "app", .file = "app.c",
			.field = { "n" }, .type = { WIRE_T_U64 },
		};
	for (i = 0; i < 4; i++)
		w->plain[i] = (struct elf_site){
			.provider = "plain", .args = "8@%rdi", .arg_cnt = 1,
			.name = (const char *[]){ "outer__begin", "outer__end", "inner__begin", "inner__end" }[i],
			.arg = { { .kind = WIRE_ARG_REG, .size = 8 } },
		};
	w->file = (struct elf_file){ .path = "app", .module_addr = WORLD_LINK, .tape_site = w->tape_site, .tape_site_cnt = 2,
				     .site = w->plain, .site_cnt = 4 };
	w->sites = model__new(NULL, 0, NULL);
	model__add_file(w->sites, &w->file, 0, 0);
	for (i = 0; i < WORLD_RINGS; i++)
		w->tail[i] = &w->head[i];
	o.size_bytes = 16384 + world__rnd(w, 200000);
	o.period_ns = world__rnd(w, 2) ? 0 : 20000 + world__rnd(w, 1000000);
	o.generation_ns = 1000 + world__rnd(w, 100000);
	o.who.comm = world__comm;
	o.pairs = (struct carry_ops){ world__role, w };
	o.dir = w->dir = dir;
	w->f = flight__new(&o, w->now);
	flight__file(w->f, &w->file, 0, 0);
	w->begin_ns = w->now;
	for (i = 0; i < WORLD_THREADS + WORLD_HITTERS; i++)
		world__thread(w, i);
}

static inline void world__start(struct world *w, u64 seed)
{
	world__start_in(w, seed, NULL);
}

static inline void world__stop(struct world *w)
{
	u32 i;

	world__drain(w);
	flight__free(w->f);
	model__free(w->sites);
	for (i = 0; i < w->kept_cnt; i++)
		free(w->kept[i]);
	free(w->kept);
}

/* The answer to a request: idle pages are read and applied, then it is taken. */
static inline struct snapshot *world__snapshot(struct world *w)
{
	struct clock_pair at = { 0 };
	struct snapshot *s;

	struct flight_stats st;
	int tries = 0;

	/* what was read is old if the ring went round meanwhile */
	do {
		at.mono_ns = at.ticks = w->now;
		world__tick(w, 5);
		world__idle(w);
		flight__stats(w->f, &st);
	} while (st.start_ns > at.mono_ns && tries++ < 20);
	world__tick(w, 5);
	s = flight__snapshot(w->f, &at, true, w->now);
	s->file = calloc(1, sizeof(*s->file));
	*s->file = (struct snapshot_file){ .elf = &w->file };
	s->file_cnt = 1;
	return s;
}

#endif
