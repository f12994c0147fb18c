/* SPDX-License-Identifier: MIT */
/* flame.c - `tapebpf flame`: where the time went, as folded lines or as a picture. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "cmd/cmd.h"
#include "cmd/flame_live.h"
#include "cmd/flame_opts.h"
#include "cmd/outfile.h"
#include "cmd/progress.h"
#include "expr/filter.h"
#include "fold/chart.h"
#include "fold/folded.h"
#include "fold/graph.h"
#include "tape/tape_format.h"

#define FOLDED_CHUNK (1u << 20)

struct flame {
	struct flame_opts opts;
	struct outfile out;
	struct folded_form form;
	struct stacks *stacks;
	struct chart *chart; /* NULL: not asked for */
	bool counted;	     /* what is shown came from folded text: nobody knows its unit */
	bool opened;	     /* of the tapes that were asked for, one at least */
	int write_err;	     /* of lines in order; then they end */
	int status; /* EXIT_FAILED: what was read was not whole */
};

/* --- what is it? ------------------------------------------------------------------------------------------- */

/* The first bytes without taking them: a file is read at its place, a socket peeked, a pipe teed into ours. */
static ssize_t look(int fd, const int pipe_ends[2], char *dst, size_t bytes)
{
	ssize_t n = pread(fd, dst, bytes, 0);

	if (n >= 0 || errno != ESPIPE)
		return n;
	n = recv(fd, dst, bytes, MSG_PEEK);
	if (n >= 0 || errno != ENOTSOCK)
		return n;
	n = tee(fd, pipe_ends[1], bytes, 0);
	return n > 0 ? read(pipe_ends[0], dst, bytes) : n;
}

static ssize_t peek(int fd, char *dst, size_t bytes)
{
	int p[2], tries;
	ssize_t n = -1;

	if (pipe2(p, O_CLOEXEC))
		return -1;
	for (tries = 0; tries < 50; tries++) {
		n = look(fd, p, dst, bytes);
		/* a writer may give them one by one */
		if (n <= 0 || n == (ssize_t)bytes || memcmp(dst, TAPE_MAGIC, (size_t)n))
			break;
		poll(NULL, 0, 20);
	}
	close(p[0]);
	close(p[1]);
	return n;
}

/* 1 tape, 0 folded text, negative errno */
static int is_tape(const char *path)
{
	__close_fd int opened = -1;
	char head[8];
	ssize_t n;
	int fd = STDIN_FILENO;

	if (strcmp(path, "-")) {
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	}
	n = peek(fd, head, sizeof(head));
	/* what cannot be looked at is taken for a tape, whose reader says what is wrong; so is an empty file */
	if (n <= 0)
		return 1;
	return (size_t)n == sizeof(head) && !memcmp(head, TAPE_MAGIC, sizeof(head));
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static int on_sample(void *ctx, u32 node, u64 value)
{
	struct flame *fl = ctx;

	if (fl->chart)
		return chart__sample(fl->chart, node, value);

	if (value || fl->form.zeros)
		folded__line(fl->out.f, &fl->form, fl->stacks, node, value);
	return 0;
}

static int keep_on(void *ctx)
{
	struct flame *fl = ctx;

	fl->write_err = fl->opts.in_order ? outfile__flush(&fl->out) : 0;
	return fl->write_err;
}

/* What went wrong while reading: it may have been the writing. */
static int failed(const struct flame *fl, const char *path, int err, struct diag *d)
{
	if (err == -EPIPE)
		return err;
	if (fl->write_err)
		return diag__set(d, err, "cannot write %s: %s", fl->out.path ? fl->out.path : "the output", strerror(-err));
	return diag__set(d, err, "cannot read %s: %s", path, strerror(-err));
}

static int read_tapes(struct flame *fl, char *const *path, u32 cnt, struct stacks *s, int side, struct diag *d)
{
	struct fold_opts fo = fl->opts.fold;
	struct input *in;
	struct fold *fold;
	struct sink sink;
	int err, damaged;

	fl->opts.input.no_values = !fo.label && fo.style != FOLD_TRACE_TOOLS;
	err = input__open(path, cnt, &fl->opts.input, &in, d);
	if (err)
		return err;
	fl->opened = true;
	fo.start_ns = input__start_ns(in);
	fo.cut_ns = input__cut_ns(in);
	fo.side = side;
	fo.sample = fl->opts.in_order ? on_sample : NULL;
	fo.ctx = fl;
	fo.chart = fl->chart;
	fold = fold__new(&fo, s);
	if (!fold) {
		input__free(in);
		return diag__set(d, -ENOMEM, "no memory for folding %s", path[0]);
	}
	sink = fold__sink(fold);
	err = input__run(in, &sink, keep_on, fl);
	if (err < 0)
		failed(fl, path[0], err, d);
	if (err != -EPIPE) {
		damaged = input__report(in);
		fl->status = MAX(fl->status, damaged);
	}
	fold__free(fold);
	input__free(in);
	return err;
}

static void tell_skipped(const char *path, const struct folded_stats *st)
{
	struct diag d = {};

	if (st->skipped)
		diag__set(&d, 0, "%s: left out what is no stack: %" PRIu64 " line%s, the first is line %" PRIu64, path,
			  st->skipped, st->skipped > 1 ? "s" : "", st->first_skipped);
	else if (st->fractions)
		diag__set(&d, 0, "%s: the fractions of %" PRIu64 " numbers were cut off", path, st->fractions);
	if (d.text[0])
		cmd__fail(0, &d);
}

static int read_folded(struct flame *fl, const char *path, struct stacks *s, int side, struct diag *d)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	struct folded_stats st = {};
	struct folded_reader *r;
	struct progress p;
	struct stat file = {};
	int more;

	if (!f)
		return diag__set(d, -errno, "cannot open %s: %s", path, strerror(errno));
	fl->counted = true;
	r = folded__reader(f, s, side, fl->opts.in_order || fl->chart ? on_sample : NULL, fl);
	more = r ? 1 : -ENOMEM;
	fstat(fileno(f), &file);
	progress__init(&p, fl->opts.input.quiet);
	while (more > 0) {
		more = folded__read(r, FOLDED_CHUNK, &st);
		progress__update(&p, folded__offset(r), (u64)file.st_size);
		if (more > 0 && keep_on(fl) < 0)
			more = fl->write_err;
	}
	progress__clear(&p);
	folded__free(r);
	if (f != stdin)
		fclose(f);
	if (more < 0)
		return failed(fl, path, more, d);
	tell_skipped(path, &st);
	if (!st.lines && st.skipped)
		return diag__set(d, -ENOEXEC, "%s is neither a tape nor folded text", path);
	if (st.differences && !fl->opts.diff)
		fl->form.sides = true;
	return 0;
}

/* One file: 1 a tape, which is read later; 0 folded text, read; else what is wrong with it. */
static int look_at(struct flame *fl, const char *path, struct stacks *s, int side, struct diag *d)
{
	int kind = is_tape(path);

	if (kind < 0)
		return diag__set(d, kind, "cannot open %s: %s", path, strerror(-kind));
	return kind ? kind : read_folded(fl, path, s, side, d);
}

/*
 * All files into one: the tapes among them merged by time, the texts one after the other. Of several, one that cannot be
 * read is told and left out, as the other reading commands do; one that was half read is there as far as it goes.
 */
static int read_files(struct flame *fl, char **path, u32 cnt, struct stacks *s, int side, struct diag *d)
{
	__free_ptr char **tape = calloc(cnt, sizeof(*tape));
	u32 i, tapes = 0, texts = 0;
	int got;

	if (!tape)
		return diag__set(d, -ENOMEM, "no memory");
	for (i = 0; i < cnt; i++) {
		got = look_at(fl, path[i], s, side, d);
		if (got < 0 && (cnt == 1 || got == -EPIPE || got == -ENOMEM))
			return got;
		if (got < 0) {
			cmd__fail(EXIT_FAILED, d);
			fl->status = EXIT_FAILED;
		}
		texts += got == 0;
		if (got > 0)
			tape[tapes++] = path[i];
	}
	if (!tapes && !texts)
		return diag__set(d, -ENOENT, "none of these %u files can be read", cnt);
	fl->opened = false;
	got = tapes ? read_tapes(fl, tape, tapes, s, side, d) : 0;
	if (got >= 0 || fl->opened || !texts)
		return got;
	cmd__fail(EXIT_FAILED, d);
	fl->status = EXIT_FAILED;
	return 0;
}

/* In front of the sink, if there is one. What a running span will come to be nobody knows. */
static int filter_live(struct flame *fl, struct expr **e, struct filter **f, struct sink *sink, struct diag *d)
{
	struct expr_error why;

	*e = NULL;
	*f = NULL;
	if (!fl->opts.input.filter)
		return 0;
	*e = expr__new(fl->opts.input.filter, strlen(fl->opts.input.filter), &why);
	if (!*e)
		return diag__set(d, -errno, "the filters together: %s", errno == ENOMEM ? "no memory" : why.text);
	if (expr__asks_fields(*e) || expr__asks_times(*e, NULL)) {
		diag__set(d, -EINVAL, "a filter of a running program cannot look at fields or times: they are known at a span's end");
		diag__hint(d, "record a tape, and give the filter when reading it");
		return -EINVAL;
	}
	*f = filter__new(*e, NULL, sink);
	if (!*f)
		return diag__set(d, -ENOMEM, "no memory for the filter");
	*sink = filter__sink(*f);
	return 0;
}

static int read_live(struct flame *fl, struct diag *d)
{
	struct fold_opts fo = fl->opts.fold;
	struct filter *filter;
	struct expr *expr;
	struct fold *fold;
	struct sink sink;
	int err;

	fo.start_ns = clock__mono_ns();
	fo.sample = fl->opts.in_order ? on_sample : NULL;
	fo.ctx = fl;
	fo.chart = fl->chart;
	fold = fold__new(&fo, fl->stacks);
	if (!fold)
		return diag__set(d, -ENOMEM, "no memory for folding");
	sink = fold__sink(fold);
	err = filter_live(fl, &expr, &filter, &sink, d);
	if (!err)
		err = flame_live__run(&fl->opts.target, fl->opts.duration_ns, &sink, keep_on, fl, d);
	filter__free(filter);
	expr__free(expr);
	fold__free(fold);
	return err;
}

/* --- writing ----------------------------------------------------------------------------------------------- */

static int turn_round(struct flame *fl)
{
	struct stacks *r;

	if (!fl->opts.reverse)
		return 0;
	r = stacks__reverse(fl->stacks, fl->opts.max_depth);
	if (!r)
		return -ENOMEM;
	stacks__free(fl->stacks);
	fl->stacks = r;
	return 0;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strcmp(path, "-") ? "standard input" : slash ? slash + 1 : path;
}

/* What is looked at; of several the last. */
static void source_name(const struct flame_opts *o, char *dst, size_t bytes)
{
	const struct target_opts *t = &o->target;

	if (o->file_cnt)
		snprintf(dst, bytes, "%s", file_name(o->file[o->file_cnt - 1]));
	else if (t->cmd || t->binary_cnt)
		snprintf(dst, bytes, "%s", file_name(t->cmd ? t->cmd[0] : t->binary[0]));
	else
		snprintf(dst, bytes, "process %u", t->pid[0]);
}

/* What the widths mean, unless the user has said something else. */
static void fill_page(struct flame *fl, char *subtitle, size_t bytes)
{
	static const char *const means[] = { [FOLD_SELF] = "time in the threads' stacks", [FOLD_BUSY] = "busy time of spans",
					     [FOLD_WALL] = "time from open to close", [FOLD_COUNT] = "number of spans" };
	static const char *const titles[] = { "Flame graph", "Flame chart", "Differential flame graph" };
	struct flame_opts *o = &fl->opts;
	const char *what;
	struct page_opts *p = &o->page, defaults;
	char source[280];

	page_opts__defaults(&defaults);
	if (!strcmp(p->title, defaults.title))
		p->title = titles[o->chart ? 1 : o->diff ? 2 : 0];
	p->unit = fl->counted || (o->fold.style == FOLD_STACK && o->fold.weight == FOLD_COUNT) ? AMOUNT_COUNT :
		  o->fold.style == FOLD_TRACE_TOOLS						     ? AMOUNT_US :
												       AMOUNT_NS;
	if (!fl->counted && !strcmp(p->count_word, defaults.count_word))
		p->count_word = "spans";
	source_name(o, source, sizeof(source));
	what = fl->counted ? p->count_word : o->chart ? "what each thread was in" : means[o->fold.weight];
	snprintf(subtitle, bytes, "%s%s%s: %s%s", o->diff ? file_name(o->file[0]) : "", o->diff ? " -> " : "",
		 source, what, o->diff && o->normalize ? ", normalised" : "");
	if (!p->subtitle)
		p->subtitle = subtitle;
}

static int write_picture(struct flame *fl)
{
	struct flame_opts *o = &fl->opts;
	char subtitle[600];
	int err;

	fill_page(fl, subtitle, sizeof(subtitle));
	if (!fl->chart)
		return graph__write(fl->out.f, &o->page, fl->stacks, fl->form.sides, o->normalize);
	err = chart__samples_done(fl->chart);
	return err ? err : chart__write(fl->out.f, &o->page, fl->chart);
}

static void write_lines(struct flame *fl)
{
	const struct stacks_node *all = stacks__node(fl->stacks, STACKS_ROOT);

	if (fl->opts.diff && fl->opts.normalize && all->total[0])
		fl->form.scale = (double)all->total[1] / (double)all->total[0];
	folded__write(fl->out.f, &fl->form, fl->stacks);
}

static int write_result(struct flame *fl, struct diag *d)
{
	int err = turn_round(fl) ?: stacks__index(fl->stacks);

	if (!err && !fl->opts.folded)
		err = write_picture(fl);
	else if (!err && !fl->opts.in_order)
		write_lines(fl);
	if (err)
		return diag__set(d, err, "no memory for the result");
	if (stacks__other(fl->stacks))
		fprintf(stderr, "tapebpf: too many different stacks: %" PRIu64 " of them are added up as %s\n",
			stacks__other(fl->stacks), STACKS_OTHER);
	if (stacks__deeper(fl->stacks) && !fl->chart)
		fprintf(stderr, "tapebpf: some stacks are deeper than %u frames: what is above counts for the last of them\n",
			fl->opts.max_depth);
	return 0;
}

/* BEFORE goes to side 0, AFTER to side 1. */
static int read_both(struct flame *fl, struct diag *d)
{
	char **file = fl->opts.file;

	return read_files(fl, file, 1, fl->stacks, 0, d) ?: read_files(fl, file + 1, 1, fl->stacks, 1, d);
}

static int run(struct flame *fl, struct diag *d)
{
	struct flame_opts *o = &fl->opts;
	int err;

	if (target_opts__any(&o->target))
		err = read_live(fl, d);
	else if (o->diff)
		err = read_both(fl, d);
	else
		err = read_files(fl, o->file, o->file_cnt, fl->stacks, 0, d);
	return err ? err : write_result(fl, d);
}

int cmd_flame(int argc, char **argv)
{
	struct flame fl = {};
	struct diag d = {};
	int err;

	if (flame_opts__parse(&fl.opts, argc, argv, &err))
		return err;
	signal(SIGPIPE, SIG_IGN);
	fl.stacks = stacks__new();
	if (fl.stacks && !fl.opts.reverse) /* else: that many from the leaves */
		stacks__limit(fl.stacks, fl.opts.max_depth);
	if (fl.stacks && fl.opts.chart)
		fl.chart = chart__new(fl.stacks);
	if (!fl.stacks || (fl.opts.chart && !fl.chart))
		return EXIT_FAILED;
	err = outfile__open(&fl.out, fl.opts.output, &d);
	fl.form = (struct folded_form){ .separator = fold_style__separator(fl.opts.fold.style),
					.zeros = fl.opts.fold.style != FOLD_STACK,
					.sides = fl.opts.diff,
					.harmless = isatty(fileno(fl.out.f)) };
	if (!err) {
		err = run(&fl, &d);
		if (err)
			outfile__drop(&fl.out);
		else
			err = outfile__done(&fl.out, &d);
	}
	chart__free(fl.chart);
	stacks__free(fl.stacks);
	flame_opts__done(&fl.opts);
	if (err == -EPIPE)
		return EXIT_DONE;
	return err ? cmd__fail(EXIT_FAILED, &d) : fl.status;
}
