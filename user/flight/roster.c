/* SPDX-License-Identifier: MIT */
#include "flight/roster.h"

#include <errno.h>
#include <string.h>

void roster__init(struct roster *r, const struct roster_ops *ops)
{
	memset(r, 0, sizeof(*r));
	if (ops)
		r->ops = *ops;
}

static void process__free(struct roster *r, struct roster_process *p)
{
	r->process_cnt--;
	free(p->pub.exe);
	free(p->pub.cmdline);
	free(p);
}

static void thread__free(struct roster *r, struct roster_thread *t)
{
	if (r->near[t->tid & 255] == t)
		r->near[t->tid & 255] = NULL;
	r->thread_cnt--;
	free(t->name);
	free(t);
}

void roster__done(struct roster *r)
{
	struct roster_process *p, *p_before;
	struct roster_thread *t, *t_before;
	u64 i;

	for (i = 0; (p = idmap__next(&r->pids, &i));) {
		for (; p; p = p_before) {
			p_before = p->before;
			process__free(r, p);
		}
	}
	for (i = 0; (t = idmap__next(&r->tids, &i));) {
		for (; t; t = t_before) {
			t_before = t->before;
			thread__free(r, t);
		}
	}
	idmap__done(&r->pids);
	idmap__done(&r->tids);
	memset(r, 0, sizeof(*r));
}

/* --- versions ------------------------------------------------------------------------------------------------ */

/* life: what the kernel told, NULL: nothing. */
static struct roster_process *process__new(struct roster *r, u32 pid, u64 ns, const struct wire_life *life)
{
	struct roster_process *p = calloc(1, sizeof(*p)), *before = idmap__find(&r->pids, pid);

	if (!p || idmap__put(&r->pids, pid, p)) {
		free(p);
		r->failed++;
		return NULL;
	}
	p->pub.pid = pid;
	p->since_ns = ns;
	p->before = before;
	if (before && !before->dead_ns)
		before->dead_ns = ns;
	if (life) {
		memcpy(p->pub.comm, life->comm, sizeof(p->pub.comm) - 1);
		p->pub.ns_pid = life->ns_pid;
		p->pub.start_ns = life->start_ns;
		if (life->head.kind == WIRE_FORK)
			p->pub.parent_pid = life->head.pid;
		else if (before)
			p->pub.parent_pid = before->pub.parent_pid;
	}
	if (r->ops.describe)
		r->ops.describe(r->ops.ctx, &p->pub);
	r->process_cnt++;
	if (r->listener.process)
		r->listener.process(r->listener.ctx, p);
	return p;
}

static struct roster_thread *thread__new(struct roster *r, u32 pid, u32 tid, u64 ns, const char *comm)
{
	struct roster_thread *t = calloc(1, sizeof(*t)), *before = idmap__find(&r->tids, tid);

	if (!t || idmap__put(&r->tids, tid, t)) {
		free(t);
		r->failed++;
		return NULL;
	}
	t->pid = pid;
	t->tid = tid;
	t->since_ns = ns;
	t->before = before;
	if (before && !before->dead_ns)
		before->dead_ns = ns;
	if (comm && comm[0])
		memcpy(t->comm, comm, sizeof(t->comm) - 1);
	else if (r->ops.comm)
		r->ops.comm(r->ops.ctx, pid, tid, t->comm);
	r->near[tid & 255] = t;
	r->thread_cnt++;
	if (r->listener.thread)
		r->listener.thread(r->listener.ctx, t);
	return t;
}

/* A straggler of one who died, or somebody who got the same number? */
static bool still_its_time(u64 dead_ns, u64 ns)
{
	return !dead_ns || ns <= dead_ns;
}

struct roster_thread *roster__see_slowly(struct roster *r, u32 pid, u32 tid, u64 time_ns)
{
	struct roster_thread *t = idmap__find(&r->tids, tid);
	struct roster_process *p;

	if (t && t->pid == pid && still_its_time(t->dead_ns, time_ns)) {
		if (!t->dead_ns)
			r->near[tid & 255] = t;
		return t;
	}
	p = idmap__find(&r->pids, pid);
	if (!p || !still_its_time(p->dead_ns, time_ns))
		process__new(r, pid, time_ns, NULL);
	return thread__new(r, pid, tid, time_ns, NULL);
}

/* --- lives --------------------------------------------------------------------------------------------------- */

static void thread__end(struct roster *r, u32 pid, u32 tid, u64 ns)
{
	struct roster_thread *t = idmap__find(&r->tids, tid);

	if (t && t->pid == pid && !t->dead_ns)
		t->dead_ns = ns;
}

static void forked(struct roster *r, const struct wire_life *l)
{
	struct roster_process *p = idmap__find(&r->pids, l->other_pid);
	struct roster_thread *t = idmap__find(&r->tids, l->other_tid);

	/* Records of the child may have come first, from another CPU. */
	if (l->flags & WIRE_LIFE_PROCESS && (!p || p->since_ns < l->head.time_ns))
		process__new(r, l->other_pid, l->head.time_ns, l);
	if (!t || t->pid != l->other_pid || t->since_ns < l->head.time_ns)
		thread__new(r, l->other_pid, l->other_tid, l->head.time_ns, l->comm);
}

static void execed(struct roster *r, const struct wire_life *l, u32 bytes)
{
	struct roster_process *p;
	const char *file = (const char *)(l + 1);

	p = process__new(r, l->head.pid, l->head.time_ns, l);
	if (p && !p->pub.exe && bytes > sizeof(*l))
		p->pub.exe = strndup(file, bytes - sizeof(*l));
	if (l->other_tid && l->other_tid != l->head.tid)
		thread__end(r, l->head.pid, l->other_tid, l->head.time_ns);
	thread__new(r, l->head.pid, l->head.tid, l->head.time_ns, l->comm);
}

static void exited(struct roster *r, const struct wire_life *l)
{
	struct roster_process *p = idmap__find(&r->pids, l->head.pid);

	thread__end(r, l->head.pid, l->head.tid, l->head.time_ns);
	if (p && l->flags & WIRE_LIFE_PROCESS && !p->dead_ns)
		p->dead_ns = l->head.time_ns;
}

static void set_name(struct roster *r, struct roster_thread *t, const char *name, size_t bytes)
{
	char *copy = strndup(name, bytes);

	if (!copy) {
		r->failed++;
		return;
	}
	free(t->name);
	t->name = copy;
	if (r->listener.name)
		r->listener.name(r->listener.ctx, t);
}

/* Who is not known yet is asked for its name when it is. */
static void renamed(struct roster *r, const struct wire_life *l)
{
	struct roster_thread *t = idmap__find(&r->tids, l->other_tid);

	if (t && t->pid == l->other_pid && !t->dead_ns && !t->named && strncmp(t->name ? t->name : t->comm, l->comm, sizeof(l->comm)))
		set_name(r, t, l->comm, strnlen(l->comm, sizeof(l->comm)));
}

void roster__life(struct roster *r, const struct wire_life *l, u32 bytes)
{
	if (l->head.kind == WIRE_FORK)
		forked(r, l);
	else if (l->head.kind == WIRE_RENAME)
		renamed(r, l);
	else if (l->head.kind == WIRE_EXEC)
		execed(r, l, bytes);
	else
		exited(r, l);
}

void roster__name(struct roster *r, struct roster_thread *t, const char *name, size_t bytes)
{
	t->named = true;
	set_name(r, t, name, bytes);
}

int roster__add_process(struct roster *r, struct process *from, u64 since_ns)
{
	struct roster_process *p = process__new(r, from->pid, since_ns, NULL);

	if (!p) {
		free(from->exe);
		free(from->cmdline);
		return -ENOMEM;
	}
	p->pub = *from;
	return 0;
}

int roster__add_thread(struct roster *r, u32 pid, u32 tid, u64 since_ns, const char comm[16], const char *name, bool rename)
{
	struct roster_thread *t = rename ? idmap__find(&r->tids, tid) : NULL;

	if (!t || t->pid != pid)
		t = thread__new(r, pid, tid, since_ns, comm);
	if (t && name)
		roster__name(r, t, name, strlen(name));
	return t ? 0 : -ENOMEM;
}

/* --- forgetting ------------------------------------------------------------------------------------------------ */

/* A version that is over by then, and with it all before it. */
static void prune_process(struct roster *r, struct roster_process *newest, u64 before_ns)
{
	struct roster_process **at = &newest->before, *p;

	while ((p = *at)) {
		if (p->dead_ns >= before_ns) {
			at = &p->before;
			continue;
		}
		*at = p->before;
		process__free(r, p);
	}
}

static void prune_thread(struct roster *r, struct roster_thread *newest, u64 before_ns)
{
	struct roster_thread **at = &newest->before, *t;

	while ((t = *at)) {
		if (t->dead_ns >= before_ns) {
			at = &t->before;
			continue;
		}
		*at = t->before;
		thread__free(r, t);
	}
}

/* The tables must not change while they are walked: who is to go is gathered first. */
#define PRUNE_AT_ONCE 256

static u32 dead_pids(struct roster *r, u64 before_ns, u32 *id)
{
	struct roster_process *p;
	u64 i = 0;
	u32 n = 0;

	while (n < PRUNE_AT_ONCE && (p = idmap__next(&r->pids, &i))) {
		prune_process(r, p, before_ns);
		if (p->dead_ns && p->dead_ns < before_ns && !p->before)
			id[n++] = p->pub.pid;
	}
	return n;
}

static u32 dead_tids(struct roster *r, u64 before_ns, u32 *id)
{
	struct roster_thread *t;
	u64 i = 0;
	u32 n = 0;

	while (n < PRUNE_AT_ONCE && (t = idmap__next(&r->tids, &i))) {
		prune_thread(r, t, before_ns);
		if (t->dead_ns && t->dead_ns < before_ns && !t->before)
			id[n++] = t->tid;
	}
	return n;
}

void roster__prune(struct roster *r, u64 before_ns)
{
	u32 id[PRUNE_AT_ONCE], n, i;

	do {
		n = dead_pids(r, before_ns, id);
		for (i = 0; i < n; i++)
			process__free(r, idmap__remove(&r->pids, id[i]));
	} while (n == PRUNE_AT_ONCE);
	do {
		n = dead_tids(r, before_ns, id);
		for (i = 0; i < n; i++)
			thread__free(r, idmap__remove(&r->tids, id[i]));
	} while (n == PRUNE_AT_ONCE);
}

/* --- copies ---------------------------------------------------------------------------------------------------- */

static char *dup_text(const char *s, int *err)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		*err = -ENOMEM;
	return copy;
}

static struct roster_process *copy_process(struct roster *dst, const struct roster_process *src, int *err)
{
	struct roster_process *first = NULL, **to = &first, *p;

	for (; src; src = src->before, to = &p->before) {
		p = malloc(sizeof(*p));
		if (!p) {
			*err = -ENOMEM;
			break;
		}
		dst->process_cnt++;
		*p = *src;
		p->pub.exe = dup_text(src->pub.exe, err);
		p->pub.cmdline = dup_text(src->pub.cmdline, err);
		p->before = NULL;
		*to = p;
	}
	return first;
}

static struct roster_thread *copy_thread(struct roster *dst, const struct roster_thread *src, int *err)
{
	struct roster_thread *first = NULL, **to = &first, *t;

	for (; src; src = src->before, to = &t->before) {
		t = malloc(sizeof(*t));
		if (!t) {
			*err = -ENOMEM;
			break;
		}
		dst->thread_cnt++;
		*t = *src;
		t->name = dup_text(src->name, err);
		t->before = NULL;
		*to = t;
	}
	return first;
}

int roster__copy(struct roster *dst, const struct roster *src)
{
	const struct roster_process *p;
	const struct roster_thread *t;
	int err = 0;
	u64 i;

	roster__init(dst, NULL);
	for (i = 0; !err && (p = idmap__next(&src->pids, &i));) {
		struct roster_process *copy = copy_process(dst, p, &err);

		if (copy && idmap__put(&dst->pids, p->pub.pid, copy))
			err = -ENOMEM;
	}
	for (i = 0; !err && (t = idmap__next(&src->tids, &i));) {
		struct roster_thread *copy = copy_thread(dst, t, &err);

		if (copy && idmap__put(&dst->tids, t->tid, copy))
			err = -ENOMEM;
	}
	if (err)
		roster__done(dst); /* what was not put anywhere is lost with the memory that we do not have */
	return err;
}

const struct roster_process *roster__process_at(const struct roster *r, u32 pid, u64 ns)
{
	const struct roster_process *p = idmap__find(&r->pids, pid);

	while (p && p->since_ns > ns && p->before)
		p = p->before;
	return p;
}

const struct roster_thread *roster__thread_at(const struct roster *r, u32 pid, u32 tid, u64 ns)
{
	const struct roster_thread *t = idmap__find(&r->tids, tid), *good = NULL;

	for (; t; t = t->before) {
		if (t->pid != pid)
			continue;
		good = t;
		if (t->since_ns <= ns)
			break;
	}
	return good;
}
