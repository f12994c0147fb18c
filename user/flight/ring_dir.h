/* SPDX-License-Identifier: MIT */
/*
 * ring_dir.h - `flight --dir`: the ring in files, so that it outlives its recorder.
 *
 *	DIR/run-DATE-PID/defs		defs.h; defs-copy: the same once more, as without it nothing else can be read
 *	DIR/run-DATE-PID/gen-NUMBER	one generation: struct gen_file_head on a page of its own, then chunks of CHUNK_BYTES, each a
 *					sequence of records as in memory (generations.h), ended by a length of 0 or the chunk's end;
 *					each has a checksum (generation_rec__crc). Also on the first page: struct gen_link,
 *					and struct gen_seal when it has ended. Files are used again (ring_files.h): behind the end
 *					is anything, and what the first page says counts, not the name
 *	DIR/run-DATE-PID/pages		pages of threads as last read from outside (sheets.h): slots of PAGE_SLOT, each a struct
 *					page_slot and a struct wire_batch; magic 0: free
 *	DIR/run-DATE-PID/carried	what is open before the oldest generation (carry.h): struct carried_head and records; replaced
 *					as a whole, before the generation goes of which it knows
 *	DIR/run-DATE-PID/state		what should be in the others (ring_state.h)
 *
 * Files are mapped shared: what was stored by the time of a kill is in them, a record is there once its length is. Space is allocated
 * before it is mapped, so that a full disk is an error and not SIGBUS. A run that ends in order removes its folder; one whose
 * recorder was killed stays until somebody has recovered and removed it.
 */
#ifndef TAPEBPF_FLIGHT_RING_DIR_H
#define TAPEBPF_FLIGHT_RING_DIR_H

#include "base/clock.h"
#include "base/diag.h"
#include "elf/sig.h"
#include "flight/carry.h"
#include "flight/generations.h"
#include "flight/ring_files.h"
#include "flight/ring_state.h"
#include "flight/roster.h"
#include "flight/sheets.h"
#include "flight/snapshot.h"

/* A slot lies within one page of memory, so that one write is whole or not made, whenever the recorder is killed. */
#define PAGE_SLOT 4096
#define PAGE_SLOT_MAGIC 0x31474150u /* "PAG1" */
struct page_slot {
	u32 magic;
	u32 crc; /* crc32c of what follows: bytes, pad, the batch */
	u32 bytes;
	u32 pad;
};
_Static_assert(sizeof(struct page_slot) + sizeof(struct wire_batch) + WIRE_DATA_END <= PAGE_SLOT, "an image fits a slot");

#define CARRIED_MAGIC 0x3152414345504154ULL /* "TAPECAR1" */
struct carried_head {
	u64 magic;
	u64 no; /* the last generation that has been folded into it */
	u32 bytes;
	u32 crc; /* crc32c of no, bytes and the records */
};

struct ring_dir;

/* Makes the folder of this run. exe: what is recorded. The diag names leftovers of a run that was killed in `hint`. */
int ring_dir__new(const char *dir, const char *exe, struct ring_dir **out, struct diag *d);
/* The folder is to stay: what it holds has got nowhere else. path: where it is. All files have their names then. */
void ring_dir__leave(struct ring_dir *r, char *path, size_t bytes);
/* In order: the folder is removed. */
void ring_dir__free(struct ring_dir *r);

struct chunk_store ring_dir__store(struct ring_dir *r);
struct roster_listener ring_dir__listener(struct ring_dir *r);
/* How plain probes are to be read: told again to who recovers. sigs must stay. */
int ring_dir__reading(struct ring_dir *r, const struct sig_set *sigs, bool no_pairs);
/* As struct sheets' changed. */
void ring_dir__page(void *ctx, struct sheet *sh);
/* Generation `no` has been folded. Written if something is another than before. */
void ring_dir__carried(struct ring_dir *r, const struct carry *c, u64 no);
/* A binary's callsites. */
int ring_dir__file(struct ring_dir *r, const struct elf_file *f, u32 module, u32 first_site);
/* Once a generation: definitions that nobody needs any more are left out if there are many. */
void ring_dir__tidy(struct ring_dir *r, const struct roster *who);
/*
 * A round is over: all that was recorded before complete_ns is in the files, or counted there as lost. missing_cnt: as struct gen_seal says.
 * unstored: records for which there was no room and of which the ring does not tell yet.
 */
struct ring_unstored {
	u64 single_cnt, paged_cnt;
};
void ring_dir__beat(struct ring_dir *r, const struct generation *active, u64 complete_ns, u64 missing_cnt, const struct ring_unstored *unstored);
/* Definitions and generations that could not be written. */
u64 ring_dir__failed(const struct ring_dir *r);
u64 ring_dir__chunk_bytes(const struct ring_dir *r);

#endif
