/* SPDX-License-Identifier: MIT */
/* Pages and what happens to processes: threads, fork, vfork, signal handlers, longjmp, thread exit. */
#define TAPE_PROVIDER th
#include "tape_story.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/time.h>

static int all_on(void **state)
{
	story_words(NULL, 1, 0);
	story_begin();
	return 0;
}

static int all_off(void **state)
{
	story_words(NULL, 0, 0);
	return 0;
}

static uint32_t pages(void)
{
	const struct tape_page *p;
	uint64_t before = 0;
	uint32_t n = 0;

	for (p = (const struct tape_page *)tape_1_module.first; p; p = (const struct tape_page *)p->next, n++) {
		assert_int_equal(p->magic, TAPE_PAGE_MAGIC);
		assert_int_equal(tape__tail((struct tape_page *)(uintptr_t)p)->prev, before);
		before = (uint64_t)p;
	}
	return n;
}

/* The very first record: page, announcement, header. */
static void first_record(void **state)
{
	struct tape_page *p;

	assert_null(tape_1_tls.page);
	story_words(NULL, 1, 0);
	tape_event(INFO, "hello");
	p = tape_1_tls.page;
	assert_non_null(p);
	assert_int_equal(story_log->cnt, 1);
	assert_int_equal(story_log->entry[0].what, STORY_THREAD);
	assert_int_equal(story_log->entry[0].page, (uint64_t)p);
	assert_int_equal(p->pid, getpid());
	assert_int_equal(p->tid, syscall(SYS_gettid));
	assert_int_equal(p->module, (uint64_t)&tape_1_module);
	assert_int_equal(p->id, p->slot[0].mono_ns);
	assert_int_equal(p->busy, 0);
	assert_int_equal(pages(), 1);
	assert_string_equal(story(), "EVENT 0 hello\n");
}

static void *thread(void *arg)
{
	tape_event(INFO, "in_thread", (n, (long)(intptr_t)arg));
	return tape_1_tls.page;
}

/* A thread's page is delivered at its end, unlinked and given back; a later thread gets a page with another id. */
static void thread_exit(void **state)
{
	pthread_t t[8];
	uint64_t ids[8];
	uint32_t n = 0;
	uint32_t i, j;
	void *page;

	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, thread, (void *)(intptr_t)i), 0);
	for (i = 0; i < 8; i++)
		pthread_join(t[i], &page);
	assert_int_equal(pages(), 1);
	assert_int_equal(story_count(STORY_THREAD), 8);
	assert_int_equal(story_count(STORY_GONE), 8);
	for (i = 0; i < story_log->cnt; i++) {
		struct tape_page h;

		if (story_log->entry[i].what != STORY_GONE)
			continue;
		memcpy(&h, story_log->entry[i].data, sizeof(h));
		assert_int_equal(h.tid, story_log->entry[i].tid);
		assert_int_equal(h.end_seq, h.commit >> 32);
		for (j = 0; j < n; j++)
			assert_true(ids[j] != h.id);
		ids[n++] = h.id;
	}
	for (i = 0; i < 8; i++) {
		char line[64];

		snprintf(line, sizeof(line), "EVENT 0 in_thread n=%u\n", i);
		assert_non_null(strstr(story(), line));
	}
}

static pthread_key_t late_key;
static void late(void *arg)
{
	static __thread int rounds;

	tape_event(INFO, "destructor");
	if (++rounds < 2)
		pthread_setspecific(late_key, arg);
}

static void *thread_late(void *arg)
{
	pthread_setspecific(late_key, arg);
	tape_event(INFO, "body");
	return NULL;
}

/* Destructors that trace after the page has gone get no other one, which nobody would give back: by themselves. */
static void traces_in_destructors(void **state)
{
	pthread_t t;

	pthread_key_create(&late_key, late);
	pthread_create(&t, NULL, thread_late, &late_key);
	pthread_join(t, NULL);
	assert_int_equal(pages(), 1);
	assert_int_equal(story_count(STORY_GONE), story_count(STORY_THREAD));
	assert_string_equal(story(), "EVENT 0 body\nimm EVENT 0 destructor\nimm EVENT 0 destructor\n");
}

static int child_ends(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A child repeats nothing of its parent's pending records, and has a page, list and numbers of its own. */
static void forked(void **state)
{
	struct tape_page *parents = tape_1_tls.page;
	pid_t pid;

	tape_event(INFO, "parent");
	pid = fork();
	if (!pid) {
		assert_int_equal(parents->magic, 0);
		tape_event(INFO, "child");
		if (tape_1_tls.page == parents || tape_1_tls.page->pid != (uint32_t)getpid() ||
		    tape_1_module.first != (uint64_t)tape_1_tls.page || tape_1_tls.page->next)
			_exit(1);
		pid = fork();
		if (!pid) {
			tape_event(INFO, "grandchild");
			tape_1_gone(tape_1_tls.page);
			_exit(0);
		}
		if (child_ends(pid))
			_exit(2);
		tape_event(INFO, "child_again");
		tape_1_gone(tape_1_tls.page);
		_exit(0);
	}
	assert_int_equal(child_ends(pid), 0);
	assert_ptr_equal(tape_1_tls.page, parents);
	tape_event(INFO, "parent_again");
	assert_string_equal(story(), "EVENT 0 grandchild\nEVENT 0 child\nEVENT 0 child_again\nEVENT 0 parent\nEVENT 0 parent_again\n");
}

/* Spans open across a fork are the parent's: the child does not say their ends. Its own depths go on above them. */
static void forked_inside_a_span(void **state)
{
	pid_t pid;

	{
		tape_span(INFO, "both");
		pid = fork();
		if (!pid)
			tape_event(INFO, "child");
	}
	if (!pid) {
		tape_1_gone(tape_1_tls.page);
		_exit(tape_1_tls.depth != 0);
	}
	assert_int_equal(child_ends(pid), 0);
	assert_string_equal(story(), "EVENT 1 child\nBEGIN 0 both\nEND 0\n");
}

/* A vfork child shares its parent's page: its records are the parent's. */
static void vforked(void **state)
{
	pid_t pid = vfork();

	if (!pid) {
		tape_event(INFO, "vfork_child");
		_exit(0);
	}
	assert_int_equal(child_ends(pid), 0);
	assert_string_equal(story(), "EVENT 0 vfork_child\n");
	assert_int_equal(tape_1_tls.page->pid, getpid());
}

static int in_child_without_page(int how)
{
	pid_t pid = fork();

	if (!pid) {
		/* a process that has not recorded yet */
		uint32_t bad = 0;

		pid = how ? vfork() : fork();
		if (!pid) {
			tape_event(INFO, "first");
			_exit(0);
		}
		bad |= child_ends(pid) != 0;
		bad |= how ? tape_1_tls.page && tape_1_tls.page->magic : 0;
		tape_event(INFO, "then");
		bad |= tape_1_tls.page->pid != (uint32_t)getpid();
		tape_1_gone(tape_1_tls.page);
		_exit((int)bad);
	}
	return child_ends(pid);
}

/* In a process without a page a vfork child's first record must not make one: it would carry the child's tid. */
static void vfork_first(void **state)
{
	/* the child's pid must be known to be a process of its own: that is learned at its first record, so it makes one */
	pid_t pid = fork();

	if (!pid) {
		tape_event(INFO, "own");
		tape_1_gone(tape_1_tls.page);
		story_log->cnt = 0;
		pid = vfork();
		if (!pid) {
			tape_event(INFO, "vfork_first");
			_exit(0);
		}
		if (child_ends(pid) || tape_1_tls.page || story_count(STORY_RECORD) != 1)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(child_ends(pid), 0);
	assert_non_null(strstr(story(), "imm EVENT 0 vfork_first\n"));
	story_begin();
	assert_int_equal(in_child_without_page(0), 0);
}

/* --- handlers ---------------------------------------------------------------------------------------------- */

static volatile int handled;
static void on_alarm(int sig)
{
	tape_span(INFO, "handler");
	tape_event(INFO, "h", (n, handled));
	handled++;
}

static uint64_t delivered(const char *what)
{
	const char *s = story();
	uint64_t n = 0;

	for (; (s = strstr(s, what)); s++)
		n++;
	return n;
}

/* The log is too small for a long run, so several short ones: every record of the loop and of the handlers, none torn (the
 * story's decoder would say so). */
static void handlers(void **state)
{
	struct itimerval every = { { 0, 100 }, { 0, 100 } }, off = { { 0, 0 }, { 0, 0 } };
	uint64_t i, direct = 0;
	int round;

	signal(SIGALRM, on_alarm);
	for (round = 0; round < 20; round++) {
		story_begin();
		handled = 0;
		setitimer(ITIMER_REAL, &every, NULL);
		for (i = 0; i < 20000; i++)
			tape_event(INFO, "loop", (i, i));
		setitimer(ITIMER_REAL, &off, NULL);
		assert_true(story_log->cnt < STORY_MAX);
		assert_int_equal(delivered(" loop i="), 20000);
		assert_int_equal(delivered(" h n="), handled);
		assert_int_equal(delivered(" handler\n"), handled);
		direct += story_count(STORY_RECORD);
		assert_int_equal(tape_1_tls.depth, 0);
		assert_int_equal(tape_1_tls.page->busy, 0);
	}
	signal(SIGALRM, SIG_DFL);
	(void)direct;
}

static void *first_under_fire(void *arg)
{
	tape_event(INFO, "first");
	tape_event(INFO, "second");
	return NULL;
}

/* A signal while the thread's page is being made: handlers may come before, in and after it. */
static void handlers_while_made(void **state)
{
	struct itimerval every = { { 0, 50 }, { 0, 50 } }, off = { { 0, 0 }, { 0, 0 } };
	pthread_t t;
	int i;

	signal(SIGALRM, on_alarm);
	handled = 0;
	story_begin();
	setitimer(ITIMER_REAL, &every, NULL);
	for (i = 0; i < 150; i++) {
		pthread_create(&t, NULL, first_under_fire, NULL);
		pthread_join(t, NULL);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	signal(SIGALRM, SIG_DFL);
	assert_true(story_log->cnt < STORY_MAX);
	assert_int_equal(delivered(" first\n"), 150);
	assert_int_equal(delivered(" second\n"), 150);
	assert_int_equal(delivered(" h n="), handled);
	assert_int_equal(pages(), 1);
}

/* An append that a handler left by longjmp never clears busy; the next one from above does. Until then nothing is lost. */
static void busy_for_ever(void **state)
{
	struct tape_page *p = tape_1_tls.page;

	p->busy = tape__sp() + 65536; /* somebody above us on the stack is appending: we are its handler */
	tape_event(INFO, "below");
	assert_int_not_equal(p->busy, 0);
	p->busy = tape__sp() - 65536; /* somebody below us was: it is gone */
	tape_event(INFO, "above");
	assert_int_equal(p->busy, 0);
	assert_string_equal(story(), "imm EVENT 0 below\nEVENT 0 above\n");
}

/* On an alternate stack nothing can be said of stack addresses. */
static void on_usr1(int sig)
{
	tape_event(INFO, "alternate");
}

static void alternate_stack(void **state)
{
	static char stack[65536];
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) }, off = { .ss_flags = SS_DISABLE };
	struct tape_page *p = tape_1_tls.page;
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_usr1;
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &sa, NULL);
	sigaltstack(&ss, NULL);
	p->busy = tape__sp();
	raise(SIGUSR1);
	p->busy = ((uint32_t)(uintptr_t)stack - 4096) | 1; /* the handler looks as if it were above */
	raise(SIGUSR1);
	assert_int_not_equal(p->busy, 0);
	p->busy = 0;
	sigaltstack(&off, NULL);
	assert_string_equal(story(), "imm EVENT 0 alternate\nimm EVENT 0 alternate\n");
}

static sigjmp_buf back;
static void __attribute__((noinline)) jump(void)
{
	struct tape_scope lost = TAPE__BEGIN(NULL, TAPE_LEVEL_INFO, "lost", TAPE__Z, TAPE__Z);

	(void)lost;
	siglongjmp(back, 1);
}

/* Spans left by longjmp: the next end around them names a smaller depth. */
static void left_by_longjmp(void **state)
{
	{
		tape_span(INFO, "outer");
		if (!sigsetjmp(back, 0))
			jump();
		tape_event(INFO, "still_counted");
	}
	{
		tape_span(INFO, "next");
	}
	assert_string_equal(story(), "BEGIN 0 outer\nBEGIN 1 lost\nEVENT 2 still_counted\nEND 0\nBEGIN 0 next\nEND 0\n");
}

/* --- jumps out of the making of pages ---------------------------------------------------------------------- */

static volatile sig_atomic_t may_jump;

static void jump_out(int sig)
{
	if (may_jump)
		siglongjmp(back, 1);
}

/* Whatever a jump interrupts: the list of pages is not left locked, which would stop every other thread at its first record. */
static void left_while_made(void **state)
{
	struct itimerval every = { { 0, 20 }, { 0, 20 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction act = { .sa_handler = jump_out };
	volatile int jumps = 0;
	pthread_t t;

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	if (sigsetjmp(back, 1))
		jumps++;
	while (jumps < 3000) {
		may_jump = 1;
		tape_event(INFO, "first");
		may_jump = 0;
		if (tape_1_tls.page)
			tape_1_gone(tape_1_tls.page);
	}
	may_jump = 0;
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	story_begin();
	alarm(30); /* instead of a hang */
	assert_int_equal(pthread_create(&t, NULL, thread, NULL), 0);
	pthread_join(t, NULL);
	alarm(0);
	assert_string_equal(story(), "EVENT 0 in_thread n=0\n");
	tape_1_module.first = 0; /* what the jumps left is lost to us */
	tape_1_tls.page = NULL;
}

/*
 * A handler that forked between an end's last looks at `inherited` and at the depth: in the child, entries are the parent's that are
 * not open any more. What is entered in their place is the child's own, its end too.
 */
static void forked_while_falling(void **state)
{
	tape_1_tls.inherited = 2;
	{
		tape_span(INFO, "own");
	}
	tape_1_tls.inherited = 1;
	{
		tape_handle h = tape_open(INFO, "by_hand");

		tape_enter(h);
		tape_exit(h);
		tape_drop(h);
	}
	assert_string_equal(story(), "BEGIN 0 own\nEND 0\nOPEN 0 A:by_hand\nENTER 0 A:by_hand\nEXIT 0 A:by_hand\nDROP 0 A:by_hand\n");
}

/* --- the end ----------------------------------------------------------------------------------------------- */

/* A handler that has interrupted the list's keeper, or an append, and calls exit. */
static void teardown_in_handler(void **state)
{
	struct tape__info *info = (struct tape__info *)tape_1_module.reserved[0];
	struct tape_page *p;

	tape_event(INFO, "mine");
	p = tape_1_tls.page;
	alarm(30); /* instead of a hang */
	info->lock = 1;
	tape_1_tls.creating = tape__sp();
	tape_1_teardown();
	info->lock = tape_1_tls.creating = info->over = 0;
	assert_ptr_equal(tape_1_tls.page, p);
	p->busy = tape__sp();
	tape_1_teardown();
	p->busy = info->over = 0;
	alarm(0);
	assert_ptr_equal(tape_1_tls.page, p);
	assert_int_equal(pages(), 1);
}

/* At exit and dlclose: this thread's page goes. Others' are in use, for all we know: they are left alone. */
static pthread_barrier_t bar;
static void *stays(void *arg)
{
	tape_event(INFO, "other");
	pthread_barrier_wait(&bar);
	pthread_barrier_wait(&bar);
	tape_event(INFO, "other_later");
	tape_1_gone(tape_1_tls.page);
	return NULL;
}

static void teardown(void **state)
{
	pthread_t t;

	tape_event(INFO, "mine");
	pthread_barrier_init(&bar, NULL, 2);
	pthread_create(&t, NULL, stays, NULL);
	pthread_barrier_wait(&bar);
	story_log->cnt = 0;
	tape_1_teardown();
	assert_null(tape_1_tls.page);
	assert_int_equal(tape_1_module.reserved[1], 0);
	assert_int_equal(story_count(STORY_GONE), 1);
	assert_int_equal(story_count(STORY_FLUSH), 0);
	assert_string_equal(story(), "EVENT 0 mine\n");
	pthread_barrier_wait(&bar);
	pthread_join(t, NULL);
	assert_int_equal(pages(), 0);
	story_log->cnt = 0;
	tape_event(INFO, "after_exit"); /* a later destructor: after dlclose nobody would give a page back */
	assert_int_equal(pages(), 0);
	assert_int_equal(tape_1_module.reserved[1], 0);
	assert_int_equal(story_count(STORY_RECORD), 1);
	((struct tape__info *)tape_1_module.reserved[0])->over = 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, all_on, all_off)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(first_record, all_off),
		T(thread_exit), T(traces_in_destructors), T(forked), T(forked_inside_a_span), T(vforked), T(vfork_first), T(handlers),
		T(handlers_while_made), T(busy_for_ever), T(alternate_stack), T(left_by_longjmp), T(left_while_made), T(forked_while_falling),
		T(teardown_in_handler), T(teardown),
	};

	return cmocka_run_group_tests(tests, story_setup, NULL);
}
