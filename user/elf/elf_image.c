/* SPDX-License-Identifier: MIT */
#include "elf/elf_image.h"

#include <errno.h>
#include <string.h>

#define CHUNK_BYTES (64u << 10)

struct image_chunk {
	struct image_chunk *prev;
	size_t used, size;
	char data[] __attribute__((aligned(16)));
};

/* --- memory ------------------------------------------------------------------------------------------- */

void *image__alloc(struct image *im, size_t bytes)
{
	struct image_arena *a = &im->arena;
	struct image_chunk *c = a->last;
	size_t size = MAX(bytes, (size_t)CHUNK_BYTES);
	void *p;

	bytes = ALIGN_UP(bytes, (size_t)8);
	if (bytes > IMAGE_MAX_ARENA || a->used + bytes > IMAGE_MAX_ARENA)
		return NULL;
	if (!c || c->size - c->used < bytes) {
		size = ALIGN_UP(size, (size_t)16);
		c = malloc(sizeof(*c) + size);
		if (!c)
			return NULL;
		c->prev = a->last;
		c->used = 0;
		c->size = size;
		a->last = c;
	}
	p = c->data + c->used;
	c->used += bytes;
	a->used += bytes;
	return p;
}

const char *image__strndup(struct image *im, const char *s, size_t bytes)
{
	char *p = image__alloc(im, bytes + 1);

	if (!p)
		return NULL;
	memcpy(p, s, bytes);
	p[bytes] = '\0';
	return p;
}

/* --- bytes ---------------------------------------------------------------------------------------------- */

static bool inside(const struct image *im, u64 offset, u64 bytes)
{
	return offset <= im->size && bytes <= im->size - offset;
}

int image__read(struct image *im, u64 offset, void *dst, u64 bytes)
{
	u8 *p = dst;

	if (!inside(im, offset, bytes))
		return -EBADMSG;
	if (im->fd < 0) {
		if (bytes)
			memcpy(p, im->mem + offset, bytes);
		return 0;
	}
	while (bytes) {
		ssize_t n = pread(im->fd, p, MIN(bytes, (u64)1 << 30), (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n) /* the file has become shorter */
			return -EBADMSG;
		p += n;
		offset += (u64)n;
		bytes -= (u64)n;
	}
	return 0;
}

/* Have the window hold the bytes from `offset` on, as many as there are. */
static int move_window(struct image *im, u64 offset)
{
	u64 bytes = MIN((u64)sizeof(im->window), im->size - offset);
	int err = image__read(im, offset, im->window, bytes);

	im->window_at = offset;
	im->window_bytes = err ? 0 : (u32)bytes;
	return err;
}

int image__peek(struct image *im, u64 offset, void *dst, u32 bytes)
{
	int err;

	if (bytes > sizeof(im->window) || !inside(im, offset, bytes))
		return -EBADMSG;
	if (offset < im->window_at || offset - im->window_at > im->window_bytes ||
	    im->window_bytes - (offset - im->window_at) < bytes) {
		err = move_window(im, offset);
		if (err)
			return err;
	}
	memcpy(dst, im->window + (offset - im->window_at), bytes);
	return 0;
}

int image__string(struct image *im, u64 *offset, u32 most, const char **out)
{
	char buf[4096];
	u64 at = *offset, left;
	const char *nul;
	u32 room;
	int err;

	most = MIN(most, (u32)sizeof(buf) - 1);
	if (at >= im->size)
		return -EBADMSG;
	/* The window may end in the middle of the string: then it starts anew here. One try is enough, as `most` is
	 * smaller than the window. */
	if (at < im->window_at || at - im->window_at >= im->window_bytes ||
	    (im->window_bytes - (at - im->window_at) <= most &&
	     im->window_at + im->window_bytes < im->size)) {
		err = move_window(im, at);
		if (err)
			return err;
	}
	left = im->window_bytes - (at - im->window_at);
	room = (u32)MIN(left, (u64)most + 1);
	memcpy(buf, im->window + (at - im->window_at), room);
	nul = memchr(buf, 0, room);
	if (!nul)
		return room > most ? -ENAMETOOLONG : -EBADMSG;
	*out = image__strndup(im, buf, (size_t)(nul - buf));
	if (!*out)
		return -ENOMEM;
	*offset = at + (u64)(nul - buf) + 1;
	return 0;
}

/* --- headers --------------------------------------------------------------------------------------------- */

static int check_ehdr(struct image *im)
{
	const Elf64_Ehdr *eh = &im->ehdr;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		im->problem = "not a 64-bit ELF file";
	else if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		im->problem = "not a little-endian ELF file";
	else if (eh->e_machine != EM_X86_64 && eh->e_machine != EM_AARCH64)
		im->problem = "neither an x86-64 nor an arm64 ELF file";
	else if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		im->problem = "an ELF file, but neither a program nor a shared object";
	else
		return 0;
	return -ENOEXEC;
}

/* A table of the file in memory. Absurd counts are cut by what the file can hold. */
static int read_table(struct image *im, u64 offset, u64 cnt, u64 entry_bytes, void **out)
{
	u64 bytes = cnt * entry_bytes;
	void *p;
	int err;

	*out = NULL;
	if (!inside(im, offset, bytes))
		return -EBADMSG;
	p = malloc(bytes ? bytes : 1);
	if (!p)
		return -ENOMEM;
	err = image__read(im, offset, p, bytes);
	if (err) {
		free(p);
		return err;
	}
	*out = p;
	return 0;
}

static int read_phdrs(struct image *im, u64 cnt)
{
	void *p;
	int err;

	if (cnt && im->ehdr.e_phentsize != sizeof(Elf64_Phdr)) {
		im->problem = "program headers of an unknown size";
		return -EBADMSG;
	}
	if (cnt > IMAGE_MAX_PHDRS) {
		im->problem = "absurd number of program headers";
		return -EBADMSG;
	}
	err = read_table(im, im->ehdr.e_phoff, cnt, sizeof(Elf64_Phdr), &p);
	if (err) {
		im->problem = "program headers beyond the end of the file";
		return err;
	}
	im->phdr = p;
	im->phdr_cnt = (u32)cnt;
	for (u32 i = 0; i < im->phdr_cnt; i++) {
		if (im->phdr[i].p_type != PT_LOAD)
			continue;
		if (im->load_cnt == IMAGE_MAX_LOADS) {
			im->problem = "absurd number of segments";
			break;
		}
		im->load[im->load_cnt++] = i;
	}
	return 0;
}

/* Names are optional: without them no section is found, and the rest of the file can still be used. */
static int read_names(struct image *im, u32 index)
{
	const Elf64_Shdr *sh;
	u64 bytes;
	void *p;
	int err;

	if (index >= im->shdr_cnt)
		return 0;
	sh = &im->shdr[index];
	bytes = MIN(sh->sh_size, (u64)IMAGE_MAX_NAMES);
	if (sh->sh_type != SHT_STRTAB || !inside(im, sh->sh_offset, bytes)) {
		im->problem = "section names beyond the end of the file";
		return 0;
	}
	p = malloc(bytes + 1);
	if (!p)
		return -ENOMEM;
	err = image__read(im, sh->sh_offset, p, bytes);
	if (err) {
		free(p);
		return err;
	}
	im->names = p;
	im->names[bytes] = '\0';
	im->names_bytes = (u32)bytes;
	return 0;
}

/* Section headers may be missing (sstrip) or damaged: a file runs without them. Then there are no notes to find, which
 * `problem` says; it is no error. Counts beyond 16 bits are kept in section 0. */
static int read_sections(struct image *im, u64 *phnum)
{
	const Elf64_Ehdr *eh = &im->ehdr;
	u64 cnt = eh->e_shnum;
	u32 names = eh->e_shstrndx;
	Elf64_Shdr first;
	void *p;
	int err;

	if (!eh->e_shoff)
		return 0;
	if (eh->e_shentsize != sizeof(Elf64_Shdr) ||
	    image__read(im, eh->e_shoff, &first, sizeof(first))) {
		im->problem = "section headers beyond the end of the file";
		return 0;
	}
	if (!cnt)
		cnt = first.sh_size;
	if (names == SHN_XINDEX)
		names = first.sh_link;
	if (*phnum == PN_XNUM)
		*phnum = first.sh_info;
	if (cnt > IMAGE_MAX_SECTIONS) {
		im->problem = "absurd number of sections";
		return 0;
	}
	err = read_table(im, eh->e_shoff, cnt, sizeof(Elf64_Shdr), &p);
	if (err == -EBADMSG) {
		im->problem = "section headers beyond the end of the file";
		return 0;
	}
	if (err)
		return err;
	im->shdr = p;
	im->shdr_cnt = (u32)cnt;
	return read_names(im, names);
}

int image__open(struct image *im, int fd, const u8 *mem, u64 size)
{
	u64 phnum;
	int err;

	memset(im, 0, sizeof(*im));
	im->fd = fd;
	im->mem = mem;
	im->size = size;
	if (size < EI_NIDENT || image__read(im, 0, im->ehdr.e_ident, EI_NIDENT) ||
	    memcmp(im->ehdr.e_ident, ELFMAG, SELFMAG)) {
		im->problem = "not an ELF file";
		return -ENOEXEC;
	}
	if (image__read(im, 0, &im->ehdr, sizeof(im->ehdr))) {
		im->problem = "an ELF file cut off within its header";
		return -EBADMSG;
	}
	err = check_ehdr(im);
	if (err)
		return err;
	phnum = im->ehdr.e_phnum;
	err = read_sections(im, &phnum);
	if (!err)
		err = read_phdrs(im, phnum);
	if (err)
		image__close(im);
	return err;
}

void image__close(struct image *im)
{
	struct image_chunk *c, *prev;

	for (c = im->arena.last; c; c = prev) {
		prev = c->prev;
		free(c);
	}
	im->arena.last = NULL;
	im->arena.used = 0;
	free(im->phdr);
	free(im->shdr);
	free(im->names);
	im->phdr = NULL;
	im->shdr = NULL;
	im->names = NULL;
	im->phdr_cnt = im->load_cnt = im->shdr_cnt = im->names_bytes = 0;
}

/* --- sections and segments ------------------------------------------------------------------------------- */

int image__section(struct image *im, const Elf64_Shdr *sh, u64 most, u8 **data, u64 *bytes)
{
	u8 *p;
	int err;

	if (sh->sh_type == SHT_NOBITS || (sh->sh_flags & SHF_COMPRESSED) || sh->sh_size > most ||
	    !inside(im, sh->sh_offset, sh->sh_size))
		return -EBADMSG;
	p = malloc(sh->sh_size + 1);
	if (!p)
		return -ENOMEM;
	err = image__read(im, sh->sh_offset, p, sh->sh_size);
	if (err) {
		free(p);
		return err;
	}
	p[sh->sh_size] = '\0';
	*data = p;
	*bytes = sh->sh_size;
	return 0;
}

const Elf64_Shdr *image__find_section(const struct image *im, const char *name, u32 *at)
{
	size_t bytes = strlen(name) + 1;

	while (*at < im->shdr_cnt) {
		const Elf64_Shdr *sh = &im->shdr[(*at)++];

		/* names[names_bytes] is our own NUL */
		if (sh->sh_name < im->names_bytes && im->names_bytes + 1 - sh->sh_name >= bytes &&
		    !memcmp(im->names + sh->sh_name, name, bytes))
			return sh;
	}
	return NULL;
}

int image__offset(const struct image *im, u64 addr, u64 bytes, u32 want, u64 *offset)
{
	for (u32 i = 0; i < im->load_cnt; i++) {
		const Elf64_Phdr *ph = &im->phdr[im->load[i]];
		u64 into = addr - ph->p_vaddr;

		if ((ph->p_flags & want) != want || addr < ph->p_vaddr ||
		    into > ph->p_filesz || bytes > ph->p_filesz - into)
			continue;
		if (!inside(im, ph->p_offset, ph->p_filesz) || !inside(im, ph->p_offset + into, bytes))
			continue;
		*offset = ph->p_offset + into;
		return 0;
	}
	return -ENOENT;
}
