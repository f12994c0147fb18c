/* SPDX-License-Identifier: MIT */
/* What each macro of tape.h records: kinds, depths, fields, parents, sizes. */
#define TAPE_PROVIDER th
#include "tape_story.h"
#include <errno.h>

static int all_on(void **state)
{
	story_words(NULL, 1, 0);
	story_begin();
	return 0;
}

static int all_off(void **state)
{
	story_words(NULL, 0, 0);
	return 0;
}

static int calls;
static int counted(int x)
{
	calls++;
	return x;
}

static void off_costs_no_argument(void **state)
{
	tape_handle h;

	story_words(NULL, 0, 0);
	story_begin();
	calls = 0;
	{
		tape_span(INFO, "off", (x, counted(1)));
		tape_info((x, counted(2)), "message %d", counted(3));
		tape_event(WARN, "off", (x, counted(4)));
		h = tape_open(INFO, "off", (x, counted(5)), (later, tape_empty));
		tape_enter(h);
		tape_record(h, (later, counted(6)));
		tape_exit(h);
		tape_drop(h);
	}
	assert_int_equal(calls, 0);
	assert_string_equal(story(), "");
	assert_int_equal(tape_1_tls.depth, 0);
	story_words(NULL, 1, 0);
	{
		tape_span(INFO, "on", (x, counted(1)));
	}
	assert_int_equal(calls, 1);
	assert_string_equal(story(), "BEGIN 0 on x=1\nEND 0\n");
}

static void scoped(void **state)
{
	{
		tape_span(INFO, "outer", (id, 5ul), (http.method, "GET"));
		{
			tape_span(DEBUG, "inner");
			tape_event(WARN, "deep");
		}
		tape_event(WARN, "shallow", (n, -3));
	}
	assert_string_equal(story(), "BEGIN 0 outer id=5 http.method='GET'\n"
				     "BEGIN 1 inner\n"
				     "EVENT 2 deep\n"
				     "END 1\n"
				     "EVENT 1 shallow n=-3\n"
				     "END 0\n");
}

/* The promise of the design: a span with one u64 is 20 + 8 bytes. */
static void compact(void **state)
{
	uint64_t before = tape_1_tls.page->commit;

	{
		tape_span(INFO, "compact", (id, 5ul));
		assert_int_equal((uint16_t)tape_1_tls.page->commit - (uint16_t)before, 20);
	}
	assert_int_equal((uint16_t)tape_1_tls.page->commit - (uint16_t)before, 28);
	assert_int_equal((tape_1_tls.page->commit - before) >> 16, 2);
}

static void all_types(void **state)
{
	char first[1024];
	const char *null = NULL;
	struct { unsigned int u : 3; int i : 5; _Bool b : 1; unsigned long l : 40; } bits = { 5, -3, 1, 1UL << 39 };
	__int128 wide = -2;

	tape_event(INFO, "small", (b, (_Bool)1), (c, (signed char)-1), (uc, (unsigned char)255), (s, (short)-2),
		   (us, (unsigned short)65535), (i, -3), (u, 4000000000u));
	tape_event(INFO, "large", (l, -5L), (ul, ~0ul), (ll, -6LL), (ull, 7ULL), (i128, wide), (u128, (unsigned __int128)3 << 64),
		   (f, 0.5f), (d, 1e300));
	snprintf(first, sizeof(first), "%s", story());
	story_begin();
	tape_event(INFO, "bits", (u, bits.u), (i, bits.i), (b, bits.b), (l, bits.l), (f, all_types));
	assert_non_null(strstr(story(), "EVENT 0 bits u=5 i=-3 b=true l=549755813888 f=0x"));
	story_begin();
	tape_event(INFO, "texts", (s, "text"), (e, ""), (n, null), (l, tape_str("length", 3)), (b, tape_bytes("\1\2", 2)),
		   (p, (void *)0x10), (err, tape_err(ENOENT)), (neg, tape_err(-EIO)), (word, tape_err("bad")), (none, tape_empty));
	assert_string_equal(first, "EVENT 0 small b=true c=-1 uc=255 s=-2 us=65535 i=-3 u=4000000000\n"
				     "EVENT 0 large l=-5 ul=18446744073709551615 ll=-6 ull=7 i128=ffffffffffffffff:fffffffffffffffe "
				     "u128=3:0 f=0.5 d=1e+300\n");
	assert_string_equal(story(), "EVENT 0 texts s='text' e='' n=null l='len' b='\1\2' p=0x10 err='No such file or directory' "
				     "neg='Input/output error' word='bad' none=-\n");
}

/* Records of scalars alone take a shorter way: the bytes are those of the long one, which an explicit parent takes. */
#define BOTH_WAYS(payload, ...)                                                                  \
	do {                                                                                     \
		uint64_t at[3] = { tape_1_tls.page->commit };                                    \
		const uint8_t *data = (const uint8_t *)tape_1_tls.page + TAPE_DATA;              \
                                                                                                 \
		tape_event(INFO, "way", __VA_ARGS__);                                            \
		at[1] = tape_1_tls.page->commit;                                                 \
		tape_event_in(tape_here(), INFO, "way", __VA_ARGS__);                            \
		at[2] = tape_1_tls.page->commit;                                                 \
		assert_int_equal((uint16_t)at[1] - (uint16_t)at[0], 12 + (payload));             \
		assert_int_equal(at[2] - at[1], at[1] - at[0]);                                  \
		assert_memory_equal(data + (uint16_t)at[0], data + (uint16_t)at[1], 4);          \
		assert_memory_equal(data + (uint16_t)at[0] + 12, data + (uint16_t)at[1] + 12, payload); \
		{                                                                                \
			tape_span(INFO, "way", __VA_ARGS__);                                     \
			assert_memory_equal(data + (uint16_t)at[2] + 12, data + (uint16_t)at[0] + 12, payload); \
		}                                                                                \
		assert_int_equal((uint16_t)tape_1_tls.page->commit - (uint16_t)at[2], 12 + (payload) + 8); \
	} while (0)

static void scalars(void **state)
{
	void *p = &p;

	tape_event(INFO, "first"); /* the page is there */
	BOTH_WAYS(4, (b, (_Bool)1));
	BOTH_WAYS(8, (f, 0.5));
	BOTH_WAYS(12, (i, -3), (p, p));
	BOTH_WAYS(12, (l, -5L), (u, 4000000000u));
	BOTH_WAYS(84, (a, 1), (b, 2L), (c, 3u), (d, 4ul), (e, 5), (f, 6.0), (g, (short)7), (h, p), (i, 1), (j, 2L), (k, 3u), (l, 4ul),
		  (m, 5), (n, 6.0));
	BOTH_WAYS(120, (a, 1L), (b, 2L), (c, 3L), (d, 4L), (e, 5L), (f, 6L), (g, 7L), (h, 8L), (i, 9L), (j, 10L), (k, 11L), (l, 12L),
		  (m, 13L), (n, 14L), (o, 15L));
	BOTH_WAYS(128, (a, 1L), (b, 2L), (c, 3L), (d, 4L), (e, 5L), (f, 6L), (g, 7L), (h, 8L), (i, 9L), (j, 10L), (k, 11L), (l, 12L),
		  (m, 13L), (n, 14L), (o, 15L), (p, 16L));
	BOTH_WAYS(4, (i, 1), (later, tape_empty));
	BOTH_WAYS(20, (i, 1), (wide, (__int128)-2));
	BOTH_WAYS(12, (i, 1), (s, "text"));
}

static void messages(void **state)
{
	char file_line[300];

	tape_event(INFO, "named", (k, 1), "%s and %d", "text", 5);
	tape_event(INFO, "named", "alone");
	errno = 77;
	snprintf(file_line, sizeof(file_line), "EVENT 0 event " __FILE__ ":%d message='hello' n=2\n", __LINE__ + 1);
	tape_warn((n, 2), "hello");
	assert_int_equal(errno, 77);
	assert_non_null(strstr(story(), "EVENT 0 named message='text and 5' k=1\nEVENT 0 named message='alone'\n"));
	assert_non_null(strstr(story(), file_line));
}

static void truncated(void **state)
{
	char s[1001];

	memset(s, 'a', 1000);
	s[1000] = 0;
	memcpy(s + 252, "zzzz", 4);
	tape_event(INFO, "cut", (s, s), (just, tape_str(s, 256)), (over, tape_str(s, 257)), (raw, tape_bytes(s, 1000)));
	tape_event(INFO, "cut", "%s", s);
	assert_string_equal(story(), "EVENT 0 cut s='aaaa..zzzz'#256/1000 just='aaaa..zzzz'#256 over='aaaa..zzzz'#256/257 "
				     "raw='aaaa..zzzz'#256/1000\n"
				     "EVENT 0 cut message='aaaa..zzzz'#256/1000\n");
}

static void thirty_two(void **state)
{
	tape_event(INFO, "many", (a, 0), (b, 1), (c, 2), (d, 3), (e, 4), (f, 5), (g, 6), (h, 7), (i, 8), (j, 9), (k, 10), (l, 11),
		   (m, 12), (n, 13), (o, 14), (p, 15L), (q, 16), (r, 17), (s, 18), (t, 19), (u, 20), (v, 21), (w, 22), (x, 23),
		   (y, 24), (z, 25), (aa, 26), (ab, 27), (ac, 28), (ad, 29), (ae, 30), (af, "last"));
	assert_string_equal(story(), "EVENT 0 many a=0 b=1 c=2 d=3 e=4 f=5 g=6 h=7 i=8 j=9 k=10 l=11 m=12 n=13 o=14 p=15 q=16 r=17 "
				     "s=18 t=19 u=20 v=21 w=22 x=23 y=24 z=25 aa=26 ab=27 ac=28 ad=29 ae=30 af='last'\n");
}

static void by_hand(void **state)
{
	tape_handle a, b, copy;

	a = tape_open(INFO, "a", (n, 1), (rows, tape_empty));
	tape_enter(a);
	b = tape_open(INFO, "b");
	copy = tape_clone(b);
	tape_exit(a);
	tape_enter(a);
	tape_exit(a);
	tape_record(a, (rows, 7ul), (nosuch, 1));
	tape_follows(b, a);
	tape_drop(copy);
	tape_drop(b);
	tape_drop(a);
	assert_string_equal(story(), "OPEN 0 A:a n=1 rows=-\n"
				     "ENTER 0 A:a\n"
				     "OPEN 1 B:b\n"
				     "CLONE 1 B:b\n"
				     "EXIT 0 A:a\n"
				     "ENTER 0 A:a\n"
				     "EXIT 0 A:a\n"
				     "VALUE 0 A:a 1=7\n"
				     "FOLLOWS 0 B:b A:a\n"
				     "DROP 0 B:b\n"
				     "DROP 0 B:b\n"
				     "DROP 0 A:a\n");
	assert_int_equal(a.module, (uint64_t)&tape_1_module);
	assert_true(a.open_ns && a.open_ns <= b.open_ns);
}

/* Out of order: the exit below leaves a hole, taken back when the one above goes. */
static void out_of_order(void **state)
{
	tape_handle a = tape_open(INFO, "a"), b = tape_open(INFO, "b"), c = tape_open(INFO, "c");

	tape_enter(a);
	tape_enter(b);
	tape_enter(c);
	tape_exit(b);
	tape_event(INFO, "still_3");
	tape_exit(c);
	tape_event(INFO, "now_1");
	tape_exit(a);
	tape_event(INFO, "now_0");
	assert_non_null(strstr(story(), "ENTER 0 A:a\nENTER 1 B:b\nENTER 2 C:c\nEXIT 1 B:b\nEVENT 3 still_3\nEXIT 2 C:c\n"
					"EVENT 1 now_1\nEXIT 0 A:a\nEVENT 0 now_0\n"));
	assert_int_equal(tape_1_tls.holes, 0);
}

/* An exit of what is not entered here leaves what is alone: the next span does not take its place. */
static void exit_of_nothing(void **state)
{
	tape_handle h = tape_open(INFO, "h");

	{
		tape_span(INFO, "outer");
		tape_exit(h);
		{
			tape_span(INFO, "inner");
		}
		tape_exit(h);
		tape_event(INFO, "inside");
	}
	tape_drop(h);
	assert_string_equal(story(), "OPEN 0 A:h\nBEGIN 0 outer\nEXIT 1 A:h\nBEGIN 1 inner\nEND 1\nEXIT 1 A:h\n"
				     "EVENT 1 inside\nEND 0\nDROP 0 A:h\n");
	assert_int_equal(tape_1_tls.depth, 0);
}

static void parents(void **state)
{
	tape_handle a = tape_open(INFO, "a");
	tape_handle none = tape_root();

	tape_enter(a);
	{
		tape_span_in(tape_root(), INFO, "alone");
		tape_event_in(a, INFO, "with", (n, 1), "text");
		tape_event_in(none, INFO, "bare");
		tape_event_in(tape_here(), INFO, "here");
	}
	tape_open_in(a, INFO, "child", (n, 2));
	tape_open_in(tape_root(), INFO, "own");
	tape_exit(a);
	assert_string_equal(story(), "OPEN 0 A:a\n"
				     "ENTER 0 A:a\n"
				     "BEGIN 1 alone root\n"
				     "EVENT 2 with in A:a message='text' n=1\n"
				     "EVENT 2 bare root\n"
				     "EVENT 2 here\n"
				     "END 1\n"
				     "OPEN 1 B:child in A:a n=2\n"
				     "OPEN 1 C:own root\n"
				     "EXIT 0 A:a\n");
}

/* A scoped span gets a number when it is first referred to, and keeps it. */
static void numbered(void **state)
{
	tape_handle h, again, inner;

	{
		tape_span_as(span, INFO, "outer", (x, tape_empty));
		tape_record(span, (x, 9));
		h = tape_handle_of(span);
		again = tape_current();
		{
			tape_span(INFO, "inner");
			inner = tape_current();
			tape_event_in(h, INFO, "child");
		}
		tape_record(again, (x, 10)); /* lent: good for all but the drop */
		tape_follows(inner, h);
		tape_enter(h);
		tape_exit(h);
		tape_drop(h);
		tape_drop(tape_clone(h));
	}
	assert_true(h.id && h.id == again.id && inner.id != h.id);
	assert_string_equal(story(), "BEGIN 0 outer x=-\n"
				     "VALUE 0 -:outer 0=9\n"
				     "NUMBER 0 A\n"
				     "BEGIN 1 inner\n"
				     "NUMBER 1 B\n"
				     "EVENT 2 child in A:outer\n"
				     "END 1\n"
				     "VALUE 1 A:outer 0=10\n"
				     "FOLLOWS 1 B:inner A:outer\n"
				     "ENTER 1 A:outer\n"
				     "EXIT 1 A:outer\n"
				     "CLONE 1 A:outer\n"
				     "DROP 1 A:outer\n"
				     "END 0\n");
	assert_int_equal(tape_current().id, 0);
}

/* A handle of a callsite that is not armed stands for the span around it. */
static void unarmed_handles(void **state)
{
	tape_handle a, b, c;

	story_words("b", 0, 0);
	a = tape_open(INFO, "a");
	tape_enter(a);
	b = tape_open(INFO, "b");
	tape_enter(b);
	tape_exit(b);
	c = tape_open_in(b, INFO, "c");
	tape_drop(b);
	tape_exit(a);
	tape_follows(c, b);
	assert_string_equal(story(), "OPEN 0 A:a\nENTER 0 A:a\nOPEN 1 B:c in A:a\nEXIT 0 A:a\nFOLLOWS 0 B:c A:a\n");
}

/* A span of which only the semaphore is up goes through its own nops; one with both goes both ways. */
static void immediate(void **state)
{
	tape_handle h;

	story_words(NULL, 0, 1);
	{
		tape_span_as(span, INFO, "semaphore", (n, 4), (x, tape_empty));
		tape_event(INFO, "event", (s, "text"));
		tape_record(span, (x, 1));
	}
	h = tape_open(INFO, "manual");
	tape_enter(h);
	tape_exit(h);
	tape_drop(h);
	story_words(NULL, 1, 1);
	{
		tape_span(INFO, "both");
	}
	assert_string_equal(story(), "site BEGIN 0 semaphore n=4 x=-\n"
				     "site EVENT 1 event s='text'\n"
				     "imm VALUE 0 -:semaphore 1=1\n"
				     "site END 0\n"
				     "site OPEN 0 A:manual\n"
				     "imm ENTER 0 A:manual\n"
				     "imm EXIT 0 A:manual\n"
				     "imm DROP 0 A:manual\n"
				     "site BEGIN 0 both\n"
				     "site END 0\n"
				     "BEGIN 0 both\n"
				     "END 0\n");
}

/* A site armed for its begin and disarmed before its end still ends, and the other way round nothing comes. */
static void armed_in_between(void **state)
{
	{
		tape_span(INFO, "half");
		story_words(NULL, 0, 0);
	}
	{
		tape_span(INFO, "other");
		story_words(NULL, 1, 0);
	}
	assert_string_equal(story(), "BEGIN 0 half\nEND 0\n");
}

static void thread_names(void **state)
{
	tape_thread_name("worker");
	assert_string_equal(story(), "THREAD_NAME 0 'worker'\n");
}

/* Late attach: nothing is said of spans begun before, and what follows is right. */
static void begun_before(void **state)
{
	story_words(NULL, 0, 0);
	{
		tape_span(INFO, "early");
		story_words(NULL, 1, 0);
		tape_event(INFO, "inside");
	}
	assert_string_equal(story(), "EVENT 0 inside\n");
}

static void site_table(void **state)
{
	const struct tape_site *s;
	uint32_t found = 0;

	for (s = __start_tape_sites; s < __stop_tape_sites; s++) {
		assert_int_equal(s->version, 1);
		assert_int_equal(s->flags, 0);
		assert_true(s->level <= TAPE_LEVEL_ERROR && s->field_cnt <= 32);
		assert_true(s->nop && s->cold);
		if (s->kind == TAPE_SITE_EVENT)
			assert_int_equal(s->nop_end, 0);
		if (!strcmp(story_name(s), "compact")) {
			const char *text = story_name(s) + strlen("compact") + 1;

			found++;
			assert_int_not_equal(s->nop_end, 0);
			assert_string_equal(text, "th");	/* target */
			assert_string_equal(text + 3, "th");	/* module */
			assert_string_equal(text + 6, __FILE__);
			assert_string_equal(text + 6 + strlen(__FILE__) + 1, "id");
		}
	}
	assert_int_equal(found, 1);
}

static void *only_named(void *arg)
{
	(void)arg;
	tape_thread_name("only-named");
	return tape_1_tls.page;
}

/* A thread without records of its own: named where somebody records, and given no page where nobody does. */
static void name_alone(void **state)
{
	uint64_t first = tape_1_module.first;
	pthread_t t;
	void *page;

	(void)state;
	tape_1_module.ticks = 1;
	assert_int_equal(pthread_create(&t, NULL, only_named, NULL), 0);
	pthread_join(t, &page);
	assert_non_null(page);
	assert_non_null(strstr(story(), "THREAD_NAME 0 'only-named'\n"));
	tape_1_module.ticks = 0;
	tape_1_module.first = 0; /* nobody has traced */
	assert_int_equal(pthread_create(&t, NULL, only_named, NULL), 0);
	pthread_join(t, &page);
	tape_1_module.first = first;
	assert_null(page);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, all_on, all_off)
	const struct CMUnitTest tests[] = {
		T(off_costs_no_argument), T(scoped), T(compact), T(all_types), T(scalars), T(messages), T(truncated), T(thirty_two), T(by_hand),
		T(out_of_order), T(exit_of_nothing), T(parents), T(numbered), T(unarmed_handles), T(immediate), T(armed_in_between), T(thread_names), T(name_alone),
		T(begun_before),
		cmocka_unit_test(site_table),
	};

	return cmocka_run_group_tests(tests, story_setup, NULL);
}
