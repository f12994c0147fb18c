/* SPDX-License-Identifier: MIT */
#include "cmd/record_opts.h"

#include "base/units.h"
#include "cmd/cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	KEY_SPLIT = 256, KEY_FORCE, KEY_DURATION, KEY_CHAPTER, KEY_MAX_STR, KEY_RING, KEY_IMMEDIATE,
	KEY_FAIL, KEY_JSON, KEY_NO_FOLLOW, KEY_SIG, KEY_NO_PAIRS, KEY_MAX_SPANS,
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to record:", 1 },
	{ "pid", 'p', "PID", 0, "a running process; may be given again", 1 },
	{ "binary", 'b', "FILE", 0, "every process of this binary or library, present and future", 1 },
	{ "no-follow", KEY_NO_FOLLOW, NULL, 0,
	  "not the children, nor libraries that are loaded later", 1 },
	{ "immediate", KEY_IMMEDIATE, NULL, 0,
	  "tape.h: one trap per record instead of one per full buffer", 1 },
	{ "sig", KEY_SIG, "SIG|@FILE", 0,
	  "names and types of a plain probe's arguments: "
	  "'shop:order__begin(u64 id, str path, str body:len, i32 len)'; "
	  "@FILE has one a line", 1 },
	{ "no-pairs", KEY_NO_PAIRS, NULL, 0,
	  "plain probes NAME__begin/NAME__end (start/done, entry/return) stay events", 1 },
	{ "max-str", KEY_MAX_STR, "BYTES", 0, "cut strings of plain probes here (256; at most 4096)", 1 },
	{ NULL, 0, NULL, 0, "Where to:", 2 },
	{ "output", 'o', "FILE", 0, "the tape (default: EXE_DATE.tape here); never overwrites", 2 },
	{ "force", KEY_FORCE, NULL, 0, "replace an existing file", 2 },
	{ "split", KEY_SPLIT, NULL, 0, "one tape a process (-PID before the ending)", 2 },
	{ "chapter-size", KEY_CHAPTER, "BYTES", 0, "of the tape: a power of two from 64k (1M)", 2 },
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

static int parse_pid(struct argp_state *state, struct record_opts *o, const char *arg)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(arg, &end, 10);
	if (errno || *end || end == arg || arg[0] == '-' || !v || v > 4194304)
		argp_error(state, "not a process id: %s", arg);
	if (o->pid_cnt == RECORD_MAX_TARGETS)
		argp_error(state, "more than %d processes; use -b FILE", RECORD_MAX_TARGETS);
	for (u32 i = 0; i < o->pid_cnt; i++)
		if (o->pid[i] == v)
			return 0;
	o->pid[o->pid_cnt++] = (u32)v;
	return 0;
}

static u64 parse_bytes(struct argp_state *state, const char *what, const char *arg, u64 min, u64 max)
{
	char lo[32], hi[32];
	u64 v = 0;

	if (units__bytes(arg, &v) || v < min || v > max)
		argp_error(state, "--%s %s: want a size from %s to %s", what, arg,
			   units__show_bytes(lo, sizeof(lo), min), units__show_bytes(hi, sizeof(hi), max));
	return v;
}

static u64 parse_count(struct argp_state *state, const char *what, const char *arg)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &end, 10);
	if (errno || *end || end == arg || arg[0] == '-')
		argp_error(state, "--%s %s: want a number", what, arg);
	return v;
}

static void parse_sig(struct argp_state *state, struct record_opts *o, const char *arg)
{
	struct diag d = { 0 };

	if (arg[0] == '@' ? sig_set__add_file(o->sigs, arg + 1, &d) : sig_set__add(o->sigs, arg, &d))
		argp_error(state, "--sig: %s%s%s", d.text, d.hint[0] ? "; " : "", d.hint);
}

static void parse_sizes(int key, char *arg, struct argp_state *state, struct record_opts *o)
{
	if (key == KEY_CHAPTER) {
		o->chapter_bytes = (u32)parse_bytes(state, "chapter-size", arg, 65536, 1u << 30);
		if (o->chapter_bytes & (o->chapter_bytes - 1))
			argp_error(state, "--chapter-size %s: want a power of two", arg);
	} else if (key == KEY_RING) {
		o->ring_bytes = parse_bytes(state, "ring-size", arg, 4096, 1u << 30);
	} else {
		o->max_text = (u32)parse_bytes(state, "max-str", arg, 1, 4096);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct record_opts *o = state->input;

	switch (key) {
	case 'p':
		return parse_pid(state, o, arg);
	case 'b':
		if (o->binary_cnt == ARRAY_SIZE(o->binary))
			argp_error(state, "more than %zu binaries", ARRAY_SIZE(o->binary));
		o->binary[o->binary_cnt++] = arg;
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
		if (units__ns(arg, &o->duration_ns) || !o->duration_ns)
			argp_error(state, "--duration %s: want a time such as 10s, 500ms or 2m", arg);
		return 0;
	case KEY_CHAPTER:
	case KEY_RING:
	case KEY_MAX_STR:
		parse_sizes(key, arg, state, o);
		return 0;
	case KEY_IMMEDIATE:
		o->immediate = true;
		return 0;
	case KEY_FAIL:
		o->fail_on_loss = true;
		o->loss_allowed = arg ? parse_count(state, "fail-on-loss", arg) : 0;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case KEY_NO_FOLLOW:
		o->follow = false;
		return 0;
	case KEY_SIG:
		parse_sig(state, o, arg);
		return 0;
	case KEY_NO_PAIRS:
		o->no_pairs = true;
		return 0;
	case KEY_MAX_SPANS:
		o->max_spans = parse_count(state, "max-spans", arg);
		if (!o->max_spans)
			argp_error(state, "--max-spans: want at least 1");
		return 0;
	case ARGP_KEY_ARGS:
		/* what is left: the command; argp has seen "--" or the first plain word */
		o->cmd = state->argv + state->next;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->pid_cnt && !o->binary_cnt && !o->cmd)
			argp_error(state, "nothing to record: give -p PID, -b FILE or -- CMD");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, "-p PID | -b FILE | -- CMD [ARG...]",
	"Record the spans and events of running programs to a tape."
	"\vThe recording ends with Ctrl-C, SIGTERM, --duration or the end of the last target; each way "
	"finishes the tape. The last line says what was emitted, stored and lost.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 more loss than --fail-on-loss allows.",
	NULL, NULL, NULL,
};

int record_opts__parse(struct record_opts *o, int argc, char **argv, int *status)
{
	static char name[] = "tapebpf";

	*o = (struct record_opts){ .follow = true };
	o->sigs = sig_set__new();
	if (!o->sigs) {
		*status = EXIT_FAILED;
		return -1;
	}
	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, o)) {
		*status = EXIT_USAGE;
		return -1;
	}
	return 0;
}

void record_opts__done(struct record_opts *o)
{
	sig_set__free(o->sigs);
}
