/* SPDX-License-Identifier: MIT */
/* amount.h - values of stacks as people read them. */
#ifndef TAPEBPF_AMOUNT_H
#define TAPEBPF_AMOUNT_H

#include "base/util.h"

enum amount_unit { AMOUNT_NS, AMOUNT_US, AMOUNT_COUNT };

/* "1.53 ms", "12 us"; counts "12,345 WORD". Returns dst. */
char *amount__show(char *dst, size_t dst_bytes, u64 value, enum amount_unit unit, const char *word);

#endif
