/* SPDX-License-Identifier: MIT */
/*
 * ingest.h - from ring records to a single stream in time order, every record once, every loss counted.
 *
 * Pure: no BPF, no files, no clock of its own; the caller says what time it is. Input may be hostile (a traced
 * program can write anything into its page): a malformed batch is cut at the first bad record, the rest of it
 * is counted as lost (LOSS_BAD), and nothing is believed beyond its bounds. Not thread-safe.
 *
 * What happens inside (see stream.c for the essay): per page, deliveries are made whole (rules 1 to 4 of the batch
 * path: seq, numbers, hold, gap); all sources are merged by time behind a watermark; memory is bounded.
 */
#ifndef TAPEBPF_INGEST_H
#define TAPEBPF_INGEST_H

#include "base/codes.h"
#include "base/diag.h"
#include "ingest/rec.h"

struct ingest;

/* What must not come between a span's BEGIN and its END for nobody to miss the two, besides anything of its thread's pages: a set. */
enum skip_between {
	SKIP_HITS = 1,	/* a hit of a plain probe */
	SKIP_WORDS = 2, /* a record that may name a span: any but the usual ones, of whatever page */
	SKIP_ALL = 4,	/* anything at all */
};

/* Where on a page whole spans may be left out just now. */
struct skip_room {
	bool spans; /* they may */
	u8 between; /* of enum skip_between */
	u32 depth;  /* from this one on nothing is open on the page */
	const struct thread *thread; /* whose the page is: for struct rec_look */
};

/* What has been left out. */
struct ingest_skipped {
	const struct rec_page *page;
	u64 spans, events;
	u64 last_ns; /* time of the last record */
	u64 end_ns;  /* of the last END, where there are spans */
};

/*
 * Records that nobody would miss may be left out before anybody sees them: events that nobody wants, and spans that nobody wants, from
 * their BEGIN to their END in one batch, with all that is inside (skip.c). Left out or not, they count as received.
 */
struct ingest_skip_ops {
	/* Spans of this callsite (kind WIRE_R_BEGIN) are wanted that are open for so long at least, or events (WIRE_R_EVENT):
	 * 0: all, or the callsite is not known, or no such one; ~0: none. Asked once: the answer must not become less. *look: whom to ask
	 * of each that would be wanted so; an event: 0 or ~0. */
	u64 (*wanted_ns)(void *ctx, u32 module, u64 site_addr, u8 kind, struct rec_look *look);
	/* false: nothing of this page may be left out now, not even events. */
	bool (*room)(void *ctx, const struct rec_page *p, struct skip_room *room);
	void (*skipped)(void *ctx, const struct ingest_skipped *s);
};

#define INGEST_TURN 1

struct ingest_ops {
	/* Called for every record in time order (as far as the hold-back reaches; per page and thread always). Returns 0,
	 * INGEST_TURN, or negative errno, which stops the push that caused it. */
	int (*rec)(void *ctx, const struct rec *r);
	/*
	 * INGEST_TURN (the record has been taken): call this between two records, soon. Between two times, rather: all that is known of
	 * the time of the last record has been passed on then. For a break in the stream at a place that the consumer knows, however much
	 * one push or ingest__advance passes on. Returns 0 or negative errno, as `rec`. Must not call ingest but for
	 * ingest__passed_ns and ingest__stats. NULL if `rec` does not ask for it.
	 */
	int (*turn)(void *ctx);
	/*
	 * A BEGIN, and the END of the same depth that is the page's and the stream's next record, at end_ns: both in one call. true:
	 * they have been taken. false: nothing has been done with them, and they come by `rec`, one after the other. May be
	 * NULL.
	 */
	bool (*leaf)(void *ctx, const struct rec *begin, u64 end_ns);
	/* Link address of the wire_module of a module number; 0: unknown (its records are lost: LOSS_BAD). */
	u64 (*module_link)(void *ctx, u32 module);
	/* Module number of the module at this run-time address in this process; -1: unknown. Asked for refs of other
	 * modules; answered from the pages seen so far if NULL. */
	int (*module_at)(void *ctx, u32 pid, u64 module_addr);
	const struct ingest_skip_ops *skip; /* NULL: leave out nothing. Has to stay */
	/* With ingest_opts.borrow: something at `data`, within what was pushed, is needed beyond the call (begin), or no longer. For
	 * each begin there is an end, of the same data; in ingest__free at the latest. NULL: not told. */
	void (*uses)(void *ctx, const void *data, bool begin);
	void *ctx;
};

struct ingest_opts {
	size_t sz;	   /* sizeof(struct ingest_opts) */
	u64 hold_ns;	   /* hold-back; 0: 250 ms */
	size_t held_bytes; /* most bytes of undecoded batches to hold; 0: 4 MiB. Beyond it the oldest are passed on early */
	size_t early_bytes; /* most bytes of batches that wait for those before them (a thread that changed its CPU left them
			     * in a ring not drained yet), besides held_bytes; 0: 32 MiB. Beyond it the missing ones count as lost:
			     * as large as a ring is enough */
	bool borrow; /* what is pushed stays where it is, unchanged, with a zero byte behind it, until ingest__free or ops->uses says
		      * that it is not needed any more: not copied */
};

struct ingest *ingest__new(const struct ingest_ops *ops, const struct ingest_opts *opts);
void ingest__free(struct ingest *in);

/* A clock pair of this machine taken now: ticks and CLOCK_MONOTONIC. Needed for batches without an end pair; give one
 * before each round of pushes. */
void ingest__clock(struct ingest *in, u64 ticks, u64 mono_ns);

/*
 * From this CLOCK_MONOTONIC time on the probes of tape.h are attached: a page made later, unless adopted, is ours from its
 * first record on, even if its announcement was lost. Without it such a page begins at the first batch that arrives.
 */
void ingest__since(struct ingest *in, u64 mono_ns);

/*
 * One ring record of `bytes` bytes (head included). The record is copied if it has to be held. Also takes what the idle
 * read made (kind WIRE_BATCH, why IDLE), which the caller must apply only after draining the rings past it (rule 2).
 * 0, or negative errno from ops->rec. Malformed records are counted, not errors.
 */
int ingest__push(struct ingest *in, const void *rec, size_t bytes);

/*
 * Late attach: this page exists and has been read (bytes as delivered: header and data). Everything in it was
 * recorded before the attach: not ours, not lost; what is open in it is. Later deliveries continue from there.
 */
int ingest__adopt(struct ingest *in, const struct wire_batch *b, size_t bytes);

/* All rings have been drained up to time drained_ns (every record emitted before it has been pushed): declares gaps
 * older than it lost, passes on what is older than the hold-back. now_ns: CLOCK_MONOTONIC. An idle read counts as emitted
 * when it was collected: between collecting and applying it, do not advance (or with the drained_ns of before). */
int ingest__advance(struct ingest *in, u64 drained_ns, u64 now_ns);

/* The kernel's mark for a page (map "pages" or "orphans"): its records up to number `seen` have been emitted. Makes
 * the loss at the end of a page's life known. cause: enum loss_cause. Call it after draining. dead: no more deliveries
 * will come: the page is forgotten once passed on. */
int ingest__mark(struct ingest *in, u32 pid, u32 tid, u64 id, u64 seen, int cause, bool dead);

/* Of this page the records from `number` on are ours: what was before has been seen elsewhere. Of no effect once
 * something of it has come. */
void ingest__expect(struct ingest *in, u32 pid, u32 tid, u64 id, u64 number);

/* Pass on everything held, in order, regardless of time, with open gaps declared lost. */
int ingest__finish(struct ingest *in);

/* Up to this time records have been passed on; in ops->turn the time of the last one. */
u64 ingest__passed_ns(const struct ingest *in);

struct ingest_stats {
	u64 emitted;	 /* records of pages known to have been emitted: by their numbers */
	u64 received;	 /* of those, received (each once) */
	u64 lost[LOSS_MAX]; /* by cause; their sum + received = emitted once finished */
	u64 hits, immediates; /* foreign and immediate records received (the BPF side counts their losses) */
	u64 bad_singles; /* of those that came, not passed on: they did not decode, or there was no memory. Told as REC_LOSS,
			  * but not in lost[], which is about emitted */
	u64 pauses;	 /* PAUSE records received: numbered, but not records of the program; not in emitted or received */
	u64 skipped;	 /* of the received: left out (ingest_skip_ops) */
	u64 batches, batch_bytes;
	u64 duplicates;	 /* bytes of records that came again and were dropped */
	u64 malformed;	 /* ring records, or batches cut */
	u64 early;	 /* records passed on before the hold-back was over, for want of memory */
	u64 late;	 /* records that came with a time older than what had been passed on */
	u64 too_deep;	 /* spans not recorded by the program, nested too deep (wire_page.too_deep) */
	u64 held_bytes;	 /* now */
	u64 pages;	 /* known now */
};
void ingest__stats(const struct ingest *in, struct ingest_stats *st);

#endif
