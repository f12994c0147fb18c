/* SPDX-License-Identifier: MIT */
/*
 * sink.h - the data model as a stream of calls: what the model emits and tape, fold, export ... consume.
 *
 * The semantics are those of Rust's `tracing` (spans with parents, entered and left, closed when the last handle, entry
 * and child are gone). The model calls in an order that any consumer can rely on:
 *   - a callsite, process and thread is defined before its first use;
 *   - a span is opened before anything else is said of it, and nothing is said of it after its close;
 *   - calls about one thread come in time order; across threads time order is kept as far as the hold-back reaches;
 *   - every span is closed (at the cut, marked, if the program did not).
 * Each call returns 0 or negative errno; an error is remembered by the caller as LOSS_WRITE for the program's records
 * that the call stood for, and does not stop the stream.
 * Times are CLOCK_MONOTONIC ns. Pointers are valid during the call. A struct callsite stays. A struct thread or process stays until its
 * end has been told, and as long after as somebody holds it: a sink that keeps a pointer beyond that call takes a
 * reference (thread__hold, process__hold) and gives it back. A thread keeps its process.
 */
#ifndef TAPEBPF_SINK_H
#define TAPEBPF_SINK_H

#include "base/util.h"
#include "tapebpf/wire.h"

struct rec_look;

#define CALLSITE_MAX_FIELDS 64 /* 32 of tape.h; foreign pairs have up to 12 + 12 */

struct callsite {
	u64 id;	  /* from 1, unique in this run */
	u8 is_span;
	u8 level; /* enum wire_level */
	u8 foreign;
	u32 line; /* 0: unknown */
	const char *name, *target, *module, *file; /* UTF-8; module and file "" where unknown */
	u32 field_cnt;
	struct {
		const char *name;
		u8 type; /* enum wire_type, as declared; values may differ */
	} field[CALLSITE_MAX_FIELDS];
	void *user; /* for the sink */
};

struct process {
	u64 uid; /* our own number, from 1, never re-used within a run */
	u32 pid, ns_pid, parent_pid;
	u64 start_ns; /* boot time ns, 0: unknown */
	u64 begin_ns; /* CLOCK_MONOTONIC: known since */
	u64 dev, ino;
	char comm[16];
	char *exe, *cmdline; /* may be NULL */
	u32 refs;	     /* of sinks */
	void *user;
};

struct thread {
	u64 uid; /* our own number, from 1, never re-used within a run */
	u32 tid, ns_tid;
	u64 begin_ns;
	const char *name; /* given by the program, else comm; never NULL */
	struct process *process;
	u32 refs; /* of sinks */
	void *user;
};

/* By sinks, on the thread of their calls. NULL is taken for nobody. */
static inline void thread__hold(struct thread *t)
{
	if (t)
		t->refs++;
}

static inline void thread__drop(struct thread *t)
{
	if (t)
		t->refs--;
}

static inline void process__hold(struct process *p)
{
	if (p)
		p->refs++;
}

static inline void process__drop(struct process *p)
{
	if (p)
		p->refs--;
}

#define VALUE_TRUNCATED 1
#define VALUE_UNREADABLE 2 /* no value: memory could not be read */
#define VALUE_RAW 4	   /* bytes, shown as text */

struct value {
	u16 field; /* index in the callsite */
	u8 type;   /* enum wire_type; integers are widened: I64, U64, not I32, U32 */
	u8 flags;  /* VALUE_* */
	u32 text_bytes;
	u64 orig_bytes; /* of a truncated text; 0: unknown */
	union {
		u64 u; /* BOOL, U64, PTR */
		s64 i;
		double f;
		u64 wide[2]; /* I128, U128: low, high */
		const char *text; /* STR, BYTES, ERROR */
	};
};

#define SPAN_FIELDS_LOST 1 /* opening fields could not be recovered */
#define SPAN_BEFORE 2	   /* was open when the recording began */
#define SPAN_PLACEHOLDER 4 /* known only by its number */

struct span_open {
	u64 span; /* our own number, from 1, never re-used */
	const struct callsite *callsite;
	u64 time_ns;
	struct thread *thread; /* that opened it; NULL: unknown */
	u8 parent_kind;	       /* enum wire_parent, as the program asked */
	u8 flags;	       /* SPAN_* */
	u64 parent;	       /* resolved: the span it hangs under, 0: root */
	u64 lost_parent;       /* raw id of an explicit parent that is not known, 0: none */
	u32 value_cnt;
	const struct value *value;
};

/* Why an exit or close was not the program's own. */
enum sink_why {
	SINK_OWN = 0,	     /* the program did it */
	SINK_ABANDONED = 1,  /* closed by the end of an outer span */
	SINK_CUT = 2,	     /* recording ended */
	SINK_THREAD_END = 3, /* the thread ended */
	SINK_PROCESS_END = 4,
	SINK_LOST = 5,	     /* its own end was lost */
	SINK_REOPENED = 6,   /* its id was opened again */
	SINK_ELSEWHERE = 7,  /* exits only: the program did it, on another thread than the one that had entered */
};

struct event {
	const struct callsite *callsite;
	u64 time_ns;
	struct thread *thread;
	u8 parent_kind;
	u64 parent; /* resolved, 0: none */
	u32 value_cnt;
	const struct value *value;
};

struct loss {
	u64 from_ns, to_ns;
	u32 cpu;	      /* ~0: unknown */
	const struct callsite *callsite; /* NULL: unknown */
	const struct thread *thread;	 /* NULL: unknown */
	u8 cause;	      /* enum loss_cause */
	u64 count;
};

/* Why there is a snapshot, and the record that was the reason. Not the model's: told by who takes the snapshot. */
struct sink_trigger {
	u64 time_ns;
	u32 pid, tid;	     /* of the record; 0: unknown */
	const char *trigger; /* as the user wrote it */
	const char *what;    /* the record, one line */
};

struct sink_ops {
	int (*callsite)(void *ctx, struct callsite *c);
	int (*process)(void *ctx, struct process *p);	 /* known, or something of it changed (exec, name) */
	int (*process_end)(void *ctx, struct process *p, u64 time_ns, u32 status, bool known);
	int (*thread)(void *ctx, struct thread *t);	 /* known, or renamed */
	int (*thread_end)(void *ctx, struct thread *t, u64 time_ns);
	int (*span_open)(void *ctx, const struct span_open *o);
	int (*span_enter)(void *ctx, u64 span, struct thread *t, u64 time_ns);
	int (*span_exit)(void *ctx, u64 span, struct thread *t, u64 time_ns, enum sink_why why);
	/* dropped_ns: when the program let go of it; equals time_ns unless entries or children kept it alive */
	int (*span_close)(void *ctx, u64 span, u64 time_ns, u64 dropped_ns, enum sink_why why);
	/* recorded after the opening; thread NULL: unknown */
	int (*span_value)(void *ctx, u64 span, const struct callsite *c, const struct value *v, struct thread *t,
			  u64 time_ns);
	int (*span_follows)(void *ctx, u64 span, u64 follows, struct thread *t, u64 time_ns);
	int (*event)(void *ctx, const struct event *e);
	int (*loss)(void *ctx, const struct loss *l);
	int (*trigger)(void *ctx, const struct sink_trigger *t);
	/*
	 * The two ends of most spans' lives, one call each, for sinks that want speed; the others get the two calls that each
	 * stands for. On an error nothing of it has been taken.
	 * span_begin: opened, and entered at once, on the thread that opened it and at the time of the opening.
	 * span_end: the program left its only entry, on `t`, and as nothing else held the span it is closed as well.
	 */
	int (*span_begin)(void *ctx, const struct span_open *o);
	int (*span_end)(void *ctx, u64 span, struct thread *t, u64 time_ns);
	/*
	 * Not a call of the stream: asked once a callsite. Whatever is said of its spans that are open for less than this, and of
	 * its events, changes nothing that this sink does; 0: it wants all, ~0: none. If all sinks have an answer, such spans and events
	 * may be left out of the stream. NULL: it wants all. If the fields that one of them begins
	 * with, when it gets no others, may say more, *look (which is clear) is filled: it stays as long as the sink, and never answers less.
	 */
	u64 (*wanted_ns)(void *ctx, const struct callsite *c, struct rec_look *look);
	/*
	 * span_begin and, with nothing said in between, span_end at end_ns, in one call: a span without spans or events in it. true: it has
	 * been taken. false: nothing has been done, and the caller makes the two calls. NULL: always false.
	 */
	bool (*span_leaf)(void *ctx, const struct span_open *o, u64 end_ns);
};

/* A sink with the context its calls get. */
struct sink {
	const struct sink_ops *ops;
	void *ctx;
};

/* The same calls, with one that does nothing in the place of each that is NULL. */
struct sink_ops sink__complete(const struct sink_ops *o);

#endif
