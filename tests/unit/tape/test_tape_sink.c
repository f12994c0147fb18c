/* SPDX-License-Identifier: MIT */
/*
 * The tape sink against the referee: whatever is fed, the tape loads, nothing is hidden, every span is under its parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/codes.h"
#include "base/crc32c.h"
#include "referee.h"
#include "tape/tape_sink.h"

#define BASE_NS 1000000000ULL
#define UUID_AT (TAPE_INTRO_BYTES + offsetof(struct tape_x_generation, uuid))

/* --- a tape in a temporary file -------------------------------------------------------------------------- */

struct tape {
	char path[64];
	struct tape_writer *w;
	struct tape_sink *s;
	struct sink k;
	u8 *data;
	u64 bytes;
};

static void tape__open(struct tape *t, u32 chapter, const struct process *only)
{
	struct tape_writer_opts o = { .sz = sizeof(o), .base_mono_ns = BASE_NS, .base_unix_ns = 1700000000000000000,
				      .chapter_bytes = chapter, .force = true };

	memset(t, 0, sizeof(*t));
	strcpy(t->path, "/tmp/test_tape_sink.XXXXXX");
	close(mkstemp(t->path));
	assert_int_equal(tape_writer__open(t->path, &o, &t->w, NULL), 0);
	t->s = tape_sink__new(t->w, only);
	assert_non_null(t->s);
	t->k = tape_sink__sink(t->s);
}

static void tape__read(struct tape *t)
{
	int fd = open(t->path, O_RDONLY);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	t->bytes = st.st_size;
	free(t->data);
	t->data = malloc(t->bytes);
	assert_int_equal(read(fd, t->data, t->bytes), t->bytes);
	close(fd);
}

static void tape__finish(struct tape *t, u64 time_ns)
{
	struct loss l = { .from_ns = BASE_NS, .to_ns = time_ns, .cpu = ~0u, .cause = LOSS_RING, .count = 2 };

	assert_int_equal(t->k.ops->loss(t->k.ctx, &l), 0);
	assert_int_equal(tape_sink__finish(t->s, time_ns, 10, 8, 2), 0);
	tape_sink__free(t->s);
	assert_int_equal(tape_writer__close(t->w, NULL), 0);
	tape__read(t);
}

static void tape__done(struct tape *t)
{
	const char *keep = getenv("KEEP_TAPES");
	static int n;
	char to[512];

	snprintf(to, sizeof(to), "%s/sink_%d.tape", keep ? keep : "", n++);
	/* for the conformance test: other readers see the same tapes */
	if (keep) {
		FILE *f = fopen(to, "w");

		assert_non_null(f);
		assert_int_equal(fwrite(t->data, 1, t->bytes, f), t->bytes);
		fclose(f);
	}
	unlink(t->path);
	free(t->data);
}

static void load(struct referee *r, const struct tape *t)
{
	if (!referee__load(r, t->data, t->bytes))
		fail_msg("%s", r->error);
}

static const u8 *find_record(const struct tape *t, u8 kind, u32 nth)
{
	for (u64 at = TAPE_INTRO_BYTES; at < t->bytes;) {
		const struct tape_head *h = (const void *)(t->data + at);

		if (h->kind == kind && !nth--)
			return t->data + at;
		at += h->kind == TAPE_NOOP ? 1 : h->len;
	}
	return NULL;
}

static u32 count_records(const struct tape *t, u8 kind)
{
	u32 n = 0;

	while (find_record(t, kind, n))
		n++;
	return n;
}

static const struct referee_span *closed_span(const struct referee *r, u64 id)
{
	for (u32 i = 0; i < r->closed_cnt; i++)
		if (r->closed[i].id == id)
			return &r->closed[i];
	fail_msg("span %llx is not in the tree", (unsigned long long)id);
	return NULL;
}

/* --- things to record ------------------------------------------------------------------------------------ */

static struct process process = { .uid = 1, .pid = 100, .ns_pid = 100, .comm = "prog" };
static struct process other = { .uid = 2, .pid = 200, .comm = "sixteen_letters_", .exe = "/bin/other", .cmdline = "other -x" };
static struct thread thread[4] = {
	{ .uid = 1, .tid = 100, .name = "main", .process = &process },
	{ .uid = 2, .tid = 101, .name = "worker", .process = &process },
	{ .uid = 3, .tid = 102, .name = "w2", .process = &process },
	{ .uid = 4, .tid = 200, .name = "o", .process = &other },
};
static struct callsite span_site = {
	.id = 1, .is_span = 1, .level = WIRE_INFO, .line = 7, .name = "work", .target = "demo", .module = "demo",
	.file = "a.c", .field_cnt = 3,
	.field = { { "n", WIRE_T_U64 }, { "p", WIRE_T_PTR }, { "text", WIRE_T_STR } },
};
static struct callsite event_site = {
	.id = 2, .level = WIRE_WARN, .line = 9, .name = "ev", .target = "demo", .module = "", .file = "", .field_cnt = 4,
	.field = { { "message", WIRE_T_STR }, { "bytes", WIRE_T_BYTES }, { "b", WIRE_T_BOOL }, { "x", WIRE_T_F64 } },
};

static int open_span(struct tape *t, u64 id, struct thread *th, u64 at, u8 kind, u64 parent)
{
	struct span_open o = { .span = id, .callsite = &span_site, .time_ns = BASE_NS + at, .thread = th,
			       .parent_kind = kind, .parent = parent };

	return t->k.ops->span_open(t->k.ctx, &o);
}

static int enter(struct tape *t, u64 id, struct thread *th, u64 at)
{
	return t->k.ops->span_enter(t->k.ctx, id, th, BASE_NS + at);
}

static int leave(struct tape *t, u64 id, struct thread *th, u64 at)
{
	return t->k.ops->span_exit(t->k.ctx, id, th, BASE_NS + at, SINK_OWN);
}

static int close_span(struct tape *t, u64 id, u64 at)
{
	return t->k.ops->span_close(t->k.ctx, id, BASE_NS + at, BASE_NS + at, SINK_OWN);
}

/* --- single cases ---------------------------------------------------------------------------------------- */

static void test_simple(void **state)
{
	const struct tape_x_totals *totals;
	const struct tape_x_checksum *sum;
	struct referee r;
	struct tape t;

	tape__open(&t, 0, NULL);
	assert_int_equal(tape_sink__clocks(t.s, BASE_NS + 5, 77, 88), 0);
	assert_int_equal(open_span(&t, 1, &thread[0], 10, WIRE_PARENT_CURRENT, 0), 0);
	assert_int_equal(enter(&t, 1, &thread[0], 10), 0);
	assert_int_equal(open_span(&t, 2, &thread[0], 20, WIRE_PARENT_CURRENT, 1), 0);
	assert_int_equal(enter(&t, 2, &thread[0], 20), 0);
	assert_int_equal(leave(&t, 2, &thread[0], 30), 0);
	assert_int_equal(close_span(&t, 2, 30), 0);
	assert_int_equal(leave(&t, 1, &thread[0], 40), 0);
	assert_int_equal(close_span(&t, 1, 40), 0);
	tape__finish(&t, BASE_NS + 50);

	load(&r, &t);
	assert_int_equal(r.closed_cnt, 2);
	assert_int_equal(closed_span(&r, 2)->parent, 1);
	assert_int_equal(closed_span(&r, 1)->parent, 0);
	/* nothing to put right: no synthetic records, one definition */
	assert_null(find_record(&t, TAPE_X_SYNTHETIC, 0));
	assert_int_equal(count_records(&t, TAPE_CALLSITE), 1);
	assert_int_equal(count_records(&t, TAPE_X_SPAN), 2);
	assert_int_equal(count_records(&t, TAPE_X_CLOCK), 3);
	assert_int_equal(count_records(&t, TAPE_X_THREAD), 1);
	totals = (const void *)find_record(&t, TAPE_X_TOTALS, 0);
	assert_non_null(totals);
	assert_int_equal(totals->emitted, 10);
	assert_int_equal(totals->stored, 8);
	assert_int_equal(totals->lost, 2);
	assert_int_equal(totals->spans, 2);
	sum = (const void *)find_record(&t, TAPE_X_CHECKSUM, 0);
	assert_non_null(sum);
	assert_int_equal(sum->crc, crc32c(0, t.data, (const u8 *)sum - t.data));
	assert_int_equal((const u8 *)(sum + 1) - t.data, t.bytes);
	referee__done(&r);
	tape__done(&t);
}

static void begin_whole(struct tape *t, u64 id, u64 parent, u64 at, u32 values)
{
	struct value v = { .field = 0, .type = WIRE_T_U64, .u = 7 };
	struct span_open o = { .span = id, .callsite = &span_site, .time_ns = BASE_NS + at, .thread = &thread[0],
			       .parent_kind = WIRE_PARENT_CURRENT, .parent = parent, .value = &v, .value_cnt = values };

	assert_int_equal(t->k.ops->span_begin(t->k.ctx, &o), 0);
}

/* Whole begins and ends say in no extension record what follows from their entries. */
static void whole_spans(void **state)
{
	struct referee r;
	struct tape t;

	tape__open(&t, 0, NULL);
	begin_whole(&t, 1, 0, 10, 1); /* defines: the long way */
	begin_whole(&t, 2, 1, 20, 0);
	assert_int_equal(t.k.ops->span_end(t.k.ctx, 2, &thread[0], BASE_NS + 30), 0);
	begin_whole(&t, 3, 1, 30, 1); /* the short one */
	assert_int_equal(t.k.ops->span_end(t.k.ctx, 3, &thread[0], BASE_NS + 40), 0);
	assert_int_equal(t.k.ops->span_end(t.k.ctx, 1, &thread[0], BASE_NS + 50), 0);
	assert_int_equal(t.k.ops->span_end(t.k.ctx, 1, &thread[0], BASE_NS + 50), -ENOENT);
	tape__finish(&t, BASE_NS + 60);

	load(&r, &t);
	assert_int_equal(r.closed_cnt, 3);
	assert_int_equal(closed_span(&r, 1)->parent, 0);
	assert_int_equal(closed_span(&r, 2)->parent, 1);
	assert_int_equal(closed_span(&r, 3)->parent, 1);
	assert_int_equal(closed_span(&r, 3)->value_cnt, 1);
	assert_int_equal(count_records(&t, TAPE_X_SPAN), 0);
	assert_null(find_record(&t, TAPE_X_SYNTHETIC, 0));
	referee__done(&r);
	tape__done(&t);
}

static void test_empty_recording(void **state)
{
	struct referee r;
	struct tape t;

	tape__open(&t, 0, NULL);
	tape__finish(&t, BASE_NS + 50);
	load(&r, &t);
	/* a time range needs a span or an event */
	assert_int_equal(r.closed_cnt, 1);
	assert_int_equal(r.closed[0].opened, 50);
	referee__done(&r);
	tape__done(&t);
}

static void test_event_values(void **state)
{
	struct value v[] = {
		{ .field = 1, .type = WIRE_T_BYTES, .text = "\xde\xad\x01", .text_bytes = 3 },
		{ .field = 3, .type = WIRE_T_F64, .f = 1.5 },
	};
	struct event e = { .callsite = &event_site, .time_ns = BASE_NS + 7, .thread = &thread[1],
			   .value_cnt = 2, .value = v };
	const struct tape_x_synthetic *mark;
	const struct tape_event *ev;
	const struct tape_value *val;
	struct referee r;
	struct tape t;

	tape__open(&t, 0, NULL);
	assert_int_equal(t.k.ops->event(t.k.ctx, &e), 0);
	tape__finish(&t, BASE_NS + 7);
	load(&r, &t);
	assert_int_equal(r.events, 1);
	ev = (const void *)find_record(&t, TAPE_EVENT, 0);
	assert_int_equal(ev->value_cnt, 4); /* two placeholders: message and b */
	assert_int_equal(ev->thread, 2);
	assert_int_equal(ev->time, 7);
	mark = (const void *)find_record(&t, TAPE_X_SYNTHETIC, 0);
	assert_int_equal(mark->procedure, TAPE_P_FIELD);
	assert_int_equal(mark->count, 2);
	for (int i = 0; i < 2; i++) {
		val = (const void *)find_record(&t, TAPE_EVENT_VALUE, i);
		assert_int_equal(val->h.len, sizeof(*val));
		assert_int_equal(val->type, TAPE_STR);
	}
	val = (const void *)find_record(&t, TAPE_EVENT_VALUE, 2);
	assert_int_equal(val->h.len, sizeof(*val) + 10);
	assert_memory_equal(val + 1, "[de ad 01]", 10);
	assert_null(find_record(&t, TAPE_X_VALUE, 0)); /* declared as bytes: needs no word */
	assert_null(find_record(&t, TAPE_X_EVENT, 0)); /* contextual, nothing entered */
	/* the event must not carry the largest time */
	assert_true(r.max_span > r.max_event);
	referee__done(&r);
	tape__done(&t);
}

static void test_event_context(void **state)
{
	struct event e = { .callsite = &event_site, .time_ns = BASE_NS + 7, .thread = &thread[0] };
	const struct tape_x_event *x;
	struct referee r;
	struct tape t;

	tape__open(&t, 0, NULL);
	open_span(&t, 1, &thread[0], 1, WIRE_PARENT_CURRENT, 0);
	open_span(&t, 2, &thread[0], 1, WIRE_PARENT_ROOT, 0);
	enter(&t, 1, &thread[0], 2);
	enter(&t, 2, &thread[0], 2);
	enter(&t, 1, &thread[0], 3);
	/* A B A*: current is B (semantics of `tracing`) */
	e.parent = 2;
	assert_int_equal(t.k.ops->event(t.k.ctx, &e), 0);
	e.parent = 1;
	assert_int_equal(t.k.ops->event(t.k.ctx, &e), 0);
	e.parent_kind = WIRE_PARENT_ROOT;
	e.parent = 0;
	assert_int_equal(t.k.ops->event(t.k.ctx, &e), 0);
	e.parent_kind = WIRE_PARENT_EXPLICIT;
	e.parent = 2;
	assert_int_equal(t.k.ops->event(t.k.ctx, &e), 0);
	tape__finish(&t, BASE_NS + 9);
	load(&r, &t);
	assert_int_equal(count_records(&t, TAPE_X_EVENT), 3);
	x = (const void *)find_record(&t, TAPE_X_EVENT, 0);
	assert_int_equal(x->span, 1);
	assert_int_equal(x->parent_kind, TAPE_PARENT_CURRENT);
	x = (const void *)find_record(&t, TAPE_X_EVENT, 2);
	assert_int_equal(x->span, 2);
	assert_int_equal(x->parent_kind, TAPE_PARENT_EXPLICIT);
	referee__done(&r);
	tape__done(&t);
}

/* P3: A is left before B, then B closes before A, and A is closed first in the second round. */
static void test_out_of_order(void **state)
{
	struct referee r;
	struct tape t;

	tape__open(&t, 0, NULL);
	open_span(&t, 1, &thread[0], 1, WIRE_PARENT_CURRENT, 0);
	enter(&t, 1, &thread[0], 1);
	open_span(&t, 2, &thread[0], 2, WIRE_PARENT_CURRENT, 1);
	enter(&t, 2, &thread[0], 2);
	leave(&t, 1, &thread[0], 3);
	leave(&t, 2, &thread[0], 4);
	close_span(&t, 2, 4);
	close_span(&t, 1, 5);
	tape__finish(&t, BASE_NS + 9);
	load(&r, &t);
	assert_int_equal(closed_span(&r, 2)->parent, 1);
	assert_int_equal(closed_span(&r, 1)->parent, 0);
	referee__done(&r);
	tape__done(&t);
}

/* P4, P5, P7 and roots, on threads that have other things on their stacks. */
static void test_placement(void **state)
{
	const struct tape_x_close *x;
	struct referee r;
	struct tape t;

	tape__open(&t, 0, NULL);
	open_span(&t, 1, &thread[0], 1, WIRE_PARENT_CURRENT, 0);
	enter(&t, 1, &thread[0], 1);
	enter(&t, 1, &thread[1], 2); /* also here: alias */
	open_span(&t, 2, &thread[0], 3, WIRE_PARENT_ROOT, 0);
	enter(&t, 2, &thread[0], 3);
	leave(&t, 2, &thread[0], 4);
	close_span(&t, 2, 4); /* root, on top of 1 */
	open_span(&t, 3, &thread[0], 5, WIRE_PARENT_CURRENT, 1);
	enter(&t, 3, &thread[2], 5); /* child entered where 1 is not */
	leave(&t, 3, &thread[2], 6);
	close_span(&t, 3, 6);
	open_span(&t, 4, &thread[0], 7, WIRE_PARENT_CURRENT, 1); /* never entered */
	close_span(&t, 4, 7);
	open_span(&t, 5, NULL, 7, WIRE_PARENT_EXPLICIT, 1); /* opener unknown, outlives its parent */
	leave(&t, 1, &thread[1], 8);
	leave(&t, 1, &thread[0], 9);
	close_span(&t, 1, 9);
	assert_int_equal(enter(&t, 1, &thread[0], 10), -ENOENT);
	close_span(&t, 5, 12);
	tape__finish(&t, BASE_NS + 20);
	load(&r, &t);
	assert_int_equal(closed_span(&r, 2)->parent, 0);
	assert_int_equal(closed_span(&r, 3)->parent, 1);
	assert_int_equal(closed_span(&r, 4)->parent, 1);
	assert_int_equal(closed_span(&r, 5)->parent, 1);
	assert_true(closed_span(&r, 4)->entered);
	assert_int_equal(closed_span(&r, 1)->closed_at, 12);
	x = (const void *)find_record(&t, TAPE_X_CLOSE, 0);
	assert_int_equal(x->span, 1);
	assert_int_equal(x->dropped, 9);
	referee__done(&r);
	tape__done(&t);
}

static void test_split(void **state)
{
	struct referee r;
	struct tape t;

	tape__open(&t, 0, &other);
	assert_int_equal(open_span(&t, 1, &thread[0], 1, WIRE_PARENT_CURRENT, 0), 0);
	assert_int_equal(enter(&t, 1, &thread[0], 1), 0);
	assert_int_equal(open_span(&t, 2, &thread[3], 1, WIRE_PARENT_CURRENT, 0), 0);
	assert_int_equal(enter(&t, 2, &thread[3], 1), 0);
	assert_int_equal(leave(&t, 1, &thread[0], 2), 0);
	assert_int_equal(close_span(&t, 1, 2), 0);
	tape__finish(&t, BASE_NS + 3);
	load(&r, &t);
	assert_int_equal(r.closed_cnt, 1);
	assert_int_equal(r.closed[0].id, 2);
	assert_int_equal(count_records(&t, TAPE_X_PROCESS), 1);
	assert_int_equal(((const struct tape_x_process *)find_record(&t, TAPE_X_PROCESS, 0))->comm_len, 16);
	referee__done(&r);
	tape__done(&t);
}

/* Equal callsites are one in the tape, whatever their number in the model. */
static void test_equal_callsites(void **state)
{
	struct callsite twin = event_site, differs = event_site;
	struct event e = { .time_ns = BASE_NS, .thread = &thread[0] };
	struct referee r;
	struct tape t;

	twin.id = 3;
	differs.id = 4;
	differs.level = WIRE_ERROR;
	tape__open(&t, 0, NULL);
	t.k.ops->callsite(t.k.ctx, &span_site); /* never used: not defined */
	e.callsite = &event_site;
	t.k.ops->event(t.k.ctx, &e);
	e.callsite = &twin;
	t.k.ops->event(t.k.ctx, &e);
	e.callsite = &differs;
	t.k.ops->event(t.k.ctx, &e);
	tape__finish(&t, BASE_NS);
	load(&r, &t);
	assert_int_equal(count_records(&t, TAPE_CALLSITE), 3); /* two, and the end mark's */
	assert_int_equal(((const struct tape_event *)find_record(&t, TAPE_EVENT, 0))->callsite,
			 ((const struct tape_event *)find_record(&t, TAPE_EVENT, 1))->callsite);
	referee__done(&r);
	tape__done(&t);
}

/* Texts as long as they come, in the smallest chapters: cut, said, never across a border. */
static void test_large_texts(void **state)
{
	static char big[200000];
	struct value v[] = {
		{ .field = 0, .type = WIRE_T_STR, .text = big, .text_bytes = sizeof(big) },
		{ .field = 1, .type = WIRE_T_BYTES, .text = big, .text_bytes = 30000 },
		{ .field = 2, .type = WIRE_T_BOOL, .u = 1 },
	};
	struct event e = { .callsite = &event_site, .thread = &thread[0], .value_cnt = 3, .value = v };
	const u32 chapter[] = { 65536, 131072, 1 << 20 };

	memset(big, 'x', sizeof(big));
	for (u32 k = 0; k < ARRAY_SIZE(chapter); k++) {
		const struct tape_x_value *x;
		struct referee r;
		struct tape t;

		tape__open(&t, chapter[k], NULL);
		for (int i = 0; i < 20; i++) {
			e.time_ns = BASE_NS + i;
			v[0].text_bytes = i % 2 ? sizeof(big) : 3000u * i;
			assert_int_equal(t.k.ops->event(t.k.ctx, &e), 0);
		}
		tape__finish(&t, BASE_NS + 100);
		load(&r, &t);
		assert_int_equal(r.events, 20);
		x = (const void *)find_record(&t, TAPE_X_VALUE, 0);
		assert_non_null(x);
		assert_true(x->flags & (TAPE_V_TRUNCATED | TAPE_V_RAW));
		referee__done(&r);
		tape__done(&t);
	}
}

/* The bytes of the example in docs/FORMAT.md: the lines that start with two blanks, up to the words. */
static u32 read_example(u8 *dst, u32 max)
{
	FILE *f = fopen("docs/FORMAT.md", "r");
	char line[1024];
	bool inside = false;
	u32 n = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		unsigned int byte;
		int used;

		inside |= !strncmp(line, "@0000", 5);
		if (!inside || strncmp(line, "  ", 2))
			continue;
		for (char *p = line + 2; n < max && sscanf(p, "%2x%n", &byte, &used) == 1 && used == 2; p += 3) {
			dst[n++] = byte;
			if (p[2] != ' ' || p[3] == ' ')
				break;
		}
	}
	fclose(f);
	return n;
}

static void test_documented_example(void **state)
{
	struct process shop = { .uid = 1, .pid = 4711, .ns_pid = 4711, .parent_pid = 1, .begin_ns = BASE_NS,
				.comm = "shop" };
	struct thread main_thread = { .uid = 1, .tid = 4711, .ns_tid = 4711, .begin_ns = BASE_NS, .name = "main",
				      .process = &shop };
	struct thread pool = { .uid = 2, .tid = 4712, .ns_tid = 4712, .begin_ns = BASE_NS, .name = "pool",
			       .process = &shop };
	struct callsite order = { .id = 1, .is_span = 1, .level = WIRE_INFO, .line = 7, .name = "order",
				  .target = "shop", .module = "", .file = "", .field_cnt = 2,
				  .field = { { "id", WIRE_T_U64 }, { "note", WIRE_T_STR } } };
	struct value note = { .field = 1, .type = WIRE_T_STR, .flags = VALUE_TRUNCATED, .text = "fragi",
			      .text_bytes = 5, .orig_bytes = 300 };
	struct span_open o = { .span = 1, .callsite = &order, .time_ns = BASE_NS + 1000, .thread = &main_thread,
			       .value_cnt = 1, .value = &note };
	struct loss loss = { .from_ns = BASE_NS + 1100, .to_ns = BASE_NS + 1400, .cpu = 1, .cause = LOSS_RING,
			     .count = 3 };
	struct referee r;
	struct tape t;
	u8 want[2048];
	u32 n = read_example(want, sizeof(want));

	if (!n) {
		print_message("docs/FORMAT.md is not here: run from the top of the tree\n");
		skip();
	}
	tape__open(&t, 0, NULL);
	tape_sink__clocks(t.s, BASE_NS, 1700000000000000000, BASE_NS + 5);
	t.k.ops->span_open(t.k.ctx, &o);
	enter(&t, 1, &main_thread, 1000);
	enter(&t, 1, &pool, 1100);
	leave(&t, 1, &pool, 1200);
	t.k.ops->span_exit(t.k.ctx, 1, &main_thread, BASE_NS + 1500, SINK_CUT);
	t.k.ops->span_close(t.k.ctx, 1, BASE_NS + 1500, BASE_NS + 1500, SINK_CUT);
	t.k.ops->loss(t.k.ctx, &loss);
	assert_int_equal(tape_sink__finish(t.s, BASE_NS + 2000, 10, 7, 3), 0);
	tape_sink__free(t.s);
	assert_int_equal(tape_writer__close(t.w, NULL), 0);
	tape__read(&t);
	load(&r, &t);
	assert_int_equal(n, t.bytes);
	/* the documented checksum is that of the documented bytes; with another uuid it is another */
	assert_int_equal(crc32c(0, want, n - 7), want[n - 4] | want[n - 3] << 8 | want[n - 2] << 16 | (u32)want[n - 1] << 24);
	memcpy(want + UUID_AT, t.data + UUID_AT, 16);
	assert_memory_equal(t.data, want, n - 4);
	referee__done(&r);
	tape__done(&t);
}

/* What a killed recorder has left: it says so, others do not, and it is not said of what lies behind the end. */
static void cut_off(void **state)
{
	static const struct {
		bool said;
		u64 complete, want;
	} tries[] = { { false, 0, 0 }, { true, 1200, 1200 }, { true, 3000, 2000 } };
	const struct tape_x_totals *x;

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		struct tape t;

		tape__open(&t, 0, NULL);
		if (tries[i].said)
			tape_sink__complete(t.s, BASE_NS + tries[i].complete);
		assert_int_equal(tape_sink__finish(t.s, BASE_NS + 2000, 0, 0, 0), 0);
		tape_sink__free(t.s);
		assert_int_equal(tape_writer__close(t.w, NULL), 0);
		tape__read(&t);
		x = (const void *)find_record(&t, TAPE_X_TOTALS, 0);
		assert_non_null(x);
		assert_int_equal(x->h.len, tries[i].said ? sizeof(*x) : TAPE_X_TOTALS_MIN);
		if (tries[i].said)
			assert_int_equal(x->complete, tries[i].want);
		tape__done(&t);
	}
}

/* --- any sequence ---------------------------------------------------------------------------------------- */

#define SPANS 400
#define THREADS 5

struct known_span {
	bool open, closed;
	u64 parent;
	u32 entries, children;
};

struct program {
	struct tape t;
	struct known_span span[SPANS + 1];
	struct thread th[THREADS];
	u64 stack[THREADS][4096]; /* bottom to top */
	u32 depth[THREADS];
	u32 opened, events, leaves;
	bool no_leaf; /* in two calls instead */
	u64 bytes; /* before what is open was closed, in nobody's order */
	u64 now;
	u32 seed;
};

static u32 rnd(struct program *p, u32 n)
{
	p->seed = p->seed * 1664525 + 1013904223;
	return (p->seed >> 8) % n;
}

static u64 current(const struct program *p, u32 th)
{
	for (u32 i = p->depth[th]; i > 0; i--) {
		u32 k = 0;

		while (k < i - 1 && p->stack[th][k] != p->stack[th][i - 1])
			k++;
		if (k == i - 1)
			return p->stack[th][i - 1];
	}
	return 0;
}

static u64 any_open(struct program *p)
{
	for (u32 i = 0; i < 20 && p->opened; i++) {
		u64 id = 1 + rnd(p, p->opened);

		if (p->span[id].open)
			return id;
	}
	return 0;
}

static u32 random_values(struct program *p, const struct callsite *c, struct value *v)
{
	static const u8 type[] = { WIRE_T_BOOL, WIRE_T_I64, WIRE_T_U64, WIRE_T_I128, WIRE_T_U128,
				   WIRE_T_F64, WIRE_T_STR, WIRE_T_BYTES, WIRE_T_PTR, WIRE_T_ERROR, WIRE_T_EMPTY };
	u32 n = rnd(p, c->field_cnt + 2);

	for (u32 i = 0; i < n; i++) {
		v[i] = (struct value){ .field = rnd(p, c->field_cnt + 1), .type = type[rnd(p, ARRAY_SIZE(type))] };
		v[i].flags = rnd(p, 4) ? 0 : rnd(p, 8);
		if (v[i].type == WIRE_T_STR || v[i].type == WIRE_T_BYTES || v[i].type == WIRE_T_ERROR) {
			v[i].text = "\xff text \xc3\xa4 of some length";
			v[i].text_bytes = rnd(p, 20);
		} else {
			v[i].wide[0] = v[i].wide[1] = rnd(p, 1000);
		}
	}
	return n;
}

/* enter: at once */
static void do_open(struct program *p, bool enter)
{
	u32 th = rnd(p, THREADS), kind = rnd(p, 4);
	struct span_open o = { .callsite = &span_site, .time_ns = BASE_NS + p->now, .thread = &p->th[th] };
	struct value v[8];

	if (p->opened == SPANS || (enter && p->depth[th] == ARRAY_SIZE(p->stack[th])))
		return;
	o.span = ++p->opened;
	o.value = v;
	o.value_cnt = random_values(p, &span_site, v);
	o.parent_kind = kind == 0 ? WIRE_PARENT_ROOT : kind == 1 ? WIRE_PARENT_EXPLICIT : WIRE_PARENT_CURRENT;
	if (o.parent_kind == WIRE_PARENT_CURRENT)
		o.parent = current(p, th);
	else if (o.parent_kind == WIRE_PARENT_EXPLICIT)
		o.parent = any_open(p);
	if (!enter && !rnd(p, 10))
		o.thread = NULL;
	if (!rnd(p, 10))
		o.flags = SPAN_BEFORE;
	if (enter) {
		assert_int_equal(p->t.k.ops->span_begin(p->t.k.ctx, &o), 0);
		p->stack[th][p->depth[th]++] = o.span;
		p->span[o.span].entries++;
	} else {
		assert_int_equal(p->t.k.ops->span_open(p->t.k.ctx, &o), 0);
	}
	p->span[o.span].open = true;
	p->span[o.span].parent = o.parent;
	p->span[o.parent].children++;
}

/* A span that is over at once: in one call if that is taken. */
static void do_leaf(struct program *p)
{
	u32 th = rnd(p, THREADS);
	struct span_open o = { .callsite = &span_site, .time_ns = BASE_NS + p->now, .thread = &p->th[th],
			       .parent_kind = WIRE_PARENT_CURRENT, .parent = current(p, th) };
	struct value v = { .field = 0, .type = WIRE_T_U64, .u = 7 };
	u64 end_ns = o.time_ns + rnd(p, 3);

	if (p->opened == SPANS)
		return;
	o.span = ++p->opened;
	o.value = &v;
	o.value_cnt = rnd(p, 2);
	p->span[o.span].parent = o.parent;
	p->now = end_ns - BASE_NS;
	if (!p->no_leaf && p->t.k.ops->span_leaf(p->t.k.ctx, &o, end_ns)) {
		p->leaves++;
		return;
	}
	assert_int_equal(p->t.k.ops->span_begin(p->t.k.ctx, &o), 0);
	assert_int_equal(p->t.k.ops->span_end(p->t.k.ctx, o.span, o.thread, end_ns), 0);
}

static void do_enter(struct program *p)
{
	u64 id = any_open(p);
	u32 th = rnd(p, THREADS);

	if (!id || p->depth[th] == ARRAY_SIZE(p->stack[th]))
		return;
	assert_int_equal(p->t.k.ops->span_enter(p->t.k.ctx, id, &p->th[th], BASE_NS + p->now), 0);
	p->stack[th][p->depth[th]++] = id;
	p->span[id].entries++;
}

static void do_exit(struct program *p, u32 th)
{
	u32 i;
	u64 id;

	if (!p->depth[th])
		return;
	/* mostly the top; the sink leaves the topmost entry of the span, so do we */
	i = rnd(p, 3) ? p->depth[th] - 1 : rnd(p, p->depth[th]);
	id = p->stack[th][i];
	for (u32 k = i + 1; k < p->depth[th]; k++)
		if (p->stack[th][k] == id)
			i = k;
	assert_int_equal(p->t.k.ops->span_exit(p->t.k.ctx, id, &p->th[th], BASE_NS + p->now, rnd(p, 5) ? SINK_OWN : SINK_ABANDONED), 0);
	memmove(&p->stack[th][i], &p->stack[th][i + 1], (p->depth[th] - i - 1) * sizeof(u64));
	p->depth[th]--;
	p->span[id].entries--;
}

/* Children may be open, and others may have entered it: then it is not what span_end is for. */
static void do_end(struct program *p)
{
	u32 th = rnd(p, THREADS);
	u64 id = p->depth[th] ? p->stack[th][p->depth[th] - 1] : 0;

	if (!id || p->span[id].entries != 1)
		return;
	assert_int_equal(p->t.k.ops->span_end(p->t.k.ctx, id, &p->th[th], BASE_NS + p->now), 0);
	p->depth[th]--;
	p->span[id].entries--;
	p->span[id].open = false;
}

static void do_close(struct program *p)
{
	u64 id = any_open(p);

	/* children may still be open: then the sink waits for them */
	if (!id || p->span[id].entries)
		return;
	assert_int_equal(p->t.k.ops->span_close(p->t.k.ctx, id, BASE_NS + p->now, BASE_NS + p->now - rnd(p, 2),
						rnd(p, 4) ? SINK_OWN : SINK_LOST), 0);
	p->span[id].open = false;
}

static void do_event(struct program *p)
{
	u32 th = rnd(p, THREADS);
	struct event e = { .callsite = &event_site, .time_ns = BASE_NS + p->now, .thread = &p->th[th] };
	struct value v[8];

	e.value = v;
	e.value_cnt = random_values(p, &event_site, v);
	e.parent_kind = rnd(p, 3);
	e.parent = e.parent_kind == WIRE_PARENT_ROOT ? 0 : any_open(p);
	assert_int_equal(p->t.k.ops->event(p->t.k.ctx, &e), 0);
	p->events++;
}

static void do_value(struct program *p)
{
	u64 id = any_open(p), b = any_open(p);
	struct value v[8];
	int err;

	if (!id || !random_values(p, &span_site, v))
		return;
	err = p->t.k.ops->span_value(p->t.k.ctx, id, &span_site, v, &p->th[rnd(p, THREADS)], BASE_NS + p->now);
	assert_true(err == 0 || err == -EINVAL); /* a field that is not there, an empty value */
	assert_int_equal(p->t.k.ops->span_follows(p->t.k.ctx, id, b, NULL, BASE_NS + p->now), 0);
}

static void do_thread(struct program *p)
{
	u32 th = rnd(p, THREADS);

	if (p->depth[th])
		return;
	assert_int_equal(p->t.k.ops->thread_end(p->t.k.ctx, &p->th[th], BASE_NS + p->now), 0);
	p->th[th].uid += THREADS;
}

static void run_program(struct program *p, u32 steps)
{
	for (u32 i = 0; i < steps; i++) {
		u32 what = rnd(p, 32);

		p->now += rnd(p, 10);
		if (what < 4)
			do_open(p, false);
		else if (what < 9)
			do_enter(p);
		else if (what < 14)
			do_exit(p, rnd(p, THREADS));
		else if (what < 16)
			do_close(p);
		else if (what < 18)
			do_event(p);
		else if (what < 19)
			do_value(p);
		else if (what < 20)
			do_thread(p);
		else if (what < 24)
			do_open(p, true);
		else if (what < 28)
			do_leaf(p);
		else
			do_end(p);
		if (!rnd(p, 40))
			tape_writer__publish(p->t.w);
	}
}

static void check_tree(struct program *p, const struct referee *r)
{
	u32 own = 0;

	for (u32 i = 0; i < r->closed_cnt; i++) {
		const struct referee_span *sp = &r->closed[i];

		if (sp->id > p->opened)
			continue; /* alias or end mark */
		own++;
		if (referee__resolve(r, sp->parent) != p->span[sp->id].parent)
			fail_msg("seed %u: span %llu is under %llx, not %llu", p->seed, (unsigned long long)sp->id,
				 (unsigned long long)sp->parent, (unsigned long long)p->span[sp->id].parent);
		/* upstream gives values to fields by position */
		for (u32 k = 0; k < sp->value_cnt; k++) {
			bool found = false;

			for (u32 m = 0; m < sp->value_cnt; m++)
				found |= sp->value_field[m] % CALLSITE_MAX_FIELDS == k;
			assert_true(found);
		}
	}
	assert_int_equal(own, p->opened);
	assert_int_equal(r->events, p->events);
	assert_int_equal(r->spans.cnt, 0);
	assert_int_equal(r->skips, 0);
}

static void random_tape(struct program *p, u32 seed, u32 steps, u32 chapter)
{
	p->seed = seed;
	tape__open(&p->t, chapter, NULL);
	for (u32 i = 0; i < THREADS; i++)
		p->th[i] = (struct thread){ .uid = 1 + i, .tid = i, .name = "t", .process = &process };
	run_program(p, steps);
	/* half of them are left to finish, entered and all */
	if (seed % 2) {
		for (u32 th = 0; th < THREADS; th++)
			while (p->depth[th])
				do_exit(p, th);
	}
	p->bytes = tape_writer__bytes(p->t.w);
	tape__finish(&p->t, BASE_NS + p->now);
	p->seed = seed;
}

static void random_program(u32 seed, u32 steps, u32 chapter)
{
	struct program *p = calloc(1, sizeof(*p));
	struct referee r;

	random_tape(p, seed, steps, chapter);
	if (!referee__load(&r, p->t.data, p->t.bytes))
		fail_msg("seed %u: %s", seed, r.error);
	check_tree(p, &r);
	referee__done(&r);
	tape__done(&p->t);
	free(p);
}

static void test_any_sequence(void **state)
{
	for (u32 seed = 1; seed <= 400; seed++)
		random_program(seed, 30 + seed * 3, seed % 3 ? 0 : 65536);
}

/* A leaf in one call is the same bytes as in two, wherever a region, a chapter or what is entered ends. */
static void leaf_is_begin_and_end(void **state)
{
	struct program *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
	size_t uuid_end = TAPE_INTRO_BYTES + offsetof(struct tape_x_generation, uuid) + 16;
	u32 leaves = 0;

	for (u32 seed = 1; seed <= 200; seed++) {
		memset(a, 0, sizeof(*a));
		memset(b, 0, sizeof(*b));
		b->no_leaf = true;
		random_tape(a, seed, 30 + seed * 5, seed % 3 ? 0 : 65536);
		random_tape(b, seed, 30 + seed * 5, seed % 3 ? 0 : 65536);
		assert_int_equal(a->bytes, b->bytes);
		assert_true(a->bytes > uuid_end);
		assert_memory_equal(a->t.data + uuid_end, b->t.data + uuid_end, a->bytes - uuid_end);
		leaves += a->leaves;
		tape__done(&a->t);
		tape__done(&b->t);
	}
	assert_true(leaves > 200);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_spans),
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_empty_recording),
		cmocka_unit_test(test_event_values),
		cmocka_unit_test(test_event_context),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_placement),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_equal_callsites),
		cmocka_unit_test(test_large_texts),
		cmocka_unit_test(test_documented_example),
		cmocka_unit_test(test_any_sequence),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(leaf_is_begin_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
