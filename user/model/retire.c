/* SPDX-License-Identifier: MIT */
/*
 * retire.c - when the dead are forgotten.
 *
 * The problem. A service that starts a thread a request runs for months: what has ended must leave memory, or a recording grows for
 * ever. But who has ended is still pointed at (by pages, by sinks that keep a span which it opened, by a sum of losses), and may
 * still be spoken of: a record of it can come behind its end, where a ring stood still or memory was short, and by then
 * its number may be somebody else's.
 *
 * The design. An ended thread goes to the end of a queue, the grave, with the stream's time. Each record of somebody's life
 * (there are several for each thread) looks at a few at the front, so the grave holds about what ended in the last RETIRE_NS.
 * There a thread is freed if nothing needs it:
 *	- nothing is entered on it;
 *	- no page of it is known: ingest says when a page has had its last word (REC_PAGE_GONE), and the lane goes with that.
 *	  A lane on which something is still entered stays, orphaned, as long as its thread;
 *	- no sink holds it (thread__hold): a span that lives on, and whose opener has to be told again at the next turn.
 * Otherwise it goes to the end once more. What is held is alive in some other sense (an open span), so the grave is
 * bounded by that. A process is freed likewise, once all its threads have been; its table of spans goes with it.
 *
 * Late records. A page knows whose it is, but its lane has gone with the thread's end; and a hit has only numbers. They are taken
 * for somebody else's if
 *	- the page's thread has been told to have ended (rec_page.ended), or
 *	- the page was made, or the hit made, before the fork of the thread that has the number now.
 * Such a record is of a ghost: a thread of its own, found by no number, of the process that has the pid, if that was there then, else of
 * a ghost of a process. It lives while its page does and a RETIRE_NS longer, and then ends as any other. So the record is stored, under its
 * right pid and tid, nobody's stack is spoilt by it, and no sink hears of a thread after its end.
 *
 * Rejected. A call "thread gone" to each sink: a sink that keeps an open span cannot let go of its opener, and would have to copy
 * it. References counted from spans: a span is opened a million times as often as a thread ends. Keeping the ended
 * findable for late records: their spans would be opened on a stack that has been told to be empty.
 *
 * Invariants. Nothing in the grave is found by number. free_task() is called from retire__some() and tasks__done() only,
 * so a walk over a process's threads may end them all.
 */
#include "model/model_priv.h"

#define RETIRE_NS NSEC_PER_SEC
#define AT_ONCE 4	 /* looked at, at least, for each record of a life */
#define GRAVE_SHARE 64	 /* and so large a part of the grave */
#define MAX_GHOSTS 4096	 /* beyond it, they are of the one that has their number */

/* --- threads ------------------------------------------------------------------------------------------------ */

void retire__task(struct model *m, struct task *t)
{
	t->grave_ns = m->last_ns;
	t->grave_next = NULL;
	*m->grave_end = t;
	m->grave_end = &t->grave_next;
	m->grave_cnt++;
}

static struct task *take_task(struct model *m)
{
	struct task *t = m->grave;

	m->grave = t->grave_next;
	if (!m->grave)
		m->grave_end = &m->grave;
	m->grave_cnt--;
	return t;
}

static bool has_pages(const struct task *t)
{
	const struct lane *lane;

	for (lane = t->lanes; lane; lane = lane->next)
		if (!lane->orphan)
			return true;
	return false;
}

static void forget_losses(struct model *m, const struct task *t)
{
	int i;

	for (i = 0; i < LOSS_MAX; i++)
		if (m->loss[i].thread == &t->pub)
			fanout__flush_loss(m);
}

static void free_task(struct model *m, struct task *t)
{
	struct lane *lane;

	*t->pprev = t->next;
	if (t->next)
		t->next->pprev = t->pprev;
	while ((lane = t->lanes)) {
		t->lanes = lane->next;
		free(lane);
	}
	free(t->name);
	free(t);
	m->st.threads_kept--;
}

static void retire_task(struct model *m, struct task *t)
{
	if (t->top || has_pages(t) || t->pub.refs) {
		retire__task(m, t);
		return;
	}
	if (!t->dead) { /* a ghost of which nothing came any more */
		tasks__end(m, t, t->last_ns, SINK_THREAD_END, false);
		retire__task(m, t);
		return;
	}
	forget_losses(m, t);
	if (m->last_task == t)
		m->last_task = NULL;
	free_task(m, t);
}

/* --- processes ---------------------------------------------------------------------------------------------- */

void retire__proc(struct model *m, struct proc *p)
{
	p->grave_ns = m->last_ns;
	p->grave_next = NULL;
	*m->proc_grave_end = p;
	m->proc_grave_end = &p->grave_next;
}

static void free_proc(struct model *m, struct proc *p)
{
	*p->pprev = p->next;
	if (p->next)
		p->next->pprev = p->pprev;
	idmap__done(&p->spans);
	free(p->mod);
	free(p->pub.exe);
	free(p->pub.cmdline);
	free(p);
	m->st.processes_kept--;
}

static void retire_proc(struct model *m, struct proc *p)
{
	if (p->tasks || p->pub.refs) {
		retire__proc(m, p);
		return;
	}
	if (!p->dead) {
		tasks__end_process(m, p, m->last_ns, 0, false);
		retire__proc(m, p);
		return;
	}
	span__end_proc(m, p, m->last_ns, SINK_PROCESS_END); /* what late records opened */
	free_proc(m, p);
}

static bool is_due(const struct model *m, u64 grave_ns)
{
	return grave_ns + RETIRE_NS <= m->last_ns;
}

void retire__some(struct model *m)
{
	u64 n = AT_ONCE + m->grave_cnt / GRAVE_SHARE, procs = AT_ONCE;
	struct proc *p;

	while (n-- && m->grave && is_due(m, m->grave->grave_ns))
		retire_task(m, take_task(m));
	while (procs-- && (p = m->proc_grave) && is_due(m, p->grave_ns)) {
		m->proc_grave = p->grave_next;
		if (!m->proc_grave)
			m->proc_grave_end = &m->proc_grave;
		retire_proc(m, p);
	}
}

/* --- pages -------------------------------------------------------------------------------------------------- */

void retire__page(struct model *m, const struct rec *r)
{
	struct lane *gone = r->page ? r->page->user : NULL, **at, *lane;

	if (!gone)
		return;
	r->page->user = NULL;
	gone->orphan = true;
	/* and those before it, from which the last entry has gone meanwhile */
	for (at = &gone->task->lanes; (lane = *at);) {
		if (!lane->orphan || lane->entry_cnt) {
			at = &lane->next;
			continue;
		}
		*at = lane->next;
		free(lane);
	}
}

/* --- ghosts ------------------------------------------------------------------------------------------------- */

static bool is_younger(const struct proc *p, u64 ref_ns)
{
	return p && p->born && ref_ns && ref_ns < p->pub.begin_ns;
}

bool retire__is_late(const struct model *m, const struct task *t, u32 pid, u64 ref_ns)
{
	if (t && t->born && ref_ns && ref_ns < t->pub.begin_ns)
		return true;
	return !t && is_younger(idmap__find(&m->pids, pid), ref_ns);
}

static struct proc *ghost_proc(struct model *m, u32 pid, u64 ns, u64 ref_ns)
{
	struct proc *p = idmap__find(&m->pids, pid);

	if (p && !is_younger(p, ref_ns))
		return p;
	p = idmap__find(&m->ghost_pids, pid);
	return p ? p : tasks__ghost_process(m, pid, ns);
}

struct task *retire__ghost(struct model *m, u32 pid, u32 tid, u64 ns, u64 ref_ns)
{
	struct task *t = idmap__find(&m->ghost_tids, tid);
	struct proc *p;

	if (t && t->proc->pub.pid == pid)
		return t;
	if (t || m->ghost_tids.cnt >= MAX_GHOSTS)
		return NULL;
	p = ghost_proc(m, pid, ns, ref_ns);
	t = p ? tasks__ghost(m, p, tid, ns) : NULL;
	if (t)
		retire__task(m, t);
	return t;
}

/* --- the end ------------------------------------------------------------------------------------------------ */

void retire__all(struct model *m)
{
	struct proc *p;

	while ((p = m->procs)) {
		while (p->tasks)
			free_task(m, p->tasks);
		free_proc(m, p);
	}
	m->grave = NULL;
	m->proc_grave = NULL;
	idmap__done(&m->pids);
	idmap__done(&m->tids);
	idmap__done(&m->ghost_pids);
	idmap__done(&m->ghost_tids);
}
