/* SPDX-License-Identifier: MIT */
/*
 * tape_scan.c - finding records in bytes that may be anything.
 *
 * The window holds at least one record of the largest size ahead of the position, unless the file ends before; so a
 * record is always seen whole, and a pipe is read like a file. A record that breaks the framing (its length is below
 * its minimum, or it leaves its chapter) says nothing about where the next one begins: reading restarts at the next
 * chapter, the only place where the format promises a record's start. Each step moves forward by at least a byte,
 * so any input ends.
 */
#include "tape/tape_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "tape/tape_format.h"

#define WINDOW_BYTES (256 * 1024)
#define TAPE_SPAN_OPEN_MIN (sizeof(struct tape_span_open) - 1) /* version 0.0 */

struct tape_scan {
	int fd;
	bool own_fd, eof, torn;
	int error;
	u32 pos, end; /* unread: buf[pos, end) */
	u64 base;     /* file offset of buf[0] */
	u64 size;
	u64 chapter_end; /* file offset */
	u64 chapter_bytes;
	struct tape_intro intro;
	tape_defect_fn defect;
	void *ctx;
	u64 defects;
	u32 crc; /* of the bytes [0, crc_end) of the file */
	u64 crc_end;
	u8 buf[WINDOW_BYTES];
};

static const struct {
	const char *name;
	u32 min;
} kinds[256] = {
	[TAPE_THREAD_NAME] = { "thread_name", 3 },
	[TAPE_CALLSITE] = { "callsite", sizeof(struct tape_callsite) },
	[TAPE_CALLSITE_FIELD] = { "callsite_field", sizeof(struct tape_callsite_field) },
	[TAPE_EVENT] = { "event", sizeof(struct tape_event) },
	[TAPE_EVENT_VALUE] = { "event_value", sizeof(struct tape_value) },
	[TAPE_SPAN_OPEN] = { "span_open", TAPE_SPAN_OPEN_MIN },
	[TAPE_SPAN_ENTER] = { "span_enter", sizeof(struct tape_span_enter) },
	[TAPE_SPAN_EXIT] = { "span_exit", sizeof(struct tape_span_end) },
	[TAPE_SPAN_CLOSE] = { "span_close", sizeof(struct tape_span_end) },
	[TAPE_SPAN_VALUE] = { "span_value", sizeof(struct tape_value) },
	[TAPE_SPAN_FOLLOWS] = { "span_follows", sizeof(struct tape_span_follows) },
	[TAPE_X_GENERATION] = { "generation", sizeof(struct tape_x_generation) },
	[TAPE_X_CLOCK] = { "clock", sizeof(struct tape_x_clock) },
	[TAPE_X_PROCESS] = { "process", sizeof(struct tape_x_process) },
	[TAPE_X_THREAD] = { "thread", sizeof(struct tape_x_thread) },
	[TAPE_X_LOSS] = { "loss", sizeof(struct tape_x_loss) },
	[TAPE_X_EXIT] = { "exit_context", sizeof(struct tape_x_exit) },
	[TAPE_X_SYNTHETIC] = { "synthetic", sizeof(struct tape_x_synthetic) },
	[TAPE_X_EVENT] = { "event_context", sizeof(struct tape_x_event) },
	[TAPE_X_VALUE] = { "value_context", sizeof(struct tape_x_value) },
	[TAPE_X_CHECKSUM] = { "checksum", sizeof(struct tape_x_checksum) },
	[TAPE_X_SPAN] = { "span_context", TAPE_X_SPAN_MIN },
	[TAPE_X_LATE] = { "late", sizeof(struct tape_x_late) },
	[TAPE_X_ALIAS] = { "alias", sizeof(struct tape_x_alias) },
	[TAPE_X_LIFE] = { "life", sizeof(struct tape_x_life) },
	[TAPE_X_TRIGGER] = { "trigger", sizeof(struct tape_x_trigger) },
	[TAPE_X_CLOSE] = { "close_context", sizeof(struct tape_x_close) },
	[TAPE_X_TOTALS] = { "totals", sizeof(struct tape_x_totals) },
	[TAPE_X_CALLSITE] = { "callsite_types", sizeof(struct tape_x_callsite) },
	[TAPE_X_SKIP] = { "skip", TAPE_HEAD_BYTES },
};

const char *tape_kind__name(u8 kind)
{
	return kinds[kind].name;
}

u32 tape_kind__min(u8 kind)
{
	return kinds[kind].min ? kinds[kind].min : TAPE_HEAD_BYTES;
}

static const struct {
	const char *label, *text;
} defect_names[] = {
#define DEFECT(number, name, label, text) [number] = { label, text },
#include "tape/defects.def"
#undef DEFECT
};

const char *tape_defect__label(enum tape_defect_kind kind)
{
	return (u32)kind < TAPE_DEFECT_MAX ? defect_names[kind].label : "unknown";
}

const char *tape_defect__meaning(enum tape_defect_kind kind)
{
	return (u32)kind < TAPE_DEFECT_MAX ? defect_names[kind].text : "";
}

void tape_scan__defect(struct tape_scan *s, enum tape_defect_kind kind, u64 offset, const char *fmt, ...)
{
	struct tape_defect d = { .kind = kind, .offset = offset };
	va_list ap;

	s->defects++;
	if (!s->defect)
		return;
	va_start(ap, fmt);
	vsnprintf(d.text, sizeof(d.text), fmt, ap);
	va_end(ap);
	s->defect(s->ctx, &d);
}

static void crc_upto(struct tape_scan *s, u64 offset)
{
	if (offset <= s->crc_end)
		return;
	s->crc = crc32c(s->crc, s->buf + (s->crc_end - s->base), offset - s->crc_end);
	s->crc_end = offset;
}

/* Move the unread bytes to the front and read until the window is full or the file ends. */
static int fill(struct tape_scan *s)
{
	ssize_t n;

	crc_upto(s, s->base + s->pos);
	memmove(s->buf, s->buf + s->pos, s->end - s->pos);
	s->base += s->pos;
	s->end -= s->pos;
	s->pos = 0;
	while (s->end < WINDOW_BYTES && !s->eof) {
		n = read(s->fd, s->buf + s->end, WINDOW_BYTES - s->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return s->error = -errno;
		if (n == 0)
			s->eof = true;
		s->end += n;
	}
	return 0;
}

static int read_intro(struct tape_scan *s, const char *path, struct diag *d)
{
	struct tape_intro_rec b;

	if (s->end < TAPE_INTRO_BYTES)
		return diag__set(d, -ENOEXEC, "%s is no tape: it has %u bytes, a tape begins with %u", path, s->end,
				 TAPE_INTRO_BYTES);
	memcpy(&b, s->buf, sizeof(b));
	if (memcmp(b.magic, TAPE_MAGIC, sizeof(b.magic)) != 0)
		return diag__set(d, -ENOEXEC, "%s is no tape: it does not begin with %s", path, TAPE_MAGIC);
	s->intro.major = b.major;
	s->intro.minor = b.minor;
	s->intro.exponent = b.exponent;
	if (b.major != TAPE_MAJOR) {
		diag__set(d, -ENOEXEC, "%s is a tape of version %u.%u; this program reads %u.x", path, b.major, b.minor,
			  TAPE_MAJOR);
		diag__hint(d, "use a later release of tapebpf");
		return -ENOEXEC;
	}
	if (b.exponent > TAPE_MAX_EXPONENT)
		return diag__set(d, -ENOEXEC, "%s: the intro is damaged: chapters of 2^%u bytes", path, b.exponent);
	if (b.base_hi == (s64)b.base_lo >> 63)
		s->intro.base_unix_ns = b.base_lo;
	else
		s->intro.base_unix_ns = b.base_hi < 0 ? INT64_MIN : INT64_MAX;
	return 0;
}

int tape_scan__open(const char *path, tape_defect_fn defect, void *ctx, struct tape_scan **out, struct diag *d)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct tape_scan *s;
	struct stat st;
	int err;

	s = malloc(sizeof(*s));
	if (!s)
		return diag__set(d, -ENOMEM, "no memory for reading %s", path);
	memset(s, 0, offsetof(struct tape_scan, buf)); /* the window stays unmapped until it is filled */
	s->defect = defect;
	s->ctx = ctx;
	s->own_fd = !is_stdin;
	s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0) {
		err = diag__set(d, -errno, "cannot open %s: %s", path, strerror(errno));
		goto fail;
	}
	if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode))
		s->size = st.st_size;
	err = fill(s);
	if (err) {
		diag__set(d, err, "cannot read %s: %s", path, strerror(-err));
		goto fail;
	}
	err = read_intro(s, is_stdin ? "standard input" : path, d);
	if (err)
		goto fail;
	s->pos = TAPE_INTRO_BYTES;
	s->chapter_bytes = 1ULL << s->intro.exponent;
	s->chapter_end = TAPE_INTRO_BYTES + s->chapter_bytes;
	*out = s;
	return 0;
fail:
	tape_scan__free(s);
	return err;
}

void tape_scan__free(struct tape_scan *s)
{
	if (!s)
		return;
	if (s->own_fd && s->fd >= 0)
		close(s->fd);
	free(s);
}

const struct tape_intro *tape_scan__intro(const struct tape_scan *s)
{
	return &s->intro;
}

/* Step over zero bytes, which are NOOP records; free space of a chapter can be a megabyte of them. */
static void skip_zeros(struct tape_scan *s)
{
	const u8 *p = s->buf + s->pos, *end = s->buf + s->end;
	u64 word;

	while (end - p >= 8) {
		memcpy(&word, p, 8);
		if (word)
			break;
		p += 8;
	}
	while (p < end && !*p)
		p++;
	s->pos = p - s->buf;
}

/* Forget the rest of the chapter. */
static int next_chapter(struct tape_scan *s)
{
	u64 here = s->base + s->pos, step;
	int err;

	while (here < s->chapter_end) {
		step = MIN(s->chapter_end - here, (u64)(s->end - s->pos));
		s->pos += step;
		here += step;
		if (here == s->chapter_end)
			break;
		if (s->eof)
			return 0;
		err = fill(s);
		if (err)
			return err;
	}
	return 0;
}

/* Judge the framing of the record at the position. 1: fine; 0: a defect has been reported, and what it spoils is skipped. */
static int frame(struct tape_scan *s, struct tape_raw *r)
{
	const u8 *p = s->buf + s->pos;
	u64 here = s->base + s->pos, left = s->end - s->pos, room = s->chapter_end - here;
	const char *name = tape_kind__name(p[0]);
	u16 bytes = TAPE_HEAD_BYTES;

	if (left >= TAPE_HEAD_BYTES)
		memcpy(&bytes, p + 1, sizeof(bytes));
	if (left < TAPE_HEAD_BYTES || (bytes > left && bytes <= room)) {
		/* left counts up to the file's end here: the window is longer than any record */
		s->torn = true;
		tape_scan__defect(s, TAPE_DEFECT_TORN, here, "record 0x%02x%s%s: %u bytes, the file ends after %u", p[0],
				  name ? " " : "", name ? name : "", bytes, (u32)left);
	} else if (room < TAPE_HEAD_BYTES || bytes > room) {
		tape_scan__defect(s, TAPE_DEFECT_LENGTH, here, "record 0x%02x%s%s: %u bytes, the chapter ends after %u",
				  p[0], name ? " " : "", name ? name : "", bytes, (u32)room);
	} else if (bytes < tape_kind__min(p[0]) && bytes >= TAPE_HEAD_BYTES && p[0] >= TAPE_X_GENERATION) {
		/* to everybody else it is a record to be skipped by its length, so that is sound */
		tape_scan__defect(s, TAPE_DEFECT_EXTENSION, here, "record 0x%02x%s%s: %u bytes, it needs %u", p[0],
				  name ? " " : "", name ? name : "", bytes, tape_kind__min(p[0]));
		s->pos += bytes;
		return 0;
	} else if (bytes < tape_kind__min(p[0])) {
		tape_scan__defect(s, TAPE_DEFECT_LENGTH, here, "record 0x%02x%s%s: %u bytes, it needs %u", p[0],
				  name ? " " : "", name ? name : "", bytes, tape_kind__min(p[0]));
	} else {
		r->offset = here;
		r->kind = p[0];
		r->bytes = bytes;
		r->data = p;
		return 1;
	}
	return next_chapter(s);
}

/* The usual record: whole in the window, and sound. Everything else takes the long way. */
static bool usual(struct tape_scan *s, struct tape_raw *r)
{
	const u8 *p = s->buf + s->pos;
	u64 here = s->base + s->pos;
	u16 bytes;

	if (s->end - s->pos < TAPE_MAX_RECORD || !p[0] || here >= s->chapter_end || s->error)
		return false;
	memcpy(&bytes, p + 1, sizeof(bytes));
	if (bytes < TAPE_HEAD_BYTES || bytes < kinds[p[0]].min || bytes > s->chapter_end - here)
		return false;
	*r = (struct tape_raw){ .offset = here, .kind = p[0], .bytes = bytes, .data = p };
	s->pos += bytes;
	return true;
}

/* A function of its own, so that the short way saves no registers for it. */
static __attribute__((noinline)) int long_way(struct tape_scan *s, struct tape_raw *r)
{
	int err;

	if (s->error)
		return s->error;
	for (;;) {
		if (s->end - s->pos < TAPE_MAX_RECORD && !s->eof) {
			err = fill(s);
			if (err)
				return err;
		}
		if (s->pos == s->end)
			return 0;
		if (!s->buf[s->pos]) {
			skip_zeros(s);
			continue;
		}
		if (s->base + s->pos >= s->chapter_end)
			s->chapter_end += (s->base + s->pos - s->chapter_end) / s->chapter_bytes * s->chapter_bytes +
					  s->chapter_bytes;
		err = frame(s, r);
		if (err < 0)
			return err;
		if (err) {
			s->pos += r->bytes;
			return 1;
		}
	}
}

int tape_scan__next(struct tape_scan *s, struct tape_raw *r)
{
	return usual(s, r) ? 1 : long_way(s, r);
}

u32 tape_scan__crc(struct tape_scan *s, u64 offset)
{
	crc_upto(s, offset);
	return s->crc;
}

u64 tape_scan__offset(const struct tape_scan *s)
{
	return s->base + s->pos;
}

u64 tape_scan__size(const struct tape_scan *s)
{
	return s->size;
}

u64 tape_scan__defects(const struct tape_scan *s)
{
	return s->defects;
}

bool tape_scan__torn(const struct tape_scan *s)
{
	return s->torn;
}
