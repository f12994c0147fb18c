/* SPDX-License-Identifier: MIT */
/*
 * show.h - the views of `dump`: sinks that print. Each keeps the first write error in its FILE; the command looks there.
 */
#ifndef TAPEBPF_SHOW_H
#define TAPEBPF_SHOW_H

#include <stdio.h>

#include "base/outbuf.h"
#include "model/sink.h"

struct show {
	FILE *out;
	bool color;
	bool spans;   /* text: a line for each step of a span's life */
	bool threads; /* text: name the thread */
	u64 max_nodes; /* tree: kept at one time, see dump_tree.c */
	/* wall clock of a sink's time */
	s64 base_ns; /* the tape's base, Unix time */
	s64 (*unix_ns)(void *ctx, u64 time_ns);
	void *ctx;
};

/* A view: feed the sink, then finish (prints what is still held) and free. NULL: no memory. */
struct view {
	struct sink sink;
	void (*finish)(void *ctx); /* may be NULL */
	int (*flush)(void *ctx);   /* what has been said goes to the stream; the first error so far (errno). May be NULL */
	void (*free)(void *ctx);
};

/* dump_text.c, dump_tree.c, dump_json.c; 0 or -ENOMEM */
int view__text(struct view *v, const struct show *s);
int view__tree(struct view *v, const struct show *s);
int view__json(struct view *v, const struct show *s);

/* --- show.c: what the views share ------------------------------------------------------------------------ */

enum style { STYLE_NONE, STYLE_DIM, STYLE_BOLD, STYLE_FIELD, STYLE_LEVEL /* + enum wire_level */ };

void show__style(const struct show *s, int style); /* begin; STYLE_NONE ends */
/* "2023-11-14T22:13:20.000001Z", with digits 6 or 9 of the second's fraction */
void show__time(FILE *f, s64 unix_ns, int digits);
/* The same by the million: the date is spelled once a second. */
struct stamp {
	bool known;
	s64 from_ns;   /* the second's first ns, Unix time */
	char text[32]; /* "2023-11-14T22:13:20." */
	u32 bytes;
};
void stamp__spell(struct stamp *s, s64 unix_ns);
/* Of the second's fraction. */
static inline u32 stamp__ns(struct stamp *s, s64 unix_ns)
{
	if (!s->known || (u64)unix_ns - (u64)s->from_ns >= NSEC_PER_SEC)
		stamp__spell(s, unix_ns);
	return (u32)((u64)unix_ns - (u64)s->from_ns);
}

/* "INFO" */
const char *show__level(u8 level);
/* "1.5ms" */
void show__duration(FILE *f, u64 ns);
/* As Rust's Debug would show it: texts in quotes, but not `message`. For people. */
void show__value(FILE *f, const struct value *v, bool quoted);
/* The same as a text of its own (free it), quoted; NULL: no memory. */
char *show__value_text(const struct value *v);
/* The number as JSON; texts in quotes. */
void show__json_value(FILE *f, const struct value *v);
/* "u64", "str" ... */
const char *show__type(u8 type);
/* "abandoned", "cut" ...; NULL for SINK_OWN */
const char *show__why(enum sink_why why);
/* "worker/1234" */
void show__thread(FILE *f, const struct thread *t);
/* "TRIGGER span:order>50ms: span order 62ms ..." and a newline */
void show__trigger(FILE *f, const struct sink_trigger *t);
/* A name, made harmless. */
void show__text(FILE *f, const char *text);
/* Is this the field that holds an event's words? */
bool show__is_message(const struct callsite *c, u32 field);

/* Entries of one span, for its busy time: at least one open. */
struct busy {
	u32 open;
	u64 entries, since_ns, total_ns;
};

static inline void busy__enter(struct busy *b, u64 time_ns)
{
	b->entries++;
	if (!b->open++)
		b->since_ns = time_ns;
}

static inline void busy__exit(struct busy *b, u64 time_ns)
{
	if (b->open && !--b->open && time_ns > b->since_ns)
		b->total_ns += time_ns - b->since_ns;
}

#endif
