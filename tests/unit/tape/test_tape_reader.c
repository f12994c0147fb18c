/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "tape/tape_reader.h"
#include "tape_build.h"
#include "trace_sink.h"

#define ZERO (1ULL << 63)

struct seen {
	u64 cnt[TAPE_DEFECT_MAX], all, last_offset;
};

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct seen *s = ctx;

	assert_true((u32)d->kind < TAPE_DEFECT_MAX);
	assert_true(strlen(d->text) > 0);
	s->cnt[d->kind]++;
	s->all++;
	s->last_offset = d->offset;
}

/* Read a built tape whole; the text is the caller's. */
static char *read_tape(struct build *b, struct seen *seen, struct tape_totals *totals)
{
	struct tape_reader_ops ops = { .defect = on_defect, .ctx = seen };
	struct tape_reader *r;
	struct trace t;
	struct sink sink = trace__start(&t, ZERO);
	char *text;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(tape_reader__open(build__path(b), &ops, &r, NULL), 0);
	assert_int_equal(tape_reader__run(r, &sink, 0), 0);
	if (totals)
		tape_reader__totals(r, totals);
	tape_reader__free(r);
	text = strdup(trace__text(&t));
	trace__done(&t);
	return text;
}

static void reads(struct build *b, const char *want, u64 defects)
{
	struct seen seen;
	char *got = read_tape(b, &seen, NULL);

	assert_string_equal(got, want);
	assert_int_equal(seen.all, defects);
	free(got);
	build__done(b);
}

#define EXAMPLE_TEXT \
	"callsite span 2 work demo demo a.c:7 (n)\n" \
	"process 0 pid 0  ?\n" \
	"thread 1234 tid 1234 '' of 0\n" \
	"open 1 work @1000 thread 1234 kind 0 parent 0 n:5=2a\n" \
	"enter 1 on 1234 @1100\n" \
	"callsite event 3 ev demo demo a.c:9 (message)\n" \
	"event ev @1200 thread 1234 kind 0 parent 1 message:9='hi'\n" \
	"exit 1 on 1234 @1500 why 0\n" \
	"close 1 @1600 dropped @1600 why 0\n"

static void example(void **state)
{
	struct build b;

	build__example(&b);
	assert_int_equal(b.bytes, 342);
	reads(&b, EXAMPLE_TEXT, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
