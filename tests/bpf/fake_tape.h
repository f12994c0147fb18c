/* SPDX-License-Identifier: MIT */
/*
 * fake_tape.h - a tape.h by hand, for tests of the kernel side alone: it makes a page, appends records of 16 bytes and
 * runs the probes. No locking, no signals, no forks: what it leaves out is tape.h's business.
 */
#ifndef FAKE_TAPE_H
#define FAKE_TAPE_H

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/util.h"
#include "tapebpf/wire.h"

#if defined(__x86_64__)
#define FAKE_PIN(name) register unsigned long name
#define FAKE_ARGS "8@%%rdi 8@%%rsi"
#define FAKE_R1 "rdi"
#define FAKE_R2 "rsi"
#define FAKE_NOP "nop"
#else
#define FAKE_PIN(name) register unsigned long name
#define FAKE_ARGS "8@x0 8@x1"
#define FAKE_R1 "x0"
#define FAKE_R2 "x1"
#define FAKE_NOP "nop"
#endif

#define FAKE_NOTE(name, args)                                                      \
	"990: " FAKE_NOP "\n"                                                      \
	".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n"                   \
	".4byte 992f-991f, 994f-993f, 3\n"                                         \
	"991: .asciz \"stapsdt\"\n992: .balign 4\n"                                \
	"993: .8byte 990b, 0, 0\n.asciz \"tape\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n994: .balign 4\n" \
	".popsection\n"

#define FAKE_PROBE(name, a, b)                                                              \
	do {                                                                                \
		FAKE_PIN(p1) __asm__(FAKE_R1) = (unsigned long)(a);                         \
		FAKE_PIN(p2) __asm__(FAKE_R2) = (unsigned long)(b);                         \
		__asm__ volatile(FAKE_NOTE(name, FAKE_ARGS) : : "r"(p1), "r"(p2) : "memory"); \
	} while (0)

struct wire_module fake_module __attribute__((section("tape_module"), used, aligned(8))) = {
	.magic = WIRE_MODULE_MAGIC,
	.version = WIRE_VERSION,
	.size = sizeof(struct wire_module),
};

static inline u64 fake_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static __attribute__((noinline)) void fake_announce(struct wire_page *p)
{
	FAKE_PROBE("thread", p, 0);
}

static inline struct wire_page *fake_page(void)
{
	struct wire_page *p =
		mmap(NULL, WIRE_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	p->version = WIRE_VERSION;
	p->id = fake_ns();
	p->pid = getpid();
	p->tid = syscall(SYS_gettid);
	p->module = (u64)(uintptr_t)&fake_module;
	p->next = __atomic_exchange_n(&fake_module.first, (u64)(uintptr_t)p, __ATOMIC_SEQ_CST);
	p->slot[0].ticks = p->slot[0].mono_ns = fake_ns();
	p->magic = WIRE_PAGE_MAGIC;
	fake_announce(p);
	return p;
}

static inline u64 fake_number(const struct wire_page *p)
{
	return p->slot[WIRE_COMMIT_SEQ(p->commit) & 1].first + WIRE_COMMIT_CNT(p->commit);
}

static inline void fake_reset(struct wire_page *p)
{
	u32 seq = WIRE_COMMIT_SEQ(p->commit) + 1;

	p->slot[seq & 1] = (struct wire_slot){.first = fake_number(p), .ticks = fake_ns(), .mono_ns = fake_ns()};
	p->pre_len[seq & 1] = 0;
	__atomic_store_n(&p->commit, (u64)seq << 32, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) void fake_flush(struct wire_page *p)
{
	FAKE_PROBE("flush", p, 0);
	fake_reset(p);
}

static __attribute__((noinline)) void fake_gone(struct wire_page *p)
{
	FAKE_PROBE("gone", p, 0);
}

static __attribute__((noinline)) void fake_record(const void *imm, size_t bytes)
{
	FAKE_PROBE("record", imm, bytes);
}

/* An event whose value is its own number in the life of the page. */
static inline void fake_append(struct wire_page *p)
{
	u64 c = p->commit;
	u32 *rec;

	if (WIRE_COMMIT_LEN(c) + 16 > WIRE_DATA_END - WIRE_DATA) {
		fake_flush(p);
		c = p->commit;
	}
	rec = (u32 *)((u8 *)p + WIRE_DATA + WIRE_COMMIT_LEN(c));
	rec[0] = WIRE_HEAD(WIRE_R_EVENT, 0, 0, 16);
	rec[1] = 1;
	rec[2] = 0x1000;
	rec[3] = (u32)fake_number(p);
	__atomic_store_n(&p->commit, c + (1 << 16) + 16, __ATOMIC_RELEASE);
}

#endif
