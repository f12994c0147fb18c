/* SPDX-License-Identifier: MIT */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit byte_units[] = {
	{ "", 1 }, { "b", 1 },
	{ "k", 1024.0 }, { "kb", 1024.0 }, { "kib", 1024.0 },
	{ "m", 1048576.0 }, { "mb", 1048576.0 }, { "mib", 1048576.0 },
	{ "g", 1073741824.0 }, { "gb", 1073741824.0 }, { "gib", 1073741824.0 },
	{ "t", 1099511627776.0 }, { "tb", 1099511627776.0 }, { "tib", 1099511627776.0 },
};

static const struct unit time_units[] = {
	{ "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 },
	{ "ns", 1 }, { "m", 60e9 }, { "min", 60e9 }, { "h", 3600e9 },
};

static int parse(const char *text, const struct unit *unit, size_t unit_cnt, u64 *out)
{
	char *end;
	double v;

	/* strtod also takes signs, hexadecimal, "inf" and "nan" */
	if (!isdigit((unsigned char)text[0]) && text[0] != '.')
		return -EINVAL;
	v = strtod(text, &end);
	if (end == text || !isfinite(v) || memchr(text, 'x', (size_t)(end - text)) ||
	    memchr(text, 'X', (size_t)(end - text)))
		return -EINVAL;
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < unit_cnt; i++) {
		if (strcasecmp(end, unit[i].name))
			continue;
		v *= unit[i].factor;
		if (v >= 9.2e18)
			return -ERANGE;
		*out = (u64)v;
		return 0;
	}
	return -EINVAL;
}

int units__bytes(const char *text, u64 *bytes)
{
	return parse(text, byte_units, ARRAY_SIZE(byte_units), bytes);
}

int units__ns(const char *text, u64 *ns)
{
	return parse(text, time_units, ARRAY_SIZE(time_units), ns);
}

char *units__show_bytes(char *dst, size_t dst_bytes, u64 bytes)
{
	static const char *const name[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1024 && i + 1 < ARRAY_SIZE(name)) {
		v /= 1024;
		i++;
	}
	snprintf(dst, dst_bytes, i ? "%.1f %s" : "%.0f %s", v, name[i]);
	return dst;
}

char *units__show_count(char *dst, size_t dst_bytes, double count)
{
	static const char *const name[] = { "", "k", "M", "G", "T" };
	size_t i = 0;

	while (count >= 10000 && i + 1 < ARRAY_SIZE(name)) {
		count /= 1000;
		i++;
	}
	snprintf(dst, dst_bytes, i ? "%.1f%s" : "%.0f%s", count, name[i]);
	return dst;
}
