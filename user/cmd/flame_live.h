/* SPDX-License-Identifier: MIT */
/* flame_live.h - running programs instead of a tape, until they end, the time is over, or a signal says so. */
#ifndef TAPEBPF_FLAME_LIVE_H
#define TAPEBPF_FLAME_LIVE_H

#include "base/diag.h"
#include "cmd/target_opts.h"
#include "model/sink.h"

/* A command among the targets is started and, like all targets, left alone at the end. keep_on: after every round;
 * negative ends the recording and is returned. Loss is told on standard error. 0 or negative errno with the diag filled. */
int flame_live__run(const struct target_opts *o, u64 duration_ns, const struct sink *sink, int (*keep_on)(void *ctx),
		    void *ctx, struct diag *d);

#endif
