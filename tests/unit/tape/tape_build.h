/* SPDX-License-Identifier: MIT */
/*
 * tape_build.h - tapes by hand, valid or not, for the tests of the readers. Appends to a buffer; build__path makes it a
 * file that can be opened. Test helper: static, included by the tests.
 */
#ifndef TAPE_BUILD_H
#define TAPE_BUILD_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/sink.h"
#include "tape/tape_format.h"

struct build {
	u8 *data;
	size_t bytes, cap;
	int fd;
	char path[64];
};

static inline void build__bytes(struct build *b, const void *data, size_t bytes)
{
	if (b->bytes + bytes > b->cap) {
		b->cap = (b->bytes + bytes) * 2;
		b->data = realloc(b->data, b->cap);
	}
	if (bytes)
		memcpy(b->data + b->bytes, data, bytes);
	b->bytes += bytes;
}

static inline void build__init(struct build *b, u8 exponent, s64 base)
{
	struct tape_intro_rec i = { .magic = "TAPEFIL", .major = 0, .minor = 1, .exponent = exponent, .base_lo = base,
				    .base_hi = base < 0 ? -1 : 0 };

	i.magic[7] = 'E';
	*b = (struct build){ .fd = -1 };
	build__bytes(b, &i, sizeof(i));
}

/* A file with the bytes so far. */
static inline const char *build__path(struct build *b)
{
	if (b->fd < 0)
		b->fd = memfd_create("tape", MFD_CLOEXEC);
	if (ftruncate(b->fd, 0) < 0 || pwrite(b->fd, b->data, b->bytes, 0) != (ssize_t)b->bytes)
		abort();
	snprintf(b->path, sizeof(b->path), "/proc/self/fd/%d", b->fd);
	return b->path;
}

static inline void build__done(struct build *b)
{
	free(b->data);
	if (b->fd >= 0)
		close(b->fd);
}

#define BUILD(b, kind_, type_, ...) \
	do { \
		type_ rec_ = { .h = { kind_, sizeof(type_) }, __VA_ARGS__ }; \
		build__bytes(b, &rec_, sizeof(rec_)); \
	} while (0)

static inline void build__callsite(struct build *b, u8 info, u64 id, const char *name, u16 fields)
{
	struct tape_callsite c = { .h = { TAPE_CALLSITE, sizeof(c) + strlen(name) + 1 + 1 + 3 }, .info = info,
				   .field_cnt = fields, .name_len = strlen(name), .target_len = 1, .module_len = 1,
				   .file_len = 3, .line = 7, .id = id };

	build__bytes(b, &c, sizeof(c));
	build__bytes(b, name, strlen(name));
	build__bytes(b, "tmf.c", 5);
}

static inline void build__field(struct build *b, u64 callsite, u64 id, const char *name)
{
	struct tape_callsite_field f = { .h = { TAPE_CALLSITE_FIELD, sizeof(f) + strlen(name) }, .name_len = strlen(name),
					 .callsite = callsite, .id = id };

	build__bytes(b, &f, sizeof(f));
	build__bytes(b, name, strlen(name));
}

static inline void build__open(struct build *b, u64 span, u64 callsite, s64 time, u64 parent, u8 kind)
{
	BUILD(b, TAPE_SPAN_OPEN, struct tape_span_open, .span = span, .parent = parent, .callsite = callsite, .time = time,
	      .parent_kind = kind);
}

static inline void build__enter(struct build *b, u64 span, s64 time, u64 thread)
{
	BUILD(b, TAPE_SPAN_ENTER, struct tape_span_enter, .span = span, .time = time, .thread = thread);
}

static inline void build__exit(struct build *b, u64 span, s64 time)
{
	BUILD(b, TAPE_SPAN_EXIT, struct tape_span_end, .span = span, .time = time);
}

static inline void build__close(struct build *b, u64 span, s64 time)
{
	BUILD(b, TAPE_SPAN_CLOSE, struct tape_span_end, .span = span, .time = time);
}

static inline void build__event(struct build *b, u64 callsite, s64 time, u64 thread, u16 values)
{
	BUILD(b, TAPE_EVENT, struct tape_event, .value_cnt = values, .time = time, .callsite = callsite, .thread = thread);
}

static inline void build__value(struct build *b, u8 kind, u8 type, u64 field, u64 owner, const void *data, u16 bytes)
{
	struct tape_value v = { .h = { kind, sizeof(v) + bytes }, .type = type, .field = field, .owner = owner };

	build__bytes(b, &v, sizeof(v));
	build__bytes(b, data, bytes);
}

static inline void build__u64(struct build *b, u8 kind, u64 field, u64 owner, u64 value)
{
	build__value(b, kind, TAPE_U64, field, owner, &value, 8);
}

static inline void build__synthetic(struct build *b, u8 procedure, u16 count)
{
	BUILD(b, TAPE_X_SYNTHETIC, struct tape_x_synthetic, .procedure = procedure, .count = count);
}

/* The annotated example of the format's description: one span with a field, one event in it. 342 bytes. */
static inline void build__example(struct build *b)
{
	struct tape_callsite work = { .h = { TAPE_CALLSITE, 41 }, .info = 0x0a, .field_cnt = 1, .name_len = 4, .target_len = 4,
				      .module_len = 4, .file_len = 3, .line = 7, .id = 0x1001 };
	struct tape_callsite ev = { .h = { TAPE_CALLSITE, 39 }, .info = 0x03, .field_cnt = 1, .name_len = 2, .target_len = 4,
				    .module_len = 4, .file_len = 3, .line = 9, .id = 0x1002 };

	build__init(b, 20, 1700000000000000000LL);
	build__bytes(b, &work, sizeof(work));
	build__bytes(b, "workdemodemoa.c", 15);
	build__field(b, 0x1001, 0x2001, "n");
	build__bytes(b, &ev, sizeof(ev));
	build__bytes(b, "evdemodemoa.c", 13);
	build__field(b, 0x1002, 0x2002, "message");
	build__open(b, 0x51, 0x1001, 1000, 0, TAPE_PARENT_CURRENT);
	build__u64(b, TAPE_SPAN_VALUE, 0x2001, 0x51, 42);
	build__enter(b, 0x51, 1100, 1234);
	build__event(b, 0x1002, 1200, 1234, 1);
	build__value(b, TAPE_EVENT_VALUE, TAPE_STR, 0x2002, 1234, "hi", 2);
	build__exit(b, 0x51, 1500);
	build__close(b, 0x51, 1600);
}

/* Callsites 1 (span, fields 11 "a", 12 "b"), 2 (event, the same), 3 (span without fields). */
static inline void build__callsites(struct build *b)
{
	build__callsite(b, 0x0a, 1, "sp", 2);
	build__field(b, 1, 11, "a");
	build__field(b, 1, 12, "b");
	build__callsite(b, 0x02, 2, "ev", 2);
	build__field(b, 2, 11, "a");
	build__field(b, 2, 12, "b");
	build__callsite(b, 0x0a, 3, "bare", 0);
}

static inline void build__texts(struct build *b, size_t record_bytes, const char *texts)
{
	u16 len;

	memcpy(&len, b->data + b->bytes - record_bytes + 1, 2);
	len += strlen(texts);
	memcpy(b->data + b->bytes - record_bytes + 1, &len, 2);
	build__bytes(b, texts, strlen(texts));
}

/* The extension before a SPAN_OPEN, in its short form. */
static inline void build__context(struct build *b, u64 span, u64 thread, u64 parent)
{
	BUILD(b, TAPE_X_SPAN, struct tape_x_span, .span = span, .thread = thread, .parent = parent);
	b->data[b->bytes - sizeof(struct tape_x_span) + 1] = TAPE_X_SPAN_MIN;
	b->bytes -= sizeof(struct tape_x_span) - TAPE_X_SPAN_MIN;
}

/* A valid tape of ours with every kind of record in it; lost and stored add up, the checksum is the caller's. */
static inline void build__everything(struct build *b, u8 exponent)
{
	static const u8 wide[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

	build__init(b, exponent, 1700000000000000000LL);
	BUILD(b, TAPE_X_GENERATION, struct tape_x_generation, .version = TAPE_X_VERSION, .end = INT64_MAX);
	BUILD(b, TAPE_X_CLOCK, struct tape_x_clock, .clock = 1, .value = 5);
	BUILD(b, TAPE_X_PROCESS, struct tape_x_process, .process = 1, .pid = 100, .ns_pid = 100, .parent_pid = 1,
	      .comm_len = 4, .exe_len = 4, .cmdline_len = 7);
	build__texts(b, sizeof(struct tape_x_process), "shop/bin" "shop -v");
	BUILD(b, TAPE_X_THREAD, struct tape_x_thread, .thread = 7, .process = 1, .pid = 100, .tid = 101, .ns_tid = 101,
	      .name_len = 4);
	build__texts(b, sizeof(struct tape_x_thread), "main");
	BUILD(b, TAPE_X_THREAD, struct tape_x_thread, .thread = 8, .process = 1, .pid = 100, .tid = 102, .ns_tid = 102,
	      .name_len = 6);
	build__texts(b, sizeof(struct tape_x_thread), "worker");
	build__callsites(b);
	BUILD(b, TAPE_X_CALLSITE, struct tape_x_callsite, .callsite = 3, .foreign = 1, .field_cnt = 0);
	build__context(b, 50, 7, 0);
	build__open(b, 50, 1, 10, 0, TAPE_PARENT_CURRENT);
	build__synthetic(b, TAPE_P_FIELD, 1);
	build__value(b, TAPE_SPAN_VALUE, TAPE_STR, 11, 50, "", 0);
	BUILD(b, TAPE_X_VALUE, struct tape_x_value, .owner = 50, .field = 12, .flags = TAPE_V_TRUNCATED, .original = 99,
	      .type = WIRE_T_STR);
	build__value(b, TAPE_SPAN_VALUE, TAPE_STR, 12, 50, "text", 4);
	build__enter(b, 50, 11, 7);
	BUILD(b, TAPE_X_ALIAS, struct tape_x_alias, .alias = 900, .span = 50);
	build__synthetic(b, TAPE_P_ALIAS, 1);
	build__open(b, 900, 1, 12, 0, TAPE_PARENT_ROOT);
	build__enter(b, 900, 12, 8);
	BUILD(b, TAPE_X_EVENT, struct tape_x_event, .thread = 8, .parent_kind = TAPE_PARENT_ROOT);
	build__event(b, 2, 13, 8, 2);
	build__value(b, TAPE_EVENT_VALUE, TAPE_I128, 11, 8, wide, 16);
	build__value(b, TAPE_EVENT_VALUE, TAPE_BOOL, 12, 8, wide, 1);
	BUILD(b, TAPE_X_EXIT, struct tape_x_exit, .span = 900, .time = 14, .thread = 8);
	build__exit(b, 900, 14);
	build__synthetic(b, TAPE_P_ALIAS, 1);
	build__close(b, 900, 14);
	BUILD(b, TAPE_X_LATE, struct tape_x_late, .span = 50, .time = 15, .thread = 7);
	build__value(b, TAPE_SPAN_VALUE, TAPE_F64, 11, 50, wide, 8);
	BUILD(b, TAPE_X_LATE, struct tape_x_late, .span = 50, .time = 16, .thread = 7);
	BUILD(b, TAPE_SPAN_FOLLOWS, struct tape_span_follows, .span = 50, .follows = 40);
	build__event(b, 2, 17, 7, 2);
	build__value(b, TAPE_EVENT_VALUE, TAPE_ERROR, 11, 7, "no\x1b", 3);
	build__value(b, TAPE_EVENT_VALUE, TAPE_I64, 12, 7, wide, 8);
	build__context(b, 51, 7, 50);
	build__open(b, 51, 3, 18, 0, TAPE_PARENT_CURRENT);
	build__enter(b, 51, 18, 7);
	BUILD(b, TAPE_X_EXIT, struct tape_x_exit, .span = 51, .time = 19, .thread = 7, .why = SINK_ABANDONED);
	build__exit(b, 51, 19);
	BUILD(b, TAPE_X_CLOSE, struct tape_x_close, .span = 51, .dropped = 19, .why = SINK_ABANDONED);
	build__close(b, 51, 19);
	build__exit(b, 50, 20);
	build__close(b, 50, 20);
	BUILD(b, TAPE_X_LOSS, struct tape_x_loss, .from = 1, .to = 20, .cpu = ~0u, .callsite = 2, .cause = 1, .count = 3,
	      .thread = 7);
	BUILD(b, TAPE_X_TRIGGER, struct tape_x_trigger, .time = 20, .pid = 100, .tid = 101, .trigger_len = 4, .what_len = 6);
	build__texts(b, sizeof(struct tape_x_trigger), "exit" "shop\x1b!");
	BUILD(b, TAPE_X_LIFE, struct tape_x_life, .what = 0, .id = 8, .end = 21);
	BUILD(b, TAPE_X_LIFE, struct tape_x_life, .what = 1, .id = 1, .end = 22, .status = 9, .known = 1);
	BUILD(b, TAPE_X_TOTALS, struct tape_x_totals, .time = 22, .emitted = 13, .stored = 10, .lost = 3, .spans = 2,
	      .events = 2, .complete = 21);
	BUILD(b, TAPE_X_SKIP, struct tape_x_checksum, .crc = 0);
}

#endif
