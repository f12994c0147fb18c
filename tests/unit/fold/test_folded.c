/* SPDX-License-Identifier: MIT */
/* Folded text, read and written; the tree of stacks and its bounds. */
#include "fold_story.h"

struct text {
	struct stacks *s;
	struct folded_stats st;
	char lines[4096]; /* as they came */
};

static int sample(void *ctx, u32 node, u64 value)
{
	struct text *t = ctx;
	struct folded_form form = { .separator = "|" };
	size_t n = strlen(t->lines);
	FILE *f = fmemopen(t->lines + n, sizeof(t->lines) - n, "w");

	folded__line(f, &form, t->s, node, value);
	fclose(f);
	return 0;
}

static void read_bytes(struct text *t, const char *text, size_t bytes, int side)
{
	FILE *f = fmemopen((void *)text, bytes, "r");
	struct folded_reader *r;
	int more;

	if (!t->s)
		t->s = stacks__new();
	r = folded__reader(f, t->s, side, sample, t);
	while ((more = folded__read(r, 10, &t->st)) > 0)
		;
	assert_int_equal(more, 0);
	assert_int_equal(folded__offset(r), bytes);
	folded__free(r);
	fclose(f);
}

static void expect_text(struct text *t, const struct folded_form *form, const char *want)
{
	char *got = NULL;
	size_t bytes;
	FILE *f = open_memstream(&got, &bytes);

	assert_int_equal(stacks__index(t->s), 0);
	folded__write(f, form, t->s);
	fclose(f);
	assert_string_equal(got, want);
	free(got);
}

static const struct folded_form plain = { .separator = ";" };

static void read_lines(const char *text, const char *want, u64 lines, u64 skipped)
{
	struct text t = {};

	read_bytes(&t, text, strlen(text), 0);
	expect_text(&t, &plain, want);
	assert_int_equal(t.st.lines, lines);
	assert_int_equal(t.st.skipped, skipped);
	stacks__free(t.s);
}

static void forms(void **state)
{
	read_lines("b;c 2\na 1\nb 3\nb;c 4\n", "a 1\nb 3\nb;c 6\n", 4, 0);
	/* the blank of "; " belongs to no frame */
	read_lines("all-spans; src/a.rs:10 200\nall-spans; src/a.rs:10; unknown 5\n",
		   "all-spans;src/a.rs:10 200\nall-spans;src/a.rs:10;unknown 5\n", 2, 0);
	/* perf's: blanks within names, brackets, carriage returns, no last line break */
	read_lines("perf;[unknown];do_sys open_[k] 7\r\nperf;x 1", "perf;[unknown];do_sys open_[k] 7\nperf;x 1\n", 2, 0);
	/* the same stack in another order, a prefix before what is longer, bytes in order */
	read_lines("a-b 1\na;c 1\na 1\nab 1\n", "a 1\na;c 1\na-b 1\nab 1\n", 4, 0);
	/* an empty frame is one */
	read_lines(";x 1\na;;b 2\n", ";x 1\na;;b 2\n", 2, 0);
	read_lines("", "", 0, 0);
	read_lines("\n\n", "", 0, 0);
}

static void not_lines(void **state)
{
	struct text t = {};

	read_lines("hello\n# comment\na;b x\na 5x\n", "", 0, 4);
	read_lines("12\n", "", 0, 1);
	read_lines("a -5\n", "", 0, 1);
	read_lines("a 99999999999999999999999\n", "a 18446744073709551615\n", 1, 0);
	read_bytes(&t, "a 1.75\nb .5\nb 1.\nzz\n", 20, 0);
	assert_int_equal(t.st.fractions, 2);
	assert_int_equal(t.st.skipped, 2);
	assert_int_equal(t.st.first_skipped, 2);
	expect_text(&t, &plain, "a 1\nb 1\n");
	stacks__free(t.s);
}

static void differences(void **state)
{
	struct folded_form both = { .separator = ";", .sides = true };
	struct text t = {};

	read_bytes(&t, "a;b 10 15\na 3 0\n", 16, 0);
	assert_int_equal(t.st.differences, 2);
	expect_text(&t, &both, "a 3 0\na;b 10 15\n");
	stacks__free(t.s);
	t = (struct text){};
	read_bytes(&t, "a 1\nb 2\n", 8, 0);
	read_bytes(&t, "c 4\nb 3\n", 8, 1);
	expect_text(&t, &both, "a 1 0\nb 2 3\nc 0 4\n");
	assert_int_equal(stacks__node(t.s, STACKS_ROOT)->total[0], 3);
	assert_int_equal(stacks__node(t.s, STACKS_ROOT)->total[1], 7);
	stacks__free(t.s);
}

static void in_order(void **state)
{
	struct text t = {};

	read_bytes(&t, "b;c 2\na 1\nb;c 4\n", 16, 0);
	assert_string_equal(t.lines, "b|c 2\na 1\nb|c 4\n");
	stacks__free(t.s);
}

static void long_lines(void **state)
{
	size_t bytes = FOLDED_MAX_LINE + 100;
	char *text = malloc(bytes);
	struct text t = {};

	memset(text, 'x', bytes);
	memcpy(text, "a 1\n", 4);
	memcpy(text + bytes - 7, " 5\nb 2\n", 7);
	read_bytes(&t, text, bytes, 0);
	assert_int_equal(t.st.skipped, 1);
	assert_int_equal(t.st.first_skipped, 2);
	expect_text(&t, &plain, "a 1\nb 2\n");
	stacks__free(t.s);
	free(text);
}

/* More stacks than there is room for: counted, and their values are not lost. */
static void bounds(void **state)
{
	struct stacks *s = stacks__new();
	u64 sum = 0;
	u32 i, other = 0;
	char name[16];

	for (i = 0; i < STACKS_MAX_NODES + 1000; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		stacks__add(s, (u32)stacks__child(s, STACKS_ROOT, (u32)stacks__frame(s, name, strlen(name))), 0, 1);
	}
	assert_true(stacks__other(s) + stacks__cnt(s) >= STACKS_MAX_NODES + 1000);
	assert_int_equal(stacks__index(s), 0);
	for (i = stacks__next(s, STACKS_ROOT); i; i = stacks__next(s, i)) {
		sum += stacks__node(s, i)->self[0];
		if (!strcmp(stacks__text(s, stacks__node(s, i)->frame, NULL), STACKS_OTHER))
			other = i;
	}
	assert_int_equal(sum, STACKS_MAX_NODES + 1000);
	assert_true(other);
	assert_true(stacks__node(s, other)->self[0] >= 1000);
	stacks__free(s);
}

static void reversed(void **state)
{
	struct text t = {};
	struct stacks *r;

	read_bytes(&t, "a;b 1\nc;b 2\na 4\n", 16, 0);
	assert_int_equal(stacks__index(t.s), 0);
	r = stacks__reverse(t.s, STACKS_MAX_DEPTH);
	stacks__free(t.s);
	t.s = r;
	expect_text(&t, &plain, "a 4\nb;a 1\nb;c 2\n");
	stacks__free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),	cmocka_unit_test(not_lines), cmocka_unit_test(differences),
		cmocka_unit_test(in_order),	cmocka_unit_test(long_lines), cmocka_unit_test(bounds),
		cmocka_unit_test(reversed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
