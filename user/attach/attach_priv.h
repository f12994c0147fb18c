/* SPDX-License-Identifier: MIT */
/* attach_priv.h - what the files of this room share. Nobody else includes it. */
#ifndef TAPEBPF_ATTACH_PRIV_H
#define TAPEBPF_ATTACH_PRIV_H

#include "attach/attach.h"
#include "attach/rings.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "../bpf/config.h"
#include "tapebpf.skel.h"

/* What the kernel holds for us, beyond programs and maps; dropped in reverse order. link: libbpf's, else NULL; fd: a perf
 * event, else -1. */
struct held {
	struct bpf_link *link;
	int fd;
	int prog_fd; /* a copy of a program, made for kernels without cookies; else -1 */
};

struct known_file {
	u64 dev, ino;
};

/* An entry of the map "pages" or "orphans". */
struct page_entry {
	u32 tid;
	struct wire_page_key key;      /* of "pages" */
	struct wire_orphan_key orphan; /* of "orphans" */
	struct wire_page_val val;
};

struct page_list {
	struct page_entry *entry; /* by process */
	int cnt;
	u32 generation; /* of pages_generation */
	bool known;
};

struct attach {
	bool stages; /* hits are gathered */
	struct attach_opts o;
	const struct features *f;
	struct attach_ops ops;
	struct tapebpf_bpf *skel;
	struct tapebpf_bpf *texts; /* the same object again, with the programs for texts; NULL: not needed so far */
	struct rings *rings;
	struct idle *idle;
	struct mmaps *mmaps;
	struct tracefs_event *events;
	int epoll_fd;
	u32 cpus;
	struct held *arm; /* what makes programs record: armed words, semaphores, ticks */
	u32 arm_cnt, arm_cap;
	struct held *probe; /* other probes on sites */
	u32 probe_cnt, probe_cap;
	struct held *hook; /* of tasks */
	u32 hook_cnt, hook_cap;
	struct wire_spec *spec; /* mirror of the map, to find equal ones */
	u32 spec_cnt;
	struct known_file *file;
	u32 file_cnt, file_cap;
	u32 sites_foreign, sites_tape;
	struct page_list pages;
	u32 orphans_generation; /* as of when all of them had been read */
	u64 let_go_ns; /* ended targets were looked at last */
	bool mapped; /* the last look at what was mapped found something of a target's */
	bool stopped;
};

/* held.c */
int held__add(struct held **list, u32 *cnt, u32 *cap, struct bpf_link *link, int fd, int prog_fd);
void held__drop(struct held **list, u32 *cnt, u32 *cap);

/* load.c */
int load__programs(struct attach *a, struct diag *d);
int load__texts(struct attach *a, struct diag *d);
int load__hooks(struct attach *a, struct diag *d);

/* files.c */
bool attach__knows_file(const struct attach *a, u64 dev, u64 ino);

/* perf_link.c: kernels without cookies. A perf event's descriptor with a copy of the program for this cookie (its
 * descriptor in *prog_fd), or negative errno. */
int perf_link__attach(struct bpf_program *prog, const char *path, int pid, u64 offset, u64 ref_ctr, u64 cookie,
		      int *prog_fd);

/* page_map.c. All return the number of entries, or negative errno. */
int pages__list(struct attach *a); /* a->pages; marks may be of earlier */
int pages__marks(struct attach *a); /* a->pages with the marks of now */
/* malloc'ed, NULL: none. 0 without a look where none has come since a->orphans_generation, which the caller sets to *generation once all
 * have been told and deleted. */
int pages__orphans(struct attach *a, struct page_entry **out, u32 *generation);
void pages__changed(struct attach *a); /* the caller has changed the map "pages" */

/* idle.c */
struct idle;
struct idle *idle__new(void);
void idle__free(struct idle *i);
/* One iovec list against a process; how many of the cnt pieces came whole. Skips over unreadable ones: got[i] says. */
int remote__read(u32 pid, void **dst, const u64 *src, const u32 *bytes, u8 *got, u32 cnt);

/* mmaps.c */
struct mmaps;
int mmaps__new(struct mmaps **out);
void mmaps__free(struct mmaps *m);
/* From now on mmaps__wait waits for what epoll_fd, which stays the caller's, waits for too. */
int mmaps__watch(struct mmaps *m, int epoll_fd);
/* 1: epoll_fd is ready; 0: it is not (*mapped: but something was mapped); -1: errno. */
int mmaps__wait(struct mmaps *m, int timeout_ms, bool *mapped);
/* false: the process is no target. */
typedef bool (*mmaps_fn)(void *ctx, u32 pid, u64 addr, u64 offset, u64 dev, u64 ino, const char *path);
/* true: the kernel had no room for some; look at the targets' maps instead. */
bool mmaps__drain(struct mmaps *m, mmaps_fn fn, void *ctx);

#endif
