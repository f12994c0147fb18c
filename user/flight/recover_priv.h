/* SPDX-License-Identifier: MIT */
/* recover_priv.h - what the files that recover (recover*.c) share. */
#ifndef TAPEBPF_RECOVER_PRIV_H
#define TAPEBPF_RECOVER_PRIV_H

#include "flight/recover.h"
#include "flight/ring_dir.h"

struct recover_counts {
	u64 recs, single, paged; /* as in struct gen_seal */
};

/* A generation that was found. */
struct recover_gen {
	struct generation *g;
	bool is_file, has_head, has_link, has_seal;
	u64 file_bytes;
	struct gen_link link; /* has_link: to the one before */
	struct gen_seal seal; /* has_seal: what it held, at its end or when that was last told */
	struct recover_counts found; /* in all, */
	struct recover_counts told;  /* and where the seal tells of */
	u32 places; /* that are damaged */
	u64 behind_bytes; /* of those places, behind what the seal tells of */
};

/* Memory that lives as long as r does; takes p over, also where it fails. NULL in, -ENOMEM out. */
int recover__keep(struct recovered *r, void *p);

void recover__free_generation(struct generation *g);

/* missing: something that was recorded is not there for it, or may not be. */
void recover__say(struct recovered *r, bool missing, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Is this a record as a chunk can hold one, with room for the zeros behind it? Its checksum has still to be looked at. */
bool recover__plausible(const u8 *at, size_t left);

/* Records in a row, behind those that g has. 0 or -ENOMEM. */
int recover__add_chunk(struct generation *g, u8 *data, u32 used);

/* recover_missing.c: by all that tells what there should be. Generations are in order of their numbers; places for those that are missing are made. */
int recover__look_for_missing(struct recovered *r);
/* The snapshot is complete but for this: what is missing becomes records that tell so. */
int recover__tell_missing(struct recovered *r);

#endif
