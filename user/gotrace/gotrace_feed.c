/* SPDX-License-Identifier: MIT */
/* gotrace_feed.c - what the slices stage tells, as items that wait (gotrace.c). */
#include "gotrace/gotrace_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codes.h"

/* --- processes and threads ------------------------------------------------------------------------------------------ */

struct gproc *gotrace__proc(struct gotrace *g, struct process *process)
{
	struct gproc *p = process ? idmap__find(&g->procs_by_uid, process->uid) : &g->nobody;

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p || idmap__put(&g->procs_by_uid, process->uid, p)) {
		free(p);
		return NULL;
	}
	p->process = process;
	process__hold(process); /* as long as we are */
	*g->procs_last = p;
	g->procs_last = &p->next;
	return p;
}

static int add_proc(struct gotrace *g, struct gproc *p, enum item_kind kind, u64 ns, u8 flags)
{
	struct item i = { .time_ns = ns, .proc = p, .kind = kind, .flags = flags };

	return gotrace__add(g, &i);
}

static int note_text(struct gotrace *g, struct gproc *p, enum note n, u64 ns, void (*say)(struct text_buf *, const void *),
		     const void *what)
{
	struct item i = { .time_ns = ns, .proc = p, .kind = ITEM_LOG };
	char *at = gotrace__text(g, g->note[n], ns);
	struct text_buf b;

	if (!at)
		return -ENOMEM;
	text_buf__init(&b, at, GO_MAX_TEXT);
	say(&b, what);
	return gotrace__add_text(g, &i, &b);
}

static void say_text(struct text_buf *b, const void *text)
{
	text_buf__puts(b, text);
}

int gotrace__note(struct gotrace *g, struct gproc *p, enum note n, u64 ns, const char *text)
{
	return note_text(g, p, n, ns, say_text, text);
}

static int on_process(void *ctx, struct process *process)
{
	struct gotrace *g = ctx;
	bool known = idmap__find(&g->procs_by_uid, process->uid);
	struct gproc *p = gotrace__proc(g, process);
	char name[96], text[128];

	if (!p)
		return -ENOMEM;
	if (!known)
		return add_proc(g, p, ITEM_PROC, process->begin_ns, ITEM_EARLY);
	/* its goroutine and root task may have been written with the old name */
	if (!p->born)
		return 0;
	snprintf(text, sizeof(text), "is now %s", gproc__name(p, name));
	return gotrace__note(g, p, NOTE_PROCESS, g->last_ns, text);
}

static int on_process_end(void *ctx, struct process *process, u64 ns, u32 status, bool known)
{
	struct gotrace *g = ctx;
	struct gproc *p = gotrace__proc(g, process);
	char text[64] = "ended";
	int err;

	if (!p)
		return -ENOMEM;
	if (known && (status & 0x7f))
		snprintf(text, sizeof(text), "killed by signal %u", status & 0x7f);
	else if (known)
		snprintf(text, sizeof(text), "exited with status %u", status >> 8 & 0xff);
	err = gotrace__note(g, p, NOTE_PROCESS, ns, text);
	return err ? err : add_proc(g, p, ITEM_PROC_END, ns, 0);
}

static struct gthread *new_thread(struct gotrace *g, struct slice_thread *t)
{
	struct gthread *th = t->user;

	th->proc = gotrace__proc(g, t->thread->process);
	if (!th->proc)
		return NULL;
	th->all = g->threads;
	g->threads = th;
	return th;
}

static inline struct gthread *thread_of(struct gotrace *g, struct slice_thread *t)
{
	struct gthread *th = t->user;

	return __builtin_expect(th->proc != NULL, 1) ? th : new_thread(g, t);
}

static int on_thread(void *ctx, struct slice_thread *t)
{
	struct gotrace *g = ctx;
	struct gthread *th = thread_of(g, t);
	struct item i = { .time_ns = t->thread->begin_ns, .thread = t, .kind = ITEM_THREAD, .flags = ITEM_EARLY };

	if (!th)
		return -ENOMEM;
	if (th->told) {
		/* until its goroutine is written the name is taken from the thread */
		if (!th->born)
			return 0;
		i.kind = ITEM_RENAME;
		i.time_ns = t->last_ns;
		i.flags = 0;
	}
	th->told = true;
	return gotrace__add(g, &i);
}

static int on_thread_end(void *ctx, struct slice_thread *t, u64 ns)
{
	struct gotrace *g = ctx;
	struct item i = { .time_ns = ns, .thread = t, .kind = ITEM_THREAD_END };

	return thread_of(g, t) ? gotrace__add(g, &i) : -ENOMEM;
}

/* --- spans ---------------------------------------------------------------------------------------------------------- */

static void wait_for_entry(struct gotrace *g, struct slice_span *s)
{
	struct gspan *gs = gspan(s);

	gs->pending = true;
	gs->next = g->pending;
	if (g->pending)
		gspan(g->pending)->prev = s;
	g->pending = s;
}

static void stop_waiting(struct gotrace *g, struct slice_span *s)
{
	struct gspan *gs = gspan(s);

	if (!gs->pending)
		return;
	gs->pending = false;
	*(gs->prev ? &gspan(gs->prev)->next : &g->pending) = gs->next;
	if (gs->next)
		gspan(gs->next)->prev = gs->prev;
	gs->prev = gs->next = NULL;
}

static int add_span(struct gotrace *g, struct slice_span *s, struct slice_thread *t, enum item_kind kind, u64 ns, u8 flags)
{
	struct item i = { .time_ns = ns, .thread = t, .span = s, .kind = kind, .flags = flags };

	if (t && !thread_of(g, t))
		return -ENOMEM;
	slices__hold(s);
	return gotrace__add(g, &i);
}

static u8 early(const struct slice_span *s)
{
	return s->flags & SPAN_BEFORE ? ITEM_EARLY : 0;
}

/* What a log says, for add_log. */
struct said {
	const struct callsite *c;
	const struct value *v;
	u32 cnt;
	const struct span_open *open;
	u64 before_ns;
	u64 follows;
	const struct slice_span *followed;
};

static void say_opening(struct text_buf *b, const struct said *w)
{
	char tmp[96];

	if (w->open->flags & SPAN_FIELDS_LOST)
		text_buf__puts(b, "(fields lost) ");
	if (w->open->lost_parent) {
		snprintf(tmp, sizeof(tmp), "(parent 0x%" PRIx64 " unknown) ", w->open->lost_parent);
		text_buf__puts(b, tmp);
	}
	if (!(w->open->flags & SPAN_BEFORE))
		return;
	text_buf__puts(b, "(opened ");
	if (w->before_ns) {
		snprintf(tmp, sizeof(tmp), "%" PRIu64 ".%09" PRIu64 " s ", (u64)(w->before_ns / NSEC_PER_SEC),
			 (u64)(w->before_ns % NSEC_PER_SEC));
		text_buf__puts(b, tmp);
	}
	text_buf__puts(b, "before this trace) ");
}

static void say(struct text_buf *b, const struct said *w)
{
	if (w->open)
		say_opening(b, w);
	if (w->c)
		text_buf__fields(b, w->c, w->v, w->cnt);
	if (!w->follows)
		return;
	text_buf__puts(b, "follows from ");
	if (w->followed)
		text_buf__puts(b, w->followed->callsite->name);
	else
		text_buf__puts(b, "span ");
	if (!w->followed)
		text_buf__u64(b, w->follows);
}

/* A log on a thread (NULL: on the control goroutine of the process), in the task of span s (NULL: of where the thread is). */
static int add_log(struct gotrace *g, struct gsite *site, struct slice_thread *t, struct slice_span *s, u64 ns, u8 flags,
		   const struct said *what)
{
	struct item i = { .time_ns = ns, .thread = t, .kind = ITEM_LOG, .flags = flags };
	char *at = site ? gotrace__text(g, site, ns) : NULL;
	struct text_buf b;

	if (!at || (t && !thread_of(g, t)))
		return -ENOMEM;
	text_buf__init(&b, at, GO_MAX_TEXT);
	say(&b, what);
	if (b.at > at && b.at[-1] == ' ')
		b.at--;
	if (t && s) {
		slices__hold(s);
		i.span = s;
	} else if (!t) {
		i.proc = g->procs ? g->procs : &g->nobody;
	}
	return gotrace__add_text(g, &i, &b);
}

static int on_open(void *ctx, struct slice_span *s, const struct span_open *o)
{
	struct gotrace *g = ctx;
	struct said what = { .c = o->callsite, .v = o->value, .cnt = o->value_cnt, .open = o };
	int err = 0;

	gspan(s)->site = gotrace__site(g, o->callsite);
	if (!gspan(s)->site)
		return -ENOMEM;
	if (o->flags & SPAN_BEFORE && g->opts.start_ns > o->time_ns)
		what.before_ns = g->opts.start_ns - o->time_ns;
	if (o->value_cnt || o->lost_parent || o->flags & (SPAN_FIELDS_LOST | SPAN_BEFORE))
		err = add_log(g, gspan(s)->site, s->opener, s, o->time_ns, ITEM_OPEN | early(s), &what);
	/* now: a cut that the log calls for does not ask for its entry, which may be the next call */
	wait_for_entry(g, s);
	return err;
}

/* From its opening on, as far as that still waits. */
static int make_task(struct gotrace *g, struct slice_span *s)
{
	return add_span(g, s, s->opener, ITEM_TASK_BEGIN, s->open_ns, early(s));
}

int gotrace__force(struct gotrace *g, struct slice_span *s)
{
	stop_waiting(g, s);
	if (is_task(s))
		return 0;
	gspan(s)->forced = true;
	return make_task(g, s);
}

static int on_async(void *ctx, struct slice_span *s, u64 ns)
{
	struct gotrace *g = ctx;

	return gspan(s)->forced ? 0 : make_task(g, s);
}

/* Fields of an opening go into the region, if that begins at once. */
static bool goes_before(struct gotrace *g, const struct item *begin)
{
	struct item *last = g->item_cnt ? &g->item[g->item_cnt - 1] : NULL;

	return last && last->kind == ITEM_LOG && last->flags & ITEM_OPEN && last->span == begin->span &&
	       last->thread == begin->thread && last->time_ns <= begin->time_ns;
}

static inline int add_begin(struct gotrace *g, const struct item *i)
{
	int err;

	slices__hold(i->span);
	err = gotrace__add(g, i);
	gspan(i->span)->item = g->items_gone + g->item_cnt - 1;
	return err;
}

static int on_begin(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns, u32 slice_flags)
{
	struct gotrace *g = ctx;
	struct item i = { .time_ns = ns, .thread = t, .span = s, .kind = ITEM_BEGIN, .flags = early(s) }, log;

	if (!thread_of(g, t))
		return -ENOMEM;
	stop_waiting(g, s);
	if (!goes_before(g, &i))
		return add_begin(g, &i);
	/* in place of the log, which comes behind it, at the same time */
	slices__hold(s);
	log = g->item[g->item_cnt - 1];
	log.time_ns = ns;
	g->item[g->item_cnt - 1] = i;
	gspan(s)->item = g->items_gone + g->item_cnt - 1;
	return gotrace__append(g, &log);
}

/* It ends what is innermost then. */
static inline int add_end(struct gotrace *g, struct slice_thread *t, u64 ns, u8 flags)
{
	struct item i = { .time_ns = ns, .thread = t, .kind = ITEM_END, .flags = flags };

	return thread_of(g, t) ? gotrace__add(g, &i) : -ENOMEM;
}

/*
 * The span is closed, and as it is no task it will not become one: what waits of it, a begin and the fields of its opening, can do
 * without it. Otherwise a generation's spans would be in memory besides its items. What is not found where it was put (a
 * late call has moved it) keeps its hold until it is written.
 */
static inline void let_go(struct gotrace *g, struct slice_span *s)
{
	u64 at = gspan(s)->item - g->items_gone;
	struct item *i = g->item + at;

	if (at >= g->item_cnt || i->kind != ITEM_BEGIN || i->span != s)
		return;
	i->kind = ITEM_PLAIN;
	i->site = gspan(s)->site;
	s->refs--;
	if (++at < g->item_cnt && (++i)->kind == ITEM_LOG && i->thread && i->span == s) {
		i->span = NULL;
		s->refs--;
	}
}

static int on_end(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns, enum sink_why why, u32 slice_flags)
{
	struct gotrace *g = ctx;
	bool left = why == SINK_CUT && !(slice_flags & SLICE_SPLIT);

	g->left_open |= left;
	return add_end(g, t, ns, left ? ITEM_LEFT : 0);
}

static int on_close(void *ctx, struct slice_span *s, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct gotrace *g = ctx;

	stop_waiting(g, s);
	if (!is_task(s)) {
		let_go(g, s);
		return 0;
	}
	if (why != SINK_CUT)
		return add_span(g, s, s->opener, ITEM_TASK_END, ns, 0);
	g->left_open = true;
	return 0;
}

static int on_open_begin(void *ctx, struct slice_thread *t, struct slice_span *s, const struct span_open *o, u64 ns)
{
	struct gotrace *g = ctx;
	struct item i = { .time_ns = ns, .thread = t, .span = s, .kind = ITEM_BEGIN };
	int err;

	if (o->value_cnt || o->lost_parent || o->flags) {
		err = on_open(g, s, o);
		return err ? err : on_begin(g, t, s, ns, 0);
	}
	gspan(s)->site = gotrace__site(g, o->callsite);
	return gspan(s)->site && thread_of(g, t) ? add_begin(g, &i) : -ENOMEM;
}

static int on_end_close(void *ctx, struct slice_thread *t, struct slice_span *s, u64 ns)
{
	struct gotrace *g = ctx;
	int err = add_end(g, t, ns, 0);

	if (__builtin_expect(is_task(s), 0))
		return err ? err : on_close(g, s, ns, ns, SINK_OWN);
	let_go(g, s);
	return err;
}

static int on_value(void *ctx, struct slice_span *s, const struct callsite *c, const struct value *v, struct slice_thread *t,
		    u64 ns)
{
	struct said what = { .c = c, .v = v, .cnt = 1 };

	return add_log(ctx, gspan(s)->site, t, s, ns, 0, &what);
}

static int on_follows(void *ctx, struct slice_span *s, u64 follows, struct slice_thread *t, u64 ns)
{
	struct gotrace *g = ctx;
	struct said what = { .follows = follows, .followed = slices__find(g->slices, follows) };

	return add_log(g, gspan(s)->site, t, s, ns, 0, &what);
}

static int on_event(void *ctx, const struct event *e, struct slice_thread *t, u64 ns)
{
	struct gotrace *g = ctx;
	struct slice_span *in = e->parent ? slices__find(g->slices, e->parent) : NULL;
	struct said what = { .c = e->callsite, .v = e->value, .cnt = e->value_cnt };

	return add_log(g, gotrace__site(g, e->callsite), t, in, ns, 0, &what);
}

static void say_loss(struct text_buf *b, const void *what)
{
	const struct loss *l = what;

	text_buf__u64(b, l->count);
	text_buf__puts(b, " records lost: ");
	text_buf__puts(b, loss_cause__label(l->cause));
	if (l->callsite) {
		text_buf__puts(b, " of ");
		text_buf__puts(b, l->callsite->name);
	}
	if (l->thread) {
		text_buf__puts(b, " on ");
		text_buf__puts(b, l->thread->name);
		text_buf__puts(b, "/");
		text_buf__u64(b, l->thread->tid);
	}
}

static int on_loss(void *ctx, const struct loss *l)
{
	struct gotrace *g = ctx;
	struct gproc *p = l->thread ? gotrace__proc(g, l->thread->process) : g->procs;

	return note_text(g, p ? p : &g->nobody, NOTE_LOSS, l->to_ns, say_loss, l);
}

/* Told at the head of a snapshot, of a moment inside it: a log at either place would bend the times. Kept for the end. */
static int on_trigger(void *ctx, const struct sink_trigger *t)
{
	struct gotrace *g = ctx;
	char *text;

	if (g->trigger_cnt == GOTRACE_MAX_TRIGGERS)
		return 0;
	if (asprintf(&text, "%s%s%s", t->trigger, t->what[0] ? ": " : "", t->what) < 0)
		return -ENOMEM;
	g->trigger[g->trigger_cnt++] = text;
	return 0;
}

const struct slices_ops gotrace_feed_ops = {
	.process = on_process, .process_end = on_process_end, .thread = on_thread, .thread_end = on_thread_end,
	.open = on_open,       .async = on_async,	      .begin = on_begin,   .end = on_end,
	.close = on_close,     .value = on_value,	      .follows = on_follows, .event = on_event,
	.loss = on_loss,       .trigger = on_trigger,	      .open_begin = on_open_begin, .end_close = on_end_close,
};
