/* SPDX-License-Identifier: MIT */
/*
 * adopt.c - late attach: the pages that a process's threads have made before we came.
 *
 * Order: the probes are attached already, so a page made from now on announces itself. The module's list is walked, each
 * page is put into the map (not over an entry that an announcement has made: that page's records are all ours) and
 * read after that. A thread that dies between both is drained by the kernel or was read: nothing falls between.
 */
#include "attach/attach_priv.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "../bpf/page.h"

#define MAX_PAGES 1000000 /* a list that is longer is a loop that the target made */

static int remote__one(u32 pid, void *dst, u64 src, u32 bytes)
{
	u8 got;
	int ret = remote__read(pid, &dst, &src, &bytes, &got, 1);

	return ret < 0 ? ret : ret ? 0 : -EFAULT;
}

/* Threads of a process: our tid for the tid that its own namespace uses. */
struct tids {
	u32 cnt;
	struct {
		u32 tid, ns_tid;
	} t[];
};

static u32 ns_tid_of(u32 pid, u32 tid)
{
	char path[64], line[256], *p;
	u32 ns_tid = tid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/status", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "NSpid:", 6))
			continue;
		p = strrchr(line, '\t'); /* the innermost is the last */
		ns_tid = p ? strtoul(p + 1, NULL, 10) : tid;
		break;
	}
	fclose(f);
	return ns_tid;
}

/* The same pid namespace as ours? Then there is nothing to translate. */
static bool same_pid_ns(u32 pid)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/ns/pid", pid);
	return !stat("/proc/self/ns/pid", &ours) && !stat(path, &theirs) && ours.st_ino == theirs.st_ino;
}

static struct tids *tids__read(u32 pid)
{
	struct tids *t = calloc(1, sizeof(*t)), *bigger;
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	dir = t ? opendir(path) : NULL;
	if (!dir) {
		free(t);
		return NULL;
	}
	while ((d = readdir(dir))) {
		u32 tid = strtoul(d->d_name, NULL, 10);

		if (!tid)
			continue;
		if (!(t->cnt & (t->cnt - 1))) { /* grow at powers of two */
			bigger = realloc(t, sizeof(*t) + MAX(1U, 2 * t->cnt) * sizeof(t->t[0]));
			if (!bigger)
				break;
			t = bigger;
		}
		t->t[t->cnt].tid = tid;
		t->t[t->cnt++].ns_tid = ns_tid_of(pid, tid);
	}
	closedir(dir);
	return t;
}

static u32 tid__outside(u32 pid, const struct tids *t, u32 ns_tid)
{
	u32 i;

	if (!t)
		return ns_tid;
	for (i = 0; i < t->cnt; i++)
		if (t->t[i].ns_tid == ns_tid)
			return t->t[i].tid;
	return 0;
}

static bool thread__alive(u32 pid, u32 tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/task/%u", pid, tid);
	return !access(path, F_OK);
}

/* 1: inserted; 0: known already; -ENOSPC: no room, the page is read but cannot be drained later. */
static int page__insert(int map_fd, struct wire_page_key *key, const struct wire_page_val *val)
{
	struct wire_page_val old;

	for (key->n = 0; key->n < WIRE_PAGES_PER_THREAD; key->n++) {
		if (!bpf_map_lookup_elem(map_fd, key, &old)) {
			if (old.addr == val->addr && old.id == val->id)
				return 0;
			continue;
		}
		if (!bpf_map_update_elem(map_fd, key, val, BPF_NOEXIST))
			return 1;
		if (errno != EEXIST)
			return -ENOSPC;
		key->n--; /* filled under our hands: look at it again */
	}
	return -ENOSPC;
}

struct adopt {
	struct attach *a;
	u32 pid, module;
	struct tids *tids;
	int (*page)(void *ctx, const struct wire_batch *b, size_t bytes);
	void *ctx;
};

/* Read the page as it is now and hand it out; its header alone if the rest is on the move. */
static int page__hand_out(struct adopt *ad, u64 addr, u32 tid)
{
	struct {
		struct wire_batch b;
		u8 page[WIRE_PAGE_BYTES];
	} buf;
	struct wire_page *h = (void *)buf.page;
	u64 commit;
	int tries, err;

	for (tries = 0; tries < 8; tries++) {
		err = remote__one(ad->pid, buf.page, addr, WIRE_DATA_END);
		if (!err)
			err = remote__one(ad->pid, &commit, addr + offsetof(struct wire_page, commit), 8);
		if (err || !page__valid(h, addr))
			return err;
		if (WIRE_COMMIT_SEQ(commit) == WIRE_COMMIT_SEQ(h->commit))
			break;
	}
	buf.b = (struct wire_batch){
		.head = {
			.kind = WIRE_BATCH,
			.bytes = sizeof(buf.b) + page__bytes(h),
			.time_ns = clock__mono_ns(),
			.cookie = ad->module,
			.pid = ad->pid,
			.tid = tid,
		},
		.addr = addr,
		.why = WIRE_WHY_IDLE,
	};
	return ad->page ? ad->page(ad->ctx, &buf.b, buf.b.head.bytes) : 0;
}

static int adopt__page(struct adopt *ad, u64 addr, const struct wire_page *h)
{
	int map_fd = bpf_map__fd(ad->a->skel->maps.pages), ret, err;
	struct wire_page_key key = {.tid = tid__outside(ad->pid, ad->tids, h->tid)};
	struct wire_page_val val = {
		.addr = addr,
		.id = h->id,
		.seen = page__seen(h),
		.pid = ad->pid,
		.module = ad->module,
		.ns_pid = h->pid,
		.ns_tid = h->tid,
	};

	if (!key.tid)
		return 0; /* its thread is gone */
	ret = page__insert(map_fd, &key, &val);
	if (!ret)
		return 0;
	err = page__hand_out(ad, addr, key.tid);
	if (ret > 0 && !thread__alive(ad->pid, key.tid))
		bpf_map_delete_elem(map_fd, &key);
	pages__changed(ad->a);
	return err < 0 ? err : 1;
}

int attach__adopt(struct attach *a, u32 pid, u32 module, u64 module_addr,
		  int (*page)(void *ctx, const struct wire_batch *b, size_t bytes), void *ctx)
{
	struct adopt ad = {.a = a, .pid = pid, .module = module, .page = page, .ctx = ctx};
	struct wire_module m;
	struct wire_page h;
	int n = 0, cnt, ret;
	u64 addr;

	ret = remote__one(pid, &m, module_addr, sizeof(m));
	if (ret)
		return ret;
	if (m.magic != WIRE_MODULE_MAGIC)
		return 0; /* not relocated or not run yet: it has no pages */
	ad.tids = same_pid_ns(pid) ? NULL : tids__read(pid);
	for (addr = m.first, cnt = 0, ret = 0; addr && cnt < MAX_PAGES && ret >= 0; addr = h.next, cnt++) {
		if (remote__one(pid, &h, addr, sizeof(h)))
			break;
		ret = page__valid(&h, addr) ? adopt__page(&ad, addr, &h) : 0;
		n += ret > 0;
	}
	free(ad.tids);
	return ret < 0 ? ret : n;
}
