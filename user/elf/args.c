/* SPDX-License-Identifier: MIT */
/*
 * The note of a probe says where each argument is at the moment when the probe's nop runs: SIZE@OPERAND, with SIZE
 * 1, 2, 4 or 8 (negative: signed; 4f and 8f: floating point) and OPERAND as the compiler prints it into assembly.
 *
 *	x86-64   %reg  N(%base)  (%base)  N(%base,%index,scale)  N(%rip)  SYM+N(%rip)  $N
 *	arm64    reg   [base]    [base, N]  [base, reg{, lsl N}]  [base, #:lo12:SYM]   N
 *
 * In a program that is not position independent a symbol's address is a constant, so SYM, SYM+N(%base), SYM(,%index,8)
 * and $SYM are understood there too.
 *
 * What must never happen is a wrong value. So everything that is not fully understood (vector and segment
 * registers, 32-bit address registers, extended index registers of arm64, relocation operators, 16-byte operands)
 * makes the argument unreadable, and nothing else: the site stays. A floating-point number is read where it lies in memory or
 * in a general register, which is where sys/sdt.h has the compiler put it.
 *
 * Rip-relative operands: at the hit the instruction pointer is the probe's address, so that the load bias cancels out
 * of SYM + N - location. A number in front of (%rip) is taken relative to the probe's address, as libbpf does.
 */
#include "elf/args.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

/* --- a cursor over the text --------------------------------------------------------------------------------- */

struct cursor {
	const char *p, *end;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       c == '.' || c == '$';
}

static void skip_blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
}

static bool take(struct cursor *c, char ch)
{
	skip_blanks(c);
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static bool at_end(struct cursor *c)
{
	skip_blanks(c);
	return c->p == c->end;
}

/* A name of register or symbol. */
static struct args_text take_word(struct cursor *c)
{
	struct args_text t;

	skip_blanks(c);
	t.s = c->p;
	while (c->p < c->end && is_word(*c->p))
		c->p++;
	t.bytes = (u32)(c->p - t.s);
	return t;
}

static bool word_is(struct args_text t, const char *s)
{
	return t.bytes == strlen(s) && !memcmp(t.s, s, t.bytes);
}

static int digit_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Digits in the assembler's notation: decimal, 0x hexadecimal, 0 octal. -EINVAL: none, or more than 64 bits. */
static int take_digits(struct cursor *c, u64 *out)
{
	struct args_text t = take_word(c);
	const char *s = t.s, *end = t.s + t.bytes;
	int base = 10;
	u64 v = 0;

	if (!t.bytes || !is_digit(*s))
		return -EINVAL;
	if (*s == '0' && t.bytes > 1) {
		base = (s[1] | 0x20) == 'x' ? 16 : 8;
		s += base == 16 ? 2 : 1;
		if (s == end)
			return -EINVAL;
	}
	for (; s < end; s++) {
		int d = digit_value(*s);

		if (d >= base || __builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)d, &v))
			return -EINVAL;
	}
	*out = v;
	return 0;
}

static int take_number(struct cursor *c, s64 *out)
{
	bool minus = take(c, '-');
	u64 v;

	if (!minus)
		take(c, '+');
	if (take_digits(c, &v))
		return -EINVAL;
	*out = (s64)(minus ? -v : v);
	return 0;
}

/*
 * A displacement: terms with + and -, each a number or (once, not subtracted) a symbol. *symbol: whether there was
 * one. No term at all is 0.
 */
static int take_displacement(const struct args_env *env, struct cursor *c, u64 *out, bool *symbol)
{
	bool first = true;
	u64 sum = 0, v;

	*symbol = false;
	for (;; first = false) {
		bool minus = take(c, '-');
		bool sign = minus || take(c, '+');

		skip_blanks(c);
		if (c->p == c->end || !is_word(*c->p)) {
			if (sign)
				return -EINVAL;
			break;
		}
		if (!sign && !first)
			return -EINVAL;
		if (is_digit(*c->p)) {
			if (take_digits(c, &v))
				return -EINVAL;
		} else {
			struct args_text t = take_word(c);

			if (minus || *symbol || !env->symbol ||
			    env->symbol(env->ctx, t.s, t.bytes, &v))
				return -EINVAL;
			*symbol = true;
		}
		sum += minus ? -v : v;
	}
	*out = sum;
	return 0;
}

/* --- registers ------------------------------------------------------------------------------------------------ */

struct reg {
	u16 offset; /* in struct pt_regs */
	u8 bytes;   /* its width */
	u8 shift;   /* of its lowest bit in the full register */
	bool zero;  /* arm64: reads as 0 */
};

/* Offsets in the kernel's struct pt_regs for x86-64 (arch/x86/include/asm/ptrace.h): 21 words, r15 first. */
enum {
	X86_R15 = 0,
	X86_R14 = 8,
	X86_R13 = 16,
	X86_R12 = 24,
	X86_BP = 32,
	X86_BX = 40,
	X86_R11 = 48,
	X86_R10 = 56,
	X86_R9 = 64,
	X86_R8 = 72,
	X86_AX = 80,
	X86_CX = 88,
	X86_DX = 96,
	X86_SI = 104,
	X86_DI = 112,
	X86_IP = 128,
	X86_SP = 152,
};

static const struct {
	const char *name[5]; /* 8, 4, 2, 1 bytes, second byte */
	u16 offset;
} x86_regs[] = {
	{ { "rax", "eax", "ax", "al", "ah" }, X86_AX },
	{ { "rbx", "ebx", "bx", "bl", "bh" }, X86_BX },
	{ { "rcx", "ecx", "cx", "cl", "ch" }, X86_CX },
	{ { "rdx", "edx", "dx", "dl", "dh" }, X86_DX },
	{ { "rsi", "esi", "si", "sil", NULL }, X86_SI },
	{ { "rdi", "edi", "di", "dil", NULL }, X86_DI },
	{ { "rbp", "ebp", "bp", "bpl", NULL }, X86_BP },
	{ { "rsp", "esp", "sp", "spl", NULL }, X86_SP },
	{ { "r8", "r8d", "r8w", "r8b", NULL }, X86_R8 },
	{ { "r9", "r9d", "r9w", "r9b", NULL }, X86_R9 },
	{ { "r10", "r10d", "r10w", "r10b", NULL }, X86_R10 },
	{ { "r11", "r11d", "r11w", "r11b", NULL }, X86_R11 },
	{ { "r12", "r12d", "r12w", "r12b", NULL }, X86_R12 },
	{ { "r13", "r13d", "r13w", "r13b", NULL }, X86_R13 },
	{ { "r14", "r14d", "r14w", "r14b", NULL }, X86_R14 },
	{ { "r15", "r15d", "r15w", "r15b", NULL }, X86_R15 },
	{ { "rip", NULL, NULL, NULL, NULL }, X86_IP },
};

static int x86_reg(struct args_text t, struct reg *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(x86_regs); i++) {
		for (u32 w = 0; w < ARRAY_SIZE(x86_regs[i].name); w++) {
			if (!x86_regs[i].name[w] || !word_is(t, x86_regs[i].name[w]))
				continue;
			*r = (struct reg){ .offset = x86_regs[i].offset,
					   .bytes = w == 4 ? 1 : (u8)(8 >> w),
					   .shift = w == 4 ? 8 : 0 };
			return 0;
		}
	}
	return -EINVAL;
}

/* arm64: struct user_pt_regs is regs[31], sp, pc, pstate (arch/arm64/include/uapi/asm/ptrace.h), 8 bytes each. */
static int arm64_reg(struct args_text t, struct reg *r)
{
	struct cursor c = { t.s + 1, t.s + t.bytes };
	u64 n;

	*r = (struct reg){ .bytes = 8 };
	if (word_is(t, "sp") || word_is(t, "wsp")) {
		r->offset = 31 * 8;
		r->bytes = t.s[0] == 'w' ? 4 : 8;
		return 0;
	}
	if (word_is(t, "fp") || word_is(t, "lr")) {
		r->offset = t.s[0] == 'f' ? 29 * 8 : 30 * 8;
		return 0;
	}
	if (t.bytes < 2 || t.bytes > 3 || (t.s[0] != 'x' && t.s[0] != 'w'))
		return -EINVAL;
	r->bytes = t.s[0] == 'w' ? 4 : 8;
	if (!memcmp(t.s + 1, "zr", t.bytes - 1)) {
		r->zero = t.bytes == 3;
		return r->zero ? 0 : -EINVAL;
	}
	if ((t.bytes == 3 && t.s[1] == '0') || take_digits(&c, &n) || n > 30)
		return -EINVAL;
	r->offset = (u16)(n * 8);
	return 0;
}

/* --- operands --------------------------------------------------------------------------------------------------- */

s64 args__extend(s64 value, s8 size)
{
	u32 bits = 8 * (u32)(size < 0 ? -size : size);

	if (bits == 0 || bits >= 64)
		return value;
	value = (s64)((u64)value << (64 - bits));
	return size < 0 ? value >> (64 - bits) : (s64)((u64)value >> (64 - bits));
}

static void set_const(struct wire_arg *a, s64 value)
{
	a->kind = WIRE_ARG_CONST;
	a->off = args__extend(value, a->size);
}

static void set_reg(struct wire_arg *a, const struct reg *r)
{
	if (r->zero) {
		set_const(a, 0);
		return;
	}
	a->kind = WIRE_ARG_REG;
	a->reg = r->offset;
	a->shift = r->shift;
	/* the bits above a narrow register are not the argument's */
	if (r->bytes < (a->size < 0 ? -a->size : a->size))
		a->size = (s8)(a->size < 0 ? -r->bytes : r->bytes);
}

static int scale_shift(struct cursor *c, u8 *shift)
{
	u64 scale;

	if (take_digits(c, &scale))
		return -EINVAL;
	switch (scale) {
	case 1:
		*shift = 0;
		return 0;
	case 2:
		*shift = 1;
		return 0;
	case 4:
		*shift = 2;
		return 0;
	case 8:
		*shift = 3;
		return 0;
	}
	return -EINVAL;
}

/* A full-width address register. */
static int x86_addr_reg(struct cursor *c, struct reg *r)
{
	if (!take(c, '%') || x86_reg(take_word(c), r) || r->bytes != 8)
		return -EINVAL;
	return 0;
}

static int x86_indexed(struct cursor *c, struct wire_arg *a, u64 disp, const struct reg *base)
{
	struct reg index;
	u8 shift = 0;

	if (x86_addr_reg(c, &index) || index.offset == X86_SP || index.offset == X86_IP)
		return -EINVAL;
	if (take(c, ',') && scale_shift(c, &shift))
		return -EINVAL;
	if (!take(c, ')'))
		return -EINVAL;
	a->kind = WIRE_ARG_SIB;
	a->reg = base ? base->offset : 0xffff;
	a->idx = index.offset;
	a->shift = shift;
	a->off = (s64)disp;
	return 0;
}

/* disp(base, index, scale), or disp alone. */
static int x86_memory(const struct args_env *env, struct cursor *c, struct wire_arg *a)
{
	struct reg base;
	bool symbol;
	u64 disp;

	if (take_displacement(env, c, &disp, &symbol))
		return -EINVAL;
	if (!take(c, '(')) {
		if (!env->fixed)
			return -EINVAL;
		a->kind = WIRE_ARG_IP;
		a->off = (s64)(disp - env->location);
		return 0;
	}
	if (take(c, ','))
		return symbol && !env->fixed ? -EINVAL : x86_indexed(c, a, disp, NULL);
	if (x86_addr_reg(c, &base))
		return -EINVAL;
	if (base.offset == X86_IP) {
		a->kind = WIRE_ARG_IP;
		a->off = (s64)(symbol ? disp - env->location : disp);
		return take(c, ')') ? 0 : -EINVAL;
	}
	if (symbol && !env->fixed)
		return -EINVAL;
	if (take(c, ','))
		return x86_indexed(c, a, disp, &base);
	a->kind = WIRE_ARG_MEM;
	a->reg = base.offset;
	a->off = (s64)disp;
	return take(c, ')') ? 0 : -EINVAL;
}

static int x86_operand(const struct args_env *env, struct cursor *c, struct wire_arg *a)
{
	struct reg r;
	bool symbol;
	u64 value;

	if (take(c, '$')) {
		if (at_end(c) || take_displacement(env, c, &value, &symbol) ||
		    (symbol && !env->fixed))
			return -EINVAL;
		set_const(a, (s64)value);
		return 0;
	}
	if (take(c, '%')) {
		if (x86_reg(take_word(c), &r))
			return -EINVAL;
		set_reg(a, &r);
		return 0;
	}
	if (at_end(c))
		return -EINVAL;
	return x86_memory(env, c, a);
}

/* The part of [base, ...] behind the comma. */
static int arm64_offset(const struct args_env *env, struct cursor *c, struct wire_arg *a)
{
	struct args_text t;
	struct reg r;
	bool symbol;
	u64 n = 0;
	s64 off;

	a->kind = WIRE_ARG_MEM;
	take(c, '#');
	if (take(c, ':')) {
		/* The low 12 bits of an address. Files are loaded at multiples of at least 4096, so the link address
		 * has the right ones. */
		if (!word_is(take_word(c), "lo12") || !take(c, ':') ||
		    take_displacement(env, c, &n, &symbol) || !symbol)
			return -EINVAL;
		a->off = (s64)(n & 0xfff);
		return 0;
	}
	skip_blanks(c);
	if (c->p < c->end && (is_digit(*c->p) || *c->p == '-' || *c->p == '+')) {
		if (take_number(c, &off))
			return -EINVAL;
		a->off = off;
		return 0;
	}
	t = take_word(c);
	if (!t.bytes || arm64_reg(t, &r) || r.bytes != 8 || r.offset == 31 * 8)
		return -EINVAL;
	if (take(c, ',')) {
		t = take_word(c);
		if (!word_is(t, "lsl") && !word_is(t, "sxtx"))
			return -EINVAL;
		if (!at_end(c) && *c->p != ']') {
			take(c, '#');
			if (take_digits(c, &n) || n > 4)
				return -EINVAL;
		}
	}
	if (r.zero)
		return 0;
	a->kind = WIRE_ARG_SIB;
	a->idx = r.offset;
	a->shift = (u8)n;
	return 0;
}

static int arm64_operand(const struct args_env *env, struct cursor *c, struct wire_arg *a)
{
	struct args_text t;
	struct reg r;
	s64 value;

	if (take(c, '[')) {
		t = take_word(c);
		if (!t.bytes || arm64_reg(t, &r) || r.bytes != 8 || r.zero)
			return -EINVAL;
		a->kind = WIRE_ARG_MEM;
		a->reg = r.offset;
		if (take(c, ',') && arm64_offset(env, c, a))
			return -EINVAL;
		return take(c, ']') ? 0 : -EINVAL;
	}
	take(c, '#');
	skip_blanks(c);
	if (c->p < c->end && (is_digit(*c->p) || *c->p == '-' || *c->p == '+')) {
		if (take_number(c, &value))
			return -EINVAL;
		set_const(a, value);
		return 0;
	}
	t = take_word(c);
	if (!t.bytes || arm64_reg(t, &r))
		return -EINVAL;
	set_reg(a, &r);
	return 0;
}

/* SIZE@ or SIZEf@. -EINVAL: not a size that a number has. */
static int take_size(struct cursor *c, s8 *size, bool *is_float)
{
	s64 n;

	*is_float = c->end - c->p > 2 && (c->p[0] == '4' || c->p[0] == '8') && c->p[1] == 'f' && c->p[2] == '@';
	if (*is_float) {
		*size = (s8)(c->p[0] - '0');
		c->p += 3;
		return 0;
	}
	if (take_number(c, &n) || c->p == c->end || *c->p != '@')
		return -EINVAL;
	c->p++;
	if (n != 1 && n != 2 && n != 4 && n != 8 && n != -1 && n != -2 && n != -4 && n != -8)
		return -EINVAL;
	*size = (s8)n;
	return 0;
}

void args__parse(const struct args_env *env, const char *s, u32 bytes, struct wire_arg *arg)
{
	struct cursor c = { s, s + bytes };
	bool is_float;
	s8 size = 8;
	int err;

	memset(arg, 0, sizeof(*arg));
	err = take_size(&c, &size, &is_float);
	arg->size = size;
	arg->flags = is_float ? WIRE_ARG_FLOAT : 0;
	if (!err)
		err = env->machine == EM_AARCH64 ? arm64_operand(env, &c, arg) :
						   x86_operand(env, &c, arg);
	/* half of a number is none, and what a constant would stand for no compiler has shown */
	if (is_float && (arg->size != size || arg->kind == WIRE_ARG_CONST))
		err = -EINVAL;
	if (err || !at_end(&c)) {
		memset(arg, 0, sizeof(*arg));
		arg->kind = WIRE_ARG_NONE;
		arg->size = size;
	}
}

u32 args__split(const char *args, struct args_text out[WIRE_MAX_ARGS])
{
	u32 cnt = 0;

	for (;;) {
		const char *start;
		int depth = 0;

		args += strspn(args, " \t");
		if (!*args)
			return cnt;
		/* blanks within brackets belong to the operand: [sp, 60] */
		for (start = args; *args && (depth > 0 || (*args != ' ' && *args != '\t')); args++)
			depth += (*args == '[') - (*args == ']');
		if (cnt < WIRE_MAX_ARGS)
			out[cnt] = (struct args_text){ start, (u32)(args - start) };
		cnt++;
	}
}
