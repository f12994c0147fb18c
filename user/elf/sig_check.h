/* SPDX-License-Identifier: MIT */
/*
 * sig_check.h - signatures that fit no probe: a name with a slip in it does nothing, and nobody would notice.
 */
#ifndef TAPEBPF_SIG_CHECK_H
#define TAPEBPF_SIG_CHECK_H

#include "elf/elf_file.h"
#include "elf/sig.h"

struct sig_check;

/* s is not owned and gets no more signatures from now on; NULL: there are none. Returns NULL without memory. */
struct sig_check *sig_check__new(const struct sig_set *s);
void sig_check__free(struct sig_check *c);

/* These are the probes of one more file. */
void sig_check__file(struct sig_check *c, const struct elf_file *f);

/*
 * A sentence about each signature that has fitted no probe, with the name that comes nearest, and about each that names more
 * arguments than any probe has that it fitted. final: there will be no more files. Returns the number of sentences; the names
 * in them are foreign bytes.
 */
u32 sig_check__tell(const struct sig_check *c, bool final, void (*tell)(void *ctx, const char *text), void *ctx);

#endif
