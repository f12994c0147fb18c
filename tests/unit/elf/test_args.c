/* SPDX-License-Identifier: MIT */
/* Argument strings of notes, both architectures: each form once, and everything that must stay unreadable. */
#include "elf/args.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#if defined(__x86_64__)
#include <asm/ptrace.h>
#endif

struct row {
	const char *text;
	struct wire_arg want;
};

#define REG(s, r)	      { .kind = WIRE_ARG_REG, .size = (s), .reg = (r) }
#define MEM(s, r, o)	      { .kind = WIRE_ARG_MEM, .size = (s), .reg = (r), .off = (o) }
#define SIB(s, r, i, sh, o)   { .kind = WIRE_ARG_SIB, .size = (s), .reg = (r), .idx = (i), .shift = (sh), .off = (o) }
#define CONST(s, o)	      { .kind = WIRE_ARG_CONST, .size = (s), .off = (o) }
#define IP(s, o)	      { .kind = WIRE_ARG_IP, .size = (s), .off = (o) }
#define NONE(s)		      { .kind = WIRE_ARG_NONE, .size = (s) }

/* Offsets in pt_regs, written down a second time on purpose. */
enum { R15 = 0, R14 = 8, R13 = 16, R12 = 24, BP = 32, BX = 40, R11 = 48, R10 = 56, R9 = 64, R8 = 72, AX = 80,
       CX = 88, DX = 96, SI = 104, DI = 112, IPREG = 128, SP = 152 };
#define X(n) ((n) * 8)

static int symbol(void *ctx, const char *name, size_t bytes, u64 *value)
{
	if (bytes == 8 && !memcmp(name, "NBuffers", 8)) {
		*value = 0x875f7c;
		return 0;
	}
	if (bytes == 15 && !memcmp(name, "CheckpointStats", 15)) {
		*value = 0x900000;
		return 0;
	}
	return -ENOENT;
}

static void check(const struct args_env *env, const struct row *rows, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		struct wire_arg got;

		memset(&got, 0xa5, sizeof(got));
		args__parse(env, rows[i].text, (u32)strlen(rows[i].text), &got);
		if (memcmp(&got, &rows[i].want, sizeof(got)))
			fail_msg("%s: kind %u size %d reg %u idx %u shift %u off %lld", rows[i].text, got.kind,
				 got.size, got.reg, got.idx, got.shift, (long long)got.off);
	}
}

static void x86_forms(void **state)
{
	const struct args_env env = { .machine = EM_X86_64, .location = 0x442178, .symbol = symbol };
	static const struct row rows[] = {
		{ "-4@%eax", REG(-4, AX) },
		{ "8@%rax", REG(8, AX) },
		{ "8@%rbx", REG(8, BX) },
		{ "8@%rcx", REG(8, CX) },
		{ "8@%rdx", REG(8, DX) },
		{ "8@%rsi", REG(8, SI) },
		{ "8@%rdi", REG(8, DI) },
		{ "8@%rbp", REG(8, BP) },
		{ "8@%rsp", REG(8, SP) },
		{ "8@%rip", REG(8, IPREG) },
		{ "8@%r8", REG(8, R8) },
		{ "8@%r9", REG(8, R9) },
		{ "8@%r10", REG(8, R10) },
		{ "8@%r11", REG(8, R11) },
		{ "8@%r12", REG(8, R12) },
		{ "8@%r13", REG(8, R13) },
		{ "4@%r14d", REG(4, R14) },
		{ "2@%r15w", REG(2, R15) },
		{ "1@%r8b", REG(1, R8) },
		{ "1@%sil", REG(1, SI) },
		{ "-1@%bpl", REG(-1, BP) },
		{ "-2@%dx", REG(-2, DX) },
		{ "1@%al", REG(1, AX) },
		{ "1@%ah", { .kind = WIRE_ARG_REG, .size = 1, .reg = AX, .shift = 8 } },
		{ "-1@%bh", { .kind = WIRE_ARG_REG, .size = -1, .reg = BX, .shift = 8 } },
		{ "1@%ch", { .kind = WIRE_ARG_REG, .size = 1, .reg = CX, .shift = 8 } },
		{ "1@%dh", { .kind = WIRE_ARG_REG, .size = 1, .reg = DX, .shift = 8 } },
		{ "-4@%al", REG(-1, AX) }, /* never more than the register has */
		{ "8@%edx", REG(4, DX) },
		{ "-4@-20(%rbp)", MEM(-4, BP, -20) },
		{ "8@(%rsp)", MEM(8, SP, 0) },
		{ "8@0x18(%rsp)", MEM(8, SP, 24) },
		{ "8@16+8(%rsp)", MEM(8, SP, 24) },
		{ "8@-8+16-4(%rsp)", MEM(8, SP, 4) },
		{ "1@-96(%rbp,%rax,8)", SIB(1, BP, AX, 3, -96) },
		{ "4@(%rbx,%rcx,4)", SIB(4, BX, CX, 2, 0) },
		{ "4@12(%rbx,%rcx)", SIB(4, BX, CX, 0, 12) },
		{ "4@(%rbx,%r13)", SIB(4, BX, R13, 0, 0) },
		{ "4@(%rsp,%r13,1)", SIB(4, SP, R13, 0, 0) },
		{ "4@64(,%rax,2)", SIB(4, 0xffff, AX, 1, 64) },
		{ "4@$71", CONST(4, 71) },
		{ "-4@$-9", CONST(-4, -9) },
		{ "4@$-9", CONST(4, 0xfffffff7LL) },
		{ "4@$0x10", CONST(4, 16) },
		{ "8@$-1", CONST(8, -1) },
		{ "8@$18446744073709551615", CONST(8, -1) },
		{ "-8@$-9223372036854775808", CONST(-8, INT64_MIN) },
		{ "-1@$255", CONST(-1, -1) },
		{ "2@$65537", CONST(2, 1) },
		{ "4@12(%rip)", IP(4, 12) },
		{ "-4@NBuffers(%rip)", IP(-4, 4406788) },
		{ "-4@40+CheckpointStats(%rip)", IP(-4, 0x900000 + 40 - 0x442178) },
		{ "-4@CheckpointStats+40(%rip)", IP(-4, 0x900000 + 40 - 0x442178) },
		{ "-4@CheckpointStats-8(%rip)", IP(-4, 0x900000 - 8 - 0x442178) },
		/* never a wrong value */
		{ "-4@-CheckpointStats(%rip)", NONE(-4) },
		{ "-4@NBuffers+CheckpointStats(%rip)", NONE(-4) },
		{ "-4@unknown(%rip)", NONE(-4) },
		{ "8@NBuffers@GOTPCREL(%rip)", NONE(8) },
		{ "8@NBuffers(%rbx)", NONE(8) }, /* an address that the load bias moves */
		{ "8@NBuffers", NONE(8) },
		{ "8@$NBuffers", NONE(8) },
		{ "8@4096", NONE(8) },
		{ "8@%fs:0x28", NONE(8) },
		{ "8@%fs:(%rax)", NONE(8) },
		{ "8@%xmm0", NONE(8) },
		{ "8f@%xmm0", NONE(8) },
		{ "16@%xmm0", NONE(8) },
		{ "4@%cs", NONE(4) },
		{ "4@%st(0)", NONE(4) },
		{ "4@(%eax)", NONE(4) },
		{ "4@(%rax,%ecx,4)", NONE(4) },
		{ "4@(%rax,%rsp,4)", NONE(4) },
		{ "4@(%rax,%rip)", NONE(4) },
		{ "4@(%rip,%rax)", NONE(4) },
		{ "4@(%rax,%rcx,3)", NONE(4) },
		{ "4@(%rax,%rcx,16)", NONE(4) },
		{ "4@(%rax,%rcx,", NONE(4) },
		{ "4@(%rax", NONE(4) },
		{ "4@(%rax)x", NONE(4) },
		{ "4@(", NONE(4) },
		{ "4@()", NONE(4) },
		{ "4@%", NONE(4) },
		{ "4@$", NONE(4) },
		{ "4@$ ", NONE(4) },
		{ "4@$1x", NONE(4) },
		{ "4@$0x", NONE(4) },
		{ "4@$09", NONE(4) },
		{ "4@$18446744073709551616", NONE(4) },
		{ "4@", NONE(4) },
		{ "3@%eax", NONE(8) },
		{ "0@%eax", NONE(8) },
		{ "-16@%eax", NONE(8) },
		{ "99999999999999999999@%eax", NONE(8) },
		{ "%eax", NONE(8) },
		{ "@%eax", NONE(8) },
		{ "", NONE(8) },
		{ "-", NONE(8) },
		{ "4", NONE(8) },
		{ "8@x19", NONE(8) },
	};

	check(&env, rows, ARRAY_SIZE(rows));
}

/* sys/sdt.h never leaves a floating-point number in a vector register: it can be read where it is put. */
static void floats(void **state)
{
	const struct args_env x86 = { .machine = EM_X86_64, .location = 0x442178, .symbol = symbol };
	const struct args_env arm = { .machine = EM_AARCH64, .location = 0x442178, .symbol = symbol };
	static const struct row x86_rows[] = {
		{ "8f@%rax", { .kind = WIRE_ARG_REG, .size = 8, .reg = AX, .flags = WIRE_ARG_FLOAT } },
		{ "4f@%edx", { .kind = WIRE_ARG_REG, .size = 4, .reg = DX, .flags = WIRE_ARG_FLOAT } },
		{ "8f@-16(%rbp)", { .kind = WIRE_ARG_MEM, .size = 8, .reg = BP, .off = -16, .flags = WIRE_ARG_FLOAT } },
		{ "4f@NBuffers(%rip)", { .kind = WIRE_ARG_IP, .size = 4, .off = 4406788, .flags = WIRE_ARG_FLOAT } },
		{ "8f@%eax", NONE(8) }, { "8f@$5", NONE(8) }, { "8f@%xmm0", NONE(8) }, { "2f@%ax", NONE(8) },
		{ "-8f@%rax", NONE(8) }, { "8f", NONE(8) }, { "16f@(%rax)", NONE(8) },
	};
	static const struct row arm_rows[] = {
		{ "8f@x1", { .kind = WIRE_ARG_REG, .size = 8, .reg = 8, .flags = WIRE_ARG_FLOAT } },
		{ "4f@[sp, 12]", { .kind = WIRE_ARG_MEM, .size = 4, .reg = 31 * 8, .off = 12, .flags = WIRE_ARG_FLOAT } },
		{ "8f@d0", NONE(8) }, { "8f@xzr", NONE(8) },
	};

	check(&x86, x86_rows, ARRAY_SIZE(x86_rows));
	check(&arm, arm_rows, ARRAY_SIZE(arm_rows));
}

/* Without position independence a symbol's address is a number. */
static void x86_fixed(void **state)
{
	const struct args_env env = {
		.machine = EM_X86_64, .fixed = true, .location = 0x442178, .symbol = symbol
	};
	static const struct row rows[] = {
		{ "-4@NBuffers(%rip)", IP(-4, 4406788) },
		{ "-4@NBuffers", IP(-4, 4406788) },
		{ "-4@NBuffers+4", IP(-4, 4406792) },
		{ "8@NBuffers(%rbx)", MEM(8, BX, 0x875f7c) },
		{ "8@NBuffers+8(,%rax,8)", SIB(8, 0xffff, AX, 3, 0x875f84) },
		{ "8@NBuffers(%rbx,%rax,8)", SIB(8, BX, AX, 3, 0x875f7c) },
		{ "8@$NBuffers", CONST(8, 0x875f7c) },
		{ "8@$NBuffers+1", CONST(8, 0x875f7d) },
		{ "8@unknown", NONE(8) },
		{ "8@", NONE(8) },
	};

	check(&env, rows, ARRAY_SIZE(rows));
}

static void arm64_forms(void **state)
{
	const struct args_env env = { .machine = EM_AARCH64, .location = 0x1000, .symbol = symbol };
	static const struct row rows[] = {
		{ "-8@x19", REG(-8, X(19)) },
		{ "8@x0", REG(8, X(0)) },
		{ "8@x30", REG(8, X(30)) },
		{ "8@fp", REG(8, X(29)) },
		{ "8@lr", REG(8, X(30)) },
		{ "4@w3", REG(4, X(3)) },
		{ "-8@w3", REG(-4, X(3)) },
		{ "8@sp", REG(8, X(31)) },
		{ "4@wsp", REG(4, X(31)) },
		{ "4@xzr", CONST(4, 0) },
		{ "-4@wzr", CONST(-4, 0) },
		{ "-4@[sp, 60]", MEM(-4, X(31), 60) },
		{ "-4@[sp,60]", MEM(-4, X(31), 60) },
		{ "-4@[x29, #16]", MEM(-4, X(29), 16) },
		{ "-4@[x29, #-16]", MEM(-4, X(29), -16) },
		{ "-4@[x29, -0x10]", MEM(-4, X(29), -16) },
		{ "8@[x0]", MEM(8, X(0), 0) },
		{ "8@[x0, x1]", SIB(8, X(0), X(1), 0, 0) },
		{ "8@[x0, x1, lsl 3]", SIB(8, X(0), X(1), 3, 0) },
		{ "8@[x0, x1, lsl #3]", SIB(8, X(0), X(1), 3, 0) },
		{ "8@[x0, x1, sxtx]", SIB(8, X(0), X(1), 0, 0) },
		{ "8@[x0, xzr]", MEM(8, X(0), 0) },
		{ "-4@[x0, #:lo12:NBuffers]", MEM(-4, X(0), 0xf7c) },
		{ "-4@[x0, :lo12:NBuffers+4]", MEM(-4, X(0), 0xf80) },
		{ "4@5", CONST(4, 5) },
		{ "-4@-5", CONST(-4, -5) },
		{ "4@#5", CONST(4, 5) },
		{ "4@0x1f", CONST(4, 31) },
		{ "4@-1", CONST(4, 0xffffffffLL) },
		{ "8@x31", NONE(8) },
		{ "8@x01", NONE(8) },
		{ "8@x", NONE(8) },
		{ "8@xz", NONE(8) },
		{ "8@xzrx", NONE(8) },
		{ "8@d0", NONE(8) },
		{ "8@v0", NONE(8) },
		{ "4f@s0", NONE(4) },
		{ "8@[w0]", NONE(8) },
		{ "8@[xzr]", NONE(8) },
		{ "8@[x0, w1, sxtw 3]", NONE(8) },
		{ "8@[x0, w1, uxtw #2]", NONE(8) },
		{ "8@[x0, x1, lsl 5]", NONE(8) },
		{ "8@[x0, x1, lsl", NONE(8) },
		{ "8@[x0, sp]", NONE(8) },
		{ "8@[x0, 8]!", NONE(8) },
		{ "8@[x0], 8", NONE(8) },
		{ "8@[x0, ]", NONE(8) },
		{ "8@[x0", NONE(8) },
		{ "8@[", NONE(8) },
		{ "8@[]", NONE(8) },
		{ "8@[x0, #:lo12:unknown]", NONE(8) },
		{ "8@[x0, #:got_lo12:NBuffers]", NONE(8) },
		{ "8@[x0, #:lo12:12]", NONE(8) },
		{ "8@%rax", NONE(8) },
		{ "8@NBuffers", NONE(8) },
	};

	check(&env, rows, ARRAY_SIZE(rows));
}

/* Each prefix of a good argument, without a NUL behind it: nothing may be read beyond (the sanitizers look). */
static void prefixes(void **state)
{
	static const char *const texts[] = { "-4@40+CheckpointStats(%rip)", "1@-96(%rbp,%rax,8)", "8@[x0, x1, lsl 3]",
					     "-4@[x0, #:lo12:NBuffers]", "4@$0x10", "4@%ah" };
	static const u16 machine[] = { EM_X86_64, EM_AARCH64 };

	for (size_t i = 0; i < ARRAY_SIZE(texts) * 2; i++) {
		struct args_env env = { .machine = machine[i % 2], .fixed = i & 4, .symbol = symbol };
		size_t all = strlen(texts[i / 2]);

		for (size_t n = 0; n <= all; n++) {
			char *copy = malloc(n ? n : 1);
			struct wire_arg got;

			memcpy(copy, texts[i / 2], n);
			args__parse(&env, copy, (u32)n, &got);
			assert_in_range(got.kind, WIRE_ARG_NONE, WIRE_ARG_IP);
			free(copy);
		}
	}
}

static void split(void **state)
{
	struct args_text t[WIRE_MAX_ARGS];

	assert_int_equal(args__split("", t), 0);
	assert_int_equal(args__split("   ", t), 0);
	assert_int_equal(args__split(" 8@%rax  -4@$0 ", t), 2);
	assert_int_equal(t[0].bytes, 6);
	assert_memory_equal(t[1].s, "-4@$0", 5);
	assert_int_equal(t[1].bytes, 5);
	assert_int_equal(args__split("8@x0 -4@[sp, 60] 8@[x0, x1, lsl 3]", t), 3);
	assert_memory_equal(t[1].s, "-4@[sp, 60]", 11);
	assert_int_equal(t[1].bytes, 11);
	assert_int_equal(t[2].bytes, 17);
	assert_int_equal(args__split("8@[x0, 8 4@5", t), 1); /* never closed: to the end */
	assert_int_equal(args__split("1@1 1@2 1@3 1@4 1@5 1@6 1@7 1@8 1@9 1@10 1@11 1@12 1@13", t), 13);
	assert_memory_equal(t[11].s, "1@12", 4);
}

static void extend(void **state)
{
	assert_int_equal(args__extend(0x1ff, 1), 0xff);
	assert_int_equal(args__extend(0x1ff, -1), -1);
	assert_int_equal(args__extend(0x18000, -2), -32768);
	assert_int_equal(args__extend(-1, 4), 0xffffffffLL);
	assert_int_equal(args__extend(-1, 8), -1);
	assert_int_equal(args__extend(INT64_MIN, -8), INT64_MIN);
}

/* The numbers above are those of the kernel's header. */
static void kernel_offsets(void **state)
{
#if defined(__x86_64__)
	assert_int_equal(offsetof(struct pt_regs, r15), R15);
	assert_int_equal(offsetof(struct pt_regs, rbp), BP);
	assert_int_equal(offsetof(struct pt_regs, rbx), BX);
	assert_int_equal(offsetof(struct pt_regs, r8), R8);
	assert_int_equal(offsetof(struct pt_regs, rax), AX);
	assert_int_equal(offsetof(struct pt_regs, rcx), CX);
	assert_int_equal(offsetof(struct pt_regs, rdx), DX);
	assert_int_equal(offsetof(struct pt_regs, rsi), SI);
	assert_int_equal(offsetof(struct pt_regs, rdi), DI);
	assert_int_equal(offsetof(struct pt_regs, rip), IPREG);
	assert_int_equal(offsetof(struct pt_regs, rsp), SP);
#else
	print_message("skipped: struct pt_regs of x86-64 is not at hand on this machine\n");
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x86_forms), cmocka_unit_test(floats), cmocka_unit_test(x86_fixed), cmocka_unit_test(arm64_forms),
		cmocka_unit_test(prefixes),  cmocka_unit_test(split),	  cmocka_unit_test(extend),
		cmocka_unit_test(kernel_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
