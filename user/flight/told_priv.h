/* SPDX-License-Identifier: MIT */
/* told_priv.h - inside told: told.c (what is kept), told_take.c (records that leave the ring), told_copy.c (handing out). */
#ifndef TAPEBPF_FLIGHT_TOLD_PRIV_H
#define TAPEBPF_FLIGHT_TOLD_PRIV_H

#include "flight/told.h"
#include "ingest/rec.h"

#include <utlist.h>

/* A whole record for the ring, with a zero byte behind it. */
struct told_rec {
	struct told_rec *prev, *next;
	struct told_thread *by;
	u64 ns;
	u32 field; /* of a VALUE */
	u32 bytes;
	_Alignas(8) u8 rec[];
};

struct told_span {
	struct told_span *prev, *next; /* of all */
	struct told_span *same;	       /* of the same key */
	struct told_span *beside;      /* of a block: the next one of its page */
	struct told_span *over_prev, *over_next;
	struct told_rec *open, *clone, *drop, *values, *follows;
	u64 id; /* 0: of a block, and without a number */
	u64 number, page_id; /* of a block's BEGIN */
	u32 tid, depth;	     /* likewise */
	s64 clones; /* less what was dropped */
	u32 pid;
	u32 follows_cnt;
	bool block, opened, over;
};

struct told_page {
	struct told_page *next;
	u64 id, next_num;
	struct told_span *blocks;
};

struct told_thread {
	u32 pid, tid;
	u32 refs; /* records, and the map */
	struct told_page *pages;
	struct wire_life end; /* kind 0: it lives */
	bool copied;
};

/* Where a record comes from. */
struct source {
	const struct wire_head *head;
	struct told_thread *by;
	u64 ns, module_addr;
	u32 ns_pid, ns_tid;
};

struct told_thread *told_thread__get(struct told *t, u32 pid, u32 tid);
struct told_page *told_page__get(struct told_thread *th, u64 id);
/* It lets go of it: what its blocks have said is forgotten. */
void told_thread__forget(struct told *t, struct told_thread *th);

/* NULL: never heard of. */
struct told_span *told_span__find(const struct told *t, u32 pid, u64 id);
/* The same, made if there is none. */
struct told_span *told_span__get(struct told *t, u32 pid, u64 id);
struct told_span *told_span__new(struct told *t, u32 pid);
/* A block's has to be out of its page's list. */
void told_span__free(struct told *t, struct told_span *s);
int told_span__index(struct told *t, struct told_span *s, u64 id);

/* What was said of a block by its id, as its own thread would have said it: the entry will be there, the id may not. */
struct told_rec *told_rec__as_own(struct told_rec *r, const struct told_span *s);

/* rec, `size` long and decoded in r, is about s. parent: NULL, or a ref that becomes the explicit parent of an OPEN. */
void told__say(struct told *t, struct told_span *s, const struct source *src, const struct rec *r, const u8 *rec, u32 size,
	       const u8 *parent);

#endif
