/* SPDX-License-Identifier: MIT */
/*
 * snapshot_job.c - one snapshot, from its taking to the answers: the threads that write and copy it, and who gets what came of it.
 *
 * The recording's thread runs all of this but write_thread and copy_thread. While the one runs, the job's struct snapshot_write is its own;
 * while the other does, nobody joins or leaves the list of askers (who goes is marked only), and what came of each copy is its own.
 */
#include "session/snapshots_priv.h"

#include "base/close_aside.h"
#include "base/thread.h"
#include "session/snapshot_write.h"
#include "tape/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <utlist.h>

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

static int start_thread(struct job *j, void *(*run)(void *ctx))
{
	j->finished = false;
	j->cpu_ns = j->still_ns = 0;
	j->looked_ns = clock__mono_ns();
	return thread__start(&j->thread, NULL, run, j);
}

int job__write(struct job *j)
{
	return start_thread(j, write_thread);
}

/* --- taking ------------------------------------------------------------------------------------------------------ */

int job__capture(struct snapshots *s, struct job *j)
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

/* It stays in the list: its file is what is copied. What comes of the copies does not change that there is a snapshot. */
static void tell_first(struct snapshots *s, struct job *j)
{
	struct asker *first = j->askers;
	struct snapshot_result r = j->w.res;

	r.path = first->fd >= 0 ? NULL : j->w.path;
	if (first->done)
		first->done(first->ctx, &r);
	first->done = NULL;
	s->st.taken++;
}

static void say_why(struct job *j)
{
	if (!j->w.res.diag.text[0])
		diag__set(&j->w.res.diag, j->w.res.err, "cannot take a snapshot: %s", strerror(-j->w.res.err));
}

void job__done(struct snapshots *s, struct job *j)
{
	struct asker *a, *tmp;

	close_aside(j->w.fd);
	if (j->w.res.err) {
		s->st.failed++;
		say_why(j);
	} else if (!j->copying) { /* else it has been counted */
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
	tell_first(s, j); /* the others' files are not its concern */
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
void job__leave(struct snapshots *s, struct job *j)
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
		err = job__capture(s, j);
	}
	j->w.fd = fcntl(j->askers->fd, F_DUPFD_CLOEXEC, 0);
	if (!err)
		err = j->w.fd < 0 ? -errno : start_thread(j, write_thread);
	j->w.res.err = err;
	return !err;
}

void job__free(struct snapshots *s, struct job *j)
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

bool job__is_finished(const struct job *j)
{
	return __atomic_load_n(&j->finished, __ATOMIC_ACQUIRE);
}

/* Its thread has finished. */
void job__join(struct job *j)
{
	u64 count;

	pthread_join(j->thread, NULL);
	if (read(j->s->event_fd, &count, sizeof(count)) < 0) {
		/* nothing in it: the thread could not write */
	}
}

bool job__goes_on(struct snapshots *s, struct job *j)
{
	return start_copying(s, j) || write_again(s, j);
}
