/* SPDX-License-Identifier: MIT */
/* test_pages.c - tape.h's side of the kernel: announcements, flushes, drains on every way out, marks, late attach. */
#include "bpf_harness.h"
#include "fake_tape.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/eventfd.h>

static void put(struct run *r, struct wire_page *p, u32 n)
{
	while (n--) {
		fake_append(p);
		r->shared->emitted++;
	}
}

/* --- flush, announce, gone ------------------------------------------------------------------------------------------- */

static int child_flush_gone(struct run *r)
{
	struct wire_page *p = fake_page();

	put(r, p, 1000);
	r->shared->tid = syscall(SYS_gettid);
	fake_gone(p);
	return 3;
}

static void test_flush_and_gone(void **state)
{
	struct run r;
	const struct wire_announce *an;
	const struct wire_life *life;
	u64 lost, c[WIRE_C_MAX];
	pid_t pid;

	run__init(&r, &(struct run_opts){.disable = *state});
	pid = run__child(&r, child_flush_gone);
	run__target(&r, pid);
	assert_int_equal(WEXITSTATUS(run__wait(&r, pid)), 3);
	assert_int_equal(run__received(&r, &lost), 1000);
	assert_int_equal(lost, 0);
	an = kept_find(&r, WIRE_ANNOUNCE, 0);
	assert_non_null(an);
	assert_int_equal(an->head.cookie, 7);
	assert_int_equal(an->head.pid, pid);
	assert_int_equal(an->module, (u64)(uintptr_t)&fake_module);
	assert_int_equal(an->ns_tid, r.shared->tid);
	life = kept_find(&r, WIRE_EXIT, 0);
	assert_non_null(life);
	assert_int_equal(life->flags, WIRE_LIFE_PROCESS);
	assert_int_equal(WEXITSTATUS(life->status), 3);
	assert_int_equal(attach__targets(r.a, clock__mono_ns()), 0);
	attach__counters(r.a, c);
	assert_int_equal(c[WIRE_C_BATCH_LOST_RING] + c[WIRE_C_BATCH_LOST_READ] + c[WIRE_C_BAD_PAGE], 0);
	run__done(&r);
}

/* A process that is no target leaves nothing. */
static void test_not_a_target(void **state)
{
	struct run r;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){});
	pid = run__child(&r, child_flush_gone);
	r.shared->go = 1;
	run__wait(&r, pid);
	assert_int_equal(r.kept.cnt, 0);
	run__done(&r);
}

static void test_any_makes_targets(void **state)
{
	struct run r;
	u64 lost;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){.any = true});
	pid = run__child(&r, child_flush_gone);
	r.shared->go = 1;
	run__wait(&r, pid);
	assert_int_equal(run__received(&r, &lost), 1000);
	assert_non_null(kept_find(&r, WIRE_EXIT, 0));
	run__done(&r);
}

/* --- ways to die ------------------------------------------------------------------------------------------------------- */

static void *thread_that_returns(void *ctx)
{
	put(ctx, fake_page(), 100);
	return NULL;
}

static void *thread_that_stays(void *ctx)
{
	struct run *r = ctx;
	struct wire_page *p = fake_page();
	u32 i;

	for (i = 0; i < 500; i++)
		fake_append(p);
	__atomic_add_fetch(&r->shared->other, 500, __ATOMIC_SEQ_CST);
	pause();
	return NULL;
}

static int child_dies(struct run *r)
{
	struct wire_page *p = fake_page(); /* 311 records: a flush and a rest */
	pthread_t t;

	pthread_create(&t, NULL, thread_that_stays, r);
	while (r->shared->other != 500)
		usleep(100);
	put(r, p, 311);
	switch (r->shared->stop) {
	case 1:
		exit(0);
	case 2:
		abort();
	case 3:
		raise(SIGKILL);
		break;
	case 4:
		*(volatile int *)NULL = 0;
		break;
	case 5:
		syscall(SYS_exit, 0); /* this thread alone; the other is killed by the parent */
		break;
	case 6:
		execl("/proc/self/exe", "again", "end", NULL);
		break;
	}
	return 0;
}

static void need_exit_hook(struct run *r)
{
	if (r->f.exit_hook != EXIT_HOOK_NONE)
		return;
	run__done(r);
	print_message("no hook on exit here\n");
	skip();
}

static void die(int how, const char *disable)
{
	struct run r;
	u64 lost, got;
	pid_t pid;

	run__init(&r, &(struct run_opts){.disable = disable});
	need_exit_hook(&r);
	r.shared->stop = how;
	pid = run__child(&r, child_dies);
	run__target(&r, pid);
	if (how == 5) {
		while (r.shared->emitted != 311)
			usleep(100);
		usleep(10000);
		kill(pid, SIGKILL);
	}
	run__wait(&r, pid);
	got = run__received(&r, &lost);
	if (got != 811)
		print_message("way %d: %llu of 811\n", how, (unsigned long long)got);
	assert_int_equal(got, 811);
	assert_int_equal(lost, 0);
	assert_int_equal(r.kept.kind[WIRE_EXIT], 2); /* on exec the other thread dies, then the process */
	if (how == 6)
		assert_int_equal(r.kept.kind[WIRE_EXEC], 1);
	run__done(&r);
}

static void test_ways_to_die(void **state)
{
	int how;

	for (how = 0; how <= 6; how++)
		die(how, *state);
}

static int child_threads(struct run *r)
{
	pthread_t t[16];
	int i;

	for (i = 0; i < 16; i++)
		pthread_create(&t[i], NULL, thread_that_returns, r);
	for (i = 0; i < 16; i++)
		pthread_join(t[i], NULL);
	return 0;
}

static void test_threads_end(void **state)
{
	struct run r;
	u64 lost;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){});
	pid = run__child(&r, child_threads);
	run__target(&r, pid);
	run__wait(&r, pid);
	assert_int_equal(run__received(&r, &lost), 1600);
	assert_int_equal(lost, 0);
	assert_int_equal(r.kept.kind[WIRE_EXIT], 17);
	assert_int_equal(r.kept.kind[WIRE_FORK], 16);
	assert_int_equal(r.kept.kind[WIRE_ANNOUNCE], 16);
	run__done(&r);
}

/* An exec from a thread that is not the leader takes the leader's tid: neither's page may be read in the new memory. */
static void *thread_that_execs(void *ctx)
{
	put(ctx, fake_page(), 42);
	execl("/proc/self/exe", "again", "end", NULL);
	return NULL;
}

static int child_execs_from_thread(struct run *r)
{
	struct wire_page *p = fake_page();
	pthread_t t;

	put(r, p, 21);
	pthread_create(&t, NULL, thread_that_execs, r);
	pthread_join(t, NULL);
	return 1;
}

static void test_exec_from_thread(void **state)
{
	struct run r;
	const struct wire_life *life;
	u64 lost;
	pid_t pid;

	run__init(&r, &(struct run_opts){.disable = *state});
	need_exit_hook(&r);
	pid = run__child(&r, child_execs_from_thread);
	run__target(&r, pid);
	assert_int_equal(WEXITSTATUS(run__wait(&r, pid)), 0);
	assert_int_equal(run__received(&r, &lost), 63);
	assert_int_equal(lost, 0);
	life = kept_find(&r, WIRE_EXEC, 0);
	assert_non_null(life);
	assert_int_equal(life->head.tid, pid);
	assert_int_not_equal(life->other_tid, pid);
	assert_string_equal((const char *)(life + 1), "/proc/self/exe");
	assert_string_equal(life->comm, "exe");
	run__done(&r);
}

/* --- fork ----------------------------------------------------------------------------------------------------------------- */

static int child_forks(struct run *r)
{
	pid_t pid = fork();

	if (!pid) {
		put(r, fake_page(), 77);
		_exit(0);
	}
	r->shared->other = pid;
	waitpid(pid, NULL, 0);
	return 0;
}

static void forks(bool follow)
{
	const struct wire_life *life;
	struct run r;
	u64 lost;
	pid_t pid;

	run__init(&r, &(struct run_opts){.follow = follow});
	pid = run__child(&r, child_forks);
	run__target(&r, pid);
	run__wait(&r, pid);
	assert_int_equal(run__received(&r, &lost), follow ? 77 : 0);
	life = kept_find(&r, WIRE_FORK, 0);
	assert_int_equal(life != NULL, follow);
	if (follow) {
		assert_int_equal(life->other_pid, r.shared->other);
		assert_int_equal(life->other_tid, r.shared->other);
		assert_int_equal(life->head.pid, pid);
		assert_int_equal(life->flags, WIRE_LIFE_PROCESS);
		assert_true(life->start_ns > 0);
	}
	assert_int_equal(attach__targets(r.a, clock__mono_ns()), 0);
	run__done(&r);
}

static void test_fork(void **state)
{
	(void)state;
	forks(true);
	forks(false);
}

/* The child of a vfork flushes its parent's page: the records are the parent's. */
static int child_vforks(struct run *r)
{
	struct wire_page *p = fake_page();
	pid_t pid;

	put(r, p, 10);
	pid = vfork();
	if (!pid) {
		fake_flush(p);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	put(r, p, 5);
	return 0;
}

static void test_vfork(void **state)
{
	struct run r;
	u64 lost;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){.follow = true});
	pid = run__child(&r, child_vforks);
	run__target(&r, pid);
	run__wait(&r, pid);
	assert_int_equal(run__received(&r, &lost), 15);
	assert_int_equal(lost, 0);
	assert_int_equal(r.page_cnt, 1);
	run__done(&r);
}

/* --- loss -------------------------------------------------------------------------------------------------------------------- */

static int child_much(struct run *r)
{
	struct wire_page *p = fake_page();

	put(r, p, 200000);
	if (r->shared->stop)
		fake_gone(p);
	return 0;
}

/* Nobody drains until the end: nearly all is refused, and the mark of the dead page says how much was. */
static u64 orphan_seen;

static void note_orphan(void *ctx, const struct wire_page_val *v, u32 tid, bool dead)
{
	(void)ctx, (void)tid;
	if (dead)
		orphan_seen = v->seen;
}

static void full_exact(bool gone)
{
	struct run r;
	u64 c[WIRE_C_MAX];
	int status;
	pid_t pid;

	run__init(&r, &(struct run_opts){.ring_bytes = 65536});
	r.shared->stop = gone;
	pid = run__child(&r, child_much);
	assert_int_equal(attach__marks(r.a, note_orphan, NULL), 0); /* known to be none, until there is one */
	run__target(&r, pid);
	waitpid(pid, &status, 0);
	orphan_seen = 0;
	assert_true(attach__marks(r.a, note_orphan, NULL) > 0);
	run__batches(&r);
	assert_int_equal(r.page_cnt, 1);
	/* emitted = received + lost, by the mark */
	assert_int_equal(orphan_seen, 200000);
	assert_true(page__received(&r.page[0]) < 200000);
	/* Batches that arrived and batches refused are all that were tried. */
	attach__counters(r.a, c);
	assert_int_equal(c[WIRE_C_BATCHES], c[WIRE_C_BATCH_LOST_RING] + r.kept.kind[WIRE_BATCH]);
	/* Read once. */
	orphan_seen = 0;
	assert_true(attach__marks(r.a, note_orphan, NULL) >= 0);
	assert_int_equal(orphan_seen, 0);
	run__done(&r);
}

static void test_ring_full(void **state)
{
	(void)state;
	full_exact(false);
	full_exact(true);
}

/* --- idle reads, late attach, stop ---------------------------------------------------------------------------------------------- */

static int child_idles(struct run *r)
{
	struct wire_page *p = fake_page();

	put(r, p, 50);
	r->shared->ready = 1;
	while (!r->shared->stop)
		usleep(100);
	put(r, p, 300);
	r->shared->ready = 2;
	while (r->shared->stop != 2)
		usleep(100);
	return 0;
}

static void wait_ready(struct run *r, u32 n)
{
	while (r->shared->ready != n)
		usleep(100);
}

static void test_idle_read(void **state)
{
	struct run r;
	const struct wire_batch *b;
	u64 lost;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){});
	pid = run__child(&r, child_idles);
	assert_int_equal(attach__idle_collect(r.a), 0); /* nobody is there; whoever comes then is seen all the same */
	run__target(&r, pid);
	wait_ready(&r, 1);
	assert_int_equal(attach__idle_collect(r.a), 1);
	run__poll(&r);
	assert_int_equal(r.kept.kind[WIRE_BATCH], 0);
	assert_int_equal(attach__idle_apply(r.a), 1);
	b = kept_find(&r, WIRE_BATCH, 0);
	assert_non_null(b);
	assert_int_equal(b->why, WIRE_WHY_IDLE);
	assert_int_equal(b->head.cookie, 7);
	assert_int_equal(b->head.tid, pid);
	/* Nothing moved: no body is read. */
	assert_int_equal(attach__idle_collect(r.a), 0);
	assert_int_equal(attach__idle_apply(r.a), 0);
	r.shared->stop = 1;
	wait_ready(&r, 2);
	/* Stopping finds the rest without the thread's help. */
	assert_int_equal(attach__stop(r.a), 0);
	assert_int_equal(run__received(&r, &lost), 350);
	assert_int_equal(lost, 0);
	r.shared->stop = 2;
	run__wait(&r, pid);
	run__done(&r);
}

static u32 adopted;
static u64 adopted_records;

static int note_page(void *ctx, const struct wire_batch *b, size_t bytes)
{
	const struct wire_page *p = (const void *)(b + 1);

	(void)ctx;
	assert_int_equal(bytes, sizeof(*b) + WIRE_DATA + WIRE_COMMIT_LEN(p->commit));
	assert_int_equal(b->head.cookie, 7);
	adopted++;
	adopted_records += p->slot[WIRE_COMMIT_SEQ(p->commit) & 1].first + WIRE_COMMIT_CNT(p->commit);
	return 0;
}

/* The page is made before we attach; the thread then dies without another word. */
static void test_late_attach(void **state)
{
	struct shared *sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct run early = {.shared = sh}, r;
	u64 lost;
	pid_t pid;

	(void)state;
	sh->go = 1;
	pid = run__child(&early, child_idles);
	wait_ready(&early, 1);
	run__init(&r, &(struct run_opts){});
	assert_int_equal(attach__add_target(r.a, pid, NULL), 0);
	adopted = 0;
	adopted_records = 0;
	assert_int_equal(attach__adopt(r.a, pid, 7, (u64)(uintptr_t)&fake_module, note_page, NULL), 1);
	assert_int_equal(adopted, 1);
	assert_int_equal(adopted_records, 50);
	/* A second time there is nothing new. */
	assert_int_equal(attach__adopt(r.a, pid, 7, (u64)(uintptr_t)&fake_module, note_page, NULL), 0);
	sh->stop = 1;
	wait_ready(&early, 2);
	sh->stop = 2;
	run__wait(&r, pid);
	/* The first batch has the old records too; the reader knows from the adoption that they are not new. */
	run__received(&r, &lost);
	assert_int_equal(r.page_cnt, 1);
	assert_int_equal(r.page[0].highest, 350);
	assert_int_equal(lost, 0);
	munmap(sh, 4096);
	run__done(&r);
}

static void test_no_such_target(void **state)
{
	struct diag d = {};
	struct run r;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){});
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	assert_int_equal(attach__add_target(r.a, pid, &d), -ESRCH);
	assert_true(d.text[0]);
	assert_int_equal(attach__targets(r.a, clock__mono_ns()), 0);
	run__done(&r);
}

/* --- immediate records ---------------------------------------------------------------------------------------------------------- */

static int child_records(struct run *r)
{
	static const u32 size[] = {8, 100, 2000, 10000, WIRE_MAX_REC_BYTES};
	struct {
		struct wire_imm imm;
		u8 rec[WIRE_MAX_REC_BYTES + 100];
	} *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		memset(m, 0x40 + i, sizeof(m->imm) + size[i]);
		fake_record(m, sizeof(m->imm) + size[i]);
		r->shared->emitted++;
	}
	fake_record(m, sizeof(*m));   /* too large */
	fake_record((void *)8, 1000); /* unreadable */
	r->shared->emitted += 2;
	return 0;
}

static void test_immediate(void **state)
{
	static const u32 size[] = {8, 100, 2000, 10000, WIRE_MAX_REC_BYTES};
	const struct wire_head *h;
	u64 c[WIRE_C_MAX];
	struct run r;
	pid_t pid;
	u32 i;

	run__init(&r, &(struct run_opts){.disable = *state});
	pid = run__child(&r, child_records);
	run__target(&r, pid);
	run__wait(&r, pid);
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		h = kept_find(&r, WIRE_IMMEDIATE, i);
		assert_non_null(h);
		assert_int_equal(h->bytes, sizeof(*h) + sizeof(struct wire_imm) + size[i]);
		assert_int_equal(((const u8 *)h)[sizeof(*h)], 0x40 + i);
		assert_int_equal(((const u8 *)h)[h->bytes - 1], 0x40 + i);
	}
	attach__counters(r.a, c);
	assert_int_equal(c[WIRE_C_EMITTED], r.shared->emitted);
	assert_int_equal(c[WIRE_C_SUBMITTED], ARRAY_SIZE(size));
	assert_int_equal(c[WIRE_C_LOST_SIZE], 1);
	assert_int_equal(c[WIRE_C_LOST_READ], 1);
	run__done(&r);
}

/* --- mapped files ---------------------------------------------------------------------------------------------------------------- */

static int child_maps(struct run *r)
{
	char path[] = "/tmp/test_mapped.XXXXXX";
	int fd = mkstemp(path);

	(void)r;
	unlink(path);
	if (ftruncate(fd, 4096))
		return 2;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED;
}

static void test_mapped(void **state)
{
	struct run r;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){.follow = true});
	if (!r.f.perf_mmap2) {
		run__done(&r);
		print_message("no MMAP2 records here\n");
		skip();
	}
	pid = run__child(&r, child_maps);
	run__target(&r, pid);
	assert_int_equal(WEXITSTATUS(run__wait(&r, pid)), 0);
	assert_int_equal(r.mapped, 1);
	assert_non_null(strstr(r.mapped_path, "/test_mapped."));
	run__done(&r);
}

static void *map_and_tell(void *fd)
{
	static const u64 one = 1;

	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/proc/self/exe", "test_pages", "end", NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
	return write(*(int *)fd, &one, sizeof(one)) == sizeof(one) ? fd : NULL;
}

/* What others map ends no waiting; what is watched does. */
static void test_others_map(void **state)
{
	struct run r;
	pthread_t thread;
	u64 drained, told;
	void *wrote;
	int fd = eventfd(0, EFD_NONBLOCK);

	(void)state;
	run__init(&r, &(struct run_opts){.follow = true});
	assert_int_equal(attach__watch(r.a, fd), 0);
	assert_int_equal(pthread_create(&thread, NULL, map_and_tell, &fd), 0);
	assert_int_equal(attach__poll(r.a, 600000, &drained), 0);
	assert_int_equal(read(fd, &told, sizeof(told)), sizeof(told));
	assert_int_equal(r.mapped, 0);
	pthread_join(thread, &wrote);
	assert_non_null(wrote);
	close(fd);
	run__done(&r);
}

#define VARIANT(test, off) {#test " without " off, test, NULL, NULL, (void *)off}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flush_and_gone),
		VARIANT(test_flush_and_gone, "sleepable"),
		VARIANT(test_flush_and_gone, "uprobe_multi"),
		VARIANT(test_flush_and_gone, "uprobe_multi,uprobe_cookie,sleepable"),
		cmocka_unit_test(test_not_a_target),
		cmocka_unit_test(test_any_makes_targets),
		cmocka_unit_test(test_ways_to_die),
		VARIANT(test_ways_to_die, "process_exit,fentry,kprobe"),
		cmocka_unit_test(test_threads_end),
		cmocka_unit_test(test_exec_from_thread),
		VARIANT(test_exec_from_thread, "prepare_exec,fentry,kprobe"),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_vfork),
		cmocka_unit_test(test_ring_full),
		cmocka_unit_test(test_idle_read),
		cmocka_unit_test(test_late_attach),
		cmocka_unit_test(test_no_such_target),
		cmocka_unit_test(test_immediate),
		VARIANT(test_immediate, "sleepable"),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_others_map),
	};
	int skip = need_root();

	if (argc > 1 && !strcmp(argv[1], "end")) /* exec'ed by the tests above */
		return 0;
	return skip ? skip : cmocka_run_group_tests(tests, NULL, NULL);
}
