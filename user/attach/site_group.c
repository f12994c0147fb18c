/* SPDX-License-Identifier: MIT */
#include "attach/site_group.h"
#include "attach/tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Kernels without uprobe_multi need a link for each foreign site and take some 50 ms for each to detach. */
#define MAX_PERF_LINKS 200

#ifndef ENOTSUPP
#define ENOTSUPP 524 /* the kernel's own; it leaks out of uprobe registration */
#endif

static const char another_tracer[] = "another tracer holds it with another reference counter";
static const char same_address[] = "shares its address with another probe";
static const char too_many[] = "this kernel has no uprobe_multi: too many sites for single links";
static const char refused[] = "the kernel does not accept a breakpoint there";

void site_group__init(struct site_group *g, struct attach *a, const struct elf_file *f,
		      const struct attach_file_opts *o, struct bpf_program *prog)
{
	*g = (struct site_group){.a = a, .f = f, .o = o, .prog = prog};
}

void site_group__done(struct site_group *g)
{
	free(g->site);
}

int site_group__add(struct site_group *g, u64 offset, u64 ref_ctr, u64 cookie, const char **bad)
{
	if (g->cnt == g->cap) {
		u32 cap = g->cap ? 2 * g->cap : 64;
		struct group_site *p = realloc(g->site, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		g->site = p;
		g->cap = cap;
	}
	g->site[g->cnt++] = (struct group_site){offset, ref_ctr, cookie, bad};
	return 0;
}

static void mark(const struct group_site *s, const char *why)
{
	if (s->bad && !*s->bad)
		*s->bad = why;
}

static int by_offset(const void *a, const void *b)
{
	const struct group_site *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->cookie > y->cookie) - (x->cookie < y->cookie);
}

/* Two consumers at one address would both run: every hit twice. The first in the table keeps it. */
static void drop_doubles(struct site_group *g)
{
	u32 i, n = 0;

	qsort(g->site, g->cnt, sizeof(g->site[0]), by_offset);
	for (i = 0; i < g->cnt; i++) {
		if (n && g->site[n - 1].offset == g->site[i].offset) {
			/* A callsite that was emitted twice with one word is armed all the same. */
			if (g->site[n - 1].ref_ctr != g->site[i].ref_ctr || g->site[n - 1].cookie != g->site[i].cookie)
				mark(&g->site[i], same_address);
			continue;
		}
		g->site[n++] = g->site[i];
	}
	g->cnt = n;
}

static int keep(struct site_group *g, bool arming, struct bpf_link *link, int fd, int prog_fd)
{
	struct attach *a = g->a;
	int err = arming ? held__add(&a->arm, &a->arm_cnt, &a->arm_cap, link, fd, prog_fd)
			 : held__add(&a->probe, &a->probe_cnt, &a->probe_cap, link, fd, prog_fd);

	if (!err)
		return 0;
	bpf_link__destroy(link);
	if (fd >= 0)
		close(fd);
	if (prog_fd >= 0)
		close(prog_fd);
	return err;
}

/* Errors that one site causes; others concern them all. */
static bool one_sites_fault(int err)
{
	return err == -EINVAL || err == -ENOTSUPP || err == -EIO || err == -EBUSY;
}

/* --- uprobe_multi ------------------------------------------------------------------------------------------------------- */

static struct bpf_link *multi_link(struct site_group *g, u32 from, u32 cnt)
{
	__free_ptr unsigned long *offset = calloc(cnt, sizeof(*offset));
	__free_ptr unsigned long *ref_ctr = calloc(cnt, sizeof(*ref_ctr));
	__free_ptr __u64 *cookie = calloc(cnt, sizeof(*cookie));
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = offset, .ref_ctr_offsets = ref_ctr, .cookies = cookie,
		    .cnt = cnt);
	bool any_ref_ctr = false;
	u32 i;

	if (!offset || !ref_ctr || !cookie) {
		errno = ENOMEM;
		return NULL;
	}
	for (i = 0; i < cnt; i++) {
		offset[i] = g->site[from + i].offset;
		ref_ctr[i] = g->site[from + i].ref_ctr;
		cookie[i] = g->site[from + i].cookie;
		any_ref_ctr |= ref_ctr[i] != 0;
	}
	if (!any_ref_ctr)
		opts.ref_ctr_offsets = NULL;
	return bpf_program__attach_uprobe_multi(g->prog, g->o->pid, g->o->path, NULL, &opts);
}

static int multi_attach(struct site_group *g, bool arming, u32 from, u32 cnt)
{
	struct bpf_link *link = multi_link(g, from, cnt);

	return link ? keep(g, arming, link, -1, -1) : -errno;
}

/* --- before 6.6 ----------------------------------------------------------------------------------------------------------- */

static int perf_attach_one(struct site_group *g, bool arming, const struct group_site *s)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .ref_ctr_offset = s->ref_ctr, .bpf_cookie = s->cookie);
	struct bpf_link *link;
	int fd, prog_fd;

	if (g->a->f->uprobe_cookie) {
		link = bpf_program__attach_uprobe_opts(g->prog, g->o->pid, g->o->path, s->offset, &opts);
		return link ? keep(g, arming, link, -1, -1) : -errno;
	}
	fd = perf_link__attach(g->prog, g->o->path, g->o->pid, s->offset, s->ref_ctr, s->cookie, &prog_fd);
	return fd < 0 ? fd : keep(g, arming, NULL, fd, prog_fd);
}

static int perf_attach(struct site_group *g, bool arming)
{
	int err;
	u32 i;

	for (i = 0; i < g->cnt; i++) {
		struct group_site *s = &g->site[i];

		if (g->a->probe_cnt + g->a->arm_cnt >= MAX_PERF_LINKS) {
			mark(s, too_many);
			continue;
		}
		err = perf_attach_one(g, arming, s);
		if (one_sites_fault(err)) {
			mark(s, err == -EINVAL ? another_tracer : refused);
			g->busy++;
		} else if (err) {
			return err;
		}
	}
	return 0;
}

static int tracefs_attach(struct site_group *g, bool arming, u32 from, u32 cnt)
{
	__free_ptr struct tracefs_site *site = calloc(cnt, sizeof(*site));
	__close_fd int fd = open(g->o->path, O_RDONLY | O_CLOEXEC);
	u32 i;

	if (!site)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	for (i = 0; i < cnt; i++)
		site[i] = (struct tracefs_site){g->site[from + i].offset, g->site[from + i].ref_ctr};
	return tracefs__arm(&g->a->events, fd, site, cnt);
}

/* --- all ------------------------------------------------------------------------------------------------------------------ */

/* Many sites by one call of fn; where that is refused for some site, halve until the bad ones stand alone. */
static int attach_range(struct site_group *g, bool arming, u32 from, u32 cnt,
			int (*fn)(struct site_group *g, bool arming, u32 from, u32 cnt))
{
	int err = fn(g, arming, from, cnt);

	if (!one_sites_fault(err))
		return err;
	if (cnt == 1) {
		mark(&g->site[from], err == -EINVAL ? another_tracer : refused);
		g->busy++;
		return 0;
	}
	err = attach_range(g, arming, from, cnt / 2, fn);
	return err ? err : attach_range(g, arming, from + cnt / 2, cnt - cnt / 2, fn);
}

static int explain(const struct site_group *g, int err, struct diag *d)
{
	if (!err && g->busy) {
		diag__set(d, -EBUSY, "%u of %u sites of %s could not be attached: another tracer holds them with "
			  "another reference counter, or the kernel refuses them", g->busy, g->cnt, g->f->path);
		diag__hint(d, "end the other tracer (bpftrace, perf, an event in uprobe_events)");
		return -EBUSY;
	}
	if (!err)
		return 0;
	diag__set(d, err, "cannot attach to %s: %s", g->f->path, strerror(-err));
	if (err == -EPERM || err == -EACCES)
		diag__hint(d, g->a->f->uprobe_multi ? "run as root, or with CAP_BPF and CAP_PERFMON"
						    : "run as root: without uprobe_multi CAP_SYS_ADMIN is needed");
	return err;
}

int site_group__attach(struct site_group *g, bool arming, struct diag *d)
{
	int err;

	if (!g->cnt)
		return 0;
	drop_doubles(g);
	if (g->a->f->uprobe_multi)
		err = attach_range(g, arming, 0, g->cnt, multi_attach);
	else if (g->prog == g->a->skel->progs.tape_idle && g->a->f->arm == ARM_TRACEFS_EVENT)
		err = attach_range(g, arming, 0, g->cnt, tracefs_attach);
	else
		err = perf_attach(g, arming);
	return explain(g, err, d);
}
