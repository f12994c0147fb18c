/* SPDX-License-Identifier: MIT */
/*
 * snapshots.c - whose turn it is.
 *
 * A file system may stop to answer (a disk that is gone, NFS, FUSE), and a thread that writes to it cannot be called back. So nothing here waits
 * for one without a limit. A thread that has not got any CPU time for STALL_NS stands still: those who wait for it are told so, and the next
 * snapshot is written by a thread of its own. What stands still holds its snapshot's memory until it goes on, so only a few are put aside; with
 * more the others wait. At the end of the recording it is not waited for: the caller has to leave the process by _exit.
 *
 * CPU time says it for every call that may block, whatever writes and however slowly, without the writers knowing.
 */
#include "session/snapshots_priv.h"

#include "base/close_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <utlist.h>

#define MAX_WAITING 64
#define MAX_ASIDE 2
#define STALL_NS (10 * NSEC_PER_SEC)
#define LAST_NS (20 * NSEC_PER_SEC) /* at the end, once something stands still, for all the others */
#define WAIT_MS 50

/* --- what stands still ------------------------------------------------------------------------------------------- */

/* Between two looks we may have been stopped ourselves, with the thread: no more than a second counts. */
static bool stands_still(struct job *j, u64 now_ns)
{
	u64 since = MIN(now_ns - j->looked_ns, NSEC_PER_SEC), cpu_ns;
	struct timespec ts;
	clockid_t clock;

	if (job__is_finished(j) || pthread_getcpuclockid(j->thread, &clock) || clock_gettime(clock, &ts))
		return false;
	cpu_ns = (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
	j->still_ns = cpu_ns == j->cpu_ns ? j->still_ns + since : 0;
	j->cpu_ns = cpu_ns;
	j->looked_ns = now_ns;
	return j->still_ns > STALL_NS;
}

/* Who has joined it and brought a file of his own has it written anew, before all others. */
static void ask_again(struct snapshots *s, struct job *j)
{
	struct asker **at = &j->askers->next, *a, *others = NULL;
	struct job *again;
	int fd;

	while (!j->copying && (a = *at)) {
		if (a->fd < 0 || !a->done) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		a->next = NULL;
		LL_APPEND(others, a);
	}
	if (!others)
		return;
	fd = fcntl(others->fd, F_DUPFD_CLOEXEC, 0);
	again = fd >= 0 ? calloc(1, sizeof(*again)) : NULL;
	if (!again) {
		close_aside(fd);
		*at = others; /* told with the first */
		return;
	}
	*again = (struct job){ .s = s, .askers = others };
	again->w = (struct snapshot_write){ .last_ns = j->w.last_ns, .format = j->w.format, .max_spans = j->w.max_spans,
					    .no_pairs = j->w.no_pairs, .sigs = j->w.sigs, .fd = fd };
	DL_PREPEND(s->waiting, again);
	s->st.waiting++;
}

/* What the thread writes, and what it may be writing to this moment, is not looked at. */
static void put_aside(struct snapshots *s, struct job *j)
{
	struct snapshot_result r = { .err = -ETIMEDOUT };
	struct asker *a;

	ask_again(s, j);

	diag__set(&r.diag, r.err, "cannot write the snapshot: its file system has not answered for %llu s", STALL_NS / NSEC_PER_SEC);
	diag__hint(&r.diag, "a file on another one");
	LL_FOREACH(j->askers, a) {
		if (a->done)
			a->done(a->ctx, &r);
		a->done = NULL;
	}
	s->st.failed++;
	s->writing = NULL;
	LL_PREPEND(s->aside, j);
	s->aside_cnt++;
}

/* They have gone on after all. */
static void look_aside(struct snapshots *s)
{
	struct job *j, *tmp;

	LL_FOREACH_SAFE(s->aside, j, tmp) {
		if (!job__is_finished(j))
			continue;
		job__join(j);
		LL_DELETE(s->aside, j);
		s->aside_cnt--;
		job__free(s, j);
	}
}

/* --- whose turn it is -------------------------------------------------------------------------------------------- */

static void default_path(const struct snapshots *s, struct job *j)
{
	char name[512];

	snapshot__name(name, sizeof(name), s->o.exe, j->w.format);
	snprintf(j->w.path, sizeof(j->w.path), "%s%s%s", s->o.dir ? s->o.dir : "", s->o.dir ? "/" : "", name);
}

static void reap(struct snapshots *s)
{
	struct job *j = s->writing;

	job__join(j);
	if (job__goes_on(s, j))
		return;
	s->writing = NULL;
	job__done(s, j);
}

static void start(struct snapshots *s, struct job *j)
{
	int err = j->w.snap ? 0 : job__capture(s, j);

	if (!err) {
		if (j->w.fd < 0)
			default_path(s, j);
		s->writing = j;
		err = job__write(j);
	}
	if (!err)
		return;
	s->writing = NULL;
	j->w.res.err = err;
	job__done(s, j);
}

/*
 * What fired a trigger may have left the ring by the time that what is being written has been. So the first of those that wait is taken at
 * once, and waits taken: one, as each holds memory. If that fails it is tried again when it is its turn, which says why not.
 */
static void take_first(struct snapshots *s)
{
	struct job *j = s->waiting;

	if (s->writing && j && j->texts && !j->w.snap)
		job__capture(s, j);
}

void snapshots__poll(struct snapshots *s)
{
	struct job *j;

	if (s->writing)
		job__leave(s, s->writing);
	if (s->writing && job__is_finished(s->writing))
		reap(s);
	if (s->aside)
		look_aside(s);
	if (s->writing && stands_still(s->writing, clock__mono_ns()) && s->aside_cnt < MAX_ASIDE)
		put_aside(s, s->writing);
	take_first(s);
	while (!s->writing && (j = s->waiting)) {
		DL_DELETE(s->waiting, j);
		s->st.waiting--;
		start(s, j);
	}
}

/* There is no time left for those that wait. */
static void give_up(struct snapshots *s)
{
	struct job *j;

	if (s->writing)
		put_aside(s, s->writing);
	while ((j = s->waiting)) {
		DL_DELETE(s->waiting, j);
		s->st.waiting--;
		j->w.res.err = diag__set(&j->w.res.diag, -ETIMEDOUT, "the recording has ended, and other snapshots could not be written");
		job__done(s, j);
	}
}

int snapshots__finish(struct snapshots *s, void (*meanwhile)(void *ctx), void *ctx)
{
	struct pollfd p = { .fd = s->event_fd, .events = POLLIN };
	u64 until_ns = UINT64_MAX, now_ns;

	while (s->writing || s->waiting) {
		poll(&p, 1, WAIT_MS);
		snapshots__poll(s);
		now_ns = clock__mono_ns();
		if (s->aside && until_ns == UINT64_MAX)
			until_ns = now_ns + LAST_NS;
		if (now_ns > until_ns)
			give_up(s);
		if (meanwhile)
			meanwhile(ctx);
	}
	look_aside(s);
	return s->aside ? -ETIMEDOUT : 0;
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

/* Who brings no file wants one in the recorder's folder: a client's file cannot be that, but the other way round it can be copied. */
static bool same(const struct job *j, const struct snapshot_request *r)
{
	return !r->trigger && !j->texts && !j->copying && j->w.last_ns == r->last_ns && j->w.format == r->format &&
	       (r->fd >= 0 || j->askers->fd < 0);
}

static struct job *find_equal(struct snapshots *s, const struct snapshot_request *r)
{
	struct job *j;

	if (s->writing && same(s->writing, r))
		return s->writing;
	DL_FOREACH(s->waiting, j)
		if (same(j, r))
			return j;
	return NULL;
}

/* Its texts are the asker's. */
static int copy_trigger(struct job *j, const struct trigger_fired *t)
{
	size_t a = strlen(t->trigger) + 1, b = strlen(t->what) + 1;

	j->texts = malloc(a + b);
	if (!j->texts)
		return -ENOMEM;
	memcpy(j->texts, t->trigger, a);
	memcpy(j->texts + a, t->what, b);
	j->w.trigger = *t;
	j->w.trigger.trigger = j->texts;
	j->w.trigger.what = j->texts + a;
	return 0;
}

/* Triggers go before requests, see take_first. */
static void enqueue(struct snapshots *s, struct job *j)
{
	struct job *before = s->waiting;

	while (before && (before->texts || !j->texts))
		before = before->next;
	if (before)
		DL_PREPEND_ELEM(s->waiting, before, j);
	else
		DL_APPEND(s->waiting, j);
}

static struct job *new_job(struct snapshots *s, const struct snapshot_request *r)
{
	/* no crowd of clients keeps the recorder from its own */
	bool room = r->fd < 0 || s->st.waiting < MAX_WAITING;
	struct job *j = room ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return NULL;
	j->w = (struct snapshot_write){ .last_ns = r->last_ns, .format = r->format, .max_spans = s->o.max_spans,
					.no_pairs = s->o.no_pairs, .sigs = s->o.sigs };
	if (r->trigger && copy_trigger(j, r->trigger)) {
		free(j);
		return NULL;
	}
	j->w.fd = r->fd >= 0 ? fcntl(r->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (r->fd >= 0 && j->w.fd < 0) {
		free(j->texts);
		free(j);
		return NULL;
	}
	j->s = s;
	enqueue(s, j);
	s->st.waiting++;
	return j;
}

int snapshots__ask(struct snapshots *s, const struct snapshot_request *r)
{
	struct asker *a = calloc(1, sizeof(*a));
	struct job *j = a ? find_equal(s, r) : NULL;

	if (a && !j)
		j = new_job(s, r);
	if (!j) {
		close_aside(r->fd);
		free(a);
		return a ? -EBUSY : -ENOMEM;
	}
	*a = (struct asker){ .fd = r->fd, .done = r->done, .ctx = r->ctx };
	LL_APPEND(j->askers, a);
	return 0;
}

/* true: the asker was the last one who waits for it. */
static bool forget(struct job *j, const void *ctx)
{
	struct asker *a;
	bool his = false;
	u32 others = 0;

	LL_FOREACH(j->askers, a) {
		if (a->done && a->ctx == ctx) {
			a->done = NULL;
			a->gone = his = true;
		}
		others += !a->gone;
	}
	return his && !others;
}

/* Nobody wants it any more. */
static void drop_waiting(struct snapshots *s, struct job *j)
{
	DL_DELETE(s->waiting, j);
	s->st.waiting--;
	job__free(s, j);
}

void snapshots__forget(struct snapshots *s, void *ctx)
{
	struct job *j, *tmp;

	if (s->writing)
		forget(s->writing, ctx);
	DL_FOREACH_SAFE(s->waiting, j, tmp)
		if (forget(j, ctx))
			drop_waiting(s, j);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

struct snapshots *snapshots__new(const struct snapshots_opts *o)
{
	struct snapshots *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->o = *o;
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event_fd < 0) {
		free(s);
		return NULL;
	}
	return s;
}

void snapshots__free(struct snapshots *s)
{
	if (!s)
		return;
	if (snapshots__finish(s, NULL, NULL))
		return; /* threads use it */
	close(s->event_fd);
	free(s);
}

int snapshots__fd(const struct snapshots *s)
{
	return s->event_fd;
}

void snapshots__stats(const struct snapshots *s, struct snapshots_stats *st)
{
	*st = s->st;
	st->writing = s->writing != NULL;
}
