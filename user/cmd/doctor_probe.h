/* SPDX-License-Identifier: MIT */
/* doctor_probe.h - the built-in probes that `doctor` fires: one of tape.h, one plain. */
#ifndef TAPEBPF_DOCTOR_PROBE_H
#define TAPEBPF_DOCTOR_PROBE_H

#define DOCTOR_EVENT "doctor"

/* Pass each of the two sites so many times. */
void doctor_probe__fire(unsigned int times);

#endif
