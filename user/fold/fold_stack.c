/* SPDX-License-Identifier: MIT */
/*
 * fold_stack.c - our own styles: the threads' real stacks, and spans under their parents by busy time, time open, or
 * number.
 *
 * A clock that goes back (a damaged tape) makes a time 0, never a huge one.
 */
#include "fold/fold_priv.h"

#include <errno.h>

static u64 elapsed(u64 from_ns, u64 to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

/* --- the entered stacks ------------------------------------------------------------------------------------ */

/* What has passed since the thread's stack changed last goes to the stack that it had. */
static int stack_time(struct fold *f, struct fold_thread *t, u64 time_ns)
{
	u64 d = elapsed(t->last_ns, time_ns);

	t->last_ns = time_ns;
	return t->depth && d ? fold__add(f, t->stack[MIN(t->depth - 1, t->full)].node, d) : 0;
}

/*
 * The nodes of the entries from `from` on. Where a stack is as deep as stacks get, all above is the same node: t->full is
 * the first entry of it, and those above have none. So a thread that nests without end costs no more than that depth.
 */
static int place_entries(struct fold *f, struct fold_thread *t, u32 from)
{
	s64 node;

	if (from > t->full) {
		stacks__set_deeper(f->stacks);
		return 0;
	}
	t->full = UINT32_MAX;
	node = from ? t->stack[from - 1].node : t->root;
	for (; from < t->depth && t->full == UINT32_MAX; from++) {
		if (!t->stack[from].duplicate)
			node = stacks__child(f->stacks, (u32)node, t->stack[from].span->frame);
		if (node < 0)
			return (int)node;
		t->stack[from].node = (u32)node;
		if (stacks__node(f->stacks, (u32)node)->depth >= stacks__depth(f->stacks))
			t->full = from;
	}
	if (from < t->depth)
		stacks__set_deeper(f->stacks);
	return 0;
}

int fold__push(struct fold_thread *t, struct fold_span *s, u64 time_ns)
{
	struct fold_entry *more, e = { .span = s, .since_ns = time_ns };
	u32 i;

	if (t->depth == t->cap) {
		more = realloc(t->stack, MAX(t->cap * 2, 16u) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->stack = more;
		t->cap = MAX(t->cap * 2, 16u);
	}
	/* s->entries: open entries anywhere, so that the walk is for those that have some */
	for (i = 0; s->entries && i < t->depth; i++)
		if (t->stack[i].span == s)
			e.duplicate = true;
	s->entries++;
	t->stack[t->depth++] = e;
	return 0;
}

u32 fold__pop(struct fold_thread *t, struct fold_span *s)
{
	u32 i = t->depth, k;

	while (i && t->stack[i - 1].span != s)
		i--;
	if (!i)
		return UINT32_MAX; /* not entered there, as far as we have seen */
	s->entries--;
	for (k = i--; k < t->depth; k++)
		t->stack[k - 1] = t->stack[k];
	t->depth--;
	return i;
}

/* Most stacks grow and shrink by one, above nothing that is special. */
static int stack_enter(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	int err = stack_time(f, t, time_ns);

	return fold__push(t, s, time_ns) ?: place_entries(f, t, t->depth - 1) ?: err;
}

static int stack_exit(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	int err = stack_time(f, t, time_ns);
	u32 i;

	if (t->depth && t->stack[t->depth - 1].span == s && t->depth <= t->full) {
		s->entries--;
		t->depth--;
		return err;
	}
	i = fold__pop(t, s);
	return i == UINT32_MAX ? err : place_entries(f, t, i) ?: err;
}

const struct fold_ops fold_stack_ops = { .enter = stack_enter, .exit = stack_exit };

/* --- under their parents ----------------------------------------------------------------------------------- */

/* A span's own time runs while it is on and none of its children is. Settled before every change of either. */
static void settle(struct fold_span *s, bool on, u64 time_ns)
{
	if (s->counting)
		s->sum_ns += elapsed(s->since_ns, time_ns);
	s->since_ns = time_ns;
	s->counting = on && !s->children;
}

static int tree_open(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	s64 node = fold__chain(f, s, s->parent && s->parent->placed ? s->parent->root : t ? t->root : STACKS_ROOT);

	return node < 0 ? (int)node : 0;
}

static int tree_add(struct fold *f, struct fold_span *s)
{
	s64 node = s->placed ? s->node : fold__chain(f, s, s->root);

	return node < 0 ? (int)node : s->sum_ns ? fold__add(f, (u32)node, s->sum_ns) : 0;
}

static int busy_enter(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	struct fold_span *p = s->parent;

	if (s->entries++)
		return 0;
	settle(s, true, time_ns);
	if (p) {
		p->children++;
		settle(p, p->entries, time_ns);
	}
	return 0;
}

static int busy_exit(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	struct fold_span *p = s->parent;

	if (!s->entries || --s->entries)
		return 0;
	settle(s, false, time_ns);
	if (p) {
		p->children--;
		settle(p, p->entries, time_ns);
	}
	return 0;
}

static int busy_close(struct fold *f, struct fold_span *s, u64 time_ns)
{
	if (s->entries) {
		s->entries = 1;
		busy_exit(f, s, NULL, time_ns);
	}
	return tree_add(f, s);
}

const struct fold_ops fold_busy_ops = { .open = tree_open, .enter = busy_enter, .exit = busy_exit, .close = busy_close };

/* Open is to wall time what entered is to busy time. */
static int wall_open(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	busy_enter(f, s, t, MAX(time_ns, f->opts.cut_ns));
	return tree_open(f, s, t, time_ns);
}

const struct fold_ops fold_wall_ops = { .open = wall_open, .close = busy_close };

static int count_open(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	return tree_open(f, s, t, time_ns) ?: fold__add(f, s->node, 1);
}

const struct fold_ops fold_count_ops = { .open = count_open };
