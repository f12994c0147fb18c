/* SPDX-License-Identifier: MIT */
/*
 * cmd.h - the sub-commands. Each takes its own arguments (argv[0] is its name) and returns the exit status.
 */
#ifndef TAPEBPF_CMD_H
#define TAPEBPF_CMD_H

#include <stdio.h>

#include "base/diag.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_LOSS = 3, /* done, but with more loss than --fail-on-loss allows */
};

int cmd_record(int argc, char **argv);
int cmd_flight(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_recover(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_flame(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/* "tapebpf: TEXT" and "  try: HINT" on standard error, made safe for terminals. Returns status. */
int cmd__fail(int status, const struct diag *d);

/* The same for a tape that cannot be opened, with what to try where the diag does not say. EXIT_FAILED. */
int cmd__fail_tape(struct diag *d);

/* Flush a stream: 0, or the errno of a write that failed, now or before. */
int cmd__stream_error(FILE *f);

/* Flush standard output: 0, or the errno of a write that failed, now or before. */
int cmd__output_error(void);

/* Somebody else saw this errno when writing to it; 0: nothing. */
void cmd__output_note(int err);

/* "cannot write WHAT: ERR", once for the whole run. EXIT_FAILED. */
int cmd__output_failed(const char *what, int err);
/* The command has said itself what became of its output. */
void cmd__output_told(void);

/* Flush and tell: EXIT_DONE, also where a reader closed the pipe (it has seen enough), or EXIT_FAILED. */
int cmd__output_done(const char *what);

#define TAPEBPF_VERSION "0.1.0"

#endif
