/* SPDX-License-Identifier: MIT */
/*
 * empty_usdt.c - the floor of every foreign probe: a BPF program that does nothing, on all sites of PROVIDER:NAME in FILE.
 * Prints "attached SITES" and stays until its stdin ends.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include "elf/elf_file.h"

#define MAX_SITES 4096
/* Debian 12's kernel headers (6.1) do not name it; the number is the kernel's (6.6). */
#define TRACE_UPROBE_MULTI 48

/* r0 = 0; exit */
static const struct bpf_insn empty[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
	{ .code = BPF_JMP | BPF_EXIT },
};

static int load(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = TRACE_UPROBE_MULTI);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "empty", "GPL", empty, ARRAY_SIZE(empty), &opts);
}

static u32 sites_of(const struct elf_file *f, const char *provider, const char *name,
		    unsigned long *offset, unsigned long *ref_ctr)
{
	u32 cnt = 0;

	for (u32 i = 0; i < f->site_cnt && cnt < MAX_SITES; i++) {
		const struct elf_site *s = &f->site[i];

		if (s->bad || strcmp(s->provider, provider) || strcmp(s->name, name))
			continue;
		offset[cnt] = s->offset;
		ref_ctr[cnt++] = s->sema_offset;
	}
	return cnt;
}

static int attach(const char *path, const char *provider, const char *name)
{
	static unsigned long offset[MAX_SITES], ref_ctr[MAX_SITES];
	LIBBPF_OPTS(bpf_link_create_opts, opts, .uprobe_multi.path = path,
		    .uprobe_multi.offsets = offset, .uprobe_multi.ref_ctr_offsets = ref_ctr);
	struct elf_file *f;
	struct diag d = { 0 };
	int prog, link;

	if (elf_file__open(path, NULL, &f, &d)) {
		fprintf(stderr, "empty_usdt: %s\n", d.text);
		return 1;
	}
	opts.uprobe_multi.cnt = sites_of(f, provider, name, offset, ref_ctr);
	elf_file__free(f);
	if (!opts.uprobe_multi.cnt) {
		fprintf(stderr, "empty_usdt: %s has no probe %s:%s\n", path, provider, name);
		return 1;
	}
	prog = load();
	link = prog < 0 ? prog : bpf_link_create(prog, 0, TRACE_UPROBE_MULTI, &opts);
	if (link < 0) {
		fprintf(stderr, "empty_usdt: attaching to %s: %s\n", path, strerror(errno));
		return errno == EPERM || errno == EINVAL ? 77 : 1;
	}
	printf("attached %u\n", opts.uprobe_multi.cnt);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	char probe[256], *name;
	int err;

	if (argc != 3 || strlen(argv[2]) >= sizeof(probe) || !strchr(argv[2], ':')) {
		fprintf(stderr, "usage: empty_usdt FILE PROVIDER:NAME\n");
		return 2;
	}
	strcpy(probe, argv[2]);
	name = strchr(probe, ':');
	*name++ = 0;
	err = attach(argv[1], probe, name);
	if (err)
		return err;
	while (getchar() != EOF)
		;
	return 0;
}
