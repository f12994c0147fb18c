/* SPDX-License-Identifier: MIT */
#include "flight/told_priv.h"

#include <string.h>

#define MAX_CLONES 1024 /* of one span that are told again; who has more will not drop them all in one window */

struct out {
	u8 *to; /* NULL: count only */
	u64 bytes;
};

static void put(struct out *o, const void *rec, u32 bytes)
{
	u32 room = ALIGN_UP(bytes + 1, 8);

	if (o->to) {
		memset(o->to + o->bytes + room - 8, 0, 8);
		memcpy(o->to + o->bytes, rec, bytes);
	}
	o->bytes += room;
}

static void put_rec(struct out *o, const struct told_rec *r)
{
	if (!r)
		return;
	put(o, r->rec, r->bytes);
	r->by->copied = false;
}

/* A span that is over may be followed. Its name makes it one that is open again, until this. */
static void put_undo(struct out *o, const struct told *t, const struct told_rec *f)
{
	struct {
		struct wire_head h;
		struct wire_imm imm;
		u8 rec[sizeof(struct wire_rec) + WIRE_REF_BYTES];
	} u = { 0 };
	const u32 skip = sizeof(struct wire_head) + sizeof(struct wire_imm) + sizeof(struct wire_rec) + WIRE_REF_BYTES;
	u32 head = WIRE_HEAD(WIRE_R_DROP, 0, 0, sizeof(u.rec));
	u64 id;

	memcpy(&id, f->rec + skip, sizeof(id));
	if (told_span__find(t, f->by->pid, id)) /* it is said of that one itself */
		return;
	memcpy(&u, f->rec, sizeof(u.h) + sizeof(u.imm));
	u.h.bytes = sizeof(u.h) + sizeof(u.imm) + sizeof(u.rec);
	u.imm.bytes = sizeof(u.rec);
	memcpy(u.rec, &head, sizeof(head));
	memcpy(u.rec + sizeof(struct wire_rec), f->rec + skip, WIRE_REF_BYTES);
	put(o, &u, u.h.bytes);
}

static void put_follows(struct out *o, const struct told *t, const struct told_rec *list)
{
	const struct told_rec *f;

	DL_FOREACH(list, f) {
		put_rec(o, f);
		put_undo(o, t, f);
	}
}

static void put_list(struct out *o, const struct told_rec *list)
{
	const struct told_rec *r;

	DL_FOREACH(list, r)
		put_rec(o, r);
}

/* Is there something to be said of it? */
static bool is_telling(const struct told_span *s)
{
	return s->block || s->open || s->clones || s->values;
}

static void put_span(struct out *o, const struct told *t, const struct told_span *s)
{
	s64 i;

	if (!is_telling(s))
		return;
	put_rec(o, s->open);
	put_list(o, s->values);
	put_follows(o, t, s->follows);
	for (i = 0; i < MIN(s->clones, (s64)MAX_CLONES); i++)
		put_rec(o, s->clone);
	for (i = 0; i < MIN(-s->clones, (s64)MAX_CLONES); i++)
		put_rec(o, s->drop);
}

static void put_end(struct out *o, const struct told_rec *r)
{
	if (!r || r->by->copied)
		return;
	r->by->copied = true;
	if (r->by->end.head.kind)
		put(o, &r->by->end, sizeof(r->by->end));
}

static void put_ends(struct out *o, const struct told_rec *list)
{
	const struct told_rec *r;

	DL_FOREACH(list, r)
		put_end(o, r);
}

u64 told__copy(const struct told *t, u8 *to)
{
	struct out o = { .to = to };
	const struct told_span *s;

	DL_FOREACH(t->oldest, s)
		put_span(&o, t, s);
	/* that their threads have ended since */
	DL_FOREACH(t->oldest, s) {
		if (!is_telling(s))
			continue;
		put_end(&o, s->open);
		put_end(&o, s->clone);
		put_end(&o, s->drop);
		put_ends(&o, s->values);
		put_ends(&o, s->follows);
	}
	return o.bytes;
}
