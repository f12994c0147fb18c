/* SPDX-License-Identifier: MIT */
/*
 * th_exec TRUTH HOW [SPANS] - records, then execs itself (which records again, then ends). HOW: main (from the main
 * thread), thread (from another, while the main thread lives), fail (an exec that fails first, then main), fork (a child execs),
 * spawn (posix_spawn), vfork, last (what the new image does).
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static char **args;
static long spans;

static void work(const char *where)
{
	long i;

	for (i = 0; i < spans; i++)
		TRUTH_SPAN(, INFO, "work", (i, (uint64_t)i), (where, where));
}

static char **again(void)
{
	static char *v[5];

	v[0] = args[0];
	v[1] = args[1];
	v[2] = (char *)"last";
	v[3] = args[3];
	return v;
}

static void *thread(void *arg)
{
	work("thread");
	execv("/proc/self/exe", again());
	_exit(9);
	return NULL;
}

static void *other(void *arg)
{
	work("other");
	for (;;)
		pause();
	return NULL;
}

static int wait_for(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int run(const char *how)
{
	pthread_t t;
	pid_t pid;
	int status = 0;

	if (!strcmp(how, "thread")) {
		pthread_create(&t, NULL, other, NULL);
		pthread_create(&t, NULL, thread, NULL);
		for (;;)
			pause();
	}
	if (!strcmp(how, "fail")) {
		execv("/nonexistent/program", again());
		TRUTH(tape_warn("exec failed: %d", errno));
		work("after");
	}
	if (!strcmp(how, "fork")) {
		pid = fork();
		if (!pid) {
			truth_forked();
			work("child");
			execv("/proc/self/exe", again());
			_exit(9);
		}
		status = wait_for(pid);
		work("parent");
	} else if (!strcmp(how, "spawn")) {
		posix_spawn(&pid, "/proc/self/exe", NULL, NULL, again(), environ);
		status = wait_for(pid);
		work("parent");
	} else if (!strcmp(how, "vfork")) {
		pid = vfork();
		if (!pid) {
			TRUTH(tape_event(INFO, "in_vfork_child", (n, 1)));
			execv("/proc/self/exe", again());
			_exit(9);
		}
		status = wait_for(pid);
		work("parent");
	} else if (strcmp(how, "last")) {
		execv("/proc/self/exe", again());
		_exit(9);
	}
	return status;
}

int main(int argc, char **argv)
{
	static char count[32] = "1000";
	static char *own[5];
	int status;

	if (argc < 3)
		return 2;
	own[0] = argv[0];
	own[1] = argv[1];
	own[2] = argv[2];
	own[3] = argc > 3 ? argv[3] : count;
	args = own;
	spans = strtol(own[3], NULL, 0);
	truth_open(argv[1]);
	work(argv[2]);
	status = run(argv[2]);
	printf("result %ld\n", spans);
	return status;
}
