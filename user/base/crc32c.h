/* SPDX-License-Identifier: MIT */
/* crc32c.h - CRC-32C (Castagnoli), by the processor's own instruction where it has one. */
#ifndef TAPEBPF_CRC32C_H
#define TAPEBPF_CRC32C_H

#include "base/util.h"

/* Carry on from `crc`, 0 at the start: crc32c(crc32c(0, a), b) is that of a followed by b. */
u32 crc32c(u32 crc, const void *data, size_t bytes);

/* The same without the instruction; for the test. */
u32 crc32c__portable(u32 crc, const void *data, size_t bytes);

/* Likewise: the ways in which crc32c may go, from 0 on, slowest first. NULL: this processor does not know it. */
#define CRC32C_WAYS 3
typedef u32 (*crc32c_fn)(u32 crc, const void *data, size_t bytes);
crc32c_fn crc32c__way(u32 way);

#endif
