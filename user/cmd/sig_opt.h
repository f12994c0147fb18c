/* SPDX-License-Identifier: MIT */
/* sig_opt.h - the option --sig, which several commands have. */
#ifndef TAPEBPF_SIG_OPT_H
#define TAPEBPF_SIG_OPT_H

#include "elf/sig.h"
#include <argp.h>

/* Add SIG or @FILE to sigs; a bad one ends the program with its usage. */
void sig_opt__add(struct argp_state *state, struct sig_set *sigs, const char *arg);

#endif
