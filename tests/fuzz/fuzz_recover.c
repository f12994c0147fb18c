/* SPDX-License-Identifier: MIT */
/*
 * fuzz_recover - the folder of a killed flight recorder, hostile.
 *
 * The input: parts, each u32 bytes and those: definitions, up to 6 generations, what is carried, pages, the copy of the definitions, the state; what
 * is cut is shorter, what is empty is not there. Whatever
 * comes, it is replayed, and emitted = stored + lost.
 */
#include <sanitizer/asan_interface.h> /* of the compiler's; in a plain build its macros do nothing */
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "flight/recover.h"
#include "flight/snapshot_replay.h"
#include "flight/ring_dir.h"

#define MAX_GENS 6
enum { DEFS, GENS, CARRIED = GENS + MAX_GENS, PAGES, COPY, STATE, PARTS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const u8 *take(const u8 **at, size_t *left, size_t *cnt)
{
	const u8 *p;
	u32 want;

	*cnt = 0;
	if (*left < sizeof(want))
		return NULL;
	memcpy(&want, *at, sizeof(want));
	*at += sizeof(want);
	*left -= sizeof(want);
	*cnt = MIN((size_t)want, *left);
	p = *at;
	*at += *cnt;
	*left -= *cnt;
	return p;
}

/* Checksums keep a fuzzer out of what is behind them: they are made right, most of the time. */
static void mend_defs(u8 *p, size_t left)
{
	struct {
		u32 magic, kind, bytes, crc;
	} h;

	while (left >= sizeof(h)) {
		memcpy(&h, p, sizeof(h));
		if (h.crc == 0xbadbad)
			return;
		h.magic = 0x46454454;
		h.bytes = MIN((size_t)h.bytes, left - sizeof(h));
		h.crc = crc32c(crc32c(crc32c(0, &h.kind, 4), &h.bytes, 4), p + sizeof(h), h.bytes);
		memcpy(p, &h, sizeof(h));
		p += sizeof(h) + h.bytes;
		left -= sizeof(h) + h.bytes;
	}
}

static void mend_chunk(u64 no, u8 *p, size_t bytes)
{
	struct wire_head *h;

	for (size_t off = 0; off + sizeof(*h) <= bytes; off += ALIGN_UP(h->bytes + 1, 8)) {
		h = (void *)(p + off);
		if (h->bytes < sizeof(*h) || h->bytes >= bytes - off || h->seq == 0xbadbad)
			return;
		h->seq = generation_rec__crc(no, h);
	}
}

static void mend_seals(u64 no, u8 *p, size_t bytes)
{
	struct gen_link l;
	struct gen_seal s;

	if (bytes < GEN_SEAL_AT + sizeof(s))
		return;
	memcpy(&l, p + GEN_LINK_AT, sizeof(l));
	if (l.prev.no) {
		gen_link__make(&l, &l.prev);
		memcpy(p + GEN_LINK_AT, &l, sizeof(l));
	}
	memcpy(&s, p + GEN_SEAL_AT, sizeof(s));
	if (s.rec_cnt) {
		s.no = no;
		gen_seal__close(&s);
		memcpy(p + GEN_SEAL_AT, &s, sizeof(s));
	}
}

static void mend_state(u8 *p, size_t bytes)
{
	struct ring_state s;

	for (size_t at = 0; at + sizeof(s) <= bytes; at += RING_STATE_COPY) {
		memcpy(&s, p + at, sizeof(s));
		s.magic = RING_STATE_MAGIC;
		s.crc = crc32c(0, &s, offsetof(struct ring_state, crc));
		memcpy(p + at, &s, sizeof(s));
	}
}

static void mend_generation(u8 *p, size_t bytes)
{
	struct gen_file_head h;

	if (bytes < sizeof(h))
		return;
	memcpy(&h, p, sizeof(h));
	h.magic = GEN_FILE_MAGIC;
	h.chunk_bytes = CHUNK_BYTES;
	h.crc = crc32c(0, &h, offsetof(struct gen_file_head, crc));
	memcpy(p, &h, sizeof(h));
	mend_seals(h.no, p, bytes);
	for (size_t at = GEN_FILE_HEAD; at < bytes; at += CHUNK_BYTES)
		mend_chunk(h.no, p + at, MIN(bytes - at, (size_t)CHUNK_BYTES));
}

static void mend_carried(u8 *p, size_t bytes)
{
	struct carried_head h;

	if (bytes < sizeof(h))
		return;
	memcpy(&h, p, sizeof(h));
	h.magic = CARRIED_MAGIC;
	h.bytes = (u32)(bytes - sizeof(h));
	h.crc = crc32c(crc32c(crc32c(0, &h.no, sizeof(h.no)), &h.bytes, sizeof(h.bytes)), p + sizeof(h), h.bytes);
	memcpy(p, &h, sizeof(h));
}

static void mend_pages(u8 *p, size_t bytes)
{
	struct page_slot h;
	struct wire_batch b;

	for (size_t at = 0; at + sizeof(h) + sizeof(b) <= bytes; at += PAGE_SLOT) {
		memcpy(&h, p + at, sizeof(h));
		h.magic = PAGE_SLOT_MAGIC;
		h.bytes = MIN(h.bytes, (u32)MIN(bytes - at, (size_t)PAGE_SLOT) - (u32)sizeof(h));
		memcpy(&b, p + at + sizeof(h), sizeof(b));
		b.head.bytes = h.bytes;
		memcpy(p + at + sizeof(h), &b, sizeof(b));
		memcpy(p + at, &h, sizeof(h));
		h.crc = crc32c(0, p + at + offsetof(struct page_slot, bytes), h.bytes + sizeof(h) - offsetof(struct page_slot, bytes));
		memcpy(p + at, &h, sizeof(h));
	}
}

/* What a replay has left behind it must not touch again. */
static void forbid(void *ctx, u32 gen_cnt)
{
	const struct recovered *r = ctx;
	const struct chunk *c;

	for (u32 i = 0; i < gen_cnt; i++)
		for (c = r->snap.gen[i]->first; c; c = c->next)
			ASAN_POISON_MEMORY_REGION(c->data, c->used);
}

static const u8 *given(const u8 *p, size_t bytes)
{
	return bytes ? p : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct recovered *r = recover__new();
	struct replay_opts o = { .sz = sizeof(o), .max_spans = 100000, .left = forbid, .ctx = r };
	struct replay_result res;
	static const struct sink_ops nothing;
	struct sink to = { .ops = &nothing };
	u8 *part[PARTS] = { 0 };
	size_t cnt[PARTS] = { 0 };
	const u8 *p;
	u32 n;

	for (n = 0; n < ARRAY_SIZE(part); n++) {
		p = take(&data, &bytes, &cnt[n]);
		part[n] = calloc(1, cnt[n] + 8);
		if (p)
			memcpy(part[n], p, cnt[n]);
	}
	mend_state(part[STATE], cnt[STATE]);
	recover__state(r, given(part[STATE], cnt[STATE]), cnt[STATE]);
	mend_defs(part[DEFS], cnt[DEFS]);
	mend_defs(part[COPY], cnt[COPY]);
	recover__defs(r, given(part[DEFS], cnt[DEFS]), cnt[DEFS], given(part[COPY], cnt[COPY]), cnt[COPY]);
	mend_carried(part[CARRIED], cnt[CARRIED]);
	recover__carried(r, given(part[CARRIED], cnt[CARRIED]), cnt[CARRIED]);
	for (n = 0; n < MAX_GENS; n++) {
		mend_generation(part[GENS + n], cnt[GENS + n]);
		recover__generation(r, n + 1, part[GENS + n], cnt[GENS + n]);
	}
	mend_pages(part[PAGES], cnt[PAGES]);
	recover__pages(r, given(part[PAGES], cnt[PAGES]), cnt[PAGES]);
	recover__finish(r);
	if (!replay__run(&r->snap, &o, &to, &res) && res.emitted != res.stored + res.lost_sum) {
		fprintf(stderr, "fuzz_recover: %llu != %llu + %llu\n", (unsigned long long)res.emitted,
			(unsigned long long)res.stored, (unsigned long long)res.lost_sum);
		abort();
	}
	recover__free(r);
	for (n = 0; n < ARRAY_SIZE(part); n++) {
		ASAN_UNPOISON_MEMORY_REGION(part[n], cnt[n] + 8);
		free(part[n]);
	}
	return 0;
}
