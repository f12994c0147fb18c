/* SPDX-License-Identifier: MIT */
/*
 * tape_values.c - values of events and spans.
 *
 * Upstream's viewer matches values to fields by position: the first value, in the order of the
 * fields, goes to the first
 * field. So every field before one that has a value must have one as well (P6); what is missing
 * gets an empty text,
 * marked as ours. All placeholders of a call come first, under one mark.
 */
#include "tape/tape_sink_priv.h"

/* A value takes at most this besides its text: two records. */
#define OVERHEAD (sizeof(struct tape_value) + sizeof(struct tape_x_value) + 16)

/* A value as the tape has it. */
struct encoded {
	u8 type; /* enum tape_type */
	u8 wire; /* enum wire_type that a reader shall find */
	u8 flags;
	const void *data;
	u32 bytes;
	u64 original;
	bool hex; /* data is to be written as "[de ad]" */
};

static u8 widened(u8 type)
{
	return type == WIRE_T_I32 ? WIRE_T_I64 : type == WIRE_T_U32 ? WIRE_T_U64 : type;
}

/* What a reader takes a value for that has no flags record. */
static u8 implied(u8 type, u8 declared)
{
	static const u8 wire[] = { WIRE_T_BOOL, WIRE_T_I64, WIRE_T_U64, WIRE_T_I128,
				   WIRE_T_U128, WIRE_T_F64, WIRE_T_STR, WIRE_T_ERROR };

	if (type == TAPE_U64 && declared == WIRE_T_PTR)
		return WIRE_T_PTR;
	if (type == TAPE_STR && declared == WIRE_T_BYTES)
		return WIRE_T_BYTES;
	return wire[type];
}

static void encode_number(struct encoded *e, u8 type, const struct value *v)
{
	e->type = type;
	e->data = &v->u;
	e->bytes = type == TAPE_BOOL ? 1 : type == TAPE_I128 || type == TAPE_U128 ? 16 : 8;
}

/* `text` is what fits. Cuts between characters. */
static void encode_text(struct encoded *e, u8 type, const struct value *v, size_t text)
{
	e->type = type;
	e->data = v->text;
	e->bytes = v->text_bytes;
	if (e->bytes <= text)
		return;
	e->bytes = text;
	while (e->bytes && (v->text[e->bytes] & 0xc0) == 0x80 && text - e->bytes < 3)
		e->bytes--;
	e->flags |= TAPE_V_TRUNCATED;
	e->original = v->orig_bytes ? v->orig_bytes : v->text_bytes;
}

static void encode_bytes(struct encoded *e, const struct value *v, size_t text)
{
	e->type = TAPE_STR;
	e->data = v->text;
	e->bytes = v->text_bytes;
	if (3 * (u64)v->text_bytes + 2 <= text) {
		e->hex = true;
		return;
	}
	/* as text it would not fit: the bytes themselves, with what is lost said */
	e->flags |= TAPE_V_RAW;
	if (e->bytes > text) {
		e->bytes = text;
		e->flags |= TAPE_V_TRUNCATED;
		e->original = v->orig_bytes ? v->orig_bytes : v->text_bytes;
	}
}

static bool has_value(const struct value *v, u32 field_cnt)
{
	return v->field < field_cnt &&
	       ((v->flags & VALUE_UNREADABLE) || (v->type > WIRE_T_EMPTY && v->type <= WIRE_T_ERROR));
}

static void encode(struct encoded *e, const struct value *v, size_t text)
{
	*e = (struct encoded){ .wire = widened(v->type) };
	if (v->flags & VALUE_TRUNCATED) {
		e->flags |= TAPE_V_TRUNCATED;
		e->original = v->orig_bytes;
	}
	if (v->flags & VALUE_RAW)
		e->flags |= TAPE_V_SHOWN_RAW;
	if (v->flags & VALUE_UNREADABLE) {
		e->flags |= TAPE_V_UNREADABLE;
		e->type = TAPE_STR;
		e->data = "";
		return;
	}
	switch (e->wire) {
	case WIRE_T_BOOL:
		return encode_number(e, TAPE_BOOL, v);
	case WIRE_T_I64:
		return encode_number(e, TAPE_I64, v);
	case WIRE_T_U64:
	case WIRE_T_PTR:
		return encode_number(e, TAPE_U64, v);
	case WIRE_T_I128:
		return encode_number(e, TAPE_I128, v);
	case WIRE_T_U128:
		return encode_number(e, TAPE_U128, v);
	case WIRE_T_F64:
		return encode_number(e, TAPE_F64, v);
	case WIRE_T_BYTES:
		return encode_bytes(e, v, text);
	default:
		return encode_text(e, e->wire == WIRE_T_ERROR ? TAPE_ERROR : TAPE_STR, v, text);
	}
}

static void put_hex(char *dst, const u8 *src, u32 bytes)
{
	static const char digit[] = "0123456789abcdef";

	*dst++ = '[';
	for (u32 i = 0; i < bytes; i++) {
		if (i)
			*dst++ = ' ';
		*dst++ = digit[src[i] >> 4];
		*dst++ = digit[src[i] & 15];
	}
	*dst = ']';
}

static void add_value(struct tape_group *g, u8 kind, u64 owner, u64 field, u8 declared, const struct encoded *e)
{
	u32 bytes = !e->hex ? e->bytes : e->bytes ? 3 * e->bytes + 1 : 2;
	struct tape_x_value *x;
	struct tape_value *r;

	if (e->flags || e->wire != implied(e->type, widened(declared))) {
		x = tape_group__add(g, TAPE_X_VALUE, sizeof(*x));
		if (!x)
			return;
		x->owner = owner;
		x->field = field;
		x->flags = e->flags;
		x->original = MIN(e->original, UINT32_MAX);
		x->type = e->wire;
	}
	r = tape_group__add(g, kind, sizeof(*r) + bytes);
	if (!r)
		return;
	r->type = e->type;
	r->field = field;
	r->owner = owner;
	if (e->hex)
		put_hex((char *)(r + 1), e->data, e->bytes);
	else if (e->type == TAPE_BOOL)
		*(u8 *)(r + 1) = *(const u64 *)e->data != 0;
	else
		memcpy(r + 1, e->data, bytes);
}

static u32 add_placeholders(struct tape_group *g, const struct tape_site *site, u8 kind, u64 owner, u64 missing)
{
	u32 cnt = __builtin_popcountll(missing);

	if (!cnt)
		return 0;
	tape_group__synthetic(g, TAPE_P_FIELD, cnt);
	for (; missing; missing &= missing - 1) {
		struct tape_value *r = tape_group__add(g, kind, sizeof(*r));

		if (!r)
			break;
		r->type = TAPE_STR;
		r->field = tape_site__field_id(site, __builtin_ctzll(missing));
		r->owner = owner;
	}
	return cnt;
}

/* Fields below the highest of `mask` that are not in it. */
static u64 gaps(u64 mask)
{
	return mask ? ~mask & ((1ULL << (63 - __builtin_clzll(mask))) - 1) : 0;
}

/* Is a later value of the same call for the same field there? It counts, as with `tracing`. */
static bool overridden(const struct value *v, u32 i, u32 cnt, u32 field_cnt)
{
	for (u32 k = i + 1; k < cnt; k++)
		if (v[k].field == v[i].field && has_value(&v[k], field_cnt))
			return true;
	return false;
}

void tape_site__find_plain(struct tape_site *site)
{
	static const u8 type[WIRE_T_ERROR + 1] = { [WIRE_T_I64] = TAPE_I64, [WIRE_T_U64] = TAPE_U64,
						   [WIRE_T_PTR] = TAPE_U64, [WIRE_T_F64] = TAPE_F64 };

	for (u32 i = 0; i < CALLSITE_MAX_FIELDS; i++) {
		struct value v = { .field = i };

		site->plain[i].value = TAPE_NOT_PLAIN;
		if (i >= tape_site__field_cnt(site))
			continue;
		v.type = widened(tape_site__type(site, i));
		if (v.type > WIRE_T_ERROR || !type[v.type])
			continue;
		site->plain[i].value = tape_value__begin(&v);
		site->plain[i].record = TAPE_PLAIN_VALUE << 8 | (u32)type[v.type] << 24;
	}
}

u32 tape_sink__values(struct tape_sink *s, const struct tape_site *site, u8 kind, u64 owner, const struct value *v,
		      u32 cnt, u64 *have)
{
	u32 field_cnt = tape_site__field_cnt(site), written = 0, valid = 0;
	u64 mask = 0;
	u8 *p;

	if (!cnt)
		return 0;
	p = *have ? NULL : tape_group__room(&s->group, cnt * TAPE_PLAIN_VALUE);
	if (p && tape_values__plain(p, site, kind, owner, v, cnt)) {
		s->group.bytes += cnt * TAPE_PLAIN_VALUE;
		*have = ~0ULL >> (64 - cnt);
		return cnt;
	}

	for (u32 i = 0; i < cnt; i++) {
		if (has_value(&v[i], field_cnt)) {
			mask |= 1ULL << v[i].field;
			valid++;
		}
	}
	if (!mask)
		return 0;
	written = add_placeholders(&s->group, site, kind, owner, gaps(*have | mask));
	*have |= mask | gaps(*have | mask);

	for (u32 i = 0; i < cnt; i++) {
		/* what is left of the group, when all behind this one have got their least */
		size_t used = s->group.bytes + (cnt - i) * OVERHEAD;
		size_t text = used < s->max_group ? MIN(s->max_group - used, TAPE_MAX_VALUE) : 0;
		struct encoded e;

		if (!has_value(&v[i], field_cnt) ||
		    (valid != (u32)__builtin_popcountll(mask) && overridden(v, i, cnt, field_cnt)))
			continue;
		encode(&e, &v[i], text);
		add_value(&s->group, kind, owner, tape_site__field_id(site, v[i].field),
			  tape_site__type(site, v[i].field), &e);
		written++;
	}
	return written;
}

u32 tape_sink__late_value(struct tape_sink *s, struct tape_span *sp, const struct value *v, u64 thread, s64 time)
{
	u32 field_cnt = tape_site__field_cnt(sp->site);
	struct tape_x_late *late;
	struct encoded e;
	u64 mask;

	if (!has_value(v, field_cnt))
		return 0;
	mask = sp->fields | 1ULL << v->field;
	add_placeholders(&s->group, sp->site, TAPE_SPAN_VALUE, sp->ident.id, gaps(mask));
	late = tape_group__add(&s->group, TAPE_X_LATE, sizeof(*late));
	if (!late)
		return 0;
	late->span = sp->ident.id;
	late->time = time;
	late->thread = thread;
	encode(&e, v, MIN(s->max_group - s->group.bytes - OVERHEAD, TAPE_MAX_VALUE));
	add_value(&s->group, TAPE_SPAN_VALUE, sp->ident.id, tape_site__field_id(sp->site, v->field),
		  tape_site__type(sp->site, v->field), &e);
	sp->fields = mask | gaps(mask);
	return 1;
}
