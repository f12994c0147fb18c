/* SPDX-License-Identifier: MIT */
/* A shared object that traces, built twice (-DNAME=a, b): a page and a module of its own in each. 3 records a call. */
#define TAPE_PROVIDER th_dso
#define TAPE_TARGET "th_dso::" TAPE__STR(NAME)
#include <tape.h>

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

__attribute__((visibility("default"))) uint64_t CAT(dso_, NAME)(uint64_t i)
{
	tape_span(INFO, "in_dso", (i, i));
	tape_info((i, i), "hello from %s", TAPE__STR(NAME));
	return i + 1;
}
