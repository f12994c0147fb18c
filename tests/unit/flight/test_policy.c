/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flight/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define S NSEC_PER_SEC

static const struct trigger_fired fired = {
	.kind = TRIGGER_EVENT, .trigger = "event:level>=error", .what = "event paid ERROR: why=\"$(touch harm); `id`\"",
	.time_ns = 5, .pid = 4711, .tid = 4712,
};

static struct policy *start(struct policy_opts o)
{
	struct policy *p;

	o.sz = sizeof(o);
	p = policy__new(&o);
	assert_non_null(p);
	return p;
}

static void take(struct policy *p, const char *path, u64 bytes, u64 cut_ns)
{
	struct policy_snapshot s = {.path = path, .bytes = bytes, .spans = 12, .lost = 3};
	struct diag d = {0};

	assert_int_equal(policy__taken(p, &s, cut_ns, &d), 0);
}

static void a_snapshot_is_due_after_a_while(void **state)
{
	struct policy *p = start((struct policy_opts){.post_ns = 2 * S});
	char trigger[] = "exit", what[] = "sh ended";
	struct trigger_fired f = {.trigger = trigger, .what = what, .pid = 1};
	const struct trigger_fired *due;

	assert_true(policy__due_ns(p) == UINT64_MAX);
	assert_null(policy__due(p, UINT64_MAX));
	assert_int_equal(policy__fired(p, &f, 10 * S), POLICY_TAKE);
	memset(trigger, 'x', 4);
	memset(what, 'x', 8);
	assert_int_equal(policy__due_ns(p), 12 * S);
	assert_null(policy__due(p, 12 * S - 1));
	due = policy__due(p, 12 * S);
	assert_non_null(due);
	assert_string_equal(due->trigger, "exit");
	assert_string_equal(due->what, "sh ended");
	/* at the end of a recording nothing is waited for */
	assert_non_null(policy__due(p, UINT64_MAX));
	take(p, "x", 1, 12 * S);
	assert_null(policy__due(p, UINT64_MAX));
	policy__free(p);
}

static void a_storm_is_one_snapshot_and_counted(void **state)
{
	struct policy *p = start((struct policy_opts){.post_ns = 2 * S, .cooldown_ns = 30 * S});
	struct policy_snapshot s = {.path = "x", .bytes = 1};
	struct policy_stats st;
	struct diag d;

	assert_int_equal(policy__fired(p, &fired, 10 * S), POLICY_TAKE);
	for (u32 i = 0; i < 1000; i++)
		assert_int_equal(policy__fired(p, &fired, 11 * S), POLICY_JOINED);
	assert_int_equal(policy__taken(p, &s, 12 * S, &d), 0);
	assert_int_equal(s.swallowed, 1000);
	for (u32 i = 0; i < 500; i++)
		assert_int_equal(policy__fired(p, &fired, 42 * S - 1), POLICY_COOLDOWN);
	assert_int_equal(policy__fired(p, &fired, 42 * S), POLICY_TAKE);
	assert_int_equal(policy__taken(p, &s, 44 * S, &d), 0);
	assert_int_equal(s.swallowed, 500);
	policy__stats(p, &st);
	assert_int_equal(st.fired, 1502);
	assert_int_equal(st.taken, 2);
	assert_int_equal(st.joined, 1000);
	assert_int_equal(st.cooldown, 500);
	policy__free(p);
}

static void so_many_and_no_more(void **state)
{
	struct policy *p = start((struct policy_opts){.max_snapshots = 2});
	struct policy_snapshot failed = {.path = NULL};
	struct policy_stats st;
	struct diag d;

	for (u64 i = 0; i < 2; i++) {
		assert_int_equal(policy__fired(p, &fired, i), POLICY_TAKE);
		take(p, "x", 1, i);
		/* one that failed does not count */
		if (i)
			continue;
		assert_int_equal(policy__fired(p, &fired, i), POLICY_TAKE);
		assert_int_equal(policy__taken(p, &failed, i, &d), 0);
	}
	assert_int_equal(policy__fired(p, &fired, 9), POLICY_ENOUGH);
	policy__stats(p, &st);
	assert_int_equal(st.fired, st.taken + st.failed + st.joined + st.cooldown + st.enough);
	assert_int_equal(st.failed, 1);
	policy__free(p);
}

/* --- files and commands ------------------------------------------------------------------------------------ */

static char dir[] = "/tmp/test_policy_XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return chdir("/") || system(command);
}

static void make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static bool exists(const char *name)
{
	return !access(name, F_OK);
}

static void the_oldest_are_deleted(void **state)
{
	struct policy *p = start((struct policy_opts){.keep_total_bytes = 100});
	struct policy_snapshot s = {.path = "d", .bytes = 70};
	struct policy_stats st;
	struct diag d = {0};

	for (size_t i = 0; i < 4; i++)
		make_file(&"a\0b\0c\0d"[2 * i]);
	take(p, "a", 40, 0);
	assert_int_equal(policy__keep(p, "b", 40, &d), 0);
	take(p, "c", 20, 0);
	assert_true(exists("a") && exists("b") && exists("c"));
	unlink("b"); /* somebody was faster */
	assert_int_equal(policy__taken(p, &s, 0, &d), 0);
	assert_false(exists("a"));
	assert_true(exists("c") && exists("d"));
	policy__stats(p, &st);
	assert_int_equal(st.files, 2);
	assert_int_equal(st.bytes, 90);
	assert_int_equal(st.deleted, 2);
	assert_int_equal(st.deleted_bytes, 80);
	/* the newest stays however large */
	make_file("e");
	take(p, "e", 5000, 0);
	assert_true(exists("e"));
	assert_false(exists("c") || exists("d"));
	policy__free(p);
}

static void what_cannot_be_deleted_is_told(void **state)
{
	struct policy *p = start((struct policy_opts){.keep_total_bytes = 1});
	struct policy_snapshot s = {.path = "f", .bytes = 5};
	struct diag d = {0};

	assert_int_equal(mkdir("full", 0700), 0);
	take(p, "full", 5, 0);
	make_file("f");
	assert_int_not_equal(policy__taken(p, &s, 0, &d), 0);
	assert_non_null(strstr(d.text, "cannot delete full"));
	policy__free(p);
}

static void read_file(const char *name, char *text, size_t bytes)
{
	FILE *f = fopen(name, "r");

	assert_non_null(f);
	text[fread(text, 1, bytes - 1, f)] = '\0';
	fclose(f);
}

static void the_command_gets_all_in_its_environment(void **state)
{
	struct policy *p = start((struct policy_opts){
		.exec = "printf '%s|' \"$TAPEBPF_SNAPSHOT\" \"$TAPEBPF_TRIGGER\" \"$TAPEBPF_WHAT\" $TAPEBPF_PID "
			"$TAPEBPF_BYTES $TAPEBPF_SPANS $TAPEBPF_LOST $TAPEBPF_SWALLOWED $HOME_OF_TEST > env; cat >> env"});
	char text[1024];

	setenv("HOME_OF_TEST", "yes", 1);
	setenv("TAPEBPF_SPANS", "stale", 1);
	assert_int_equal(policy__fired(p, &fired, 0), POLICY_TAKE);
	assert_int_equal(policy__fired(p, &fired, 0), POLICY_JOINED);
	make_file("snap $(x).tape");
	take(p, "snap $(x).tape", 99, 0);
	assert_int_equal(policy__finish(p, 20 * S, NULL), 0);
	read_file("env", text, sizeof(text));
	assert_string_equal(text, "snap $(x).tape|event:level>=error|event paid ERROR: why=\"$(touch harm); `id`\"|4711|99|12|3|1|"
				  "yes|");
	assert_false(exists("harm"));
	policy__free(p);
}

static void a_command_that_fails_is_told(void **state)
{
	static const struct {
		const char *command, *what;
	} cases[] = {{"exit 7", "ended with status 7"}, {"kill -9 $$", "killed by signal 9"}, {"/no/such/thing 2>/dev/null", "status 127"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy *p = start((struct policy_opts){.exec = cases[i].command});
		struct policy_stats st;
		struct diag d = {0};

		policy__fired(p, &fired, 0);
		take(p, "x", 1, 0);
		assert_int_equal(policy__finish(p, 20 * S, &d), 1);
		assert_non_null(strstr(d.text, cases[i].what));
		policy__stats(p, &st);
		assert_int_equal(st.commands, 1);
		assert_int_equal(st.commands_failed, 1);
		assert_int_equal(st.commands_running, 0);
		policy__free(p);
	}
}

static void commands_that_never_end_are_bounded(void **state)
{
	struct policy *p = start((struct policy_opts){.exec = "read x < fifo"});
	struct policy_snapshot s = {.path = "x", .bytes = 1};
	struct policy_stats st;
	struct diag d = {0};
	int fd;

	assert_int_equal(mkfifo("fifo", 0600), 0);
	for (u32 i = 0; i < 16; i++) {
		policy__fired(p, &fired, 0);
		take(p, "x", 1, 0);
	}
	policy__fired(p, &fired, 0);
	assert_int_equal(policy__taken(p, &s, 0, &d), -EAGAIN);
	assert_non_null(strstr(d.text, "have not ended"));
	policy__stats(p, &st);
	assert_int_equal(st.commands_running, 16);
	fd = open("fifo", O_RDWR | O_CLOEXEC); /* lets them all in, until it is closed */
	assert_true(fd >= 0);
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(write(fd, "\n", 1), 1);
	policy__finish(p, 20 * S, NULL);
	close(fd);
	policy__stats(p, &st);
	assert_int_equal(st.commands_running, 0);
	policy__free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_is_due_after_a_while),
		cmocka_unit_test(a_storm_is_one_snapshot_and_counted),
		cmocka_unit_test(so_many_and_no_more),
		cmocka_unit_test(the_oldest_are_deleted),
		cmocka_unit_test(what_cannot_be_deleted_is_told),
		cmocka_unit_test(the_command_gets_all_in_its_environment),
		cmocka_unit_test(a_command_that_fails_is_told),
		cmocka_unit_test(commands_that_never_end_are_bounded),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
