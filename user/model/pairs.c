/* SPDX-License-Identifier: MIT */
/*
 * pairs.c - foreign probes as events, and as spans where two of them make a pair.
 *
 * NAME__begin and NAME__end (and __start/__done, __entry/__return) of one provider make spans NAME
 * on the thread, as a stack (usdt.md 7, R1, R6, R8): an end closes the topmost open NAME of its
 * thread; foreign spans above that are closed at the same time, abandoned. An end without a begin
 * is an event. A begin whose end never comes ends with the thread, the process or the recording.
 * The end's arguments are values recorded late.
 *
 * The two may lie in different files, a library's and the program's: what counts is the name. The
 * callsite of a begin is made for the end that stands in the same file, else for the first one
 * known; another end's arguments go to the same places, and what has no place is left out. A begin
 * whose end comes with a library loaded later is an event until then.
 *
 * The rule is a guess at what a program means, so it is kept from doing harm: it never touches what
 * tape.h entered, and a thread's foreign spans are bounded: a program that never fires its ends
 * would fill the registry, so where MAX_FOREIGN_DEPTH are open all of them are abandoned (the
 * oldest alone would stay: its children keep it). Other kinds of rule (keys, FIFO, several ends) go
 * into struct pair_rule.
 */
#include "model/model_priv.h"
#include <errno.h>
#include <string.h>

#define MAX_FOREIGN_DEPTH 4096

static const struct pair_rule rules[] = {
	{"__begin", "__end"},
	{"__start", "__done"},
	{"__entry", "__return"},
};

/* --- which probes are pairs --- */

static bool ends_with(const char *s, const char *end, size_t *stem)
{
	size_t len = strlen(s), end_len = strlen(end);

	if (len <= end_len || strcmp(s + len - end_len, end))
		return false;
	*stem = len - end_len;
	return true;
}

static bool is_begin(const struct probe *p, const struct pair_rule **rule, size_t *stem)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!ends_with(p->name, rules[i].begin, stem))
			continue;
		*rule = &rules[i];
		return true;
	}
	return false;
}

static bool is_end(const struct probe *p, const struct pair_rule **rule, size_t *stem)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!ends_with(p->name, rules[i].end, stem))
			continue;
		*rule = &rules[i];
		return true;
	}
	return false;
}

/* Made if there is none. NULL: no memory. */
static struct pair *get_pair(struct model *m, const struct probe *p, const struct pair_rule *rule,
			     size_t stem)
{
	size_t plen = strlen(p->provider) + 1, bytes = 1 + plen + stem;
	struct pair *pair = calloc(1, sizeof(*pair) + bytes), *old;

	if (!pair)
		return NULL;
	pair->rule = rule;
	pair->key_bytes = (u32)bytes;
	pair->key[0] = (char)(rule - rules);
	memcpy(pair->key + 1, p->provider, plen);
	memcpy(pair->key + 1 + plen, p->name, stem);
	HASH_FIND(hh, m->cs.pairs, pair->key, bytes, old);
	if (old) {
		free(pair);
		return old;
	}
	HASH_ADD_KEYPTR(hh, m->cs.pairs, pair->key, bytes, pair);
	return pair;
}

static int find_pair(struct model *m, struct probe *p)
{
	const struct pair_rule *rule;
	size_t stem;

	p->is_end = is_end(p, &rule, &stem);
	if (!p->is_end && !is_begin(p, &rule, &stem))
		return 0;
	p->pair = get_pair(m, p, rule, stem);
	if (!p->pair)
		return -ENOMEM;
	if (p->is_end)
		p->pair->end = p->pair->end ?: p;
	else
		p->pair->begin = p->pair->begin ?: p;
	m->cs.paired |= p->pair->begin && p->pair->end;
	return 0;
}

static int by_pair(const void *a, const void *b)
{
	const struct probe *x = *(struct probe *const *)a, *y = *(struct probe *const *)b;

	return x->pair != y->pair ? (x->pair < y->pair ? -1 : 1) : x->is_end - y->is_end;
}

/* The probes of one file. Sorts them. */
int pairs__find(struct model *m, struct probe **probe, u32 cnt)
{
	int err = 0;
	u32 i;

	for (i = 0; i < cnt && !err; i++)
		err = find_pair(m, probe[i]);
	/* A file has one probe of a name: begin and end of a pair stand side by side now. */
	qsort(probe, cnt, sizeof(*probe), by_pair);
	for (i = 0; i + 1 < cnt; i++)
		if (probe[i]->pair && probe[i]->pair == probe[i + 1]->pair)
			probe[i]->end = probe[i + 1];
	return err;
}

void pairs__done(struct model *m)
{
	struct pair *p, *tmp;

	HASH_ITER(hh, m->cs.pairs, p, tmp)
	{
		HASH_DEL(m->cs.pairs, p);
		free(p);
	}
}

static bool is_paired(const struct probe *p)
{
	return p->pair && p->pair->begin && p->pair->end;
}

enum model_pair_role model__pair_role(const struct model *m, u32 site, const void **pair)
{
	const struct probe *p = site < m->cs.site_cnt ? m->cs.site[site].probe : NULL;

	*pair = p && is_paired(p) ? p->pair : NULL;
	if (!*pair)
		return MODEL_PAIR_NONE;
	return p->is_end ? MODEL_PAIR_END : MODEL_PAIR_BEGIN;
}

/* --- hits --- */

struct hit {
	struct probe_site *site;
	const struct wire_hit *h;
	struct task *t;
	u64 ns;
};

static int hit_event(struct model *m, const struct hit *h)
{
	struct callsite *c = probes__event(m, h->site->probe);
	struct span *parent = span__shown(stack__current(h->t, ~0ULL));
	struct event ev = {.callsite = c,
			   .time_ns = h->ns,
			   .thread = &h->t->pub,
			   .parent_kind = WIRE_PARENT_CURRENT,
			   .parent = parent ? parent->uid : 0,
			   .value = m->value};

	if (!c)
		return LOSS_MEMORY;
	m->about = c;
	m->st.events++;
	if (h->site->probe->quiet && !h->h->unreadable) /* else those are counted */
		return STORED;
	ev.value_cnt = values__hit(m, h->site, h->h, NULL);
	fanout__event(m, &ev);
	return STORED;
}

/* Foreign spans above `until`; NULL: all of the thread. */
static void abandon_above(struct model *m, struct task *t, const struct entry *until, u64 ns)
{
	struct entry *e, *down;

	for (e = t->top; e && e != until; e = down) {
		down = e->down;
		if (e->kind == ENTRY_FOREIGN)
			span__leave(m, e, ns, SINK_ABANDONED);
	}
}

static int hit_begin(struct model *m, const struct hit *h)
{
	struct probe *begin = h->site->probe;
	struct callsite *c = probes__span(m, begin);
	struct span_new n = {.callsite = c,
			     .proc = h->t->proc,
			     .opener = h->t,
			     .stack = h->t,
			     .time_ns = h->ns,
			     .parent_kind = WIRE_PARENT_CURRENT,
			     .cause = c ? STORED : LOSS_MEMORY,
			     .enter = true};
	struct entry *e;
	struct span *s;

	m->about = c;
	if (h->t->foreign_cnt >= MAX_FOREIGN_DEPTH)
		abandon_above(m, h->t, NULL, h->ns);
	if (pool__reserve(&m->entries))
		return LOSS_MEMORY;
	if (c)
		n.value_cnt = values__hit(m, h->site, h->h, begin);
	s = span__open(m, &n);
	e = stack__push(m, h->t, s, ENTRY_FOREIGN, NULL, h->ns);
	m->st.pair_begins++;
	e->begin = begin;
	if (!s) {
		e->cause = m->st.spans_open >= m->opts.max_spans ? LOSS_SPANS : LOSS_MEMORY;
		return e->cause;
	}
	return s->cause;
}

static int hit_end(struct model *m, const struct hit *h)
{
	const struct pair *pair = h->site->probe->pair;
	struct entry *e = h->t->foreign_cnt ? h->t->top : NULL;
	u32 i, cnt;
	int out;

	while (e && (!e->begin || e->begin->pair != pair))
		e = e->down;
	if (!e) {
		m->st.pair_end_without_begin++;
		return hit_event(m, h);
	}
	abandon_above(m, h->t, e, h->ns);
	out = e->span ? e->span->cause : e->cause;
	if (out == STORED) {
		m->about = e->span->callsite;
		cnt = values__hit(m, h->site, h->h, e->begin);
		for (i = 0; i < cnt; i++)
			fanout__value(m, e->span, &m->value[i], h->t, h->ns);
	}
	span__leave(m, e, h->ns, SINK_OWN);
	return out;
}

int pairs__hit(struct model *m, const struct rec *r)
{
	struct hit h = {.h = r->hit};

	if (r->module >= m->cs.site_cnt || !m->cs.site[r->module].probe || !r->hit)
		return LOSS_CALLSITE;
	h.site = &m->cs.site[r->module];
	h.t = tasks__of_tid(m, r->pid, r->tid, r->time_ns);
	if (!h.t)
		return LOSS_MEMORY;
	h.ns = task__time(h.t, r->time_ns);
	if (!is_paired(h.site->probe))
		return hit_event(m, &h);
	return h.site->probe->is_end ? hit_end(m, &h) : hit_begin(m, &h);
}

/* An entry of a foreign span is about to end. */
void pairs__ended(struct model *m, const struct entry *e, enum sink_why why)
{
	if (why == SINK_OWN)
		m->st.pair_ends++;
	else if (why == SINK_ABANDONED)
		m->st.pair_abandoned++;
	else
		m->st.pair_begin_without_end++;
}
