/* SPDX-License-Identifier: MIT */
/* stream_copy.h - memcpy for what will not be read again soon. Essay in stream_copy.c. */
#ifndef TAPEBPF_BASE_STREAM_COPY_H
#define TAPEBPF_BASE_STREAM_COPY_H

#include "base/util.h"

#define STREAM_COPY_MIN_BYTES 512 /* less is copied as memcpy does it */

/*
 * As memcpy: src and dst do not overlap. This thread and, should it be killed, whoever finds the memory afterwards see its stores in
 * their order; another thread that is to read them must be told behind a stream_copy__fence().
 */
void stream_copy(void *dst, const void *src, size_t bytes);
void stream_copy__fence(void);

/* The ways that this machine knows, for tests; 0 is memcpy. false: there is no such way here. */
#define STREAM_COPY_WAYS 3
bool stream_copy__by(u32 way, void *dst, const void *src, size_t bytes);

#endif
