/* SPDX-License-Identifier: MIT */
/*
 * tape_scan.c - finding records in bytes that may be anything.
 *
 * The window is longer than any record and read on when the one at hand is not whole in it; so a record is always seen
 * whole, and a pipe is read like a file. A record that breaks the framing (its length is below
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
	struct tape_cursor c; /* first; c.at: the next byte to be looked at */
	int fd;
	bool own_fd, eof, torn;
	int error;
	const u8 *end; /* of what has been read into the window */
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

/* KIND(kind, name, least bytes) */
#define KINDS \
	KIND(TAPE_THREAD_NAME, "thread_name", 3) \
	KIND(TAPE_CALLSITE, "callsite", sizeof(struct tape_callsite)) \
	KIND(TAPE_CALLSITE_FIELD, "callsite_field", sizeof(struct tape_callsite_field)) \
	KIND(TAPE_EVENT, "event", sizeof(struct tape_event)) \
	KIND(TAPE_EVENT_VALUE, "event_value", sizeof(struct tape_value)) \
	KIND(TAPE_SPAN_OPEN, "span_open", TAPE_SPAN_OPEN_MIN) \
	KIND(TAPE_SPAN_ENTER, "span_enter", sizeof(struct tape_span_enter)) \
	KIND(TAPE_SPAN_EXIT, "span_exit", sizeof(struct tape_span_end)) \
	KIND(TAPE_SPAN_CLOSE, "span_close", sizeof(struct tape_span_end)) \
	KIND(TAPE_SPAN_VALUE, "span_value", sizeof(struct tape_value)) \
	KIND(TAPE_SPAN_FOLLOWS, "span_follows", sizeof(struct tape_span_follows)) \
	KIND(TAPE_X_GENERATION, "generation", TAPE_X_GENERATION_MIN) \
	KIND(TAPE_X_CLOCK, "clock", sizeof(struct tape_x_clock)) \
	KIND(TAPE_X_PROCESS, "process", sizeof(struct tape_x_process)) \
	KIND(TAPE_X_THREAD, "thread", sizeof(struct tape_x_thread)) \
	KIND(TAPE_X_LOSS, "loss", sizeof(struct tape_x_loss)) \
	KIND(TAPE_X_EXIT, "exit_context", sizeof(struct tape_x_exit)) \
	KIND(TAPE_X_SYNTHETIC, "synthetic", sizeof(struct tape_x_synthetic)) \
	KIND(TAPE_X_EVENT, "event_context", sizeof(struct tape_x_event)) \
	KIND(TAPE_X_VALUE, "value_context", sizeof(struct tape_x_value)) \
	KIND(TAPE_X_CHECKSUM, "checksum", sizeof(struct tape_x_checksum)) \
	KIND(TAPE_X_SPAN, "span_context", TAPE_X_SPAN_MIN) \
	KIND(TAPE_X_LATE, "late", sizeof(struct tape_x_late)) \
	KIND(TAPE_X_ALIAS, "alias", sizeof(struct tape_x_alias)) \
	KIND(TAPE_X_LIFE, "life", sizeof(struct tape_x_life)) \
	KIND(TAPE_X_TRIGGER, "trigger", sizeof(struct tape_x_trigger)) \
	KIND(TAPE_X_CLOSE, "close_context", sizeof(struct tape_x_close)) \
	KIND(TAPE_X_TOTALS, "totals", TAPE_X_TOTALS_MIN) \
	KIND(TAPE_X_CALLSITE, "callsite_types", sizeof(struct tape_x_callsite)) \
	KIND(TAPE_X_SKIP, "skip", TAPE_HEAD_BYTES)

static const char *const kind_names[256] = {
#define KIND(kind, name, least) [kind] = name,
	KINDS
#undef KIND
};

const u32 tape_kind_body[256] = {
	[TAPE_NOOP] = TAPE_MAX_RECORD,
#define KIND(kind, name, least) [kind] = (least) - TAPE_HEAD_BYTES,
	KINDS
#undef KIND
};

const char *tape_kind__name(u8 kind)
{
	return kind_names[kind];
}

u32 tape_kind__min(u8 kind)
{
	return TAPE_HEAD_BYTES + (kind == TAPE_NOOP ? 0 : tape_kind_body[kind]);
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

static u64 here(const struct tape_scan *s)
{
	return tape_cursor__offset(&s->c, s->c.at);
}

/* After every change of the window or the chapter. */
static void set_safe(struct tape_scan *s)
{
	u64 at = here(s), room = s->chapter_end > at ? s->chapter_end - at : 0, left = (u64)(s->end - s->c.at);

	s->c.safe = s->c.at + (s->error ? 0 : MIN(room, left));
}

static void crc_upto(struct tape_scan *s, u64 offset)
{
	if (offset <= s->crc_end)
		return;
	s->crc = crc32c(s->crc, s->buf + (s->crc_end - tape_cursor__offset(&s->c, s->buf)), offset - s->crc_end);
	s->crc_end = offset;
}

/* Move the unread bytes to the front and read until the window is full or the file ends. */
static int fill(struct tape_scan *s)
{
	size_t bytes = (size_t)(s->end - s->c.at);
	u64 at = here(s);
	ssize_t n;

	crc_upto(s, at);
	memmove(s->buf, s->c.at, bytes);
	s->c.at = s->buf;
	s->c.base = at - (uintptr_t)s->buf;
	while (bytes < WINDOW_BYTES && !s->eof && !s->error) {
		n = read(s->fd, s->buf + bytes, WINDOW_BYTES - bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			s->error = -errno;
		else if (n == 0)
			s->eof = true;
		else
			bytes += (size_t)n;
	}
	s->end = s->buf + bytes;
	set_safe(s);
	return s->error;
}

static int read_intro(struct tape_scan *s, const char *path, struct diag *d)
{
	struct tape_intro_rec b;

	if (s->end - s->buf < TAPE_INTRO_BYTES)
		return diag__set(d, -ENOEXEC, "%s is no tape: it has %u bytes, a tape begins with %u", path,
				 (u32)(s->end - s->buf), TAPE_INTRO_BYTES);
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
	s->c.at = s->end = s->buf;
	s->c.base = -(u64)(uintptr_t)s->buf;
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
	s->c.at = s->buf + TAPE_INTRO_BYTES;
	s->chapter_bytes = 1ULL << s->intro.exponent;
	s->chapter_end = TAPE_INTRO_BYTES + s->chapter_bytes;
	set_safe(s);
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
	const u8 *p = s->c.at;
	u64 word;

	while (s->end - p >= 8) {
		memcpy(&word, p, 8);
		if (word)
			break;
		p += 8;
	}
	while (p < s->end && !*p)
		p++;
	s->c.at = p;
	set_safe(s);
}

/* Forget the rest of the chapter. */
static int next_chapter(struct tape_scan *s)
{
	int err;

	for (;;) {
		s->c.at += MIN(s->chapter_end - here(s), (u64)(s->end - s->c.at));
		if (s->eof || here(s) >= s->chapter_end)
			return 0;
		err = fill(s);
		if (err)
			return err;
	}
}

/* Judge the framing of the record at the position. 1: fine; 0: a defect has been reported, and what it spoils is skipped. */
static int frame(struct tape_scan *s, struct tape_raw *r)
{
	const u8 *p = s->c.at;
	u64 at = here(s), left = (u64)(s->end - p), room = s->chapter_end - at;
	const char *name = tape_kind__name(p[0]);
	u16 bytes = TAPE_HEAD_BYTES;

	if (left >= TAPE_HEAD_BYTES)
		memcpy(&bytes, p + 1, sizeof(bytes));
	if (left < TAPE_HEAD_BYTES || (bytes > left && bytes <= room)) {
		/* left counts up to the file's end here: the window is longer than any record */
		s->torn = true;
		tape_scan__defect(s, TAPE_DEFECT_TORN, at, "record 0x%02x%s%s: %u bytes, the file ends after %u", p[0],
				  name ? " " : "", name ? name : "", bytes, (u32)left);
	} else if (room < TAPE_HEAD_BYTES || bytes > room) {
		tape_scan__defect(s, TAPE_DEFECT_LENGTH, at, "record 0x%02x%s%s: %u bytes, the chapter ends after %u",
				  p[0], name ? " " : "", name ? name : "", bytes, (u32)room);
	} else if (bytes < tape_kind__min(p[0]) && bytes >= TAPE_HEAD_BYTES && p[0] >= TAPE_X_GENERATION) {
		/* to everybody else it is a record to be skipped by its length, so that is sound */
		tape_scan__defect(s, TAPE_DEFECT_EXTENSION, at, "record 0x%02x%s%s: %u bytes, it needs %u", p[0],
				  name ? " " : "", name ? name : "", bytes, tape_kind__min(p[0]));
		s->c.at += bytes;
		return 0;
	} else if (bytes < tape_kind__min(p[0])) {
		tape_scan__defect(s, TAPE_DEFECT_LENGTH, at, "record 0x%02x%s%s: %u bytes, it needs %u", p[0],
				  name ? " " : "", name ? name : "", bytes, tape_kind__min(p[0]));
	} else {
		r->offset = at;
		r->kind = p[0];
		r->bytes = bytes;
		r->data = p;
		return 1;
	}
	return next_chapter(s);
}

/* Is the record at the cursor in the window, or as much of it as there is? */
static bool is_whole(const struct tape_scan *s)
{
	size_t left = (size_t)(s->end - s->c.at);
	u16 bytes;

	if (left < TAPE_HEAD_BYTES)
		return s->eof;
	memcpy(&bytes, s->c.at + 1, sizeof(bytes));
	return s->eof || !s->c.at[0] || bytes <= left;
}

/* A function of its own, so that the short way saves no registers for it. */
static __attribute__((noinline)) int long_way(struct tape_scan *s, struct tape_raw *r)
{
	int err;

	if (s->error)
		return s->error;
	for (;;) {
		err = is_whole(s) ? 0 : fill(s);
		if (err)
			return err;
		if (s->c.at == s->end)
			return 0;
		if (!s->c.at[0]) {
			skip_zeros(s);
			continue;
		}
		if (here(s) >= s->chapter_end)
			s->chapter_end += (here(s) - s->chapter_end) / s->chapter_bytes * s->chapter_bytes + s->chapter_bytes;
		err = frame(s, r);
		if (err > 0)
			s->c.at += r->bytes;
		set_safe(s);
		if (err)
			return err;
	}
}

int tape_scan__next(struct tape_scan *s, struct tape_raw *r)
{
	const u8 *at = s->c.at;
	u32 bytes = tape_cursor__bytes(&s->c, at);

	if (!bytes)
		return long_way(s, r);
	*r = (struct tape_raw){ .offset = tape_cursor__offset(&s->c, at), .kind = at[0], .bytes = bytes, .data = at };
	s->c.at += bytes;
	return 1;
}

u32 tape_scan__crc(struct tape_scan *s, u64 offset)
{
	crc_upto(s, offset);
	return s->crc;
}

u64 tape_scan__offset(const struct tape_scan *s)
{
	return here(s);
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
