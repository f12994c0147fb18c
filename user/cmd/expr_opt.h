/* SPDX-License-Identifier: MIT */
/* expr_opt.h - how a command line says what is wrong with an expression or a trigger. */
#ifndef TAPEBPF_EXPR_OPT_H
#define TAPEBPF_EXPR_OPT_H

#include "base/util.h"

#include <argp.h>

/* "--OPTION: WHY", the text, and a caret under its byte `column`; ends as argp_error does. */
void expr_opt__error(struct argp_state *state, const char *option, const char *why, const char *text, u32 column);

#endif
