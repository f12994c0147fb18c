/* SPDX-License-Identifier: MIT */
#include "fold/fold_priv.h"

#include <errno.h>
#include <string.h>

void fold_opts__defaults(struct fold_opts *o, enum fold_style style)
{
	*o = (struct fold_opts){ .style = style };
	o->module_path = style == FOLD_FLAME || style == FOLD_FLAME_02;
	o->empty_samples = o->module_path;
	o->file_and_line = style == FOLD_FLAME_02;
}

const char *fold_style__separator(enum fold_style style)
{
	return style == FOLD_FLAME_02 || style == FOLD_TRACE_TOOLS ? "; " : ";";
}

const char *fold_opts__unit(const struct fold_opts *o)
{
	if (o->style == FOLD_STACK && o->weight == FOLD_COUNT)
		return "spans";
	return o->style == FOLD_TRACE_TOOLS ? "us" : "ns";
}

int fold__add(struct fold *f, u32 node, u64 value)
{
	stacks__add(f->stacks, node, f->opts.side, value);
	return f->opts.sample ? f->opts.sample(f->opts.ctx, node, value) : 0;
}

/* --- spans ------------------------------------------------------------------------------------------------- */

static struct fold_span *new_span(struct fold *f, u64 number)
{
	struct fold_span *s = f->free_spans;

	if (s)
		f->free_spans = s->next_free;
	else
		s = malloc(sizeof(*s));
	if (!s)
		return NULL;
	if (nearmap__add(&f->spans, number, s)) {
		free(s);
		return NULL;
	}
	*s = (struct fold_span){ .number = number, .refs = 1 };
	return s;
}

/* Out of the map. NULL: there is none. */
static struct fold_span *take_span(struct fold *f, u64 number)
{
	struct fold_span *s = nearmap__find(&f->spans, number);

	if (s)
		nearmap__remove(&f->spans, number);
	return s;
}

/* A closed span stays while its children do: their chains go through it. */
static void put_span(struct fold *f, struct fold_span *s)
{
	struct fold_span *parent;

	for (; s && !--s->refs; s = parent) {
		parent = s->parent;
		s->next_free = f->free_spans;
		f->free_spans = s;
	}
}

static int keep_chain(struct fold *f, u32 cnt)
{
	struct fold_span **more;

	if (cnt < f->chain_cap)
		return 0;
	more = realloc(f->chain, MAX(f->chain_cap * 2, 64u) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	f->chain = more;
	f->chain_cap = MAX(f->chain_cap * 2, 64u);
	return 0;
}

/* Parents may be many: no recursion. */
s64 fold__chain(struct fold *f, struct fold_span *s, u32 root)
{
	s64 node = root;
	u32 cnt = 0;

	for (; s; s = s->parent) {
		if (s->placed && s->root == root) {
			node = s->node;
			break;
		}
		if (keep_chain(f, cnt))
			return -ENOMEM;
		f->chain[cnt++] = s;
	}
	while (cnt--) {
		s = f->chain[cnt];
		if (s->shown != FOLD_HIDDEN)
			node = stacks__child(f->stacks, (u32)node, s->frame);
		if (node < 0)
			return node;
		s->placed = true;
		s->root = root;
		s->node = (u32)node;
	}
	return node;
}

/* --- threads ----------------------------------------------------------------------------------------------- */

/* The thread, and the node below which its stacks are. */
static struct fold_thread *placed_thread(struct fold *f, struct thread *thread)
{
	struct fold_thread *t = thread ? fold_threads__get(&f->threads, thread) : NULL;
	s64 root;

	if (!t || t->placed)
		return t;
	root = fold__thread_root(f, t);
	if (root < 0)
		return NULL;
	t->root = (u32)root;
	t->placed = true;
	return t;
}

/* --- the sink ---------------------------------------------------------------------------------------------- */

static int on_thread(void *ctx, struct thread *thread)
{
	struct fold *f = ctx;
	struct fold_thread *t = idmap__find(&f->threads.all, (uintptr_t)thread);

	if (t)
		t->placed = false; /* renamed: from here on */
	return 0;
}

static int on_process(void *ctx, struct process *p)
{
	struct fold *f = ctx;
	struct fold_thread *t;
	u64 i;

	for (i = 0; f->opts.processes && (t = idmap__next(&f->threads.all, &i));)
		if (t->thread->process == p)
			t->placed = false;
	return 0;
}

/* Its frame, and whether it is shown: once a callsite, unless what is shown depends on a span's values. */
static int dress(struct fold *f, struct fold_span *s, const struct span_open *o)
{
	const struct callsite *c = o->callsite;
	struct fold_site *near = &f->near_site[c->id % FOLD_NEAR_SITES];
	s64 frame;

	s->callsite = c;
	if (near->callsite == c) {
		s->frame = near->frame;
		s->shown = near->shown;
		return 0;
	}
	frame = fold__span_frame(f, c, o->value, o->value_cnt);
	if (frame < 0)
		return -ENOMEM;
	s->frame = (u32)frame;
	s->shown = fold__shown(f, c);
	if (f->opts.style != FOLD_TRACE_TOOLS && !(f->opts.style == FOLD_STACK && f->opts.label))
		*near = (struct fold_site){ c, s->frame, s->shown };
	return 0;
}

/* NULL: no memory. */
static struct fold_span *open_span(struct fold *f, const struct span_open *o, struct fold_thread *t)
{
	struct fold_span *s = take_span(f, o->span);

	put_span(f, s); /* a number that is in use would be a tape's lie */
	s = new_span(f, o->span);
	if (!s || dress(f, s, o) || (o->thread && !t))
		return NULL;
	s->parent = o->parent == o->span || !o->parent ? NULL : nearmap__find(&f->spans, o->parent);
	if (s->parent)
		s->parent->refs++;
	return s;
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct fold *f = ctx;
	struct fold_thread *t = placed_thread(f, o->thread);
	struct fold_span *s = open_span(f, o, t);

	if (!s)
		return -ENOMEM;
	return f->ops->open ? f->ops->open(f, s, t, o->time_ns) : 0;
}

static int on_begin(void *ctx, const struct span_open *o)
{
	struct fold *f = ctx;
	struct fold_thread *t = placed_thread(f, o->thread);
	struct fold_span *s = open_span(f, o, t);
	int err;

	if (!s)
		return -ENOMEM;
	err = f->ops->open ? f->ops->open(f, s, t, o->time_ns) : 0;
	return err || !f->ops->enter ? err : f->ops->enter(f, s, t, o->time_ns);
}

static int on_enter(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct fold *f = ctx;
	struct fold_span *s = nearmap__find(&f->spans, span);
	struct fold_thread *t = placed_thread(f, thread);

	if (!s || !f->ops->enter)
		return 0;
	return t ? f->ops->enter(f, s, t, time_ns) : -ENOMEM;
}

static int on_exit_span(void *ctx, u64 span, struct thread *thread, u64 time_ns, enum sink_why why)
{
	struct fold *f = ctx;
	struct fold_span *s = nearmap__find(&f->spans, span);
	struct fold_thread *t = placed_thread(f, thread);

	if (!s || !f->ops->exit)
		return 0;
	return t ? f->ops->exit(f, s, t, time_ns) : -ENOMEM;
}

static int close_span(struct fold *f, struct fold_span *s, u64 time_ns)
{
	int err = f->ops->close ? f->ops->close(f, s, time_ns) : 0;

	put_span(f, s);
	return err;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct fold_span *s = take_span(ctx, span);

	return s ? close_span(ctx, s, time_ns) : 0;
}

static int on_end(void *ctx, u64 span, struct thread *thread, u64 time_ns)
{
	struct fold *f = ctx;
	struct fold_thread *t = placed_thread(f, thread);
	struct fold_span *s = take_span(f, span);
	int err = 0, closed;

	if (!s)
		return 0;
	if (f->ops->exit)
		err = t ? f->ops->exit(f, s, t, time_ns) : -ENOMEM;
	closed = close_span(f, s, time_ns);
	return err ?: closed;
}

/* A label that comes after the opening holds from then on. */
static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *thread, u64 time_ns)
{
	struct fold *f = ctx;
	struct fold_span *s;
	s64 frame;

	if (!f->opts.label || f->opts.style != FOLD_STACK || v->field >= c->field_cnt ||
	    strcmp(c->field[v->field].name, f->opts.label))
		return 0;
	s = nearmap__find(&f->spans, span);
	frame = s ? fold__span_frame(f, c, v, 1) : 0;
	if (frame <= 0)
		return (int)frame;
	s->frame = (u32)frame;
	s->placed = false;
	return 0;
}

struct sink fold__sink(struct fold *f)
{
	static const struct sink_ops ops = {
		.process = on_process, .thread = on_thread, .span_open = on_open, .span_enter = on_enter,
		.span_exit = on_exit_span, .span_close = on_close, .span_value = on_value,
		.span_begin = on_begin, .span_end = on_end,
	};

	return (struct sink){ &ops, f };
}

struct fold *fold__new(const struct fold_opts *o, struct stacks *s)
{
	static const struct fold_ops *const ours[] = {
		[FOLD_SELF] = &fold_stack_ops, [FOLD_BUSY] = &fold_busy_ops, [FOLD_WALL] = &fold_wall_ops,
		[FOLD_COUNT] = &fold_count_ops,
	};
	struct fold *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->opts = *o;
	f->stacks = s;
	f->threads.start_ns = o->start_ns;
	f->ops = o->chart ? &fold_chart_ops : o->style == FOLD_STACK ? ours[o->weight] : &fold_flame_ops;
	return f;
}

void fold__free(struct fold *f)
{
	struct fold_span *s;
	u64 i;

	if (!f)
		return;
	/* those that are open: putting them frees the closed ones that they hold */
	for (i = 0; (s = nearmap__next(&f->spans, &i));)
		put_span(f, s);
	while ((s = f->free_spans)) {
		f->free_spans = s->next_free;
		free(s);
	}
	fold_threads__done(&f->threads);
	nearmap__done(&f->spans);
	idmap__done(&f->frames);
	idmap__done(&f->processes);
	free(f->chain);
	free(f->text);
	free(f);
}
