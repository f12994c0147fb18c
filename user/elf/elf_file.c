/* SPDX-License-Identifier: MIT */
#include "elf/elf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "elf/elf_priv.h"

#define MAX_NOTE_BYTES (64u << 10) /* of a PT_NOTE segment that may hold the build id */

void elf_file__bad_note(struct elf_file *f, const char *why)
{
	if (!f->bad_note_cnt++)
		f->bad_note = why;
}

int elf_grow(void *array, u32 *room, u32 cnt, size_t element_bytes)
{
	void **p = array, *grown;
	u32 want;

	if (cnt < *room)
		return 0;
	want = *room ? *room * 2 : 16;
	grown = realloc(*p, want * element_bytes);
	if (!grown)
		return -ENOMEM;
	*p = grown;
	*room = want;
	return 0;
}

const char *elf_file__nop(struct elf_file *f, u64 addr, u64 *offset)
{
	static const u8 arm64_nop[4] = { 0x1f, 0x20, 0x03, 0xd5 };
	bool arm64 = f->machine == EM_AARCH64;
	u32 bytes = arm64 ? 4 : 1;
	u8 code[4];

	*offset = 0;
	if (image__offset(&elf_priv(f)->im, addr, bytes, PF_X, offset))
		return "outside of the executable segments";
	if (arm64 && addr % 4)
		return "not a nop: not aligned as an instruction";
	if (image__peek(&elf_priv(f)->im, *offset, code, bytes))
		return "could not be read";
	if (arm64 ? memcmp(code, arm64_nop, 4) != 0 : code[0] != 0x90)
		return "not a nop: another instruction is there";
	return NULL;
}

bool elf_file__is_native(const struct elf_file *f)
{
#if defined(__aarch64__)
	return f->machine == EM_AARCH64;
#else
	return f->machine == EM_X86_64;
#endif
}

int elf_file__offset(const struct elf_file *f, u64 addr, bool want_exec, bool want_write, u64 *offset)
{
	u32 want = (want_exec ? PF_X : 0) | (want_write ? PF_W : 0);

	return image__offset(&elf_priv(f)->im, addr, 1, want, offset);
}

static int find_addr(const struct image *im, u64 offset, u32 want, u64 page, u64 *addr)
{
	for (u32 i = 0; i < im->load_cnt; i++) {
		const Elf64_Phdr *ph = &im->phdr[im->load[i]];
		u64 start = ph->p_offset / page * page;

		if ((ph->p_flags & want) != want || offset < start)
			continue;
		if (offset >= ph->p_offset && offset - ph->p_offset >= ph->p_filesz)
			continue;
		*addr = ph->p_vaddr - (ph->p_offset - offset);
		return 0;
	}
	return -ENOENT;
}

/*
 * Segments are mapped by whole pages, so a mapping may start below its segment's offset, on a page that two segments
 * share. Callers come from executable mappings, so executable segments are asked first, by their exact bytes before
 * their whole pages.
 */
int elf_file__addr(const struct elf_file *f, u64 offset, u64 *addr)
{
	const struct image *im = &elf_priv(f)->im;
	u64 page = (u64)sysconf(_SC_PAGESIZE);

	if (!find_addr(im, offset, PF_X, 1, addr) || !find_addr(im, offset, PF_X, page, addr) ||
	    !find_addr(im, offset, 0, 1, addr))
		return 0;
	return find_addr(im, offset, 0, page, addr);
}

/* The build id among the notes of one segment: namesz, descsz, type, "GNU\0", id. */
static bool find_build_id(struct elf_file *f, const u8 *p, u64 bytes)
{
	while (bytes >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		u64 name, desc;

		memcpy(&nh, p, sizeof(nh));
		p += sizeof(nh);
		bytes -= sizeof(nh);
		name = ALIGN_UP((u64)nh.n_namesz, 4);
		desc = ALIGN_UP((u64)nh.n_descsz, 4);
		if (name > bytes || desc > bytes - name)
			return false;
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && !memcmp(p, "GNU", 4) &&
		    nh.n_descsz && nh.n_descsz <= sizeof(f->build_id)) {
			memcpy(f->build_id, p + name, nh.n_descsz);
			f->build_id_bytes = nh.n_descsz;
			return true;
		}
		p += name + desc;
		bytes -= name + desc;
	}
	return false;
}

static void read_build_id(struct elf_file *f)
{
	struct image *im = &elf_priv(f)->im;
	u32 left = 16; /* segments to look at: a file has one or two */

	for (u32 i = 0; i < im->phdr_cnt && left; i++) {
		const Elf64_Phdr *ph = &im->phdr[i];
		__free_ptr u8 *p = NULL;
		bool found;

		if (ph->p_type != PT_NOTE || ph->p_filesz > MAX_NOTE_BYTES)
			continue;
		left--;
		p = malloc(ph->p_filesz + 1);
		if (!p || image__read(im, ph->p_offset, p, ph->p_filesz))
			continue;
		found = find_build_id(f, p, ph->p_filesz);
		if (found)
			return;
	}
}

static const char *what_was_looked_at(const struct elf_file *f)
{
	const struct image *im = &elf_priv(f)->im;
	u32 at = 0;

	if (!im->shdr_cnt)
		return im->problem ? im->problem : "it has no section headers";
	if (image__find_section(im, ".note.stapsdt", &at))
		return "its section .note.stapsdt";
	return im->problem ? im->problem : "it has no section .note.stapsdt";
}

/* The part that needs the whole image. What is only needed for it is given back. */
static int read_all(struct elf_file *f)
{
	struct elf_priv *p = elf_priv(f);
	int err;

	f->machine = p->im.ehdr.e_machine;
	read_build_id(f);
	err = tape_sites__read(f);
	if (!err)
		err = stapsdt__read(f);
	f->looked_at = what_was_looked_at(f);
	symbols__done(&p->symbols);
	free(p->tape_nop);
	p->tape_nop = NULL;
	return err;
}

static int open_image(struct elf_file *f, int fd, const u8 *mem, u64 size, struct diag *d)
{
	struct image *im = &elf_priv(f)->im;
	int err = image__open(im, fd, mem, size);

	if (!err)
		err = read_all(f);
	if (!err)
		return 0;
	if (err == -ENOEXEC || err == -EBADMSG)
		return diag__set(d, err, "%s: %s", f->path,
				 im->problem ? im->problem : "damaged ELF file");
	return diag__set(d, err, "%s: cannot read: %s", f->path, strerror(-err));
}

static struct elf_file *new_file(const char *shown)
{
	struct elf_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->priv = calloc(1, sizeof(struct elf_priv));
	f->path = strdup(shown);
	if (f->priv)
		elf_priv(f)->fd = -1;
	if (!f->priv || !f->path) {
		elf_file__free(f);
		return NULL;
	}
	return f;
}

int elf_file__parse(const u8 *mem, u64 size, struct elf_file **out, struct diag *d)
{
	struct elf_file *f = new_file("(memory)");
	int err;

	if (!f)
		return diag__set(d, -ENOMEM, "out of memory");
	f->size = size;
	err = open_image(f, -1, mem, size, d);
	if (err) {
		elf_file__free(f);
		return err;
	}
	*out = f;
	return 0;
}

/* O_NONBLOCK: a fifo in place of a file must not make us wait. */
static int open_regular(const char *path, const char *shown, struct stat *st, struct diag *d)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return diag__set(d, -errno, "%s: cannot open: %s", shown, strerror(errno));
	if (fstat(fd, st) || !S_ISREG(st->st_mode)) {
		close(fd);
		return diag__set(d, -ENOEXEC, "%s: not a regular file", shown);
	}
	return fd;
}

int elf_file__open(const char *path, const char *shown, struct elf_file **out, struct diag *d)
{
	struct elf_file *f;
	struct stat st;
	int fd, err;

	if (!shown)
		shown = path;
	fd = open_regular(path, shown, &st, d);
	if (fd < 0)
		return fd;
	f = new_file(shown);
	if (!f) {
		close(fd);
		return diag__set(d, -ENOMEM, "%s: out of memory", shown);
	}
	elf_priv(f)->fd = fd;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->size = (u64)st.st_size;
	err = open_image(f, fd, NULL, f->size, d);
	if (err) {
		elf_file__free(f);
		return err;
	}
	/* Only libdw would need it. A recorder holds hundreds of files, most of them without foreign sites. */
	if (!f->site_cnt) {
		close(fd);
		elf_priv(f)->fd = elf_priv(f)->im.fd = -1;
		elf_priv(f)->im.size = 0;
	}
	*out = f;
	return 0;
}

void elf_file__free(struct elf_file *f)
{
	struct elf_priv *p;

	if (!f)
		return;
	p = f->priv;
	if (p) {
		symbols__done(&p->symbols);
		image__close(&p->im);
		free(p->tape_nop);
		if (p->fd >= 0)
			close(p->fd);
		free(p);
	}
	free(f->site);
	free(f->tape_site);
	free(f->tape_probe);
	free(f->path);
	free(f);
}
