/* SPDX-License-Identifier: MIT */
/* substring.h - is a short text part of another one? Asked once a record. */
#ifndef TAPEBPF_SUBSTRING_H
#define TAPEBPF_SUBSTRING_H

#include "base/util.h"

#include <stddef.h>

/* A part, got ready. */
struct substring {
	const char *text; /* the caller's, has to stay */
	size_t bytes;
	u8 first[16], last[16]; /* that byte of it, again and again */
};

void substring__init(struct substring *part, const char *text, size_t bytes);
/* As memmem() finds it, which is called where this would take longer than a few times the text's length. Pure. */
bool substring__is_in(const struct substring *part, const char *text, size_t bytes);

#endif
