/* SPDX-License-Identifier: MIT */
/* record_opts.h - the command line of `record`. */
#ifndef TAPEBPF_RECORD_OPTS_H
#define TAPEBPF_RECORD_OPTS_H

#include "base/util.h"
#include "elf/sig.h"

#define RECORD_MAX_TARGETS 1024

struct record_opts {
	u32 pid[RECORD_MAX_TARGETS];
	u32 pid_cnt;
	const char *binary[64];
	u32 binary_cnt;
	char **cmd; /* NULL-terminated, NULL: none */
	const char *output;
	bool split, force, follow, immediate, no_pairs, json;
	int verbose; /* -1 quiet, 0, 1 ... */
	u64 duration_ns; /* 0: until the end */
	u32 chapter_bytes;
	u64 ring_bytes;
	u32 max_text;
	u64 max_spans;
	bool fail_on_loss;
	u64 loss_allowed;
	struct sig_set *sigs;
};

/* Parse; prints its own usage errors. 0, or -1 with *status set (help, usage error). */
int record_opts__parse(struct record_opts *o, int argc, char **argv, int *status);
void record_opts__done(struct record_opts *o);

#endif
