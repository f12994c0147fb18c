/* SPDX-License-Identifier: MIT */
#include "cmd/record_opts.h"

#include "base/units.h"
#include "cmd/cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	KEY_SPLIT = 256, KEY_FORCE, KEY_DURATION, KEY_CHAPTER, KEY_RING, KEY_FAIL, KEY_JSON, KEY_MAX_SPANS,
	KEY_ROTATE_SIZE, KEY_ROTATE_TIME, KEY_KEEP_FILES, KEY_KEEP_TOTAL,
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Where to:", 2 },
	{ "output", 'o', "FILE", 0, "the tape (default: EXE_DATE.tape here); never overwrites", 2 },
	{ "force", KEY_FORCE, NULL, 0, "replace an existing file", 2 },
	{ "split", KEY_SPLIT, NULL, 0, "one tape a process (-PID before the ending)", 2 },
	{ "chapter-size", KEY_CHAPTER, "BYTES", 0, "of the tape: a power of two from 64k (1M)", 2 },
	{ "rotate-size", KEY_ROTATE_SIZE, "BYTES", 0,
	  "begin a new tape when one is so large; names get the time, NAME.latest is a link to the newest", 2 },
	{ "rotate-time", KEY_ROTATE_TIME, "TIME", 0, "begin a new tape after so long", 2 },
	{ "keep-files", KEY_KEEP_FILES, "N", 0, "with --rotate-*: delete the oldest tapes of this recording beyond N", 2 },
	{ "keep-total", KEY_KEEP_TOTAL, "BYTES", 0, "the same beyond this sum of their sizes", 2 },
	{ NULL, 0, NULL, 0, "How:", 3 },
	{ "duration", KEY_DURATION, "TIME", 0, "stop after this time (10s, 500ms, 2m)", 3 },
	{ "ring-size", KEY_RING, "BYTES", 0, "kernel buffer for each CPU (8M)", 3 },
	{ "max-spans", KEY_MAX_SPANS, "N", 0, "live spans to keep track of (1000000)", 3 },
	{ "fail-on-loss", KEY_FAIL, "N", OPTION_ARG_OPTIONAL,
	  "exit with status 3 if more than N (0) records were lost", 3 },
	{ "json", KEY_JSON, NULL, 0, "status and summary as JSON lines on standard output", 3 },
	{ "quiet", 'q', NULL, 0, "no status line, no summary unless something was lost", 3 },
	{ "verbose", 'v', NULL, 0, "say more: files, sites, pages", 3 },
	{ 0 },
};

static void parse_chapter(struct argp_state *state, struct record_opts *o, const char *arg)
{
	o->chapter_bytes = (u32)target_opts__bytes(state, "chapter-size", arg, 65536, 1u << 30);
	if (o->chapter_bytes & (o->chapter_bytes - 1))
		argp_error(state, "--chapter-size %s: want a power of two", arg);
}

static void parse_rotation(struct argp_state *state, struct record_opts *o, int key, const char *arg)
{
	u64 files;

	switch (key) {
	case KEY_ROTATE_SIZE:
		o->rotate_bytes = target_opts__bytes(state, "rotate-size", arg, 65536, 1ULL << 50);
		return;
	case KEY_ROTATE_TIME:
		if (units__ns(arg, &o->rotate_ns) || o->rotate_ns < 100 * NSEC_PER_MSEC)
			argp_error(state, "--rotate-time %s: want a time of at least 100ms, such as 10s, 5m or 1h", arg);
		return;
	case KEY_KEEP_FILES:
		files = target_opts__count(state, "keep-files", arg);
		if (!files || files > 1000000)
			argp_error(state, "--keep-files %s: want a number from 1 to 1000000", arg);
		o->keep_files = (u32)files;
		return;
	default:
		o->keep_bytes = target_opts__bytes(state, "keep-total", arg, 65536, 1ULL << 60);
	}
}

static void check(struct argp_state *state, const struct record_opts *o)
{
	bool rotate = o->rotate_bytes || o->rotate_ns;

	if (!rotate && (o->keep_files || o->keep_bytes))
		argp_error(state, "--keep-files and --keep-total want --rotate-size or --rotate-time");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct record_opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->target;
		return 0;
	case ARGP_KEY_END:
		check(state, o);
		return 0;
	case KEY_ROTATE_SIZE:
	case KEY_ROTATE_TIME:
	case KEY_KEEP_FILES:
	case KEY_KEEP_TOTAL:
		parse_rotation(state, o, key, arg);
		return 0;
	case 'o':
		o->output = arg;
		return 0;
	case 'q':
		o->verbose = -1;
		return 0;
	case 'v':
		o->verbose = MAX(o->verbose, 0) + 1;
		return 0;
	case KEY_SPLIT:
		o->split = true;
		return 0;
	case KEY_FORCE:
		o->force = true;
		return 0;
	case KEY_DURATION:
		o->duration_ns = target_opts__time(state, "duration", arg);
		return 0;
	case KEY_CHAPTER:
		parse_chapter(state, o, arg);
		return 0;
	case KEY_RING:
		o->ring_bytes = target_opts__ring_bytes(state, arg);
		return 0;
	case KEY_FAIL:
		o->fail_on_loss = true;
		o->loss_allowed = arg ? target_opts__count(state, "fail-on-loss", arg) : 0;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_MAX_SPANS:
		o->max_spans = target_opts__max_spans(state, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &target_argp, 0, "What to record:", 1 }, { 0 } };

static const struct argp argp = {
	options, parse, "-p PID | -b FILE | -- CMD [ARG...]",
	"Record the spans and events of running programs to a tape."
	"\vThe recording ends with Ctrl-C, SIGTERM, --duration or the end of the last target; each way "
	"finishes the tape. The last line says what was emitted, stored and lost.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 more loss than --fail-on-loss allows.",
	children, NULL, NULL,
};

int record_opts__parse(struct record_opts *o, int argc, char **argv, int *status)
{
	static char name[] = "tapebpf";

	*o = (struct record_opts){ 0 };
	return target_opts__parse(&o->target, &argp, name, argc, argv, o, status);
}

void record_opts__done(struct record_opts *o)
{
	target_opts__done(&o->target);
}
