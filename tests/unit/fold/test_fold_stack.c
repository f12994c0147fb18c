/* SPDX-License-Identifier: MIT */
/* Our own stacks: entered stacks, busy and wall time, numbers; labels, threads and processes; hostile names. */
#include "fold_story.h"

static struct process proc = { .uid = 1, .pid = 500, .comm = "app" };
static struct thread one = { .uid = 1, .tid = 500, .name = "app", .process = &proc };
static struct thread two = { .uid = 2, .tid = 501, .name = "w", .process = &proc };

static const struct callsite a = SPAN_SITE("a", "t", "m", "x.c", 1), b = SPAN_SITE("b", "t", "m", "x.c", 2),
			     c = SPAN_SITE("c", "t", "m", "x.c", 3);

static void init(struct story *y, enum fold_weight weight)
{
	struct fold_opts o;

	fold_opts__defaults(&o, FOLD_STACK);
	o.weight = weight;
	story__init(y, &o);
}

/* The second table of the stack rules: A B C, left in the order B A C. */
static void out_of_order(void **state)
{
	struct story y;

	init(&y, FOLD_SELF);
	open_(&y, 1, &a, 0, &one, 0);
	open_(&y, 2, &b, 1, &one, 0);
	open_(&y, 3, &c, 2, &one, 0);
	enter(&y, 1, &one, 100);
	enter(&y, 2, &one, 110);
	enter(&y, 3, &one, 130);
	leave(&y, 2, &one, 160);
	leave(&y, 1, &one, 200);
	leave(&y, 3, &one, 250);
	leave(&y, 3, &one, 300);
	story__expect(&y, "a 10\na;b 20\na;b;c 30\na;c 40\nc 50\n");
	story__done(&y);
}

/* The first table: A B A*: a duplicate is no frame. */
static void duplicates(void **state)
{
	struct story y;

	init(&y, FOLD_SELF);
	open_(&y, 1, &a, 0, &one, 0);
	open_(&y, 2, &b, 0, &one, 0);
	enter(&y, 1, &one, 0);
	enter(&y, 2, &one, 10);
	enter(&y, 1, &one, 20);
	leave(&y, 1, &one, 30);
	leave(&y, 1, &one, 40);
	leave(&y, 2, &one, 50);
	enter(&y, 1, &one, 60);
	leave(&y, 1, &one, 70);
	story__expect(&y, "a 10\na;b 10\na;b 10\na;b 10\nb 10\na 10\n");
	story__merged(&y, "a 20\na;b 30\nb 10\n");
	story__done(&y);
}

/* Two threads under one span: busy is the union, the stacks have each thread's time. */
static void tell_two(struct story *y)
{
	open_(y, 1, &a, 0, &one, 0);
	enter(y, 1, &one, 10);
	enter(y, 1, &two, 30);
	open_(y, 2, &b, 1, &two, 40);
	enter(y, 2, &two, 50);
	leave(y, 1, &one, 60);
	leave(y, 2, &two, 80);
	close_(y, 2, 90);
	leave(y, 1, &two, 100);
	close_(y, 1, 120);
}

static void two_threads(void **state)
{
	struct fold_opts o;
	struct story y;

	init(&y, FOLD_SELF);
	tell_two(&y);
	story__merged(&y, "a 90\na;b 30\n");
	story__done(&y);
	/* 10 to 100, but for 50 to 80 */
	init(&y, FOLD_BUSY);
	tell_two(&y);
	story__merged(&y, "a 60\na;b 30\n");
	story__done(&y);
	/* 0 to 120, but for 40 to 90 */
	init(&y, FOLD_WALL);
	tell_two(&y);
	story__merged(&y, "a 70\na;b 50\n");
	story__done(&y);
	init(&y, FOLD_COUNT);
	tell_two(&y);
	story__merged(&y, "a 1\na;b 1\n");
	story__done(&y);
	fold_opts__defaults(&o, FOLD_STACK);
	o.threads = o.processes = true;
	story__init(&y, &o);
	tell_two(&y);
	story__merged(&y, "app/500;app/500;a 50\napp/500;w/501;a 40\napp/500;w/501;a;b 30\n");
	story__done(&y);
}

/* Children that overlap cover their parent once. */
static void overlap(void **state)
{
	struct story y;

	init(&y, FOLD_WALL);
	open_(&y, 1, &a, 0, &one, 0);
	open_(&y, 2, &b, 1, &one, 10);
	open_(&y, 3, &c, 1, &one, 20);
	close_(&y, 2, 40);
	close_(&y, 3, 60);
	close_(&y, 1, 100);
	story__merged(&y, "a 50\na;b 30\na;c 40\n");
	story__done(&y);
}

/* A parent that is gone before its child, and a number that is used again while it is open. */
static void gone_parents(void **state)
{
	struct story y;

	init(&y, FOLD_BUSY);
	open_(&y, 1, &a, 0, &one, 0);
	open_(&y, 2, &b, 1, &one, 0);
	enter(&y, 2, &one, 10);
	close_(&y, 1, 20);
	leave(&y, 2, &one, 30);
	open_(&y, 2, &c, 2, &one, 40);
	enter(&y, 2, &one, 40);
	close_(&y, 2, 45);
	story__merged(&y, "c 5\n");
	story__done(&y);
}

static void labels(void **state)
{
	static const struct callsite q = SPAN_SITE("query", "t", "m", "x.c", 1, .field_cnt = 2,
						   .field = { { "sql", WIRE_T_STR }, { "n", WIRE_T_I64 } });
	struct value v = { .field = 0, .type = WIRE_T_STR, .text = "x;\ny 12", .text_bytes = 7 };
	struct value n = { .field = 1, .type = WIRE_T_I64, .i = -3 };
	struct fold_opts o;
	struct story y;

	fold_opts__defaults(&o, FOLD_STACK);
	o.label = "sql";
	story__init(&y, &o);
	open_values(&y, 1, &q, 0, &one, 0, 1, &v);
	enter(&y, 1, &one, 0);
	leave(&y, 1, &one, 1);
	open_values(&y, 2, &q, 0, &one, 1, 1, &n);
	enter(&y, 2, &one, 1);
	leave(&y, 2, &one, 3);
	/* a label that comes later holds from the next entry on */
	assert_int_equal(y.sink.ops->span_value(y.sink.ctx, 2, &q, &v, &one, 3), 0);
	enter(&y, 2, &one, 3);
	leave(&y, 2, &one, 6);
	story__expect(&y, "query sql=x:\\ny_12 1\nquery 2\nquery sql=x:\\ny_12 3\n");
	story__done(&y);
	o.label = "n";
	o.module_path = o.file_and_line = true;
	story__init(&y, &o);
	open_values(&y, 1, &q, 0, &one, 0, 1, &n);
	enter(&y, 1, &one, 0);
	leave(&y, 1, &one, 1);
	story__expect(&y, "m::query:x.c:1 n=-3 1\n");
	story__done(&y);
}

static void hostile_names(void **state)
{
	static const struct {
		const char *name, *line;
	} rows[] = {
		{ "a;b", "a:b 1\n" },	      { "a\nb", "a b 1\n" },	{ "a 12", "a_12 1\n" },
		{ "a 1.5", "a_1.5 1\n" },     { "", "(no name) 1\n" },	{ " \t", "(no name) 1\n" },
		{ "a\xff", "a\xef\xbf\xbd 1\n" }, { "\x1b[31m", "[31m 1\n" }, { "x\xc2\x9bz", "x  z 1\n" },
		{ "12", "12 1\n" },	      { "<b>&\"", "<b>&\" 1\n" }, { "a 1 2", "a 1_2 1\n" },
	};
	struct callsite site = a;
	struct story y;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		site.name = rows[i].name;
		init(&y, FOLD_SELF);
		open_(&y, 1, &site, 0, &one, 0);
		enter(&y, 1, &one, 0);
		leave(&y, 1, &one, 1);
		story__expect(&y, rows[i].line);
		story__done(&y);
	}
}

/* A chain deeper than any stack is kept: what is below counts for the deepest. Time going back counts nothing. */
static void deep_and_back(void **state)
{
	struct story y;
	u64 i;

	init(&y, FOLD_COUNT);
	for (i = 1; i <= 3000; i++)
		open_(&y, i, &a, i - 1, &one, 0);
	assert_int_equal(stacks__cnt(y.stacks), STACKS_MAX_DEPTH + 1);
	assert_true(stacks__deeper(y.stacks));
	for (i = 1; i <= 3000; i++)
		close_(&y, i, 0);
	story__done(&y);
	/* a stack deeper than that, left from the bottom: each exit costs no more than the depth that is kept */
	init(&y, FOLD_SELF);
	for (i = 1; i <= 1300; i++) {
		open_(&y, i, i % 2 ? &a : &b, i - 1, &one, 0);
		enter(&y, i, &one, i);
	}
	for (i = 1; i < 1300; i++)
		leave(&y, i, &one, 1300 + i);
	leave(&y, 1300, &one, 12600);
	fflush(y.out);
	assert_non_null(strstr(y.text, "\na;b 1\nb 10001\n"));
	assert_true(stacks__deeper(y.stacks));
	story__done(&y);
	/* at the limit, and not beyond it */
	init(&y, FOLD_SELF);
	stacks__limit(y.stacks, 2);
	for (i = 1; i <= 2; i++) {
		open_(&y, i, i % 2 ? &a : &b, i - 1, &one, 0);
		enter(&y, i, &one, i);
	}
	assert_false(stacks__deeper(y.stacks));
	open_(&y, 3, &a, 2, &one, 0);
	enter(&y, 3, &one, 3);
	assert_true(stacks__deeper(y.stacks));
	leave(&y, 3, &one, 10);
	story__expect(&y, "a 1\na;b 1\na;b 7\n");
	story__done(&y);
	init(&y, FOLD_SELF);
	open_(&y, 1, &a, 0, &one, 0);
	enter(&y, 1, &one, 100);
	leave(&y, 1, &one, 90);
	enter(&y, 1, &one, 95);
	leave(&y, 1, &one, 100);
	story__expect(&y, "a 5\n");
	story__done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_of_order), cmocka_unit_test(duplicates),	 cmocka_unit_test(two_threads),
		cmocka_unit_test(overlap),	cmocka_unit_test(gone_parents),	 cmocka_unit_test(labels),
		cmocka_unit_test(hostile_names), cmocka_unit_test(deep_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
