/* SPDX-License-Identifier: MIT */
/*
 * recover.h - what a recorder that was killed left in its folder (ring_dir.h), as a snapshot.
 *
 * Hostile input: files may be cut, damaged, or anything. Of a generation that is kept which is whole, record by record, as each has a
 * checksum: behind one that is not, what follows is looked for.
 */
#ifndef TAPEBPF_FLIGHT_RECOVER_H
#define TAPEBPF_FLIGHT_RECOVER_H

#include "base/diag.h"
#include "flight/defs.h"
#include "flight/snapshot.h"

struct recovered {
	struct snapshot snap;
	struct defs defs;
	u32 damaged; /* places where something was passed over */
	u64 newest_no; /* of the generations so far */
	bool newest_cut;
	u64 folded;  /* generations up to this one are in snap.carried */
	void **memory;
	u32 memory_cnt;
};

/* path: the folder of a run, or the one that holds runs: then the newest of them. -EBUSY: its recorder is running. -ENOENT: no
 * such thing is there. */
int recover__dir(const char *path, struct recovered **out, struct diag *d);
void recover__free(struct recovered *r);

/* The parts, on bytes, in this order. A generation's bytes are used in place and must stay; no: as its file's name says, 0: unknown. */
struct recovered *recover__new(void);
int recover__defs(struct recovered *r, const void *data, size_t bytes);
int recover__carried(struct recovered *r, const void *data, size_t bytes);
int recover__generation(struct recovered *r, u64 no, u8 *data, size_t bytes);
int recover__pages(struct recovered *r, const void *data, size_t bytes);
/* All has been given: in order, with the cut behind the last record. */
int recover__finish(struct recovered *r);

#endif
