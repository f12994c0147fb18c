/* SPDX-License-Identifier: MIT */
/*
 * elf_file.h - from the bytes of a binary to probe sites and callsites.
 *
 * Knows no BPF and no processes. Every input may be hostile: sizes are checked before use, nothing is trusted,
 * limits are stated here, and what cannot be used is dropped and counted, not fatal. Not thread-safe; one elf_file
 * may be read by several threads once opened.
 */
#ifndef TAPEBPF_ELF_FILE_H
#define TAPEBPF_ELF_FILE_H

#include "base/diag.h"
#include "base/util.h"
#include "tapebpf/wire.h"

/* A foreign probe's site: one stapsdt note that is not one of tape.h's. */
struct elf_site {
	const char *provider;
	const char *name;
	const char *args;  /* the note's argument string */
	u64 addr;	   /* link address of the nop, prelink shift applied */
	u64 offset;	   /* file offset of the nop */
	u64 sema_offset;   /* file offset of the semaphore, 0: none */
	u64 sema_addr;	   /* its link address */
	const char *bad;   /* why the site cannot be attached (static text), NULL: it can */
	u32 arg_cnt;
	struct wire_arg arg[WIRE_MAX_ARGS]; /* kind WIRE_ARG_NONE: not readable */
	const char *arg_text[WIRE_MAX_ARGS]; /* "-4@%eax", for `list` */
	const char *file; /* from DWARF, NULL: not known (see elf_file__resolve_lines) */
	u32 line;
};

/* A callsite of tape.h: one struct wire_site with its strings resolved. */
struct elf_tape_site {
	u64 addr; /* link address of the struct wire_site: its key in records */
	u8 kind;  /* enum wire_site_kind */
	u8 level;
	u8 field_cnt;
	u32 line;
	const char *name, *target, *module, *file; /* "" where absent */
	const char *field[WIRE_MAX_FIELDS];
	u8 type[WIRE_MAX_FIELDS]; /* enum wire_type */
	u64 armed_offset;	  /* file offset of wire_words.armed */
	u64 sema_offset;	  /* file offset of wire_words.semaphore */
	u64 cold_offset;	  /* file offset of the cold nop */
	u64 nop_offset;		  /* file offset of the site's nop, 0: none */
	u64 nop_end_offset;
	u64 words_addr; /* link address of the struct wire_words */
	u64 nop_addr, nop_end_addr;
	const char *bad; /* why it cannot be armed (static text), NULL: it can */
};

/* A tape:* probe of the batch path. */
struct elf_tape_probe {
	enum { ELF_TAPE_THREAD, ELF_TAPE_FLUSH, ELF_TAPE_GONE, ELF_TAPE_RECORD } what;
	u64 offset;
};

struct elf_file {
	char *path; /* as given, for messages */
	u64 dev, ino;
	u64 size;
	u16 machine; /* EM_X86_64, EM_AARCH64 */
	u8 build_id[20];
	u32 build_id_bytes;

	struct elf_site *site; /* foreign, in the order of the notes */
	u32 site_cnt;
	struct elf_tape_site *tape_site; /* sorted by addr */
	u32 tape_site_cnt;
	struct elf_tape_probe *tape_probe;
	u32 tape_probe_cnt;
	u64 module_addr;	 /* link address of the struct wire_module, 0: no tape.h in this file */
	u64 ticks_offset;	 /* file offset of wire_module.ticks */
	u64 ticks_cold_offset;	 /* file offset of its cold nop */

	u32 bad_note_cnt; /* notes and tape_sites entries that could not be used */
	const char *bad_note; /* why, of the first (static text) */
	const char *looked_at; /* for "no probes": "no .note.stapsdt section", ... (static text) */
	void *priv;
};

/* Limits: sites of a file (more are counted as bad), and strings. */
#define ELF_MAX_SITES 200000
#define ELF_MAX_NAME_BYTES 1024

/*
 * Read a binary. path: what to open (for a process in another mount namespace: /proc/PID/root/...). shown: the
 * name for messages and tables (NULL: path). A file without probes is no error: the counts are 0, looked_at says why.
 * -ENOEXEC: not an ELF file, or one of another class, byte order or machine; -EBADMSG: broken beyond use.
 */
int elf_file__open(const char *path, const char *shown, struct elf_file **out, struct diag *d);
void elf_file__free(struct elf_file *f);

/* Is its code that of this machine? Files of another may be listed, and never be attached to (user-mode emulators map
 * them). */
bool elf_file__is_native(const struct elf_file *f);

/* Fill file and line of the foreign sites from DWARF (also a separate debug file by build id), where there is any.
 * Slow on large binaries (libdw); called once, before the callsites are made. Errors are not errors. */
void elf_file__resolve_lines(struct elf_file *f);

/* Find a tape.h callsite by link address; NULL: no such. */
const struct elf_tape_site *elf_file__find_tape_site(const struct elf_file *f, u64 addr);

/* Link address to file offset by the program headers. want_exec: in an executable segment; want_write: in a writable
 * one. -ENOENT: in none. */
int elf_file__offset(const struct elf_file *f, u64 addr, bool want_exec, bool want_write, u64 *offset);

/* File offset of a mapped segment to link address: the bias of a module is (map start - that address). */
int elf_file__addr(const struct elf_file *f, u64 offset, u64 *addr);

#endif
