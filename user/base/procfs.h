/* SPDX-License-Identifier: MIT */
/*
 * procfs.h - what /proc says of processes.
 *
 * Every function may race with the process's end: -ESRCH or -ENOENT then, never a crash. Texts come from other
 * programs: pass them through base/text.h before showing them.
 */
#ifndef TAPEBPF_PROCFS_H
#define TAPEBPF_PROCFS_H

#include "base/util.h"

/* One executable mapping of a file. */
struct proc_map {
	u64 start, end, offset;
	u64 ino;
	const char *path; /* as the process sees it, with " (deleted)" if so; valid during the call */
};

/* Call fn for every executable, file-backed mapping. fn's non-zero return ends the walk and is returned. */
int procfs__maps(u32 pid, int (*fn)(void *ctx, const struct proc_map *m), void *ctx);

/*
 * Open (read-only, close-on-exec) the file behind a mapping: the very inode, also when its name is gone or belongs to
 * another file by now, or lies in another mount namespace. Falls back to the name where map_files is closed to us;
 * then -ESTALE if the inode there is another one.
 */
int procfs__open_map(u32 pid, const struct proc_map *m);

/* Does the process exist (and is not a zombie)? */
bool procfs__alive(u32 pid);
/* The thread group that a tid belongs to; 0: no such. */
u32 procfs__tgid(u32 tid);
/* Base name of the executable, or comm where it cannot be read. Always NUL-terminated. */
void procfs__exe_name(u32 pid, char *dst, size_t bytes);
/* Full path of the executable / command line with blanks between arguments; malloc'ed, NULL if unknown. */
char *procfs__exe(u32 pid);
char *procfs__cmdline(u32 pid);
/* comm of a thread, without the newline; "" if unknown. */
void procfs__comm(u32 pid, u32 tid, char comm[16]);
/* Fields of /proc/PID/stat and status. Unknown: 0. */
void procfs__ids(u32 pid, u32 *ppid, u64 *start_ns, u32 *ns_pid);
/* Call fn for every process. */
int procfs__each(int (*fn)(void *ctx, u32 pid), void *ctx);
/* Owner's uid, -1 if unknown. */
long procfs__uid(u32 pid);
/* 0: none, 1: strict mode, 2: filters of system calls; -1: unknown. */
int procfs__seccomp(u32 pid);

#endif
