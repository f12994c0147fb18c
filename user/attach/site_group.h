/* SPDX-License-Identifier: MIT */
/* site_group.h - sites of one file that get the same program, attached in the way that the kernel offers. */
#ifndef TAPEBPF_SITE_GROUP_H
#define TAPEBPF_SITE_GROUP_H

#include "attach/attach_priv.h"

struct group_site {
	u64 offset, ref_ctr, cookie;
	const char **bad; /* gets a static text when the site cannot be attached; may be NULL */
};

struct site_group {
	struct attach *a;
	const struct elf_file *f;
	const struct attach_file_opts *o;
	struct bpf_program *prog;
	struct group_site *site;
	u32 cnt, cap;
	u32 busy; /* held by other tracers */
};

void site_group__init(struct site_group *g, struct attach *a, const struct elf_file *f,
		      const struct attach_file_opts *o, struct bpf_program *prog);
int site_group__add(struct site_group *g, u64 offset, u64 ref_ctr, u64 cookie, const char **bad);

/* arming: drop these first when the recording ends. -EBUSY: some sites are another tracer's, the rest is attached. */
int site_group__attach(struct site_group *g, bool arming, struct diag *d);
void site_group__done(struct site_group *g);

#endif
