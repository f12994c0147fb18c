/* SPDX-License-Identifier: MIT */
#include "base/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

struct seek {
	u64 addr;
	struct proc_map found;
	char path[4096];
	u32 calls;
};

static int seek_addr(void *ctx, const struct proc_map *m)
{
	struct seek *s = ctx;

	s->calls++;
	if (s->addr < m->start || s->addr >= m->end)
		return 0;
	s->found = *m;
	snprintf(s->path, sizeof(s->path), "%s", m->path);
	s->found.path = s->path;
	return 7;
}

static void test_maps(void **state)
{
	struct seek s = { .addr = (u64)(uintptr_t)test_maps };
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[n] = '\0';
	assert_int_equal(procfs__maps((u32)getpid(), seek_addr, &s), 7);
	assert_string_equal(s.path, exe);
	assert_int_equal(procfs__maps(4194304, seek_addr, &s), -ESRCH);
}

static pid_t run_copy_of_sleep(const char *path)
{
	char cmd[256];
	pid_t pid;

	snprintf(cmd, sizeof(cmd), "cp /bin/sleep %s && chmod 755 %s", path, path);
	assert_int_equal(system(cmd), 0);
	pid = fork();
	if (!pid) {
		execl(path, path, "30", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		__free_ptr char *exe = procfs__exe((u32)pid);

		if (exe && !strcmp(exe, path))
			return pid;
		usleep(10000);
	}
	fail_msg("the copy of sleep did not start");
	return 0;
}

struct open_by_ino {
	u64 ino;
	u32 pid;
	int fd;
};

static int open_by_ino(void *ctx, const struct proc_map *m)
{
	struct open_by_ino *o = ctx;

	if (m->ino != o->ino)
		return 0;
	o->fd = procfs__open_map(o->pid, m);
	return 1;
}

/* The mapped inode is opened although its name is gone and another file stands there. */
static void test_open_replaced(void **state)
{
	char path[] = "/tmp/test_procfs_XXXXXX";
	struct open_by_ino o = { .fd = -1 };
	struct stat want, got;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	o.pid = (u32)run_copy_of_sleep(path);
	assert_int_equal(stat(path, &want), 0);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY | O_EXCL, 0600));
	o.ino = want.st_ino;
	assert_int_equal(procfs__maps(o.pid, open_by_ino, &o), 1);
	if (geteuid() == 0) {
		assert_true(o.fd >= 0);
		assert_int_equal(fstat(o.fd, &got), 0);
		assert_int_equal(got.st_ino, want.st_ino);
		close(o.fd);
	} else {
		/* map_files is closed to us, and the name leads elsewhere: that has to be noticed */
		assert_true(o.fd < 0);
	}
	kill((pid_t)o.pid, SIGKILL);
	waitpid((pid_t)o.pid, NULL, 0);
	unlink(path);
}

static void test_alive(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	assert_true(procfs__alive((u32)pid));
	kill(pid, SIGKILL);
	/* a zombie is not alive */
	for (int i = 0; i < 500 && procfs__alive((u32)pid); i++)
		usleep(10000);
	assert_false(procfs__alive((u32)pid));
	waitpid(pid, &status, 0);
	assert_false(procfs__alive((u32)pid));
	assert_int_equal(procfs__tgid((u32)pid), 0);
}

/* comm may hold anything, ") Z 1" included. */
static void test_odd_comm(void **state)
{
	char comm[16];
	u32 ppid, ns_pid;
	u64 start_ns;

	prctl(PR_SET_NAME, "a) Z 1 (\n");
	assert_true(procfs__alive((u32)getpid()));
	procfs__comm((u32)getpid(), (u32)getpid(), comm);
	assert_memory_equal(comm, "a) Z 1 (", 8);
	procfs__ids((u32)getpid(), &ppid, &start_ns, &ns_pid);
	assert_int_equal(ppid, getppid());
	assert_true(start_ns > 0);
	assert_true(ns_pid > 0);
}

static void test_seccomp(void **state)
{
	int fd[2];
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(procfs__seccomp((u32)getpid()), 0);
	assert_int_equal(procfs__seccomp(4194304), -1);
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_SECCOMP, 1); /* strict */
		if (write(fd[1], "x", 1) == 1)
			for (;;)
				;
	}
	assert_int_equal(read(fd[0], &c, 1), 1);
	assert_int_equal(procfs__seccomp((u32)pid), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_open_replaced),
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_odd_comm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
