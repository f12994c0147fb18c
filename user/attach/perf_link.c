/* SPDX-License-Identifier: MIT */
/*
 * perf_link.c - probes on kernels without BPF cookies (before 5.15). What a cookie would say is compiled in: each probe
 * gets a copy of its program in which the constant COOKIE_MARK is replaced. Such kernels take a perf event per
 * site anyway, which is the dearer part.
 */
#include "attach/attach_priv.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define LD_IMM64 (BPF_LD | BPF_DW | BPF_IMM)

/* Replace the mark; how often it was there. */
static int set_cookie(struct bpf_insn *insn, size_t cnt, u64 cookie)
{
	size_t i;
	int n = 0;

	for (i = 0; i + 1 < cnt; i++) {
		if (insn[i].code != LD_IMM64 || insn[i].src_reg)
			continue;
		if ((u32)insn[i].imm == (u32)COOKIE_MARK && (u32)insn[i + 1].imm == (u32)(COOKIE_MARK >> 32)) {
			insn[i].imm = (s32)(u32)cookie;
			insn[i + 1].imm = (s32)(u32)(cookie >> 32);
			n++;
		}
		i++; /* the second half */
	}
	return n;
}

/* A copy of a loaded program: its instructions are those that libbpf passed to the kernel, maps resolved. */
static int copy_program(const struct bpf_program *prog, u64 cookie)
{
	size_t cnt = bpf_program__insn_cnt(prog);
	__free_ptr struct bpf_insn *insn = malloc(cnt * sizeof(*insn));
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = bpf_program__flags(prog));
	int fd;

	if (!insn)
		return -ENOMEM;
	memcpy(insn, bpf_program__insns(prog), cnt * sizeof(*insn));
	if (!set_cookie(insn, cnt, cookie) && strcmp(bpf_program__name(prog), "tape_idle"))
		return -ENOEXEC; /* only the idle program has no use for one */
	fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, bpf_program__name(prog), "Dual MIT/GPL", insn, cnt, &opts);
	return fd < 0 ? -errno : fd;
}

static int uprobe_type(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -ENOENT;

	if (!f)
		return -errno;
	if (fscanf(f, "%d", &type) != 1)
		type = -EIO;
	fclose(f);
	return type;
}

int perf_link__attach(struct bpf_program *prog, const char *path, int pid, u64 offset, u64 ref_ctr, u64 cookie,
		      int *prog_fd)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config = ref_ctr << 32, /* as the uprobe PMU's format/ref_ctr_offset says */
		.uprobe_path = (u64)(uintptr_t)path,
		.probe_offset = offset,
	};
	int type = uprobe_type(), fd, err;

	if (type < 0)
		return type;
	attr.type = type;
	*prog_fd = copy_program(prog, cookie);
	if (*prog_fd < 0)
		return *prog_fd;
	fd = syscall(SYS_perf_event_open, &attr, pid, pid < 0 ? 0 : -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0 && !ioctl(fd, PERF_EVENT_IOC_SET_BPF, *prog_fd) && !ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return fd;
	err = -errno;
	if (fd >= 0)
		close(fd);
	close(*prog_fd);
	*prog_fd = -1;
	return err;
}
