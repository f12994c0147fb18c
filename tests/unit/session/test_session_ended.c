/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session/session_priv.h"

#include "base/clock.h"

#include <string.h>

/* Processes 1 .. PROCESSES, as the kernel and as the two tables know them. The rooms that session_ended.c asks are played here. */
#define PROCESSES 4

static struct {
	bool lives[PROCESSES + 1], in_flight[PROCESSES + 1], in_model[PROCESSES + 1];
	u32 told_flight[PROCESSES + 1], told_model[PROCESSES + 1], told_user[PROCESSES + 1];
	bool model_is_slow; /* what is pushed is held back */
} world;

bool attach__is_target(struct attach *a, u32 pid)
{
	return world.lives[pid];
}

void flight__each_living(const struct flight *f, void (*fn)(void *ctx, u32 pid, u32 tid), void *ctx)
{
	for (u32 i = 1; i <= PROCESSES; i++)
		if (world.in_flight[i])
			fn(ctx, i, 0);
}

void model__each_living(const struct model *m, void (*fn)(void *ctx, u32 pid, u32 tid), void *ctx)
{
	for (u32 i = 1; i <= PROCESSES; i++)
		if (world.in_model[i])
			fn(ctx, i, 0);
}

void flight__rec(struct flight *f, const void *rec, size_t bytes)
{
	u32 pid = ((const struct wire_head *)rec)->pid;

	world.told_flight[pid]++;
	world.in_flight[pid] = false;
}

int ingest__push(struct ingest *in, const void *rec, size_t bytes)
{
	u32 pid = ((const struct wire_head *)rec)->pid;

	world.told_model[pid]++;
	world.in_model[pid] = world.model_is_slow;
	return 0;
}

void session__tell_life(struct session *s, const struct wire_life *l, size_t bytes)
{
	assert_int_equal(l->flags, WIRE_LIFE_UNKNOWN | WIRE_LIFE_PROCESS);
	world.told_user[l->head.pid]++;
}

static int setup(void **state)
{
	struct session *s = calloc(1, sizeof(*s));

	memset(&world, 0, sizeof(world));
	for (u32 i = 1; i <= PROCESSES; i++)
		world.lives[i] = world.in_flight[i] = world.in_model[i] = true;
	s->flight = (void *)s; /* never looked into */
	s->decode = true;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct session *s = *state;

	idmap__done(&s->missed);
	free(s);
	return 0;
}

/* Rounds for a second and a half: until who had ended has been looked for twice. */
static u64 look(struct session *s, u64 from_ns)
{
	u64 to_ns = from_ns + 3 * NSEC_PER_SEC / 2;

	for (; from_ns < to_ns; from_ns += 50 * NSEC_PER_MSEC)
		session__look_for_ended(s, from_ns);
	return to_ns;
}

/* An end has been lost now: rounds until the first look, and no further. */
static u64 first_look(struct session *s, u64 now_ns)
{
	u64 first_ns = now_ns + NSEC_PER_SEC;

	session__ends_lost(s, now_ns);
	for (; now_ns <= first_ns; now_ns += 50 * NSEC_PER_MSEC)
		session__look_for_ended(s, now_ns);
	return now_ns;
}

static void assert_told(u32 pid, u32 times)
{
	assert_int_equal(world.told_flight[pid], times);
	assert_int_equal(world.told_model[pid], times);
	assert_int_equal(world.told_user[pid], times);
}

static void nobody_is_looked_for_without_a_reason(void **state)
{
	world.lives[1] = false;
	look(*state, NSEC_PER_SEC);
	assert_told(1, 0);
}

static void who_has_ended_is_told_once(void **state)
{
	struct session *s = *state;
	u64 now = NSEC_PER_SEC;

	world.lives[1] = false;
	world.model_is_slow = true;
	session__ends_lost(s, now);
	now = look(s, now);
	now = look(s, now);
	look(s, now);
	assert_told(1, 1);
	for (u32 i = 2; i <= PROCESSES; i++)
		assert_told(i, 0);
}

/* A burst lasts: what it loses while those are looked for whose end was lost first has no other occasion. */
static void ends_lost_during_the_looking_are_found(void **state)
{
	struct session *s = *state;
	u64 now;

	world.lives[1] = false;
	now = first_look(s, NSEC_PER_SEC);
	world.lives[2] = false;
	session__ends_lost(s, now);
	now = look(s, now);
	assert_told(1, 1);
	look(s, now);
	assert_told(1, 1);
	assert_told(2, 1);
	assert_told(3, 0);
}

static void an_end_that_was_only_late_is_not_told_again(void **state)
{
	struct session *s = *state;
	u64 now;

	world.lives[1] = false;
	now = first_look(s, NSEC_PER_SEC);
	world.in_flight[1] = world.in_model[1] = false; /* the kernel's own record has come */
	look(s, now);
	assert_told(1, 0);
	assert_int_equal(s->missed.cnt, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_is_looked_for_without_a_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_ended_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_lost_during_the_looking_are_found, setup, teardown),
		cmocka_unit_test_setup_teardown(an_end_that_was_only_late_is_not_told_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
