/* SPDX-License-Identifier: MIT */
/*
 * generations.h - the ring of a flight recorder: records as they came, grouped into generations. Essay in generations.c.
 *
 * A record is a struct wire_head with what follows it, head.bytes long, or one of the recorder's own (enum flight_kind). In a chunk
 * it is followed by at least one zero byte and starts at a multiple of 8. Where chunks are files, its seq is a checksum
 * (behind the kernel nothing else reads it). Not thread-safe; what is in a sealed generation does not
 * change and may be read by another thread as long as a reference is held.
 */
#ifndef TAPEBPF_FLIGHT_GENERATIONS_H
#define TAPEBPF_FLIGHT_GENERATIONS_H

#include "base/util.h"
#include "tapebpf/wire.h"

/* Kinds beyond enum wire_kind, made by the recorder. Append-only: recover reads them from files. */
enum flight_kind {
	FLIGHT_CLOCK = 0x4001, /* struct flight_clock */
	FLIGHT_ADOPT = 0x4002, /* struct wire_batch and page bytes, as a page was found at late attach */
	FLIGHT_LOSS = 0x4003,  /* struct flight_loss */
	FLIGHT_MARK = 0x4004,  /* struct flight_mark */
};

struct flight_clock {
	struct wire_head head;
	u64 ticks, mono_ns;
};

/* Records that the BPF side counted as lost, between two moments; head.time_ns is the later one. */
struct flight_loss {
	struct wire_head head;
	u64 from_ns, count;
	u32 cause; /* enum loss_cause */
	u32 pad;
};

/* The kernel's mark of a page: its records up to `seen` were emitted. */
struct flight_mark {
	struct wire_head head; /* pid, tid: the owner */
	u64 id, seen; /* seen 0: no more than the cause of what is found to be missing */
	u64 next; /* number just past the last one that had arrived by then */
	u32 cause;
	u32 dead;
};

struct chunk {
	struct chunk *next;
	u32 used, cap;
	u8 *data;
};

struct generation {
	struct generation *older, *newer;
	u64 no;
	/* Everything emitted after this CLOCK_MONOTONIC time is in this generation or a later one. */
	u64 start_ns;
	u64 end_ns; /* when it was sealed; 0: active */
	u64 bytes;  /* of records */
	u64 rec_cnt;
	u64 hits; /* of plain probes, among them */
	u64 told; /* that tell of spans what holds beyond them (told.h) */
	u64 single_cnt, paged_cnt; /* records of the program; counted where chunks are stored */
	struct chunk *first, *last;
	u32 refs;
	u32 chunk_cnt;
	void *user; /* the store's */
};

struct generations;

/*
 * Where chunks are kept, if not in anonymous memory: one file a generation (--dir). All chunks are of CHUNK_BYTES then.
 */
#define CHUNK_BYTES (256u << 10)
struct chunk_store {
	/* Memory for the n-th chunk of a generation, the first 8 bytes of it 0; until `freed`. NULL: there is none. */
	u8 *(*map)(void *ctx, struct generation *gen, u32 n);
	/* It has ended: nothing is put into it any more. */
	void (*sealed)(void *ctx, struct generation *gen);
	/* It has left the ring: nothing of it is to be found any more. It may still be mapped. */
	void (*evicted)(void *ctx, struct generation *gen);
	/* Nobody holds it any more. */
	void (*freed)(void *ctx, struct generation *gen);
	void *ctx;
};

/* What a record's seq says in a file: of all that head.bytes promises but seq itself, and of the generation. */
u32 generation_rec__crc(u64 no, const struct wire_head *h);

struct generations_opts {
	u64 max_bytes, period_ns; /* the keep rule */
	u64 generation_ns;	  /* a generation ends at this age ... */
	u64 generation_bytes;	  /* ... or size, whichever comes first */
	/* A generation leaves the ring; it and ->newer can still be read. May be NULL. */
	void (*evicted)(void *ctx, const struct generation *g);
	void *ctx;
	const struct chunk_store *store; /* NULL: memory. Copied */
};

struct generations *generations__new(const struct generations_opts *o, u64 now_ns);
void generations__free(struct generations *g);

/* Append to the active generation. bytes is what head.bytes will say. Where it was put, or NULL without memory. */
void *generations__append(struct generations *g, const void *rec, u32 bytes);

/* The rings have been drained up to drained_ns: ends the active generation if its time has come or it is full. extra_bytes: held
 * besides, counted as if it were of the newest generation. */
void generations__tick(struct generations *g, u64 now_ns, u64 drained_ns, u64 extra_bytes);
/* End the active generation now, even if it is empty. */
void generations__seal(struct generations *g, u64 now_ns, u64 extra_bytes);
/* Where the oldest one kept would begin if it were ended now. */
u64 generations__sealed_start_ns(const struct generations *g, u64 now_ns, u64 extra_bytes);
/* The recording begins here: what came before is of before. */
void generations__begin(struct generations *g, u64 now_ns);
/* The active one has as many bytes as a generation should have: call tick. */
bool generations__full(const struct generations *g);

/* Newest sealed one, NULL: none; walk with ->older. */
const struct generation *generations__newest(const struct generations *g);
const struct generation *generations__oldest(const struct generations *g);
const struct generation *generations__active(const struct generations *g);

/* A reference keeps a sealed generation after it has left the ring. Give back from the thread that appends. */
void generation__hold(struct generation *gen);
void generations__drop(struct generations *g, struct generation *gen);

struct generations_stats {
	u32 cnt;	   /* sealed, in the ring */
	u64 bytes;	   /* of their records, and the active one's */
	u64 active_bytes;
	u64 memory_bytes;  /* chunks, free ones and those that only references keep included */
	u64 held_bytes;	   /* records of generations that only references keep */
	u64 sealed, evicted; /* so far */
	u64 failed;	   /* appends without memory */
};
void generations__stats(const struct generations *g, struct generations_stats *st);

/* A record of the program that came by itself. */
static inline bool rec__is_single(const struct wire_head *h)
{
	return h->kind == WIRE_HIT || h->kind == WIRE_IMMEDIATE;
}

/* So many records of the program are in this batch of a page, so many bytes long; 0: it is none. */
static inline u32 rec__paged_cnt(const struct wire_head *h, u32 bytes)
{
	const struct wire_page *p = (const void *)((const struct wire_batch *)h + 1);

	if (h->kind != WIRE_BATCH || bytes < sizeof(struct wire_batch) + WIRE_DATA || p->magic != WIRE_PAGE_MAGIC)
		return 0;
	return WIRE_COMMIT_CNT(p->commit);
}

/* Walk the records of a generation: for (c = gen->first; c; c = c->next) for (off = 0; (h = chunk__rec(c, &off)); ) */
static inline const struct wire_head *chunk__rec(const struct chunk *c, u32 *off)
{
	const struct wire_head *h;

	if (*off >= c->used)
		return NULL;
	h = (const void *)(c->data + *off);
	*off += ALIGN_UP(h->bytes + 1, 8);
	return h;
}

#endif
