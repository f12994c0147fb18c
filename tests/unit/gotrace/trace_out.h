/* SPDX-License-Identifier: MIT */
/*
 * trace_out.h - where the tests of this room write traces: into memory, and with KEEP_TRACES=FOLDER into files as well, for the
 * readers of Go (tests/conformance).
 */
#ifndef TAPEBPF_TRACE_OUT_H
#define TAPEBPF_TRACE_OUT_H

#include <stdio.h>
#include <string.h>

#include "gotrace/go_wire.h"
#include "gotrace/gotrace.h"

struct trace_out {
	u8 *bytes;
	size_t cnt, cap;
	u32 writes;
	size_t fail_after; /* bytes; 0: never */
};

static inline int trace_out__write(void *ctx, const void *bytes, size_t cnt)
{
	struct trace_out *o = ctx;

	o->writes++;
	if (o->fail_after && o->cnt + cnt > o->fail_after)
		return -28 /* ENOSPC */;
	if (o->cnt + cnt > o->cap) {
		o->cap = 2 * (o->cnt + cnt);
		o->bytes = realloc(o->bytes, o->cap);
		assert_non_null(o->bytes);
	}
	memcpy(o->bytes + o->cnt, bytes, cnt);
	o->cnt += cnt;
	return 0;
}

static inline u64 trace_out__varint(const u8 **p)
{
	u64 v = 0;
	u32 shift = 0;

	do
		v |= (u64)(**p & 0x7f) << shift;
	while (shift += 7, *(*p)++ & 0x80);
	return v;
}

/* Header and batches are whole and in order; returns the number of generations. */
static inline u64 trace_out__walk(const struct trace_out *o, u32 version)
{
	const u8 *p = o->bytes + GO_HEADER_BYTES, *end = o->bytes + o->cnt;
	u8 header[GO_HEADER_BYTES];
	u64 gen = 0, now, bytes;

	go_wire__header(header, version);
	assert_true(o->cnt > sizeof(header));
	assert_memory_equal(o->bytes, header, sizeof(header));
	while (p < end) {
		if (*p == GO_END_OF_GENERATION) {
			assert_int_equal(version, 26);
			p++;
			continue;
		}
		assert_int_equal(*p++, GO_BATCH);
		now = trace_out__varint(&p);
		assert_true(now == gen || now == gen + 1);
		gen = now;
		trace_out__varint(&p);
		assert_true(trace_out__varint(&p) <= GO_MAX_TIME + (1 << 30));
		bytes = trace_out__varint(&p);
		assert_true(bytes <= GO_MAX_BATCH);
		p += bytes;
	}
	assert_ptr_equal(p, end);
	return gen;
}

static inline bool trace_out__has(const struct trace_out *o, const char *text)
{
	return memmem(o->bytes, o->cnt, text, strlen(text));
}

static inline void trace_out__keep(const struct trace_out *o, const char *name)
{
	const char *folder = getenv("KEEP_TRACES");
	char path[4096];
	FILE *f;

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/%s.trace", folder, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(o->bytes, 1, o->cnt, f), o->cnt);
	assert_int_equal(fclose(f), 0);
}

static inline void trace_out__done(struct trace_out *o)
{
	free(o->bytes);
	*o = (struct trace_out){ 0 };
}

#endif
