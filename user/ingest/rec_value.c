/* SPDX-License-Identifier: MIT */
#include "ingest/rec.h"

#include <errno.h>
#include <string.h>

static int rec_value__take_text(struct rec_value *v, const u8 *payload, u32 bytes)
{
	struct rec_text t;

	if (!rec_text__at(&t, payload, bytes))
		return -EBADMSG;
	v->orig_bytes = t.orig_bytes;
	v->null = t.null;
	v->truncated = t.truncated;
	v->text = (const char *)t.data;
	v->text_bytes = t.bytes;
	return (int)t.used;
}

int rec_value__take(struct rec_value *v, u8 type, const u8 *payload, u32 bytes)
{
	u32 narrow = 0, need;

	memset(v, 0, sizeof(*v));
	v->type = type;
	switch (type) {
	case WIRE_T_EMPTY:
		v->null = true;
		return 0;
	case WIRE_T_BOOL:
	case WIRE_T_U32:
	case WIRE_T_I32:
		need = 4;
		break;
	case WIRE_T_I64:
	case WIRE_T_U64:
	case WIRE_T_F64:
	case WIRE_T_PTR:
		need = 8;
		break;
	case WIRE_T_I128:
	case WIRE_T_U128:
		need = 16;
		break;
	case WIRE_T_STR:
	case WIRE_T_BYTES:
	case WIRE_T_ERROR:
		return rec_value__take_text(v, payload, bytes);
	default:
		return -EBADMSG;
	}
	if (bytes < need)
		return -EBADMSG;
	if (need > 4) {
		memcpy(v->wide, payload, need); /* the union's members start at the same byte */
		return need;
	}
	memcpy(&narrow, payload, 4);
	if (type == WIRE_T_I32)
		v->i = (s32)narrow;
	else
		v->u = type == WIRE_T_BOOL ? !!narrow : narrow;
	return need;
}
