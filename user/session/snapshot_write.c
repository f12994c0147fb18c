/* SPDX-License-Identifier: MIT */
#include "session/snapshot_write.h"

#include "gotrace/gotrace.h"
#include "tape/tape_file.h"
#include "tape/tape_sink.h"
#include "tape/tape_writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int snapshot_format__parse(const char *text, enum snapshot_format *f)
{
	if (!strcmp(text, "tape"))
		*f = SNAPSHOT_TAPE;
	else if (!strcmp(text, "go"))
		*f = SNAPSHOT_GO;
	else
		return -EINVAL;
	return 0;
}

void snapshot__name(char *dst, size_t bytes, const char *exe, enum snapshot_format f)
{
	char *dot;

	tape_writer__default_name(dst, bytes, exe, (s64)clock__ns(CLOCK_REALTIME));
	dot = strrchr(dst, '.');
	if (f == SNAPSHOT_GO && dot)
		snprintf(dot, bytes - (size_t)(dot - dst), ".trace");
}

/* What the clocks showed at a time of the past. */
static struct clock_pair clock__then(const struct clock_pair *now, u64 mono_ns)
{
	u64 back = now->mono_ns - mono_ns;

	return (struct clock_pair){ .mono_ns = mono_ns, .real_ns = now->real_ns - (s64)back, .boot_ns = now->boot_ns - back };
}

/* What a replay's calls are about. */
struct writing {
	struct snapshot_write *w;
	struct tape_sink *sink; /* of the one format */
	struct gotrace *trace;	/* of the other */
};

static void on_left(void *ctx, u32 gen_cnt)
{
	const struct writing *at = ctx;

	__atomic_store_n(&at->w->left, gen_cnt, __ATOMIC_RELEASE);
}

static struct replay_opts options(struct writing *at, int (*finish)(void *ctx, const struct replay_result *r))
{
	const struct snapshot_write *w = at->w;
	struct replay_opts o = { .sz = sizeof(o), .max_spans = w->max_spans, .no_pairs = w->no_pairs, .sigs = w->sigs,
				 .finish = finish, .left = on_left, .ctx = at };
	u64 now = w->snap->at.mono_ns;

	if (w->last_ns && w->last_ns < now)
		o.from_ns = now - w->last_ns;
	return o;
}

/* --- tape ------------------------------------------------------------------------------------------------------------ */

static int open_tape(struct snapshot_write *w, const struct clock_pair *base, struct tape_writer **out)
{
	struct tape_writer_opts wo = { .sz = sizeof(wo), .base_unix_ns = base->real_ns, .base_mono_ns = base->mono_ns };
	int fd = w->fd;

	w->fd = -1;
	if (fd >= 0)
		return tape_writer__open_fd(fd, "the snapshot's file", &wo, out, &w->res.diag);
	return tape_writer__open(w->path, &wo, out, &w->res.diag);
}

static void tell_trigger(const struct snapshot_write *w, const struct sink *to)
{
	struct sink_trigger t = { .time_ns = w->trigger.time_ns, .pid = w->trigger.pid, .tid = w->trigger.tid,
				  .trigger = w->trigger.trigger, .what = w->trigger.what };

	if (w->trigger.trigger && to->ops->trigger)
		to->ops->trigger(to->ctx, &t);
}

static int finish_tape(void *ctx, const struct replay_result *r)
{
	const struct writing *now = ctx;
	const struct clock_pair *at = &now->w->snap->at;

	tape_sink__clocks(now->sink, at->mono_ns, at->real_ns, at->boot_ns);
	if (now->w->cut_off)
		tape_sink__complete(now->sink, MAX(now->w->complete_ns, r->from_ns));
	return tape_sink__finish(now->sink, at->mono_ns, r->emitted, r->stored, r->lost_sum);
}

static int write_tape(struct snapshot_write *w)
{
	struct writing now = { .w = w };
	struct replay_opts ro = options(&now, finish_tape);
	struct clock_pair base = clock__then(&w->snap->at, replay__from_ns(w->snap, &ro));
	struct tape_writer *tw;
	struct tape_sink *ts;
	struct sink to;
	int err = open_tape(w, &base, &tw), e;

	if (err)
		return err;
	snprintf(w->path, sizeof(w->path), "%s", tape_writer__path(tw));
	ts = tape_sink__new(tw, NULL);
	if (!ts) {
		tape_writer__close(tw, NULL);
		return -ENOMEM;
	}
	now.sink = ts;
	to = tape_sink__sink(ts);
	tape_sink__clocks(ts, base.mono_ns, base.real_ns, base.boot_ns);
	tell_trigger(w, &to);
	err = replay__run(w->snap, &ro, &to, &w->res.replay);
	tape_sink__free(ts);
	w->res.bytes = tape_writer__bytes(tw);
	e = tape_writer__close(tw, &w->res.diag);
	return err ? err : e;
}

/* --- Go execution trace ------------------------------------------------------------------------------------------------ */

/*
 * A replay tells things in order of time: nothing needs waiting for but what shows a span to be a task, and beside a ring that goes
 * round memory is short. A generation is half of it at least: 16384 calls, some 100 kB in the file, of which the tables that it repeats
 * are a few hundred bytes and twenty for each thread.
 */
#define GO_HELD_BYTES (1u << 20)

struct go_file {
	int fd;
	u64 bytes;
};

static int go_write(void *ctx, const void *bytes, size_t cnt)
{
	struct go_file *f = ctx;
	int err = tape_file__write(f->fd, bytes, cnt, f->bytes);

	f->bytes += err ? 0 : cnt;
	return err;
}

/* Threads are named when their generation is written, the last one here. */
static int finish_trace(void *ctx, const struct replay_result *r)
{
	const struct writing *now = ctx;

	return gotrace__finish(now->trace);
}

static int write_trace(struct snapshot_write *w, struct go_file *f)
{
	struct writing now = { .w = w };
	struct replay_opts ro = options(&now, finish_trace);
	struct gotrace_opts go = { .sz = sizeof(go), .start_ns = replay__from_ns(w->snap, &ro), .clock = w->snap->at,
				   .held_bytes = GO_HELD_BYTES };
	struct sink to;
	int err;

	now.trace = gotrace__new(&go, go_write, f);
	if (!now.trace)
		return -errno;
	to = gotrace__sink(now.trace);
	tell_trigger(w, &to);
	err = replay__run(w->snap, &ro, &to, &w->res.replay);
	gotrace__free(now.trace);
	w->res.bytes = f->bytes;
	return err;
}

static int write_go(struct snapshot_write *w)
{
	struct tape_file_new nf = { .fd = -1 };
	struct go_file f = { .fd = w->fd };
	char *named = NULL;
	int err = 0;

	if (f.fd < 0) {
		err = tape_file__create(&nf, w->path, false, &w->res.diag);
		f.fd = nf.fd;
	}
	if (!err) {
		err = write_trace(w, &f);
		if (err)
			diag__set(&w->res.diag, err, "writing the trace: %s", strerror(-err));
	}
	if (!err && w->fd < 0)
		err = tape_file__name(&nf, &named, &w->res.diag);
	if (named) {
		snprintf(w->path, sizeof(w->path), "%s", named);
		free(named);
		close(nf.fd);
	} else if (w->fd < 0) {
		tape_file__abandon(&nf);
		w->res.bytes = 0;
	} else {
		close(w->fd);
		w->fd = -1;
	}
	return err;
}

int snapshot__write(struct snapshot_write *w)
{
	return w->format == SNAPSHOT_GO ? write_go(w) : write_tape(w);
}
