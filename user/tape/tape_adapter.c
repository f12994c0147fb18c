/* SPDX-License-Identifier: MIT */
/*
 * tape_adapter.c - the calls of one tape of several.
 *
 * Times are shifted by the difference of the tapes' bases; spans, callsites, processes and threads get numbers of their own. Those of
 * spans are dealt out as cards are: with three tapes the second has 2, 5, 8 ... So nothing has to be remembered of a span, and
 * what follows from a closed one still names it.
 * In the tapes of one recording (a lane) numbers mean the same, and spans go on where the tape before was cut (tape_join.h). Sinks know
 * processes and threads by their addresses, so they hear of the one that the first tape of the lane has told of: later ones give
 * it what they say that is new.
 */
#include "tape/tape_merge_priv.h"

#include <errno.h>
#include <string.h>

/* --- numbers ----------------------------------------------------------------------------------------------- */

/* Numbers from here on are given to spans whose own are too large (made by hand: no recorder counts that far). */
#define LARGE_SPANS (1ULL << 63)

static bool is_large(const struct source *s, u64 span)
{
	return span > (LARGE_SPANS - 1) / s->merge->lanes;
}

/* 0 stays 0, and so does a large one that is not open. */
static u64 span_of(const struct source *s, u64 span)
{
	if (is_large(s, span))
		return (u64)(uintptr_t)idmap__find(&s->lane->span, span);
	return span ? (span - 1) * s->merge->lanes + s->place + 1 : 0;
}

static int keep_large(struct source *s, u64 span)
{
	if (!is_large(s, span))
		return 0;
	return idmap__put(&s->lane->span, span, (void *)(uintptr_t)(LARGE_SPANS + ++s->merge->large_spans));
}

/*
 * Once for each process and thread, as the reader tells again of one whose name has changed. One that an earlier tape of the recording has
 * told of is the same: sinks know it by its address. NULL: no memory.
 */
static void *adopt(struct source *s, struct idmap *lane, struct idmap *uids, void *what, u64 *uid, u64 *begin_ns)
{
	void *same = idmap__find(&s->known, (uintptr_t)what);

	if (same)
		return same;
	same = idmap__find(lane, *uid) ?: what;
	if (idmap__put(lane, *uid, same))
		return NULL;
	if (same == what) {
		if (idmap__find(uids, *uid))
			*uid = --s->merge->fresh_uid;
		*begin_ns += s->shift;
	}
	return idmap__put(uids, *uid, what) || idmap__put(&s->known, (uintptr_t)what, same) ? NULL : same;
}

/* As the lane's first tape that tells of it. */
static struct thread *thread_of(struct source *s, struct thread *t)
{
	if (s == s->lane || !t)
		return t;
	if (t != s->last_thread) {
		s->last_thread = t;
		s->last_found = idmap__find(&s->known, (uintptr_t)t) ?: t;
	}
	return s->last_found;
}

#define OUT(s, call, ...) ((s)->merge->ops.call((s)->merge->out->ctx, __VA_ARGS__))

/* --- from one tape of a recording to the next ----------------------------------------------------------------- */

int tape_adapter__begun(struct source *s)
{
	struct tape_cut c;
	int err = 0, e;

	if (!s->beginning)
		return 0;
	s->beginning = false;
	while (tape_join__left(&s->join, &c)) {
		e = c.thread ? OUT(s, span_exit, c.span, c.thread, c.time_ns, SINK_CUT) :
			       OUT(s, span_close, c.span, c.time_ns, c.dropped_ns, SINK_CUT);
		err = err ?: e;
	}
	return err;
}

/* Said of a span that goes on, before the turn. */
static bool told_again(struct source *s, u64 span, u64 time_ns)
{
	return s->beginning && !s->entering && time_ns < s->begin_ns && tape_join__joined(&s->join, span_of(s, span));
}

/* --- the adapter ------------------------------------------------------------------------------------------- */

static int on_callsite(void *ctx, struct callsite *c)
{
	struct source *s = ctx;

	c->id = ++s->merge->callsites;
	return OUT(s, callsite, c);
}

/* The memory is its reader's, which frees whatever is there. 1: it was another text, 0: the same. */
static int set_text(char **where, const char *text)
{
	char *copy = NULL;

	if (*where == text || (*where && text && !strcmp(*where, text)))
		return 0;
	if (text && !(copy = strdup(text)))
		return -ENOMEM;
	free(*where);
	*where = copy;
	return 1;
}

/* What a later tape says of it. 1: something is new. */
static int process__becomes(struct process *p, const struct process *now)
{
	int exe = set_text(&p->exe, now->exe), cmdline = set_text(&p->cmdline, now->cmdline);
	bool comm = memcmp(p->comm, now->comm, sizeof(p->comm));

	memcpy(p->comm, now->comm, sizeof(p->comm));
	p->dev = now->dev;
	p->ino = now->ino;
	return exe < 0 || cmdline < 0 ? -ENOMEM : exe || cmdline || comm;
}

static int on_process(void *ctx, struct process *p)
{
	struct source *s = ctx;
	struct process *same = adopt(s, &s->lane->lane_process, &s->merge->process_uids, p, &p->uid, &p->begin_ns);

	int changed;

	if (!same)
		return -ENOMEM;
	if (same == p && s->lane->later)
		process__hold(p);
	changed = same == p ? 1 : process__becomes(same, p);
	return changed > 0 ? OUT(s, process, same) : changed;
}

static int on_process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	struct source *s = ctx;

	return OUT(s, process_end, idmap__find(&s->known, (uintptr_t)p) ?: p, time_ns + s->shift, status, known);
}

static int on_thread(void *ctx, struct thread *t)
{
	struct source *s = ctx;
	struct thread *same;
	int changed;

	/* of a process that an earlier tape has told of */
	if (t->process && s != s->lane)
		t->process = idmap__find(&s->known, (uintptr_t)t->process) ?: t->process;
	same = adopt(s, &s->lane->lane_thread, &s->merge->thread_uids, t, &t->uid, &t->begin_ns);
	if (!same)
		return -ENOMEM;
	if (same == t && s->lane->later)
		thread__hold(t);
	changed = same == t ? 1 : set_text((char **)&same->name, t->name);
	return changed > 0 ? OUT(s, thread, same) : changed;
}

static int on_thread_end(void *ctx, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;

	return OUT(s, thread_end, thread_of(s, t), time_ns + s->shift);
}

static int on_open(void *ctx, const struct span_open *o)
{
	struct source *s = ctx;
	struct span_open mine = *o;
	int err = 0;

	if (!(o->flags & SPAN_BEFORE))
		err = tape_adapter__begun(s);
	else if (s->beginning && tape_join__goes_on(&s->join, span_of(s, o->span), NULL))
		return 0;
	if (keep_large(s, o->span))
		return -ENOMEM;
	mine.thread = thread_of(s, o->thread);
	mine.span = span_of(s, o->span);
	mine.parent = span_of(s, o->parent);
	mine.time_ns += s->shift;
	return err ?: OUT(s, span_open, &mine);
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;
	int err = 0;

	t = thread_of(s, t);
	if (s->beginning) {
		s->entering = true;
		if (tape_join__goes_on(&s->join, span_of(s, span), t))
			return 0;
		err = tape_adapter__begun(s);
	}
	return err ?: OUT(s, span_enter, span_of(s, span), t, time_ns + s->shift);
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct source *s = ctx;
	int err = tape_adapter__begun(s);

	t = thread_of(s, t);
	if (why == SINK_CUT && s->later)
		return err ?: tape_join__keep(&s->later->join, span_of(s, span), t, time_ns + s->shift, 0);
	return err ?: OUT(s, span_exit, span_of(s, span), t, time_ns + s->shift, why);
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct source *s = ctx;
	u64 mine = span_of(s, span);
	int err = tape_adapter__begun(s);

	if (why == SINK_CUT && s->later)
		return err ?: tape_join__keep(&s->later->join, mine, NULL, time_ns + s->shift, dropped_ns + s->shift);
	if (is_large(s, span))
		idmap__remove(&s->lane->span, span);
	return err ?: OUT(s, span_close, mine, time_ns + s->shift, dropped_ns + s->shift, why);
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;

	return told_again(s, span, time_ns) ? 0 : OUT(s, span_value, span_of(s, span), c, v, thread_of(s, t), time_ns + s->shift);
}

static int on_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 time_ns)
{
	struct source *s = ctx;
	u64 before = span_of(s, follows);

	if (told_again(s, span, time_ns))
		return 0;
	/* a large one that is closed has lost its number here: what was followed cannot be said */
	return before ? OUT(s, span_follows, span_of(s, span), before, thread_of(s, t), time_ns + s->shift) : 0;
}

static int on_event(void *ctx, const struct event *e)
{
	struct source *s = ctx;
	struct event mine = *e;
	int err = tape_adapter__begun(s);

	mine.parent = span_of(s, e->parent);
	mine.thread = thread_of(s, e->thread);
	mine.time_ns += s->shift;
	return err ?: OUT(s, event, &mine);
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct source *s = ctx;
	struct loss mine = *l;

	mine.from_ns += s->shift;
	mine.thread = thread_of(s, (struct thread *)l->thread);
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

const struct sink_ops tape_adapter__ops = {
	.callsite = on_callsite, .process = on_process, .process_end = on_process_end, .thread = on_thread,
	.thread_end = on_thread_end, .span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span,
	.span_close = on_close, .span_value = on_value, .span_follows = on_follows, .event = on_event, .loss = on_loss,
	.trigger = on_trigger,
};
