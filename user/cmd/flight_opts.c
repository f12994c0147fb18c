/* SPDX-License-Identifier: MIT */
#include "cmd/flight_opts.h"

#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/expr_opt.h"

enum { KEY_SIZE = 256, KEY_PERIOD, KEY_GENERATION, KEY_RING, KEY_MAX_SPANS, KEY_SOCKET, KEY_NAME, KEY_DIR, KEY_RING_DIR, KEY_NO_FINAL,
	KEY_FORMAT, KEY_ON, KEY_POST, KEY_COOLDOWN, KEY_MAX_SNAPSHOTS, KEY_KEEP_TOTAL, KEY_EXEC };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "How much is kept:", 2 },
	{ "size", KEY_SIZE, "BYTES", 0, "as much as was emitted, raw (10M); wins over --period", 2 },
	{ "period", KEY_PERIOD, "TIME", 0, "at least so far back, if the size allows (10s)", 2 },
	{ "generation", KEY_GENERATION, "TIME", 0, "kept and dropped by pieces of this time (1s) or an eighth of the size", 2 },
	{ "dir", KEY_RING_DIR, "DIR", 0, "keep it in files there, so that `tapebpf recover` finds it if the recorder is killed", 2 },
	{ NULL, 0, NULL, 0, "Snapshots:", 3 },
	{ "output-dir", KEY_DIR, "DIR", 0, "where those go that bring no file of their own (here)", 3 },
	{ "no-final", KEY_NO_FINAL, NULL, 0, "no snapshot when the recording ends", 3 },
	{ "name", KEY_NAME, "NAME", 0, "of this recorder, for `tapebpf snapshot` (default)", 3 },
	{ "socket", KEY_SOCKET, "PATH", 0, "instead of a name: where it listens", 3 },
	{ "format", KEY_FORMAT, "tape|go", 0, "of those: a tape, or a Go execution trace (tape)", 3 },
	{ NULL, 0, NULL, 0, "Triggers, which take one by themselves:", 4 },
	{ "on", KEY_ON, "TRIGGER", 0,
	  "'span:NAME>50ms' (open to close), 'busy:NAME>50ms', 'open:NAME>1s' (a hang), 'event:NAME', 'event:level>=error', exit, "
	  "crash, signal; may be given again; see tapebpf-expr(7)", 4 },
	{ "post", KEY_POST, "TIME", 0, "go on recording before the cut (0)", 4 },
	{ "cooldown", KEY_COOLDOWN, "TIME", 0, "after one, swallow and count what fires (30s)", 4 },
	{ "max-snapshots", KEY_MAX_SNAPSHOTS, "N", 0, "no more than so many by triggers (any number)", 4 },
	{ "keep-total", KEY_KEEP_TOTAL, "BYTES", 0, "delete the oldest of the recorder's own beyond so much", 4 },
	{ "exec", KEY_EXEC, "CMD", 0, "run after each, by sh; TAPEBPF_SNAPSHOT, TAPEBPF_TRIGGER ... are in its environment", 4 },
	{ NULL, 0, NULL, 0, "How:", 5 },
	{ "ring-size", KEY_RING, "BYTES", 0, "kernel buffer for each CPU (8M)", 5 },
	{ "max-spans", KEY_MAX_SPANS, "N", 0, "live spans to keep track of in a snapshot (1000000)", 5 },
	{ "quiet", 'q', NULL, 0, "say nothing but errors", 5 },
	{ "verbose", 'v', NULL, 0, "say more: files, sites, pages", 5 },
	{ 0 },
};

static u64 parse_time(struct argp_state *state, const char *what, const char *arg)
{
	u64 ns = 0;

	if (units__ns(arg, &ns) || ns < NSEC_PER_MSEC || ns > 86400 * NSEC_PER_SEC)
		argp_error(state, "--%s %s: want a time from 1ms to 24h, such as 10s or 500ms", what, arg);
	return ns;
}

/* The place in the text is shown below it. */
static void parse_trigger(struct argp_state *state, struct flight_cmd_opts *o, const char *arg)
{
	struct trigger_set *probe = trigger_set__new(NULL, NULL);
	struct expr_error e = { 0 };

	if (o->on_cnt == ARRAY_SIZE(o->on))
		argp_error(state, "more than %zu triggers", ARRAY_SIZE(o->on));
	if (probe && trigger_set__add(probe, arg, &e))
		expr_opt__error(state, "on", e.text, arg, e.column);
	trigger_set__free(probe);
	o->on[o->on_cnt++] = arg;
}

static u64 parse_wait(struct argp_state *state, const char *what, const char *arg)
{
	u64 ns = 0;

	if (units__ns(arg, &ns) || ns > 86400 * NSEC_PER_SEC)
		argp_error(state, "--%s %s: want a time up to 24h, such as 2s", what, arg);
	return ns;
}

/* None at all would be a trigger that does nothing; within, 0 is any number. */
static u64 parse_number(struct argp_state *state, const char *arg)
{
	u64 n = target_opts__count(state, "max-snapshots", arg);

	if (!n)
		argp_error(state, "--max-snapshots: want at least 1");
	return n;
}

static void parse_policy(int key, char *arg, struct argp_state *state, struct flight_cmd_opts *o)
{
	if (key == KEY_POST)
		o->policy.post_ns = parse_wait(state, "post", arg);
	else if (key == KEY_COOLDOWN)
		o->policy.cooldown_ns = parse_wait(state, "cooldown", arg);
	else if (key == KEY_MAX_SNAPSHOTS)
		o->policy.max_snapshots = parse_number(state, arg);
	else if (key == KEY_KEEP_TOTAL)
		o->policy.keep_total_bytes = target_opts__bytes(state, "keep-total", arg, 1, 1ULL << 50);
	else
		o->policy.exec = arg;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct flight_cmd_opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->target;
		return 0;
	case KEY_SIZE:
		o->size_bytes = target_opts__bytes(state, "size", arg, 64 << 10, 64ULL << 30);
		return 0;
	case KEY_PERIOD:
		o->period_ns = parse_time(state, "period", arg);
		return 0;
	case KEY_GENERATION:
		o->generation_ns = parse_time(state, "generation", arg);
		return 0;
	case KEY_RING:
		o->ring_bytes = target_opts__ring_bytes(state, arg);
		return 0;
	case KEY_MAX_SPANS:
		o->max_spans = target_opts__max_spans(state, arg);
		return 0;
	case KEY_SOCKET:
		o->socket = arg;
		return 0;
	case KEY_NAME:
		o->name = arg;
		return 0;
	case KEY_DIR:
		o->output_dir = arg;
		return 0;
	case KEY_RING_DIR:
		if (!*arg)
			argp_error(state, "--dir: want a folder");
		o->ring_dir = arg;
		return 0;
	case KEY_NO_FINAL:
		o->no_final = true;
		return 0;
	case KEY_FORMAT:
		if (snapshot_format__parse(arg, &o->format))
			argp_error(state, "--format %s: want tape or go", arg);
		return 0;
	case KEY_ON:
		parse_trigger(state, o, arg);
		return 0;
	case KEY_POST:
	case KEY_COOLDOWN:
	case KEY_MAX_SNAPSHOTS:
	case KEY_KEEP_TOTAL:
	case KEY_EXEC:
		parse_policy(key, arg, state, o);
		return 0;
	case 'q':
		o->verbose = -1;
		return 0;
	case 'v':
		o->verbose = MAX(o->verbose, 0) + 1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &target_argp, 0, "What to record:", 1 }, { 0 } };

static const struct argp argp = {
	options, parse, "-p PID | -b FILE | -- CMD [ARG...]",
	"Keep the newest records of running programs in memory, to be written as a tape when they are wanted."
	"\vA snapshot is taken by `tapebpf snapshot`, by SIGUSR2 and when the recording ends: by Ctrl-C, SIGTERM or the end of the last "
	"target. Recording goes on meanwhile. `tapebpf status` says how it is.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage.",
	children, NULL, NULL,
};

int flight_opts__parse(struct flight_cmd_opts *o, int argc, char **argv, int *status)
{
	static char name[] = "tapebpf flight";

	*o = (struct flight_cmd_opts){ .name = "default",
					.policy = { .sz = sizeof(o->policy), .cooldown_ns = 30 * NSEC_PER_SEC } };
	return target_opts__parse(&o->target, &argp, name, argc, argv, o, status);
}

void flight_opts__done(struct flight_cmd_opts *o)
{
	target_opts__done(&o->target);
}
