/* SPDX-License-Identifier: MIT */
/*
 * truth.h - what a traced program has really done, kept where SIGKILL does not reach.
 *
 * A shared file mapping holds one slot for each thread (and each signal handler) that makes records. Before a record the slot
 * says that it is intended, afterwards that it is committed; so of a killed thread at most one record is in doubt.
 * Records with fields are numbered: each carries (slot, seq), so that a tape can be compared record by record. All
 * others (ends of spans, ...) are counted only. truth_check.c reads the file, and a dump beside it.
 *
 * Several processes, and several runs one after the other, share a file: slots are handed out by one atomic counter.
 */
#ifndef TRUTH_H
#define TRUTH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRUTH_SLOTS 32768

struct truth_slot {
	uint64_t intended;	 /* numbered records: the last one begun */
	uint64_t committed;	 /* the last one done */
	uint64_t other_intended; /* records without a number */
	uint64_t other_committed;
	uint64_t torn; /* records left in the middle by longjmp: each may be there or not */
	uint32_t no, pid, tid, pad;
	uint64_t spare;
};

struct truth_file {
	uint64_t slot_cnt;
	uint64_t spare[7];
	struct truth_slot slot[TRUTH_SLOTS];
};

#ifndef TRUTH_READER
static struct truth_file *truth;

static inline void truth__open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0644);

	if (fd < 0 || ftruncate(fd, sizeof(*truth))) {
		perror(path);
		exit(99);
	}
	truth = (struct truth_file *)mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (truth == MAP_FAILED) {
		perror(path);
		exit(99);
	}
	close(fd);
}

/* A new slot; async-signal-safe. */
static inline struct truth_slot *truth__take(void)
{
	uint64_t no = __atomic_fetch_add(&truth->slot_cnt, 1, __ATOMIC_RELAXED);
	struct truth_slot *s = &truth->slot[no];

	if (no >= TRUTH_SLOTS - 128)
		_exit(98);
	s->no = (uint32_t)no;
	s->pid = (uint32_t)syscall(SYS_getpid);
	s->tid = (uint32_t)syscall(SYS_gettid);
	return s;
}

/* Slots from here on have a page to themselves, so that a fork's child can be cut off: what it finishes of its parent's does not
 * count twice. */
#define TRUTH_FAR (TRUTH_SLOTS - 64)

static inline struct truth_slot *truth__take_far(void)
{
	struct truth_slot *s = &truth->slot[TRUTH_FAR];

	s->no = TRUTH_FAR;
	s->pid = (uint32_t)syscall(SYS_getpid);
	s->tid = (uint32_t)syscall(SYS_gettid);
	return s;
}

static inline void truth__cut_off(void)
{
	struct truth_slot copy = truth->slot[TRUTH_FAR];
	void *at = (void *)((uintptr_t)&truth->slot[TRUTH_FAR] & ~4095UL);

	if (mmap(at, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(97);
	truth->slot[TRUTH_FAR] = copy;
}

static inline uint64_t truth__begin(struct truth_slot *s)
{
	uint64_t seq = s->intended + 1;

	__atomic_store_n(&s->intended, seq, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return seq;
}

static inline void truth__done(struct truth_slot *s, uint64_t seq)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&s->committed, seq, __ATOMIC_RELAXED);
}

/* After a longjmp out of the middle of something. */
static inline void truth__jumped(struct truth_slot *s)
{
	s->torn += s->intended - s->committed + s->other_intended - s->other_committed;
	s->committed = s->intended;
	s->other_committed = s->other_intended;
}

/* One numbered event. */
#define TRUTH_EVENT(s, name) \
	do { \
		uint64_t truth_seq = truth__begin(s); \
		tape_event(INFO, name, (slot, (s)->no), (seq, truth_seq)); \
		truth__done(s, truth_seq); \
	} while (0)

/* Statements that make `cnt` records without a number. */
#define TRUTH_OTHER(s, cnt, ...) \
	do { \
		__atomic_store_n(&(s)->other_intended, (s)->other_intended + (cnt), __ATOMIC_RELAXED); \
		__atomic_signal_fence(__ATOMIC_SEQ_CST); \
		__VA_ARGS__; \
		__atomic_signal_fence(__ATOMIC_SEQ_CST); \
		__atomic_store_n(&(s)->other_committed, (s)->other_committed + (cnt), __ATOMIC_RELAXED); \
	} while (0)

/* A numbered span around statements; its end counts as the record without a number. */
#define TRUTH_SPAN(s, name, ...) \
	do { \
		{ \
			uint64_t truth_seq_ = truth__begin(s); \
			tape_span(INFO, name, (slot, (s)->no), (seq, truth_seq_)); \
			truth__done(s, truth_seq_); \
			__VA_ARGS__; \
			__atomic_store_n(&(s)->other_intended, (s)->other_intended + 1, __ATOMIC_RELAXED); \
			__atomic_signal_fence(__ATOMIC_SEQ_CST); \
		} \
		__atomic_signal_fence(__ATOMIC_SEQ_CST); \
		__atomic_store_n(&(s)->other_committed, (s)->other_committed + 1, __ATOMIC_RELAXED); \
	} while (0)
#endif
#endif
