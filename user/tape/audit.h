/* SPDX-License-Identifier: MIT */
/* audit.h - inside tape_audit: v0.1 records in tape_audit.c, extension records in audit_ext.c. */
#ifndef TAPEBPF_AUDIT_H
#define TAPEBPF_AUDIT_H

#include "base/idmap.h"
#include "model/pool.h"
#include "tape/tape_audit.h"
#include "tape/tape_format.h"

struct audit_callsite {
	u64 id;
	bool is_span, closed; /* closed: some span of it was */
	u32 field_cnt, seen;
	u64 *field_id; /* seen of them */
	u32 cap;
};

struct audit_thread {
	u64 id;
	s64 last_time;
	bool has_time;
	u64 *stack; /* span ids */
	u32 depth, cap;
	/* the event that waits for values */
	u32 want, got;
	u64 event_callsite, event_offset;
};

struct audit_span {
	u64 id, callsite, offset;
	u64 last_thread; /* of its last ENTER */
	u32 entered;	 /* entries open */
	bool was_entered, synthetic, has_parent;
	bool contextual; /* its first entry will tell the parent */
	u64 parent; /* as the extension says, or that entry */
};

struct audit {
	struct tape_scan *scan;
	struct tape_audit_result *res;
	struct tape_audit_ops ops;
	u64 offset;
	bool no_memory;
	struct idmap callsites, threads, spans;
	struct pool span_pool;
	struct audit_span *last_span; /* the one that was asked for last: the next record is mostly about it too */
	u64 callsites_waiting;
	/* extension records */
	u32 synthetic;
	u64 synthetic_offset;
	bool is_synthetic; /* the record in hand */
	u8 want_kind;	   /* v0.1 kind that the last extension must be followed by; 0: none */
	u8 ext_kind;
	u64 want_id, ext_offset;
	bool has_context;
	u64 context_span, context_parent;
	u64 spans_cnt, events_cnt, totals_offset, totals_spans, totals_events;
	bool after_checksum;
};

#define AUDIT(a, kind, ...) tape_scan__defect((a)->scan, TAPE_DEFECT_##kind, (a)->offset, __VA_ARGS__)
#define HEX(id) ((unsigned long long)(id))

/* audit_ext.c */
void audit__ext(struct audit *a, const struct tape_raw *raw);
/* Before a v0.1 record is looked at: is it the one that the extensions before it wait for? */
void audit__before(struct audit *a, const struct tape_raw *raw);
void audit__totals(struct audit *a);

#endif
