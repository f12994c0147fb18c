/* SPDX-License-Identifier: MIT */
/*
 * replay_uses.h - which generations of a snapshot a replay still reads.
 *
 * Ingest borrows a snapshot's records, and says of each when it needs it no longer. Counted by generation: those at the old end of which
 * nothing is needed may be given back while the rest is replayed. Exact, not by time: what a page holds is the traced program's to
 * write, and a record may be passed on later than its time says.
 */
#ifndef TAPEBPF_FLIGHT_REPLAY_USES_H
#define TAPEBPF_FLIGHT_REPLAY_USES_H

#include "flight/snapshot.h"

struct use_chunk {
	const u8 *at, *end;
	u32 gen;
};

struct replay_uses {
	struct use_chunk *chunk; /* by address */
	u32 chunk_cnt, near;	 /* near: the one asked for last */
	u32 *cnt;		 /* records in use, by generation */
	u32 gen_cnt;
	u32 left;     /* so many of the oldest are not read any more */
	bool settled; /* all has been pushed */
};

/* -ENOMEM: it counts nothing then, and no generation is ever left. */
int replay_uses__init(struct replay_uses *u, const struct snapshot *s);
void replay_uses__done(struct replay_uses *u);

/* As ingest_ops.uses says. What is in no generation is passed over. true: left has risen. */
bool replay_uses__tell(struct replay_uses *u, const void *data, bool begin);
/* All has been pushed: what is not in use now never will be. true: left has risen. */
bool replay_uses__settle(struct replay_uses *u);

#endif
