/* SPDX-License-Identifier: MIT */
/*
 * fuzz_batch - hostile ring records through ingest.
 *
 * The input is a script: u8 what, u8 argument, u16 bytes, then so many bytes; see enum script. Whatever comes: nothing is
 * read out of bounds (the sanitizers watch), payloads can be walked, numbers of a page only grow, and at the end
 * emitted = received + lost, with every lost record told.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/ingest.h"

enum script { PUSH = 0, ADOPT = 1, ADVANCE = 2, MARK = 3, CLOCK = 4, FINISH = 5, WHATS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct seen {
	u64 told_lost;
	volatile u8 sink;
	int pre_depth;
};

static void demand(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_batch: %s\n", what);
	abort();
}

/* Page numbers only grow: rec_page.user remembers the next. */
static void see_number(const struct rec *r)
{
	u64 next = (u64)(uintptr_t)r->page->user;

	if (r->immediate || r->kind > WIRE_R_THREAD_NAME || next == UINTPTR_MAX)
		return;
	demand(r->number >= next, "a number came again");
	r->page->user = (void *)(uintptr_t)(r->number + 1);
}

static void see_values(struct seen *s, const struct rec *r)
{
	const u8 *p = r->payload;
	u32 left = r->payload_bytes, i;
	struct rec_value v;
	u8 type = r->number % 13;
	int used;

	for (i = 0; i < left; i++)
		s->sink += p[i];
	while (left && (used = rec_value__take(&v, type, p, left)) >= 0) {
		demand(used % 4 == 0 && (u32)used <= left, "a value beyond its payload");
		for (i = 0; i < v.text_bytes; i++)
			s->sink += v.text[i];
		if (!used)
			break;
		p += used;
		left -= used;
		type = (type + 1) % 13;
	}
}

static int on_rec(void *ctx, const struct rec *r)
{
	struct seen *s = ctx;
	const struct wire_hit *hit = r->hit;
	u32 i;

	if (r->kind == REC_LOSS) {
		s->told_lost += r->count;
		return 0;
	}
	if (r->kind == REC_RESYNC)
		s->pre_depth = -1;
	if (r->kind == REC_PRE) {
		demand(r->depth > s->pre_depth, "depths of a preamble do not ascend");
		s->pre_depth = r->depth;
	}
	if (hit)
		for (i = 0; i < 8u * hit->arg_cnt + hit->text_bytes; i++)
			s->sink += ((const u8 *)(hit + 1))[i];
	if (r->life)
		s->sink += strlen(r->life->comm) + strlen((const char *)(r->life + 1));
	if (r->page && r->kind < REC_RESYNC) {
		if (r->kind != REC_PRE)
			see_number(r);
		see_values(s, r);
	}
	return 0;
}

static u64 module_link(void *ctx, u32 module)
{
	return module == 13 ? 0 : 0x4000 + module;
}

static u64 look_ns(void *who, const struct thread *t, const struct rec_payload *fields)
{
	u8 sum = 0;

	if (!fields)
		return 0;
	for (u32 i = 0; i < fields->bytes; i++)
		sum += fields->data[i];
	return (u64[]){ 0, 50, ~0ULL }[sum % 3];
}

/* A quarter of the callsites nobody wants, a quarter only from some time on, a quarter by who records or what is in the record. */
static u64 wanted_ns(void *ctx, u32 module, u64 site_addr, u8 kind, struct rec_look *look)
{
	if (site_addr / 16 % 4 == 3)
		*look = (struct rec_look){ look_ns, NULL, true, true };
	return (u64[]){ 0, kind == WIRE_R_BEGIN ? 50 : 0, ~0ULL, 0 }[site_addr / 16 % 4];
}

static bool skip_room(void *ctx, const struct rec_page *p, struct skip_room *room)
{
	*room = (struct skip_room){ .spans = p->tid % 4, .between = p->tid % 8, .depth = p->tid % 2 };
	return true;
}

static void skipped(void *ctx, const struct ingest_skipped *s)
{
	demand(s->spans + s->events > 0 && s->events >> 48 == 0, "nothing was left out, or less");
}

static const struct ingest_skip_ops skip_ops = { .wanted_ns = wanted_ns, .room = skip_room, .skipped = skipped };

static u64 take64(const u8 *p, u32 bytes, u32 at)
{
	u64 v = 0;

	if (at < bytes)
		memcpy(&v, p + at, MIN(8u, bytes - at));
	return v;
}

static void step(struct ingest *in, u8 what, u8 arg, const u8 *p, u32 bytes)
{
	/* A copy of its own, so that one byte too far is seen. */
	void *rec = malloc(MAX(bytes, (u32)sizeof(struct wire_batch)));

	memset(rec, 0, sizeof(struct wire_batch));
	memcpy(rec, p, bytes);
	switch (what % WHATS) {
	case PUSH:
		ingest__push(in, rec, bytes);
		break;
	case ADOPT:
		ingest__adopt(in, rec, bytes);
		break;
	case ADVANCE:
		ingest__advance(in, take64(p, bytes, 0), take64(p, bytes, 8));
		break;
	case MARK:
		ingest__mark(in, take64(p, bytes, 0), take64(p, bytes, 4), take64(p, bytes, 8),
			     take64(p, bytes, 16), arg & 15, arg >> 7);
		break;
	case CLOCK:
		ingest__clock(in, take64(p, bytes, 0), take64(p, bytes, 8));
		break;
	case FINISH:
		ingest__finish(in);
		break;
	}
	free(rec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct seen s = { 0 };
	struct ingest_ops ops = { .rec = on_rec, .module_link = module_link, .ctx = &s };
	struct ingest_opts opts = { .sz = sizeof(opts) };
	struct ingest_stats st;
	struct ingest *in;
	u64 lost = 0;
	u32 n;
	int i;

	if (bytes && data[0] & 64)
		ops.skip = &skip_ops;
	if (bytes && data[0] & 1) {
		opts.held_bytes = 5000;
		opts.early_bytes = 5000;
	}
	in = ingest__new(&ops, &opts);
	for (; bytes >= 4; data += 4 + n, bytes -= 4 + n) {
		n = MIN((size_t)(data[2] | data[3] << 8), bytes - 4);
		step(in, data[0] >> 1, data[1], data + 4, n);
	}
	ingest__finish(in);
	ingest__stats(in, &st);
	for (i = 0; i < LOSS_MAX; i++)
		lost += st.lost[i];
	demand(st.emitted == st.received + lost, "emitted is not received + lost");
	demand(lost + st.bad_singles == s.told_lost, "not every loss was told");
	demand(!st.held_bytes, "something is still held");
	ingest__free(in);
	return 0;
}
