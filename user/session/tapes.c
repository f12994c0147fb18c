/* SPDX-License-Identifier: MIT */
#include "session/tapes.h"

#include "tape/tape_sink.h"
#include "tape/tape_writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct tape {
	struct tape_writer *writer;
	struct tape_sink *sink;
	struct sink call;
	const struct process *only; /* NULL: everything */
	char *path;
	u64 bytes; /* once closed, as is the next */
	int error;
};

/* A tape of before a turn. */
struct earlier {
	char *path;
	u64 bytes;
};

struct tapes {
	struct tapes_opts opts;
	struct earlier *earlier;
	u32 earlier_cnt;
	char *path;
	struct clock_pair base;
	struct tape *tape;
	u32 cnt, cap;
	int error;
};

/* A process's tapes go on in one another, and not in those of others: their recording is this one and the process's number. */
static struct tape_part part_of(const struct tapes *t, const struct process *only)
{
	struct tape_part part = t->opts.part;
	u64 tail;

	if (only) {
		memcpy(&tail, part.recording + sizeof(part.recording) - sizeof(tail), sizeof(tail));
		tail ^= only->uid;
		memcpy(part.recording + sizeof(part.recording) - sizeof(tail), &tail, sizeof(tail));
	}
	return part;
}

static int tape__open(struct tapes *t, const char *path, const struct process *only, struct diag *d)
{
	struct tape_writer_opts wo = { .sz = sizeof(wo), .chapter_bytes = t->opts.chapter_bytes,
				       .base_unix_ns = t->base.real_ns, .base_mono_ns = t->base.mono_ns,
				       .force = t->opts.force,
				       .grown = t->opts.grown, .mark_bytes = t->opts.mark_bytes };
	struct tape_part part = part_of(t, only);
	struct tape *tape;
	int err;

	if (t->cnt == t->cap) {
		u32 cap = t->cap ? t->cap * 2 : 4;
		struct tape *grown = realloc(t->tape, cap * sizeof(*grown));

		if (!grown)
			return diag__set(d, -ENOMEM, "not enough memory");
		t->tape = grown;
		t->cap = cap;
	}
	tape = &t->tape[t->cnt];
	memset(tape, 0, sizeof(*tape));
	err = tape_writer__open(path, &wo, &tape->writer, d);
	if (err)
		return err;
	tape->sink = tape_sink__new_part(tape->writer, only, &part);
	tape->path = strdup(tape_writer__path(tape->writer));
	if (!tape->sink || !tape->path) {
		tape_sink__free(tape->sink);
		free(tape->path);
		tape_writer__close(tape->writer, NULL);
		return diag__set(d, -ENOMEM, "not enough memory");
	}
	tape->only = only;
	tape->call = tape_sink__sink(tape->sink);
	t->cnt++;
	return tape_sink__clocks(tape->sink, t->base.mono_ns, t->base.real_ns, t->base.boot_ns);
}

/* "name.tape" and 4711 -> "name-4711.tape" */
static char *split_path(const char *path, u32 pid)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
	char *out = NULL;
	int stem;

	if (!dot || dot == path || (slash && dot <= slash + 1))
		dot = path + strlen(path);
	stem = (int)(dot - path);
	return asprintf(&out, "%.*s-%u%s", stem, path, pid, dot) < 0 ? NULL : out;
}

int tapes__open(const struct tapes_opts *o, const struct clock_pair *now, struct tapes **out, struct diag *d)
{
	struct tapes *t = calloc(1, sizeof(*t));
	int err = 0;

	if (!t)
		return diag__set(d, -ENOMEM, "not enough memory");
	t->opts = *o;
	t->base = *now;
	t->path = strdup(o->path);
	if (!t->path)
		err = diag__set(d, -ENOMEM, "not enough memory");
	if (!err && !o->split)
		err = tape__open(t, o->path, NULL, d);
	if (err) {
		tapes__free(t);
		return err;
	}
	*out = t;
	return 0;
}

/* --- the sink: every call goes to every tape, which takes what is its own ------------------------------------ */

static int remember(struct tapes *t, int err)
{
	if (err < 0 && !t->error)
		t->error = err;
	return err;
}

#define EACH(t, op, ...)                                                                       \
	({                                                                                     \
		struct tapes *each_t = (t);                                                    \
		int each_err = 0;                                                              \
		for (u32 each_i = 0; each_i < each_t->cnt; each_i++) {                         \
			struct sink *each_s = &each_t->tape[each_i].call;                      \
			int each_e = each_s->ops->op ? each_s->ops->op(each_s->ctx, __VA_ARGS__) : 0; \
			each_err = each_err ? each_err : each_e;                               \
		}                                                                              \
		remember(each_t, each_err);                                                    \
	})

static int on_callsite(void *ctx, struct callsite *c)
{
	return EACH(ctx, callsite, c);
}

static int on_process(void *ctx, struct process *p)
{
	struct tapes *t = ctx;
	bool known = !t->opts.split;
	struct diag d;

	for (u32 i = 0; i < t->cnt && !known; i++)
		known = t->tape[i].only == p;
	if (!known) {
		__free_ptr char *path = split_path(t->path, p->pid);
		int err = path ? tape__open(t, path, p, &d) : -ENOMEM;

		if (err)
			return remember(t, err);
		process__hold(p); /* as long as we are */
	}
	return EACH(t, process, p);
}

static int on_process_end(void *ctx, struct process *p, u64 time_ns, u32 status, bool known)
{
	return EACH(ctx, process_end, p, time_ns, status, known);
}

static int on_thread(void *ctx, struct thread *th)
{
	return EACH(ctx, thread, th);
}

static int on_thread_end(void *ctx, struct thread *th, u64 time_ns)
{
	return EACH(ctx, thread_end, th, time_ns);
}

static int on_span_open(void *ctx, const struct span_open *o)
{
	return EACH(ctx, span_open, o);
}

static int on_span_enter(void *ctx, u64 span, struct thread *th, u64 time_ns)
{
	return EACH(ctx, span_enter, span, th, time_ns);
}

static int on_span_exit(void *ctx, u64 span, struct thread *th, u64 time_ns, enum sink_why why)
{
	return EACH(ctx, span_exit, span, th, time_ns, why);
}

static int on_span_close(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why)
{
	return EACH(ctx, span_close, span, time_ns, dropped_ns, why);
}

static int on_span_value(void *ctx, u64 span, const struct callsite *c, const struct value *v,
			 struct thread *th, u64 time_ns)
{
	return EACH(ctx, span_value, span, c, v, th, time_ns);
}

static int on_span_follows(void *ctx, u64 span, u64 follows, struct thread *th, u64 time_ns)
{
	return EACH(ctx, span_follows, span, follows, th, time_ns);
}

static int on_event(void *ctx, const struct event *e)
{
	return EACH(ctx, event, e);
}

static int on_loss(void *ctx, const struct loss *l)
{
	return EACH(ctx, loss, l);
}

static int on_trigger(void *ctx, const struct sink_trigger *g)
{
	return EACH(ctx, trigger, g);
}

static const struct sink_ops ops = {
	.callsite = on_callsite, .process = on_process, .process_end = on_process_end,
	.thread = on_thread, .thread_end = on_thread_end, .span_open = on_span_open,
	.span_enter = on_span_enter, .span_exit = on_span_exit, .span_close = on_span_close,
	.span_value = on_span_value, .span_follows = on_span_follows, .event = on_event, .loss = on_loss,
	.trigger = on_trigger,
};

struct sink tapes__sink(struct tapes *t)
{
	/* one tape, nothing to spread: leave the detour out of the hot path */
	if (t->cnt == 1 && !t->opts.split)
		return t->tape[0].call;
	return (struct sink){ .ops = &ops, .ctx = t };
}

void tapes__publish(struct tapes *t)
{
	for (u32 i = 0; i < t->cnt; i++)
		tape_writer__publish(t->tape[i].writer);
}

void tapes__clocks(struct tapes *t, const struct clock_pair *p)
{
	for (u32 i = 0; i < t->cnt; i++)
		remember(t, tape_sink__clocks(t->tape[i].sink, p->mono_ns, p->real_ns, p->boot_ns));
}

u64 tapes__bytes(const struct tapes *t)
{
	u64 bytes = tapes__open_bytes(t);

	for (u32 i = 0; i < t->earlier_cnt; i++)
		bytes += t->earlier[i].bytes;
	return bytes;
}

u64 tapes__open_bytes(const struct tapes *t)
{
	u64 bytes = 0;

	for (u32 i = 0; i < t->cnt; i++)
		bytes += t->tape[i].writer ? tape_writer__bytes(t->tape[i].writer) : t->tape[i].bytes;
	return bytes;
}

int tapes__error(const struct tapes *t)
{
	int err = t->error;

	for (u32 i = 0; i < t->cnt && !err; i++)
		err = t->tape[i].writer ? tape_writer__error(t->tape[i].writer) : t->tape[i].error;
	return err;
}

int tapes__close(struct tapes *t, u64 now_ns, u64 emitted, u64 stored, u64 lost, struct diag *d)
{
	int first = 0;

	for (u32 i = 0; i < t->cnt; i++) {
		struct tape *tape = &t->tape[i];
		struct diag own = { 0 };
		int err = tape_sink__finish(tape->sink, now_ns, emitted, stored, lost);
		int close_err;

		tape->bytes = tape_writer__bytes(tape->writer);
		close_err = tape_writer__close(tape->writer, &own);
		tape->writer = NULL;
		err = err ? err : close_err;
		tape->error = err;
		if (err && !first) {
			first = err;
			if (own.text[0])
				*d = own;
			else
				diag__set(d, err, "cannot finish %s: %s", tape->path, strerror(-err));
		}
	}
	return first;
}

u32 tapes__cnt(const struct tapes *t)
{
	return t->earlier_cnt + t->cnt;
}

const char *tapes__path(const struct tapes *t, u32 i)
{
	return i < t->earlier_cnt ? t->earlier[i].path : t->tape[i - t->earlier_cnt].path;
}

/* --- one after the other ------------------------------------------------------------------------------------- */

int tapes__inherit(struct tapes *next, struct tapes *t)
{
	u32 cnt = t->earlier_cnt + t->cnt;
	struct earlier *all = realloc(t->earlier, MAX(cnt, 1u) * sizeof(*all));

	next->error = next->error ? next->error : tapes__error(t);
	if (!all)
		return -ENOMEM;
	for (u32 i = 0; i < t->cnt; i++) {
		all[t->earlier_cnt + i] = (struct earlier){ .path = t->tape[i].path, .bytes = t->tape[i].bytes };
		t->tape[i].path = NULL;
	}
	next->earlier = all;
	next->earlier_cnt = cnt;
	t->earlier = NULL;
	t->earlier_cnt = 0;
	return 0;
}

u32 tapes__earlier_cnt(const struct tapes *t)
{
	return t->earlier_cnt;
}

int tapes__drop_oldest(struct tapes *t, struct diag *d)
{
	struct earlier *e = &t->earlier[0];
	int err = 0;

	if (unlink(e->path) && errno != ENOENT)
		err = diag__set(d, -errno, "cannot delete %s, the oldest tape: %s", e->path, strerror(errno));
	free(e->path);
	memmove(e, e + 1, --t->earlier_cnt * sizeof(*e));
	return err;
}

void tapes__free(struct tapes *t)
{
	if (!t)
		return;
	for (u32 i = 0; i < t->cnt; i++) {
		tape_sink__free(t->tape[i].sink);
		if (t->tape[i].writer)
			tape_writer__close(t->tape[i].writer, NULL);
		free(t->tape[i].path);
	}
	for (u32 i = 0; i < t->earlier_cnt; i++)
		free(t->earlier[i].path);
	free(t->earlier);
	free(t->tape);
	free(t->path);
	free(t);
}
