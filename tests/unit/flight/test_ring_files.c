/* SPDX-License-Identifier: MIT */
/*
 * test_ring_files.c - the files of generations are used again: no more of them than the ring needs, each found under its generation's name, and
 * what a generation before has left in one is never taken for a record of the one that has it now, whatever is damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "flight/recover.h"
#include "flight/ring_dir.h"

#define GENERATIONS 12
#define MOST_BYTES 100000 /* of records in a generation; the ring keeps about as much */

struct fix {
	char dir[64], run[256];
	struct ring_dir *d;
	struct chunk_store store;
	struct generations *ring;
	u64 now;
};

static int setup(void **state)
{
	struct generations_opts o = {.max_bytes = MOST_BYTES, .period_ns = 1ULL << 60, .generation_ns = 1ULL << 60, .generation_bytes = 1ULL << 40};
	struct fix *x = calloc(1, sizeof(*x));
	struct diag diag = {0};

	snprintf(x->dir, sizeof(x->dir), "/tmp/test_ring_files.%d", getpid());
	assert_int_equal(ring_dir__new(x->dir, "app", &x->d, &diag), 0);
	ring_dir__leave(x->d, x->run, sizeof(x->run));
	x->store = ring_dir__store(x->d);
	o.store = &x->store;
	x->now = 1000;
	x->ring = generations__new(&o, x->now);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fix *x = *state;
	char command[128];

	generations__free(x->ring);
	ring_dir__free(x->d);
	snprintf(command, sizeof(command), "rm -rf '%s'", x->dir);
	free(x);
	return system(command);
}

/* Records of a size, numbered by their cookie. */
static void put(struct fix *x, u32 cnt, u32 bytes)
{
	u8 rec[4096] = {0};
	struct wire_head *h = (void *)rec;

	for (u32 i = 0; i < cnt; i++) {
		*h = (struct wire_head){.kind = WIRE_HIT, .bytes = bytes, .time_ns = ++x->now, .cookie = i, .pid = 1, .tid = 1};
		memset(rec + sizeof(*h), (int)(generations__active(x->ring)->no), bytes - sizeof(*h));
		assert_non_null(generations__append(x->ring, rec, bytes));
	}
}

static void end_generation(struct fix *x)
{
	generations__seal(x->ring, ++x->now, 0);
}

static void path_of(const struct fix *x, u64 no, char path[512])
{
	snprintf(path, 512, "%s/gen-%010llu", x->run, (unsigned long long)no);
}

static u32 count_files(const struct fix *x)
{
	DIR *list = opendir(x->run);
	struct dirent *e;
	u32 n = 0;

	assert_non_null(list);
	while ((e = readdir(list)))
		n += !strncmp(e->d_name, "gen-", 4);
	closedir(list);
	return n;
}

/* How many records recover finds in generation `no` when its file holds these bytes; those of others fail. whole: and it has nothing to say of it. */
static u32 found(u64 no, u8 *data, size_t bytes, bool whole)
{
	struct recovered *r = recover__new();
	u32 cnt = 0;

	assert_int_equal(recover__generation(r, no, data, bytes), 0);
	assert_int_equal(recover__finish(r), 0);
	for (u32 i = 0; i < r->snap.gen_cnt; i++)
		for (const struct chunk *c = r->snap.gen[i]->first; c; c = c->next)
			for (u32 off = 0; off < c->used;) {
				const struct wire_head *h = chunk__rec(c, &off);

				if (h->kind != WIRE_HIT)
					continue;
				assert_int_equal(((const u8 *)(h + 1))[0], no);
				cnt++;
			}
	for (u32 i = 0; whole && i < r->finding_cnt; i++)
		assert_null(strstr(r->finding[i].text, "gen-"));
	recover__free(r);
	return cnt;
}

static u8 *read_file(struct fix *x, u64 no, size_t *bytes)
{
	struct stat st;
	char path[512];
	u8 *data;
	int fd;

	ring_dir__leave(x->d, x->run, sizeof(x->run)); /* names are up to date behind it */
	path_of(x, no, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size + 8);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*bytes = (size_t)st.st_size;
	return data;
}

/* Many generations, few files: each under the name of what it holds. */
static void few_files(void **state)
{
	struct fix *x = *state;
	size_t bytes;
	u8 *data;

	for (u64 no = 1; no <= GENERATIONS; no++) {
		put(x, 1000, 120);
		if (no < GENERATIONS)
			end_generation(x);
	}
	data = read_file(x, GENERATIONS, &bytes);
	assert_int_equal(found(GENERATIONS, data, bytes, true), 1000);
	assert_in_range(count_files(x), 2, 4);
	free(data);
}

/* A file that has been full and now holds little: whatever word of it is damaged, nothing of before comes back. */
static void nothing_of_before(void **state)
{
	struct fix *x = *state;
	size_t bytes;
	u8 *data, *harmed;

	for (u64 no = 1; no < GENERATIONS; no++) {
		put(x, 900, 112); /* records begin at the same places as the few */
		end_generation(x);
	}
	put(x, 5, 112);
	data = read_file(x, GENERATIONS, &bytes);
	assert_int_equal(((const u8 *)data)[GEN_FILE_HEAD + 6 * 120 + sizeof(struct wire_head)] != 0, 1); /* it was used before */
	assert_int_equal(found(GENERATIONS, data, bytes, true), 5);
	harmed = malloc(bytes + 8);
	for (size_t at = 0; at < GEN_FILE_HEAD + 10 * 120; at += 4) {
		static const u32 word[] = {0, 0xffffffff, 112};

		for (u32 i = 0; i < ARRAY_SIZE(word); i++) {
			memcpy(harmed, data, bytes);
			memcpy(harmed + at, &word[i], 4);
			assert_in_range(found(GENERATIONS, harmed, bytes, false), 0, 5);
		}
		if (at >= sizeof(struct gen_file_head) && at < GEN_LINK_AT)
			at = GEN_LINK_AT;
		if (at >= GEN_SEAL_AT + sizeof(struct gen_seal) && at < GEN_FILE_HEAD - 4)
			at = GEN_FILE_HEAD - 4;
	}
	free(harmed);
	free(data);
}

/* What waits for the next generation is not found, though all its records are there. */
static void left_is_left(void **state)
{
	struct fix *x = *state;
	size_t bytes;
	u8 *data;
	u64 no;

	for (no = 1; no <= 3; no++) {
		put(x, 1000, 120);
		end_generation(x);
	}
	assert_null(generations__oldest(x->ring)->older);
	no = generations__oldest(x->ring)->no - 1; /* the last that went */
	assert_in_range(no, 1, 2);
	data = read_file(x, no, &bytes);
	assert_int_equal(found(no, data, bytes, true), 0);
	free(data);
}

/* A file that somebody still reads is not used again before he has given it back. */
static void held(void **state)
{
	struct fix *x = *state;
	struct generation *g;

	put(x, 1000, 120);
	end_generation(x);
	g = (struct generation *)generations__newest(x->ring);
	generation__hold(g);
	for (u32 i = 0; i < GENERATIONS; i++) {
		put(x, 1000, 120);
		end_generation(x);
	}
	assert_int_equal(g->no, 1);
	for (u32 off = 0, i = 0; i < 1000; i++) {
		const struct wire_head *h = chunk__rec(g->first, &off);

		assert_int_equal(h->cookie, i);
		assert_int_equal(((const u8 *)(h + 1))[0], 1);
	}
	generations__drop(x->ring, g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(few_files, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_of_before, setup, teardown),
		cmocka_unit_test_setup_teardown(left_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(held, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
