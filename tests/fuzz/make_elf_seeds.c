/* SPDX-License-Identifier: MIT */
/* Writes the seeds in tests/fuzz/corpus/elf: make $(B)/tests/fuzz/make_elf_seeds && it DIRECTORY. */
#include <stdio.h>
#include <string.h>

#include "unit/elf/elf_maker.h"

static struct maker m;
static const char *directory;

static int write_seed(const char *name, const void *p, size_t bytes)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "we");
	if (!f || fwrite(p, 1, bytes, f) != bytes || fclose(f)) {
		perror(path);
		return 1;
	}
	return 0;
}

static u32 foreign(u16 machine, u16 type, const char *args)
{
	maker__start(&m, machine, type);
	maker__section(&m, ".stapsdt.base", SHT_PROGBITS, 0x5000, 0, 0);
	maker__note(&m, maker__nop(&m), 0x5000, maker__data(&m, NULL, 2), "shop", "order__begin", args);
	maker__note(&m, maker__nop(&m), 0, 0, "shop", "order__done", "");
	maker__symbol(&m, "counter", MAKER_DATA + 0x310, STT_OBJECT);
	return maker__finish(&m);
}

#define TEXT "order\0shop\0shop::cart\0cart.c\0id\0path"

static u32 tape(void)
{
	u64 nop, end;

	maker__start(&m, EM_X86_64, ET_DYN);
	maker__module(&m);
	maker__sites(&m, 2);
	nop = maker__nop(&m);
	end = maker__nop(&m);
	maker__set_site(&m, 0, WIRE_SITE_SPAN, WIRE_INFO, 2, WIRE_T_U64 | WIRE_T_STR << 4, TEXT, sizeof(TEXT), nop, end);
	maker__set_site(&m, 1, WIRE_SITE_EVENT, WIRE_WARN, 0, 0, "n\0t\0m\0f", 8, maker__nop(&m), 0);
	maker__note(&m, nop, 0, 0, "tape_app", "order__begin", "8@%rdi 8@%rsi");
	maker__note(&m, maker__nop(&m), 0, 0, "tape", "flush", "8@%rdi");
	return maker__finish(&m);
}

int main(int argc, char **argv)
{
	static const char *const texts[] = {
		"-4@%eax 8@(%rsp) 4@-20(%rbp) 1@-96(%rbp,%rax,8) 4@$-1 8@%xmm0 -4@40+counter(%rip) 2@12(%rip) 1@%ah",
		"-8@x19 4@w3 8@[sp, 60] 8@[x0, x1, lsl 3] -4@[x0, #:lo12:counter] 4@5 8@xzr 8@[x29, #-16]",
		"*:*(u64 id, str path, str body:len, i32 len, _ x, bytes b:len, bool f, error e, ptr p)",
	};
	int err = 0;

	if (argc != 2)
		return 2;
	directory = argv[1];
	err |= write_seed("x86", m.b, foreign(EM_X86_64, ET_DYN, texts[0]));
	err |= write_seed("x86_fixed", m.b, foreign(EM_X86_64, ET_EXEC, "8@counter(%rbx) 4@$counter 4@counter(,%rax,8)"));
	err |= write_seed("arm64", m.b, foreign(EM_AARCH64, ET_DYN, texts[1]));
	err |= write_seed("tape", m.b, tape());
	err |= write_seed("args_x86", texts[0], strlen(texts[0]));
	err |= write_seed("args_arm64", texts[1], strlen(texts[1]));
	err |= write_seed("sig", texts[2], strlen(texts[2]));
	return err;
}
