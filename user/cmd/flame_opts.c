/* SPDX-License-Identifier: MIT */
#include "cmd/flame_opts.h"

#include "cmd/cmd.h"
#include "fold/palette.h"

#include <argp.h>
#include <string.h>

enum {
	KEY_DURATION = 256, KEY_STYLE, KEY_BUSY, KEY_WALL, KEY_COUNT, KEY_LABEL, KEY_THREADS, KEY_PROCESSES, KEY_MODULE,
	KEY_NO_MODULE, KEY_PLACE, KEY_NO_PLACE, KEY_EMPTY, KEY_NO_EMPTY, KEY_COLLAPSED, KEY_BARE, KEY_FOLDED, KEY_ORDER,
	KEY_REVERSE, KEY_DIFF, KEY_NORMALIZE, KEY_NO_NORMALIZE, KEY_CHART, KEY_INVERTED, KEY_TITLE, KEY_SUBTITLE, KEY_NOTES,
	KEY_COLORS, KEY_MIN_WIDTH, KEY_WIDTH, KEY_HEIGHT, KEY_FONT, KEY_FONT_SIZE, KEY_COUNT_NAME, KEY_NAME_TYPE, KEY_NEGATE,
	KEY_SEARCH_COLOR, KEY_MAX_DEPTH,
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to look at:", 1 },
	{ "duration", KEY_DURATION, "TIME", 0, "of running programs: stop after this time (10s, 500ms, 2m)", 1 },
	{ "diff", KEY_DIFF, NULL, 0, "two files, BEFORE and AFTER: what has changed", 1 },
	{ "no-normalize", KEY_NO_NORMALIZE, NULL, 0, "with --diff: compare the numbers as they are, not their shares", 1 },
	{ "normalize", KEY_NORMALIZE, NULL, OPTION_HIDDEN, NULL, 1 },
	{ NULL, 0, NULL, 0, "Which stacks, and what their widths mean (default: the threads' entered stacks, own time):", 2 },
	{ "busy", KEY_BUSY, NULL, 0, "spans under their parents; time with an entry open, on whichever thread", 2 },
	{ "wall", KEY_WALL, NULL, 0, "spans under their parents; time from open to close", 2 },
	{ "count", KEY_COUNT, NULL, 0, "spans under their parents; how many", 2 },
	{ "label", KEY_LABEL, "FIELD", 0, "show this field's value in the frames", 2 },
	{ "threads", KEY_THREADS, NULL, 0, "keep threads apart: a frame for each below all others", 2 },
	{ "processes", KEY_PROCESSES, NULL, 0, "keep processes apart, likewise", 2 },
	{ "module-path", KEY_MODULE, NULL, 0, "frames with the module path", 2 },
	{ "no-module-path", KEY_NO_MODULE, NULL, 0, "without (default, but for --style tracing-flame)", 2 },
	{ "file-and-line", KEY_PLACE, NULL, 0, "frames with file and line", 2 },
	{ "no-file-and-line", KEY_NO_PLACE, NULL, 0, "without (default, but for --style tracing-flame-0.2)", 2 },
	{ "reverse", KEY_REVERSE, NULL, 0, "merge stacks from their leaves", 2 },
	{ "max-depth", KEY_MAX_DEPTH, "N", 0, "frames of a stack, what is above counts for the N-th (default and most 1024)", 2 },
	{ NULL, 0, NULL, 0, "As other tools write them:", 3 },
	{ "style", KEY_STYLE, "STYLE", 0,
	  "tracing-flame (its development branch), tracing-flame-0.2 (its release) or trace-tools", 3 },
	{ "no-empty-samples", KEY_NO_EMPTY, NULL, 0, "tracing-flame: nothing for time outside of spans", 3 },
	{ "empty-samples", KEY_EMPTY, NULL, OPTION_HIDDEN, NULL, 3 },
	{ "threads-collapsed", KEY_COLLAPSED, NULL, 0, "tracing-flame: one frame for all threads", 3 },
	{ "bare", KEY_BARE, NULL, 0, "trace-tools: the layer without its builder's filter", 3 },
	{ NULL, 0, NULL, 0, "Output:", 4 },
	{ "output", 'o', "FILE", 0, "where to (default: standard output)", 4 },
	{ "folded", KEY_FOLDED, NULL, 0, "folded lines, merged and sorted, instead of a picture", 4 },
	{ "order", KEY_ORDER, "WHICH", 0, "of folded lines: merged (default), or time: each as it comes", 4 },
	{ NULL, 0, NULL, 0, "The picture:", 5 },
	{ "chart", KEY_CHART, NULL, 0, "a flame chart: each thread's stack over time", 5 },
	{ "flamechart", KEY_CHART, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 5 },
	{ "inverted", KEY_INVERTED, NULL, 0, "the root on top (an icicle graph)", 5 },
	{ "negate", KEY_NEGATE, NULL, 0, "with --diff: blue for what has grown", 5 },
	{ "title", KEY_TITLE, "TEXT", 0, "above the picture", 5 },
	{ "subtitle", KEY_SUBTITLE, "TEXT", 0, "below the title (default: what the widths mean)", 5 },
	{ "notes", KEY_NOTES, "TEXT", 0, "kept in the file, not shown", 5 },
	{ "colors", KEY_COLORS, "PALETTE", 0, "hot (default), mem, io, green, blue, mono, rainbow ...", 5 },
	{ "search-color", KEY_SEARCH_COLOR, "COLOR", 0, "of what a search finds, as #rrggbb", 5 },
	{ "min-width", KEY_MIN_WIDTH, "PERCENT", 0, "leave out narrower frames (default 0.01)", 5 },
	{ "minwidth", KEY_MIN_WIDTH, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 5 },
	{ "width", KEY_WIDTH, "PIXELS", 0, "a fixed width (default: as wide as the window)", 5 },
	{ "height", KEY_HEIGHT, "PIXELS", 0, "of a frame (default 18)", 5 },
	{ "fonttype", KEY_FONT, "FONT", 0, "a monospaced one", 5 },
	{ "fontsize", KEY_FONT_SIZE, "PIXELS", 0, "default 12", 5 },
	{ "countname", KEY_COUNT_NAME, "WORD", 0, "what folded text counts (default: samples)", 5 },
	{ "nametype", KEY_NAME_TYPE, "WORD", 0, "what a frame is (default: Span)", 5 },
	{ NULL, 0, NULL, 0, "", 6 },
	{ "quiet", 'q', NULL, 0, "no progress line", 6 },
	{ 0 },
};

static void set_style(struct flame_opts *o, const char *arg, struct argp_state *state)
{
	static const char *const names[] = { [FOLD_FLAME] = "tracing-flame", [FOLD_FLAME_02] = "tracing-flame-0.2",
					     [FOLD_TRACE_TOOLS] = "trace-tools" };
	size_t i;

	for (i = FOLD_FLAME; i < ARRAY_SIZE(names); i++)
		if (!strcmp(arg, names[i])) {
			o->fold.style = (enum fold_style)i;
			return;
		}
	argp_error(state, "--style %s: there are tracing-flame, tracing-flame-0.2 and trace-tools", arg);
}

static bool choose(enum flame_asked asked, bool by_default)
{
	return asked == ASKED_NOT ? by_default : asked == ASKED_YES;
}

/* What was not asked for is as the style has it, wherever --style stands. */
static void fill_frames(struct flame_opts *o)
{
	struct fold_opts defaults;

	fold_opts__defaults(&defaults, o->fold.style);
	o->fold.module_path = choose(o->module_path, defaults.module_path);
	o->fold.file_and_line = choose(o->file_and_line, defaults.file_and_line);
	o->fold.empty_samples = choose(o->empty_samples, defaults.empty_samples);
}

static bool parse_asked(int key, struct flame_opts *o)
{
	switch (key) {
	case KEY_MODULE:
	case KEY_NO_MODULE:
		o->module_path = key == KEY_MODULE ? ASKED_YES : ASKED_NO;
		return true;
	case KEY_PLACE:
	case KEY_NO_PLACE:
		o->file_and_line = key == KEY_PLACE ? ASKED_YES : ASKED_NO;
		return true;
	case KEY_EMPTY:
	case KEY_NO_EMPTY:
		o->empty_samples = key == KEY_EMPTY ? ASKED_YES : ASKED_NO;
		return true;
	}
	return false;
}

static bool parse_frames(int key, char *arg, struct fold_opts *f)
{
	switch (key) {
	case KEY_BUSY:
		f->weight = FOLD_BUSY;
		return true;
	case KEY_WALL:
		f->weight = FOLD_WALL;
		return true;
	case KEY_COUNT:
		f->weight = FOLD_COUNT;
		return true;
	case KEY_LABEL:
		f->label = arg;
		return true;
	case KEY_THREADS:
		f->threads = true;
		return true;
	case KEY_PROCESSES:
		f->processes = true;
		return true;
	case KEY_COLLAPSED:
		f->threads_collapsed = true;
		return true;
	case KEY_BARE:
		f->bare = true;
		return true;
	}
	return false;
}

static double number(const char *what, const char *arg, double min, double max, struct argp_state *state)
{
	char *end;
	double v = strtod(arg, &end);

	if (end == arg || *end || !(v >= min && v <= max))
		argp_error(state, "--%s %s: want a number from %g to %g", what, arg, min, max);
	return v;
}

static bool parse_words(int key, char *arg, struct page_opts *p)
{
	switch (key) {
	case KEY_TITLE:
		p->title = arg;
		return true;
	case KEY_SUBTITLE:
		p->subtitle = arg;
		return true;
	case KEY_NOTES:
		p->notes = arg;
		return true;
	case KEY_COUNT_NAME:
		p->count_word = arg;
		return true;
	case KEY_NAME_TYPE:
		p->name_word = arg;
		return true;
	case KEY_INVERTED:
		p->inverted = true;
		return true;
	case KEY_NEGATE:
		p->negate = true;
		return true;
	}
	return false;
}

static bool parse_looks(int key, char *arg, struct page_opts *p, struct argp_state *state)
{
	switch (key) {
	case KEY_COLORS:
		if (palette__check(arg))
			argp_error(state, "--colors %s: there are %s", arg, palette__check(arg));
		p->colors = arg;
		return true;
	case KEY_SEARCH_COLOR:
		if (!page__is_color(arg))
			argp_error(state, "--search-color %s: want a colour such as #c026d3", arg);
		p->search_color = arg;
		return true;
	case KEY_FONT:
		if (!page__is_font(arg))
			argp_error(state, "--fonttype %s: want the names of fonts, letters and digits", arg);
		p->font = arg;
		return true;
	case KEY_FONT_SIZE:
		p->font_px = number("fontsize", arg, 4, 40, state);
		return true;
	case KEY_MIN_WIDTH:
		p->min_width = number("min-width", arg, 0, 100, state);
		return true;
	case KEY_WIDTH:
		p->width_px = (u32)number("width", arg, 200, 20000, state);
		p->fluid = false;
		return true;
	case KEY_HEIGHT:
		p->frame_px = (u32)number("height", arg, 8, 100, state);
		return true;
	}
	return false;
}

static void check_picture(struct flame_opts *o, struct argp_state *state)
{
	if (o->chart && (o->folded || o->diff || o->reverse || o->fold.weight || o->fold.style != FOLD_STACK))
		argp_error(state, "--chart shows what is entered when: not with --folded, --diff, --reverse, --busy, --wall, "
				  "--count or --style");
	if (o->chart && o->max_depth)
		argp_error(state, "--max-depth is not for --chart");
	if (o->page.negate && !o->diff)
		argp_error(state, "--negate is for --diff");
	if (!o->folded && !o->output && isatty(STDOUT_FILENO))
		argp_error(state, "a picture is nothing for a terminal: -o FILE.svg, or --folded for lines");
}

static void check_source(struct flame_opts *o, struct argp_state *state)
{
	bool live = target_opts__any(&o->target);

	if (o->file_cnt && live)
		argp_error(state, "files, or running programs (-p PID, -b FILE, -- CMD), not both");
	if (!o->file_cnt && !live)
		argp_error(state, "which tape or folded text? (- is standard input; -p PID, -b FILE or -- CMD: a running program)");
	if (live && (o->input.from.kind || o->input.to.kind || o->input.last_ns))
		argp_error(state, "--from, --to and --last are for tapes");
	if (o->duration_ns && !live)
		argp_error(state, "--duration is for running programs: -p PID, -b FILE or -- CMD");
	if (o->target.cmd && !o->output)
		argp_error(state, "where to? The command has standard output for itself: give -o FILE");
	if (o->diff && o->file_cnt != 2)
		argp_error(state, "--diff takes two files, BEFORE and AFTER");
}

static void check_style(struct flame_opts *o, struct argp_state *state)
{
	const struct fold_opts *f = &o->fold;
	bool flame = f->style == FOLD_FLAME || f->style == FOLD_FLAME_02;

	if (f->style != FOLD_STACK && (f->weight || f->label || f->threads || f->processes))
		argp_error(state, "--busy, --wall, --count, --label, --threads and --processes are not for --style");
	if (f->bare && f->style != FOLD_TRACE_TOOLS)
		argp_error(state, "--bare is for --style trace-tools");
	if ((f->threads_collapsed || o->empty_samples) && !flame)
		argp_error(state, "--threads-collapsed and --no-empty-samples are for --style tracing-flame");
	if ((o->module_path || o->file_and_line) && f->style == FOLD_TRACE_TOOLS)
		argp_error(state, "--style trace-tools has frames of its own: no --module-path, no --file-and-line");
}

static void check(struct flame_opts *o, struct argp_state *state)
{
	check_source(o, state);
	check_style(o, state);
	if (o->in_order && (!o->folded || o->diff || o->reverse))
		argp_error(state, "--order time is for --folded, without --diff and --reverse");
	check_picture(o, state);
	fill_frames(o);
	o->max_depth = o->max_depth ? o->max_depth : STACKS_MAX_DEPTH;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct flame_opts *o = state->input;

	if (parse_frames(key, arg, &o->fold) || parse_asked(key, o) || parse_words(key, arg, &o->page) ||
	    parse_looks(key, arg, &o->page, state))
		return 0;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->input;
		state->child_inputs[1] = &o->target;
		return 0;
	case KEY_DURATION:
		o->duration_ns = target_opts__time(state, "duration", arg);
		return 0;
	case KEY_STYLE:
		set_style(o, arg, state);
		return 0;
	case KEY_MAX_DEPTH:
		o->max_depth = (u32)number("max-depth", arg, 1, STACKS_MAX_DEPTH, state);
		return 0;
	case KEY_DIFF:
		o->diff = true;
		return 0;
	case KEY_NORMALIZE:
	case KEY_NO_NORMALIZE:
		o->normalize = key == KEY_NORMALIZE;
		return 0;
	case KEY_CHART:
		o->chart = true;
		return 0;
	case KEY_REVERSE:
		o->reverse = true;
		return 0;
	case KEY_FOLDED:
		o->folded = true;
		return 0;
	case KEY_ORDER:
		if (strcmp(arg, "time") && strcmp(arg, "merged"))
			argp_error(state, "--order takes merged or time");
		o->in_order = !strcmp(arg, "time");
		return 0;
	case 'o':
		o->output = arg;
		return 0;
	case 'q':
		o->input.quiet = true;
		return 0;
	case ARGP_KEY_ARGS:
		if (state->quoted == state->next)
			return ARGP_ERR_UNKNOWN; /* behind --: a command, as for `record` */
		if (state->quoted)
			argp_error(state, "files, or -- CMD, not both");
		o->file = state->argv + state->next;
		o->file_cnt = (u32)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		check(o, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{ &input_argp, 0, NULL, 0 }, { &target_argp, 0, "Running programs instead of files:", 1 }, { 0 }
};

static const struct argp argp = {
	options, parse, "FILE...\n-p PID\n-b FILE\n-o FILE -- CMD [ARG...]", "Show where the time went: a flame graph (SVG) or folded lines."
	"\vFILE is a tape, or folded text of any origin; - is standard input. Several are added up.\n\n"
	"  tapebpf flame x.tape > x.svg\n"
	"  tapebpf flame --folded --label query x.tape | sort -k2 -n\n"
	"  tapebpf flame -p 1234 --duration 10s -o now.svg\n"
	"  tapebpf flame -o run.svg -- ./program arg\n"
	"  tapebpf flame --diff before.tape after.tape > diff.svg\n",
	children, NULL, NULL,
};

int flame_opts__parse(struct flame_opts *o, int argc, char **argv, int *status)
{
	static char name[] = "tapebpf flame";

	*o = (struct flame_opts){ .normalize = true };
	fold_opts__defaults(&o->fold, FOLD_STACK);
	page_opts__defaults(&o->page);
	*status = EXIT_FAILED;
	if (target_opts__init(&o->target))
		return -1;
	o->target.optional = true;
	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, o)) {
		*status = EXIT_USAGE;
		return -1;
	}
	return 0;
}

void flame_opts__done(struct flame_opts *o)
{
	input_opts__done(&o->input);
	target_opts__done(&o->target);
}
