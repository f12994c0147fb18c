/* SPDX-License-Identifier: MIT */
/* expr_story.h - a span and an event for the tests of expressions. */
#ifndef TAPEBPF_EXPR_STORY_H
#define TAPEBPF_EXPR_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "expr/expr.h"

#include <string.h>

#define STORY_TEXT(n, s) {.field = n, .type = WIRE_T_STR, .text = s, .text_bytes = sizeof(s) - 1}

static struct callsite story_order = {
	.id = 1,
	.is_span = 1,
	.level = WIRE_INFO,
	.line = 42,
	.name = "order",
	.target = "shop::api",
	.module = "shop",
	.file = "src/shop.c",
	.field_cnt = 13,
	.field = {{"code", WIRE_T_U64}, {"path", WIRE_T_STR}, {"ok", WIRE_T_BOOL}, {"ratio", WIRE_T_F64},
		  {"delta", WIRE_T_I64}, {"at", WIRE_T_PTR}, {"name", WIRE_T_STR}, {"gone", WIRE_T_U64},
		  {"hash", WIRE_T_U128}, {"http.method", WIRE_T_STR}, {"raw", WIRE_T_BYTES}, {"why", WIRE_T_ERROR},
		  {"torn", WIRE_T_STR}},
};

static const struct value story_values[] = {
	{.field = 0, .type = WIRE_T_U64, .u = 500},
	STORY_TEXT(1, "/api/orders"),
	{.field = 2, .type = WIRE_T_BOOL, .u = 1},
	{.field = 3, .type = WIRE_T_F64, .f = 0.25},
	{.field = 4, .type = WIRE_T_I64, .i = -7},
	{.field = 5, .type = WIRE_T_PTR, .u = 0xbeef},
	STORY_TEXT(6, "Ada"),
	{.field = 8, .type = WIRE_T_U128, .wide = {1, 1}},
	STORY_TEXT(9, "GET"),
	{.field = 10, .type = WIRE_T_BYTES, .text = "a\0b", .text_bytes = 3},
	{.field = 11, .type = WIRE_T_ERROR, .text = "disk full", .text_bytes = 9},
	{.field = 12, .type = WIRE_T_STR, .flags = VALUE_UNREADABLE},
};

static struct callsite story_said = {
	.id = 2,
	.level = WIRE_ERROR,
	.name = "event src/shop.c:50",
	.target = "shop",
	.module = "",
	.file = "",
	.field_cnt = 2,
	.field = {{"message", WIRE_T_STR}, {"n", WIRE_T_STR}},
};

static const struct value story_said_values[] = {STORY_TEXT(0, "cannot pay"), STORY_TEXT(1, "12.5")};

static struct process story_process = {.uid = 1, .pid = 4711, .comm = "shopd"};
static struct thread story_worker = {.uid = 2, .tid = 4712, .name = "worker-1", .process = &story_process};

static const struct expr_subject story_span = {
	.callsite = &story_order,
	.thread = &story_worker,
	.value = story_values,
	.value_cnt = ARRAY_SIZE(story_values),
	.timed = true,
	.duration_ns = 60 * NSEC_PER_MSEC,
	.busy_ns = 20 * NSEC_PER_MSEC,
};

static const struct expr_subject story_event = {
	.callsite = &story_said,
	.thread = &story_worker,
	.value = story_said_values,
	.value_cnt = ARRAY_SIZE(story_said_values),
};

#endif
