/* SPDX-License-Identifier: MIT */
/* dump.c - `tapebpf dump`: tapes as text, tree or NDJSON. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "tape/tape_reader.h"

#define CHUNK_BYTES (1 << 20)

enum form { FORM_TEXT, FORM_TREE, FORM_JSON };

struct dump {
	enum form form;
	bool spans, threads;
	const char *color; /* auto, always, never */
	u64 max_nodes;
	char **file;
	int file_cnt;
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
		d->file_cnt = state->argc - state->next;
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

/* What is wrong with the tape, for one line behind the output. */
struct damage {
	u64 cnt[TAPE_DEFECT_MAX], all;
	struct tape_defect first;
};

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct damage *dm = ctx;

	dm->cnt[d->kind]++;
	/* spans that are never closed have their marks in the output; a killed recorder leaves them */
	if (d->kind != TAPE_DEFECT_UNCLOSED && !dm->all++)
		dm->first = *d;
}

static s64 unix_ns(void *ctx, u64 time_ns)
{
	return tape_reader__unix_ns(ctx, time_ns);
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
	printf(",\"loss_records\":%" PRIu64 ",\"records\":%" PRIu64 ",\"spans\":%" PRIu64 ",\"events\":%" PRIu64
	       ",\"defects\":%" PRIu64 "}\n",
	       t.loss_records, t.records, t.spans, t.events, t.defects);
}

static int fail(const char *what, const char *path, int err)
{
	struct diag d;

	diag__set(&d, 0, "%s %s: %s", what, path, strerror(-err));
	if (err == -ENOMEM)
		diag__hint(&d, "--max-nodes bounds what --tree keeps");
	return cmd__fail(EXIT_FAILED, &d);
}

static int report_damage(const char *path, const struct damage *dm)
{
	struct diag d;

	if (!dm->all)
		return EXIT_DONE;
	diag__set(&d, 0, "%s: %" PRIu64 " defect%s, the first at byte %" PRIu64 ": %s", path, dm->all, dm->all > 1 ? "s" : "",
		  dm->first.offset, dm->first.text);
	diag__hint(&d, "`tapebpf verify` lists them; what could be read has been printed");
	cmd__fail(EXIT_FAILED, &d);
	/* defects of content are reported and repaired; where bytes were skipped, the dump is not whole */
	return dm->cnt[TAPE_DEFECT_LENGTH] || dm->cnt[TAPE_DEFECT_TORN] || dm->cnt[TAPE_DEFECT_CHECKSUM] ? EXIT_FAILED :
													    EXIT_DONE;
}

static int run(struct tape_reader *r, const struct view *v, const char *path)
{
	int more, err;

	do {
		more = tape_reader__run(r, &v->sink, CHUNK_BYTES);
		err = cmd__output_error();
	} while (more > 0 && !err);
	if (!err && more == 0 && v->finish) {
		v->finish(v->sink.ctx);
		err = cmd__output_error();
	}
	if (err == EPIPE)
		return -EPIPE; /* whoever read has seen enough */
	if (err)
		return cmd__output_failed("the dump", err);
	return more < 0 ? fail("cannot read", path, more) : EXIT_DONE;
}

static int dump_file(const struct dump *d, const char *path)
{
	static int (*const views[])(struct view *, const struct show *) = {
		[FORM_TEXT] = view__text, [FORM_TREE] = view__tree, [FORM_JSON] = view__json,
	};
	struct damage dm = {};
	struct tape_reader_ops ops = { .defect = on_defect, .ctx = &dm };
	struct show show = { .out = stdout, .color = want_color(d), .spans = d->spans, .threads = d->threads,
			     .max_nodes = d->max_nodes, .unix_ns = unix_ns };
	struct tape_reader *r;
	struct view v;
	struct diag diag = {};
	int status, damaged;

	if (tape_reader__open(path, &ops, &r, &diag) < 0)
		return cmd__fail(EXIT_FAILED, &diag);
	show.ctx = r;
	show.base_ns = tape_reader__intro(r)->base_unix_ns;
	if (views[d->form](&v, &show) < 0) {
		tape_reader__free(r);
		return fail("cannot dump", path, -ENOMEM);
	}
	if (d->form == FORM_JSON)
		json_intro(r, path);
	status = run(r, &v, path);
	if (status == EXIT_DONE && d->form == FORM_JSON)
		json_totals(r);
	v.free(v.sink.ctx);
	tape_reader__free(r);
	damaged = status == -EPIPE ? EXIT_DONE : report_damage(path, &dm);
	return status ? status : damaged;
}

static const char doc[] =
	"Print tapes as text (one line an event), as trees of spans, or as JSON.\v"
	"FILE - is standard input. Damaged tapes are read as far as they go: the exit status is 1 then.\n\n"
	"  tapebpf dump --tree shop_*.tape | less -R\n"
	"  tapebpf dump --json x.tape | jq 'select(.type==\"event\" and .level==\"ERROR\")'\n";

int cmd_dump(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "FILE...", doc, NULL, NULL, NULL };
	struct dump d = { .color = "auto" };
	int i, status = EXIT_DONE, one;
	char name[] = "tapebpf dump";

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, &d))
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < d.file_cnt; i++) {
		one = dump_file(&d, d.file[i]);
		if (one == -EPIPE)
			return EXIT_DONE;
		if (one)
			status = one;
	}
	return status;
}
