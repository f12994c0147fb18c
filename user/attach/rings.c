/* SPDX-License-Identifier: MIT */
/*
 * rings.c - own consumer instead of libbpf's ring_buffer, for three reasons:
 *
 * A drain has to be bounded. libbpf consumes until a ring is empty; with eight threads that fill it as fast as it is
 * read that never returned (5 s were seen). Here a drain goes up to the producer position that was read first.
 *
 * A drain has to say up to what time it is complete. Programs take a record's time after its reservation, so a record
 * behind the producer position has a later time than that of the reading. A record that is reserved and not
 * complete (its program was preempted, or waits for a page) stops its ring: then the ring is complete up to the
 * time of the last reading whose position lies before that record.
 *
 * Hits that were gathered (bpf/stage.bpf.h) come into the ring as one record, here taken apart, and are moved there before its
 * producer position is read. Where the stage is taken at that moment, the ring says nothing new about the time.
 *
 * A drain has to keep the rings in step. One ring after the other means that what a thread left in the second before it
 * came to the CPU of the first arrives a whole ring late: ingest would have to hold as much. So it goes by slices of
 * time: from each ring what is older than the end of the slice.
 */
#include "attach/rings.h"
#include "base/clock.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include "tapebpf/wire.h"

#define OFFLINE_BYTES 16384 /* for CPUs that are not there now; they may come, and lose visibly if they trace a lot */
#define SLICE_NS NSEC_PER_MSEC
#define GIVE_BACK_BYTES (256 << 10) /* tell the kernel about free space at least so often during a drain */

struct ring {
	int fd;
	size_t bytes;
	u64 *consumer;	     /* page we write */
	const u64 *producer; /* page the kernel writes */
	const u8 *data;	     /* mapped twice in a row, so that no record wraps */
	u64 pos;	     /* our copy of *consumer */
	u64 given;	     /* *consumer */
	u64 target;	     /* producer position at the start of this drain */
	u64 next_ns;	     /* time of the record at pos; ~0: none up to target that is complete */
	u64 last_producer;   /* as read at the last drain, at last_ns */
	u64 last_ns;
	u64 done_ns;
	bool staged; /* at this drain: there may be more in the stage */
};

struct rings {
	u32 cnt;
	int epoll_fd;
	struct stages *stages;
	struct ring ring[];
};

static int ring__map(struct ring *r)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	r->consumer = p;
	p = mmap(NULL, page + 2 * r->bytes, PROT_READ, MAP_SHARED, r->fd, page);
	if (p == MAP_FAILED)
		return -errno;
	r->producer = p;
	r->data = (const u8 *)p + page;
	return 0;
}

static void ring__unmap(struct ring *r)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (r->consumer)
		munmap(r->consumer, page);
	if (r->producer)
		munmap((void *)r->producer, page + 2 * r->bytes);
	if (r->fd >= 0)
		close(r->fd);
}

static int ring__init(struct ring *r, int outer_fd, int epoll_fd, u32 cpu, size_t bytes)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = cpu};
	int err;

	r->bytes = bytes;
	r->last_ns = r->done_ns = clock__mono_ns(); /* nothing was emitted into it before */
	r->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "tape_ring", 0, 0, bytes, NULL);
	if (r->fd < 0)
		return r->fd;
	err = ring__map(r);
	if (err)
		return err;
	if (bpf_map_update_elem(outer_fd, &cpu, &r->fd, BPF_ANY))
		return -errno;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, r->fd, &ev))
		return -errno;
	return 0;
}

/* CPUs that are online, as "0-1,4": a bit each in a byte array. Unreadable: all. */
static void online_cpus(u8 *online, u32 cpus)
{
	FILE *f = fopen("/sys/devices/system/cpu/online", "re");
	unsigned int from, to;
	char sep;

	if (!f) {
		memset(online, 1, cpus);
		return;
	}
	while (fscanf(f, "%u", &from) == 1) {
		to = from;
		sep = '\0';
		if (fscanf(f, "%c", &sep) == 1 && sep == '-' && fscanf(f, "%u%c", &to, &sep) < 1)
			break;
		for (; from <= to && from < cpus; from++)
			online[from] = 1;
		if (sep != ',')
			break;
	}
	fclose(f);
}

int rings__new(int outer_fd, u32 cpus, size_t bytes, struct rings **out)
{
	struct rings *r = calloc(1, sizeof(*r) + cpus * sizeof(r->ring[0]));
	__free_ptr u8 *online = calloc(1, cpus);
	int err = -ENOMEM;
	u32 i;

	if (!r || !online)
		goto fail;
	for (i = 0; i < cpus; i++)
		r->ring[i].fd = -1;
	r->cnt = cpus;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	err = r->epoll_fd < 0 ? -errno : 0;
	online_cpus(online, cpus);
	for (i = 0; i < cpus && !err; i++)
		err = ring__init(&r->ring[i], outer_fd, r->epoll_fd, i, online[i] ? bytes : MIN(bytes, OFFLINE_BYTES));
	if (!err) {
		*out = r;
		return 0;
	}
fail:
	rings__free(r);
	return err;
}

void rings__free(struct rings *r)
{
	u32 i;

	if (!r)
		return;
	stages__free(r->stages);
	for (i = 0; i < r->cnt; i++)
		ring__unmap(&r->ring[i]);
	if (r->cnt && r->epoll_fd >= 0)
		close(r->epoll_fd);
	free(r);
}

void rings__stages(struct rings *r, struct stages *s)
{
	r->stages = s;
}

int rings__epoll(struct rings *r)
{
	return r->epoll_fd;
}

static void ring__give_back(struct ring *r)
{
	if (r->given == r->pos)
		return;
	__atomic_store_n(r->consumer, r->pos, __ATOMIC_RELEASE);
	r->given = r->pos;
}

static u64 step(u32 len)
{
	return ALIGN_UP((u64)(len & ~BPF_RINGBUF_DISCARD_BIT) + BPF_RINGBUF_HDR_SZ, 8);
}

/* The record at pos, or NULL: none up to target, or it is not complete. What was discarded is passed over. */
static const struct wire_head *ring__peek(struct ring *r, u32 *len)
{
	while (r->pos < r->target) {
		const u8 *hdr = r->data + (r->pos & (r->bytes - 1));

		*len = __atomic_load_n((const u32 *)hdr, __ATOMIC_ACQUIRE);
		if (*len & BPF_RINGBUF_BUSY_BIT)
			return NULL;
		if (!(*len & BPF_RINGBUF_DISCARD_BIT) && *len >= sizeof(struct wire_head))
			return (const void *)(hdr + BPF_RINGBUF_HDR_SZ);
		r->pos += step(*len);
	}
	return NULL;
}

/* One ring record of gathered hits. */
static int hits__each(const struct wire_head *all, u32 len, rings_fn fn, void *ctx)
{
	const u8 *at = (const u8 *)(all + 1), *end = (const u8 *)all + MIN(all->bytes, len);
	int n = 0, err;

	while (end - at >= (ptrdiff_t)sizeof(struct wire_head)) {
		const struct wire_head *h = (const void *)at;

		if (h->bytes < sizeof(*h) || h->bytes > (size_t)(end - at))
			return -EBADMSG; /* our own program wrote it */
		err = fn(ctx, h, h->bytes);
		if (err < 0)
			return err;
		at += h->bytes;
		n++;
	}
	return n;
}

static int ring__hand_out(const struct wire_head *h, u32 len, rings_fn fn, void *ctx)
{
	int err;

	if (h->kind == WIRE_HITS)
		return hits__each(h, len, fn, ctx);
	err = fn(ctx, h, h->bytes >= sizeof(*h) && h->bytes <= len ? h->bytes : len);
	return err < 0 ? err : 1;
}

/* Hand out what is not younger than `until`. */
static int ring__slice(struct ring *r, u64 until, rings_fn fn, void *ctx)
{
	const struct wire_head *h;
	int n = 0, err;
	u32 len;

	while ((h = ring__peek(r, &len)) && h->time_ns <= until) {
		err = ring__hand_out(h, len, fn, ctx);
		r->pos += step(len);
		if (r->pos - r->given >= GIVE_BACK_BYTES)
			ring__give_back(r);
		if (err < 0)
			return err;
		n += err;
	}
	r->next_ns = h ? h->time_ns : ~0ULL;
	return n;
}

/* Returns the time of the oldest record. */
static u64 rings__start(struct rings *r)
{
	u64 oldest = ~0ULL;
	u32 i, len;

	for (i = 0; i < r->cnt; i++) {
		struct ring *ring = &r->ring[i];
		const struct wire_head *h;

		ring->staged = !stages__move(r->stages, i);
		ring->target = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
		h = ring__peek(ring, &len);
		ring->next_ns = h ? h->time_ns : ~0ULL;
		oldest = MIN(oldest, ring->next_ns);
	}
	return oldest;
}

static void ring__done(struct ring *r, u64 now)
{
	ring__give_back(r);
	if (r->staged)
		return;
	if (r->pos >= r->target)
		r->done_ns = now;
	else if (r->pos >= r->last_producer)
		r->done_ns = r->last_ns;
	r->last_producer = r->target;
	r->last_ns = now;
}

static int rings__slices(struct rings *r, rings_fn fn, void *ctx)
{
	u64 next, oldest = rings__start(r);
	int n = 0, ret;
	u32 i;

	while (oldest != ~0ULL) {
		for (next = ~0ULL, i = 0; i < r->cnt; i++) {
			struct ring *ring = &r->ring[i];

			if (ring->next_ns != ~0ULL && ring->next_ns <= oldest + SLICE_NS) {
				ret = ring__slice(ring, oldest + SLICE_NS, fn, ctx);
				if (ret < 0)
					return ret;
				n += ret;
			}
			next = MIN(next, ring->next_ns);
		}
		oldest = next;
	}
	return n;
}

int rings__drain(struct rings *r, rings_fn fn, void *ctx, u64 *drained_ns, bool *blocked)
{
	u64 now = clock__mono_ns(); /* before any producer position is read */
	u64 done = now;
	int n = rings__slices(r, fn, ctx);
	u32 i;

	for (i = 0; i < r->cnt; i++) {
		if (n < 0) {
			ring__give_back(&r->ring[i]);
			continue;
		}
		ring__done(&r->ring[i], now);
		done = MIN(done, r->ring[i].done_ns);
	}
	if (n < 0)
		return n;
	if (drained_ns)
		*drained_ns = done;
	if (blocked)
		*blocked = done < now;
	return n;
}

void rings__fill(const struct rings *r, u64 *used, u64 *size)
{
	u32 i;

	*used = 0;
	*size = 0;
	for (i = 0; i < r->cnt; i++) {
		*used += __atomic_load_n(r->ring[i].producer, __ATOMIC_RELAXED) - r->ring[i].pos;
		*size += r->ring[i].bytes;
	}
}
