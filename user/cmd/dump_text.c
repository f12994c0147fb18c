/* SPDX-License-Identifier: MIT */
/*
 * dump_text.c - one line an event, as tracing-subscriber's `fmt` prints them:
 *
 *   2023-11-14T22:13:20.000001Z  WARN work{n=42}: demo: hi code=7
 *
 * time, level, the spans around it from the root with their fields, target, message, the other fields. With --spans a
 * line for each step of a span's life, too (new, enter, exit, record, follows, close).
 */
#include "cmd/show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/codes.h"
#include "base/idmap.h"

#define SCOPE_MAX 32

/* A span that is open, or has a child that is. */
struct shown {
	u64 span;
	const struct callsite *callsite;
	struct shown *parent;
	u32 refs; /* its being open, and each child */
	u64 open_ns;
	struct busy busy;
	char *value[]; /* one a field, as text; NULL: none */
};

struct text_view {
	struct show show;
	struct idmap spans;
};

static void put_shown(struct shown *s)
{
	struct shown *parent;
	u32 i;

	for (; s && !--s->refs; s = parent) {
		parent = s->parent;
		for (i = 0; i < s->callsite->field_cnt; i++)
			free(s->value[i]);
		free(s);
	}
}

static void print_span(const struct show *sh, const struct shown *s)
{
	FILE *f = sh->out;
	u32 i, cnt = 0;

	show__style(sh, STYLE_BOLD);
	show__text(f, s->callsite->name);
	show__style(sh, STYLE_NONE);
	for (i = 0; i < s->callsite->field_cnt; i++) {
		if (!s->value[i])
			continue;
		fputc(cnt++ ? ' ' : '{', f);
		show__text(f, s->callsite->field[i].name);
		fputc('=', f);
		fputs(s->value[i], f);
	}
	if (cnt)
		fputc('}', f);
}

/* Root first; of a deep scope the innermost spans. A loop cannot be: parents are older. */
static void print_scope(const struct show *sh, const struct shown *leaf)
{
	const struct shown *s;
	u32 depth = 0, i;

	for (s = leaf; s && depth <= SCOPE_MAX; s = s->parent)
		depth++;
	if (depth > SCOPE_MAX) {
		fputs("...:", sh->out);
		depth = SCOPE_MAX;
	}
	for (; depth > 0; depth--) {
		for (s = leaf, i = 1; i < depth; i++)
			s = s->parent;
		print_span(sh, s);
		fputc(':', sh->out);
	}
	if (leaf)
		fputc(' ', sh->out);
}

static void line_start(const struct text_view *t, u64 time_ns, const struct callsite *c, const struct thread *thread)
{
	const struct show *sh = &t->show;

	show__style(sh, STYLE_DIM);
	show__time(sh->out, sh->unix_ns(sh->ctx, time_ns), 6);
	show__style(sh, STYLE_NONE);
	fputc(' ', sh->out);
	show__style(sh, STYLE_LEVEL + c->level);
	fprintf(sh->out, "%5s", show__level(c->level));
	show__style(sh, STYLE_NONE);
	fputc(' ', sh->out);
	if (sh->threads && thread) {
		show__thread(sh->out, thread);
		fputc(' ', sh->out);
	}
}

static void print_target(const struct text_view *t, const struct callsite *c)
{
	show__style(&t->show, STYLE_DIM);
	show__text(t->show.out, c->target);
	fputc(':', t->show.out);
	show__style(&t->show, STYLE_NONE);
	fputc(' ', t->show.out);
}

static void print_fields(const struct show *sh, const struct callsite *c, const struct value *v, u32 cnt)
{
	bool first = true;
	u32 i;

	for (i = 0; i < cnt; i++) {
		if (!show__is_message(c, v[i].field))
			continue;
		show__value(sh->out, &v[i], false);
		first = false;
	}
	/* without words its name says what happened; names of `tracing` only repeat file and line */
	if (first && (!cnt || strncmp(c->name, "event ", 6) != 0)) {
		show__text(sh->out, c->name);
		first = false;
	}
	for (i = 0; i < cnt; i++) {
		if (show__is_message(c, v[i].field))
			continue;
		if (!first)
			fputc(' ', sh->out);
		first = false;
		show__style(sh, STYLE_FIELD);
		show__text(sh->out, c->field[v[i].field].name);
		show__style(sh, STYLE_NONE);
		fputc('=', sh->out);
		show__value(sh->out, &v[i], true);
	}
}

static int on_event(void *ctx, const struct event *e)
{
	struct text_view *t = ctx;

	line_start(t, e->time_ns, e->callsite, e->thread);
	print_scope(&t->show, idmap__find(&t->spans, e->parent));
	print_target(t, e->callsite);
	print_fields(&t->show, e->callsite, e->value, e->value_cnt);
	fputc('\n', t->show.out);
	return 0;
}

/* A line of a span's life up to where its particulars come. */
static void span_line(struct text_view *t, const struct shown *s, u64 time_ns, const struct thread *thread, const char *what)
{
	line_start(t, time_ns, s->callsite, thread);
	print_scope(&t->show, s);
	print_target(t, s->callsite);
	fputs(what, t->show.out);
}

static void print_why(const struct text_view *t, enum sink_why why)
{
	if (show__why(why))
		fprintf(t->show.out, " (%s)", show__why(why));
	fputc('\n', t->show.out);
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct text_view *t = ctx;
	struct shown *s = calloc(1, sizeof(*s) + o->callsite->field_cnt * sizeof(s->value[0])), *old;
	u32 i;

	if (!s)
		return -ENOMEM;
	*s = (struct shown){ .span = o->span, .callsite = o->callsite, .refs = 1, .open_ns = o->time_ns };
	for (i = 0; i < o->value_cnt; i++) {
		free(s->value[o->value[i].field]);
		s->value[o->value[i].field] = show__value_text(&o->value[i]);
	}
	s->parent = o->parent == o->span ? NULL : idmap__find(&t->spans, o->parent);
	if (s->parent)
		s->parent->refs++;
	old = idmap__remove(&t->spans, o->span);
	put_shown(old);
	if (idmap__put(&t->spans, o->span, s) < 0) {
		put_shown(s);
		return -ENOMEM;
	}
	if (t->show.spans) {
		span_line(t, s, o->time_ns, o->thread, "new");
		if (o->flags & SPAN_BEFORE)
			fputs(" (opened before the recording)", t->show.out);
		if (o->flags & SPAN_FIELDS_LOST)
			fputs(" (fields lost)", t->show.out);
		if (o->lost_parent)
			fprintf(t->show.out, " (parent 0x%" PRIx64 " unknown)", o->lost_parent);
		fputc('\n', t->show.out);
	}
	return 0;
}

static int on_enter(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct text_view *t = ctx;
	struct shown *s = idmap__find(&t->spans, span);

	if (!s)
		return 0;
	busy__enter(&s->busy, time_ns);
	if (t->show.spans) {
		span_line(t, s, time_ns, thread, "enter");
		fputc('\n', t->show.out);
	}
	return 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *thread, u64 time_ns, enum sink_why why)
{
	struct text_view *t = ctx;
	struct shown *s = idmap__find(&t->spans, span);

	if (!s)
		return 0;
	busy__exit(&s->busy, time_ns);
	if (t->show.spans) {
		span_line(t, s, time_ns, thread, "exit");
		print_why(t, why);
	}
	return 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct text_view *t = ctx;
	struct shown *s = idmap__remove(&t->spans, span);
	u64 life;

	if (!s)
		return 0;
	if (t->show.spans) {
		life = time_ns > s->open_ns ? time_ns - s->open_ns : 0;
		span_line(t, s, time_ns, NULL, "close time.busy=");
		show__duration(t->show.out, s->busy.total_ns);
		fputs(" time.idle=", t->show.out);
		show__duration(t->show.out, life > s->busy.total_ns ? life - s->busy.total_ns : 0);
		print_why(t, why);
	}
	put_shown(s);
	return 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *thread, u64 time_ns)
{
	struct text_view *t = ctx;
	struct shown *s = idmap__find(&t->spans, span);

	if (!s || v->field >= s->callsite->field_cnt)
		return 0;
	free(s->value[v->field]);
	s->value[v->field] = show__value_text(v);
	if (t->show.spans) {
		span_line(t, s, time_ns, thread, "record ");
		show__text(t->show.out, c->field[v->field].name);
		fputc('\n', t->show.out);
	}
	return 0;
}

static int on_follows(void *ctx, u64 span, u64 follows, struct thread *thread, u64 time_ns)
{
	struct text_view *t = ctx;
	struct shown *s = idmap__find(&t->spans, span), *before = idmap__find(&t->spans, follows);

	if (!s || !t->show.spans)
		return 0;
	span_line(t, s, time_ns, thread, "follows from ");
	if (before)
		print_span(&t->show, before);
	else
		fprintf(t->show.out, "span %" PRIu64, follows);
	fputc('\n', t->show.out);
	return 0;
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct text_view *t = ctx;
	FILE *f = t->show.out;

	show__style(&t->show, STYLE_DIM);
	show__time(f, t->show.unix_ns(t->show.ctx, l->to_ns), 6);
	show__style(&t->show, STYLE_NONE);
	fprintf(f, "  LOSS %" PRIu64 " records lost: %s", l->count, loss_cause__label(l->cause));
	if (l->callsite) {
		fputs(" of ", f);
		show__text(f, l->callsite->name);
	}
	if (l->thread) {
		fputs(" on ", f);
		show__thread(f, l->thread);
	}
	fputc('\n', f);
	return 0;
}

static int on_trigger(void *ctx, const struct sink_trigger *g)
{
	struct text_view *t = ctx;
	FILE *f = t->show.out;

	show__style(&t->show, STYLE_DIM);
	show__time(f, t->show.unix_ns(t->show.ctx, g->time_ns), 6);
	show__style(&t->show, STYLE_NONE);
	fputs("  ", f);
	show__trigger(f, g);
	return 0;
}

static void free_text(void *ctx)
{
	struct text_view *t = ctx;
	struct shown *s;
	u64 i;

	for (i = 0; (s = idmap__next(&t->spans, &i));)
		put_shown(s);
	idmap__done(&t->spans);
	free(t);
}

int view__text(struct view *v, const struct show *s)
{
	static const struct sink_ops ops = {
		.span_open = on_open,	.span_enter = on_enter,	    .span_exit = on_exit_span, .span_close = on_close,
		.span_value = on_value, .span_follows = on_follows, .event = on_event,	       .loss = on_loss,
		.trigger = on_trigger,
	};
	struct text_view *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->show = *s;
	*v = (struct view){ .sink = { &ops, t }, .free = free_text };
	return 0;
}
