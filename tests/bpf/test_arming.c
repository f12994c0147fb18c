/* SPDX-License-Identifier: MIT */
/*
 * test_arming.c - words that rise and fall: many sites, sites that another tracer holds, two recorders, the ways of
 * kernels without uprobe_multi. The callsites are made by hand: cold nops in a block, words in another.
 */
#include "bpf_harness.h"
#include "attach/tracefs.h"

#include <sys/mount.h>

#define SITES 2000

__asm__(".pushsection .text\n.globl cold_nops\ncold_nops:\n.rept 2000\nnop\n.endr\n.popsection\n");
extern const u8 cold_nops[];
static volatile u16 words[SITES + 1] __attribute__((section(".tape_words"), used)) = {1};

#if defined(__aarch64__)
#define NOP_BYTES 4
#else
#define NOP_BYTES 1
#endif

/* Where an address of this program lies in its file. */
static u64 offset_of(const volatile void *addr)
{
	unsigned long start, end, off, at = (unsigned long)addr;
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	u64 found = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &off) == 3 && at >= start && at < end)
			found = at - start + off;
	fclose(f);
	assert_true(found);
	return found;
}

static struct elf_tape_site *hand_made(u32 cnt)
{
	struct elf_tape_site *s = calloc(cnt, sizeof(*s));
	u64 nops = offset_of(cold_nops), at = offset_of(&words[1]);
	u32 i;

	for (i = 0; i < cnt; i++) {
		s[i].cold_offset = nops + i * NOP_BYTES;
		s[i].armed_offset = at + 2 * i;
	}
	return s;
}

struct arming {
	struct features f;
	struct attach *a;
	struct elf_file *elf, fake;
};

static void arming__init(struct arming *m, const char *disable, u32 cnt)
{
	struct attach_opts ao = {.sz = sizeof(ao), .features = &m->f, .ring_bytes = 65536};
	struct diag d = {};

	if (disable)
		setenv("TAPEBPF_DISABLE", disable, 1);
	assert_int_equal(features__probe(&m->f, &d), 0);
	unsetenv("TAPEBPF_DISABLE");
	assert_int_equal(elf_file__open("/proc/self/exe", NULL, &m->elf, &d), 0);
	assert_int_equal(attach__new(&ao, &m->a, &d), 0);
	m->fake = (struct elf_file){
		.path = m->elf->path,
		.dev = m->elf->dev,
		.ino = m->elf->ino,
		.tape_site = hand_made(cnt),
		.tape_site_cnt = cnt,
	};
}

static int arming__attach(struct arming *m, struct diag *d)
{
	struct attach_file_opts fo = {.sz = sizeof(fo), .pid = -1, .path = "/proc/self/exe"};

	return attach__add_file(m->a, &m->fake, &fo, d);
}

static void arming__done(struct arming *m)
{
	attach__free(m->a);
	free(m->fake.tape_site);
	elf_file__free(m->elf);
}

static u32 raised(u32 cnt, u16 to)
{
	u32 i, n = 0;

	for (i = 0; i < cnt; i++)
		n += words[1 + i] == to;
	return n;
}

static void arm(const char *disable, u32 cnt)
{
	struct arming m;
	u64 t0, t1, t2;

	arming__init(&m, disable, cnt);
	assert_int_equal(raised(cnt, 0), cnt);
	t0 = clock__mono_ns();
	assert_int_equal(arming__attach(&m, NULL), 0);
	t1 = clock__mono_ns();
	assert_int_equal(raised(cnt, 1), cnt);
	assert_int_equal(words[0], 1);
	t2 = clock__mono_ns();
	assert_int_equal(attach__stop(m.a), 0);
	print_message("%u sites by %s: up %.1f ms, down %.1f ms\n", cnt, arm_way__name(m.f.arm), (t1 - t0) / 1e6,
		      (clock__mono_ns() - t2) / 1e6);
	assert_int_equal(raised(cnt, 0), cnt);
	arming__done(&m);
}

static void test_uprobe_multi(void **state)
{
	struct features f;

	(void)state;
	features__probe(&f, NULL);
	if (!f.uprobe_multi) {
		print_message("no uprobe_multi here\n");
		skip();
	}
	arm(NULL, SITES);
}

static void test_perf_links(void **state)
{
	(void)state;
	arm("uprobe_multi,tracefs", 5);
}

static void need_tracefs(void)
{
	if (tracefs__dir())
		return;
	print_message("no tracefs with uprobe_events here\n");
	skip();
}

static void test_tracefs_event(void **state)
{
	(void)state;
	need_tracefs();
	arm("uprobe_multi", SITES);
}

/* The word counts breakpoints, not tracers: with two recorders it is 1, and falls when the last one goes. */
static void test_two_recorders(void **state)
{
	struct arming a, b;

	(void)state;
	arming__init(&a, NULL, 10);
	arming__init(&b, NULL, 10);
	assert_int_equal(arming__attach(&a, NULL), 0);
	assert_int_equal(arming__attach(&b, NULL), 0);
	assert_int_equal(raised(10, 1), 10);
	arming__done(&a);
	assert_int_equal(raised(10, 1), 10);
	arming__done(&b);
	assert_int_equal(raised(10, 0), 10);
}

/* Another tracer holds some of the nops with other counters: all the others are armed all the same. */
static void test_another_tracer(void **state)
{
	struct arming a, b;
	struct diag d = {};
	u32 i;

	if (*state)
		need_tracefs();
	arming__init(&a, *state, 3);
	arming__init(&b, *state, SITES);
	for (i = 0; i < 3; i++) { /* nops 100, 101, 1999 with the counters of 10, 11, 12 */
		a.fake.tape_site[i].cold_offset = b.fake.tape_site[i == 2 ? 1999 : 100 + i].cold_offset;
		a.fake.tape_site[i].armed_offset = b.fake.tape_site[10 + i].armed_offset;
	}
	if (b.f.arm == ARM_PERF_LINKS) {
		arming__done(&b);
		arming__done(&a);
		print_message("neither uprobe_multi nor tracefs here\n");
		skip();
	}
	assert_int_equal(arming__attach(&a, NULL), 0);
	assert_int_equal(raised(SITES, 1), 3);
	assert_int_equal(arming__attach(&b, &d), -EBUSY);
	assert_non_null(strstr(d.text, "3 of 2000"));
	for (i = 0; i < SITES; i++) {
		bool taken = i == 100 || i == 101 || i == 1999;

		assert_int_equal(b.fake.tape_site[i].bad != NULL, taken);
		assert_int_equal(words[1 + i] > 0, !taken);
	}
	arming__done(&b);
	arming__done(&a);
	assert_int_equal(raised(SITES, 0), SITES);
}

/* A recorder that is killed leaves nothing. */
static void test_killed(void **state)
{
	struct arming m;
	int status, i;
	pid_t pid;

	(void)state;
	arming__init(&m, NULL, 100);
	pid = fork();
	if (!pid) {
		struct arming own;

		arming__init(&own, NULL, 100);
		arming__attach(&own, NULL);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	for (i = 0; i < 200 && raised(100, 0) != 100; i++)
		usleep(10000);
	assert_int_equal(raised(100, 0), 100);
	arming__done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uprobe_multi),   cmocka_unit_test(test_perf_links),
		cmocka_unit_test(test_tracefs_event),  cmocka_unit_test(test_two_recorders),
		cmocka_unit_test(test_another_tracer),
		{"test_another_tracer without uprobe_multi", test_another_tracer, NULL, NULL, "uprobe_multi"},
		cmocka_unit_test(test_killed),
	};
	int skip = need_root(), status;
	bool mounted;

	if (skip)
		return skip;
	mounted = !tracefs__dir() && !mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	if (mounted)
		umount("/sys/kernel/tracing");
	return status;
}
