/* SPDX-License-Identifier: MIT */
#include "session/session_files.h"

#include "flight/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

struct inode {
	u64 dev, ino;
};

/* uthash wants the handle and the key in one structure; one for each of the two tables. */
struct known {
	struct inode key;
	struct session_file *file; /* NULL: read, and no ELF file */
	UT_hash_handle hh;
};

struct session_files {
	struct session_file **file; /* by module number; those with probes */
	u32 file_cnt, file_cap;
	u32 next_site;
	struct known *known; /* by fstat */
	struct known *seen;  /* by mapping event */
};

struct session_files *session_files__new(void)
{
	return calloc(1, sizeof(struct session_files));
}

static void file__free(struct session_file *f)
{
	if (!f)
		return;
	elf_file__free(f->elf);
	if (f->fd >= 0)
		close(f->fd);
	free(f->shown);
	free(f);
}

static void clear(struct known **table)
{
	struct known *k, *tmp;

	HASH_ITER(hh, *table, k, tmp) {
		HASH_DEL(*table, k);
		file__free(k->file);
		free(k);
	}
}

void session_files__free(struct session_files *t)
{
	if (!t)
		return;
	clear(&t->known);
	clear(&t->seen);
	free(t->file);
	free(t);
}

static struct known *find(struct known *table, u64 dev, u64 ino)
{
	struct inode key = { dev, ino };
	struct known *k;

	HASH_FIND(hh, table, &key, sizeof(key), k);
	return k;
}

static struct known *add(struct known **table, u64 dev, u64 ino)
{
	struct known *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->key.dev = dev;
	k->key.ino = ino;
	HASH_ADD(hh, *table, key, sizeof(k->key), k);
	return k;
}

/* Number the file: module numbers for all that have probes, site numbers for the foreign sites. */
static int number(struct session_files *t, struct session_file *f)
{
	if (t->file_cnt == t->file_cap) {
		u32 cap = t->file_cap ? t->file_cap * 2 : 16;
		struct session_file **grown = realloc(t->file, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->file = grown;
		t->file_cap = cap;
	}
	f->module = t->file_cnt;
	f->first_site = t->next_site;
	t->file[t->file_cnt++] = f;
	t->next_site += f->elf->site_cnt;
	return 0;
}

static int read_file(struct session_files *t, int fd, const char *shown, struct session_file **out,
		     struct diag *d)
{
	struct session_file *f = calloc(1, sizeof(*f));
	int err = -ENOMEM;

	if (!f) {
		close(fd);
		return diag__set(d, err, "not enough memory to read %s", shown);
	}
	f->fd = fd;
	snprintf(f->open_path, sizeof(f->open_path), "/proc/self/fd/%d", fd);
	f->shown = strdup(shown);
	if (f->shown)
		err = elf_file__open(f->open_path, f->shown, &f->elf, d);
	if (!err && !elf_file__is_native(f->elf))
		err = diag__set(d, -ENOEXEC, "%s is for another kind of machine", shown);
	if (!err && (f->elf->site_cnt || f->elf->tape_site_cnt)) {
		elf_file__resolve_lines(f->elf);
		err = number(t, f);
	}
	if (err) {
		file__free(f);
		return err;
	}
	if (!f->elf->site_cnt && !f->elf->tape_site_cnt) {
		/* nothing to attach: give the descriptor back */
		close(f->fd);
		f->fd = -1;
	}
	*out = f;
	return 0;
}

int session_files__get(struct session_files *t, int fd, const char *shown, struct session_file **out,
		       struct diag *d)
{
	struct known *k;
	struct stat st;
	int err;

	if (fstat(fd, &st)) {
		err = -errno;
		close(fd);
		return diag__set(d, err, "cannot stat %s: %s", shown, strerror(-err));
	}
	k = find(t->known, st.st_dev, st.st_ino);
	if (k) {
		close(fd);
		*out = k->file;
		return k->file ? 0 : diag__set(d, -ENOEXEC, "%s is no ELF file for this machine", shown);
	}
	k = add(&t->known, st.st_dev, st.st_ino);
	if (!k) {
		close(fd);
		return diag__set(d, -ENOMEM, "not enough memory to read %s", shown);
	}
	err = read_file(t, fd, shown, &k->file, d);
	*out = k->file;
	return err;
}

const struct session_file *session_files__module(const struct session_files *t, u32 module)
{
	return module < t->file_cnt ? t->file[module] : NULL;
}

bool session_files__seen(const struct session_files *t, u64 dev, u64 ino)
{
	return find(t->seen, dev, ino);
}

void session_files__see(struct session_files *t, u64 dev, u64 ino)
{
	add(&t->seen, dev, ino);
}

void session_files__count(const struct session_files *t, u32 *looked, u32 *files, u32 *foreign, u32 *tape)
{
	*looked = HASH_COUNT(t->known);
	*files = *foreign = *tape = 0;
	for (u32 i = 0; i < t->file_cnt; i++) {
		*files += t->file[i]->attached;
		*foreign += t->file[i]->elf->site_cnt;
		*tape += t->file[i]->elf->tape_site_cnt;
	}
}

int session_files__list(const struct session_files *t, struct snapshot_file **out, u32 *cnt)
{
	struct snapshot_file *f = calloc(MAX(t->file_cnt, 1u), sizeof(*f));

	if (!f)
		return -ENOMEM;
	for (u32 i = 0; i < t->file_cnt; i++)
		f[i] = (struct snapshot_file){ .elf = t->file[i]->elf, .module = t->file[i]->module,
					       .first_site = t->file[i]->first_site };
	*out = f;
	*cnt = t->file_cnt;
	return 0;
}
