/* SPDX-License-Identifier: MIT */
/* tape_file.h - the file under a tape: made without a name, named when it is a tape, never over another by accident. */
#ifndef TAPEBPF_TAPE_FILE_H
#define TAPEBPF_TAPE_FILE_H

#include "base/diag.h"
#include "base/util.h"

struct tape_file_new {
	int fd;
	bool force;
	char *path; /* as asked for */
	char *temp; /* its name for now; NULL: none (O_TMPFILE) */
};

/* Make a nameless (else temporary) file in path's directory. Refuses "-", pipes and devices. */
int tape_file__create(struct tape_file_new *nf, const char *path, bool force, struct diag *d);

/* Give it its name: path, or with _1, _2 ... before the ending if that exists and force is not set. *out is malloc'd.
 * Afterwards only fd is left in nf. */
int tape_file__name(struct tape_file_new *nf, char **out, struct diag *d);

/* Close and remove what has no name yet. */
void tape_file__abandon(struct tape_file_new *nf);

/* Really allocate [offset, offset + bytes), zeros, and make the file that long. 0 or negative errno. */
int tape_file__allocate(int fd, u64 offset, u64 bytes);

/* pwrite of all of it. 0 or negative errno. */
int tape_file__write(int fd, const void *data, size_t bytes, u64 offset);

#endif
