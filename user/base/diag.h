/* SPDX-License-Identifier: MIT */
/*
 * diag.h - what went wrong, in words.
 *
 * Library rooms return negative errno values and never log. Where a number is not enough for a user (which file,
 * what was looked at, what to try), a function also takes a struct diag and fills it; a command prints it once.
 */
#ifndef TAPEBPF_DIAG_H
#define TAPEBPF_DIAG_H

struct diag {
	char text[512]; /* what was being done, on what, why it failed */
	char hint[512]; /* what to try; may be empty */
};

/* Fill d (may be NULL) and return err, so that `return diag__set(d, -ENOENT, ...)` reads well. Keeps errno. */
int diag__set(struct diag *d, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Add a remedy to a diag that has been set. */
void diag__hint(struct diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
