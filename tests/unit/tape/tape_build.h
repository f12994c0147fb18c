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

/* Where each record begins, to cut and pad between them. */
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

#endif
