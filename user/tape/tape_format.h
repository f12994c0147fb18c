/* SPDX-License-Identifier: MIT */
/*
 * tape_format.h - the bytes of a .tape v0.1 file, and of the extension records that tapebpf adds
 * (docs/FORMAT.md).
 *
 * Writer, reader and auditor share the layouts below. All integers are little-endian, as is every
 * machine that we
 * run on, so the packed structures are the bytes. `len` counts the whole record, its 3-byte header
 * included.
 *
 * Extension records (0x80 and up; every v0.1 reader skips them by their length):
 *   - bodies only grow at the end: a reader takes what it knows and ignores the rest; *_MIN is the
 *     smallest size;
 *   - an extension that says something about a v0.1 record stands BEFORE it, and nothing but other
 *     extensions of the
 *     same record and NOOPs stand between the two. So a streaming reader keeps what is pending and
 *     applies it to the
 *     next record that it fits;
 *   - an absent extension means the default that is stated with it;
 *   - span, thread, callsite and field ids are those of the tape's v0.1 records. 0 = unknown or
 *     none.
 */
#ifndef TAPEBPF_TAPE_FORMAT_H
#define TAPEBPF_TAPE_FORMAT_H

#include <string.h>

#include "base/util.h"

#define TAPE_MAGIC "TAPEFILE"
#define TAPE_MAJOR 0
#define TAPE_MINOR 1
#define TAPE_INTRO_BYTES 32
#define TAPE_HEAD_BYTES 3
#define TAPE_MAX_RECORD 65535
#define TAPE_MAX_VALUE (TAPE_MAX_RECORD - 20)	/* payload of a value */
#define TAPE_MAX_EXPONENT 30

#define TAPE_PACKED __attribute__((packed))

struct tape_intro_rec {
	u8 magic[8];
	u8 major, minor, exponent;
	u8 pad[5];
	u64 base_lo; /* i128, two's complement: ns since the Unix epoch, UTC */
	s64 base_hi;
} TAPE_PACKED;
_Static_assert(sizeof(struct tape_intro_rec) == TAPE_INTRO_BYTES, "intro");

enum tape_kind {
	/* v0.1 */
	TAPE_NOOP = 0x00, /* one byte, no length */
	TAPE_THREAD_NAME = 0x01, /* reserved upstream, no layout: never written, skipped */
	TAPE_CALLSITE = 0x08,
	TAPE_CALLSITE_FIELD = 0x09,
	TAPE_EVENT = 0x10,
	TAPE_EVENT_VALUE = 0x11,
	TAPE_SPAN_OPEN = 0x20,
	TAPE_SPAN_ENTER = 0x21,
	TAPE_SPAN_EXIT = 0x22,
	TAPE_SPAN_CLOSE = 0x23,
	TAPE_SPAN_VALUE = 0x24,
	TAPE_SPAN_FOLLOWS = 0x25,

	/* ours; append only */
	TAPE_X_GENERATION = 0x80,
	TAPE_X_CLOCK = 0x81,
	TAPE_X_PROCESS = 0x82,
	TAPE_X_THREAD = 0x83,
	TAPE_X_LOSS = 0x84,
	TAPE_X_EXIT = 0x85,
	TAPE_X_SYNTHETIC = 0x86,
	TAPE_X_EVENT = 0x87,
	TAPE_X_VALUE = 0x88,
	TAPE_X_CHECKSUM = 0x89,
	TAPE_X_SPAN = 0x8A,
	TAPE_X_LATE = 0x8B,
	TAPE_X_ALIAS = 0x8C,
	TAPE_X_LIFE = 0x8D,
	TAPE_X_TRIGGER = 0x8E,
	TAPE_X_MODULE = 0x8F,	  /* reserved */
	TAPE_X_SCHED = 0x90,	  /* reserved */
	TAPE_X_STACK = 0x91,	  /* reserved */
	TAPE_X_CLOSE = 0x92,
	TAPE_X_TOTALS = 0x93,
	TAPE_X_CALLSITE = 0x94,
	TAPE_X_SKIP = 0xFF, /* covers bytes that were being written when the recorder died; content is void */
};

enum tape_type {
	TAPE_BOOL = 0,
	TAPE_I64 = 1,
	TAPE_U64 = 2,
	TAPE_I128 = 3,
	TAPE_U128 = 4,
	TAPE_F64 = 5,
	TAPE_STR = 6,
	TAPE_ERROR = 7,
};

enum tape_parent { TAPE_PARENT_ROOT = 0, TAPE_PARENT_CURRENT = 1, TAPE_PARENT_EXPLICIT = 2 };

#define TAPE_INFO_LEVEL 0x07
#define TAPE_INFO_SPAN 0x08

struct tape_head {
	u8 kind;
	u16 len;
} TAPE_PACKED;

/* --- v0.1 ------------------------------------------------------------------------------------------------ */

struct tape_callsite {
	struct tape_head h;
	u8 info;
	u16 field_cnt, name_len, target_len, module_len, file_len;
	u32 line;
	u64 id;
	/* name, target, module path, file */
} TAPE_PACKED;

struct tape_callsite_field {
	struct tape_head h;
	u16 name_len;
	u64 callsite, id;
	/* name */
} TAPE_PACKED;

struct tape_event {
	struct tape_head h;
	u16 value_cnt;
	s64 time;
	u64 callsite, thread;
} TAPE_PACKED;

/* EVENT_VALUE (owner = thread) and SPAN_VALUE (owner = span) */
struct tape_value {
	struct tape_head h;
	u8 type;
	u64 field, owner;
	/* payload */
} TAPE_PACKED;

struct tape_span_open {
	struct tape_head h;
	u64 span, parent, callsite;
	s64 time;
	u8 parent_kind; /* absent in the 35-byte form of version 0.0 */
} TAPE_PACKED;

struct tape_span_enter {
	struct tape_head h;
	u64 span;
	s64 time;
	u64 thread;
} TAPE_PACKED;

/* SPAN_EXIT and SPAN_CLOSE */
struct tape_span_end {
	struct tape_head h;
	u64 span;
	s64 time;
} TAPE_PACKED;

struct tape_span_follows {
	struct tape_head h;
	u64 span, follows;
} TAPE_PACKED;

_Static_assert(sizeof(struct tape_callsite) == 26, "callsite");
_Static_assert(sizeof(struct tape_callsite_field) == 21, "callsite field");
_Static_assert(sizeof(struct tape_event) == 29, "event");
_Static_assert(sizeof(struct tape_value) == 20, "value");
_Static_assert(sizeof(struct tape_span_open) == 36, "open");
_Static_assert(sizeof(struct tape_span_enter) == 27, "enter");
_Static_assert(sizeof(struct tape_span_end) == 19, "exit, close");
_Static_assert(sizeof(struct tape_span_follows) == 19, "follows");

/* --- extensions ------------------------------------------------------------------------------------------ */

/* First record of a tape of tapebpf. end: INT64_MAX while it is being recorded (and after a kill). */
struct tape_x_generation {
	struct tape_head h;
	u32 version;	/* TAPE_X_VERSION */
	u64 generation; /* 0: a plain recording */
	s64 start, end;
	u8 uuid[16];
	u32 flags;     /* compatible: ignore what you do not know */
	u32 incompat; /* refuse to interpret extensions if a bit is set that you do not know */
	/* of a recording on several tapes; absent: on this one alone */
	u8 recording[16]; /* the same in all of them, in which numbers mean the same */
	u64 part;	  /* from 1 */
	u64 mono_ns;	  /* CLOCK_MONOTONIC at time 0 */
} TAPE_PACKED;
#define TAPE_X_VERSION 1
#define TAPE_X_GENERATION_MIN 55

/* One a clock (CLOCK_REALTIME 0, CLOCK_MONOTONIC 1, CLOCK_BOOTTIME 7), three with the same `time`. */
struct tape_x_clock {
	struct tape_head h;
	s64 time;
	u8 clock;
	s64 value;
} TAPE_PACKED;

/* Written again when something of it changes (exec, rename): the later one holds from there on. */
struct tape_x_process {
	struct tape_head h;
	u64 process; /* our own number, never re-used in the tape */
	u32 pid, ns_pid, parent_pid;
	u64 start;   /* CLOCK_BOOTTIME ns, 0: unknown */
	s64 begin;   /* known since */
	u64 dev, ino;
	u16 comm_len, exe_len, cmdline_len; /* 0xffff for exe and cmdline: unknown (no bytes) */
	/* comm, exe, command line */
} TAPE_PACKED;
#define TAPE_X_NO_TEXT 0xffff

struct tape_x_thread {
	struct tape_head h;
	u64 thread; /* the id of the v0.1 records: our own number, never re-used in the tape */
	u64 process;
	u32 pid, tid, ns_tid;
	s64 begin;
	u16 name_len;
	/* name */
} TAPE_PACKED;

struct tape_x_loss {
	struct tape_head h;
	s64 from, to;
	u32 cpu;	/* ~0: unknown */
	u64 callsite; /* 0: unknown; may be defined later or never */
	u8 cause;	/* base/codes.def */
	u64 count;
	u64 thread; /* 0: unknown */
} TAPE_PACKED;

/* Before a SPAN_EXIT: where it left, and why. Without it: why = SINK_OWN, and the thread is that of the span's only
 * open entries. (Written when it has entries on several threads, its aliases' included, or another
 * why.) */
struct tape_x_exit {
	struct tape_head h;
	u64 span;
	s64 time;
	u64 thread;
	u8 why; /* enum sink_why */
} TAPE_PACKED;

/* The next `count` records (NOOP, SKIP not counted; extensions are) are not the program's own: they only
 * put the tree right for readers of v0.1, and are to be ignored as if they were not there.
 * Exception: for P4
 * see tape_x_alias. */
struct tape_x_synthetic {
	struct tape_head h;
	u8 procedure; /* enum tape_procedure */
	u16 count;
} TAPE_PACKED;

enum tape_procedure {
	TAPE_P_REOPEN = 1,	/* spans alive at the start */
	TAPE_P_CUT = 2,		/* exits of a span that is closed while entered */
	TAPE_P_ORDER = 3,	/* exits out of order */
	TAPE_P_ALIAS = 4,	/* SPAN_OPEN and SPAN_CLOSE of an alias */
	TAPE_P_PLACE = 5,	/* entries that place a span under its parent, or give it a thread */
	TAPE_P_FIELD = 6,	/* placeholders of absent values (they count in EVENT.value_cnt) */
	TAPE_P_CLOSE = 7,	/* reserved: a held back close is marked with tape_x_close */
	TAPE_P_END = 8,		/* callsite, open and close of the end mark */
};

/* Before an EVENT whose span is not "CURRENT, the topmost entry on its thread that is no duplicate". */
struct tape_x_event {
	struct tape_head h;
	u64 thread;
	u8 parent_kind; /* enum tape_parent, as asked for */
	u64 span;	/* resolved; 0: none */
} TAPE_PACKED;

/*
 * Before a value. Without it: flags 0, and the type follows from the tape's type and the one
 * declared in
 * tape_x_callsite: U64 is PTR where PTR is declared, STR is BYTES where BYTES is declared, else as
 * it reads.
 * BYTES are written as the text "[de ad be ef]" unless TAPE_V_RAW.
 */
struct tape_x_value {
	struct tape_head h;
	u64 owner, field; /* as in the value */
	u8 flags;
	u32 original; /* length before truncation; 0: unknown */
	u8 type;      /* enum wire_type */
} TAPE_PACKED;
#define TAPE_V_ABSENT 1	    /* reserved (placeholders are marked with TAPE_P_FIELD) */
#define TAPE_V_TRUNCATED 2
#define TAPE_V_UNREADABLE 4 /* no value: the payload is an empty STR */
#define TAPE_V_RAW 8	    /* the STR holds the bytes themselves */
#define TAPE_V_SHOWN_RAW 16 /* VALUE_RAW of the model: bytes, shown as text */

/* CRC-32C of all bytes of the file before this record, the intro included. Last but for zero bytes. */
struct tape_x_checksum {
	struct tape_head h;
	u32 crc;
} TAPE_PACKED;

/*
 * Before a SPAN_OPEN. The v0.1 record's parent kind is ROOT where an explicit parent was not known. Without it (CURRENT, and
 * the span is entered at once: only its values are between): opened by the thread of that SPAN_ENTER, under what is
 * entered there last.
 */
struct tape_x_span {
	struct tape_head h;
	u64 span;
	u64 thread; /* opener, 0: unknown */
	u64 parent; /* resolved, 0: none */
	/* only where not (as in SPAN_OPEN, 0, 0): */
	u8 parent_kind; /* as asked for */
	u8 flags;	/* SPAN_* of model/sink.h */
	u64 lost_parent; /* number of an explicit parent that is not known */
} TAPE_PACKED;
#define TAPE_X_SPAN_MIN 27

/* Before a SPAN_VALUE recorded after the opening, or a SPAN_FOLLOWS. A SPAN_VALUE without it is one of the opening. */
struct tape_x_late {
	struct tape_head h;
	u64 span;
	s64 time;
	u64 thread; /* 0: unknown */
} TAPE_PACKED;

/*
 * Before the (synthetic) SPAN_OPEN of an alias: a second id under which `span` is entered on one
 * more thread at a time.
 * Until the (synthetic) SPAN_CLOSE of the alias, ENTER, EXIT and tape_x_exit that name `alias`
 * mean `span`.
 */
struct tape_x_alias {
	struct tape_head h;
	u64 alias, span;
} TAPE_PACKED;

/* End of a thread or process. */
struct tape_x_life {
	struct tape_head h;
	u8 what; /* 0 thread, 1 process */
	u64 id;
	s64 begin, end;
	u32 status; /* as wait(2) tells it */
	u8 known;   /* status is known */
} TAPE_PACKED;

/* Why there is this tape, a snapshot: a trigger, and the record that fired it. */
struct tape_x_trigger {
	struct tape_head h;
	s64 time;
	u32 pid, tid; /* as the kernel has them; 0: unknown */
	u16 trigger_len, what_len;
	/* the trigger as it was asked for, the record in one line */
} TAPE_PACKED;

/* Before a SPAN_CLOSE. Without it: SINK_OWN, and dropped at the time of the close. */
struct tape_x_close {
	struct tape_head h;
	u64 span;
	s64 dropped; /* when the program let go of it */
	u8 why;	     /* enum sink_why */
} TAPE_PACKED;

/* At the end of a recording that was finished. stored + lost = emitted; lost = sum of the LOSS records. */
struct tape_x_totals {
	struct tape_head h;
	s64 time;
	u64 emitted, stored, lost; /* the program's records */
	u64 spans, events;	     /* in this tape */
	/* The recorder had been killed: what was recorded before this time is there, or counted as lost; what came later may be neither. Absent:
	 * there is no such time */
	s64 complete;
} TAPE_PACKED;
#define TAPE_X_TOTALS_MIN 51

/* Behind the CALLSITE's fields. field_cnt bytes of enum wire_type follow: the declared types. */
struct tape_x_callsite {
	struct tape_head h;
	u64 callsite;
	u8 foreign; /* a probe that is not tape.h's */
	u8 field_cnt;
	/* types */
} TAPE_PACKED;

_Static_assert(sizeof(struct tape_x_generation) == TAPE_X_GENERATION_MIN + 32, "generation");
_Static_assert(sizeof(struct tape_x_span) == TAPE_X_SPAN_MIN + 10, "span context");
_Static_assert(sizeof(struct tape_x_totals) == TAPE_X_TOTALS_MIN + 8, "totals");

#endif
