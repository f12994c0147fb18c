/* SPDX-License-Identifier: MIT */
/*
 * gen_batch DIRECTORY - writes the seeds of fuzz_batch: valid deliveries, in the orders that matter.
 */
#include <stdio.h>

#include "../unit/ingest/page_sim.h"

static FILE *out;
static u64 now = 1000000;

static void step(int what, int arg, const void *data, u32 bytes)
{
	u8 head[4] = { what << 1, arg, bytes, bytes >> 8 };

	fwrite(head, 1, sizeof(head), out);
	fwrite(data, 1, bytes, out);
}

static void deliver(const struct sim_page *s, int what, u32 why)
{
	static struct sim_delivery d;
	u32 bytes = sim__deliver(s, &d, why, 0, s->h.pid, s->h.tid, now);

	step(what, 0, &d, bytes);
}

static void advance(void)
{
	u64 t[2] = { now, now + 500 * NSEC_PER_MSEC };

	step(2, 0, t, sizeof(t));
}

static void announce(const struct sim_page *s)
{
	struct wire_announce a = {
		.head = { .kind = WIRE_ANNOUNCE, .bytes = sizeof(a), .time_ns = now, .pid = s->h.pid, .tid = s->h.tid },
		.id = s->h.id, .module = s->h.module, .ns_pid = s->h.pid, .ns_tid = s->h.tid,
	};

	step(0, 0, &a, sizeof(a));
}

static void life(const struct sim_page *s, u32 kind)
{
	struct wire_life l = {
		.head = { .kind = kind, .bytes = sizeof(l), .time_ns = now, .pid = s->h.pid, .tid = s->h.tid },
		.other_tid = s->h.tid, .comm = "seed",
	};

	step(0, 0, &l, sizeof(l));
}

static void some(struct sim_page *s, u32 n)
{
	while (n--) {
		now += 20;
		sim__begin(s, n, now);
		sim__event(s, n, now + 5);
		if (n % 3)
			sim__finish(s, now + 10);
	}
}

/* One of each kind. */
static void kinds(struct sim_page *s)
{
	u8 body[2 * WIRE_REF_BYTES + 16] = { 7 };
	u32 kind;

	memcpy(body + 8, &s->h.module, 8);
	memcpy(body + WIRE_REF_BYTES, &(u32){ WIRE_T_U64 << 8 }, 4);
	sim__begin(s, 1, now);
	for (kind = WIRE_R_EVENT; kind <= WIRE_R_THREAD_NAME; kind++)
		sim__append(s, kind, kind % 3, 0, body, sizeof(body), now++);
	sim__append(s, WIRE_R_PAUSE, 0, 0, &now, 8, now);
}

static void whole(struct sim_page *s)
{
	announce(s);
	some(s, 5);
	sim__end(s, now);
	deliver(s, 0, WIRE_WHY_FLUSH);
	sim__reset(s, now);
	kinds(s);
	deliver(s, 0, WIRE_WHY_EXIT);
	life(s, WIRE_EXIT);
	advance();
}

static void parts(struct sim_page *s)
{
	some(s, 2);
	deliver(s, 1, WIRE_WHY_IDLE);
	some(s, 2);
	deliver(s, 0, WIRE_WHY_IDLE);
	deliver(s, 0, WIRE_WHY_EXEC);
	life(s, WIRE_EXEC);
	advance();
}

static void gap(struct sim_page *s)
{
	struct {
		u32 pid, tid;
		u64 id, seen;
	} mark = { s->h.pid, s->h.tid, s->h.id, 40 };

	announce(s);
	some(s, 3);
	sim__reset(s, now);
	some(s, 2);
	deliver(s, 0, WIRE_WHY_FLUSH);
	advance();
	step(3, 0x81, &mark, sizeof(mark));
	advance();
	now += NSEC_PER_SEC;
	advance();
}

static void singles(struct sim_page *s)
{
	struct {
		struct wire_head head;
		struct wire_imm imm;
		struct wire_rec rec;
		struct sim_fields f;
	} i = { .head = { .kind = WIRE_IMMEDIATE, .bytes = sizeof(i), .time_ns = now, .pid = 5, .tid = 5 },
		.imm = { .mono_ns = now, .at = 3, .page_id = s->h.id, .module = s->h.module, .pid = s->h.pid,
			 .tid = s->h.tid, .bytes = 20, .version = WIRE_VERSION },
		.rec = { WIRE_HEAD(WIRE_R_EVENT, 0, 1, 20), 0 },
		.f = sim__fields(9) };
	struct {
		struct wire_hit hit;
		u64 val[2];
		char text[8];
	} h = { .hit = { .head = { .kind = WIRE_HIT, .bytes = sizeof(h), .time_ns = now }, .arg_cnt = 2,
			 .text_bytes = 8 },
		.val = { 1, 5 }, .text = "hello" };

	/* The struct ends behind its record: no padding reaches the seed. */
	i.head.bytes = sizeof(i.head) + sizeof(i.imm) + 20;
	step(0, 0, &i, i.head.bytes);
	i.imm.page_id = 0;
	i.imm.at = ~0ULL;
	step(0, 0, &i, i.head.bytes);
	step(0, 0, &h, sizeof(h));
	some(s, 4);
	deliver(s, 0, WIRE_WHY_GONE);
	advance();
}

int main(int argc, char **argv)
{
	static void (*const make[])(struct sim_page *) = { whole, parts, gap, singles };
	static const char *const name[] = { "whole", "parts", "gap", "singles" };
	static struct sim_page s;
	char path[4096];
	u32 i;

	if (argc != 2)
		return 2;
	for (i = 0; i < ARRAY_SIZE(make); i++) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], name[i]);
		out = fopen(path, "we");
		if (!out)
			return 1;
		sim__init(&s, now, 5, 6, i & 1);
		make[i](&s);
		if (fclose(out))
			return 1;
	}
	return 0;
}
