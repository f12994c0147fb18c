/* SPDX-License-Identifier: MIT */
/*
 * outfile.h - where a command's result goes: standard output, or a file that appears only when it is whole (NAME.part
 * until then; a file of that name is replaced).
 */
#ifndef TAPEBPF_OUTFILE_H
#define TAPEBPF_OUTFILE_H

#include <stdio.h>

#include "base/diag.h"
#include "base/util.h"

struct outfile {
	FILE *f;
	const char *path; /* NULL: standard output */
	char *part;
};

/* Negative errno with the diag filled. */
int outfile__open(struct outfile *o, const char *path, struct diag *d);
/* 0, -EPIPE (whoever read has seen enough), or another error: in any case what was written so far is out. */
int outfile__flush(struct outfile *o);
/* Everything written, synced and renamed. -EPIPE without a diag. */
int outfile__done(struct outfile *o, struct diag *d);
/* Instead of done: leave nothing behind. */
void outfile__drop(struct outfile *o);

#endif
