/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flight/trigger.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MS NSEC_PER_MSEC

static struct callsite order = {.id = 1, .is_span = 1, .level = WIRE_INFO, .name = "order", .target = "shop", .module = "",
				.file = "", .field_cnt = 2, .field = {{"code", WIRE_T_U64}, {"path", WIRE_T_STR}}};
static struct callsite idle_site = {.id = 2, .is_span = 1, .level = WIRE_DEBUG, .name = "idle", .target = "shop",
				    .module = "", .file = ""};
static struct callsite paid = {.id = 3, .level = WIRE_ERROR, .name = "paid", .target = "shop", .module = "", .file = "",
			       .field_cnt = 1, .field = {{"code", WIRE_T_U64}}};
static struct callsite said = {.id = 4, .level = WIRE_INFO, .name = "event shop.c:7", .target = "shop", .module = "",
			       .file = "", .field_cnt = 1, .field = {{"message", WIRE_T_STR}}};
static struct process process = {.uid = 1, .pid = 4711, .comm = "shopd"};
static struct thread thread = {.uid = 1, .tid = 4712, .name = "worker-1", .process = &process};

struct story {
	struct trigger_set *set;
	struct sink in;
	char log[8192]; /* "TRIGGER @MS WHAT\n" */
};

static void on_fired(void *ctx, const struct trigger_fired *f)
{
	struct story *s = ctx;
	size_t n = strlen(s->log);

	snprintf(s->log + n, sizeof(s->log) - n, "%s @%llu %s\n", f->trigger, (unsigned long long)(f->time_ns / MS), f->what);
	if (f->kind <= TRIGGER_EVENT) {
		assert_int_equal(f->pid, 4711);
		assert_int_equal(f->tid, 4712);
	}
}

static void start(struct story *s, const char *a, const char *b)
{
	struct expr_error err = {0};

	memset(s, 0, sizeof(*s));
	s->set = trigger_set__new(on_fired, s);
	assert_non_null(s->set);
	if (trigger_set__add(s->set, a, &err) || (b && trigger_set__add(s->set, b, &err))) {
		print_error("column %u: %s\n", err.column, err.text);
		fail();
	}
	s->in = trigger_set__sink(s->set);
}

static void told(struct story *s, const char *want)
{
	assert_string_equal(s->log, want);
	s->log[0] = 0;
}

static void stop(struct story *s)
{
	trigger_set__free(s->set);
}

static void open_span(struct story *s, u64 span, const struct callsite *c, u64 ms)
{
	char path[] = "/api/x";
	struct value v[] = {{.field = 0, .type = WIRE_T_U64, .u = 500},
			    {.field = 1, .type = WIRE_T_STR, .text = path, .text_bytes = 6}};
	struct span_open o = {.span = span, .callsite = c, .time_ns = ms * MS, .thread = &thread,
			      .value = v, .value_cnt = c->field_cnt};

	assert_int_equal(s->in.ops->span_open(s->in.ctx, &o), 0);
	memset(path, '#', sizeof(path));
}

static void enter(struct story *s, u64 span, u64 ms)
{
	assert_int_equal(s->in.ops->span_enter(s->in.ctx, span, &thread, ms * MS), 0);
}

static void leave(struct story *s, u64 span, u64 ms)
{
	assert_int_equal(s->in.ops->span_exit(s->in.ctx, span, &thread, ms * MS, SINK_OWN), 0);
}

static void close_span(struct story *s, u64 span, u64 ms, enum sink_why why)
{
	assert_int_equal(s->in.ops->span_close(s->in.ctx, span, ms * MS, ms * MS, why), 0);
}

static void code(struct story *s, u64 span, u64 number)
{
	struct value v = {.field = 0, .type = WIRE_T_U64, .u = number};

	assert_int_equal(s->in.ops->span_value(s->in.ctx, span, &order, &v, &thread, 0), 0);
}

static void event(struct story *s, const struct callsite *c, const struct value *v, u64 ms)
{
	struct event e = {.callsite = c, .time_ns = ms * MS, .thread = &thread, .value = v, .value_cnt = 1};

	assert_int_equal(s->in.ops->event(s->in.ctx, &e), 0);
}

#define FROM " thread worker-1 (4712) of shopd (4711)"

static void a_span_that_took_longer(void **state)
{
	struct story s;

	start(&s, "span:order>50ms", NULL);
	assert_true(trigger_set__needs_decoding(s.set));
	open_span(&s, 1, &order, 10);
	enter(&s, 1, 10);
	leave(&s, 1, 30);
	close_span(&s, 1, 60, SINK_OWN); /* 50 is not more than 50 */
	open_span(&s, 2, &order, 100);
	open_span(&s, 3, &idle_site, 100);
	enter(&s, 2, 110);
	leave(&s, 2, 120);
	close_span(&s, 3, 900, SINK_OWN);
	told(&s, "");
	close_span(&s, 2, 162, SINK_OWN);
	told(&s, "span:order>50ms @162 span order INFO 62ms, busy 10ms," FROM ": code=500 path=\"/api/x\"\n");
	assert_int_equal(trigger_set__fired(s.set, 0), 1);
	stop(&s);
}

static void or_as_long_and_any_name(void **state)
{
	struct story s;

	start(&s, "span:order>=50ms", "span:*>1s");
	open_span(&s, 1, &order, 0);
	close_span(&s, 1, 50, SINK_OWN);
	told(&s, "span:order>=50ms @50 span order INFO 50ms, busy 0ns," FROM ": code=500 path=\"/api/x\"\n");
	open_span(&s, 2, &idle_site, 0);
	close_span(&s, 2, 1001, SINK_ABANDONED);
	told(&s, "span:*>1s @1001 span idle DEBUG 1.001s, busy 0ns," FROM "\n");
	open_span(&s, 3, &order, 0);
	close_span(&s, 3, 2000, SINK_CUT); /* the stream has ended, not the span */
	told(&s, "");
	stop(&s);
}

static void a_span_with_a_condition(void **state)
{
	struct story s;

	start(&s, "span:order>50ms code==404 and path~/api", "span:(level<info and duration>1ms)");
	open_span(&s, 1, &order, 0);
	close_span(&s, 1, 100, SINK_OWN);
	told(&s, "");
	open_span(&s, 2, &order, 0);
	code(&s, 2, 404); /* a later value counts */
	close_span(&s, 2, 100, SINK_OWN);
	told(&s, "span:order>50ms code==404 and path~/api @100 span order INFO 100ms, busy 0ns," FROM
		 ": code=404 path=\"/api/x\"\n");
	open_span(&s, 3, &idle_site, 0);
	close_span(&s, 3, 2, SINK_OWN);
	told(&s, "span:(level<info and duration>1ms) @2 span idle DEBUG 2ms, busy 0ns," FROM "\n");
	stop(&s);
}

static void busy_is_the_time_with_an_entry(void **state)
{
	struct story s;

	start(&s, "busy:order>50ms", NULL);
	open_span(&s, 1, &order, 0);
	enter(&s, 1, 10);
	enter(&s, 1, 20);
	leave(&s, 1, 30);
	leave(&s, 1, 60); /* the union: 50 */
	close_span(&s, 1, 900, SINK_OWN);
	told(&s, "");
	open_span(&s, 2, &order, 0);
	enter(&s, 2, 10);
	leave(&s, 2, 40);
	enter(&s, 2, 50);
	leave(&s, 2, 71);
	close_span(&s, 2, 80, SINK_OWN);
	told(&s, "busy:order>50ms @80 span order INFO 80ms, busy 51ms," FROM ": code=500 path=\"/api/x\"\n");
	stop(&s);
}

static void a_span_that_hangs(void **state)
{
	struct trigger_stats st;
	struct story s;

	start(&s, "open:order>1s", "open:(name==order and busy>2s)");
	open_span(&s, 1, &order, 0);
	enter(&s, 1, 500);
	open_span(&s, 2, &order, 900);
	trigger_set__tick(s.set, 1000 * MS);
	told(&s, "");
	trigger_set__tick(s.set, 1200 * MS);
	told(&s, "open:order>1s @1200 span order INFO 1.2s, busy 700ms," FROM ": code=500 path=\"/api/x\"\n");
	trigger_set__tick(s.set, 1300 * MS); /* once a span */
	told(&s, "");
	close_span(&s, 2, 1400, SINK_OWN);
	trigger_set__tick(s.set, 2600 * MS);
	told(&s, "open:(name==order and busy>2s) @2600 span order INFO 2.6s, busy 2.1s," FROM
		 ": code=500 path=\"/api/x\"\n");
	trigger_set__tick(s.set, 9000 * MS);
	told(&s, "");
	trigger_set__stats(s.set, &st);
	assert_int_equal(st.fired, 2);
	assert_int_equal(st.watched, 1);
	close_span(&s, 1, 9100, SINK_OWN);
	trigger_set__stats(s.set, &st);
	assert_int_equal(st.watched, 0);
	stop(&s);
}

static void events(void **state)
{
	const struct value n = {.type = WIRE_T_U64, .u = 500}, m = {.type = WIRE_T_STR, .text = "a\x1b[1m\n", .text_bytes = 6};
	struct story s;

	start(&s, "event:level>=error", "event:paid code==500");
	event(&s, &said, &m, 1);
	told(&s, "");
	event(&s, &paid, &n, 2);
	told(&s, "event:level>=error @2 event paid ERROR," FROM ": code=500\n"
		 "event:paid code==500 @2 event paid ERROR," FROM ": code=500\n");
	stop(&s);
	start(&s, "event:message~\"[1m\"", "event:paid and code!=500");
	event(&s, &paid, &n, 3);
	told(&s, "");
	event(&s, &said, &m, 4);
	told(&s, "event:message~\"[1m\" @4 event shop.c:7 INFO," FROM ": message=\"a\\x1b[1m\\n\"\n");
	stop(&s);
	start(&s, "event:'event shop.c:7'", "event:* not code?");
	event(&s, &paid, &n, 5);
	told(&s, "");
	event(&s, &said, &m, 6);
	assert_int_equal(trigger_set__fired(s.set, 0), 1);
	assert_int_equal(trigger_set__fired(s.set, 1), 1);
	/* a span is no event */
	open_span(&s, 1, &order, 7);
	close_span(&s, 1, 8, SINK_OWN);
	assert_int_equal(trigger_set__fired(s.set, 1), 1);
	stop(&s);
}

static void ends_of_processes(void **state)
{
	struct story s;

	start(&s, "exit", "crash");
	assert_false(trigger_set__needs_decoding(s.set));
	trigger_set__process_end(s.set, 5, "sh", 3 << 8, true, 10 * MS);
	told(&s, "exit @10 sh (5) exited with status 3\n");
	trigger_set__process_end(s.set, 6, NULL, SIGTERM, true, 11 * MS);
	told(&s, "exit @11 process 6 was killed by signal 15 (Terminated)\n");
	trigger_set__process_end(s.set, 7, "x\ty", SIGSEGV | 0x80, true, 12 * MS);
	told(&s, "exit @12 x\\ty (7) was killed by signal 11 (Segmentation fault), core dumped\n"
		 "crash @12 x\\ty (7) was killed by signal 11 (Segmentation fault), core dumped\n");
	trigger_set__process_end(s.set, 8, NULL, 0, false, 13 * MS);
	told(&s, "exit @13 process 8 has ended, nobody knows how: the record of it did not fit into a ring\n");
	assert_false(trigger_set__signal(s.set, 13 * MS));
	stop(&s);
	assert_true(trigger__is_crash(SIGKILL));
	assert_true(trigger__is_crash(SIGABRT));
	assert_false(trigger__is_crash(SIGINT));
	assert_false(trigger__is_crash(SIGHUP));
	assert_false(trigger__is_crash(1 << 8));
}

static void a_signal(void **state)
{
	struct story s;

	start(&s, "signal", NULL);
	assert_false(trigger_set__needs_decoding(s.set));
	assert_true(trigger_set__signal(s.set, 13 * MS));
	told(&s, "signal @13 SIGUSR2\n");
	stop(&s);
}

static void texts_of_any_length_are_cut_clean(void **state)
{
	static char text[20000];
	struct value v = {.type = WIRE_T_STR, .text = text, .text_bytes = sizeof(text)};
	struct story s;

	memset(text, 0xc3, sizeof(text));
	start(&s, "event:message?", NULL);
	event(&s, &said, &v, 1);
	assert_true(strlen(s.log) < 1100);
	stop(&s);
}

/* As in all expressions: between two words of it as many as one likes, of any kind. */
static void blanks_do_not_matter(void **state)
{
	static const char *const texts[] = {
		"exit ", " exit", "\texit\n", " crash ", "\r\nsignal ", "span:order>50ms", " span : order > 50ms ", "busy\t:\torder\n>=\n50ms",
		"open : * > 1s", "event : paid", " event:\tpaid\tcode == 1 ", "event : level >= error ", "span : ( level >= error )",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct trigger_set *set = trigger_set__new(on_fired, NULL);
		struct expr_error err = {0};

		if (trigger_set__add(set, texts[i], &err)) {
			print_error("'%s': column %u: %s\n", texts[i], err.column, err.text);
			fail();
		}
		trigger_set__free(set);
	}
}

static void wrong_texts(void **state)
{
	static const struct {
		const char *text;
		u32 column;
		const char *what;
	} cases[] = {
		{"", 0, "no such trigger"},
		{"spam:x>1ms", 0, "no such trigger"},
		{"Exit", 0, "no such trigger"},
		{"exit:x", 4, "takes nothing"},
		{"crash:", 5, "takes nothing"},
		{"span", 4, "want a colon here: as in span:NAME>50ms"},
		{"event", 5, "want a colon here: event:NAME"},
		{"span:", 5, "want > and a time"},
		{"span:order", 10, "want > and a time"},
		{"span:order<5ms", 10, "want > and a time"},
		{"span:order>", 11, "want a time here"},
		{"span:order>50", 11, "a time with its unit"},
		{"span:order>'50ms'", 11, "want a time here"},
		{"span:order>50ms code", 20, "want a comparison"},
		{"span:order>50ms and", 19, "a condition is missing"},
		{"event:a==1 or", 13, "another condition is missing"},
		{"event:a==1 or or b==2", 14, "another condition is missing"},
		{"span:order>50ms level>=eror", 23, "no such level"},
		{"span:(level>=eror)", 13, "no such level"},
		{"span:\"x", 5, "has no end"},
		{"open:(name==order)", 5, "for how long"},
		{"event:", 6, "want the name of an event"},
		{"event:level>=eror", 13, "no such level"},
		{"event:paid duration>1s", 11, "an event has no duration"},
		{"event:code==1 and (busy>1s)", 19, "an event has no duration"},
		{"  \t", 3, "no such trigger"},
		{" spam", 1, "no such trigger"},
		{"\texit now", 6, "takes nothing"},
		{" exit : x", 6, "takes nothing"},
		{"exitt", 0, "no such trigger"},
		{"span order>5ms", 5, "want a colon here"},
		{"event \n", 7, "want a colon here"},
		{" span : order > 50 ms", 16, "a time with its unit"},
		{" gr\xc3\xbc\xc3\x9f:x", 1, "no such trigger"},
		{"span:gr\xc3\xbc\xc3\x9f\t< 5ms", 12, "want > and a time"},
		{"event:paid code==", 17, "want what to compare with"},
	};
	struct trigger_set *set = trigger_set__new(on_fired, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct expr_error err = {.column = 999};

		assert_int_equal(trigger_set__add(set, cases[i].text, &err), -EINVAL);
		if (err.column != cases[i].column || !strstr(err.text, cases[i].what)) {
			print_error("%s: column %u: %s\n", cases[i].text, err.column, err.text);
			fail();
		}
	}
	assert_int_equal(trigger_set__cnt(set), 0);
	trigger_set__free(set);
}

static void as_many_as_there_may_be(void **state)
{
	struct expr_error err;
	struct story s;
	char text[64];

	start(&s, "span:order>0ms", NULL);
	for (u32 i = 1; i < TRIGGER_MAX; i++) {
		snprintf(text, sizeof(text), "span:order>%ums", i);
		assert_int_equal(trigger_set__add(s.set, text, &err), 0);
	}
	assert_int_equal(trigger_set__add(s.set, "exit", &err), -E2BIG);
	open_span(&s, 1, &order, 0);
	close_span(&s, 1, 1000, SINK_OWN);
	for (u32 i = 0; i < TRIGGER_MAX; i++)
		assert_int_equal(trigger_set__fired(s.set, i), 1);
	assert_string_equal(trigger_set__text(s.set, 63), "span:order>63ms");
	stop(&s);
}

/* More and longer ones than a span has room for, and said again. */
static void many_and_long_values(void **state)
{
	static struct callsite wide = {.id = 9, .is_span = 1, .name = "wide", .target = "", .module = "", .file = "", .field_cnt = 9,
				       .field = {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}, {"g"}, {"h"}, {"i"}}};
	static char text[300];
	struct value v[9];
	struct span_open o = {.span = 1, .callsite = &wide, .thread = &thread, .value = v, .value_cnt = 8};
	struct expr_error err;
	struct story s;

	start(&s, "span:wide>1ms a=~'^x{300}$' and h=~'^x{300}$' and b=='' and c==short and i==last and g==7", NULL);
	memset(text, 'x', sizeof(text));
	for (u16 i = 0; i < 9; i++)
		v[i] = (struct value){.field = i, .type = WIRE_T_STR, .text = text, .text_bytes = sizeof(text)};
	v[1].text_bytes = 0;
	v[6] = (struct value){.field = 6, .type = WIRE_T_U64, .u = 7};
	assert_int_equal(s.in.ops->span_begin(s.in.ctx, &o), 0);
	for (u32 round = 0; round < 20; round++) {
		v[8].text = round < 19 ? "first" : "last";
		v[8].text_bytes = (u32)strlen(v[8].text);
		v[2].text = "short";
		v[2].text_bytes = 5;
		assert_int_equal(s.in.ops->span_value(s.in.ctx, 1, &wide, &v[8], &thread, 0), 0);
		assert_int_equal(s.in.ops->span_value(s.in.ctx, 1, &wide, &v[2], &thread, 0), 0);
	}
	assert_int_equal(s.in.ops->span_end(s.in.ctx, 1, &thread, 2 * MS), 0);
	assert_int_equal(trigger_set__fired(s.set, 0), 1);
	assert_non_null(strstr(s.log, "span wide TRACE 2ms, busy 2ms,"));
	assert_int_equal(trigger_set__add(s.set, "exit", &err), 0);
	o.span = 2; /* freed at the end */
	assert_int_equal(s.in.ops->span_begin(s.in.ctx, &o), 0);
	stop(&s);
}

static void thousands_of_open_spans(void **state)
{
	struct trigger_stats st;
	struct story s;

	start(&s, "span:order>50ms", "open:order>5s");
	for (u64 i = 1; i <= 5000; i++)
		open_span(&s, i, i % 2 ? &order : &idle_site, i);
	trigger_set__stats(s.set, &st);
	assert_int_equal(st.watched, 2500);
	for (u64 i = 1; i <= 5000; i++)
		close_span(&s, i, i + 1, SINK_OWN);
	trigger_set__tick(s.set, 100000 * MS);
	trigger_set__stats(s.set, &st);
	assert_int_equal(st.watched, 0);
	assert_int_equal(st.fired, 0);
	assert_int_equal(st.unwatched, 0);
	open_span(&s, 9000, &order, 1); /* freed at the end */
	stop(&s);
}

static void on_hint(void *ctx, u32 i, const char *why)
{
	struct story *s = ctx;
	size_t n = strlen(s->log);

	snprintf(s->log + n, sizeof(s->log) - n, "%u: %s\n", i, why);
}

/* What is said of the first trigger when one record of each of these has come, and what stays of it. */
static void hinted(const char *trigger, const struct callsite *const *c, const char *want_told, const char *want_hint)
{
	const struct value v = {.field = 0, .type = WIRE_T_U64, .u = 7};
	const char *hint;
	struct story s;

	start(&s, trigger, "exit");
	trigger_set__tell_hints(s.set, on_hint);
	for (u64 i = 1; *c; c++, i++) {
		for (u32 again = 0; again < 2; again++) {
			if ((*c)->is_span)
				open_span(&s, 2 * i + again, *c, i);
			else
				event(&s, *c, &v, i);
		}
	}
	told(&s, want_told);
	hint = trigger_set__hint(s.set, 0);
	assert_string_equal(hint ? hint : "", want_hint);
	assert_null(trigger_set__hint(s.set, 1));
	stop(&s);
}

#define HINTED(trigger, told, hint, ...) hinted(trigger, (const struct callsite *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, told, hint)

static void why_it_does_not_fire(void **state)
{
	static const struct callsite paid_too = {.id = 5, .level = WIRE_INFO, .name = "paid", .target = "web", .module = "", .file = "",
						 .field_cnt = 3, .field = {{"status", WIRE_T_U64}, {"code", WIRE_T_U64}, {"level", WIRE_T_STR}}};
	static const struct callsite none = {.id = 6, .level = WIRE_INFO, .name = "paid", .target = "x", .module = "", .file = ""};

	/* a field that is not there: told once, with those that are */
	HINTED("event:paid cod==500", "0: no field cod in event paid; it has code\n", "no field cod in event paid; it has code", &said, &paid);
	HINTED("event:(name==paid and status<8)", "0: no field status in event paid; it has code\n", "no field status in event paid; it has code", &paid);
	HINTED("event:paid cod==500", "0: no field cod in event paid; it has none\n", "no field cod in event paid; it has none", &none, &paid);
	HINTED("span:order>1s pat~x", "0: no field pat in span order; it has code, path\n", "no field pat in span order; it has code, path", &order);
	/* another one of the name has it, whichever comes first */
	HINTED("event:paid status==500", "0: no field status in event paid; it has code\n", "", &paid, &paid_too);
	HINTED("event:paid status==500", "", "", &paid_too, &paid);
	/* not for want of it, or not only by it */
	HINTED("event:paid (target==web and status==1)", "", "no event so far that could fire it", &paid);
	HINTED("event:paid (status==1 or code==500)", "", "", &paid);
	/* any callsite might have it */
	HINTED("event:cod==500", "", "no event so far that could fire it", &paid, &said);
	HINTED("event:payed", "", "no event of this name so far", &paid, &order);
	HINTED("span:(level>=error)", "", "no span so far that could fire it", &order, &paid);
	HINTED("span:order>1s", "", "no span of this name so far");
	/* it means something else */
	HINTED("event:(code==status)", "0: status is a text to compare with here, not the field of event paid: no two fields are compared\n",
	       "status is a text to compare with here, not the field of event paid: no two fields are compared", &paid_too);
	HINTED("event:(code=='status')", "", "", &paid_too);
	HINTED("event:paid level==error", "0: level is not the field of event paid here; that is .level\n",
	       "level is not the field of event paid here; that is .level", &paid_too);
	HINTED("event:paid .level==error", "", "", &paid_too);
	HINTED("event:(level==info and code==1)", "", "", &paid_too);
}

static void a_hint_is_one_line_of_what_can_be_shown(void **state)
{
	static struct callsite wild = {.id = 7, .level = WIRE_INFO, .name = "a\nb\x1b[2J", .target = "", .module = "", .file = "", .field_cnt = 40};
	const char *hint;
	struct story s;

	for (u32 i = 0; i < 40; i++)
		wild.field[i].name = "quite\na long one";
	start(&s, "event:'a\\nb\\x1b[2J' x==1", NULL);
	trigger_set__tell_hints(s.set, on_hint);
	event(&s, &wild, &(struct value){.type = WIRE_T_U64}, 1);
	hint = trigger_set__hint(s.set, 0);
	assert_non_null(hint);
	assert_true(strlen(hint) < 320);
	for (; *hint; hint++)
		assert_in_range((u8)*hint, ' ', '~');
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_span_that_took_longer),
		cmocka_unit_test(or_as_long_and_any_name),
		cmocka_unit_test(a_span_with_a_condition),
		cmocka_unit_test(busy_is_the_time_with_an_entry),
		cmocka_unit_test(a_span_that_hangs),
		cmocka_unit_test(events),
		cmocka_unit_test(ends_of_processes),
		cmocka_unit_test(a_signal),
		cmocka_unit_test(texts_of_any_length_are_cut_clean),
		cmocka_unit_test(blanks_do_not_matter),
		cmocka_unit_test(wrong_texts),
		cmocka_unit_test(why_it_does_not_fire),
		cmocka_unit_test(a_hint_is_one_line_of_what_can_be_shown),
		cmocka_unit_test(as_many_as_there_may_be),
		cmocka_unit_test(many_and_long_values),
		cmocka_unit_test(thousands_of_open_spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
