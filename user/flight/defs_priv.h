/* SPDX-License-Identifier: MIT */
/* defs_priv.h - a definition in its file: what writing and reading share. */
#ifndef TAPEBPF_DEFS_PRIV_H
#define TAPEBPF_DEFS_PRIV_H

#include "base/crc32c.h"
#include "flight/defs.h"

#define DEFS_MAGIC 0x46454454u /* "TDEF" */
#define DEFS_MAX_TEXT 4096

struct defs_head {
	u32 magic, kind, bytes, crc;
};

static inline u32 defs__crc(const struct defs_head *h, const void *payload)
{
	return crc32c(crc32c(crc32c(0, &h->kind, 4), &h->bytes, 4), payload, h->bytes);
}

#endif
