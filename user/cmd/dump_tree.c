/* SPDX-License-Identifier: MIT */
/*
 * dump_tree.c - spans as trees: each root with what happened under it, printed when all of it is closed.
 *
 *   2023-11-14T22:13:20.000001Z demo: work{n=42} 600ns, busy 400ns [main/1234]
 *   └─ +200ns WARN ev: hi
 *
 * The number after + is the time since the root was opened. Events outside of all spans stand alone, in their place.
 *
 * Memory is what is under roots that are open, and a root may be open as long as the program runs. So the nodes kept
 * are bounded (--max-nodes): beyond that all trees are printed as far as they have come, what is closed in them is
 * forgotten, and spans that are open are marked "continued below" and stay, for the rest to hang under. Only spans
 * that are open at one time count beyond the bound.
 */
#include "cmd/show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/codes.h"
#include "base/idmap.h"

struct node {
	struct node *parent, *next, *first, *last; /* siblings; children in order of time */
	struct node *root;
	const struct callsite *callsite;
	u64 time_ns, close_ns;
	struct busy busy;
	const struct thread *thread;
	enum sink_why why;
	u8 flags;
	bool is_span, open, continued;
	u32 open_cnt; /* of a root: spans open in its tree, itself included */
	char *text;   /* event: its line's end; span: NULL */
	struct node *next_root, **root_link;
	char *value[]; /* of a span, one a field */
};

struct tree_view {
	struct show show;
	struct idmap spans;
	struct node *roots;
	struct node **roots_end;
	u64 nodes, limit;
};

#define INDENT_MAX 64 /* levels that are drawn; deeper ones stand below each other */

static void free_node(struct tree_view *t, struct node *n)
{
	u32 i;

	if (n->is_span)
		for (i = 0; i < n->callsite->field_cnt; i++)
			free(n->value[i]);
	free(n->text);
	free(n);
	t->nodes--;
}

static void append_child(struct node *parent, struct node *n)
{
	n->parent = parent;
	n->next = NULL;
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
}

/* --- printing ------------------------------------------------------------------------------------------ */

static void print_marks(const struct show *sh, const struct node *n)
{
	FILE *f = sh->out;

	if (n->continued)
		fputs(" (continued from above)", f);
	if (n->flags & SPAN_BEFORE)
		fputs(" (opened before the recording)", f);
	if (n->flags & SPAN_FIELDS_LOST)
		fputs(" (fields lost)", f);
	if (n->open)
		fputs(" (open, continued below)", f);
	switch (n->why) {
	case SINK_OWN:
	case SINK_ELSEWHERE: /* of exits only */
		break;
	case SINK_ABANDONED:
		fputs(" (abandoned: an outer span ended first)", f);
		break;
	case SINK_CUT:
		fputs(" (unfinished: cut at the end of the recording)", f);
		break;
	case SINK_THREAD_END:
		fputs(" (unfinished: its thread ended)", f);
		break;
	case SINK_PROCESS_END:
		fputs(" (unfinished: its process ended)", f);
		break;
	case SINK_LOST:
		fputs(" (its end was lost)", f);
		break;
	case SINK_REOPENED:
		fputs(" (its number was opened again)", f);
		break;
	}
}

static void print_span(const struct show *sh, const struct node *n)
{
	FILE *f = sh->out;
	u64 life = n->close_ns > n->time_ns ? n->close_ns - n->time_ns : 0;
	u32 i, cnt = 0;

	if (!n->parent || strcmp(n->callsite->target, n->parent->callsite->target) != 0) {
		show__style(sh, STYLE_DIM);
		show__text(f, n->callsite->target);
		fputs(": ", f);
		show__style(sh, STYLE_NONE);
	}
	show__style(sh, STYLE_BOLD);
	show__text(f, n->callsite->name);
	show__style(sh, STYLE_NONE);
	for (i = 0; i < n->callsite->field_cnt; i++) {
		if (!n->value[i])
			continue;
		fputc(cnt++ ? ' ' : '{', f);
		show__text(f, n->callsite->field[i].name);
		fprintf(f, "=%s", n->value[i]);
	}
	fputs(cnt ? "} " : " ", f);
	if (!n->open) {
		show__duration(f, life);
		if (n->busy.entries && n->busy.total_ns < life - life / 100) {
			fputs(", busy ", f);
			show__duration(f, n->busy.total_ns);
		}
	}
	if (n->busy.entries > 1)
		fprintf(f, ", entered %" PRIu64 " times", n->busy.entries);
	if (n->thread && (!n->parent || n->parent->thread != n->thread)) {
		fputs(" [", f);
		show__thread(f, n->thread);
		fputc(']', f);
	}
	print_marks(sh, n);
}

static void print_time(const struct show *sh, const struct node *n)
{
	show__style(sh, STYLE_DIM);
	if (!n->parent) {
		show__time(sh->out, sh->unix_ns(sh->ctx, n->time_ns), 6);
	} else {
		fputc(n->time_ns >= n->root->time_ns ? '+' : '-', sh->out);
		show__duration(sh->out, n->time_ns >= n->root->time_ns ? n->time_ns - n->root->time_ns :
									 n->root->time_ns - n->time_ns);
	}
	show__style(sh, STYLE_NONE);
	fputc(' ', sh->out);
}

static void print_line(const struct show *sh, const struct node *n)
{
	static const char *const bar = "\u2502  ", *const tee = "\u251c\u2500 ", *const corner = "\u2514\u2500 ", *const blank = "   ";
	const struct node *path[INDENT_MAX], *p;
	int depth = 0;

	for (p = n; p->parent && depth < INDENT_MAX; p = p->parent)
		path[depth++] = p;
	while (depth-- > 1)
		fputs(path[depth]->next ? bar : blank, sh->out);
	if (n->parent)
		fputs(n->next ? tee : corner, sh->out);
	print_time(sh, n);
	if (n->is_span)
		print_span(sh, n);
	else
		fputs(n->text, sh->out);
	fputc('\n', sh->out);
}

/* The next node in the order of printing; NULL behind the last. */
static struct node *next_node(struct node *n)
{
	if (n->first)
		return n->first;
	while (n && !n->next)
		n = n->parent;
	return n ? n->next : NULL;
}

static void print_tree(const struct show *sh, struct node *root)
{
	struct node *n;

	for (n = root; n; n = next_node(n))
		print_line(sh, n);
}

static void unlink_root(struct tree_view *t, struct node *root)
{
	*root->root_link = root->next_root;
	if (root->next_root)
		root->next_root->root_link = root->root_link;
	else
		t->roots_end = root->root_link;
}

/* To the first node without children; the lists on the way are emptied, for prune to fill again. */
static struct node *descend(struct node *n)
{
	struct node *child;

	while ((child = n->first)) {
		n->first = n->last = NULL;
		n = child;
	}
	return n;
}

/* Free all that is closed and has nothing open below it. No recursion: a tape may nest deeply. */
static void prune(struct tree_view *t, struct node *root)
{
	struct node *n = descend(root), *parent, *next;
	bool keep;

	for (;;) {
		keep = n->open || n->first;
		parent = n->parent;
		next = n->next;
		n->continued = keep;
		if (n == root) {
			if (!keep) {
				unlink_root(t, n);
				free_node(t, n);
			}
			return;
		}
		if (keep)
			append_child(parent, n);
		else
			free_node(t, n);
		n = next ? descend(next) : parent;
	}
}

static void print_all(struct tree_view *t)
{
	struct node *root, *next;

	for (root = t->roots; root; root = next) {
		next = root->next_root;
		print_tree(&t->show, root);
		prune(t, root);
	}
	/* what is left is open: room for as much again as the bound says */
	t->limit = t->nodes + t->show.max_nodes;
}

/* --- building ------------------------------------------------------------------------------------------ */

static struct node *new_node(struct tree_view *t, const struct callsite *c, u32 values, struct node *parent)
{
	struct node *n;

	if (t->nodes >= t->limit)
		print_all(t);
	n = calloc(1, sizeof(*n) + values * sizeof(n->value[0]));
	if (!n)
		return NULL;
	t->nodes++;
	n->callsite = c;
	if (parent) {
		n->root = parent->root;
		append_child(parent, n);
		return n;
	}
	n->root = n;
	n->root_link = t->roots_end;
	*t->roots_end = n;
	t->roots_end = &n->next_root;
	return n;
}

static void set_value(struct node *n, const struct value *v)
{
	if (v->field >= n->callsite->field_cnt)
		return;
	free(n->value[v->field]);
	n->value[v->field] = show__value_text(v);
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct tree_view *t = ctx;
	struct node *parent = o->parent == o->span ? NULL : idmap__find(&t->spans, o->parent), *n;
	u32 i;

	n = new_node(t, o->callsite, o->callsite->field_cnt, parent);
	if (!n)
		return -ENOMEM;
	n->is_span = true;
	n->time_ns = o->time_ns;
	n->thread = o->thread;
	n->flags = o->flags;
	n->open = true;
	n->root->open_cnt++;
	for (i = 0; i < o->value_cnt; i++)
		set_value(n, &o->value[i]);
	/* a number that is in use would be a tape's lie: the older span stays open to the end */
	return idmap__put(&t->spans, o->span, n);
}

static int on_enter(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct tree_view *t = ctx;
	struct node *n = idmap__find(&t->spans, span);

	if (!n)
		return 0;
	busy__enter(&n->busy, time_ns);
	if (!n->thread)
		n->thread = thread;
	return 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *thread, u64 time_ns, enum sink_why why)
{
	struct tree_view *t = ctx;
	struct node *n = idmap__find(&t->spans, span);

	if (n)
		busy__exit(&n->busy, time_ns);
	return 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct tree_view *t = ctx;
	struct node *n = idmap__remove(&t->spans, span), *root;

	if (!n)
		return 0;
	n->open = false;
	n->close_ns = time_ns;
	n->why = why;
	root = n->root;
	if (--root->open_cnt)
		return 0;
	print_tree(&t->show, root);
	prune(t, root);
	if (t->limit > t->show.max_nodes)
		t->limit = MAX(t->show.max_nodes, t->nodes);
	return 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *thread, u64 time_ns)
{
	struct tree_view *t = ctx;
	struct node *n = idmap__find(&t->spans, span);

	if (n)
		set_value(n, v);
	return 0;
}

/* "WARN ev: message a=1", with the target where it is not the parent's */
static char *event_text(const struct tree_view *t, const struct event *e, const struct node *parent)
{
	const struct callsite *c = e->callsite;
	struct show sh = t->show;
	char *text = NULL;
	size_t bytes;
	u32 i, pass, n = 0;
	bool named;

	sh.out = open_memstream(&text, &bytes);
	if (!sh.out)
		return NULL;
	show__style(&sh, STYLE_LEVEL + c->level);
	fputs(show__level(c->level), sh.out);
	show__style(&sh, STYLE_NONE);
	fputc(' ', sh.out);
	if (!parent || strcmp(c->target, parent->callsite->target) != 0) {
		show__text(sh.out, c->target);
		fputs(": ", sh.out);
	}
	/* `tracing` names events after file and line: that says less than their words */
	named = !e->value_cnt || strncmp(c->name, "event ", 6) != 0;
	if (named)
		show__text(sh.out, c->name);
	if (named && e->value_cnt)
		fputs(": ", sh.out);
	for (pass = 0; pass < 2; pass++) { /* the message first */
		for (i = 0; i < e->value_cnt; i++) {
			if (show__is_message(c, e->value[i].field) != !pass)
				continue;
			if (n++)
				fputc(' ', sh.out);
			if (pass) {
				show__text(sh.out, c->field[e->value[i].field].name);
				fputc('=', sh.out);
			}
			show__value(sh.out, &e->value[i], pass);
		}
	}
	if (e->thread && (!parent || parent->thread != e->thread)) {
		fputs(" [", sh.out);
		show__thread(sh.out, e->thread);
		fputc(']', sh.out);
	}
	return fclose(sh.out) ? NULL : text;
}

static int on_event(void *ctx, const struct event *e)
{
	struct tree_view *t = ctx;
	struct node *parent = idmap__find(&t->spans, e->parent), *n;
	char *text = event_text(t, e, parent);

	if (!text)
		return -ENOMEM;
	if (!parent) {
		struct node alone = { .callsite = e->callsite, .time_ns = e->time_ns, .text = text };

		print_line(&t->show, &alone);
		free(text);
		return 0;
	}
	n = new_node(t, e->callsite, 0, parent);
	if (!n) {
		free(text);
		return -ENOMEM;
	}
	n->time_ns = e->time_ns;
	n->text = text;
	return 0;
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct tree_view *t = ctx;
	FILE *f = t->show.out;

	show__time(f, t->show.unix_ns(t->show.ctx, l->to_ns), 6);
	fprintf(f, " LOSS %" PRIu64 " records lost: %s\n", l->count, loss_cause__label(l->cause));
	return 0;
}

static int on_trigger(void *ctx, const struct sink_trigger *g)
{
	struct tree_view *t = ctx;

	show__time(t->show.out, t->show.unix_ns(t->show.ctx, g->time_ns), 6);
	fputc(' ', t->show.out);
	show__trigger(t->show.out, g);
	return 0;
}

static void finish(void *ctx)
{
	print_all(ctx);
}

static void free_tree(void *ctx)
{
	struct tree_view *t = ctx;
	struct node *n, *root, *next;
	u64 i;

	/* after a failure trees are left: nothing of them is to be kept */
	for (i = 0; (n = idmap__next(&t->spans, &i));)
		n->open = false;
	for (root = t->roots; root; root = next) {
		next = root->next_root;
		prune(t, root);
	}
	idmap__done(&t->spans);
	free(t);
}

int view__tree(struct view *v, const struct show *s)
{
	static const struct sink_ops ops = {
		.span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span, .span_close = on_close,
		.span_value = on_value, .event = on_event, .loss = on_loss, .trigger = on_trigger,
	};
	struct tree_view *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->show = *s;
	if (!t->show.max_nodes)
		t->show.max_nodes = 1000000;
	t->limit = t->show.max_nodes;
	t->roots_end = &t->roots;
	*v = (struct view){ .sink = { &ops, t }, .finish = finish, .free = free_tree };
	return 0;
}
