/* SPDX-License-Identifier: MIT */
/*
 * expr.h - expressions about spans and events: the one language of triggers, filters and groupings (man 7 tapebpf-expr).
 *
 *	level>=warn and (name==order or path~"/api") and not code==200 and duration>50ms
 *
 * Typed: a comparison asks for the value as the program recorded it. A value that is not there, or could not be read, makes
 * each comparison false, `!=` too. Not thread-safe; an expression remembers what it has found out about callsites, so it
 * serves one stream: expr__forget before another one.
 */
#ifndef TAPEBPF_EXPR_H
#define TAPEBPF_EXPR_H

#include "model/sink.h"

struct expr;

#define EXPR_MAX_BYTES 4096

/* What is wrong with a text, and where. */
struct expr_error {
	u32 column; /* byte in the text, from 0; text__point shows it */
	char text[240];
};

/* Parse `bytes` bytes of text. NULL: *err (may be NULL) says why; errno is EINVAL or ENOMEM. */
struct expr *expr__new(const char *text, size_t bytes, struct expr_error *err);
void expr__free(struct expr *e);

/* What is looked at: an event, or a span with the values that it has by now. */
struct expr_subject {
	const struct callsite *callsite; /* never NULL */
	const struct thread *thread;	 /* NULL: unknown */
	const struct value *value;
	u32 value_cnt;
	const struct rec_payload *fields; /* not NULL: the values are these, of an opening or event not decoded yet */
	bool timed; /* a span of which these are known */
	u64 duration_ns, busy_ns;
};

bool expr__match(struct expr *e, const struct expr_subject *s);

/* What of a subject is not known yet, though it will be. */
enum expr_unknown { EXPR_FIELDS = 1, EXPR_THREAD = 2, EXPR_TIMES = 4 };

/*
 * From which duration on a span may match, by what is known of it: 0: from any, ~0: it will not. An event, which has none: 0 or ~0. With the
 * thread, times and fields of `s` in `unknown` (a set) no matter. May be less than it could, if fields cannot be read.
 */
u64 expr__least_ns(struct expr *e, const struct expr_subject *s, u32 unknown);

/* What can be said of all spans or events of a callsite. */
enum expr_verdict { EXPR_NEVER, EXPR_ALWAYS, EXPR_MAYBE };
enum expr_verdict expr__callsite(struct expr *e, const struct callsite *c);

/*
 * hint.c: what a user should know of the two. Both write a clause into dst and return true, or false if there is nothing to be said.
 * expr__hint_missing: it is never true, for want of a field. expr__hint_mistaken: a word in it means something else than the field that is
 * called so; with_names: words for what callsites and threads have, too.
 */
bool expr__hint_missing(struct expr *e, const struct callsite *c, char *dst, size_t bytes);
bool expr__hint_mistaken(const struct expr *e, const struct callsite *c, bool with_names, char *dst, size_t bytes);

/* Callsites may be others from now on. */
void expr__forget(struct expr *e);

/* Does it look at times (duration, busy, idle)? *column (may be NULL): where it does first. */
bool expr__asks_times(const struct expr *e, u32 *column);
/* Does it look at values of fields? */
bool expr__asks_fields(const struct expr *e);
/* At names of callsites? */
bool expr__asks_name(const struct expr *e);
/* At who records: thread, process, or their numbers? */
bool expr__asks_thread(const struct expr *e);

#endif
