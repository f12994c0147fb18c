/* SPDX-License-Identifier: MIT */
/*
 * flight.c - a flight recording: the newest records, as they came, with all that is needed to read them later.
 *
 * Problem. Run all day at a cost that nobody notices; at any moment hand out the last seconds as if recording had begun there:
 * callsites, processes, thread names, what was open, what was lost. And go on meanwhile.
 *
 * Design. A ring record is copied into the active generation (generations.c) and not decoded. What it refers to and what will have left the
 * ring when it is read is kept beside it, in tables that grow with what is alive, not with time:
 *   - who: processes and threads with their names (roster.h). A thread's own name is in a batch; batches that hold one say so in
 *     their header, and only those are looked into;
 *   - the pages of living threads as last read from outside (sheets.h): records that were not flushed yet, and, even where there is none, what is open;
 *   - begins of plain probe pairs that have left the ring (carry.h).
 * A snapshot is a list of references to generations and copies of the tables. Its replay (snapshot_replay.c) is an ingest and a model of its own,
 * fed with everything at once: so records come in exact order of time, whatever the CPUs' rings did, without a hold-back.
 *
 * What a generation's start means, and which records a replay leaves out: generations.c. Loss: gaps in the pages' numbers are found
 * by the replay. What the BPF side counted, and the kernel's marks about deliveries of which nothing ever came, are records in
 * the ring of the recorder's own kinds, so that each is told by the snapshots that hold its time.
 *
 * Rejected. Keeping decoded spans: forty times the cost a record. Folding evicted batches into an always current model, so that a window
 * can begin anywhere: decodes everything once, only later; each batch carries its open entries just so that this is not needed.
 *
 * Invariant: whatever was emitted after the oldest generation's start, and delivered, is in the ring or in a sheet.
 */
#include "flight/flight.h"

#include "ingest/batch.h"

#include <errno.h>
#include <string.h>

#define CHUNK_TAIL_BYTES (sizeof(struct wire_batch) + WIRE_PAGE_BYTES + 512)
#define CARRY_BYTES (4u << 20)
#define CLOCK_EVERY_NS (20 * NSEC_PER_MSEC)
#define RATE_NS NSEC_PER_SEC /* rates are over one to two of it */
#define SWEEP_AFTER_NS NSEC_PER_SEC /* what was delivered before a thread's end may come a little later */

struct flight {
	struct flight_opts o;
	struct generations *ring;
	struct roster who;
	struct sheets sheets;
	struct carry carry;
	u64 last_clock_ns;
	u64 then_ns[2]; /* of roster_thread.then */
	u64 page_lost_cnt; /* records of pages that marks have told of, so far */
	u64 unstored_cnt, unstored_ns; /* records that came by themselves and there was no room for, and since when; not told yet */
	struct flight_stats st;
};

static void no_room(struct flight *f, const struct wire_head *h)
{
	f->st.dropped++;
	if (!rec__is_single(h))
		return;
	f->unstored_ns = f->unstored_cnt ? f->unstored_ns : h->time_ns;
	f->unstored_cnt++;
}

static bool append(struct flight *f, const void *rec, u32 bytes)
{
	bool stored = generations__append(f->ring, rec, bytes);

	if (__builtin_expect(!stored, 0))
		no_room(f, rec);
	/* a single drain can bring more than a generation should have */
	if (__builtin_expect(generations__full(f->ring), 0))
		generations__seal(f->ring, ((const struct wire_head *)rec)->time_ns, f->sheets.st.partial_bytes);
	return stored;
}

static bool on_keep(void *ctx, const struct wire_batch *b, u32 bytes, u64 ns)
{
	struct {
		struct wire_batch b;
		u8 page[WIRE_PAGE_BYTES];
	} copy;

	memcpy(&copy, b, MIN(bytes, sizeof(copy)));
	copy.b.head.time_ns = ns;
	return append(ctx, &copy, MIN(bytes, sizeof(copy)));
}

static void on_evicted(void *ctx, const struct generation *g)
{
	struct flight *f = ctx;

	carry__fold(&f->carry, g);
	if (f->o.dir)
		ring_dir__carried(f->o.dir, &f->carry, g->no);
}

/*
 * A chunk ends with up to a page's batch unused. A generation is full a little before its size for that, or its last chunk would hold
 * next to nothing: a sixteenth of the memory.
 */
static u64 generation_bytes(u64 size_bytes)
{
	u64 most = MIN(MAX((u64)FLIGHT_GENERATION_BYTES, size_bytes / 32), (u64)FLIGHT_GENERATION_MAX_BYTES);
	u64 bytes = MIN(size_bytes / 8, most);

	return bytes - bytes / CHUNK_BYTES * CHUNK_TAIL_BYTES;
}

struct flight *flight__new(const struct flight_opts *o, u64 now_ns)
{
	struct generations_opts go = { .evicted = on_evicted };
	struct flight *f = calloc(1, sizeof(*f));
	struct chunk_store store;

	if (!f)
		return NULL;
	memcpy(&f->o, o, MIN(o->sz, sizeof(*o)));
	go.max_bytes = f->o.size_bytes ? f->o.size_bytes : FLIGHT_SIZE_BYTES;
	go.period_ns = f->o.period_ns ? f->o.period_ns : FLIGHT_PERIOD_NS;
	go.generation_ns = f->o.generation_ns ? f->o.generation_ns : FLIGHT_GENERATION_NS;
	go.generation_bytes = generation_bytes(go.max_bytes);
	go.ctx = f;
	if (f->o.dir) {
		store = ring_dir__store(f->o.dir);
		go.store = &store;
	}
	f->then_ns[0] = f->then_ns[1] = now_ns;
	f->ring = generations__new(&go, now_ns);
	if (!f->ring) {
		free(f);
		return NULL;
	}
	roster__init(&f->who, &f->o.who);
	if (f->o.dir)
		f->who.listener = ring_dir__listener(f->o.dir);
	sheets__init(&f->sheets, on_keep, f);
	if (f->o.dir) {
		f->sheets.changed = ring_dir__page;
		f->sheets.changed_ctx = f->o.dir;
	}
	carry__init(&f->carry, &f->o.pairs, CARRY_BYTES);
	return f;
}

void flight__free(struct flight *f)
{
	if (!f)
		return;
	generations__free(f->ring);
	roster__done(&f->who);
	sheets__done(&f->sheets);
	carry__done(&f->carry);
	free(f);
}

void flight__file(struct flight *f, const struct elf_file *elf, u32 module, u32 first_site)
{
	if (f->o.dir)
		ring_dir__file(f->o.dir, elf, module, first_site); /* counts what fails */
}

void flight__begin(struct flight *f, u64 now_ns)
{
	generations__begin(f->ring, now_ns);
}

/* --- what comes in --------------------------------------------------------------------------------------------- */

/* The thread's name as its own record tells it. */
static void take_name(struct flight *f, struct roster_thread *t, const u8 *rec, u32 size)
{
	struct rec_value v;
	u32 head = sizeof(struct wire_rec);

	if (size > head && rec_value__take(&v, WIRE_T_STR, rec + head, size - head) > 0 && !v.null)
		roster__name(&f->who, t, v.text, strnlen(v.text, v.text_bytes));
}

static void take_names(struct flight *f, struct roster_thread *t, const struct wire_batch *w, u32 bytes)
{
	struct batch_cursor c;
	struct batch b;
	int more;

	if (batch__open(&b, w + 1, bytes - sizeof(*w), w->head.time_ns))
		return;
	for (more = batch__first(&b, &c); more > 0; more = batch__next(&b, &c))
		if (WIRE_HEAD_KIND(c.head) == WIRE_R_THREAD_NAME)
			take_name(f, t, b.data + c.off, c.size);
}

static void batch(struct flight *f, const struct wire_batch *w, u32 bytes)
{
	struct roster_thread *t = roster__see(&f->who, w->head.pid, w->head.tid, w->head.time_ns);
	const struct wire_page *h = (const void *)(w + 1);
	u64 before;

	f->st.batches++;
	if (t && bytes >= sizeof(*w) + WIRE_DATA && h->flags & WIRE_PAGE_NAMED)
		take_names(f, t, w, bytes);
	before = f->sheets.st.records;
	if (sheets__batch(&f->sheets, w, bytes)) {
		if (append(f, w, bytes))
			sheets__stored(&f->sheets);
		else
			sheets__not_stored(&f->sheets, w, bytes);
	}
	if (t)
		t->records += f->sheets.st.records - before;
}

static void immediate(struct flight *f, const struct wire_head *h, u32 bytes)
{
	const struct wire_imm *imm = (const void *)(h + 1);
	const struct wire_rec *rec = (const void *)(imm + 1);
	struct roster_thread *t = roster__see(&f->who, h->pid, h->tid, h->time_ns);
	u32 room = bytes - sizeof(*h) - sizeof(*imm);

	if (t && bytes >= sizeof(*h) + sizeof(*imm) + sizeof(*rec) && imm->bytes <= room &&
	    WIRE_HEAD_KIND(rec->head) == WIRE_R_THREAD_NAME)
		take_name(f, t, (const u8 *)rec, imm->bytes);
	if (t)
		t->records++;
	append(f, h, bytes);
}

static void life(struct flight *f, const struct wire_life *l, u32 bytes)
{
	struct {
		struct wire_life l;
		char name[256];
	} kept;

	if (bytes < sizeof(*l) || bytes > sizeof(kept))
		return;
	roster__life(&f->who, l, bytes);
	if (l->head.kind != WIRE_FORK)
		sheets__exit(&f->sheets, l->head.pid, l->head.tid, l->head.time_ns);
	if (l->head.kind == WIRE_EXEC && l->other_tid != l->head.tid)
		sheets__exit(&f->sheets, l->head.pid, l->other_tid, l->head.time_ns);
	memcpy(&kept, l, bytes);
	kept.l.comm[sizeof(kept.l.comm) - 1] = '\0'; /* replayed in its place, which is not written to */
	append(f, &kept, bytes);
}

void flight__rec(struct flight *f, const void *rec, size_t have)
{
	const struct wire_head *h = rec;
	struct roster_thread *t;
	u32 bytes;

	if (have < sizeof(*h) || h->bytes < sizeof(*h))
		return;
	bytes = MIN(have, h->bytes);
	f->st.recs++;
	f->st.bytes += bytes;
	switch (h->kind) {
	case WIRE_BATCH:
		if (bytes >= sizeof(struct wire_batch))
			batch(f, rec, bytes);
		break;
	case WIRE_HIT:
		t = roster__see(&f->who, h->pid, h->tid, h->time_ns);
		if (t)
			t->records++;
		f->st.hits++;
		append(f, rec, bytes);
		break;
	case WIRE_IMMEDIATE:
		immediate(f, h, bytes);
		break;
	case WIRE_ANNOUNCE:
		if (bytes < sizeof(struct wire_announce))
			break;
		roster__see(&f->who, h->pid, h->tid, h->time_ns);
		sheets__announce(&f->sheets, rec);
		append(f, rec, bytes);
		break;
	case WIRE_FORK:
	case WIRE_EXEC:
	case WIRE_EXIT:
		life(f, rec, bytes);
		break;
	case WIRE_RENAME: /* a snapshot has the name of now */
		if (bytes >= sizeof(struct wire_life))
			roster__life(&f->who, rec, bytes);
		break;
	}
}

void flight__adopt(struct flight *f, const struct wire_batch *b, size_t have)
{
	struct {
		struct wire_batch b;
		u8 page[WIRE_PAGE_BYTES];
	} kept;
	const struct wire_page *h = (const void *)(b + 1);
	struct roster_thread *t;
	u32 bytes;

	if (have < sizeof(*b) + WIRE_DATA || b->head.bytes < sizeof(*b) + WIRE_DATA)
		return;
	bytes = MIN(MIN(have, b->head.bytes), sizeof(kept));
	t = roster__see(&f->who, b->head.pid, b->head.tid, b->head.time_ns);
	if (t && h->flags & WIRE_PAGE_NAMED)
		take_names(f, t, b, bytes);
	sheets__adopt(&f->sheets, b, bytes);
	memcpy(&kept, b, bytes);
	kept.b.head.kind = FLIGHT_ADOPT;
	append(f, &kept, bytes);
}

static struct wire_head own_head(u16 kind, u32 bytes, u64 ns)
{
	return (struct wire_head){ .kind = kind, .bytes = bytes, .time_ns = ns };
}

void flight__clock(struct flight *f, u64 ticks, u64 mono_ns)
{
	struct flight_clock c = { .ticks = ticks, .mono_ns = mono_ns };

	/* the first two are wanted as soon as can be: without a second one there is no clock */
	if (mono_ns < f->last_clock_ns + CLOCK_EVERY_NS)
		return;
	f->last_clock_ns = mono_ns;
	c.head = own_head(FLIGHT_CLOCK, sizeof(c), mono_ns);
	append(f, &c, sizeof(c));
}

void flight__mark(struct flight *f, const struct wire_page_val *v, u32 tid, int cause, bool dead, u64 now_ns)
{
	struct flight_mark m = { .id = v->id, .seen = v->seen, .cause = (u32)cause, .dead = dead };
	u64 gaps = cause > 0 && cause < LOSS_MAX && cause != LOSS_UNKNOWN ? sheets__explain(&f->sheets, v->pid, tid, v->id) : 0;
	bool news = sheets__mark(&f->sheets, v->pid, tid, v->id, v->seen, dead, now_ns, &m.next);

	if (gaps)
		f->st.lost[cause] += gaps;
	f->page_lost_cnt += gaps + (news ? v->seen - m.next : 0);
	if (!sheets__cause(&f->sheets, v->pid, tid, v->id, cause, f->st.ring.sealed + 1) && !news)
		return;
	if (news)
		f->st.lost[cause >= 0 && cause < LOSS_MAX ? cause : LOSS_UNKNOWN] += v->seen - m.next;
	else
		m.seen = m.next = 0;
	m.head = own_head(FLIGHT_MARK, sizeof(m), now_ns);
	m.head.pid = v->pid;
	m.head.tid = tid;
	append(f, &m, sizeof(m));
}

void flight__loss(struct flight *f, int cause, u64 from_ns, u64 to_ns, u64 count)
{
	struct flight_loss l = { .from_ns = from_ns, .count = count, .cause = (u32)cause };

	l.head = own_head(FLIGHT_LOSS, sizeof(l), to_ns);
	f->st.lost[cause >= 0 && cause < LOSS_MAX ? cause : LOSS_UNKNOWN] += count;
	append(f, &l, sizeof(l));
}

static void forget_the_dead(struct flight *f, u64 now_ns)
{
	const struct generation *oldest = generations__oldest(f->ring);
	u64 before = oldest ? oldest->start_ns : generations__active(f->ring)->start_ns, i;
	struct roster_thread *t;

	roster__prune(&f->who, before);
	if (now_ns < f->then_ns[0] + RATE_NS)
		return;
	f->then_ns[1] = f->then_ns[0];
	f->then_ns[0] = now_ns;
	for (i = 0; (t = idmap__next(&f->who.tids, &i));) {
		t->then[1] = t->then[0];
		t->then[0] = t->records;
	}
	sheets__sweep(&f->sheets, now_ns - MIN(now_ns, SWEEP_AFTER_NS));
	if (f->o.dir)
		ring_dir__tidy(f->o.dir, &f->who);
}

/* --- what there was no room for ---------------------------------------------------------------------------------- */

static int no_room_cause(const struct flight *f)
{
	return f->o.dir ? LOSS_WRITE : LOSS_MEMORY;
}

static bool tell_page(void *ctx, const struct sheet *sh)
{
	struct flight *f = ctx;
	struct flight_mark m = { .id = sh->id, .seen = sh->unstored_to, .next = sh->unstored_from, .cause = (u32)no_room_cause(f) };
	struct claim c;

	/* a reader may come to the image later, and takes what is before `next` for somebody else's */
	if (sh->partial && claim__of((const void *)sh->partial->rec, sh->partial->bytes, &c))
		m.next = MIN(m.next, c.first);
	m.head = own_head(FLIGHT_MARK, sizeof(m), f->last_clock_ns);
	m.head.pid = sh->pid;
	m.head.tid = sh->tid;
	return append(f, &m, sizeof(m));
}

/* As soon as there is some. Until then ring_dir__beat says it. */
static void tell_unstored(struct flight *f, u64 now_ns)
{
	struct flight_loss l = { .from_ns = f->unstored_ns, .count = f->unstored_cnt, .cause = (u32)no_room_cause(f) };

	sheets__tell_unstored(&f->sheets, tell_page, f);
	if (!f->unstored_cnt)
		return;
	l.head = own_head(FLIGHT_LOSS, sizeof(l), now_ns);
	if (!append(f, &l, sizeof(l)))
		return;
	f->st.lost[l.cause] += l.count;
	f->unstored_cnt = 0;
}

void flight__beat(struct flight *f, u64 complete_ns)
{
	struct ring_unstored unstored = { .single_cnt = f->unstored_cnt, .paged_cnt = f->sheets.unstored_cnt };

	if (f->o.dir)
		ring_dir__beat(f->o.dir, generations__active(f->ring), complete_ns, f->sheets.st.missing + f->page_lost_cnt, &unstored);
}

void flight__round(struct flight *f, u64 drained_ns, u64 now_ns)
{
	u64 sealed = f->st.ring.sealed;

	if (f->unstored_cnt || f->sheets.unstored_cnt)
		tell_unstored(f, now_ns);
	generations__tick(f->ring, now_ns, drained_ns, f->sheets.st.partial_bytes);
	generations__stats(f->ring, &f->st.ring);
	if (f->st.ring.sealed != sealed)
		forget_the_dead(f, now_ns);
}

/* --- what goes out --------------------------------------------------------------------------------------------- */

static int take_generations(struct flight *f, struct snapshot *s)
{
	const struct generation *g;
	u32 n = 0;

	for (g = generations__newest(f->ring); g; g = g->older)
		n++;
	s->gen = calloc(MAX(n, 1u), sizeof(*s->gen));
	if (!s->gen)
		return -ENOMEM;
	s->gen_cnt = n;
	for (g = generations__newest(f->ring); g; g = g->older) {
		generation__hold((struct generation *)g);
		s->gen[--n] = g;
		s->bytes += g->bytes;
	}
	return 0;
}

struct snapshot *flight__snapshot(struct flight *f, const struct clock_pair *cut, bool whole, u64 now_ns)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	int n, err;

	if (!s)
		return NULL;
	s->at = *cut;
	s->whole = whole;
	/* Not at the cut: what came later is in this one, and the next one's start promises all of its time. */
	generations__seal(f->ring, now_ns, f->sheets.st.partial_bytes);
	err = take_generations(f, s);
	if (!err)
		err = n = sheets__take(&f->sheets, &s->partial);
	if (err >= 0) {
		s->partial_cnt = (u32)n;
		err = carry__copy(&f->carry, &s->carried);
	}
	if (!err)
		err = roster__copy(&s->roster, &f->who);
	if (!err)
		return s;
	flight__release(f, s);
	return NULL;
}

u64 flight__snapshot_start_ns(const struct flight *f, u64 now_ns)
{
	return generations__sealed_start_ns(f->ring, now_ns, f->sheets.st.partial_bytes);
}

void flight__leave(struct flight *f, struct snapshot *s, u32 gen_cnt)
{
	for (; s->gen_left < MIN(gen_cnt, s->gen_cnt); s->gen_left++)
		generations__drop(f->ring, (struct generation *)s->gen[s->gen_left]);
}

void flight__release(struct flight *f, struct snapshot *s)
{
	if (!s)
		return;
	if (s->gen)
		flight__leave(f, s, s->gen_cnt);
	for (u32 i = 0; i < s->partial_cnt; i++)
		partial__put(s->partial[i]);
	free(s->gen);
	free(s->partial);
	free(s->carried.data);
	roster__done(&s->roster);
	free(s->file);
	free(s);
}

void flight__stats(const struct flight *f, struct flight_stats *st)
{
	const struct generation *oldest = generations__oldest(f->ring);

	*st = f->st;
	generations__stats(f->ring, &st->ring);
	if (f->o.dir)
		st->ring.memory_bytes = ring_dir__chunk_bytes(f->o.dir);
	st->sheets = f->sheets.st;
	st->start_ns = oldest ? oldest->start_ns : generations__active(f->ring)->start_ns;
	st->carried = f->carry.cnt;
	st->carried_bytes = f->carry.bytes;
	st->carry_dropped = f->carry.dropped + f->carry.told.dropped;
	st->told = f->carry.told.cnt;
	st->processes = f->who.process_cnt;
	st->threads = f->who.thread_cnt;
	st->dir_failed = f->o.dir ? ring_dir__failed(f->o.dir) : 0;
}

void flight__each_living(const struct flight *f, void (*fn)(void *ctx, u32 pid, u32 tid), void *ctx)
{
	const struct roster_process *p;
	const struct roster_thread *t;
	u64 i;

	for (i = 0; (p = idmap__next(&f->who.pids, &i));)
		if (!p->dead_ns)
			fn(ctx, p->pub.pid, 0);
	for (i = 0; (t = idmap__next(&f->who.tids, &i));)
		if (!t->dead_ns)
			fn(ctx, t->pid, t->tid);
}

void flight__each_process(const struct flight *f, u64 now_ns,
			  void (*fn)(void *ctx, const struct process *p, u32 threads, u64 records, double per_s), void *ctx)
{
	double seconds = (double)(now_ns - f->then_ns[1]) / 1e9;
	const struct roster_process *p;
	const struct roster_thread *t;
	u64 i, k;

	for (i = 0; (p = idmap__next(&f->who.pids, &i));) {
		u64 records = 0, lately = 0;
		u32 threads = 0;

		for (k = 0; (t = idmap__next(&f->who.tids, &k));) {
			if (t->pid != p->pub.pid)
				continue;
			threads += !t->dead_ns;
			records += t->records;
			lately += t->records - t->then[1];
		}
		if (!p->dead_ns)
			fn(ctx, &p->pub, threads, records, seconds > 0 ? (double)lately / seconds : 0);
	}
}
