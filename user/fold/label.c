/* SPDX-License-Identifier: MIT */
#include "fold/label.h"

#include "base/text.h"
#include "export/value_text.h"

#include <stdio.h>

bool label__value(char *dst, size_t dst_bytes, const struct value *v)
{
	char scalar[VALUE_SCALAR_MAX];

	if (v->flags & VALUE_UNREADABLE || v->type == WIRE_T_EMPTY)
		return false;
	if (v->type == WIRE_T_STR || v->type == WIRE_T_BYTES || v->type == WIRE_T_ERROR) {
		text__clean(dst, dst_bytes, v->text, v->text_bytes);
		return true;
	}
	value__scalar(scalar, v);
	snprintf(dst, dst_bytes, "%s", scalar);
	return true;
}
