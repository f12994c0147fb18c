/* SPDX-License-Identifier: MIT */
/* session_targets.c - who is recorded: files, processes, binaries, children. The order of things is told in session.c. */
#include "session/session_priv.h"

#include "base/procfs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void note(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct session *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!s->opts.note)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->opts.note(s->opts.ctx, text);
}

static int on_page(void *ctx, const struct wire_batch *b, size_t bytes)
{
	struct session *s = ctx;

	if (s->flight)
		flight__adopt(s->flight, b, bytes);
	return s->decode ? ingest__adopt(s->ingest, b, bytes) : 0;
}

/* --- files ---------------------------------------------------------------------------------------------- */

struct add_ctx {
	struct session *s;
	u32 pid;
	bool adopt, sandbox_told;
	u64 ino; /* the mapping that is looked for, or 0 */
	bool found;
	u32 looked, with_probes;
	char last[256]; /* what was looked at, for "no probes" */
	struct diag diag; /* the first real failure */
	int err;
};

static void adopt(struct session *s, u32 pid, const struct session_file *f, const struct proc_map *m)
{
	u64 link;
	int n;

	if (!f->elf->module_addr || elf_file__addr(f->elf, m->offset, &link))
		return;
	n = attach__adopt(s->attach, pid, f->module, m->start - link + f->elf->module_addr, on_page, s);
	if (n > 0)
		note(s, "process %u: %d thread buffers of %s adopted", pid, n, f->shown);
}

/* What --sig says of the file's probes: before they are attached, as texts have to be fetched otherwise. */
static void apply_sigs(struct session *s, struct elf_file *f)
{
	sig_check__file(s->sigs, f);
	for (u32 i = 0; s->opts.sigs && i < f->site_cnt; i++) {
		struct elf_site *site = &f->site[i];
		const struct sig *sig = sig_set__find(s->opts.sigs, site->provider, site->name);

		if (sig)
			sig__apply(sig, site->arg_cnt, site->arg);
	}
}

void session__tell_sigs(struct session *s, bool final)
{
	if (s->opts.warn)
		sig_check__tell(s->sigs, final, s->opts.warn, s->opts.ctx);
}

/*
 * Plain sites that are good and yet could not be attached will be missed: they are named without being asked for. What is
 * bad in the file itself (`was_bad`, a byte a site) is told by `tapebpf list`.
 */
static void tell_refused(struct session *s, const struct session_file *f, const u8 *was_bad, const struct diag *d)
{
	const struct elf_site *first = NULL;
	char text[1024];
	u32 cnt = 0;

	for (u32 i = 0; was_bad && i < f->elf->site_cnt; i++) {
		if (was_bad[i] || !f->elf->site[i].bad)
			continue;
		first = first ? first : &f->elf->site[i];
		cnt++;
	}
	if (!cnt || !s->opts.warn)
		return;
	snprintf(text, sizeof(text), "%s: %u of %u probe sites will not be recorded, %s:%s first: %s%s%s", f->shown,
		 cnt, f->elf->site_cnt, first->provider, first->name, first->bad, d->hint[0] ? "; try: " : "",
		 d->hint);
	s->opts.warn(s->opts.ctx, text);
}

static u8 *bad_sites(const struct elf_file *f)
{
	u8 *bad = calloc(f->site_cnt ? f->site_cnt : 1, 1);

	for (u32 i = 0; bad && i < f->site_cnt; i++)
		bad[i] = f->site[i].bad != NULL;
	return bad;
}

/* Attach a file once. Returns it if it has probes, NULL (and d, if it is a failure) if not. */
static struct session_file *attach_file(struct session *s, struct session_file *f, int pid, bool any,
					struct diag *d)
{
	struct attach_file_opts o = { .sz = sizeof(o), .pid = pid, .any = any };
	__free_ptr u8 *was_bad = NULL;
	struct diag why = { 0 };
	int err;

	if (f->attached || f->failed)
		return f->attached ? f : NULL;
	if (!f->elf->site_cnt && !f->elf->tape_site_cnt)
		return NULL;
	o.module = f->module;
	o.first_site = f->first_site;
	o.path = f->open_path;
	was_bad = bad_sites(f->elf);
	apply_sigs(s, f->elf);
	err = model__add_file(s->model, f->elf, f->module, f->first_site);
	if (err) {
		diag__set(d, err, "cannot keep the callsites of %s: %s", f->shown, strerror(-err));
		return NULL;
	}
	if (s->flight)
		flight__file(s->flight, f->elf, f->module, f->first_site);
	err = attach__add_file(s->attach, f->elf, &o, &why);
	/* -EBUSY: some sites are held by another tracer, the rest is attached */
	if (err && err != -EBUSY) {
		f->failed = true;
		*d = why;
		return NULL;
	}
	f->attached = true;
	note(s, "%s: %u plain sites, %u tape.h callsites%s%s", f->shown, f->elf->site_cnt,
	     f->elf->tape_site_cnt, err ? "; " : "", err ? why.text : "");
	tell_refused(s, f, was_bad, &why);
	return f;
}

static int link_pid(const struct session *s, u32 pid)
{
	return s->opts.follow ? -1 : (int)pid;
}

/*
 * The first record of a thread asks the kernel for memory. A sandbox may kill for that, and then it is the recorder that has killed:
 * it is not done where it is certain, and told where it is not known.
 */
static int check_sandbox(struct add_ctx *a, const struct session_file *f)
{
	struct session *s = a->s;
	char text[512];
	int mode;

	if (!f->elf->tape_site_cnt || f->attached || a->sandbox_told)
		return 0;
	a->sandbox_told = true;
	mode = procfs__seccomp(a->pid);
	if (mode == 1) {
		diag__set(&a->diag, -EPERM, "process %u is in seccomp's strict mode: with its first record of tape.h the "
			  "kernel would kill it", a->pid);
		diag__hint(&a->diag, "plain probes (sys/sdt.h) need no system call; or a filter that allows what tape.h lists");
		return -EPERM;
	}
	if (mode != 2 || !s->opts.warn)
		return 0;
	snprintf(text, sizeof(text), "process %u runs under a filter of system calls: if that kills for mmap, munmap, madvise, mlock, "
		 "rt_sigprocmask, getpid or gettid, recording tape.h ends the process", a->pid);
	s->opts.warn(s->opts.ctx, text);
	return 0;
}

static int add_map(void *ctx, const struct proc_map *m)
{
	struct add_ctx *a = ctx;
	struct session *s = a->s;
	struct diag d = { 0 };
	struct session_file *f;
	int fd, err;

	fd = procfs__open_map(a->pid, m);
	if (fd < 0) {
		/* [vdso] and files we may not read have no probes that we could attach */
		if (fd == -EACCES || fd == -EPERM)
			a->err = fd;
		return 0;
	}
	a->found |= m->ino == a->ino;
	err = session_files__get(s->files, fd, m->path, &f, &d);
	if (err) {
		if (!a->diag.text[0] && err != -ENOEXEC)
			a->diag = d;
		return 0;
	}
	a->looked++;
	if (check_sandbox(a, f))
		return -EPERM;
	if (!attach_file(s, f, link_pid(s, a->pid), false, &d)) {
		if (d.text[0] && !a->diag.text[0])
			a->diag = d;
		if (a->looked == 1)
			snprintf(a->last, sizeof(a->last), "%s: %s", f->shown,
				 f->elf->looked_at ? f->elf->looked_at : "no usable probe");
		return 0;
	}
	a->with_probes++;
	if (a->adopt)
		adopt(s, a->pid, f, m);
	return 0;
}

/* Attach every file a process maps, adopt its pages. ino: one to look out for, or 0. */
static int add_maps(struct session *s, u32 pid, u64 ino, struct add_ctx *a)
{
	*a = (struct add_ctx){ .s = s, .pid = pid, .ino = ino, .adopt = true };
	return procfs__maps(pid, add_map, a);
}

void session__mapped(void *ctx, u32 pid, u64 addr, u64 file_offset, u64 dev, u64 ino, const char *path)
{
	struct session *s = ctx;
	/* unmapped since (dlclose): by its name, or it would be missed each time that it is mapped for a moment */
	struct proc_map gone = { .ino = ino, .path = path ? path : "" };
	struct add_ctx a;
	int err;

	if (path && session_files__seen(s->files, dev, ino))
		return;
	err = add_maps(s, pid, ino, &a);
	if (path && !a.found && procfs__alive(pid)) {
		a.adopt = false;
		err = add_map(&a, &gone);
	}
	/* of a process that is gone nothing can be said; the file may come again */
	if (path && (a.found || procfs__alive(pid)))
		session_files__see(s->files, dev, ino);
	if (!err && a.diag.text[0])
		note(s, "process %u: %s", pid, a.diag.text);
}

/* --- targets -------------------------------------------------------------------------------------------- */

static int ended(u32 pid, struct diag *d)
{
	diag__set(d, -ESRCH, "process %u ended before it could be attached", pid);
	diag__hint(d, "`tapebpf -- CMD` or -b FILE records a program from its start");
	return -ESRCH;
}

int session__add_pid(struct session *s, u32 pid, struct diag *d)
{
	struct add_ctx a;
	int err;

	if (!procfs__alive(pid)) {
		diag__set(d, -ESRCH, "no process %u", pid);
		diag__hint(d, "`pgrep -l NAME` tells the ids of running processes");
		return -ESRCH;
	}
	if (procfs__tgid(pid) != pid) {
		diag__set(d, -ESRCH, "%u is a thread, not a process", pid);
		diag__hint(d, "-p %u, the process it belongs to", procfs__tgid(pid));
		return -ESRCH;
	}
	err = attach__add_target(s->attach, pid, d);
	if (err)
		return err;
	err = add_maps(s, pid, 0, &a);
	if (!procfs__alive(pid))
		return ended(pid, d);
	if (err == -EPERM && a.diag.text[0]) {
		*d = a.diag;
		return err;
	}
	if (err < 0) {
		diag__set(d, err, "cannot read the memory map of process %u: %s", pid, strerror(-err));
		diag__hint(d, "run as root, or with CAP_SYS_PTRACE; see tapebpf doctor");
		return err;
	}
	if (a.with_probes)
		return model__process(s->model, pid, clock__mono_ns());
	if (a.diag.text[0]) {
		*d = a.diag;
		return -EIO;
	}
	if (!a.looked) {
		diag__set(d, a.err ? a.err : -ENOENT, "cannot read the files that process %u maps: %s", pid,
			  a.err ? strerror(-a.err) : "none is mapped");
		diag__hint(d, a.err ? "run as root, or with CAP_SYS_PTRACE; see tapebpf doctor" :
				      "a kernel thread or a process that is ending has no program to record");
		return a.err ? a.err : -ENOENT;
	}
	diag__set(d, -ENOENT, "process %u has no probes: looked at %u files; %s", pid, a.looked, a.last);
	diag__hint(d, "include tape.h or sys/sdt.h in the program; `tapebpf list %u` shows what was looked at",
		   pid);
	return -ENOENT;
}

struct users {
	struct session *s;
	struct stat st; /* of the binary */
	u32 pid, found;
};

/*
 * Files of two file systems may share a number. An overlay shows a file of its lower layer, which is the same to the
 * kernel's uprobes, under the same number and another device: it is told by its size and time.
 */
static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && (a->st_dev == b->st_dev || (a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec));
}

static int match_map(void *ctx, const struct proc_map *m)
{
	struct users *u = ctx;
	struct stat st;

	if (m->ino != u->st.st_ino)
		return 0;
	__close_fd int fd = procfs__open_map(u->pid, m);

	return fd >= 0 && !fstat(fd, &st) && same_file(&st, &u->st);
}

static int add_user(void *ctx, u32 pid)
{
	struct users *u = ctx;
	struct add_ctx a;
	struct diag d;

	u->pid = pid;
	if (pid == (u32)getpid() || procfs__maps(pid, match_map, u) <= 0)
		return 0;
	if (attach__add_target(u->s->attach, pid, &d))
		return 0;
	add_maps(u->s, pid, 0, &a);
	u->found++;
	return 0;
}

static int open_file(struct session *s, const char *path, struct session_file **f, struct diag *d)
{
	/* not blocking: somebody may name a pipe, which is refused a little later */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0) {
		err = -errno;
		return diag__set(d, err, "cannot open %s: %s", path, strerror(-err));
	}
	return session_files__get(s->files, fd, path, f, d);
}

int session__add_binary(struct session *s, const char *path, struct diag *d)
{
	struct session_file *f;
	struct users u = { .s = s };
	int err = open_file(s, path, &f, d);

	if (err) {
		if (!d->hint[0])
			diag__hint(d, "give -b the path of a program or library (ELF) that may be read");
		return err;
	}
	if (!f->elf->site_cnt && !f->elf->tape_site_cnt) {
		diag__set(d, -ENOENT, "%s has no probes: %s", path,
			  f->elf->looked_at ? f->elf->looked_at : "no usable note");
		diag__hint(d, "include tape.h or sys/sdt.h in the program, and do not strip .note.stapsdt");
		return -ENOENT;
	}
	err = attach__add_binary(s->attach, f->elf->dev, f->elf->ino);
	if (err)
		return diag__set(d, err, "cannot watch for processes of %s: %s", path, strerror(-err));
	d->text[0] = '\0';
	if (!attach_file(s, f, -1, true, d))
		return -EIO;
	if (fstat(f->fd, &u.st))
		return diag__set(d, -errno, "cannot stat %s: %s", path, strerror(errno));
	procfs__each(add_user, &u);
	note(s, "%s: %u processes now", path, u.found);
	s->forever = true;
	return 0;
}

/* A program, but none that could be recorded: whoever waits for its records should know from the beginning. */
static void warn_unreadable(struct session *s, const char *path)
{
	__close_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char magic[SELFMAG], text[sizeof(s->no_probes) + 64];

	if (!s->opts.warn || fd < 0 || pread(fd, magic, sizeof(magic), 0) != sizeof(magic) || memcmp(magic, ELFMAG, SELFMAG))
		return;
	snprintf(text, sizeof(text), "the command itself will not be recorded: %s", s->no_probes);
	s->opts.warn(s->opts.ctx, text);
}

int session__add_child(struct session *s, u32 pid, const char *path, char *const *libs, struct diag *d)
{
	struct session_file *f;
	u32 probes = 0;
	int err = attach__add_target(s->attach, pid, d);

	if (!err)
		err = open_file(s, path, &f, d);
	/* a script: its interpreter and whatever that maps are found when they are mapped */
	if (err == -ENOEXEC) {
		snprintf(s->no_probes, sizeof(s->no_probes), "%s", d->text);
		warn_unreadable(s, path);
		return 0;
	}
	if (err)
		return err;
	d->text[0] = '\0';
	if (attach_file(s, f, link_pid(s, pid), false, d))
		probes++;
	else if (d->text[0])
		return -EIO;
	else
		snprintf(s->no_probes, sizeof(s->no_probes), "%s: %s", path,
			 f->elf->looked_at ? f->elf->looked_at : "no usable probe");
	for (; libs && *libs; libs++) {
		struct diag ignored;

		if (!open_file(s, *libs, &f, &ignored) && attach_file(s, f, link_pid(s, pid), false, &ignored))
			probes++;
	}
	note(s, "%s: %u files with probes attached before it starts", path, probes);
	return 0;
}

/* Counting walks a map of the kernel's, which costs as much as a round does otherwise: only when somebody came or went, and now and
 * then for the one whose end was lost. */
#define COUNT_NS NSEC_PER_SEC

u32 session__targets(struct session *s)
{
	u64 now = clock__mono_ns();

	if (!s->lives_told && now < s->next_count_ns)
		return s->target_cnt;
	s->lives_told = false;
	s->next_count_ns = now + COUNT_NS;
	s->target_cnt = attach__targets(s->attach, now);
	return s->target_cnt;
}

bool session__forever(const struct session *s)
{
	return s->forever;
}
