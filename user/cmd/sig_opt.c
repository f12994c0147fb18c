/* SPDX-License-Identifier: MIT */
#include "cmd/sig_opt.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

void sig_opt__add(struct argp_state *state, struct sig_set *sigs, const char *arg)
{
	char text[2 * sizeof(((struct diag *)0)->text)];
	struct diag d = { 0 };

	if (!sig_set__add(sigs, arg, &d))
		return;
	text__clean(text, sizeof(text), d.text, strlen(d.text)); /* it quotes a file that may come from anywhere */
	argp_error(state, "--sig: %s%s%s", text, d.hint[0] ? "; " : "", d.hint);
}

static void warn(void *ctx, const char *text)
{
	fputs("tapebpf: warning: ", stderr);
	text__print(stderr, text, strlen(text));
	fputc('\n', stderr);
}

void sig_opt__tell(const struct sig_check *c)
{
	sig_check__tell(c, true, warn, NULL);
}
