/* SPDX-License-Identifier: MIT */
#include "cmd/stats_show.h"

#include "base/text.h"
#include "base/units.h"
#include "cmd/show.h"

#include <inttypes.h>
#include <string.h>

static const char *const names[] = { "count", "rate", "errors", "min", "q1", "median", "q3", "p99", "max", "self", "total", "busy", "idle",
				     "open", "name" };

const char *stats_column__name(enum stats_column c)
{
	return names[c];
}

static double quantile(struct stats_group *g, double share)
{
	return (double)sketch__quantile(&g->duration, share);
}

double stats_column__value(enum stats_column c, struct stats_group *g, u64 range_ns)
{
	switch (c) {
	case COLUMN_COUNT: return (double)g->cnt;
	case COLUMN_RATE: return range_ns ? (double)g->cnt * 1e9 / (double)range_ns : 0;
	case COLUMN_ERRORS: return (double)g->errors;
	case COLUMN_MIN: return quantile(g, 0);
	case COLUMN_Q1: return quantile(g, 0.25);
	case COLUMN_MEDIAN: return quantile(g, 0.5);
	case COLUMN_Q3: return quantile(g, 0.75);
	case COLUMN_P99: return quantile(g, 0.99);
	case COLUMN_MAX: return quantile(g, 1);
	case COLUMN_SELF: return (double)g->self_ns;
	case COLUMN_TOTAL: return (double)g->total_ns;
	case COLUMN_BUSY: return (double)g->busy_ns;
	case COLUMN_IDLE: return (double)g->idle_ns;
	case COLUMN_OPEN: return (double)g->open;
	default: return 0;
	}
}

static bool is_time(enum stats_column c)
{
	return c >= COLUMN_MIN && c <= COLUMN_IDLE;
}

/* Does this group have such a number? Events have no times, a span that never closed no distribution. */
static bool has(enum stats_column c, const struct stats_group *g)
{
	if (c >= COLUMN_MIN && c <= COLUMN_MAX)
		return g->duration.cnt > 0;
	return g->callsite->is_span || !(is_time(c) || c == COLUMN_OPEN);
}

/* --- the table --------------------------------------------------------------------------------------------- */

#define CELL 9

static void put_cell(FILE *f, enum stats_column c, struct stats_group *g, u64 range_ns)
{
	double v = stats_column__value(c, g, range_ns);
	char *text = NULL;
	size_t bytes;
	FILE *cell = open_memstream(&text, &bytes);

	if (!cell)
		return;
	if (!has(c, g))
		fputc('-', cell);
	else if (is_time(c))
		show__duration(cell, (u64)v);
	else if (c == COLUMN_RATE)
		fprintf(cell, v < 100 ? "%.3g" : "%.0f", v);
	else if (v || c == COLUMN_COUNT)
		fprintf(cell, "%.0f", v);
	else
		fputc('0', cell);
	fclose(cell);
	fprintf(f, "%*s ", CELL - 1, text);
	free(text);
}

void stats_show__table(FILE *f, const struct stats_list *l)
{
	u64 range_ns = stats__range_ns(l->stats);
	bool rough = false;
	u32 i, c;

	for (c = 0; c < COLUMN_NAME; c++)
		fprintf(f, "%*s ", CELL - 1, c == COLUMN_RATE ? "rate/s" : names[c]);
	fprintf(f, "  callsite%s%s\n", l->by ? ", " : "", l->by ? l->by : "");
	for (i = 0; i < l->cnt; i++) {
		struct stats_group *g = l->group[i];

		for (c = 0; c < COLUMN_NAME; c++)
			put_cell(f, c, g, range_ns);
		fputs(sketch__is_exact(&g->duration) ? "  " : "~ ", f);
		rough |= !sketch__is_exact(&g->duration);
		show__text(f, g->callsite->target);
		fputs(": ", f);
		show__text(f, g->callsite->name);
		if (l->by) {
			fputs("  ", f);
			show__text(f, g->key[0] ? g->key : "-");
		}
		fputc('\n', f);
	}
	if (l->cnt < l->all)
		fprintf(f, "%u more (--top 0 shows all)\n", l->all - l->cnt);
	fputs("over ", f);
	show__duration(f, range_ns);
	if (rough)
		fprintf(f, "; q1 to p99 of callsites marked ~ are within %.1f %%, all else is exact", SKETCH_ERROR * 100);
	else
		fputs("; all numbers are exact", f);
	if (stats__loss(l->stats))
		fprintf(f, "; %" PRIu64 " records were lost and are in none of them", stats__loss(l->stats));
	if (stats__others(l->stats))
		fprintf(f, "; %" PRIu64 " spans and events had further values: %s", stats__others(l->stats), STATS_OTHERS);
	fputc('\n', f);
}

/* --- for programs ------------------------------------------------------------------------------------------ */

static void put_number(FILE *f, enum stats_column c, struct stats_group *g, u64 range_ns)
{
	double v = stats_column__value(c, g, range_ns);

	if (c == COLUMN_RATE)
		fprintf(f, "%.6g", v);
	else
		fprintf(f, "%" PRIu64, (u64)v);
}

/* "min_ns" ... */
static void put_name(FILE *f, enum stats_column c)
{
	fprintf(f, "%s%s", names[c], is_time(c) ? "_ns" : c == COLUMN_RATE ? "_per_s" : "");
}

static void json_text(FILE *f, const char *name, const char *text)
{
	fprintf(f, ",\"%s\":", name);
	text__json(f, text, strlen(text));
}

void stats_show__json(FILE *f, const struct stats_list *l)
{
	u64 range_ns = stats__range_ns(l->stats);
	u32 i, c;

	for (i = 0; i < l->cnt; i++) {
		struct stats_group *g = l->group[i];

		fprintf(f, "{\"type\":\"stats\",\"kind\":\"%s\",\"level\":\"%s\"", g->callsite->is_span ? "span" : "event",
			show__level(g->callsite->level));
		json_text(f, "target", g->callsite->target);
		json_text(f, "name", g->callsite->name);
		if (l->by) {
			json_text(f, "by", l->by);
			json_text(f, "value", g->key);
		}
		for (c = 0; c < COLUMN_NAME; c++) {
			if (!has(c, g))
				continue;
			fputs(",\"", f);
			put_name(f, c);
			fputs("\":", f);
			put_number(f, c, g, range_ns);
		}
		if (g->duration.cnt)
			fprintf(f, ",\"quantile_error\":%g", sketch__is_exact(&g->duration) ? 0 : SKETCH_ERROR);
		fputs("}\n", f);
	}
	fprintf(f, "{\"type\":\"stats_range\",\"range_ns\":%" PRIu64 ",\"groups\":%u,\"lost\":%" PRIu64 ",\"other_values\":%" PRIu64 "}\n",
		range_ns, l->all, stats__loss(l->stats), stats__others(l->stats));
}

/* Quoted where it has to be (RFC 4180); control characters are shown, not sent. */
static void csv_text(FILE *f, const char *text)
{
	char *clean = NULL, *p;
	size_t bytes;
	FILE *m = open_memstream(&clean, &bytes);

	if (!m)
		return;
	text__print(m, text, strlen(text));
	fclose(m);
	/* what begins like this is a formula to spreadsheets */
	if (strchr("=+-@", clean[0]) && clean[0])
		fputs("\"'", f);
	else
		fputc('"', f);
	for (p = clean; *p; p++) {
		if (*p == '"')
			fputc('"', f);
		fputc(*p, f);
	}
	fputc('"', f);
	free(clean);
}

void stats_show__csv(FILE *f, const struct stats_list *l)
{
	u64 range_ns = stats__range_ns(l->stats);
	u32 i, c;

	fputs("kind,level,target,name,", f);
	if (l->by) {
		csv_text(f, l->by);
		fputc(',', f);
	}
	for (c = 0; c < COLUMN_NAME; c++) {
		put_name(f, c);
		fputc(',', f);
	}
	fputs("quantile_error\n", f);
	for (i = 0; i < l->cnt; i++) {
		struct stats_group *g = l->group[i];

		fprintf(f, "%s,%s,", g->callsite->is_span ? "span" : "event", show__level(g->callsite->level));
		csv_text(f, g->callsite->target);
		fputc(',', f);
		csv_text(f, g->callsite->name);
		fputc(',', f);
		if (l->by) {
			csv_text(f, g->key);
			fputc(',', f);
		}
		for (c = 0; c < COLUMN_NAME; c++) {
			if (has(c, g))
				put_number(f, c, g, range_ns);
			fputc(',', f);
		}
		if (g->duration.cnt)
			fprintf(f, "%g", sketch__is_exact(&g->duration) ? 0 : SKETCH_ERROR);
		fputc('\n', f);
	}
}

/* --- the histogram ----------------------------------------------------------------------------------------- */

#define BINS 64 /* 1, 2, 5, 10 ...: three to a power of ten, 20 powers */
#define BAR_CELLS 50

struct bins {
	u64 cnt[BINS];
};

/* The lower edge of a bin: 0, 1, 2, 5, 10 ... */
static u64 edge(u32 bin)
{
	static const u64 steps[] = { 1, 2, 5 };
	u64 v = 1;
	u32 i;

	if (!bin)
		return 0;
	for (i = 0; i < (bin - 1) / 3; i++)
		if (__builtin_mul_overflow(v, 10, &v))
			return UINT64_MAX;
	return __builtin_mul_overflow(v, steps[(bin - 1) % 3], &v) ? UINT64_MAX : v;
}

static void into_bin(void *ctx, u64 value, u64 cnt)
{
	struct bins *b = ctx;
	u32 i = 0;

	while (i + 1 < BINS && edge(i + 1) <= value && edge(i + 1) != UINT64_MAX)
		i++;
	b->cnt[i] += cnt;
}

static void put_bar(FILE *f, double part)
{
	static const char *const eighths[] = { "", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589" };
	u32 e = (u32)(part * BAR_CELLS * 8 + 0.5), i;

	for (i = 0; i < e / 8; i++)
		fputs("\u2588", f);
	fputs(e / 8 == 0 && e % 8 == 0 && part > 0 ? eighths[1] : eighths[e % 8], f);
}

static void put_edge(FILE *f, u64 ns)
{
	char *text = NULL;
	size_t bytes;
	FILE *m = open_memstream(&text, &bytes);

	if (!m)
		return;
	show__duration(m, ns);
	fclose(m);
	fprintf(f, "%6s", text);
	free(text);
}

void stats_show__histogram(FILE *f, struct stats_group *g)
{
	struct bins b = {};
	u32 i, first = BINS, last = 0;
	u64 most = 1;

	show__text(f, g->callsite->target);
	fputs(": ", f);
	show__text(f, g->callsite->name);
	if (g->key && g->key[0]) {
		fputs("  ", f);
		show__text(f, g->key);
	}
	fprintf(f, ": %" PRIu64 " spans", g->cnt);
	if (g->open)
		fprintf(f, ", %" PRIu64 " of them still open: not shown", g->open);
	fputc('\n', f);
	sketch__each(&g->duration, into_bin, &b);
	for (i = 0; i < BINS; i++) {
		if (!b.cnt[i])
			continue;
		first = MIN(first, i);
		last = i;
		most = MAX(most, b.cnt[i]);
	}
	for (i = first; i <= last && first < BINS; i++) {
		put_edge(f, edge(i));
		fputs(" - ", f);
		put_edge(f, edge(i + 1));
		fprintf(f, " %10" PRIu64 " ", b.cnt[i]);
		put_bar(f, (double)b.cnt[i] / (double)most);
		fputc('\n', f);
	}
	if (!sketch__is_exact(&g->duration))
		fprintf(f, "values are placed within %.1f %%\n", SKETCH_ERROR * 100);
}
