/* SPDX-License-Identifier: MIT */
/* flight_status.c - `tapebpf status`: how a flight recorder is. */
#include "base/codes.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "session/control.h"

#include <argp.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct status_opts {
	struct ask_opts from;
	bool json;
};

enum { KEY_JSON = 256 };

static const struct argp_option options[] = {
	{ "json", KEY_JSON, NULL, 0, "one JSON object instead of text", 1 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct status_opts *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->from;
		return 0;
	case KEY_JSON:
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "not an option: %s", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &ask_argp, 0, NULL, 2 }, { 0 } };

static const struct argp argp = {
	options, parse, "", "Say how a flight recorder is: what it keeps, what was lost, what it costs."
	"\vExit status: 0 done, 1 failed, 2 wrong usage.", children, NULL, NULL,
};

/* --- JSON: every line of the answer is a member ---------------------------------------------------------------------- */

static bool is_number(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return n;
}

static void json_lines(const char *text)
{
	bool first = true;
	const char *line, *end, *blank;

	for (line = strchr(text, '\n'); line && line[1]; line = end) {
		end = strchr(++line, '\n');
		blank = strchr(line, ' ');
		if (!end || !blank || blank > end)
			break;
		if (!strncmp(line, "process ", 8) || !strncmp(line, "trigger ", 8) || !strncmp(line, "hint ", 5))
			continue;
		fputs(first ? "{" : ",", stdout);
		first = false;
		text__json(stdout, line, (size_t)(blank - line));
		fputc(':', stdout);
		if (is_number(blank + 1, (size_t)(end - blank - 1)))
			printf("%.*s", (int)(end - blank - 1), blank + 1);
		else
			text__json(stdout, blank + 1, (size_t)(end - blank - 1));
	}
}

/* Of the trigger whose line ends there, behind it. NULL: none. *bytes without the line's end. */
static const char *hint_behind(const char *end, size_t *bytes)
{
	const char *hint = end + 6, *stop = strncmp(end, "\nhint ", 6) ? NULL : strchr(hint, '\n');

	*bytes = stop ? (size_t)(stop - hint) : 0;
	return stop ? hint : NULL;
}

static void json_triggers(const char *text)
{
	const char *line = text, *end, *hint;
	size_t bytes;
	bool first = true;
	int at;
	u64 fired;

	fputs(",\"triggers\":[", stdout);
	while ((line = strstr(line, "\ntrigger "))) {
		end = strchr(++line, '\n');
		if (!end || sscanf(line, "trigger %" SCNu64 " %n", &fired, &at) != 1)
			break;
		printf("%s{\"fired\":%" PRIu64 ",\"on\":", first ? "" : ",", fired);
		text__json(stdout, line + at, (size_t)(end - line - at));
		hint = hint_behind(end, &bytes);
		if (hint) {
			fputs(",\"hint\":", stdout);
			text__json(stdout, hint, bytes);
		}
		fputc('}', stdout);
		first = false;
	}
	fputs("]", stdout);
}

struct row {
	unsigned int pid, threads;
	u64 records;
	double per_s;
	const char *comm;
	size_t comm_bytes;
};

/* The next process line behind *line. */
static bool next_process(const char **line, struct row *r)
{
	const char *end;
	int at = 0;

	*line = strstr(*line, "\nprocess ");
	if (!*line)
		return false;
	end = strchr(++*line, '\n');
	if (!end || sscanf(*line, "process %u %u %" SCNu64 " %lf%n", &r->pid, &r->threads, &r->records, &r->per_s, &at) != 4)
		return false;
	r->comm = *line + at + ((*line)[at] == ' ');
	r->comm_bytes = (size_t)(end - r->comm);
	return true;
}

static void json_processes(const char *text)
{
	bool first = true;
	struct row r;

	fputs(",\"targets_now\":[", stdout);
	while (next_process(&text, &r)) {
		printf("%s{\"pid\":%u,\"threads\":%u,\"records\":%" PRIu64 ",\"records_per_second\":%.0f,\"comm\":", first ? "" : ",",
		       r.pid, r.threads, r.records, r.per_s);
		text__json(stdout, r.comm, r.comm_bytes);
		fputc('}', stdout);
		first = false;
	}
	fputs("]}\n", stdout);
}

/* --- text -------------------------------------------------------------------------------------------------------------- */

static const char *bytes(const char *text, const char *key)
{
	static char buf[8][32];
	static u32 at;

	return units__show_bytes(buf[at++ % 8], sizeof(buf[0]), ask__number(text, key));
}

static double seconds(const char *text, const char *key)
{
	return (double)ask__number(text, key) / 1e9;
}

static void text_ring(const char *t)
{
	printf("recorder %" PRIu64 ", for %.0f s\n", ask__number(t, "pid"), seconds(t, "running_ns"));
	printf("kept      %s in %" PRIu64 " generations and the active one, back to %.1f s ago\n", bytes(t, "bytes"),
	       ask__number(t, "generations"), seconds(t, "covered_ns"));
	printf("beside    %" PRIu64 " pages of threads, %" PRIu64 " of them partly filled (%s); %" PRIu64 " spans of before\n",
	       ask__number(t, "pages"), ask__number(t, "partial_pages"), bytes(t, "partial_bytes"), ask__number(t, "carried") + ask__number(t, "told"));
	if (ask__number(t, "carry_dropped"))
		printf("forgotten %" PRIu64 " spans of before, for want of room: snapshots lack what was said of them\n",
		       ask__number(t, "carry_dropped"));
	printf("so far    %" PRIu64 " records of tape.h, %" PRIu64 " hits of plain probes, %s\n", ask__number(t, "page_records"),
	       ask__number(t, "hits"), bytes(t, "ring_record_bytes"));
	for (int i = 0; i < LOSS_MAX; i++) {
		char key[64];

		snprintf(key, sizeof(key), "lost.%s", loss_cause__label(i));
		if (ask__number(t, key))
			printf("lost      %" PRIu64 ": %s\n", ask__number(t, key), loss_cause__text(i));
	}
	if (ask__number(t, "page_records_missing"))
		printf("missing   %" PRIu64 " records by their numbers (lost, or on their way)\n", ask__number(t, "page_records_missing"));
	if (ask__number(t, "dir_failed"))
		printf("folder    %" PRIu64 " writes failed: is its disk full?\n", ask__number(t, "dir_failed"));
	if (ask__number(t, "dropped"))
		printf("dropped   %" PRIu64 " deliveries, for want of memory\n", ask__number(t, "dropped"));
}

static void text_cost(const char *t)
{
	double run = seconds(t, "running_ns");

	printf("costs     %.2f s of CPU (%.1f %%), %s of memory, of it %s for records; kernel rings %s, %s used\n",
	       seconds(t, "cpu_ns"), run > 0 ? 100 * seconds(t, "cpu_ns") / run : 0, bytes(t, "pss_bytes"), bytes(t, "memory_bytes"),
	       bytes(t, "kernel_ring_bytes"), bytes(t, "kernel_ring_used"));
	if (ask__number(t, "bpf_run_cnt"))
		printf("BPF       %.2f s in %" PRIu64 " runs\n", seconds(t, "bpf_run_ns"), ask__number(t, "bpf_run_cnt"));
	printf("snapshots %" PRIu64 " taken, %" PRIu64 " failed, %" PRIu64 " pending; recording stood still for at most %.1f ms\n",
	       ask__number(t, "snapshots_taken"), ask__number(t, "snapshots_failed"), ask__number(t, "snapshots_waiting"),
	       (double)ask__number(t, "capture_max_ns") / 1e6);
}

static void text_triggers(const char *t)
{
	const char *line = t, *end, *hint;
	size_t bytes;
	u64 fired;
	int at;

	if (!strstr(t, "\ntrigger "))
		return;
	printf("triggers  %" PRIu64 " fired: %" PRIu64 " snapshots, %" PRIu64 " joined one that was due, %" PRIu64 " within the cooldown, %" PRIu64
	       " beyond the number\n",
	       ask__number(t, "triggers_fired"), ask__number(t, "triggers_taken"), ask__number(t, "triggers_joined"), ask__number(t, "triggers_cooldown"),
	       ask__number(t, "triggers_enough"));
	if (ask__number(t, "triggers_decode"))
		printf("          %" PRIu64 " records decoded for them, of which %" PRIu64 " could be left out unseen\n",
		       ask__number(t, "decoded_records"), ask__number(t, "left_out_records"));
	while ((line = strstr(line, "\ntrigger "))) {
		end = strchr(++line, '\n');
		if (!end || sscanf(line, "trigger %" SCNu64 " %n", &fired, &at) != 1)
			break;
		printf("  %8" PRIu64 "  ", fired);
		text__print(stdout, line + at, (size_t)(end - line - at));
		fputc('\n', stdout);
		hint = hint_behind(end, &bytes);
		if (!hint)
			continue;
		fputs("            ", stdout);
		text__print(stdout, hint, bytes);
		fputc('\n', stdout);
	}
}

static void text_processes(const char *t)
{
	const char *line = t;
	char rate[32];
	struct row r;

	printf("targets   %" PRIu64 "\n", ask__number(t, "targets"));
	while (next_process(&line, &r)) {
		printf("  %8u  %s records/s, %u threads  ", r.pid, units__show_count(rate, sizeof(rate), r.per_s), r.threads);
		text__print(stdout, r.comm, r.comm_bytes);
		fputc('\n', stdout);
	}
	if (ask__number(t, "processes_untold"))
		printf("  and %" PRIu64 " more\n", ask__number(t, "processes_untold"));
}

static int ask(const struct status_opts *o, char **answer, struct diag *d)
{
	size_t n;
	int sock = ask__connect(&o->from, d), err;

	if (sock < 0)
		return sock;
	err = control__ask(sock, "status\n", -1, answer, &n, d);
	close(sock);
	return err;
}

int cmd_status(int argc, char **argv)
{
	static char name[] = "tapebpf status";
	struct status_opts o = { .from = { .name = "default" } };
	__free_ptr char *answer = NULL;
	struct diag d = { 0 };

	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &o))
		return EXIT_USAGE;
	if (ask(&o, &answer, &d))
		return cmd__fail(EXIT_FAILED, &d);
	if (o.json) {
		json_lines(answer);
		json_triggers(answer);
		json_processes(answer);
	} else {
		text_ring(answer);
		text_cost(answer);
		text_triggers(answer);
		text_processes(answer);
	}
	return cmd__output_done("the status");
}
