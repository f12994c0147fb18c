/* SPDX-License-Identifier: MIT */
/*
 * arg.h - the pure part of reading a foreign probe's arguments. Also built for the host, where unit tests run it.
 */
#ifndef TAPEBPF_ARG_H
#define TAPEBPF_ARG_H

#include "tapebpf/wire.h"

/* Sizes that a note can have: 1, 2, 4, 8, negative if signed. The recorder lets no other into a spec. */
static inline __attribute__((always_inline)) int arg__size_ok(__s8 size)
{
	int n = size < 0 ? -size : size;

	return n == 1 || n == 2 || n == 4 || n == 8;
}

/* Bytes of an operand. Without branches: this is in the path of every argument. */
static inline __attribute__((always_inline)) __u32 arg__bytes(__s8 size)
{
	__s32 sign = size >> 7;

	return (size ^ sign) - sign;
}

/* Cut a value to its size and extend it to 64 bits as its sign says. */
static inline __attribute__((always_inline)) __u64 arg__extend(__u64 v, __s8 size)
{
	__u32 shift = (64 - 8 * arg__bytes(size)) & 63;

	return size < 0 ? (__u64)((__s64)(v << shift) >> shift) : v << shift >> shift;
}

/* How many bytes of a text with a length argument to store. The length may be negative (an int argument). */
static inline __attribute__((always_inline)) __u32 arg__text_len(__u64 len, __s8 len_size, __u32 max)
{
	if (len_size < 0 && (__s64)len < 0)
		return 0;
	return len > max ? max : (__u32)len;
}

/* Does the operand live on the stack, where a page is always present at a hit? */
static inline __attribute__((always_inline)) int arg__may_fault(const struct wire_arg *a, __u16 sp_reg)
{
	if (a->text)
		return 1;
	if (a->kind == WIRE_ARG_MEM)
		return a->reg != sp_reg;
	return a->kind == WIRE_ARG_SIB || a->kind == WIRE_ARG_IP;
}

#endif
