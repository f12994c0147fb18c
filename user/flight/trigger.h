/* SPDX-License-Identifier: MIT */
/*
 * trigger.h - conditions that take a snapshot by themselves (`--on TEXT`; man 7 tapebpf-expr).
 *
 *	span:NAME>50ms		a span of this name took longer, from open to close
 *	busy:NAME>50ms		... was entered longer
 *	open:NAME>1s		... is open for longer: a hang
 *	event:NAME, event:EXPR	an event
 *	exit, crash		a process ended; ended by a fatal signal
 *	signal			the recorder was sent SIGUSR2
 *
 * The first four look at the model's stream: feed trigger_set__sink with one, and only if trigger_set__needs_decoding. The
 * rest is told by calls. No clock of its own: times are what the caller and the stream say. Not thread-safe.
 */
#ifndef TAPEBPF_TRIGGER_H
#define TAPEBPF_TRIGGER_H

#include "expr/expr.h"
#include "model/sink.h"

struct trigger_set;

#define TRIGGER_MAX 64

/* Numbers are in tapes (docs/FORMAT.md, 0x8E): append only. */
enum trigger_kind {
	TRIGGER_SPAN = 0,
	TRIGGER_BUSY = 1,
	TRIGGER_OPEN = 2,
	TRIGGER_EVENT = 3,
	TRIGGER_EXIT = 4,
	TRIGGER_CRASH = 5,
	TRIGGER_SIGNAL = 6,
};

/* Pointers are valid during the call. */
struct trigger_fired {
	enum trigger_kind kind;
	const char *trigger; /* as the user wrote it */
	u64 time_ns;	     /* CLOCK_MONOTONIC of the record: the close, the event; of the tick for `open` */
	u32 pid, tid;	     /* 0: unknown */
	/* What fired it, one line of printable UTF-8: kind, name, times, thread, fields. */
	const char *what;
};

typedef void (*trigger_fired_fn)(void *ctx, const struct trigger_fired *f);

/* Trigger i will not fire as it is, or means something else than its writer may think: one line of printable UTF-8. Once a trigger. */
typedef void (*trigger_hint_fn)(void *ctx, u32 i, const char *why);

/* NULL: no memory. */
struct trigger_set *trigger_set__new(trigger_fired_fn fired, void *ctx);
void trigger_set__free(struct trigger_set *s);

/* Add one, before the stream begins. 0, -EINVAL, -ENOMEM, -E2BIG (more than TRIGGER_MAX); err->column is in text. */
int trigger_set__add(struct trigger_set *s, const char *text, struct expr_error *err);
u32 trigger_set__cnt(const struct trigger_set *s);
const char *trigger_set__text(const struct trigger_set *s, u32 i);
/* Whom to tell of hints, with the set's ctx. NULL: nobody. */
void trigger_set__tell_hints(struct trigger_set *s, trigger_hint_fn hint);
/* Why it has not fired, as far as callsites seen so far say, in one line. NULL: nothing is to be said. */
const char *trigger_set__hint(const struct trigger_set *s, u32 i);
/* Times that it fired. */
u64 trigger_set__fired(const struct trigger_set *s, u32 i);

/* Does one look at spans or events? */
bool trigger_set__needs_decoding(const struct trigger_set *s);

/* What looks at spans and events: a sink for the live stream. It never fails the stream: without memory a span is not
 * watched, and counted. */
struct sink trigger_set__sink(struct trigger_set *s);
/* `open`: the stream has been passed on up to this time (hold-back!). Cheap; a few times a second. */
void trigger_set__tick(struct trigger_set *s, u64 stream_ns);

/* A process of ours has ended. status as wait(2) tells it, if it is known; comm may be NULL. exit and crash. */
void trigger_set__process_end(struct trigger_set *s, u32 pid, const char *comm, u32 status, bool known, u64 time_ns);
/* SIGUSR2 came. False: there is no trigger `signal`. */
bool trigger_set__signal(struct trigger_set *s, u64 time_ns);

struct trigger_stats {
	u64 fired;
	u64 watched;   /* spans watched now */
	u64 unwatched; /* spans that could not be, for want of memory */
};
void trigger_set__stats(const struct trigger_set *s, struct trigger_stats *st);

/* Is this the status of a process that a signal killed which nobody sends to end a program in order? All but SIGHUP,
 * SIGINT, SIGTERM. */
bool trigger__is_crash(u32 status);

#endif
