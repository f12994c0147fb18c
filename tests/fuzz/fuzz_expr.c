/* SPDX-License-Identifier: MIT */
/*
 * fuzz_expr - any text as an expression. Either it is refused with a column within the text and a reason, or it says the same
 * of a span and an event each time, with a plan and without, and never contradicts what it says of their callsites.
 */
#include <stdio.h>
#include <string.h>

#include "expr/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void demand(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_expr: %s\n", what);
	abort();
}

static struct callsite work = {
	.id = 1, .is_span = 1, .level = WIRE_WARN, .line = 7, .name = "work", .target = "app", .module = "", .file = "a.c",
	.field_cnt = 4, .field = {{"a", WIRE_T_U64}, {"b", WIRE_T_STR}, {"c", WIRE_T_F64}, {"d", WIRE_T_BOOL}},
};
static struct callsite said = {
	.id = 65, .level = WIRE_INFO, .name = "said", .target = "app", .module = "m", .file = "",
	.field_cnt = 2, .field = {{"b", WIRE_T_STR}, {"a", WIRE_T_I64}},
};

static void look(struct expr *e, const struct expr_subject *s)
{
	bool first = expr__match(e, s);
	enum expr_verdict v = expr__callsite(e, s->callsite);

	demand(v == EXPR_MAYBE || (v == EXPR_ALWAYS) == first, "the verdict contradicts the match");
	demand(expr__match(e, s) == first, "not the same the second time");
	expr__forget(e);
	demand(expr__match(e, s) == first, "not the same with a new plan");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct value values[] = {
		{.field = 0, .type = WIRE_T_U64, .u = 500}, {.field = 1, .type = WIRE_T_STR, .text = "/api", .text_bytes = 4},
		{.field = 2, .type = WIRE_T_F64, .f = 0.0 / 0.0}, {.field = 3, .type = WIRE_T_BOOL, .u = 1},
	};
	const struct value other[] = {
		{.field = 0, .type = WIRE_T_STR, .text = "12", .text_bytes = 2}, {.field = 1, .type = WIRE_T_I64, .i = -1},
	};
	struct process p = {.pid = 5, .comm = "app"};
	struct thread t = {.tid = 6, .name = "t", .process = &p};
	struct expr_subject span = {.callsite = &work, .thread = &t, .value = values, .value_cnt = 4, .timed = true,
				    .duration_ns = 1000000, .busy_ns = 1000};
	struct expr_subject event = {.callsite = &said, .value = other, .value_cnt = 2};
	struct expr_error err = {.column = ~0u};
	struct expr *e;

	/* what repeated repetitions cost in regcomp and regexec is libc's business, and the user's own */
	if (bytes > 1 && memmem(data, bytes, "=~", 2) && (memchr(data, '{', bytes) || memchr(data, '*', bytes) || memchr(data, '+', bytes)))
		return 0;
	e = expr__new((const char *)data, bytes, &err);
	if (!e) {
		demand(err.column <= bytes, "the column is not in the text");
		demand(err.text[0] && memchr(err.text, 0, sizeof(err.text)), "refused without a reason");
		return 0;
	}
	look(e, &span);
	look(e, &event);
	expr__free(e);
	return 0;
}
