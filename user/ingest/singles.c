/* SPDX-License-Identifier: MIT */
/*
 * singles.c - what a ring brings besides batches and immediate records: foreign hits, and lives of threads.
 *
 * Each CPU's ring is nearly in order, so each is one source of the merge, ordered by insertion from its end.
 *
 * The end of a thread (EXIT) and of its memory (EXEC) must not overtake its records. In time it is behind them all;
 * when memory is short and records are passed on before their time, it waits apart ("parked") until the rings are
 * drained past it.
 */
#include "ingest/stream.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#define MAX_STEPS_BACK 64

/* --- where they are kept --------------------------------------------------------------------------------- */

/*
 * Hits come by the million a second and go in nearly the same order. So they are copied one behind the other into
 * chunks; a chunk is free again when all in it have gone. One that is larger than a chunk gets a larger one of its own.
 */
#define CHUNK_BYTES 65536u

struct single_chunk {
	struct single_chunk *next; /* of the free ones */
	u32 used;
	u32 live; /* records in it */
	u32 bytes;
	u32 pad;
	u8 data[];
};

static struct single_chunk *chunk__of(const void *rec)
{
	return (void *)((uintptr_t)rec & ~(uintptr_t)(CHUNK_BYTES - 1));
}

static struct single_chunk *chunk__new(struct ingest *in, u32 bytes)
{
	struct single_chunk *c = in->free_chunks;

	if (c && bytes <= CHUNK_BYTES) {
		in->free_chunks = c->next;
	} else {
		bytes = ALIGN_UP(MAX(bytes, CHUNK_BYTES), CHUNK_BYTES);
		c = aligned_alloc(CHUNK_BYTES, bytes);
		if (!c)
			return NULL;
		c->bytes = bytes;
	}
	c->used = sizeof(*c);
	c->live = 0;
	return c;
}

static void chunk__free(struct ingest *in, struct single_chunk *c)
{
	if (c->bytes > CHUNK_BYTES) {
		free(c);
		return;
	}
	c->next = in->free_chunks;
	in->free_chunks = c;
}

/* Of the record: itself, a NUL behind it (texts at its end are terminated), and its slot. */
static u32 single__room(u32 bytes)
{
	return ALIGN_UP(bytes + 1, 8);
}

static void *single__keep(struct ingest *in, const void *rec, u32 bytes)
{
	u32 room = single__room(bytes);
	struct single_chunk *c = in->chunk;
	u8 *to;

	if (in->borrow) {
		in->st.held_bytes += room + sizeof(struct single);
		ingest__uses(in, rec, true);
		return (void *)rec;
	}
	if (!c || room > c->bytes - c->used) {
		c = chunk__new(in, room + sizeof(*c));
		if (!c)
			return NULL;
		if (in->chunk && !in->chunk->live)
			chunk__free(in, in->chunk);
		in->chunk = c;
	}
	to = (u8 *)c + c->used;
	c->used += room;
	c->live++;
	memcpy(to, rec, bytes);
	to[bytes] = 0;
	in->st.held_bytes += room + sizeof(struct single);
	return to;
}

static void single__drop(struct ingest *in, const struct wire_head *rec)
{
	struct single_chunk *c = chunk__of(rec);

	in->st.held_bytes -= single__room(rec->bytes) + sizeof(struct single);
	ingest__uses(in, rec, false);
	if (in->borrow || --c->live)
		return;
	if (c != in->chunk)
		chunk__free(in, c);
	else
		c->used = sizeof(*c);
}

void singles__free_all(struct ingest *in)
{
	struct single_chunk *c;
	struct cpu_source *src;
	struct held *h, *tmp;
	u32 i;

	for (i = 0; i < in->cpu_cnt; i++) {
		src = in->cpu[i];
		for (; src && src->cnt; src->cnt--, src->head++)
			single__drop(in, src->slot[src->head & (src->cap - 1)].rec);
		if (src)
			free(src->slot);
		free(src);
	}
	free(in->cpu);
	DL_FOREACH_SAFE(in->parked, h, tmp)
		held__free(in, h);
	while ((c = in->free_chunks)) {
		in->free_chunks = c->next;
		free(c);
	}
	free(in->chunk);
}

/* --- a CPU's queue --------------------------------------------------------------------------------------- */

static struct single *cpu__at(const struct cpu_source *c, u32 i)
{
	return &c->slot[(c->head + i) & (c->cap - 1)];
}

static bool single__is_end(const struct single *s)
{
	return s->rec->kind == WIRE_EXIT || s->rec->kind == WIRE_EXEC;
}

static int cpu__refresh(struct ingest *in, struct cpu_source *c)
{
	const struct single *first;

	if (!c->cnt) {
		merge__remove(&in->merge, &c->src);
		return 0;
	}
	first = cpu__at(c, 0);
	c->src.time_ns = first->time_ns;
	c->src.rank = single__is_end(first) ? PASS_LAST_RANK : c->cpu;
	return merge__place(&in->merge, &c->src);
}

static struct cpu_source *cpu__get(struct ingest *in, u32 cpu)
{
	struct cpu_source **more;

	if (cpu >= in->cpu_cnt) {
		more = realloc(in->cpu, (cpu + 1) * sizeof(*more));
		if (!more)
			return NULL;
		memset(more + in->cpu_cnt, 0, (cpu + 1 - in->cpu_cnt) * sizeof(*more));
		in->cpu = more;
		in->cpu_cnt = cpu + 1;
	}
	if (!in->cpu[cpu]) {
		in->cpu[cpu] = calloc(1, sizeof(**in->cpu));
		if (in->cpu[cpu])
			in->cpu[cpu]->cpu = cpu;
	}
	return in->cpu[cpu];
}

static int cpu__grow(struct cpu_source *c)
{
	u32 cap = c->cap ? 2 * c->cap : 64, i;
	struct single *slot = malloc(cap * sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (i = 0; i < c->cnt; i++)
		slot[i] = *cpu__at(c, i);
	free(c->slot);
	c->slot = slot;
	c->head = 0;
	c->cap = cap;
	return 0;
}

/* Room for one more has been made. */
static int cpu__insert(struct ingest *in, struct cpu_source *c, const struct wire_head *rec)
{
	u64 time_ns = rec->time_ns;
	u32 i = c->cnt++, least = i > MAX_STEPS_BACK ? i - MAX_STEPS_BACK : 0;

	for (; i > least && cpu__at(c, i - 1)->time_ns > time_ns; i--)
		*cpu__at(c, i) = *cpu__at(c, i - 1);
	*cpu__at(c, i) = (struct single){ time_ns, rec };
	return i ? 0 : cpu__refresh(in, c);
}

/* Copy it and put it into its place. -ENOMEM: neither. */
static int cpu__add(struct ingest *in, struct cpu_source *c, const void *rec, u32 bytes)
{
	struct wire_life *l;

	if (c->cnt == c->cap && cpu__grow(c))
		return -ENOMEM;
	l = single__keep(in, rec, bytes);
	if (!l)
		return -ENOMEM;
	if (!in->borrow) {
		l->head.bytes = bytes; /* what there is, if it says more */
		if (l->head.kind != WIRE_HIT)
			l->comm[15] = '\0';
	}
	return cpu__insert(in, c, &l->head);
}

static bool single__valid(const struct wire_head *head, size_t bytes)
{
	const struct wire_hit *hit = (const void *)head;

	if (head->kind != WIRE_HIT)
		return bytes >= sizeof(struct wire_life);
	return bytes >= sizeof(*hit) && hit->arg_cnt <= WIRE_MAX_ARGS &&
	       sizeof(*hit) + 8ULL * hit->arg_cnt + hit->text_bytes <= bytes;
}

int singles__push(struct ingest *in, const void *rec, size_t bytes)
{
	const struct wire_head *head = rec;
	bool valid = single__valid(head, bytes);
	struct cpu_source *c = valid ? cpu__get(in, head->cpu) : NULL;
	int err = c ? cpu__add(in, c, rec, bytes) : -EBADMSG;

	if (!err)
		return 0;
	in->st.malformed += !valid;
	if (head->kind != WIRE_HIT)
		return 0;
	return pass__bad_single(in, head, valid ? LOSS_MEMORY : LOSS_BAD);
}

/* The thread's end has been told: nothing of its memory means anything any more. */
static void life__after(struct ingest *in, const struct wire_life *l)
{
	if (l->head.kind == WIRE_FORK || l->head.kind == WIRE_RENAME)
		return;
	pages__bury(in, l->head.pid, l->head.tid, l->head.time_ns);
	if (l->head.kind == WIRE_EXEC && l->other_tid && l->other_tid != l->head.tid)
		pages__bury(in, l->head.pid, l->other_tid, l->head.time_ns);
	if (l->head.kind == WIRE_EXEC ? !procs__younger(in, l->head.pid, l->head.time_ns) : l->flags & WIRE_LIFE_PROCESS)
		procs__forget(in, l->head.pid);
}

/* Only what follows is set: nothing else of the struct means anything in these kinds. */
static int cpu__one(struct ingest *in, const struct wire_head *head)
{
	const struct wire_life *life = (const void *)head;
	struct rec *r = &in->r;
	int err;

	r->parent = 0;
	r->depth = 0;
	r->time_ns = head->time_ns;
	r->number = ~0ULL;
	r->page = NULL;
	r->pid = head->pid;
	r->tid = head->tid;
	r->cpu = head->cpu;
	r->module = 0;
	r->site_addr = 0;
	r->payload = NULL;
	r->payload_bytes = 0;
	if (head->kind == WIRE_HIT) {
		r->kind = REC_HIT;
		r->module = head->cookie;
		r->hit = (const void *)head;
		in->st.hits++;
		err = pass__rec(in);
		r->hit = NULL; /* see page__ready */
		return err;
	}
	r->life = life;
	r->kind = head->kind == WIRE_FORK   ? REC_FORK :
		  head->kind == WIRE_EXEC   ? REC_EXEC :
		  head->kind == WIRE_RENAME ? REC_RENAME :
					      REC_EXIT;
	err = pass__say(in);
	r->life = NULL;
	in->passed_ns = MAX(in->passed_ns, r->time_ns);
	life__after(in, life);
	return err;
}

/* Apart, so that it does not keep its chunk. */
static void single__park(struct ingest *in, const struct wire_head *rec)
{
	struct held *h = held__new(in, HELD_SINGLE, rec, rec->bytes);

	if (!h)
		return; /* a life without its end */
	h->time_ns = rec->time_ns;
	h->cpu = rec->cpu;
	DL_APPEND(in->parked, h);
}

int singles__pass(struct ingest *in, struct cpu_source *c, u64 until, u64 rank)
{
	struct single *s = cpu__at(c, 0);
	const struct wire_head *rec;
	int err = 0;

	do {
		rec = s->rec;
		c->head++;
		c->cnt--;
		if (single__is_end(s) && s->time_ns > in->drained_ns)
			single__park(in, rec);
		else
			err = cpu__one(in, rec);
		single__drop(in, rec);
		s = cpu__at(c, 0);
	} while (!err && c->cnt && !pass__enough(in) && !single__is_end(s) &&
		 merge__before(s->time_ns, c->cpu, until, rank));
	cpu__refresh(in, c);
	return err;
}

int singles__unpark(struct ingest *in, u64 drained_ns)
{
	struct held *h, *tmp;

	DL_FOREACH_SAFE(in->parked, h, tmp) {
		if (h->time_ns > drained_ns)
			continue;
		if (cpu__add(in, in->cpu[h->cpu], h->data, h->bytes))
			return -ENOMEM;
		DL_DELETE(in->parked, h);
		held__free(in, h);
	}
	return 0;
}
