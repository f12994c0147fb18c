/* SPDX-License-Identifier: MIT */
/*
 * bench_gotrace.c - what writing a Go trace costs: ns of CPU a span, from the model's calls to a file's bytes. Lines
 * `NAME VALUE` for tests/bench/run, one a round.
 */
#include "base/clock.h"
#include "gotrace/gotrace.h"
#include <stdio.h>

#define ROUNDS	9
#define SPANS	400000
#define THREADS 8

static struct callsite site = {.id = 1,
			       .is_span = 1,
			       .level = WIRE_INFO,
			       .name = "work",
			       .target = "app",
			       .module = "app",
			       .file = "a.c",
			       .field_cnt = 1,
			       .field = {{"n", WIRE_T_U64}}};
static struct process process = {.uid = 1, .pid = 1, .comm = "bench"};
static struct thread thread[THREADS];

static u64 written;

static int to_file(void *ctx, const void *bytes, size_t cnt)
{
	written += cnt;
	return fwrite(bytes, 1, cnt, ctx) == cnt ? 0 : -1;
}

static void spans(const struct sink *s, u32 value_cnt)
{
	struct value v = {.type = WIRE_T_U64};
	struct span_open o = {.callsite = &site, .value_cnt = value_cnt, .value = &v};
	u64 ns = 1000000000;

	for (u64 i = 1; i <= SPANS; i++) {
		o.span = i;
		o.thread = &thread[i / 64 % THREADS];
		o.time_ns = ns += 400;
		v.u = i;
		s->ops->span_begin(s->ctx, &o);
		ns += 400;
		s->ops->span_end(s->ctx, i, o.thread, ns);
	}
}

static void measure(const char *name, u32 value_cnt)
{
	struct gotrace_opts o = {.sz = sizeof(o)};
	u64 start;

	for (u32 round = 0; round < ROUNDS; round++) {
		FILE *f = tmpfile();
		struct gotrace *g = gotrace__new(&o, to_file, f);
		struct sink s = gotrace__sink(g);

		written = 0;
		start = clock__ns(CLOCK_THREAD_CPUTIME_ID);
		spans(&s, value_cnt);
		if (gotrace__finish(g) || fflush(f))
			exit(1);
		printf("%s %.2f\n", name,
		       (double)(clock__ns(CLOCK_THREAD_CPUTIME_ID) - start) / SPANS);
		printf("%s.bytes %.2f\n", name, (double)written / SPANS);
		gotrace__free(g);
		fclose(f);
	}
}

int main(void)
{
	for (u32 i = 0; i < THREADS; i++)
		thread[i] = (struct thread){
			.uid = i + 1, .tid = 100 + i, .name = "worker", .process = &process};
	measure("gotrace_span", 0);
	measure("gotrace_field", 1);
	return 0;
}
