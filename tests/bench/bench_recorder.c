/* SPDX-License-Identifier: MIT */
/*
 * bench_recorder - what a record costs from the ring to the tape: ingest, model, sink and writer in one. Prints ns of CPU
 * per record of the program; asserts nothing. For counts that do not depend on the machine's mood:
 *	valgrind --tool=callgrind --toggle-collect=go build/tests/bench/bench_recorder FILE
 *
 *	bench_recorder FILE [one|two|two-short|hits|hits-short|triggers|triggers-none|triggers-fields|window|all [ROUNDS]]
 *		FILE: the tape, overwritten (on the disk that counts)
 *
 * triggers: the same records decoded for triggers of `flight` instead, where the spans are those that a trigger watches for lasting long,
 * where they are none of them, and where the trigger has to see a field of each. window: to the tape through the window that rotation wants.
 */
#include "../unit/ingest/page_sim.h"
#include "flight/trigger.h"
#include "ingest/ingest.h"
#include "model/model.h"
#include "model/window.h"
#include "tape/tape_sink.h"
#include <stdio.h>
#include <time.h>

#define LINK 0x10000ULL
#define GO 64	    /* deliveries between two readings of the clock */
#define HITS 4096   /* as many hits */

static struct elf_tape_site site = { .addr = LINK + 0x800, .kind = WIRE_SITE_SPAN, .level = WIRE_INFO, .field_cnt = 1,
				     .name = "work", .target = "flat", .module = "", .file = "", .field = { "i" },
				     .type = { WIRE_T_U64 } };
static struct elf_site probe = { .provider = "flat", .name = "hit", .arg_cnt = 4 };

struct bench {
	struct ingest *in;
	struct model *m;
	struct tape_writer *w;
	struct sim_page page[2];
	u64 now, value, spent, made;
	u32 turn, threads;
};

static u32 rounds = 200;

/* What stands behind the model. */
enum target { TO_TAPE, TO_WINDOW, TO_TRIGGERS, TO_OTHER_TRIGGERS, TO_FIELD_TRIGGERS };

static int on_rec(void *ctx, const struct rec *r)
{
	struct bench *b = ctx;

	return model__rec(b->m, r);
}

static bool on_leaf(void *ctx, const struct rec *begin, u64 end_ns)
{
	struct bench *b = ctx;

	return model__leaf(b->m, begin, end_ns);
}

static u64 module_link(void *ctx, u32 module)
{
	return LINK;
}

static u64 wanted_ns(void *ctx, u32 module, u64 site_addr, u8 kind)
{
	return model__wanted_ns(((struct bench *)ctx)->m, module, site_addr, kind);
}

static bool skip_room(void *ctx, const struct rec_page *p, struct skip_room *room)
{
	return model__skip_room(((struct bench *)ctx)->m, p, room);
}

static void skipped(void *ctx, const struct ingest_skipped *s)
{
	model__skipped(((struct bench *)ctx)->m, s);
}

static const struct ingest_skip_ops skip_ops = { .wanted_ns = wanted_ns, .room = skip_room, .skipped = skipped };

static u64 cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

__attribute__((noinline)) void go(struct bench *b, const u8 *rec, u32 cnt, u32 step)
{
	u64 t = cpu_ns();
	u32 i;

	for (i = 0; i < cnt; i++)
		ingest__push(b->in, rec + (size_t)i * step, ((const struct wire_head *)(rec + (size_t)i * step))->bytes);
	ingest__advance(b->in, b->now, b->now);
	tape_writer__publish(b->w);
	b->spent += cpu_ns() - t;
}

/* Threads, flat out, that fill their pages in the same time. */
static void spans(struct bench *b)
{
	static struct sim_delivery d[GO];
	u32 i;

	for (i = 0; i < GO; i++) {
		u32 t = b->turn++ % b->threads;
		struct sim_page *p = &b->page[t];
		u64 at = b->now + t * 7;

		sim__reset(p, at);
		for (;; at += 14) {
			if (p->depth ? !sim__finish(p, at) : !sim__begin(p, ++b->value, at))
				break;
			b->made++;
		}
		sim__end(p, at);
		sim__deliver(p, &d[i], WIRE_WHY_FLUSH, t, 1, t + 2, at);
		if (t == b->threads - 1)
			b->now = at;
	}
	go(b, (const u8 *)d, GO, sizeof(d[0]));
}

struct hit {
	struct wire_hit h;
	u64 val[4];
};

static void hits(struct bench *b)
{
	static struct hit h[HITS];
	u32 i;

	/* as the rings are drained: one after the other */
	for (i = 0; i < HITS; i++) {
		u32 cpu = i >= HITS / 2;
		u64 v = ++b->value;

		h[i] = (struct hit){ .h = { .head = { .kind = WIRE_HIT, .cpu = cpu, .bytes = sizeof(h[i]),
						      .time_ns = b->now + (i % (HITS / 2)) * 1000 + cpu * 300, .pid = 1,
						      .tid = cpu + 2 },
					    .arg_cnt = 4 },
				     .val = { v, v + 1, v + 2, v + 3 } };
		b->made++;
	}
	b->now += HITS / 2 * 1000;
	go(b, (const u8 *)h, HITS, sizeof(h[0]));
}

static void on_fired(void *ctx, const struct trigger_fired *f)
{
}

/* None of them fires: what is measured is the looking. */
static struct trigger_set *triggers(enum target to)
{
	const char *span = to == TO_TRIGGERS ? "span:work>1h" : to == TO_FIELD_TRIGGERS ? "span:(i==0)" : "span:other>50ms";
	struct trigger_set *s = trigger_set__new(on_fired, NULL);
	struct expr_error e;

	if (!s || trigger_set__add(s, span, &e) || trigger_set__add(s, "event:level>=error", &e))
		exit(1);
	return s;
}

static void run(const char *name, const char *path, void (*round)(struct bench *), u32 threads, u64 hold_ns,
		enum target to)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct tape_writer_opts wo = { .sz = sizeof(wo), .base_mono_ns = 1, .force = true };
	struct ingest_ops ops = { .rec = on_rec, .leaf = on_leaf, .module_link = module_link, .ctx = b };
	struct ingest_opts io = { .sz = sizeof(io), .hold_ns = hold_ns };
	struct elf_file f = { .site_cnt = 1, .site = &probe, .tape_site_cnt = 1, .tape_site = &site, .module_addr = LINK };
	struct trigger_set *set = NULL;
	struct window *win = NULL;
	struct tape_sink *s;
	struct sink k;
	struct diag d;
	u32 i;

	for (i = 0; i < 4; i++)
		probe.arg[i] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = 8 };
	if (!b || tape_writer__open(path, &wo, &b->w, &d))
		exit(1);
	s = tape_sink__new(b->w, NULL);
	k = tape_sink__sink(s);
	if (to == TO_WINDOW) {
		win = window__new(NULL);
		if (!win || window__begin(win, &k, 1))
			exit(1);
		k = window__sink(win);
	} else if (to != TO_TAPE) {
		set = triggers(to);
		k = trigger_set__sink(set);
	}
	b->m = model__new(&k, 1, NULL);
	if (model__may_skip(b->m))
		ops.skip = &skip_ops;
	b->in = ingest__new(&ops, &io);
	b->now = NSEC_PER_SEC;
	b->threads = threads;
	model__add_file(b->m, &f, 0, 0);
	for (i = 0; i < 2; i++)
		sim__init(&b->page[i], b->now + i, 1, i + 2, 1);
	b->now += 1000000;
	for (i = 0; i < rounds; i++)
		round(b);
	ingest__finish(b->in);
	model__cut(b->m, b->now);
	printf("%-24s %9llu records %6.1f ns a record %6.1f bytes\n", name, (unsigned long long)b->made,
	       (double)b->spent / (double)b->made, (double)tape_writer__bytes(b->w) / (double)b->made);
	tape_sink__free(s);
	tape_writer__close(b->w, &d);
	ingest__free(b->in);
	model__free(b->m);
	window__free(win);
	trigger_set__free(set);
	free(b);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "all";
	bool all = !strcmp(what, "all");

	if (argc < 2)
		return 2;
	if (argc > 3)
		rounds = strtoul(argv[3], NULL, 0);
	/* held for a moment only; and until memory is short, as under a flood (with few rounds, what is left then counts less) */
	if (all || !strcmp(what, "one"))
		run("spans of one thread", argv[1], spans, 1, 1000, TO_TAPE);
	if (all || !strcmp(what, "two"))
		run("spans of two", argv[1], spans, 2, 1000, TO_TAPE);
	if (all || !strcmp(what, "two-short"))
		run("spans, memory short", argv[1], spans, 2, 1000 * NSEC_PER_SEC, TO_TAPE);
	if (all || !strcmp(what, "hits"))
		run("hits", argv[1], hits, 2, 1000, TO_TAPE);
	if (all || !strcmp(what, "hits-short"))
		run("hits, memory short", argv[1], hits, 2, 1000 * NSEC_PER_SEC, TO_TAPE);
	if (all || !strcmp(what, "window"))
		run("spans, a window", argv[1], spans, 2, 1000, TO_WINDOW);
	if (all || !strcmp(what, "triggers"))
		run("spans, all watched", argv[1], spans, 2, 1000, TO_TRIGGERS);
	if (all || !strcmp(what, "triggers-none"))
		run("spans, none watched", argv[1], spans, 2, 1000, TO_OTHER_TRIGGERS);
	if (all || !strcmp(what, "triggers-fields"))
		run("spans, all looked into", argv[1], spans, 2, 1000, TO_FIELD_TRIGGERS);
	return 0;
}
