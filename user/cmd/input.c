/* SPDX-License-Identifier: MIT */
#include "cmd/input.h"

#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "expr/filter.h"
#include "model/window.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define CHUNK_BYTES (1u << 20)
#define CUT_RECORDS 16384

struct input {
	struct input_opts opts;
	char **path; /* of those that could be opened */
	u32 cnt;
	bool missing; /* some could not */
	struct tape_merge *merge;
	struct input_damage **damage; /* of each; the readers know where */
	struct progress progress;
	u64 done_bytes, all_bytes; /* of earlier readings; of all readings, 0: unknown */
	u64 from_ns, to_ns; /* of the stream; 0 and UINT64_MAX: no cut */
	struct window *window; /* NULL: no cut */
	struct sink_ops steps; /* the window's, for one step of a span's life at a time */
	struct expr *expr;
	struct judge *judge;   /* NULL: spans are judged by what is known when they are opened */
	struct filter *filter; /* NULL: none */
};

static void on_defect(void *ctx, const struct tape_defect *d)
{
	struct input_damage *dm = ctx;

	dm->cnt[d->kind]++;
	/* spans that are never closed have their marks in the output; a killed recorder leaves them */
	if (d->kind != TAPE_DEFECT_UNCLOSED && !dm->all++)
		dm->first = *d;
}

/* --- the cut ----------------------------------------------------------------------------------------------- */

static int end_exit(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	u64 *end_ns = ctx;

	*end_ns = MAX(*end_ns, why == SINK_CUT ? 0 : time_ns);
	return 0;
}

static int end_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	return end_exit(ctx, span, NULL, time_ns, why);
}

static int end_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	return end_exit(ctx, span, t, time_ns, SINK_OWN);
}

static int end_open(void *ctx, const struct span_open *o)
{
	return end_exit(ctx, o->span, NULL, o->time_ns, SINK_OWN);
}

static int end_event(void *ctx, const struct event *e)
{
	return end_exit(ctx, 0, NULL, e->time_ns, SINK_OWN);
}

/* --- readings before the one that counts --------------------------------------------------------------------- */

static void show_progress(struct input *in, const struct tape_merge *m)
{
	progress__update(&in->progress, in->done_bytes + tape_merge__offset(m), in->all_bytes);
}

/* All tapes from their beginning into a sink. What is wrong with them is told by the reading that counts. */
static int read_before(struct input *in, const struct sink *sink, const struct tape_reader_ops *each, struct diag *d)
{
	__free_ptr struct tape_reader_ops *ops = calloc(in->cnt, sizeof(*ops));
	__free_ptr char **path = calloc(in->cnt, sizeof(*path));
	struct tape_merge_opts mo = { .ops = ops };
	static char stdin_again[] = "/dev/stdin"; /* a file: plan_readings */
	struct tape_merge *m;
	int err;
	u32 i;

	if (!ops || !path)
		return diag__set(d, -ENOMEM, "no memory for reading %u tapes", in->cnt);
	for (i = 0; i < in->cnt; i++) {
		ops[i] = *each;
		path[i] = strcmp(in->path[i], "-") ? in->path[i] : stdin_again;
	}
	err = tape_merge__open(path, in->cnt, &mo, &m, d);
	if (err)
		return err;
	do {
		err = tape_merge__run(m, sink, CHUNK_BYTES);
		show_progress(in, m);
	} while (err > 0);
	in->done_bytes += tape_merge__offset(m);
	tape_merge__free(m);
	return err ? diag__set(d, err, "cannot read %s: %s", in->path[0], strerror(-err)) : 0;
}

/* The last time at which something happened. A recorder goes on a moment longer. */
static int find_end(struct input *in, u64 *end_ns, struct diag *d)
{
	static const struct sink_ops ops = {
		.span_open = end_open, .span_enter = end_enter, .span_exit = end_exit, .span_close = end_close,
		.event = end_event,
	};
	struct sink sink = { &ops, end_ns };

	*end_ns = 0;
	return read_before(in, &sink, &(struct tape_reader_ops){ .no_values = true }, d);
}

static int judge_spans(struct input *in, struct diag *d)
{
	struct tape_reader_ops each = { .no_values = !expr__asks_fields(in->expr) };
	struct sink sink;
	int err;

	in->judge = judge__new(in->expr);
	if (!in->judge)
		return diag__set(d, -ENOMEM, "no memory for the filter");
	sink = judge__sink(in->judge);
	err = read_before(in, &sink, &each, d);
	/* its callsites are gone with their readers */
	expr__forget(in->expr);
	return err;
}

static bool needs_judge(const struct input *in)
{
	return in->expr && (expr__asks_fields(in->expr) || expr__asks_times(in->expr, NULL));
}

/* How often the tapes are read, and whether they can be. */
static int plan_readings(struct input *in, struct diag *d)
{
	u32 before = (in->opts.last_ns > 0) + needs_judge(in), i;
	struct stat st;

	in->all_bytes = tape_merge__size(in->merge) * (before + 1);
	for (i = 0; i < in->cnt && before; i++)
		if (!strcmp(in->path[i], "-") && (fstat(STDIN_FILENO, &st) || !S_ISREG(st.st_mode))) {
			diag__set(d, -ESPIPE, "%s reads tapes twice, and standard input is a pipe",
				  in->opts.last_ns ? "--last" : "a filter that looks at fields or times");
			diag__hint(d, "write it to a file first");
			return -ESPIPE;
		}
	return 0;
}

static u64 stream_time(const struct input *in, const struct input_time *t)
{
	return tape_merge__time_ns(in->merge,
				   input_time__unix_ns(t, tape_reader__intro(input__reader(in, 0))->base_unix_ns));
}

static int prepare_cut(struct input *in, struct diag *d)
{
	const struct input_opts *o = &in->opts;
	u64 end_ns;
	int err;

	in->to_ns = UINT64_MAX;
	if (o->from.kind)
		in->from_ns = stream_time(in, &o->from);
	if (o->to.kind)
		in->to_ns = stream_time(in, &o->to);
	if (in->from_ns >= in->to_ns)
		return diag__set(d, -EINVAL, "nothing is left: --from is not before --to");
	if (o->last_ns) {
		err = find_end(in, &end_ns, d);
		if (err)
			return err;
		in->from_ns = end_ns > o->last_ns ? end_ns - o->last_ns : 0;
	}
	if (!in->from_ns && in->to_ns == UINT64_MAX)
		return 0;
	in->window = window__new(NULL);
	return in->window ? 0 : diag__set(d, -ENOMEM, "no memory for cutting the tape");
}

static int parse_filter(struct input *in, struct diag *d)
{
	struct expr_error err;

	if (!in->opts.filter)
		return 0;
	in->expr = expr__new(in->opts.filter, strlen(in->opts.filter), &err);
	return in->expr ? 0 : diag__set(d, -errno, "the filters together: %s", errno == ENOMEM ? "no memory" : err.text);
}

static bool to_a_file(void)
{
	struct stat st;

	return !fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode);
}

/* --- opening --------------------------------------------------------------------------------------------------- */

/* As `cat` does: said at once, and the others are read. */
static void on_unopened(void *ctx, u32 i, const struct diag *d)
{
	struct input *in = ctx;
	struct diag told = *d;

	cmd__fail_tape(&told);
	in->missing = true;
	free(in->path[i]);
	free(in->damage[i]);
	in->path[i] = NULL;
}

static int copy_paths(struct input *in, char *const *path, u32 cnt)
{
	in->path = calloc(cnt, sizeof(*in->path));
	in->damage = calloc(cnt, sizeof(*in->damage));
	if (!in->path || !in->damage)
		return -ENOMEM;
	for (; in->cnt < cnt; in->cnt++) {
		in->path[in->cnt] = strdup(path[in->cnt]);
		in->damage[in->cnt] = calloc(1, sizeof(struct input_damage));
		if (!in->path[in->cnt] || !in->damage[in->cnt]) {
			free(in->path[in->cnt]);
			free(in->damage[in->cnt]);
			return -ENOMEM;
		}
	}
	return 0;
}

/* A descriptor for each; the usual limit is made for programs that use select(2). */
static void raise_limit(u32 files)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur > files + 64)
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

static int open_tapes(struct input *in, struct diag *d)
{
	__free_ptr struct tape_reader_ops *ops = calloc(in->cnt, sizeof(*ops));
	struct tape_merge_opts mo = { .ops = ops, .unopened = on_unopened, .ctx = in };
	bool no_values = in->opts.no_values && !(in->expr && expr__asks_fields(in->expr));
	u32 i, k = 0;
	int err;

	if (!ops)
		return diag__set(d, -ENOMEM, "no memory for reading %u tapes", in->cnt);
	for (i = 0; i < in->cnt; i++)
		ops[i] = (struct tape_reader_ops){ .defect = on_defect, .ctx = in->damage[i], .no_values = no_values };
	raise_limit(in->cnt * 2); /* read twice, they are open twice */
	err = tape_merge__open(in->path, in->cnt, &mo, &in->merge, d);
	for (i = 0; i < in->cnt; i++)
		if (in->path[i]) {
			in->damage[k] = in->damage[i];
			in->path[k++] = in->path[i];
		}
	in->cnt = k;
	return err;
}

int input__open(char *const *path, u32 cnt, const struct input_opts *o, struct input **out, struct diag *d)
{
	struct input *in = calloc(1, sizeof(*in));
	int err;

	if (!in)
		return diag__set(d, -ENOMEM, "no memory for reading %u tapes", cnt);
	in->opts = *o;
	err = copy_paths(in, path, cnt);
	if (err)
		diag__set(d, err, "no memory for reading %u tapes", cnt);
	err = err ?: parse_filter(in, d) ?: open_tapes(in, d) ?: plan_readings(in, d);
	progress__init(&in->progress, o->quiet || (o->streaming && !to_a_file()));
	err = err ?: prepare_cut(in, d);
	if (!err && needs_judge(in))
		err = judge_spans(in, d);
	if (err) {
		progress__clear(&in->progress);
		input__free(in);
		return err;
	}
	*out = in;
	return 0;
}

void input__free(struct input *in)
{
	u32 i;

	if (!in)
		return;
	filter__free(in->filter);
	judge__free(in->judge);
	expr__free(in->expr);
	window__free(in->window);
	tape_merge__free(in->merge);
	for (i = 0; i < in->cnt; i++) {
		free(in->path[i]);
		free(in->damage[i]);
	}
	free(in->path);
	free(in->damage);
	free(in);
}

static int filter_in_front(struct input *in, struct sink *sink)
{
	if (!in->expr)
		return 0;
	in->filter = filter__new(in->expr, in->judge, sink);
	if (!in->filter)
		return -ENOMEM;
	*sink = filter__sink(in->filter);
	return 0;
}

/* What lies before the cut goes into the window alone, which keeps what is alive; then it begins to pass on. */
static int begin_cut(struct input *in, struct sink *sink)
{
	struct sink to = *sink;
	int more, err;

	/* where a damaged tape's clock goes back, two calls in one would be moved into the window as one */
	*sink = window__sink(in->window);
	in->steps = *sink->ops;
	in->steps.span_begin = NULL;
	in->steps.span_end = NULL;
	sink->ops = &in->steps;
	while ((more = tape_merge__run_to(in->merge, sink, in->from_ns, CUT_RECORDS)) == TAPE_MERGE_MORE)
		show_progress(in, in->merge);
	if (more < 0)
		return more;
	if (!more)
		return 0; /* all of it lies before */
	err = window__begin(in->window, &to, in->from_ns);
	if (!err && in->to_ns != UINT64_MAX)
		err = window__end_at(in->window, in->to_ns);
	return err ? err : 1;
}

/* Behind the cut: the rest of the tape is not read. */
static bool is_over(const struct input *in)
{
	return in->window && in->to_ns != UINT64_MAX && !window__is_open(in->window) &&
	       window__last_ns(in->window) >= in->to_ns;
}

int input__run(struct input *in, const struct sink *to, int (*keep_on)(void *ctx), void *ctx)
{
	struct sink sink = *to;
	int more = 1, err = filter_in_front(in, &sink);

	if (err)
		return err;
	if (in->window)
		more = begin_cut(in, &sink);
	while (more > 0 && err >= 0 && !is_over(in)) {
		more = tape_merge__run(in->merge, &sink, CHUNK_BYTES);
		show_progress(in, in->merge);
		if (keep_on)
			err = keep_on(ctx);
	}
	progress__clear(&in->progress);
	return more < 0 ? more : err < 0 ? err : 0;
}

u32 input__cnt(const struct input *in)
{
	return in->cnt;
}

const char *input__path(const struct input *in, u32 i)
{
	return in->path[i];
}

const struct tape_reader *input__reader(const struct input *in, u32 i)
{
	return tape_merge__reader(in->merge, i);
}

s64 input__unix_ns(void *in, u64 time_ns)
{
	return tape_merge__unix_ns(((struct input *)in)->merge, time_ns);
}

u64 input__start_ns(const struct input *in)
{
	u64 base = tape_merge__time_ns(in->merge, tape_reader__intro(input__reader(in, 0))->base_unix_ns);

	return MAX(base, in->from_ns);
}

u64 input__cut_ns(const struct input *in)
{
	return in->from_ns;
}

/* Defects of content are reported and repaired; where bytes were skipped, what was read is not whole. */
static int report_one(const char *path, const struct input_damage *dm)
{
	struct diag d = {};

	if (!dm->all)
		return EXIT_DONE;
	diag__set(&d, 0, "%s: %" PRIu64 " defect%s, the first at byte %" PRIu64 ": %s", path, dm->all, dm->all > 1 ? "s" : "",
		  dm->first.offset, dm->first.text);
	diag__hint(&d, "`tapebpf verify` lists them; what could be read has been used");
	cmd__fail(EXIT_FAILED, &d);
	return dm->cnt[TAPE_DEFECT_LENGTH] || dm->cnt[TAPE_DEFECT_TORN] || dm->cnt[TAPE_DEFECT_CHECKSUM] ? EXIT_FAILED :
													    EXIT_DONE;
}

int input__report(const struct input *in)
{
	int status = in->missing ? EXIT_FAILED : EXIT_DONE, one;
	u32 i;

	for (i = 0; i < in->cnt; i++) {
		one = report_one(in->path[i], in->damage[i]);
		status = MAX(status, one);
	}
	return status;
}
