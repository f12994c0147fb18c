/* SPDX-License-Identifier: MIT */
#include "session/control.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MAX_CLIENTS 16
#define SILENT_NS (10 * NSEC_PER_SEC)
#define MAX_REQUEST 4096

struct client {
	struct control *control;
	int fd; /* -1: free */
	bool asked; /* waits for an answer */
	u64 since_ns;
};

struct control {
	struct control_ops ops;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev;
	ino_t ino;
	struct client client[MAX_CLIENTS];
};

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

static int address(const char *path, struct sockaddr_un *sa, struct diag *d)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return path_too_long(path, d);
	memcpy(sa->sun_path, path, strlen(path) + 1);
	return 0;
}

/* --- listening ----------------------------------------------------------------------------------------------------- */

static u32 listener_pid(int sock)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return (u32)cred.pid;
}

/* Something is at the path. 0: it was in nobody's use and is gone. */
static int replace_stale(const struct sockaddr_un *sa, struct diag *d)
{
	__close_fd int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (lstat(sa->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		diag__set(d, -EEXIST, "%s is there and is no socket", sa->sun_path);
		diag__hint(d, "another path with --socket, or another name with --name");
		return -EEXIST;
	}
	if (!connect(probe, (const void *)sa, sizeof(*sa)) || errno == EAGAIN) {
		diag__set(d, -EADDRINUSE, "a flight recorder is listening on %s already: process %u", sa->sun_path,
			  listener_pid(probe));
		diag__hint(d, "--name OTHER for a second one beside it");
		return -EADDRINUSE;
	}
	if (st.st_uid != geteuid()) {
		diag__set(d, -EPERM, "%s belongs to somebody else (uid %u)", sa->sun_path, st.st_uid);
		diag__hint(d, "another path with --socket");
		return -EPERM;
	}
	return unlink(sa->sun_path) && errno != ENOENT ? -errno : 0;
}

/* The folder that control__path names; another one is the user's to make, and bind says that it is missing. */
static void make_folder(const char *path)
{
	static const char own[] = "/tapebpf";
	const char *slash = strrchr(path, '/');
	char dir[256];

	if (!slash || slash - path < (long)strlen(own) || slash - path >= (long)sizeof(dir) ||
	    strncmp(slash - strlen(own), own, strlen(own)))
		return;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	mkdir(dir, 0755);
}

/* Nobody but its owner may even connect. */
static int bind_private(int fd, const struct sockaddr_un *sa)
{
	mode_t mask = umask(0177);
	int err = bind(fd, (const void *)sa, sizeof(*sa)) ? -errno : 0;

	umask(mask);
	return err;
}

static int open_socket(struct control *c, const struct sockaddr_un *sa, struct diag *d)
{
	struct stat st;
	int err;

	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return diag__set(d, -errno, "cannot make a socket: %s", strerror(errno));
	make_folder(sa->sun_path);
	err = bind_private(c->fd, sa);
	if (err == -EADDRINUSE) {
		err = replace_stale(sa, d);
		if (!err)
			err = bind_private(c->fd, sa);
	}
	if (!err && (listen(c->fd, MAX_CLIENTS) || stat(sa->sun_path, &st)))
		err = -errno;
	if (err) {
		if (!d->text[0])
			diag__set(d, err, "cannot listen on %s: %s", sa->sun_path, strerror(-err));
		if (!d->hint[0])
			diag__hint(d, "another path with --socket");
		return err;
	}
	memcpy(c->path, sa->sun_path, sizeof(c->path));
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	return 0;
}

int control__listen(const char *path, const struct control_ops *ops, struct control **out, struct diag *d)
{
	struct control *c = calloc(1, sizeof(*c));
	struct sockaddr_un sa;
	int err;

	d->text[0] = d->hint[0] = '\0';
	if (!c)
		return diag__set(d, -ENOMEM, "not enough memory");
	c->ops = *ops;
	c->fd = -1;
	for (u32 i = 0; i < MAX_CLIENTS; i++)
		c->client[i] = (struct client){ .control = c, .fd = -1 };
	err = address(path, &sa, d);
	if (!err)
		err = open_socket(c, &sa, d);
	if (!err && ops->watch)
		err = ops->watch(ops->ctx, c->fd);
	if (err) {
		control__free(c);
		return err;
	}
	*out = c;
	return 0;
}

static void client__close(struct client *cl)
{
	if (cl->asked && cl->control->ops.gone)
		cl->control->ops.gone(cl->control->ops.ctx, cl);
	close(cl->fd);
	cl->fd = -1;
	cl->asked = false;
}

void control__free(struct control *c)
{
	struct stat st;

	if (!c)
		return;
	for (u32 i = 0; i < MAX_CLIENTS; i++)
		if (c->client[i].fd >= 0)
			client__close(&c->client[i]);
	/* not what somebody else has put there meanwhile */
	if (c->path[0] && !lstat(c->path, &st) && st.st_dev == c->dev && st.st_ino == c->ino)
		unlink(c->path);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

/* --- clients ------------------------------------------------------------------------------------------------------- */

static bool may_ask(int fd)
{
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && (!cred.uid || cred.uid == getuid());
}

static void refuse(int fd, const char *text)
{
	send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static struct client *free_client(struct control *c)
{
	for (u32 i = 0; i < MAX_CLIENTS; i++)
		if (c->client[i].fd < 0)
			return &c->client[i];
	return NULL;
}

static void accept_clients(struct control *c, u64 now_ns)
{
	int fd;

	for (u32 i = 0; i < MAX_CLIENTS; i++) {
		struct client *cl = free_client(c);

		fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		if (!may_ask(fd)) {
			refuse(fd, "error only root and the user who runs the recorder may ask\n");
		} else if (!cl) {
			refuse(fd, "error too many clients are being served\ntry again later\n");
		} else {
			cl->fd = fd;
			cl->asked = false;
			cl->since_ns = now_ns;
			if (c->ops.watch)
				c->ops.watch(c->ops.ctx, fd);
		}
	}
}

/* Keeps the first descriptor, closes the others. */
static int take_fds(struct msghdr *m)
{
	struct cmsghdr *h;
	int fd = -1, got;

	for (h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= h->cmsg_len; i++) {
			memcpy(&got, CMSG_DATA(h) + i * sizeof(int), sizeof(got));
			if (fd < 0)
				fd = got;
			else
				close(got);
		}
	}
	return fd;
}

/* false: the client is gone, or is to go. */
static bool read_request(struct client *cl)
{
	char text[MAX_REQUEST + 1];
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(8 * sizeof(int))];
	struct iovec io = { text, MAX_REQUEST };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space) };
	ssize_t n = recvmsg(cl->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	fd = take_fds(&m);
	/* a second request before the answer, or what is no text: no client of ours */
	if (!n || cl->asked || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || memchr(text, 0, (size_t)n)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	text[n] = '\0';
	cl->asked = true;
	cl->control->ops.request(cl->control->ops.ctx, cl, text, fd);
	return cl->fd >= 0;
}

void control__poll(struct control *c, u64 now_ns)
{
	accept_clients(c, now_ns);
	for (u32 i = 0; i < MAX_CLIENTS; i++) {
		struct client *cl = &c->client[i];
		bool asked = cl->asked;

		if (cl->fd < 0)
			continue;
		if (!read_request(cl)) {
			if (cl->fd >= 0)
				client__close(cl);
			continue;
		}
		if (cl->asked != asked || cl->asked)
			cl->since_ns = now_ns;
		else if (now_ns > cl->since_ns + SILENT_NS)
			client__close(cl);
	}
}

void control__answer(struct client *cl, const char *text, size_t bytes)
{
	if (cl->fd < 0 || !cl->asked)
		return;
	cl->asked = false;
	cl->since_ns = clock__mono_ns();
	if (send(cl->fd, text, MIN(bytes, (size_t)CONTROL_MAX_BYTES), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		client__close(cl);
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

/* --- the other side -------------------------------------------------------------------------------------------------- */

int control__connect(const char *path, struct diag *d)
{
	struct sockaddr_un sa;
	int fd, err = address(path, &sa, d);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return diag__set(d, -errno, "cannot make a socket: %s", strerror(errno));
	if (!connect(fd, (const void *)&sa, sizeof(sa)))
		return fd;
	err = -errno;
	close(fd);
	if (err == -EACCES)
		diag__set(d, err, "not allowed to ask the recorder at %s: only root and the user who runs it are", path);
	else if (err == -ENOENT || err == -ECONNREFUSED)
		diag__set(d, err, "no flight recorder is listening on %s", path);
	else
		diag__set(d, err, "cannot connect to %s: %s", path, strerror(-err));
	if (err != -EACCES)
		diag__hint(d, "start one: tapebpf flight -p PID; or say which one with --name or --socket");
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
