/* SPDX-License-Identifier: MIT */
/* skip_room.c - what ingest may leave out because no sink would miss it. Why these conditions: ingest/skip.c. */
#include "model/model_priv.h"

bool model__may_skip(const struct model *m)
{
	u32 i;

	for (i = 0; i < m->sink_cnt; i++)
		if (!m->sink[i].ops->wanted_ns)
			return false;
	return m->sink_cnt > 0;
}

u64 wanted__ns(const struct model *m, const struct callsite *c, struct rec_look *look)
{
	u32 i, want_cnt = 0;
	u64 least = ~0ULL;

	*look = (struct rec_look){0};
	for (i = 0; i < m->sink_cnt; i++) {
		u64 own = m->ops[i].wanted_ns ? m->ops[i].wanted_ns(m->sink[i].ctx, c, look) : 0;

		least = MIN(least, own);
		want_cnt += own != ~0ULL;
	}
	if (want_cnt > 1) /* there is no asking them all */
		*look = (struct rec_look){0};
	return least;
}

u64 model__wanted_ns(struct model *m, u32 module, u64 site_addr, u8 kind, struct rec_look *look)
{
	const struct callsite *c = callsites__find(m, module, site_addr);

	*look = (struct rec_look){0};
	return c && c->is_span == (kind == WIRE_R_BEGIN) ? wanted__ns(m, c, look) : 0;
}

/* Begun by another thread, entered by this one: with its END it has been let go of before its children, which is counted. */
static bool is_scoped_elsewhere(const struct span *s, const struct task *t)
{
	const struct entry *e = s ? s->entries : NULL;

	while (e && (e->task == t || e->kind == ENTRY_MANUAL))
		e = e->next;
	return e;
}

/* Who can end the span that would be the parent, or begin another one? What has a number (was opened by hand, too) anybody can name. */
static u8 may_come_between(const struct model *m, const struct task *t)
{
	const struct entry *e = t->top;
	bool named = e && (e->dup || !e->span || e->span->cause != STORED || e->span->raw || e->lane == &t->stray);

	if (named && is_scoped_elsewhere(stack__current(t, ~0ULL), t))
		return SKIP_ALL;
	return (named ? SKIP_WORDS : 0) | (m->cs.paired ? SKIP_HITS : 0);
}

/* What ops__abandon would find on this page. */
static u32 free_depth(const struct task *t, const struct lane *lane)
{
	const struct entry *e;

	if (!lane->entry_cnt)
		return 0;
	for (e = t->top; e; e = e->down)
		if (e->lane == lane)
			return e->depth + 1u;
	return 0;
}

bool model__skip_room(const struct model *m, const struct rec_page *p, struct skip_room *room)
{
	const struct lane *lane = p->user;
	const struct task *t = lane ? lane->task : NULL;

	if (!t || !lane->seen || lane->resyncing || t->dead)
		return false;
	/* where spans are refused for want of room, each one counts; half of it is far from that */
	room->spans = m->st.spans_open <= m->opts.max_spans / 2;
	room->between = may_come_between(m, t);
	room->thread = &t->pub;
	room->depth = free_depth(t, lane);
	return true;
}

void model__skipped(struct model *m, const struct ingest_skipped *s)
{
	struct lane *lane = s->page->user;
	struct task *t = lane->task;
	struct span *parent = s->spans ? span__shown(stack__current(t, ~0ULL)) : NULL;

	m->st.stored += 2 * s->spans + s->events;
	m->st.spans_opened += s->spans;
	m->st.spans_closed += s->spans;
	m->st.entries += s->spans;
	m->st.events += s->events;
	t->skipped_ns = MAX(t->skipped_ns, s->last_ns);
	if (parent)
		parent->floor_ns = MAX(parent->floor_ns, MAX(s->end_ns, t->last_ns));
}
