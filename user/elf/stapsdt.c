/* SPDX-License-Identifier: MIT */
/*
 * Notes of .note.stapsdt: where the probes are, and how their arguments are found.
 *
 * The section is not loaded and has no program header of its own, so it is found by name. A note is namesz, descsz and
 * type (u32 each), the name "stapsdt", and a description: location, base and semaphore (8 bytes each, link
 * addresses), then provider, name and arguments, NUL-terminated. Name and description are padded to 4 bytes.
 *
 * Prelink moves a program's addresses without knowing of these notes. The section .stapsdt.base exists to see by how
 * much: its address now, less the `base` in the note, is to be added. A file without that section is not shifted.
 */
#include "elf/elf_priv.h"

#include <errno.h>
#include <string.h>

#include "elf/args.h"

#define MAX_SECTION_BYTES (64u << 20)
#define NT_STAPSDT	  3

struct note {
	u64 location, base, semaphore;
	const char *provider, *name, *args;
};

struct reader {
	struct elf_file *f;
	u64 base; /* link address of .stapsdt.base, 0: none */
	u64 left; /* bytes of notes that may still be read: sections may overlap */
};

/* The next NUL-terminated string of a description, or NULL. */
static const char *take_string(const u8 **p, u64 *bytes)
{
	const u8 *nul = memchr(*p, 0, *bytes);
	const char *s = (const char *)*p;

	if (!nul)
		return NULL;
	*bytes -= (u64)(nul + 1 - *p);
	*p = nul + 1;
	return s;
}

static const char *parse_desc(const u8 *p, u64 bytes, struct note *n)
{
	if (bytes < 3 * sizeof(u64))
		return "note too short";
	memcpy(&n->location, p, 8);
	memcpy(&n->base, p + 8, 8);
	memcpy(&n->semaphore, p + 16, 8);
	p += 24;
	bytes -= 24;
	n->provider = take_string(&p, &bytes);
	n->name = n->provider ? take_string(&p, &bytes) : NULL;
	n->args = n->name ? take_string(&p, &bytes) : NULL;
	if (!n->args)
		return "string without its end in a note";
	if (!*n->provider || !*n->name)
		return "note without provider or name";
	if (strlen(n->provider) > ELF_MAX_NAME_BYTES || strlen(n->name) > ELF_MAX_NAME_BYTES ||
	    strlen(n->args) > ELF_MAX_NAME_BYTES * 2)
		return "absurdly long string in a note";
	return NULL;
}

/* Is this one of the probes of the batch path? Only a file with a tape.h module has them. */
static bool tape_probe_kind(const struct elf_file *f, const struct note *n, u32 *what)
{
	static const char *const names[] = {
		[ELF_TAPE_THREAD] = "thread",
		[ELF_TAPE_FLUSH] = "flush",
		[ELF_TAPE_GONE] = "gone",
		[ELF_TAPE_RECORD] = "record",
	};

	if (!f->module_addr || strcmp(n->provider, WIRE_PROVIDER))
		return false;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(n->name, names[i])) {
			*what = i;
			return true;
		}
	}
	return false;
}

static int add_tape_probe(struct elf_file *f, const struct note *n, u32 what)
{
	struct elf_priv *p = elf_priv(f);
	const char *bad;
	u64 offset;
	int err;

	bad = elf_file__nop(f, n->location, &offset);
	if (bad) {
		elf_file__bad_note(f, bad);
		return 0;
	}
	err = elf_grow(&f->tape_probe, &p->tape_probe_room, f->tape_probe_cnt,
		       sizeof(*f->tape_probe));
	if (err)
		return err;
	f->tape_probe[f->tape_probe_cnt].what = what;
	f->tape_probe[f->tape_probe_cnt++].offset = offset;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static bool is_tape_nop(const struct elf_priv *p, u64 addr)
{
	return p->tape_nop_cnt &&
	       bsearch(&addr, p->tape_nop, p->tape_nop_cnt, sizeof(addr), by_value);
}

static int find_symbol(void *ctx, const char *name, size_t bytes, u64 *value)
{
	return symbols__find(ctx, name, bytes, value);
}

static int parse_args(struct elf_file *f, struct elf_site *s)
{
	struct image *im = &elf_priv(f)->im;
	struct args_text text[WIRE_MAX_ARGS];
	struct args_env env = {
		.machine = f->machine,
		.fixed = im->ehdr.e_type == ET_EXEC,
		.location = s->addr,
		.symbol = find_symbol,
		.ctx = f,
	};

	/* sys/sdt.h stops at 12; a 13th would only come from a file made by hand */
	s->arg_cnt = MIN(args__split(s->args, text), (u32)WIRE_MAX_ARGS);
	for (u32 i = 0; i < s->arg_cnt; i++) {
		args__parse(&env, text[i].s, text[i].bytes, &s->arg[i]);
		s->arg_text[i] = image__strndup(im, text[i].s, text[i].bytes);
		if (!s->arg_text[i])
			return -ENOMEM;
	}
	return 0;
}

static int add_site(struct elf_file *f, const struct note *n)
{
	struct elf_priv *p = elf_priv(f);
	struct elf_site *s;
	int err;

	err = elf_grow(&f->site, &p->site_room, f->site_cnt, sizeof(*f->site));
	if (err)
		return err;
	s = &f->site[f->site_cnt];
	memset(s, 0, sizeof(*s));
	s->addr = n->location;
	s->provider = image__strndup(&p->im, n->provider, strlen(n->provider));
	s->name = image__strndup(&p->im, n->name, strlen(n->name));
	s->args = image__strndup(&p->im, n->args, strlen(n->args));
	if (!s->provider || !s->name || !s->args || parse_args(f, s)) {
		elf_file__bad_note(f, "more text than is kept of one file");
		return 0;
	}
	s->bad = elf_file__nop(f, s->addr, &s->offset);
	s->sema_addr = n->semaphore;
	if (n->semaphore && image__offset(&p->im, n->semaphore, 2, PF_W, &s->sema_offset) && !s->bad)
		s->bad = "semaphore outside of the writable segments";
	f->site_cnt++;
	return 0;
}

static int add_note(struct reader *r, const u8 *desc, u64 bytes)
{
	struct elf_file *f = r->f;
	struct note n;
	const char *bad = parse_desc(desc, bytes, &n);
	u32 what;

	if (!bad && f->site_cnt + f->tape_probe_cnt >= ELF_MAX_SITES)
		bad = "more sites than are kept of one file";
	if (bad) {
		elf_file__bad_note(f, bad);
		return 0;
	}
	if (r->base && n.base) {
		n.location += r->base - n.base;
		if (n.semaphore)
			n.semaphore += r->base - n.base;
	}
	if (tape_probe_kind(f, &n, &what))
		return add_tape_probe(f, &n, what);
	if (is_tape_nop(elf_priv(f), n.location))
		return 0;
	return add_site(f, &n);
}

/* Every note is at least its header, so this ends. */
static int walk_notes(struct reader *r, const u8 *p, u64 bytes)
{
	int err;

	while (bytes >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		u64 name, desc;

		memcpy(&nh, p, sizeof(nh));
		p += sizeof(nh);
		bytes -= sizeof(nh);
		name = ALIGN_UP((u64)nh.n_namesz, 4);
		desc = ALIGN_UP((u64)nh.n_descsz, 4);
		/* the padding behind the last one may be missing */
		if (name > bytes || nh.n_descsz > bytes - name) {
			elf_file__bad_note(r->f, "note longer than its section");
			return 0;
		}
		if (nh.n_type == NT_STAPSDT && nh.n_namesz == 8 && !memcmp(p, "stapsdt", 8)) {
			err = add_note(r, p + name, nh.n_descsz);
			if (err)
				return err;
		}
		desc = MIN(desc, bytes - name);
		p += name + desc;
		bytes -= name + desc;
	}
	if (bytes)
		elf_file__bad_note(r->f, "section .note.stapsdt ends within a note");
	return 0;
}

static int by_site(const void *a, const void *b)
{
	const struct elf_site *x = *(struct elf_site *const *)a, *y = *(struct elf_site *const *)b;
	int c = x->addr < y->addr ? -1 : x->addr > y->addr;

	if (!c)
		c = strcmp(x->provider, y->provider);
	if (!c)
		c = strcmp(x->name, y->name);
	if (!c)
		c = strcmp(x->args, y->args);
	return c ? c : (x > y) - (x < y);
}

/*
 * A linker that folds identical functions (--icf) leaves one function and the notes of all: the same probe twice at one
 * address. One pass of that nop is one hit, so only the first note counts. Different probes at one address stay.
 */
static int drop_doubles(struct elf_file *f)
{
	struct elf_site **sorted;
	u32 kept = 0;

	if (f->site_cnt < 2)
		return 0;
	sorted = calloc(f->site_cnt, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (u32 i = 0; i < f->site_cnt; i++)
		sorted[i] = &f->site[i];
	qsort(sorted, f->site_cnt, sizeof(*sorted), by_site);
	for (u32 i = 1; i < f->site_cnt; i++) {
		const struct elf_site *x = sorted[i - 1], *y = sorted[i];

		/* `line` is not in use yet: it marks what goes */
		if (x->addr == y->addr && !strcmp(x->provider, y->provider) &&
		    !strcmp(x->name, y->name) && !strcmp(x->args, y->args))
			sorted[i]->line = 1;
	}
	free(sorted);
	for (u32 i = 0; i < f->site_cnt; i++) {
		if (f->site[i].line)
			continue;
		if (kept != i)
			f->site[kept] = f->site[i];
		kept++;
	}
	f->site_cnt = kept;
	return 0;
}

static int read_section(struct reader *r, const Elf64_Shdr *sh)
{
	u64 bytes;
	u8 *p;
	int err;

	err = image__section(&elf_priv(r->f)->im, sh, r->left, &p, &bytes);
	if (err == -EBADMSG) {
		elf_file__bad_note(r->f, "section .note.stapsdt is compressed, too large, or "
					 "beyond the end of the file");
		return 0;
	}
	if (err)
		return err;
	r->left -= bytes;
	err = walk_notes(r, p, bytes);
	free(p);
	return err;
}

int stapsdt__read(struct elf_file *f)
{
	struct image *im = &elf_priv(f)->im;
	struct reader r = { .f = f, .left = MAX_SECTION_BYTES };
	const Elf64_Shdr *sh;
	u32 at = 0;
	int err;

	sh = image__find_section(im, ".stapsdt.base", &at);
	if (sh)
		r.base = sh->sh_addr;
	for (at = 0; (sh = image__find_section(im, ".note.stapsdt", &at));) {
		err = read_section(&r, sh);
		if (err)
			return err;
	}
	return drop_doubles(f);
}
