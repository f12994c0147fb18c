/* SPDX-License-Identifier: MIT */
/*
 * features.c - what this kernel can do, found by trying it: load a program of a few instructions, make a map, put a
 * uprobe with a reference counter on a function of our own and look whether the counter rises. Versions lie (vendors
 * backport, configurations leave out); trying does not.
 */
#include "attach/features.h"
#include "attach/tracefs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* What the uprobes of the probing are put on: never called. The counter lies in a writable, file-backed page. */
__attribute__((noinline, used)) static void uprobe_here(void)
{
	__asm__ volatile("nop");
}
/*
 * One with a counter has a place of its own: the kernel refuses a place with a counter while another process, perhaps a recorder
 * that starts at the same time, has it without.
 */
__attribute__((noinline, used)) static void counted_here(void)
{
	__asm__ volatile("nop\n\tnop"); /* not alike, or the two may be folded into one */
}
static volatile u16 not_bss[2] __attribute__((used)) = {1, 0}; /* [1] is the counter: in .data, thus in the file */

/* BPF_TRACE_UPROBE_MULTI, which the kernel headers of Debian 12 do not have. */
#define ATTACH_UPROBE_MULTI ((enum bpf_attach_type)48)

#define INSN(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOV(r, v)	    INSN(BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, v)
#define CALL(f)		    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT		    INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static bool disabled(const char *what)
{
	const char *list = getenv("TAPEBPF_DISABLE"), *p = list;
	size_t n = strlen(what);

	while (p && (p = strstr(p, what))) {
		bool start = p == list || p[-1] == ',', end = !p[n] || p[n] == ',';

		if (start && end)
			return true;
		p += n;
	}
	return false;
}

static bool closed(int fd)
{
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* Load a kprobe-type program; a descriptor or negative errno. */
static int try_load(const struct bpf_insn *insn, size_t cnt, u32 flags, enum bpf_attach_type attach_type)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = flags, .expected_attach_type = attach_type);
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "tape_try", "Dual MIT/GPL", insn, cnt, &opts);

	return fd < 0 ? -errno : fd;
}

static int try_simple(u32 flags, enum bpf_attach_type attach_type)
{
	const struct bpf_insn insn[] = {MOV(BPF_REG_0, 0), EXIT};

	return try_load(insn, ARRAY_SIZE(insn), flags, attach_type);
}

static bool has_cookie(void)
{
	const struct bpf_insn insn[] = {CALL(BPF_FUNC_get_attach_cookie), MOV(BPF_REG_0, 0), EXIT};

	return closed(try_load(insn, ARRAY_SIZE(insn), 0, 0));
}

static bool has_sleepable(void)
{
	const struct bpf_insn insn[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, -8),
		MOV(BPF_REG_2, 8),
		MOV(BPF_REG_3, 0),
		CALL(BPF_FUNC_copy_from_user),
		MOV(BPF_REG_0, 0),
		EXIT,
	};

	return closed(try_load(insn, ARRAY_SIZE(insn), BPF_F_SLEEPABLE, 0));
}

/* A program that exchanges a word on its stack; run, it says that the word was 0. */
static bool has_stages(void)
{
	const struct bpf_insn insn[] = {
		INSN(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -8, 0),
		MOV(BPF_REG_0, 1),
		INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_10, BPF_REG_0, -8, BPF_XCHG),
		EXIT,
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "tape_try", "Dual MIT/GPL", insn, ARRAY_SIZE(insn), NULL), err;
	u64 ctx[1] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = sizeof(ctx), .retval = 1);

	if (fd < 0)
		return false;
	err = bpf_prog_test_run_opts(fd, &opts);
	close(fd);
	return !err && !opts.retval;
}

static bool has_ringbuf(void)
{
	return closed(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "tape_try", 0, 0, sysconf(_SC_PAGESIZE), NULL));
}

/* --- uprobes ------------------------------------------------------------------------------------------------------------ */

/*
 * The file that we run from, by the kernel's own link: its path may be long, or gone, or somebody else's by now (an
 * upgrade replaces it under a recorder that is just starting).
 */
#define SELF "/proc/self/exe"

/* Offset in that file of an address of ours. */
static int locate(const volatile void *addr, u64 *offset)
{
	unsigned long start, end, off, a = (unsigned long)addr;
	char line[8192];
	int err = -ENOENT;
	FILE *f = fopen("/proc/self/maps", "re");

	if (!f)
		return -errno;
	while (err && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &off) != 3 || a < start || a >= end)
			continue;
		*offset = a - start + off;
		err = 0;
	}
	fclose(f);
	return err;
}

static int uprobe_type(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &type) != 1)
		type = -1;
	fclose(f);
	return type;
}

static int perf_uprobe(u64 offset, u64 ref_ctr)
{
	struct perf_event_attr attr = {
		.type = uprobe_type(),
		.size = sizeof(attr),
		.config = ref_ctr << 32, /* PERF_UPROBE_REF_CTR_OFFSET_SHIFT */
		.uprobe_path = (u64)(uintptr_t)SELF,
		.probe_offset = offset,
	};
	int fd;

	if ((int)attr.type < 0)
		return -ENOENT;
	fd = syscall(SYS_perf_event_open, &attr, getpid(), -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool has_uprobe(u64 offset)
{
	return closed(perf_uprobe(offset, 0));
}

static int multi_uprobe(u64 offset, u64 ref_ctr)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int prog = try_simple(0, ATTACH_UPROBE_MULTI), link;
	unsigned long off = offset, ref = ref_ctr;

	if (prog < 0)
		return prog;
	opts.uprobe_multi.path = SELF;
	opts.uprobe_multi.offsets = &off;
	opts.uprobe_multi.ref_ctr_offsets = ref_ctr ? &ref : NULL;
	opts.uprobe_multi.cnt = 1;
	opts.uprobe_multi.pid = getpid();
	link = bpf_link_create(prog, 0, ATTACH_UPROBE_MULTI, &opts);
	close(prog);
	return link;
}

/*
 * Does the counter rise while the probe is in place, and fall after it? By the way that will be used: CAP_BPF with
 * CAP_PERFMON is enough for a multi link, a uprobe of perf asks for CAP_SYS_ADMIN.
 */
static bool has_ref_ctr(bool multi)
{
	u64 offset, ref_ctr;
	u16 before = not_bss[1], during;
	int fd;

	if (locate(&not_bss[1], &ref_ctr) || locate((void *)counted_here, &offset))
		return false;
	fd = multi ? multi_uprobe(offset, ref_ctr) : perf_uprobe(offset, ref_ctr);
	if (fd < 0)
		return false;
	during = not_bss[1];
	close(fd);
	return during == (u16)(before + 1);
}

static void probe_uprobes(struct features *f)
{
	u64 offset;

	if (locate((void *)uprobe_here, &offset))
		return;
	f->uprobe_multi = !disabled("uprobe_multi") && closed(multi_uprobe(offset, 0));
	f->uprobes = f->uprobe_multi || has_uprobe(offset);
	f->ref_ctr = !disabled("ref_ctr") && has_ref_ctr(f->uprobe_multi);
	f->uprobe_cookie = f->uprobe_multi || (!disabled("uprobe_cookie") && has_cookie());
	/* Sleepable ones came later than cookies (6.0 against 5.15), and perf_link.c does not copy them. */
	f->sleepable_uprobe = !disabled("sleepable") && f->uprobe_cookie && has_sleepable();
}

/* --- task hooks ------------------------------------------------------------------------------------------------------------ */

/* Number of parameters of a tracepoint (its data pointer not counted), -1: there is none. */
static int tracepoint_args(const struct btf *btf, const char *name)
{
	const struct btf_type *t;
	char full[96];
	int id;

	snprintf(full, sizeof(full), "btf_trace_%s", name);
	id = btf__find_by_name_kind(btf, full, BTF_KIND_TYPEDEF);
	if (id < 0)
		return -1;
	t = btf__type_by_id(btf, btf__type_by_id(btf, id)->type);
	if (!t || !btf_is_ptr(t))
		return -1;
	t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) ? btf_vlen(t) - 1 : -1;
}

static bool has_fentry(const struct btf *btf, const char *func)
{
	const struct bpf_insn insn[] = {MOV(BPF_REG_0, 0), EXIT};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY);
	int id = btf__find_by_name_kind(btf, func, BTF_KIND_FUNC), prog, link;

	if (id < 0)
		return false;
	opts.attach_btf_id = id;
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "tape_try", "Dual MIT/GPL", insn, ARRAY_SIZE(insn), &opts);
	if (prog < 0)
		return false;
	link = bpf_link_create(prog, 0, BPF_TRACE_FENTRY, NULL);
	if (link < 0) /* before 5.17 by the older call */
		link = bpf_raw_tracepoint_open(NULL, prog);
	close(prog);
	return closed(link);
}

static bool has_kprobe(const char *func)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .kprobe_func = (u64)(uintptr_t)func};
	FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int type = -1;

	if (!f)
		return false;
	if (fscanf(f, "%d", &type) != 1)
		type = -1;
	fclose(f);
	attr.type = type;
	return type >= 0 && closed(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

static enum exit_hook find_exit_hook(const struct btf *btf)
{
	if (!disabled("process_exit") && tracepoint_args(btf, "sched_process_exit") >= 2)
		return EXIT_HOOK_SCHED_PROCESS_EXIT;
	if (!disabled("fentry") && has_fentry(btf, "do_exit"))
		return EXIT_HOOK_DO_EXIT_FENTRY;
	if (!disabled("kprobe") && has_kprobe("do_exit"))
		return EXIT_HOOK_DO_EXIT_KPROBE;
	if (!disabled("mmap_lock") && tracepoint_args(btf, "mmap_lock_start_locking") > 0)
		return EXIT_HOOK_MMAP_LOCK;
	return EXIT_HOOK_NONE;
}

static enum exec_hook find_exec_hook(const struct btf *btf)
{
	if (!disabled("prepare_exec") && tracepoint_args(btf, "sched_prepare_exec") >= 2)
		return EXEC_HOOK_SCHED_PREPARE_EXEC;
	if (!disabled("fentry") && has_fentry(btf, "begin_new_exec"))
		return EXEC_HOOK_BEGIN_NEW_EXEC_FENTRY;
	if (!disabled("kprobe") && has_kprobe("begin_new_exec"))
		return EXEC_HOOK_BEGIN_NEW_EXEC_KPROBE;
	if (!disabled("sys_enter") && tracepoint_args(btf, "sys_enter") >= 2)
		return EXEC_HOOK_SYS_ENTER;
	return EXEC_HOOK_NONE;
}

static void probe_hooks(struct features *f)
{
	struct btf *btf = disabled("btf") ? NULL : btf__load_vmlinux_btf();

	f->btf = btf != NULL;
	if (!btf)
		return;
	f->exit_hook = find_exit_hook(btf);
	f->exec_hook = find_exec_hook(btf);
	btf__free(btf);
}

/* --- the rest ---------------------------------------------------------------------------------------------------------------- */

static bool file_has(const char *path, const char *what)
{
	char text[256] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return strstr(text, what) != NULL;
}

static bool clock_is_ticks(void)
{
#if defined(__aarch64__)
	const char *name = "arch_sys_counter";
#else
	const char *name = "tsc";
#endif
	return file_has("/sys/devices/system/clocksource/clocksource0/current_clocksource", name);
}

static bool has_mmap2(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.exclude_kernel = 1,
	};

	return closed(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

static void probe_caps(struct features *f)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct c[2] = {};

	if (syscall(SYS_capget, &h, c))
		return;
#define HAS(cap) (c[(cap) / 32].effective >> (cap) % 32 & 1)
	f->cap_bpf = HAS(CAP_BPF);
	f->cap_perfmon = HAS(CAP_PERFMON);
	f->cap_sys_admin = HAS(CAP_SYS_ADMIN);
	f->cap_sys_ptrace = HAS(CAP_SYS_PTRACE);
#undef HAS
}

static enum arm_way find_arm_way(const struct features *f)
{
	if (f->uprobe_multi && f->ref_ctr)
		return ARM_UPROBE_MULTI;
	if (!f->uprobes)
		return ARM_NONE;
	return f->tracefs ? ARM_TRACEFS_EVENT : ARM_PERF_LINKS;
}

static int no_output(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

int features__probe(struct features *f, struct diag *d)
{
	int fd;

	memset(f, 0, sizeof(*f));
	libbpf_set_print(no_output);
	probe_caps(f);
	f->lockdown_confidentiality = file_has("/sys/kernel/security/lockdown", "[confidentiality]");
	f->tsc = !disabled("tsc") && clock_is_ticks();
	fd = try_simple(0, 0);
	f->bpf = closed(fd);
	f->bpf_errno = fd < 0 ? -fd : 0;
	probe_hooks(f);
	if (!f->bpf)
		return 0;
	f->ringbuf = has_ringbuf();
	f->perf_mmap2 = !disabled("perf_mmap2") && has_mmap2();
	f->tracefs = !disabled("tracefs") && tracefs__dir();
	probe_uprobes(f);
	f->arm = find_arm_way(f);
	/* Without cookies each probe has a copy of its program, made of instructions: not worth it for one more. */
	f->stages = f->uprobe_cookie && !disabled("stages") && has_stages();
	return 0;
}

const char *exit_hook__name(enum exit_hook h)
{
	static const char *const name[] = {
		[EXIT_HOOK_NONE] = "none",
		[EXIT_HOOK_SCHED_PROCESS_EXIT] = "tp_btf/sched_process_exit",
		[EXIT_HOOK_DO_EXIT_FENTRY] = "fentry/do_exit",
		[EXIT_HOOK_DO_EXIT_KPROBE] = "kprobe/do_exit",
		[EXIT_HOOK_MMAP_LOCK] = "tp_btf/mmap_lock_start_locking",
	};

	return h < ARRAY_SIZE(name) ? name[h] : "?";
}

const char *exec_hook__name(enum exec_hook h)
{
	static const char *const name[] = {
		[EXEC_HOOK_NONE] = "none",
		[EXEC_HOOK_SCHED_PREPARE_EXEC] = "tp_btf/sched_prepare_exec",
		[EXEC_HOOK_BEGIN_NEW_EXEC_FENTRY] = "fentry/begin_new_exec",
		[EXEC_HOOK_BEGIN_NEW_EXEC_KPROBE] = "kprobe/begin_new_exec",
		[EXEC_HOOK_SYS_ENTER] = "tp_btf/sys_enter",
	};

	return h < ARRAY_SIZE(name) ? name[h] : "?";
}

const char *arm_way__name(enum arm_way w)
{
	static const char *const name[] = {
		[ARM_NONE] = "none",
		[ARM_UPROBE_MULTI] = "uprobe_multi",
		[ARM_TRACEFS_EVENT] = "tracefs event",
		[ARM_PERF_LINKS] = "perf links",
	};

	return w < ARRAY_SIZE(name) ? name[w] : "?";
}
