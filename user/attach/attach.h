/* SPDX-License-Identifier: MIT */
/*
 * attach.h - the kernel side of a recording: load the BPF programs, arm and attach the sites of files, follow
 * processes, drain the rings, read idle pages. With ingest/ nothing else knows libbpf. See attach.c for the essay.
 *
 * Life: attach__new -> attach__add_file / attach__add_target ... -> (attach__poll, attach__idle_read ...)* -> attach__stop
 * -> attach__free. Not thread-safe. Everything the kernel holds goes with the process: a killed recorder leaves the
 * targets as they were.
 */
#ifndef TAPEBPF_ATTACH_H
#define TAPEBPF_ATTACH_H

#include "base/diag.h"
#include "elf/elf_file.h"
#include "attach/features.h"

struct attach;

struct attach_opts {
	size_t sz;
	const struct features *features; /* what the kernel can (features__probe); must outlive */
	size_t ring_bytes; /* per CPU, rounded up to a power of two and to the page size; 0: 8 MiB */
	u32 max_text;	   /* bytes of a foreign text argument; 0: 256; at most 4096 */
	bool immediate;	   /* tape.h sites through their own nops instead of the pages */
	bool follow;	   /* children by fork and exec, files mapped later */
	u32 max_pages;	   /* known thread pages; 0: 32768 */
	bool empty_pages;  /* idle reads hand out pages without a new record too, for the entries that are open in them */
};

int attach__new(const struct attach_opts *opts, struct attach **out, struct diag *d);
void attach__free(struct attach *a);

/* What arrives. Called from attach__poll and attach__stop, with ring records in the order of each ring. */
struct attach_ops {
	int (*ring)(void *ctx, const void *rec, size_t bytes);
	/* A target mapped an executable file (exec, ld.so, dlopen) that attach__add_file has not seen. path as the target
	 * sees it; NULL: mapping events were lost, look at all that this process maps. Only with follow. The callee opens it (through /proc/PID/root) and may call attach__add_file. */
	void (*mapped)(void *ctx, u32 pid, u64 addr, u64 file_offset, u64 dev, u64 ino, const char *path);
	void *ctx;
};
void attach__set_ops(struct attach *a, const struct attach_ops *ops);

/*
 * Attach a file's sites. module: the number that comes back as cookie of its pages' records; first_site: likewise, its
 * foreign sites get first_site + index. want: NULL = all sites; else want(ctx, file, foreign, index) says which. any: hits
 * from every process count and make it a target (-b), else only those of targets. pid: -1, or restrict the attachment
 * to this process (no follow): others are then not even armed.
 * path is opened by the kernel: /proc/PID/root/... works. Per-site results in f->site[].bad / f->tape_site[].bad.
 * Order inside: tape:* probes before the sites are armed. -ENOENT: the file went away. -EBUSY: another tracer holds a site
 * with another reference counter (the others are attached; the diag says which).
 */
struct attach_file_opts {
	size_t sz;
	u32 module, first_site;
	bool any;
	int pid;
	const char *path;
};
int attach__add_file(struct attach *a, struct elf_file *f, const struct attach_file_opts *opts, struct diag *d);

/* Processes whose records count. A process exec'ing this binary becomes a target (-b). */
int attach__add_target(struct attach *a, u32 pid, struct diag *d);
int attach__add_binary(struct attach *a, u64 dev, u64 ino);
/* Has it not ended? As the kernel's side knows it, whether or not a ring had room to tell. */
bool attach__is_target(struct attach *a, u32 pid);
/* How many are alive. Forgets those that have ended: to be called now and then while targets come and go. */
u32 attach__targets(struct attach *a, u64 now_ns);

/*
 * Late attach: walk the page list of the module in a process, register every page and read it, in this order. `page` is
 * called with each page as it was read. Call after attach__add_file. module_addr: run-time address of wire_module.
 */
int attach__adopt(struct attach *a, u32 pid, u32 module, u64 module_addr,
		  int (*page)(void *ctx, const struct wire_batch *b, size_t bytes), void *ctx);

/* Wait up to timeout_ms for a ring to fill or something to be mapped, then drain what the rings hold (bounded: what
 * was there at the call). Returns the number of ring records, or negative errno. drained_ns: everything emitted before
 * this CLOCK_MONOTONIC time has been passed to ops->ring. */
int attach__poll(struct attach *a, int timeout_ms, u64 *drained_ns);

/* Readable, this descriptor ends the waiting of attach__poll. It stays the caller's; closing it takes it out. */
int attach__watch(struct attach *a, int fd);

/*
 * The idle read, in the order that rule 2 of the batch path asks for: collect (reads the pages whose commit word moved
 * since the last time), then the caller drains the rings (attach__poll with 0), then apply hands each to ops->ring as a
 * WIRE_BATCH record with why IDLE.
 */
int attach__idle_collect(struct attach *a);
int attach__idle_apply(struct attach *a);

/* The kernel's loss marks: calls mark for each known page, with dead = true for orphans, which are then removed. */
int attach__marks(struct attach *a,
		  void (*mark)(void *ctx, const struct wire_page_val *v, u32 tid, bool dead), void *ctx);

/* Sum over CPUs; counter: enum wire_counter. */
void attach__counters(struct attach *a, u64 counter[WIRE_C_MAX]);

/* Read pages and rings once more, and detach. The end is when the pages have been read: what comes while probes are let go of is of after it, not
 * lost. The rings stay readable. */
int attach__stop(struct attach *a);

struct attach_stats {
	u32 sites_foreign, sites_tape, files;
	u64 ring_bytes_used, ring_bytes; /* now, over all CPUs */
	u64 missed;			 /* probe hits the kernel did not hand to BPF (recursion), where it tells */
	u64 bpf_run_ns, bpf_run_cnt;	 /* where kernel.bpf_stats_enabled is on */
};
void attach__stats(struct attach *a, struct attach_stats *st);

#endif
