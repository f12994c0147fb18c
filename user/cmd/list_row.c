/* SPDX-License-Identifier: MIT */
#include "cmd/list_row.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"

/* --- from a site ------------------------------------------------------------------------------------------------ */

static const char *level_name(u8 level)
{
	static const char *const names[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR" };

	return level < ARRAY_SIZE(names) ? names[level] : "?";
}

static const char *type_name(u8 type)
{
	static const char *const names[] = {
		[WIRE_T_EMPTY] = "later", [WIRE_T_BOOL] = "bool",   [WIRE_T_I32] = "i32",
		[WIRE_T_U32] = "u32",	  [WIRE_T_I64] = "i64",	    [WIRE_T_U64] = "u64",
		[WIRE_T_I128] = "i128",	  [WIRE_T_U128] = "u128",   [WIRE_T_F64] = "f64",
		[WIRE_T_STR] = "str",	  [WIRE_T_BYTES] = "bytes", [WIRE_T_PTR] = "ptr",
		[WIRE_T_ERROR] = "error",
	};

	return type < ARRAY_SIZE(names) ? names[type] : "?";
}

static const char *int_name(s8 size)
{
	switch (size) {
	case 1:
		return "u8";
	case 2:
		return "u16";
	case 4:
		return "u32";
	case 8:
		return "u64";
	case -1:
		return "i8";
	case -2:
		return "i16";
	case -4:
		return "i32";
	case -8:
		return "i64";
	}
	return "?";
}

static const char *arg_name(const struct wire_arg *a)
{
	return a->flags & WIRE_ARG_FLOAT ? a->size == 4 ? "f32" : "f64" : int_name(a->size);
}

static const char *param_type(const struct sig_param *pm, const struct wire_arg *a)
{
	switch (pm->type) {
	case WIRE_T_STR:
	case WIRE_T_BYTES:
	case WIRE_T_ERROR:
		return a->text == WIRE_TEXT_NO ? arg_name(a) : type_name(pm->type);
	case WIRE_T_F64:
		return a->flags & WIRE_ARG_FLOAT ? arg_name(a) : "f64"; /* an integer is converted */
	case WIRE_T_BOOL:
	case WIRE_T_PTR:
		return type_name(pm->type);
	}
	return int_name(pm->size);
}

static void foreign_fields(struct list_row *r, const struct elf_site *s, const struct sig *sig)
{
	struct wire_arg arg[WIRE_MAX_ARGS];

	memcpy(arg, s->arg, sizeof(arg));
	if (sig)
		sig__apply(sig, s->arg_cnt, arg);
	for (u32 i = 0; i < s->arg_cnt; i++) {
		const struct sig_param *pm = sig && i < sig->param_cnt ? &sig->param[i] : NULL;
		struct list_field *fd = &r->field[r->field_cnt];

		if (pm && pm->skip)
			continue;
		r->field_cnt++;
		snprintf(fd->own_name, sizeof(fd->own_name), "arg%u", i);
		fd->name = pm ? pm->name : fd->own_name;
		fd->unreadable = arg[i].kind == WIRE_ARG_NONE;
		fd->type = pm ? param_type(pm, &arg[i]) : arg_name(&arg[i]);
		fd->operand = s->arg_text[i];
	}
}

static bool peek(const struct list_process *p, u64 addr, void *dst, size_t bytes)
{
	return p && p->mem >= 0 &&
	       pread(p->mem, dst, bytes, (off_t)(p->bias + addr)) == (ssize_t)bytes;
}

/* Is something else than the nop there? int3 (0xcc), a call (0xe8: optimised), arm64: brk. */
static bool has_breakpoint(const struct elf_file *f, const struct list_process *p, u64 addr, bool *known)
{
	u32 insn = 0;

	*known = peek(p, addr, &insn, f->machine == EM_AARCH64 ? 4 : 1);
	return *known && insn != (f->machine == EM_AARCH64 ? 0xd503201fu : 0x90u);
}

static int read_word(const struct list_process *p, u64 addr)
{
	u16 v;

	return peek(p, addr, &v, sizeof(v)) ? v : -1;
}

void list_row__foreign(struct list_row *r, const struct elf_file *f, const struct elf_site *s,
		       const struct sig_set *sigs, const struct list_process *p)
{
	bool known = false, set = false;

	memset(r, 0, sizeof(*r));
	r->kind = "probe";
	r->foreign = true;
	r->level = level_name(WIRE_INFO);
	r->target = s->provider;
	r->name = s->name;
	r->file = s->file;
	r->line = s->line;
	r->offset = s->offset;
	r->why = s->bad;
	r->has_sema = s->sema_addr != 0;
	r->sema = -1;
	if (r->has_sema && !s->bad)
		r->sema = read_word(p, s->sema_addr);
	if (!s->bad)
		set = has_breakpoint(f, p, s->addr, &known);
	r->state = s->bad ? LIST_BAD : !known ? LIST_FOUND : set ? LIST_ATTACHED : LIST_IDLE;
	foreign_fields(r, s, sigs ? sig_set__find(sigs, s->provider, s->name) : NULL);
}

void list_row__tape(struct list_row *r, const struct elf_file *f, const struct elf_tape_site *t,
		    const struct list_process *p)
{
	bool known = false, set = false;
	int armed = -1;

	memset(r, 0, sizeof(*r));
	r->kind = t->kind == WIRE_SITE_SPAN ? "span" : "event";
	r->level = level_name(t->level);
	r->target = t->target;
	r->name = t->name;
	r->file = t->file;
	r->line = t->line;
	r->offset = t->nop_offset;
	r->why = t->bad;
	r->has_sema = true;
	r->sema = -1;
	if (!t->bad) {
		r->sema = read_word(p, t->words_addr + offsetof(struct wire_words, semaphore));
		armed = read_word(p, t->words_addr + offsetof(struct wire_words, armed));
		if (t->nop_addr)
			set = has_breakpoint(f, p, t->nop_addr, &known);
	}
	r->state = t->bad      ? LIST_BAD :
		   armed > 0   ? LIST_ARMED :
		   set	       ? LIST_ATTACHED :
		   armed < 0   ? LIST_FOUND :
				 LIST_IDLE;
	r->field_cnt = t->field_cnt;
	for (u32 i = 0; i < t->field_cnt; i++) {
		r->field[i].name = t->field[i];
		r->field[i].type = type_name(t->type[i]);
	}
}

/* --- as text -------------------------------------------------------------------------------------------------------- */

static const char *const state_names[] = {
	[LIST_FOUND] = "found",	      [LIST_BAD] = "unusable", [LIST_IDLE] = "idle",
	[LIST_ATTACHED] = "attached", [LIST_ARMED] = "armed",
};

/* Cleaned text in a column; what is longer moves the rest of the line. */
static void print_column(FILE *out, const char *s, int columns)
{
	char clean[4 * ELF_MAX_NAME_BYTES + 64];

	text__clean(clean, sizeof(clean), s, strlen(s));
	fprintf(out, "%-*s ", columns, clean);
}

void list_row__print_head(FILE *out)
{
	fprintf(out, "%-5s %-5s %-8s %-9s %-40s %-24s %s\n", "KIND", "LEVEL", "STATE", "SEMAPHORE", "NAME",
		"SOURCE", "FIELDS");
}

static void print_field(FILE *out, const struct list_field *fd)
{
	text__print(out, fd->name, strlen(fd->name));
	if (fd->unreadable)
		fputs(": unreadable", out);
	else
		fprintf(out, " %s", fd->type);
	if (fd->operand) {
		fputs(" (", out);
		text__print(out, fd->operand, strlen(fd->operand));
		fputc(')', out);
	}
}

static void print_source(const struct list_row *r, FILE *out)
{
	const char *slash = r->file ? strrchr(r->file, '/') : NULL;
	char source[ELF_MAX_NAME_BYTES + 32] = "-";

	if (r->file && *r->file)
		snprintf(source, sizeof(source), "%s:%u", slash ? slash + 1 : r->file, r->line);
	print_column(out, source, 24);
}

void list_row__print(const struct list_row *r, FILE *out)
{
	char name[2 * ELF_MAX_NAME_BYTES + 4], sema[16] = "none";

	snprintf(name, sizeof(name), "%s%s%s", r->target, r->foreign ? ":" : ": ", r->name);
	if (r->has_sema && r->sema >= 0)
		snprintf(sema, sizeof(sema), "%d", r->sema);
	else if (r->has_sema)
		strcpy(sema, "yes");
	fprintf(out, "%-5s %-5s %-8s %-9s ", r->kind, r->level, state_names[r->state], sema);
	print_column(out, name, 40);
	print_source(r, out);
	for (u32 i = 0; i < r->field_cnt; i++) {
		if (i)
			fputs(", ", out);
		print_field(out, &r->field[i]);
	}
	fputc('\n', out);
	if (r->why)
		fprintf(out, "      cannot be recorded: %s\n", r->why);
}

/* --- as JSON -------------------------------------------------------------------------------------------------------- */

static void json_text(FILE *out, const char *key, const char *s)
{
	fprintf(out, ",\"%s\":", key);
	if (s)
		text__json(out, s, strlen(s));
	else
		fputs("null", out);
}

void list_row__print_json(const struct list_row *r, const char *path, FILE *out)
{
	fputs("{\"type\":\"site\"", out);
	json_text(out, "kind", r->kind);
	json_text(out, "level", r->level);
	json_text(out, "target", r->target);
	json_text(out, "name", r->name);
	json_text(out, "binary", path);
	fprintf(out, ",\"offset\":%" PRIu64, r->offset);
	json_text(out, "file", r->file && *r->file ? r->file : NULL);
	if (r->line)
		fprintf(out, ",\"line\":%u", r->line);
	else
		fputs(",\"line\":null", out);
	json_text(out, "state", state_names[r->state]);
	json_text(out, "why", r->why);
	fprintf(out, ",\"has_semaphore\":%s", r->has_sema ? "true" : "false");
	if (r->sema >= 0)
		fprintf(out, ",\"semaphore\":%d", r->sema);
	else
		fputs(",\"semaphore\":null", out);
	fputs(",\"fields\":[", out);
	for (u32 i = 0; i < r->field_cnt; i++) {
		const struct list_field *fd = &r->field[i];

		fputs(i ? ",{\"name\":" : "{\"name\":", out);
		text__json(out, fd->name, strlen(fd->name));
		json_text(out, "value_type", fd->type);
		json_text(out, "operand", fd->operand);
		fprintf(out, ",\"readable\":%s}", fd->unreadable ? "false" : "true");
	}
	fputs("]}\n", out);
}
