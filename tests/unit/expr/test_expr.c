/* SPDX-License-Identifier: MIT */
#include "expr_story.h"
#include "ingest/rec.h"
#include "rnd.h"

#include <errno.h>
#include <stdio.h>

static bool match(const char *text, const struct expr_subject *s)
{
	struct expr_error err = {0};
	struct expr *e = expr__new(text, strlen(text), &err);
	enum expr_verdict verdict;
	bool out;

	if (!e) {
		print_error("%s: column %u: %s\n", text, err.column, err.text);
		fail();
	}
	out = expr__match(e, s);
	/* the same by the plan that is there now, and none that contradicts it */
	assert_int_equal(expr__match(e, s), out);
	verdict = expr__callsite(e, s->callsite);
	assert_true(verdict == EXPR_MAYBE || (verdict == EXPR_ALWAYS) == out);
	expr__free(e);
	return out;
}

static void check(const char *const *texts, size_t cnt, const struct expr_subject *s, bool want)
{
	for (size_t i = 0; i < cnt; i++) {
		if (match(texts[i], s) == want)
			continue;
		print_error("%s: should be %d\n", texts[i], want);
		fail();
	}
}

#define TRUE_OF(subject, ...)                                                                      \
	({                                                                                         \
		static const char *const texts_[] = {__VA_ARGS__};                                 \
		check(texts_, ARRAY_SIZE(texts_), subject, true);                                  \
	})
#define FALSE_OF(subject, ...)                                                                     \
	({                                                                                         \
		static const char *const texts_[] = {__VA_ARGS__};                                 \
		check(texts_, ARRAY_SIZE(texts_), subject, false);                                 \
	})

static void the_callsite_is_compared(void **state)
{
	TRUE_OF(&story_span, "name==order", "name=order", "name!=cancel", "name~rde", "name!~x", "name=~'^or.er$'",
		"target==shop::api", "module==shop", "file==src/shop.c", "line==42", "line>41", "kind==span", "'name'==Ada",
		"name == \"order\"");
	FALSE_OF(&story_span, "name==orde", "name==Order", "name!=order", "target~'::db'", "line<42", "kind==event", "kind!=span");
	/* a callsite that does not know */
	FALSE_OF(&story_event, "module==shop", "module!=shop", "file~shop", "line>0", "module?", "line?");
	TRUE_OF(&story_event, "kind==event", "target?");
}

static void levels_have_the_order_of_severity(void **state)
{
	TRUE_OF(&story_span, "level==info", "level>=debug", "level<=INFO", "level<warn", "level!=error", "level>trace",
		"level<warning");
	FALSE_OF(&story_span, "level>=warn", "level==error", "level<info");
	TRUE_OF(&story_event, "level>=error", "level==error");
	FALSE_OF(&story_event, "level>error", "level<error");
}

static void the_thread_is_compared(void **state)
{
	struct expr_subject nobody = story_span;

	TRUE_OF(&story_span, "thread==worker-1", "tid==4712", "pid==4711", "process==shopd", "thread~work", "pid>4000");
	FALSE_OF(&story_span, "thread==main", "tid!=4712", "pid<4711", "process==shop");
	nobody.thread = NULL;
	FALSE_OF(&nobody, "thread==worker-1", "thread!=worker-1", "tid>0", "pid?", "process?");
}

static void times_are_compared(void **state)
{
	TRUE_OF(&story_span, "duration>50ms", "duration>=60ms", "duration<0.1s", "busy==20ms", "idle==40ms", "idle==40000us",
		"duration<1m", "duration<1h", "busy<2e10ns", "busy>0", "duration>.05s");
	FALSE_OF(&story_span, "duration>60ms", "busy>1s", "idle!=40ms");
	FALSE_OF(&story_event, "duration>0", "duration<1h", "busy?", "not not duration?");
}

static void numbers_are_compared_as_numbers(void **state)
{
	TRUE_OF(&story_span, "code==500", "code!=501", "code>499", "code>=500", "code<1e3", "code==500.0", "code==0x1f4",
		"code<1k", "code<1us", "delta==-7", "delta<0", "delta>-7.5", "ratio==0.25", "ratio<1", "ratio>0", "at==0xbeef",
		"at==48879", "hash==18446744073709551617", "hash>18446744073709551616", "hash<1e30", ".code==500");
	FALSE_OF(&story_span, "code==50", "code<500", "delta==7", "delta>0", "ratio==25", "ratio!=0.25", "hash==1",
		 "code>1M", "code>10us");
}

static void booleans_are_compared(void **state)
{
	TRUE_OF(&story_span, "ok==true", "ok!=false", "ok==1", "ok=TRUE", "ok~tru");
	FALSE_OF(&story_span, "ok==false", "ok==0", "ok!=true", "ok==yes");
}

static void texts_are_compared(void **state)
{
	TRUE_OF(&story_span, "path==/api/orders", "path~/api", "path!~login", "path=~'^/api/[a-z]+$'", "path>/api",
		"http.method==GET", "http.method=='GET'", "raw~b", "raw==\"a\\x00b\"", "why==\"disk full\"", "why~disk",
		".name==Ada", "path~''", "path<'/b'");
	FALSE_OF(&story_span, "path==/api", "path~api/x", "path=~'^api'", "raw==a", ".name==order", "path<'/api'", "path>9");
	/* a text that holds a number */
	TRUE_OF(&story_event, "n>12", "n<13.5", "n==12.5", "n!=12.50");
	FALSE_OF(&story_event, "n==12.50", "n>12.5", "message>1", "message<1");
	/* a number as text */
	TRUE_OF(&story_span, "code~50", "code=='500'", "code!='0500'", "delta~'-'", "at~0xbe", "ratio=~'^0\\\\.25$'");
	FALSE_OF(&story_span, "code<'501'", "code==abc", "code>abc");
	TRUE_OF(&story_span, "code!=abc");
}

static void what_is_not_there_makes_comparisons_false(void **state)
{
	FALSE_OF(&story_span, "gone==1", "gone!=1", "gone<1", "gone~1", "gone?", "nosuch==1", "nosuch!=1", "nosuch?",
		 "torn==x", "torn!=x", "torn?", "torn~''");
	TRUE_OF(&story_span, "not gone==1", "!nosuch?", "code?", "path?", "not torn?", "'http.method'?");
	FALSE_OF(&story_event, "code==500", "code!=500");
}

static void and_or_not_and_parentheses(void **state)
{
	TRUE_OF(&story_span, "code==500 and ok==true", "code==1 or ok==true", "not code==1", "!code==1", "not not ok==true",
		"code==1 and ok==true or path~api", "path~api or code==1 and ok==false",
		"(code==1 or ok==true) and path~api", "code==500&&ok==true", "code==1||ok==true", "!(code==1||ok==false)",
		"NOT code==1 AND ok==true", "not code==1 and ok==true", "((((ok==true))))", " \t code == 500 \n");
	FALSE_OF(&story_span, "code==500 and ok==false", "code==1 or ok==false", "not (code==500 or ok==false)",
		 "(path~api or code==1) and ok==false", "not code==500 and ok==true");
	/* words are words where a value stands */
	FALSE_OF(&story_span, "name==and", "name==not or name==or");
}

static void a_value_said_again_counts(void **state)
{
	struct value v[] = {{.field = 0, .type = WIRE_T_U64, .u = 1}, {.field = 0, .type = WIRE_T_U64, .u = 2}};
	struct expr_subject s = {.callsite = &story_order, .value = v, .value_cnt = 2};

	TRUE_OF(&s, "code==2");
	FALSE_OF(&s, "code==1");
}

/* --- verdicts ---------------------------------------------------------------------------------------------- */

static void of_a_callsite_as_a_whole(void **state)
{
	static const struct {
		const char *text;
		enum expr_verdict span, event;
	} cases[] = {
		{"name==order", EXPR_ALWAYS, EXPR_NEVER},
		{"code==500", EXPR_MAYBE, EXPR_NEVER},
		{"name==order and code==500", EXPR_MAYBE, EXPR_NEVER},
		{"name==order or code==500", EXPR_ALWAYS, EXPR_NEVER},
		{"not code==500", EXPR_MAYBE, EXPR_ALWAYS},
		{"duration>1s", EXPR_MAYBE, EXPR_NEVER},
		{"level>=error or thread==main", EXPR_MAYBE, EXPR_ALWAYS},
		{"not (name==order and code==500)", EXPR_MAYBE, EXPR_ALWAYS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct expr *e = expr__new(cases[i].text, strlen(cases[i].text), NULL);

		assert_non_null(e);
		assert_int_equal(expr__callsite(e, &story_order), cases[i].span);
		assert_int_equal(expr__callsite(e, &story_said), cases[i].event);
		expr__free(e);
	}
}

static void many_callsites(void **state)
{
	static struct callsite c[500];
	struct expr *e = expr__new("n==1", 4, NULL);
	struct value v = {.type = WIRE_T_U64, .u = 1};

	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < ARRAY_SIZE(c); i++) {
			struct expr_subject s = {.callsite = &c[i], .value = &v, .value_cnt = 1};

			c[i] = (struct callsite){.id = i + 1, .name = "x", .field_cnt = 2};
			c[i].field[i % 2].name = "n";
			c[i].field[!(i % 2)].name = "m";
			v.field = 0;
			assert_int_equal(expr__match(e, &s), i % 2 == 0);
		}
	}
	expr__forget(e);
	c[0].field[0].name = "m";
	c[0].field[1].name = "n";
	v.field = 1;
	assert_true(expr__match(e, &(struct expr_subject){.callsite = &c[0], .value = &v, .value_cnt = 1}));
	expr__free(e);
}

static void what_an_expression_asks_for(void **state)
{
	struct expr *e = expr__new("code==1 or busy>1s", 18, NULL);
	u32 column = 0;

	assert_true(expr__asks_times(e, &column));
	assert_int_equal(column, 11);
	assert_true(expr__asks_fields(e));
	expr__free(e);
	e = expr__new("name==busy", 10, NULL);
	assert_false(expr__asks_times(e, NULL));
	assert_false(expr__asks_fields(e));
	expr__free(e);
}

/* --- errors ------------------------------------------------------------------------------------------------ */

static void errors_point_at_the_column(void **state)
{
	static const struct {
		const char *text;
		u32 column;
		const char *what;
	} cases[] = {
		{"", 0, "a condition is missing"},
		{"   ", 3, "a condition is missing"},
		{"code", 4, "want a comparison here"},
		{"code 500", 5, "want a comparison here"},
		{"code==", 6, "want what to compare with"},
		{"code==(", 6, "want what to compare with"},
		{"==5", 0, "want a name here"},
		{"level>=eror", 7, "no such level"},
		{"level~err", 6, "this is no text"},
		{"duration>50", 9, "a time with its unit"},
		{"duration>50MB", 9, "a time with its unit"},
		{"busy==\"5ms\"", 6, "a time with its unit"},
		{"tid==abc", 5, "a whole number"},
		{"pid==1.5", 5, "a whole number"},
		{"line<5ms", 5, "a whole number"},
		{"name<x", 5, "a name has no order"},
		{"kind==spam", 6, "kind is span or event"},
		{"a==1 b==2", 5, "want `and`, `or` or the end"},
		{"(a==1", 0, "not closed"},
		{"(a==1 b", 6, "want `and`, `or` or )"},
		{"a==1)", 4, "want `and`, `or` or the end"},
		{"a==1 and", 8, "another condition is missing"},
		{"a==1 &&", 7, "another condition is missing"},
		{"a==1 || && b==1", 8, "another condition is missing"},
		{"(a==1 or) and b==1", 8, "another condition is missing"},
		{"()", 1, "a condition is missing"},
		{"a==1 & b==2", 5, "want &&"},
		{"a==1 | b==2", 5, "want ||"},
		{"a==\"x", 3, "has no end"},
		{"a==\"\\q\"", 4, "no such escape"},
		{"a==\"\\x1\"", 4, "no such escape"},
		{"a=~'('", 3, "no regular expression"},
		{"a=~\"x\\x00\"", 3, "a NUL"},
		{".==1", 0, "the name of a field"},
		{"''==1", 0, "the name of a field"},
		{"a<>1", 2, "want what to compare with"},
		{"a==1\x01", 4, "means nothing"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct expr_error err = {.column = 999};

		errno = 0;
		assert_null(expr__new(cases[i].text, strlen(cases[i].text), &err));
		assert_int_equal(errno, EINVAL);
		if (err.column != cases[i].column || !strstr(err.text, cases[i].what)) {
			print_error("%s: column %u: %s\n", cases[i].text, err.column, err.text);
			fail();
		}
	}
}

static struct expr *must(const char *text)
{
	struct expr_error err;
	struct expr *e = expr__new(text, strlen(text), &err);

	if (!e)
		fail_msg("%s: column %u: %s", text, err.column, err.text);
	return e;
}

static u64 least(const char *text, const struct expr_subject *s, u32 unknown)
{
	struct expr *e = must(text);
	u64 out = expr__least_ns(e, s, unknown);

	expr__free(e);
	return out;
}

#define NEVER (~0ULL)

static void from_which_duration_on(void **state)
{
	static const struct {
		const char *text;
		u64 least, without_fields;
	} cases[] = {
		{"duration>50ms", 50000001, 50000001}, {"duration>=50ms", 50000000, 50000000}, {"duration<1s", 0, 0},
		{"duration<0", NEVER, NEVER}, {"duration>=0", 0, 0}, {"duration?", 0, 0}, {"not duration?", NEVER, NEVER},
		{"duration==3us", 3000, 3000}, {"duration!=0", 1, 1}, {"duration!=5ns", 0, 0}, {"not duration<=7ns", 8, 8},
		{"not duration!=7ns", 7, 7}, {"busy>9ns", 10, 10}, {"idle>=9ns and busy>=12ns", 12, 12},
		{"idle>=9ns or busy>=12ns", 9, 9}, {"not (idle<9ns or busy<12ns)", 12, 12},
		{"code==500", 0, 0}, {"code==501", NEVER, 0}, {"duration>9ns and code==500", 10, 10},
		{"duration>9ns and code==501", NEVER, 10}, {"duration>9ns or code==500", 0, 0}, {"duration>9ns or code==501", 10, 0},
		{"not code==501", 0, 0}, {"not (code==500 or duration>1s)", NEVER, 0}, {"name==order and duration>4ns", 5, 5},
		{"name==cancel", NEVER, NEVER}, {"nosuch==1", NEVER, NEVER}, {"thread==nobody and duration>4ns", 5, 5},
		{"thread==nobody or duration>4ns", 0, 0}, {"not thread==worker-1", 0, 0}, {"pid?", 0, 0},
		{"tid==1 and code==501", NEVER, 0},
	};
	const u32 unknown = EXPR_THREAD | EXPR_TIMES;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 with = least(cases[i].text, &story_span, unknown);
		u64 without = least(cases[i].text, &story_span, unknown | EXPR_FIELDS);

		if (with != cases[i].least || without != cases[i].without_fields)
			fail_msg("%s: %llu, %llu", cases[i].text, (unsigned long long)with, (unsigned long long)without);
	}
	assert_int_equal(least("n>12 and thread==x", &story_event, unknown), 0);
	assert_int_equal(least("n>13 and thread==x", &story_event, unknown), NEVER);
	assert_int_equal(least("duration<1h", &story_event, unknown), NEVER);
}

/* --- fields as they were recorded --- */

static struct callsite story_raw = {
	.id = 3,
	.is_span = 1,
	.name = "raw",
	.target = "shop",
	.module = "",
	.file = "",
	.field_cnt = 3,
	.field = {{"code", WIRE_T_U64}, {"path", WIRE_T_STR}, {"delta", WIRE_T_I32}},
};

struct raw {
	u64 code;
	struct wire_text len;
	char path[4];
	s32 delta;
};

static void what_was_recorded_is_what_was_decoded(void **state)
{
	struct raw raw = {500, {4, 0}, "/api", -7};
	struct rec_payload fields = {(const u8 *)&raw, sizeof(raw)};
	struct expr_subject s = {.callsite = &story_raw, .thread = &story_worker, .fields = &fields};

	TRUE_OF(&s, "code==500", "path=='/api'", "path~pi", "delta==-7", "delta<0", "code>499 and delta<=-7");
	FALSE_OF(&s, "code==501", "path~login", "delta>0", "not delta?");
	raw.len.flags = WIRE_TEXT_NULL;
	raw.len.len = 0;
	fields.bytes -= 4;
	memcpy(raw.path, &raw.delta, 4);
	TRUE_OF(&s, "not path?", "delta==-7");
	/* malformed from the text on: nothing is there, but that is for others to say */
	raw.len.len = 9999;
	TRUE_OF(&s, "code==500", "not path?", "not delta?");
	assert_int_equal(least("delta==-8", &s, EXPR_THREAD | EXPR_TIMES), 0);
	assert_int_equal(least("code==501", &s, EXPR_THREAD | EXPR_TIMES), NEVER);
}

/* Some condition, at most 400 bytes of it. */
static size_t any_condition(char *to, u32 depth)
{
	static const char *const leaves[] = {
		"duration>%luns", "duration>=%luns", "duration<%luns", "duration<=%luns", "duration==%luns", "duration!=%luns",
		"busy>%luns", "busy<=%luns", "idle>=%luns", "idle<%luns", "idle==%luns", "code==%lu", "code!=%lu", "code<%lu",
		"tid==%lu", "thread~%lu", "path~%lu", "delta<%lu", "nosuch==%lu", "line<%lu",
	};
	size_t n = 0, op;

	if (!depth || !rnd(3))
		return (size_t)sprintf(to, leaves[rnd(ARRAY_SIZE(leaves))], (unsigned long)rnd(6));
	op = rnd(3);
	n += (size_t)sprintf(to, op ? "(" : "not (");
	n += any_condition(to + n, depth - 1);
	if (op) {
		n += (size_t)sprintf(to + n, op == 1 ? " and " : " or ");
		n += any_condition(to + n, depth - 1);
	}
	return n + (size_t)sprintf(to + n, ")");
}

/* Who knows less never says later. */
static void what_matches_was_possible(void **state)
{
	char text[2048];
	u64 matched = 0;

	seed = 1;
	for (u32 i = 0; i < 20000; i++) {
		struct raw raw = {rnd(6), {4, 0}, {(char)('0' + rnd(6)), 'x', 'y', 'z'}, (s32)rnd(6) - 2};
		struct rec_payload fields = {(const u8 *)&raw, sizeof(raw)};
		struct expr_subject s = {.callsite = &story_raw, .fields = &fields}, whole = s;
		struct expr *e;
		u64 from;

		any_condition(text, 3);
		e = must(text);
		whole.thread = &story_worker;
		whole.timed = true;
		whole.duration_ns = rnd(8);
		whole.busy_ns = rnd(whole.duration_ns + 1);
		from = expr__least_ns(e, &s, EXPR_THREAD | EXPR_TIMES);
		assert_true(expr__least_ns(e, &s, EXPR_THREAD | EXPR_TIMES | EXPR_FIELDS) <= from);
		if (expr__match(e, &whole) && ++matched && from > whole.duration_ns)
			fail_msg("%s: matches at %llu, was possible from %llu", text, (unsigned long long)whole.duration_ns,
				 (unsigned long long)from);
		expr__free(e);
	}
	assert_in_range(matched, 2000, 18000);
}

static void too_long_and_too_deep(void **state)
{
	static char text[EXPR_MAX_BYTES + 16];
	struct expr_error err;
	struct expr *e;
	size_t n = 0;

	memset(text, '(', 300);
	assert_null(expr__new(text, 300, &err));
	assert_non_null(strstr(err.text, "too deeply"));
	memset(text, '!', 300);
	assert_null(expr__new(text, 300, &err));
	memset(text, 'a', sizeof(text));
	assert_null(expr__new(text, sizeof(text), &err));
	assert_non_null(strstr(err.text, "longer than"));
	/* as many terms as there is room for */
	while (n + 8 < EXPR_MAX_BYTES)
		n += (size_t)sprintf(text + n, "%sa==1", n ? "&&" : "");
	e = expr__new(text, n, &err);
	assert_non_null(e);
	assert_false(expr__match(e, &story_span));
	expr__free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_callsite_is_compared),
		cmocka_unit_test(levels_have_the_order_of_severity),
		cmocka_unit_test(the_thread_is_compared),
		cmocka_unit_test(times_are_compared),
		cmocka_unit_test(numbers_are_compared_as_numbers),
		cmocka_unit_test(booleans_are_compared),
		cmocka_unit_test(texts_are_compared),
		cmocka_unit_test(what_is_not_there_makes_comparisons_false),
		cmocka_unit_test(and_or_not_and_parentheses),
		cmocka_unit_test(a_value_said_again_counts),
		cmocka_unit_test(of_a_callsite_as_a_whole),
		cmocka_unit_test(many_callsites),
		cmocka_unit_test(what_an_expression_asks_for),
		cmocka_unit_test(errors_point_at_the_column),
		cmocka_unit_test(from_which_duration_on),
		cmocka_unit_test(what_was_recorded_is_what_was_decoded),
		cmocka_unit_test(what_matches_was_possible),
		cmocka_unit_test(too_long_and_too_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
