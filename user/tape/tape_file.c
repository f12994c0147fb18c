/* SPDX-License-Identifier: MIT */
#include "tape/tape_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_SUFFIX 9999

/* --- bytes ----------------------------------------------------------------------------------------------- */

int tape_file__write(int fd, const void *data, size_t bytes, u64 offset)
{
	while (bytes) {
		ssize_t n = pwrite(fd, data, bytes, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data = (const u8 *)data + n;
		bytes -= n;
		offset += n;
	}
	return 0;
}

static int allocate_by_writing(int fd, u64 offset, u64 bytes)
{
	static const u8 zero[65536];
	int err = 0;

	while (bytes && !err) {
		size_t n = MIN(bytes, sizeof(zero));

		err = tape_file__write(fd, zero, n, offset);
		offset += n;
		bytes -= n;
	}
	return err;
}

int tape_file__allocate(int fd, u64 offset, u64 bytes)
{
	int r;

	do {
		r = fallocate(fd, 0, offset, bytes);
	} while (r && errno == EINTR);
	if (!r)
		return 0;
	/* not every file system can: NFS before 4.2, some FUSE */
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return allocate_by_writing(fd, offset, bytes);
	return -errno;
}

/* --- names ----------------------------------------------------------------------------------------------- */

/* path with `_number` before its ending (0: as it is). */
static char *numbered(const char *path, int number)
{
	const char *base = strrchr(path, '/');
	const char *dot;
	char *s = NULL;

	base = base ? base + 1 : path;
	dot = strrchr(base, '.');
	if (!dot || dot == base)
		dot = base + strlen(base);
	if (!number)
		return strdup(path);
	return asprintf(&s, "%.*s_%d%s", (int)(dot - path), path, number, dot) < 0 ? NULL : s;
}

static int refuse(const char *path, struct diag *d)
{
	struct stat st;
	int err = 0;

	if (!strcmp(path, "-"))
		err = diag__set(d, -EINVAL, "a tape cannot go to standard output: it is written in several places at once");
	else if (!*path)
		err = diag__set(d, -EINVAL, "the tape's name is empty");
	else if (stat(path, &st) || S_ISREG(st.st_mode))
		return 0;
	else if (S_ISDIR(st.st_mode))
		err = diag__set(d, -EISDIR, "%s is a directory", path);
	else
		err = diag__set(d, -EINVAL, "%s is a pipe, socket or device: a tape has to be a regular file", path);
	diag__hint(d, "give a file name with -o");
	return err;
}

static int create_failed(const char *path, int error, struct diag *d)
{
	diag__set(d, -error, "creating %s: %s", path, strerror(error));
	if (error == ENOENT)
		diag__hint(d, "its directory does not exist: make it, or choose another with -o");
	else if (error == EACCES || error == EROFS || error == EPERM)
		diag__hint(d, "choose a directory that can be written to with -o");
	return -error;
}

int tape_file__create(struct tape_file_new *nf, const char *path, bool force, struct diag *d)
{
	const char *slash = strrchr(path, '/');
	char *dir __free_ptr = slash ? strndup(path, MAX(slash - path, 1)) : strdup(".");
	int err = refuse(path, d);

	*nf = (struct tape_file_new){ .fd = -1, .force = force };
	if (err)
		return err;
	nf->path = strdup(path);
	if (!dir || !nf->path)
		return -ENOMEM;
	nf->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (nf->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOSYS && errno != EINVAL)
		return create_failed(path, errno, d);

	/* no nameless files here (overlayfs of old, NFS): a hidden one that is renamed */
	if (asprintf(&nf->temp, "%s.%d.tmp", path, getpid()) < 0) {
		nf->temp = NULL;
		return -ENOMEM;
	}
	nf->fd = open(nf->temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
	if (nf->fd >= 0)
		return 0;
	err = errno;
	free(nf->temp);
	nf->temp = NULL;
	return create_failed(path, err, d);
}

/* Link the nameless file. The first way wants no /proc, the second no capability. */
static int link_fd(int fd, const char *path)
{
	char proc[64];

	if (!linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH))
		return 0;
	if (errno == EEXIST)
		return -EEXIST;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static int rename_new(const char *from, const char *to)
{
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* a file system without RENAME_NOREPLACE: link refuses an existing name as well */
	if (link(from, to))
		return -errno;
	unlink(from);
	return 0;
}

/* Replace what is at path: by way of a temporary name, since linkat never replaces. */
static int name_by_force(struct tape_file_new *nf)
{
	int err;

	if (!nf->temp) {
		if (asprintf(&nf->temp, "%s.%d.tmp", nf->path, getpid()) < 0) {
			nf->temp = NULL;
			return -ENOMEM;
		}
		err = link_fd(nf->fd, nf->temp);
		if (err) {
			free(nf->temp);
			nf->temp = NULL;
			return err;
		}
	}
	return rename(nf->temp, nf->path) ? -errno : 0;
}

int tape_file__name(struct tape_file_new *nf, char **out, struct diag *d)
{
	int err = -EEXIST;

	*out = NULL;
	for (int i = 0; i <= (nf->force ? 0 : MAX_SUFFIX) && err == -EEXIST; i++) {
		free(*out);
		*out = numbered(nf->path, i);
		if (!*out)
			return -ENOMEM;
		if (nf->force)
			err = name_by_force(nf);
		else
			err = nf->temp ? rename_new(nf->temp, *out) : link_fd(nf->fd, *out);
	}
	if (err) {
		free(*out);
		*out = NULL;
		diag__set(d, err, "naming %s: %s", nf->path, strerror(-err));
		diag__hint(d, "choose another name with -o");
		return err;
	}
	free(nf->temp);
	free(nf->path);
	nf->temp = nf->path = NULL;
	return 0;
}

void tape_file__abandon(struct tape_file_new *nf)
{
	if (nf->temp)
		unlink(nf->temp);
	if (nf->fd >= 0)
		close(nf->fd);
	free(nf->temp);
	free(nf->path);
	*nf = (struct tape_file_new){ .fd = -1 };
}
