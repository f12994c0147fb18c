/* SPDX-License-Identifier: MIT */
/* snapshots_priv.h - what the two halves share: whose turn it is (snapshots.c), and one snapshot from its taking to its end (snapshot_job.c). */
#ifndef TAPEBPF_SNAPSHOTS_PRIV_H
#define TAPEBPF_SNAPSHOTS_PRIV_H

#include "session/snapshots.h"

#include <pthread.h>

struct asker {
	struct asker *next;
	int fd; /* its own file; -1: none */
	void (*done)(void *ctx, const struct snapshot_result *r);
	void *ctx;
	int copy_err; /* of what was copied to its file */
	bool gone;    /* it is not there any more to be told */
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

/* Take it: from now on it holds what it needs of the ring. */
int job__capture(struct snapshots *s, struct job *j);
/* A thread of its own writes it. */
int job__write(struct job *j);

/* Its thread has nothing more to do. */
bool job__is_finished(const struct job *j);
void job__join(struct job *j);

/* What has been written goes back to the ring, unless there is another who may need it again. */
void job__leave(struct snapshots *s, struct job *j);
/* Joined. true: it has another thread, for those that want a copy, or for the next one where it could not be written for the first. */
bool job__goes_on(struct snapshots *s, struct job *j);

/* All that asked are told, and it is freed. */
void job__done(struct snapshots *s, struct job *j);
/* Nobody is told. */
void job__free(struct snapshots *s, struct job *j);

#endif
