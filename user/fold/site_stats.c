/* SPDX-License-Identifier: MIT */
#include "fold/site_stats.h"

#include "base/text.h"
#include "fold/fold_priv.h"
#include "fold/label.h"

#include <errno.h>
#include <string.h>

struct stats_span {
	struct fold_span on_stack; /* first: what fold__push knows */
	struct stats_span *next_free;
	const struct callsite *callsite;
	u64 open_ns, busy_ns, busy_since_ns, self_ns;
	u32 busy;
	bool error;
	char *key; /* NULL: none yet */
};

/* What is the same for all spans of a callsite; fields beyond 64 do not exist. */
#define NEAR_SITES 64
struct site {
	const struct callsite *callsite; /* NULL: none */
	u64 errors, by; /* bit per field: named "error", or what was asked for */
	struct stats_group *group; /* if no field was asked for; NULL: not known yet */
};

struct stats {
	char *by;
	struct nearmap spans;
	struct fold_threads threads;
	struct site near_site[NEAR_SITES]; /* by id */
	struct idmap groups; /* callsite's address ^ hash of the key -> the first of a chain */
	struct idmap callsites;	 /* by address -> the one that stands for all that say the same */
	struct idmap same; /* hash of what they say -> one of them */
	struct stats_span *free_spans;
	struct stats_group *first, **last;
	u32 cnt;
	u64 first_ns, last_ns, cut_ns, loss, others;
};

/* A group and what finds it. */
struct slot {
	struct stats_group group;
	struct slot *same_hash;
};

struct stats *stats__new(const char *by)
{
	struct stats *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->last = &st->first;
	st->first_ns = UINT64_MAX;
	if (by && !(st->by = strdup(by))) {
		free(st);
		return NULL;
	}
	return st;
}

void stats__free(struct stats *st)
{
	struct stats_group *g;
	struct stats_span *s;
	u64 i;

	if (!st)
		return;
	for (i = 0; (s = nearmap__next(&st->spans, &i));) {
		free(s->key);
		free(s);
	}
	while ((s = st->free_spans)) {
		st->free_spans = s->next_free;
		free(s);
	}
	while ((g = st->first)) {
		st->first = g->next;
		sketch__done(&g->duration);
		free((char *)g->key);
		free(container_of(g, struct slot, group));
	}
	nearmap__done(&st->spans);
	fold_threads__done(&st->threads);
	idmap__done(&st->groups);
	idmap__done(&st->callsites);
	idmap__done(&st->same);
	free(st->by);
	free(st);
}

void stats__cut(struct stats *st, u64 cut_ns)
{
	st->cut_ns = cut_ns;
}

struct stats_group *stats__groups(struct stats *st)
{
	return st->first;
}

u32 stats__group_cnt(const struct stats *st)
{
	return st->cnt;
}

u64 stats__range_ns(const struct stats *st)
{
	return st->last_ns > st->first_ns ? st->last_ns - st->first_ns : 0;
}

u64 stats__loss(const struct stats *st)
{
	return st->loss;
}

u64 stats__others(const struct stats *st)
{
	return st->others;
}

static void see(struct stats *st, u64 time_ns)
{
	time_ns = MAX(time_ns, st->cut_ns);
	st->first_ns = MIN(st->first_ns, time_ns);
	st->last_ns = MAX(st->last_ns, time_ns);
}

/* --- groups ------------------------------------------------------------------------------------------------ */

static u64 hash_text(u64 h, const char *s)
{
	for (; s && *s; s++)
		h = (h ^ (u8)*s) * 0x100000001b3ULL;
	return (h ^ 0xff) * 0x100000001b3ULL;
}

static u64 hash_of(const struct callsite *c, const char *key)
{
	return hash_text((uintptr_t)c * 0x9e3779b97f4a7c15ULL, key);
}

static bool says_the_same(const struct callsite *a, const struct callsite *b)
{
	return a->is_span == b->is_span && a->level == b->level && a->line == b->line && !strcmp(a->name, b->name) &&
	       !strcmp(a->target, b->target) && !strcmp(a->file, b->file) && !strcmp(a->module, b->module);
}

/* Several tapes of one program have its callsites several times: they are one here. NULL: no memory. */
static const struct callsite *one_of(struct stats *st, const struct callsite *c)
{
	const struct callsite *known = idmap__find(&st->callsites, (uintptr_t)c);
	u64 hash;

	if (known)
		return known;
	hash = hash_text(hash_text(hash_text(c->line, c->file), c->target), c->name);
	known = idmap__find(&st->same, hash);
	if (!known && idmap__put(&st->same, hash, (void *)c))
		return NULL;
	if (!known || !says_the_same(known, c))
		known = c;
	return idmap__put(&st->callsites, (uintptr_t)c, (void *)known) ? NULL : known;
}

static struct stats_group *find_group(struct stats *st, const struct callsite *c, const char *key, u64 hash)
{
	struct slot *s = idmap__find(&st->groups, hash);

	for (; s; s = s->same_hash)
		if (s->group.callsite == c && (!key || !strcmp(s->group.key, key)))
			return &s->group;
	return NULL;
}

/* NULL: no memory. key: NULL if no field was asked for. */
static struct stats_group *get_group(struct stats *st, const struct callsite *site, const char *key)
{
	const struct callsite *c = one_of(st, site);
	u64 hash = hash_of(c, key);
	struct stats_group *g = c ? find_group(st, c, key, hash) : NULL;
	struct slot *s;

	if (g || !c)
		return g;
	if (key && st->cnt >= STATS_MAX_GROUPS && strcmp(key, STATS_OTHERS)) {
		st->others++;
		return get_group(st, c, STATS_OTHERS);
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->group.callsite = c;
	s->same_hash = idmap__find(&st->groups, hash);
	if ((key && !(s->group.key = strdup(key))) || idmap__put(&st->groups, hash, s)) {
		free((char *)s->group.key);
		free(s);
		return NULL;
	}
	*st->last = &s->group;
	st->last = &s->group.next;
	st->cnt++;
	return &s->group;
}

static u64 fields_named(const struct callsite *c, const char *name)
{
	u64 bits = 0;
	u32 i;

	for (i = 0; name && i < c->field_cnt; i++)
		bits |= (u64)!strcmp(c->field[i].name, name) << i;
	return bits;
}

static struct site *get_site(struct stats *st, const struct callsite *c)
{
	struct site *s = &st->near_site[c->id % NEAR_SITES];

	if (s->callsite != c)
		*s = (struct site){ c, fields_named(c, "error"), fields_named(c, st->by), NULL };
	return s;
}

/* The group of what has this key. */
static struct stats_group *group_of(struct stats *st, const struct callsite *c, const char *key)
{
	struct site *s = get_site(st, c);

	if (st->by)
		return get_group(st, c, key ? key : "");
	return s->group ? s->group : (s->group = get_group(st, c, NULL));
}

static char *key_of(const struct value *v)
{
	char text[STATS_KEY_BYTES];

	return label__value(text, sizeof(text), v) ? strdup(text) : NULL;
}

/* Does this value say that something went wrong? */
static bool is_error(const struct site *site, const struct value *v)
{
	if (v->type == WIRE_T_ERROR)
		return true;
	if (!(site->errors >> v->field & 1) || (v->flags & VALUE_UNREADABLE))
		return false;
	return v->type == WIRE_T_STR || v->type == WIRE_T_BYTES ? v->text_bytes > 0 : v->u != 0;
}

/* --- the stacks -------------------------------------------------------------------------------------------- */

/* What has passed on this thread belongs to the span on top. */
static void settle(struct fold_thread *t, u64 time_ns)
{
	u32 i = t->depth;

	while (i && t->stack[i - 1].duplicate)
		i--;
	if (i && time_ns > t->last_ns)
		((struct stats_span *)t->stack[i - 1].span)->self_ns += time_ns - t->last_ns;
	t->last_ns = time_ns;
}

/* --- the sink ---------------------------------------------------------------------------------------------- */

static void take_value(struct stats_span *s, const struct site *site, const struct value *v)
{
	s->error |= is_error(site, v);
	if (site->by >> v->field & 1) {
		free(s->key);
		s->key = key_of(v);
	}
}

static struct stats_span *new_span(struct stats *st, u64 number)
{
	struct stats_span *s = st->free_spans;

	if (s)
		st->free_spans = s->next_free;
	else
		s = malloc(sizeof(*s));
	if (!s || nearmap__add(&st->spans, number, s)) {
		free(s);
		return NULL;
	}
	*s = (struct stats_span){ .key = NULL };
	return s;
}

/* NULL: no memory. */
static struct stats_span *open_span(struct stats *st, const struct span_open *o)
{
	struct stats_span *s = new_span(st, o->span);
	const struct site *site;
	u32 i;

	if (!s)
		return NULL;
	see(st, o->time_ns);
	s->callsite = o->callsite;
	s->open_ns = o->time_ns;
	if (o->value_cnt) {
		site = get_site(st, o->callsite);
		for (i = 0; i < o->value_cnt; i++)
			take_value(s, site, &o->value[i]);
	}
	return s;
}

static int enter_span(struct stats *st, struct stats_span *s, struct thread *thread, u64 time_ns)
{
	struct fold_thread *t = fold_threads__get(&st->threads, thread);

	if (!t)
		return -ENOMEM;
	see(st, time_ns);
	settle(t, time_ns);
	if (!s->busy++)
		s->busy_since_ns = time_ns;
	return fold__push(t, &s->on_stack, time_ns);
}

static int exit_span(struct stats *st, struct stats_span *s, struct thread *thread, u64 time_ns)
{
	struct fold_thread *t = fold_threads__get(&st->threads, thread);

	if (!t)
		return -ENOMEM;
	see(st, time_ns);
	settle(t, time_ns);
	if (fold__pop(t, &s->on_stack) != UINT32_MAX && !--s->busy && time_ns > s->busy_since_ns)
		s->busy_ns += time_ns - s->busy_since_ns;
	return 0;
}

static int close_span(struct stats *st, struct stats_span *s, u64 time_ns, bool cut)
{
	struct stats_group *g = group_of(st, s->callsite, s->key);
	u64 took = time_ns > s->open_ns ? time_ns - s->open_ns : 0;
	u64 seen = s->open_ns >= st->cut_ns ? took : time_ns > st->cut_ns ? time_ns - st->cut_ns : 0;
	int err = g ? 0 : -ENOMEM;

	see(st, time_ns);
	if (g) {
		g->cnt++;
		g->errors += s->error;
		g->total_ns += took;
		g->busy_ns += s->busy_ns;
		g->self_ns += s->self_ns;
		g->idle_ns += seen > s->busy_ns ? seen - s->busy_ns : 0;
		g->open += cut;
		if (!cut)
			err = sketch__add(&g->duration, took);
	}
	free(s->key);
	s->next_free = st->free_spans;
	st->free_spans = s;
	return err;
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct stats *st = ctx;

	if (nearmap__find(&st->spans, o->span))
		return 0; /* a tape's lie */
	return open_span(st, o) ? 0 : -ENOMEM;
}

static int on_begin(void *ctx, const struct span_open *o)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, o->span);

	if (!s)
		s = open_span(st, o);
	return s ? enter_span(st, s, o->thread, o->time_ns) : -ENOMEM;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);

	if (s)
		take_value(s, get_site(st, c), v);
	return 0;
}

static int on_enter(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);

	return s ? enter_span(st, s, thread, time_ns) : 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *thread, u64 time_ns, enum sink_why why)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);

	return s ? exit_span(st, s, thread, time_ns) : 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);

	if (!s)
		return 0;
	nearmap__remove(&st->spans, span);
	return close_span(st, s, time_ns, why == SINK_CUT);
}

static int on_end(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);
	int err;

	if (!s)
		return 0;
	err = exit_span(st, s, thread, time_ns);
	nearmap__remove(&st->spans, span);
	return close_span(st, s, time_ns, false) ?: err;
}

static int on_event(void *ctx, const struct event *e)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, e->parent);
	__free_ptr char *key = NULL;
	struct stats_group *g;
	u32 i;

	see(st, e->time_ns);
	if (s && e->callsite->level == WIRE_ERROR)
		s->error = true;
	for (i = 0; i < e->value_cnt && !key; i++)
		if (get_site(st, e->callsite)->by >> e->value[i].field & 1)
			key = key_of(&e->value[i]);
	g = group_of(st, e->callsite, key);
	if (!g)
		return -ENOMEM;
	g->cnt++;
	g->errors += e->callsite->level == WIRE_ERROR;
	return 0;
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct stats *st = ctx;

	if (__builtin_add_overflow(st->loss, l->count, &st->loss))
		st->loss = UINT64_MAX;
	return 0;
}

struct sink stats__sink(struct stats *st)
{
	static const struct sink_ops ops = {
		.span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span, .span_close = on_close,
		.span_value = on_value, .event = on_event, .loss = on_loss, .span_begin = on_begin, .span_end = on_end,
	};

	return (struct sink){ &ops, st };
}
