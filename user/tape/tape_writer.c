/* SPDX-License-Identifier: MIT */
/*
 * Writing a tape that is whole at every instruction.
 *
 * Problem. A recorder is killed at any time, and the upstream parser panics on a torn record: a
 * length that leaves
 * the file, half a body behind a whole header, an EVENT whose values are missing and another EVENT
 * behind it. A plain
 * write(2) of a buffer is torn by SIGKILL at any page. So is a copy into a shared mapping.
 *
 * Design. Free space is zero bytes, which every reader takes for NOOPs. Appended records gather in memory, in
 * `stage`, as regions of at most 65,535 bytes. What is staged becomes visible by these writes:
 *
 *   1. four bytes: the header of a SKIP record as long as the first region: the file is whole, with one void record;
 *   2. all that is staged from its fifth byte on, with such a cover at the start of each region: torn or not (what
 *      comes out of a write is a prefix of it), the covers hide it;
 *   3. for each region in turn its own first four bytes, over its cover: all its records appear at once.
 *
 * The 4-byte writes lie in one page (regions start at multiples of 4), and the kernel copies such a piece under the
 * page's lock without looking for signals: it is there or it is not. The space is allocated (and the file as long)
 * before the first of them, so that a cover never points beyond the file and a full disk is an error of append, not of
 * a write that is under way. A group of records that is larger than a region is cut between records and published
 * region by region: each prefix of a tape is a tape.
 *
 * Several regions in one write, because the page cache takes 256 KiB at a third of the price of four times 64 KiB: it
 * uses large folios then (ext4, Linux 6.18: 0.14 against 0.32 ns a byte; 1 MiB would be 0.11, and leaves the caches).
 *
 * Rejected: a shared mapping of the file, with the same cover. It saves the system calls, but
 * costs a page fault with the file
 * system's page_mkwrite for each 4 KiB: measured on ext4 105-125 ns for 128 bytes, whatever the
 * way of populating it,
 * against 48 ns for these writes (tmpfs: 73-101 against 60). And a file that somebody cuts is
 * SIGBUS.
 *
 * Invariants:
 *   - bytes [0, pos) of the file are final; bytes from pos on are zero, or covered at pos;
 *   - pos + what is staged <= allocated; ordinary appends leave RESERVE bytes of that for exits and closes;
 *   - no record crosses a chapter's border (chapter k starts at INTRO + k * chapter);
 *   - the file has its name only after the intro and the first allocation are in it.
 */
#include "tape/tape_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/crc32c.h"
#include "base/text.h"
#include "tape/tape_file.h"
#include "tape/tape_format.h"

#define REGION_MAX TAPE_MAX_RECORD
#define STAGE_BYTES (256 * 1024)
#define REGIONS 16 /* two neighbours are larger than REGION_MAX, so there are fewer */
#define RESERVE (256 * 1024)
#define STEP (1024 * 1024) /* allocate so much at a time */

struct tape_writer {
	int fd;
	char *path;
	struct tape_writer_opts opts;
	u64 pos;	/* where the stage goes */
	u64 allocated; /* file offset */
	struct tape_stage st; /* behind what is staged; left: for ordinary appends without a further look */
	bool full;    /* allocation failed since the last publish: do not ask again at each record */
	int dead;     /* a group was cut in half by an I/O error: no more records */
	int error;    /* first error that made records missing */
	u32 crc;
	u64 crc_pos;
	u32 region[REGIONS]; /* where in the stage they start; the last one is being filled */
	u32 region_cnt;
	_Alignas(8) u8 stage[STAGE_BYTES + 4]; /* a write that is torn where our own pages meet tears no cover */
};

/* --- space ----------------------------------------------------------------------------------------------- */

static u64 chapter_end(const struct tape_writer *w, u64 pos)
{
	u64 chapter = w->opts.chapter_bytes;

	return TAPE_INTRO_BYTES + ((pos - TAPE_INTRO_BYTES) / chapter + 1) * chapter;
}

/* Zeros up to `end`, really allocated. Takes less than a whole STEP where the disk has no more. */
static int allocate(struct tape_writer *w, u64 end)
{
	int err = 0;

	while (w->allocated < end) {
		u64 want = MAX(end, w->allocated + STEP);

		err = tape_file__allocate(w->fd, w->allocated, want - w->allocated);
		if (err && want > end)
			err = tape_file__allocate(w->fd, w->allocated, (want = end) - w->allocated);
		if (err)
			return err;
		w->allocated = want;
	}
	return 0;
}

static size_t staged(const struct tape_writer *w)
{
	return w->st.at - w->stage;
}

/* How much the region that starts at `start` may hold. Computed when it starts or space was added. */
static size_t region_room(const struct tape_writer *w, u64 start, u64 reserve)
{
	u64 end = MIN(chapter_end(w, start), start + REGION_MAX), mark = w->opts.mark_bytes;
	u64 usable = w->allocated > reserve ? w->allocated - reserve : 0;

	end = MIN(end, MIN(usable, w->pos + STAGE_BYTES));
	if (start < mark && mark < end)
		end = mark; /* the next append beyond it goes the slow way, where `grown` is set */
	return end > start ? end - start : 0;
}

/* --- publication ----------------------------------------------------------------------------------------- */

static void crc_to(struct tape_writer *w, u64 pos)
{
	static const u8 zero[4096];

	while (w->crc_pos < pos) {
		size_t n = MIN(pos - w->crc_pos, sizeof(zero));

		w->crc = crc32c(w->crc, zero, n);
		w->crc_pos += n;
	}
}

/* Where a region can start that is not to start before pos: a 4-byte write has to stay within one page, and a cover
 * has to fit into its chapter. */
static u64 region_start(const struct tape_writer *w, u64 pos)
{
	pos = ALIGN_UP(pos, 4);
	return chapter_end(w, pos) - pos < 4 ? chapter_end(w, pos) : pos;
}

static void begin_region(struct tape_writer *w, u8 *at, u64 start)
{
	w->st = (struct tape_stage){ .at = at, .left = region_room(w, start, RESERVE) };
	if (w->opts.grown)
		*w->opts.grown = true;
}

static void begin_stage(struct tape_writer *w, u64 pos)
{
	w->pos = region_start(w, pos);
	w->region[0] = 0;
	w->region_cnt = 1;
	begin_region(w, w->stage, w->pos);
}

/* The region being filled ends, another one begins behind it in the stage. */
static void add_region(struct tape_writer *w, u64 start)
{
	size_t at = start - w->pos;

	memset(w->st.at, 0, w->stage + at - w->st.at);
	w->region[w->region_cnt++] = at;
	begin_region(w, w->stage + at, start);
}

/* The first of a region. What uses the reserve may leave no room for ordinary ones. */
static void stage(struct tape_writer *w, const void *records, size_t bytes)
{
	memcpy(w->st.at, records, bytes);
	w->st.at += bytes;
	w->st.left -= MIN(bytes, w->st.left);
}

/* Put covers over the regions' first words; those go to `word`. */
static void cover(struct tape_writer *w, size_t bytes, u8 word[REGIONS][4])
{
	for (u32 i = 0; i < w->region_cnt; i++) {
		u8 *at = w->stage + w->region[i];
		size_t len = (i + 1 < w->region_cnt ? w->region[i + 1] : bytes) - w->region[i];

		/* up to three zeros before the next one may be beyond its reach: they hide nothing */
		len = MIN(len, REGION_MAX);
		memcpy(word[i], at, 4);
		memcpy(at, (u8[]){ TAPE_X_SKIP, len & 0xff, len >> 8, 0 }, 4);
	}
}

static void uncover(struct tape_writer *w, u8 word[REGIONS][4])
{
	for (u32 i = 0; i < w->region_cnt; i++)
		memcpy(w->stage + w->region[i], word[i], 4);
}

/* The writes of the essay. */
static int write_stage(struct tape_writer *w, size_t bytes)
{
	u8 word[REGIONS][4];
	int err;

	cover(w, bytes, word);
	err = tape_file__write(w->fd, w->stage, 4, w->pos);
	if (!err && bytes > 4)
		err = tape_file__write(w->fd, w->stage + 4, bytes - 4, w->pos + 4);
	uncover(w, word);
	for (u32 i = 0; i < w->region_cnt && !err; i++)
		err = tape_file__write(w->fd, word[i], 4, w->pos + w->region[i]);
	return err;
}

/* What cannot be written stays staged, and is tried again. */
static int publish(struct tape_writer *w)
{
	/* a region of less than 4 bytes (one empty extension record) takes a NOOP or so along */
	size_t have = staged(w), bytes = MAX(have, w->region[w->region_cnt - 1] + 4);
	int err;

	if (!have)
		return 0;
	memset(w->stage + have, 0, bytes - have);
	err = write_stage(w, bytes);
	if (err)
		return err;

	crc_to(w, w->pos);
	w->crc = crc32c(w->crc, w->stage, bytes);
	w->crc_pos = w->pos + bytes;
	begin_stage(w, w->pos + bytes);
	return 0;
}

void tape_writer__publish(struct tape_writer *w)
{
	/* an error is seen again by the append that finds the stage full, and by close */
	publish(w);
	w->full = false;
}

/* --- appending ------------------------------------------------------------------------------------------- */

/* How many of the bytes, in whole records, fit into `room`. */
static size_t whole_records(const u8 *p, size_t bytes, size_t room)
{
	size_t n = 0;

	while (n < bytes) {
		size_t len = p[n] == TAPE_NOOP ? 1 : p[n + 1] | (size_t)p[n + 2] << 8;

		if (n + len > room)
			break;
		n += len;
	}
	return n;
}

/* Space that a group takes: any two neighbouring regions hold more than REGION_MAX of it, each starts aligned. */
static u64 group_need(size_t bytes)
{
	return bytes <= REGION_MAX ? MAX(bytes, 4) : bytes + 3 * (2 * (bytes / REGION_MAX) + 1);
}

static int make_room(struct tape_writer *w, u64 end, u64 reserve)
{
	int err;

	if (end + reserve <= w->allocated)
		return 0;
	if (w->full)
		return -ENOSPC;
	err = allocate(w, end + reserve);
	w->full = err;
	return err;
}

/* Can a group follow in the stage, in a region of its own? */
static bool fits_stage(const struct tape_writer *w, u64 start, size_t bytes)
{
	return bytes <= REGION_MAX && w->region_cnt < REGIONS && start + MAX(bytes, 4) <= w->pos + STAGE_BYTES &&
	       start + MAX(bytes, 4) <= chapter_end(w, w->pos);
}

/* Start a region from which the whole group finds room in one chapter, allocated. */
static int prepare(struct tape_writer *w, size_t bytes, u64 reserve)
{
	u64 start = region_start(w, w->pos + staged(w)), need = group_need(bytes);
	int err;

	if (staged(w) && fits_stage(w, start, bytes)) {
		err = make_room(w, start + need, reserve);
		if (!err)
			add_region(w, start);
		return err;
	}
	err = publish(w);
	if (err)
		return err;
	start = w->pos;
	if (start + need > chapter_end(w, start))
		start = chapter_end(w, start);
	err = make_room(w, start + need, reserve);
	if (!err)
		begin_stage(w, start);
	return err;
}

static int append_slowly(struct tape_writer *w, const u8 *p, size_t bytes, u64 reserve)
{
	int err;

	if (w->dead)
		return w->dead;
	if (bytes > tape_writer__max_append(w))
		return -EMSGSIZE;
	err = prepare(w, bytes, reserve);
	if (err)
		return err;

	while (bytes) {
		size_t n = bytes <= REGION_MAX ? bytes : whole_records(p, bytes, REGION_MAX);

		stage(w, p, n);
		p += n;
		bytes -= n;
		/* half a group in the file: nothing may follow it (an event without its values) */
		if (bytes && (err = publish(w)))
			return w->dead = err;
	}
	return 0;
}

static int append(struct tape_writer *w, const void *records, size_t bytes, u64 reserve)
{
	int err;

	if (bytes <= w->st.left) {
		memcpy(w->st.at, records, bytes);
		tape_stage__took(&w->st, bytes);
		return 0;
	}
	err = append_slowly(w, records, bytes, reserve);
	if (err && !w->error)
		w->error = err;
	return err;
}

struct tape_stage *tape_writer__stage(struct tape_writer *w)
{
	return &w->st;
}

int tape_writer__append(struct tape_writer *w, const void *records, size_t bytes)
{
	return append(w, records, bytes, RESERVE);
}

int tape_writer__append_last(struct tape_writer *w, const void *records, size_t bytes)
{
	return append(w, records, bytes, 0);
}

size_t tape_writer__max_append(const struct tape_writer *w)
{
	return w->opts.chapter_bytes <= REGION_MAX + 1 ? REGION_MAX : MIN(w->opts.chapter_bytes, STEP) - 4096;
}

int tape_writer__checksum(struct tape_writer *w)
{
	struct tape_x_checksum c = { .h = { TAPE_X_CHECKSUM, sizeof(c) } };
	int err = publish(w);

	if (!err)
		err = w->dead;
	if (!err)
		err = prepare(w, sizeof(c), 0);
	if (err)
		return err;
	crc_to(w, w->pos);
	c.crc = w->crc;
	stage(w, &c, sizeof(c));
	return publish(w);
}

/* --- life ------------------------------------------------------------------------------------------------ */

static int check_opts(struct tape_writer *w, struct diag *d)
{
	u32 *chapter = &w->opts.chapter_bytes;

	if (!*chapter)
		*chapter = 1024 * 1024;
	if (*chapter & (*chapter - 1) || *chapter < 64 * 1024 || *chapter > 1024 * 1024 * 1024)
		return diag__set(d, -EINVAL, "a chapter of %u bytes: it must be a power of two from 64 KiB to 1 GiB",
				 *chapter);
	return 0;
}

static int write_intro(struct tape_writer *w)
{
	struct tape_intro_rec intro = {
		.magic = TAPE_MAGIC,
		.major = TAPE_MAJOR,
		.minor = TAPE_MINOR,
		.exponent = __builtin_ctz(w->opts.chapter_bytes),
		.base_lo = w->opts.base_unix_ns,
		.base_hi = w->opts.base_unix_ns < 0 ? -1 : 0,
	};
	int err = tape_file__write(w->fd, &intro, sizeof(intro), 0);

	if (err)
		return err;
	w->crc = crc32c(0, &intro, sizeof(intro));
	w->crc_pos = w->allocated = sizeof(intro);
	/* no space for a first record: say so now */
	err = allocate(w, sizeof(intro) + RESERVE + 4096);
	if (!err)
		begin_stage(w, sizeof(intro));
	return err;
}

int tape_writer__open(const char *path, const struct tape_writer_opts *opts, struct tape_writer **out, struct diag *d)
{
	struct tape_file_new nf = { .fd = -1 };
	struct tape_writer *w = calloc(1, sizeof(*w));
	int err;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	memcpy(&w->opts, opts, MIN(opts->sz, sizeof(*opts)));
	err = check_opts(w, d);
	if (!err)
		err = tape_file__create(&nf, path, w->opts.force, d);
	if (err)
		goto fail;
	w->fd = nf.fd;
	err = write_intro(w);
	if (err) {
		diag__set(d, err, "writing the start of %s: %s", path, strerror(-err));
		diag__hint(d, "choose another place with -o");
		goto fail;
	}
	err = tape_file__name(&nf, &w->path, d);
	if (err)
		goto fail;
	*out = w;
	return 0;
fail:
	tape_file__abandon(&nf);
	free(w);
	return err;
}

int tape_writer__open_fd(int fd, const char *shown, const struct tape_writer_opts *opts, struct tape_writer **out,
			 struct diag *d)
{
	struct tape_writer *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	*out = NULL;
	if (!w)
		goto fail;
	memcpy(&w->opts, opts, MIN(opts->sz, sizeof(*opts)));
	err = check_opts(w, d);
	if (err)
		goto fail;
	w->fd = fd;
	w->path = strdup(shown);
	err = w->path ? write_intro(w) : -ENOMEM;
	if (!err) {
		*out = w;
		return 0;
	}
	diag__set(d, err, "writing the start of %s: %s", shown, strerror(-err));
fail:
	close(fd);
	free(w ? w->path : NULL);
	free(w);
	return err;
}

const char *tape_writer__path(const struct tape_writer *w)
{
	return w->path;
}

u64 tape_writer__bytes(const struct tape_writer *w)
{
	/* pos is where the next record may begin, up to three bytes behind the last one */
	return staged(w) ? w->pos + staged(w) : w->crc_pos;
}

int tape_writer__error(const struct tape_writer *w)
{
	return w->error;
}

u64 tape_writer__base_mono_ns(const struct tape_writer *w)
{
	return w->opts.base_mono_ns;
}

int tape_writer__close(struct tape_writer *w, struct diag *d)
{
	int err, error;

	if (!w)
		return 0;
	err = publish(w);
	error = w->error ? w->error : err;
	/* pos is behind the last record, but for up to three NOOPs; a cover that is left is part of the file */
	if (ftruncate(w->fd, err ? w->pos : w->crc_pos) && !error)
		error = -errno;
	if (close(w->fd) && !error)
		error = -errno;
	if (error)
		diag__set(d, error, "%s: records are missing: %s", w->path, strerror(-error));
	free(w->path);
	free(w);
	return error;
}

void tape_writer__default_name(char *dst, size_t bytes, const char *exe, s64 unix_ns)
{
	static const char *const day[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	const char *slash = exe ? strrchr(exe, '/') : NULL, *base = slash ? slash + 1 : exe ? exe : "";
	char clean[128], when[64];
	time_t t = unix_ns / (s64)NSEC_PER_SEC - (unix_ns % (s64)NSEC_PER_SEC < 0);
	struct tm tm;

	text__file_name(clean, sizeof(clean), base, strlen(base));
	/* weekday by hand: upstream's names are English in every locale */
	if (localtime_r(&t, &tm))
		snprintf(when, sizeof(when), "%04d-%02d-%02d_%s_%02d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
			 tm.tm_mday, day[tm.tm_wday], tm.tm_hour, tm.tm_min, tm.tm_sec);
	else
		snprintf(when, sizeof(when), "%lld", (long long)t);
	snprintf(dst, bytes, "%s_%s.tape", clean[0] ? clean : "trace", when);
}
