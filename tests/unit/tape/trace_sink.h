/* SPDX-License-Identifier: MIT */
/*
 * trace_sink.h - a sink that writes each call as a line of text, so that a test can compare whole streams.
 * Times are relative to `zero`. Test helper: static, included by the tests of this folder.
 */
#ifndef TRACE_SINK_H
#define TRACE_SINK_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/sink.h"

struct trace {
	FILE *f;
	char *text;
	size_t bytes;
	u64 zero;
};

static void trace__values(struct trace *t, const struct callsite *c, const struct value *v, u32 cnt)
{
	u32 i;

	for (i = 0; i < cnt; i++) {
		fprintf(t->f, " %s:%u", c->field[v[i].field].name, v[i].type);
		if (v[i].flags)
			fprintf(t->f, "!%u/%" PRIu64, v[i].flags, v[i].orig_bytes);
		switch (v[i].type) {
		case WIRE_T_STR:
		case WIRE_T_BYTES:
		case WIRE_T_ERROR:
			fprintf(t->f, "='%.*s'", (int)v[i].text_bytes, v[i].text_bytes ? v[i].text : "");
			break;
		case WIRE_T_I128:
		case WIRE_T_U128:
			fprintf(t->f, "=%016" PRIx64 "%016" PRIx64, v[i].wide[1], v[i].wide[0]);
			break;
		default:
			fprintf(t->f, "=%" PRIx64, v[i].u);
		}
	}
	fputc('\n', t->f);
}

static int trace__callsite(void *ctx, struct callsite *c)
{
	struct trace *t = ctx;
	u32 i;

	fprintf(t->f, "callsite %s %u %s %s %s %s:%u (", c->is_span ? "span" : "event", c->level, c->name, c->target, c->module,
		c->file, c->line);
	for (i = 0; i < c->field_cnt; i++)
		fprintf(t->f, "%s%s", i ? "," : "", c->field[i].name);
	fprintf(t->f, ")\n");
	return 0;
}

static int trace__process(void *ctx, struct process *p)
{
	struct trace *t = ctx;

	fprintf(t->f, "process %" PRIu64 " pid %u %s %s\n", p->uid, p->pid, p->comm, p->exe ? p->exe : "?");
	return 0;
}

static int trace__process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	struct trace *t = ctx;

	fprintf(t->f, "process_end %" PRIu64 " @%" PRId64 " %u %d\n", p->uid, (s64)(time_ns - t->zero), status, known);
	return 0;
}

static int trace__thread(void *ctx, struct thread *th)
{
	struct trace *t = ctx;

	fprintf(t->f, "thread %" PRIu64 " tid %u '%s' of %" PRIu64 "\n", th->uid, th->tid, th->name, th->process->uid);
	return 0;
}

static int trace__thread_end(void *ctx, struct thread *th, u64 time_ns)
{
	struct trace *t = ctx;

	fprintf(t->f, "thread_end %" PRIu64 " @%" PRId64 "\n", th->uid, (s64)(time_ns - t->zero));
	return 0;
}

static int trace__span_open(void *ctx, const struct span_open *o)
{
	struct trace *t = ctx;

	fprintf(t->f, "open %" PRIu64 " %s @%" PRId64 " thread %" PRIu64 " kind %u parent %" PRIu64, o->span,
		o->callsite->name, (s64)(o->time_ns - t->zero), o->thread ? o->thread->uid : 0, o->parent_kind, o->parent);
	if (o->flags || o->lost_parent)
		fprintf(t->f, " flags %u lost_parent %" PRIx64, o->flags, o->lost_parent);
	trace__values(t, o->callsite, o->value, o->value_cnt);
	return 0;
}

static int trace__span_enter(void *ctx, u64 span, struct thread *th, u64 time_ns)
{
	struct trace *t = ctx;

	fprintf(t->f, "enter %" PRIu64 " on %" PRIu64 " @%" PRId64 "\n", span, th->uid, (s64)(time_ns - t->zero));
	return 0;
}

static int trace__span_exit(void *ctx, u64 span, struct thread *th, u64 time_ns, enum sink_why why)
{
	struct trace *t = ctx;

	fprintf(t->f, "exit %" PRIu64 " on %" PRIu64 " @%" PRId64 " why %d\n", span, th->uid, (s64)(time_ns - t->zero), why);
	return 0;
}

static int trace__span_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct trace *t = ctx;

	fprintf(t->f, "close %" PRIu64 " @%" PRId64 " dropped @%" PRId64 " why %d\n", span, (s64)(time_ns - t->zero),
		(s64)(dropped_ns - t->zero), why);
	return 0;
}

static int trace__span_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *th,
			     u64 time_ns)
{
	struct trace *t = ctx;

	fprintf(t->f, "value %" PRIu64 " @%" PRId64 " thread %" PRIu64, span, (s64)(time_ns - t->zero), th ? th->uid : 0);
	trace__values(t, c, v, 1);
	return 0;
}

static int trace__span_follows(void *ctx, u64 span, u64 follows, struct thread *th, u64 time_ns)
{
	struct trace *t = ctx;

	fprintf(t->f, "follows %" PRIu64 " %" PRIu64 " @%" PRId64 " thread %" PRIu64 "\n", span, follows,
		(s64)(time_ns - t->zero), th ? th->uid : 0);
	return 0;
}

static int trace__event(void *ctx, const struct event *e)
{
	struct trace *t = ctx;

	fprintf(t->f, "event %s @%" PRId64 " thread %" PRIu64 " kind %u parent %" PRIu64, e->callsite->name,
		(s64)(e->time_ns - t->zero), e->thread->uid, e->parent_kind, e->parent);
	trace__values(t, e->callsite, e->value, e->value_cnt);
	return 0;
}

static int trace__loss(void *ctx, const struct loss *l)
{
	struct trace *t = ctx;

	fprintf(t->f, "loss @%" PRId64 "..%" PRId64 " cpu %d %s thread %" PRIu64 " cause %u count %" PRIu64 "\n",
		(s64)(l->from_ns - t->zero), (s64)(l->to_ns - t->zero), (int)l->cpu, l->callsite ? l->callsite->name : "-",
		l->thread ? l->thread->uid : 0, l->cause, l->count);
	return 0;
}

static int trace__trigger(void *ctx, const struct sink_trigger *g)
{
	struct trace *t = ctx;

	fprintf(t->f, "trigger '%s' @%" PRId64 " %u/%u: %s\n", g->trigger, (s64)(g->time_ns - t->zero), g->pid, g->tid, g->what);
	return 0;
}

static int trace__span_begin(void *ctx, const struct span_open *o)
{
	trace__span_open(ctx, o);
	return trace__span_enter(ctx, o->span, o->thread, o->time_ns);
}

static int trace__span_end(void *ctx, u64 span, struct thread *th, u64 time_ns)
{
	trace__span_exit(ctx, span, th, time_ns, SINK_OWN);
	return trace__span_close(ctx, span, time_ns, time_ns, SINK_OWN);
}

static const struct sink_ops trace_ops = {
	.callsite = trace__callsite,
	.process = trace__process,
	.process_end = trace__process_end,
	.thread = trace__thread,
	.thread_end = trace__thread_end,
	.span_open = trace__span_open,
	.span_enter = trace__span_enter,
	.span_exit = trace__span_exit,
	.span_close = trace__span_close,
	.span_value = trace__span_value,
	.span_follows = trace__span_follows,
	.event = trace__event,
	.loss = trace__loss,
	.trigger = trace__trigger,
};

static struct sink trace__start(struct trace *t, u64 zero)
{
	*t = (struct trace){ .zero = zero };
	t->f = open_memstream(&t->text, &t->bytes);
	return (struct sink){ &trace_ops, t };
}

/* The same lines, by span_begin and span_end too. */
static inline struct sink trace__start_whole(struct trace *t, u64 zero)
{
	static struct sink_ops ops;
	struct sink sink = trace__start(t, zero);

	ops = trace_ops;
	ops.span_begin = trace__span_begin;
	ops.span_end = trace__span_end;
	sink.ops = &ops;
	return sink;
}

/* The text so far; valid until trace__done. */
static const char *trace__text(struct trace *t)
{
	fflush(t->f);
	return t->text;
}

static void trace__done(struct trace *t)
{
	fclose(t->f);
	free(t->text);
}

#endif
