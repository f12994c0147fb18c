/* SPDX-License-Identifier: MIT */
#include "fold/amount.h"

#include <inttypes.h>
#include <stdio.h>

static void show_count(char *dst, size_t dst_bytes, u64 value, const char *word)
{
	char digits[24], grouped[32];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, value), i, k = 0;

	for (i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			grouped[k++] = ',';
		grouped[k++] = digits[i];
	}
	grouped[k] = '\0';
	snprintf(dst, dst_bytes, "%s%s%s", grouped, *word ? " " : "", word);
}

char *amount__show(char *dst, size_t dst_bytes, u64 value, enum amount_unit unit, const char *word)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = { { 3600e9, "h" }, { 60e9, "min" }, { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 1, "ns" } };
	double ns = unit == AMOUNT_US ? (double)value * 1e3 : (double)value;
	size_t i = 0;

	if (unit == AMOUNT_COUNT) {
		show_count(dst, dst_bytes, value, word);
		return dst;
	}
	/* 100 s and 2 min, not 0.03 h */
	while (i + 1 < ARRAY_SIZE(units) && ns < units[i].ns * (i < 2 ? 2 : 1))
		i++;
	ns /= units[i].ns;
	if (units[i].ns == 1)
		snprintf(dst, dst_bytes, "%.0f ns", ns);
	else
		snprintf(dst, dst_bytes, "%.*f %s", ns < 10 ? 2 : ns < 100 ? 1 : 0, ns, units[i].name);
	return dst;
}
