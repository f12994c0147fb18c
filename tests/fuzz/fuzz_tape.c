/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a tape: through the reader into each view of `dump`, each style of folded stacks, a chart, statistics, and
 * through the auditor. Nothing may crash or run on; what a sink is promised is checked: ids are opened once, exits have
 * entries, all is closed at the end; the same behind a filter, behind a cut, and of two tapes merged.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/idmap.h"
#include "cmd/show.h"
#include "expr/filter.h"
#include "fold/chart.h"
#include "fold/fold.h"
#include "fold/folded.h"
#include "fold/graph.h"
#include "fold/site_stats.h"
#include "model/window.h"
#include "tape/tape_audit.h"
#include "tape/tape_merge.h"
#include "tape/tape_reader.h"

struct promise {
	struct idmap open; /* span -> entries + 1 */
};

#define PROMISED(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "broken promise: %s\n", #x); \
			abort(); \
		} \
	} while (0)

static int on_open(void *ctx, const struct span_open *o)
{
	struct promise *p = ctx;
	u32 i;

	PROMISED(!idmap__find(&p->open, o->span));
	PROMISED(!o->parent || idmap__find(&p->open, o->parent));
	for (i = 0; i < o->value_cnt; i++)
		PROMISED(o->value[i].field < o->callsite->field_cnt);
	PROMISED(idmap__put(&p->open, o->span, (void *)1) == 0);
	return 0;
}

static int on_enter(void *ctx, u64 span, struct thread *t, u64 time_ns)
{
	struct promise *p = ctx;
	uintptr_t n = (uintptr_t)idmap__find(&p->open, span);

	PROMISED(n && t && t->process && t->name);
	idmap__put(&p->open, span, (void *)(n + 1));
	return 0;
}

static int on_exit_span(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why)
{
	struct promise *p = ctx;
	uintptr_t n = (uintptr_t)idmap__find(&p->open, span);

	PROMISED(n > 1 && t);
	idmap__put(&p->open, span, (void *)(n - 1));
	return 0;
}

static int on_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	struct promise *p = ctx;

	PROMISED(idmap__remove(&p->open, span) == (void *)1);
	return 0;
}

static int on_value(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t, u64 time_ns)
{
	struct promise *p = ctx;

	PROMISED(idmap__find(&p->open, span) && v->field < c->field_cnt);
	return 0;
}

static int on_event(void *ctx, const struct event *e)
{
	struct promise *p = ctx;
	u32 i;

	PROMISED(e->callsite && e->thread && (!e->parent || idmap__find(&p->open, e->parent)));
	for (i = 0; i < e->value_cnt; i++)
		PROMISED(e->value[i].field < e->callsite->field_cnt);
	return 0;
}

static const struct sink_ops promises = {
	.span_open = on_open, .span_enter = on_enter, .span_exit = on_exit_span, .span_close = on_close,
	.span_value = on_value, .event = on_event,
};

static s64 unix_ns(void *ctx, u64 time_ns)
{
	return tape_reader__unix_ns(ctx, time_ns);
}

static void through_view(const char *path, FILE *out, int (*make)(struct view *, const struct show *))
{
	struct show show = { .out = out, .color = true, .spans = true, .threads = true, .max_nodes = 50, .unix_ns = unix_ns };
	struct tape_reader *r;
	struct view v;

	if (tape_reader__open(path, NULL, &r, NULL) < 0)
		return;
	show.ctx = r;
	if (make(&v, &show) == 0) {
		tape_reader__run(r, &v.sink, 0);
		if (v.finish)
			v.finish(v.sink.ctx);
		v.free(v.sink.ctx);
	}
	tape_reader__free(r);
}

/* --- what folds -------------------------------------------------------------------------------------------- */

static void into(const char *path, const struct sink *sink)
{
	struct tape_reader *r;

	if (tape_reader__open(path, NULL, &r, NULL) < 0)
		return;
	tape_reader__run(r, sink, 0);
	tape_reader__free(r);
}

static void through_fold(const char *path, FILE *out, const struct fold_opts *o)
{
	struct stacks *s = stacks__new();
	struct fold *f = s ? fold__new(o, s) : NULL;
	struct folded_form form = { .separator = ";" };
	struct page_opts page;
	struct sink sink;

	page_opts__defaults(&page);
	if (f) {
		sink = fold__sink(f);
		into(path, &sink);
		PROMISED(stacks__index(s) == 0);
		folded__write(out, &form, s);
		graph__write(out, &page, s, false, true);
	}
	fold__free(f);
	stacks__free(s);
}

static void through_folds(const char *path, FILE *out)
{
	struct fold_opts o;
	u32 i;

	for (i = FOLD_STACK; i <= FOLD_TRACE_TOOLS; i++) {
		fold_opts__defaults(&o, i);
		through_fold(path, out, &o);
	}
	for (i = FOLD_BUSY; i <= FOLD_COUNT; i++) {
		fold_opts__defaults(&o, FOLD_STACK);
		o.weight = i;
		o.threads = o.processes = true;
		o.label = "n";
		through_fold(path, out, &o);
	}
}

static void through_chart(const char *path, FILE *out)
{
	struct stacks *s = stacks__new();
	struct page_opts page;
	struct fold_opts o;
	struct sink sink;
	struct fold *f;

	fold_opts__defaults(&o, FOLD_STACK);
	page_opts__defaults(&page);
	o.chart = chart__new(s);
	f = fold__new(&o, s);
	sink = fold__sink(f);
	into(path, &sink);
	chart__write(out, &page, o.chart);
	fold__free(f);
	chart__free(o.chart);
	stacks__free(s);
}

static void through_stats(const char *path)
{
	struct stats *st = stats__new("n");
	struct sink sink = stats__sink(st);
	struct stats_group *g;
	struct tape_reader *r;

	if (tape_reader__open(path, NULL, &r, NULL) == 0) {
		tape_reader__run(r, &sink, 0);
		for (g = stats__groups(st); g; g = g->next) {
			/* a damaged tape may use one callsite for both kinds */
			PROMISED(g->open + g->duration.cnt <= g->cnt);
			PROMISED(sketch__quantile(&g->duration, 0.25) <= sketch__quantile(&g->duration, 0.75));
		}
		stats__free(st);
		tape_reader__free(r);
		return;
	}
	stats__free(st);
}

/* --- what stands in front of a sink ------------------------------------------------------------------------ */

static void keeps_promises(const char *path, const struct sink *front, struct promise *p)
{
	into(path, front);
	PROMISED(p->open.cnt == 0);
	idmap__done(&p->open);
}

static struct judge *judge_all(const char *path, struct expr *e)
{
	struct judge *j = judge__new(e);
	struct sink sink = judge__sink(j);
	struct tape_reader *r;

	if (tape_reader__open(path, NULL, &r, NULL) == 0) {
		tape_reader__run(r, &sink, 0);
		tape_reader__free(r);
	}
	expr__forget(e);
	return j;
}

/* By the values of the opening, or by a judge that has read the tape before. */
static void through_filter(const char *path, bool twice)
{
	static const char text[] = "level>=info and not n==3 and (busy<5ns or duration>2ns or a~x)";
	struct expr *e = expr__new(text, strlen(text), NULL);
	struct promise p = {};
	struct sink to = { &promises, &p }, sink;
	struct judge *j = twice ? judge_all(path, e) : NULL;
	struct filter *f = filter__new(e, j, &to);

	sink = filter__sink(f);
	keeps_promises(path, &sink, &p);
	filter__free(f);
	judge__free(j);
	expr__free(e);
}

/* From a third of the records to two thirds. */
static void through_window(const char *path, u64 from_ns, u64 to_ns)
{
	struct window *w = window__new(NULL);
	struct promise p = {};
	struct sink to = { &promises, &p }, sink = window__sink(w);
	struct tape_reader *r;
	u64 at;

	if (tape_reader__open(path, NULL, &r, NULL) < 0)
		return window__free(w);
	while (tape_reader__peek(r, &at) > 0 && at < from_ns)
		tape_reader__run(r, &sink, 1);
	window__begin(w, &to, from_ns);
	window__end_at(w, to_ns);
	tape_reader__run(r, &sink, 0);
	window__end(w, window__last_ns(w));
	PROMISED(p.open.cnt == 0);
	idmap__done(&p.open);
	window__free(w);
	tape_reader__free(r);
}

static void through_merge(const char *path)
{
	char *const paths[] = { (char *)path, (char *)path };
	struct promise p = {};
	struct sink sink = { &promises, &p };
	struct tape_merge *m;

	if (tape_merge__open(paths, 2, NULL, &m, NULL) < 0)
		return;
	tape_merge__run(m, &sink, 0);
	PROMISED(p.open.cnt == 0);
	idmap__done(&p.open);
	tape_merge__free(m);
}

static void ignore_defect(void *ctx, const struct tape_defect *d)
{
	PROMISED((u32)d->kind < TAPE_DEFECT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *out;
	struct tape_audit_result res;
	struct promise p = {};
	struct sink sink = { &promises, &p };
	struct tape_reader *r;
	char path[64];
	int fd = memfd_create("tape", MFD_CLOEXEC);

	if (!out)
		out = fopen("/dev/null", "w");
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (tape_reader__open(path, NULL, &r, NULL) == 0) {
		tape_reader__run(r, &sink, 0);
		PROMISED(p.open.cnt == 0);
		tape_reader__free(r);
		idmap__done(&p.open);
		through_view(path, out, view__text);
		through_view(path, out, view__tree);
		through_view(path, out, view__json);
		through_folds(path, out);
		through_chart(path, out);
		through_stats(path);
		through_filter(path, false);
		through_filter(path, true);
		through_window(path, 1ULL << 63, (1ULL << 63) + 1500);
		through_window(path, (1ULL << 63) + 15, UINT64_MAX);
		through_merge(path);
		tape_audit__run(path, &(struct tape_audit_ops){ .defect = ignore_defect }, &res, NULL);
	}
	close(fd);
	return 0;
}
