/* SPDX-License-Identifier: MIT */
/*
 * list.c - `tapebpf list PID|FILE...`: the probe sites and callsites of a process or file.
 *
 * For a process every file that it has mapped executable is looked at, through the mapping itself, so that a file that
 * has been replaced on disk, or lies in another mount namespace, is still the right one.
 */
#include "cmd/cmd.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/procfs.h"
#include "base/text.h"
#include "base/util.h"
#include "cmd/list_row.h"
#include "elf/elf_file.h"
#include "cmd/sig_opt.h"

#define MAX_SEEN 65536 /* files of a process */

enum { KEY_JSON = 256, KEY_SIG, KEY_NO_LINES };

struct list {
	bool json, no_lines;
	struct sig_set *sigs;
	struct sig_check *check;
	char **target;
	int target_cnt;

	u32 files, with_probes; /* of the target at hand */
	const char *looked_at;	/* of the last file without probes */
	struct {
		u64 dev, ino;
	} *seen;
	u32 seen_cnt;
	int mem;
	u32 pid;
	bool blind; /* the process's memory could not be read */
};

/* --- one file ------------------------------------------------------------------------------------------------------ */

static void print_file_head(const struct list *l, const struct elf_file *f)
{
	text__print(stdout, f->path, strlen(f->path));
	printf(": %u probe site%s, %u callsite%s\n", f->site_cnt, f->site_cnt == 1 ? "" : "s",
	       f->tape_site_cnt, f->tape_site_cnt == 1 ? "" : "s");
	if (f->bad_note_cnt)
		printf("  %u damaged entr%s left out: %s\n", f->bad_note_cnt,
		       f->bad_note_cnt == 1 ? "y" : "ies", f->bad_note);
	list_row__print_head(stdout);
}

static void print_file_json(const struct list *l, const struct elf_file *f)
{
	fputs("{\"type\":\"binary\",\"path\":", stdout);
	text__json(stdout, f->path, strlen(f->path));
	fputs(",\"pid\":", stdout);
	if (l->pid)
		printf("%u", l->pid);
	else
		fputs("null", stdout);
	fputs(",\"build_id\":\"", stdout);
	for (u32 i = 0; i < f->build_id_bytes; i++)
		printf("%02x", f->build_id[i]);
	printf("\",\"sites\":%u,\"callsites\":%u,\"damaged\":%u,\"why_damaged\":", f->site_cnt,
	       f->tape_site_cnt, f->bad_note_cnt);
	if (f->bad_note)
		text__json(stdout, f->bad_note, strlen(f->bad_note));
	else
		fputs("null", stdout);
	fputs("}\n", stdout);
}

static void print_row(const struct list *l, const struct elf_file *f, const struct list_row *r)
{
	if (l->json)
		list_row__print_json(r, f->path, stdout);
	else
		list_row__print(r, stdout);
}

/* Compilers put floating-point constants at labels of their own, which neither assembler nor linker passes on. */
static bool at_dropped_label(const struct list_row *r)
{
	for (u32 i = 0; i < r->field_cnt; i++)
		if (r->field[i].unreadable && r->field[i].operand && strstr(r->field[i].operand, "@.L"))
			return true;
	return false;
}

static void show_file(struct list *l, struct elf_file *f, const struct list_process *p)
{
	bool dropped = false;
	struct list_row r;

	l->files++;
	sig_check__file(l->check, f);
	if (!f->site_cnt && !f->tape_site_cnt && !f->bad_note_cnt) {
		l->looked_at = f->looked_at;
		return;
	}
	if (!l->json && l->with_probes)
		putchar('\n');
	l->with_probes++;
	if (!l->no_lines)
		elf_file__resolve_lines(f);
	if (l->json)
		print_file_json(l, f);
	else
		print_file_head(l, f);
	for (u32 i = 0; i < f->tape_site_cnt; i++) {
		list_row__tape(&r, f, &f->tape_site[i], p);
		print_row(l, f, &r);
	}
	for (u32 i = 0; i < f->site_cnt; i++) {
		list_row__foreign(&r, f, &f->site[i], l->sigs, p);
		print_row(l, f, &r);
		dropped |= at_dropped_label(&r);
	}
	if (dropped && !l->json)
		puts("  constants at a label .L...: that is not in the file. Readable if built with -Wa,-L and linked with "
		     "-Wl,--discard-none, or if a variable is passed");
}

static int list_file(struct list *l, const char *path, struct diag *d)
{
	struct elf_file *f;
	int err;

	err = elf_file__open(path, NULL, &f, d);
	if (err) {
		if (!d->hint[0])
			diag__hint(d, "give a process id, or the path of a program or library that may be read");
		return err;
	}
	show_file(l, f, NULL);
	if (!l->with_probes) {
		diag__set(d, -ENOENT, "%s: no probes: %s", path, f->looked_at);
		diag__hint(d, "probes come from <sys/sdt.h>, from tape.h, or from a library: list "
			      "the process to see its libraries too");
		err = -ENOENT;
	}
	elf_file__free(f);
	return err;
}

/* --- a process ------------------------------------------------------------------------------------------------------- */

/* Was this file shown already? A library is mapped once, but a file may have several executable segments. */
static bool seen_before(struct list *l, const struct elf_file *f)
{
	for (u32 i = 0; i < l->seen_cnt; i++) {
		if (l->seen[i].dev == f->dev && l->seen[i].ino == f->ino)
			return true;
	}
	if (l->seen_cnt == MAX_SEEN)
		return true;
	if (l->seen_cnt % 64 == 0) {
		void *grown = realloc(l->seen, (l->seen_cnt + 64) * sizeof(*l->seen));

		if (!grown)
			return true;
		l->seen = grown;
	}
	l->seen[l->seen_cnt].dev = f->dev;
	l->seen[l->seen_cnt++].ino = f->ino;
	return false;
}

static int list_mapping(void *ctx, const struct proc_map *m)
{
	struct list *l = ctx;
	struct list_process p = { .mem = l->mem };
	__close_fd int fd = procfs__open_map(l->pid, m);
	struct elf_file *f;
	char path[64];
	u64 addr;

	if (fd < 0)
		return 0; /* unmapped meanwhile, or no file that we can open */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (elf_file__open(path, m->path, &f, NULL))
		return 0; /* mapped executable, but not ELF: code of a just-in-time compiler */
	if (!seen_before(l, f)) {
		if (elf_file__addr(f, m->offset, &addr))
			p.mem = -1;
		else
			p.bias = m->start - addr;
		show_file(l, f, &p);
	}
	elf_file__free(f);
	return 0;
}

static int list_pid(struct list *l, u32 pid, struct diag *d)
{
	char path[64];
	int err;

	l->pid = pid;
	snprintf(path, sizeof(path), "/proc/%u/mem", pid);
	l->mem = open(path, O_RDONLY | O_CLOEXEC);
	l->blind = l->mem < 0;
	err = procfs__maps(pid, list_mapping, l);
	if (l->mem >= 0)
		close(l->mem);
	if (err == -ESRCH || !procfs__alive(pid)) {
		diag__set(d, -ESRCH, "no process %u", pid);
		diag__hint(d, "a file whose name is a number: ./%u", pid);
		return -ESRCH;
	}
	if (err || !l->files) {
		diag__set(d, err ? err : -EACCES, "process %u: its memory map cannot be read: %s", pid,
			  strerror(err ? -err : EACCES));
		diag__hint(d, "run as the process's user or as root (CAP_SYS_PTRACE)");
		return err ? err : -EACCES;
	}
	if (!l->with_probes) {
		diag__set(d, -ENOENT, "process %u: no probes in the %u files that it has mapped", pid,
			  l->files);
		diag__hint(d, "probes come from <sys/sdt.h> or from tape.h");
		return -ENOENT;
	}
	return 0;
}

/* --- command line ------------------------------------------------------------------------------------------------------ */

static bool is_pid(const char *s, u32 *pid)
{
	u64 v = 0;

	for (*pid = 0; *s >= '0' && *s <= '9' && v <= UINT32_MAX; s++)
		v = v * 10 + (u64)(*s - '0');
	*pid = (u32)v;
	return !*s && v && v <= INT32_MAX;
}

static int list_target(struct list *l, const char *target)
{
	struct diag d = { 0 };
	u32 pid;
	int err;

	l->files = l->with_probes = l->seen_cnt = l->pid = 0;
	l->blind = false;
	err = is_pid(target, &pid) ? list_pid(l, pid, &d) : list_file(l, target, &d);
	cmd__output_error(); /* before what may follow on standard error */
	if (err)
		return cmd__fail(EXIT_FAILED, &d);
	if (l->blind) {
		diag__set(&d, 0, "process %u: its memory cannot be read, so whether sites are armed is not "
				 "known", pid);
		diag__hint(&d, "run as root (CAP_SYS_PTRACE)");
		cmd__fail(EXIT_DONE, &d);
	}
	return EXIT_DONE;
}

static const struct argp_option options[] = {
	{ "json", KEY_JSON, NULL, 0, "one JSON object a line: binaries and their sites", 0 },
	{ "sig", KEY_SIG, "SIG|@FILE", 0,
	  "names and types of a plain probe's arguments, as for recording; may be given again", 0 },
	{ "no-lines", KEY_NO_LINES, NULL, 0, "do not look for source lines (DWARF)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct list *l = state->input;

	switch (key) {
	case KEY_JSON:
		l->json = true;
		return 0;
	case KEY_NO_LINES:
		l->no_lines = true;
		return 0;
	case KEY_SIG:
		sig_opt__add(state, l->sigs, arg);
		return 0;
	case ARGP_KEY_ARGS:
		l->target = state->argv + state->next;
		l->target_cnt = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a process id or a file is missing");
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "PID|FILE...",
	.doc = "Show the probe sites and callsites of a process or file.\v"
	       "KIND is span or event for callsites of tape.h, probe for plain stapsdt probes. STATE: found (in "
	       "the file); and of a process: idle (nobody attached), attached (a breakpoint is on it), armed "
	       "(tape.h records here), unusable (and why). SEMAPHORE: its value in the process, yes where it "
	       "is not known, or none. FIELDS: name, type, and for plain probes the operand in the note; "
	       "an argument that BPF cannot read is named so and left out of records.\n\n"
	       "Exit status: 0 shown, 1 no probes or not readable, 2 wrong usage.",
};

int cmd_list(int argc, char **argv)
{
	struct list l = { .sigs = sig_set__new() };
	int status = EXIT_DONE;

	if (!l.sigs)
		return EXIT_FAILED;
	argp_err_exit_status = EXIT_USAGE;
	argv[0] = (char *)"tapebpf list";
	argp_parse(&argp, argc, argv, 0, NULL, &l);
	l.check = sig_check__new(l.sigs);
	if (!l.check)
		return EXIT_FAILED;
	for (int i = 0; i < l.target_cnt; i++) {
		int s = list_target(&l, l.target[i]);

		status = MAX(status, s);
		if (!l.json && i + 1 < l.target_cnt)
			putchar('\n');
	}
	status = MAX(status, cmd__output_done("the list"));
	sig_opt__tell(l.check);
	sig_check__free(l.check);
	free(l.seen);
	sig_set__free(l.sigs);
	return status;
}
