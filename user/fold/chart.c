/* SPDX-License-Identifier: MIT */
#include "fold/chart.h"

#include "fold/palette.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct box {
	u64 from, to;
	u64 longest; /* of what was merged */
	u32 frame;   /* of the longest */
	u32 merged;  /* how many, 1: a box of its own */
};

struct row {
	struct box *box;
	u32 cnt, cap;
};

struct chart_lane {
	struct chart_lane *next;
	char *label;
	struct row *row;
	u32 rows, cap;
};

struct chart {
	struct stacks *stacks;
	struct chart_lane *first, **last;
	u64 boxes;
	u32 rows;
	u64 resolution;
	u64 unplaced; /* boxes in rows beyond the bounds */
	/* chart__sample */
	struct chart_lane *samples;
	u64 now;
	u32 open, cap; /* nodes of the stack before */
	struct {
		u32 node;
		u64 since;
	} path[STACKS_MAX_DEPTH + 1];
};

struct chart *chart__new(struct stacks *s)
{
	struct chart *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->stacks = s;
	c->last = &c->first;
	return c;
}

void chart__free(struct chart *c)
{
	struct chart_lane *l;
	u32 i;

	while (c && (l = c->first)) {
		c->first = l->next;
		for (i = 0; i < l->rows; i++)
			free(l->row[i].box);
		free(l->row);
		free(l->label);
		free(l);
	}
	free(c);
}

struct chart_lane *chart__lane(struct chart *c, const char *label)
{
	struct chart_lane *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->label = strdup(label);
	if (!l->label) {
		free(l);
		return NULL;
	}
	*c->last = l;
	c->last = &l->next;
	return l;
}

/* --- boxes ------------------------------------------------------------------------------------------------- */

static u64 span_of(const struct box *b)
{
	return b->to - b->from;
}

/* Both short, and so near to each other that together they are still one step. */
static bool mergeable(const struct chart *c, const struct box *a, const struct box *b)
{
	return c->resolution && span_of(a) < c->resolution && span_of(b) < c->resolution &&
	       b->to - a->from <= c->resolution;
}

static void merge(struct box *a, const struct box *b)
{
	if (b->longest > a->longest) {
		a->longest = b->longest;
		a->frame = b->frame;
	}
	a->to = b->to;
	a->merged += b->merged;
	if (a->merged < b->merged)
		a->merged = UINT32_MAX;
}

static u32 compact_row(const struct chart *c, struct row *r)
{
	u32 i, n = 0;

	for (i = 0; i < r->cnt; i++) {
		if (n && mergeable(c, &r->box[n - 1], &r->box[i]))
			merge(&r->box[n - 1], &r->box[i]);
		else
			r->box[n++] = r->box[i];
	}
	r->cnt = n;
	if (n * 4 < r->cap && r->cap > 64) {
		void *less = realloc(r->box, n * 2 * sizeof(*r->box));

		if (less) {
			r->box = less;
			r->cap = n * 2;
		}
	}
	return n;
}

static void compact(struct chart *c, u64 most)
{
	struct chart_lane *l;
	u32 i;

	while (c->boxes > most && c->resolution < UINT64_MAX / 2) {
		c->resolution = c->resolution ? c->resolution * 2 : 1;
		c->boxes = 0;
		for (l = c->first; l; l = l->next)
			for (i = 0; i < l->rows; i++)
				c->boxes += compact_row(c, &l->row[i]);
	}
}

/* NULL with *err 0: there is no room for it. */
static struct row *get_row(struct chart *c, struct chart_lane *l, u32 row, int *err)
{
	struct row *more;
	u32 cap;

	*err = 0;
	if (row < l->rows)
		return &l->row[row];
	if (row >= CHART_MAX_DEPTH || c->rows + (row + 1 - l->rows) > CHART_MAX_ROWS)
		return NULL;
	if (row >= l->cap) {
		cap = MAX(row + 1, l->cap * 2);
		more = realloc(l->row, cap * sizeof(*more));
		if (!more) {
			*err = -ENOMEM;
			return NULL;
		}
		l->row = more;
		l->cap = cap;
	}
	memset(l->row + l->rows, 0, (row + 1 - l->rows) * sizeof(*l->row));
	c->rows += row + 1 - l->rows;
	l->rows = row + 1;
	return &l->row[row];
}

int chart__add(struct chart *c, struct chart_lane *lane, u32 row, u32 frame, u64 from_ns, u64 to_ns)
{
	struct box b = { .from = from_ns, .to = MAX(from_ns, to_ns), .frame = frame, .merged = 1 }, *last;
	struct row *r;
	void *more;
	int err;

	r = get_row(c, lane, row, &err);
	if (!r) {
		c->unplaced++;
		return err;
	}
	last = r->cnt ? &r->box[r->cnt - 1] : NULL;
	if (last && b.from < last->to) /* time went back */
		b.from = MIN(last->to, b.to);
	if (last && b.to < last->to)
		b.from = b.to = last->to;
	b.longest = span_of(&b);
	if (last && mergeable(c, last, &b)) {
		merge(last, &b);
		return 0;
	}
	if (r->cnt == r->cap) {
		more = realloc(r->box, MAX(r->cap * 2, 8u) * sizeof(*r->box));
		if (!more)
			return -ENOMEM;
		r->box = more;
		r->cap = MAX(r->cap * 2, 8u);
	}
	r->box[r->cnt++] = b;
	if (++c->boxes > CHART_MAX_BOXES)
		compact(c, CHART_MAX_BOXES / 2);
	return 0;
}

u64 chart__resolution(const struct chart *c)
{
	return c->resolution;
}

u64 chart__boxes(const struct chart *c)
{
	return c->boxes;
}

/* --- folded lines ------------------------------------------------------------------------------------------ */

/* End what is open beyond `keep` frames. */
static int end_open(struct chart *c, u32 keep)
{
	int err = 0;

	for (; c->open > keep && !err; c->open--)
		err = chart__add(c, c->samples, c->open - 1,
				 stacks__node(c->stacks, c->path[c->open - 1].node)->frame, c->path[c->open - 1].since,
				 c->now);
	return err;
}

int chart__sample(struct chart *c, u32 node, u64 value)
{
	u32 depth = stacks__node(c->stacks, node)->depth, at, same;
	u32 path[STACKS_MAX_DEPTH + 1];
	int err;

	if (!c->samples)
		c->samples = chart__lane(c, "");
	if (!c->samples)
		return -ENOMEM;
	for (at = depth; at; at--, node = stacks__node(c->stacks, node)->parent)
		path[at - 1] = node;
	for (same = 0; same < depth && same < c->open && c->path[same].node == path[same]; same++)
		;
	err = end_open(c, same);
	for (; c->open < depth; c->open++) {
		c->path[c->open].node = path[c->open];
		c->path[c->open].since = c->now;
	}
	if (__builtin_add_overflow(c->now, value, &c->now))
		c->now = UINT64_MAX;
	return err;
}

int chart__samples_done(struct chart *c)
{
	return c->samples ? end_open(c, 0) : 0;
}

/* --- the page ---------------------------------------------------------------------------------------------- */

static void range(const struct chart *c, u64 *from, u64 *to)
{
	const struct chart_lane *l;
	const struct row *r;

	*from = UINT64_MAX;
	*to = 0;
	for (l = c->first; l; l = l->next)
		for (r = l->row; r < l->row + l->rows; r++) {
			if (!r->cnt)
				continue;
			*from = MIN(*from, r->box[0].from);
			*to = MAX(*to, r->box[r->cnt - 1].to);
		}
	if (*from >= *to)
		*to = *from + 1;
}

static void draw_box(FILE *f, const struct page_opts *o, const struct chart *c, const struct box *b, u64 from, u64 all,
		     u32 y)
{
	char took[48], at[48], each[48], words[240], css[8], name[400];
	const char *text;
	u32 bytes;
	double x = (double)(b->from - from) / (double)all * 100, w = (double)span_of(b) / (double)all * 100;

	text = stacks__text(c->stacks, b->frame, &bytes);
	amount__show(took, sizeof(took), span_of(b), o->unit, o->count_word);
	amount__show(at, sizeof(at), b->from - from, o->unit, o->count_word);
	snprintf(css, sizeof(css), "c%u", palette__shade(text, bytes));
	if (b->merged > 1) {
		amount__show(each, sizeof(each), b->longest, o->unit, o->count_word);
		snprintf(words, sizeof(words), "%u spans within %s at %s, merged; the longest took %s", b->merged, took, at,
			 each);
		bytes = (u32)snprintf(name, sizeof(name), "%.300s and others", text);
		text = name;
	} else {
		snprintf(words, sizeof(words), "%s at %s", took, at);
	}
	/* what is too short to be seen is still there to be found */
	page__frame(f, o, x, fmax(w, 1e-4), y, css, text, bytes, words);
}

static u32 body_of(const struct chart *c, u32 row_px)
{
	const struct chart_lane *l;
	u32 rows = 1; /* the axis */

	for (l = c->first; l; l = l->next)
		rows += l->rows ? l->rows + (l->label[0] ? 1 : 0) : 0;
	return rows * row_px;
}

static void note(const struct chart *c, const struct page_opts *o, char *dst, size_t bytes)
{
	char step[48];
	int k = 0;

	dst[0] = '\0';
	if (!c->boxes)
		k = snprintf(dst, bytes, "Nothing to show: no span was entered.");
	if (c->resolution)
		k += snprintf(dst + k, bytes - k, "Spans shorter than %s are merged with their neighbours. ",
			      amount__show(step, sizeof(step), c->resolution, o->unit, o->count_word));
	if (c->unplaced)
		snprintf(dst + k, bytes - k, "%" PRIu64 " spans in rows beyond the %d-th are not drawn. ", c->unplaced,
			 CHART_MAX_ROWS);
}

int chart__write(FILE *f, const struct page_opts *o, struct chart *c)
{
	u32 y = o->frame_px, i, k, body;
	const struct chart_lane *l;
	char words[256];
	u64 from, to;

	compact(c, CHART_MAX_DRAWN);
	range(c, &from, &to);
	body = body_of(c, o->frame_px);
	page__begin(f, o, "chart", body, false);
	page__axis(f, o, to - from);
	for (l = c->first; l; l = l->next) {
		if (l->rows && l->label[0]) {
			page__label(f, o, y + o->frame_px - 5, l->label, strlen(l->label));
			y += o->frame_px;
		}
		for (i = 0; i < l->rows; i++, y += o->frame_px)
			for (k = 0; k < l->row[i].cnt; k++)
				draw_box(f, o, c, &l->row[i].box[k], from, to - from, y);
	}
	note(c, o, words, sizeof(words));
	page__end(f, o, body, words);
	return 0;
}
