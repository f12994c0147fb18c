/* SPDX-License-Identifier: MIT */
/* session_priv.h - what the two halves of a session share: the round (session.c) and who is recorded (session_targets.c). */
#ifndef TAPEBPF_SESSION_PRIV_H
#define TAPEBPF_SESSION_PRIV_H

#include "base/clock.h"
#include "base/idmap.h"
#include "elf/sig_check.h"
#include "session/session.h"
#include "session/session_files.h"

struct session {
	struct session_opts opts;
	struct features features;
	struct attach *attach;
	struct ingest *ingest;
	struct model *model;
	struct session_files *files;
	struct sig_check *sigs; /* which signatures have fitted a probe */
	struct flight *flight; /* NULL: none */
	bool decode;	       /* somebody listens to the model */
	bool *grown;	       /* opts.grown, or a word that is never set */
	bool never;
	bool forever, running, stopped;
	struct clock_pair end; /* stopped: nothing later is wanted of a flight recording */
	char no_probes[512]; /* why the command's own file has none */
	bool lives_told; /* a process came, went or exec'ed since target_cnt was counted */
	bool untrimmed;	 /* likewise, since memory was last given back */
	u32 target_cnt;
	u64 next_count_ns;
	u64 next_idle_ns, next_loss_ns, next_trim_ns, last_loss_ns;
	u64 counter[WIRE_C_MAX]; /* as last told to the model */
	u64 look_ns;		 /* when to look for those whose end was lost; 0: there is no reason to */
	u32 look_no;		 /* how many there have been in a row */
	struct idmap missed;	 /* who was not there, as the number of the look at which that was first so */
	u64 refused, looked_ns;	 /* deliveries and hits that the kernel could not keep, when that was last looked for */
	u64 read_ns; /* what had been recorded by then has come */
};

/* What a record of somebody's life means to a session: counts, and the user's callback. */
void session__tell_life(struct session *s, const struct wire_life *l, size_t bytes);

/* session_ended.c: records of ends may have been lost; each round: is it time to look? */
void session__ends_lost(struct session *s, u64 now_ns);
void session__look_for_ended(struct session *s, u64 now_ns);

/* attach's callback: a target mapped a file, or (path NULL) mapping events were lost. */
void session__mapped(void *ctx, u32 pid, u64 addr, u64 file_offset, u64 dev, u64 ino, const char *path);

#endif
