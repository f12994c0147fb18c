/* SPDX-License-Identifier: MIT */
/* The pictures: nothing from traced programs becomes markup, bounds hold, and what was left out is said. */
#include "fold_story.h"

#include "fold/chart.h"
#include "fold/graph.h"
#include "fold/palette.h"

static char *page;
static size_t page_bytes;

static FILE *begin(void)
{
	free(page);
	page = NULL;
	return open_memstream(&page, &page_bytes);
}

static u32 count(const char *what)
{
	const char *p = page;
	u32 n = 0;

	while ((p = strstr(p, what))) {
		n++;
		p += strlen(what);
	}
	return n;
}

#define has(what) assert_non_null(strstr(page, what))
#define has_not(what) assert_null(strstr(page, what))

static void graph_of(const char *folded, const struct page_opts *opts, bool diff)
{
	FILE *in = fmemopen((void *)folded, strlen(folded), "r"), *out;
	struct stacks *s = stacks__new();
	struct folded_stats st = {};
	struct folded_reader *r = folded__reader(in, s, 0, NULL, NULL);
	struct page_opts o;

	page_opts__defaults(&o);
	o.unit = AMOUNT_COUNT;
	assert_int_equal(folded__read(r, 0, &st), 0);
	folded__free(r);
	fclose(in);
	assert_int_equal(stacks__index(s), 0);
	out = begin();
	assert_int_equal(graph__write(out, opts ? opts : &o, s, diff, true), 0);
	fclose(out);
	stacks__free(s);
}

static void text_of(const char *s, size_t bytes, const char *want)
{
	FILE *f = begin();

	page__text(f, s, bytes);
	fclose(f);
	assert_string_equal(page, want);
}

#define R "\xef\xbf\xbd"

static void texts(void **state)
{
	text_of("a<b>&\"'c", 8, "a&lt;b&gt;&amp;&quot;&#39;c");
	text_of("]]></script><script>alert(1)</script>", 37,
		"]]&gt;&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
	text_of("a\0b\x1b[31m\n\t\x7f", 11, "a" R "b" R "[31m" R R R);
	text_of("\xff\xc3(\xe2\x82", 5, R R "(" R);
	text_of("\xef\xbf\xbe\xef\xbf\xbf\xc2\x85", 8, R R R);
	text_of("\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8", 9, R R R); /* overrides and separators */
	text_of("gr\xc3\xbc\xc3\x9f \xe2\x82\xac", 10, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
}

/* Long ones are not cut within a character. */
static void texts_long(void **state)
{
	char *big = malloc(65537);
	FILE *f = begin();
	size_t i;

	for (i = 0; i + 3 <= 65536; i += 3)
		memcpy(big + i, "\xe2\x82\xac", 3);
	page__text(f, big, i);
	fclose(f);
	assert_int_equal(page_bytes, i);
	assert_memory_equal(page, big, i);
	free(big);
}

/* Layout: percent of the whole, the deepest row on top, children in order of their names. */
static void layout(void **state)
{
	struct page_opts o;

	graph_of("a;c 25\na;b 25\nd 50\n", NULL, false);
	has("<title>all\n100 samples, 100.00 %</title><rect x=\"0%\" y=\"36\" width=\"100%\" height=\"17\" class=\"c0\"/>");
	has("<title>a\n50 samples, 50.00 %</title><rect x=\"0%\" y=\"18\" width=\"50%\"");
	has("<title>b\n25 samples, 25.00 %</title><rect x=\"0%\" y=\"0\" width=\"25%\"");
	has("<title>c\n25 samples, 25.00 %</title><rect x=\"25%\" y=\"0\" width=\"25%\"");
	has("<title>d\n50 samples, 50.00 %</title><rect x=\"50%\" y=\"18\" width=\"50%\"");
	page_opts__defaults(&o);
	o.inverted = true;
	o.unit = AMOUNT_NS;
	graph_of("a;c 1500\na 500\n", &o, false);
	has("<title>all\n2.00 us, 100.00 %</title><rect x=\"0%\" y=\"0\"");
	has("<title>a\n2.00 us, 100.00 %; self 500 ns, 25.00 %</title><rect x=\"0%\" y=\"18\"");
	has("<title>c\n1.50 us, 75.00 %</title><rect x=\"0%\" y=\"36\"");
}

static void nothing_foreign(void **state)
{
	graph_of("a 1\n", NULL, false);
	/* no address but the names of the two namespaces */
	assert_int_equal(count("://"), 3);
	assert_int_equal(count("\"http://www.w3.org/2000/svg\""), 2);
	assert_int_equal(count("\"http://www.w3.org/1999/xhtml\""), 1);
	has_not("url(");
	has_not("href");
	has_not("innerHTML");
	has_not("eval(");
	has_not("@import");
	assert_int_equal(count("<script"), 1);
}

static void hostile(void **state)
{
	struct page_opts o;

	page_opts__defaults(&o);
	o.title = "</text><script>t()</script>";
	o.subtitle = "</svg>\x01";
	o.name_word = "\" onload=\"x()";
	o.notes = "<!-- -->";
	graph_of("<script>x()</script>;</title><g onclick='y()'> 5\n]]> 7\n&amp 3\n", &o, false);
	assert_int_equal(count("<script"), 1);
	assert_int_equal(count("]]>"), 1); /* the end of our own script */
	has("&lt;script&gt;x()&lt;/script&gt;");
	has_not("onclick='");
	has_not("onload=\"x");
	has("&amp;amp");
	has("&lt;!-- --&gt;");
}

static void narrow(void **state)
{
	struct page_opts o;
	char *folded = NULL;
	size_t bytes;
	FILE *f;
	u32 i;

	page_opts__defaults(&o);
	o.min_width = 10;
	graph_of("a 95\nb;x 5\n", &o, false);
	has_not("<title>b");
	has("2 frames narrower than 10 % are not drawn.");
	/* more frames than a browser likes: narrower ones go */
	f = open_memstream(&folded, &bytes);
	for (i = 0; i < 100000; i++)
		fprintf(f, "f%u %u\n", i, i < 100 ? 100000 : 1);
	fclose(f);
	o.min_width = 0;
	graph_of(folded, &o, false);
	assert_true(count("<rect x=") <= GRAPH_MAX_FRAMES + 1);
	has("99900 frames narrower than");
	free(folded);
	graph_of("", NULL, false);
	has("Nothing to show");
	graph_of("a 0\n", NULL, false);
	has("Nothing to show");
}

static void differences(void **state)
{
	struct page_opts o;

	/* after is twice as long: a has kept its share, b has given to c */
	graph_of("a 50 100\nb 50 50\nc 0 50\ngone 0 0\n", NULL, true);
	has("<title>a\n100 samples, 50.00 %; before 100 samples (scaled), change +0.00 %</title><rect x=\"0%\" y=\"0\" "
	    "width=\"50%\" height=\"17\" class=\"d8\"/>");
	has("<title>b\n50 samples, 25.00 %; before 100 samples (scaled), change -25.00 %</title>");
	has("class=\"d0\"/>");
	has("class=\"d16\"/>");
	page_opts__defaults(&o);
	graph_of("a 10 0\nb 30 10\n", &o, true);
	has_not("<title>a\n");
	has("25.0 % of before is in stacks that are gone.");
}

static void palettes(void **state)
{
	struct page_opts o;

	page_opts__defaults(&o);
	assert_null(palette__check("hot"));
	assert_non_null(strstr(palette__check("x"), "hot, mem"));
	/* the same everywhere, for ever */
	assert_int_equal(palette__shade("main", 4), 24);
	assert_int_equal(palette__shade("", 0), 3);
	assert_true(page__is_font("DejaVu Sans Mono, monospace"));
	assert_false(page__is_font("x}body{"));
	assert_false(page__is_font(""));
	assert_true(page__is_color("#c026d3"));
	assert_false(page__is_color("url(x)"));
	o.colors = "io";
	graph_of("a 1\n", &o, false);
	has("prefers-color-scheme:dark");
}

/* --- charts ------------------------------------------------------------------------------------------------ */

static void write_chart(struct chart *c)
{
	struct page_opts o;
	FILE *f = begin();

	page_opts__defaults(&o);
	assert_int_equal(chart__write(f, &o, c), 0);
	fclose(f);
}

static const struct callsite a = SPAN_SITE("a", "t", "m", "x.c", 1), b = SPAN_SITE("b", "t", "m", "x.c", 2);
static struct process proc = { .uid = 1, .pid = 500, .comm = "app" };
static struct thread one = { .uid = 1, .tid = 500, .name = "<one>", .process = &proc };

static void charts(void **state)
{
	struct stacks *s = stacks__new();
	struct fold_opts fo;
	struct story y = { .stacks = s };

	fold_opts__defaults(&fo, FOLD_STACK);
	fo.chart = chart__new(s);
	y.fold = fold__new(&fo, s);
	y.sink = fold__sink(y.fold);
	open_(&y, 1, &a, 0, &one, 0);
	open_(&y, 2, &b, 1, &one, 0);
	enter(&y, 1, &one, 1000);
	enter(&y, 2, &one, 2000);
	enter(&y, 1, &one, 2500); /* a duplicate is no box */
	leave(&y, 1, &one, 2600);
	leave(&y, 1, &one, 4000); /* out of order: b goes on in the lower row */
	leave(&y, 2, &one, 5000);
	write_chart(fo.chart);
	has("app/500  &lt;one&gt;/500");
	has("<title>a\n3.00 us at 0 ns</title><rect x=\"0%\" y=\"36\" width=\"75%\"");
	has("<title>b\n2.00 us at 1.00 us</title><rect x=\"25%\" y=\"54\" width=\"50%\"");
	has("<title>b\n1.00 us at 3.00 us</title><rect x=\"75%\" y=\"36\" width=\"25%\"");
	assert_int_equal(chart__resolution(fo.chart), 0);
	fold__free(y.fold);
	chart__free(fo.chart);
	stacks__free(s);
}

/* Ten million short spans: bounded boxes, and the picture says so; the long one that is among them stays as it is. */
static void chart_of_many(void **state)
{
	struct stacks *s = stacks__new();
	struct chart *c = chart__new(s);
	struct chart_lane *l = chart__lane(c, "x");
	u32 frame = (u32)stacks__frame(s, "short", 5), rare = (u32)stacks__frame(s, "rare", 4);
	u64 i, t = 0;

	for (i = 0; i < 10000000; i++, t += 100) {
		if (i == 5000000) {
			assert_int_equal(chart__add(c, l, 0, rare, t, t + 500000000), 0);
			t += 500000000;
		}
		assert_int_equal(chart__add(c, l, 0, frame, t, t + 90), 0);
		if ((i & 0xffff) == 0)
			assert_true(chart__boxes(c) <= CHART_MAX_BOXES);
	}
	write_chart(c);
	assert_true(chart__resolution(c) > 0);
	assert_true(count("<rect x=") <= CHART_MAX_DRAWN);
	has("are merged with their neighbours.");
	has("<title>rare\n500 ms at 500 ms</title>");
	has("merged; the longest took 90 ns");
	chart__free(c);
	stacks__free(s);
}

static void chart_bounds(void **state)
{
	struct stacks *s = stacks__new();
	struct chart *c = chart__new(s);
	struct chart_lane *l = chart__lane(c, "");
	u32 frame = (u32)stacks__frame(s, "f", 1);

	assert_int_equal(chart__add(c, l, CHART_MAX_DEPTH, frame, 0, 10), 0);
	/* time that goes back stays in its row, in order */
	assert_int_equal(chart__add(c, l, 0, frame, 100, 200), 0);
	assert_int_equal(chart__add(c, l, 0, frame, 150, 250), 0);
	assert_int_equal(chart__add(c, l, 0, frame, 10, 20), 0);
	assert_int_equal(chart__add(c, l, 0, frame, UINT64_MAX - 1, UINT64_MAX), 0);
	write_chart(c);
	has("1 spans in rows beyond the 4096-th are not drawn.");
	chart__free(c);
	c = chart__new(s);
	write_chart(c);
	has("Nothing to show");
	chart__free(c);
	stacks__free(s);
}

static void chart_of_lines(void **state)
{
	struct stacks *s = stacks__new();
	struct chart *c = chart__new(s);
	u32 x = (u32)stacks__child(s, 0, (u32)stacks__frame(s, "x", 1));
	u32 xy = (u32)stacks__child(s, x, (u32)stacks__frame(s, "y", 1));

	assert_int_equal(chart__sample(c, xy, 10), 0);
	assert_int_equal(chart__sample(c, x, 10), 0);
	assert_int_equal(chart__sample(c, xy, 20), 0);
	assert_int_equal(chart__samples_done(c), 0);
	write_chart(c);
	/* x goes on all the time, y twice */
	has("<title>x\n40 ns at 0 ns</title><rect x=\"0%\" y=\"18\" width=\"100%\"");
	has("<title>y\n10 ns at 0 ns</title><rect x=\"0%\" y=\"36\" width=\"25%\"");
	has("<title>y\n20 ns at 20 ns</title><rect x=\"50%\" y=\"36\" width=\"50%\"");
	chart__free(c);
	stacks__free(s);
}

static void amounts(void **state)
{
	static const struct {
		u64 value;
		enum amount_unit unit;
		const char *text;
	} rows[] = {
		{ 0, AMOUNT_NS, "0 ns" },	     { 999, AMOUNT_NS, "999 ns" },	  { 1530, AMOUNT_NS, "1.53 us" },
		{ 12345678, AMOUNT_NS, "12.3 ms" },  { 119000000000, AMOUNT_NS, "119 s" }, { 120000000000, AMOUNT_NS, "2.00 min" },
		{ 1500, AMOUNT_US, "1.50 ms" },	     { 7, AMOUNT_COUNT, "7 x" },	  { 1234567, AMOUNT_COUNT, "1,234,567 x" },
		{ UINT64_MAX, AMOUNT_NS, "5124096 h" },
	};
	char dst[48];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(amount__show(dst, sizeof(dst), rows[i].value, rows[i].unit, "x"), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_long),	    cmocka_unit_test(layout),	   cmocka_unit_test(nothing_foreign),
		cmocka_unit_test(hostile),	    cmocka_unit_test(narrow),	   cmocka_unit_test(differences),
		cmocka_unit_test(palettes),	    cmocka_unit_test(charts),	   cmocka_unit_test(chart_of_many),
		cmocka_unit_test(chart_bounds),	    cmocka_unit_test(chart_of_lines), cmocka_unit_test(amounts),
		cmocka_unit_test(texts),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(page);
	return failed;
}
