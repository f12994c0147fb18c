/* SPDX-License-Identifier: MIT */
/* The filter sink: what is passed on, under whom, and that what comes out is well-formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "expr/filter.h"
#include "recording_sink.h"

static struct process proc = { .uid = 1, .pid = 7 };
static struct thread one = { .uid = 1, .tid = 7, .name = "one", .process = &proc };
static struct callsite root = { .id = 1, .is_span = 1, .level = WIRE_INFO, .name = "root", .target = "app", .module = "", .file = "" };
static struct callsite child = { .id = 2, .is_span = 1, .level = WIRE_DEBUG, .name = "child", .target = "app", .module = "",
				 .file = "", .field_cnt = 1, .field = { { "n", WIRE_T_U64 } } };
static struct callsite leaf = { .id = 3, .is_span = 1, .level = WIRE_WARN, .name = "leaf", .target = "app", .module = "", .file = "" };
static struct callsite ev = { .id = 4, .level = WIRE_ERROR, .name = "ev", .target = "app", .module = "", .file = "" };

struct world {
	struct recording rec;
	struct expr *expr;
	struct filter *filter;
	struct sink s;
};

static void begin(struct world *w, const char *text)
{
	struct sink out;

	*w = (struct world){ .rec = { .quiet = true } };
	out = recording__sink(&w->rec);
	w->expr = expr__new(text, strlen(text), NULL);
	assert_non_null(w->expr);
	w->filter = filter__new(w->expr, NULL, &out);
	w->s = filter__sink(w->filter);
}

static void expect(struct world *w, const char *text)
{
	assert_string_equal(w->rec.text ? w->rec.text : "", text);
	filter__free(w->filter);
	expr__free(w->expr);
	recording__done(&w->rec);
}

static void open_(struct world *w, u64 span, const struct callsite *c, u64 parent, u64 ns, u64 n)
{
	struct value v = { .type = WIRE_T_U64, .u = n };
	struct span_open o = { .span = span, .callsite = c, .time_ns = ns, .thread = &one, .parent = parent,
			       .value_cnt = c == &child, .value = &v };

	assert_int_equal(w->s.ops->span_open(w->s.ctx, &o), 0);
	assert_int_equal(w->s.ops->span_enter(w->s.ctx, span, &one, ns), 0);
}

static void close_(struct world *w, u64 span, u64 ns)
{
	assert_int_equal(w->s.ops->span_exit(w->s.ctx, span, &one, ns, SINK_OWN), 0);
	assert_int_equal(w->s.ops->span_close(w->s.ctx, span, ns, ns, SINK_OWN), 0);
}

static void event(struct world *w, u64 parent, u64 ns)
{
	struct event e = { .callsite = &ev, .time_ns = ns, .thread = &one, .parent = parent };

	assert_int_equal(w->s.ops->event(w->s.ctx, &e), 0);
}

static void tell(struct world *w)
{
	open_(w, 1, &root, 0, 1, 0);
	open_(w, 2, &child, 1, 2, 5);
	open_(w, 3, &leaf, 2, 3, 0);
	event(w, 3, 4);
	close_(w, 3, 5);
	event(w, 2, 6);
	close_(w, 2, 7);
	close_(w, 1, 8);
}

/* The example of the scopes: root > child > leaf without child: the leaf's parent is root. */
static void nearest_ancestor(void **state)
{
	struct world w;

	begin(&w, "not name==child");
	tell(&w);
	expect(&w, "open 1 root parent 0 at 1 by T1\nenter 1 T1 at 1\nopen 3 leaf parent 1 at 3 by T1\nenter 3 T1 at 3\n"
		   "event ev parent 3 at 4 by T1\nexit 3 T1 at 5\nclose 3 at 5\nevent ev parent 1 at 6 by T1\n"
		   "exit 1 T1 at 8\nclose 1 at 8\n");
	begin(&w, "kind==event");
	tell(&w);
	expect(&w, "event ev parent 0 at 4 by T1\nevent ev parent 0 at 6 by T1\n");
	begin(&w, "name==nobody");
	tell(&w);
	expect(&w, "");
}

static void by_values(void **state)
{
	struct world w;

	begin(&w, "n>4");
	tell(&w);
	expect(&w, "open 2 child parent 0 at 2 by T1 {n=5}\nenter 2 T1 at 2\nexit 2 T1 at 7\nclose 2 at 7\n");
}

/* Late values and links follow their span; a number that is hidden is named by nobody. */
static void what_is_said_later(void **state)
{
	struct value v = { .type = WIRE_T_U64, .u = 9 };
	struct world w;

	begin(&w, "not name==leaf");
	open_(&w, 1, &child, 0, 1, 0);
	open_(&w, 2, &leaf, 0, 2, 0);
	assert_int_equal(w.s.ops->span_value(w.s.ctx, 1, &child, &v, &one, 3), 0);
	assert_int_equal(w.s.ops->span_value(w.s.ctx, 2, &leaf, &v, &one, 3), 0);
	assert_int_equal(w.s.ops->span_follows(w.s.ctx, 1, 2, &one, 4), 0);
	assert_int_equal(w.s.ops->span_follows(w.s.ctx, 2, 1, &one, 4), 0);
	expect(&w, "open 1 child parent 0 at 1 by T1 {n=0}\nenter 1 T1 at 1\nvalue 1 n=9 T1 at 3\n");
}

/* Other recorders' tapes: a parent that closes before what is below it is not named any more. */
static void parent_gone(void **state)
{
	struct world w;

	begin(&w, "not name==child");
	open_(&w, 1, &root, 0, 1, 0);
	open_(&w, 2, &child, 1, 2, 0);
	close_(&w, 1, 3);
	open_(&w, 3, &leaf, 2, 4, 0);
	event(&w, 2, 5);
	expect(&w, "open 1 root parent 0 at 1 by T1\nenter 1 T1 at 1\nexit 1 T1 at 3\nclose 1 at 3\n"
		   "open 3 leaf parent 0 at 4 by T1\nenter 3 T1 at 4\nevent ev parent 0 at 5 by T1\n");
}

/* Why a snapshot was taken is about the tape, not one of the things that are picked from it. */
static void why_passes(void **state)
{
	struct sink_trigger t = { .trigger = "exit", .what = "" };
	struct world w;

	begin(&w, "not name==child");
	assert_non_null(w.s.ops->trigger);
	assert_int_equal(w.s.ops->trigger(w.s.ctx, &t), 0);
	expect(&w, "trigger exit\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_ancestor),
		cmocka_unit_test(by_values),
		cmocka_unit_test(what_is_said_later),
		cmocka_unit_test(parent_gone),
		cmocka_unit_test(why_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
