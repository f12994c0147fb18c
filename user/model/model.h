/* SPDX-License-Identifier: MIT */
/*
 * model.h - records in, spans and events out: callsites, processes and threads, the span registry, foreign pairs.
 *
 * Pure: no BPF, no files. Not thread-safe. See registry.c for the span semantics and pairs.c for foreign spans.
 */
#ifndef TAPEBPF_MODEL_H
#define TAPEBPF_MODEL_H

#include "base/codes.h"
#include "elf/elf_file.h"
#include "elf/sig.h"
#include "ingest/ingest.h"
#include "model/sink.h"

struct model;

struct model_opts {
	size_t sz;
	u64 max_spans;		    /* live spans; 0: 1,000,000 */
	bool no_pairs;		    /* foreign probes are events, all of them */
	const struct sig_set *sigs; /* may be NULL; not owned */
	/* A process turned up that nobody described: fill exe, cmdline (malloc), comm, start_ns, dev, ino, parent_pid as
	 * far as known (from /proc). May be NULL. */
	void (*describe)(void *ctx, struct process *p);
	/* Name of a thread (comm) into 16 bytes, "" if unknown. May be NULL. */
	void (*comm)(void *ctx, u32 pid, u32 tid, char comm[16]);
	/* The name that a thread has given itself before the first record: valid during the call, NULL: none. May be NULL. */
	const char *(*name)(void *ctx, u32 pid, u32 tid);
	void *ctx;
};

/* Records go to each sink given (at least one); sinks are copied. */
struct model *model__new(const struct sink *sinks, u32 sink_cnt, const struct model_opts *opts);
void model__free(struct model *m);

/*
 * Make a file's callsites known under a module number (tape.h) and its foreign sites under consecutive site numbers
 * starting at first_site. The file must outlive the model. Callsites reach the sinks at their first use.
 */
int model__add_file(struct model *m, const struct elf_file *f, u32 module, u32 first_site);

/* What a foreign site is to the rule that makes spans of pairs. *pair: same for the begins and ends of one pair. */
enum model_pair_role { MODEL_PAIR_NONE, MODEL_PAIR_BEGIN, MODEL_PAIR_END };
enum model_pair_role model__pair_role(const struct model *m, u32 site, const void **pair);

/*
 * Describe a process now, while it can be asked: its first record is looked at a moment later, when it may be gone. 0 or
 * -ENOMEM.
 */
int model__process(struct model *m, u32 pid, u64 time_ns);

/* ingest's callback. Every program record is either stored or counted under one cause. */
int model__rec(struct model *m, const struct rec *r);
/* Likewise, for a begin and its end in one (ingest_ops.leaf). */
bool model__leaf(struct model *m, const struct rec *begin, u64 end_ns);

/*
 * What may be left out of the stream (ingest_skip_ops), as far as the sinks and what is open say. model__may_skip: is there any use in
 * asking? wanted_ns: see sink_ops; 0 too if there is no such callsite of that kind.
 */
bool model__may_skip(const struct model *m);
u64 model__wanted_ns(struct model *m, u32 module, u64 site_addr, u8 kind, struct rec_look *look);
bool model__skip_room(const struct model *m, const struct rec_page *p, struct skip_room *room);
/* They are stored, in all sums. */
void model__skipped(struct model *m, const struct ingest_skipped *s);

/* The recording ends: close everything that is open, at time_ns, marked SINK_CUT. */
int model__cut(struct model *m, u64 time_ns);

/* Records that somebody else counted as lost (the BPF side): reach the sinks as loss records and the stats. */
int model__loss(struct model *m, const struct loss *l);

/* Losses are told to the sinks in sums: tell what is left now. */
void model__tell_losses(struct model *m);

/* Who is taken for alive: tid 0 for a process, then the threads. fn must not change the model. */
void model__each_living(const struct model *m, void (*fn)(void *ctx, u32 pid, u32 tid), void *ctx);

struct model_stats {
	u64 stored;	      /* program records that reached the sinks */
	u64 lost[LOSS_MAX];   /* program records that did not, by cause, REC_LOSS and model__loss included */
	u64 spans_opened, spans_closed, spans_open, spans_peak;
	u64 events;
	u64 entries;
	/* semantics.md 2.5, each a count */
	u64 before_attach, lost_close, unmatched_close, lost_exit, late_child, unmatched_exit, lost_parent, bad_value,
		unfinished;
	/* foreign pairs */
	u64 pair_begins, pair_ends, pair_abandoned, pair_end_without_begin, pair_begin_without_end;
	u64 processes, threads; /* seen */
	u64 processes_kept, threads_kept; /* in memory now: those alive, and those that ended lately or that somebody holds */
	u64 unreadable_args;	/* arguments dropped because they could not be read */
};
void model__stats(const struct model *m, struct model_stats *st);

#endif
