/* SPDX-License-Identifier: MIT */
#include "cmd/input_opts.h"

#include "base/units.h"
#include "cmd/expr_opt.h"
#include "cmd/target_opts.h"
#include "expr/expr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_NS (86400 * (s64)NSEC_PER_SEC)

enum { KEY_FROM = 0x7f00, KEY_TO, KEY_LAST, KEY_FILTER, KEY_LEVEL, KEY_TARGET, KEY_NAME, KEY_FIELD };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Which part of the tapes:", 50 },
	{ "from", KEY_FROM, "TIME", 0, "begin there: 2026-11-26T18:34:00.5Z, 18:34:00, @UNIX, or +1.5s from the tape's beginning", 50 },
	{ "to", KEY_TO, "TIME", 0, "end there", 50 },
	{ "last", KEY_LAST, "TIME", 0, "only so much before the end (10s, 500ms)", 50 },
	{ "level", KEY_LEVEL, "LEVEL", 0, "only this level and what is more severe", 50 },
	{ "target", KEY_TARGET, "TARGET", 0, "only this target and those below it (TARGET::...)", 50 },
	{ "name", KEY_NAME, "NAME", 0, "only spans and events of this name", 50 },
	{ "field", KEY_FIELD, "FIELD[=VALUE]", 0, "only those that have this field, or this value in it", 50 },
	{ "filter", KEY_FILTER, "EXPR", 0, "only what this is true for; tapebpf-expr(7)", 50 },
	{ 0 },
};

/* --- times ------------------------------------------------------------------------------------------------- */

/* ".123456" behind the seconds, as ns; moves *s. */
static s64 fraction(const char **s)
{
	s64 ns = 0, unit = NSEC_PER_SEC / 10;

	if (**s != '.')
		return 0;
	for (++*s; **s >= '0' && **s <= '9'; ++*s, unit /= 10)
		ns += (**s - '0') * unit;
	return ns;
}

static int parse_clock(const char *s, s64 *ns)
{
	int hour, minute, second = 0, n = 0;

	if (sscanf(s, "%2d:%2d%n", &hour, &minute, &n) < 2 || !n)
		return -EINVAL;
	s += n;
	n = 0;
	if (*s == ':') {
		if (sscanf(s, ":%2d%n", &second, &n) < 1)
			return -EINVAL;
		s += n;
	}
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return -EINVAL;
	*ns = (hour * 3600 + minute * 60 + second) * (s64)NSEC_PER_SEC + fraction(&s);
	return *s && strcmp(s, "Z") ? -EINVAL : 0;
}

static int parse_date(const char *s, struct input_time *t)
{
	struct tm tm = {};
	int n = 0;
	s64 clock = 0;

	if (sscanf(s, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &n) < 3 || !n || tm.tm_year < 1700 ||
	    tm.tm_year > 2200 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	s += n;
	if (*s && ((*s != 'T' && *s != ' ') || parse_clock(s + 1, &clock)))
		return -EINVAL;
	*t = (struct input_time){ TIME_UNIX, (s64)timegm(&tm) * (s64)NSEC_PER_SEC + clock };
	return 0;
}

int input_time__parse(const char *text, struct input_time *t)
{
	char *end;
	u64 ns;
	s64 sec;
	const char *s;

	if (text[0] == '+') {
		if (units__ns(text + 1, &ns) || ns > INT64_MAX)
			return -EINVAL;
		*t = (struct input_time){ TIME_SINCE_START, (s64)ns };
		return 0;
	}
	if (text[0] == '@') {
		errno = 0;
		sec = strtoll(text + 1, &end, 10);
		s = end;
		if (errno || end == text + 1 || sec < 0 || sec > INT64_MAX / (s64)NSEC_PER_SEC - 1)
			return -EINVAL;
		*t = (struct input_time){ TIME_UNIX, sec * (s64)NSEC_PER_SEC + fraction(&s) };
		return *s ? -EINVAL : 0;
	}
	if (!parse_date(text, t))
		return 0;
	t->kind = TIME_OF_DAY;
	return parse_clock(text, &t->ns);
}

s64 input_time__unix_ns(const struct input_time *t, s64 base)
{
	s64 of_day = base % DAY_NS, sum;

	switch (t->kind) {
	case TIME_SINCE_START:
		return __builtin_add_overflow(base, t->ns, &sum) ? INT64_MAX : sum;
	case TIME_OF_DAY:
		of_day += of_day < 0 ? DAY_NS : 0;
		if (__builtin_add_overflow(base - of_day, t->ns, &sum))
			return INT64_MAX;
		/* a tape that goes on past midnight: the next day, if that time had gone by when it began */
		return sum < base - DAY_NS / 2 ? sum + DAY_NS : sum;
	default:
		return t->ns;
	}
}

/* --- filters ----------------------------------------------------------------------------------------------- */

/* One more condition; each is in parentheses. */
static void add_filter(struct input_opts *o, struct argp_state *state, const char *what, const char *text)
{
	struct expr_error err;
	struct expr *e = expr__new(text, strlen(text), &err);
	char *sum;

	if (!e && errno == EINVAL)
		expr_opt__error(state, what, err.text, text, err.column);
	if (!e)
		argp_failure(state, 1, 0, "no memory");
	expr__free(e);
	if (asprintf(&sum, "%s%s(%s)", o->filter ? o->filter : "", o->filter ? " and " : "", text) < 0)
		argp_failure(state, 1, 0, "no memory");
	free(o->filter);
	o->filter = sum;
}

/* A text as a string of the expression language. */
static char *quoted(const char *s)
{
	char *dst = malloc(strlen(s) * 4 + 3), *p = dst;

	if (!dst)
		return NULL;
	*p++ = '"';
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20)
			p += sprintf(p, "\\x%02x", (unsigned char)*s);
		else
			*p++ = *s;
	}
	*p++ = '"';
	*p = '\0';
	return dst;
}

static bool is_word(const char *s)
{
	return *s && !s[strcspn(s, " \t\n\"'()!<>=~&|?")];
}

/* fmt has %s for the text, as a string. */
static void add_made(struct input_opts *o, struct argp_state *state, const char *what, const char *fmt, const char *arg)
{
	__free_ptr char *q = quoted(arg);
	__free_ptr char *text = NULL;

	if (!q || asprintf(&text, fmt, q, q, q) < 0) {
		text = NULL;
		argp_failure(state, 1, 0, "no memory");
	}
	add_filter(o, state, what, text);
}

static void add_level(struct input_opts *o, struct argp_state *state, const char *arg)
{
	static const char *const levels[] = { "trace", "debug", "info", "warn", "error" };
	char text[32];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(levels); i++)
		if (!strcasecmp(arg, levels[i])) {
			snprintf(text, sizeof(text), "level>=%s", levels[i]);
			add_filter(o, state, "level", text);
			return;
		}
	argp_error(state, "--level %s: there are trace, debug, info, warn and error", arg);
}

/* A regular expression for "TARGET::...": what is no letter, digit or underscore stands for itself. */
static void add_target(struct input_opts *o, struct argp_state *state, const char *arg)
{
	char *re = malloc(strlen(arg) * 2 + 16), *p = re;

	if (!re)
		argp_failure(state, 1, 0, "no memory");
	p += sprintf(p, "^");
	for (; *arg; arg++) {
		if (strchr("\\^$.[]|()*+?{}", *arg))
			*p++ = '\\';
		*p++ = *arg;
	}
	strcpy(p, "(::.*)?$");
	add_made(o, state, "target", "target=~%s", re);
	free(re);
}

static void add_field(struct input_opts *o, struct argp_state *state, const char *arg)
{
	const char *value = strchr(arg, '=');
	__free_ptr char *name = strndup(arg, value ? (size_t)(value - arg) : strlen(arg));
	__free_ptr char *field = name ? quoted(name) : NULL;
	__free_ptr char *q = !value ? strdup("") : is_word(++value) ? strdup(value) : quoted(value);
	__free_ptr char *text = NULL;

	if (!field || !q || asprintf(&text, value ? "%s==%s" : "%s?%s", field, q) < 0) {
		text = NULL;
		argp_failure(state, 1, 0, "no memory");
	}
	add_filter(o, state, "field", text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct input_opts *o = state->input;

	switch (key) {
	case KEY_FROM:
	case KEY_TO:
		if (input_time__parse(arg, key == KEY_FROM ? &o->from : &o->to))
			argp_error(state, "%s: want a time such as 2026-11-26T18:34:00Z, 18:34:00, @1700000000 or +1.5s", arg);
		return 0;
	case KEY_LAST:
		o->last_ns = target_opts__time(state, "last", arg);
		return 0;
	case KEY_FILTER:
		add_filter(o, state, "filter", arg);
		return 0;
	case KEY_LEVEL:
		add_level(o, state, arg);
		return 0;
	case KEY_TARGET:
		add_target(o, state, arg);
		return 0;
	case KEY_NAME:
		add_made(o, state, "name", "name==%s", arg);
		return 0;
	case KEY_FIELD:
		add_field(o, state, arg);
		return 0;
	case ARGP_KEY_END:
		if (o->last_ns && (o->from.kind || o->to.kind))
			argp_error(state, "--last, or --from and --to");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

const struct argp input_argp = { options, parse, NULL, NULL, NULL, NULL, NULL };

void input_opts__done(struct input_opts *o)
{
	free(o->filter);
	o->filter = NULL;
}
