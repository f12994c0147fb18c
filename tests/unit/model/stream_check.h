/* SPDX-License-Identifier: MIT */
/*
 * stream_check.h - a sink that fails the test if a stream is not what sink.h promises: everything defined before its use,
 * nothing said of what is not open, children closed before parents, entries and exits that match, times of a thread that
 * do not go back; and, at the end, nothing open. Arrays and loops only.
 */
#ifndef TAPEBPF_STREAM_CHECK_H
#define TAPEBPF_STREAM_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "model/sink.h"

#define CHECK_MAX 2048

struct stream_check {
	u64 site[CHECK_MAX], process[CHECK_MAX];
	u32 site_cnt, process_cnt;
	struct {
		u64 uid, ns, entry[CHECK_MAX];
		u32 depth;
	} thread[64];
	u32 thread_cnt;
	struct {
		u64 id, parent, ns;
	} span[CHECK_MAX];
	u32 span_cnt;
	u64 used[CHECK_MAX]; /* numbers of spans so far */
	u32 used_cnt;
};

static inline bool check__has(const u64 *list, u32 cnt, u64 id)
{
	while (cnt && list[cnt - 1] != id)
		cnt--;
	return cnt;
}

static inline int check__callsite(void *ctx, struct callsite *c)
{
	struct stream_check *k = ctx;

	assert_false(check__has(k->site, k->site_cnt, c->id));
	k->site[k->site_cnt++] = c->id;
	return 0;
}

static inline int check__process(void *ctx, struct process *p)
{
	struct stream_check *k = ctx;

	if (!check__has(k->process, k->process_cnt, p->uid))
		k->process[k->process_cnt++] = p->uid;
	return 0;
}

static inline int check__process_end(void *ctx, struct process *p, u64 ns, u32 status, bool known)
{
	struct stream_check *k = ctx;

	assert_true(check__has(k->process, k->process_cnt, p->uid));
	return 0;
}

static inline int check__find_thread(struct stream_check *k, const struct thread *t)
{
	u32 i;

	for (i = 0; i < k->thread_cnt; i++)
		if (k->thread[i].uid == t->uid)
			return (int)i;
	return -1;
}

static inline int check__thread(void *ctx, struct thread *t)
{
	struct stream_check *k = ctx;

	assert_true(check__has(k->process, k->process_cnt, t->process->uid));
	if (check__find_thread(k, t) >= 0)
		return 0;
	assert_true(k->thread_cnt < ARRAY_SIZE(k->thread));
	k->thread[k->thread_cnt].uid = t->uid;
	k->thread[k->thread_cnt].depth = 0;
	k->thread[k->thread_cnt++].ns = 0;
	return 0;
}

/* A call about this thread. */
static inline u32 check__at(struct stream_check *k, const struct thread *t, u64 ns)
{
	int i = check__find_thread(k, t);

	assert_true(i >= 0);
	assert_true(ns >= k->thread[i].ns);
	k->thread[i].ns = ns;
	return (u32)i;
}

static inline int check__thread_end(void *ctx, struct thread *t, u64 ns)
{
	struct stream_check *k = ctx;
	u32 i = check__at(k, t, ns);

	assert_int_equal(k->thread[i].depth, 0);
	return 0;
}

static inline int check__span(const struct stream_check *k, u64 span)
{
	u32 i;

	for (i = 0; i < k->span_cnt; i++)
		if (k->span[i].id == span)
			return (int)i;
	return -1;
}

static inline int check__open(void *ctx, const struct span_open *o)
{
	struct stream_check *k = ctx;

	assert_true(check__has(k->site, k->site_cnt, o->callsite->id));
	assert_false(check__has(k->used, k->used_cnt, o->span));
	assert_true(!o->parent || check__span(k, o->parent) >= 0);
	if (o->thread)
		check__at(k, o->thread, o->time_ns);
	k->used[k->used_cnt++] = o->span;
	k->span[k->span_cnt].id = o->span;
	k->span[k->span_cnt].ns = o->time_ns;
	k->span[k->span_cnt++].parent = o->parent;
	return 0;
}

static inline int check__enter(void *ctx, u64 span, struct thread *t, u64 ns)
{
	struct stream_check *k = ctx;
	u32 i = check__at(k, t, ns);

	assert_true(check__span(k, span) >= 0);
	k->thread[i].entry[k->thread[i].depth++] = span;
	return 0;
}

static inline int check__exit(void *ctx, u64 span, struct thread *t, u64 ns, enum sink_why why)
{
	struct stream_check *k = ctx;
	u32 i = check__at(k, t, ns), j = k->thread[i].depth;

	while (j && k->thread[i].entry[j - 1] != span)
		j--;
	assert_true(j);
	for (; j < k->thread[i].depth; j++)
		k->thread[i].entry[j - 1] = k->thread[i].entry[j];
	k->thread[i].depth--;
	return 0;
}

static inline int check__close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct stream_check *k = ctx;
	int at = check__span(k, span);
	u32 i, j;

	assert_true(at >= 0);
	assert_true(ns >= k->span[at].ns);
	for (i = 0; i < k->span_cnt; i++)
		assert_true(k->span[i].parent != span);
	for (i = 0; i < k->thread_cnt; i++)
		for (j = 0; j < k->thread[i].depth; j++)
			assert_true(k->thread[i].entry[j] != span);
	k->span[at] = k->span[--k->span_cnt];
	return 0;
}

static inline int check__value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t,
			       u64 ns)
{
	struct stream_check *k = ctx;

	assert_true(check__span(k, span) >= 0);
	assert_true(v->field < c->field_cnt);
	if (t)
		check__at(k, t, ns);
	return 0;
}

static inline int check__follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 ns)
{
	struct stream_check *k = ctx;

	assert_true(check__span(k, span) >= 0);
	if (t)
		check__at(k, t, ns);
	return 0;
}

static inline int check__event(void *ctx, const struct event *e)
{
	struct stream_check *k = ctx;

	assert_true(check__has(k->site, k->site_cnt, e->callsite->id));
	assert_true(!e->parent || check__span(k, e->parent) >= 0);
	if (e->thread)
		check__at(k, e->thread, e->time_ns);
	return 0;
}

static inline int check__loss(void *ctx, const struct loss *l)
{
	struct stream_check *k = ctx;

	assert_true(!l->callsite || check__has(k->site, k->site_cnt, l->callsite->id));
	assert_true(!l->thread || check__find_thread(k, l->thread) >= 0);
	return 0;
}

static inline void check__is_over(const struct stream_check *k)
{
	u32 i;

	assert_int_equal(k->span_cnt, 0);
	for (i = 0; i < k->thread_cnt; i++)
		assert_int_equal(k->thread[i].depth, 0);
}

static const struct sink_ops check__ops = {
	.callsite = check__callsite,
	.process = check__process,
	.process_end = check__process_end,
	.thread = check__thread,
	.thread_end = check__thread_end,
	.span_open = check__open,
	.span_enter = check__enter,
	.span_exit = check__exit,
	.span_close = check__close,
	.span_value = check__value,
	.span_follows = check__follows,
	.event = check__event,
	.loss = check__loss,
};

#endif
