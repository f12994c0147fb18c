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

struct stats {
	char *by;
	struct nearmap spans;
	struct idmap threads;
	struct idmap groups; /* callsite's address ^ hash of the key -> the first of a chain */
	struct idmap callsites;	 /* by address -> the one that stands for all that say the same */
	struct idmap same; /* hash of what they say -> one of them */
	struct fold_thread *last_thread;
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
	struct fold_thread *t;
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
	for (i = 0; (t = idmap__next(&st->threads, &i));) {
		free(t->stack);
		free(t);
	}
	while ((g = st->first)) {
		st->first = g->next;
		sketch__done(&g->duration);
		free((char *)g->key);
		free(container_of(g, struct slot, group));
	}
	nearmap__done(&st->spans);
	idmap__done(&st->threads);
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

static bool is_by(const struct stats *st, const struct callsite *c, const struct value *v)
{
	return st->by && v->field < c->field_cnt && !strcmp(c->field[v->field].name, st->by);
}

static char *key_of(const struct value *v)
{
	char text[STATS_KEY_BYTES];

	return label__value(text, sizeof(text), v) ? strdup(text) : NULL;
}

/* Does this value say that something went wrong? */
static bool is_error(const struct callsite *c, const struct value *v)
{
	if (v->type == WIRE_T_ERROR)
		return true;
	if (v->field >= c->field_cnt || strcmp(c->field[v->field].name, "error") || (v->flags & VALUE_UNREADABLE))
		return false;
	return v->type == WIRE_T_STR || v->type == WIRE_T_BYTES ? v->text_bytes > 0 : v->u != 0;
}

/* --- the stacks -------------------------------------------------------------------------------------------- */

static struct fold_thread *get_thread(struct stats *st, struct thread *thread)
{
	struct fold_thread *t = st->last_thread;

	if (t && t->thread == thread)
		return t;
	t = idmap__find(&st->threads, (uintptr_t)thread);
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t || idmap__put(&st->threads, (uintptr_t)thread, t)) {
			free(t);
			return NULL;
		}
		t->thread = thread;
		thread__hold(thread); /* as long as we are: it is the key */
	}
	return st->last_thread = t;
}

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

static void take_value(struct stats *st, struct stats_span *s, const struct callsite *c, const struct value *v)
{
	s->error |= is_error(c, v);
	if (is_by(st, c, v)) {
		free(s->key);
		s->key = key_of(v);
	}
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct stats *st = ctx;
	struct stats_span *s = st->free_spans;
	u32 i;

	if (nearmap__find(&st->spans, o->span))
		return 0; /* a tape's lie */
	if (s)
		st->free_spans = s->next_free;
	else
		s = malloc(sizeof(*s));
	if (!s || nearmap__add(&st->spans, o->span, s)) {
		free(s);
		return -ENOMEM;
	}
	see(st, o->time_ns);
	*s = (struct stats_span){ .callsite = o->callsite, .open_ns = o->time_ns };
	for (i = 0; i < o->value_cnt; i++)
		take_value(st, s, o->callsite, &o->value[i]);
	return 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);

	if (s)
		take_value(st, s, c, v);
	return 0;
}

static int on_enter(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);
	struct fold_thread *t = get_thread(st, thread);

	if (!s || !t)
		return s ? -ENOMEM : 0;
	see(st, time_ns);
	settle(t, time_ns);
	if (!s->busy++)
		s->busy_since_ns = time_ns;
	return fold__push(t, &s->on_stack, time_ns);
}

static int on_exit_span(void *ctx, u64 span, struct thread *thread, u64 time_ns, enum sink_why why)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);
	struct fold_thread *t = get_thread(st, thread);

	if (!s || !t)
		return s ? -ENOMEM : 0;
	see(st, time_ns);
	settle(t, time_ns);
	if (fold__pop(t, &s->on_stack) != UINT32_MAX && !--s->busy && time_ns > s->busy_since_ns)
		s->busy_ns += time_ns - s->busy_since_ns;
	return 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct stats *st = ctx;
	struct stats_span *s = nearmap__find(&st->spans, span);
	struct stats_group *g;
	u64 took, seen;
	int err;

	if (!s)
		return 0;
	nearmap__remove(&st->spans, span);
	see(st, time_ns);
	took = time_ns > s->open_ns ? time_ns - s->open_ns : 0;
	seen = s->open_ns >= st->cut_ns ? took : time_ns > st->cut_ns ? time_ns - st->cut_ns : 0;
	g = get_group(st, s->callsite, st->by ? s->key ? s->key : "" : NULL);
	err = g ? 0 : -ENOMEM;
	if (g) {
		g->cnt++;
		g->errors += s->error;
		g->total_ns += took;
		g->busy_ns += s->busy_ns;
		g->self_ns += s->self_ns;
		g->idle_ns += seen > s->busy_ns ? seen - s->busy_ns : 0;
		if (why == SINK_CUT)
			g->open++;
		else
			err = sketch__add(&g->duration, took);
	}
	free(s->key);
	s->next_free = st->free_spans;
	st->free_spans = s;
	return err;
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
		if (is_by(st, e->callsite, &e->value[i]))
			key = key_of(&e->value[i]);
	g = get_group(st, e->callsite, st->by ? key ? key : "" : NULL);
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
		.span_value = on_value, .event = on_event, .loss = on_loss,
	};

	return (struct sink){ &ops, st };
}
