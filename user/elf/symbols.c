/* SPDX-License-Identifier: MIT */
/*
 * Symbols for arguments such as -4@NBuffers(%rip).
 *
 * The tables of a large program hold a million symbols, so they are read only when the first such argument turns up,
 * once, and only the data symbols are kept, sorted by a hash of their name. Both .dynsym and .symtab count: a name that
 * stands for two addresses (two static variables of two source files) is refused, as a wrong value is worse than none.
 * Hash collisions are cheap to make for whoever writes the file, hence the budget of comparisons: when it is used
 * up, the remaining arguments are unreadable.
 */
#include "elf/elf_priv.h"

#include <errno.h>
#include <string.h>

#define MAX_STRING_BYTES (256u << 20)
#define MAX_SYMBOLS	 (4u << 20) /* kept */
#define MAX_BUDGET	 20000000u

static u64 hash_name(const char *s, size_t bytes)
{
	u64 h = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ (u8)s[i]) * 0x100000001b3ULL;
	return h;
}

static bool is_data(const Elf64_Sym *sym)
{
	u32 type = ELF64_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS || !sym->st_name)
		return false;
	return type == STT_OBJECT || type == STT_NOTYPE || type == STT_COMMON || type == STT_FUNC;
}

static int add_symbol(struct symbols *s, u32 table, const Elf64_Sym *sym)
{
	const char *name;
	int err;

	if (!is_data(sym) || sym->st_name >= s->strings_bytes[table] || s->cnt >= MAX_SYMBOLS)
		return 0;
	err = elf_grow(&s->symbol, &s->room, s->cnt, sizeof(*s->symbol));
	if (err)
		return err;
	name = s->strings[table] + sym->st_name;
	s->symbol[s->cnt++] = (struct symbol){ .hash = hash_name(name, strlen(name)),
					       .value = sym->st_value,
					       .name = sym->st_name,
					       .table = table };
	return 0;
}

static int read_table(struct elf_file *f, u32 table, u32 type)
{
	struct symbols *s = &elf_priv(f)->symbols;
	struct image *im = &elf_priv(f)->im;
	const Elf64_Shdr *sh = NULL;
	u8 *strings;
	int err;

	for (u32 i = 0; i < im->shdr_cnt && !sh; i++) {
		if (im->shdr[i].sh_type == type)
			sh = &im->shdr[i];
	}
	if (!sh || sh->sh_link >= im->shdr_cnt || sh->sh_entsize != sizeof(Elf64_Sym))
		return 0;
	err = image__section(im, &im->shdr[sh->sh_link], MAX_STRING_BYTES, &strings,
			     &s->strings_bytes[table]);
	if (err)
		return err == -ENOMEM ? err : 0;
	s->strings[table] = (char *)strings;
	for (u64 i = 0; i < sh->sh_size / sizeof(Elf64_Sym); i++) {
		Elf64_Sym sym;

		if (image__peek(im, sh->sh_offset + i * sizeof(sym), &sym, sizeof(sym)))
			return 0;
		err = add_symbol(s, table, &sym);
		if (err)
			return err;
	}
	return 0;
}

static int by_hash(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void load(struct elf_file *f)
{
	struct symbols *s = &elf_priv(f)->symbols;

	s->loaded = true;
	s->budget = MAX_BUDGET;
	/* an error leaves fewer symbols: those arguments are unreadable */
	if (read_table(f, 0, SHT_DYNSYM) || read_table(f, 1, SHT_SYMTAB)) {
		s->cnt = 0;
		return;
	}
	if (s->cnt)
		qsort(s->symbol, s->cnt, sizeof(*s->symbol), by_hash);
}

int symbols__find(struct elf_file *f, const char *name, size_t bytes, u64 *value)
{
	struct symbols *s = &elf_priv(f)->symbols;
	u64 hash = hash_name(name, bytes);
	u32 lo = 0, hi;
	bool found = false;

	if (!s->loaded)
		load(f);
	for (hi = s->cnt; lo < hi;) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->symbol[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < s->cnt && s->symbol[lo].hash == hash; lo++) {
		const struct symbol *y = &s->symbol[lo];
		const char *other = s->strings[y->table] + y->name;

		if (s->budget < bytes + 1)
			return -ENOENT;
		s->budget -= bytes + 1;
		if (strncmp(other, name, bytes) || other[bytes])
			continue;
		if (found && *value != y->value)
			return -ENOENT;
		*value = y->value;
		found = true;
	}
	return found ? 0 : -ENOENT;
}

void symbols__done(struct symbols *s)
{
	free(s->symbol);
	free(s->strings[0]);
	free(s->strings[1]);
	memset(s, 0, sizeof(*s));
}
