/* SPDX-License-Identifier: MIT */
/*
 * tape_merge.c - the tape whose next record is the earliest goes on by one record.
 *
 * Each tape's calls pass through an adapter that shifts times by the difference of the tapes' bases, and gives spans,
 * callsites, processes and threads numbers of their own. Tapes are few: a linear search for the earliest beats a heap.
 */
#include "tape/tape_merge.h"

#include "base/idmap.h"

#include <errno.h>

struct source {
	struct tape_merge *merge;
	struct tape_reader *reader;
	struct sink sink; /* the adapter */
	u64 shift;	  /* added to each time, modulo 2^64 */
	struct idmap span; /* number in the tape -> number given */
	struct idmap known; /* processes and threads that have been seen, by address */
	bool peeked, ended;
	u64 next_ns; /* shifted */
};

struct tape_merge {
	struct source *source;
	u32 cnt;
	const struct sink *out;
	struct sink_ops ops; /* of out, complete */
	u64 spans, callsites;
	struct idmap process_uids, thread_uids;
	u64 fresh_uid; /* counts down: where two tapes use the same number */
};

/* --- numbers ----------------------------------------------------------------------------------------------- */

/* Spans are never forgotten while open; 0 and unknown ones stay 0. */
static u64 span_of(const struct source *s, u64 span)
{
	return span ? (u64)(uintptr_t)idmap__find(&s->span, span) : 0;
}

/* Once for each process and thread, as the reader tells again of one whose name has changed. */
static int adopt(struct source *s, struct idmap *uids, void *what, u64 *uid, u64 *begin_ns)
{
	if (idmap__find(&s->known, (uintptr_t)what))
		return 0;
	if (idmap__find(uids, *uid))
		*uid = --s->merge->fresh_uid;
	*begin_ns += s->shift;
	return idmap__put(uids, *uid, what) || idmap__put(&s->known, (uintptr_t)what, what) ? -ENOMEM : 0;
}

#define OUT(s, call, ...) ((s)->merge->ops.call((s)->merge->out->ctx, __VA_ARGS__))

/* --- the adapter ------------------------------------------------------------------------------------------- */

static int on_callsite(void *ctx, struct callsite *c)
{
	struct source *s = ctx;

	c->id = ++s->merge->callsites;
	return OUT(s, callsite, c);
}

static int on_process(void *ctx, struct process *p)
{
	struct source *s = ctx;

	return adopt(s, &s->merge->process_uids, p, &p->uid, &p->begin_ns) ?: OUT(s, process, p);
}

static int on_process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	struct source *s = ctx;

	return OUT(s, process_end, p, time_ns + s->shift, status, known);
}

static int on_thread(void *ctx, struct thread *t)
{
	struct source *s = ctx;

	return adopt(s, &s->merge->thread_uids, t, &t->uid, &t->begin_ns) ?: OUT(s, thread, t);
}

static int on_thread_end(void *ctx, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;

	return OUT(s, thread_end, t, time_ns + s->shift);
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct source *s = ctx;
	struct span_open mine = *o;

	mine.span = ++s->merge->spans;
	mine.parent = span_of(s, o->parent);
	mine.time_ns += s->shift;
	return idmap__put(&s->span, o->span, (void *)(uintptr_t)mine.span) ?: OUT(s, span_open, &mine);
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;

	return OUT(s, span_enter, span_of(s, span), t, time_ns + s->shift);
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct source *s = ctx;

	return OUT(s, span_exit, span_of(s, span), t, time_ns + s->shift, why);
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct source *s = ctx;
	u64 mine = (u64)(uintptr_t)idmap__remove(&s->span, span);

	return OUT(s, span_close, mine, time_ns + s->shift, dropped_ns + s->shift, why);
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;

	return OUT(s, span_value, span_of(s, span), c, v, t, time_ns + s->shift);
}

static int on_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;
	u64 before = span_of(s, follows);

	/* one that is closed has lost its number here: what it followed from cannot be said */
	return before ? OUT(s, span_follows, span_of(s, span), before, t, time_ns + s->shift) : 0;
}

static int on_event(void *ctx, const struct event *e)
{
	struct source *s = ctx;
	struct event mine = *e;

	mine.parent = span_of(s, e->parent);
	mine.time_ns += s->shift;
	return OUT(s, event, &mine);
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct source *s = ctx;
	struct loss mine = *l;

	mine.from_ns += s->shift;
	mine.to_ns += s->shift;
	return OUT(s, loss, &mine);
}

static int on_trigger(void *ctx, const struct sink_trigger *t)
{
	struct source *s = ctx;
	struct sink_trigger mine = *t;

	mine.time_ns += s->shift;
	return OUT(s, trigger, &mine);
}

static const struct sink_ops adapter = {
	.callsite = on_callsite, .process = on_process, .process_end = on_process_end, .thread = on_thread,
	.thread_end = on_thread_end, .span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span,
	.span_close = on_close, .span_value = on_value, .span_follows = on_follows, .event = on_event, .loss = on_loss,
	.trigger = on_trigger,
};

/* --- the merge --------------------------------------------------------------------------------------------- */

int tape_merge__open(char *const *path, u32 cnt, const struct tape_reader_ops *ops, struct tape_merge **out, struct diag *d)
{
	struct tape_merge *m = calloc(1, sizeof(*m));
	int err = 0;
	u32 i;

	if (m)
		m->source = calloc(cnt, sizeof(*m->source));
	if (!m || !m->source) {
		free(m);
		return diag__set(d, -ENOMEM, "no memory for reading %u tapes", cnt);
	}
	for (i = 0; i < cnt && !err; i++) {
		struct source *s = &m->source[i];

		err = tape_reader__open(path[i], ops ? &ops[i] : NULL, &s->reader, d);
		if (err)
			break;
		m->cnt++;
		s->merge = m;
		s->sink = (struct sink){ &adapter, s };
		s->shift = (u64)tape_reader__intro(s->reader)->base_unix_ns -
			   (u64)tape_reader__intro(m->source[0].reader)->base_unix_ns;
	}
	if (err) {
		tape_merge__free(m);
		return err;
	}
	*out = m;
	return 0;
}

void tape_merge__free(struct tape_merge *m)
{
	u32 i;

	if (!m)
		return;
	for (i = 0; i < m->cnt; i++) {
		tape_reader__free(m->source[i].reader);
		idmap__done(&m->source[i].span);
		idmap__done(&m->source[i].known);
	}
	idmap__done(&m->process_uids);
	idmap__done(&m->thread_uids);
	free(m->source);
	free(m);
}

static struct source *earliest(struct tape_merge *m, int *err)
{
	struct source *best = NULL;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		struct source *s = &m->source[i];

		if (s->ended)
			continue;
		if (!s->peeked) {
			*err = tape_reader__peek(s->reader, &s->next_ns);
			if (*err < 0)
				return NULL;
			if (s->next_ns) /* else nothing has a time yet: at once */
				s->next_ns += s->shift;
			s->peeked = true;
		}
		if (!best || s->next_ns < best->next_ns)
			best = s;
	}
	*err = 0;
	return best;
}

int tape_merge__peek(struct tape_merge *m, u64 *time_ns)
{
	struct source *s;
	int err;

	if (m->cnt == 1)
		return tape_reader__peek(m->source[0].reader, time_ns);
	s = earliest(m, &err);
	if (s)
		*time_ns = s->next_ns;
	return s ? 1 : err;
}

int tape_merge__run(struct tape_merge *m, const struct sink *sink, u64 bytes)
{
	u64 until = tape_merge__offset(m) + bytes;
	struct source *s;
	int err, sum = 0;

	if (m->cnt == 1)
		return tape_reader__run(m->source[0].reader, sink, bytes);
	m->out = sink;
	m->ops = sink__complete(sink->ops);
	while ((s = earliest(m, &err))) {
		s->peeked = false;
		err = tape_reader__run(s->reader, &s->sink, 1);
		s->ended = err == 0;
		if (err < 0)
			return err;
		if (bytes && (++sum & 1023) == 0 && tape_merge__offset(m) >= until)
			return 1;
	}
	return err;
}

u32 tape_merge__cnt(const struct tape_merge *m)
{
	return m->cnt;
}

const struct tape_reader *tape_merge__reader(const struct tape_merge *m, u32 i)
{
	return m->source[i].reader;
}

s64 tape_merge__unix_ns(const struct tape_merge *m, u64 time_ns)
{
	return tape_reader__unix_ns(m->source[0].reader, time_ns);
}

u64 tape_merge__time_ns(const struct tape_merge *m, s64 unix_ns)
{
	return tape_reader__time_ns(m->source[0].reader, unix_ns);
}

u64 tape_merge__offset(const struct tape_merge *m)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < m->cnt; i++)
		sum += tape_reader__offset(m->source[i].reader);
	return sum;
}

u64 tape_merge__size(const struct tape_merge *m)
{
	u64 sum = 0, one;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		one = tape_reader__size(m->source[i].reader);
		if (!one)
			return 0;
		sum += one;
	}
	return sum;
}
