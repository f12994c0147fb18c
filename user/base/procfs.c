/* SPDX-License-Identifier: MIT */
#include "base/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static FILE *proc_fopen(u32 pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	return fopen(path, "re");
}

/* A small /proc file as one malloc'ed, NUL-terminated block. */
static char *proc_slurp(u32 pid, const char *name, size_t *bytes)
{
	FILE *f = proc_fopen(pid, name);
	char *buf = NULL, chunk[4096];
	size_t n = 0, got;

	if (!f)
		return NULL;
	while ((got = fread(chunk, 1, sizeof(chunk), f)) > 0) {
		char *grown = realloc(buf, n + got + 1);

		if (!grown) {
			free(buf);
			fclose(f);
			return NULL;
		}
		buf = grown;
		memcpy(buf + n, chunk, got);
		n += got;
		buf[n] = '\0';
	}
	fclose(f);
	*bytes = n;
	return buf;
}

int procfs__maps(u32 pid, int (*fn)(void *ctx, const struct proc_map *m), void *ctx)
{
	FILE *f = proc_fopen(pid, "maps");
	char *line = NULL;
	size_t cap = 0;
	int err = 0;

	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && getline(&line, &cap, f) > 0) {
		struct proc_map m;
		char perms[5];
		int at = 0;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64 " %n", &m.start,
			   &m.end, perms, &m.offset, &m.ino, &at) < 5 || !at)
			continue;
		if (perms[2] != 'x' || !m.ino)
			continue;
		line[strcspn(line, "\n")] = '\0';
		m.path = line + at;
		err = fn(ctx, &m);
	}
	free(line);
	fclose(f);
	return err;
}

int procfs__open_map(u32 pid, const struct proc_map *m)
{
	char path[4096 + 64];
	struct stat st;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, m->start, m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	err = -errno;
	if (m->path[0] != '/')
		return err;
	snprintf(path, sizeof(path), "/proc/%u/root%s", pid, m->path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_ino != m->ino) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* The text behind the last ')' of /proc/PID/stat: the comm before it may hold anything. */
static const char *stat_fields(const char *stat)
{
	const char *p = strrchr(stat, ')');

	return p && p[1] == ' ' ? p + 2 : NULL;
}

bool procfs__alive(u32 pid)
{
	size_t bytes;
	__free_ptr char *stat = proc_slurp(pid, "stat", &bytes);
	const char *p = stat ? stat_fields(stat) : NULL;

	return p && *p != 'Z' && *p != 'X';
}

u32 procfs__tgid(u32 tid)
{
	size_t bytes;
	__free_ptr char *status = proc_slurp(tid, "status", &bytes);
	const char *p = status ? strstr(status, "\nTgid:") : NULL;

	return p ? (u32)strtoul(p + 6, NULL, 10) : 0;
}

char *procfs__exe(u32 pid)
{
	char path[64], target[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return NULL;
	target[n] = '\0';
	return strdup(target);
}

void procfs__exe_name(u32 pid, char *dst, size_t bytes)
{
	static const char deleted[] = " (deleted)";
	__free_ptr char *exe = procfs__exe(pid);
	char comm[16];

	if (exe) {
		size_t n = strlen(exe);

		if (n >= sizeof(deleted) && !strcmp(exe + n - (sizeof(deleted) - 1), deleted))
			exe[n - (sizeof(deleted) - 1)] = '\0';
		snprintf(dst, bytes, "%s", strrchr(exe, '/') ? strrchr(exe, '/') + 1 : exe);
		return;
	}
	procfs__comm(pid, pid, comm);
	snprintf(dst, bytes, "%s", comm);
}

char *procfs__cmdline(u32 pid)
{
	size_t bytes;
	char *buf = proc_slurp(pid, "cmdline", &bytes);

	if (!buf)
		return NULL;
	while (bytes && !buf[bytes - 1])
		bytes--;
	for (size_t i = 0; i < bytes; i++)
		if (!buf[i])
			buf[i] = ' ';
	return buf;
}

void procfs__comm(u32 pid, u32 tid, char comm[16])
{
	char name[64];
	size_t bytes = 0;
	__free_ptr char *buf = NULL;

	snprintf(name, sizeof(name), "task/%u/comm", tid);
	buf = proc_slurp(pid, name, &bytes);
	while (bytes && buf[bytes - 1] == '\n')
		bytes--;
	bytes = MIN(bytes, (size_t)15);
	if (bytes)
		memcpy(comm, buf, bytes);
	comm[bytes] = '\0';
}

/* NSpid: lists the pid in each nested namespace, the innermost last. */
static u32 innermost_pid(const char *status)
{
	const char *p = strstr(status, "\nNSpid:"), *end;
	u32 pid = 0;

	if (!p)
		return 0;
	end = strchr(p + 1, '\n');
	for (p += 7; p && end && p < end;) {
		char *next;
		unsigned long v = strtoul(p, &next, 10);

		if (next == p || next > end)
			break;
		pid = (u32)v;
		p = next;
	}
	return pid;
}

void procfs__ids(u32 pid, u32 *ppid, u64 *start_ns, u32 *ns_pid)
{
	size_t bytes;
	__free_ptr char *stat = proc_slurp(pid, "stat", &bytes);
	__free_ptr char *status = proc_slurp(pid, "status", &bytes);
	const char *p = stat ? stat_fields(stat) : NULL;
	unsigned int parent = 0;
	unsigned long long start = 0;
	long hz = sysconf(_SC_CLK_TCK);

	/* state ppid ... starttime is field 22 of the file, the 20th from here */
	if (p)
		sscanf(p, "%*c %u %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		       &parent, &start);
	*ppid = parent;
	*start_ns = hz > 0 ? start * (NSEC_PER_SEC / (u64)hz) : 0;
	*ns_pid = status ? innermost_pid(status) : 0;
}

int procfs__each(int (*fn)(void *ctx, u32 pid), void *ctx)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int err = 0;

	if (!d)
		return -errno;
	while (!err && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]))
			err = fn(ctx, (u32)strtoul(e->d_name, NULL, 10));
	closedir(d);
	return err;
}

long procfs__uid(u32 pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	return stat(path, &st) ? -1 : (long)st.st_uid;
}

int procfs__seccomp(u32 pid)
{
	size_t bytes;
	__free_ptr char *status = proc_slurp(pid, "status", &bytes);
	const char *p = status ? strstr(status, "\nSeccomp:") : NULL;

	return p ? atoi(p + 9) : -1;
}
