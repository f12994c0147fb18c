/* SPDX-License-Identifier: MIT */
/* util.h - the handful of words that every room uses. */
#ifndef TAPEBPF_UTIL_H
#define TAPEBPF_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a) (((x) + (a) - 1) / (a) * (a))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL

/* Released when the variable goes out of scope. */
#define __free_ptr __attribute__((cleanup(util__free_ptr)))
#define __close_fd __attribute__((cleanup(util__close_fd)))

static inline void util__free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void util__close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
