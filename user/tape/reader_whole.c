/* SPDX-License-Identifier: MIT */
/*
 * reader_whole.c - the usual begin and end of a span and the usual event, taken in one step each.
 *
 * Nearly all of a tape is openings whose values and entry follow at once, exits whose close follows at once, and events
 * whose values follow at once, of callsites and threads that are known. Record by record each of them passes through what
 * tape_reader.c keeps for the unusual: extensions that wait, spans that are held, values that are gathered. Here the
 * records are looked at where they stand in the window, and only when all of them are there and as usual, something is done:
 * so whatever is not usual (a defect, another thread's record between, the end of the window) is left as it was to the
 * long way, which does the same for these records as well. The sink gets the same calls in the same order, or span_begin
 * and span_end where it offers them and they say the same.
 *
 * Values are told as they stand in the window; nothing is copied.
 */
#include "tape/reader.h"

/* --- what is known ----------------------------------------------------------------------------------------- */

static struct read_callsite *near_site(struct tape_reader *r, u64 id)
{
	struct read_callsite **near = reader__near_site(r, id), *c = *near;

	if (c && c->id == id)
		return c;
	c = reader__find_callsite(r, id);
	/* as long as its definition goes on, reader__use_callsite has to look at it */
	if (!c || !c->told || c->seen < c->field_cnt)
		return NULL;
	return *near = c;
}

/* One without an event that still waits for values. */
static struct read_thread *near_thread(struct tape_reader *r, u64 id)
{
	struct read_thread **near, *t = r->last_thread;

	if (t && t->id == id)
		return t->waiting ? NULL : t;
	near = &r->near_thread[reader__near(id) % READER_NEAR_THREADS];
	t = *near;
	if (!t || t->id != id) {
		t = idmap__find(&r->threads, id);
		if (!t)
			return NULL;
		*near = t;
	}
	return t->waiting ? NULL : t;
}

/* --- values ------------------------------------------------------------------------------------------------ */

static bool plain_value(struct value *v, const struct tape_value *x, u32 bytes, u8 declared)
{
	const u8 *payload = (const u8 *)(x + 1);

	switch (x->type) {
	case TAPE_BOOL:
		v->type = WIRE_T_BOOL;
		v->u = bytes == 1 && *payload;
		return bytes == 1;
	case TAPE_I64:
	case TAPE_U64:
	case TAPE_F64:
		v->type = x->type == TAPE_I64 ? WIRE_T_I64 : x->type == TAPE_F64 ? WIRE_T_F64 : WIRE_T_U64;
		if (v->type == WIRE_T_U64 && declared == WIRE_T_PTR)
			v->type = WIRE_T_PTR;
		if (bytes != 8)
			return false;
		memcpy(&v->u, payload, 8);
		return true;
	case TAPE_STR:
	case TAPE_ERROR:
		v->type = x->type == TAPE_STR ? WIRE_T_STR : WIRE_T_ERROR;
		v->text_bytes = bytes;
		v->text = (const char *)payload;
		return v->type == WIRE_T_ERROR || declared != WIRE_T_BYTES;
	default:
		return false;
	}
}

static u32 field_of(const struct read_callsite *c, u64 id, u32 hint)
{
	u32 i;

	if (hint < c->c.field_cnt && c->field_id[hint] == id)
		return hint;
	for (i = 0; i < c->c.field_cnt && c->field_id[i] != id; i++)
		;
	return i;
}

/* The values of one owner from `at` on, into r->value. Returns where they end; NULL: one of them is not plain. */
static const u8 *plain_values(struct tape_reader *r, const struct tape_cursor *c, const u8 *at, u8 kind, u64 owner,
			      const struct read_callsite *site, u32 *cnt)
{
	bool look = kind == TAPE_EVENT_VALUE || !r->ops.no_values;
	u32 bytes, n = 0, field = 0;
	u64 seen = 0;

	for (; (bytes = tape_cursor__bytes(c, at)) && at[0] == kind; at += bytes, n++) {
		const struct tape_value *x = (const void *)at;

		if (x->owner != owner)
			break;
		if (!look)
			continue;
		field = field_of(site, x->field, field);
		if (field >= site->c.field_cnt || (seen >> field & 1))
			return NULL;
		r->value[n] = (struct value){ .field = (u16)field };
		if (!plain_value(&r->value[n], x, bytes - (u32)sizeof(*x), site->c.field[field].type))
			return NULL;
		seen |= 1ULL << field++;
	}
	*cnt = n;
	return at;
}

/* --- begin ------------------------------------------------------------------------------------------------- */

/* The records of a begin. */
struct begin {
	const struct tape_x_span *context; /* NULL: none */
	const struct tape_span_open *open;
	const struct tape_span_enter *enter;
	struct read_callsite *site;
	struct read_thread *opener, *thread; /* opener NULL: unknown */
	u32 value_cnt;
};

static bool find_opening(struct tape_reader *r, const struct tape_cursor *c, const u8 *at, struct begin *b)
{
	u32 bytes = tape_cursor__bytes(c, at);

	b->context = NULL;
	if (at[0] == TAPE_X_SPAN) {
		b->context = (const void *)at;
		if (bytes != TAPE_X_SPAN_MIN || r->ignore_extensions)
			return false;
		at += bytes;
		bytes = tape_cursor__bytes(c, at);
		if (!bytes || at[0] != TAPE_SPAN_OPEN)
			return false;
	}
	b->open = (const void *)at;
	return bytes == sizeof(*b->open) && b->open->parent_kind == TAPE_PARENT_CURRENT &&
	       (!b->context || b->context->span == b->open->span) && (b->open->span || !r->own);
}

static bool find_begin(struct tape_reader *r, const struct tape_cursor *c, const u8 *at, struct begin *b)
{
	if (!find_opening(r, c, at, b))
		return false;
	b->site = near_site(r, b->open->callsite);
	if (!b->site || nearmap__find(&r->spans, b->open->span))
		return false;
	at = plain_values(r, c, (const u8 *)(b->open + 1), TAPE_SPAN_VALUE, b->open->span, b->site, &b->value_cnt);
	if (!at || !tape_cursor__bytes(c, at) || at[0] != TAPE_SPAN_ENTER)
		return false;
	b->enter = (const void *)at;
	if (b->enter->span != b->open->span)
		return false;
	b->opener = b->thread = near_thread(r, b->enter->thread);
	if (b->context && b->thread && b->context->thread != b->thread->id)
		b->opener = b->context->thread ? near_thread(r, b->context->thread) : NULL;
	return b->thread && b->thread->depth < b->thread->cap && (b->opener || (b->context && !b->context->thread));
}

static struct read_span *current(const struct read_thread *t)
{
	if (!t->depth)
		return NULL;
	return t->stack[t->depth - 1].duplicate ? reader__current(t) : t->stack[t->depth - 1].span;
}

static void take_parent(struct tape_reader *r, struct span_open *o, u64 id, const struct begin *b)
{
	struct read_span *top;
	u64 parent;

	if (!b->context) {
		top = current(b->thread);
		o->parent = top ? top->number : 0;
		return;
	}
	parent = b->context->parent;
	o->parent = parent && parent != id ? reader__span_number(r, parent) : 0;
	if (parent && !o->parent)
		o->lost_parent = parent;
}

static struct read_span *new_span(struct tape_reader *r, const struct begin *b)
{
	struct read_span *s = reader__new_span(r, b->open->span);

	if (!s)
		return NULL;
	s->callsite = b->site;
	s->told = s->context = true;
	s->one = b->thread;
	s->entry_cnt = 1;
	b->thread->stack[b->thread->depth++] = (struct read_entry){ .span = s };
	return s;
}

static bool whole_begin(struct tape_reader *r, struct tape_cursor *c, const u8 *stop)
{
	const struct sink *sink = r->sink;
	struct span_open *o = &r->whole_open;
	struct read_span *s;
	struct begin b;
	u64 enter_ns;

	if (!find_begin(r, c, c->at, &b) || (const u8 *)b.enter >= stop)
		return false;
	o->lost_parent = 0;
	take_parent(r, o, b.open->span, &b);
	s = new_span(r, &b);
	if (!s)
		return true; /* r->error */
	o->span = s->number;
	o->callsite = &b.site->c;
	o->time_ns = reader__time(r, b.open->time);
	o->thread = b.opener ? &b.opener->t : NULL;
	o->value_cnt = r->ops.no_values ? 0 : b.value_cnt;
	enter_ns = reader__time(r, b.enter->time);
	r->totals.records += 2 + b.value_cnt + !!b.context;
	r->last_thread = b.thread;
	c->at = (const u8 *)b.enter + b.enter->h.len;
	if (sink->ops->span_begin && o->time_ns == enter_ns && b.opener == b.thread) {
		TELL(r, span_begin, o);
	} else {
		TELL(r, span_open, o);
		TELL(r, span_enter, s->number, &b.thread->t, enter_ns);
	}
	return true;
}

/* --- end --------------------------------------------------------------------------------------------------- */

static bool whole_end(struct tape_reader *r, struct tape_cursor *c, const u8 *stop)
{
	const struct tape_span_end *exit = (const void *)c->at, *close = (const void *)(c->at + exit->h.len);
	struct read_span *s = nearmap__find(&r->spans, exit->span);
	struct read_thread *t;
	u64 exit_ns, close_ns;

	if (!s || s->entry_cnt != 1 || s->entry || s->alias || !s->told)
		return false;
	if ((const u8 *)close >= stop || !tape_cursor__bytes(c, (const u8 *)close) || close->h.kind != TAPE_SPAN_CLOSE ||
	    close->span != exit->span)
		return false;
	t = s->one;
	if (t->waiting || t->stack[t->depth - 1].span != s)
		return false;
	exit_ns = reader__time(r, exit->time);
	close_ns = reader__time(r, close->time);
	t->depth--;
	s->entry_cnt = 0;
	r->totals.records += 2;
	c->at = (const u8 *)close + close->h.len;
	if (r->sink->ops->span_end && exit_ns == close_ns) {
		TELL(r, span_end, s->number, &t->t, exit_ns);
	} else {
		TELL(r, span_exit, s->number, &t->t, exit_ns, SINK_OWN);
		TELL(r, span_close, s->number, close_ns, close_ns, SINK_OWN);
	}
	reader__remove_span(r, s);
	return true;
}

/* --- events ------------------------------------------------------------------------------------------------ */

static bool whole_event(struct tape_reader *r, struct tape_cursor *c, const u8 *stop)
{
	const struct tape_event *x = (const void *)c->at;
	struct read_callsite *site = near_site(r, x->callsite);
	struct read_thread *t = near_thread(r, x->thread);
	struct read_span *top;
	const u8 *end;
	u32 cnt;

	if (!site || !t)
		return false;
	end = plain_values(r, c, c->at + x->h.len, TAPE_EVENT_VALUE, x->thread, site, &cnt);
	if (!end || cnt != x->value_cnt || end > stop)
		return false;
	top = current(t);
	t->event = (struct event){ .callsite = &site->c, .time_ns = reader__time(r, x->time), .thread = &t->t,
				    .parent_kind = WIRE_PARENT_CURRENT, .parent = top ? top->number : 0,
				    .value_cnt = cnt, .value = cnt ? r->value : NULL };
	r->totals.records += 1 + cnt;
	r->totals.events++;
	r->last_thread = t;
	c->at = end;
	TELL(r, event, &t->event);
	return true;
}

/* False: it is none of them. */
static bool take(struct tape_reader *r, struct tape_cursor *c, const u8 *stop)
{
	if (c->at >= stop || !tape_cursor__bytes(c, c->at))
		return false;
	switch (c->at[0]) {
	case TAPE_X_SPAN:
	case TAPE_SPAN_OPEN:
		return whole_begin(r, c, stop);
	case TAPE_SPAN_EXIT:
		return whole_end(r, c, stop);
	case TAPE_EVENT:
		return whole_event(r, c, stop);
	default:
		return false;
	}
}

void reader__whole(struct tape_reader *r, u64 until)
{
	struct tape_cursor *c = tape_scan__cursor(r->scan);
	u64 at = tape_cursor__offset(c, c->at), left = (u64)(c->safe - c->at);
	const u8 *stop = c->at + (until > at ? MIN(until - at, left) : 0);

	/* something waits for the next record, or wants to see each */
	if (r->pending || r->synthetic || r->held || r->ops.raw)
		return;
	r->whole_open = (struct span_open){ .parent_kind = WIRE_PARENT_CURRENT, .value = r->value };
	while (take(r, c, stop) && !r->error)
		;
}
