/* SPDX-License-Identifier: MIT */
/* recover.c - what is in a folder as a snapshot; but generations (recover_gen.c) and what is missing (recover_missing.c). */
#include "flight/recover_priv.h"

#include "base/crc32c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct recovered *recover__new(void)
{
	return calloc(1, sizeof(struct recovered));
}

void recover__free_generation(struct generation *g)
{
	struct chunk *c, *next;

	for (c = g->first; c; c = next) {
		next = c->next;
		free(c);
	}
	free(g);
}

void recover__free(struct recovered *r)
{
	if (!r)
		return;
	for (u32 i = 0; i < r->gen_cnt; i++)
		recover__free_generation(r->gen[i].g);
	free(r->gen);
	free(r->snap.gen);
	for (u32 i = 0; i < r->snap.partial_cnt; i++)
		partial__put(r->snap.partial[i]);
	free(r->snap.partial);
	free(r->snap.carried.data);
	for (u32 i = 0; i < r->memory_cnt; i++)
		free(r->memory[i]);
	free(r->memory);
	defs__done(&r->defs);
	free(r);
}

int recover__keep(struct recovered *r, void *p)
{
	void **grown = p ? realloc(r->memory, (r->memory_cnt + 1) * sizeof(*grown)) : NULL;

	if (!grown) {
		free(p);
		return -ENOMEM;
	}
	r->memory = grown;
	r->memory[r->memory_cnt++] = p;
	return 0;
}

void recover__say(struct recovered *r, bool missing, const char *fmt, ...)
{
	struct recover_finding *f = r->finding_cnt < RECOVER_FINDINGS ? &r->finding[r->finding_cnt] : NULL;
	va_list ap;

	r->finding_cnt++;
	r->missing_cnt += missing;
	if (!f)
		return;
	f->missing = missing;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

/* --- what is beside the ring ----------------------------------------------------------------------------------------------- */

/* Left out by recorders that did not write it. Then no link between generations says that there was one (recover__finish). */
int recover__state(struct recovered *r, const void *data, size_t bytes)
{
	int whole = data ? ring_state__read(&r->state, data, bytes) : 0;

	r->has_state = whole > 0;
	if (!data)
		return 0;
	r->state_given = true;
	if (!whole)
		recover__say(r, true, "state: damaged; up to when the rest is complete is not known, nor if the oldest and the newest are there");
	else if (whole < 2)
		recover__say(r, false, "state: one of its two copies is damaged");
	if (r->state.mono_ns >> 62 || r->state.complete_ns >> 62)
		r->state.mono_ns = r->state.complete_ns = 0;
	r->complete_ns = r->state.complete_ns;
	r->snap.at = (struct clock_pair){ .mono_ns = r->state.mono_ns, .real_ns = r->state.real_ns, .boot_ns = r->state.boot_ns };
	return 0;
}

int recover__defs(struct recovered *r, const void *data, size_t bytes, const void *copy, size_t copy_bytes)
{
	int err = defs__read(&r->defs, data, bytes, copy, copy_bytes);
	const struct defs *d = &r->defs;
	u64 longest = MAX(data ? bytes : 0, copy ? copy_bytes : 0);

	if (!data && !copy)
		recover__say(r, true, "defs is not there: no callsite, process or thread is known by name");
	else if (!data)
		recover__say(r, false, "defs is not there; defs-copy was read");
	else if (!copy && r->has_state)
		recover__say(r, false, "defs-copy is not there; defs was read");
	if (d->damaged && r->has_state && d->damaged_at >= r->state.defs_bytes)
		recover__say(r, false, "defs: the last definition was being written");
	else if (d->damaged)
		recover__say(r, true, "defs: damaged at byte %" PRIu64 ", in %u places; what was defined there is not known", d->damaged_at,
			     d->damaged);
	if (d->healed)
		recover__say(r, false, "defs: damaged or cut at byte %" PRIu64 ", in %u places; read from defs-copy there", d->healed_at, d->healed);
	if ((data || copy) && r->has_state && longest < r->state.defs_bytes)
		recover__say(r, true, "defs: cut at byte %" PRIu64 " of %" PRIu64 "; what was defined behind is not known", longest,
			     r->state.defs_bytes);
	return err;
}

/* What is in it are no records of the time that a recovered tape is about: they are not among what is emitted there, so they are told in words. */
static void say_carried(struct recovered *r, const char *what)
{
	bool told = r->has_state && r->state.version >= RING_DIR_CARRIED_CNT;

	if (!told)
		recover__say(r, true, "%s: of spans that were open before the rest begins, some may be missing", what);
	else if (r->state.carried_cnt)
		recover__say(r, true, "%s: what was kept of %u spans that were open before the rest begins is missing", what, r->state.carried_cnt);
	else
		recover__say(r, false, "%s: nothing was in it", what);
}

int recover__carried(struct recovered *r, const void *data, size_t bytes)
{
	struct carried_head h = { 0 };
	const u8 *rec;
	u32 off;

	if (!data) {
		if (r->has_state && r->state.carried_bytes)
			say_carried(r, "carried is not there");
		return 0;
	}
	rec = (const u8 *)data + sizeof(h);
	if (bytes >= sizeof(h))
		memcpy(&h, data, sizeof(h));
	if (h.magic != CARRIED_MAGIC || h.bytes > bytes - sizeof(h) ||
	    h.crc != crc32c(crc32c(crc32c(0, &h.no, sizeof(h.no)), &h.bytes, sizeof(h.bytes)), rec, h.bytes)) {
		say_carried(r, "carried: damaged or cut");
		return 0;
	}
	r->folded = h.no;
	if (!h.bytes)
		return 0;
	r->snap.carried.data = malloc(h.bytes);
	if (!r->snap.carried.data)
		return -ENOMEM;
	memcpy(r->snap.carried.data, rec, h.bytes);
	for (off = 0; off < h.bytes && recover__plausible(r->snap.carried.data + off, h.bytes - off);)
		off += ALIGN_UP(((const struct wire_head *)(r->snap.carried.data + off))->bytes + 1, 8);
	if (off < h.bytes)
		recover__say(r, true, "carried: no record at byte %zu", off + sizeof(h));
	r->snap.carried.used = r->snap.carried.cap = off;
	return 0;
}

static int keep_page(struct recovered *r, const struct wire_batch *b, u32 bytes)
{
	struct partial *p = malloc(sizeof(*p) + bytes + 1), **grown;

	grown = p ? realloc(r->snap.partial, (r->snap.partial_cnt + 1) * sizeof(*grown)) : NULL;
	if (!grown) {
		free(p);
		return -ENOMEM;
	}
	r->snap.partial = grown;
	grown[r->snap.partial_cnt++] = p;
	p->refs = 1;
	p->bytes = bytes;
	memcpy(p->rec, b, bytes);
	p->rec[bytes] = 0;
	return 0;
}

struct slot {
	struct page_slot head;
	_Alignas(8) u8 rec[PAGE_SLOT - sizeof(struct page_slot)];
};

static bool slot_is_whole(const struct slot *s)
{
	const struct wire_batch *b = (const void *)s->rec;
	struct claim c;

	return s->head.magic == PAGE_SLOT_MAGIC && s->head.bytes <= sizeof(s->rec) && s->head.bytes >= sizeof(*b) &&
	       s->head.crc == crc32c(0, &s->head.bytes, s->head.bytes + sizeof(s->head) - offsetof(struct page_slot, bytes)) &&
	       b->head.bytes == s->head.bytes && !(b->head.time_ns >> 62) && (b->head.kind == WIRE_BATCH || b->head.kind == FLIGHT_ADOPT) &&
	       claim__of(b, s->head.bytes, &c);
}

static int take_slot(struct recovered *r, const struct slot *s, size_t at)
{
	const struct wire_batch *b = (const void *)s->rec;

	if (!s->head.magic && !s->head.crc)
		return 0;
	if (slot_is_whole(s)) {
		r->image_cnt += rec__paged_cnt(&b->head, b->head.bytes);
		return keep_page(r, b, s->head.bytes);
	}
	/* the state says how many records are in all images */
	r->image_harm = true;
	recover__say(r, !r->has_state, "pages: damaged between byte %zu and %zu; a thread's buffer was there", at, at + PAGE_SLOT);
	return 0;
}

int recover__pages(struct recovered *r, const void *data, size_t bytes)
{
	u64 want = r->has_state ? r->state.slot_cnt * PAGE_SLOT : 0;
	struct slot s;
	int err = 0;

	if (!data && want && r->state.image_cnt) {
		r->image_harm = true;
		recover__say(r, false, "pages is not there: what threads had in buffers that were not full");
	}
	for (size_t at = 0; data && at < bytes && !err; at += PAGE_SLOT) {
		memset(&s, 0, sizeof(s));
		memcpy(&s, (const u8 *)data + at, MIN(bytes - at, sizeof(s)));
		err = take_slot(r, &s, at);
	}
	/* the last slot is written as far as it is used */
	if (data && want && bytes + PAGE_SLOT <= want) {
		r->image_harm = true;
		recover__say(r, false, "pages: cut at byte %zu of about %" PRIu64, bytes, want);
	}
	return err;
}

/* Of one page: its id alone need not be its own. */
static u64 page_key(const struct wire_batch *b, const struct claim *c)
{
	return c->id + ((u64)b->head.tid << 40);
}

static void drop_old_page(struct idmap *pages, const struct wire_head *h)
{
	const struct wire_batch *b = (const void *)h;
	struct claim flush, c;
	struct partial *p;

	if (h->kind != WIRE_BATCH || h->bytes < sizeof(*b) || b->why == WIRE_WHY_IDLE || b->why == WIRE_WHY_EXEC ||
	    !claim__of(b, h->bytes, &flush))
		return;
	p = idmap__find(pages, page_key(b, &flush));
	if (p && claim__of((const void *)p->rec, p->bytes, &c) && claim__is_old(&c, flush.seq))
		p->bytes = 0;
}

/* The kill came between a flush and the word that the image of its page is old. */
static int drop_old_pages(struct recovered *r)
{
	struct snapshot *s = &r->snap;
	struct idmap pages = { 0 };
	const struct wire_head *h;
	const struct chunk *k;
	struct claim c;
	u32 i, n = 0, off;
	int err = 0;

	for (i = 0; i < s->partial_cnt && !err; i++)
		if (claim__of((const void *)s->partial[i]->rec, s->partial[i]->bytes, &c))
			err = idmap__put(&pages, page_key((const void *)s->partial[i]->rec, &c), s->partial[i]);
	for (i = 0; i < s->gen_cnt && pages.cnt; i++)
		for (k = s->gen[i]->first; k; k = k->next)
			for (off = 0; (h = chunk__rec(k, &off));)
				drop_old_page(&pages, h);
	idmap__done(&pages);
	for (i = 0; i < s->partial_cnt; i++) {
		if (s->partial[i]->bytes)
			s->partial[n++] = s->partial[i];
		else
			free(s->partial[i]);
	}
	s->partial_cnt = n;
	return err;
}

/* A damaged time must not make the snapshot end in years. */
#define MAX_AHEAD_NS (3600 * NSEC_PER_SEC)

/* The cut: behind the last record, and not before the recorder's last look. */
static void find_cut(struct recovered *r)
{
	struct snapshot *s = &r->snap;
	u64 latest = 0, ahead;

	for (u32 i = 0; i < s->gen_cnt; i++)
		latest = MAX(latest, s->gen[i]->end_ns);
	for (u32 i = 0; i < s->partial_cnt; i++)
		latest = MAX(latest, ((const struct wire_head *)s->partial[i]->rec)->time_ns);
	if (!s->at.mono_ns) /* nothing else says what the clocks were */
		s->at = r->defs.at;
	if (latest > s->at.mono_ns && latest - s->at.mono_ns < MAX_AHEAD_NS) {
		ahead = latest - s->at.mono_ns;
		s->at.mono_ns = latest;
		s->at.real_ns += (s64)ahead;
		s->at.boot_ns += ahead;
	}
}

/* Whose account is missing: nobody's who never kept one. */
static void look_for_account(struct recovered *r)
{
	bool any = r->has_state;

	for (u32 i = 0; i < r->gen_cnt; i++)
		any = any || r->gen[i].has_link;
	r->old = !any;
	if (any && !r->has_state && !r->state_given)
		recover__say(r, true, "state is not there: up to when the rest is complete is not known, nor if the oldest and the newest are there");
}

int recover__finish(struct recovered *r)
{
	struct snapshot *s = &r->snap;
	int err;

	look_for_account(r);
	err = recover__look_for_missing(r);
	if (!err)
		err = drop_old_pages(r);
	if (err)
		return err;
	find_cut(r);
	s->roster = r->defs.roster;
	s->file = r->defs.file;
	s->file_cnt = r->defs.file_cnt;
	return recover__tell_missing(r);
}
