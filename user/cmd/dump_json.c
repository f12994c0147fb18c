/* SPDX-License-Identifier: MIT */
/*
 * dump_json.c - NDJSON: one object a line, valid JSON whatever the tape holds. The schema is in tapebpf-dump(1);
 * members are only ever added. Written as the calls come: nothing is kept but what a close line says of its span.
 *
 * A line is mostly what the lines before it said already: what a callsite and a thread always say is spelled once, the date
 * once a second, and the rest is numbers.
 */
#include "cmd/json_phrase.h"
#include "cmd/show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/codes.h"
#include "base/nearmap.h"
#include "base/text.h"

struct open_span {
	struct open_span *next_free;
	const struct callsite *callsite;
	const struct thread *thread;
	u64 open_ns;
	struct busy busy;
};

struct json_view {
	struct show show;
	struct nearmap spans;
	struct open_span *free_spans;
	struct stamp stamp;
	char second[24]; /* the stamp's second in digits, if it is behind 1970 */
	u32 second_bytes;
	s64 second_ns; /* that `second` is of */
	struct phrases phrases;
	struct outbuf out;
};

/* --- pieces of lines ------------------------------------------------------------------------------------------- */

#define MEMBER_U64(o, name, v) \
	do { \
		OUTBUF_LIT(o, ",\"" name "\":"); \
		outbuf__u64(o, v); \
	} while (0)

/* Behind a second of four digits or more, numbers of ns are its digits and nine more. */
static void put_unix_ns(struct json_view *j, s64 unix_ns, u32 ns)
{
	if (j->stamp.from_ns < (s64)NSEC_PER_SEC) {
		outbuf__s64(&j->out, unix_ns);
		return;
	}
	if (j->second_ns != j->stamp.from_ns) {
		j->second_ns = j->stamp.from_ns;
		j->second_bytes = digits__u64(j->second, (u64)j->stamp.from_ns / NSEC_PER_SEC);
	}
	outbuf__put(&j->out, j->second, j->second_bytes);
	outbuf__fixed(&j->out, ns, 9);
}

/* Begin a line; all that have a time begin alike. `begin`: up to the first number. */
static void begin_line(struct json_view *j, const char *begin, size_t begin_bytes, u64 time_ns)
{
	struct outbuf *o = &j->out;
	s64 unix_ns = j->show.unix_ns(j->show.ctx, time_ns);
	u32 ns = stamp__ns(&j->stamp, unix_ns);

	outbuf__put(o, begin, begin_bytes);
	/* small enough for readers that keep numbers as doubles */
	outbuf__s64(o, (s64)((u64)unix_ns - (u64)j->show.base_ns));
	OUTBUF_LIT(o, ",\"time_ns\":");
	put_unix_ns(j, unix_ns, ns);
	OUTBUF_LIT(o, ",\"time\":\"");
	outbuf__put(o, j->stamp.text, j->stamp.bytes);
	outbuf__fixed(o, ns, 9);
	OUTBUF_LIT(o, "Z\"");
}

#define LINE_BEGIN(type) "{\"type\":\"" type "\",\"t_ns\":"
#define BEGIN(j, type, time_ns) begin_line(j, LINE_BEGIN(type), sizeof(LINE_BEGIN(type)) - 1, time_ns)

/* The same for lines that are few. */
static FILE *line(struct json_view *j, const char *type, u64 time_ns)
{
	char begin[64];
	int n = snprintf(begin, sizeof(begin), LINE_BEGIN("%s"), type);

	begin_line(j, begin, (size_t)n, time_ns);
	return outbuf__file(&j->out);
}

static int end(FILE *f)
{
	fputs("}\n", f);
	return 0;
}

static int end_line(struct json_view *j)
{
	OUTBUF_LIT(&j->out, "}\n");
	return 0;
}

static void member_why(struct outbuf *o, enum sink_why why)
{
	if (why == SINK_OWN)
		return;
	OUTBUF_LIT(o, ",\"synthetic\":\"");
	outbuf__puts(o, show__why(why));
	outbuf__putc(o, '"');
}

/* --- values ---------------------------------------------------------------------------------------------------- */

static void put_value(struct outbuf *o, const struct value *v)
{
	if (v->flags & VALUE_UNREADABLE) {
		OUTBUF_LIT(o, "null");
		return;
	}
	switch (v->type) {
	case WIRE_T_I32:
	case WIRE_T_I64:
		outbuf__s64(o, v->i);
		break;
	case WIRE_T_U32:
	case WIRE_T_U64:
		outbuf__u64(o, v->u);
		break;
	case WIRE_T_STR:
	case WIRE_T_ERROR:
		outbuf__json(o, v->text, v->text_bytes);
		break;
	default:
		show__json_value(outbuf__file(o), v);
	}
}

static void put_type(struct outbuf *o, const struct value *v)
{
	outbuf__putc(o, '"');
	outbuf__puts(o, show__type(v->type));
	outbuf__putc(o, '"');
}

static void put_original(struct outbuf *o, const struct value *v)
{
	outbuf__u64(o, v->orig_bytes);
}

static void put_flag(struct outbuf *o, const struct value *v)
{
	outbuf__puts(o, v->flags & VALUE_UNREADABLE ? "\"unreadable\"" : "\"raw\"");
}

/* "name":{"a":1,"b":"x"}, of those values that have one of `flags`; 0: of all. `begin`: up to the first value. */
static inline void object(struct outbuf *o, const char *begin, size_t begin_bytes, const struct site_phrases *s, const struct value *v,
			  u32 cnt, u8 flags, void (*put)(struct outbuf *o, const struct value *v))
{
	u32 i, n = 0;

	for (i = 0; i < cnt; i++) {
		if (flags && !(v[i].flags & flags))
			continue;
		if (n++)
			outbuf__putc(o, ',');
		else
			outbuf__put(o, begin, begin_bytes);
		phrase__put(o, &s->field[v[i].field]);
		put(o, &v[i]);
	}
	if (n)
		outbuf__putc(o, '}');
}

#define OBJECT_BEGIN(name) ",\"" name "\":{"
#define OBJECT(o, name, ...) object(o, OBJECT_BEGIN(name), sizeof(OBJECT_BEGIN(name)) - 1, __VA_ARGS__)

static void member_values(struct outbuf *o, const struct site_phrases *s, const struct value *v, u32 cnt)
{
	u8 flags = 0;
	u32 i;

	if (!cnt)
		return;
	OBJECT(o, "fields", s, v, cnt, 0, put_value);
	OBJECT(o, "types", s, v, cnt, 0, put_type);
	for (i = 0; i < cnt; i++)
		flags |= v[i].flags;
	if (!flags)
		return;
	OBJECT(o, "truncated", s, v, cnt, VALUE_TRUNCATED, put_original);
	OBJECT(o, "flags", s, v, cnt, VALUE_UNREADABLE | VALUE_RAW, put_flag);
}

/* --- the sink -------------------------------------------------------------------------------------------------- */

static int on_callsite(void *ctx, struct callsite *c)
{
	struct json_view *j = ctx;
	FILE *f = outbuf__file(&j->out);
	u32 i;

	fprintf(f, "{\"type\":\"callsite\",\"callsite\":%" PRIu64 ",\"kind\":\"%s\"", c->id, c->is_span ? "span" : "event");
	json__members_callsite(f, c);
	if (c->module[0])
		json__member_text(f, "module", c->module);
	if (c->file[0])
		json__member_text(f, "file", c->file);
	if (c->line)
		json__member_u64(f, "line", c->line);
	if (c->foreign)
		fputs(",\"foreign\":true", f);
	fputs(",\"fields\":[", f);
	for (i = 0; i < c->field_cnt; i++) {
		fputs(i ? ",{\"name\":" : "{\"name\":", f);
		text__json(f, c->field[i].name, strlen(c->field[i].name));
		if (c->field[i].type != WIRE_T_EMPTY)
			fprintf(f, ",\"type\":\"%s\"", show__type(c->field[i].type));
		fputc('}', f);
	}
	fputc(']', f);
	return end(f);
}

static int on_process(void *ctx, struct process *p)
{
	struct json_view *j = ctx;
	FILE *f = line(j, "process", p->begin_ns);

	json__member_u64(f, "process", p->uid);
	json__member_u64(f, "pid", p->pid);
	if (p->ns_pid && p->ns_pid != p->pid)
		json__member_u64(f, "ns_pid", p->ns_pid);
	if (p->parent_pid)
		json__member_u64(f, "parent_pid", p->parent_pid);
	json__member_text(f, "comm", p->comm);
	if (p->exe)
		json__member_text(f, "exe", p->exe);
	if (p->cmdline)
		json__member_text(f, "cmdline", p->cmdline);
	return end(f);
}

static int on_process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	FILE *f = line(ctx, "process_end", time_ns);

	json__member_u64(f, "process", p->uid);
	json__member_u64(f, "pid", p->pid);
	if (known && (status & 0x7f))
		json__member_u64(f, "signal", status & 0x7f);
	else if (known)
		json__member_u64(f, "exit_code", status >> 8 & 0xff);
	return end(f);
}

static int on_thread(void *ctx, struct thread *t)
{
	struct json_view *j = ctx;
	FILE *f = line(j, "thread", t->begin_ns);

	phrases__forget_thread(&j->phrases, t);
	json__member_u64(f, "thread", t->uid);
	json__member_u64(f, "process", t->process->uid);
	json__member_u64(f, "pid", t->process->pid);
	json__member_u64(f, "tid", t->tid);
	json__member_text(f, "thread_name", t->name);
	return end(f);
}

static int on_thread_end(void *ctx, struct thread *t, u64 time_ns)
{
	FILE *f = line(ctx, "thread_end", time_ns);

	json__members_thread(f, t);
	return end(f);
}

static const char *parent_kind(u8 kind)
{
	return kind == WIRE_PARENT_ROOT ? "root" : kind == WIRE_PARENT_EXPLICIT ? "explicit" : "current";
}

static struct open_span *new_span(struct json_view *j, const struct span_open *o)
{
	struct open_span *s = nearmap__find(&j->spans, o->span);

	if (!s) {
		s = j->free_spans;
		if (s)
			j->free_spans = s->next_free;
		else
			s = malloc(sizeof(*s));
		if (!s || nearmap__add(&j->spans, o->span, s)) {
			free(s);
			return NULL;
		}
	}
	*s = (struct open_span){ .callsite = o->callsite, .thread = o->thread, .open_ns = o->time_ns };
	return s;
}

static struct open_span *open_span(struct json_view *j, const struct span_open *o)
{
	const struct site_phrases *site = phrases__site(&j->phrases, o->callsite);
	struct outbuf *b = &j->out;

	if (!site)
		return NULL;
	BEGIN(j, "span_open", o->time_ns);
	MEMBER_U64(b, "span", o->span);
	OUTBUF_LIT(b, ",\"parent\":");
	if (o->parent)
		outbuf__u64(b, o->parent);
	else
		OUTBUF_LIT(b, "null");
	OUTBUF_LIT(b, ",\"parent_kind\":\"");
	outbuf__puts(b, parent_kind(o->parent_kind));
	outbuf__putc(b, '"');
	if (o->lost_parent)
		fprintf(outbuf__file(b), ",\"lost_parent\":\"0x%" PRIx64 "\"", o->lost_parent);
	phrase__put(b, &site->names);
	phrase__put(b, &site->number);
	phrases__put_thread(&j->phrases, &j->out, o->thread);
	if (o->flags & SPAN_BEFORE)
		OUTBUF_LIT(b, ",\"before\":true");
	if (o->flags & SPAN_FIELDS_LOST)
		OUTBUF_LIT(b, ",\"fields_lost\":true");
	if (o->flags & SPAN_PLACEHOLDER)
		OUTBUF_LIT(b, ",\"placeholder\":true");
	member_values(b, site, o->value, o->value_cnt);
	end_line(j);
	return new_span(j, o);
}

static void enter_span(struct json_view *j, struct open_span *s, u64 span, struct thread *t, u64 time_ns)
{
	if (s)
		busy__enter(&s->busy, time_ns);
	BEGIN(j, "span_enter", time_ns);
	MEMBER_U64(&j->out, "span", span);
	phrases__put_thread(&j->phrases, &j->out, t);
	end_line(j);
}

static void exit_span(struct json_view *j, struct open_span *s, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	if (s)
		busy__exit(&s->busy, time_ns);
	BEGIN(j, "span_exit", time_ns);
	MEMBER_U64(&j->out, "span", span);
	phrases__put_thread(&j->phrases, &j->out, t);
	member_why(&j->out, why);
	end_line(j);
}

static int close_span(struct json_view *j, struct open_span *s, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct outbuf *o = &j->out;
	const struct site_phrases *site = s ? phrases__site(&j->phrases, s->callsite) : NULL;

	if (s && !site)
		return -ENOMEM;
	BEGIN(j, "span_close", time_ns);
	MEMBER_U64(o, "span", span);
	if (s) {
		phrase__put(o, &site->names);
		phrases__put_thread(&j->phrases, &j->out, s->thread);
		MEMBER_U64(o, "duration_ns", time_ns > s->open_ns ? time_ns - s->open_ns : 0);
		MEMBER_U64(o, "busy_ns", s->busy.total_ns);
		MEMBER_U64(o, "entries", s->busy.entries);
		nearmap__remove(&j->spans, span);
		s->next_free = j->free_spans;
		j->free_spans = s;
	}
	if (dropped_ns != time_ns) {
		OUTBUF_LIT(o, ",\"dropped_ns\":");
		outbuf__s64(o, j->show.unix_ns(j->show.ctx, dropped_ns));
	}
	member_why(o, why);
	return end_line(j);
}

static int on_open(void *ctx, const struct span_open *o)
{
	return open_span(ctx, o) ? 0 : -ENOMEM;
}

static int on_begin(void *ctx, const struct span_open *o)
{
	struct open_span *s = open_span(ctx, o);

	if (!s)
		return -ENOMEM;
	enter_span(ctx, s, o->span, o->thread, o->time_ns);
	return 0;
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct json_view *j = ctx;

	enter_span(j, nearmap__find(&j->spans, span), span, t, time_ns);
	return 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct json_view *j = ctx;

	exit_span(j, nearmap__find(&j->spans, span), span, t, time_ns, why);
	return 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct json_view *j = ctx;

	return close_span(j, nearmap__find(&j->spans, span), span, time_ns, dropped_ns, why);
}

static int on_end(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct json_view *j = ctx;
	struct open_span *s = nearmap__find(&j->spans, span);

	exit_span(j, s, span, t, time_ns, SINK_OWN);
	return close_span(j, s, span, time_ns, time_ns, SINK_OWN);
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	struct json_view *j = ctx;
	const struct site_phrases *site = phrases__site(&j->phrases, c);

	if (!site)
		return -ENOMEM;
	BEGIN(j, "span_value", time_ns);
	MEMBER_U64(&j->out, "span", span);
	phrases__put_thread(&j->phrases, &j->out, t);
	member_values(&j->out, site, v, 1);
	return end_line(j);
}

static int on_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 time_ns)
{
	struct json_view *j = ctx;

	BEGIN(j, "span_follows", time_ns);
	MEMBER_U64(&j->out, "span", span);
	MEMBER_U64(&j->out, "follows", follows);
	phrases__put_thread(&j->phrases, &j->out, t);
	return end_line(j);
}

static int on_event(void *ctx, const struct event *e)
{
	struct json_view *j = ctx;
	const struct site_phrases *site = phrases__site(&j->phrases, e->callsite);
	struct outbuf *o = &j->out;

	if (!site)
		return -ENOMEM;
	BEGIN(j, "event", e->time_ns);
	phrase__put(o, &site->names);
	phrase__put(o, &site->number);
	OUTBUF_LIT(o, ",\"span\":");
	if (e->parent)
		outbuf__u64(o, e->parent);
	else
		OUTBUF_LIT(o, "null");
	OUTBUF_LIT(o, ",\"parent_kind\":\"");
	outbuf__puts(o, parent_kind(e->parent_kind));
	outbuf__putc(o, '"');
	phrases__put_thread(&j->phrases, &j->out, e->thread);
	member_values(o, site, e->value, e->value_cnt);
	return end_line(j);
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct json_view *j = ctx;
	FILE *f = line(j, "loss", l->to_ns);

	fprintf(f, ",\"from_ns\":%" PRId64, j->show.unix_ns(j->show.ctx, l->from_ns));
	if (l->cpu != ~0u)
		json__member_u64(f, "cpu", l->cpu);
	json__member_text(f, "cause", loss_cause__label(l->cause));
	json__member_u64(f, "count", l->count);
	if (l->callsite) {
		json__members_callsite(f, l->callsite);
		json__member_u64(f, "callsite", l->callsite->id);
	}
	if (l->thread)
		json__members_thread(f, l->thread);
	return end(f);
}

static int on_trigger(void *ctx, const struct sink_trigger *t)
{
	FILE *f = line(ctx, "trigger", t->time_ns);

	json__member_text(f, "trigger", t->trigger);
	json__member_text(f, "what", t->what);
	if (t->pid)
		json__member_u64(f, "pid", t->pid);
	if (t->tid)
		json__member_u64(f, "tid", t->tid);
	return end(f);
}

static int flush(void *ctx)
{
	struct json_view *j = ctx;

	outbuf__flush(&j->out);
	return j->out.error;
}

static void free_spans(struct json_view *j)
{
	struct open_span *s;
	u64 i;

	for (i = 0; (s = nearmap__next(&j->spans, &i));)
		free(s);
	while ((s = j->free_spans)) {
		j->free_spans = s->next_free;
		free(s);
	}
	nearmap__done(&j->spans);
}

static void free_json(void *ctx)
{
	struct json_view *j = ctx;

	flush(j);
	free_spans(j);
	phrases__done(&j->phrases);
	free(j);
}

int view__json(struct view *v, const struct show *s)
{
	static const struct sink_ops ops = {
		.callsite = on_callsite, .process = on_process,	    .process_end = on_process_end, .thread = on_thread,
		.thread_end = on_thread_end, .span_open = on_open,  .span_enter = on_enter,	   .span_exit = on_exit_span,
		.span_close = on_close,	 .span_value = on_value,    .span_follows = on_follows,	   .event = on_event,
		.loss = on_loss,	 .trigger = on_trigger,	    .span_begin = on_begin,	   .span_end = on_end,
	};
	struct json_view *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->show = *s;
	outbuf__init(&j->out, s->out);
	*v = (struct view){ .sink = { &ops, j }, .flush = flush, .free = free_json };
	return 0;
}
