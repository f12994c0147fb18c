/* SPDX-License-Identifier: MIT */
/*
 * stream.h - what the files of ingest/ share: pages, what is held for them, and the whole of struct ingest.
 *
 *   pages.c   who is who: pages by id, by owner; modules of a process; the end of a page's life
 *   stream.c  deliveries made whole: rules 1 to 4 of the batch path. Essay there
 *   singles.c foreign hits and lives of threads
 *   pass.c    from what is held to ops->rec, in time order
 *   skip.c    what may be left out before
 *   ingest.c  the public calls
 */
#ifndef TAPEBPF_INGEST_STREAM_H
#define TAPEBPF_INGEST_STREAM_H

#include "ingest/batch.h"
#include "ingest/ingest.h"
#include "ingest/merge.h"

/* Without memory an element is left out of its table (hh.tbl is NULL then); by default uthash would exit. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Something that came and has not been passed on. */
enum held_type { HELD_BATCH, HELD_PAGE, HELD_LOSS, HELD_SINGLE };

struct held {
	struct held *prev, *next; /* utlist */
	u64 time_ns;  /* BATCH: of the delivery; else: of the record */
	u64 first;    /* BATCH: number of its first record. LOSS: number lost. SINGLE in a page: its place (wire_imm.at) */
	u64 end;      /* BATCH: number just past its last */
	u64 start;    /* BATCH: number of the first that is new, once accepted */
	u64 gap;      /* BATCH: records lost before it, once accepted */
	u32 alloc;    /* bytes of memory */
	u32 bytes;    /* of data */
	u16 cpu;
	u8 type;      /* enum held_type */
	u8 adopt;     /* BATCH: of ingest__adopt */
	u8 cause;     /* LOSS */
	u8 pad[3];
	const u8 *data; /* BATCH: page image; SINGLE: the ring record. In `own`, or the caller's (ingest_opts.borrow) */
	_Alignas(8) u8 own[];
};

struct page {
	struct merge_source src; /* first: see page__of */
	struct rec_page pub;
	UT_hash_handle hh;	       /* by pub.id; see same */
	struct page *same;	       /* next page with the same id */
	struct page *prev, *next;      /* all pages */
	struct page *own_prev, *own_next; /* of its owner */
	struct page *hold_prev, *hold_next; /* those with something in early */
	struct page *mark_next;	       /* of those with a dead mark */
	struct page *grave_next;       /* of the dead */
	struct owner *owner;

	u64 base;     /* number from which on records are ours */
	u64 next_num; /* number of the next record to accept */
	u64 seen;     /* the kernel's mark */
	u64 mark_ns;  /* a dead mark is believed once the rings are drained past this; 0: not known yet */
	u64 dead_ns;  /* time of the owner's end */
	u64 last_ns;  /* time of the last record passed on */
	u64 link;     /* link address of the module; 0: not known yet */
	u32 too_deep;
	u8 cause;	 /* enum loss_cause of the next gap, as far as known */
	bool named;	 /* ns ids and module are known (a mark alone does not tell them) */
	bool announced;	 /* made during the recording: its records count from number 0 */
	bool based;	 /* base and next_num are valid */
	bool told;	 /* REC_PAGE has been passed on */
	bool resync;	 /* the model's stack must be set before the next record */
	bool complete;	 /* its last delivery has come */
	bool dead;	 /* its owner has ended, or given it back */
	bool marked;	 /* in the list of dead marks */
	bool opened;	 /* b and cur are valid for the head of queue */
	bool running;	 /* opened, all has been said that comes before its records, and a record comes next */

	struct held *queue; /* accepted, in order */
	struct held *early; /* not yet: first is beyond next_num. Ordered by first */
	struct held *imms;  /* immediate records, ordered by place */
	struct held *last_early, *last_imm; /* where the last one was put, NULL: nowhere that still is */
	struct batch b;	    /* of the head of queue */
	struct batch_cursor cur;
	int more; /* what the cursor's last step returned */
	/* words_from() in skip.c */
	u64 word_end; /* one more than the number of the next record that is not usual; ~0: there is none in the batch; before the cursor: not known */
	u64 word_ns;  /* its time, or that of the batch's last record */
};

struct owner {
	u32 tid;
	struct page *pages;
	UT_hash_handle hh;
};

#define PROC_MAX_MODULES 256

struct proc {
	u32 pid;
	u32 cnt;
	u64 newest_id; /* of its pages */
	struct {
		u64 addr;
		u32 module;
	} * mod;
	UT_hash_handle hh;
};

/* A hit or a life, copied into a chunk. */
struct single {
	u64 time_ns;
	const struct wire_head *rec;
};

/* What a CPU's ring brought besides batches: ordered by time. */
struct cpu_source {
	struct merge_source src; /* first */
	u32 cpu;
	u32 head, cnt, cap; /* of slot, a ring; cap is a power of two */
	struct single *slot;
};

struct single_chunk; /* singles.c */

/* What was said of a callsite: skip.c. */
struct skip_site {
	u64 module_addr;
	u64 least_ns;
	u32 module, callsite;
	u8 kind; /* 0: none */
	struct rec_look look;
	/* where the thread counts: of the walk `walk` */
	u64 walk, thread_ns;
};

#define SKIP_SITES 128

struct ingest {
	struct ingest_ops ops;
	u64 hold_ns, since_ns;
	size_t held_max, early_max;
	bool borrow;
	size_t early_bytes; /* of st.held_bytes: in early lists */
	struct batch_clock clock;
	struct merge merge;

	struct page *by_id;   /* uthash */
	struct page *pages;   /* all, utlist */
	struct page *holding; /* with something in early */
	struct page *marked;  /* with a dead mark that is not believed yet */
	struct page *grave, *grave_tail; /* dead, oldest first */
	struct owner *owners;
	struct proc *procs;
	u64 page_cnt; /* in memory, dead ones too */
	u64 page_serial;
	struct cpu_source **cpu;
	u32 cpu_cnt;
	struct held *parked; /* ends of threads that came up before the rings were drained past them */

	u64 drained_ns;	  /* the latest that the caller told */
	u64 watermark_ns; /* what is older is passed on */
	u64 passed_ns;	  /* time of the latest record passed on */
	u64 limit_ns;	  /* up to which records are being passed on */
	bool short_of_memory; /* pass on until no more than held_low is held */
	bool turning;	      /* in ops->turn */
	size_t held_low;
	struct single_chunk *chunk; /* that is being filled */
	struct single_chunk *free_chunks;
	struct ingest_stats st;
	struct rec r;
	struct skip_site skip_site[SKIP_SITES]; /* by callsite */
	u64 walks;	  /* of skip.c, so far */
	struct batch_entry entries[BATCH_MAX_RECS];
};

#define INGEST_MAX_PAGES (1U << 18) /* a page costs some 600 bytes here */

/* --- pages.c --- */
struct page *pages__find(struct ingest *in, u64 id, u32 ns_pid, u32 ns_tid);
struct page *pages__find_host(struct ingest *in, u64 id, u32 pid, u32 tid);
struct page *pages__find_pageless(struct ingest *in, u32 pid, u32 tid, u64 module_addr);
/* A new one; NULL: no memory or too many. */
struct page *pages__add(struct ingest *in, u64 id, u32 pid, u32 tid);
void pages__name(struct page *p, u32 ns_pid, u32 ns_tid, u64 module_addr, u32 module);
int pages__own(struct ingest *in, struct page *p, u32 pid, u32 tid);
/* The program gave the page's memory back, its thread lives on. */
void pages__gone(struct ingest *in, struct page *p, u64 time_ns);
/* The thread has ended at time_ns: its pages have no further use for the model. */
void pages__bury(struct ingest *in, u32 pid, u32 tid, u64 time_ns);
void pages__to_grave(struct ingest *in, struct page *p);
/* Give back the memory of pages that have been dead for so long that nothing can come any more. */
void pages__sweep(struct ingest *in, u64 before_ns);
void pages__free_all(struct ingest *in);
/* Of its page page_id (0: it has none). */
void procs__note(struct ingest *in, u32 pid, u64 page_id, u64 module_addr, u32 module);
/* Has the process made a page after time_ns? (An exec can come after what it started.) */
bool procs__younger(struct ingest *in, u32 pid, u64 time_ns);
int procs__module_at(struct ingest *in, u32 pid, u64 module_addr);
void procs__forget(struct ingest *in, u32 pid);

/* Borrowed data is held from now on, or no longer. */
static inline void ingest__uses(struct ingest *in, const void *data, bool begin)
{
	if (in->borrow && in->ops.uses && data)
		in->ops.uses(in->ops.ctx, data, begin);
}

/* --- stream.c --- */
struct held *held__new(struct ingest *in, enum held_type type, const void *data, size_t bytes);
void held__free(struct ingest *in, struct held *h);
int stream__batch(struct ingest *in, const struct wire_batch *w, size_t bytes, bool adopt);
int stream__announce(struct ingest *in, const struct wire_announce *a);
int stream__immediate(struct ingest *in, const struct wire_head *head, size_t bytes);
int stream__mark(struct ingest *in, u32 pid, u32 tid, u64 id, u64 seen, int cause, bool dead);
void stream__expect(struct ingest *in, u32 pid, u32 tid, u64 id, u64 number);
/* Believe that everything emitted before drained_ns has been pushed: end holds, count gaps and dead marks. */
int stream__drained(struct ingest *in, u64 drained_ns, u64 now_ns);
int stream__finish(struct ingest *in);
/* Accept what is held early in the page that has held something longest. There must be one. */
int stream__force_one(struct ingest *in);

/* --- pass.c --- */
/* The page's next thing may have changed: find its time and place the page in the heap, or take it out. */
int pass__refresh(struct ingest *in, struct page *p);
/* Tell at once of records that are lost and have no place in a page. */
/* The model forgets what it knows of the page. */
void pass__page_gone(struct ingest *in, struct page *p);
int pass__lost(struct ingest *in, u64 count, int cause, u32 pid, u32 tid);
/* ... of an immediate record or a hit, which the BPF side has counted as emitted. */
int pass__bad_single(struct ingest *in, const struct wire_head *head, int cause);
int pass__until(struct ingest *in, u64 time_ns);
/* What does not fit into memory is passed on early, or counted lost. */
int pass__bound(struct ingest *in);

#define PASS_LAST_RANK (~0ULL)

static inline struct page *page__of(struct merge_source *s)
{
	return container_of(s, struct page, src);
}

static inline bool source__is_page(const struct merge_source *s)
{
	return s->rank >> 32 && s->rank != PASS_LAST_RANK;
}

/* Hand out in->r, which is not one of the program's records: whoever wants a turn says so at the next one of these. */
static inline int pass__say(struct ingest *in)
{
	return MIN(in->ops.rec(in->ops.ctx, &in->r), 0);
}

/* A record of the program's of this time is handed out. */
static inline void pass__time(struct ingest *in, u64 t)
{
	if (__builtin_expect(t < in->passed_ns, 0))
		in->st.late++;
	else
		in->passed_ns = t;
	if (__builtin_expect(t > in->watermark_ns, 0))
		in->st.early++;
}

/* Hand out in->r, which is one, at the time that it carries. */
static inline int pass__rec(struct ingest *in)
{
	pass__time(in, in->r.time_ns);
	return in->ops.rec(in->ops.ctx, &in->r);
}

/* Short of memory no longer? Then the passing on that came of it ends. */
static inline bool pass__enough(const struct ingest *in)
{
	return __builtin_expect(in->short_of_memory, 0) && in->st.held_bytes - in->early_bytes <= in->held_low;
}

/* --- skip.c --- */
/* The record at the page's cursor, whose time is p->src.time_ns, is usual, and what has to be said before it has been said. false: it has
 * to be passed on; else the cursor stands behind what was left out, p->more and p->src.time_ns say of it what they do elsewhere. */
bool skip__some(struct ingest *in, struct page *p, u64 limit, u64 imm_at);

/* --- singles.c --- */
void singles__free_all(struct ingest *in);
int singles__push(struct ingest *in, const void *rec, size_t bytes);
int singles__pass(struct ingest *in, struct cpu_source *c, u64 until, u64 rank);
int singles__unpark(struct ingest *in, u64 drained_ns);

#endif
