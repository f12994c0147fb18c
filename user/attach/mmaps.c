/* SPDX-License-Identifier: MIT */
/*
 * mmaps.c - files that processes map for execution, as they map them: exec, ld.so, dlopen. MMAP2 records of a software
 * event that never fires, on every CPU. It needs no kprobe and no polling, and works wherever perf events do.
 */
#include "attach/attach_priv.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define RING_PAGES 32 /* of 4 KiB; a record is 80 bytes and a path */

struct mmap_ring {
	int fd;
	struct perf_event_mmap_page *page;
};

struct mmaps {
	int epoll_fd; /* of the rings, and of whatever else is waited for (others_fd) */
	int others_fd;
	u32 cnt;
	size_t bytes; /* of a ring's data */
	struct mmap_ring ring[];
};

struct mmap2 {
	struct perf_event_header header;
	u32 pid, tid;
	u64 addr, len, pgoff;
	u32 maj, min;
	u64 ino, ino_generation;
	u32 prot, flags;
	char filename[4096];
};

static int ring__open(struct mmap_ring *r, int cpu, size_t bytes)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.watermark = 1,
		.wakeup_watermark = 1,
		.exclude_kernel = 1,
	};

	r->fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	r->page = mmap(NULL, bytes + sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->page == MAP_FAILED) {
		r->page = NULL;
		return -errno;
	}
	return 0;
}

int mmaps__new(struct mmaps **out)
{
	int cpus = libbpf_num_possible_cpus(), cpu, err = 0;
	struct mmaps *m;

	if (cpus < 0)
		return cpus;
	m = calloc(1, sizeof(*m) + cpus * sizeof(m->ring[0]));
	if (!m)
		return -ENOMEM;
	m->bytes = RING_PAGES * sysconf(_SC_PAGESIZE);
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll_fd < 0)
		err = -errno;
	for (cpu = 0; cpu < cpus && !err; cpu++) {
		err = ring__open(&m->ring[m->cnt++], cpu, m->bytes);
		if (err == -ENODEV) { /* possible, not online */
			m->cnt--;
			err = 0;
		}
	}
	if (err) {
		mmaps__free(m);
		return err;
	}
	*out = m;
	return 0;
}

void mmaps__free(struct mmaps *m)
{
	u32 i;

	if (!m)
		return;
	for (i = 0; i < m->cnt; i++) {
		if (m->ring[i].page)
			munmap(m->ring[i].page, m->bytes + sysconf(_SC_PAGESIZE));
		if (m->ring[i].fd >= 0)
			close(m->ring[i].fd);
	}
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	free(m);
}

int mmaps__watch(struct mmaps *m, int epoll_fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = epoll_fd};
	u32 i;

	m->others_fd = epoll_fd;
	if (epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, epoll_fd, &ev))
		return -errno;
	for (i = 0; i < m->cnt; i++) {
		ev.data.fd = m->ring[i].fd;
		if (epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->ring[i].fd, &ev))
			return -errno;
	}
	return 0;
}

int mmaps__wait(struct mmaps *m, int timeout_ms, bool *mapped)
{
	struct epoll_event ev[8];
	int n = epoll_wait(m->epoll_fd, ev, ARRAY_SIZE(ev), timeout_ms), i;

	*mapped = n > 0;
	for (i = 0; i < n; i++)
		if (ev[i].data.fd == m->others_fd)
			return 1;
	return MIN(n, 0);
}

/* Copy out of the ring, which may wrap inside a record. */
static void copy_out(const struct mmap_ring *r, size_t size, u64 at, void *dst, size_t bytes)
{
	const u8 *data = (const u8 *)r->page + r->page->data_offset;
	size_t off = at & (size - 1), head = MIN(bytes, size - off);

	memcpy(dst, data + off, head);
	memcpy((u8 *)dst + head, data, bytes - head);
}

static bool on_mmap2(const struct mmap2 *m, mmaps_fn fn, void *ctx)
{
	if (m->header.type != PERF_RECORD_MMAP2 || !m->ino || m->filename[0] != '/')
		return true; /* lost records, anonymous memory, [vdso] */
	return fn(ctx, m->pid, m->addr, m->pgoff, makedev(m->maj, m->min), m->ino, m->filename);
}

bool mmaps__drain(struct mmaps *m, mmaps_fn fn, void *ctx)
{
	struct mmap2 rec;
	bool lost = false;
	u64 head, tail;
	size_t bytes;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		struct mmap_ring *r = &m->ring[i];
		u32 stranger = 0; /* asked for after all up to head was written: what it maps in there is all of before it may be a target */

		head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
		/* a lost record is told with the next one that has room: where none comes, that there was no room is all that tells */
		lost |= head - r->page->data_tail > m->bytes - sizeof(rec);
		for (tail = r->page->data_tail; tail < head; tail += rec.header.size) {
			copy_out(r, m->bytes, tail, &rec.header, sizeof(rec.header));
			if (!rec.header.size)
				break;
			bytes = MIN((size_t)rec.header.size, sizeof(rec) - 1);
			copy_out(r, m->bytes, tail, &rec, bytes);
			((char *)&rec)[bytes] = '\0';
			lost |= rec.header.type == PERF_RECORD_LOST;
			if (bytes > offsetof(struct mmap2, filename) && rec.pid != stranger && !on_mmap2(&rec, fn, ctx))
				stranger = rec.pid;
		}
		__atomic_store_n(&r->page->data_tail, head, __ATOMIC_RELEASE);
	}
	return lost;
}
