/* SPDX-License-Identifier: MIT */
/*
 * tape_writer.h - bytes of a .tape v0.1 file, crash-proof: after SIGKILL at any instruction the file is a tape that
 * the upstream parser loads, missing at most what was not yet published. See tape_writer.c for how.
 * Not thread-safe.
 */
#ifndef TAPEBPF_TAPE_WRITER_H
#define TAPEBPF_TAPE_WRITER_H

#include "base/diag.h"
#include "base/util.h"

struct tape_writer;

struct tape_writer_opts {
	size_t sz;
	u32 chapter_bytes; /* power of two, 64 KiB .. 1 GiB; 0: 1 MiB */
	s64 base_unix_ns;  /* wall clock at base_mono_ns */
	u64 base_mono_ns;  /* record times are relative to this */
	bool force;	   /* replace an existing file; else _1, _2 ... is put before the ending */
	bool *grown;	   /* not NULL: set when some 64 KiB more have been appended, and by the append that brings the file... */
	u64 mark_bytes;	   /* ... to this size. 0: no such size */
};

/* Creates the file; path may differ from what was asked for (see force): tape_writer__path. */
int tape_writer__open(const char *path, const struct tape_writer_opts *opts, struct tape_writer **out, struct diag *d);
/* Into an open, empty, regular file, which is taken over whatever happens. shown: its name in messages. */
int tape_writer__open_fd(int fd, const char *shown, const struct tape_writer_opts *opts, struct tape_writer **out,
			 struct diag *d);
const char *tape_writer__path(const struct tape_writer *w);

/* Append records (whole, with their headers) that become visible together. -ENOSPC, -EIO ...: nothing of them will be
 * visible; later appends may succeed again. */
int tape_writer__append(struct tape_writer *w, const void *records, size_t bytes);

/* As append, for what must follow what is already written (exits, closes, totals): may use the last of the disk space,
 * a reserve of 256 KiB that append leaves alone. */
int tape_writer__append_last(struct tape_writer *w, const void *records, size_t bytes);

/*
 * Where the next append will be kept: who writes at most `left` bytes of whole records at `at` and then calls
 * tape_stage__took has appended them, without a copy. Every other call moves the place. left can be 0.
 */
struct tape_stage {
	u8 *at;
	size_t left;
};
/* The same pointer for the writer's whole life. */
struct tape_stage *tape_writer__stage(struct tape_writer *w);

static inline void tape_stage__took(struct tape_stage *st, size_t bytes)
{
	st->at += bytes;
	st->left -= bytes;
}

/* The largest group that append takes: -EMSGSIZE above. At least 65,532; a record can have 65,535 bytes only in
 * chapters of more than 64 KiB. */
size_t tape_writer__max_append(const struct tape_writer *w);

/* Publish, then append and publish the checksum of all bytes before it. Nothing should follow. */
int tape_writer__checksum(struct tape_writer *w);

/* Make what was appended visible in the file (cheap: a few stores). Call at least every 500 ms. */
void tape_writer__publish(struct tape_writer *w);

/* As many as the file would have if it were closed now (a few more may come if something is not published yet). */
u64 tape_writer__bytes(const struct tape_writer *w);

/* The first error that made records missing, 0: none so far. */
int tape_writer__error(const struct tape_writer *w);
u64 tape_writer__base_mono_ns(const struct tape_writer *w);

/* Publish, cut the file behind the last record, close, free. Returns 0 or the first error that made records missing. */
int tape_writer__close(struct tape_writer *w, struct diag *d);

/* `{exe}_{YYYY}-{MM}-{DD}_{Www}_{HH}-{MM}-{SS}.tape` in the working directory; exe cleaned of '/' and controls. */
void tape_writer__default_name(char *dst, size_t bytes, const char *exe, s64 unix_ns);

#endif
