/* SPDX-License-Identifier: MIT */
#include "cmd/flame_live.h"

#include "base/clock.h"
#include "base/text.h"
#include "cmd/foreground.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POLL_MS 50

static void on_warn(void *ctx, const char *text)
{
	fputs("tapebpf: warning: ", stderr);
	text__print(stderr, text, strlen(text));
	fputc('\n', stderr);
}

static void tell_loss(const struct session_totals *t)
{
	if (t->lost_sum || t->unaccounted)
		fprintf(stderr,
			"tapebpf: emitted %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64 ": what was lost is missing here\n",
			t->emitted, t->stored, t->lost_sum);
}

static int loop(struct session *s, struct child *child, u64 duration_ns, int (*keep_on)(void *ctx), void *ctx, struct diag *d)
{
	u64 now = clock__mono_ns(), stop_at = duration_ns ? now + duration_ns : UINT64_MAX;
	int err = 0;

	for (; !foreground__over(s, child, now, &stop_at); now = clock__mono_ns()) {
		err = session__run(s, (int)MIN((u64)POLL_MS, (stop_at - now) / NSEC_PER_MSEC + 1));
		if (err && err != -EINTR)
			return diag__set(d, err, "cannot go on recording: %s", strerror(-err));
		err = keep_on(ctx);
		if (err < 0)
			return err;
	}
	return 0;
}

/* How the command ended, where that was not well. */
static void tell_fate(struct child *child)
{
	char fate[64];

	if (child->pid && child__ended(child) && child->status)
		fprintf(stderr, "tapebpf: the command %s\n", child__fate(child, fate, sizeof(fate)));
}

static int record(struct session *s, struct child *child, u64 duration_ns, int (*keep_on)(void *ctx), void *ctx, struct diag *d)
{
	struct session_totals t;
	int err = loop(s, child, duration_ns, keep_on, ctx, d), stop_err;

	stop_err = session__stop(s);
	if (stop_err && !err)
		err = diag__set(d, stop_err, "cannot finish the recording: %s", strerror(-stop_err));
	session__totals(s, &t);
	tell_loss(&t);
	session__tell_sigs(s, true);
	tell_fate(child);
	return err ? err : foreground__no_probes(s, child, d);
}

int flame_live__run(const struct target_opts *o, u64 duration_ns, const struct sink *sink, int (*keep_on)(void *ctx),
		    void *ctx, struct diag *d)
{
	struct session_opts so = { .sz = sizeof(so), .max_text = o->max_text, .follow = o->follow, .immediate = o->immediate,
				   .no_pairs = o->no_pairs, .sigs = o->sigs, .sinks = sink, .sink_cnt = 1, .warn = on_warn };
	struct child child = { .go_fd = -1, .fail_fd = -1 };
	struct session *s = NULL;
	int err = foreground__prepare(&child, o, d);

	if (!err)
		err = session__new(&so, &s, d);
	if (!err)
		err = foreground__attach(s, &child, o, d);
	if (!err)
		session__tell_sigs(s, false);
	if (!err)
		err = record(s, &child, duration_ns, keep_on, ctx, d);
	session__free(s);
	child__done(&child);
	return err;
}
