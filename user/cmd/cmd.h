/* SPDX-License-Identifier: MIT */
/*
 * cmd.h - the sub-commands. Each takes its own arguments (argv[0] is its name) and returns the exit status.
 */
#ifndef TAPEBPF_CMD_H
#define TAPEBPF_CMD_H

#include "base/diag.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_LOSS = 3, /* done, but with more loss than --fail-on-loss allows */
};

int cmd_record(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/* "tapebpf: TEXT" and "  try: HINT" on standard error, made safe for terminals. Returns status. */
int cmd__fail(int status, const struct diag *d);

#define TAPEBPF_VERSION "0.1.0"

#endif
