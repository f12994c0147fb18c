/* SPDX-License-Identifier: MIT */
#include "cmd/ask.h"

#include "session/control.h"

enum { KEY_NAME = 0x2000, KEY_SOCKET };

static const struct argp_option options[] = {
	{ "name", KEY_NAME, "NAME", 0, "of the recorder (default)", 0 },
	{ "socket", KEY_SOCKET, "PATH", 0, "where it listens, instead of its name", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ask_opts *o = state->input;

	if (key == KEY_NAME)
		o->name = arg;
	else if (key == KEY_SOCKET)
		o->socket = arg;
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

const struct argp ask_argp = { options, parse, NULL, NULL, NULL, NULL, NULL };

int ask__connect(const struct ask_opts *o, struct diag *d)
{
	char path[256];
	int err = o->socket ? 0 : control__path(o->name, path, sizeof(path), d);

	return err ? err : control__connect(o->socket ? o->socket : path, d);
}

u64 ask__number(const char *answer, const char *key)
{
	char value[32];

	return control__get(answer, key, value, sizeof(value)) ? strtoull(value, NULL, 10) : 0;
}
