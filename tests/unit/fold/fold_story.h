/* SPDX-License-Identifier: MIT */
/*
 * fold_story.h - short programs told to a fold, and the lines that come of them. Spans are numbered by the teller.
 *
 *	struct story y;
 *	story__init(&y, &opts);			with the options of a fold
 *	open_(&y, 1, &callsite, parent, thread, t); enter(&y, 1, thread, t); ...
 *	story__expect(&y, "lines as they came\n");
 *	story__merged(&y, "lines merged and sorted\n");
 *	story__done(&y);
 */
#ifndef TAPEBPF_FOLD_STORY_H
#define TAPEBPF_FOLD_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fold/fold.h"
#include "fold/folded.h"

struct story {
	struct fold *fold;
	struct sink sink;
	struct stacks *stacks;
	struct folded_form form;
	FILE *out;
	char *text;
	size_t bytes;
};

static inline int story__sample(void *ctx, u32 node, u64 value)
{
	struct story *y = ctx;

	folded__line(y->out, &y->form, y->stacks, node, value);
	return 0;
}

static inline void story__init(struct story *y, const struct fold_opts *opts)
{
	struct fold_opts o = *opts;

	*y = (struct story){ .form = { .separator = fold_style__separator(o.style), .zeros = o.style != FOLD_STACK } };
	y->out = open_memstream(&y->text, &y->bytes);
	y->stacks = stacks__new();
	o.sample = story__sample;
	o.ctx = y;
	y->fold = fold__new(&o, y->stacks);
	assert_non_null(y->fold);
	y->sink = fold__sink(y->fold);
}

static inline void story__done(struct story *y)
{
	fold__free(y->fold);
	stacks__free(y->stacks);
	fclose(y->out);
	free(y->text);
}

static inline void story__expect(struct story *y, const char *lines)
{
	fflush(y->out);
	assert_string_equal(y->text, lines);
}

static inline void story__merged(struct story *y, const char *lines)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	assert_int_equal(stacks__index(y->stacks), 0);
	folded__write(f, &y->form, y->stacks);
	fclose(f);
	assert_string_equal(text, lines);
	free(text);
}

static inline void open_values(struct story *y, u64 span, const struct callsite *c, u64 parent, struct thread *t, u64 ns,
			       u32 cnt, const struct value *v)
{
	struct span_open o = { .span = span, .callsite = c, .time_ns = ns, .thread = t, .parent = parent,
			       .value_cnt = cnt, .value = v };

	assert_int_equal(y->sink.ops->span_open(y->sink.ctx, &o), 0);
}

static inline void open_(struct story *y, u64 span, const struct callsite *c, u64 parent, struct thread *t, u64 ns)
{
	open_values(y, span, c, parent, t, ns, 0, NULL);
}

static inline void enter(struct story *y, u64 span, struct thread *t, u64 ns)
{
	assert_int_equal(y->sink.ops->span_enter(y->sink.ctx, span, t, ns), 0);
}

static inline void leave(struct story *y, u64 span, struct thread *t, u64 ns)
{
	assert_int_equal(y->sink.ops->span_exit(y->sink.ctx, span, t, ns, SINK_OWN), 0);
}

static inline void close_(struct story *y, u64 span, u64 ns)
{
	assert_int_equal(y->sink.ops->span_close(y->sink.ctx, span, ns, ns, SINK_OWN), 0);
}

#define SPAN_SITE(name_, target_, module_, file_, line_, ...) \
	{ .is_span = 1, .name = name_, .target = target_, .module = module_, .file = file_, .line = line_, __VA_ARGS__ }

#endif
