/* SPDX-License-Identifier: MIT */
/* test_retire.c - the dead are forgotten; what comes late is of nobody who has their number now. */
#include "model_fixture.h"

#include "model/window.h"

#define SECOND NSEC_PER_SEC

static void start(struct fix *f)
{
	*f = (struct fix){0};
	fix__start(f, NULL, 0);
}

static void fork_thread(struct fix *f, u32 thread, u64 ns)
{
	struct wire_life l = {.other_pid = FIX_PID, .other_tid = FIX_PID + thread, .comm = "kid"};

	fix__life(f, REC_FORK, FIX_PID, FIX_PID, ns, &l);
}

static void exit_thread(struct fix *f, u32 thread, u64 ns)
{
	struct wire_life l = {0};

	fix__life(f, REC_EXIT, FIX_PID, FIX_PID + thread, ns, &l);
}

/* As ingest does once the end has been passed on. */
static void page_ended(struct fix *f, u32 thread, u64 ns)
{
	struct rec r = fix__rec(f, REC_PAGE_GONE, thread, ns, 0);

	f->page[thread].ended = true;
	fix__send(f, &r);
	assert_null(f->page[thread].user);
}

/* Lives of somebody else, so that time passes. */
static void time_passes(struct fix *f, u64 ns)
{
	for (int i = 0; i < 4; i++) {
		fork_thread(f, 15, ns + (u64)i * 2 * SECOND);
		exit_thread(f, 15, ns + (u64)i * 2 * SECOND + SECOND);
	}
}

static void ended_are_forgotten(void **state)
{
	struct fix f;

	start(&f);
	fix__event(&f, 0, 10, WIRE_PARENT_CURRENT, fix_none);
	fork_thread(&f, 1, 20);
	f.page[1].id = 25;
	fix__begin(&f, 1, 30, 0, 0);
	exit_thread(&f, 1, 40);
	time_passes(&f, SECOND);
	assert_int_equal(fix__stats(&f).threads_kept, 3); /* its page is known still */
	page_ended(&f, 1, 8 * SECOND);
	time_passes(&f, 10 * SECOND);
	assert_int_equal(fix__stats(&f).threads_kept, 2);
	assert_int_equal(fix__stats(&f).processes_kept, 1);
	fix__stop(&f);
}

static void late_record_of_a_page(void **state)
{
	struct fix f;

	start(&f);
	fork_thread(&f, 1, 20);
	f.page[1].id = 25;
	fix__event(&f, 1, 30, WIRE_PARENT_CURRENT, fix_none);
	exit_thread(&f, 1, 40);
	page_ended(&f, 1, 40);
	fork_thread(&f, 1, 50); /* the number is used again */
	recording__clear(&f.rec);
	fix__event(&f, 1, 39, WIRE_PARENT_CURRENT, fix_none);
	fix__begin(&f, 1, 39, 0, 0);
	/* not of thread 2, who has the number now, nor of 1, whose end has been told */
	fix__expect(&f, "thread 3 \nevent ev parent 0 at 39 by T3 {n=39}\ncallsite 2 span 2 app a (n:5 late:0)\n"
			"open 1 a parent 0 at 39 by T3 {n=39}\nenter 1 T3 at 39\n");
	assert_int_equal(fix__stats(&f).stored, 3);
	page_ended(&f, 1, 60);
	time_passes(&f, SECOND);
	time_passes(&f, 10 * SECOND);
	assert_int_equal(fix__stats(&f).spans_open, 1); /* as long as it is entered it is not forgotten */
	assert_int_equal(model__cut(f.m, 20 * SECOND), 0);
	time_passes(&f, 30 * SECOND);
	assert_int_equal(fix__stats(&f).threads_kept, 2);
	fix__stop(&f);
}

/* Made before the fork of whoever has the number, though nobody has told of an end. */
static void page_older_than_its_thread(void **state)
{
	struct fix f;

	start(&f);
	f.page[1].id = 25;
	fix__event(&f, 1, 30, WIRE_PARENT_CURRENT, fix_none);
	fork_thread(&f, 1, 50);
	f.page[2] = f.page[1];
	f.page[2].user = NULL;
	recording__clear(&f.rec);
	fix__event(&f, 2, 49, WIRE_PARENT_CURRENT, fix_none);
	fix__expect(&f, "thread 3 \nevent ev parent 0 at 49 by T3 {n=49}\n");
	fix__stop(&f);
}

static struct elf_site plain[] = {
	{.provider = "app", .name = "hit"},
};

static void send_hit(struct fix *f, u32 thread, u64 ns)
{
	struct wire_hit h = {.head = {.kind = WIRE_HIT, .bytes = sizeof(h)}};
	struct rec r = {.kind = REC_HIT, .time_ns = ns, .pid = FIX_PID, .tid = FIX_PID + thread, .hit = &h};

	fix__send(f, &r);
}

static void late_hit(void **state)
{
	struct fix f = {0};

	fix__start(&f, plain, 1);
	send_hit(&f, 1, 10);
	fork_thread(&f, 1, 50);
	send_hit(&f, 1, 60);
	recording__clear(&f.rec);
	send_hit(&f, 1, 49);
	fix__expect(&f, "thread 3 \nevent hit parent 0 at 49 by T3\n");
	send_hit(&f, 1, 48);
	send_hit(&f, 1, 61);
	fix__expect(&f, "event hit parent 0 at 49 by T3\nevent hit parent 0 at 61 by T2\n");
	time_passes(&f, SECOND);
	time_passes(&f, 10 * SECOND);
	assert_int_equal(fix__stats(&f).threads_kept, 2); /* the one that lives, the last that ended */
	assert_int_equal(fix__stats(&f).stored, 5);
	fix__stop(&f);
}

/* A sink that holds a thread can look at it for as long. */
static void held_by_a_span(void **state)
{
	struct wire_ref ref = fix__ref(1, 35, 1);
	struct window *w = window__new(NULL);
	struct recording late = {0};
	struct fix f = {.first = window__sink(w)};
	struct sink to = recording__sink(&late);

	fix__start(&f, NULL, 0);
	fix__event(&f, 0, 10, WIRE_PARENT_CURRENT, fix_none);
	fork_thread(&f, 1, 20);
	f.page[1].id = 25;
	fix__open(&f, 1, 35, ref, 1, WIRE_PARENT_ROOT, fix_none);
	exit_thread(&f, 1, 40);
	page_ended(&f, 1, 40);
	time_passes(&f, SECOND);
	time_passes(&f, 10 * SECOND);
	assert_int_equal(window__begin(w, &to, 20 * SECOND), 0);
	assert_non_null(strstr(late.text, "thread 2 kid\n"));
	assert_non_null(strstr(late.text, "open 1 b parent 0 root at 35 by T2"));
	assert_int_equal(window__end(w, 20 * SECOND), 0);
	fix__op(&f, WIRE_R_DROP, 0, 21 * SECOND, 0, ref);
	for (u64 i = 0; i < 20; i++) /* one after the other, they take its place among the window's recent ones */
		time_passes(&f, (30 + 10 * i) * SECOND);
	assert_true(fix__stats(&f).threads_kept <= 64 + 8);
	fix__stop(&f);
	window__free(w);
	recording__done(&late);
}

static void processes(void **state)
{
	struct wire_life born = {.other_pid = 50, .other_tid = 50, .flags = WIRE_LIFE_PROCESS, .comm = "kid"};
	struct wire_life gone = {.flags = WIRE_LIFE_PROCESS};
	struct fix f;

	start(&f);
	f.page[3] = (struct rec_page){.id = 25, .module_addr = FIX_RUN, .pid = 50, .tid = 50};
	fix__event(&f, 0, 10, WIRE_PARENT_CURRENT, fix_none);
	fix__life(&f, REC_FORK, FIX_PID, FIX_PID, 20, &born);
	fix__event(&f, 3, 30, WIRE_PARENT_CURRENT, fix_none);
	fix__life(&f, REC_EXIT, 50, 50, 40, &gone);
	page_ended(&f, 3, 40);
	recording__clear(&f.rec);
	fix__event(&f, 3, 39, WIRE_PARENT_CURRENT, fix_none); /* its process is not asked about: who has the number now is another */
	fix__expect(&f, "process 3 pid 50\nthread 3 \nevent ev parent 0 at 39 by T3 {n=39}\n");
	page_ended(&f, 3, 50);
	time_passes(&f, SECOND);
	time_passes(&f, 10 * SECOND);
	time_passes(&f, 20 * SECOND);
	assert_int_equal(fix__stats(&f).processes_kept, 1);
	assert_int_equal(fix__stats(&f).lost[LOSS_UNMATCHED], 0);
	fix__stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ended_are_forgotten),	 cmocka_unit_test(late_record_of_a_page),
		cmocka_unit_test(page_older_than_its_thread), cmocka_unit_test(late_hit),
		cmocka_unit_test(held_by_a_span),	 cmocka_unit_test(processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
