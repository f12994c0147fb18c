/* SPDX-License-Identifier: MIT */
/*
 * flight.h - the recorder's side of a flight recording: ring records in, snapshots out. Essay in flight.c.
 *
 * Knows no BPF: whoever drains the rings (user/session/session.c) hands records over as they came. Not thread-safe; a snapshot may be read
 * by another thread.
 */
#ifndef TAPEBPF_FLIGHT_FLIGHT_H
#define TAPEBPF_FLIGHT_FLIGHT_H

#include "base/codes.h"
#include "flight/carry.h"
#include "flight/generations.h"
#include "flight/ring_dir.h"
#include "flight/roster.h"
#include "flight/snapshot.h"

#define FLIGHT_SIZE_BYTES (10u << 20)
#define FLIGHT_PERIOD_NS (10 * NSEC_PER_SEC)
#define FLIGHT_GENERATION_NS NSEC_PER_SEC
#define FLIGHT_GENERATION_BYTES (2u << 20) /* at most, of sizes up to 32 times that; */
#define FLIGHT_GENERATION_MAX_BYTES (4u << 20) /* at most, of all. See generations.c */

struct flight_opts {
	size_t sz;
	u64 size_bytes, period_ns, generation_ns; /* 0: the defaults above */
	struct roster_ops who;
	struct ring_dir *dir;	/* the ring lives in files; NULL: in memory. Must outlive */
	struct carry_ops pairs; /* role NULL: plain probes make no pairs */
};

struct flight;

struct flight *flight__new(const struct flight_opts *o, u64 now_ns);
void flight__free(struct flight *f);

/* A binary whose sites are about to be attached, for --dir. */
void flight__file(struct flight *f, const struct elf_file *elf, u32 module, u32 first_site);

/* Everything is attached: the recording begins. */
void flight__begin(struct flight *f, u64 now_ns);

/* A ring record, or what an idle read made. */
void flight__rec(struct flight *f, const void *rec, size_t bytes);
/* A page as it was found at late attach. */
void flight__adopt(struct flight *f, const struct wire_batch *b, size_t bytes);
void flight__clock(struct flight *f, u64 ticks, u64 mono_ns);
void flight__mark(struct flight *f, const struct wire_page_val *v, u32 tid, int cause, bool dead, u64 now_ns);
void flight__loss(struct flight *f, int cause, u64 from_ns, u64 to_ns, u64 count);
/* The rings have been drained up to drained_ns. */
void flight__round(struct flight *f, u64 drained_ns, u64 now_ns);
/* Behind a round, for --dir: all that was recorded before complete_ns has been given, or told as lost. */
void flight__beat(struct flight *f, u64 complete_ns);

/*
 * Ends the active generation and hands out what is kept, without files (the caller adds them). Call it when idle pages have
 * been read and applied. cut: where it ends; whole: a time before the first of the pages was read. NULL: no memory.
 */
struct snapshot *flight__snapshot(struct flight *f, const struct clock_pair *cut, bool whole, u64 now_ns);
/* Where a snapshot of now would begin: the generation that it ends may push others out. */
u64 flight__snapshot_start_ns(const struct flight *f, u64 now_ns);
void flight__release(struct flight *f, struct snapshot *s);
/* Gives back the oldest gen_cnt generations of a snapshot that somebody still replays, who has left them behind (replay_opts.left). */
void flight__leave(struct flight *f, struct snapshot *s, u32 gen_cnt);

struct flight_stats {
	struct generations_stats ring;
	struct sheets_stats sheets;
	u64 start_ns;	 /* of the oldest generation */
	u64 recs, hits, batches, bytes; /* so far */
	u64 lost[LOSS_MAX]; /* so far, told by marks and counters */
	u64 carried, carried_bytes, carry_dropped;
	u64 told; /* spans of which something was said that has left the ring */
	u64 processes, threads;
	u64 dir_failed;	 /* definitions and chunks that --dir had no room for */
	u64 dropped;	 /* ring records not kept, for want of memory */
};
void flight__stats(const struct flight *f, struct flight_stats *st);
/* Who is taken for alive: tid 0 for a process, then the threads. fn must not give the recording anything. */
void flight__each_living(const struct flight *f, void (*fn)(void *ctx, u32 pid, u32 tid), void *ctx);
/* The living, with the records of their threads as far as those are remembered; per_s: since the newest generation began. */
void flight__each_process(const struct flight *f, u64 now_ns,
			  void (*fn)(void *ctx, const struct process *p, u32 threads, u64 records, double per_s), void *ctx);

#endif
