/* SPDX-License-Identifier: MIT */
#include "cmd/outfile.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int outfile__open(struct outfile *o, const char *path, struct diag *d)
{
	*o = (struct outfile){ .f = stdout, .path = path };
	if (!path)
		return 0;
	if (asprintf(&o->part, "%s.part", path) < 0) {
		o->part = NULL;
		return diag__set(d, -ENOMEM, "no memory for writing %s", path);
	}
	o->f = fopen(o->part, "we");
	if (!o->f) {
		diag__set(d, -errno, "cannot write %s: %s", o->part, strerror(errno));
		free(o->part);
		o->part = NULL;
		return -errno;
	}
	return 0;
}

int outfile__flush(struct outfile *o)
{
	errno = 0;
	if (fflush(o->f) == 0 && !ferror(o->f))
		return 0;
	return errno ? -errno : -EIO;
}

int outfile__done(struct outfile *o, struct diag *d)
{
	int err = outfile__flush(o);

	if (!err && o->part && fsync(fileno(o->f)) && errno != EINVAL)
		err = -errno;
	if (o->part && fclose(o->f) && !err)
		err = -errno;
	if (!err && o->part && rename(o->part, o->path))
		err = -errno;
	if (err && err != -EPIPE)
		diag__set(d, err, "cannot write %s: %s", o->path ? o->path : "the output", strerror(-err));
	if (err && o->part)
		unlink(o->part);
	free(o->part);
	o->part = NULL;
	return err;
}

void outfile__drop(struct outfile *o)
{
	if (!o->part)
		return;
	fclose(o->f);
	unlink(o->part);
	free(o->part);
	o->part = NULL;
}
