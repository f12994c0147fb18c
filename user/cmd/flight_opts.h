/* SPDX-License-Identifier: MIT */
/* flight_opts.h - the command line of `flight`. */
#ifndef TAPEBPF_FLIGHT_OPTS_H
#define TAPEBPF_FLIGHT_OPTS_H

#include "cmd/target_opts.h"
#include "flight/policy.h"
#include "session/snapshot_write.h"

struct flight_cmd_opts {
	struct target_opts target;
	u64 size_bytes, period_ns, generation_ns; /* 0: default */
	u64 ring_bytes, max_spans;
	const char *socket; /* NULL: by name */
	const char *name;
	const char *ring_dir; /* NULL: in memory */
	const char *output_dir; /* NULL: here */
	enum snapshot_format format;
	const char *on[TRIGGER_MAX];
	u32 on_cnt;
	struct policy_opts policy;
	bool no_final;
	int verbose; /* -1 quiet, 0, 1 ... */
};

/* Parse; prints its own usage errors. 0, or -1 with *status set (help, usage error). */
int flight_opts__parse(struct flight_cmd_opts *o, int argc, char **argv, int *status);
void flight_opts__done(struct flight_cmd_opts *o);

#endif
