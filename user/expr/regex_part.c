/* SPDX-License-Identifier: MIT */
/*
 * regex_part.c - runs of ASCII characters that stand for themselves, outside of all groups. What is in doubt ends a run, as does what
 * may be there more than once; what may not be there at all is no part of one. Alternatives at the outermost level: there is none.
 */
#include "expr/regex_part.h"

#include "base/util.h"

#include <ctype.h>
#include <string.h>

struct runs {
	const char *at;
	char *text;   /* the end of all of them, one after the other */
	size_t bytes; /* of the last one */
	const char *best;
	size_t best_bytes;
};

static void end_run(struct runs *r)
{
	if (r->bytes > r->best_bytes) {
		r->best = r->text - r->bytes;
		r->best_bytes = r->bytes;
	}
	r->bytes = 0;
}

/* Behind the bracket expression that begins at s. */
static const char *skip_bracket(const char *s)
{
	s += s[1] == '^' ? 2 : 1;
	s += *s == ']';
	while (*s && *s != ']') {
		char kind = s[1];

		if (*s == '[' && (kind == '.' || kind == '=' || kind == ':')) {
			const char end[] = {kind, ']', 0};
			const char *found = strstr(s + 2, end);

			if (!found)
				return s + strlen(s);
			s = found + 1;
		}
		s++;
	}
	return s + (*s == ']');
}

/* Behind the group that begins at s. */
static const char *skip_group(const char *s)
{
	u32 depth = 0;

	while (*s) {
		if (*s == '[') {
			s = skip_bracket(s);
			continue;
		}
		if (*s == '\\' && s[1])
			s++;
		else if (*s == '(')
			depth++;
		else if (*s == ')' && !--depth)
			return s + 1;
		s++;
	}
	return s;
}

/* How often may what stands before s be there? Moves s behind that. true: perhaps not at all. */
static bool skip_repeats(const char **s)
{
	bool maybe_none = false;

	for (; **s == '*' || **s == '?' || **s == '+' || **s == '{'; ++*s) {
		maybe_none |= **s != '+';
		if (**s != '{')
			continue;
		*s += strcspn(*s, "}");
		if (!**s)
			break;
	}
	return maybe_none;
}

/* A character that stands for itself. */
static void add(struct runs *r, char c)
{
	const char *behind = r->at;
	bool maybe_none = skip_repeats(&behind);

	if (!maybe_none) {
		*r->text++ = c;
		r->bytes++;
	}
	if (behind != r->at)
		end_run(r);
	r->at = behind;
}

/* The next thing of the expression. false: there may be none of what was found. */
static bool step(struct runs *r)
{
	char c = *r->at;

	if (c == '|')
		return false;
	if (c == '[' || c == '(') {
		end_run(r);
		r->at = c == '[' ? skip_bracket(r->at) : skip_group(r->at);
	} else if (c == '\\' && r->at[1] && ispunct((unsigned char)r->at[1]) && !strchr("<>`'", r->at[1])) {
		r->at += 2;
		add(r, r->at[-1]);
	} else if (c == '\\' && r->at[1]) {
		end_run(r);
		r->at += 2;
	} else if (strchr("*+?{", c)) { /* of what is no such character */
		skip_repeats(&r->at);
	} else if (c & 0x80 || strchr(".^$})", c)) {
		end_run(r);
		r->at++;
	} else {
		r->at++;
		add(r, c);
	}
	return true;
}

size_t regex_part__find(const char *regex, char *out)
{
	struct runs r = {.at = regex, .text = out};

	while (*r.at)
		if (!step(&r))
			return 0;
	end_run(&r);
	if (r.best_bytes)
		memmove(out, r.best, r.best_bytes);
	return r.best_bytes;
}
