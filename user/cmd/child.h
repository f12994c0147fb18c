/* SPDX-License-Identifier: MIT */
/* child.h - `tapebpf -- CMD`: a command that waits to be attached before it runs. */
#ifndef TAPEBPF_CHILD_H
#define TAPEBPF_CHILD_H

#include "base/diag.h"
#include "base/util.h"
#include <sys/types.h>

struct child {
	pid_t pid;   /* 0: none */
	int go_fd;   /* write end: the child execs when it is closed after a byte */
	int fail_fd; /* read end: errno of a failed exec */
	char *path;  /* the file that will run, found along PATH */
	char **libs; /* libraries its dynamic linker would map, NULL-terminated; may be NULL */
	bool reaped;
	int status; /* as wait(2) tells it, once reaped */
};

/* Find the command and fork; the child waits. -ENOENT, -EACCES: no such command. */
int child__start(struct child *c, char **argv, struct diag *d);
/* Let it run. Negative errno if the exec failed. */
int child__go(struct child *c, struct diag *d);
/* Has it ended? Never blocks. */
bool child__ended(struct child *c);
/* Of one that has ended: "exited with status 7". Returns dst. */
char *child__fate(const struct child *c, char *dst, size_t bytes);
/* Give up on a child that has not been let go (it leaves without running), free what start allocated. */
void child__done(struct child *c);

#endif
