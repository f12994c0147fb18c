/* SPDX-License-Identifier: MIT */
/*
 * th_tree - spans left by longjmp and pthread_exit, spans by hand across threads, parents of every kind, follows_from, values
 * that come later. Everything has a name of its own, so that a test can ask for its place. Prints "done".
 */
#define TAPE_PROVIDER th_tree
#include <tape.h>

#include <setjmp.h>

static jmp_buf out;
static volatile int deepest = 3;

static __attribute__((noinline)) void jump_from(int depth)
{
	tape_span(INFO, "jumped_over", (depth, depth));
	if (depth < deepest)
		jump_from(depth + 1);
	if (deepest)
		longjmp(out, 1);
}

static void longjmps(void)
{
	tape_span(INFO, "jump_outer");
	if (!setjmp(out))
		jump_from(0);
	tape_event(INFO, "landed");
	{
		tape_span(INFO, "after_jump");
		tape_event(INFO, "in_after_jump");
	}
	tape_event(INFO, "end_of_jumps");
}

static void *exits_inside(void *arg)
{
	tape_thread_name("leaver");
	tape_span(INFO, "left_outer");
	{
		tape_span(INFO, "left_inner");
		pthread_exit(arg);
	}
	return NULL;
}

static void *enters(void *arg)
{
	tape_handle h = *(tape_handle *)arg;

	tape_thread_name("helper");
	{
		tape_span(INFO, "helper_outer");
		tape_enter(h);
		tape_event(INFO, "on_helper");
		{
			tape_span(INFO, "under_job");
			tape_event(INFO, "in_under_job");
		}
		tape_exit(h);
		tape_event(INFO, "after_exit");
	}
	tape_drop(h); /* the clone made for this thread */
	return NULL;
}

static void by_hand(void)
{
	tape_handle job, other, child, clone;
	pthread_t t;

	tape_span(INFO, "hand_outer");
	job = tape_open(INFO, "job", (n, 1), (rows, tape_empty), (state, tape_empty));
	other = tape_open_in(tape_root(), WARN, "other", (n, 2));
	child = tape_open_in(job, DEBUG, "child");
	tape_event_in(other, INFO, "event_in_other", (n, 3));
	tape_event_in(tape_root(), INFO, "event_in_root");
	tape_follows(child, other);
	clone = tape_clone(job);
	pthread_create(&t, NULL, enters, &clone);
	pthread_join(t, NULL);
	tape_enter(job);
	tape_event(INFO, "entered_again");
	tape_record(job, (rows, 77), (state, "half"));
	tape_exit(job);
	tape_drop(job); /* still open: its child is */
	tape_event(INFO, "job_dropped");
	tape_drop(child);
	tape_drop(other);
}

static void parents(void)
{
	tape_span_as(s, INFO, "scoped", (rows, tape_empty));
	tape_handle h = tape_handle_of(s), cur = tape_current();

	tape_record(s, (rows, 5));
	{
		tape_span_in(tape_root(), INFO, "scoped_root");
		tape_event(INFO, "in_scoped_root");
		{
			tape_span_in(h, INFO, "scoped_child");
			tape_event_in(cur, INFO, "in_current");
		}
		tape_span_in(tape_here(), INFO, "scoped_here");
	}
}

/* Entered a, entered b, left a, left b. */
static void out_of_order(void)
{
	tape_handle a = tape_open(INFO, "order_a"), b = tape_open(INFO, "order_b");

	tape_enter(a);
	tape_enter(b);
	tape_exit(a);
	tape_event(INFO, "b_alone");
	tape_exit(b);
	tape_event(INFO, "none_left");
	tape_drop(a);
	tape_drop(b);
}

int main(void)
{
	pthread_t t;

	longjmps();
	pthread_create(&t, NULL, exits_inside, NULL);
	pthread_join(t, NULL);
	by_hand();
	parents();
	out_of_order();
	tape_event(INFO, "at_the_end");
	puts("done");
	return 0;
}
