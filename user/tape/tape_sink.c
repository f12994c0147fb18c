/* SPDX-License-Identifier: MIT */
/*
 * tape_sink.c - the model's stream as tape records.
 *
 * Each call becomes one group of records that is appended as a whole. Two sorts of groups:
 *   - ordinary ones (definitions, opens, entries, events, values) can fail, for want of disk
 *     space; then nothing of the
 *     call is in the tape, the state is as before, and the caller counts it as lost. What later
 *     refers to
 *     a span that is not in the tape is refused with -ENOENT;
 *   - exits and closes have to follow what is written, or the tape shows nothing (upstream hides a
 *     span that is not closed, and all
 *     below it). They use the writer's reserve; where even that is used up they wait in `pending`,
 *     and all ordinary ones are
 *     refused until it is empty. It is bounded by the spans and entries that were open when the
 *     space ran out.
 *
 * Parents outlive their children here (P7): the close of a span waits for the last child's. The
 * model sees to this itself;
 * doing it again costs a counter, and the tape stays right whatever is fed.
 *
 * Invariant: records of one thread come in the order of the calls, definitions before use, and an
 * extension record right
 * before the record that it tells of (tape_format.h).
 */
#include "tape/tape_sink.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "tape/tape_sink_priv.h"

#define ALIAS_FIRST (1ULL << 63) /* the model counts from 1 */

/* --- definitions and lives ------------------------------------------------------------------------------- */

static int sink_callsite(void *ctx, struct callsite *c)
{
	return 0; /* written when used: tape_defs.c */
}

static bool other_process(const struct tape_sink *s, const struct process *p)
{
	return s->only && p != s->only;
}

static int sink_process(void *ctx, struct process *p)
{
	struct tape_sink *s = ctx;

	return other_process(s, p) ? 0 : tape_sink__put_process(s, p);
}

static int sink_thread(void *ctx, struct thread *t)
{
	struct tape_sink *s = ctx;
	struct tape_thread *tt;
	int err;

	if (other_process(s, t->process))
		return 0;
	tt = idmap__find(&s->threads, t->uid);
	if (tt)
		return tape_sink__put_thread(s, t, tt);
	tape_sink__thread(s, t, &err);
	return err;
}

static int put_life(struct tape_sink *s, u8 what, u64 id, u64 begin_ns, u64 end_ns, u32 status, bool known)
{
	struct tape_x_life *x = tape_group__add(&s->group, TAPE_X_LIFE, sizeof(*x));

	if (x) {
		x->what = what;
		x->id = id;
		x->begin = tape_time(s, begin_ns);
		x->end = tape_time(s, end_ns);
		x->status = status;
		x->known = known;
	}
	return tape_sink__emit(s);
}

static int sink_process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	struct tape_sink *s = ctx;

	if (other_process(s, p))
		return 0;
	idmap__remove(&s->processes, p->uid);
	return put_life(s, 1, p->uid, p->begin_ns, time_ns, status, known);
}

static int sink_thread_end(void *ctx, struct thread *t, u64 time_ns)
{
	struct tape_sink *s = ctx;
	struct tape_thread *tt;

	if (other_process(s, t->process))
		return 0;
	tt = idmap__find(&s->threads, t->uid);
	if (tt)
		tape_thread__end(s, tt);
	return put_life(s, 0, t->uid, t->begin_ns, time_ns, 0, false);
}

/* --- spans ----------------------------------------------------------------------------------------------- */

static struct tape_span *find_span(struct tape_sink *s, u64 id)
{
	struct tape_span *sp = nearmap__find(&s->spans, id);

	return sp && !sp->closing ? sp : NULL;
}

/* What a call about a span that is not in the tape returns: with --split it is another tape's. */
static int no_span(const struct tape_sink *s)
{
	return s->only ? 0 : -ENOENT;
}

static u8 tape_parent_kind(u8 parent_kind)
{
	return parent_kind == WIRE_PARENT_ROOT	   ? TAPE_PARENT_ROOT :
	       parent_kind == WIRE_PARENT_EXPLICIT ? TAPE_PARENT_EXPLICIT :
						     TAPE_PARENT_CURRENT;
}

static struct tape_span *new_span(struct tape_sink *s)
{
	struct tape_span *sp = s->free_spans;

	if (!sp)
		return calloc(1, sizeof(*sp));
	s->free_spans = sp->next_free;
	memset(sp, 0, sizeof(*sp));
	return sp;
}

static void free_span(struct tape_sink *s, struct tape_span *sp)
{
	sp->next_free = s->free_spans;
	s->free_spans = sp;
}

/* Said only where the record behind it, or the entry that follows at once, does not say it. */
static void add_context(struct tape_sink *s, const struct span_open *o, const struct tape_span *sp, u64 lost, u8 said,
			bool enter)
{
	u8 kind = tape_parent_kind(o->parent_kind);
	bool more = kind != said || o->flags || lost;
	struct tape_x_span *x;

	if (enter && !more && kind == TAPE_PARENT_CURRENT && tape_thread__implies(sp->opener, sp->parent))
		return;
	x = tape_group__add(&s->group, TAPE_X_SPAN, more ? sizeof(*x) : TAPE_X_SPAN_MIN);
	if (!x)
		return;
	x->span = o->span;
	x->thread = sp->opener ? sp->opener->uid : 0;
	x->parent = sp->parent ? sp->parent->ident.id : 0;
	if (more) {
		x->parent_kind = kind;
		x->flags = o->flags;
		x->lost_parent = lost;
	}
}

static void add_open(struct tape_sink *s, const struct span_open *o, const struct tape_span *sp, bool enter)
{
	u64 parent = sp->parent ? sp->parent->ident.id : 0;
	/* a parent that the tape does not have (its opening was refused) is as good as lost */
	u64 lost = o->lost_parent ? o->lost_parent : parent ? 0 : o->parent;
	u8 kind = tape_parent_kind(o->parent_kind);
	u8 said = kind == TAPE_PARENT_EXPLICIT && !parent ? TAPE_PARENT_ROOT : kind;
	struct tape_span_open *r;

	add_context(s, o, sp, lost, said, enter);
	r = tape_group__add(&s->group, TAPE_SPAN_OPEN, sizeof(*r));
	if (!r)
		return;
	r->span = o->span;
	r->parent = said == TAPE_PARENT_EXPLICIT ? parent : 0;
	r->callsite = tape_site__id(sp->site);
	r->time = tape_time(s, o->time_ns);
	r->parent_kind = said;
}

int tape_sink__open(struct tape_sink *s, const struct span_open *o, bool enter)
{
	struct tape_span *parent = o->parent ? nearmap__find(&s->spans, o->parent) : NULL;
	struct tape_thread *t;
	struct tape_span *sp;
	struct tape_site *site;
	int err;

	if (o->thread ? other_process(s, o->thread->process) : s->only && !parent)
		return 0;
	if (nearmap__find(&s->spans, o->span))
		return -EEXIST;
	t = tape_sink__thread(s, o->thread, &err);
	if (err)
		return err;
	site = tape_sink__site(s, o->callsite);
	err = site ? tape_site__define(s, site) : -ENOMEM;
	if (!err && enter)
		err = t ? tape_thread__reserve(t) : -EINVAL;
	if (err)
		return err;
	sp = new_span(s);
	if (!sp)
		return -ENOMEM;
	sp->ident.id = o->span;
	sp->site = site;
	sp->parent = parent;
	sp->opener = t;
	add_open(s, o, sp, enter);
	tape_sink__values(s, site, TAPE_SPAN_VALUE, o->span, o->value, o->value_cnt, &sp->fields);
	if (enter)
		tape_place__add_enter(s, sp, t, tape_time(s, o->time_ns));
	err = nearmap__add(&s->spans, sp->ident.id, sp);
	if (err)
		s->group.bytes = 0;
	else
		err = tape_sink__emit(s);
	if (err) {
		nearmap__remove(&s->spans, sp->ident.id);
		free_span(s, sp);
		return err;
	}
	if (t)
		t->refs++;
	if (parent)
		parent->children++;
	if (enter)
		tape_place__entered(s, sp, t);
	s->last_span = MAX(s->last_span, tape_time(s, o->time_ns));
	s->span_cnt++;
	return 0;
}

static int sink_span_open(void *ctx, const struct span_open *o)
{
	return tape_sink__open(ctx, o, false);
}

static int sink_span_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct tape_sink *s = ctx;
	struct tape_span *sp = find_span(s, span);
	struct tape_thread *tt;
	int err;

	if (!sp)
		return no_span(s);
	tt = tape_sink__thread(s, t, &err);
	if (!tt)
		return err ? err : -EINVAL;
	return tape_place__enter(s, sp, tt, tape_time(s, time_ns));
}

static int sink_span_exit(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct tape_sink *s = ctx;
	struct tape_span *sp = find_span(s, span);
	struct tape_thread *tt = t ? tape_sink__near_thread(s, t->uid) : NULL;

	if (!sp)
		return no_span(s);
	if (t && !tt)
		tt = idmap__find(&s->threads, t->uid);
	for (u32 i = tt ? tt->cnt : 0; i > 0; i--)
		if (tt->entry[i - 1].span == sp)
			return tape_place__exit(s, tt, i - 1, tape_time(s, time_ns), why);
	return -ENOENT;
}

/* Close, and what had only been waiting for it. */
static int close_chain(struct tape_sink *s, struct tape_span *sp, u64 time_ns)
{
	int err = 0;

	while (sp) {
		struct tape_span *parent = sp->parent;
		int e;

		tape_place__close(s, sp, tape_time(s, time_ns));
		e = tape_sink__emit_last(s);
		err = err ? err : e;
		nearmap__remove(&s->spans, sp->ident.id);
		free_span(s, sp);
		sp = parent && !--parent->children && parent->closing ? parent : NULL;
	}
	s->last_span = MAX(s->last_span, tape_time(s, time_ns));
	return err;
}

static int sink_span_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct tape_sink *s = ctx;
	struct tape_span *sp = find_span(s, span);

	if (!sp)
		return no_span(s);
	sp->closing = true;
	sp->dropped_ns = dropped_ns;
	sp->why = why;
	return sp->children ? 0 : close_chain(s, sp, time_ns);
}

int tape_sink__leave_and_close(struct tape_sink *s, u64 span, struct thread *t, u64 time_ns)
{
	int err = sink_span_exit(s, span, t, time_ns, SINK_OWN), and;

	and = sink_span_close(s, span, time_ns, time_ns, SINK_OWN);
	return err ? err : and;
}

static int sink_span_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t,
			   u64 time_ns)
{
	struct tape_sink *s = ctx;
	struct tape_span *sp = find_span(s, span);
	struct tape_thread *tt;
	u64 fields;
	int err;

	if (!sp)
		return no_span(s);
	tt = tape_sink__thread(s, t, &err);
	if (err)
		return err;
	fields = sp->fields;
	if (!tape_sink__late_value(s, sp, v, tt ? tt->uid : 0, tape_time(s, time_ns)) && !s->group.failed)
		return -EINVAL;
	err = tape_sink__emit(s);
	if (err)
		sp->fields = fields;
	return err;
}

static int sink_span_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 time_ns)
{
	struct tape_sink *s = ctx;
	struct tape_span *sp = find_span(s, span);
	struct tape_span_follows *r;
	struct tape_x_late *x;
	struct tape_thread *tt;
	int err;

	if (!sp)
		return no_span(s);
	tt = tape_sink__thread(s, t, &err);
	if (err)
		return err;
	x = tape_group__add(&s->group, TAPE_X_LATE, sizeof(*x));
	if (x) {
		x->span = span;
		x->time = tape_time(s, time_ns);
		x->thread = tt ? tt->uid : 0;
	}
	r = tape_group__add(&s->group, TAPE_SPAN_FOLLOWS, sizeof(*r));
	if (r) {
		r->span = span;
		r->follows = follows;
	}
	return tape_sink__emit(s);
}

/* --- events and loss ------------------------------------------------------------------------------------- */

/* Said only where it is not what v0.1 implies: the current span of the thread. */
static void add_event_context(struct tape_sink *s, const struct event *e, const struct tape_thread *t)
{
	struct tape_span *current = t ? tape_thread__current(t) : NULL;
	struct tape_x_event *x;

	if (e->parent_kind == WIRE_PARENT_CURRENT && e->parent == (current ? current->ident.id : 0))
		return;
	x = tape_group__add(&s->group, TAPE_X_EVENT, sizeof(*x));
	if (!x)
		return;
	x->thread = t ? t->uid : 0;
	x->parent_kind = tape_parent_kind(e->parent_kind);
	x->span = nearmap__find(&s->spans, e->parent) ? e->parent : 0;
}

int tape_sink__any_event(struct tape_sink *s, const struct event *e)
{
	struct tape_thread *t;
	struct tape_site *site;
	struct tape_event *r;
	size_t at;
	u64 have = 0;
	u32 values;
	int err;

	if (s->only && (!e->thread || other_process(s, e->thread->process)))
		return 0;
	t = tape_sink__thread(s, e->thread, &err);
	if (err)
		return err;
	site = tape_sink__site(s, e->callsite);
	err = site ? tape_site__define(s, site) : -ENOMEM;
	if (err)
		return err;
	add_event_context(s, e, t);
	at = s->group.bytes;
	r = tape_group__add(&s->group, TAPE_EVENT, sizeof(*r));
	if (!r)
		return tape_sink__emit(s);
	r->time = tape_time(s, e->time_ns);
	r->callsite = tape_site__id(site);
	r->thread = t ? t->uid : 0;
	values = tape_sink__values(s, site, TAPE_EVENT_VALUE, r->thread, e->value, e->value_cnt, &have);
	((struct tape_event *)(s->group.data + at))->value_cnt = values;
	err = tape_sink__emit(s);
	if (err)
		return err;
	s->event_cnt++;
	s->last_event = MAX(s->last_event, tape_time(s, e->time_ns));
	return 0;
}

static int put_loss(struct tape_sink *s, const struct tape_x_loss *loss)
{
	struct tape_x_loss *x = tape_group__add(&s->group, TAPE_X_LOSS, sizeof(*x));

	if (x) {
		struct tape_head h = x->h;

		*x = *loss;
		x->h = h;
	}
	return tape_sink__emit(s);
}

static int sink_loss(void *ctx, const struct loss *l)
{
	struct tape_sink *s = ctx;
	struct tape_site *site = l->callsite ? tape_sink__site(s, l->callsite) : NULL;
	u32 cause = l->cause < LOSS_MAX ? l->cause : LOSS_UNKNOWN;
	struct tape_x_loss x = {
		.from = tape_time(s, l->from_ns),
		.to = tape_time(s, l->to_ns),
		.cpu = l->cpu,
		.callsite = site ? tape_site__id(site) : 0,
		.cause = l->cause,
		.count = l->count,
		.thread = l->thread ? l->thread->uid : 0,
	};

	if (l->thread && other_process(s, l->thread->process))
		return 0;
	if (!put_loss(s, &x))
		return 0;
	/* a loss must not be lost: added up, and written at the end */
	if (!s->missed[cause].count || x.from < s->missed[cause].from)
		s->missed[cause].from = x.from;
	s->missed[cause].to = MAX(s->missed[cause].to, x.to);
	s->missed[cause].count += l->count;
	return 0;
}

static int sink_trigger(void *ctx, const struct sink_trigger *t)
{
	return tape_sink__put_trigger(ctx, t);
}

static const struct sink_ops sink_ops = {
	.callsite = sink_callsite,
	.process = sink_process,
	.process_end = sink_process_end,
	.thread = sink_thread,
	.thread_end = sink_thread_end,
	.span_open = sink_span_open,
	.span_enter = sink_span_enter,
	.span_exit = sink_span_exit,
	.span_close = sink_span_close,
	.span_value = sink_span_value,
	.span_follows = sink_span_follows,
	.event = tape_sink__event,
	.loss = sink_loss,
	.trigger = sink_trigger,
	.span_begin = tape_sink__begin,
	.span_end = tape_sink__end,
	.span_leaf = tape_sink__leaf,
};

struct sink tape_sink__sink(struct tape_sink *s)
{
	return (struct sink){ .ops = &sink_ops, .ctx = s };
}

/* --- start ----------------------------------------------------------------------------------------------- */

static void put_generation(struct tape_sink *s, const struct tape_part *part)
{
	u32 bytes = part ? sizeof(struct tape_x_generation) : TAPE_X_GENERATION_MIN;
	struct tape_x_generation *x = tape_group__add(&s->group, TAPE_X_GENERATION, bytes);

	if (!x)
		return;
	x->version = TAPE_X_VERSION;
	x->generation = 0;
	x->start = 0;
	x->end = INT64_MAX;
	x->flags = x->incompat = 0;
	memset(x->uuid, 0, sizeof(x->uuid));
	if (getrandom(x->uuid, sizeof(x->uuid), GRND_NONBLOCK) == sizeof(x->uuid)) {
		x->uuid[6] = (x->uuid[6] & 0x0f) | 0x40; /* RFC 9562: version 4 */
		x->uuid[8] = (x->uuid[8] & 0x3f) | 0x80;
	}
	if (part) {
		memcpy(x->recording, part->recording, sizeof(x->recording));
		x->part = part->no;
		x->mono_ns = s->base_ns;
	}
	tape_sink__emit(s);
}

struct tape_sink *tape_sink__new(struct tape_writer *w, const struct process *only)
{
	return tape_sink__new_part(w, only, NULL);
}

struct tape_sink *tape_sink__new_part(struct tape_writer *w, const struct process *only, const struct tape_part *part)
{
	struct tape_sink *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->w = w;
	s->only = only;
	s->base_ns = tape_writer__base_mono_ns(w);
	s->max_group = tape_writer__max_append(w);
	s->group.stage = tape_writer__stage(w);
	s->next_site = 1;
	s->next_alias = ALIAS_FIRST;
	s->last_event = s->last_span = INT64_MIN;
	if (tape_group__grow(&s->group, 65536)) { /* memory of its own: what it does not have now can fail later */
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	put_generation(s, part && part->no ? part : NULL);
	return s;
}

void tape_sink__free(struct tape_sink *s)
{
	struct tape_span *sp;
	u64 i = 0;

	if (!s)
		return;
	while ((sp = nearmap__next(&s->spans, &i))) {
		tape_place__free_aliases(s, sp);
		free(sp);
	}
	while ((sp = s->free_spans)) {
		s->free_spans = sp->next_free;
		free(sp);
	}
	nearmap__done(&s->spans);
	tape_threads__free(s);
	tape_sites__free(s);
	free(s->group.own);
	free(s->pending.own);
	free(s);
}

int tape_sink__clocks(struct tape_sink *s, u64 mono_ns, s64 real_ns, u64 boot_ns)
{
	const struct {
		u8 clock;
		s64 value;
	} pair[] = { { CLOCK_REALTIME, real_ns }, { CLOCK_MONOTONIC, mono_ns }, { CLOCK_BOOTTIME, boot_ns } };

	for (size_t i = 0; i < ARRAY_SIZE(pair); i++) {
		struct tape_x_clock *x = tape_group__add(&s->group, TAPE_X_CLOCK, sizeof(*x));

		if (!x)
			break;
		x->time = tape_time(s, mono_ns);
		x->clock = pair[i].clock;
		x->value = pair[i].value;
	}
	return tape_sink__emit(s);
}
