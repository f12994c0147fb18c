/* SPDX-License-Identifier: MIT */
/* held.c - list of what the kernel holds for a recording. */
#include "attach/attach_priv.h"

#include <errno.h>

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

void held__drop(struct held **list, u32 *cnt, u32 *cap)
{
	while (*cnt) {
		struct held *h = &(*list)[--*cnt];

		bpf_link__destroy(h->link);
		if (h->fd >= 0)
			close(h->fd);
		if (h->prog_fd >= 0)
			close(h->prog_fd);
	}
	free(*list);
	*list = NULL;
	*cap = 0;
}
