/* SPDX-License-Identifier: MIT */
/*
 * wire.h - what the traced program, the BPF side and the recorder say to each other.
 *
 * Three layouts live here:
 *   1. what include/tape.h leaves in a program's ELF file      (struct wire_site, struct wire_module)
 *   2. the page into which a thread appends its records         (struct wire_page, struct wire_rec ...)
 *   3. the records of the BPF ring buffers                      (struct wire_head ...)
 *
 * Rules: fixed-width fields, no padding, no bool/enum/long, sizes asserted. Numbers are append-only. A reader
 * accepts longer structures than it knows and counts kinds that it does not know. Everything is in the
 * machine's byte order (little-endian on both architectures that we run on).
 *
 * tape.h is a header without dependencies, so it repeats layouts 1 and 2 under names of its own; a unit test
 * includes both and asserts that they are equal.
 *
 * This file is included by BPF programs: it may use only the __u8 ... __s64 types, which vmlinux.h or
 * <linux/types.h> has declared before.
 */
#ifndef TAPEBPF_WIRE_H
#define TAPEBPF_WIRE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#if defined(__cplusplus)
#define WIRE_ASSERT(x) static_assert(x, #x)
#else
#define WIRE_ASSERT(x) _Static_assert(x, #x)
#endif

#define WIRE_VERSION 1

/* ------------------------------------------------------------------------------------------------------
 * 1. In the ELF file
 * ---------------------------------------------------------------------------------------------------- */

/* Value types. 4 bits each in wire_site.types: field i is in types[i / 16], at bits 4 * (i % 16). */
enum wire_type {
	WIRE_T_EMPTY = 0, /* declared, set later (or never); no bytes in the opening record */
	WIRE_T_BOOL = 1,  /* u32, 0 or 1 */
	WIRE_T_I32 = 2,	  /* s32; signed integers of up to 32 bits */
	WIRE_T_U32 = 3,	  /* u32; unsigned integers of up to 32 bits */
	WIRE_T_I64 = 4,
	WIRE_T_U64 = 5,
	WIRE_T_I128 = 6, /* 16 bytes, low half first */
	WIRE_T_U128 = 7,
	WIRE_T_F64 = 8,	  /* float and double; long double is narrowed */
	WIRE_T_STR = 9,	  /* struct wire_text and its bytes: UTF-8 by intention, any bytes in fact */
	WIRE_T_BYTES = 10, /* likewise, raw bytes */
	WIRE_T_PTR = 11,  /* u64, shown in hexadecimal */
	WIRE_T_ERROR = 12, /* likewise text: an error's message */
};

#define WIRE_MAX_FIELDS 32

enum wire_site_kind { WIRE_SITE_EVENT = 0, WIRE_SITE_SPAN = 1 };

/* Levels, numbered as in .tape files: larger is more severe. */
enum wire_level { WIRE_TRACE = 0, WIRE_DEBUG = 1, WIRE_INFO = 2, WIRE_WARN = 3, WIRE_ERROR = 4 };

/*
 * One callsite of tape.h: an element of the section "tape_sites" (allocated, read-only, 8-aligned).
 * The s32 members are self-relative: the link address they name is (link address of the member + value);
 * 0 = absent. They need no relocation at run time, so the file's bytes can be read as they are.
 */
struct wire_site {
	__u8 version; /* WIRE_VERSION */
	__u8 kind;    /* enum wire_site_kind */
	__u8 level;
	__u8 field_cnt; /* <= WIRE_MAX_FIELDS */
	__u32 line;
	__s32 text;  /* name, target, module path, file, then field_cnt field names: each NUL-terminated */
	__s32 words; /* struct wire_words, in a writable segment */
	__s32 cold;  /* a one-byte nop (4 bytes on arm64), never executed: carries the ref_ctr of words.armed */
	__s32 nop;   /* the site's own stapsdt nop: begin of a scoped span, open of a manual one, event */
	__s32 nop_end; /* the stapsdt nop of a scoped span's end, else 0 */
	__u32 flags;   /* 0 */
	__u64 types[2];
};
WIRE_ASSERT(sizeof(struct wire_site) == 48);

/* Tested by the program with one 32-bit load. Both are raised by the kernel through ref_ctr_offset. */
struct wire_words {
	__u16 semaphore; /* of the stapsdt note: run the site's nop with its arguments */
	__u16 armed;	 /* append to the thread's page */
};
WIRE_ASSERT(sizeof(struct wire_words) == 4);

#define WIRE_MODULE_MAGIC 0x31444f4d45504154ULL /* "TAPEMOD1" */

/*
 * One a module (executable or shared object), in the writable section "tape_module": found by its magic.
 * Pages are linked into `first` when made and stay in the list until their memory is given back.
 */
struct wire_module {
	__u64 magic;
	__u16 version; /* WIRE_VERSION */
	__u16 size;    /* sizeof(struct wire_module) */
	__u16 pad;
	__u16 ticks;	  /* raised through ref_ctr_offset of ticks_cold: the CPU's tick counter may be used as clock */
	__s32 ticks_cold; /* self-relative */
	__u32 next_id;	  /* numbers handed to pages and handles of this module; run time */
	__u64 first;	  /* address of the first struct wire_page of this process; run time */
	__u64 unplaced;	  /* 0: without memory a record goes out with its texts cut */
	__u64 reserved[3];
};
WIRE_ASSERT(sizeof(struct wire_module) == 64);

/*
 * Besides its sites a module carries these stapsdt probes, all without semaphore. Their arguments are pinned:
 * x86-64 rdi, rsi; arm64 x0, x1. (The first two arguments of every site's own nop are pinned likewise and mean
 * the same as tape:record's.) There may be many sites of each.
 *   tape:thread (page)		a page has been made, or a process wants it known again
 *   tape:flush  (page)		the page is full; reset by the program when the probe returns
 *   tape:gone   (page)		the last delivery of this page; its memory is given back afterwards
 *   tape:record (imm, bytes)	one record that goes out by itself (struct wire_imm)
 */
#define WIRE_PROVIDER "tape"

/* ------------------------------------------------------------------------------------------------------
 * 2. The page
 * ---------------------------------------------------------------------------------------------------- */

#define WIRE_PAGE_BYTES 4096
#define WIRE_PAGE_MAGIC 0x45504154U /* "TAPE" */
#define WIRE_DATA 128		    /* offset of the data area */
#define WIRE_DATA_END 3936	    /* behind it: the program's own book-keeping, never delivered */

#define WIRE_COMMIT_SEQ(c) ((__u32)((c) >> 32))
#define WIRE_COMMIT_CNT(c) ((__u32)((c) >> 16) & 0xffff)
#define WIRE_COMMIT_LEN(c) ((__u32)(c) & 0xffff)

/*
 * Header of a thread's page. Delivered: the bytes [0, WIRE_DATA + len).
 * The commit word makes records visible: seq counts the page's resets, cnt the records of this batch (its
 * preamble not counted), len the bytes of the data area in use (preamble included). slot[seq & 1] is valid
 * for the current batch.
 */
struct wire_slot {
	__u64 first;   /* number of the batch's first record in the life of this page; the very first is 0 */
	__u64 ticks;   /* clock pair at the batch's start; ticks == ns when clock is 0 */
	__u64 mono_ns; /* CLOCK_MONOTONIC */
};

struct wire_page {
	__u32 magic;
	__u32 busy; /* != 0: an append is under way */
	__u64 commit;
	struct wire_slot slot[2];
	__u64 end_ticks; /* clock pair at the flush; valid if end_seq == seq of the commit word */
	__u64 end_ns;
	__u64 id;  /* with tid and pid unique on the machine: CLOCK_MONOTONIC ns of the page's making */
	__u32 pid; /* owner, as its own pid namespace numbers it */
	__u32 tid;
	__u64 module; /* run-time address of the struct wire_module */
	__u64 next;   /* next page of the module */
	__u16 pre_len[2]; /* by seq & 1: bytes of preamble at the start of the data area */
	__u8 version;
	__u8 clock; /* 0: ticks are CLOCK_MONOTONIC ns; 1: tick counter (rdtsc, cntvct_el0) */
	__u16 flags;
	__u32 end_seq;
	__u32 too_deep; /* spans not recorded because they were nested deeper than WIRE_MAX_DEPTH; only grows */
};
WIRE_ASSERT(sizeof(struct wire_page) == 128);

#define WIRE_PAGE_PRE_CUT 1 /* flags: the preamble of this batch leaves out fields or inner spans */
#define WIRE_PAGE_NAMED 2   /* flags: there is a THREAD_NAME in this batch. Set behind the record, so a page read in between lacks it */

#define WIRE_PAGE_TOLD 4  /* flags: there is one of OPEN, CLONE, DROP, VALUE, FOLLOWS, NUMBER in this batch: words that hold beyond it */

/*
 * A record: 4-aligned, `head` and `ticks`, then by kind. head = kind:4 | parent:2 | depth:12 | size/4:14, from
 * the low bit up; size counts the whole record. ticks: since the previous record of the batch (the first:
 * since slot.ticks); clock ticks or ns, as the page says. Preamble records carry 0.
 */
struct wire_rec {
	__u32 head;
	__u32 ticks;
};

#define WIRE_HEAD(kind, parent, depth, size) \
	((__u32)(kind) | (__u32)(parent) << 4 | (__u32)(depth) << 6 | (__u32)(size) / 4 << 18)
#define WIRE_HEAD_KIND(h) ((h) & 15)
#define WIRE_HEAD_PARENT(h) ((h) >> 4 & 3)
#define WIRE_HEAD_DEPTH(h) ((h) >> 6 & 4095)
#define WIRE_HEAD_SIZE(h) ((h) >> 18 << 2)
#define WIRE_MAX_DEPTH 4094    /* a span deeper than this is not recorded: wire_page.too_deep */
#define WIRE_MAX_REC_BYTES 65532

enum wire_parent { WIRE_PARENT_CURRENT = 0, WIRE_PARENT_ROOT = 1, WIRE_PARENT_EXPLICIT = 2 };

/* A callsite in a record is the low half of the run-time address of its struct wire_site. Its link address is
 * link(wire_module) + (s32)(callsite - (u32)module address). */

/* Names a span from anywhere. id 0: no span. */
struct wire_ref {
	__u64 id;      /* unique in the process for its life */
	__u64 module;  /* run-time address of the wire_module of the callsite */
	__u64 open_ns; /* CLOCK_MONOTONIC */
	__u32 callsite;
};
#define WIRE_REF_BYTES 28 /* packed: 28 bytes in a record, 4-aligned */

/*
 * What follows `struct wire_rec`; [ref] = WIRE_REF_BYTES, present if parent is EXPLICIT; fields = the callsite's
 * fields in order, each as its type says, each padded to 4 bytes.
 *
 * BEGIN        u32 callsite [ref] fields	a scoped span: opened and entered at `depth` on this thread
 * END						its end: what is open above `depth` on the thread is abandoned
 * EVENT        u32 callsite [ref] fields	depth: how many entries are open on the thread
 * OPEN         ref of itself [ref] fields	a span opened by hand, not entered; holds one handle
 * ENTER        ref				entered at `depth`
 * EXIT         ref				depth: where it had been entered; entries above it stay (out of order)
 * CLONE, DROP  ref				one handle more, one less
 * VALUE        ref, u32 (field | type << 8), value	later value. ref.id 0: of the scoped span at `depth`
 * FOLLOWS      ref, ref			the first follows from the second; first.id 0: as VALUE
 * NUMBER       u64 id				the scoped span at `depth` can from now on be named by this id
 * THREAD_NAME  struct wire_text, bytes
 * PAUSE        u64 ticks			absolute ticks, where 32 bits do not hold the difference; also counts as a record
 * PRE          u64 number, u64 open_ns, then the rest of a BEGIN or ENTER record as it was, head and ticks included
 *		only in the preamble: entry open at `depth` when the batch began; number: that of the BEGIN or ENTER
 *		record in the life of the page; open_ns: its time. Inner record without its fields: cut (see
 *		WIRE_PRE_NO_FIELDS in ticks). A NUMBER given to it: WIRE_PRE_NUMBERED, u64 id follows open_ns.
 */
enum wire_rec_kind {
	WIRE_R_BEGIN = 1,
	WIRE_R_END = 2,
	WIRE_R_EVENT = 3,
	WIRE_R_OPEN = 4,
	WIRE_R_ENTER = 5,
	WIRE_R_EXIT = 6,
	WIRE_R_CLONE = 7,
	WIRE_R_DROP = 8,
	WIRE_R_VALUE = 9,
	WIRE_R_FOLLOWS = 10,
	WIRE_R_NUMBER = 11,
	WIRE_R_THREAD_NAME = 12,
	WIRE_R_PAUSE = 13,
	WIRE_R_PRE = 14,
};

#define WIRE_PRE_NO_FIELDS 1 /* in wire_rec.ticks of a PRE record: the inner record's fields are left out */
#define WIRE_PRE_NUMBERED 2

/* A text or bytes value: followed by orig (u32, only if flagged TRUNCATED), then by len bytes, padded to 4. */
struct wire_text {
	__u16 len;
	__u16 flags;
};
#define WIRE_TEXT_TRUNCATED 1 /* u32 with the original length follows */
#define WIRE_TEXT_NULL 2      /* the pointer was NULL: len is 0, the field counts as unset */

/*
 * A record that goes out by itself (tape:record and, in --immediate mode, the sites' own nops). `rec` follows; its
 * ticks are 0. at: number of records that the thread's page had committed so far in its life (slot.first + cnt),
 * which places it among them; ~0 if the thread has no page. pid, tid as in wire_page.
 */
struct wire_imm {
	__u64 mono_ns;
	__u64 at;
	__u64 page_id;
	__u64 module;
	__u32 pid;
	__u32 tid;
	__u32 bytes;   /* of the record */
	__u16 version; /* WIRE_VERSION */
	__u16 flags;
};
WIRE_ASSERT(sizeof(struct wire_imm) == 48);

/* ------------------------------------------------------------------------------------------------------
 * 3. The rings
 * ---------------------------------------------------------------------------------------------------- */

enum wire_kind {
	WIRE_BATCH = 1,	    /* struct wire_batch, then page bytes */
	WIRE_ANNOUNCE = 2,  /* struct wire_announce: tape:thread */
	WIRE_IMMEDIATE = 3, /* struct wire_head, then struct wire_imm and its record */
	WIRE_HIT = 4,	    /* struct wire_hit: a foreign probe */
	WIRE_FORK = 5,	    /* struct wire_life: a thread or process of ours was made */
	WIRE_EXEC = 6,	    /* struct wire_life */
	WIRE_EXIT = 7,	    /* struct wire_life: a thread ended; flags say if the process did */
	WIRE_RENAME = 8,    /* struct wire_life: a thread has another comm from now on */
	WIRE_HITS = 9,	    /* struct wire_head, then whole WIRE_HIT records. Only between kernel and rings.c, which takes it apart */
};

/*
 * pid, tid: as the initial pid namespace numbers them, of the task that ran the probe.
 * cpu: in the order of time are the records of one number. So hits that were gathered before they came into the CPU's ring
 * (bpf/stage.bpf.h) have another one: as many higher as there are CPUs.
 * seq: per CPU (all that comes from it), counts every attempt to emit, lost ones included: gaps show even if a counter failed. Programs on one
 * CPU may interleave, so neighbours can come in swapped order.
 */
struct wire_head {
	__u16 kind;
	__u16 cpu;
	__u32 bytes; /* valid bytes of the record, head included; the ring's own record may be longer */
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 seq;
	__u32 cookie; /* BATCH, ANNOUNCE, IMMEDIATE: module number; HIT: site number; else 0. Given at attach */
	__u32 pid;
	__u32 tid;
};
WIRE_ASSERT(sizeof(struct wire_head) == 32);

enum wire_why { WIRE_WHY_FLUSH = 0, WIRE_WHY_GONE = 1, WIRE_WHY_EXIT = 2, WIRE_WHY_EXEC = 3, WIRE_WHY_IDLE = 4 };

struct wire_batch {
	struct wire_head head;
	__u64 addr; /* of the page in its process */
	__u32 why;  /* enum wire_why; IDLE is made by the recorder itself */
	__u32 pad;
	/* bytes [0, WIRE_DATA + len) of the page follow */
};
WIRE_ASSERT(sizeof(struct wire_batch) == 48);

struct wire_announce {
	struct wire_head head;
	__u64 addr;
	__u64 id; /* of the page, as the following three */
	__u64 module;
	__u32 ns_pid;
	__u32 ns_tid;
};
WIRE_ASSERT(sizeof(struct wire_announce) == 64);

struct wire_life {
	struct wire_head head;
	__u32 other_pid; /* FORK: of the child; RENAME: of the thread; EXEC: 0 */
	__u32 other_tid; /* FORK, RENAME: likewise; EXEC: the tid that the thread had before */
	__u32 status;	 /* EXIT: exit code as wait(2) tells it */
	__u32 flags;	 /* WIRE_LIFE_* */
	__u64 start_ns;	 /* FORK: start_boottime of the child, EXEC and EXIT: of the process leader */
	__u32 ns_pid;	 /* of the subject (FORK: the child, RENAME: the thread), in its own namespace */
	__u32 ns_tid;
	char comm[16];
	/* EXEC: the file name as given to execve, NUL-terminated, cut to 256 bytes */
};
WIRE_ASSERT(sizeof(struct wire_life) == 80);
#define WIRE_LIFE_PROCESS 1 /* FORK: a process, not a thread; EXIT: the last thread of its process */
#define WIRE_LIFE_UNKNOWN 2 /* EXIT: made by the recorder, as the kernel's was lost: no status, and the time is later */

/* A hit of a foreign probe. val[i]: the value, sign- or zero-extended to 64 bits; for texts: see wire_hit_text. */
struct wire_hit {
	struct wire_head head;
	__u16 arg_cnt;
	__u16 unreadable; /* bit i: argument i could not be read; its val is 0 */
	__u32 text_bytes;
	/* u64 val[arg_cnt], then the texts in order of their arguments, each padded to 8 bytes */
};
WIRE_ASSERT(sizeof(struct wire_hit) == 40);
#define WIRE_MAX_ARGS 12
/* val of a text argument: bytes stored | flag << 32 */
#define WIRE_HIT_TEXT_LEN(v) ((__u32)(v))
#define WIRE_HIT_TEXT_TRUNCATED (1ULL << 32) /* there was more; original length unknown for NUL-terminated texts */
#define WIRE_HIT_TEXT_NULL (1ULL << 33)

/* How to fetch an argument of a foreign probe. Compiled by user/elf, looked up by cookie in BPF. */
enum wire_arg_kind {
	WIRE_ARG_NONE = 0,  /* not readable from BPF: marked unreadable */
	WIRE_ARG_CONST = 1, /* off */
	WIRE_ARG_REG = 2,   /* pt_regs[reg], shifted right by `shift` bits first (ah, bh ...) */
	WIRE_ARG_MEM = 3,   /* *(pt_regs[reg] + off) */
	WIRE_ARG_SIB = 4,   /* *(pt_regs[reg] + (pt_regs[idx] << shift) + off); reg 0xffff: no base */
	WIRE_ARG_IP = 5,    /* *(probe address + off): rip-relative, symbols */
	WIRE_ARG_ABS = 6,   /* reserved */
};
enum wire_arg_flags { WIRE_ARG_FLOAT = 1 }; /* IEEE 754, of 4 or 8 bytes */
enum wire_arg_text { WIRE_TEXT_NO = 0, WIRE_TEXT_NUL = 1, WIRE_TEXT_LEN_ARG = 2 };

struct wire_arg {
	__u8 kind;  /* enum wire_arg_kind */
	__s8 size;  /* 1, 2, 4, 8; negative: signed */
	__u16 reg;  /* byte offset in struct pt_regs */
	__u16 idx;
	__u8 shift;
	__u8 text;	/* enum wire_arg_text: what the value points to */
	__u16 len_arg;	/* WIRE_TEXT_LEN_ARG: index of the argument that holds the length */
	__u16 max_text; /* at most so many bytes of it; 0: the default of --max-str */
	__u32 flags;	/* enum wire_arg_flags; nothing to the BPF side, which fetches the bits */
	__s64 off;
};
WIRE_ASSERT(sizeof(struct wire_arg) == 24);

struct wire_spec {
	__u32 arg_cnt;
	__u32 text_cnt;
	struct wire_arg arg[WIRE_MAX_ARGS];
};
WIRE_ASSERT(sizeof(struct wire_spec) == 296);

/* Counters of the BPF side, one per CPU, summed by the recorder. Loss causes: see codes.def. */
enum wire_counter {
	WIRE_C_EMITTED = 0,	/* attempts to emit HIT and IMMEDIATE records: each is one record of the program */
	WIRE_C_SUBMITTED = 1,	/* of those, handed to a ring */
	WIRE_C_LOST_RING = 2,	/* ring full */
	WIRE_C_LOST_READ = 3,	/* the record's memory could not be read */
	WIRE_C_LOST_SIZE = 4,	/* larger than the largest reservation */
	WIRE_C_LIFE_LOST = 5,	/* FORK, EXEC, EXIT and ANNOUNCE records that did not fit (not records of the program) */
	WIRE_C_BATCHES = 6,	/* deliveries tried */
	WIRE_C_BATCH_LOST_RING = 7, /* deliveries refused; their records are counted by the pages' numbers */
	WIRE_C_BATCH_LOST_READ = 8,
	WIRE_C_BAD_PAGE = 9,	/* address without a valid page behind it */
	WIRE_C_UNTRACKED = 10,	/* pages that did not fit into the map: their tail cannot be drained */
	WIRE_C_ORPHAN_LOST = 11, /* records of dead pages that could not even be remembered as lost */
	WIRE_C_MAX = 16,
};

/*
 * Map "pages": the known pages of live threads. Key: tid and a small number. `seen` is the loss mark: the number (in
 * the page's life) just past the last record that any delivery attempt saw, successful or not. What was received,
 * subtracted from seen, is what is lost; the recorder does the subtraction.
 */
struct wire_page_key {
	__u32 tid;
	__u32 n; /* 0 .. WIRE_PAGES_PER_THREAD - 1 */
};
struct wire_page_val {
	__u64 addr;
	__u64 id;
	__u64 seen;
	__u32 pid;
	__u32 module;
	__u32 ns_pid;
	__u32 ns_tid;
	__u32 state;	   /* 0 live, 1 exec under way */
	__u32 lost_cause; /* enum wire_counter of the last refused delivery, 0 none */
};
WIRE_ASSERT(sizeof(struct wire_page_val) == 48);
#define WIRE_PAGES_PER_THREAD 64

/* Map "orphans": pages whose last delivery failed. Key: struct wire_page_orphan_key; the value is a wire_page_val. */
struct wire_orphan_key {
	__u64 id;
	__u32 pid;
	__u32 tid;
};

#endif /* TAPEBPF_WIRE_H */
