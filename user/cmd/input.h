/* SPDX-License-Identifier: MIT */
/*
 * input.h - tapes as the reading commands take them: one or several, merged by wall clock, cut by time, filtered, with a
 * progress line and a word about damage at the end.
 */
#ifndef TAPEBPF_INPUT_H
#define TAPEBPF_INPUT_H

#include "cmd/input_opts.h"
#include "tape/tape_merge.h"

struct input;

/* What is wrong with a tape. */
struct input_damage {
	u64 cnt[TAPE_DEFECT_MAX], all; /* all: but for spans that were left open */
	struct tape_defect first;
};

int input__open(char *const *path, u32 cnt, const struct input_opts *o, struct input **out, struct diag *d);
void input__free(struct input *in);

/* What was asked for, into the sink. keep_on is asked after every megabyte, may be NULL: negative stops and is returned. */
int input__run(struct input *in, const struct sink *sink, int (*keep_on)(void *ctx), void *ctx);

u32 input__cnt(const struct input *in);
const char *input__path(const struct input *in, u32 i);
const struct tape_reader *input__reader(const struct input *in, u32 i);
s64 input__unix_ns(void *in, u64 time_ns);
/* Where it begins, as a sink's time: the moment 0 of the first tape, or what was asked for. */
u64 input__start_ns(const struct input *in);
/* What was asked for as the beginning, 0: nothing. Spans that were opened earlier have their true opening. */
u64 input__cut_ns(const struct input *in);

/* Tell of damage on standard error. EXIT_FAILED where bytes were skipped, so that what was read is not whole. */
int input__report(const struct input *in);

#endif
