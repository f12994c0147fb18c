/* SPDX-License-Identifier: MIT */
/*
 * tapes.h - where a recording goes: one tape, or with --split one for each process, made when its process turns up.
 */
#ifndef TAPEBPF_TAPES_H
#define TAPEBPF_TAPES_H

#include "base/clock.h"
#include "base/diag.h"
#include "model/sink.h"
#include "tape/tape_sink.h"

struct tapes;

struct tapes_opts {
	const char *path; /* as asked for; with split the pid goes in before the ending */
	u32 chapter_bytes;
	bool force, split;
	struct tape_part part; /* with split each process has a recording of its own, made of this one */
	u64 mark_bytes;	       /* of tape_writer_opts, as is the next */
	bool *grown;
};

/* Without split the file is created here, so that a bad path is told before anything is attached. */
int tapes__open(const struct tapes_opts *o, const struct clock_pair *now, struct tapes **out, struct diag *d);
struct sink tapes__sink(struct tapes *t);
/* Make what has arrived visible in the files. */
void tapes__publish(struct tapes *t);
void tapes__clocks(struct tapes *t, const struct clock_pair *p);
/* Of all of them, earlier ones included; of those that are being written. */
u64 tapes__bytes(const struct tapes *t);
u64 tapes__open_bytes(const struct tapes *t);
/* The first error that kept records from a tape, 0: none so far. */
int tapes__error(const struct tapes *t);
/* Totals, checksum, close. Returns 0 or the first error that made records missing. */
int tapes__close(struct tapes *t, u64 now_ns, u64 emitted, u64 stored, u64 lost, struct diag *d);
/* `next` goes on where `t`, which is closed, ended: t's tapes become its earlier ones (and t loses them). -ENOMEM: they stay
 * where they are, only nobody knows of them any more. */
int tapes__inherit(struct tapes *next, struct tapes *t);
u32 tapes__earlier_cnt(const struct tapes *t);
/* Delete the file of the oldest of the earlier ones. It is forgotten in any case; gone already is no error. */
int tapes__drop_oldest(struct tapes *t, struct diag *d);
/* Names of the tapes, i < tapes__cnt, the earlier ones first. */
u32 tapes__cnt(const struct tapes *t);
const char *tapes__path(const struct tapes *t, u32 i);
void tapes__free(struct tapes *t);

#endif
