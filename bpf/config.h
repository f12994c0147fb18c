/* SPDX-License-Identifier: MIT */
/*
 * config.h - what the recorder tells the BPF programs: the configuration (read-only data, set before they are
 * loaded) and the cookie that each probe carries. Included by both sides.
 */
#ifndef TAPEBPF_CONFIG_H
#define TAPEBPF_CONFIG_H

#include "tapebpf/wire.h"

struct config {
	__u32 follow;	 /* children of targets become targets */
	__u32 max_text;	 /* bytes of a foreign text whose spec names no limit; 1 .. CONFIG_TEXT_BYTES */
	__u32 wake_step; /* look at the fill level of a ring each time so many bytes have gone into it */
	__u32 wake_at;	 /* wake the recorder when so many bytes wait in it */
	__u32 no_cookie;      /* probes carry none: each has a copy of its program with COOKIE_MARK replaced */
	__u32 forget_at_exit; /* sched_process_exit comes after the hook that drains: drop what that left */
	__u32 cpus;	 /* possible ones: staged hits say cpus + their CPU in wire_head.cpu */
};

/* Values of the map "targets". */
#define TARGET_LIVE 1
#define TARGET_DEAD 2  /* its last thread has said that it ends */
#define TARGET_GOING 3 /* and some time ago: the recorder's own note */

/* Bit of targets_generation: the recording has ended, nobody counts any more. */
#define TARGETS_NONE (1u << 31)

#define CONFIG_TEXT_BYTES 4096 /* longest text of a foreign probe */
#define CONFIG_SPECS 4096      /* different argument specs; sites with equal ones share an entry */

/*
 * The 64-bit cookie of a probe.
 * bits 0-31: what comes back as wire_head.cookie (module or site number); 32-47: index of the argument spec (foreign
 * probes); 63: any process that hits becomes a target (-b).
 */
#define COOKIE(number, spec, any) \
	((__u64)(__u32)(number) | (__u64)(__u16)(spec) << 32 | (__u64)!!(any) << 63)
#define COOKIE_NUMBER(c) ((__u32)(c))
#define COOKIE_SPEC(c) ((__u32)((c) >> 32) & 0xffff)
#define COOKIE_ANY(c) ((c) >> 63)

/* Kernels without cookies (before 5.15) get a copy of the program per probe, in which this constant is replaced. */
#define COOKIE_MARK 0x7a9ec00c1e7a9ebfULL

/* A file as exec sees it, key of the map "binaries". dev: as the kernel has it (major << 20 | minor). */
struct binary_key {
	__u64 dev;
	__u64 ino;
};

/* Where hits of one CPU are gathered (stage.bpf.h). Element of the map "stages", by CPU. */
#define STAGE_BYTES 4096
#define STAGE_ROOM 192 /* behind it: what the verifier thinks a hit could need */
struct stage {
	__u64 busy; /* != 0: somebody adds a hit, or moves them to the ring */
	__u32 used; /* bytes of whole hits in data */
	__u32 cnt;
	__u64 pad[2];
	/* The ring record: kind WIRE_HITS, time that of the first hit, then struct wire_hit of wire_head.bytes each. */
	struct wire_head head;
	__u8 data[STAGE_BYTES + STAGE_ROOM];
};

/* Per CPU. seq is incremented without atomicity: two programs that preempt each other on one CPU can use a number twice
 * but never leave one out, so a gap is always a record that is missing.
 * counter[WIRE_C_SUBMITTED] stays 0: it is EMITTED less the lost ones, and the recorder counts what it receives. */
struct cpu_state {
	__u64 counter[16]; /* enum wire_counter */
	__u32 seq;
	__u32 since; /* bytes since the fill level was looked at */
	__u32 tgid;  /* the last process here that was found to be a target, while `generation` was this */
	__u32 generation;
};

#endif
