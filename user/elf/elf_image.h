/* SPDX-License-Identifier: MIT */
/*
 * elf_image.h - careful access to the bytes of an ELF file, for the other files of this room.
 *
 * Own reading with pread instead of a mapping or libelf: a mapping of a file that shrinks under us is SIGBUS, and a
 * section header can claim any size. Here every read is checked against the size that the file had when it was
 * opened, short reads are errors, and what is kept in memory has a limit of its own.
 */
#ifndef TAPEBPF_ELF_IMAGE_H
#define TAPEBPF_ELF_IMAGE_H

#include <elf.h>

#include "base/util.h"

/* More than any real file has; what is beyond is -EBADMSG. */
#define IMAGE_MAX_PHDRS	   65536u
#define IMAGE_MAX_LOADS	   128u
#define IMAGE_MAX_SECTIONS (1u << 20)
#define IMAGE_MAX_NAMES	   (16u << 20) /* bytes of the section name table that are looked at */
#define IMAGE_MAX_ARENA	   (128u << 20) /* bytes of strings kept for one file */

struct image_chunk;

/* Memory that lives as long as the file: strings, mostly. */
struct image_arena {
	struct image_chunk *last;
	size_t used; /* over all chunks, against IMAGE_MAX_ARENA */
};

struct image {
	int fd;	       /* -1: the bytes are in mem */
	const u8 *mem;
	u64 size;
	Elf64_Ehdr ehdr;
	Elf64_Phdr *phdr;
	u32 phdr_cnt;
	u32 load[IMAGE_MAX_LOADS]; /* the PT_LOADs among them: looked through for every address */
	u32 load_cnt;
	Elf64_Shdr *shdr;
	u32 shdr_cnt;
	char *names; /* section names, NUL behind the last byte */
	u32 names_bytes;
	const char *problem; /* why image__open failed, or what of the file had to be ignored (static text) */

	u8 window[4096]; /* the last small piece read, for string after string */
	u64 window_at;
	u32 window_bytes;

	struct image_arena arena;
};

/* Check and read the headers. The image uses fd or mem until image__close, but owns neither. -ENOEXEC: not for us,
 * -EBADMSG: broken, both with `problem`; -ENOMEM; -EIO and the like from read(2). */
int image__open(struct image *im, int fd, const u8 *mem, u64 size);
void image__close(struct image *im);

/* Exactly `bytes` bytes at a file offset, or -EBADMSG / negative errno. */
int image__read(struct image *im, u64 offset, void *dst, u64 bytes);

/* As image__read, through the window: for many small reads near each other. bytes <= sizeof(window). */
int image__peek(struct image *im, u64 offset, void *dst, u32 bytes);

/* A malloc'ed copy of a section's bytes with a NUL behind it. -EBADMSG if it is not in the file, compressed, or
 * larger than `most`. */
int image__section(struct image *im, const Elf64_Shdr *sh, u64 most, u8 **data, u64 *bytes);

/* The next section of this name behind index *at (start with 0), or NULL. */
const Elf64_Shdr *image__find_section(const struct image *im, const char *name, u32 *at);

/* Link address to file offset: the first PT_LOAD that has all flags `want` (PF_X ...) and holds [addr, addr + bytes)
 * in the file. -ENOENT: none. */
int image__offset(const struct image *im, u64 addr, u64 bytes, u32 want, u64 *offset);

/* Copy the NUL-terminated string at *offset into the arena and move *offset behind its NUL. -ENAMETOOLONG: longer than
 * `most`, -EBADMSG: runs out of the file, -ENOMEM: the arena's limit or memory. */
int image__string(struct image *im, u64 *offset, u32 most, const char **out);

void *image__alloc(struct image *im, size_t bytes);
const char *image__strndup(struct image *im, const char *s, size_t bytes);

#endif
