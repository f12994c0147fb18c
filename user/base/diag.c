/* SPDX-License-Identifier: MIT */
#include "base/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int diag__set(struct diag *d, int err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (d) {
		va_start(ap, fmt);
		vsnprintf(d->text, sizeof(d->text), fmt, ap);
		va_end(ap);
		d->hint[0] = '\0';
		/* whatever was being done, the remedy is the same */
		if (err == -EMFILE)
			diag__hint(d, "raise the limit of open files: ulimit -n 65536");
	}
	errno = saved;
	return err;
}

void diag__hint(struct diag *d, const char *fmt, ...)
{
	va_list ap;

	if (!d)
		return;
	va_start(ap, fmt);
	vsnprintf(d->hint, sizeof(d->hint), fmt, ap);
	va_end(ap);
}
