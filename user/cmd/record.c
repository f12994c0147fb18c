/* SPDX-License-Identifier: MIT */
/* record.c - `tapebpf record`, the default command: running programs to a tape. */
#include "base/procfs.h"
#include "base/text.h"
#include "cmd/child.h"
#include "cmd/cmd.h"
#include "cmd/record_opts.h"
#include "cmd/session.h"
#include "cmd/status.h"
#include "cmd/tapes.h"
#include "tape/tape_writer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define POLL_MS 50
#define CLOCKS_NS (60 * NSEC_PER_SEC)
#define CHILD_GRACE_NS NSEC_PER_SEC /* after Ctrl-C, which the command got too */

struct record {
	struct record_opts opts;
	struct session *session;
	struct tapes *tapes;
	struct child child;
	struct status status;
	bool tape_error_told;
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int sig)
{
	/* the second one is not waited for */
	stop_signal = stop_signal ? SIGQUIT : sig;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	/* a status line into a closed pipe must not kill the recording, nor a tape at the file size limit */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* A descriptor for each file with probes, more where the kernel wants a link a site. */
static void raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

/*
 * Traced programs that keep every CPU busy fill a ring in a quarter of a second. Woken, we have to run soon, and we use
 * little: so we ask for precedence, unless the user has said how nice to be.
 */
#define NICE -10

static void ask_precedence(void)
{
	if (getpriority(PRIO_PROCESS, 0) == 0)
		setpriority(PRIO_PROCESS, 0, NICE); /* not allowed: as it is */
}

/* The text names files of others: their names may hold anything. */
static void say(struct record *r, const char *kind, const char *text)
{
	status__clear(&r->status);
	fprintf(stderr, "tapebpf: %s", kind);
	text__print(stderr, text, strlen(text));
	fputc('\n', stderr);
}

static void on_note(void *ctx, const char *text)
{
	struct record *r = ctx;

	if (r->opts.verbose >= 1)
		say(r, "", text);
}

static void on_warn(void *ctx, const char *text)
{
	say(ctx, "warning: ", text);
}

static void default_path(const struct record *r, char *dst, size_t bytes)
{
	const struct record_opts *o = &r->opts;
	const char *name = o->cmd ? r->child.path : o->binary_cnt ? o->binary[0] : NULL;
	char exe[256];

	if (name)
		snprintf(exe, sizeof(exe), "%s", strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	else
		procfs__exe_name(o->pid[0], exe, sizeof(exe));
	tape_writer__default_name(dst, bytes, exe, (s64)clock__ns(CLOCK_REALTIME));
}

static int open_tapes(struct record *r, struct diag *d)
{
	struct tapes_opts to = { .path = r->opts.output, .chapter_bytes = r->opts.chapter_bytes,
				 .force = r->opts.force, .split = r->opts.split };
	struct clock_pair now;
	char path[512];

	if (!to.path) {
		default_path(r, path, sizeof(path));
		to.path = path;
	}
	clock__pair(&now);
	return tapes__open(&to, &now, &r->tapes, d);
}

static int open_session(struct record *r, struct diag *d)
{
	const struct record_opts *o = &r->opts;
	struct sink sink = tapes__sink(r->tapes);
	struct session_opts so = { .sz = sizeof(so), .ring_bytes = o->ring_bytes, .max_text = o->max_text,
				   .max_spans = o->max_spans, .follow = o->follow, .immediate = o->immediate,
				   .no_pairs = o->no_pairs, .sigs = o->sigs, .sinks = &sink, .sink_cnt = 1,
				   .note = on_note, .warn = on_warn, .ctx = r };

	return session__new(&so, &r->session, d);
}

static int add_targets(struct record *r, struct diag *d)
{
	const struct record_opts *o = &r->opts;
	int err = 0;

	for (u32 i = 0; i < o->pid_cnt && !err; i++)
		err = session__add_pid(r->session, o->pid[i], d);
	for (u32 i = 0; i < o->binary_cnt && !err; i++)
		err = session__add_binary(r->session, o->binary[i], d);
	if (!err && o->cmd)
		err = session__add_child(r->session, (u32)r->child.pid, r->child.path, r->child.libs, d);
	/* The first round says where the recording begins: before anybody is told that it has, and before the command runs. */
	if (!err)
		err = session__run(r->session, 0);
	if (err < 0 && !d->text[0])
		diag__set(d, err, "cannot begin to record: %s", strerror(-err));
	if (!err && o->cmd)
		err = child__go(&r->child, d);
	return err;
}

/* Disk full, I/O error: said once, at once. The recording goes on and counts. */
static void tell_tape_error(struct record *r)
{
	int err = tapes__error(r->tapes);

	if (!err || r->tape_error_told)
		return;
	r->tape_error_told = true;
	status__clear(&r->status);
	fprintf(stderr, "tapebpf: cannot write the tape: %s; counting what is missing from now on\n",
		strerror(-err));
}

static bool finished(struct record *r, u64 now, u64 *stop_at)
{
	bool ended = child__ended(&r->child);

	if (stop_signal == SIGINT && r->child.pid && !ended) {
		/* Ctrl-C went to the command too: its end belongs on the tape */
		if (*stop_at > now + CHILD_GRACE_NS)
			*stop_at = now + CHILD_GRACE_NS;
	} else if (stop_signal) {
		return true;
	}
	if (now >= *stop_at)
		return true;
	/* -b alone waits for processes that are still to come; beside a command it is there to be attached early */
	if (session__forever(r->session) && !r->child.pid)
		return false;
	return !session__targets(r->session);
}

static int loop(struct record *r, struct diag *d)
{
	u64 now = clock__mono_ns(), next_clocks = now + CLOCKS_NS;
	u64 stop_at = r->opts.duration_ns ? now + r->opts.duration_ns : UINT64_MAX;
	struct clock_pair p;
	int err = 0;

	for (; !finished(r, now, &stop_at); now = clock__mono_ns()) {
		err = session__run(r->session, (int)MIN((u64)POLL_MS, (stop_at - now) / NSEC_PER_MSEC + 1));
		if (err == -EINTR)
			continue;
		if (err)
			return diag__set(d, err, "cannot go on recording: %s", strerror(-err));
		tapes__publish(r->tapes);
		tell_tape_error(r);
		status__update(&r->status, r->session, r->tapes);
		if (now >= next_clocks) {
			next_clocks = now + CLOCKS_NS;
			clock__pair(&p);
			tapes__clocks(r->tapes, &p);
		}
	}
	return 0;
}

/* Detach, account, close: also after a failure, so that the tape holds what there is. */
static int finish(struct record *r, struct diag *d)
{
	struct session_totals t;
	struct clock_pair p;
	int err = session__stop(r->session), close_err;

	if (err)
		diag__set(d, err, "cannot finish the recording: %s", strerror(-err));
	clock__pair(&p);
	tapes__clocks(r->tapes, &p);
	session__totals(r->session, &t);
	close_err = tapes__close(r->tapes, clock__mono_ns(), t.emitted, t.stored, t.lost_sum, err ? NULL : d);
	if (!err && !close_err && tapes__error(r->tapes)) {
		close_err = tapes__error(r->tapes);
		diag__set(d, close_err, "the tape is incomplete: %s", strerror(-close_err));
	}
	if (close_err && !err)
		diag__hint(d, "make room, or write elsewhere with -o");
	err = err ? err : close_err;
	status__clear(&r->status);
	if (err)
		cmd__fail(EXIT_FAILED, d);
	child__ended(&r->child); /* its end was seen before it could be waited for */
	/* last of all, whatever happened: emitted = stored + lost */
	status__summary(&r->status, r->session, r->tapes, &r->child, r->opts.verbose < 0);
	return err;
}

static int exit_status(const struct record *r)
{
	struct session_totals t;

	session__totals(r->session, &t);
	if (t.unaccounted)
		return EXIT_FAILED;
	return r->opts.fail_on_loss && t.lost_sum > r->opts.loss_allowed ? EXIT_LOSS : EXIT_DONE;
}

/* Nothing was recorded: leave nothing behind. */
static int give_up(struct record *r, const struct diag *d)
{
	struct diag ignored;

	if (r->tapes) {
		tapes__close(r->tapes, clock__mono_ns(), 0, 0, 0, &ignored);
		for (u32 i = 0; i < tapes__cnt(r->tapes); i++)
			unlink(tapes__path(r->tapes, i));
	}
	return cmd__fail(EXIT_FAILED, d);
}

/* From the first record on: whatever happens, the tape is finished as far as it got. */
static int record(struct record *r)
{
	struct diag d = { 0 }, later = { 0 };
	int err;

	if (r->opts.verbose >= 0 && !r->opts.json)
		fputs("tapebpf: recording\n", stderr);
	err = loop(r, &d);
	if (err) {
		status__clear(&r->status);
		cmd__fail(EXIT_FAILED, &d);
	}
	if (finish(r, &later) || cmd__output_done("the status lines"))
		return EXIT_FAILED;
	return err ? EXIT_FAILED : exit_status(r);
}

static int run(struct record *r)
{
	struct diag d = { 0 };
	int err = 0;

	/* the command first: it must not inherit what is set up for the recorder */
	if (r->opts.cmd)
		err = child__start(&r->child, r->opts.cmd, &d);
	catch_signals();
	raise_limits();
	ask_precedence();
	if (!err)
		err = open_tapes(r, &d);
	if (!err)
		err = open_session(r, &d);
	status__init(&r->status, r->opts.json, r->opts.verbose < 0);
	if (!err)
		err = add_targets(r, &d);
	return err ? give_up(r, &d) : record(r);
}

int cmd_record(int argc, char **argv)
{
	struct record r = { .child = { .go_fd = -1, .fail_fd = -1 } };
	int status;

	if (record_opts__parse(&r.opts, argc, argv, &status))
		return status;
	status = run(&r);
	session__free(r.session);
	tapes__free(r.tapes);
	child__done(&r.child);
	record_opts__done(&r.opts);
	return status;
}
