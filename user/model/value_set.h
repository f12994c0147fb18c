/* SPDX-License-Identifier: MIT */
/*
 * value_set.h - the values of a span by now, copied: the last one of each field counts. Few and short ones need no heap.
 */
#ifndef TAPEBPF_VALUE_SET_H
#define TAPEBPF_VALUE_SET_H

#include "model/sink.h"

#define VALUE_SET_FEW 4	       /* without the heap */
#define VALUE_SET_ROOM_BYTES 64 /* of their texts */

struct value_set {
	u32 cnt, room_used;
	struct value *value; /* few, or on the heap; their texts in room, or on the heap */
	struct value few[VALUE_SET_FEW];
	char room[VALUE_SET_ROOM_BYTES];
};

/* In place, member by member: the rest is not worth clearing. A set must not be moved. */
static inline void value_set__init(struct value_set *s)
{
	s->cnt = s->room_used = 0;
	s->value = s->few;
}

void value_set__done(struct value_set *s);
/* false: no memory, and the value of that field is what it was. */
bool value_set__put(struct value_set *s, const struct value *v);

#endif
