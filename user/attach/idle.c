/* SPDX-License-Identifier: MIT */
/*
 * idle.c - what threads that do not fill their pages have in them, read from outside about five times a second.
 *
 * Problem: the target goes on while we read. The page's commit word makes a read consistent: bytes that the first
 * reading of it covers stay as they are until the page is reset, and a reset changes `seq`. So: header, body, commit
 * word again; the same seq: the body is good up to the first word's length.
 *
 * A page that the target flushes right after we read it comes twice, by the ring and from here. Records are kept
 * once by their numbers, but only if the ring's is looked at first: so what is collected here is applied by the
 * caller after it has drained the rings (rule 2 of the batch path: a trap returns before seq moves, so
 * what a read overtook is in a ring).
 *
 * Cost: headers of up to 500 pages of a process in one call, bodies only of pages whose commit word has moved.
 */
#include "attach/attach_priv.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <uthash.h>
#include "../bpf/page.h"

#define HEADERS_PER_CALL 500

struct idle_key {
	u64 addr, id;
	u32 pid, tid;
};

/* What was last read of a page. */
struct idle_page {
	struct idle_key key;
	u64 commit;
	u32 round; /* last seen in the map */
	UT_hash_handle hh;
};

struct idle {
	struct idle_page *known;
	u32 round;
	u8 *collected; /* struct wire_batch with bytes, each padded to 8 */
	size_t bytes, cap;
};

struct idle *idle__new(void)
{
	return calloc(1, sizeof(struct idle));
}

void idle__free(struct idle *i)
{
	struct idle_page *p, *tmp;

	if (!i)
		return;
	HASH_ITER(hh, i->known, p, tmp) {
		HASH_DEL(i->known, p);
		free(p);
	}
	free(i->collected);
	free(i);
}

/* process_vm_readv stops at the first piece that it cannot read; go on behind it. */
int remote__read(u32 pid, void **dst, const u64 *src, const u32 *bytes, u8 *got, u32 cnt)
{
	struct iovec local[HEADERS_PER_CALL], remote[HEADERS_PER_CALL];
	u32 from = 0, i, n;
	ssize_t ret;
	int good = 0;

	memset(got, 0, cnt);
	while (from < cnt) {
		n = MIN(cnt - from, (u32)HEADERS_PER_CALL);
		for (i = 0; i < n; i++) {
			local[i] = (struct iovec){dst[from + i], bytes[from + i]};
			remote[i] = (struct iovec){(void *)(uintptr_t)src[from + i], bytes[from + i]};
		}
		ret = process_vm_readv(pid, local, n, remote, n, 0);
		if (ret < 0 && errno != EFAULT)
			return good ? good : -errno;
		for (i = 0; i < n && ret >= (ssize_t)bytes[from + i]; i++) {
			ret -= bytes[from + i];
			got[from + i] = 1;
			good++;
		}
		from += i < n ? i + 1 : n; /* skip the one that stopped it */
	}
	return good;
}

static struct idle_page *page__get(struct idle *i, const struct page_entry *e)
{
	const struct idle_key key = {.addr = e->val.addr, .id = e->val.id, .pid = e->val.pid, .tid = e->tid};
	struct idle_page *p;

	HASH_FIND(hh, i->known, &key, sizeof(key), p);
	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->key = key;
	HASH_ADD(hh, i->known, key, sizeof(key), p);
	return p;
}

static void forget_gone(struct idle *i)
{
	struct idle_page *p, *tmp;

	HASH_ITER(hh, i->known, p, tmp) {
		if (p->round == i->round)
			continue;
		HASH_DEL(i->known, p);
		free(p);
	}
}

static struct wire_batch *reserve(struct idle *i)
{
	size_t want = i->bytes + sizeof(struct wire_batch) + WIRE_PAGE_BYTES;

	if (want > i->cap) {
		size_t cap = MAX(2 * i->cap, want);
		u8 *p = realloc(i->collected, cap);

		if (!p)
			return NULL;
		i->collected = p;
		i->cap = cap;
	}
	return (void *)(i->collected + i->bytes);
}

static void fill_head(struct wire_batch *b, const struct page_entry *e, u32 bytes)
{
	*b = (struct wire_batch){
		.head = {
			.kind = WIRE_BATCH,
			.bytes = sizeof(*b) + bytes,
			.time_ns = clock__mono_ns(),
			.cookie = e->val.module,
			.pid = e->val.pid,
			.tid = e->tid,
		},
		.addr = e->val.addr,
		.why = WIRE_WHY_IDLE,
	};
}

/* 1: collected; 0: moved on meanwhile, or gone; its records come through a ring. */
static int collect_body(struct idle *i, const struct page_entry *e, const struct wire_page *h)
{
	struct wire_batch *b = reserve(i);
	u32 bytes = page__bytes(h), size[2] = {bytes, 8};
	u64 commit, src[2] = {e->val.addr, e->val.addr + offsetof(struct wire_page, commit)};
	struct wire_page *copy;
	void *dst[2];
	u8 got[2];

	if (!b)
		return -ENOMEM;
	copy = (void *)(b + 1);
	dst[0] = copy;
	dst[1] = &commit;
	if (remote__read(e->val.pid, dst, src, size, got, 2) != 2)
		return 0;
	if (!page__valid(copy, e->val.addr) || copy->id != h->id ||
	    WIRE_COMMIT_SEQ(commit) != WIRE_COMMIT_SEQ(h->commit))
		return 0;
	copy->commit = h->commit; /* the body is good up to here; what was added since comes next time */
	fill_head(b, e, bytes);
	i->bytes += ALIGN_UP(sizeof(*b) + bytes, 8);
	return 1;
}

static int collect_page(struct idle *i, const struct page_entry *e, const struct wire_page *h, bool empty)
{
	struct idle_page *p;
	int ret;

	if (!page__valid(h, e->val.addr) || h->id != e->val.id || h->tid != e->val.ns_tid)
		return 0;
	p = page__get(i, e);
	if (!p)
		return -ENOMEM;
	p->round = i->round;
	if (p->commit == h->commit)
		return 0;
	if (!WIRE_COMMIT_CNT(h->commit) && (!empty || !WIRE_COMMIT_LEN(h->commit))) {
		p->commit = h->commit;
		return 0;
	}
	ret = collect_body(i, e, h);
	if (ret > 0)
		p->commit = h->commit;
	return ret;
}

/* Pages of one process. */
static int collect_process(struct idle *i, const struct page_entry *e, u32 cnt, bool empty)
{
	struct wire_page header[HEADERS_PER_CALL];
	void *dst[HEADERS_PER_CALL];
	u64 src[HEADERS_PER_CALL];
	u32 bytes[HEADERS_PER_CALL], k;
	u8 got[HEADERS_PER_CALL];
	int n = 0, ret;

	if (!cnt || cnt > HEADERS_PER_CALL)
		return 0;
	for (k = 0; k < cnt; k++) {
		dst[k] = &header[k];
		src[k] = e[k].val.addr;
		bytes[k] = sizeof(header[k]);
	}
	if (remote__read(e->val.pid, dst, src, bytes, got, cnt) < 0)
		return 0; /* it is gone; exit has drained it */
	for (k = 0; k < cnt; k++) {
		ret = got[k] ? collect_page(i, &e[k], &header[k], empty) : 0;
		if (ret < 0)
			return ret;
		n += ret;
	}
	return n;
}

int attach__idle_collect(struct attach *a)
{
	struct idle *i = a->idle;
	int cnt = pages__list(a), from, to, n = 0, ret;
	const struct page_entry *e = a->pages.entry;

	if (cnt < 0)
		return cnt;
	i->round++;
	for (from = 0; from < cnt; from = to) {
		for (to = from; to < cnt && to - from < HEADERS_PER_CALL && e[to].val.pid == e[from].val.pid; to++)
			;
		ret = collect_process(i, e + from, to - from, a->o.empty_pages);
		if (ret < 0)
			return ret;
		n += ret;
	}
	forget_gone(i);
	return n;
}

int attach__idle_apply(struct attach *a)
{
	struct idle *i = a->idle;
	int n = 0, ret = 0;
	size_t at;

	for (at = 0; at < i->bytes && ret >= 0; n++) {
		struct wire_batch *b = (void *)(i->collected + at);

		ret = a->ops.ring ? a->ops.ring(a->ops.ctx, b, b->head.bytes) : 0;
		at += ALIGN_UP(b->head.bytes, 8);
	}
	i->bytes = 0;
	return ret < 0 ? ret : n;
}
