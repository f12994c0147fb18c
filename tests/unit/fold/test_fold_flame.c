/* SPDX-License-Identifier: MIT */
/* The lines of tracing-flame: the worked example with each of its 16 option sets, and what the release writes. */
#include "fold_story.h"

static struct process proc = { .uid = 1, .pid = 500, .comm = "app" };
static struct thread main_thread = { .uid = 1, .tid = 500, .name = "app", .process = &proc };
static struct thread worker = { .uid = 2, .tid = 501, .name = "worker", .process = &proc };

static const struct callsite outer = SPAN_SITE("outer", "app", "app", "src/main.rs", 10);
static const struct callsite query = SPAN_SITE("query", "app::db", "app::db", "src/db.rs", 22);
static const struct callsite tick = SPAN_SITE("tick", "app", "app", "src/main.rs", 40);
static const struct callsite job = SPAN_SITE("job", "app::pool", "app::pool", "src/pool.rs", 5);

#define START 1000000

static void tell(struct story *y)
{
	open_(y, 1, &outer, 0, &main_thread, START + 90);
	enter(y, 1, &main_thread, START + 100);
	open_(y, 2, &query, 1, &main_thread, START + 140);
	enter(y, 2, &main_thread, START + 150);
	leave(y, 2, &main_thread, START + 400);
	close_(y, 2, START + 410);
	open_(y, 3, &tick, 0, &main_thread, START + 440);
	enter(y, 3, &main_thread, START + 450);
	leave(y, 3, &main_thread, START + 470);
	close_(y, 3, START + 480);
	open_(y, 4, &job, 1, &main_thread, START + 590);
	enter(y, 4, &worker, START + 600);
	leave(y, 1, &main_thread, START + 700);
	leave(y, 4, &worker, START + 900);
	close_(y, 4, START + 910);
	close_(y, 1, START + 910);
}

/* What the example says of each frame; a set of options puts them together. */
static const struct {
	const char *thread, *module[3], *name[3], *place[3];
	u64 ns;
	bool empty;
} lines[] = {
	{ "ThreadId(1)-main", {}, {}, {}, 100, true },
	{ "ThreadId(1)-main", { "app::" }, { "outer" }, { ":src/main.rs:10" }, 50, false },
	{ "ThreadId(1)-main", { "app::", "app::db::" }, { "outer", "query" }, { ":src/main.rs:10", ":src/db.rs:22" }, 250,
	  false },
	{ "ThreadId(1)-main", {}, {}, {}, 50, true },
	{ "ThreadId(1)-main", { "app::" }, { "tick" }, { ":src/main.rs:40" }, 20, false },
	{ "ThreadId(2)-worker", { "app::" }, { "outer" }, { ":src/main.rs:10" }, 600, false },
	{ "ThreadId(1)-main", { "app::" }, { "outer" }, { ":src/main.rs:10" }, 230, false },
	{ "ThreadId(2)-worker", { "app::", "app::pool::" }, { "outer", "job" }, { ":src/main.rs:10", ":src/pool.rs:5" }, 300,
	  false },
};

static void expected(char *dst, size_t bytes, const struct fold_opts *o)
{
	size_t i, k;
	int n = 0;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		if (lines[i].empty && !o->empty_samples)
			continue;
		n += snprintf(dst + n, bytes - n, "%s", o->threads_collapsed ? "all-threads" : lines[i].thread);
		for (k = 0; k < 3 && lines[i].name[k]; k++)
			n += snprintf(dst + n, bytes - n, "%s%s%s%s", o->style == FOLD_FLAME_02 ? "; " : ";",
				      o->module_path ? lines[i].module[k] : "", lines[i].name[k],
				      o->file_and_line ? lines[i].place[k] : "");
		n += snprintf(dst + n, bytes - n, " %llu\n", (unsigned long long)lines[i].ns);
	}
}

static void sixteen(enum fold_style style)
{
	char want[2048];
	struct story y;
	int set;

	for (set = 0; set < 16; set++) {
		struct fold_opts o = { .style = style, .empty_samples = set & 1, .threads_collapsed = set & 2,
				       .module_path = set & 4, .file_and_line = set & 8, .start_ns = START };

		expected(want, sizeof(want), &o);
		story__init(&y, &o);
		tell(&y);
		story__expect(&y, want);
		story__done(&y);
	}
}

static void option_sets(void **state)
{
	sixteen(FOLD_FLAME);
}

static void option_sets_02(void **state)
{
	sixteen(FOLD_FLAME_02);
}

/* The tables of the example, word for word: the maker of expectations above must not share a mistake with the code. */
static void spelled_out(void **state)
{
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_FLAME);
	o.start_ns = START;
	story__init(&y, &o);
	tell(&y);
	story__expect(&y, "ThreadId(1)-main 100\n"
			  "ThreadId(1)-main;app::outer 50\n"
			  "ThreadId(1)-main;app::outer;app::db::query 250\n"
			  "ThreadId(1)-main 50\n"
			  "ThreadId(1)-main;app::tick 20\n"
			  "ThreadId(2)-worker;app::outer 600\n"
			  "ThreadId(1)-main;app::outer 230\n"
			  "ThreadId(2)-worker;app::outer;app::pool::job 300\n");
	story__merged(&y, "ThreadId(1)-main 150\n"
			  "ThreadId(1)-main;app::outer 280\n"
			  "ThreadId(1)-main;app::outer;app::db::query 250\n"
			  "ThreadId(1)-main;app::tick 20\n"
			  "ThreadId(2)-worker;app::outer 600\n"
			  "ThreadId(2)-worker;app::outer;app::pool::job 300\n");
	story__done(&y);

	o.empty_samples = o.module_path = false;
	o.threads_collapsed = true;
	story__init(&y, &o);
	tell(&y);
	story__expect(&y, "all-threads;outer 50\nall-threads;outer;query 250\nall-threads;tick 20\nall-threads;outer 600\n"
			  "all-threads;outer 230\nall-threads;outer;job 300\n");
	story__done(&y);
}

static void release_02(void **state)
{
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_FLAME_02);
	o.start_ns = START;
	story__init(&y, &o);
	tell(&y);
	story__expect(&y, "ThreadId(1)-main 100\n"
			  "ThreadId(1)-main; app::outer:src/main.rs:10 50\n"
			  "ThreadId(1)-main; app::outer:src/main.rs:10; app::db::query:src/db.rs:22 250\n"
			  "ThreadId(1)-main 50\n"
			  "ThreadId(1)-main; app::tick:src/main.rs:40 20\n"
			  "ThreadId(2)-worker; app::outer:src/main.rs:10 600\n"
			  "ThreadId(1)-main; app::outer:src/main.rs:10 230\n"
			  "ThreadId(2)-worker; app::outer:src/main.rs:10; app::pool::job:src/pool.rs:5 300\n");
	story__done(&y);
}

/* File and line independently; no module path, no line. A zero is a line. */
static void parts_of_names(void **state)
{
	static const struct callsite no_line = SPAN_SITE("a", "t", "", "f.rs", 0);
	static const struct callsite no_file = SPAN_SITE("b", "t", "m", "", 7);
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_FLAME);
	o.file_and_line = true;
	o.start_ns = START;
	story__init(&y, &o);
	open_(&y, 1, &no_line, 0, &main_thread, START);
	enter(&y, 1, &main_thread, START);
	open_(&y, 2, &no_file, 1, &main_thread, START + 1);
	enter(&y, 2, &main_thread, START + 1);
	leave(&y, 2, &main_thread, START + 2);
	leave(&y, 1, &main_thread, START + 2);
	story__expect(&y, "ThreadId(1)-main 0\nThreadId(1)-main;a:f.rs 1\nThreadId(1)-main;a:f.rs;m::b:7 1\n"
			  "ThreadId(1)-main;a:f.rs 0\n");
	story__done(&y);
}

/* Nobody knows the names of an upstream tape's threads, nor which is the main one. */
static void unnamed_threads(void **state)
{
	struct process nobody = {};
	struct thread one = { .uid = 77, .name = "", .process = &nobody }, two = one;
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_FLAME);
	story__init(&y, &o);
	open_(&y, 1, &tick, 0, NULL, 5);
	enter(&y, 1, &one, 5);
	enter(&y, 1, &two, 7);
	leave(&y, 1, &one, 9);
	story__expect(&y, "ThreadId(1) 5\nThreadId(2) 7\nThreadId(1);app::tick 4\n");
	story__done(&y);
}

/* A parent that is closed before its child (other recorders' tapes) stays in the chain. */
static void late_child(void **state)
{
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_FLAME);
	o.start_ns = START;
	story__init(&y, &o);
	open_(&y, 1, &outer, 0, &main_thread, START);
	open_(&y, 2, &query, 1, &main_thread, START);
	open_(&y, 3, &job, 2, &main_thread, START);
	close_(&y, 1, START + 1);
	close_(&y, 2, START + 1);
	enter(&y, 3, &main_thread, START + 5);
	leave(&y, 3, &main_thread, START + 8);
	/* time that goes back is no time */
	enter(&y, 3, &main_thread, START + 6);
	close_(&y, 3, START + 9);
	open_(&y, 1, &tick, 3, &main_thread, START + 9);
	enter(&y, 1, &main_thread, START + 10);
	story__expect(&y, "ThreadId(1)-main;app::outer;app::db::query 5\n"
			  "ThreadId(1)-main;app::outer;app::db::query;app::pool::job 3\n"
			  "ThreadId(1)-main;app::outer;app::db::query 0\nThreadId(1)-main 4\n");
	story__done(&y);
}

/* --- trace-tools ------------------------------------------------------------------------------------------- */

#define OBSERVE "trace_tools::observe"
static const struct callsite observe = SPAN_SITE("f", OBSERVE, "app", "x.rs", 1, .field_cnt = 2,
						 .field = { { "loc.file", WIRE_T_STR }, { "loc.line", WIRE_T_U64 } });
static const struct callsite handler = SPAN_SITE("handler", "app", "app", "x.rs", 2);
static const struct callsite park = SPAN_SITE("runtime.park", "tokio::runtime", "tokio", "x.rs", 3);
static const struct callsite task = SPAN_SITE("task", "tokio::task", "tokio", "x.rs", 4);

static void open_at(struct story *y, u64 span, u64 parent, const char *file, u64 line)
{
	struct value v[] = { { .field = 0, .type = WIRE_T_STR, .text = file, .text_bytes = strlen(file) },
			     { .field = 1, .type = WIRE_T_U64, .u = line } };

	open_values(y, span, &observe, parent, &main_thread, START, 2, v);
}

static void tell_tools(struct story *y)
{
	enum { A = 1, B, U, C, R, K };

	open_at(y, A, 0, "src/a.rs", 10);
	enter(y, A, &main_thread, START + 1500000);
	open_at(y, B, A, "src/b.rs", 20);
	enter(y, B, &main_thread, START + 1700900);
	open_(y, U, &handler, B, &main_thread, START);
	enter(y, U, &main_thread, START + 2000000);
	open_at(y, C, U, "src/c.rs", 30);
	enter(y, C, &main_thread, START + 2100000);
	leave(y, C, &main_thread, START + 2350400);
	close_(y, C, START + 2350400);
	leave(y, U, &main_thread, START + 2360000);
	close_(y, U, START + 2360000);
	leave(y, B, &main_thread, START + 2500000);
	open_(y, R, &park, A, &main_thread, START);
	enter(y, R, &main_thread, START + 2510000);
	open_(y, K, &task, R, &main_thread, START);
	enter(y, K, &main_thread, START + 2520000);
	leave(y, K, &main_thread, START + 2600000);
	leave(y, R, &main_thread, START + 2610000);
	leave(y, A, &main_thread, START + 2700000);
}

static void trace_tools(void **state)
{
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_TRACE_TOOLS);
	o.start_ns = START;
	story__init(&y, &o);
	tell_tools(&y);
	story__expect(&y, "all-spans 1500\n"
			  "all-spans; src/a.rs:10 200\n"
			  "all-spans; src/a.rs:10; src/b.rs:20 399\n"
			  "all-spans; src/a.rs:10; src/b.rs:20; src/c.rs:30 250\n"
			  "all-spans; src/a.rs:10; src/b.rs:20 149\n"
			  "all-spans; src/a.rs:10; unknown 20\n"
			  "all-spans; src/a.rs:10; unknown; unknown 80\n"
			  "all-spans; src/a.rs:10 100\n");
	story__done(&y);
}

static void trace_tools_bare(void **state)
{
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_TRACE_TOOLS);
	o.start_ns = START;
	o.bare = true;
	story__init(&y, &o);
	tell_tools(&y);
	story__expect(&y, "all-spans 1500\n"
			  "all-spans; src/a.rs:10 200\n"
			  "all-spans; src/a.rs:10; src/b.rs:20; unknown 399\n"
			  "all-spans; src/a.rs:10; src/b.rs:20; unknown; src/c.rs:30 250\n"
			  "all-spans; src/a.rs:10; src/b.rs:20 149\n"
			  "all-spans; src/a.rs:10; unknown 20\n"
			  "all-spans; src/a.rs:10; unknown; unknown 80\n"
			  "all-spans; src/a.rs:10 100\n");
	story__done(&y);
}

/* Values recorded later are not looked at; loc.line is cut to 32 bits; half a place is none. */
static void trace_tools_places(void **state)
{
	struct value line = { .field = 1, .type = WIRE_T_U64, .u = 0x100000007ULL };
	struct value file = { .field = 0, .type = WIRE_T_STR, .text = "z", .text_bytes = 1 };
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_TRACE_TOOLS);
	o.start_ns = START;
	story__init(&y, &o);
	open_at(&y, 1, 0, "q.rs", 0x100000007ULL);
	enter(&y, 1, &main_thread, START);
	open_values(&y, 2, &observe, 1, &main_thread, START, 1, &line);
	assert_int_equal(y.sink.ops->span_value(y.sink.ctx, 2, &observe, &file, &main_thread, START), 0);
	enter(&y, 2, &main_thread, START);
	leave(&y, 2, &main_thread, START + 999);
	leave(&y, 2, &main_thread, START + 1999);
	story__expect(&y, "all-spans 0\nall-spans; q.rs:7 0\nall-spans; q.rs:7; unknown 0\nall-spans; q.rs:7; unknown 1\n");
	story__done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(option_sets),	    cmocka_unit_test(option_sets_02),  cmocka_unit_test(spelled_out),
		cmocka_unit_test(release_02),	    cmocka_unit_test(parts_of_names),  cmocka_unit_test(unnamed_threads),
		cmocka_unit_test(late_child),	    cmocka_unit_test(trace_tools),     cmocka_unit_test(trace_tools_bare),
		cmocka_unit_test(trace_tools_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
