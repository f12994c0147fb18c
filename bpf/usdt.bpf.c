/* SPDX-License-Identifier: MIT */
/*
 * usdt.bpf.c - hits of foreign probes. The cookie names a compiled argument spec; fetching an argument is a register
 * of the context (a tree of compares, no call) or a read of exactly as many bytes as the note says.
 *
 * Six programs, so that the common one stays small: scalars only or with texts, plain or sleepable. The recorder
 * attaches the sleepable ones to sites whose arguments can lie on a page that is not present. Those of scalars exist once more, for
 * kernels on which hits can be gathered (stage.bpf.h).
 */
#include "stage.bpf.h"
#include "arg.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONFIG_SPECS);
	__type(key, __u32);
	__type(value, struct wire_spec);
} specs SEC(".maps");

#define TEXT_MASK (2 * CONFIG_TEXT_BYTES - 1)

/* Where texts are read to only to learn their length: nobody looks at the bytes, so programs that preempt each other
 * may share it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, char[TEXT_MASK + 1 + 8]);
} junk SEC(".maps");

/*
 * Always 0, which the verifier does not know. It follows every path and joins two only where what it knows of all
 * variables agrees: twelve arguments that may each be readable or not, text or not, NULL or not are too many
 * combinations. OPAQUE() makes it forget what it knows of a value, so that the paths of one argument join again.
 */
volatile __u64 opaque_zero = 0;
#define OPAQUE(v) ((v) + opaque_zero)

/* A register by its offset. Reading the context at a variable offset is forbidden, and a helper call for each argument
 * costs more than this. In assembly, as the compiler would make one load through a computed pointer of all these. */
__inline __u64 reg__get(struct pt_regs *ctx, __u16 offset)
{
	__u64 v;

#define R(field)                                              \
	case offsetof(struct pt_regs, field):                 \
		asm volatile("%0 = *(u64 *)(%1 + %2)"         \
			     : "=r"(v)                        \
			     : "r"(ctx), "i"(offsetof(struct pt_regs, field))); \
		return v;
	switch (offset) {
#if defined(__TARGET_ARCH_x86)
	R(r15) R(r14) R(r13) R(r12) R(bp) R(bx) R(r11) R(r10) R(r9) R(r8)
	R(ax) R(cx) R(dx) R(si) R(di) R(ip) R(sp)
#else
	R(user_regs.regs[0]) R(user_regs.regs[1]) R(user_regs.regs[2]) R(user_regs.regs[3])
	R(user_regs.regs[4]) R(user_regs.regs[5]) R(user_regs.regs[6]) R(user_regs.regs[7])
	R(user_regs.regs[8]) R(user_regs.regs[9]) R(user_regs.regs[10]) R(user_regs.regs[11])
	R(user_regs.regs[12]) R(user_regs.regs[13]) R(user_regs.regs[14]) R(user_regs.regs[15])
	R(user_regs.regs[16]) R(user_regs.regs[17]) R(user_regs.regs[18]) R(user_regs.regs[19])
	R(user_regs.regs[20]) R(user_regs.regs[21]) R(user_regs.regs[22]) R(user_regs.regs[23])
	R(user_regs.regs[24]) R(user_regs.regs[25]) R(user_regs.regs[26]) R(user_regs.regs[27])
	R(user_regs.regs[28]) R(user_regs.regs[29]) R(user_regs.regs[30]) R(user_regs.sp) R(user_regs.pc)
#endif
	}
#undef R
	return 0; /* no base: 0xffff */
}

#if defined(__TARGET_ARCH_x86)
#define REG_IP(ctx) ((ctx)->ip)
#else
#define REG_IP(ctx) ((ctx)->user_regs.pc)
#endif

__inline __u64 arg__address(struct pt_regs *ctx, const struct wire_arg *a)
{
	__u64 base = a->kind == WIRE_ARG_IP ? REG_IP(ctx) : reg__get(ctx, a->reg);

	if (a->kind == WIRE_ARG_SIB)
		base += reg__get(ctx, a->idx) << (a->shift & 63);
	return base + a->off;
}

/*
 * 0, or negative: not readable. Exactly the operand's bytes are read: eight could run into a page that is not there.
 * Here and below failures become bits by arithmetic and not by branches, for the verifier's sake.
 */
__inline long arg__fetch(struct pt_regs *ctx, const struct wire_arg *a, __u64 *v, const bool sleepable)
{
	const void *src;
	__u64 raw = 0, n;
	long err = 0;

	if (a->kind == WIRE_ARG_REG) {
		raw = reg__get(ctx, a->reg) >> (a->shift & 63);
	} else if (a->kind == WIRE_ARG_CONST) {
		raw = a->off;
	} else if (a->kind == WIRE_ARG_MEM || a->kind == WIRE_ARG_SIB || a->kind == WIRE_ARG_IP) {
		src = (void *)arg__address(ctx, a);
		n = arg__bytes(a->size);
		barrier_var(n); /* the verifier wants to see the bound right here */
		n = n > sizeof(raw) ? sizeof(raw) : n;
		err = bpf_probe_read_user(&raw, n, src);
		if (sleepable && err)
			err = bpf_copy_from_user(&raw, n, src);
	} else {
		err = -1;
	}
	*v = OPAQUE(arg__extend(raw, a->size)); /* a failed read leaves 0 */
	return OPAQUE(err);
}

__inline void args__fetch(struct pt_regs *ctx, const struct wire_spec *spec, __u64 *val, __u64 *unreadable,
			   const bool sleepable)
{
	__u32 i;

	for (i = 0; i < WIRE_MAX_ARGS; i++) {
		if (i >= spec->arg_cnt)
			break;
		*unreadable |= ((__u64)arg__fetch(ctx, &spec->arg[i], &val[i], sleepable) >> 63) << i;
	}
}

__inline void hit__head(struct emit *e, struct wire_hit *hit, __u32 cookie, __u32 args, __u32 text_bytes,
			__u16 unreadable)
{
	emit__head(e, &hit->head, WIRE_HIT, sizeof(*hit) + 8 * args + text_bytes, cookie);
	hit->arg_cnt = args;
	hit->unreadable = unreadable;
	hit->text_bytes = text_bytes;
}

/* --- scalars only ------------------------------------------------------------------------------------------------ */

__inline int hit__send_class(struct emit *e, __u32 cookie, const __u64 *val, __u32 args, __u16 unreadable,
			     const __u32 class)
{
	struct wire_hit *hit = emit__reserve(e, sizeof(*hit) + 8 * class);

	if (!hit)
		return WIRE_C_LOST_RING;
	hit__head(e, hit, cookie, args, 0, unreadable);
	__builtin_memcpy(hit + 1, val, 8 * class);
	emit__submit(e, hit, sizeof(*hit) + 8 * class);
	return 0;
}

__inline int hit__send(struct emit *e, __u32 cookie, const __u64 *val, __u32 args, __u16 unreadable)
{
	if (!emit__ring(e))
		return WIRE_C_LOST_RING;
	if (args <= 4)
		return hit__send_class(e, cookie, val, args, unreadable, 4);
	if (args <= 8)
		return hit__send_class(e, cookie, val, args, unreadable, 8);
	return hit__send_class(e, cookie, val, args, unreadable, 12);
}

/* false: the stage is taken. */
__inline bool hit__stage(struct emit *e, __u32 cookie, const __u64 *val, __u32 args, __u16 unreadable)
{
	struct stage *s;
	struct wire_hit *hit = stage__reserve(e, &s, sizeof(*hit) + 8 * WIRE_MAX_ARGS);

	if (!hit)
		return false;
	e->seq = e->st->seq++;
	hit__head(e, hit, cookie, args, 0, unreadable);
	if (args <= 4)
		__builtin_memcpy(hit + 1, val, 8 * 4);
	else
		__builtin_memcpy(hit + 1, val, 8 * WIRE_MAX_ARGS);
	stage__commit(e, s, hit, hit->head.bytes);
	return true;
}

__inline int on_scalars(struct pt_regs *ctx, const bool sleepable, const bool staged)
{
	__u64 cookie = probe__cookie(ctx), val[WIRE_MAX_ARGS] = {};
	__u32 idx = COOKIE_SPEC(cookie), args;
	struct wire_spec *spec;
	__u64 unreadable = 0;
	struct emit e;
	int result;

	if (!emit__init_state(&e) || !target__wanted(&e, cookie))
		return 0;
	spec = bpf_map_lookup_elem(&specs, &idx);
	if (!spec || (args = spec->arg_cnt) > WIRE_MAX_ARGS)
		return 0;
	emit__count(&e, WIRE_C_EMITTED);
	args__fetch(ctx, spec, val, &unreadable, sleepable);
	if (staged && hit__stage(&e, COOKIE_NUMBER(cookie), val, args, unreadable))
		return 0;
	result = hit__send(&e, COOKIE_NUMBER(cookie), val, args, unreadable);
	if (result)
		emit__count(&e, result);
	return 0;
}

/* --- with texts -------------------------------------------------------------------------------------------------- */

/*
 * Texts are read twice: first to learn how long they are, then, once that much has been reserved, into the record.
 * A text that shrinks in between is padded with what is there; one that grows is cut. raw: the arguments as
 * fetched; out: what goes into the record.
 */
struct texts {
	__u64 raw[WIRE_MAX_ARGS];
	__u64 out[WIRE_MAX_ARGS];
	__u64 bytes; /* of all texts, each padded to 8 */
	__u64 unreadable;
};

/* Fault in the pages of at most CONFIG_TEXT_BYTES bytes. */
__inline void text__touch(__u64 src)
{
	char c;

	bpf_copy_from_user(&c, 1, (void *)src);
	bpf_copy_from_user(&c, 1, (void *)((src | 4095) + 1));
}

/* Length of a NUL-terminated text as wire_hit wants it, or -1. One byte more than the limit tells cut from fitting. */
__inline __s64 text__measure_nul(char *buf, __u64 src, __u64 max)
{
	long n;

	if (max > CONFIG_TEXT_BYTES)
		return -1;
	barrier_var(max);
	max &= TEXT_MASK; /* nothing to cut; old verifiers forget a compared value that is spilled, not a masked one */
	n = bpf_probe_read_user_str(buf, max + 2, (void *)src);
	if (n < 0)
		return -1;
	n -= n > 0; /* the NUL; an empty text gives 1, and 0 on older kernels (seen on 5.10 and 6.1) */
	return n > max ? max | WIRE_HIT_TEXT_TRUNCATED : n;
}

__inline __s64 text__measure_len(char *buf, __u64 src, __u64 len, __s8 len_size, __u32 max)
{
	__u64 n = arg__text_len(len, len_size, max);

	barrier_var(n);
	n &= TEXT_MASK;
	if (n && bpf_probe_read_user(buf, n, (void *)src))
		return -1;
	return n < len && !(len_size < 0 && (__s64)len < 0) ? n | WIRE_HIT_TEXT_TRUNCATED : n;
}

__inline __s64 text__measure(char *buf, const struct wire_spec *spec, const struct wire_arg *a, struct texts *t,
			     __u64 src)
{
	__u64 max = a->max_text ? a->max_text : config.max_text;
	__u32 of = a->len_arg;
	__u64 len = 0;
	__u32 i;

	max = OPAQUE(max);
	if (a->text == WIRE_TEXT_NUL)
		return text__measure_nul(buf, src, max);
	if (of >= WIRE_MAX_ARGS)
		return -1;
	/* A stack array cannot be indexed by a variable before 5.12. */
	for (i = 0; i < WIRE_MAX_ARGS; i++)
		if (i == of)
			len = t->raw[i];
	return text__measure_len(buf, src, OPAQUE(len), spec->arg[of].size, max);
}

__inline __u64 text__plan(char *buf, const struct wire_spec *spec, const struct wire_arg *a, struct texts *t,
			  __u64 src, const bool sleepable)
{
	__s64 n;

	if (!src)
		return WIRE_HIT_TEXT_NULL;
	n = text__measure(buf, spec, a, t, src);
	if (n < 0 && sleepable) {
		text__touch(src);
		n = text__measure(buf, spec, a, t, src);
	}
	return n;
}

__inline void texts__plan(const struct wire_spec *spec, struct texts *t, const bool sleepable)
{
	__u32 zero = 0, i;
	char *buf = bpf_map_lookup_elem(&junk, &zero);
	__u64 n;

	for (i = 0; buf && i < WIRE_MAX_ARGS; i++) {
		if (i >= spec->arg_cnt)
			break;
		t->out[i] = OPAQUE(t->raw[i]);
		if (!spec->arg[i].text)
			continue;
		n = OPAQUE(text__plan(buf, spec, &spec->arg[i], t, OPAQUE(t->raw[i]), sleepable));
		t->unreadable |= (n >> 63) << i;
		n = OPAQUE((__s64)n < 0 ? 0 : n);
		t->out[i] = n;
		t->bytes = OPAQUE(t->bytes + ((WIRE_HIT_TEXT_LEN(n) + 7) & ~7U));
	}
}

/*
 * Copy one text to rec + off, a chunk a time: the verifier sees off and the length of a piece as independent of each
 * other, so a reservation has to have one chunk to spare behind the last offset that it lets through.
 */
__inline __u64 text__copy(void *rec, __u64 off, __u64 src, __u64 len, const __u32 class, const __u32 chunk)
{
	const __u32 most = class < CONFIG_TEXT_BYTES ? class : CONFIG_TEXT_BYTES;
	__u64 n;
	__u32 i;

	for (i = 0; i < (most + chunk - 1) / chunk; i++) {
		if (!len)
			break;
		n = len < chunk ? len : chunk;
		barrier_var(n);
		barrier_var(off);
		if (off > class - chunk || n > chunk)
			break;
		bpf_probe_read_user(rec + off, n, (void *)src); /* gone since it was measured: zeros */
		src += n;
		len -= n;
		off += n;
	}
	return (off + 7) & ~7ULL;
}

/* The head and values are made on the stack and copied over; texts follow behind the last value. */
__inline int text__send_class(struct emit *e, __u32 cookie, const struct wire_spec *spec, struct texts *t,
			      __u32 args, const __u32 class, const __u32 chunk)
{
	void *rec = emit__reserve(e, class);
	volatile __u32 *off;
	struct wire_hit *hit = rec;
	__u32 i;

	if (!rec)
		return WIRE_C_LOST_RING;
	emit__zero(rec, class);
	__builtin_memcpy(hit + 1, t->out, sizeof(t->out)); /* what is beyond args: zeros */
	/* Kept in the record meanwhile: there the verifier does not track it, and need not follow every sum. */
	off = &hit->text_bytes;
	*off = sizeof(*hit) + 8 * args;
	for (i = 0; i < WIRE_MAX_ARGS; i++) {
		if (i >= args)
			break;
		if (spec->arg[i].text)
			*off = text__copy(rec, *off, t->raw[i], WIRE_HIT_TEXT_LEN(t->out[i]), class, chunk);
	}
	hit__head(e, hit, cookie, args, t->bytes, t->unreadable);
	emit__submit(e, rec, class);
	return 0;
}

/* Each class costs the verifier some 30,000 steps. */
#define TEXT_CLASSES(X) X(256, 64) X(1024, 256) X(8192, 4096) X(57344, 4096)

__inline int texts__send(struct emit *e, __u32 cookie, const struct wire_spec *spec, struct texts *t, __u32 args)
{
	__u32 bytes = sizeof(struct wire_hit) + 8 * args + t->bytes;

#define X(class, chunk)             \
	if (bytes <= class - chunk) \
		return text__send_class(e, cookie, spec, t, args, class, chunk);
	TEXT_CLASSES(X)
#undef X
	return WIRE_C_LOST_SIZE;
}

__inline int on_texts(struct pt_regs *ctx, const bool sleepable)
{
	__u64 cookie = probe__cookie(ctx);
	__u32 idx = COOKIE_SPEC(cookie), args;
	struct wire_spec *spec;
	struct texts t;
	struct emit e;
	int result;
	__u32 i;

	if (!probe__init(&e, cookie))
		return 0;
	for (i = 0; i < WIRE_MAX_ARGS; i++)
		t.raw[i] = t.out[i] = OPAQUE(0);
	t.bytes = t.unreadable = OPAQUE(0);
	spec = bpf_map_lookup_elem(&specs, &idx);
	if (!spec || (args = spec->arg_cnt) > WIRE_MAX_ARGS)
		return 0;
	emit__count(&e, WIRE_C_EMITTED);
	args__fetch(ctx, spec, t.raw, &t.unreadable, sleepable);
	texts__plan(spec, &t, sleepable);
	result = texts__send(&e, COOKIE_NUMBER(cookie), spec, &t, args);
	if (result)
		emit__count(&e, result);
	return 0;
}

SEC("uprobe")
int usdt_scalars(struct pt_regs *ctx)
{
	return on_scalars(ctx, false, false);
}

SEC("uprobe.s")
int usdt_scalars_s(struct pt_regs *ctx)
{
	return on_scalars(ctx, true, false);
}

SEC("uprobe")
int usdt_staged(struct pt_regs *ctx)
{
	return on_scalars(ctx, false, true);
}

SEC("uprobe.s")
int usdt_staged_s(struct pt_regs *ctx)
{
	return on_scalars(ctx, true, true);
}

/* The recorder wants what CPU ctx[0] has staged in its ring. 0: it is there; 1: somebody has the stage. */
SEC("raw_tp")
int stage_move(__u64 *ctx)
{
	struct emit e;
	struct stage *s;

	if (!emit__init_state(&e))
		return 1;
	e.cpu = ctx[0];
	s = bpf_map_lookup_elem(&stages, &e.cpu);
	if (!s || !emit__ring(&e))
		return 0;
	if (!stage__take(s))
		return 1;
	if (s->used)
		stage__empty(&e, s);
	stage__give(s);
	return 0;
}

SEC("uprobe")
int usdt_texts(struct pt_regs *ctx)
{
	return on_texts(ctx, false);
}

SEC("uprobe.s")
int usdt_texts_s(struct pt_regs *ctx)
{
	return on_texts(ctx, true);
}
