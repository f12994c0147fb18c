/* SPDX-License-Identifier: MIT */
/*
 * recover.h - what a recorder that was killed left in its folder (ring_dir.h), as a snapshot.
 *
 * Hostile input: files may be cut, damaged, deleted, or anything. Of a generation that is kept which is whole, record by record, as each has a
 * checksum: behind one that is not, what follows is looked for. What is not as the recorder left it is told, by name and place, and
 * what is missing for it is in the snapshot as lost (LOSS_DAMAGED), as far as its number can be known (recover_missing.c).
 */
#ifndef TAPEBPF_FLIGHT_RECOVER_H
#define TAPEBPF_FLIGHT_RECOVER_H

#include "base/diag.h"
#include "flight/defs.h"
#include "flight/ring_state.h"
#include "flight/snapshot.h"

/* Something is not as it was left. */
struct recover_finding {
	bool missing; /* something that was recorded is not there for it, or may not be; else it is known to be no more than told */
	char text[192];
};
#define RECOVER_FINDINGS 50

struct recover_gen; /* recover_priv.h */

struct recovered {
	struct snapshot snap;
	struct defs defs;
	struct recover_finding finding[RECOVER_FINDINGS]; /* the first ones */
	u32 finding_cnt;  /* all */
	u32 missing_cnt;  /* those with `missing` */
	u64 missing_recs; /* records of the program that are known to be missing for it; in the snapshot as lost */
	u64 unstored_recs; /* that the recorder had no room for; likewise */
	/* What was recorded before this CLOCK_MONOTONIC time is there, or counted as lost; 0: not known. */
	u64 complete_ns;
	u32 read_cnt;	/* files that could be read */
	int unread_err; /* why another could not */
	bool old;    /* left by a recorder that did not keep account of its files */
	u64 folded;  /* generations up to this one are in snap.carried */

	struct ring_state state;
	bool has_state, state_given; /* one of its copies is whole; there is such a file */
	u64 image_cnt;	/* records in the images of pages that were found, old ones too */
	bool image_harm; /* some of those are not whole */
	bool nameless;	 /* there may have been generations of which nothing is known */
	struct recover_gen *gen;
	u32 gen_cnt;
	void **memory;
	u32 memory_cnt;
};

/* path: the folder of a run, or the one that holds runs: then the newest of them. -EBUSY: its recorder is running. -ENOENT: no
 * such thing is there. */
int recover__dir(const char *path, struct recovered **out, struct diag *d);
void recover__free(struct recovered *r);

/*
 * The parts, on bytes, in this order; NULL: there is no such file. A generation's bytes are used in place and must stay; no: as its file's name says,
 * 0: unknown. 0 or negative errno.
 */
struct recovered *recover__new(void);
int recover__state(struct recovered *r, const void *data, size_t bytes);
int recover__defs(struct recovered *r, const void *data, size_t bytes, const void *copy, size_t copy_bytes);
int recover__carried(struct recovered *r, const void *data, size_t bytes);
int recover__generation(struct recovered *r, u64 no, u8 *data, size_t bytes);
int recover__pages(struct recovered *r, const void *data, size_t bytes);
/* All has been given: in order, with the cut behind the last record. */
int recover__finish(struct recovered *r);

#endif
