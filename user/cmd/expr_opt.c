/* SPDX-License-Identifier: MIT */
#include "cmd/expr_opt.h"

#include "base/text.h"

#include <stdio.h>

void expr_opt__error(struct argp_state *state, const char *option, const char *why, const char *text, u32 column)
{
	char *place = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&place, &bytes);

	if (f) {
		text__point(f, text, column);
		fclose(f);
	}
	while (bytes && place[bytes - 1] == '\n')
		place[--bytes] = '\0';
	argp_error(state, "--%s: %s\n%s", option, why, place ? place : text);
	free(place);
}
