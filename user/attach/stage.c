/* SPDX-License-Identifier: MIT */
/* stage.c - the recorder's side of stages: is there anything, and have it moved. What it looks at is only `busy` and `used`. */
#include "attach/stage.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/mman.h>
#include "../bpf/config.h"

struct stages {
	const struct stage *stage; /* the map's memory */
	size_t bytes;
	u32 cpus;
	int prog_fd;
};

int stages__new(int map_fd, int prog_fd, u32 cpus, struct stages **out)
{
	size_t page = sysconf(_SC_PAGESIZE), bytes = ALIGN_UP(cpus * sizeof(struct stage), page);
	struct stages *s = calloc(1, sizeof(*s));
	void *map;

	if (!s)
		return -ENOMEM;
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, map_fd, 0);
	if (map == MAP_FAILED) {
		free(s);
		return -errno;
	}
	s->stage = map;
	s->bytes = bytes;
	s->cpus = cpus;
	s->prog_fd = prog_fd;
	*out = s;
	return 0;
}

void stages__free(struct stages *s)
{
	if (!s)
		return;
	munmap((void *)s->stage, s->bytes);
	free(s);
}

bool stages__move(struct stages *s, u32 cpu)
{
	u64 ctx[1] = { cpu };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = sizeof(ctx));

	if (!s || cpu >= s->cpus)
		return true;
	/* busy first: a hit that it no longer speaks of shows in used */
	if (!__atomic_load_n(&s->stage[cpu].busy, __ATOMIC_ACQUIRE) &&
	    !__atomic_load_n(&s->stage[cpu].used, __ATOMIC_ACQUIRE))
		return true;
	return !bpf_prog_test_run_opts(s->prog_fd, &opts) && !opts.retval;
}
