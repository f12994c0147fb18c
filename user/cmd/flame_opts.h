/* SPDX-License-Identifier: MIT */
/* flame_opts.h - the command line of `flame`. */
#ifndef TAPEBPF_FLAME_OPTS_H
#define TAPEBPF_FLAME_OPTS_H

#include "cmd/input.h"
#include "cmd/target_opts.h"
#include "fold/fold.h"
#include "fold/svg_page.h"

/* Whether an option that a style has a default of was given. */
enum flame_asked { ASKED_NOT, ASKED_NO, ASKED_YES };

struct flame_opts {
	struct fold_opts fold;
	struct input_opts input;
	struct page_opts page;
	bool chart;	  /* over time, not merged */
	char **file;
	u32 file_cnt;
	struct target_opts target; /* instead of files */
	u64 duration_ns; /* 0: until the end */
	bool folded;	 /* lines, not a picture */
	bool in_order;	 /* as they come, not merged */
	bool reverse;	 /* leaf first */
	u32 max_depth;	 /* frames of a stack */
	bool diff;	 /* two files: before, after */
	bool normalize;
	const char *output; /* NULL: standard output */
	enum flame_asked module_path, file_and_line, empty_samples;
};

/* Parse; prints its own usage errors. 0, or -1 with *status set (help, usage error). */
int flame_opts__parse(struct flame_opts *o, int argc, char **argv, int *status);
void flame_opts__done(struct flame_opts *o);

#endif
