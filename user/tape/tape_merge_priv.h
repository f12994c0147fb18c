/* SPDX-License-Identifier: MIT */
/*
 * tape_merge_priv.h - inside the merge: tape_merge.c (whose turn it is), tape_adapter.c (what one tape says, as the merged stream has it).
 */
#ifndef TAPEBPF_TAPE_MERGE_PRIV_H
#define TAPEBPF_TAPE_MERGE_PRIV_H

#include "base/idmap.h"
#include "tape/tape_join.h"
#include "tape/tape_merge.h"

struct source {
	struct tape_merge *merge;
	struct tape_reader *reader;
	struct sink sink; /* the adapter */
	u32 place;	  /* of its lane */
	struct source *lane; /* the first of the tapes of its recording, or itself */
	struct source *later; /* the tape that goes on where it ends */
	struct tape_part part; /* no 0: of none */
	u64 mono_ns;
	bool beginning; /* it tells what the one before it has left open */
	bool entering;	/* and is past what was said of that */
	u64 begin_ns;
	struct tape_join join; /* what the one before it has left open */
	u64 shift;	  /* added to each time, modulo 2^64 */
	struct idmap span; /* numbers too large to be dealt out -> number given; the lane's */
	struct idmap known; /* processes and threads that have been seen, by address -> the lane's first */
	struct idmap lane_process, lane_thread; /* the lane's, by their number in the tapes; held if there is a later tape */
	const struct thread *last_thread; /* that was looked for, and what was found */
	struct thread *last_found;
	u64 next_ns; /* shifted; of the record that is next */
};

struct tape_merge {
	struct source *source;
	u32 cnt, lanes;
	struct source **heap; /* those that go on, the earliest first */
	u32 heap_cnt;
	bool begun, taken; /* taken: the first one's record has been read, the next is still to be looked at */
	const struct sink *out;
	struct sink_ops ops; /* of out, complete */
	u64 large_spans, callsites;
	struct idmap process_uids, thread_uids;
	u64 fresh_uid; /* counts down: where two tapes use the same number */
};

/* A source's sink: its calls go to merge->ops. */
extern const struct sink_ops tape_adapter__ops;

/* What was to be told again at the beginning of this tape has been told: what the tape before had cut and this one does not know has
 * ended there. 0 or what the sink returned. */
int tape_adapter__begun(struct source *s);

#endif
