/* SPDX-License-Identifier: MIT */
/*
 * bench_model.c - what the model costs: ns of CPU a record, sinks that do nothing. Prints a table,
 * asserts nothing.
 */
#include "base/clock.h"
#include "model/model.h"
#include <stdio.h>

#define ROUNDS 9
#define SPANS  400000
#define LINK   0x10000ULL
#define SITE   0x2000ULL
#define RUN    0x7f0000010000ULL

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct elf_tape_site site = {.addr = SITE,
				    .kind = WIRE_SITE_SPAN,
				    .level = WIRE_INFO,
				    .field_cnt = 1,
				    .name = "work",
				    .target = "app",
				    .module = "",
				    .file = "",
				    .field = {"n"},
				    .type = {WIRE_T_U64}};
static struct elf_site probes[2] = {{.provider = "x", .name = "p__begin", .arg_cnt = 1},
				    {.provider = "x", .name = "p__end"}};
static struct rec_page page = {.id = 1, .module_addr = RUN, .pid = 100, .tid = 100};

static struct rec rec_of(u8 kind, u16 depth)
{
	return (struct rec){.kind = kind,
			    .depth = depth,
			    .page = &page,
			    .pid = 100,
			    .tid = 100,
			    .site_addr = SITE};
}

/* begin and end of a scoped span with one field, `deep` spans open around it */
static u32 scoped(struct model *m, u64 *ns, u32 deep)
{
	u64 field = 7;
	struct rec b = rec_of(WIRE_R_BEGIN, 0), e = rec_of(WIRE_R_END, 0);
	u32 i;

	b.payload = (const u8 *)&field;
	b.payload_bytes = 8;
	for (i = 0; i < deep; i++) {
		b.depth = (u16)i;
		b.time_ns = ++*ns;
		model__rec(m, &b);
	}
	b.depth = e.depth = (u16)deep;
	for (i = 0; i < SPANS; i++) {
		b.time_ns = *ns += 20;
		model__rec(m, &b);
		e.time_ns = *ns += 20;
		model__rec(m, &e);
	}
	return 2 * SPANS;
}

static u32 shallow(struct model *m, u64 *ns)
{
	return scoped(m, ns, 0);
}

static u32 deep(struct model *m, u64 *ns)
{
	return scoped(m, ns, 20);
}

/* open, enter, exit, drop */
static u32 by_hand(struct model *m, u64 *ns)
{
	u64 field = 7;
	struct rec r = rec_of(WIRE_R_OPEN, 0);
	static u64 id;
	u32 i;

	r.payload = (const u8 *)&field;
	r.payload_bytes = 8;
	for (i = 0; i < SPANS; i++) {
		r.ref = (struct wire_ref){.id = ++id, .module = RUN, .open_ns = *ns};
		r.kind = WIRE_R_OPEN;
		r.time_ns = ++*ns;
		model__rec(m, &r);
		r.kind = WIRE_R_ENTER;
		r.time_ns = ++*ns;
		model__rec(m, &r);
		r.kind = WIRE_R_EXIT;
		r.time_ns = ++*ns;
		model__rec(m, &r);
		r.kind = WIRE_R_DROP;
		r.time_ns = ++*ns;
		model__rec(m, &r);
	}
	return 4 * SPANS;
}

/* a foreign pair, one argument at its begin */
static u32 foreign(struct model *m, u64 *ns)
{
	struct {
		struct wire_hit h;
		u64 val;
	} b = {.h = {.head.bytes = sizeof(b), .arg_cnt = 1}, .val = 3};
	struct wire_hit e = {.head.bytes = sizeof(e)};
	struct rec r = {.kind = REC_HIT, .pid = 100, .tid = 100};
	u32 i;

	for (i = 0; i < SPANS; i++) {
		r.module = 0;
		r.hit = &b.h;
		r.time_ns = *ns += 20;
		model__rec(m, &r);
		r.module = 1;
		r.hit = &e;
		r.time_ns = *ns += 20;
		model__rec(m, &r);
	}
	return 2 * SPANS;
}

static void measure(const char *what, u32 (*run)(struct model *m, u64 *ns))
{
	static const struct sink_ops nothing;
	struct elf_file f = {.tape_site = &site,
			     .tape_site_cnt = 1,
			     .module_addr = LINK,
			     .site = probes,
			     .site_cnt = 2};
	struct sink sink = {.ops = &nothing};
	struct model *m = model__new(&sink, 1, NULL);
	double per[ROUNDS];
	u64 ns = 1000, start;
	u32 i, recs;

	page.user = NULL;
	if (!m || model__add_file(m, &f, 0, 0))
		exit(1);
	for (i = 0; i < ROUNDS; i++) {
		start = clock__ns(CLOCK_THREAD_CPUTIME_ID);
		recs = run(m, &ns);
		per[i] = (double)(clock__ns(CLOCK_THREAD_CPUTIME_ID) - start) / recs;
	}
	qsort(per, ROUNDS, sizeof(per[0]), by_value);
	printf("%-46s %6.1f %6.1f\n", what, per[0], per[ROUNDS / 2]);
	model__free(m);
}

int main(void)
{
	probes[0].arg[0] = (struct wire_arg){.kind = WIRE_ARG_REG, .size = 8};
	printf("model: ns of CPU a record                       least median\n");
	measure("BEGIN, END with one field", shallow);
	measure("the same, twenty spans around it", deep);
	measure("OPEN, ENTER, EXIT, DROP", by_hand);
	measure("foreign begin (one argument), end", foreign);
	return 0;
}
