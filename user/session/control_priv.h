/* SPDX-License-Identifier: MIT */
/* control_priv.h - what the two sides of the socket share: the recorder's (control.c) and the asker's (control_ask.c). */
#ifndef TAPEBPF_CONTROL_PRIV_H
#define TAPEBPF_CONTROL_PRIV_H

#include "session/control.h"

#include <sys/un.h>

/* -ENAMETOOLONG, with what to do about it. */
int control__address(const char *path, struct sockaddr_un *sa, struct diag *d);

#endif
