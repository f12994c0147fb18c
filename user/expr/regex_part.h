/* SPDX-License-Identifier: MIT */
/* regex_part.h - a text that is part of whatever a regular expression matches: most texts are refused by looking for that alone. */
#ifndef TAPEBPF_REGEX_PART_H
#define TAPEBPF_REGEX_PART_H

#include <stddef.h>

/*
 * The longest that is to be seen in a POSIX extended one that compiles, into out (as large as regex). Returns its bytes; 0: there is
 * none. Pure.
 */
size_t regex_part__find(const char *regex, char *out);

#endif
