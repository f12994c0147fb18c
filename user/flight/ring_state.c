/* SPDX-License-Identifier: MIT */
#include "flight/ring_state.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

struct ring_state_file {
	u8 *map;
	u64 seq;
};

struct ring_state_file *ring_state__open(int fd)
{
	struct ring_state_file *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return NULL;
	do
		err = posix_fallocate(fd, 0, 2 * RING_STATE_COPY); /* a full disk is an error now, and not SIGBUS later */
	while (err == EINTR);
	f->map = err ? MAP_FAILED : mmap(NULL, 2 * RING_STATE_COPY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (f->map != MAP_FAILED)
		return f;
	free(f);
	errno = err ? err : errno;
	return NULL;
}

static u32 crc_of(const struct ring_state *s)
{
	return crc32c(0, s, offsetof(struct ring_state, crc));
}

void ring_state__put(struct ring_state_file *f, struct ring_state *s)
{
	s->magic = RING_STATE_MAGIC;
	s->version = RING_DIR_VERSION;
	s->seq = ++f->seq;
	s->crc = crc_of(s);
	memcpy(f->map + (s->seq & 1) * RING_STATE_COPY, s, sizeof(*s));
	/* this copy is whole before the next call begins to change the other */
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void ring_state__close(struct ring_state_file *f)
{
	if (!f)
		return;
	munmap(f->map, 2 * RING_STATE_COPY);
	free(f);
}

int ring_state__read(struct ring_state *s, const void *data, size_t bytes)
{
	struct ring_state c;
	int whole = 0;

	memset(s, 0, sizeof(*s));
	for (size_t at = 0; at < 2 * RING_STATE_COPY && at + sizeof(c) <= bytes; at += RING_STATE_COPY) {
		memcpy(&c, (const u8 *)data + at, sizeof(c));
		if (c.magic != RING_STATE_MAGIC || c.crc != crc_of(&c))
			continue;
		whole++;
		if (c.seq > s->seq)
			*s = c;
	}
	return whole;
}

static u32 seal_crc(const struct gen_seal *s)
{
	return crc32c(0, s, offsetof(struct gen_seal, crc));
}

void gen_seal__close(struct gen_seal *s)
{
	s->crc = seal_crc(s);
}

bool gen_seal__is_whole(const struct gen_seal *s)
{
	return s->no && s->crc == seal_crc(s) && !(s->start_ns >> 62) && !(s->end_ns >> 62);
}

void gen_link__make(struct gen_link *l, const struct gen_seal *prev)
{
	*l = (struct gen_link){ .magic = GEN_LINK_MAGIC, .version = RING_DIR_VERSION, .prev = *prev };
	l->crc = crc32c(0, &l->prev, sizeof(l->prev));
}

bool gen_link__is_whole(const struct gen_link *l)
{
	return l->magic == GEN_LINK_MAGIC && l->crc == crc32c(0, &l->prev, sizeof(l->prev)) && !(l->prev.start_ns >> 62) &&
	       !(l->prev.end_ns >> 62);
}
