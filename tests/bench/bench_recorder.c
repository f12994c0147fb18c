/* SPDX-License-Identifier: MIT */
/*
 * bench_recorder - what a record costs from the ring to the tape: ingest, model, sink and writer in one. Prints ns of CPU
 * per record of the program; asserts nothing. For counts that do not depend on the machine's mood:
 *	valgrind --tool=callgrind --toggle-collect=go build/tests/bench/bench_recorder FILE
 *
 *	bench_recorder FILE [KIND|all [ROUNDS]]
 *		FILE: the tape, overwritten (on the disk that counts)
 *		KIND: see `kinds`, at the end
 *
 * triggers: the same records decoded for triggers of `flight` instead, where the spans are those that a trigger watches for lasting long,
 * where they are none of them, and where the trigger has to see a field of each; of events a number, a text behind it, or a number behind
 * a text; or who records. hand: in a span entered by hand; turns: which is left and entered again after every 20. window: to the
 * tape through the window that rotation wants.
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

#define EVENT_SITE 48 /* bytes behind the span's */

static struct elf_tape_site site[] = {
	{ .addr = LINK + 0x800, .kind = WIRE_SITE_SPAN, .level = WIRE_INFO, .field_cnt = 1, .name = "work", .target = "flat",
	  .module = "", .file = "", .field = { "i" }, .type = { WIRE_T_U64 } },
	{ .addr = LINK + 0x800 + EVENT_SITE, .kind = WIRE_SITE_EVENT, .level = WIRE_INFO, .field_cnt = 2, .name = "said",
	  .target = "flat", .module = "", .file = "", .field = { "code", "path" }, .type = { WIRE_T_U64, WIRE_T_STR } },
	{ .addr = LINK + 0x800 + 2 * EVENT_SITE, .kind = WIRE_SITE_EVENT, .level = WIRE_INFO, .field_cnt = 2, .name = "sent",
	  .target = "flat", .module = "", .file = "", .field = { "path", "status" }, .type = { WIRE_T_STR, WIRE_T_U64 } },
};
static struct elf_site probe[] = {
	{ .provider = "flat", .name = "hit", .arg_cnt = 4 },
	{ .provider = "flat", .name = "job__begin" },
	{ .provider = "flat", .name = "job__end" },
};

struct bench {
	struct ingest *in;
	struct model *m;
	struct tape_writer *w;
	struct sim_page page[2];
	u64 now, value, spent, made;
	const struct kind *kind;
	u32 turn, threads;
};

static u32 rounds = 200;


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

static u64 wanted_ns(void *ctx, u32 module, u64 site_addr, u8 kind, struct rec_look *look)
{
	return model__wanted_ns(((struct bench *)ctx)->m, module, site_addr, kind, look);
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

/* What all is in. */
enum outer { NOTHING, BY_HAND, OF_A_PROBE };

struct kind {
	const char *word, *name;
	void (*round)(struct bench *b);
	u32 threads;
	u64 hold_ns; /* held for a moment only; or until memory is short, as under a flood (with few rounds, what is left then counts less) */
	const char *to; /* NULL: the tape; "": the same through a window; else a trigger */
	enum outer outer;
};

static void enter(struct sim_page *p, u64 id, u64 ns)
{
	struct sim_by_hand b = { id << 8, SIM_MODULE_ADDR, ns, (u32)SIM_SITE_ADDR, { 0 } };

	sim__by_hand(p, WIRE_R_OPEN, id << 8, ns, 0, ns);
	sim__append(p, WIRE_R_ENTER, 0, 0, &b, WIRE_REF_BYTES, ns);
}

/* One record more. false: the page is full. */
typedef bool (*append_fn)(struct bench *b, struct sim_page *p, u64 ns);

/* Threads, flat out, that fill their pages in the same time. */
static void threads(struct bench *b, append_fn append)
{
	static struct sim_delivery d[GO];
	u32 i;

	for (i = 0; i < GO; i++) {
		u32 t = b->turn++ % b->threads;
		struct sim_page *p = &b->page[t];
		u64 at = b->now + t * 7;

		sim__reset(p, at);
		if (b->kind->outer == BY_HAND && !p->depth)
			enter(p, t + 1, at);
		for (; append(b, p, at); at += 14)
			b->made++;
		sim__end(p, at);
		sim__deliver(p, &d[i], WIRE_WHY_FLUSH, t, 1, t + 2, at);
		if (t == b->threads - 1)
			b->now = at;
	}
	go(b, (const u8 *)d, GO, sizeof(d[0]));
}

static bool append_span(struct bench *b, struct sim_page *p, u64 ns)
{
	return p->depth > (b->kind->outer == BY_HAND) ? sim__finish(p, ns) : sim__begin(p, ++b->value, ns);
}

static bool append_event(struct bench *b, struct sim_page *p, u64 ns)
{
	struct {
		u32 callsite, code[2];
		struct wire_text len;
		char path[20];
	} said = { .callsite = (u32)(SIM_SITE_ADDR + EVENT_SITE), .code = { 200 }, .len = { 20, 0 } };

	memcpy(said.path, "/shop/orders/0123456", sizeof(said.path));
	return sim__append(p, WIRE_R_EVENT, 0, 0, &said, sizeof(said), ns);
}

/* The number behind the text. */
static bool append_behind(struct bench *b, struct sim_page *p, u64 ns)
{
	struct {
		u32 callsite;
		struct wire_text len;
		char path[20];
		u32 status[2];
	} sent = { .callsite = (u32)(SIM_SITE_ADDR + 2 * EVENT_SITE), .len = { 20, 0 }, .status = { 200 } };

	memcpy(sent.path, "/shop/orders/0123456", sizeof(sent.path));
	return sim__append(p, WIRE_R_EVENT, 0, 0, &sent, sizeof(sent), ns);
}

#define SPANS_A_TURN 20

/* As append_span, and every now and then the span by hand is left and entered again. */
static bool append_turns(struct bench *b, struct sim_page *p, u64 ns)
{
	u64 id = (u64)(p - b->page) + 1;
	struct sim_by_hand s = { id << 8, SIM_MODULE_ADDR, 0, (u32)SIM_SITE_ADDR, { 0 } };

	if (p->depth != 1 || b->value++ % SPANS_A_TURN)
		return append_span(b, p, ns);
	if (!sim__append(p, WIRE_R_EXIT, 0, 0, &s, WIRE_REF_BYTES, ns))
		return false;
	return sim__append(p, WIRE_R_ENTER, 0, 0, &s, WIRE_REF_BYTES, ns);
}

static void spans(struct bench *b)
{
	threads(b, append_span);
}

static void events(struct bench *b)
{
	threads(b, append_event);
}

static void behind(struct bench *b)
{
	threads(b, append_behind);
}

static void turns(struct bench *b)
{
	threads(b, append_turns);
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
static struct trigger_set *triggers(const char *on)
{
	struct trigger_set *s = trigger_set__new(on_fired, NULL);
	struct expr_error e;

	if (!s || trigger_set__add(s, on, &e) || trigger_set__add(s, "event:level>=error", &e))
		exit(1);
	return s;
}

static const struct kind kinds[] = {
	{ "one", "spans of one thread", spans, 1, 1000, NULL, NOTHING },
	{ "two", "spans of two", spans, 2, 1000, NULL, NOTHING },
	{ "two-short", "spans, memory short", spans, 2, 1000 * NSEC_PER_SEC, NULL, NOTHING },
	{ "hits", "hits", hits, 2, 1000, NULL, NOTHING },
	{ "hits-short", "hits, memory short", hits, 2, 1000 * NSEC_PER_SEC, NULL, NOTHING },
	{ "window", "spans, a window", spans, 2, 1000, "", NOTHING },
	{ "triggers", "spans, all watched", spans, 2, 1000, "span:work>1h", NOTHING },
	{ "triggers-none", "spans, none watched", spans, 2, 1000, "span:other>50ms", NOTHING },
	{ "triggers-fields", "spans, all looked into", spans, 2, 1000, "span:(i==0)", NOTHING },
	{ "triggers-code", "events, all looked into", events, 2, 1000, "event:code==500", NOTHING },
	{ "triggers-path", "events, texts searched", events, 2, 1000, "event:said path~'/api'", NOTHING },
	{ "triggers-behind", "events, numbers behind", behind, 2, 1000, "event:status==500", NOTHING },
	{ "triggers-regex", "events, texts matched", events, 2, 1000, "event:path=~'^/api/v[12]/'", NOTHING },
	{ "triggers-thread", "events of other threads", events, 2, 1000, "event:thread~worker", NOTHING },
	{ "triggers-process", "spans of other programs", spans, 2, 1000, "span:(process==shopd)", NOTHING },
	{ "triggers-hits", "hits, none watched", hits, 2, 1000, "span:other>50ms", NOTHING },
	{ "triggers-hand-one", "spans in one by hand", spans, 1, 1000, "span:other>50ms", BY_HAND },
	{ "triggers-hand", "spans in two by hand", spans, 2, 1000, "span:other>50ms", BY_HAND },
	{ "triggers-turns", "spans in two in turns", turns, 2, 1000, "span:other>50ms", BY_HAND },
	{ "triggers-probe", "spans in a plain probe's", spans, 2, 1000, "span:other>50ms", OF_A_PROBE },
};

static void begin_by_probe(struct bench *b)
{
	for (u32 t = 0; t < b->threads; t++) {
		struct wire_hit h = { .head = { .kind = WIRE_HIT, .cpu = t, .bytes = sizeof(h), .time_ns = b->now, .cookie = 1,
						.pid = 1, .tid = t + 2 } };

		ingest__push(b->in, &h, sizeof(h));
	}
}

static void run(const char *path, const struct kind *kind)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct tape_writer_opts wo = { .sz = sizeof(wo), .base_mono_ns = 1, .force = true };
	struct ingest_ops ops = { .rec = on_rec, .leaf = on_leaf, .module_link = module_link, .ctx = b };
	struct ingest_opts io = { .sz = sizeof(io), .hold_ns = kind->hold_ns };
	struct elf_file f = { .site_cnt = kind->outer == OF_A_PROBE ? 3 : 1, .site = probe, .tape_site_cnt = ARRAY_SIZE(site), .tape_site = site, .module_addr = LINK };
	struct trigger_set *set = NULL;
	struct window *win = NULL;
	struct tape_sink *s;
	struct sink k;
	struct diag d;
	u32 i;

	for (i = 0; i < 4; i++)
		probe->arg[i] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = 8 };
	if (!b || tape_writer__open(path, &wo, &b->w, &d))
		exit(1);
	s = tape_sink__new(b->w, NULL);
	k = tape_sink__sink(s);
	if (kind->to && !kind->to[0]) {
		win = window__new(NULL);
		if (!win || window__begin(win, &k, 1))
			exit(1);
		k = window__sink(win);
	} else if (kind->to) {
		set = triggers(kind->to);
		k = trigger_set__sink(set);
	}
	b->m = model__new(&k, 1, NULL);
	if (model__may_skip(b->m))
		ops.skip = &skip_ops;
	b->in = ingest__new(&ops, &io);
	b->now = NSEC_PER_SEC;
	b->threads = kind->threads;
	b->kind = kind;
	model__add_file(b->m, &f, 0, 0);
	for (i = 0; i < 2; i++)
		sim__init(&b->page[i], b->now + i, 1, i + 2, 1);
	if (kind->outer == OF_A_PROBE)
		begin_by_probe(b);
	b->now += 1000000;
	for (i = 0; i < rounds; i++)
		kind->round(b);
	ingest__finish(b->in);
	model__cut(b->m, b->now);
	printf("%-24s %9llu records %6.1f ns a record %6.1f bytes\n", kind->name, (unsigned long long)b->made,
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

	if (argc < 2)
		return 2;
	if (argc > 3)
		rounds = strtoul(argv[3], NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(what, "all") || !strcmp(what, kinds[i].word))
			run(argv[1], &kinds[i]);
	return 0;
}
