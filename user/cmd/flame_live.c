/* SPDX-License-Identifier: MIT */
#include "cmd/flame_live.h"

#include "base/clock.h"
#include "base/text.h"
#include "cmd/session.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define POLL_MS 50

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
}

static void on_warn(void *ctx, const char *text)
{
	fputs("tapebpf: warning: ", stderr);
	text__print(stderr, text, strlen(text));
	fputc('\n', stderr);
}

static void tell_loss(const struct session *s, const struct session_totals *t)
{
	if (t->lost_sum || t->unaccounted)
		fprintf(stderr,
			"tapebpf: emitted %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64 ": what was lost is missing here\n",
			t->emitted, t->stored, t->lost_sum);
}

static int loop(struct session *s, u64 duration_ns, int (*keep_on)(void *ctx), void *ctx, struct diag *d)
{
	u64 now = clock__mono_ns(), stop_at = duration_ns ? now + duration_ns : UINT64_MAX;
	int err = 0;

	for (; !stopped && now < stop_at && session__targets(s); now = clock__mono_ns()) {
		err = session__run(s, (int)MIN((u64)POLL_MS, (stop_at - now) / NSEC_PER_MSEC + 1));
		if (err && err != -EINTR)
			return diag__set(d, err, "cannot go on recording: %s", strerror(-err));
		err = keep_on(ctx);
		if (err < 0)
			return err;
	}
	return 0;
}

int flame_live__run(const u32 *pid, u32 pid_cnt, u64 duration_ns, const struct sink *sink, int (*keep_on)(void *ctx),
		    void *ctx, struct diag *d)
{
	struct session_opts so = { .sz = sizeof(so), .follow = true, .sinks = sink, .sink_cnt = 1, .warn = on_warn };
	struct sigaction sa = { .sa_handler = on_signal };
	struct session_totals t;
	struct session *s;
	int err, stop_err;
	u32 i;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	err = session__new(&so, &s, d);
	if (err)
		return err;
	for (i = 0; i < pid_cnt && !err; i++)
		err = session__add_pid(s, pid[i], d);
	if (!err)
		err = session__run(s, 0);
	if (err && !d->text[0])
		diag__set(d, err, "cannot begin to record: %s", strerror(-err));
	if (!err) {
		err = loop(s, duration_ns, keep_on, ctx, d);
		stop_err = session__stop(s);
		if (stop_err && !err)
			err = diag__set(d, stop_err, "cannot finish the recording: %s", strerror(-stop_err));
		session__totals(s, &t);
		tell_loss(s, &t);
	}
	session__free(s);
	return err;
}
