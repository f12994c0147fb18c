/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "session/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CROWD 300
#define ALL 16 /* that are served at a time */

/* A recorder that answers "ask" at once and "wait" when the test says so. */
struct recorder {
	char dir[32], path[64];
	struct control *control;
	struct client *waits[64];
	u32 wait_cnt, gone_cnt;
};

static void on_request(void *ctx, struct client *c, const char *text, int fd)
{
	struct recorder *r = ctx;

	if (fd >= 0)
		close(fd);
	if (!strcmp(text, "wait\n"))
		r->waits[r->wait_cnt++ % ARRAY_SIZE(r->waits)] = c;
	else
		control__answer(c, "ok\n", 3);
}

static void on_gone(void *ctx, struct client *c)
{
	struct recorder *r = ctx;

	r->gone_cnt++;
}

static int setup(void **state)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct control_ops ops = {.request = on_request, .gone = on_gone, .ctx = r};
	struct diag d;

	strcpy(r->dir, "/tmp/test_control_XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/sock", r->dir);
	assert_int_equal(control__listen(r->path, &ops, &r->control, &d), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct recorder *r = *state;

	control__free(r->control);
	assert_int_equal(rmdir(r->dir), 0); /* the socket has gone */
	free(r);
	return 0;
}

static void look(struct recorder *r)
{
	control__poll(r->control, clock__mono_ns());
}

static int client(struct recorder *r)
{
	struct diag d;
	int fd = control__connect(r->path, &d);

	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What has come by now; "": nothing, NULL: the other side has hung up. */
static const char *heard(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return "";
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	return text;
}

/* As many as come and say nothing; each round the recorder looks at the socket. */
static void crowd(struct recorder *r, int *fd, u32 cnt)
{
	for (u32 i = 0; i < cnt; i++) {
		fd[i] = client(r);
		if (i % 8 == 7)
			look(r);
	}
	look(r);
}

static void leave(int *fd, u32 cnt)
{
	for (u32 i = 0; i < cnt; i++)
		close(fd[i]);
}

static void the_idle_keep_nobody_out(void **state)
{
	struct recorder *r = *state;
	int idle[CROWD], fd;

	crowd(r, idle, CROWD);
	fd = client(r);
	say(fd, "ask\n");
	look(r);
	assert_string_equal(heard(fd), "ok\n");
	/* who came first went first, and was told why; who came last is still there */
	assert_non_null(strstr(heard(idle[0]), "error others wanted to ask"));
	assert_null(heard(idle[0]));
	assert_string_equal(heard(idle[CROWD - 1]), "");
	close(fd);
	leave(idle, CROWD);
}

static void whoever_is_being_served_stays(void **state)
{
	struct recorder *r = *state;
	int served[ALL], idle[CROWD], fd;

	for (u32 i = 0; i < ALL - 1; i++) {
		served[i] = client(r);
		say(served[i], "wait\n");
	}
	look(r);
	crowd(r, idle, CROWD);
	assert_int_equal(r->wait_cnt, ALL - 1);
	served[ALL - 1] = client(r);
	say(served[ALL - 1], "wait\n");
	look(r);
	assert_int_equal(r->wait_cnt, ALL);
	/* now there is room for nobody */
	fd = client(r);
	look(r);
	assert_non_null(strstr(heard(fd), "error too many clients are being served\ntry again later"));
	close(fd);
	for (u32 i = 0; i < ALL; i++) {
		control__answer(r->waits[i], "ok\n", 3);
		assert_string_equal(heard(served[i]), "ok\n");
	}
	assert_int_equal(r->gone_cnt, 0);
	leave(served, ALL);
	leave(idle, CROWD);
}

/* `snapshot` asks twice: between the two it is not idle as somebody who never asks is. */
static void who_has_asked_goes_last(void **state)
{
	struct recorder *r = *state;
	int idle[CROWD], fd = client(r);

	say(fd, "ask\n");
	look(r);
	assert_string_equal(heard(fd), "ok\n");
	crowd(r, idle, CROWD);
	say(fd, "ask\n");
	look(r);
	assert_string_equal(heard(fd), "ok\n");
	close(fd);
	leave(idle, CROWD);
}

/* Its question is there already when somebody else wants the place. */
static void who_has_just_asked_stays(void **state)
{
	struct recorder *r = *state;
	int early[ALL], late[ALL];

	for (u32 i = 0; i < ALL; i++)
		early[i] = client(r);
	look(r);
	for (u32 i = 0; i < ALL; i++) {
		say(early[i], "wait\n");
		late[i] = client(r);
	}
	look(r);
	assert_int_equal(r->wait_cnt, ALL);
	for (u32 i = 0; i < ALL; i++)
		assert_non_null(strstr(heard(late[i]), "error too many clients"));
	leave(early, ALL);
	look(r);
	assert_int_equal(r->gone_cnt, ALL);
	leave(late, ALL);
}

/* Whoever comes has its turn, however fast others ask and whatever they wait for. */
static void who_asks_again_and_again_gives_way(void **state)
{
	struct recorder *r = *state;
	int busy[ALL], more[ALL + 1], fd;

	for (u32 i = 0; i < ALL; i++) {
		busy[i] = client(r);
		for (u32 k = 0; k < 3; k++) {
			say(busy[i], "ask\n");
			look(r);
			assert_string_equal(heard(busy[i]), "ok\n");
		}
		say(busy[i], "ask\n"); /* there already when the next one comes */
	}
	fd = client(r);
	say(fd, "ask\n");
	look(r);
	assert_string_equal(heard(fd), "ok\n");
	close(fd);
	look(r);
	leave(busy, ALL);
	look(r);
	for (u32 i = 0; i < ALL; i++) {
		busy[i] = client(r);
		for (u32 k = 0; k < 2; k++) {
			say(busy[i], "ask\n");
			look(r);
			assert_string_equal(heard(busy[i]), "ok\n");
		}
		say(busy[i], "wait\n");
	}
	look(r);
	assert_int_equal(r->wait_cnt, ALL);
	/* all of them are being served: they have their answers, and go with them */
	for (u32 i = 0; i < ALL; i++) {
		more[i] = client(r);
		say(more[i], "ask\n");
		look(r);
		assert_string_equal(heard(more[i]), "ok\n");
		say(more[i], "wait\n");
		look(r);
	}
	more[ALL] = client(r);
	look(r);
	assert_non_null(strstr(heard(more[ALL]), "error too many clients"));
	assert_int_equal(r->wait_cnt, 2 * ALL);
	for (u32 i = 0; i < ALL; i++) {
		control__answer(r->waits[i], "ok\n", 3);
		assert_string_equal(heard(busy[i]), "ok\n");
		assert_null(heard(busy[i]));
	}
	assert_int_equal(r->gone_cnt, 0);
	leave(busy, ALL);
	leave(more, ALL + 1);
}

static void silence_is_not_for_ever(void **state)
{
	struct recorder *r = *state;
	int silent = client(r), waits = client(r);

	say(waits, "wait\n");
	look(r);
	control__poll(r->control, clock__mono_ns() + 60 * NSEC_PER_SEC);
	assert_null(heard(silent));
	assert_string_equal(heard(waits), "");
	close(silent);
	close(waits);
}

/* A socket of somebody's at `path`: of a kind that a recorder's is not, or one that nobody listens on any more. */
static int others_socket(const char *path, int type, bool listens)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (const void *)&sa, sizeof(sa)), 0);
	if (listens)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* --socket may name any path, and root may delete whatever is there. */
static void a_socket_of_another_service_is_not_deleted(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	struct recorder *r = *state;
	struct control_ops ops = {.request = on_request, .ctx = r};
	struct control *second = NULL;
	char path[64];
	struct stat st;
	struct diag d;

	snprintf(path, sizeof(path), "%s/other", r->dir);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int fd = others_socket(path, types[i], types[i] == SOCK_STREAM);

		assert_int_equal(control__listen(path, &ops, &second, &d), -EADDRINUSE);
		assert_non_null(strstr(d.text, "another service"));
		assert_non_null(strstr(d.hint, "--socket"));
		assert_int_equal(lstat(path, &st), 0);
		close(fd);
		unlink(path);
	}
}

static void a_socket_that_nobody_listens_on_is_replaced(void **state)
{
	static const int types[] = {SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM};
	struct recorder *r = *state;
	struct control_ops ops = {.request = on_request, .ctx = r};
	struct control *second;
	char path[64];
	struct diag d;

	snprintf(path, sizeof(path), "%s/other", r->dir);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		close(others_socket(path, types[i], false));
		assert_int_equal(control__listen(path, &ops, &second, &d), 0);
		control__free(second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_idle_keep_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(whoever_is_being_served_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(who_asks_again_and_again_gives_way, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_asked_goes_last, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_just_asked_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_is_not_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_of_another_service_is_not_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_socket_that_nobody_listens_on_is_replaced, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
