/* SPDX-License-Identifier: MIT */
/* export.c - `tapebpf export`: tapes in the formats of other tools. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/input.h"
#include "cmd/outfile.h"
#include "gotrace/gotrace_backend.h"

/* Later formats join here. */
static const struct backend *const backends[] = { &gotrace_backend };

#define MAX_OPTIONS (ARRAY_SIZE(backends) * BACKEND_MAX_OPTIONS)

enum { OPT_FORCE = 256, OPT_BACKEND = 1024 /* + number of the back end's option */ };

struct export {
	const struct backend *backend;
	const char *value[MAX_OPTIONS]; /* of the back ends' options */
	const char *output; /* NULL: named after the tape; "-": standard output */
	bool force;
	struct input_opts input;
	char **file;
	int file_cnt;
	struct outfile out;
	int write_err; /* the first */
};

/* --- the command line ------------------------------------------------------------------------------------------- */

static const struct argp_option own_options[] = {
	{ "format", 'f', "NAME", 0, "What to write, see below", 0 },
	{ "output", 'o', "FILE", 0, "Where to (- is standard output); default: the first tape's name with another ending", 0 },
	{ "force", OPT_FORCE, NULL, 0, "Replace a file that exists", 0 },
	{ "quiet", 'q', NULL, 0, "No progress line", 0 },
};

static struct argp_option options[ARRAY_SIZE(own_options) + MAX_OPTIONS + 1];

static void collect_options(void)
{
	const struct backend_option *o;
	u32 n = ARRAY_SIZE(own_options), b, i;

	memcpy(options, own_options, sizeof(own_options));
	for (b = 0; b < ARRAY_SIZE(backends); b++)
		for (o = backends[b]->option, i = 0; o && o[i].name; i++)
			options[n++] = (struct argp_option){ .name = o[i].name, .arg = o[i].arg, .doc = o[i].what,
							     .key = OPT_BACKEND + b * BACKEND_MAX_OPTIONS + i };
}

static void list_formats(FILE *f)
{
	for (u32 i = 0; i < ARRAY_SIZE(backends); i++)
		fprintf(f, "  %-8s %s (%s)\n", backends[i]->name, backends[i]->what, backends[i]->ending);
}

static const struct backend *find_backend(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

static void no_format(struct argp_state *state, const char *name)
{
	if (name)
		fprintf(stderr, "tapebpf export: no format is called %s. There are:\n", name);
	else
		fputs("tapebpf export: which --format? There are:\n", stderr);
	list_formats(stderr);
	exit(EXIT_USAGE);
}

/* An option of another format than the one asked for means that something was misunderstood. */
static void check_options(const struct export *e, struct argp_state *state)
{
	for (u32 i = 0; i < MAX_OPTIONS; i++) {
		const struct backend *b = backends[i / BACKEND_MAX_OPTIONS];

		if (e->value[i] && b != e->backend)
			argp_error(state, "--%s is for --format %s", b->option[i % BACKEND_MAX_OPTIONS].name, b->name);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct export *e = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &e->input;
		break;
	case 'f':
		e->backend = find_backend(arg);
		if (!e->backend)
			no_format(state, arg);
		break;
	case 'o':
		if (!*arg)
			argp_error(state, "--output wants the name of a file");
		e->output = arg;
		break;
	case OPT_FORCE:
		e->force = true;
		break;
	case 'q':
		e->input.quiet = true;
		break;
	case ARGP_KEY_ARGS:
		e->file = state->argv + state->next;
		e->file_cnt = state->argc - state->next;
		break;
	case ARGP_KEY_END:
		if (!e->backend)
			no_format(state, NULL);
		if (!e->file_cnt)
			argp_error(state, "which tape? (- is standard input)");
		if (!e->output && !strcmp(e->file[0], "-"))
			argp_error(state, "where to? A tape from standard input has no name to write beside: -o FILE, or -o -");
		check_options(e, state);
		break;
	default:
		if (key < OPT_BACKEND || key >= OPT_BACKEND + (int)MAX_OPTIONS)
			return ARGP_ERR_UNKNOWN;
		e->value[key - OPT_BACKEND] = arg;
	}
	return 0;
}

static char *help_filter(int key, const char *text, void *input)
{
	char *with = NULL;
	size_t bytes;
	FILE *f;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&with, &bytes);
	if (!f)
		return (char *)text;
	fputs("Formats:\n", f);
	list_formats(f);
	fprintf(f, "\n%s", text);
	fclose(f);
	return with;
}

/* --- the work ----------------------------------------------------------------------------------------------------- */

/* "shop.tape" -> "shop.trace" */
static char *default_name(const char *tape, const char *ending)
{
	size_t stem = strlen(tape);
	char *name = NULL;

	if (stem > 5 && !strcmp(tape + stem - 5, ".tape"))
		stem -= 5;
	return asprintf(&name, "%.*s%s", (int)stem, tape, ending) < 0 ? NULL : name;
}

static int write_out(void *ctx, const void *bytes, size_t cnt)
{
	struct export *e = ctx;

	errno = 0;
	if (fwrite(bytes, 1, cnt, e->out.f) == cnt)
		return 0;
	e->write_err = errno ? -errno : -EIO;
	return e->write_err;
}

/* A moment of the first tape on both clocks. */
static struct clock_pair clock_of(struct input *in)
{
	u64 start = input__start_ns(in);

	return (struct clock_pair){ .mono_ns = start, .real_ns = input__unix_ns(in, start) };
}

static int convert(struct export *e, struct input *in, void *run, struct diag *d)
{
	struct sink sink = e->backend->sink(run);
	struct diag note = {};
	int err = input__run(in, &sink, NULL, NULL);

	if (!err)
		err = e->backend->finish(run, &note);
	if (e->write_err && e->out.path)
		return diag__set(d, err, "cannot write %s: %s", e->out.path, strerror(-e->write_err));
	if (err && err != -EPIPE)
		return diag__set(d, err, "cannot export %s%s: %s", e->file[0], e->file_cnt > 1 ? " ..." : "", strerror(-err));
	if (note.text[0])
		cmd__fail(EXIT_DONE, &note);
	return err;
}

static int export_to(struct export *e, const char *path, int *status, struct diag *d)
{
	struct backend_opts bo = { .write = write_out, .ctx = e };
	struct input *in;
	void *run;
	u32 i, b;
	int err;

	for (b = 0; backends[b] != e->backend; b++)
		;
	for (i = 0; i < BACKEND_MAX_OPTIONS; i++)
		bo.option[i] = e->value[b * BACKEND_MAX_OPTIONS + i];
	err = input__open(e->file, e->file_cnt, &e->input, &in, d);
	if (err)
		return err;
	bo.clock = clock_of(in);
	/* what was cut off in front is not to be drawn as time in which nothing happens */
	if (e->input.from.kind != TIME_NONE || e->input.last_ns)
		bo.start_ns = input__start_ns(in);
	err = e->backend->open(&bo, &run, d);
	if (!err) {
		err = outfile__open_new(&e->out, path, e->force, d);
		if (!err) {
			err = convert(e, in, run, d);
			if (err)
				outfile__drop(&e->out);
			else
				err = outfile__done(&e->out, d);
		}
		e->backend->free(run);
	}
	if (err != -EPIPE)
		*status = input__report(in);
	input__free(in);
	return err;
}

static const char doc[] =
	"Write tapes in the formats of other tools. Several tapes become one output, in the order of the wall clock.\v"
	"FILE - is standard input. The output has the ending .part until it is whole. Damaged tapes are read as far as they go: "
	"the exit status is 1 then.\n\n"
	"  tapebpf export --format go shop.tape && go tool trace shop.trace\n";

int cmd_export(int argc, char **argv)
{
	static const struct argp_child children[] = { { &input_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { options, parse, "FILE...", doc, children, help_filter, NULL };
	struct export e = {};
	struct diag d = {};
	__free_ptr char *name = NULL;
	const char *path;
	char self[] = "tapebpf export";
	int err, status = EXIT_DONE;

	collect_options();
	argp_err_exit_status = EXIT_USAGE;
	argv[0] = self;
	if (argp_parse(&argp, argc, argv, 0, NULL, &e))
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	name = e.output ? NULL : default_name(e.file[0], e.backend->ending);
	path = e.output ? e.output : name;
	if (!path)
		return EXIT_FAILED;
	err = export_to(&e, path, &status, &d);
	input_opts__done(&e.input);
	if (err == -EPIPE)
		return EXIT_DONE;
	if (e.write_err && !e.out.path)
		return cmd__output_failed("the output", -e.write_err);
	if (err)
		return cmd__fail(err == -EINVAL ? EXIT_USAGE : EXIT_FAILED, &d);
	return status;
}
