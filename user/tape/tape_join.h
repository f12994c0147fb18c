/* SPDX-License-Identifier: MIT */
/*
 * tape_join.h - what was open at the end of one tape of a recording, and is so at the beginning of the next.
 *
 * The one ends with exits and closes that are not the program's (SINK_CUT), the other begins with the same spans opened as before,
 * what was said of them, and their entries. Between the two nothing happened: so both are left out. What the second tape does not know,
 * as it is damaged, has ended where the first one says. Not thread-safe.
 */
#ifndef TAPEBPF_TAPE_JOIN_H
#define TAPEBPF_TAPE_JOIN_H

#include "base/idmap.h"
#include "model/sink.h"
#include "tape/tape_sink.h"

struct tape_cut {
	struct tape_cut *next, *same; /* same: of the same span */
	u64 span;
	struct thread *thread; /* NULL: the close */
	u64 time_ns, dropped_ns;
	bool joined;
};

struct tape_join {
	struct tape_cut *first, **end;
	struct idmap spans; /* their cuts, the latest first */
};

/* Which part of a recording a tape is, and CLOCK_MONOTONIC at its time 0. false: of none, or it cannot be read. */
bool tape_part__read(const char *path, struct tape_part *part, u64 *mono_ns);

/* An exit (thread) or close (NULL) that was cut. 0, -ENOMEM. */
int tape_join__keep(struct tape_join *j, u64 span, struct thread *thread, u64 time_ns, u64 dropped_ns);
/* It goes on: each once. */
bool tape_join__goes_on(struct tape_join *j, u64 span, const struct thread *thread);
/* Has tape_join__goes_on said so of its close? */
bool tape_join__joined(const struct tape_join *j, u64 span);
/* The first of what did not go on; false: there is none any more, and nothing is kept. */
bool tape_join__left(struct tape_join *j, struct tape_cut *cut);
void tape_join__done(struct tape_join *j);

#endif
