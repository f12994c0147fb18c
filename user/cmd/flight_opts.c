/* SPDX-License-Identifier: MIT */
#include "cmd/flight_opts.h"

#include "base/units.h"
#include "cmd/cmd.h"

enum { KEY_SIZE = 256, KEY_PERIOD, KEY_GENERATION, KEY_RING, KEY_MAX_SPANS, KEY_SOCKET, KEY_NAME, KEY_DIR, KEY_NO_FINAL };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "How much is kept:", 2 },
	{ "size", KEY_SIZE, "BYTES", 0, "as much as was emitted, raw (10M); wins over --period", 2 },
	{ "period", KEY_PERIOD, "TIME", 0, "at least so far back, if the size allows (10s)", 2 },
	{ "generation", KEY_GENERATION, "TIME", 0, "kept and dropped by pieces of this time (1s) or an eighth of the size", 2 },
	{ NULL, 0, NULL, 0, "Snapshots:", 3 },
	{ "output-dir", KEY_DIR, "DIR", 0, "where those go that bring no file of their own (here)", 3 },
	{ "no-final", KEY_NO_FINAL, NULL, 0, "no snapshot when the recording ends", 3 },
	{ "name", KEY_NAME, "NAME", 0, "of this recorder, for `tapebpf snapshot` (default)", 3 },
	{ "socket", KEY_SOCKET, "PATH", 0, "instead of a name: where it listens", 3 },
	{ NULL, 0, NULL, 0, "How:", 4 },
	{ "ring-size", KEY_RING, "BYTES", 0, "kernel buffer for each CPU (8M)", 4 },
	{ "max-spans", KEY_MAX_SPANS, "N", 0, "live spans to keep track of in a snapshot (1000000)", 4 },
	{ "quiet", 'q', NULL, 0, "say nothing but errors", 4 },
	{ "verbose", 'v', NULL, 0, "say more: files, sites, pages", 4 },
	{ 0 },
};

static u64 parse_time(struct argp_state *state, const char *what, const char *arg)
{
	u64 ns = 0;

	if (units__ns(arg, &ns) || ns < NSEC_PER_MSEC || ns > 86400 * NSEC_PER_SEC)
		argp_error(state, "--%s %s: want a time from 1ms to 24h, such as 10s or 500ms", what, arg);
	return ns;
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
		o->ring_bytes = target_opts__bytes(state, "ring-size", arg, 4096, 1u << 30);
		return 0;
	case KEY_MAX_SPANS:
		o->max_spans = target_opts__count(state, "max-spans", arg);
		if (!o->max_spans)
			argp_error(state, "--max-spans: want at least 1");
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
	case KEY_NO_FINAL:
		o->no_final = true;
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

	*o = (struct flight_cmd_opts){ .name = "default" };
	if (target_opts__init(&o->target)) {
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

void flight_opts__done(struct flight_cmd_opts *o)
{
	target_opts__done(&o->target);
}
