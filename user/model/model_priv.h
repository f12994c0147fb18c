/* SPDX-License-Identifier: MIT */
/*
 * model_priv.h - what the files of this room share. Nobody outside includes it.
 *
 *	model.c      one record in, dispatched, accounted
 *	tasks.c      processes and threads
 *	retire.c     when those that have ended are forgotten
 *	callsites.c  callsites of tape.h, and the one table of all definitions
 *	probes.c     callsites of foreign probes
 *	values.c     payloads and arguments into values
 *	stack.c      what is entered on a thread
 *	registry.c   spans: references, parents, close
 *	ops.c        the records of tape.h
 *	whole.c      the usual ones of them, straight
 *	skip_room.c  which ones nobody would miss
 *	resync.c     the stack after a gap
 *	pairs.c      foreign probes that begin and end spans
 *	fanout.c     calls to the sinks, loss records
 *	sink.c       what a sink leaves out
 */
#ifndef TAPEBPF_MODEL_PRIV_H
#define TAPEBPF_MODEL_PRIV_H

#include <uthash.h>

#include "base/idmap.h"
#include "model/model.h"
#include "model/pool.h"

/* What became of a program record: STORED, or the enum loss_cause that it is counted under. */
#define STORED (-1)

struct span;
struct task;

/* A process. Found by pid while it lives; then in the grave (retire.c). */
struct proc {
	struct process pub;
	struct idmap spans; /* raw id -> struct span, or what it was */
	u64 gone[256]; /* the raw ids closed last, a ring: to tell a stale id from one never seen */
	u32 gone_at;
	u64 first_ns; /* its first record: what was opened before was open before the recording */
	struct task *tasks; /* those that are not forgotten */
	struct proc *next, **pprev; /* of all */
	struct proc *grave_next;
	u64 grave_ns;
	struct {
		u64 addr;
		u32 module;
	} * mod; /* where its modules are, as far as pages told */
	u32 mod_cnt;
	bool dead;
	bool born; /* its begin_ns is that of its fork */
	bool ghost; /* of late records: in the grave from its beginning, and not found by its number */
};

/* What stands in proc.spans for a span that is closed: its uid (0 if it was refused), tagged. */
static inline bool span__is_gone(const void *p)
{
	return (uintptr_t)p & 1;
}

/* A thread's page as the model sees it: depths count per page. rec_page.user points here. */
struct lane {
	struct task *task;
	struct lane *next; /* of the task */
	u64 module_addr;
	u64 resync_ns; /* REC_RESYNC has come, its end has not: its time */
	u32 module;
	u32 entry_cnt; /* on the task's stack */
	u32 pre_depth; /* resync: one more than the deepest entry confirmed */
	u32 over_depth; /* another page's record abandoned entries of this one from here on, at over_ns */
	u64 over_ns;
	bool resyncing;
	bool seen; /* it has sent a record */
	bool orphan; /* its page has gone */
};

/* A thread. Found by tid while it lives; then in the grave (retire.c). */
struct task {
	struct thread pub;
	struct proc *proc;
	struct entry *top, *bottom; /* what is entered */
	struct lane *lanes;
	struct lane stray; /* for records without a page */
	struct task *next, **pprev; /* of the process */
	u64 last_ns;	   /* time of the last call about this thread */
	u64 skipped_ns;	   /* time of the last record that was left out: task__catch_up */
	u32 foreign_cnt;   /* entries of foreign spans */
	char *name;
	bool dead;
	bool named; /* by its own program, which counts for more than what the kernel calls it */
	bool born;  /* its begin_ns is that of its fork */
	bool ghost; /* likewise */
	struct task *grave_next;
	u64 grave_ns; /* the stream's time when it came there */
};

enum entry_kind { ENTRY_SCOPED, ENTRY_MANUAL, ENTRY_FOREIGN };

/* One entry of a span on a thread: on the thread's stack and in the span's list. */
struct entry {
	struct entry *up, *down; /* towards the top, towards the bottom */
	struct entry *next, **pprev;
	struct span *span; /* NULL: a span that could not even be remembered */
	struct task *task;
	struct lane *lane; /* NULL: foreign */
	const struct probe *begin; /* foreign: the probe that made it */
	u64 number; /* of the BEGIN or ENTER record in the life of the page */
	u64 since_ns;
	u16 depth;
	u8 kind;
	u8 dup;	   /* its span had been entered on this thread before */
	u8 marked; /* resync: confirmed */
	s8 cause;  /* without a span: why */
};

/*
 * A span that is alive. refs = handles + entries + children; a scoped or foreign span holds its one
 * handle until its end. A refused span (cause != STORED) reaches no sink, but is remembered so that
 * what names it is understood; `parent` never is a refused span.
 */
struct span {
	u64 uid;
	u64 raw;    /* number by which the program names it, 0: none */
	u64 ref_ns; /* opening time inside refs, 0: not told */
	struct span *parent;
	struct callsite *callsite; /* NULL: refused for its callsite */
	struct proc *proc;
	struct entry *entries; /* newest first */
	u64 refs, handles;
	u32 entry_cnt;
	u8 why;	  /* enum sink_why of the close, as far as it is decided */
	s8 cause; /* STORED, or why it was refused */
	u64 open_ns;
	u64 dropped_ns; /* last handle; 0: not yet */
	u64 floor_ns;	/* not closed before this time: children */
};

/* --- callsites --- */

struct module {
	const struct elf_file *file;
	struct idmap sites; /* link address -> struct callsite: those used */
};

/* A foreign probe: all sites of provider:name in one file. */
struct probe_arg {
	u8 type;	      /* enum wire_type; EMPTY: at no site readable, or left out */
	s8 size;	      /* widest; negative: signed at some site */
	s8 field, span_field; /* index in the callsite of the event, of the span that it begins; -1: none */
};

struct probe {
	const char *provider, *name;
	const struct sig *sig;
	const char *file;
	u32 line;
	u32 arg_cnt;
	struct probe_arg arg[WIRE_MAX_ARGS];
	struct callsite *event; /* made at first use */
	bool quiet; /* once there is `event`: no sink wants such */
	struct pair *pair;	/* by its name, alone or not */
	bool is_end;
	/* of a begin: the end that its spans' callsite is made for, and where that one's arguments are in it */
	const struct probe *end;
	struct callsite *span; /* made at first use */
	s8 end_field[WIRE_MAX_ARGS];
};

/* How two probes make a span. More kinds (keys, FIFO, several ends: usdt.md 7) get members here. */
struct pair_rule {
	const char *begin, *end; /* endings of the names */
};

/* The probes of all files that begin and end spans NAME of one provider. A pair once there are both. */
struct pair {
	const struct pair_rule *rule;
	const struct probe *begin, *end; /* the first of each, NULL: none yet */
	UT_hash_handle hh;
	u32 key_bytes;
	char key[]; /* number of the rule, provider, NAME */
};

/* How a hit of a site without texts becomes values, worked out at its first. */
struct hit_plan {
	u32 arg_cnt;	/* of the hit that it is for */
	u32 cnt;
	struct {
		u8 arg, field;
		u8 type;  /* widened */
		u8 shift; /* sign extension: so far to the left and back */
	} value[WIRE_MAX_ARGS];
};

struct probe_site {
	struct probe *probe;
	const struct elf_site *elf;
	struct hit_plan *plan[2]; /* as an event, as part of a pair; NULL: not yet */
	const struct probe *planned; /* of an end: whose spans plan[1] is for */
};

/* Some of the sites that records named last, by their address: one of a program's few busy ones mostly. */
#define NEAR_SITES 64
#define NEAR_SITE_BYTES 32 /* as far as two are apart at least, or nearly so */
struct near_site {
	u64 addr; /* 0: none */
	u32 module;
	struct callsite *c;
	/* Of spans whose fields are all numbers of 8 bytes: the values that their begins have, but for the numbers. NULL: of others. */
	struct value *plain;
};

struct callsites {
	struct near_site near[NEAR_SITES];
	struct module *module; /* by module number */
	u32 module_cnt;
	struct probe_site *site; /* by site number */
	u32 site_cnt;
	struct probe **probe; /* all, to free */
	u32 probe_cnt;
	struct pair *pairs; /* uthash */
	bool paired;	    /* some pair has both */
	struct callsite_def *defs; /* uthash: all definitions */
	u64 next_id;
	struct callsite *unknown; /* "(opened before recording)" */
};

struct model {
	struct sink *sink;
	struct sink_ops *ops;
	u32 sink_cnt;
	/* span_begin, span_end and span_leaf of the only sink; NULL: there are several, or it has none */
	int (*whole_begin)(void *ctx, const struct span_open *o);
	int (*whole_end)(void *ctx, u64 span, struct thread *t, u64 time_ns);
	bool (*whole_leaf)(void *ctx, const struct span_open *o, u64 end_ns);
	struct model_opts opts;
	struct model_stats st;
	int err; /* first error of a sink while the record under way was passed on */
	u64 begin_ns, last_ns;
	struct callsites cs;
	struct pool spans, entries;
	u64 next_span, refused_cnt;
	/* tasks */
	struct idmap pids, tids;
	struct proc *procs;
	u64 next_proc, next_thread;
	struct task *last_task;	    /* the one the last record was about */
	struct task *near_task[8];  /* some of tids, by its low bits: the last ones that hits were of */
	struct task *grave, **grave_end; /* ended, oldest first */
	struct proc *proc_grave, **proc_grave_end;
	u64 grave_cnt; /* threads */
	struct idmap ghost_pids, ghost_tids;
	struct loss loss[LOSS_MAX]; /* sums not yet told */
	/* what the record under way is about, for its loss record */
	const struct callsite *about;
	struct value value[CALLSITE_MAX_FIELDS]; /* of the record under way */
};

/* fanout.c */
int fanout__init(struct model *m, const struct sink *sinks, u32 cnt);
void fanout__done(struct model *m);
void fanout__callsite(struct model *m, struct callsite *c);
void fanout__process(struct model *m, struct proc *p);
void fanout__process_end(struct model *m, struct proc *p, u64 ns, u32 status, bool known);
void fanout__thread(struct model *m, struct task *t);
void fanout__thread_end(struct model *m, struct task *t, u64 ns);
void fanout__open(struct model *m, const struct span_open *o);
void fanout__enter(struct model *m, u64 span, struct task *t, u64 ns);
static inline void fanout__took(struct model *m, int err)
{
	if (__builtin_expect(err < 0, 0) && !m->err)
		m->err = err;
}
/* Open and enter; exit and close: see sink.h. Mostly there is one sink, that takes them as one call. */
void fanout__begin_all(struct model *m, const struct span_open *o);
static inline void fanout__begin(struct model *m, const struct span_open *o)
{
	if (m->whole_begin)
		fanout__took(m, m->whole_begin(m->sink->ctx, o));
	else
		fanout__begin_all(m, o);
}
void fanout__end_all(struct model *m, u64 span, struct task *t, u64 ns);
static inline void fanout__end(struct model *m, u64 span, struct task *t, u64 ns)
{
	if (m->whole_end)
		fanout__took(m, m->whole_end(m->sink->ctx, span, &t->pub, ns));
	else
		fanout__end_all(m, span, t, ns);
}
void fanout__exit(struct model *m, u64 span, struct task *t, u64 ns, enum sink_why why);
void fanout__close(struct model *m, u64 span, u64 ns, u64 dropped_ns, enum sink_why why);
void fanout__value(struct model *m, const struct span *s, const struct value *v, struct task *t,
		   u64 ns);
void fanout__follows(struct model *m, u64 span, u64 follows, struct task *t, u64 ns);
void fanout__event(struct model *m, const struct event *e);
/* A program record is lost: counted now, told to the sinks in sums (at most 100 ms, one cause
 * each). */
void fanout__lost(struct model *m, int cause, u64 ns, const struct task *t);
void fanout__flush_loss(struct model *m);
void fanout__loss(struct model *m, const struct loss *l);

/* callsites.c */
/* Of tape.h; NULL: the file has no such. */
struct callsite *callsites__look_up(struct model *m, u32 module, u64 addr);
static inline const struct near_site *callsites__near(const struct model *m, u64 addr)
{
	return &m->cs.near[addr / NEAR_SITE_BYTES % NEAR_SITES];
}
static inline struct callsite *callsites__find(struct model *m, u32 module, u64 addr)
{
	const struct near_site *near = callsites__near(m, addr);

	return near->addr == addr && near->module == module ? near->c : callsites__look_up(m, module, addr);
}
/* Of a ref (of the record r); NULL: its module is not known. */
struct callsite *callsites__of_ref(struct model *m, const struct proc *p, const struct rec *r,
				   const struct wire_ref *ref);
struct callsite *callsites__unknown(struct model *m);
/* The callsite equal to *def (whose strings need not stay), new if there is none. NULL: no memory.
 */
struct callsite *callsites__intern(struct model *m, const struct callsite *def);
void callsites__done(struct model *m);

/* probes.c */
int probes__add(struct model *m, const struct elf_file *f, u32 first_site);
struct callsite *probes__event(struct model *m, struct probe *p);
struct callsite *probes__span(struct model *m, struct probe *begin);

/* values.c: into m->value; returns the number of values */
u32 values__fields(struct model *m, const struct callsite *c, const u8 *payload, u32 bytes,
		   bool *cut);
/* begin: as a field of a span that this probe has begun; NULL: of an event. */
u32 values__hit(struct model *m, struct probe_site *s, const struct wire_hit *h, const struct probe *begin);
/* One value. 1: taken, 0: unset, negative: malformed. */
int values__one(struct value *v, u16 field, u8 type, const u8 *payload, u32 bytes);

/*
 * What is left out goes ahead of the merge: its time is the thread's from the next record of a page on. (A hit can come before that, and
 * is not to be moved.) So times are the same as if it had been passed on, even those of records that come late.
 */
static inline void task__catch_up(struct task *t)
{
	if (t->skipped_ns > t->last_ns)
		t->last_ns = t->skipped_ns;
}

/* tasks.c */
int tasks__process(struct model *m, u32 pid, u64 ns);
struct task *tasks__first_record(struct model *m, const struct rec *r, struct lane **lane);
static inline struct task *tasks__of_page(struct model *m, const struct rec *r, struct lane **lane)
{
	struct lane *l = r->page ? r->page->user : NULL;

	if (__builtin_expect(!l || !l->seen, 0))
		return tasks__first_record(m, r, lane);
	*lane = l;
	task__catch_up(l->task);
	return l->task;
}
struct task *tasks__of_tid(struct model *m, u32 pid, u32 tid, u64 ns);
void tasks__name(struct model *m, struct task *t, const char *s, size_t bytes);
void tasks__fork(struct model *m, const struct rec *r);
void tasks__exec(struct model *m, const struct rec *r);
void tasks__rename(struct model *m, const struct rec *r);
void tasks__exit(struct model *m, const struct rec *r);
void tasks__page(struct model *m, const struct rec *r);
/* end: close what only handles keep, too. */
void tasks__end(struct model *m, struct task *t, u64 ns, enum sink_why why, bool end);
void tasks__end_process(struct model *m, struct proc *p, u64 ns, u32 status, bool known);
/* For retire.c. NULL: no memory. */
struct task *tasks__ghost(struct model *m, struct proc *p, u32 tid, u64 ns);
struct proc *tasks__ghost_process(struct model *m, u32 pid, u64 ns);
/* Times of one thread never go back. */
static inline u64 task__time(struct task *t, u64 ns)
{
	if (ns > t->last_ns)
		t->last_ns = ns;
	return t->last_ns;
}

/* retire.c */
void retire__task(struct model *m, struct task *t);
void retire__proc(struct model *m, struct proc *p);
/* Free what nothing needs any more. Not while anybody walks tasks or processes. */
void retire__some(struct model *m);
/* REC_PAGE_GONE */
void retire__page(struct model *m, const struct rec *r);
/* Was what ref_ns is the time of (0: unknown) there before this thread, or before who has the pid now? t may be NULL. */
bool retire__is_late(const struct model *m, const struct task *t, u32 pid, u64 ref_ns);
/* Who a late record is of. NULL: no memory, or too many. */
struct task *retire__ghost(struct model *m, u32 pid, u32 tid, u64 ns, u64 ref_ns);
void retire__all(struct model *m);

/* stack.c */
struct entry *stack__push(struct model *m, struct task *t, struct span *s, enum entry_kind kind,
			  struct lane *lane, u64 since_ns);
void stack__remove(struct model *m, struct entry *e);
struct entry *stack__at(const struct task *t, const struct lane *lane, u32 depth);
/* Of what was entered up to then; recorded or refused; NULL: none. */
struct span *stack__current(const struct task *t, u64 at_ns);

/* registry.c */
struct span_new {
	struct callsite *callsite;
	struct proc *proc;
	struct task *opener;	  /* told to the sinks, may be NULL */
	const struct task *stack; /* whose current span is the contextual parent */
	const struct wire_ref *explicit_parent;
	u64 time_ns;
	u64 raw, ref_ns;
	u8 parent_kind, flags;
	u32 value_cnt; /* in m->value */
	s8 cause;      /* not STORED: refuse it */
	bool enter;    /* and tell that the opener enters it; the entry is the caller's business */
};
/* NULL: not even a place to remember it as refused. */
struct span *span__open(struct model *m, const struct span_new *n);
void span__number(struct model *m, struct span *s, u64 raw, u64 ns);
void span__enter(struct model *m, struct entry *e, u64 ns);
/* Take an entry off its stack. Scoped and foreign spans end with it. */
void span__leave(struct model *m, struct entry *e, u64 ns, enum sink_why why);
bool span__drop(struct model *m, struct span *s, u64 ns,
		enum sink_why why); /* false: there is no handle left */
void span__force_close(struct model *m, struct span *s, u64 ns, enum sink_why why);
enum ref_state { REF_LIVE, REF_GONE, REF_UNKNOWN };
enum ref_state span__find(struct model *m, struct proc *p, const struct wire_ref *ref,
			  struct span **out);
/* Does the end of its scoped entry close the span, at that time, for no reason but the program's? Nothing else holds it, then. */
static inline bool span__is_whole_end(const struct span *s, u64 ns)
{
	return s->refs == 2 && s->handles == 1 && s->cause == STORED && !s->raw && !s->why && s->floor_ns <= ns;
}
/* Of a span that is REF_GONE: its uid, 0: it was refused. */
u64 span__gone_uid(const struct proc *p, const struct wire_ref *ref);
struct span *span__placeholder(struct model *m, struct proc *p, const struct rec *r,
			       const struct wire_ref *ref, u64 ns);
/* The recorded span behind a span: itself, or the ancestor in its place. */
static inline struct span *span__shown(struct span *s)
{
	return s && s->cause != STORED ? s->parent : s;
}
/* Everything on a thread, from the top; everything of a process. end: what has handles is closed as
 * well. */
void span__end_task(struct model *m, struct task *t, u64 ns, enum sink_why why, bool end);
void span__end_proc(struct model *m, struct proc *p, u64 ns, enum sink_why why);

/* skip_room.c: what the sinks want of a callsite: see sink_ops. */
u64 wanted__ns(const struct model *m, const struct callsite *c, struct rec_look *look);

/* whole.c: the record has been dealt with, and is stored unless m->err says otherwise. false: nothing has been done. */
bool whole__rec(struct model *m, const struct rec *r);

/* ops.c, resync.c, pairs.c: a record's work. Program records return STORED or a cause. */
int ops__rec(struct model *m, const struct rec *r);
/* Everything that stands on this page at `depth` or deeper is over: abandoned. */
void ops__abandon(struct model *m, struct task *t, const struct lane *lane, u32 depth, u64 ns);
void resync__start(struct model *m, const struct rec *r);
void resync__pre(struct model *m, const struct rec *r);
void resync__end(struct model *m, const struct rec *r);
int pairs__hit(struct model *m, const struct rec *r);
int pairs__find(struct model *m, struct probe **probe, u32 cnt);
void pairs__done(struct model *m);
void pairs__ended(struct model *m, const struct entry *e, enum sink_why why);

#endif
