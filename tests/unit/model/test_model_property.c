/* SPDX-License-Identifier: MIT */
/*
 * test_model_property.c - random programs, compared with a second model.
 *
 * Both models (the second: naive_model.h) get the same records: three threads with two pages each,
 * spans of all sorts, ids right, stale and invented, depths that jump, foreign pairs, few spans
 * allowed. Compared: every call to the sink, every counter; and stored + lost = records sent.
 *
 * PROPERTY_SEED and PROPERTY_CASES in the environment choose others.
 */
#include "naive_model.h"
#include <time.h>

/* --- records, both ways --- */

struct run {
	struct fix f;
	struct naive n;
	u64 seed, ns, sent, outcome[LOSS_MAX + 1]; /* [LOSS_MAX]: stored */
};

static u32 rnd(struct run *r, u32 below)
{
	r->seed = r->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(r->seed >> 33) % below;
}

static void count(struct run *r, int out)
{
	r->outcome[out == NO_LOSS ? LOSS_MAX : out]++;
}

static void see_thread(struct run *r, int t)
{
	if (!r->n.thread_uid[t])
		r->n.thread_uid[t] = ++r->n.threads;
}

static struct rec rec_of(struct run *r, u8 kind, int t, int lane, int depth)
{
	struct rec rec = fix__rec(&r->f, kind, (u32)t, r->ns, (u16)depth);

	rec.page = &r->f.page[t * LANES + lane];
	see_thread(r, t);
	r->sent++;
	return rec;
}

static int next_depth(const struct naive *n, int t, int lane)
{
	int i, d = 0;

	for (i = 0; i < n->t[t].cnt; i++)
		if (n->t[t].e[i].kind != FOREIGN && n->t[t].e[i].lane == lane)
			d = MAX(d, n->t[t].e[i].depth + 1);
	return d;
}

/* Mostly what a program would say; sometimes after a longjmp. */
static int some_depth(struct run *r, int t, int lane, int back)
{
	int d = next_depth(&r->n, t, lane) - back;

	if (!rnd(r, 5))
		d -= (int)rnd(r, 4);
	return MAX(d, 0);
}

static u64 some_id(struct run *r)
{
	return 1 + rnd(r, MAX_IDS);
}

static int outcome(const struct naive *n, int s)
{
	return n->s[s].cause;
}

static void do_begin(struct run *r, int t, int lane)
{
	struct naive *n = &r->n;
	struct rec rec = rec_of(r, WIRE_R_BEGIN, t, lane, some_depth(r, t, lane, 0));
	u32 site = rnd(r, FIX_SPANS);
	u8 kind = (u8)rnd(r, 3);
	u64 id = some_id(r), v = r->ns;
	int s;

	rec.site_addr = fix__addr(site);
	rec.parent = kind;
	rec.other = fix__ref(id, 0, site_of_id(id));
	rec.payload = (const u8 *)&v;
	rec.payload_bytes = 8;
	fix__send(&r->f, &rec);
	abandon(n, t, lane, rec.depth, r->ns);
	s = open_span(n, site, r->ns, t, kind, id, 0, 0, true);
	push(n, t, s, SCOPED, lane, rec.depth, -1, r->ns);
	count(r, s == NOBODY ? LOSS_SPANS : outcome(n, s));
}

static void do_end(struct run *r, int t, int lane)
{
	struct naive *n = &r->n;
	struct rec rec = rec_of(r, WIRE_R_END, t, lane, some_depth(r, t, lane, 1));
	int i = find_at(n, t, lane, rec.depth), s;

	fix__send(&r->f, &rec);
	if (i < 0 || n->t[t].e[i].kind != SCOPED) {
		abandon(n, t, lane, rec.depth, r->ns);
		n->st.unmatched_close++;
		count(r, LOSS_UNMATCHED);
		return;
	}
	abandon_down_to(n, t, i + 1, false, r->ns);
	s = n->t[t].e[i].span;
	count(r, s == NOBODY ? LOSS_SPANS : outcome(n, s));
	leave(n, t, i, r->ns, SINK_OWN);
}

static void do_event(struct run *r, int t, int lane)
{
	struct naive *n = &r->n;
	struct rec rec = rec_of(r, WIRE_R_EVENT, t, lane, 0);
	struct callsite c = {.name = "ev", .field_cnt = 1, .field = {{.name = "n"}}};
	u64 id = some_id(r), num = r->ns;
	struct value v = {.type = WIRE_T_U64, .u = num};
	struct event ev = {.callsite = &c, .time_ns = r->ns, .value_cnt = 1, .value = &v};
	int s = NOBODY;

	rec.site_addr = fix__addr(FIX_EVENT);
	rec.parent = (u8)rnd(r, 3);
	rec.other = fix__ref(id, 0, site_of_id(id));
	rec.payload = (const u8 *)&num;
	rec.payload_bytes = 8;
	fix__send(&r->f, &rec);
	if (rec.parent == WIRE_PARENT_CURRENT)
		s = current(n, t);
	if (rec.parent == WIRE_PARENT_EXPLICIT) {
		enum found f = find_id(n, id, &s);

		n->st.lost_parent += f == GONE;
		if (f == UNKNOWN)
			s = placeholder(n, id, r->ns);
	}
	ev.parent = uid_of(n, s);
	ev.thread = thread_of(n, t);
	recording__event(&n->rec, &ev);
	n->st.events++;
	count(r, NO_LOSS);
}

static void do_open(struct run *r, int t, int lane)
{
	struct naive *n = &r->n;
	struct rec rec = rec_of(r, WIRE_R_OPEN, t, lane, 0);
	u64 id = some_id(r), parent = some_id(r), v = r->ns;
	int s, old;

	/* Entries of the old span are told in an order that is not worth modelling twice: re-use
	 * only unentered ids. */
	while (find_id(n, id, &old) == LIVE && entries_of(n, old))
		id++;
	rec.ref = fix__ref(id, 0, site_of_id(id));
	rec.site_addr = fix__addr(site_of_id(id));
	rec.parent = (u8)rnd(r, 3);
	rec.other = fix__ref(parent, 0, site_of_id(parent));
	rec.payload = (const u8 *)&v;
	rec.payload_bytes = 8;
	fix__send(&r->f, &rec);
	if (find_id(n, id, &old) == LIVE) {
		n->st.lost_close++;
		n->s[old].id = 0; /* while its children live it has no name */
		close_by_force(n, old, r->ns, SINK_REOPENED);
		n->s[n->span_cnt++] = (struct nspan){
			.id = id, .closed = true, .parent = NOBODY}; /* an id that is gone */
	}
	s = open_span(n, site_of_id(id), r->ns, t, rec.parent, parent, id, 0, true);
	count(r, s == NOBODY ? LOSS_SPANS : outcome(n, s));
}

/* The span of a ref, made up if unknown; *out if there is none. */
static int by_ref(struct run *r, u64 id, int *out)
{
	int s;

	*out = LOSS_UNMATCHED;
	if (find_id(&r->n, id, &s) == UNKNOWN) {
		s = placeholder(&r->n, id, r->ns);
		*out = LOSS_SPANS;
	}
	if (s != NOBODY)
		*out = outcome(&r->n, s);
	return s;
}

static void do_enter(struct run *r, int t, int lane)
{
	struct rec rec = rec_of(r, WIRE_R_ENTER, t, lane, some_depth(r, t, lane, 0));
	u64 id = some_id(r);
	int s, out;

	rec.ref = fix__ref(id, 0, site_of_id(id));
	fix__send(&r->f, &rec);
	abandon(&r->n, t, lane, rec.depth, r->ns);
	s = by_ref(r, id, &out);
	if (s != NOBODY)
		push(&r->n, t, s, MANUAL, lane, rec.depth, -1, r->ns);
	count(r, out);
}

static bool is_entry(const struct naive *n, int t, int i, int s)
{
	return n->t[t].e[i].kind == MANUAL && n->t[t].e[i].span == s;
}

static void do_exit(struct run *r, int t, int lane)
{
	struct naive *n = &r->n;
	struct rec rec = rec_of(r, WIRE_R_EXIT, t, lane, 0);
	int s, out, i, u, hits = 0, ht = 0, hi = 0;
	u64 id = some_id(r);

	rec.ref = fix__ref(id, 0, site_of_id(id));
	fix__send(&r->f, &rec);
	s = by_ref(r, id, &out);
	for (i = n->t[t].cnt - 1; s != NOBODY && i >= 0; i--) {
		if (!is_entry(n, t, i, s))
			continue;
		leave(n, t, i, r->ns, SINK_OWN);
		count(r, out);
		return;
	}
	n->st.unmatched_exit++;
	for (u = 0; s != NOBODY && u < THREADS; u++)
		for (i = 0; i < n->t[u].cnt; i++)
			if (is_entry(n, u, i, s)) {
				hits++;
				ht = u;
				hi = i;
			}
	if (hits == 1)
		leave(n, ht, hi, r->ns, SINK_ELSEWHERE);
	else if (out == NO_LOSS)
		out = LOSS_UNMATCHED;
	count(r, out);
}

static void do_clone(struct run *r, int t, int lane)
{
	struct rec rec = rec_of(r, WIRE_R_CLONE, t, lane, 0);
	u64 id = some_id(r);
	int s, out;

	rec.ref = fix__ref(id, 0, site_of_id(id));
	fix__send(&r->f, &rec);
	s = by_ref(r, id, &out);
	if (s != NOBODY)
		r->n.s[s].handles++;
	else
		r->n.st.unmatched_close++;
	count(r, out);
}

static void do_drop(struct run *r, int t, int lane)
{
	struct rec rec = rec_of(r, WIRE_R_DROP, t, lane, 0);
	u64 id = some_id(r);
	int s, out;

	rec.ref = fix__ref(id, 0, site_of_id(id));
	fix__send(&r->f, &rec);
	if (find_id(&r->n, id, &s) != LIVE || !r->n.s[s].handles) {
		r->n.st.unmatched_close++;
		count(r, LOSS_UNMATCHED);
		return;
	}
	out = outcome(&r->n, s);
	let_go(&r->n, s, r->ns, SINK_OWN);
	settle(&r->n, r->ns, SINK_OWN);
	count(r, out);
}

static void do_value(struct run *r, int t, int lane)
{
	struct naive *n = &r->n;
	struct rec rec = rec_of(r, WIRE_R_VALUE, t, lane, some_depth(r, t, lane, 1));
	struct value v = {.field = (u16)rnd(r, 3), .type = WIRE_T_U64, .u = r->ns};
	bool scoped = rnd(r, 2);
	struct callsite c = span_site(0, false);
	u64 id = some_id(r);
	int s, out, i;

	rec.ref = scoped ? fix_none : fix__ref(id, 0, site_of_id(id));
	rec.value_field = v.field;
	rec.value_type = WIRE_T_U64;
	rec.payload = (const u8 *)&v.u;
	rec.payload_bytes = 8;
	fix__send(&r->f, &rec);
	if (scoped) {
		i = find_at(n, t, lane, rec.depth);
		s = i < 0 ? NOBODY : n->t[t].e[i].span;
		out = i < 0 ? LOSS_UNMATCHED : s == NOBODY ? LOSS_SPANS : outcome(n, s);
	} else {
		s = by_ref(r, id, &out);
	}
	if (s == NOBODY)
		n->st.bad_value += out == LOSS_UNMATCHED;
	if (s != NOBODY && out == NO_LOSS && v.field >= 2) {
		n->st.bad_value++;
		out = LOSS_UNMATCHED;
	}
	if (out == NO_LOSS)
		recording__late(&n->rec, n->s[s].uid, &c, &v, thread_of(n, t), r->ns);
	count(r, out);
}

static void do_number(struct run *r, int t, int lane)
{
	struct naive *n = &r->n;
	struct rec rec = rec_of(r, WIRE_R_NUMBER, t, lane, some_depth(r, t, lane, 1));
	int i = find_at(n, t, lane, rec.depth), s, other;

	rec.numbered = 1000 + r->ns; /* never used before */
	if (rnd(r, 2)) { /* or one that others will name: it must not be alive, nor this span have
			    one */
		rec.numbered = some_id(r);
		if (find_id(n, rec.numbered, &other) == LIVE ||
		    (i >= 0 && n->t[t].e[i].span != NOBODY && n->s[n->t[t].e[i].span].id))
			rec.numbered = 1000 + r->ns;
	}
	fix__send(&r->f, &rec);
	s = i < 0 ? NOBODY : n->t[t].e[i].span;
	if (s != NOBODY) {
		if (n->s[s].id) /* its old name is gone */
			n->s[n->span_cnt++] =
				(struct nspan){.id = n->s[s].id, .closed = true, .parent = NOBODY};
		n->s[s].id = rec.numbered;
	}
	count(r, i < 0 ? LOSS_UNMATCHED : s == NOBODY ? LOSS_SPANS : outcome(n, s));
}

static void do_hit(struct run *r, int t)
{
	struct naive *n = &r->n;
	struct wire_hit h = {.head.bytes = sizeof(h)};
	u32 pair = rnd(r, PAIRS), end = rnd(r, 2);
	struct rec rec = {.kind = REC_HIT,
			  .time_ns = r->ns,
			  .pid = FIX_PID,
			  .tid = FIX_PID + (u32)t,
			  .module = 2 * pair + end,
			  .number = ~0ULL,
			  .hit = &h};
	static const char *const ends[] = {"p0__end", "p1__done"};
	struct callsite c = {.name = ends[pair]};
	struct event ev = {.callsite = &c, .time_ns = r->ns};
	int i, s;

	see_thread(r, t);
	r->sent++;
	fix__send(&r->f, &rec);
	if (!end) {
		s = open_span(n, FIX_SPANS + pair, r->ns, t, WIRE_PARENT_CURRENT, 0, 0, 0, false);
		push(n, t, s, FOREIGN, -1, -1, (int)pair, r->ns);
		n->st.pair_begins++;
		count(r, s == NOBODY ? LOSS_SPANS : outcome(n, s));
		return;
	}
	for (i = n->t[t].cnt - 1; i >= 0 && n->t[t].e[i].pair != (int)pair; i--)
		;
	if (i < 0) {
		ev.parent = uid_of(n, current(n, t));
		ev.thread = thread_of(n, t);
		recording__event(&n->rec, &ev);
		n->st.events++;
		n->st.pair_end_without_begin++;
		count(r, NO_LOSS);
		return;
	}
	abandon_down_to(n, t, i + 1, true, r->ns);
	s = n->t[t].e[i].span;
	count(r, s == NOBODY ? LOSS_SPANS : outcome(n, s));
	leave(n, t, i, r->ns, SINK_OWN);
}

static void do_thread_end(struct run *r, int t)
{
	struct wire_life l = {.flags = 0};
	int lane;

	if (!r->n.thread_uid[t])
		return;
	fix__life(&r->f, REC_EXIT, FIX_PID, FIX_PID + (u32)t, r->ns, &l);
	while (r->n.t[t].cnt)
		leave(&r->n, t, r->n.t[t].cnt - 1, r->ns, SINK_THREAD_END);
	r->n.thread_uid[t] = 0;
	for (lane = 0; lane < LANES; lane++)
		r->f.page[t * LANES + lane].user = NULL;
}

/* Threads are told in the order newest first, spans that only handles keep thereafter, newest
 * first. */
static void do_cut(struct run *r)
{
	struct naive *n = &r->n;
	int t, best, i;
	u64 uid;

	for (uid = n->threads; uid; uid--) {
		for (t = 0; t < THREADS && n->thread_uid[t] != uid; t++)
			;
		while (t < THREADS && n->t[t].cnt) {
			int s = n->t[t].e[n->t[t].cnt - 1].span;

			if (s != NOBODY && entries_of(n, s) == 1) {
				if (!n->s[s].why)
					n->s[s].why = SINK_CUT;
				n->s[s].handles = 0;
			}
			leave(n, t, n->t[t].cnt - 1, r->ns, SINK_CUT);
		}
	}
	for (;;) {
		best = NOBODY;
		for (i = 0; i < n->span_cnt; i++)
			if (!n->s[i].closed && n->s[i].handles &&
			    (best == NOBODY || n->s[i].uid >= n->s[best].uid))
				best = i;
		if (best == NOBODY)
			break;
		close_by_force(n, best, r->ns, SINK_CUT);
	}
}

/* --- comparing --- */

static void same(u64 seed, const char *what, u64 got, u64 want)
{
	if (got == want)
		return;
	print_error("PROPERTY_SEED=%" PRIu64 ": %s is %" PRIu64 ", should be %" PRIu64 "\n", seed,
		    what, got, want);
	fail();
}

static void compare(struct run *r, u64 seed)
{
	struct model_stats st = fix__stats(&r->f), *w = &r->n.st;
	const char *got = r->f.rec.text ? r->f.rec.text : "",
		   *want = r->n.rec.text ? r->n.rec.text : "";
	int i;

	if (strcmp(got, want)) {
		for (i = 0; got[i] == want[i]; i++)
			;
		while (i && got[i - 1] != '\n')
			i--;
		print_error("PROPERTY_SEED=%" PRIu64
			    "\nbefore: %.*s\ngot:    %.200s\nwanted: %.200s\n",
			    seed, MIN(i, 3000), got + MAX(i - 3000, 0), got + i, want + i);
		fail();
	}
	for (i = 0; i < LOSS_MAX; i++)
		same(seed, loss_cause__label(i), st.lost[i], r->outcome[i]);
	same(seed, "stored", st.stored, r->outcome[LOSS_MAX]);
	same(seed, "stored + lost", st.stored + fix__lost(&st), r->sent);
#define SAME(member) same(seed, #member, st.member, w->member)
	SAME(spans_opened);
	SAME(spans_closed);
	SAME(events);
	SAME(entries);
	SAME(before_attach);
	SAME(lost_close);
	SAME(unmatched_close);
	SAME(lost_exit);
	SAME(late_child);
	SAME(unmatched_exit);
	SAME(lost_parent);
	SAME(bad_value);
	SAME(unfinished);
	SAME(pair_begins);
	SAME(pair_ends);
	SAME(pair_abandoned);
	SAME(pair_end_without_begin);
	SAME(pair_begin_without_end);
#undef SAME
	assert_true(st.spans_peak <= r->n.max_spans);
}

static void step(struct run *r)
{
	static void (*const ops[])(struct run * r, int t, int lane) = {
		do_begin, do_begin, do_begin, do_end,	do_end,	   do_event,
		do_open,  do_open,  do_enter, do_enter, do_exit,   do_exit,
		do_clone, do_drop,  do_drop,  do_value, do_number,
	};
	u32 op = rnd(r, ARRAY_SIZE(ops) + 4);
	int t = (int)rnd(r, THREADS), lane = (int)rnd(r, LANES);

	r->ns += 1 + rnd(r, 5);
	if (op < ARRAY_SIZE(ops))
		ops[op](r, t, lane);
	else if (op < ARRAY_SIZE(ops) + 3)
		do_hit(r, t);
	else if (!rnd(r, 4))
		do_thread_end(r, t);
}

/* Losses are told in sums, when it suits the model; they are compared as counters. */
static void drop_losses(struct recording *rec)
{
	char *line = rec->text, *to = rec->text, *end;

	for (; line && *line; line = end) {
		end = strchr(line, '\n') + 1;
		if (strncmp(line, "loss ", 5)) {
			memmove(to, line, (size_t)(end - line));
			to += end - line;
		}
	}
	if (to)
		*to = 0;
}

static void one_case(u64 seed)
{
	static struct run run;
	struct elf_site sites[2 * PAIRS] = {
		{.provider = "x", .name = "p0__begin"},
		{.provider = "x", .name = "p0__end"},
		{.provider = "x", .name = "p1__start"},
		{.provider = "x", .name = "p1__done"},
	};
	struct run *r = &run;
	u32 i, ops;

	memset(r, 0, sizeof(*r));
	r->seed = seed;
	r->ns = 100;
	r->n.max_spans = rnd(r, 3) ? 1000000 : 1 + rnd(r, 6);
	r->f.rec.quiet = true;
	r->f.rec.whole = rnd(r, 2);
	r->f.opts.max_spans = r->n.max_spans;
	fix__start(&r->f, sites, ARRAY_SIZE(sites));
	for (i = 0; i < THREADS * LANES; i++)
		r->f.page[i].tid = FIX_PID + i / LANES;
	ops = 1 + rnd(r, MAX_OPS);
	for (i = 0; i < ops; i++)
		step(r);
	r->ns++;
	do_cut(r);
	assert_int_equal(model__cut(r->f.m, r->ns), 0);
	drop_losses(&r->f.rec);
	compare(r, seed);
	fix__stop(&r->f);
	recording__done(&r->n.rec);
}

static u64 from_env(const char *name, u64 otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

static void random_programs(void **state)
{
	u64 seed = from_env("PROPERTY_SEED", (u64)time(NULL)),
	    cases = from_env("PROPERTY_CASES", 4000), i;

	print_message("PROPERTY_SEED=%" PRIu64 " PROPERTY_CASES=%" PRIu64 "\n", seed, cases);
	for (i = 0; i < cases; i++)
		one_case(seed + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
