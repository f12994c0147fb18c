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

__attribute__((target("sse4.2"))) static u32 by_instruction(u32 crc, const void *data, size_t bytes)
{
	const u8 *p = data;
	u64 c = (u32)~crc, word;

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
