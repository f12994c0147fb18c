/* SPDX-License-Identifier: MIT */
/* payload.h - one field of a record of tape.h, read where it stands: what the model makes of it when the record comes. */
#ifndef TAPEBPF_PAYLOAD_H
#define TAPEBPF_PAYLOAD_H

#include "ingest/rec.h"
#include "model/sink.h"

/*
 * 1: *v is it (a text is not copied). 0: it is unset, or `c` has no such. -EBADMSG: the payload is malformed in it or before, so the model
 * will have no value. Pure.
 */
int payload__value(const struct rec_payload *p, const struct callsite *c, u32 field, struct value *v);

#endif
