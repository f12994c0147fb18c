/* SPDX-License-Identifier: MIT */
/* ask.h - what the commands that ask a running flight recorder have in common. */
#ifndef TAPEBPF_ASK_H
#define TAPEBPF_ASK_H

#include "base/diag.h"
#include "base/util.h"

#include <argp.h>

/* Which recorder: a child of the command's own argp; give it one of these as its input. */
struct ask_opts {
	const char *name; /* "default" to begin with */
	const char *socket; /* NULL: by name */
};
extern const struct argp ask_argp;

/* A socket for control__ask, or negative. */
int ask__connect(const struct ask_opts *o, struct diag *d);

/* A number of an answer; 0 if it is not there. */
u64 ask__number(const char *answer, const char *key);

#endif
