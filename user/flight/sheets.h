/* SPDX-License-Identifier: MIT */
/*
 * sheets.h - the pages of living threads: what each was last found to hold, and by its numbers what has arrived of it.
 *
 * Idle reads come five times a second and bring a page as it is, again and again until its thread flushes it. Of each page only the
 * latest such image is kept, beside the ring, and only until a delivery covers it. So a thread that blocks for an hour with
 * spans open costs one page, and is in every snapshot.
 *
 * The numbers are a light ledger for `status` and for the kernel's marks, which are about everything since the page was made: what is lost
 * within a snapshot is found by the snapshot's own replay. Not thread-safe.
 */
#ifndef TAPEBPF_FLIGHT_SHEETS_H
#define TAPEBPF_FLIGHT_SHEETS_H

#include "base/idmap.h"
#include "tapebpf/wire.h"

/* An image of a page, as a whole ring record with a zero byte behind it. */
struct partial {
	u32 refs; /* given back by the thread that records */
	u32 bytes;
	_Alignas(8) u8 rec[]; /* struct wire_batch */
};

/* A batch that was read comes in the next round at the latest: two would do. */
#define IMAGED_CNT 4

struct sheet {
	u64 id;
	u32 pid, tid;
	u64 next_num; /* just past the last record that has arrived */
	u64 marked;   /* the kernel's mark, as last stored */
	u64 missing, missing_before; /* records, now and when sheets__explain was last asked */
	struct {
		u64 first, end;
	} imaged[IMAGED_CNT]; /* numbers of records that have arrived in images, the latest at [imaged_at] */
	u32 imaged_at;
	u64 cause_told; /* sheets__cause */
	int cause;
	u64 dead_ns;  /* its thread has ended, or given it back; 0: it lives */
	u32 flush_seq; /* of the latest batch that its thread flushed, if flushed */
	bool flushed;
	bool known;   /* next_num is valid */
	u64 unstored_from, unstored_to; /* numbers of records that there was no room for; equal: none */
	struct partial *partial;
	u32 slot, slot_cnt; /* the listener's; 0 to begin with */
	struct sheet *same;  /* next with the same key */
	struct sheet *mates; /* next of the same thread */
};

/* What a delivery says of itself. false: not a page. */
struct claim {
	u64 id, first, end;
	u32 seq, len;
};
bool claim__of(const struct wire_batch *b, u32 bytes, struct claim *c);

/* Has this image's batch been flushed, if that of seq has? */
static inline bool claim__is_old(const struct claim *c, u32 flush_seq)
{
	return c->seq - flush_seq - 1 >= 1u << 31;
}

struct sheets_stats {
	u64 pages;	   /* known */
	u64 partials, partial_bytes;
	u64 records;	   /* arrived, each once */
	u64 missing;	   /* by the numbers: lost, or not arrived yet */
	u64 failed;	   /* no memory */
};

struct sheets {
	struct idmap by_id, by_tid;
	struct sheets_stats st;
	/* A flush was refused, or the thread has ended, and this is all that came of its last records: keep it in the ring, as of ns.
	 * false: there is no room. */
	bool (*keep)(void *ctx, const struct wire_batch *b, u32 bytes, u64 ns);
	void *ctx;
	/* The page's partial is another one, or gone (NULL). May be NULL. */
	void (*changed)(void *ctx, struct sheet *sh);
	void *changed_ctx;
	struct sheet *covered; /* its partial is gone once the delivery that covers it is stored */
	u64 unstored_cnt; /* records that there was no room for, and that sheets__tell_unstored has not told */
};

void sheets__init(struct sheets *s, bool (*keep)(void *ctx, const struct wire_batch *b, u32 bytes, u64 ns), void *ctx);
void sheets__done(struct sheets *s);

/*
 * A delivery, `bytes` long as its head says, of whatever kind. true: it is to be stored, and then one of the following two to be called; false: it
 * is an idle read, kept here. An image outlives its recorder (`changed`), and so must what covers it: it is let go of behind that, and
 * stays if there was no room.
 */
bool sheets__batch(struct sheets *s, const struct wire_batch *b, u32 bytes);
void sheets__stored(struct sheets *s);
void sheets__not_stored(struct sheets *s, const struct wire_batch *b, u32 bytes);
/* There is room again: of each page, which of its records there was none for. false: there is not. */
void sheets__tell_unstored(struct sheets *s, bool (*tell)(void *ctx, const struct sheet *sh), void *ctx);
/* A page as it was found at late attach. */
void sheets__adopt(struct sheets *s, const struct wire_batch *b, u32 bytes);
void sheets__announce(struct sheets *s, const struct wire_announce *a);
void sheets__exit(struct sheets *s, u32 pid, u32 tid, u64 ns);
/* Forget the pages of threads that ended before this time. */
void sheets__sweep(struct sheets *s, u64 before_ns);

/* The kernel's mark. true: it tells of records that have not arrived, and had not been told; *next as in struct flight_mark. */
bool sheets__mark(struct sheets *s, u32 pid, u32 tid, u64 id, u64 seen, bool dead, u64 now_ns, u64 *next);

/*
 * What a page's losses come from, as the kernel's mark says of the latest. true: to be stored, once in each generation (the gen'th, from 1): the
 * gaps that it explains are found by their numbers, long after the mark itself was news.
 */
bool sheets__cause(struct sheets *s, u32 pid, u32 tid, u64 id, int cause, u64 gen);

/*
 * It is known now why deliveries of this page were refused: how many records have been missing since the last time that was asked, so that they
 * cannot be on their way. They are not counted as missing any more.
 */
u64 sheets__explain(struct sheets *s, u32 pid, u32 tid, u64 id);

/* All partial pages, a reference each. Returns the number, or -ENOMEM; *out is malloc'ed. */
int sheets__take(const struct sheets *s, struct partial ***out);
void partial__put(struct partial *p);

#endif
