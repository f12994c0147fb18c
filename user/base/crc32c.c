/* SPDX-License-Identifier: MIT */
/*
 * crc32c.c - see crc32c.h. The polynomial is 0x1EDC6F41, reflected 0x82F63B78 (RFC 3720, appendix B.4 has the
 * test vectors). x86-64 has an instruction since SSE4.2, arm64 as an optional extension; else a table.
 */
#include "base/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u

u32 crc32c__portable(u32 crc, const void *data, size_t bytes)
{
	static u32 table[256];
	const u8 *p = data;
	u32 i, bit, c;

	if (!table[1]) {
		/* downwards: entry 1 says that the table is there. Whoever comes in between computes the same values */
		for (i = 256; i-- > 0;) {
			for (c = i, bit = 0; bit < 8; bit++)
				c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
			table[i] = c;
		}
	}
	crc = ~crc;
	while (bytes--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

/*
 * The instruction gives a result each cycle, but each takes three: three pieces side by side keep it busy. What was
 * computed of the first two then has to be moved over the bytes behind them: by a table of what LANE zero bytes make of
 * each byte of a CRC, as it is linear.
 */
#define LANE 1024

static u32 shift_table[4][256];

static void make_shift_table(void)
{
	static const u8 zero[LANE];
	u32 bit[32], i, k;

	for (i = 0; i < 32; i++) /* without the inversions at both ends */
		bit[i] = ~crc32c__portable(~(1u << i), zero, LANE);
	for (k = 4; k-- > 0;)
		for (i = 256; i-- > 0;) {
			u32 c = 0, b;

			for (b = 0; b < 8; b++)
				c ^= i >> b & 1 ? bit[8 * k + b] : 0;
			shift_table[k][i] = c;
		}
}

static u32 shift(u32 c)
{
	return shift_table[0][c & 0xff] ^ shift_table[1][c >> 8 & 0xff] ^ shift_table[2][c >> 16 & 0xff] ^
	       shift_table[3][c >> 24];
}

__attribute__((target("sse4.2"))) static u64 three_lanes(u64 a, const u8 *p)
{
	u64 b = 0, c = 0, w[3];
	u32 i;

	for (i = 0; i < LANE; i += 8) {
		memcpy(&w[0], p + i, 8);
		memcpy(&w[1], p + LANE + i, 8);
		memcpy(&w[2], p + 2 * LANE + i, 8);
		a = _mm_crc32_u64(a, w[0]);
		b = _mm_crc32_u64(b, w[1]);
		c = _mm_crc32_u64(c, w[2]);
	}
	return shift(shift((u32)a) ^ (u32)b) ^ (u32)c;
}

__attribute__((target("sse4.2"))) static u32 by_instruction(u32 crc, const void *data, size_t bytes)
{
	const u8 *p = data;
	u64 c = (u32)~crc, word;

	if (bytes >= 3 * LANE && !shift_table[0][1])
		make_shift_table();
	for (; bytes >= 3 * LANE; p += 3 * LANE, bytes -= 3 * LANE)
		c = three_lanes(c, p);
	for (; bytes >= 8; p += 8, bytes -= 8) {
		memcpy(&word, p, 8);
		c = _mm_crc32_u64(c, word);
	}
	while (bytes--)
		c = _mm_crc32_u8((u32)c, *p++);
	return ~(u32)c;
}

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

/*
 * Even so eight bytes a cycle are all that the instruction does. What 64 bytes are in front of others is folded into those by carry-less
 * multiplication, two for each 64 bytes, four such registers side by side. A lane's halves (first bytes: highest powers) times
 * x^(distance + 63) and x^(distance - 1), each modulo the polynomial, are congruent to the lane that many bits further on: one less than the
 * distance, as the product of two reflected factors lies a bit too far. The pairs below are those powers, in the upper half of their
 * words; the test finds each wrong bit.
 */
#include <immintrin.h>

#define VECTOR_TARGET __attribute__((target("avx512f,vpclmulqdq,pclmul,sse4.2")))
#define VECTOR_BYTES 256
#define FOLD_2048 0x1426a81500000000LL, 0xe9a5d8be00000000LL
#define FOLD_512 0x75bba45b00000000LL, 0x1c19243b00000000LL
#define FOLD_128 0x3171d43000000000LL, 0x3743f7bd00000000LL

VECTOR_TARGET static inline __m512i fold(__m512i x, __m512i by, __m512i onto)
{
	__m512i first = _mm512_clmulepi64_epi128(x, by, 0x00), second = _mm512_clmulepi64_epi128(x, by, 0x11);

	return _mm512_ternarylogic_epi64(first, second, onto, 0x96); /* exclusive or of the three */
}

VECTOR_TARGET static inline __m512i load(const u8 *p)
{
	return _mm512_loadu_si512(p);
}

/* The lanes of x into the last one, and that into a CRC. */
VECTOR_TARGET static u32 reduce(__m512i x)
{
	const __m128i by = _mm_set_epi64x(FOLD_128);
	u64 lane[8], c = 0;
	__m128i sum;

	_mm512_storeu_si512(lane, x);
	sum = _mm_loadu_si128((const void *)lane);
	for (u32 i = 2; i < 8; i += 2) {
		__m128i next = _mm_loadu_si128((const void *)(lane + i));

		next = _mm_xor_si128(next, _mm_clmulepi64_si128(sum, by, 0x00));
		sum = _mm_xor_si128(next, _mm_clmulepi64_si128(sum, by, 0x11));
	}
	_mm_storeu_si128((void *)lane, sum);
	c = _mm_crc32_u64(c, lane[0]);
	return (u32)_mm_crc32_u64(c, lane[1]);
}

VECTOR_TARGET static u32 by_vector(u32 crc, const void *data, size_t bytes)
{
	const __m512i far = _mm512_broadcast_i32x4(_mm_set_epi64x(FOLD_2048)), near = _mm512_broadcast_i32x4(_mm_set_epi64x(FOLD_512));
	const u8 *p = data;
	__m512i a, b, c, d;

	if (bytes < VECTOR_BYTES)
		return by_instruction(crc, data, bytes);
	a = _mm512_xor_si512(load(p), _mm512_inserti32x4(_mm512_setzero_si512(), _mm_cvtsi32_si128((int)~crc), 0));
	b = load(p + 64);
	c = load(p + 128);
	d = load(p + 192);
	for (p += VECTOR_BYTES, bytes -= VECTOR_BYTES; bytes >= VECTOR_BYTES; p += VECTOR_BYTES, bytes -= VECTOR_BYTES) {
		a = fold(a, far, load(p));
		b = fold(b, far, load(p + 64));
		c = fold(c, far, load(p + 128));
		d = fold(d, far, load(p + 192));
	}
	d = fold(fold(fold(a, near, b), near, c), near, d);
	for (; bytes >= 64; p += 64, bytes -= 64)
		d = fold(d, near, load(p));
	return by_instruction(~reduce(d), p, bytes);
}

static bool has_vector(void)
{
	return has_instruction() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq") &&
	       __builtin_cpu_supports("pclmul");
}

#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

/* In assembler: compilers disagree on how a single function asks for the extension. */
static u32 by_instruction(u32 crc, const void *data, size_t bytes)
{
	const u8 *p = data;
	u64 word;
	u32 c = ~crc;

	for (; bytes >= 8; p += 8, bytes -= 8) {
		memcpy(&word, p, 8);
		__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(c) : "r"(word));
	}
	while (bytes--)
		__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(c) : "r"(*p++));
	return ~c;
}

static bool has_instruction(void)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32;
}

#else
#define by_instruction crc32c__portable

static bool has_instruction(void)
{
	return false;
}
#endif

#ifndef VECTOR_BYTES
#define by_vector by_instruction

static bool has_vector(void)
{
	return false;
}
#endif

crc32c_fn crc32c__way(u32 way)
{
	switch (way) {
	case 0:
		return crc32c__portable;
	case 1:
		return has_instruction() ? by_instruction : NULL;
	case 2:
		return has_vector() ? by_vector : NULL;
	}
	return NULL;
}

u32 crc32c(u32 crc, const void *data, size_t bytes)
{
	if (has_vector())
		return by_vector(crc, data, bytes);
	return has_instruction() ? by_instruction(crc, data, bytes) : crc32c__portable(crc, data, bytes);
}
