/* SPDX-License-Identifier: MIT */
/*
 * bpf_harness.h - what the tests in this folder share: attach to this very program, run a function in a child, keep
 * what comes out of the rings, and check the numbers of pages for gaps.
 */
#ifndef BPF_HARNESS_H
#define BPF_HARNESS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/libbpf.h>
#include "attach/attach.h"
#include "base/clock.h"
#include "elf/elf_file.h"

struct kept {
	u8 *bytes;
	size_t used, cap;
	u32 cnt;
	u32 kind[16];
};

/* Numbers of a page's records that have been seen. */
struct seen_page {
	u64 id;
	u32 tid, pid;
	u64 cnt;     /* numbers 0 .. cnt-1 are tracked below */
	u64 highest; /* just past the highest number received */
	u8 *got;
	u64 marked; /* the kernel's mark */
	bool dead;
};

struct run {
	struct features f;
	struct attach *a;
	struct elf_file *elf;
	struct kept kept;
	struct seen_page page[64];
	u32 page_cnt;
	u64 mapped;
	char mapped_path[4096];
	/* The target's side of the truth; survives whatever kills it. */
	struct shared {
		volatile u32 go, ready, stop;
		volatile u64 emitted, other;
		volatile u32 tid;
	} *shared;
};

static inline int keep_record(void *ctx, const void *rec, size_t bytes)
{
	struct run *r = ctx;
	struct kept *k = &r->kept;
	const struct wire_head *h = rec;
	size_t need = k->used + 8 + ALIGN_UP(bytes, 8);

	if (need > k->cap) {
		k->cap = MAX(2 * k->cap, need);
		k->bytes = realloc(k->bytes, k->cap);
	}
	*(u64 *)(k->bytes + k->used) = bytes;
	memcpy(k->bytes + k->used + 8, rec, bytes);
	k->used = need;
	k->cnt++;
	k->kind[h->kind & 15]++;
	return 0;
}

/* Iterate: at starts with 0; NULL at the end. */
static inline const void *kept_next(const struct run *r, size_t *at, size_t *bytes)
{
	const void *rec;

	if (*at >= r->kept.used)
		return NULL;
	*bytes = *(u64 *)(r->kept.bytes + *at);
	rec = r->kept.bytes + *at + 8;
	*at += 8 + ALIGN_UP(*bytes, 8);
	return rec;
}

static inline const void *kept_find(const struct run *r, u32 kind, u32 nth)
{
	const struct wire_head *h;
	size_t at = 0, bytes;

	while ((h = kept_next(r, &at, &bytes)))
		if (h->kind == kind && !nth--)
			return h;
	return NULL;
}

static inline void on_mapped_file(void *ctx, u32 pid, u64 addr, u64 off, u64 dev, u64 ino, const char *path)
{
	struct run *r = ctx;

	(void)pid, (void)addr, (void)off, (void)dev, (void)ino;
	r->mapped++;
	snprintf(r->mapped_path, sizeof(r->mapped_path), "%s", path);
}

struct run_opts {
	size_t ring_bytes;
	u32 max_text;
	bool follow, immediate, any;
	const char *disable; /* TAPEBPF_DISABLE */
	void (*edit)(struct elf_file *f); /* before it is attached */
};

static inline void run__init(struct run *r, const struct run_opts *o)
{
	struct attach_ops ops = {.ring = keep_record, .mapped = on_mapped_file, .ctx = r};
	struct attach_opts ao = {
		.sz = sizeof(ao),
		.features = &r->f,
		.ring_bytes = o->ring_bytes,
		.max_text = o->max_text,
		.immediate = o->immediate,
		.follow = o->follow,
	};
	struct attach_file_opts fo = {.sz = sizeof(fo), .module = 7, .first_site = 100, .any = o->any, .pid = -1};
	struct diag d = {};
	int err;

	memset(r, 0, sizeof(*r));
	if (o->disable)
		setenv("TAPEBPF_DISABLE", o->disable, 1);
	assert_int_equal(features__probe(&r->f, &d), 0);
	unsetenv("TAPEBPF_DISABLE");
	r->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	err = elf_file__open("/proc/self/exe", NULL, &r->elf, &d);
	if (err)
		print_message("%s\n", d.text);
	assert_int_equal(err, 0);
	if (o->edit)
		o->edit(r->elf);
	err = attach__new(&ao, &r->a, &d);
	if (err)
		print_message("%s\n", d.text);
	assert_int_equal(err, 0);
	attach__set_ops(r->a, &ops);
	fo.path = "/proc/self/exe";
	err = attach__add_file(r->a, r->elf, &fo, &d);
	if (err)
		print_message("%s\n", d.text);
	assert_int_equal(err, 0);
}

static inline void run__done(struct run *r)
{
	u32 i;

	attach__free(r->a);
	elf_file__free(r->elf);
	for (i = 0; i < r->page_cnt; i++)
		free(r->page[i].got);
	free(r->kept.bytes);
	munmap(r->shared, 4096);
}

/* A child that waits until it has been made a target, then runs fn and ends with its result. */
static inline pid_t run__child(struct run *r, int (*fn)(struct run *r))
{
	pid_t pid = fork();

	if (!pid) {
		int sig;

		for (sig = 1; sig < 32; sig++) /* cmocka catches what a child is to die of */
			signal(sig, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!r->shared->go)
			usleep(100);
		_exit(fn(r));
	}
	assert_true(pid > 0);
	return pid;
}

static inline void run__target(struct run *r, pid_t pid)
{
	assert_int_equal(attach__add_target(r->a, pid, NULL), 0);
	r->shared->go = 1;
}

static inline void run__poll(struct run *r)
{
	u64 drained;

	assert_true(attach__poll(r->a, 0, &drained) >= 0);
	assert_true(drained > 0 && drained <= clock__mono_ns());
}

/* Wait for the child while draining; its status. */
static inline int run__wait(struct run *r, pid_t pid)
{
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		run__poll(r);
		usleep(500);
	}
	run__poll(r);
	return status;
}

static inline struct seen_page *run__page(struct run *r, u64 id)
{
	u32 i;

	for (i = 0; i < r->page_cnt; i++)
		if (r->page[i].id == id)
			return &r->page[i];
	assert_true(r->page_cnt < ARRAY_SIZE(r->page));
	r->page[r->page_cnt].id = id;
	return &r->page[r->page_cnt++];
}

static inline void page__saw(struct seen_page *p, u64 from, u64 to)
{
	if (to > p->cnt) {
		u64 cnt = MAX(2 * p->cnt, to + 1024);

		p->got = realloc(p->got, cnt);
		memset(p->got + p->cnt, 0, cnt - p->cnt);
		p->cnt = cnt;
	}
	memset(p->got + from, 1, to - from);
	p->highest = MAX(p->highest, to);
}

static inline void on_mark(void *ctx, const struct wire_page_val *v, u32 tid, bool dead)
{
	struct seen_page *p = run__page(ctx, v->id);

	p->marked = MAX(p->marked, v->seen);
	p->dead |= dead;
}

/* Note all batches; check each record's value against its number. */
static inline void run__batches(struct run *r)
{
	const struct wire_head *h;
	size_t at = 0, bytes;

	while ((h = kept_next(r, &at, &bytes))) {
		const struct wire_batch *b = (const void *)h;
		const struct wire_page *p = (const void *)(b + 1);
		const u32 *rec = (const void *)((const u8 *)p + WIRE_DATA);
		u64 first, i;

		if (h->kind != WIRE_BATCH)
			continue;
		assert_int_equal(bytes, h->bytes);
		assert_int_equal(p->magic, WIRE_PAGE_MAGIC);
		assert_int_equal(bytes, sizeof(*b) + WIRE_DATA + WIRE_COMMIT_LEN(p->commit));
		first = p->slot[WIRE_COMMIT_SEQ(p->commit) & 1].first;
		for (i = 0; i < WIRE_COMMIT_CNT(p->commit); i++)
			assert_int_equal(rec[4 * i + 3], (u32)(first + i));
		page__saw(run__page(r, p->id), first, first + WIRE_COMMIT_CNT(p->commit));
	}
}

static inline u64 page__received(const struct seen_page *p)
{
	u64 i, n = 0;

	for (i = 0; i < p->highest; i++)
		n += p->got[i];
	return n;
}

/* Records that arrived, over all pages; lost: those that numbers and marks say are missing. */
static inline u64 run__received(struct run *r, u64 *lost)
{
	u64 n = 0, got;
	u32 i;

	r->page_cnt = 0;
	run__batches(r);
	assert_true(attach__marks(r->a, on_mark, r) >= 0);
	*lost = 0;
	for (i = 0; i < r->page_cnt; i++) {
		got = page__received(&r->page[i]);
		n += got;
		*lost += MAX(r->page[i].highest, r->page[i].marked) - got;
	}
	return n;
}

static inline int need_root(void)
{
	if (geteuid() == 0)
		return 0;
	printf("skip - needs root: loads BPF programs\n");
	return 77;
}

#endif
