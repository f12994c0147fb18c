/* SPDX-License-Identifier: MIT */
/*
 * policy_exec.h - the command of --exec.
 *
 * The user's text goes to `sh -c` as it is. What comes out of traced programs is in the environment only: TAPEBPF_SNAPSHOT
 * (path), TAPEBPF_TRIGGER (text of --on), TAPEBPF_WHAT (what fired it), TAPEBPF_PID, TAPEBPF_BYTES, TAPEBPF_SPANS,
 * TAPEBPF_LOST, TAPEBPF_SWALLOWED. Standard input is empty, standard output is our standard error, as a recorder's own may
 * be a trace; its signals are as a shell would have them, and it is in a process group of its own, so that Ctrl-C does not
 * end it half-way.
 */
#ifndef TAPEBPF_POLICY_EXEC_H
#define TAPEBPF_POLICY_EXEC_H

#include "flight/policy.h"

#include <sys/types.h>

#define POLICY_MAX_COMMANDS 16 /* at a time: a command that never ends must not eat the machine */

struct policy_commands {
	pid_t pid[POLICY_MAX_COMMANDS];
	u32 cnt;
};

/* 0 or negative errno with *d (may be NULL) filled; -EAGAIN: too many are running. */
int policy_commands__start(struct policy_commands *c, const char *command, const struct trigger_fired *f,
			   const struct policy_snapshot *s, struct diag *d);
/* How many ended badly; *d (may be NULL) says how the last of these did. */
u32 policy_commands__reap(struct policy_commands *c, struct diag *d);

#endif
