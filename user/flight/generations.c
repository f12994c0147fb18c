/* SPDX-License-Identifier: MIT */
/*
 * generations.c - the ring of a flight recorder.
 *
 * Problem. A record may cost about 2 ns in steady state, and at any moment the newest ones have to be handed to somebody who reads them
 * for seconds, while more arrive, without a pause and without a copy.
 *
 * Design. Nothing is decoded: a record is copied behind the one before it, into chunks of 256 KiB. Chunks belong to a generation; one
 * generation is active, sealed ones never change. A snapshot holds references to sealed generations; what leaves the ring meanwhile
 * stays in memory until the last reference goes. Chunks of a generation that has gone are used again, as fresh memory costs a page
 * fault each 4 KiB, more than the copy.
 *
 * When a generation starts. Records of several CPUs arrive nearly in the order of their times, not exactly. start_ns is a time for which one thing
 * is certain: what was emitted after it is here or in later generations. That is the later of the latest time in any older generation,
 * and the time up to which the rings had been drained when the older one ended. A reader that begins here leaves out deliveries up to
 * start_ns: those are stragglers whose neighbours went with the older generation.
 *
 * Bounds. A generation that crosses the limit is kept (keep.h), and the active one is not counted, so the ring holds up to max_bytes + two
 * generations. generation_bytes is therefore an eighth of the size, but at most 2 to 4 MiB (the caller's choice): a ring of 64 MiB stays
 * within 68. It is chosen so that the chunks of a generation are full when it is.
 *
 * Rejected. One ring of bytes with wrap-around: a reader would have to pin a moving tail, and eviction by record needs the record's length
 * read again. Cutting generations by rounds of the session alone: a round can bring whole kernel rings.
 */
#include "flight/generations.h"
#include "flight/keep.h"

#include "base/crc32c.h"
#include "base/stream_copy.h"
#include "flight/told.h"

#include <string.h>
#include <sys/mman.h>

#define FREE_CHUNKS 4 /* more than those and what a generation takes are given back */

struct generations {
	struct generations_opts o;
	struct chunk_store store;
	bool full; /* the store had no room since the last tick */
	struct generation *active;
	struct generation *newest, *oldest; /* sealed */
	struct chunk *free;
	u32 free_cnt;
	u64 last_ns;	/* latest time of a record of the kernel's; our own can be ahead of what the rings still hold */
	u64 drained_ns; /* as last told */
	u64 begun_ns;	/* of the active one, by the clock */
	u64 next_no;
	struct generations_stats st;
};

/* --- chunks ---------------------------------------------------------------------------------------------- */

static struct chunk *chunk__stored(struct generations *g, struct generation *gen)
{
	struct chunk *c = g->full ? NULL : calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->cap = CHUNK_BYTES;
	c->data = g->store.map(g->store.ctx, gen, gen->chunk_cnt);
	if (c->data) {
		gen->chunk_cnt++;
		g->st.memory_bytes += c->cap;
		return c;
	}
	g->full = true; /* not asked again for each record */
	free(c);
	return NULL;
}

static struct chunk *chunk__new(struct generations *g, struct generation *gen, u32 need)
{
	struct chunk *c = g->free;

	if (g->store.map)
		return chunk__stored(g, gen);
	if (c && need <= c->cap) {
		g->free = c->next;
		g->free_cnt--;
		c->next = NULL;
		c->used = 0;
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->cap = ALIGN_UP(MAX(need, CHUNK_BYTES), 4096);
	c->data = mmap(NULL, c->cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->data == MAP_FAILED) {
		free(c);
		return NULL;
	}
	g->st.memory_bytes += c->cap;
	return c;
}

static void chunk__release(struct generations *g, struct chunk *c)
{
	g->st.memory_bytes -= c->cap;
	munmap(c->data, c->cap);
	free(c);
}

static void chunk__free(struct generations *g, struct chunk *c)
{
	if (c->cap != CHUNK_BYTES || g->free_cnt >= FREE_CHUNKS + g->o.generation_bytes / CHUNK_BYTES) {
		chunk__release(g, c);
		return;
	}
	c->next = g->free;
	g->free = c;
	g->free_cnt++;
}

/* --- generations ------------------------------------------------------------------------------------------- */

static struct generation *generation__new(struct generations *g, u64 start_ns, u64 now_ns)
{
	struct generation *gen = calloc(1, sizeof(*gen));

	if (!gen)
		return NULL;
	gen->no = ++g->next_no;
	gen->start_ns = start_ns;
	gen->refs = 1; /* the ring's own */
	g->begun_ns = now_ns;
	return gen;
}

static void generation__free(struct generations *g, struct generation *gen)
{
	struct chunk *c, *next;

	for (c = gen->first; c; c = next) {
		next = c->next;
		if (!g->store.map) {
			chunk__free(g, c);
			continue;
		}
		g->st.memory_bytes -= c->cap;
		free(c);
	}
	if (g->store.freed)
		g->store.freed(g->store.ctx, gen);
	free(gen);
}

void generation__hold(struct generation *gen)
{
	gen->refs++;
}

void generations__drop(struct generations *g, struct generation *gen)
{
	if (--gen->refs)
		return;
	g->st.held_bytes -= gen->bytes;
	generation__free(g, gen);
}

static void evict(struct generations *g, struct generation *gen)
{
	if (g->o.evicted)
		g->o.evicted(g->o.ctx, gen);
	if (g->store.evicted)
		g->store.evicted(g->store.ctx, gen);
	gen->newer = NULL;
	g->st.cnt--;
	g->st.evicted++;
	g->st.bytes -= gen->bytes;
	g->st.held_bytes += gen->bytes;
	generations__drop(g, gen);
}

static struct keep rule(const struct generations *g, u64 now_ns)
{
	return (struct keep){ .max_bytes = g->o.max_bytes, .period_ns = g->o.period_ns, .now_ns = now_ns };
}

u64 generations__sealed_start_ns(const struct generations *g, u64 now_ns, u64 extra_bytes)
{
	const struct generation *gen = g->active;
	struct keep k = rule(g, now_ns);

	keep__next(&k, gen->bytes + extra_bytes, gen->start_ns);
	for (gen = g->newest; gen && keep__next(&k, gen->bytes, gen->start_ns); gen = gen->older)
		;
	return k.oldest_ns;
}

static void apply_rule(struct generations *g, u64 now_ns, u64 extra_bytes)
{
	struct generation *gen = g->newest, *kept = NULL, *newer;
	struct keep k = rule(g, now_ns);

	for (; gen && keep__next(&k, gen->bytes + (kept ? 0 : extra_bytes), gen->start_ns); gen = gen->older)
		kept = gen;
	if (!gen)
		return;
	/* oldest first, so that whoever listens sees them in order */
	for (gen = g->oldest; gen != kept; gen = newer) {
		newer = gen->newer;
		newer->older = NULL;
		g->oldest = newer;
		evict(g, gen);
	}
}

struct generations *generations__new(const struct generations_opts *o, u64 now_ns)
{
	struct generations *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->o = *o;
	if (o->store)
		g->store = *o->store;
	g->drained_ns = now_ns;
	g->active = generation__new(g, now_ns, now_ns);
	if (!g->active) {
		free(g);
		return NULL;
	}
	return g;
}

void generations__free(struct generations *g)
{
	struct generation *gen, *older;
	struct chunk *c;

	if (!g)
		return;
	for (gen = g->newest; gen; gen = older) {
		older = gen->older;
		generation__free(g, gen);
	}
	generation__free(g, g->active);
	while ((c = g->free)) {
		g->free = c->next;
		chunk__release(g, c);
	}
	free(g);
}

void generations__seal(struct generations *g, u64 now_ns, u64 extra_bytes)
{
	struct generation *gen = g->active;
	struct generation *next = generation__new(g, MAX(g->last_ns, g->drained_ns), now_ns);

	if (!next)
		return; /* it goes on growing until there is memory for another */
	stream_copy__fence(); /* others read it from now on */
	g->active = next;
	gen->end_ns = now_ns;
	gen->older = g->newest;
	if (g->newest)
		g->newest->newer = gen;
	else
		g->oldest = gen;
	g->newest = gen;
	g->st.cnt++;
	g->st.sealed++;
	if (g->store.sealed)
		g->store.sealed(g->store.ctx, gen);
	apply_rule(g, now_ns, extra_bytes);
}

void generations__begin(struct generations *g, u64 now_ns)
{
	g->active->start_ns = g->drained_ns = g->begun_ns = now_ns;
}

bool generations__full(const struct generations *g)
{
	return g->active->bytes >= g->o.generation_bytes;
}

void generations__tick(struct generations *g, u64 now_ns, u64 drained_ns, u64 extra_bytes)
{
	g->full = false;
	g->drained_ns = MAX(g->drained_ns, drained_ns);
	if (generations__full(g) || now_ns - g->begun_ns >= g->o.generation_ns)
		generations__seal(g, now_ns, extra_bytes);
}

/* --- appending ----------------------------------------------------------------------------------------------- */

static struct chunk *add_chunk(struct generations *g, u32 need)
{
	struct generation *gen = g->active;
	struct chunk *c = chunk__new(g, gen, need);

	if (!c) {
		g->st.failed++;
		return NULL;
	}
	if (gen->last)
		gen->last->next = c;
	else
		gen->first = c;
	gen->last = c;
	return c;
}

static u32 crc_of(u64 no, const struct wire_head *h, const void *rest, u32 rest_bytes)
{
	return crc32c(crc32c((u32)no, h, offsetof(struct wire_head, seq)), rest, rest_bytes);
}

u32 generation_rec__crc(u64 no, const struct wire_head *h)
{
	return crc_of(no, h, &h->cookie, h->bytes - (u32)offsetof(struct wire_head, cookie));
}

/* What is behind the head, and the zeros behind that. Stores wait for each other: the last line is fetched while the others are written. */
static void put_rest(struct wire_head *to, const struct wire_head *rec, u32 bytes)
{
	u8 *end = (u8 *)to + bytes;

	__builtin_prefetch(end, 1);
	stream_copy(to + 1, rec + 1, bytes - sizeof(*to));
	memset(end, 0, ALIGN_UP(bytes + 1, 8) - bytes);
}

/*
 * A kill can come between any two stores: a record is there once its length is, and then it is whole. Behind it may be what was there
 * before the chunk was used again: so that nobody reads on, where the next one will begin is 0 before.
 */
static void put_stored(struct wire_head *to, const struct wire_head *rec, u32 bytes, u64 no, bool last)
{
	const u32 from = offsetof(struct wire_head, cookie), time = offsetof(struct wire_head, time_ns);
	struct wire_head h = *rec;

	h.bytes = bytes; /* what the kernel's says may be more */
	h.seq = crc_of(no, &h, &rec->cookie, bytes - from);
	memcpy((u8 *)to + from, (const u8 *)rec + from, sizeof(h) - from);
	put_rest(to, rec, bytes);
	if (!last)
		memset((u8 *)to + ALIGN_UP(bytes + 1, 8), 0, 8);
	memcpy(to, &h, offsetof(struct wire_head, bytes));
	memcpy((u8 *)to + time, (const u8 *)&h + time, from - time);
	__atomic_store_n(&to->bytes, bytes, __ATOMIC_RELEASE);
}

static void put(struct wire_head *to, const struct wire_head *rec, u32 bytes)
{
	*to = *rec;
	to->bytes = bytes;
	put_rest(to, rec, bytes);
}

void *generations__append(struct generations *g, const void *rec, u32 bytes)
{
	u32 room = ALIGN_UP(bytes + 1, 8);
	const struct wire_head *h = rec; /* looked at here: where it is copied to is not in the cache */
	struct generation *gen = g->active;
	struct chunk *c = gen->last;
	struct wire_head *to;

	if (__builtin_expect(!c || room > c->cap - c->used, 0)) {
		c = add_chunk(g, room);
		if (!c)
			return NULL;
	}
	to = (void *)(c->data + c->used);
	if (g->store.map) {
		put_stored(to, h, bytes, gen->no, c->used + room == c->cap);
		gen->single_cnt += rec__is_single(h);
		gen->paged_cnt += rec__paged_cnt(h, bytes);
	} else {
		put(to, h, bytes);
	}
	c->used += room;
	gen->bytes += bytes;
	gen->rec_cnt++;
	if (h->kind == WIRE_HIT)
		gen->hits++;
	else
		gen->told += rec__tells(h, bytes);
	g->st.bytes += bytes;
	if (h->kind < FLIGHT_CLOCK && h->time_ns > g->last_ns)
		g->last_ns = h->time_ns;
	return to;
}

/* --- looking ------------------------------------------------------------------------------------------------- */

const struct generation *generations__newest(const struct generations *g)
{
	return g->newest;
}

const struct generation *generations__oldest(const struct generations *g)
{
	return g->oldest;
}

const struct generation *generations__active(const struct generations *g)
{
	return g->active;
}

void generations__stats(const struct generations *g, struct generations_stats *st)
{
	*st = g->st;
	st->active_bytes = g->active->bytes;
}
