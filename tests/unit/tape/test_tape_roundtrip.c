/* SPDX-License-Identifier: MIT */
/*
 * Property: whatever the model says, written by tape_sink and read back by tape_reader, is said again, word for word;
 * and the auditor finds the tape clean. Random calls over several threads, all that sink.h allows: entries on other
 * threads and several at a time, exits out of order, parents of all kinds, values missing, early and late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <inttypes.h>
#include <time.h>

#include "rnd.h"
#include "tape/tape_audit.h"
#include "tape/tape_reader.h"
#include "tape/tape_sink.h"
#include "trace_sink.h"

#define BASE_NS 5000000000ULL
#define THREADS 3
#define SPANS 12
#define STACK 16

static struct process process = { .uid = 1, .pid = 100, .comm = "prog", .exe = "/bin/prog" };
static struct thread threads[THREADS] = {
	{ .uid = 1, .tid = 100, .name = "main", .process = &process },
	{ .uid = 2, .tid = 101, .name = "w1", .process = &process },
	{ .uid = 3, .tid = 102, .name = "w2", .process = &process },
};

#define FIELDS \
	{ "n", WIRE_T_U64 }, { "i", WIRE_T_I64 }, { "ok", WIRE_T_BOOL }, { "p", WIRE_T_PTR }, { "f", WIRE_T_F64 }, \
		{ "big", WIRE_T_U128 }, { "sbig", WIRE_T_I128 }, { "s", WIRE_T_STR }, { "raw", WIRE_T_BYTES }, { "e", WIRE_T_ERROR }
#define FIELD_CNT 10

static struct callsite sites[] = {
	{ .id = 1, .is_span = 1, .level = 2, .name = "a", .target = "t", .module = "", .file = "x.c", .line = 3,
	  .field_cnt = FIELD_CNT, .field = { FIELDS } },
	{ .id = 2, .is_span = 1, .level = 4, .name = "b", .target = "t", .module = "m", .file = "", .foreign = 1 },
	{ .id = 3, .is_span = 0, .level = 3, .name = "ev", .target = "t", .module = "", .file = "x.c", .line = 9,
	  .field_cnt = FIELD_CNT, .field = { FIELDS } },
};

/* Both sides of the comparison get each call. */
struct both {
	struct sink k[2];
};

#define SAY(b, call, ...) \
	do { \
		assert_int_equal((b)->k[0].ops->call((b)->k[0].ctx, __VA_ARGS__), 0); \
		assert_int_equal((b)->k[1].ops->call((b)->k[1].ctx, __VA_ARGS__), 0); \
	} while (0)

struct live {
	u64 id, parent, open_ns;
	const struct callsite *c;
	u32 entries, children;
};

struct world {
	struct both b;
	struct live span[SPANS];
	u64 stack[THREADS][STACK];
	u32 depth[THREADS];
	u64 now, next_id;
};

static struct live *find(struct world *w, u64 id)
{
	u32 i;

	for (i = 0; i < SPANS; i++)
		if (id && w->span[i].id == id)
			return &w->span[i];
	return NULL;
}

static struct live *any(struct world *w)
{
	u32 i = rnd(SPANS), k;

	for (k = 0; k < SPANS; k++)
		if (w->span[(i + k) % SPANS].id)
			return &w->span[(i + k) % SPANS];
	return NULL;
}

/* The topmost entry that is no duplicate. */
static u64 current(const struct world *w, u32 t)
{
	u32 i, k;

	for (i = w->depth[t]; i-- > 0;) {
		for (k = 0; k < i && w->stack[t][k] != w->stack[t][i]; k++)
			;
		if (k == i)
			return w->stack[t][i];
	}
	return 0;
}

static struct value random_value(u32 field)
{
	static const char text[] = "some text \xff with \x1b odd bytes [00]";
	struct value v = { .field = field, .type = sites[0].field[field].type };

	if (rnd(12) == 0 && v.type != WIRE_T_BOOL) {
		v.flags = VALUE_UNREADABLE;
		if (v.type == WIRE_T_STR || v.type == WIRE_T_BYTES || v.type == WIRE_T_ERROR)
			v.text = "";
		return v;
	}
	switch (v.type) {
	case WIRE_T_STR:
	case WIRE_T_BYTES:
	case WIRE_T_ERROR:
		v.text = text;
		v.text_bytes = rnd(sizeof(text));
		if (rnd(5) == 0) {
			v.flags = VALUE_TRUNCATED;
			v.orig_bytes = 1000 + rnd(1000);
		}
		break;
	case WIRE_T_BOOL:
		v.u = rnd(2);
		break;
	case WIRE_T_I128:
	case WIRE_T_U128:
		v.wide[1] = seed;
		/* fall through */
	default:
		v.wide[0] = seed * 0x9e3779b97f4a7c15ULL;
	}
	return v;
}

static u32 random_values(const struct callsite *c, struct value *v)
{
	u32 i, cnt = 0;

	for (i = 0; i < c->field_cnt; i++)
		if (rnd(3) == 0)
			v[cnt++] = random_value(i);
	return cnt;
}

/* Open and enter: as the sinks like it. */
static void say_begin(struct both *b, const struct span_open *o)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		const struct sink *k = &b->k[i];

		if (k->ops->span_begin) {
			assert_int_equal(k->ops->span_begin(k->ctx, o), 0);
			continue;
		}
		assert_int_equal(k->ops->span_open(k->ctx, o), 0);
		assert_int_equal(k->ops->span_enter(k->ctx, o->span, o->thread, o->time_ns), 0);
	}
}

static void say_end(struct both *b, u64 id, struct thread *t, u64 now)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		const struct sink *k = &b->k[i];

		if (k->ops->span_end) {
			assert_int_equal(k->ops->span_end(k->ctx, id, t, now), 0);
			continue;
		}
		assert_int_equal(k->ops->span_exit(k->ctx, id, t, now, SINK_OWN), 0);
		assert_int_equal(k->ops->span_close(k->ctx, id, now, now, SINK_OWN), 0);
	}
}

/* enter: at once */
static void do_open(struct world *w, u32 t, bool enter)
{
	struct value v[FIELD_CNT];
	struct span_open o = { .span = w->next_id, .callsite = &sites[rnd(2)], .time_ns = w->now, .thread = &threads[t],
			       .parent_kind = rnd(3), .value = v };
	struct live *parent;
	u32 i;

	for (i = 0; i < SPANS && w->span[i].id; i++)
		;
	if (i == SPANS || (enter && w->depth[t] == STACK))
		return;
	if (enter && rnd(4))
		o.parent_kind = WIRE_PARENT_CURRENT;
	if (o.parent_kind == WIRE_PARENT_CURRENT)
		o.parent = current(w, t);
	if (o.parent_kind == WIRE_PARENT_EXPLICIT) {
		parent = any(w);
		o.parent = parent ? parent->id : 0;
		if (!parent)
			o.lost_parent = 77;
	}
	if (rnd(10) == 0)
		o.flags = SPAN_BEFORE;
	o.value_cnt = random_values(o.callsite, v);
	parent = find(w, o.parent);
	if (parent)
		parent->children++;
	w->span[i] = (struct live){ .id = w->next_id++, .parent = o.parent, .c = o.callsite,
				  .open_ns = w->now };
	if (!enter) {
		SAY(&w->b, span_open, &o);
		return;
	}
	w->stack[t][w->depth[t]++] = o.span;
	w->span[i].entries++;
	say_begin(&w->b, &o);
}

/* The top of the thread is left, and nothing else holds that span. */
static void do_end(struct world *w, u32 t)
{
	struct live *s = w->depth[t] ? find(w, w->stack[t][w->depth[t] - 1]) : NULL, *parent;

	if (!s || s->entries != 1 || s->children)
		return;
	parent = find(w, s->parent);
	if (parent)
		parent->children--;
	w->depth[t]--;
	say_end(&w->b, s->id, &threads[t], w->now);
	s->id = 0;
}

static void do_enter(struct world *w, u32 t, struct live *s)
{
	if (!s || w->depth[t] == STACK)
		return;
	w->stack[t][w->depth[t]++] = s->id;
	s->entries++;
	SAY(&w->b, span_enter, s->id, &threads[t], w->now);
}

static void do_exit(struct world *w, u32 t, u32 from_top, enum sink_why why)
{
	u32 at, i;
	u64 id;

	if (from_top >= w->depth[t])
		return;
	id = w->stack[t][w->depth[t] - 1 - from_top];
	/* the topmost entry of that span is the one that goes */
	for (at = w->depth[t] - 1; w->stack[t][at] != id; at--)
		;
	for (i = at; i + 1 < w->depth[t]; i++)
		w->stack[t][i] = w->stack[t][i + 1];
	w->depth[t]--;
	find(w, id)->entries--;
	SAY(&w->b, span_exit, id, &threads[t], w->now, why);
}

static void do_close(struct world *w, struct live *s, enum sink_why why)
{
	struct live *parent;
	u64 dropped_ns;

	if (!s || s->entries || s->children)
		return;
	parent = find(w, s->parent);
	if (parent)
		parent->children--;
	dropped_ns = rnd(2) ? w->now : s->open_ns + rnd(w->now - s->open_ns + 1);
	SAY(&w->b, span_close, s->id, w->now, dropped_ns, why);
	s->id = 0;
}

static void do_event(struct world *w, u32 t)
{
	struct value v[FIELD_CNT];
	struct event e = { .callsite = &sites[2], .time_ns = w->now, .thread = &threads[t], .parent_kind = rnd(3),
			   .value = v };
	struct live *s = any(w);

	if (e.parent_kind == WIRE_PARENT_CURRENT)
		e.parent = current(w, t);
	if (e.parent_kind == WIRE_PARENT_EXPLICIT)
		e.parent = s ? s->id : 0;
	e.value_cnt = random_values(e.callsite, v);
	SAY(&w->b, event, &e);
}

static void step(struct world *w)
{
	u32 t = rnd(THREADS);
	struct live *s = any(w), *other;
	struct value v;

	w->now += rnd(5);
	if (!rnd(50))
		SAY(&w->b, trigger, &(struct sink_trigger){ w->now, 100, 101, "span:a>5ms", "span a INFO 6ms: \"x\"" });
	switch (rnd(16)) {
	case 0:
	case 1:
		do_open(w, t, false);
		break;
	case 12:
	case 13:
		do_open(w, t, true);
		break;
	case 14:
	case 15:
		do_end(w, t);
		break;
	case 2:
	case 3:
	case 4:
		do_enter(w, t, s);
		break;
	case 5:
	case 6:
		do_exit(w, t, 0, rnd(8) ? SINK_OWN : SINK_ABANDONED);
		break;
	case 7:
		do_exit(w, t, rnd(4), rnd(8) ? SINK_OWN : SINK_LOST);
		break;
	case 8:
		do_close(w, s, rnd(4) ? SINK_OWN : SINK_ABANDONED);
		break;
	case 9:
		if (!s || !s->c->field_cnt)
			break;
		v = random_value(rnd(s->c->field_cnt));
		SAY(&w->b, span_value, s->id, s->c, &v, &threads[t], w->now);
		break;
	case 10:
		other = any(w);
		if (s && other && s != other)
			SAY(&w->b, span_follows, s->id, other->id, &threads[t], w->now);
		break;
	default:
		do_event(w, t);
	}
}

static void end(struct world *w)
{
	u32 t, i, left = 1;

	for (t = 0; t < THREADS; t++)
		while (w->depth[t])
			do_exit(w, t, 0, SINK_CUT);
	while (left) {
		for (left = i = 0; i < SPANS; i++) {
			if (w->span[i].id)
				do_close(w, &w->span[i], SINK_CUT);
			left += w->span[i].id != 0;
		}
	}
}

static char *spoken(struct trace *t)
{
	char *text, *from, *to, *next;

	text = from = to = strdup(trace__text(t));
	for (; *from; from = next) {
		next = strchr(from, '\n') + 1;
		/* the reader defines at the first use: another place, the same words */
		if (strncmp(from, "callsite ", 9) && strncmp(from, "thread ", 7) && strncmp(from, "process ", 8)) {
			memmove(to, from, next - from);
			to += next - from;
		}
	}
	*to = '\0';
	trace__done(t);
	return text;
}

static void no_defect(void *ctx, const struct tape_defect *d)
{
	fail_msg("defect %d at byte %llu: %s (seed %s)", d->kind, (unsigned long long)d->offset, d->text, (const char *)ctx);
}

static void one_round(u64 start)
{
	char path[] = "/tmp/test_tape_roundtrip.XXXXXX", name[32], *want, *got;
	struct tape_writer_opts wo = { .sz = sizeof(wo), .chapter_bytes = 65536, .base_mono_ns = BASE_NS,
				       .base_unix_ns = 1700000000000000000, .force = true };
	struct tape_reader_ops ro = { .defect = no_defect, .ctx = name };
	struct tape_audit_result res;
	struct trace said, heard;
	struct world w = { .now = BASE_NS, .next_id = 1 };
	struct tape_reader *r;
	struct tape_writer *tw;
	struct tape_sink *ts;
	struct sink sink;
	u32 i, steps, at, line;

	seed = start;
	snprintf(name, sizeof(name), "%" PRIu64, start);
	close(mkstemp(path));
	assert_int_equal(tape_writer__open(path, &wo, &tw, NULL), 0);
	ts = tape_sink__new(tw, NULL);
	w.b.k[0] = trace__start(&said, BASE_NS);
	w.b.k[1] = tape_sink__sink(ts);
	for (i = 0; i < 3; i++)
		SAY(&w.b, callsite, &sites[i]);
	SAY(&w.b, process, &process);
	for (i = 0; i < THREADS; i++)
		SAY(&w.b, thread, &threads[i]);
	for (steps = rnd(400); steps > 0; steps--)
		step(&w);
	end(&w);
	assert_int_equal(tape_sink__finish(ts, w.now, 5, 5, 0), 0);
	tape_sink__free(ts);
	assert_int_equal(tape_writer__close(tw, NULL), 0);

	assert_int_equal(tape_reader__open(path, &ro, &r, NULL), 0);
	sink = trace__start(&heard, 1ULL << 63);
	assert_int_equal(tape_reader__run(r, &sink, 0), 0);
	tape_reader__free(r);
	want = spoken(&said);
	got = spoken(&heard);
	if (strcmp(want, got)) {
		for (at = line = 0; want[at] && want[at] == got[at]; at++)
			if (want[at] == '\n')
				line = at + 1;
		fail_msg("seed %s\n--- said\n%.400s\n--- heard\n%.400s", name, want + line, got + line);
	}
	free(want);
	free(got);
	assert_int_equal(tape_audit__run(path, &(struct tape_audit_ops){ .defect = no_defect, .ctx = name }, &res, NULL), 0);
	assert_int_equal(res.defects, 0);
	assert_true(res.own && res.totals.present && res.totals.checksum_ok);
	unlink(path);
}

static void random_sequences(void **state)
{
	const char *given = getenv("SEED");
	u64 start = given ? strtoull(given, NULL, 10) : (u64)time(NULL) * 1000003;
	u32 i;

	print_message("first seed %" PRIu64 " (SEED sets it)\n", start);
	for (i = 0; i < (given ? 1 : 400); i++)
		one_round(start + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_sequences) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
