/* SPDX-License-Identifier: MIT */
/*
 * ring_state.h - `flight --dir`: what the other files should hold, and up to when they hold all.
 *
 * A file that is cut, emptied or deleted says nothing of it. So the recorder keeps account beside them, in the file `state`: two copies of struct
 * ring_state, each on a page of its own and with a checksum, written in turn. A kill comes between the stores of one of them; then the other holds.
 * It costs some 100 ns whenever something has changed, and no system call. Of each generation the same is said by its own file when it has
 * ended (struct gen_seal), and by the next one's (struct gen_link).
 */
#ifndef TAPEBPF_RING_STATE_H
#define TAPEBPF_RING_STATE_H

#include "base/util.h"
#include "flight/generations.h"

#define RING_DIR_VERSION 3 /* 1: without state, seals and a copy of the definitions; 2: a file for each generation, never used again */
#define RING_DIR_CARRIED_CNT 3 /* since then ring_state.carried_cnt is told */

/* What has been put into a generation. */
struct gen_seal {
	u64 no; /* 0: none */
	u64 start_ns, end_ns; /* as in struct generation */
	u64 rec_cnt;
	u64 single_cnt; /* records of the program that came one by one */
	u64 paged_cnt;	/* and in batches */
	u64 missing_cnt; /* of pages, so far in this run: by their numbers there were more */
	u32 chunk_cnt;
	u32 last_used; /* bytes of the last chunk */
	u32 pad;
	u32 crc; /* crc32c of what is before */
};

/* In a generation's file, on its first page: its own when it has ended, and that of the one before it that has a file. */
#define GEN_LINK_AT 512
#define GEN_SEAL_AT 1024
#define GEN_LINK_MAGIC 0x314b4e4c45504154ULL /* "TAPELNK1" */
struct gen_link {
	u64 magic;
	u32 version; /* RING_DIR_VERSION */
	u32 crc;     /* crc32c of prev */
	struct gen_seal prev;
};

#define RING_STATE_MAGIC 0x3141545345504154ULL /* "TAPESTA1" */
#define RING_STATE_COPY 4096
struct ring_state {
	u64 magic;
	u64 seq; /* of the two copies the later one holds */
	/* What was recorded before this CLOCK_MONOTONIC time is there, or counted as lost. 0: not told yet */
	u64 complete_ns;
	u64 mono_ns; /* one moment on three clocks, about when that was told */
	s64 real_ns;
	u64 boot_ns;
	struct gen_seal newest; /* of those that have a file; its crc is not used */
	u64 oldest_no;		/* all before have left the ring */
	u64 sealed_single_cnt, sealed_paged_cnt; /* in those that have ended and not left, by themselves and in batches */
	u64 defs_bytes;
	u32 carried_bytes; /* 0: there is no such file */
	u32 carried_cnt;   /* spans that it tells of */
	u64 slot_cnt;	   /* of `pages` */
	u64 image_cnt;	   /* records in the images there */
	u64 unstored_single_cnt, unstored_paged_cnt; /* there was no room for them, and the ring does not say so */
	u32 version;
	u32 crc; /* crc32c of what is before */
};
_Static_assert(sizeof(struct ring_state) <= RING_STATE_COPY, "a copy is on a page of its own");

/* Writing: fd is that of an empty file. NULL: errno. */
struct ring_state_file;
struct ring_state_file *ring_state__open(int fd);
/* magic, seq, version and crc are filled in. What must not be taken back by a damaged copy is put twice. */
void ring_state__put(struct ring_state_file *f, struct ring_state *s);
void ring_state__close(struct ring_state_file *f);

/* Reading: hostile input. The number of copies that are whole; 0: s is all zeros. */
int ring_state__read(struct ring_state *s, const void *data, size_t bytes);

void gen_seal__close(struct gen_seal *s); /* fills in the crc */
bool gen_seal__is_whole(const struct gen_seal *s);
void gen_link__make(struct gen_link *l, const struct gen_seal *prev);
bool gen_link__is_whole(const struct gen_link *l);

#endif
