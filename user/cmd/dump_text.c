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
#include "base/nearmap.h"

#define SCOPE_MAX 32

/* A span that is open, or has a child that is. */
struct shown {
	struct shown *next_free;
	u64 span;
	const struct callsite *callsite;
	struct shown *parent;
	u32 refs; /* its being open, and each child */
	u64 open_ns;
	struct busy busy;
	/* kept as they are: most are never printed */
	u64 has; /* bit per field */
	u32 cap;
	struct value *value; /* by field; texts are copies */
};

struct text_view {
	struct show show; /* out: through `out` only */
	struct nearmap spans;
	struct shown *free_spans;
	struct stamp stamp;
	struct outbuf out;
};

/* --- spans that are open ------------------------------------------------------------------------------------- */

static bool has_text(const struct value *v)
{
	return v->type == WIRE_T_STR || v->type == WIRE_T_BYTES || v->type == WIRE_T_ERROR;
}

static void drop_value(struct shown *s, u32 field)
{
	if ((s->has >> field & 1) && has_text(&s->value[field]))
		free((char *)s->value[field].text);
	s->has &= ~(1ULL << field);
}

static int keep_value(struct shown *s, const struct value *v)
{
	struct value copy = *v;
	char *text;

	if (v->field >= s->callsite->field_cnt)
		return 0;
	if (has_text(v)) {
		text = malloc(v->text_bytes + 1);
		if (!text)
			return -ENOMEM;
		memcpy(text, v->text_bytes ? v->text : "", v->text_bytes);
		copy.text = text;
	}
	drop_value(s, v->field);
	s->value[v->field] = copy;
	s->has |= 1ULL << v->field;
	return 0;
}

static void put_shown(struct text_view *t, struct shown *s)
{
	struct shown *parent;

	for (; s && !--s->refs; s = parent) {
		parent = s->parent;
		while (s->has)
			drop_value(s, (u32)__builtin_ctzll(s->has));
		s->next_free = t->free_spans;
		t->free_spans = s;
	}
}

static struct shown *new_shown(struct text_view *t, const struct callsite *c)
{
	struct shown *s = t->free_spans;
	struct value *value;

	if (s)
		t->free_spans = s->next_free;
	else
		s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	if (s->cap < c->field_cnt) {
		value = realloc(s->value, c->field_cnt * sizeof(*value));
		if (!value) {
			free(s->value);
			free(s);
			return NULL;
		}
		s->value = value;
		s->cap = c->field_cnt;
	}
	*s = (struct shown){ .callsite = c, .refs = 1, .cap = s->cap, .value = s->value };
	return s;
}

/* --- pieces of lines ----------------------------------------------------------------------------------------- */

static void put_style(struct text_view *t, int style)
{
	if (!t->show.color)
		return;
	outbuf__flush(&t->out);
	show__style(&t->show, style);
}

static void put_text(struct text_view *t, const char *text)
{
	outbuf__text(&t->out, text, strlen(text));
}

static void put_value(struct text_view *t, const struct value *v, bool quoted)
{
	if (v->flags) {
		show__value(outbuf__file(&t->out), v, quoted);
		return;
	}
	switch (v->type) {
	case WIRE_T_I32:
	case WIRE_T_I64:
		outbuf__s64(&t->out, v->i);
		break;
	case WIRE_T_U32:
	case WIRE_T_U64:
		outbuf__u64(&t->out, v->u);
		break;
	case WIRE_T_STR:
		if (quoted) {
			outbuf__quote(&t->out, v->text, v->text_bytes);
			break;
		}
		/* fall through */
	case WIRE_T_ERROR:
		outbuf__text(&t->out, v->text, v->text_bytes);
		break;
	default:
		show__value(outbuf__file(&t->out), v, quoted);
	}
}

static void print_span(struct text_view *t, const struct shown *s)
{
	u32 i, cnt = 0;

	put_style(t, STYLE_BOLD);
	put_text(t, s->callsite->name);
	put_style(t, STYLE_NONE);
	for (i = 0; i < s->callsite->field_cnt; i++) {
		if (!(s->has >> i & 1))
			continue;
		outbuf__putc(&t->out, cnt++ ? ' ' : '{');
		put_text(t, s->callsite->field[i].name);
		outbuf__putc(&t->out, '=');
		put_value(t, &s->value[i], true);
	}
	if (cnt)
		outbuf__putc(&t->out, '}');
}

/* Root first; of a deep scope the innermost spans. A loop cannot be: parents are older. */
static void print_scope(struct text_view *t, const struct shown *leaf)
{
	const struct shown *scope[SCOPE_MAX], *s;
	u32 depth = 0;

	for (s = leaf; s && depth < SCOPE_MAX; s = s->parent)
		scope[depth++] = s;
	if (s)
		OUTBUF_LIT(&t->out, "...:");
	while (depth-- > 0) {
		print_span(t, scope[depth]);
		outbuf__putc(&t->out, ':');
	}
	if (leaf)
		outbuf__putc(&t->out, ' ');
}

static void put_time(struct text_view *t, u64 time_ns)
{
	s64 unix_ns = t->show.unix_ns(t->show.ctx, time_ns);
	u32 ns = stamp__ns(&t->stamp, unix_ns);

	put_style(t, STYLE_DIM);
	outbuf__put(&t->out, t->stamp.text, t->stamp.bytes);
	outbuf__fixed(&t->out, ns / 1000, 6);
	outbuf__putc(&t->out, 'Z');
	put_style(t, STYLE_NONE);
}

static void line_start(struct text_view *t, u64 time_ns, const struct callsite *c, const struct thread *thread)
{
	const char *level = show__level(c->level);

	put_time(t, time_ns);
	outbuf__putc(&t->out, ' ');
	put_style(t, STYLE_LEVEL + c->level);
	outbuf__put(&t->out, "     ", 5 - MIN(strlen(level), (size_t)5));
	outbuf__puts(&t->out, level);
	put_style(t, STYLE_NONE);
	outbuf__putc(&t->out, ' ');
	if (t->show.threads && thread) {
		show__thread(outbuf__file(&t->out), thread);
		outbuf__putc(&t->out, ' ');
	}
}

static void print_target(struct text_view *t, const struct callsite *c)
{
	put_style(t, STYLE_DIM);
	put_text(t, c->target);
	outbuf__putc(&t->out, ':');
	put_style(t, STYLE_NONE);
	outbuf__putc(&t->out, ' ');
}

static void print_fields(struct text_view *t, const struct callsite *c, const struct value *v, u32 cnt)
{
	bool first = true;
	u32 i;

	for (i = 0; i < cnt; i++) {
		if (!show__is_message(c, v[i].field))
			continue;
		put_value(t, &v[i], false);
		first = false;
	}
	/* without words its name says what happened; names of `tracing` only repeat file and line */
	if (first && (!cnt || strncmp(c->name, "event ", 6) != 0)) {
		put_text(t, c->name);
		first = false;
	}
	for (i = 0; i < cnt; i++) {
		if (show__is_message(c, v[i].field))
			continue;
		if (!first)
			outbuf__putc(&t->out, ' ');
		first = false;
		put_style(t, STYLE_FIELD);
		put_text(t, c->field[v[i].field].name);
		put_style(t, STYLE_NONE);
		outbuf__putc(&t->out, '=');
		put_value(t, &v[i], true);
	}
}

static int end_line(struct text_view *t)
{
	outbuf__putc(&t->out, '\n');
	return 0;
}

/* --- the sink -------------------------------------------------------------------------------------------------- */

static int on_event(void *ctx, const struct event *e)
{
	struct text_view *t = ctx;

	line_start(t, e->time_ns, e->callsite, e->thread);
	print_scope(t, nearmap__find(&t->spans, e->parent));
	print_target(t, e->callsite);
	print_fields(t, e->callsite, e->value, e->value_cnt);
	return end_line(t);
}

/* A line of a span's life up to where its particulars come. */
static void span_line(struct text_view *t, const struct shown *s, u64 time_ns, const struct thread *thread, const char *what)
{
	line_start(t, time_ns, s->callsite, thread);
	print_scope(t, s);
	print_target(t, s->callsite);
	outbuf__puts(&t->out, what);
}

static void print_why(struct text_view *t, enum sink_why why)
{
	if (show__why(why)) {
		OUTBUF_LIT(&t->out, " (");
		outbuf__puts(&t->out, show__why(why));
		outbuf__putc(&t->out, ')');
	}
	end_line(t);
}

/* NULL: no memory. */
static struct shown *open_span(struct text_view *t, const struct span_open *o)
{
	struct shown *s = new_shown(t, o->callsite), *old = nearmap__find(&t->spans, o->span);
	u32 i;

	if (!s)
		return NULL;
	s->span = o->span;
	s->open_ns = o->time_ns;
	for (i = 0; i < o->value_cnt; i++)
		if (keep_value(s, &o->value[i]) < 0)
			goto fail;
	s->parent = !o->parent || o->parent == o->span ? NULL : nearmap__find(&t->spans, o->parent);
	if (s->parent)
		s->parent->refs++;
	if (old)
		nearmap__remove(&t->spans, o->span);
	put_shown(t, old);
	if (nearmap__add(&t->spans, o->span, s) < 0)
		goto fail;
	return s;
fail:
	put_shown(t, s);
	return NULL;
}

static void tell_open(struct text_view *t, const struct shown *s, const struct span_open *o)
{
	span_line(t, s, o->time_ns, o->thread, "new");
	if (o->flags & SPAN_BEFORE)
		OUTBUF_LIT(&t->out, " (opened before the recording)");
	if (o->flags & SPAN_FIELDS_LOST)
		OUTBUF_LIT(&t->out, " (fields lost)");
	if (o->lost_parent)
		fprintf(outbuf__file(&t->out), " (parent 0x%" PRIx64 " unknown)", o->lost_parent);
	end_line(t);
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct text_view *t = ctx;
	struct shown *s = open_span(t, o);

	if (s && t->show.spans)
		tell_open(t, s, o);
	return s ? 0 : -ENOMEM;
}

static void enter_span(struct text_view *t, struct shown *s, struct thread *thread, u64 time_ns)
{
	busy__enter(&s->busy, time_ns);
	if (t->show.spans) {
		span_line(t, s, time_ns, thread, "enter");
		end_line(t);
	}
}

static void exit_span(struct text_view *t, struct shown *s, struct thread *thread, u64 time_ns, enum sink_why why)
{
	busy__exit(&s->busy, time_ns);
	if (t->show.spans) {
		span_line(t, s, time_ns, thread, "exit");
		print_why(t, why);
	}
}

static void tell_close(struct text_view *t, const struct shown *s, u64 time_ns, enum sink_why why)
{
	u64 life = time_ns > s->open_ns ? time_ns - s->open_ns : 0;
	FILE *f;

	span_line(t, s, time_ns, NULL, "close time.busy=");
	f = outbuf__file(&t->out);
	show__duration(f, s->busy.total_ns);
	fputs(" time.idle=", f);
	show__duration(f, life > s->busy.total_ns ? life - s->busy.total_ns : 0);
	print_why(t, why);
}

static void close_span(struct text_view *t, struct shown *s, u64 time_ns, enum sink_why why)
{
	nearmap__remove(&t->spans, s->span);
	if (t->show.spans)
		tell_close(t, s, time_ns, why);
	put_shown(t, s);
}

static int on_begin(void *ctx, const struct span_open *o)
{
	struct text_view *t = ctx;
	struct shown *s = open_span(t, o);

	if (!s)
		return -ENOMEM;
	if (t->show.spans)
		tell_open(t, s, o);
	enter_span(t, s, o->thread, o->time_ns);
	return 0;
}

static int on_end(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct text_view *t = ctx;
	struct shown *s = nearmap__find(&t->spans, span);

	if (s) {
		exit_span(t, s, thread, time_ns, SINK_OWN);
		close_span(t, s, time_ns, SINK_OWN);
	}
	return 0;
}

static int on_enter(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct text_view *t = ctx;
	struct shown *s = nearmap__find(&t->spans, span);

	if (s)
		enter_span(t, s, thread, time_ns);
	return 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *thread, u64 time_ns, enum sink_why why)
{
	struct text_view *t = ctx;
	struct shown *s = nearmap__find(&t->spans, span);

	if (s)
		exit_span(t, s, thread, time_ns, why);
	return 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct text_view *t = ctx;
	struct shown *s = nearmap__find(&t->spans, span);

	if (s)
		close_span(t, s, time_ns, why);
	return 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *thread, u64 time_ns)
{
	struct text_view *t = ctx;
	struct shown *s = nearmap__find(&t->spans, span);

	if (!s || v->field >= s->callsite->field_cnt)
		return 0;
	if (keep_value(s, v) < 0)
		return -ENOMEM;
	if (t->show.spans) {
		span_line(t, s, time_ns, thread, "record ");
		put_text(t, c->field[v->field].name);
		end_line(t);
	}
	return 0;
}

static int on_follows(void *ctx, u64 span, u64 follows, struct thread *thread, u64 time_ns)
{
	struct text_view *t = ctx;
	struct shown *s = nearmap__find(&t->spans, span), *before = nearmap__find(&t->spans, follows);

	if (!s || !t->show.spans)
		return 0;
	span_line(t, s, time_ns, thread, "follows from ");
	if (before) {
		print_span(t, before);
	} else {
		OUTBUF_LIT(&t->out, "span ");
		outbuf__u64(&t->out, follows);
	}
	return end_line(t);
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct text_view *t = ctx;
	FILE *f;

	put_time(t, l->to_ns);
	f = outbuf__file(&t->out);
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

	put_time(t, g->time_ns);
	OUTBUF_LIT(&t->out, "  ");
	show__trigger(outbuf__file(&t->out), g);
	return 0;
}

static int flush(void *ctx)
{
	struct text_view *t = ctx;

	outbuf__flush(&t->out);
	return t->out.error;
}

static void free_text(void *ctx)
{
	struct text_view *t = ctx;
	struct shown *s;
	u64 i;

	flush(t);
	/* putting those that are open lets go of the closed ones that they hold */
	for (i = 0; (s = nearmap__next(&t->spans, &i));)
		put_shown(t, s);
	while ((s = t->free_spans)) {
		t->free_spans = s->next_free;
		free(s->value);
		free(s);
	}
	nearmap__done(&t->spans);
	free(t);
}

int view__text(struct view *v, const struct show *s)
{
	static const struct sink_ops ops = {
		.span_open = on_open,	.span_enter = on_enter,	    .span_exit = on_exit_span, .span_close = on_close,
		.span_value = on_value, .span_follows = on_follows, .event = on_event,	       .loss = on_loss,
		.trigger = on_trigger,	.span_begin = on_begin,	    .span_end = on_end,
	};
	struct text_view *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->show = *s;
	outbuf__init(&t->out, s->out);
	*v = (struct view){ .sink = { &ops, t }, .flush = flush, .free = free_text };
	return 0;
}
