/* SPDX-License-Identifier: MIT */
/* go_wire.c - see go_wire.h. */
#include "gotrace/go_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EVENT_MAX   64 /* bytes: a number, a time difference, arguments (GO_MAX_ARG_BYTES) */
#define FIRST_BITS  8
#define TICKS_A_SEC 1000000000ULL /* raw times are ns */

/* --- bytes ------------------------------------------------------------------------------------------------------- */

static int grow(struct go_bytes *b, size_t more)
{
	size_t cap = MAX(b->cap * 2, 256);
	u8 *at;

	while (cap < b->cnt + more)
		cap *= 2;
	at = realloc(b->at, cap);
	if (!at)
		return -ENOMEM;
	b->at = at;
	b->cap = cap;
	return 0;
}

/* Make room; false: no memory, which is remembered. */
static inline bool room(struct go_wire *w, struct go_bytes *b, size_t more)
{
	if (b->cap - b->cnt >= more)
		return true;
	if (grow(b, more) == 0)
		return true;
	w->err = -ENOMEM;
	return false;
}

static void put_bytes(struct go_wire *w, struct go_bytes *b, const void *bytes, size_t cnt)
{
	if (!cnt || !room(w, b, cnt))
		return;
	memcpy(b->at + b->cnt, bytes, cnt);
	b->cnt += cnt;
}

static void put_varint(struct go_wire *w, struct go_bytes *b, u64 v)
{
	if (room(w, b, 10))
		b->cnt = go_varint(b->at + b->cnt, v) - b->at;
}

static void put_batch(struct go_wire *w, struct go_bytes *dst, u64 m, u64 time, const void *payload, size_t cnt)
{
	put_varint(w, dst, GO_BATCH);
	put_varint(w, dst, w->gen);
	put_varint(w, dst, m);
	put_varint(w, dst, time);
	put_varint(w, dst, cnt);
	put_bytes(w, dst, payload, cnt);
}

void go_wire__header(u8 dst[GO_HEADER_BYTES], u32 version)
{
	char text[GO_HEADER_BYTES + 16];

	memset(dst, 0, GO_HEADER_BYTES);
	memcpy(dst, text, snprintf(text, sizeof(text), "go 1.%u trace", version % 100));
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

static u64 mix(u64 h)
{
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ULL;
	h ^= h >> 29;
	return h;
}

static u64 hash_text(const char *s, size_t bytes)
{
	u64 h = bytes * 0x9e3779b97f4a7c15ULL, word;

	for (; bytes >= 8; s += 8, bytes -= 8) {
		memcpy(&word, s, 8);
		h = mix(h ^ word);
	}
	word = 0;
	memcpy(&word, s, bytes);
	return mix(h ^ word);
}

static bool more_slots(struct go_wire *w, struct go_table *t)
{
	u32 bits = t->slot ? t->bits + 1 : FIRST_BITS;
	struct go_slot *bigger = calloc(1ULL << bits, sizeof(*bigger));
	u64 i, k, mask = (1ULL << bits) - 1;

	if (!bigger) {
		w->err = -ENOMEM;
		return false;
	}
	for (i = 0; t->slot && i < 1ULL << t->bits; i++) {
		if (!t->slot[i].id)
			continue;
		for (k = mix(t->slot[i].hash) & mask; bigger[k].id; k = (k + 1) & mask)
			;
		bigger[k] = t->slot[i];
	}
	free(t->slot);
	t->slot = bigger;
	t->bits = bits;
	return true;
}

/* The slot of a text (of a stack: no text), or the free one that it takes. NULL: no memory. */
static struct go_slot *place(struct go_wire *w, struct go_table *t, u64 hash, const char *s, size_t bytes)
{
	struct go_slot *slot;
	u64 i, mask;

	if ((!t->slot || t->cnt >= 3U << (t->bits - 2)) && !more_slots(w, t))
		return NULL;
	mask = (1ULL << t->bits) - 1;
	for (i = mix(hash) & mask;; i = (i + 1) & mask) {
		slot = &t->slot[i];
		if (!slot->id)
			return slot;
		if (slot->hash == hash && slot->text_bytes == bytes &&
		    (!bytes || !memcmp(t->bytes.at + slot->offset, s, bytes)))
			return slot;
	}
}

u64 go_wire__string(struct go_wire *w, const char *s, size_t bytes)
{
	struct go_table *t = &w->strings;
	struct go_slot *slot;
	u64 hash;

	bytes = MIN(bytes, GO_MAX_TEXT);
	if (!bytes)
		return 0;
	hash = hash_text(s, bytes);
	slot = place(w, t, hash, s, bytes);
	if (!slot)
		return 0;
	if (slot->id)
		return slot->id;
	if (t->bytes.cnt > UINT32_MAX - GO_MAX_TEXT - 32 || !room(w, &t->bytes, bytes + 32)) {
		w->err = -ENOMEM;
		return 0;
	}
	put_varint(w, &t->bytes, GO_STRING);
	put_varint(w, &t->bytes, ++t->cnt);
	put_varint(w, &t->bytes, bytes);
	*slot = (struct go_slot){ hash, (u32)t->bytes.cnt, (u32)bytes, t->cnt };
	put_bytes(w, &t->bytes, s, bytes);
	return t->cnt;
}

u64 go_wire__stack(struct go_wire *w, u64 pc, const char *func, size_t func_bytes, const char *file,
		   size_t file_bytes, u64 line)
{
	struct go_table *t = &w->stacks;
	struct go_slot *slot = place(w, t, pc, NULL, 0);
	u64 func_id, file_id;

	if (!slot)
		return 0;
	if (slot->id)
		return slot->id;
	func_id = go_wire__string(w, func, func_bytes);
	file_id = go_wire__string(w, file, file_bytes);
	*slot = (struct go_slot){ .hash = pc, .id = ++t->cnt };
	put_varint(w, &t->bytes, GO_STACK);
	put_varint(w, &t->bytes, t->cnt);
	put_varint(w, &t->bytes, 1);
	put_varint(w, &t->bytes, pc);
	put_varint(w, &t->bytes, func_id);
	put_varint(w, &t->bytes, file_id);
	put_varint(w, &t->bytes, line);
	return t->cnt;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

static void finish_batch(struct go_wire *w, struct go_stream *s)
{
	put_batch(w, &w->events, s->m, s->start, s->payload.at, s->payload.cnt);
	s->payload.cnt = s->limit = 0;
}

bool go_stream__prepare(struct go_wire *w, struct go_stream *s, u64 time)
{
	if (s->payload.cnt > GO_MAX_BATCH - EVENT_MAX)
		finish_batch(w, s);
	if (!room(w, &s->payload, EVENT_MAX))
		return false;
	if (!s->payload.cnt)
		s->start = s->last = time;
	if (!s->listed) {
		s->listed = true;
		s->next = NULL;
		*w->last = s;
		w->last = &s->next;
	}
	s->limit = MIN(s->payload.cap, GO_MAX_BATCH) - EVENT_MAX + 1;
	return true;
}

void go_wire__event(struct go_wire *w, struct go_stream *s, u64 time, enum go_event type, const u64 *arg, u32 arg_cnt)
{
	u8 *at = go_event__begin(w, s, time, type);
	u32 i;

	if (!at)
		return;
	for (i = 0; i < arg_cnt; i++)
		at = go_varint(at, arg[i]);
	go_event__end(s, at);
}

void go_stream__flush(struct go_wire *w, struct go_stream *s)
{
	if (s->payload.cnt)
		finish_batch(w, s);
}

void go_stream__done(struct go_stream *s)
{
	free(s->payload.at);
	s->payload = (struct go_bytes){ 0 };
	s->limit = 0;
}

/* --- the whole generation ------------------------------------------------------------------------------------------ */

static void put_frequency(struct go_wire *w, u64 time)
{
	u8 payload[16], *end;

	payload[0] = GO_FREQUENCY;
	end = go_varint(payload + 1, TICKS_A_SEC);
	put_batch(w, &w->out, GO_NONE, time, payload, end - payload);
}

/* Since 1.25: frequency and clocks in one batch. */
static void put_sync(struct go_wire *w, u64 time, const struct go_clock *clock)
{
	/* Go's own readers want each clock above zero */
	u64 real = clock->real_ns > 0 ? clock->real_ns : 1;
	u8 payload[64], *at = payload;

	*at++ = GO_SYNC;
	*at++ = GO_FREQUENCY;
	at = go_varint(at, TICKS_A_SEC);
	*at++ = GO_CLOCK_SNAPSHOT;
	at = go_varint(at, 1);
	at = go_varint(at, MAX(clock->mono_ns, 1));
	at = go_varint(at, real / NSEC_PER_SEC);
	at = go_varint(at, real % NSEC_PER_SEC);
	put_batch(w, &w->out, GO_NONE, time - 1, payload, at - payload);
}

/* Bytes of the varint at p. */
static size_t varint_bytes(const u8 *p)
{
	size_t n = 1;

	while (p[n - 1] & 0x80)
		n++;
	return n;
}

static u64 read_varint(const u8 *p)
{
	u64 v = 0;
	u32 shift = 0;

	do
		v |= (u64)(*p & 0x7f) << shift;
	while (shift += 7, *p++ & 0x80);
	return v;
}

/* Bytes of the string entry at p. */
static size_t string_bytes(const u8 *p)
{
	size_t n = 1 + varint_bytes(p + 1);

	return n + varint_bytes(p + n) + read_varint(p + n);
}

static size_t stack_bytes(const u8 *p)
{
	size_t n = 1;
	int i;

	for (i = 0; i < 6; i++)
		n += varint_bytes(p + n);
	return n;
}

/* A table in as few batches as it needs; each begins with the table's kind, and entries are not torn. */
static void put_table(struct go_wire *w, const struct go_bytes *table, u8 kind, u64 time, size_t (*entry_bytes)(const u8 *))
{
	size_t at = 0, end, next;

	while (at < table->cnt) {
		for (end = at; end < table->cnt; end = next) {
			next = end + entry_bytes(table->at + end);
			if (1 + next - at > GO_MAX_BATCH)
				break;
		}
		put_varint(w, &w->out, GO_BATCH);
		put_varint(w, &w->out, w->gen);
		put_varint(w, &w->out, GO_NONE);
		put_varint(w, &w->out, time);
		put_varint(w, &w->out, 1 + end - at);
		put_varint(w, &w->out, kind);
		put_bytes(w, &w->out, table->at + at, end - at);
		at = end;
	}
}

static void clear_table(struct go_table *t)
{
	if (t->slot)
		memset(t->slot, 0, sizeof(*t->slot) << t->bits);
	t->cnt = 0;
	t->bytes.cnt = 0;
}

static void next_generation(struct go_wire *w)
{
	struct go_stream *s;

	for (s = w->first; s; s = s->next) {
		s->listed = false;
		s->payload.cnt = s->limit = 0;
	}
	w->first = NULL;
	w->last = &w->first;
	w->events.cnt = 0;
	clear_table(&w->strings);
	clear_table(&w->stacks);
	w->gen++;
}

int go_wire__seal(struct go_wire *w, u64 time, const struct go_clock *clock, const u8 **bytes, size_t *cnt)
{
	struct go_stream *s;
	int err;

	for (s = w->first; s; s = s->next)
		go_stream__flush(w, s);
	w->out.cnt = 0;
	if (w->version >= 25)
		put_sync(w, time, clock);
	else
		put_frequency(w, time);
	put_table(w, &w->stacks.bytes, GO_STACKS, time, stack_bytes);
	put_table(w, &w->strings.bytes, GO_STRINGS, time, string_bytes);
	put_bytes(w, &w->out, w->events.at, w->events.cnt);
	if (w->version >= 26)
		put_varint(w, &w->out, GO_END_OF_GENERATION);
	err = w->err;
	w->err = 0;
	next_generation(w);
	*bytes = w->out.at;
	*cnt = w->out.cnt;
	return err;
}

void go_wire__init(struct go_wire *w, u32 version)
{
	*w = (struct go_wire){ .version = version, .gen = 1 };
	w->last = &w->first;
}

void go_wire__done(struct go_wire *w)
{
	free(w->events.at);
	free(w->strings.bytes.at);
	free(w->strings.slot);
	free(w->stacks.bytes.at);
	free(w->stacks.slot);
	free(w->out.at);
}
