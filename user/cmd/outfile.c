/* SPDX-License-Identifier: MIT */
#include "cmd/outfile.h"

#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int cannot(struct diag *d, const char *path, int err)
{
	diag__set(d, err, "cannot write %s: %s", path, strerror(-err));
	if (err == -EEXIST)
		diag__hint(d, "another name with -o, or --force to replace it");
	return err;
}

int outfile__open(struct outfile *o, const char *path, struct diag *d)
{
	struct stat st;

	if (path && !strcmp(path, "-"))
		path = NULL;
	*o = (struct outfile){ .f = stdout, .path = path };
	if (!path)
		return 0;
	/* a name for a device must not become a file's */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->f = fopen(path, "we");
		return o->f ? 0 : cannot(d, path, -errno);
	}
	if (asprintf(&o->part, "%s.part", path) < 0) {
		o->part = NULL;
		return diag__set(d, -ENOMEM, "no memory for writing %s", path);
	}
	o->f = fopen(o->part, "we");
	if (!o->f) {
		int err = cannot(d, o->part, -errno);

		free(o->part);
		o->part = NULL;
		return err;
	}
	return 0;
}

int outfile__open_new(struct outfile *o, const char *path, bool force, struct diag *d)
{
	struct stat st;
	int err;

	if (path && !strcmp(path, "-"))
		path = NULL;
	if (path && !force && lstat(path, &st) == 0 && !S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
		return cannot(d, path, -EEXIST);
	err = outfile__open(o, path, d);
	o->keep = !force;
	return err;
}

int outfile__flush(struct outfile *o)
{
	return -cmd__stream_error(o->f);
}

static int give_name(struct outfile *o)
{
	if (o->keep && renameat2(AT_FDCWD, o->part, AT_FDCWD, o->path, RENAME_NOREPLACE) == 0)
		return 0;
	/* not every file system can do that; it was looked for at the opening */
	if (o->keep && errno != EINVAL)
		return -errno;
	return rename(o->part, o->path) ? -errno : 0;
}

int outfile__done(struct outfile *o, struct diag *d)
{
	int err = outfile__flush(o);

	if (!err && o->part && fsync(fileno(o->f)) && errno != EINVAL)
		err = -errno;
	if (o->path && fclose(o->f) && !err)
		err = -errno;
	if (!err && o->part)
		err = give_name(o);
	if (err && err != -EPIPE)
		cannot(d, o->path ? o->path : "the output", err);
	if (err && !o->path)
		cmd__output_told();
	if (err && o->part)
		unlink(o->part);
	free(o->part);
	o->part = NULL;
	return err;
}

void outfile__drop(struct outfile *o)
{
	if (o->path)
		fclose(o->f);
	if (o->part)
		unlink(o->part);
	free(o->part);
	o->part = NULL;
}
