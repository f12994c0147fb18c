/* SPDX-License-Identifier: MIT */
/*
 * session_ended.c - ends of which no ring had room to tell.
 *
 * Problem. A thread's or a process's end is a record like others: a full ring loses it, and to whoever keeps tables of the living it lives
 * for ever. The kernel's side counts such losses, and knows by its map of targets which processes have ended.
 *
 * Design. Nothing is done until that count moves. Then all that are taken for alive are looked for, one system call each, and what is not there
 * is remembered; a little later, when all rings have been drained several times, who is still taken for alive and still not there is told to have
 * ended, by the record that was lost: without a status, at the time of the looking. A burst that loses one end loses others while that goes on: who
 * was there at one look and is not at the next is remembered in its turn, and there are looks until there is nobody new.
 *
 * Rejected. Looking at everybody every now and then: a system call a thread, for what happens next to never.
 *
 * Invariant. Nobody is told to have ended twice: a record of the kernel's own comes before the second look, or never; and who is told at one
 * look was first missed at the one before, and at no other, so that a table which hears of it late changes nothing.
 */
#include "session/session_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define FIRST_LOOK_NS NSEC_PER_SEC
#define NEXT_LOOK_NS (500 * NSEC_PER_MSEC)

struct look {
	struct session *s;
	bool news; /* somebody is missed for the first time */
	struct wire_life *found;
	u32 cnt, cap;
};

/* tid 0: the process. A zombie leader is not gone while others of its process are there. */
static bool gone(struct session *s, u32 pid, u32 tid)
{
	return !attach__is_target(s->attach, pid) || (tid && tgkill((pid_t)pid, (pid_t)tid, 0) && errno == ESRCH);
}

/* Threads and processes in one map: a leader has the number of its process. */
static u64 key(u32 pid, u32 tid)
{
	return (u64)pid << 32 | tid;
}

/* Was it missed at the look before? If it never was, it is from now on. */
static bool missed_before(struct look *l, u32 pid, u32 tid)
{
	struct session *s = l->s;
	uintptr_t at = (uintptr_t)idmap__find(&s->missed, key(pid, tid));

	if (at)
		return at + 1 == s->look_no;
	/* without memory it is for the next time */
	if (!idmap__put(&s->missed, key(pid, tid), (void *)(uintptr_t)s->look_no))
		l->news = true;
	return false;
}

static void look_for(void *ctx, u32 pid, u32 tid)
{
	struct look *l = ctx;
	struct wire_life *more;

	if (!gone(l->s, pid, tid) || !missed_before(l, pid, tid))
		return;
	if (l->cnt == l->cap) {
		more = realloc(l->found, (l->cap ? 2 * l->cap : 64) * sizeof(*more));
		if (!more)
			return;
		l->found = more;
		l->cap = l->cap ? 2 * l->cap : 64;
	}
	l->found[l->cnt++] = (struct wire_life){
		.head = {.kind = WIRE_EXIT, .bytes = sizeof(*more), .time_ns = clock__mono_ns(), .pid = pid, .tid = tid ? tid : pid},
		.flags = WIRE_LIFE_UNKNOWN | (tid ? 0 : WIRE_LIFE_PROCESS)};
}

/* The tables must not change while they are walked. */
static void tell_flight(struct look *l)
{
	l->cnt = 0;
	flight__each_living(l->s->flight, look_for, l);
	for (u32 i = 0; i < l->cnt; i++) {
		flight__rec(l->s->flight, &l->found[i], sizeof(l->found[i]));
		session__tell_life(l->s, &l->found[i], sizeof(l->found[i]));
	}
}

static void tell_model(struct look *l)
{
	l->cnt = 0;
	model__each_living(l->s->model, look_for, l);
	for (u32 i = 0; i < l->cnt; i++)
		ingest__push(l->s->ingest, &l->found[i], sizeof(l->found[i]));
}

void session__ends_lost(struct session *s, u64 now_ns)
{
	if (!s->look_ns)
		s->look_ns = now_ns + FIRST_LOOK_NS;
}

void session__look_for_ended(struct session *s, u64 now_ns)
{
	struct look l = {.s = s};

	if (!s->look_ns || now_ns < s->look_ns)
		return;
	s->look_no++;
	if (s->flight)
		tell_flight(&l);
	if (s->decode)
		tell_model(&l);
	free(l.found);
	s->look_ns = l.news ? now_ns + NEXT_LOOK_NS : 0;
	if (l.news)
		return;
	s->look_no = 0;
	idmap__done(&s->missed);
}
