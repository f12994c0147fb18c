/* SPDX-License-Identifier: MIT */
/*
 * th_sandbox.c - a program that gives up its system calls, all but read, write and its end, on pain of death, and then traces.
 * Waits for a byte between the two. Exit status 0: it has lived.
 *
 * th_sandbox strict|filter SPANS
 */
#define TAPE_PROVIDER th_sandbox
#include "tape.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define ALLOW(nr, jump) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), (jump), 0)

static int give_up(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read, 3),
		ALLOW(SYS_write, 2),
		ALLOW(SYS_exit_group, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof(f) / sizeof(f[0]), f };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}

int main(int argc, char **argv)
{
	int strict = argc > 1 && !strcmp(argv[1], "strict");
	long i, n = argc > 2 ? atol(argv[2]) : 1;
	char c;

	if (!tape_prepare())
		return 2;
	if (strict ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) : give_up())
		return 3;
	if (write(1, "sealed\n", 7) != 7 || read(0, &c, 1) < 0)
		return 4;
	for (i = 0; i < n; i++) {
		tape_span(INFO, "sealed", (i, i));
	}
	if (write(1, "alive\n", 6) != 6)
		return 5;
	syscall(strict ? SYS_exit : SYS_exit_group, 0);
}
