/* SPDX-License-Identifier: MIT */
#include "cmd/status.h"

#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define PLURAL(n) ((n) == 1 ? "" : "s")

void status__init(struct status *st, bool json, bool quiet)
{
	*st = (struct status){ .json = json, .quiet = quiet, .line = !quiet && !json && isatty(STDERR_FILENO) };
	st->start_ns = st->last_ns = clock__mono_ns();
}

static void json_loss(const struct session_totals *t)
{
	printf("\"lost\":%" PRIu64 ",\"lost_by_cause\":{", t->lost_sum);
	for (int i = 0, first = 1; i < LOSS_MAX; i++) {
		if (!t->lost[i])
			continue;
		printf("%s\"%s\":%" PRIu64, first ? "" : ",", loss_cause__label(i), t->lost[i]);
		first = 0;
	}
	printf("}");
}

/* A line that wraps could not be taken back: it is cut at the edge of the terminal, whatever that is now. */
static __attribute__((format(printf, 1, 2))) void print_line(const char *fmt, ...)
{
	struct winsize ws = { 0 };
	int room = ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) || !ws.ws_col ? 80 : ws.ws_col;
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "\r\033[K%.*s", room - 1, line);
}

void status__update(struct status *st, struct session *s, const struct tapes *tp)
{
	char rate[16], spans[16], lost[16], size[16];
	struct session_totals t;
	u64 now = clock__mono_ns(), records;
	double seconds = (double)(now - st->last_ns) / 1e9, per_s;

	if ((!st->line && !st->json) || seconds < 1.0)
		return;
	session__totals(s, &t);
	records = t.stored + t.lost_sum;
	per_s = (double)(records - st->last_records) / seconds;
	st->last_records = records;
	st->last_ns = now;
	if (st->json) {
		printf("{\"type\":\"status\",\"seconds\":%.3f,\"records_per_second\":%.0f,\"stored\":%" PRIu64
		       ",\"spans\":%" PRIu64 ",\"spans_open\":%" PRIu64 ",\"events\":%" PRIu64 ",",
		       (double)(now - st->start_ns) / 1e9, per_s, t.stored, t.model.spans_opened,
		       t.model.spans_open, t.model.events);
		json_loss(&t);
		printf(",\"bytes\":%" PRIu64 ",\"targets\":%u}\n", tapes__bytes(tp), session__targets(s));
		cmd__output_error();
		return;
	}
	/* what matters most comes first: a narrow terminal cuts the line */
	print_line("%5.0f s  %s lost  %s records/s  %s  %s spans  %u target%s", (double)(now - st->start_ns) / 1e9,
		   units__show_count(lost, sizeof(lost), (double)t.lost_sum), units__show_count(rate, sizeof(rate), per_s),
		   units__show_bytes(size, sizeof(size), tapes__bytes(tp)),
		   units__show_count(spans, sizeof(spans), (double)t.model.spans_opened), session__targets(s),
		   PLURAL(session__targets(s)));
	st->shown = true;
}

void status__clear(struct status *st)
{
	if (st->shown)
		fputs("\r\033[K", stderr);
	st->shown = false;
}

void status__tape(struct status *st, const struct tapes *t, u32 i, const struct rotation_part *part)
{
	const char *path = tapes__path(t, i);

	status__clear(st);
	st->tapes_told = true;
	if (st->json) {
		printf("{\"type\":\"tape\",\"path\":");
		text__json(stdout, path, strlen(path));
		printf(",\"emitted\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"lost\":%" PRIu64 "}\n", part->emitted, part->stored,
		       part->lost);
		cmd__output_error();
		return;
	}
	if (st->quiet)
		return;
	fputs("tape: ", stderr);
	text__print(stderr, path, strlen(path));
	fprintf(stderr, ": emitted %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64 "\n", part->emitted, part->stored,
		part->lost);
}

static void json_command(const struct child *c)
{
	if (!c->reaped)
		return;
	printf(",\"command\":{\"pid\":%d,\"%s\":%d}", c->pid, WIFSIGNALED(c->status) ? "signal" : "exit_code",
	       WIFSIGNALED(c->status) ? WTERMSIG(c->status) : WEXITSTATUS(c->status));
}

static void json_summary(const struct session_totals *t, const struct tapes *tp, const struct child *c, double seconds)
{
	printf("{\"type\":\"summary\",\"seconds\":%.3f,\"tapes\":[", seconds);
	for (u32 i = 0; i < tapes__cnt(tp); i++) {
		printf("%s", i ? "," : "");
		text__json(stdout, tapes__path(tp, i), strlen(tapes__path(tp, i)));
	}
	printf("],\"emitted\":%" PRIu64 ",\"stored\":%" PRIu64 ",", t->emitted, t->stored);
	json_loss(t);
	printf(",\"unaccounted\":%" PRId64 ",\"spans\":%" PRIu64 ",\"events\":%" PRIu64
	       ",\"unfinished\":%" PRIu64 ",\"before_attach\":%" PRIu64 ",\"pairs\":{\"begins\":%" PRIu64
	       ",\"ends\":%" PRIu64 ",\"abandoned\":%" PRIu64 ",\"end_without_begin\":%" PRIu64
	       ",\"begin_without_end\":%" PRIu64 "},\"processes\":%" PRIu64 ",\"threads\":%" PRIu64
	       ",\"unreadable_args\":%" PRIu64 ",\"unread_pages\":%" PRIu64 ",\"untracked_pages\":%" PRIu64
	       ",\"life_records_lost\":%" PRIu64 ",\"bytes\":%" PRIu64,
	       (s64)t->unaccounted, t->model.spans_opened, t->model.events, t->model.unfinished,
	       t->model.before_attach, t->model.pair_begins, t->model.pair_ends, t->model.pair_abandoned,
	       t->model.pair_end_without_begin, t->model.pair_begin_without_end, t->model.processes,
	       t->model.threads, t->model.unreadable_args, t->unread_pages, t->untracked, t->life_lost,
	       tapes__bytes(tp));
	json_command(c);
	puts("}");
	cmd__output_error();
}

/* Not our failure, and not our exit status: but whoever records a crash wants to know that it was one. */
static void text_command(const struct child *c)
{
	char fate[80];

	if (!c->reaped || !c->status)
		return;
	text__print(stderr, c->path, strlen(c->path));
	fprintf(stderr, " %s\n", child__fate(c, fate, sizeof(fate)));
}

static void text_pairs(const struct model_stats *m)
{
	if (m->pair_begins + m->pair_end_without_begin == 0)
		return;
	fprintf(stderr,
		"paired probes: %" PRIu64 " begins, %" PRIu64 " ends, %" PRIu64 " abandoned, %" PRIu64
		" ends without begin, %" PRIu64 " begins without end\n",
		m->pair_begins, m->pair_ends, m->pair_abandoned, m->pair_end_without_begin,
		m->pair_begin_without_end);
}

static void text_summary(const struct session_totals *t, const struct tapes *tp, bool told, double seconds)
{
	char size[16];

	/* those of a rotation have been told one by one */
	for (u32 i = 0; !told && i < tapes__cnt(tp); i++) {
		fputs("tape: ", stderr);
		text__print(stderr, tapes__path(tp, i), strlen(tapes__path(tp, i)));
		fputc('\n', stderr);
	}
	fprintf(stderr, "%.1f s, %" PRIu64 " span%s, %" PRIu64 " event%s, %" PRIu64 " thread%s of %" PRIu64
		" process%s, %s\n",
		seconds, t->model.spans_opened, PLURAL(t->model.spans_opened), t->model.events,
		PLURAL(t->model.events), t->model.threads, PLURAL(t->model.threads), t->model.processes,
		t->model.processes == 1 ? "" : "es", units__show_bytes(size, sizeof(size), tapes__bytes(tp)));
	text_pairs(&t->model);
	if (t->model.unfinished)
		fprintf(stderr, "%" PRIu64 " spans were still open and are marked so\n", t->model.unfinished);
}

/* Attached is not hit. Nothing at all is rarely what was meant: say how far it got. */
static void text_nothing(struct session *s, const struct session_totals *t)
{
	struct session_sites f;

	if (t->emitted)
		return;
	session__sites(s, &f);
	if (f.files)
		fprintf(stderr, "no record: %u plain sites and %u tape.h callsites of %u files were attached, none "
			"was passed (`tapebpf list PID` shows which wait for a semaphore or an option)\n", f.foreign, f.tape, f.files);
}

/* What no count can be given for is said in words. */
static void text_limits(const struct session_totals *t)
{
	if (t->unread_pages)
		fprintf(stderr, "%" PRIu64 " buffers could not be read when they were due (paged out or reaped); where the "
			"thread died with it, what it held since the last idle read (200 ms) is not in these numbers\n",
			t->unread_pages);
	if (t->untracked)
		fprintf(stderr, "%" PRIu64 " thread buffers were more than are kept track of: killed threads among "
			"them lose their last records\n", t->untracked);
	if (t->life_lost)
		fprintf(stderr, "%" PRIu64 " starts and ends of threads or processes did not fit into a ring\n",
			t->life_lost);
}

void status__summary(struct status *st, struct session *s, const struct tapes *tp, const struct child *c, bool quiet)
{
	double seconds = (double)(clock__mono_ns() - st->start_ns) / 1e9;
	struct session_totals t;

	status__clear(st);
	session__totals(s, &t);
	if (st->json)
		json_summary(&t, tp, c, seconds);
	if (st->json || (quiet && !t.lost_sum && !t.unaccounted))
		return;
	if (!quiet) {
		text_command(c);
		text_summary(&t, tp, st->tapes_told, seconds);
		text_nothing(s, &t);
	}
	for (int i = 0; i < LOSS_MAX; i++)
		if (t.lost[i])
			fprintf(stderr, "lost %" PRIu64 ": %s (%s)\n", t.lost[i], loss_cause__label(i),
				loss_cause__text(i));
	text_limits(&t);
	if (t.unaccounted)
		fprintf(stderr, "unaccounted: %" PRId64 " records: this is a bug of tapebpf, please report it\n",
			(s64)t.unaccounted);
	fprintf(stderr, "emitted %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64 "\n", t.emitted, t.stored,
		t.lost_sum);
}
