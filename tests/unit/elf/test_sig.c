/* SPDX-License-Identifier: MIT */
/* Signatures: the grammar, its errors by column, files, matching, and what they change of argument specs. */
#include "elf/sig.h"
#include "elf/sig_check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sig_set *set_of(const char *text)
{
	struct sig_set *s = sig_set__new();
	struct diag d = { 0 };

	assert_non_null(s);
	if (sig_set__add(s, text, &d))
		fail_msg("%s", d.text);
	return s;
}

static void example(void **state)
{
	struct sig_set *s = set_of("shop:order__begin(u64 id, str path, str body:len, i32 len)");
	const struct sig *g = sig_set__find(s, "shop", "order__begin");

	assert_non_null(g);
	assert_string_equal(g->provider, "shop");
	assert_string_equal(g->probe, "order__begin");
	assert_int_equal(g->param_cnt, 4);
	assert_string_equal(g->param[0].name, "id");
	assert_int_equal(g->param[0].type, WIRE_T_U64);
	assert_int_equal(g->param[0].size, 8);
	assert_int_equal(g->param[0].len_param, -1);
	assert_int_equal(g->param[1].type, WIRE_T_STR);
	assert_int_equal(g->param[1].len_param, -1);
	assert_string_equal(g->param[2].name, "body");
	assert_int_equal(g->param[2].len_param, 3);
	assert_int_equal(g->param[3].type, WIRE_T_I32);
	assert_int_equal(g->param[3].size, -4);
	assert_null(sig_set__find(s, "shop", "order__beginn"));
	assert_null(sig_set__find(s, "sho", "order__begin"));
	sig_set__free(s);
}

static void types(void **state)
{
	static const struct {
		const char *word;
		u8 type;
		s8 size;
	} rows[] = {
		{ "bool", WIRE_T_BOOL, 0 }, { "i8", WIRE_T_I32, -1 },	{ "i16", WIRE_T_I32, -2 },
		{ "i32", WIRE_T_I32, -4 },  { "i64", WIRE_T_I64, -8 },	{ "u8", WIRE_T_U32, 1 },
		{ "u16", WIRE_T_U32, 2 },   { "u32", WIRE_T_U32, 4 },	{ "u64", WIRE_T_U64, 8 },
		{ "f32", WIRE_T_F64, 4 },   { "f64", WIRE_T_F64, 8 },
		{ "ptr", WIRE_T_PTR, 0 },   { "str", WIRE_T_STR, 0 },	{ "error", WIRE_T_ERROR, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sig_set *s;
		const struct sig *g;
		char text[64];

		snprintf(text, sizeof(text), " p : n ( %s  a.b ) ", rows[i].word);
		s = set_of(text);
		g = sig_set__find(s, "p", "n");
		assert_non_null(g);
		assert_int_equal(g->param[0].type, rows[i].type);
		assert_int_equal(g->param[0].size, rows[i].size);
		assert_false(g->param[0].skip);
		assert_string_equal(g->param[0].name, "a.b");
		sig_set__free(s);
	}
}

static void skipped(void **state)
{
	struct sig_set *s = set_of("p:n(_, bytes data:n, _ n, _)");
	const struct sig *g = sig_set__find(s, "p", "n");

	assert_int_equal(g->param_cnt, 4);
	assert_true(g->param[0].skip && g->param[2].skip && g->param[3].skip);
	assert_false(g->param[1].skip);
	assert_int_equal(g->param[1].type, WIRE_T_BYTES);
	assert_int_equal(g->param[1].len_param, 2);
	sig_set__free(s);
	s = set_of("p:n()");
	assert_int_equal(sig_set__find(s, "p", "n")->param_cnt, 0);
	sig_set__free(s);
}

static void errors(void **state)
{
	static const struct {
		const char *text;
		u32 column;
		const char *word;
	} rows[] = {
		{ "", 1, "provider" },
		{ "shop", 5, "provider" },
		{ "shop:", 6, "name" },
		{ "shop:order", 11, "'('" },
		{ "shop:order(", 12, "type" },
		{ "shop:order(u64 id", 18, "')'" },
		{ "shop:order(u64 id,)", 19, "type" },
		{ "shop:order(u65 id)", 12, "u65" },
		{ "shop:order(u64)", 15, "name" },
		{ "shop:order(u64 1d)", 16, "1d" },
		{ "shop:order(u64 a-b)", 16, "a-b" },
		{ "shop:order(u64 id) x", 20, "unexpected" },
		{ "shop:order(u64 id) # no comments here", 20, "unexpected" },
		{ "shop:order(u64 id u64 b)", 19, "','" },
		{ "shop:order(u64 id, u64 id)", 24, "two" },
		{ "shop:order(bytes b)", 12, "length" },
		{ "shop:order(u64 a:b, u32 b)", 17, "length" },
		{ "shop:order(str a:b, u32 c)", 17, "'b'" },
		{ "shop:order(str a:, u32 c)", 17, "''" },
		{ "shop:order(str a:b, str b)", 17, "integer" },
		{ "a:b(u8 a,u8 b,u8 c,u8 d,u8 e,u8 f,u8 g,u8 h,u8 i,u8 j,u8 k,u8 l,u8 m)", 65, "12" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sig_set *s = sig_set__new();
		struct diag d = { 0 };
		char column[32];

		snprintf(column, sizeof(column), "column %u:", rows[i].column);
		assert_int_equal(sig_set__add(s, rows[i].text, &d), -EINVAL);
		if (!strstr(d.text, column) || !strstr(d.text, rows[i].word) || !d.hint[0])
			fail_msg("%s (want %s %s)", d.text, column, rows[i].word);
		assert_null(sig_set__find(s, "shop", "order"));
		assert_int_equal(sig_set__add(s, rows[i].text, NULL), -EINVAL);
		sig_set__free(s);
	}
}

static void wildcards(void **state)
{
	struct sig_set *s = set_of("*:*(u64 any)");

	assert_int_equal(sig_set__add(s, "post*:query__*start(str text)", NULL), 0);
	assert_int_equal(sig_set__add(s, "?:n(u8 one)", NULL), 0);
	assert_string_equal(sig_set__find(s, "postgresql", "query__start")->param[0].name, "text");
	assert_string_equal(sig_set__find(s, "postgresql", "query__parse__start")->param[0].name, "text");
	assert_string_equal(sig_set__find(s, "postgresql", "query__parse__done")->param[0].name, "any");
	assert_string_equal(sig_set__find(s, "p", "n")->param[0].name, "one");
	assert_string_equal(sig_set__find(s, "pp", "n")->param[0].name, "any");
	assert_string_equal(sig_set__find(s, "", "n")->param[0].name, "any");
	sig_set__free(s);
	assert_null(sig_set__find(NULL, "p", "n"));

	/* a pattern that makes naive matchers take for ever */
	s = set_of("p:*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b(u8 x)");
	assert_null(sig_set__find(s, "p", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	sig_set__free(s);
}

static void last_wins(void **state)
{
	struct sig_set *s = set_of("p:n(u64 first)");

	assert_int_equal(sig_set__add(s, "p:n(u64 second)", NULL), 0);
	assert_string_equal(sig_set__find(s, "p", "n")->param[0].name, "second");
	sig_set__free(s);
}

/* What is written down reads back as the same. */
static void as_text(void **state)
{
	static const char *const texts[] = {
		"shop:order__begin(u64 id, str path, str body:len, i32 len)", "a:b()", "*:x?(_ , f32 f, bytes b:n, _ n)",
		"p:q(bool b, i8 c, ptr d, error e, f64 g)",
	};
	struct sig_set *s = sig_set__new(), *again = sig_set__new();
	char text[256], small[20];
	struct diag d;

	for (u32 i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(sig_set__add(s, texts[i], &d), 0);
		assert_int_equal(sig_set__text(s, i, text, sizeof(text)), strlen(texts[i]));
		assert_string_equal(text, texts[i]);
		assert_int_equal(sig_set__add(again, text, &d), 0);
	}
	assert_int_equal(sig_set__text(s, ARRAY_SIZE(texts), text, sizeof(text)), 0);
	assert_int_equal(sig_set__text(s, 0, small, sizeof(small)), 0);
	sig_set__free(s);
	sig_set__free(again);
}

static void files(void **state)
{
	char path[] = "/tmp/sig-test-XXXXXX", at[64];
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");
	struct sig_set *s = sig_set__new();
	struct diag d = { 0 };

	fputs("# signatures\n\n  p:a(u64 x) # behind one\r\n\tp:b(str y)\np:c()", f);
	fclose(f);
	assert_int_equal(sig_set__add_file(s, path, &d), 0);
	assert_non_null(sig_set__find(s, "p", "a"));
	assert_non_null(sig_set__find(s, "p", "b"));
	assert_non_null(sig_set__find(s, "p", "c"));
	sig_set__free(s);

	s = sig_set__new();
	snprintf(at, sizeof(at), "@%s", path);
	assert_int_equal(sig_set__add(s, at, &d), 0);
	assert_non_null(sig_set__find(s, "p", "b"));

	f = fopen(path, "w");
	fputs("p:good(u64 x)\n\np:bad(u99 x)\n", f);
	fclose(f);
	assert_int_equal(sig_set__add_file(s, path, &d), -EINVAL);
	snprintf(at, sizeof(at), "%s:3:7: ", path);
	assert_non_null(strstr(d.text, at));

	f = fopen(path, "w");
	fwrite("p:n()\0p:m()", 1, 11, f);
	fclose(f);
	assert_int_equal(sig_set__add_file(s, path, &d), -EINVAL);
	unlink(path);
	assert_int_equal(sig_set__add_file(s, path, &d), -ENOENT);
	assert_non_null(strstr(d.text, path));
	sig_set__free(s);
}

static void apply(void **state)
{
	struct wire_arg a[12] = {
		{ .kind = WIRE_ARG_REG, .size = 8 },	       { .kind = WIRE_ARG_REG, .size = 8 },
		{ .kind = WIRE_ARG_REG, .size = 8 },	       { .kind = WIRE_ARG_REG, .size = -4 },
		{ .kind = WIRE_ARG_CONST, .size = 4, .off = 0xffffffffLL }, { .kind = WIRE_ARG_REG, .size = -4 },
		{ .kind = WIRE_ARG_REG, .size = 8 },	       { .kind = WIRE_ARG_NONE, .size = 8 },
		{ .kind = WIRE_ARG_REG, .size = -4 },	       { .kind = WIRE_ARG_REG, .size = 2 },
	};
	struct sig_set *s = set_of("p:n(u64 id, str path, str body:len, u32 len, i32 minus, u64 wide, u16 narrow, "
				   "str none, _, bool flag)");

	sig__apply(sig_set__find(s, "p", "n"), 11, a);
	assert_int_equal(a[0].text, WIRE_TEXT_NO);
	assert_int_equal(a[1].text, WIRE_TEXT_NUL);
	assert_int_equal(a[2].text, WIRE_TEXT_LEN_ARG);
	assert_int_equal(a[2].len_arg, 3);
	assert_int_equal(a[3].size, 4); /* same width, other sign */
	assert_int_equal(a[4].size, -4);
	assert_int_equal(a[4].off, -1); /* a constant follows */
	assert_int_equal(a[5].size, -4); /* never wider than the note says; extended by the note's sign */
	assert_int_equal(a[6].size, 2);
	assert_int_equal(a[7].text, WIRE_TEXT_NO); /* unreadable stays so */
	assert_int_equal(a[7].kind, WIRE_ARG_NONE);
	assert_int_equal(a[8].size, -4);
	assert_int_equal(a[9].size, 2);
	sig_set__free(s);

	/* floating point: the bits, where they are as many; who asks for an integer gets the bits as one */
	s = set_of("p:n(f64 d, f32 f, f64 i, u64 bits, f64 given)");
	memset(a, 0, sizeof(a));
	a[0] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = -8 };
	a[1] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = 4 };
	a[2] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = -4 };
	a[3] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = 8, .flags = WIRE_ARG_FLOAT };
	a[4] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = 4, .flags = WIRE_ARG_FLOAT };
	sig__apply(sig_set__find(s, "p", "n"), 5, a);
	assert_int_equal(a[0].flags, WIRE_ARG_FLOAT);
	assert_int_equal(a[0].size, 8);
	assert_int_equal(a[1].flags, WIRE_ARG_FLOAT);
	assert_int_equal(a[2].flags, 0);
	assert_int_equal(a[2].size, -4);
	assert_int_equal(a[3].flags, 0);
	assert_int_equal(a[4].flags, WIRE_ARG_FLOAT);
	assert_int_equal(a[4].size, 4);
	sig_set__free(s);

	/* the length is not among this site's arguments, or cannot be read: the pointer stays a number */
	s = set_of("p:n(str body:len, u32 len)");
	memset(a, 0, sizeof(a));
	a[0] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = 8 };
	sig__apply(sig_set__find(s, "p", "n"), 1, a);
	assert_int_equal(a[0].text, WIRE_TEXT_NO);
	sig__apply(sig_set__find(s, "p", "n"), 2, a);
	assert_int_equal(a[0].text, WIRE_TEXT_NO);
	a[1] = (struct wire_arg){ .kind = WIRE_ARG_REG, .size = 4 };
	sig__apply(sig_set__find(s, "p", "n"), 2, a);
	assert_int_equal(a[0].text, WIRE_TEXT_LEN_ARG);
	sig_set__free(s);
}

/* --- signatures that fit nothing --- */

static void keep_text(void *ctx, const char *text)
{
	strcat(strcat(ctx, text), "\n");
}

static void expect_told(const struct sig_check *c, bool final, const char *want)
{
	char got[4096] = "";

	sig_check__tell(c, final, keep_text, got);
	assert_string_equal(got, want);
}

static void what_fits_nothing_is_told(void **state)
{
	static struct elf_site s[] = { { .provider = "shop", .name = "order__begin", .arg_cnt = 2 },
				       { .provider = "shop", .name = "order__end", .arg_cnt = 1 } };
	struct elf_file f = { .site = s, .site_cnt = 2 };
	struct sig_set *set = sig_set__new();
	struct sig_check *c;
	struct diag d;

	(void)state;
	assert_int_equal(sig_set__add(set, "shop:order__begin(u64 id)", &d), 0);
	assert_int_equal(sig_set__add(set, "shop:*__end(u64 id, u64 two, u64 three)", &d), 0);
	assert_int_equal(sig_set__add(set, "shop:ordr_begin(u64 id)", &d), 0);
	assert_int_equal(sig_set__add(set, "postgresql:query__start(str text)", &d), 0);
	c = sig_check__new(set);
	assert_non_null(c);
	sig_check__file(c, &f);
	expect_told(c, false, "--sig: shop:*__end has 1 argument, and its signature names 3\n"
			      "--sig: no plain probe is called shop:ordr_begin so far; the nearest name is shop:order__begin\n"
			      "--sig: no plain probe is called postgresql:query__start so far\n");
	s[0].provider = "postgresql";
	s[0].name = "query__start";
	s[1].arg_cnt = 3;
	sig_check__file(c, &f);
	expect_told(c, true, "--sig: no plain probe is called shop:ordr_begin; the nearest name is shop:order__begin\n");
	sig_check__free(c);
	sig_set__free(set);
	c = sig_check__new(NULL);
	sig_check__file(c, &f);
	expect_told(c, true, "");
	sig_check__free(c);
}

/* A file of signatures for another program, names longer than any that is compared. */
static void many_that_fit_nothing(void **state)
{
	static char name[500];
	struct elf_site s = { .provider = "p", .name = name };
	struct elf_file f = { .site = &s, .site_cnt = 1 };
	struct sig_set *set = sig_set__new();
	struct sig_check *c;
	char got[8192] = "", text[600];
	struct diag d;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	for (u32 i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "p:%.*s%u()", 450, name, i);
		assert_int_equal(sig_set__add(set, text, &d), 0);
	}
	c = sig_check__new(set);
	sig_check__file(c, &f);
	assert_int_equal(sig_check__tell(c, true, keep_text, got), 300);
	assert_non_null(strstr(got, "--sig: and 290 more like these\n"));
	sig_check__free(c);
	sig_set__free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_nothing_is_told),
		cmocka_unit_test(many_that_fit_nothing),
		cmocka_unit_test(example), cmocka_unit_test(types),	cmocka_unit_test(skipped),
		cmocka_unit_test(errors),  cmocka_unit_test(wildcards), cmocka_unit_test(last_wins),
		cmocka_unit_test(as_text),
		cmocka_unit_test(files),   cmocka_unit_test(apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
