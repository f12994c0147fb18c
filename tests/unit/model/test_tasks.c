/* SPDX-License-Identifier: MIT */
/* test_tasks.c - processes and threads: fork, exec, exit, numbers used again, names. */
#include "model_fixture.h"

static void describe(void *ctx, struct process *p)
{
	int *calls = ctx;

	(*calls)++;
	if (!p->comm[0])
		strcpy(p->comm, "prog");
	p->exe = strdup("/bin/prog");
	p->cmdline = strdup("prog -x");
}

static void comm(void *ctx, u32 pid, u32 tid, char buf[16])
{
	snprintf(buf, 16, "t%u", tid);
}

static void start(struct fix *f, int *calls)
{
	*f = (struct fix){.opts = {.describe = describe, .comm = comm, .ctx = calls}};
	fix__start(f, NULL, 0);
}

static struct wire_life life(u32 pid, u32 tid, u32 flags, const char *name)
{
	struct wire_life l = {.other_pid = pid, .other_tid = tid, .flags = flags};

	strncpy(l.comm, name, sizeof(l.comm) - 1);
	return l;
}

static void forks(void **state)
{
	struct wire_life child = life(200, 200, WIRE_LIFE_PROCESS, "kid"),
			 thread = life(200, 201, 0, "worker");
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	fix__event(&f, 0, 10, WIRE_PARENT_CURRENT, fix_none);
	fix__life(&f, REC_FORK, FIX_PID, FIX_PID, 20, &child);
	fix__life(&f, REC_FORK, 200, 200, 30, &thread);
	fix__expect(&f, "process 1 pid 100\nthread 1 t100\ncallsite 1 event 2 app ev (n:5)\n"
			"event ev parent 0 at 10 by T1 {n=10}\n"
			"process 2 pid 200\nthread 2 kid\nthread 3 worker\n");
	assert_int_equal(calls, 2);
	assert_int_equal(fix__stats(&f).processes, 2);
	assert_int_equal(fix__stats(&f).threads, 3);
	fix__stop(&f);
}

static void fork_told_twice_or_late(void **state)
{
	struct wire_life child = life(FIX_PID, FIX_PID, WIRE_LIFE_PROCESS, "kid");
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	fix__event(&f, 0, 10, WIRE_PARENT_CURRENT, fix_none);
	fix__life(&f, REC_FORK, 50, 50, 9, &child); /* we know the child already */
	assert_int_equal(fix__stats(&f).processes, 1);
	recording__clear(&f.rec);
	fix__life(&f, REC_FORK, 50, 50, 500,
		  &child); /* the number is used again: the former's end was lost */
	fix__expect(&f,
		    "thread_end 1 at 500\nprocess_end 1 at 500\nprocess 2 pid 100\nthread 2 kid\n");
	fix__stop(&f);
}

static void thread_ends(void **state)
{
	struct wire_life l = life(0, 0, 0, "");
	struct wire_ref ref = fix__ref(1, 5, 1);
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	f.rec.quiet = true;
	fix__open(&f, 1, 5, ref, 1, WIRE_PARENT_ROOT, fix_none);
	fix__begin(&f, 1, 10, 0, 0);
	fix__op(&f, WIRE_R_ENTER, 1, 11, 1, ref);
	recording__clear(&f.rec);
	f.rec.quiet = false;
	fix__life(&f, REC_EXIT, FIX_PID, FIX_PID + 1, 20, &l);
	/* the span opened by hand lives on */
	fix__expect(&f, "exit 1 T1 at 20 thread_end\nexit 2 T1 at 20 thread_end\nclose 2 at 20 "
			"thread_end\nthread_end 1 at 20\n");
	assert_int_equal(fix__stats(&f).spans_open, 1);
	assert_int_equal(fix__stats(&f).unfinished, 1);
	f.page[1].user = NULL; /* the same tid, another thread */
	f.page[1].id = 77;
	fix__event(&f, 1, 30, WIRE_PARENT_CURRENT, fix_none);
	fix__expect(&f, "thread 2 t101\ncallsite 3 event 2 app ev (n:5)\nevent ev parent 0 at 30 "
			"by T2 {n=30}\n");
	fix__stop(&f);
}

static void exec_keeps_the_process(void **state)
{
	struct wire_ref ref = fix__ref(1, 5, 1);
	struct wire_life l = life(0, FIX_PID, 0, "new");
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	fix__open(&f, 0, 5, ref, 1, WIRE_PARENT_ROOT, fix_none);
	fix__begin(&f, 0, 10, 0, 0);
	fix__begin(&f, 1, 11, 0, 0);
	recording__clear(&f.rec);
	fix__life(&f, REC_EXEC, FIX_PID, FIX_PID, 20, &l);
	fix__expect(&f, "exit 3 T2 at 20 process_end\nclose 3 at 20 process_end\n"
			"exit 2 T1 at 20 process_end\nclose 2 at 20 process_end\nclose 1 at 20 "
			"process_end\n"
			"thread_end 2 at 20\nprocess 1 pid 100\nthread 1 new\n");
	assert_int_equal(calls, 2);
	assert_int_equal(fix__stats(&f).unfinished, 3);
	fix__op(&f, WIRE_R_DROP, 0, 30, 0, ref); /* means nothing in the new program */
	assert_int_equal(fix__stats(&f).unmatched_close, 1);
	fix__stop(&f);
}

/* The thread that calls exec takes the leader's number. */
static void exec_by_another_thread(void **state)
{
	struct wire_life l = life(0, FIX_PID + 1, 0, "new");
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	fix__event(&f, 0, 10, WIRE_PARENT_CURRENT, fix_none);
	fix__event(&f, 1, 11, WIRE_PARENT_CURRENT, fix_none);
	recording__clear(&f.rec);
	fix__life(&f, REC_EXEC, FIX_PID, FIX_PID, 20, &l);
	fix__expect(&f,
		    "thread_end 2 at 20\nthread_end 1 at 20\nprocess 1 pid 100\nthread 3 new\n");
	fix__stop(&f);
}

/* It comes after records of the program that it started: threads of that, their spans and its modules stay. */
static void exec_that_comes_late(void **state)
{
	struct wire_life l = life(0, FIX_PID, 0, "new");
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	fix__begin(&f, 0, 30, 0, 0);
	fix__begin(&f, 1, 31, 0, 0);
	recording__clear(&f.rec);
	fix__life(&f, REC_EXEC, FIX_PID, FIX_PID, 20, &l);
	fix__expect(&f, "process 1 pid 100\nthread 1 new\n");
	fix__end(&f, 1, 40, 0);
	fix__end(&f, 0, 41, 0);
	fix__expect(&f, "exit 2 T2 at 40\nclose 2 at 40\nexit 1 T1 at 41\nclose 1 at 41\n");
	fix__stop(&f);
}

/* A thread of the program before ends. */
static void exec_that_comes_late_ends_the_old(void **state)
{
	struct wire_life l = life(0, FIX_PID, 0, "new");
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	fix__begin(&f, 1, 10, 0, 0);
	fix__begin(&f, 0, 30, 0, 0);
	recording__clear(&f.rec);
	fix__life(&f, REC_EXEC, FIX_PID, FIX_PID, 20, &l);
	fix__expect(&f, "exit 1 T1 at 20 process_end\nclose 1 at 20 process_end\nthread_end 1 at 20\n"
			"process 1 pid 100\nthread 2 new\n");
	fix__stop(&f);
}

static void names(void **state)
{
	static const u8 bad[] = {4, 0, 0, 0, 'w', 0xff, 'k', '1'};
	int calls = 0;
	struct rec r;
	struct fix f;

	start(&f, &calls);
	r = fix__rec(&f, WIRE_R_THREAD_NAME, 0, 10, 0);
	r.payload = bad;
	r.payload_bytes = sizeof(bad);
	fix__send(&f, &r);
	fix__send(&f, &r); /* the same name again says nothing */
	fix__expect(&f, "process 1 pid 100\nthread 1 t100\nthread 1 w\xef\xbf\xbdk1\n");
	r.payload_bytes = 6; /* shorter than it says */
	fix__send(&f, &r);
	assert_int_equal(fix__stats(&f).stored, 2);
	assert_int_equal(fix__stats(&f).lost[LOSS_BAD], 1);
	fix__stop(&f);
}

/* As the kernel has it, until the program says better. */
static void renamed(void **state)
{
	static const u8 own[] = {3, 0, 0, 0, 'o', 'w', 'n', 0};
	struct wire_life worker = life(FIX_PID, FIX_PID, 0, "worker"), again = life(FIX_PID, FIX_PID, 0, "again"),
			 stranger = life(200, FIX_PID, 0, "stranger"), unknown = life(FIX_PID, 300, 0, "unknown");
	int calls = 0;
	struct rec r;
	struct fix f;

	start(&f, &calls);
	f.rec.quiet = true;
	fix__event(&f, 0, 10, WIRE_PARENT_CURRENT, fix_none);
	recording__clear(&f.rec);
	f.rec.quiet = false;
	fix__life(&f, REC_RENAME, FIX_PID, FIX_PID, 20, &worker);
	fix__life(&f, REC_RENAME, FIX_PID, FIX_PID, 21, &worker); /* the same name again says nothing */
	fix__life(&f, REC_RENAME, 200, FIX_PID, 22, &stranger);
	fix__life(&f, REC_RENAME, FIX_PID, 300, 23, &unknown);
	fix__expect(&f, "thread 1 worker\n");
	r = fix__rec(&f, WIRE_R_THREAD_NAME, 0, 30, 0);
	r.payload = own;
	r.payload_bytes = sizeof(own);
	fix__send(&f, &r);
	fix__life(&f, REC_RENAME, FIX_PID, FIX_PID, 31, &again);
	fix__expect(&f, "thread 1 own\n");
	fix__stop(&f);
}

/* Records of a thread that has ended still count, and what they open is closed in the end. */
static void late_records(void **state)
{
	struct wire_life l = life(0, 0, WIRE_LIFE_PROCESS, "");
	int calls = 0;
	struct fix f;

	start(&f, &calls);
	fix__begin(&f, 0, 10, 0, 0);
	fix__life(&f, REC_EXIT, FIX_PID, FIX_PID, 20, &l);
	recording__clear(&f.rec);
	fix__begin(&f, 0, 15, 0, 1); /* time does not go back on a thread */
	model__cut(f.m, 30);
	fix__expect(&f,
		    "callsite 2 span 2 app b (n:5 late:0)\nopen 2 b parent 0 at 20 by T1 {n=15}\n"
		    "enter 2 T1 at 20\nexit 2 T1 at 30 cut\nclose 2 at 30 cut\n");
	assert_int_equal(fix__stats(&f).stored, 2);
	fix__stop(&f);
}

static void losses_found_by_others(void **state)
{
	struct loss l = {.cause = LOSS_RING, .count = 5};
	struct fix f = {.rec.quiet = true};
	struct rec r;

	fix__start(&f, NULL, 0);
	r = fix__rec(&f, REC_LOSS, 0, 10, 0);
	r.why = LOSS_READ;
	r.count = 3;
	fix__send(&f, &r);
	model__loss(f.m, &l);
	fix__expect(&f, "loss unreadable 3\nloss ring_full 5\n");
	assert_int_equal(fix__stats(&f).lost[LOSS_READ], 3);
	assert_int_equal(fix__stats(&f).lost[LOSS_RING], 5);
	fix__stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forks),
		cmocka_unit_test(fork_told_twice_or_late),
		cmocka_unit_test(thread_ends),
		cmocka_unit_test(exec_keeps_the_process),
		cmocka_unit_test(exec_by_another_thread),
		cmocka_unit_test(exec_that_comes_late),
		cmocka_unit_test(exec_that_comes_late_ends_the_old),
		cmocka_unit_test(renamed),
		cmocka_unit_test(names),
		cmocka_unit_test(late_records),
		cmocka_unit_test(losses_found_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
