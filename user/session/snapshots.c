/* SPDX-License-Identifier: MIT */
#include "session/snapshots.h"

#include "session/snapshot_write.h"
#include "tape/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <utlist.h>

#define MAX_WAITING 64

struct asker {
	struct asker *next;
	int fd; /* its own file; -1: none */
	void (*done)(void *ctx, const struct snapshot_result *r);
	void *ctx;
	int copy_err; /* of what was copied to its file */
};

/* One snapshot, for all that asked the same. */
struct job {
	struct job *prev, *next;
	struct asker *askers; /* the first one's file, or dir, is what is written */
	struct snapshot_write w;
	char *texts; /* of w.trigger */
	bool copying; /* written; nobody may join any more */
};

struct snapshots {
	struct snapshots_opts o;
	struct job *waiting;
	struct job *writing; /* NULL: none */
	pthread_t thread;
	bool finished; /* atomic: the thread has nothing more to do */
	int event_fd;
	struct snapshots_stats st;
};

/* --- the thread that writes ------------------------------------------------------------------------------------ */

/* The recorder may have asked for precedence: this is not urgent. */
static void step_back(void)
{
	if (getpriority(PRIO_PROCESS, 0) < 0)
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 0);
}

static void say_finished(struct snapshots *s)
{
	u64 one = 1;

	__atomic_store_n(&s->finished, true, __ATOMIC_RELEASE);
	if (write(s->event_fd, &one, sizeof(one)) < 0) {
		/* the next round looks anyway */
	}
}

static void *write_thread(void *ctx)
{
	struct snapshots *s = ctx;
	struct job *j = s->writing;
	u64 begin = clock__mono_ns();

	step_back();
	j->w.res.err = snapshot__write(&j->w);
	j->w.res.write_ns = clock__mono_ns() - begin;
	malloc_trim(0); /* what a replay needs is not kept for the next one */
	say_finished(s);
	return NULL;
}

static int copy_file(int from, int to)
{
	char buf[65536];
	off_t at = 0;
	ssize_t n;
	int err;

	while ((n = pread(from, buf, sizeof(buf), at)) > 0) {
		err = tape_file__write(to, buf, (size_t)n, (u64)at);
		if (err)
			return err;
		at += n;
	}
	return n < 0 ? -errno : 0;
}

/* The first asker has the file; each other one that brought its own gets a copy. May take as long as writing did. */
static void *copy_thread(void *ctx)
{
	struct snapshots *s = ctx;
	struct job *j = s->writing;
	int own = j->askers->fd >= 0 ? -1 : open(j->w.path, O_RDONLY | O_CLOEXEC);
	int from = j->askers->fd >= 0 ? j->askers->fd : own, err = from < 0 ? -errno : 0;
	struct asker *a;

	step_back();
	LL_FOREACH(j->askers->next, a)
		if (a->fd >= 0)
			a->copy_err = err ? err : copy_file(from, a->fd);
	if (own >= 0)
		close(own);
	say_finished(s);
	return NULL;
}

/* All signals are the recording thread's. */
static int start_thread(struct snapshots *s, void *(*run)(void *ctx))
{
	sigset_t all, old;
	int err;

	s->finished = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

/* --- taking ------------------------------------------------------------------------------------------------------ */

static int capture(struct snapshots *s, struct job *j)
{
	u64 begin = clock__mono_ns();

	j->w.snap = session__snapshot(s->o.session);
	if (!j->w.snap)
		return -errno;
	j->w.res.raw_bytes = j->w.snap->bytes;
	j->w.res.capture_ns = clock__mono_ns() - begin;
	s->st.last_capture_ns = j->w.res.capture_ns;
	s->st.max_capture_ns = MAX(s->st.max_capture_ns, j->w.res.capture_ns);
	return 0;
}

static void release(struct snapshots *s, struct job *j)
{
	if (j->w.snap)
		flight__release(session__flight(s->o.session), j->w.snap);
	j->w.snap = NULL;
}

/* --- what was written is handed out ------------------------------------------------------------------------------ */

static void tell(const struct job *j, struct asker *a)
{
	struct snapshot_result r = j->w.res;

	r.path = a->fd >= 0 ? NULL : j->w.path;
	if (!r.err && a->copy_err)
		r.err = diag__set(&r.diag, a->copy_err, "copying the snapshot: %s", strerror(-a->copy_err));
	if (a->done)
		a->done(a->ctx, &r);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

static void say_why(struct job *j)
{
	if (!j->w.res.diag.text[0])
		diag__set(&j->w.res.diag, j->w.res.err, "cannot take a snapshot: %s", strerror(-j->w.res.err));
}

static void job__done(struct snapshots *s, struct job *j)
{
	struct asker *a, *tmp;

	if (j->w.fd >= 0)
		close(j->w.fd);
	if (j->w.res.err) {
		s->st.failed++;
		say_why(j);
	} else {
		s->st.taken++;
	}
	release(s, j);
	LL_FOREACH_SAFE(j->askers, a, tmp)
		tell(j, a);
	free(j->texts);
	free(j);
}

/* false: there is nothing to copy, or nobody to do it. */
static bool start_copying(struct snapshots *s, struct job *j)
{
	struct asker *a;
	int err;

	if (j->copying || j->w.res.err)
		return false;
	LL_FOREACH(j->askers->next, a)
		if (a->fd >= 0)
			break;
	if (!a)
		return false;
	j->copying = true;
	err = start_thread(s, copy_thread);
	if (err)
		LL_FOREACH(j->askers->next, a)
			a->copy_err = a->fd >= 0 ? err : 0;
	return !err;
}

/*
 * The first one's disk may be full: that is nobody else's trouble. It is told, and so is whoever waits for a file in the same folder;
 * then the same snapshot is written to the file of the next. false: there is none.
 */
static bool next_asker(struct snapshots *s, struct job *j)
{
	struct asker *const first = j->askers;
	struct asker *a, *tmp;

	if (j->copying || !j->w.res.err)
		return false;
	LL_FOREACH(first->next, a)
		if (a->fd >= 0 && a->done)
			break;
	if (!a)
		return false;
	s->st.failed++;
	say_why(j);
	LL_FOREACH_SAFE(j->askers, a, tmp) {
		if (a != first && a->fd >= 0 && a->done)
			continue;
		LL_DELETE(j->askers, a);
		tell(j, a);
	}
	return true;
}

/* What has been written goes back to the ring, unless there is another who may need it again. */
static void leave(struct snapshots *s, struct job *j)
{
	if (!j->askers->next)
		flight__leave(session__flight(s->o.session), j->w.snap, __atomic_load_n(&j->w.left, __ATOMIC_ACQUIRE));
}

static bool write_again(struct snapshots *s, struct job *j)
{
	const struct snapshot_result was = j->w.res;
	int err = 0;

	if (!next_asker(s, j))
		return false;
	if (j->w.fd >= 0)
		close(j->w.fd);
	j->w.res = (struct snapshot_result){ .capture_ns = was.capture_ns, .raw_bytes = was.raw_bytes };
	j->w.path[0] = '\0';
	j->w.left = 0;
	if (j->w.snap->gen_left) { /* it had the first asker only, when that had gone */
		release(s, j);
		err = capture(s, j);
	}
	j->w.fd = fcntl(j->askers->fd, F_DUPFD_CLOEXEC, 0);
	if (!err)
		err = j->w.fd < 0 ? -errno : start_thread(s, write_thread);
	j->w.res.err = err;
	return !err;
}

static void reap(struct snapshots *s)
{
	struct job *j = s->writing;
	u64 count;

	pthread_join(s->thread, NULL);
	if (read(s->event_fd, &count, sizeof(count)) < 0) {
		/* nothing in it: the thread could not write */
	}
	s->finished = false;
	if (start_copying(s, j) || write_again(s, j))
		return;
	s->writing = NULL;
	job__done(s, j);
}

/* --- whose turn it is -------------------------------------------------------------------------------------------- */

static void default_path(const struct snapshots *s, struct job *j)
{
	char name[512];

	snapshot__name(name, sizeof(name), s->o.exe, j->w.format);
	snprintf(j->w.path, sizeof(j->w.path), "%s%s%s", s->o.dir ? s->o.dir : "", s->o.dir ? "/" : "", name);
}

static void start(struct snapshots *s, struct job *j)
{
	int err = j->w.snap ? 0 : capture(s, j);

	if (!err) {
		if (j->w.fd < 0)
			default_path(s, j);
		s->writing = j;
		err = start_thread(s, write_thread);
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
		capture(s, j);
}

void snapshots__poll(struct snapshots *s)
{
	struct job *j;

	if (s->writing)
		leave(s, s->writing);
	if (s->writing && __atomic_load_n(&s->finished, __ATOMIC_ACQUIRE))
		reap(s);
	take_first(s);
	while (!s->writing && (j = s->waiting)) {
		DL_DELETE(s->waiting, j);
		s->st.waiting--;
		start(s, j);
	}
}

void snapshots__finish(struct snapshots *s)
{
	while (s->writing || s->waiting) {
		if (s->writing)
			reap(s);
		snapshots__poll(s);
	}
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
		if (r->fd >= 0)
			close(r->fd);
		free(a);
		return a ? -EBUSY : -ENOMEM;
	}
	*a = (struct asker){ .fd = r->fd, .done = r->done, .ctx = r->ctx };
	LL_APPEND(j->askers, a);
	return 0;
}

static u32 forget(struct job *j, const void *ctx)
{
	struct asker *a;
	u32 left = 0;

	LL_FOREACH(j->askers, a) {
		if (a->ctx == ctx)
			a->done = NULL;
		left += a->done != NULL;
	}
	return left;
}

/* Nobody wants it any more. */
static void drop_waiting(struct snapshots *s, struct job *j)
{
	struct asker *a, *tmp;

	DL_DELETE(s->waiting, j);
	s->st.waiting--;
	LL_FOREACH_SAFE(j->askers, a, tmp) {
		if (a->fd >= 0)
			close(a->fd);
		free(a);
	}
	if (j->w.fd >= 0)
		close(j->w.fd);
	release(s, j);
	free(j->texts);
	free(j);
}

void snapshots__forget(struct snapshots *s, void *ctx)
{
	struct job *j, *tmp;

	if (s->writing)
		forget(s->writing, ctx);
	DL_FOREACH_SAFE(s->waiting, j, tmp)
		if (!forget(j, ctx))
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
	snapshots__finish(s);
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
