/* SPDX-License-Identifier: MIT */
/*
 * tracefs.c - kernels before 6.6 have no uprobe_multi, and one perf event per site takes 17 to 106 ms each to detach.
 * What they do have are trace events with several uprobes: lines of one name appended to uprobe_events. One perf event
 * on it installs all of them, reference counters included, and the words of the sites go up: 1,000 sites in 50 to 90 ms,
 * down in 60 to 140 ms. The cold nops below never run, so no event ever comes.
 *
 * The event's name outlives us if we are killed (the uprobes do not: they go with the perf event). Names carry our
 * pid; the next recorder sweeps those of the dead.
 */
#include "attach/tracefs.h"
#include "base/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define GROUP "tapebpf_"

struct tracefs_event {
	char name[64]; /* group/event */
	int perf_fd;
	struct tracefs_event *next;
};

const char *tracefs__dir(void)
{
	static const char *const dirs[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, sizeof(path), "%s/uprobe_events", dirs[i]);
		if (!access(path, W_OK))
			return dirs[i];
	}
	return NULL;
}

static int write_events(const char *text, size_t bytes)
{
	const char *dir = tracefs__dir();
	char path[128];
	__close_fd int fd = -1;

	if (!dir)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/uprobe_events", dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (bytes) { /* whole lines are taken; a write may take fewer than all */
		ssize_t n = write(fd, text, bytes);

		if (n <= 0)
			return n ? -errno : -EIO;
		text += n;
		bytes -= n;
	}
	return 0;
}

static int delete_event(const char *name)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "-:%s\n", name);

	return write_events(line, n);
}

void tracefs__sweep(void)
{
	const char *dir = tracefs__dir();
	char path[128], line[512], name[64];
	unsigned int pid;
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/uprobe_events", dir);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "p:" GROUP "%u/%32[a-z0-9]", &pid, name) == 2 && !procfs__alive(pid)) {
			snprintf(path, sizeof(path), GROUP "%u/%s", pid, name);
			delete_event(path); /* all its uprobes at once; further lines of it fail harmlessly */
		}
	fclose(f);
}

static int event_id(const char *name)
{
	char path[192];
	int id = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "%s/events/%s/id", tracefs__dir(), name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "%d", &id) != 1)
		id = -EIO;
	fclose(f);
	return id;
}

static int enable(const char *name)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.disabled = 1,
	};
	int id = event_id(name), fd;

	if (id < 0)
		return id;
	attr.config = id;
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The file by a descriptor of ours: no path with blanks or colons to quote, and the very inode. */
static int define(const char *name, int fd, const struct tracefs_site *site, u32 cnt)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);
	u32 i;
	int err;

	if (!f)
		return -ENOMEM;
	for (i = 0; i < cnt; i++)
		fprintf(f, "p:%s /proc/%d/fd/%d:0x%llx(0x%llx)\n", name, getpid(), fd,
			(unsigned long long)site[i].offset, (unsigned long long)site[i].ref_ctr);
	err = fclose(f) ? -ENOMEM : write_events(text, bytes);
	free(text);
	return err;
}

int tracefs__arm(struct tracefs_event **list, int fd, const struct tracefs_site *site, u32 cnt)
{
	static unsigned int serial;
	struct tracefs_event *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	snprintf(e->name, sizeof(e->name), GROUP "%d/arm%u", getpid(), serial++);
	err = define(e->name, fd, site, cnt);
	if (!err) {
		e->perf_fd = enable(e->name);
		err = MIN(e->perf_fd, 0);
	}
	if (err) {
		delete_event(e->name);
		free(e);
		return err;
	}
	e->next = *list;
	*list = e;
	return 0;
}

void tracefs__drop(struct tracefs_event **list)
{
	struct tracefs_event *e;

	while ((e = *list)) {
		*list = e->next;
		close(e->perf_fd);
		delete_event(e->name);
		free(e);
	}
}
