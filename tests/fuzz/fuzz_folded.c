/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as folded text: read, written, turned round, drawn as a graph, a difference and a chart. What was written is
 * read as the same stacks again; the sums hold; no byte of a name becomes markup.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fold/chart.h"
#include "fold/folded.h"
#include "fold/graph.h"

#define PROMISED(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "broken promise: %s\n", #x); \
			abort(); \
		} \
	} while (0)

struct seen {
	struct chart *chart;
	u64 lines;
};

static int on_sample(void *ctx, u32 node, u64 value)
{
	struct seen *s = ctx;

	s->lines++;
	return chart__sample(s->chart, node, value);
}

static void read_text(const void *data, size_t size, struct stacks *s, int side, struct seen *seen, struct folded_stats *st)
{
	FILE *f = fmemopen((void *)data, size, "r");
	struct folded_reader *r = folded__reader(f, s, side, seen ? on_sample : NULL, seen);
	int more;

	while ((more = folded__read(r, 100, st)) > 0)
		;
	PROMISED(more == 0);
	PROMISED(folded__offset(r) == size);
	folded__free(r);
	fclose(f);
}

/* Well-formed as far as angle brackets and text go: outside of our own style and script there is no `<` but of our tags. */
static void check_page(const char *page, size_t bytes)
{
	const char *p;
	u32 scripts = 0;

	PROMISED(text__is_utf8(page, bytes));
	PROMISED(strlen(page) == bytes);
	for (p = page; (p = strstr(p, "<script")); p++)
		scripts++;
	PROMISED(scripts == 1);
}

static char *drawn(const struct stacks *s, struct chart *c, bool diff, size_t *bytes)
{
	struct page_opts o;
	char *page = NULL;
	FILE *f = open_memstream(&page, bytes);

	page_opts__defaults(&o);
	o.min_width = 0;
	if (c)
		PROMISED(chart__write(f, &o, c) == 0);
	else
		PROMISED(graph__write(f, &o, s, diff, true) == 0);
	fclose(f);
	return page;
}

static void draw(const struct stacks *s, struct chart *c, bool diff)
{
	size_t bytes;
	char *page = drawn(s, c, diff, &bytes);

	check_page(page, bytes);
	free(page);
}

/* Sums by node are those of the root. */
static void write_and_read(const struct stacks *s)
{
	struct folded_form form = { .separator = ";", .sides = true };
	struct folded_stats st = {};
	struct stacks *again = stacks__new();
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	folded__write(f, &form, s);
	fclose(f);
	if (bytes)
		read_text(text, bytes, again, 0, NULL, &st);
	PROMISED(!st.skipped);
	PROMISED(stacks__index(again) == 0);
	PROMISED(!memcmp(stacks__node(again, STACKS_ROOT)->total, stacks__node(s, STACKS_ROOT)->total, 2 * sizeof(u64)));
	stacks__free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stacks *s = stacks__new(), *r;
	struct seen seen = { .chart = chart__new(s) };
	struct folded_stats st = {};

	if (size) {
		read_text(data, size, s, 0, &seen, &st);
		PROMISED(seen.lines == st.lines);
		read_text(data, size / 2 ? size / 2 : 1, s, 1, NULL, &st);
	}
	PROMISED(chart__samples_done(seen.chart) == 0);
	PROMISED(stacks__index(s) == 0);
	write_and_read(s);
	draw(s, NULL, false);
	draw(s, NULL, true);
	draw(s, seen.chart, false);
	r = stacks__reverse(s, STACKS_MAX_DEPTH);
	PROMISED(r && stacks__index(r) == 0);
	draw(r, NULL, false);
	stacks__free(r);
	chart__free(seen.chart);
	stacks__free(s);
	return 0;
}
