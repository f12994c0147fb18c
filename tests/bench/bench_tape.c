/* SPDX-License-Identifier: MIT */
/*
 * bench_tape - tapes to read, and how fast that goes.
 *
 *	bench_tape make FILE MIB		a tape as our recorder writes it: spans with a field, nested, on four threads
 *	bench_tape make-upstream FILE MIB	the same without extension records and with hashed ids
 *	bench_tape run NAME FILE CMD ARG...	run a command; prints NAME.ms, .cpu_ms, .rss_kib and .mb_s (of
 *						FILE, a second of CPU: other work on the machine does not count)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "base/clock.h"
#include "tape/tape_format.h"
#include "tape/tape_sink.h"

#define THREADS 4
#define DEPTH 3 /* a request, and two below it */

static const char *const names[DEPTH] = { "request", "query", "row" };

/* --- ours -------------------------------------------------------------------------------------------------- */

static struct process proc = { .uid = 1, .pid = 100, .comm = "bench" };
static struct thread thread[THREADS];
static struct callsite site[DEPTH];

static void describe(const struct sink *k)
{
	u32 i;

	k->ops->process(k->ctx, &proc);
	for (i = 0; i < THREADS; i++) {
		thread[i] = (struct thread){ .uid = i + 1, .tid = 100 + i, .name = "worker", .process = &proc };
		k->ops->thread(k->ctx, &thread[i]);
	}
	for (i = 0; i < DEPTH; i++) {
		site[i] = (struct callsite){ .id = i + 1, .is_span = 1, .level = WIRE_INFO, .name = names[i], .target = "bench",
					     .module = "bench", .file = "bench.c", .line = i + 1, .field_cnt = 1,
					     .field = { { "n", WIRE_T_U64 } } };
		k->ops->callsite(k->ctx, &site[i]);
	}
}

/* One request: its spans inside each other, the innermost several times. */
static void request(const struct sink *k, struct thread *t, u64 *span, u64 *now, u64 n)
{
	u64 id[DEPTH];
	u32 i, r;

	for (i = 0; i < DEPTH - 1; i++) {
		struct value v = { .field = 0, .type = WIRE_T_U64, .u = n };
		struct span_open o = { .span = id[i] = ++*span, .callsite = &site[i], .time_ns = *now += 100, .thread = t,
				       .parent = i ? id[i - 1] : 0, .value_cnt = 1, .value = &v };

		k->ops->span_open(k->ctx, &o);
		k->ops->span_enter(k->ctx, id[i], t, *now);
	}
	for (r = 0; r < 8; r++) {
		struct value v = { .field = 0, .type = WIRE_T_U64, .u = r };
		struct span_open o = { .span = ++*span, .callsite = &site[i], .time_ns = *now += 50 + n % 37, .thread = t,
				       .parent = id[i - 1], .value_cnt = 1, .value = &v };

		k->ops->span_open(k->ctx, &o);
		k->ops->span_enter(k->ctx, o.span, t, *now);
		*now += 200 + (n * 7 + r) % 991;
		k->ops->span_exit(k->ctx, o.span, t, *now, SINK_OWN);
		k->ops->span_close(k->ctx, o.span, *now, *now, SINK_OWN);
	}
	while (i--) {
		*now += 80;
		k->ops->span_exit(k->ctx, id[i], t, *now, SINK_OWN);
		k->ops->span_close(k->ctx, id[i], *now, *now, SINK_OWN);
	}
}

static int make(const char *path, u64 bytes)
{
	struct tape_writer_opts wo = { .sz = sizeof(wo), .base_unix_ns = 1700000000000000000, .base_mono_ns = 1, .force = true };
	u64 span = 0, now = 1000, n = 0;
	struct tape_writer *w;
	struct tape_sink *s;
	struct sink k;
	struct diag d;

	if (tape_writer__open(path, &wo, &w, &d))
		return fprintf(stderr, "bench_tape: %s\n", d.text), 1;
	s = tape_sink__new(w, NULL);
	k = tape_sink__sink(s);
	describe(&k);
	while (tape_writer__bytes(w) < bytes) {
		request(&k, &thread[n % THREADS], &span, &now, n);
		if (!(++n & 63))
			tape_writer__publish(w);
	}
	tape_sink__finish(s, now, span * 2, span * 2, 0);
	tape_sink__free(s);
	printf("%llu\n", (unsigned long long)span);
	return tape_writer__close(w, &d) ? 1 : 0;
}

/* --- as upstream writes it --------------------------------------------------------------------------------- */

static FILE *out;
static u64 at; /* offset in the file */

static void put(const void *rec, u32 bytes)
{
	static const char zeros[4096];
	u64 left = (1 << 20) - (at - TAPE_INTRO_BYTES) % (1 << 20);

	if (bytes > left) {
		fwrite(zeros, 1, left, out);
		at += left;
	}
	fwrite(rec, 1, bytes, out);
	at += bytes;
}

static u64 hashed(u64 x)
{
	return (x + 1) * 0x9e3779b97f4a7c15ULL;
}

static void put_open(u64 span, u32 callsite, u64 now, u64 n)
{
	struct tape_span_open o = { .h = { TAPE_SPAN_OPEN, sizeof(o) }, .span = hashed(span), .callsite = hashed(callsite),
				    .time = (s64)now, .parent_kind = TAPE_PARENT_CURRENT };
	struct {
		struct tape_value v;
		u64 n;
	} TAPE_PACKED v = { { .h = { TAPE_SPAN_VALUE, sizeof(v) }, .type = TAPE_U64, .field = hashed(99),
			      .owner = hashed(span) }, n };

	put(&o, sizeof(o));
	put(&v, sizeof(v));
}

static void put_enter(u64 span, u32 t, u64 now)
{
	struct tape_span_enter e = { .h = { TAPE_SPAN_ENTER, sizeof(e) }, .span = hashed(span), .time = (s64)now,
				     .thread = hashed(1000 + t) };

	put(&e, sizeof(e));
}

static void put_end(u64 span, u64 now)
{
	struct tape_span_end e = { .h = { TAPE_SPAN_EXIT, sizeof(e) }, .span = hashed(span), .time = (s64)now };

	put(&e, sizeof(e));
	e.h.kind = TAPE_SPAN_CLOSE;
	put(&e, sizeof(e));
}

static void put_callsite(u32 i)
{
	char rec[128];
	struct tape_callsite c = { .h = { TAPE_CALLSITE, 0 }, .info = 0x0a, .field_cnt = 1, .name_len = (u16)strlen(names[i]),
				   .target_len = 5, .id = hashed(i) };
	struct {
		struct tape_callsite_field f;
		char n;
	} TAPE_PACKED f = { { .h = { TAPE_CALLSITE_FIELD, sizeof(f) }, .name_len = 1, .callsite = hashed(i), .id = hashed(99) },
			    'n' };
	u32 bytes = sizeof(c) + c.name_len + c.target_len;

	c.h.len = (u16)bytes;
	memcpy(rec, &c, sizeof(c));
	memcpy(rec + sizeof(c), names[i], c.name_len);
	memcpy(rec + sizeof(c) + c.name_len, "bench", 5);
	put(rec, bytes);
	put(&f, sizeof(f));
}

static int make_upstream(const char *path, u64 bytes)
{
	struct tape_intro_rec intro = { .magic = "TAPEFIL", .minor = 1, .exponent = 20, .base_lo = 1700000000000000000 };
	u64 span = 0, now = 1000, n = 0, id[DEPTH];
	u32 i, r, t;

	out = fopen(path, "we");
	if (!out)
		return fprintf(stderr, "bench_tape: %s: %s\n", path, strerror(errno)), 1;
	intro.magic[7] = 'E';
	fwrite(&intro, 1, sizeof(intro), out);
	at = sizeof(intro);
	for (i = 0; i < DEPTH; i++)
		put_callsite(i);
	for (; at < bytes; n++) {
		t = n % THREADS;
		for (i = 0; i < DEPTH - 1; i++) {
			put_open(id[i] = ++span, i, now += 100, n);
			put_enter(id[i], t, now);
		}
		for (r = 0; r < 8; r++) {
			put_open(++span, i, now += 50 + n % 37, r);
			put_enter(span, t, now);
			put_end(span, now += 200 + (n * 7 + r) % 991);
		}
		while (i--)
			put_end(id[i], now += 80);
	}
	printf("%llu\n", (unsigned long long)span);
	return fclose(out) ? 1 : 0;
}

/* --- running ----------------------------------------------------------------------------------------------- */

static int run(const char *name, const char *file, char **cmd)
{
	u64 start = clock__mono_ns(), took;
	struct rusage u;
	struct stat st;
	int status, null;
	pid_t pid = fork();
	double cpu;

	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		execvp(cmd[0], cmd);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &u) != pid || stat(file, &st))
		return 1;
	took = clock__mono_ns() - start;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return fprintf(stderr, "bench_tape: %s failed\n", name), 1;
	cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	printf("%s.ms %.1f\n%s.cpu_ms %.1f\n%s.rss_kib %ld\n%s.mb_s %.1f\n", name, (double)took / 1e6, name, cpu * 1e3, name,
	       u.ru_maxrss, name, (double)st.st_size / 1e6 / cpu);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "make"))
		return make(argv[2], strtoull(argv[3], NULL, 0) << 20);
	if (argc == 4 && !strcmp(argv[1], "make-upstream"))
		return make_upstream(argv[2], strtoull(argv[3], NULL, 0) << 20);
	if (argc > 4 && !strcmp(argv[1], "run"))
		return run(argv[2], argv[3], argv + 4);
	fputs("usage: bench_tape make|make-upstream FILE MIB; bench_tape run NAME FILE CMD ARG...\n", stderr);
	return 2;
}
