/* SPDX-License-Identifier: MIT */
/* elf_priv.h - what the files of this room share about an open file. */
#ifndef TAPEBPF_ELF_PRIV_H
#define TAPEBPF_ELF_PRIV_H

#include "elf/elf_file.h"
#include "elf/elf_image.h"

/* A data symbol, for rip-relative arguments. */
struct symbol {
	u64 hash;
	u64 value;
	u32 name; /* in strings */
	u32 table;
};

struct symbols {
	bool loaded;
	struct symbol *symbol; /* sorted by hash */
	u32 cnt, room;
	char *strings[2]; /* of .dynsym, .symtab */
	u64 strings_bytes[2];
	u64 budget; /* comparisons left: see symbols.c */
};

struct elf_priv {
	struct image im;
	struct symbols symbols;
	int fd; /* for libdw; -1: none, or no longer needed */
	u32 site_room, tape_site_room, tape_probe_room;
	u64 *tape_nop; /* link addresses of tape.h's own nops, sorted: their notes are not foreign */
	u32 tape_nop_cnt;
};

static inline struct elf_priv *elf_priv(const struct elf_file *f)
{
	return f->priv;
}

/* Count a note or tape_sites entry that cannot be used. */
void elf_file__bad_note(struct elf_file *f, const char *why);

/* Is there a nop at this link address, in an executable segment? NULL and the file offset, or why not. */
const char *elf_file__nop(struct elf_file *f, u64 addr, u64 *offset);

/* Parse bytes in place of a file (tests, fuzzing). mem must outlive f. */
int elf_file__parse(const u8 *mem, u64 size, struct elf_file **out, struct diag *d);

/* Grow an array to hold one more. 0 or -ENOMEM. */
int elf_grow(void *array, u32 *room, u32 cnt, size_t element_bytes);

int tape_sites__read(struct elf_file *f);
int stapsdt__read(struct elf_file *f);

int symbols__find(struct elf_file *f, const char *name, size_t bytes, u64 *value);
void symbols__done(struct symbols *s);

#endif
