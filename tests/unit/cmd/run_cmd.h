/* SPDX-License-Identifier: MIT */
/*
 * run_cmd.h - a command as a process of its own: its exit status, and what it printed.
 *
 *	RUN(cmd_dump, -1, "--tree", path)	the status; output goes to descriptor 2nd, -1: nowhere
 *	RUN_TEXT(cmd_dump, &status, "--tree", path)	what it printed (free it)
 */
#ifndef TAPEBPF_RUN_CMD_H
#define TAPEBPF_RUN_CMD_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"

/* What a command says for humans goes to standard error: main.c's part, which is not linked here. */
int cmd__fail(int status, const struct diag *d)
{
	fprintf(stderr, "tapebpf: %s\n", d->text);
	return status;
}

static inline int run(int (*cmd)(int, char **), int out, int argc, char **argv)
{
	int status, null;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		dup2(out >= 0 ? out : null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		status = cmd(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline char *run_text(int (*cmd)(int, char **), int *status, int argc, char **argv)
{
	int fd = memfd_create("out", MFD_CLOEXEC);
	char *text;
	off_t bytes;

	*status = run(cmd, fd, argc, argv);
	bytes = lseek(fd, 0, SEEK_END);
	text = calloc(1, bytes + 1);
	assert_int_equal(pread(fd, text, bytes, 0), bytes);
	close(fd);
	return text;
}

#define RUN(cmd, out, ...) \
	run(cmd, out, sizeof((char *[]){ "x", __VA_ARGS__ }) / sizeof(char *), (char *[]){ "x", __VA_ARGS__, NULL })
#define RUN_TEXT(cmd, status, ...) \
	run_text(cmd, status, sizeof((char *[]){ "x", __VA_ARGS__ }) / sizeof(char *), (char *[]){ "x", __VA_ARGS__, NULL })

#endif
