/* SPDX-License-Identifier: MIT */
/* recover_gen.c - one generation's file: what of it is whole, and what is said there of what it held. */
#include "flight/recover_priv.h"

#include "base/crc32c.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAX_GENERATIONS 65536

/* The most that a record takes, of the kernel's or our own; what claims more is damaged. */
#define MAX_REC_BYTES (128u << 10)
#define SEARCH_BYTES (64u * CHUNK_BYTES) /* summed up in vain in one chunk; the rest of it is left then */

static bool is_padded(const u8 *at, u32 bytes)
{
	for (u32 i = bytes; i < ALIGN_UP(bytes + 1, 8); i++)
		if (at[i])
			return false;
	return true;
}

bool recover__plausible(const u8 *at, size_t left)
{
	const struct wire_head *h = (const void *)at;

	if (left < sizeof(*h) || !h->kind || (h->kind > WIRE_RENAME && h->kind < FLIGHT_CLOCK) || h->time_ns >> 62)
		return false;
	return h->bytes >= sizeof(*h) && h->bytes < MIN(left, (size_t)MAX_REC_BYTES) && ALIGN_UP(h->bytes + 1, 8) <= left &&
	       is_padded(at, h->bytes);
}

static bool is_whole(u64 no, const u8 *at, size_t left)
{
	const struct wire_head *h = (const void *)at;

	return recover__plausible(at, left) && h->seq == generation_rec__crc(no, h);
}

/* The next record that is whole, from `off` on; `bytes`: there is none. */
static u32 next_whole(u64 no, const u8 *data, u32 off, u32 bytes, u64 *in_vain)
{
	const u64 none = 0;

	for (; off < bytes && *in_vain < SEARCH_BYTES; off += 8) {
		if (bytes - off >= sizeof(none) && !memcmp(data + off, &none, sizeof(none)))
			continue; /* most is */
		if (is_whole(no, data + off, bytes - off))
			return off;
		if (recover__plausible(data + off, bytes - off))
			*in_vain += ((const struct wire_head *)(data + off))->bytes;
	}
	return bytes;
}

/*
 * A record is made from its end, its length last. Where that is 0 nothing has been written yet, or all but the length, or the length is
 * what is damaged: then there is one that the checksum agrees to.
 */
static bool find_length(u64 no, u8 *at, size_t left)
{
	struct wire_head *h = (void *)at;

	if (left < sizeof(*h) || h->bytes || !h->kind)
		return false;
	for (u32 n = sizeof(*h); n < MIN(left, sizeof(struct wire_batch) + WIRE_PAGE_BYTES); n++) {
		h->bytes = n;
		if (is_whole(no, at, left))
			return true;
	}
	h->bytes = 0;
	return false;
}

/* Nothing has been written there, or not to its end. */
static bool is_end(const u8 *at, u32 left)
{
	return left < sizeof(struct wire_head) || !((const struct wire_head *)at)->bytes;
}

static u32 trimmed(const u8 *data, u32 off, u32 bytes)
{
	while (bytes > off && !data[bytes - 1])
		bytes--;
	return bytes;
}

int recover__add_chunk(struct generation *g, u8 *data, u32 used)
{
	struct chunk *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*c = (struct chunk){ .data = data, .used = used, .cap = used };
	if (g->last)
		g->last->next = c;
	else
		g->first = c;
	g->last = c;
	return 0;
}

/* --- what is in it ---------------------------------------------------------------------------------------------------------- */

static void count(struct recover_counts *c, const struct wire_head *h)
{
	c->recs++;
	c->single += rec__is_single(h);
	c->paged += rec__paged_cnt(h, h->bytes);
}

static bool is_told(const struct recover_gen *e, u32 chunk, u32 off)
{
	return e->has_seal && (chunk + 1 < e->seal.chunk_cnt || (chunk + 1 == e->seal.chunk_cnt && off < e->seal.last_used));
}

static void take_rec(struct recover_gen *e, const struct wire_head *h, u32 chunk, u32 off)
{
	struct generation *g = e->g;

	g->bytes += h->bytes;
	g->rec_cnt++;
	g->end_ns = MAX(g->end_ns, h->time_ns);
	/* all that was emitted later came later: for where the file does not say when it begins */
	if (!g->start_ns && h->kind == FLIGHT_CLOCK)
		g->start_ns = h->time_ns;
	count(&e->found, h);
	if (is_told(e, chunk, off))
		count(&e->told, h);
}

static void say_place(struct recovered *r, struct recover_gen *e, u32 chunk, u32 from, u32 to, bool known)
{
	u64 at = GEN_FILE_HEAD + (u64)chunk * CHUNK_BYTES + from;

	e->places++;
	if (!is_told(e, chunk, from))
		e->behind_bytes += to - from;
	recover__say(r, !known, "gen-%010" PRIu64 ": damaged from byte %" PRIu64 " on, %u bytes%s", e->g->no, at, to - from,
		     known ? "" : "; how many records were there is not known");
}

/* Runs of whole records, each as a chunk of its own. */
static int take_chunk(struct recovered *r, struct recover_gen *e, u32 chunk, u8 *data, u32 bytes)
{
	u32 off = 0, from, next;
	u64 in_vain = 0;
	int err = 0;

	while (off < bytes && !err) {
		next = next_whole(e->g->no, data, off, bytes, &in_vain);
		if (next == bytes && find_length(e->g->no, data + off, bytes - off))
			next = off;
		/* the seal says what was in it */
		if (next < bytes ? next != off : !is_end(data + off, bytes - off))
			say_place(r, e, chunk, off, next < bytes ? next : trimmed(data, off, bytes), is_told(e, chunk, off));
		for (from = off = next; off < bytes && is_whole(e->g->no, data + off, bytes - off);) {
			const struct wire_head *h = (const void *)(data + off);

			take_rec(e, h, chunk, off);
			off += ALIGN_UP(h->bytes + 1, 8);
		}
		err = off > from ? recover__add_chunk(e->g, data + from, off - from) : 0;
	}
	return err;
}

/* --- the file ------------------------------------------------------------------------------------------------------------------ */

static bool head_is_good(const struct gen_file_head *h)
{
	return h->magic == GEN_FILE_MAGIC && h->crc == crc32c(0, h, offsetof(struct gen_file_head, crc)) &&
	       h->chunk_bytes == CHUNK_BYTES && !(h->start_ns >> 62) && !(h->mono_ns >> 62);
}

static void copy_out(void *to, size_t size, const u8 *data, size_t bytes, size_t at)
{
	memset(to, 0, size);
	if (at < bytes)
		memcpy(to, data + at, MIN(size, bytes - at));
}

/* What the first page says. A seal of another number is that of whoever had the file before. */
static void read_first_page(const struct recovered *r, struct recover_gen *e, struct gen_file_head *h, u64 no, const u8 *data, size_t bytes)
{
	copy_out(h, sizeof(*h), data, bytes, 0);
	copy_out(&e->link, sizeof(e->link), data, bytes, GEN_LINK_AT);
	copy_out(&e->seal, sizeof(e->seal), data, bytes, GEN_SEAL_AT);
	e->has_head = head_is_good(h);
	no = e->has_head ? h->no : no;
	e->has_link = gen_link__is_whole(&e->link) && e->link.prev.no < no;
	e->has_seal = gen_seal__is_whole(&e->seal) && e->seal.no == no;
	if (!e->has_seal && r->has_state && r->state.newest.no == no) {
		e->seal = r->state.newest;
		e->has_seal = true;
	}
}

static struct recover_gen *add_gen(struct recovered *r, const struct recover_gen *e)
{
	struct recover_gen *grown;

	if (r->gen_cnt >= MAX_GENERATIONS)
		return NULL;
	/* not one by one, there may be thousands */
	if (!(r->gen_cnt & (r->gen_cnt - 1))) {
		grown = realloc(r->gen, MAX(2 * r->gen_cnt, 1u) * sizeof(*grown));
		if (!grown)
			return NULL;
		r->gen = grown;
	}
	r->gen[r->gen_cnt] = *e;
	return &r->gen[r->gen_cnt++];
}

static void take_clock(struct recovered *r, const struct gen_file_head *h)
{
	if (h->mono_ns > r->snap.at.mono_ns)
		r->snap.at = (struct clock_pair){ .mono_ns = h->mono_ns, .real_ns = h->real_ns, .boot_ns = h->boot_ns };
}

/* What it held is of before the ring's beginning; if the first page is damaged the name may be of that time too. */
static bool has_left(const struct recovered *r, const struct gen_file_head *h, u64 no)
{
	return h->magic == GEN_FILE_LEFT || no <= r->folded || (r->has_state && no < r->state.oldest_no);
}

/* In a file that was used before: what it says to have ended with; else all is looked at. */
static u32 chunk_bytes(const struct recover_gen *e, u32 chunk, size_t left)
{
	u32 bytes = (u32)MIN(left, (size_t)CHUNK_BYTES);

	if (!e->has_seal || !e->seal.end_ns || chunk + 1 < e->seal.chunk_cnt)
		return bytes;
	return chunk + 1 == e->seal.chunk_cnt ? MIN(bytes, e->seal.last_used) : 0;
}

int recover__generation(struct recovered *r, u64 no, u8 *data, size_t bytes)
{
	struct recover_gen new = { 0 }, *e;
	struct gen_file_head h;
	size_t at;
	u32 chunk;
	int err = 0;

	read_first_page(r, &new, &h, no, data, bytes);
	no = new.has_head ? h.no : no;
	if (!no || has_left(r, &h, no))
		return 0;
	new.g = calloc(1, sizeof(*new.g));
	e = new.g ? add_gen(r, &new) : NULL;
	if (!e) {
		free(new.g);
		return new.g ? -E2BIG : -ENOMEM;
	}
	e->is_file = true;
	e->file_bytes = bytes;
	e->g->no = no;
	e->g->start_ns = e->has_head ? h.start_ns : e->has_seal ? e->seal.start_ns : 0;
	if (e->has_head)
		take_clock(r, &h);
	else if (bytes >= sizeof(h))
		recover__say(r, false, "gen-%010" PRIu64 ": damaged in its head, the first %zu bytes", no, sizeof(h));
	for (at = GEN_FILE_HEAD, chunk = 0; at < bytes && !err; at += CHUNK_BYTES, chunk++)
		err = take_chunk(r, e, chunk, data + at, chunk_bytes(e, chunk, bytes - at));
	r->snap.bytes += e->g->bytes;
	return err;
}
