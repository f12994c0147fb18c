/* SPDX-License-Identifier: MIT */
/*
 * tape_reader.c - from the records of a tape back to the data model.
 *
 * Problem. The stream that a sink expects is strict (sink.h): definitions first, every span opened and closed once,
 * the calls about a thread in order. A tape is not: v0.1 does not say on which thread a span was opened or left, nor
 * where its opening values end; the upstream recorder announces values that never come; a file may be cut or damaged
 * anywhere; and tapes of tapebpf hold records that are there only to please readers of v0.1.
 *
 * Design. tape_scan.c finds the records. Each is handled as it comes; what cannot be said yet is held:
 *   - a callsite is told to the sink at its first use, when its fields and types are known;
 *   - an opening is held while values may follow. In tapes of tapebpf they follow at once. In others, until the span is
 *     entered, named or closed; so the opening's call may come after later ones of its thread, with its true time. That
 *     is also when the parent of a contextual span becomes known: the top of the stack on which it is first entered;
 *   - an event is held until its values are complete, or its thread does something else.
 * Extension records stand before the record they belong to; they wait in `pending` and are void once another v0.1
 * record has passed. Records under a synthetic mark are skipped, except that a span re-opened at a snapshot's start is
 * a span, and that a skipped placeholder counts as one of its event's values.
 *
 * Numbers. Tapes of tapebpf never re-use ids: they are handed on. Other tapes do: spans are then numbered by opening.
 *
 * Invariants. What is freed is in no stack, no map and not held. A span in a stack has been told. A sink sees an exit
 * for every entry, before the close. Memory: callsites, processes and threads of the whole tape, and the spans that are
 * open; placeholders for spans whose opening is not in the tape are bounded.
 *
 * Rejected: reading the whole file first, which would give parents at once, but memory by length; and a window of
 * reordering across threads: our own tapes are in order, and in others a call is late by microseconds.
 */
#include "tape/reader.h"

#include <errno.h>

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct tape_reader *r = ctx;

	r->totals.defects++;
	if (d->kind == TAPE_DEFECT_LENGTH || d->kind == TAPE_DEFECT_TORN) {
		/* what these wait for may be gone */
		r->pending = 0;
		r->synthetic = 0;
	}
	if (r->ops.defect)
		r->ops.defect(r->ops.ctx, d);
}

int tape_reader__open(const char *path, const struct tape_reader_ops *ops, struct tape_reader **out, struct diag *d)
{
	struct tape_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return diag__set(d, -ENOMEM, "no memory for reading %s", path);
	if (ops)
		r->ops = *ops;
	err = tape_scan__open(path, on_defect, r, &r->scan, d);
	if (err) {
		free(r);
		return err;
	}
	*out = r;
	return 0;
}

void tape_reader__free(struct tape_reader *r)
{
	if (!r)
		return;
	reader__free_spans(r);
	reader__free_defs(r);
	reader__free_gathers(r);
	tape_scan__free(r->scan);
	free(r);
}

static void read_generation(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_generation *x = (const void *)raw->data;

	if (!r->span_cnt)
		r->own = true; /* else spans have been numbered otherwise */
	if (x->version > TAPE_X_VERSION || x->incompat) {
		DEFECT_AT(r, EXTENSION, "extension records of version %u, incompatible flags 0x%x: ignored", x->version,
			  x->incompat);
		r->ignore_extensions = true;
	}
}

static void read_loss(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_loss *x = (const void *)raw->data;
	struct read_callsite *c = x->callsite ? reader__find_callsite(r, x->callsite) : NULL;
	struct read_thread *t = x->thread ? reader__get_thread(r, x->thread) : NULL;
	struct loss l = { .from_ns = reader__time(r, x->from), .to_ns = reader__time(r, x->to), .cpu = x->cpu,
			  .cause = x->cause, .count = x->count };

	if (c)
		l.callsite = &reader__use_callsite(r, x->callsite, c->c.is_span)->c;
	if (t)
		l.thread = &t->t;
	if (__builtin_add_overflow(r->totals.loss_records, x->count, &r->totals.loss_records))
		r->totals.loss_records = UINT64_MAX;
	TELL(r, loss, &l);
}

static void read_totals(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_totals *x = (const void *)raw->data;

	reader__time(r, x->time);
	r->totals.present = true;
	r->totals.emitted = x->emitted;
	r->totals.stored = x->stored;
	r->totals.lost = x->lost;
	if (raw->bytes < sizeof(*x))
		return;
	r->totals.cut_off = true;
	r->totals.complete_unix_ns = tape_intro__unix_ns(tape_scan__intro(r->scan), x->complete);
}

static void read_checksum(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_checksum *x = (const void *)raw->data;
	u32 crc = tape_scan__crc(r->scan, raw->offset);

	r->totals.checksum_present = true;
	r->totals.checksum_ok = crc == x->crc;
	if (crc != x->crc)
		DEFECT_AT(r, CHECKSUM, "the checksum is %08x, the bytes give %08x", x->crc, crc);
}

/* Keep an extension for the record behind it. */
static void keep(struct tape_reader *r, enum pending bit, void *dst, size_t bytes, const struct tape_raw *raw)
{
	memset(dst, 0, bytes);
	memcpy(dst, raw->data, MIN(bytes, raw->bytes));
	r->pending |= bit;
}

static void keep_span(struct tape_reader *r, const struct tape_raw *raw)
{
	keep(r, P_SPAN, &r->x_span, sizeof(r->x_span), raw);
	/* the tail is left out as a whole: half of it says nothing */
	if (raw->bytes < sizeof(r->x_span))
		r->x_span.h.len = TAPE_X_SPAN_MIN;
}

static void read_synthetic(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_synthetic *x = (const void *)raw->data;

	r->procedure = x->procedure;
	r->synthetic = x->count;
}

static void extension(struct tape_reader *r, const struct tape_raw *raw)
{
	/* only these may stand between an opening and its values */
	if (r->held && raw->kind != TAPE_X_VALUE && raw->kind != TAPE_X_SYNTHETIC)
		reader__tell_span(r, r->held);
	switch (raw->kind) {
	case TAPE_X_PROCESS:
		return reader__process(r, raw);
	case TAPE_X_THREAD:
		return reader__thread(r, raw);
	case TAPE_X_LOSS:
		return read_loss(r, raw);
	case TAPE_X_EXIT:
		return keep(r, P_EXIT, &r->x_exit, sizeof(r->x_exit), raw);
	case TAPE_X_SYNTHETIC:
		return read_synthetic(r, raw);
	case TAPE_X_EVENT:
		return keep(r, P_EVENT, &r->x_event, sizeof(r->x_event), raw);
	case TAPE_X_VALUE:
		return keep(r, P_VALUE, &r->x_value, sizeof(r->x_value), raw);
	case TAPE_X_CHECKSUM:
		return read_checksum(r, raw);
	case TAPE_X_SPAN:
		return keep_span(r, raw);
	case TAPE_X_LATE:
		return keep(r, P_LATE, &r->x_late, sizeof(r->x_late), raw);
	case TAPE_X_ALIAS:
		return reader__alias(r, raw);
	case TAPE_X_TRIGGER:
		return reader__trigger(r, raw);
	case TAPE_X_LIFE:
		return reader__life(r, raw);
	case TAPE_X_CLOSE:
		return keep(r, P_CLOSE, &r->x_close, sizeof(r->x_close), raw);
	case TAPE_X_TOTALS:
		return read_totals(r, raw);
	case TAPE_X_CALLSITE:
		return reader__callsite_types(r, raw);
	}
}

static void record(struct tape_reader *r, const struct tape_raw *raw)
{
	if (r->held && raw->kind != TAPE_SPAN_VALUE)
		reader__tell_span(r, r->held);
	switch (raw->kind) {
	case TAPE_CALLSITE:
		reader__callsite(r, raw);
		break;
	case TAPE_CALLSITE_FIELD:
		reader__callsite_field(r, raw);
		break;
	case TAPE_EVENT:
		reader__event(r, raw);
		break;
	case TAPE_EVENT_VALUE:
		reader__event_value(r, raw, false);
		break;
	case TAPE_SPAN_OPEN:
		reader__span_open(r, raw);
		break;
	case TAPE_SPAN_ENTER:
		reader__span_enter(r, raw);
		break;
	case TAPE_SPAN_EXIT:
		reader__span_exit(r, raw);
		break;
	case TAPE_SPAN_CLOSE:
		reader__span_close(r, raw);
		break;
	case TAPE_SPAN_VALUE:
		if (!r->ops.no_values)
			reader__span_value(r, raw);
		else if (r->pending & P_LATE)
			reader__time(r, r->x_late.time); /* what is open was so at that time */
		break;
	case TAPE_SPAN_FOLLOWS:
		reader__span_follows(r, raw);
		break;
	}
	r->pending = 0;
}

/* Is this record one that only readers of v0.1 are to see? */
static bool skip_synthetic(struct tape_reader *r, const struct tape_raw *raw)
{
	if (!r->synthetic)
		return false;
	r->synthetic--;
	if (r->procedure == TAPE_P_REOPEN)
		return false; /* these spans are real, only earlier: see reader__span_open */
	if (r->procedure == TAPE_P_FIELD && raw->kind == TAPE_EVENT_VALUE)
		reader__event_value(r, raw, true);
	if (r->procedure == TAPE_P_ALIAS && raw->kind == TAPE_SPAN_CLOSE)
		reader__alias_end(r, raw);
	return true;
}

static void dispatch(struct tape_reader *r, const struct tape_raw *raw)
{
	bool ours = raw->kind >= TAPE_X_GENERATION;

	r->offset = raw->offset;
	r->totals.records++;
	if (raw->kind == TAPE_X_SKIP || (ours && r->ignore_extensions) || skip_synthetic(r, raw))
		return;
	if (raw->kind == TAPE_X_GENERATION)
		read_generation(r, raw);
	else if (ours)
		extension(r, raw);
	else
		record(r, raw);
}

static int next_record(struct tape_reader *r, struct tape_raw *raw)
{
	if (!r->peeked.bytes)
		return tape_scan__next(r->scan, raw);
	*raw = r->peeked;
	r->peeked.bytes = 0;
	return 1;
}

/* Where a record's time stands; 0: it has none that orders it. */
static u32 time_at(u8 kind)
{
	switch (kind) {
	case TAPE_EVENT:
		return offsetof(struct tape_event, time);
	case TAPE_SPAN_OPEN:
		return offsetof(struct tape_span_open, time);
	case TAPE_SPAN_ENTER:
		return offsetof(struct tape_span_enter, time);
	case TAPE_SPAN_EXIT:
	case TAPE_SPAN_CLOSE:
		return offsetof(struct tape_span_end, time);
	case TAPE_X_LOSS:
		return offsetof(struct tape_x_loss, to);
	case TAPE_X_LATE:
		return offsetof(struct tape_x_late, time);
	case TAPE_X_LIFE:
		return offsetof(struct tape_x_life, end);
	default:
		return 0;
	}
}

/* What is still said of an opening stands right behind it. */
static bool may_go_on(const struct tape_raw *next)
{
	return next->kind == TAPE_SPAN_VALUE || next->kind == TAPE_X_VALUE || next->kind == TAPE_X_SYNTHETIC ||
	       next->kind == TAPE_X_SKIP;
}

int tape_reader__peek(struct tape_reader *r, u64 *time_ns)
{
	int got = r->ended ? 0 : r->peeked.bytes ? 1 : tape_scan__next(r->scan, &r->peeked);
	u32 at;
	s64 time;

	*time_ns = r->last_ns;
	if (got <= 0) {
		r->peeked.bytes = 0;
		return got;
	}
	/* other tapes may go on before that record is read: the opening is not to wait for it */
	if (r->held && !may_go_on(&r->peeked))
		reader__tell_span(r, r->held);
	at = time_at(r->peeked.kind);
	if (at) {
		memcpy(&time, r->peeked.data + at, sizeof(time));
		*time_ns = (u64)time + READER_TIME_OFFSET;
	}
	return 1;
}

int tape_reader__run(struct tape_reader *r, const struct sink *sink, u64 bytes)
{
	static const struct sink_ops deaf;
	static const struct sink nobody = { .ops = &deaf };
	u64 from = r->peeked.bytes ? r->peeked.offset : tape_scan__offset(r->scan), until = bytes ? from + bytes : UINT64_MAX;
	struct tape_raw raw;
	int got, err;

	r->sink = sink ? sink : &nobody;
	if (until < bytes)
		until = UINT64_MAX;
	while (!r->ended && !r->error) {
		if (!r->peeked.bytes) {
			reader__whole(r, until);
			if (r->error || tape_scan__offset(r->scan) >= until)
				break;
		}
		got = next_record(r, &raw);
		if (got < 0)
			return got;
		if (!got) {
			reader__cut(r);
			r->ended = true;
			break;
		}
		if (r->ops.raw) {
			err = r->ops.raw(r->ops.ctx, &raw);
			if (err < 0)
				return err;
		}
		dispatch(r, &raw);
		if (tape_scan__offset(r->scan) >= until)
			break;
	}
	err = r->error;
	r->error = 0; /* a sink's error does not stop the stream: the caller may go on */
	return err ? err : !r->ended;
}

const struct tape_intro *tape_reader__intro(const struct tape_reader *r)
{
	return tape_scan__intro(r->scan);
}

s64 tape_reader__unix_ns(const struct tape_reader *r, u64 time_ns)
{
	return tape_intro__unix_ns(tape_scan__intro(r->scan), (s64)(time_ns - READER_TIME_OFFSET));
}

u64 tape_reader__time_ns(const struct tape_reader *r, s64 unix_ns)
{
	s64 base = tape_scan__intro(r->scan)->base_unix_ns, diff;

	if (__builtin_sub_overflow(unix_ns, base, &diff))
		return unix_ns < base ? 0 : UINT64_MAX;
	return (u64)diff + READER_TIME_OFFSET;
}

u64 tape_reader__offset(const struct tape_reader *r)
{
	return tape_scan__offset(r->scan);
}

u64 tape_reader__size(const struct tape_reader *r)
{
	return tape_scan__size(r->scan);
}

void tape_reader__totals(const struct tape_reader *r, struct tape_totals *t)
{
	*t = r->totals;
}
