/* SPDX-License-Identifier: MIT */
/*
 * Signatures of foreign probes. The note of a probe knows where its arguments are and how wide; it knows neither
 * names nor what is a pointer to text. A signature adds that.
 *
 * What a signature may change of an argument: it can make it narrower and change the sign of one that keeps its width.
 * It never makes it wider: the note says how many bytes are there, and the rest of a register or of memory is somebody
 * else's. A value that the note calls 4 bytes and the signature i64 is extended by the note's own sign, as C does.
 */
#include "elf/sig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "elf/args.h"

#define MAX_SIGS       10000
#define MAX_FILE_BYTES (4u << 20)

struct sig_set {
	struct sig *sig;
	u32 cnt, room;
};

static const struct {
	const char *name;
	u8 type;
	s8 size;
	bool skip, is_int, is_text;
} types[] = {
	{ "bool", WIRE_T_BOOL, 0, false, true, false },
	{ "i8", WIRE_T_I32, -1, false, true, false },
	{ "i16", WIRE_T_I32, -2, false, true, false },
	{ "i32", WIRE_T_I32, -4, false, true, false },
	{ "i64", WIRE_T_I64, -8, false, true, false },
	{ "u8", WIRE_T_U32, 1, false, true, false },
	{ "u16", WIRE_T_U32, 2, false, true, false },
	{ "u32", WIRE_T_U32, 4, false, true, false },
	{ "u64", WIRE_T_U64, 8, false, true, false },
	{ "f32", WIRE_T_F64, 4, false, false, false },
	{ "f64", WIRE_T_F64, 8, false, false, false },
	{ "ptr", WIRE_T_PTR, 0, false, false, false },
	{ "str", WIRE_T_STR, 0, false, false, true },
	{ "bytes", WIRE_T_BYTES, 0, false, false, true },
	{ "error", WIRE_T_ERROR, 0, false, false, true },
	{ "_", WIRE_T_EMPTY, 0, true, true, false },
};

/* --- the set ---------------------------------------------------------------------------------------------------- */

static void sig__done(struct sig *sig)
{
	free(sig->provider);
	free(sig->probe);
	for (u32 i = 0; i < sig->param_cnt; i++)
		free(sig->param[i].name);
	memset(sig, 0, sizeof(*sig));
}

struct sig_set *sig_set__new(void)
{
	return calloc(1, sizeof(struct sig_set));
}

void sig_set__free(struct sig_set *s)
{
	if (!s)
		return;
	for (u32 i = 0; i < s->cnt; i++)
		sig__done(&s->sig[i]);
	free(s->sig);
	free(s);
}

static int set_append(struct sig_set *s, const struct sig *sig)
{
	if (s->cnt == s->room) {
		u32 room = s->room ? s->room * 2 : 16;
		struct sig *grown = realloc(s->sig, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->sig = grown;
		s->room = room;
	}
	s->sig[s->cnt++] = *sig;
	return 0;
}

/* * and ? wildcards. After a mismatch only the last * is tried one byte further: no recursion, no explosion. */
static bool matches(const char *pattern, const char *s)
{
	const char *star = NULL, *from = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = pattern++;
			from = s;
		} else if (*pattern == '?' || *pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star + 1;
			s = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

bool sig__fits(const struct sig *sig, const char *provider, const char *probe)
{
	return matches(sig->provider, provider) && matches(sig->probe, probe);
}

const struct sig *sig_set__find(const struct sig_set *s, const char *provider, const char *probe)
{
	for (u32 i = s ? s->cnt : 0; i-- > 0;) {
		if (sig__fits(&s->sig[i], provider, probe))
			return &s->sig[i];
	}
	return NULL;
}

u32 sig_set__cnt(const struct sig_set *s)
{
	return s ? s->cnt : 0;
}

const struct sig *sig_set__at(const struct sig_set *s, u32 i)
{
	return &s->sig[i];
}

/* --- the parser --------------------------------------------------------------------------------------------------- */

struct parser {
	const char *text; /* of one signature */
	const char *p;
	const char *file; /* NULL: command line */
	u32 line;
	struct diag *d;
};

static int fail(const struct parser *ps, const char *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(const struct parser *ps, const char *at, const char *fmt, ...)
{
	unsigned int column = (unsigned int)(at - ps->text) + 1;
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (ps->file)
		diag__set(ps->d, -EINVAL, "%s:%u:%u: %s", ps->file, ps->line, column, why);
	else
		diag__set(ps->d, -EINVAL, "signature '%s', column %u: %s", ps->text, column, why);
	diag__hint(ps->d, "write it as 'shop:order__begin(u64 id, str path, str body:len, i32 len)'; "
			  "types: bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 ptr str bytes error, _ leaves "
			  "an argument out");
	return -EINVAL;
}

static void skip_blanks(struct parser *ps)
{
	ps->p += strspn(ps->p, " \t\r");
}

static bool take(struct parser *ps, char c)
{
	skip_blanks(ps);
	if (*ps->p != c)
		return false;
	ps->p++;
	return true;
}

/* A run of bytes that are none of `stop` nor blank or control characters. */
static char *take_word(struct parser *ps, const char *stop)
{
	const char *start;

	skip_blanks(ps);
	for (start = ps->p; (u8)*ps->p > ' ' && *ps->p != 0x7f && !strchr(stop, *ps->p);)
		ps->p++;
	return strndup(start, (size_t)(ps->p - start));
}

static bool is_name(const char *s)
{
	if (!*s || (*s >= '0' && *s <= '9'))
		return false;
	for (; *s; s++) {
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || *s == '_' || *s == '.' || (u8)*s >= 0x80))
			return false;
	}
	return true;
}

static int find_type(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i].name, word))
			return (int)i;
	}
	return -1;
}

static int find_param(const struct sig *sig, const char *name)
{
	for (u32 i = 0; i < sig->param_cnt; i++) {
		if (sig->param[i].name && !strcmp(sig->param[i].name, name))
			return (int)i;
	}
	return -1;
}

/* Where a parameter names its length; looked up once all are known. */
struct length {
	char *name;
	const char *at;
	u8 type_index;
};

static int parse_name(struct parser *ps, struct sig *sig, struct sig_param *pm)
{
	const char *at;

	skip_blanks(ps);
	at = ps->p;
	pm->name = take_word(ps, ",():#");
	if (!pm->name)
		return diag__set(ps->d, -ENOMEM, "out of memory");
	if (pm->skip && !*pm->name)
		return 0;
	if (!is_name(pm->name))
		return fail(ps, at, *pm->name ? "'%s' is not a name" : "a name is missing%s",
			    pm->name);
	for (u32 i = 0; i + 1 < sig->param_cnt; i++) {
		if (!strcmp(sig->param[i].name, pm->name))
			return fail(ps, at, "two arguments are called '%s'", pm->name);
	}
	return 0;
}

static int parse_param(struct parser *ps, struct sig *sig, struct length *len)
{
	struct sig_param *pm = &sig->param[sig->param_cnt];
	__free_ptr char *word = NULL;
	const char *at;
	int t, err;

	skip_blanks(ps);
	at = ps->p;
	if (sig->param_cnt == WIRE_MAX_ARGS)
		return fail(ps, at, "a probe has at most %d arguments", WIRE_MAX_ARGS);
	word = take_word(ps, ",():#");
	if (!word)
		return diag__set(ps->d, -ENOMEM, "out of memory");
	t = find_type(word);
	if (t < 0)
		return fail(ps, at, *word ? "'%s' is not a type" : "a type is missing%s", word);
	pm->type = types[t].type;
	pm->skip = types[t].skip;
	pm->size = types[t].size;
	pm->len_param = -1;
	sig->param_cnt++;
	len->type_index = (u8)t;
	err = parse_name(ps, sig, pm);
	if (err)
		return err;
	len->at = ps->p;
	if (!take(ps, ':'))
		return types[t].type == WIRE_T_BYTES ?
			       fail(ps, at, "bytes '%s' needs a length: bytes %s:length", pm->name,
				    pm->name) :
			       0;
	if (!types[t].is_text)
		return fail(ps, len->at, "only str, bytes and error take a length");
	len->name = take_word(ps, ",():#");
	return len->name ? 0 : diag__set(ps->d, -ENOMEM, "out of memory");
}

static int find_lengths(struct parser *ps, struct sig *sig, const struct length *len)
{
	for (u32 i = 0; i < sig->param_cnt; i++) {
		int j;

		if (!len[i].name)
			continue;
		j = *len[i].name ? find_param(sig, len[i].name) : -1;
		if (j < 0)
			return fail(ps, len[i].at, "no argument is called '%s'", len[i].name);
		if (!types[len[j].type_index].is_int)
			return fail(ps, len[i].at, "'%s' is not an integer and can be no length",
				    len[i].name);
		sig->param[i].len_param = j;
	}
	return 0;
}

static int parse_params(struct parser *ps, struct sig *sig, struct length *len)
{
	int err;

	if (!take(ps, '('))
		return fail(ps, ps->p, "'(' is missing");
	if (take(ps, ')'))
		return 0;
	do {
		err = parse_param(ps, sig, &len[MIN(sig->param_cnt, (u32)WIRE_MAX_ARGS - 1)]);
		if (err)
			return err;
	} while (take(ps, ','));
	if (!take(ps, ')'))
		return fail(ps, ps->p, "',' or ')' is missing");
	return 0;
}

static int parse_sig(struct parser *ps, struct sig *sig)
{
	struct length len[WIRE_MAX_ARGS] = { 0 };
	int err;

	sig->provider = take_word(ps, ":(),#");
	if (!sig->provider)
		return diag__set(ps->d, -ENOMEM, "out of memory");
	if (!*sig->provider || !take(ps, ':'))
		return fail(ps, ps->p, "provider:probe is missing");
	sig->probe = take_word(ps, ":(),#");
	if (!sig->probe)
		return diag__set(ps->d, -ENOMEM, "out of memory");
	if (!*sig->probe)
		return fail(ps, ps->p, "the probe's name is missing");
	err = parse_params(ps, sig, len);
	skip_blanks(ps);
	if (!err && *ps->p && !(ps->file && *ps->p == '#'))
		err = fail(ps, ps->p, "unexpected text behind ')'");
	if (!err)
		err = find_lengths(ps, sig, len);
	for (u32 i = 0; i < WIRE_MAX_ARGS; i++)
		free(len[i].name);
	return err;
}

static int add_parsed(struct sig_set *s, struct parser *ps)
{
	struct sig sig = { 0 };
	int err;

	if (s->cnt >= MAX_SIGS)
		return diag__set(ps->d, -E2BIG, "more than %d signatures", MAX_SIGS);
	err = parse_sig(ps, &sig);
	if (!err && set_append(s, &sig))
		err = diag__set(ps->d, -ENOMEM, "out of memory");
	if (err)
		sig__done(&sig);
	return err;
}

int sig_set__add(struct sig_set *s, const char *text, struct diag *d)
{
	struct parser ps = { .text = text, .p = text, .d = d };

	if (*text == '@')
		return sig_set__add_file(s, text + 1, d);
	return add_parsed(s, &ps);
}

/* --- files ---------------------------------------------------------------------------------------------------------- */

/* The whole file, NUL-terminated; NULL with errno. */
static char *read_file(const char *path)
{
	__close_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0, room = 0;
	char *text = NULL;

	while (fd >= 0) {
		ssize_t n;

		if (used + 1 >= room) {
			char *grown = room < MAX_FILE_BYTES ? realloc(text, room + 65536) : NULL;

			if (!grown) {
				errno = room < MAX_FILE_BYTES ? ENOMEM : EFBIG;
				break;
			}
			text = grown;
			room += 65536;
		}
		n = read(fd, text + used, room - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		if (!n) {
			text[used] = '\0';
			if (!memchr(text, 0, used))
				return text;
			errno = EINVAL;
			break;
		}
		used += (size_t)n;
	}
	free(text);
	return NULL;
}

int sig_set__add_file(struct sig_set *s, const char *path, struct diag *d)
{
	__free_ptr char *text = read_file(path);
	struct parser ps = { .file = path, .d = d };
	char *line, *next;
	int err;

	if (!text) {
		err = -errno;
		return diag__set(d, err, "%s: cannot read signatures: %s", path, strerror(-err));
	}
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		ps.line++;
		ps.text = ps.p = line;
		skip_blanks(&ps);
		if (!*ps.p || *ps.p == '#')
			continue;
		err = add_parsed(s, &ps);
		if (err)
			return err;
	}
	return 0;
}

/* --- use -------------------------------------------------------------------------------------------------------------- */

static u32 width(s8 size)
{
	return (u32)(size < 0 ? -size : size);
}

/* The bits are taken for a number only where they are as many as it has; an integer of another width stays one. */
static void apply_float(const struct sig_param *pm, struct wire_arg *a)
{
	if (a->flags & WIRE_ARG_FLOAT || (s8)width(a->size) != pm->size || a->kind == WIRE_ARG_CONST)
		return;
	a->size = pm->size;
	a->flags |= WIRE_ARG_FLOAT;
}

static void apply_int(const struct sig_param *pm, struct wire_arg *a)
{
	a->flags &= ~(u32)WIRE_ARG_FLOAT; /* who asks for an integer gets the bits */
	if (!pm->size || width(pm->size) > width(a->size))
		return;
	a->size = pm->size;
	if (a->kind == WIRE_ARG_CONST)
		a->off = args__extend(a->off, a->size);
}

void sig__apply(const struct sig *sig, u32 arg_cnt, struct wire_arg *arg)
{
	u32 cnt = MIN(sig->param_cnt, arg_cnt);

	for (u32 i = 0; i < cnt; i++) {
		const struct sig_param *pm = &sig->param[i];
		struct wire_arg *a = &arg[i];

		if (a->kind == WIRE_ARG_NONE || pm->skip)
			continue;
		if (pm->type == WIRE_T_F64) {
			apply_float(pm, a);
			continue;
		}
		if (pm->type != WIRE_T_STR && pm->type != WIRE_T_BYTES && pm->type != WIRE_T_ERROR) {
			apply_int(pm, a);
			continue;
		}
		/* A length that this site does not have: no text to read, the pointer stays a number. */
		if (pm->len_param >= 0 && ((u32)pm->len_param >= arg_cnt ||
					   arg[pm->len_param].kind == WIRE_ARG_NONE))
			continue;
		a->text = pm->len_param >= 0 ? WIRE_TEXT_LEN_ARG : WIRE_TEXT_NUL;
		a->len_arg = pm->len_param >= 0 ? (u16)pm->len_param : 0;
	}
}

/* --- as text ------------------------------------------------------------------------------------------------------ */

static const char *type_name(const struct sig_param *pm)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (pm->skip ? types[i].skip : types[i].type == pm->type && types[i].size == pm->size)
			return types[i].name;
	return "_";
}

size_t sig_set__text(const struct sig_set *s, u32 i, char *dst, size_t bytes)
{
	const struct sig *sig = i < s->cnt ? &s->sig[i] : NULL;
	FILE *f = sig ? fmemopen(dst, bytes, "w") : NULL;
	long n;

	if (!f)
		return 0;
	fprintf(f, "%s:%s(", sig->provider, sig->probe);
	for (u32 k = 0; k < sig->param_cnt; k++) {
		const struct sig_param *pm = &sig->param[k];

		fprintf(f, "%s%s %s", k ? ", " : "", type_name(pm), pm->name);
		if (pm->len_param >= 0)
			fprintf(f, ":%s", sig->param[pm->len_param].name);
	}
	fputc(')', f);
	n = ftell(f);
	/* what does not fit is only known when it is written out, with its NUL */
	return fclose(f) || n <= 0 || (size_t)n >= bytes || dst[n - 1] != ')' ? 0 : (size_t)n;
}
