/* SPDX-License-Identifier: MIT */
/* audit_ext.c - what our extension records promise: texts in bounds, the record behind them, totals, the checksum. */
#include "tape/audit.h"

#include "base/text.h"

/* This extension speaks of the next v0.1 record: of that kind, with that id. */
static void expect(struct audit *a, const struct tape_raw *raw, u8 kind, u64 id)
{
	a->want_kind = kind;
	a->want_id = id;
	a->ext_kind = raw->kind;
	a->ext_offset = raw->offset;
}

static u64 owner(const struct tape_raw *raw)
{
	switch (raw->kind) {
	case TAPE_EVENT:
		return ((const struct tape_event *)(const void *)raw->data)->thread;
	case TAPE_EVENT_VALUE:
	case TAPE_SPAN_VALUE:
		return ((const struct tape_value *)(const void *)raw->data)->owner;
	case TAPE_SPAN_OPEN:
	case TAPE_SPAN_ENTER:
	case TAPE_SPAN_EXIT:
	case TAPE_SPAN_CLOSE:
	case TAPE_SPAN_FOLLOWS:
		/* all begin with the span's id */
		return ((const struct tape_span_end *)(const void *)raw->data)->span;
	default:
		return 0;
	}
}

/* A value is one kind of record for spans and another for events; LATE goes before two kinds. */
static bool fits(u8 want, u8 kind)
{
	if (want == TAPE_SPAN_VALUE)
		return kind == TAPE_SPAN_VALUE || kind == TAPE_EVENT_VALUE || kind == TAPE_SPAN_FOLLOWS;
	return want == kind;
}

void audit__before(struct audit *a, const struct tape_raw *raw)
{
	if (!a->want_kind || a->is_synthetic)
		return;
	if (!fits(a->want_kind, raw->kind) || owner(raw) != a->want_id)
		tape_scan__defect(a->scan, TAPE_DEFECT_EXTENSION, a->ext_offset,
				  "record 0x%02x %s is about 0x%llx, but the record behind it is not", a->ext_kind,
				  tape_kind__name(a->ext_kind), HEX(a->want_id));
	a->want_kind = 0;
}

static void check_bytes(struct audit *a, const struct tape_raw *raw, u64 need)
{
	if (need > raw->bytes)
		AUDIT(a, EXTENSION, "record 0x%02x %s: its texts take %llu bytes, its record has %u", raw->kind,
		      tape_kind__name(raw->kind), HEX(need), raw->bytes);
}

static u32 text_bytes(u16 len)
{
	return len == TAPE_X_NO_TEXT ? 0 : len;
}

static void on_generation(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_generation *x = (const void *)raw->data;

	a->res->own = true;
	if (x->version > TAPE_X_VERSION || x->incompat)
		AUDIT(a, EXTENSION, "extension records of version %u, incompatible flags 0x%x: this program knows version %u",
		      x->version, x->incompat, TAPE_X_VERSION);
}

static void on_process(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_process *x = (const void *)raw->data;

	check_bytes(a, raw, sizeof(*x) + x->comm_len + text_bytes(x->exe_len) + text_bytes(x->cmdline_len));
}

static void on_loss(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_loss *x = (const void *)raw->data;
	struct tape_totals *t = &a->res->totals;

	if (__builtin_add_overflow(t->loss_records, x->count, &t->loss_records))
		AUDIT(a, LOSS, "the losses are more than 2^64");
	if (x->to < x->from)
		AUDIT(a, LOSS, "a loss that ends before it begins");
}

static void on_trigger(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_trigger *x = (const void *)raw->data;
	u64 bytes = (u64)x->trigger_len + x->what_len;

	check_bytes(a, raw, sizeof(*x) + bytes);
	if (sizeof(*x) + bytes <= raw->bytes && !text__is_utf8((const char *)(x + 1), bytes))
		AUDIT(a, TEXT, "the texts of a trigger are not UTF-8");
	if (!x->trigger_len)
		AUDIT(a, EXTENSION, "a trigger record without a trigger");
}

static void on_totals(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_totals *x = (const void *)raw->data;
	struct tape_totals *t = &a->res->totals;

	t->present = true;
	t->emitted = x->emitted;
	t->stored = x->stored;
	t->lost = x->lost;
	t->cut_off = raw->bytes >= sizeof(*x);
	if (t->cut_off)
		t->complete_unix_ns = tape_intro__unix_ns(tape_scan__intro(a->scan), x->complete);
	if (t->cut_off && x->complete > x->time)
		AUDIT(a, EXTENSION, "the totals say that the tape is complete beyond its end");
	a->totals_spans = x->spans;
	a->totals_events = x->events;
	a->totals_offset = raw->offset;
}

static void on_checksum(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_checksum *x = (const void *)raw->data;
	u32 crc = tape_scan__crc(a->scan, raw->offset);

	a->res->totals.checksum_present = true;
	a->res->totals.checksum_ok = crc == x->crc;
	if (crc != x->crc)
		AUDIT(a, CHECKSUM, "the checksum is %08x, the bytes give %08x", x->crc, crc);
	a->after_checksum = true;
}

static void on_span(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_span *x = (const void *)raw->data;

	a->has_context = true;
	a->context_span = x->span;
	a->context_parent = x->parent;
	expect(a, raw, TAPE_SPAN_OPEN, x->span);
}

static void on_alias(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_alias *x = (const void *)raw->data;

	if (!idmap__find(&a->spans, x->span))
		AUDIT(a, SPAN, "alias of span 0x%llx, which is not open", HEX(x->span));
}

static void on_types(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_callsite *x = (const void *)raw->data;
	struct audit_callsite *c = idmap__find(&a->callsites, x->callsite);

	check_bytes(a, raw, sizeof(*x) + x->field_cnt);
	if (!c)
		AUDIT(a, EXTENSION, "types of callsite 0x%llx, which is not defined", HEX(x->callsite));
	else if (x->field_cnt != c->field_cnt)
		AUDIT(a, EXTENSION, "types of %u fields of callsite 0x%llx, which has %u", x->field_cnt, HEX(x->callsite),
		      c->field_cnt);
}

void audit__ext(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_x_synthetic *syn = (const void *)raw->data;
	const struct tape_x_thread *thread = (const void *)raw->data;
	const struct tape_x_value *value = (const void *)raw->data;
	const struct tape_x_event *event = (const void *)raw->data;
	const struct tape_span_end *span = (const void *)raw->data; /* a span's id comes first */

	switch (raw->kind) {
	case TAPE_X_GENERATION:
		return on_generation(a, raw);
	case TAPE_X_PROCESS:
		return on_process(a, raw);
	case TAPE_X_THREAD:
		return check_bytes(a, raw, sizeof(*thread) + thread->name_len);
	case TAPE_X_LOSS:
		return on_loss(a, raw);
	case TAPE_X_SYNTHETIC:
		if (a->synthetic)
			AUDIT(a, EXTENSION, "a synthetic mark within another");
		a->synthetic = syn->count;
		a->synthetic_offset = raw->offset;
		return;
	case TAPE_X_EVENT:
		return expect(a, raw, TAPE_EVENT, event->thread);
	case TAPE_X_VALUE:
		return expect(a, raw, TAPE_SPAN_VALUE, value->owner);
	case TAPE_X_LATE:
		return expect(a, raw, TAPE_SPAN_VALUE, span->span);
	case TAPE_X_EXIT:
		return expect(a, raw, TAPE_SPAN_EXIT, span->span);
	case TAPE_X_CLOSE:
		return expect(a, raw, TAPE_SPAN_CLOSE, span->span);
	case TAPE_X_SPAN:
		return on_span(a, raw);
	case TAPE_X_TRIGGER:
		return on_trigger(a, raw);
	case TAPE_X_ALIAS:
		return on_alias(a, raw);
	case TAPE_X_CALLSITE:
		return on_types(a, raw);
	case TAPE_X_TOTALS:
		return on_totals(a, raw);
	case TAPE_X_CHECKSUM:
		return on_checksum(a, raw);
	}
}

void audit__totals(struct audit *a)
{
	struct tape_totals *t = &a->res->totals;
	u64 sum;

	t->records = a->res->records;
	t->spans = a->spans_cnt;
	t->events = a->events_cnt;
	if (!t->present) {
		a->res->unfinished = a->res->own;
		return;
	}
	a->offset = a->totals_offset;
	if (__builtin_add_overflow(t->stored, t->lost, &sum) || sum != t->emitted)
		AUDIT(a, LOSS, "emitted %llu is not stored %llu + lost %llu", HEX(t->emitted), HEX(t->stored), HEX(t->lost));
	if (t->lost != t->loss_records)
		AUDIT(a, LOSS, "lost are %llu, but the loss records say %llu", HEX(t->lost), HEX(t->loss_records));
	if (a->totals_spans != t->spans || a->totals_events != t->events)
		AUDIT(a, LOSS, "the totals say %llu spans and %llu events, the tape has %llu and %llu", HEX(a->totals_spans),
		      HEX(a->totals_events), HEX(t->spans), HEX(t->events));
}
