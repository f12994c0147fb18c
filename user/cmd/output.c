/* SPDX-License-Identifier: MIT */
/*
 * output.c - did what was printed get where it should?
 *
 * A full disk behind `> FILE` shows when stdio flushes: at any printf, or not before exit. So every command asks here when
 * it is done, and main once more on the way out, for the help texts that argp prints and then exits.
 */
#include "cmd/cmd.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int cmd__fail_tape(struct diag *d)
{
	if (!d->hint[0])
		diag__hint(d, "give a .tape file, as tapebpf or the recorder of tracing-tape writes it, or - for standard input");
	return cmd__fail(EXIT_FAILED, d);
}

/*
 * stdio keeps that there was an error, not which, and its last flush may have had nothing left to fail with. So an error of
 * before is found again: a pipe is asked whether anybody reads, and to what is spoiled anyway one more byte is written.
 */
int cmd__stream_error(FILE *f)
{
	struct pollfd p = { .fd = fileno(f), .events = POLLOUT };

	errno = 0;
	if (fflush(f) == 0 && !ferror(f))
		return 0;
	if (errno)
		return errno;
	if (poll(&p, 1, 0) > 0 && p.revents & POLLERR)
		return EPIPE;
	return write(p.fd, "\n", 1) < 0 ? errno : EIO;
}

static bool told;
static int first_error;

int cmd__output_error(void)
{
	if (!first_error)
		first_error = cmd__stream_error(stdout);
	return first_error;
}

void cmd__output_note(int err)
{
	if (!first_error)
		first_error = err;
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
