/* SPDX-License-Identifier: MIT */
/* flight_cmd.c - `tapebpf flight`: the newest records of running programs, kept in memory, written when they are wanted. */
#include "base/close_aside.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/flight_opts.h"
#include "cmd/flight_report.h"
#include "cmd/flight_triggers.h"
#include "cmd/foreground.h"
#include "session/control.h"
#include "session/session.h"
#include "session/snapshots.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define POLL_MS 50
#define LAST_ASK_NS (2 * NSEC_PER_SEC)

struct flight_cmd {
	struct flight_cmd_opts opts;
	struct session *session;
	struct snapshots *snapshots;
	struct trigger_set *set; /* the triggers' own */
	struct flight_triggers *triggers;
	struct control *control;
	struct ring_dir *dir;
	struct child child;
	char exe[256];
	u64 start_ns;
	bool failed; /* a snapshot of our own */
	bool stuck;  /* a thread of ours does not come back: what it uses is not freed */
	u64 last_ask_ns; /* at the end */
};

static void say(const char *kind, const char *text)
{
	fprintf(stderr, "tapebpf: %s", kind);
	text__print(stderr, text, strlen(text)); /* names files of others: they may hold anything */
	fputc('\n', stderr);
}

static void on_note(void *ctx, const char *text)
{
	struct flight_cmd *f = ctx;

	if (f->opts.verbose >= 1)
		say("", text);
}

static void on_warn(void *ctx, const char *text)
{
	say("warning: ", text);
}

/* --- snapshots that nobody outside asked for ------------------------------------------------------------------------ */

static void tell_own(void *ctx, const struct snapshot_result *r)
{
	struct flight_cmd *f = ctx;
	char text[512];

	if (r->err) {
		f->failed = true;
		cmd__fail(EXIT_FAILED, &r->diag);
		return;
	}
	if (f->opts.verbose < 0 && !r->replay.unaccounted)
		return;
	fputs("tapebpf: snapshot ", stderr);
	text__print(stderr, r->path, strlen(r->path));
	fprintf(stderr, ": %s%s\n", flight_report__snapshot(r, text, sizeof(text)),
		r->replay.whole ? "" : "; its last moment is there of some threads only");
}

static void on_own_done(void *ctx, const struct snapshot_result *r)
{
	struct flight_cmd *f = ctx;

	tell_own(f, r);
	flight_triggers__keep(f->triggers, r);
}

static void take_own(struct flight_cmd *f, const char *why)
{
	struct snapshot_request req = { .fd = -1, .format = f->opts.format, .done = on_own_done, .ctx = f };
	int err = snapshots__ask(f->snapshots, &req);

	if (!err)
		return;
	f->failed = true;
	fprintf(stderr, "tapebpf: cannot take a snapshot (%s): %s\n", why, strerror(-err));
}

/* --- requests ------------------------------------------------------------------------------------------------------- */

static void answer_error(struct client *c, const struct diag *d)
{
	char text[1200];
	int n = snprintf(text, sizeof(text), "error %s\n", d->text);

	if (d->hint[0] && n < (int)sizeof(text))
		n += snprintf(text + n, sizeof(text) - (size_t)n, "try %s\n", d->hint);
	control__answer(c, text, MIN((size_t)n, sizeof(text) - 1));
}

/* A file that its owner lets us write: a regular one, so that writing never waits for somebody. */
static int check_file(int fd, struct diag *d)
{
	struct statx st;
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (fd < 0)
		return diag__set(d, -EINVAL, "a snapshot needs the descriptor of a file to go to");
	/* as it was last known: a file system that does not answer is not to be asked on this thread */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &st) || !S_ISREG(st.stx_mode))
		return diag__set(d, -EINVAL, "a snapshot goes to a regular file");
	/* reading: whoever asks for the same meanwhile gets a copy */
	if (flags < 0 || (flags & O_ACCMODE) != O_RDWR || flags & O_APPEND || st.stx_size)
		return diag__set(d, -EINVAL, "a snapshot goes to an empty file that is open for reading and writing");
	return 0;
}

static void on_asked_done(void *ctx, const struct snapshot_result *r)
{
	char text[2048];

	if (r->err)
		answer_error(ctx, &r->diag);
	else
		control__answer(ctx, text, flight_report__answer(r, text, sizeof(text)));
}

static void request_snapshot(struct flight_cmd *f, struct client *c, const char *text, int fd)
{
	struct snapshot_request req = { .fd = fd, .done = on_asked_done, .ctx = c };
	char value[64], *end;
	struct diag d = { 0 };
	int err = check_file(fd, &d);

	if (!err && control__get(text, "last_ns", value, sizeof(value))) {
		errno = 0;
		req.last_ns = strtoull(value, &end, 10);
		if (errno || *end || value[0] < '0' || value[0] > '9' || !req.last_ns)
			err = diag__set(&d, -EINVAL, "not a time: last_ns %s", value);
	}
	if (!err && control__get(text, "format", value, sizeof(value)) && snapshot_format__parse(value, &req.format))
		err = diag__set(&d, -EINVAL, "no such format: %s", value);
	if (!err) {
		err = snapshots__ask(f->snapshots, &req);
		fd = -1;
		if (err)
			diag__set(&d, err, "too many snapshots are waiting");
	}
	if (!err)
		return;
	close_aside(fd);
	answer_error(c, &d);
}

static void request_info(struct flight_cmd *f, struct client *c)
{
	char text[512], exe[sizeof(f->exe)];
	int n = snprintf(text, sizeof(text), "ok\nexe %s\n", text__file_name(exe, sizeof(exe), f->exe, strlen(f->exe)));

	control__answer(c, text, (size_t)n);
}

static void request_status(struct flight_cmd *f, struct client *c)
{
	size_t bytes = 0;
	struct diag d;
	char *text;

	session__look(f->session); /* what fails is told by the next round */
	text = flight_report__status(f->session, f->snapshots, f->triggers, f->start_ns, &bytes);
	if (text) {
		control__answer(c, text, bytes);
	} else {
		diag__set(&d, -ENOMEM, "not enough memory");
		answer_error(c, &d);
	}
	free(text);
}

static void on_request(void *ctx, struct client *c, const char *text, int fd)
{
	struct flight_cmd *f = ctx;
	size_t verb = strcspn(text, "\n");
	struct diag d = { 0 };

	if (verb == 8 && !memcmp(text, "snapshot", 8)) {
		request_snapshot(f, c, text, fd);
		return;
	}
	close_aside(fd);
	if (verb == 4 && !memcmp(text, "info", 4)) {
		request_info(f, c);
	} else if (verb == 6 && !memcmp(text, "status", 6)) {
		request_status(f, c);
	} else {
		diag__set(&d, -EINVAL, "not a request that this recorder knows");
		answer_error(c, &d);
	}
}

static void on_gone(void *ctx, struct client *c)
{
	struct flight_cmd *f = ctx;

	snapshots__forget(f->snapshots, c);
}

static int on_watch(void *ctx, int fd)
{
	struct flight_cmd *f = ctx;

	return session__watch(f->session, fd);
}

/* --- life ----------------------------------------------------------------------------------------------------------- */

static void on_process_end(void *ctx, const struct wire_life *l)
{
	struct flight_cmd *f = ctx;

	if (f->set)
		trigger_set__process_end(f->set, l->head.pid, l->comm, l->status, !(l->flags & WIRE_LIFE_UNKNOWN), l->head.time_ns);
}

static int open_triggers(struct flight_cmd *f, struct diag *d)
{
	struct expr_error e;
	int err = 0;

	f->triggers = flight_triggers__new(&f->opts.policy, f->opts.format);
	if (!f->triggers)
		return diag__set(d, -ENOMEM, "not enough memory");
	if (!f->opts.on_cnt)
		return 0;
	f->set = trigger_set__new(flight_triggers__fired, f->triggers);
	for (u32 i = 0; f->set && i < f->opts.on_cnt && !err; i++)
		err = trigger_set__add(f->set, f->opts.on[i], &e);
	if (!f->set || err)
		return diag__set(d, -ENOMEM, "not enough memory for the triggers");
	flight_triggers__watch(f->triggers, f->set);
	flight_triggers__warn(f->triggers, on_warn, f);
	return 0;
}

static int open_session(struct flight_cmd *f, struct diag *d)
{
	const struct flight_cmd_opts *o = &f->opts;
	struct flight_opts fo = { .sz = sizeof(fo), .size_bytes = o->size_bytes, .period_ns = o->period_ns,
				  .generation_ns = o->generation_ns, .dir = f->dir };
	struct session_opts so = { .sz = sizeof(so), .ring_bytes = o->ring_bytes, .max_text = o->target.max_text,
				   .max_spans = o->max_spans, .follow = o->target.follow, .immediate = o->target.immediate,
				   .no_pairs = o->target.no_pairs, .sigs = o->target.sigs, .flight = &fo,
				   .process_end = on_process_end, .note = on_note, .warn = on_warn, .ctx = f };
	struct snapshots_opts no = { .dir = o->output_dir, .exe = f->exe, .max_spans = o->max_spans,
				     .no_pairs = o->target.no_pairs, .sigs = o->target.sigs };
	struct sink sink;
	int err;

	if (f->set && trigger_set__needs_decoding(f->set)) {
		sink = trigger_set__sink(f->set);
		so.sinks = &sink;
		so.sink_cnt = 1;
	}
	err = session__new(&so, &f->session, d);
	if (err)
		return err;
	no.session = f->session;
	f->snapshots = snapshots__new(&no);
	if (!f->snapshots)
		return diag__set(d, -ENOMEM, "not enough memory");
	flight_triggers__begin(f->triggers, f->snapshots, tell_own, f);
	return session__watch(f->session, snapshots__fd(f->snapshots));
}

static int open_control(struct flight_cmd *f, struct diag *d)
{
	struct control_ops ops = { .request = on_request, .gone = on_gone, .watch = on_watch, .ctx = f };
	const char *path = f->opts.socket;
	char by_name[256];
	int err = 0;

	if (!path) {
		err = control__path(f->opts.name, by_name, sizeof(by_name), d);
		path = by_name;
	}
	return err ? err : control__listen(path, &ops, &f->control, d);
}

static int check_dir(const struct flight_cmd *f, struct diag *d)
{
	const char *dir = f->opts.output_dir ? f->opts.output_dir : ".";
	struct stat st;

	if (!stat(dir, &st) && S_ISDIR(st.st_mode) && !access(dir, W_OK))
		return 0;
	diag__set(d, -ENOTDIR, "snapshots cannot be written to %s: %s", dir, errno ? strerror(errno) : "not a directory");
	diag__hint(d, "another folder with --output-dir");
	return -ENOTDIR;
}

static int open_dir(struct flight_cmd *f, struct diag *d)
{
	int err = ring_dir__new(f->opts.ring_dir, f->exe, &f->dir, d);

	if (!err)
		ring_dir__reading(f->dir, f->opts.target.sigs, f->opts.target.no_pairs); /* counts what fails */
	if (!err && d->hint[0] && f->opts.verbose >= 0)
		say("note: ", d->hint);
	if (!err)
		d->hint[0] = '\0';
	return err;
}

/* The last snapshot could not be written: what it would have held stays where it is. */
static void leave_dir(struct flight_cmd *f)
{
	char path[4096];

	if (!f->dir)
		return;
	ring_dir__leave(f->dir, path, sizeof(path));
	fputs("  the records are in ", stderr);
	text__print(stderr, path, strlen(path));
	fputs("; try: tapebpf recover\n", stderr);
}

static int loop(struct flight_cmd *f, struct diag *d)
{
	u64 now = clock__mono_ns(), stop_at = UINT64_MAX;
	int err;

	for (; !foreground__over(f->session, &f->child, now, &stop_at); now = clock__mono_ns()) {
		err = session__run(f->session, (int)MIN((u64)POLL_MS, (stop_at - now) / NSEC_PER_MSEC + 1));
		if (err && err != -EINTR)
			return diag__set(d, err, "cannot go on recording: %s", strerror(-err));
		control__poll(f->control, now);
		if (foreground__usr2() && !(f->set && trigger_set__signal(f->set, now)))
			take_own(f, "SIGUSR2");
		flight_triggers__poll(f->triggers, session__stream_ns(f->session), clock__mono_ns());
		snapshots__poll(f->snapshots);
	}
	return 0;
}

/* Whoever asks while the end is on its way is served too, but nobody holds it up by asking again and again. */
static void serve_the_last(void *ctx)
{
	struct flight_cmd *f = ctx;

	if (clock__mono_ns() < f->last_ask_ns)
		control__poll(f->control, clock__mono_ns());
}

/* What is being written is finished first, then a last one is taken of the time up to here. */
static int finish(struct flight_cmd *f, struct diag *d)
{
	int err = session__stop(f->session);

	if (err)
		diag__set(d, err, "cannot finish the recording: %s", strerror(-err));
	f->last_ask_ns = clock__mono_ns() + LAST_ASK_NS;
	serve_the_last(f); /* whoever has asked before the end is answered */
	snapshots__finish(f->snapshots, serve_the_last, f);
	serve_the_last(f);
	/* of the same time: what a trigger still waited for is the last one */
	if (!flight_triggers__last(f->triggers) && !f->opts.no_final)
		take_own(f, "end of the recording");
	f->stuck = snapshots__finish(f->snapshots, NULL, NULL) < 0;
	flight_triggers__finish(f->triggers);
	session__tell_sigs(f->session, true);
	return err;
}

static int fly(struct flight_cmd *f)
{
	struct diag d = { 0 }, later = { 0 };
	char text[1024];
	int err;

	if (f->opts.verbose >= 0)
		fputs("tapebpf: recording\n", stderr);
	err = loop(f, &d);
	if (err)
		cmd__fail(EXIT_FAILED, &d);
	if (finish(f, &later)) {
		cmd__fail(EXIT_FAILED, &later);
		err = -EIO;
	}
	if (f->opts.verbose >= 0 && flight_report__lost(f->session, text, sizeof(text)))
		fprintf(stderr, "tapebpf: %s\n", text);
	if (f->stuck)
		fputs("tapebpf: a file system still does not answer: the end does not wait for it, and what was to be written there is lost\n", stderr);
	if (err || f->failed || f->stuck)
		leave_dir(f);
	if (!err && foreground__no_probes(f->session, &f->child, &d))
		err = cmd__fail(EXIT_FAILED, &d);
	return err || f->failed || f->stuck ? EXIT_FAILED : EXIT_DONE;
}

static int run(struct flight_cmd *f)
{
	struct diag d = { 0 };
	int err;

	errno = 0;
	err = check_dir(f, &d);
	if (err)
		return cmd__fail(EXIT_FAILED, &d);
	err = foreground__prepare(&f->child, &f->opts.target, &d);
	foreground__catch_usr2();
	foreground__exe(&f->child, &f->opts.target, f->exe, sizeof(f->exe));
	f->start_ns = clock__mono_ns();
	if (!err && f->opts.ring_dir)
		err = open_dir(f, &d);
	if (!err)
		err = open_triggers(f, &d);
	if (!err)
		err = open_session(f, &d);
	if (!err)
		err = open_control(f, &d);
	if (!err)
		err = foreground__attach(f->session, &f->child, &f->opts.target, &d);
	if (!err)
		session__tell_sigs(f->session, false);
	return err ? cmd__fail(EXIT_FAILED, &d) : fly(f);
}

int cmd_flight(int argc, char **argv)
{
	struct flight_cmd f = { .child = { .go_fd = -1, .fail_fd = -1 } };
	int status;

	if (flight_opts__parse(&f.opts, argc, argv, &status))
		return status;
	status = run(&f);
	control__free(f.control);
	if (f.stuck) {
		fflush(NULL);
		_exit(status);
	}
	snapshots__free(f.snapshots);
	flight_triggers__free(f.triggers);
	session__free(f.session);
	ring_dir__free(f.dir);
	child__done(&f.child);
	flight_opts__done(&f.opts);
	return status;
}
