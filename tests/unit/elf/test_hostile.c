/* SPDX-License-Identifier: MIT */
/*
 * Damaged and malicious files: an error or a reason, never a crash, endless loop or exhausted memory. The sanitizers see
 * more of this test than the assertions do.
 */
#include "elf/elf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "elf/elf_maker.h"

static struct maker m;

#define TEXT "order\0shop\0shop::cart\0cart.c\0id\0path"

/* One of everything. */
static u32 make_all(u16 machine)
{
	const char *args = machine == EM_X86_64 ? "8@%rax -4@counter(%rip) 1@-96(%rbp,%rax,8) 4@$-1 8@%xmm0" :
						  "8@x0 -4@[sp, 60] 8@[x0, x1, lsl 3] 4@5";
	u64 nop, end;

	maker__start(&m, machine, ET_DYN);
	maker__module(&m);
	maker__sites(&m, 2);
	nop = maker__nop(&m);
	end = maker__nop(&m);
	maker__set_site(&m, 0, WIRE_SITE_SPAN, WIRE_INFO, 2, WIRE_T_U64 | WIRE_T_STR << 4, TEXT, sizeof(TEXT), nop, end);
	maker__set_site(&m, 1, WIRE_SITE_EVENT, WIRE_WARN, 0, 0, "n\0t\0m\0f", 8, maker__nop(&m), 0);
	maker__note(&m, nop, 0, 0, "tape_app", "order__begin", "8@%rdi 8@%rsi");
	maker__note(&m, maker__nop(&m), 0, 0, "tape", "flush", "8@%rdi");
	maker__section(&m, ".stapsdt.base", SHT_PROGBITS, 0x5000, 0, 0);
	maker__note(&m, maker__nop(&m), 0x5000, maker__data(&m, NULL, 2), "shop", "begin", args);
	maker__symbol(&m, "counter", 0x20310, STT_OBJECT);
	return maker__finish(&m);
}

/* From a block of its own, so that the sanitizer sees the first byte behind it. */
static int parse_copy(const u8 *p, u32 bytes, struct elf_file **f)
{
	u8 *copy = malloc(bytes ? bytes : 1);
	int err;

	memcpy(copy, p, bytes);
	*f = NULL;
	err = elf_file__parse(copy, bytes, f, NULL);
	free(copy);
	return err;
}

static void expect(u32 bytes, int want)
{
	struct elf_file *f;

	assert_int_equal(parse_copy(m.b, bytes, &f), want);
	elf_file__free(f);
}

static struct elf_file *expect_open(u32 bytes)
{
	struct elf_file *f;

	assert_int_equal(parse_copy(m.b, bytes, &f), 0);
	return f;
}

static void good_first(void **state)
{
	struct elf_file *f = expect_open(make_all(EM_X86_64));

	assert_int_equal(f->site_cnt, 1);
	assert_int_equal(f->tape_site_cnt, 2);
	assert_int_equal(f->tape_probe_cnt, 1);
	assert_int_equal(f->bad_note_cnt, 0);
	assert_null(f->site[0].bad);
	elf_file__free(f);
}

static void cut_anywhere(void **state)
{
	u32 all = make_all(EM_X86_64);

	for (u32 n = 0; n < all; n++) {
		struct elf_file *f;
		int err = parse_copy(m.b, n, &f);

		assert_true(n < 64 ? err < 0 : err <= 0);
		elf_file__free(f);
	}
}

static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static void bit_flips(void **state)
{
	u64 random = 20261124;
	static u8 good[sizeof(m.b)];

	for (u32 round = 0; round < 20000; round++) {
		u32 all = make_all(round & 1 ? EM_AARCH64 : EM_X86_64);
		struct elf_file *f;

		memcpy(good, m.b, all);
		for (u32 i = 0; i <= round % 4; i++) {
			u64 r = next_random(&random), at = next_random(&random) % all;

			if (r & 1)
				good[at] ^= (u8)(1 << r / 2 % 8);
			else
				memset(good + at, r & 2 ? 0xff : 0, MIN((u64)1 << r / 4 % 4, all - at));
		}
		parse_copy(good, all, &f);
		elf_file__free(f);
	}
}

static void not_for_us(void **state)
{
	u32 all = make_all(EM_X86_64);

	expect(0, -ENOEXEC);
	expect(15, -ENOEXEC);
	expect(63, -EBADMSG);
	m.b[EI_CLASS] = ELFCLASS32;
	expect(all, -ENOEXEC);
	m.b[EI_CLASS] = ELFCLASS64;
	m.b[EI_DATA] = ELFDATA2MSB;
	expect(all, -ENOEXEC);
	m.b[EI_DATA] = ELFDATA2LSB;
	maker__ehdr(&m)->e_machine = EM_RISCV;
	expect(all, -ENOEXEC);
	maker__ehdr(&m)->e_machine = EM_X86_64;
	maker__ehdr(&m)->e_type = ET_REL;
	expect(all, -ENOEXEC);
	maker__ehdr(&m)->e_type = ET_CORE;
	expect(all, -ENOEXEC);
	memcpy(m.b, "#!/bin/sh\n#!/bin/sh\n", 20);
	expect(all, -ENOEXEC);
}

static void absurd_headers(void **state)
{
	u32 all = make_all(EM_X86_64);
	Elf64_Ehdr good = *maker__ehdr(&m);
	struct elf_file *f;

	maker__ehdr(&m)->e_phnum = 0xfffe;
	expect(all, -EBADMSG);
	*maker__ehdr(&m) = good;
	maker__ehdr(&m)->e_phoff = ~0ULL - 8;
	expect(all, -EBADMSG);
	*maker__ehdr(&m) = good;
	maker__ehdr(&m)->e_phentsize = 55;
	expect(all, -EBADMSG);
	*maker__ehdr(&m) = good;
	maker__ehdr(&m)->e_phnum = PN_XNUM;
	maker__shdr(&m, 0)->sh_info = 0xffffffff;
	expect(all, -EBADMSG);
	maker__shdr(&m, 0)->sh_info = 3; /* the long form of a good number */
	f = expect_open(all);
	assert_int_equal(f->site_cnt, 1);
	elf_file__free(f);
}

/* Programs run without section headers, so their loss is no error, but said. */
static void absurd_sections(void **state)
{
	u32 all = make_all(EM_X86_64);
	Elf64_Ehdr good = *maker__ehdr(&m);
	Elf64_Shdr first = *maker__shdr(&m, 0);
	struct elf_file *f;

	for (u32 i = 0; i < 7; i++) {
		static const char *const words[] = { "section headers", "section headers", "section headers",
						     "absurd", "no section headers", "no section", "section names" };
		Elf64_Ehdr *eh = maker__ehdr(&m);

		*eh = good;
		*maker__shdr(&m, 0) = first;
		if (i == 0)
			eh->e_shoff = all - 10;
		if (i == 1)
			eh->e_shnum = 0xfeff;
		if (i == 2)
			eh->e_shentsize = 40;
		if (i == 3) {
			eh->e_shnum = 0;
			maker__shdr(&m, 0)->sh_size = 1ULL << 58;
		}
		if (i == 4)
			eh->e_shoff = 0;
		if (i == 5)
			eh->e_shstrndx = 0x4444;
		if (i == 6)
			maker__shdr(&m, eh->e_shstrndx)->sh_offset = ~0ULL;
		f = expect_open(all);
		assert_int_equal(f->site_cnt + f->tape_site_cnt, 0);
		if (!strstr(f->looked_at, words[i]))
			fail_msg("%u: %s", i, f->looked_at);
		elf_file__free(f);
	}
}

/* The name table ends in the middle of a name: the last section has no usable name, the others do. */
static void names_without_end(void **state)
{
	u32 all = make_all(EM_X86_64);
	Elf64_Shdr *names = maker__shdr(&m, maker__ehdr(&m)->e_shstrndx);
	struct elf_file *f;

	names->sh_size = maker__shdr(&m, m.notes_index)->sh_name + 5;
	f = expect_open(all);
	assert_int_equal(f->site_cnt, 0);
	assert_int_equal(f->tape_site_cnt, 2);
	elf_file__free(f);
}

static void bad_note_sections(void **state)
{
	u32 all = make_all(EM_X86_64);
	Elf64_Shdr *sh = maker__shdr(&m, m.notes_index), good = *sh;
	struct elf_file *f;

	for (u32 i = 0; i < 6; i++) {
		*sh = good;
		if (i == 0)
			sh->sh_size = ~0ULL;
		if (i == 1)
			sh->sh_offset = ~0ULL - 3;
		if (i == 2)
			sh->sh_size = all;
		if (i == 3)
			sh->sh_flags = SHF_COMPRESSED;
		if (i == 4)
			sh->sh_type = SHT_NOBITS;
		if (i == 5)
			sh->sh_size -= 4; /* within the last note */
		f = expect_open(all);
		assert_int_equal(f->site_cnt, 0);
		assert_int_equal(f->tape_site_cnt, 2);
		assert_int_equal(f->bad_note_cnt, 1);
		assert_non_null(f->bad_note);
		elf_file__free(f);
	}
}

static void bad_notes(void **state)
{
	static const u8 desc[32] = { 1 };
	char longer[1200];
	struct elf_file *f;
	u64 nop;

	maker__start(&m, EM_X86_64, ET_DYN);
	nop = maker__nop(&m);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	maker__raw_note(&m, 8, 20, 3, "stapsdt", desc, 20);	/* too short */
	maker__raw_note(&m, 8, 25, 3, "stapsdt", desc, 25);	/* provider only */
	maker__raw_note(&m, 8, 26, 3, "stapsdt", "abcdefghijklmnopqrstuvwxyz", 26); /* no NUL */
	maker__note(&m, nop, 0, 0, "", "name", "");
	maker__note(&m, nop, 0, 0, "provider", "", "");
	maker__note(&m, nop, 0, 0, longer, "name", "");
	maker__note(&m, nop, 0, 0, "provider", longer, "");
	maker__raw_note(&m, 8, 26, 4, "stapsdt", desc, 26); /* another type: not counted */
	maker__raw_note(&m, 8, 26, 3, "stapsdu", desc, 26); /* another owner: not counted */
	maker__note(&m, nop, 0, 0, "p", "good", "");
	maker__raw_note(&m, 0xfffffff0, 26, 3, "stapsdt", desc, 26);
	f = expect_open(maker__finish(&m));
	assert_int_equal(f->site_cnt, 1);
	assert_string_equal(f->site[0].name, "good");
	assert_int_equal(f->bad_note_cnt, 8);
	assert_string_equal(f->bad_note, "note too short");
	elf_file__free(f);

	maker__start(&m, EM_X86_64, ET_DYN);
	maker__note(&m, maker__nop(&m), 0, 0, "p", "good", "");
	maker__raw_note(&m, 8, 0xffffffff, 3, "stapsdt", desc, 26);
	f = expect_open(maker__finish(&m));
	assert_int_equal(f->site_cnt, 1);
	assert_int_equal(f->bad_note_cnt, 1);
	elf_file__free(f);
}

static void bad_tape_sites(void **state)
{
	static const char *const words[] = { "version", "damaged", "damaged", "damaged", "type", "name", "outside",
					     "without their end" };
	struct elf_file *f;

	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		u32 all = make_all(EM_X86_64);
		struct wire_site *s = maker__site(&m, 0);

		if (i == 0)
			s->version = 9;
		if (i == 1)
			s->kind = 2;
		if (i == 2)
			s->level = 5;
		if (i == 3)
			s->field_cnt = 33;
		if (i == 4)
			s->types[0] = 13;
		if (i == 5)
			s->text = 0;
		if (i == 6)
			s->text = INT32_MIN;
		if (i == 7) { /* from here to the end of the file there is no NUL */
			memset(m.b + 0xb00, 'n', all - 0xb00);
			s->text = (s32)(MAKER_RO + 0xb00 -
					(maker__site_addr(&m, 0) + offsetof(struct wire_site, text)));
		}
		f = NULL;
		if (parse_copy(m.b, all, &f) == 0 && i != 7) {
			assert_int_equal(f->tape_site_cnt, 1);
			assert_int_equal(f->bad_note_cnt, 1);
			if (!strstr(f->bad_note, words[i]))
				fail_msg("%u: %s", i, f->bad_note);
		}
		elf_file__free(f);
	}
}

/* Sites that are known and cannot be armed. */
static void unusable_tape_sites(void **state)
{
	static const char *const words[] = { "enable words", "enable words", "cold", "not a nop", "not a nop",
					     "executable" };
	struct elf_file *f;

	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		u32 all = make_all(EM_X86_64);
		struct wire_site *s = maker__site(&m, 0);
		u64 addr = maker__site_addr(&m, 0);
		u32 cold = (u32)(addr + offsetof(struct wire_site, cold) + (u64)(s64)s->cold - MAKER_TEXT);
		u32 nop = (u32)(addr + offsetof(struct wire_site, nop) + (u64)(s64)s->nop - MAKER_TEXT);

		if (i == 0)
			s->words = 0;
		if (i == 1)
			s->words = s->text; /* read-only */
		if (i == 2)
			s->cold = 0;
		if (i == 3)
			m.b[cold] = 0xc3;
		if (i == 4)
			m.b[nop] = 0xcc;
		if (i == 5)
			s->nop_end = INT32_MAX;
		f = expect_open(all);
		assert_int_equal(f->tape_site_cnt, 2);
		assert_int_equal(f->bad_note_cnt, 0);
		if (!f->tape_site[0].bad || !strstr(f->tape_site[0].bad, words[i]))
			fail_msg("%u: %s", i, f->tape_site[0].bad);
		assert_null(f->tape_site[1].bad);
		elf_file__free(f);
	}
}

static void bad_modules(void **state)
{
	u32 all = make_all(EM_X86_64);
	struct elf_file *f = expect_open(all);
	struct wire_module *wm = (struct wire_module *)(m.b + (f->module_addr - MAKER_DATA)), good = *wm;

	elf_file__free(f);
	for (u32 i = 0; i < 4; i++) {
		*wm = good;
		if (i == 0)
			wm->version = 2;
		if (i == 1)
			wm->size = 8;
		if (i == 2)
			wm->magic++;
		if (i == 3)
			maker__phdr(&m, 1)->p_flags = PF_R;
		f = expect_open(all);
		assert_int_equal(f->module_addr, 0);
		assert_int_equal(f->tape_probe_cnt, 0);
		assert_int_equal(f->tape_site_cnt, 2);
		assert_non_null(f->tape_site[0].bad);
		elf_file__free(f);
	}
	/* an unusable cold nop costs the tick counter, not the module */
	all = make_all(EM_X86_64);
	wm->ticks_cold = 0;
	f = expect_open(all);
	assert_int_not_equal(f->module_addr, 0);
	assert_int_equal(f->ticks_offset, 0);
	assert_int_equal(f->ticks_cold_offset, 0);
	elf_file__free(f);
}

/* More sites than are kept, and a thousand sections that all show the same notes. */
static void too_many(void **state)
{
	u32 per_note, cnt = 2000, head = make_all(EM_X86_64), sections = 1000;
	Elf64_Shdr sh[1002] = { 0 };
	struct elf_file *f = NULL;
	u8 *file;
	u64 bytes;

	maker__start(&m, EM_X86_64, ET_DYN);
	maker__note(&m, maker__nop(&m), 0, 0, "p", "n", "");
	per_note = m.note_bytes;
	head = ALIGN_UP(m.tail, 64);
	bytes = head + (u64)per_note * cnt + sizeof(sh) + 64;
	file = calloc(1, bytes);
	assert_non_null(file);
	for (u32 i = 0; i < cnt; i++)
		memcpy(file + head + (u64)i * per_note, m.note, per_note);
	for (u32 i = 1; i <= sections; i++)
		sh[i] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_NOTE, .sh_offset = head,
				      .sh_size = (u64)per_note * cnt };
	memcpy(file + bytes - 64, "\0.note.stapsdt", 15);
	sh[sections + 1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = bytes - 64, .sh_size = 64 };
	maker__ehdr(&m)->e_shoff = head + (u64)per_note * cnt;
	maker__ehdr(&m)->e_shnum = (u16)(sections + 2);
	maker__ehdr(&m)->e_shstrndx = (u16)(sections + 1);
	memcpy(file, m.b, head);
	memcpy(file + maker__ehdr(&m)->e_shoff, sh, sizeof(sh));
	assert_int_equal(elf_file__parse(file, bytes, &f, NULL), 0);
	assert_int_equal(f->site_cnt, 1); /* all notes are the same probe at the same place */
	assert_true(f->bad_note_cnt > 0);
	assert_string_equal(f->bad_note, "more sites than are kept of one file");
	elf_file__free(f);
	free(file);
}

/* Callsites whose 36 strings overlap: what is kept of them has a limit. */
static void too_much_text(void **state)
{
	u32 cnt = 4000, ro = 0x400;
	u64 bytes = ro + cnt * sizeof(struct wire_site) + 65536;
	struct elf_file *f = NULL;
	u8 *file = malloc(bytes);
	struct wire_site *s;
	Elf64_Shdr *sh;

	assert_non_null(file);
	maker__start(&m, EM_X86_64, ET_DYN);
	memset(file, 'n', bytes);
	for (u64 i = bytes - 60000; i < bytes; i += 1000)
		file[i] = '\0';
	maker__phdr(&m, 2)->p_filesz = bytes - ro;
	maker__section(&m, "tape_sites", SHT_PROGBITS, MAKER_RO + ro, ro, cnt * sizeof(*s));
	maker__ehdr(&m)->e_shoff = 0x100;
	maker__ehdr(&m)->e_shnum = 3;
	maker__ehdr(&m)->e_shstrndx = 2;
	memcpy(file, m.b, ro);
	sh = (Elf64_Shdr *)(file + 0x100);
	m.sh[2] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = 0x280, .sh_size = m.names_bytes };
	memcpy(sh, m.sh, 3 * sizeof(*sh));
	memcpy(file + 0x280, m.names, m.names_bytes);
	s = (struct wire_site *)(file + ro);
	for (u32 i = 0; i < cnt; i++) {
		s[i] = (struct wire_site){ .version = WIRE_VERSION, .field_cnt = 32 };
		s[i].text = (s32)(bytes - 60000 + 1 - (ro + i * sizeof(*s) + offsetof(struct wire_site, text)));
	}
	assert_int_equal(elf_file__parse(file, bytes, &f, NULL), 0);
	assert_true(f->tape_site_cnt > 0);
	assert_int_equal(f->tape_site_cnt + f->bad_note_cnt, cnt);
	assert_true(elf_priv(f)->im.arena.used <= IMAGE_MAX_ARENA);
	assert_string_equal(f->bad_note, "more text than is kept of one file");
	elf_file__free(f);
	free(file);
}

/* A file that claims a terabyte and has it, as a hole. */
static void sparse(void **state)
{
	u32 all = make_all(EM_X86_64);
	Elf64_Shdr *sh = maker__shdr(&m, m.notes_index);
	__close_fd int fd = memfd_create("sparse", MFD_CLOEXEC);
	struct elf_file *f = NULL;
	char path[64];

	sh->sh_size = 1ULL << 39;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, m.b, all), all);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(elf_file__open(path, "sparse", &f, NULL), 0);
	assert_int_equal(f->site_cnt, 0);
	assert_int_equal(f->bad_note_cnt, 1);
	elf_file__free(f);
}

static void not_regular(void **state)
{
	char dir[] = "/tmp/elf-test-XXXXXX", fifo[64];
	struct elf_file *f = NULL;
	struct diag d;

	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(elf_file__open(fifo, NULL, &f, &d), -ENOEXEC); /* and does not wait for a writer */
	assert_int_equal(elf_file__open(dir, NULL, &f, &d), -ENOEXEC);
	assert_int_equal(elf_file__open("/dev/null", NULL, &f, &d), -ENOEXEC);
	unlink(fifo);
	assert_int_equal(elf_file__open(fifo, "shown", &f, &d), -ENOENT);
	assert_non_null(strstr(d.text, "shown"));
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_first),	   cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(bit_flips),	   cmocka_unit_test(not_for_us),
		cmocka_unit_test(absurd_headers),  cmocka_unit_test(absurd_sections),
		cmocka_unit_test(names_without_end), cmocka_unit_test(bad_note_sections),
		cmocka_unit_test(bad_notes),	   cmocka_unit_test(bad_tape_sites),
		cmocka_unit_test(unusable_tape_sites), cmocka_unit_test(bad_modules),
		cmocka_unit_test(too_many),	   cmocka_unit_test(too_much_text),
		cmocka_unit_test(sparse),	   cmocka_unit_test(not_regular),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
