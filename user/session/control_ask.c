/* SPDX-License-Identifier: MIT */
/* control_ask.c - the asker's side of the socket, and what both sides know of its place and its texts. */
#include "session/control_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* --- where ------------------------------------------------------------------------------------------------------- */

static int path_too_long(const char *path, struct diag *d)
{
	diag__set(d, -ENAMETOOLONG, "the socket's path is too long (at most %zu bytes): %s",
		  sizeof(((struct sockaddr_un *)0)->sun_path) - 1, path);
	diag__hint(d, "a shorter one with --socket");
	return -ENAMETOOLONG;
}

int control__path(const char *name, char *path, size_t bytes, struct diag *d)
{
	const char *run = geteuid() ? getenv("XDG_RUNTIME_DIR") : "/run";

	if (!*name || strchr(name, '/') || name[0] == '.')
		return diag__set(d, -EINVAL, "not a name for a recorder: '%s' (letters without '/')", name);
	if (!run || run[0] != '/') {
		diag__set(d, -ENOENT, "there is no folder for sockets of this user: XDG_RUNTIME_DIR is not set");
		diag__hint(d, "say where with --socket PATH");
		return -ENOENT;
	}
	if (snprintf(path, bytes, "%s/tapebpf/%s.sock", run, name) >= (int)bytes)
		return path_too_long(name, d);
	return 0;
}

int control__address(const char *path, struct sockaddr_un *sa, struct diag *d)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path) { /* to the kernel that is an address of another kind */
		diag__set(d, -EINVAL, "the socket's path is empty");
		diag__hint(d, "say where with --socket PATH, or --name");
		return -EINVAL;
	}
	if (strlen(path) >= sizeof(sa->sun_path))
		return path_too_long(path, d);
	memcpy(sa->sun_path, path, strlen(path) + 1);
	return 0;
}

bool control__get(const char *text, const char *key, char *dst, size_t bytes)
{
	size_t len = strlen(key), n;
	const char *line;

	for (line = strchr(text, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
		if (strncmp(line + 1, key, len) || line[1 + len] != ' ')
			continue;
		line += 2 + len;
		n = MIN(strcspn(line, "\n"), bytes - 1);
		memcpy(dst, line, n);
		dst[n] = '\0';
		return true;
	}
	return false;
}

/* --- is anybody there? ----------------------------------------------------------------------------------------------- */

static int try_connect(const char *path, struct diag *d)
{
	struct sockaddr_un sa;
	int fd, err = control__address(path, &sa, d);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return diag__set(d, -errno, "cannot make a socket: %s", strerror(errno));
	if (!connect(fd, (const void *)&sa, sizeof(sa)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static bool listens(const char *path)
{
	struct diag ignored;
	int fd = try_connect(path, &ignored);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

static bool is_socket_name(const char *name, size_t *stem)
{
	static const char ending[] = ".sock";
	size_t n = strlen(name);

	*stem = n - MIN(n, sizeof(ending) - 1);
	return *stem && name[0] != '.' && !strcmp(name + *stem, ending);
}

/* The folder that control__path names: there a recorder has a name. */
static bool is_own_folder(const char *dir, size_t bytes)
{
	return bytes >= 8 && !memcmp(dir + bytes - 8, "/tapebpf", 8);
}

/* The recorders that listen in the folder of `path`, by the options that say so, as many as there is room for. Returns how many. */
static u32 others_beside(const char *path, char *dst, size_t bytes)
{
	const char *slash = strrchr(path, '/');
	size_t dir_bytes = slash ? (size_t)(slash - path) : 0, used = 0, stem;
	bool named = is_own_folder(path, dir_bytes);
	char dir[256], other[600];
	struct dirent *e;
	u32 n = 0;
	DIR *all;

	snprintf(dir, sizeof(dir), "%.*s/", slash ? (int)dir_bytes : 1, slash ? path : ".");
	all = opendir(dir);
	while (all && (e = readdir(all))) {
		int shown = snprintf(other, sizeof(other), "%s%s", dir, e->d_name);

		if (!is_socket_name(e->d_name, &stem) || used + (size_t)shown + 16 > bytes || !listens(other))
			continue;
		used += (size_t)sprintf(dst + used, "%s%s %.*s", n++ ? ", " : "", named ? "--name" : "--socket",
					named ? (int)stem : shown, named ? e->d_name : other);
	}
	if (all)
		closedir(all);
	return n;
}

static void hint_others(const char *path, struct diag *d)
{
	char others[400];
	u32 n = others_beside(path, others, sizeof(others));

	if (n)
		diag__hint(d, "%s: %s", n == 1 ? "the one that is running" : "one of those that are running", others);
	else
		diag__hint(d, "start one: tapebpf flight -p PID; or say which one with --name or --socket%s",
			   geteuid() ? "; with sudo, if it is root's" : "");
}

/* Not allowed to connect: because of the socket, or did we not even get to see whether there is one? */
static int refused(const char *path, struct diag *d)
{
	struct stat st;
	bool seen = !stat(path, &st);

	if (seen && !S_ISSOCK(st.st_mode)) {
		diag__set(d, -EACCES, "%s is no socket", path);
		hint_others(path, d);
	} else if (!seen) {
		diag__set(d, -EACCES, "no flight recorder that you may ask: the folder of %s cannot be looked into", path);
		diag__hint(d, "sudo, or su to the user who runs the recorder (`ps -C tapebpf -o user,pid,args` shows); or --name or --socket of another one");
	} else {
		diag__set(d, -EACCES, "not allowed to ask the recorder at %s: only root and the user who runs it (uid %u) are", path, st.st_uid);
		diag__hint(d, "sudo; or one of your own, with --name or --socket");
	}
	return -EACCES;
}

int control__connect(const char *path, struct diag *d)
{
	struct stat st;
	int err;

	d->text[0] = d->hint[0] = '\0';
	err = try_connect(path, d);
	if (err >= 0 || d->text[0])
		return err;
	if (err == -EACCES)
		return refused(path, d);
	/* the kernel says of any file that nobody listens on it */
	if (err == -ECONNREFUSED && !stat(path, &st) && !S_ISSOCK(st.st_mode)) {
		diag__set(d, err, "%s is no socket", path);
	} else if (err == -EPROTOTYPE) {
		diag__set(d, err, "%s is somebody's socket, but no flight recorder's", path);
	} else if (err == -ECONNREFUSED) {
		diag__set(d, err, "no flight recorder is listening on %s any more: it ended without tidying up", path);
	} else if (err == -ENOENT) {
		diag__set(d, err, "no flight recorder is listening on %s", path);
	} else {
		diag__set(d, err, "cannot connect to %s: %s", path, strerror(-err));
	}
	hint_others(path, d);
	return err;
}

static int send_request(int sock, const char *request, int fd)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { (void *)request, strlen(request) };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	struct cmsghdr *h;

	if (fd >= 0) {
		m.msg_control = space;
		m.msg_controllen = sizeof(space);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int control__ask(int sock, const char *request, int fd, char **answer, size_t *bytes, struct diag *d)
{
	char *buf = malloc(CONTROL_MAX_BYTES + 1), *end;
	int err = buf ? send_request(sock, request, fd) : -ENOMEM;
	ssize_t n = 0;

	/* a refusal may have come before we could ask; if it came before our question was read, a reset is told first, once */
	if (!err || err == -EPIPE) {
		bool reset = false;

		do {
			n = recv(sock, buf, CONTROL_MAX_BYTES, 0);
			reset = n < 0 && errno == ECONNRESET && !reset;
		} while (n < 0 && (errno == EINTR || reset));
		err = n < 0 ? -errno : 0;
	}
	if (!err && !n)
		err = diag__set(d, -ECONNRESET, "the recorder ended before it answered");
	else if (err)
		diag__set(d, err, "asking the recorder: %s", strerror(-err));
	if (err) {
		free(buf);
		return err;
	}
	buf[n] = '\0';
	if (!strncmp(buf, "error ", 6)) {
		end = strchr(buf, '\n');
		diag__set(d, -EREMOTEIO, "%.*s", end ? (int)(end - buf - 6) : (int)n - 6, buf + 6);
		if (end && !strncmp(end + 1, "try ", 4))
			diag__hint(d, "%.*s", (int)strcspn(end + 5, "\n"), end + 5);
		free(buf);
		return -EREMOTEIO;
	}
	*answer = buf;
	*bytes = (size_t)n;
	return 0;
}
