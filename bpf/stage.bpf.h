/* SPDX-License-Identifier: MIT */
/*
 * stage.bpf.h - gathering the hits of a CPU in memory that stays in its cache, and moving them to the ring by the dozen.
 *
 * Problem: a hit of 80 bytes that goes straight into the ring writes to lines that the recorder had last. Fetching them, one
 * by one and with what was in them, costs 60 to 100 ns, several times what the program itself takes. A stage of 4 KiB a CPU is
 * written and copied from within the first cache, and the copy writes whole lines that need not be fetched.
 *
 * Whose is the stage? Whoever exchanged `busy` from 0 to 1. A program that finds it taken (it has preempted the one that
 * has it, or the recorder is moving what is there) takes the direct way, a record of its own in the ring. Nobody waits.
 *
 * Order: one hit after the other is staged with `busy` held and its time taken within, so a stage is in the order of time; but in
 * the ring it lies behind direct records that are younger. So staged hits carry a number of their own in wire_head.cpu, and
 * the recorder merges them as what comes from another CPU.
 *
 * The rest: the recorder moves what is there before each look at the rings (stage_move, run by BPF_PROG_TEST_RUN on
 * whatever CPU). Found busy, the stage may hold hits of before that look: the ring is then complete only up to the look
 * before, as it is with a record reserved and not submitted. (rings.c)
 *
 * Counting: EMITTED is counted as ever, when the program begins. What does not fit into the ring is lost as a whole, and
 * counted hit by hit. A recorder that is killed loses what is staged: 4 KiB a CPU, of the last 50 ms.
 *
 * Rejected: staging with preemption off (no such thing in BPF); an atomically increased offset in place of `busy` (whoever
 * moves would have to wait for those who are writing); reading the stage through a mapping (torn hits, and each moved one
 * twice).
 */
#ifndef TAPEBPF_STAGE_BPF_H
#define TAPEBPF_STAGE_BPF_H

#include "emit.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* a CPU each: the recorder sets it */
	__uint(map_flags, 1024); /* BPF_F_MMAPABLE: the recorder looks whether there is anything */
	__type(key, __u32);
	__type(value, struct stage);
} stages SEC(".maps");

__inline bool stage__take(struct stage *s)
{
	return !__sync_lock_test_and_set(&s->busy, 1);
}

/* Seen from another CPU the hits are there before `busy` falls: by themselves on x86. */
__inline void stage__give(struct stage *s)
{
#if defined(__TARGET_ARCH_x86)
	barrier();
	*(volatile __u64 *)&s->busy = 0;
#else
	__sync_lock_test_and_set(&s->busy, 0);
#endif
}

/* To the ring of e, with the stage held. */
__inline void stage__empty(struct emit *e, struct stage *s)
{
	__u64 bytes = s->used;

	s->head.kind = WIRE_HITS;
	s->head.bytes = sizeof(s->head) + bytes;
	barrier_var(bytes); /* the verifier wants to see the bound right here */
	if (bytes > STAGE_BYTES)
		bytes = STAGE_BYTES;
	if (bpf_ringbuf_output(e->ring, &s->head, sizeof(s->head) + bytes, emit__wake(e, bytes)))
		__sync_fetch_and_add(&e->st->counter[WIRE_C_LOST_RING], s->cnt);
	s->used = 0;
	s->cnt = 0;
}

/* Room for a hit in the stage of this CPU, which is held then. NULL: not now. */
__inline struct wire_hit *stage__reserve(struct emit *e, struct stage **stage, const __u32 most)
{
	struct stage *s = bpf_map_lookup_elem(&stages, &e->cpu);
	__u64 used;

	if (!s || !stage__take(s))
		return NULL;
	if (s->used > STAGE_BYTES - most) {
		if (!emit__ring(e)) {
			stage__give(s);
			return NULL;
		}
		stage__empty(e, s);
	}
	*stage = s;
	used = s->used;
	barrier_var(used);
	return (void *)s->data + (used & (STAGE_BYTES - 1));
}

__inline void stage__commit(struct emit *e, struct stage *s, struct wire_hit *hit, __u32 bytes)
{
	hit->head.cpu = config.cpus + e->cpu;
	if (!s->cnt)
		s->head.time_ns = hit->head.time_ns;
	s->used += bytes;
	s->cnt++;
	stage__give(s);
}

#endif
