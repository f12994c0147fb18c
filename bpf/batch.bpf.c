/* SPDX-License-Identifier: MIT */
/*
 * batch.bpf.c - the probes of tape.h: tape:thread, tape:flush, tape:gone, tape:record, and the sites' own nops in
 * --immediate mode. Each exists twice: sleepable, where a page that is not present is faulted in before anything is
 * reserved, and plain, for kernels before 6.1.
 */
#include "page.bpf.h"

/* The register pins of wire.h. */
#if defined(__TARGET_ARCH_x86)
#define ARG1(ctx) ((ctx)->di)
#define ARG2(ctx) ((ctx)->si)
#else
#define ARG1(ctx) ((ctx)->user_regs.regs[0])
#define ARG2(ctx) ((ctx)->user_regs.regs[1])
#endif

/* Among the entries of a thread, the one of the page at `addr`; 0: the first free place (key->n says where; WIRE_PAGES_PER_THREAD:
 * none). Two walks, as one that keeps both answers has the verifier look at each pair of them. */
__inline struct wire_page_val *pages__find(struct wire_page_key *key, __u64 addr)
{
	struct wire_page_val *val;
	__u32 n;

	for (n = 0; n < WIRE_PAGES_PER_THREAD; n++) {
		key->n = n;
		val = bpf_map_lookup_elem(&pages, key);
		if (!addr && !val)
			return NULL;
		if (addr && val && val->addr == addr)
			return val;
	}
	key->n = n;
	return NULL;
}

/*
 * Is the n-th entry of a thread that of a page which a dlclose has left behind? 1: it was, and is gone now. Its module is unmapped, or has
 * come back at the same place with another page for this thread. Global, so that the verifier looks at it once.
 */
__noinline int entry__evict(__u32 tid, __u32 n, __u64 module)
{
	struct wire_page_key key = {.tid = tid, .n = n};
	struct wire_page_val *val = bpf_map_lookup_elem(&pages, &key);
	__u64 magic = 0;
	struct wire_page h;
	struct emit e;

	if (!val || bpf_probe_read_user(&h, sizeof(h), (void *)val->addr) || !emit__init(&e))
		return 0;
	if (page__valid(&h, val->addr) && h.id == val->id && h.tid == val->ns_tid) {
		if (h.module != module && !bpf_probe_read_user(&magic, sizeof(magic), (void *)h.module) &&
		    magic == WIRE_MODULE_MAGIC)
			return 0;
		if (page__seen(&h) != val->seen)
			page__mark(val, &h, page__send(&e, &h, val->addr, WIRE_WHY_GONE, val->module, false));
	}
	page__forget(&e, &key, val);
	return 1;
}

/* A place for one more page of a thread, in key->n; WIRE_PAGES_PER_THREAD: there is none. */
__inline void pages__place(struct wire_page_key *key, __u64 module)
{
	__u32 n;

	pages__find(key, 0);
	if (key->n < WIRE_PAGES_PER_THREAD)
		return;
	for (n = 0; n < WIRE_PAGES_PER_THREAD; n++) {
		key->n = n;
		if (entry__evict(key->tid, n, module))
			return;
	}
	key->n = n;
}

/*
 * Find or make the entry of a page that the current task runs a probe for. NULL: it is somebody else's (the child of
 * a vfork runs in its parent's memory and flushes its parent's page; the parent stands still meanwhile), or there is no room.
 */
__inline struct wire_page_val *pages__track(struct emit *e, struct wire_page_key *key, const struct wire_page *h,
					    __u64 addr, __u32 module)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();
	struct wire_page_val *val, fresh = {};

	key->tid = id;
	val = pages__find(key, addr);
	if (val && val->id == h->id)
		return val;
	if (task__ns_nr(task) != h->tid) {
		key->tid = BPF_CORE_READ(task, real_parent, pid);
		val = pages__find(key, addr);
		return val && val->id == h->id ? val : NULL;
	}
	if (val) /* another page at the address of one that went without a word */
		page__forget(e, key, val);
	fresh.addr = addr;
	fresh.id = h->id;
	fresh.pid = id >> 32;
	fresh.module = module;
	fresh.ns_pid = h->pid;
	fresh.ns_tid = h->tid;
	pages__place(key, h->module);
	if (key->n >= WIRE_PAGES_PER_THREAD || bpf_map_update_elem(&pages, key, &fresh, BPF_NOEXIST)) {
		emit__count(e, WIRE_C_UNTRACKED);
		return NULL;
	}
	__sync_fetch_and_add(&pages_generation, 1);
	return bpf_map_lookup_elem(&pages, key);
}

/* The header first, to the stack: a fault here holds no ring space. */
__inline bool page__read(struct emit *e, struct wire_page *h, __u64 addr, const bool sleepable)
{
	if (user__read(h, sizeof(*h), (void *)addr, sleepable)) {
		emit__count(e, WIRE_C_BATCHES);
		emit__count(e, WIRE_C_BATCH_LOST_READ);
		return false;
	}
	if (page__valid(h, addr))
		return true;
	emit__count(e, WIRE_C_BAD_PAGE);
	return false;
}

__inline int on_thread(struct pt_regs *ctx, const bool sleepable)
{
	__u64 cookie = probe__cookie(ctx), addr = ARG1(ctx);
	struct wire_page_key key = {};
	struct wire_announce *a;
	struct wire_page h;
	struct emit e;

	if (!probe__init(&e, cookie) || !page__read(&e, &h, addr, sleepable))
		return 0;
	pages__track(&e, &key, &h, addr, COOKIE_NUMBER(cookie));
	a = emit__reserve(&e, sizeof(*a));
	if (!a) {
		emit__count(&e, WIRE_C_LIFE_LOST);
		return 0;
	}
	emit__head(&e, &a->head, WIRE_ANNOUNCE, sizeof(*a), COOKIE_NUMBER(cookie));
	a->addr = addr;
	a->id = h.id;
	a->module = h.module;
	a->ns_pid = h.pid;
	a->ns_tid = h.tid;
	emit__submit(&e, a, sizeof(*a));
	return 0;
}

/* The child of a vfork, no target itself where children are not followed, works on its parent's page: the records are the parent's. */
__inline bool page__of_a_target(struct emit *e, __u64 cookie)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 parent;

	if (probe__init(e, cookie))
		return true;
	if (!e->st || !e->ring || BPF_CORE_READ(task, mm) != BPF_CORE_READ(task, real_parent, mm))
		return false;
	parent = BPF_CORE_READ(task, real_parent, tgid);
	return target__is(parent);
}

/* tape:flush and tape:gone. An empty last page is delivered too if records of it had been refused: its number says
 * how many there were. */
__inline int on_page(struct pt_regs *ctx, __u32 why, const bool sleepable)
{
	__u64 cookie = probe__cookie(ctx), addr = ARG1(ctx);
	struct wire_page_key key = {};
	struct wire_page_val *val;
	struct wire_page h;
	struct emit e;
	int lost = 0;

	if (!page__of_a_target(&e, cookie) || !page__read(&e, &h, addr, sleepable))
		return 0;
	val = pages__track(&e, &key, &h, addr, COOKIE_NUMBER(cookie));
	if (WIRE_COMMIT_CNT(h.commit) || !val || page__seen(&h) != val->seen || val->lost_cause)
		lost = page__send(&e, &h, addr, why, COOKIE_NUMBER(cookie), sleepable);
	if (!val)
		return 0;
	page__mark(val, &h, lost);
	if (why == WIRE_WHY_GONE)
		page__forget(&e, &key, val);
	return 0;
}

/* --- records that go out by themselves ----------------------------------------------------------------------- */

#define IMM_MAX (sizeof(struct wire_imm) + WIRE_MAX_REC_BYTES)
#define IMM_CLASSES(X) X(256) X(1024) X(4096) X(16384) X(65600)

__inline int imm__send_class(struct emit *e, __u64 src, __u64 bytes, __u32 cookie, const __u32 class)
{
	struct wire_head *h = emit__reserve(e, sizeof(*h) + class);

	if (!h)
		return WIRE_C_LOST_RING;
	emit__zero(h + 1, class);
	barrier_var(bytes); /* known from the caller, but the verifier wants to see the bound right here */
	if (bytes > class)
		goto unreadable;
	if (bpf_probe_read_user(h + 1, bytes, (void *)src))
		goto unreadable;
	emit__head(e, h, WIRE_IMMEDIATE, sizeof(*h) + bytes, cookie);
	emit__submit(e, h, sizeof(*h) + class);
	return 0;
unreadable:
	bpf_ringbuf_discard(h, BPF_RB_NO_WAKEUP);
	return WIRE_C_LOST_READ;
}

__inline int imm__send(struct emit *e, __u64 src, __u32 bytes, __u32 cookie)
{
#define X(c)            \
	if (bytes <= c) \
		return imm__send_class(e, src, bytes, cookie, c);
	IMM_CLASSES(X)
#undef X
	return WIRE_C_LOST_SIZE;
}

/* Fault the pages of a range in. 64 KiB lie on 17 pages at most. */
__inline void user__touch(__u64 src, __u32 bytes)
{
	__u64 end = src + bytes;
	char c;
	int i;

	for (i = 0; i < 18 && src < end; i++) {
		bpf_copy_from_user(&c, 1, (void *)src);
		src = (src | (WIRE_PAGE_BYTES - 1)) + 1;
	}
}

__inline int on_record(struct pt_regs *ctx, const bool sleepable)
{
	__u64 cookie = probe__cookie(ctx), src = ARG1(ctx), bytes = ARG2(ctx);
	struct emit e;
	int result;

	if (!probe__init(&e, cookie))
		return 0;
	emit__count(&e, WIRE_C_EMITTED);
	if (bytes < sizeof(struct wire_imm) || bytes > IMM_MAX) {
		emit__count(&e, bytes > IMM_MAX ? WIRE_C_LOST_SIZE : WIRE_C_LOST_READ);
		return 0;
	}
	result = imm__send(&e, src, bytes, COOKIE_NUMBER(cookie));
	if (sleepable && result == WIRE_C_LOST_READ) {
		user__touch(src, bytes);
		result = imm__send(&e, src, bytes, COOKIE_NUMBER(cookie));
	}
	if (result)
		emit__count(&e, result);
	return 0;
}

#define PROBE(name, call_plain, call_sleepable)     \
	SEC("uprobe")                               \
	int name(struct pt_regs *ctx)               \
	{                                           \
		return call_plain;                  \
	}                                           \
	SEC("uprobe.s")                             \
	int name##_s(struct pt_regs *ctx)           \
	{                                           \
		return call_sleepable;              \
	}

PROBE(tape_thread, on_thread(ctx, false), on_thread(ctx, true))
PROBE(tape_flush, on_page(ctx, WIRE_WHY_FLUSH, false), on_page(ctx, WIRE_WHY_FLUSH, true))
PROBE(tape_gone, on_page(ctx, WIRE_WHY_GONE, false), on_page(ctx, WIRE_WHY_GONE, true))
PROBE(tape_record, on_record(ctx, false), on_record(ctx, true))

/* Sits on the cold nops, which never run: what matters is the reference counter that comes with it. */
SEC("uprobe")
int tape_idle(struct pt_regs *ctx)
{
	return 0;
}

const volatile struct config config = {};
__u32 targets_generation = 0;
__u32 pages_generation = 0;
__u32 orphans_generation = 0;
char LICENSE[] SEC("license") = "Dual MIT/GPL";
