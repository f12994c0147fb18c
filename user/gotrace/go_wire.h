/* SPDX-License-Identifier: MIT */
/*
 * go_wire.h - bytes of one generation of a Go execution trace v2: events into batches a thread, strings and stacks
 * into tables, and the whole put together. Knows the format, and nothing of what is traced.
 *
 * Numbers of the format are those of Go's own documents and sources (internal/trace). Header 1.22: events 1 to 44.
 * Errors (no memory) are remembered: go_wire__seal tells. Not thread-safe.
 */
#ifndef TAPEBPF_GO_WIRE_H
#define TAPEBPF_GO_WIRE_H

#include "base/util.h"

#define GO_HEADER_BYTES 16
#define GO_NONE		(~0ULL)	      /* no thread, no proc */
#define GO_MAX_VARINT	10	      /* bytes */
#define GO_MAX_TEXT	1024	      /* bytes of a string */
#define GO_MAX_BATCH	65536	      /* bytes of a batch's payload */
#define GO_MAX_TIME	(1ULL << 53)  /* readers compute in double precision */

enum go_event {
	GO_BATCH = 1,
	GO_STACKS = 2,
	GO_STACK = 3,
	GO_STRINGS = 4,
	GO_STRING = 5,
	GO_FREQUENCY = 8,
	GO_PROCS_CHANGE = 9,	 /* count, stack */
	GO_PROC_START = 10,	 /* p, p_seq */
	GO_PROC_STOP = 11,
	GO_PROC_STATUS = 13,	 /* p, enum go_proc_status */
	GO_CREATE = 14,		 /* g, name stack, creator's stack */
	GO_START = 16,		 /* g, g_seq */
	GO_DESTROY = 17,
	GO_BLOCK = 20,		 /* reason, stack */
	GO_UNBLOCK = 21,	 /* g, g_seq, stack */
	GO_STATUS = 25,		 /* g, m, enum go_status */
	GO_LABEL = 39,		 /* text */
	GO_TASK_BEGIN = 40,	 /* task, parent, name, stack */
	GO_TASK_END = 41,	 /* task, stack */
	GO_REGION_BEGIN = 42,	 /* task, name, stack */
	GO_REGION_END = 43,	 /* task, name, stack */
	GO_LOG = 44,		 /* task, key, value, stack */
	GO_SYNC = 50,
	GO_CLOCK_SNAPSHOT = 51,
	GO_END_OF_GENERATION = 52,
};

enum go_proc_status { GO_PROC_RUNNING = 1, GO_PROC_IDLE = 2 };
enum go_status { GO_RUNNABLE = 1, GO_RUNNING = 2, GO_WAITING = 4 };

struct go_bytes {
	u8 *at;
	size_t cnt, cap;
};

/* The events of one thread in this generation. Zeroed at first; belongs to one struct go_wire. */
struct go_stream {
	u64 m;
	u64 start, last; /* raw times of the batch's first and last event */
	struct go_bytes payload;
	size_t limit; /* an event fits without further ado where payload.cnt is below it */
	struct go_stream *next; /* of those with events, in order of the first */
	bool listed;
};

/* What has an id in this generation, and the bytes that define it, one entry behind the other. */
struct go_slot {
	u64 hash; /* of the text; of a stack its pc */
	u32 offset, text_bytes; /* of the text in bytes.at */
	u64 id;	  /* 0: free */
};

struct go_table {
	struct go_slot *slot;
	u32 cnt, bits;
	struct go_bytes bytes;
};

struct go_wire {
	u32 version;		 /* 22 or 26 */
	u64 gen;		 /* number of the generation, from 1 */
	struct go_stream *first, **last;
	struct go_bytes events;	 /* batches that are full */
	struct go_table strings, stacks;
	struct go_bytes out;
	int err;
};

void go_wire__init(struct go_wire *w, u32 version);
void go_wire__done(struct go_wire *w);
/* Its events so far become a batch: before those of another stream of the same m. */
void go_stream__flush(struct go_wire *w, struct go_stream *s);
/* Streams have memory of their own; what they hold must have been flushed or sealed. */
void go_stream__done(struct go_stream *s);

/* The 16 bytes a file begins with. */
void go_wire__header(u8 dst[GO_HEADER_BYTES], u32 version);

/* Id of a text in this generation; at most GO_MAX_TEXT bytes of it are kept. "" is 0. */
u64 go_wire__string(struct go_wire *w, const char *s, size_t bytes);

/* Id of a stack of one frame. pc must mean the same frame in the whole file. */
u64 go_wire__stack(struct go_wire *w, u64 pc, const char *func, size_t func_bytes, const char *file,
		   size_t file_bytes, u64 line);

static inline u8 *go_varint(u8 *at, u64 v)
{
	while (v >= 0x80) {
		*at++ = (u8)(v | 0x80);
		v >>= 7;
	}
	*at++ = (u8)v;
	return at;
}

/* Room for an event in the stream's batch, a new one if need be. false: no memory, which is remembered. */
bool go_stream__prepare(struct go_wire *w, struct go_stream *s, u64 time);

/*
 * An event in three steps, for the most frequent ones: its type and time; GO_MAX_ARG_BYTES at most by the caller; its end. NULL: no
 * memory, which is remembered. Raw times of a stream must not go back.
 */
#define GO_MAX_ARG_BYTES 48
static inline u8 *go_event__begin(struct go_wire *w, struct go_stream *s, u64 time, enum go_event type)
{
	u8 *at;

	if (__builtin_expect(s->payload.cnt >= s->limit, 0) && !go_stream__prepare(w, s, time))
		return NULL;
	at = s->payload.at + s->payload.cnt;
	*at++ = (u8)type;
	at = go_varint(at, time - s->last);
	s->last = time;
	return at;
}

static inline void go_event__end(struct go_stream *s, const u8 *at)
{
	s->payload.cnt = at - s->payload.at;
}

/* The same at once. */
void go_wire__event(struct go_wire *w, struct go_stream *s, u64 time, enum go_event type, const u64 *arg, u32 arg_cnt);

#define GO_EVENT(w, s, time, type, ...)                                                              \
	({                                                                                           \
		const u64 go_arg[] = { __VA_ARGS__ };                                                \
		go_wire__event(w, s, time, type, go_arg, sizeof(go_arg) / sizeof(go_arg[0]));        \
	})

struct go_clock {
	u64 mono_ns; /* at raw time `time` */
	s64 real_ns;
};

/*
 * The generation's bytes, valid until the next call; the next generation begins. time: its start, raw, at least 1.
 * Frequency (sync), stacks, strings, then events. clock: for headers from 1.25. 0, or -ENOMEM: the generation is
 * gone.
 */
int go_wire__seal(struct go_wire *w, u64 time, const struct go_clock *clock, const u8 **bytes, size_t *cnt);

#endif
