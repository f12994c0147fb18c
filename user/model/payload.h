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

/* Where in the payloads of a callsite a field is, if only such numbers stand before it; -1: there is no telling. */
int payload__offset(const struct callsite *c, u32 field);

/*
 * 1: *v is it (a text is not copied). 0: it is unset, or `c` has no such. -EBADMSG: the payload is malformed in it or before, so the model
 * will have no value. Pure.
 */
int payload__value(const struct rec_payload *p, const struct callsite *c, u32 field, struct value *v);

#endif
