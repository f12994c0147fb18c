/* SPDX-License-Identifier: MIT */
/*
 * sig.h - `--sig 'shop:order__begin(u64 id, str path, str body:len, i32 len)'`: names and types for the arguments of a
 * foreign probe.
 *
 * Grammar (blanks free, `#` starts a comment in a file, one signature a line):
 *	sig   = provider ":" probe "(" [ param { "," param } ] ")"
 *	param = type name [ ":" lenparam ]
 *	type  = bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 ptr str bytes error | "_" (leave this argument out)
 * `str name` is NUL-terminated, `str name:len` takes its length from the parameter `len` (any place in the list), which
 * is then a field as well unless its type is `_`. provider and probe may hold * and ? wildcards.
 */
#ifndef TAPEBPF_SIG_H
#define TAPEBPF_SIG_H

#include "base/diag.h"
#include "base/util.h"
#include "tapebpf/wire.h"

struct sig_param {
	char *name;
	u8 type;      /* enum wire_type; meaningless if skip */
	bool skip;    /* "_" */
	s8 size;      /* bytes of an integer, negative if signed; 0 for ptr, texts: as the note says */
	s32 len_param; /* index of the length parameter, -1: none */
};

struct sig {
	char *provider, *probe;
	u32 param_cnt;
	struct sig_param param[WIRE_MAX_ARGS];
};

struct sig_set;
struct sig_set *sig_set__new(void);
void sig_set__free(struct sig_set *s);
/* Parse one signature, or a file of them (text that starts with '@', or sig_set__add_file). The diag names the column
 * (and file and line). */
int sig_set__add(struct sig_set *s, const char *text, struct diag *d);
int sig_set__add_file(struct sig_set *s, const char *path, struct diag *d);
/* The i-th of them as text that sig_set__add takes, into dst, NUL-terminated. Its length; 0: there are no more, or it does not fit. */
size_t sig_set__text(const struct sig_set *s, u32 i, char *dst, size_t bytes);
/* The last signature that matches, or NULL. */
const struct sig *sig_set__find(const struct sig_set *s, const char *provider, const char *probe);
/* For a walk over all: 0 <= i < cnt. A NULL set has none. */
u32 sig_set__cnt(const struct sig_set *s);
const struct sig *sig_set__at(const struct sig_set *s, u32 i);
bool sig__fits(const struct sig *sig, const char *provider, const char *probe);
/* Lay a signature over the argument specs of a site: text kinds, sizes and signs. Arguments without a parameter keep
 * what the note says. */
void sig__apply(const struct sig *sig, u32 arg_cnt, struct wire_arg *arg);

#endif
