/* SPDX-License-Identifier: MIT */
/*
 * referee.h - the upstream parser's rules, for tests: what makes it panic is a violation here, and so is what makes it hide
 * or misplace a span; the tree is the one that it would show. Shares no code with the readers of user/tape; the
 * conformance test shows that the real parser agrees.
 */
#ifndef TEST_REFEREE_H
#define TEST_REFEREE_H

#include <stdarg.h>
#include <stdio.h>

#include "base/idmap.h"
#include "tape/tape_format.h"

struct referee_callsite {
	u64 id;
	u32 fields, got;
	u64 field[256];
	bool span;
};

struct referee_span {
	u64 id, callsite, parent; /* parent: valid once closed, 0 = root */
	u64 last_thread;
	bool entered, closed;
	u32 open; /* entries */
	u32 value_cnt;
	u64 value_field[64];
	u8 value_type[64];
	s64 opened, closed_at;
};

struct referee_thread {
	u64 id;
	struct referee_span *stack[8192];
	u32 depth;
	u64 callsite; /* of the event that waits for values */
	u32 waiting;
};

struct referee {
	struct idmap callsites, spans, threads, alias; /* spans: open ones; alias: id -> span */
	struct referee_span *closed; /* in order of the closes */
	u32 closed_cnt, closed_cap;
	u32 events, opens, skips, records;
	u64 end;      /* offset behind the last record */
	u32 chapter; /* bytes */
	s64 max_event, max_span;
	char error[256]; /* "" = loads */
};

static inline bool referee__fail(struct referee *r, u64 offset, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(r->error, sizeof(r->error), "at %llu: ", (unsigned long long)offset);

	va_start(ap, fmt);
	vsnprintf(r->error + n, sizeof(r->error) - n, fmt, ap);
	va_end(ap);
	return false;
}

static inline struct referee_thread *referee__thread(struct referee *r, u64 id)
{
	struct referee_thread *t = idmap__find(&r->threads, id);

	if (!t) {
		t = calloc(1, sizeof(*t));
		t->id = id;
		idmap__put(&r->threads, id, t);
	}
	return t;
}

static inline bool referee__field_known(const struct referee_callsite *c, u64 field)
{
	for (u32 i = 0; i < c->got; i++)
		if (c->field[i] == field)
			return true;
	return false;
}

static inline bool referee__value(struct referee *r, u64 at, const struct tape_value *v)
{
	u32 n = v->h.len - sizeof(*v);

	switch (v->type) {
	case TAPE_BOOL:
		return n == 1 || referee__fail(r, at, "bool of %u bytes", n);
	case TAPE_I64:
	case TAPE_U64:
	case TAPE_F64:
		return n == 8 || referee__fail(r, at, "number of %u bytes", n);
	case TAPE_I128:
	case TAPE_U128:
		return n == 16 || referee__fail(r, at, "wide number of %u bytes", n);
	case TAPE_STR:
	case TAPE_ERROR:
		return true;
	}
	return referee__fail(r, at, "value type %u", v->type);
}

static inline bool referee__definition(struct referee *r, u64 at, const u8 *p, u32 len)
{
	const struct tape_callsite_field *f = (const void *)p;
	const struct tape_callsite *c = (const void *)p;
	struct referee_callsite *known;

	if (*p == TAPE_CALLSITE) {
		if (len != sizeof(*c) + c->name_len + c->target_len + c->module_len + c->file_len)
			return referee__fail(r, at, "callsite of wrong length");
		if ((c->info & TAPE_INFO_LEVEL) > 4 || c->info & 0xf0)
			return referee__fail(r, at, "callsite info %#x", c->info);
		if (c->field_cnt > ARRAY_SIZE(known->field))
			return referee__fail(r, at, "more fields than the referee takes");
		if (idmap__find(&r->callsites, c->id))
			return referee__fail(r, at, "callsite defined twice");
		known = calloc(1, sizeof(*known));
		known->id = c->id;
		known->fields = c->field_cnt;
		known->span = c->info & TAPE_INFO_SPAN;
		idmap__put(&r->callsites, c->id, known);
		return true;
	}
	known = idmap__find(&r->callsites, f->callsite);
	if (!known || known->got == known->fields)
		return referee__fail(r, at, "field without a waiting callsite");
	if (len != sizeof(*f) + f->name_len)
		return referee__fail(r, at, "field of wrong length");
	known->field[known->got++] = f->id;
	return true;
}

static inline bool referee__event(struct referee *r, u64 at, const u8 *p)
{
	const struct tape_event *e = (const void *)p;
	const struct tape_value *v = (const void *)p;
	struct referee_callsite *c;
	struct referee_thread *t;

	if (*p == TAPE_EVENT) {
		t = referee__thread(r, e->thread);
		c = idmap__find(&r->callsites, e->callsite);
		if (t->waiting)
			return referee__fail(r, at, "event while another lacks %u values", t->waiting);
		if (!c || c->got != c->fields)
			return referee__fail(r, at, "event of an unknown callsite");
		t->waiting = e->value_cnt;
		t->callsite = e->callsite;
		r->max_event = MAX(r->max_event, e->time);
		r->events += !e->value_cnt;
		return true;
	}
	t = referee__thread(r, v->owner);
	if (!t->waiting)
		return referee__fail(r, at, "value without an event");
	if (!referee__field_known(idmap__find(&r->callsites, t->callsite), v->field))
		return referee__fail(r, at, "value of a field that the callsite lacks");
	r->events += !--t->waiting;
	return referee__value(r, at, v);
}

static inline bool referee__close(struct referee *r, u64 at, struct referee_span *sp, s64 time)
{
	struct referee_thread *t = sp->entered ? referee__thread(r, sp->last_thread) : NULL;

	if (sp->open)
		return referee__fail(r, at, "close of span %llx while entered", (unsigned long long)sp->id);
	sp->parent = t && t->depth ? t->stack[t->depth - 1]->id : 0;
	sp->closed_at = time;
	idmap__remove(&r->spans, sp->id);
	if (r->closed_cnt == r->closed_cap) {
		r->closed_cap = r->closed_cap * 2 + 64;
		r->closed = realloc(r->closed, r->closed_cap * sizeof(*r->closed));
	}
	r->closed[r->closed_cnt++] = *sp;
	free(sp);
	r->max_span = MAX(r->max_span, time);
	return true;
}

static inline bool referee__span_value(struct referee *r, u64 at, struct referee_span *sp, const struct tape_value *v)
{
	u32 i = 0;

	if (!referee__field_known(idmap__find(&r->callsites, sp->callsite), v->field))
		return referee__fail(r, at, "value of a field that the callsite lacks");
	while (i < sp->value_cnt && sp->value_field[i] != v->field)
		i++;
	if (i == sp->value_cnt)
		sp->value_cnt++;
	sp->value_field[i] = v->field;
	sp->value_type[i] = v->type;
	return referee__value(r, at, v);
}

static inline bool referee__open(struct referee *r, u64 at, const struct tape_span_open *o)
{
	struct referee_callsite *c = idmap__find(&r->callsites, o->callsite);
	struct referee_span *sp;

	if (idmap__find(&r->spans, o->span))
		return referee__fail(r, at, "span opened twice");
	if (!c || c->got != c->fields)
		return referee__fail(r, at, "span of an unknown callsite");
	sp = calloc(1, sizeof(*sp));
	sp->id = o->span;
	sp->callsite = o->callsite;
	sp->opened = o->time;
	idmap__put(&r->spans, o->span, sp);
	r->opens++;
	r->max_span = MAX(r->max_span, o->time);
	return true;
}

static inline bool referee__span(struct referee *r, u64 at, const u8 *p)
{
	const struct tape_span_end *e = (const void *)p;
	const struct tape_value *v = (const void *)p;
	u64 id = *p == TAPE_SPAN_VALUE ? v->owner : e->span;
	struct referee_span *sp = idmap__find(&r->spans, id);
	struct referee_thread *t;

	if (!sp)
		return referee__fail(r, at, "record %#x of span %llx that is not open", *p, (unsigned long long)id);
	switch (*p) {
	case TAPE_SPAN_ENTER:
		t = referee__thread(r, ((const struct tape_span_enter *)p)->thread);
		if (t->depth == ARRAY_SIZE(t->stack))
			return referee__fail(r, at, "deeper than the referee takes");
		t->stack[t->depth++] = sp;
		sp->last_thread = t->id;
		sp->entered = true;
		sp->open++;
		return true;
	case TAPE_SPAN_EXIT:
		if (!sp->entered)
			return referee__fail(r, at, "exit of a span never entered");
		t = referee__thread(r, sp->last_thread);
		if (!t->depth || t->stack[t->depth - 1] != sp)
			return referee__fail(r, at, "exit of span %llx that is not on top", (unsigned long long)id);
		t->depth--;
		sp->open--;
		return true;
	case TAPE_SPAN_CLOSE:
		return referee__close(r, at, sp, e->time);
	}
	return referee__span_value(r, at, sp, v);
}

/* Feed a whole tape. true: the upstream parser loads it and hides nothing that is closed. */
static inline bool referee__load(struct referee *r, const u8 *data, u64 bytes)
{
	static const u8 least[] = { [TAPE_CALLSITE] = 26, [TAPE_CALLSITE_FIELD] = 21, [TAPE_EVENT] = 29,
				    [TAPE_EVENT_VALUE] = 20, [TAPE_SPAN_OPEN] = 36, [TAPE_SPAN_ENTER] = 27,
				    [TAPE_SPAN_EXIT] = 19, [TAPE_SPAN_CLOSE] = 19, [TAPE_SPAN_VALUE] = 20 };
	bool ok = true;

	memset(r, 0, sizeof(*r));
	r->max_event = r->max_span = INT64_MIN;
	if (bytes < TAPE_INTRO_BYTES || memcmp(data, TAPE_MAGIC, 8))
		return referee__fail(r, 0, "no intro");
	r->chapter = 1u << data[10];
	r->end = TAPE_INTRO_BYTES;
	for (u64 at = TAPE_INTRO_BYTES, len; ok && at < bytes; at += len) {
		const u8 *p = data + at;
		u64 left = bytes - at;

		len = 1;
		if (*p == TAPE_NOOP)
			continue;
		if (left < 3)
			return referee__fail(r, at, "torn");
		len = p[1] | p[2] << 8;
		if (len < 3 || len > left || (*p < ARRAY_SIZE(least) && len < least[*p]))
			return referee__fail(r, at, "record %#x of length %llu", *p, (unsigned long long)len);
		if ((at - TAPE_INTRO_BYTES) / r->chapter != (at + len - 1 - TAPE_INTRO_BYTES) / r->chapter)
			return referee__fail(r, at, "record crosses a chapter's border");
		r->records++;
		r->end = at + len;
		if (*p == TAPE_CALLSITE || *p == TAPE_CALLSITE_FIELD)
			ok = referee__definition(r, at, p, len);
		else if (*p == TAPE_EVENT || *p == TAPE_EVENT_VALUE)
			ok = referee__event(r, at, p);
		else if (*p == TAPE_SPAN_OPEN)
			ok = referee__open(r, at, (const void *)p);
		else if (*p >= TAPE_SPAN_ENTER && *p <= TAPE_SPAN_VALUE)
			ok = referee__span(r, at, p);
		else if (*p == TAPE_X_ALIAS)
			idmap__put(&r->alias, ((const struct tape_x_alias *)p)->alias,
				   (void *)(uintptr_t)((const struct tape_x_alias *)p)->span);
		else if (*p == TAPE_X_SKIP)
			r->skips++;
		else if (*p < 0x80 && *p != TAPE_SPAN_FOLLOWS)
			ok = referee__fail(r, at, "record number %#x", *p);
	}
	return ok;
}

/* The span that an id means: aliases are of the span they stand for. */
static inline u64 referee__resolve(const struct referee *r, u64 id)
{
	u64 span = (uintptr_t)idmap__find(&r->alias, id);

	return span ? span : id;
}

static inline void referee__done(struct referee *r)
{
	void *p;
	u64 i;

	for (i = 0; (p = idmap__next(&r->callsites, &i));)
		free(p);
	for (i = 0; (p = idmap__next(&r->spans, &i));)
		free(p);
	for (i = 0; (p = idmap__next(&r->threads, &i));)
		free(p);
	idmap__done(&r->callsites);
	idmap__done(&r->spans);
	idmap__done(&r->threads);
	idmap__done(&r->alias);
	free(r->closed);
}

#endif
