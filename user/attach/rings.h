/* SPDX-License-Identifier: MIT */
/* rings.h - the consumer of the per-CPU BPF ring buffers. */
#ifndef TAPEBPF_RINGS_H
#define TAPEBPF_RINGS_H

#include "attach/stage.h"

struct rings;

typedef int (*rings_fn)(void *ctx, const void *rec, size_t bytes);

/* Make a ring for each possible CPU (of `bytes` bytes, a power of two, for those that are online) and put them into
 * the map of maps. */
int rings__new(int outer_fd, u32 cpus, size_t bytes, struct rings **out);

/* Hits are gathered before they come into the rings: from now on each drain has them moved first. `s` becomes the rings' own. */
void rings__stages(struct rings *r, struct stages *s);
void rings__free(struct rings *r);

/* An epoll descriptor that becomes readable when the kernel side wakes the consumer. */
int rings__epoll(struct rings *r);

/*
 * Hand every record to fn that was in the rings at the call, ring by ring. fn's negative value ends it. Returns the
 * number of records. drained_ns (may be NULL): every record emitted before this CLOCK_MONOTONIC time has been handed
 * out, now or before. blocked (may be NULL): a record was reserved but not complete.
 */
int rings__drain(struct rings *r, rings_fn fn, void *ctx, u64 *drained_ns, bool *blocked);

/* Bytes waiting, and size, over all rings. */
void rings__fill(const struct rings *r, u64 *used, u64 *size);

#endif
