/* SPDX-License-Identifier: MIT */
#include "cmd/flight_report.h"

#include "base/text.h"
#include "base/units.h"
#include "session/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

char *flight_report__snapshot(const struct snapshot_result *r, char *dst, size_t bytes)
{
	const struct replay_result *p = &r->replay;
	char size[32];
	int n;

	n = snprintf(dst, bytes, "%.1f s, %" PRIu64 " spans, %" PRIu64 " events, %s; emitted %" PRIu64 " = stored %" PRIu64
		     " + lost %" PRIu64,
		     (double)(p->to_ns - p->from_ns) / 1e9, p->spans, p->events, units__show_bytes(size, sizeof(size), r->bytes),
		     p->emitted, p->stored, p->lost_sum);
	if (p->unaccounted && n > 0 && n < (int)bytes)
		snprintf(dst + n, bytes - (size_t)n, "; unaccounted %" PRId64 ": this is a bug of tapebpf, please report it",
			 p->unaccounted);
	return dst;
}

bool flight_report__lost(struct session *s, char *dst, size_t bytes)
{
	struct flight_stats st;
	u64 sum = 0;
	int n;

	flight__stats(session__flight(s), &st);
	st.lost[LOSS_UNKNOWN] += st.sheets.missing;
	for (int i = 0; i < LOSS_MAX; i++)
		sum += st.lost[i];
	n = snprintf(dst, bytes, "%" PRIu64 " records were lost in all:", sum);
	for (int i = 0; i < LOSS_MAX && n < (int)bytes; i++)
		if (st.lost[i])
			n += snprintf(dst + n, bytes - (size_t)n, " %s %" PRIu64 " (%s)", loss_cause__label(i), st.lost[i], loss_cause__text(i));
	return sum > 0;
}

size_t flight_report__answer(const struct snapshot_result *r, char *dst, size_t bytes)
{
	const struct replay_result *p = &r->replay;
	int n = snprintf(dst, bytes,
			 "ok\nbytes %" PRIu64 "\nfrom_ns %" PRIu64 "\nto_ns %" PRIu64 "\nuneven %d\nspans %" PRIu64 "\nevents %" PRIu64
			 "\nemitted %" PRIu64 "\nstored %" PRIu64 "\nlost %" PRIu64 "\nunaccounted %" PRId64 "\ncapture_ns %" PRIu64
			 "\nwrite_ns %" PRIu64 "\nraw_bytes %" PRIu64 "\n",
			 r->bytes, p->from_ns, p->to_ns, !p->whole, p->spans, p->events, p->emitted, p->stored, p->lost_sum, p->unaccounted,
			 r->capture_ns, r->write_ns, r->raw_bytes);

	for (int i = 0; i < LOSS_MAX && n < (int)bytes; i++)
		if (p->lost[i])
			n += snprintf(dst + n, bytes - (size_t)n, "lost.%s %" PRIu64 "\n", loss_cause__label(i), p->lost[i]);
	return MIN((size_t)n, bytes - 1);
}

/* --- status --------------------------------------------------------------------------------------------------------- */

/* An answer is one packet: processes beyond it are counted. */
struct processes {
	FILE *f;
	u64 untold;
};

static void put_process(void *ctx, const struct process *p, u32 threads, u64 records, double per_s)
{
	struct processes *all = ctx;
	FILE *f = all->f;

	if (ftell(f) > CONTROL_MAX_BYTES - 256) {
		all->untold++;
		return;
	}
	/* the last of the line, as it may hold anything but a newline */
	fprintf(f, "process %u %u %" PRIu64 " %.0f ", p->pid, threads, records, per_s);
	for (const char *c = p->comm; *c; c++)
		fputc((u8)*c < ' ' ? '?' : *c, f);
	fputc('\n', f);
}

static u64 pss_bytes(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024ULL;
}

static void put(FILE *f, const char *key, u64 value)
{
	fprintf(f, "%s %" PRIu64 "\n", key, value);
}

static void put_ring(FILE *f, const struct flight_stats *st, u64 from_ns, u64 now_ns)
{
	put(f, "generations", st->ring.cnt);
	put(f, "bytes", st->ring.bytes);
	put(f, "active_bytes", st->ring.active_bytes);
	put(f, "held_bytes", st->ring.held_bytes);
	put(f, "memory_bytes", st->ring.memory_bytes);
	put(f, "covered_ns", now_ns - MIN(now_ns, from_ns));
	put(f, "covered_from_ns", from_ns);
	put(f, "generations_sealed", st->ring.sealed);
	put(f, "generations_evicted", st->ring.evicted);
	put(f, "pages", st->sheets.pages);
	put(f, "partial_pages", st->sheets.partials);
	put(f, "partial_bytes", st->sheets.partial_bytes);
	put(f, "carried", st->carried);
	put(f, "told", st->told);
	put(f, "carry_dropped", st->carry_dropped);
	put(f, "ring_records", st->recs);
	put(f, "ring_record_bytes", st->bytes);
	put(f, "page_records", st->sheets.records);
	put(f, "page_records_missing", st->sheets.missing);
	put(f, "hits", st->hits);
	put(f, "dropped", st->dropped + st->sheets.failed);
	put(f, "dir_failed", st->dir_failed);
	for (int i = 0; i < LOSS_MAX; i++)
		if (st->lost[i])
			fprintf(f, "lost.%s %" PRIu64 "\n", loss_cause__label(i), st->lost[i]);
}

static void put_self(FILE *f, struct session *s, u64 now_ns, u64 start_ns)
{
	struct session_totals t;
	struct rusage ru;

	session__totals(s, &t);
	getrusage(RUSAGE_SELF, &ru);
	put(f, "running_ns", now_ns - start_ns);
	put(f, "cpu_ns", ((u64)ru.ru_utime.tv_sec + (u64)ru.ru_stime.tv_sec) * NSEC_PER_SEC +
				 ((u64)ru.ru_utime.tv_usec + (u64)ru.ru_stime.tv_usec) * 1000);
	put(f, "pss_bytes", pss_bytes());
	put(f, "kernel_ring_bytes", t.attach.ring_bytes);
	put(f, "kernel_ring_used", t.attach.ring_bytes_used);
	put(f, "bpf_run_ns", t.attach.bpf_run_ns);
	put(f, "bpf_run_cnt", t.attach.bpf_run_cnt);
	put(f, "bpf_missed", t.attach.missed);
	put(f, "unread_pages", t.unread_pages);
	put(f, "untracked_pages", t.untracked);
	put(f, "life_records_lost", t.life_lost);
	put(f, "decoded_records", t.ingest.received + t.ingest.hits + t.ingest.immediates);
	put(f, "left_out_records", t.ingest.skipped);
	put(f, "targets", session__targets(s));
}

char *flight_report__status(struct session *s, const struct snapshots *sn, const struct flight_triggers *tr,
			    u64 start_ns, size_t *bytes)
{
	u64 now_ns = clock__mono_ns();
	struct snapshots_stats ss;
	struct flight_stats st;
	char *text = NULL;
	FILE *f = open_memstream(&text, bytes);
	struct processes all = { .f = f };

	if (!f)
		return NULL;
	flight__stats(session__flight(s), &st);
	snapshots__stats(sn, &ss);
	fprintf(f, "ok\npid %d\n", getpid());
	put_self(f, s, now_ns, start_ns);
	put_ring(f, &st, flight__snapshot_start_ns(session__flight(s), now_ns), now_ns);
	put(f, "snapshots_taken", ss.taken);
	put(f, "snapshots_failed", ss.failed);
	put(f, "snapshots_waiting", ss.waiting + (ss.writing ? 1u : 0));
	put(f, "capture_max_ns", ss.max_capture_ns);
	put(f, "processes", st.processes);
	put(f, "threads", st.threads);
	flight_triggers__report(tr, f);
	flight__each_process(session__flight(s), now_ns, put_process, &all);
	if (all.untold)
		put(f, "processes_untold", all.untold);
	return fclose(f) ? NULL : text;
}
