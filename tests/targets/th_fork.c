/* SPDX-License-Identifier: MIT */
/*
 * th_fork HOW TRUTH CHILDREN [PROGRAM] - children by every call that makes one, with records pending and a span open in the parent.
 * HOW: fork, nested, exec, vfork, vfork_first, vfork_exec, spawn, handler. Prints how many children ended as they should.
 */
#define TAPE_PROVIDER th_fork
#include <tape.h>

#include "truth.h"

#include <spawn.h>
#include <sys/time.h>
#include <sys/wait.h>

extern char **environ;

static struct truth_slot *mine;
static const char *how, *program, *truth_path;
static int child_cnt, good;

static void ticks(struct truth_slot *s, int cnt)
{
	while (cnt--)
		TRUTH_EVENT(s, "tick");
}

static void reap(pid_t pid, int want)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	good += WIFEXITED(status) && WEXITSTATUS(status) == want;
}

static void child(int i)
{
	struct truth_slot *s = truth__take();

	mine = s;
	TRUTH_SPAN(s, "child", ticks(s, 20));
	if (!strcmp(how, "nested")) {
		pid_t pid = fork();

		if (!pid) {
			s = truth__take();
			TRUTH_SPAN(s, "grandchild", ticks(s, 10));
			_exit(2);
		}
		ticks(s, 5);
		good = 0;
		reap(pid, 2);
		if (!good)
			_exit(1);
	}
	if (!strcmp(how, "exec"))
		execl(program, program, "return", truth_path, "50", "1", (char *)NULL);
	if (i & 1)
		exit(3);
	_exit(3);
}

static void one_fork(int i)
{
	pid_t pid;

	ticks(mine, 7);
	pid = fork();
	if (!pid)
		child(i);
	ticks(mine, 5);
	reap(pid, strcmp(how, "exec") ? 3 : 4);
}

/* The child runs on the parent's memory; what it records stays in the parent's page. */
static __attribute__((noinline)) void one_vfork(int exec)
{
	pid_t pid = vfork();

	if (!pid) {
		if (!mine)
			mine = truth__take();
		ticks(mine, 30);
		if (exec)
			execl(program, program, "return", truth_path, "50", "1", (char *)NULL);
		_exit(exec ? 127 : 3);
	}
	if (getpid() != (pid_t)mine->pid && !strcmp(how, "vfork_first")) {
		reap(pid, 3);
		mine = truth__take();
		ticks(mine, 40);
		return;
	}
	ticks(mine, 40);
	reap(pid, exec ? 4 : 3);
}

static void one_spawn(void)
{
	char *args[] = { (char *)program, "return", (char *)truth_path, "50", "1", NULL };
	pid_t pid;

	ticks(mine, 11);
	if (posix_spawn(&pid, program, NULL, NULL, args, environ))
		return;
	ticks(mine, 11);
	reap(pid, 4);
}

/* A handler that forks in the middle of an append. Every second child goes back into what was interrupted. */
static volatile sig_atomic_t forked, is_child;

static void on_alarm(int sig)
{
	struct truth_slot *s;

	(void)sig;
	if (forked >= child_cnt || fork())
		goto parent;
	truth__cut_off();
	s = truth__take();
	TRUTH_SPAN(s, "in_handler", ticks(s, 3));
	if (forked & 1)
		_exit(3);
	is_child = 1;
	return;
parent:	forked++;
}

static void forks_in_handlers(void)
{
	struct itimerval often = { { 0, 400 }, { 0, 400 } }, never = { { 0, 0 }, { 0, 0 } };
	int status;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	while (forked < child_cnt && !is_child) {
		struct truth_slot *s = mine;

		for (int i = 0; i < 100 && !is_child; i++)
			TRUTH_SPAN(s, "step", (void)0);
	}
	if (is_child) {
		mine = truth__take();
		TRUTH_SPAN(mine, "after_handler", ticks(mine, 20));
		_exit(3);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	while (waitpid(-1, &status, 0) > 0)
		good += WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	how = argv[1];
	truth_path = argv[2];
	child_cnt = atoi(argv[3]);
	program = argc > 4 ? argv[4] : "";
	truth__open(truth_path);
	if (!strcmp(how, "vfork_first"))
		one_vfork(0);
	else if (!strcmp(how, "handler"))
		mine = truth__take_far();
	else
		mine = truth__take();
	if (!strcmp(how, "handler")) {
		forks_in_handlers();
	} else if (strcmp(how, "vfork_first")) {
		uint64_t seq = truth__begin(mine);

		tape_span(INFO, "parent", (slot, mine->no), (seq, seq));
		truth__done(mine, seq);
		for (int i = 0; i < child_cnt; i++) {
			if (!strcmp(how, "vfork") || !strcmp(how, "vfork_exec"))
				one_vfork(!strcmp(how, "vfork_exec"));
			else if (!strcmp(how, "spawn"))
				one_spawn();
			else
				one_fork(i);
		}
		mine->other_intended++;
	}
	mine->other_committed = mine->other_intended;
	printf("%d\n", good);
	return 0;
}
