/* SPDX-License-Identifier: MIT */
/* tape.h repeats wire.h's layouts 1 and 2 under its own names: they are equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tapebpf/wire.h"
#include <tape.h>

#define SAME(a, b) assert_int_equal(a, b)
#define SIZE(a, b) assert_int_equal(sizeof(struct a), sizeof(struct b))
#define AT(a, b, member) \
	do { \
		assert_int_equal(offsetof(struct a, member), offsetof(struct b, member)); \
		assert_int_equal(sizeof(((struct a *)0)->member), sizeof(((struct b *)0)->member)); \
	} while (0)

static void in_the_file(void **state)
{
	SIZE(tape_site, wire_site);
	AT(tape_site, wire_site, version);
	AT(tape_site, wire_site, kind);
	AT(tape_site, wire_site, level);
	AT(tape_site, wire_site, field_cnt);
	AT(tape_site, wire_site, line);
	AT(tape_site, wire_site, text);
	AT(tape_site, wire_site, words);
	AT(tape_site, wire_site, cold);
	AT(tape_site, wire_site, nop);
	AT(tape_site, wire_site, nop_end);
	AT(tape_site, wire_site, flags);
	AT(tape_site, wire_site, types);
	SIZE(tape_words, wire_words);
	AT(tape_words, wire_words, semaphore);
	AT(tape_words, wire_words, armed);
	SIZE(tape_module, wire_module);
	AT(tape_module, wire_module, magic);
	AT(tape_module, wire_module, version);
	AT(tape_module, wire_module, size);
	AT(tape_module, wire_module, ticks);
	AT(tape_module, wire_module, ticks_cold);
	AT(tape_module, wire_module, next_id);
	AT(tape_module, wire_module, first);
	AT(tape_module, wire_module, unplaced);
	AT(tape_module, wire_module, reserved);
	assert_true(TAPE_MODULE_MAGIC == WIRE_MODULE_MAGIC);
	assert_true(tape_1_module.magic == WIRE_MODULE_MAGIC);
	SAME(tape_1_module.version, WIRE_VERSION);
	SAME(tape_1_module.size, sizeof(struct wire_module));
	SAME(TAPE_VERSION, WIRE_VERSION);
}

static void in_memory(void **state)
{
	SIZE(tape_slot, wire_slot);
	AT(tape_slot, wire_slot, first);
	AT(tape_slot, wire_slot, ticks);
	AT(tape_slot, wire_slot, mono_ns);
	SIZE(tape_page, wire_page);
	AT(tape_page, wire_page, magic);
	AT(tape_page, wire_page, busy);
	AT(tape_page, wire_page, commit);
	AT(tape_page, wire_page, slot);
	AT(tape_page, wire_page, end_ticks);
	AT(tape_page, wire_page, end_ns);
	AT(tape_page, wire_page, id);
	AT(tape_page, wire_page, pid);
	AT(tape_page, wire_page, tid);
	AT(tape_page, wire_page, module);
	AT(tape_page, wire_page, next);
	AT(tape_page, wire_page, pre_len);
	AT(tape_page, wire_page, version);
	AT(tape_page, wire_page, clock);
	AT(tape_page, wire_page, flags);
	AT(tape_page, wire_page, end_seq);
	AT(tape_page, wire_page, too_deep);
	SAME(TAPE_PAGE_MAGIC, WIRE_PAGE_MAGIC);
	SAME(TAPE_PAGE_BYTES, WIRE_PAGE_BYTES);
	SAME(TAPE_DATA, WIRE_DATA);
	SAME(TAPE_DATA_END, WIRE_DATA_END);
	SAME(TAPE_PAGE_PRE_CUT, WIRE_PAGE_PRE_CUT);
	SAME(TAPE_PAGE_NAMED, WIRE_PAGE_NAMED);
}

static void records(void **state)
{
	AT(tape_ref, wire_ref, id);
	AT(tape_ref, wire_ref, module);
	AT(tape_ref, wire_ref, open_ns);
	AT(tape_ref, wire_ref, callsite);
	AT(tape_handle, wire_ref, id); /* the first 28 bytes of a handle are copied as a ref */
	AT(tape_handle, wire_ref, module);
	AT(tape_handle, wire_ref, open_ns);
	AT(tape_handle, wire_ref, callsite);
	SAME(TAPE_REF_BYTES, WIRE_REF_BYTES);
	SIZE(tape_imm, wire_imm);
	AT(tape_imm, wire_imm, mono_ns);
	AT(tape_imm, wire_imm, at);
	AT(tape_imm, wire_imm, page_id);
	AT(tape_imm, wire_imm, module);
	AT(tape_imm, wire_imm, pid);
	AT(tape_imm, wire_imm, tid);
	AT(tape_imm, wire_imm, bytes);
	AT(tape_imm, wire_imm, version);
	AT(tape_imm, wire_imm, flags);
	SAME(TAPE__HEAD(5, 2, 4000, 65532), WIRE_HEAD(5, 2, 4000, 65532));
	SAME(WIRE_HEAD_SIZE(TAPE__HEAD(5, 2, 4000, 65532)), 65532);
	SAME(TAPE_MAX_DEPTH, WIRE_MAX_DEPTH);
	SAME(TAPE_MAX_REC_BYTES, WIRE_MAX_REC_BYTES);
	SAME(TAPE_MAX_FIELDS, WIRE_MAX_FIELDS);
	SAME(TAPE_TEXT_TRUNCATED, WIRE_TEXT_TRUNCATED);
	SAME(TAPE_TEXT_NULL, WIRE_TEXT_NULL);
	SAME(TAPE_PRE_NO_FIELDS, WIRE_PRE_NO_FIELDS);
	SAME(TAPE_PRE_NUMBERED, WIRE_PRE_NUMBERED);
}

static void numbers(void **state)
{
	SAME(TAPE_T_EMPTY, WIRE_T_EMPTY);
	SAME(TAPE_T_BOOL, WIRE_T_BOOL);
	SAME(TAPE_T_I32, WIRE_T_I32);
	SAME(TAPE_T_U32, WIRE_T_U32);
	SAME(TAPE_T_I64, WIRE_T_I64);
	SAME(TAPE_T_U64, WIRE_T_U64);
	SAME(TAPE_T_I128, WIRE_T_I128);
	SAME(TAPE_T_U128, WIRE_T_U128);
	SAME(TAPE_T_F64, WIRE_T_F64);
	SAME(TAPE_T_STR, WIRE_T_STR);
	SAME(TAPE_T_BYTES, WIRE_T_BYTES);
	SAME(TAPE_T_PTR, WIRE_T_PTR);
	SAME(TAPE_T_ERROR, WIRE_T_ERROR);
	SAME(TAPE_LEVEL_TRACE, WIRE_TRACE);
	SAME(TAPE_LEVEL_DEBUG, WIRE_DEBUG);
	SAME(TAPE_LEVEL_INFO, WIRE_INFO);
	SAME(TAPE_LEVEL_WARN, WIRE_WARN);
	SAME(TAPE_LEVEL_ERROR, WIRE_ERROR);
	SAME(TAPE_SITE_EVENT, WIRE_SITE_EVENT);
	SAME(TAPE_SITE_SPAN, WIRE_SITE_SPAN);
	SAME(TAPE_PARENT_CURRENT, WIRE_PARENT_CURRENT);
	SAME(TAPE_PARENT_ROOT, WIRE_PARENT_ROOT);
	SAME(TAPE_PARENT_EXPLICIT, WIRE_PARENT_EXPLICIT);
	SAME(TAPE_R_BEGIN, WIRE_R_BEGIN);
	SAME(TAPE_R_END, WIRE_R_END);
	SAME(TAPE_R_EVENT, WIRE_R_EVENT);
	SAME(TAPE_R_OPEN, WIRE_R_OPEN);
	SAME(TAPE_R_ENTER, WIRE_R_ENTER);
	SAME(TAPE_R_EXIT, WIRE_R_EXIT);
	SAME(TAPE_R_CLONE, WIRE_R_CLONE);
	SAME(TAPE_R_DROP, WIRE_R_DROP);
	SAME(TAPE_R_VALUE, WIRE_R_VALUE);
	SAME(TAPE_R_FOLLOWS, WIRE_R_FOLLOWS);
	SAME(TAPE_R_NUMBER, WIRE_R_NUMBER);
	SAME(TAPE_R_THREAD_NAME, WIRE_R_THREAD_NAME);
	SAME(TAPE_R_PAUSE, WIRE_R_PAUSE);
	SAME(TAPE_R_PRE, WIRE_R_PRE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_file),
		cmocka_unit_test(in_memory),
		cmocka_unit_test(records),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
