/* SPDX-License-Identifier: MIT */
/* control.c - the recorder's side of the socket. */
#include "session/control_priv.h"

#include "base/clock.h"
#include "base/close_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MAX_CLIENTS 16
#define TURN 2 /* answers, as `snapshot` needs; who has had them gives way */
#define SILENT_NS (10 * NSEC_PER_SEC)
#define MAX_REQUEST 4096

struct client {
	struct control *control;
	int fd; /* -1: free */
	bool asked;  /* waits for an answer */
	bool leaves; /* with that answer; its place is somebody else's already */
	u32 served;  /* answers so far */
	u64 since_ns;
};

struct control {
	struct control_ops ops;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev;
	ino_t ino;
	struct client client[2 * MAX_CLIENTS]; /* as many again may be about to leave */
};

/* --- listening ----------------------------------------------------------------------------------------------------- */

static u32 listener_pid(int sock)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	return (u32)cred.pid;
}

/* A socket is at the path. Only where the kernel says so does nobody listen on it. */
static int check_stale(const struct sockaddr_un *sa, struct diag *d)
{
	__close_fd int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (probe < 0)
		return diag__set(d, -errno, "cannot make a socket: %s", strerror(errno));
	err = connect(probe, (const void *)sa, sizeof(*sa)) ? -errno : 0;
	if (err == -ECONNREFUSED)
		return 0;
	if (!err || err == -EAGAIN) {
		diag__set(d, -EADDRINUSE, "a flight recorder is listening on %s already: process %u", sa->sun_path,
			  listener_pid(probe));
		diag__hint(d, "--name OTHER for a second one beside it");
		return -EADDRINUSE;
	}
	if (err == -EPROTOTYPE)
		err = diag__set(d, -EADDRINUSE, "%s is the socket of another service, which is in use", sa->sun_path);
	else
		diag__set(d, err, "cannot find out whether somebody listens on %s: %s", sa->sun_path, strerror(-err));
	diag__hint(d, "another path with --socket");
	return err;
}

/* Something is at the path. 0: it was in nobody's use and is gone. */
static int replace_stale(const struct sockaddr_un *sa, struct diag *d)
{
	struct stat st;
	int err;

	if (lstat(sa->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		diag__set(d, -EEXIST, "%s is there and is no socket", sa->sun_path);
		diag__hint(d, "another path with --socket, or another name with --name");
		return -EEXIST;
	}
	/* whether somebody else's is in use we may not be allowed to ask */
	err = check_stale(sa, d);
	if (err != -EADDRINUSE && st.st_uid != geteuid()) {
		diag__set(d, -EPERM, "%s belongs to somebody else (uid %u)", sa->sun_path, st.st_uid);
		diag__hint(d, "another path with --socket");
		return -EPERM;
	}
	if (err)
		return err;
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
	for (u32 i = 0; i < ARRAY_SIZE(c->client); i++)
		c->client[i] = (struct client){ .control = c, .fd = -1 };
	err = control__address(path, &sa, d);
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
	for (u32 i = 0; i < ARRAY_SIZE(c->client); i++)
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
				close_aside(got);
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
		close_aside(fd);
		return false;
	}
	text[n] = '\0';
	cl->asked = true;
	cl->control->ops.request(cl->control->ops.ctx, cl, text, fd);
	return cl->fd >= 0;
}

/* What the client has to say now is heard; whoever has said nothing for too long has gone after it. */
static void client__poll(struct client *cl, u64 now_ns)
{
	if (!read_request(cl)) {
		if (cl->fd >= 0)
			client__close(cl);
	} else if (cl->asked) {
		cl->since_ns = now_ns;
	} else if (now_ns > cl->since_ns + SILENT_NS) {
		client__close(cl);
	}
}

/* First who has had its turn, then who has never asked; of equals who has been idle for longest. */
static bool goes_before(const struct client *a, const struct client *b)
{
	bool had = a->served >= TURN, b_had = b->served >= TURN;

	if (had != b_had)
		return had;
	if (!a->served != !b->served)
		return !a->served;
	return a->since_ns < b->since_ns;
}

/* A free place, NULL: none. */
static struct client *free_place(struct control *c)
{
	struct client *place = NULL;
	u32 stay = 0;

	for (u32 i = 0; i < ARRAY_SIZE(c->client); i++) {
		struct client *cl = &c->client[i];

		place = cl->fd < 0 && !place ? cl : place;
		stay += cl->fd >= 0 && !cl->leaves;
	}
	return stay < MAX_CLIENTS ? place : NULL;
}

/* Of those that are being served, or of those that are not, the one that goes first. NULL: there is none. */
static struct client *first_to_go(struct control *c, bool asked)
{
	struct client *first = NULL;

	for (u32 i = 0; i < ARRAY_SIZE(c->client); i++) {
		struct client *cl = &c->client[i];

		if (cl->fd >= 0 && !cl->leaves && cl->asked == asked && (!first || goes_before(cl, first)))
			first = cl;
	}
	return first;
}

/*
 * A place for one more. Who is there and asks for nothing keeps nobody out: it goes, and is told, unless it has asked just now. Nor does who
 * asks again and again: it has had its turn, and goes likewise, or with the answer that it waits for. NULL: all are being served.
 */
static struct client *make_room(struct control *c, u64 now_ns)
{
	struct client *cl, *place;

	for (u32 i = 0; !(place = free_place(c)) && (cl = first_to_go(c, false)); i++) {
		u32 served = cl->served;

		if (i == MAX_CLIENTS) /* they ask as fast as they are answered */
			return NULL;
		if (served < TURN) {
			client__poll(cl, now_ns);
			if (cl->fd < 0 || cl->asked || cl->served != served)
				continue;
		}
		refuse(cl->fd, "error others wanted to ask\ntry again\n");
		cl->fd = -1;
	}
	cl = place ? NULL : first_to_go(c, true);
	if (cl && cl->served >= TURN) {
		cl->leaves = true;
		place = free_place(c);
	}
	return place;
}

/* accept makes a socket before it finds that there is nobody: several times as dear as asking. */
static bool knocked(const struct control *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void accept_clients(struct control *c, u64 now_ns)
{
	for (u32 i = 0; i < MAX_CLIENTS; i++) {
		int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct client *cl;

		if (fd < 0)
			return;
		if (!may_ask(fd)) {
			refuse(fd, "error only root and the user who runs the recorder may ask\n");
			continue;
		}
		cl = make_room(c, now_ns);
		if (!cl) {
			refuse(fd, "error too many clients are being served\ntry again later\n");
			continue;
		}
		cl->fd = fd;
		cl->asked = cl->leaves = false;
		cl->served = 0;
		cl->since_ns = now_ns;
		if (c->ops.watch)
			c->ops.watch(c->ops.ctx, fd);
	}
}

void control__poll(struct control *c, u64 now_ns)
{
	if (knocked(c))
		accept_clients(c, now_ns);
	for (u32 i = 0; i < ARRAY_SIZE(c->client); i++)
		if (c->client[i].fd >= 0)
			client__poll(&c->client[i], now_ns);
}

void control__answer(struct client *cl, const char *text, size_t bytes)
{
	if (cl->fd < 0 || !cl->asked)
		return;
	cl->asked = false;
	cl->served++;
	cl->since_ns = clock__mono_ns();
	if (send(cl->fd, text, MIN(bytes, (size_t)CONTROL_MAX_BYTES), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || cl->leaves)
		client__close(cl);
}
