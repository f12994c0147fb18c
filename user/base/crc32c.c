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

u32 crc32c(u32 crc, const void *data, size_t bytes)
{
	return has_instruction() ? by_instruction(crc, data, bytes) : crc32c__portable(crc, data, bytes);
}
