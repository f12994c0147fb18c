/* SPDX-License-Identifier: MIT */
#include "base/codes.h"

static const struct {
	const char *label, *text;
} causes[] = {
#define LOSS(number, name, label, text) [number] = { label, text },
#include "base/codes.def"
#undef LOSS
};

const char *loss_cause__label(int cause)
{
	return cause >= 0 && cause < LOSS_MAX ? causes[cause].label : causes[LOSS_UNKNOWN].label;
}

const char *loss_cause__text(int cause)
{
	return cause >= 0 && cause < LOSS_MAX ? causes[cause].text : causes[LOSS_UNKNOWN].text;
}
