/* SPDX-License-Identifier: MIT */
/* held.c - list of what the kernel holds for a recording. */
#include "attach/attach_priv.h"

#include <errno.h>
#include <pthread.h>

#define DROP_THREADS 15

int held__add(struct held **list, u32 *cnt, u32 *cap, struct bpf_link *link, int fd, int prog_fd)
{
	if (*cnt == *cap) {
		u32 n = *cap ? 2 * *cap : 16;
		struct held *p = realloc(*list, n * sizeof(*p));

		if (!p)
			return -ENOMEM;
		*list = p;
		*cap = n;
	}
	(*list)[(*cnt)++] = (struct held){.link = link, .fd = fd, .prog_fd = prog_fd};
	return 0;
}

static void held__release(struct held *h)
{
	bpf_link__destroy(h->link);
	if (h->fd >= 0)
		close(h->fd);
	if (h->prog_fd >= 0)
		close(h->prog_fd);
}

struct drop {
	struct held *list;
	u32 cnt, next; /* next: taken with atomic adds */
};

static void *drop_some(void *arg)
{
	struct drop *d = arg;
	u32 i;

	while ((i = __atomic_fetch_add(&d->next, 1, __ATOMIC_RELAXED)) < d->cnt)
		held__release(&d->list[i]);
	return NULL;
}

/* Letting go of a probe waits for grace periods of the kernel, some 50 ms: those of several links can pass at once. */
void held__drop(struct held **list, u32 *cnt, u32 *cap)
{
	struct drop d = {.list = *list, .cnt = *cnt};
	pthread_t thread[DROP_THREADS];
	u32 started = 0;

	while (started < DROP_THREADS && started + 1 < *cnt &&
	       !pthread_create(&thread[started], NULL, drop_some, &d))
		started++;
	drop_some(&d);
	while (started)
		pthread_join(thread[--started], NULL);
	free(*list);
	*list = NULL;
	*cnt = 0;
	*cap = 0;
}
