/* SPDX-License-Identifier: MIT */
/*
 * reader.h - inside tape_reader: what its files share. tape_reader.c has the essay and the dispatch, reader_defs.c
 * the definitions (callsites, processes, threads), reader_spans.c spans and stacks, reader_values.c values and events,
 * reader_whole.c what is usual of spans and events.
 */
#ifndef TAPEBPF_READER_H
#define TAPEBPF_READER_H

#include "base/nearmap.h"
#include "tape/tape_format.h"
#include "tape/tape_reader.h"
#include "tape/tape_scan.h"

#define READER_MAX_PLACEHOLDERS (1u << 20)
/* What no program does; beyond it every exit would cost a walk through what a damaged tape piled up. */
#define READER_MAX_DEPTH 65536
#define READER_MAX_ENTRIES 4096
#define READER_NEAR_SITES 256
#define READER_NEAR_THREADS 64

struct read_callsite {
	struct callsite c;
	struct read_callsite *all; /* list of everything to be freed */
	struct read_callsite *previous; /* that had the same id */
	u64 id;			   /* in the tape */
	u32 field_cnt;		   /* as announced; c.field_cnt of them are kept */
	u32 seen;		   /* CALLSITE_FIELD records so far */
	bool told;		   /* the sink knows it: fixed from now on */
	bool typed;		   /* the types are known */
	u64 field_id[CALLSITE_MAX_FIELDS];
};

/* Values on their way to an event or the opening of a span. */
struct gather {
	struct gather *next_free;
	struct value *value; /* texts are offsets into `text` until gather__values */
	u32 cnt, cap;
	u64 fields; /* bit per field that has a value */
	char *text;
	size_t text_bytes, text_cap;
};

struct read_thread;
struct read_span;

/* A second id of a span; see tape_x_alias. */
struct read_alias {
	u64 id;
	struct read_span *span;
	struct read_alias *next; /* of the same span */
};

struct read_span {
	struct read_span *next_free;
	u64 id;	    /* in the tape */
	u64 number; /* told to the sink */
	u64 order;  /* of opening */
	struct read_callsite *callsite;
	struct gather *gather;	  /* opening values; NULL once told */
	struct read_thread **entry; /* threads it is entered on, oldest first; one of them in `one` */
	struct read_thread *one;
	u32 entry_cnt, entry_cap;
	struct read_alias *alias;
	bool told;
	bool context; /* opener and parent are known */
	struct span_open open;
};

struct read_entry {
	struct read_span *span;
	bool duplicate;
};

struct read_thread {
	struct thread t;
	u64 id; /* in the tape */
	struct read_entry *stack;
	u32 depth, cap;
	/* the event whose values are still coming */
	bool waiting;
	u32 want, got; /* values announced, seen */
	struct read_callsite *callsite;
	struct event event;
	u64 offset;
	struct gather *gather;
};

/* Extension records that say something about the next v0.1 record. */
enum pending { P_EXIT = 1, P_CLOSE = 2, P_SPAN = 4, P_LATE = 8, P_VALUE = 16, P_EVENT = 32 };

struct tape_reader {
	struct tape_scan *scan;
	struct tape_reader_ops ops;
	const struct sink *sink;
	struct tape_totals totals;
	u64 offset; /* of the record in hand */
	u64 last_ns; /* latest time read */
	int error;  /* no memory, or from the sink */
	bool ended;
	struct tape_raw peeked; /* with bytes: a record that run has still to take */

	bool own;	   /* a tape of tapebpf: ids are never re-used */
	bool ignore_extensions;
	u32 pending; /* enum pending */
	struct tape_x_exit x_exit;
	struct tape_x_close x_close;
	struct tape_x_span x_span;
	struct tape_x_late x_late;
	struct tape_x_value x_value;
	struct tape_x_event x_event;
	u32 synthetic; /* records still to be ignored */
	u8 procedure;

	struct idmap callsites, threads, processes, aliases;
	struct nearmap spans;
	struct read_callsite *all_callsites, *unknown_span, *unknown_event;
	u64 callsite_cnt, span_cnt;
	struct process unknown_process;
	/* those that were looked for last, by reader__near(id) */
	struct read_callsite *near_site[READER_NEAR_SITES]; /* told, and wholly defined */
	struct read_thread *near_thread[READER_NEAR_THREADS];
	struct span_open whole_open; /* scratch of reader_whole.c */
	struct value value[CALLSITE_MAX_FIELDS]; /* of the begin or event in hand, texts in the window */
	struct read_thread *last_thread;
	struct read_span *held; /* of an own tape: values of the opening follow at once */
	struct read_span *free_spans;
	struct gather *free_gathers;
	u32 placeholders;
};

/* Call the sink if it wants to know; keep the first error. */
#define TELL(r, call, ...) \
	do { \
		if ((r)->sink->ops->call && !(r)->error) { \
			int tell_err = (r)->sink->ops->call((r)->sink->ctx, __VA_ARGS__); \
			if (tell_err < 0) \
				(r)->error = tell_err; \
		} \
	} while (0)

#define DEFECT_AT(r, kind, ...) tape_scan__defect((r)->scan, TAPE_DEFECT_##kind, (r)->offset, __VA_ARGS__)

/* The whole of s64 fits into u64, in the same order. */
#define READER_TIME_OFFSET (1ULL << 63)

static inline u64 reader__time(struct tape_reader *r, s64 time)
{
	u64 ns = (u64)time + READER_TIME_OFFSET;

	if (ns > r->last_ns)
		r->last_ns = ns;
	return ns;
}

/* Ids are small numbers or addresses. */
static inline u32 reader__near(u64 id)
{
	return (u32)((id * 0x9e3779b97f4a7c15ULL) >> 48);
}

static inline struct read_callsite **reader__near_site(struct tape_reader *r, u64 id)
{
	return &r->near_site[reader__near(id) % READER_NEAR_SITES];
}

/* reader_defs.c */
void reader__callsite(struct tape_reader *r, const struct tape_raw *raw);
void reader__callsite_field(struct tape_reader *r, const struct tape_raw *raw);
void reader__callsite_types(struct tape_reader *r, const struct tape_raw *raw);
void reader__process(struct tape_reader *r, const struct tape_raw *raw);
void reader__thread(struct tape_reader *r, const struct tape_raw *raw);
void reader__trigger(struct tape_reader *r, const struct tape_raw *raw);
void reader__life(struct tape_reader *r, const struct tape_raw *raw);
/* For use by a span or event: never NULL but without memory; makes it known to the sink. */
struct read_callsite *reader__use_callsite(struct tape_reader *r, u64 id, bool is_span);
/* NULL if there is none. */
struct read_callsite *reader__find_callsite(struct tape_reader *r, u64 id);
struct read_callsite *reader__unknown_callsite(struct tape_reader *r, bool is_span);
/* Made at its first use; NULL without memory. */
struct read_thread *reader__get_thread(struct tape_reader *r, u64 id);
void reader__free_defs(struct tape_reader *r);

/* reader_values.c */
struct gather *gather__new(struct tape_reader *r);
void gather__put(struct tape_reader *r, struct gather *g);
/* The values with their texts in place. */
const struct value *gather__values(struct gather *g);
void gather__add(struct tape_reader *r, struct gather *g, struct read_callsite *c, const struct tape_raw *raw);
/* Decode one value record; texts that had to be converted are in *scratch (free it). */
int reader__value(struct tape_reader *r, struct read_callsite *c, const struct tape_raw *raw, struct value *v,
		  char **scratch);
void reader__event(struct tape_reader *r, const struct tape_raw *raw);
void reader__event_value(struct tape_reader *r, const struct tape_raw *raw, bool ignore);
void reader__event_done(struct tape_reader *r, struct read_thread *t);
void reader__free_gathers(struct tape_reader *r);

/* reader_whole.c: take the usual begins, ends and events at the cursor, as far as their records begin before `until` in the
 * file. */
void reader__whole(struct tape_reader *r, u64 until);

/* reader_spans.c */
/* Open and untold; NULL without memory. */
struct read_span *reader__new_span(struct tape_reader *r, u64 id);
void reader__remove_span(struct tape_reader *r, struct read_span *s);
void reader__span_open(struct tape_reader *r, const struct tape_raw *raw);
void reader__span_enter(struct tape_reader *r, const struct tape_raw *raw);
void reader__span_exit(struct tape_reader *r, const struct tape_raw *raw);
void reader__span_close(struct tape_reader *r, const struct tape_raw *raw);
void reader__span_value(struct tape_reader *r, const struct tape_raw *raw);
void reader__span_follows(struct tape_reader *r, const struct tape_raw *raw);
void reader__alias(struct tape_reader *r, const struct tape_raw *raw);
void reader__alias_end(struct tape_reader *r, const struct tape_raw *raw);
/* Hand the span's opening to the sink, if that is still to be done. */
void reader__tell_span(struct tape_reader *r, struct read_span *s);
/* The current span of a thread, NULL: none. */
struct read_span *reader__current(const struct read_thread *t);
u64 reader__span_number(struct tape_reader *r, u64 id);
/* The tape is at its end: close everything. */
void reader__cut(struct tape_reader *r);
void reader__free_spans(struct tape_reader *r);

#endif
