/* SPDX-License-Identifier: MIT */
#include "ingest/stream.h"

#include <errno.h>
#include <utlist.h>

/* Pages of one id: honest programs never make two. A longer chain is somebody's attempt to make us slow. */
#define MAX_SAME_ID 64

static struct page *pages__chain(struct ingest *in, u64 id)
{
	struct page *p;

	HASH_FIND(hh, in->by_id, &id, sizeof(id), p);
	return p;
}

struct page *pages__find(struct ingest *in, u64 id, u32 ns_pid, u32 ns_tid)
{
	struct page *p;

	for (p = pages__chain(in, id); p; p = p->same)
		if (!p->named || (p->pub.ns_tid == ns_tid && p->pub.ns_pid == ns_pid))
			return p;
	return NULL;
}

struct page *pages__find_host(struct ingest *in, u64 id, u32 pid, u32 tid)
{
	struct page *p;

	for (p = pages__chain(in, id); p; p = p->same)
		if (p->pub.tid == tid && p->pub.pid == pid)
			return p;
	return NULL;
}

static struct owner *owners__find(struct ingest *in, u32 tid)
{
	struct owner *o;

	HASH_FIND(hh, in->owners, &tid, sizeof(tid), o);
	return o;
}

/* The stand-in for the page of a thread that has none (id 0). */
struct page *pages__find_pageless(struct ingest *in, u32 pid, u32 tid, u64 module_addr)
{
	struct owner *o = owners__find(in, tid);
	struct page *p;

	if (!o)
		return NULL;
	DL_FOREACH2(o->pages, p, own_next)
		if (!p->pub.id && p->pub.pid == pid && p->pub.module_addr == module_addr && !p->dead)
			return p;
	return NULL;
}

static void pages__disown(struct ingest *in, struct page *p)
{
	struct owner *o = p->owner;

	if (!o)
		return;
	DL_DELETE2(o->pages, p, own_prev, own_next);
	p->owner = NULL;
	if (!o->pages) {
		HASH_DELETE(hh, in->owners, o);
		free(o);
	}
}

int pages__own(struct ingest *in, struct page *p, u32 pid, u32 tid)
{
	struct owner *o = owners__find(in, tid);

	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		o->tid = tid;
		HASH_ADD(hh, in->owners, tid, sizeof(o->tid), o);
		if (!o->hh.tbl) {
			free(o);
			return -ENOMEM;
		}
	}
	if (p->owner != o) {
		pages__disown(in, p);
		/* In front: who is looked for is new. */
		DL_PREPEND2(o->pages, p, own_prev, own_next);
		p->owner = o;
	}
	p->pub.pid = pid;
	p->pub.tid = tid;
	return 0;
}

void pages__name(struct page *p, u32 ns_pid, u32 ns_tid, u64 module_addr, u32 module)
{
	p->pub.ns_pid = ns_pid;
	p->pub.ns_tid = ns_tid;
	p->pub.module_addr = module_addr;
	p->pub.module = module;
	p->named = true;
}

static int pages__link(struct ingest *in, struct page *p)
{
	struct page *chain;
	u32 n = 1;

	if (!p->pub.id)
		return 0;
	chain = pages__chain(in, p->pub.id);
	if (!chain) {
		HASH_ADD(hh, in->by_id, pub.id, sizeof(p->pub.id), p);
		return p->hh.tbl ? 0 : -ENOMEM;
	}
	for (; chain->same; chain = chain->same)
		if (++n >= MAX_SAME_ID)
			return -EBADMSG;
	chain->same = p;
	return 0;
}

static void pages__unlink(struct ingest *in, struct page *p)
{
	struct page *chain;

	if (!p->pub.id)
		return;
	chain = pages__chain(in, p->pub.id);
	if (chain != p) {
		while (chain && chain->same != p)
			chain = chain->same;
		if (chain)
			chain->same = p->same;
		return;
	}
	HASH_DELETE(hh, in->by_id, p);
	if (p->same)
		HASH_ADD(hh, in->by_id, pub.id, sizeof(p->pub.id), p->same);
}

static void pages__free_held(struct ingest *in, struct held **list)
{
	struct held *h, *tmp;

	DL_FOREACH_SAFE(*list, h, tmp)
		held__free(in, h);
	*list = NULL;
}

static void pages__free(struct ingest *in, struct page *p)
{
	pages__free_held(in, &p->queue);
	pages__free_held(in, &p->early); /* only when all goes: the list of holding pages is not looked at again */
	pages__free_held(in, &p->imms);
	pass__page_gone(in, p);
	merge__remove(&in->merge, &p->src);
	pages__disown(in, p);
	pages__unlink(in, p);
	DL_DELETE(in->pages, p);
	in->page_cnt--;
	free(p);
}

void pages__to_grave(struct ingest *in, struct page *p)
{
	p->grave_next = NULL;
	if (in->grave)
		in->grave_tail->grave_next = p;
	else
		in->grave = p;
	in->grave_tail = p;
}

void pages__gone(struct ingest *in, struct page *p, u64 time_ns)
{
	if (p->dead)
		return;
	p->dead = true;
	p->dead_ns = time_ns;
	in->st.pages--;
	pages__to_grave(in, p);
}

void pages__bury(struct ingest *in, u32 pid, u32 tid, u64 time_ns)
{
	struct owner *o = owners__find(in, tid);
	struct page *p;

	if (!o)
		return;
	DL_FOREACH2(o->pages, p, own_next) {
		/* A later thread may have got the same tid: its pages are younger than this end. */
		if (p->dead || p->pub.pid != pid || p->pub.id > time_ns)
			continue;
		p->dead = true;
		p->dead_ns = time_ns;
		p->pub.ended = true;
		pass__page_gone(in, p);
		in->st.pages--;
		pages__to_grave(in, p);
	}
}

static bool page__idle(const struct page *p)
{
	return !p->queue && !p->early && !p->imms && !p->marked;
}

/*
 * A dead page whose last delivery has not come (there was nothing left in it, it ended with an exec, or the kernel could not deliver
 * it) may still be named by a mark; were it forgotten, its numbers would count twice. Marks are asked for several times a
 * second, before time is told to have passed, so it is kept for so long.
 */
#define LATE_MARK_NS (2 * NSEC_PER_SEC)

static bool page__is_over(const struct page *p, u64 before_ns)
{
	return page__idle(p) && (p->complete || !p->pub.id || p->dead_ns + LATE_MARK_NS < before_ns);
}

void pages__sweep(struct ingest *in, u64 before_ns)
{
	struct page *p, *next, *keep = NULL, *keep_tail = NULL;

	for (p = in->grave; p && p->dead_ns < before_ns; p = next) {
		next = p->grave_next;
		if (page__is_over(p, before_ns)) {
			pages__free(in, p);
		} else {
			p->grave_next = NULL;
			if (keep_tail)
				keep_tail->grave_next = p;
			else
				keep = p;
			keep_tail = p;
		}
	}
	if (keep_tail)
		keep_tail->grave_next = p;
	in->grave = keep_tail ? keep : p;
	if (!p)
		in->grave_tail = keep_tail;
}

/* Room for more pages, at the price that a mark of a dead one may come too late to be counted. */
static bool pages__evict(struct ingest *in)
{
	u64 cnt = in->page_cnt;

	pages__sweep(in, ~0ULL);
	return in->page_cnt < cnt;
}

struct page *pages__add(struct ingest *in, u64 id, u32 pid, u32 tid)
{
	struct page *p;

	if (in->page_cnt >= INGEST_MAX_PAGES && !pages__evict(in))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pub.id = id;
	p->resync = true;
	p->src.rank = 1ULL << 32 | in->page_serial++; /* behind the CPUs' own sources */
	if (pages__own(in, p, pid, tid) || pages__link(in, p)) {
		pages__disown(in, p);
		free(p);
		return NULL;
	}
	DL_APPEND(in->pages, p);
	in->page_cnt++;
	in->st.pages++;
	return p;
}

void pages__free_all(struct ingest *in)
{
	struct page *p, *tmp;

	DL_FOREACH_SAFE(in->pages, p, tmp) {
		p->pub.user = NULL; /* the model may have gone before */
		pages__free(in, p);
	}
}

/* --- modules of a process, for refs that name one ------------------------------------------------------ */

static struct proc *procs__find(struct ingest *in, u32 pid)
{
	struct proc *pr;

	HASH_FIND(hh, in->procs, &pid, sizeof(pid), pr);
	return pr;
}

static struct proc *procs__get(struct ingest *in, u32 pid)
{
	struct proc *pr = procs__find(in, pid);

	if (pr)
		return pr;
	pr = calloc(1, sizeof(*pr));
	if (!pr)
		return NULL;
	pr->pid = pid;
	HASH_ADD(hh, in->procs, pid, sizeof(pr->pid), pr);
	if (pr->hh.tbl)
		return pr;
	free(pr);
	return NULL;
}

bool procs__younger(struct ingest *in, u32 pid, u64 time_ns)
{
	const struct proc *pr = procs__find(in, pid);

	return pr && pr->newest_id > time_ns;
}

void procs__note(struct ingest *in, u32 pid, u64 page_id, u64 module_addr, u32 module)
{
	struct proc *pr = procs__get(in, pid);
	u32 i;
	void *mod;

	if (!pr)
		return;
	pr->newest_id = MAX(pr->newest_id, page_id);
	for (i = 0; i < pr->cnt; i++) {
		if (pr->mod[i].addr == module_addr) {
			pr->mod[i].module = module; /* dlclose and dlopen may put another one there */
			return;
		}
	}
	if (pr->cnt == PROC_MAX_MODULES)
		return;
	mod = realloc(pr->mod, (pr->cnt + 1) * sizeof(*pr->mod));
	if (!mod)
		return;
	pr->mod = mod;
	pr->mod[pr->cnt].addr = module_addr;
	pr->mod[pr->cnt++].module = module;
}

int procs__module_at(struct ingest *in, u32 pid, u64 module_addr)
{
	struct proc *pr = procs__find(in, pid);
	u32 i;

	for (i = 0; pr && i < pr->cnt; i++)
		if (pr->mod[i].addr == module_addr)
			return pr->mod[i].module;
	return -1;
}

void procs__forget(struct ingest *in, u32 pid)
{
	struct proc *pr = procs__find(in, pid);

	if (!pr)
		return;
	HASH_DELETE(hh, in->procs, pr);
	free(pr->mod);
	free(pr);
}
