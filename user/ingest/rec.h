/* SPDX-License-Identifier: MIT */
/*
 * rec.h - one thing that happened, decoded, in time order: what ingest hands to the model.
 *
 * Everything that arrives through the rings (batches, immediate records, foreign hits, lives of threads) becomes a
 * struct rec. Pointers in it are valid during the callback only.
 */
#ifndef TAPEBPF_REC_H
#define TAPEBPF_REC_H

#include "base/util.h"
#include "tapebpf/wire.h"

#include <string.h>

enum rec_kind {
	/* 1 .. 14: as enum wire_rec_kind (PAUSE and PRE never come out of ingest) */
	REC_PRE = 14,	/* entry that was open at the start of a batch and of which the model may not know: sent only
			 * after REC_RESYNC */
	REC_RESYNC = 16, /* this page has a gap before its next record, or is seen for the first time: what is open on it
			  * is exactly the REC_PRE records that follow, depths ascending, up to REC_RESYNC_END */
	REC_RESYNC_END = 17,
	REC_HIT = 18,	 /* foreign probe */
	REC_FORK = 19,
	REC_EXEC = 20,
	REC_EXIT = 21,
	REC_PAGE = 22,	 /* a page became known (announcement or late attach) */
	REC_LOSS = 23,	 /* `count` records of this page (or of the machine: page 0) are lost */
	REC_RENAME = 25, /* life->other_tid has another comm */
	REC_PAGE_GONE = 24, /* of a page whose `user` is set: nothing that has to do with what came so far will come any more */
};

/* Identity of a thread's page; the numbers inside are the kernel's (initial pid namespace). */
struct rec_page {
	u64 id;
	u64 module_addr; /* run-time address of the wire_module in its process */
	u32 pid, tid;
	u32 ns_pid, ns_tid;
	u32 module; /* module number given at attach: which file */
	bool ended; /* its thread's end (or its program's) has been passed on: what still comes is late */
	void *user; /* for the model's own use: NULL at first; the model takes it back at REC_PAGE_GONE */
};

struct rec {
	u8 kind;      /* enum rec_kind */
	u8 parent;    /* enum wire_parent */
	u8 immediate; /* 1: came by itself, not in a batch */
	u8 pre_flags; /* REC_PRE: WIRE_PRE_*; REC_RESYNC_END: WIRE_PAGE_PRE_CUT if deeper entries may be missing */
	u16 depth;
	u16 why;	  /* REC_LOSS: enum loss_cause */
	u64 time_ns;	  /* CLOCK_MONOTONIC. REC_PRE: when the entry was made, which is before the RESYNC's time */
	u64 number;	  /* in the life of the page; ~0 for immediate and foreign records. REC_PRE: of the inner record */
	struct rec_page *page; /* NULL for HIT, FORK, EXEC, EXIT, and LOSS of a page of which nothing else ever came */
	u32 pid, tid;	       /* owner */
	u32 cpu;
	u32 module;	       /* module number for callsite (HIT: site number) */
	u64 site_addr;	       /* link address of the callsite's struct wire_site; BEGIN, EVENT, PRE; of the callsite in
				* ref for OPEN .. FOLLOWS and the PRE of an ENTER; 0: has none, or its module is unknown */
	struct wire_ref ref;   /* OPEN .. FOLLOWS; its callsite as the program wrote it */
	struct wire_ref other; /* parent if parent is EXPLICIT; FOLLOWS: the followed */
	u64 numbered;	       /* NUMBER: the id; REC_PRE with WIRE_PRE_NUMBERED: likewise, else 0 */
	u8 pre_kind;	       /* REC_PRE: WIRE_R_BEGIN or WIRE_R_ENTER */
	u8 value_type;	       /* VALUE */
	u16 value_field;
	const u8 *payload; /* fields (BEGIN, EVENT, OPEN, PRE), value (VALUE), wire_text (THREAD_NAME) */
	u32 payload_bytes;
	u64 count;		      /* REC_LOSS */
	u64 from_ns;		      /* REC_LOSS: begin of the time in which they were lost; time_ns its end */
	const struct wire_hit *hit;   /* HIT */
	const struct wire_life *life; /* FORK, EXEC, EXIT, RENAME; with the file name behind it for EXEC */
};

/* The fields of a BEGIN, OPEN or EVENT, as they stand in the record. */
struct rec_payload {
	const u8 *data;
	u32 bytes;
};

struct thread;

/*
 * Whom to ask from which duration on a span is wanted that begins with these fields (NULL: with any) on this thread, or an event
 * (struct ingest_skip_ops). As long as the thread keeps its name and its program, it is wanted from no shorter one on than with NULL.
 */
struct rec_look {
	u64 (*least_ns)(void *who, const struct thread *t, const struct rec_payload *fields);
	void *who;
	bool by_thread, by_fields; /* does it depend on them? Neither: nobody has to be asked */
};

/* A text as it stands in a record: struct wire_text and what follows. */
struct rec_text {
	const u8 *data; /* not NUL-terminated */
	u32 bytes;	/* of it: 0 if it is null */
	u32 used;	/* of the record, padding included */
	u64 orig_bytes;
	bool null, truncated;
};

/* false: there are not so many bytes. Pure. */
static inline bool rec_text__at(struct rec_text *t, const u8 *data, u32 bytes)
{
	struct wire_text head;
	u32 used = sizeof(head), orig;

	if (bytes < used)
		return false;
	memcpy(&head, data, sizeof(head));
	t->orig_bytes = head.len;
	t->null = head.flags & WIRE_TEXT_NULL;
	t->truncated = head.flags & WIRE_TEXT_TRUNCATED;
	if (t->truncated) {
		if (bytes - used < sizeof(orig))
			return false;
		memcpy(&orig, data + used, sizeof(orig));
		used += sizeof(orig);
		t->orig_bytes = orig;
	}
	if (ALIGN_UP((u32)head.len, 4) > bytes - used)
		return false;
	t->data = data + used;
	t->bytes = t->null ? 0 : head.len;
	t->used = used + ALIGN_UP((u32)head.len, 4);
	return true;
}

/* A field's value while walking a payload. Integers are widened: BOOL, U32, U64, PTR in u; I32, I64 in i. */
struct rec_value {
	u8 type; /* enum wire_type, as in the record */
	bool null, truncated;
	union {
		u64 u;
		s64 i;
		double f;
		u64 wide[2]; /* I128, U128: low, high */
	};
	const char *text; /* STR, BYTES, ERROR; not NUL-terminated */
	u32 text_bytes;
	u64 orig_bytes;
};

/* Take the next value of the given type off a payload. Returns the bytes used (a multiple of 4), -EBADMSG if the
 * payload is too short or its text is. Pure. */
int rec_value__take(struct rec_value *v, u8 type, const u8 *payload, u32 bytes);

#endif
