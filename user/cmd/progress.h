/* SPDX-License-Identifier: MIT */
/* progress.h - a line on standard error for what takes more than a second, where that is a terminal. */
#ifndef TAPEBPF_PROGRESS_H
#define TAPEBPF_PROGRESS_H

#include "base/util.h"

struct progress {
	bool on, shown;
	u64 start_ns, next_ns;
};

void progress__init(struct progress *p, bool quiet);
/* all: 0 if unknown */
void progress__update(struct progress *p, u64 done_bytes, u64 all_bytes);
void progress__clear(struct progress *p);

#endif
