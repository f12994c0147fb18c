/* SPDX-License-Identifier: MIT */
/* trigger_priv.h - inside the triggers: trigger_parse.c (texts), trigger_watch.c (spans and events), trigger_show.c (what
 * fired), trigger_hint.c (why one cannot), trigger.c (the set). */
#ifndef TAPEBPF_TRIGGER_PRIV_H
#define TAPEBPF_TRIGGER_PRIV_H

#include "base/nearmap.h"
#include "flight/trigger.h"
#include "model/pool.h"
#include "model/value_set.h"

#include <stdio.h>

#define WATCH_NEAR_SITES 64

struct trigger {
	enum trigger_kind kind;
	char *text;
	char *name;	      /* of the callsite; NULL: any */
	bool bounded, or_equal; /* the shorthand NAME>TIME */
	u64 bound_ns;
	struct expr *cond; /* NULL: none */
	u64 fired;
	/* trigger_hint.c */
	bool met;	 /* there is a callsite of its kind and name */
	bool possible;	 /* and one of which a span or event could fire it */
	bool told;	 /* its hint */
	char hint[320];
};

/* A callsite: which triggers can concern it. Kept as long as the set. */
struct watch_site {
	struct trigger_set *set;
	const struct callsite *callsite;
	struct expr_subject looked_at; /* one of it; all but what a look is given */
	u64 spans;  /* bits of triggers: at the close, and while it is open */
	u64 opens;  /* of these, `open` */
	u64 events;
	u64 looks;    /* those for which fields or the thread count */
	const struct trigger *only; /* not NULL: that is one, and no other wants this callsite */
	bool by_fields, by_thread; /* which of the two, for any of them */
	u64 look_ns;  /* from this duration on one of them can want a span; ~0: none. Of an event: 0 or ~0 */
	u64 least_ns; /* likewise one of the others */
};

/* An open span that a trigger may want. */
struct watch_span {
	struct watch_span *next, **pprev; /* of those with `opens`; pprev NULL: not in the list */
	const struct watch_site *site;
	struct thread *thread; /* held */
	u64 open_ns, busy_ns, busy_since_ns;
	u32 entries;
	u64 opens; /* that have not fired yet */
	struct value_set values;
};

struct trigger_set {
	struct trigger *trigger;
	u32 cnt;
	u64 open_least_ns; /* smallest bound of `open` */
	trigger_fired_fn fired;
	trigger_hint_fn hint;
	void *ctx;
	struct watch_site *near_site[WATCH_NEAR_SITES];
	struct idmap sites;
	struct nearmap spans;
	struct pool pool; /* of struct watch_span */
	struct watch_span *open_list, **open_end;
	struct trigger_stats st;
	char what[1024];
};

/* trigger_parse.c: 0, -EINVAL, -ENOMEM with *err filled; t is to be freed in any case. */
int trigger__parse(struct trigger *t, const char *text, struct expr_error *err);
void trigger__free(struct trigger *t);

/* trigger.c */
void trigger__fire(struct trigger_set *s, u32 i, const struct trigger_fired *f);

/* trigger_watch.c */
void watch__init(struct trigger_set *s);
void watch__done(struct trigger_set *s);

/* trigger_hint.c: a callsite is there. possible: a span or event of it could fire the trigger. */
void hint__callsite(struct trigger_set *s, u32 i, const struct callsite *c, bool possible);

/* trigger_show.c: one line into s->what. */
void show__subject(struct trigger_set *s, const struct expr_subject *subject);
void show__process_end(struct trigger_set *s, u32 pid, const char *comm, u32 status, bool known);

#endif
