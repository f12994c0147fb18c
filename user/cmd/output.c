/* SPDX-License-Identifier: MIT */
/*
 * output.c - did what was printed get where it should?
 *
 * A full disk behind `> FILE` shows when stdio flushes: at any printf, or not before exit. So every command asks here when
 * it is done, and main once more on the way out, for the help texts that argp prints and then exits.
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int cmd__fail_tape(struct diag *d)
{
	if (!d->hint[0])
		diag__hint(d, "give a .tape file, as tapebpf or the recorder of tracing-tape writes it, or - for standard input");
	return cmd__fail(EXIT_FAILED, d);
}

static bool told;
static int first_error; /* stdio keeps that there was one, not which */

int cmd__output_error(void)
{
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && !first_error)
		first_error = errno ? errno : EIO;
	return first_error;
}

void cmd__output_told(void)
{
	told = true;
}

int cmd__output_failed(const char *what, int err)
{
	struct diag d = { 0 };

	if (told)
		return EXIT_FAILED;
	told = true;
	diag__set(&d, -err, "cannot write %s: %s", what, strerror(err));
	return cmd__fail(EXIT_FAILED, &d);
}

int cmd__output_done(const char *what)
{
	int err = cmd__output_error();

	return err && err != EPIPE ? cmd__output_failed(what, err) : EXIT_DONE;
}
