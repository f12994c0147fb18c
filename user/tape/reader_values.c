/* SPDX-License-Identifier: MIT */
/*
 * reader_values.c - values, and the events that they belong to.
 *
 * A field has one value in an event or opening. Of several the last one counts for a span, where v0.1 cannot tell an
 * opening value from a later one; the first for an event, where a second one cannot be the program's.
 */
#include <errno.h>

#include "tape/reader.h"

struct gather *gather__new(struct tape_reader *r)
{
	struct gather *g = r->free_gathers;

	if (g) {
		r->free_gathers = g->next_free;
	} else {
		g = calloc(1, sizeof(*g));
		if (!g) {
			r->error = -ENOMEM;
			return NULL;
		}
	}
	g->cnt = 0;
	g->fields = 0;
	g->text_bytes = 0;
	return g;
}

void gather__put(struct tape_reader *r, struct gather *g)
{
	if (!g)
		return;
	if (g->text_cap > 65536) {
		/* do not keep the room that one odd record took */
		free(g->text);
		g->text = NULL;
		g->text_cap = 0;
	}
	g->next_free = r->free_gathers;
	r->free_gathers = g;
}

void reader__free_gathers(struct tape_reader *r)
{
	struct gather *g;

	while ((g = r->free_gathers)) {
		r->free_gathers = g->next_free;
		free(g->value);
		free(g->text);
		free(g);
	}
}

static bool is_text(u8 type)
{
	return type == WIRE_T_STR || type == WIRE_T_BYTES || type == WIRE_T_ERROR;
}

const struct value *gather__values(struct gather *g)
{
	u32 i;

	for (i = 0; i < g->cnt; i++)
		if (is_text(g->value[i].type))
			g->value[i].text = g->text ? g->text + (uintptr_t)g->value[i].text : "";
	return g->value;
}

static int hex(u8 c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "[de ad be ef]" back to bytes. NULL with *bytes unchanged: it is not of that form. */
static char *parse_bytes(const char *s, u32 *bytes)
{
	u32 n = *bytes, cnt, i;
	char *dst;

	if (n < 2 || s[0] != '[' || s[n - 1] != ']' || (n > 2 && n % 3 != 1))
		return NULL;
	cnt = n > 2 ? (n - 1) / 3 : 0;
	for (i = 0; i < cnt; i++) {
		if (hex(s[1 + 3 * i]) < 0 || hex(s[2 + 3 * i]) < 0 || (i && s[3 * i] != ' '))
			return NULL;
	}
	dst = malloc(cnt + 1);
	if (!dst)
		return NULL;
	for (i = 0; i < cnt; i++)
		dst[i] = hex(s[1 + 3 * i]) << 4 | hex(s[2 + 3 * i]);
	*bytes = cnt;
	return dst;
}

/* Position of a field; values come in the order of the fields, so the next one is tried first. -1: none. */
static int find_field(const struct read_callsite *c, u64 id, u32 hint)
{
	u32 i;

	if (hint < c->c.field_cnt && c->field_id[hint] == id)
		return hint;
	for (i = 0; i < c->c.field_cnt; i++)
		if (c->field_id[i] == id)
			return i;
	return -1;
}

static int read_payload(struct tape_reader *r, const struct tape_raw *raw, struct value *v)
{
	static const struct {
		u8 wire, bytes;
	} types[] = {
		[TAPE_BOOL] = { WIRE_T_BOOL, 1 },	[TAPE_I64] = { WIRE_T_I64, 8 },
		[TAPE_U64] = { WIRE_T_U64, 8 },	[TAPE_I128] = { WIRE_T_I128, 16 },
		[TAPE_U128] = { WIRE_T_U128, 16 }, [TAPE_F64] = { WIRE_T_F64, 8 },
		[TAPE_STR] = { WIRE_T_STR, 0 },	[TAPE_ERROR] = { WIRE_T_ERROR, 0 },
	};
	const struct tape_value *x = (const void *)raw->data;
	u32 bytes = raw->bytes - sizeof(*x);

	if (x->type >= ARRAY_SIZE(types)) {
		DEFECT_AT(r, VALUE, "a value of type %u", x->type);
		return -EBADMSG;
	}
	v->type = types[x->type].wire;
	if (is_text(v->type)) {
		v->text = (const char *)(x + 1);
		v->text_bytes = bytes;
		return 0;
	}
	/* a BOOL that is too long is read by upstream too */
	if (bytes < types[x->type].bytes || (bytes > types[x->type].bytes && x->type != TAPE_BOOL)) {
		DEFECT_AT(r, VALUE, "a value of type %u with %u bytes", x->type, bytes);
		return -EBADMSG;
	}
	if (x->type == TAPE_BOOL)
		v->u = *(const u8 *)(x + 1) != 0;
	else if (bytes == 8) /* of fixed sizes: a copy of any size costs more than all the rest here */
		memcpy(v->wide, x + 1, 8);
	else
		memcpy(v->wide, x + 1, 16);
	return 0;
}

/* May a payload that reads as one type be called the other? */
static bool one_shape(u8 read, u8 said)
{
	if (is_text(read))
		return is_text(said);
	if (read == WIRE_T_U64 || read == WIRE_T_PTR)
		return said == WIRE_T_U64 || said == WIRE_T_PTR;
	return read == said;
}

/* What the extension records and the declared type say beyond v0.1. */
static void refine(struct tape_reader *r, struct read_callsite *c, const struct tape_value *x, struct value *v,
		   char **scratch)
{
	const struct tape_x_value *e = &r->x_value;
	u8 declared = c->c.field[v->field].type, flags = 0, type = v->type;

	if (type == WIRE_T_U64 && declared == WIRE_T_PTR)
		type = WIRE_T_PTR;
	if (type == WIRE_T_STR && declared == WIRE_T_BYTES)
		type = WIRE_T_BYTES;
	if ((r->pending & P_VALUE) && e->owner == x->owner && e->field == x->field) {
		flags = e->flags;
		v->orig_bytes = e->original;
		if (flags & TAPE_V_UNREADABLE) {
			*v = (struct value){ .field = v->field, .flags = VALUE_UNREADABLE,
					     .type = e->type <= WIRE_T_ERROR ? e->type : WIRE_T_EMPTY };
			if (is_text(v->type))
				v->text = "";
			return;
		}
		if (one_shape(type, e->type))
			type = e->type;
	}
	v->flags = (flags & TAPE_V_TRUNCATED ? VALUE_TRUNCATED : 0) | (flags & TAPE_V_SHOWN_RAW ? VALUE_RAW : 0);
	if (type == WIRE_T_BYTES && !(flags & TAPE_V_RAW)) {
		*scratch = parse_bytes(v->text, &v->text_bytes);
		if (*scratch)
			v->text = *scratch;
		else
			type = WIRE_T_STR;
	}
	v->type = type;
}

/* What is in *v only when a field was found: callers look at the return value. */
int reader__value(struct tape_reader *r, struct read_callsite *c, const struct tape_raw *raw, struct value *v,
		  char **scratch)
{
	const struct tape_value *x = (const void *)raw->data;
	int field = find_field(c, x->field, v->field);
	int err;

	*scratch = NULL;
	if (field < 0) {
		DEFECT_AT(r, VALUE, "a value for field 0x%llx, which callsite %s does not have",
			  (unsigned long long)x->field, c->c.name);
		return -ENOENT;
	}
	*v = (struct value){ .field = field };
	err = read_payload(r, raw, v);
	if (!err)
		refine(r, c, x, v, scratch);
	return err;
}

static int gather_text(struct gather *g, struct value *v)
{
	size_t need = g->text_bytes + v->text_bytes;
	char *text;

	if (need > g->text_cap) {
		size_t cap = MAX(need * 2, (size_t)256);

		text = realloc(g->text, cap);
		if (!text)
			return -ENOMEM;
		g->text = text;
		g->text_cap = cap;
	}
	if (v->text_bytes)
		memcpy(g->text + g->text_bytes, v->text, v->text_bytes);
	v->text = (const char *)(uintptr_t)g->text_bytes;
	g->text_bytes = need;
	return 0;
}

static int gather_grow(struct gather *g)
{
	u32 cap = g->cap ? g->cap * 2 : 4;
	struct value *value;

	if (g->cnt < g->cap)
		return 0;
	value = realloc(g->value, cap * sizeof(*value));
	if (!value)
		return -ENOMEM;
	g->value = value;
	g->cap = cap;
	return 0;
}

void gather__add(struct tape_reader *r, struct gather *g, struct read_callsite *c, const struct tape_raw *raw)
{
	struct value v = { .field = g->cnt ? g->value[g->cnt - 1].field + 1 : 0 };
	char *scratch;
	u32 i = g->cnt;

	if (reader__value(r, c, raw, &v, &scratch) < 0)
		return;
	if (g->fields >> v.field & 1) {
		if (raw->kind == TAPE_EVENT_VALUE) {
			DEFECT_AT(r, VALUE, "a second value for field %s of an event", c->c.field[v.field].name);
			goto out;
		}
		for (i = 0; g->value[i].field != v.field; i++)
			;
	}
	/* texts that were replaced stay in the buffer: a hostile tape must not make it large */
	if (g->text_bytes > CALLSITE_MAX_FIELDS * (size_t)TAPE_MAX_RECORD) {
		DEFECT_AT(r, VALUE, "too many values before a span is entered");
		goto out;
	}
	if ((i == g->cnt && gather_grow(g) < 0) || (is_text(v.type) && gather_text(g, &v) < 0)) {
		r->error = -ENOMEM;
		goto out;
	}
	g->value[i] = v;
	g->fields |= 1ULL << v.field;
	if (i == g->cnt)
		g->cnt++;
out:
	free(scratch);
}

/* --- events -------------------------------------------------------------------------------------------- */

void reader__event_done(struct tape_reader *r, struct read_thread *t)
{
	struct event *e = &t->event;

	if (!t->waiting)
		return;
	t->waiting = false;
	if (t->got < t->want)
		tape_scan__defect(r->scan, TAPE_DEFECT_EVENT, t->offset, "an event that announces %u values has %u",
				  t->want, t->got);
	e->value_cnt = t->gather ? t->gather->cnt : 0;
	e->value = e->value_cnt ? gather__values(t->gather) : NULL;
	r->totals.events++;
	TELL(r, event, e);
	gather__put(r, t->gather);
	t->gather = NULL;
}

void reader__event(struct tape_reader *r, const struct tape_raw *raw)
{
	const struct tape_event *x = (const void *)raw->data;
	struct read_thread *t = reader__get_thread(r, x->thread);
	struct read_callsite *c = reader__use_callsite(r, x->callsite, false);
	struct read_span *current;

	if (!t || !c)
		return;
	reader__event_done(r, t);
	t->callsite = c;
	t->event = (struct event){ .callsite = &c->c, .time_ns = reader__time(r, x->time), .thread = &t->t };
	if ((r->pending & P_EVENT) && r->x_event.thread == x->thread) {
		t->event.parent_kind = r->x_event.parent_kind == TAPE_PARENT_ROOT     ? WIRE_PARENT_ROOT :
				       r->x_event.parent_kind == TAPE_PARENT_EXPLICIT ? WIRE_PARENT_EXPLICIT :
											WIRE_PARENT_CURRENT;
		t->event.parent = r->x_event.span ? reader__span_number(r, r->x_event.span) : 0;
	} else {
		current = reader__current(t);
		t->event.parent_kind = WIRE_PARENT_CURRENT;
		t->event.parent = current ? current->number : 0;
	}
	t->offset = raw->offset;
	t->want = x->value_cnt;
	t->got = 0;
	t->waiting = true;
	if (!t->want)
		reader__event_done(r, t);
}

void reader__event_value(struct tape_reader *r, const struct tape_raw *raw, bool ignore)
{
	const struct tape_value *x = (const void *)raw->data;
	struct read_thread *t = r->last_thread && r->last_thread->id == x->owner ? r->last_thread :
											idmap__find(&r->threads, x->owner);

	if (!t || !t->waiting) {
		DEFECT_AT(r, EVENT, "a value without an event on thread 0x%llx that waits for it",
			  (unsigned long long)x->owner);
		return;
	}
	t->got++;
	if (!ignore) {
		if (!t->gather)
			t->gather = gather__new(r);
		if (t->gather)
			gather__add(r, t->gather, t->callsite, raw);
	}
	if (t->got == t->want)
		reader__event_done(r, t);
}
