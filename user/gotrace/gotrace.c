/* SPDX-License-Identifier: MIT */
/*
 * gotrace.c - calls wait here for their generation.
 *
 * The problem. A Go trace wants events with times that rise over all threads, each span's sort (region or task)
 * right from its first mention, and generations that stand on their own. The model tells spans as they come: a
 * span shows only at its second entry that it is a task, and a thread's calls may come a little later than those
 * of others.
 *
 * The design. Calls, turned into nested slices (export/slices.h), wait as items of 32 bytes. When a generation's
 * time is over, and late_ns more, or when held_bytes are full, the items up to a moment T are put in order of
 * time, encoded (gotrace_encode.c) and written in one piece; what is later stays. So a task can be back-dated to
 * its span's opening within what waits, also over regions that are there already; a span that was written as a
 * plain region before it is entered again becomes a task at the start of the next generation. A span not entered
 * by the time its opening is written is a task from its opening on. Which is which depends on the calls alone: the
 * same tape makes the same file.
 *
 * Native code as goroutines. A thread is an OS thread (M, its tid), a goroutine (G, its tid; when a tid comes
 * again, tid + k * 2^22, as a number must not be used twice in a file) and a proc (P, the smallest free number)
 * that it has for its whole life: there is no scheduler data, it always runs. A process has a root task and, on M
 * 0 and P 0, a control goroutine that creates the threads' goroutines, begins and ends the root task and says what
 * no thread says (loss, exec): one that has open regions must not create others, or viewers show regions without a
 * name. Spans are regions with one frame (target, file, line) in the task of the innermost task span around them
 * on their thread, or in the root task: without a task they are on no time line. Events and fields are logs.
 *
 * Times. Each event is later than the one before it, over all threads: readers refuse some files with equal times,
 * and not always the same ones. What that costs in truth is a nanosecond an event at one moment. Status events and
 * the goroutines of threads that were there before take their nanoseconds from before the generation's first
 * event. Times are the sink's own unless those are too close to 0 or too large for readers, who compute in double
 * precision: then all are moved by a constant.
 *
 * Rejected: encoding each call at once (tasks could not be back-dated, late calls would be bent, and a span would
 * cost the same); sorting everything (most calls come in order: only those that do not are taken out, sorted and
 * merged).
 */
#include "gotrace/gotrace_priv.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_HELD  (4U << 20)
#define MIN_ITEMS     64
#define DEFAULT_LATE  (100 * NSEC_PER_MSEC)

/* --- order -------------------------------------------------------------------------------------------------------- */

/* Stable: two sorted parts of a, split at mid; tmp has room for the second. */
static void merge(struct item *a, u32 mid, u32 cnt, struct item *tmp)
{
	u32 i = mid, k = cnt - mid, n = cnt;

	memcpy(tmp, a + mid, k * sizeof(*a));
	while (i && k) {
		if (tmp[k - 1].time_ns < a[i - 1].time_ns)
			a[--n] = a[--i];
		else
			a[--n] = tmp[--k];
	}
	memcpy(a, tmp, k * sizeof(*a));
}

static void sort(struct item *a, u32 cnt, struct item *tmp)
{
	u32 mid = cnt / 2;

	if (cnt < 2)
		return;
	sort(a, mid, tmp);
	sort(a + mid, cnt - mid, tmp);
	if (a[mid].time_ns < a[mid - 1].time_ns)
		merge(a, mid, cnt, tmp);
}

static u32 count_displaced(const struct gotrace *g)
{
	u32 i, cnt = 0;
	u64 max = 0;

	for (i = 0; i < g->item_cnt; i++) {
		cnt += g->item[i].time_ns < max;
		max = MAX(max, g->item[i].time_ns);
	}
	return cnt;
}

/* Take out the items that come after a later one, sort those, and merge them in again. Equal times stay as they came. */
static int order(struct gotrace *g)
{
	u32 i, in = 0, cnt = g->displaced ? count_displaced(g) : 0;
	struct item *a = g->item, *out = g->spare;
	u64 max = 0;

	g->displaced = false;
	if (!cnt)
		return 0;
	if (cnt > g->spare_cap) {
		out = realloc(g->spare, cnt * sizeof(*out));
		if (!out)
			return -ENOMEM;
		g->spare = out;
		g->spare_cap = cnt;
	}
	for (i = cnt = 0; i < g->item_cnt; i++) {
		if (a[i].time_ns < max) {
			out[cnt++] = a[i];
		} else {
			max = a[i].time_ns;
			a[in++] = a[i];
		}
	}
	memcpy(a + in, out, cnt * sizeof(*a));
	sort(a + in, cnt, out);
	merge(a, in, g->item_cnt, out);
	return 0;
}

/* --- the cut ------------------------------------------------------------------------------------------------------ */

/* Texts of items that stay move to the front. */
static int keep_texts(struct gotrace *g)
{
	struct go_bytes old = g->texts;
	u32 i;

	if (old.cnt == sizeof(struct text_head))
		return 0;
	g->texts = g->texts_next;
	g->texts_next = old;
	g->texts.cnt = sizeof(struct text_head); /* offset 0 is none */
	for (i = 0; i < g->item_cnt; i++) {
		struct item *it = &g->item[i];
		size_t bytes = ALIGN_UP(sizeof(struct text_head) + it->text_bytes, sizeof(void *));

		if (!it->text)
			continue;
		if (g->texts.cap < g->texts.cnt + bytes) {
			size_t cap = MAX(old.cap, g->texts.cnt + bytes);
			u8 *at = realloc(g->texts.at, cap);

			if (!at)
				return -ENOMEM;
			g->texts.at = at;
			g->texts.cap = cap;
		}
		memcpy(g->texts.at + g->texts.cnt, old.at + it->text, bytes);
		it->text = (u32)g->texts.cnt;
		g->texts.cnt += bytes;
	}
	return 0;
}

static int write_generation(struct gotrace *g)
{
	u64 mono_ns = g->gen_start + g->shift_ns;
	struct go_clock clock = { .mono_ns = (s64)mono_ns > 0 ? mono_ns : g->gen_start };
	u8 header[GO_HEADER_BYTES];
	const u8 *bytes;
	size_t cnt;
	int err;

	clock.real_ns = g->opts.clock.real_ns + (s64)(clock.mono_ns - g->opts.clock.mono_ns);
	err = go_wire__seal(&g->wire, g->gen_start, &clock, &bytes, &cnt);
	if (!err && !g->header_written) {
		go_wire__header(header, g->opts.version);
		err = g->write(g->ctx, header, sizeof(header));
		g->st.bytes += sizeof(header);
		g->header_written = true;
	}
	if (!err)
		err = g->write(g->ctx, bytes, cnt);
	g->st.bytes += cnt;
	g->st.generations++;
	return err;
}

/* The trace begins with the first thing that happened in it. */
static void start(struct gotrace *g)
{
	u64 first = ~0ULL;
	u32 i, threads = 0;

	for (i = 0; i < g->item_cnt; i++) {
		threads += g->item[i].kind == ITEM_THREAD;
		if (!(g->item[i].flags & ITEM_EARLY))
			first = MIN(first, g->item[i].time_ns);
	}
	if (g->opts.start_ns)
		first = g->opts.start_ns;
	else if (first == ~0ULL)
		first = g->max_ns;
	gotrace__start(g, first, threads);
}

/* Force what was opened up to t and still waits for its first entry. */
static int force_pending(struct gotrace *g, u64 t)
{
	struct slice_span *s, *next;
	int err = 0;

	for (s = g->pending; s && !err; s = next) {
		next = gspan(s)->next;
		if (s->open_ns <= t)
			err = gotrace__force(g, s);
	}
	return err;
}

/* How many there are up to time t. */
static u32 count_until(const struct gotrace *g, u64 t)
{
	u32 low = 0, high = g->item_cnt, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (g->item[mid].time_ns <= t)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void gotrace__first(struct gotrace *g, u64 ns)
{
	u64 end = ns + g->opts.generation_ns + g->opts.late_ns;

	g->first_ns = ns;
	g->due_ns = end > ns ? end : ~0ULL;
}

/* The first cnt items have been encoded. */
static int drop_items(struct gotrace *g, u32 cnt)
{
	u32 i;

	g->item_cnt -= cnt;
	g->items_gone += cnt;
	memmove(g->item, g->item + cnt, g->item_cnt * sizeof(*g->item));
	for (i = 0; i < g->item_cnt && g->item[i].flags & ITEM_EARLY; i++)
		;
	gotrace__first(g, i < g->item_cnt ? g->item[i].time_ns : ~0ULL);
	g->max_ns = g->item_cnt ? g->item[g->item_cnt - 1].time_ns : 0;
	return keep_texts(g);
}

/* Write the items up to time t. */
static int cut_at(struct gotrace *g, u64 t)
{
	u32 cnt = count_until(g, t);
	int err;

	if (!cnt)
		return 0;
	if (!g->started)
		start(g);
	gotrace__begin_generation(g, g->item[0].time_ns);
	gotrace__encode(g, g->item, cnt);
	g->cut_ns = t;
	err = drop_items(g, cnt);
	return err ? err : write_generation(g);
}

static int cut(struct gotrace *g, u64 t)
{
	int err = force_pending(g, t);

	if (!err)
		err = order(g);
	return err ? err : cut_at(g, t);
}

/* Room is short: at least half of what waits must go, and as far as that allows what may still be joined by late calls stays. */
static int cut_full(struct gotrace *g)
{
	int err = order(g);
	u64 t, late;

	if (err)
		return err;
	t = g->item[g->item_cnt / 2].time_ns;
	late = g->item[g->item_cnt - 1].time_ns;
	late = late > g->opts.late_ns ? late - g->opts.late_ns : 0;
	return cut(g, MAX(t, late));
}

/* --- items -------------------------------------------------------------------------------------------------------- */

int gotrace__more_items(struct gotrace *g)
{
	u32 cap = g->item_cap ? g->item_cap * 2 : MIN_ITEMS;
	struct item *item = realloc(g->item, cap * sizeof(*item));

	if (!item)
		return -ENOMEM;
	g->item = item;
	g->item_cap = cap;
	return 0;
}

int gotrace__make_room(struct gotrace *g, u64 ns)
{
	if (!g->item_cnt)
		return 0;
	if (ns >= g->due_ns && g->due_ns != ~0ULL)
		return cut(g, ns - g->opts.late_ns);
	if (g->item_cnt >= g->item_max || g->texts.cnt >= g->opts.held_bytes)
		return cut_full(g);
	return 0;
}

char *gotrace__text(struct gotrace *g, struct gsite *site, u64 ns)
{
	struct text_head head = { site };
	size_t need;

	/* a cut moves texts, so it comes before this one */
	if (!g->err)
		g->err = gotrace__make_room(g, ns);
	need = g->texts.cnt + sizeof(struct text_head) + GO_MAX_TEXT + sizeof(void *);

	if (g->texts.cap < need) {
		size_t cap = MAX(g->texts.cap * 2, need);
		u8 *at = realloc(g->texts.at, cap);

		if (!at)
			return NULL;
		g->texts.at = at;
		g->texts.cap = cap;
	}
	memcpy(g->texts.at + g->texts.cnt, &head, sizeof(head));
	return (char *)g->texts.at + g->texts.cnt + sizeof(head);
}

int gotrace__add_text(struct gotrace *g, struct item *i, const struct text_buf *b)
{
	char *start = (char *)g->texts.at + g->texts.cnt + sizeof(struct text_head);

	i->text = (u32)g->texts.cnt;
	i->text_bytes = (u16)(b->at - start);
	g->st.cut_texts += b->cut;
	g->texts.cnt += ALIGN_UP(sizeof(struct text_head) + i->text_bytes, sizeof(void *));
	return g->err ? g->err : gotrace__append(g, i);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

struct gotrace *gotrace__new(const struct gotrace_opts *o, gotrace_write_fn write, void *ctx)
{
	struct slices_opts so = { .thread_bytes = sizeof(struct gthread), .span_bytes = sizeof(struct gspan) };
	struct gotrace *g;

	if (o->version && o->version != 22 && o->version != 26) {
		errno = EINVAL;
		return NULL;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	memcpy(&g->opts, o, MIN(o->sz, sizeof(*o)));
	g->opts.version = o->version ? o->version : 22;
	g->opts.generation_ns = g->opts.generation_ns ? g->opts.generation_ns : NSEC_PER_SEC;
	g->opts.held_bytes = MIN(g->opts.held_bytes ? g->opts.held_bytes : DEFAULT_HELD, 1ULL << 30);
	g->opts.late_ns = g->opts.late_ns ? g->opts.late_ns : DEFAULT_LATE;
	g->write = write;
	g->ctx = ctx;
	gotrace__first(g, ~0ULL);
	g->texts.cnt = sizeof(struct text_head);
	g->item_max = MAX(g->opts.held_bytes / sizeof(struct item), MIN_ITEMS);
	g->procs_last = &g->procs;
	g->control.m = 0;
	g->none.m = GO_NONE;
	go_wire__init(&g->wire, g->opts.version);
	g->slices = slices__new(&gotrace_feed_ops, g, &so);
	if (!g->slices || gotrace__make_notes(g)) {
		gotrace__free(g);
		errno = ENOMEM;
		return NULL;
	}
	return g;
}

struct sink gotrace__sink(struct gotrace *g)
{
	return slices__sink(g->slices);
}

int gotrace__finish(struct gotrace *g)
{
	int err = slices__finish(g->slices);
	struct gproc *last = g->procs ? g->procs : &g->nobody;

	if (g->err)
		return g->err;
	/* gives what is left open its length, and a trace of nothing something to be read */
	if (!err && (g->left_open || (!g->item_cnt && !g->started)))
		err = gotrace__note(g, last, NOTE_RECORDING, g->last_ns, "ends here");
	for (u32 i = 0; !err && i < g->trigger_cnt; i++)
		err = gotrace__note(g, last, NOTE_TRIGGER, g->last_ns, g->trigger[i]);
	if (!err)
		err = cut(g, ~0ULL);
	if (!g->err)
		g->err = err;
	return g->err;
}

void gotrace__stats(const struct gotrace *g, struct gotrace_stats *st)
{
	struct slices_stats ss;

	slices__stats(g->slices, &ss);
	*st = g->st;
	st->splits = ss.splits;
	st->unmatched = ss.unmatched;
}

void gotrace__free(struct gotrace *g)
{
	struct gproc *p, *next;

	if (!g)
		return;
	for (struct gthread *t = g->threads; t; t = t->all)
		gthread__done(t);
	for (p = g->procs; p; p = next) {
		next = p->next;
		free(p);
	}
	for (u32 i = 0; i < g->trigger_cnt; i++)
		free(g->trigger[i]);
	slices__free(g->slices);
	gotrace__free_sites(g);
	go_stream__done(&g->control);
	go_stream__done(&g->none);
	go_wire__done(&g->wire);
	idmap__done(&g->procs_by_uid);
	idmap__done(&g->tid_uses);
	idmap__done(&g->live_m);
	free(g->item);
	free(g->spare);
	free(g->texts.at);
	free(g->texts_next.at);
	free(g->slot);
	free(g);
}
