/* SPDX-License-Identifier: MIT */
#include "flight/policy_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

#define OWN_VARIABLES 8

struct variables {
	char *own[OWN_VARIABLES];
	u32 cnt;
	bool failed;
};

static void add(struct variables *v, const char *name, const char *text)
{
	if (asprintf(&v->own[v->cnt], "%s=%s", name, text) < 0)
		v->failed = true;
	else
		v->cnt++;
}

static void add_number(struct variables *v, const char *name, u64 number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	add(v, name, text);
}

static void make_variables(struct variables *v, const struct trigger_fired *f, const struct policy_snapshot *s)
{
	*v = (struct variables){0};
	add(v, "TAPEBPF_SNAPSHOT", s->path);
	add(v, "TAPEBPF_TRIGGER", f->trigger);
	add(v, "TAPEBPF_WHAT", f->what);
	add_number(v, "TAPEBPF_PID", f->pid);
	add_number(v, "TAPEBPF_BYTES", s->bytes);
	add_number(v, "TAPEBPF_SPANS", s->spans);
	add_number(v, "TAPEBPF_LOST", s->lost);
	add_number(v, "TAPEBPF_SWALLOWED", s->swallowed);
}

/* Ours, then the inherited ones but for those of the same name. NULL: no memory. */
static char **make_environment(const struct variables *v)
{
	size_t inherited = 0, n = 0;
	char **env;

	while (environ && environ[inherited])
		inherited++;
	env = calloc(inherited + v->cnt + 1, sizeof(*env));
	if (!env || v->failed) {
		free(env);
		return NULL;
	}
	for (u32 i = 0; i < v->cnt; i++)
		env[n++] = v->own[i];
	for (size_t i = 0; i < inherited; i++) {
		bool ours = false;

		for (u32 j = 0; j < v->cnt && !ours; j++)
			ours = !strncmp(environ[i], v->own[j], strcspn(v->own[j], "=") + 1);
		if (!ours)
			env[n++] = environ[i];
	}
	return env;
}

static int set_attributes(posix_spawnattr_t *a)
{
	sigset_t all, none;
	int err;

	sigfillset(&all);
	sigemptyset(&none);
	err = posix_spawnattr_setsigdefault(a, &all);
	err = err ? err : posix_spawnattr_setsigmask(a, &none);
	err = err ? err : posix_spawnattr_setpgroup(a, 0);
	return err ? err : posix_spawnattr_setflags(a, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
							       POSIX_SPAWN_SETPGROUP);
}

static int spawn(const char *command, char **env, pid_t *pid)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err = posix_spawn_file_actions_init(&files);

	if (err)
		return err;
	err = posix_spawnattr_init(&attr);
	if (err) {
		posix_spawn_file_actions_destroy(&files);
		return err;
	}
	err = set_attributes(&attr);
	err = err ? err : posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	err = err ? err : posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
	err = err ? err : posix_spawn(pid, "/bin/sh", &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return err;
}

/* The recorder may have asked for precedence; what it runs has none. It leads a group, so what it has started already is meant too. */
static void no_precedence(pid_t pid)
{
	if (getpriority(PRIO_PROCESS, 0) < 0)
		setpriority(PRIO_PGRP, (id_t)pid, 0);
}

int policy_commands__start(struct policy_commands *c, const char *command, const struct trigger_fired *f,
			   const struct policy_snapshot *s, struct diag *d)
{
	struct variables v;
	char **env;
	int err;

	if (c->cnt == POLICY_MAX_COMMANDS)
		return diag__set(d, -EAGAIN, "the command of --exec was not run: %d of them have not ended", POLICY_MAX_COMMANDS);
	make_variables(&v, f, s);
	env = make_environment(&v);
	err = env ? spawn(command, env, &c->pid[c->cnt]) : ENOMEM;
	free(env);
	for (u32 i = 0; i < v.cnt; i++)
		free(v.own[i]);
	if (err)
		return diag__set(d, -err, "cannot run the command of --exec: %s", strerror(err));
	no_precedence(c->pid[c->cnt]);
	c->cnt++;
	return 0;
}

static bool went_well(int status, struct diag *d)
{
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	if (WIFSIGNALED(status))
		diag__set(d, -ECHILD, "the command of --exec was killed by signal %d", WTERMSIG(status));
	else
		diag__set(d, -ECHILD, "the command of --exec ended with status %d", WEXITSTATUS(status));
	return false;
}

u32 policy_commands__reap(struct policy_commands *c, struct diag *d)
{
	u32 bad = 0, kept = 0;

	for (u32 i = 0; i < c->cnt; i++) {
		int status = 0;
		pid_t got = waitpid(c->pid[i], &status, WNOHANG);

		if (got == 0 || (got < 0 && errno == EINTR))
			c->pid[kept++] = c->pid[i];
		else if (got > 0)
			bad += !went_well(status, d);
	}
	c->cnt = kept;
	return bad;
}
