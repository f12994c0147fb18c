/* SPDX-License-Identifier: MIT */
#include "fold/graph.h"

#include "fold/palette.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct graph {
	const struct page_opts *o;
	const struct stacks *s;
	FILE *f;
	bool diff;
	double total;  /* of the side that gives the widths */
	double scale;  /* of before, to be compared with after */
	double least;  /* narrower frames are left out */
	double most;   /* the greatest change of a share, for the colours */
	double *left;  /* of each node, in values */
	u32 depth, drawn, pruned;
};

static u64 width_of(const struct graph *g, const struct stacks_node *n)
{
	return n->total[g->diff];
}

/* Is it drawn? A frame is never wider than its parent, so what is below a narrow one is narrow too. */
static bool wide_enough(const struct graph *g, u32 node)
{
	double w = (double)width_of(g, stacks__node(g->s, node));

	return w > 0 && w >= g->least;
}

static void measure(struct graph *g)
{
	u32 i;

	g->drawn = g->pruned = g->depth = 0;
	for (i = stacks__next(g->s, STACKS_ROOT); i; i = stacks__next(g->s, i)) {
		if (!wide_enough(g, i)) {
			g->pruned += width_of(g, stacks__node(g->s, i)) > 0;
			continue;
		}
		g->drawn++;
		g->depth = MAX(g->depth, stacks__node(g->s, i)->depth);
	}
}

static double change(const struct graph *g, const struct stacks_node *n)
{
	return (double)n->total[1] - (double)n->total[0] * g->scale;
}

static void place(struct graph *g)
{
	const struct stacks_node *n, *c;
	u32 i, k;
	double x;

	g->left[STACKS_ROOT] = 0;
	for (i = STACKS_ROOT;;) {
		n = stacks__node(g->s, i);
		x = g->left[i];
		for (k = n->first; k; k = c->next) {
			c = stacks__node(g->s, k);
			g->left[k] = x;
			x += (double)width_of(g, c);
		}
		if (i && g->diff && wide_enough(g, i))
			g->most = fmax(g->most, fabs(change(g, n)));
		i = stacks__next(g->s, i);
		if (!i)
			break;
	}
}

static void css_of(const struct graph *g, const struct stacks_node *n, char dst[8])
{
	const char *text;
	u32 bytes;
	double step;
	int at;

	if (!g->diff) {
		text = stacks__text(g->s, n->frame, &bytes);
		snprintf(dst, 8, "c%u", palette__shade(text, bytes));
		return;
	}
	step = g->most > 0 ? change(g, n) / g->most : 0;
	/* what has changed at all is seen */
	step = fabs(step) < 0.005 ? 0 : copysign(fmax(1, round(fabs(step) * PALETTE_STEPS)), step);
	at = (int)fmin(fmax(step, -PALETTE_STEPS), PALETTE_STEPS) + PALETTE_STEPS;
	snprintf(dst, 8, "d%u", (u8)at);
}

static void details(const struct graph *g, const struct stacks_node *n, char *dst, size_t bytes)
{
	char all[48], self[48];
	double part = g->total > 0 ? 100 / g->total : 0;
	int k;

	amount__show(all, sizeof(all), width_of(g, n), g->o->unit, g->o->count_word);
	k = snprintf(dst, bytes, "%s, %.2f %%", all, (double)width_of(g, n) * part);
	if (n->first && n->self[g->diff])
		k += snprintf(dst + k, bytes - k, "; self %s, %.2f %%",
			      amount__show(self, sizeof(self), n->self[g->diff], g->o->unit, g->o->count_word),
			      (double)n->self[g->diff] * part);
	if (g->diff)
		snprintf(dst + k, bytes - k, "; before %s%s, change %+.2f %%",
			 amount__show(self, sizeof(self), (u64)llround((double)n->total[0] * g->scale), g->o->unit,
				      g->o->count_word),
			 g->scale != 1 ? " (scaled)" : "", change(g, n) * part);
}

static void draw(struct graph *g, u32 node)
{
	const struct stacks_node *n = stacks__node(g->s, node);
	u32 level = n->depth, bytes = 3, row = g->o->inverted ? level : g->depth - level;
	const char *name = node ? stacks__text(g->s, n->frame, &bytes) : "all";
	char words[256], css[8];

	css_of(g, n, css);
	details(g, n, words, sizeof(words));
	page__frame(g->f, g->o, g->left[node] / g->total * 100, (double)width_of(g, n) / g->total * 100, row * g->o->frame_px,
		    node ? css : g->diff ? "d8" : "c0", name, bytes, words);
}

static void note(const struct graph *g, char *dst, size_t bytes)
{
	u64 gone = 0;
	u32 i;
	int k = 0;

	dst[0] = '\0';
	if (g->total <= 0)
		k = snprintf(dst, bytes, "Nothing to show: no time was spent in any span.");
	if (g->pruned)
		k = snprintf(dst, bytes, "%u frames narrower than %.3g %% are not drawn. ", g->pruned,
			     100 * g->least / g->total);
	if (!g->diff)
		return;
	for (i = 1; i < stacks__cnt(g->s); i++)
		if (!stacks__node(g->s, i)->total[1])
			gone += stacks__node(g->s, i)->self[0];
	if (gone && stacks__node(g->s, STACKS_ROOT)->total[0])
		snprintf(dst + k, bytes - k, "%.1f %% of before is in stacks that are gone. ",
			 100 * (double)gone / (double)stacks__node(g->s, STACKS_ROOT)->total[0]);
}

int graph__write(FILE *f, const struct page_opts *o, const struct stacks *s, bool diff, bool normalize)
{
	const struct stacks_node *all = stacks__node(s, STACKS_ROOT);
	struct graph g = { .o = o, .s = s, .f = f, .diff = diff, .scale = 1 };
	__free_ptr double *left = calloc(stacks__cnt(s), sizeof(*left));
	char words[200];
	u32 i, body;

	if (!left)
		return -ENOMEM;
	g.left = left;
	g.total = (double)all->total[diff];
	if (diff && normalize && all->total[0])
		g.scale = g.total / (double)all->total[0];
	g.least = g.total * o->min_width / 100;
	for (measure(&g); g.drawn > GRAPH_MAX_FRAMES; measure(&g))
		g.least = fmax(g.least * 2, g.total * 1e-5);
	place(&g);
	body = (g.depth + 1) * o->frame_px;
	page__begin(f, o, "graph", body, diff);
	if (g.total > 0)
		draw(&g, STACKS_ROOT);
	for (i = stacks__next(s, STACKS_ROOT); i && g.total > 0; i = stacks__next(s, i))
		if (wide_enough(&g, i))
			draw(&g, i);
	note(&g, words, sizeof(words));
	page__end(f, o, body, words);
	return 0;
}
