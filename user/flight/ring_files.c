/* SPDX-License-Identifier: MIT */
/*
 * ring_files.c - the files of generations.
 *
 * Problem. A generation's file lives for a ring's length, under load a tenth of a second. Making it, giving it room, mapping it and letting it go
 * was most of what keeping a record cost: each page of it is found, zeroed and mapped anew. And each of these calls can wait for
 * the file system (a journal, a discard of what was freed), for hundreds of milliseconds on a busy disk, while nobody empties the kernel's rings.
 *
 * Design. What has left the ring is used again as it is, mapped: no call, no fault, no new block. Which generation a file holds is told by its
 * first page, through the mapping. What is left of earlier generations is behind a zero: before a record is published, the word
 * where the next one begins is made 0 (generations.c); and each record's checksum is also over the number of its generation, so what a damaged
 * place lets through is not taken for new. Its name is for people and for files whose first page is damaged: a thread brings it
 * up to date a little later, and deletes what is not needed any more. So a ring that goes round makes no system call.
 *
 * A kill between any two stores: a file that has left says so (one store), and does until the first page says everything of the next generation
 * (magic last). The records come after that. Where a name is behind, the first page counts.
 *
 * Rejected. A lock with the thread: it may be put to sleep while it holds it. Lists are taken by an exchange instead. Room ahead
 * of time for a ring that does not need it yet: one of an hour with a generation a second would take 3600 times as much as it holds.
 *
 * Invariant. A file is used by the recording's thread alone, but for its name and its end, which are the other's.
 */
#include "flight/ring_files.h"

#include "base/crc32c.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SPARE_FILES 4 /* more that wait for a generation are deleted */
#define SETTLE_SECONDS 2

enum job_kind { JOB_NAME, JOB_DELETE, JOB_SETTLE, JOB_QUIT };

struct job {
	struct job *next;
	enum job_kind kind;
	struct gen_file *file;
};

struct gen_file {
	struct gen_file *next; /* of those that wait */
	int fd;
	u64 no;
	u64 named; /* the number that its name says */
	u8 *first_page;
	u8 **chunk;
	u32 chunk_cnt;
	bool left;
	bool naming; /* its job is in the list: what it does is of the moment when it is done */
	struct job job[2];
};

struct ring_files {
	int dir_fd;
	struct gen_file *spare, **spare_end; /* the one that has waited longest first */
	u32 spare_cnt;
	u64 bytes;
	struct job *todo; /* the latest first */
	pthread_t thread;
	bool has_thread;
	sem_t wake, settled;
	struct job settle; /* asked for, and not answered: settling */
	bool settling;
};

static void show_name(char dst[32], u64 no)
{
	snprintf(dst, 32, "gen-%010llu", (unsigned long long)no);
}

/* --- what can wait -------------------------------------------------------------------------------------------------------- */

static void bring_name_up_to_date(struct ring_files *rf, struct gen_file *f)
{
	u64 no;
	char old[32], new[32];

	__atomic_store_n(&f->naming, false, __ATOMIC_SEQ_CST);
	no = __atomic_load_n(&f->no, __ATOMIC_SEQ_CST);
	if (no == f->named)
		return;
	show_name(old, f->named);
	show_name(new, no);
	if (!renameat(rf->dir_fd, old, rf->dir_fd, new))
		f->named = no;
}

static void close_file(struct gen_file *f)
{
	for (u32 i = 0; i < f->chunk_cnt; i++)
		munmap(f->chunk[i], CHUNK_BYTES);
	if (f->first_page)
		munmap(f->first_page, GEN_FILE_HEAD);
	close(f->fd);
	free(f->chunk);
	free(f);
}

static void delete_file(struct ring_files *rf, struct gen_file *f)
{
	char name[32];

	show_name(name, f->named);
	unlinkat(rf->dir_fd, name, 0);
	close_file(f);
}

/* false: that was the last. */
static bool do_job(struct ring_files *rf, const struct job *j)
{
	switch (j->kind) {
	case JOB_NAME:
		bring_name_up_to_date(rf, j->file);
		return true;
	case JOB_DELETE:
		delete_file(rf, j->file);
		return true;
	case JOB_SETTLE:
		sem_post(&rf->settled);
		return true;
	case JOB_QUIT:
		break;
	}
	return false;
}

static struct job *take_jobs(struct ring_files *rf)
{
	struct job *j = __atomic_exchange_n(&rf->todo, NULL, __ATOMIC_ACQUIRE), *next, *first = NULL;

	for (; j; j = next) {
		next = j->next;
		j->next = first;
		first = j;
	}
	return first;
}

static void *work(void *arg)
{
	struct ring_files *rf = arg;
	struct job *j, *next;
	bool go_on = true;

	while (go_on) {
		while (sem_wait(&rf->wake) && errno == EINTR)
			;
		for (j = take_jobs(rf); j; j = next) {
			next = j->next; /* a file may go, and its jobs with it; one that is named may be given another */
			go_on = do_job(rf, j) && go_on;
		}
	}
	return NULL;
}

static void ask(struct ring_files *rf, struct job *j, enum job_kind kind, struct gen_file *f)
{
	j->kind = kind;
	j->file = f;
	if (!rf->has_thread) {
		do_job(rf, j);
		return;
	}
	j->next = __atomic_load_n(&rf->todo, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&rf->todo, &j->next, j, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	sem_post(&rf->wake);
}

static void ask_for_name(struct ring_files *rf, struct gen_file *f)
{
	if (!__atomic_exchange_n(&f->naming, true, __ATOMIC_SEQ_CST))
		ask(rf, &f->job[0], JOB_NAME, f);
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

static void close_head(struct gen_file_head *h)
{
	h->magic = GEN_FILE_MAGIC;
	h->chunk_bytes = CHUNK_BYTES;
	h->crc = crc32c(0, h, offsetof(struct gen_file_head, crc));
}

static int write_first_page(int fd, const struct gen_file_head *h, const struct gen_link *link)
{
	u8 page[GEN_FILE_HEAD] = { 0 };
	ssize_t n;

	memcpy(page, h, sizeof(*h));
	memcpy(page + GEN_LINK_AT, link, sizeof(*link));
	n = pwrite(fd, page, sizeof(page), 0);
	return n < 0 ? -errno : n < (ssize_t)sizeof(page) ? -ENOSPC : 0;
}

static int make_file(struct ring_files *rf, const struct gen_file_head *h, const struct gen_link *link, struct gen_file **out)
{
	struct gen_file *f = calloc(1, sizeof(*f));
	char name[32];
	int err;

	if (!f)
		return -ENOMEM;
	show_name(name, h->no);
	f->no = f->named = h->no;
	f->fd = openat(rf->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->fd < 0) {
		err = -errno;
		free(f);
		return err;
	}
	err = write_first_page(f->fd, h, link);
	if (!err) {
		f->first_page = mmap(NULL, GEN_FILE_HEAD, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
		err = f->first_page == MAP_FAILED ? -errno : 0;
	}
	if (err) {
		f->first_page = NULL;
		delete_file(rf, f);
		return err;
	}
	*out = f;
	return 0;
}

static struct gen_file *take_spare(struct ring_files *rf)
{
	struct gen_file *f = rf->spare;

	if (!f)
		return NULL;
	rf->spare = f->next;
	if (!rf->spare)
		rf->spare_end = &rf->spare;
	rf->spare_cnt--;
	f->next = NULL;
	return f;
}

/* What it says of the one before holds until the magic is there. */
static void begin_anew(struct gen_file *f, const struct gen_file_head *h, const struct gen_link *link)
{
	const size_t magic = sizeof(h->magic);

	for (u32 i = 0; i < f->chunk_cnt; i++)
		memset(f->chunk[i], 0, 8);
	memcpy(f->first_page + GEN_LINK_AT, link, sizeof(*link));
	memcpy(f->first_page + magic, (const u8 *)h + magic, sizeof(*h) - magic);
	__atomic_store_n((u64 *)f->first_page, h->magic, __ATOMIC_RELEASE);
	f->left = false;
	__atomic_store_n(&f->no, h->no, __ATOMIC_SEQ_CST);
}

int ring_files__take(struct ring_files *rf, struct gen_file_head *h, const struct gen_link *link, struct gen_file **out)
{
	struct gen_file *f = take_spare(rf);

	close_head(h);
	if (!f)
		return make_file(rf, h, link, out);
	begin_anew(f, h, link);
	ask_for_name(rf, f);
	*out = f;
	return 0;
}

u8 *ring_files__chunk(struct ring_files *rf, struct gen_file *f, u32 n)
{
	off_t at = GEN_FILE_HEAD + (off_t)n * CHUNK_BYTES;
	u8 **grown, *p;
	int err;

	if (n < f->chunk_cnt)
		return f->chunk[n];
	grown = realloc(f->chunk, (n + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	f->chunk = grown;
	do
		err = posix_fallocate(f->fd, at, CHUNK_BYTES); /* a full disk is an error now, and not SIGBUS later */
	while (err == EINTR);
	p = err ? MAP_FAILED : mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, f->fd, at);
	if (p == MAP_FAILED) {
		errno = err ? err : errno;
		return NULL;
	}
	f->chunk[f->chunk_cnt++] = p;
	rf->bytes += CHUNK_BYTES;
	return p;
}

void gen_file__seal(struct gen_file *f, const struct gen_seal *s)
{
	memcpy(f->first_page + GEN_SEAL_AT, s, sizeof(*s));
}

void gen_file__left(struct gen_file *f)
{
	__atomic_store_n((u64 *)f->first_page, GEN_FILE_LEFT, __ATOMIC_RELEASE);
	f->left = true;
}

void ring_files__give(struct ring_files *rf, struct gen_file *f)
{
	if (f->left && rf->spare_cnt < SPARE_FILES) {
		*rf->spare_end = f;
		rf->spare_end = &f->next;
		rf->spare_cnt++;
		return;
	}
	rf->bytes -= (u64)f->chunk_cnt * CHUNK_BYTES;
	if (f->left) {
		ask(rf, &f->job[1], JOB_DELETE, f);
		return;
	}
	/* its name may be about to come; if that does not end, neither does the file */
	if (ring_files__settle(rf))
		close_file(f);
}

/* --- life ----------------------------------------------------------------------------------------------------------------- */

bool ring_files__settle(struct ring_files *rf)
{
	struct timespec until;

	if (!rf->has_thread)
		return true;
	if (!rf->settling)
		ask(rf, &rf->settle, JOB_SETTLE, NULL);
	rf->settling = true;
	clock_gettime(CLOCK_MONOTONIC, &until); /* the wall clock may be set back meanwhile */
	until.tv_sec += SETTLE_SECONDS;
	while (sem_clockwait(&rf->settled, CLOCK_MONOTONIC, &until))
		if (errno != EINTR)
			return false;
	rf->settling = false;
	return true;
}

u64 ring_files__bytes(const struct ring_files *rf)
{
	return rf->bytes;
}

struct ring_files *ring_files__new(int dir_fd)
{
	struct ring_files *rf = calloc(1, sizeof(*rf));

	if (!rf)
		return NULL;
	rf->dir_fd = dir_fd;
	rf->spare_end = &rf->spare;
	sem_init(&rf->wake, 0, 0);
	sem_init(&rf->settled, 0, 0);
	rf->has_thread = !thread__start(&rf->thread, NULL, work, rf); /* without one all is done at once */
	return rf;
}

void ring_files__free(struct ring_files *rf)
{
	struct gen_file *f;
	struct job quit;

	if (!rf)
		return;
	while ((f = take_spare(rf)))
		ask(rf, &f->job[1], JOB_DELETE, f);
	if (rf->has_thread) {
		ask(rf, &quit, JOB_QUIT, NULL);
		pthread_join(rf->thread, NULL);
	}
	sem_destroy(&rf->wake);
	sem_destroy(&rf->settled);
	free(rf);
}
