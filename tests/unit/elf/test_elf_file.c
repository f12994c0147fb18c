/* SPDX-License-Identifier: MIT */
/* Files made by hand: what is read of them when they are good. test_hostile.c has the others. */
#include "elf/elf_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "elf/elf_maker.h"

static struct maker m;

static struct elf_file *parse(u32 bytes)
{
	struct elf_file *f = NULL;
	struct diag d;
	int err = elf_file__parse(m.b, bytes, &f, &d);

	if (err)
		fail_msg("%s", d.text);
	return f;
}

static void notes(void **state)
{
	u64 nop, nop2, sema;
	struct elf_file *f;

	maker__start(&m, EM_X86_64, ET_DYN);
	nop = maker__nop(&m);
	nop2 = maker__nop(&m);
	sema = maker__data(&m, NULL, 2);
	maker__note(&m, nop, 0, 0, "shop", "order__begin", "8@%rax -4@$0 8@%xmm0");
	maker__note(&m, nop2, 0, sema, "shop", "order__done", "");
	f = parse(maker__finish(&m));
	assert_int_equal(f->machine, EM_X86_64);
	assert_int_equal(f->site_cnt, 2);
	assert_int_equal(f->bad_note_cnt, 0);
	assert_string_equal(f->site[0].provider, "shop");
	assert_string_equal(f->site[0].name, "order__begin");
	assert_string_equal(f->site[0].args, "8@%rax -4@$0 8@%xmm0");
	assert_int_equal(f->site[0].addr, nop);
	assert_int_equal(f->site[0].offset, nop - MAKER_TEXT);
	assert_int_equal(f->site[0].sema_offset, 0);
	assert_null(f->site[0].bad);
	assert_int_equal(f->site[0].arg_cnt, 3);
	assert_int_equal(f->site[0].arg[0].kind, WIRE_ARG_REG);
	assert_int_equal(f->site[0].arg[1].kind, WIRE_ARG_CONST);
	assert_int_equal(f->site[0].arg[2].kind, WIRE_ARG_NONE);
	assert_string_equal(f->site[0].arg_text[2], "8@%xmm0");
	assert_int_equal(f->site[1].sema_offset, sema - MAKER_DATA);
	assert_int_equal(f->site[1].sema_addr, sema);
	assert_int_equal(f->site[1].arg_cnt, 0);
	assert_int_equal(f->tape_site_cnt, 0);
	assert_int_equal(f->module_addr, 0);
	elf_file__free(f);
}

/* The base section has moved: addresses in notes that name a base move with it, absent semaphores stay absent. */
static void prelink(void **state)
{
	u64 nop, sema;
	struct elf_file *f;

	maker__start(&m, EM_X86_64, ET_DYN);
	nop = maker__nop(&m);
	sema = maker__data(&m, NULL, 2);
	maker__section(&m, ".stapsdt.base", SHT_PROGBITS, 0x5000, 0, 0);
	maker__note(&m, nop - 0x1000, 0x4000, sema - 0x1000, "p", "shifted", "");
	maker__note(&m, nop + 0x1000, 0x6000, 0, "p", "back", "");
	maker__note(&m, nop, 0, sema, "p", "no_base", "");
	f = parse(maker__finish(&m));
	assert_int_equal(f->site_cnt, 3);
	for (u32 i = 0; i < 3; i++) {
		assert_null(f->site[i].bad);
		assert_int_equal(f->site[i].addr, nop);
		assert_int_equal(f->site[i].sema_offset, i == 1 ? 0 : sema - MAKER_DATA);
	}
	elf_file__free(f);

	/* without the section nothing moves, whatever the notes say */
	maker__start(&m, EM_X86_64, ET_DYN);
	nop = maker__nop(&m);
	maker__note(&m, nop, 0x4000, 0, "p", "fixed", "");
	f = parse(maker__finish(&m));
	assert_int_equal(f->site[0].addr, nop);
	assert_null(f->site[0].bad);
	elf_file__free(f);
}

/* Sites that cannot be attached stay in the list, with the reason. */
static void bad_sites(void **state)
{
	u64 nop, sema, other;
	struct elf_file *f;

	maker__start(&m, EM_X86_64, ET_DYN);
	nop = maker__nop(&m);
	other = maker__nop(&m);
	m.b[other - MAKER_TEXT] = 0x0f;
	sema = maker__data(&m, NULL, 2);
	maker__note(&m, other, 0, 0, "p", "code", "");
	maker__note(&m, sema, 0, 0, "p", "data", "");
	maker__note(&m, 0xdead0000, 0, 0, "p", "nowhere", "");
	maker__note(&m, nop, 0, nop, "p", "sema_in_code", "");
	maker__note(&m, nop, 0, MAKER_DATA + 0x3ff, "p", "sema_half_outside", "");
	maker__note(&m, nop, 0, MAKER_DATA + 0x500, "p", "sema_in_bss", "");
	maker__note(&m, nop, 0, sema, "p", "good", "");
	f = parse(maker__finish(&m));
	assert_int_equal(f->site_cnt, 7);
	assert_non_null(strstr(f->site[0].bad, "not a nop"));
	assert_non_null(strstr(f->site[1].bad, "executable"));
	assert_non_null(strstr(f->site[2].bad, "executable"));
	for (u32 i = 3; i < 6; i++) {
		assert_non_null(strstr(f->site[i].bad, "writable"));
		assert_int_equal(f->site[i].sema_offset, 0);
	}
	assert_null(f->site[6].bad);
	elf_file__free(f);
}

/* Functions folded by the linker: one nop, several notes. */
static void doubles(void **state)
{
	static const char *const want[] = { "b", "a", "a", "a" };
	struct elf_file *f;
	u64 nop, other;

	maker__start(&m, EM_X86_64, ET_DYN);
	nop = maker__nop(&m);
	other = maker__nop(&m);
	maker__note(&m, nop, 0, 0, "p", "b", "8@%rax");
	maker__note(&m, nop, 0, 0, "p", "a", "8@%rax");
	maker__note(&m, nop, 0, 0, "p", "b", "8@%rax"); /* goes */
	maker__note(&m, other, 0, 0, "p", "a", "8@%rax");
	maker__note(&m, nop, 0, 0, "p", "a", "8@%rbx");
	maker__note(&m, nop, 0, 0, "p", "b", "8@%rax"); /* goes */
	f = parse(maker__finish(&m));
	assert_int_equal(f->site_cnt, 4);
	for (u32 i = 0; i < 4; i++) {
		assert_string_equal(f->site[i].name, want[i]);
		assert_int_equal(f->site[i].line, 0);
	}
	assert_string_equal(f->site[3].args, "8@%rbx");
	elf_file__free(f);
}

static void arm64(void **state)
{
	u64 nop, word, odd;
	struct elf_file *f;

	maker__start(&m, EM_AARCH64, ET_DYN);
	nop = maker__nop(&m);
	word = maker__nop(&m);
	memset(m.b + (word - MAKER_TEXT), 0x90, 4);
	odd = nop + 1;
	maker__note(&m, nop, 0, 0, "p", "good", "-4@[sp, 60] 8@x0");
	maker__note(&m, word, 0, 0, "p", "x86_nop", "");
	maker__note(&m, odd, 0, 0, "p", "odd", "");
	f = parse(maker__finish(&m));
	assert_int_equal(f->machine, EM_AARCH64);
#if defined(__x86_64__)
	assert_false(elf_file__is_native(f));
#else
	assert_true(elf_file__is_native(f));
#endif
	assert_null(f->site[0].bad);
	assert_int_equal(f->site[0].arg_cnt, 2);
	assert_int_equal(f->site[0].arg[0].reg, 31 * 8);
	assert_string_equal(f->site[0].arg_text[0], "-4@[sp, 60]");
	assert_non_null(strstr(f->site[1].bad, "not a nop"));
	assert_non_null(strstr(f->site[2].bad, "not a nop"));
	elf_file__free(f);
}

static void symbols(void **state)
{
	u64 nop;
	struct elf_file *f;

	maker__start(&m, EM_X86_64, ET_DYN);
	nop = maker__nop(&m);
	maker__symbol(&m, "counter", 0x20310, STT_OBJECT);
	maker__symbol(&m, "twice", 0x20320, STT_OBJECT);
	maker__symbol(&m, "twice", 0x20330, STT_OBJECT);
	maker__symbol(&m, "same", 0x20340, STT_OBJECT);
	maker__symbol(&m, "same", 0x20340, STT_OBJECT);
	maker__symbol(&m, "thread_local", 0x10, STT_TLS);
	maker__symbol(&m, "counters", 0x20350, STT_OBJECT);
	maker__note(&m, nop, 0, 0, "p", "n",
		    "-4@counter(%rip) 4@4+same(%rip) 4@twice(%rip) 4@thread_local(%rip) 4@count(%rip) 4@$counter");
	f = parse(maker__finish(&m));
	assert_int_equal(f->site[0].arg_cnt, 6);
	assert_int_equal(f->site[0].arg[0].kind, WIRE_ARG_IP);
	assert_int_equal(f->site[0].arg[0].off, 0x20310 - nop);
	assert_int_equal(f->site[0].arg[1].off, 0x20344 - nop);
	for (u32 i = 2; i < 6; i++)
		assert_int_equal(f->site[0].arg[i].kind, WIRE_ARG_NONE);
	elf_file__free(f);

	/* not position independent: the address itself is known */
	maker__ehdr(&m)->e_type = ET_EXEC;
	f = parse(m.tail);
	assert_int_equal(f->site[0].arg[5].kind, WIRE_ARG_CONST);
	assert_int_equal(f->site[0].arg[5].off, 0x20310);
	elf_file__free(f);
}

#define TEXT "order\0shop\0shop::cart\0cart.c\0id\0http.path"

static void tape_sites(void **state)
{
	static const char *const probes[] = { "thread", "flush", "gone", "record", "other" };
	static const u32 what[] = { ELF_TAPE_THREAD, ELF_TAPE_FLUSH, ELF_TAPE_GONE, ELF_TAPE_RECORD };
	u64 module, begin, end, event, nop[5];
	const struct elf_tape_site *t;
	struct elf_file *f;

	maker__start(&m, EM_X86_64, ET_DYN);
	module = maker__module(&m);
	maker__sites(&m, 3);
	begin = maker__nop(&m);
	end = maker__nop(&m);
	event = maker__nop(&m);
	maker__set_site(&m, 0, WIRE_SITE_SPAN, WIRE_INFO, 2, WIRE_T_U64 | WIRE_T_STR << 4, TEXT, sizeof(TEXT), begin,
			end);
	maker__set_site(&m, 2, WIRE_SITE_EVENT, WIRE_ERROR, 0, 0, "oops\0shop\0\0", 12, event, 0);
	/* site 1 stays zero: what a linker leaves of a discarded one */
	for (u32 i = 0; i < 5; i++) {
		nop[i] = maker__nop(&m);
		maker__note(&m, nop[i], 0, 0, "tape", probes[i], "8@%rdi");
	}
	maker__note(&m, begin, 0, 0, "tape_app", "order__begin", "8@%rdi 8@%rsi");
	maker__note(&m, end, 0, 0, "tape_app", "order__end", "8@%rdi 8@%rsi");
	maker__note(&m, event, 0, 0, "tape_app", "oops", "8@%rdi 8@%rsi");
	maker__note(&m, maker__nop(&m), 0, 0, "mine", "plain", "");
	f = parse(maker__finish(&m));

	assert_int_equal(f->bad_note_cnt, 0);
	assert_int_equal(f->module_addr, module);
	assert_int_equal(f->ticks_offset, module - MAKER_DATA + offsetof(struct wire_module, ticks));
	assert_int_equal(m.b[f->ticks_cold_offset], 0x90);
	assert_int_equal(f->tape_site_cnt, 2);
	t = elf_file__find_tape_site(f, maker__site_addr(&m, 0));
	assert_non_null(t);
	assert_null(t->bad);
	assert_int_equal(t->kind, WIRE_SITE_SPAN);
	assert_int_equal(t->level, WIRE_INFO);
	assert_int_equal(t->line, 100);
	assert_string_equal(t->name, "order");
	assert_string_equal(t->target, "shop");
	assert_string_equal(t->module, "shop::cart");
	assert_string_equal(t->file, "cart.c");
	assert_int_equal(t->field_cnt, 2);
	assert_string_equal(t->field[0], "id");
	assert_string_equal(t->field[1], "http.path");
	assert_int_equal(t->type[0], WIRE_T_U64);
	assert_int_equal(t->type[1], WIRE_T_STR);
	assert_int_equal(t->armed_offset, t->sema_offset + 2);
	assert_int_equal(t->sema_offset, t->words_addr - MAKER_DATA);
	assert_int_equal(t->nop_offset, begin - MAKER_TEXT);
	assert_int_equal(t->nop_end_offset, end - MAKER_TEXT);
	assert_int_equal(m.b[t->cold_offset], 0x90);
	t = elf_file__find_tape_site(f, maker__site_addr(&m, 2));
	assert_non_null(t);
	assert_string_equal(t->name, "oops");
	assert_string_equal(t->file, "");
	assert_int_equal(t->nop_end_offset, 0);
	assert_null(elf_file__find_tape_site(f, maker__site_addr(&m, 1)));

	/* the batch path's probes apart, the sites' own nops nowhere, the rest foreign */
	assert_int_equal(f->tape_probe_cnt, 4);
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(f->tape_probe[i].what, what[i]);
		assert_int_equal(f->tape_probe[i].offset, nop[i] - MAKER_TEXT);
	}
	assert_int_equal(f->site_cnt, 2);
	assert_string_equal(f->site[0].name, "other");
	assert_string_equal(f->site[1].name, "plain");
	elf_file__free(f);
}

/* All 32 fields, all types in both words. */
static void tape_fields(void **state)
{
	const struct elf_tape_site *t;
	struct wire_site *s;
	char text[512] = "n\0t\0m\0f";
	struct elf_file *f;
	u32 at = 8;

	for (u32 i = 0; i < 32; i++)
		at += (u32)sprintf(text + at, "field.%u", i) + 1;
	maker__start(&m, EM_X86_64, ET_DYN);
	maker__module(&m);
	maker__sites(&m, 1);
	maker__set_site(&m, 0, WIRE_SITE_EVENT, WIRE_TRACE, 32, 0, text, at, maker__nop(&m), 0);
	s = maker__site(&m, 0);
	for (u32 i = 0; i < 32; i++)
		s->types[i / 16] |= (u64)(i % 13) << 4 * (i % 16);
	f = parse(maker__finish(&m));
	assert_int_equal(f->tape_site_cnt, 1);
	t = &f->tape_site[0];
	assert_null(t->bad);
	for (u32 i = 0; i < 32; i++) {
		char want[16];

		sprintf(want, "field.%u", i);
		assert_string_equal(t->field[i], want);
		assert_int_equal(t->type[i], i % 13);
	}
	elf_file__free(f);
}

static void no_module(void **state)
{
	struct elf_file *f;
	u64 nop;

	maker__start(&m, EM_X86_64, ET_DYN);
	maker__sites(&m, 1);
	nop = maker__nop(&m);
	maker__set_site(&m, 0, WIRE_SITE_EVENT, WIRE_INFO, 0, 0, "n\0t\0m\0f", 8, nop, 0);
	maker__note(&m, maker__nop(&m), 0, 0, "tape", "flush", "8@%rdi");
	f = parse(maker__finish(&m));
	assert_int_equal(f->tape_site_cnt, 1);
	assert_non_null(strstr(f->tape_site[0].bad, "module"));
	/* somebody else's provider that is called tape */
	assert_int_equal(f->tape_probe_cnt, 0);
	assert_int_equal(f->site_cnt, 1);
	elf_file__free(f);
}

static void offsets(void **state)
{
	struct elf_file *f;
	u64 v;

	maker__start(&m, EM_X86_64, ET_DYN);
	f = parse(maker__finish(&m));
	assert_string_equal(f->looked_at, "it has no section .note.stapsdt");
	assert_int_equal(elf_file__offset(f, MAKER_TEXT + 0x100, true, false, &v), 0);
	assert_int_equal(v, 0x100);
	assert_int_equal(elf_file__offset(f, MAKER_TEXT + 0x2ff, false, false, &v), 0);
	assert_int_equal(elf_file__offset(f, MAKER_TEXT + 0x300, false, false, &v), -ENOENT);
	assert_int_equal(elf_file__offset(f, MAKER_TEXT + 0x100, true, true, &v), -ENOENT);
	assert_int_equal(elf_file__offset(f, MAKER_DATA + 0x300, false, true, &v), 0);
	assert_int_equal(v, 0x300);
	assert_int_equal(elf_file__offset(f, MAKER_DATA + 0x400, false, true, &v), -ENOENT); /* bss */
	assert_int_equal(elf_file__offset(f, ~0ULL, false, false, &v), -ENOENT);
	assert_int_equal(elf_file__addr(f, 0x180, &v), 0);
	assert_int_equal(v, MAKER_TEXT + 0x180);
	assert_int_equal(elf_file__addr(f, 0, &v), 0); /* the first page of the code's mapping */
	assert_int_equal(v, MAKER_TEXT);
	assert_int_equal(elf_file__addr(f, 0x450, &v), 0);
	assert_int_equal(v, MAKER_RO + 0x450);
	assert_int_equal(elf_file__addr(f, 0x100000, &v), -ENOENT);
	elf_file__free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes),   cmocka_unit_test(prelink),	 cmocka_unit_test(bad_sites),
		cmocka_unit_test(doubles), cmocka_unit_test(arm64),   cmocka_unit_test(symbols),	 cmocka_unit_test(tape_sites),
		cmocka_unit_test(tape_fields), cmocka_unit_test(no_module), cmocka_unit_test(offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
