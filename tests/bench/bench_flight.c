/* SPDX-License-Identifier: MIT */
/*
 * bench_flight - a flight recording without a kernel: what keeping a record costs, how long a full ring of 64 MiB takes to be taken, and what
 * writing it costs a span; and, as what any copy costs here, a plain memcpy of pages that another CPU has just filled. Prints "NAME VALUE" lines. FILE: where the snapshot goes, removed afterwards.
 */
#include "base/clock.h"
#include "base/stream_copy.h"
#include "flight/flight.h"
#include "ingest/page_sim.h"
#include "session/snapshot_write.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define RING_BYTES (64u << 20)
#define THREADS 8
#define LINK_ADDR 0x4000ULL

static struct elf_tape_site site = { .addr = LINK_ADDR + 0x800, .kind = WIRE_SITE_SPAN, .level = WIRE_INFO, .name = "step",
				     .target = "app", .module = "app", .file = "app.c" };
static struct elf_file file = { .path = "app", .module_addr = LINK_ADDR, .tape_site = &site, .tape_site_cnt = 1 };
static struct sim_page page[THREADS];
static u64 records;

/* Spans without fields, two records each, until the page is full. */
static void fill(struct sim_page *p, u64 *now)
{
	u32 callsite = (u32)SIM_SITE_ADDR;

	for (;;) {
		*now += 20;
		if (!sim__append(p, WIRE_R_BEGIN, 0, 0, &callsite, 4, *now) || !sim__append(p, WIRE_R_END, 0, 0, NULL, 0, *now + 10))
			break;
	}
	sim__end(p, *now);
	records += sim__cnt(p);
}

/* Of this process: a busy machine does not count. */
static u64 cpu_ns(void)
{
	return clock__ns(CLOCK_PROCESS_CPUTIME_ID);
}

static double ms(u64 ns)
{
	return (double)ns / 1e6;
}

static int write_out(struct snapshot *s, enum snapshot_format format, const char *path, const char *name)
{
	static struct snapshot_write w;
	u64 begin = cpu_ns();
	int err;

	w = (struct snapshot_write){ .snap = s, .format = format, .fd = -1 };
	snprintf(w.path, sizeof(w.path), "%s", path);
	err = snapshot__write(&w);
	if (err || w.res.replay.unaccounted || w.res.replay.lost_sum) {
		fprintf(stderr, "bench_flight: %s: %d\n", name, err);
		return 1;
	}
	printf("%s %.1f\n", name, (double)(cpu_ns() - begin) / (double)w.res.replay.spans);
	unlink(w.path);
	return 0;
}

#define COLD_BYTES (16u << 20) /* a kernel ring of `run` */
#define COLD_TO_BYTES (12u << 20) /* a flight recording of the default size, with the generation that is being filled */
#define COLD_ROUNDS 24

static u8 cold[COLD_BYTES], cold_to[COLD_TO_BYTES];

static bool stay_on(u32 cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return !sched_setaffinity(0, sizeof(one), &one);
}

static void *make_cold(void *seed)
{
	if (!stay_on(0))
		return NULL;
	memset(cold, (int)(uintptr_t)seed, sizeof(cold));
	return cold;
}

static u64 copy_cold(void (*copy)(void *to, const void *from, size_t bytes))
{
	u64 begin = clock__ns(CLOCK_THREAD_CPUTIME_ID), to = 0;

	for (u64 at = 0; at < COLD_BYTES; at += WIRE_PAGE_BYTES, to = (to + WIRE_PAGE_BYTES) % COLD_TO_BYTES)
		copy(cold_to + to, cold + at, WIRE_PAGE_BYTES);
	return clock__ns(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static void by_memcpy(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
	__asm__ volatile("" ::: "memory");
}

/* In turns, memcpy and ours. On one CPU it cannot be found out, and nothing is printed. */
static void measure_cold(void)
{
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all) || !stay_on(1))
		return;
	for (uintptr_t round = 0; round < COLD_ROUNDS; round++) {
		bool ours = round & 1;
		void *filled = NULL;
		pthread_t t;

		if (pthread_create(&t, NULL, make_cold, (void *)round) || pthread_join(t, &filled) || !filled)
			break;
		printf("%s %.4f\n", ours ? "flight_cold_ns_byte" : "flight_memcpy_ns_byte",
		       (double)copy_cold(ours ? stream_copy : by_memcpy) / COLD_BYTES);
	}
	sched_setaffinity(0, sizeof(all), &all);
}

int main(int argc, char **argv)
{
	struct flight_opts o = { .sz = sizeof(o), .size_bytes = RING_BYTES, .period_ns = 1ULL << 60, .generation_ns = 1ULL << 60 };
	static struct sim_delivery d[THREADS];
	u64 now = clock__mono_ns() - 30 * NSEC_PER_SEC, took = 0, begin, bytes = 0, first = 0;
	struct flight *f = flight__new(&o, now);
	struct clock_pair at;
	struct snapshot *s;
	int i, round, failed;

	measure_cold();
	for (i = 0; i < THREADS; i++)
		sim__init(&page[i], now + i, 100, 101 + i, 0);
	/* once to fill it, then with memory that is used again, which is the steady state */
	for (round = 0; bytes < 3ULL * RING_BYTES; round++) {
		u64 lens[THREADS];

		for (i = 0; i < THREADS; i++) {
			fill(&page[i], &now);
			lens[i] = sim__deliver(&page[i], &d[i], WIRE_WHY_FLUSH, i & 1, 100, 101 + i, now);
			bytes += lens[i];
			sim__reset(&page[i], now);
		}
		if (bytes < RING_BYTES + RING_BYTES / 4)
			took = first = 0;
		first = first ? first : records;
		begin = cpu_ns();
		for (i = 0; i < THREADS; i++)
			flight__rec(f, &d[i], lens[i]);
		flight__round(f, now, now);
		took += cpu_ns() - begin;
	}
	printf("flight_keep_ns %.3f\n", (double)took / (double)(records - first));
	printf("flight_bytes_span %.2f\n", 2 * (double)bytes / (double)records);
	clock__pair(&at);
	at.mono_ns = now;
	begin = clock__mono_ns();
	s = flight__snapshot(f, &at, true, at.mono_ns);
	printf("flight_take_ms %.3f\n", ms(clock__mono_ns() - begin));
	s->file = calloc(1, sizeof(*s->file));
	s->file[0].elf = &file;
	s->file_cnt = 1;
	failed = write_out(s, SNAPSHOT_TAPE, argc > 1 ? argv[1] : "bench_flight.tape", "flight_tape_ns");
	failed |= write_out(s, SNAPSHOT_GO, argc > 1 ? argv[1] : "bench_flight.trace", "flight_go_ns");
	flight__release(f, s);
	flight__free(f);
	return failed;
}
