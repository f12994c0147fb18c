/* SPDX-License-Identifier: MIT */
/*
 * page_sim.h - a thread's page as the traced program would write it, without a program.
 *
 * Written from wire.h alone, apart from the decoder: the tests compare the two. Time is the caller's (ns); with clock 1
 * a tick is a third of a nanosecond.
 */
#ifndef PAGE_SIM_H
#define PAGE_SIM_H

#include "base/util.h"
#include "tapebpf/wire.h"

#include <string.h>

#define SIM_TICKS_PER_NS 3
#define SIM_MAX_OPEN 24
#define SIM_MODULE_ADDR 0x7f0012345000ULL
#define SIM_SITE_ADDR (SIM_MODULE_ADDR + 0x800)

struct sim_open {
	u64 number, ns, id;
	u32 size;
	u8 rec[64];
};

struct sim_page {
	union {
		struct wire_page h;
		u8 bytes[WIRE_PAGE_BYTES];
	};
	u64 last_ticks;
	u32 depth;
	struct sim_open open[SIM_MAX_OPEN];
};

static inline u64 sim__ticks(const struct sim_page *s, u64 ns)
{
	return s->h.clock ? ns * SIM_TICKS_PER_NS : ns;
}

static inline u32 sim__seq(const struct sim_page *s)
{
	return WIRE_COMMIT_SEQ(s->h.commit);
}

static inline u32 sim__len(const struct sim_page *s)
{
	return WIRE_COMMIT_LEN(s->h.commit);
}

static inline u32 sim__cnt(const struct sim_page *s)
{
	return WIRE_COMMIT_CNT(s->h.commit);
}

/* Number of the next record in the life of the page. */
static inline u64 sim__number(const struct sim_page *s)
{
	return s->h.slot[sim__seq(s) & 1].first + sim__cnt(s);
}

static inline u64 sim__commit(u32 seq, u32 cnt, u32 len)
{
	return (u64)seq << 32 | (u64)cnt << 16 | len;
}

static inline void sim__init(struct sim_page *s, u64 id, u32 pid, u32 tid, int clock)
{
	memset(s, 0, sizeof(*s));
	s->h.magic = WIRE_PAGE_MAGIC;
	s->h.version = WIRE_VERSION;
	s->h.clock = clock;
	s->h.id = id;
	s->h.pid = pid;
	s->h.tid = tid;
	s->h.module = SIM_MODULE_ADDR;
	s->h.end_seq = ~0u;
	s->h.slot[0].ticks = s->last_ticks = sim__ticks(s, id);
	s->h.slot[0].mono_ns = id;
}

static inline u32 sim__preamble(struct sim_page *s, u8 *to, u32 room)
{
	u32 d, len = 0;

	for (d = 0; d < s->depth; d++) {
		const struct sim_open *o = &s->open[d];
		u32 own = 24 + (o->id ? 8 : 0), size = own + o->size;
		struct wire_rec rec = { WIRE_HEAD(WIRE_R_PRE, 0, d, size), o->id ? WIRE_PRE_NUMBERED : 0 };

		if (len + size > room)
			break;
		memcpy(to + len, &rec, 8);
		memcpy(to + len + 8, &o->number, 8);
		memcpy(to + len + 16, &o->ns, 8);
		memcpy(to + len + 24, &o->id, own - 24);
		memcpy(to + len + own, o->rec, o->size);
		len += size;
	}
	return len;
}

/* What the program does at a flush, before its probe: the end pair. */
static inline void sim__end(struct sim_page *s, u64 now)
{
	s->h.end_ticks = sim__ticks(s, now);
	s->h.end_ns = now;
	s->h.end_seq = sim__seq(s);
}

/* ... and behind it: the next batch begins. */
static inline void sim__reset(struct sim_page *s, u64 now)
{
	u64 first = sim__number(s);
	u32 seq = sim__seq(s) + 1, len;
	struct wire_slot *slot = &s->h.slot[seq & 1];

	slot->first = first;
	slot->ticks = s->last_ticks = sim__ticks(s, now);
	slot->mono_ns = now;
	len = sim__preamble(s, s->bytes + WIRE_DATA, (WIRE_DATA_END - WIRE_DATA) / 2);
	s->h.pre_len[seq & 1] = len;
	s->h.flags = 0;
	s->h.commit = sim__commit(seq, 0, len);
}

/* Append; false: no room, flush first. body: what follows the struct wire_rec. */
static inline bool sim__append(struct sim_page *s, u32 kind, u32 parent, u32 depth, const void *body,
			       u32 body_bytes, u64 now)
{
	u32 size = 8 + ALIGN_UP(body_bytes, 4), len = sim__len(s), d;
	u64 ticks = sim__ticks(s, now), number = sim__number(s), delta = ticks - s->last_ticks;
	struct wire_rec rec = { WIRE_HEAD(kind, parent, depth, size), kind == WIRE_R_PAUSE ? 0 : delta };
	u8 *at = s->bytes + WIRE_DATA + len;

	if (len + size > WIRE_DATA_END - WIRE_DATA)
		return false;
	memcpy(at, &rec, 8);
	memset(at + 8, 0, size - 8);
	if (body_bytes)
		memcpy(at + 8, body, body_bytes);
	s->last_ticks = ticks;
	if (kind == WIRE_R_OPEN || (kind >= WIRE_R_CLONE && kind <= WIRE_R_NUMBER))
		s->h.flags |= WIRE_PAGE_TOLD;
	s->h.commit = sim__commit(sim__seq(s), sim__cnt(s) + 1, len + size);
	if (kind == WIRE_R_BEGIN || kind == WIRE_R_ENTER) {
		struct sim_open *o = &s->open[depth];

		for (d = s->depth; d < depth; d++)
			s->open[d].size = 0;
		*o = (struct sim_open){ .number = number, .ns = now, .size = size };
		memcpy(o->rec, at, size);
		s->depth = depth + 1;
	} else if (kind == WIRE_R_END) {
		s->depth = depth;
	} else if (kind == WIRE_R_NUMBER) {
		memcpy(&s->open[depth].id, body, 8);
	}
	return true;
}

/* The bodies that the tests use. */
struct sim_fields {
	u32 callsite;
	u32 value[2]; /* a u64 */
};

/* OPEN, VALUE, CLONE, DROP of a span by hand. */
struct sim_by_hand {
	u64 id, module, open_ns;
	u32 callsite;
	u32 rest[3]; /* OPEN: a u64; VALUE: the word, a u64 */
} __attribute__((packed, aligned(4)));

static inline bool sim__by_hand(struct sim_page *s, u32 kind, u64 id, u64 open_ns, u64 value, u64 now)
{
	struct sim_by_hand b = { id, SIM_MODULE_ADDR, open_ns, (u32)SIM_SITE_ADDR, { 0 } };
	u32 at = kind == WIRE_R_VALUE ? 1 : 0, bytes = WIRE_REF_BYTES + (kind == WIRE_R_OPEN ? 8 : kind == WIRE_R_VALUE ? 12 : 0);

	if (at)
		b.rest[0] = WIRE_T_U64 << 8;
	memcpy(&b.rest[at], &value, 8);
	return sim__append(s, kind, kind == WIRE_R_OPEN ? WIRE_PARENT_ROOT : 0, s->depth, &b, bytes, now);
}

static inline struct sim_fields sim__fields(u64 value)
{
	return (struct sim_fields){ (u32)SIM_SITE_ADDR, { (u32)value, value >> 32 } };
}

static inline bool sim__begin(struct sim_page *s, u64 value, u64 now)
{
	struct sim_fields f = sim__fields(value);

	return sim__append(s, WIRE_R_BEGIN, 0, s->depth, &f, sizeof(f), now);
}

static inline bool sim__finish(struct sim_page *s, u64 now) /* END of the innermost */
{
	return sim__append(s, WIRE_R_END, 0, s->depth - 1, NULL, 0, now);
}

static inline bool sim__event(struct sim_page *s, u64 value, u64 now)
{
	struct sim_fields f = sim__fields(value);

	return sim__append(s, WIRE_R_EVENT, 0, s->depth, &f, sizeof(f), now);
}

/* A delivery of the page as it is now: a whole ring record. Returns its bytes. */
struct sim_delivery {
	struct wire_batch w;
	u8 image[WIRE_PAGE_BYTES];
};

static inline u32 sim__deliver(const struct sim_page *s, struct sim_delivery *to, u32 why, u32 cpu, u32 pid,
			       u32 tid, u64 now)
{
	u32 bytes = sizeof(to->w) + WIRE_DATA + sim__len(s);

	memset(&to->w, 0, sizeof(to->w));
	to->w.head.kind = WIRE_BATCH;
	to->w.head.cpu = cpu;
	to->w.head.bytes = bytes;
	to->w.head.time_ns = now;
	to->w.head.pid = pid;
	to->w.head.tid = tid;
	to->w.why = why;
	memcpy(to->image, s->bytes, WIRE_DATA + sim__len(s));
	return bytes;
}

#endif
