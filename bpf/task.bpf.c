/* SPDX-License-Identifier: MIT */
/*
 * task.bpf.c - lives of threads and processes: fork, rename, exec and exit of targets, and the hooks that drain the pages of
 * a dying thread while its memory still exists. Which hook does that depends on the kernel; user/attach loads one of
 * each kind:
 *
 *   exit: sched_process_exit, where it runs before exit_mm (6.16+); else fentry or kprobe on do_exit; else the first
 *	   take of mmap_lock by a dying task (exit_mm takes it), 5.11+.
 *   exec: sched_prepare_exec (6.9+, before the old memory goes); else fentry or kprobe on begin_new_exec; else entry to
 *	   execve, which also fires for an exec that fails: its entries stay in use.
 */
#include "page.bpf.h"

/* Files whose processes become targets when they are exec'ed (-b). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct binary_key);
	__type(value, __u32);
} binaries SEC(".maps");

#define EXEC_NAME_BYTES 256

/* --- the pages of a thread ------------------------------------------------------------------------------------- */

enum entry_flags {
	ENTRY_DRAIN = 1,  /* deliver what the page holds */
	ENTRY_FINAL = 2,  /* do not read it again */
	ENTRY_FORGET = 4, /* drop the entry */
	ENTRY_EXEC = 8,	  /* because of an exec, not of an end */
};

__inline void page__drain(struct emit *e, struct wire_page_val *val, __u32 flags)
{
	__u32 why = flags & ENTRY_EXEC ? WIRE_WHY_EXEC : WIRE_WHY_EXIT;
	struct wire_page h;
	int lost;

	if (bpf_probe_read_user(&h, sizeof(h), (void *)val->addr)) {
		/* Reaped or paged out. If it held something new, nobody will know how much. */
		emit__count(e, WIRE_C_BATCHES);
		emit__count(e, WIRE_C_BATCH_LOST_READ);
		val->lost_cause = WIRE_C_BATCH_LOST_READ;
	} else if (!page__valid(&h, val->addr) || h.id != val->id || h.tid != val->ns_tid) {
		/* Unmapped, recycled, or wiped by a fork: not this thread's page any more. */
		emit__count(e, WIRE_C_BAD_PAGE);
	} else if (WIRE_COMMIT_CNT(h.commit) || page__seen(&h) != val->seen) {
		lost = page__send(e, &h, val->addr, why, val->module, false);
		page__mark(val, &h, lost);
	}
	if (flags & ENTRY_FINAL)
		val->state = STATE_EXEC;
}

/* The n-th entry of a thread. Global, so that the verifier looks at it once, not for each n. */
__noinline int entry__do(__u32 tid, __u32 n, __u32 flags)
{
	struct wire_page_key key = {.tid = tid, .n = n};
	struct wire_page_val *val = bpf_map_lookup_elem(&pages, &key);
	struct emit e;

	if (!val || !emit__init(&e))
		return 0;
	if (flags & ENTRY_DRAIN && val->state == STATE_LIVE)
		page__drain(&e, val, flags);
	if (flags & ENTRY_FORGET)
		page__forget(&e, &key, val);
	return 0;
}

/* A thread ends, or its memory is about to be replaced. Not sleepable. */
__inline void thread__entries(__u32 tid, __u32 flags)
{
	__u32 n;

	for (n = 0; n < WIRE_PAGES_PER_THREAD; n++)
		entry__do(tid, n, flags);
}

__inline void life__fill(struct wire_life *l, struct task_struct *subject, __u32 flags)
{
	l->other_pid = 0;
	l->other_tid = 0;
	l->status = 0;
	l->flags = flags;
	l->start_ns = BPF_CORE_READ(subject, group_leader, start_boottime);
	l->ns_pid = task__ns_nr(BPF_CORE_READ(subject, group_leader));
	l->ns_tid = task__ns_nr(subject);
	__builtin_memset(l->comm, 0, sizeof(l->comm));
	bpf_core_read_str(l->comm, sizeof(l->comm), &subject->comm);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(task_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = parent->tgid, child_tgid = child->tgid, one = TARGET_LIVE;
	bool process = child_tgid != tgid;
	struct wire_life *l;
	struct emit e;

	if (!target__is(tgid) || (process && !config.follow))
		return 0;
	if (process)
		bpf_map_update_elem(&targets, &child_tgid, &one, BPF_ANY);
	if (!emit__init(&e))
		return 0;
	l = emit__reserve(&e, sizeof(*l));
	if (!l) {
		emit__count(&e, WIRE_C_LIFE_LOST);
		return 0;
	}
	emit__head(&e, &l->head, WIRE_FORK, sizeof(*l), 0);
	life__fill(l, child, process ? WIRE_LIFE_PROCESS : 0);
	l->other_pid = child_tgid;
	l->other_tid = child->pid;
	emit__submit(&e, l, sizeof(*l));
	return 0;
}

/*
 * A thread is made with the name of the one that makes it, and takes its own before it does anything else (pthread_setname_np, Rust's and Go's
 * and Java's threads). Told before the task has it. Another thread of the process may be the one who does it. An exec renames too, while the old
 * program still has the thread; it has a record of its own.
 */
__inline bool task__in_exec(struct task_struct *task)
{
	return bpf_core_field_exists(struct fs_struct, in_exec) && BPF_CORE_READ(task, fs, in_exec);
}

SEC("raw_tp/task_rename") /* before 5.17 a tp_btf program may not look at a pointer to char */
int BPF_PROG(task_rename, struct task_struct *task, const char *comm)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct wire_life *l;
	struct emit e;

	if (!target__is(tgid) || task__in_exec(task) || !emit__init(&e))
		return 0;
	l = emit__reserve(&e, sizeof(*l));
	if (!l) {
		emit__count(&e, WIRE_C_LIFE_LOST);
		return 0;
	}
	emit__head(&e, &l->head, WIRE_RENAME, sizeof(*l), 0);
	life__fill(l, task, 0);
	l->other_pid = tgid;
	l->other_tid = BPF_CORE_READ(task, pid);
	bpf_probe_read_kernel_str(l->comm, sizeof(l->comm), comm);
	emit__submit(&e, l, sizeof(*l));
	return 0;
}

/* --- exec ------------------------------------------------------------------------------------------------------ */

__inline void binary__check(struct linux_binprm *bprm, __u32 tgid)
{
	struct inode *inode = BPF_CORE_READ(bprm, file, f_inode);
	struct binary_key key = {.dev = BPF_CORE_READ(inode, i_sb, s_dev), .ino = BPF_CORE_READ(inode, i_ino)};
	__u32 one = TARGET_LIVE;

	if (bpf_map_lookup_elem(&binaries, &key))
		bpf_map_update_elem(&targets, &tgid, &one, BPF_ANY);
}

/* After the exec: the memory is new. An exec from another thread than the leader takes the leader's tid, so both tids
 * are forgotten. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(task_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct {
		struct wire_life life;
		char name[EXEC_NAME_BYTES];
	} *r;
	__u32 tgid = task->tgid;
	struct emit e;
	long n;

	binary__check(bprm, tgid);
	if (!target__is(tgid) || !emit__init(&e))
		return 0;
	thread__entries(task->pid, ENTRY_FORGET);
	if (old_pid != task->pid)
		thread__entries(old_pid, ENTRY_FORGET);
	r = emit__reserve(&e, sizeof(*r));
	if (!r) {
		emit__count(&e, WIRE_C_LIFE_LOST);
		return 0;
	}
	emit__head(&e, &r->life.head, WIRE_EXEC, sizeof(*r), 0);
	life__fill(&r->life, task, WIRE_LIFE_PROCESS);
	r->life.other_tid = old_pid;
	__builtin_memset(r->name, 0, sizeof(r->name));
	n = bpf_probe_read_kernel_str(r->name, sizeof(r->name), bprm->filename);
	r->life.head.bytes = sizeof(r->life) + (n > 0 ? n : 1);
	emit__submit(&e, r, sizeof(*r));
	return 0;
}

__inline int exec__drain(const bool final)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (target__is(id >> 32))
		thread__entries(id, ENTRY_DRAIN | ENTRY_EXEC | (final ? ENTRY_FINAL : 0));
	return 0;
}

SEC("tp_btf/sched_prepare_exec")
int BPF_PROG(exec_prepare)
{
	return exec__drain(true);
}

SEC("fentry/begin_new_exec")
int BPF_PROG(exec_fentry)
{
	return exec__drain(true);
}

SEC("kprobe/begin_new_exec")
int exec_kprobe(struct pt_regs *ctx)
{
	return exec__drain(true);
}

#if defined(__TARGET_ARCH_x86)
#define NR_EXECVE 59
#define NR_EXECVEAT 322
#else
#define NR_EXECVE 221
#define NR_EXECVEAT 281
#endif

SEC("tp_btf/sys_enter")
int BPF_PROG(exec_sys_enter, struct pt_regs *regs, long nr)
{
	return nr == NR_EXECVE || nr == NR_EXECVEAT ? exec__drain(false) : 0;
}

/* --- exit ------------------------------------------------------------------------------------------------------ */

__inline int exit__drain(void)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (target__is(id >> 32))
		thread__entries(id, ENTRY_DRAIN | ENTRY_FINAL | ENTRY_FORGET);
	return 0;
}

SEC("fentry/do_exit")
int BPF_PROG(exit_fentry)
{
	return exit__drain();
}

SEC("kprobe/do_exit")
int exit_kprobe(struct pt_regs *ctx)
{
	return exit__drain();
}

SEC("tp_btf/mmap_lock_start_locking")
int BPF_PROG(exit_mmap_lock)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = (void *)ctx[0];

	if (!(BPF_CORE_READ(task, flags) & PF_EXITING) || BPF_CORE_READ(task, mm) != mm)
		return 0;
	return exit__drain();
}

/* What wait(2) will say. The last thread speaks for the process: the group's code if there is one, else the leader's
 * own, which may have gone before. */
__inline __u32 exit__status(struct task_struct *task, bool last)
{
	if (!last)
		return task->exit_code;
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

__inline void exit__emit(struct emit *e, struct task_struct *task, bool last)
{
	struct wire_life *l = emit__reserve(e, sizeof(*l));

	if (!l) {
		emit__count(e, WIRE_C_LIFE_LOST);
		return;
	}
	emit__head(e, &l->head, WIRE_EXIT, sizeof(*l), 0);
	life__fill(l, task, last ? WIRE_LIFE_PROCESS : 0);
	l->status = exit__status(task, last);
	emit__submit(e, l, sizeof(*l));
}

/* The entry stays, marked: other threads of the process may be on their way to their own drain, as group_dead is
 * decided long before. The recorder deletes it once the process is gone. */
__inline bool target__dead(__u32 tgid)
{
	__u32 *state = bpf_map_lookup_elem(&targets, &tgid);

	if (!state || *state != TARGET_LIVE)
		return false;
	*state = TARGET_DEAD;
	return true;
}

/* 6.16+, where the second argument came together with the place before exit_mm. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task, bool group_dead)
{
	struct emit e;

	if (!target__is(task->tgid) || !emit__init(&e))
		return 0;
	thread__entries(task->pid, ENTRY_DRAIN | ENTRY_FINAL | ENTRY_FORGET);
	if (group_dead)
		target__dead(task->tgid);
	exit__emit(&e, task, group_dead);
	return 0;
}

/* Before: the memory is gone by now, another hook has drained it. Two last threads may both see that nobody is left;
 * one of them tells. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit_old, struct task_struct *task)
{
	struct emit e;
	bool last;

	if (!target__is(task->tgid) || !emit__init(&e))
		return 0;
	if (config.forget_at_exit)
		thread__entries(task->pid, ENTRY_FORGET);
	last = BPF_CORE_READ(task, signal, live.counter) == 0 && target__dead(task->tgid);
	exit__emit(&e, task, last);
	return 0;
}
