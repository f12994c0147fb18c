/* SPDX-License-Identifier: MIT */
/*
 * page_map.c - read a BPF hash map of pages whole. In batches: 10,000 threads in a few system calls, five times a
 * second. Entries that come or go meanwhile may be seen or not.
 */
#include "attach/attach_priv.h"

#include <errno.h>

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

int page_map__read(int map_fd, bool orphans, struct page_entry **out)
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
