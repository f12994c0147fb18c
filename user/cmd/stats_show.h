/* SPDX-License-Identifier: MIT */
/* stats_show.h - what `stats` prints: a table, lines of JSON, CSV, the histogram of one callsite. */
#ifndef TAPEBPF_STATS_SHOW_H
#define TAPEBPF_STATS_SHOW_H

#include <stdio.h>

#include "fold/site_stats.h"

enum stats_column {
	COLUMN_COUNT, COLUMN_RATE, COLUMN_ERRORS, COLUMN_MIN, COLUMN_Q1, COLUMN_MEDIAN, COLUMN_Q3, COLUMN_P99, COLUMN_MAX,
	COLUMN_SELF, COLUMN_TOTAL, COLUMN_BUSY, COLUMN_IDLE, COLUMN_OPEN, COLUMN_NAME, COLUMN_CNT,
};

const char *stats_column__name(enum stats_column c); /* "count" ... */
/* In numbers that can be compared; 0 for COLUMN_NAME. */
double stats_column__value(enum stats_column c, struct stats_group *g, u64 range_ns);

struct stats_list {
	struct stats *stats;
	struct stats_group **group; /* sorted */
	u32 cnt, all;		    /* to be shown, in total */
	const char *by;
};

void stats_show__table(FILE *f, const struct stats_list *l);
void stats_show__json(FILE *f, const struct stats_list *l);
void stats_show__csv(FILE *f, const struct stats_list *l);
void stats_show__histogram(FILE *f, struct stats_group *g);

#endif
