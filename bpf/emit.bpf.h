/* SPDX-License-Identifier: MIT */
/*
 * emit.bpf.h - the only place that reserves ring space, submits and counts loss.
 *
 * One ring per CPU: two CPUs that share a ring spend more on its lock than on the record. The hot path never wakes
 * the recorder (a default wake-up costs as much as the record: 2.2 against 1.1 us); it drains on a timer. Only when
 * a ring fills beyond config.wake_at does a submit wake it.
 *
 * Order of things, and why:
 *   - The time is taken after the reservation. So a record that a drain did not see yet (its place lies behind the
 *     producer position that was read) has a time later than that reading: the recorder's watermark is exact, without
 *     assumptions on how long a program may be preempted.
 *   - Counters are added to atomically: sleepable programs and, on preemptible kernels, all programs of a CPU can
 *     interleave. (The plain form of the instruction, without result, works on 5.10.) EMITTED is counted first.
 *   - What is handed to a ring is not counted here: that is the rest, and the recorder's own count of what it receives
 *     proves it. An atomic addition less for each hit.
 *   - What may fault is read before the reservation, as a reserved record stops the consumer.
 *
 * Invariant: EMITTED = received + LOST_RING + LOST_READ + LOST_SIZE once no program runs and the rings are drained.
 */
#ifndef TAPEBPF_EMIT_BPF_H
#define TAPEBPF_EMIT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "tapebpf/wire.h"
#include "config.h"

extern const volatile struct config config;

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/* Filled by the recorder: a ring for each possible CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu_state);
} cpus SEC(".maps") __weak;

/* Processes whose records count, by tgid. Filled by the recorder, fork, exec and probes that make targets. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps") __weak;

/*
 * Counts the removals from `targets`: what a CPU remembers of it holds while this stays the same. With TARGETS_NONE, which no CPU
 * remembers, all probes and hooks are as good as gone from one moment to the next, at no cost before: to take them out takes
 * milliseconds each, in which a flood fills the rings.
 */
extern __u32 targets_generation;

struct emit {
	__u64 id; /* of the current task: pid << 32 | tid */
	struct cpu_state *st;
	void *ring;
	__u32 cpu;
	__u32 seq;
};

#define __inline static __always_inline
#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

__inline void emit__count(struct emit *e, enum wire_counter c)
{
	__sync_fetch_and_add(&e->st->counter[c], 1);
}

/* All of these programs run with migration disabled, so the CPU stays the same until they end. The ring: emit__ring(). */
__inline bool emit__init_state(struct emit *e)
{
	__u32 zero = 0;

	e->id = bpf_get_current_pid_tgid();
	e->cpu = bpf_get_smp_processor_id();
	e->st = bpf_map_lookup_elem(&cpus, &zero);
	e->ring = NULL;
	return e->st;
}

__inline bool emit__ring(struct emit *e)
{
	e->ring = bpf_map_lookup_elem(&rings, &e->cpu);
	return e->ring;
}

__inline bool emit__init(struct emit *e)
{
	return emit__init_state(e) && emit__ring(e);
}

/* bytes must be a compile-time constant. NULL: the ring is full. The caller counts, as only it knows as what. */
__inline void *emit__reserve(struct emit *e, const __u64 bytes)
{
	e->seq = e->st->seq++;
	return bpf_ringbuf_reserve(e->ring, bytes, 0);
}

__inline void emit__head(struct emit *e, struct wire_head *h, __u16 kind, __u32 bytes, __u32 cookie)
{
	h->kind = kind;
	h->cpu = e->cpu;
	h->bytes = bytes;
	h->time_ns = bpf_ktime_get_ns();
	h->seq = e->seq;
	h->cookie = cookie;
	h->pid = e->id >> 32;
	h->tid = e->id;
}

/* With what flags to hand so many bytes to the ring. */
__inline __u64 emit__wake(struct emit *e, __u32 bytes)
{
	e->st->since += bytes;
	if (e->st->since < config.wake_step)
		return BPF_RB_NO_WAKEUP;
	e->st->since = 0;
	return bpf_ringbuf_query(e->ring, BPF_RB_AVAIL_DATA) >= config.wake_at ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

__inline void emit__submit(struct emit *e, void *rec, const __u32 reserved)
{
	bpf_ringbuf_submit(rec, emit__wake(e, reserved));
}

/* Every byte of a ring record is written. A read that is bound to fail (no user address) leaves zeros: a memset of
 * variable length, which BPF has no other word for. */
__inline void emit__zero(void *dst, __u32 bytes)
{
	bpf_probe_read_user(dst, bytes, (void *)-1L);
}

/* --- what all programs ask ------------------------------------------------------------------------------------ */

__inline __u64 probe__cookie(void *ctx)
{
	__u64 mark = COOKIE_MARK;

	barrier_var(mark); /* the compiler must not compute with it: it is replaced */
	if (config.no_cookie) /* then the verifier never looks at the call */
		return mark;
	return bpf_get_attach_cookie(ctx);
}

/* Does a hit of the current process count? A program that preempts us between the two stores below can leave tgid and
 * generation of different moments only if targets came and went within that time; the worst of it is one hit. */
__inline bool target__wanted(struct emit *e, __u64 cookie)
{
	__u32 tgid = e->id >> 32, one = TARGET_LIVE, generation = targets_generation;

	if (e->st->tgid == tgid && e->st->generation == generation)
		return true;
	if (generation & TARGETS_NONE)
		return false;
	if (!bpf_map_lookup_elem(&targets, &tgid)) {
		if (!COOKIE_ANY(cookie))
			return false;
		bpf_map_update_elem(&targets, &tgid, &one, BPF_ANY);
	}
	e->st->generation = generation;
	e->st->tgid = tgid;
	return true;
}

__inline bool target__is(__u32 tgid)
{
	return !(targets_generation & TARGETS_NONE) && bpf_map_lookup_elem(&targets, &tgid);
}

/* What every probe begins with. */
__inline bool probe__init(struct emit *e, __u64 cookie)
{
	return emit__init(e) && target__wanted(e, cookie);
}

/* pid and tid as the task's own (innermost) pid namespace numbers them. */
__inline __u32 task__ns_nr(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	int nr = 0;

	/* The innermost namespace's entry; the element's size is the kernel's, not that of our struct. */
	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(((struct pid *)0)->numbers) +
				      (level & 31) * bpf_core_type_size(struct upid) +
				      bpf_core_field_offset(((struct upid *)0)->nr));
	return nr;
}

#endif
