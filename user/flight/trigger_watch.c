/* SPDX-License-Identifier: MIT */
/*
 * trigger_watch.c - triggers on the model's stream.
 *
 * All records of a busy program pass here, and nearly none concerns a trigger. What can be known from a callsite is found
 * out once: the bits of the triggers that its spans or events might fire. Where there are none, an event costs a look into
 * a small table, an opening the same, and an entry, exit or close a look for a span that is not there. Only spans that
 * might fire are watched: their opening time, the time with at least one entry, and a copy of their values.
 *
 * `open` is asked at ticks, of the spans that such a trigger may want; they are in a list until all of them have fired.
 */
#include "flight/trigger_priv.h"
#include "ingest/rec.h"

#include <errno.h>
#include <string.h>

void watch__init(struct trigger_set *s)
{
	s->open_end = &s->open_list;
	pool__init(&s->pool, sizeof(struct watch_span));
}

/* --- callsites --------------------------------------------------------------------------------------------- */

static bool concerns(const struct trigger *t, const struct callsite *c)
{
	if (t->kind > TRIGGER_EVENT || (t->kind == TRIGGER_EVENT) == c->is_span)
		return false;
	if (t->name && strcmp(t->name, c->name))
		return false;
	return !t->cond || expr__callsite(t->cond, c) != EXPR_NEVER;
}

/* From which duration on could a span fire it; an event: 0 or ~0. */
static u64 least_ns(const struct trigger *t, const struct expr_subject *subject, u32 unknown)
{
	u64 bound = t->bounded ? t->bound_ns + !t->or_equal : 0;
	u64 cond = t->cond ? expr__least_ns(t->cond, subject, unknown) : 0;

	return MAX(bound, cond);
}

static void add_trigger(struct trigger_set *s, struct watch_site *site, u32 i)
{
	const struct expr_subject subject = {.callsite = site->callsite};
	const struct trigger *t = &s->trigger[i];
	bool decided = !t->cond || expr__callsite(t->cond, site->callsite) == EXPR_ALWAYS;
	bool by_fields = !decided && expr__asks_fields(t->cond), by_thread = !decided && expr__asks_thread(t->cond);
	u64 least = least_ns(t, &subject, EXPR_FIELDS | EXPR_THREAD | EXPR_TIMES);

	if (t->kind == TRIGGER_EVENT)
		site->events |= 1ULL << i;
	else if (t->kind == TRIGGER_OPEN)
		site->opens |= 1ULL << i;
	else
		site->spans |= 1ULL << i;
	if (!by_fields && !by_thread) {
		site->least_ns = MIN(site->least_ns, least);
		return;
	}
	site->looks |= 1ULL << i;
	site->by_fields |= by_fields;
	site->by_thread |= by_thread;
	site->look_ns = MIN(site->look_ns, least);
}

static struct watch_site *new_site(struct trigger_set *s, const struct callsite *c)
{
	struct watch_site *site = calloc(1, sizeof(*site));

	if (!site || idmap__put(&s->sites, c->id, site)) {
		free(site);
		return NULL;
	}
	site->set = s;
	site->callsite = site->looked_at.callsite = c;
	site->least_ns = site->look_ns = ~0ULL;
	for (u32 i = 0; i < s->cnt; i++) {
		bool possible = concerns(&s->trigger[i], c);

		hint__callsite(s, i, c, possible);
		if (possible)
			add_trigger(s, site, i);
	}
	if (site->least_ns == ~0ULL && site->looks && !(site->looks & (site->looks - 1)))
		site->only = &s->trigger[__builtin_ctzll(site->looks)];
	return site;
}

static struct watch_site *site_of(struct trigger_set *s, const struct callsite *c)
{
	struct watch_site **near = &s->near_site[c->id % WATCH_NEAR_SITES], *site = *near;

	if (__builtin_expect(site && site->callsite == c, 1))
		return site;
	site = idmap__find(&s->sites, c->id);
	if (!site)
		site = new_site(s, c);
	if (site)
		*near = site;
	return site;
}

/* --- watched spans ----------------------------------------------------------------------------------------- */

static bool copy_opening(struct watch_span *w, const struct span_open *o)
{
	for (u32 i = 0; i < o->value_cnt; i++)
		if (!value_set__put(&w->values, &o->value[i]))
			return false;
	return true;
}

static void unlist(struct trigger_set *s, struct watch_span *w)
{
	if (!w->pprev)
		return;
	*w->pprev = w->next;
	if (w->next)
		w->next->pprev = w->pprev;
	else
		s->open_end = w->pprev;
	w->pprev = NULL;
}

static void free_span(struct trigger_set *s, struct watch_span *w)
{
	unlist(s, w);
	thread__drop(w->thread);
	value_set__done(&w->values);
	pool__put(&s->pool, w);
}

void watch__done(struct trigger_set *s)
{
	struct watch_site *site;
	struct watch_span *w;
	u64 i;

	for (i = 0; (w = nearmap__next(&s->spans, &i));) {
		w->thread = NULL; /* the model may have gone before us */
		free_span(s, w);
	}
	for (i = 0; (site = idmap__next(&s->sites, &i));)
		free(site);
	nearmap__done(&s->spans);
	idmap__done(&s->sites);
	pool__done(&s->pool);
}

/* --- firing ------------------------------------------------------------------------------------------------ */

static struct trigger_fired fired_by(const struct expr_subject *subject, u64 ns)
{
	const struct thread *t = subject->thread;

	return (struct trigger_fired){
		.time_ns = ns, .tid = t ? t->tid : 0, .pid = t && t->process ? t->process->pid : 0};
}

static bool wants(const struct trigger *t, const struct expr_subject *subject)
{
	u64 ns = t->kind == TRIGGER_BUSY ? subject->busy_ns : subject->duration_ns;

	if (t->bounded && (t->or_equal ? ns < t->bound_ns : ns <= t->bound_ns))
		return false;
	return !t->cond || expr__match(t->cond, subject);
}

/* Each of the triggers of `bits` that wants it. Returns the bits of those that fired. */
static u64 fire(struct trigger_set *s, u64 bits, const struct expr_subject *subject, u64 ns)
{
	struct trigger_fired f = fired_by(subject, ns);
	u64 fired = 0;

	for (; bits; bits &= bits - 1) {
		u32 i = (u32)__builtin_ctzll(bits);

		if (!wants(&s->trigger[i], subject))
			continue;
		if (!fired)
			show__subject(s, subject);
		fired |= 1ULL << i;
		trigger__fire(s, i, &f);
	}
	return fired;
}

static struct expr_subject subject_of(const struct watch_span *w, u64 ns)
{
	return (struct expr_subject){
		.callsite = w->site->callsite,
		.thread = w->thread,
		.value = w->values.value,
		.value_cnt = w->values.cnt,
		.timed = true,
		.duration_ns = ns > w->open_ns ? ns - w->open_ns : 0,
		.busy_ns = w->busy_ns + (w->entries && ns > w->busy_since_ns ? ns - w->busy_since_ns : 0),
	};
}

/* --- the sink ---------------------------------------------------------------------------------------------- */

static void watch(struct trigger_set *s, const struct watch_site *site, const struct span_open *o)
{
	struct watch_span *w = pool__get(&s->pool);

	if (!w) {
		s->st.unwatched++;
		return;
	}
	/* member by member: the rest is not worth clearing */
	w->next = NULL;
	w->pprev = NULL;
	w->site = site;
	w->thread = o->thread;
	thread__hold(w->thread);
	w->open_ns = o->time_ns;
	w->busy_ns = w->busy_since_ns = 0;
	w->entries = 0;
	value_set__init(&w->values);
	w->opens = site->opens;
	if (!copy_opening(w, o) || nearmap__add(&s->spans, o->span, w)) {
		free_span(s, w);
		s->st.unwatched++;
		return;
	}
	if (!w->opens)
		return;
	w->pprev = s->open_end;
	*s->open_end = w;
	s->open_end = &w->next;
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct trigger_set *s = ctx;
	const struct watch_site *site = site_of(s, o->callsite);

	if (!site)
		s->st.unwatched++;
	else if (site->spans | site->opens)
		watch(s, site, o);
	return 0;
}

static struct watch_span *find(const struct trigger_set *s, u64 span)
{
	return nearmap__cnt(&s->spans) ? nearmap__find(&s->spans, span) : NULL;
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 ns)
{
	struct watch_span *w = find(ctx, span);

	if (w && !w->entries++)
		w->busy_since_ns = ns;
	return 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 ns, enum sink_why why)
{
	struct watch_span *w = find(ctx, span);

	if (w && w->entries && !--w->entries && ns > w->busy_since_ns)
		w->busy_ns += ns - w->busy_since_ns;
	return 0;
}

static int on_close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct trigger_set *s = ctx;
	struct watch_span *w = find(s, span);
	struct expr_subject subject;

	if (!w)
		return 0;
	nearmap__remove(&s->spans, span);
	subject = subject_of(w, ns);
	/* cut: the stream ends, not the span */
	if (why != SINK_CUT)
		fire(s, w->site->spans, &subject, ns);
	free_span(s, w);
	return 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 ns)
{
	struct trigger_set *s = ctx;
	struct watch_span *w = find(s, span);

	if (w && v->field < c->field_cnt)
		value_set__put(&w->values, v); /* without memory the value before it stays */
	return 0;
}

static int on_event(void *ctx, const struct event *e)
{
	struct trigger_set *s = ctx;
	const struct watch_site *site = site_of(s, e->callsite);
	struct expr_subject subject;

	if (!site || !site->events)
		return 0;
	subject = (struct expr_subject){
		.callsite = e->callsite, .thread = e->thread, .value = e->value, .value_cnt = e->value_cnt};
	fire(s, site->events, &subject, e->time_ns);
	return 0;
}

/* Of one on this thread, with these fields. What they say nothing later changes. */
static u64 on_look(void *ctx, const struct thread *t, const struct rec_payload *fields)
{
	struct watch_site *site = ctx;
	u32 unknown = fields ? EXPR_TIMES : EXPR_TIMES | EXPR_FIELDS;
	u64 least = site->least_ns, bits;

	site->looked_at.thread = t;
	site->looked_at.fields = fields;
	if (__builtin_expect(site->only != NULL, 1))
		return least_ns(site->only, &site->looked_at, unknown);
	for (bits = site->looks; bits && least; bits &= bits - 1) {
		u64 own = least_ns(&site->set->trigger[__builtin_ctzll(bits)], &site->looked_at, unknown);

		least = MIN(least, own);
	}
	return least;
}

/*
 * A span that is over before any of its triggers could have fired is of no interest. `open` fires at ticks, at stream times: so none lies
 * in it at which it has been open for longer.
 */
static u64 on_wanted_ns(void *ctx, const struct callsite *c, struct rec_look *look)
{
	struct watch_site *site = site_of(ctx, c);

	if (!site)
		return 0;
	if (site->looks && site->least_ns)
		*look = (struct rec_look){on_look, site, site->by_thread, site->by_fields};
	return MIN(site->least_ns, site->look_ns);
}

static int on_begin(void *ctx, const struct span_open *o)
{
	on_open(ctx, o);
	return on_enter(ctx, o->span, o->thread, o->time_ns);
}

static int on_end(void *ctx, u64 span, struct thread *t, u64 ns)
{
	if (!find(ctx, span))
		return 0;
	on_exit_span(ctx, span, t, ns, SINK_OWN);
	return on_close(ctx, span, ns, ns, SINK_OWN);
}

struct sink trigger_set__sink(struct trigger_set *s)
{
	static const struct sink_ops ops = {
		.span_open = on_open,
		.span_enter = on_enter,
		.span_exit = on_exit_span,
		.span_close = on_close,
		.span_value = on_value,
		.event = on_event,
		.span_begin = on_begin,
		.span_end = on_end,
		.wanted_ns = on_wanted_ns,
	};

	return (struct sink){.ops = &ops, .ctx = s};
}

void trigger_set__tick(struct trigger_set *s, u64 stream_ns)
{
	struct watch_span *w, *next;

	for (w = s->open_list; w; w = next) {
		struct expr_subject subject = subject_of(w, stream_ns);

		next = w->next;
		if (subject.duration_ns < s->open_least_ns)
			continue;
		w->opens &= ~fire(s, w->opens, &subject, stream_ns);
		if (!w->opens)
			unlist(s, w);
	}
}
