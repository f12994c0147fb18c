/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h - what a flight recording held at one moment: everything that a replay needs, and nothing that still changes.
 *
 * Taken in the time it takes to count references and to copy the tables of who is who; then it may be replayed by another
 * thread while recording goes on (snapshot_replay.h). Given back by the thread that records.
 */
#ifndef TAPEBPF_FLIGHT_SNAPSHOT_H
#define TAPEBPF_FLIGHT_SNAPSHOT_H

#include "base/clock.h"
#include "elf/elf_file.h"
#include "flight/generations.h"
#include "flight/roster.h"
#include "flight/sheets.h"

struct snapshot_file {
	const struct elf_file *elf; /* not changed any more, and there as long as the snapshot */
	u32 module, first_site;
};

struct snapshot {
	const struct generation **gen; /* oldest first */
	u32 gen_cnt;
	u32 gen_left; /* so many of the oldest have been given back before the rest (flight__leave) */
	struct partial **partial;
	u32 partial_cnt;
	struct chunk carried; /* begins of plain pairs open before the first generation */
	struct roster roster;
	struct snapshot_file *file;
	u32 file_cnt;
	struct clock_pair at; /* the cut */
	bool whole; /* up to the cut there is all of every thread; what is later is there of some, and left out by a replay */
	u64 bytes;	      /* of raw records */
};

/* The time at which it can begin. Asked before generations are given back. */
static inline u64 snapshot__start_ns(const struct snapshot *s)
{
	return s->gen_cnt ? s->gen[0]->start_ns : s->at.mono_ns;
}

#endif
