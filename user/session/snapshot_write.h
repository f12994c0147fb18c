/* SPDX-License-Identifier: MIT */
/* snapshot_write.h - one snapshot into one file. Runs on a thread of its own: nothing here is shared but snapshot_write.left. */
#ifndef TAPEBPF_SNAPSHOT_WRITE_H
#define TAPEBPF_SNAPSHOT_WRITE_H

#include "base/diag.h"
#include "flight/snapshot_replay.h"
#include "flight/trigger.h"

enum snapshot_format { SNAPSHOT_TAPE, SNAPSHOT_GO };

/* -EINVAL: no such format. */
int snapshot_format__parse(const char *text, enum snapshot_format *f);
/* EXE_DATE and the ending of the format. */
void snapshot__name(char *dst, size_t bytes, const char *exe, enum snapshot_format f);

struct snapshot_result {
	int err;
	struct diag diag;
	const char *path; /* NULL: went into the asker's file. Valid during the call */
	u64 bytes;
	u64 capture_ns, write_ns; /* recording stood still; replay and writing */
	u64 raw_bytes;
	struct replay_result replay;
};

struct snapshot_write {
	struct snapshot *snap;
	u64 last_ns; /* 0: all that is kept */
	enum snapshot_format format;
	u64 max_spans;
	bool no_pairs;
	const struct sig_set *sigs;
	struct trigger_fired trigger; /* why; .trigger NULL: nobody's */
	bool cut_off;	 /* its recorder was killed: what came after complete_ns may be missing untold; 0: after anything */
	u64 complete_ns;
	int fd;		 /* an empty regular file, taken over; -1: a new one at path */
	char path[4096]; /* becomes what it is called in the end */
	u32 left; /* atomic, rises meanwhile: so many of the snapshot's oldest generations are not needed any more */
	struct snapshot_result res; /* bytes, replay, diag are filled */
};

int snapshot__write(struct snapshot_write *w);

#endif
