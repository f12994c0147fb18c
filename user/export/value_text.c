/* SPDX-License-Identifier: MIT */
#include "export/value_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* --- scalars --------------------------------------------------------------------------------------------------- */

static size_t u64_text(char *dst, u64 v)
{
	char tmp[20];
	size_t n = 0, i;

	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	for (i = 0; i < n; i++)
		dst[i] = tmp[n - 1 - i];
	dst[n] = '\0';
	return n;
}

/* The shortest decimal that reads back as the same number. */
static size_t f64_text(char *dst, double v)
{
	int digits, n = 0;

	if (!isfinite(v))
		return snprintf(dst, VALUE_SCALAR_MAX, "%s", isnan(v) ? "NaN" : v > 0 ? "inf" : "-inf");
	for (digits = 1; digits < 18; digits++) {
		n = snprintf(dst, VALUE_SCALAR_MAX, "%.*g", digits, v);
		if (strtod(dst, NULL) == v)
			break;
	}
	if (!strpbrk(dst, ".e"))
		n += snprintf(dst + n, VALUE_SCALAR_MAX - n, ".0");
	return n;
}

static size_t u128_text(char *dst, u64 low, u64 high, bool is_signed)
{
	unsigned __int128 v = (unsigned __int128)high << 64 | low;
	char tmp[41];
	int i = sizeof(tmp) - 1;
	bool minus = is_signed && high >> 63;

	tmp[i] = '\0';
	if (minus)
		v = -v;
	do {
		tmp[--i] = (char)('0' + (int)(v % 10));
		v /= 10;
	} while (v);
	return snprintf(dst, VALUE_SCALAR_MAX, "%s%s", minus ? "-" : "", tmp + i);
}

size_t value__scalar(char dst[VALUE_SCALAR_MAX], const struct value *v)
{
	switch (v->type) {
	case WIRE_T_BOOL:
		return snprintf(dst, VALUE_SCALAR_MAX, "%s", v->u ? "true" : "false");
	case WIRE_T_I32:
	case WIRE_T_I64:
		if (v->i < 0) {
			dst[0] = '-';
			return 1 + u64_text(dst + 1, -(u64)v->i);
		}
		return u64_text(dst, v->u);
	case WIRE_T_U32:
	case WIRE_T_U64:
		return u64_text(dst, v->u);
	case WIRE_T_PTR:
		return snprintf(dst, VALUE_SCALAR_MAX, "0x%" PRIx64, v->u);
	case WIRE_T_I128:
	case WIRE_T_U128:
		return u128_text(dst, v->wide[0], v->wide[1], v->type == WIRE_T_I128);
	case WIRE_T_F64:
		return f64_text(dst, v->f);
	default:
		return snprintf(dst, VALUE_SCALAR_MAX, "(none)");
	}
}

/* --- buffers --------------------------------------------------------------------------------------------------- */

/* Bytes at the start of s that stand for themselves. */
static size_t plain_run(const char *s, size_t bytes, bool quoted)
{
	size_t n = 0;

	while (n < bytes && s[n] >= 0x20 && s[n] < 0x7f && !(quoted && (s[n] == '"' || s[n] == '\\')))
		n++;
	return n;
}

static void put_plain(struct text_buf *b, const char *s, size_t bytes)
{
	size_t left = b->end - b->at;

	if (b->cut)
		return;
	b->cut = bytes > left;
	bytes = MIN(bytes, left);
	memcpy(b->at, s, bytes);
	b->at += bytes;
}

/* One character, or a broken one, spelled harmlessly. Returns the bytes of s it takes. */
static size_t put_odd(struct text_buf *b, const char *s, size_t bytes)
{
	char tmp[32];
	size_t n = 1;

	/* a character's bytes end where the next one could begin */
	while (n < bytes && n < 4 && ((u8)s[n] & 0xc0) == 0x80)
		n++;
	if ((u8)s[0] < 0x80)
		n = 1;
	text__clean(tmp, sizeof(tmp), s, n);
	if (strlen(tmp) > (size_t)(b->end - b->at))
		b->cut = true;
	else
		put_plain(b, tmp, strlen(tmp));
	return n;
}

static void put_text(struct text_buf *b, const char *s, size_t bytes, bool quoted)
{
	size_t n;

	while (bytes && !b->cut) {
		n = plain_run(s, bytes, quoted);
		if (n) {
			put_plain(b, s, n);
		} else if (quoted && (*s == '"' || *s == '\\')) {
			put_plain(b, *s == '"' ? "\\\"" : "\\\\", 2);
			n = 1;
		} else {
			n = put_odd(b, s, bytes);
		}
		s += n;
		bytes -= n;
	}
}

void text_buf__put(struct text_buf *b, const char *s, size_t bytes)
{
	put_text(b, s, bytes, false);
}

void text_buf__puts(struct text_buf *b, const char *s)
{
	put_text(b, s, strlen(s), false);
}

void text_buf__u64(struct text_buf *b, u64 v)
{
	char tmp[24];

	put_plain(b, tmp, u64_text(tmp, v));
}

static void put_bytes(struct text_buf *b, const struct value *v)
{
	char tmp[4];
	u32 i;

	put_plain(b, "[", 1);
	for (i = 0; i < v->text_bytes && !b->cut; i++) {
		snprintf(tmp, sizeof(tmp), "%02x ", (u8)v->text[i]);
		put_plain(b, tmp, i + 1 < v->text_bytes ? 3 : 2);
	}
	put_plain(b, "]", 1);
}

static void put_truncation(struct text_buf *b, const struct value *v)
{
	if (!(v->flags & VALUE_TRUNCATED))
		return;
	if (v->orig_bytes <= v->text_bytes) {
		text_buf__puts(b, "...(truncated)");
		return;
	}
	text_buf__puts(b, "...(");
	text_buf__u64(b, v->orig_bytes - v->text_bytes);
	text_buf__puts(b, " bytes more)");
}

void text_buf__value(struct text_buf *b, const struct value *v, bool quoted)
{
	char tmp[VALUE_SCALAR_MAX];

	if (v->flags & VALUE_UNREADABLE) {
		text_buf__puts(b, "(unreadable)");
		return;
	}
	switch (v->type) {
	case WIRE_T_BYTES:
		put_bytes(b, v);
		break;
	case WIRE_T_STR:
		if (quoted) {
			put_plain(b, "\"", 1);
			put_text(b, v->text, v->text_bytes, true);
			put_plain(b, "\"", 1);
			break;
		}
		/* fall through */
	case WIRE_T_ERROR:
		put_text(b, v->text, v->text_bytes, false);
		break;
	default:
		put_plain(b, tmp, value__scalar(tmp, v));
		return;
	}
	put_truncation(b, v);
}

static bool is_message(const struct callsite *c, const struct value *v)
{
	const char *name = v->field < c->field_cnt ? c->field[v->field].name : "";

	/* asked for every value: seldom does the first letter agree */
	return name[0] == 'm' && strcmp(name, "message") == 0;
}

void text_buf__fields(struct text_buf *b, const struct callsite *c, const struct value *v, u32 cnt)
{
	bool first = true;
	u32 i;

	for (i = 0; i < cnt && !b->cut; i++) {
		if (!is_message(c, &v[i]))
			continue;
		text_buf__value(b, &v[i], false);
		first = false;
	}
	/* without words its name says what happened; names of `tracing` only repeat file and line */
	if (first && !c->is_span && strncmp(c->name, "event ", 6) != 0) {
		text_buf__puts(b, c->name);
		first = false;
	}
	for (i = 0; i < cnt && !b->cut; i++) {
		if (v[i].field >= c->field_cnt || is_message(c, &v[i]))
			continue;
		if (!first)
			put_plain(b, " ", 1);
		first = false;
		text_buf__puts(b, c->field[v[i].field].name);
		put_plain(b, "=", 1);
		text_buf__value(b, &v[i], true);
	}
}
