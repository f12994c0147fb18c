/* SPDX-License-Identifier: MIT */
/*
 * tape_audit.h - is this tape what it should be? Judges the records as the strictest reader of v0.1 takes them (one
 * breach and the upstream parser stops), and what our extension records promise. Shares the framing with the tolerant
 * reader, and nothing else, so that neither can hide a mistake of the other.
 */
#ifndef TAPEBPF_TAPE_AUDIT_H
#define TAPEBPF_TAPE_AUDIT_H

#include "base/diag.h"
#include "tape/tape_reader.h"
#include "tape/tape_scan.h"

struct tape_audit_result {
	struct tape_intro intro;
	u64 bytes, records, kind_cnt[256];
	u64 defects, defect_cnt[TAPE_DEFECT_MAX];
	bool own;	/* a tape of tapebpf */
	bool unfinished; /* of ours, without totals: the recorder was killed */
	struct tape_totals totals;
	u64 open_spans, threads;
	/* no breach, but v0.1 viewers show it otherwise than it was */
	u64 misplaced;	  /* spans that hang elsewhere than under their parent */
	u64 never_entered;
	u64 idle_callsites; /* span callsites without a closed span */
};

struct tape_audit_ops {
	/* each may be NULL */
	tape_defect_fn defect; /* of each, with its offset */
	void (*progress)(void *ctx, u64 done_bytes, u64 all_bytes); /* now and then; all 0: unknown */
	void *ctx;
};

/* 0: done, whatever was found; -ENOEXEC: no tape; or an I/O error. ops may be NULL. */
int tape_audit__run(const char *path, const struct tape_audit_ops *ops, struct tape_audit_result *res, struct diag *d);

#endif
