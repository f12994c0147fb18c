/* SPDX-License-Identifier: MIT */
/* test_callsites.c - definitions: shared when equal, told at first use, valid UTF-8; values of
 * every type. */
#include "model_fixture.h"
#include <errno.h>

static void told_at_first_use(void **state)
{
	struct fix f = {.rec.quiet = false};

	fix__start(&f, NULL, 0);
	fix__expect(&f, "");
	fix__begin(&f, 0, 10, 0, 2);
	fix__begin(&f, 0, 20, 1, 2);
	fix__expect(&f, "process 1 pid 100\nthread 1 \ncallsite 1 span 2 app c (n:5 late:0)\n"
			"open 1 c parent 0 at 10 by T1 {n=10}\nenter 1 T1 at 10\n"
			"open 2 c parent 1 at 20 by T1 {n=20}\nenter 2 T1 at 20\n");
	fix__stop(&f);
}

/* The same probe in an inlined function: two sites, one callsite. Another line is another callsite.
 */
static void equal_definitions_are_one(void **state)
{
	struct fix f = {.rec.quiet = false};

	fix__start(&f, NULL, 0);
	f.site[1] = f.site[0];
	f.site[1].addr = fix__addr(1);
	f.site[2] = f.site[0];
	f.site[2].addr = fix__addr(2);
	f.site[2].line++;
	fix__begin(&f, 0, 10, 0, 0);
	fix__begin(&f, 0, 20, 1, 1);
	recording__clear(&f.rec);
	fix__begin(&f, 0, 30, 2, 2);
	fix__expect(&f, "callsite 2 span 2 app a (n:5 late:0)\nopen 3 a parent 2 at 30 by T1 "
			"{n=30}\nenter 3 T1 at 30\n");
	fix__stop(&f);
}

static void names_are_utf8(void **state)
{
	struct fix f = {.rec.quiet = false};

	fix__start(&f, NULL, 0);
	f.site[0].name = "a;\n\xff 1";
	f.site[0].target = "";
	f.site[0].field[0] = "\xc3";
	fix__begin(&f, 0, 10, 0, 0);
	fix__expect(&f, "process 1 pid 100\nthread 1 \ncallsite 1 span 2  a;\n\xef\xbf\xbd 1 "
			"(\xef\xbf\xbd:5 late:0)\n"
			"open 1 a;\n\xef\xbf\xbd 1 parent 0 at 10 by T1 {\xef\xbf\xbd=10}\nenter 1 "
			"T1 at 10\n");
	fix__stop(&f);
}

static void unknown_and_wrong(void **state)
{
	struct rec r;
	struct fix f = {.rec.quiet = true};

	fix__start(&f, NULL, 0);
	fix__begin(&f, 0, 10, 0, 55);	     /* no such */
	fix__begin(&f, 0, 20, 1, FIX_EVENT); /* not a span's */
	r = fix__rec(&f, WIRE_R_EVENT, 0, 30, 0);
	r.site_addr = fix__addr(0); /* not an event's */
	fix__send(&f, &r);
	r.module = 9;
	fix__send(&f, &r);
	fix__end(&f, 0, 40, 1);
	fix__end(&f, 0, 50, 0);
	fix__expect(&f, "");
	assert_int_equal(fix__stats(&f).lost[LOSS_CALLSITE], 3);
	assert_int_equal(fix__stats(&f).lost[LOSS_BAD], 3);
	assert_int_equal(fix__stats(&f).stored, 0);
	assert_int_equal(fix__stats(&f).spans_opened, 0);
	fix__stop(&f);
}

static u8 *put(u8 *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static void every_type(void **state)
{
	static const u8 types[] = {WIRE_T_BOOL,	 WIRE_T_I32,   WIRE_T_U32,  WIRE_T_I64, WIRE_T_U64,
				   WIRE_T_EMPTY, WIRE_T_I128,  WIRE_T_F64,  WIRE_T_STR, WIRE_T_STR,
				   WIRE_T_PTR,	 WIRE_T_BYTES, WIRE_T_ERROR};
	struct wire_text two = {.len = 2}, cut = {.len = 4, .flags = WIRE_TEXT_TRUNCATED};
	struct wire_text null = {.flags = WIRE_TEXT_NULL};
	u32 one = 1, u = 4000000000u, orig = 900;
	s32 i = -7;
	s64 l = -8;
	u64 q = 1ull << 63, wide[2] = {2, 1}, ptr = 0xabc;
	double d = 1.5;
	u8 buf[256], *p = buf;
	struct rec r;
	struct fix f = {.rec.quiet = true};
	u32 k;

	fix__start(&f, NULL, 0);
	f.site[0].field_cnt = ARRAY_SIZE(types);
	for (k = 0; k < ARRAY_SIZE(types); k++) {
		static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g",
						    "h", "i", "j", "k", "l", "m"};

		f.site[0].type[k] = types[k];
		f.site[0].field[k] = names[k];
	}
	p = put(p, &one, 4);
	p = put(p, &i, 4);
	p = put(p, &u, 4);
	p = put(p, &l, 8);
	p = put(p, &q, 8);
	p = put(p, wide, 16);
	p = put(p, &d, 8);
	p = put(put(put(p, &cut, 4), &orig, 4), "text", 4);
	p = put(p, &null, 4);
	p = put(p, &ptr, 8);
	p = put(put(p, &two, 4), "xy\0\0", 4);
	p = put(put(p, &two, 4), "no\0\0", 4);
	r = fix__rec(&f, WIRE_R_BEGIN, 0, 10, 0);
	r.site_addr = fix__addr(0);
	r.payload = buf;
	r.payload_bytes = (u32)(p - buf);
	fix__send(&f, &r);
	fix__expect(
		&f,
		"open 1 a parent 0 at 10 by T1 {a=true b=-7 c=4000000000 d=-8 "
		"e=9223372036854775808 "
		"g=0x00000000000000010000000000000002 h=1.5 i='text'...900 k=0xabc l='xy' m='no'}\n"
		"enter 1 T1 at 10\n");
	/* a payload that ends early gives what it holds */
	r.payload_bytes = 9;
	r.time_ns = 20;
	r.depth = 1;
	fix__send(&f, &r);
	fix__expect(&f, "open 2 a parent 1 at 20 by T1 {a=true b=-7}\nenter 2 T1 at 20\n");
	assert_int_equal(fix__stats(&f).bad_value, 1);
	assert_int_equal(fix__stats(&f).stored, 2);
	fix__stop(&f);
}

static void files(void **state)
{
	struct elf_file other = {.path = "x"};
	struct fix f = {.rec.quiet = true};

	fix__start(&f, NULL, 0);
	assert_int_equal(model__add_file(f.m, &other, 0, 0), -EEXIST);
	assert_int_equal(model__add_file(f.m, &other, 3, 0), 0);
	assert_int_equal(model__add_file(f.m, &other, ~0u, 0), -EINVAL);
	fix__stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_at_first_use), cmocka_unit_test(equal_definitions_are_one),
		cmocka_unit_test(names_are_utf8),    cmocka_unit_test(unknown_and_wrong),
		cmocka_unit_test(every_type),	     cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
