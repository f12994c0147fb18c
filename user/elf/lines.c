/* SPDX-License-Identifier: MIT */
/*
 * Source lines of foreign sites, from DWARF.
 *
 * libdw's line table of one compilation unit is cheap, that of a whole large program is not. So a site's unit is looked
 * up by address first: in .debug_aranges where the compiler wrote it (gcc), else in a table made from the ranges of the
 * units' top entries (clang), which reads one entry a unit.
 *
 * Where the file itself has no DWARF, a separate debug file is looked for as gdb does: by build id, then by
 * .gnu_debuglink beside the file and below /usr/lib/debug. Not through libdwfl's own search, which may ask servers on
 * the network: a recorder that starts must not wait for one. A debug file counts only if its build id is the same, or,
 * where there is none, its CRC.
 *
 * DWARF of a hostile file goes to libdw, which is fuzzed by its own project; nothing else of this room uses it.
 */
#include "elf/elf_priv.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define DEBUG_DIR	"/usr/lib/debug"
#define MAX_PATH_BYTES	4096
#define MAX_UNIT_RANGES (1u << 20)

struct unit_range {
	u64 low, high;
	Dwarf_Off die;
};

struct units {
	Dwarf *dw;
	bool listed;
	struct unit_range *range; /* sorted by low */
	u32 cnt, room;
};

/* --- finding the DWARF -------------------------------------------------------------------------------------- */

static bool has_lines(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return false;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr sh;
		const char *name;

		if (!gelf_getshdr(scn, &sh))
			continue;
		name = elf_strptr(elf, names, sh.sh_name);
		if (name && sh.sh_type != SHT_NOBITS &&
		    (!strcmp(name, ".debug_line") || !strcmp(name, ".zdebug_line")))
			return true;
	}
	return false;
}

static bool same_build_id(const struct elf_file *f, Elf *elf)
{
	const void *id;
	ssize_t bytes = dwelf_elf_gnu_build_id(elf, &id);

	return bytes > 0 && (u32)bytes == f->build_id_bytes && !memcmp(id, f->build_id, (size_t)bytes);
}

/* CRC-32 of the whole file, as .gnu_debuglink has it: for files without a build id. */
static bool same_crc(int fd, u32 want)
{
	u8 buf[65536];
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		crc = crc32(crc, buf, (uInt)n);
		at += n;
	}
	return !n && crc == want;
}

/* An open debug file that belongs to f, by its build id or else by the CRC in the link (may be NULL), or -1. */
static int try_debug_file(const struct elf_file *f, const char *path, const u32 *crc)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	bool good = false;
	Elf *elf;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		elf = elf_begin(fd, ELF_C_READ, NULL);
		good = elf && elf_kind(elf) == ELF_K_ELF && has_lines(elf) &&
		       (f->build_id_bytes ? same_build_id(f, elf) : crc && same_crc(fd, *crc));
		elf_end(elf);
	}
	if (good)
		return fd;
	close(fd);
	return -1;
}

static int find_by_build_id(const struct elf_file *f)
{
	char path[sizeof(DEBUG_DIR) + 80];
	int at;

	at = snprintf(path, sizeof(path), "%s/.build-id/%02x/", DEBUG_DIR, f->build_id[0]);
	for (u32 i = 1; i < f->build_id_bytes; i++)
		at += snprintf(path + at, sizeof(path) - (size_t)at, "%02x", f->build_id[i]);
	snprintf(path + at, sizeof(path) - (size_t)at, ".debug");
	return try_debug_file(f, path, NULL);
}

static int find_by_link(const struct elf_file *f, Elf *elf)
{
	static const char *const pattern[] = { "%.*s%s", "%.*s.debug/%s", DEBUG_DIR "%.*s%s" };
	const char *slash = strrchr(f->path, '/');
	GElf_Word crc;
	const char *link = dwelf_elf_gnu_debuglink(elf, &crc);
	char path[MAX_PATH_BYTES];
	int fd = -1;

	if (!link || strchr(link, '/'))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(pattern) && fd < 0; i++) {
		int dir = slash ? (int)(slash + 1 - f->path) : 0, n;

		if (i == 2 && f->path[0] != '/')
			break;
		n = snprintf(path, sizeof(path), pattern[i], dir, f->path, link);
		if (n > 0 && (size_t)n < sizeof(path))
			fd = try_debug_file(f, path, &crc);
	}
	return fd;
}

/* A descriptor to read DWARF from, -1: there is none. The caller closes it. */
static int find_dwarf(const struct elf_file *f)
{
	Elf *elf = elf_begin(elf_priv(f)->fd, ELF_C_READ, NULL);
	int fd = -1;

	if (!elf)
		return -1;
	if (has_lines(elf))
		fd = fcntl(elf_priv(f)->fd, F_DUPFD_CLOEXEC, 0);
	else if (f->build_id_bytes)
		fd = find_by_build_id(f);
	if (fd < 0 && !has_lines(elf))
		fd = find_by_link(f, elf);
	elf_end(elf);
	return fd;
}

/* --- finding the unit ------------------------------------------------------------------------------------------ */

static int by_low(const void *a, const void *b)
{
	const struct unit_range *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

static int list_ranges(struct units *u, Dwarf_Die *die)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
		if (low >= high)
			continue;
		if (u->cnt >= MAX_UNIT_RANGES ||
		    elf_grow(&u->range, &u->room, u->cnt, sizeof(*u->range)))
			return -ENOMEM;
		u->range[u->cnt++] = (struct unit_range){ low, high, dwarf_dieoffset(die) };
	}
	return 0;
}

static void list_units(struct units *u)
{
	Dwarf_Off at = 0, next;
	size_t header;

	u->listed = true;
	while (!dwarf_nextcu(u->dw, at, &next, &header, NULL, NULL, NULL)) {
		Dwarf_Die die;

		if (dwarf_offdie(u->dw, at + header, &die) && list_ranges(u, &die))
			break;
		if (next <= at)
			break;
		at = next;
	}
	if (u->cnt)
		qsort(u->range, u->cnt, sizeof(*u->range), by_low);
}

static bool find_unit(struct units *u, u64 addr, Dwarf_Die *die)
{
	u32 lo = 0, hi;

	if (dwarf_addrdie(u->dw, addr, die))
		return true;
	if (!u->listed)
		list_units(u);
	for (hi = u->cnt; lo < hi;) {
		u32 mid = lo + (hi - lo) / 2;

		if (u->range[mid].low <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr < u->range[lo - 1].high && dwarf_offdie(u->dw, u->range[lo - 1].die, die);
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

static void resolve(struct elf_file *f, struct units *u, struct elf_site *s)
{
	struct image *im = &elf_priv(f)->im;
	Dwarf_Line *line;
	const char *file;
	Dwarf_Die unit;
	int number;

	if (!find_unit(u, s->addr, &unit))
		return;
	line = dwarf_getsrc_die(&unit, s->addr);
	if (!line || dwarf_lineno(line, &number) || number <= 0)
		return;
	file = dwarf_linesrc(line, NULL, NULL);
	if (!file || strlen(file) > ELF_MAX_NAME_BYTES * 4)
		return;
	s->file = image__strndup(im, file, strlen(file));
	if (s->file)
		s->line = (u32)number;
}

void elf_file__resolve_lines(struct elf_file *f)
{
	__close_fd int fd = -1;
	struct units u = { 0 };

	if (!f->site_cnt || elf_priv(f)->fd < 0 || elf_version(EV_CURRENT) == EV_NONE)
		return;
	fd = find_dwarf(f);
	if (fd < 0)
		return;
	u.dw = dwarf_begin(fd, DWARF_C_READ);
	if (!u.dw)
		return;
	for (u32 i = 0; i < f->site_cnt; i++) {
		if (!f->site[i].file)
			resolve(f, &u, &f->site[i]);
	}
	free(u.range);
	dwarf_end(u.dw);
}
