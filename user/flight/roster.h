/* SPDX-License-Identifier: MIT */
/*
 * roster.h - who is recorded: processes and threads by their lives, with names, as they were when first seen.
 *
 * The records that told of them leave the ring, and /proc forgets the dead. So whoever turns up is asked about at once; dead ones stay
 * until nothing in the ring can name them. A number that is used again, and an exec, make another version: an entry holds from
 * its since_ns to that of the next. Not thread-safe; a copy can be given to another thread.
 */
#ifndef TAPEBPF_FLIGHT_ROSTER_H
#define TAPEBPF_FLIGHT_ROSTER_H

#include "base/idmap.h"
#include "model/sink.h"

struct roster_process {
	struct process pub; /* pid, ns_pid, parent_pid, start_ns, dev, ino, comm, exe, cmdline */
	u64 since_ns, dead_ns; /* dead_ns 0: alive */
	struct roster_process *before; /* same pid, earlier */
};

struct roster_thread {
	u32 pid, tid;
	u64 since_ns, dead_ns;
	char comm[16];
	char *name; /* that it gave itself, or the kernel calls it since; NULL: comm holds */
	bool named; /* it was the program */
	u64 records, then[2]; /* for the caller's figures: now, and at two moments before */
	struct roster_thread *before; /* same tid, earlier */
};

struct roster_ops {
	/* As model_opts: fill what is known of a process; the comm of a thread. Either may be NULL. */
	void (*describe)(void *ctx, struct process *p);
	void (*comm)(void *ctx, u32 pid, u32 tid, char comm[16]);
	void *ctx;
};

struct roster_process;
struct roster_thread;

/* Who wants to hear of versions as they are made; members may be NULL. */
struct roster_listener {
	void (*process)(void *ctx, const struct roster_process *p);
	void (*thread)(void *ctx, const struct roster_thread *t);
	void (*name)(void *ctx, const struct roster_thread *t);
	void *ctx;
};

struct roster {
	struct roster_ops ops;
	struct roster_listener listener;
	struct idmap pids, tids; /* newest version */
	struct roster_thread *near[256]; /* some of tids, by its low bits */
	u64 process_cnt, thread_cnt;	 /* versions */
	u64 failed;			 /* not kept, for want of memory */
};

void roster__init(struct roster *r, const struct roster_ops *ops);
void roster__done(struct roster *r);

/* The thread that a record is of, asked about if it is new. NULL: no memory. */
struct roster_thread *roster__see_slowly(struct roster *r, u32 pid, u32 tid, u64 time_ns);
static inline struct roster_thread *roster__see(struct roster *r, u32 pid, u32 tid, u64 time_ns)
{
	struct roster_thread *t = r->near[tid & 255];

	if (__builtin_expect(t && t->tid == tid && t->pid == pid && !t->dead_ns, 1))
		return t;
	return roster__see_slowly(r, pid, tid, time_ns);
}

/* A FORK, EXEC, EXIT or RENAME. bytes: of the record, valid. */
void roster__life(struct roster *r, const struct wire_life *l, u32 bytes);
/* As its program says. */
void roster__name(struct roster *r, struct roster_thread *t, const char *name, size_t bytes);
/* What somebody else knew: p's texts are taken over. rename: of the version that is there. 0 or -ENOMEM. */
int roster__add_process(struct roster *r, struct process *p, u64 since_ns);
int roster__add_thread(struct roster *r, u32 pid, u32 tid, u64 since_ns, const char comm[16], const char *name, bool rename);

/* Forget who died before this time. */
void roster__prune(struct roster *r, u64 before_ns);

/* A copy without ops, for somebody else. -ENOMEM: dst is empty. */
int roster__copy(struct roster *dst, const struct roster *src);

/* The version that held at a time: the last one that began by then, else the oldest. NULL: never heard of. */
const struct roster_process *roster__process_at(const struct roster *r, u32 pid, u64 ns);
const struct roster_thread *roster__thread_at(const struct roster *r, u32 pid, u32 tid, u64 ns);

#endif
