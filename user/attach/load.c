/* SPDX-License-Identifier: MIT */
/* load.c - which BPF programs are loaded, how they are configured, and the hooks on tasks. */
#include "attach/attach_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* BPF_TRACE_UPROBE_MULTI, which the kernel headers of Debian 12 do not have. */
#define ATTACH_UPROBE_MULTI ((enum bpf_attach_type)48)

/* libbpf's last word, for a diag. It has no other place to give it. */
static __thread char libbpf_said[256];

static int keep_last(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[sizeof(libbpf_said)];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "libbpf: prog", 12) || !libbpf_said[0])
		memcpy(libbpf_said, line, sizeof(line));
	return 0;
}

static void configure(const struct attach *a, struct tapebpf_bpf *skel)
{
	struct config *c = (struct config *)&skel->rodata->config;

	c->follow = a->o.follow;
	c->max_text = a->o.max_text;
	c->wake_at = a->o.ring_bytes / 4;
	c->wake_step = a->o.ring_bytes / 16;
	c->no_cookie = !a->f->uprobe_cookie;
	c->forget_at_exit = a->f->exit_hook != EXIT_HOOK_MMAP_LOCK;
	c->cpus = a->cpus;
	bpf_map__set_max_entries(skel->maps.rings, a->cpus);
	bpf_map__set_max_entries(skel->maps.stages, a->cpus);
	bpf_map__set_max_entries(skel->maps.pages, a->o.max_pages);
	bpf_map__set_max_entries(skel->maps.orphans, a->o.max_pages);
}

static bool sleepable_name(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && !strcmp(name + n - 2, "_s");
}

static bool is_staged_program(const struct bpf_program *p)
{
	return !strncmp(bpf_program__name(p), "usdt_staged", 11);
}

static bool is_text_program(const struct bpf_program *p)
{
	return !strncmp(bpf_program__name(p), "usdt_texts", 10);
}

/* Programs of sites: the sleepable or the plain of the tape.h ones, both kinds of the foreign ones. */
static void choose_probe(struct attach *a, struct bpf_program *p)
{
	const char *name = bpf_program__name(p);
	bool foreign = !strncmp(name, "usdt_", 5), idle = !strcmp(name, "tape_idle");
	bool sleepable = sleepable_name(name);
	bool load = sleepable == a->f->sleepable_uprobe || idle || (foreign && !sleepable);

	bpf_program__set_autoload(p, load && !is_text_program(p) && (a->stages || !is_staged_program(p)));
	if (a->f->uprobe_multi)
		bpf_program__set_expected_attach_type(p, ATTACH_UPROBE_MULTI);
}

static struct bpf_program *exit_program(const struct attach *a)
{
	switch (a->f->exit_hook) {
	case EXIT_HOOK_DO_EXIT_FENTRY:
		return a->skel->progs.exit_fentry;
	case EXIT_HOOK_DO_EXIT_KPROBE:
		return a->skel->progs.exit_kprobe;
	case EXIT_HOOK_MMAP_LOCK:
		return a->skel->progs.exit_mmap_lock;
	default:
		return NULL;
	}
}

static struct bpf_program *exec_program(const struct attach *a)
{
	switch (a->f->exec_hook) {
	case EXEC_HOOK_SCHED_PREPARE_EXEC:
		return a->skel->progs.exec_prepare;
	case EXEC_HOOK_BEGIN_NEW_EXEC_FENTRY:
		return a->skel->progs.exec_fentry;
	case EXEC_HOOK_BEGIN_NEW_EXEC_KPROBE:
		return a->skel->progs.exec_kprobe;
	case EXEC_HOOK_SYS_ENTER:
		return a->skel->progs.exec_sys_enter;
	default:
		return NULL;
	}
}

/* The hooks in use, NULL where there is none. */
#define HOOKS 6
static void hooks(const struct attach *a, struct bpf_program *p[HOOKS])
{
	p[0] = a->skel->progs.task_fork;
	p[1] = a->skel->progs.task_exec;
	p[2] = a->f->exit_hook == EXIT_HOOK_SCHED_PROCESS_EXIT ? a->skel->progs.task_exit : a->skel->progs.task_exit_old;
	p[3] = exit_program(a);
	p[4] = exec_program(a);
	p[5] = a->skel->progs.task_rename;
}

static void choose_programs(struct attach *a)
{
	struct bpf_program *p, *hook[HOOKS];
	u32 i;

	bpf_object__for_each_program(p, a->skel->obj) {
		if (!strncmp(bpf_program__section_name(p), "uprobe", 6))
			choose_probe(a, p);
		else
			bpf_program__set_autoload(p, false);
	}
	bpf_program__set_autoload(a->skel->progs.stage_move, a->stages);
	hooks(a, hook);
	for (i = 0; i < HOOKS; i++)
		if (hook[i])
			bpf_program__set_autoload(hook[i], true);
}

static int explain(int err, struct diag *d)
{
	diag__set(d, err, "the kernel does not load the BPF programs: %s (%s)", strerror(-err), libbpf_said);
	if (err == -EPERM || err == -EACCES)
		diag__hint(d, "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE");
	else if (err != -EMFILE)
		diag__hint(d, "tapebpf doctor says what this kernel can do");
	return err;
}

static int open_skeleton(struct tapebpf_bpf **skel, struct diag *d)
{
	libbpf_said[0] = '\0';
	libbpf_set_print(keep_last);
	*skel = tapebpf_bpf__open();
	return *skel ? 0 : diag__set(d, -errno, "cannot open the BPF programs: %s", strerror(errno));
}

int load__programs(struct attach *a, struct diag *d)
{
	int err = open_skeleton(&a->skel, d);

	if (err)
		return err;
	configure(a, a->skel);
	choose_programs(a);
	err = tapebpf_bpf__load(a->skel);
	return err ? explain(err, d) : 0;
}

/* Let a second object use the maps of the first, but for what libbpf makes of its variables. */
static int share_maps(const struct attach *a, struct tapebpf_bpf *to)
{
	struct bpf_map *m, *from;
	int err = 0;

	bpf_object__for_each_map(m, to->obj) {
		if (bpf_map__is_internal(m))
			continue;
		from = bpf_object__find_map_by_name(a->skel->obj, bpf_map__name(m));
		err = err ? err : from ? bpf_map__reuse_fd(m, bpf_map__fd(from)) : -ENOENT;
	}
	return err;
}

/*
 * Probes with texts need programs that take the verifier as long as all others together, and few recordings have any:
 * they are loaded when the first is asked for.
 */
int load__texts(struct attach *a, struct diag *d)
{
	struct bpf_program *p;
	int err;

	if (a->texts)
		return 0;
	err = open_skeleton(&a->texts, d);
	if (err)
		return err;
	configure(a, a->texts);
	bpf_object__for_each_program(p, a->texts->obj) {
		bool sleepable = sleepable_name(bpf_program__name(p));

		bpf_program__set_autoload(p, is_text_program(p) && (!sleepable || a->f->sleepable_uprobe));
		if (is_text_program(p) && a->f->uprobe_multi)
			bpf_program__set_expected_attach_type(p, ATTACH_UPROBE_MULTI);
	}
	a->texts->bss->targets_generation = a->skel->bss->targets_generation;
	err = share_maps(a, a->texts);
	if (!err)
		err = tapebpf_bpf__load(a->texts);
	if (!err)
		return 0;
	explain(err, d);
	tapebpf_bpf__destroy(a->texts);
	a->texts = NULL;
	return err;
}

int load__hooks(struct attach *a, struct diag *d)
{
	struct bpf_program *p[HOOKS];
	struct bpf_link *link;
	u32 i;
	int err;

	hooks(a, p);
	for (i = 0; i < HOOKS; i++) {
		if (!p[i])
			continue;
		link = bpf_program__attach(p[i]);
		if (!link)
			return diag__set(d, -errno, "cannot attach to %s: %s", bpf_program__section_name(p[i]),
					 strerror(errno));
		err = held__add(&a->hook, &a->hook_cnt, &a->hook_cap, link, -1, -1);
		if (err) {
			bpf_link__destroy(link);
			return err;
		}
	}
	return 0;
}

