/* SPDX-License-Identifier: MIT */
#include "fold/palette.h"

#include <math.h>
#include <string.h>

static const struct palette {
	const char *name;
	double hue_from, hue_to, chroma;
} palettes[] = {
	{ "hot", -6, 52, 0.8 },     { "mem", 95, 165, 0.55 },	 { "io", 190, 240, 0.65 }, { "wakeup", 170, 215, 0.6 },
	{ "red", -12, 12, 0.8 },     { "orange", 22, 38, 0.9 },	 { "yellow", 44, 60, 0.85 }, { "green", 90, 135, 0.5 },
	{ "aqua", 165, 185, 0.55 },  { "blue", 205, 235, 0.7 },	 { "purple", 262, 300, 0.55 }, { "mono", 0, 0, 0 },
	{ "rainbow", 0, 345, 0.62 },
};

const char *palette__check(const char *name)
{
	static char all[160];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(palettes); i++)
		if (!strcmp(palettes[i].name, name))
			return NULL;
	all[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(palettes); i++) {
		strcat(all, i ? ", " : "");
		strcat(all, palettes[i].name);
	}
	return all;
}

u32 palette__shade(const char *text, size_t bytes)
{
	u32 h = 2166136261u; /* FNV-1a: pictures of any machine have to agree */

	while (bytes--)
		h = (h ^ (u8)*text++) * 16777619u;
	h ^= h >> 15;
	return h * 0x2c1b3c6du >> 27;
}

static u32 rgb(double hue, double saturation, double lightness)
{
	double c = (1 - fabs(2 * lightness - 1)) * saturation, h = fmod(hue + 720, 360) / 60;
	double x = c * (1 - fabs(fmod(h, 2) - 1)), m = lightness - c / 2, r = 0, g = 0, b = 0;

	switch ((int)h) {
	case 0: r = c; g = x; break;
	case 1: r = x; g = c; break;
	case 2: g = c; b = x; break;
	case 3: g = x; b = c; break;
	case 4: r = x; b = c; break;
	default: r = c; b = x; break;
	}
	return (u32)lround((r + m) * 255) << 16 | (u32)lround((g + m) * 255) << 8 | (u32)lround((b + m) * 255);
}

void palette__css(FILE *f, const char *name, bool dark)
{
	const struct palette *p = palettes;
	double at, lift;
	u32 i;

	while (strcmp(p->name, name))
		p++;
	for (i = 0; i < PALETTE_SHADES; i++) {
		at = (double)(i * 7 % PALETTE_SHADES) / (PALETTE_SHADES - 1);
		lift = (double)(i % 5) / 4;
		fprintf(f, ".tb .c%u{fill:#%06x}", i,
			rgb(p->hue_from + (p->hue_to - p->hue_from) * at, dark ? p->chroma * 0.62 : p->chroma,
			    dark ? 0.29 + 0.09 * lift : 0.70 + 0.09 * lift));
	}
	fputc('\n', f);
}

void palette__css_diff(FILE *f, bool negate, bool dark)
{
	int i, grown;
	double much;

	for (i = 0; i <= 2 * PALETTE_STEPS; i++) {
		grown = negate ? PALETTE_STEPS - i : i - PALETTE_STEPS;
		much = (double)abs(grown) / PALETTE_STEPS;
		fprintf(f, ".tb .d%d{fill:#%06x}", i,
			rgb(grown > 0 ? 6 : 214, grown ? 0.25 + 0.6 * much : 0,
			    dark ? 0.30 + 0.08 * much : 0.92 - 0.28 * much));
	}
	fputc('\n', f);
}
