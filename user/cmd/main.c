/* SPDX-License-Identifier: MIT */
/* main.c - picks the sub-command. Without one it is `record`. */
#include "base/text.h"
#include "base/util.h"
#include "cmd/cmd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "record", cmd_record, "record running programs to a tape (the default)" },
	{ "flight", cmd_flight, "keep the newest records in memory, for snapshots" },
	{ "snapshot", cmd_snapshot, "write what a flight recorder has kept to a tape" },
	{ "status", cmd_status, "say how a flight recorder is" },
	{ "recover", cmd_recover, "what a flight recorder that was killed has left, as a tape" },
	{ "list", cmd_list, "show the probe sites and callsites of a process or file" },
	{ "dump", cmd_dump, "print a tape as text, tree or JSON" },
	{ "verify", cmd_verify, "audit a tape" },
	{ "flame", cmd_flame, "show where the time went: a flame graph or folded lines" },
	{ "stats", cmd_stats, "show numbers of each callsite: how often, how long, errors" },
	{ "export", cmd_export, "write tapes in the formats of other tools: Go execution traces" },
	{ "doctor", cmd_doctor, "say what works on this machine, and what to do about the rest" },
};

static void print_help(FILE *f)
{
	fputs("Usage: tapebpf [record] -p PID | -b FILE | -- CMD [ARG...]\n"
	      "       tapebpf COMMAND [OPTION...]\n\n"
	      "A flight recorder for native programs with USDT probes.\n\n"
	      "Commands:\n",
	      f);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].what);
	fputs("\n`tapebpf COMMAND --help` tells the options of each; `man tapebpf` is the manual.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 more loss than --fail-on-loss allows.\n",
	      f);
}

int cmd__fail(int status, const struct diag *d)
{
	fputs("tapebpf: ", stderr);
	text__print(stderr, d->text, strlen(d->text));
	fputc('\n', stderr);
	if (d->hint[0]) {
		fputs("  try: ", stderr);
		text__print(stderr, d->hint, strlen(d->hint));
		fputc('\n', stderr);
	}
	return status;
}

/*
 * Somebody may start us with standard streams closed: the next file opened, the tape, would take their number and
 * receive our messages. What takes their place cannot be read where we read, nor written where we write: an output that
 * goes nowhere is a failure. Not passed on to a command, which finds them closed as it would without us.
 */
static void fill_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

static int result; /* what a command that has returned said of itself */

/* Whoever calls exit: a command that returns here, or argp behind its help. A command that failed has said why. */
static void close_output(void)
{
	if (!result && cmd__output_done("to standard output"))
		_exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	fill_standard_streams();
	atexit(close_output);
	if (!name) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_help(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts("tapebpf " TAPEBPF_VERSION);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name))
			return result = commands[i].run(argc - 1, argv + 1);
	if (name[0] == '-')
		return result = cmd_record(argc, argv);
	fprintf(stderr, "tapebpf: no such command: ");
	text__print(stderr, name, strlen(name));
	fputs("\n  try: tapebpf --help; to record a command: tapebpf -- CMD ARG...\n", stderr);
	return EXIT_USAGE;
}
