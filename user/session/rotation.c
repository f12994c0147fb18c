/* SPDX-License-Identifier: MIT */
#include "session/rotation.h"

#include "model/window.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define RETRY_NS NSEC_PER_SEC
#define LOOK_BYTES 65536 /* so much may come until the next look (tape_writer_opts.grown) */

struct rotation {
	struct rotation_opts opts;
	char *path, *link;
	struct window *window;
	struct tapes *tapes;
	struct rotation_part told; /* what the tapes before hold */
	bool grown;
	u64 full_bytes;		   /* of the tape of now; UINT64_MAX: never */
	u64 next_ns;		   /* by time; UINT64_MAX: never */
	u64 retry_ns;
	s64 last_name_ms;
	bool trim_failed;
};

/* --- names ------------------------------------------------------------------------------------------------- */

/* Where the ending of a file's name begins: the last dot, if there is something before it. */
static size_t stem_bytes(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');

	return dot && dot != path && !(slash && dot <= slash + 1) ? (size_t)(dot - path) : strlen(path);
}

char *rotation__name(const char *path, s64 unix_ns)
{
	time_t seconds = (time_t)(unix_ns / (s64)NSEC_PER_SEC);
	int stem = (int)stem_bytes(path), ms = (int)(unix_ns % (s64)NSEC_PER_SEC / (s64)NSEC_PER_MSEC);
	char time[32];
	char *out = NULL;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(time, sizeof(time), "%Y%m%dT%H%M%S", &tm);
	return asprintf(&out, "%.*s_%s.%03dZ%s", stem, path, time, ms, path + stem) < 0 ? NULL : out;
}

char *rotation__link_name(const char *path)
{
	char *out = NULL;

	return asprintf(&out, "%.*s.latest", (int)stem_bytes(path), path) < 0 ? NULL : out;
}

/* Later than that of the tape before, also if somebody has set the clock back. */
static char *next_name(struct rotation *r, s64 unix_ns)
{
	s64 ms = MAX(unix_ns / (s64)NSEC_PER_MSEC, r->last_name_ms + 1);

	r->last_name_ms = ms;
	return rotation__name(r->path, ms * (s64)NSEC_PER_MSEC);
}

/* --- the link ---------------------------------------------------------------------------------------------- */

/* A file of the user's is not replaced. */
static int check_link(const struct rotation *r, struct diag *d)
{
	struct stat st;

	if (lstat(r->link, &st) || S_ISLNK(st.st_mode))
		return 0;
	diag__set(d, -EEXIST, "%s is in the way of the link to the newest tape", r->link);
	diag__hint(d, "move it away, or choose another name with -o");
	return -EEXIST;
}

/* Set in one step: whoever follows it finds the tape before or this one. With --split there is no one newest. */
static void set_link(const struct rotation *r)
{
	const char *path = tapes__cnt(r->tapes) ? tapes__path(r->tapes, tapes__cnt(r->tapes) - 1) : NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;
	__free_ptr char *tmp = NULL;

	if (!path || r->opts.tapes.split || asprintf(&tmp, "%s.%d", r->link, getpid()) < 0)
		return;
	/* a convenience: without it the recording is as good */
	if (!symlink(slash ? slash + 1 : path, tmp) && rename(tmp, r->link))
		unlink(tmp);
}

/* --- turns ------------------------------------------------------------------------------------------------- */

static int open_next(struct rotation *r, const struct clock_pair *at, struct tapes **out, struct diag *d)
{
	__free_ptr char *path = next_name(r, at->real_ns);
	struct tapes_opts to = r->opts.tapes;

	if (!path)
		return diag__set(d, -ENOMEM, "not enough memory");
	to.path = path;
	return tapes__open(&to, at, out, d);
}

static int begin(struct rotation *r, struct tapes *tapes, u64 ns)
{
	struct sink sink;
	int err;

	r->tapes = tapes;
	r->opts.tapes.part.no += r->opts.tapes.part.no != 0;
	sink = tapes__sink(tapes);
	set_link(r);
	err = window__begin(r->window, &sink, ns);
	/* where what is open is most of a tape, tapes get larger, and not a tape for each record */
	r->full_bytes = r->opts.bytes ? MAX(r->opts.bytes, tapes__open_bytes(tapes) + r->opts.bytes / 2) : UINT64_MAX;
	return err;
}

int rotation__open(const struct rotation_opts *o, const struct clock_pair *now, struct rotation **out, struct diag *d)
{
	struct rotation *r = calloc(1, sizeof(*r));
	struct tapes *tapes = NULL;
	int err = 0;

	if (!r)
		return diag__set(d, -ENOMEM, "not enough memory");
	r->opts = *o;
	r->opts.tapes.mark_bytes = o->bytes;
	r->opts.tapes.grown = &r->grown;
	r->path = strdup(o->tapes.path);
	r->link = rotation__link_name(o->tapes.path);
	r->window = window__new(NULL);
	r->next_ns = o->ns ? now->mono_ns + o->ns : UINT64_MAX;
	if (!r->path || !r->link || !r->window)
		err = diag__set(d, -ENOMEM, "not enough memory");
	/* without a name of their own the tapes are as good, only that spans are not joined when they are read together */
	if (getrandom(r->opts.tapes.part.recording, sizeof(r->opts.tapes.part.recording), GRND_NONBLOCK) ==
	    sizeof(r->opts.tapes.part.recording))
		r->opts.tapes.part.no = 1;
	err = err ? err : check_link(r, d);
	err = err ? err : open_next(r, now, &tapes, d);
	err = err ? err : begin(r, tapes, now->mono_ns);
	if (err) {
		rotation__free(r);
		return err;
	}
	*out = r;
	return 0;
}

void rotation__free(struct rotation *r)
{
	if (!r)
		return;
	window__free(r->window);
	tapes__free(r->tapes);
	free(r->path);
	free(r->link);
	free(r);
}

struct sink rotation__sink(struct rotation *r)
{
	return window__sink(r->window);
}

struct tapes *rotation__tapes(struct rotation *r)
{
	return r->tapes;
}

bool *rotation__grown(struct rotation *r)
{
	return &r->grown;
}

bool rotation__due(const struct rotation *r, u64 now_ns)
{
	if (now_ns < r->retry_ns)
		return false;
	return now_ns >= r->next_ns || tapes__open_bytes(r->tapes) >= r->full_bytes;
}

struct rotation_part rotation__rest(const struct rotation *r, u64 emitted, u64 stored, u64 lost)
{
	return (struct rotation_part){emitted - r->told.emitted, stored - r->told.stored, lost - r->told.lost};
}

/*
 * The moment of a turn in the stream: everything before it has been passed on, but for what comes later than the hold-back
 * allows; and nothing behind it has.
 */
static struct clock_pair turn_time(const struct rotation *r, const struct session *s)
{
	struct clock_pair p;
	/* later than all in the old tape: what the new one repeats of it is known by its time (tape_merge.c) */
	u64 ns = MAX(session__stream_ns(s), window__last_ns(r->window) + 1);

	clock__pair(&p);
	p.real_ns -= (s64)(p.mono_ns - ns);
	p.boot_ns -= p.mono_ns - ns;
	p.mono_ns = ns;
	return p;
}

static struct rotation_part take_part(struct rotation *r, struct session *s)
{
	struct rotation_part part;
	struct session_totals t;

	session__tell_losses(s);
	session__totals(s, &t);
	/* what is emitted and not passed on yet belongs to the tapes to come */
	part = rotation__rest(r, t.stored + t.lost_sum, t.stored, t.lost_sum);
	r->told.stored += part.stored;
	r->told.lost += part.lost;
	r->told.emitted += part.emitted;
	return part;
}

int rotation__turn(struct rotation *r, struct session *s, struct rotation_part *part, struct diag *d)
{
	struct clock_pair at = turn_time(r, s);
	struct tapes *old = r->tapes, *next;
	struct diag why = { 0 };
	int err = open_next(r, &at, &next, &why), e;

	if (err) {
		r->retry_ns = clock__mono_ns() + RETRY_NS;
		return diag__set(d, err, "cannot begin a new tape, going on with the old one: %s", why.text);
	}
	*part = take_part(r, s);
	err = window__end(r->window, at.mono_ns);
	tapes__clocks(old, &at);
	e = tapes__close(old, at.mono_ns, part->emitted, part->stored, part->lost, d);
	err = err ? err : e;
	e = tapes__inherit(next, old);
	err = err ? err : e;
	tapes__free(old);
	e = begin(r, next, at.mono_ns);
	err = err ? err : e;
	while (r->next_ns <= clock__mono_ns())
		r->next_ns += r->opts.ns;
	if (err && !d->text[0])
		diag__set(d, err, "cannot turn to a new tape: %s", strerror(-err));
	return err;
}

int rotation__trim(struct rotation *r, struct diag *d)
{
	const struct rotation_opts *o = &r->opts;
	u64 room = o->keep_bytes - MIN(o->keep_bytes, LOOK_BYTES);
	int err = 0, e;

	while (tapes__earlier_cnt(r->tapes) &&
	       ((o->keep_files && tapes__cnt(r->tapes) > o->keep_files) ||
		(o->keep_bytes && tapes__bytes(r->tapes) > room))) {
		e = tapes__drop_oldest(r->tapes, d);
		err = err ? err : e;
	}
	if (!err || r->trim_failed)
		return 0;
	r->trim_failed = true;
	return err;
}

void rotation__drop_link(const struct rotation *r)
{
	struct stat st;

	if (!lstat(r->link, &st) && S_ISLNK(st.st_mode))
		unlink(r->link);
}
