/* SPDX-License-Identifier: MIT */
/* flame_live.h - a running program instead of a tape, until it ends, the time is over, or a signal says so. */
#ifndef TAPEBPF_FLAME_LIVE_H
#define TAPEBPF_FLAME_LIVE_H

#include "base/diag.h"
#include "base/util.h"
#include "model/sink.h"

/* start: called with the time at which the recording begins, before the sink is. keep_on: after every round; negative
 * ends the recording and is returned. Loss is told on standard error. 0 or negative errno with the diag filled. */
int flame_live__run(const u32 *pid, u32 pid_cnt, u64 duration_ns, const struct sink *sink, int (*keep_on)(void *ctx),
		    void *ctx, struct diag *d);

#endif
