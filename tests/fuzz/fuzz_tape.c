/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a tape: through the reader into each view of `dump`, and through the auditor. Nothing may crash or run
 * on; what a sink is promised is checked: ids are opened once, exits have entries, all is closed at the end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/idmap.h"
#include "cmd/show.h"
#include "tape/tape_audit.h"
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
		tape_audit__run(path, ignore_defect, NULL, &res, NULL);
	}
	close(fd);
	return 0;
}
