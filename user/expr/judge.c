/* SPDX-License-Identifier: MIT */
#include "expr/judge.h"

#include "base/nearmap.h"
#include "model/pool.h"
#include "model/value_set.h"

#include <errno.h>

/* A span that its callsite has not decided. */
struct judged {
	const struct callsite *callsite;
	struct thread *thread; /* held */
	u64 open_ns, busy_ns, busy_since_ns;
	u32 entries;
	struct value_set values;
};

struct judge {
	struct expr *expr;
	struct nearmap open;
	struct pool pool;   /* of struct judged */
	struct idmap wanted; /* number / 64 -> a bit each, as the pointer itself */
};

struct judge *judge__new(struct expr *e)
{
	struct judge *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->expr = e;
	pool__init(&j->pool, sizeof(struct judged));
	return j;
}

void judge__free(struct judge *j)
{
	struct judged *s;
	u64 i;

	if (!j)
		return;
	for (i = 0; (s = nearmap__next(&j->open, &i));)
		value_set__done(&s->values);
	nearmap__done(&j->open);
	idmap__done(&j->wanted);
	pool__done(&j->pool);
	free(j);
}

bool judge__wants(const struct judge *j, u64 span)
{
	return (uintptr_t)idmap__find(&j->wanted, span / 64) >> (span % 64) & 1;
}

static int want(struct judge *j, u64 span)
{
	uintptr_t bits = (uintptr_t)idmap__find(&j->wanted, span / 64);

	return idmap__put(&j->wanted, span / 64, (void *)(bits | (uintptr_t)1 << span % 64));
}

/* --- the sink ---------------------------------------------------------------------------------------------- */

static int watch(struct judge *j, const struct span_open *o)
{
	struct judged *s = pool__get(&j->pool);
	bool whole = s;

	if (!s)
		return -ENOMEM;
	s->callsite = o->callsite;
	s->thread = o->thread;
	thread__hold(s->thread);
	s->open_ns = o->time_ns;
	s->busy_ns = s->busy_since_ns = 0;
	s->entries = 0;
	value_set__init(&s->values);
	for (u32 i = 0; i < o->value_cnt && whole; i++)
		whole = value_set__put(&s->values, &o->value[i]);
	if (whole && !nearmap__add(&j->open, o->span, s))
		return 0;
	thread__drop(s->thread);
	value_set__done(&s->values);
	pool__put(&j->pool, s);
	return -ENOMEM;
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct judge *j = ctx;

	switch (expr__callsite(j->expr, o->callsite)) {
	case EXPR_NEVER:
		return 0;
	case EXPR_ALWAYS:
		return want(j, o->span);
	default:
		/* a number that is in use would be a tape's lie */
		return nearmap__find(&j->open, o->span) ? 0 : watch(j, o);
	}
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 ns)
{
	struct judged *s = nearmap__find(&((struct judge *)ctx)->open, span);

	if (s && !s->entries++)
		s->busy_since_ns = ns;
	return 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 ns, enum sink_why why)
{
	struct judged *s = nearmap__find(&((struct judge *)ctx)->open, span);

	if (s && s->entries && !--s->entries && ns > s->busy_since_ns)
		s->busy_ns += ns - s->busy_since_ns;
	return 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 ns)
{
	struct judged *s = nearmap__find(&((struct judge *)ctx)->open, span);

	return s && v->field < c->field_cnt && !value_set__put(&s->values, v) ? -ENOMEM : 0;
}

static int on_close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct judge *j = ctx;
	struct judged *s = nearmap__find(&j->open, span);
	struct expr_subject subject;
	int err = 0;

	if (!s)
		return 0;
	nearmap__remove(&j->open, span);
	subject = (struct expr_subject){
		.callsite = s->callsite, .thread = s->thread, .value = s->values.value, .value_cnt = s->values.cnt,
		.timed = true, .duration_ns = ns > s->open_ns ? ns - s->open_ns : 0,
		.busy_ns = s->busy_ns + (s->entries && ns > s->busy_since_ns ? ns - s->busy_since_ns : 0),
	};
	if (expr__match(j->expr, &subject))
		err = want(j, span);
	thread__drop(s->thread);
	value_set__done(&s->values);
	pool__put(&j->pool, s);
	return err;
}

struct sink judge__sink(struct judge *j)
{
	static const struct sink_ops ops = {
		.span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span, .span_close = on_close,
		.span_value = on_value,
	};

	return (struct sink){ &ops, j };
}
