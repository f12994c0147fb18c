/* SPDX-License-Identifier: MIT */
/*
 * foreground.h - what `record`, `flight` and `flame` have in common as running commands: the traced command, signals, limits, targets,
 * and when a recording is over. One a process.
 */
#ifndef TAPEBPF_FOREGROUND_H
#define TAPEBPF_FOREGROUND_H

#include "cmd/child.h"
#include "cmd/target_opts.h"
#include "session/session.h"

/* Start the command, if there is one (it must not inherit what is set up for the recorder: call this first), catch signals, raise
 * limits, ask for precedence. */
int foreground__prepare(struct child *child, const struct target_opts *o, struct diag *d);

/* Attach the targets, let the command run. */
int foreground__attach(struct session *s, struct child *child, const struct target_opts *o, struct diag *d);

/* Is it over? By a signal, by the time (stop_at; Ctrl-C gives the command a little while), by the end of the last target. */
bool foreground__over(struct session *s, struct child *child, u64 now_ns, u64 *stop_at_ns);

/* A command that may have loaded anything is known to have no probes only when it is over: -ENOENT, and why; else 0. */
int foreground__no_probes(const struct session *s, const struct child *child, struct diag *d);

/* Has SIGUSR2 come since the last call? Only after foreground__catch_usr2. */
void foreground__catch_usr2(void);
bool foreground__usr2(void);

/* Name of what is recorded, for file names. */
void foreground__exe(const struct child *child, const struct target_opts *o, char *dst, size_t bytes);

#endif
