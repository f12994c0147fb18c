/* SPDX-License-Identifier: MIT */
/*
 * window_turn.c - beginnings and ends.
 *
 * What is told at a beginning is told in the order of the calls that it stands for: openings and what was said of spans
 * later are merged by their sequence, so that parents come first and each thread's times do not go back.
 */
#include "model/window_priv.h"

#include <errno.h>
#include <string.h>

#define KEEP_FIRST(err, e) ((err) ? (err) : (e))

/* --- definitions --- */

int tell__new_callsite(struct window *w, const struct callsite *c)
{
	int err;

	if (!idmap__find(&w->sites, c->id)) {
		/* without an entry it would be told again and again, which no consumer has to take */
		err = idmap__put(&w->sites, c->id, (void *)c);
		if (err)
			return err;
		err = TO(w, callsite, (struct callsite *)c);
		if (err) {
			idmap__remove(&w->sites, c->id);
			return err;
		}
	}
	w->near_site[c->id % WINDOW_NEAR_SITES] = c;
	return 0;
}

int tell__process(struct window *w, struct kept_process *p)
{
	int err;

	if (p->told == w->turn)
		return 0;
	err = TO(w, process, p->p);
	if (!err)
		p->told = w->turn;
	return err;
}

int tell__thread(struct window *w, struct kept_thread *t)
{
	int err = t->process ? tell__process(w, t->process) : 0;

	if (err || t->told == w->turn)
		return err;
	err = TO(w, thread, t->t);
	if (!err)
		t->told = w->turn;
	return err;
}

static int tell_lives(struct window *w)
{
	struct kept_process *p;
	struct kept_thread *t;
	int err = 0, e;

	for (p = w->process_list; p; p = p->next) {
		e = p->ended ? 0 : tell__process(w, p);
		err = KEEP_FIRST(err, e);
	}
	for (t = w->thread_list; t; t = t->next) {
		e = t->ended && !t->refs && !t->depth ? 0 : tell__thread(w, t);
		err = KEEP_FIRST(err, e);
	}
	return err;
}

/* --- the beginning --- */

static int tell_open(struct window *w, struct kept_span *s)
{
	struct span_open o = s->open;
	int err = tell__callsite(w, o.callsite);

	o.flags |= SPAN_BEFORE;
	s->carried = w->turn;
	w->st.carried++;
	return err ? err : TO(w, span_open, &o);
}

static int tell_note(struct window *w, const struct kept_note *n)
{
	struct thread *t = n->thread ? n->thread->t : NULL;
	const struct span_open *o = &n->span->open;

	if (n->follows)
		return TO(w, span_follows, o->span, n->follows, t, n->time_ns);
	return TO(w, span_value, o->span, o->callsite, &n->value, t, n->time_ns);
}

static int tell_spans(struct window *w)
{
	struct kept_note *n = w->note_list;
	struct kept_span *s = w->first;
	int err = 0, e;

	while (s || n) {
		if (s && (!n || s->seq < n->seq)) {
			e = tell_open(w, s);
			s = s->next;
		} else {
			e = tell_note(w, n);
			n = n->next;
		}
		err = KEEP_FIRST(err, e);
	}
	return err;
}

static int tell_entries(struct window *w)
{
	struct kept_thread *t;
	int err = 0, e;

	for (t = w->thread_list; t; t = t->next) {
		if (t->depth)
			t->carried = w->turn;
		for (u32 i = 0; i < t->depth; i++) {
			e = TO(w, span_enter, t->entry[i]->open.span, t->t, w->begin_ns);
			err = KEEP_FIRST(err, e);
		}
	}
	return err;
}

int window__begin(struct window *w, const struct sink *to, u64 time_ns)
{
	int err, e;

	if (w->passing)
		return -EBUSY;
	w->at_ns = UINT64_MAX;
	w->to = sink__complete(to->ops);
	w->to_ctx = to->ctx;
	w->passing = true;
	w->turn++;
	w->begin_ns = w->last_ns = MAX(time_ns, w->last_ns);
	idmap__done(&w->sites);
	memset(w->near_site, 0, sizeof(w->near_site));
	err = tell_lives(w);
	e = tell_spans(w);
	err = KEEP_FIRST(err, e);
	e = tell_entries(w);
	return KEEP_FIRST(err, e);
}

int window__begin_last(struct window *w, const struct sink *to, u64 time_ns)
{
	int err = window__begin(w, to, time_ns);

	w->last = w->passing && err != -EBUSY;
	return err;
}

int window__begin_at(struct window *w, const struct sink *to, u64 time_ns)
{
	if (w->passing)
		return -EBUSY;
	w->at_to = *to;
	w->at_ns = time_ns;
	return 0;
}

/* --- the end --- */

static int cut_close(struct window *w, struct kept_span *s, u64 ns)
{
	struct kept_span *parent = s->open.parent ? keep__find(w, s->open.parent) : NULL;

	s->cut = true;
	if (parent && parent->cut_children)
		parent->cut_children--;
	return TO(w, span_close, s->open.span, ns, ns, SINK_CUT);
}

static int cut_entries(struct window *w, struct kept_thread *t, u64 ns)
{
	int err = 0, e;

	for (u32 i = t->depth; i > 0; i--) {
		struct kept_span *s = t->entry[i - 1];

		e = TO(w, span_exit, s->open.span, t->t, ns, SINK_CUT);
		err = KEEP_FIRST(err, e);
		if (--s->cut_entries || s->cut_children)
			continue;
		e = cut_close(w, s, ns);
		err = KEEP_FIRST(err, e);
	}
	return err;
}

int window__end(struct window *w, u64 time_ns)
{
	struct kept_thread *t;
	struct kept_span *s;
	int err = 0, e;
	u64 ns;

	if (!w->passing)
		return 0;
	w->at_ns = UINT64_MAX;
	ns = w->last_ns = MAX(time_ns, w->last_ns);
	for (s = w->first; s; s = s->next) {
		s->cut = false;
		s->cut_entries = s->entries;
		s->cut_children = s->children;
	}
	for (t = w->thread_list; t; t = t->next) {
		e = cut_entries(w, t, ns);
		err = KEEP_FIRST(err, e);
	}
	/* newest first, so children before parents; the first span's prev is the last */
	for (s = w->first ? w->first->prev : NULL; s; s = s == w->first ? NULL : s->prev) {
		e = s->cut ? 0 : cut_close(w, s, ns);
		err = KEEP_FIRST(err, e);
	}
	w->passing = w->last = false;
	return err;
}

int window__end_at(struct window *w, u64 time_ns)
{
	if (!w->passing)
		return -EINVAL;
	w->at_ns = time_ns;
	return 0;
}

int window__turn_due(struct window *w)
{
	u64 ns = w->at_ns;

	if (ns == UINT64_MAX)
		return 0; /* none is due: a tape may say that it is the end of time */
	return w->passing ? window__end(w, ns) : window__begin(w, &w->at_to, ns);
}
