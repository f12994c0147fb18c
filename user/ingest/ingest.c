/* SPDX-License-Identifier: MIT */
#include "ingest/stream.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_HOLD_NS (250 * NSEC_PER_MSEC)
#define DEFAULT_HELD_BYTES (4u << 20)
#define HELD_LOT 16 /* beyond held_bytes so large a part of it goes at once: not record by record */
#define DEFAULT_EARLY_BYTES (32u << 20)
/* A dead page is remembered so long: what was read of it before its end may still come, and must be known as old. */
#define GRAVE_NS NSEC_PER_SEC

struct ingest *ingest__new(const struct ingest_ops *ops, const struct ingest_opts *opts)
{
	struct ingest_opts o = { 0 };
	struct ingest *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	if (opts)
		memcpy(&o, opts, MIN(opts->sz, sizeof(o)));
	in->ops = *ops;
	in->hold_ns = o.hold_ns ? o.hold_ns : DEFAULT_HOLD_NS;
	in->held_max = o.held_bytes ? o.held_bytes : DEFAULT_HELD_BYTES;
	in->held_low = in->held_max - in->held_max / HELD_LOT;
	in->borrow = o.borrow;
	in->early_max = o.early_bytes ? o.early_bytes : DEFAULT_EARLY_BYTES;
	return in;
}

void ingest__free(struct ingest *in)
{
	struct proc *pr, *tmp;

	if (!in)
		return;
	pages__free_all(in);
	singles__free_all(in);
	HASH_ITER(hh, in->procs, pr, tmp)
		procs__forget(in, pr->pid);
	merge__done(&in->merge);
	free(in);
}

void ingest__clock(struct ingest *in, u64 ticks, u64 mono_ns)
{
	batch_clock__add(&in->clock, ticks, mono_ns);
}

void ingest__since(struct ingest *in, u64 mono_ns)
{
	in->since_ns = mono_ns;
}

static int push__page(struct ingest *in, const void *rec, size_t bytes)
{
	const struct wire_head *head = rec;

	if (head->kind == WIRE_BATCH && bytes >= sizeof(struct wire_batch))
		return stream__batch(in, rec, bytes, false);
	if (head->kind == WIRE_ANNOUNCE && bytes >= sizeof(struct wire_announce))
		return stream__announce(in, rec);
	in->st.malformed++;
	return 0;
}

int ingest__push(struct ingest *in, const void *rec, size_t bytes)
{
	const struct wire_head *head = rec;
	int err;

	if (bytes < sizeof(*head) || head->bytes < sizeof(*head)) {
		in->st.malformed++;
		return 0;
	}
	bytes = MIN(bytes, head->bytes);
	switch (head->kind) {
	case WIRE_IMMEDIATE:
		err = stream__immediate(in, head, bytes);
		break;
	case WIRE_HIT:
	case WIRE_FORK:
	case WIRE_EXEC:
	case WIRE_EXIT:
	case WIRE_RENAME:
		err = singles__push(in, rec, bytes);
		break;
	default:
		err = push__page(in, rec, bytes);
		break;
	}
	return err ? err : pass__bound(in);
}

int ingest__adopt(struct ingest *in, const struct wire_batch *b, size_t bytes)
{
	int err;

	if (bytes < sizeof(*b) || b->head.bytes < sizeof(*b)) {
		in->st.malformed++;
		return 0;
	}
	err = stream__batch(in, b, MIN(bytes, b->head.bytes), true);
	return err ? err : pass__bound(in);
}

int ingest__advance(struct ingest *in, u64 drained_ns, u64 now_ns)
{
	int err;

	in->drained_ns = MAX(in->drained_ns, drained_ns);
	err = stream__drained(in, in->drained_ns, now_ns);
	if (!err)
		err = singles__unpark(in, in->drained_ns);
	if (err)
		return err;
	now_ns -= MIN(now_ns, in->hold_ns);
	in->watermark_ns = MAX(in->watermark_ns, MIN(in->drained_ns, now_ns));
	err = pass__until(in, in->watermark_ns);
	pages__sweep(in, in->watermark_ns - MIN(in->watermark_ns, GRAVE_NS));
	return err ? err : pass__bound(in);
}

int ingest__mark(struct ingest *in, u32 pid, u32 tid, u64 id, u64 seen, int cause, bool dead)
{
	return stream__mark(in, pid, tid, id, seen, cause, dead);
}

void ingest__expect(struct ingest *in, u32 pid, u32 tid, u64 id, u64 number)
{
	stream__expect(in, pid, tid, id, number);
}

int ingest__finish(struct ingest *in)
{
	int err;

	in->drained_ns = in->watermark_ns = ~0ULL;
	err = stream__finish(in);
	if (!err)
		err = singles__unpark(in, ~0ULL);
	return err ? err : pass__until(in, ~0ULL);
}

void ingest__stats(const struct ingest *in, struct ingest_stats *st)
{
	*st = in->st;
}

u64 ingest__passed_ns(const struct ingest *in)
{
	return in->turning ? in->passed_ns : in->watermark_ns;
}
