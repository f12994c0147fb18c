/* SPDX-License-Identifier: MIT */
/*
 * A snapshot's replay against an ingest and a model that saw everything since the beginning: in random worlds, for each snapshot, the same
 * calls in the same order. TEST_SEED=N repeats one case, TEST_CASES=N runs so many.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flight_world.h"

static u64 seed_now;

/* --- who saw everything ---------------------------------------------------------------------------------------- */

struct all {
	struct world *w;
	struct model *m;
};

static int all__rec(void *ctx, const struct rec *r)
{
	return model__rec(((struct all *)ctx)->m, r);
}

static u64 all__link(void *ctx, u32 module)
{
	return WORLD_LINK;
}

static void all__tell(struct world *w, u64 from_ns, u64 to_ns, struct recording *out)
{
	struct all all = { .w = w };
	struct ingest_ops iops = { .rec = all__rec, .module_link = all__link, .ctx = &all };
	struct ingest_opts io = { .sz = sizeof(io), .hold_ns = 1, .held_bytes = 1ULL << 40, .early_bytes = 1ULL << 40 };
	struct ingest *in = ingest__new(&iops, &io);
	struct window *win = window__new(NULL);
	struct sink feed = window__sink(win), to = recording__sink(out);
	u32 i;

	all.m = model__new(&feed, 1, NULL);
	model__add_file(all.m, &w->file, 0, 0);
	for (i = 0; i < w->kept_cnt; i++)
		assert_int_equal(ingest__push(in, w->kept[i]->rec, w->kept[i]->bytes), 0);
	ingest__advance(in, ~0ULL, from_ns + 1);
	window__begin(win, &to, from_ns);
	ingest__advance(in, ~0ULL, to_ns + 1);
	model__cut(all.m, MAX(to_ns, window__last_ns(win)));
	window__end(win, MAX(to_ns, window__last_ns(win)));
	ingest__free(in);
	model__free(all.m);
	window__free(win);
}

/* --- the same but for the numbers -------------------------------------------------------------------------------- */

struct numbers {
	u64 was[1 << 16];
	u32 cnt;
};

static u32 number(struct numbers *n, u64 was)
{
	u32 i;

	if (!was)
		return 0;
	for (i = n->cnt; i > 0 && n->was[i - 1] != was; i--)
		;
	if (i)
		return i;
	n->was[n->cnt] = was;
	return ++n->cnt;
}

/* What is told at one moment, at the beginning and at the end, is told thread by thread, and the threads' order is nobody's promise. */
static u64 at_of(const char *line)
{
	const char *at = strstr(line, " at ");

	return at ? strtoull(at + 4, NULL, 10) : 0;
}

static int by_time(const void *a, const void *b)
{
	u64 x = at_of(*(char *const *)a), y = at_of(*(char *const *)b);

	return x < y ? -1 : x > y;
}

static int by_thread(const void *a, const void *b)
{
	const char *x = strchr(*(char *const *)a, 'T'), *y = strchr(*(char *const *)b, 'T');
	u64 i = x ? strtoull(x + 1, NULL, 10) : 0, k = y ? strtoull(y + 1, NULL, 10) : 0;

	if (!x && !y) /* a close */
		return strcmp(*(char *const *)a, *(char *const *)b);
	return i < k ? -1 : i > k;
}

static u32 lines_of(char *text, char **line, u32 most)
{
	u32 n = 0;

	for (text = strtok(text, "\n"); text && n < most; text = strtok(NULL, "\n"))
		line[n++] = text;
	return n;
}

/* glibc's qsort is a merge sort: what is equal stays in its order. */
static char *sorted(char *text, bool numbered)
{
	static char *line[1 << 17];
	char *out = malloc(strlen(text) + 2), *to = out;
	u32 n = lines_of(text, line, ARRAY_SIZE(line)), i, from = 0;
	u64 begin;

	while (from < n && (!strncmp(line[from], "open ", 5) || !strncmp(line[from], "value ", 6)))
		from++;
	if (!numbered)
		qsort(line, from, sizeof(*line), by_time);
	for (i = from, begin = i < n ? at_of(line[i]) : 0; i < n && !strncmp(line[i], "enter ", 6) && at_of(line[i]) == begin; i++)
		;
	if (numbered)
		qsort(line + from, i - from, sizeof(*line), by_thread);
	for (from = n; from > i && strstr(line[from - 1], " cut"); from--)
		;
	if (numbered)
		qsort(line + from, n - from, sizeof(*line), by_thread);
	for (i = 0; i < n; i++)
		to += sprintf(to, "%s\n", line[i]);
	*to = 0;
	return out;
}

/* Spans and threads numbered by their first appearance; flags of an opening left out. */
static char *normal(const char *text)
{
	static struct numbers spans, threads;
	size_t room = text ? 2 * strlen(text) + 64 : 64;
	char *out = malloc(room), *to = out, *end;
	const char *at = text ? text : "", *line = at;

	spans.cnt = threads.cnt = 0;
	while (*at) {
		bool word = at == line || at[-1] == ' ';
		bool span = !strncmp(line, "open ", 5) || !strncmp(line, "enter ", 6) || !strncmp(line, "exit ", 5) ||
			    !strncmp(line, "close ", 6) || !strncmp(line, "value ", 6);

		if (word && !strncmp(at, "flags ", 6)) {
			strtoull(at + 6, &end, 10);
			at = end + (*end == ' ');
		} else if (word && *at == 'T' && at[1] >= '0' && at[1] <= '9') {
			to += sprintf(to, "T%u", number(&threads, strtoull(at + 1, &end, 10)));
			at = end;
		} else if (word && at > line && *at >= '0' && *at <= '9' &&
			   ((span && strchr(line, ' ') + 1 == at) || (at - line > 7 && !strncmp(at - 7, "parent ", 7)))) {
			to += sprintf(to, "%u", number(&spans, strtoull(at, &end, 10)));
			at = end;
		} else {
			if (*at == '\n') {
				if (to > out && to[-1] == ' ')
					to--;
				line = at + 1;
			}
			*to++ = *at++;
		}
	}
	*to = 0;
	return out;
}

static char *comparable(struct recording *r)
{
	char *in_time = sorted(r->text ? r->text : (char[]){ "" }, false), *num = normal(in_time), *out = sorted(num, true);

	free(in_time);
	free(num);
	return out;
}

static void assert_same(const char *got, const char *want)
{
	const char *g = got, *w = want;
	u32 line = 1;

	while (*g && *g == *w) {
		line += *g == '\n';
		g++;
		w++;
	}
	if (*g == *w)
		return;
	if (getenv("TEST_SHOW")) {
		FILE *f = fopen("/tmp/flight/got", "w");

		fputs(got, f);
		fclose(f);
		f = fopen("/tmp/flight/want", "w");
		fputs(want, f);
		fclose(f);
	}
	while (g > got && g[-1] != '\n') {
		g--;
		w--;
	}
	print_error("TEST_SEED=%llu, line %u:\n got  %.300s\n want %.300s\n", (unsigned long long)seed_now, line, g, w);
	fail();
}

/* --- the cases ----------------------------------------------------------------------------------------------------- */

static void check_sums(const struct replay_result *r)
{
	assert_int_equal(r->unaccounted, 0);
	assert_int_equal(r->emitted, r->stored + r->lost_sum);
	assert_int_equal(r->late, 0);
	assert_int_equal(r->malformed, 0);
}

/* What has been left behind is spoiled for the rest of the replay: it must not be missed. */
struct spoiler {
	const struct snapshot *s;
	u8 *kept[1024];
	u32 chunks, left;
};

static void spoil(void *ctx, u32 gen_cnt)
{
	struct spoiler *sp = ctx;
	struct chunk *c;

	assert_true(gen_cnt > sp->left && gen_cnt <= sp->s->gen_cnt);
	for (; sp->left < gen_cnt; sp->left++)
		for (c = sp->s->gen[sp->left]->first; c; c = c->next) {
			assert_true(sp->chunks < ARRAY_SIZE(sp->kept));
			sp->kept[sp->chunks] = malloc(c->used + 1);
			memcpy(sp->kept[sp->chunks++], c->data, c->used);
			memset(c->data, 0xdd, c->used);
		}
}

static void mend(struct spoiler *sp)
{
	struct chunk *c;
	u32 n = 0;

	for (u32 i = 0; i < sp->left; i++)
		for (c = sp->s->gen[i]->first; c; c = c->next) {
			memcpy(c->data, sp->kept[n], c->used);
			free(sp->kept[n++]);
		}
}

static void compare(struct world *w)
{
	struct snapshot *s = world__snapshot(w);
	struct spoiler spoiler = { .s = s };
	struct replay_opts o = { .sz = sizeof(o), .left = spoil, .ctx = &spoiler };
	struct recording got = { .quiet = true, .whole = world__rnd(w, 4) }, want = { .quiet = true };
	struct sink to = recording__sink(&got);
	struct replay_result res;
	char *a, *b;

	if (world__rnd(w, 2))
		o.from_ns = w->begin_ns + world__rnd(w, w->now - w->begin_ns + 2);
	assert_int_equal(replay__run(s, &o, &to, &res), 0);
	assert_int_equal(spoiler.left, s->gen_cnt);
	mend(&spoiler);
	check_sums(&res);
	assert_int_equal(res.lost_sum, 0);
	assert_true(res.from_ns >= o.from_ns || o.from_ns > s->at.mono_ns);
	all__tell(w, res.from_ns, res.to_ns, &want);
	a = comparable(&got);
	b = comparable(&want);
	assert_same(a, b);
	free(a);
	free(b);
	recording__done(&got);
	recording__done(&want);
	flight__release(w->f, s);
}

static void one_case(u64 seed, u32 drop, void (*check)(struct world *w))
{
	static struct world w;
	u32 i, rounds;

	seed_now = seed;
	world__start(&w, seed);
	w.drop = drop;
	rounds = 20 + world__rnd(&w, 200);
	for (i = 0; i < rounds; i++) {
		world__act(&w, world__rnd(&w, 100));
		world__round(&w);
		if (!world__rnd(&w, 50))
			check(&w);
	}
	check(&w);
	world__stop(&w);
}

static void cases(u32 drop, void (*check)(struct world *w))
{
	const char *one = getenv("TEST_SEED"), *many = getenv("TEST_CASES");
	u64 i, cnt = many ? strtoull(many, NULL, 0) : 500;

	if (one) {
		one_case(strtoull(one, NULL, 0), drop, check);
		return;
	}
	for (i = 1; i <= cnt; i++)
		one_case(i, drop, check);
}

static void says_what_one_who_saw_everything_says(void **state)
{
	cases(0, compare);
}

/* The pages were read one after the other: up to the cut there is all of every thread, and nothing that is later. */
struct whole {
	struct world *w;
	u8 seen[1 << 16];
};

static int whole__event(void *ctx, const struct event *e)
{
	struct whole *all = ctx;

	if (!strcmp(e->callsite->name, "event"))
		all->seen[e->value[0].u]++;
	return 0;
}

static void whole_up_to_the_cut(struct world *w)
{
	static const struct sink_ops ops = { .event = whole__event };
	static struct whole all;
	struct sink to = { .ops = &ops, .ctx = &all };
	struct snapshot *s = world__snapshot(w);
	struct replay_opts o = { .sz = sizeof(o) };
	struct replay_result res;
	u64 i, wrong = 0;

	memset(&all, 0, sizeof(all));
	assert_int_equal(replay__run(s, &o, &to, &res), 0);
	check_sums(&res);
	assert_int_equal(res.to_ns, s->at.mono_ns);
	for (i = 0; i < w->values; i++)
		if (w->is_event[i])
			wrong += all.seen[i] != (w->made_ns[i] > res.from_ns && w->made_ns[i] <= res.to_ns);
	assert_int_equal(wrong, 0);
	flight__release(w->f, s);
}

static void is_whole_up_to_its_cut_for_all_threads(void **state)
{
	cases(0, whole_up_to_the_cut);
}

/* Deliveries are refused: each event that came through is there once, no other is, and the sum is right. */
struct lossy {
	struct world *w;
	u64 from_ns;
	u8 seen[1 << 16];
	u64 cnt, wrong;
};

static int lossy__event(void *ctx, const struct event *e)
{
	struct lossy *l = ctx;

	if (strcmp(e->callsite->name, "event"))
		return 0;
	l->cnt++;
	if (l->seen[e->value[0].u]++ || e->time_ns <= l->from_ns || !(l->w->got[e->value[0].u] & 2))
		l->wrong++;
	return 0;
}

static void count_lossy(struct world *w)
{
	static const struct sink_ops ops = { .event = lossy__event };
	static struct lossy l;
	struct sink to = { .ops = &ops, .ctx = &l };
	struct snapshot *s = world__snapshot(w);
	struct spoiler spoiler = { .s = s };
	struct replay_opts o = { .sz = sizeof(o), .left = spoil, .ctx = &spoiler };
	struct replay_result res;
	u64 i, missing = 0;

	memset(&l, 0, sizeof(l));
	l.w = w;
	l.from_ns = replay__from_ns(s, &o);
	assert_int_equal(replay__run(s, &o, &to, &res), 0);
	assert_int_equal(spoiler.left, s->gen_cnt);
	mend(&spoiler);
	check_sums(&res);
	assert_int_equal(l.wrong, 0);
	for (i = 0; i < w->values; i++)
		missing += w->got[i] & 2 && w->made_ns[i] > l.from_ns && w->made_ns[i] <= s->at.mono_ns && !l.seen[i] &&
			   w->is_event[i];
	assert_int_equal(missing, 0);
	flight__release(w->f, s);
}

static void counts_what_was_refused(void **state)
{
	cases(40, count_lossy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_one_who_saw_everything_says),
		cmocka_unit_test(is_whole_up_to_its_cut_for_all_threads),
		cmocka_unit_test(counts_what_was_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed)
		printf("the last case was TEST_SEED=%llu\n", (unsigned long long)seed_now);
	return failed;
}
