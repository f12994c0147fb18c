/* SPDX-License-Identifier: MIT */
#include "cmd/foreground.h"

#include "base/procfs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define CHILD_GRACE_NS NSEC_PER_SEC /* after Ctrl-C, which the command got too */

static volatile sig_atomic_t stop_signal, usr2_signal;

static void on_signal(int sig)
{
	/* the second one is not waited for */
	stop_signal = stop_signal ? SIGQUIT : sig;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	/* a status line into a closed pipe must not kill the recording, nor a tape at the file size limit */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* A descriptor for each file with probes, more where the kernel wants a link a site. */
static void raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

/*
 * Traced programs that keep every CPU busy fill a ring in a quarter of a second. Woken, we have to run soon, and we use
 * little: so we ask for precedence, unless the user has said how nice to be.
 */
#define NICE -10

static void ask_precedence(void)
{
	if (getpriority(PRIO_PROCESS, 0) == 0)
		setpriority(PRIO_PROCESS, 0, NICE); /* not allowed: as it is */
}

int foreground__prepare(struct child *child, const struct target_opts *o, struct diag *d)
{
	int err = o->cmd ? child__start(child, o->cmd, d) : 0;

	catch_signals();
	raise_limits();
	ask_precedence();
	return err;
}

int foreground__attach(struct session *s, struct child *child, const struct target_opts *o, struct diag *d)
{
	int err = 0;

	for (u32 i = 0; i < o->pid_cnt && !err; i++)
		err = session__add_pid(s, o->pid[i], d);
	for (u32 i = 0; i < o->binary_cnt && !err; i++)
		err = session__add_binary(s, o->binary[i], d);
	if (!err && o->cmd)
		err = session__add_child(s, (u32)child->pid, child->path, child->libs, d);
	/* The first round says where the recording begins: before anybody is told that it has, and before the command runs. */
	if (!err)
		err = session__run(s, 0);
	if (err < 0 && !d->text[0])
		diag__set(d, err, "cannot begin to record: %s", strerror(-err));
	if (!err && o->cmd)
		err = child__go(child, d);
	return err;
}

bool foreground__over(struct session *s, struct child *child, u64 now, u64 *stop_at)
{
	bool ended = child__ended(child);

	if (stop_signal == SIGINT && child->pid && !ended) {
		/* Ctrl-C went to the command too: its end belongs on the tape */
		if (*stop_at > now + CHILD_GRACE_NS)
			*stop_at = now + CHILD_GRACE_NS;
	} else if (stop_signal) {
		return true;
	}
	if (now >= *stop_at)
		return true;
	/* -b alone waits for processes that are still to come; beside a command it is there to be attached early */
	if (session__forever(s) && !child->pid)
		return false;
	return !session__targets(s);
}

int foreground__no_probes(const struct session *s, const struct child *child, struct diag *d)
{
	struct session_sites f;

	session__sites(s, &f);
	if (f.files || !child->pid)
		return 0; /* -b waits for others */
	diag__set(d, -ENOENT, "%s has no probes: looked at %u file%s%s%s", child->path, f.looked, f.looked == 1 ? "" : "s",
		  f.command ? "; " : "", f.command ? f.command : "");
	diag__hint(d, "include tape.h or sys/sdt.h in the program; -b FILE attaches a library before it is loaded");
	return -ENOENT;
}

static void on_usr2(int sig)
{
	usr2_signal = 1;
}

void foreground__catch_usr2(void)
{
	struct sigaction sa = { .sa_handler = on_usr2 };

	sigaction(SIGUSR2, &sa, NULL);
}

bool foreground__usr2(void)
{
	bool come = usr2_signal;

	usr2_signal = 0;
	return come;
}

void foreground__exe(const struct child *child, const struct target_opts *o, char *dst, size_t bytes)
{
	const char *name = o->cmd ? child->path : o->binary_cnt ? o->binary[0] : NULL;

	if (name)
		snprintf(dst, bytes, "%s", strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	else
		procfs__exe_name(o->pid[0], dst, bytes);
}
