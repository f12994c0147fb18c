/* SPDX-License-Identifier: MIT */
/*
 * recording_sink.h - a sink that writes down each call as a line of text, for tests.
 *
 *	struct recording rec = { 0 };
 *	struct sink sink = recording__sink(&rec);
 *	... rec.text is now e.g. "open 1 work parent 0 at 10 by T1\nenter 1 T1 at 10\n"
 *	recording__done(&rec);
 *
 * Lines (span numbers and thread uids as the model gives them; what is in brackets only where
 * there is any):
 *
 *	callsite ID span|event LEVEL TARGET NAME (FIELD:TYPE ...)
 *	process UID pid PID
 *	process_end UID at NS [status N]
 *	thread UID NAME
 *	thread_end UID at NS
 *	open SPAN NAME parent SPAN [root|explicit] [lost ID] at NS by Tn|? [flags N] [{F=V ...}]
 *	enter SPAN Tn at NS
 *	exit SPAN Tn at NS [WHY]
 *	close SPAN at NS [dropped NS] [WHY]
 *	value SPAN FIELD=VALUE Tn at NS
 *	follows SPAN SPAN Tn at NS
 *	event NAME parent SPAN at NS by Tn [{FIELD=VALUE ...}]
 *	loss CAUSE COUNT
 *	trigger TEXT
 *
 * With `quiet`, callsites, processes and threads are left out. fail: what the next calls return.
 */
#ifndef TAPEBPF_RECORDING_SINK_H
#define TAPEBPF_RECORDING_SINK_H

#include "base/codes.h"
#include "model/sink.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct recording {
	char *text; /* NUL-terminated; NULL until the first call */
	size_t bytes, room;
	bool quiet;
	bool whole; /* offer span_begin, span_end and span_leaf as well: the lines are the same */
	int fail;
};

__attribute__((format(printf, 2, 3))) static inline void recording__put(struct recording *r,
									const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	n = strlen(line);
	if (r->bytes + n + 1 > r->room) {
		r->room = (r->bytes + n + 1) * 2;
		r->text = realloc(r->text, r->room);
		if (!r->text)
			abort();
	}
	memcpy(r->text + r->bytes, line, n + 1);
	r->bytes += n;
}

static inline const char *recording__why(enum sink_why why)
{
	static const char *const names[] = {
		"",	 " abandoned", " cut",	    " thread_end", " process_end",
		" lost", " reopened",  " elsewhere"};

	return (unsigned)why < ARRAY_SIZE(names) ? names[why] : " ?";
}

static inline void recording__value(struct recording *r, const struct callsite *c,
				    const struct value *v)
{
	recording__put(r, "%s=", v->field < c->field_cnt ? c->field[v->field].name : "?");
	if (v->flags & VALUE_UNREADABLE) {
		recording__put(r, "unreadable");
		return;
	}
	switch (v->type) {
	case WIRE_T_BOOL:
		recording__put(r, v->u ? "true" : "false");
		break;
	case WIRE_T_I64:
		recording__put(r, "%" PRId64, v->i);
		break;
	case WIRE_T_U64:
		recording__put(r, "%" PRIu64, v->u);
		break;
	case WIRE_T_PTR:
		recording__put(r, "0x%" PRIx64, v->u);
		break;
	case WIRE_T_F64:
		recording__put(r, "%g", v->f);
		break;
	case WIRE_T_I128:
	case WIRE_T_U128:
		recording__put(r, "0x%016" PRIx64 "%016" PRIx64, v->wide[1], v->wide[0]);
		break;
	case WIRE_T_STR:
	case WIRE_T_BYTES:
	case WIRE_T_ERROR:
		recording__put(r, "'%.*s'", (int)v->text_bytes, v->text);
		break;
	default:
		recording__put(r, "type %u", v->type);
	}
	if (v->flags & VALUE_TRUNCATED)
		recording__put(r, "...%" PRIu64, v->orig_bytes);
}

static inline void recording__values(struct recording *r, const struct callsite *c, u32 cnt,
				     const struct value *v)
{
	u32 i;

	if (cnt)
		recording__put(r, " {");
	for (i = 0; i < cnt; i++) {
		recording__put(r, i ? " " : "");
		recording__value(r, c, &v[i]);
	}
	recording__put(r, cnt ? "}\n" : "\n");
}

static inline int recording__callsite(void *ctx, struct callsite *c)
{
	struct recording *r = ctx;
	u32 i;

	if (r->quiet)
		return r->fail;
	recording__put(r, "callsite %" PRIu64 " %s %u %s %s (", c->id,
		       c->is_span ? "span" : "event", c->level, c->target, c->name);
	for (i = 0; i < c->field_cnt; i++)
		recording__put(r, "%s%s:%u", i ? " " : "", c->field[i].name, c->field[i].type);
	recording__put(r, ")\n");
	return r->fail;
}

static inline int recording__process(void *ctx, struct process *p)
{
	struct recording *r = ctx;

	if (!r->quiet)
		recording__put(r, "process %" PRIu64 " pid %u\n", p->uid, p->pid);
	return r->fail;
}

static inline int recording__process_end(void *ctx, struct process *p, u64 ns, u32 status,
					 bool known)
{
	struct recording *r = ctx;

	if (r->quiet)
		return r->fail;
	recording__put(r, "process_end %" PRIu64 " at %" PRIu64, p->uid, ns);
	if (known)
		recording__put(r, " status %u", status);
	recording__put(r, "\n");
	return r->fail;
}

static inline int recording__thread(void *ctx, struct thread *t)
{
	struct recording *r = ctx;

	if (!r->quiet)
		recording__put(r, "thread %" PRIu64 " %s\n", t->uid, t->name);
	return r->fail;
}

static inline int recording__thread_end(void *ctx, struct thread *t, u64 ns)
{
	struct recording *r = ctx;

	if (!r->quiet)
		recording__put(r, "thread_end %" PRIu64 " at %" PRIu64 "\n", t->uid, ns);
	return r->fail;
}

static inline int recording__open(void *ctx, const struct span_open *o)
{
	static const char *const kinds[] = {"", " root", " explicit", " ?"};
	struct recording *r = ctx;

	recording__put(r, "open %" PRIu64 " %s parent %" PRIu64 "%s", o->span, o->callsite->name,
		       o->parent, kinds[o->parent_kind & 3]);
	if (o->lost_parent)
		recording__put(r, " lost %" PRIu64, o->lost_parent);
	recording__put(r, " at %" PRIu64, o->time_ns);
	if (o->thread)
		recording__put(r, " by T%" PRIu64, o->thread->uid);
	else
		recording__put(r, " by ?");
	if (o->flags)
		recording__put(r, " flags %u", o->flags);
	recording__values(r, o->callsite, o->value_cnt, o->value);
	return r->fail;
}

static inline int recording__enter(void *ctx, u64 span, struct thread *t, u64 ns)
{
	struct recording *r = ctx;

	recording__put(r, "enter %" PRIu64 " T%" PRIu64 " at %" PRIu64 "\n", span, t->uid, ns);
	return r->fail;
}

static inline int recording__exit(void *ctx, u64 span, struct thread *t, u64 ns, enum sink_why why)
{
	struct recording *r = ctx;

	recording__put(r, "exit %" PRIu64 " T%" PRIu64 " at %" PRIu64 "%s\n", span, t->uid, ns,
		       recording__why(why));
	return r->fail;
}

static inline int recording__close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct recording *r = ctx;

	recording__put(r, "close %" PRIu64 " at %" PRIu64, span, ns);
	if (dropped_ns != ns)
		recording__put(r, " dropped %" PRIu64, dropped_ns);
	recording__put(r, "%s\n", recording__why(why));
	return r->fail;
}

static inline int recording__late(void *ctx, u64 span, const struct callsite *c,
				  const struct value *v, struct thread *t, u64 ns)
{
	struct recording *r = ctx;

	recording__put(r, "value %" PRIu64 " ", span);
	recording__value(r, c, v);
	recording__put(r, " T%" PRIu64 " at %" PRIu64 "\n", t ? t->uid : 0, ns);
	return r->fail;
}

static inline int recording__follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 ns)
{
	struct recording *r = ctx;

	recording__put(r, "follows %" PRIu64 " %" PRIu64 " T%" PRIu64 " at %" PRIu64 "\n", span,
		       follows, t ? t->uid : 0, ns);
	return r->fail;
}

static inline int recording__event(void *ctx, const struct event *e)
{
	struct recording *r = ctx;

	recording__put(r, "event %s parent %" PRIu64 " at %" PRIu64 " by T%" PRIu64,
		       e->callsite->name, e->parent, e->time_ns, e->thread ? e->thread->uid : 0);
	recording__values(r, e->callsite, e->value_cnt, e->value);
	return r->fail;
}

static inline int recording__loss(void *ctx, const struct loss *l)
{
	struct recording *r = ctx;

	recording__put(r, "loss %s %" PRIu64 "\n", loss_cause__label(l->cause), l->count);
	return r->fail;
}

static inline int recording__trigger(void *ctx, const struct sink_trigger *t)
{
	struct recording *r = ctx;

	recording__put(r, "trigger %s\n", t->trigger);
	return r->fail;
}

static inline int recording__begin(void *ctx, const struct span_open *o)
{
	recording__open(ctx, o);
	return recording__enter(ctx, o->span, o->thread, o->time_ns);
}

static inline int recording__end(void *ctx, u64 span, struct thread *t, u64 ns)
{
	recording__exit(ctx, span, t, ns, SINK_OWN);
	return recording__close(ctx, span, ns, ns, SINK_OWN);
}

static inline bool recording__leaf(void *ctx, const struct span_open *o, u64 end_ns)
{
	const struct recording *r = ctx;

	if (r->fail)
		return false;
	recording__begin(ctx, o);
	recording__end(ctx, o->span, o->thread, end_ns);
	return true;
}

static inline struct sink recording__sink(struct recording *r)
{
	static struct sink_ops whole;
	static const struct sink_ops ops = {
		.callsite = recording__callsite,
		.process = recording__process,
		.process_end = recording__process_end,
		.thread = recording__thread,
		.thread_end = recording__thread_end,
		.span_open = recording__open,
		.span_enter = recording__enter,
		.span_exit = recording__exit,
		.span_close = recording__close,
		.span_value = recording__late,
		.span_follows = recording__follows,
		.event = recording__event,
		.loss = recording__loss,
		.trigger = recording__trigger,
	};

	whole = ops;
	whole.span_begin = recording__begin;
	whole.span_end = recording__end;
	whole.span_leaf = recording__leaf;
	return (struct sink){.ops = r->whole ? &whole : &ops, .ctx = r};
}

static inline void recording__clear(struct recording *r)
{
	r->bytes = 0;
	if (r->text)
		r->text[0] = 0;
}

static inline void recording__done(struct recording *r)
{
	free(r->text);
	*r = (struct recording){0};
}

#endif
