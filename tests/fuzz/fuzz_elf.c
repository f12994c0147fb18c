/* SPDX-License-Identifier: MIT */
/*
 * Bytes as an ELF file, and everything that the room says about them looked at. Also as an argument string of both
 * architectures and as a signature, so that one corpus serves the three parsers of foreign text here.
 *
 * libdw is left out: lines.c hands files to it, and its own project fuzzes it.
 */
#include "elf/elf_priv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/args.h"
#include "elf/sig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static volatile u64 sink;

static void look_at(const char *s)
{
	sink += s ? strlen(s) : 0;
}

#define MUST(cond) ((cond) ? (void)0 : abort())

static void check_sites(const struct elf_file *f)
{
	MUST(f->site_cnt + f->tape_probe_cnt <= ELF_MAX_SITES);
	for (u32 i = 0; i < f->site_cnt; i++) {
		const struct elf_site *s = &f->site[i];
		u64 offset;

		MUST(*s->provider && *s->name && s->arg_cnt <= WIRE_MAX_ARGS);
		MUST(s->bad || (s->offset < f->size && !elf_file__offset(f, s->addr, true, false, &offset)));
		MUST(s->bad || s->sema_offset < f->size);
		look_at(s->provider);
		look_at(s->name);
		look_at(s->args);
		look_at(s->bad);
		for (u32 j = 0; j < s->arg_cnt; j++)
			look_at(s->arg_text[j]);
	}
}

static void check_tape_sites(const struct elf_file *f)
{
	for (u32 i = 0; i < f->tape_site_cnt; i++) {
		const struct elf_tape_site *t = &f->tape_site[i];

		MUST(t->field_cnt <= WIRE_MAX_FIELDS && t->level <= WIRE_ERROR);
		MUST(!i || f->tape_site[i - 1].addr <= t->addr);
		MUST(elf_file__find_tape_site(f, t->addr));
		MUST(t->bad || (t->armed_offset < f->size && t->cold_offset < f->size &&
				t->nop_offset < f->size && t->nop_end_offset < f->size));
		look_at(t->name);
		look_at(t->target);
		look_at(t->module);
		look_at(t->file);
		for (u32 j = 0; j < t->field_cnt; j++)
			look_at(t->field[j]);
	}
}

static void as_file(const uint8_t *data, size_t bytes)
{
	struct elf_file *f;
	u64 addr;

	if (elf_file__parse(data, bytes, &f, NULL))
		return;
	check_sites(f);
	check_tape_sites(f);
	look_at(f->bad_note);
	look_at(f->looked_at);
	for (u64 offset = 0; offset < f->size; offset += 1 + f->size / 16)
		sink += !elf_file__addr(f, offset, &addr);
	elf_file__free(f);
}

static int symbol(void *ctx, const char *name, size_t bytes, u64 *value)
{
	*value = bytes ? (u8)name[bytes - 1] * 0x100000001ULL : 0;
	return 0;
}

static void as_text(const uint8_t *data, size_t bytes)
{
	struct args_env env = { .machine = EM_X86_64, .symbol = symbol };
	struct args_text part[WIRE_MAX_ARGS];
	struct sig_set *set = sig_set__new();
	char *text = strndup((const char *)data, bytes);
	struct wire_arg arg[WIRE_MAX_ARGS];
	u32 cnt;

	MUST(set && text);
	cnt = args__split(text, part);
	for (u32 round = 0; round < 4; round++) {
		env.machine = round & 1 ? EM_AARCH64 : EM_X86_64;
		env.fixed = round & 2;
		for (u32 i = 0; i < cnt && i < WIRE_MAX_ARGS; i++) {
			args__parse(&env, part[i].s, part[i].bytes, &arg[i]);
			MUST(arg[i].kind <= WIRE_ARG_IP);
		}
	}
	cnt = cnt < WIRE_MAX_ARGS ? cnt : WIRE_MAX_ARGS;
	/* text that begins with @ names a file */
	if (text[0] != '@' && !sig_set__add(set, text, NULL)) {
		const struct sig *sig = sig_set__find(set, "provider", "probe");

		if (sig)
			sig__apply(sig, cnt, arg);
	}
	free(text);
	sig_set__free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes >= 4 && !memcmp(data, ELFMAG, SELFMAG))
		as_file(data, bytes);
	else
		as_text(data, bytes);
	return 0;
}
