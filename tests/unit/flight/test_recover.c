/* SPDX-License-Identifier: MIT */
/*
 * test_recover.c - the folder of a killed recorder, each of its files cut at any byte, flipped at any byte, and deleted, one at a time.
 *
 * A small world (flight_world.h) records into a folder, and what is there then is read as after a kill. Whatever is done to it: nothing
 * crashes, emitted = stored + lost, nothing is stored that was not before, what is not stored any more has been said, and is counted:
 * as much was emitted as before, unless it is said that this is not known. EACH_BYTE=1: at each byte of the small files, half a million cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flight/recover.h"
#include "flight/ring_dir.h"
#include "flight_world.h"

#define MAX_FILES 64
#define SMALL 3000 /* bytes: each of them has its turn */

struct folder_file {
	char name[32];
	u8 *data; /* NULL: it is not there */
	size_t bytes;
};

struct folder {
	struct folder_file file[MAX_FILES];
	u32 cnt;
};

struct outcome {
	struct replay_result res;
	u32 findings, missing;
	u64 missing_recs, unstored_recs, complete_ns;
	bool old;
	bool gone_round; /* what is missing of a page can be older than the oldest generation's beginning */
	bool unknown; /* said of something that its number is not known */
	char first[192];
};

static u64 rnd = 88172645463325252ULL;

static u64 below(u64 n)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return (rnd >> 11) % n;
}

/* --- a folder ---------------------------------------------------------------------------------------------------- */

static char dir[64];

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct folder_file *)a)->name, ((const struct folder_file *)b)->name);
}

static void read_folder(struct folder *f, const char *path)
{
	DIR *list = opendir(path);
	struct dirent *e;
	char name[512];

	assert_non_null(list);
	f->cnt = 0;
	while ((e = readdir(list))) {
		struct folder_file *file = &f->file[f->cnt];
		FILE *in;

		if (e->d_name[0] == '.')
			continue;
		assert_true(f->cnt++ < MAX_FILES);
		snprintf(file->name, sizeof(file->name), "%.31s", e->d_name);
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		in = fopen(name, "re");
		assert_non_null(in);
		fseek(in, 0, SEEK_END);
		file->bytes = (size_t)ftell(in);
		rewind(in);
		file->data = calloc(1, file->bytes + 8);
		assert_int_equal(fread(file->data, 1, file->bytes, in), file->bytes);
		fclose(in);
	}
	closedir(list);
	qsort(f->file, f->cnt, sizeof(f->file[0]), by_name);
}

static void free_folder(struct folder *f)
{
	for (u32 i = 0; i < f->cnt; i++)
		free(f->file[i].data);
	f->cnt = 0;
}

static struct folder_file *find(struct folder *f, const char *name)
{
	static struct folder_file none;

	for (u32 i = 0; i < f->cnt; i++)
		if (!strcmp(f->file[i].name, name))
			return &f->file[i];
	return &none;
}

/* What is in the folder of a recorder that is killed somewhere between two rounds. */
static void record(struct folder *f, u64 seed, u32 drop)
{
	static struct world w;
	struct ring_dir *d;
	struct diag diag;
	char path[256];

	assert_int_equal(ring_dir__new(dir, "app", &d, &diag), 0);
	world__start_in(&w, seed, d);
	w.drop = drop;
	for (u32 rounds = 30 + (u32)world__rnd(&w, 60); rounds--;) {
		world__act(&w, (u32)world__rnd(&w, 100));
		world__round(&w);
	}
	world__act(&w, 20);
	world__drain(&w);
	ring_dir__leave(d, path, sizeof(path));
	read_folder(f, path);
	world__stop(&w);
	ring_dir__free(d);
	snprintf(path, sizeof(path), "rm -rf '%s'", dir);
	assert_int_equal(system(path), 0);
}

/* --- what is found ------------------------------------------------------------------------------------------------ */

static void look(struct folder *f, struct outcome *out)
{
	static const struct sink_ops nothing;
	struct sink to = { .ops = &nothing };
	struct replay_opts o = { .sz = sizeof(o) };
	struct recovered *r = recover__new();
	struct folder_file *defs = find(f, "defs"), *copy = find(f, "defs-copy"), *file;

	memset(out, 0, sizeof(*out));
	file = find(f, "state");
	assert_int_equal(recover__state(r, file->data, file->bytes), 0);
	assert_int_equal(recover__defs(r, defs->data, defs->bytes, copy->data, copy->bytes), 0);
	file = find(f, "carried");
	assert_int_equal(recover__carried(r, file->data, file->bytes), 0);
	for (u32 i = 0; i < f->cnt; i++)
		if (!strncmp(f->file[i].name, "gen-", 4) && f->file[i].data)
			assert_int_equal(recover__generation(r, strtoull(f->file[i].name + 4, NULL, 10), f->file[i].data, f->file[i].bytes), 0);
	file = find(f, "pages");
	assert_int_equal(recover__pages(r, file->data, file->bytes), 0);
	assert_int_equal(recover__finish(r), 0);
	out->findings = r->finding_cnt;
	out->missing = r->missing_cnt;
	out->missing_recs = r->missing_recs;
	out->unstored_recs = r->unstored_recs;
	out->complete_ns = r->complete_ns;
	out->old = r->old;
	out->gone_round = r->snap.gen_cnt && r->snap.gen[0]->no > 1;
	for (u32 i = 0; i < r->finding_cnt && i < RECOVER_FINDINGS; i++)
		out->unknown = out->unknown || strstr(r->finding[i].text, "not known") || strstr(r->finding[i].text, "at least");
	if (r->finding_cnt)
		memcpy(out->first, r->finding[0].text, sizeof(out->first));
	assert_int_equal(replay__run(&r->snap, &o, &to, &out->res), 0);
	assert_int_equal(out->res.unaccounted, 0);
	recover__free(r);
}

static u32 cases, losing;

/* file is harmed now; f is whole otherwise. exact: nothing but the harm is missing, so sums can be compared. */
static void check(struct folder *f, const struct folder_file *file, const char *how, size_t at, const struct outcome *whole, bool exact)
{
	struct outcome got;
	const char *wrong = NULL;

	look(f, &got);
	cases++;
	losing += got.res.stored < whole->res.stored;
	if (got.res.stored > whole->res.stored)
		wrong = "more is stored than was";
	else if (got.res.stored < whole->res.stored && !got.missing)
		wrong = "something is missing, and nothing was said";
	else if (exact && got.res.emitted > whole->res.emitted + (whole->gone_round ? got.missing_recs : 0))
		wrong = "more was emitted than had been";
	else if (exact && got.res.emitted < whole->res.emitted && !got.unknown)
		wrong = "not all that had been emitted is counted";
	else if (got.missing && !got.findings)
		wrong = "missing, but not said where";
	if (wrong)
		fail_msg("%s %s at %zu: %s: emitted %llu = stored %llu, not %llu = stored %llu; %u findings, %s", file->name, how, at, wrong,
			 (unsigned long long)got.res.emitted, (unsigned long long)got.res.stored, (unsigned long long)whole->res.emitted,
			 (unsigned long long)whole->res.stored, got.findings, got.first);
}

static void flip(struct folder *f, struct folder_file *file, size_t at, const struct outcome *whole, bool exact)
{
	const u8 how[] = { (u8)(1u << below(8)), 0xff, file->data[at] };
	u8 *kept = file->data;

	for (u32 i = 0; i < ARRAY_SIZE(how); i++) {
		if (!how[i])
			continue;
		file->data = malloc(file->bytes + 8);
		memcpy(file->data, kept, file->bytes + 8);
		file->data[at] ^= how[i];
		check(f, file, "flipped", at, whole, exact);
		free(file->data);
		file->data = kept;
	}
}

/* What is behind the end is not to be looked at. */
static void cut(struct folder *f, struct folder_file *file, size_t at, const struct outcome *whole, bool exact)
{
	size_t bytes = file->bytes;
	u8 *kept = file->data;

	file->data = calloc(1, at + 8);
	memcpy(file->data, kept, at);
	file->bytes = at;
	check(f, file, "cut", at, whole, exact);
	free(file->data);
	file->data = kept;
	file->bytes = bytes;
}

static void deleted(struct folder *f, struct folder_file *file, const struct outcome *whole, bool exact)
{
	u8 *kept = file->data;

	file->data = NULL;
	check(f, file, "deleted", 0, whole, exact);
	file->data = kept;
}

/* Each byte of what is small, some of what is large. */
static void harm(struct folder *f, struct folder_file *file, const struct outcome *whole, bool exact, u32 each)
{
	bool gen = !strncmp(file->name, "gen-", 4);
	size_t used = file->bytes, at;

	while (used && !file->data[used - 1])
		used--;
	used = MIN(used + 64, file->bytes);
	deleted(f, file, whole, exact);
	for (at = below(MIN(each, 16u)); at < used; at += used < SMALL ? each : 1 + below(each * used / SMALL)) {
		if (at > GEN_SEAL_AT + sizeof(struct gen_seal) && at < GEN_FILE_HEAD && gen)
			at = GEN_FILE_HEAD;
		flip(f, file, at, whole, exact);
		cut(f, file, at, whole, exact);
	}
	if (used < file->bytes)
		cut(f, file, used + below(file->bytes - used), whole, exact);
}

static void sweep(u64 seed, u32 drop, u32 each)
{
	static struct folder f;
	struct outcome whole;

	record(&f, seed, drop);
	look(&f, &whole);
	if (whole.findings)
		fail_msg("seed %llu, before any harm: %s", (unsigned long long)seed, whole.first);
	assert_true(whole.complete_ns > 0);
	for (u32 i = 0; i < f.cnt; i++)
		harm(&f, &f.file[i], &whole, !drop, each);
	free_folder(&f);
}

static u32 every(u32 n)
{
	return getenv("EACH_BYTE") ? 1 : getenv("TEST_QUICK") ? 5 * n : n;
}

static void one_harm_anywhere(void **state)
{
	u32 each = every(30);

	for (u64 seed = 1; seed <= 4; seed++)
		sweep(seed, 0, each);
	print_message("%u cases, in %u of them something is missing\n", cases, losing);
	assert_true(cases > 1000);
	assert_true(losing > cases / 20);
}

/* What the kernel refused is missing besides. */
static void among_refusals(void **state)
{
	u32 each = every(200);

	for (u64 seed = 11; seed <= 14; seed++)
		sweep(seed, 40, each);
}

/* A folder as recorders left it that did not keep account: no state, no copy, no seals. It is read as it was then. */
static void of_an_older_recorder(void **state)
{
	static struct folder f;
	struct outcome whole, got;

	record(&f, 5, 0);
	look(&f, &whole);
	for (u32 i = 0; i < f.cnt; i++) {
		struct folder_file *file = &f.file[i];

		if (!strcmp(file->name, "state") || !strcmp(file->name, "defs-copy")) {
			free(file->data);
			file->data = NULL;
		} else if (!strncmp(file->name, "gen-", 4)) {
			memset(file->data + GEN_LINK_AT, 0, GEN_FILE_HEAD - GEN_LINK_AT);
		}
	}
	look(&f, &got);
	assert_true(got.old);
	assert_int_equal(got.findings, 0);
	assert_int_equal(got.complete_ns, 0);
	assert_int_equal(got.res.emitted, whole.res.emitted);
	assert_int_equal(got.res.stored, whole.res.stored);
	/* what its numbers can tell, they do */
	for (u32 i = 0; i + 1 < f.cnt; i++)
		if (!strncmp(f.file[i].name, "gen-", 4) && !strncmp(f.file[i + 1].name, "gen-", 4) && i && !strncmp(f.file[i - 1].name, "gen-", 4)) {
			deleted(&f, &f.file[i], &whole, true);
			break;
		}
	free_folder(&f);
}

/* What may not be read is not damaged: no tape of nothing is made of it. */
static void not_ours_to_read(void **state)
{
	struct recovered *r = NULL;
	struct diag d = {0};
	char command[512];
	int err;

	snprintf(command, sizeof(command), "mkdir -m 755 '%s' && touch '%s/defs' '%s/gen-0000000001' && chmod 0 '%s'/*", dir, dir, dir, dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(geteuid() ? 0 : seteuid(65534), 0);
	err = recover__dir(dir, &r, &d);
	assert_int_equal(getuid() ? 0 : seteuid(0), 0);
	assert_int_equal(err, -EACCES);
	assert_non_null(strstr(d.text, "Permission denied"));
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_harm_anywhere),
		cmocka_unit_test(among_refusals),
		cmocka_unit_test(of_an_older_recorder),
		cmocka_unit_test(not_ours_to_read),
	};

	snprintf(dir, sizeof(dir), "/tmp/test_recover.%d", getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
