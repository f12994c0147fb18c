/* SPDX-License-Identifier: MIT */
/* stats.c - `tapebpf stats`: numbers of each callsite. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/input.h"
#include "cmd/outfile.h"
#include "cmd/stats_show.h"

#define DEFAULT_TOP 40

struct stats_cmd {
	struct input_opts input;
	enum { FORM_TABLE, FORM_JSON, FORM_CSV } form;
	const char *by, *histogram, *output;
	enum stats_column sort;
	u32 top; /* 0: all */
	bool top_given;
	char **file;
	u32 file_cnt;
};

enum { KEY_BY = 256, KEY_SORT, KEY_TOP, KEY_HISTOGRAM, KEY_CSV };

static const struct argp_option options[] = {
	{ "by", KEY_BY, "FIELD", 0, "a line for each value of this field", 1 },
	{ "sort", KEY_SORT, "COLUMN", 0,
	  "total (default), self, busy, idle, count, rate, errors, min, q1, median, q3, p99, max, open or name", 1 },
	{ "top", KEY_TOP, "N", 0, "the first N lines, 0: all (default 40; all with --json and --csv)", 1 },
	{ "histogram", KEY_HISTOGRAM, "NAME", 0, "how long the spans of this callsite took (name, or target::name)", 1 },
	{ "json", 'j', NULL, 0, "one JSON object a line", 2 },
	{ "csv", KEY_CSV, NULL, 0, "comma-separated values", 2 },
	{ "output", 'o', "FILE", 0, "where to (default: standard output)", 2 },
	{ "quiet", 'q', NULL, 0, "no progress line", 2 },
	{ 0 },
};

static void set_sort(struct stats_cmd *c, const char *arg, struct argp_state *state)
{
	u32 i;

	for (i = 0; i < COLUMN_CNT; i++)
		if (!strcmp(arg, stats_column__name(i))) {
			c->sort = i;
			return;
		}
	argp_error(state, "--sort %s: there is no such column", arg);
}

static void set_top(struct stats_cmd *c, const char *arg, struct argp_state *state)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(arg, &end, 10);
	if (errno || *end || end == arg || *arg == '-' || v > UINT32_MAX)
		argp_error(state, "--top %s: want a number", arg);
	c->top = (u32)v;
	c->top_given = true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct stats_cmd *c = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &c->input;
		break;
	case KEY_BY:
		c->by = arg;
		break;
	case KEY_SORT:
		set_sort(c, arg, state);
		break;
	case KEY_TOP:
		set_top(c, arg, state);
		break;
	case KEY_HISTOGRAM:
		c->histogram = arg;
		break;
	case 'j':
	case KEY_CSV:
		if (c->form)
			argp_error(state, "--json or --csv, once");
		c->form = key == 'j' ? FORM_JSON : FORM_CSV;
		break;
	case 'o':
		c->output = arg;
		break;
	case 'q':
		c->input.quiet = true;
		break;
	case ARGP_KEY_ARGS:
		c->file = state->argv + state->next;
		c->file_cnt = (u32)(state->argc - state->next);
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which tape? (- is standard input)");
		break;
	case ARGP_KEY_END:
		if (c->histogram && c->form)
			argp_error(state, "--histogram is for terminals: not with --json or --csv");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

struct order {
	enum stats_column column;
	u64 range_ns;
};

static int by_name(const struct stats_group *x, const struct stats_group *y)
{
	int d = strcmp(x->callsite->target, y->callsite->target);

	d = d ? d : strcmp(x->callsite->name, y->callsite->name);
	return d || !x->key ? d : strcmp(x->key, y->key);
}

/* The greatest first; what is equal by name, so that the same tape gives the same table. */
static int in_order(const void *a, const void *b, void *ctx)
{
	struct stats_group *x = *(struct stats_group *const *)a, *y = *(struct stats_group *const *)b;
	const struct order *o = ctx;
	double v = stats_column__value(o->column, x, o->range_ns), w = stats_column__value(o->column, y, o->range_ns);

	return v > w ? -1 : v < w ? 1 : by_name(x, y);
}

static bool is_named(const struct stats_group *g, const char *name)
{
	size_t target = strlen(g->callsite->target);

	return !strcmp(g->callsite->name, name) ||
	       (!strncmp(g->callsite->target, name, target) && !strncmp(name + target, "::", 2) &&
		!strcmp(g->callsite->name, name + target + 2));
}

static int histograms(FILE *f, const struct stats_list *l, const char *name, struct diag *d)
{
	u32 i, shown = 0;

	for (i = 0; i < l->cnt; i++)
		if (l->group[i]->callsite->is_span && is_named(l->group[i], name)) {
			if (shown++)
				fputc('\n', f);
			stats_show__histogram(f, l->group[i]);
		}
	if (shown)
		return 0;
	diag__set(d, -ENOENT, "there are no spans of %s", name);
	diag__hint(d, "`tapebpf stats` without --histogram lists what there is");
	return -ENOENT;
}

static int print(const struct stats_cmd *c, struct stats *st, FILE *f, struct diag *d)
{
	struct order o = { c->sort, stats__range_ns(st) };
	struct stats_list l = { .stats = st, .all = stats__group_cnt(st), .by = c->by };
	u32 top = c->top_given ? c->top : c->form || c->histogram ? 0 : DEFAULT_TOP, i = 0;
	struct stats_group *g;
	int err = 0;

	l.group = calloc(l.all + 1, sizeof(*l.group));
	if (!l.group)
		return diag__set(d, -ENOMEM, "no memory for the result");
	for (g = stats__groups(st); g; g = g->next)
		l.group[i++] = g;
	qsort_r(l.group, l.all, sizeof(*l.group), in_order, &o);
	l.cnt = top ? MIN(top, l.all) : l.all;
	if (c->histogram)
		err = histograms(f, &l, c->histogram, d);
	else if (c->form == FORM_JSON)
		stats_show__json(f, &l);
	else if (c->form == FORM_CSV)
		stats_show__csv(f, &l);
	else
		stats_show__table(f, &l);
	free(l.group);
	return err;
}

static int run(const struct stats_cmd *c, struct outfile *out, int *status, struct diag *d)
{
	struct stats *st = stats__new(c->by);
	struct input *in = NULL;
	struct sink sink;
	int err;

	err = st ? input__open(c->file, c->file_cnt, &c->input, &in, d) : diag__set(d, -ENOMEM, "no memory");
	if (!err) {
		sink = stats__sink(st);
		stats__cut(st, input__cut_ns(in));
		err = input__run(in, &sink, NULL, NULL);
		if (err)
			diag__set(d, err, "cannot read %s: %s", c->file[0], strerror(-err));
	}
	if (!err)
		err = print(c, st, out->f, d);
	if (!err)
		*status = input__report(in);
	/* callsites belong to the reader */
	stats__free(st);
	input__free(in);
	return err;
}

static const struct argp_child children[] = { { &input_argp, 0, NULL, 0 }, { 0 } };

static const struct argp argp = {
	options, parse, "FILE...",
	"Numbers of each callsite: how often, how fast, how long, with which errors."
	"\vSeveral tapes are one, in order of time. What is not exact says how far off it may be.\n\n"
	"  tapebpf stats x.tape\n"
	"  tapebpf stats --by path --sort p99 --top 10 x.tape\n"
	"  tapebpf stats --histogram query x.tape\n",
	children, NULL, NULL,
};

int cmd_stats(int argc, char **argv)
{
	struct stats_cmd c = { .sort = COLUMN_TOTAL };
	char name[] = "tapebpf stats";
	int err, status = EXIT_DONE;
	struct outfile out;
	struct diag d = {};

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, &c))
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	err = outfile__open(&out, c.output, &d);
	if (!err) {
		err = run(&c, &out, &status, &d);
		if (err)
			outfile__drop(&out);
		else
			err = outfile__done(&out, &d);
	}
	input_opts__done(&c.input);
	if (err == -EPIPE)
		return EXIT_DONE;
	return err ? cmd__fail(EXIT_FAILED, &d) : status;
}
