/* SPDX-License-Identifier: MIT */
/* verify.c - `tapebpf verify`: audits tapes, lists what is wrong with them. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/show.h"
#include "tape/tape_audit.h"

#define DEFAULT_MAX 100

struct verify {
	bool json, quiet;
	u64 max;      /* defects listed a tape */
	u32 ignored; /* a bit for each kind */
	char **file;
	int file_cnt;
	/* of the tape in hand */
	const char *path;
	u64 listed;
	struct progress progress;
	/* of all */
	u32 clean, bad, unread;
};

enum { OPT_MAX = 256, OPT_IGNORE };

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "One JSON object a line: each defect, then the tape's result", 0 },
	{ "quiet", 'q', NULL, 0, "Print nothing; the exit status tells", 0 },
	{ "ignore", OPT_IGNORE, "KIND[,KIND...]", 0, "Defects of these kinds do not count: neither listed nor in the exit status", 0 },
	{ "max", OPT_MAX, "N", 0, "List at most N defects a tape (default 100); all are counted", 0 },
	{ 0 },
};

static void ignore(struct verify *v, const char *arg, struct argp_state *state)
{
	u32 kind;
	size_t n;

	for (;; arg += n + 1) {
		n = strcspn(arg, ",");
		for (kind = 0; kind < TAPE_DEFECT_MAX; kind++)
			if (strlen(tape_defect__label(kind)) == n && !strncmp(tape_defect__label(kind), arg, n))
				break;
		if (kind == TAPE_DEFECT_MAX)
			argp_error(state, "--ignore %.*s: no kind of defect is called so; they are in the lines that are listed", (int)n, arg);
		v->ignored |= 1u << kind;
		if (!arg[n])
			return;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct verify *v = state->input;
	char *end;

	switch (key) {
	case 'j':
		v->json = true;
		break;
	case 'q':
		v->quiet = true;
		break;
	case OPT_IGNORE:
		ignore(v, arg, state);
		break;
	case OPT_MAX:
		errno = 0;
		v->max = strtoull(arg, &end, 10);
		if (errno || *end || !*arg || *arg == '-')
			argp_error(state, "--max takes a number");
		break;
	case ARGP_KEY_ARGS:
		v->file = state->argv + state->next;
		v->file_cnt = state->argc - state->next;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which tape? (- is standard input)");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void print_path(const char *path)
{
	text__print(stdout, path, strlen(path));
}

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct verify *v = ctx;

	if (v->quiet || v->listed >= v->max || v->ignored & 1u << d->kind)
		return;
	v->listed++;
	progress__clear(&v->progress);
	if (v->json) {
		printf("{\"type\":\"defect\",\"file\":");
		text__json(stdout, v->path, strlen(v->path));
		printf(",\"offset\":%" PRIu64 ",\"defect\":\"%s\",\"text\":", d->offset, tape_defect__label(d->kind));
		text__json(stdout, d->text, strlen(d->text));
		puts("}");
		return;
	}
	print_path(v->path);
	printf(": byte %" PRIu64 ": %s: ", d->offset, tape_defect__label(d->kind));
	text__print(stdout, d->text, strlen(d->text));
	putchar('\n');
}

static void on_progress(void *ctx, u64 done, u64 all)
{
	struct verify *v = ctx;

	progress__update(&v->progress, done, all);
}

/* Those that count. Returns how many do not. */
static u64 leave_out(const struct verify *v, struct tape_audit_result *r)
{
	u64 sum = 0;
	u32 kind;

	for (kind = 0; kind < TAPE_DEFECT_MAX; kind++) {
		if (!(v->ignored & 1u << kind))
			continue;
		sum += r->defect_cnt[kind];
		r->defect_cnt[kind] = 0;
	}
	r->defects -= sum;
	return sum;
}

static void print_json(const struct verify *v, const struct tape_audit_result *r, u64 ignored)
{
	const struct tape_totals *t = &r->totals;
	bool first = true;
	int i;

	printf("{\"type\":\"result\",\"file\":");
	text__json(stdout, v->path, strlen(v->path));
	printf(",\"clean\":%s,\"defects\":%" PRIu64 ",\"by_kind\":{", r->defects ? "false" : "true", r->defects);
	for (i = 0; i < TAPE_DEFECT_MAX; i++) {
		if (!r->defect_cnt[i])
			continue;
		printf("%s\"%s\":%" PRIu64, first ? "" : ",", tape_defect__label(i), r->defect_cnt[i]);
		first = false;
	}
	printf("},\"ignored\":%" PRIu64, ignored);
	printf(",\"version\":\"%u.%u\",\"bytes\":%" PRIu64 ",\"records\":%" PRIu64 ",\"spans\":%" PRIu64
	       ",\"events\":%" PRIu64 ",\"threads\":%" PRIu64,
	       r->intro.major, r->intro.minor, r->bytes, r->records, t->spans, t->events, r->threads);
	printf(",\"tapebpf\":%s,\"finished\":%s,\"checksum\":%s", r->own ? "true" : "false", t->present ? "true" : "false",
	       !t->checksum_present ? "null" : t->checksum_ok ? "true" : "false");
	if (t->present)
		printf(",\"emitted\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"lost\":%" PRIu64, t->emitted, t->stored, t->lost);
	if (t->cut_off)
		printf(",\"complete_until_ns\":%" PRId64, t->complete_unix_ns);
	printf(",\"misplaced\":%" PRIu64 ",\"never_entered\":%" PRIu64 ",\"idle_callsites\":%" PRIu64 "}\n", r->misplaced,
	       r->never_entered, r->idle_callsites);
}

static void print_result(const struct verify *v, const struct tape_audit_result *r, u64 ignored)
{
	const struct tape_totals *t = &r->totals;

	if (r->defects > v->listed) {
		print_path(v->path);
		printf(": %" PRIu64 " more defects (--max lists them)\n", r->defects - v->listed);
	}
	print_path(v->path);
	if (r->defects)
		printf(": %" PRIu64 " defect%s", r->defects, r->defects > 1 ? "s" : "");
	else
		printf(": clean");
	if (ignored)
		printf(", %" PRIu64 " ignored", ignored);
	printf("; %" PRIu64 " bytes, %" PRIu64 " records: %" PRIu64 " spans, %" PRIu64 " events, %" PRIu64 " threads",
	       r->bytes, r->records, t->spans, t->events, r->threads);
	if (t->present)
		printf("; emitted %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64, t->emitted, t->stored, t->lost);
	if (t->checksum_present)
		printf("; checksum %s", t->checksum_ok ? "good" : "wrong");
	putchar('\n');
	if (r->unfinished) {
		print_path(v->path);
		puts(": the recording was not finished (the recorder was killed): no totals, no checksum");
	}
	if (t->cut_off) {
		print_path(v->path);
		printf(": note: its recorder was killed; complete until ");
		show__time(stdout, t->complete_unix_ns, 9);
		putchar('\n');
	}
	if (r->misplaced) {
		print_path(v->path);
		printf(": note: viewers of v0.1 show %" PRIu64 " spans elsewhere than under their parents\n", r->misplaced);
	}
}

static int verify_file(struct verify *v, const char *path)
{
	struct tape_audit_ops ops = { .defect = on_defect, .progress = on_progress, .ctx = v };
	struct tape_audit_result r;
	struct diag d = {};
	u64 ignored;
	int err;

	v->path = path;
	v->listed = 0;
	progress__init(&v->progress, v->quiet);
	err = tape_audit__run(path, &ops, &r, &d);
	progress__clear(&v->progress);
	if (err) {
		v->unread++;
		return cmd__fail_tape(&d);
	}
	ignored = leave_out(v, &r);
	*(r.defects ? &v->bad : &v->clean) += 1;
	if (v->json && !v->quiet)
		print_json(v, &r, ignored);
	else if (!v->quiet)
		print_result(v, &r, ignored);
	return r.defects ? EXIT_FAILED : EXIT_DONE;
}

/* The last line where there are several. */
static void print_sum(const struct verify *v)
{
	if (v->quiet || v->json || v->file_cnt < 2)
		return;
	printf("%d tapes: %u clean, %u with defects", v->file_cnt, v->clean, v->bad);
	if (v->unread)
		printf(", %u not read", v->unread);
	putchar('\n');
}

static const char doc[] =
	"Audit tapes: every record's form, order and place, as the strictest reader of the format demands them; the "
	"totals (emitted = stored + lost); the checksum.\v"
	"Exit status: 0 all tapes are clean, 1 defects or unreadable, 2 wrong usage. A tape whose recorder was killed lists "
	"the spans that it left open.\n\n"
	"FILE - is standard input.";

int cmd_verify(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "FILE...", doc, NULL, NULL, NULL };
	struct verify v = { .max = DEFAULT_MAX };
	char name[] = "tapebpf verify";
	int i, status = EXIT_DONE, one;

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, &v))
		return EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < v.file_cnt; i++) {
		one = verify_file(&v, v.file[i]);
		status = MAX(status, one);
	}
	print_sum(&v);
	return MAX(status, (int)cmd__output_done("the result"));
}
