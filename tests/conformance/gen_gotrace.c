/* SPDX-License-Identifier: MIT */
/*
 * gen_gotrace.c - random programs as Go traces, each with the truth beside it.
 *
 *   gen_gotrace FOLDER FIRST COUNT [22|26]
 *
 * writes N.trace and N.truth for the seeds FIRST ... FIRST + COUNT - 1. The seed decides everything: how many processes and
 * threads, tids that come again, spans nested and crossing, entered over threads or never, equal times, calls that come late, odd
 * names, losses, how long a generation is, and whether the recording ends in the middle of it all. The truth is kept by its own
 * book-keeping, not by the code under test: lines of tab-separated words, see say_truth().
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codes.h"
#include "gotrace/gotrace.h"

#define MAX_THREADS 24
#define MAX_SPANS   400
#define MAX_PROCS   3
#define MAX_STACK   12
#define MAX_ENTRIES 64

static u64 seed;

static u64 rnd(u64 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return n ? (seed >> 11) % n : 0;
}

static bool chance(u32 percent)
{
	return rnd(100) < percent;
}

struct span {
	struct callsite c;
	char name[32], target[16], file[16];
	u64 id, open_ns, close_ns, second_ns, enter_ns;
	int opener, entries, open_entries;
	bool elsewhere, closed, before, scoped;
	struct {
		int thread;
		u64 total_ns;
		int entries, open;
	} on[MAX_THREADS];
	u32 on_cnt;
};

struct thread_of {
	struct thread t;
	char name[48];
	u64 now;
	bool live;
	int stack[MAX_STACK];
	u64 since[MAX_STACK];
	u32 depth;
};

static struct process procs[MAX_PROCS];
static bool proc_live[MAX_PROCS];
static struct thread_of threads[MAX_THREADS];
static struct span spans[MAX_SPANS];
static u32 proc_cnt, thread_cnt, span_cnt, event_cnt;
static struct callsite event_site;
static struct sink sink;
static FILE *truth;
static u64 now_ns, jitter_ns;

/* How far the rule that no two events have one time can push them apart: each call makes a few. */
static struct {
	u64 time[20000];
	u32 cnt;
} calls;

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-err));
	exit(1);
}

#define CALL(op, ...) check(sink.ops->op ? sink.ops->op(sink.ctx, __VA_ARGS__) : 0, #op)

static u64 called(u64 ns)
{
	if (calls.cnt < ARRAY_SIZE(calls.time))
		calls.time[calls.cnt++] = ns;
	return ns;
}

/* A moment on a thread: the common clock, give or take. */
static u64 tick(struct thread_of *t)
{
	u64 ns = now_ns - rnd(jitter_ns + 1);

	t->now = ns > t->now ? ns : t->now;
	return called(t->now);
}

static void pass_time(void)
{
	if (!chance(25))
		now_ns += chance(70) ? rnd(3000) : chance(90) ? rnd(200000) : rnd(20000000);
}

/* --- what happens --------------------------------------------------------------------------------------------------- */

static void begin_process(void)
{
	struct process *p = &procs[proc_cnt];

	*p = (struct process){ .uid = proc_cnt + 1, .pid = 100 + proc_cnt, .begin_ns = now_ns };
	snprintf(p->comm, sizeof(p->comm), "prog%u", proc_cnt);
	proc_live[proc_cnt++] = true;
	CALL(process, p);
}

static u32 free_tid(void)
{
	u32 tid, i;

	do {
		tid = 200 + rnd(MAX_THREADS + 2);
		for (i = 0; i < thread_cnt; i++)
			if (threads[i].live && threads[i].t.tid == tid)
				break;
	} while (i < thread_cnt);
	return tid;
}

static void begin_thread(void)
{
	struct thread_of *t = &threads[thread_cnt];
	u32 p = rnd(proc_cnt);

	if (!proc_live[p])
		return;
	memset(t, 0, sizeof(*t));
	snprintf(t->name, sizeof(t->name), chance(5) ? "runtime.%u" : "thr%u", thread_cnt);
	t->t = (struct thread){ .uid = thread_cnt + 1, .tid = chance(3) ? 0 : free_tid(), .name = t->name, .process = &procs[p] };
	t->live = true;
	t->now = now_ns;
	t->t.begin_ns = tick(t);
	thread_cnt++;
	CALL(thread, &t->t);
}

static struct thread_of *some_thread(void)
{
	struct thread_of *t;
	u32 i;

	for (i = 0; i < 50; i++) {
		t = &threads[rnd(thread_cnt)];
		if (thread_cnt && t->live)
			return t;
	}
	return NULL;
}

static const char *const odd[] = { "plain", "\xff\xfe""bad", "line\nbreak", "qu\"ote", "umlaut \xc3\xa4", "", "esc\x1b[31m" };

static u32 place_on(struct span *s, int thread)
{
	u32 i;

	for (i = 0; i < s->on_cnt; i++)
		if (s->on[i].thread == thread)
			return i;
	s->on[s->on_cnt].thread = thread;
	return s->on_cnt++;
}

/* The model's calls: in one where the sink takes that. */
static void call_open(const struct span_open *o, bool entered)
{
	if (entered && sink.ops->span_begin) {
		CALL(span_begin, o);
		return;
	}
	CALL(span_open, o);
	if (entered)
		CALL(span_enter, o->span, o->thread, o->time_ns);
}

/* entered: at once, in the same call. */
static int open_span(struct thread_of *t, bool before, bool entered)
{
	struct span *s = &spans[span_cnt], *up = NULL;
	struct value v[2];
	struct span_open o;
	char text[1500];
	u64 ns = tick(t);

	if (span_cnt == MAX_SPANS)
		return -1;
	memset(s, 0, sizeof(*s));
	/* a name of its own, so that the referee can tell it */
	snprintf(s->name, sizeof(s->name), "s%u", span_cnt);
	snprintf(s->target, sizeof(s->target), "mod%u", span_cnt % 5);
	snprintf(s->file, sizeof(s->file), "f%u.c", span_cnt % 3);
	s->c = (struct callsite){ .id = span_cnt + 10, .is_span = 1, .level = WIRE_INFO, .line = 10 + span_cnt, .name = s->name,
				  .target = s->target, .module = s->target, .file = chance(90) ? s->file : "", .field_cnt = 2,
				  .field = { { "n", WIRE_T_U64 }, { "text", WIRE_T_STR } } };
	s->id = ++span_cnt;
	s->open_ns = ns;
	s->opener = t - threads;
	s->before = before;
	CALL(callsite, &s->c);
	if (span_cnt > 1 && chance(60))
		up = &spans[rnd(span_cnt - 1)];
	memset(text, 'x', sizeof(text));
	snprintf(text, sizeof(text), "%s", odd[rnd(ARRAY_SIZE(odd))]);
	v[0] = (struct value){ .field = 0, .type = WIRE_T_U64, .u = rnd(1000) };
	v[1] = (struct value){ .field = 1, .type = WIRE_T_STR, .text = text, .text_bytes = chance(5) ? sizeof(text) : strlen(text) };
	o = (struct span_open){ .span = s->id, .callsite = &s->c, .time_ns = before ? ns - rnd(5000000) : ns,
				.thread = chance(97) ? &t->t : NULL, .parent = up && !up->closed ? up->id : 0,
				.flags = before ? SPAN_BEFORE : 0, .value_cnt = rnd(3), .value = v };
	if (!o.thread)
		s->opener = -1;
	entered = entered && o.thread && t->depth < MAX_STACK;
	call_open(&o, entered);
	if (!entered)
		return span_cnt - 1;
	s->entries = s->open_entries = 1;
	s->enter_ns = ns;
	s->on[place_on(s, s->opener)].entries++;
	s->on[place_on(s, s->opener)].open++;
	t->stack[t->depth] = span_cnt - 1;
	t->since[t->depth++] = ns;
	return -1; /* nothing more to be done with it at once */
}

static void enter(struct thread_of *t, int span)
{
	struct span *s = &spans[span];
	int thread = t - threads;
	u64 ns = tick(t);

	if (t->depth == MAX_STACK || s->closed || s->on_cnt == MAX_THREADS)
		return;
	if (s->entries++ == 0)
		s->enter_ns = ns;
	if (!s->second_ns && (s->entries > 1 || (s->opener >= 0 && s->opener != thread))) {
		s->second_ns = ns;
		s->elsewhere = true;
	}
	s->open_entries++;
	s->on[place_on(s, thread)].entries++;
	s->on[place_on(s, thread)].open++;
	t->stack[t->depth] = span;
	t->since[t->depth++] = ns;
	CALL(span_enter, s->id, &t->t, ns);
}

static void leave(struct thread_of *t, u32 at, enum sink_why why)
{
	int span = t->stack[at];
	struct span *s = &spans[span];
	u64 ns = tick(t);
	u32 k, place = place_on(s, t - threads);

	/* the sink takes the topmost entry of that span */
	for (k = t->depth - 1; k > at; k--)
		if (t->stack[k] == span)
			at = k;
	s->on[place].total_ns += ns - t->since[at];
	s->on[place].open--;
	s->open_entries--;
	memmove(&t->stack[at], &t->stack[at + 1], (t->depth - at - 1) * sizeof(t->stack[0]));
	memmove(&t->since[at], &t->since[at + 1], (t->depth - at - 1) * sizeof(t->since[0]));
	t->depth--;
	if (why != SINK_OWN || s->entries != 1 || chance(40)) {
		CALL(span_exit, s->id, &t->t, ns, why);
		return;
	}
	s->closed = true;
	s->close_ns = ns;
	if (sink.ops->span_end) {
		CALL(span_end, s->id, &t->t, ns);
		return;
	}
	CALL(span_exit, s->id, &t->t, ns, why);
	CALL(span_close, s->id, ns, ns, why);
}

static void close_span(int span, struct thread_of *t, enum sink_why why)
{
	struct span *s = &spans[span];

	if (s->closed || s->open_entries)
		return;
	s->closed = true;
	s->close_ns = why == SINK_CUT ? 0 : t ? tick(t) : called(now_ns);
	CALL(span_close, s->id, s->close_ns ? s->close_ns : now_ns, s->close_ns ? s->close_ns : now_ns, why);
}

static void print_log(struct thread_of *t, const char *key, const char *value, u64 ns)
{
	fprintf(truth, "log\t%s\t%s\t%s\t%" PRIu64 "\n", t->name, key, value, ns);
}

static void tell_event(struct thread_of *t)
{
	char text[32], said[64];
	struct value v[2] = { { .field = 0, .type = WIRE_T_STR }, { .field = 1, .type = WIRE_T_I64 } };
	struct event e = { .callsite = &event_site, .time_ns = tick(t), .thread = &t->t, .value_cnt = 2, .value = v };
	s64 n = (s64)rnd(2000) - 1000;

	snprintf(text, sizeof(text), "m%u", event_cnt++);
	snprintf(said, sizeof(said), "%s n=%" PRId64, text, n);
	v[0].text = text;
	v[0].text_bytes = strlen(text);
	v[1].i = n;
	if (t->depth)
		e.parent = spans[t->stack[t->depth - 1]].id;
	CALL(event, &e);
	print_log(t, "WARN app::events", said, e.time_ns);
}

static void end_thread(struct thread_of *t)
{
	while (t->depth)
		leave(t, t->depth - 1, SINK_THREAD_END);
	t->live = false;
	CALL(thread_end, &t->t, tick(t));
	fprintf(truth, "thread\t%s\t%" PRIu64 "\t%" PRIu64 "\n", t->name, t->t.begin_ns, t->now);
}

static void end_process(u32 p)
{
	u32 i;

	for (i = 0; i < thread_cnt; i++)
		if (threads[i].live && threads[i].t.process == &procs[p])
			end_thread(&threads[i]);
	proc_live[p] = false;
	CALL(process_end, &procs[p], called(now_ns), 0, true);
}

static void lose(void)
{
	struct loss l = { .from_ns = now_ns, .to_ns = now_ns, .cpu = ~0U, .cause = LOSS_RING, .count = 1 + rnd(100) };

	called(now_ns);
	CALL(loss, &l);
	fprintf(truth, "lost\t%" PRIu64 "\n", l.count);
}

static int some_span(void)
{
	return span_cnt ? (int)rnd(span_cnt) : -1;
}

static void step(void)
{
	struct thread_of *t = some_thread();
	u32 what = rnd(100);
	int s;

	pass_time();
	if (!t || what < 3) {
		if (thread_cnt < MAX_THREADS)
			begin_thread();
		return;
	}
	if (what < 35) {
		s = open_span(t, false, chance(50));
		if (s >= 0 && chance(85))
			enter(t, s);
	} else if (what < 60) {
		if (t->depth)
			leave(t, chance(80) ? t->depth - 1 : rnd(t->depth), SINK_OWN);
	} else if (what < 66) {
		s = some_span();
		if (s >= 0)
			enter(t, s);
	} else if (what < 78) {
		s = some_span();
		if (s >= 0)
			close_span(s, chance(50) ? t : NULL, SINK_OWN);
	} else if (what < 94) {
		tell_event(t);
	} else if (what < 96) {
		lose();
	} else if (what < 98) {
		end_thread(t);
	} else if (proc_cnt < MAX_PROCS) {
		begin_process();
	} else if (chance(10)) {
		end_process(rnd(proc_cnt));
	}
}

/* --- the truth ------------------------------------------------------------------------------------------------------ */

static int by_time(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* The furthest that an event can be from its time, if each call makes up to 16 of them. */
static u64 push_ns(void)
{
	u64 clock = 0, most = 0;
	u32 i;

	qsort(calls.time, calls.cnt, sizeof(calls.time[0]), by_time);
	for (i = 0; i < calls.cnt; i++) {
		clock = MAX(calls.time[i], clock + 16);
		most = MAX(most, clock - calls.time[i]);
	}
	return most + 16;
}

/* Times of two threads may be out of step by the jitter; those of a span open before are drawn from the beginning. */
static void say_task(const struct span *s)
{
	u64 latest = s->elsewhere ? s->second_ns : s->close_ns ? s->close_ns : now_ns;

	fprintf(truth, "task\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", s->name, s->before ? 0 : s->open_ns - jitter_ns,
		s->before ? now_ns : MAX(latest, s->open_ns), s->close_ns);
}

/*
 * push NS                             how far a time may be off
 * end NS                              of the recording
 * thread NAME BEGIN END               END 0: still running at the end
 * region THREAD SPAN NS ENTRIES OPEN BEFORE
 *                                     time on that thread in entries that were left; OPEN: entries that never were; BEFORE 1:
 *                                     open before the recording, which is not in the time
 * task SPAN EARLIEST LATEST END       a span that must be a task; END 0: never closed
 * slice SPAN LATE                     one that must not; LATE 1: may be, it was not entered at its opening
 * log THREAD KEY VALUE TIME
 * lost COUNT
 */
static void say_truth(void)
{
	struct span *s;
	u32 i, k;

	fprintf(truth, "push\t%" PRIu64 "\nend\t%" PRIu64 "\n", push_ns(), now_ns);
	for (i = 0; i < thread_cnt; i++)
		if (threads[i].live)
			fprintf(truth, "thread\t%s\t%" PRIu64 "\t0\n", threads[i].name, threads[i].t.begin_ns);
	for (i = 0; i < span_cnt; i++) {
		s = &spans[i];
		for (k = 0; k < s->on_cnt; k++)
			fprintf(truth, "region\t%s\t%s\t%" PRIu64 "\t%d\t%d\t%d\n",
				threads[s->on[k].thread].name, s->name, s->on[k].total_ns, s->on[k].entries, s->on[k].open,
				s->before);
		if (s->elsewhere || !s->entries)
			say_task(s);
		else
			fprintf(truth, "slice\t%s\t%d\n", s->name, s->enter_ns != s->open_ns || s->opener < 0);
	}
}

/* --- one trace ------------------------------------------------------------------------------------------------------ */

static int write_file(void *ctx, const void *bytes, size_t cnt)
{
	return fwrite(bytes, 1, cnt, ctx) == cnt ? 0 : -EIO;
}

static void live(u32 steps)
{
	u32 i;

	begin_process();
	begin_thread();
	for (i = 0; i < 3; i++)
		if (chance(30)) {
			int s = open_span(&threads[0], true, false);

			/* drawn from the beginning on: its time before that is not in the truth */
			enter(&threads[0], s);
		}
	for (i = 0; i < steps; i++)
		step();
}

static void cut(void)
{
	u32 i;
	int s;

	/* those that are left here stay open in the trace */
	for (i = 0; i < thread_cnt; i++)
		now_ns = MAX(now_ns, threads[i].now);
	for (i = 0; i < thread_cnt; i++)
		while (threads[i].depth) {
			s = threads[i].stack[threads[i].depth - 1];
			spans[s].open_entries--;
			threads[i].depth--;
			CALL(span_exit, spans[s].id, &threads[i].t, now_ns, SINK_CUT);
		}
	for (i = span_cnt; i; i--)
		close_span(i - 1, NULL, SINK_CUT);
}

static void one(const char *folder, u64 number, u32 version)
{
	struct gotrace_opts o = { .sz = sizeof(o), .version = version };
	struct gotrace *g;
	struct gotrace_stats st;
	char path[4096];
	FILE *out;

	seed = number * 0x9e3779b97f4a7c15ULL + 1;
	rnd(0);
	proc_cnt = thread_cnt = span_cnt = event_cnt = calls.cnt = 0;
	now_ns = 5000000 + rnd(1000000000);
	/* late calls, or little room; both at once may be too late for their generation */
	jitter_ns = chance(50) ? 0 : rnd(20000);
	o.late_ns = jitter_ns + 1;
	o.generation_ns = chance(30) ? 0 : 1000 + rnd(chance(50) ? 100000 : 10000000);
	o.held_bytes = jitter_ns ? 0 : 1024 + rnd(16384);
	o.clock = (struct clock_pair){ .mono_ns = now_ns, .real_ns = 1700000000000000000LL };
	snprintf(path, sizeof(path), "%s/%" PRIu64 ".trace", folder, number);
	out = fopen(path, "we");
	strcpy(strrchr(path, '.'), ".truth");
	truth = fopen(path, "we");
	g = gotrace__new(&o, write_file, out);
	if (!out || !truth || !g) {
		perror(path);
		exit(1);
	}
	sink = gotrace__sink(g);
	live(20 + rnd(400));
	cut();
	check(gotrace__finish(g), "finish");
	say_truth();
	gotrace__stats(g, &st);
	if (st.unmatched || st.out_of_range || st.late) {
		fprintf(stderr, "%s: unmatched %" PRIu64 ", out of range %" PRIu64 ", late %" PRIu64 "\n", path, st.unmatched,
			st.out_of_range, st.late);
		exit(1);
	}
	gotrace__free(g);
	if (fclose(out) || fclose(truth)) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	u64 i, first, cnt;

	if (argc < 4) {
		fputs("usage: gen_gotrace FOLDER FIRST COUNT [22|26]\n", stderr);
		return 2;
	}
	first = strtoull(argv[2], NULL, 10);
	cnt = strtoull(argv[3], NULL, 10);
	event_site = (struct callsite){ .id = 1, .level = WIRE_WARN, .name = "event", .target = "app::events", .module = "app",
					.file = "events.c", .line = 7, .field_cnt = 2,
					.field = { { "message", WIRE_T_STR }, { "n", WIRE_T_I64 } } };
	for (i = first; i < first + cnt; i++)
		one(argv[1], i, argc > 4 ? strtoul(argv[4], NULL, 10) : i % 4 == 3 ? 26 : 22);
	return 0;
}
