/* SPDX-License-Identifier: MIT */
#include "flight/ring_dir.h"

#include "base/crc32c.h"
#include "flight/defs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#define TIDY_BYTES (1u << 20) /* definitions are written anew beyond twice what they would take, and this */

struct ring_dir {
	int dir_fd; /* of the run's folder */
	int defs_fd;
	char *parent, name[128];
	char exe[256];
	struct snapshot_file *file;
	u32 file_cnt;
	const struct sig_set *sigs;
	bool no_pairs;
	int pages_fd; /* -1: none yet */
	u32 *free_slot, free_cnt, free_cap, slot_cnt;
	u64 carry_changes; /* as of the last writing */
	u64 tidied_bytes; /* what the definitions took when they were last written anew */
	int copy_fd; /* of the definitions' copy; -1: there is none any more */
	u64 copied_bytes;
	struct ring_files *files;
	struct ring_state st;
	struct ring_state_file *state;
	int state_fd; /* locked as long as this recorder runs, as the definitions are */
	struct gen_seal sealed; /* the latest that has a file; no 0: none yet */
	u64 missing_cnt;
	u64 failed;
	bool leave;
};

static void put_state(struct ring_dir *r)
{
	ring_state__put(r->state, &r->st);
}

/* --- generations ------------------------------------------------------------------------------------------------------- */

static struct gen_seal seal_of(const struct ring_dir *r, const struct generation *gen)
{
	struct gen_seal s = { .no = gen->no, .start_ns = gen->start_ns, .end_ns = gen->end_ns, .rec_cnt = gen->rec_cnt,
			      .single_cnt = gen->single_cnt, .paged_cnt = gen->paged_cnt, .missing_cnt = r->missing_cnt,
			      .chunk_cnt = gen->chunk_cnt, .last_used = gen->last ? gen->last->used : 0 };

	gen_seal__close(&s);
	return s;
}

static int gen_open(struct ring_dir *r, struct generation *gen)
{
	struct gen_file_head h = { .no = gen->no, .start_ns = gen->start_ns };
	struct gen_file *f;
	struct gen_link link;
	struct clock_pair now;
	int err;

	clock__pair(&now);
	h.mono_ns = now.mono_ns;
	h.real_ns = now.real_ns;
	h.boot_ns = now.boot_ns;
	gen_link__make(&link, &r->sealed);
	err = ring_files__take(r->files, &h, &link, &f);
	gen->user = err ? NULL : f;
	return err;
}

static u8 *map_chunk(void *ctx, struct generation *gen, u32 n)
{
	struct ring_dir *r = ctx;
	u8 *p = NULL;

	if (gen->user || !gen_open(r, gen))
		p = ring_files__chunk(r->files, gen->user, n);
	if (!p) {
		r->failed++;
		return NULL;
	}
	r->st.newest = seal_of(r, gen);
	r->st.newest.chunk_cnt = n + 1;
	r->st.newest.last_used = 0; /* all that was counted is in the chunks before */
	put_state(r);
	return p;
}

/* Told where a reader of this file finds it, and, when there is one, of the next. */
static void sealed(void *ctx, struct generation *gen)
{
	struct ring_dir *r = ctx;

	if (!gen->user)
		return; /* nothing was put into it */
	r->sealed = seal_of(r, gen);
	gen_file__seal(gen->user, &r->sealed);
	r->st.newest = r->sealed;
	r->st.sealed_single_cnt += gen->single_cnt;
	r->st.sealed_paged_cnt += gen->paged_cnt;
	put_state(r);
}

static void evicted(void *ctx, struct generation *gen)
{
	struct ring_dir *r = ctx;

	r->st.oldest_no = gen->no + 1;
	if (gen->user) {
		r->st.sealed_single_cnt -= gen->single_cnt;
		r->st.sealed_paged_cnt -= gen->paged_cnt;
	}
	put_state(r);
	put_state(r); /* whichever copy is read: it has not been deleted */
	if (gen->user)
		gen_file__left(gen->user);
}

static void freed(void *ctx, struct generation *gen)
{
	struct ring_dir *r = ctx;

	if (gen->user)
		ring_files__give(r->files, gen->user);
	gen->user = NULL;
}

struct chunk_store ring_dir__store(struct ring_dir *r)
{
	return (struct chunk_store){ .map = map_chunk, .sealed = sealed, .evicted = evicted, .freed = freed, .ctx = r };
}

/* --- pages of threads ---------------------------------------------------------------------------------------------------- */

static int open_pages(struct ring_dir *r)
{
	if (r->pages_fd < 0)
		r->pages_fd = openat(r->dir_fd, "pages", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return r->pages_fd < 0 ? -errno : 0;
}

/* Numbers from 1. */
static u32 take_slot(struct ring_dir *r)
{
	return r->free_cnt ? r->free_slot[--r->free_cnt] : ++r->slot_cnt;
}

static void give_slot(struct ring_dir *r, u32 slot)
{
	if (r->free_cnt == r->free_cap) {
		u32 cap = r->free_cap ? 2 * r->free_cap : 64;
		u32 *grown = realloc(r->free_slot, cap * sizeof(*grown));

		if (!grown)
			return; /* a hole in the file */
		r->free_slot = grown;
		r->free_cap = cap;
	}
	r->free_slot[r->free_cnt++] = slot;
}

static off_t slot_at(u32 slot)
{
	return (off_t)(slot - 1) * PAGE_SLOT;
}

static int write_slot(struct ring_dir *r, u32 slot, const struct partial *p)
{
	struct {
		struct page_slot head;
		u8 rec[PAGE_SLOT - sizeof(struct page_slot)];
	} s = { .head = { .magic = PAGE_SLOT_MAGIC, .bytes = p->bytes } };
	size_t bytes = sizeof(s.head) + p->bytes;

	if (bytes > sizeof(s))
		return -EMSGSIZE;
	memcpy(s.rec, p->rec, p->bytes);
	s.head.crc = crc32c(0, &s.head.bytes, bytes - offsetof(struct page_slot, bytes));
	return pwrite(r->pages_fd, &s, bytes, slot_at(slot)) == (ssize_t)bytes ? 0 : -EIO;
}

/* Of the sheet's image so many records are in its slot. */
static void told_slot(struct ring_dir *r, struct sheet *sh, u32 cnt)
{
	r->st.slot_cnt = r->slot_cnt;
	r->st.image_cnt = r->st.image_cnt + cnt - sh->slot_cnt;
	sh->slot_cnt = cnt;
	put_state(r);
}

void ring_dir__page(void *ctx, struct sheet *sh)
{
	static const struct page_slot none;
	struct ring_dir *r = ctx;

	if (sh->partial) {
		if (open_pages(r)) {
			r->failed++;
			return;
		}
		if (!sh->slot)
			sh->slot = take_slot(r);
		if (!write_slot(r, sh->slot, sh->partial)) {
			told_slot(r, sh, rec__paged_cnt((const void *)sh->partial->rec, sh->partial->bytes));
			return;
		}
		r->failed++; /* what was there before is old */
	}
	if (!sh->slot)
		return;
	if (pwrite(r->pages_fd, &none, sizeof(none), slot_at(sh->slot)) != sizeof(none))
		r->failed++;
	told_slot(r, sh, 0);
	give_slot(r, sh->slot);
	sh->slot = 0;
}

/* --- what is open before the oldest generation -------------------------------------------------------------------------- */

static int write_carried(struct ring_dir *r, const struct chunk *c, u64 no)
{
	struct carried_head h = { .magic = CARRIED_MAGIC, .no = no, .bytes = c->used };
	struct iovec io[2] = { { &h, sizeof(h) }, { c->data, c->used } };
	__close_fd int fd = openat(r->dir_fd, "carried.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t want = (ssize_t)(sizeof(h) + c->used);

	h.crc = crc32c(crc32c(crc32c(0, &h.no, sizeof(h.no)), &h.bytes, sizeof(h.bytes)), c->data, c->used);
	if (fd < 0 || writev(fd, io, 2) != want || renameat(r->dir_fd, "carried.new", r->dir_fd, "carried"))
		return -EIO;
	return 0;
}

void ring_dir__carried(struct ring_dir *r, const struct carry *c, u64 no)
{
	struct chunk k = { 0 };
	u64 bytes;
	int err;

	if (carry__changes(c) == r->carry_changes)
		return;
	err = carry__copy(c, &k);
	err = err ? err : write_carried(r, &k, no);
	bytes = k.used + sizeof(struct carried_head);
	free(k.data);
	if (err) {
		/* an old one would tell of what has ended since */
		r->failed++;
		unlinkat(r->dir_fd, "carried", 0);
		unlinkat(r->dir_fd, "carried.new", 0);
	} else {
		r->carry_changes = carry__changes(c);
	}
	r->st.carried_bytes = err ? 0 : (u32)bytes;
	r->st.carried_cnt = err ? 0 : (u32)(c->cnt + c->told.cnt);
	put_state(r);
}

/* --- definitions ------------------------------------------------------------------------------------------------------- */

static void give_up_copy(struct ring_dir *r)
{
	if (r->copy_fd < 0)
		return;
	close(r->copy_fd);
	r->copy_fd = -1;
	unlinkat(r->dir_fd, "defs-copy", 0);
}

/* What has been written since. A copy that could not be gone on with would be taken for a whole one. */
static void copy_defs(struct ring_dir *r)
{
	u8 bytes[4096];
	ssize_t n;

	while (r->copy_fd >= 0 && r->copied_bytes < r->st.defs_bytes) {
		n = pread(r->defs_fd, bytes, MIN(sizeof(bytes), r->st.defs_bytes - r->copied_bytes), (off_t)r->copied_bytes);
		if (n <= 0 || pwrite(r->copy_fd, bytes, (size_t)n, (off_t)r->copied_bytes) != n)
			give_up_copy(r);
		else
			r->copied_bytes += (u64)n;
	}
}

/* A definition was written, or a part of it, which would be in the way of the next. */
static void written(struct ring_dir *r, int err)
{
	struct stat st;

	if (err < 0) {
		r->failed++;
		if (ftruncate(r->defs_fd, (off_t)r->st.defs_bytes))
			r->failed++;
	}
	if (fstat(r->defs_fd, &st))
		return;
	r->st.defs_bytes = (u64)st.st_size;
	put_state(r);
}

static void on_process(void *ctx, const struct roster_process *p)
{
	struct ring_dir *r = ctx;

	written(r, defs__put_process(r->defs_fd, p));
}

static void on_thread(void *ctx, const struct roster_thread *t)
{
	struct ring_dir *r = ctx;

	written(r, defs__put_thread(r->defs_fd, t));
}

static void on_name(void *ctx, const struct roster_thread *t)
{
	struct ring_dir *r = ctx;

	written(r, defs__put_name(r->defs_fd, t));
}

struct roster_listener ring_dir__listener(struct ring_dir *r)
{
	return (struct roster_listener){ .process = on_process, .thread = on_thread, .name = on_name, .ctx = r };
}

int ring_dir__reading(struct ring_dir *r, const struct sig_set *sigs, bool no_pairs)
{
	int err = defs__put_reading(r->defs_fd, sigs, no_pairs);

	r->sigs = sigs;
	r->no_pairs = no_pairs;
	written(r, err);
	return err;
}

int ring_dir__file(struct ring_dir *r, const struct elf_file *f, u32 module, u32 first_site)
{
	struct snapshot_file *grown = realloc(r->file, (r->file_cnt + 1) * sizeof(*grown));
	int err = defs__put_file(r->defs_fd, f, module, first_site);

	if (grown) {
		r->file = grown;
		r->file[r->file_cnt++] = (struct snapshot_file){ .elf = f, .module = module, .first_site = first_site };
	}
	written(r, err);
	return err;
}

static int write_all(struct ring_dir *r, int fd, const struct roster *who)
{
	const struct roster_process *p;
	const struct roster_thread *t;
	struct clock_pair now;
	u64 i;
	int err;

	clock__pair(&now);
	err = defs__put_run(fd, &now, r->exe);
	if (!err)
		err = defs__put_reading(fd, r->sigs, r->no_pairs);
	for (u32 k = 0; k < r->file_cnt && !err; k++)
		err = defs__put_file(fd, r->file[k].elf, r->file[k].module, r->file[k].first_site);
	/* versions newest first: what is read later is taken as newer, so only the newest of each is kept here; older ones
	 * are only named by records that leave the ring soon */
	for (i = 0; !err && (p = idmap__next(&who->pids, &i));)
		err = defs__put_process(fd, p);
	for (i = 0; !err && (t = idmap__next(&who->tids, &i));)
		err = defs__put_thread(fd, t);
	return err;
}

static void open_copy(struct ring_dir *r)
{
	r->copied_bytes = 0;
	r->copy_fd = openat(r->dir_fd, "defs-copy", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	copy_defs(r);
}

void ring_dir__tidy(struct ring_dir *r, const struct roster *who)
{
	struct stat st;
	int fd;

	if (fstat(r->defs_fd, &st) || (u64)st.st_size < 2 * r->tidied_bytes + TIDY_BYTES)
		return;
	fd = openat(r->dir_fd, "defs.new", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write_all(r, fd, who) || fstat(fd, &st) || flock(fd, LOCK_EX | LOCK_NB) || renameat(r->dir_fd, "defs.new", r->dir_fd, "defs")) {
		close(fd);
		unlinkat(r->dir_fd, "defs.new", 0);
		return;
	}
	close(r->defs_fd);
	r->defs_fd = fd;
	r->tidied_bytes = r->st.defs_bytes = (u64)st.st_size;
	put_state(r);
	put_state(r); /* whichever copy is read: they have not been cut */
	/* the copy is of what was before: until there is another, it does without */
	give_up_copy(r);
	open_copy(r);
}

void ring_dir__beat(struct ring_dir *r, const struct generation *active, u64 complete_ns, u64 missing_cnt, const struct ring_unstored *unstored)
{
	struct clock_pair now;

	copy_defs(r);
	clock__pair(&now);
	r->missing_cnt = missing_cnt;
	if (active->user)
		r->st.newest = seal_of(r, active);
	else
		r->st.newest.missing_cnt = missing_cnt;
	r->st.complete_ns = complete_ns;
	r->st.mono_ns = now.mono_ns;
	r->st.real_ns = now.real_ns;
	r->st.boot_ns = now.boot_ns;
	r->st.unstored_single_cnt = unstored->single_cnt;
	r->st.unstored_paged_cnt = unstored->paged_cnt;
	put_state(r);
}

u64 ring_dir__failed(const struct ring_dir *r)
{
	return r->failed;
}

u64 ring_dir__chunk_bytes(const struct ring_dir *r)
{
	return ring_files__bytes(r->files);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

/* What an earlier recorder left: worth a word. */
static void look_for_leftovers(const char *dir, struct diag *d)
{
	DIR *list = opendir(dir);
	struct dirent *e;

	while (list && (e = readdir(list))) {
		if (strncmp(e->d_name, "run-", 4))
			continue;
		diag__hint(d, "%s/%s was left by a recorder that did not end in order, or still runs: tapebpf recover %s/%s", dir, e->d_name,
			   dir, e->d_name);
		break;
	}
	if (list)
		closedir(list);
}

static int make_folder(struct ring_dir *r, const char *dir, struct diag *d)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[32] = "", path[4096];

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d_%H-%M-%S", &tm);
	snprintf(r->name, sizeof(r->name), "run-%s-%d", when, getpid());
	mkdir(dir, 0700); /* may be there */
	look_for_leftovers(dir, d);
	if (snprintf(path, sizeof(path), "%s/%s", dir, r->name) >= (int)sizeof(path))
		return diag__set(d, -ENAMETOOLONG, "the folder's name is too long: %s", dir);
	if (mkdir(path, 0700))
		return diag__set(d, -errno, "cannot make %s: %s", path, strerror(errno));
	r->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r->dir_fd < 0 ? diag__set(d, -errno, "cannot open %s: %s", path, strerror(errno)) : 0;
}

static int open_state(struct ring_dir *r)
{
	r->state_fd = openat(r->dir_fd, "state", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r->state = r->state_fd < 0 || flock(r->state_fd, LOCK_EX | LOCK_NB) ? NULL : ring_state__open(r->state_fd);
	if (!r->state)
		return -errno;
	/* both copies */
	put_state(r);
	put_state(r);
	return 0;
}

static int open_defs(struct ring_dir *r, struct diag *d)
{
	struct clock_pair now;
	int err;

	r->defs_fd = openat(r->dir_fd, "defs", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	err = r->defs_fd < 0 || flock(r->defs_fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	if (!err)
		err = open_state(r);
	clock__pair(&now);
	if (!err)
		err = defs__put_run(r->defs_fd, &now, r->exe);
	if (!err) {
		written(r, 0);
		open_copy(r);
	}
	return err ? diag__set(d, err, "cannot write to the folder of the ring: %s", strerror(-err)) : 0;
}

int ring_dir__new(const char *dir, const char *exe, struct ring_dir **out, struct diag *d)
{
	struct ring_dir *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return diag__set(d, -ENOMEM, "not enough memory");
	r->dir_fd = r->defs_fd = r->copy_fd = r->state_fd = r->pages_fd = -1;
	snprintf(r->exe, sizeof(r->exe), "%s", exe);
	r->parent = strdup(dir);
	err = r->parent ? make_folder(r, dir, d) : -ENOMEM;
	if (!err)
		err = open_defs(r, d);
	if (!err) {
		r->files = ring_files__new(r->dir_fd);
		err = r->files ? 0 : diag__set(d, -ENOMEM, "not enough memory");
	}
	if (err) {
		ring_dir__free(r);
		return err;
	}
	*out = r;
	return 0;
}

/* Only what is ours, by its names. */
static void remove_folder(struct ring_dir *r)
{
	int fd = dup(r->dir_fd);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	char path[4096];

	while (list && (e = readdir(list)))
		if (!strncmp(e->d_name, "gen-", 4) || !strncmp(e->d_name, "defs", 4) || !strncmp(e->d_name, "carried", 7) ||
		    !strcmp(e->d_name, "pages") || !strcmp(e->d_name, "state"))
			unlinkat(r->dir_fd, e->d_name, 0);
	if (list)
		closedir(list);
	else if (fd >= 0)
		close(fd);
	if (snprintf(path, sizeof(path), "%s/%s", r->parent, r->name) < (int)sizeof(path))
		rmdir(path);
}

void ring_dir__leave(struct ring_dir *r, char *path, size_t bytes)
{
	r->leave = true;
	ring_files__settle(r->files);
	snprintf(path, bytes, "%s/%s", r->parent, r->name);
}

void ring_dir__free(struct ring_dir *r)
{
	if (!r)
		return;
	ring_files__free(r->files);
	if (r->dir_fd >= 0) {
		if (!r->leave)
			remove_folder(r);
		close(r->dir_fd);
	}
	if (r->defs_fd >= 0)
		close(r->defs_fd);
	if (r->copy_fd >= 0)
		close(r->copy_fd);
	if (r->pages_fd >= 0)
		close(r->pages_fd);
	ring_state__close(r->state);
	if (r->state_fd >= 0)
		close(r->state_fd);
	free(r->free_slot);
	free(r->file);
	free(r->parent);
	free(r);
}
