/* SPDX-License-Identifier: MIT */
/*
 * session.h - one recording: files, targets and the path of a record from the rings to the sinks.
 *
 * What `record` and `flight` run: everything but the command line and the output. Not thread-safe.
 */
#ifndef TAPEBPF_SESSION_H
#define TAPEBPF_SESSION_H

#include "attach/attach.h"
#include "base/clock.h"
#include "flight/flight.h"
#include "ingest/ingest.h"
#include "model/model.h"

struct session;

struct session_opts {
	size_t sz;
	u64 ring_bytes;	 /* per CPU */
	u32 max_text;
	u64 max_spans;
	bool follow, immediate, no_pairs;
	const struct sig_set *sigs;
	const struct sink *sinks; /* none: nothing is decoded */
	u32 sink_cnt;
	const struct flight_opts *flight; /* not NULL: keep records as they came, for snapshots; who and pairs are the session's */
	/* A process of ours has ended, all that its threads left is in the rings or was drained. May be NULL. */
	void (*process_end)(void *ctx, const struct wire_life *l);
	/*
	 * A break in the stream: once somebody has set *grown, `turn` is called before anything of a later time is passed on, in the midst of a
	 * round or of session__stop, and *grown is cleared. It may call what is about totals and losses here, and session__stream_ns. 0 or negative
	 * errno, which ends the round. grown NULL: no such breaks.
	 */
	bool *grown;
	int (*turn)(void *ctx);
	/* Something worth telling with -v; may be NULL. */
	void (*note)(void *ctx, const char *text);
	/* Something that a user has to know to understand the recording; may be NULL. */
	void (*warn)(void *ctx, const char *text);
	void *ctx;
};

int session__new(const struct session_opts *opts, struct session **out, struct diag *d);
void session__free(struct session *s);

/* A running process: itself, its executable and its libraries. -ENOENT: none of its files has a probe (the diag says what
 * was looked at); with follow it stays a target all the same. */
int session__add_pid(struct session *s, u32 pid, struct diag *d);

/* Every process of a binary or library, present and future. */
int session__add_binary(struct session *s, const char *path, struct diag *d);

/* A process that is about to exec `path` (and will map these libraries): attach before it runs. */
int session__add_child(struct session *s, u32 pid, const char *path, char *const *libs, struct diag *d);

/* One round: wait up to timeout_ms, drain, read idle pages when due, pass on. */
int session__run(struct session *s, int timeout_ms);

/* Processes alive that are being recorded; forever: -b keeps waiting for more. */
u32 session__targets(struct session *s);
bool session__forever(const struct session *s);

/* Something that poll waits for besides the rings: readable ends session__run's waiting. The fd stays the caller's. */
int session__watch(struct session *s, int fd);

/* What threads hold unflushed is read and the rings are drained, then everything that the flight recording keeps is handed out. NULL:
 * not enough memory, or an error of the kernel's side (errno). The names in it are the session's: release it before. */
struct snapshot *session__snapshot(struct session *s);
struct flight *session__flight(struct session *s);
/* The sinks have heard of everything up to this time: what comes with an earlier one is late. 0: of nothing yet. In opts.turn: the time
 * of the last record. */
u64 session__stream_ns(const struct session *s);

/* A flight recording hears of what the kernel has refused by now, and of what threads hold. */
int session__look(struct session *s);

/* Tell the sinks of all losses that are known by now, so that they and the totals agree. */
int session__tell_losses(struct session *s);

/* Detach, drain, account, close what is open. The sinks have seen everything after it. */
int session__stop(struct session *s);

struct session_totals {
	u64 emitted, stored, lost_sum, lost[LOSS_MAX];
	u64 unaccounted; /* emitted - stored - lost: 0, or there is a bug */
	u64 unread_pages; /* of dying threads, gone before they could be read: what they held since the last idle read is
			   * in no figure, as nobody knows how many records that were */
	u64 untracked;	  /* pages beyond the map of pages: their last batch is not drained when the thread is killed */
	u64 life_lost;	  /* forks, execs, exits that did not fit into a ring: names and ends on the tape may be missing */
	struct model_stats model;
	struct ingest_stats ingest;
	struct attach_stats attach;
};
void session__totals(struct session *s, struct session_totals *t);
/* Warn of signatures that fit none of the files found so far; final: there will be no more. */
void session__tell_sigs(struct session *s, bool final);
/* Found so far. */
struct session_sites {
	u32 looked;	     /* files that were read */
	u32 files;	     /* with probes, attached */
	u32 foreign, tape;   /* sites, callsites of tape.h */
	const char *command; /* why the command's own file has none, or NULL */
};
void session__sites(const struct session *s, struct session_sites *found);

#endif
