/* SPDX-License-Identifier: MIT */
/*
 * Callsites of tape.h: the section "tape_sites" (struct wire_site) and the module in "tape_module" (wire.h, layout 1).
 *
 * Everything in a struct wire_site is relative to the member that holds it, so the bytes of the file tell the same as
 * the memory of a process: no relocation has to be applied. They are found through the link address of the section.
 */
#include "elf/elf_priv.h"

#include <errno.h>
#include <string.h>

#define MAX_SECTION_BYTES ((u64)ELF_MAX_SITES * sizeof(struct wire_site))
#define MAX_MODULE_BYTES  (1u << 20)

/* What a self-relative member at this link address names; 0: absent. */
static u64 target(u64 member_addr, s32 value)
{
	return value ? member_addr + (u64)(s64)value : 0;
}

#define TARGET(addr, site, member) \
	target((addr) + offsetof(__typeof__(*(site)), member), (site)->member)

static const char *read_strings(struct elf_file *f, u64 text, struct elf_tape_site *t)
{
	struct image *im = &elf_priv(f)->im;
	const char **to[4 + WIRE_MAX_FIELDS] = { &t->name, &t->target, &t->module, &t->file };
	u32 cnt = 4;
	u64 at;

	for (u32 i = 0; i < t->field_cnt; i++)
		to[cnt++] = &t->field[i];
	if (image__offset(im, text, 1, 0, &at))
		return "names outside of the file";
	for (u32 i = 0; i < cnt; i++) {
		switch (image__string(im, &at, ELF_MAX_NAME_BYTES, to[i])) {
		case 0:
			break;
		case -ENAMETOOLONG:
			return "absurdly long name in a callsite";
		case -ENOMEM:
			return "more text than is kept of one file";
		default:
			return "names without their end in a callsite";
		}
	}
	return NULL;
}

static const char *read_types(const struct wire_site *w, struct elf_tape_site *t)
{
	for (u32 i = 0; i < t->field_cnt; i++) {
		t->type[i] = w->types[i / 16] >> 4 * (i % 16) & 15;
		if (t->type[i] > WIRE_T_ERROR)
			return "field of an unknown type in a callsite";
	}
	return NULL;
}

/* Why a site cannot be armed, or NULL. Its own nops are only needed in immediate mode, but a site where they are wrong
 * was not made by tape.h. */
static const char *locate(struct elf_file *f, const struct wire_site *w, struct elf_tape_site *t)
{
	struct image *im = &elf_priv(f)->im;
	u64 words = TARGET(t->addr, w, words), cold = TARGET(t->addr, w, cold);
	u64 nop = TARGET(t->addr, w, nop), nop_end = TARGET(t->addr, w, nop_end);
	const char *bad;

	if (!words || image__offset(im, words, sizeof(struct wire_words), PF_W, &t->sema_offset)) {
		t->sema_offset = 0;
		return "enable words outside of the writable segments";
	}
	t->words_addr = words;
	t->nop_addr = nop;
	t->nop_end_addr = nop_end;
	t->armed_offset = t->sema_offset + offsetof(struct wire_words, armed);
	bad = cold ? elf_file__nop(f, cold, &t->cold_offset) : "it has no cold nop";
	if (!bad && nop)
		bad = elf_file__nop(f, nop, &t->nop_offset);
	if (!bad && nop_end)
		bad = elf_file__nop(f, nop_end, &t->nop_end_offset);
	return bad;
}

/* Why an entry cannot be used at all, or NULL. */
static const char *read_site(struct elf_file *f, const struct wire_site *w, struct elf_tape_site *t)
{
	u64 text = TARGET(t->addr, w, text);
	const char *bad;

	if (w->version != WIRE_VERSION)
		return "made by another version of tape.h";
	if (w->kind > WIRE_SITE_SPAN || w->level > WIRE_ERROR || w->field_cnt > WIRE_MAX_FIELDS)
		return "damaged callsite";
	if (!text)
		return "callsite without a name";
	t->kind = w->kind;
	t->level = w->level;
	t->field_cnt = w->field_cnt;
	t->line = w->line;
	bad = read_types(w, t);
	if (!bad)
		bad = read_strings(f, text, t);
	if (!bad)
		t->bad = locate(f, w, t);
	return bad;
}

static void remember_nops(struct elf_priv *p, u64 addr, const struct wire_site *w)
{
	u64 nop = TARGET(addr, w, nop), nop_end = TARGET(addr, w, nop_end);

	if (nop)
		p->tape_nop[p->tape_nop_cnt++] = nop;
	if (nop_end)
		p->tape_nop[p->tape_nop_cnt++] = nop_end;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int by_addr(const void *a, const void *b)
{
	const struct elf_tape_site *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int add_site(struct elf_file *f, u64 addr, const u8 *bytes)
{
	static const struct wire_site none;
	struct elf_priv *p = elf_priv(f);
	struct elf_tape_site *t;
	struct wire_site w;
	const char *bad;
	int err;

	memcpy(&w, bytes, sizeof(w));
	if (!memcmp(&w, &none, sizeof(w))) /* what a linker leaves of a discarded entry */
		return 0;
	err = elf_grow(&f->tape_site, &p->tape_site_room, f->tape_site_cnt, sizeof(*f->tape_site));
	if (err)
		return err;
	t = &f->tape_site[f->tape_site_cnt];
	memset(t, 0, sizeof(*t));
	t->addr = addr;
	bad = read_site(f, &w, t);
	if (bad) {
		elf_file__bad_note(f, bad);
		return 0;
	}
	remember_nops(p, addr, &w);
	f->tape_site_cnt++;
	return 0;
}

static int read_sites(struct elf_file *f, const Elf64_Shdr *sh)
{
	struct elf_priv *p = elf_priv(f);
	__free_ptr u8 *data = NULL;
	u64 bytes, cnt;
	int err;

	err = image__section(&p->im, sh, MAX_SECTION_BYTES, &data, &bytes);
	if (err == -EBADMSG) {
		elf_file__bad_note(f, "section tape_sites is compressed, too large, or beyond the "
				      "end of the file");
		return 0;
	}
	if (err)
		return err;
	cnt = bytes / sizeof(struct wire_site);
	if (bytes % sizeof(struct wire_site))
		elf_file__bad_note(f, "section tape_sites ends within an entry");
	p->tape_nop = calloc(cnt * 2 + 1, sizeof(*p->tape_nop));
	if (!p->tape_nop)
		return -ENOMEM;
	for (u64 i = 0; i < cnt; i++) {
		err = add_site(f, sh->sh_addr + i * sizeof(struct wire_site),
			       data + i * sizeof(struct wire_site));
		if (err)
			return err;
	}
	qsort(p->tape_nop, p->tape_nop_cnt, sizeof(*p->tape_nop), by_value);
	if (f->tape_site_cnt)
		qsort(f->tape_site, f->tape_site_cnt, sizeof(*f->tape_site), by_addr);
	return 0;
}

/* 0: this is a module of ours, remembered. */
static int use_module(struct elf_file *f, u64 addr, const struct wire_module *m)
{
	u64 cold = TARGET(addr, m, ticks_cold), ticks;

	if (m->version != WIRE_VERSION || m->size < sizeof(*m)) {
		elf_file__bad_note(f, "module made by another version of tape.h");
		return -EBADMSG;
	}
	if (image__offset(&elf_priv(f)->im, addr, sizeof(*m), PF_W, &ticks)) {
		elf_file__bad_note(f, "tape.h module outside of the writable segments");
		return -EBADMSG;
	}
	f->module_addr = addr;
	/* without these two the program's clock is clock_gettime: slower, not wrong */
	if (cold && !elf_file__nop(f, cold, &f->ticks_cold_offset))
		f->ticks_offset = ticks + offsetof(struct wire_module, ticks);
	else
		f->ticks_cold_offset = 0;
	return 0;
}

static int find_module(struct elf_file *f, const Elf64_Shdr *sh)
{
	__free_ptr u8 *data = NULL;
	struct wire_module m;
	u64 bytes;
	int err;

	err = image__section(&elf_priv(f)->im, sh, MAX_MODULE_BYTES, &data, &bytes);
	if (err == -EBADMSG) {
		elf_file__bad_note(f, "section tape_module is compressed, too large, or beyond "
				      "the end of the file");
		return 0;
	}
	if (err)
		return err;
	for (u64 at = 0; at + sizeof(m) <= bytes; at += 8) {
		memcpy(&m, data + at, sizeof(m));
		if (m.magic == WIRE_MODULE_MAGIC && !use_module(f, sh->sh_addr + at, &m))
			return 0;
	}
	return 0;
}

/* Sites without a module cannot deliver anything. */
static void drop_homeless(struct elf_file *f)
{
	if (f->module_addr)
		return;
	for (u32 i = 0; i < f->tape_site_cnt; i++)
		f->tape_site[i].bad = "the file has no tape.h module";
}

int tape_sites__read(struct elf_file *f)
{
	const struct image *im = &elf_priv(f)->im;
	const Elf64_Shdr *sh;
	u32 at = 0;
	int err;

	sh = image__find_section(im, "tape_module", &at);
	if (sh) {
		err = find_module(f, sh);
		if (err)
			return err;
	}
	at = 0;
	sh = image__find_section(im, "tape_sites", &at);
	if (!sh)
		return 0;
	err = read_sites(f, sh);
	drop_homeless(f);
	return err;
}

const struct elf_tape_site *elf_file__find_tape_site(const struct elf_file *f, u64 addr)
{
	struct elf_tape_site key = { .addr = addr };

	if (!f->tape_site_cnt)
		return NULL;
	return bsearch(&key, f->tape_site, f->tape_site_cnt, sizeof(key), by_addr);
}
