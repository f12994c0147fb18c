/* SPDX-License-Identifier: MIT */
/* dump.c - `tapebpf dump`: tapes as text, tree or NDJSON. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/input.h"
#include "cmd/show.h"
#include "tape/tape_reader.h"

enum form { FORM_TEXT, FORM_TREE, FORM_JSON };

struct dump {
	enum form form;
	bool spans, threads;
	const char *color; /* auto, always, never */
	u64 max_nodes;
	char **file;
	u32 file_cnt;
	struct input_opts input;
};

enum { OPT_COLOR = 256, OPT_MAX_NODES };

static const struct argp_option options[] = {
	{ "tree", 't', NULL, 0, "Spans as trees, with durations; a tree is printed when its root is closed", 0 },
	{ "json", 'j', NULL, 0, "One JSON object a line; tapebpf-dump(1) describes them", 0 },
	{ "spans", 's', NULL, 0, "Text: a line for each step of a span's life, too", 0 },
	{ "threads", 'T', NULL, 0, "Text: name the thread in each line", 0 },
	{ "color", OPT_COLOR, "WHEN", OPTION_ARG_OPTIONAL,
	  "always, never, or auto: on terminals, unless NO_COLOR is set (default)", 0 },
	{ "max-nodes", OPT_MAX_NODES, "N", 0,
	  "Tree: keep at most N spans and events of open roots; beyond that print what there is (default 1000000)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct dump *d = state->input;
	char *end;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &d->input;
		break;
	case 't':
		if (d->form == FORM_JSON)
			argp_error(state, "--tree and --json exclude each other");
		d->form = FORM_TREE;
		break;
	case 'j':
		if (d->form == FORM_TREE)
			argp_error(state, "--tree and --json exclude each other");
		d->form = FORM_JSON;
		break;
	case 's':
		d->spans = true;
		break;
	case 'T':
		d->threads = true;
		break;
	case OPT_COLOR:
		d->color = arg ? arg : "always";
		if (strcmp(d->color, "always") && strcmp(d->color, "never") && strcmp(d->color, "auto"))
			argp_error(state, "--color takes always, never or auto");
		break;
	case OPT_MAX_NODES:
		errno = 0;
		d->max_nodes = strtoull(arg, &end, 10);
		if (errno || *end || !*arg || *arg == '-' || !d->max_nodes)
			argp_error(state, "--max-nodes takes a number from 1");
		break;
	case ARGP_KEY_ARGS:
		d->file = state->argv + state->next;
		d->file_cnt = (u32)(state->argc - state->next);
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which tape? (- is standard input)");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static bool want_color(const struct dump *d)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (d->form == FORM_JSON || !strcmp(d->color, "never"))
		return false;
	if (!strcmp(d->color, "always"))
		return true;
	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

/* The first and last lines of a tape in JSON. */
static void json_intro(const struct tape_reader *r, const char *path)
{
	const struct tape_intro *i = tape_reader__intro(r);

	printf("{\"type\":\"tape\",\"file\":");
	text__json(stdout, path, strlen(path));
	printf(",\"version\":\"%u.%u\",\"base_ns\":%" PRId64 "}\n", i->major, i->minor, i->base_unix_ns);
}

static void json_totals(const struct tape_reader *r)
{
	struct tape_totals t;

	tape_reader__totals(r, &t);
	printf("{\"type\":\"totals\",\"complete\":%s", t.present ? "true" : "false");
	if (t.present)
		printf(",\"emitted\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"lost\":%" PRIu64, t.emitted, t.stored, t.lost);
	if (t.cut_off)
		printf(",\"complete_until_ns\":%" PRId64, t.complete_unix_ns);
	printf(",\"loss_records\":%" PRIu64 ",\"records\":%" PRIu64 ",\"spans\":%" PRIu64 ",\"events\":%" PRIu64
	       ",\"defects\":%" PRIu64 "}\n",
	       t.loss_records, t.records, t.spans, t.events, t.defects);
}

/* What a reader of the whole should know of its end. */
static void text_totals(const struct tape_reader *r)
{
	struct tape_totals t;

	tape_reader__totals(r, &t);
	if (!t.cut_off)
		return;
	fputs("complete until ", stdout);
	show__time(stdout, t.complete_unix_ns, 9);
	fputs("; its recorder was killed, of what came later some may be missing\n", stdout);
}

static int fail(const char *what, const char *path, int err)
{
	struct diag d;

	diag__set(&d, 0, "%s %s: %s", what, path, strerror(-err));
	if (err == -ENOMEM)
		diag__hint(&d, "--max-nodes bounds what --tree keeps");
	return cmd__fail(EXIT_FAILED, &d);
}

/* Views write large pieces at a time, so what went wrong is known to them. */
static int keep_on(void *ctx)
{
	const struct view *v = ctx;

	if (v->flush)
		cmd__output_note(v->flush(v->sink.ctx));
	return -cmd__output_error();
}

static int run(struct input *in, struct view *v)
{
	int err = input__run(in, &v->sink, keep_on, v);

	if (!err && v->finish)
		v->finish(v->sink.ctx);
	err = keep_on(v) ?: err;
	if (err == -EPIPE)
		return -EPIPE; /* whoever read has seen enough */
	if (cmd__output_error())
		return cmd__output_failed("the dump", cmd__output_error());
	return err ? fail("cannot read", input__path(in, 0), err) : EXIT_DONE;
}

static int dump(const struct dump *d)
{
	static int (*const views[])(struct view *, const struct show *) = {
		[FORM_TEXT] = view__text, [FORM_TREE] = view__tree, [FORM_JSON] = view__json,
	};
	struct show show = { .out = stdout, .color = want_color(d), .spans = d->spans, .threads = d->threads,
			     .max_nodes = d->max_nodes, .unix_ns = input__unix_ns };
	struct input *in;
	struct view v;
	struct diag diag = {};
	int status, damaged;
	u32 i;

	if (input__open(d->file, d->file_cnt, &d->input, &in, &diag) < 0)
		return cmd__fail_tape(&diag);
	show.ctx = in;
	show.base_ns = tape_reader__intro(input__reader(in, 0))->base_unix_ns;
	if (views[d->form](&v, &show) < 0) {
		input__free(in);
		return fail("cannot dump", d->file[0], -ENOMEM);
	}
	for (i = 0; d->form == FORM_JSON && i < input__cnt(in); i++)
		json_intro(input__reader(in, i), input__path(in, i));
	status = run(in, &v);
	for (i = 0; status == EXIT_DONE && i < input__cnt(in); i++)
		(d->form == FORM_JSON ? json_totals : text_totals)(input__reader(in, i));
	v.free(v.sink.ctx);
	damaged = status == -EPIPE ? EXIT_DONE : input__report(in);
	input__free(in);
	return status == -EPIPE ? EXIT_DONE : status ? status : damaged;
}

static const char doc[] =
	"Print tapes as text (one line an event), as trees of spans, or as JSON.\v"
	"FILE - is standard input; several tapes are one, in order of time. Damaged tapes are read as far as they go: the exit status is "
	"1 then.\n\n"
	"  tapebpf dump --tree shop_*.tape | less -R\n"
	"  tapebpf dump --json x.tape | jq 'select(.type==\"event\" and .level==\"ERROR\")'\n";

int cmd_dump(int argc, char **argv)
{
	static const struct argp_child children[] = { { &input_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { options, parse, "FILE...", doc, children, NULL, NULL };
	struct dump d = { .color = "auto", .input = { .streaming = true } };
	int status;
	char name[] = "tapebpf dump";

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, &d))
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	status = dump(&d);
	input_opts__done(&d.input);
	return status;
}
