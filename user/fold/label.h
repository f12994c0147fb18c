/* SPDX-License-Identifier: MIT */
/* label.h - a value as a short text, for frames and groups. */
#ifndef TAPEBPF_LABEL_H
#define TAPEBPF_LABEL_H

#include "model/sink.h"

/* Into dst, cut at a character's border, with nothing in it that harms a terminal. False: there is no value. */
bool label__value(char *dst, size_t dst_bytes, const struct value *v);

#endif
