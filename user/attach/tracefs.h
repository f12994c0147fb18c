/* SPDX-License-Identifier: MIT */
/* tracefs.h - arming without uprobe_multi: one tracefs event with many uprobes, each with its reference counter. */
#ifndef TAPEBPF_TRACEFS_H
#define TAPEBPF_TRACEFS_H

#include "base/util.h"

struct tracefs_event;

struct tracefs_site {
	u64 offset;
	u64 ref_ctr;
};

/* Where tracefs is mounted with uprobe_events that we may write, or NULL. */
const char *tracefs__dir(void);

/* Delete events that recorders which are no more have left behind. */
void tracefs__sweep(void);

/* Make an event of the sites of the file behind `fd` and enable it without anybody listening. */
int tracefs__arm(struct tracefs_event **list, int fd, const struct tracefs_site *site, u32 cnt);

/* Take all back. */
void tracefs__drop(struct tracefs_event **list);

#endif
