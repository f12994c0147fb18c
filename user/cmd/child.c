/* SPDX-License-Identifier: MIT */
/*
 * child.c - a command that waits to be attached before it runs.
 *
 * The child sits in read(2) between fork and exec while the parent attaches the file and the libraries that the
 * dynamic linker would map for it. Which libraries those are, the linker itself is asked (`ld.so --list FILE`, which maps
 * but does not run them); what that misses (dlopen, LD_AUDIT, an interpreter's script) is noticed by mapping
 * events a moment after it is mapped.
 */
#include "cmd/child.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MAX_LIBS 512

static bool runnable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* As execvp searches. malloc'ed. */
static char *find_command(const char *name)
{
	const char *path = getenv("PATH"), *p;
	char *full = NULL;

	if (strchr(name, '/'))
		return runnable(name) ? strdup(name) : NULL;
	for (p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
		int n = (int)strcspn(p, ":");

		if (asprintf(&full, "%.*s/%s", n ? n : 1, n ? p : ".", name) < 0)
			return NULL;
		if (runnable(full))
			return full;
		free(full);
		p += n + (p[n] == ':');
	}
	return NULL;
}

/* Path of the ELF interpreter (PT_INTERP) into dst; false: statically linked, a script, or broken. */
static bool find_interp(const char *path, char *dst, size_t bytes)
{
	__close_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (fd < 0 || pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64)
		return false;
	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), (off_t)(eh.e_phoff + i * sizeof(ph))) != sizeof(ph))
			return false;
		if (ph.p_type != PT_INTERP || !ph.p_filesz || ph.p_filesz > bytes)
			continue;
		if (pread(fd, dst, ph.p_filesz, (off_t)ph.p_offset) != (ssize_t)ph.p_filesz)
			return false;
		return !dst[ph.p_filesz - 1] && dst[0] == '/';
	}
	return false;
}

/* Lines of `ld.so --list`: "\tlibc.so.6 => /lib/.../libc.so.6 (0x...)" */
static char *parse_lib(char *line)
{
	char *p = strstr(line, "=> ");
	char *end;

	p = p ? p + 3 : line + strspn(line, " \t");
	end = strstr(p, " (0x");
	if (*p != '/' || !end)
		return NULL;
	*end = '\0';
	return strdup(p);
}

static char **read_libs(FILE *f)
{
	char **libs = calloc(MAX_LIBS + 1, sizeof(*libs));
	char *line = NULL;
	size_t cap = 0, n = 0;

	while (libs && n < MAX_LIBS && getline(&line, &cap, f) > 0) {
		libs[n] = parse_lib(line);
		n += libs[n] != NULL;
	}
	free(line);
	return libs;
}

static char **list_libs(const char *path)
{
	char interp[4096];
	int fds[2];
	pid_t pid;
	char **libs;
	FILE *f;

	if (!find_interp(path, interp, sizeof(interp)) || pipe2(fds, O_CLOEXEC))
		return NULL;
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, 0);
		dup2(fds[1], 1);
		dup2(null, 2);
		execl(interp, interp, "--list", path, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	f = pid > 0 ? fdopen(fds[0], "r") : NULL;
	if (!f) {
		close(fds[0]);
		return NULL;
	}
	libs = read_libs(f);
	fclose(f);
	waitpid(pid, NULL, 0);
	return libs;
}

/* In the child: wait for the word, then become the command. Nothing here may touch the parent's state. */
static void __attribute__((noreturn)) wait_and_exec(int go_fd, int fail_fd, const char *path, char **argv)
{
	char byte;
	int err;

	if (read(go_fd, &byte, 1) != 1)
		_exit(127); /* the recorder gave up */
	execv(path, argv);
	/* a script without #! is run by the shell, as execvp does */
	if (errno == ENOEXEC)
		execvp(path, argv);
	err = errno;
	while (write(fail_fd, &err, sizeof(err)) < 0 && errno == EINTR)
		;
	_exit(127);
}

int child__start(struct child *c, char **argv, struct diag *d)
{
	int go[2], fail[2];

	*c = (struct child){ .go_fd = -1, .fail_fd = -1 };
	c->path = find_command(argv[0]);
	if (!c->path && strchr(argv[0], '/') && !access(argv[0], F_OK)) {
		diag__set(d, -EACCES, "cannot run %s: it is not an executable file", argv[0]);
		diag__hint(d, "chmod +x, if it is a program");
		return -EACCES;
	}
	if (!c->path) {
		diag__set(d, -ENOENT, "cannot run %s: no such command", argv[0]);
		diag__hint(d, "give its path, or check PATH");
		return -ENOENT;
	}
	c->libs = list_libs(c->path);
	if (pipe2(go, O_CLOEXEC))
		return diag__set(d, -errno, "cannot make a pipe: %s", strerror(errno));
	if (pipe2(fail, O_CLOEXEC)) {
		close(go[0]);
		close(go[1]);
		return diag__set(d, -errno, "cannot make a pipe: %s", strerror(errno));
	}
	c->pid = fork();
	if (!c->pid) {
		close(go[1]);
		wait_and_exec(go[0], fail[1], c->path, argv);
	}
	close(go[0]);
	close(fail[1]);
	c->go_fd = go[1];
	c->fail_fd = fail[0];
	if (c->pid < 0) {
		c->pid = 0;
		return diag__set(d, -errno, "cannot fork: %s", strerror(errno));
	}
	return 0;
}

int child__go(struct child *c, struct diag *d)
{
	int err = 0;
	ssize_t n;

	if (write(c->go_fd, "g", 1) != 1)
		return diag__set(d, -ESRCH, "%s ended before it was started", c->path);
	close(c->go_fd);
	c->go_fd = -1;
	do
		n = read(c->fail_fd, &err, sizeof(err)); /* end of file: the exec closed it */
	while (n < 0 && errno == EINTR);
	close(c->fail_fd);
	c->fail_fd = -1;
	if (n == sizeof(err))
		return diag__set(d, -err, "cannot run %s: %s", c->path, strerror(err));
	return 0;
}

bool child__ended(struct child *c)
{
	if (c->pid && !c->reaped && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->reaped = true;
	return c->pid && c->reaped;
}

char *child__fate(const struct child *c, char *dst, size_t bytes)
{
	if (WIFSIGNALED(c->status))
		snprintf(dst, bytes, "was killed by signal %d (%s)%s", WTERMSIG(c->status), strsignal(WTERMSIG(c->status)),
			 WCOREDUMP(c->status) ? ", core dumped" : "");
	else
		snprintf(dst, bytes, "exited with status %d", WEXITSTATUS(c->status));
	return dst;
}

void child__done(struct child *c)
{
	if (c->go_fd >= 0) {
		close(c->go_fd); /* it reads the end of the pipe and leaves */
		if (c->pid && !c->reaped)
			waitpid(c->pid, &c->status, 0);
	}
	if (c->fail_fd >= 0)
		close(c->fail_fd);
	for (char **l = c->libs; l && *l; l++)
		free(*l);
	free(c->libs);
	free(c->path);
	*c = (struct child){ .go_fd = -1, .fail_fd = -1 };
}
