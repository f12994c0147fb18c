/* SPDX-License-Identifier: MIT */
/*
 * control.h - the socket of a flight recorder: where it is, who may ask, what is asked and answered.
 *
 * SOCK_SEQPACKET. A request and an answer are one packet each, text of at most CONTROL_MAX_BYTES:
 *
 *	request		VERB\nKEY VALUE\n...		with at most one file descriptor
 *	answer		ok\nKEY VALUE\n...  or  error TEXT\n[try TEXT\n]
 *
 *	info		exe
 *	snapshot	[last_ns N] [format tape], the descriptor of an open regular file: the answer comes when it is written
 *	status		answered by a text of JSON behind "ok\n"
 *
 * The recorder never waits for a client: sockets do not block, what does not fit is the end of that client; clients that say nothing are sent
 * away after ten seconds, or at once if others want their place. Asking is allowed to root and to the uid that runs the recorder, as the kernel tells who it is. Not thread-safe.
 */
#ifndef TAPEBPF_CONTROL_H
#define TAPEBPF_CONTROL_H

#include "base/diag.h"
#include "base/util.h"

#define CONTROL_MAX_BYTES 65536

/* Where the socket named `name` is for this user: /run/tapebpf for root, else $XDG_RUNTIME_DIR/tapebpf. -ENOENT: no such
 * folder for this user; -ENAMETOOLONG; -EINVAL: not a name. */
int control__path(const char *name, char *path, size_t bytes, struct diag *d);

struct control;
struct client;

struct control_ops {
	/* A request, NUL-terminated. fd: -1 or a descriptor, taken over. Answer now, or later with control__answer. */
	void (*request)(void *ctx, struct client *c, const char *text, int fd);
	/* The client is gone before it was answered. */
	void (*gone)(void *ctx, struct client *c);
	/* A descriptor to wait for, in addition. */
	int (*watch)(void *ctx, int fd);
	void *ctx;
};

/* -EADDRINUSE: a recorder listens there (the diag says its pid). A socket that nobody listens on is replaced if it is ours. */
int control__listen(const char *path, const struct control_ops *ops, struct control **out, struct diag *d);
void control__free(struct control *c);

/* Accept, read, send away. Never blocks. */
void control__poll(struct control *c, u64 now_ns);
/* The answer to the client's request; it can ask again. */
void control__answer(struct client *c, const char *text, size_t bytes);

/* The value of a key in a request or answer, NUL-terminated into dst; false: there is none. */
bool control__get(const char *text, const char *key, char *dst, size_t bytes);

/* --- the other side --- */

/* -ENOENT, -ECONNREFUSED: no recorder there. */
int control__connect(const char *path, struct diag *d);
/* One request, one answer (malloc'ed, NUL-terminated, *bytes without the NUL). fd: -1 or passed along. */
int control__ask(int sock, const char *request, int fd, char **answer, size_t *bytes, struct diag *d);

#endif
