/* SPDX-License-Identifier: MIT */
#ifndef TAPEBPF_GOTRACE_BACKEND_H
#define TAPEBPF_GOTRACE_BACKEND_H

#include "export/backend.h"

extern const struct backend gotrace_backend;

#endif
