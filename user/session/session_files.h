/* SPDX-License-Identifier: MIT */
/* session_files.h - the binaries of a recording, each read once. */
#ifndef TAPEBPF_SESSION_FILES_H
#define TAPEBPF_SESSION_FILES_H

#include "elf/elf_file.h"

struct session_file {
	struct elf_file *elf;
	u32 module;	/* number in the table: the cookie of its pages' records */
	u32 first_site; /* its foreign sites are first_site + index */
	int fd;		/* kept open: the inode cannot go away or change */
	char open_path[32]; /* /proc/self/fd/N */
	char *shown;	    /* name for people, as the target sees it */
	bool attached, failed;
};

struct session_files;

struct session_files *session_files__new(void);
void session_files__free(struct session_files *t);

/* The entry of the file behind fd (taken over, closed if it is known already), read at the first time. -ENOEXEC: not an
 * ELF file for this machine. */
int session_files__get(struct session_files *t, int fd, const char *shown, struct session_file **out,
		       struct diag *d);
/* By module number; NULL: no such. */
const struct session_file *session_files__module(const struct session_files *t, u32 module);

/* Files that a mapping event named, by the kernel's device and inode numbers (which need not equal those of stat). */
bool session_files__seen(const struct session_files *t, u64 dev, u64 ino);
void session_files__see(struct session_files *t, u64 dev, u64 ino);

/* All that have a module number, for a snapshot (malloc'ed). The files stay the table's. 0 or -ENOMEM. */
struct snapshot_file;
int session_files__list(const struct session_files *t, struct snapshot_file **out, u32 *cnt);

/* Files read; of these with probes that are attached; the probes. */
void session_files__count(const struct session_files *t, u32 *looked, u32 *files, u32 *foreign, u32 *tape);

#endif
