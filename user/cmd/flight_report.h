/* SPDX-License-Identifier: MIT */
/* flight_report.h - what a flight recorder says of itself and of its snapshots. */
#ifndef TAPEBPF_FLIGHT_REPORT_H
#define TAPEBPF_FLIGHT_REPORT_H

#include "cmd/flight_triggers.h"
#include "session/snapshots.h"

/* One line for people. Returns dst. */
char *flight_report__snapshot(const struct snapshot_result *r, char *dst, size_t bytes);
/* What the recording has lost from its beginning to now, for people; false: nothing. */
bool flight_report__lost(struct session *s, char *dst, size_t bytes);
/* The answer to a request (control.h). Returns its length. */
size_t flight_report__answer(const struct snapshot_result *r, char *dst, size_t bytes);
/* ... to a request for the status: lines KEY VALUE. malloc'ed; NULL: no memory. */
char *flight_report__status(struct session *s, const struct snapshots *sn, const struct flight_triggers *tr,
			    u64 start_ns, size_t *bytes);

#endif
