/* SPDX-License-Identifier: MIT */
/*
 * outfile.h - where a command's result goes: standard output, or a file that appears only when it is whole (NAME.part
 * until then). Devices and pipes are written to as they are.
 */
#ifndef TAPEBPF_OUTFILE_H
#define TAPEBPF_OUTFILE_H

#include <stdio.h>

#include "base/diag.h"
#include "base/util.h"

struct outfile {
	FILE *f;
	const char *path; /* NULL or "-": standard output */
	char *part;	  /* NULL: written to directly */
	bool keep;	  /* what exists is not replaced */
};

/* Negative errno with the diag filled. A file of that name is replaced. */
int outfile__open(struct outfile *o, const char *path, struct diag *d);
/* The same, but what exists is only replaced with force: else -EEXIST, here or from done. */
int outfile__open_new(struct outfile *o, const char *path, bool force, struct diag *d);
/* 0, -EPIPE (whoever read has seen enough), or another error: in any case what was written so far is out. */
int outfile__flush(struct outfile *o);
/* Everything written, synced and renamed. -EPIPE without a diag. */
int outfile__done(struct outfile *o, struct diag *d);
/* Instead of done: leave nothing behind. */
void outfile__drop(struct outfile *o);

#endif
