/* SPDX-License-Identifier: MIT */
/*
 * fuzz_recover - the folder of a killed flight recorder, hostile.
 *
 * The input: u32 bytes of definitions, those, then generations, each u32 bytes and those; what is cut is shorter. Whatever comes, it is
 * replayed, and emitted = stored + lost.
 */
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "flight/recover.h"
#include "flight/snapshot_replay.h"
#include "flight/ring_dir.h"

#define MAX_GENS 8

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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct recovered *r = recover__new();
	struct replay_opts o = { .sz = sizeof(o), .max_spans = 100000 };
	struct replay_result res;
	static const struct sink_ops nothing;
	struct sink to = { .ops = &nothing };
	u8 *gen[MAX_GENS] = { 0 };
	const u8 *p;
	u8 *defs;
	size_t cnt;
	u32 n;

	p = take(&data, &bytes, &cnt);
	defs = malloc(cnt + 1);
	if (p)
		memcpy(defs, p, cnt);
	mend_defs(defs, p ? cnt : 0);
	recover__defs(r, defs, p ? cnt : 0);
	for (n = 0; n < MAX_GENS && (p = take(&data, &bytes, &cnt)); n++) {
		gen[n] = malloc(cnt + 8);
		memcpy(gen[n], p, cnt);
		memset(gen[n] + cnt, 0, 8);
		mend_generation(gen[n], cnt);
		recover__generation(r, gen[n], cnt);
	}
	recover__finish(r);
	if (!replay__run(&r->snap, &o, &to, &res) && res.emitted != res.stored + res.lost_sum) {
		fprintf(stderr, "fuzz_recover: %llu != %llu + %llu\n", (unsigned long long)res.emitted,
			(unsigned long long)res.stored, (unsigned long long)res.lost_sum);
		abort();
	}
	recover__free(r);
	free(defs);
	for (n = 0; n < MAX_GENS; n++)
		free(gen[n]);
	return 0;
}
