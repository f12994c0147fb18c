/* SPDX-License-Identifier: MIT */
/*
 * tasks.c - processes and threads.
 *
 * The kernel's numbers are re-used, ours never are. A process or thread is found by the kernel's
 * number while it lives, and forgotten some time after its end (retire.c). A number that turns up again
 * without the end of its former owner having been told (the record can be lost) ends that owner; what is
 * older than its new owner is not taken for the new one's.
 */
#include "model/model_priv.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- names --- */

/* Valid UTF-8, on the heap. */
static char *clean_text(const char *s, size_t bytes)
{
	char *dst = malloc(3 * bytes + 1);

	if (dst)
		dst[text__utf8(dst, 3 * bytes, s, bytes)] = 0;
	return dst;
}

/* true: it is another one now. */
static bool set_name(struct task *t, const char *s, size_t bytes)
{
	char *name = clean_text(s, bytes);

	if (!name || (t->name && !strcmp(t->name, name))) {
		free(name);
		return false;
	}
	free(t->name);
	t->pub.name = t->name = name;
	return true;
}

void tasks__name(struct model *m, struct task *t, const char *s, size_t bytes)
{
	if (set_name(t, s, strnlen(s, bytes)))
		fanout__thread(m, t);
}

static void set_comm(struct proc *p, const char comm[16])
{
	char clean[3 * 16];
	size_t n = text__utf8(clean, sizeof(clean), comm, strnlen(comm, 15));

	n = MIN(n, sizeof(p->pub.comm) - 1);
	memcpy(p->pub.comm, clean, n);
	memset(p->pub.comm + n, 0, sizeof(p->pub.comm) - n);
}

/* --- life --- */

static struct task **near_task(struct model *m, u32 tid)
{
	return &m->near_task[tid % ARRAY_SIZE(m->near_task)];
}

void tasks__end(struct model *m, struct task *t, u64 ns, enum sink_why why, bool end)
{
	span__end_task(m, t, task__time(t, ns), why, end);
	if (t->dead)
		return;
	t->dead = true;
	if (idmap__find(&m->tids, t->pub.tid) == t)
		idmap__remove(&m->tids, t->pub.tid);
	if (m->last_task == t)
		m->last_task = NULL;
	if (*near_task(m, t->pub.tid) == t)
		*near_task(m, t->pub.tid) = NULL;
	fanout__thread_end(m, t, t->last_ns);
	if (t->ghost)
		idmap__remove(&m->ghost_tids, t->pub.tid);
	else
		retire__task(m, t);
}

void tasks__end_process(struct model *m, struct proc *p, u64 ns, u32 status, bool known)
{
	struct task *t;
	u64 last = ns;

	span__end_proc(m, p, ns, SINK_PROCESS_END);
	for (t = p->tasks; t; t = t->next) {
		tasks__end(m, t, ns, SINK_PROCESS_END, true);
		last = MAX(last, t->last_ns);
	}
	if (p->dead)
		return;
	p->dead = true;
	if (idmap__find(&m->pids, p->pub.pid) == p)
		idmap__remove(&m->pids, p->pub.pid);
	fanout__process_end(m, p, last, status, known);
	if (p->ghost)
		idmap__remove(&m->ghost_pids, p->pub.pid);
	else
		retire__proc(m, p);
}

/* In one of the two maps. life: NULL if nothing was told. */
static struct proc *new_proc_in(struct model *m, struct idmap *by_pid, u32 pid, u64 ns, const struct wire_life *life)
{
	struct proc *p = calloc(1, sizeof(*p));

	if (!p || idmap__put(by_pid, pid, p)) {
		free(p);
		return NULL;
	}
	p->pub.uid = ++m->next_proc;
	p->pub.pid = pid;
	p->pub.begin_ns = ns;
	p->next = m->procs;
	p->pprev = &m->procs;
	if (p->next)
		p->next->pprev = &p->next;
	m->procs = p;
	m->st.processes++;
	m->st.processes_kept++;
	if (life) {
		set_comm(p, life->comm);
		p->pub.ns_pid = life->ns_pid;
		p->pub.start_ns = life->start_ns;
	}
	return p;
}

static struct proc *new_proc(struct model *m, u32 pid, u64 ns, const struct wire_life *life)
{
	return new_proc_in(m, &m->pids, pid, ns, life);
}

/* Who has that number now must not be asked. */
struct proc *tasks__ghost_process(struct model *m, u32 pid, u64 ns)
{
	struct proc *p = new_proc_in(m, &m->ghost_pids, pid, ns, NULL);

	if (!p)
		return NULL;
	p->ghost = true;
	fanout__process(m, p);
	retire__proc(m, p);
	return p;
}

/* Ask the one who knows /proc, then tell the sinks. */
static void describe(struct model *m, struct proc *p)
{
	if (m->opts.describe)
		m->opts.describe(m->opts.ctx, &p->pub);
	p->pub.comm[sizeof(p->pub.comm) - 1] = 0;
	if (!text__is_utf8(p->pub.comm, strlen(p->pub.comm))) {
		char comm[16];

		memcpy(comm, p->pub.comm, sizeof(comm));
		set_comm(p, comm);
	}
	fanout__process(m, p);
}

static struct proc *get_proc(struct model *m, u32 pid, u32 ns_pid, u64 ns)
{
	struct proc *p = idmap__find(&m->pids, pid);

	if (p)
		return p;
	p = new_proc(m, pid, ns, NULL);
	if (!p)
		return NULL;
	p->pub.ns_pid = ns_pid;
	describe(m, p);
	return p;
}

int tasks__process(struct model *m, u32 pid, u64 ns)
{
	return get_proc(m, pid, 0, ns) ? 0 : -ENOMEM;
}

static struct task *new_task_in(struct model *m, struct idmap *by_tid, struct proc *p, u32 tid, u32 ns_tid, u64 ns,
				const char comm[16])
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t || idmap__put(by_tid, tid, t)) {
		free(t);
		return NULL;
	}
	t->pub = (struct thread){.uid = ++m->next_thread,
				 .tid = tid,
				 .ns_tid = ns_tid,
				 .begin_ns = ns,
				 .name = "",
				 .process = &p->pub};
	set_name(t, comm, strnlen(comm, 16));
	t->proc = p;
	t->stray.task = t;
	t->last_ns = ns;
	t->next = p->tasks;
	t->pprev = &p->tasks;
	if (t->next)
		t->next->pprev = &t->next;
	p->tasks = t;
	m->st.threads++;
	m->st.threads_kept++;
	return t;
}

/* comm: as far as known, else NULL. */
static struct task *new_task(struct model *m, struct proc *p, u32 tid, u32 ns_tid, u64 ns,
			     const char *comm)
{
	char buf[16] = "";
	const char *own;
	struct task *t;

	if (comm)
		memcpy(buf, comm, sizeof(buf));
	else if (m->opts.comm)
		m->opts.comm(m->opts.ctx, p->pub.pid, tid, buf);
	if (!buf[0])
		memcpy(buf, p->pub.comm, sizeof(buf));
	t = new_task_in(m, &m->tids, p, tid, ns_tid, ns, buf);
	if (!t)
		return NULL;
	own = m->opts.name ? m->opts.name(m->opts.ctx, p->pub.pid, tid) : NULL;
	t->named = own;
	if (own)
		set_name(t, own, strlen(own));
	fanout__thread(m, t);
	return t;
}

struct task *tasks__ghost(struct model *m, struct proc *p, u32 tid, u64 ns)
{
	struct task *t = new_task_in(m, &m->ghost_tids, p, tid, 0, ns, p->pub.comm);

	if (!t)
		return NULL;
	t->ghost = true;
	fanout__thread(m, t);
	return t;
}

/* ref_ns: when what names the thread (its page, the record) was made, 0: unknown. */
static struct task *get_task(struct model *m, u32 pid, u32 tid, u32 ns_pid, u32 ns_tid, u64 ns, u64 ref_ns)
{
	struct task *t = idmap__find(&m->tids, tid), *ghost;
	struct proc *p;

	if (retire__is_late(m, t, pid, ref_ns) && (ghost = retire__ghost(m, pid, tid, ns, ref_ns)))
		return ghost;

	if (t && t->proc->pub.pid == pid && !t->proc->dead)
		return t;
	if (t)
		tasks__end(m, t, ns, SINK_THREAD_END, false);
	p = get_proc(m, pid, ns_pid, ns);
	return p ? new_task(m, p, tid, ns_tid, ns, NULL) : NULL;
}

struct task *tasks__of_tid(struct model *m, u32 pid, u32 tid, u64 ns)
{
	struct task *t = *near_task(m, tid);

	if (!t || t->pub.tid != tid || t->proc->pub.pid != pid || ns < t->pub.begin_ns) {
		t = get_task(m, pid, tid, 0, 0, ns, ns);
		if (t && !t->proc->first_ns)
			t->proc->first_ns = ns;
		*near_task(m, tid) = t && t->ghost ? NULL : t;
	}
	m->last_task = t;
	return t;
}

/* --- pages --- */

static void learn_module(struct proc *p, u64 addr, u32 module)
{
	void *more;
	u32 i;

	if (!addr)
		return;
	for (i = 0; i < p->mod_cnt; i++) {
		if (p->mod[i].addr == addr) {
			p->mod[i].module = module;
			return;
		}
	}
	more = realloc(p->mod, (p->mod_cnt + 1) * sizeof(*p->mod));
	if (!more)
		return;
	p->mod = more;
	p->mod[p->mod_cnt].addr = addr;
	p->mod[p->mod_cnt++].module = module;
}

static struct lane *new_lane(struct model *m, struct rec_page *page, u64 ns)
{
	struct task *t = page->ended ? retire__ghost(m, page->pid, page->tid, ns, page->id) : NULL;
	struct lane *lane;

	if (!t)
		t = get_task(m, page->pid, page->tid, page->ns_pid, page->ns_tid, ns, page->id);
	lane = t ? calloc(1, sizeof(*lane)) : NULL;
	if (!lane)
		return NULL;
	lane->task = t;
	lane->module_addr = page->module_addr;
	lane->module = page->module;
	lane->next = t->lanes;
	t->lanes = lane;
	page->user = lane;
	learn_module(t->proc, page->module_addr, page->module);
	return lane;
}

/* The thread of a page that has not been heard of, or not sent a record. */
struct task *tasks__first_record(struct model *m, const struct rec *r, struct lane **lane)
{
	struct task *t;

	if (r->page) {
		*lane = r->page->user ?: new_lane(m, r->page, r->time_ns);
		t = *lane ? (*lane)->task : NULL;
	} else {
		t = tasks__of_tid(m, r->pid, r->tid, r->time_ns);
		*lane = t ? &t->stray : NULL;
	}
	if (!t)
		return NULL;
	(*lane)->seen = true;
	if (!t->proc->first_ns)
		t->proc->first_ns = r->time_ns;
	return t;
}

void tasks__page(struct model *m, const struct rec *r)
{
	if (r->page && !r->page->user)
		new_lane(m, r->page, r->time_ns);
}

/* --- records of the kernel --- */

/* A process that we know already although its FORK comes only now, or a number used again. */
static bool known_child(const struct proc *p, const struct rec *r)
{
	return p->pub.begin_ns >= r->time_ns ||
	       (p->pub.start_ns && p->pub.start_ns == r->life->start_ns);
}

void tasks__fork(struct model *m, const struct rec *r)
{
	const struct wire_life *l = r->life;
	struct proc *p = idmap__find(&m->pids, l->other_pid);
	struct task *t = idmap__find(&m->tids, l->other_tid);

	if (p && l->flags & WIRE_LIFE_PROCESS) {
		if (known_child(p, r))
			return;
		tasks__end_process(m, p, r->time_ns, 0, false);
		p = NULL;
		t = NULL;
	}
	if (t && t->pub.begin_ns >= r->time_ns && t->proc == p)
		return;
	if (t)
		tasks__end(m, t, r->time_ns, SINK_THREAD_END, false);
	if (!p) {
		p = new_proc(m, l->other_pid, r->time_ns, l->flags & WIRE_LIFE_PROCESS ? l : NULL);
		if (!p)
			return;
		if (l->flags & WIRE_LIFE_PROCESS) {
			p->pub.parent_pid = r->pid;
			p->first_ns = r->time_ns;
			p->born = true;
		}
		describe(m, p);
	}
	t = new_task(m, p, l->other_tid, l->ns_tid, r->time_ns, l->comm[0] ? l->comm : NULL);
	if (t)
		t->born = true;
}

static void exec_name(struct proc *p, const struct wire_life *l)
{
	const char *name = (const char *)(l + 1);

	if (!p->pub.exe && l->head.bytes > sizeof(*l))
		p->pub.exe = strndup(name, strnlen(name, l->head.bytes - sizeof(*l)));
}

/*
 * In a flood that has to be passed on early, an exec can come after records of the program that it started. What is younger
 * than the exec stays then, and so does a thread that has records of both; the old program's spans, if there are any, end with it.
 */
static bool has_later_records(const struct proc *p, u64 ns)
{
	const struct task *t;

	for (t = p->tasks; t; t = t->next)
		if (!t->dead && !t->ghost && MAX(t->last_ns, t->skipped_ns) > ns)
			return true;
	return false;
}

static void end_old_program(struct model *m, struct proc *p, const struct rec *r, struct task **self)
{
	bool late = has_later_records(p, r->time_ns);
	struct task *t;

	if (!late)
		span__end_proc(m, p, r->time_ns, SINK_PROCESS_END);
	for (t = p->tasks; t; t = t->next) {
		bool same = t->pub.tid == r->tid && r->life->other_tid == r->tid;

		if (t->dead)
			continue;
		if (t->ghost)
			tasks__end(m, t, r->time_ns, SINK_PROCESS_END, true);
		else if (same || (late && t->pub.tid == r->tid && t->pub.begin_ns > r->time_ns))
			*self = t;
		else if (t->pub.begin_ns <= r->time_ns || !late)
			tasks__end(m, t, r->time_ns, SINK_PROCESS_END, true);
	}
	if (!late)
		p->mod_cnt = 0;
}

/* The process stays, its memory goes: no span, no other thread, no module lives on. */
void tasks__exec(struct model *m, const struct rec *r)
{
	const struct wire_life *l = r->life;
	struct proc *p = idmap__find(&m->pids, r->pid);
	struct task *self = NULL;

	if (!p)
		p = new_proc(m, r->pid, r->time_ns, l);
	if (!p)
		return;
	end_old_program(m, p, r, &self);
	p->first_ns = r->time_ns;
	free(p->pub.exe);
	free(p->pub.cmdline);
	p->pub.exe = p->pub.cmdline = NULL;
	set_comm(p, l->comm);
	exec_name(p, l);
	describe(m, p);
	if (self) {
		self->named = false;
		tasks__name(m, self, l->comm, sizeof(l->comm));
	} else {
		new_task(m, p, r->tid, l->ns_tid, r->time_ns, l->comm[0] ? l->comm : NULL);
	}
}

/* Who is not known yet is asked for its name when it is. */
void tasks__rename(struct model *m, const struct rec *r)
{
	const struct wire_life *l = r->life;
	struct task *t = idmap__find(&m->tids, l->other_tid);

	if (t && t->proc->pub.pid == l->other_pid && !t->named && strncmp(t->name, l->comm, sizeof(l->comm)))
		tasks__name(m, t, l->comm, sizeof(l->comm));
}

void tasks__exit(struct model *m, const struct rec *r)
{
	struct task *t = idmap__find(&m->tids, r->tid);
	struct proc *p = idmap__find(&m->pids, r->pid);

	if (t && t->proc->pub.pid == r->pid && !(r->life->flags & WIRE_LIFE_PROCESS))
		tasks__end(m, t, r->time_ns, SINK_THREAD_END, false);
	if (p && r->life->flags & WIRE_LIFE_PROCESS)
		tasks__end_process(m, p, r->time_ns, r->life->status, !(r->life->flags & WIRE_LIFE_UNKNOWN));
}

void model__each_living(const struct model *m, void (*fn)(void *ctx, u32 pid, u32 tid), void *ctx)
{
	const struct proc *p;
	const struct task *t;
	u64 i;

	for (i = 0; (p = idmap__next(&m->pids, &i));)
		fn(ctx, p->pub.pid, 0);
	for (i = 0; (t = idmap__next(&m->tids, &i));)
		fn(ctx, t->proc->pub.pid, t->pub.tid);
}
