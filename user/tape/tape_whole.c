/* SPDX-License-Identifier: MIT */
/*
 * tape_whole.c - the usual begin and end of a span and the usual event, written straight to where the writer keeps what comes
 * next.
 *
 * Nearly all records of a flood are of spans that are entered by the thread that opens them, inside what is entered there,
 * and that close with their exit: no procedure of tape_place.c is needed, no extension record, no placeholder. For these the
 * group of records is of a size that is known beforehand, and all that can fail is tested before the first byte: so nothing
 * is built, measured, copied or taken back. What is not like that goes the long way (tape_sink.c), which does the same for
 * these as well; the difference is a third of the instructions.
 *
 * The records of a begin tell their own context: a reader without an extension record takes the thread of the entry that
 * follows the opening at once, and its current span for the parent.
 */
#include "tape/tape_sink_priv.h"

/* Where so many bytes can go now; tape_stage__took makes them a group of the tape. NULL: not without further ado. */
static inline u8 *room(const struct tape_sink *s, size_t bytes)
{
	if (__builtin_expect(bytes > s->group.stage->left || s->pending.bytes, 0))
		return NULL;
	return s->group.stage->at;
}

/* Before what follows: one store, of a byte more than there is to it. */
static inline void put_head(void *p, u8 kind, u16 bytes)
{
	u32 head = kind | (u32)bytes << 8;

	_Static_assert(offsetof(struct tape_head, len) == 1 && TAPE_HEAD_BYTES < sizeof(head), "kind, then length");
	memcpy(p, &head, sizeof(head));
}

/* Of a callsite that is in the tape already; NULL: it has to be looked for. */
static inline struct tape_site *near_site(const struct tape_sink *s, const struct callsite *c)
{
	struct tape_site *site = s->near_site[c->id % TAPE_NEAR_SITES];

	if (__builtin_expect(!site || site->c != c || !site->defined, 0))
		return NULL;
	return site;
}

static struct tape_span *top(const struct tape_thread *t)
{
	return t->cnt ? t->entry[t->cnt - 1].span : NULL;
}

/* --- begin ----------------------------------------------------------------------------------------------- */

/* Is this span (0: none) what is current on the thread, and what a reader takes for it? tape_thread__implies, by number. */
static inline bool implies(const struct tape_thread *t, u64 span)
{
	const struct tape_entry *e = t->entry + t->cnt - 1;

	if (!t->cnt)
		return !span;
	return e->span->ident.id == span && e->ident == &e->span->ident && !e->duplicate;
}

static inline bool is_usual_begin(const struct tape_sink *s, const struct span_open *o, const struct tape_thread *t)
{
	return !s->only && o->parent_kind == WIRE_PARENT_CURRENT && !o->flags && !o->lost_parent && implies(t, o->parent);
}

/* false: its values are not plain. */
static inline bool put_begin(u8 *p, const struct tape_sink *s, const struct span_open *o, const struct tape_site *site, u64 thread)
{
	struct tape_span_open *open = (void *)p;
	struct tape_span_enter *enter = (void *)(p + sizeof(*open) + o->value_cnt * TAPE_PLAIN_VALUE);
	s64 time = tape_time(s, o->time_ns);

	if (!tape_values__plain(p + sizeof(*open), site, TAPE_SPAN_VALUE, o->span, o->value, o->value_cnt))
		return false;
	put_head(open, TAPE_SPAN_OPEN, sizeof(*open));
	open->span = o->span;
	open->parent = 0;
	open->callsite = tape_site__id(site);
	open->time = time;
	open->parent_kind = TAPE_PARENT_CURRENT;
	put_head(enter, TAPE_SPAN_ENTER, sizeof(*enter));
	enter->span = o->span;
	enter->time = time;
	enter->thread = thread;
	return true;
}

/* It is in the tape. Member by member: gcc clears a struct of this size by `rep stos`, which is slow. */
static void begin(struct tape_sink *s, struct tape_span *sp, const struct span_open *o, struct tape_site *site,
		  struct tape_thread *t)
{
	struct tape_span *parent = top(t);

	s->free_spans = sp->next_free;
	sp->ident = (struct tape_ident){ .id = o->span, .last = t, .open = 1 };
	sp->parent = parent;
	sp->site = site;
	sp->alias = NULL;
	sp->opener = t;
	sp->fields = o->value_cnt ? ~0ULL >> (64 - o->value_cnt) : 0;
	sp->children = 0;
	sp->open = 1;
	sp->closing = false;
	sp->why = SINK_OWN;
	sp->dropped_ns = 0;
	if (parent)
		parent->children++;
	t->entry[t->cnt++] = (struct tape_entry){ .span = sp, .ident = &sp->ident };
	t->refs += 2; /* opener and last */
	s->span_cnt++;
	s->last_span = MAX(s->last_span, tape_time(s, o->time_ns));
}

static bool whole_begin(struct tape_sink *s, const struct span_open *o)
{
	struct tape_thread *t = o->thread ? tape_sink__near_thread(s, o->thread->uid) : NULL;
	struct tape_site *site = near_site(s, o->callsite);
	size_t bytes = sizeof(struct tape_span_open) + o->value_cnt * TAPE_PLAIN_VALUE + sizeof(struct tape_span_enter);
	struct tape_span *sp = s->free_spans;
	u8 *p = room(s, bytes);

	if (!p || !sp || !site || !t || t->cnt == t->cap || !is_usual_begin(s, o, t) || nearmap__find(&s->spans, o->span))
		return false;
	if (!put_begin(p, s, o, site, t->uid) || nearmap__add(&s->spans, o->span, sp))
		return false;
	tape_stage__took(s->group.stage, bytes);
	begin(s, sp, o, site, t);
	return true;
}

int tape_sink__begin(void *ctx, const struct span_open *o)
{
	return whole_begin(ctx, o) ? 0 : tape_sink__open(ctx, o, true);
}

/* --- end ------------------------------------------------------------------------------------------------- */

/* Its only entry is on top of the thread, and what is below is its parent: so exit and close follow each other. */
static bool is_usual_end(const struct tape_span *sp, u64 thread)
{
	const struct tape_thread *t = sp->ident.last;

	return t && t->uid == thread && sp->open == 1 && !sp->alias && !sp->children && !sp->closing && top(t) == sp &&
	       sp->parent == (t->cnt > 1 ? t->entry[t->cnt - 2].span : NULL) && !(sp->parent && sp->parent->closing);
}

static inline void put_end(void *p, u8 kind, u64 span, s64 time)
{
	struct tape_span_end *r = p;

	put_head(r, kind, sizeof(*r));
	r->span = span;
	r->time = time;
}

static bool whole_end(struct tape_sink *s, u64 span, u64 thread, u64 time_ns)
{
	const size_t bytes = 2 * sizeof(struct tape_span_end);
	struct tape_span *sp = nearmap__find(&s->spans, span);
	struct tape_thread *t;
	u8 *p = room(s, bytes);

	if (!p || !sp || !is_usual_end(sp, thread))
		return false;
	put_end(p, TAPE_SPAN_EXIT, span, tape_time(s, time_ns));
	put_end(p + sizeof(struct tape_span_end), TAPE_SPAN_CLOSE, span, tape_time(s, time_ns));
	tape_stage__took(s->group.stage, bytes);

	t = sp->ident.last;
	t->cnt--;
	tape_thread__put(s, sp->opener);
	tape_thread__put(s, t);
	if (sp->parent)
		sp->parent->children--;
	nearmap__remove(&s->spans, span);
	sp->next_free = s->free_spans;
	s->free_spans = sp;
	s->last_span = MAX(s->last_span, tape_time(s, time_ns));
	return true;
}

int tape_sink__end(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	return whole_end(ctx, span, t->uid, time_ns) ? 0 : tape_sink__leave_and_close(ctx, span, t, time_ns);
}

/* --- both ------------------------------------------------------------------------------------------------ */

bool tape_sink__leaf(void *ctx, const struct span_open *o, u64 end_ns)
{
	struct tape_sink *s = ctx;
	const struct tape_thread *t = tape_sink__near_thread(s, o->thread->uid);
	const struct tape_site *site = near_site(s, o->callsite);
	size_t begun = sizeof(struct tape_span_open) + o->value_cnt * TAPE_PLAIN_VALUE + sizeof(struct tape_span_enter);
	u8 *p = room(s, begun + 2 * sizeof(struct tape_span_end));
	s64 end = tape_time(s, end_ns);

	if (!p || !site || !t || !is_usual_begin(s, o, t) || nearmap__find(&s->spans, o->span) ||
	    (t->cnt && top(t)->closing) || !put_begin(p, s, o, site, t->uid))
		return false;
	put_end(p + begun, TAPE_SPAN_EXIT, o->span, end);
	put_end(p + begun + sizeof(struct tape_span_end), TAPE_SPAN_CLOSE, o->span, end);
	tape_stage__took(s->group.stage, begun + 2 * sizeof(struct tape_span_end));
	s->span_cnt++;
	if (end > s->last_span)
		s->last_span = end;
	return true;
}

/* --- event ----------------------------------------------------------------------------------------------- */

static bool whole_event(struct tape_sink *s, const struct event *e)
{
	const struct tape_thread *t = e->thread ? tape_sink__near_thread(s, e->thread->uid) : NULL;
	const struct tape_site *site = near_site(s, e->callsite);
	size_t bytes = sizeof(struct tape_event) + e->value_cnt * TAPE_PLAIN_VALUE;
	const struct tape_span *current = t ? tape_thread__current(t) : NULL;
	u8 *p = room(s, bytes);
	struct tape_event *r = (void *)p;

	if (!p || !t || !site || s->only || e->parent_kind != WIRE_PARENT_CURRENT ||
	    e->parent != (current ? current->ident.id : 0) ||
	    !tape_values__plain(p + sizeof(*r), site, TAPE_EVENT_VALUE, t->uid, e->value, e->value_cnt))
		return false;
	put_head(r, TAPE_EVENT, sizeof(*r));
	r->value_cnt = e->value_cnt;
	r->time = tape_time(s, e->time_ns);
	r->callsite = tape_site__id(site);
	r->thread = t->uid;
	tape_stage__took(s->group.stage, bytes);
	s->event_cnt++;
	s->last_event = MAX(s->last_event, r->time);
	return true;
}

int tape_sink__event(void *ctx, const struct event *e)
{
	return whole_event(ctx, e) ? 0 : tape_sink__any_event(ctx, e);
}
