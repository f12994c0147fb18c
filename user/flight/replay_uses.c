/* SPDX-License-Identifier: MIT */
#include "flight/replay_uses.h"

#include <errno.h>

static int by_address(const void *a, const void *b)
{
	const struct use_chunk *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static u32 count_chunks(const struct snapshot *s)
{
	const struct chunk *c;
	u32 cnt = 0;

	for (u32 i = 0; i < s->gen_cnt; i++)
		for (c = s->gen[i]->first; c; c = c->next)
			cnt++;
	return cnt;
}

int replay_uses__init(struct replay_uses *u, const struct snapshot *s)
{
	u32 cnt = count_chunks(s), n = 0;
	const struct chunk *c;

	*u = (struct replay_uses){ 0 };
	u->chunk = calloc(MAX(cnt, 1u), sizeof(*u->chunk));
	u->cnt = calloc(MAX(s->gen_cnt, 1u), sizeof(*u->cnt));
	if (!u->chunk || !u->cnt) {
		replay_uses__done(u);
		return -ENOMEM;
	}
	for (u32 i = 0; i < s->gen_cnt; i++)
		for (c = s->gen[i]->first; c; c = c->next)
			u->chunk[n++] = (struct use_chunk){ c->data, c->data + c->used, i };
	qsort(u->chunk, n, sizeof(*u->chunk), by_address);
	u->chunk_cnt = n;
	u->gen_cnt = s->gen_cnt;
	return 0;
}

void replay_uses__done(struct replay_uses *u)
{
	free(u->chunk);
	free(u->cnt);
	*u = (struct replay_uses){ 0 };
}

static inline bool has(const struct use_chunk *c, const u8 *data)
{
	return data >= c->at && data < c->end;
}

static const struct use_chunk *find(struct replay_uses *u, const u8 *data)
{
	u32 low = 0, high = u->chunk_cnt, mid;

	if (u->near < u->chunk_cnt && has(&u->chunk[u->near], data))
		return &u->chunk[u->near];
	while (low < high) {
		mid = low + (high - low) / 2;
		if (data >= u->chunk[mid].end)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == u->chunk_cnt || !has(&u->chunk[low], data))
		return NULL;
	u->near = low;
	return &u->chunk[low];
}

static bool leave(struct replay_uses *u)
{
	u32 before = u->left;

	while (u->left < u->gen_cnt && !u->cnt[u->left])
		u->left++;
	return u->left > before;
}

bool replay_uses__tell(struct replay_uses *u, const void *data, bool begin)
{
	const struct use_chunk *c = find(u, data);

	if (!c)
		return false;
	if (begin) {
		u->cnt[c->gen]++;
		return false;
	}
	return !--u->cnt[c->gen] && u->settled && c->gen == u->left && leave(u);
}

bool replay_uses__settle(struct replay_uses *u)
{
	u->settled = true;
	return leave(u);
}
