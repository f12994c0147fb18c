/* SPDX-License-Identifier: MIT */
#include "cmd/target_opts.h"

#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/sig_opt.h"

#include <errno.h>
#include <string.h>

enum { KEY_MAX_STR = 0x1000, KEY_IMMEDIATE, KEY_NO_FOLLOW, KEY_SIG, KEY_NO_PAIRS };

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "a running process; may be given again", 0 },
	{ "binary", 'b', "FILE", 0, "every process of this binary or library, present and future", 0 },
	{ "no-follow", KEY_NO_FOLLOW, NULL, 0,
	  "not the children, nor libraries that are loaded later", 0 },
	{ "immediate", KEY_IMMEDIATE, NULL, 0,
	  "tape.h: one trap per record instead of one per full buffer", 0 },
	{ "sig", KEY_SIG, "SIG|@FILE", 0,
	  "names and types of a plain probe's arguments: "
	  "'shop:order__begin(u64 id, str path, str body:len, i32 len)'; "
	  "@FILE has one a line", 0 },
	{ "no-pairs", KEY_NO_PAIRS, NULL, 0,
	  "plain probes NAME__begin/NAME__end (start/done, entry/return) stay events", 0 },
	{ "max-str", KEY_MAX_STR, "BYTES", 0, "cut strings of plain probes here (256; at most 4096)", 0 },
	{ 0 },
};

static int parse_pid(struct argp_state *state, struct target_opts *o, const char *arg)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(arg, &end, 10);
	if (errno || *end || arg[0] < '0' || arg[0] > '9' || !v || v > 4194304)
		argp_error(state, "not a process id: %s", arg);
	if (o->pid_cnt == TARGET_MAX_PIDS)
		argp_error(state, "more than %d processes; use -b FILE", TARGET_MAX_PIDS);
	for (u32 i = 0; i < o->pid_cnt; i++)
		if (o->pid[i] == v)
			return 0;
	o->pid[o->pid_cnt++] = (u32)v;
	return 0;
}

u64 target_opts__bytes(struct argp_state *state, const char *what, const char *arg, u64 min, u64 max)
{
	char lo[32], hi[32];
	u64 v = 0;

	if (units__bytes(arg, &v) || v < min || v > max)
		argp_error(state, "--%s %s: want a size from %s to %s", what, arg,
			   units__show_bytes(lo, sizeof(lo), min), units__show_bytes(hi, sizeof(hi), max));
	return v;
}

u64 target_opts__time(struct argp_state *state, const char *what, const char *arg)
{
	u64 ns = 0;

	if (units__ns(arg, &ns) || !ns)
		argp_error(state, "--%s %s: want a time such as 10s, 500ms or 2m", what, arg);
	return ns;
}

u64 target_opts__count(struct argp_state *state, const char *what, const char *arg)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &end, 10);
	if (errno || *end || end == arg || arg[0] == '-')
		argp_error(state, "--%s %s: want a number", what, arg);
	return v;
}

u64 target_opts__ring_bytes(struct argp_state *state, const char *arg)
{
	return target_opts__bytes(state, "ring-size", arg, 4096, 1u << 30);
}

u64 target_opts__max_spans(struct argp_state *state, const char *arg)
{
	u64 cnt = target_opts__count(state, "max-spans", arg);

	if (!cnt)
		argp_error(state, "--max-spans: want at least 1");
	return cnt;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct target_opts *o = state->input;

	switch (key) {
	case 'p':
		return parse_pid(state, o, arg);
	case 'b':
		if (o->binary_cnt == ARRAY_SIZE(o->binary))
			argp_error(state, "more than %zu binaries", ARRAY_SIZE(o->binary));
		o->binary[o->binary_cnt++] = arg;
		return 0;
	case KEY_MAX_STR:
		o->max_text = (u32)target_opts__bytes(state, "max-str", arg, 1, 4096);
		return 0;
	case KEY_IMMEDIATE:
		o->immediate = true;
		return 0;
	case KEY_NO_FOLLOW:
		o->follow = false;
		return 0;
	case KEY_SIG:
		sig_opt__add(state, o->sigs, arg);
		return 0;
	case KEY_NO_PAIRS:
		o->no_pairs = true;
		return 0;
	case ARGP_KEY_ARGS:
		/* what is left: the command; argp has seen "--" or the first plain word */
		o->cmd = state->argv + state->next;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->optional && !target_opts__any(o))
			argp_error(state, "nothing to record: give -p PID, -b FILE or -- CMD");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp target_argp = { options, parse, NULL, NULL, NULL, NULL, NULL };

int target_opts__init(struct target_opts *o)
{
	*o = (struct target_opts){ .follow = true };
	o->sigs = sig_set__new();
	return o->sigs ? 0 : -ENOMEM;
}

void target_opts__done(struct target_opts *o)
{
	sig_set__free(o->sigs);
}

int target_opts__parse(struct target_opts *o, const struct argp *argp, char *name, int argc, char **argv, void *input, int *status)
{
	if (target_opts__init(o)) {
		*status = EXIT_FAILED;
		return -1;
	}
	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(argp, argc, argv, ARGP_IN_ORDER, NULL, input)) {
		*status = EXIT_USAGE;
		return -1;
	}
	return 0;
}
