/* SPDX-License-Identifier: MIT */
/* flight_triggers.h - what `flight` does about --on: conditions, policy, and the snapshots that come of them. */
#ifndef TAPEBPF_FLIGHT_TRIGGERS_H
#define TAPEBPF_FLIGHT_TRIGGERS_H

#include "session/snapshots.h"

#include <stdio.h>
#include "flight/policy.h"
#include "flight/trigger.h"

struct flight_triggers;

struct flight_triggers *flight_triggers__new(const struct policy_opts *o, enum snapshot_format format);
/* The set whose callback is flight_triggers__fired; taken over. */
void flight_triggers__watch(struct flight_triggers *t, struct trigger_set *set);
void flight_triggers__free(struct flight_triggers *t);
/* From here on snapshots can be taken. own: what to say of each. */
void flight_triggers__begin(struct flight_triggers *t, struct snapshots *sn,
			    void (*own)(void *ctx, const struct snapshot_result *r), void *ctx);

/* trigger_set's callback; ctx is the struct flight_triggers. */
void flight_triggers__fired(void *ctx, const struct trigger_fired *f);

/* Whom to tell what is to be known of a trigger of the set; after flight_triggers__watch. */
void flight_triggers__warn(struct flight_triggers *t, void (*warn)(void *ctx, const char *text), void *ctx);

/* Every round: what is due is asked for. stream_ns: the sinks have heard of everything up to then. */
void flight_triggers__poll(struct flight_triggers *t, u64 stream_ns, u64 now_ns);
/* The end: what is waiting is asked for now. True: something was. */
bool flight_triggers__last(struct flight_triggers *t);
/* Commands of --exec are given a little while to end. */
void flight_triggers__finish(struct flight_triggers *t);

/* A snapshot that no trigger took: counts for --keep-total. */
void flight_triggers__keep(struct flight_triggers *t, const struct snapshot_result *r);

void flight_triggers__report(const struct flight_triggers *t, FILE *f);

#endif
