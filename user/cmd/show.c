/* SPDX-License-Identifier: MIT */
/* show.c - times, levels, values: how the views of `dump` print them. */
#include "cmd/show.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "export/value_text.h"

void show__style(const struct show *s, int style)
{
	static const char *const codes[] = {
		[STYLE_NONE] = "0",	  [STYLE_DIM] = "2",	    [STYLE_BOLD] = "1",
		[STYLE_FIELD] = "3",	  [STYLE_LEVEL + 0] = "35", [STYLE_LEVEL + 1] = "34",
		[STYLE_LEVEL + 2] = "32", [STYLE_LEVEL + 3] = "33", [STYLE_LEVEL + 4] = "31",
	};

	if (s->color && (u32)style < ARRAY_SIZE(codes))
		fprintf(s->out, "\x1b[%sm", codes[style]);
}

/* Days since 1970 to a date of the proleptic Gregorian calendar; gmtime would cost more than the rest of a line. */
static void civil(s64 days, int *year, int *month, int *day)
{
	s64 z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	u32 doe = z - era * 146097;
	u32 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	u32 doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = yoe + era * 400 + (*month <= 2);
}

/* The second that a time lies in, and what is left of it. */
static s64 second_of(s64 unix_ns, u32 *ns)
{
	s64 sec = unix_ns / (s64)NSEC_PER_SEC, rest = unix_ns % (s64)NSEC_PER_SEC;

	if (rest < 0) {
		rest += NSEC_PER_SEC;
		sec--;
	}
	*ns = (u32)rest;
	return sec;
}

/* "2023-11-14T22:13:20." */
static u32 spell_second(char dst[32], s64 sec)
{
	int year, month, day, rest = (int)(sec % 86400);
	s64 days = sec / 86400;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	civil(days, &year, &month, &day);
	return (u32)snprintf(dst, 32, "%04d-%02d-%02dT%02d:%02d:%02d.", year, month, day, rest / 3600, rest / 60 % 60, rest % 60);
}

void stamp__spell(struct stamp *s, s64 unix_ns)
{
	u32 ns;
	s64 sec = second_of(unix_ns, &ns);

	s->bytes = spell_second(s->text, sec);
	s->from_ns = (s64)((u64)unix_ns - ns);
	s->known = true;
}

void show__time(FILE *f, s64 unix_ns, int digits)
{
	char second[32];
	u32 ns;

	spell_second(second, second_of(unix_ns, &ns));
	fprintf(f, "%s%0*uZ", second, digits, digits == 9 ? ns : ns / 1000);
}

const char *show__level(u8 level)
{
	static const char *const names[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR" };

	return level < ARRAY_SIZE(names) ? names[level] : "?";
}

/* Three digits, of the unit in which that is less than a thousand once it is rounded; of seconds as many as there are. */
void show__duration(FILE *f, u64 ns)
{
	static const struct {
		double ns;
		const char *name;
	} units[] = { { 1e3, "us" }, { 1e6, "ms" }, { 1e9, "s" } };
	size_t i = 0;

	if (ns < 1000) {
		fprintf(f, "%" PRIu64 "ns", ns);
		return;
	}
	while (i + 1 < ARRAY_SIZE(units) && (double)ns / units[i].ns >= 999.5)
		i++;
	fprintf(f, (double)ns / units[i].ns >= 999.5 ? "%.0f%s" : "%.3g%s", (double)ns / units[i].ns, units[i].name);
}

static void print_hex(FILE *f, const char *s, u32 bytes)
{
	static const char digits[] = "0123456789abcdef";
	u32 i;

	for (i = 0; i < bytes; i++) {
		fputc(digits[(u8)s[i] >> 4], f);
		fputc(digits[(u8)s[i] & 15], f);
	}
}

static void print_truncation(FILE *f, const struct value *v)
{
	if (!(v->flags & VALUE_TRUNCATED))
		return;
	if (v->orig_bytes > v->text_bytes)
		fprintf(f, "...(%" PRIu64 " bytes more)", v->orig_bytes - v->text_bytes);
	else
		fputs("...(truncated)", f);
}

void show__value(FILE *f, const struct value *v, bool quoted)
{
	char scalar[VALUE_SCALAR_MAX];
	u32 i;

	if (v->flags & VALUE_UNREADABLE) {
		fputs("(unreadable)", f);
		return;
	}
	switch (v->type) {
	case WIRE_T_BYTES:
		fputc('[', f);
		for (i = 0; i < v->text_bytes; i++)
			fprintf(f, "%s%02x", i ? " " : "", (u8)v->text[i]);
		fputc(']', f);
		print_truncation(f, v);
		break;
	case WIRE_T_STR:
	case WIRE_T_ERROR:
		if (quoted && v->type == WIRE_T_STR)
			text__quote(f, v->text, v->text_bytes);
		else
			text__print(f, v->text, v->text_bytes);
		print_truncation(f, v);
		break;
	default:
		value__scalar(scalar, v);
		fputs(scalar, f);
	}
}

/* Most values are numbers, and a stream of its own for each costs more than all else that is done with it. */
static char *integer_text(const struct value *v)
{
	char tmp[24];

	if (v->type == WIRE_T_U64 || v->type == WIRE_T_U32)
		snprintf(tmp, sizeof(tmp), "%" PRIu64, v->u);
	else
		snprintf(tmp, sizeof(tmp), "%" PRId64, v->i);
	return strdup(tmp);
}

static bool is_integer(const struct value *v)
{
	return !(v->flags & VALUE_UNREADABLE) && (v->type == WIRE_T_U64 || v->type == WIRE_T_U32 || v->type == WIRE_T_I64 ||
						  v->type == WIRE_T_I32);
}

char *show__value_text(const struct value *v)
{
	char *text = NULL;
	size_t bytes;
	FILE *f;

	if (is_integer(v))
		return integer_text(v);
	f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	show__value(f, v, true);
	return fclose(f) ? NULL : text;
}

void show__json_value(FILE *f, const struct value *v)
{
	if (v->flags & VALUE_UNREADABLE) {
		fputs("null", f);
		return;
	}
	switch (v->type) {
	case WIRE_T_BOOL:
	case WIRE_T_I32:
	case WIRE_T_I64:
	case WIRE_T_U32:
	case WIRE_T_U64:
		show__value(f, v, false);
		break;
	case WIRE_T_F64:
		/* JSON has no infinities */
		fputs(isfinite(v->f) ? "" : "\"", f);
		show__value(f, v, false);
		fputs(isfinite(v->f) ? "" : "\"", f);
		break;
	case WIRE_T_PTR:
	case WIRE_T_I128:
	case WIRE_T_U128:
		fputc('"', f);
		show__value(f, v, false);
		fputc('"', f);
		break;
	case WIRE_T_BYTES:
		fputc('"', f);
		print_hex(f, v->text, v->text_bytes);
		fputc('"', f);
		break;
	case WIRE_T_STR:
	case WIRE_T_ERROR:
		text__json(f, v->text, v->text_bytes);
		break;
	default:
		fputs("null", f);
	}
}

const char *show__type(u8 type)
{
	static const char *const names[] = {
		[WIRE_T_EMPTY] = "empty", [WIRE_T_BOOL] = "bool",   [WIRE_T_I32] = "i64",   [WIRE_T_U32] = "u64",
		[WIRE_T_I64] = "i64",	  [WIRE_T_U64] = "u64",	    [WIRE_T_I128] = "i128", [WIRE_T_U128] = "u128",
		[WIRE_T_F64] = "f64",	  [WIRE_T_STR] = "str",	    [WIRE_T_BYTES] = "bytes", [WIRE_T_PTR] = "ptr",
		[WIRE_T_ERROR] = "error",
	};

	return type < ARRAY_SIZE(names) ? names[type] : "unknown";
}

const char *show__why(enum sink_why why)
{
	static const char *const names[] = {
		[SINK_OWN] = NULL,
		[SINK_ABANDONED] = "abandoned",
		[SINK_CUT] = "cut",
		[SINK_THREAD_END] = "thread_end",
		[SINK_PROCESS_END] = "process_end",
		[SINK_LOST] = "lost",
		[SINK_REOPENED] = "reopened",
		[SINK_ELSEWHERE] = "elsewhere",
	};

	return (u32)why < ARRAY_SIZE(names) ? names[why] : "unknown";
}

void show__text(FILE *f, const char *text)
{
	text__print(f, text, strlen(text));
}

void show__thread(FILE *f, const struct thread *t)
{
	if (t->name && t->name[0]) {
		show__text(f, t->name);
		fputc('/', f);
	}
	if (t->tid)
		fprintf(f, "%u", t->tid);
	else
		fprintf(f, "%08" PRIx64, t->uid);
}

bool show__is_message(const struct callsite *c, u32 field)
{
	return field < c->field_cnt && strcmp(c->field[field].name, "message") == 0;
}

void show__trigger(FILE *f, const struct sink_trigger *t)
{
	fputs("TRIGGER ", f);
	show__text(f, t->trigger);
	fputs(": ", f);
	show__text(f, t->what);
	fputc('\n', f);
}
