/* SPDX-License-Identifier: MIT */
/*
 * tape_place.c - entries, exits and closes that the upstream parser accepts and puts where they
 * belong.
 *
 * Problem. That parser keeps a stack of entered spans per thread, and knows nothing else of
 * parents: a span's place in the
 * tree is whatever lies on top of the stack of the thread of its last ENTER when its CLOSE comes.
 * It panics when an EXIT
 * is not for the top of that stack. Programs leave spans out of order, enter one on several
 * threads at once, close children
 * while the parent is entered elsewhere.
 *
 * Design. Between two calls, upstream's stack of each thread is the program's own. During a call,
 * records that are not the
 * program's are put around its own, marked, so that a reader that knows the mark sees nothing of
 * them:
 *   - exit below the top: what lies above is exited and entered again (P3), at the time of the
 *     exit;
 *   - entry on a second thread: under an alias, a span id of its own (P4). Suspending the other
 *     entry instead would misplace
 *     all that is closed on that thread meanwhile;
 *   - close of a child whose parent is not on top of the thread of its last entry: (P5)
 *       parent entered nowhere: enter it on that thread, close the child, exit it;
 *       parent entered elsewhere: give the child an empty entry on that thread, with the parent on
 *       top for the moment;
 *   - close of a root under whose feet other spans are entered: those are lifted for the moment,
 *     as in P3.
 *
 * Invariants: all open entries of an ident are on one thread, the one of its last ENTER (so an
 * EXIT that is written always fits);
 * the group is only built here, and the state changed with it: exits and closes cannot fail but
 * for want of memory
 * (tape_sink__emit_last).
 */
#include <errno.h>

#include "tape/tape_sink_priv.h"

/* Lifting more than so many entries costs more than the right place is worth. */
#define MAX_LIFT 64
#define MARK_MAX 60000

/* --- records --------------------------------------------------------------------------------------------- */

static void add_enter(struct tape_sink *s, u64 id, const struct tape_thread *t, s64 time)
{
	struct tape_span_enter *r = tape_group__add(&s->group, TAPE_SPAN_ENTER, sizeof(*r));

	if (!r)
		return;
	r->span = id;
	r->time = time;
	r->thread = t->uid;
}

static void add_end(struct tape_sink *s, u8 kind, u64 id, s64 time)
{
	struct tape_span_end *r = tape_group__add(&s->group, kind, sizeof(*r));

	if (!r)
		return;
	r->span = id;
	r->time = time;
}

/* EXIT what lies from index `from` on, top first. */
static void lift(struct tape_sink *s, const struct tape_thread *t, u32 from, s64 time, enum tape_procedure p)
{
	for (u32 i = t->cnt, n = 0; i > from; i--, n++) {
		if (n % MARK_MAX == 0)
			tape_group__synthetic(&s->group, p, MIN(i - from, MARK_MAX));
		add_end(s, TAPE_SPAN_EXIT, t->entry[i - 1].ident->id, time);
	}
}

/* ENTER it again. */
static void lower(struct tape_sink *s, const struct tape_thread *t, u32 from, s64 time, enum tape_procedure p)
{
	for (u32 i = from, n = 0; i < t->cnt; i++, n++) {
		if (n % MARK_MAX == 0)
			tape_group__synthetic(&s->group, p, MIN(t->cnt - i, MARK_MAX));
		add_enter(s, t->entry[i].ident->id, t, time);
	}
}

static void set_last(struct tape_sink *s, struct tape_ident *ident, struct tape_thread *t)
{
	struct tape_thread *old = ident->last;

	if (old == t)
		return;
	if (t)
		t->refs++;
	ident->last = t;
	tape_thread__put(s, old);
}

/* --- enter ----------------------------------------------------------------------------------------------- */

/* The id under which the span can be entered on t: its own, or an alias; NULL: a new alias is needed. */
static struct tape_ident *ident_for(struct tape_span *sp, const struct tape_thread *t)
{
	for (struct tape_alias *a = sp->alias; a; a = a->next)
		if (a->ident.last == t)
			return &a->ident;
	return !sp->ident.open || sp->ident.last == t ? &sp->ident : NULL;
}

static struct tape_alias *add_alias(struct tape_sink *s, struct tape_span *sp, s64 time)
{
	struct tape_alias *a = calloc(1, sizeof(*a));
	struct tape_x_alias *x;
	struct tape_span_open *o;

	if (!a)
		return NULL;
	a->ident.id = s->next_alias++;
	x = tape_group__add(&s->group, TAPE_X_ALIAS, sizeof(*x));
	if (x) {
		x->alias = a->ident.id;
		x->span = sp->ident.id;
	}
	tape_group__synthetic(&s->group, TAPE_P_ALIAS, 1);
	o = tape_group__add(&s->group, TAPE_SPAN_OPEN, sizeof(*o));
	if (o) {
		o->span = a->ident.id;
		o->parent = 0;
		o->callsite = tape_site__id(sp->site);
		o->time = time;
		o->parent_kind = TAPE_PARENT_CURRENT;
	}
	return a;
}

int tape_thread__reserve(struct tape_thread *t)
{
	struct tape_entry *e;

	if (t->cnt < t->cap)
		return 0;
	e = realloc(t->entry, (t->cap * 2 + 8) * sizeof(*e));
	if (!e)
		return -ENOMEM;
	t->entry = e;
	t->cap = t->cap * 2 + 8;
	return 0;
}

static bool is_entered(const struct tape_span *sp, const struct tape_thread *t)
{
	if (sp->open)
		for (u32 i = t->cnt; i > 0; i--)
			if (t->entry[i - 1].span == sp)
				return true;
	return false;
}

/* There is room. */
static void push(struct tape_sink *s, struct tape_span *sp, struct tape_ident *ident, struct tape_thread *t)
{
	t->entry[t->cnt] = (struct tape_entry){ .span = sp, .ident = ident, .duplicate = is_entered(sp, t) };
	t->cnt++;
	set_last(s, ident, t);
	ident->open++;
	sp->open++;
}

int tape_place__enter(struct tape_sink *s, struct tape_span *sp, struct tape_thread *t, s64 time)
{
	struct tape_ident *ident = ident_for(sp, t);
	struct tape_alias *a = NULL;
	int err = tape_thread__reserve(t);

	if (err)
		return err;
	if (!ident) {
		a = add_alias(s, sp, time);
		if (!a)
			return -ENOMEM;
		ident = &a->ident;
	}
	add_enter(s, ident->id, t, time);
	err = tape_sink__emit(s);
	if (err) {
		free(a);
		return err;
	}
	if (a) {
		a->next = sp->alias;
		sp->alias = a;
	}
	push(s, sp, ident, t);
	return 0;
}

void tape_place__add_enter(struct tape_sink *s, const struct tape_span *sp, const struct tape_thread *t, s64 time)
{
	add_enter(s, sp->ident.id, t, time);
}

void tape_place__entered(struct tape_sink *s, struct tape_span *sp, struct tape_thread *t)
{
	push(s, sp, &sp->ident, t);
}

/* --- exit ------------------------------------------------------------------------------------------------ */

static void close_alias(struct tape_sink *s, struct tape_span *sp, struct tape_ident *ident, s64 time)
{
	struct tape_alias **at = &sp->alias;
	struct tape_alias *a;

	while (&(*at)->ident != ident)
		at = &(*at)->next;
	a = *at;
	*at = a->next;
	tape_group__synthetic(&s->group, TAPE_P_ALIAS, 1);
	add_end(s, TAPE_SPAN_CLOSE, ident->id, time);
	set_last(s, ident, NULL);
	free(a);
}

/* Into the group; t may be freed. */
static void exit_entry(struct tape_sink *s, struct tape_thread *t, u32 index, s64 time, u8 why)
{
	struct tape_span *sp = t->entry[index].span;
	struct tape_ident *ident = t->entry[index].ident;

	if (index + 1 < t->cnt)
		lift(s, t, index + 1, time, TAPE_P_ORDER);
	/* entered on several threads: a reader that knows the aliases sees one span, and has to be told which entry */
	if (why || ident->open != sp->open) {
		struct tape_x_exit *x = tape_group__add(&s->group, TAPE_X_EXIT, sizeof(*x));

		if (x) {
			x->span = ident->id;
			x->time = time;
			x->thread = t->uid;
			x->why = why;
		}
	}
	add_end(s, TAPE_SPAN_EXIT, ident->id, time);
	ident->open--;
	sp->open--;
	t->cnt--;
	if (index == t->cnt && ident == &sp->ident) /* nothing above it: nearly always. Its span still names t */
		return;
	memmove(t->entry + index, t->entry + index + 1, (t->cnt - index) * sizeof(*t->entry));
	t->refs++; /* through the next steps */
	if (ident != &sp->ident && !ident->open)
		close_alias(s, sp, ident, time);
	lower(s, t, index, time, TAPE_P_ORDER);
	tape_thread__put(s, t);
}

int tape_place__exit(struct tape_sink *s, struct tape_thread *t, u32 index, s64 time, u8 why)
{
	exit_entry(s, t, index, time, why);
	return tape_sink__emit_last(s);
}

/* --- close ----------------------------------------------------------------------------------------------- */

static void add_close(struct tape_sink *s, struct tape_span *sp, s64 time)
{
	s64 dropped = tape_time(s, sp->dropped_ns);

	if (sp->why || dropped != time) {
		struct tape_x_close *x = tape_group__add(&s->group, TAPE_X_CLOSE, sizeof(*x));

		if (x) {
			x->span = sp->ident.id;
			x->dropped = dropped;
			x->why = sp->why;
		}
	}
	add_end(s, TAPE_SPAN_CLOSE, sp->ident.id, time);
}

/* An empty entry on t: a thread for a span that had none, or another one for its place. */
static void add_touch(struct tape_sink *s, struct tape_span *sp, struct tape_thread *t, s64 time)
{
	tape_group__synthetic(&s->group, TAPE_P_PLACE, 2);
	add_enter(s, sp->ident.id, t, time);
	add_end(s, TAPE_SPAN_EXIT, sp->ident.id, time);
	set_last(s, &sp->ident, t);
}

static void close_root(struct tape_sink *s, struct tape_span *sp, s64 time)
{
	struct tape_thread *t = sp->ident.last ? sp->ident.last : sp->opener;
	u32 depth = t ? t->cnt : 0;

	if (depth > MAX_LIFT) {
		/* roots without entries are roots; else an entry on a thread where nothing is entered */
		if (sp->ident.last)
			add_touch(s, sp, &s->nobody, time);
		add_close(s, sp, time);
		return;
	}
	if (!t) {
		add_close(s, sp, time);
		return;
	}
	lift(s, t, 0, time, TAPE_P_PLACE);
	if (!sp->ident.last)
		add_touch(s, sp, t, time);
	add_close(s, sp, time);
	lower(s, t, 0, time, TAPE_P_PLACE);
}

/* The parent is entered nowhere under its own id: enter it for a moment. */
static void close_under_idle(struct tape_sink *s, struct tape_span *sp, struct tape_span *parent, s64 time)
{
	struct tape_thread *t = sp->ident.last ? sp->ident.last : sp->opener ? sp->opener : parent->ident.last;

	if (!t)
		t = &s->nobody;
	tape_group__synthetic(&s->group, TAPE_P_PLACE, 1);
	add_enter(s, parent->ident.id, t, time);
	set_last(s, &parent->ident, t);
	if (!sp->ident.last)
		add_touch(s, sp, t, time);
	add_close(s, sp, time);
	tape_group__synthetic(&s->group, TAPE_P_PLACE, 1);
	add_end(s, TAPE_SPAN_EXIT, parent->ident.id, time);
}

/* The parent is entered under its own id on t. */
static void close_under_busy(struct tape_sink *s, struct tape_span *sp, struct tape_span *parent, s64 time)
{
	struct tape_thread *t = parent->ident.last;
	u32 above = t->cnt;
	bool again;

	while (t->entry[above - 1].ident != &parent->ident)
		above--;
	/* too much on top of it: a second entry instead. (Upstream then shows no end of the first.) */
	again = t->cnt - above > MAX_LIFT;
	if (again) {
		tape_group__synthetic(&s->group, TAPE_P_PLACE, 1);
		add_enter(s, parent->ident.id, t, time);
	} else {
		lift(s, t, above, time, TAPE_P_PLACE);
	}
	if (sp->ident.last != t)
		add_touch(s, sp, t, time);
	add_close(s, sp, time);
	if (again) {
		tape_group__synthetic(&s->group, TAPE_P_PLACE, 1);
		add_end(s, TAPE_SPAN_EXIT, parent->ident.id, time);
	} else {
		lower(s, t, above, time, TAPE_P_PLACE);
	}
}

/* Exit what of the span is still entered: the model does not do this, a broken one must not spoil the tape. */
static void exit_all(struct tape_sink *s, struct tape_span *sp, s64 time)
{
	while (sp->open) {
		struct tape_thread *t = sp->alias ? sp->alias->ident.last : sp->ident.last;
		u32 i = t->cnt;

		while (t->entry[i - 1].span != sp)
			i--;
		exit_entry(s, t, i - 1, time, SINK_LOST);
	}
}

void tape_place__close(struct tape_sink *s, struct tape_span *sp, s64 time)
{
	struct tape_span *parent = sp->parent;
	struct tape_thread *t;

	exit_all(s, sp, time);
	t = sp->ident.last;
	if (!parent && t && !t->cnt)
		add_close(s, sp, time);
	else if (!parent)
		close_root(s, sp, time);
	else if (t && t->cnt && t->entry[t->cnt - 1].span == parent)
		add_close(s, sp, time);
	else if (parent->ident.open)
		close_under_busy(s, sp, parent, time);
	else
		close_under_idle(s, sp, parent, time);
	set_last(s, &sp->ident, NULL);
	tape_thread__put(s, sp->opener);
	sp->opener = NULL;
}

void tape_place__free_aliases(struct tape_sink *s, struct tape_span *sp)
{
	struct tape_alias *a;

	while ((a = sp->alias)) {
		sp->alias = a->next;
		free(a);
	}
}
