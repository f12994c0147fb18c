/* SPDX-License-Identifier: MIT */
/*
 * snapshots.h - snapshots of a flight recording: who asked, whose turn it is, the thread that writes, what came of it.
 *
 * One is written at a time. It is taken when its turn comes (the first trigger's at once), in a few ms, on the thread that
 * records; then a thread of its own replays and writes it. A request equal to one that waits or is being written gets that
 * one's result; if that cannot be written where the first one wanted it, it is written again, to the next one's file. Not
 * thread-safe, but for what happens inside.
 */
#ifndef TAPEBPF_SNAPSHOTS_H
#define TAPEBPF_SNAPSHOTS_H

#include "session/session.h"
#include "session/snapshot_write.h"

struct snapshots;

struct snapshots_opts {
	struct session *session;
	const char *dir;	/* for those that bring no file of their own */
	const char *exe;	/* name of what is recorded, for file names */
	u64 max_spans;
	bool no_pairs;
	const struct sig_set *sigs;
};

struct snapshot_request {
	u64 last_ns; /* 0: all that is kept */
	enum snapshot_format format;
	int fd;		 /* an open regular file, taken over; -1: a new one in dir */
	const struct trigger_fired *trigger; /* why, NULL: somebody asked. Copied */
	/* Called once, from snapshots__poll or snapshots__finish. May be NULL. */
	void (*done)(void *ctx, const struct snapshot_result *r);
	void *ctx;
};

struct snapshots *snapshots__new(const struct snapshots_opts *o);
/* Waits for what is being written, as snapshots__finish. */
void snapshots__free(struct snapshots *s);

/* -ENOMEM, -EBUSY (too many wait): the fd is closed. */
int snapshots__ask(struct snapshots *s, const struct snapshot_request *req);
/* The asker is gone: its done will not be called; what it asked for is finished all the same if it has begun. */
void snapshots__forget(struct snapshots *s, void *ctx);

/* What has been written is told, the next one is taken. Call it every round. */
void snapshots__poll(struct snapshots *s);
/* Readable when there is something to poll for. */
int snapshots__fd(const struct snapshots *s);
/*
 * Wait until all that was asked for is done. meanwhile (may be NULL) is called again and again. -ETIMEDOUT: a file system did not answer, its
 * askers were told so, and a thread that cannot be stopped still uses the session's memory: nothing of it may be freed, leave by _exit.
 */
int snapshots__finish(struct snapshots *s, void (*meanwhile)(void *ctx), void *ctx);

struct snapshots_stats {
	u32 waiting;
	bool writing;
	u64 taken, failed;
	u64 last_capture_ns, max_capture_ns;
};
void snapshots__stats(const struct snapshots *s, struct snapshots_stats *st);

#endif
