/* SPDX-License-Identifier: MIT */
/* Batches: flush and reset, numbers, preambles of open spans, large records, clocks, depth beyond the limits. */
#define TAPE_PROVIDER th
#define TAPE_MAX_STR 4096
#include "tape_story.h"

#include <sys/resource.h>

static int all_on(void **state)
{
	story_words(NULL, 1, 0);
	story_begin();
	return 0;
}

static int all_off(void **state)
{
	story_words(NULL, 0, 0);
	tape_1_module.ticks = 0;
	return 0;
}

static void flush_now(void)
{
	struct tape_page *p = tape_1_tls.page;

	p->busy = tape__sp();
	tape_1_flush(p, tape_1_tls.depth);
	p->busy = 0;
}

static uint64_t next_number(const struct tape_page *p)
{
	return p->slot[p->commit >> 32 & 1].first + (p->commit >> 16 & 0xffff);
}

/* 10,000 events over many batches: each arrives once, numbers go on without a hole. */
static void every_record_once(void **state)
{
	uint64_t first = next_number(tape_1_tls.page), next, i, seq = 0;
	uint32_t n = 0;
	const char *at;

	for (i = 0; i < 10000; i++)
		tape_event(INFO, "e", (i, i));
	assert_int_equal(next_number(tape_1_tls.page) - first, 10000);
	for (i = 0; i < story_log->cnt; i++) {
		struct tape_page h;

		assert_int_equal(story_log->entry[i].what, STORY_FLUSH);
		memcpy(&h, story_log->entry[i].data, sizeof(h));
		next = h.slot[h.commit >> 32 & 1].first;
		assert_int_equal(next, first);
		first += h.commit >> 16 & 0xffff;
		assert_int_equal(h.end_seq, h.commit >> 32);
		assert_true(h.end_ns >= h.slot[h.commit >> 32 & 1].mono_ns);
		assert_true(!seq || h.commit >> 32 == seq + 1);
		seq = h.commit >> 32;
	}
	for (at = story(), i = 0; (at = strstr(at, "EVENT 0 e i=")); at++, i++)
		n += strtoull(at + 12, NULL, 10) == i;
	assert_int_equal(n, 10000);
}

static void preamble(void **state)
{
	struct tape_page *p;

	{
		tape_span(INFO, "outer", (id, 1ul), (name, "text"));
		tape_event(INFO, "x");
		{
			tape_span(INFO, "inner");
			flush_now();
			tape_event(INFO, "after");
			p = tape_1_tls.page;
			assert_int_equal(p->flags, 0);
		}
		flush_now();
		flush_now();
	}
	assert_non_null(strstr(story_tell(1), "BEGIN 0 outer id=1 name='text'\nEVENT 1 x\nBEGIN 1 inner\n"
					      "PRE 0 #"));
	assert_non_null(strstr(story_now.s, " BEGIN 0 outer id=1 name='text'\nPRE 1 #"));
	assert_non_null(strstr(story_now.s, " BEGIN 1 inner\nEVENT 2 after\nEND 1\nPRE 0 #"));
	assert_string_equal(story(), "BEGIN 0 outer id=1 name='text'\nEVENT 1 x\nBEGIN 1 inner\nEVENT 2 after\nEND 1\nEND 0\n");
}

/* Numbers and times in the preamble are those of the begins, however many batches ago. */
static void preamble_numbers(void **state)
{
	uint64_t base = next_number(tape_1_tls.page), from, to, ns[2];
	const uint8_t *pre = (const uint8_t *)tape_1_tls.page + TAPE_DATA;
	uint64_t got;
	int i;

	tape_event(INFO, "one");
	from = tape__ns();
	{
		tape_span(INFO, "outer");
		to = tape__ns();
		for (i = 0; i < 3; i++) {
			flush_now();
			memcpy(&got, pre + 8, 8);
			assert_int_equal(got, base + 1);
			memcpy(&ns[i > 0], pre + 16, 8);
			assert_in_range(ns[i > 0], from - 1000, to + 1000);
			assert_int_equal(ns[0], ns[i > 0]);
			tape_event(INFO, "more");
		}
	}
}

static void preamble_of_handles(void **state)
{
	tape_handle h = tape_open(INFO, "job", (n, 3));

	tape_enter(h);
	{
		tape_span_as(s, INFO, "scoped");
		tape_handle_of(s);
		flush_now();
		flush_now();
		tape_exit(h); /* out of order, found through the preamble */
	}
	flush_now();
	assert_non_null(strstr(story_tell(1), "ENTER 0 A:job\nBEGIN 1 scoped\nNUMBER 1 B\nPRE 0 #"));
	assert_non_null(strstr(story_now.s, " ENTER 0 A:job\nPRE 1 #"));
	assert_non_null(strstr(story_now.s, " B BEGIN 1 scoped\nEXIT 0 A:job\nEND 1\n"));
	assert_int_equal(tape_1_tls.depth, 0);
	tape_drop(h);
}

/* Too much for half the data area: fields are left out, then inner spans, and the page says so. */
static void nest(int d, const char *text)
{
	if (!d) {
		flush_now();
		return;
	}
	tape_span(INFO, "level", (d, d), (text, text));
	nest(d - 1, text);
}

static void preamble_cut(void **state)
{
	static char text[301];
	struct tape_page *p = tape_1_tls.page;
	const char *s;
	int whole = 0, cut = 0;
	uint32_t i;

	memset(text, 't', 300);
	nest(70, text);
	for (i = 0; i < story_log->cnt; i++) {
		struct tape_page h;

		memcpy(&h, story_log->entry[i].data, sizeof(h));
		if (h.flags & TAPE_PAGE_PRE_CUT) {
			assert_in_range(h.pre_len[h.commit >> 32 & 1], 1, (TAPE_DATA_END - TAPE_DATA) / 2);
			cut = 1;
		}
	}
	assert_true(cut);
	for (s = story_tell(1); (s = strstr(s, "PRE 0 #")); s++)
		whole += strstr(s, "BEGIN 0 level d=70 text='tttt") != NULL;
	assert_true(whole);
	assert_non_null(strstr(story_now.s, " BEGIN 5 level (cut)\n"));
	assert_int_equal(tape_1_tls.depth, 0);
	story_begin();
	assert_int_equal(p->flags & TAPE_PAGE_PRE_CUT, 0);
}

/* What the preamble has no room for keeps its place on the thread and its handle, scoped or not. */
static void in_the_dark(int d, const char *text)
{
	tape_handle h, scoped, now;

	if (d) {
		tape_span(INFO, "level", (d, d), (text, text));
		in_the_dark(d - 1, text);
		return;
	}
	h = tape_open(INFO, "job");
	tape_enter(h); /* depth 60 */
	{
		tape_span_as(s, INFO, "scoped", (late, tape_empty)); /* 61 */
		{
			tape_span(INFO, "top"); /* 62 */
			flush_now();
			flush_now();
			scoped = tape_handle_of(s);
			now = tape_current();
			tape_exit(h); /* not the one on top, of which the page knows no more than of this one */
			assert_int_equal(tape_1_tls.depth, 63);
			tape_enter(scoped);
			tape_exit(scoped);
			tape_record(s, (late, 5));
			tape_follows(now, scoped);
		}
		assert_int_equal(tape_1_tls.depth, 62);
	}
	assert_int_equal(tape_1_tls.depth, 60);
	tape_drop(h);
	flush_now();
}

static void known_beyond_the_preamble(void **state)
{
	static char text[301];

	memset(text, 't', 300);
	in_the_dark(60, text);
	assert_null(strstr(story_tell(1), "PRE 60"));
	assert_non_null(strstr(story_now.s, "ENTER 60 A:job\nBEGIN 61 scoped"));
	assert_non_null(strstr(story_now.s, "NUMBER 61 B\nNUMBER 62 C\nEXIT 60 A:job\nENTER 63 B:scoped\nEXIT 63 B:scoped\n"));
	assert_non_null(strstr(story_now.s, "END 62\nEND 61\nDROP 60 A:job\n"));
	assert_int_equal(tape_1_tls.depth, 0);
}

static void recurse(uint32_t d)
{
	tape_span(INFO, "r");
	assert_int_equal(tape_1_tls.depth, d + 1 > TAPE_MAX_DEPTH ? TAPE_MAX_DEPTH : d + 1);
	if (d + 1 < TAPE_MAX_DEPTH + 10)
		recurse(d + 1);
}

static void too_deep(void **state)
{
	uint32_t before = tape_1_tls.page->too_deep;

	recurse(0);
	assert_int_equal(tape_1_tls.page->too_deep - before, 10);
	assert_int_equal(tape_1_tls.depth, 0);
}

/* What no page can hold goes out by itself, at its place among the others. */
static void large(void **state)
{
	static char s[5001];
	struct tape_imm imm;
	uint64_t number = next_number(tape_1_tls.page);

	memset(s, 'b', 5000);
	tape_event(INFO, "before");
	tape_event(INFO, "big", (s, s), (n, 1));
	tape_event(INFO, "after");
	{
		tape_span(INFO, "big_span", (s, s));
		tape_event(INFO, "in");
	}
	assert_non_null(strstr(story(), "EVENT 0 before\nimm EVENT 0 big s='bbbb..bbbb'#4096/5000 n=1\nEVENT 0 after\nimm BEGIN 0 big_span s="));
	assert_non_null(strstr(story_now.s, "EVENT 1 in\nEND 0\n"));
	assert_int_equal(story_log->entry[1].what, STORY_RECORD);
	memcpy(&imm, story_log->entry[1].data, sizeof(imm));
	assert_int_equal(imm.at, number + 1);
	assert_int_equal(imm.page_id, tape_1_tls.page->id);
	assert_int_equal(imm.bytes, story_log->entry[1].bytes - sizeof(imm));
}

/* No memory to build a large record in: it goes out all the same, its text cut and flagged. */
static void no_memory(void **state)
{
	struct rlimit none = { 1 << 20, RLIM_INFINITY }, had;
	static char s[5001];

	memset(s, 'm', 5000);
	tape_event(INFO, "small", (n, 0));
	story_begin();
	assert_int_equal(getrlimit(RLIMIT_AS, &had), 0);
	none.rlim_max = had.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
	tape_event(INFO, "poor", (n, 1), (s, s), (m, 2));
	setrlimit(RLIMIT_AS, &had);
	assert_non_null(strstr(story(), "imm EVENT 0 poor n=1 s='mmmm..mmmm'#512/5000 m=2\n"));
}

#define S4(a) (a##0, s), (a##1, s), (a##2, s), (a##3, s)
/* 32 texts of 4 KiB are more than the largest record: all are cut, and say so. */
static void larger_than_any(void **state)
{
	static char s[4097];

	memset(s, 'c', 4096);
	tape_event(INFO, "huge", S4(a), S4(b), S4(c), S4(d), S4(e), S4(f), S4(g), S4(h));
	assert_int_equal(story_count(STORY_RECORD), 1);
	assert_in_range(story_log->entry[story_log->cnt - 1].bytes, 32 * 1024, TAPE_MAX_REC_BYTES + sizeof(struct tape_imm));
	story_log->cnt = 0; /* longer than an entry of the log */
}

/* A page that is just full: the next record starts the next batch, at any fill level and size. */
static void boundaries(void **state)
{
	static char s[4097];
	uint64_t base = next_number(tape_1_tls.page);
	int i, n = 0;

	memset(s, 'd', 4096);
	for (i = 0; i < 3900; i += 13, n++) {
		tape_event(INFO, "e", (s, tape_str(s, (size_t)i)));
		assert_int_equal(tape_1_tls.page->busy, 0);
	}
	assert_int_equal(next_number(tape_1_tls.page) - base + story_count(STORY_RECORD), n);
	story();
}

static void clocks(void **state)
{
	struct tape_page *p = tape_1_tls.page, h;
	uint64_t a, b;

	assert_int_equal(p->clock, 0);
	tape_event(INFO, "ns");
	assert_int_equal(p->slot[p->commit >> 32 & 1].ticks, p->slot[p->commit >> 32 & 1].mono_ns);
	tape_1_module.ticks = 1; /* counts from the next batch on, never within one */
	tape_event(INFO, "ns");
	assert_int_equal(p->clock, 0);
	flush_now();
	assert_int_equal(p->clock, 1);
	a = tape__ticks();
	tape_event(INFO, "ticks");
	b = tape__ticks();
	assert_in_range(tape__tail(p)->last, a, b);
	tape_1_module.ticks = 0;
	flush_now();
	assert_int_equal(p->clock, 0);
	memcpy(&h, story_log->entry[1].data, sizeof(h));
	assert_int_equal(h.clock, 1);
	assert_true(h.end_ticks - h.slot[h.commit >> 32 & 1].ticks > 0);
}

/* More than 2^32 between two records: a PAUSE with the absolute time between them. */
static void pauses(void **state)
{
	struct tape_page *p = tape_1_tls.page;
	uint64_t number;

	flush_now();
	story_log->cnt = 0;
	tape_event(INFO, "a");
	number = next_number(p);
	tape__tail(p)->last -= 5000000000;
	tape_event(INFO, "b");
	assert_int_equal(next_number(p) - number, 2);
	assert_string_equal(story(), "EVENT 0 a\nPAUSE 0\nEVENT 0 b\n");
	/* The counter of another CPU may be a little behind: no time passes then. */
	tape__tail(p)->last += 1000000000;
	tape_event(INFO, "c");
	assert_int_equal(next_number(p) - number, 3);
}

/* Whoever reads from outside at any time finds a page that is whole: checked after each store by a reader in a signal handler
 * would miss most; here the states between are made by hand. */
static void seq_and_slots(void **state)
{
	struct tape_page *p = tape_1_tls.page;
	uint32_t seq = (uint32_t)(p->commit >> 32);

	tape_event(INFO, "x");
	flush_now();
	assert_int_equal(p->commit >> 32, seq + 1);
	assert_int_equal(p->commit & 0xffffffff, 0);
	assert_int_equal(p->slot[(seq + 1) & 1].first, p->slot[seq & 1].first + 1);
	assert_int_equal(p->pre_len[(seq + 1) & 1], 0);
	assert_int_equal(p->end_seq, seq);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, all_on, all_off)
	const struct CMUnitTest tests[] = {
		/* the first test makes the page */
		T(pauses), T(every_record_once), T(preamble), T(preamble_numbers), T(preamble_of_handles), T(preamble_cut), T(known_beyond_the_preamble), T(too_deep), T(large),
		T(no_memory), T(larger_than_any), T(boundaries), T(clocks), T(seq_and_slots),
	};

	return story_setup(NULL) ? 1 : (tape_thread_name("t"), story_words(NULL, 1, 0), tape_event(INFO, "first"),
					cmocka_run_group_tests(tests, NULL, NULL));
}
