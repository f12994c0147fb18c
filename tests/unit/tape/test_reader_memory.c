/* SPDX-License-Identifier: MIT */
/* A hundred chapters through a pipe: the reader's memory does not know how long the tape is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sys/resource.h>
#include <sys/wait.h>

#include "tape/tape_audit.h"
#include "tape/tape_reader.h"
#include "tape_build.h"

#define CHAPTERS 100
#define CHAPTER (1 << 20)

/* One chapter as the upstream recorder leaves it: definitions once more, ids that come again, zeros at the end. */
static u32 fill_chapter(struct build *b)
{
	u32 spans = 0;

	build__init(b, 20, 0);
	build__callsites(b);
	while (b->bytes < TAPE_INTRO_BYTES + CHAPTER - 512) {
		u64 id = spans++ % 1000 + 1;

		build__open(b, id, 1, 5, 0, TAPE_PARENT_CURRENT);
		build__u64(b, TAPE_SPAN_VALUE, 11, id, spans);
		build__enter(b, id, 5, id % 50);
		build__event(b, 2, 5, id % 50, 1);
		build__value(b, TAPE_EVENT_VALUE, TAPE_STR, 12, id % 50, "some words", 10);
		build__exit(b, id, 5);
		build__close(b, id, 5);
	}
	while (b->bytes < TAPE_INTRO_BYTES + CHAPTER)
		build__bytes(b, "", 1);
	return spans;
}

static pid_t pour(const struct build *b, int *fd)
{
	int ends[2], i;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(ends[0]);
		for (i = 0; i <= CHAPTERS; i++) {
			const u8 *from = b->data + (i ? TAPE_INTRO_BYTES : 0);
			size_t left = i ? CHAPTER : TAPE_INTRO_BYTES;

			while (left) {
				ssize_t n = write(ends[1], from, left);

				if (n < 0)
					_exit(1);
				from += n;
				left -= n;
			}
		}
		_exit(0);
	}
	close(ends[1]);
	*fd = ends[0];
	return pid;
}

static long max_rss_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static void constant_memory(void **state)
{
	struct tape_audit_result res;
	struct tape_totals totals;
	struct tape_reader *r;
	struct build b;
	char path[64];
	int fd, status;
	u32 spans = fill_chapter(&b);
	long before;
	pid_t pid;

	before = max_rss_kib();
	pid = pour(&b, &fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(tape_reader__open(path, NULL, &r, NULL), 0);
	assert_int_equal(tape_reader__run(r, NULL, 0), 0);
	tape_reader__totals(r, &totals);
	assert_int_equal(totals.spans, (u64)spans * CHAPTERS);
	assert_int_equal(totals.events, (u64)spans * CHAPTERS);
	assert_int_equal(totals.defects, 0);
	assert_int_equal(tape_reader__offset(r), TAPE_INTRO_BYTES + (u64)CHAPTERS * CHAPTER);
	assert_int_equal(tape_reader__size(r), 0);
	tape_reader__free(r);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	pid = pour(&b, &fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(tape_audit__run(path, NULL, &res, NULL), 0);
	assert_int_equal(res.defects, 0);
	assert_int_equal(res.totals.spans, (u64)spans * CHAPTERS);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);

	build__done(&b);
	print_message("resident memory grew by %ld KiB\n", max_rss_kib() - before);
#ifdef __SANITIZE_ADDRESS__
	print_message("not judged: the address sanitizer keeps what was freed\n");
#else
	assert_true(max_rss_kib() - before < 12 * 1024); /* 100 MiB have passed, twice */
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(constant_memory) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
