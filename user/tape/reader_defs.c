/* SPDX-License-Identifier: MIT */
/*
 * reader_defs.c - callsites, processes and threads of a tape.
 *
 * Definitions may be repeated any number of times, and change: an equal one is dropped; a different one under the same
 * id holds from there on, and what was opened before keeps the old. They live until the reader is freed.
 */
#include <errno.h>

#include "base/text.h"
#include "tape/reader.h"

/* A name as a C string of valid UTF-8. NULL without memory. */
static char *copy_name(struct tape_reader *r, const char *s, size_t bytes, const char *what)
{
	bool good = text__is_utf8(s, bytes) && !memchr(s, 0, bytes);
	size_t room = good ? bytes : bytes * 3, n, i; /* U+FFFD has 3 bytes */
	char *dst = malloc(room + 1);

	if (!dst) {
		r->error = -ENOMEM;
		return NULL;
	}
	n = text__utf8(dst, room, s, bytes);
	for (i = 0; i < n; i++)
		if (!dst[i])
			dst[i] = '?';
	dst[n] = '\0';
	if (!good)
		DEFECT_AT(r, TEXT, "the %s is not UTF-8, or holds a NUL", what);
	return dst;
}

static void free_callsite(struct read_callsite *c)
{
	u32 i;

	if (!c)
		return;
	for (i = 0; i < c->c.field_cnt; i++)
		free((char *)c->c.field[i].name);
	free((char *)c->c.name);
	free((char *)c->c.target);
	free((char *)c->c.module);
	free((char *)c->c.file);
	free(c);
}

static bool same_callsite(const struct read_callsite *a, const struct read_callsite *b)
{
	u32 i;

	if (a->c.is_span != b->c.is_span || a->c.level != b->c.level || a->c.line != b->c.line ||
	    a->field_cnt != b->field_cnt || a->c.field_cnt != b->c.field_cnt || strcmp(a->c.name, b->c.name) != 0 ||
	    strcmp(a->c.target, b->c.target) != 0 || strcmp(a->c.module, b->c.module) != 0 ||
	    strcmp(a->c.file, b->c.file) != 0)
		return false;
	for (i = 0; i < a->c.field_cnt; i++)
		if (a->field_id[i] != b->field_id[i] || strcmp(a->c.field[i].name, b->c.field[i].name) != 0)
			return false;
	return true;
}

/* A definition is whole: if it repeats the one before it, that one stays. */
static void complete(struct tape_reader *r, struct read_callsite *c)
{
	struct read_callsite *old = c->previous;

	if (r->error || !old || old->seen < old->field_cnt || !same_callsite(old, c))
		return;
	if (idmap__put(&r->callsites, c->id, old) < 0)
		return; /* cannot be: the id has its place */
	*reader__near_site(r, c->id) = NULL;
	if (c == r->all_callsites) {
		r->all_callsites = c->all;
		free_callsite(c);
	} /* else definitions were interleaved: it is freed at the end */
}

static struct read_callsite *new_callsite(struct tape_reader *r, u64 id)
{
	struct read_callsite *c = calloc(1, sizeof(*c)), *old = idmap__find(&r->callsites, id);

	if (!c || idmap__put(&r->callsites, id, c) < 0) {
		free(c);
		r->error = -ENOMEM;
		return NULL;
	}
	*reader__near_site(r, id) = NULL;
	c->id = id;
	c->previous = old;
	c->all = r->all_callsites;
	r->all_callsites = c;
	return c;
}

void reader__callsite(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_callsite *x = (const void *)raw->data;
	const char *text = (const char *)(x + 1);
	u8 level = x->info & TAPE_INFO_LEVEL;
	struct read_callsite *c;

	if (sizeof(*x) + x->name_len + x->target_len + x->module_len + x->file_len > raw->bytes) {
		DEFECT_AT(r, CALLSITE, "callsite 0x%llx: its names leave the record", (unsigned long long)x->id);
		return;
	}
	c = new_callsite(r, x->id);
	if (!c)
		return;
	if (level > WIRE_ERROR) {
		DEFECT_AT(r, CALLSITE, "callsite 0x%llx: level %u", (unsigned long long)x->id, level);
		level = WIRE_INFO;
	}
	if (x->field_cnt > CALLSITE_MAX_FIELDS)
		DEFECT_AT(r, CALLSITE, "callsite 0x%llx: %u fields, of which %u are kept", (unsigned long long)x->id,
			  x->field_cnt, CALLSITE_MAX_FIELDS);
	c->field_cnt = x->field_cnt;
	c->c.is_span = !!(x->info & TAPE_INFO_SPAN);
	c->c.level = level;
	c->c.line = x->line;
	c->c.name = copy_name(r, text, x->name_len, "name of a callsite");
	c->c.target = copy_name(r, text += x->name_len, x->target_len, "target of a callsite");
	c->c.module = copy_name(r, text += x->target_len, x->module_len, "module path of a callsite");
	c->c.file = copy_name(r, text += x->module_len, x->file_len, "file name of a callsite");
	if (r->error == -ENOMEM)
		idmap__remove(&r->callsites, c->id);
	else if (!c->field_cnt)
		complete(r, c);
}

void reader__callsite_field(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_callsite_field *x = (const void *)raw->data;
	struct read_callsite *c = reader__find_callsite(r, x->callsite);
	char *name;

	if (sizeof(*x) + x->name_len > raw->bytes) {
		DEFECT_AT(r, FIELD, "the name of a field of callsite 0x%llx leaves the record",
			  (unsigned long long)x->callsite);
		return;
	}
	if (!c || c->seen >= c->field_cnt) {
		DEFECT_AT(r, FIELD, "a field of callsite 0x%llx, which %s", (unsigned long long)x->callsite,
			  c ? "has all of its fields" : "is not defined");
		return;
	}
	if (c->told) {
		DEFECT_AT(r, FIELD, "a field of callsite 0x%llx, which is in use already",
			  (unsigned long long)x->callsite);
	} else if (c->c.field_cnt < CALLSITE_MAX_FIELDS) {
		name = copy_name(r, (const char *)(x + 1), x->name_len, "name of a field");
		if (!name)
			return;
		c->field_id[c->c.field_cnt] = x->id;
		c->c.field[c->c.field_cnt++].name = name;
	}
	if (++c->seen == c->field_cnt)
		complete(r, c);
}

void reader__callsite_types(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_callsite *x = (const void *)raw->data;
	const u8 *types = (const u8 *)(x + 1);
	struct read_callsite *c = reader__find_callsite(r, x->callsite);
	u32 i;

	if (sizeof(*x) + x->field_cnt > raw->bytes) {
		DEFECT_AT(r, EXTENSION, "the types of callsite 0x%llx leave the record", (unsigned long long)x->callsite);
		return;
	}
	if (!c || c->told || c->typed)
		return;
	c->typed = true;
	c->c.foreign = x->foreign;
	for (i = 0; i < MIN(x->field_cnt, c->c.field_cnt); i++)
		c->c.field[i].type = types[i];
}

struct read_callsite *reader__find_callsite(struct tape_reader *r, u64 id)
{
	return idmap__find(&r->callsites, id);
}

struct read_callsite *reader__unknown_callsite(struct tape_reader *r, bool is_span)
{
	struct read_callsite **where = is_span ? &r->unknown_span : &r->unknown_event, *c = *where;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c) {
			r->error = -ENOMEM;
			return NULL;
		}
		c->c.is_span = is_span;
		c->c.level = WIRE_INFO;
		c->c.name = strdup(is_span ? "(opened before recording)" : "(unknown callsite)");
		c->c.target = strdup("");
		c->c.module = strdup("");
		c->c.file = strdup("");
		*where = c;
	}
	if (!c->told) {
		c->told = true;
		c->c.id = ++r->callsite_cnt;
		TELL(r, callsite, &c->c);
	}
	return c;
}

struct read_callsite *reader__use_callsite(struct tape_reader *r, u64 id, bool is_span)
{
	struct read_callsite *c = reader__find_callsite(r, id);

	if (!c) {
		DEFECT_AT(r, CALLSITE, "callsite 0x%llx is not defined", (unsigned long long)id);
		return reader__unknown_callsite(r, is_span);
	}
	/* another thread may be repeating the definition just now */
	if (c->seen < c->field_cnt && c->previous && c->previous->seen == c->previous->field_cnt)
		c = c->previous;
	if (c->told)
		return c;
	if (c->seen < c->field_cnt)
		DEFECT_AT(r, CALLSITE, "callsite 0x%llx has %u fields, of which %u are defined", (unsigned long long)id,
			  c->field_cnt, c->seen);
	c->told = true;
	c->c.id = ++r->callsite_cnt;
	TELL(r, callsite, &c->c);
	return c;
}

/* --- processes and threads ----------------------------------------------------------------------------- */

static struct process *get_process(struct tape_reader *r, u64 id)
{
	struct process *p = id ? idmap__find(&r->processes, id) : &r->unknown_process;

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p || idmap__put(&r->processes, id, p) < 0) {
		free(p);
		r->error = -ENOMEM;
		return NULL;
	}
	p->uid = id;
	return p;
}

static void replace(char **where, char *text)
{
	free(*where);
	*where = text;
}

void reader__process(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_process *x = (const void *)raw->data;
	u32 comm = x->comm_len, exe = x->exe_len == TAPE_X_NO_TEXT ? 0 : x->exe_len;
	u32 cmdline = x->cmdline_len == TAPE_X_NO_TEXT ? 0 : x->cmdline_len;
	const char *text = (const char *)(x + 1);
	struct process *p;
	char *name;

	if (!x->process || sizeof(*x) + comm + exe + cmdline > raw->bytes) {
		DEFECT_AT(r, EXTENSION, "process record %llu: %s", (unsigned long long)x->process,
			  x->process ? "its texts leave the record" : "without a number");
		return;
	}
	p = get_process(r, x->process);
	name = p ? copy_name(r, text, comm, "name of a process") : NULL;
	if (!name)
		return;
	p->pid = x->pid;
	p->ns_pid = x->ns_pid;
	p->parent_pid = x->parent_pid;
	p->start_ns = x->start;
	p->begin_ns = (u64)x->begin + READER_TIME_OFFSET;
	p->dev = x->dev;
	p->ino = x->ino;
	text__utf8(memset(p->comm, 0, sizeof(p->comm)), sizeof(p->comm) - 1, name, strlen(name));
	free(name);
	replace(&p->exe, x->exe_len == TAPE_X_NO_TEXT ? NULL : copy_name(r, text + comm, exe, "path of a program"));
	replace(&p->cmdline, x->cmdline_len == TAPE_X_NO_TEXT ?
				     NULL :
				     copy_name(r, text + comm + exe, cmdline, "command line of a process"));
	TELL(r, process, p);
}

static struct read_thread *new_thread(struct tape_reader *r, u64 id)
{
	struct read_thread *t = calloc(1, sizeof(*t));

	if (!t || idmap__put(&r->threads, id, t) < 0) {
		free(t);
		r->error = -ENOMEM;
		return NULL;
	}
	t->id = id;
	t->t.uid = id;
	t->t.begin_ns = r->last_ns;
	t->t.name = NULL;
	t->t.process = &r->unknown_process;
	return t;
}

static struct read_thread *find_thread(struct tape_reader *r, u64 id)
{
	if (r->last_thread && r->last_thread->id == id)
		return r->last_thread;
	return idmap__find(&r->threads, id);
}

struct read_thread *reader__get_thread(struct tape_reader *r, u64 id)
{
	struct read_thread *t = find_thread(r, id);

	if (!t) {
		/* a tape without thread records: all that is known is the id, which may be a tid */
		t = new_thread(r, id);
		if (!t)
			return NULL;
		t->t.tid = id <= INT32_MAX ? id : 0;
		t->t.name = strdup("");
		if (!r->unknown_process.begin_ns) {
			r->unknown_process.begin_ns = r->last_ns;
			TELL(r, process, &r->unknown_process);
		}
		TELL(r, thread, &t->t);
	}
	r->last_thread = t;
	return t;
}

void reader__thread(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_thread *x = (const void *)raw->data;
	struct read_thread *t;
	struct process *p;
	char *name;

	if (sizeof(*x) + x->name_len > raw->bytes) {
		DEFECT_AT(r, EXTENSION, "thread record %llu: its name leaves the record", (unsigned long long)x->thread);
		return;
	}
	p = get_process(r, x->process);
	t = find_thread(r, x->thread);
	if (!t)
		t = new_thread(r, x->thread);
	name = p && t ? copy_name(r, (const char *)(x + 1), x->name_len, "name of a thread") : NULL;
	if (!name)
		return;
	t->t.tid = x->tid;
	t->t.ns_tid = x->ns_tid;
	t->t.begin_ns = (u64)x->begin + READER_TIME_OFFSET;
	t->t.process = p;
	free((char *)t->t.name);
	t->t.name = name;
	if (!p->pid)
		p->pid = x->pid; /* its own record was lost */
	TELL(r, thread, &t->t);
}

void reader__trigger(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_trigger *x = (const void *)raw->data;
	const char *text = (const char *)(x + 1);
	struct sink_trigger t = { .time_ns = reader__time(r, x->time), .pid = x->pid, .tid = x->tid };
	__free_ptr char *trigger = NULL, *what = NULL;

	if (sizeof(*x) + x->trigger_len + x->what_len > raw->bytes) {
		DEFECT_AT(r, EXTENSION, "the texts of a trigger record leave the record");
		return;
	}
	trigger = copy_name(r, text, x->trigger_len, "text of a trigger");
	what = copy_name(r, text + x->trigger_len, x->what_len, "record that fired a trigger");
	t.trigger = trigger;
	t.what = what;
	if (trigger && what)
		TELL(r, trigger, &t);
}

void reader__life(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_x_life *x = (const void *)raw->data;
	u64 end = reader__time(r, x->end);

	if (x->what == 0) {
		struct read_thread *t = find_thread(r, x->id);

		if (!t)
			return;
		reader__event_done(r, t);
		TELL(r, thread_end, &t->t, end);
	} else if (x->what == 1) {
		struct process *p = idmap__find(&r->processes, x->id);

		if (p)
			TELL(r, process_end, p, end, x->status, x->known);
	}
}

void reader__free_defs(struct tape_reader *r)
{
	struct read_callsite *c, *next;
	struct read_thread *t;
	struct process *p;
	u64 i;

	for (c = r->all_callsites; c; c = next) {
		next = c->all;
		free_callsite(c);
	}
	free_callsite(r->unknown_span);
	free_callsite(r->unknown_event);
	idmap__done(&r->callsites);
	for (i = 0; (t = idmap__next(&r->threads, &i));) {
		free((char *)t->t.name);
		free(t->stack);
		free(t);
	}
	idmap__done(&r->threads);
	for (i = 0; (p = idmap__next(&r->processes, &i));) {
		free(p->exe);
		free(p->cmdline);
		free(p);
	}
	idmap__done(&r->processes);
}
