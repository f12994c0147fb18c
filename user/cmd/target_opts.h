/* SPDX-License-Identifier: MIT */
/* target_opts.h - what is recorded, and what of it: the options that `record`, `flight` and `flame` share. */
#ifndef TAPEBPF_TARGET_OPTS_H
#define TAPEBPF_TARGET_OPTS_H

#include "base/util.h"
#include "elf/sig.h"

#include <argp.h>

#define TARGET_MAX_PIDS 1024

struct target_opts {
	u32 pid[TARGET_MAX_PIDS];
	u32 pid_cnt;
	const char *binary[64];
	u32 binary_cnt;
	char **cmd; /* NULL-terminated, NULL: none */
	bool follow, immediate, no_pairs;
	bool optional; /* no target at all is no error: the command can do without */
	u32 max_text;
	struct sig_set *sigs;
};

/* A child of a command's own argp; its input is a struct target_opts. Demands that there is a target, unless optional. */
extern const struct argp target_argp;

static inline bool target_opts__any(const struct target_opts *o)
{
	return o->pid_cnt || o->binary_cnt || o->cmd;
}

int target_opts__init(struct target_opts *o); /* -ENOMEM */
void target_opts__done(struct target_opts *o);

/* For the parsers of commands: --what ARG, or the usage error. */
u64 target_opts__bytes(struct argp_state *state, const char *what, const char *arg, u64 min, u64 max);
u64 target_opts__time(struct argp_state *state, const char *what, const char *arg); /* ns, not 0 */
u64 target_opts__count(struct argp_state *state, const char *what, const char *arg);
u64 target_opts__ring_bytes(struct argp_state *state, const char *arg);
u64 target_opts__max_spans(struct argp_state *state, const char *arg);

/* The whole line of a command called name, into `input`, of which `o` is a part. 0, or -1 and the exit status to end with; either
 * way target_opts__done() is due. */
int target_opts__parse(struct target_opts *o, const struct argp *argp, char *name, int argc, char **argv, void *input, int *status);

#endif
