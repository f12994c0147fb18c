/* SPDX-License-Identifier: MIT */
/* payload.h - one field of a record of tape.h, read where it stands: what the model makes of it when the record comes. */
#ifndef TAPEBPF_PAYLOAD_H
#define TAPEBPF_PAYLOAD_H

#include "ingest/rec.h"
#include "model/sink.h"

#include <string.h>

/* Bytes in records of the types that are numbers of one size; 0: the others. */
static inline u32 payload__number_bytes(u8 type)
{
	static const u8 bytes[] = {
		[WIRE_T_BOOL] = 4, [WIRE_T_I32] = 4, [WIRE_T_U32] = 4, [WIRE_T_I64] = 8,
		[WIRE_T_U64] = 8,  [WIRE_T_F64] = 8, [WIRE_T_PTR] = 8, [WIRE_T_ERROR] = 0,
	};

	return type <= WIRE_T_ERROR ? bytes[type] : 0;
}

/* The bits of such a number, as wide as a struct value has it. */
static inline u64 payload__number(const u8 *data, u8 type)
{
	u32 narrow;
	u64 wide;

	if (payload__number_bytes(type) == 8) {
		memcpy(&wide, data, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, data, sizeof(narrow));
	return type == WIRE_T_I32 ? (u64)(s32)narrow : type == WIRE_T_BOOL ? !!narrow : narrow;
}

/*
 * Where in the payloads of a callsite a field is: `at` bytes from the beginning, if no text stands before it; else that many up to the
 * first of texts, and behind each of those gap[] up to the next one, or the field.
 */
#define PAYLOAD_TEXTS 4
struct payload_place {
	s16 at; /* -1: more texts than that, or types that are not known, stand before it */
	u8 text_cnt;
	u16 gap[PAYLOAD_TEXTS];
};

struct payload_place payload__place(const struct callsite *c, u32 field);

/* The offset in a payload, whatever stands there. false: the payload is malformed before it. */
static inline bool payload__seek(const struct payload_place *place, const struct rec_payload *p, u32 *at)
{
	struct rec_text t;

	*at = (u32)place->at;
	for (u32 i = 0; i < place->text_cnt; i++) {
		if (*at > p->bytes || !rec_text__at(&t, p->data + *at, p->bytes - *at))
			return false;
		*at += t.used + place->gap[i];
	}
	return *at <= p->bytes;
}

/*
 * 1: *v is it (a text is not copied). 0: it is unset, or `c` has no such. -EBADMSG: the payload is malformed in it or before, so the model
 * will have no value. Pure.
 */
int payload__value(const struct rec_payload *p, const struct callsite *c, u32 field, struct value *v);

#endif
