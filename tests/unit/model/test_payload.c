/* SPDX-License-Identifier: MIT */
/* A field read where it stands is what the model makes of it: random callsites, random payloads, most of them cut or wrong somewhere. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "model/model_priv.h"
#include "model/payload.h"
#include "rnd.h"

#define MAX_FIELDS 6
#define CASES 200000

static u32 put_field(u8 type, u8 *to)
{
	u32 bytes = type <= WIRE_T_U32 ? 4 : type == WIRE_T_I128 || type == WIRE_T_U128 ? 16 : 8;
	struct wire_text t = { (u16)rnd(7), rnd(4) ? 0 : (u16)(1 + rnd(3)) };

	if (type == WIRE_T_EMPTY)
		return 0;
	if (type != WIRE_T_STR && type != WIRE_T_BYTES && type != WIRE_T_ERROR)
		return bytes;
	if (!rnd(30))
		t.len = 5000;
	memcpy(to, &t, sizeof(t));
	return sizeof(t) + (t.flags & WIRE_TEXT_TRUNCATED ? 4 : 0) + (t.len < 8 ? ALIGN_UP(t.len, 4u) : 0);
}

static const struct value *find(const struct value *v, u32 cnt, u32 field)
{
	for (u32 i = 0; i < cnt; i++)
		if (v[i].field == field)
			return &v[i];
	return NULL;
}

static void assert_same(const struct value *a, const struct value *b)
{
	assert_int_equal(a->field, b->field);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->text_bytes, b->text_bytes);
	assert_int_equal(a->orig_bytes, b->orig_bytes);
	assert_int_equal(a->u, b->u); /* the same text, too: neither is a copy */
	if (a->type == WIRE_T_I128 || a->type == WIRE_T_U128)
		assert_int_equal(a->wide[1], b->wide[1]);
}

/* The place of a field, worked out for the callsite, is where its value was found; so is what is behind texts. */
static void assert_place(const struct rec_payload *p, const struct callsite *c, u32 field, const struct value *v)
{
	struct payload_place place = payload__place(c, field);
	u8 type = c->field[field].type;
	struct rec_text t;
	u32 at;

	if (place.at < 0)
		return;
	assert_true(payload__seek(&place, p, &at));
	if (payload__number_bytes(type)) {
		assert_true(at + payload__number_bytes(type) <= p->bytes);
		assert_int_equal(payload__number(p->data + at, type), v->u);
	} else if (type == WIRE_T_STR || type == WIRE_T_BYTES || type == WIRE_T_ERROR) {
		assert_true(rec_text__at(&t, p->data + at, p->bytes - at));
		assert_ptr_equal(t.data, v->text);
		assert_int_equal(t.bytes, v->text_bytes);
	} else {
		assert_memory_equal(p->data + at, v->wide, 16);
	}
}

/* Where there is none, as the payload is malformed in it or before, there is none at its place either. */
static void assert_cut(const struct rec_payload *p, const struct callsite *c, u32 field)
{
	struct payload_place place = payload__place(c, field);
	u8 type = c->field[field].type;
	u32 at, bytes = type == WIRE_T_I128 || type == WIRE_T_U128 ? 16 : payload__number_bytes(type);
	struct rec_text t;

	if (type == WIRE_T_EMPTY || type > WIRE_T_ERROR || !payload__seek(&place, p, &at))
		return;
	assert_true(bytes ? at + bytes > p->bytes : !rec_text__at(&t, p->data + at, p->bytes - at));
}

static void one_case(struct model *m, u64 *seen)
{
	struct callsite c = { .field_cnt = (u32)rnd(MAX_FIELDS + 1) };
	u8 data[MAX_FIELDS * 16 + 8], *at = data;
	struct rec_payload p = { data, 0 };
	struct value v;
	u32 i, cnt;
	bool cut;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (u8)rnd(256);
	for (i = 0; i < c.field_cnt; i++) {
		c.field[i].type = (u8)rnd(WIRE_T_ERROR + (rnd(40) ? 1 : 3));
		at += put_field(c.field[i].type, at);
	}
	p.bytes = (u32)(at - data);
	if (!rnd(4))
		p.bytes = (u32)rnd(p.bytes + 1);
	cnt = values__fields(m, &c, p.data, p.bytes, &cut);
	for (i = 0; i < c.field_cnt + 2; i++) {
		const struct value *want = find(m->value, cnt, i);
		int got = payload__value(&p, &c, i, &v);

		assert_int_equal(got > 0, want != NULL);
		if (want) {
			assert_same(&v, want);
			assert_place(&p, &c, i, want);
		} else if (got < 0 && cut && payload__place(&c, i).at >= 0) {
			assert_cut(&p, &c, i);
		}
		assert_true(got >= 0 || cut);
		seen[got > 0 ? 2 : got + 1 > 0]++;
	}
	if (cut && c.field_cnt)
		assert_true(payload__value(&p, &c, c.field_cnt - 1, &v) < 0);
}

static void a_field_is_what_the_model_makes_of_it(void **state)
{
	static struct model m;
	u64 seen[3] = { 0 };

	seed = 1;
	for (u32 i = 0; i < CASES; i++)
		one_case(&m, seen);
	for (u32 i = 0; i < ARRAY_SIZE(seen); i++)
		assert_true(seen[i] > CASES / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_is_what_the_model_makes_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
