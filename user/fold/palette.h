/* SPDX-License-Identifier: MIT */
/* palette.h - colours of frames: by name, the same in every picture; each for a light and a dark page. */
#ifndef TAPEBPF_PALETTE_H
#define TAPEBPF_PALETTE_H

#include <stdio.h>

#include "base/util.h"

#define PALETTE_SHADES 32
#define PALETTE_STEPS 8 /* of a difference, each way */

/* Is there a palette of that name? NULL, or a list of all names for an error message. */
const char *palette__check(const char *name);
/* 0 .. PALETTE_SHADES - 1 */
u32 palette__shade(const char *text, size_t bytes);
/* The rules ".c0" ... for the light page or the dark one. */
void palette__css(FILE *f, const char *name, bool dark);
/* Those of a difference: ".d0" (shrunk most) ... ".d16" (grown most). */
void palette__css_diff(FILE *f, bool negate, bool dark);

#endif
