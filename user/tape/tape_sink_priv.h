/* SPDX-License-Identifier: MIT */
/*
 * tape_sink_priv.h - what the files of the tape sink share: tape_sink.c (the calls), tape_group.c
 * (to the writer),
 * tape_end.c (the end of a tape), tape_defs.c (callsites, processes, threads), tape_values.c
 * (values), tape_place.c (the procedures that keep the tree right for readers of v0.1), tape_whole.c (the usual begin and
 * end of a span, which need none of them).
 */
#ifndef TAPEBPF_TAPE_SINK_PRIV_H
#define TAPEBPF_TAPE_SINK_PRIV_H

#include <uthash.h>

#include "base/codes.h"
#include "base/nearmap.h"
#include "model/sink.h"
#include "tape/tape_format.h"
#include "tape/tape_writer.h"

/* Records on their way to the writer. With a stage they are built in it, as long as they fit, so that they are not
 * copied; else, or beyond it, in memory of its own. */
struct tape_group {
	u8 *data;
	size_t bytes, cap;
	bool failed; /* no memory: what is in it must not be used */
	struct tape_stage *stage;
	u8 *own;
	size_t own_cap;
};

struct tape_thread;
struct tape_span;

/* An id under which a span stands in the tape. All its open entries are on one thread, that of its last ENTER: the
 * upstream parser asks for no less. */
struct tape_ident {
	u64 id;
	struct tape_thread *last; /* of the last ENTER; NULL: never entered */
	u32 open;		   /* entries */
};

/* P4: the id for entries on one more thread at the same time. */
struct tape_alias {
	struct tape_ident ident;
	struct tape_alias *next;
};

struct tape_span {
	struct tape_ident ident;
	struct tape_span *parent; /* stays while it has children (P7) */
	struct tape_site *site;
	struct tape_alias *alias;
	struct tape_thread *opener; /* NULL: unknown */
	u64 fields;		      /* that have a value or a placeholder, by bit */
	u32 children;
	u32 open; /* entries under all its ids */
	bool closing; /* the model has closed it: waits for its children */
	u8 why;
	u64 dropped_ns;
	struct tape_span *next_free;
};

struct tape_entry {
	struct tape_span *span;
	struct tape_ident *ident;
	bool duplicate; /* the span was on the stack already: does not count as current */
};

struct tape_thread {
	u64 uid;
	u32 cnt, cap;
	struct tape_entry *entry; /* bottom to top: the program's stack, and between two calls also upstream's */
	u32 refs;		   /* idents and openers that name it */
	bool defined, ended;
};

/* A callsite of the tape: several of the model's where their definitions are equal. */
struct tape_site {
	u64 id;
	const struct callsite *c;
	bool defined;
	size_t key_bytes;
	u8 *key; /* its definition with id 0 */
	/* Of the fields that are numbers of 8 bytes: how a value that needs no words about it begins, and how its record does, but for the
	 * kind. */
	struct {
		u32 value; /* TAPE_NOT_PLAIN: another field */
		u32 record;
	} plain[CALLSITE_MAX_FIELDS];
	UT_hash_handle hh;
};
#define TAPE_NOT_PLAIN (~0U)

#define TAPE_NEAR_THREADS 8
#define TAPE_NEAR_SITES 16

struct tape_sink {
	struct tape_writer *w;
	const struct process *only;
	u64 base_ns;
	size_t max_group;
	struct tape_group group;
	struct tape_group pending; /* exits, closes that found no space; nothing may overtake them */

	struct nearmap spans; /* struct tape_span that are not closed, by id */
	struct idmap threads, processes, sites;
	struct tape_site *site_list; /* by definition (uthash) */
	struct tape_span *free_spans;
	struct tape_site *near_site[TAPE_NEAR_SITES]; /* some of sites, by the low bits of the callsite's id */
	struct tape_thread *near_thread[TAPE_NEAR_THREADS]; /* some of threads, by the low bits of the uid */
	struct tape_thread nobody; /* thread 0: where a span has to be entered and no thread is known */
	u64 next_site, next_alias;

	s64 last_event, last_span; /* largest times */
	u64 span_cnt, event_cnt;
	struct {
		u64 count;
		s64 from, to;
	} missed[LOSS_MAX]; /* loss records that could not be written */
	bool cut_off;	    /* by its recorder's death; */
	s64 complete;	    /* all before is in the tape, or told as lost */
};

static inline s64 tape_time(const struct tape_sink *s, u64 ns)
{
	return (s64)(ns - s->base_ns);
}

/* --- tape_group.c --- */

int tape_group__grow(struct tape_group *g, size_t bytes);

/* So many bytes at its end, not yet part of it. NULL: no memory, group.failed. */
static inline void *tape_group__room(struct tape_group *g, size_t bytes)
{
	if (!g->bytes && g->stage) {
		g->data = g->stage->at;
		g->cap = g->stage->left;
	}
	if (g->bytes + bytes > g->cap && tape_group__grow(g, bytes))
		return NULL;
	return g->data + g->bytes;
}

/* Room for a record of so many bytes, its header filled. NULL: no memory, group.failed. */
static inline void *tape_group__add(struct tape_group *g, u8 kind, size_t bytes)
{
	struct tape_head *h = tape_group__room(g, bytes);

	if (!h)
		return NULL;
	g->bytes += bytes;
	h->kind = kind;
	h->len = bytes;
	return h;
}

void tape_group__synthetic(struct tape_group *g, enum tape_procedure procedure, u16 count);

/* Write s->group, all or nothing, and empty it. */
int tape_sink__emit(struct tape_sink *s);
/* Write s->group now or as soon as there is space again. Fails only for want of memory. */
int tape_sink__emit_last(struct tape_sink *s);
/* Try to write what is pending: nothing is left? */
bool tape_sink__drained(struct tape_sink *s);

/* --- tape_defs.c --- */

/* The site of a callsite, not necessarily written yet. NULL: no memory. */
struct tape_site *tape_sink__find_site(struct tape_sink *s, const struct callsite *c);
static inline struct tape_site *tape_sink__site(struct tape_sink *s, const struct callsite *c)
{
	struct tape_site *near = s->near_site[c->id % TAPE_NEAR_SITES];

	return near && near->c == c ? near : tape_sink__find_site(s, c);
}
int tape_site__define(struct tape_sink *s, struct tape_site *site);
static inline u64 tape_site__id(const struct tape_site *site)
{
	return site->id;
}
static inline u32 tape_site__field_cnt(const struct tape_site *site)
{
	return MIN(site->c->field_cnt, CALLSITE_MAX_FIELDS);
}
static inline u8 tape_site__type(const struct tape_site *site, u32 field)
{
	return site->c->field[field].type;
}
static inline u64 tape_site__field_id(const struct tape_site *site, u32 field)
{
	return tape_site__id(site) * CALLSITE_MAX_FIELDS + field;
}
void tape_sites__free(struct tape_sink *s);

int tape_sink__put_trigger(struct tape_sink *s, const struct sink_trigger *t);
int tape_sink__put_process(struct tape_sink *s, struct process *p);
int tape_sink__put_thread(struct tape_sink *s, struct thread *t, struct tape_thread *tt);

/* The thread, written before if need be. NULL for NULL; on errors ERR is set. */
struct tape_thread *tape_sink__new_thread(struct tape_sink *s, struct thread *t, int *err);

static inline struct tape_thread *tape_sink__near_thread(const struct tape_sink *s, u64 uid)
{
	struct tape_thread *tt = s->near_thread[uid % TAPE_NEAR_THREADS];

	return tt && tt->uid == uid ? tt : NULL;
}

static inline struct tape_thread *tape_sink__thread(struct tape_sink *s, struct thread *t, int *err)
{
	struct tape_thread *tt = t ? tape_sink__near_thread(s, t->uid) : NULL;

	*err = 0;
	return tt || !t ? tt : tape_sink__new_thread(s, t, err);
}

/* A reference less; ended threads that nobody names are freed. t may be NULL. */
void tape_thread__free_if_done(struct tape_sink *s, struct tape_thread *t);
static inline void tape_thread__put(struct tape_sink *s, struct tape_thread *t)
{
	if (!t)
		return;
	t->refs--;
	if (t->ended)
		tape_thread__free_if_done(s, t);
}
void tape_thread__end(struct tape_sink *s, struct tape_thread *t);
void tape_threads__free(struct tape_sink *s);

/* --- tape_whole.c --- */

/* span_begin, span_end, span_leaf and event of the sink: what is usual here, the rest in tape_sink.c. */
int tape_sink__begin(void *ctx, const struct span_open *o);
int tape_sink__end(void *ctx, u64 span, struct thread *t, u64 time_ns);
bool tape_sink__leaf(void *ctx, const struct span_open *o, u64 end_ns);
int tape_sink__event(void *ctx, const struct event *e);

/* --- tape_sink.c --- */

/* enter: on the opener's thread, at once. */
int tape_sink__open(struct tape_sink *s, const struct span_open *o, bool enter);
int tape_sink__leave_and_close(struct tape_sink *s, u64 span, struct thread *t, u64 time_ns);
int tape_sink__any_event(struct tape_sink *s, const struct event *e);

/* --- tape_values.c --- */

/* The first four bytes of a value: what has to be compared. */
static inline u32 tape_value__begin(const struct value *v)
{
	u32 begin;

	_Static_assert(offsetof(struct value, text_bytes) == 4, "field, type and flags come first");
	memcpy(&begin, v, sizeof(begin));
	return begin;
}

void tape_site__find_plain(struct tape_site *site);

#define TAPE_PLAIN_VALUE ((u32)sizeof(struct tape_value) + 8)
/* What most events and spans have: numbers of 8 bytes of the declared types, one for each field from the first on. Written to
 * p, which has room for cnt * TAPE_PLAIN_VALUE. false: they are not like that. */
static inline bool tape_values__plain(u8 *p, const struct tape_site *site, u8 kind, u64 owner, const struct value *v,
				      u32 cnt)
{
	u64 field = tape_site__field_id(site, 0);

	if (cnt > CALLSITE_MAX_FIELDS)
		return false;
	for (u32 i = 0; i < cnt; i++, p += TAPE_PLAIN_VALUE, field++) {
		u32 head = site->plain[i].record | kind;

		if (tape_value__begin(&v[i]) != site->plain[i].value)
			return false;
		memcpy(p, &head, 4); /* struct tape_value in four stores */
		memcpy(p + 4, &field, 8);
		memcpy(p + 12, &owner, 8);
		memcpy(p + 20, &v[i].u, 8);
	}
	return true;
}

/* Add the values of one event or opening with the placeholders they need (P6). `have`: fields that need none any more;
 * changed. Returns how many value records were added. */
u32 tape_sink__values(struct tape_sink *s, const struct tape_site *site, u8 kind, u64 owner, const struct value *v,
		      u32 cnt, u64 *have);
/* As one value of a span recorded later. */
u32 tape_sink__late_value(struct tape_sink *s, struct tape_span *sp, const struct value *v, u64 thread, s64 time);

/* --- tape_place.c --- */

int tape_place__enter(struct tape_sink *s, struct tape_span *sp, struct tape_thread *t, s64 time);
/* The same in parts, for a span that is opened by the same group: room on the stack (0 or -ENOMEM), the record, and once that
 * is written the entry. */
int tape_thread__reserve(struct tape_thread *t);
void tape_place__add_enter(struct tape_sink *s, const struct tape_span *sp, const struct tape_thread *t, s64 time);
void tape_place__entered(struct tape_sink *s, struct tape_span *sp, struct tape_thread *t);
/* index of the entry on t's stack */
int tape_place__exit(struct tape_sink *s, struct tape_thread *t, u32 index, s64 time, u8 why);
/* Add the close of one span to the group. */
void tape_place__close(struct tape_sink *s, struct tape_span *sp, s64 time);
void tape_place__free_aliases(struct tape_sink *s, struct tape_span *sp);

/* Is `parent` (NULL: none) what a reader takes for the parent of a span that is opened and entered on t now, for want of an
 * extension record? That is the topmost entry, if a reader of v0.1 sees the same. */
static inline bool tape_thread__implies(const struct tape_thread *t, const struct tape_span *parent)
{
	const struct tape_entry *e = t->cnt ? &t->entry[t->cnt - 1] : NULL;

	return e ? e->span == parent && e->ident == &parent->ident && !e->duplicate : !parent;
}

/* The span that is current on a thread by the rules of `tracing`, NULL: none. */
static inline struct tape_span *tape_thread__current(const struct tape_thread *t)
{
	for (u32 i = t->cnt; i > 0; i--)
		if (!t->entry[i - 1].duplicate)
			return t->entry[i - 1].span;
	return NULL;
}

#endif
