/* SPDX-License-Identifier: MIT */
/*
 * features.h - what this kernel can do, found by trying, never from its version. `doctor` prints it, attach uses it.
 */
#ifndef TAPEBPF_FEATURES_H
#define TAPEBPF_FEATURES_H

#include "base/diag.h"
#include "base/util.h"

enum exit_hook {
	EXIT_HOOK_NONE,
	EXIT_HOOK_SCHED_PROCESS_EXIT, /* runs before exit_mm: 6.16+ (group_dead argument present in BTF) */
	EXIT_HOOK_DO_EXIT_FENTRY,
	EXIT_HOOK_DO_EXIT_KPROBE,
	EXIT_HOOK_MMAP_LOCK, /* tp_btf/mmap_lock_start_locking */
};
enum exec_hook {
	EXEC_HOOK_NONE,
	EXEC_HOOK_SCHED_PREPARE_EXEC,
	EXEC_HOOK_BEGIN_NEW_EXEC_FENTRY,
	EXEC_HOOK_BEGIN_NEW_EXEC_KPROBE,
	EXEC_HOOK_SYS_ENTER,
};
enum arm_way { ARM_NONE, ARM_UPROBE_MULTI, ARM_TRACEFS_EVENT, ARM_PERF_LINKS };

struct features {
	bool bpf;	    /* programs load at all */
	int bpf_errno;	    /* why not */
	bool btf;	    /* /sys/kernel/btf/vmlinux */
	bool uprobes;
	bool uprobe_multi, sleepable_uprobe, uprobe_cookie, ringbuf;
	bool copy_from_user_task;
	bool stages;	    /* hits can be gathered: atomic exchange in programs, and programs that can be run at will */
	bool ref_ctr;	    /* reference counters of uprobes */
	bool perf_mmap2;    /* software perf events for mapped files */
	bool tracefs;
	bool cap_bpf, cap_perfmon, cap_sys_admin, cap_sys_ptrace;
	bool lockdown_confidentiality;
	bool tsc;	    /* current clocksource lets ticks be used */
	enum exit_hook exit_hook;
	enum exec_hook exec_hook;
	enum arm_way arm;
};

/* Environment TAPEBPF_DISABLE="uprobe_multi,sleepable,prepare_exec,process_exit,..." makes features look absent, so that
 * the fall-backs can be tested on any kernel. 0, or negative errno if nothing could be probed at all. */
int features__probe(struct features *f, struct diag *d);
const char *exit_hook__name(enum exit_hook h);
const char *exec_hook__name(enum exec_hook h);
const char *arm_way__name(enum arm_way w);

#endif
