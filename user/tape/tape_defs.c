/* SPDX-License-Identifier: MIT */
/*
 * tape_defs.c - callsites, processes and threads of the tape: written when first used.
 *
 * Upstream's viewer divides by zero when a span callsite is selected of which no span is closed in
 * the file. So a
 * callsite is not written when the model learns of it but right before its first span or event;
 * all spans are closed at the
 * end. (After kill -9 a definition can be left whose every span was open; the parser does not
 * mind.) It also wants one
 * definition only of equal callsites (an inlined function has one in each copy, a library in each
 * process).
 */
#include <errno.h>

#include "base/text.h"
#include "tape/tape_sink_priv.h"

#define MAX_TEXT 8192 /* of a name: four of them and their header fit into a record */

/* --- callsites ------------------------------------------------------------------------------------------- */

/* Append text to the record that was added last, and make it longer. Returns the bytes. */
static u16 add_text(struct tape_group *g, size_t record, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	struct tape_head *h;

	/* U+FFFD takes three bytes for one */
	if (g->failed || !tape_group__room(g, MAX_TEXT))
		return 0;
	n = text__utf8((char *)g->data + g->bytes, MAX_TEXT, text ? text : "", n);
	g->bytes += n;
	h = (struct tape_head *)(g->data + record);
	h->len += n;
	return n;
}

static void add_field(struct tape_group *g, const char *name, u64 callsite, u64 id)
{
	size_t at = g->bytes;
	struct tape_callsite_field *f = tape_group__add(g, TAPE_CALLSITE_FIELD, sizeof(*f));
	u16 n;

	if (!f)
		return;
	f->callsite = callsite;
	f->id = id;
	n = add_text(g, at, name);
	((struct tape_callsite_field *)(g->data + at))->name_len = n;
}

static void add_definition(struct tape_group *g, const struct callsite *c, u64 id)
{
	const char *text[4] = { c->name, c->target, c->module, c->file };
	u32 fields = MIN(c->field_cnt, CALLSITE_MAX_FIELDS);
	size_t at = g->bytes;
	struct tape_callsite *r = tape_group__add(g, TAPE_CALLSITE, sizeof(*r));
	struct tape_x_callsite *x;
	u16 len[4];

	if (!r)
		return;
	r->info = MIN(c->level, WIRE_ERROR) | (c->is_span ? TAPE_INFO_SPAN : 0);
	r->field_cnt = fields;
	r->line = c->line;
	r->id = id;
	for (int i = 0; i < 4; i++)
		len[i] = add_text(g, at, text[i]);
	r = (struct tape_callsite *)(g->data + at);
	r->name_len = len[0];
	r->target_len = len[1];
	r->module_len = len[2];
	r->file_len = len[3];
	for (u32 i = 0; i < fields; i++)
		add_field(g, c->field[i].name, id, id * CALLSITE_MAX_FIELDS + i);

	x = tape_group__add(g, TAPE_X_CALLSITE, sizeof(*x) + fields);
	if (!x)
		return;
	x->callsite = id;
	x->foreign = c->foreign;
	x->field_cnt = fields;
	for (u32 i = 0; i < fields; i++)
		((u8 *)(x + 1))[i] = c->field[i].type;
}

struct tape_site *tape_sink__find_site(struct tape_sink *s, const struct callsite *c)
{
	struct tape_site *site = idmap__find(&s->sites, c->id);
	struct tape_group key = {};

	if (site && site->c == c)
		s->near_site[c->id % TAPE_NEAR_SITES] = site;
	if (site)
		return site;
	add_definition(&key, c, 0);
	if (key.failed)
		goto fail;
	HASH_FIND(hh, s->site_list, key.data, key.bytes, site);
	if (!site) {
		site = calloc(1, sizeof(*site));
		if (!site)
			goto fail;
		*site = (struct tape_site){ .id = s->next_site++, .c = c, .key = key.data, .key_bytes = key.bytes };
		tape_site__find_plain(site);
		HASH_ADD_KEYPTR(hh, s->site_list, site->key, site->key_bytes, site);
		key.data = NULL;
	}
	free(key.data);
	/* without the entry it is only found more slowly the next time */
	idmap__put(&s->sites, c->id, site);
	return site;
fail:
	free(key.data);
	return NULL;
}

int tape_site__define(struct tape_sink *s, struct tape_site *site)
{
	int err;

	if (site->defined)
		return 0;
	add_definition(&s->group, site->c, site->id);
	err = tape_sink__emit(s);
	site->defined = !err;
	return err;
}

void tape_sites__free(struct tape_sink *s)
{
	struct tape_site *site, *tmp;

	HASH_ITER(hh, s->site_list, site, tmp) {
		HASH_DEL(s->site_list, site);
		free(site->key);
		free(site);
	}
	idmap__done(&s->sites);
}

/* --- processes and threads ------------------------------------------------------------------------------- */

int tape_sink__put_process(struct tape_sink *s, struct process *p)
{
	char comm[sizeof(p->comm) + 1] = {}; /* 16 characters have no NUL */
	struct tape_x_process *r;
	size_t at = s->group.bytes;
	u16 n[3];
	int err;

	r = tape_group__add(&s->group, TAPE_X_PROCESS, sizeof(*r));
	if (!r)
		return tape_sink__emit(s);
	r->process = p->uid;
	r->pid = p->pid;
	r->ns_pid = p->ns_pid;
	r->parent_pid = p->parent_pid;
	r->start = p->start_ns;
	r->begin = tape_time(s, p->begin_ns);
	r->dev = p->dev;
	r->ino = p->ino;
	memcpy(comm, p->comm, sizeof(p->comm));
	n[0] = add_text(&s->group, at, comm);
	n[1] = p->exe ? add_text(&s->group, at, p->exe) : TAPE_X_NO_TEXT;
	n[2] = p->cmdline ? add_text(&s->group, at, p->cmdline) : TAPE_X_NO_TEXT;
	if (!s->group.failed) {
		r = (struct tape_x_process *)(s->group.data + at);
		r->comm_len = n[0];
		r->exe_len = n[1];
		r->cmdline_len = n[2];
	}
	err = tape_sink__emit(s);
	return err ? err : idmap__put(&s->processes, p->uid, p);
}

int tape_sink__put_trigger(struct tape_sink *s, const struct sink_trigger *t)
{
	size_t at = s->group.bytes;
	struct tape_x_trigger *r = tape_group__add(&s->group, TAPE_X_TRIGGER, sizeof(*r));
	u16 n[2];

	if (!r)
		return tape_sink__emit(s);
	r->time = tape_time(s, t->time_ns);
	r->pid = t->pid;
	r->tid = t->tid;
	n[0] = add_text(&s->group, at, t->trigger);
	n[1] = add_text(&s->group, at, t->what);
	if (!s->group.failed) {
		r = (struct tape_x_trigger *)(s->group.data + at);
		r->trigger_len = n[0];
		r->what_len = n[1];
	}
	return tape_sink__emit(s);
}

int tape_sink__put_thread(struct tape_sink *s, struct thread *t, struct tape_thread *tt)
{
	struct tape_x_thread *r;
	size_t at;
	u16 n;
	int err;

	if (t->process && !idmap__find(&s->processes, t->process->uid)) {
		err = tape_sink__put_process(s, t->process);
		if (err)
			return err;
	}
	at = s->group.bytes;
	r = tape_group__add(&s->group, TAPE_X_THREAD, sizeof(*r));
	if (!r)
		return tape_sink__emit(s);
	r->thread = t->uid;
	r->process = t->process ? t->process->uid : 0;
	r->pid = t->process ? t->process->pid : 0;
	r->tid = t->tid;
	r->ns_tid = t->ns_tid;
	r->begin = tape_time(s, t->begin_ns);
	n = add_text(&s->group, at, t->name);
	if (!s->group.failed)
		((struct tape_x_thread *)(s->group.data + at))->name_len = n;
	err = tape_sink__emit(s);
	tt->defined |= !err;
	return err;
}

struct tape_thread *tape_sink__new_thread(struct tape_sink *s, struct thread *t, int *err)
{
	struct tape_thread *tt = idmap__find(&s->threads, t->uid);

	if (!tt) {
		tt = calloc(1, sizeof(*tt));
		if (!tt || idmap__put(&s->threads, t->uid, tt)) {
			free(tt);
			*err = -ENOMEM;
			return NULL;
		}
		tt->uid = t->uid;
	}
	if (!tt->defined)
		*err = tape_sink__put_thread(s, t, tt);
	if (*err)
		return NULL;
	return s->near_thread[tt->uid % TAPE_NEAR_THREADS] = tt;
}

void tape_thread__free_if_done(struct tape_sink *s, struct tape_thread *t)
{
	if (t == &s->nobody || !t->ended || t->cnt || t->refs)
		return;
	if (s->near_thread[t->uid % TAPE_NEAR_THREADS] == t)
		s->near_thread[t->uid % TAPE_NEAR_THREADS] = NULL;
	idmap__remove(&s->threads, t->uid);
	free(t->entry);
	free(t);
}

void tape_thread__end(struct tape_sink *s, struct tape_thread *t)
{
	t->ended = true;
	tape_thread__free_if_done(s, t);
}

void tape_threads__free(struct tape_sink *s)
{
	struct tape_thread *t;
	u64 i = 0;

	while ((t = idmap__next(&s->threads, &i))) {
		free(t->entry);
		free(t);
	}
	free(s->nobody.entry);
	idmap__done(&s->threads);
	idmap__done(&s->processes);
}
