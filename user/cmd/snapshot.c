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
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/target_opts.h"
#include "session/control.h"
#include "session/snapshot_write.h"
#include "tape/tape_file.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct snapshot_opts {
	struct ask_opts from;
	const char *output;
	u64 last_ns;
	enum snapshot_format format;
	bool force, quiet, format_given;
};

enum { KEY_LAST = 256, KEY_FORCE, KEY_FORMAT };

static const struct argp_option options[] = {
	{ "output", 'o', "FILE|-", 0, "the tape (default: EXE_DATE.tape here); - is standard output", 1 },
	{ "force", KEY_FORCE, NULL, 0, "replace an existing file", 1 },
	{ "format", KEY_FORMAT, "tape|go", 0, "a tape, or a Go execution trace (tape; by the ending of FILE: .trace)", 1 },
	{ "last", KEY_LAST, "TIME", 0, "only so far back (5s, 500ms)", 1 },
	{ "quiet", 'q', NULL, 0, "say nothing but errors", 2 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct snapshot_opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->from;
		return 0;
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
		o->last_ns = target_opts__time(state, "last", arg);
		return 0;
	case KEY_FORMAT:
		if (snapshot_format__parse(arg, &o->format))
			argp_error(state, "--format %s: want tape or go", arg);
		o->format_given = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "not an option: %s (a file is named with -o)", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &ask_argp, 0, NULL, 2 }, { 0 } };

static const struct argp argp = {
	options, parse, "[-o FILE|-] [--last TIME]",
	"Write what a flight recorder has kept to a tape, while it goes on recording."
	"\vPrints the tape's name on standard output, and what is in it on standard error. Only root and the user who runs the recorder may "
	"ask.\nExit status: 0 done, 1 failed, 2 wrong usage.",
	children, NULL, NULL,
};

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

static void summary(const char *answer)
{
	char size[32];

	fprintf(stderr, "%.1f s, %" PRIu64 " spans, %" PRIu64 " events, %s\n",
		(double)(ask__number(answer, "to_ns") - ask__number(answer, "from_ns")) / 1e9, ask__number(answer, "spans"),
		ask__number(answer, "events"), units__show_bytes(size, sizeof(size), ask__number(answer, "bytes")));
	if (ask__number(answer, "uneven"))
		fputs("its last moment is there of some threads only: all that is kept was replaced while they were read (a larger --size keeps more)\n",
		      stderr);
	for (int i = 0; i < LOSS_MAX; i++) {
		char key[64];

		snprintf(key, sizeof(key), "lost.%s", loss_cause__label(i));
		if (ask__number(answer, key))
			fprintf(stderr, "lost %" PRIu64 ": %s (%s)\n", ask__number(answer, key), loss_cause__label(i), loss_cause__text(i));
	}
	fprintf(stderr, "emitted %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64 "\n", ask__number(answer, "emitted"),
		ask__number(answer, "stored"), ask__number(answer, "lost"));
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
	struct snapshot_opts o = { .from = { .name = "default" } };
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
	sock = ask__connect(&o.from, &d);
	if (sock < 0)
		return cmd__fail(EXIT_FAILED, &d);
	err = o.output && !strcmp(o.output, "-") ? to_stdout(sock, &o, &answer, &d) : to_file(sock, &o, &answer, &d);
	close(sock);
	if (err)
		return cmd__fail(EXIT_FAILED, &d);
	if (!o.quiet)
		summary(answer);
	return (s64)ask__number(answer, "unaccounted") ? EXIT_FAILED : cmd__output_done("the snapshot") ? EXIT_FAILED : EXIT_DONE;
}
