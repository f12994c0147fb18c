/* SPDX-License-Identifier: MIT */
/* recover_dir.c - the folder of a killed recorder: which run, its files. */
#include "flight/recover_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define MAX_FILE_BYTES (1ULL << 36)

static int read_whole(struct recovered *r, int dir_fd, const char *name, u8 **data, size_t *bytes)
{
	__close_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t got = 0;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (u64)st.st_size > MAX_FILE_BYTES)
		return -EINVAL;
	*data = calloc(1, (size_t)st.st_size + 8);
	if (!*data)
		return -ENOMEM;
	while (got < (size_t)st.st_size) {
		n = pread(fd, *data + got, (size_t)st.st_size - got, (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	if (n < 0) /* a bad disk: what is before is taken as of a file that is cut there */
		recover__say(r, true, "%s cannot be read from byte %zu on: %s", name, got, strerror(errno));
	*bytes = got;
	r->read_cnt++;
	return 0;
}

static void say_unread(struct recovered *r, const char *name, int err)
{
	r->unread_err = err;
	recover__say(r, true, "%s cannot be read: %s", name, err == -EINVAL ? "it is no file, or larger than any of a recorder's" : strerror(-err));
}

static int read_generation(struct recovered *r, int dir_fd, const char *name)
{
	u64 no = strtoull(name + 4, NULL, 10);
	size_t bytes;
	u8 *data;
	int err = read_whole(r, dir_fd, name, &data, &bytes);

	if (err == -ENOMEM)
		return err;
	if (err) {
		say_unread(r, name, err);
		return 0;
	}
	err = recover__keep(r, data);
	return err ? err : recover__generation(r, no, data, bytes);
}

static int read_generations(struct recovered *r, int dir_fd)
{
	int fd = dup(dir_fd), err = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!list)
		return -errno;
	rewinddir(list); /* the place is shared with dir_fd */
	while (!err && (e = readdir(list)))
		if (!strncmp(e->d_name, "gen-", 4))
			err = read_generation(r, dir_fd, e->d_name);
	closedir(list);
	return err;
}

/* *data NULL: there is no such file, or it cannot be read, which is told. */
static int read_beside(struct recovered *r, int dir_fd, const char *name, u8 **data, size_t *bytes)
{
	int err = read_whole(r, dir_fd, name, data, bytes);

	if (!err || err == -ENOMEM)
		return err;
	*data = NULL;
	if (err != -ENOENT)
		say_unread(r, name, err);
	return 0;
}

static int take_file(struct recovered *r, int dir_fd, const char *name, int (*take)(struct recovered *r, const void *data, size_t bytes))
{
	__free_ptr u8 *data = NULL;
	size_t bytes = 0;
	int err = read_beside(r, dir_fd, name, &data, &bytes);

	return err ? err : take(r, data, bytes);
}

static int take_defs(struct recovered *r, int dir_fd)
{
	__free_ptr u8 *data = NULL, *copy = NULL;
	size_t bytes = 0, copy_bytes = 0;
	int err = read_beside(r, dir_fd, "defs", &data, &bytes);

	if (!err)
		err = read_beside(r, dir_fd, "defs-copy", &copy, &copy_bytes);
	return err ? err : recover__defs(r, data, bytes, copy, copy_bytes);
}

static int take_all(struct recovered *r, int dir_fd)
{
	int err = take_file(r, dir_fd, "state", recover__state);

	if (!err)
		err = take_defs(r, dir_fd);
	if (!err)
		err = take_file(r, dir_fd, "carried", recover__carried);
	if (!err)
		err = read_generations(r, dir_fd);
	if (!err)
		err = take_file(r, dir_fd, "pages", recover__pages);
	if (!err && !r->read_cnt)
		err = r->unread_err; /* not a folder that has been damaged */
	return err ? err : recover__finish(r);
}

/* --- which folder ------------------------------------------------------------------------------------------------------------- */

static bool is_locked(int dir_fd, const char *name)
{
	__close_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
}

/* Its recorder holds them as long as it runs. */
static bool in_use(int dir_fd)
{
	return is_locked(dir_fd, "state") || is_locked(dir_fd, "defs");
}

/* The folder of a run, whatever of it may have gone. */
static bool is_run(int dir_fd)
{
	int fd = dup(dir_fd);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool found = false;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	rewinddir(list);
	while (!found && (e = readdir(list)))
		found = !strncmp(e->d_name, "gen-", 4) || !strcmp(e->d_name, "defs") || !strcmp(e->d_name, "defs-copy");
	closedir(list);
	return found;
}

/* The newest run in a folder of runs that is not running. */
static int open_newest(int dir_fd, bool *running)
{
	int fd = dup(dir_fd), best = -1, run;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	char best_name[256] = "";
	struct dirent *e;

	if (list)
		rewinddir(list);
	while (list && (e = readdir(list))) {
		if (strncmp(e->d_name, "run-", 4) || strcmp(e->d_name, best_name) <= 0)
			continue;
		run = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (run < 0)
			continue;
		if (in_use(run)) {
			*running = true;
			close(run);
			continue;
		}
		if (best >= 0)
			close(best);
		best = run;
		snprintf(best_name, sizeof(best_name), "%s", e->d_name);
	}
	if (list)
		closedir(list);
	return best;
}

static int open_run(const char *path, struct diag *d)
{
	__close_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool running = false;
	int run;

	if (dir < 0)
		return diag__set(d, -errno, "cannot open %s: %s", path, strerror(errno));
	if (is_run(dir)) {
		running = in_use(dir);
		run = running ? -1 : dup(dir);
	} else {
		run = open_newest(dir, &running);
		/* such a name is not ours alone */
		if (run < 0 && !running && !faccessat(dir, "state", F_OK, 0))
			run = dup(dir);
	}
	if (run >= 0)
		return run;
	if (running) {
		diag__set(d, -EBUSY, "the recorder of %s is running", path);
		diag__hint(d, "tapebpf snapshot");
		return -EBUSY;
	}
	diag__set(d, -ENOENT, "%s holds nothing of a flight recorder", path);
	diag__hint(d, "the folder that was given with tapebpf flight --dir");
	return -ENOENT;
}

int recover__dir(const char *path, struct recovered **out, struct diag *d)
{
	__close_fd int dir = open_run(path, d);
	struct recovered *r = dir < 0 ? NULL : recover__new();
	int err;

	if (dir < 0)
		return dir;
	if (!r)
		return diag__set(d, -ENOMEM, "not enough memory");
	err = take_all(r, dir);
	if (err) {
		diag__set(d, err, "cannot read what is in %s: %s", path, strerror(-err));
		if (err == -EACCES)
			diag__hint(d, "as the user who recorded, root mostly");
		recover__free(r);
		return err;
	}
	*out = r;
	return 0;
}
