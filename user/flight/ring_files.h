/* SPDX-License-Identifier: MIT */
/* ring_files.h - `flight --dir`: the files of generations, which are used again. Essay in ring_files.c. */
#ifndef TAPEBPF_RING_FILES_H
#define TAPEBPF_RING_FILES_H

#include "flight/ring_state.h"

/* The first page of a generation's file; struct gen_link and struct gen_seal are on it too. Then chunks of CHUNK_BYTES. */
#define GEN_FILE_MAGIC 0x31474c4645504154ULL /* "TAPEFLG1" */
#define GEN_FILE_LEFT 0x305446454c504154ULL  /* "TAPLEFT0": what it held has left the ring, the next has not come */
#define GEN_FILE_HEAD 4096

struct gen_file_head {
	u64 magic;
	u64 no;
	u64 start_ns; /* as in struct generation */
	u64 mono_ns;  /* one moment on three clocks, when the generation got the file */
	s64 real_ns;
	u64 boot_ns;
	u32 chunk_bytes;
	u32 crc; /* crc32c of what is before */
};

struct ring_files;
struct gen_file;

/* dir_fd must stay. NULL: no memory. One thread uses it. */
struct ring_files *ring_files__new(int dir_fd);
/* All have been given back. Returns when names are as they should be and what is left over has gone. */
void ring_files__free(struct ring_files *rf);

/* A file that says it is generation h->no, empty. 0 or negative errno. Its name may say so a moment later. */
int ring_files__take(struct ring_files *rf, struct gen_file_head *h, const struct gen_link *link, struct gen_file **out);
/* Memory for its n-th chunk, the first 8 bytes of it 0; stays until the file is given back. NULL: errno. */
u8 *ring_files__chunk(struct ring_files *rf, struct gen_file *f, u32 n);
void gen_file__seal(struct gen_file *f, const struct gen_seal *s);
/* Nobody is to find anything in it any more. Who has it mapped still can. */
void gen_file__left(struct gen_file *f);
/* Nobody uses it any more. One that has left is used again or goes, another stays where it is. */
void ring_files__give(struct ring_files *rf, struct gen_file *f);

/* Returns when each file has its name. false: the file system does not answer. */
bool ring_files__settle(struct ring_files *rf);
/* Bytes of chunks, those of files that wait for the next generation included. */
u64 ring_files__bytes(const struct ring_files *rf);

#endif
