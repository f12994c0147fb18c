/* SPDX-License-Identifier: MIT */
/* record_opts.h - the command line of `record`. */
#ifndef TAPEBPF_RECORD_OPTS_H
#define TAPEBPF_RECORD_OPTS_H

#include "cmd/target_opts.h"

struct record_opts {
	struct target_opts target;
	const char *output;
	bool split, force, json;
	int verbose; /* -1 quiet, 0, 1 ... */
	u64 duration_ns; /* 0: until the end */
	u32 chapter_bytes;
	u64 ring_bytes;
	u64 max_spans;
	u64 rotate_bytes, rotate_ns, keep_bytes; /* 0: not */
	u32 keep_files;
	bool fail_on_loss;
	u64 loss_allowed;
};

/* Parse; prints its own usage errors. 0, or -1 with *status set (help, usage error). */
int record_opts__parse(struct record_opts *o, int argc, char **argv, int *status);
void record_opts__done(struct record_opts *o);

#endif
