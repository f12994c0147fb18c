/* SPDX-License-Identifier: MIT */
/*
 * page_map.c - what the BPF hash maps of pages hold. In batches: 10,000 threads in a few system calls. Entries that come or go
 * meanwhile may be seen or not.
 *
 * A map is walked by its buckets, 32768 of them however few pages there are: so the list of pages is kept, and read again once the kernel's
 * side has said that one came or went. What moves without that are the marks; of a few pages they are looked up one by one.
 */
#include "attach/attach_priv.h"

#include <errno.h>

#define MARKS_ONE_BY_ONE 256 /* system calls; a walk is as dear as some thousand */
#define BATCH 2048 /* more than any bucket holds; the kernel hands out whole buckets and says ENOSPC otherwise */

struct batch_buf {
	struct wire_orphan_key key[BATCH]; /* the larger of both keys */
	struct wire_page_val val[BATCH];
};

static int append(struct page_entry **list, int *cnt, int *cap, const struct batch_buf *b, u32 n, bool orphans)
{
	const struct wire_page_key *key = (const void *)b->key;
	u32 i;

	if (*cnt + (int)n > *cap) {
		int want = 2 * *cap + n;
		struct page_entry *p = realloc(*list, want * sizeof(*p));

		if (!p)
			return -ENOMEM;
		*list = p;
		*cap = want;
	}
	for (i = 0; i < n; i++) {
		struct page_entry *e = &(*list)[(*cnt)++];

		*e = (struct page_entry){.val = b->val[i]};
		if (orphans) {
			e->orphan = b->key[i];
			e->tid = e->orphan.tid;
		} else {
			e->key = key[i];
			e->tid = e->key.tid;
		}
	}
	return 0;
}

static int page_map__read(int map_fd, bool orphans, struct page_entry **out)
{
	__free_ptr struct batch_buf *b = malloc(sizeof(*b));
	struct page_entry *list = NULL;
	u64 token[2]; /* a bucket's number for the kernel */
	int cnt = 0, cap = 0, err, ret;
	bool first = true;
	u32 n;

	if (!b)
		return -ENOMEM;
	do {
		n = BATCH;
		ret = bpf_map_lookup_batch(map_fd, first ? NULL : token, token, b->key, b->val, &n, NULL);
		if (ret && ret != -ENOENT) {
			free(list);
			return ret;
		}
		err = append(&list, &cnt, &cap, b, n, orphans);
		if (err) {
			free(list);
			return err;
		}
		first = false;
	} while (!ret);
	*out = list;
	return cnt;
}

static int by_pid(const void *a, const void *b)
{
	const struct page_entry *x = a, *y = b;

	return (x->val.pid > y->val.pid) - (x->val.pid < y->val.pid);
}

int pages__list(struct attach *a)
{
	u32 generation = __atomic_load_n(&a->skel->bss->pages_generation, __ATOMIC_SEQ_CST);
	struct page_entry *e = NULL;
	int cnt;

	if (a->pages.known && a->pages.generation == generation)
		return a->pages.cnt;
	cnt = page_map__read(bpf_map__fd(a->skel->maps.pages), false, &e);
	if (cnt < 0)
		return cnt;
	if (cnt)
		qsort(e, cnt, sizeof(*e), by_pid);
	free(a->pages.entry);
	a->pages = (struct page_list){.entry = e, .cnt = cnt, .generation = generation, .known = true};
	return cnt;
}

int pages__marks(struct attach *a)
{
	int fd = bpf_map__fd(a->skel->maps.pages), cnt, i;

	a->pages.known &= a->pages.cnt <= MARKS_ONE_BY_ONE;
	cnt = pages__list(a);
	/* of one that has gone since, whatever there is to be told is told as an orphan's */
	for (i = 0; i < cnt && cnt <= MARKS_ONE_BY_ONE; i++)
		bpf_map_lookup_elem(fd, &a->pages.entry[i].key, &a->pages.entry[i].val);
	return cnt;
}

int pages__orphans(struct attach *a, struct page_entry **out, u32 *generation)
{
	*generation = __atomic_load_n(&a->skel->bss->orphans_generation, __ATOMIC_SEQ_CST);
	if (*generation == a->orphans_generation && !a->stopped)
		return 0;
	return page_map__read(bpf_map__fd(a->skel->maps.orphans), true, out);
}

void pages__changed(struct attach *a)
{
	__atomic_add_fetch(&a->skel->bss->pages_generation, 1, __ATOMIC_SEQ_CST);
}
