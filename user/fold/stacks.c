/* SPDX-License-Identifier: MIT */
#include "fold/stacks.h"

#include "base/idmap.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

struct frame {
	u64 hash;
	u32 text; /* offset into `text` */
	u32 bytes;
	u32 next; /* of the same hash bucket, 0: none */
};

struct stacks {
	struct stacks_node *node;
	u32 cnt, cap;
	u32 limit;
	bool deeper;
	struct idmap children; /* (parent, frame) -> node */
	struct frame *frame;   /* frame 0 is the root's: "" */
	u32 frame_cnt, frame_cap;
	u32 *bucket;
	u32 bucket_cnt; /* a power of two */
	char *text;
	size_t text_bytes, text_cap;
	u64 seed;
	u32 other_frame, other_node; /* 0: not needed yet */
	u64 other;
};

/* --- frames ------------------------------------------------------------------------------------------------ */

/* Names come out of files: whoever chooses them must not be able to make all of them meet in one bucket. */
static u64 hash_of(const struct stacks *s, const char *text, size_t bytes)
{
	u64 h = s->seed ^ bytes * 0x9e3779b97f4a7c15ULL, word;

	while (bytes >= 8) {
		memcpy(&word, text, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
		text += 8;
		bytes -= 8;
	}
	word = 0;
	memcpy(&word, text, bytes);
	h = (h ^ word) * 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 29;
}

static int grow(void **p, u32 *cap, size_t item, u32 need)
{
	u32 more = MAX(*cap * 2, MAX(need, 64u));
	void *q;

	if (need <= *cap)
		return 0;
	q = realloc(*p, more * item);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = more;
	return 0;
}

static int rehash(struct stacks *s)
{
	u32 cnt = s->bucket_cnt ? s->bucket_cnt * 2 : 256, i, *b;

	b = calloc(cnt, sizeof(*b));
	if (!b)
		return -ENOMEM;
	for (i = 1; i < s->frame_cnt; i++) {
		s->frame[i].next = b[s->frame[i].hash & (cnt - 1)];
		b[s->frame[i].hash & (cnt - 1)] = i;
	}
	free(s->bucket);
	s->bucket = b;
	s->bucket_cnt = cnt;
	return 0;
}

static int keep_text(struct stacks *s, const char *text, size_t bytes)
{
	size_t need = s->text_bytes + bytes + 1, cap = MAX(s->text_cap * 2, MAX(need, (size_t)4096));
	char *more;

	if (need > s->text_cap) {
		more = realloc(s->text, cap);
		if (!more)
			return -ENOMEM;
		s->text = more;
		s->text_cap = cap;
	}
	memcpy(s->text + s->text_bytes, text, bytes);
	s->text[need - 1] = '\0';
	s->text_bytes = need;
	return 0;
}

static s64 new_frame(struct stacks *s, const char *text, size_t bytes, u64 hash)
{
	struct frame *f;

	if (s->frame_cnt >= s->bucket_cnt && rehash(s))
		return -ENOMEM;
	if (grow((void **)&s->frame, &s->frame_cap, sizeof(*f), s->frame_cnt + 1))
		return -ENOMEM;
	f = &s->frame[s->frame_cnt];
	*f = (struct frame){ .hash = hash, .text = (u32)s->text_bytes, .bytes = (u32)bytes };
	if (keep_text(s, text, bytes))
		return -ENOMEM;
	f->next = s->bucket[hash & (s->bucket_cnt - 1)];
	s->bucket[hash & (s->bucket_cnt - 1)] = s->frame_cnt;
	return s->frame_cnt++;
}

s64 stacks__frame(struct stacks *s, const char *text, size_t bytes)
{
	u64 hash = hash_of(s, text, bytes);
	u32 i;

	for (i = s->bucket[hash & (s->bucket_cnt - 1)]; i; i = s->frame[i].next)
		if (s->frame[i].hash == hash && s->frame[i].bytes == bytes &&
		    !memcmp(s->text + s->frame[i].text, text, bytes))
			return i;
	if (s->text_bytes + bytes > STACKS_MAX_TEXT || s->frame_cnt >= STACKS_MAX_NODES) {
		s->other++;
		return s->other_frame;
	}
	return new_frame(s, text, bytes, hash);
}

const char *stacks__text(const struct stacks *s, u32 frame, u32 *bytes)
{
	const struct frame *f = &s->frame[frame];

	if (bytes)
		*bytes = f->bytes;
	return s->text + f->text;
}

u32 stacks__frame_cnt(const struct stacks *s)
{
	return s->frame_cnt;
}

/* --- nodes ------------------------------------------------------------------------------------------------- */

struct stacks *stacks__new(void)
{
	struct stacks *s = calloc(1, sizeof(*s));
	s64 other;

	if (!s)
		return NULL;
	s->limit = STACKS_MAX_DEPTH;
	if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) != sizeof(s->seed))
		s->seed = (u64)(uintptr_t)s;
	if (rehash(s) || new_frame(s, "", 0, 0) < 0)
		goto fail;
	/* number 0 is in no bucket: an empty name gets a frame of its own */
	other = new_frame(s, STACKS_OTHER, strlen(STACKS_OTHER), hash_of(s, STACKS_OTHER, strlen(STACKS_OTHER)));
	if (other < 0 || grow((void **)&s->node, &s->cap, sizeof(*s->node), 1))
		goto fail;
	s->other_frame = (u32)other;
	s->node[0] = (struct stacks_node){ .depth = 0 };
	s->cnt = 1;
	return s;
fail:
	stacks__free(s);
	return NULL;
}

void stacks__free(struct stacks *s)
{
	if (!s)
		return;
	idmap__done(&s->children);
	free(s->node);
	free(s->frame);
	free(s->bucket);
	free(s->text);
	free(s);
}

void stacks__limit(struct stacks *s, u32 depth)
{
	s->limit = MIN(MAX(depth, 1u), (u32)STACKS_MAX_DEPTH);
}

u32 stacks__depth(const struct stacks *s)
{
	return s->limit;
}

bool stacks__deeper(const struct stacks *s)
{
	return s->deeper;
}

void stacks__set_deeper(struct stacks *s)
{
	s->deeper = true;
}

static s64 new_node(struct stacks *s, u32 parent, u32 frame)
{
	if (grow((void **)&s->node, &s->cap, sizeof(*s->node), s->cnt + 1))
		return -ENOMEM;
	if (idmap__put(&s->children, (u64)parent << 32 | frame, (void *)(uintptr_t)s->cnt))
		return -ENOMEM;
	s->node[s->cnt] = (struct stacks_node){ .parent = parent, .frame = frame,
						.depth = s->node[parent].depth + 1 };
	return s->cnt++;
}

/* Where everything goes that has no room; it is made while there is room for one more. */
static s64 other_node(struct stacks *s)
{
	s64 n;

	s->other++;
	if (s->other_node)
		return s->other_node;
	n = (uintptr_t)idmap__find(&s->children, (u64)STACKS_ROOT << 32 | s->other_frame);
	if (!n)
		n = new_node(s, STACKS_ROOT, s->other_frame);
	if (n > 0)
		s->other_node = (u32)n;
	return n;
}

s64 stacks__child(struct stacks *s, u32 parent, u32 frame)
{
	u32 n;

	if (parent && parent == s->other_node)
		return parent;
	if (s->node[parent].depth >= s->limit) {
		s->deeper = true;
		return parent;
	}
	n = (u32)(uintptr_t)idmap__find(&s->children, (u64)parent << 32 | frame);
	if (n)
		return n;
	if (s->cnt >= STACKS_MAX_NODES)
		return other_node(s);
	return new_node(s, parent, frame);
}

static u64 saturated(u64 a, u64 b)
{
	u64 sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

void stacks__add(struct stacks *s, u32 node, int side, u64 value)
{
	struct stacks_node *n = &s->node[node];

	if (n->hits < UINT32_MAX)
		n->hits++;
	n->self[side] = saturated(n->self[side], value);
}

u32 stacks__cnt(const struct stacks *s)
{
	return s->cnt;
}

const struct stacks_node *stacks__node(const struct stacks *s, u32 node)
{
	return &s->node[node];
}

u64 stacks__other(const struct stacks *s)
{
	return s->other;
}

/* --- order ------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b, void *ctx)
{
	const struct stacks *s = ctx;
	const struct frame *x = &s->frame[*(const u32 *)a], *y = &s->frame[*(const u32 *)b];
	int d = memcmp(s->text + x->text, s->text + y->text, MIN(x->bytes, y->bytes));

	return d ? d : x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

struct placed {
	u32 parent, rank, node;
};

/* By parent; children of one from the last to the first, so that pushing each in front leaves them in order. */
static int by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->rank < y->rank ? 1 : x->rank > y->rank ? -1 : 0;
}

static void link_children(struct stacks *s, struct placed *p)
{
	u32 i;

	for (i = 0; i < s->cnt; i++) {
		s->node[i].first = s->node[i].next = 0;
		s->node[i].total[0] = s->node[i].self[0];
		s->node[i].total[1] = s->node[i].self[1];
	}
	for (i = 0; i + 1 < s->cnt; i++) {
		s->node[p[i].node].next = s->node[p[i].parent].first;
		s->node[p[i].parent].first = p[i].node;
	}
	/* a node's number is greater than its parent's */
	for (i = s->cnt; i-- > 1;) {
		struct stacks_node *up = &s->node[s->node[i].parent];

		up->total[0] = saturated(up->total[0], s->node[i].total[0]);
		up->total[1] = saturated(up->total[1], s->node[i].total[1]);
	}
}

int stacks__index(struct stacks *s)
{
	__free_ptr u32 *order = malloc(s->frame_cnt * sizeof(*order));
	__free_ptr u32 *rank = malloc(s->frame_cnt * sizeof(*rank));
	__free_ptr struct placed *p = malloc(s->cnt * sizeof(*p));
	u32 i;

	if (!order || !rank || !p)
		return -ENOMEM;
	for (i = 0; i < s->frame_cnt; i++)
		order[i] = i;
	qsort_r(order, s->frame_cnt, sizeof(*order), by_text, s);
	for (i = 0; i < s->frame_cnt; i++)
		rank[order[i]] = i;
	for (i = 1; i < s->cnt; i++)
		p[i - 1] = (struct placed){ s->node[i].parent, rank[s->node[i].frame], i };
	qsort(p, s->cnt - 1, sizeof(*p), by_place);
	link_children(s, p);
	return 0;
}

u32 stacks__next(const struct stacks *s, u32 node)
{
	if (s->node[node].first)
		return s->node[node].first;
	while (node && !s->node[node].next)
		node = s->node[node].parent;
	return node ? s->node[node].next : 0;
}

struct stacks *stacks__reverse(const struct stacks *s, u32 depth)
{
	struct stacks *r = stacks__new();
	const char *text;
	u32 i, n, bytes;
	s64 at = 0, frame;
	int side;

	if (r) {
		stacks__limit(r, depth);
		r->deeper = s->deeper;
	}
	for (i = 1; r && i < s->cnt; i++) {
		if (!s->node[i].hits)
			continue;
		for (at = STACKS_ROOT, n = i; n && at >= 0; n = s->node[n].parent) {
			text = stacks__text(s, s->node[n].frame, &bytes);
			frame = stacks__frame(r, text, bytes);
			at = frame < 0 ? frame : stacks__child(r, (u32)at, (u32)frame);
		}
		for (side = 0; side < 2 && at >= 0; side++)
			if (s->node[i].self[side])
				stacks__add(r, (u32)at, side, s->node[i].self[side]);
		if (at < 0) {
			stacks__free(r);
			return NULL;
		}
	}
	return r;
}
