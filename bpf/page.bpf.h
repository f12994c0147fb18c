/* SPDX-License-Identifier: MIT */
/*
 * page.bpf.h - delivering the pages of tape.h threads: shared by the probes that a program runs (batch.bpf.c) and
 * by the hooks that drain what a dying thread leaves (task.bpf.c).
 *
 * A delivery only reads. Whoever delivers a page (full, idle, exit, exec, detach) says which bytes it saw, and the
 * recorder keeps each record once: so deliveries may overlap freely.
 *
 * Loss marks. The map entry of a page remembers `seen`: how far any attempt, refused or not, has seen its records.
 * It is raised after the record has been submitted, so that a recorder that reads the marks first and drains then
 * finds everything that the marks speak of. The numbers that never arrived are lost: exact, however often the same
 * batch is tried again (a counter would count it again each time).
 */
#ifndef TAPEBPF_PAGE_BPF_H
#define TAPEBPF_PAGE_BPF_H

#include "emit.bpf.h"
#include "page.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct wire_page_key);
	__type(value, struct wire_page_val);
} pages SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct wire_orphan_key);
	__type(value, struct wire_page_val);
} orphans SEC(".maps") __weak;

/*
 * To walk a map of this size takes the recorder longer than all that it does between two walks, and mostly finds what it found before. So these
 * move after each entry that comes (or, of `pages`, goes): who reads them before a walk need not walk again while they stay.
 */
extern __u32 pages_generation, orphans_generation;

#define STATE_LIVE 0
#define STATE_EXEC 1 /* drained by the exec hook; its memory may be another program's by now */

__inline long user__read(void *dst, __u32 bytes, const void *src, const bool sleepable)
{
	if (sleepable)
		return bpf_copy_from_user(dst, bytes, src);
	return bpf_probe_read_user(dst, bytes, src);
}

/* One size of reservation. The whole reservation is read from the page, so every byte of it is written. */
__inline int page__send_class(struct emit *e, const struct wire_page *h, __u64 addr, __u32 why, __u32 cookie,
			      const bool sleepable, const __u32 bytes)
{
	struct wire_batch *b = emit__reserve(e, sizeof(*b) + bytes);

	if (!b) {
		emit__count(e, WIRE_C_BATCH_LOST_RING);
		return WIRE_C_BATCH_LOST_RING;
	}
	emit__head(e, &b->head, WIRE_BATCH, sizeof(*b) + page__bytes(h), cookie);
	b->addr = addr;
	b->why = why;
	b->pad = 0;
	if (user__read(b + 1, bytes, (void *)addr, sleepable)) {
		bpf_ringbuf_discard(b, BPF_RB_NO_WAKEUP);
		emit__count(e, WIRE_C_BATCH_LOST_READ);
		return WIRE_C_BATCH_LOST_READ;
	}
	emit__submit(e, b, sizeof(*b) + bytes);
	return 0;
}

/* Hand a page whose header has been read and found valid to the ring. 0, or the counter of the loss. */
__inline int page__send(struct emit *e, const struct wire_page *h, __u64 addr, __u32 why, __u32 cookie,
			const bool sleepable)
{
	__u32 bytes = page__bytes(h);

	emit__count(e, WIRE_C_BATCHES);
#define X(c)            \
	if (bytes <= c) \
		return page__send_class(e, h, addr, why, cookie, sleepable, c);
	PAGE_CLASSES(X)
#undef X
	return WIRE_C_BAD_PAGE; /* not reached: page__valid() */
}

__inline void page__mark(struct wire_page_val *val, const struct wire_page *h, int lost)
{
	__u64 seen = page__seen(h);

	if (seen > val->seen)
		val->seen = seen;
	if (lost)
		val->lost_cause = lost;
}

/* Forget an entry. If deliveries of its page were refused, nobody can tell from later numbers how many records that
 * were: the mark outlives the page as an orphan until the recorder has read it. */
__inline void page__forget(struct emit *e, const struct wire_page_key *key, const struct wire_page_val *val)
{
	if (val->lost_cause) {
		struct wire_orphan_key o = {.id = val->id, .pid = val->pid, .tid = key->tid};

		if (bpf_map_update_elem(&orphans, &o, val, BPF_ANY))
			emit__count(e, WIRE_C_ORPHAN_LOST);
		__sync_fetch_and_add(&orphans_generation, 1);
	}
	bpf_map_delete_elem(&pages, key);
	__sync_fetch_and_add(&pages_generation, 1);
}

#endif
