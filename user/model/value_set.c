/* SPDX-License-Identifier: MIT */
#include "model/value_set.h"

#include <string.h>

static bool has_text(const struct value *v)
{
	return v->type == WIRE_T_STR || v->type == WIRE_T_BYTES || v->type == WIRE_T_ERROR;
}

static void free_value(const struct value_set *s, const struct value *v)
{
	if (has_text(v) && !(v->text >= s->room && v->text < s->room + sizeof(s->room)))
		free((void *)v->text);
}

static bool copy_value(struct value_set *s, struct value *to, const struct value *v)
{
	u32 bytes = has_text(v) && v->text ? v->text_bytes : 0;
	char *text = NULL;

	*to = *v;
	if (!has_text(v))
		return true;
	if (bytes && bytes <= sizeof(s->room) - s->room_used) {
		text = s->room + s->room_used;
		s->room_used += bytes;
	} else if (bytes) {
		text = malloc(bytes);
		if (!text)
			return false;
	}
	to->text_bytes = bytes;
	to->text = bytes ? memcpy(text, v->text, bytes) : NULL;
	return true;
}

/* Room for one more. NULL: no memory. */
static struct value *more_values(struct value_set *s)
{
	struct value *more;

	if (s->cnt < VALUE_SET_FEW)
		return &s->few[s->cnt];
	more = realloc(s->value == s->few ? NULL : s->value, (s->cnt + 1) * sizeof(*more));
	if (!more)
		return NULL;
	if (s->value == s->few)
		memcpy(more, s->few, sizeof(s->few));
	s->value = more;
	return &more[s->cnt];
}

bool value_set__put(struct value_set *s, const struct value *v)
{
	struct value new, *place;
	u32 i = 0;

	if (!copy_value(s, &new, v))
		return false;
	while (i < s->cnt && s->value[i].field != v->field)
		i++;
	place = i < s->cnt ? &s->value[i] : more_values(s);
	if (!place) {
		free_value(s, &new);
		return false;
	}
	if (i < s->cnt)
		free_value(s, place);
	else
		s->cnt++;
	*place = new;
	return true;
}

void value_set__done(struct value_set *s)
{
	for (u32 i = 0; i < s->cnt; i++)
		free_value(s, &s->value[i]);
	if (s->value != s->few)
		free(s->value);
}
