/* SPDX-License-Identifier: MIT */
/* sig_opt.h - the option --sig, which several commands have. */
#ifndef TAPEBPF_SIG_OPT_H
#define TAPEBPF_SIG_OPT_H

#include "elf/sig_check.h"
#include <argp.h>

/* Add SIG or @FILE to sigs; a bad one ends the program with its usage. */
void sig_opt__add(struct argp_state *state, struct sig_set *sigs, const char *arg);

/* What is to be said, at the end, of signatures that fit nothing: on standard error. */
void sig_opt__tell(const struct sig_check *c);

#endif
