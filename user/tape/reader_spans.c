/* SPDX-License-Identifier: MIT */
/*
 * reader_spans.c - spans and the stacks of entered spans (semantics: docs/DESIGN.md, the registry).
 *
 * A v0.1 SPAN_EXIT names no thread, so each span keeps the threads that it is entered on, in the order of entering;
 * nearly always there is one.
 */
#include <errno.h>

#include "tape/reader.h"

static struct read_span *find_span(struct tape_reader *r, u64 id)
{
	struct read_span *s = nearmap__find(&r->spans, id);
	struct read_alias *a;

	if (!s && r->aliases.cnt) {
		a = idmap__find(&r->aliases, id);
		s = a ? a->span : NULL;
	}
	return s;
}

struct read_span *reader__new_span(struct tape_reader *r, u64 id)
{
	struct read_span *s = r->free_spans;

	if (s)
		r->free_spans = s->next_free;
	else
		s = malloc(sizeof(*s));
	if (!s || nearmap__add(&r->spans, id, s) < 0) {
		free(s);
		r->error = -ENOMEM;
		return NULL;
	}
	*s = (struct read_span){ .id = id, .order = ++r->span_cnt };
	s->number = r->own ? id : s->order;
	s->open.span = s->number;
	r->totals.spans++;
	return s;
}

void reader__tell_span(struct tape_reader *r, struct read_span *s)
{
	if (r->held == s)
		r->held = NULL;
	if (s->told)
		return;
	s->told = true;
	if (s->gather) {
		s->open.value_cnt = s->gather->cnt;
		s->open.value = gather__values(s->gather);
	}
	TELL(r, span_open, &s->open);
	s->open.value_cnt = 0;
	s->open.value = NULL;
	gather__put(r, s->gather);
	s->gather = NULL;
}

/* A span whose opening is not in the tape. NULL: there are too many of them, or no memory. */
static struct read_span *placeholder(struct tape_reader *r, u64 id, u64 time_ns)
{
	struct read_span *s;

	DEFECT_AT(r, SPAN, "span 0x%llx is not open", (unsigned long long)id);
	if (r->placeholders >= READER_MAX_PLACEHOLDERS || (r->own && !id))
		return NULL;
	s = reader__new_span(r, id);
	if (!s)
		return NULL;
	r->placeholders++;
	s->callsite = reader__unknown_callsite(r, true);
	if (!s->callsite) {
		nearmap__remove(&r->spans, id);
		free(s);
		return NULL;
	}
	s->open.callsite = &s->callsite->c;
	s->open.time_ns = time_ns;
	s->open.parent_kind = WIRE_PARENT_ROOT;
	s->open.flags = SPAN_PLACEHOLDER | SPAN_BEFORE | SPAN_FIELDS_LOST;
	s->context = true;
	reader__tell_span(r, s);
	return s;
}

static struct read_span *get_span(struct tape_reader *r, u64 id, u64 time_ns)
{
	struct read_span *s = find_span(r, id);

	if (!s)
		return placeholder(r, id, time_ns);
	reader__tell_span(r, s);
	return s;
}

/* The sink's number of a span that something refers to; 0: there is no such span. */
u64 reader__span_number(struct tape_reader *r, u64 id)
{
	struct read_span *s = find_span(r, id);

	if (!s)
		return 0;
	reader__tell_span(r, s);
	return s->number;
}

/* --- stacks -------------------------------------------------------------------------------------------- */

struct read_span *reader__current(const struct read_thread *t)
{
	u32 i;

	for (i = t->depth; i-- > 0;)
		if (!t->stack[i].duplicate)
			return t->stack[i].span;
	return NULL;
}

static int push(struct tape_reader *r, struct read_thread *t, struct read_span *s)
{
	u32 i, cap;
	void *more;

	if (t->depth >= READER_MAX_DEPTH || s->entry_cnt >= READER_MAX_ENTRIES) {
		DEFECT_AT(r, EXIT, "too many entries: %u spans on the thread, %u entries of span 0x%llx", t->depth,
			  s->entry_cnt, (unsigned long long)s->id);
		return -E2BIG;
	}
	if (t->depth == t->cap) {
		cap = t->cap ? t->cap * 2 : 8;
		more = realloc(t->stack, cap * sizeof(*t->stack));
		if (!more)
			return r->error = -ENOMEM;
		t->stack = more;
		t->cap = cap;
	}
	if (s->entry_cnt && s->entry_cnt >= s->entry_cap) {
		cap = MAX(s->entry_cap * 2, 4u);
		more = realloc(s->entry, cap * sizeof(*s->entry));
		if (!more)
			return r->error = -ENOMEM;
		if (!s->entry)
			*(struct read_thread **)more = s->one;
		s->entry = more;
		s->entry_cap = cap;
	}
	t->stack[t->depth] = (struct read_entry){ .span = s };
	for (i = 0; s->entry_cnt && i < s->entry_cnt; i++)
		if ((s->entry ? s->entry[i] : s->one) == t)
			t->stack[t->depth].duplicate = true;
	t->depth++;
	if (s->entry)
		s->entry[s->entry_cnt] = t;
	else
		s->one = t;
	s->entry_cnt++;
	return 0;
}

static struct read_thread **entries(struct read_span *s)
{
	return s->entry ? s->entry : &s->one;
}

/* Forget the topmost entry of a span on a thread, wherever it stands. False: there is none. */
static bool pop(struct read_thread *t, struct read_span *s)
{
	struct read_thread **e = entries(s);
	u32 i, k;

	for (i = t->depth; i-- > 0;)
		if (t->stack[i].span == s)
			break;
	if (i == UINT32_MAX)
		return false;
	if (i + 1 == t->depth && e[s->entry_cnt - 1] == t) { /* as nearly always */
		t->depth--;
		s->entry_cnt--;
		return true;
	}
	memmove(t->stack + i, t->stack + i + 1, (t->depth - i - 1) * sizeof(*t->stack));
	t->depth--;
	for (k = s->entry_cnt; k-- > 0;)
		if (e[k] == t)
			break;
	memmove(e + k, e + k + 1, (s->entry_cnt - k - 1) * sizeof(*e));
	s->entry_cnt--;
	return true;
}

/* Whose exit is it? The thread that has the span on top; of several, and if none has, the one entered last. */
static struct read_thread *exit_thread(struct read_span *s)
{
	struct read_thread **e = entries(s);
	u32 k;

	for (k = s->entry_cnt; k-- > 0;)
		if (e[k]->stack[e[k]->depth - 1].span == s)
			return e[k];
	return s->entry_cnt ? e[s->entry_cnt - 1] : NULL;
}

/* --- records ------------------------------------------------------------------------------------------- */

static void remove_alias(struct tape_reader *r, u64 id)
{
	struct read_alias *a = idmap__remove(&r->aliases, id), **link;

	if (!a)
		return;
	for (link = &a->span->alias; *link != a; link = &(*link)->next)
		;
	*link = a->next;
	free(a);
}

void reader__remove_span(struct tape_reader *r, struct read_span *s)
{
	nearmap__remove(&r->spans, s->id);
	if (r->held == s)
		r->held = NULL;
	if (s->open.flags & SPAN_PLACEHOLDER)
		r->placeholders--;
	while (s->alias)
		remove_alias(r, s->alias->id);
	gather__put(r, s->gather);
	free(s->entry);
	s->next_free = r->free_spans;
	r->free_spans = s;
}

static void end_span(struct tape_reader *r, struct read_span *s, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct read_thread *t;

	reader__tell_span(r, s);
	while ((t = exit_thread(s))) {
		reader__event_done(r, t);
		pop(t, s);
		TELL(r, span_exit, s->number, &t->t, time_ns, why == SINK_OWN ? SINK_LOST : why);
	}
	TELL(r, span_close, s->number, time_ns, dropped_ns, why);
	reader__remove_span(r, s);
}

static enum sink_why sink_why(u8 why)
{
	return why <= SINK_ELSEWHERE ? why : SINK_LOST;
}

/* Parent and opener, from the extension record. */
static void take_context(struct tape_reader *r, struct read_span *s)
{
	const struct tape_x_span *x = &r->x_span;
	struct span_open *o = &s->open;
	struct read_thread *t = x->thread ? reader__get_thread(r, x->thread) : NULL;

	s->context = true;
	o->thread = t ? &t->t : NULL;
	o->parent = x->parent && x->parent != s->id ? reader__span_number(r, x->parent) : 0;
	if (x->parent && !o->parent)
		o->lost_parent = x->parent;
	if (x->h.len > TAPE_X_SPAN_MIN) {
		o->parent_kind = x->parent_kind == TAPE_PARENT_ROOT	? WIRE_PARENT_ROOT :
				 x->parent_kind == TAPE_PARENT_EXPLICIT ? WIRE_PARENT_EXPLICIT :
									  WIRE_PARENT_CURRENT;
		o->flags = x->flags & (SPAN_FIELDS_LOST | SPAN_BEFORE | SPAN_PLACEHOLDER);
		if (x->lost_parent)
			o->lost_parent = x->lost_parent;
	}
	if (t)
		reader__event_done(r, t);
}

/* Parent as v0.1 has it; that of a contextual one is known at the first entry. */
static void take_parent(struct tape_reader *r, struct read_span *s, u64 parent, u8 kind)
{
	struct span_open *o = &s->open;

	if (kind == TAPE_PARENT_CURRENT) {
		o->parent_kind = WIRE_PARENT_CURRENT;
		return;
	}
	s->context = true;
	o->parent_kind = kind == TAPE_PARENT_EXPLICIT ? WIRE_PARENT_EXPLICIT : WIRE_PARENT_ROOT;
	if (kind != TAPE_PARENT_EXPLICIT || parent == s->id)
		return;
	o->parent = reader__span_number(r, parent);
	if (!o->parent)
		o->lost_parent = parent;
}

void reader__span_open(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_span_open *x = (const void *)raw->data;
	u64 time_ns = reader__time(r, x->time);
	struct read_callsite *c = reader__use_callsite(r, x->callsite, true);
	struct read_span *s = nearmap__find(&r->spans, x->span);
	u8 kind;

	if (!c)
		return;
	if (r->own && !x->span) {
		DEFECT_AT(r, SPAN, "a span without a number");
		return;
	}
	if (s) {
		DEFECT_AT(r, SPAN, "span 0x%llx is opened while it is open", (unsigned long long)x->span);
		end_span(r, s, time_ns, time_ns, SINK_REOPENED);
	}
	s = reader__new_span(r, x->span);
	if (!s)
		return;
	s->callsite = c;
	s->open.callsite = &c->c;
	s->open.time_ns = time_ns;
	if (raw->bytes >= sizeof(*x))
		kind = x->parent_kind;
	else
		kind = x->parent ? TAPE_PARENT_EXPLICIT : TAPE_PARENT_ROOT;
	if (kind > TAPE_PARENT_EXPLICIT)
		DEFECT_AT(r, SPAN, "span 0x%llx: parent kind %u", (unsigned long long)x->span, kind);
	take_parent(r, s, x->parent, kind);
	if ((r->pending & P_SPAN) && r->x_span.span == x->span) {
		take_context(r, s);
		r->held = s;
	}
	if (r->synthetic && r->procedure == TAPE_P_REOPEN)
		s->open.flags |= SPAN_BEFORE;
}

void reader__span_enter(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_span_enter *x = (const void *)raw->data;
	u64 time_ns = reader__time(r, x->time);
	struct read_thread *t = reader__get_thread(r, x->thread);
	struct read_span *s = find_span(r, x->span), *current;

	if (!t)
		return;
	reader__event_done(r, t);
	if (s && !s->told && !s->context) {
		current = reader__current(t);
		s->open.thread = &t->t;
		s->open.parent = current ? current->number : 0;
	}
	s = s ? s : get_span(r, x->span, time_ns);
	if (!s)
		return;
	reader__tell_span(r, s);
	if (push(r, t, s) < 0)
		return;
	TELL(r, span_enter, s->number, &t->t, time_ns);
}

void reader__span_exit(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_span_end *x = (const void *)raw->data;
	u64 time_ns = reader__time(r, x->time);
	struct read_span *s = get_span(r, x->span, time_ns);
	enum sink_why why = SINK_OWN;
	struct read_thread *t = NULL;

	if (!s)
		return;
	if ((r->pending & P_EXIT) && find_span(r, r->x_exit.span) == s) {
		why = sink_why(r->x_exit.why);
		if (r->x_exit.thread)
			t = reader__get_thread(r, r->x_exit.thread);
	}
	if (!t)
		t = exit_thread(s);
	if (t)
		reader__event_done(r, t);
	if (!t || !pop(t, s)) {
		DEFECT_AT(r, EXIT, "exit of span 0x%llx, which is not entered%s", (unsigned long long)x->span,
			  t ? " on that thread" : "");
		return;
	}
	TELL(r, span_exit, s->number, &t->t, time_ns, why);
}

void reader__span_close(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_span_end *x = (const void *)raw->data;
	u64 time_ns = reader__time(r, x->time), dropped_ns = time_ns;
	struct read_span *s = nearmap__find(&r->spans, x->span);
	enum sink_why why = SINK_OWN;

	if (!s) {
		DEFECT_AT(r, SPAN, "close of span 0x%llx, which is not open", (unsigned long long)x->span);
		return;
	}
	if ((r->pending & P_CLOSE) && r->x_close.span == x->span) {
		why = sink_why(r->x_close.why);
		dropped_ns = (u64)r->x_close.dropped + READER_TIME_OFFSET;
	}
	if (s->entry_cnt && why == SINK_OWN)
		DEFECT_AT(r, EXIT, "span 0x%llx is closed while it is entered", (unsigned long long)x->span);
	end_span(r, s, time_ns, dropped_ns, why);
}

static bool is_late(const struct tape_reader *r, u64 span)
{
	return (r->pending & P_LATE) && r->x_late.span == span;
}

void reader__span_value(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_value *x = (const void *)raw->data;
	struct read_span *s = find_span(r, x->owner);
	bool late = is_late(r, x->owner);
	struct read_thread *t = NULL;
	struct value v = { .field = 0 };
	char *scratch;
	u64 time_ns;

	if (r->held && (r->held != s || late))
		reader__tell_span(r, r->held);
	if (s && !s->told && !late) {
		if (!s->gather)
			s->gather = gather__new(r);
		if (s->gather)
			gather__add(r, s->gather, s->callsite, raw);
		return;
	}
	time_ns = late ? reader__time(r, r->x_late.time) : r->last_ns;
	s = get_span(r, x->owner, time_ns);
	if (!s || (s->open.flags & SPAN_PLACEHOLDER))
		return; /* what the fields of a placeholder are called is not known */
	if (reader__value(r, s->callsite, raw, &v, &scratch) < 0)
		return;
	if (late && r->x_late.thread)
		t = reader__get_thread(r, r->x_late.thread);
	if (t)
		reader__event_done(r, t);
	TELL(r, span_value, s->number, &s->callsite->c, &v, t ? &t->t : NULL, time_ns);
	free(scratch);
}

void reader__span_follows(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_span_follows *x = (const void *)raw->data;
	bool late = is_late(r, x->span);
	u64 time_ns = late ? reader__time(r, r->x_late.time) : r->last_ns, follows;
	struct read_thread *t = NULL;
	struct read_span *s = get_span(r, x->span, time_ns);

	if (!s)
		return;
	/* what it follows from may be closed: in tapes of tapebpf the id still says which it was */
	follows = reader__span_number(r, x->follows);
	if (!follows && r->own)
		follows = x->follows;
	if (!follows) {
		DEFECT_AT(r, SPAN, "span 0x%llx follows from 0x%llx, which is not open", (unsigned long long)x->span,
			  (unsigned long long)x->follows);
		return;
	}
	if (late && r->x_late.thread)
		t = reader__get_thread(r, r->x_late.thread);
	if (t)
		reader__event_done(r, t);
	TELL(r, span_follows, s->number, follows, t ? &t->t : NULL, time_ns);
}

void reader__alias(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_alias *x = (const void *)raw->data;
	struct read_span *s = find_span(r, x->span);
	struct read_alias *a;

	if (!s || find_span(r, x->alias) || r->aliases.cnt >= READER_MAX_PLACEHOLDERS) {
		DEFECT_AT(r, SPAN, "alias 0x%llx of span 0x%llx, which %s", (unsigned long long)x->alias,
			  (unsigned long long)x->span, s ? "is taken" : "is not open");
		return;
	}
	a = malloc(sizeof(*a));
	if (!a || idmap__put(&r->aliases, x->alias, a) < 0) {
		free(a);
		r->error = -ENOMEM;
		return;
	}
	*a = (struct read_alias){ .id = x->alias, .span = s, .next = s->alias };
	s->alias = a;
}

void reader__alias_end(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_span_end *x = (const void *)raw->data;

	remove_alias(r, x->span);
}

/* --- the end ------------------------------------------------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
	const struct read_span *x = *(struct read_span *const *)a, *y = *(struct read_span *const *)b;

	return x->order < y->order ? 1 : -1;
}

void reader__cut(struct tape_reader *r)
{
	struct read_span **open = calloc(nearmap__cnt(&r->spans) + 1, sizeof(*open)), *s;
	struct read_thread *t;
	u64 i;
	u32 cnt = 0;

	if (!open) {
		r->error = -ENOMEM;
		return;
	}
	for (i = 0; (s = nearmap__next(&r->spans, &i));)
		open[cnt++] = s;
	/* children are opened after their parents, so they are closed before them */
	qsort(open, cnt, sizeof(*open), newest_first);
	for (i = cnt; i-- > 0;)
		reader__tell_span(r, open[i]);
	for (i = 0; (t = idmap__next(&r->threads, &i));) {
		reader__event_done(r, t);
		while (t->depth) {
			s = t->stack[t->depth - 1].span;
			pop(t, s);
			TELL(r, span_exit, s->number, &t->t, r->last_ns, SINK_CUT);
		}
	}
	for (i = 0; i < cnt; i++) {
		r->offset = tape_scan__offset(r->scan);
		if (!(open[i]->open.flags & SPAN_PLACEHOLDER))
			DEFECT_AT(r, UNCLOSED, "span 0x%llx (%s) is never closed", (unsigned long long)open[i]->id,
				  open[i]->callsite->c.name);
		end_span(r, open[i], r->last_ns, r->last_ns, SINK_CUT);
	}
	free(open);
}

void reader__free_spans(struct tape_reader *r)
{
	struct read_thread *t;
	struct read_alias *a;
	struct read_span *s;
	u64 i;

	for (i = 0; (a = idmap__next(&r->aliases, &i));)
		free(a);
	for (i = 0; (s = nearmap__next(&r->spans, &i));) {
		gather__put(r, s->gather);
		free(s->entry);
		free(s);
	}
	for (i = 0; (t = idmap__next(&r->threads, &i));)
		gather__put(r, t->gather);
	while ((s = r->free_spans)) {
		r->free_spans = s->next_free;
		free(s);
	}
	nearmap__done(&r->spans);
	idmap__done(&r->aliases);
}
