/* SPDX-License-Identifier: MIT */
/*
 * tape_merge.c - the tape whose next record is the earliest goes on by one record.
 *
 * Each tape's calls pass through an adapter that shifts times by the difference of the tapes' bases, and gives spans,
 * callsites, processes and threads numbers of their own. Those of spans are dealt out as cards are: with three tapes the
 * second has 2, 5, 8 ... So nothing has to be remembered of a span, and what follows from a closed one still names it.
 * Tapes of one recording (record --rotate-*) are one source after the other: numbers mean the same in all of them, their
 * clock is one, and spans go on where the tape before was cut (tape_join.h).
 *
 * Whose turn it is says a heap; mostly it is the turn of the one that was it before (tapes of a rotation lie one behind
 * the other), and that costs two comparisons.
 */
#include "tape/tape_merge.h"

#include "base/idmap.h"
#include "tape/tape_join.h"

#include <errno.h>
#include <string.h>

struct source {
	struct tape_merge *merge;
	struct tape_reader *reader;
	struct sink sink; /* the adapter */
	u32 place;	  /* of its lane */
	struct source *lane; /* the first of the tapes of its recording, or itself */
	struct source *later; /* the tape that goes on where it ends */
	struct tape_part part; /* no 0: of none */
	u64 mono_ns;
	bool beginning; /* it tells what the one before it has left open */
	bool entering;	/* and is past what was said of that */
	u64 begin_ns;
	struct tape_join join; /* what the one before it has left open */
	u64 shift;	  /* added to each time, modulo 2^64 */
	struct idmap span; /* numbers too large to be dealt out -> number given; the lane's */
	struct idmap known; /* processes and threads that have been seen, by address -> the lane's first */
	struct idmap lane_process, lane_thread; /* the lane's, by their number in the tapes; held if there is a later tape */
	const struct thread *last_thread; /* that was looked for, and what was found */
	struct thread *last_found;
	u64 next_ns; /* shifted; of the record that is next */
};

struct tape_merge {
	struct source *source;
	u32 cnt, lanes;
	struct source **heap; /* those that go on, the earliest first */
	u32 heap_cnt;
	bool begun, taken; /* taken: the first one's record has been read, the next is still to be looked at */
	const struct sink *out;
	struct sink_ops ops; /* of out, complete */
	u64 large_spans, callsites;
	struct idmap process_uids, thread_uids;
	u64 fresh_uid; /* counts down: where two tapes use the same number */
};

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

/* What the tape before had cut and this one does not know has ended there. */
static int begun(struct source *s)
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

static int on_process(void *ctx, struct process *p)
{
	struct source *s = ctx;
	struct process *same = adopt(s, &s->lane->lane_process, &s->merge->process_uids, p, &p->uid, &p->begin_ns);

	if (same == p && s->lane->later)
		process__hold(p);
	return !same ? -ENOMEM : same == p ? OUT(s, process, p) : 0;
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

	/* of a process that an earlier tape has told of */
	if (t->process && s != s->lane)
		t->process = idmap__find(&s->known, (uintptr_t)t->process) ?: t->process;
	same = adopt(s, &s->lane->lane_thread, &s->merge->thread_uids, t, &t->uid, &t->begin_ns);
	if (same == t && s->lane->later)
		thread__hold(t);
	return !same ? -ENOMEM : same == t ? OUT(s, thread, t) : 0;
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
		err = begun(s);
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
		err = begun(s);
	}
	return err ?: OUT(s, span_enter, span_of(s, span), t, time_ns + s->shift);
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct source *s = ctx;
	int err = begun(s);

	t = thread_of(s, t);
	if (why == SINK_CUT && s->later)
		return err ?: tape_join__keep(&s->later->join, span_of(s, span), t, time_ns + s->shift, 0);
	return err ?: OUT(s, span_exit, span_of(s, span), t, time_ns + s->shift, why);
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct source *s = ctx;
	u64 mine = span_of(s, span);
	int err = begun(s);

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
	int err = begun(s);

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

static const struct sink_ops adapter = {
	.callsite = on_callsite, .process = on_process, .process_end = on_process_end, .thread = on_thread,
	.thread_end = on_thread_end, .span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span,
	.span_close = on_close, .span_value = on_value, .span_follows = on_follows, .event = on_event, .loss = on_loss,
	.trigger = on_trigger,
};

/* --- the merge --------------------------------------------------------------------------------------------- */

/* The next of the paths; what cannot be opened leaves no trace. */
static int open_source(struct tape_merge *m, const char *path, const struct tape_reader_ops *ops, struct diag *d)
{
	struct source *s = &m->source[m->cnt];
	int err = tape_reader__open(path, ops, &s->reader, d);

	if (err)
		return err;
	s->merge = m;
	s->lane = s;
	tape_part__read(path, &s->part, &s->mono_ns);
	m->cnt++;
	s->sink = (struct sink){ &adapter, s };
	s->shift = (u64)tape_reader__intro(s->reader)->base_unix_ns -
		   (u64)tape_reader__intro(m->source[0].reader)->base_unix_ns;
	return 0;
}

static int open_all(struct tape_merge *m, char *const *path, u32 cnt, const struct tape_merge_opts *o, struct diag *d)
{
	struct diag own = {};
	int err = 0;
	u32 i;

	for (i = 0; i < cnt; i++) {
		own = (struct diag){};
		err = open_source(m, path[i], o && o->ops ? &o->ops[i] : NULL, &own);
		if (!err)
			continue;
		if (cnt == 1 || !o || !o->unopened)
			break;
		o->unopened(o->ctx, i, &own);
	}
	if (i < cnt && d)
		*d = own;
	else if (!m->cnt)
		diag__set(d, err, "none of these %u tapes can be read", cnt);
	return i < cnt || !m->cnt ? err : 0;
}

static struct source *part_before(struct tape_merge *m, const struct source *s)
{
	for (u32 i = 0; i < m->cnt; i++) {
		struct source *b = &m->source[i];

		if (b->part.no && b->part.no + 1 == s->part.no && !b->later &&
		    !memcmp(b->part.recording, s->part.recording, sizeof(s->part.recording)))
			return b;
	}
	return NULL;
}

/* Tapes of a recording that lie one behind the other, in whatever order they were named, are a lane. */
static void link_parts(struct tape_merge *m)
{
	struct source *b, *s;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		s = &m->source[i];
		b = s->part.no > 1 ? part_before(m, s) : NULL;
		if (!b)
			continue;
		b->later = s;
		s->beginning = true;
		s->lane = b;
	}
	for (i = 0; i < m->cnt; i++) {
		s = &m->source[i];
		if (s->lane == s)
			s->place = m->lanes++;
	}
	for (i = 0; i < m->cnt; i++) {
		s = &m->source[i];
		if (s->lane == s)
			continue;
		while (s->lane->lane != s->lane)
			s->lane = s->lane->lane;
		s->place = s->lane->place;
		s->shift = s->lane->shift + s->mono_ns - s->lane->mono_ns;
		s->begin_ns = tape_reader__time_ns(s->reader, tape_reader__intro(s->reader)->base_unix_ns);
	}
}

int tape_merge__open(char *const *path, u32 cnt, const struct tape_merge_opts *o, struct tape_merge **out, struct diag *d)
{
	struct tape_merge *m = calloc(1, sizeof(*m));
	int err;

	if (m) {
		m->source = calloc(cnt, sizeof(*m->source));
		m->heap = calloc(cnt, sizeof(struct source *));
	}
	err = m && m->source && m->heap ? open_all(m, path, cnt, o, d) :
					   diag__set(d, -ENOMEM, "no memory for reading %u tapes", cnt);
	if (err) {
		tape_merge__free(m);
		return err;
	}
	link_parts(m);
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
		idmap__done(&m->source[i].lane_process);
		idmap__done(&m->source[i].lane_thread);
		tape_join__done(&m->source[i].join);
	}
	idmap__done(&m->process_uids);
	idmap__done(&m->thread_uids);
	free(m->source);
	free(m->heap);
	free(m);
}

/* --- whose turn it is -------------------------------------------------------------------------------------- */

static bool before(const struct source *a, const struct source *b)
{
	return a->next_ns != b->next_ns ? a->next_ns < b->next_ns : a->place < b->place;
}

static void sift_down(struct tape_merge *m, u32 i)
{
	struct source *s = m->heap[i];
	u32 child;

	while ((child = 2 * i + 1) < m->heap_cnt) {
		if (child + 1 < m->heap_cnt && before(m->heap[child + 1], m->heap[child]))
			child++;
		if (!before(m->heap[child], s))
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = s;
}

static int look(struct source *s)
{
	int err = tape_reader__peek(s->reader, &s->next_ns);

	if (s->next_ns) /* else nothing has a time yet: at once */
		s->next_ns += s->shift;
	return err;
}

static int begin(struct tape_merge *m)
{
	int err;
	u32 i;

	for (i = 0; i < m->cnt; i++) {
		if (m->source[i].lane != &m->source[i])
			continue; /* when the one before it has ended */
		err = look(&m->source[i]);
		if (err < 0)
			return err;
		m->heap[m->heap_cnt++] = &m->source[i];
	}
	for (i = m->heap_cnt / 2; i-- > 0;)
		sift_down(m, i);
	m->begun = true;
	return 0;
}

/* NULL with *err 0: all have ended. */
static struct source *earliest(struct tape_merge *m, int *err)
{
	*err = m->begun ? 0 : begin(m);
	if (!*err && m->taken) {
		*err = look(m->heap[0]);
		if (*err >= 0) {
			*err = m->taken = 0;
			sift_down(m, 0);
		}
	}
	return *err || !m->heap_cnt ? NULL : m->heap[0];
}

/* The first has ended. */
static int drop_first(struct tape_merge *m)
{
	struct source *s = m->heap[0];
	int err = begun(s);

	if (s->later) {
		m->heap[0] = s->later;
		err = err ?: look(s->later);
	} else {
		m->heap[0] = m->heap[--m->heap_cnt];
	}
	if (m->heap_cnt)
		sift_down(m, 0);
	return MIN(err, 0);
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

/* One record of the tape whose turn it is; 0: all have ended. */
static int step(struct tape_merge *m)
{
	struct source *s;
	int err;

	s = earliest(m, &err);
	if (!s)
		return err;
	err = tape_reader__run(s->reader, &s->sink, 1);
	if (err < 0)
		return err;
	m->taken = err > 0;
	err = m->taken ? 0 : drop_first(m);
	return err ?: 1;
}

static void set_out(struct tape_merge *m, const struct sink *sink)
{
	m->out = sink;
	m->ops = sink__complete(sink->ops);
}

int tape_merge__run(struct tape_merge *m, const struct sink *sink, u64 bytes)
{
	u64 until = tape_merge__offset(m) + bytes;
	int more, sum = 0;

	if (m->cnt == 1)
		return tape_reader__run(m->source[0].reader, sink, bytes);
	set_out(m, sink);
	while ((more = step(m)) > 0)
		if (bytes && (++sum & 1023) == 0 && tape_merge__offset(m) >= until)
			return 1;
	return more;
}

int tape_merge__run_to(struct tape_merge *m, const struct sink *sink, u64 time_ns, u32 records)
{
	u64 next_ns;
	int more = TAPE_MERGE_MORE;

	set_out(m, sink);
	for (; records && more > 0; records--) {
		more = tape_merge__peek(m, &next_ns);
		if (more > 0 && next_ns >= time_ns)
			return TAPE_MERGE_REACHED;
		if (more > 0)
			more = m->cnt == 1 ? tape_reader__run(m->source[0].reader, sink, 1) : step(m);
	}
	return more;
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
