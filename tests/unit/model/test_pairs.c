/* SPDX-License-Identifier: MIT */
/* test_pairs.c - foreign probes: events, types merged over sites, signatures, spans by pairs of
 * probes. */
#include "model_fixture.h"

#define ARG(sz)                                                                                    \
	{                                                                                          \
		.kind = WIRE_ARG_REG, .size = (sz)                                                 \
	}

static struct elf_site probe(const char *name, u32 args, s8 size)
{
	struct elf_site s = {.provider = "shop", .name = name, .arg_cnt = args};
	u32 i;

	for (i = 0; i < args; i++)
		s.arg[i] = (struct wire_arg)ARG(size);
	return s;
}

struct hit_rec {
	struct wire_hit h;
	u64 val[WIRE_MAX_ARGS];
	char text[64];
};

static void send_hit(struct fix *f, u32 site, u32 thread, u64 ns, struct hit_rec *h)
{
	struct rec r = {.kind = REC_HIT,
			.time_ns = ns,
			.pid = FIX_PID,
			.tid = FIX_PID + thread,
			.module = site,
			.number = ~0ULL,
			.hit = &h->h};

	if (!h->h.head.bytes)
		h->h.head.bytes = (u32)(sizeof(h->h) + 8 * h->h.arg_cnt + h->h.text_bytes);
	fix__send(f, &r);
}

static void hit(struct fix *f, u32 site, u32 thread, u64 ns, u32 args, u64 first)
{
	struct hit_rec h = {.h.arg_cnt = (u16)args};
	u32 i;

	for (i = 0; i < args; i++)
		h.val[i] = first + i;
	send_hit(f, site, thread, ns, &h);
}

enum { ORDER_BEGIN, ORDER_END, PAY_START, PAY_DONE, LOG, LONELY };

static void start_shop(struct fix *f, bool no_pairs)
{
	static struct elf_site s[6];

	s[ORDER_BEGIN] = probe("order__begin", 1, 8);
	s[ORDER_END] = probe("order__end", 1, -4);
	s[PAY_START] = probe("pay__start", 0, 0);
	s[PAY_DONE] = probe("pay__done", 0, 0);
	s[LOG] = probe("log", 2, 4);
	s[LONELY] = probe("lonely__begin", 0, 0);
	*f = (struct fix){.rec.quiet = true, .opts.no_pairs = no_pairs};
	fix__start(f, s, 6);
}

static void a_pair_is_a_span(void **state)
{
	struct model_stats st;
	struct fix f;

	start_shop(&f, false);
	hit(&f, ORDER_BEGIN, 0, 10, 1, 5);
	hit(&f, LOG, 0, 20, 2, 7);
	hit(&f, LONELY, 0, 25, 0, 0);
	hit(&f, ORDER_END, 0, 30, 1, (u64)-3);
	fix__expect(&f, "open 1 order parent 0 at 10 by T1 {arg0=5}\nenter 1 T1 at 10\n"
			"event log parent 1 at 20 by T1 {arg0=7 arg1=8}\nevent lonely__begin "
			"parent 1 at 25 by T1\n"
			"value 1 end_arg0=-3 T1 at 30\nexit 1 T1 at 30\nclose 1 at 30\n");
	st = fix__stats(&f);
	assert_int_equal(st.stored, 4);
	assert_int_equal(st.pair_begins, 1);
	assert_int_equal(st.pair_ends, 1);
	assert_int_equal(st.events, 2);
	fix__stop(&f);
}

static void ends_close_the_topmost_and_abandon(void **state)
{
	struct model_stats st;
	struct fix f;

	start_shop(&f, false);
	hit(&f, ORDER_BEGIN, 0, 10, 1, 1);
	hit(&f, ORDER_BEGIN, 0, 20, 1, 2); /* nests in itself */
	hit(&f, PAY_START, 0, 30, 0, 0);
	hit(&f, PAY_START, 1, 35, 0, 0); /* another thread's */
	recording__clear(&f.rec);
	hit(&f, ORDER_END, 0, 40, 1, 9);
	fix__expect(
		&f,
		"exit 3 T1 at 40 abandoned\nclose 3 at 40 abandoned\nvalue 2 end_arg0=9 T1 at 40\n"
		"exit 2 T1 at 40\nclose 2 at 40\n");
	hit(&f, PAY_DONE, 0, 50, 0, 0); /* its begin was abandoned: an event */
	fix__expect(&f, "event pay__done parent 1 at 50 by T1\n");
	model__cut(f.m, 60);
	fix__expect(
		&f,
		"exit 4 T2 at 60 cut\nclose 4 at 60 cut\nexit 1 T1 at 60 cut\nclose 1 at 60 cut\n");
	st = fix__stats(&f);
	assert_int_equal(st.pair_begins, 4);
	assert_int_equal(st.pair_ends, 1);
	assert_int_equal(st.pair_abandoned, 1);
	assert_int_equal(st.pair_end_without_begin, 1);
	assert_int_equal(st.pair_begin_without_end, 2);
	assert_int_equal(st.stored, 6);
	fix__stop(&f);
}

static void no_pairs(void **state)
{
	struct fix f;

	start_shop(&f, true);
	hit(&f, ORDER_BEGIN, 0, 10, 1, 5);
	hit(&f, ORDER_END, 0, 30, 1, 6);
	fix__expect(&f, "event order__begin parent 0 at 10 by T1 {arg0=5}\nevent order__end parent "
			"0 at 30 by T1 {arg0=6}\n");
	fix__stop(&f);
}

/* Foreign spans and those of tape.h may cross: neither end closes the other's spans. */
static void crossing_spans_of_tape_h(void **state)
{
	struct fix f;

	start_shop(&f, false);
	fix__begin(&f, 0, 10, 0, 0);
	hit(&f, PAY_START, 0, 20, 0, 0);
	fix__end(&f, 0, 30, 0);
	fix__begin(&f, 0, 40, 0, 1);
	hit(&f, PAY_DONE, 0, 50, 0, 0);
	fix__end(&f, 0, 60, 0);
	fix__expect(&f, "open 1 a parent 0 at 10 by T1 {n=10}\nenter 1 T1 at 10\nopen 2 pay parent "
			"1 at 20 by T1\n"
			"enter 2 T1 at 20\nexit 1 T1 at 30\n"
			"open 3 b parent 2 at 40 by T1 {n=40}\nenter 3 T1 at 40\nexit 2 T1 at 50\n"
			"exit 3 T1 at 60\nclose 3 at 60\nclose 2 at 60 dropped 50\nclose 1 at 60 "
			"dropped 30\n");
	assert_int_equal(fix__stats(&f).stored, 6);
	fix__stop(&f);
}

/* One half of a pair, or the other half at another provider: events. */
static void halves(void **state)
{
	struct elf_site s[3] = {probe("x__entry", 0, 0), probe("x__return", 0, 0),
				probe("__begin", 0, 0)};
	struct fix f = {.rec.quiet = true};

	s[1].provider = "other";
	fix__start(&f, s, 3);
	hit(&f, 0, 0, 10, 0, 0);
	hit(&f, 1, 0, 20, 0, 0);
	hit(&f, 2, 0, 30, 0, 0);
	fix__expect(&f,
		    "event x__entry parent 0 at 10 by T1\nevent x__return parent 0 at 20 by T1\n"
		    "event __begin parent 0 at 30 by T1\n");
	assert_int_equal(fix__stats(&f).pair_end_without_begin, 0);
	fix__stop(&f);
}

/* The begin in the program, the end in a library, or both in both: what counts are provider and name. */
static void across_files(void **state)
{
	struct elf_site prog[] = {probe("req__begin", 1, 8), probe("both__begin", 1, 8), probe("both__end", 1, 8)};
	struct elf_site lib[] = {probe("req__end", 2, -4), probe("both__end", 3, 4), probe("both__begin", 0, 0),
				 probe("late__entry", 0, 0)};
	struct elf_site last[] = {probe("late__return", 1, 8)};
	struct elf_file f2 = {.site = lib, .site_cnt = 4}, f3 = {.site = last, .site_cnt = 1};
	const void *pair[2];
	struct fix f = {.rec.quiet = true};

	fix__start(&f, prog, 3);
	hit(&f, 0, 0, 5, 1, 1); /* half a pair as yet */
	fix__expect(&f, "event req__begin parent 0 at 5 by T1 {arg0=1}\n");
	assert_int_equal(model__add_file(f.m, &f2, 1, 3), 0);
	hit(&f, 0, 0, 10, 1, 5);
	hit(&f, 3, 0, 20, 2, (u64)-3);
	fix__expect(&f, "open 1 req parent 0 at 10 by T1 {arg0=5}\nenter 1 T1 at 10\n"
			"value 1 end_arg0=-3 T1 at 20\nvalue 1 end_arg1=-2 T1 at 20\nexit 1 T1 at 20\nclose 1 at 20\n");
	/* begun in the program, ended in the library: what the program's end does not have is left out */
	hit(&f, 1, 0, 30, 1, 7);
	hit(&f, 4, 0, 40, 3, 8);
	hit(&f, 1, 0, 50, 1, 7);
	hit(&f, 2, 0, 60, 1, 9);
	fix__expect(&f, "open 2 both parent 0 at 30 by T1 {arg0=7}\nenter 2 T1 at 30\n"
			"value 2 end_arg0=8 T1 at 40\nexit 2 T1 at 40\nclose 2 at 40\n"
			"open 3 both parent 0 at 50 by T1 {arg0=7}\nenter 3 T1 at 50\n"
			"value 3 end_arg0=9 T1 at 60\nexit 3 T1 at 60\nclose 3 at 60\n");
	/* and the other way round; then each within the library */
	hit(&f, 5, 0, 70, 0, 0);
	hit(&f, 2, 0, 80, 1, 4);
	hit(&f, 5, 0, 90, 0, 0);
	hit(&f, 4, 0, 100, 3, 1);
	fix__expect(&f, "open 4 both parent 0 at 70 by T1\nenter 4 T1 at 70\n"
			"value 4 end_arg0=4 T1 at 80\nexit 4 T1 at 80\nclose 4 at 80\n"
			"open 5 both parent 0 at 90 by T1\nenter 5 T1 at 90\n"
			"value 5 end_arg0=1 T1 at 100\nvalue 5 end_arg1=2 T1 at 100\nvalue 5 end_arg2=3 T1 at 100\n"
			"exit 5 T1 at 100\nclose 5 at 100\n");
	assert_int_equal(model__pair_role(f.m, 6, &pair[0]), MODEL_PAIR_NONE);
	assert_int_equal(model__add_file(f.m, &f3, 2, 7), 0);
	assert_int_equal(model__pair_role(f.m, 6, &pair[0]), MODEL_PAIR_BEGIN);
	assert_int_equal(model__pair_role(f.m, 7, &pair[1]), MODEL_PAIR_END);
	assert_ptr_equal(pair[0], pair[1]);
	assert_int_equal(fix__stats(&f).pair_ends, 5);
	fix__stop(&f);
}

/* A program that never ends what it begins keeps at most 4096 spans a thread. */
static void ends_that_never_come(void **state)
{
	struct model_stats st;
	struct fix f;
	u32 i;

	start_shop(&f, false);
	for (i = 0; i < 5000; i++)
		hit(&f, PAY_START, 0, 10 + i, 0, 0);
	st = fix__stats(&f);
	assert_int_equal(st.spans_peak, 4096);
	assert_int_equal(st.spans_open, 5000 - 4096);
	assert_int_equal(st.pair_abandoned, 4096);
	model__cut(f.m, 10000);
	st = fix__stats(&f);
	assert_int_equal(st.spans_open, 0);
	assert_int_equal(st.pair_begins,
			 st.pair_ends + st.pair_abandoned + st.pair_begin_without_end);
	fix__stop(&f);
}

/* --- types --- */

static void types_are_merged_over_sites(void **state)
{
	struct elf_site s[3] = {probe("p", 3, 4), probe("p", 2, 8), probe("q", 2, 8)};
	struct fix f = {.rec.quiet = false};

	s[0].arg[0].size = -4; /* -4@%eax */
	s[1].arg[0].size = 4;  /* 4@$-1: gcc notes the constant as unsigned */
	s[0].arg[1].size = -4; /* -4@$0 */
	s[1].arg[1].size = 1;  /* 1@-57(%rbp) */
	s[0].arg[2].kind = WIRE_ARG_NONE;
	s[2].arg[0].kind = WIRE_ARG_NONE;
	fix__start(&f, s, 3);
	hit(&f, 1, 0, 10, 2, 0xffffffff);
	hit(&f, 0, 0, 20, 3, (u64)-5);
	hit(&f, 2, 0, 30, 2, 1);
	/* i32 is type 2; an argument that no site can read is no field, the others keep their
	 * numbers */
	fix__expect(&f,
		    "process 1 pid 100\nthread 1 \ncallsite 1 event 2 shop p (arg0:2 arg1:2)\n"
		    "event p parent 0 at 10 by T1 {arg0=-1 arg1=4294967296}\n"
		    "event p parent 0 at 20 by T1 {arg0=-5 arg1=-4}\n"
		    "callsite 2 event 2 shop q (arg1:5)\nevent q parent 0 at 30 by T1 {arg1=2}\n");
	fix__stop(&f);
}

static void unreadable_and_missing(void **state)
{
	struct elf_site s[1] = {probe("p", 3, 8)};
	struct hit_rec h = {.h = {.arg_cnt = 2, .unreadable = 2}, .val = {1, 0}};
	struct fix f = {.rec.quiet = true};

	fix__start(&f, s, 1);
	send_hit(&f, 0, 0, 10, &h);
	fix__expect(&f, "event p parent 0 at 10 by T1 {arg0=1 arg1=unreadable}\n");
	assert_int_equal(fix__stats(&f).unreadable_args, 1);
	h = (struct hit_rec){
		.h = {.arg_cnt = 9,
		      .head.bytes = sizeof(struct wire_hit)}}; /* says more than it has */
	send_hit(&f, 0, 0, 20, &h);
	fix__expect(&f, "event p parent 0 at 20 by T1\n");
	fix__stop(&f);
}

static void unknown_site(void **state)
{
	struct fix f;

	start_shop(&f, false);
	hit(&f, 77, 0, 10, 0, 0);
	assert_int_equal(fix__stats(&f).lost[LOSS_CALLSITE], 1);
	assert_int_equal(fix__stats(&f).stored, 0);
	fix__stop(&f);
}

/* --- signatures --- */

static void signatures(void **state)
{
	struct elf_site s[2] = {probe("order__begin", 5, 8), probe("order__end", 2, 4)};
	struct sig_set *sigs = sig_set__new();
	struct diag d = {.text = ""};
	struct hit_rec h = {.h = {.arg_cnt = 5, .text_bytes = 16},
			    .val = {42, 3, 5 | WIRE_HIT_TEXT_TRUNCATED, 9, (u64)-2}};
	struct fix f = {.rec.quiet = false};

	assert_int_equal(
		sig_set__add(sigs,
			     "shop:order__begin(u64 id, str path, str body:len, _ len, i32 code)",
			     &d),
		0);
	assert_int_equal(sig_set__add(sigs, "shop:order__end(u64 id, bool ok)", &d), 0);
	f.opts.sigs = sigs;
	sig__apply(sig_set__find(sigs, "shop", "order__begin"), s[0].arg_cnt, s[0].arg);
	sig__apply(sig_set__find(sigs, "shop", "order__end"), s[1].arg_cnt, s[1].arg);
	fix__start(&f, s, 2);
	memcpy((char *)h.val + 8 * 5, "a/b\0\0\0\0\0hello\0\0\0", 16);
	send_hit(&f, 0, 0, 10, &h);
	hit(&f, 1, 0, 20, 2, 42);
	/* the end's id would be the begin's: it is end_id */
	fix__expect(&f, "process 1 pid 100\nthread 1 \n"
			"callsite 1 span 2 shop order (id:5 path:9 body:9 code:2 end_id:5 ok:1)\n"
			"open 1 order parent 0 at 10 by T1 {id=42 path='a/b' body='hello'...9 "
			"code=-2}\nenter 1 T1 at 10\n"
			"value 1 end_id=42 T1 at 20\nvalue 1 ok=true T1 at 20\nexit 1 T1 at "
			"20\nclose 1 at 20\n");
	fix__stop(&f);
	sig_set__free(sigs);
}

static void null_text(void **state)
{
	struct elf_site s[1] = {probe("p", 1, 8)};
	struct hit_rec h = {.h = {.arg_cnt = 1}, .val = {WIRE_HIT_TEXT_NULL}};
	struct fix f = {.rec.quiet = true};

	s[0].arg[0].text = WIRE_TEXT_NUL;
	fix__start(&f, s, 1);
	send_hit(&f, 0, 0, 10, &h);
	h.val[0] = 200; /* more than there is */
	send_hit(&f, 0, 0, 20, &h);
	fix__expect(&f, "event p parent 0 at 10 by T1\nevent p parent 0 at 20 by T1\n");
	fix__stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_is_a_span),
		cmocka_unit_test(ends_close_the_topmost_and_abandon),
		cmocka_unit_test(no_pairs),
		cmocka_unit_test(crossing_spans_of_tape_h),
		cmocka_unit_test(halves),
		cmocka_unit_test(across_files),
		cmocka_unit_test(ends_that_never_come),
		cmocka_unit_test(types_are_merged_over_sites),
		cmocka_unit_test(unreadable_and_missing),
		cmocka_unit_test(unknown_site),
		cmocka_unit_test(signatures),
		cmocka_unit_test(null_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
