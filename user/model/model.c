/* SPDX-License-Identifier: MIT */
/*
 * model.c - one record in, dispatched, and accounted for: stored, or lost for one cause.
 *
 * What is counted is the program's records: those of tape.h (kinds 1 to 13; a PAUSE is one too) and
 * foreign hits. A record is stored if it had its effect and every sink took the calls that it stood
 * for. Losses that others found (REC_LOSS, model__loss) are added, so stored + the sum of lost is
 * what the program emitted.
 */
#include "model/model_priv.h"
#include <errno.h>
#include <string.h>

#define DEFAULT_MAX_SPANS 1000000

struct model *model__new(const struct sink *sinks, u32 sink_cnt, const struct model_opts *opts)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (opts)
		memcpy(&m->opts, opts, MIN(opts->sz ?: sizeof(*opts), sizeof(*opts)));
	if (!m->opts.max_spans)
		m->opts.max_spans = DEFAULT_MAX_SPANS;
	m->grave_end = &m->grave;
	m->proc_grave_end = &m->proc_grave;
	pool__init(&m->spans, sizeof(struct span));
	pool__init(&m->entries, sizeof(struct entry));
	if (fanout__init(m, sinks, sink_cnt)) {
		model__free(m);
		errno = ENOMEM;
		return NULL;
	}
	return m;
}

void model__free(struct model *m)
{
	if (!m)
		return;
	retire__all(m);
	callsites__done(m);
	fanout__done(m);
	pool__done(&m->spans);
	pool__done(&m->entries);
	free(m);
}

static struct task *task_of(const struct rec *r)
{
	const struct lane *lane = r->page ? r->page->user : NULL;

	return lane ? lane->task : NULL;
}

static void account(struct model *m, const struct rec *r, int out)
{
	if (out == STORED && m->err)
		out = LOSS_WRITE;
	if (__builtin_expect(out == STORED, 1))
		m->st.stored++;
	else
		fanout__lost(m, out, r->time_ns, task_of(r) ?: m->last_task);
}

static void lost_elsewhere(struct model *m, const struct rec *r)
{
	struct task *t = task_of(r);
	struct loss l = {
		.from_ns = r->from_ns && r->from_ns < r->time_ns ? r->from_ns : r->time_ns,
		.to_ns = r->time_ns,
		.cpu = ~0u,
		.thread = t ? &t->pub : NULL,
		.cause = r->why < LOSS_MAX ? (u8)r->why : LOSS_UNKNOWN,
		.count = r->count,
	};

	fanout__loss(m, &l);
}

/* Records that are not the program's own. */
static void other(struct model *m, const struct rec *r)
{
	switch (r->kind) {
	case REC_PRE:
		resync__pre(m, r);
		break;
	case REC_RESYNC:
		resync__start(m, r);
		break;
	case REC_RESYNC_END:
		resync__end(m, r);
		break;
	case REC_FORK:
		tasks__fork(m, r);
		break;
	case REC_EXEC:
		tasks__exec(m, r);
		break;
	case REC_RENAME:
		tasks__rename(m, r);
		break;
	case REC_EXIT:
		tasks__exit(m, r);
		break;
	case REC_PAGE:
		tasks__page(m, r);
		break;
	case REC_PAGE_GONE:
		retire__page(m, r);
		break;
	case REC_LOSS:
		lost_elsewhere(m, r);
		break;
	}
	retire__some(m);
}

int model__process(struct model *m, u32 pid, u64 time_ns)
{
	return tasks__process(m, pid, time_ns);
}

int model__rec(struct model *m, const struct rec *r)
{
	if (__builtin_expect(!m->begin_ns, 0))
		m->begin_ns = r->time_ns;
	if (r->time_ns > m->last_ns)
		m->last_ns = r->time_ns;
	m->err = 0;
	m->about = NULL;
	if (whole__rec(m, r))
		account(m, r, STORED);
	else if (r->kind >= WIRE_R_BEGIN && r->kind <= WIRE_R_PAUSE)
		account(m, r, ops__rec(m, r));
	else if (r->kind == REC_HIT)
		account(m, r, pairs__hit(m, r));
	else
		other(m, r);
	return 0;
}

int model__cut(struct model *m, u64 time_ns)
{
	struct proc *p;

	m->err = 0;
	for (p = m->procs; p; p = p->next)
		span__end_proc(m, p, time_ns, SINK_CUT);
	fanout__flush_loss(m);
	return m->err;
}

int model__loss(struct model *m, const struct loss *l)
{
	fanout__loss(m, l);
	return 0;
}

void model__tell_losses(struct model *m)
{
	fanout__flush_loss(m);
}

void model__stats(const struct model *m, struct model_stats *st)
{
	*st = m->st;
}
