/* SPDX-License-Identifier: MIT */
/*
 * rotation.h - a recording on many tapes, one after the other: by size or time, the oldest deleted.
 *
 * Each tape stands alone. A turn is a moment of the stream: what is open then is closed in the old tape (marked as cut) and
 * opened in the new one (marked as open before, with its true opening time and values). Nothing is lost or doubled.
 * Names are NAME_TIME.tape, the time that of the turn in UTC, so that they sort; NAME.latest is a link to the newest.
 */
#ifndef TAPEBPF_ROTATION_H
#define TAPEBPF_ROTATION_H

#include "session/session.h"
#include "session/tapes.h"

struct rotation;

struct rotation_opts {
	struct tapes_opts tapes; /* path: NAME.tape */
	u64 bytes;		 /* turn when a tape is so large, and half of it at least not told again; 0: never */
	u64 ns;			 /* turn after so long; 0: never */
	u32 keep_files;		 /* of this recording, the current one included; 0: all */
	u64 keep_bytes;
};

int rotation__open(const struct rotation_opts *o, const struct clock_pair *now, struct rotation **out, struct diag *d);
void rotation__free(struct rotation *r);

struct sink rotation__sink(struct rotation *r);
/* The tapes of now; others after a turn. */
struct tapes *rotation__tapes(struct rotation *r);

/* What one tape holds: emitted = stored + lost. */
struct rotation_part {
	u64 emitted, stored, lost;
};

/*
 * Is it time? To be asked each round, and as session_opts.turn: *rotation__grown is set by the record that makes the tape as large as it may
 * get, and now and then by others.
 */
bool *rotation__grown(struct rotation *r);
bool rotation__due(const struct rotation *r, u64 now_ns);
/*
 * Turn. The old tapes are finished, and among the earlier ones of the new (tapes.h); *part is what they hold. On an error
 * that kept the new one from being opened the old one goes on, and it is due again a second later.
 */
int rotation__turn(struct rotation *r, struct session *s, struct rotation_part *part, struct diag *d);
/* Delete what is too much by now, or would be with the next 64 KiB. The first error of this recording, once, with *d filled. */
int rotation__trim(struct rotation *r, struct diag *d);

/* Of the last tape, given the totals of the recording. */
struct rotation_part rotation__rest(const struct rotation *r, u64 emitted, u64 stored, u64 lost);
/* Nothing was recorded: take the link away. */
void rotation__drop_link(const struct rotation *r);

/* "dir/name.tape" and a time -> "dir/name_20231114T221320.123Z.tape"; malloc'ed, NULL: no memory. */
char *rotation__name(const char *path, s64 unix_ns);
/* "dir/name.tape" -> "dir/name.latest" */
char *rotation__link_name(const char *path);

#endif
