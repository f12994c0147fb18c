/* SPDX-License-Identifier: MIT */
/* tape_sink.h - the model's stream as tape records: the compatibility procedures of docs/FORMAT.md. */
#ifndef TAPEBPF_TAPE_SINK_H
#define TAPEBPF_TAPE_SINK_H

#include "model/sink.h"
#include "tape/tape_writer.h"

struct tape_sink;

/* The writer stays the caller's and must outlive the sink. only: NULL, or record only this process (--split). */
struct tape_sink *tape_sink__new(struct tape_writer *w, const struct process *only);

/* Which tape of a recording on several: the sinks of all of them are fed by one window, one after the other. */
struct tape_part {
	u8 recording[16]; /* random */
	u64 no;		  /* from 1; 0: it is on one tape alone */
};
struct tape_sink *tape_sink__new_part(struct tape_writer *w, const struct process *only, const struct tape_part *part);
void tape_sink__free(struct tape_sink *s);
struct sink tape_sink__sink(struct tape_sink *s);

/* A clock pair record: at the start, every minute or so, and at the end. All at one moment, ns. */
int tape_sink__clocks(struct tape_sink *s, u64 mono_ns, s64 real_ns, u64 boot_ns);

/* Before the end, of what a recorder has left that was killed: up to this CLOCK_MONOTONIC time nothing is missing but what is told as lost. */
void tape_sink__complete(struct tape_sink *s, u64 complete_ns);
/* The end: totals and the checksum. Call once, after model__cut. */
int tape_sink__finish(struct tape_sink *s, u64 time_ns, u64 emitted, u64 stored, u64 lost);

#endif
