/* SPDX-License-Identifier: MIT */
/*
 * tape_reader.h - a tape read back as the data model, streaming: memory grows with what is open at one time (spans,
 * threads, callsites), never with the length of the tape.
 *
 * Reads tapes of tapebpf and of the upstream recorder, whole, cut or damaged: a violation is counted, reported to
 * `defect`, reading goes on at the next chapter; nothing in a file can make it fail other than a wrong intro.
 * The synthetic records of the compatibility procedures are undone. Not thread-safe.
 */
#ifndef TAPEBPF_TAPE_READER_H
#define TAPEBPF_TAPE_READER_H

#include "base/diag.h"
#include "model/sink.h"

struct tape_reader;

struct tape_intro {
	u8 major, minor, exponent;
	s64 base_unix_ns; /* clamped to what s64 holds */
};

/* Of a record's time, which counts from the intro's. Clamped. */
static inline s64 tape_intro__unix_ns(const struct tape_intro *intro, s64 time)
{
	s64 sum;

	if (__builtin_add_overflow(intro->base_unix_ns, time, &sum))
		return intro->base_unix_ns < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* A raw record and where it stands. */
struct tape_raw {
	u64 offset; /* in the file */
	u8 kind;
	u32 bytes; /* header included */
	const u8 *data; /* from the header on */
};

enum tape_defect_kind {
#define DEFECT(number, name, label, text) TAPE_DEFECT_##name = number,
#include "tape/defects.def"
#undef DEFECT
	TAPE_DEFECT_MAX
};

struct tape_defect {
	enum tape_defect_kind kind;
	u64 offset;
	char text[256];
};

struct tape_reader_ops {
	/* each may be NULL */
	int (*raw)(void *ctx, const struct tape_raw *r);
	void (*defect)(void *ctx, const struct tape_defect *d);
	bool no_values; /* the sink does not look at values of spans: they are left out, and not judged either */
	void *ctx;
};

/*
 * Open a tape ("-": standard input). Times of the sink calls are ns since the intro's base plus `time_offset`, which the
 * reader chooses so that they are positive: tape_reader__unix_ns converts.
 * -ENOEXEC: no tape, or of an unknown major version.
 */
int tape_reader__open(const char *path, const struct tape_reader_ops *ops, struct tape_reader **out, struct diag *d);
void tape_reader__free(struct tape_reader *r);
const struct tape_intro *tape_reader__intro(const struct tape_reader *r);

/* Read on, calling the sink (may have NULL members) for about `bytes` more of the file; 0: to the end. Returns 1 if there
 * is more, 0 at the end (everything open has been closed with SINK_CUT), negative errno on I/O errors or from the sink. */
int tape_reader__run(struct tape_reader *r, const struct sink *sink, u64 bytes);

/* The time of the next record, the latest so far if it has none (0: none so far): what a merge of several tapes goes by. 1, 0 at the end
 * (what is open is still to be closed by run), negative errno. What waited only for that record to be there is told to run's sink. */
int tape_reader__peek(struct tape_reader *r, u64 *time_ns);

s64 tape_reader__unix_ns(const struct tape_reader *r, u64 time_ns);
u64 tape_reader__time_ns(const struct tape_reader *r, s64 unix_ns); /* the other way round */
u64 tape_reader__offset(const struct tape_reader *r); /* bytes read */
u64 tape_reader__size(const struct tape_reader *r);   /* of the file, 0: unknown (pipe) */

struct tape_totals {
	bool present; /* the recording was finished properly */
	u64 emitted, stored, lost;
	u64 loss_records;      /* sum of the LOSS records */
	u64 records, spans, events;
	u64 defects;
	bool checksum_present, checksum_ok;
	bool cut_off; /* what its recorder had left when it was killed: nothing but what is lost is missing before */
	s64 complete_unix_ns;
};
void tape_reader__totals(const struct tape_reader *r, struct tape_totals *t);

#endif
