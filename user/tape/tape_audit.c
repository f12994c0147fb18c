/* SPDX-License-Identifier: MIT */
/*
 * tape_audit.c - the rules of v0.1, record by record, as the upstream parser enforces them by panicking: a stack of
 * entered spans per thread id, where an exit must name the top of the stack of the thread of its span's last entry; one
 * event per thread that waits for exactly its values; definitions before use and complete.
 *
 * Memory: callsites and threads of the tape, spans that are open.
 */
#include "tape/audit.h"

#include <errno.h>

#include "base/text.h"

#define PROGRESS_RECORDS 65536

/* --- tables -------------------------------------------------------------------------------------------- */

static struct audit_thread *get_thread(struct audit *a, u64 id)
{
	struct audit_thread *t = idmap__find(&a->threads, id);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t || idmap__put(&a->threads, id, t) < 0) {
		free(t);
		a->no_memory = true;
		return NULL;
	}
	t->id = id;
	a->res->threads++;
	return t;
}

static void in_time(struct audit *a, struct audit_thread *t, s64 time)
{
	if (t->has_time && time < t->last_time)
		AUDIT(a, ORDER, "time %lld on thread 0x%llx, which was at %lld", (long long)time, HEX(t->id),
		      (long long)t->last_time);
	t->last_time = time;
	t->has_time = true;
}

static void check_name(struct audit *a, const char *s, u32 bytes, const char *what)
{
	if (!text__is_utf8(s, bytes))
		AUDIT(a, TEXT, "the %s is not UTF-8", what);
}

static bool has_field(const struct audit_callsite *c, u64 field)
{
	u32 i;

	for (i = 0; i < c->seen; i++)
		if (c->field_id[i] == field)
			return true;
	return false;
}

/* --- definitions --------------------------------------------------------------------------------------- */

static void on_callsite(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_callsite *x = (const void *)raw->data;
	const char *text = (const char *)(x + 1);
	struct audit_callsite *c = idmap__find(&a->callsites, x->id);

	if (c && c->seen < c->field_cnt)
		AUDIT(a, CALLSITE, "callsite 0x%llx is defined again before its %u fields are, of which it has %u", HEX(x->id),
		      c->field_cnt, c->seen);
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c || idmap__put(&a->callsites, x->id, c) < 0) {
			free(c);
			a->no_memory = true;
			return;
		}
	}
	c->id = x->id;
	c->field_cnt = x->field_cnt;
	c->seen = 0;
	c->is_span = !!(x->info & TAPE_INFO_SPAN);
	c->closed |= a->is_synthetic;
	if ((x->info & TAPE_INFO_LEVEL) > WIRE_ERROR)
		AUDIT(a, CALLSITE, "callsite 0x%llx: level %u", HEX(x->id), x->info & TAPE_INFO_LEVEL);
	if (x->info & ~(TAPE_INFO_LEVEL | TAPE_INFO_SPAN))
		AUDIT(a, CALLSITE, "callsite 0x%llx: unknown bits in its info byte 0x%02x", HEX(x->id), x->info);
	if (sizeof(*x) + x->name_len + x->target_len + x->module_len + x->file_len != raw->bytes) {
		AUDIT(a, CALLSITE, "callsite 0x%llx: its names take %u bytes, its record has %u", HEX(x->id),
		      (u32)x->name_len + x->target_len + x->module_len + x->file_len, raw->bytes - (u32)sizeof(*x));
		return;
	}
	check_name(a, text, x->name_len, "name of a callsite");
	check_name(a, text += x->name_len, x->target_len, "target of a callsite");
	check_name(a, text += x->target_len, x->module_len, "module path of a callsite");
	check_name(a, text += x->module_len, x->file_len, "file name of a callsite");
}

static void on_field(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_callsite_field *x = (const void *)raw->data;
	struct audit_callsite *c = idmap__find(&a->callsites, x->callsite);

	if (sizeof(*x) + x->name_len != raw->bytes)
		AUDIT(a, FIELD, "the name of a field of callsite 0x%llx takes %u bytes, its record has %u", HEX(x->callsite),
		      x->name_len, raw->bytes - (u32)sizeof(*x));
	else
		check_name(a, (const char *)(x + 1), x->name_len, "name of a field");
	if (!c || c->seen >= c->field_cnt) {
		AUDIT(a, FIELD, "a field of callsite 0x%llx, which %s", HEX(x->callsite),
		      c ? "has all of its fields" : "is not defined");
		return;
	}
	if (has_field(c, x->id))
		AUDIT(a, FIELD, "callsite 0x%llx has two fields of id 0x%llx", HEX(x->callsite), HEX(x->id));
	if (c->seen == c->cap) {
		u32 cap = c->cap ? c->cap * 2 : 4;
		u64 *more = realloc(c->field_id, cap * sizeof(*more));

		if (!more) {
			a->no_memory = true;
			return;
		}
		c->field_id = more;
		c->cap = cap;
	}
	c->field_id[c->seen++] = x->id;
}

static struct audit_callsite *use_callsite(struct audit *a, u64 id, bool is_span)
{
	struct audit_callsite *c = idmap__find(&a->callsites, id);

	if (!c)
		AUDIT(a, CALLSITE, "callsite 0x%llx is used before it is defined", HEX(id));
	else if (c->seen < c->field_cnt)
		AUDIT(a, CALLSITE, "callsite 0x%llx is used with %u of its %u fields", HEX(id), c->seen, c->field_cnt);
	else if (c->is_span != is_span)
		AUDIT(a, CALLSITE, "callsite 0x%llx of %s is used for %s", HEX(id), c->is_span ? "spans" : "events",
		      is_span ? "a span" : "an event");
	return c;
}

/* --- values and events --------------------------------------------------------------------------------- */

static void check_value(struct audit *a, const struct tape_raw *raw, u64 callsite)
{
	static const u8 bytes[] = { [TAPE_BOOL] = 1,  [TAPE_I64] = 8,  [TAPE_U64] = 8, [TAPE_I128] = 16,
				    [TAPE_U128] = 16, [TAPE_F64] = 8, [TAPE_STR] = 0, [TAPE_ERROR] = 0 };
	const struct tape_value *x = (const void *)raw->data;
	struct audit_callsite *c = idmap__find(&a->callsites, callsite);
	u32 have = raw->bytes - sizeof(*x);

	if (x->type >= ARRAY_SIZE(bytes))
		AUDIT(a, VALUE, "a value of type %u", x->type);
	else if (bytes[x->type] && have != bytes[x->type])
		AUDIT(a, VALUE, "a value of type %u with %u bytes", x->type, have);
	if (c && !has_field(c, x->field))
		AUDIT(a, VALUE, "a value for field 0x%llx, which callsite 0x%llx does not have", HEX(x->field),
		      HEX(callsite));
}

/* Does an event of this thread still wait? Then say so, where it stands. */
static void end_event(struct audit *a, struct audit_thread *t)
{
	if (t->got < t->want)
		tape_scan__defect(a->scan, TAPE_DEFECT_EVENT, t->event_offset,
				  "an event announces %u values and has %u", t->want, t->got);
	t->want = t->got = 0;
}

static void on_event(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_event *x = (const void *)raw->data;
	struct audit_thread *t = get_thread(a, x->thread);

	use_callsite(a, x->callsite, false);
	if (!t)
		return;
	end_event(a, t);
	in_time(a, t, x->time);
	t->want = x->value_cnt;
	t->event_callsite = x->callsite;
	t->event_offset = raw->offset;
	a->events_cnt += !a->is_synthetic;
}

static void on_event_value(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_value *x = (const void *)raw->data;
	struct audit_thread *t = idmap__find(&a->threads, x->owner);

	if (!t || t->got >= t->want) {
		AUDIT(a, EVENT, "a value on thread 0x%llx, where no event waits for one", HEX(x->owner));
		return;
	}
	t->got++;
	check_value(a, raw, t->event_callsite);
}

/* --- spans --------------------------------------------------------------------------------------------- */

static struct audit_span *need_span(struct audit *a, u64 id, const char *what)
{
	struct audit_span *s = a->last_span;

	if (s && s->id == id)
		return s;
	s = idmap__find(&a->spans, id);
	if (s)
		a->last_span = s;
	else
		AUDIT(a, SPAN, "%s span 0x%llx, which is not open", what, HEX(id));
	return s;
}

static void on_open(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_span_open *x = (const void *)raw->data;
	struct audit_span *s = idmap__find(&a->spans, x->span);
	u8 kind = raw->bytes >= sizeof(*x) ? x->parent_kind : x->parent ? TAPE_PARENT_EXPLICIT : TAPE_PARENT_ROOT;

	use_callsite(a, x->callsite, true);
	if (s)
		AUDIT(a, SPAN, "span 0x%llx is opened while it is open", HEX(x->span));
	if (kind > TAPE_PARENT_EXPLICIT)
		AUDIT(a, SPAN, "span 0x%llx: parent kind %u", HEX(x->span), kind);
	else if (raw->bytes >= sizeof(*x) && kind != TAPE_PARENT_EXPLICIT && x->parent)
		AUDIT(a, SPAN, "span 0x%llx: a parent id without an explicit parent", HEX(x->span));
	if (!s) {
		s = pool__get(&a->span_pool);
		if (!s || idmap__put(&a->spans, x->span, s) < 0) {
			a->no_memory = true;
			return;
		}
	}
	a->last_span = s;
	*s = (struct audit_span){ .id = x->span, .callsite = x->callsite, .offset = raw->offset,
				  .synthetic = a->is_synthetic };
	if (a->has_context && a->context_span == x->span && !a->is_synthetic) {
		s->has_parent = true;
		s->parent = a->context_parent;
	} else if (kind == TAPE_PARENT_EXPLICIT) {
		s->has_parent = true;
		s->parent = x->parent;
	} else if (kind == TAPE_PARENT_CURRENT) {
		s->contextual = !a->is_synthetic;
	}
	a->spans_cnt += !a->is_synthetic;
}

static void on_enter(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_span_enter *x = (const void *)raw->data;
	struct audit_span *s = need_span(a, x->span, "entry of");
	struct audit_thread *t = get_thread(a, x->thread);
	u64 *more;

	if (!s || !t)
		return;
	in_time(a, t, x->time);
	if (t->depth == t->cap) {
		more = realloc(t->stack, (t->cap ? t->cap * 2 : 8) * sizeof(*more));
		if (!more) {
			a->no_memory = true;
			return;
		}
		t->cap = t->cap ? t->cap * 2 : 8;
		t->stack = more;
	}
	if (s->contextual && !s->was_entered) {
		s->has_parent = true;
		s->parent = t->depth ? t->stack[t->depth - 1] : 0;
	}
	t->stack[t->depth++] = x->span;
	s->last_thread = x->thread;
	s->was_entered = true;
	s->entered++;
}

static void on_exit_record(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_span_end *x = (const void *)raw->data;
	struct audit_span *s = need_span(a, x->span, "exit of");
	struct audit_thread *t;
	u32 i;

	if (!s)
		return;
	t = s->was_entered ? idmap__find(&a->threads, s->last_thread) : NULL;
	for (i = t ? t->depth : 0; i > 0 && t->stack[i - 1] != x->span; i--)
		;
	if (!i) {
		AUDIT(a, EXIT, "exit of span 0x%llx, which is not entered%s", HEX(x->span),
		      s->entered ? " on the thread of its last entry" : "");
		return;
	}
	if (i != t->depth)
		AUDIT(a, ORDER, "exit of span 0x%llx, above which %u others are entered on thread 0x%llx", HEX(x->span),
		      t->depth - i, HEX(t->id));
	memmove(t->stack + i - 1, t->stack + i, (t->depth - i) * sizeof(*t->stack));
	t->depth--;
	s->entered--;
	in_time(a, t, x->time);
}

/* Where v0.1 readers hang a span: under what is entered, at its close, on the thread that entered it last. */
static u64 place(struct audit *a, const struct audit_span *s)
{
	struct audit_thread *t = s->was_entered ? idmap__find(&a->threads, s->last_thread) : NULL;

	return t && t->depth ? t->stack[t->depth - 1] : 0;
}

static void on_close(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_span_end *x = (const void *)raw->data;
	struct audit_span *s = need_span(a, x->span, "close of");
	struct audit_callsite *c;
	struct audit_thread *t;
	u32 i, k;

	if (!s)
		return;
	if (s->entered) {
		AUDIT(a, EXIT, "span 0x%llx is closed while it is entered", HEX(x->span));
		/* one defect is enough: without its entries the rest can be judged */
		t = idmap__find(&a->threads, s->last_thread);
		for (i = k = 0; t && i < t->depth; i++)
			if (t->stack[i] != x->span)
				t->stack[k++] = t->stack[i];
		if (t)
			t->depth = k;
	} else if (!s->synthetic) {
		a->res->never_entered += !s->was_entered;
		a->res->misplaced += s->has_parent && place(a, s) != s->parent;
	}
	c = idmap__find(&a->callsites, s->callsite);
	if (c)
		c->closed = true;
	idmap__remove(&a->spans, x->span);
	pool__put(&a->span_pool, s);
	a->last_span = NULL;
}

static void on_span_value(struct audit *a, const struct tape_raw *raw)
{
	const struct tape_value *x = (const void *)raw->data;
	struct audit_span *s = need_span(a, x->owner, "value of");

	if (s)
		check_value(a, raw, s->callsite);
}

/* --- the whole ----------------------------------------------------------------------------------------- */

static void on_record(struct audit *a, const struct tape_raw *raw)
{
	static void (*const handlers[256])(struct audit *, const struct tape_raw *) = {
		[TAPE_CALLSITE] = on_callsite, [TAPE_CALLSITE_FIELD] = on_field,   [TAPE_EVENT] = on_event,
		[TAPE_EVENT_VALUE] = on_event_value, [TAPE_SPAN_OPEN] = on_open,   [TAPE_SPAN_ENTER] = on_enter,
		[TAPE_SPAN_EXIT] = on_exit_record, [TAPE_SPAN_CLOSE] = on_close,   [TAPE_SPAN_VALUE] = on_span_value,
	};

	a->offset = raw->offset;
	a->res->records++;
	a->res->kind_cnt[raw->kind]++;
	if (raw->kind == TAPE_X_SKIP)
		return;
	if (a->after_checksum) {
		AUDIT(a, CHECKSUM, "a record behind the checksum, which is to be the last");
		a->after_checksum = false;
	}
	a->is_synthetic = a->synthetic > 0;
	a->synthetic -= a->is_synthetic;
	if (raw->kind >= TAPE_X_GENERATION) {
		audit__ext(a, raw);
		return;
	}
	audit__before(a, raw);
	if (handlers[raw->kind])
		handlers[raw->kind](a, raw);
	a->has_context = false;
}

static void at_end(struct audit *a)
{
	struct audit_callsite *c;
	struct audit_thread *t;
	struct audit_span *s;
	u64 i;

	a->offset = tape_scan__offset(a->scan);
	for (i = 0; (t = idmap__next(&a->threads, &i));)
		end_event(a, t);
	for (i = 0; (s = idmap__next(&a->spans, &i));) {
		a->res->open_spans++;
		tape_scan__defect(a->scan, TAPE_DEFECT_UNCLOSED, s->offset, "span 0x%llx is never closed%s", HEX(s->id),
				  s->entered ? ", nor left" : "");
	}
	for (i = 0; (c = idmap__next(&a->callsites, &i));) {
		if (c->is_span && !c->closed)
			a->res->idle_callsites++;
		if (c->seen < c->field_cnt)
			AUDIT(a, CALLSITE, "callsite 0x%llx has %u of its %u fields", HEX(c->id), c->seen, c->field_cnt);
	}
	if (a->synthetic)
		tape_scan__defect(a->scan, TAPE_DEFECT_EXTENSION, a->synthetic_offset,
				  "the tape ends %u records before the end of a synthetic mark", a->synthetic);
	audit__totals(a);
}

static void free_audit(struct audit *a)
{
	struct audit_callsite *c;
	struct audit_thread *t;
	u64 i;

	for (i = 0; (c = idmap__next(&a->callsites, &i));) {
		free(c->field_id);
		free(c);
	}
	for (i = 0; (t = idmap__next(&a->threads, &i));) {
		free(t->stack);
		free(t);
	}
	idmap__done(&a->callsites);
	idmap__done(&a->threads);
	idmap__done(&a->spans);
	pool__done(&a->span_pool);
	tape_scan__free(a->scan);
}

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct audit *a = ctx;

	a->res->defects++;
	a->res->defect_cnt[d->kind]++;
	if (d->kind == TAPE_DEFECT_LENGTH) {
		/* a chapter's rest is missing: what it was waited for may have been there */
		a->synthetic = 0;
		a->want_kind = 0;
	}
	if (a->ops.defect)
		a->ops.defect(a->ops.ctx, d);
}

int tape_audit__run(const char *path, const struct tape_audit_ops *ops, struct tape_audit_result *res, struct diag *d)
{
	struct audit a = { .res = res, .ops = ops ? *ops : (struct tape_audit_ops){} };
	struct tape_raw raw;
	int got, err;

	memset(res, 0, sizeof(*res));
	pool__init(&a.span_pool, sizeof(struct audit_span));
	err = tape_scan__open(path, on_defect, &a, &a.scan, d);
	if (err)
		return err;
	res->intro = *tape_scan__intro(a.scan);
	while ((got = tape_scan__next(a.scan, &raw)) > 0 && !a.no_memory) {
		on_record(&a, &raw);
		if (a.ops.progress && res->records % PROGRESS_RECORDS == 0)
			a.ops.progress(a.ops.ctx, tape_scan__offset(a.scan), tape_scan__size(a.scan));
	}
	if (got == 0 && !a.no_memory)
		at_end(&a);
	res->bytes = tape_scan__offset(a.scan);
	if (got < 0)
		err = diag__set(d, got, "cannot read %s: %s", path, strerror(-got));
	else if (a.no_memory)
		err = diag__set(d, -ENOMEM, "no memory for auditing %s", path);
	free_audit(&a);
	return err;
}
