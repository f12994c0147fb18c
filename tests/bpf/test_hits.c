/* SPDX-License-Identifier: MIT */
/* test_hits.c - foreign probes on the real kernel: every form of argument, texts, faults, loss, many sites. */
#include "bpf_harness.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#if !defined(__x86_64__)
int main(void)
{
	printf("skip - the probes of this test are written in x86-64 assembly\n");
	return 77;
}
#else

#define NOTE(name, sema, args)                                                                      \
	"990: nop\n"                                                                                \
	".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n"                                    \
	".4byte 992f-991f, 994f-993f, 3\n"                                                          \
	"991: .asciz \"stapsdt\"\n992: .balign 4\n"                                                 \
	"993: .8byte 990b, 0, " sema "\n.asciz \"hits\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n" \
	"994: .balign 4\n.popsection\n"

s32 hits_global = -77; /* reached by rip + symbol */
u16 hits_semaphore __attribute__((section(".probes"), used));
struct {
	s8 a;
	u8 b;
	s16 c;
	u16 d;
	s32 e;
	u32 f;
	s64 g;
} hits_mem = {-1, 200, -300, 60000, -70000, 4000000000U, -5000000000LL};

static __attribute__((noinline)) void probe_none(void)
{
	__asm__ volatile(NOTE("none", "0", "") : : : "memory");
}

static __attribute__((noinline)) void probe_regs(long a, long b)
{
	__asm__ volatile(NOTE("regs", "0", "-4@%%edi 8@%%rsi -1@%%dil 2@%%si 1@%%ah -4@$-9 8@$71")
			 :
			 : "D"(a), "S"(b), "a"(0x1234)
			 : "memory");
}

static __attribute__((noinline)) void probe_mem(void *p, long i)
{
	__asm__ volatile(NOTE("mem", "0",
			      "-1@(%%rdi) 1@1(%%rdi) -2@2(%%rdi) 2@4(%%rdi) -4@8(%%rdi) 4@12(%%rdi) -8@16(%%rdi) "
			      "-4@(%%rdi,%%rsi,4) -2@-2(%%rdi,%%rsi,2) -4@hits_global(%%rip)")
			 :
			 : "D"(p), "S"(i)
			 : "memory");
}

static __attribute__((noinline)) void probe_twelve(long a)
{
	__asm__ volatile(NOTE("twelve", "0",
			      "8@%%rdi 4@$1 4@$2 4@$3 4@$4 4@$5 4@$6 4@$7 4@$8 4@$9 4@$10 4@$11")
			 :
			 : "D"(a)
			 : "memory");
}

static __attribute__((noinline)) void probe_text(const void *s, long len, const void *t)
{
	__asm__ volatile(NOTE("text", "0", "8@%%rdi -4@%%esi 8@%%rdx") : : "D"(s), "S"(len), "d"(t) : "memory");
}

static __attribute__((noinline)) void probe_nul(const char *s)
{
	__asm__ volatile(NOTE("nul", "0", "8@%%rdi") : : "D"(s) : "memory");
}

static __attribute__((noinline)) void probe_guarded(long a)
{
	if (*(volatile u16 *)&hits_semaphore)
		__asm__ volatile(NOTE("guarded", "hits_semaphore", "8@%%rdi") : : "D"(a) : "memory");
}

static __attribute__((noinline)) void probe_many_texts(const char *s)
{
	__asm__ volatile(NOTE("many", "0",
			      "8@%%rdi 8@%%rdi 8@%%rdi 8@%%rdi 8@%%rdi 8@%%rdi 8@%%rdi 8@%%rdi 8@%%rdi 8@%%rdi "
			      "8@%%rdi 8@%%rdi")
			 :
			 : "D"(s)
			 : "memory");
}

/* --- reading what arrived -------------------------------------------------------------------------------------------- */

static u32 site_of(const struct run *r, const char *name)
{
	u32 i;

	for (i = 0; i < r->elf->site_cnt; i++)
		if (!strcmp(r->elf->site[i].name, name))
			return 100 + i; /* first_site of the harness */
	fail_msg("no probe %s", name);
	return 0;
}

static const struct wire_hit *hit(const struct run *r, const char *name, u32 nth)
{
	u32 site = site_of(r, name);
	const struct wire_head *h;
	size_t at = 0, bytes;

	while ((h = kept_next(r, &at, &bytes)))
		if (h->kind == WIRE_HIT && h->cookie == site && !nth--) {
			const struct wire_hit *w = (const void *)h;

			assert_int_equal(bytes, sizeof(*w) + 8 * w->arg_cnt + w->text_bytes);
			return w;
		}
	return NULL;
}

static u64 val(const struct wire_hit *h, u32 i)
{
	assert_true(i < h->arg_cnt);
	return ((const u64 *)(h + 1))[i];
}

static const char *text(const struct wire_hit *h, u32 of)
{
	const char *p = (const char *)(h + 1) + 8 * h->arg_cnt;
	u32 i;

	for (i = 0; i < of; i++) /* the test's texts are all arguments, or arguments 0 and 2 */
		if (h->arg_cnt != 3 || i != 1)
			p += ALIGN_UP(WIRE_HIT_TEXT_LEN(val(h, i)), 8);
	return p;
}

/* --- forms --------------------------------------------------------------------------------------------------------------- */

static int child_forms(struct run *r)
{
	(void)r;
	probe_none();
	probe_regs(-5, 0x1122334455667788);
	probe_mem(&hits_mem, 2);
	probe_twelve(99);
	probe_guarded(17);
	return 0;
}

static void check_forms(struct run *r)
{
	const struct wire_hit *h = hit(r, "regs", 0);
	u32 i;

	assert_non_null(hit(r, "none", 0));
	assert_int_equal(hit(r, "none", 0)->arg_cnt, 0);
	assert_null(hit(r, "none", 1));
	assert_int_equal(val(h, 0), -5);
	assert_int_equal(val(h, 1), 0x1122334455667788);
	assert_int_equal(val(h, 2), -5);
	assert_int_equal(val(h, 3), 0x7788);
	assert_int_equal(val(h, 4), 0x12);
	assert_int_equal(val(h, 5), -9);
	assert_int_equal(val(h, 6), 71);
	h = hit(r, "mem", 0);
	assert_int_equal(h->unreadable, 0);
	assert_int_equal(val(h, 0), -1);
	assert_int_equal(val(h, 1), 200);
	assert_int_equal(val(h, 2), -300);
	assert_int_equal(val(h, 3), 60000);
	assert_int_equal(val(h, 4), -70000);
	assert_int_equal(val(h, 5), 4000000000U);
	assert_int_equal(val(h, 6), -5000000000LL);
	assert_int_equal(val(h, 7), -70000);
	assert_int_equal(val(h, 8), -300);
	assert_int_equal(val(h, 9), -77);
	h = hit(r, "twelve", 0);
	assert_int_equal(h->arg_cnt, 12);
	assert_int_equal(val(h, 0), 99);
	for (i = 1; i < 12; i++)
		assert_int_equal(val(h, i), i);
	h = hit(r, "guarded", 0);
	assert_non_null(h);
	assert_int_equal(val(h, 0), 17);
}

static void test_forms(void **state)
{
	u64 c[WIRE_C_MAX];
	struct run r;
	pid_t pid;

	run__init(&r, &(struct run_opts){.disable = *state});
	pid = run__child(&r, child_forms);
	run__target(&r, pid);
	run__wait(&r, pid);
	check_forms(&r);
	attach__counters(r.a, c);
	assert_int_equal(c[WIRE_C_EMITTED], 5);
	assert_int_equal(c[WIRE_C_SUBMITTED], 5);
	assert_int_equal(hits_semaphore, 1); /* we map the file too */
	assert_int_equal(attach__stop(r.a), 0);
	assert_int_equal(hits_semaphore, 0);
	run__done(&r);
}

/* --- texts ------------------------------------------------------------------------------------------------------------------ */

static void edit_texts(struct elf_file *f)
{
	u32 i, k;

	for (i = 0; i < f->site_cnt; i++) {
		struct elf_site *s = &f->site[i];

		if (!strcmp(s->name, "nul"))
			s->arg[0].text = WIRE_TEXT_NUL;
		if (!strcmp(s->name, "text")) {
			s->arg[0].text = WIRE_TEXT_LEN_ARG;
			s->arg[0].len_arg = 1;
			s->arg[2].text = WIRE_TEXT_NUL;
			s->arg[2].max_text = 8;
		}
		if (!strcmp(s->name, "many"))
			for (k = 0; k < 12; k++)
				s->arg[k].text = WIRE_TEXT_NUL;
	}
}

static char long_text[6000];

static int child_texts(struct run *r)
{
	char hello[16], letters[] = "abcdefgh", digits[] = "123456789", none[] = ""; /* on the stack: present without a fault */

	(void)r;
	digits[7] = '\0';
	probe_text(letters, 3, digits);
	digits[7] = '8';
	digits[8] = '\0';
	probe_text(letters, -3, digits);
	digits[8] = '9';
	probe_text(NULL, 5, digits);
	probe_text((void *)16, 5, none);
	memset(long_text, 'x', sizeof(long_text) - 1);
	probe_text(long_text, 5000, NULL);
	probe_nul(none);
	probe_nul(NULL);
	probe_nul((void *)8);
	probe_nul(long_text);
	probe_nul(long_text + sizeof(long_text) - 1 - 300);
	probe_nul(long_text + sizeof(long_text) - 1 - 299);
	probe_many_texts(strcpy(hello, "hello, world"));
	probe_many_texts(long_text);
	return 0;
}

static void check_texts(struct run *r)
{
	const struct wire_hit *h = hit(r, "text", 0);
	u32 i;

	assert_int_equal(val(h, 0), 3);
	assert_memory_equal(text(h, 0), "abc\0\0\0\0", 8);
	assert_int_equal(val(h, 1), 3);
	assert_int_equal(val(h, 2), 7);
	assert_memory_equal(text(h, 2), "1234567", 8);
	h = hit(r, "text", 1);
	assert_int_equal(val(h, 0), 0); /* negative length */
	assert_int_equal(val(h, 2), 8);
	assert_memory_equal(text(h, 2), "12345678", 8);
	h = hit(r, "text", 2);
	assert_int_equal(val(h, 0), WIRE_HIT_TEXT_NULL);
	assert_int_equal(val(h, 2), 8 | WIRE_HIT_TEXT_TRUNCATED);
	assert_memory_equal(text(h, 2), "12345678", 8);
	h = hit(r, "text", 3);
	assert_int_equal(h->unreadable, 1);
	assert_int_equal(val(h, 0), 0);
	assert_int_equal(val(h, 2), 0);
	h = hit(r, "text", 4);
	assert_int_equal(val(h, 0), 300 | WIRE_HIT_TEXT_TRUNCATED);
	assert_int_equal(val(h, 2), WIRE_HIT_TEXT_NULL);
	assert_int_equal(val(hit(r, "nul", 0), 0), 0);
	assert_int_equal(val(hit(r, "nul", 1), 0), WIRE_HIT_TEXT_NULL);
	assert_int_equal(hit(r, "nul", 2)->unreadable, 1);
	assert_int_equal(val(hit(r, "nul", 3), 0), 300 | WIRE_HIT_TEXT_TRUNCATED);
	assert_int_equal(val(hit(r, "nul", 4), 0), 300);
	assert_int_equal(val(hit(r, "nul", 5), 0), 299);
	assert_int_equal(text(hit(r, "nul", 5), 0)[298], 'x');
	assert_int_equal(text(hit(r, "nul", 5), 0)[299], 0);
	h = hit(r, "many", 0);
	for (i = 0; i < 12; i++)
		assert_memory_equal(text(h, i), "hello, world\0\0\0", 16);
	h = hit(r, "many", 1);
	assert_int_equal(h->text_bytes, 12 * 304);
	for (i = 0; i < 12; i++)
		assert_int_equal(text(h, i)[299], 'x');
}

static void test_texts(void **state)
{
	struct run r;
	pid_t pid;

	run__init(&r, &(struct run_opts){.disable = *state, .edit = edit_texts, .max_text = 300});
	pid = run__child(&r, child_texts);
	run__target(&r, pid);
	run__wait(&r, pid);
	check_texts(&r);
	run__done(&r);
}

static int child_longest(struct run *r)
{
	(void)r;
	memset(long_text, 'y', sizeof(long_text) - 1);
	probe_many_texts(long_text);
	return 0;
}

static void test_longest_texts(void **state)
{
	const struct wire_hit *h;
	struct run r;
	pid_t pid;
	u32 i;

	(void)state;
	run__init(&r, &(struct run_opts){.edit = edit_texts, .max_text = 4096});
	pid = run__child(&r, child_longest);
	run__target(&r, pid);
	run__wait(&r, pid);
	h = hit(&r, "many", 0);
	assert_non_null(h);
	assert_int_equal(h->text_bytes, 12 * 4096);
	for (i = 0; i < 12 * 4096; i++)
		assert_int_equal(text(h, 0)[i], 'y');
	run__done(&r);
}

/* --- pages that are not there --------------------------------------------------------------------------------------------------- */

/* A file's pages that nobody has touched: the plain program cannot read them, the sleepable one faults them in. */
static int child_faults(struct run *r)
{
	char path[] = "/tmp/test_hits.XXXXXX", *p;
	int fd = mkstemp(path), i;

	(void)r;
	unlink(path);
	for (i = 0; i < 8; i++) {
		char page[4096];

		memset(page, 'a' + i, sizeof(page));
		page[4095] = i == 3 ? '\0' : page[4095];
		if (write(fd, page, sizeof(page)) != sizeof(page))
			return 1;
	}
	p = mmap(NULL, 8 * 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	probe_mem(p + 4096, 0);
	probe_nul(p + 3 * 4096 - 100); /* over a border, until the end of page 3 */
	probe_text(p + 6 * 4096 - 2, 4, p + 4 * 4096);
	return 0;
}

static void test_faults(void **state)
{
	const struct wire_hit *h;
	struct run r;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){.edit = edit_texts, .max_text = 4000});
	if (!r.f.sleepable_uprobe) {
		run__done(&r);
		print_message("no sleepable uprobes here\n");
		skip();
	}
	pid = run__child(&r, child_faults);
	run__target(&r, pid);
	assert_int_equal(WEXITSTATUS(run__wait(&r, pid)), 0);
	h = hit(&r, "mem", 0);
	assert_int_equal(h->unreadable, 0);
	assert_int_equal(val(h, 1), 'b');
	h = hit(&r, "nul", 0);
	assert_int_equal(h->unreadable, 0);
	assert_int_equal(val(h, 0), 4000 | WIRE_HIT_TEXT_TRUNCATED);
	assert_int_equal(text(h, 0)[99], 'c');
	assert_int_equal(text(h, 0)[100], 'd');
	h = hit(&r, "text", 0);
	assert_int_equal(h->unreadable, 0);
	assert_memory_equal(text(h, 0), "ffgg", 4);
	run__done(&r);
}

static int child_faults_plain(struct run *r)
{
	int fd = open("/proc/self/exe", O_RDONLY), status = child_faults(r);

	close(fd);
	return status;
}

static void test_faults_without_sleep(void **state)
{
	struct run r;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){.disable = "sleepable", .edit = edit_texts});
	pid = run__child(&r, child_faults_plain);
	run__target(&r, pid);
	run__wait(&r, pid);
	assert_int_not_equal(hit(&r, "nul", 0)->unreadable, 0);
	assert_int_equal(val(hit(&r, "nul", 0), 0), 0);
	run__done(&r);
}

/* --- loss ------------------------------------------------------------------------------------------------------------------------ */

static int child_many_hits(struct run *r)
{
	u32 i;

	for (i = 0; i < 20000; i++)
		probe_regs(i, i);
	r->shared->emitted = i;
	return 0;
}

static void test_ring_full(void **state)
{
	u64 c[WIRE_C_MAX];
	struct run r;
	int status;
	pid_t pid;

	run__init(&r, &(struct run_opts){.ring_bytes = 65536, .disable = *state});
	pid = run__child(&r, child_many_hits);
	run__target(&r, pid);
	waitpid(pid, &status, 0);
	run__poll(&r);
	attach__counters(r.a, c);
	assert_int_equal(c[WIRE_C_EMITTED], r.shared->emitted);
	assert_int_equal(c[WIRE_C_SUBMITTED], r.kept.kind[WIRE_HIT]);
	assert_int_equal(c[WIRE_C_LOST_RING], r.shared->emitted - r.kept.kind[WIRE_HIT]);
	assert_true(c[WIRE_C_LOST_RING] > 0);
	run__done(&r);
}

static int child_floods(struct run *r)
{
	u32 i;

	for (i = 0; !r->shared->stop; i++) {
		probe_regs(i, i);
		r->shared->emitted = i;
	}
	return 0;
}

static u64 hits_by_then; /* the child's own count at the first record that the end reads */

static int note_count(void *ctx, const void *rec, size_t bytes)
{
	struct run *r = ctx;

	hits_by_then = hits_by_then ? hits_by_then : r->shared->emitted;
	return keep_record(ctx, rec, bytes);
}

/* What is hit behind the end is of after it, however long it takes to let go of the probe: a flood would fill the ring meanwhile. */
static void test_end_of_a_flood(void **state)
{
	u64 c[WIRE_C_MAX];
	struct run r;
	pid_t pid;
	u32 i;

	for (i = 0; i < 5; i++) {
		run__init(&r, &(struct run_opts){.ring_bytes = 65536, .disable = *state});
		pid = run__child(&r, child_floods);
		run__target(&r, pid);
		while (r.shared->emitted < 1000)
			run__poll(&r);
		hits_by_then = 0;
		attach__set_ops(r.a, &(struct attach_ops){.ring = note_count, .ctx = &r});
		assert_int_equal(attach__stop(r.a), 0);
		attach__counters(r.a, c);
		assert_int_equal(c[WIRE_C_EMITTED], r.kept.kind[WIRE_HIT] + c[WIRE_C_LOST_RING]);
		if (hits_by_then) /* and the two that it had not counted yet */
			assert_true(c[WIRE_C_EMITTED] <= hits_by_then + 2);
		r.shared->stop = 1;
		run__wait(&r, pid);
		run__done(&r);
	}
}

/* Every record has a number of its CPU; with nothing lost they are without a gap, and times never run backwards beyond
 * what the drain says. */
static void test_sequence(void **state)
{
	const struct wire_head *h;
	u32 next[64] = {}, first[64] = {};
	size_t at = 0, bytes;
	struct run r;
	pid_t pid;
	u32 i;

	(void)state;
	run__init(&r, &(struct run_opts){});
	pid = run__child(&r, child_many_hits);
	run__target(&r, pid);
	run__wait(&r, pid);
	assert_int_equal(r.kept.kind[WIRE_HIT], 20000);
	while ((h = kept_next(&r, &at, &bytes))) {
		u32 cpu = h->cpu % libbpf_num_possible_cpus(); /* gathered hits have numbers beyond, and count along */

		assert_true(cpu < 64);
		next[cpu] = MAX(next[cpu], h->seq + 1);
		first[cpu]++;
	}
	for (i = 0; i < 64; i++)
		assert_int_equal(first[i], next[i]);
	run__done(&r);
}

/* --- gathered hits ---------------------------------------------------------------------------------------------------------- */

#define CROWD 8
#define CLOCKS_NS 20000 /* what clocks of two CPUs may differ by: some ns are usual, 1,065 were seen, also without stages */
#define EACH 20000

/* Hits of a thread count up in argument 1; half of the threads are of real-time priority and go to sleep now and then, to preempt the others
 * wherever these are. */
static void *crowd_thread(void *arg)
{
	struct sched_param p = {.sched_priority = 1 + (long)arg % 3};
	struct timespec nap = {.tv_nsec = 1000};
	long i;

	if ((long)arg % 2)
		pthread_setschedparam(pthread_self(), (long)arg % 4 == 1 ? SCHED_RR : SCHED_FIFO, &p);
	else
		setpriority(PRIO_PROCESS, 0, (long)arg);
	for (i = 0; i < EACH; i++) {
		probe_regs((long)arg, i);
		if ((long)arg % 2 && i % 16 == 0)
			nanosleep(&nap, NULL);
	}
	return NULL;
}

static int child_crowd(struct run *r)
{
	pthread_t t[CROWD];
	cpu_set_t one;
	long i;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (i = 0; i < CROWD; i++)
		pthread_create(&t[i], NULL, crowd_thread, (void *)i);
	for (i = 0; i < CROWD; i++)
		pthread_join(t[i], NULL);
	r->shared->emitted = CROWD * EACH;
	return 0;
}

/* All threads on one CPU: every hit arrives once, in the order of its thread by what wire_head.cpu groups, none younger than what a drain has
 * said to be complete. */
static void test_crowd(void **state)
{
	u64 c[WIRE_C_MAX], last_ns[128] = {}, got[CROWD] = {};
	const struct wire_head *h;
	size_t at = 0, bytes;
	bool *seen = calloc(CROWD, EACH);
	u64 complete = 0;
	struct run r;
	pid_t pid;

	run__init(&r, &(struct run_opts){.ring_bytes = 64 << 20, .disable = *state});
	pid = run__child(&r, child_crowd);
	run__target(&r, pid);
	while (!waitpid(pid, NULL, WNOHANG)) {
		u32 from = r.kept.used;
		size_t pos = from;
		u64 drained;

		assert_true(attach__poll(r.a, 0, &drained) >= 0);
		while ((h = kept_next(&r, &pos, &bytes)))
			if (h->kind == WIRE_HIT)
				assert_true(h->time_ns + CLOCKS_NS >= complete);
		complete = drained;
	}
	run__poll(&r);
	attach__counters(r.a, c);
	assert_int_equal(c[WIRE_C_EMITTED], CROWD * EACH);
	assert_int_equal(c[WIRE_C_LOST_RING], 0);
	assert_int_equal(r.kept.kind[WIRE_HIT], CROWD * EACH);
	while ((h = kept_next(&r, &at, &bytes))) {
		if (h->kind != WIRE_HIT)
			continue;
		assert_true(h->cpu < 128);
		if (h->cpu >= libbpf_num_possible_cpus()) {
			assert_true(h->time_ns >= last_ns[h->cpu]);
			last_ns[h->cpu] = h->time_ns;
		}
		assert_false(seen[val((const void *)h, 0) * EACH + val((const void *)h, 1)]);
		seen[val((const void *)h, 0) * EACH + val((const void *)h, 1)] = true;
		got[val((const void *)h, 0)]++;
	}
	for (at = 0; at < CROWD; at++)
		assert_int_equal(got[at], EACH);
	free(seen);
	run__done(&r);
}

/* Few hits, and nobody fills the stage: the next drain has them. */
static int child_few(struct run *r)
{
	probe_regs(1, 2);
	probe_none();
	probe_twelve(5);
	r->shared->ready = 1;
	while (!r->shared->stop)
		usleep(100);
	return 0;
}

static void test_few_are_there_at_once(void **state)
{
	struct run r;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){});
	pid = run__child(&r, child_few);
	run__target(&r, pid);
	while (!r.shared->ready)
		usleep(100);
	run__poll(&r);
	assert_int_equal(r.kept.kind[WIRE_HIT], 3);
	assert_int_equal(val(hit(&r, "regs", 0), 1), 2);
	assert_int_equal(hit(&r, "none", 0)->arg_cnt, 0);
	assert_int_equal(val(hit(&r, "twelve", 0), 0), 5);
	assert_int_equal(val(hit(&r, "twelve", 0), 11), 11);
	if (r.f.stages)
		assert_true(hit(&r, "none", 0)->head.cpu >= libbpf_num_possible_cpus());
	r.shared->stop = 1;
	run__wait(&r, pid);
	run__done(&r);
}

/* --- waking ------------------------------------------------------------------------------------------------------------------------ */

static void test_wakes_by_fill(void **state)
{
	u64 drained, before;
	struct run r;
	pid_t pid;

	(void)state;
	run__init(&r, &(struct run_opts){.ring_bytes = 1 << 20});
	pid = run__child(&r, child_many_hits);
	run__target(&r, pid);
	before = clock__mono_ns();
	assert_true(attach__poll(r.a, 20000, &drained) > 0); /* returns long before, as the ring fills */
	assert_true(drained <= clock__mono_ns());
	/* a stage that was held at that moment says nothing new about the time: the next look, or the one after it, does */
	for (int i = 0; i < 100 && drained < before; i++)
		attach__poll(r.a, 10, &drained);
	assert_true(drained >= before && drained <= clock__mono_ns());
	run__wait(&r, pid);
	assert_int_equal(r.kept.kind[WIRE_HIT], 20000);
	run__done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		{"test_forms without uprobe_multi", test_forms, NULL, NULL, "uprobe_multi"},
		{"test_forms without cookies", test_forms, NULL, NULL, "uprobe_multi,uprobe_cookie"},
		cmocka_unit_test(test_texts),
		{"test_texts without sleepable", test_texts, NULL, NULL, "sleepable"},
		cmocka_unit_test(test_longest_texts),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_faults_without_sleep),
		cmocka_unit_test(test_ring_full),
		cmocka_unit_test(test_end_of_a_flood),
		{"test_ring_full without stages", test_ring_full, NULL, NULL, "stages"},
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_few_are_there_at_once),
		cmocka_unit_test(test_crowd),
		{"test_crowd without stages", test_crowd, NULL, NULL, "stages"},
		cmocka_unit_test(test_wakes_by_fill),
	};
	int skip = need_root();

	return skip ? skip : cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
