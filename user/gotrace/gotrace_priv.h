/* SPDX-License-Identifier: MIT */
/* gotrace_priv.h - what the files of this room share. See gotrace.c. */
#ifndef TAPEBPF_GOTRACE_PRIV_H
#define TAPEBPF_GOTRACE_PRIV_H

#include <errno.h>

#include "base/idmap.h"
#include "export/slices.h"
#include "export/value_text.h"
#include "gotrace/go_wire.h"
#include "gotrace/gotrace.h"

/* A callsite's texts, cleaned and cut, and their ids in the generation in hand. */
struct gsite {
	char *text; /* spans: the name; events: level and target */
	char *func, *file;
	u32 text_bytes, func_bytes, file_bytes, line;
	u64 pc;
	u64 callsite;
	u64 text_gen, text_id; /* the id is valid in that generation */
	u64 stack_gen, stack_id;
	u8 ref[2 * GO_MAX_VARINT]; /* both ids as an event has them: the text's, valid with text_gen, then the stack's */
	u8 text_ref_bytes, ref_bytes;
};

#define NEAR_SITES 64

/* A region that is open on a goroutine. */
struct region {
	u64 task; /* its own, or that of the innermost task around it */
	struct gsite *site;
};

/* A process: its control goroutine and root task. */
struct gproc {
	struct process *process; /* NULL: unknown */
	u64 g, g_seq, root;
	u32 live_cnt; /* threads that have a goroutine */
	bool born;    /* the goroutine is there */
	bool ended;
	struct gproc *next; /* in order of appearance */
};

/* A thread: its goroutine. (User memory of struct slice_thread.) */
struct gthread {
	struct gproc *proc;
	u64 g, g_seq;
	u32 slot; /* proc number */
	bool told, born, ended;
	struct go_stream stream;
	struct region *region;
	u32 region_cnt, region_cap;
	u32 left_cnt; /* the innermost regions that only the end of the recording has ended: they stay open, if nothing follows */
	struct gthread *prev, *next; /* of those that have a goroutine */
	struct gthread *all;	     /* of all */
};

/* A proc. */
struct gslot {
	u64 seq, status_gen;
	bool taken;
};

enum task_state { TASK_NONE, TASK_BEGUN, TASK_ENDED };

/* A span. (User memory of struct slice_span.) */
struct gspan {
	struct gsite *site;
	struct slice_span *prev, *next; /* of those that were not entered yet */
	u64 task;
	u64 item; /* number of its latest ITEM_BEGIN */
	u8 state; /* enum task_state */
	bool pending, forced;
};

enum item_kind {
	ITEM_PROC, ITEM_PROC_END, ITEM_THREAD, ITEM_THREAD_END, ITEM_RENAME,
	ITEM_BEGIN, ITEM_END, ITEM_TASK_BEGIN, ITEM_TASK_END,
	ITEM_PLAIN, /* BEGIN of a span that is closed, and is no task */
	ITEM_LOG,  /* on a thread; on the control goroutine of proc if thread is NULL */
};

#define ITEM_EARLY 1 /* before the trace's beginning, drawn from there */
#define ITEM_LEFT  2 /* END: by the end of the recording */
#define ITEM_OPEN  4 /* LOG: fields of an opening, which go behind the first begin if that follows at once */

/* A call of the slices stage, waiting for its generation. */
struct item {
	u64 time_ns;
	struct slice_thread *thread;
	union {
		struct slice_span *span; /* held; may be NULL of a LOG */
		struct gproc *proc;	 /* PROC, PROC_END; LOG without a thread */
		struct gsite *site;	 /* PLAIN */
	};
	u32 text; /* offset in texts; 0: none */
	u16 text_bytes;
	u8 kind, flags;
};

/* In front of each text. */
struct text_head {
	struct gsite *site;
};

#define GOTRACE_MAX_TRIGGERS 16 /* one a tape, more where tapes are merged */

enum note { NOTE_LOSS, NOTE_PROCESS, NOTE_RECORDING, NOTE_TRIGGER, NOTE_MAX };

struct gotrace {
	struct gotrace_opts opts;
	gotrace_write_fn write;
	void *ctx;
	struct slices *slices;
	int err;

	/* waiting: gotrace.c */
	struct item *item, *spare;
	u32 item_cnt, item_cap, item_max, spare_cap;
	u64 items_gone; /* that were encoded before item[0] */
	bool displaced; /* not in order of time */
	u64 first_ns, max_ns; /* of what waits */
	u64 due_ns;	      /* an item from then on calls for a cut */
	u64 last_ns;	      /* of all so far */
	struct go_bytes texts, texts_next;
	struct slice_span *pending;

	/* names: gotrace_site.c */
	struct idmap sites; /* by callsite->id */
	struct gsite *near_site[NEAR_SITES]; /* by its low bits, some of them */
	struct gsite *note[NOTE_MAX];
	struct idmap name_pcs; /* by hash of the name */
	u64 name_pc_cnt;

	/* the reader's state as of the last event written: gotrace_encode.c */
	struct go_wire wire;
	u64 clock;    /* raw, of the last event */
	u64 start_ns; /* of the trace */
	u64 shift_ns; /* raw = ns - shift */
	u64 gen_start;
	u64 cut_ns; /* what came before is written */
	bool started, header_written;
	struct gproc *procs, **procs_last;
	struct gproc nobody;	/* control goroutine of no process */
	struct idmap procs_by_uid;
	struct gthread *live, *threads;
	struct idmap tid_uses;	/* tid -> times it had a goroutine */
	struct idmap live_m;	/* thread numbers in use */
	struct go_stream control, none;
	struct gslot *slot;
	u32 slot_cnt, slot_cap, slot_free, slots_told, slots_hint;
	u64 extra_g, next_task;
	bool left_open;
	char *trigger[GOTRACE_MAX_TRIGGERS]; /* why there is a snapshot */
	u32 trigger_cnt;

	struct gotrace_stats st;
};

static inline struct gspan *gspan(struct slice_span *s)
{
	return (struct gspan *)s->user;
}

static inline bool is_task(struct slice_span *s)
{
	return s->async || gspan(s)->forced;
}

/* --- gotrace.c --- */
int gotrace__more_items(struct gotrace *g);
/* What an item at time ns makes necessary first: a cut. */
int gotrace__make_room(struct gotrace *g, u64 ns);
/* The time from which on another item calls for a cut follows from the first one's. */
void gotrace__first(struct gotrace *g, u64 ns);

/* Takes over a hold on the item's span. Calls for no cut. 0 or the trace's error. */
static inline int gotrace__append(struct gotrace *g, const struct item *i)
{
	if (__builtin_expect(g->item_cnt == g->item_cap, 0) && gotrace__more_items(g))
		return g->err = -ENOMEM;
	if (__builtin_expect(i->time_ns < g->max_ns, 0))
		g->displaced = true;
	else
		g->max_ns = i->time_ns;
	/* what was there before may be hours old; a generation's length counts from what happens */
	if (__builtin_expect(i->time_ns < g->first_ns, 0) && !(i->flags & ITEM_EARLY))
		gotrace__first(g, i->time_ns);
	g->last_ns = MAX(g->last_ns, i->time_ns);
	g->item[g->item_cnt++] = *i;
	return 0;
}

/* The same, behind the cut that it may call for. */
static inline int gotrace__add(struct gotrace *g, const struct item *i)
{
	bool due = i->time_ns >= g->due_ns || g->item_cnt >= g->item_max || g->texts.cnt >= g->opts.held_bytes;

	/* the beginning of a task can be told in the middle of a cut, and with another item right behind */
	if (__builtin_expect(due, 0) && !g->err && i->kind != ITEM_TASK_BEGIN)
		g->err = gotrace__make_room(g, i->time_ns);
	return __builtin_expect(g->err, 0) ? g->err : gotrace__append(g, i);
}

/* Room for the text of an item at ns: the caller writes at most GO_MAX_TEXT bytes and adds the item. NULL: no memory. */
char *gotrace__text(struct gotrace *g, struct gsite *site, u64 ns);
int gotrace__add_text(struct gotrace *g, struct item *i, const struct text_buf *b);

/* --- gotrace_feed.c --- */
extern const struct slices_ops gotrace_feed_ops;
/* Of a process, made if need be; NULL: no memory. p may be NULL. */
struct gproc *gotrace__proc(struct gotrace *g, struct process *p);
/* A span that has waited for its first entry as long as it may becomes a task. */
int gotrace__force(struct gotrace *g, struct slice_span *s);
int gotrace__note(struct gotrace *g, struct gproc *p, enum note n, u64 time_ns, const char *text);

/* --- gotrace_site.c --- */
struct gsite *gotrace__far_site(struct gotrace *g, const struct callsite *c);
int gotrace__make_notes(struct gotrace *g);
void gotrace__free_sites(struct gotrace *g);
void gsite__resolve_text(struct gotrace *g, struct gsite *s);
void gsite__resolve_stack(struct gotrace *g, struct gsite *s);

/* NULL: no memory. */
static inline struct gsite *gotrace__site(struct gotrace *g, const struct callsite *c)
{
	struct gsite *s = g->near_site[c->id % NEAR_SITES];

	return s && s->callsite == c->id ? s : gotrace__far_site(g, c);
}

/* Ids in the generation in hand; ref is valid as far as they have been asked for. */
static inline u64 gsite__text(struct gotrace *g, struct gsite *s)
{
	if (__builtin_expect(s->text_gen != g->wire.gen, 0))
		gsite__resolve_text(g, s);
	return s->text_id;
}

static inline u64 gsite__stack(struct gotrace *g, struct gsite *s)
{
	if (__builtin_expect(s->stack_gen != g->wire.gen, 0))
		gsite__resolve_stack(g, s);
	return s->stack_id;
}

/* The stack that names a goroutine. */
u64 gotrace__name_stack(struct gotrace *g, const char *name);
u64 gthread__name_stack(struct gotrace *g, const struct thread *t);
/* "comm[pid]"; returns dst. */
const char *gproc__name(const struct gproc *p, char dst[96]);

/* --- gotrace_encode.c --- */
/* Where the first generation begins; before anything is encoded. */
void gotrace__start(struct gotrace *g, u64 first_ns, u32 threads);
void gotrace__begin_generation(struct gotrace *g, u64 first_ns);
/* Items in order of time. */
void gotrace__encode(struct gotrace *g, const struct item *i, u32 cnt);
void gthread__done(struct gthread *t);

#endif
