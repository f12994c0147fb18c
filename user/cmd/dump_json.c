/* SPDX-License-Identifier: MIT */
/*
 * dump_json.c - NDJSON: one object a line, valid JSON whatever the tape holds. The schema is in tapebpf-dump(1);
 * members are only ever added. Written as the calls come: nothing is kept but what a close line says of its span.
 */
#include "cmd/show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/codes.h"
#include "base/idmap.h"
#include "base/text.h"

struct open_span {
	const struct callsite *callsite;
	const struct thread *thread;
	u64 open_ns;
	struct busy busy;
};

struct json_view {
	struct show show;
	struct idmap spans;
};

static void member_text(FILE *f, const char *name, const char *text)
{
	fprintf(f, ",\"%s\":", name);
	text__json(f, text, strlen(text));
}

static void member_u64(FILE *f, const char *name, u64 v)
{
	fprintf(f, ",\"%s\":%" PRIu64, name, v);
}

static void member_id(FILE *f, const char *name, u64 id)
{
	if (id)
		member_u64(f, name, id);
	else
		fprintf(f, ",\"%s\":null", name);
}

/* Begin a line; all that have a time begin alike. */
static FILE *line(const struct json_view *j, const char *type, u64 time_ns)
{
	FILE *f = j->show.out;
	s64 unix_ns = j->show.unix_ns(j->show.ctx, time_ns);

	/* t_ns is small enough for readers that keep numbers as doubles */
	fprintf(f, "{\"type\":\"%s\",\"t_ns\":%" PRId64 ",\"time_ns\":%" PRId64 ",\"time\":\"", type,
		(s64)((u64)unix_ns - (u64)j->show.base_ns), unix_ns);
	show__time(f, unix_ns, 9);
	fputc('"', f);
	return f;
}

static int end(FILE *f)
{
	fputs("}\n", f);
	return 0;
}

static void member_why(FILE *f, enum sink_why why)
{
	if (show__why(why))
		fprintf(f, ",\"synthetic\":\"%s\"", show__why(why));
}

static void member_thread(FILE *f, const struct thread *t)
{
	if (!t)
		return;
	member_u64(f, "thread", t->uid);
	if (t->process->pid)
		member_u64(f, "pid", t->process->pid);
	if (t->tid)
		member_u64(f, "tid", t->tid);
	if (t->name && t->name[0])
		member_text(f, "thread_name", t->name);
}

static void member_callsite(FILE *f, const struct callsite *c)
{
	fprintf(f, ",\"level\":\"%s\"", show__level(c->level));
	member_text(f, "target", c->target);
	member_text(f, "name", c->name);
}

/* Two fields of one name would make an object whose second member hides the first. */
static void field_name(FILE *f, const struct callsite *c, u32 field)
{
	const char *name = c->field[field].name;
	char numbered[128];
	u32 i, same = 1;

	for (i = 0; i < field && c->user; i++)
		same += strcmp(c->field[i].name, name) == 0;
	if (same == 1) {
		text__json(f, name, strlen(name));
		return;
	}
	snprintf(numbered, sizeof(numbered), "%.100s#%u", name, same);
	text__json(f, numbered, strlen(numbered));
}

/* "name":{"a":1,"b":"x"}: `what` writes the member of one value, and says if there is one. */
static void object(FILE *f, const char *name, const struct callsite *c, const struct value *v, u32 cnt,
		   bool (*what)(FILE *f, const struct value *v, bool write))
{
	u32 i, n = 0;

	for (i = 0; i < cnt; i++) {
		if (!what(f, &v[i], false))
			continue;
		if (!n++)
			fprintf(f, ",\"%s\":{", name);
		else
			fputc(',', f);
		field_name(f, c, v[i].field);
		fputc(':', f);
		what(f, &v[i], true);
	}
	if (n)
		fputc('}', f);
}

static bool write_value(FILE *f, const struct value *v, bool write)
{
	if (write)
		show__json_value(f, v);
	return true;
}

static bool write_type(FILE *f, const struct value *v, bool write)
{
	if (write)
		fprintf(f, "\"%s\"", show__type(v->type));
	return true;
}

static bool write_original(FILE *f, const struct value *v, bool write)
{
	if (write)
		fprintf(f, "%" PRIu64, v->orig_bytes);
	return v->flags & VALUE_TRUNCATED;
}

static bool write_flag(FILE *f, const struct value *v, bool write)
{
	if (write)
		fprintf(f, "\"%s\"", v->flags & VALUE_UNREADABLE ? "unreadable" : "raw");
	return v->flags & (VALUE_UNREADABLE | VALUE_RAW);
}

static void member_values(FILE *f, const struct callsite *c, const struct value *v, u32 cnt)
{
	object(f, "fields", c, v, cnt, write_value);
	object(f, "types", c, v, cnt, write_type);
	object(f, "truncated", c, v, cnt, write_original);
	object(f, "flags", c, v, cnt, write_flag);
}

static int on_callsite(void *ctx, struct callsite *c)
{
	struct json_view *j = ctx;
	FILE *f = j->show.out;
	u32 i, k;

	c->user = NULL; /* set where a field's name comes twice */
	fprintf(f, "{\"type\":\"callsite\",\"callsite\":%" PRIu64 ",\"kind\":\"%s\"", c->id, c->is_span ? "span" : "event");
	member_callsite(f, c);
	if (c->module[0])
		member_text(f, "module", c->module);
	if (c->file[0])
		member_text(f, "file", c->file);
	if (c->line)
		member_u64(f, "line", c->line);
	if (c->foreign)
		fputs(",\"foreign\":true", f);
	fputs(",\"fields\":[", f);
	for (i = 0; i < c->field_cnt; i++) {
		for (k = 0; k < i; k++)
			if (strcmp(c->field[k].name, c->field[i].name) == 0)
				c->user = c;
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

	member_u64(f, "process", p->uid);
	member_u64(f, "pid", p->pid);
	if (p->ns_pid && p->ns_pid != p->pid)
		member_u64(f, "ns_pid", p->ns_pid);
	if (p->parent_pid)
		member_u64(f, "parent_pid", p->parent_pid);
	member_text(f, "comm", p->comm);
	if (p->exe)
		member_text(f, "exe", p->exe);
	if (p->cmdline)
		member_text(f, "cmdline", p->cmdline);
	return end(f);
}

static int on_process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	FILE *f = line(ctx, "process_end", time_ns);

	member_u64(f, "process", p->uid);
	member_u64(f, "pid", p->pid);
	if (known && (status & 0x7f))
		member_u64(f, "signal", status & 0x7f);
	else if (known)
		member_u64(f, "exit_code", status >> 8 & 0xff);
	return end(f);
}

static int on_thread(void *ctx, struct thread *t)
{
	FILE *f = line(ctx, "thread", t->begin_ns);

	member_u64(f, "thread", t->uid);
	member_u64(f, "process", t->process->uid);
	member_u64(f, "pid", t->process->pid);
	member_u64(f, "tid", t->tid);
	member_text(f, "thread_name", t->name);
	return end(f);
}

static int on_thread_end(void *ctx, struct thread *t, u64 time_ns)
{
	FILE *f = line(ctx, "thread_end", time_ns);

	member_thread(f, t);
	return end(f);
}

static const char *parent_kind(u8 kind)
{
	return kind == WIRE_PARENT_ROOT ? "root" : kind == WIRE_PARENT_EXPLICIT ? "explicit" : "current";
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct json_view *j = ctx;
	FILE *f = line(j, "span_open", o->time_ns);
	struct open_span *s;

	member_u64(f, "span", o->span);
	member_id(f, "parent", o->parent);
	fprintf(f, ",\"parent_kind\":\"%s\"", parent_kind(o->parent_kind));
	if (o->lost_parent)
		fprintf(f, ",\"lost_parent\":\"0x%" PRIx64 "\"", o->lost_parent);
	member_callsite(f, o->callsite);
	member_u64(f, "callsite", o->callsite->id);
	member_thread(f, o->thread);
	if (o->flags & SPAN_BEFORE)
		fputs(",\"before\":true", f);
	if (o->flags & SPAN_FIELDS_LOST)
		fputs(",\"fields_lost\":true", f);
	if (o->flags & SPAN_PLACEHOLDER)
		fputs(",\"placeholder\":true", f);
	member_values(f, o->callsite, o->value, o->value_cnt);
	end(f);
	free(idmap__remove(&j->spans, o->span));
	s = calloc(1, sizeof(*s));
	if (!s || idmap__put(&j->spans, o->span, s) < 0) {
		free(s);
		return -ENOMEM;
	}
	s->callsite = o->callsite;
	s->thread = o->thread;
	s->open_ns = o->time_ns;
	return 0;
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct json_view *j = ctx;
	struct open_span *s = idmap__find(&j->spans, span);
	FILE *f = line(j, "span_enter", time_ns);

	if (s)
		busy__enter(&s->busy, time_ns);
	member_u64(f, "span", span);
	member_thread(f, t);
	return end(f);
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct json_view *j = ctx;
	struct open_span *s = idmap__find(&j->spans, span);
	FILE *f = line(j, "span_exit", time_ns);

	if (s)
		busy__exit(&s->busy, time_ns);
	member_u64(f, "span", span);
	member_thread(f, t);
	member_why(f, why);
	return end(f);
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct json_view *j = ctx;
	struct open_span *s = idmap__remove(&j->spans, span);
	FILE *f = line(j, "span_close", time_ns);

	member_u64(f, "span", span);
	if (s) {
		member_callsite(f, s->callsite);
		member_thread(f, s->thread);
		member_u64(f, "duration_ns", time_ns > s->open_ns ? time_ns - s->open_ns : 0);
		member_u64(f, "busy_ns", s->busy.total_ns);
		member_u64(f, "entries", s->busy.entries);
		free(s);
	}
	if (dropped_ns != time_ns)
		fprintf(f, ",\"dropped_ns\":%" PRId64, j->show.unix_ns(j->show.ctx, dropped_ns));
	member_why(f, why);
	return end(f);
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	FILE *f = line(ctx, "span_value", time_ns);

	member_u64(f, "span", span);
	member_thread(f, t);
	member_values(f, c, v, 1);
	return end(f);
}

static int on_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 time_ns)
{
	FILE *f = line(ctx, "span_follows", time_ns);

	member_u64(f, "span", span);
	member_u64(f, "follows", follows);
	member_thread(f, t);
	return end(f);
}

static int on_event(void *ctx, const struct event *e)
{
	FILE *f = line(ctx, "event", e->time_ns);

	member_callsite(f, e->callsite);
	member_u64(f, "callsite", e->callsite->id);
	member_id(f, "span", e->parent);
	fprintf(f, ",\"parent_kind\":\"%s\"", parent_kind(e->parent_kind));
	member_thread(f, e->thread);
	member_values(f, e->callsite, e->value, e->value_cnt);
	return end(f);
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct json_view *j = ctx;
	FILE *f = line(j, "loss", l->to_ns);

	fprintf(f, ",\"from_ns\":%" PRId64, j->show.unix_ns(j->show.ctx, l->from_ns));
	if (l->cpu != ~0u)
		member_u64(f, "cpu", l->cpu);
	member_text(f, "cause", loss_cause__label(l->cause));
	member_u64(f, "count", l->count);
	if (l->callsite) {
		member_callsite(f, l->callsite);
		member_u64(f, "callsite", l->callsite->id);
	}
	member_thread(f, l->thread);
	return end(f);
}

static int on_trigger(void *ctx, const struct sink_trigger *t)
{
	FILE *f = line(ctx, "trigger", t->time_ns);

	member_text(f, "trigger", t->trigger);
	member_text(f, "what", t->what);
	if (t->pid)
		member_u64(f, "pid", t->pid);
	if (t->tid)
		member_u64(f, "tid", t->tid);
	return end(f);
}

static void free_json(void *ctx)
{
	struct json_view *j = ctx;
	struct open_span *s;
	u64 i;

	for (i = 0; (s = idmap__next(&j->spans, &i));)
		free(s);
	idmap__done(&j->spans);
	free(j);
}

int view__json(struct view *v, const struct show *s)
{
	static const struct sink_ops ops = {
		.callsite = on_callsite, .process = on_process,	    .process_end = on_process_end, .thread = on_thread,
		.thread_end = on_thread_end, .span_open = on_open,  .span_enter = on_enter,	   .span_exit = on_exit_span,
		.span_close = on_close,	 .span_value = on_value,    .span_follows = on_follows,	   .event = on_event,
		.loss = on_loss,	 .trigger = on_trigger,
	};
	struct json_view *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->show = *s;
	*v = (struct view){ .sink = { &ops, j }, .free = free_json };
	return 0;
}
