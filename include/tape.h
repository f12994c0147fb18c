/* SPDX-License-Identifier: MIT */
/*
 * tape.h - spans and events for native programs, recorded from outside by tapebpf.
 *
 * One header, no library. C11 and C++17 (with GNU asm: gcc >= 9, clang >= 11), x86-64 and arm64 Linux. While nobody
 * records, a probe is one load, one test and one branch not taken, and evaluates none of its arguments.
 *
 *	#define TAPE_PROVIDER shop		// before the include; an identifier; default tape_app
 *	#include <tape.h>
 *
 *	void serve(struct order *o)
 *	{
 *		tape_span(INFO, "request", (id, o->id), (http.method, "GET"));	// until the end of the block
 *		tape_info((path, o->path), "served %zu bytes", n);			// fields, then a message
 *		tape_warn("slow");							// a message alone
 *		tape_event(ERROR, "db.error", (code, err), (why, tape_err(err)));	// an event with a name
 *	}
 *
 * LEVELS are TRACE DEBUG INFO WARN ERROR. A FIELD is (name, value), up to 32 of them. The name is written without quotes
 * and may hold dots; take care with names that are macros (errno, unix). Its type is the value's: bool, integers up to
 * 128 bits, float and double, char * (NUL-terminated), any other pointer, and
 *	tape_str(p, len)	text with a length	tape_bytes(p, len)	raw bytes
 *	tape_err(e)		an errno number or a text (C++: also anything with what())
 *	tape_empty		declared now, set by tape_record() later
 * C++ also takes whatever has data() and size() of char (std::string, string_view) and enums. A NULL text leaves its field unset. A text longer than
 * TAPE_MAX_STR bytes (default 256, up to 16384) is cut and flagged with its full length. A MESSAGE is printf's, checked by
 * the compiler, and recorded as the field `message`, the first one. The names of spans and events are string literals; as
 * they are also names of stapsdt probes they may not hold % { | } " or \.
 *
 * SPANS THAT END WITH THEIR BLOCK
 *	tape_span(LEVEL, "name", fields...)
 *	tape_span_as(var, LEVEL, "name", fields...)	`var` names the span for tape_record() and tape_handle_of()
 *	tape_span_in(parent, LEVEL, "name", fields...)	parent: a handle, tape_root() or tape_here()
 *
 * SPANS BY HAND: opened, entered, left and closed anywhere, on any thread, more than once
 *	tape_handle h = tape_open(INFO, "job", (n, 1), (rows, tape_empty));
 *	tape_handle h = tape_open_in(parent, INFO, "job", ...);
 *	tape_enter(h); ... tape_exit(h);
 *	tape_handle h2 = tape_clone(h);			one handle more
 *	tape_drop(h);					one less; the span closes when none is left
 * A handle is a small struct, passed by value. Where its callsite is not being recorded it stands for the nearest recorded
 * span around it: it can still be a parent or be followed, all else does nothing.
 *
 * ABOUT SPANS
 *	tape_record(h_or_var, (rows, n), ...)		values for fields that the span has declared
 *	tape_follows(h, other)				h follows from other
 *	tape_current()					handle of the span that this thread is in, as far as this module knows
 *	tape_handle_of(var)				handle of a tape_span_as
 * These two lend a handle: good for as long as its span lasts, and dropping it does nothing. tape_clone() makes one to keep, to be dropped.
 *
 * EVENTS
 *	tape_trace/debug/info/warn/error(fields..., "message", args...)
 *	tape_event(LEVEL, "name", fields..., ["message", args...])
 *	tape_event_in(parent, LEVEL, "name", ...)
 *	tape_thread_name("worker-3")
 *	tape_prepare()					this thread's page now, not with its first record; 0: there is none to be had
 *
 * SETTINGS, before the include (or, marked *, between uses): TAPE_PROVIDER (identifier) *TAPE_TARGET *TAPE_MODULE (string
 * literals; the target is the module unless set, the module is the provider) *TAPE_MAX_STR.
 *
 * What a recorder sees: every site is a stapsdt probe with a semaphore of its own: PROVIDER:NAME for an event, NAME__begin and
 * NAME__end for a block's span, NAME__open for one by hand, LEVEL_LINE for an event without a name. `readelf -n` lists them.
 * Arguments 0 and 1 are a packed record and its length, then come up to ten fields.
 *
 * LIMITS. Probes may be used in signal handlers as far as the values allow (a message formats with vsnprintf). errno is kept. A
 * span left by longjmp, pthread_exit or an exception (C) ends with the next span around it. Threads made by raw clone()
 * that share thread-local storage are outside the contract. A DSO unloaded while other threads had traced in it leaves
 * 8 KiB for each of them. No probe in a constant expression or at file scope; before C++20 no lambda within a value. Nothing may jump over
 * a tape_span into its block (goto, a case label): gcc does not say so in C, and ends a span that has never begun.
 * A handler on an alternate stack with SS_AUTODISARM must not trace, nor one that switches to another fibre and so leaves a probe half-way.
 * What a filter of system calls (seccomp) has to let through: mmap, munmap, madvise, mlock, rt_sigprocmask, sigaltstack, nanosleep, getpid,
 * gettid and, where the C library makes one of it, clock_gettime: a filter that kills for one of them would kill as soon as somebody
 * records. A thread that has called tape_prepare() before it gives up system calls needs none for its records, up to its end (records
 * larger than a page, forks and stale marks of handlers that have jumped out aside). A thread's page counts towards RLIMIT_MEMLOCK and
 * RLIMIT_AS; where there is none to be had, each record goes out by itself, slower.
 *
 * ----------------------------------------------------------------------------------------------------------------------
 * How it works. The layouts are those of tapebpf/wire.h (structs wire_*), repeated here under other names.
 *
 * One asm statement a site emits everything that belongs to it: struct tape_site, its two words, the cold nop that a recorder
 * hangs `armed` on, its stapsdt notes and their nops. Because it is one statement, copies that the compiler makes (inlining,
 * templates, unrolling) are complete sites of their own. The nops stand in little functions in a cold section, called by the
 * emitter with (record, bytes, values) in the first three argument registers: so the notes' argument places are fixed
 * ones, and the program's own code holds one compare and one branch.
 * Rejected: asm goto, which would save the one address computation, but clang before 17 refuses two of them in one
 * function with cleanup variables.
 *
 * Armed, a thread appends to its page (struct tape_page). Invariants:
 *   - one store of the commit word makes a record visible; whatever it describes was written before;
 *   - `busy` holds the low half of the appender's stack pointer | 1. Code that finds it set runs in a handler above it and
 *     goes the immediate way, or, if its own stack pointer is not below, the appender is gone (longjmp): it is cleared;
 *   - a page that fork has wiped has magic 0 and is never used again: an append interrupted by that fork may hold it;
 *   - the page's header is changed by its owner only; nobody outside ever writes to it;
 *   - errno survives; nothing allocates through malloc.
 * Behind the page lies a second one, private, for the preamble's assembly: at a reset the records of open spans are copied there
 * as PRE records, the commit word is set to an empty batch, and only then do they move to the data area.
 * Functions are weak and hidden, so that a module has one of each, whatever mix of C and C++ it is made of.
 */
#ifndef TAPE_H
#define TAPE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(__linux__) || !(defined(__x86_64__) || defined(__aarch64__)) || !defined(__LP64__)
#error "tape.h: x86-64 and arm64 Linux only"
#endif

#ifndef TAPE_PROVIDER
#define TAPE_PROVIDER tape_app
#endif
#define TAPE__STR_(x) #x
#define TAPE__STR(x) TAPE__STR_(x)
#ifndef TAPE_MODULE
#define TAPE_MODULE TAPE__STR(TAPE_PROVIDER)
#endif
#ifndef TAPE_TARGET
#define TAPE_TARGET TAPE_MODULE
#endif
#ifndef TAPE_MAX_STR
#define TAPE_MAX_STR 256
#endif

/* Some projects forbid in C++ what a header for both languages is full of. The macros do without it. */
#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wzero-as-null-pointer-constant"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wuseless-cast"
#endif
#define TAPE__ASSERT(x, why) static_assert(x, why)
extern "C" {
#else
#define TAPE__ASSERT(x, why) _Static_assert(x, why)
#endif
TAPE__ASSERT(TAPE_MAX_STR >= 1 && TAPE_MAX_STR <= 16384, "tape: TAPE_MAX_STR must be from 1 to 16384");

__extension__ typedef __int128 tape__s128;
__extension__ typedef unsigned __int128 tape__u128;

/* --- layouts: wire.h --------------------------------------------------------------------------------------- */
enum {
	TAPE_T_EMPTY = 0, TAPE_T_BOOL = 1, TAPE_T_I32 = 2, TAPE_T_U32 = 3, TAPE_T_I64 = 4, TAPE_T_U64 = 5,
	TAPE_T_I128 = 6, TAPE_T_U128 = 7, TAPE_T_F64 = 8, TAPE_T_STR = 9, TAPE_T_BYTES = 10, TAPE_T_PTR = 11,
	TAPE_T_ERROR = 12,
};
enum { TAPE_LEVEL_TRACE = 0, TAPE_LEVEL_DEBUG = 1, TAPE_LEVEL_INFO = 2, TAPE_LEVEL_WARN = 3, TAPE_LEVEL_ERROR = 4 };
enum { TAPE_SITE_EVENT = 0, TAPE_SITE_SPAN = 1 };
enum {
	TAPE_R_BEGIN = 1, TAPE_R_END = 2, TAPE_R_EVENT = 3, TAPE_R_OPEN = 4, TAPE_R_ENTER = 5, TAPE_R_EXIT = 6,
	TAPE_R_CLONE = 7, TAPE_R_DROP = 8, TAPE_R_VALUE = 9, TAPE_R_FOLLOWS = 10, TAPE_R_NUMBER = 11,
	TAPE_R_THREAD_NAME = 12, TAPE_R_PAUSE = 13, TAPE_R_PRE = 14,
};
enum { TAPE_PARENT_CURRENT = 0, TAPE_PARENT_ROOT = 1, TAPE_PARENT_EXPLICIT = 2 };
enum { TAPE_TEXT_TRUNCATED = 1, TAPE_TEXT_NULL = 2 };
enum { TAPE_PRE_NO_FIELDS = 1, TAPE_PRE_NUMBERED = 2, TAPE_PAGE_PRE_CUT = 1, TAPE_PAGE_NAMED = 2,
       TAPE_PAGE_TOLD = 4 };
enum {
	TAPE_VERSION = 1, TAPE_PAGE_BYTES = 4096, TAPE_DATA = 128, TAPE_DATA_END = 3936, TAPE_REF_BYTES = 28,
	TAPE_MAX_DEPTH = 4094, TAPE_MAX_REC_BYTES = 65532, TAPE_MAX_FIELDS = 32, TAPE_OPEN_CNT = 64,
};
#define TAPE_MODULE_MAGIC 0x31444f4d45504154ULL
#define TAPE_PAGE_MAGIC 0x45504154U
#define TAPE__HEAD(kind, parent, depth, size) \
	((uint32_t)(kind) | (uint32_t)(parent) << 4 | (uint32_t)(depth) << 6 | (uint32_t)(size) / 4 << 18)

struct tape_site {
	uint8_t version, kind, level, field_cnt;
	uint32_t line;
	int32_t text, words, cold, nop, nop_end;
	uint32_t flags;
	uint64_t types[2];
};
struct tape_words {
	uint16_t semaphore, armed;
};
struct tape_module {
	uint64_t magic;
	uint16_t version, size, pad, ticks;
	int32_t ticks_cold;
	uint32_t next_id;
	uint64_t first, unplaced;
	uint64_t reserved[3]; /* ours: [0] struct tape__info *, [1] thread-exit key + 1, [2] id seed */
};
struct tape_slot {
	uint64_t first, ticks, mono_ns;
};
struct tape_page {
	uint32_t magic, busy;
	uint64_t commit;
	struct tape_slot slot[2];
	uint64_t end_ticks, end_ns, id;
	uint32_t pid, tid;
	uint64_t module, next;
	uint16_t pre_len[2];
	uint8_t version, clock;
	uint16_t flags;
	uint32_t end_seq, too_deep;
};
struct tape_ref {
	uint64_t id, module, open_ns;
	uint32_t callsite;
};
struct tape_imm {
	uint64_t mono_ns, at, page_id, module;
	uint32_t pid, tid, bytes;
	uint16_t version, flags;
};
TAPE__ASSERT(sizeof(struct tape_site) == 48 && sizeof(struct tape_module) == 64, "tape: layout");
TAPE__ASSERT(sizeof(struct tape_page) == TAPE_DATA && sizeof(struct tape_imm) == 48, "tape: layout");

/* --- what users hold -------------------------------------------------------------------------------------- */
typedef struct tape_handle {
	uint64_t id, module, open_ns;
	uint32_t callsite, flags;
} tape_handle;
enum {
	TAPE__H_ALIAS = 1,  /* stands for another span: good as a parent only */
	TAPE__H_DIRECT = 2, /* its callsite was not armed, its semaphore was up: records go out by themselves */
	TAPE__H_HERE = 4,
	TAPE__H_ROOT = 8,
	TAPE__H_LENT = 16,  /* of tape_current() and tape_handle_of(): it holds nothing, its clones do */
};

struct tape_scope {
	const struct tape_site *site;
	uint32_t how; /* TAPE__ON_*; 0: not recorded */
	uint32_t depth;
};
enum { TAPE__ON_PAGE = 1, TAPE__ON_NOP = 2 };

typedef struct tape__text { const void *p; size_t len; } tape__text;
typedef struct tape__strn { tape__text t; } tape__strn;
typedef struct tape__bytes { tape__text t; } tape__bytes;
typedef struct tape__err { tape__text t; } tape__err;
typedef struct tape__none { char c; } tape__none;

/* A value on its way: scalars in a (and b), texts as pointer and length (~0: NUL-terminated). 16 bytes a field: the notes name
 * these places. */
struct tape__val {
	uint64_t a, b;
};

/* --- private state ----------------------------------------------------------------------------------------- */
/* Offsets that are none. An entry that had no room in the preamble can be named all the same: what a handle of its span needs is in
 * the second page. */
enum {
	TAPE__NONE = 0xffff,
	TAPE__CUT_ENTER = 0xfffe,
	TAPE__CUT_BEGIN = 0xfffd,
	TAPE__NO_OFFSET = 0xfffd, /* these and above */
};
struct tape__tail_area { /* from TAPE_DATA_END */
	uint16_t open[TAPE_OPEN_CNT]; /* by depth: offset in the data area of BEGIN, ENTER or PRE; TAPE__CUT_* or TAPE__NONE */
	uint64_t last;		      /* ticks of the last record */
	uint64_t numbered;	      /* by depth: id[] of the second page is the number of a scoped span */
	uint64_t prev;		      /* list of the module's pages */
	uint64_t spare;
};
TAPE__ASSERT(TAPE_DATA_END + sizeof(struct tape__tail_area) == TAPE_PAGE_BYTES, "tape: layout");
struct tape__back_page { /* the second page */
	uint64_t id[TAPE_OPEN_CNT];
	/* of those that the preamble had no room for */
	uint64_t open_ns[TAPE_OPEN_CNT], module[TAPE_OPEN_CNT];
	uint32_t callsite[TAPE_OPEN_CNT];
	uint8_t pre[2048];
};
TAPE__ASSERT(sizeof(struct tape__back_page) <= TAPE_PAGE_BYTES, "tape: layout");
struct tape__info { /* one a process and module, wiped by fork */
	uint32_t pid, lock;
	uint32_t over; /* the module's destructor has run */
};
struct tape__tls {
	struct tape_page *page;
	uint32_t creating; /* as tape_page.busy, while the page is being made or unlinked */
	uint32_t depth;	   /* entries open on this thread */
	uint64_t holes;	   /* by depth: left out of order, free again once all above are */
	uint32_t inherited; /* entries below this depth are the parent's, of before a fork: their ends are not ours to say */
	uint32_t pad;
	uint32_t id_block, id_cnt;
	uint32_t ended; /* its exit key has run: a page made now would never be given back */
	char name[64];
};

/* What ISO C's headers keep to themselves under -std=c11, whatever is defined and included before: declared here under names of
 * our own. Both architectures agree on the numbers. */
struct tape__sigstack {
	void *sp;
	int flags;
	size_t size;
};
extern int tape__c_madvise(void *addr, size_t bytes, int advice) __asm__("madvise");
extern int tape__c_mlock(const void *addr, size_t bytes) __asm__("mlock");
extern int tape__c_clock_gettime(int clock, struct timespec *ts) __asm__("clock_gettime");
extern int tape__c_sigaltstack(const struct tape__sigstack *ss, struct tape__sigstack *old) __asm__("sigaltstack");
extern long tape__c_syscall(long nr, ...) __asm__("syscall");
#define TAPE__CLOCK_MONOTONIC 1
#define TAPE__SS_ONSTACK 1
#define TAPE__SIG_BLOCK 0
#define TAPE__SIG_SETMASK 2
#define TAPE__MADV_WIPEONFORK 18
#define TAPE__MAP_PRIVATE_ANONYMOUS 0x22

#define TAPE__FN __attribute__((weak, visibility("hidden"), noinline))
#define TAPE__IN static inline __attribute__((always_inline, unused))
#define TAPE__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define TAPE__FENCE() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#ifdef __SANITIZE_THREAD__ /* gcc's thread sanitizer does not know the other, and warns */
#define TAPE__RELEASE_FENCE() __sync_synchronize()
#else
#define TAPE__RELEASE_FENCE() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

extern struct tape_module tape_1_module __attribute__((visibility("hidden")));
extern __thread struct tape__tls tape_1_tls __attribute__((visibility("hidden")));
__thread struct tape__tls tape_1_tls __attribute__((weak, visibility("hidden")));

#if defined(__x86_64__)
#define TAPE__A0 "8@%%rdi"
#define TAPE__A1 " 8@%%rsi"
#define TAPE__MEM(off) "8@" #off "(%%rdx)"
#define TAPE__PAD "endbr64"
#else
#define TAPE__A0 "8@x0"
#define TAPE__A1 " 8@x1"
#define TAPE__MEM(off) "8@[x2, " #off "]"
#define TAPE__PAD "hint 34"
#endif

/* The note of a stapsdt probe, as sys/sdt.h lays it out; args: asm that emits the argument string, without NUL. */
#define TAPE__NOTE(loc, sema, provider, name, args) \
	TAPE__NOTE_IN(".pushsection .note.stapsdt,\"?\",\"note\"\n", loc, sema, provider, name, args)
#define TAPE__NOTE_IN(push, loc, sema, provider, name, args) \
	push \
	".balign 4\n" \
	".4byte 982f-981f, 984f-983f, 3\n" \
	"981: .asciz \"stapsdt\"\n" \
	"982: .balign 4\n" \
	"983: .8byte " loc "\n" \
	".8byte _.stapsdt.base\n" \
	".8byte " sema "\n" \
	".asciz \"" provider "\"\n" \
	".asciz \"" name "\"\n" args ".byte 0\n" \
	"984: .balign 4\n" \
	".popsection\n"
#define TAPE__BASE \
	".ifndef _.stapsdt.base\n" \
	".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
	".weak _.stapsdt.base\n" \
	".hidden _.stapsdt.base\n" \
	"_.stapsdt.base: .space 1\n" \
	".size _.stapsdt.base, 1\n" \
	".popsection\n" \
	".endif\n"

/*
 * tape:NAME(a, b): little functions like those of the sites. Their group (one a module, whatever the number of translation units)
 * also holds the module's descriptor and the nop that its `ticks` hangs on.
 * Why whole pages: the kernel finds the memory of a word by its file offset, in the first writable mapping that covers it. lld
 * has the read-only-after-relocation segment and the data segment share a page of the file, so that at exec the words would
 * be counted up in the wrong one.
 */
#define TAPE__GROUP(section, flags, type) \
	".pushsection " section ",\"" flags "G\",\"" type "\",tape_1_module,comdat\n"
#define TAPE__FIRE(name) \
	".weak tape_1_fire_" name "\n" \
	".hidden tape_1_fire_" name "\n" \
	".type tape_1_fire_" name ", @function\n" \
	"tape_1_fire_" name ": " TAPE__PAD "\n980: nop\nret\n" \
	".size tape_1_fire_" name ", . - tape_1_fire_" name "\n" \
	TAPE__NOTE_IN(TAPE__GROUP(".note.stapsdt", "", "note"), "980b", "0", "tape", name, \
		      ".ascii \"" TAPE__A0 TAPE__A1 "\"\n")
#define TAPE__DEFINE_MODULE \
	".ifndef tape_1_module\n" \
	TAPE__GROUP("tape_module", "aw", "progbits") \
	".balign 4096\n" \
	".weak tape_1_module\n" \
	".hidden tape_1_module\n" \
	".type tape_1_module, @object\n" \
	".size tape_1_module, 64\n" \
	"tape_1_module: .8byte 0x31444f4d45504154\n" \
	".2byte 1, 64, 0, 0\n" \
	"985: .4byte 986f - 985b\n" \
	".4byte 0\n" \
	".8byte 0, 0, 0, 0, 0\n" \
	".popsection\n" \
	TAPE__GROUP(".probes", "aw", "progbits") \
	".balign 4096\n" \
	".8byte 0\n" \
	".popsection\n" \
	TAPE__GROUP(".text.tape_cold", "ax", "progbits") \
	".balign 4\n" \
	"986: nop\n" \
	TAPE__FIRE("thread") TAPE__FIRE("flush") TAPE__FIRE("gone") TAPE__FIRE("record") \
	".popsection\n" \
	".endif\n" TAPE__BASE

void tape_1_fire_thread(const void *page, uint64_t unused) __attribute__((visibility("hidden")));
void tape_1_fire_flush(const void *page, uint64_t unused) __attribute__((visibility("hidden")));
void tape_1_fire_gone(const void *page, uint64_t unused) __attribute__((visibility("hidden")));
void tape_1_fire_record(const void *imm, uint64_t bytes) __attribute__((visibility("hidden")));

struct tape__op;
/* Declared apart from their definitions for the sake of -Wmissing-prototypes. */
TAPE__FN void tape_1_forked(void);
TAPE__FN void tape_1_setup(void);
TAPE__FN void tape_1_gone(struct tape_page *p);
TAPE__FN void tape_1_thread_exit(void *arg);
TAPE__FN void tape_1_teardown(void);
TAPE__FN int tape_1_make(struct tape__tls *t);
TAPE__FN void tape_1_flush(struct tape_page *p, uint32_t depth);
TAPE__FN void tape_1_direct(const struct tape__op *op, uint32_t all, const struct tape_site *site, uint32_t end);
TAPE__FN int tape_1_claim_slow(struct tape__tls *t);
TAPE__FN int tape_1_room(struct tape_page *p, uint32_t size, uint32_t depth, uint64_t now);
TAPE__FN struct tape_scope tape_1_begin(const struct tape_site *site, struct tape__val *val, uint32_t max_str,
					const tape_handle *parent);
TAPE__FN struct tape_scope tape_1_begin_scalars(const struct tape_site *site, struct tape__val *val, uint32_t bytes);
TAPE__FN void tape_1_end(struct tape_scope s);
TAPE__FN void tape_1_end_slow(struct tape_scope s);
TAPE__FN void tape_1_event(const struct tape_site *site, struct tape__val *val, uint32_t max_str, const tape_handle *parent);
TAPE__FN void tape_1_event_scalars(const struct tape_site *site, struct tape__val *val, uint32_t bytes);
TAPE__FN __attribute__((format(printf, 5, 6))) void
tape_1_message(const struct tape_site *site, struct tape__val *val, uint32_t max_str, const tape_handle *parent,
	       const char *fmt, ...);
TAPE__FN tape_handle tape_1_number(uint32_t depth);
TAPE__FN tape_handle tape_1_current(void);
TAPE__FN tape_handle tape_1_open(const struct tape_site *site, struct tape__val *val, uint32_t max_str, const tape_handle *parent);
TAPE__FN tape_handle tape_1_unarmed(const tape_handle *parent);
TAPE__FN void tape_1_op(uint32_t kind, const tape_handle *h, const tape_handle *other, uint32_t depth);
TAPE__FN void tape_1_enter(const tape_handle *h);
TAPE__FN void tape_1_exit(const tape_handle *h);
TAPE__FN void tape_1_value(const tape_handle *h, const struct tape_scope *s, const char *name, uint32_t type,
			   struct tape__val val, uint32_t max_str);
TAPE__FN void tape_1_say_name(struct tape__tls *t);
TAPE__FN void tape_1_name(const char *name);

TAPE__IN struct tape__tail_area *tape__tail(struct tape_page *p)
{
	return (struct tape__tail_area *)((char *)p + TAPE_DATA_END);
}

TAPE__IN struct tape__back_page *tape__back(struct tape_page *p)
{
	return (struct tape__back_page *)((char *)p + TAPE_PAGE_BYTES);
}

TAPE__IN uint32_t tape__sp(void)
{
	uint64_t sp;

#if defined(__x86_64__)
	__asm__ __volatile__("movq %%rsp, %0" : "=r"(sp));
#else
	__asm__ __volatile__("mov %0, sp" : "=r"(sp));
#endif
	return (uint32_t)sp | 1;
}

TAPE__IN uint64_t tape__ticks(void)
{
#if defined(__x86_64__)
	uint32_t lo, hi;

	__asm__ __volatile__("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
#else
	uint64_t t;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#endif
}

TAPE__IN uint64_t tape__ns(void)
{
	struct timespec ts;

	tape__c_clock_gettime(TAPE__CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* arm64 may read its counter ahead of what stands before it. (rdtsc too, but by less than the call costs: 3 ns at worst.) */
#if defined(__x86_64__)
#define TAPE__IN_ORDER() ((void)0)
#else
#define TAPE__IN_ORDER() __asm__ __volatile__("isb" : : : "memory")
#endif

/* A clock pair. The middle of two readings, so that the call's length does not count. */
TAPE__IN uint64_t tape__pair(int clock, uint64_t *ns)
{
	uint64_t before;

	if (!clock)
		return *ns = tape__ns();
	TAPE__IN_ORDER();
	before = tape__ticks();
	*ns = tape__ns();
	TAPE__IN_ORDER();
	return before + (tape__ticks() - before) / 2;
}

/* Has the code that left this mark (busy, creating) gone without clearing it? Only a handler can find it set otherwise,
 * and that runs below on the same stack, or on the alternate one, of which nothing can be said. */
TAPE__IN int tape__stale(uint32_t mark)
{
	struct tape__sigstack ss;

	if ((int32_t)(tape__sp() - mark) < 0)
		return 0;
	return !tape__c_sigaltstack(NULL, &ss) && !(ss.flags & TAPE__SS_ONSTACK);
}

/* --- making and unmaking pages ----------------------------------------------------------------------------- */

#if defined(__GLIBC__) && !(__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
#pragma weak pthread_key_create
#pragma weak pthread_key_delete
#pragma weak pthread_setspecific
#pragma weak pthread_atfork
#define TAPE__HAVE(f) (f != 0)
#else
#define TAPE__HAVE(f) 1
#endif

TAPE__FN void tape_1_forked(void)
{
	struct tape__info *info = (struct tape__info *)tape_1_module.reserved[0];

	tape_1_tls.inherited = tape_1_tls.depth;
	tape_1_tls.page = NULL;
	if (info)
		info->pid = info->lock = info->over = 0;
}

/* At load: remember the pid in memory that a fork wipes. A vfork child is known by it: the pid there is not its own. */
TAPE__FN void tape_1_setup(void)
{
	struct tape_module *m = &tape_1_module;
	struct tape__info *info;
	uint64_t none = 0, seed;
	int e = errno;
	void *map;

	__asm__ __volatile__(TAPE__DEFINE_MODULE : :); /* the form that has operands, though none: in it %% is one % */
	if (__atomic_load_n(&m->reserved[0], __ATOMIC_ACQUIRE))
		return;
	seed = ((tape__ns() ^ (uint64_t)m) * 0x9e3779b97f4a7c15ULL) | 1ULL << 63;
	__atomic_compare_exchange_n(&m->reserved[2], &none, seed, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	map = mmap(NULL, TAPE_PAGE_BYTES, PROT_READ | PROT_WRITE, TAPE__MAP_PRIVATE_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		goto out;
	info = (struct tape__info *)map;
	info->pid = (uint32_t)getpid();
	if (tape__c_madvise(map, TAPE_PAGE_BYTES, TAPE__MADV_WIPEONFORK) && TAPE__HAVE(pthread_atfork))
		pthread_atfork(NULL, NULL, tape_1_forked);
	none = 0;
	if (!__atomic_compare_exchange_n(&m->reserved[0], &none, (uint64_t)map, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		munmap(map, TAPE_PAGE_BYTES);
out:	errno = e;
}

static __attribute__((constructor, unused)) void tape__setup(void)
{
	tape_1_setup();
}

/* No signal while the lock is held: a handler might jump out (longjmp, pthread_exit), or exit the process, whose teardown takes it
 * again. Who waits sleeps: yielding, a thread of real-time priority would keep the holder from the CPU for ever. */
TAPE__IN uint64_t tape__lock(struct tape__info *info)
{
	const struct timespec nap = { 0, 20000 };
	uint64_t all = ~0ULL, before = 0;

	tape__c_syscall(SYS_rt_sigprocmask, TAPE__SIG_BLOCK, &all, &before, sizeof(before));
	while (__atomic_exchange_n(&info->lock, 1, __ATOMIC_ACQUIRE))
		tape__c_syscall(SYS_nanosleep, &nap, NULL);
	return before;
}

TAPE__IN void tape__unlock(struct tape__info *info, uint64_t before)
{
	__atomic_store_n(&info->lock, 0, __ATOMIC_RELEASE);
	tape__c_syscall(SYS_rt_sigprocmask, TAPE__SIG_SETMASK, &before, NULL, sizeof(before));
}

/* Last delivery, then out of the list, then the memory goes back. The page is this thread's. */
TAPE__FN void tape_1_gone(struct tape_page *p)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape__info *info = (struct tape__info *)tape_1_module.reserved[0];
	struct tape__tail_area *tail = tape__tail(p);
	uint64_t mask;
	int e = errno;

	if (p->magic == TAPE_PAGE_MAGIC) {
		p->busy = tape__sp();
		TAPE__FENCE();
		p->end_ticks = tape__pair(p->clock, &p->end_ns);
		p->end_seq = (uint32_t)(p->commit >> 32);
		tape_1_fire_gone(p, 0);
		t->creating = tape__sp();
		TAPE__FENCE();
		mask = tape__lock(info);
		if (tail->prev)
			((struct tape_page *)tail->prev)->next = p->next;
		else
			tape_1_module.first = p->next;
		if (p->next)
			tape__tail((struct tape_page *)p->next)->prev = tail->prev;
		tape__unlock(info, mask);
	}
	if (t->page == p)
		t->page = NULL;
	TAPE__FENCE();
	t->creating = 0;
	munmap(p, 2 * TAPE_PAGE_BYTES);
	errno = e;
}

TAPE__FN void tape_1_thread_exit(void *arg)
{
	tape_1_tls.ended = (uint32_t)getpid();
	tape_1_gone((struct tape_page *)arg);
}

/*
 * At dlclose and at exit, which look alike from here. This thread's page is delivered and given back. Those of other threads stay:
 * at exit they may be in use at this moment. They are read as ever, at the latest when their threads end. What is recorded
 * from now on (later destructors) makes no page any more: a thread-exit key would call code that dlclose has unmapped.
 */
TAPE__FN void tape_1_teardown(void)
{
	struct tape_module *m = &tape_1_module;
	struct tape__info *info = (struct tape__info *)m->reserved[0];
	struct tape__tls *t = &tape_1_tls;
	uint64_t key = m->reserved[1];

	if (!info || info->pid != (uint32_t)getpid())
		return;
	info->over = 1;
	if (key && TAPE__HAVE(pthread_key_delete)) {
		m->reserved[1] = 0;
		pthread_key_delete((pthread_key_t)(key - 1));
	}
	/* In a handler that has interrupted an append or the making of the page, and calls exit, it is left as it is. */
	if (t->page && t->page->magic == TAPE_PAGE_MAGIC && !t->page->busy && !t->creating)
		tape_1_gone(t->page);
}

static __attribute__((destructor, unused)) void tape__teardown(void)
{
	tape_1_teardown();
}

/* The process's first page in this module; in a fork's child: again. */
TAPE__IN int tape__enter_process(struct tape_module *m, struct tape__info *info, uint32_t pid)
{
	uint32_t none = 0;
	pthread_key_t key;
	uint64_t mask;

	if (__atomic_compare_exchange_n(&info->pid, &none, pid, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		m->first = 0;
	else if (none != pid)
		return 0; /* a vfork child: its records belong to its own pid, its memory does not */
	mask = tape__lock(info);
	if (!m->reserved[1] && TAPE__HAVE(pthread_key_create) && !pthread_key_create(&key, tape_1_thread_exit))
		m->reserved[1] = (uint64_t)key + 1;
	tape__unlock(info, mask);
	return 1;
}

TAPE__IN void tape__fill(struct tape_page *p, struct tape_module *m, uint32_t pid)
{
	struct tape__tail_area *tail = tape__tail(p);

	memset(tail->open, 0xff, sizeof(tail->open));
	p->pid = pid;
	p->tid = (uint32_t)tape__c_syscall(SYS_gettid);
	p->module = (uint64_t)m;
	p->version = TAPE_VERSION;
	p->clock = __atomic_load_n(&m->ticks, __ATOMIC_RELAXED) != 0;
	p->end_seq = ~0u;
	p->slot[0].ticks = tape__pair(p->clock, &p->slot[0].mono_ns);
	p->id = p->slot[0].mono_ns;
	tail->last = p->slot[0].ticks;
}

TAPE__IN void tape__link(struct tape_page *p, struct tape_module *m, struct tape__info *info)
{
	uint64_t mask = tape__lock(info);

	p->next = m->first;
	if (p->next)
		tape__tail((struct tape_page *)p->next)->prev = (uint64_t)p;
	__atomic_store_n(&m->first, (uint64_t)p, __ATOMIC_RELEASE);
	tape__unlock(info, mask);
}

/* A page for this thread; 0: there is none to be had and records must go out by themselves. */
TAPE__FN int tape_1_make(struct tape__tls *t)
{
	struct tape_module *m = &tape_1_module;
	struct tape__info *info;
	struct tape_page *p;
	int e = errno, ok = 0;
	uint32_t pid;
	void *map;

	if (t->creating && !tape__stale(t->creating))
		return 0;
	t->creating = tape__sp();
	TAPE__FENCE();
	if (t->page) /* wiped by a fork */
		t->inherited = t->depth;
	t->page = NULL;
	tape_1_setup();
	info = (struct tape__info *)m->reserved[0];
	if (!info)
		goto out;
again:	pid = (uint32_t)getpid();
	if (t->ended == pid || info->over || !tape__enter_process(m, info, pid))
		goto out;
	map = mmap(NULL, 2 * TAPE_PAGE_BYTES, PROT_READ | PROT_WRITE, TAPE__MAP_PRIVATE_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		goto out;
	p = (struct tape_page *)map;
	tape__c_madvise(map, 2 * TAPE_PAGE_BYTES, TAPE__MADV_WIPEONFORK);
	tape__c_mlock(map, TAPE_PAGE_BYTES);
	tape__fill(p, m, pid);
	tape__link(p, m, info);
	__atomic_store_n(&p->magic, TAPE_PAGE_MAGIC, __ATOMIC_RELEASE);
	/* A handler may have forked meanwhile: this is the child then, and the page was wiped under our hands. */
	if (__atomic_load_n(&info->pid, __ATOMIC_ACQUIRE) != pid || p->pid != pid)
		goto again;
	if (m->reserved[1])
		pthread_setspecific((pthread_key_t)(m->reserved[1] - 1), p);
	tape_1_fire_thread(p, 0);
	t->page = p;
	ok = 1;
out:	TAPE__FENCE();
	t->creating = 0;
	if (ok && t->name[0])
		tape_1_say_name(t);
	errno = e;
	return ok;
}

/* --- batches ----------------------------------------------------------------------------------------------- */

TAPE__IN uint32_t tape__get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

TAPE__IN uint64_t tape__get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

TAPE__IN uint32_t tape__size(uint32_t head)
{
	return head >> 18 << 2;
}

/* Where an open span's record is, when it was made, and its number. */
struct tape__at {
	uint64_t number, ns;
	uint32_t off, size, kind, extra; /* of the inner record; extra: bytes of PRE before it */
};

/* Walks a batch's records, so costs by its length; done at a reset and by tape_current(). `off` only ever grows
 * between calls with the same cursor. */
struct tape__walk {
	uint64_t number, ticks;
	uint32_t off;
};

TAPE__IN void tape__walk_start(struct tape__walk *w, const struct tape_page *p)
{
	const struct tape_slot *s = &p->slot[p->commit >> 32 & 1];

	w->number = s->first;
	w->ticks = s->ticks;
	w->off = p->pre_len[p->commit >> 32 & 1];
}

TAPE__IN int tape__find(struct tape__walk *w, const struct tape_page *p, uint32_t off, double ns_per_tick, struct tape__at *at)
{
	const struct tape_slot *s = &p->slot[p->commit >> 32 & 1];
	const uint8_t *data = (const uint8_t *)p + TAPE_DATA;
	uint32_t len = (uint32_t)p->commit & 0xffff, head;

	if (off >= len)
		return 0;
	head = tape__get32(data + off);
	at->off = off;
	at->size = tape__size(head);
	at->kind = head & 15;
	at->extra = 0;
	if (at->kind == TAPE_R_PRE) {
		at->number = tape__get64(data + off + 8);
		at->ns = tape__get64(data + off + 16);
		at->extra = tape__get32(data + off + 4) & TAPE_PRE_NUMBERED ? 32 : 24;
		return 1;
	}
	if (w->off > off)
		tape__walk_start(w, p);
	while (w->off <= off) {
		head = tape__get32(data + w->off);
		if ((head & 15) == TAPE_R_PAUSE)
			w->ticks = tape__get64(data + w->off + 8);
		else
			w->ticks += tape__get32(data + w->off + 4);
		w->off += tape__size(head);
		w->number++;
	}
	at->number = w->number - 1;
	at->ns = s->mono_ns + (uint64_t)((double)(w->ticks - s->ticks) * ns_per_tick);
	return 1;
}

/* One PRE record into `to`; returns its bytes, 0: no room in `room` even without fields. */
TAPE__IN uint32_t tape__pre(struct tape_page *p, uint32_t depth, const struct tape__at *at, uint8_t *to, uint32_t room)
{
	const uint8_t *from = (const uint8_t *)p + TAPE_DATA + at->off;
	uint32_t inner = at->size - at->extra, size, head, flags = 0, keep;
	struct tape__tail_area *tail = tape__tail(p);

	if (at->extra)
		flags = tape__get32(from + 4) & TAPE_PRE_NO_FIELDS;
	if (tail->numbered >> depth & 1)
		flags |= TAPE_PRE_NUMBERED;
	from += at->extra;
	size = 24 + (flags & TAPE_PRE_NUMBERED ? 8u : 0);
	if (size + inner > room) {
		head = tape__get32(from);
		keep = 12 + ((head >> 4 & 3) == TAPE_PARENT_EXPLICIT ? TAPE_REF_BYTES : 0);
		if ((head & 15) != TAPE_R_BEGIN || size + keep > room)
			return 0;
		inner = keep;
		flags |= TAPE_PRE_NO_FIELDS;
		p->flags |= TAPE_PAGE_PRE_CUT;
	}
	head = TAPE__HEAD(TAPE_R_PRE, 0, depth, size + inner);
	memcpy(to, &head, 4);
	memcpy(to + 4, &flags, 4);
	memcpy(to + 8, &at->number, 8);
	memcpy(to + 16, &at->ns, 8);
	if (flags & TAPE_PRE_NUMBERED)
		memcpy(to + 24, &tape__back(p)->id[depth], 8);
	memcpy(to + size, from, inner);
	if (flags & TAPE_PRE_NO_FIELDS) { /* the inner record tells its own size */
		head = (tape__get32(from) & 0x3ffff) | inner / 4 << 18;
		memcpy(to + size, &head, 4);
	}
	return size + inner;
}

/* There is no room for it in the preamble; returns what takes its offset's place. */
TAPE__IN uint16_t tape__cut(struct tape_page *p, uint32_t depth, const struct tape__at *at)
{
	const uint8_t *inner = (const uint8_t *)p + TAPE_DATA + at->off + at->extra;
	struct tape__back_page *back = tape__back(p);
	tape_handle h;

	if ((tape__get32(inner) & 15) != TAPE_R_ENTER) {
		back->open_ns[depth] = at->ns;
		back->module[depth] = (uint64_t)&tape_1_module;
		back->callsite[depth] = tape__get32(inner + 8);
		return TAPE__CUT_BEGIN;
	}
	memcpy(&h, inner + 8, TAPE_REF_BYTES);
	back->id[depth] = h.id;
	back->open_ns[depth] = h.open_ns;
	back->module[depth] = h.module;
	back->callsite[depth] = h.callsite;
	return TAPE__CUT_ENTER;
}

/* The preamble of the next batch, from this one, into the second page. Outermost first; half the data area at most. */
TAPE__IN uint32_t tape__preamble(struct tape_page *p, uint32_t depth)
{
	struct tape_slot *s = &p->slot[p->commit >> 32 & 1];
	struct tape__tail_area *tail = tape__tail(p);
	double dt = (double)(p->end_ticks - s->ticks), dn = (double)(p->end_ns - s->mono_ns);
	uint32_t d, len = 0, size, max = (TAPE_DATA_END - TAPE_DATA) / 2;
	int found;
	struct tape__walk w;
	struct tape__at at;

	if (depth > TAPE_OPEN_CNT)
		depth = TAPE_OPEN_CNT;
	tape__walk_start(&w, p);
	for (d = 0; d < depth; d++) {
		if (tail->open[d] >= TAPE__NO_OFFSET) {
			p->flags |= tail->open[d] == TAPE__NONE ? 0 : TAPE_PAGE_PRE_CUT;
			continue;
		}
		found = tape__find(&w, p, tail->open[d], dt > 0 ? dn / dt : 1, &at);
		size = found ? tape__pre(p, d, &at, tape__back(p)->pre + len, max - len) : 0;
		tail->open[d] = size ? (uint16_t)len : found ? tape__cut(p, d, &at) : (uint16_t)TAPE__NONE;
		if (!size)
			p->flags |= TAPE_PAGE_PRE_CUT;
		len += size;
	}
	for (; d < TAPE_OPEN_CNT; d++)
		tail->open[d] = TAPE__NONE;
	return len;
}

/* Deliver the page and begin a new batch. Called with busy set. */
TAPE__FN void tape_1_flush(struct tape_page *p, uint32_t depth)
{
	struct tape__tail_area *tail = tape__tail(p);
	uint64_t commit = p->commit;
	uint32_t seq = (uint32_t)(commit >> 32), pre;
	struct tape_slot *old = &p->slot[seq & 1], *slot = &p->slot[(seq + 1) & 1];
	int clock = __atomic_load_n(&tape_1_module.ticks, __ATOMIC_RELAXED) != 0;

	p->end_ticks = tape__pair(p->clock, &p->end_ns);
	__atomic_store_n(&p->end_seq, seq, __ATOMIC_RELEASE);
	tape_1_fire_flush(p, 0);
	p->flags = 0;
	pre = depth ? tape__preamble(p, depth) : 0;
	slot->first = old->first + (commit >> 16 & 0xffff);
	slot->ticks = p->end_ticks;
	slot->mono_ns = p->end_ns;
	if (clock != p->clock)
		slot->ticks = tape__pair(clock, &slot->mono_ns);
	p->pre_len[(seq + 1) & 1] = 0;
	/* An empty batch first: whoever reads from outside must not find the old commit word over new bytes. */
	commit = (uint64_t)(seq + 1) << 32;
	__atomic_store_n(&p->commit, commit, __ATOMIC_RELEASE);
	/* What is stored after a release may be seen before it (arm64): the preamble's bytes or the next record's. */
	TAPE__RELEASE_FENCE();
	p->clock = (uint8_t)clock;
	tail->last = slot->ticks;
	if (!pre)
		return;
	memcpy((char *)p + TAPE_DATA, tape__back(p)->pre, pre);
	p->pre_len[(seq + 1) & 1] = (uint16_t)pre;
	__atomic_store_n(&p->commit, commit | pre, __ATOMIC_RELEASE);
}

/* --- appending --------------------------------------------------------------------------------------------- */

/* A record on its way. Built on the stack of the emitting function; always inlined with most of it constant. */
struct tape__op {
	uint32_t kind, parent, depth;
	uint32_t size;		      /* of the record */
	const struct tape_site *site; /* BEGIN, EVENT, OPEN */
	const tape_handle *ref, *ref2;
	const struct tape__val *val;
	const struct tape_site *types; /* whose fields val[] are; NULL: one value of type `type` */
	uint32_t val_cnt, type, max_str;
	uint32_t scalars; /* all values take 4 or 8 bytes, and are 15 at most */
	uint64_t word;	  /* NUMBER: the id; VALUE: field | type << 8 */
};

/* Member by member and not by memset, after which gcc keeps it in memory. site: whose values it has, or NULL. */
TAPE__IN struct tape__op tape__op_of(uint32_t kind, const struct tape_site *site, uint32_t depth)
{
	struct tape__op op;

	op.kind = kind;
	op.parent = TAPE_PARENT_CURRENT;
	op.depth = depth;
	op.size = 0;
	op.site = op.types = site;
	op.ref = op.ref2 = NULL;
	op.val = NULL;
	op.val_cnt = site ? site->field_cnt : 0;
	op.type = op.max_str = op.scalars = 0;
	op.word = 0;
	return op;
}

TAPE__IN uint32_t tape__type(const struct tape__op *op, uint32_t i)
{
	return op->types ? (uint32_t)(op->types->types[i / 16] >> 4 * (i % 16)) & 15 : op->type;
}

TAPE__IN uint32_t tape__text_bytes(const struct tape__val *v, uint32_t max_str)
{
	uint64_t n = v->a ? v->b : 0;

	return n > max_str ? 8 + ((max_str + 3) & ~3u) : 4 + (((uint32_t)n + 3) & ~3u);
}

/* Bytes of the values. The first pass measures NUL-terminated texts, so that each is read once and the lengths agree. */
TAPE__IN uint32_t tape__measure(const struct tape__op *op, struct tape__val *val)
{
	uint32_t i, n = 0;

	for (i = 0; i < op->val_cnt; i++) {
		switch (tape__type(op, i)) {
		case TAPE_T_EMPTY:
			break;
		case TAPE_T_BOOL:
		case TAPE_T_I32:
		case TAPE_T_U32:
			n += 4;
			break;
		case TAPE_T_I128:
		case TAPE_T_U128:
			n += 16;
			break;
		case TAPE_T_STR:
		case TAPE_T_BYTES:
		case TAPE_T_ERROR:
			if (val[i].b == ~0ULL)
				val[i].b = val[i].a ? strlen((const char *)val[i].a) : 0;
			n += tape__text_bytes(&val[i], op->max_str);
			break;
		default:
			n += 8;
			break;
		}
	}
	return n;
}

TAPE__IN uint8_t *tape__put_text(uint8_t *to, const struct tape__val *v, uint32_t max_str)
{
	uint32_t n = v->b > max_str ? max_str : (uint32_t)v->b, head, zero = 0;
	uint32_t orig = v->b > 0xffffffffu ? 0xffffffffu : (uint32_t)v->b;

	if (!v->a) {
		head = (uint32_t)TAPE_TEXT_NULL << 16;
		memcpy(to, &head, 4);
		return to + 4;
	}
	head = n | (v->b > max_str ? (uint32_t)TAPE_TEXT_TRUNCATED << 16 : 0);
	memcpy(to, &head, 4);
	to += 4;
	if (v->b > max_str) {
		memcpy(to, &orig, 4);
		to += 4;
	}
	if (n & 3)
		memcpy(to + (n & ~3u), &zero, 4);
	memcpy(to, (const void *)v->a, n);
	return to + ((n + 3) & ~3u);
}

TAPE__IN void tape__put_vals(uint8_t *to, const struct tape__op *op)
{
	const struct tape__val *v = op->val;
	uint32_t i;

	for (i = 0; i < op->val_cnt; i++, v++) {
		switch (tape__type(op, i)) {
		case TAPE_T_EMPTY:
			break;
		case TAPE_T_BOOL:
		case TAPE_T_I32:
		case TAPE_T_U32:
			memcpy(to, &v->a, 4);
			to += 4;
			break;
		case TAPE_T_I128:
		case TAPE_T_U128:
			memcpy(to, v, 16);
			to += 16;
			break;
		case TAPE_T_STR:
		case TAPE_T_BYTES:
		case TAPE_T_ERROR:
			to = tape__put_text(to, v, op->max_str);
			break;
		default:
			memcpy(to, &v->a, 8);
			to += 8;
			break;
		}
	}
}

TAPE__IN void tape__put_scalars(uint8_t *to, const struct tape__op *op)
{
	uint64_t types = op->types->types[0];
	uint32_t i;

	for (i = 0; i < op->val_cnt; i++, types >>= 4) {
		if ((types & 15) < TAPE_T_I64) {
			memcpy(to, &op->val[i].a, 4);
			to += 4;
		} else {
			memcpy(to, &op->val[i].a, 8);
			to += 8;
		}
	}
}

TAPE__IN uint8_t *tape__put_ref(uint8_t *to, const tape_handle *h)
{
	memcpy(to, h, TAPE_REF_BYTES);
	return to + TAPE_REF_BYTES;
}

/* The whole record at `to`; its ticks are the caller's. */
TAPE__IN void tape__put(uint8_t *to, const struct tape__op *op, uint32_t ticks)
{
	uint32_t head = TAPE__HEAD(op->kind, op->parent, op->depth, op->size);
	uint32_t callsite = (uint32_t)(uint64_t)op->site, word = (uint32_t)op->word;

	memcpy(to, &head, 4);
	memcpy(to + 4, &ticks, 4);
	to += 8;
	if (op->kind == TAPE_R_BEGIN || op->kind == TAPE_R_EVENT) {
		memcpy(to, &callsite, 4);
		to += 4;
	}
	if (op->ref)
		to = tape__put_ref(to, op->ref);
	if (op->ref2)
		to = tape__put_ref(to, op->ref2);
	if (op->kind == TAPE_R_NUMBER)
		memcpy(to, &op->word, 8);
	if (op->kind == TAPE_R_VALUE) {
		memcpy(to, &word, 4);
		to += 4;
	}
	if (op->scalars)
		tape__put_scalars(to, op);
	else if (op->val_cnt)
		tape__put_vals(to, op);
}

TAPE__IN uint32_t tape__fixed(const struct tape__op *op)
{
	uint32_t refs = (op->ref ? 1u : 0) + (op->ref2 ? 1u : 0);

	return 8 + (op->kind == TAPE_R_BEGIN || op->kind == TAPE_R_EVENT || op->kind == TAPE_R_VALUE ? 4u : 0) +
	       refs * (uint32_t)TAPE_REF_BYTES + (op->kind == TAPE_R_NUMBER ? 8u : 0);
}

/* Size of the record. What is larger than the largest record has its texts cut until it fits. */
TAPE__IN void tape__set_size(struct tape__op *op, struct tape__val *val)
{
	op->val = val;
	op->size = tape__fixed(op);
	if (op->val_cnt)
		op->size += tape__measure(op, val);
	while (TAPE__UNLIKELY(op->size > TAPE_MAX_REC_BYTES) && op->max_str > 16) {
		op->max_str /= 2;
		op->size = tape__fixed(op) + tape__measure(op, val);
	}
}

/* A record that goes out by itself: through tape:record, and if `site` is given through its own nop (end: nop_end). */
TAPE__FN __attribute__((no_sanitize("undefined"))) void
tape_1_direct(const struct tape__op *op, uint32_t all, const struct tape_site *site, uint32_t end)
{
	struct tape_page *p = tape_1_tls.page;
	uint8_t small[1024] __attribute__((aligned(8))), *to = small;
	uint32_t bytes;
	struct tape__op cut;
	struct tape_imm *imm;
	int e = errno;
	void *map;

	if (sizeof(*imm) + op->size > sizeof(small)) {
		map = mmap(NULL, sizeof(*imm) + op->size, PROT_READ | PROT_WRITE, TAPE__MAP_PRIVATE_ANONYMOUS, -1, 0);
		if (map == MAP_FAILED) { /* no memory: with its texts cut, and flagged so, it fits here */
			cut = *op;
			while (sizeof(*imm) + cut.size > sizeof(small) && cut.max_str > 1) {
				cut.max_str /= 2;
				/* measured before: the values are only read */
				cut.size = tape__fixed(&cut) + tape__measure(&cut, (struct tape__val *)(uintptr_t)op->val);
			}
			op = &cut;
		} else {
			to = (uint8_t *)map;
		}
	}
	bytes = (uint32_t)sizeof(*imm) + op->size;
	imm = (struct tape_imm *)(void *)to;
	memset(imm, 0, sizeof(*imm));
	imm->mono_ns = tape__ns();
	imm->at = ~0ULL;
	imm->module = (uint64_t)&tape_1_module;
	imm->bytes = op->size;
	imm->version = TAPE_VERSION;
	if (p && p->magic == TAPE_PAGE_MAGIC) {
		uint64_t commit = p->commit;

		imm->at = p->slot[commit >> 32 & 1].first + (commit >> 16 & 0xffff);
		imm->page_id = p->id;
		imm->pid = p->pid;
		imm->tid = p->tid;
	} else {
		imm->pid = (uint32_t)getpid();
		imm->tid = (uint32_t)tape__c_syscall(SYS_gettid);
	}
	tape__put(to + sizeof(*imm), op, 0);
	if (all)
		tape_1_fire_record(imm, bytes);
	if (site) { /* the little function begins with a landing pad of 4 bytes before its nop */
		const int32_t *rel = end ? &site->nop_end : &site->nop;
		void (*fire)(const void *, uint64_t, const void *);
		const char *code = (const char *)rel + *rel - 4;

		memcpy(&fire, &code, sizeof(fire));
		if (*rel)
			fire(imm, bytes, op->val);
	}
	if (to != small)
		munmap(to, bytes);
	errno = e;
}

/* An append was left in the middle, perhaps that of a reset: a preamble that was promised may not be there, and the places of
 * open spans may be of the old batch or of the new one. Forgotten, they miss in preambles until they end; no record is. */
TAPE__IN void tape__mend(struct tape_page *p)
{
	uint64_t commit = p->commit;

	if ((commit & 0xffff) < p->pre_len[commit >> 32 & 1])
		p->pre_len[commit >> 32 & 1] = 0;
	memset(tape__tail(p)->open, 0xff, sizeof(tape__tail(p)->open));
}

/* Mark the page as being appended to. 0: not now. */
TAPE__FN int tape_1_claim_slow(struct tape__tls *t)
{
	struct tape_page *p = t->page;

	if (p && p->magic == TAPE_PAGE_MAGIC) {
		if (!tape__stale(p->busy))
			return 0;
		p->busy = tape__sp();
		TAPE__FENCE();
		tape__mend(p);
		return 1;
	}
	if (!tape_1_make(t))
		return 0;
	t->page->busy = tape__sp();
	TAPE__FENCE();
	return 1;
}

/* Room for `size` bytes and a clock difference of 32 bits: a flush, a PAUSE record. With busy set. 0: never any room. */
TAPE__FN int tape_1_room(struct tape_page *p, uint32_t size, uint32_t depth, uint64_t now)
{
	struct tape__tail_area *tail = tape__tail(p);
	uint64_t commit = p->commit;
	uint32_t len = (uint32_t)commit & 0xffff, head, zero = 0;
	int e = errno;

	if (len + size + 16 > TAPE_DATA_END - TAPE_DATA && commit >> 16 & 0xffff) {
		tape_1_flush(p, depth);
		errno = e;
		return 2; /* look again */
	}
	if (len + size + 16 > TAPE_DATA_END - TAPE_DATA)
		return 0;
	if (now - tail->last > 0xffffffffu && (int64_t)(now - tail->last) > 0) {
		uint8_t *to = (uint8_t *)p + TAPE_DATA + len;

		head = TAPE__HEAD(TAPE_R_PAUSE, 0, 0, 16);
		memcpy(to, &head, 4);
		memcpy(to + 4, &zero, 4);
		memcpy(to + 8, &now, 8);
		tail->last = now;
		__atomic_store_n(&p->commit, commit + 0x10000 + 16, __ATOMIC_RELEASE);
		return 1;
	}
	tail->last = now; /* another CPU's counter was a little ahead: time stands still for a record */
	return 1;
}

/* The record's bytes, then the commit word that makes them visible, then busy falls. */
TAPE__IN void tape__place(struct tape__tls *t, struct tape_page *p, const struct tape__op *op, uint64_t commit, uint64_t now)
{
	struct tape__tail_area *tail = tape__tail(p);
	uint32_t len = (uint32_t)commit & 0xffff;

	/* The depth rises before an entry is visible, and falls after its end is: a handler in between that stood at the same
	 * depth would end the entry. */
	if (op->kind == TAPE_R_BEGIN || op->kind == TAPE_R_ENTER) {
		if (TAPE__UNLIKELY(t->inherited > op->depth)) /* a handler forked while the depth was falling */
			t->inherited = op->depth;
		t->depth = op->depth + 1;
		TAPE__FENCE();
	}
	tape__put((uint8_t *)p + TAPE_DATA + len, op, (uint32_t)(now - tail->last));
	/* A recorder that decodes nothing looks at batches with words that hold beyond them when it lets go of them. */
	if (op->kind == TAPE_R_OPEN || (op->kind >= TAPE_R_CLONE && op->kind <= TAPE_R_NUMBER))
		p->flags |= TAPE_PAGE_TOLD;
	tail->last = now;
	__atomic_store_n(&p->commit, commit + 0x10000 + op->size, __ATOMIC_RELEASE);
	if ((op->kind == TAPE_R_BEGIN || op->kind == TAPE_R_ENTER) && op->depth < TAPE_OPEN_CNT) {
		tail->open[op->depth] = (uint16_t)len;
		if (TAPE__UNLIKELY(tail->numbered))
			tail->numbered &= ~(1ULL << op->depth);
	}
	TAPE__FENCE();
	/* A handler forked in the middle, and this is the child: the record is the parent's. */
	if (TAPE__UNLIKELY(*(volatile uint32_t *)&p->magic != TAPE_PAGE_MAGIC) && t->inherited < t->depth)
		t->inherited = t->depth;
	p->busy = 0;
}

/* Not one load of both words: half of it is what the last append has just stored, which the CPU has to wait for then. */
TAPE__IN int tape__ready(const struct tape_page *p)
{
	return p && p->magic == TAPE_PAGE_MAGIC && !*(const volatile uint32_t *)&p->busy;
}

/* The end of an entry that the parent made, before the fork. */
TAPE__IN int tape__not_ours(const struct tape__tls *t, const struct tape__op *op)
{
	return (op->kind == TAPE_R_END || op->kind == TAPE_R_EXIT) && op->depth < t->inherited;
}

TAPE__IN int tape__fits(const struct tape_page *p, uint64_t commit, uint32_t size, uint64_t now)
{
	return ((uint32_t)commit & 0xffff) + size <= TAPE_DATA_END - TAPE_DATA &&
	       now - ((const struct tape__tail_area *)((const char *)p + TAPE_DATA_END))->last <= 0xffffffffu;
}

/* The usual append, which calls nothing: a function of it alone has no registers to save. 0: another case, and nothing has been done. */
TAPE__IN int tape__append_now(struct tape__tls *t, const struct tape__op *op)
{
	struct tape_page *p = t->page;
	uint64_t commit, now;

	if (TAPE__UNLIKELY(!tape__ready(p) || !p->clock))
		return 0;
	p->busy = tape__sp();
	TAPE__FENCE();
	commit = *(volatile uint64_t *)&p->commit;
	now = tape__ticks();
	if (TAPE__UNLIKELY(tape__not_ours(t, op) || !tape__fits(p, commit, op->size, now))) {
		p->busy = 0;
		return 0;
	}
	tape__place(t, p, op, commit, now);
	return 1;
}

/* Append. 0, or -1: it could not be placed, send it by itself. */
TAPE__IN int tape__append(struct tape__tls *t, const struct tape__op *op)
{
	struct tape_page *p = t->page;
	uint64_t commit, now;

	if (TAPE__UNLIKELY(!tape__ready(p))) {
		if (!tape_1_claim_slow(t))
			return -1;
		p = t->page;
	} else {
		p->busy = tape__sp();
		TAPE__FENCE();
	}
	if (TAPE__UNLIKELY(tape__not_ours(t, op))) {
		p->busy = 0;
		return 0; /* the caller's tape__leave() sees to the rest */
	}
again:	commit = *(volatile uint64_t *)&p->commit;
	now = p->clock ? tape__ticks() : tape__ns();
	if (TAPE__UNLIKELY(!tape__fits(p, commit, op->size, now))) {
		if (tape_1_room(p, op->size, t->depth, now))
			goto again;
		p->busy = 0;
		return -1;
	}
	tape__place(t, p, op, commit, now);
	return 0;
}

/* A copy, made where it is rare: a record whose address is given away lives in memory, and what it says is read back and
 * compared at each step of the append, instead of being known when that is compiled. */
TAPE__IN void tape__direct(const struct tape__op *op, uint32_t all, const struct tape_site *site, uint32_t end)
{
	struct tape__op copy = *op;

	tape_1_direct(&copy, all, site, end);
}

/* The two words of a site. */
TAPE__IN uint32_t tape__how(const struct tape_site *site)
{
	const struct tape_words *w = (const struct tape_words *)(const void *)((const char *)&site->words + site->words);
	uint32_t how = 0;

	if (__atomic_load_n(&w->armed, __ATOMIC_RELAXED))
		how |= TAPE__ON_PAGE;
	if (__atomic_load_n(&w->semaphore, __ATOMIC_RELAXED))
		how |= TAPE__ON_NOP;
	return how;
}

/* To the page if the site is armed, else (or too) by itself. */
TAPE__IN void tape__emit(struct tape__tls *t, const struct tape__op *op, uint32_t how, const struct tape_site *site, uint32_t end)
{
	uint32_t direct = 0;

	if (how & TAPE__ON_PAGE)
		direct = tape__append(t, op) < 0;
	if (TAPE__UNLIKELY(direct || how & TAPE__ON_NOP))
		tape__direct(op, direct, how & TAPE__ON_NOP ? site : NULL, end);
}

TAPE__IN uint32_t tape__parent(const tape_handle *parent, const tape_handle **ref)
{
	*ref = NULL;
	if (!parent || parent->flags & TAPE__H_HERE)
		return TAPE_PARENT_CURRENT;
	if (parent->flags & TAPE__H_ROOT || !parent->id)
		return TAPE_PARENT_ROOT;
	*ref = parent;
	return TAPE_PARENT_EXPLICIT;
}

/* An entry at `d` is left: the depth falls to it, and further over holes that were left before. */
TAPE__IN void tape__leave(struct tape__tls *t, uint32_t d)
{
	t->depth = d;
	if (TAPE__UNLIKELY(t->holes | t->inherited)) {
		if (t->inherited > d)
			t->inherited = d;
		if (d < 64)
			t->holes &= (1ULL << d) - 1;
		while (t->depth && t->depth <= 64 && t->holes >> (t->depth - 1) & 1)
			t->holes &= ~(1ULL << --t->depth);
	}
}

/* An entry whose record went out by itself is not in the page. */
TAPE__IN void tape__entered(struct tape__tls *t, uint32_t d)
{
	struct tape_page *p = t->page;

	if (d < TAPE_OPEN_CNT && p && p->magic == TAPE_PAGE_MAGIC) {
		tape__tail(p)->open[d] = TAPE__NONE;
		tape__tail(p)->numbered &= ~(1ULL << d);
	}
	if (t->inherited > d)
		t->inherited = d;
	t->depth = d + 1;
}

TAPE__FN struct tape_scope tape_1_begin(const struct tape_site *site, struct tape__val *val, uint32_t max_str,
					const tape_handle *parent)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape_scope s = { site, tape__how(site), t->depth };
	struct tape__op op = tape__op_of(TAPE_R_BEGIN, site, s.depth);

	op.max_str = max_str;
	if (TAPE__UNLIKELY(s.depth >= TAPE_MAX_DEPTH)) {
		if (t->page && t->page->magic == TAPE_PAGE_MAGIC)
			t->page->too_deep++;
		s.how = 0;
		return s;
	}
	if (parent)
		op.parent = tape__parent(parent, &op.ref);
	tape__set_size(&op, val);
	if (TAPE__UNLIKELY(s.how != TAPE__ON_PAGE)) {
		if (!s.how)
			return s; /* fell between the test and here */
		tape__entered(t, s.depth);
		tape__emit(t, &op, s.how, site, 0);
		return s;
	}
	if (TAPE__UNLIKELY(tape__append(t, &op) < 0)) {
		tape__entered(t, s.depth);
		tape__direct(&op, 1, NULL, 0);
	}
	return s;
}

/* The usual span: where the thread is, with `bytes` bytes of scalars. */
TAPE__FN struct tape_scope tape_1_begin_scalars(const struct tape_site *site, struct tape__val *val, uint32_t bytes)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape_scope s = { site, tape__how(site), t->depth };
	struct tape__op op = tape__op_of(TAPE_R_BEGIN, site, s.depth);

	op.val = val;
	op.scalars = 1;
	op.size = 12 + bytes;
	if (s.how == TAPE__ON_PAGE && s.depth < TAPE_MAX_DEPTH && tape__append_now(t, &op))
		return s;
	return tape_1_begin(site, val, 0, NULL);
}

TAPE__FN void tape_1_end_slow(struct tape_scope s)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape__op op = tape__op_of(TAPE_R_END, NULL, s.depth);

	op.size = 8;
	if (s.how == TAPE__ON_PAGE) {
		if (TAPE__UNLIKELY(tape__append(t, &op) < 0))
			tape__direct(&op, 1, NULL, 0);
	} else {
		tape__emit(t, &op, s.how, s.site, 1);
	}
	tape__leave(t, s.depth);
}

TAPE__FN void tape_1_end(struct tape_scope s)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape__op op = tape__op_of(TAPE_R_END, NULL, s.depth);

	op.size = 8;
	if (s.how == TAPE__ON_PAGE && tape__append_now(t, &op))
		tape__leave(t, s.depth);
	else
		tape_1_end_slow(s);
}

TAPE__IN void tape__event(const struct tape_site *site, struct tape__val *val, uint32_t max_str, const tape_handle *parent)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape__op op = tape__op_of(TAPE_R_EVENT, site, t->depth);

	op.max_str = max_str;
	if (parent)
		op.parent = tape__parent(parent, &op.ref);
	tape__set_size(&op, val);
	tape__emit(t, &op, tape__how(site), site, 0);
}

TAPE__FN void tape_1_event(const struct tape_site *site, struct tape__val *val, uint32_t max_str, const tape_handle *parent)
{
	tape__event(site, val, max_str, parent);
}

TAPE__FN void tape_1_event_scalars(const struct tape_site *site, struct tape__val *val, uint32_t bytes)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape__op op = tape__op_of(TAPE_R_EVENT, site, t->depth);

	op.val = val;
	op.scalars = 1;
	op.size = 12 + bytes;
	if (tape__how(site) != TAPE__ON_PAGE || !tape__append_now(t, &op))
		tape_1_event(site, val, 0, NULL);
}

/* val[0] is the message's place. */
TAPE__FN __attribute__((format(printf, 5, 6))) void
tape_1_message(const struct tape_site *site, struct tape__val *val, uint32_t max_str, const tape_handle *parent,
	       const char *fmt, ...)
{
	char *buf = (char *)__builtin_alloca(max_str + 1);
	int e = errno, n;
	va_list ap;

	va_start(ap, fmt);
	n = vsnprintf(buf, max_str + 1, fmt, ap);
	va_end(ap);
	val[0].a = (uint64_t)buf;
	val[0].b = n < 0 ? 0 : (uint64_t)n;
	errno = e;
	tape__event(site, val, max_str, parent);
}

/* --- spans by hand ----------------------------------------------------------------------------------------- */

/* A number for a span, unique in the process: seed of the module, block of the thread, counter. */
TAPE__IN uint64_t tape__new_id(struct tape__tls *t)
{
	struct tape_module *m = &tape_1_module;

	if (!t->id_block || t->id_cnt >= 1u << 20) {
		t->id_block = __atomic_add_fetch(&m->next_id, 1, __ATOMIC_RELAXED);
		t->id_cnt = 0;
	}
	return (m->reserved[2] & ~((1ULL << 44) - 1)) | (uint64_t)(t->id_block & 0xffffff) << 20 | t->id_cnt++;
}

TAPE__IN tape_handle tape__no_handle(uint32_t flags)
{
	tape_handle h;

	memset(&h, 0, sizeof(h));
	h.flags = flags;
	return h;
}

/* What a handle of the span at `depth` needs, but for a scoped one's id. 0: it is not known; else the kind of its record. */
TAPE__IN uint32_t tape__named(struct tape_page *p, uint32_t depth, tape_handle *h)
{
	const struct tape_slot *slot = &p->slot[p->commit >> 32 & 1];
	struct tape__back_page *back = tape__back(p);
	uint32_t off = tape__tail(p)->open[depth];
	const uint8_t *inner;
	struct tape__walk w;
	struct tape__at at;
	uint64_t now, ns, dt;

	h->flags = TAPE__H_LENT;
	if (off == TAPE__CUT_ENTER || off == TAPE__CUT_BEGIN) {
		h->id = off == TAPE__CUT_ENTER ? back->id[depth] : 0;
		h->module = back->module[depth];
		h->open_ns = back->open_ns[depth];
		h->callsite = back->callsite[depth];
		return off == TAPE__CUT_ENTER ? TAPE_R_ENTER : TAPE_R_BEGIN;
	}
	if (off == TAPE__NONE)
		return 0;
	now = tape__pair(p->clock, &ns);
	dt = now - slot->ticks;
	tape__walk_start(&w, p);
	if (!tape__find(&w, p, off, dt ? (double)(ns - slot->mono_ns) / (double)dt : 1, &at))
		return 0;
	inner = (const uint8_t *)p + TAPE_DATA + at.off + at.extra;
	if ((tape__get32(inner) & 15) == TAPE_R_ENTER) {
		memcpy(h, inner + 8, TAPE_REF_BYTES);
		return TAPE_R_ENTER;
	}
	h->module = (uint64_t)&tape_1_module;
	h->open_ns = at.ns;
	h->callsite = tape__get32(inner + 8);
	return TAPE_R_BEGIN;
}

/* The span at `depth` on this thread, numbered if it was not. */
TAPE__FN tape_handle tape_1_number(uint32_t depth)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape_page *p = t->page;
	tape_handle h = tape__no_handle(TAPE__H_ALIAS), here = tape__no_handle(0);
	struct tape__tail_area *tail;
	struct tape__op op;
	uint32_t kind;

	if (!p || p->magic != TAPE_PAGE_MAGIC || p->busy || depth >= TAPE_OPEN_CNT)
		return h;
	kind = tape__named(p, depth, &here);
	if (kind != TAPE_R_BEGIN)
		return kind ? here : h;
	tail = tape__tail(p);
	if (tail->numbered >> depth & 1) {
		here.id = tape__back(p)->id[depth];
		return here;
	}
	here.id = tape__new_id(t);
	tape__back(p)->id[depth] = here.id;
	tail->numbered |= 1ULL << depth;
	op = tape__op_of(TAPE_R_NUMBER, NULL, depth);
	op.word = here.id;
	op.size = 16;
	tape__emit(t, &op, TAPE__ON_PAGE, NULL, 0);
	return here;
}

TAPE__FN tape_handle tape_1_current(void)
{
	struct tape__tls *t = &tape_1_tls;
	uint32_t d = t->depth, other = d > TAPE_OPEN_CNT;
	tape_handle h = tape__no_handle(TAPE__H_ALIAS);

	if (other)
		d = TAPE_OPEN_CNT;
	while (d-- && !h.id) {
		if (t->holes >> d & 1)
			continue;
		h = tape_1_number(d);
		other |= !h.id;
	}
	if (other)
		h.flags |= TAPE__H_ALIAS; /* one around it */
	return h;
}

TAPE__FN tape_handle tape_1_open(const struct tape_site *site, struct tape__val *val, uint32_t max_str, const tape_handle *parent)
{
	struct tape__tls *t = &tape_1_tls;
	uint32_t how = tape__how(site);
	struct tape__op op;
	tape_handle h;

	if (TAPE__UNLIKELY(!tape_1_module.reserved[2]))
		tape_1_setup(); /* before this module's constructors: without the seed the ids of two modules would be the same */
	h.id = tape__new_id(t);
	h.module = (uint64_t)&tape_1_module;
	h.open_ns = tape__ns();
	h.callsite = (uint32_t)(uint64_t)site;
	h.flags = how & TAPE__ON_PAGE ? 0 : TAPE__H_DIRECT;
	op = tape__op_of(TAPE_R_OPEN, site, t->depth);
	op.max_str = max_str;
	op.ref = &h;
	if (parent)
		op.parent = tape__parent(parent, &op.ref2);
	tape__set_size(&op, val);
	tape__emit(t, &op, how, site, 0);
	return h;
}

/* Its callsite is not armed: the nearest armed ancestor stands for it. */
TAPE__FN tape_handle tape_1_unarmed(const tape_handle *parent)
{
	tape_handle h;

	if (parent && parent->flags & TAPE__H_ROOT)
		return tape__no_handle(TAPE__H_ALIAS);
	h = parent && !(parent->flags & TAPE__H_HERE) ? *parent : tape_1_current();
	h.flags |= TAPE__H_ALIAS;
	return h;
}

/* An operation on handles: kind, whose span, the other one. */
TAPE__FN void tape_1_op(uint32_t kind, const tape_handle *h, const tape_handle *other, uint32_t depth)
{
	struct tape__tls *t = &tape_1_tls;
	struct tape__op op = tape__op_of(kind, NULL, depth);

	op.ref = h;
	op.ref2 = other;
	op.size = tape__fixed(&op);
	if (h->flags & TAPE__H_DIRECT || tape__append(t, &op) < 0) {
		if (kind == TAPE_R_ENTER)
			tape__entered(t, depth);
		tape__direct(&op, 1, NULL, 0);
	}
}

TAPE__FN void tape_1_enter(const tape_handle *h)
{
	struct tape__tls *t = &tape_1_tls;
	uint32_t d = t->depth;

	if (d >= TAPE_MAX_DEPTH) {
		if (t->page && t->page->magic == TAPE_PAGE_MAGIC)
			t->page->too_deep++;
		return;
	}
	tape_1_op(TAPE_R_ENTER, h, NULL, d);
}

/* Where the span was entered on this thread, from the top; ~0: not found (deeper than 64, or entered in a batch gone by). */
TAPE__IN uint32_t tape__entry_of(struct tape__tls *t, uint64_t id)
{
	struct tape_page *p = t->page;
	const uint8_t *rec;
	uint32_t d = t->depth > TAPE_OPEN_CNT ? (uint32_t)TAPE_OPEN_CNT : t->depth, off;

	if (!p || p->magic != TAPE_PAGE_MAGIC)
		return ~0u;
	while (d--) {
		off = tape__tail(p)->open[d];
		if (off == TAPE__CUT_ENTER && tape__back(p)->id[d] == id)
			return d; /* no hole: that has TAPE__NONE */
		if (off >= TAPE__NO_OFFSET || t->holes >> d & 1)
			continue;
		rec = (const uint8_t *)p + TAPE_DATA + off;
		if ((tape__get32(rec) & 15) == TAPE_R_PRE)
			rec += tape__get32(rec + 4) & TAPE_PRE_NUMBERED ? 32 : 24;
		if ((tape__get32(rec) & 15) == TAPE_R_ENTER && tape__get64(rec + 8) == id)
			return d;
	}
	return ~0u;
}

/* The topmost entry that the page does not name: it may be anybody's. The depth itself: all of them are known. */
TAPE__IN uint32_t tape__nameless_entry(struct tape__tls *t)
{
	struct tape_page *p = t->page;
	uint32_t d = t->depth;

	if (!d || d > TAPE_OPEN_CNT || !p || p->magic != TAPE_PAGE_MAGIC)
		return d ? d - 1 : 0;
	while (d--)
		if (tape__tail(p)->open[d] == TAPE__NONE && !(t->holes >> d & 1))
			return d;
	return t->depth;
}

TAPE__FN void tape_1_exit(const tape_handle *h)
{
	struct tape__tls *t = &tape_1_tls;
	uint32_t d = tape__entry_of(t, h->id);

	if (d == ~0u)
		d = tape__nameless_entry(t);
	tape_1_op(TAPE_R_EXIT, h, NULL, d);
	if (d >= t->depth)
		return; /* not entered on this thread: the entries that are stay */
	if (d + 1 >= t->depth)
		tape__leave(t, d);
	else if (d < 64)
		t->holes |= 1ULL << d;
	if (d < TAPE_OPEN_CNT && t->page && t->page->magic == TAPE_PAGE_MAGIC)
		tape__tail(t->page)->open[d] = TAPE__NONE;
}

/* A later value. The field is found by its name; the span is `h`, or the scoped one at `depth`. */
TAPE__FN void tape_1_value(const tape_handle *h, const struct tape_scope *s, const char *name, uint32_t type,
			   struct tape__val val, uint32_t max_str)
{
	const struct tape_site *site;
	struct tape__tls *t = &tape_1_tls;
	tape_handle here = tape__no_handle(0);
	struct tape__op op;
	const char *at;
	uint32_t i;

	if (s)
		site = s->site;
	else
		site = (const struct tape_site *)(h->module + (uint64_t)(int64_t)(int32_t)(h->callsite - (uint32_t)h->module));
	at = (const char *)&site->text + site->text;
	for (i = 0; i < 4; i++)
		at += strlen(at) + 1;
	for (i = 0; i < site->field_cnt && strcmp(at, name); i++)
		at += strlen(at) + 1;
	if (i == site->field_cnt)
		return; /* semantics of `tracing`: a value for a field that the span lacks is ignored */
	op = tape__op_of(TAPE_R_VALUE, NULL, s ? s->depth : t->depth);
	if (s) {
		here.module = (uint64_t)&tape_1_module;
		here.callsite = (uint32_t)(uint64_t)site;
	}
	op.ref = s ? &here : h;
	op.word = i | type << 8;
	op.type = type;
	op.val_cnt = 1;
	op.max_str = max_str;
	tape__set_size(&op, &val);
	if ((s ? !(s->how & TAPE__ON_PAGE) : h->flags & TAPE__H_DIRECT) || tape__append(t, &op) < 0)
		tape__direct(&op, 1, NULL, 0);
}

TAPE__FN void tape_1_say_name(struct tape__tls *t)
{
	struct tape__val val = { 0, 0 };
	struct tape__op op = tape__op_of(TAPE_R_THREAD_NAME, NULL, t->depth);

	op.type = TAPE_T_STR;
	op.val_cnt = 1;
	op.max_str = sizeof(t->name);
	val.a = (uint64_t)t->name;
	val.b = ~0ULL;
	tape__set_size(&op, &val);
	tape__emit(t, &op, TAPE__ON_PAGE, NULL, 0);
	/* A recorder that decodes nothing looks for names in the batches that say so. */
	if (t->page && t->page->magic == TAPE_PAGE_MAGIC)
		t->page->flags |= TAPE_PAGE_NAMED;
}

/* Kept, so that it goes out with each page that the thread gets. */
TAPE__FN void tape_1_name(const char *name)
{
	struct tape__tls *t = &tape_1_tls;
	size_t n;

	for (n = 0; n < sizeof(t->name) - 1 && name[n]; n++)
		t->name[n] = name[n];
	t->name[n] = 0;
	if (t->page && t->page->magic == TAPE_PAGE_MAGIC)
		tape_1_say_name(t);
	/* Somebody records: a thread that makes no record of its own (but runs plain probes, perhaps) is to have its name. */
	else if (__atomic_load_n(&tape_1_module.ticks, __ATOMIC_RELAXED) || tape_1_module.first)
		tape_1_make(t);
}

#ifdef __cplusplus
}
#endif

TAPE__IN const struct tape_site *tape__site_of(const uint32_t *at)
{
	return (const struct tape_site *)(const void *)((const char *)(at + 1) + (int32_t)at[1]);
}

/* --- values: what a C expression is, and its place -------------------------------------------------------- */

TAPE__IN struct tape__val tape__v2(uint64_t a, uint64_t b)
{
	struct tape__val v;

	v.a = a;
	v.b = b;
	return v;
}
TAPE__IN struct tape__val tape__v_int(long long x)
{
	return tape__v2((uint64_t)x, 0);
}
TAPE__IN struct tape__val tape__v_uint(unsigned long long x)
{
	return tape__v2((uint64_t)x, 0);
}
TAPE__IN struct tape__val tape__v_wide(tape__u128 x)
{
	return tape__v2((uint64_t)x, (uint64_t)(x >> 64));
}
TAPE__IN struct tape__val tape__v_swide(tape__s128 x)
{
	return tape__v_wide((tape__u128)x);
}
TAPE__IN struct tape__val tape__v_float(double x)
{
	uint64_t a;

	memcpy(&a, &x, 8);
	return tape__v2(a, 0);
}
TAPE__IN struct tape__val tape__v_single(float x)
{
	return tape__v_float((double)x);
}
TAPE__IN struct tape__val tape__v_long(long double x)
{
	return tape__v_float((double)x);
}
TAPE__IN struct tape__val tape__v_string(const char *s)
{
	return tape__v2((uint64_t)s, ~0ULL);
}
TAPE__IN struct tape__val tape__v_text(tape__text t)
{
	return tape__v2((uint64_t)t.p, t.len == ~(size_t)0 ? ~0ULL : t.len);
}
TAPE__IN struct tape__val tape__v_strn(tape__strn s)
{
	return tape__v_text(s.t);
}
TAPE__IN struct tape__val tape__v_bytes(tape__bytes s)
{
	return tape__v_text(s.t);
}
TAPE__IN struct tape__val tape__v_err(tape__err s)
{
	return tape__v_text(s.t);
}
TAPE__IN struct tape__val tape__v_none(tape__none n)
{
	(void)n;
	return tape__v2(0, 0);
}

TAPE__IN tape__strn tape_str(const void *p, size_t len)
{
	tape__strn s = { { p, len } };

	return s;
}
TAPE__IN tape__bytes tape_bytes(const void *p, size_t len)
{
	tape__bytes s = { { p, len } };

	return s;
}
TAPE__IN tape__err tape__err_text(const char *p)
{
	tape__err s = { { p, ~(size_t)0 } };

	return s;
}
TAPE__IN tape__err tape__err_no(int e)
{
	return tape__err_text(strerror(e < 0 ? -e : e));
}

#ifndef __cplusplus
#define tape_err(x) (_Generic((x), int: tape__err_no, long: tape__err_no, default: tape__err_text)(x))
#define tape_empty ((tape__none){ 0 })

TAPE__IN struct tape__val tape_a_value_must_be_a_number_a_string_or_a_pointer(const volatile void *p)
{
	return tape__v2((uint64_t)p, 0);
}

/* A bit-field has a type of its own to gcc, that no list can name: an integer all the same. */
#define TAPE__OTHER(x, integer, other) __builtin_choose_expr(__builtin_classify_type(x) == 1, integer, other)
#define TAPE__VAL(...) \
	_Generic((__VA_ARGS__), \
		_Bool: tape__v_int, char: tape__v_int, signed char: tape__v_int, unsigned char: tape__v_int, \
		short: tape__v_int, unsigned short: tape__v_int, int: tape__v_int, unsigned int: tape__v_int, \
		long: tape__v_int, unsigned long: tape__v_uint, long long: tape__v_int, \
		unsigned long long: tape__v_uint, tape__s128: tape__v_swide, tape__u128: tape__v_wide, \
		float: tape__v_single, double: tape__v_float, long double: tape__v_long, \
		char *: tape__v_string, const char *: tape__v_string, tape__strn: tape__v_strn, \
		tape__bytes: tape__v_bytes, tape__err: tape__v_err, tape__none: tape__v_none, \
		default: TAPE__OTHER((__VA_ARGS__), tape__v_int, tape_a_value_must_be_a_number_a_string_or_a_pointer))(__VA_ARGS__)
#define TAPE__TYPE(...) \
	_Generic((__VA_ARGS__), \
		_Bool: TAPE_T_BOOL, char: TAPE_T_I32, signed char: TAPE_T_I32, unsigned char: TAPE_T_U32, \
		short: TAPE_T_I32, unsigned short: TAPE_T_U32, int: TAPE_T_I32, unsigned int: TAPE_T_U32, \
		long: TAPE_T_I64, unsigned long: TAPE_T_U64, long long: TAPE_T_I64, \
		unsigned long long: TAPE_T_U64, tape__s128: TAPE_T_I128, tape__u128: TAPE_T_U128, \
		float: TAPE_T_F64, double: TAPE_T_F64, long double: TAPE_T_F64, \
		char *: TAPE_T_STR, const char *: TAPE_T_STR, tape__strn: TAPE_T_STR, \
		tape__bytes: TAPE_T_BYTES, tape__err: TAPE_T_ERROR, tape__none: TAPE_T_EMPTY, \
		default: TAPE__OTHER((__VA_ARGS__), TAPE_T_I64, TAPE_T_PTR))

#else /* C++: an overload set for the value, one for the type (the size of what it returns, less one) */

#define tape_empty (tape__none())

template <bool, class T> struct tape__if {};
template <class T> struct tape__if<true, T> { typedef T type; };
template <class T> T &&tape__decl() noexcept;
template <class T> struct tape__no { static const bool value = false; };
/* gcc 12 does not mangle the built-in traits, so no signature may name one. */
template <class T> struct tape__sort { static const bool is_enum = __is_enum(T), is_class = __is_class(T); };

/* What a class offers: 1 data() and size() of char, 2 what(), 0 nothing of it. */
struct tape__like {
	template <class T>
	static auto is(int) -> decltype((void)(static_cast<const char *>(tape__decl<const T &>().data())),
					(void)(size_t)tape__decl<const T &>().size(), (char (*)[2])0);
	template <class T> static auto is(long) -> decltype((void)tape__decl<const T &>().what(), (char (*)[3])0);
	template <class T> static char (*is(...))[1];
};
template <class T> struct tape__kind { static const int value = sizeof(*tape__like::is<T>(0)) - 1; };

inline tape__err tape_err(int e) { return tape__err_no(e); }
inline tape__err tape_err(const char *s) { return tape__err_text(s); }
template <class T> inline typename tape__if<tape__kind<T>::value == 2, tape__err>::type tape_err(const T &x)
{
	return tape__err_text(x.what());
}
template <class T> inline typename tape__if<tape__kind<T>::value == 1, tape__err>::type tape_err(const T &x)
{
	tape__err s = { { x.data(), x.size() } };

	return s;
}

#define TAPE__CXX(T, code, expr) \
	inline struct tape__val tape__v(T x) { return expr; } \
	char (&tape__t(T))[code + 1];
TAPE__CXX(bool, TAPE_T_BOOL, tape__v_int(x))
TAPE__CXX(char, TAPE_T_I32, tape__v_int(x))
TAPE__CXX(signed char, TAPE_T_I32, tape__v_int(x))
TAPE__CXX(unsigned char, TAPE_T_U32, tape__v_int(x))
TAPE__CXX(short, TAPE_T_I32, tape__v_int(x))
TAPE__CXX(unsigned short, TAPE_T_U32, tape__v_int(x))
TAPE__CXX(int, TAPE_T_I32, tape__v_int(x))
TAPE__CXX(unsigned int, TAPE_T_U32, tape__v_int(x))
TAPE__CXX(long, TAPE_T_I64, tape__v_int(x))
TAPE__CXX(unsigned long, TAPE_T_U64, tape__v_int((long long)x))
TAPE__CXX(long long, TAPE_T_I64, tape__v_int(x))
TAPE__CXX(unsigned long long, TAPE_T_U64, tape__v_int((long long)x))
TAPE__CXX(tape__s128, TAPE_T_I128, tape__v_wide((tape__u128)x))
TAPE__CXX(tape__u128, TAPE_T_U128, tape__v_wide(x))
TAPE__CXX(float, TAPE_T_F64, tape__v_single(x))
TAPE__CXX(double, TAPE_T_F64, tape__v_float(x))
TAPE__CXX(long double, TAPE_T_F64, tape__v_float((double)x))
TAPE__CXX(const char *, TAPE_T_STR, tape__v_string(x))
TAPE__CXX(tape__strn, TAPE_T_STR, tape__v_strn(x))
TAPE__CXX(tape__bytes, TAPE_T_BYTES, tape__v_bytes(x))
TAPE__CXX(tape__err, TAPE_T_ERROR, tape__v_err(x))
TAPE__CXX(tape__none, TAPE_T_EMPTY, tape__v_none(x))
TAPE__CXX(const volatile void *, TAPE_T_PTR, tape__v2((uint64_t)x, 0))
TAPE__CXX(decltype(nullptr), TAPE_T_PTR, ((void)x, tape__v2(0, 0)))

/* Functions would be taken for bool: that conversion is open to them, the one to void * is not. */
template <class R, class... A> inline struct tape__val tape__v(R (*x)(A...)) { return tape__v2((uint64_t)x, 0); }
template <class R, class... A> inline struct tape__val tape__v(R (*x)(A..., ...)) { return tape__v2((uint64_t)x, 0); }
template <class R, class... A> char (&tape__t(R (*)(A...)))[TAPE_T_PTR + 1];
template <class R, class... A> char (&tape__t(R (*)(A..., ...)))[TAPE_T_PTR + 1];
template <class C, class T> inline struct tape__val tape__v(T C::*)
{
	static_assert(tape__no<C>::value, "tape: a value must be a number, a string or a pointer");
	return tape__v2(0, 0);
}

template <class T> inline typename tape__if<tape__sort<T>::is_enum, struct tape__val>::type tape__v(T x)
{
	return tape__v_int((long long)x);
}
template <class T, bool> struct tape__enum {};
template <class T> struct tape__enum<T, true> { typedef decltype(tape__t((__underlying_type(T))0)) type; };
template <class T> typename tape__enum<T, tape__sort<T>::is_enum>::type tape__t(T);
template <class T> inline typename tape__if<tape__kind<T>::value == 1, struct tape__val>::type tape__v(const T &x)
{
	return tape__v2((uint64_t)(x.data() ? x.data() : ""), x.size()); /* an empty one may have no data: a text all the same */
}
template <class T> typename tape__if<tape__kind<T>::value == 1, char (&)[TAPE_T_STR + 1]>::type tape__t(const T &);
template <class T>
inline typename tape__if<tape__sort<T>::is_class && tape__kind<T>::value != 1, struct tape__val>::type tape__v(const T &)
{
	static_assert(tape__no<T>::value, "tape: a value must be a number, a string or a pointer");
	return tape__v2(0, 0);
}
template <class T>
typename tape__if<tape__sort<T>::is_class && tape__kind<T>::value != 1, char (&)[1]>::type tape__t(const T &);

#define TAPE__VAL(...) tape__v(__VA_ARGS__)
#define TAPE__TYPE(...) (static_cast<int>(sizeof(tape__t(__VA_ARGS__))) - 1)
#endif

/* --- taking a field list apart ----------------------------------------------------------------------------- */

/* W: M applied to each leading (name, value); H: the same, packed 4 bits each; R: what follows them. The lists end with
 * TAPE__Z twice, so that `...` is never empty. */
#define TAPE__CAT_(a, b, c) a##b##c
#define TAPE__CAT(a, b, c) TAPE__CAT_(a, b, c)
#define TAPE__FIRST(x, ...) x
#define TAPE__SECOND(x, y, ...) y
#define TAPE__PROBE(...) ~, 1
#define TAPE__SECOND_(...) TAPE__SECOND(__VA_ARGS__)
#define TAPE__IS_PAREN(x) TAPE__SECOND_(TAPE__PROBE x, 0, 0)
#define TAPE__Z 0
#ifdef __cplusplus
#define TAPE__AS(type, x) static_cast<type>(x)
#define TAPE__WIDE(x) ((x) * static_cast<tape__u128>(1)) /* some are that wide already: -Wuseless-cast */
#else
#define TAPE__AS(type, x) ((type)(x))
#define TAPE__WIDE(x) TAPE__AS(tape__u128, x)
#endif
#define TAPE__TOO_MANY tape_a_site_has_32_fields_at_most
#define TAPE__W_33(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _33)(M, x, __VA_ARGS__)
#define TAPE__W1_33(M, x, ...) M x TAPE__W_32(M, __VA_ARGS__)
#define TAPE__W0_33(M, x, ...)
#define TAPE__W_32(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _32)(M, x, __VA_ARGS__)
#define TAPE__W1_32(M, x, ...) M x TAPE__W_31(M, __VA_ARGS__)
#define TAPE__W0_32(M, x, ...)
#define TAPE__W_31(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _31)(M, x, __VA_ARGS__)
#define TAPE__W1_31(M, x, ...) M x TAPE__W_30(M, __VA_ARGS__)
#define TAPE__W0_31(M, x, ...)
#define TAPE__W_30(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _30)(M, x, __VA_ARGS__)
#define TAPE__W1_30(M, x, ...) M x TAPE__W_29(M, __VA_ARGS__)
#define TAPE__W0_30(M, x, ...)
#define TAPE__W_29(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _29)(M, x, __VA_ARGS__)
#define TAPE__W1_29(M, x, ...) M x TAPE__W_28(M, __VA_ARGS__)
#define TAPE__W0_29(M, x, ...)
#define TAPE__W_28(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _28)(M, x, __VA_ARGS__)
#define TAPE__W1_28(M, x, ...) M x TAPE__W_27(M, __VA_ARGS__)
#define TAPE__W0_28(M, x, ...)
#define TAPE__W_27(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _27)(M, x, __VA_ARGS__)
#define TAPE__W1_27(M, x, ...) M x TAPE__W_26(M, __VA_ARGS__)
#define TAPE__W0_27(M, x, ...)
#define TAPE__W_26(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _26)(M, x, __VA_ARGS__)
#define TAPE__W1_26(M, x, ...) M x TAPE__W_25(M, __VA_ARGS__)
#define TAPE__W0_26(M, x, ...)
#define TAPE__W_25(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _25)(M, x, __VA_ARGS__)
#define TAPE__W1_25(M, x, ...) M x TAPE__W_24(M, __VA_ARGS__)
#define TAPE__W0_25(M, x, ...)
#define TAPE__W_24(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _24)(M, x, __VA_ARGS__)
#define TAPE__W1_24(M, x, ...) M x TAPE__W_23(M, __VA_ARGS__)
#define TAPE__W0_24(M, x, ...)
#define TAPE__W_23(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _23)(M, x, __VA_ARGS__)
#define TAPE__W1_23(M, x, ...) M x TAPE__W_22(M, __VA_ARGS__)
#define TAPE__W0_23(M, x, ...)
#define TAPE__W_22(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _22)(M, x, __VA_ARGS__)
#define TAPE__W1_22(M, x, ...) M x TAPE__W_21(M, __VA_ARGS__)
#define TAPE__W0_22(M, x, ...)
#define TAPE__W_21(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _21)(M, x, __VA_ARGS__)
#define TAPE__W1_21(M, x, ...) M x TAPE__W_20(M, __VA_ARGS__)
#define TAPE__W0_21(M, x, ...)
#define TAPE__W_20(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _20)(M, x, __VA_ARGS__)
#define TAPE__W1_20(M, x, ...) M x TAPE__W_19(M, __VA_ARGS__)
#define TAPE__W0_20(M, x, ...)
#define TAPE__W_19(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _19)(M, x, __VA_ARGS__)
#define TAPE__W1_19(M, x, ...) M x TAPE__W_18(M, __VA_ARGS__)
#define TAPE__W0_19(M, x, ...)
#define TAPE__W_18(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _18)(M, x, __VA_ARGS__)
#define TAPE__W1_18(M, x, ...) M x TAPE__W_17(M, __VA_ARGS__)
#define TAPE__W0_18(M, x, ...)
#define TAPE__W_17(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _17)(M, x, __VA_ARGS__)
#define TAPE__W1_17(M, x, ...) M x TAPE__W_16(M, __VA_ARGS__)
#define TAPE__W0_17(M, x, ...)
#define TAPE__W_16(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _16)(M, x, __VA_ARGS__)
#define TAPE__W1_16(M, x, ...) M x TAPE__W_15(M, __VA_ARGS__)
#define TAPE__W0_16(M, x, ...)
#define TAPE__W_15(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _15)(M, x, __VA_ARGS__)
#define TAPE__W1_15(M, x, ...) M x TAPE__W_14(M, __VA_ARGS__)
#define TAPE__W0_15(M, x, ...)
#define TAPE__W_14(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _14)(M, x, __VA_ARGS__)
#define TAPE__W1_14(M, x, ...) M x TAPE__W_13(M, __VA_ARGS__)
#define TAPE__W0_14(M, x, ...)
#define TAPE__W_13(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _13)(M, x, __VA_ARGS__)
#define TAPE__W1_13(M, x, ...) M x TAPE__W_12(M, __VA_ARGS__)
#define TAPE__W0_13(M, x, ...)
#define TAPE__W_12(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _12)(M, x, __VA_ARGS__)
#define TAPE__W1_12(M, x, ...) M x TAPE__W_11(M, __VA_ARGS__)
#define TAPE__W0_12(M, x, ...)
#define TAPE__W_11(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _11)(M, x, __VA_ARGS__)
#define TAPE__W1_11(M, x, ...) M x TAPE__W_10(M, __VA_ARGS__)
#define TAPE__W0_11(M, x, ...)
#define TAPE__W_10(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _10)(M, x, __VA_ARGS__)
#define TAPE__W1_10(M, x, ...) M x TAPE__W_9(M, __VA_ARGS__)
#define TAPE__W0_10(M, x, ...)
#define TAPE__W_9(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _9)(M, x, __VA_ARGS__)
#define TAPE__W1_9(M, x, ...) M x TAPE__W_8(M, __VA_ARGS__)
#define TAPE__W0_9(M, x, ...)
#define TAPE__W_8(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _8)(M, x, __VA_ARGS__)
#define TAPE__W1_8(M, x, ...) M x TAPE__W_7(M, __VA_ARGS__)
#define TAPE__W0_8(M, x, ...)
#define TAPE__W_7(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _7)(M, x, __VA_ARGS__)
#define TAPE__W1_7(M, x, ...) M x TAPE__W_6(M, __VA_ARGS__)
#define TAPE__W0_7(M, x, ...)
#define TAPE__W_6(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _6)(M, x, __VA_ARGS__)
#define TAPE__W1_6(M, x, ...) M x TAPE__W_5(M, __VA_ARGS__)
#define TAPE__W0_6(M, x, ...)
#define TAPE__W_5(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _5)(M, x, __VA_ARGS__)
#define TAPE__W1_5(M, x, ...) M x TAPE__W_4(M, __VA_ARGS__)
#define TAPE__W0_5(M, x, ...)
#define TAPE__W_4(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _4)(M, x, __VA_ARGS__)
#define TAPE__W1_4(M, x, ...) M x TAPE__W_3(M, __VA_ARGS__)
#define TAPE__W0_4(M, x, ...)
#define TAPE__W_3(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _3)(M, x, __VA_ARGS__)
#define TAPE__W1_3(M, x, ...) M x TAPE__W_2(M, __VA_ARGS__)
#define TAPE__W0_3(M, x, ...)
#define TAPE__W_2(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _2)(M, x, __VA_ARGS__)
#define TAPE__W1_2(M, x, ...) M x TAPE__W_1(M, __VA_ARGS__)
#define TAPE__W0_2(M, x, ...)
#define TAPE__W_1(M, x, ...) TAPE__CAT(TAPE__W, TAPE__IS_PAREN(x), _1)(M, x, __VA_ARGS__)
#define TAPE__W1_1(M, x, ...) M x TAPE__W_0(M, __VA_ARGS__)
#define TAPE__W0_1(M, x, ...)
#define TAPE__W_0(M, ...) TAPE__TOO_MANY
#define TAPE__H_33(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _33)(M, x, __VA_ARGS__)
#define TAPE__H1_33(M, x, ...) (M x | TAPE__WIDE(TAPE__H_32(M, __VA_ARGS__)) << 4)
#define TAPE__H0_33(M, x, ...) 0
#define TAPE__H_32(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _32)(M, x, __VA_ARGS__)
#define TAPE__H1_32(M, x, ...) (M x | TAPE__WIDE(TAPE__H_31(M, __VA_ARGS__)) << 4)
#define TAPE__H0_32(M, x, ...) 0
#define TAPE__H_31(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _31)(M, x, __VA_ARGS__)
#define TAPE__H1_31(M, x, ...) (M x | TAPE__WIDE(TAPE__H_30(M, __VA_ARGS__)) << 4)
#define TAPE__H0_31(M, x, ...) 0
#define TAPE__H_30(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _30)(M, x, __VA_ARGS__)
#define TAPE__H1_30(M, x, ...) (M x | TAPE__WIDE(TAPE__H_29(M, __VA_ARGS__)) << 4)
#define TAPE__H0_30(M, x, ...) 0
#define TAPE__H_29(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _29)(M, x, __VA_ARGS__)
#define TAPE__H1_29(M, x, ...) (M x | TAPE__WIDE(TAPE__H_28(M, __VA_ARGS__)) << 4)
#define TAPE__H0_29(M, x, ...) 0
#define TAPE__H_28(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _28)(M, x, __VA_ARGS__)
#define TAPE__H1_28(M, x, ...) (M x | TAPE__WIDE(TAPE__H_27(M, __VA_ARGS__)) << 4)
#define TAPE__H0_28(M, x, ...) 0
#define TAPE__H_27(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _27)(M, x, __VA_ARGS__)
#define TAPE__H1_27(M, x, ...) (M x | TAPE__WIDE(TAPE__H_26(M, __VA_ARGS__)) << 4)
#define TAPE__H0_27(M, x, ...) 0
#define TAPE__H_26(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _26)(M, x, __VA_ARGS__)
#define TAPE__H1_26(M, x, ...) (M x | TAPE__WIDE(TAPE__H_25(M, __VA_ARGS__)) << 4)
#define TAPE__H0_26(M, x, ...) 0
#define TAPE__H_25(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _25)(M, x, __VA_ARGS__)
#define TAPE__H1_25(M, x, ...) (M x | TAPE__WIDE(TAPE__H_24(M, __VA_ARGS__)) << 4)
#define TAPE__H0_25(M, x, ...) 0
#define TAPE__H_24(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _24)(M, x, __VA_ARGS__)
#define TAPE__H1_24(M, x, ...) (M x | TAPE__WIDE(TAPE__H_23(M, __VA_ARGS__)) << 4)
#define TAPE__H0_24(M, x, ...) 0
#define TAPE__H_23(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _23)(M, x, __VA_ARGS__)
#define TAPE__H1_23(M, x, ...) (M x | TAPE__WIDE(TAPE__H_22(M, __VA_ARGS__)) << 4)
#define TAPE__H0_23(M, x, ...) 0
#define TAPE__H_22(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _22)(M, x, __VA_ARGS__)
#define TAPE__H1_22(M, x, ...) (M x | TAPE__WIDE(TAPE__H_21(M, __VA_ARGS__)) << 4)
#define TAPE__H0_22(M, x, ...) 0
#define TAPE__H_21(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _21)(M, x, __VA_ARGS__)
#define TAPE__H1_21(M, x, ...) (M x | TAPE__WIDE(TAPE__H_20(M, __VA_ARGS__)) << 4)
#define TAPE__H0_21(M, x, ...) 0
#define TAPE__H_20(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _20)(M, x, __VA_ARGS__)
#define TAPE__H1_20(M, x, ...) (M x | TAPE__WIDE(TAPE__H_19(M, __VA_ARGS__)) << 4)
#define TAPE__H0_20(M, x, ...) 0
#define TAPE__H_19(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _19)(M, x, __VA_ARGS__)
#define TAPE__H1_19(M, x, ...) (M x | TAPE__WIDE(TAPE__H_18(M, __VA_ARGS__)) << 4)
#define TAPE__H0_19(M, x, ...) 0
#define TAPE__H_18(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _18)(M, x, __VA_ARGS__)
#define TAPE__H1_18(M, x, ...) (M x | TAPE__WIDE(TAPE__H_17(M, __VA_ARGS__)) << 4)
#define TAPE__H0_18(M, x, ...) 0
#define TAPE__H_17(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _17)(M, x, __VA_ARGS__)
#define TAPE__H1_17(M, x, ...) (M x | TAPE__WIDE(TAPE__H_16(M, __VA_ARGS__)) << 4)
#define TAPE__H0_17(M, x, ...) 0
#define TAPE__H_16(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _16)(M, x, __VA_ARGS__)
#define TAPE__H1_16(M, x, ...) (M x | TAPE__WIDE(TAPE__H_15(M, __VA_ARGS__)) << 4)
#define TAPE__H0_16(M, x, ...) 0
#define TAPE__H_15(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _15)(M, x, __VA_ARGS__)
#define TAPE__H1_15(M, x, ...) (M x | TAPE__WIDE(TAPE__H_14(M, __VA_ARGS__)) << 4)
#define TAPE__H0_15(M, x, ...) 0
#define TAPE__H_14(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _14)(M, x, __VA_ARGS__)
#define TAPE__H1_14(M, x, ...) (M x | TAPE__WIDE(TAPE__H_13(M, __VA_ARGS__)) << 4)
#define TAPE__H0_14(M, x, ...) 0
#define TAPE__H_13(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _13)(M, x, __VA_ARGS__)
#define TAPE__H1_13(M, x, ...) (M x | TAPE__WIDE(TAPE__H_12(M, __VA_ARGS__)) << 4)
#define TAPE__H0_13(M, x, ...) 0
#define TAPE__H_12(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _12)(M, x, __VA_ARGS__)
#define TAPE__H1_12(M, x, ...) (M x | TAPE__WIDE(TAPE__H_11(M, __VA_ARGS__)) << 4)
#define TAPE__H0_12(M, x, ...) 0
#define TAPE__H_11(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _11)(M, x, __VA_ARGS__)
#define TAPE__H1_11(M, x, ...) (M x | TAPE__WIDE(TAPE__H_10(M, __VA_ARGS__)) << 4)
#define TAPE__H0_11(M, x, ...) 0
#define TAPE__H_10(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _10)(M, x, __VA_ARGS__)
#define TAPE__H1_10(M, x, ...) (M x | TAPE__WIDE(TAPE__H_9(M, __VA_ARGS__)) << 4)
#define TAPE__H0_10(M, x, ...) 0
#define TAPE__H_9(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _9)(M, x, __VA_ARGS__)
#define TAPE__H1_9(M, x, ...) (M x | TAPE__WIDE(TAPE__H_8(M, __VA_ARGS__)) << 4)
#define TAPE__H0_9(M, x, ...) 0
#define TAPE__H_8(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _8)(M, x, __VA_ARGS__)
#define TAPE__H1_8(M, x, ...) (M x | TAPE__WIDE(TAPE__H_7(M, __VA_ARGS__)) << 4)
#define TAPE__H0_8(M, x, ...) 0
#define TAPE__H_7(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _7)(M, x, __VA_ARGS__)
#define TAPE__H1_7(M, x, ...) (M x | TAPE__WIDE(TAPE__H_6(M, __VA_ARGS__)) << 4)
#define TAPE__H0_7(M, x, ...) 0
#define TAPE__H_6(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _6)(M, x, __VA_ARGS__)
#define TAPE__H1_6(M, x, ...) (M x | TAPE__WIDE(TAPE__H_5(M, __VA_ARGS__)) << 4)
#define TAPE__H0_6(M, x, ...) 0
#define TAPE__H_5(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _5)(M, x, __VA_ARGS__)
#define TAPE__H1_5(M, x, ...) (M x | TAPE__WIDE(TAPE__H_4(M, __VA_ARGS__)) << 4)
#define TAPE__H0_5(M, x, ...) 0
#define TAPE__H_4(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _4)(M, x, __VA_ARGS__)
#define TAPE__H1_4(M, x, ...) (M x | TAPE__WIDE(TAPE__H_3(M, __VA_ARGS__)) << 4)
#define TAPE__H0_4(M, x, ...) 0
#define TAPE__H_3(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _3)(M, x, __VA_ARGS__)
#define TAPE__H1_3(M, x, ...) (M x | TAPE__WIDE(TAPE__H_2(M, __VA_ARGS__)) << 4)
#define TAPE__H0_3(M, x, ...) 0
#define TAPE__H_2(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _2)(M, x, __VA_ARGS__)
#define TAPE__H1_2(M, x, ...) (M x | TAPE__WIDE(TAPE__H_1(M, __VA_ARGS__)) << 4)
#define TAPE__H0_2(M, x, ...) 0
#define TAPE__H_1(M, x, ...) TAPE__CAT(TAPE__H, TAPE__IS_PAREN(x), _1)(M, x, __VA_ARGS__)
#define TAPE__H1_1(M, x, ...) (M x | TAPE__WIDE(TAPE__H_0(M, __VA_ARGS__)) << 4)
#define TAPE__H0_1(M, x, ...) 0
#define TAPE__H_0(M, ...) 0
#define TAPE__R_33(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _33)(__VA_ARGS__)
#define TAPE__R1_33(x, ...) TAPE__R_32(__VA_ARGS__)
#define TAPE__R0_33(...) __VA_ARGS__
#define TAPE__R_32(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _32)(__VA_ARGS__)
#define TAPE__R1_32(x, ...) TAPE__R_31(__VA_ARGS__)
#define TAPE__R0_32(...) __VA_ARGS__
#define TAPE__R_31(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _31)(__VA_ARGS__)
#define TAPE__R1_31(x, ...) TAPE__R_30(__VA_ARGS__)
#define TAPE__R0_31(...) __VA_ARGS__
#define TAPE__R_30(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _30)(__VA_ARGS__)
#define TAPE__R1_30(x, ...) TAPE__R_29(__VA_ARGS__)
#define TAPE__R0_30(...) __VA_ARGS__
#define TAPE__R_29(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _29)(__VA_ARGS__)
#define TAPE__R1_29(x, ...) TAPE__R_28(__VA_ARGS__)
#define TAPE__R0_29(...) __VA_ARGS__
#define TAPE__R_28(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _28)(__VA_ARGS__)
#define TAPE__R1_28(x, ...) TAPE__R_27(__VA_ARGS__)
#define TAPE__R0_28(...) __VA_ARGS__
#define TAPE__R_27(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _27)(__VA_ARGS__)
#define TAPE__R1_27(x, ...) TAPE__R_26(__VA_ARGS__)
#define TAPE__R0_27(...) __VA_ARGS__
#define TAPE__R_26(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _26)(__VA_ARGS__)
#define TAPE__R1_26(x, ...) TAPE__R_25(__VA_ARGS__)
#define TAPE__R0_26(...) __VA_ARGS__
#define TAPE__R_25(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _25)(__VA_ARGS__)
#define TAPE__R1_25(x, ...) TAPE__R_24(__VA_ARGS__)
#define TAPE__R0_25(...) __VA_ARGS__
#define TAPE__R_24(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _24)(__VA_ARGS__)
#define TAPE__R1_24(x, ...) TAPE__R_23(__VA_ARGS__)
#define TAPE__R0_24(...) __VA_ARGS__
#define TAPE__R_23(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _23)(__VA_ARGS__)
#define TAPE__R1_23(x, ...) TAPE__R_22(__VA_ARGS__)
#define TAPE__R0_23(...) __VA_ARGS__
#define TAPE__R_22(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _22)(__VA_ARGS__)
#define TAPE__R1_22(x, ...) TAPE__R_21(__VA_ARGS__)
#define TAPE__R0_22(...) __VA_ARGS__
#define TAPE__R_21(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _21)(__VA_ARGS__)
#define TAPE__R1_21(x, ...) TAPE__R_20(__VA_ARGS__)
#define TAPE__R0_21(...) __VA_ARGS__
#define TAPE__R_20(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _20)(__VA_ARGS__)
#define TAPE__R1_20(x, ...) TAPE__R_19(__VA_ARGS__)
#define TAPE__R0_20(...) __VA_ARGS__
#define TAPE__R_19(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _19)(__VA_ARGS__)
#define TAPE__R1_19(x, ...) TAPE__R_18(__VA_ARGS__)
#define TAPE__R0_19(...) __VA_ARGS__
#define TAPE__R_18(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _18)(__VA_ARGS__)
#define TAPE__R1_18(x, ...) TAPE__R_17(__VA_ARGS__)
#define TAPE__R0_18(...) __VA_ARGS__
#define TAPE__R_17(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _17)(__VA_ARGS__)
#define TAPE__R1_17(x, ...) TAPE__R_16(__VA_ARGS__)
#define TAPE__R0_17(...) __VA_ARGS__
#define TAPE__R_16(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _16)(__VA_ARGS__)
#define TAPE__R1_16(x, ...) TAPE__R_15(__VA_ARGS__)
#define TAPE__R0_16(...) __VA_ARGS__
#define TAPE__R_15(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _15)(__VA_ARGS__)
#define TAPE__R1_15(x, ...) TAPE__R_14(__VA_ARGS__)
#define TAPE__R0_15(...) __VA_ARGS__
#define TAPE__R_14(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _14)(__VA_ARGS__)
#define TAPE__R1_14(x, ...) TAPE__R_13(__VA_ARGS__)
#define TAPE__R0_14(...) __VA_ARGS__
#define TAPE__R_13(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _13)(__VA_ARGS__)
#define TAPE__R1_13(x, ...) TAPE__R_12(__VA_ARGS__)
#define TAPE__R0_13(...) __VA_ARGS__
#define TAPE__R_12(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _12)(__VA_ARGS__)
#define TAPE__R1_12(x, ...) TAPE__R_11(__VA_ARGS__)
#define TAPE__R0_12(...) __VA_ARGS__
#define TAPE__R_11(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _11)(__VA_ARGS__)
#define TAPE__R1_11(x, ...) TAPE__R_10(__VA_ARGS__)
#define TAPE__R0_11(...) __VA_ARGS__
#define TAPE__R_10(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _10)(__VA_ARGS__)
#define TAPE__R1_10(x, ...) TAPE__R_9(__VA_ARGS__)
#define TAPE__R0_10(...) __VA_ARGS__
#define TAPE__R_9(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _9)(__VA_ARGS__)
#define TAPE__R1_9(x, ...) TAPE__R_8(__VA_ARGS__)
#define TAPE__R0_9(...) __VA_ARGS__
#define TAPE__R_8(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _8)(__VA_ARGS__)
#define TAPE__R1_8(x, ...) TAPE__R_7(__VA_ARGS__)
#define TAPE__R0_8(...) __VA_ARGS__
#define TAPE__R_7(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _7)(__VA_ARGS__)
#define TAPE__R1_7(x, ...) TAPE__R_6(__VA_ARGS__)
#define TAPE__R0_7(...) __VA_ARGS__
#define TAPE__R_6(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _6)(__VA_ARGS__)
#define TAPE__R1_6(x, ...) TAPE__R_5(__VA_ARGS__)
#define TAPE__R0_6(...) __VA_ARGS__
#define TAPE__R_5(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _5)(__VA_ARGS__)
#define TAPE__R1_5(x, ...) TAPE__R_4(__VA_ARGS__)
#define TAPE__R0_5(...) __VA_ARGS__
#define TAPE__R_4(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _4)(__VA_ARGS__)
#define TAPE__R1_4(x, ...) TAPE__R_3(__VA_ARGS__)
#define TAPE__R0_4(...) __VA_ARGS__
#define TAPE__R_3(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _3)(__VA_ARGS__)
#define TAPE__R1_3(x, ...) TAPE__R_2(__VA_ARGS__)
#define TAPE__R0_3(...) __VA_ARGS__
#define TAPE__R_2(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _2)(__VA_ARGS__)
#define TAPE__R1_2(x, ...) TAPE__R_1(__VA_ARGS__)
#define TAPE__R0_2(...) __VA_ARGS__
#define TAPE__R_1(...) TAPE__CAT(TAPE__R, TAPE__IS_PAREN(TAPE__FIRST(__VA_ARGS__, ~)), _1)(__VA_ARGS__)
#define TAPE__R1_1(x, ...) TAPE__R_0(__VA_ARGS__)
#define TAPE__R0_1(...) __VA_ARGS__
#define TAPE__R_0(...) ""

/* Are there two or more? (Up to 64.) */
#define TAPE__65(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, \
		 a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, a33, a34, a35, a36, a37, a38, a39, a40, \
		 a41, a42, a43, a44, a45, a46, a47, a48, a49, a50, a51, a52, a53, a54, a55, a56, a57, a58, a59, a60, \
		 a61, a62, a63, a64, a65, ...) a65
#define TAPE__MANY(...) \
	TAPE__65(__VA_ARGS__, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, \
		 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, \
		 1, 1, 1, 0, 0)
#define TAPE__HAS_MESSAGE(...) TAPE__MANY(TAPE__R_33(__VA_ARGS__, TAPE__Z))

#define TAPE__F_ONE(...) +1
#define TAPE__F_NAME(n, ...) #n "\0"
#define TAPE__F_VAL(...) TAPE__CAT(TAPE__F_VAL, TAPE__MANY(__VA_ARGS__), )(__VA_ARGS__)
#define TAPE__F_VAL1(n, ...) TAPE__VAL(__VA_ARGS__),
#define TAPE__F_VAL0(n) tape_a_field_is_a_name_and_a_value,
#define TAPE__F_TYPE(...) TAPE__CAT(TAPE__F_TYPE, TAPE__MANY(__VA_ARGS__), )(__VA_ARGS__)
#define TAPE__F_TYPE1(n, ...) TAPE__TYPE(__VA_ARGS__)
#define TAPE__F_TYPE0(n) 0
#define TAPE__F_SET(...) TAPE__CAT(TAPE__F_SET, TAPE__MANY(__VA_ARGS__), )(__VA_ARGS__)
#define TAPE__F_SET1(n, ...) \
	tape_1_value(tape__rh, tape__rs, #n, TAPE__TYPE(__VA_ARGS__), TAPE__VAL(__VA_ARGS__), TAPE_MAX_STR);
#define TAPE__F_SET0(n) tape_a_field_is_a_name_and_a_value;

/* --- the site ---------------------------------------------------------------------------------------------- */

/* The one instruction of a site in the program's own code: where its words are. Right behind them stands the way to the
 * struct tape_site, so that this register is all that the cold path needs. */
#if defined(__x86_64__)
#define TAPE__SYM "i"
#define TAPE__LEA "leaq 971b(%%rip), %[at]\n"
#else
#define TAPE__SYM "S"
#define TAPE__LEA "adrp %[at], 971b\nadd %[at], %[at], :lo12:971b\n"
#endif

#if defined(__code_model_large__) && !defined(__clang__)
#define TAPE__RAW "p" /* there a symbol is no constant address to gcc, which %c wants */
#else
#define TAPE__RAW "c"
#endif

/* One argument of the note: its sign by its type code (the I32 and I64). */
#define TAPE__ARG(i, t, shift, off) \
	".if %c[n] > " #i "\n" \
	".if (((%c[" #t "] >> " #shift ") & 15) == 2) || (((%c[" #t "] >> " #shift ") & 15) == 4)\n" \
	".ascii \" -\"\n" \
	".else\n" \
	".ascii \" \"\n" \
	".endif\n" \
	".ascii \"" TAPE__MEM(off) "\"\n" \
	".endif\n"
#define TAPE__ARGS \
	".ascii \"" TAPE__A0 TAPE__A1 "\"\n" TAPE__ARG(0, t0, 0, 0) TAPE__ARG(1, t0, 4, 16) TAPE__ARG(2, t0, 8, 32) \
		TAPE__ARG(3, t0, 12, 48) TAPE__ARG(4, t0, 16, 64) TAPE__ARG(5, t0, 20, 80) TAPE__ARG(6, t0, 24, 96) \
			TAPE__ARG(7, t0, 28, 112) TAPE__ARG(8, t1, 0, 128) TAPE__ARG(9, t1, 4, 144)
#define TAPE__PROVIDER_STR TAPE__STR(TAPE_PROVIDER)
#define TAPE__NOTE1(name) TAPE__NOTE("973b", "971b", TAPE__PROVIDER_STR, name, TAPE__ARGS)
#define TAPE__NOTE2(name) \
	TAPE__NOTE("973b", "971b", TAPE__PROVIDER_STR, name "__begin", TAPE__ARGS) \
	TAPE__NOTE("974b", "971b", TAPE__PROVIDER_STR, name "__end", ".ascii \"" TAPE__A0 TAPE__A1 "\"\n")
#define TAPE__END_NOP TAPE__PAD "\n974: nop\nret\n"
#define TAPE__END_REL ".4byte 974b - .\n"

/*
 * Labels: 970 site, 971 words, 972 cold nop, 973 nop, 974 nop of the end. Sets tape__at. Not volatile and without clobbers: the
 * compiler may move the address out of a loop, share it between inlined copies, or drop it with code that never runs.
 */
#define TAPE__SITE(kind, level, text_, types, cnt, note, end_nop, end_rel) \
	TAPE__ASSERT((cnt) <= TAPE_MAX_FIELDS, "tape_a_site_has_32_fields_at_most"); \
	__asm__ __inline__( \
		".pushsection .probes,\"aw?\",@progbits\n" \
		".balign 4\n" \
		"971: .2byte 0, 0\n" \
		".4byte 970f - .\n" \
		".popsection\n" \
		".pushsection .text.tape_cold,\"ax?\",@progbits\n" \
		".balign 4\n" \
		"972: nop\n" TAPE__PAD "\n973: nop\nret\n" end_nop ".balign 4\n" \
		".4byte 970f - .\n" /* makes it unlike others, else --icf folds them and two words hang on one nop */ \
		".popsection\n" \
		".pushsection tape_sites,\"a?\",@progbits\n" \
		".balign 8\n" \
		"970: .byte 1, %c[k], %c[l], %c[n]\n" \
		".4byte %c[line]\n" \
		".4byte %" TAPE__RAW "[text] - .\n" \
		".4byte 971b - .\n" \
		".4byte 972b - .\n" \
		".4byte 973b - .\n" end_rel ".4byte 0\n" \
		".4byte %c[t0], %c[t1], %c[t2], %c[t3]\n" \
		".popsection\n" note TAPE__BASE TAPE__LEA \
		: [at] "=r"(tape__at) \
		: [k] "i"(kind), [l] "i"(TAPE__AS(int, level)), [n] "i"(cnt), [line] "i"(__LINE__), [text] TAPE__SYM(text_), \
		  [t0] "i"(TAPE__PART(types, 0)), [t1] "i"(TAPE__PART(types, 32)), [t2] "i"(TAPE__PART(types, 64)), \
		  [t3] "i"(TAPE__PART(types, 96)))
/* Is anybody there? One load of both words. */
#define TAPE__ON TAPE__UNLIKELY(__atomic_load_n(tape__at, __ATOMIC_RELAXED))
#define TAPE__SITE_OF tape__site_of(tape__at)
#define TAPE__PART(types, shift) TAPE__AS(int, TAPE__AS(uint32_t, TAPE__WIDE(types) >> (shift)))
#define TAPE__TEXT(name, fields) name "\0" TAPE_TARGET "\0" TAPE_MODULE "\0" __FILE__ "\0" fields
#define TAPE__CNT(...) (0 TAPE__W_33(TAPE__F_ONE, __VA_ARGS__))
#define TAPE__NAMES(...) TAPE__W_33(TAPE__F_NAME, __VA_ARGS__)
#define TAPE__TYPES(...) TAPE__H_33(TAPE__F_TYPE, __VA_ARGS__)
#define TAPE__VALS(...) TAPE__W_33(TAPE__F_VAL, __VA_ARGS__) { 0, 0 }

/* The values, within the expression of the call: C++ temporaries whose text they point to live as long. */
#ifdef __cplusplus
template <size_t n> struct tape__vals {
	struct tape__val v[n];
	struct tape__val *p() { return v; }
};
#define TAPE__ARRAY(n, ...) (tape__vals<(n)>{ { __VA_ARGS__ } }.p())
#else
#define TAPE__ARRAY(n, ...) ((struct tape__val[]){ __VA_ARGS__ })
#endif

TAPE__IN const tape_handle *tape__keep(tape_handle *slot, tape_handle h)
{
	*slot = h;
	return slot;
}
#define TAPE__IN_PARENT(p) tape__keep(&tape__ph, (p))

/* Bytes of the values if all are scalars, else ~0. A constant to the compiler, as its arguments are: counts the nibbles that are
 * 1 to 3 (4 bytes) and 4, 5, 8 or 11 (8 bytes). */
TAPE__IN uint32_t tape__scalar_bytes(tape__u128 types, uint32_t cnt)
{
	uint64_t ones = 0x1111111111111111ULL, all = cnt > 15 ? 0 : ones & ((1ULL << 4 * cnt) - 1), t = (uint64_t)types;
	uint64_t b0 = t, b1 = t >> 1, b2 = t >> 2, b3 = t >> 3;
	uint64_t four = ~b3 & ~b2 & (b0 | b1) & all, eight = ((~b3 & b2 & ~b1) | (b3 & ~b2 & ~(b0 ^ b1))) & all;

	if (cnt > 15 || (four | eight) != all)
		return ~0u;
	return (uint32_t)(4 * (four * ones >> 60) + 8 * (eight * ones >> 60));
}

TAPE__IN struct tape_scope tape__begin(const struct tape_site *site, struct tape__val *val, uint32_t scalar_bytes, uint32_t max_str,
				       const tape_handle *parent)
{
	return !parent && scalar_bytes != ~0u ? tape_1_begin_scalars(site, val, scalar_bytes) :
						 tape_1_begin(site, val, max_str, parent);
}

TAPE__IN void tape__instant(const struct tape_site *site, struct tape__val *val, uint32_t scalar_bytes, uint32_t max_str,
			    const tape_handle *parent)
{
	if (!parent && scalar_bytes != ~0u)
		tape_1_event_scalars(site, val, scalar_bytes);
	else
		tape_1_event(site, val, max_str, parent);
}
#define TAPE__SCALARS(...) tape__scalar_bytes(TAPE__TYPES(__VA_ARGS__), TAPE__CNT(__VA_ARGS__))

/* The list ends with TAPE__Z, TAPE__Z. */
#define TAPE__BEGIN(parent, level, name, ...) \
	__extension__({ \
		const uint32_t *tape__at; \
		struct tape_scope tape__r = { NULL, 0, 0 }; \
		TAPE__SITE(TAPE_SITE_SPAN, level, TAPE__TEXT(name, TAPE__NAMES(__VA_ARGS__)), TAPE__TYPES(__VA_ARGS__), \
			   TAPE__CNT(__VA_ARGS__), TAPE__NOTE2(name), TAPE__END_NOP, TAPE__END_REL); \
		if (TAPE__ON) { \
			tape_handle tape__ph; \
			(void)tape__ph; \
			tape__r = tape__begin(TAPE__SITE_OF, TAPE__ARRAY(TAPE__CNT(__VA_ARGS__) + 1, TAPE__VALS(__VA_ARGS__)), \
					      TAPE__SCALARS(__VA_ARGS__), TAPE_MAX_STR, parent); \
		} \
		tape__r; \
	})

#define TAPE__OPEN(parent, level, name, ...) \
	__extension__({ \
		const uint32_t *tape__at; \
		tape_handle tape__r, tape__ph; \
		(void)tape__ph; \
		TAPE__SITE(TAPE_SITE_SPAN, level, TAPE__TEXT(name, TAPE__NAMES(__VA_ARGS__)), TAPE__TYPES(__VA_ARGS__), \
			   TAPE__CNT(__VA_ARGS__), TAPE__NOTE1(name "__open"), "", ".4byte 0\n"); \
		if (TAPE__ON) { \
			tape__r = tape_1_open(TAPE__SITE_OF, TAPE__ARRAY(TAPE__CNT(__VA_ARGS__) + 1, TAPE__VALS(__VA_ARGS__)), \
					      TAPE_MAX_STR, parent); \
		} else if (TAPE__UNLIKELY(tape_1_module.first)) { \
			tape__r = tape_1_unarmed(parent); \
		} else { \
			tape__r = tape__no_handle(TAPE__H_ALIAS); \
		} \
		tape__r; \
	})

/* Without a message. */
#define TAPE__EVM0(parent, level, name, note, ...) \
	__extension__({ \
		const uint32_t *tape__at; \
		TAPE__SITE(TAPE_SITE_EVENT, level, TAPE__TEXT(name, TAPE__NAMES(__VA_ARGS__, TAPE__Z, TAPE__Z)), \
			   TAPE__TYPES(__VA_ARGS__, TAPE__Z, TAPE__Z), TAPE__CNT(__VA_ARGS__, TAPE__Z, TAPE__Z), \
			   TAPE__NOTE1(note), "", ".4byte 0\n"); \
		if (TAPE__ON) { \
			tape_handle tape__ph; \
			(void)tape__ph; \
			tape__instant(TAPE__SITE_OF, \
				      TAPE__ARRAY(TAPE__CNT(__VA_ARGS__, TAPE__Z, TAPE__Z) + 1, \
						  TAPE__VALS(__VA_ARGS__, TAPE__Z, TAPE__Z)), \
				      TAPE__SCALARS(__VA_ARGS__, TAPE__Z, TAPE__Z), TAPE_MAX_STR, parent); \
		} \
	})
/* With one. */
#define TAPE__EVM1(parent, level, name, note, ...) \
	__extension__({ \
		const uint32_t *tape__at; \
		TAPE__SITE(TAPE_SITE_EVENT, level, \
			   TAPE__TEXT(name, "message\0" TAPE__NAMES(__VA_ARGS__, TAPE__Z, TAPE__Z)), \
			   TAPE_T_STR | TAPE__WIDE(TAPE__TYPES(__VA_ARGS__, TAPE__Z, TAPE__Z)) << 4, \
			   1 + TAPE__CNT(__VA_ARGS__, TAPE__Z, TAPE__Z), TAPE__NOTE1(note), "", ".4byte 0\n"); \
		if (TAPE__ON) { \
			tape_handle tape__ph; \
			(void)tape__ph; \
			tape_1_message(TAPE__SITE_OF, \
				       TAPE__ARRAY(TAPE__CNT(__VA_ARGS__, TAPE__Z, TAPE__Z) + 2, { 0, 0 }, \
						   TAPE__VALS(__VA_ARGS__, TAPE__Z, TAPE__Z)), \
				       TAPE_MAX_STR, parent, TAPE__R_33(__VA_ARGS__)); \
		} \
	})
#define TAPE__EV0(parent, level, name) TAPE__EVM0(parent, level, name, name, TAPE__Z)
#define TAPE__EV1(parent, level, name, ...) \
	TAPE__CAT(TAPE__EVM, TAPE__HAS_MESSAGE(__VA_ARGS__), )(parent, level, name, name, __VA_ARGS__)
#define TAPE__EV(parent, level, ...) TAPE__CAT(TAPE__EV, TAPE__MANY(__VA_ARGS__), )(parent, level, __VA_ARGS__)
#define TAPE__LOG(level, word, ...) \
	TAPE__CAT(TAPE__EVM, TAPE__HAS_MESSAGE(__VA_ARGS__), ) \
	(NULL, level, "event " __FILE__ ":" TAPE__STR(__LINE__), word TAPE__STR(__LINE__), __VA_ARGS__)

#ifdef __cplusplus
struct tape__guard : tape_scope {
	explicit tape__guard(const tape_scope &s) : tape_scope(s) {}
	tape__guard(const tape__guard &) = delete;
	tape__guard &operator=(const tape__guard &) = delete;
	~tape__guard()
	{
		if (TAPE__UNLIKELY(how))
			tape_1_end(*this);
	}
};
#define TAPE__SPAN_TYPE tape__guard
#define TAPE__SPAN_IS(...) (__VA_ARGS__)
inline const tape_handle *tape__rec_h(const tape_handle &h) { return &h; }
inline const tape_handle *tape__rec_h(const tape_scope &) { return NULL; }
inline const tape_scope *tape__rec_s(const tape_handle &) { return NULL; }
inline const tape_scope *tape__rec_s(const tape_scope &s) { return &s; }
#define TAPE__REC(x) \
	const tape_handle *tape__rh = tape__rec_h(x); \
	const struct tape_scope *tape__rs = tape__rec_s(x)
#else
TAPE__IN void tape__scope_end(struct tape_scope *s)
{
	if (TAPE__UNLIKELY(s->how))
		tape_1_end(*s);
}
#define TAPE__SPAN_TYPE struct tape_scope
#define TAPE__SPAN_IS(...) __attribute__((cleanup(tape__scope_end), unused)) = __VA_ARGS__
#define TAPE__REC(x) \
	__typeof__(x) tape__rx = (x); \
	const tape_handle *tape__rh = _Generic(tape__rx, tape_handle: (const void *)&tape__rx, struct tape_scope: NULL); \
	const struct tape_scope *tape__rs = \
		_Generic(tape__rx, tape_handle: NULL, struct tape_scope: (const void *)&tape__rx)
#endif

/* clang 22 and later call __COUNTER__ an extension under -pedantic. */
#if defined(__clang__) && __clang_major__ >= 22
#define TAPE__QUIET _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wc2y-extensions\"")
#define TAPE__LOUD _Pragma("clang diagnostic pop")
#else
#define TAPE__QUIET
#define TAPE__LOUD
#endif

/* --- what users write -------------------------------------------------------------------------------------- */

#define tape_span(level, ...) \
	TAPE__SPAN_TYPE TAPE__QUIET TAPE__CAT(tape__span_, __COUNTER__, ) TAPE__LOUD \
	TAPE__SPAN_IS(TAPE__BEGIN(NULL, TAPE_LEVEL_##level, __VA_ARGS__, TAPE__Z, TAPE__Z))
#define tape_span_in(parent, level, ...) \
	TAPE__SPAN_TYPE TAPE__QUIET TAPE__CAT(tape__span_, __COUNTER__, ) TAPE__LOUD \
	TAPE__SPAN_IS(TAPE__BEGIN(TAPE__IN_PARENT(parent), TAPE_LEVEL_##level, __VA_ARGS__, TAPE__Z, TAPE__Z))
#define tape_span_as(var, level, ...) \
	TAPE__SPAN_TYPE var TAPE__SPAN_IS(TAPE__BEGIN(NULL, TAPE_LEVEL_##level, __VA_ARGS__, TAPE__Z, TAPE__Z))
#define tape_span_as_in(var, parent, level, ...) \
	TAPE__SPAN_TYPE var TAPE__SPAN_IS(TAPE__BEGIN(TAPE__IN_PARENT(parent), TAPE_LEVEL_##level, __VA_ARGS__, TAPE__Z, TAPE__Z))

#define tape_open(level, ...) TAPE__OPEN(NULL, TAPE_LEVEL_##level, __VA_ARGS__, TAPE__Z, TAPE__Z)
#define tape_open_in(parent, level, ...) \
	TAPE__OPEN(TAPE__IN_PARENT(parent), TAPE_LEVEL_##level, __VA_ARGS__, TAPE__Z, TAPE__Z)

#define tape_event(level, ...) TAPE__EV(NULL, TAPE_LEVEL_##level, __VA_ARGS__)
#define tape_event_in(parent, level, ...) TAPE__EV(TAPE__IN_PARENT(parent), TAPE_LEVEL_##level, __VA_ARGS__)
#define tape_trace(...) TAPE__LOG(TAPE_LEVEL_TRACE, "trace_", __VA_ARGS__)
#define tape_debug(...) TAPE__LOG(TAPE_LEVEL_DEBUG, "debug_", __VA_ARGS__)
#define tape_info(...) TAPE__LOG(TAPE_LEVEL_INFO, "info_", __VA_ARGS__)
#define tape_warn(...) TAPE__LOG(TAPE_LEVEL_WARN, "warn_", __VA_ARGS__)
#define tape_error(...) TAPE__LOG(TAPE_LEVEL_ERROR, "error_", __VA_ARGS__)

#define tape_record(x, ...) \
	do { \
		TAPE__REC(x); \
		if (tape__rs ? tape__rs->how : tape__rh->id && !(tape__rh->flags & TAPE__H_ALIAS)) { \
			TAPE__W_33(TAPE__F_SET, __VA_ARGS__, TAPE__Z, TAPE__Z) \
		} \
	} while (0)

TAPE__IN tape_handle tape_here(void)
{
	return tape__no_handle(TAPE__H_HERE);
}
TAPE__IN tape_handle tape_root(void)
{
	return tape__no_handle(TAPE__H_ROOT);
}
TAPE__IN void tape_enter(tape_handle h)
{
	if (h.id && !(h.flags & TAPE__H_ALIAS))
		tape_1_enter(&h);
}
TAPE__IN void tape_exit(tape_handle h)
{
	if (h.id && !(h.flags & TAPE__H_ALIAS))
		tape_1_exit(&h);
}
TAPE__IN tape_handle tape_clone(tape_handle h)
{
	if (h.id && !(h.flags & TAPE__H_ALIAS))
		tape_1_op(TAPE_R_CLONE, &h, NULL, tape_1_tls.depth);
	h.flags &= ~(uint32_t)TAPE__H_LENT;
	return h;
}
TAPE__IN void tape_drop(tape_handle h)
{
	if (h.id && !(h.flags & (TAPE__H_ALIAS | TAPE__H_LENT)))
		tape_1_op(TAPE_R_DROP, &h, NULL, tape_1_tls.depth);
}
TAPE__IN void tape_follows(tape_handle h, tape_handle other)
{
	if (h.id && other.id && !(h.flags & TAPE__H_ALIAS))
		tape_1_op(TAPE_R_FOLLOWS, &h, &other, tape_1_tls.depth);
}
TAPE__IN tape_handle tape_current(void)
{
	return TAPE__UNLIKELY(tape_1_module.first) ? tape_1_current() : tape__no_handle(TAPE__H_ALIAS);
}
TAPE__IN tape_handle tape__handle_of(const struct tape_scope *s)
{
	tape_handle h;

	if (s->how & TAPE__ON_PAGE)
		return tape_1_number(s->depth);
	h = tape_current();
	h.flags |= TAPE__H_ALIAS;
	return h;
}
#define tape_handle_of(var) tape__handle_of(&(var))
TAPE__IN void tape_thread_name(const char *name)
{
	tape_1_name(name);
}
TAPE__IN int tape_prepare(void)
{
	struct tape_page *p = tape_1_tls.page;

	return (p && p->magic == TAPE_PAGE_MAGIC) || tape_1_make(&tape_1_tls);
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

#endif /* TAPE_H */
