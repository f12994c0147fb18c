/* SPDX-License-Identifier: MIT */
/*
 * backend.h - what a format says of itself, so that one command serves them all. A back end is a constant of this
 * sort in its own room, listed in cmd/export.c.
 */
#ifndef TAPEBPF_BACKEND_H
#define TAPEBPF_BACKEND_H

#include "base/clock.h"
#include "base/diag.h"
#include "model/sink.h"

/* An option of its own, `--NAME ARG` on the command line. */
struct backend_option {
	const char *name, *arg, *what;
};

#define BACKEND_MAX_OPTIONS 8

struct backend_opts {
	struct clock_pair clock; /* a moment in the sink's time (mono_ns) and on the wall clock (real_ns) */
	u64 start_ns; /* where the output is to begin, in the sink's time; 0: with what comes first */
	const char *option[BACKEND_MAX_OPTIONS]; /* as its table has them; NULL: not given */
	/* where the bytes go, in order; 0 or negative errno, then the back end gives up with it */
	int (*write)(void *ctx, const void *bytes, size_t cnt);
	void *ctx;
};

struct backend {
	const char *name;   /* for --format */
	const char *ending; /* of its files, with the dot */
	const char *what;   /* one line, for help */
	const struct backend_option *option; /* NULL: none; ends with a nameless one */
	/* called once for each output, before all else. -EINVAL: an option's value, said in d */
	int (*open)(const struct backend_opts *o, void **run, struct diag *d);
	/* called after open: where the stream goes */
	struct sink (*sink)(void *run);
	/* called after the stream's last call: write the rest. May leave words in note about what the format could not hold */
	int (*finish)(void *run, struct diag *note);
	/* called last, also instead of finish */
	void (*free)(void *run);
};

#endif
