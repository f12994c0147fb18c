/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flight/roster.h"

#include <string.h>

static u32 told;

static void on_name(void *ctx, const struct roster_thread *t)
{
	told++;
}

static void life(struct roster *r, u16 kind, u32 pid, u32 tid, u64 ns, const char *comm)
{
	struct wire_life l = {.head = {.kind = kind, .bytes = sizeof(l), .time_ns = ns, .pid = pid, .tid = tid}, .other_pid = pid, .other_tid = tid};

	memcpy(l.comm, comm, strnlen(comm, sizeof(l.comm) - 1));
	roster__life(r, &l, sizeof(l));
}

static const char *name_of(struct roster *r, u32 tid, u64 ns)
{
	struct roster_thread *t = roster__see(r, 1, tid, ns);

	return t->name ? t->name : t->comm;
}

static int setup(void **state)
{
	static struct roster r;

	told = 0;
	roster__init(&r, &(struct roster_ops){0});
	r.listener.name = on_name;
	life(&r, WIRE_FORK, 1, 2, 10, "maker");
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	roster__done(*state);
	return 0;
}

static void a_thread_is_called_what_the_kernel_calls_it_now(void **state)
{
	struct roster *r = *state;

	assert_string_equal(name_of(r, 2, 11), "maker");
	life(r, WIRE_RENAME, 1, 2, 12, "worker");
	assert_string_equal(name_of(r, 2, 13), "worker");
	life(r, WIRE_RENAME, 1, 2, 14, "sixteen bytes...");
	assert_string_equal(name_of(r, 2, 15), "sixteen bytes..");
	assert_int_equal(told, 2);
	life(r, WIRE_RENAME, 1, 2, 16, "sixteen bytes..");
	assert_int_equal(told, 2); /* nothing new */
}

static void what_the_program_says_counts_for_more(void **state)
{
	struct roster *r = *state;

	roster__name(r, roster__see(r, 1, 2, 11), "the first worker", 16);
	life(r, WIRE_RENAME, 1, 2, 12, "worker");
	assert_string_equal(name_of(r, 2, 13), "the first worker");
	/* another program, another thread */
	life(r, WIRE_EXEC, 1, 2, 14, "new");
	life(r, WIRE_RENAME, 1, 2, 15, "worker");
	assert_string_equal(name_of(r, 2, 16), "worker");
}

static void nobody_else_is_renamed(void **state)
{
	struct roster *r = *state;

	life(r, WIRE_RENAME, 9, 2, 12, "of another process");
	life(r, WIRE_RENAME, 1, 3, 12, "never seen");
	assert_string_equal(name_of(r, 2, 13), "maker");
	life(r, WIRE_EXIT, 1, 2, 14, "maker");
	life(r, WIRE_RENAME, 1, 2, 15, "dead");
	assert_int_equal(told, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_thread_is_called_what_the_kernel_calls_it_now, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_program_says_counts_for_more, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_else_is_renamed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
