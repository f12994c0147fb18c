/* SPDX-License-Identifier: MIT */
/*
 * recover_missing.c - what should be in a killed recorder's folder, and is not.
 *
 * Problem. What is not there says nothing. A file may be gone, or end early; a damaged place hides how many records it held; and of a page the
 * numbers of its records show what is missing between two batches, but not behind the last.
 *
 * Design. What was put into a generation is told by its own file once it has ended, by that of the next one, and of the newest by `state`
 * (ring_state.h). What was found is compared with that. Of records that come one by one the difference is what is lost. Of those in pages the
 * difference counts all that is missing, the replay finds by numbers those before a later batch of their page: so it is run once without
 * a listener, and what it does not find is told apart. A generation that is gone leaves its place, so that the time which it
 * was of stays within what the tape is about.
 *
 * What is behind the last account (a round and a chunk at most) is known by nobody: the places are told with their bytes.
 */
#include "flight/recover_priv.h"

#include "flight/snapshot_replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- generations ------------------------------------------------------------------------------------------------------------ */

static int by_no(const void *a, const void *b)
{
	const struct recover_gen *x = a, *y = b;

	return x->g->no < y->g->no ? -1 : x->g->no > y->g->no;
}

/* A copy of a file under another name would double what is in it. */
static void drop_copies(struct recovered *r)
{
	u32 n = 0;

	if (r->gen_cnt)
		qsort(r->gen, r->gen_cnt, sizeof(*r->gen), by_no);
	for (u32 i = 0; i < r->gen_cnt; i++) {
		if (n && r->gen[n - 1].g->no == r->gen[i].g->no) {
			recover__say(r, false, "two files are generation %" PRIu64 "; one of them was left out", r->gen[i].g->no);
			r->snap.bytes -= r->gen[i].g->bytes;
			recover__free_generation(r->gen[i].g);
		} else {
			r->gen[n++] = r->gen[i];
		}
	}
	r->gen_cnt = n;
}

/*
 * Files grow by whole chunks, and the seal says by how many. Where nobody does: the newest can have been killed between its making and its
 * first chunk, and cannot be told from one that was cut there.
 */
static void look_for_cut(struct recovered *r, struct recover_gen *e, bool newest)
{
	u64 want = e->has_seal ? GEN_FILE_HEAD + (u64)e->seal.chunk_cnt * CHUNK_BYTES : 0;
	bool odd = e->file_bytes <= GEN_FILE_HEAD ? !newest : (e->file_bytes - GEN_FILE_HEAD) % CHUNK_BYTES;

	if (!e->is_file || (e->has_seal ? e->file_bytes >= want : !odd))
		return;
	e->places++;
	if (e->has_seal)
		recover__say(r, !e->seal.end_ns, "gen-%010" PRIu64 ": cut at byte %" PRIu64 " of %" PRIu64 "%s", e->g->no, e->file_bytes, want,
			     e->seal.end_ns ? "" : "; how many records were put there last is not known");
	else
		recover__say(r, true, "gen-%010" PRIu64 ": cut at byte %" PRIu64 "; how many records were behind is not known", e->g->no,
			     e->file_bytes);
}

/* Nothing in them says since when they were: then since the next one at the latest. */
static void find_starts(struct recovered *r)
{
	u64 next = r->snap.at.mono_ns;

	for (u32 i = r->gen_cnt; i-- > 0; next = r->gen[i].g->start_ns)
		if (!r->gen[i].g->start_ns)
			r->gen[i].g->start_ns = r->gen[i].has_seal ? r->gen[i].seal.start_ns : next;
}

struct gone {
	struct recover_gen *list;
	u32 cnt, cap;
};

static int add_gone(struct gone *gone, const struct gen_seal *seal)
{
	struct recover_gen e = { .has_seal = true, .seal = *seal };

	if (gone->cnt == gone->cap) {
		u32 cap = MAX(2 * gone->cap, 16u);
		struct recover_gen *grown = realloc(gone->list, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		gone->list = grown;
		gone->cap = cap;
	}
	e.g = calloc(1, sizeof(*e.g));
	if (!e.g)
		return -ENOMEM;
	e.g->no = seal->no;
	e.g->start_ns = seal->start_ns;
	e.g->end_ns = seal->end_ns;
	gone->list[gone->cnt++] = e;
	return 0;
}

/* Nothing tells of these, not even whether there were any. */
static void say_range(struct recovered *r, u64 from, u64 to)
{
	r->nameless = r->nameless || from <= to;
	if (from == to)
		recover__say(r, true, "gen-%010" PRIu64 " is not there; what was in it is not known", from);
	else if (from < to)
		recover__say(r, true, "gen-%010" PRIu64 " to gen-%010" PRIu64 " are not there; what was in them is not known", from, to);
}

/* Those between two that are there: `below` may be the number before the first that should be there. */
static int look_between(struct recovered *r, struct recover_gen *lower, u64 below, const struct recover_gen *upper, struct gone *gone)
{
	u64 no = upper->g->no, prev = upper->link.prev.no;

	if (!upper->has_link || prev < below) {
		if (!upper->has_link || below < no - 1)
			say_range(r, below + 1, no - 1);
		return 0;
	}
	if (prev == below) {
		if (lower && !lower->has_seal) {
			lower->has_seal = true;
			lower->seal = upper->link.prev;
			lower->told = lower->found;
		}
		return 0;
	}
	say_range(r, below + 1, prev - 1);
	return add_gone(gone, &upper->link.prev);
}

static int look_above(struct recovered *r, u64 highest, struct gone *gone)
{
	const struct gen_seal *s = &r->state.newest;

	if (!r->has_state || s->no <= highest || s->no < r->state.oldest_no)
		return 0;
	say_range(r, highest + 1, s->no - 1);
	return add_gone(gone, s);
}

static int find_gone(struct recovered *r, struct gone *gone)
{
	u64 floor = r->has_state ? MAX(r->state.oldest_no, (u64)1) - 1 : r->gen_cnt ? r->gen[0].g->no - 1 : 0, below;
	int err = 0;

	floor = MAX(floor, r->folded);
	for (u32 i = 0; i < r->gen_cnt && !err; i++) {
		below = i ? r->gen[i - 1].g->no : floor;
		/* a file that has left the ring may still be there, what was before it has gone */
		if (r->gen[i].g->no > floor)
			err = look_between(r, i ? &r->gen[i - 1] : NULL, MAX(below, floor), &r->gen[i], gone);
	}
	if (!err)
		err = look_above(r, r->gen_cnt ? MAX(r->gen[r->gen_cnt - 1].g->no, floor) : floor, gone);
	return err;
}

static int list_generations(struct recovered *r)
{
	r->snap.gen = calloc(MAX(r->gen_cnt, 1u), sizeof(*r->snap.gen));
	if (!r->snap.gen)
		return -ENOMEM;
	for (u32 i = 0; i < r->gen_cnt; i++)
		r->snap.gen[i] = r->gen[i].g;
	r->snap.gen_cnt = r->gen_cnt;
	return 0;
}

int recover__look_for_missing(struct recovered *r)
{
	struct gone gone = { 0 };
	struct recover_gen *grown;
	int err;

	drop_copies(r);
	err = find_gone(r, &gone);
	grown = err ? NULL : realloc(r->gen, MAX(r->gen_cnt + gone.cnt, 1u) * sizeof(*grown));
	if (!grown) {
		for (u32 i = 0; i < gone.cnt; i++)
			free(gone.list[i].g);
		free(gone.list);
		return err ? err : -ENOMEM;
	}
	r->gen = grown;
	if (gone.cnt)
		memcpy(r->gen + r->gen_cnt, gone.list, gone.cnt * sizeof(*grown));
	r->gen_cnt += gone.cnt;
	free(gone.list);
	if (r->gen_cnt)
		qsort(r->gen, r->gen_cnt, sizeof(*r->gen), by_no);
	for (u32 i = 0; i < r->gen_cnt; i++)
		look_for_cut(r, &r->gen[i], i + 1 == r->gen_cnt);
	find_starts(r);
	return list_generations(r);
}

/* --- numbers ------------------------------------------------------------------------------------------------------------------ */

struct missing {
	u64 paged;	    /* records in pages that were put there and were not found */
	u64 from_ns, to_ns; /* when they were */
};

static u64 less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

/* One record that tells of others, behind all. */
static int tell(struct recovered *r, u64 from_ns, u64 to_ns, int cause, u64 cnt)
{
	const u32 room = ALIGN_UP(sizeof(struct flight_loss) + 1, 8);
	struct flight_loss *l;

	if (!cnt)
		return 0;
	if (!r->snap.gen_cnt)
		return -ENOENT;
	l = calloc(1, room);
	if (recover__keep(r, l))
		return -ENOMEM;
	*l = (struct flight_loss){ .head = { .kind = FLIGHT_LOSS, .bytes = sizeof(*l), .time_ns = to_ns }, .from_ns = from_ns,
				   .count = cnt, .cause = (u32)cause };
	return recover__add_chunk((struct generation *)r->snap.gen[r->snap.gen_cnt - 1], (u8 *)l, room);
}

static void say_missing(struct recovered *r, const struct recover_gen *e, u64 recs, u64 cnt)
{
	if (!e->is_file)
		recover__say(r, true, "gen-%010" PRIu64 " is not there; %s%" PRIu64 " records were in it", e->g->no,
			     e->seal.end_ns ? "" : "at least ", cnt);
	else if (cnt)
		recover__say(r, true, "gen-%010" PRIu64 ": %" PRIu64 " records are missing", e->g->no, cnt);
	else
		recover__say(r, true, "gen-%010" PRIu64 ": %" PRIu64 " of what the recorder itself had written are missing", e->g->no, recs);
}

static int count_generation(struct recovered *r, const struct recover_gen *e, struct missing *m)
{
	u64 recs = less(e->seal.rec_cnt, e->told.recs), single = less(e->seal.single_cnt, e->told.single),
	    paged = less(e->seal.paged_cnt, e->told.paged), to = e->seal.end_ns ? e->seal.end_ns : r->snap.at.mono_ns;

	/* of a newest one that is gone nothing is known but that it was there */
	if (!e->has_seal || (!(recs || single || paged) && e->is_file))
		return 0;
	say_missing(r, e, recs, single + paged);
	r->missing_recs += single + paged;
	if (paged) {
		m->paged += paged;
		m->from_ns = m->from_ns ? MIN(m->from_ns, e->g->start_ns) : e->g->start_ns;
		m->to_ns = MAX(m->to_ns, to);
	}
	return tell(r, e->g->start_ns, to, LOSS_DAMAGED, single);
}

/* What is in those of which not even a number is left. */
static int count_nameless(struct recovered *r, struct missing *m)
{
	u64 single = r->state.sealed_single_cnt, paged = r->state.sealed_paged_cnt, from = snapshot__start_ns(&r->snap),
	    to = r->snap.at.mono_ns;

	for (u32 i = 0; i < r->gen_cnt; i++) {
		const struct gen_seal *s = &r->gen[i].seal;

		if (!r->gen[i].has_seal || !s->end_ns || s->no < r->state.oldest_no)
			continue;
		single = less(single, s->single_cnt);
		paged = less(paged, s->paged_cnt);
	}
	if (!r->nameless || !(single || paged))
		return 0;
	recover__say(r, true, "in those of which nothing is known there were %" PRIu64 " records", single + paged);
	r->missing_recs += single + paged;
	if (paged) {
		m->paged += paged;
		m->from_ns = m->from_ns ? MIN(m->from_ns, from) : from;
		m->to_ns = MAX(m->to_ns, to);
	}
	return tell(r, from, to, LOSS_DAMAGED, single);
}

static void count_images(struct recovered *r, struct missing *m)
{
	u64 cnt = less(r->state.image_cnt, r->image_cnt);

	if (!r->image_harm || !r->has_state || !cnt)
		return;
	recover__say(r, true, "pages: %" PRIu64 " records in buffers that were not full are missing", cnt);
	r->missing_recs += cnt;
	m->paged += cnt;
	m->to_ns = r->snap.at.mono_ns;
	m->from_ns = m->from_ns ? m->from_ns : snapshot__start_ns(&r->snap);
}

/* What the kernel had refused is missing too, but was so before. */
static u64 missing_before(const struct recovered *r)
{
	const struct gen_seal *last = NULL;
	u64 first = 0;

	for (u32 i = 0; i < r->gen_cnt; i++)
		if (r->gen[i].has_seal)
			last = &r->gen[i].seal;
	if (r->gen_cnt && r->gen[0].has_link)
		first = r->gen[0].link.prev.missing_cnt;
	return last ? less(MAX(last->missing_cnt, r->has_state ? r->state.newest.missing_cnt : 0), first) : 0;
}

/* Of those in pages, what a replay will not find by the numbers. */
static int count_unseen(const struct recovered *r, u64 paged, u64 *unseen)
{
	static const struct sink_ops nothing;
	struct sink to = { .ops = &nothing };
	struct replay_opts o = { .sz = sizeof(o) };
	struct replay_result res;
	int err = replay__run(&r->snap, &o, &to, &res);

	*unseen = err ? 0 : less(paged, less(res.gaps, missing_before(r)));
	return err;
}

static int tell_unstored(struct recovered *r)
{
	const struct ring_state *s = &r->state;

	r->unstored_recs = s->unstored_single_cnt + s->unstored_paged_cnt;
	if (!r->unstored_recs)
		return 0;
	recover__say(r, true, "the recorder had no room for the last %" PRIu64 " records", r->unstored_recs);
	return tell(r, s->newest.start_ns, r->snap.at.mono_ns, LOSS_WRITE, s->unstored_single_cnt);
}

int recover__tell_missing(struct recovered *r)
{
	struct missing m = { 0 };
	u64 unseen = 0, unstored;
	int err = tell_unstored(r);

	for (u32 i = 0; i < r->gen_cnt && !err; i++)
		err = count_generation(r, &r->gen[i], &m);
	if (!err)
		err = count_nameless(r, &m);
	count_images(r, &m);
	unstored = r->state.unstored_paged_cnt;
	if (!err && m.paged + unstored)
		err = count_unseen(r, m.paged + unstored, &unseen);
	if (!err)
		err = tell(r, r->state.newest.start_ns, r->snap.at.mono_ns, LOSS_WRITE, MIN(unseen, unstored));
	if (!err)
		err = tell(r, m.from_ns, m.to_ns, LOSS_DAMAGED, less(unseen, unstored));
	return err == -ENOENT ? 0 : err; /* nothing is there that it could be told with */
}
