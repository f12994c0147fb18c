/* SPDX-License-Identifier: MIT */
/*
 * ring_dir.h - `flight --dir`: the ring in files, so that it outlives its recorder.
 *
 *	DIR/run-DATE-PID/defs		defs.h
 *	DIR/run-DATE-PID/gen-NUMBER	one generation: struct gen_file_head on a page of its own, then chunks of CHUNK_BYTES, each a
 *					sequence of records as in memory (generations.h), ended by a length of 0 or the chunk's end
 *
 * Files are mapped shared: what was stored by the time of a kill is in them, a record is there once its length is. Space is allocated
 * before it is mapped, so that a full disk is an error and not SIGBUS. A run that ends in order removes its folder; one whose
 * recorder was killed stays until somebody has recovered and removed it.
 */
#ifndef TAPEBPF_FLIGHT_RING_DIR_H
#define TAPEBPF_FLIGHT_RING_DIR_H

#include "base/clock.h"
#include "base/diag.h"
#include "flight/generations.h"
#include "flight/roster.h"
#include "flight/snapshot.h"

#define GEN_FILE_MAGIC 0x31474c4645504154ULL /* "TAPEFLG1" */
#define GEN_FILE_HEAD 4096

struct gen_file_head {
	u64 magic;
	u64 no;
	u64 start_ns; /* as in struct generation */
	u64 mono_ns;  /* one moment on three clocks, when the file was made */
	s64 real_ns;
	u64 boot_ns;
	u32 chunk_bytes;
	u32 crc; /* crc32c of what is before */
};

struct ring_dir;

/* Makes the folder of this run. exe: what is recorded. The diag names leftovers of a run that was killed in `hint`. */
int ring_dir__new(const char *dir, const char *exe, struct ring_dir **out, struct diag *d);
/* The folder is to stay: what it holds has got nowhere else. path: where it is. */
void ring_dir__leave(struct ring_dir *r, char *path, size_t bytes);
/* In order: the folder is removed. */
void ring_dir__free(struct ring_dir *r);

struct chunk_store ring_dir__store(struct ring_dir *r);
struct roster_listener ring_dir__listener(struct ring_dir *r);
/* A binary's callsites. */
int ring_dir__file(struct ring_dir *r, const struct elf_file *f, u32 module, u32 first_site);
/* Once a generation: definitions that nobody needs any more are left out if there are many. */
void ring_dir__tidy(struct ring_dir *r, const struct roster *who);
/* Definitions and generations that could not be written. */
u64 ring_dir__failed(const struct ring_dir *r);

#endif
