/* SPDX-License-Identifier: MIT */
/* record.c - `tapebpf record`, the default command: running programs to a tape. */
#include "base/text.h"
#include "cmd/child.h"
#include "cmd/cmd.h"
#include "cmd/foreground.h"
#include "cmd/record_opts.h"
#include "cmd/status.h"
#include "session/rotation.h"
#include "session/session.h"
#include "session/tapes.h"
#include "tape/tape_writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POLL_MS 50
#define CLOCKS_NS (60 * NSEC_PER_SEC)

struct record {
	struct record_opts opts;
	struct session *session;
	struct rotation *rotation; /* NULL: one tape */
	struct tapes *tapes;	   /* of now */
	struct child child;
	struct status status;
	bool tape_error_told, turn_error_told;
};

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
	char exe[256];

	foreground__exe(&r->child, &r->opts.target, exe, sizeof(exe));
	if (r->opts.rotate_bytes || r->opts.rotate_ns) /* each tape's name has a time of its own */
		snprintf(dst, bytes, "%s.tape", exe);
	else
		tape_writer__default_name(dst, bytes, exe, (s64)clock__ns(CLOCK_REALTIME));
}

static int open_rotation(struct record *r, const struct tapes_opts *to, const struct clock_pair *now, struct diag *d)
{
	struct rotation_opts ro = { .tapes = *to, .bytes = r->opts.rotate_bytes, .ns = r->opts.rotate_ns,
				    .keep_files = r->opts.keep_files, .keep_bytes = r->opts.keep_bytes };
	int err = rotation__open(&ro, now, &r->rotation, d);

	if (!err)
		r->tapes = rotation__tapes(r->rotation);
	return err;
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
	if (r->opts.rotate_bytes || r->opts.rotate_ns)
		return open_rotation(r, &to, &now, d);
	return tapes__open(&to, &now, &r->tapes, d);
}

/* Said once; the turn is tried again each second. */
static void tell_turn_error(struct record *r, const struct diag *d)
{
	if (r->turn_error_told)
		return;
	r->turn_error_told = true;
	status__clear(&r->status);
	cmd__fail(EXIT_FAILED, d);
}

static void rotate(struct record *r)
{
	struct rotation_part part;
	struct diag d = { 0 };
	u32 i;

	if (!r->rotation)
		return;
	if (rotation__due(r->rotation, clock__mono_ns())) {
		i = tapes__earlier_cnt(r->tapes);
		if (rotation__turn(r->rotation, r->session, &part, &d))
			tell_turn_error(r, &d);
		r->tapes = rotation__tapes(r->rotation);
		for (; i < tapes__earlier_cnt(r->tapes); i++)
			status__tape(&r->status, r->tapes, i, &part);
	}
	if (rotation__trim(r->rotation, &d))
		say(r, "warning: ", d.text);
}

static int on_turn(void *ctx)
{
	rotate(ctx);
	return 0;
}

static int open_session(struct record *r, struct diag *d)
{
	const struct record_opts *o = &r->opts;
	struct sink sink = r->rotation ? rotation__sink(r->rotation) : tapes__sink(r->tapes);
	struct session_opts so = { .sz = sizeof(so), .ring_bytes = o->ring_bytes, .max_text = o->target.max_text,
				   .max_spans = o->max_spans, .follow = o->target.follow, .immediate = o->target.immediate,
				   .no_pairs = o->target.no_pairs, .sigs = o->target.sigs, .sinks = &sink, .sink_cnt = 1,
				   .note = on_note, .warn = on_warn, .ctx = r,
				   .grown = r->rotation ? rotation__grown(r->rotation) : NULL, .turn = on_turn };

	return session__new(&so, &r->session, d);
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

static int loop(struct record *r, struct diag *d)
{
	u64 now = clock__mono_ns(), next_clocks = now + CLOCKS_NS;
	u64 stop_at = r->opts.duration_ns ? now + r->opts.duration_ns : UINT64_MAX;
	struct clock_pair p;
	int err = 0;

	for (; !foreground__over(r->session, &r->child, now, &stop_at); now = clock__mono_ns()) {
		err = session__run(r->session, (int)MIN((u64)POLL_MS, (stop_at - now) / NSEC_PER_MSEC + 1));
		if (err == -EINTR)
			continue;
		if (err)
			return diag__set(d, err, "cannot go on recording: %s", strerror(-err));
		tapes__publish(r->tapes);
		rotate(r);
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
	struct rotation_part part;
	struct session_totals t;
	struct clock_pair p;
	struct diag trim = { 0 };
	int err = session__stop(r->session), close_err;

	if (err)
		diag__set(d, err, "cannot finish the recording: %s", strerror(-err));
	clock__pair(&p);
	tapes__clocks(r->tapes, &p);
	session__totals(r->session, &t);
	part = (struct rotation_part){ t.emitted, t.stored, t.lost_sum };
	if (r->rotation)
		part = rotation__rest(r->rotation, t.emitted, t.stored, t.lost_sum);
	close_err = tapes__close(r->tapes, clock__mono_ns(), part.emitted, part.stored, part.lost, err ? NULL : d);
	for (u32 i = tapes__earlier_cnt(r->tapes); r->rotation && i < tapes__cnt(r->tapes); i++)
		status__tape(&r->status, r->tapes, i, &part);
	if (r->rotation && rotation__trim(r->rotation, &trim))
		say(r, "warning: ", trim.text);
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
	if (!err) {
		err = foreground__no_probes(r->session, &r->child, d);
		if (err)
			cmd__fail(EXIT_FAILED, d);
	}
	session__tell_sigs(r->session, true);
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
	if (r->rotation)
		rotation__drop_link(r->rotation);
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
	int err = foreground__prepare(&r->child, &r->opts.target, &d);

	if (!err)
		err = open_tapes(r, &d);
	if (!err)
		err = open_session(r, &d);
	status__init(&r->status, r->opts.json, r->opts.verbose < 0);
	if (!err)
		err = foreground__attach(r->session, &r->child, &r->opts.target, &d);
	if (!err)
		session__tell_sigs(r->session, false);
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
	if (r.rotation)
		rotation__free(r.rotation);
	else
		tapes__free(r.tapes);
	child__done(&r.child);
	record_opts__done(&r.opts);
	return status;
}
