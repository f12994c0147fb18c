/* SPDX-License-Identifier: MIT */
/*
 * fanout.c - calls to every sink, and the loss records.
 *
 * A sink's error is remembered in m->err: the record under way then counts as LOSS_WRITE, once,
 * however many calls it stood for and however many sinks refused it. Losses that the model itself
 * declares come one record at a time, up to millions a second when --max-spans is reached, so they
 * are told in sums: per cause, over at most LOSS_SUM_NS.
 */
#include "model/model_priv.h"
#include <errno.h>
#include <string.h>

#define LOSS_SUM_NS (100 * NSEC_PER_MSEC)

int fanout__init(struct model *m, const struct sink *sinks, u32 cnt)
{
	u32 i;

	m->sink = calloc(MAX(cnt, 1u), sizeof(*m->sink));
	m->ops = calloc(MAX(cnt, 1u), sizeof(*m->ops));
	if (!m->sink || !m->ops)
		return -ENOMEM;
	for (i = 0; i < cnt; i++) {
		m->ops[i] = sink__complete(sinks[i].ops);
		m->sink[i] = (struct sink){.ops = &m->ops[i], .ctx = sinks[i].ctx};
	}
	m->sink_cnt = cnt;
	if (cnt == 1) {
		m->whole_begin = m->ops->span_begin;
		m->whole_end = m->ops->span_end;
		m->whole_leaf = m->ops->span_leaf;
	}
	return 0;
}

void fanout__done(struct model *m)
{
	free(m->sink);
	free(m->ops);
}

#define FANOUT(m, call, ...)                                                                       \
	do {                                                                                       \
		for (u32 fan_ = 0; fan_ < (m)->sink_cnt; fan_++)                                   \
			fanout__took(m, (m)->ops[fan_].call((m)->sink[fan_].ctx, ##__VA_ARGS__));          \
	} while (0)

void fanout__callsite(struct model *m, struct callsite *c)
{
	FANOUT(m, callsite, c);
}

void fanout__process(struct model *m, struct proc *p)
{
	FANOUT(m, process, &p->pub);
}

void fanout__process_end(struct model *m, struct proc *p, u64 ns, u32 status, bool known)
{
	FANOUT(m, process_end, &p->pub, ns, status, known);
}

void fanout__thread(struct model *m, struct task *t)
{
	FANOUT(m, thread, &t->pub);
}

void fanout__thread_end(struct model *m, struct task *t, u64 ns)
{
	FANOUT(m, thread_end, &t->pub, ns);
}

void fanout__open(struct model *m, const struct span_open *o)
{
	FANOUT(m, span_open, o);
}

static int begin(const struct sink *k, const struct span_open *o)
{
	int err, and;

	if (k->ops->span_begin)
		return k->ops->span_begin(k->ctx, o);
	err = k->ops->span_open(k->ctx, o);
	and = k->ops->span_enter(k->ctx, o->span, o->thread, o->time_ns);
	return err < 0 ? err : and;
}

static int end(const struct sink *k, u64 span, struct thread *t, u64 ns)
{
	int err, and;

	if (k->ops->span_end)
		return k->ops->span_end(k->ctx, span, t, ns);
	err = k->ops->span_exit(k->ctx, span, t, ns, SINK_OWN);
	and = k->ops->span_close(k->ctx, span, ns, ns, SINK_OWN);
	return err < 0 ? err : and;
}

void fanout__begin_all(struct model *m, const struct span_open *o)
{
	for (u32 i = 0; i < m->sink_cnt; i++)
		fanout__took(m, begin(&m->sink[i], o));
}

void fanout__end_all(struct model *m, u64 span, struct task *t, u64 ns)
{
	for (u32 i = 0; i < m->sink_cnt; i++)
		fanout__took(m, end(&m->sink[i], span, &t->pub, ns));
}

void fanout__enter(struct model *m, u64 span, struct task *t, u64 ns)
{
	FANOUT(m, span_enter, span, &t->pub, ns);
}

void fanout__exit(struct model *m, u64 span, struct task *t, u64 ns, enum sink_why why)
{
	FANOUT(m, span_exit, span, &t->pub, ns, why);
}

void fanout__close(struct model *m, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	FANOUT(m, span_close, span, ns, dropped_ns, why);
}

void fanout__value(struct model *m, const struct span *s, const struct value *v, struct task *t,
		   u64 ns)
{
	FANOUT(m, span_value, s->uid, s->callsite, v, t ? &t->pub : NULL, ns);
}

void fanout__follows(struct model *m, u64 span, u64 follows, struct task *t, u64 ns)
{
	FANOUT(m, span_follows, span, follows, t ? &t->pub : NULL, ns);
}

void fanout__event(struct model *m, const struct event *e)
{
	FANOUT(m, event, e);
}

/* Loss records have no further place to be counted in if a sink refuses them: its error is dropped.
 */
static void tell_loss(struct model *m, const struct loss *l)
{
	int err = m->err;

	FANOUT(m, loss, l);
	m->err = err;
}

static void flush_sum(struct model *m, struct loss *l)
{
	if (!l->count)
		return;
	tell_loss(m, l);
	l->count = 0;
}

void fanout__lost(struct model *m, int cause, u64 ns, const struct task *t)
{
	struct loss *l = &m->loss[cause];

	m->st.lost[cause]++;
	if (l->count && (ns > l->from_ns + LOSS_SUM_NS || ns < l->from_ns))
		flush_sum(m, l);
	if (!l->count) {
		*l = (struct loss){.from_ns = ns,
				   .to_ns = ns,
				   .cpu = ~0u,
				   .cause = cause,
				   .callsite = m->about,
				   .thread = t ? &t->pub : NULL};
	} else {
		if (l->callsite != m->about)
			l->callsite = NULL;
		if (!t || l->thread != &t->pub)
			l->thread = NULL;
		l->to_ns = MAX(l->to_ns, ns);
	}
	l->count++;
}

void fanout__flush_loss(struct model *m)
{
	int i;

	for (i = 0; i < LOSS_MAX; i++)
		flush_sum(m, &m->loss[i]);
}

void fanout__loss(struct model *m, const struct loss *l)
{
	struct loss known = *l;

	if (known.cause >= LOSS_MAX)
		known.cause = LOSS_UNKNOWN;
	m->st.lost[known.cause] += known.count;
	if (known.count)
		tell_loss(m, &known);
}
