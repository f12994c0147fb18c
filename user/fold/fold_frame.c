/* SPDX-License-Identifier: MIT */
/*
 * fold_frame.c - what a frame says.
 *
 * Our own frames are made harmless for the line format and for terminals: `;` becomes `:`, control characters and line
 * breaks a blank, a blank before a last group of digits `_` (else it would be read as a second number), what is no
 * UTF-8 U+FFFD. The compatible styles take names as they are.
 */
#include "fold/fold_priv.h"

#include "base/text.h"
#include "fold/label.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX_BYTES 256
#define NO_NAME "(no name)"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "x 12" would be a stack "x" with the number 12 to a reader of differences; "x 1.5" likewise. */
static void mend_number(char *s, size_t bytes)
{
	size_t i = bytes;

	while (i && (is_digit(s[i - 1]) || s[i - 1] == '.'))
		i--;
	if (i && i < bytes && s[i - 1] == ' ')
		s[i - 1] = '_';
}

static size_t mend(char *s, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++) {
		if (s[i] == ';')
			s[i] = ':';
		else if ((u8)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = ' ';
		/* C1 controls are two bytes in UTF-8 */
		else if ((u8)s[i] == 0xc2 && i + 1 < bytes && (u8)s[i + 1] < 0xa0)
			s[i] = s[i + 1] = ' ';
	}
	while (bytes && s[bytes - 1] == ' ')
		bytes--;
	for (i = 0; i < bytes && s[i] == ' '; i++)
		;
	memmove(s, s + i, bytes - i);
	bytes -= i;
	mend_number(s, bytes);
	return bytes;
}

/* Intern our own frame; `raw` is any bytes. */
s64 fold__own_frame(struct fold *f, const char *raw, size_t bytes)
{
	size_t need = bytes * 3 + 1;
	char *more;

	if (need > f->text_cap) {
		more = realloc(f->text, need);
		if (!more)
			return -ENOMEM;
		f->text = more;
		f->text_cap = need;
	}
	bytes = mend(f->text, text__utf8(f->text, f->text_cap, raw, bytes));
	return bytes ? stacks__frame(f->stacks, f->text, bytes) :
		       stacks__frame(f->stacks, NO_NAME, strlen(NO_NAME));
}

/* --- spans ------------------------------------------------------------------------------------------------- */

/* [module path ::] name [: file] [: line], each as the options and the callsite have it */
static s64 named_frame(struct fold *f, const struct callsite *c, const char *label)
{
	const struct fold_opts *o = &f->opts;
	__free_ptr char *text = NULL;
	char line[16] = "";
	int n;
	bool module = o->module_path && c->module[0], file = o->file_and_line && c->file[0];

	if (o->file_and_line && c->line)
		snprintf(line, sizeof(line), ":%u", c->line);
	n = asprintf(&text, "%s%s%s%s%s%s%s%s", module ? c->module : "", module ? "::" : "", c->name, file ? ":" : "",
		     file ? c->file : "", line, label ? " " : "", label ? label : "");
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return o->style == FOLD_STACK ? fold__own_frame(f, text, (size_t)n) : stacks__frame(f->stacks, text, (size_t)n);
}

static s64 labelled_frame(struct fold *f, const struct callsite *c, const struct value *v, u32 value_cnt)
{
	char label[LABEL_MAX_BYTES + 80];
	int n = snprintf(label, sizeof(label), "%.64s=", f->opts.label);
	u32 i;

	for (i = 0; i < value_cnt; i++)
		if (v[i].field < c->field_cnt && !strcmp(c->field[v[i].field].name, f->opts.label) &&
		    label__value(label + n, sizeof(label) - n, &v[i]))
			return named_frame(f, c, label);
	return 0;
}

/* FILE:LINE of the fields loc.file and loc.line as given at the opening, else "unknown". */
static s64 place_frame(struct fold *f, const struct callsite *c, const struct value *v, u32 value_cnt)
{
	const struct value *file = NULL, *line = NULL;
	__free_ptr char *text = NULL;
	u32 i;
	int n;

	for (i = 0; i < value_cnt; i++) {
		const char *name = v[i].field < c->field_cnt ? c->field[v[i].field].name : "";

		if (v[i].type == WIRE_T_STR && !strcmp(name, "loc.file"))
			file = &v[i];
		else if ((v[i].type == WIRE_T_U64 || v[i].type == WIRE_T_U32) && !strcmp(name, "loc.line"))
			line = &v[i];
	}
	if (!file || !line || fold__shown(f, c) != FOLD_SHOWN)
		return stacks__frame(f->stacks, "unknown", strlen("unknown"));
	n = asprintf(&text, "%.*s:%u", (int)file->text_bytes, file->text, (u32)line->u);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return stacks__frame(f->stacks, text, (size_t)n);
}

s64 fold__span_frame(struct fold *f, const struct callsite *c, const struct value *v, u32 value_cnt)
{
	s64 frame;

	if (f->opts.style == FOLD_TRACE_TOOLS)
		return place_frame(f, c, v, value_cnt);
	if (f->opts.style == FOLD_STACK && f->opts.label && value_cnt) {
		frame = labelled_frame(f, c, v, value_cnt);
		if (frame)
			return frame;
	}
	frame = (s64)(uintptr_t)idmap__find(&f->frames, (uintptr_t)c);
	if (frame)
		return frame;
	frame = named_frame(f, c, NULL);
	if (frame > 0 && idmap__put(&f->frames, (uintptr_t)c, (void *)(uintptr_t)frame))
		return -ENOMEM;
	return frame;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

enum fold_shown fold__shown(const struct fold *f, const struct callsite *c)
{
	if (f->opts.style != FOLD_TRACE_TOOLS)
		return FOLD_SHOWN;
	if (!strcmp(c->name, "runtime.spawn") || !strcmp(c->target, "trace_tools::observe") ||
	    (!strcmp(c->name, "task") && !strcmp(c->target, "tokio::task")))
		return FOLD_SHOWN;
	/* what the builder's filter lets through is seen, but not known */
	return f->opts.bare || begins(c->name, "runtime") || begins(c->target, "tokio") ? FOLD_UNTRACKED : FOLD_HIDDEN;
}

/* --- threads ----------------------------------------------------------------------------------------------- */

static bool is_main(const struct thread *t)
{
	return t->tid && t->tid == t->process->pid;
}

/*
 * Rust's own thread numbers are not seen from outside: the main thread of a process is 1, the others follow as they
 * turn up. Where nobody knows which is the main thread (tapes of the upstream recorder), the first one is.
 */
static int number_thread(struct fold *f, struct fold_thread *t)
{
	const struct thread *th = t->thread;
	uintptr_t given = (uintptr_t)idmap__find(&f->processes, (uintptr_t)th->process);

	if (t->number)
		return 0;
	if (is_main(th)) {
		t->number = 1;
		return 0;
	}
	if (!given && th->process->pid)
		given = 1; /* kept for the main thread */
	t->number = (u32)++given;
	return idmap__put(&f->processes, (uintptr_t)th->process, (void *)given);
}

static s64 rust_label(struct fold *f, struct fold_thread *t)
{
	const struct thread *th = t->thread;
	const char *name = is_main(th) ? "main" : th->name ? th->name : "";
	char text[300];

	if (f->opts.threads_collapsed)
		return stacks__frame(f->stacks, "all-threads", strlen("all-threads"));
	if (number_thread(f, t))
		return -ENOMEM;
	snprintf(text, sizeof(text), "ThreadId(%u)%s%.255s", t->number, name[0] ? "-" : "", name);
	return stacks__frame(f->stacks, text, strlen(text));
}

static s64 own_label(struct fold *f, const char *name, u32 id, u64 uid)
{
	char text[300], number[24];

	snprintf(number, sizeof(number), id ? "%" PRIu64 : "%08" PRIx64, id ? (u64)id : uid);
	snprintf(text, sizeof(text), "%.255s%s%s", name ? name : "", name && *name ? "/" : "", number);
	return fold__own_frame(f, text, strlen(text));
}

s64 fold__thread_root(struct fold *f, struct fold_thread *t)
{
	const struct thread *th = t->thread;
	s64 frame, node = STACKS_ROOT;

	if (f->opts.style == FOLD_TRACE_TOOLS) {
		frame = stacks__frame(f->stacks, "all-spans", strlen("all-spans"));
		return frame < 0 ? frame : stacks__child(f->stacks, STACKS_ROOT, (u32)frame);
	}
	if (f->opts.style != FOLD_STACK) {
		frame = rust_label(f, t);
		return frame < 0 ? frame : stacks__child(f->stacks, STACKS_ROOT, (u32)frame);
	}
	if (f->opts.processes) {
		frame = own_label(f, th->process->comm, th->process->pid, th->process->uid);
		node = frame < 0 ? frame : stacks__child(f->stacks, STACKS_ROOT, (u32)frame);
	}
	if (f->opts.threads && node >= 0) {
		frame = own_label(f, th->name, th->tid, th->uid);
		node = frame < 0 ? frame : stacks__child(f->stacks, (u32)node, (u32)frame);
	}
	return node;
}
