/* SPDX-License-Identifier: MIT */
/*
 * reader_story.h - read a tape that was built by hand, compare what the sink was told with a text. Test helper: static,
 * included by the tests of the reader.
 */
#ifndef READER_STORY_H
#define READER_STORY_H

#include "tape/tape_reader.h"
#include "tape_build.h"
#include "trace_sink.h"

#define ZERO (1ULL << 63)

struct seen {
	u64 cnt[TAPE_DEFECT_MAX], all, last_offset;
};

static inline void story__defect(void *ctx, const struct tape_defect *d)
{
	struct seen *s = ctx;

	assert_true((u32)d->kind < TAPE_DEFECT_MAX);
	assert_true(strlen(d->text) > 0);
	s->cnt[d->kind]++;
	s->all++;
	s->last_offset = d->offset;
}

/* bytes: how much is read at a time; 0: all. */
static inline char *read_in_steps(struct build *b, struct seen *seen, struct tape_totals *totals, bool whole, u64 bytes)
{
	struct tape_reader_ops ops = { .defect = story__defect, .ctx = seen };
	struct tape_reader *r;
	struct trace t;
	struct sink sink = whole ? trace__start_whole(&t, ZERO) : trace__start(&t, ZERO);
	char *text;
	int more;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(tape_reader__open(build__path(b), &ops, &r, NULL), 0);
	do
		more = tape_reader__run(r, &sink, bytes);
	while (more > 0);
	assert_int_equal(more, 0);
	if (totals)
		tape_reader__totals(r, totals);
	tape_reader__free(r);
	text = strdup(trace__text(&t));
	trace__done(&t);
	return text;
}

/*
 * Read a built tape; the text is the caller's. A record at a time, which knows nothing of the usual begins and ends, and all
 * at once say the same.
 */
static inline char *read_tape(struct build *b, struct seen *seen, struct tape_totals *totals)
{
	struct seen seen_once;
	struct tape_totals once, steps;
	char *want = read_in_steps(b, seen, &steps, false, 1), *got;
	int whole;

	for (whole = 0; whole < 2; whole++) {
		got = read_in_steps(b, &seen_once, &once, whole, 0);
		assert_string_equal(got, want);
		assert_memory_equal(&seen_once, seen, sizeof(*seen));
		assert_memory_equal(&once, &steps, sizeof(once));
		free(got);
	}
	if (totals)
		*totals = steps;
	return want;
}

static inline void reads(struct build *b, const char *want, u64 defects)
{
	struct seen seen;
	char *got = read_tape(b, &seen, NULL);

	assert_string_equal(got, want);
	assert_int_equal(seen.all, defects);
	free(got);
	build__done(b);
}

static inline void begin_tape(struct build *b, u8 exponent)
{
	build__init(b, exponent, 1000);
	build__callsites(b);
}

/* The text without the lines of definitions. */
static inline char *without_definitions(char *text)
{
	char *from = text, *to = text, *end;

	for (; *from; from = end) {
		end = strchr(from, '\n') + 1;
		if (strncmp(from, "callsite ", 9) && strncmp(from, "thread ", 7) && strncmp(from, "process ", 8)) {
			memmove(to, from, end - from);
			to += end - from;
		}
	}
	*to = '\0';
	return text;
}

static inline void story(struct build *b, const char *want, enum tape_defect_kind kind, u64 defects)
{
	struct seen seen;
	char *got = without_definitions(read_tape(b, &seen, NULL));

	assert_string_equal(got, want);
	if (seen.all != defects || seen.cnt[kind] != defects)
		fail_msg("%llu defects, %llu of kind %d; %llu expected", (unsigned long long)seen.all,
			 (unsigned long long)seen.cnt[kind], kind, (unsigned long long)defects);
	free(got);
	build__done(b);
}

#define NONE TAPE_DEFECT_INTRO


#endif
