/* SPDX-License-Identifier: MIT */
#include "fold/folded.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_frames(FILE *f, const struct folded_form *form, const struct stacks *s, u32 node)
{
	u32 path[STACKS_MAX_DEPTH + 1], depth = 0, bytes;
	const char *text;

	for (; node; node = stacks__node(s, node)->parent)
		path[depth++] = node;
	while (depth--) {
		text = stacks__text(s, stacks__node(s, path[depth])->frame, &bytes);
		if (form->harmless)
			text__print(f, text, bytes);
		else
			fwrite_unlocked(text, 1, bytes, f);
		if (depth)
			fputs_unlocked(form->separator, f);
	}
}

void folded__line(FILE *f, const struct folded_form *form, const struct stacks *s, u32 node, u64 value)
{
	put_frames(f, form, s, node);
	fprintf(f, " %" PRIu64 "\n", value);
}

void folded__write(FILE *f, const struct folded_form *form, const struct stacks *s)
{
	const struct stacks_node *n;
	u32 i;

	for (i = stacks__next(s, STACKS_ROOT); i; i = stacks__next(s, i)) {
		n = stacks__node(s, i);
		if (!n->hits || (!form->zeros && !n->self[0] && !(form->sides && n->self[1])))
			continue;
		if (form->sides) {
			put_frames(f, form, s, i);
			fprintf(f, " %" PRIu64, form->scale > 0 ? (u64)llround((double)n->self[0] * form->scale) : n->self[0]);
			fprintf(f, " %" PRIu64 "\n", n->self[1]);
		} else {
			folded__line(f, form, s, i, n->self[0]);
		}
	}
}
