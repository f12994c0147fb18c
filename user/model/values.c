/* SPDX-License-Identifier: MIT */
/* values.c - payloads of tape.h records and arguments of foreign hits, as struct value. */
#include "model/model_priv.h"
#include "model/payload.h"
#include <errno.h>
#include <string.h>

/* Sinks see integers widened. */
static u8 widened(u8 type)
{
	return type == WIRE_T_I32 ? WIRE_T_I64 : type == WIRE_T_U32 ? WIRE_T_U64 : type;
}

static void from_rec_value(struct value *v, u16 field, const struct rec_value *r)
{
	v->field = field;
	v->type = widened(r->type);
	v->flags = r->truncated ? VALUE_TRUNCATED : 0;
	v->text_bytes = 0;
	v->orig_bytes = 0;
	switch (v->type) {
	case WIRE_T_STR:
	case WIRE_T_BYTES:
	case WIRE_T_ERROR:
		v->text = r->text;
		v->text_bytes = r->text_bytes;
		v->orig_bytes = r->truncated ? r->orig_bytes : 0;
		break;
	case WIRE_T_I128:
	case WIRE_T_U128:
		v->wide[0] = r->wide[0];
		v->wide[1] = r->wide[1];
		break;
	default:
		v->u = r->u;
	}
}

int values__one(struct value *v, u16 field, u8 type, const u8 *payload, u32 bytes)
{
	struct rec_value r;

	if (type > WIRE_T_ERROR)
		return -EBADMSG;
	if (type == WIRE_T_EMPTY)
		return 0;
	if (rec_value__take(&r, type, payload, bytes) < 0)
		return -EBADMSG;
	if (r.null)
		return 0;
	from_rec_value(v, field, &r);
	return 1;
}

/* What rec_value__take and from_rec_value make of such a number. */
static inline void number(struct value *v, u16 field, u8 type, const u8 *payload)
{
	v->field = field;
	v->type = widened(type);
	v->flags = 0;
	v->text_bytes = 0;
	v->orig_bytes = 0;
	v->u = payload__number(payload, type);
}

/* The next field, off the payload. 1: taken, 0: unset, -EBADMSG: that is not there. */
static inline int next_field(struct value *v, u16 field, u8 type, struct rec_payload *p)
{
	u32 bytes = payload__number_bytes(type);
	struct rec_value r;
	int used;

	if (type == WIRE_T_EMPTY)
		return 0;
	if (bytes && bytes <= p->bytes) {
		number(v, field, type, p->data);
		p->data += bytes;
		p->bytes -= bytes;
		return 1;
	}
	used = rec_value__take(&r, type, p->data, p->bytes);
	if (used < 0 || (u32)used > p->bytes)
		return -EBADMSG;
	p->data += used;
	p->bytes -= (u32)used;
	if (r.null)
		return 0;
	from_rec_value(v, field, &r);
	return 1;
}

/* A payload that does not hold what its callsite declares gives what it does hold, and *cut. */
u32 values__fields(struct model *m, const struct callsite *c, const u8 *payload, u32 bytes,
		   bool *cut)
{
	struct rec_payload p = {payload, bytes};
	u32 i, cnt = 0;
	int got = 0;

	for (i = 0; i < c->field_cnt && got >= 0; i++) {
		got = next_field(&m->value[cnt], (u16)i, c->field[i].type, &p);
		cnt += got > 0;
	}
	*cut = got < 0;
	return cnt;
}

int payload__value(const struct rec_payload *payload, const struct callsite *c, u32 field, struct value *v)
{
	struct rec_payload p = *payload;
	int got = 0;

	if (field >= c->field_cnt)
		return 0;
	for (u32 i = 0; i <= field && got >= 0; i++)
		got = next_field(v, (u16)i, c->field[i].type, &p);
	return got;
}

static bool is_text(u8 type)
{
	return type == WIRE_T_STR || type == WIRE_T_BYTES || type == WIRE_T_ERROR;
}

struct payload_place payload__place(const struct callsite *c, u32 field)
{
	struct payload_place p = {0};
	u32 at = 0, bytes;

	for (u32 i = 0; i < field; i++) {
		u8 type = c->field[i].type;

		bytes = type == WIRE_T_I128 || type == WIRE_T_U128 ? 16 : payload__number_bytes(type);
		if (is_text(type) && p.text_cnt < PAYLOAD_TEXTS)
			p.gap[p.text_cnt++] = 0;
		else if (!bytes && type != WIRE_T_EMPTY)
			return (struct payload_place){.at = -1};
		else if (p.text_cnt)
			p.gap[p.text_cnt - 1] += bytes;
		else
			at += bytes;
	}
	p.at = (s16)at;
	return p;
}

/*
 * The value of an integer argument, as the BPF side extended it by the site's own size and sign.
 * The probe's type is a merge (usdt.md 1.3): where it is as wide as the site's and signed, the
 * site's bits are read as signed, so that a constant -1 that gcc noted as unsigned shows as -1.
 * Where the site is narrower, its value fits as it is.
 */
static u64 merged(u64 val, s8 site_size, s8 probe_size)
{
	u32 bytes = (u32)abs(probe_size), site_bytes = (u32)abs(site_size);

	if (probe_size >= 0 || site_bytes != bytes || bytes >= 8 || !bytes)
		return val;
	return (u64)((s64)(val << (64 - 8 * bytes)) >> (64 - 8 * bytes));
}

static void from_arg(struct value *v, u8 type, u64 val)
{
	v->flags = 0;
	v->text_bytes = 0;
	v->orig_bytes = 0;
	v->type = widened(type);
	if (type == WIRE_T_BOOL)
		val = val != 0;
	/* A text that the site does not fetch as one is its address. */
	if (type == WIRE_T_STR || type == WIRE_T_BYTES || type == WIRE_T_ERROR)
		v->type = WIRE_T_PTR;
	v->u = val;
}

/* At a site that has an integer where others have a floating-point number, it is converted as C does. */
static void from_float(struct value *v, const struct wire_arg *w, u64 val)
{
	u32 low = (u32)val;
	float f;

	*v = (struct value){ .field = v->field, .type = WIRE_T_F64 };
	if (!(w->flags & WIRE_ARG_FLOAT)) {
		v->f = w->size < 0 ? (double)(s64)val : (double)val;
	} else if (w->size == 4) {
		memcpy(&f, &low, sizeof(f));
		v->f = f;
	} else {
		memcpy(&v->f, &val, sizeof(v->f));
	}
}

static void from_text(struct value *v, u8 type, u64 val, const char *text)
{
	v->type = type;
	v->flags = val & WIRE_HIT_TEXT_TRUNCATED ? VALUE_TRUNCATED : 0;
	v->text_bytes = WIRE_HIT_TEXT_LEN(val);
	v->orig_bytes = 0;
	v->text = text;
}

/* Where the texts are: behind the values, as far as the record reaches. */
static const char *hit_texts(const struct wire_hit *h, u32 *left)
{
	u32 at = (u32)sizeof(*h) + 8u * h->arg_cnt;

	*left = h->head.bytes > at ? MIN(h->head.bytes - at, h->text_bytes) : 0;
	return (const char *)h + at;
}

/* How long a text was before it was cut: known where its length is an argument. 0: unknown. */
static u64 known_bytes(const struct wire_hit *h, const struct wire_arg *w, const struct value *v)
{
	u64 len;

	if (!(v->flags & VALUE_TRUNCATED) || w->text != WIRE_TEXT_LEN_ARG || w->len_arg >= h->arg_cnt)
		return 0;
	memcpy(&len, (const u8 *)(h + 1) + 8 * w->len_arg, sizeof(len));
	return len > v->text_bytes ? len : 0;
}

/* Where argument i of this probe is in the event's callsite, or in that of a span of `begin`. */
static s8 field_of(const struct probe *p, u32 i, const struct probe *begin)
{
	if (!begin)
		return p->arg[i].field;
	if (!p->is_end)
		return p->arg[i].span_field;
	/* The end of another file may have what this callsite does not know of. */
	return i < begin->end->arg_cnt && p->arg[i].type != WIRE_T_EMPTY ? begin->end_field[i] : -1;
}

static u32 values__of_args(struct model *m, const struct probe_site *s, const struct wire_hit *h, const struct probe *begin)
{
	const u8 *vals = (const u8 *)(h + 1);
	u32 i, left, cnt = 0, args = MIN(h->arg_cnt, MIN(s->elf->arg_cnt, (u32)WIRE_MAX_ARGS));
	const char *text = hit_texts(h, &left);

	if (sizeof(*h) + 8ull * h->arg_cnt > h->head.bytes)
		return 0;
	for (i = 0; i < args; i++) {
		const struct probe_arg *a = &s->probe->arg[i];
		bool unreadable = h->unreadable >> i & 1;
		s8 field = field_of(s->probe, i, begin);
		struct value *v = &m->value[cnt];
		u64 val;

		memcpy(&val, vals + 8 * i, sizeof(val));
		v->field = (u16)field;
		if (unreadable) {
			if (field < 0)
				continue;
			m->st.unreadable_args++;
			*v = (struct value){.field = (u16)field,
					    .type = widened(a->type),
					    .flags = VALUE_UNREADABLE};
			cnt++;
		} else if (s->elf->arg[i].text != WIRE_TEXT_NO) {
			u32 bytes = WIRE_HIT_TEXT_LEN(val), padded = ALIGN_UP(bytes, 8u);

			if (bytes > left)
				break;
			if (field >= 0 && !(val & WIRE_HIT_TEXT_NULL)) {
				from_text(v, is_text(a->type) ? a->type : WIRE_T_STR, val, text);
				v->orig_bytes = known_bytes(h, &s->elf->arg[i], v);
				cnt++;
			}
			padded = MIN(padded, left);
			text += padded;
			left -= padded;
		} else if (field >= 0 && a->type == WIRE_T_F64) {
			from_float(v, &s->elf->arg[i], val);
			cnt++;
		} else if (field >= 0) {
			from_arg(v, a->type, merged(val, s->elf->arg[i].size, a->size));
			cnt++;
		}
	}
	return cnt;
}

/* NULL: it has texts or floating-point numbers, or there is no memory. */
static struct hit_plan *make_plan(struct probe_site *s, const struct probe *begin)
{
	u32 i, cnt = MIN(s->elf->arg_cnt, (u32)WIRE_MAX_ARGS);
	struct hit_plan *p;

	for (i = 0; i < cnt; i++)
		if (s->elf->arg[i].text != WIRE_TEXT_NO || s->probe->arg[i].type == WIRE_T_F64)
			return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->arg_cnt = cnt;
	for (i = 0; i < cnt; i++) {
		const struct probe_arg *a = &s->probe->arg[i];
		s8 field = field_of(s->probe, i, begin);
		u8 type = is_text(a->type) ? WIRE_T_PTR : widened(a->type);
		u32 bytes = (u32)abs(a->size);

		if (field < 0)
			continue;
		/* as merged() would */
		bool narrow = a->size < 0 && (u32)abs(s->elf->arg[i].size) == bytes && bytes < 8 && bytes;

		p->value[p->cnt].arg = (u8)i;
		p->value[p->cnt].field = (u8)field;
		p->value[p->cnt].type = type;
		p->value[p->cnt++].shift = narrow ? (u8)(64 - 8 * bytes) : 0;
	}
	s->plan[!!begin] = p;
	s->planned = begin ?: s->planned;
	return p;
}

static u32 by_plan(struct value *v, const struct hit_plan *p, const u8 *vals)
{
	u32 i;
	u64 val;

	for (i = 0; i < p->cnt; i++, v++) {
		u8 shift = p->value[i].shift;

		memcpy(&val, vals + 8 * p->value[i].arg, sizeof(val));
		v->field = p->value[i].field;
		v->type = p->value[i].type;
		v->flags = 0;
		v->text_bytes = 0;
		v->orig_bytes = 0;
		v->u = (u64)((s64)(val << shift) >> shift);
		if (v->type == WIRE_T_BOOL)
			v->u = v->u != 0;
	}
	return p->cnt;
}

u32 values__hit(struct model *m, struct probe_site *s, const struct wire_hit *h, const struct probe *begin)
{
	const struct hit_plan *p = s->plan[!!begin] ?: make_plan(s, begin);

	if (p && (!begin || s->planned == begin) && p->arg_cnt == h->arg_cnt && !h->unreadable &&
	    sizeof(*h) + 8ull * h->arg_cnt <= h->head.bytes)
		return by_plan(m->value, p, (const u8 *)(h + 1));
	return values__of_args(m, s, h, begin);
}
