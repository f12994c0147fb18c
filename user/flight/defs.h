/* SPDX-License-Identifier: MIT */
/*
 * defs.h - what a recording's records refer to, in a file: the run, binaries with their callsites, processes, threads.
 *
 * For `flight --dir`: what is kept beside the ring in memory has to outlive the recorder too. Append-only; each record has a checksum, so
 * that what a kill left half written, or a disk has damaged, is passed over, or taken from the copy that the recorder keeps beside it:
 *
 *	u32 magic "TDEF", u32 kind, u32 bytes of the payload, u32 crc32c of kind, bytes and payload; the payload
 *
 * Payloads are numbers in the machine's byte order and texts with a u32 length in front. Kinds are append-only; a reader passes over those
 * it does not know and ignores what follows the members it knows.
 */
#ifndef TAPEBPF_FLIGHT_DEFS_H
#define TAPEBPF_FLIGHT_DEFS_H

#include "base/clock.h"
#include "elf/sig.h"
#include "flight/roster.h"
#include "flight/snapshot.h"

enum defs_kind { DEFS_RUN = 1, DEFS_FILE = 2, DEFS_PROCESS = 3, DEFS_THREAD = 4, DEFS_NAME = 5, DEFS_SIG = 6, DEFS_NO_PAIRS = 7 };

/* --- writing: one write(2) a record; 0 or negative errno --- */
int defs__put_run(int fd, const struct clock_pair *at, const char *exe);
int defs__put_file(int fd, const struct elf_file *f, u32 module, u32 first_site);
int defs__put_process(int fd, const struct roster_process *p);
int defs__put_thread(int fd, const struct roster_thread *t);
int defs__put_name(int fd, const struct roster_thread *t);
/* How plain probes are to be read. sigs may be NULL. */
int defs__put_reading(int fd, const struct sig_set *sigs, bool no_pairs);

/* --- reading --- */
struct defs {
	struct clock_pair at; /* of the run; 0: not told */
	char exe[256];
	struct roster roster;
	struct snapshot_file *file;
	u32 file_cnt;
	struct sig_set *sigs; /* NULL: none */
	bool no_pairs;
	u32 damaged; /* places where something was passed over */
	u32 healed;  /* places where only the copy was whole */
	u64 damaged_at, healed_at; /* the first of them */
};

/*
 * Hostile input; each of the two may be NULL. The copy is the same, byte for byte, but for what the last writes did not get to: what is not whole in
 * the one is taken from the other. 0 or -ENOMEM.
 */
int defs__read(struct defs *d, const void *data, size_t bytes, const void *copy, size_t copy_bytes);
void defs__done(struct defs *d);

#endif
