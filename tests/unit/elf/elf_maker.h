/* SPDX-License-Identifier: MIT */
/*
 * elf_maker.h - small ELF files made by hand, for tests and the fuzzer's seeds.
 *
 * Regions: code at 0x100, writable data at 0x300, read-only data at 0x400; notes, symbols and section headers behind.
 * Link address = file offset + the region's base, so that mixing the two up shows.
 */
#ifndef TAPEBPF_ELF_MAKER_H
#define TAPEBPF_ELF_MAKER_H

#include <elf.h>
#include <string.h>

#include "base/util.h"
#include "tapebpf/wire.h"

#define MAKER_TEXT 0x10000
#define MAKER_DATA 0x20000
#define MAKER_RO   0x30000

struct maker {
	u8 b[16384];
	u32 text, data, ro, tail;
	u8 note[4096], sym[2048];
	char str[1024], names[512];
	u32 note_bytes, sym_bytes, str_bytes, names_bytes;
	u32 sites_at, site_cnt;
	Elf64_Shdr sh[16];
	u32 sh_cnt, notes_index;
	u16 machine;
};

static inline u32 maker__name(struct maker *m, const char *name)
{
	u32 at = m->names_bytes;

	strcpy(m->names + at, name);
	m->names_bytes += (u32)strlen(name) + 1;
	return at;
}

static inline u32 maker__section(struct maker *m, const char *name, u32 type, u64 addr, u64 offset, u64 bytes)
{
	m->sh[m->sh_cnt] = (Elf64_Shdr){ .sh_name = maker__name(m, name), .sh_type = type, .sh_addr = addr,
					 .sh_offset = offset, .sh_size = bytes, .sh_addralign = 1 };
	return m->sh_cnt++;
}

static inline void maker__start(struct maker *m, u16 machine, u16 type)
{
	Elf64_Ehdr eh = { .e_type = type, .e_machine = machine, .e_version = 1, .e_phoff = 64, .e_phnum = 3,
			  .e_ehsize = 64, .e_phentsize = sizeof(Elf64_Phdr), .e_shentsize = sizeof(Elf64_Shdr) };
	Elf64_Phdr ph[3] = {
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0x100, .p_vaddr = MAKER_TEXT + 0x100,
		  .p_filesz = 0x200, .p_memsz = 0x200, .p_align = 4096 },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x300, .p_vaddr = MAKER_DATA + 0x300,
		  .p_filesz = 0x100, .p_memsz = 0x1000, .p_align = 4096 },
		{ .p_type = PT_LOAD, .p_flags = PF_R, .p_offset = 0x400, .p_vaddr = MAKER_RO + 0x400,
		  .p_filesz = 0x800, .p_memsz = 0x800, .p_align = 4096 },
	};

	memset(m, 0, sizeof(*m));
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = 1;
	memcpy(m->b, &eh, sizeof(eh));
	memcpy(m->b + 64, ph, sizeof(ph));
	m->machine = machine;
	m->text = 0x100;
	m->data = 0x300;
	m->ro = 0x400;
	m->tail = 0xc00;
	maker__section(m, "", SHT_NULL, 0, 0, 0);
	m->str_bytes = 1;
	m->sym_bytes = sizeof(Elf64_Sym);
}

static inline Elf64_Ehdr *maker__ehdr(struct maker *m)
{
	return (Elf64_Ehdr *)m->b;
}

static inline Elf64_Phdr *maker__phdr(struct maker *m, u32 i)
{
	return (Elf64_Phdr *)(m->b + 64) + i;
}

/* Link address of a new nop. */
static inline u64 maker__nop(struct maker *m)
{
	u32 at = m->text;

	if (m->machine == EM_AARCH64)
		memcpy(m->b + at, "\x1f\x20\x03\xd5", 4);
	else
		memset(m->b + at, 0x90, 4);
	m->text += 4;
	return MAKER_TEXT + at;
}

static inline u64 maker__data(struct maker *m, const void *p, u32 bytes)
{
	u32 at = ALIGN_UP(m->data, 8);

	if (p)
		memcpy(m->b + at, p, bytes);
	m->data = at + bytes;
	return MAKER_DATA + at;
}

static inline u64 maker__ro(struct maker *m, const void *p, u32 bytes)
{
	u32 at = ALIGN_UP(m->ro, 8);

	memcpy(m->b + at, p, bytes);
	m->ro = at + bytes;
	return MAKER_RO + at;
}

static inline void maker__raw_note(struct maker *m, u32 namesz, u32 descsz, u32 type, const char *name, const void *desc,
				   u32 desc_bytes)
{
	Elf64_Nhdr nh = { namesz, descsz, type };
	u8 *p = m->note + m->note_bytes;

	memcpy(p, &nh, sizeof(nh));
	memcpy(p + 12, name, 8);
	memcpy(p + 20, desc, desc_bytes);
	m->note_bytes += 20 + ALIGN_UP(desc_bytes, 4);
}

static inline void maker__note(struct maker *m, u64 location, u64 base, u64 semaphore, const char *provider,
			       const char *name, const char *args)
{
	u64 word[3] = { location, base, semaphore };
	u8 desc[2048];
	u32 at = sizeof(word);

	memcpy(desc, word, sizeof(word));
	for (int i = 0; i < 3; i++) {
		const char *s = i == 0 ? provider : i == 1 ? name : args;

		strcpy((char *)desc + at, s);
		at += (u32)strlen(s) + 1;
	}
	maker__raw_note(m, 8, at, 3, "stapsdt", desc, at);
}

static inline void maker__symbol(struct maker *m, const char *name, u64 value, u8 type)
{
	Elf64_Sym s = { .st_name = m->str_bytes, .st_info = ELF64_ST_INFO(STB_LOCAL, type), .st_shndx = 1,
			.st_value = value };

	strcpy(m->str + m->str_bytes, name);
	m->str_bytes += (u32)strlen(name) + 1;
	memcpy(m->sym + m->sym_bytes, &s, sizeof(s));
	m->sym_bytes += sizeof(s);
}

/* A struct wire_module; returns its link address. */
static inline u64 maker__module(struct maker *m)
{
	struct wire_module wm = { .magic = WIRE_MODULE_MAGIC, .version = WIRE_VERSION, .size = sizeof(wm) };
	u64 cold = maker__nop(m), addr = maker__data(m, NULL, sizeof(wm));

	wm.ticks_cold = (s32)(cold - (addr + offsetof(struct wire_module, ticks_cold)));
	memcpy(m->b + (addr - MAKER_DATA), &wm, sizeof(wm));
	maker__section(m, "tape_module", SHT_PROGBITS, addr, addr - MAKER_DATA, sizeof(wm));
	return addr;
}

/* Room for cnt callsites; then maker__set_site for each. */
static inline void maker__sites(struct maker *m, u32 cnt)
{
	m->ro = ALIGN_UP(m->ro, 8);
	m->sites_at = m->ro;
	m->site_cnt = cnt;
	m->ro += cnt * (u32)sizeof(struct wire_site);
	maker__section(m, "tape_sites", SHT_PROGBITS, MAKER_RO + m->sites_at, m->sites_at,
		       cnt * sizeof(struct wire_site));
}

static inline struct wire_site *maker__site(struct maker *m, u32 i)
{
	return (struct wire_site *)(m->b + m->sites_at) + i;
}

static inline u64 maker__site_addr(struct maker *m, u32 i)
{
	return MAKER_RO + m->sites_at + i * sizeof(struct wire_site);
}

/* text: the strings, NULs included. */
static inline void maker__set_site(struct maker *m, u32 i, u8 kind, u8 level, u8 field_cnt, u64 types, const char *text,
				   u32 text_bytes, u64 nop, u64 nop_end)
{
	u64 addr = maker__site_addr(m, i), strings = maker__ro(m, text, text_bytes);
	u64 words = maker__data(m, NULL, 4), cold = maker__nop(m);
	struct wire_site *s = maker__site(m, i);

	*s = (struct wire_site){ .version = WIRE_VERSION, .kind = kind, .level = level, .field_cnt = field_cnt,
				 .line = 100 + i, .types = { types } };
	s->text = (s32)(strings - (addr + offsetof(struct wire_site, text)));
	s->words = (s32)(words - (addr + offsetof(struct wire_site, words)));
	s->cold = (s32)(cold - (addr + offsetof(struct wire_site, cold)));
	s->nop = nop ? (s32)(nop - (addr + offsetof(struct wire_site, nop))) : 0;
	s->nop_end = nop_end ? (s32)(nop_end - (addr + offsetof(struct wire_site, nop_end))) : 0;
}

static inline u64 maker__append(struct maker *m, const void *p, u32 bytes)
{
	u64 at = m->tail = ALIGN_UP(m->tail, 8);

	memcpy(m->b + at, p, bytes);
	m->tail += bytes;
	return at;
}

/* Write notes, symbols, names and section headers. Returns the file's size; headers can still be changed in m->b, the
 * section headers at e_shoff. */
static inline u32 maker__finish(struct maker *m)
{
	Elf64_Ehdr *eh = maker__ehdr(m);
	u32 names;

	if (m->note_bytes)
		m->notes_index = maker__section(m, ".note.stapsdt", SHT_NOTE, 0,
						maker__append(m, m->note, m->note_bytes), m->note_bytes);
	if (m->sym_bytes > sizeof(Elf64_Sym)) {
		u32 sym = maker__section(m, ".symtab", SHT_SYMTAB, 0, maker__append(m, m->sym, m->sym_bytes),
					 m->sym_bytes);

		m->sh[sym].sh_entsize = sizeof(Elf64_Sym);
		m->sh[sym].sh_link = maker__section(m, ".strtab", SHT_STRTAB, 0,
						    maker__append(m, m->str, m->str_bytes), m->str_bytes);
	}
	names = maker__section(m, ".shstrtab", SHT_STRTAB, 0, 0, 0);
	m->sh[names].sh_offset = maker__append(m, m->names, m->names_bytes);
	m->sh[names].sh_size = m->names_bytes;
	eh->e_shstrndx = (u16)names;
	eh->e_shnum = (u16)m->sh_cnt;
	eh->e_shoff = maker__append(m, m->sh, m->sh_cnt * (u32)sizeof(Elf64_Shdr));
	return m->tail;
}

static inline Elf64_Shdr *maker__shdr(struct maker *m, u32 i)
{
	return (Elf64_Shdr *)(m->b + maker__ehdr(m)->e_shoff) + i;
}

#endif
