/* SPDX-License-Identifier: MIT */
/*
 * window_keep.c - what is alive: processes, threads with their stacks, open spans with what was said of them.
 *
 * Lists keep the order of the calls, since a beginning tells in that order. A thread that has ended stays while an open
 * span names it, and as one of the last WINDOW_RECENT: a page's late records come after the end of its thread.
 */
#include "model/window_priv.h"

#include <errno.h>
#include <string.h>

void keep__init(struct window *w)
{
	pool__init(&w->span_pool, sizeof(struct kept_span));
	w->thread_end = &w->thread_list;
	w->process_end = &w->process_list;
	w->note_end = &w->note_list;
}

/* Doubly linked, the end known: for nodes with next and pprev. */
#define APPEND(end, node)                                                                          \
	do {                                                                                       \
		(node)->next = NULL;                                                               \
		(node)->pprev = (end);                                                             \
		*(end) = (node);                                                                   \
		(end) = &(node)->next;                                                             \
	} while (0)

#define UNLINK(end, node)                                                                          \
	do {                                                                                       \
		*(node)->pprev = (node)->next;                                                     \
		if ((node)->next)                                                                  \
			(node)->next->pprev = (node)->pprev;                                       \
		else                                                                               \
			(end) = (node)->pprev;                                                     \
	} while (0)

/* --- processes --- */

struct kept_process *keep__process(struct window *w, struct process *p)
{
	struct kept_process *k = idmap__find(&w->processes, p->uid);

	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k || idmap__put(&w->processes, p->uid, k)) {
		free(k);
		return NULL;
	}
	k->p = p;
	process__hold(p);
	APPEND(w->process_end, k);
	w->process_cnt++;
	return k;
}

static void process__forget(struct window *w, struct kept_process *k)
{
	if (!k || !k->ended || k->threads)
		return;
	UNLINK(w->process_end, k);
	idmap__remove(&w->processes, k->p->uid);
	w->process_cnt--;
	process__drop(k->p);
	free(k);
}

void keep__process_end(struct window *w, struct kept_process *p)
{
	p->ended = true;
	process__forget(w, p);
}

/* --- threads --- */

static void thread__free(struct window *w, struct kept_thread *k)
{
	struct kept_process *p = k->process;

	UNLINK(w->thread_end, k);
	nearmap__remove(&w->threads, k->t->uid);
	thread__drop(k->t);
	free(k->entry);
	free(k);
	if (p) {
		p->threads--;
		process__forget(w, p);
	}
}

static bool thread__unneeded(const struct kept_thread *k)
{
	return k->ended && !k->depth && !k->refs && !k->recent;
}

/* If nothing needs it: it becomes one of the recent ones, and the oldest of them goes. */
static void thread__release(struct window *w, struct kept_thread *k)
{
	struct kept_thread **place, *old;

	if (!thread__unneeded(k))
		return;
	place = &w->recent[w->recent_at++ % WINDOW_RECENT];
	old = *place;
	*place = k;
	k->recent = true;
	if (!old)
		return;
	old->recent = false;
	if (thread__unneeded(old))
		thread__free(w, old);
}

static void thread__put(struct window *w, struct kept_thread *k)
{
	if (!k)
		return;
	k->refs--;
	thread__release(w, k);
}

struct kept_thread *keep__thread(struct window *w, struct thread *t, bool ended)
{
	struct kept_thread *k = nearmap__find(&w->threads, t->uid);
	struct kept_process *p = NULL;

	if (k)
		return k;
	if (t->process) {
		p = idmap__find(&w->processes, t->process->uid);
		if (!p) {
			p = keep__process(w, t->process);
			if (!p)
				return NULL;
			p->ended = ended;
		}
	}
	k = calloc(1, sizeof(*k));
	if (!k || nearmap__add(&w->threads, t->uid, k)) {
		free(k);
		process__forget(w, p);
		return NULL;
	}
	k->t = t;
	thread__hold(t);
	k->process = p;
	k->ended = ended;
	if (p)
		p->threads++;
	APPEND(w->thread_end, k);
	thread__release(w, k);
	return k;
}

void keep__thread_end(struct window *w, struct kept_thread *t)
{
	t->ended = true;
	thread__release(w, t);
}

/* --- spans --- */

static bool has_text(const struct value *v)
{
	return v->type == WIRE_T_STR || v->type == WIRE_T_BYTES || v->type == WIRE_T_ERROR;
}

/* The bytes of a value's text; none where it has no value. */
static size_t text_bytes(const struct value *v)
{
	return has_text(v) && v->text ? v->text_bytes : 0;
}

static bool copy_values(struct kept_span *s, const struct span_open *o)
{
	size_t bytes = o->value_cnt * sizeof(struct value);
	struct value *v;
	char *text;

	for (u32 i = 0; i < o->value_cnt; i++)
		bytes += text_bytes(&o->value[i]);
	v = bytes <= sizeof(s->room) ? (struct value *)s->room : malloc(bytes);
	if (!v)
		return false;
	text = (char *)(v + o->value_cnt);
	for (u32 i = 0; i < o->value_cnt; i++) {
		size_t n = text_bytes(&o->value[i]);

		v[i] = o->value[i];
		if (!n)
			continue;
		v[i].text = memcpy(text, o->value[i].text, n);
		text += n;
	}
	s->open.value = v;
	return true;
}

static void free_values(struct kept_span *s)
{
	if ((const u8 *)s->open.value != s->room)
		free((void *)s->open.value);
}

static void link_span(struct window *w, struct kept_span *s)
{
	s->next = NULL;
	s->prev = w->first ? w->first->prev : s;
	if (w->first)
		w->first->prev->next = s;
	else
		w->first = s;
	w->first->prev = s;
}

static void unlink_span(struct window *w, struct kept_span *s)
{
	if (s == w->first)
		w->first = s->next;
	else
		s->prev->next = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else if (w->first)
		w->first->prev = s->prev;
}

struct kept_span *keep__open(struct window *w, const struct span_open *o, struct kept_thread *t)
{
	struct kept_span *s = pool__get(&w->span_pool), *parent;

	if (!s)
		return NULL;
	/* member by member: the room is not worth clearing */
	s->open = *o;
	s->opener = t;
	s->notes = NULL;
	s->last_note = &s->notes;
	s->entries = s->children = s->follows = s->carried = 0;
	s->cut_entries = s->cut_children = 0;
	s->cut = false;
	if (!copy_values(s, o)) {
		pool__put(&w->span_pool, s);
		return NULL;
	}
	if (nearmap__add(&w->spans, o->span, s)) {
		free_values(s);
		pool__put(&w->span_pool, s);
		return NULL;
	}
	s->seq = ++w->seq;
	link_span(w, s);
	if (t)
		t->refs++;
	parent = o->parent ? keep__find(w, o->parent) : NULL;
	if (parent)
		parent->children++;
	w->st.spans++;
	return s;
}

int keep__enter(struct kept_thread *t, struct kept_span *s)
{
	if (t->depth == t->cap) {
		u32 cap = t->cap ? t->cap * 2 : 16;
		void *more = realloc(t->entry, cap * sizeof(*t->entry));

		if (!more)
			return -ENOMEM;
		t->entry = more;
		t->cap = cap;
	}
	t->entry[t->depth++] = s;
	s->entries++;
	return 0;
}

void keep__exit(struct window *w, struct kept_thread *t, struct kept_span *s)
{
	u32 i = t->depth;

	while (i && t->entry[i - 1] != s)
		i--;
	if (!i)
		return;
	memmove(&t->entry[i - 1], &t->entry[i], (t->depth - i) * sizeof(*t->entry));
	t->depth--;
	s->entries--;
	thread__release(w, t);
}

/* No source should close what is entered. Each exit may forget a thread, so the walk begins anew. */
static void drop_entries(struct window *w, struct kept_span *s)
{
	struct kept_thread *t = w->thread_list;

	while (t && s->entries) {
		u32 before = s->entries;

		if (t->depth)
			keep__exit(w, t, s);
		t = s->entries != before ? w->thread_list : t->next;
	}
}

static void drop_note(struct window *w, struct kept_note *n)
{
	struct kept_thread *t = n->thread;

	UNLINK(w->note_end, n);
	free(n);
	thread__put(w, t);
}

void keep__close(struct window *w, struct kept_span *s)
{
	struct kept_span *parent = s->open.parent ? keep__find(w, s->open.parent) : NULL;
	struct kept_note *n;

	if (s->entries)
		drop_entries(w, s);
	if (parent && parent->children)
		parent->children--;
	while ((n = s->notes)) {
		s->notes = n->more;
		drop_note(w, n);
	}
	unlink_span(w, s);
	nearmap__remove(&w->spans, s->open.span);
	free_values(s);
	thread__put(w, s->opener);
	pool__put(&w->span_pool, s);
	w->st.spans--;
}

/* --- what is said of a span --- */

static struct kept_note *add_note(struct window *w, struct kept_span *s, struct kept_thread *t, u64 ns, size_t bytes)
{
	struct kept_note *n = malloc(sizeof(*n) + bytes);

	if (!n)
		return NULL;
	n->more = NULL;
	n->span = s;
	n->thread = t;
	n->seq = ++w->seq;
	n->time_ns = ns;
	n->follows = 0;
	if (t)
		t->refs++;
	APPEND(w->note_end, n);
	*s->last_note = n;
	s->last_note = &n->more;
	return n;
}

/* Take out the one that *at points to. */
static void remove_note(struct window *w, struct kept_span *s, struct kept_note **at)
{
	struct kept_note *n = *at;

	*at = n->more;
	if (!n->more)
		s->last_note = at;
	drop_note(w, n);
}

int keep__value(struct window *w, struct kept_span *s, const struct value *v, struct kept_thread *t, u64 ns)
{
	size_t bytes = text_bytes(v);
	struct kept_note **at = &s->notes, *old, *n;

	while (*at && ((*at)->follows || (*at)->value.field != v->field))
		at = &(*at)->more;
	old = *at;
	n = add_note(w, s, t, ns, bytes);
	if (!n)
		return -ENOMEM;
	n->value = *v;
	if (bytes)
		n->value.text = memcpy(n->text, v->text, bytes);
	if (old)
		remove_note(w, s, at);
	return 0;
}

int keep__follows(struct window *w, struct kept_span *s, u64 follows, struct kept_thread *t, u64 ns)
{
	struct kept_note **at = &s->notes, *n = add_note(w, s, t, ns, 0);

	if (!n)
		return -ENOMEM;
	n->follows = follows;
	if (++s->follows <= w->opts.max_follows)
		return 0;
	while (!(*at)->follows)
		at = &(*at)->more;
	remove_note(w, s, at);
	s->follows--;
	w->st.follows_dropped++;
	return 0;
}

void keep__done(struct window *w)
{
	struct kept_process *p;
	struct kept_thread *t;
	struct kept_note *n;
	struct kept_span *s;

	for (s = w->first; s; s = s->next)
		free_values(s);
	while ((n = w->note_list)) {
		w->note_list = n->next;
		free(n);
	}
	while ((t = w->thread_list)) {
		w->thread_list = t->next;
		free(t->entry);
		free(t);
	}
	while ((p = w->process_list)) {
		w->process_list = p->next;
		free(p);
	}
	nearmap__done(&w->spans);
	nearmap__done(&w->threads);
	idmap__done(&w->processes);
	idmap__done(&w->sites);
	pool__done(&w->span_pool);
}
