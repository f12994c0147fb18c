/* SPDX-License-Identifier: MIT */
/* stage.h - where the BPF side gathers the hits of each CPU before they go into its ring (bpf/stage.bpf.h). */
#ifndef TAPEBPF_STAGE_H
#define TAPEBPF_STAGE_H

#include "base/util.h"

struct stages;

/* map_fd: the map "stages"; prog_fd: the program that moves one stage. Both stay the caller's. 0 or negative errno. */
int stages__new(int map_fd, int prog_fd, u32 cpus, struct stages **out);
void stages__free(struct stages *s);

/* See to it that all hits of this CPU that were counted before the call are in its ring. False: somebody is at it. NULL: there are
 * no stages. */
bool stages__move(struct stages *s, u32 cpu);

#endif
