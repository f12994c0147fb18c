/* SPDX-License-Identifier: MIT */
/* codes.h - loss causes (codes.def). */
#ifndef TAPEBPF_CODES_H
#define TAPEBPF_CODES_H

enum loss_cause {
#define LOSS(number, name, label, text) LOSS_##name = number,
#include "base/codes.def"
#undef LOSS
	LOSS_MAX
};

/* "ring_full", ...; "unknown" for numbers that are not in the list. */
const char *loss_cause__label(int cause);
const char *loss_cause__text(int cause);

#endif
