/* SPDX-License-Identifier: MIT */
/*
 * truth.h - the ground truth of the traced programs th_*: what they recorded, in a file that survives SIGKILL.
 *
 * Every th_* program is called as `th_NAME TRUTH ARGS...` (TRUTH "-" : none). The file is a shared mapping, made by the first
 * process that opens it and used by its children too:
 *	struct truth_file	magic, number of slots handed out
 *	struct truth_slot[]	one for each thread (of each process: a fork's child takes a new one)
 * A thread adds 1 to `intended` before each record and to `committed` after it, so a killed program's records number between
 * the two sums, and equal both where it ended by itself. A record is one of tape.h's: a begin, an end, an event, an open,
 * enter, exit, clone, drop, value, follows, number or thread name each count 1. They count as made whether anybody records or
 * not: a test attaches first (`tapebpf -- th_...`) or sets TH_WAIT=1, which makes the program wait until a site is armed
 * (TH_WAIT=N: of the executable, at most 30 s).
 *
 * The program's own result is its last line on stdout, `result N`, the same whether traced or not. `th_truth FILE` prints
 * `intended N committed N slots N`.
 */
#ifndef TRUTH_H
#define TRUTH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <tape.h>

#define TRUTH_MAGIC 0x4854555254455041ULL
#define TRUTH_SLOTS 65536

struct truth_slot {
	volatile uint64_t intended, committed;
	uint32_t pid, tid;
	uint64_t pad;
};
struct truth_file {
	uint64_t magic;
	uint32_t slots, pad;
	uint64_t pad2[2];
	struct truth_slot slot[TRUTH_SLOTS];
};

/* One a program: its shared objects have the slot handed in. */
static struct truth_file *truth_map;
static __thread struct truth_slot *truth_mine;
static volatile uint32_t truth_pid;

static inline void truth_take(void)
{
	uint32_t n = __atomic_fetch_add(&truth_map->slots, 1, __ATOMIC_RELAXED);

	if (n >= TRUTH_SLOTS) {
		fprintf(stderr, "truth: too many threads\n");
		abort();
	}
	truth_mine = &truth_map->slot[n];
	truth_mine->pid = (uint32_t)getpid();
	truth_mine->tid = (uint32_t)syscall(SYS_gettid);
}

/* This thread's slot. After a fork call truth_forked() in the child. */
static inline struct truth_slot *truth(void)
{
	if (!truth_mine)
		truth_take();
	return truth_mine;
}

__attribute__((unused)) static void truth_forked(void)
{
	truth_take();
}

extern const struct tape_site __start_tape_sites[] __attribute__((weak, visibility("hidden")));
extern const struct tape_site __stop_tape_sites[] __attribute__((weak, visibility("hidden")));

/* All of the program's sites armed, or 30 s gone. */
__attribute__((unused)) static void truth_wait_armed(void)
{
	const struct tape_site *s;
	int i;

	for (i = 0; i < 3000; i++) {
		for (s = __start_tape_sites; s < __stop_tape_sites; s++)
			if (!tape__how(s))
				break;
		if (s == __stop_tape_sites)
			return;
		usleep(10000);
	}
	fprintf(stderr, "nobody came to record\n");
}

__attribute__((unused)) static void truth_open(const char *path)
{
	size_t bytes = sizeof(struct truth_file);
	int fd = -1, flags = MAP_SHARED;

	if (strcmp(path, "-")) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || ftruncate(fd, (off_t)bytes)) {
			perror(path);
			exit(1);
		}
	} else {
		flags |= MAP_ANONYMOUS;
	}
	truth_map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (truth_map == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	if (fd >= 0)
		close(fd);
	truth_map->magic = TRUTH_MAGIC;
	if (getenv("TH_WAIT"))
		truth_wait_armed();
}

#define TRUTH_BEFORE() (truth()->intended++)
#define TRUTH_AFTER() (truth()->committed++)
/* One record: TRUTH(tape_info("x")); */
#define TRUTH(...) \
	do { \
		TRUTH_BEFORE(); \
		__VA_ARGS__; \
		TRUTH_AFTER(); \
	} while (0)

/* A scoped span of two records around BODY. */
#define TRUTH_SPAN(body, ...) \
	do { \
		TRUTH_BEFORE(); \
		{ \
			tape_span(__VA_ARGS__); \
			TRUTH_AFTER(); \
			body; \
			TRUTH_BEFORE(); \
		} \
		TRUTH_AFTER(); \
	} while (0)

__attribute__((unused)) static long truth_arg(int argc, char **argv, int i, long otherwise)
{
	return i < argc ? strtol(argv[i], NULL, 0) : otherwise;
}

#endif
