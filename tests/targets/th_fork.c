/* SPDX-License-Identifier: MIT */
/*
 * th_fork TRUTH HOW [CHILDREN [SPANS]] - HOW: plain (children record and end), nested (each child forks again), handler (the
 * fork happens in a signal handler that interrupts appends), first (the parent has not recorded before), vfork_first (a vfork
 * child records before its parent ever has).
 */
#define TAPE_PROVIDER th
#include "truth.h"
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static long children, spans;
static volatile sig_atomic_t forks;

static void work(const char *where, long n)
{
	long i;

	for (i = 0; i < n; i++)
		TRUTH_SPAN(, INFO, "work", (i, (uint64_t)i), (where, where));
}

/* A child, and its child if nested: the loop goes round in the grandchild. */
static void child(int nested)
{
	pid_t pid = 0;

	for (;; nested--) {
		truth_forked();
		work("child", spans);
		if (nested <= 0)
			_exit(0);
		pid = fork();
		if (pid)
			break;
	}
	waitpid(pid, NULL, 0);
	work("child again", spans);
	_exit(0);
}

static void on_alarm(int sig)
{
	pid_t pid;

	if (forks >= children)
		return;
	pid = fork();
	if (!pid) {
		signal(SIGALRM, SIG_IGN);
		truth_forked();
		work("child of handler", spans);
		_exit(0);
	}
	forks++;
	waitpid(pid, NULL, 0);
}

static void in_handler(void)
{
	struct itimerval every = { { 0, 500 }, { 0, 500 } }, off = { { 0, 0 }, { 0, 0 } };

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	while (forks < children)
		work("parent", 1);
	setitimer(ITIMER_REAL, &off, NULL);
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[2] : "plain";
	struct truth_slot *mine;
	pid_t pid;
	long i;

	if (argc < 3)
		return 2;
	children = truth_arg(argc, argv, 3, 20);
	spans = truth_arg(argc, argv, 4, 100);
	truth_open(argv[1]);
	if (!strcmp(how, "handler")) {
		in_handler();
	} else if (!strcmp(how, "vfork_first")) {
		mine = truth();
		pid = vfork();
		if (!pid) {
			mine->intended++;
			tape_event(INFO, "in_vfork_child", (n, 1));
			mine->committed++;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	} else {
		if (strcmp(how, "first"))
			work("parent", spans);
		for (i = 0; i < children; i++) {
			pid = fork();
			if (!pid)
				child(!strcmp(how, "nested"));
			work("between", 1);
			waitpid(pid, NULL, 0);
		}
	}
	work("parent", spans);
	printf("result %ld\n", children * spans);
	return 0;
}
