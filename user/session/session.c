/* SPDX-License-Identifier: MIT */
/*
 * session.c - one recording.
 *
 * The order of things matters more than anything else here:
 *
 *  - A file is made known to the model before it is attached: its first record may come at once.
 *  - A process becomes a target before its files are attached, its pages are adopted after: so every record emitted
 *    after the attach is seen, and what a page held before is not taken for ours (batch-path rule 4).
 *  - A round reads idle pages first, drains the rings, then applies what was read (rule 2), then the loss marks, then
 *    passes on what is older than the hold-back.
 *  - The end: attach__stop (reads, drains and applies once more, then detaches), marks, ingest__finish, the kernel's own
 *    counters, the cut.
 *
 * Files are told apart by device and inode of an open descriptor, and the kernel is handed /proc/self/fd/N as their name:
 * so a binary that was replaced, deleted, or lies in another mount namespace is attached by its very inode.
 */
#include "session/session_priv.h"

#include "base/procfs.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define IDLE_NS (200 * NSEC_PER_MSEC)
#define LOSS_NS NSEC_PER_SEC
#define LOOK_NS (20 * NSEC_PER_MSEC)
#define TRIM_NS (10 * NSEC_PER_SEC)

/* --- callbacks of the rooms below ------------------------------------------------------------------------- */

void session__tell_life(struct session *s, const struct wire_life *l, size_t bytes)
{
	if (l->head.kind >= WIRE_FORK && l->head.kind <= WIRE_EXIT)
		s->lives_told = s->untrimmed = true;
	if (l->head.kind == WIRE_EXIT && s->opts.process_end && bytes >= sizeof(*l) && l->flags & WIRE_LIFE_PROCESS)
		s->opts.process_end(s->opts.ctx, l);
}

static int on_ring(void *ctx, const void *rec, size_t bytes)
{
	struct session *s = ctx;

	if (s->flight)
		flight__rec(s->flight, rec, bytes);
	session__tell_life(s, rec, bytes);
	return s->decode ? ingest__push(s->ingest, rec, bytes) : 0;
}

/* What comes behind the end of a flight recording is not in its last snapshot: no trigger should be fired by it. */
static inline bool is_over(const struct session *s, u64 time_ns)
{
	return s->stopped && s->flight && time_ns > s->end.mono_ns;
}

static int on_rec(void *ctx, const struct rec *r)
{
	struct session *s = ctx;
	int err = is_over(s, r->time_ns) ? 0 : model__rec(s->model, r);

	return err ? err : *s->grown ? INGEST_TURN : 0;
}

static int on_turn(void *ctx)
{
	struct session *s = ctx;
	int err = s->opts.turn(s->opts.ctx);

	*s->grown = false;
	return err;
}

/* Triggers want few records: what none of them would miss is left out. */

static u64 on_wanted_ns(void *ctx, u32 module, u64 site_addr, u8 kind, struct rec_look *look)
{
	struct session *s = ctx;

	return model__wanted_ns(s->model, module, site_addr, kind, look);
}

static bool on_skip_room(void *ctx, const struct rec_page *p, struct skip_room *room)
{
	struct session *s = ctx;

	return model__skip_room(s->model, p, room);
}

static void on_skipped(void *ctx, const struct ingest_skipped *skipped)
{
	struct session *s = ctx;

	model__skipped(s->model, skipped);
}

static const struct ingest_skip_ops skip_ops = { .wanted_ns = on_wanted_ns, .room = on_skip_room, .skipped = on_skipped };

static bool on_leaf(void *ctx, const struct rec *begin, u64 end_ns)
{
	struct session *s = ctx;

	return !*s->grown && !is_over(s, end_ns) && model__leaf(s->model, begin, end_ns);
}

static u64 on_module_link(void *ctx, u32 module)
{
	struct session *s = ctx;
	const struct session_file *f = session_files__module(s->files, module);

	return f ? f->elf->module_addr : 0;
}

static void on_describe(void *ctx, struct process *p)
{
	struct stat st;
	char path[64];
	u32 ppid = 0, ns_pid = 0;
	u64 start_ns = 0;

	procfs__ids(p->pid, &ppid, &start_ns, &ns_pid);
	if (ppid)
		p->parent_pid = ppid;
	if (ns_pid)
		p->ns_pid = ns_pid;
	if (start_ns)
		p->start_ns = start_ns;
	if (!p->exe)
		p->exe = procfs__exe(p->pid);
	if (!p->cmdline)
		p->cmdline = procfs__cmdline(p->pid);
	if (!p->comm[0])
		procfs__comm(p->pid, p->pid, p->comm);
	snprintf(path, sizeof(path), "/proc/%u/exe", p->pid);
	if (!stat(path, &st)) {
		p->dev = st.st_dev;
		p->ino = st.st_ino;
	}
}

static void on_comm(void *ctx, u32 pid, u32 tid, char comm[16])
{
	procfs__comm(pid, tid, comm);
}

static void on_mark(void *ctx, const struct wire_page_val *v, u32 tid, bool dead)
{
	struct session *s = ctx;
	int cause = v->lost_cause == WIRE_C_BATCH_LOST_RING ? LOSS_RING :
		    v->lost_cause == WIRE_C_BATCH_LOST_READ ? LOSS_READ :
							      LOSS_UNKNOWN;

	if (s->flight)
		flight__mark(s->flight, v, tid, cause, dead, clock__mono_ns());
	if (s->decode)
		ingest__mark(s->ingest, v->pid, tid, v->id, v->seen, cause, dead);
}

/* How a plain probe's site pairs: for what is open when its begin leaves the flight recording. */
static int on_role(void *ctx, u32 site, const void **pair)
{
	struct session *s = ctx;

	return model__pair_role(s->model, site, pair);
}

/* --- the round -------------------------------------------------------------------------------------------- */

static void give_clock(struct session *s)
{
	struct clock_pair p;

	clock__pair(&p);
	if (s->flight)
		flight__clock(s->flight, p.ticks, p.mono_ns);
	if (s->decode)
		ingest__clock(s->ingest, p.ticks, p.mono_ns);
}

/* Tell the model of what the BPF side counted since the last time. */
static int tell_losses(struct session *s, u64 now_ns)
{
	static const struct {
		int counter, cause;
	} map[] = {
		{ WIRE_C_LOST_RING, LOSS_RING },
		{ WIRE_C_LOST_READ, LOSS_READ },
		{ WIRE_C_LOST_SIZE, LOSS_SIZE },
	};
	u64 counter[WIRE_C_MAX];
	int err = 0;

	attach__counters(s->attach, counter);
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		struct loss l = { .from_ns = s->last_loss_ns, .to_ns = now_ns, .cpu = ~0u };

		l.cause = (u8)map[i].cause;
		l.count = counter[map[i].counter] - s->counter[map[i].counter];
		if (l.count && s->flight)
			flight__loss(s->flight, l.cause, l.from_ns, l.to_ns, l.count);
		if (l.count && s->decode && !err)
			err = model__loss(s->model, &l);
	}
	if (counter[WIRE_C_LIFE_LOST] != s->counter[WIRE_C_LIFE_LOST])
		session__ends_lost(s, now_ns);
	memcpy(s->counter, counter, sizeof(s->counter));
	s->last_loss_ns = now_ns;
	return err;
}

static int idle_round(struct session *s, u64 *drained_ns)
{
	u64 begun_ns = clock__mono_ns();
	int err = attach__idle_collect(s->attach);

	if (err < 0)
		return err;
	err = attach__poll(s->attach, 0, drained_ns);
	if (err < 0)
		return err;
	give_clock(s);
	err = attach__idle_apply(s->attach);
	if (err >= 0)
		err = attach__marks(s->attach, on_mark, s);
	if (err >= 0)
		s->read_ns = MIN(begun_ns, *drained_ns);
	return err;
}

/*
 * What the kernel refuses is known to it alone until a round asks, and goes with a recorder that is killed. So a flight recording asks as soon as
 * there is something to be asked for, and not when it is time for the next idle read: then no more is missing untold than what
 * was refused in the last moment.
 */
static int look_for_refused(struct session *s, u64 *drained_ns, u64 now_ns)
{
	static const u8 which[] = { WIRE_C_LOST_RING, WIRE_C_LOST_READ, WIRE_C_LOST_SIZE, WIRE_C_BATCH_LOST_RING, WIRE_C_BATCH_LOST_READ };
	u64 counter[WIRE_C_MAX], refused = 0;
	int err;

	attach__counters(s->attach, counter);
	for (size_t i = 0; i < ARRAY_SIZE(which); i++)
		refused += counter[which[i]];
	s->looked_ns = now_ns;
	if (refused == s->refused)
		return 0;
	s->refused = refused;
	err = idle_round(s, drained_ns);
	return err < 0 ? err : tell_losses(s, clock__mono_ns());
}

/*
 * What a burst took (megabytes of batches that were held, in thousands of pieces) is free again a moment later, but between pieces that
 * live on; the allocator keeps all of that, and with each burst that finds other holes a little more. Whole pages of it
 * go back to the kernel. Some hundred microseconds for a heap of 10 MiB. Who decodes nothing frees only what was kept of those that came and went.
 */
static void give_back_memory(struct session *s, u64 now_ns)
{
	s->next_trim_ns = now_ns + TRIM_NS;
	if (s->decode || s->untrimmed)
		malloc_trim(0);
	s->untrimmed = false;
}

/* What threads hold is counted by the keep rule too; who asks again and again has it read no more often than is looked anyway. */
int session__look(struct session *s)
{
	u64 drained_ns, now = clock__mono_ns();
	int err;

	if (!s->flight || !s->running || s->stopped)
		return 0;
	if (now + IDLE_NS < s->next_idle_ns + LOOK_NS)
		return look_for_refused(s, &drained_ns, now);
	s->next_idle_ns = now + IDLE_NS;
	err = idle_round(s, &drained_ns);
	return err < 0 ? err : tell_losses(s, clock__mono_ns());
}

int session__run(struct session *s, int timeout_ms)
{
	u64 drained_ns = 0, now;
	int err;

	if (!s->running) { /* everything that was there at the start is attached and adopted */
		s->running = true;
		ingest__since(s->ingest, clock__mono_ns());
		if (s->flight)
			flight__begin(s->flight, clock__mono_ns());
	}
	give_clock(s);
	err = attach__poll(s->attach, timeout_ms, &drained_ns);
	now = clock__mono_ns();
	if (err >= 0 && now >= s->next_idle_ns) {
		s->next_idle_ns = now + IDLE_NS;
		err = idle_round(s, &drained_ns);
	}
	if (err >= 0 && s->flight && now >= s->looked_ns + LOOK_NS)
		err = look_for_refused(s, &drained_ns, now);
	if (err >= 0 && now >= s->next_loss_ns) {
		s->next_loss_ns = now + LOSS_NS;
		err = tell_losses(s, now);
	}
	if (err >= 0)
		session__look_for_ended(s, now);
	if (now >= s->next_trim_ns)
		give_back_memory(s, now);
	if (err >= 0 && now >= s->next_count_ns)
		session__targets(s); /* forgets those that have ended, whether anybody asks or not */
	if (err >= 0 && s->decode)
		err = ingest__advance(s->ingest, drained_ns, clock__mono_ns());
	if (err >= 0 && s->flight) {
		flight__round(s->flight, drained_ns, clock__mono_ns());
		/* what was refused after the last look is counted by nobody yet */
		flight__beat(s->flight, MIN(s->read_ns, s->looked_ns));
	}
	return err < 0 ? err : 0;
}

int session__watch(struct session *s, int fd)
{
	return attach__watch(s->attach, fd);
}

struct flight *session__flight(struct session *s)
{
	return s->flight;
}

u64 session__stream_ns(const struct session *s)
{
	return ingest__passed_ns(s->ingest);
}

/*
 * What threads hold is read before the rings are drained (rule 2). If the ring has gone round meanwhile, a thread may have flushed what was
 * read of it, and that flush be gone already, with the entries that were open: then it is read again.
 *
 * Pages are read one after the other, and what a thread recorded behind the reading of its page is not there, where another one's
 * answer to it may be. So the cut is before the first reading: up to there it is all there, and no effect is without its
 * cause. If the ring goes round each time, nothing of that time is left in it: then the cut is now, and not whole.
 */
#define SETTLE_TRIES 4

static int settle(struct session *s, struct clock_pair *cut, bool *whole)
{
	struct flight_stats st;
	int err, tries = 0;
	u64 drained_ns;

	do {
		clock__pair(cut);
		err = idle_round(s, &drained_ns);
		flight__stats(s->flight, &st);
		*whole = st.start_ns <= cut->mono_ns;
	} while (err >= 0 && !*whole && ++tries < SETTLE_TRIES);
	if (err >= 0)
		err = tell_losses(s, clock__mono_ns());
	if (!*whole)
		clock__pair(cut);
	return err;
}

struct snapshot *session__snapshot(struct session *s)
{
	struct clock_pair cut = s->end;
	struct snapshot *snap;
	bool whole = true;
	int err = s->stopped ? 0 : settle(s, &cut, &whole);

	if (err < 0) {
		errno = -err;
		return NULL;
	}
	snap = flight__snapshot(s->flight, &cut, whole, clock__mono_ns());
	if (snap && session_files__list(s->files, &snap->file, &snap->file_cnt)) {
		flight__release(s->flight, snap);
		snap = NULL;
	}
	if (!snap)
		errno = ENOMEM;
	return snap;
}

int session__tell_losses(struct session *s)
{
	int err = tell_losses(s, clock__mono_ns());

	model__tell_losses(s->model);
	return err;
}

int session__stop(struct session *s)
{
	int err[5];

	give_clock(s);
	clock__pair(&s->end);
	s->stopped = true;
	err[0] = attach__stop(s->attach);
	err[1] = attach__marks(s->attach, on_mark, s);
	err[2] = s->decode ? ingest__finish(s->ingest) : 0;
	err[3] = tell_losses(s, clock__mono_ns());
	err[4] = model__cut(s->model, clock__mono_ns());
	/* every step is taken, the first failure is told; some of them count what they did */
	for (size_t i = 0; i < ARRAY_SIZE(err); i++)
		if (err[i] < 0)
			return err[i];
	return 0;
}

/* --- life ------------------------------------------------------------------------------------------------- */

static int init_flight(struct session *s)
{
	struct flight_opts fo = { .sz = sizeof(fo) };

	if (!s->opts.flight)
		return 0;
	memcpy(&fo, s->opts.flight, MIN(s->opts.flight->sz, sizeof(fo)));
	fo.who = (struct roster_ops){ .describe = on_describe, .comm = on_comm, .ctx = s };
	fo.pairs = (struct carry_ops){ .role = on_role, .ctx = s };
	s->flight = flight__new(&fo, clock__mono_ns());
	return s->flight ? 0 : -ENOMEM;
}

static int session__init(struct session *s, struct diag *d)
{
	const struct session_opts *o = &s->opts;
	struct attach_opts ao = { .sz = sizeof(ao), .features = &s->features, .ring_bytes = o->ring_bytes,
				  .max_text = o->max_text, .immediate = o->immediate, .follow = o->follow,
				  .empty_pages = o->flight != NULL };
	struct attach_ops aops = { .ring = on_ring, .mapped = session__mapped, .ctx = s };
	struct ingest_ops iops = { .rec = on_rec, .turn = on_turn, .leaf = on_leaf, .module_link = on_module_link, .ctx = s };
	struct ingest_opts io = { .sz = sizeof(io) };
	struct model_opts mo = { .sz = sizeof(mo), .max_spans = o->max_spans, .no_pairs = o->no_pairs,
				 .sigs = o->sigs, .describe = on_describe, .comm = on_comm, .ctx = s };
	int err = features__probe(&s->features, d);

	if (err)
		return err;
	s->files = session_files__new();
	s->model = model__new(o->sinks, o->sink_cnt, &mo);
	if (s->model && model__may_skip(s->model))
		iops.skip = &skip_ops;
	s->ingest = ingest__new(&iops, &io);
	s->sigs = sig_check__new(o->sigs);
	s->decode = o->sink_cnt > 0;
	if (!s->files || !s->ingest || !s->model || !s->sigs || init_flight(s))
		return diag__set(d, -ENOMEM, "not enough memory");
	give_clock(s); /* the next one, when all is attached, makes a clock of it */
	err = attach__new(&ao, &s->attach, d);
	if (err)
		return err;
	attach__set_ops(s->attach, &aops);
	s->last_loss_ns = clock__mono_ns();
	return 0;
}

int session__new(const struct session_opts *opts, struct session **out, struct diag *d)
{
	struct session *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return diag__set(d, -ENOMEM, "not enough memory");
	s->opts = *opts;
	s->grown = opts->grown ? opts->grown : &s->never;
	err = session__init(s, d);
	if (err) {
		session__free(s);
		return err;
	}
	*out = s;
	return 0;
}

void session__free(struct session *s)
{
	if (!s)
		return;
	idmap__done(&s->missed);
	attach__free(s->attach);
	flight__free(s->flight);
	ingest__free(s->ingest);
	model__free(s->model);
	session_files__free(s->files);
	sig_check__free(s->sigs);
	free(s);
}

void session__totals(struct session *s, struct session_totals *t)
{
	memset(t, 0, sizeof(*t));
	model__stats(s->model, &t->model);
	ingest__stats(s->ingest, &t->ingest);
	attach__stats(s->attach, &t->attach);
	t->emitted = t->ingest.emitted + s->counter[WIRE_C_EMITTED];
	t->stored = t->model.stored;
	for (int i = 0; i < LOSS_MAX; i++) {
		t->lost[i] = t->model.lost[i];
		t->lost_sum += t->lost[i];
	}
	t->unaccounted = t->emitted - t->stored - t->lost_sum;
	t->unread_pages = s->counter[WIRE_C_BATCH_LOST_READ];
	t->untracked = s->counter[WIRE_C_UNTRACKED];
	t->life_lost = s->counter[WIRE_C_LIFE_LOST];
}

void session__sites(const struct session *s, struct session_sites *found)
{
	session_files__count(s->files, &found->looked, &found->files, &found->foreign, &found->tape);
	found->command = s->no_probes[0] ? s->no_probes : NULL;
}
