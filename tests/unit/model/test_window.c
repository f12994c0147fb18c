/* SPDX-License-Identifier: MIT */
/*
 * test_window.c - any number of windows on a random stream: each is well formed by itself (stream_check.h), begins with
 * what is alive by a search through everything that was told before, and holds exactly the calls of its time.
 *
 * PROPERTY_SEED and PROPERTY_CASES in the environment choose others.
 */
#include "model_fixture.h"
#include "model/window.h"
#include "stream_check.h"

#include <errno.h>
#include <time.h>

#define THREADS 4
#define IDS	24
#define OPS	1500

enum op_kind { OPENED, ENTERED, EXITED, CLOSED, VALUED, FOLLOWED, OTHER };

/* One call, as it was told. */
struct op {
	enum op_kind kind;
	u64 span, thread;
	u32 field;
	char *line;    /* as recording_sink.h writes it */
	char *carried; /* of an opening: as a beginning has to tell it */
};

struct run {
	struct fix f;
	struct window *w;
	struct sink ws;
	u64 seed, ns;
	struct op op[8 * OPS];
	u32 op_cnt;
	struct recording line, want;
	/* what the window passed on: at its beginning, meanwhile, at its end */
	struct recording begin, got, end, *to;
	struct stream_check *check;
	u32 windows;
	bool whole; /* the short calls: told, taken */
};

static u32 rnd(struct run *r, u32 below)
{
	r->seed = r->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(r->seed >> 33) % below;
}

/* --- what is told to the window, written down before ------------------------------------------------------ */

static struct op *note(struct run *r, enum op_kind kind, u64 span, const struct thread *t)
{
	struct op *op = &r->op[r->op_cnt++];

	assert_true(r->op_cnt < ARRAY_SIZE(r->op));
	*op = (struct op){.kind = kind, .span = span, .thread = t ? t->uid : 0};
	op->line = strdup(r->line.text);
	recording__clear(&r->line);
	if (window__is_open(r->w))
		recording__put(&r->want, "%s", op->line);
	return op;
}

static int tell_callsite(void *ctx, struct callsite *c)
{
	struct run *r = ctx;

	return r->ws.ops->callsite(r->ws.ctx, c);
}

static int tell_process(void *ctx, struct process *p)
{
	struct run *r = ctx;

	return r->ws.ops->process(r->ws.ctx, p);
}

static int tell_process_end(void *ctx, struct process *p, u64 ns, u32 status, bool known)
{
	struct run *r = ctx;

	recording__process_end(&r->line, p, ns, status, known);
	note(r, OTHER, 0, NULL);
	return r->ws.ops->process_end(r->ws.ctx, p, ns, status, known);
}

static int tell_thread(void *ctx, struct thread *t)
{
	struct run *r = ctx;

	return r->ws.ops->thread(r->ws.ctx, t);
}

static int tell_thread_end(void *ctx, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	recording__thread_end(&r->line, t, ns);
	note(r, OTHER, 0, t);
	return r->ws.ops->thread_end(r->ws.ctx, t, ns);
}

static char *carried_line(struct run *r, const struct span_open *o)
{
	struct span_open carried = *o;
	char *line;

	carried.flags |= SPAN_BEFORE;
	recording__open(&r->line, &carried);
	line = strdup(r->line.text);
	recording__clear(&r->line);
	return line;
}

static int tell_open(void *ctx, const struct span_open *o)
{
	struct run *r = ctx;
	struct op *op;

	recording__open(&r->line, o);
	op = note(r, OPENED, o->span, o->thread);
	op->carried = carried_line(r, o);
	return r->ws.ops->span_open(r->ws.ctx, o);
}

static int tell_enter(void *ctx, u64 span, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	recording__enter(&r->line, span, t, ns);
	note(r, ENTERED, span, t);
	return r->ws.ops->span_enter(r->ws.ctx, span, t, ns);
}

static int tell_exit(void *ctx, u64 span, struct thread *t, u64 ns, enum sink_why why)
{
	struct run *r = ctx;

	recording__exit(&r->line, span, t, ns, why);
	note(r, EXITED, span, t);
	return r->ws.ops->span_exit(r->ws.ctx, span, t, ns, why);
}

static int tell_close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct run *r = ctx;

	recording__close(&r->line, span, ns, dropped_ns, why);
	note(r, CLOSED, span, NULL);
	return r->ws.ops->span_close(r->ws.ctx, span, ns, dropped_ns, why);
}

static int tell_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	recording__late(&r->line, span, c, v, t, ns);
	note(r, VALUED, span, t)->field = v->field;
	return r->ws.ops->span_value(r->ws.ctx, span, c, v, t, ns);
}

static int tell_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	recording__follows(&r->line, span, follows, t, ns);
	note(r, FOLLOWED, span, t);
	return r->ws.ops->span_follows(r->ws.ctx, span, follows, t, ns);
}

static int tell_event(void *ctx, const struct event *e)
{
	struct run *r = ctx;

	recording__event(&r->line, e);
	note(r, OTHER, 0, e->thread);
	return r->ws.ops->event(r->ws.ctx, e);
}

static int tell_loss(void *ctx, const struct loss *l)
{
	struct run *r = ctx;

	recording__loss(&r->line, l);
	note(r, OTHER, 0, NULL);
	return r->ws.ops->loss(r->ws.ctx, l);
}

/* The short calls, or what each stands for. */
static int tell_begin(void *ctx, const struct span_open *o)
{
	struct run *r = ctx;
	struct op *op;

	if (!r->whole) {
		tell_open(ctx, o);
		return tell_enter(ctx, o->span, o->thread, o->time_ns);
	}
	recording__open(&r->line, o);
	op = note(r, OPENED, o->span, o->thread);
	op->carried = carried_line(r, o);
	recording__enter(&r->line, o->span, o->thread, o->time_ns);
	note(r, ENTERED, o->span, o->thread);
	return r->ws.ops->span_begin(r->ws.ctx, o);
}

static int tell_end(void *ctx, u64 span, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	if (!r->whole) {
		tell_exit(ctx, span, t, ns, SINK_OWN);
		return tell_close(ctx, span, ns, ns, SINK_OWN);
	}
	recording__exit(&r->line, span, t, ns, SINK_OWN);
	note(r, EXITED, span, t);
	recording__close(&r->line, span, ns, ns, SINK_OWN);
	note(r, CLOSED, span, NULL);
	return r->ws.ops->span_end(r->ws.ctx, span, t, ns);
}

static const struct sink_ops tell_ops = {
	.callsite = tell_callsite,
	.process = tell_process,
	.process_end = tell_process_end,
	.thread = tell_thread,
	.thread_end = tell_thread_end,
	.span_open = tell_open,
	.span_enter = tell_enter,
	.span_exit = tell_exit,
	.span_close = tell_close,
	.span_value = tell_value,
	.span_follows = tell_follows,
	.event = tell_event,
	.loss = tell_loss,
	.span_begin = tell_begin,
	.span_end = tell_end,
};

/* --- what the window passes on: checked and written down -------------------------------------------------- */

static int part_callsite(void *ctx, struct callsite *c)
{
	struct run *r = ctx;

	return check__callsite(r->check, c);
}

static int part_process(void *ctx, struct process *p)
{
	struct run *r = ctx;

	return check__process(r->check, p);
}

static int part_process_end(void *ctx, struct process *p, u64 ns, u32 status, bool known)
{
	struct run *r = ctx;

	check__process_end(r->check, p, ns, status, known);
	return recording__process_end(r->to, p, ns, status, known);
}

static int part_thread(void *ctx, struct thread *t)
{
	struct run *r = ctx;

	return check__thread(r->check, t);
}

static int part_thread_end(void *ctx, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	check__thread_end(r->check, t, ns);
	return recording__thread_end(r->to, t, ns);
}

static int part_open(void *ctx, const struct span_open *o)
{
	struct run *r = ctx;

	check__open(r->check, o);
	return recording__open(r->to, o);
}

static int part_enter(void *ctx, u64 span, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	check__enter(r->check, span, t, ns);
	return recording__enter(r->to, span, t, ns);
}

static int part_exit(void *ctx, u64 span, struct thread *t, u64 ns, enum sink_why why)
{
	struct run *r = ctx;

	check__exit(r->check, span, t, ns, why);
	return recording__exit(r->to, span, t, ns, why);
}

static int part_close(void *ctx, u64 span, u64 ns, u64 dropped_ns, enum sink_why why)
{
	struct run *r = ctx;

	check__close(r->check, span, ns, dropped_ns, why);
	return recording__close(r->to, span, ns, dropped_ns, why);
}

static int part_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	check__value(r->check, span, c, v, t, ns);
	return recording__late(r->to, span, c, v, t, ns);
}

static int part_follows(void *ctx, u64 span, u64 follows, struct thread *t, u64 ns)
{
	struct run *r = ctx;

	check__follows(r->check, span, follows, t, ns);
	return recording__follows(r->to, span, follows, t, ns);
}

static int part_event(void *ctx, const struct event *e)
{
	struct run *r = ctx;

	check__event(r->check, e);
	return recording__event(r->to, e);
}

static int part_loss(void *ctx, const struct loss *l)
{
	struct run *r = ctx;

	check__loss(r->check, l);
	return recording__loss(r->to, l);
}

static const struct sink_ops part_ops = {
	.callsite = part_callsite,
	.process = part_process,
	.process_end = part_process_end,
	.thread = part_thread,
	.thread_end = part_thread_end,
	.span_open = part_open,
	.span_enter = part_enter,
	.span_exit = part_exit,
	.span_close = part_close,
	.span_value = part_value,
	.span_follows = part_follows,
	.event = part_event,
	.loss = part_loss,
};

static int part_begin(void *ctx, const struct span_open *o)
{
	part_open(ctx, o);
	return part_enter(ctx, o->span, o->thread, o->time_ns);
}

static int part_end(void *ctx, u64 span, struct thread *t, u64 ns)
{
	part_exit(ctx, span, t, ns, SINK_OWN);
	return part_close(ctx, span, ns, ns, SINK_OWN);
}

/* --- what a beginning has to tell, by looking for it ------------------------------------------------------- */

static bool is_closed(const struct run *r, u64 span)
{
	for (u32 i = r->op_cnt; i > 0; i--)
		if (r->op[i - 1].kind == CLOSED && r->op[i - 1].span == span)
			return true;
	return false;
}

static bool is_newest_value(const struct run *r, u32 at)
{
	for (u32 i = at + 1; i < r->op_cnt; i++)
		if (r->op[i].kind == VALUED && r->op[i].span == r->op[at].span && r->op[i].field == r->op[at].field)
			return false;
	return true;
}

static void want_stack(struct run *r, u64 thread, struct recording *out)
{
	u64 stack[OPS];
	u32 depth = 0;

	for (u32 i = 0; i < r->op_cnt; i++) {
		const struct op *op = &r->op[i];
		u32 j = depth;

		if (op->thread != thread)
			continue;
		if (op->kind == ENTERED)
			stack[depth++] = op->span;
		if (op->kind != EXITED)
			continue;
		while (stack[j - 1] != op->span)
			j--;
		memmove(&stack[j - 1], &stack[j], (depth - j) * sizeof(*stack));
		depth--;
	}
	for (u32 i = 0; i < depth; i++)
		recording__put(out, "enter %" PRIu64 " T%" PRIu64 " at %" PRIu64 "\n", stack[i], thread, r->ns);
}

static void want_beginning(struct run *r, struct recording *out)
{
	recording__put(out, "%s", "");
	for (u32 i = 0; i < r->op_cnt; i++) {
		const struct op *op = &r->op[i];

		if (op->kind == OTHER || op->kind == ENTERED || op->kind == EXITED || op->kind == CLOSED ||
		    is_closed(r, op->span))
			continue;
		if (op->kind == OPENED)
			recording__put(out, "%s", op->carried);
		else if (op->kind == FOLLOWED || is_newest_value(r, i))
			recording__put(out, "%s", op->line);
	}
	for (u64 t = 1; t < 64; t++)
		want_stack(r, t, out);
}

/* --- turns ------------------------------------------------------------------------------------------------- */

static void same_text(const struct run *r, const char *what, const struct recording *got, const struct recording *want)
{
	const char *a = got->text ? got->text : "", *b = want->text ? want->text : "";
	int i = 0;

	if (!strcmp(a, b))
		return;
	while (a[i] == b[i])
		i++;
	while (i && a[i - 1] != '\n')
		i--;
	print_error("window %u, %s\nbefore: %.*s\ngot:    %.300s\nwanted: %.300s\n", r->windows,
		    what, MIN(i, 1000), a + MAX(i - 1000, 0), a + i, b + i);
	fail();
}

static void begin_by(struct run *r, int (*how)(struct window *, const struct sink *, u64))
{
	struct sink_ops ops = part_ops;
	struct sink to = {&ops, r};
	struct recording want = {0};

	if (rnd(r, 2)) {
		ops.span_begin = part_begin;
		ops.span_end = part_end;
	}
	memset(r->check, 0, sizeof(*r->check));
	want_beginning(r, &want);
	r->to = &r->begin;
	assert_int_equal(how(r->w, &to, r->ns), 0);
	same_text(r, "beginning", &r->begin, &want);
	recording__done(&want);
	recording__clear(&r->begin);
	r->to = &r->got;
	r->windows++;
}

static void begin(struct run *r)
{
	begin_by(r, window__begin);
}

static void end(struct run *r)
{
	const char *line, *next;

	same_text(r, "meanwhile", &r->got, &r->want);
	recording__clear(&r->got);
	recording__clear(&r->want);
	r->to = &r->end;
	assert_int_equal(window__end(r->w, r->ns), 0);
	assert_false(window__is_open(r->w));
	check__is_over(r->check);
	for (line = r->end.text; line && *line; line = next + 1) {
		next = strchr(line, '\n');
		assert_true(next - line > 4 && !strncmp(next - 4, " cut", 4));
	}
	recording__clear(&r->end);
}

/* --- a random program -------------------------------------------------------------------------------------- */

static struct wire_ref some_ref(struct run *r)
{
	u32 id = 1 + rnd(r, IDS);

	return fix__ref(id, 0, id % FIX_SPANS);
}

static void follows(struct run *r, u32 t)
{
	struct rec rec = fix__rec(&r->f, WIRE_R_FOLLOWS, t, r->ns, 0);

	rec.ref = some_ref(r);
	rec.other = some_ref(r);
	fix__send(&r->f, &rec);
}

static void thread_end(struct run *r, u32 t)
{
	struct wire_life l = {.flags = rnd(r, 4) ? 0 : WIRE_LIFE_PROCESS};

	fix__life(&r->f, REC_EXIT, FIX_PID, FIX_PID + t, r->ns, &l);
	for (u32 i = 0; i < FIX_PAGES; i++)
		if (i == t || l.flags)
			r->f.page[i].user = rnd(r, 2) ? r->f.page[i].user : NULL; /* or a late record of it comes */
}

static void step(struct run *r)
{
	u32 op = rnd(r, 40), t = rnd(r, THREADS);
	u16 depth = (u16)rnd(r, 6);

	r->ns += 1 + rnd(r, 3);
	if (op < 8)
		fix__begin(&r->f, t, r->ns, depth, rnd(r, FIX_SPANS));
	else if (op < 14)
		fix__end(&r->f, t, r->ns, depth);
	else if (op < 18)
		fix__event(&r->f, t, r->ns, (u8)rnd(r, 3), some_ref(r));
	else if (op < 22) {
		struct wire_ref ref = some_ref(r);

		fix__open(&r->f, t, r->ns, ref, ref.id % FIX_SPANS, (u8)rnd(r, 3), some_ref(r));
	} else if (op < 26)
		fix__op(&r->f, WIRE_R_ENTER, t, r->ns, depth, some_ref(r));
	else if (op < 29)
		fix__op(&r->f, WIRE_R_EXIT, t, r->ns, 0, some_ref(r));
	else if (op < 32)
		fix__op(&r->f, WIRE_R_DROP, t, r->ns, 0, some_ref(r));
	else if (op < 36)
		fix__value(&r->f, t, r->ns, depth, rnd(r, 2) ? fix_none : some_ref(r), (u16)rnd(r, 3), r->ns);
	else if (op < 39)
		follows(r, t);
	else if (!rnd(r, 4))
		thread_end(r, t);
}

static void turns(struct run *r)
{
	if (rnd(r, 12))
		return;
	r->ns++;
	if (window__is_open(r->w)) {
		end(r);
		if (rnd(r, 3))
			begin(r);
	} else {
		begin(r);
	}
}

static void one_case(u64 seed)
{
	static struct run run;
	struct run *r = &run;
	u32 i, ops;

	memset(r, 0, sizeof(*r));
	r->check = calloc(1, sizeof(*r->check));
	r->seed = seed;
	r->ns = 100;
	r->w = window__new(NULL);
	assert_non_null(r->w);
	r->ws = window__sink(r->w);
	r->f.first = (struct sink){&tell_ops, r};
	fix__start(&r->f, NULL, 0);
	r->whole = rnd(r, 2);
	ops = 1 + rnd(r, OPS / 4);
	for (i = 0; i < ops; i++) {
		turns(r);
		step(r);
	}
	if (!window__is_open(r->w)) {
		begin_by(r, rnd(r, 2) ? window__begin_last : window__begin);
		for (i = rnd(r, ops + 1); i; i--)
			step(r);
	}
	assert_int_equal(model__cut(r->f.m, ++r->ns), 0);
	end(r);
	assert_int_equal(fix__stats(&r->f).lost[LOSS_WRITE], 0);
	fix__stop(&r->f);
	window__free(r->w);
	for (i = 0; i < r->op_cnt; i++) {
		free(r->op[i].line);
		free(r->op[i].carried);
	}
	recording__done(&r->line);
	recording__done(&r->want);
	recording__done(&r->begin);
	recording__done(&r->got);
	recording__done(&r->end);
	free(r->check);
}

static u64 from_env(const char *name, u64 otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

static u64 case_seed;

static void any_windows_on_any_stream(void **state)
{
	u64 seed = from_env("PROPERTY_SEED", (u64)time(NULL)), cases = from_env("PROPERTY_CASES", 600), i;

	print_message("PROPERTY_SEED=%" PRIu64 " PROPERTY_CASES=%" PRIu64 "\n", seed, cases);
	for (i = 0; i < cases; i++) {
		case_seed = seed + i;
		one_case(case_seed);
	}
}

/* After a failure as well. */
static int say_seed(void **state)
{
	print_message("last: PROPERTY_SEED=%" PRIu64 " PROPERTY_CASES=1\n", case_seed);
	return 0;
}

/* --- single stories ---------------------------------------------------------------------------------------- */

static struct callsite story_site = {.id = 1, .is_span = 1, .name = "work", .target = "", .module = "", .file = "",
				     .field_cnt = 1, .field = {{"path", WIRE_T_STR}}};
static struct callsite story_event = {.id = 2, .name = "said", .target = "", .module = "", .file = ""};
static struct process story_process = {.uid = 1, .pid = 7};
static struct thread story_thread = {.uid = 1, .tid = 7, .name = "main", .process = &story_process};

struct story {
	struct window *w;
	struct sink in, out;
	struct recording rec;
};

static void story__start(struct story *s)
{
	*s = (struct story){.w = window__new(NULL)};
	assert_non_null(s->w);
	s->in = window__sink(s->w);
	s->out = recording__sink(&s->rec);
	s->rec.quiet = true;
	assert_int_equal(s->in.ops->process(s->in.ctx, &story_process), 0);
	assert_int_equal(s->in.ops->thread(s->in.ctx, &story_thread), 0);
}

static void story__stop(struct story *s)
{
	window__free(s->w);
	recording__done(&s->rec);
}

static void story__open(struct story *s, u64 span, u64 ns)
{
	char text[] = "/index";
	struct value v = {.type = WIRE_T_STR, .text = text, .text_bytes = 6};
	struct span_open o = {.span = span, .callsite = &story_site, .time_ns = ns, .thread = &story_thread,
			      .value = &v, .value_cnt = 1};

	assert_int_equal(s->in.ops->span_open(s->in.ctx, &o), 0);
	memset(text, 'x', sizeof(text)); /* the window has a copy, or it is wrong */
	assert_int_equal(s->in.ops->span_enter(s->in.ctx, span, &story_thread, ns), 0);
}

static void story__close(struct story *s, u64 span, u64 ns)
{
	assert_int_equal(s->in.ops->span_exit(s->in.ctx, span, &story_thread, ns, SINK_OWN), 0);
	assert_int_equal(s->in.ops->span_close(s->in.ctx, span, ns, ns, SINK_OWN), 0);
}

static void story__event(struct story *s, u64 ns)
{
	struct event e = {.callsite = &story_event, .time_ns = ns, .thread = &story_thread};

	assert_int_equal(s->in.ops->event(s->in.ctx, &e), 0);
}

static void story__told(struct story *s, const char *text)
{
	assert_string_equal(s->rec.text ? s->rec.text : "", text);
	recording__clear(&s->rec);
}

static void a_window_begins_and_ends_by_itself(void **state)
{
	struct story s;

	story__start(&s);
	assert_int_equal(window__begin_at(s.w, &s.out, 50), 0);
	story__open(&s, 1, 10);
	story__event(&s, 49);
	story__told(&s, "");
	story__event(&s, 60);
	story__told(&s, "open 1 work parent 0 at 10 by T1 flags 2 {path='/index'}\n"
			"enter 1 T1 at 50\n"
			"event said parent 0 at 60 by T1\n");
	assert_int_equal(window__begin(s.w, &s.out, 60), -EBUSY);
	assert_int_equal(window__end_at(s.w, 70), 0);
	story__event(&s, 69);
	story__close(&s, 1, 70);
	story__told(&s, "event said parent 0 at 69 by T1\nexit 1 T1 at 70 cut\nclose 1 at 70 cut\n");
	assert_false(window__is_open(s.w));
	assert_int_equal(window__end(s.w, 80), 0);
	story__told(&s, "");
	story__stop(&s);
}

static void what_comes_late_is_not_before_the_beginning(void **state)
{
	struct window_stats st;
	struct story s;

	story__start(&s);
	story__open(&s, 1, 10);
	assert_int_equal(window__begin(s.w, &s.out, 50), 0);
	recording__clear(&s.rec);
	story__event(&s, 48);
	story__close(&s, 1, 49);
	story__told(&s, "event said parent 0 at 50 by T1\nexit 1 T1 at 50\nclose 1 at 50 dropped 49\n");
	window__stats(s.w, &st);
	assert_int_equal(st.late, 3);
	story__stop(&s);
}

static void the_last_one_keeps_nothing_more(void **state)
{
	struct span_open o = {.span = 2, .callsite = &story_site, .time_ns = 60, .thread = &story_thread, .parent = 1};
	struct window_stats st;
	struct story s;

	story__start(&s);
	story__open(&s, 1, 10);
	assert_int_equal(window__begin_last(s.w, &s.out, 50), 0);
	recording__clear(&s.rec);
	assert_int_equal(s.in.ops->span_begin(s.in.ctx, &o), 0);
	window__stats(s.w, &st);
	assert_int_equal(st.spans, 1); /* that of before */
	story__close(&s, 2, 70);
	o.span = 3;
	o.time_ns = 80;
	assert_int_equal(s.in.ops->span_begin(s.in.ctx, &o), 0);
	assert_int_equal(s.in.ops->span_end(s.in.ctx, 3, &story_thread, 90), 0);
	story__close(&s, 1, 100);
	story__told(&s, "open 2 work parent 1 at 60 by T1\nenter 2 T1 at 60\nexit 2 T1 at 70\nclose 2 at 70\n"
			"open 3 work parent 1 at 80 by T1\nenter 3 T1 at 80\nexit 3 T1 at 90\nclose 3 at 90\n"
			"exit 1 T1 at 100\nclose 1 at 100\n");
	window__stats(s.w, &st);
	assert_int_equal(st.spans, 0);
	assert_int_equal(window__end(s.w, 110), 0);
	story__told(&s, "");
	story__stop(&s);
}

static void a_beginning_is_not_before_what_was_told(void **state)
{
	struct story s;

	story__start(&s);
	story__open(&s, 1, 100);
	assert_int_equal(window__begin(s.w, &s.out, 50), 0);
	story__told(&s, "open 1 work parent 0 at 100 by T1 flags 2 {path='/index'}\nenter 1 T1 at 100\n");
	story__event(&s, 200);
	recording__clear(&s.rec);
	assert_int_equal(window__end(s.w, 50), 0);
	story__told(&s, "exit 1 T1 at 200 cut\nclose 1 at 200 cut\n");
	story__stop(&s);
}

static void what_a_span_follows_is_bounded(void **state)
{
	struct window_stats st;
	struct story s;

	story__start(&s);
	story__open(&s, 1, 10);
	for (u64 i = 0; i < 300; i++)
		assert_int_equal(s.in.ops->span_follows(s.in.ctx, 1, 1000 + i, &story_thread, 20), 0);
	window__stats(s.w, &st);
	assert_int_equal(st.follows_dropped, 300 - 256);
	assert_int_equal(window__begin(s.w, &s.out, 50), 0);
	assert_non_null(strstr(s.rec.text, "follows 1 1299 "));
	assert_non_null(strstr(s.rec.text, "follows 1 1044 "));
	assert_null(strstr(s.rec.text, "follows 1 1043 "));
	story__stop(&s);
}

static void the_dead_are_forgotten(void **state)
{
	static struct process p[1000];
	static struct thread t[1000];
	struct window_stats st;
	struct story s;

	story__start(&s);
	for (u32 i = 0; i < 1000; i++) {
		struct span_open o = {.span = 10 + i, .callsite = &story_site, .time_ns = 10 + i, .thread = &t[i]};

		p[i] = (struct process){.uid = 2 + i};
		t[i] = (struct thread){.uid = 2 + i, .name = "", .process = &p[i]};
		assert_int_equal(s.in.ops->process(s.in.ctx, &p[i]), 0);
		assert_int_equal(s.in.ops->thread(s.in.ctx, &t[i]), 0);
		assert_int_equal(s.in.ops->span_open(s.in.ctx, &o), 0);
		assert_int_equal(s.in.ops->thread_end(s.in.ctx, &t[i], 20 + i), 0);
		assert_int_equal(s.in.ops->process_end(s.in.ctx, &p[i], 20 + i, 0, true), 0);
	}
	window__stats(s.w, &st);
	assert_int_equal(st.threads, 1001); /* their spans are open */
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(s.in.ops->span_close(s.in.ctx, 10 + i, 2000, 2000, SINK_OWN), 0);
	window__stats(s.w, &st);
	assert_int_equal(st.spans, 0);
	assert_in_range(st.threads, 1, 1 + 64);
	assert_int_equal(st.processes, st.threads);
	story__stop(&s);
}

static int refuse_open(void *ctx, const struct span_open *o)
{
	return -ENOSPC;
}

static void an_error_is_returned_and_the_window_goes_on(void **state)
{
	static const struct sink_ops full = {.span_open = refuse_open};
	struct sink to = {&full, NULL};
	struct span_open o = {.span = 2, .callsite = &story_site, .time_ns = 60, .thread = &story_thread};
	struct story s;

	story__start(&s);
	story__open(&s, 1, 10);
	assert_int_equal(window__begin(s.w, &to, 50), -ENOSPC);
	assert_int_equal(s.in.ops->span_open(s.in.ctx, &o), -ENOSPC);
	assert_int_equal(s.in.ops->span_enter(s.in.ctx, 99, &story_thread, 61), -ENOENT);
	assert_int_equal(window__end(s.w, 70), 0);
	assert_int_equal(window__begin(s.w, &s.out, 70), 0);
	story__told(&s, "open 1 work parent 0 at 10 by T1 flags 2 {path='/index'}\n"
			"open 2 work parent 0 at 60 by T1 flags 2\n"
			"enter 1 T1 at 70\n");
	story__stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(any_windows_on_any_stream, say_seed),
		cmocka_unit_test(a_window_begins_and_ends_by_itself),
		cmocka_unit_test(what_comes_late_is_not_before_the_beginning),
		cmocka_unit_test(the_last_one_keeps_nothing_more),
		cmocka_unit_test(a_beginning_is_not_before_what_was_told),
		cmocka_unit_test(what_a_span_follows_is_bounded),
		cmocka_unit_test(the_dead_are_forgotten),
		cmocka_unit_test(an_error_is_returned_and_the_window_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
