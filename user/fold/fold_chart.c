/* SPDX-License-Identifier: MIT */
/* fold_chart.c - entries and exits as boxes of a chart: one lane a thread, one row a depth of its stack. */
#include "fold/chart.h"
#include "fold/fold_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static struct chart_lane *lane_of(struct fold *f, struct fold_thread *t)
{
	const struct thread *th = t->thread;
	char label[400];
	int n = 0;

	if (t->lane)
		return t->lane;
	if (th->process->pid)
		n = snprintf(label, sizeof(label), "%.15s/%u  ", th->process->comm, th->process->pid);
	if (th->name && th->name[0])
		n += snprintf(label + n, sizeof(label) - n, "%.255s/", th->name);
	if (th->tid)
		snprintf(label + n, sizeof(label) - n, "%u", th->tid);
	else
		snprintf(label + n, sizeof(label) - n, "thread %08" PRIx64, th->uid);
	return t->lane = chart__lane(f->opts.chart, label);
}

/* The row of an entry: entries below it that are no duplicates. Not counted further than rows are drawn: a tape may nest
 * without end, and each exit would walk through all of it. */
static u32 row_of(const struct fold_thread *t, u32 entry)
{
	u32 i, row = 0;

	for (i = 0; i < entry && row < CHART_MAX_DEPTH; i++)
		row += !t->stack[i].duplicate;
	return row;
}

/* What stands at `from` and above ends now. */
static int end_from(struct fold *f, struct fold_thread *t, u32 from, u64 time_ns)
{
	struct chart_lane *lane = lane_of(f, t);
	u32 row = row_of(t, from), i;
	int err = 0;

	if (!lane)
		return -ENOMEM;
	/* one beyond the rows is enough to be counted; should it come down, its row's last box says when */
	for (i = from; i < t->depth && !err && row <= CHART_MAX_DEPTH; i++) {
		if (t->stack[i].duplicate)
			continue;
		err = chart__add(f->opts.chart, lane, row++, t->stack[i].span->frame, t->stack[i].since_ns, time_ns);
		t->stack[i].since_ns = time_ns;
	}
	return err;
}

static int chart_enter(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	return lane_of(f, t) ? fold__push(t, s, time_ns) : -ENOMEM;
}

/* Out of order: what stands above goes on one row lower. */
static int chart_exit(struct fold *f, struct fold_span *s, struct fold_thread *t, u64 time_ns)
{
	u32 i = t->depth;
	int err = 0;

	while (i && t->stack[i - 1].span != s)
		i--;
	if (i && !t->stack[i - 1].duplicate)
		err = end_from(f, t, i - 1, time_ns);
	fold__pop(t, s);
	return err;
}

const struct fold_ops fold_chart_ops = { .enter = chart_enter, .exit = chart_exit };
