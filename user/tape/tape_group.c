/* SPDX-License-Identifier: MIT */
/* tape_group.c - groups of records between the sink and the writer: see the essay of tape_sink.c. */
#include <errno.h>

#include "tape/tape_sink_priv.h"

int tape_group__grow(struct tape_group *g, size_t bytes)
{
	size_t cap = ALIGN_UP(MAX(g->bytes + bytes, g->own_cap * 2), 4096);
	bool in_own = g->data == g->own;
	u8 *own = g->own;

	if (!in_own && !g->failed && g->bytes + bytes <= g->own_cap)
		cap = g->own_cap;
	else
		own = g->failed ? NULL : realloc(g->own, cap);
	if (!own) {
		g->failed = true;
		return -ENOMEM;
	}
	if (!in_own)
		memcpy(own, g->data, g->bytes);
	g->data = g->own = own;
	g->cap = g->own_cap = cap;
	return 0;
}

void tape_group__synthetic(struct tape_group *g, enum tape_procedure procedure, u16 count)
{
	struct tape_x_synthetic *x = tape_group__add(g, TAPE_X_SYNTHETIC, sizeof(*x));

	if (!x)
		return;
	x->procedure = procedure;
	x->count = count;
}

/* Append in pieces of whole records, where the group is larger than the writer takes. Returns the bytes that are in the
 * tape; *err tells why not all. Each prefix of what we make in several pieces is as good as a
 * tape. */
static size_t append_pieces(struct tape_sink *s, const u8 *data, size_t bytes, bool last, int *err)
{
	size_t done = 0;

	*err = 0;
	while (done < bytes) {
		size_t n = 0;

		while (done + n < bytes) {
			size_t len = ((const struct tape_head *)(data + done + n))->len;

			if (n + len > s->max_group)
				break;
			n += len;
		}
		*err = last ? tape_writer__append_last(s->w, data + done, n) :
			      tape_writer__append(s->w, data + done, n);
		if (*err)
			break;
		done += n;
	}
	return done;
}

bool tape_sink__drained(struct tape_sink *s)
{
	struct tape_group *p = &s->pending;
	size_t n;
	int err;

	if (!p->bytes)
		return true;
	n = append_pieces(s, p->data, p->bytes, true, &err);
	memmove(p->data, p->data + n, p->bytes - n);
	p->bytes -= n;
	return !p->bytes;
}

/* It has been built where it is to go, and nothing went there meanwhile. */
static bool tape_group__is_staged(const struct tape_group *g)
{
	return g->data == g->stage->at;
}

/* Into memory of its own, `bytes` of it. */
static int tape_group__unstage(struct tape_group *g, size_t bytes)
{
	int err;

	if (g->data == g->own)
		return 0;
	g->bytes = bytes;
	err = tape_group__grow(g, 0);
	g->bytes = 0;
	g->failed = false;
	return err;
}

int tape_sink__emit(struct tape_sink *s)
{
	struct tape_group *g = &s->group;
	size_t bytes = g->bytes;
	int err = 0;

	g->bytes = 0;
	if (g->failed) {
		g->failed = false;
		return -ENOMEM;
	}
	if (s->pending.bytes) {
		/* what is pending goes to the place where the group has been built */
		if (tape_group__unstage(g, bytes))
			return -ENOMEM;
		if (!tape_sink__drained(s))
			return -ENOSPC;
	}
	if (tape_group__is_staged(g)) {
		tape_stage__took(g->stage, bytes);
		return 0;
	}
	if (bytes <= s->max_group)
		return tape_writer__append(s->w, g->data, bytes);
	append_pieces(s, g->data, bytes, false, &err);
	return err;
}

int tape_sink__emit_last(struct tape_sink *s)
{
	struct tape_group *g = &s->group, *p = &s->pending;
	size_t bytes = g->bytes, done = 0;
	int err;

	g->bytes = 0;
	if (g->failed) {
		g->failed = false;
		return -ENOMEM;
	}
	if (!p->bytes && tape_group__is_staged(g)) {
		tape_stage__took(g->stage, bytes);
		return 0;
	}
	if (!p->bytes && bytes <= s->max_group && !tape_writer__append_last(s->w, g->data, bytes))
		return 0;
	if (p->bytes && tape_group__unstage(g, bytes))
		return -ENOMEM;
	if (!p->bytes || tape_sink__drained(s)) {
		done = append_pieces(s, g->data, bytes, true, &err);
		if (done == bytes)
			return 0;
	}
	if (p->bytes + bytes - done > p->cap && tape_group__grow(p, bytes - done))
		return -ENOMEM;
	memcpy(p->data + p->bytes, g->data + done, bytes - done);
	p->bytes += bytes - done;
	return 0;
}
