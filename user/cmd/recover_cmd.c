/* SPDX-License-Identifier: MIT */
/* recover_cmd.c - `tapebpf recover`: what a flight recorder with --dir that was killed has left, as a tape. */
#include "flight/recover.h"

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/flight_report.h"
#include "cmd/show.h"
#include "cmd/sig_opt.h"
#include "cmd/target_opts.h"
#include "session/snapshot_write.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct recover_opts {
	const char *dir, *output;
	u64 last_ns;
	enum snapshot_format format;
	bool no_pairs, quiet, sigs_given;
	struct sig_set *sigs;
};

enum { KEY_LAST = 256, KEY_FORMAT, KEY_NO_PAIRS, KEY_SIG };

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0, "the tape (default: EXE_DATE.tape here); never overwrites", 1 },
	{ "format", KEY_FORMAT, "tape|go", 0, "a tape, or a Go execution trace (tape)", 1 },
	{ "last", KEY_LAST, "TIME", 0, "only so far back (5s, 500ms)", 1 },
	{ "no-pairs", KEY_NO_PAIRS, NULL, 0, "plain probes NAME__begin/NAME__end stay events", 1 },
	{ "sig", KEY_SIG, "SIG|@FILE", 0, "instead of those that the recorder was given", 1 },
	{ "quiet", 'q', NULL, 0, "say nothing but errors", 1 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct recover_opts *o = state->input;

	switch (key) {
	case 'o':
		o->output = arg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case KEY_FORMAT:
		if (snapshot_format__parse(arg, &o->format))
			argp_error(state, "--format %s: want tape or go", arg);
		return 0;
	case KEY_LAST:
		o->last_ns = target_opts__time(state, "last", arg);
		return 0;
	case KEY_NO_PAIRS:
		o->no_pairs = true;
		return 0;
	case KEY_SIG:
		sig_opt__add(state, o->sigs, arg);
		o->sigs_given = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->dir)
			argp_error(state, "more than one folder");
		o->dir = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->dir)
			argp_error(state, "which folder? The one that was given with tapebpf flight --dir");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, "DIR",
	"Write what a flight recorder has left in its folder (`tapebpf flight --dir DIR`), after it was killed, to a tape."
	"\vThe folder stays as it is. Works on another machine too: the folder holds all that is needed.\n"
	"What is damaged, cut or not there is told by name and place, and up to when the rest is complete.\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 done, but something is missing for damage, a cut, a deleted file or a full disk.",
	NULL, NULL, NULL,
};

static void tell_findings(const struct recovered *r)
{
	u32 cnt = MIN(r->finding_cnt, (u32)RECOVER_FINDINGS);

	if (!cnt)
		return;
	fputs(r->missing_cnt ? "damaged, cut or not there; what is whole was kept:\n" : "not as it was left, but nothing is missing for it:\n",
	      stderr);
	for (u32 i = 0; i < cnt; i++) {
		fputs("  ", stderr);
		text__print(stderr, r->finding[i].text, strlen(r->finding[i].text)); /* names files of others */
		fputc('\n', stderr);
	}
	if (r->finding_cnt > cnt)
		fprintf(stderr, "  and %u more\n", r->finding_cnt - cnt);
}

/* What a recorder cannot know is what came after it had looked. */
static void tell_complete(const struct recovered *r)
{
	const struct clock_pair *at = &r->snap.at;

	if (!r->complete_ns) {
		if (r->old)
			fputs("up to when it is complete is not known: an older recorder did not say so\n", stderr);
		return;
	}
	fputs(r->missing_cnt ? "but for that complete until " : "complete until ", stderr);
	show__time(stderr, at->real_ns - (s64)(at->mono_ns - r->complete_ns), 9);
	fputs(", when the recorder last looked at everything; of what came later some may be missing\n", stderr);
}

static int write_out(const struct recover_opts *o, struct recovered *r)
{
	struct snapshot_write *w = calloc(1, sizeof(*w));
	char text[512];
	int err;

	if (!w)
		return -ENOMEM;
	*w = (struct snapshot_write){ .snap = &r->snap, .cut_off = true, .complete_ns = r->complete_ns, .last_ns = o->last_ns, .format = o->format,
				      .no_pairs = o->no_pairs || r->defs.no_pairs,
				      .sigs = o->sigs_given ? o->sigs : r->defs.sigs, .fd = -1 };
	if (o->output)
		snprintf(w->path, sizeof(w->path), "%s", o->output);
	else
		snapshot__name(w->path, sizeof(w->path), r->defs.exe, o->format);
	err = snapshot__write(w);
	if (err) {
		if (!w->res.diag.text[0])
			diag__set(&w->res.diag, err, "cannot write %s: %s", w->path, strerror(-err));
		cmd__fail(EXIT_FAILED, &w->res.diag);
	} else if (!o->quiet) {
		puts(w->path);
		tell_findings(r);
		tell_complete(r);
		fprintf(stderr, "%s\n", flight_report__snapshot(&w->res, text, sizeof(text)));
	}
	free(w);
	return err;
}

static void check_sigs(const struct sig_set *sigs, const struct snapshot *snap)
{
	struct sig_check *c = sig_check__new(sigs);

	for (u32 i = 0; i < snap->file_cnt; i++)
		sig_check__file(c, snap->file[i].elf);
	sig_opt__tell(c);
	sig_check__free(c);
}

int cmd_recover(int argc, char **argv)
{
	static char name[] = "tapebpf recover";
	struct recover_opts o = { .sigs = sig_set__new() };
	struct recovered *r = NULL;
	struct diag d = { 0 };
	int err, missing;

	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &o))
		return EXIT_USAGE;
	err = recover__dir(o.dir, &r, &d);
	if (err)
		cmd__fail(EXIT_FAILED, &d);
	else
		err = write_out(&o, r);
	if (r)
		check_sigs(o.sigs, &r->snap);
	missing = r && r->missing_cnt;
	recover__free(r);
	sig_set__free(o.sigs);
	if (err || cmd__output_done("the name"))
		return EXIT_FAILED;
	return missing ? EXIT_LOSS : EXIT_DONE;
}
