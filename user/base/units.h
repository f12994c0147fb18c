/* SPDX-License-Identifier: MIT */
/* units.h - numbers with units, as people write them on command lines. */
#ifndef TAPEBPF_UNITS_H
#define TAPEBPF_UNITS_H

#include "base/util.h"

/* "4096", "64k", "1M", "2MiB", "1G": bytes, powers of 1024. -EINVAL, -ERANGE. */
int units__bytes(const char *text, u64 *bytes);
/* "10" (seconds), "1.5s", "250ms", "10us", "2m", "1h". -EINVAL, -ERANGE. */
int units__ns(const char *text, u64 *ns);
/* "12.3 MiB", "812 B" into dst; returns dst. */
char *units__show_bytes(char *dst, size_t dst_bytes, u64 bytes);
/* "1.23 M", "812" */
char *units__show_count(char *dst, size_t dst_bytes, double count);

#endif
