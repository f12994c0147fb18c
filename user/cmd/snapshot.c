/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - `tapebpf snapshot`: what a flight recorder has kept, as a tape.
 *
 * The file is made here, with the asker's own rights, and its descriptor is given to the recorder: so a recorder that runs as root
 * opens no path for anybody, and a slow reader of -o - holds nothing up. The file gets its name when it is complete.
 */
#include "base/clock.h"
#include "base/codes.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "tape/tape_file.h"
#include "cmd/snapshot_write.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct snapshot_opts {
	const char *output, *socket, *name;
	u64 last_ns;
	enum snapshot_format format;
	bool force, quiet, format_given;
};

enum { KEY_LAST = 256, KEY_SOCKET, KEY_NAME, KEY_FORCE, KEY_FORMAT };

static const struct argp_option options[] = {
	{ "output", 'o', "FILE|-", 0, "the tape (default: EXE_DATE.tape here); - is standard output", 1 },
	{ "force", KEY_FORCE, NULL, 0, "replace an existing file", 1 },
	{ "format", KEY_FORMAT, "tape|go", 0, "a tape, or a Go execution trace (tape; by the ending of FILE: .trace)", 1 },
	{ "last", KEY_LAST, "TIME", 0, "only so far back (5s, 500ms)", 1 },
	{ "name", KEY_NAME, "NAME", 0, "of the recorder (default)", 2 },
	{ "socket", KEY_SOCKET, "PATH", 0, "where it listens, instead of its name", 2 },
	{ "quiet", 'q', NULL, 0, "say nothing but errors", 2 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct snapshot_opts *o = state->input;

	switch (key) {
	case 'o':
		o->output = arg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case KEY_FORCE:
		o->force = true;
		return 0;
	case KEY_LAST:
		if (units__ns(arg, &o->last_ns) || !o->last_ns)
			argp_error(state, "--last %s: want a time such as 5s, 500ms or 2m", arg);
		return 0;
	case KEY_FORMAT:
		if (snapshot_format__parse(arg, &o->format))
			argp_error(state, "--format %s: want tape or go", arg);
		o->format_given = true;
		return 0;
	case KEY_NAME:
		o->name = arg;
		return 0;
	case KEY_SOCKET:
		o->socket = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "not an option: %s (a file is named with -o)", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, "[-o FILE|-] [--last TIME]",
	"Write what a flight recorder has kept to a tape, while it goes on recording."
	"\vPrints the tape's name on standard output, and what is in it on standard error. Only root and the user who runs the recorder may "
	"ask.\nExit status: 0 done, 1 failed, 2 wrong usage.",
	NULL, NULL, NULL,
};

static int connect_to(const struct snapshot_opts *o, struct diag *d)
{
	char path[256];
	int err;

	if (o->socket)
		return control__connect(o->socket, d);
	err = control__path(o->name, path, sizeof(path), d);
	return err ? err : control__connect(path, d);
}

static int default_path(int sock, enum snapshot_format format, char *path, size_t bytes, struct diag *d)
{
	char *answer, exe[256] = "";
	size_t n;
	int err = control__ask(sock, "info\n", -1, &answer, &n, d);

	if (err)
		return err;
	control__get(answer, "exe", exe, sizeof(exe));
	free(answer);
	snapshot__name(path, bytes, exe, format);
	return 0;
}

static u64 number(const char *answer, const char *key)
{
	char value[32];

	return control__get(answer, key, value, sizeof(value)) ? strtoull(value, NULL, 10) : 0;
}

static void summary(const char *answer)
{
	char size[32];

	fprintf(stderr, "%.1f s, %" PRIu64 " spans, %" PRIu64 " events, %s\n",
		(double)(number(answer, "to_ns") - number(answer, "from_ns")) / 1e9, number(answer, "spans"),
		number(answer, "events"), units__show_bytes(size, sizeof(size), number(answer, "bytes")));
	for (int i = 0; i < LOSS_MAX; i++) {
		char key[64];

		snprintf(key, sizeof(key), "lost.%s", loss_cause__label(i));
		if (number(answer, key))
			fprintf(stderr, "lost %" PRIu64 ": %s (%s)\n", number(answer, key), loss_cause__label(i), loss_cause__text(i));
	}
	fprintf(stderr, "emitted %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64 "\n", number(answer, "emitted"),
		number(answer, "stored"), number(answer, "lost"));
}

static int ask(int sock, const struct snapshot_opts *o, int fd, char **answer, struct diag *d)
{
	char request[128], last[64] = "";
	size_t n;

	if (o->last_ns)
		snprintf(last, sizeof(last), "last_ns %" PRIu64 "\n", o->last_ns);
	snprintf(request, sizeof(request), "snapshot\nformat %s\n%s", o->format == SNAPSHOT_GO ? "go" : "tape", last);
	return control__ask(sock, request, fd, answer, &n, d);
}

static int to_file(int sock, const struct snapshot_opts *o, char **answer, struct diag *d)
{
	struct tape_file_new nf;
	char path[512], *named = NULL;
	const char *want = o->output;
	int err = want ? 0 : default_path(sock, o->format, path, sizeof(path), d);

	if (err)
		return err;
	err = tape_file__create(&nf, want ? want : path, o->force, d);
	if (!err)
		err = ask(sock, o, nf.fd, answer, d);
	if (!err)
		err = tape_file__name(&nf, &named, d);
	if (err) {
		tape_file__abandon(&nf);
		return err;
	}
	close(nf.fd);
	if (!o->quiet)
		puts(named);
	free(named);
	return 0;
}

static int copy_out(int fd, struct diag *d)
{
	char buf[65536];
	ssize_t n;
	off_t at = 0;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(STDOUT_FILENO, buf + done, (size_t)(n - done));
			if (w < 0 && errno == EINTR)
				w = 0;
			if (w < 0)
				return diag__set(d, -errno, "writing to standard output: %s", strerror(errno));
		}
		at += n;
	}
	return n < 0 ? diag__set(d, -errno, "reading the snapshot: %s", strerror(errno)) : 0;
}

static int to_stdout(int sock, const struct snapshot_opts *o, char **answer, struct diag *d)
{
	__close_fd int fd = memfd_create("snapshot", MFD_CLOEXEC);
	int err = fd < 0 ? diag__set(d, -errno, "cannot make a file in memory: %s", strerror(errno)) : 0;

	if (!err)
		err = ask(sock, o, fd, answer, d);
	return err ? err : copy_out(fd, d);
}

int cmd_snapshot(int argc, char **argv)
{
	static char name[] = "tapebpf snapshot";
	struct snapshot_opts o = { .name = "default" };
	__free_ptr char *answer = NULL;
	struct diag d = { 0 };
	const char *ending;
	int sock, err;

	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &o))
		return EXIT_USAGE;
	ending = o.output ? strrchr(o.output, '.') : NULL;
	if (!o.format_given && ending && !strcmp(ending, ".trace"))
		o.format = SNAPSHOT_GO;
	sock = connect_to(&o, &d);
	if (sock < 0)
		return cmd__fail(EXIT_FAILED, &d);
	err = o.output && !strcmp(o.output, "-") ? to_stdout(sock, &o, &answer, &d) : to_file(sock, &o, &answer, &d);
	close(sock);
	if (err)
		return cmd__fail(EXIT_FAILED, &d);
	if (!o.quiet)
		summary(answer);
	return (s64)number(answer, "unaccounted") ? EXIT_FAILED : cmd__output_done("the snapshot") ? EXIT_FAILED : EXIT_DONE;
}
