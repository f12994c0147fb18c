/* SPDX-License-Identifier: MIT */
/*
 * gotrace_encode.c - items as events of the trace, in order of time.
 *
 * Keeps what a reader of the trace knows, so that every event is legal where it stands: which goroutines and procs
 * there are, who runs, their sequence numbers (which begin anew with each generation's status), the regions that
 * are open.
 */
#include "gotrace/gotrace_priv.h"

#include <errno.h>
#include <string.h>

#define TID_BITS   22		  /* pid_max is at most 2^22 */
#define SAFE_START 1000000ULL	  /* room before the first event */
#define MAX_START  (GO_MAX_TIME / 2) /* from where times are moved */
#define TASK_DEPTH 64		  /* ancestors that are looked through for a task */
#define BIRTH_NS   10		  /* events that make a thread's goroutine, at least a ns each */

/* --- time ----------------------------------------------------------------------------------------------------------- */

void gotrace__start(struct gotrace *g, u64 first_ns, u32 threads)
{
	g->started = true;
	g->start_ns = first_ns;
	if (first_ns < SAFE_START || first_ns > MAX_START)
		g->shift_ns = first_ns - SAFE_START;
	g->slots_hint = threads + 1;
	/* the goroutines of threads that are there already come before */
	g->clock = first_ns - g->shift_ns - MIN(SAFE_START / 2, BIRTH_NS * ((u64)threads + 2));
}

static inline u64 raw_time(struct gotrace *g, u64 ns)
{
	if (ns < g->start_ns)
		return 0;
	if (ns - g->shift_ns < GO_MAX_TIME)
		return ns - g->shift_ns;
	g->st.out_of_range++;
	return GO_MAX_TIME;
}

/* The time of the next event: ns, or just behind the last one. */
static inline u64 tick(struct gotrace *g, u64 raw)
{
	g->clock = MAX(raw, g->clock + 1);
	return g->clock;
}

/* Early items take what time there is before the first event. */
static inline u64 item_time(struct gotrace *g, const struct item *i)
{
	if (__builtin_expect(i->time_ns <= g->start_ns, 0) && i->flags & ITEM_EARLY)
		return 0;
	if (__builtin_expect(i->time_ns < g->cut_ns, 0) && !(i->flags & ITEM_EARLY) && i->kind != ITEM_TASK_BEGIN)
		g->st.late++;
	return MAX(raw_time(g, i->time_ns), g->start_ns - g->shift_ns);
}

/* --- procs ---------------------------------------------------------------------------------------------------------- */

static bool more_slots(struct gotrace *g)
{
	u32 cap = g->slot_cap ? g->slot_cap * 2 : 16;
	struct gslot *slot = realloc(g->slot, cap * sizeof(*slot));

	if (!slot) {
		g->wire.err = -ENOMEM;
		return false;
	}
	memset(slot + g->slot_cap, 0, (cap - g->slot_cap) * sizeof(*slot));
	g->slot = slot;
	g->slot_cap = cap;
	return true;
}

/* The smallest that is free; 0 is the control goroutines'. */
static u32 take_slot(struct gotrace *g)
{
	u32 i = MAX(g->slot_free, 1);

	while (i < g->slot_cnt && g->slot[i].taken)
		i++;
	if (i >= g->slot_cap && !more_slots(g))
		return 0;
	g->slot_cnt = MAX(g->slot_cnt, i + 1);
	g->slot[i].taken = true;
	g->slot_free = i + 1;
	return i;
}

static void give_slot(struct gotrace *g, u32 i)
{
	g->slot[i].taken = false;
	g->slot_free = MIN(g->slot_free, i);
}

/* It must be idle. */
static void start_proc(struct gotrace *g, struct go_stream *s, u32 i, u64 raw)
{
	struct gslot *p = &g->slot[i];

	if (p->status_gen != g->wire.gen) {
		GO_EVENT(&g->wire, s, tick(g, raw), GO_PROC_STATUS, i, GO_PROC_IDLE);
		p->status_gen = g->wire.gen;
		p->seq = 0;
	}
	GO_EVENT(&g->wire, s, tick(g, raw), GO_PROC_START, i, ++p->seq);
}

/* --- the control goroutine ------------------------------------------------------------------------------------------ */

static void make_control(struct gotrace *g, struct gproc *p, u64 raw)
{
	char name[96];

	/* numbers that no thread can have: those end in tid, which is not 0 */
	p->g = ++g->extra_g << TID_BITS;
	p->g_seq = 1;
	p->born = true;
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_CREATE, p->g, gotrace__name_stack(g, gproc__name(p, name)), 0);
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_START, p->g, 1);
}

/* From here to control_end its goroutine runs. */
static void control_begin(struct gotrace *g, struct gproc *p, u64 raw)
{
	struct go_stream *s = &g->control;
	u32 procs = MAX(g->slot_cnt, g->slots_hint);
	char name[96];

	if (!g->slot_cap && !more_slots(g))
		return;
	g->slot_cnt = MAX(g->slot_cnt, 1);
	if (p->born)
		GO_EVENT(&g->wire, s, tick(g, raw), GO_UNBLOCK, p->g, ++p->g_seq, 0);
	start_proc(g, s, 0, raw);
	if (p->born)
		GO_EVENT(&g->wire, s, tick(g, raw), GO_START, p->g, ++p->g_seq);
	else
		make_control(g, p, raw);
	if (procs > g->slots_told)
		GO_EVENT(&g->wire, s, tick(g, raw), GO_PROCS_CHANGE, procs, 0);
	g->slots_told = MAX(g->slots_told, procs);
	if (!p->root) {
		gproc__name(p, name);
		p->root = ++g->next_task;
		GO_EVENT(&g->wire, s, tick(g, raw), GO_TASK_BEGIN, p->root, 0,
			 go_wire__string(&g->wire, name, strlen(name)), 0);
	}
}

static void control_end(struct gotrace *g, u64 raw)
{
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_BLOCK, 0, 0);
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_PROC_STOP);
}

/* The process has ended, and its last thread. Should it be mentioned once more, it gets another goroutine and task. */
static void bury(struct gotrace *g, struct gproc *p, u64 raw)
{
	if (!p->ended || p->live_cnt || !p->born)
		return;
	control_begin(g, p, raw);
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_TASK_END, p->root, 0);
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_DESTROY);
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_PROC_STOP);
	p->born = false;
	p->root = 0;
}

/* --- threads -------------------------------------------------------------------------------------------------------- */

/* Goroutine and thread numbers; see gotrace.c. */
static void number(struct gotrace *g, struct slice_thread *t)
{
	struct gthread *th = t->user;
	u64 tid = t->thread->tid, uses;

	if (!tid || tid >> TID_BITS) {
		th->g = ++g->extra_g << TID_BITS;
	} else {
		uses = (u64)(uintptr_t)idmap__find(&g->tid_uses, tid);
		th->g = tid + (uses << TID_BITS);
		if (idmap__put(&g->tid_uses, tid, (void *)(uintptr_t)(uses + 1)))
			g->wire.err = -ENOMEM;
	}
	/* two live threads of one number: tapes can be strange */
	th->stream.m = !tid || tid >> TID_BITS || idmap__find(&g->live_m, tid) ? th->g : tid;
	if (idmap__put(&g->live_m, th->stream.m, th))
		g->wire.err = -ENOMEM;
}

static void link_live(struct gotrace *g, struct gthread *th)
{
	th->prev = NULL;
	th->next = g->live;
	if (g->live)
		g->live->prev = th;
	g->live = th;
	th->proc->live_cnt++;
}

static void unlink_live(struct gotrace *g, struct gthread *th)
{
	*(th->prev ? &th->prev->next : &g->live) = th->next;
	if (th->next)
		th->next->prev = th->prev;
	th->proc->live_cnt--;
}

/* Its goroutine runs from here on. */
static struct gthread *born(struct gotrace *g, struct slice_thread *t, u64 raw)
{
	struct gthread *th = t->user;

	if (th->born)
		return th;
	th->born = true;
	th->g_seq = 1;
	number(g, t);
	th->slot = take_slot(g);
	control_begin(g, th->proc, raw);
	GO_EVENT(&g->wire, &g->control, tick(g, raw), GO_CREATE, th->g, gthread__name_stack(g, t->thread), 0);
	control_end(g, raw);
	start_proc(g, &th->stream, th->slot, raw);
	GO_EVENT(&g->wire, &th->stream, tick(g, raw), GO_START, th->g, 1);
	link_live(g, th);
	return th;
}

static inline void end_top_region(struct gotrace *g, struct gthread *th, u64 raw)
{
	struct region *r = &th->region[--th->region_cnt];
	u8 *at;

	gsite__text(g, r->site);
	at = go_event__begin(&g->wire, &th->stream, tick(g, raw), GO_REGION_END);
	if (!at)
		return;
	at = go_varint(at, r->task);
	memcpy(at, r->site->ref, GO_MAX_VARINT);
	at += r->site->text_ref_bytes;
	*at++ = 0; /* no stack */
	go_event__end(&th->stream, at);
}

/* Ends a goroutine, and what the end of the recording had left open on it. */
static void destroy(struct gotrace *g, struct gthread *th, u64 raw)
{
	th->left_cnt = 0;
	while (th->region_cnt)
		end_top_region(g, th, raw);
	GO_EVENT(&g->wire, &th->stream, tick(g, raw), GO_DESTROY);
	GO_EVENT(&g->wire, &th->stream, tick(g, raw), GO_PROC_STOP);
	/* another thread of this number may write in this generation, and batches are read in the order of the file */
	go_stream__flush(&g->wire, &th->stream);
	go_stream__done(&th->stream);
	give_slot(g, th->slot);
	idmap__remove(&g->live_m, th->stream.m);
	unlink_live(g, th);
	th->born = false;
	free(th->region);
	th->region = NULL;
	th->region_cap = 0;
	bury(g, th->proc, raw);
}

void gthread__done(struct gthread *th)
{
	free(th->region);
	go_stream__done(&th->stream);
}

/* The thread's goroutine if it is there, else NULL. */
static struct gthread *alive(struct slice_thread *t)
{
	struct gthread *th = t ? t->user : NULL;

	return th && th->born ? th : NULL;
}

/* A thread's goroutine, made unless the thread has ended. */
static struct gthread *alive_or_born(struct gotrace *g, struct slice_thread *t, u64 raw)
{
	struct gthread *th = t ? t->user : NULL;

	return !th || (th->ended && !th->born) ? NULL : born(g, t, raw);
}

static void end_thread(struct gotrace *g, const struct item *i, u64 raw)
{
	struct gthread *th = alive_or_born(g, i->thread, raw);

	if (!th)
		return;
	th->ended = true;
	destroy(g, th, raw);
}

static void rename_thread(struct gotrace *g, const struct item *i, u64 raw)
{
	struct gthread *th = i->thread->user;
	char tmp[GO_MAX_TEXT];
	struct text_buf b;

	if (!th->born)
		return;
	text_buf__init(&b, tmp, sizeof(tmp));
	text_buf__puts(&b, i->thread->thread->name);
	GO_EVENT(&g->wire, &th->stream, tick(g, raw), GO_LABEL, go_wire__string(&g->wire, tmp, b.at - tmp));
}

/* --- tasks ---------------------------------------------------------------------------------------------------------- */

/* A thread's process; of an unknown thread the first one. */
static struct gproc *proc_of(struct gotrace *g, const struct slice_thread *t)
{
	if (t)
		return ((struct gthread *)t->user)->proc;
	return g->procs ? g->procs : &g->nobody;
}

/* The nearest ancestor that is a task and was not closed before. */
static struct slice_span *task_above(struct slice_span *s)
{
	struct slice_span *up = s->parent;
	u32 depth = 0;

	for (; up && depth < TASK_DEPTH; up = up->parent, depth++)
		if (is_task(up) && gspan(up)->state != TASK_ENDED)
			return up;
	return NULL;
}

static void begin_one_task(struct gotrace *g, struct slice_span *s, struct gthread *th, struct gproc *p, u64 parent, u64 raw)
{
	struct gspan *gs = gspan(s);
	struct go_stream *stream = th ? &th->stream : &g->control;

	gs->state = TASK_BEGUN;
	gs->task = ++g->next_task;
	g->st.tasks++;
	if (!th)
		control_begin(g, p, raw);
	GO_EVENT(&g->wire, stream, tick(g, raw), GO_TASK_BEGIN, gs->task, parent ? parent : p->root,
		 gsite__text(g, gs->site), gsite__stack(g, gs->site));
	if (!th)
		control_end(g, raw);
}

/* A task begins before it is named, and its parents before it, wherever their own items stand. th NULL: on the control
 * goroutine. */
static u64 begin_task(struct gotrace *g, struct slice_span *s, struct gthread *th, u64 raw)
{
	struct gproc *p = th ? th->proc : proc_of(g, s->opener);
	struct slice_span *chain[TASK_DEPTH], *up;
	u32 cnt = 0;
	u64 parent = 0;

	for (up = s; up && gspan(up)->state == TASK_NONE && cnt < TASK_DEPTH; up = task_above(up))
		chain[cnt++] = up;
	if (up && gspan(up)->state == TASK_BEGUN)
		parent = gspan(up)->task;
	while (cnt) {
		begin_one_task(g, chain[--cnt], th, p, parent, raw);
		parent = gspan(chain[cnt])->task;
	}
	return gspan(s)->task;
}

static void end_task(struct gotrace *g, const struct item *i, u64 raw)
{
	struct slice_span *s = i->span;
	struct gspan *gs = gspan(s);
	struct gthread *th = alive(i->thread);
	struct gproc *p = proc_of(g, i->thread);

	/* clocks of two CPUs apart can put its end before its beginning */
	if (gs->state == TASK_NONE)
		begin_task(g, s, th, raw);
	if (gs->state == TASK_BEGUN) {
		if (!th)
			control_begin(g, p, raw);
		GO_EVENT(&g->wire, th ? &th->stream : &g->control, tick(g, raw), GO_TASK_END, gs->task, 0);
		if (!th)
			control_end(g, raw);
	}
	gs->state = TASK_ENDED;
}

/* --- regions and logs ----------------------------------------------------------------------------------------------- */

/* Regions that only the end of the recording had ended, and something follows all the same. */
static inline void settle(struct gotrace *g, struct gthread *th, u64 raw)
{
	for (; th->left_cnt; th->left_cnt--)
		end_top_region(g, th, raw);
}

static u64 task_of(const struct gthread *th)
{
	return th->region_cnt ? th->region[th->region_cnt - 1].task : th->proc->root;
}

static bool more_regions(struct gotrace *g, struct gthread *th)
{
	u32 cap = th->region_cap ? th->region_cap * 2 : 8;
	struct region *r = realloc(th->region, cap * sizeof(*r));

	if (!r) {
		g->wire.err = -ENOMEM;
		return false;
	}
	th->region = r;
	th->region_cap = cap;
	return true;
}

static inline void put_region(struct gotrace *g, struct gthread *th, struct gsite *site, u64 task, u64 raw)
{
	u8 *at;

	if (__builtin_expect(th->region_cnt == th->region_cap, 0) && !more_regions(g, th))
		return;
	th->region[th->region_cnt++] = (struct region){ .task = task, .site = site };
	g->st.regions++;
	gsite__text(g, site);
	gsite__stack(g, site);
	at = go_event__begin(&g->wire, &th->stream, tick(g, raw), GO_REGION_BEGIN);
	if (!at)
		return;
	at = go_varint(at, task);
	memcpy(at, site->ref, sizeof(site->ref));
	go_event__end(&th->stream, at + site->ref_bytes);
}

static void begin_region(struct gotrace *g, const struct item *i, u64 raw)
{
	struct gthread *th = born(g, i->thread, raw);
	u64 task;

	settle(g, th, raw);
	task = is_task(i->span) ? begin_task(g, i->span, th, raw) : task_of(th);
	put_region(g, th, gspan(i->span)->site, task, raw);
}

static inline void begin_plain(struct gotrace *g, const struct item *i, u64 raw)
{
	struct gthread *th = i->thread->user;

	if (__builtin_expect(!th->born, 0))
		born(g, i->thread, raw);
	settle(g, th, raw);
	put_region(g, th, i->site, task_of(th), raw);
}

static inline void end_region(struct gotrace *g, const struct item *i, u64 raw)
{
	struct gthread *th = i->thread->user;

	if (!th->born)
		return;
	if (i->flags & ITEM_LEFT) {
		th->left_cnt += th->left_cnt < th->region_cnt;
		return;
	}
	settle(g, th, raw);
	if (!th->region_cnt)
		return;
	end_top_region(g, th, raw);
	/* a thread that had ended, and was heard of once more */
	if (th->ended && !th->region_cnt)
		destroy(g, th, raw);
}

static void log_text(struct gotrace *g, const struct item *i, u64 raw)
{
	struct gthread *th = alive_or_born(g, i->thread, raw);
	struct gproc *p = i->thread ? proc_of(g, i->thread) : i->proc;
	struct slice_span *s = i->thread ? i->span : NULL;
	const char *text = (const char *)g->texts.at + i->text;
	struct text_head head;
	u64 task;

	memcpy(&head, text, sizeof(head));
	if (s && is_task(s) && gspan(s)->state == TASK_NONE)
		begin_task(g, s, th, raw);
	if (!th)
		control_begin(g, p, raw);
	task = s && gspan(s)->state == TASK_BEGUN ? gspan(s)->task : th ? task_of(th) : p->root;
	g->st.logs++;
	GO_EVENT(&g->wire, th ? &th->stream : &g->control, tick(g, raw), GO_LOG, task, gsite__text(g, head.site),
		 go_wire__string(&g->wire, text + sizeof(head), i->text_bytes), 0);
	if (!th)
		control_end(g, raw);
}

/* --- generations and items ------------------------------------------------------------------------------------------ */

static void tell_control(struct gotrace *g, struct gproc *p)
{
	if (p->born)
		GO_EVENT(&g->wire, &g->none, tick(g, 0), GO_STATUS, p->g, GO_NONE, GO_WAITING);
	p->g_seq = 0;
}

/* Say again what is there: goroutines that run, then those that wait. All before first_ns, if there is room. */
void gotrace__begin_generation(struct gotrace *g, u64 first_ns)
{
	u64 lead = 2, first;
	struct gthread *th;
	struct gproc *p;

	if (g->wire.gen == 1) {
		g->gen_start = tick(g, 0);
		return;
	}
	for (th = g->live; th; th = th->next)
		lead += 2;
	for (p = g->procs; p; p = p->next)
		lead += p->born;
	lead += g->nobody.born;
	first = raw_time(g, first_ns);
	g->gen_start = tick(g, first > lead ? first - lead : 0);
	for (th = g->live; th; th = th->next) {
		GO_EVENT(&g->wire, &th->stream, tick(g, 0), GO_PROC_STATUS, th->slot, GO_PROC_RUNNING);
		GO_EVENT(&g->wire, &th->stream, tick(g, 0), GO_STATUS, th->g, th->stream.m, GO_RUNNING);
		g->slot[th->slot].seq = th->g_seq = 0;
		g->slot[th->slot].status_gen = g->wire.gen;
	}
	for (p = g->procs; p; p = p->next)
		tell_control(g, p);
	tell_control(g, &g->nobody);
}

static void thread_or_process(struct gotrace *g, const struct item *i, u64 raw)
{
	switch (i->kind) {
	case ITEM_PROC:
		if (i->proc->born)
			break;
		control_begin(g, i->proc, raw);
		control_end(g, raw);
		break;
	case ITEM_PROC_END:
		i->proc->ended = true;
		bury(g, i->proc, raw);
		break;
	case ITEM_THREAD:
		alive_or_born(g, i->thread, raw);
		break;
	case ITEM_THREAD_END:
		end_thread(g, i, raw);
		break;
	case ITEM_RENAME:
		rename_thread(g, i, raw);
		break;
	}
}

static void encode_span(struct gotrace *g, const struct item *i, u64 raw)
{
	switch (i->kind) {
	case ITEM_BEGIN:
		begin_region(g, i, raw);
		break;
	case ITEM_TASK_BEGIN:
		if (gspan(i->span)->state == TASK_NONE)
			begin_task(g, i->span, alive_or_born(g, i->thread, raw), raw);
		break;
	case ITEM_TASK_END:
		end_task(g, i, raw);
		break;
	case ITEM_LOG:
		log_text(g, i, raw);
		break;
	default:
		thread_or_process(g, i, raw);
		return;
	}
	if (i->span && (i->thread || i->kind != ITEM_LOG))
		slices__put(g->slices, i->span);
}

void gotrace__encode(struct gotrace *g, const struct item *i, u32 cnt)
{
	const struct item *end = i + cnt;

	for (; i < end; i++) {
		u64 raw = item_time(g, i);

		if (i->kind == ITEM_PLAIN)
			begin_plain(g, i, raw);
		else if (i->kind == ITEM_END)
			end_region(g, i, raw);
		else
			encode_span(g, i, raw);
	}
}
