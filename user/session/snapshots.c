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
#include "session/snapshots.h"

#include "base/close_aside.h"
#include "session/snapshot_write.h"
#include "tape/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
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
#define MAX_ASIDE 2
#define STALL_NS (10 * NSEC_PER_SEC)
#define LAST_NS (20 * NSEC_PER_SEC) /* at the end, once something stands still, for all the others */
#define WAIT_MS 50

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
	struct snapshots *s;
	pthread_t thread;
	bool finished; /* atomic: the thread has nothing more to do */
	u64 cpu_ns, looked_ns, still_ns; /* of the thread: its time, when that was seen, for how long it has been the same */
};

struct snapshots {
	struct snapshots_opts o;
	struct job *waiting;
	struct job *writing; /* NULL: none */
	struct job *aside;   /* nobody waits for them any more */
	u32 aside_cnt;
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

static void say_finished(struct job *j)
{
	int event_fd = j->s->event_fd; /* j may be gone in a moment */
	u64 one = 1;

	__atomic_store_n(&j->finished, true, __ATOMIC_RELEASE);
	if (write(event_fd, &one, sizeof(one)) < 0) {
		/* the next round looks anyway */
	}
}

static void *write_thread(void *ctx)
{
	struct job *j = ctx;
	u64 begin = clock__mono_ns();

	step_back();
	j->w.res.err = snapshot__write(&j->w);
	j->w.res.write_ns = clock__mono_ns() - begin;
	malloc_trim(0); /* what a replay needs is not kept for the next one */
	say_finished(j);
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
	struct job *j = ctx;
	int own = j->askers->fd >= 0 ? -1 : open(j->w.path, O_RDONLY | O_CLOEXEC);
	int from = j->askers->fd >= 0 ? j->askers->fd : own, err = from < 0 ? -errno : 0;
	struct asker *a;

	step_back();
	LL_FOREACH(j->askers->next, a)
		if (a->fd >= 0)
			a->copy_err = err ? err : copy_file(from, a->fd);
	if (own >= 0)
		close(own);
	say_finished(j);
	return NULL;
}

/* All signals are the recording thread's. */
static int start_thread(struct job *j, void *(*run)(void *ctx))
{
	sigset_t all, old;
	int err;

	j->finished = false;
	j->cpu_ns = j->still_ns = 0;
	j->looked_ns = clock__mono_ns();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&j->thread, NULL, run, j);
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
	close_aside(a->fd);
	free(a);
}

/* It stays in the list: its file is what is copied. */
static void tell_first(struct job *j)
{
	struct asker *first = j->askers;
	struct snapshot_result r = j->w.res;

	r.path = first->fd >= 0 ? NULL : j->w.path;
	if (first->done)
		first->done(first->ctx, &r);
	first->done = NULL;
}

static void say_why(struct job *j)
{
	if (!j->w.res.diag.text[0])
		diag__set(&j->w.res.diag, j->w.res.err, "cannot take a snapshot: %s", strerror(-j->w.res.err));
}

static void job__done(struct snapshots *s, struct job *j)
{
	struct asker *a, *tmp;

	close_aside(j->w.fd);
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
	tell_first(j); /* the others' files are not its concern */
	err = start_thread(j, copy_thread);
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
	close_aside(j->w.fd);
	j->w.res = (struct snapshot_result){ .capture_ns = was.capture_ns, .raw_bytes = was.raw_bytes };
	j->w.path[0] = '\0';
	j->w.left = 0;
	if (j->w.snap->gen_left) { /* it had the first asker only, when that had gone */
		release(s, j);
		err = capture(s, j);
	}
	j->w.fd = fcntl(j->askers->fd, F_DUPFD_CLOEXEC, 0);
	if (!err)
		err = j->w.fd < 0 ? -errno : start_thread(j, write_thread);
	j->w.res.err = err;
	return !err;
}

static bool is_finished(const struct job *j)
{
	return __atomic_load_n(&j->finished, __ATOMIC_ACQUIRE);
}

/* Its thread has finished. */
static void join(struct job *j)
{
	u64 count;

	pthread_join(j->thread, NULL);
	if (read(j->s->event_fd, &count, sizeof(count)) < 0) {
		/* nothing in it: the thread could not write */
	}
}

static void reap(struct snapshots *s)
{
	struct job *j = s->writing;

	join(j);
	if (start_copying(s, j) || write_again(s, j))
		return;
	s->writing = NULL;
	job__done(s, j);
}

/* --- what stands still ------------------------------------------------------------------------------------------- */

/* Between two looks we may have been stopped ourselves, with the thread: no more than a second counts. */
static bool stands_still(struct job *j, u64 now_ns)
{
	u64 since = MIN(now_ns - j->looked_ns, NSEC_PER_SEC), cpu_ns;
	struct timespec ts;
	clockid_t clock;

	if (is_finished(j) || pthread_getcpuclockid(j->thread, &clock) || clock_gettime(clock, &ts))
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

static void free_job(struct snapshots *s, struct job *j)
{
	struct asker *a, *tmp;

	LL_FOREACH_SAFE(j->askers, a, tmp) {
		close_aside(a->fd);
		free(a);
	}
	close_aside(j->w.fd);
	release(s, j);
	free(j->texts);
	free(j);
}

/* They have gone on after all. */
static void look_aside(struct snapshots *s)
{
	struct job *j, *tmp;

	LL_FOREACH_SAFE(s->aside, j, tmp) {
		if (!is_finished(j))
			continue;
		join(j);
		LL_DELETE(s->aside, j);
		s->aside_cnt--;
		free_job(s, j);
	}
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
		err = start_thread(j, write_thread);
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
	if (s->writing && is_finished(s->writing))
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
	DL_DELETE(s->waiting, j);
	s->st.waiting--;
	free_job(s, j);
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
