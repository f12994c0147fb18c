/* SPDX-License-Identifier: MIT */
/*
 * files.c - attach what a file has: the probes of tape.h that deliver, foreign probes, and what arms callsites.
 *
 * Sites are collected into groups: one program, one flavour. A group becomes one uprobe_multi link: 2,000 sites go up in
 * some 10 ms and down in 35. The kernel refuses a whole link for one bad site (EINVAL: another tracer, of whatever
 * make, holds the same instruction with another reference counter), so a refused group is halved until the bad sites
 * stand alone; they get a word of why, the others stay attached.
 */
#include "attach/attach_priv.h"
#include "attach/site_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "../bpf/arg.h"

#if defined(__x86_64__)
#define SP_REG 152 /* offsetof(struct pt_regs, sp) */
#else
#define SP_REG (31 * 8)
#endif

bool attach__knows_file(const struct attach *a, u64 dev, u64 ino)
{
	u32 i;

	for (i = 0; i < a->file_cnt; i++)
		if (a->file[i].dev == dev && a->file[i].ino == ino)
			return true;
	return false;
}

static int remember_file(struct attach *a, const struct elf_file *f)
{
	if (attach__knows_file(a, f->dev, f->ino))
		return 0;
	if (a->file_cnt == a->file_cap) {
		u32 cap = a->file_cap ? 2 * a->file_cap : 16;
		struct known_file *p = realloc(a->file, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		a->file = p;
		a->file_cap = cap;
	}
	a->file[a->file_cnt++] = (struct known_file){.dev = f->dev, .ino = f->ino};
	return 0;
}

/* --- argument specs ------------------------------------------------------------------------------------------------ */

/* Index of a spec in the map; sites with equal arguments share one. -ENOSPC: too many different ones. */
static int spec__index(struct attach *a, const struct elf_site *s)
{
	struct wire_spec spec = {.arg_cnt = MIN(s->arg_cnt, (u32)WIRE_MAX_ARGS)};
	struct wire_spec *p;
	u32 i;

	for (i = 0; i < spec.arg_cnt; i++) {
		spec.arg[i] = s->arg[i];
		if (!arg__size_ok(spec.arg[i].size))
			spec.arg[i] = (struct wire_arg){.kind = WIRE_ARG_NONE, .size = 8};
		spec.text_cnt += s->arg[i].text != WIRE_TEXT_NO;
	}
	for (i = 0; i < a->spec_cnt; i++)
		if (!memcmp(&a->spec[i], &spec, sizeof(spec)))
			return i;
	if (a->spec_cnt == CONFIG_SPECS)
		return -ENOSPC;
	p = realloc(a->spec, (a->spec_cnt + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	a->spec = p;
	p[a->spec_cnt] = spec;
	if (bpf_map_update_elem(bpf_map__fd(a->skel->maps.specs), &a->spec_cnt, &spec, BPF_ANY))
		return -errno;
	return a->spec_cnt++;
}

static bool site__has_text(const struct elf_site *s)
{
	u32 i;

	for (i = 0; i < s->arg_cnt && i < WIRE_MAX_ARGS; i++)
		if (s->arg[i].text)
			return true;
	return false;
}

static bool any_text(const struct elf_file *f)
{
	u32 i;

	for (i = 0; i < f->site_cnt; i++)
		if (!f->site[i].bad && site__has_text(&f->site[i]))
			return true;
	return false;
}

static bool site__may_fault(const struct elf_site *s)
{
	u32 i;

	for (i = 0; i < s->arg_cnt && i < WIRE_MAX_ARGS; i++)
		if (arg__may_fault(&s->arg[i], SP_REG))
			return true;
	return false;
}

/* --- the three kinds of sites ------------------------------------------------------------------------------------------ */

static struct bpf_program *pick(const struct attach *a, struct bpf_program *plain, struct bpf_program *sleepable)
{
	return a->f->sleepable_uprobe ? sleepable : plain;
}

static int add_tape_probes(struct attach *a, struct elf_file *f, const struct attach_file_opts *o, struct diag *d)
{
	struct {
		int what;
		struct bpf_program *prog;
	} kind[] = { /* in the order of the life of a page: an announcement before its first flush */
		{ELF_TAPE_GONE, pick(a, a->skel->progs.tape_gone, a->skel->progs.tape_gone_s)},
		{ELF_TAPE_FLUSH, pick(a, a->skel->progs.tape_flush, a->skel->progs.tape_flush_s)},
		{ELF_TAPE_RECORD, pick(a, a->skel->progs.tape_record, a->skel->progs.tape_record_s)},
		{ELF_TAPE_THREAD, pick(a, a->skel->progs.tape_thread, a->skel->progs.tape_thread_s)},
	};
	struct attach_file_opts all = *o;
	struct site_group g;
	int err = 0;
	size_t k;
	u32 i;

	/* Not for one process: a vfork child in its parent's memory works on its parent's page. Whom it concerns, the program asks. */
	all.pid = -1;
	for (k = 0; k < ARRAY_SIZE(kind) && !err; k++) {
		site_group__init(&g, a, f, &all, kind[k].prog);
		for (i = 0; i < f->tape_probe_cnt && !err; i++)
			if ((int)f->tape_probe[i].what == kind[k].what)
				err = site_group__add(&g, f->tape_probe[i].offset, 0,
						      COOKIE(o->module, 0, o->any), NULL);
		err = err ? err : site_group__attach(&g, false, d);
		site_group__done(&g);
	}
	return err;
}

static int add_foreign(struct attach *a, struct elf_file *f, const struct attach_file_opts *o, struct diag *d)
{
	bool texts = any_text(f);
	int err = texts ? load__texts(a, d) : 0, busy = 0, spec, k, ret;
	struct bpf_program *prog[2][2]; /* [texts][may fault] */
	struct site_group g[2][2];
	u32 i;

	if (err)
		return err;
	prog[0][0] = a->stages ? a->skel->progs.usdt_staged : a->skel->progs.usdt_scalars;
	prog[0][1] = pick(a, prog[0][0], a->stages ? a->skel->progs.usdt_staged_s : a->skel->progs.usdt_scalars_s);
	prog[1][0] = texts ? a->texts->progs.usdt_texts : NULL;
	prog[1][1] = texts ? pick(a, a->texts->progs.usdt_texts, a->texts->progs.usdt_texts_s) : NULL;
	for (k = 0; k < 4; k++)
		site_group__init(&g[k / 2][k % 2], a, f, o, prog[k / 2][k % 2]);
	for (i = 0; i < f->site_cnt && !err; i++) {
		struct elf_site *site = &f->site[i];

		if (site->bad)
			continue;
		spec = spec__index(a, site);
		if (spec == -ENOSPC)
			site->bad = "too many different argument lists";
		else if (spec < 0)
			err = spec;
		else
			err = site_group__add(&g[site__has_text(site)][site__may_fault(site)], site->offset,
					      site->sema_offset, COOKIE(o->first_site + i, spec, o->any),
					      &site->bad);
	}
	for (k = 0; k < 4; k++) {
		ret = err ? 0 : site_group__attach(&g[k / 2][k % 2], false, d);
		if (ret == -EBUSY)
			busy = ret;
		else if (ret)
			err = ret;
		site_group__done(&g[k / 2][k % 2]);
	}
	for (i = 0; i < f->site_cnt; i++)
		a->sites_foreign += !f->site[i].bad;
	return err ? err : busy;
}

/* Sites run their own nops, each with its semaphore. */
static int add_immediate(struct attach *a, struct elf_file *f, const struct attach_file_opts *o, struct diag *d)
{
	struct site_group g;
	int err = 0;
	u32 i;

	site_group__init(&g, a, f, o, pick(a, a->skel->progs.tape_record, a->skel->progs.tape_record_s));
	for (i = 0; i < f->tape_site_cnt && !err; i++) {
		struct elf_tape_site *s = &f->tape_site[i];
		u64 cookie = COOKIE(o->module, 0, o->any);

		if (s->bad)
			continue;
		if (s->nop_offset)
			err = site_group__add(&g, s->nop_offset, s->sema_offset, cookie, &s->bad);
		if (s->nop_end_offset && !err)
			err = site_group__add(&g, s->nop_end_offset, s->sema_offset, cookie, &s->bad);
	}
	err = err ? err : site_group__attach(&g, true, d);
	site_group__done(&g);
	return err;
}

/* The idle program on the sites' cold nops, which raises their words; the module's permission to use ticks as well. */
static int add_arming(struct attach *a, struct elf_file *f, const struct attach_file_opts *o, struct diag *d)
{
	struct site_group g;
	int err = 0;
	u32 i;

	site_group__init(&g, a, f, o, a->skel->progs.tape_idle);
	if (a->f->tsc && f->ticks_cold_offset)
		err = site_group__add(&g, f->ticks_cold_offset, f->ticks_offset, COOKIE(o->module, 0, false), NULL);
	for (i = 0; i < f->tape_site_cnt && !err; i++)
		if (!f->tape_site[i].bad)
			err = site_group__add(&g, f->tape_site[i].cold_offset, f->tape_site[i].armed_offset,
					      COOKIE(o->module, 0, false), &f->tape_site[i].bad);
	err = err ? err : site_group__attach(&g, true, d);
	site_group__done(&g);
	return err;
}

int attach__add_file(struct attach *a, struct elf_file *f, const struct attach_file_opts *opts, struct diag *d)
{
	struct attach_file_opts o = {.pid = -1};
	int err, ret;
	u32 i;

	memcpy(&o, opts, MIN(opts->sz, sizeof(o)));
	if (access(o.path, R_OK))
		return diag__set(d, -errno, "cannot attach to %s: %s", f->path, strerror(errno));
	err = remember_file(a, f);
	if (err)
		return diag__set(d, err, "out of memory");
	if (a->f->arm == ARM_NONE) {
		diag__set(d, -EOPNOTSUPP, "this kernel offers no way to attach to %s", f->path);
		diag__hint(d, "tapebpf doctor says what is missing");
		return -EOPNOTSUPP;
	}
	err = add_tape_probes(a, f, &o, d);
	if (err)
		return err;
	err = add_foreign(a, f, &o, d);
	if (err && err != -EBUSY)
		return err;
	ret = a->o.immediate ? add_immediate(a, f, &o, d) : add_arming(a, f, &o, d);
	for (i = 0; i < f->tape_site_cnt; i++)
		a->sites_tape += !f->tape_site[i].bad;
	return ret ? ret : err;
}
