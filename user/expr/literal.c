/* SPDX-License-Identifier: MIT */
#include "expr/literal.h"

#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static bool parse_int(const char *s, __int128 *out)
{
	bool negative = *s == '-';
	unsigned __int128 v = 0, most = (~(unsigned __int128)0) >> 1;
	int base = 10;

	s += *s == '-' || *s == '+';
	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		int digit = isdigit((u8)*s) ? *s - '0' : isxdigit((u8)*s) ? (*s | 0x20) - 'a' + 10 : base;

		if (digit >= base || v > (most - (unsigned)digit) / (unsigned)base)
			return false;
		v = v * (unsigned)base + (unsigned)digit;
	}
	*out = negative ? -(__int128)v : (__int128)v;
	return true;
}

/* strtod also takes hexadecimal, "inf" and "nan". Returns where the number ends; s: there is none. */
static const char *parse_float(const char *s, double *out)
{
	const char *digit = s + (*s == '-' || *s == '+');
	char *end;

	if (!isdigit((u8)*digit) && !(*digit == '.' && isdigit((u8)digit[1])))
		return s;
	if (digit[0] == '0' && (digit[1] | 0x20) == 'x')
		return s;
	*out = strtod(s, &end);
	return isfinite(*out) ? end : s;
}

bool literal__number(const char *text, size_t bytes, double *f)
{
	char tmp[64];
	const char *end;

	if (!bytes || bytes >= sizeof(tmp))
		return false;
	memcpy(tmp, text, bytes);
	tmp[bytes] = '\0';
	end = parse_float(tmp, f);
	return end == tmp + bytes;
}

static bool is_time_unit(const char *s)
{
	static const char *const units[] = {"ns", "us", "ms", "s", "m", "min", "h"};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(s, units[i]))
			return true;
	return false;
}

/* `m` is minutes, `M` is mebibytes: case tells times from sizes. */
static void parse_unit(struct literal *l, const char *unit)
{
	u64 v;

	if (is_time_unit(unit) && !units__ns(l->text, &v))
		l->unit = UNIT_TIME;
	else if (strchr("kKMGTB", *unit) && !units__bytes(l->text, &v))
		l->unit = UNIT_SIZE;
	else
		return;
	l->is_number = l->is_int = true;
	l->i = v;
	l->f = (double)v;
}

static void parse_number(struct literal *l)
{
	const char *end;

	if (parse_int(l->text, &l->i)) {
		l->is_number = l->is_int = true;
		l->f = (double)l->i;
		return;
	}
	end = parse_float(l->text, &l->f);
	if (end == l->text)
		return;
	if (*end)
		parse_unit(l, end);
	else
		l->is_number = true;
}

int literal__init(struct literal *l, const struct token *t)
{
	*l = (struct literal){.bytes = t->bytes, .boolean = -1};
	l->text = malloc(t->bytes + 1);
	if (!l->text)
		return -ENOMEM;
	memcpy(l->text, t->text, t->bytes);
	l->text[t->bytes] = '\0';
	l->quoted = t->kind == TOKEN_STRING;
	if (l->quoted)
		return 0;
	parse_number(l);
	if (token__is(t, "true") || token__is(t, "false"))
		l->boolean = token__is(t, "true");
	return 0;
}

void literal__done(struct literal *l)
{
	free(l->text);
}

int literal__level(const struct literal *l)
{
	static const struct {
		const char *name;
		int level;
	} known[] = {{"trace", WIRE_TRACE}, {"debug", WIRE_DEBUG}, {"info", WIRE_INFO},
		     {"warn", WIRE_WARN},   {"warning", WIRE_WARN}, {"error", WIRE_ERROR}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcasecmp(l->text, known[i].name))
			return known[i].level;
	return -1;
}
