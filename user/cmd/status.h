/* SPDX-License-Identifier: MIT */
/* status.h - what `record` says while it runs and when it is done. */
#ifndef TAPEBPF_STATUS_H
#define TAPEBPF_STATUS_H

#include "cmd/child.h"
#include "session/rotation.h"
#include "session/session.h"
#include "session/tapes.h"

struct status {
	bool line;    /* a status line on standard error */
	bool quiet, tapes_told;
	bool json;    /* JSON lines on standard output */
	bool shown;   /* the line is on the screen now */
	u64 start_ns, last_ns, last_records;
};

/* quiet: no line; a line appears only where standard error is a terminal. */
void status__init(struct status *st, bool json, bool quiet);
/* Once a second: rate, spans, loss, size. */
void status__update(struct status *st, struct session *s, const struct tapes *t);
/* Take the line off the screen, so that something else can be printed. */
void status__clear(struct status *st);
/* A tape of a rotation is finished: what it holds. */
void status__tape(struct status *st, const struct tapes *t, u32 i, const struct rotation_part *part);
/* The end: what became of the command, what was recorded where, and emitted = stored + lost. */
void status__summary(struct status *st, struct session *s, const struct tapes *t, const struct child *c, bool quiet);

#endif
