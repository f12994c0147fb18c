/* SPDX-License-Identifier: MIT */
/* Another C translation unit of test_mixed's module, with settings of its own. */
#define TAPE_PROVIDER th_part
#define TAPE_TARGET "part::target"
#define TAPE_MODULE "part::module"
#define TAPE_MAX_STR 8
#include <tape.h>

const void *part_module(void);
const void *part_page(void);
void part_record(void);

const void *part_module(void)
{
	return &tape_1_module;
}

const void *part_page(void)
{
	return tape_1_tls.page;
}

void part_record(void)
{
	tape_event(WARN, "part", (s, "0123456789"));
}
