/* SPDX-License-Identifier: MIT */
/*
 * Property: a recording on one tape, and the same on several that turn at random places, are read back as the same, word for word: spans that
 * are open at a turn, entered or not, with what was said of them; spans that follow from one that an earlier tape has closed; threads
 * that are given another name, a process that runs another program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "model/window.h"
#include "recording_sink.h"
#include "rnd.h"
#include "tape/tape_merge.h"
#include "tape/tape_sink.h"

#define BASE_NS 5000000000ULL
#define UNIX_NS 1700000000000000000LL
#define THREADS 3
#define SPANS 16
#define PARTS 12
#define STEPS 300

static struct process process = {.uid = 1, .pid = 100, .comm = "prog"};
static struct thread threads[THREADS] = {{.uid = 1, .tid = 100, .name = "main", .process = &process},
					 {.uid = 2, .tid = 101, .name = "w1", .process = &process},
					 {.uid = 3, .tid = 102, .name = "w2", .process = &process}};
static struct callsite span_site = {.id = 1, .is_span = 1, .level = 2, .name = "a", .target = "t", .module = "", .file = "x.c",
				    .line = 3, .field_cnt = 2, .field = {{"n", WIRE_T_U64}, {"late", WIRE_T_U64}}};
static struct callsite event_site = {.id = 2, .level = 3, .name = "ev", .target = "t", .module = "", .file = "x.c", .line = 9,
				     .field_cnt = 1, .field = {{"k", WIRE_T_U64}}};

struct tape_file {
	char path[64];
	struct tape_writer *w;
	struct tape_sink *s;
	struct sink sink;
};

static void open_file(struct tape_file *f, const char *name, u64 mono_ns, s64 unix_ns, const struct tape_part *part)
{
	struct tape_writer_opts o = {.sz = sizeof(o), .chapter_bytes = 65536, .base_mono_ns = mono_ns, .base_unix_ns = unix_ns, .force = true};
	struct diag d;

	snprintf(f->path, sizeof(f->path), "/tmp/test_tape_join.%d.%s", getpid(), name);
	assert_int_equal(tape_writer__open(f->path, &o, &f->w, &d), 0);
	f->s = tape_sink__new_part(f->w, NULL, part);
	f->sink = tape_sink__sink(f->s);
}

static void close_file(struct tape_file *f, u64 now)
{
	assert_int_equal(tape_sink__finish(f->s, now, 0, 0, 0), 0);
	tape_sink__free(f->s);
	assert_int_equal(tape_writer__close(f->w, NULL), 0);
}

struct story {
	struct tape_file whole, part[PARTS];
	u32 parts;
	struct tape_part mark;
	struct window *w;
	struct sink to[2];
	u64 now;
	struct {
		u64 no;
		u32 entries, children;
		int parent;
	} span[SPANS];
	u64 next_no;
	int stack[THREADS][SPANS * 2];
	u32 depth[THREADS];
};

#define BOTH(s, call, ...)                                                                               \
	do {                                                                                             \
		for (int both_i = 0; both_i < 2; both_i++)                                               \
			assert_int_equal((s)->to[both_i].ops->call((s)->to[both_i].ctx, __VA_ARGS__), 0); \
	} while (0)

static void turn(struct story *s)
{
	struct tape_file *f = &s->part[s->parts];
	char name[16];

	snprintf(name, sizeof(name), "p%u", s->parts);
	if (s->parts) {
		assert_int_equal(window__end(s->w, s->now), 0);
		close_file(f - 1, s->now);
	}
	s->mark.no = ++s->parts;
	/* the wall clock is set now and then */
	open_file(f, name, s->now, UNIX_NS + (s64)(s->now - BASE_NS) + (s->parts > 1 ? rnd(1000) : 0), &s->mark);
	assert_int_equal(window__begin(s->w, &f->sink, s->now), 0);
}

static void open_span(struct story *s, u32 i, u32 t)
{
	struct value v = {.field = 0, .type = WIRE_T_U64, .u = rnd(1000)};
	struct span_open o = {.span = ++s->next_no, .callsite = &span_site, .time_ns = s->now, .thread = &threads[t],
			      .parent_kind = WIRE_PARENT_ROOT, .value_cnt = rnd(2), .value = &v};
	int p = rnd(3) ? (int)rnd(SPANS) : -1;

	s->span[i].parent = -1;
	if (p >= 0 && s->span[p].no && p != (int)i) {
		o.parent_kind = WIRE_PARENT_EXPLICIT;
		o.parent = s->span[p].no;
		s->span[p].children++;
		s->span[i].parent = p;
	}
	s->span[i].no = o.span;
	BOTH(s, span_open, &o);
}

static void exit_top(struct story *s, u32 t)
{
	int i = s->stack[t][--s->depth[t]];

	s->span[i].entries--;
	BOTH(s, span_exit, s->span[i].no, &threads[t], s->now, SINK_OWN);
}

static void close_span(struct story *s, u32 i)
{
	BOTH(s, span_close, s->span[i].no, s->now, s->now, SINK_OWN);
	if (s->span[i].parent >= 0)
		s->span[s->span[i].parent].children--;
	s->span[i].no = 0;
}

static void say(struct story *s, u32 i, u32 t)
{
	struct value v = {.field = 1, .type = WIRE_T_U64, .u = rnd(1000)};
	struct event e = {.callsite = &event_site, .time_ns = s->now, .thread = &threads[t], .parent_kind = WIRE_PARENT_ROOT,
			  .value_cnt = 1, .value = &v};
	u64 before = 1 + rnd((u32)s->next_no);

	switch (rnd(3)) {
	case 0:
		BOTH(s, span_value, s->span[i].no, &span_site, &v, &threads[t], s->now);
		return;
	case 1:
		BOTH(s, span_follows, s->span[i].no, before, &threads[t], s->now);
		return;
	default:
		v.field = 0;
		BOTH(s, event, &e);
	}
}

static void rename_someone(struct story *s, u32 t)
{
	static const char *const name[] = {"main", "idle", "busy", "w1"};
	static char *const exe[] = {"/bin/a", "/bin/b", NULL};

	if (rnd(3)) {
		threads[t].name = name[rnd(ARRAY_SIZE(name))];
		BOTH(s, thread, &threads[t]);
		return;
	}
	process.exe = exe[rnd(ARRAY_SIZE(exe))];
	process.cmdline = rnd(2) ? process.exe : NULL;
	snprintf(process.comm, sizeof(process.comm), "c%u", (u32)rnd(3));
	BOTH(s, process, &process);
}

static void step(struct story *s)
{
	u32 i = rnd(SPANS), t = rnd(THREADS);

	s->now += 1 + rnd(50);
	if (!rnd(40) && s->parts < PARTS)
		turn(s);
	if (!rnd(15))
		rename_someone(s, t);
	if (!s->span[i].no) {
		open_span(s, i, t);
	} else if (!rnd(3)) {
		say(s, i, t);
	} else if (!s->span[i].entries && !s->span[i].children && rnd(2)) {
		close_span(s, i);
	} else if (rnd(2) && s->depth[t] < SPANS && !s->span[i].entries) {
		s->span[i].entries++;
		s->stack[t][s->depth[t]++] = (int)i;
		BOTH(s, span_enter, s->span[i].no, &threads[t], s->now);
	} else if (s->depth[t]) {
		exit_top(s, t);
	}
}

static void end(struct story *s)
{
	bool more = true;

	for (u32 t = 0; t < THREADS; t++)
		while (s->depth[t])
			exit_top(s, t);
	while (more) {
		more = false;
		for (u32 i = 0; i < SPANS; i++)
			if (s->span[i].no && !s->span[i].children) {
				close_span(s, i);
				more = true;
			}
	}
}

/* Told again without a change is as good as not told. */
static char last_said[THREADS + 1][64];

static int say_if_new(struct recording *r, u64 i, const char *text)
{
	/* with a part missing there are two lanes, and the second one's have numbers from the other end */
	if (i <= THREADS && strcmp(last_said[i], text))
		recording__put(r, "%s\n", strcpy(last_said[i], text));
	return 0;
}

static int see_thread(void *ctx, struct thread *t)
{
	char text[64];

	snprintf(text, sizeof(text), "thread %u is %s", (u32)t->uid, t->name);
	return say_if_new(ctx, t->uid, text);
}

static int see_process(void *ctx, struct process *p)
{
	char text[64];

	snprintf(text, sizeof(text), "process %u is %s %s %s", (u32)p->uid, p->comm, p->exe ?: "-", p->cmdline ?: "-");
	return say_if_new(ctx, 0, text);
}

static char *read_back(char **path, u32 cnt)
{
	struct recording rec = {.quiet = true};
	struct sink sink = recording__sink(&rec);
	struct sink_ops ops = *sink.ops;
	struct tape_merge *m;
	struct diag d;

	memset(last_said, 0, sizeof(last_said));
	ops.thread = see_thread;
	ops.process = see_process;
	sink.ops = &ops;
	assert_int_equal(tape_merge__open(path, cnt, NULL, &m, &d), 0);
	assert_int_equal(tape_merge__run(m, &sink, 0), 0);
	assert_int_equal(tape_merge__offset(m), tape_merge__size(m));
	tape_merge__free(m);
	return rec.text;
}

static void tell(struct story *s)
{
	s->now = BASE_NS;
	s->w = window__new(NULL);
	s->to[1] = window__sink(s->w);
	memset(s->mark.recording, 7, sizeof(s->mark.recording));
	open_file(&s->whole, "whole", BASE_NS, UNIX_NS, NULL);
	s->to[0] = s->whole.sink;
	turn(s);
	for (u32 i = 0; i < THREADS; i++)
		BOTH(s, thread, &threads[i]);
	for (u32 i = 0; i < STEPS; i++)
		step(s);
	end(s);
	assert_int_equal(window__end(s->w, s->now), 0);
	close_file(&s->part[s->parts - 1], s->now);
	close_file(&s->whole, s->now);
	window__free(s->w);
}

static void parts_are_read_as_one(void **state)
{
	u32 turns = 0;

	for (u32 round = 1; round <= 300; round++) {
		struct story *s = calloc(1, sizeof(*s));
		char *path[PARTS], *whole = s->whole.path, *a, *b;

		seed = round * 88172645463325252ULL;
		tell(s);
		for (u32 i = 0; i < s->parts; i++)
			path[i] = s->part[i].path;
		for (u32 i = s->parts; i-- > 1;) { /* named in any order: but times are the first one's that is named */
			u32 k = 1 + rnd(i);
			char *was = path[i];

			path[i] = path[k];
			path[k] = was;
		}
		a = read_back(&whole, 1);
		b = read_back(path, s->parts);
		if (strcmp(a, b))
			fprintf(stderr, "round %u, %u parts\n--- whole\n%s--- parts\n%s", round, s->parts, a, b);
		assert_string_equal(a, b);
		turns += s->parts - 1;
		free(a);
		free(b);
		for (u32 i = 0; i < s->parts; i++)
			unlink(path[i]);
		unlink(whole);
		free(s);
	}
	assert_true(turns > 300);
}

/* One of the tapes is not there: what was open is cut in the one before, and open before in the one behind. */
static void a_part_is_missing(void **state)
{
	struct story *s = calloc(1, sizeof(*s));
	char *path[2], *text;

	seed = 88172645463325252ULL;
	tell(s);
	assert_true(s->parts > 2);
	path[0] = s->part[0].path;
	path[1] = s->part[2].path;
	text = read_back(path, 2);
	assert_non_null(strstr(text, " cut\n"));
	assert_non_null(strstr(text, " flags 2"));
	free(text);
	for (u32 i = 0; i < s->parts; i++)
		unlink(s->part[i].path);
	unlink(s->whole.path);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(parts_are_read_as_one), cmocka_unit_test(a_part_is_missing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
