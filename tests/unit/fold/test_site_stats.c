/* SPDX-License-Identifier: MIT */
/* Sketches within their error; sums and distributions of callsites. */
#include "fold_story.h"

#include "fold/site_stats.h"

#include <math.h>

/* --- sketches ---------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void few_are_exact(void **state)
{
	static const u64 values[] = { 5, 1, 4, 2, 3, 0, UINT64_MAX };
	struct sketch s = {};
	u32 i;

	assert_int_equal(sketch__quantile(&s, 0.5), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(sketch__add(&s, values[i]), 0);
	assert_int_equal(sketch__quantile(&s, 0), 1);
	assert_int_equal(sketch__quantile(&s, 0.25), 2);
	assert_int_equal(sketch__quantile(&s, 0.5), 3);
	assert_int_equal(sketch__quantile(&s, 0.75), 4);
	assert_int_equal(sketch__quantile(&s, 1), 5);
	for (; i < ARRAY_SIZE(values); i++)
		assert_int_equal(sketch__add(&s, values[i]), 0);
	assert_int_equal(s.min, 0);
	assert_int_equal(s.max, UINT64_MAX);
	assert_true(sketch__is_exact(&s));
	sketch__done(&s);
}

/* Every percentile of several shapes, against the sorted values. */
static void many_are_within_the_error(void **state)
{
	static const u32 shift[] = { 0, 20, 40, 58 };
	enum { N = 50000 };
	u64 *v = malloc(N * sizeof(*v)), seed = 88172645463325252ULL, got;
	struct sketch s;
	u32 i, k, p;
	double err;

	for (k = 0; k < ARRAY_SIZE(shift); k++) {
		s = (struct sketch){};
		for (i = 0; i < N; i++) {
			v[i] = next_random(&seed) >> shift[k];
			if (k == 1 && i % 2)
				v[i] >>= i % 40; /* wide */
			assert_int_equal(sketch__add(&s, v[i]), 0);
		}
		assert_false(sketch__is_exact(&s));
		qsort(v, N, sizeof(*v), by_value);
		assert_int_equal(s.min, v[0]);
		assert_int_equal(s.max, v[N - 1]);
		for (p = 1; p < 1000; p++) {
			u64 want = v[(u32)ceil(p / 1000.0 * N) - 1];

			got = sketch__quantile(&s, p / 1000.0);
			err = fabs((double)got - (double)want);
			assert_true(err <= (double)want * SKETCH_ERROR + 0.5);
		}
		sketch__done(&s);
	}
	free(v);
}

/* The value that turns it from exact to buckets is not lost, nor is any before. */
static void the_turn(void **state)
{
	struct sketch s = {};
	u32 i;

	for (i = 1; i <= SKETCH_EXACT + 1; i++)
		assert_int_equal(sketch__add(&s, i), 0);
	assert_int_equal(s.cnt, SKETCH_EXACT + 1);
	assert_int_equal(sketch__quantile(&s, 0.01), 11);
	assert_in_range(sketch__quantile(&s, 0.5), 509, 517);
	assert_int_equal(sketch__quantile(&s, 1), SKETCH_EXACT + 1);
	sketch__done(&s);
}

/* --- callsites --------------------------------------------------------------------------------------------- */

static struct process proc = { .uid = 1, .pid = 500, .comm = "app" };
static struct thread one = { .uid = 1, .tid = 500, .name = "app", .process = &proc };
static struct thread two = { .uid = 2, .tid = 501, .name = "w", .process = &proc };
static const struct callsite order = SPAN_SITE("order", "t", "m", "x.c", 1, .field_cnt = 2,
					       .field = { { "path", WIRE_T_STR }, { "error", WIRE_T_STR } });
static const struct callsite step = SPAN_SITE("step", "t", "m", "x.c", 2);
static const struct callsite failed = { .level = WIRE_ERROR, .name = "failed", .target = "t", .module = "", .file = "",
					.field_cnt = 1, .field = { { "path", WIRE_T_STR } } };

static struct stats_group *group(struct stats *st, const struct callsite *c, const char *key)
{
	struct stats_group *g;

	for (g = stats__groups(st); g; g = g->next)
		if (g->callsite == c && (!key || !strcmp(g->key, key)))
			return g;
	fail_msg("no group %s %s", c->name, key ? key : "");
	return NULL;
}

static void begin(struct story *y, struct stats *st)
{
	*y = (struct story){ .sink = stats__sink(st) };
}

static void times(void **state)
{
	struct stats *st = stats__new(NULL);
	struct stats_group *g;
	struct story y;

	begin(&y, st);
	open_(&y, 1, &order, 0, &one, 100);
	enter(&y, 1, &one, 200);
	open_(&y, 2, &step, 1, &one, 250);
	enter(&y, 2, &one, 300);
	enter(&y, 1, &two, 320); /* on two threads at once: busy once */
	leave(&y, 2, &one, 400);
	close_(&y, 2, 450);
	leave(&y, 1, &one, 500);
	leave(&y, 1, &two, 600);
	close_(&y, 1, 1100);
	g = group(st, &order, NULL);
	assert_int_equal(g->cnt, 1);
	assert_int_equal(g->total_ns, 1000);
	assert_int_equal(g->busy_ns, 400);
	assert_int_equal(g->idle_ns, 600);
	assert_int_equal(g->self_ns, 100 + 100 + 280);
	assert_int_equal(g->duration.min, 1000);
	g = group(st, &step, NULL);
	assert_int_equal(g->total_ns, 200);
	assert_int_equal(g->busy_ns, 100);
	assert_int_equal(g->self_ns, 100);
	assert_int_equal(stats__range_ns(st), 1000);
	stats__free(st);
}

static struct value text_value(u16 field, const char *s)
{
	return (struct value){ .field = field, .type = WIRE_T_STR, .text = s, .text_bytes = (u32)strlen(s) };
}

static void fail_event(struct story *y, u64 parent, const char *path)
{
	struct value v = text_value(0, path);
	struct event e = { .callsite = &failed, .time_ns = 10, .thread = &one, .parent = parent, .value_cnt = 1, .value = &v };

	assert_int_equal(y->sink.ops->event(y->sink.ctx, &e), 0);
}

static void errors_and_open_ends(void **state)
{
	struct value none = text_value(1, ""), bad = text_value(1, "no room");
	struct stats *st = stats__new(NULL);
	struct stats_group *g;
	struct story y;

	begin(&y, st);
	open_values(&y, 1, &order, 0, &one, 0, 1, &bad);
	open_values(&y, 2, &order, 0, &one, 0, 1, &none);
	open_(&y, 3, &order, 0, &one, 0);
	open_(&y, 4, &order, 0, &one, 0);
	assert_int_equal(y.sink.ops->span_value(y.sink.ctx, 3, &order, &bad, &one, 5), 0);
	fail_event(&y, 4, "/a");
	fail_event(&y, 4, "/b"); /* one span, one error */
	enter(&y, 4, &one, 50);
	leave(&y, 4, &one, 100);
	close_(&y, 1, 10);
	close_(&y, 2, 20);
	close_(&y, 3, 30);
	assert_int_equal(y.sink.ops->span_close(y.sink.ctx, 4, 100, 100, SINK_CUT), 0);
	g = group(st, &order, NULL);
	assert_int_equal(g->cnt, 4);
	assert_int_equal(g->errors, 3);
	assert_int_equal(g->open, 1);
	assert_int_equal(g->duration.cnt, 3);
	assert_int_equal(g->duration.max, 30);
	assert_int_equal(g->total_ns, 160);
	assert_int_equal(group(st, &failed, NULL)->errors, 2);
	stats__free(st);
}

static void by_field(void **state)
{
	struct value a = text_value(0, "/a"), b = text_value(0, "/b");
	struct stats *st = stats__new("path");
	struct story y;
	u64 i;

	begin(&y, st);
	for (i = 1; i <= 5; i++) {
		open_values(&y, i, &order, 0, &one, 0, 1, i % 2 ? &a : &b);
		if (i == 1) /* what it says last counts */
			assert_int_equal(y.sink.ops->span_value(y.sink.ctx, i, &order, &b, &one, 5), 0);
		close_(&y, i, i);
	}
	open_(&y, 9, &order, 0, &one, 0);
	close_(&y, 9, 7);
	fail_event(&y, 0, "/a");
	assert_int_equal(group(st, &order, "/a")->cnt, 2);
	assert_int_equal(group(st, &order, "/b")->cnt, 3);
	assert_int_equal(group(st, &order, "")->total_ns, 7);
	assert_int_equal(group(st, &failed, "/a")->cnt, 1);
	assert_int_equal(stats__group_cnt(st), 4);
	stats__free(st);
}

static void too_many_values(void **state)
{
	struct stats *st = stats__new("path");
	struct stats_group *g;
	struct story y;
	char path[16];
	u64 i, sum = 0;

	begin(&y, st);
	for (i = 1; i <= STATS_MAX_GROUPS + 500; i++) {
		struct value v = text_value(0, path);

		snprintf(path, sizeof(path), "/%u", (u32)i);
		v.text_bytes = (u32)strlen(path);
		open_values(&y, i, &order, 0, &one, 0, 1, &v);
		close_(&y, i, 1);
	}
	assert_int_equal(stats__others(st), 500);
	assert_int_equal(group(st, &order, STATS_OTHERS)->cnt, 500);
	for (g = stats__groups(st); g; g = g->next)
		sum += g->cnt;
	assert_int_equal(sum, STATS_MAX_GROUPS + 500);
	stats__free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_exact), cmocka_unit_test(many_are_within_the_error), cmocka_unit_test(the_turn),
		cmocka_unit_test(times),	 cmocka_unit_test(errors_and_open_ends),      cmocka_unit_test(by_field),
		cmocka_unit_test(too_many_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
