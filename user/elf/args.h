/* SPDX-License-Identifier: MIT */
/*
 * args.h - the argument strings of stapsdt notes, compiled to struct wire_arg.
 *
 * Pure: knows no file. The strings are what the compiler printed for an asm operand, so the grammar is that of the
 * architecture's assembler; see args.c for the forms that are understood.
 */
#ifndef TAPEBPF_ARGS_H
#define TAPEBPF_ARGS_H

#include "base/util.h"
#include "tapebpf/wire.h"

struct args_env {
	u16 machine;  /* EM_X86_64, EM_AARCH64 */
	bool fixed;   /* link addresses are run-time addresses (ET_EXEC) */
	u64 location; /* link address of the probe */
	/* Link address of a symbol that is unique in the file: 0, or -ENOENT. May be NULL: no symbols. */
	int (*symbol)(void *ctx, const char *name, size_t bytes, u64 *value);
	void *ctx;
};

struct args_text {
	const char *s;
	u32 bytes;
};

/* Cut an argument string into arguments. Returns how many there are, of which at most WIRE_MAX_ARGS are stored. */
u32 args__split(const char *args, struct args_text out[WIRE_MAX_ARGS]);

/* Compile one argument. What cannot be read by BPF gets kind WIRE_ARG_NONE, and its size where the note has one. */
void args__parse(const struct args_env *env, const char *s, u32 bytes, struct wire_arg *arg);

/* A value as an argument of this size holds it: cut to |size| bytes, sign- or zero-extended. */
s64 args__extend(s64 value, s8 size);

#endif
