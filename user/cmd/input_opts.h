/* SPDX-License-Identifier: MIT */
/* input_opts.h - the options that all reading commands share: which part of the tapes, and what of it. */
#ifndef TAPEBPF_INPUT_OPTS_H
#define TAPEBPF_INPUT_OPTS_H

#include <argp.h>

#include "base/util.h"

/* A moment as given: of the wall clock, or counted from the first tape's beginning. */
struct input_time {
	enum { TIME_NONE, TIME_UNIX, TIME_OF_DAY, TIME_SINCE_START } kind;
	s64 ns;
};

struct input_opts {
	bool quiet;	/* no progress line */
	bool streaming; /* the command prints as it reads: no progress line over that */
	bool no_values; /* the command does not look at values of spans (a filter may) */
	struct input_time from, to;
	u64 last_ns;  /* 0: not asked for */
	char *filter; /* an expression made of all filters, NULL: none; input_opts__done frees it */
};

/* For a command's `children`; its input pointer is a struct input_opts (child_inputs at ARGP_KEY_INIT). */
extern const struct argp input_argp;
void input_opts__done(struct input_opts *o);

/* "2026-11-26T18:34:00.5Z" (or a blank for the T, no Z: UTC all the same), "18:34:00" on the tape's day, "@1700000000.5"
 * since 1970, "+1.5s" since the tape's beginning. -EINVAL. */
int input_time__parse(const char *text, struct input_time *t);
/* As Unix time, for a first tape that begins at base. */
s64 input_time__unix_ns(const struct input_time *t, s64 base_unix_ns);

#endif
