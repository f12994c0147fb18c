/* SPDX-License-Identifier: MIT */
#include "expr/operand.h"
#include "model/payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	enum operand_type type;
} known[] = {
	[OPERAND_NAME] = {"name", TYPE_TEXT},	    [OPERAND_TARGET] = {"target", TYPE_TEXT},
	[OPERAND_MODULE] = {"module", TYPE_TEXT},   [OPERAND_FILE] = {"file", TYPE_TEXT},
	[OPERAND_LINE] = {"line", TYPE_INT},	    [OPERAND_LEVEL] = {"level", TYPE_LEVEL},
	[OPERAND_KIND] = {"kind", TYPE_TEXT},	    [OPERAND_THREAD] = {"thread", TYPE_TEXT},
	[OPERAND_TID] = {"tid", TYPE_INT},	    [OPERAND_PID] = {"pid", TYPE_INT},
	[OPERAND_PROCESS] = {"process", TYPE_TEXT}, [OPERAND_DURATION] = {"duration", TYPE_TIME},
	[OPERAND_BUSY] = {"busy", TYPE_TIME},	    [OPERAND_IDLE] = {"idle", TYPE_TIME},
};

enum operand_type operand_kind__type(enum operand_kind kind)
{
	return kind < ARRAY_SIZE(known) ? known[kind].type : TYPE_ABSENT;
}

const char *operand_kind__word(enum operand_kind kind)
{
	return known[kind].word;
}

int operand_kind__find(const char *word, size_t bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].word) == bytes && !memcmp(known[i].word, word, bytes))
			return (int)i;
	return -1;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static void set_text(struct operand_value *out, const char *text)
{
	if (!text)
		return;
	out->type = TYPE_TEXT;
	out->text = text;
	out->bytes = (u32)strlen(text);
}

/* Empty is how a callsite says that it does not know. */
static void set_known(struct operand_value *out, const char *text)
{
	if (text && *text)
		set_text(out, text);
}

static void set_number(struct operand_value *out, enum operand_type type, __int128 i)
{
	out->type = type;
	out->i = i;
}

/* The largest stands for all above it: no literal is as large. */
static __int128 wide(const struct value *v)
{
	const __int128 most = (__int128)((~(unsigned __int128)0) >> 1);

	if (v->type == WIRE_T_U128 && v->wide[1] >> 63)
		return most;
	return (__int128)((unsigned __int128)v->wide[1] << 64 | v->wide[0]);
}

static inline void set_value(struct operand_value *out, const struct value *v)
{
	if (v->flags & VALUE_UNREADABLE)
		return;
	out->wire = v->type;
	switch (v->type) {
	case WIRE_T_BOOL:
		set_number(out, TYPE_BOOL, v->u != 0);
		break;
	case WIRE_T_I64:
		set_number(out, TYPE_INT, v->i);
		break;
	case WIRE_T_U64:
	case WIRE_T_PTR:
		set_number(out, TYPE_INT, v->u);
		break;
	case WIRE_T_I128:
	case WIRE_T_U128:
		set_number(out, TYPE_INT, wide(v));
		break;
	case WIRE_T_F64:
		out->type = TYPE_FLOAT;
		out->f = v->f;
		break;
	case WIRE_T_STR:
	case WIRE_T_BYTES:
	case WIRE_T_ERROR:
		out->type = TYPE_TEXT;
		out->text = v->text_bytes ? v->text : "";
		out->bytes = v->text_bytes;
		break;
	}
}

static bool read_field(u32 field, const struct expr_subject *s, struct operand_value *out)
{
	struct value v;
	int got;

	if (s->fields) {
		got = payload__value(s->fields, s->callsite, field, &v);
		if (got > 0)
			set_value(out, &v);
		return got >= 0;
	}
	/* the last one counts, if it was said again */
	for (u32 i = s->value_cnt; i > 0; i--) {
		if (s->value[i - 1].field == field) {
			set_value(out, &s->value[i - 1]);
			break;
		}
	}
	return true;
}

static void read_callsite(enum operand_kind kind, const struct callsite *c, struct operand_value *out)
{
	if (kind == OPERAND_NAME)
		set_text(out, c->name);
	else if (kind == OPERAND_TARGET)
		set_known(out, c->target);
	else if (kind == OPERAND_MODULE)
		set_known(out, c->module);
	else if (kind == OPERAND_FILE)
		set_known(out, c->file);
	else if (kind == OPERAND_KIND)
		set_text(out, c->is_span ? "span" : "event");
	else if (kind == OPERAND_LEVEL)
		set_number(out, TYPE_LEVEL, c->level);
	else if (c->line)
		set_number(out, TYPE_INT, c->line);
}

static void read_thread(enum operand_kind kind, const struct thread *t, struct operand_value *out)
{
	const struct process *p = t ? t->process : NULL;

	if (!t)
		return;
	if (kind == OPERAND_THREAD)
		set_known(out, t->name);
	else if (kind == OPERAND_TID)
		set_number(out, TYPE_INT, t->tid);
	else if (kind == OPERAND_PID && p)
		set_number(out, TYPE_INT, p->pid);
	else if (p)
		set_known(out, p->comm);
}

static void read_time(enum operand_kind kind, const struct expr_subject *s, struct operand_value *out)
{
	u64 busy_ns = MIN(s->busy_ns, s->duration_ns);

	if (s->timed)
		set_number(out, TYPE_TIME,
			   kind == OPERAND_DURATION ? s->duration_ns :
			   kind == OPERAND_BUSY	    ? busy_ns :
						      s->duration_ns - busy_ns);
}

bool operand__read(const struct operand *o, int field, const struct expr_subject *s, struct operand_value *out)
{
	out->type = TYPE_ABSENT;
	out->wire = WIRE_T_EMPTY;
	if (o->kind == OPERAND_FIELD)
		return field < 0 || read_field((u32)field, s, out);
	if (o->kind <= OPERAND_CALLSITE_LAST)
		read_callsite(o->kind, s->callsite, out);
	else if (o->kind <= OPERAND_PROCESS)
		read_thread(o->kind, s->thread, out);
	else
		read_time(o->kind, s, out);
	return true;
}

/* --- as text ----------------------------------------------------------------------------------------------- */

static u32 int_text(__int128 i, char tmp[OPERAND_TEXT_BYTES], const char **text)
{
	unsigned __int128 u = i < 0 ? -(unsigned __int128)i : (unsigned __int128)i;
	char *at = tmp + OPERAND_TEXT_BYTES;

	do {
		*--at = (char)('0' + (int)(u % 10));
		u /= 10;
	} while (u);
	if (i < 0)
		*--at = '-';
	*text = at;
	return (u32)(tmp + OPERAND_TEXT_BYTES - at);
}

u32 operand_value__text(const struct operand_value *v, char tmp[OPERAND_TEXT_BYTES], const char **text)
{
	*text = tmp;
	switch (v->type) {
	case TYPE_TEXT:
		*text = v->text;
		return v->bytes;
	case TYPE_BOOL:
		*text = v->i ? "true" : "false";
		return v->i ? 4 : 5;
	case TYPE_FLOAT:
		return (u32)snprintf(tmp, OPERAND_TEXT_BYTES, "%.15g", v->f);
	case TYPE_ABSENT:
		return 0;
	default:
		if (v->wire == WIRE_T_PTR)
			return (u32)snprintf(tmp, OPERAND_TEXT_BYTES, "0x%" PRIx64, (u64)v->i);
		return int_text(v->i, tmp, text);
	}
}
