/* SPDX-License-Identifier: MIT */
/*
 * fuzz_trigger - any text as a trigger. Either it is refused with a column within the text and a reason, or a short stream
 * passes it: what it says of what fired is one line of printable UTF-8.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "flight/trigger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void demand(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_trigger: %s\n", what);
	abort();
}

static void on_fired(void *ctx, const struct trigger_fired *f)
{
	size_t n = strlen(f->what);

	demand(!strcmp(f->trigger, ctx), "another text than it was given");
	demand(n && n < 1024 && text__is_utf8(f->what, n) && !strpbrk(f->what, "\n\r\t\x1b"), "what fired is no line of text");
}

static struct callsite work = {
	.id = 1, .is_span = 1, .level = WIRE_WARN, .name = "work", .target = "app", .module = "", .file = "a.c",
	.field_cnt = 2, .field = {{"a", WIRE_T_U64}, {"b", WIRE_T_STR}},
};
static struct callsite said = {
	.id = 65, .level = WIRE_ERROR, .name = "said", .target = "app", .module = "m", .file = "",
	.field_cnt = 2, .field = {{"a", WIRE_T_U64}, {"b", WIRE_T_STR}},
};

static void stream(struct trigger_set *s)
{
	const struct value values[] = {
		{.field = 0, .type = WIRE_T_U64, .u = 500},
		{.field = 1, .type = WIRE_T_STR, .text = "\x1b[1m\n\xff", .text_bytes = 6},
	};
	struct process p = {.pid = 5, .comm = "a\tb"};
	struct thread t = {.tid = 6, .name = "t", .process = &p};
	struct span_open o = {.span = 1, .callsite = &work, .time_ns = 10, .thread = &t, .value = values, .value_cnt = 2};
	struct event e = {.callsite = &said, .time_ns = 20, .thread = &t, .value = values, .value_cnt = 2};
	struct sink k = trigger_set__sink(s);

	k.ops->span_open(k.ctx, &o);
	k.ops->span_enter(k.ctx, 1, &t, 11);
	k.ops->event(k.ctx, &e);
	trigger_set__tick(s, 40 * NSEC_PER_SEC);
	k.ops->span_value(k.ctx, 1, &work, &values[1], &t, 12);
	k.ops->span_exit(k.ctx, 1, &t, 60 * NSEC_PER_SEC, SINK_OWN);
	k.ops->span_close(k.ctx, 1, 90 * NSEC_PER_SEC, 90 * NSEC_PER_SEC, SINK_OWN);
	trigger_set__process_end(s, 5, "a\tb", 11, true, 100);
	trigger_set__signal(s, 110);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct expr_error err = {.column = ~0u};
	struct trigger_set *s;
	char *text;

	if (memchr(data, '\0', bytes) || (memmem(data, bytes, "=~", 2) && (memchr(data, '{', bytes) || memchr(data, '*', bytes) || memchr(data, '+', bytes))))
		return 0; /* see fuzz_expr */
	text = strndup((const char *)data, bytes);
	s = trigger_set__new(on_fired, text);
	if (trigger_set__add(s, text, &err)) {
		demand(err.column <= bytes, "the column is not in the text");
		demand(err.text[0] && memchr(err.text, 0, sizeof(err.text)), "refused without a reason");
	} else {
		stream(s);
	}
	trigger_set__free(s);
	free(text);
	return 0;
}
